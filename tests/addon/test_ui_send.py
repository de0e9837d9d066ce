# SPDX-License-Identifier: GPL-3.0-or-later
"""Send: a click becomes a complete job folder and a durable row, or a sentence and nothing else."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from .ui_support import Courier, cube  # noqa: E402


def send(**more: object) -> None:
    assert bpy.ops.scene_courier.send(**more) == {"FINISHED"}


def all_jobs(courier: Courier) -> list:
    with courier.store() as store:
        return store.jobs()


def folders(courier: Courier) -> list[Path]:
    place = courier.home / "jobs"
    return sorted(place.iterdir()) if place.exists() else []


def refused(courier: Courier, message: str) -> None:
    """The click fails with this sentence, the panel keeps it, and nothing is left behind."""
    with pytest.raises(RuntimeError, match=message):
        bpy.ops.scene_courier.send(account="sandbox")
    assert message in courier.now.click_problem.sentence
    assert courier.now.click_problem.hint
    assert folders(courier) == []
    if (courier.home / "courier.sqlite").exists():
        assert all_jobs(courier) == []


def test_one_click_makes_one_complete_job(courier: Courier) -> None:
    first, second = cube("Armchair", (2, 1, 3)), cube("Cushion 🪑", (2, 1, 5))
    bpy.context.view_layer.objects.active = first
    settings = bpy.context.scene.scene_courier
    settings.rigyd.format = "usd"
    settings.rigyd.reduce = True
    settings.rigyd.target_triangle_count = 7000
    settings.source_after = "keep"
    send(account="sandbox")

    (job,) = all_jobs(courier)
    assert (job.service, job.account, job.source, job.state) == (
        "rigyd",
        "sandbox",
        "blender",
        "queued",
    )
    assert job.name == "Armchair and 1 more"
    assert job.options == {
        "format": "usd",
        "draco": False,
        "animation": False,
        "target_triangle_count": 7000,
    }
    assert job.approved_credits is None and job.group_id == ""
    folder = courier.home / "jobs" / job.id
    assert job.input_kind == "capture" and job.input_path == str(folder / "capture.json")
    assert job.results_dir == str(folder / "results"), "an unsaved scene has no folder of its own"
    assert job.origin["session"] == courier.now.id
    assert job.origin["scene"] == bpy.context.scene.name
    assert set(job.origin["objects"]) == {first.name, second.name}
    identity = courier.part("addon.versions").identity
    told = dict(zip(job.origin["objects"], job.origin["identities"], strict=True))
    assert told == {item.name: identity(item) for item in (first, second)}
    assert job.origin["source_after"] == "keep"
    assert job.origin["placement"]["mode"] == "source"
    assert job.origin["placement"]["location"] == pytest.approx([2, 1, 2])

    assert (folder / "scene.blend").is_file()
    captured = json.loads((folder / "capture.json").read_text("utf-8"))
    assert {item["name"] for item in captured["selection"]} == {first.name, second.name}
    assert captured["job"]["id"] == job.id and captured["job"]["options"] == job.options
    assert courier.rows() == [job.id] and courier.now.active_id == job.id, "shown at once"


def test_results_go_beside_a_saved_file(courier: Courier, tmp_path: Path) -> None:
    cube("Ofen/Herd")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "Küche.blend"))
    send(account="sandbox")
    (job,) = all_jobs(courier)
    assert Path(job.results_dir) == tmp_path / "courier" / f"Ofen_Herd-{job.id[:8]}"
    assert not (tmp_path / "courier").exists(), "made when there is something to put there"
    assert job.origin["blend"] == str(tmp_path / "Küche.blend")


def test_a_folder_that_cannot_be_written_is_not_used(courier: Courier, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("in the way")
    cube()
    bpy.context.scene.scene_courier.results_folder = str(tmp_path / "a file" / "below")
    send(account="sandbox")
    (job,) = all_jobs(courier)
    assert Path(job.results_dir) == courier.home / "jobs" / job.id / "results"


def test_a_chosen_folder_is_used_for_unsaved_files_too(courier: Courier, tmp_path: Path) -> None:
    cube()
    bpy.context.scene.scene_courier.results_folder = str(tmp_path / "assets")
    send(account="sandbox")
    (job,) = all_jobs(courier)
    assert Path(job.results_dir).parent == tmp_path / "assets"


def test_one_job_per_object(courier: Courier) -> None:
    items = [cube("One"), cube("Two", (9, 0, 1)), cube("Three", (0, 9, 1))]
    bpy.ops.object.light_add()
    light = bpy.context.object
    for item in items:
        item.select_set(True)
    bpy.context.scene.scene_courier.per_object = True
    send(account="default", agreed_credits=1.0)
    jobs = {job.name: job for job in all_jobs(courier)}
    assert set(jobs) == {"One", "Two", "Three"}, f"{light.name} has no surface"
    assert len({job.group_id for job in jobs.values()}) == 1 and jobs["One"].group_id
    for name, job in jobs.items():
        assert job.approved_credits == 1.0 and job.origin["objects"] == [name]
        folder = courier.home / "jobs" / job.id
        captured = json.loads((folder / "capture.json").read_text("utf-8"))
        assert [item["name"] for item in captured["selection"]] == [name]
        assert captured["job"]["id"] == job.id
        assert (folder / "scene.blend").stat().st_size > 1000
    assert jobs["Two"].origin["placement"]["location"] == pytest.approx([9, 0, 0])
    # Forgetting one must not take the scene from the others.
    with courier.store() as store:
        store.update_job(jobs["One"].id, state=courier.part("bridge.jobs").State.CANCELED)
    bpy.ops.scene_courier.forget_job(job_id=jobs["One"].id)
    assert (courier.home / "jobs" / jobs["Two"].id / "scene.blend").stat().st_size > 1000


def test_many_jobs_look_at_the_scene_once(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        cube(f"Part {number}").modifiers.new("Cache", "MESH_CACHE").filepath = "//part.pc2"
    bpy.context.scene.scene_courier.per_object = True
    caches, calls = courier.part("addon.capture.caches"), []
    real = caches.find
    monkeypatch.setattr(caches, "find", lambda: calls.append(1) or real())
    send(account="sandbox")
    assert len(calls) == 1, "the whole scene, for each of thousands of jobs"
    held = [
        json.loads((courier.home / "jobs" / job.id / "capture.json").read_text("utf-8"))
        for job in all_jobs(courier)
    ]
    assert len(held) == 4 and {len(one["caches"]) for one in held} == {4}
    assert len({one["selection"][0]["name"] for one in held}) == 4
    assert {tuple(sorted(one)) for one in held} == {tuple(sorted(held[0]))}


def test_a_disk_that_fills_between_two_jobs(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    cube("One"), cube("Two")
    bpy.context.scene.scene_courier.per_object = True

    def full(*_paths: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(courier.part("addon.sending").shutil, "copyfile", full)
    refused(courier, "The disk became full")


def test_a_damaged_job_list_is_said_at_the_click(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_store: object, _job: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    cube()
    monkeypatch.setattr(courier.part("bridge.commands"), "submit", damaged)
    refused(courier, "The job list cannot be read")


def test_the_agreed_price_is_the_one_that_was_shown(courier: Courier) -> None:
    cube()
    send(account="default")
    send(account="default", agreed_credits=2.0)
    newer, older = sorted(all_jobs(courier), key=lambda job: -job.created_at)
    assert older.approved_credits is None, "nothing was shown, so nothing was agreed to"
    assert newer.approved_credits == 2.0
    assert newer.account == older.account == "default"


def test_unsaved_scenes_get_a_note(courier: Courier) -> None:
    cube()
    send(account="sandbox")
    assert any("not saved" in note for note in all_jobs(courier)[0].notes)


def test_nothing_selected(courier: Courier) -> None:
    cube().select_set(False)
    with pytest.raises(RuntimeError, match="Select the objects that should be sent"):
        bpy.ops.scene_courier.send()
    assert folders(courier) == []


def test_no_mesh_selected(courier: Courier) -> None:
    bpy.ops.object.camera_add()
    refused(courier, "The selection has no mesh")


def test_no_faces(courier: Courier) -> None:
    mesh = bpy.data.meshes.new("Dots")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0)], [(0, 1)], [])
    item = bpy.data.objects.new("Dots", mesh)
    bpy.context.collection.objects.link(item)
    item.select_set(True)
    refused(courier, "The selected objects have no faces")


@pytest.fixture
def locked(courier: Courier) -> Iterator[sqlite3.Connection]:
    """Another process that is writing, until it rolls back."""
    courier.look()
    courier.settle()
    other = sqlite3.connect(
        courier.home / "courier.sqlite", isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")
    yield other
    if other.in_transaction:
        other.execute("ROLLBACK")
    other.close()


def test_blender_does_not_wait_for_another_writer(
    courier: Courier, locked: sqlite3.Connection
) -> None:
    cube()
    start = time.monotonic()
    send(account="sandbox")
    assert time.monotonic() - start < 2, "the other one would have held us for 5 s"
    assert locked.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
    locked.execute("ROLLBACK")
    courier.settle()
    (job,) = all_jobs(courier)
    assert (courier.home / "jobs" / job.id / "capture.json").is_file()
    courier.tick()
    assert courier.rows() == [job.id] and courier.now.click_problem is None


def test_a_click_that_could_not_be_made_up_for_is_said(
    courier: Courier, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier.part("addon.session"), "LATER_MS", 50)
    cube()
    send(account="sandbox")
    courier.settle()
    assert "stayed busy" in courier.now.click_problem.sentence and courier.now.click_problem.hint
    assert folders(courier) == [], "nothing is left behind"
    locked.execute("ROLLBACK")
    send(account="sandbox")
    assert courier.now.click_problem is None and len(all_jobs(courier)) == 1


def test_all_of_several_jobs_or_none(courier: Courier, monkeypatch: pytest.MonkeyPatch) -> None:
    cube("One"), cube("Two")
    bpy.context.scene.scene_courier.per_object = True
    commands, problems = courier.part("bridge.commands"), courier.part("bridge.problems")
    real, calls = commands.submit, []

    def second_fails(store: object, job: object) -> object:
        calls.append(job)
        if len(calls) == 2:
            raise problems.ProblemError(problems.Category.DISK, "The disk is full.", "Free some.")
        return real(store, job)

    monkeypatch.setattr(commands, "submit", second_fails)
    refused(courier, "The disk is full")
    assert len(calls) == 2


def test_a_data_folder_that_cannot_be_made(
    courier: Courier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain").write_text("a file")
    monkeypatch.setenv("SCENE_COURIER_HOME", str(tmp_path / "plain" / "home"))
    courier.part("addon.session").end()
    cube()
    courier.look()
    assert "data folder" in courier.now.problem.sentence
    with pytest.raises(RuntimeError, match="data folder of Scene Courier cannot be used"):
        bpy.ops.scene_courier.send(account="sandbox")
    assert "SCENE_COURIER_HOME" in courier.now.click_problem.hint
    # It comes back by itself once the folder can be used.
    (tmp_path / "plain").unlink()
    assert bpy.ops.scene_courier.refresh() == {"FINISHED"}
    assert courier.now.problem is None
    send(account="sandbox")


def test_how_long_send_takes_is_printed(courier: Courier) -> None:
    cube()
    courier.look()
    courier.settle()
    bare, whole = [], []
    for number in range(6):
        target = courier.home / f"bare{number}.blend"
        start = time.perf_counter()
        bpy.ops.wm.save_as_mainfile(filepath=str(target), copy=True, compress=False)
        bare.append(1000 * (time.perf_counter() - start))
        start = time.perf_counter()
        send(account="sandbox")
        whole.append(1000 * (time.perf_counter() - start))
    print(f"\nSend {min(whole):.1f} ms (first {whole[0]:.1f}), bare save {min(bare):.1f} ms")
