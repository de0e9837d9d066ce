# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker is killed at every point of the farm's flow: one job there, rendered once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import commands
from bridge.jobs import State
from bridge.sandbox import Sandbox
from bridge.sandbox.renderjuice_canned import CannedRenderer
from bridge.store import Store
from tests.support.farm_runs import FarmRun, tiny_zip
from tests.support.worker_runs import wait_for

WHENS = ("before", "answered", "after")
POINTS = [
    *(
        f"{when}:{step}"
        for step in ("package", "upload", "validate", "validated", "consent", "render", "follow")
        for when in WHENS
        if (when, step) not in {("before", "follow")}
    ),
    "before:create",
    "after:create",
    "before:follow",
    *(f"{when}:{step}" for step in ("place", "frames") for when in WHENS),
    "before:done",
]


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Iterator[FarmRun]:
    renderer = CannedRenderer(padding=4000)
    with Sandbox(tmp_path / "box", services=("rigyd", "renderjuice"), renderer=renderer) as box:
        yield FarmRun(home, box, tmp_path, renderer=renderer)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str, run: FarmRun) -> None:
    job = run.queue()
    assert run.start(crash_at=point).wait(60) == -signal.SIGKILL
    assert not run.read(job).state.terminal
    run.finish(job)
    run.assert_rendered_once(job)
    assert len(run.farm_jobs()) == 1


def test_killed_between_the_creation_and_the_store(run: FarmRun) -> None:
    """The farm has the job, we do not know: its list tells, by the name of our file."""
    job = run.queue()
    assert run.start(crash_at="answered:create").wait(60) == -signal.SIGKILL
    assert len(run.farm_jobs()) == 1 and run.read(job).remote_id == ""
    run.finish(job)
    run.assert_rendered_once(job)
    assert len(run.farm_jobs()) == 1


def test_killed_before_the_last_byte_of_the_creation_asks_a_person(run: FarmRun) -> None:
    job = run.queue()
    assert run.start(crash_at="body_complete:create").wait(60) == -signal.SIGKILL
    run.finish(job)
    doubtful = run.read(job)
    assert doubtful.state is State.IN_DOUBT and doubtful.waiting_reason == "person"
    assert run.farm_jobs() == []
    with Store.open(run.home) as store:
        commands.resolve_in_doubt(store, job.id, send_again=True)
    run.finish(job)
    run.assert_rendered_once(job)


def test_killed_in_the_middle_of_the_upload(run: FarmRun) -> None:
    """A single PUT cannot be continued: a new address, from the first byte, and one job."""
    run.box.set_faults(
        {"rules": [{"method": "PUT", "path": "/storage/uploads/**", "times": 1, "read_rate": 2e6}]}
    )
    path = tiny_zip(run.files / "large.zip", padding=8_000_000)
    job = run.queue(input_path=str(path))
    worker = run.start()
    wait_for(lambda: run.read(job).phase_done > 500_000)
    worker.kill()
    worker.wait(10)
    assert run.farm_jobs() == []
    run.finish(job)
    run.assert_rendered_once(job)


def test_killed_while_it_renders_and_while_frames_come(run: FarmRun) -> None:
    renderer = run.renderer
    renderer.seconds = 0.3
    job = run.queue()
    run.until(job, lambda now: now.phase_unit == "frames" and now.phase_done >= 1)
    renderer.seconds = 0.0
    run.box.set_faults({"rules": [{"path": "/storage/jobs/**", "nth": 2, "delay": 3}]})
    run.until(job, lambda now: now.state is State.DOWNLOADING)
    run.finish(job)
    run.assert_rendered_once(job)


def test_two_workers_are_one(run: FarmRun) -> None:
    job = run.queue()
    codes = {worker.wait(60) for worker in [run.start() for _ in range(3)]}
    assert 0 in codes and codes <= {0, 2}
    run.assert_rendered_once(job)
