# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of products when Glossi misbehaves: the good ones are kept, nothing is paid twice.

Real workers against a sandbox with a fault plan, over real sockets; the studio is a canned one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge import commands
from bridge.jobs import Job, State
from bridge.problems import Category
from bridge.sandbox import Sandbox
from bridge.sandbox.glossi_canned import CannedStudio
from bridge.store import Store
from tests.support.shoot_runs import ShootRun
from tests.support.worker_runs import wait_for

CREATE = {"service": "glossi", "method": "POST", "path": "/jobs"}
CONFIRM = {"service": "glossi", "method": "POST", "path": "/jobs/*/confirm-uploads"}
JOB = {"service": "glossi", "method": "GET", "path": "/jobs/*"}
MODELS = {"service": "glossi", "method": "POST", "path": "/models"}
CONFIRM_MODEL = {"service": "glossi", "method": "POST", "path": "/models/*/confirm"}
STATUS = {"service": "glossi", "method": "POST", "path": "/models/status"}
TEMPLATES = {"service": "glossi", "method": "GET", "path": "/templates"}
PROJECTS = {"service": "glossi", "method": "POST", "path": "/projects"}
RENDERS = {"service": "glossi", "method": "POST", "path": "/renders"}
RENDER = {"service": "glossi", "method": "GET", "path": "/renders/*"}
RETRY = {"service": "glossi", "method": "POST", "path": "/renders/*/retry"}
PUT = {"service": "glossi", "method": "PUT", "path": "/storage/**"}
FILE = {"service": "glossi", "method": "GET", "path": "/storage/**"}
STEPS = {"workflow": "steps"}


@pytest.fixture
def studio() -> CannedStudio:
    return CannedStudio(padding=40_000)


@pytest.fixture
def run(home: Path, tmp_path: Path, studio: CannedStudio) -> Iterator[ShootRun]:
    ways = {"files": "path_url"}
    names = ("rigyd", "renderjuice", "glossi")
    with Sandbox(tmp_path / "box", services=names, studio=studio, glossi_ways=ways) as box:
        yield ShootRun(home, box, tmp_path, studio=studio)


def faults(run: ShootRun, *rules: dict[str, Any], **plan: Any) -> None:
    run.box.set_faults({"rules": list(rules), **plan})


def name(value: Any) -> str:
    parts = (f"{key}={item}" for key, item in value.items() if key not in ("headers", "service"))
    return "-".join(parts)[:80]


@pytest.mark.parametrize(
    "rule",
    [
        {**TEMPLATES, "times": 2, "status": 502, "html": True},
        {**CREATE, "times": 1, "lose_answer": True},
        {**CREATE, "times": 2, "status": 500, "error": "oops"},
        {**PUT, "times": 1, "status": 503, "error": "SlowDown"},
        {**PUT, "times": 1, "cut_upload": 500},
        {**PUT, "nth": 2, "status": 403, "expired": True},
        {**CONFIRM, "times": 1, "lose_answer": True},
        {**CONFIRM, "times": 1, "status": 502, "html": True},
        {**JOB, "times": 3, "garbage": True},
        {**JOB, "times": 2, "status": 429, "error": "Slow", "headers": {"Retry-After": "1"}},
        {**JOB, "nth": [2], "patch": {"status": "DREAMING", "progress": None}},
        {**JOB, "remove": ["batchProject", "progress"]},
        {**RENDERS, "times": 1, "status": 429, "error": "Busy", "headers": {"Retry-After": "1"}},
        {**RENDER, "times": 3, "status": 503, "error": "later"},
        {**RENDER, "nth": [2], "patch": {"status": "PONDERING"}},
        {**FILE, "times": 1, "cut": 9_000},
        {**FILE, "times": 1, "status": 403, "error": "expired"},
        {**FILE, "times": 1, "status": 500, "error": "oops"},
    ],
    ids=name,
)
def test_the_stills_come_all_the_same(run: ShootRun, rule: dict[str, Any]) -> None:
    faults(run, rule)
    job = run.queue()
    run.finish(job)
    run.assert_shot_once(job)
    assert run.renders_started() == 3


