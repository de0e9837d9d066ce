# SPDX-License-Identifier: GPL-3.0-or-later
"""Renderjuice's options become the request's config, and what was used is compared with it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from bridge.flow import Flow
from bridge.frames import parse
from bridge.jobs import Job
from bridge.problems import Category, ProblemError
from bridge.services import SERVICES
from bridge.services.renderjuice import analysis, follow
from bridge.services.renderjuice.config import differences, render_config, resolution
from bridge.settings import Settings
from bridge.store import Store

ENTRY = SERVICES["renderjuice"]


def test_only_what_was_set_is_sent() -> None:
    assert render_config(ENTRY.defaults(), None) == {"colorManagementPreset": "default"}
    options = ENTRY.checked(
        {
            "frames": "1-3,7",
            "samples": 64,
            "resolution": "1920 x 1080",
            "color_management": "ACES",
            "engine": "cycles",
            "color_depth": "16",
            "exr_codec": "dwaa",
            "denoise": False,
            "notes": "Bitte zügig",
        }
    )
    assert render_config(options, parse("1-3,7")) == {
        "colorManagementPreset": "aces",
        "frameRanges": ["1-3", "7"],
        "sampleCount": 64,
        "resolution": [1920, 1080],
        "renderEngine": "CYCLES",
        "denoisingEnabled": False,
        "notes": "Bitte zügig",
        "outputSettings": {"colorDepth": "16", "exrCodec": "DWAA"},
    }


def test_every_option_that_is_sent_reaches_the_config() -> None:
    values: dict[str, Any] = {}
    for option in ENTRY.options:
        if option.packaging:
            continue
        if option.name == "resolution":
            values[option.name] = "10x10"
        elif option.choices:
            values[option.name] = option.choices[-1]
        else:
            values[option.name] = {"int": 7, "float": 7.0, "bool": True, "text": "7"}[option.kind]
    config = render_config(ENTRY.checked(values), parse("7"))
    flat = {**config, **config.pop("outputSettings")}
    flat.pop("outputSettings", None)
    assert len(flat) == len(values)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"frames": "1-"}, "1-"),
        ({"frames": "9-3"}, "9-3"),
        ({"resolution": "1920"}, "1920"),
        ({"resolution": "1x1"}, "1x1"),
        ({"samples": 0}, "0"),
        ({"output_format": "GIF"}, "GIF"),
        ({"resolution_percentage": 40000}, "40000"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, Any], part: str) -> None:
    with pytest.raises(ProblemError) as caught:
        ENTRY.checked(values)
    assert caught.value.problem.category is Category.INPUT
    assert part in caught.value.problem.sentence and caught.value.problem.hint


def test_a_resolution_in_several_spellings() -> None:
    assert resolution("1920x1080") == resolution("1920 × 1080") == [1920, 1080]


ASKED = {
    "colorManagementPreset": "default",
    "frameRanges": ["1-3", "7"],
    "sampleCount": 64,
    "fps": 23.976,
    "outputSettings": {"colorDepth": "16"},
}


@pytest.mark.parametrize(
    "final",
    [
        None,
        "untyped",
        {},
        {"frameRanges": ["1-3", "7"], "sampleCount": 64.0, "fps": 23.976},
        {"frameRanges": [{"start": 1, "end": 3}, {"start": 7, "end": 7}]},
        {"frameRanges": "1-3,7", "outputSettings": {"colorDepth": 16}},
        {"frameRanges": [1, 2, 3, 7]},
    ],
)
def test_the_same_in_other_words_is_no_difference(final: Any) -> None:
    assert differences(ASKED, {"id": "x", "status": "booting", "finalConfig": final}) == []


def test_differences_are_said_one_by_one() -> None:
    final = {
        "frameRanges": ["1-3"],
        "sampleCount": 128,
        "outputSettings": {"colorDepth": "8"},
        "other": 1,
    }
    said = differences(ASKED, {"finalConfig": final})
    assert len(said) == 3
    assert any("128" in text and "64" in text for text in said)
    assert any("frame ranges" in text and "1-3,7" in text for text in said)


def test_an_analysis_of_any_shape_is_read() -> None:
    assert analysis.readable({}) == {"facts": [], "findings": []}
    assert analysis.readable({"analysis": None})["facts"] == []
    read = analysis.readable(
        {
            "analysis": {
                "renderEngine": "CYCLES",
                "frames": {"start": 1, "end": 24},
                "hasCamera": True,
                "warnings": [
                    "Two textures are missing",
                    {"message": "No output", "level": "error"},
                ],
                "errors": [],
                "missingFiles": ["/a/b.png"],
                "cameras": ["A", "B"],
                "deep": {"a": {"b": {"c": {"d": {"e": 1}}}}},
            }
        }
    )
    assert ["Render engine", "CYCLES"] in read["facts"] and ["Has camera", "yes"] in read["facts"]
    assert ["Cameras", "A, B"] in read["facts"]
    assert [(one["severity"], one["sentence"]) for one in read["findings"]] == [
        ("warning", "Two textures are missing"),
        ("blocking", "No output"),
        ("warning", "/a/b.png"),
    ]
    assert analysis.readable({"analysis": ["x", 5, {}]})["findings"][0]["sentence"] == "x"
    assert analysis.readable({"isAnalysisSkipped": True})["findings"]


@pytest.mark.parametrize(
    ("found", "frames"),
    [
        ({"frameStart": 1, "frameEnd": 24}, "1-24"),
        ({"frame_start": 1, "frame_end": 9, "frame_step": 4}, "1,5,9"),
        ({"scene": {"frameStart": 2, "frameEnd": 2}}, "2"),
        ({"frames": {"start": 1, "end": 3}}, "1-3"),
        ({"frameStart": "1", "frameEnd": True}, None),
        ({"frameStart": 9, "frameEnd": 1}, None),
        ("text", None),
    ],
)
def test_the_farm_s_frames(found: Any, frames: str | None) -> None:
    got = analysis.frames({"analysis": found})
    assert (got.text() if got else None) == frames


def test_a_cap_that_is_reached_while_the_frames_are_gathered_loses_none(tmp_path: Path) -> None:
    """Nothing is used any more then: a cancel would only throw away what was paid for."""

    class Farm:
        told = 0

        def cancel(self, _job_id: str) -> None:
            self.told += 1

    farm: Any = Farm()
    with Store.open(tmp_path) as store:
        job = store.insert_job(Job("renderjuice", "Shot", options={"spending_cap": 1.0}))
        flow = Flow(store, job, Settings(), logging.getLogger("test"))
        for status, told in (("finalizing", 0), ("rendering", 1), ("rendering", 1)):
            follow._keep_cap(flow, farm, "r-1", {"status": status, "normalizedSeconds": 600})
            assert farm.told == told
