# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker is killed at every point of Glossi's flows: what may happen once happens once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bridge import commands
from bridge.jobs import State
from bridge.sandbox import Sandbox
from bridge.sandbox.glossi_canned import CannedStudio
from bridge.store import Store
from tests.support.shoot_runs import ShootRun

WHENS = ("before", "answered", "after")
COMMON = [
    *(
        f"{when}:{step}"
        for step in ("package", "template", "upload.0", "confirm.0", "consent")
        for when in WHENS
    ),
    "before:renders",
    "after:renders",
    *(f"{when}:rendered" for when in WHENS),
    *(f"{when}:{step}" for step in ("place", "stills") for when in WHENS),
    "before:done",
]
JOBS = [*COMMON, *(f"{when}:processed" for when in WHENS)]
STEPS = [
    *(f"{when}:{step}" for step in ("upload.1", "confirm.1", "ready") for when in WHENS),
    "before:projects",
    "after:projects",
]


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Iterator[ShootRun]:
    studio = CannedStudio(padding=4000)
    ways = {"files": "path_url"}
    names = ("rigyd", "renderjuice", "glossi")
    with Sandbox(tmp_path / "box", services=names, studio=studio, glossi_ways=ways) as box:
        yield ShootRun(home, box, tmp_path, studio=studio)


@pytest.mark.parametrize("point", JOBS)
def test_killed_at(point: str, run: ShootRun) -> None:
    job = run.queue()
    assert run.start(crash_at=point).wait(60) == -signal.SIGKILL
    assert not run.read(job).state.terminal
    run.finish(job)
    run.assert_shot_once(job)
    assert run.renders_started() == 3


@pytest.mark.parametrize("point", STEPS)
def test_killed_at_a_step_of_its_own(point: str, run: ShootRun) -> None:
    job = run.queue(options={"workflow": "steps"})
    assert run.start(crash_at=point).wait(60) == -signal.SIGKILL
    assert not run.read(job).state.terminal
    run.finish(job)
    run.assert_shot_once(job)
    assert run.renders_started() == 3


@pytest.mark.parametrize("when", ["answered", "body_complete"])
@pytest.mark.parametrize("step", ["projects", "renders"])
def test_a_lost_answer_is_a_persons_to_decide(run: ShootRun, step: str, when: str) -> None:
    """Glossi documents no list: nothing is sent again, whatever had arrived."""
    job = run.queue(options={"workflow": "steps"})
    assert run.start(crash_at=f"{when}:{step}").wait(60) == -signal.SIGKILL
    calls = [
        entry for entry in run.box.journal()["requests"] if entry["path"].endswith(f"/v1/{step}")
    ]
    doubtful = run.finish(job)
    assert doubtful.state is State.IN_DOUBT and doubtful.waiting_reason == "person"
    again = [
        entry for entry in run.box.journal()["requests"] if entry["path"].endswith(f"/v1/{step}")
    ]
    assert len(again) == len(calls), "not by itself"
    with Store.open(run.home) as store:
        commands.resolve_in_doubt(store, job.id, send_again=True)
    run.finish(job)
    ended = run.read(job)
    assert ended.state is State.DONE, ended.problem


def test_the_ids_that_a_person_found_are_followed(run: ShootRun) -> None:
    job = run.queue()
    assert run.start(crash_at="answered:renders").wait(60) == -signal.SIGKILL
    assert run.finish(job).state is State.IN_DOUBT
    found = list(dict.fromkeys(run.studio.rendered))
    assert len(found) == 3
    with Store.open(run.home) as store:
        commands.resolve_in_doubt(store, job.id, remote_id=", ".join(reversed(found)))
    run.finish(job)
    ended = run.assert_shot_once(job)
    # Entered in any order, each is of the product that Glossi says.
    with requests.Session() as session:
        session.headers["X-API-Key"] = run.box.glossi.api_key
        for row in ended.report["products"]:
            url = f"{run.box.glossi.base_url}/renders/{row['render_job']}"
            assert session.get(url, timeout=60).json()["projectId"] == row["project_id"]


def test_the_id_of_something_else_is_not_believed(run: ShootRun) -> None:
    other = run.finish(run.queue())
    job = run.queue()
    assert run.start(crash_at="answered:renders").wait(60) == -signal.SIGKILL
    assert run.finish(job).state is State.IN_DOUBT
    with Store.open(run.home) as store:
        commands.resolve_in_doubt(
            store, job.id, remote_id=str(other.report["products"][1]["render_job"])
        )
    doubtful = run.finish(job)
    assert doubtful.state is State.IN_DOUBT and doubtful.problem is not None
    assert "does not know the id" in doubtful.problem.sentence


def test_mistyped_ids_of_projects_lose_nothing(run: ShootRun) -> None:
    """There is no call that reads a project: a wrong id shows when it is to be rendered."""
    job = run.queue(options={"workflow": "steps"})
    assert run.start(crash_at="answered:projects").wait(60) == -signal.SIGKILL
    assert run.finish(job).state is State.IN_DOUBT
    with Store.open(run.home) as store:
        commands.resolve_in_doubt(store, job.id, remote_id="no-such-project")
    doubtful = run.finish(job)
    assert doubtful.state is State.IN_DOUBT and doubtful.waiting_reason == "person"
    with Store.open(run.home) as store:
        commands.resolve_in_doubt(store, job.id, send_again=True)
    run.finish(job)
    run.assert_shot_once(job)
