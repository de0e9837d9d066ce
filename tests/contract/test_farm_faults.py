# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a render when the farm misbehaves: the right state, the right words, paid once.

Real workers against a sandbox with a fault plan, over real sockets; the renderer is a canned one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge import commands, followups
from bridge.jobs import Job, State
from bridge.problems import Category
from bridge.sandbox import Sandbox
from bridge.sandbox.renderjuice_canned import CannedRenderer
from bridge.store import Store
from bridge.words import cost_line
from tests.support.farm_runs import FarmRun, tiny_zip
from tests.support.worker_runs import wait_for

UPLOADS = {"method": "POST", "path": "/uploads"}
CREATE = {"method": "POST", "path": "/jobs"}
VALIDATE = {"method": "POST", "path": "/jobs/*/validate"}
RENDER = {"method": "POST", "path": "/jobs/*/render"}
JOB = {"method": "GET", "path": "/jobs/*"}
PROGRESS = {"method": "GET", "path": "/jobs/*/progress"}
OFFERED = {"method": "GET", "path": "/jobs/*/downloads"}
PUT = {"method": "PUT", "path": "/storage/uploads/**"}
FRAME = {"method": "GET", "path": "/storage/jobs/**"}


@pytest.fixture
def renderer() -> CannedRenderer:
    return CannedRenderer(padding=40_000, nodes=("Depth",))


@pytest.fixture
def run(home: Path, tmp_path: Path, renderer: CannedRenderer) -> Iterator[FarmRun]:
    with Sandbox(tmp_path / "box", services=("rigyd", "renderjuice"), renderer=renderer) as box:
        yield FarmRun(home, box, tmp_path, renderer=renderer)


def faults(run: FarmRun, *rules: dict[str, Any], **plan: Any) -> None:
    run.box.set_faults({"rules": list(rules), **plan})


def name(rule: dict[str, Any]) -> str:
    parts = (f"{key}={value}" for key, value in rule.items() if key not in ("headers", "error"))
    return "-".join(parts)[:80]


@pytest.mark.parametrize(
    "rule",
    [
        {**UPLOADS, "times": 2, "status": 500, "error": "oops"},
        {**UPLOADS, "times": 1, "garbage": True},
        {**PUT, "times": 1, "status": 503, "error": "SlowDown"},
        {**PUT, "times": 1, "cut_upload": 20_000},
        {**CREATE, "times": 1, "status": 429, "error": "Busy", "headers": {"Retry-After": "1"}},
        {**CREATE, "times": 1, "lose_answer": True},
        {**CREATE, "times": 1, "when": "done", "status": 504, "html": True},
        {**CREATE, "times": 1, "when": "done", "garbage": True},
        {**VALIDATE, "times": 1, "lose_answer": True},
        {**VALIDATE, "times": 1, "status": 502, "html": True},
        {**VALIDATE, "times": 1, "when": "done", "status": 500, "error": "oops"},
        {**RENDER, "times": 1, "lose_answer": True},
        {**RENDER, "times": 1, "when": "done", "status": 502, "html": True},
        {**RENDER, "times": 2, "status": 503, "html": True, "headers": {"Retry-After": "1"}},
        {**JOB, "times": 3, "status": 502, "error": "bad gateway"},
        {**JOB, "times": 2, "status": 429, "error": "Slow", "headers": {"Retry-After": "1"}},
        {**JOB, "times": 3, "garbage": True},
        {**JOB, "times": 2, "html": True, "status": 503},
        {**JOB, "times": 2, "cut": 20},
        {**PROGRESS, "status": 500, "error": "no counters"},
        {**PROGRESS, "garbage": True},
        {**OFFERED, "times": 2, "status": 503, "error": "later"},
        {**FRAME, "times": 1, "cut": 9_000},
        {**FRAME, "times": 2, "status": 403, "error": "expired"},
        {**FRAME, "times": 1, "status": 500, "error": "oops"},
    ],
    ids=name,
)
def test_the_frames_come_all_the_same_and_are_rendered_once(
    run: FarmRun, rule: dict[str, Any]
) -> None:
    path = tiny_zip(run.files / "scene.zip", padding=60_000)
    faults(run, rule)
    job = run.queue(input_path=str(path))
    run.finish(job)
    run.assert_rendered_once(job)
    assert len(run.farm_jobs()) == 1


