# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe renders what the artist's own Blender would, under the names it would have."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from bridge.blender import run_recipe
from bridge.problems import Category, ProblemError

from .render_support import exr, lab, own_blender, png, tiff_compression


@pytest.fixture
def facts(session_root: Path) -> dict[str, Any]:
    """What the labs found."""
    return lab(session_root)


def test_frames_are_those_of_a_plain_render_pixel_by_pixel(facts: dict[str, Any]) -> None:
    found = facts["pixels_as_plain"]
    assert found["plain"] == [f"shot_{n:04}.png" for n in (1, 2, 3, 4)]
    assert found["names"] == [f"frames/shot_{n:04}.png" for n in (1, 2, 3, 4)]
    assert found["same"] == [True] * 4
    assert found["distinct"] == 4


def test_progress_tells_each_frame_before_and_after(facts: dict[str, Any]) -> None:
    extras = [words[2] for words in facts["pixels_as_plain"]["result"]["told"] if len(words) > 2]
    assert [(e["frame"], bool(e.get("begun")), e["done"]) for e in extras] == [
        (1, True, 0), (1, False, 1), (2, True, 1), (2, False, 2),
        (3, True, 2), (3, False, 3), (4, True, 3), (4, False, 4),
    ]  # fmt: skip
    assert all(extra["total"] == 4 for extra in extras)
    assert all(extra["seconds"] >= 0 for extra in extras if "begun" not in extra)
    assert extras[1]["files"] == ["frames/shot_0001.png"]


def test_what_is_simulated_comes_from_the_frames_before(facts: dict[str, Any]) -> None:
    assert facts["simulation"] == {"same": [True] * 3, "distinct": 3}


def test_file_output_nodes_write_into_folders_of_their_own(facts: dict[str, Any]) -> None:
    found = facts["compositor"]
    named = {f"{Path(name).parts[0]}/{Path(name).name}" for name in found["before"]}
    assert named == {
        *(f"layers/all_000{n}.exr" for n in (1, 2)),
        *(f"passes/{slot}000{n}.png" for slot in ("beauty", "depth") for n in (1, 2)),
        *(f"render/shot_000{n}.png" for n in (1, 2)),
    }
    assert found["names"] == sorted(
        [
            *(f"compositor/All_ passes/all_000{n}.exr" for n in (1, 2)),
            *(f"compositor/Pictures/{s}000{n}.png" for s in ("beauty", "depth") for n in (1, 2)),
            *(f"frames/shot_000{n}.png" for n in (1, 2)),
        ]
    )
    assert found["same"] == [True, True]
    told = {entry["path"]: entry for entry in found["result"]["compositor"]}
    assert set(told) == {name for name in found["names"] if name.startswith("compositor/")}
    assert told["compositor/All_ passes/all_0001.exr"]["node"] == "All: passes"
    assert all(entry["bytes"] > 0 for entry in told.values())
    assert found["analysis"]["compositorOutputs"] == ["Pictures", "All: passes"]


def test_layers_of_a_multilayer_file_are_all_there(
    facts: dict[str, Any], session_root: Path
) -> None:
    folder = session_root / "render lab/compositor/out/compositor/All_ passes"
    layers = {name.split(".")[0] for name in exr(folder / "all_0001.exr")["channels"]}
    assert layers == {"beauty", "depth"}


