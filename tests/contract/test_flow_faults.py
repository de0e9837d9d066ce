# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a job when the service misbehaves: nothing lost, nothing paid twice, clear words.

Real workers against a sandbox with a fault plan, over real sockets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge import commands
from bridge.jobs import Job, State, StepKind
from bridge.problems import Category
from bridge.sandbox import Sandbox
from bridge.sandbox.canned import CannedConverter
from bridge.store import Store
from bridge.words import cost_line
from tests.support.worker_runs import WorkerRun, large_glb

SUBMIT = {"method": "POST", "path": "/conversions"}
POLL = {"method": "GET", "path": "/conversions/*"}
RESULT = {"method": "GET", "path": "/conversions/*/result"}


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Iterator[WorkerRun]:
    with Sandbox(tmp_path / "box", converter=CannedConverter()) as box:
        yield WorkerRun(home, box, tmp_path)


def faults(run: WorkerRun, *rules: dict[str, Any], **plan: Any) -> None:
    run.box.set_faults({"rules": list(rules), **plan})


@pytest.mark.parametrize(
    "rule",
    [
        {**POLL, "times": 3, "status": 502, "error": "Conversion service unavailable: x"},
        {**POLL, "times": 2, "status": 503, "html": True, "headers": {"Retry-After": "1"}},
        {**POLL, "times": 2, "status": 429, "error": "Slow down"},
        {**POLL, "times": 3, "garbage": True},
        {**POLL, "times": 2, "cut": "before_headers"},
        {**POLL, "times": 2, "cut": 20},
        {**POLL, "nth": [1, 2], "patch": {"status": "hibernating", "stage": None, "new": [1]}},
        {**POLL, "patch": {"progress": None, "report": None, "preprocess": None}},
        {**RESULT, "times": 2, "cut": 300},
        {**RESULT, "times": 2, "status": 502, "error": "media store unreachable"},
        {"path": "/conversions/pricing", "times": 2, "status": 500, "error": "oops"},
        {"path": "/conversions/pricing", "wrap": "pricing"},
        {**SUBMIT, "times": 1, "status": 429, "error": "Busy", "headers": {"Retry-After": "1"}},
        {**SUBMIT, "times": 1, "lose_answer": True},
        {**SUBMIT, "times": 1, "when": "done", "status": 504, "html": True},
        {**SUBMIT, "times": 1, "when": "done", "garbage": True},
    ],
    ids=lambda rule: "-".join(
        f"{key}={value}" for key, value in rule.items() if key not in ("headers", "error")
    )[:80],
)
def test_the_job_is_done_all_the_same_and_paid_once(run: WorkerRun, rule: dict[str, Any]) -> None:
    faults(run, rule)
    job = run.queue()
    run.finish(job)
    run.assert_done_once(job)


def test_a_line_cut_in_the_upload_is_no_doubt(run: WorkerRun) -> None:
    """While bytes were left to send nothing can have started: sent again by itself."""
    faults(run, {**SUBMIT, "times": 1, "cut_upload": 3_000_000})
    job = run.queue(input_path=str(large_glb(run.files / "large.glb")))
    run.finish(job)
    run.assert_done_once(job)
    submits = [r for r in run.box.journal()["requests"] if r["method"] == "POST"]
    assert len(submits) == 2


def failed(run: WorkerRun, job: Job, category: Category) -> Job:
    ended = run.finish(job)
    assert ended.state is State.FAILED and ended.problem is not None, ended
    assert ended.problem.category is category
    return ended


def test_a_failed_conversion_says_why_and_gives_the_credit_back(run: WorkerRun) -> None:
    faults(run, {**SUBMIT, "times": 1, "job": {"fail": "No mesh found", "at": 0.5}})
    before = run.box.journal()["credits"]["rigyd"]
    job = run.queue()
    ended = failed(run, job, Category.REMOTE)
    assert ended.problem is not None and "No mesh found" in ended.problem.sentence
    assert run.box.journal()["credits"]["rigyd"] == before
    with Store.open(run.home) as store:
        commands.retry(store, job.id)
    waiting = run.finish(job)
    assert waiting.state is State.AWAITING_APPROVAL, "a second attempt is a second price"
    with Store.open(run.home) as store:
        commands.approve(store, job.id)
    assert run.finish(job).state is State.DONE


