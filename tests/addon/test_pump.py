# SPDX-License-Identifier: GPL-3.0-or-later
"""The pump: the list in Blender is the store's, and a tick is short and never fails."""

from __future__ import annotations

import sqlite3
import time
from statistics import median

import pytest

bpy = pytest.importorskip("bpy")

from .ui_support import Courier, cube  # noqa: E402


def test_the_list_mirrors_the_store_newest_first(courier: Courier) -> None:
    with courier.store() as store:
        jobs = [store.insert_job(courier.job(f"Job {n}", created_at=1000.0 + n)) for n in range(3)]
        courier.tick()
        assert courier.rows() == [job.id for job in reversed(jobs)]
        courier.now.active_id = jobs[0].id
        newer = store.insert_job(courier.job("Newer", created_at=2000.0))
        courier.tick()
        assert courier.rows() == [newer.id, *(job.id for job in reversed(jobs))]
        group = bpy.context.window_manager.scene_courier
        assert group.jobs[group.job_index].job_id == jobs[0].id, "the picked job stays picked"
        store.update_job(jobs[1].id, state_text="Weighing")
        store.forget_job(jobs[2].id)
        courier.tick()
        assert courier.rows() == [newer.id, jobs[1].id, jobs[0].id]
        assert courier.now.jobs[jobs[1].id].state_text == "Weighing"


def test_no_data_folder_is_made_before_somebody_looks(courier: Courier) -> None:
    courier.tick(3)
    assert list(courier.home.iterdir()) == []
    courier.look()
    assert (courier.home / "courier.sqlite").is_file()
    assert courier.now.problem is None


def test_many_changes_are_taken_over_in_bounded_turns(courier: Courier) -> None:
    batch = courier.part("addon.session").BATCH
    with courier.store() as store:
        for number in range(200):
            store.insert_job(courier.job(f"Job {number}", created_at=1000.0 + number))
        sizes, times = [], []
        while True:
            before = len(courier.now.jobs)
            start = time.perf_counter()
            courier.tick()
            times.append(1000 * (time.perf_counter() - start))
            sizes.append(len(courier.now.jobs) - before)
            if sizes[-1] == 0:
                break
        assert len(courier.rows()) == 200 and max(sizes) <= batch
        quiet = []
        for _turn in range(50):
            start = time.perf_counter()
            courier.tick()
            quiet.append(1000 * (time.perf_counter() - start))
        one = []
        for job in store.jobs()[:20]:
            store.update_job(job.id, phase_done=1.0)
            start = time.perf_counter()
            courier.tick()
            one.append(1000 * (time.perf_counter() - start))
    print(
        f"\npump, 200 jobs: first look {times[0]:.2f} ms, all taken over in {len(times)} turns of "
        f"at most {max(times[1:]):.2f} ms, "
        f"one change {median(one):.3f} ms, nothing changed {median(quiet):.3f} ms"
    )


def test_a_busy_store_leaves_the_panel_as_it_was(courier: Courier) -> None:
    with courier.store() as store:
        job = store.insert_job(courier.job())
    courier.tick()
    courier.settle()
    # Readers wait only where there is no write-ahead log, as on a network drive.
    courier.now.store._db.execute("PRAGMA journal_mode=DELETE")
    other = sqlite3.connect(courier.home / "courier.sqlite", isolation_level=None)
    try:
        other.execute("BEGIN EXCLUSIVE")
        courier.now.stale()
        courier.tick(2)
        assert courier.rows() == [job.id]
        assert courier.now.problem is None
        other.execute("ROLLBACK")
    finally:
        other.close()
    with courier.store() as store:
        store.update_job(job.id, state_text="after")
    courier.tick()
    assert courier.now.jobs[job.id].state_text == "after"


def test_a_damaged_store_is_said_and_survived(courier: Courier) -> None:
    (courier.home / "courier.sqlite").write_bytes(b"this is no database, whatever its name" * 100)
    courier.look()
    problem = courier.now.problem
    assert problem is not None and "job list cannot be opened" in problem.sentence
    assert str(courier.home) in problem.hint
    (courier.home / "courier.sqlite").unlink()
    assert bpy.ops.scene_courier.refresh() == {"FINISHED"}
    assert courier.now.problem is None


