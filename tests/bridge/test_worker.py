# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's loop on bad days: a busy store, a folder that is a file, a clock that jumps.

The worker runs here on a thread of the test, with flows of the test's own; store, locks and files
are real. What becomes of real jobs is in ``tests/contract``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock

from bridge import launch, questions
from bridge import worker as module
from bridge.accounts import environment_print
from bridge.faults import HttpError
from bridge.flow import Flow, Later, Submission
from bridge.jobs import Job, State, StepKind
from bridge.outcomes import Lost
from bridge.paths import ensure_home
from bridge.problems import Category, ProblemError
from bridge.store import Store
from bridge.worker import Worker
from tests.support.worker_runs import wait_for

FAR = 4e9


class Broken(Exception):
    """A fault of the worker's loop."""


def work(home: str) -> None:
    """The worker's main function, on a thread."""
    with contextlib.suppress(Broken):
        module.main(home)


def breaks(_worker: Worker) -> bool:
    raise Broken


class Service:
    """A service whose flow the test writes."""

    label = "Test"

    def __init__(self, flow: Callable[[Flow], None]) -> None:
        self.flow = flow

    def load(self) -> None:
        """There is nothing to load."""


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    ensure_home(home)
    with Store.open(home) as opened:
        yield opened


Run = Callable[..., threading.Thread]


