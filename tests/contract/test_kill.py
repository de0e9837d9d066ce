# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker is killed at every point of the flow: the job still ends once, paid once.

Real worker processes, real SIGKILL, a real sandbox over a socket (with the canned converter, so
that only the transport is measured). The crash points are in ``bridge.flow``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge import commands
from bridge.jobs import Job, State
from bridge.sandbox import Sandbox
from bridge.sandbox.canned import CannedConverter, tiny_glb
from bridge.store import Store

ROOT = Path(__file__).resolve().parents[2]
QUICK = {
    "poll_seconds": 0.1,
    "reconcile_seconds": 0.3,
    "idle_seconds": 0.5,
    "retries": 1,
    "retry_cap_seconds": 0.2,
}
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
def environment(box: Sandbox, home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "SCENE_COURIER_HOME": str(home),
        "SCENE_COURIER_SETTINGS": json.dumps(QUICK),
        "RIGYD_BASE_URL": box.rigyd.base_url,
        "RIGYD_API_KEY": box.rigyd.api_key,
    }


def queue(home: Path, tmp_path: Path, box: Sandbox) -> Job:
    glb = tmp_path / "chair.glb"
    glb.write_bytes(tiny_glb())
    with Store.open(home) as store:
        return commands.submit(
            store,
            Job(
                service="rigyd",
                name="Stühle 🪑",
                input_kind="file",
                input_path=str(glb),
                base_url=box.rigyd.base_url,
                approved_credits=1.0,
                options={"format": "all"},
            ),
        )


def start(environment: dict[str, str], crash_at: str = "") -> subprocess.Popen[bytes]:
    more = {"SCENE_COURIER_CRASH_AT": crash_at} if crash_at else {}
    return subprocess.Popen(
        [sys.executable, "-m", "bridge", "worker"], cwd=ROOT, env={**environment, **more}
    )


def run_to_the_end(environment: dict[str, str]) -> None:
    assert start(environment).wait(60) == 0


def read(home: Path, job: Job) -> Job:
    with Store.open(home) as store:
        found = store.job(job.id)
    assert found is not None
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def assert_done_once(home: Path, job: Job, box: Sandbox) -> None:
    ended = read(home, job)
    assert ended.state is State.DONE, ended.problem
    assert {"usd", "mjcf", "texture"} <= {result.kind for result in ended.results}
    for result in ended.results:
        assert Path(result.path).stat().st_size == result.bytes
    assert ended.credits_charged == 1
    assert box.journal()["paid_submits"] == 1


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(
    point: str, home: Path, tmp_path: Path, box: Sandbox, environment: dict[str, str]
) -> None:
    job = queue(home, tmp_path, box)
    assert start(environment, crash_at=point).wait(60) == -signal.SIGKILL
    assert not read(home, job).state.terminal
    run_to_the_end(environment)
    assert_done_once(home, job, box)


def test_killed_between_the_answer_and_the_store(
    home: Path, tmp_path: Path, box: Sandbox, environment: dict[str, str]
) -> None:
    """The service has the job, we do not know: the list tells."""
    job = queue(home, tmp_path, box)
    assert start(environment, crash_at="answered:submit").wait(60) == -signal.SIGKILL
    assert box.journal()["paid_submits"] == 1
    assert read(home, job).remote_id == ""
    run_to_the_end(environment)
    assert_done_once(home, job, box)


def test_killed_while_the_answer_is_awaited(
    home: Path, tmp_path: Path, box: Sandbox, environment: dict[str, str]
) -> None:
    """A SIGKILL from outside, after the service has accepted and before it has answered."""
    box.set_faults(
        {"rules": [{"method": "POST", "path": "/conversions", "delay": 30, "when": "done"}]}
    )
    job = queue(home, tmp_path, box)
    worker = start(environment)
    wait_for(lambda: box.journal()["paid_submits"] == 1)
    assert read(home, job).state is State.SUBMITTING
    worker.kill()
    worker.wait(10)
    box.set_faults(None)
    run_to_the_end(environment)
    assert_done_once(home, job, box)


def test_killed_before_the_last_byte_asks_a_person(
    home: Path, tmp_path: Path, box: Sandbox, environment: dict[str, str]
) -> None:
    """The mark is set before the last byte leaves, so this doubt is the safe side of the line."""
    job = queue(home, tmp_path, box)
    assert start(environment, crash_at="body_complete:submit").wait(60) == -signal.SIGKILL
    assert read(home, job).state is State.SUBMITTING
    run_to_the_end(environment)
    doubtful = read(home, job)
    assert doubtful.state is State.IN_DOUBT and doubtful.waiting_reason == "person"
    assert doubtful.problem is not None and "send it again" in doubtful.problem.hint
    assert box.journal()["paid_submits"] == 0
    with Store.open(home) as store:
        commands.resolve_in_doubt(store, job.id, send_again=True)
    run_to_the_end(environment)
    assert_done_once(home, job, box)


def test_killed_in_the_middle_of_the_upload(
    home: Path, tmp_path: Path, box: Sandbox, environment: dict[str, str]
) -> None:
    """Half the bytes are nothing: they are sent again, and only the second time counts."""
    slow = {"method": "POST", "path": "/conversions", "times": 1, "read_rate": 2_000_000}
    box.set_faults({"rules": [slow]})
    job = queue(home, tmp_path, box)
    # One more chunk of an unknown kind, which readers skip (glTF 2.0, Chunks).
    body, more = tiny_glb(), 8 * 1024 * 1024
    whole = body + more.to_bytes(4, "little") + b"SPAR" + bytes(more)
    glb = Path(job.input_path)
    glb.write_bytes(whole[:8] + len(whole).to_bytes(4, "little") + whole[12:])
    worker = start(environment)
    wait_for(lambda: read(home, job).phase_done > 1_000_000)
    worker.kill()
    worker.wait(10)
    assert box.journal()["paid_submits"] == 0
    run_to_the_end(environment)
    assert_done_once(home, job, box)


def test_two_workers_are_one(
    home: Path, tmp_path: Path, box: Sandbox, environment: dict[str, str]
) -> None:
    job = queue(home, tmp_path, box)
    workers = [start(environment) for _ in range(3)]
    # The others say that one is at work already: wrong usage for a person, harmless for jobs.
    assert sorted(worker.wait(60) for worker in workers) == [0, 2, 2]
    assert_done_once(home, job, box)


def test_cancel_says_that_the_conversion_goes_on(
    home: Path, tmp_path: Path, box: Sandbox, environment: dict[str, str]
) -> None:
    stuck = {"method": "POST", "path": "/conversions", "job": {"stuck": "running"}}
    box.set_faults({"rules": [stuck]})
    job = queue(home, tmp_path, box)
    worker = start(environment)
    wait_for(lambda: read(home, job).state is State.REMOTE)
    with Store.open(home) as store:
        commands.cancel(store, job.id)
    assert worker.wait(30) == 0
    ended = read(home, job)
    assert ended.state is State.CANCELED
    assert "goes on at Rigyd and is charged" in " ".join(ended.notes)
