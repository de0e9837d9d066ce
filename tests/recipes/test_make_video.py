# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames become a video, a preview and a contact sheet that show what was rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .render_support import lab, png

KINDS = ("png", "exr", "layers")


@pytest.fixture
def facts(session_root: Path) -> dict[str, Any]:
    """What the video's lab found."""
    return dict(lab(session_root)["video"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_video_plays_the_frames_at_their_time(facts: dict[str, Any], kind: str) -> None:
    made = facts[kind]["made"]
    assert made["available"], made.get("why")
    assert (made["width"], made["height"], made["frames"]) == (64, 36, 4)
    assert made["fps"] == pytest.approx(23.976, abs=1e-3)
    data = Path(made["path"]).read_bytes()
    assert data[4:8] == b"ftyp" and b"avc1" in data
    assert len(data) == made["bytes"]
    # The third frame is missing and is shown by the second. Frames that differ are this far apart:
    assert facts["apart"] > 0.05
    assert facts["counts"][kind] == 4
    assert max(facts["off"][kind]) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_a_preview_is_small_and_shown_as_the_scene_shows_it(
    facts: dict[str, Any], kind: str
) -> None:
    preview = facts[kind]["preview"]
    assert (preview["width"], preview["height"]) == (20, 11)
    assert Path(preview["path"]).read_bytes()[:3] == b"\xff\xd8\xff"
    assert facts[kind]["jpeg"] == pytest.approx(facts["png"]["jpeg"], abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_a_contact_sheet_holds_all_frames(facts: dict[str, Any], kind: str) -> None:
    sheet = facts[kind]["sheet"]
    assert sheet["frames"] == 3
    assert png(Path(sheet["path"]))["size"] == [sheet["width"], sheet["height"]]


def test_nothing_is_left_beside(facts: dict[str, Any]) -> None:
    assert facts["left"] == []
