# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm on this computer renders for real. Only with the newest Blender: what differs between
Blenders is tested with the recipes.
"""

from __future__ import annotations

import io
import os
import signal
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.problems import ProblemError
from bridge.sandbox import Sandbox
from tests.support import processes

from .conftest import MakeBox
from .juice import Juice, names

NEWEST = (5, 2)
JuiceOf = Callable[[Sandbox], Juice]
SCENE = """
import sys
import bpy
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.device = "CPU"
scene.cycles.samples = 1
scene.cycles.use_denoising = False
scene.render.resolution_x, scene.render.resolution_y = 64, 36
scene.frame_start, scene.frame_end = 1, 4
scene.render.filepath = "//out/shot_"
cube = bpy.data.objects["Cube"]
for frame in (1, 4):
    cube.location.x = frame
    cube.keyframe_insert("location", frame=frame)
image = bpy.data.images.new("checks", 8, 8)
image.filepath_raw, image.file_format = sys.argv[1] + "/tex/checks.png", "PNG"
image.save()
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[1] + "/shot.blend", compress=False)
image.filepath = "//tex/checks.png"
node = cube.active_material.node_tree.nodes.new("ShaderNodeTexImage")
node.image = image
cube.active_material.node_tree.links.new(
    node.outputs["Color"],
    next(n for n in cube.active_material.node_tree.nodes if n.type == "BSDF_PRINCIPLED").inputs[0],
)
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[1] + "/shot.blend", compress=False)
sys.stdout.flush()
import os
os._exit(0)
"""


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


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An archive: an animated cube with a texture beside it."""
    folder = tmp_path_factory.mktemp("scene")
    (folder / "tex").mkdir()
    subprocess.run([sys.executable, "-c", SCENE, str(folder)], check=True, timeout=120)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.write(folder / "shot.blend", "shot.blend")
        archive.write(folder / "tex/checks.png", "tex/checks.png")
    return buffer.getvalue()


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


def test_a_scene_is_validated_and_rendered(
    make_box: MakeBox, juice_of: JuiceOf, scene: bytes
) -> None:
    juice = juice_of(make_box(renderer=None))
    identifier = juice.validated(scene, "shot.zip")
    analysis = juice.job(identifier)["analysis"]
    assert analysis["frameRanges"] == ["1-4"] and analysis["renderEngine"] == "CYCLES"
    assert analysis["sampleCount"] == 1 and analysis["resolution"] == [64, 36]
    assert analysis["missingFiles"] == [] and analysis["images"] >= 1
    assert juice.render(
        identifier, resolutionPercentage=50, sampleCount=2, frameRanges=["1-2", "4"],
        outputSettings={"colorMode": "RGB"},
    ).status_code == 200  # fmt: skip
    seen: list[int] = []
    while (job := juice.job(identifier))["status"] not in ("completed", "failed"):
        for counters in juice.get(f"/jobs/{identifier}/progress").json():
            assert counters["total"] == 3
            seen.append(counters["completed"])
        time.sleep(0.02)
    assert job["status"] == "completed", job.get("failedReason")
    assert seen == sorted(seen) and seen[0] == 0
    assert job["normalizedSeconds"] > 0
    final = job["finalConfig"]
    assert (final["sampleCount"], final["resolutionPercentage"]) == (2, 50)
    assert final["frameRanges"] == ["1-2", "4"]
    offered = juice.downloads(identifier)
    assert names(offered["frameOutputs"]) == ["shot_0001.png", "shot_0002.png", "shot_0004.png"]
    pictures = [juice.fetch(url).content for url in offered["frames"]]
    assert [size_of(picture) for picture in pictures] == [(32, 18)] * 3
    assert len(set(pictures)) == 3, "the cube moves"
    assert juice.fetch(job["previewUrl"]).content.startswith(b"\xff\xd8")
    (video,) = offered["transforms"]["video"].values()
    assert juice.fetch(video).content[4:8] == b"ftyp"
    with zipfile.ZipFile(
        io.BytesIO(juice.fetch(offered["transforms"]["framesZip"]).content)
    ) as archive:
        assert archive.read("shot_0001.png") == pictures[0]


def test_a_crash_and_a_cancel_end_their_job_and_a_restart_goes_on(
    make_box: MakeBox, juice_of: JuiceOf, scene: bytes
) -> None:
    box = make_box(renderer=None)
    juice = juice_of(box)
    made = [juice.validated(scene, "shot.zip") for _ in range(2)]
    heavy: dict[str, Any] = {"sampleCount": 100_000, "resolution": [1920, 1080]}
    # A Blender that crashes in a frame.
    juice.render(made[0], **heavy, frameRanges=["3"])
    _frame_begun(box, made[0])
    for pid in wait_for_blender(box.state_dir):
        os.kill(pid, signal.SIGSEGV)
    job = juice.until(made[0])
    assert job["status"] == "failed"
    assert job["failedReason"]["name"].endswith("It was rendering frame 3.")
    assert job["failedReason"]["type"] == "RENDER_ERROR"
    # A render that is canceled: its Blender goes at once.
    juice.render(made[1], **heavy)
    wait_for_blender(box.state_dir)
    assert juice.post(f"/jobs/{made[1]}/cancel").json()["status"] == "canceled"
    end = time.monotonic() + 30
    while blenders(box.state_dir):
        assert time.monotonic() < end, "Blender goes on"
        time.sleep(0.02)
    # A sandbox that ends in the middle of a render.
    identifier = juice.rendering(scene, "shot.zip", sampleCount=16, resolution=[320, 180])
    first = box.state_dir / "renderjuice/jobs" / identifier / "output/frames/shot_0001.png"
    end = time.monotonic() + 90
    while not first.exists():
        assert time.monotonic() < end, "no frame was rendered"
        time.sleep(0.01)
    box.stop()
    assert not blenders(box.state_dir)
    written = first.stat().st_mtime_ns
    juice = juice_of(make_box(renderer=None))
    job = juice.until(identifier)
    assert job["status"] == "completed", job.get("failedReason")
    assert first.stat().st_mtime_ns == written, "it was rendered again"
    assert len(juice.downloads(identifier)["frames"]) == 4


def _frame_begun(box: Sandbox, identifier: str) -> None:
    end = time.monotonic() + 90
    while True:
        record = box.renderjuice.store.get(identifier)
        assert record is not None and time.monotonic() < end, "no frame was begun"
        if record.private.get("frame") == 3:
            return
        time.sleep(0.02)