@pytest.mark.parametrize(
    "rule",
    [
        {**MODELS, "times": 1, "lose_answer": True},
        {**PUT, "nth": 2, "status": 403, "expired": True},
        {**CONFIRM_MODEL, "times": 1, "lose_answer": True},
        {**STATUS, "times": 2, "status": 500, "error": "oops"},
        {**STATUS, "nth": [1, 2], "patch": {"status": "WAKING"}},
        {**PROJECTS, "times": 1, "status": 429, "error": "Busy", "headers": {"Retry-After": "1"}},
    ],
    ids=name,
)
def test_step_by_step_too(run: ShootRun, rule: dict[str, Any]) -> None:
    faults(run, rule)
    job = run.queue(options=STEPS)
    run.finish(job)
    run.assert_shot_once(job)
    assert run.renders_started() == 3


@pytest.mark.parametrize(
    "ways",
    [
        {"errors": "message", "success": 201, "confirm_again": 200},
        {"errors": "html", "success": 202, "confirm_again": 400},
        {"files": "url"},
        {"files": "downloadUrl", "order": "reversed"},
        {"files": "signedUrl", "project_seconds": 1, "not_ready": 422},
        {"files": "fileUrl", "project_seconds": 1, "not_ready": 409},
    ],
    ids=name,
)
@pytest.mark.parametrize("workflow", ["jobs", "steps"])
def test_whatever_way_the_undocumented_goes(
    run: ShootRun, ways: dict[str, Any], workflow: str
) -> None:
    faults(run, glossi_ways={"files": "path_url", **ways})
    job = run.queue(options={"workflow": workflow})
    run.finish(job)
    run.assert_shot_once(job)


def test_bare_keys_are_listed_and_the_job_is_done(run: ShootRun) -> None:
    faults(run, glossi_ways={"files": "key"})
    ended = run.finish(run.queue())
    assert ended.state is State.DONE and not [r for r in ended.results if r.kind == "still"]
    said = " ".join(ended.notes)
    assert "Front View" in said and "render_base_url" in said
    assert len(ended.report["unreachable"]) == 6


def test_bare_keys_below_an_address_that_was_given(run: ShootRun) -> None:
    faults(run, glossi_ways={"files": "key"})
    origin = run.box.origin
    job = run.queue(options={"render_base_url": f"{origin}/glossi/files"})
    run.finish(job)
    run.assert_shot_once(job)


def is_call(entry: dict[str, Any], path: str) -> bool:
    return entry["method"] == "POST" and entry["path"].endswith(f"/v1{path}")


def row(job: Job, name: str) -> dict[str, Any]:
    return next(one for one in job.report["products"] if one["name"] == name)


@pytest.mark.parametrize("workflow", ["jobs", "steps"])
def test_one_broken_product_harms_no_other(run: ShootRun, workflow: str) -> None:
    files = run.products()
    broken = run.files / "Kaputt.glb"
    broken.write_bytes(b"no model at all")
    job = run.queue(files=[*files, str(broken)], options={"workflow": workflow})
    run.finish(job)
    ended = run.assert_shot_once(job)
    assert row(ended, "Kaputt")["status"] == "left out" and row(ended, "Kaputt")["problem"]
    assert all(row(ended, Path(file).stem)["stills"] == 2 for file in files)


@pytest.mark.parametrize("workflow", ["jobs", "steps"])
def test_a_model_that_the_service_cannot_use(run: ShootRun, workflow: str) -> None:
    fate = {"job": {"fail": "Too many triangles", "which": [1]}}
    if workflow == "jobs":
        fate = {"job": {"models": fate["job"]}}
        faults(run, {**CREATE, **fate}, glossi_ways={"files": "path_url", "partial": "keep"})
    else:
        # A call for each model: the second one is meant.
        faults(run, {**MODELS, "nth": 2, "job": {"fail": "Too many triangles"}})
    job = run.queue(options={"workflow": workflow})
    run.finish(job)
    ended = run.assert_shot_once(job, stills=4)
    assert [one["status"] for one in ended.report["products"]].count("failed") == 1
    assert run.renders_started() == 2