@pytest.fixture
def run(home: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Starts the worker's main function on a thread, with the given flow; waits for its end."""
    threads = []

    def start(flow: Callable[[Flow], None], idle: float = 0.5) -> threading.Thread:
        monkeypatch.setenv("SCENE_COURIER_SETTINGS", f'{{"idle_seconds": {idle}}}')
        monkeypatch.setattr(module, "SERVICES", {"rigyd": Service(flow)})
        thread = threading.Thread(target=work, args=(str(home),), daemon=True)
        threads.append(thread)
        thread.start()
        return thread

    yield start
    launch.stop_worker(home)
    for thread in threads:
        thread.join(15)
        assert not thread.is_alive(), "the worker did not leave"


def queue(store: Store, **changes: Any) -> Job:
    return store.insert_job(Job(**{"service": "rigyd", "name": "Chair", **changes}))


def read(store: Store, job: Job) -> Job:
    found = store.job(job.id)
    assert found is not None
    return found


def finish(flow: Flow) -> None:
    flow.done([])


# -- the store and the disk -----------------------------------------------------------------------


def test_a_busy_store_is_no_fault_of_the_job(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HOLD_SECONDS", 0.1)
    calls: list[int] = []

    def flow(now: Flow) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise sqlite3.OperationalError("database is locked")
        finish(now)

    job = queue(store)
    run(flow)
    wait_for(lambda: read(store, job).state.terminal)
    assert read(store, job).state is State.DONE and len(calls) == 3


def test_a_disk_that_refuses_is_told_as_such(store: Store, run: Run, tmp_path: Path) -> None:
    def flow(_now: Flow) -> None:
        (tmp_path / "not there" / "file").write_text("x")

    job = queue(store)
    run(flow)
    wait_for(lambda: read(store, job).state.terminal)
    problem = read(store, job).problem
    assert problem is not None and problem.category is Category.DISK
    assert "“file” cannot be written" in problem.sentence


def test_a_job_that_cannot_be_begun_is_not_tried_without_a_pause(
    home: Path, store: Store, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    job = queue(store)
    (home / "jobs" / job.id).write_text("a file where the job's folder should be")
    with caplog.at_level(logging.ERROR):
        run(finish)
        time.sleep(2)
    assert 1 <= len(caplog.records) <= 2
    store.forget_job(job.id)


def test_the_lock_is_kept_until_the_last_step_is_over(
    home: Path, store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the loop must not let a second worker in beside a step that still runs."""
    inside, go_on = threading.Event(), threading.Event()

    def flow(now: Flow) -> None:
        inside.set()
        assert go_on.wait(20)
        finish(now)

    job = queue(store)
    thread = run(flow)
    assert inside.wait(10)
    monkeypatch.setattr(Worker, "_start_due_jobs", breaks)
    time.sleep(1)
    assert launch.worker_running(home)
    go_on.set()
    thread.join(10)
    assert read(store, job).state is State.DONE and not launch.worker_running(home)


def test_a_store_that_cannot_be_read_for_a_while_does_not_end_the_worker(
    home: Path, store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback journal (a network drive) lets a writer shut readers out."""
    store._db.execute("PRAGMA journal_mode=DELETE")
    real = Store.data_version
    failed: list[int] = []

    def busy(self: Store) -> int:
        if len(failed) < 2:
            failed.append(1)
            raise sqlite3.OperationalError("database is locked")
        return real(self)

    monkeypatch.setattr(Store, "data_version", busy)
    job = queue(store)
    run(finish)
    wait_for(lambda: read(store, job).state is State.DONE)
    assert len(failed) == 2


# -- coming and going -----------------------------------------------------------------------------


def test_a_job_that_comes_while_the_worker_leaves_is_taken(
    home: Path, store: Store, run: Run
) -> None:
    """Its sender sees the lock and starts no other worker."""
    thread = run(finish, idle=0.3)
    wait_for(lambda: bool(store.setting("worker")))
    with store.together():  # the worker cannot say goodbye while somebody writes
        time.sleep(1.5)
        assert thread.is_alive() and launch.worker_running(home)
        job = queue(store)
    wait_for(lambda: read(store, job).state is State.DONE, 10)


def test_a_worker_hears_that_it_shall_leave_whatever_the_clock_says(
    home: Path, store: Store, run: Run
) -> None:
    thread = run(finish, idle=60)
    wait_for(lambda: bool(store.setting("worker")))
    store.set_setting("worker_leave", {"pid": os.getpid(), "at": time.time() - 86400})
    thread.join(5)
    assert not thread.is_alive()


def test_an_old_wish_to_leave_is_not_the_next_workers(store: Store, run: Run) -> None:
    """Process ids come again."""
    store.set_setting("worker_leave", {"pid": os.getpid(), "at": time.time() + 3600})
    job = queue(store)
    run(finish)
    wait_for(lambda: read(store, job).state is State.DONE)


def test_one_successor_waits_for_an_old_worker_with_a_long_step(home: Path, store: Store) -> None:
    lock = FileLock(home / launch.WORKER_LOCK)
    lock.acquire()
    store.set_setting("worker", {"pid": 1, "version": "0.0.1", "env": {}})
    successors = []
    try:
        for _ in range(3):
            if launch._must_make_room(home):
                successors.append(threading.Thread(target=module.main, args=(str(home),)))
                successors[-1].daemon = True
                successors[-1].start()
            time.sleep(2.5)
        assert len(successors) == 1 and successors[0].is_alive()
    finally:
        lock.release()
    wait_for(lambda: store.setting("worker", {}).get("pid") == os.getpid())
    launch.stop_worker(home)
    successors[0].join(10)
    assert not successors[0].is_alive()


def test_a_clock_that_is_set_back_holds_no_job(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = [3000.0]
    clock = SimpleNamespace(time=lambda: time.time() + ahead[0], monotonic=time.monotonic)
    monkeypatch.setattr(module, "time", clock)
    calls: list[int] = []

    def flow(now: Flow) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise Later(1.0, state=State.REMOTE)
        finish(now)

    job = queue(store)
    run(flow, idle=5)
    wait_for(lambda: read(store, job).due_at > 0)
    ahead[0] = 0.0
    wait_for(lambda: read(store, job).state is State.DONE, 10)


def test_a_new_worker_looks_at_jobs_whose_time_was_set_by_another_clock(
    store: Store, run: Run
) -> None:
    job = queue(store, state=State.REMOTE, due_at=time.time() + 90000)
    person = queue(store, state=State.AWAITING_APPROVAL, waiting_reason="person", due_at=FAR)
    run(finish)
    wait_for(lambda: read(store, job).state is State.DONE)
    assert read(store, person).state is State.AWAITING_APPROVAL


# -- questions ------------------------------------------------------------------------------------


def test_questions_are_answered_while_every_flow_is_busy(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, inside = threading.Event(), threading.Semaphore(0)
    jobs = [queue(store) for _ in range(module.THREADS)]
    monkeypatch.setattr(questions, "_answer", lambda *_args: {"fine": True})

    def flow(now: Flow) -> None:
        inside.release()
        assert go_on.wait(20)
        finish(now)

    run(flow)
    try:
        assert all(inside.acquire(timeout=10) for _ in jobs)
        store.ask("pricing", {"service": "rigyd"})
        wait_for(lambda: not store.pending_requests(), 5)
    finally:
        go_on.set()
    wait_for(lambda: all(read(store, job).state is State.DONE for job in jobs))


def test_a_question_whose_answer_could_not_be_written_is_asked_again(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HOLD_SECONDS", 0.1)
    real = questions.answer
    failed: list[int] = []

    def answer(*args: Any) -> None:
        if not failed:
            failed.append(1)
            raise sqlite3.OperationalError("database is locked")
        real(*args)

    monkeypatch.setattr(questions, "answer", answer)
    store.ask("pricing", {"service": "none such"})
    run(finish, idle=2)
    wait_for(lambda: not store.pending_requests(), 5)


# -- doubt ----------------------------------------------------------------------------------------


def doubtful(fault: ProblemError) -> Callable[[Flow], None]:
    """A flow whose paid request gets lost, and whose service then cannot list its jobs."""

    def send(submission: Submission) -> Any:
        submission.body_complete()
        raise Lost(Category.IN_DOUBT, "No answer.")

    def look(_submission: Submission) -> Any:
        raise fault

    return lambda flow: flow.once("submit", send, look, moves=lambda _answer: {})


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (HttpError(Category.SERVICE, "Not found.", status=404), "person"),
        (ProblemError(Category.DISK, "The disk is full."), "person"),
        (ProblemError(Category.CREDENTIALS, "There is no key."), "credentials"),
    ],
    ids=["no list", "another fault", "no key"],
)
def test_no_fault_ends_a_doubt(store: Store, run: Run, fault: ProblemError, reason: str) -> None:
    """It used to fail the job, which looks as if nothing had been paid."""
    job = queue(store, phase_done=5, phase_total=10, phase_unit="bytes", rate=3)
    run(doubtful(fault))
    wait_for(lambda: read(store, job).waiting_reason == reason)
    after = read(store, job)
    assert after.state is State.IN_DOUBT and after.problem is not None
    assert (after.phase_total, after.rate) == (0, 0), "nothing moves, and nothing says so"
    assert store.step(job.id, "submit").status == "body_complete"  # type: ignore[union-attr]


def test_a_cancel_in_doubt_says_so_whatever_the_state_shows(store: Store, run: Run) -> None:
    job = queue(store, state=State.WAITING, waiting_reason="network", cancel_requested=True)
    store.begin_step(job.id, "submit", StepKind.ONCE)
    store.mark_step(job.id, "submit", "body_complete")
    run(finish)
    wait_for(lambda: read(store, job).state is State.CANCELED)
    assert "may have taken this job" in " ".join(read(store, job).notes)


def test_a_wait_shows_no_old_progress(store: Store, run: Run) -> None:
    def flow(now: Flow) -> None:
        now.progress(5, 10)
        now.progress(10, 10)
        raise HttpError(Category.NETWORK, "The line is gone.", transient=True)

    job = queue(store)
    run(flow)
    wait_for(lambda: read(store, job).state is State.WAITING)
    assert (read(store, job).phase_total, read(store, job).rate) == (0, 0)
    store.forget_job(job.id)


# -- keys -----------------------------------------------------------------------------------------


def test_a_key_with_what_a_paste_brings_along_is_the_same_key(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is sent under the fingerprint of the key as it is used, else it waits for ever."""
    key = "rgyd_test_" + "p" * 43
    monkeypatch.setenv("RIGYD_API_KEY", key)
    clean = environment_print(store)
    monkeypatch.setenv("RIGYD_API_KEY", f' "Bearer {key}" ')
    assert environment_print(store) == clean != {}


def test_no_key_reaches_the_workers_own_log(
    home: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a traceback."""
    monkeypatch.setattr(logging.root, "handlers", [])
    launch.stop_worker(home)
    monkeypatch.setenv("SCENE_COURIER_SETTINGS", '{"idle_seconds": 0}')
    module.main(str(home))
    handler = logging.root.handlers[0]
    key = "rgyd_test_" + "t" * 43
    try:
        raise ValueError(f"https://host/a?X-Amz-Signature=abc with {key}")
    except ValueError:
        record = logging.LogRecord(
            "x", logging.ERROR, "", 1, "m", None, __import__("sys").exc_info()
        )
    text = handler.format(record)
    assert key not in text and "Signature" not in text and "ValueError" in text