@pytest.mark.parametrize(
    "ways",
    [
        {"validate": "data", "cancel": "data", "progress": "object"},
        {"validate": "empty", "progress": "data", "video": "output", "zip_outputs": "array"},
        {"validate": "nothing", "progress": "words", "video": "string", "zip_outputs": "map"},
        {"progress": "text", "video": "array", "zip_outputs": "string", "order": "oldest"},
        {"video": "null", "zip_outputs": "null", "signed_headers": "content-type"},
        {"video": "absent", "zip_outputs": "absent", "put_status": 204},
        {"omit": ["updatedAt", "workspaceId", "normalizedSeconds", "previewUrl", "output"]},
        {"omit": ["frameOutputs", "compositeNodeOutputs", "transforms", "analysis"]},
        {"omit": ["relativePath", "legacy", "view", "finalConfig", "requestedConfig"]},
    ],
    ids=lambda ways: "-".join(f"{key}={value}" for key, value in ways.items())[:80],
)
def test_whatever_way_the_undocumented_goes(run: FarmRun, ways: dict[str, Any]) -> None:
    faults(run, ways=ways)
    job = run.queue()
    run.finish(job)
    ended = run.assert_rendered_once(job)
    assert any(result.kind == "pass" for result in ended.results)


def test_an_upload_address_that_ran_out_is_renewed_once_and_said(run: FarmRun) -> None:
    faults(run, {**PUT, "times": 1, "status": 403, "expired": True})
    job = run.queue()
    run.finish(job)
    ended = run.assert_rendered_once(job)
    assert any("sent again" in note for note in ended.notes)


def failed(run: FarmRun, job: Job, category: Category) -> Job:
    ended = run.finish(job)
    assert ended.state is State.FAILED and ended.problem is not None, (ended.state, ended.notes)
    assert ended.problem.category is category, ended.problem
    return ended


def test_an_address_that_is_always_over_fails_with_its_reason(run: FarmRun) -> None:
    faults(run, ways={"upload_seconds": 0})
    ended = failed(run, run.queue(), Category.SERVICE)
    assert ended.problem is not None and "expired" in ended.problem.sentence
    assert run.farm_jobs() == []


def test_what_the_validation_fails_is_told_in_its_words(run: FarmRun) -> None:
    faults(run, {**CREATE, "times": 1, "job": {"fail": "No camera", "at": "validating"}})
    job = run.queue()
    ended = failed(run, job, Category.REMOTE)
    assert ended.problem is not None and "No camera" in ended.problem.sentence
    assert run.started() == []
    with Store.open(run.home) as store:
        commands.retry(store, job.id)
    waiting = run.finish(job)
    assert waiting.state is State.AWAITING_APPROVAL, "a second attempt needs a second yes"
    with Store.open(run.home) as store:
        commands.approve(store, job.id)
    run.finish(job)
    run.assert_rendered_once(job)


def test_a_render_that_fails_brings_the_frames_that_were_ready(
    run: FarmRun, renderer: CannedRenderer
) -> None:
    faults(run, {**CREATE, "times": 1, "job": {"fail": "Out of memory", "frame": 3}})
    ended = failed(run, run.queue(), Category.REMOTE)
    assert ended.problem is not None and "Out of memory" in ended.problem.sentence
    frames = [result for result in ended.results if result.kind == "frame"]
    assert len(frames) in (0, 2), "as many as the farm offers of a failed job"
    if frames:
        assert ended.report["frames"]["missing"] == "3"


def test_a_frame_that_never_comes_whole_is_fetched_by_a_retry(run: FarmRun) -> None:
    """It is rendered and paid for: a retry asks for it again, and nothing is rendered twice."""
    faults(run, {**FRAME, "nth": list(range(4, 60)), "truncate": 30})
    job = run.queue()
    ended = failed(run, job, Category.SERVICE)
    assert ended.problem is not None and "not whole" in ended.problem.sentence
    assert "nothing is rendered again" in ended.problem.hint
    faults(run)
    with Store.open(run.home) as store:
        commands.retry(store, job.id)
    run.finish(job)
    run.assert_rendered_once(job)


def test_nothing_is_rendered_without_a_yes(run: FarmRun) -> None:
    job = run.queue(approved_credits=None)
    waiting = run.finish(job)
    assert waiting.state is State.AWAITING_APPROVAL and run.started() == []
    assert waiting.report["analysis"]["facts"], "the findings are shown before the paid step"
    assert "GPU minutes" in cost_line(waiting) or cost_line(waiting) == ""
    with Store.open(run.home) as store:
        commands.approve(store, job.id)
    run.finish(job)
    run.assert_rendered_once(job)