@pytest.mark.parametrize("partial", ["keep_error", "fail", "fail_results"])
def test_a_job_that_fails_with_one_of_its_models(run: ShootRun, partial: str) -> None:
    faults(
        run,
        {**CREATE, "job": {"models": {"fail": "Too many triangles", "which": [1]}}},
        glossi_ways={"files": "path_url", "partial": partial},
    )
    ended = run.finish(run.queue())
    if partial != "keep_error":  # it failed before there were projects
        assert ended.state is State.FAILED and ended.problem is not None
        assert ended.problem.category is Category.REMOTE
        assert all(one["status"] == "failed" for one in ended.report["products"])
    else:
        assert ended.state is State.DONE
        assert len([r for r in ended.results if r.kind == "still"]) == 4


def test_one_project_for_all_products(run: ShootRun) -> None:
    job = run.queue(options={"workflow": "steps", "per_model": False})
    ended = run.finish(job)
    assert ended.state is State.DONE, ended.problem
    assert run.renders_started() == 1
    assert len({one["project_id"] for one in ended.report["products"]}) == 1
    stills = [Path(r.path) for r in ended.results if r.kind == "still"]
    assert len(stills) == 2 and {path.parent.name for path in stills} == {"Stuhl and 2 more"}


def test_two_products_of_one_name_keep_their_pictures(run: ShootRun) -> None:
    other = run.files / "other"
    other.mkdir()
    twin = other / "Stuhl.glb"
    twin.write_bytes(Path(run.products()[0]).read_bytes())
    job = run.queue(files=[run.products()[0], str(twin)])
    ended = run.assert_shot_once(run.finish(job) and job, stills=4)
    assert [one["stills"] for one in ended.report["products"]] == [2, 2]


def test_a_render_that_fails_is_started_again_by_itself(run: ShootRun) -> None:
    faults(run, {**RENDERS, "job": {"fail": "Out of memory", "times": 1, "which": [0]}})
    job = run.queue()
    ended = run.finish(job)
    assert ended.state is State.DONE and any("started again" in note for note in ended.notes)
    assert len([r for r in ended.results if r.kind == "still"]) == 6
    retries = [e for e in run.box.journal()["requests"] if e["path"].endswith("/retry")]
    assert len(retries) == 1


def test_a_render_that_keeps_failing_is_a_persons_to_retry(run: ShootRun) -> None:
    faults(run, {**RENDERS, "job": {"fail": "Out of memory", "which": [1]}})
    job = run.queue(options={"retries": 0})
    ended = run.finish(job)
    assert ended.state is State.DONE and ended.report["retry_steps"]
    assert [one["status"] for one in ended.report["products"]].count("failed") == 1
    assert any("1 of 3 renders failed" in note for note in ended.notes)
    renders = [e for e in run.box.journal()["requests"] if is_call(e, "/renders")]
    faults(run, {**RETRY, "job": {"seconds": 0}})
    with Store.open(run.home) as store:
        commands.retry(store, job.id)
    done = run.finish(job)
    assert done.state is State.DONE and not done.report["retry_steps"]
    assert len([r for r in done.results if r.kind == "still"]) == 6
    assert not any("renders failed" in note for note in done.notes), "no longer true"
    again = [e for e in run.box.journal()["requests"] if is_call(e, "/renders")]
    assert len(again) == len(renders) == 1, "nothing was started anew"


def test_a_retry_that_is_refused_harms_no_other_render(run: ShootRun) -> None:
    faults(
        run,
        {**RENDERS, "job": {"fail": "Out of memory", "which": [1]}},
        {**RETRY, "status": 409, "error": "No retries left"},
    )
    job = run.queue(options={"retries": 1})
    ended = run.finish(job)
    assert ended.state is State.DONE, ended.problem
    assert len([r for r in ended.results if r.kind == "still"]) == 4
    assert [one["status"] for one in ended.report["products"]].count("failed") == 1
    with Store.open(run.home) as store:
        commands.retry(store, job.id)
    ended = run.finish(job)
    assert ended.state is State.DONE and any("would not start" in note for note in ended.notes)
    assert len([r for r in ended.results if r.kind == "still"]) == 4


