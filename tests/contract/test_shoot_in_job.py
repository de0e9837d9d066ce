# SPDX-License-Identifier: GPL-3.0-or-later
"""A Glossi job that renders by itself, and one whose upload's address ended: nothing is done twice.

Real workers against the sandbox; the studio is a canned one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge import commands
from bridge.jobs import State
from bridge.sandbox import Sandbox
from bridge.sandbox.glossi_canned import CannedStudio
from bridge.store import Store
from tests.support.shoot_runs import ShootRun

INSIDE = {"render_in_job": True}


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Iterator[ShootRun]:
    studio = CannedStudio(padding=4_000)
    ways = {"files": "path_url"}
    names = ("rigyd", "renderjuice", "glossi")
    with Sandbox(tmp_path / "box", services=names, studio=studio, glossi_ways=ways) as box:
        yield ShootRun(home, box, tmp_path, studio=studio)


def calls(run: ShootRun, path: str) -> list[dict[str, Any]]:
    return [
        entry
        for entry in run.box.journal()["requests"]
        if entry["method"] == "POST" and entry["path"].endswith(path)
    ]


@pytest.mark.parametrize(
    ("way", "stills"), [("results", [2, 2, 2]), ("top", [6, 0, 0]), ("hidden", [0, 0, 0])]
)
def test_it_is_not_rendered_a_second_time(run: ShootRun, way: str, stills: list[int]) -> None:
    run.box.set_faults({"glossi_ways": {"job_renders": way}})
    job = run.queue(options=INSIDE)
    run.finish(job)
    ended = run.assert_shot_once(job, stills=sum(stills))
    assert calls(run, "/renders") == [] and run.renders_started() == 3
    assert [row["stills"] for row in ended.report["products"]] == stills
    assert {row["status"] for row in ended.report["products"]} == {"rendered"}
    assert ended.report["counters"]["rendersComplete"] == 3
    told = any("does not name the files" in note for note in ended.notes)
    assert told is (way == "hidden")


def test_a_person_agrees_before_the_job_is_made(run: ShootRun) -> None:
    job = run.queue(options=INSIDE, approved_credits=None)
    asked = run.until(job, lambda one: one.state is State.AWAITING_APPROVAL)
    assert "3 products to render" in asked.state_text and calls(run, "/jobs") == []
    with Store.open(run.home) as store:
        commands.approve(store, job.id)
    ended = run.finish(job)
    assert ended.state is State.DONE and len(calls(run, "/jobs")) == 1


def test_the_step_by_step_workflow_knows_no_such_thing(run: ShootRun) -> None:
    job = run.queue(options=INSIDE | {"workflow": "steps"})
    run.finish(job)
    run.assert_shot_once(job)
    assert len(calls(run, "/renders")) == 1


@pytest.mark.parametrize("times", [1, 5])
def test_one_product_whose_address_ended(run: ShootRun, times: int) -> None:
    expired = {"service": "glossi", "method": "PUT", "path": "/storage/**", "status": 403}
    run.box.set_faults({"rules": [{**expired, "times": times, "expired": True}]})
    job = run.queue(files=run.products()[:1])
    ended = run.finish(job)
    if times == 1:
        run.assert_shot_once(job, stills=2)
        assert any("a new job was made" in note for note in ended.notes)
        assert len(calls(run, "/jobs")) == 2
    else:
        assert ended.state is State.FAILED and ended.problem is not None
        assert "expired" in ended.problem.sentence and len(calls(run, "/jobs")) == 3