def test_views_are_files_of_their_own_or_one(facts: dict[str, Any]) -> None:
    for kind in ("INDIVIDUAL", "MULTIVIEW", "STEREO_3D"):
        assert facts["stereo"][kind]["names"] == facts["stereo"][kind]["plain"]
        assert facts["stereo"][kind]["again"] == 0
    told = facts["stereo"]["INDIVIDUAL"]["files"]
    assert [(entry["path"], entry["view"]) for entry in told] == [
        ("frames/shot_0001_L.png", "left"),
        ("frames/shot_0001_R.png", "right"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", {"sampleCount": 1, "outputFormat": "PNG", "renderEngine": "CYCLES"}),
        ("resolution", {"resolution": [40, 20]}),
        ("percentage", {"resolution": [32, 18], "resolutionPercentage": 50}),
        ("samples", {"sampleCount": 7}),
        ("denoise", {"denoisingEnabled": True, "denoiserType": "OPENIMAGEDENOISE"}),
        ("fps", {"fps": 23.976}),
        ("whole_fps", {"fps": 30}),
        ("jpeg", {"outputFormat": "JPEG"}),
        ("exr", {"outputFormat": "OPEN_EXR"}),
        ("multilayer", {"outputFormat": "OPEN_EXR_MULTILAYER"}),
        ("tiff", {"outputFormat": "TIFF"}),
        ("movie", {"outputFormat": "PNG"}),
        ("tiles", {"useTiling": True, "tileSize": 64}),
        ("devices", {"compositorDevice": "CPU", "computeDeviceType": "CPU"}),
        ("workbench", {"renderEngine": "BLENDER_WORKBENCH", "sampleCount": None}),
    ],
)
def test_an_override_is_used_and_told(
    facts: dict[str, Any], name: str, expected: dict[str, Any]
) -> None:
    final = facts["overrides"][name]["final"]
    assert {key: final[key] for key in expected} == expected
    assert final["frameRanges"] == ["1"]
    assert len(facts["overrides"][name]["names"]) == 1


def test_overrides_are_in_the_files(facts: dict[str, Any]) -> None:
    found = facts["overrides"]
    files = {name: Path(entry["file"]) for name, entry in found.items()}
    assert png(files["none"]) == {"size": [32, 18], "depth": 8, "channels": 4}
    assert found["resolution"]["size"] == [40, 20]
    assert found["percentage"]["size"] == [16, 9]
    assert found["samples"]["differs"]
    assert png(files["png16"])["depth"] == 16
    assert png(files["movie"])["channels"] == 3
    assert files["jpeg"].read_bytes()[:3] == b"\xff\xd8\xff"
    assert found["jpeg"]["final"]["outputSettings"] == {
        "colorMode": "BW", "colorDepth": "8", "quality": 31,
    }  # fmt: skip
    assert exr(files["exr"]) == {"compression": 4, "channels": {"B": 2, "G": 2, "R": 2}}
    layered = exr(files["multilayer"])
    assert layered["compression"] == 2
    assert any(name.endswith("Combined.R") for name in layered["channels"])
    assert tiff_compression(files["tiff"]) == 5


def test_what_is_not_here_is_said(facts: dict[str, Any]) -> None:
    found = facts["overrides"]
    assert found["none"]["notes"] == []
    assert "OPTIX" in found["denoise"]["notes"][0]
    assert "PNG frames" in found["movie"]["notes"][0]
    aces = found["aces"]
    has = aces["final"]["colorManagementPreset"] == "aces"
    assert has is (facts["version"] >= [5, 0])
    assert bool(aces["notes"]) is not has


