# SPDX-License-Identifier: GPL-3.0-or-later
"""Glossi's sandbox with the real studio: models that Blender opens, projects that it renders."""

from __future__ import annotations

import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.problems import ProblemError
from bridge.sandbox import Sandbox
from bridge.sandbox.glossi_studio import BlenderStudio

from ..support import processes
from .conftest import MakeBox
from .gloss import Gloss
from .models import chair_glb

NEWEST = (5, 2)
GlossOf = Callable[[Sandbox], Gloss]
QUICK = {"scale": 8, "samples": 1, "frames": 3}


def _newest() -> bool:
    from bridge.blender import probe

    try:
        return probe(sys.executable).version[:2] >= NEWEST
    except ProblemError:
        return False


pytestmark = [
    pytest.mark.blender,
    pytest.mark.skipif(not _newest(), reason="with the newest Blender only"),
]


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n") and png.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", png[16:24])
    return int(width), int(height)


def blenders(folder: Path) -> list[int]:
    """The Blenders that work in a sandbox's folder."""
    found = processes.of_session(containing=str(folder)).items()
    return [pid for pid, line in found if "run.py" in line]


def wait_for_blender(folder: Path) -> list[int]:
    end = time.monotonic() + 90
    while not (found := blenders(folder)):
        assert time.monotonic() < end, "no Blender was started"
        time.sleep(0.02)
    return found


def test_products_are_opened_and_photographed(make_box: MakeBox, gloss_of: GlossOf) -> None:
    gloss = gloss_of(make_box(studio=BlenderStudio(more=QUICK)))
    chair = chair_glb()
    files: dict[str, bytes | None] = {"chair.glb": chair, "torn.glb": chair[: len(chair) // 2]}
    done = gloss.until(gloss.started(files))
    assert done["status"] == "COMPLETE", done
    assert [row["model"]["name"] for row in done["results"]] == ["chair.glb"]
    (row,) = done["results"]
    record = gloss.box.glossi.store.get("model", row["model"]["id"])
    assert record is not None and record.doc["facts"]["triangles"] == 72
    assert record.doc["facts"]["size_m"] == pytest.approx([0.45, 0.45, 0.92], abs=0.02)
    assert record.doc["thumbnail"] is True
    bad = next(m for m in gloss.box.glossi.store.in_state("model", "FAILED"))
    assert bad.doc["name"] == "torn.glb" and bad.doc["failure"]

    job = gloss.rendered(
        gloss.rendering(row["project"]["id"], renderShots=True, imageQuality=0, videoResolution=0)
    )
    assert job["status"] == "COMPLETED", job
    kinds = [(file["fileType"], file["isVideo"]) for file in job["renders"]]
    assert kinds == [("PNG", False)] * 3 + [("MP4", True)]
    names = [file["name"] for file in job["renders"]]
    assert names[0] == "Front View - Default" and len(set(names)) == 4
    content = [gloss.file(file["filePath"]).content for file in job["renders"]]
    assert [size_of(picture) for picture in content[:3]] == [(160, 90)] * 3
    assert len(set(content[:3])) == 3, "three angles"
    assert content[3][4:8] == b"ftyp"


def test_a_crash_fails_its_render_only_and_a_restart_goes_on(
    make_box: MakeBox, gloss_of: GlossOf
) -> None:
    long = BlenderStudio(more={"samples": 100_000})
    box = make_box(studio=long)
    gloss = gloss_of(box)
    project = gloss.project(gloss.ready(chair_glb()))
    # A Blender that crashes while it renders.
    crashed = gloss.rendering(project)
    for pid in wait_for_blender(box.state_dir):
        os.kill(pid, signal.SIGSEGV)
    job = gloss.rendered(crashed)
    assert job["status"] == "FAILED"
    assert job["errorMessage"].startswith("Blender stopped before it had finished.")
    # A sandbox that ends in the middle of a render: the same job goes on with the next one.
    going = gloss.rendering(project, imageQuality=0)
    wait_for_blender(box.state_dir)
    box.stop()
    assert not blenders(box.state_dir)
    gloss = gloss_of(make_box(studio=BlenderStudio(more=QUICK)))
    assert gloss.rendered(going)["status"] == "COMPLETED"
