# SPDX-License-Identifier: GPL-3.0-or-later
"""What people do to jobs from Blender, and how finished results come into the scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from .ui_support import Courier, cube  # noqa: E402

Make = Callable[..., Any]


@pytest.fixture
def make(courier: Courier) -> Make:
    """Put a job into the store and let the pump read it."""

    def put(name: str = "Chair", state: str = "queued", **more: Any) -> Any:
        with courier.store() as store:
            job = store.insert_job(courier.job(name, state, **more))
        courier.tick(3)
        courier.settle()  # a chore that writes would put off the click that follows
        return job

    return put


def now(courier: Courier, job: Any) -> Any:
    courier.settle()
    with courier.store() as store:
        return store.job(job.id)


def test_cancel(courier: Courier, make: Make) -> None:
    job = make()
    assert bpy.ops.scene_courier.cancel_job(job_id=job.id[:8]) == {"FINISHED"}
    assert now(courier, job).cancel_requested
    assert courier.now.jobs[job.id].cancel_requested, "the panel knows at once"


def test_a_job_that_is_gone(courier: Courier, make: Make) -> None:
    make()
    with pytest.raises(RuntimeError, match="is not in the list"):
        bpy.ops.scene_courier.cancel_job(job_id="ffffffffffff")
    with pytest.raises(RuntimeError, match="is not in the list"):
        bpy.ops.scene_courier.cancel_job(job_id="")


def test_retry(courier: Courier, make: Make) -> None:
    problems = courier.part("bridge.problems")
    problem = problems.Problem(problems.Category.NETWORK, "No network.", "Wait.")
    job = make(state="failed", problem=problem)
    assert bpy.ops.scene_courier.retry_job(job_id=job.id) == {"FINISHED"}
    assert now(courier, job).state == "queued" and now(courier, job).problem is None
    done = make("Done", "done")
    with pytest.raises(RuntimeError, match="nothing to retry"):
        bpy.ops.scene_courier.retry_job(job_id=done.id)


def test_approve_only_the_price_that_was_shown(courier: Courier, make: Make) -> None:
    job = make(state="awaiting_approval", account="default", price=3.0, waiting_reason="person")
    with pytest.raises(RuntimeError, match="The price is 3 credits now"):
        bpy.ops.scene_courier.approve_job(job_id=job.id, credits=1.0)
    assert now(courier, job).approved_credits is None
    assert now(courier, job).state == "awaiting_approval"
    assert bpy.ops.scene_courier.approve_job(job_id=job.id, credits=3.0) == {"FINISHED"}
    assert now(courier, job).approved_credits == 3.0


def test_resolve_in_doubt(courier: Courier, make: Make) -> None:
    job = make(state="in_doubt", account="default", waiting_reason="person")
    with pytest.raises(RuntimeError, match="No id was given"):
        bpy.ops.scene_courier.resolve_job(job_id=job.id, decision="found", remote_id="  ")
    bpy.ops.scene_courier.resolve_job(job_id=job.id, decision="found", remote_id=" c9k2j4 ")
    assert now(courier, job).remote_id == "c9k2j4" and now(courier, job).state == "remote"
    other = make("Lamp", "in_doubt", account="default", waiting_reason="person")
    bpy.ops.scene_courier.resolve_job(job_id=other.id, decision="again")
    assert now(courier, other).state == "queued" and now(courier, other).remote_id == ""


def test_forget(courier: Courier, make: Make) -> None:
    job = make(state="canceled")
    folder = courier.home / "jobs" / job.id
    folder.mkdir(parents=True)
    (folder / "scene.blend").write_bytes(b"x")
    running = make("Running", "uploading")
    with pytest.raises(RuntimeError, match="has not ended yet"):
        bpy.ops.scene_courier.forget_job(job_id=running.id)
    assert bpy.ops.scene_courier.forget_job(job_id=job.id) == {"FINISHED"}
    assert courier.rows() == [running.id] and not folder.exists()


def test_reveal_says_when_a_folder_is_gone(courier: Courier, make: Make, tmp_path: Path) -> None:
    job = make(state="failed")
    with pytest.raises(RuntimeError, match="is not there"):
        bpy.ops.scene_courier.reveal_job(job_id=job.id, what="job")
    jobs, place = courier.part("bridge.jobs"), courier.part("addon.operators_jobs").job_place
    mjcf = tmp_path / "mjcf"
    mjcf.mkdir()
    job.results_dir = str(tmp_path)
    job.results = [jobs.Result(str(mjcf / "chair.xml"), 1, "mjcf")]
    assert place(courier.home, job, "mjcf") == mjcf
    assert place(courier.home, job, "results") == tmp_path
    assert place(courier.home, job, "job") == courier.home / "jobs" / job.id


def test_the_online_preferences_need_a_window(courier: Courier) -> None:
    with pytest.raises(RuntimeError):
        bpy.ops.scene_courier.open_online_preferences()


# -- import --------------------------------------------------------------------------------------


@pytest.fixture
def finished(courier: Courier, make: Make, tmp_path: Path) -> Make:
    """A finished job with a USD file, sent from the open scene."""

    def put(name: str = "Asset", **origin: Any) -> Any:
        jobs = courier.part("bridge.jobs")
        source = cube("Source", (5.0, 0.0, 1.0))
        results = tmp_path / f"results {name}"
        (results / "usd").mkdir(parents=True)
        path = results / "usd" / "asset.usdc"
        assert bpy.ops.wm.usd_export(filepath=str(path), selected_objects_only=True) == {"FINISHED"}
        told = {
            "session": courier.now.id,
            "blend": bpy.data.filepath,
            "scene": bpy.context.scene.name,
            "objects": [source.name],
            "placement": {"mode": "source", "location": [5.0, 0.0, 0.0]},
            "source_after": "hide",
            **origin,
        }
        return make(
            name,
            "done",
            origin=told,
            results_dir=str(results),
            results=[jobs.Result(str(path), path.stat().st_size, "usd")],
        )

    return put


@pytest.fixture
def by_hand(courier: Courier) -> Any:
    """Switch the automatic import off."""
    preferences = bpy.context.preferences.addons[courier.extension.name].preferences
    preferences.auto_import = False
    yield
    preferences.auto_import = True


def test_import_brings_a_collection_and_marks_the_job(
    courier: Courier, finished: Make, by_hand: None
) -> None:
    job = finished()
    assert now(courier, job).imported_at is None
    before = set(bpy.data.objects)
    assert bpy.ops.scene_courier.import_job(job_id=job.id) == {"FINISHED"}
    after = now(courier, job)
    assert after.imported_at is not None
    assert len(set(bpy.data.objects) - before) > 0
    assert len(bpy.data.collections) > 0
    assert bpy.data.objects["Source"].hide_render, "as was asked when it was sent"
    # A second time by hand makes a second one, and the first stays.
    count = len(bpy.data.collections)
    assert bpy.ops.scene_courier.import_job(job_id=job.id, source_after="keep") == {"FINISHED"}
    assert len(bpy.data.collections) > count


def test_import_at_the_cursor(courier: Courier, finished: Make, by_hand: None) -> None:
    job = finished()
    bpy.context.scene.cursor.location = (-7.0, 2.0, 4.0)
    before = set(bpy.data.objects)
    bpy.ops.scene_courier.import_job(job_id=job.id, placement="cursor")
    graph = bpy.context.evaluated_depsgraph_get()
    meshes = [item for item in set(bpy.data.objects) - before if item.type == "MESH"]
    corners = [
        item.evaluated_get(graph).matrix_world @ vertex.co
        for item in meshes
        if item.data.polygons and not item.rigid_body
        for vertex in item.data.vertices
    ]
    assert min(c.z for c in corners) == pytest.approx(4.0, abs=1e-4)
    assert (min(c.x for c in corners) + max(c.x for c in corners)) / 2 == pytest.approx(-7.0)


def test_a_blender_without_usd_takes_the_mesh_that_was_sent(courier: Courier, make: Make) -> None:
    result, fallback = courier.part("bridge.jobs").Result, courier.part("addon.operators_import")
    job = make("Chair", "done", results=[result("/r/mjcf/meshes/hull_00.obj", 1, "mesh")])
    assert fallback._mesh(courier.home, job) is None, "a collider is not the asset"
    package = courier.home / "jobs" / job.id / "package"
    package.mkdir(parents=True)
    (package / "chair.glb").touch()
    assert fallback._mesh(courier.home, job) == str(package / "chair.glb")
    job.results.append(result("/r/chair.glb", 1, "mesh"))
    assert fallback._mesh(courier.home, job) == "/r/chair.glb"


def test_what_stands_in_the_way_of_an_import_is_said(
    courier: Courier, make: Make, finished: Make, by_hand: None
) -> None:
    running = make("Running", "remote")
    with pytest.raises(RuntimeError, match="has no USD result"):
        bpy.ops.scene_courier.import_job(job_id=running.id)
    job = finished()
    Path(job.results[0].path).unlink()
    with pytest.raises(RuntimeError, match="not where it was put"):
        bpy.ops.scene_courier.import_job(job_id=job.id)
    assert "not where it was put" in courier.now.import_problems[job.id].sentence
    assert now(courier, job).imported_at is None
    item = cube("Edited")
    bpy.context.view_layer.objects.active = item
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        with pytest.raises(RuntimeError, match="Change to Object Mode"):
            bpy.ops.scene_courier.import_job(job_id=job.id)
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")


def test_a_finished_job_of_this_session_comes_in_by_itself_once(
    courier: Courier, finished: Make
) -> None:
    preferences = bpy.context.preferences.addons[courier.extension.name].preferences
    preferences.auto_import = False
    job = finished()
    other = cube("At work")
    bpy.data.objects["Source"].select_set(False)
    preferences.auto_import = True
    courier.tick(2)
    imported_at = now(courier, job).imported_at
    assert imported_at is not None
    assert bpy.context.view_layer.objects.active == other, "the artist's selection stays"
    assert list(bpy.context.view_layer.objects.selected) == [other]
    count = len(bpy.data.objects)
    courier.now.stale()
    courier.tick(5)
    assert now(courier, job).imported_at == imported_at and len(bpy.data.objects) == count


@pytest.mark.parametrize("foreign", [{"session": "another"}, {"scene": "Another scene"}])
def test_other_sessions_and_scenes_are_left_alone(
    courier: Courier, finished: Make, foreign: dict[str, str]
) -> None:
    job = finished(**foreign)
    courier.tick(5)
    assert now(courier, job).imported_at is None
    assert bpy.ops.scene_courier.import_job(job_id=job.id) == {"FINISHED"}, "the button works"


def test_an_automatic_import_waits_for_object_mode(courier: Courier, finished: Make) -> None:
    item = cube("Edited")
    preferences = bpy.context.preferences.addons[courier.extension.name].preferences
    preferences.auto_import = False
    job = finished()
    bpy.context.view_layer.objects.active = item
    bpy.ops.object.mode_set(mode="EDIT")
    preferences.auto_import = True
    courier.tick(5)
    assert now(courier, job).imported_at is None
    bpy.ops.object.mode_set(mode="OBJECT")
    courier.tick(2)
    assert now(courier, job).imported_at is not None


def test_a_failed_automatic_import_is_said_once_in_the_panel(
    courier: Courier, finished: Make, by_hand: None
) -> None:
    job = finished()
    Path(job.results[0].path).unlink()
    preferences = bpy.context.preferences.addons[courier.extension.name].preferences
    preferences.auto_import = True
    courier.tick(5)
    assert "not where it was put" in courier.now.import_problems[job.id].sentence
    assert now(courier, job).imported_at is None
    assert courier.now.import_tried == {job.id}


def test_a_new_file_ends_the_session(courier: Courier, finished: Make, by_hand: None) -> None:
    job = finished()
    preferences = bpy.context.preferences.addons[courier.extension.name].preferences
    bpy.ops.wm.read_homefile(use_empty=True)
    preferences = bpy.context.preferences.addons[courier.extension.name].preferences
    preferences.auto_import = True
    courier.now.stale()
    courier.tick(5)
    assert now(courier, job).imported_at is None


def test_only_what_was_sent_is_hidden(courier: Courier, finished: Make, by_hand: None) -> None:
    """The artist went on working: the source has another name, another object has its name."""
    identity = courier.part("addon.versions").identity
    job = finished(objects=["Chair", "Gone"], identities=[identity(cube("Chair")), 2**30])
    sent = bpy.data.objects["Chair"]
    sent.name = "Chair, high"
    other, gone = cube("Chair"), cube("Gone")
    assert (other.name, gone.name) == ("Chair", "Gone")
    bpy.ops.scene_courier.import_job(job_id=job.id)
    assert sent.hide_render and sent.hide_get()
    assert not other.hide_render and not gone.hide_render
    assert any("Not hidden" in note and "Gone" in note for note in now(courier, job).notes)


def test_results_come_in_one_at_a_time(courier: Courier, finished: Make, by_hand: None) -> None:
    """Each in a turn and an undo step of its own, never within another click's."""
    jobs = [finished(f"Asset {number}") for number in range(3)]
    preferences = bpy.context.preferences.addons[courier.extension.name].preferences

    def imported() -> int:
        return sum(now(courier, job).imported_at is not None for job in jobs)

    preferences.auto_import = True
    bpy.ops.scene_courier.import_job(job_id=jobs[0].id)
    assert imported() == 1, "a click brings in what was clicked"
    bpy.ops.scene_courier.refresh()
    assert imported() == 1
    courier.tick()
    assert imported() == 2
    courier.tick()
    assert imported() == 3