def test_a_turn_that_fails_does_not_end_the_timer(
    courier: Courier, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pump = courier.part("addon.pump")

    def fail(*_arguments: object) -> None:
        raise ValueError("unexpected")

    with monkeypatch.context() as patch:
        patch.setattr(pump, "_turn", fail)
        assert pump.tick() > 0 and pump.tick() > 0
    said = capsys.readouterr().out
    assert said.count("ValueError: unexpected") == 1, "once is enough"
    assert pump.tick() > 0


def test_blenders_switch_reaches_the_store(courier: Courier) -> None:
    courier.look()
    courier.settle()
    with courier.store() as store:
        told = store.setting("online_access")
    assert told["value"] is bpy.app.online_access
    assert told["at"] == pytest.approx(time.time(), abs=60)


def test_questions_are_asked_only_while_somebody_looks(courier: Courier) -> None:
    with courier.store() as store:
        store.insert_job(courier.job())
        courier.tick(3)
        courier.settle()
        assert store.pending_requests() == []
        courier.look()
        courier.settle()
        asked = store.pending_requests()
        assert [(request.kind, request.args["account"]) for request in asked] == [
            ("service_state", "default")
        ]
        courier.tick()
        assert courier.now.answers.pending

        # No price is asked for without a key, nor while Blender may not go online.
        state = {"key_source": "keyring", "base_url": "https://api.rigyd.com/api", "ready": True}
        store.answer(asked[0].id, state)
        courier.tick()
        assert (
            courier.now.answers.key_source("rigyd") == "keyring" and not courier.now.answers.pending
        )
        courier.now.answers.forget_when_asked()
        courier.look()
        courier.settle()
        kinds = {request.kind for request in store.pending_requests()}
        assert kinds <= ({"service_state", "pricing"} if bpy.app.online_access else set())

        # An account on this computer needs no internet.
        request = store.ask("service_state", {"service": "rigyd", "account": "default"}, 0)
        store.answer(request.id, {**state, "base_url": "http://127.0.0.1:5000/rigyd/api"})
        courier.tick()
        courier.now.answers.forget_when_asked()
        courier.look()
        courier.settle()
        pending = [request for request in store.pending_requests() if request.kind == "pricing"]
        assert len(pending) == 1
        store.answer(pending[0].id, {"glb_to_simready": 1, "text_to_simready": 2})
        courier.tick()
        assert courier.now.answers.price("rigyd", "default") == 1
    assert courier.now.answers.price("rigyd", "sandbox") == 0


def test_the_account_is_the_sandbox_until_a_key_is_found(courier: Courier) -> None:
    group = bpy.context.window_manager.scene_courier
    assert group.account == "sandbox"
    courier.look()
    courier.settle()
    with courier.store() as store:
        request = store.pending_requests()[0]
        store.answer(request.id, {"key_source": "environment", "base_url": "", "ready": True})
    courier.tick()
    assert group.account == "default"
    group.account = "sandbox"
    assert group.account == "sandbox" and courier.now.account_choice == "sandbox"
    preferences = bpy.context.preferences.addons[courier.extension.name].preferences
    courier.now.account_choice = ""
    preferences.account = "sandbox"
    try:
        assert group.account == "sandbox"
    finally:
        preferences.account = "auto"


def test_triangles_are_counted_as_the_viewport_shows_them(courier: Courier) -> None:
    first, second = cube("One"), cube("Two")
    second.modifiers.new("Array", "ARRAY").count = 3
    bpy.context.view_layer.update()
    courier.look()
    counted = courier.part("addon.pump").selection()
    assert counted.triangles == 12 + 36 and counted.complete
    assert counted.matches([first, second]) or counted.matches([second, first])
    second.select_set(False)
    courier.look()
    assert courier.part("addon.pump").selection().triangles == 12


def test_the_worker_is_woken_for_work_and_not_for_people(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[float] = []
    monkeypatch.setattr(courier.now, "wake_worker", lambda clock, **_more: woken.append(clock))
    with courier.store() as store:
        store.insert_job(courier.job("Paid", "awaiting_approval", waiting_reason="person"))
        store.insert_job(courier.job("Old", "done"))
        courier.tick(2)
        assert woken == []
        job = store.insert_job(courier.job("New"))
        courier.tick()
        assert len(woken) == 1
        store.update_job(job.id, state=courier.part("bridge.jobs").State.CANCELED)
        courier.tick(2)
        assert len(woken) == 1


def test_starting_the_worker_backs_off_after_failures(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCENE_COURIER_NO_WORKER")
    launch = courier.part("bridge.launch")
    problems = courier.part("bridge.problems")
    tried: list[int] = []

    def refuse(_home: object) -> None:
        tried.append(1)
        raise problems.ProblemError(problems.Category.INTERNAL, "It does not start.", "Look.")

    monkeypatch.setattr(launch, "ensure_worker", refuse)
    clock = 1000.0
    for second in range(100):
        courier.now.wake_worker(clock + second)
        courier.settle()
    # At 0, then after 10, 20 and 40 seconds more.
    assert len(tried) == 4
    assert courier.now.worker.problem.sentence == "It does not start."
    monkeypatch.setattr(launch, "ensure_worker", lambda _home: tried.append(1))
    courier.now.wake_worker(clock + 200, at_once=True)
    courier.settle()
    assert len(tried) == 5 and courier.now.worker.problem is None
    assert courier.now.worker.failures == 0


def test_what_a_chore_found_out_is_drawn(courier: Courier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCENE_COURIER_NO_WORKER")
    courier.now.open_store()
    launch, interface = courier.part("bridge.launch"), courier.part("addon.interface")

    def refuse(_home: object) -> None:
        raise OSError("no such program")

    drawn: list[int] = []
    monkeypatch.setattr(launch, "ensure_worker", refuse)
    monkeypatch.setattr(interface, "redraw", lambda _context: drawn.append(1))
    courier.tick(2)
    drawn.clear()
    courier.now.wake_worker(at_once=True)
    courier.settle()
    courier.tick()
    assert drawn == [1]
    assert "OSError: no such program" in courier.now.worker.problem.technical


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("http://127.0.0.1:5000/rigyd/api", True),
        ("http://localhost:5000/rigyd/api", True),
        ("http://[::1]:5000", True),
        ("https://api.rigyd.com/api", False),
        ("https://localhost.example.com/api", False),
        ("https://127.0.0.1.example.com", False),
        ("https://127.0.0.1@example.com", False),
        ("", False),
    ],
)
def test_only_this_computer_counts_as_nearby(courier: Courier, address: str, here: bool) -> None:
    answers = courier.part("addon.answers").Answers()
    answers.states[("rigyd", "default")] = {"key_source": "keyring", "base_url": address}
    assert answers.nearby("rigyd") is here
