# SPDX-License-Identifier: GPL-3.0-or-later
"""Durable steps: replayed from the store, paid requests at most once, doubt resolved by looking."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytest

from bridge import commands
from bridge.approval import approve
from bridge.deliver import place
from bridge.flow import Flow, Later, Submission, without_queries
from bridge.jobs import Job, Result, State, StepKind
from bridge.outcomes import Lost, Refused, Unsent
from bridge.package import package_glb
from bridge.problems import Canceled, Category, Problem, ProblemError
from bridge.settings import Settings
from bridge.store import Store


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def job(store: Store) -> Job:
    return store.insert_job(Job(service="rigyd", name="Chair"))


def run(store: Store, job: Job, leaving: bool = False, reconcile: float = 0.0) -> Flow:
    fresh = store.job(job.id)
    assert fresh is not None
    settings = Settings(reconcile_seconds=reconcile)
    return Flow(store, fresh, settings, logging.getLogger("test"), lambda: leaving)


def moved(answer: dict[str, Any]) -> dict[str, Any]:
    return {"remote_id": answer["id"], "state": State.REMOTE}


def never(_submission: Submission) -> Any:
    raise AssertionError("must not be called")


def test_a_finished_step_is_not_run_again(store: Store, job: Job) -> None:
    calls: list[int] = []

    def action() -> dict[str, int]:
        calls.append(1)
        return {"n": len(calls)}

    for _ in range(3):
        assert run(store, job).step("package", action, state=State.PACKAGING) == {"n": 1}
    assert calls == [1]


def test_a_step_that_failed_runs_again(store: Store, job: Job) -> None:
    def fails() -> None:
        raise ProblemError(Category.NETWORK, "No network.")

    with pytest.raises(ProblemError):
        run(store, job).step("price", fails)
    assert run(store, job).step("price", lambda: 3) == 3
    step = store.step(job.id, "price")
    assert step is not None and step.attempt == 2


def test_cancel_and_leaving_are_heard_between_steps(store: Store, job: Job) -> None:
    with pytest.raises(Later) as caught:
        run(store, job, leaving=True).step("package", lambda: 1)
    assert caught.value.seconds == 0 and store.step(job.id, "package") is None
    commands.cancel(store, job.id)
    with pytest.raises(Canceled):
        run(store, job).step("package", lambda: 1)


def test_unsent_is_sent_again_with_the_same_tag(store: Store, job: Job) -> None:
    tags: list[str] = []

    def broken(submission: Submission) -> Any:
        tags.append(submission.tag)
        submission.body_complete()
        raise Unsent(Category.NETWORK, "Lost the line.")

    with pytest.raises(Unsent):
        run(store, job).once("submit", broken, never, moves=moved)

    def works(submission: Submission) -> Any:
        tags.append(submission.tag)
        submission.body_complete()
        return {"id": "r1"}

    assert run(store, job).once("submit", works, never, moves=moved) == {"id": "r1"}
    assert tags == [job.id, job.id]
    after = store.job(job.id)
    assert after is not None and after.remote_id == "r1" and after.state is State.REMOTE


def test_refused_may_be_tried_again_later(store: Store, job: Job) -> None:
    def refused(submission: Submission) -> Any:
        submission.body_complete()
        raise Refused(Category.CREDITS, "Too few credits.")

    with pytest.raises(Refused):
        run(store, job).once("submit", refused, never, moves=moved)
    assert store.step(job.id, "submit") is None


def lost(submission: Submission) -> Any:
    submission.body_complete()
    raise Lost(Category.IN_DOUBT, "No answer.")


def in_doubt(store: Store, job: Job) -> Job:
    with pytest.raises(Later) as caught:
        run(store, job).once("submit", lost, never, moves=moved)
    assert caught.value.seconds == 0
    return store.update_job(job.id, **caught.value.changes)


def test_a_lost_answer_is_found_in_the_list(store: Store, job: Job) -> None:
    assert in_doubt(store, job).state is State.IN_DOUBT
    seen: list[Submission] = []

    def look(submission: Submission) -> Any:
        seen.append(submission)
        return {"id": "r7"}

    assert run(store, job).once("submit", never, look, moves=moved) == {"id": "r7"}
    assert seen[0].tag == job.id and seen[0].since > 0
    after = store.job(job.id)
    assert after is not None and after.remote_id == "r7" and after.problem is None


def test_not_found_twice_with_a_pause_asks_a_person(store: Store, job: Job) -> None:
    in_doubt(store, job)
    looks: list[int] = []

    def look(_submission: Submission) -> Any:
        looks.append(1)
        return None

    with pytest.raises(Later) as first:
        run(store, job, reconcile=60).once("submit", never, look, moves=moved)
    assert first.value.seconds == 60 and len(looks) == 1
    with pytest.raises(Later) as early:
        run(store, job, reconcile=60).once("submit", never, look, moves=moved)
    assert 0 < (early.value.seconds or 0) <= 60 and len(looks) == 1, "not before the pause is over"
    with pytest.raises(Later) as second:
        run(store, job, reconcile=0).once("submit", never, look, moves=moved)
    assert second.value.seconds is None and len(looks) == 2
    assert second.value.changes["waiting_reason"] == "person"
    with pytest.raises(Later):
        run(store, job, reconcile=0).once("submit", never, look, moves=moved)
    assert len(looks) == 2, "a person decides now"


def test_a_killed_process_after_the_body_leaves_doubt_not_a_second_submit(
    store: Store, job: Job
) -> None:
    """What the store says after a kill between the last byte and the answer."""
    store.begin_step(job.id, "submit", StepKind.ONCE)
    store.mark_step(job.id, "submit", "body_complete", state=State.SUBMITTING)
    found = run(store, job).once("submit", never, lambda _s: {"id": "r2"}, moves=moved)
    assert found == {"id": "r2"}


def test_a_person_may_name_the_job_or_send_it_again(store: Store, job: Job) -> None:
    store.update_job(job.id, approved_credits=1.0)
    in_doubt(store, job)
    named = commands.resolve_in_doubt(store, job.id, remote_id=" r9 ")
    assert named.remote_id == "r9"
    assert run(store, job).once("submit", never, never, moves=moved)["id"] == "r9"
    other = store.insert_job(Job(service="rigyd", name="Table", approved_credits=1.0))
    in_doubt(store, other)
    with pytest.raises(ProblemError, match="still being looked for"):
        commands.resolve_in_doubt(store, other.id, send_again=True)
    with pytest.raises(ProblemError, match="another job here, “Chair”"):
        commands.resolve_in_doubt(store, other.id, remote_id="r9")
    store.update_job(other.id, waiting_reason="person")
    again = commands.resolve_in_doubt(store, other.id, send_again=True)
    assert again.state is State.QUEUED and again.approved_credits == 1.0
    tags: list[str] = []

    def works(submission: Submission) -> Any:
        tags.append(submission.tag)
        return {"id": "r10"}

    run(store, other).once("submit", works, never, moves=moved)
    assert tags == [f"{other.id}-2"], "the second paid attempt is told apart from the first"


@pytest.mark.parametrize(
    ("agreed", "price", "sandbox", "stops"),
    [
        (None, 1, False, True),
        (1, 1, False, False),
        (1, 2, False, True),
        (float("inf"), 99, False, False),
        (0.699999988079071, 0.7, False, False),  # 0.7 as Blender's 32 bits keep it
        (None, 0, False, False),
        (None, 1, True, False),
    ],
)
def test_nothing_is_paid_that_nobody_agreed_to(
    store: Store, agreed: float | None, price: float, sandbox: bool, stops: bool
) -> None:
    account = "sandbox" if sandbox else "default"
    job = store.insert_job(
        Job(service="rigyd", name="Chair", approved_credits=agreed, account=account)
    )
    flow = run(store, job)
    if not stops:
        approve(flow, price)
        return
    with pytest.raises(Later) as caught:
        approve(flow, price)
    assert caught.value.seconds is None
    waiting = store.update_job(job.id, **caught.value.changes)
    assert waiting.state is State.AWAITING_APPROVAL and waiting.price == price
    commands.approve(store, job.id)
    approve(run(store, job), price)
    with pytest.raises(Later):
        approve(run(store, job), price + 1)


def test_following_polls_once_a_run_and_remembers_the_end(store: Store, job: Job) -> None:
    answers = iter([{"status": "queued"}, {"status": "completed", "url": "https://x/y?sig=1"}])

    def follow() -> Any:
        return run(store, job).follow(
            "follow",
            lambda: next(answers),
            lambda answer: answer["status"] == "completed",
            lambda answer: {"remote": answer},
        )

    with pytest.raises(Later) as caught:
        follow()
    assert caught.value.changes["state"] is State.REMOTE
    assert follow() == {"status": "completed", "url": "https://x/y"}
    assert follow()["status"] == "completed", "from the store, not from the service"


def test_no_presigned_query_reaches_the_store(store: Store, job: Job) -> None:
    answer = {"up": ["https://host/key?X-Amz-Signature=abc"], "text": "what? yes"}
    assert without_queries(answer) == {"up": ["https://host/key"], "text": "what? yes"}
    said = "could not fetch https://host/key?X-Amz-Signature=abc&a=1, try again"
    assert "Signature" not in without_queries({"error": said})["error"]
    assert without_queries("see https://docs.rigyd.com/jobs") == "see https://docs.rigyd.com/jobs"
    run(store, job).step("upload", lambda: answer)
    assert "Signature" not in str(store.step(job.id, "upload"))


def test_retry_goes_on_or_begins_a_new_paid_attempt(store: Store, job: Job) -> None:
    for name in ("package", "submit", "follow"):
        store.begin_step(job.id, name, StepKind.REPEATABLE)
        store.finish_step(job.id, name, {"id": "r1"})
    changes = {"state": State.FAILED, "approved_credits": 1.0, "remote_id": "r1"}
    store.update_job(job.id, problem=Problem(Category.DISK, "Disk full."), **changes)
    assert commands.retry(store, job.id).remote_id == "r1", "only the local part is repeated"
    store.update_job(job.id, problem=Problem(Category.REMOTE, "It failed."), **changes)
    again = commands.retry(store, job.id)
    assert again.remote_id == "" and again.approved_credits is None
    assert store.step(job.id, "submit") is None and store.step(job.id, "package") is not None
    store.update_job(job.id, state=State.DONE)
    with pytest.raises(ProblemError):
        commands.retry(store, job.id)


def test_forgetting_keeps_results_that_an_import_uses(store: Store, tmp_path: Path) -> None:
    def ended(name: str, **changes: Any) -> Path:
        job = commands.submit(store, Job(service="rigyd", name=name))
        folder = tmp_path / "jobs" / job.id
        (folder / "results").mkdir()
        usd = folder / "results" / "a.usd"
        usd.write_text("x")
        (folder / "scene.blend").write_text("x")
        store.update_job(job.id, state=State.DONE, results=[Result(str(usd), 1, "usd")], **changes)
        commands.forget(store, job.id)
        assert store.job(job.id) is None
        return folder

    kept = ended("imported", imported_at=1.0)
    assert (kept / "results" / "a.usd").exists() and not (kept / "scene.blend").exists()
    assert not ended("not imported").exists()
    running = commands.submit(store, Job(service="rigyd", name="running"))
    with pytest.raises(ProblemError):
        commands.forget(store, running.id)


def test_an_id_that_the_service_does_not_know_leaves_the_doubt(store: Store, job: Job) -> None:
    in_doubt(store, job)
    commands.resolve_in_doubt(store, job.id, remote_id="mistyped")
    with pytest.raises(Later):
        run(store, job).disbelieve("submit", "HTTP 404")
    after = store.job(job.id)
    assert after is not None and after.state is State.IN_DOUBT and after.remote_id == ""
    assert after.waiting_reason == "person" and after.problem is not None
    assert "does not know the id" in after.problem.sentence
    assert run(store, job).doubtful()
    found = run(store, job).once("submit", never, lambda _s: {"id": "r1"}, moves=moved)
    assert found == {"id": "r1"}


def test_what_somebody_decides_while_the_flow_runs_is_not_written_over(
    store: Store, job: Job
) -> None:
    """A flow that looked before the click must not put the job back to waiting for the click."""
    store.update_job(job.id, price=1.0, state=State.AWAITING_APPROVAL, waiting_reason="person")
    flow = run(store, job)
    with pytest.raises(Later) as caught:
        approve(flow, 1.0)
    commands.approve(store, job.id)
    flow.settle(4e9, **caught.value.changes)
    after = store.job(job.id)
    assert after is not None and after.state is State.QUEUED and after.due_at == 0
    approve(run(store, job), 1.0)


def test_nothing_changed_meanwhile_so_the_flow_settles(store: Store, job: Job) -> None:
    flow = run(store, job)

    def busy(submission: Submission) -> Any:
        submission.body_complete()
        raise Refused(Category.SERVICE, "Busy.", transient=True, retry_after=30)

    with pytest.raises(Refused):
        flow.once("submit", busy, never, moves=moved)
    flow.settle(4e9, state=State.WAITING, waiting_reason="network")
    after = store.job(job.id)
    assert after is not None and after.due_at == 4e9, "the flow's own steps are nobody's word"


def test_a_clock_that_was_set_back_does_not_stretch_the_search(store: Store, job: Job) -> None:
    in_doubt(store, job)
    store.begin_step(job.id, "submit.looks", StepKind.REPEATABLE)
    store.finish_step(job.id, "submit.looks", [time.time() + 86400])
    with pytest.raises(Later) as caught:
        run(store, job, reconcile=60).once("submit", never, never, moves=moved)
    assert caught.value.seconds is not None and caught.value.seconds <= 60


def test_two_jobs_with_one_folder_do_not_overwrite_each_other(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    jobs = [
        store.insert_job(Job(service="rigyd", name="Chair", results_dir=str(out))) for _ in range(2)
    ]
    folders = [place(run(store, each)) for each in jobs]
    assert folders[0] == str(out), "the empty folder itself"
    assert folders[1] == str(out / f"Chair-{jobs[1].short_id}")
    assert [place(run(store, each)) for each in jobs] == folders, "decided once"


def test_a_package_that_was_sent_is_not_made_again(store: Store, job: Job, tmp_path: Path) -> None:
    """Somebody tidied up while the service works: Blender is not needed any more."""
    gone = {"path": str(tmp_path / "gone.glb"), "bytes": 1}
    store.begin_step(job.id, "package", StepKind.REPEATABLE)
    store.finish_step(job.id, "package", gone)
    store.begin_step(job.id, "submit", StepKind.ONCE)
    store.mark_step(job.id, "submit", "body_complete")
    assert package_glb(run(store, job), max_bytes=1) == gone
    store.mark_step(job.id, "submit", "started")
    with pytest.raises(ProblemError, match="no longer in the job"):
        package_glb(run(store, job), max_bytes=1)


def test_a_retry_that_comes_second_takes_no_steps_away(store: Store, job: Job) -> None:
    """The panel and the command line at once: the first retry's attempt is already under way."""
    store.update_job(job.id, state=State.FAILED, problem=Problem(Category.REMOTE, "It failed."))
    commands.retry(store, job.id)
    store.begin_step(job.id, "submit", StepKind.ONCE)
    commands.retry(store, job.id)
    assert store.step(job.id, "submit") is not None


def test_a_new_key_lets_the_jobs_go_on_that_wait_for_one(store: Store, job: Job) -> None:
    store.update_job(job.id, state=State.WAITING, waiting_reason="credentials", due_at=4e9)
    other = store.insert_job(Job(service="rigyd", name="Table", due_at=4e9))
    assert commands.key_changed(store, "rigyd") == 1
    first, second = store.job(job.id), store.job(other.id)
    assert first is not None and first.due_at == 0
    assert second is not None and second.due_at == 4e9