@pytest.mark.parametrize("at", ["validating", "booting", "rendering"])
@pytest.mark.parametrize("status", ["debugging", "suspended", "hibernating"])
def test_a_status_that_nobody_explains_is_waited_through(
    run: FarmRun, status: str, at: str
) -> None:
    faults(run, {**CREATE, "job": {"visit": status, "at": at, "seconds": 0.5}})
    job = run.queue()
    seen: set[str] = set()

    def look() -> bool:
        now = run.read(job)
        seen.add(now.state_text)
        return now.state.terminal

    worker = run.start()
    wait_for(look, 60)
    assert worker.wait(30) == 0
    run.assert_rendered_once(job)
    words = {"debugging": "Needs attention", "suspended": "Suspended"}.get(status, status)
    assert any(words in text for text in seen)


def test_only_some_frames_and_the_missing_ones_afterwards(
    run: FarmRun, renderer: CannedRenderer
) -> None:
    """The farm forgets one frame: the job says which, and a second job brings just that one."""
    renderer.frames = (1, 9)
    faults(run, {**CREATE, "times": 1, "job": {"lose": [4]}})
    job = run.queue(options={"frames": "1-6"})
    ended = run.finish(job)
    assert ended.state is State.DONE and ended.report["frames"]["missing"] == "4"
    assert any("1 of 6 frames are missing: 4" in note for note in ended.notes)
    with Store.open(run.home) as store:
        new = followups.again(store, job.id, frames=ended.report["frames"]["missing"])
        commands_approve(store, new)
    done = run.finish(new)
    assert done.state is State.DONE, done.problem
    assert done.report["frames"]["folder"] == ended.report["frames"]["folder"]
    names = [Path(result.path).name for result in done.results if result.kind == "frame"]
    assert len(names) == 6 and any("0004" in name for name in names)
    assert renderer.rendered[done.remote_id] == [4]


def commands_approve(store: Store, job: Job) -> None:
    """A yes before it is asked for."""
    store.update_job(job.id, approved_credits=float("inf"))


def test_test_frames_are_first_middle_and_last(run: FarmRun, renderer: CannedRenderer) -> None:
    renderer.frames = (1, 9)
    job = run.queue(options={"test_frames": True, "frames": "1-9"})
    ended = run.finish(job)
    assert ended.state is State.DONE and ended.report["frames"]["asked"] == "1,5,9"
    assert renderer.rendered[ended.remote_id] == [1, 5, 9]


def test_other_frames_than_asked_are_said(run: FarmRun) -> None:
    faults(run, ways={"final": {"frameRanges": ["1-2"], "sampleCount": 999}})
    ended = run.finish(run.queue(options={"frames": "1-3", "samples": 4}))
    said = " ".join(ended.notes)
    assert "999" in said and "1-2" in said


def test_cancel_at_the_farm(run: FarmRun, renderer: CannedRenderer) -> None:
    renderer.seconds = 0.5
    renderer.frames = (1, 200)
    job = run.queue()
    worker = run.start()
    wait_for(lambda: run.read(job).phase_unit == "frames")
    with Store.open(run.home) as store:
        commands.cancel(store, job.id)
    assert worker.wait(60) == 0
    ended = run.read(job)
    assert ended.state is State.CANCELED and ended.remote["status"] == "canceled"
    assert run.farm_jobs()[0]["status"] == "canceled"
    assert not any("goes on" in note for note in ended.notes)
    # A retry is another job there, and its cancel is told like the first one.
    with Store.open(run.home) as store:
        commands.retry(store, job.id)
        store.update_job(job.id, approved_credits=math.inf)
    worker = run.start()
    wait_for(lambda: run.read(job).phase_unit == "frames")
    with Store.open(run.home) as store:
        commands.cancel(store, job.id)
    assert worker.wait(60) == 0
    assert run.read(job).state is State.CANCELED
    assert [there["status"] for there in run.farm_jobs()] == ["canceled", "canceled"]