def test_too_few_credits_keeps_everything_for_a_retry(run: WorkerRun) -> None:
    faults(run, credits=0)
    job = run.queue()
    ended = failed(run, job, Category.CREDITS)
    assert ended.problem is not None and "Nothing was charged" in ended.problem.hint
    faults(run, credits=5)
    with Store.open(run.home) as store:
        commands.retry(store, job.id)
    run.finish(job)
    run.assert_done_once(job)


def test_a_wrong_key_waits_for_the_right_one(run: WorkerRun) -> None:
    run.key = "rgyd_test_" + "w" * 43
    job = run.queue()
    waiting = run.finish(job)
    assert waiting.state is State.WAITING and waiting.waiting_reason == "credentials"
    assert waiting.problem is not None and waiting.problem.category is Category.CREDENTIALS
    assert "key" in waiting.problem.sentence and run.paid == 0
    run.key = ""
    still = run.finish(job)
    assert still.problem is not None and "another Rigyd key" in still.problem.sentence, "not asked"
    with Store.open(run.home) as store:
        commands.retry(store, job.id)
    run.finish(job)
    run.assert_done_once(job)


def test_a_job_is_never_sent_with_another_accounts_key(run: WorkerRun) -> None:
    job = run.queue()
    run.until(job, lambda now: now.state is State.DONE)
    with Store.open(run.home) as store:
        other = commands.submit(
            store,
            Job(
                service="rigyd",
                name="Table",
                input_kind="file",
                input_path=job.input_path,
                base_url=job.base_url,
                key_print="0123456789abcdef",
                approved_credits=1.0,
            ),
        )
        sent = commands.submit(store, replace(other, id="0" * 32, name="Lamp", revision=0))
        store.begin_step(sent.id, "submit", StepKind.ONCE)
        store.mark_step(sent.id, "submit", "body_complete")
    waiting = run.finish(other)
    assert waiting.waiting_reason == "credentials" and waiting.problem is not None
    assert "another Rigyd key" in waiting.problem.sentence
    with Store.open(run.home) as store:
        assert commands.key_changed(store, "rigyd") == 2
        assert run.read(other).key_print == "" and run.read(sent).key_print == other.key_print
    assert run.paid == 1


def test_a_mistyped_id_does_not_lose_the_paid_job(run: WorkerRun) -> None:
    """The list does not show the job, a person names it wrongly, then rightly."""
    listing = {"method": "GET", "path": "/conversions"}
    faults(run, {**SUBMIT, "times": 1, "lose_answer": True}, {**listing, "status": 404})
    job = run.queue()
    doubtful = run.finish(job)
    assert doubtful.state is State.IN_DOUBT and doubtful.waiting_reason == "person"
    faults(run)
    with Store.open(run.home) as store:
        commands.resolve_in_doubt(store, job.id, remote_id="wr0ng")
    wrong = run.finish(job)
    assert wrong.state is State.IN_DOUBT and wrong.waiting_reason == "person"
    assert wrong.problem is not None and "does not know the id" in wrong.problem.sentence
    (remote,) = (record["job_id"] for record in run.box.journal()["requests"] if record["paid"])
    with Store.open(run.home) as store:
        commands.resolve_in_doubt(store, job.id, remote_id=remote)
    run.finish(job)
    run.assert_done_once(job)


def test_a_result_that_was_tidied_away_is_downloaded_again(run: WorkerRun) -> None:
    job = run.queue()
    assert run.start(crash_at="after:download").wait(60) != 0
    for path in (run.home / "jobs" / job.id / "results").iterdir():
        path.unlink()
    run.finish(job)
    run.assert_done_once(job)


def test_nothing_is_sent_without_an_agreed_price(run: WorkerRun) -> None:
    faults(run, prices={"glb_to_simready": 3})
    job = run.queue(approved_credits=1.0)
    waiting = run.finish(job)
    assert waiting.state is State.AWAITING_APPROVAL and waiting.price == 3 and run.paid == 0
    assert not [r for r in run.box.journal()["requests"] if r["method"] == "POST"]
    with Store.open(run.home) as store:
        commands.approve(store, job.id)
    assert run.finish(job).state is State.DONE


