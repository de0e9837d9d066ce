# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker is killed at every point of the flow: the job still ends once, paid once.

Real worker processes, real SIGKILL, a real sandbox over a socket (with the canned converter, so
that only the transport is measured). The crash points are in ``bridge.flow``.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import commands
from bridge.blender import find_blender, run_recipe
from bridge.jobs import State
from bridge.sandbox import Sandbox
from bridge.sandbox.canned import CannedConverter
from bridge.store import Store
from tests.support import processes
from tests.support.worker_runs import WorkerRun, large_glb, wait_for

WHENS = ("before", "answered", "after")
POINTS = [
    *(f"{when}:{step}" for step in ("package", "check") for when in WHENS),
    "before:submit",
    "after:submit",
    "before:follow",
    "answered:follow",
    "after:follow",
    *(f"{when}:{step}" for step in ("download", "place", "unpack") for when in WHENS),
    "before:done",
]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "box", converter=CannedConverter()) as running:
        yield running


@pytest.fixture
def run(box: Sandbox, home: Path, tmp_path: Path) -> WorkerRun:
    return WorkerRun(home, box, tmp_path)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str, run: WorkerRun) -> None:
    job = run.queue()
    assert run.start(crash_at=point).wait(60) == -signal.SIGKILL
    assert not run.read(job).state.terminal
    run.finish(job)
    run.assert_done_once(job)


def test_killed_between_the_answer_and_the_store(run: WorkerRun) -> None:
    """The service has the job, we do not know: the list tells."""
    job = run.queue()
    assert run.start(crash_at="answered:submit").wait(60) == -signal.SIGKILL
    assert run.paid == 1
    assert run.read(job).remote_id == ""
    run.finish(job)
    run.assert_done_once(job)


def test_killed_while_the_answer_is_awaited(run: WorkerRun) -> None:
    """A SIGKILL from outside, after the service has accepted and before it has answered."""
    run.box.set_faults(
        {"rules": [{"method": "POST", "path": "/conversions", "delay": 30, "when": "done"}]}
    )
    job = run.queue()
    worker = run.start()
    wait_for(lambda: run.paid == 1)
    assert run.read(job).state is State.SUBMITTING
    worker.kill()
    worker.wait(10)
    run.box.set_faults(None)
    run.finish(job)
    run.assert_done_once(job)


def test_killed_before_the_last_byte_asks_a_person(run: WorkerRun) -> None:
    """The mark is set before the last byte leaves, so this doubt is the safe side of the line."""
    job = run.queue()
    assert run.start(crash_at="body_complete:submit").wait(60) == -signal.SIGKILL
    assert run.read(job).state is State.SUBMITTING
    run.finish(job)
    doubtful = run.read(job)
    assert doubtful.state is State.IN_DOUBT and doubtful.waiting_reason == "person"
    assert doubtful.problem is not None and "send it again" in doubtful.problem.hint
    assert run.paid == 0
    with Store.open(run.home) as store:
        commands.resolve_in_doubt(store, job.id, send_again=True)
    run.finish(job)
    run.assert_done_once(job)


def test_killed_in_the_middle_of_the_upload(run: WorkerRun) -> None:
    """Half the bytes are nothing: they are sent again, and only the second time counts."""
    slow = {"method": "POST", "path": "/conversions", "times": 1, "read_rate": 2_000_000}
    run.box.set_faults({"rules": [slow]})
    job = run.queue(input_path=str(large_glb(run.files / "large.glb", 8 * 1024 * 1024)))
    worker = run.start()
    wait_for(lambda: run.read(job).phase_done > 1_000_000)
    worker.kill()
    worker.wait(10)
    assert run.paid == 0
    run.finish(job)
    run.assert_done_once(job)


def test_two_workers_are_one(run: WorkerRun) -> None:
    job = run.queue()
    workers = [run.start() for _ in range(3)]
    # Who comes late is told so (2); who comes at the same moment waits and finds nothing (0).
    codes = {worker.wait(60) for worker in workers}
    assert 0 in codes and codes <= {0, 2}
    run.assert_done_once(job)


def test_cancel_says_that_the_conversion_goes_on(run: WorkerRun) -> None:
    stuck = {"method": "POST", "path": "/conversions", "job": {"stuck": "running"}}
    run.box.set_faults({"rules": [stuck]})
    job = run.queue()
    worker = run.start()
    wait_for(lambda: run.read(job).state is State.REMOTE)
    with Store.open(run.home) as store:
        commands.cancel(store, job.id)
    assert worker.wait(30) == 0
    ended = run.read(job)
    assert ended.state is State.CANCELED
    assert "goes on at Rigyd and is charged" in " ".join(ended.notes)


@pytest.mark.blender
def test_killed_while_a_blender_packages(run: WorkerRun) -> None:
    """The headless Blender goes with its worker; the next worker packages again."""
    made = run_recipe(
        "demo_scene",
        {"output": str(run.files / "Szene 🪑.blend")},
        workdir=run.files / "made",
        program=find_blender(),
    )
    asset = made["assets"][0]
    job = run.queue(
        input_kind="blend", input_path=made["path"], origin={"select": asset["objects"]}
    )
    package = str(run.home / "jobs" / job.id / "package")
    worker = run.start()
    wait_for(lambda: bool(list(processes.of_session(containing=package))))
    assert run.read(job).state is State.PACKAGING
    worker.kill()
    worker.wait(10)
    wait_for(lambda: not list(processes.of_session(containing=package)), 10)
    run.finish(job, seconds=120)
    run.assert_done_once(job)
    assert run.paid == 1