@pytest.mark.parametrize("timing", ["later", "never"])
def test_a_cancel_that_comes_late(run: FarmRun, renderer: CannedRenderer, timing: str) -> None:
    """ "A job may still become completed": then it says so, and a retry fetches the frames."""
    renderer.seconds = 0.2
    renderer.frames = (1, 4)
    faults(run, ways={"cancel_timing": timing, "cancel_seconds": 0.5})
    job = run.queue()
    worker = run.start()
    wait_for(lambda: run.read(job).phase_unit == "frames")
    with Store.open(run.home) as store:
        commands.cancel(store, job.id)
    assert worker.wait(60) == 0
    ended = run.read(job)
    assert ended.state is State.CANCELED
    if timing == "never":
        assert any("Retry" in note for note in ended.notes)
        assert "://" in ended.remote["previewUrl"], "this farm tells a preview"
        assert "?" not in ended.remote["previewUrl"], "whoever has its query may fetch it"
        with Store.open(run.home) as store:
            commands.retry(store, job.id)
        run.finish(job)
        run.assert_rendered_once(job, frames=4)


def test_a_cancel_while_the_farm_cannot_be_reached_is_tried_again(
    run: FarmRun, renderer: CannedRenderer
) -> None:
    renderer.seconds = 0.5
    renderer.frames = (1, 100)
    job = run.queue()
    worker = run.start()
    wait_for(lambda: run.read(job).phase_unit == "frames")
    faults(run, {"path": "/jobs/*", "times": 6, "status": 502, "html": True})
    with Store.open(run.home) as store:
        commands.cancel(store, job.id)
    assert worker.wait(90) == 0
    assert run.read(job).state is State.CANCELED
    assert run.farm_jobs()[0]["status"] == "canceled"


def test_the_spending_cap_stops_the_render(run: FarmRun, renderer: CannedRenderer) -> None:
    renderer.seconds = 0.3
    renderer.frames = (1, 100)
    faults(run, {**CREATE, "job": {"seconds_per_frame": 60}})
    job = run.queue(options={"spending_cap": 2})
    ended = failed(run, job, Category.LIMIT)
    assert ended.problem is not None and "GPU minutes" in ended.problem.sentence
    assert run.farm_jobs()[0]["status"] == "canceled"
    assert "offers none" in ended.problem.hint, "this farm gives no frames of a stopped job"
    assert ended.report["gpu_minutes"] >= 2
    done = len(renderer.rendered[ended.remote_id])
    assert 0 < done < 100
    # The cap holds for a new attempt as well, and while the farm cannot be told for a moment.
    refused = {"method": "POST", "path": "/jobs/*/cancel", "times": 6, "status": 502}
    faults(run, {**CREATE, "job": {"seconds_per_frame": 60}}, refused)
    with Store.open(run.home) as store:
        commands.retry(store, job.id)
        store.update_job(job.id, approved_credits=math.inf)
    again = failed(run, job, Category.LIMIT)
    assert again.remote_id != ended.remote_id
    assert [there["status"] for there in run.farm_jobs()] == ["canceled", "canceled"]


def test_an_adopted_job_brings_its_frames(run: FarmRun, renderer: CannedRenderer) -> None:
    first = run.finish(run.queue())
    with Store.open(run.home) as store:
        commands.forget(store, first.id)
        job = followups.adopt(store, "renderjuice", "default", first.remote_id, "From the web")
        store.update_job(job.id, base_url=run.box.services["renderjuice"].base_url)
    ended = run.finish(job)
    assert ended.state is State.DONE, ended.problem
    assert len([result for result in ended.results if result.kind == "frame"]) == 3


def test_outputs_that_the_farm_has_deleted(run: FarmRun) -> None:
    first = run.finish(run.queue())
    faults(run, {**JOB, "patch": {"output": {"isDeletedForClient": True}}})
    with Store.open(run.home) as store:
        commands.forget(store, first.id)
        job = followups.adopt(store, "renderjuice", "default", first.remote_id, "")
        store.update_job(job.id, base_url=run.box.services["renderjuice"].base_url)
    ended = failed(run, job, Category.SERVICE)
    assert ended.problem is not None and "deleted" in ended.problem.sentence


def test_a_wrong_key_waits_for_the_right_one(run: FarmRun) -> None:
    run.key = "RJ-" + "w" * 40
    job = run.queue()
    waiting = run.finish(job)
    assert waiting.state is State.WAITING and waiting.waiting_reason == "credentials"
    run.key = ""
    with Store.open(run.home) as store:
        commands.retry(store, job.id)
    run.finish(job)
    run.assert_rendered_once(job)