def test_a_price_that_the_list_does_not_name_is_asked_about(run: WorkerRun) -> None:
    faults(run, {"path": "/conversions/pricing", "remove": ["glb_to_simready"]})
    job = run.queue(approved_credits=1.0)
    waiting = run.finish(job)
    assert waiting.state is State.AWAITING_APPROVAL and run.paid == 0
    assert cost_line(waiting) == "would cost an unknown number of credits"
    with Store.open(run.home) as store:
        commands.approve(store, job.id)
    assert run.finish(job).state is State.DONE


def test_a_free_conversion_needs_nobodys_yes(run: WorkerRun) -> None:
    faults(run, prices={"glb_to_simready": 0})
    job = run.queue(approved_credits=None)
    assert run.finish(job).state is State.DONE


def test_a_file_over_the_limit_is_refused_in_words(run: WorkerRun) -> None:
    faults(run, max_upload_bytes=100)
    ended = failed(run, run.queue(), Category.LIMIT)
    assert ended.problem is not None and "500 MB" in ended.problem.sentence
    assert ended.problem.hint and run.paid == 0


@pytest.mark.parametrize(
    "kind", ["corrupt", "traversal", "absolute", "symlink", "no_main", "empty"]
)
def test_a_bad_result_never_leaves_its_folder_and_is_downloaded_again(
    run: WorkerRun, kind: str
) -> None:
    faults(run, {**RESULT, "times": 1, "zip": kind})
    job = run.queue()
    ended = failed(run, job, Category.SERVICE)
    assert ended.problem is not None and ended.problem.sentence and ended.problem.hint
    outside = {path.name for path in run.files.parent.iterdir()} | set(_names(run.files))
    assert not {"evil.txt", "escaped.txt"} & outside
    with Store.open(run.home) as store:
        commands.retry(store, job.id)
    run.finish(job)
    run.assert_done_once(job)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]


def test_without_a_mujoco_package_the_usd_comes_and_it_is_said(run: WorkerRun) -> None:
    faults(run, {**SUBMIT, "job": {"mjcf": False}})
    ended = run.finish(run.queue())
    assert ended.state is State.DONE
    assert "made no MJCF package" in " ".join(ended.notes)
    assert "mjcf" not in {result.kind for result in ended.results}


def test_a_wrong_size_at_the_service_is_noticed(run: WorkerRun) -> None:
    faults(run, {**POLL, "patch": {"file_size_bytes": 7}})
    ended = run.finish(run.queue())
    assert "received 7 bytes" in " ".join(ended.notes)


def test_a_vanished_job_is_a_clear_failure(run: WorkerRun) -> None:
    faults(run, {**POLL, "status": 404, "error": "Conversion job not found"})
    ended = failed(run, run.queue(), Category.SERVICE)
    assert ended.problem is not None and "does not know this job" in ended.problem.sentence


def test_without_a_network_the_job_waits_and_goes_on(run: WorkerRun) -> None:
    job = run.queue(base_url="http://127.0.0.1:9/rigyd/api")
    waiting = run.until(job, lambda now: now.state is State.WAITING)
    assert waiting.waiting_reason == "network" and waiting.problem is not None
    assert waiting.problem.category is Category.NETWORK
    with Store.open(run.home) as store:
        store.update_job(job.id, base_url=run.box.rigyd.base_url)
    run.finish(job)
    run.assert_done_once(job)


def test_online_access_off_holds_what_blender_sent_except_on_this_computer(
    run: WorkerRun,
) -> None:
    with Store.open(run.home) as store:
        store.set_setting("online_access", {"value": False})
    away = run.queue(source="blender", base_url="https://192.0.2.1/api", name="away")
    here = run.queue(source="blender", name="here")
    run.until(
        away,
        lambda now: now.waiting_reason == "online_access" and run.read(here).state is State.DONE,
    )
    held = run.read(away)
    assert held.problem is not None and "online access is off" in held.problem.sentence