@pytest.mark.parametrize("workflow", ["jobs", "steps"])
def test_uploads_that_nobody_knows_any_more_are_sent_again(run: ShootRun, workflow: str) -> None:
    """Nothing has started before the confirm: a retry is not stuck with what has ended there."""
    rules = [{**rule, "status": 404, "error": "Not found"} for rule in (JOB, CONFIRM_MODEL)]
    faults(run, *rules)
    job = run.queue(options={"workflow": workflow})
    assert run.finish(job).state is State.FAILED
    faults(run)
    with Store.open(run.home) as store:
        commands.retry(store, job.id)
    run.finish(job)
    run.assert_shot_once(job)
    path, count = ("/jobs", 2) if workflow == "jobs" else ("/models", 4)
    assert len([e for e in run.box.journal()["requests"] if is_call(e, path)]) == count


def test_every_render_fails(run: ShootRun) -> None:
    faults(run, {**RENDERS, "job": {"fail": "No light"}})
    ended = run.finish(run.queue(options={"retries": 1}))
    assert ended.state is State.FAILED and ended.problem is not None
    assert "No light" in ended.problem.sentence


def test_the_settings_are_sent_as_asked(run: ShootRun, studio: CannedStudio) -> None:
    studio.padding = 0  # a video with more at its end is not whole
    job = run.queue(
        options={
            "shots": True,
            "image_quality": "4K",
            "video_quality": "best",
            "video_resolution": "720p",
        }
    )
    ended = run.finish(job)
    assert ended.state is State.DONE, ended.problem
    assert studio.works[0].settings == {
        "renderBookmarks": True,
        "renderShots": True,
        "renderVariants": False,
        "imageQuality": 2,
        "videoQuality": 2,
        "videoResolution": 0,
    }
    assert len([r for r in ended.results if r.kind == "video"]) == 3


def test_nothing_is_rendered_without_a_yes(run: ShootRun) -> None:
    job = run.queue(approved_credits=None)
    waiting = run.finish(job)
    assert waiting.state is State.AWAITING_APPROVAL and run.renders_started() == 0
    assert "3 projects" in waiting.state_text
    with Store.open(run.home) as store:
        commands.approve(store, job.id)
    run.finish(job)
    run.assert_shot_once(job)


def test_no_pictures_asked_for_is_projects_only(run: ShootRun) -> None:
    ended = run.finish(run.queue(options={"bookmarks": False}))
    assert ended.state is State.DONE and run.renders_started() == 0
    assert all(one["project_id"] for one in ended.report["products"])


@pytest.mark.parametrize("template", ["", "Studio Lihgt"])
def test_a_template_that_is_not_there(run: ShootRun, template: str) -> None:
    options = {"template": template} if template else {"template": None}
    ended = run.finish(run.queue(options=options))
    assert ended.state is State.FAILED and ended.problem is not None
    assert ended.problem.category is Category.INPUT and "Studio Light" in ended.problem.hint


def test_uploads_that_take_longer_than_their_hour_go_in_smaller_jobs(run: ShootRun) -> None:
    """The addresses of a job end together: what does not fit goes into jobs of its own."""
    faults(run, {**PUT, "nth": 2, "status": 403, "expired": True})
    job = run.queue()
    ended = run.finish(job)
    made = [entry for entry in run.box.journal()["requests"] if is_call(entry, "/jobs")]
    assert len(made) == 3, "the first, and one for each half"
    assert ended.state is State.DONE, ended.problem
    assert any("A new job at Glossi was needed" in note for note in ended.notes)
    assert len([r for r in ended.results if r.kind == "still"]) == 6


def test_cancel_says_what_goes_on(run: ShootRun, studio: CannedStudio) -> None:
    studio.seconds = 2.0
    job = run.queue()
    worker = run.start()
    wait_for(lambda: bool(studio.rendered), 60)
    with Store.open(run.home) as store:
        commands.cancel(store, job.id)
    assert worker.wait(60) == 0
    ended = run.read(job)
    assert ended.state is State.CANCELED
    assert any("goes on at Glossi" in note for note in ended.notes)


def test_a_wrong_key_waits_for_the_right_one(run: ShootRun) -> None:
    run.key = "glsi_" + "w" * 30
    job = run.queue()
    waiting = run.finish(job)
    assert waiting.state is State.WAITING and waiting.waiting_reason == "credentials"
    run.key = ""
    with Store.open(run.home) as store:
        commands.retry(store, job.id)
    run.finish(job)
    run.assert_shot_once(job)
