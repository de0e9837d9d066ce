# SPDX-License-Identifier: GPL-3.0-or-later
"""From a finished render job to the scene: what is known of it, the click, what comes by itself."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from statistics import median
from typing import Any

import bpy
import pytest

from tests.addon import render_support as made
from tests.addon.ui_support import Courier


@pytest.fixture
def facts_module(extension: Any) -> Any:
    return extension.module("addon.imports.render_facts")


@pytest.fixture
def names(extension: Any) -> Any:
    return extension.module("addon.imports.frame_names")


def render_job(extension: Any, paths: list[Path], state: str = "done", **more: Any) -> Any:
    jobs = extension.module("bridge.jobs")
    kinds = more.pop("kinds", {})
    results = [
        jobs.Result(str(path), path.stat().st_size, kinds.get(path.name, "frame")) for path in paths
    ]
    more.setdefault("name", "Shot")
    more.setdefault("account", "sandbox")
    return jobs.Job("renderjuice", state=jobs.State(state), results=results, **more)


# -- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "numbers", "views"),
    [
        (["a_0001.png", "a_0002.png"], [1, 2], ["", ""]),
        (["take 2_0010.exr", "take 2_0011.exr"], [10, 11], ["", ""]),
        (["0001.jpg", "0003.jpg"], [1, 3], ["", ""]),
        (["f9.png", "f10.png", "f11.png"], [9, 10, 11], [""] * 3),
        (["f_-0002.png", "f_0001.png"], [-2, 1], ["", ""]),
        (["shot-0001.png", "shot-0002.png"], [1, 2], ["", ""]),
        (["2026-11-22_0007.png"], [7], [""]),
        (["a_0001_L.png", "a_0001_R.png"], [1, 1], ["left", "right"]),
        (["a_01_cam1.png", "a_01_cam2.png", "a_02_cam1.png", "a_02_cam2.png", "a_03_cam1.png"],
         [1, 2, 3, 1, 2], ["cam1"] * 3 + ["cam2"] * 2),
        (["a_0001_final.png", "a_0002_final.png"], [1, 2], ["", ""]),
        (["poster.png"], [0], [""]),
        (["0001.png", "right/0001.png"], [1, 1], ["left", "right"]),
        (["0001.png", "cam 2/0001.png"], [1, 1], ["", "cam 2"]),
        (["Küche 🍳.0004.tif"], [4], [""]),
    ],
)  # fmt: skip
def test_numbers_and_views(
    names: Any, given: list[str], numbers: list[int], views: list[str]
) -> None:
    folder = os.path.join("out 7", "right", "é")
    found = names.numbered([os.path.join(folder, name) for name in reversed(given)])
    assert [frame["number"] for frame in found] == numbers
    assert [frame["view"] for frame in found] == views


def test_the_frames_that_were_asked_for_decide(names: Any) -> None:
    paths = ["f_0250_take2.png", "f_0250_take3.png"]
    assert [f["number"] for f in names.numbered(paths)] == [2, 3]
    assert [f["number"] for f in names.numbered(paths, range(250, 252))] == [250, 250]


def test_files_that_belong_together(names: Any) -> None:
    frames = names.numbered(["a_0002.png", "a_0001.png", "a_0001.exr", "b_0009.png"])
    found = names.sequences(frames)
    assert [item.numbers for item in found] == [[1, 2], [1], [9]]
    assert found[0].whole and found[0].countable and found[0].first == 1
    frames = names.numbered([f"a_{n:04d}_cam{c}.png" for n in (1, 2, 3) for c in (1, 2)])
    found = names.sequences(frames)
    assert [(item.view, item.suffix, item.numbers) for item in found] == [
        ("cam1", "_cam1", [1, 2, 3]),
        ("cam2", "_cam2", [1, 2, 3]),
    ]
    assert not found[0].countable, "Blender would take the camera's number for the frame's"


# -- facts ---------------------------------------------------------------------------------------


def test_facts_of_a_job(extension: Any, facts_module: Any, tmp_path: Path) -> None:
    paths = made.frames(tmp_path / "frames", [1, 2, 4])
    depth = made.write(tmp_path / "passes" / "Depth" / "Image0001.png", (1, 1, 1))
    video = tmp_path / "shot.mp4"
    video.write_bytes(b"video")
    report = {
        "preflight": {
            "fps": 25.0, "scene": "Set", "camera": "Cam A", "resolution": [1920, 1080],
            "percentage": 50, "frames": {"text": "1-250"}, "output": {"multilayer": True},
        },
        "frames": {"asked": "1-5", "count": 5},
    }  # fmt: skip
    job = render_job(
        extension, [*paths, depth, video], report=report, options={"camera": "Cam B"},
        kinds={depth.name: "pass", video.name: "video"},
    )  # fmt: skip
    facts = facts_module.facts_of(job)
    assert [frame["number"] for frame in facts["frames"]] == [1, 2, 4]
    assert list(facts["passes"]) == ["Depth"] and facts["videos"] == [str(video)]
    assert (facts["start"], facts["end"], facts["missing"]) == (1, 5, "3,5")
    assert (facts["fps"], facts["scene"], facts["camera"]) == (25.0, "Set", "Cam B")
    assert facts["resolution"] == [960, 540] and facts["multilayer"]
    assert facts_module.has_frames(job) and facts_module.is_render(job)
    # The artist's own folders mean nothing.
    job.results_dir = str(tmp_path / "passes")
    assert list(facts_module.facts_of(job)["passes"]) == ["Depth"]
    # Of frames that were sent later, the video begins with those.
    job.report["frames"] = {"asked": "4-5"}
    facts = facts_module.facts_of(job)
    assert (facts["start"], facts["end"], facts["video_start"]) == (1, 5, 4)
    assert facts["missing"] == "5"


def test_facts_of_a_job_that_tells_nothing(
    extension: Any, facts_module: Any, tmp_path: Path
) -> None:
    job = render_job(extension, made.frames(tmp_path, [7, 8]))
    facts = facts_module.facts_of(job)
    assert (facts["start"], facts["end"], facts["fps"]) == (7, 8, 0.0)
    assert facts["missing"] == "" and facts["camera"] is None and facts["resolution"] is None
    still = render_job(
        extension, [made.write(tmp_path / "x" / "poster.png", (1, 0, 0))],
        report={"frames": {"asked": "42"}, "preflight": "nonsense"}, options={"fps": True},
    )  # fmt: skip
    facts = facts_module.facts_of(still)
    assert facts["frames"][0]["number"] == 42 and facts["fps"] == 0.0
    asset = extension.module("bridge.jobs").Job("rigyd", "Chair")
    assert not facts_module.is_render(asset) and not facts_module.has_frames(asset)


# -- the click -----------------------------------------------------------------------------------


def stored(courier: Courier, job: Any) -> Any:
    courier.settle()  # a store that was busy for a moment is written by a thread
    with courier.store() as store:
        return store.job(job.id)


def test_import_from_the_job_list(courier: Courier, tmp_path: Path) -> None:
    scene = made.quick_scene()
    paths = made.frames(tmp_path / "Ö 🎞 frames", range(1, 5))
    with courier.store() as store:
        job = store.insert_job(
            render_job(courier.extension, paths, report={"frames": {"asked": "1-5"}})
        )
    courier.tick()
    assert courier.now.is_importable(courier.now.jobs[job.id])
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.scene_courier.import_job("EXEC_DEFAULT", True, job_id=job.id) == {"FINISHED"}
    assert [image.name for image in bpy.data.images] == ["Shot frames"]
    (strip,) = made.strips_of(scene)
    assert made.span(strip) == (1, 5) and made.compositor(scene) is None
    done = stored(courier, job)
    assert done.imported_at and any("5" in note and "come back" in note for note in done.notes)
    bpy.ops.ed.undo()
    assert not made.strips_of(bpy.context.scene) and not bpy.data.images
    assert bpy.ops.scene_courier.import_job(
        job_id=job.short_id, ways={"compositor", "background"}
    ) == {"FINISHED"}
    scene = bpy.context.scene
    assert made.compositor(scene) is not None and len(scene.camera.data.background_images) == 1
    assert not made.strips_of(scene)
    assert bpy.ops.scene_courier.import_job(job_id=job.id, ways={"strip"}, strips_in="new") == {
        "FINISHED"
    }
    assert not made.strips_of(scene) and "Shot edit" in bpy.data.scenes


def test_what_cannot_be_imported_is_said(courier: Courier, tmp_path: Path) -> None:
    made.quick_scene()
    paths = made.frames(tmp_path / "frames", [1, 2])
    with courier.store() as store:
        running = store.insert_job(render_job(courier.extension, paths, "remote"))
        empty = store.insert_job(render_job(courier.extension, []))
        failed = store.insert_job(render_job(courier.extension, paths, "failed"))
    for job in (running, empty):
        with pytest.raises(RuntimeError, match="no frames to import"):
            bpy.ops.scene_courier.import_job(job_id=job.id)
        assert "no frames" in courier.now.import_problems[job.id].sentence
    # What came back before a job failed is worth having.
    assert bpy.ops.scene_courier.import_job(job_id=failed.id, ways={"strip"}) == {"FINISHED"}
    assert stored(courier, failed).imported_at
    for path in paths:
        path.unlink()
    with pytest.raises(RuntimeError, match="not where they were put"):
        bpy.ops.scene_courier.import_job(job_id=failed.id, ways={"strip"})
    assert courier.now.import_problems[failed.id].category == "disk"


def test_only_the_video_came_back(courier: Courier, tmp_path: Path) -> None:
    if not bpy.app.ffmpeg.supported:
        pytest.skip("this build has no ffmpeg")
    scene = made.quick_scene()
    video = made.movie(tmp_path / "shot.mp4", made.frames(tmp_path / "f", range(1, 4)))
    origin = {"session": courier.now.id, "scene": scene.name}
    with courier.store() as store:
        job = store.insert_job(
            render_job(courier.extension, [video], kinds={"shot.mp4": "video"}, origin=origin)
        )
    courier.tick(3)
    assert not made.strips_of(scene), "a timeline is never touched unasked"
    assert bpy.ops.scene_courier.import_job(job_id=job.id) == {"FINISHED"}
    assert [strip.type for strip in made.strips_of(scene)] == ["MOVIE"]


def test_by_itself_only_an_image_comes_in(courier: Courier, tmp_path: Path) -> None:
    scene = made.quick_scene()
    paths = made.frames(tmp_path / "frames", [1, 2, 3])
    mine = {"session": courier.now.id, "scene": scene.name}
    preferences = courier.part("addon.preferences").get(bpy.context)
    assert preferences.auto_import
    with courier.store() as store:
        other = store.insert_job(
            render_job(courier.extension, paths, origin={"session": "another", "scene": "Scene"})
        )
        courier.tick(3)
        assert not bpy.data.images and not stored(courier, other).imported_at
        preferences.auto_import = False
        try:
            job = store.insert_job(render_job(courier.extension, paths, origin=mine))
            courier.tick(3)
            assert not bpy.data.images
        finally:
            preferences.auto_import = True
    courier.tick(3)
    assert [image.name for image in bpy.data.images] == ["Shot frames"]
    assert stored(courier, job).imported_at
    assert not made.strips_of(scene) and made.compositor(scene) is None
    assert scene.render.use_sequencer and not scene.camera.data.background_images
    courier.tick(5)
    assert len(bpy.data.images) == 1, "once"


# -- thumbnails ----------------------------------------------------------------------------------


def see(courier: Courier) -> None:
    """Look until what the thread found is shown."""
    courier.look()
    courier.settle()
    courier.look()


def test_a_farms_preview_is_shown_and_a_deleted_picture_is_not(
    courier: Courier, tmp_path: Path
) -> None:
    thumbnails = courier.part("addon.imports.thumbnails")
    preview = made.write(tmp_path / "preview.png", (1, 0, 0))
    path = made.frames(tmp_path / "frames", range(1, 4))
    with courier.store() as store:
        going = courier.job("Going", "remote", service="renderjuice")
        going.report = {"preview": str(preview)}
        store.insert_job(going)
        store.insert_job(render_job(courier.extension, path))
    see(courier)
    # (Icons have numbers only in a window.)
    assert {str(preview), str(path[1])} == set(thumbnails._files)
    before = thumbnails._files[str(preview)]
    # The farm's picture is another one now, and somebody deleted the frames.
    os.utime(made.write(tmp_path / "preview.png", (0, 1, 0)), (1.0, 1.0))
    for one in path:
        one.unlink()
    thumbnails._looked_at = -1e9  # ten seconds later
    see(courier)
    assert thumbnails._files[str(preview)] != before
    assert str(path[1]) not in thumbnails._files, "the icon of its state is shown instead"


def test_thumbnails_are_named_in_the_turn_and_bounded(courier: Courier, tmp_path: Path) -> None:
    thumbnails = courier.part("addon.imports.thumbnails")
    exr = made.frames(tmp_path / "exr", [1], ".exr")
    frames = []
    for n in range(thumbnails.KEPT + 20):
        if not n:
            frames.append(made.frames(tmp_path / "ä 🎬 0", range(1, 4)))
            continue
        shutil.copytree(tmp_path / "ä 🎬 0", tmp_path / f"ä 🎬 {n}")
        frames.append([tmp_path / f"ä 🎬 {n}" / path.name for path in frames[0]])
    with courier.store() as store:
        jobs = [
            store.insert_job(render_job(courier.extension, paths, created_at=1000.0 + n))
            for n, paths in enumerate(frames)
        ]
        store.insert_job(render_job(courier.extension, exr, created_at=9e9))
        none = store.insert_job(courier.job("Chair", "done", created_at=9.1e9))
    before = made.everything()
    courier.tick(9)
    assert thumbnails._collection is None, "nobody looks"
    turns = []
    for _turn in range(40):
        courier.look()
        courier.settle()  # whether the files are there is looked up in a thread
        turns.append(len(thumbnails._files))
    assert turns[0] <= thumbnails.EACH_TURN and max(turns) == turns[-1] <= thumbnails.KEPT
    assert str(frames[-1][1]) in thumbnails._files, "the frame in the middle"
    assert not {str(path) for path in frames[0]} & set(thumbnails._files)
    assert thumbnails.icon_id(none.id) == 0
    assert isinstance(thumbnails.icon_id(jobs[-1].id), int)
    for path in (frames[-1][1], exr[0]):
        picture = thumbnails._collection[str(path)]
        width, _height = picture.image_size  # here Blender reads the file
        assert width and max(picture.image_pixels_float[:4]) > 0
    assert made.everything() == before, "no data-block was made for it"
    quiet = []
    for _turn in range(30):
        started = time.perf_counter()
        thumbnails.feed(courier.now.jobs.values(), run=courier.now.chore)
        quiet.append(1e6 * (time.perf_counter() - started))
    print(f"\nthumbnails, {len(courier.now.jobs)} jobs, nothing new: {median(quiet):.0f} µs")
    # A preview that the service offers comes before the frames.
    preview = made.write(tmp_path / "preview.png", (1, 0, 0))
    result = courier.part("bridge.jobs").Result(str(preview), 9, "preview")
    with courier.store() as store:
        store.update_job(jobs[-1].id, results=[*jobs[-1].results, result])
    courier.tick()
    see(courier)
    assert str(preview) in thumbnails._files
    collection = thumbnails._collection
    courier.part("addon.pump").unregister()
    try:
        assert thumbnails._collection is None and len(collection) == 0
        assert thumbnails.icon_id(jobs[-1].id) == 0
    finally:
        courier.part("addon.pump").register()