@pytest.mark.parametrize(
    ("name", "category", "word"),
    [
        ("camera", "input", "no camera"),
        ("damaged", "input", "cannot open damaged.blend"),
        ("newer", "blender", "newer.blend was saved with Blender"),
        ("engine", "blender", "LUXCORE"),
        ("format", "input", "outputFormat cannot be PSD"),
        ("depth", "input", "outputSettings.colorDepth cannot be 32"),
        ("resolution", "input", "resolution"),
        ("percentage", "input", "resolutionPercentage cannot be 40000"),
        ("samples", "input", "sampleCount cannot be 1.5"),
        ("fps", "input", "fps cannot be 0"),
        ("preset", "input", "colorManagementPreset cannot be log"),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_words(
    facts: dict[str, Any], name: str, category: str, word: str
) -> None:
    problem = facts["refusals"][name]
    assert problem["category"] == category
    assert word in problem["sentence"]
    assert problem["hint"]


def test_a_variable_that_blender_does_not_know_is_refused(facts: dict[str, Any]) -> None:
    problem = facts["refusals"]["template"]
    if facts["version"] < [4, 5]:  # braces mean nothing there
        assert problem == {}
    else:
        assert problem["category"] == "input"
        assert "output path" in problem["sentence"]


def test_a_failing_frame_names_itself_and_those_before_stay(facts: dict[str, Any]) -> None:
    found = facts["failing_frame"]
    assert found["problem"]["sentence"] == "Frame 3 could not be rendered."
    assert "the third frame breaks" in found["problem"]["technical"]
    assert found["kept"] == ["frames/shot_0001.png", "frames/shot_0002.png"]
    assert not found["left"]


def test_an_engine_that_is_not_here_is_not_replaced(facts: dict[str, Any]) -> None:
    found = facts["failing_frame"]
    assert "FRAGILE" in found["gone"]["sentence"]
    assert found["analysis"]["renderEngine"] == "FRAGILE"
    assert not found["analysis"]["engineSupported"]
    assert [entry["code"] for entry in found["analysis"]["findings"]] == ["unsupported_engine"]


def test_frames_that_are_there_are_kept(facts: dict[str, Any]) -> None:
    found = facts["resume"]
    assert (found["first"]["rendered"], found["first"]["kept"]) == (3, 0)
    assert (found["second"]["rendered"], found["second"]["kept"]) == (1, 2)
    assert found["kept"]
    assert found["names"] == [f"frames/shot_000{n}.png" for n in (1, 2, 3)]
    assert found["size"] > 100
    assert [entry["frame"] for entry in found["second"]["frames"]] == [1, 2, 3]


def test_frames_are_called_as_the_scene_says(facts: dict[str, Any]) -> None:
    assert facts["names"] == {
        "//": ["frames/0007.png"],
        "/tmp/": ["frames/0007.png"],
        "//shot": ["frames/shot0007.png"],
        "//a/b_##_v2": ["frames/b_07_v2.png"],
        "C:\\renders\\shot.": ["frames/shot.0007.png"],
        "//take.png": ["frames/take.png0007.png"],
    }


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds its child in /proc")
def test_a_blender_that_dies_leaves_whole_frames_and_the_next_goes_on(
    facts: dict[str, Any], session_root: Path, tmp_path: Path
) -> None:
    blend = session_root / "render lab/pixels_as_plain/scene.blend"
    params = {"input": str(blend), "output": str(tmp_path / "out"), "frames": [1, 2, 3, 4]}
    # The frame to die in is made long, so that the signal finds it.
    slow = {"sampleCount": 60_000, "resolution": [640, 360]}
    _run({**params, "frames": [1, 2]}, tmp_path)
    with pytest.raises(ProblemError) as raised:
        _run({**params, "config": slow}, tmp_path, lambda extra: _kill_when(extra, 3))
    assert raised.value.problem.category is Category.BLENDER
    frames = sorted(path.name for path in (tmp_path / "out/frames").iterdir())
    assert frames == ["shot_0001.png", "shot_0002.png"]
    result = _run(params, tmp_path)
    assert (result["rendered"], result["kept"]) == (2, 2)
    assert not (tmp_path / "out/.rendering").exists()
    for number in (1, 2, 3, 4):
        assert png(tmp_path / f"out/frames/shot_000{number}.png")["size"] == [32, 18]


def _run(params: dict[str, Any], folder: Path, on_extra: Any = None) -> dict[str, Any]:
    return run_recipe(
        "render_scene", params, workdir=folder, program=own_blender(), on_extra=on_extra
    )


def _kill_when(extra: dict[str, Any], frame: int) -> None:
    if extra["frame"] == frame and extra.get("begun"):
        for pid in _children():
            os.kill(pid, signal.SIGKILL)


def _children() -> list[int]:
    """Processes that this one started and that run the recipe."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[1]) == os.getpid() and b"render_scene" in command:
            found.append(int(entry.name))
    return found
