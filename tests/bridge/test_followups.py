# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that come from other jobs: sent all the same, other frames, started elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge import commands, followups
from bridge.jobs import REMOTE, Job, Result, State, StepKind
from bridge.paths import job_folder
from bridge.problems import Category, Problem, ProblemError
from bridge.services import SERVICES
from bridge.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as store:
        yield store


def finish(store: Store, job: Job, name: str, answer: Any) -> None:
    store.begin_step(job.id, name, StepKind.REPEATABLE)
    store.finish_step(job.id, name, answer)


def sent(store: Store, tmp_path: Path, **fields: Any) -> Job:
    """A job that was sent from a capture, with its folder."""
    options = SERVICES["renderjuice"].checked(fields.pop("options", {}))
    job = Job("renderjuice", "Küche", account="sandbox", options=options, **fields)
    job.results_dir = str(tmp_path / "courier" / f"Küche-{job.short_id}")
    folder = job_folder(store.home, job.id)
    (folder / "package").mkdir(parents=True)
    (folder / "images").mkdir()
    for name in ("scene.blend", "capture.json", "package/Küche.zip", "images/a.png"):
        (folder / name).write_bytes(name.encode())
    job.input_path = str(folder / "capture.json")
    return commands.submit(store, job)


BLOCKING = {"findings": [{"severity": "blocking", "sentence": "No camera."}]}


def test_a_blocked_job_can_be_sent_all_the_same(store: Store, tmp_path: Path) -> None:
    job = sent(store, tmp_path)
    with pytest.raises(ProblemError):
        followups.override(store, job.id)
    store.update_job(
        job.id,
        state=State.FAILED,
        report={"preflight": BLOCKING},
        problem=Problem(Category.INPUT, "No camera."),
    )
    assert store.job(job.id).blocked
    again = followups.override(store, job.id)
    assert again.state is State.QUEUED and again.options["ignore_problems"] is True
    with pytest.raises(ProblemError):
        followups.override(store, job.id)


def test_missing_frames_join_the_others(store: Store, tmp_path: Path) -> None:
    job = sent(store, tmp_path, options={"frames": "1-10", "samples": 4})
    folder = job_folder(store.home, job.id)
    package = folder / "package" / "Küche.zip"
    answer = {"path": str(package), "bytes": 17, "mode": "zip", "frames": "1-10"}
    finish(store, job, "package", answer)
    finish(store, job, "place", "/results/here")
    store.update_job(job.id, state=State.DONE, approved_credits=math.inf)
    new = followups.again(store, job.id, frames="3,7-9")
    assert new.id != job.id and new.state is State.QUEUED and new.options["frames"] == "3,7-9"
    assert new.options["samples"] == 4 and new.approved_credits is None
    mine = job_folder(store.home, new.id)
    assert store.step(new.id, "package").answer["path"] == str(mine / "package" / "Küche.zip")
    assert (mine / "package" / "Küche.zip").read_bytes() == package.read_bytes()
    assert new.input_path == str(mine / "capture.json") and (mine / "images/a.png").is_file()
    assert store.step(new.id, "place").answer == "/results/here"
    assert new.origin["again"] == job.id
    # The first job may be removed; what the new one sends stays.
    commands.forget(store, job.id)
    assert (mine / "scene.blend").is_file()


def test_joined_frames_outlive_the_first_job(store: Store, tmp_path: Path) -> None:
    """Where the results stayed in the first job's folder, the later job's lie there too."""
    job = sent(store, tmp_path)
    files = job_folder(store.home, job.id) / "results" / "files"
    files.mkdir(parents=True)
    finish(store, job, "place", str(files))
    store.update_job(job.id, state=State.DONE)
    new = followups.again(store, job.id, frames="3")
    frame = files / "frame_0003.png"
    frame.write_bytes(b"rendered and paid for")
    store.update_job(new.id, results=[Result(str(frame), 21, "frame")], state=State.DONE)
    commands.forget(store, job.id)
    assert frame.is_file()
    assert not (job_folder(store.home, job.id) / "scene.blend").exists()


def test_frames_beyond_what_was_packed_are_packed_anew(store: Store, tmp_path: Path) -> None:
    job = sent(store, tmp_path, options={"frames": "1-10"})
    path = str(job_folder(store.home, job.id) / "package" / "Küche.zip")
    finish(store, job, "package", {"path": path, "bytes": 1, "mode": "zip", "frames": "1-10"})
    assert store.step(followups.again(store, job.id, frames="5-11").id, "package") is None
    assert store.step(followups.again(store, job.id, frames="5-10").id, "package") is not None


def test_all_frames_after_test_frames(store: Store, tmp_path: Path) -> None:
    job = sent(store, tmp_path, options={"frames": "1-100", "test_frames": True})
    finish(store, job, "place", "/results/test")
    new = followups.again(store, job.id)
    assert new.options["test_frames"] is False and new.options["frames"] == "1-100"
    assert store.step(new.id, "place") is None and new.results_dir != job.results_dir
    assert Path(new.results_dir).parent == Path(job.results_dir).parent


def test_a_folder_that_was_named_holds_the_later_jobs_too(store: Store, tmp_path: Path) -> None:
    job = sent(store, tmp_path)
    store.update_job(job.id, results_dir=str(tmp_path / "Bilder"))
    assert followups.again(store, job.id).results_dir == str(tmp_path / "Bilder")


def test_missing_frames_are_not_rendered_twice(store: Store, tmp_path: Path) -> None:
    job = sent(store, tmp_path, options={"frames": "1-10"})
    assert followups.missing(store, job) == ""
    store.update_job(job.id, state=State.DONE, report={"frames": {"missing": "2,5-6"}})
    job = store.job(job.id)
    assert job is not None and followups.missing(store, job) == "2,5-6"
    later = followups.again(store, job.id, frames="2,5-6")
    assert followups.missing(store, job) == "", "they are on their way"
    store.update_job(later.id, state=State.FAILED)
    assert followups.missing(store, job) == "2,5-6", "it brought nothing"
    store.update_job(later.id, state=State.DONE, report={"frames": {"missing": "5"}})
    assert followups.missing(store, job) == "5"
    last = followups.again(store, later.id, frames="5")
    store.update_job(last.id, state=State.DONE, report={"frames": {"missing": ""}})
    assert followups.missing(store, job) == ""


def test_what_is_gone_cannot_be_sent_again(store: Store, tmp_path: Path) -> None:
    import shutil

    job = sent(store, tmp_path)
    shutil.rmtree(job_folder(store.home, job.id))
    with pytest.raises(ProblemError) as caught:
        followups.again(store, job.id)
    assert caught.value.problem.category is Category.INPUT and len(store.jobs()) == 1
    job = sent(store, tmp_path)
    with pytest.raises(ProblemError):
        followups.again(store, job.id, frames="9-1")
    assert len(store.jobs()) == 2


def test_a_job_from_elsewhere_is_followed_once(store: Store) -> None:
    job = followups.adopt(store, "renderjuice", "default", " r-1 ", "")
    assert job.input_kind == REMOTE and store.job(job.id).remote_id == "r-1"
    assert store.step(job.id, "create").answer["id"] == "r-1" and "r-1" in job.name
    for args in (("renderjuice", "default", "r-1"), ("rigyd", "default", "x"), ("no", "a", "b")):
        with pytest.raises(ProblemError) as caught:
            followups.adopt(store, *args, "name")
        assert caught.value.problem.category is Category.INPUT
    assert followups.adopt(store, "renderjuice", "sandbox", "r-1", "n").name == "n"


def test_an_adopted_job_that_failed_there_cannot_be_started_again(store: Store) -> None:
    job = followups.adopt(store, "renderjuice", "default", "r-1", "")
    store.update_job(job.id, state=State.FAILED, problem=Problem(Category.REMOTE, "It failed."))
    with pytest.raises(ProblemError):
        commands.retry(store, job.id)
    assert store.job(job.id).state is State.FAILED


def test_a_job_stopped_at_the_service_begins_anew(store: Store, tmp_path: Path) -> None:
    job = sent(store, tmp_path)
    for name in ("package", "upload", "create", "validate", "consent", "render"):
        finish(store, job, name, {"path": "x"})
    store.update_job(
        job.id,
        state=State.CANCELED,
        remote_id="r",
        remote={"id": "r", "status": "canceled"},
        approved_credits=math.inf,
    )
    again = commands.retry(store, job.id)
    assert again.remote_id == "" and again.approved_credits is None
    assert [step.name for step in store.steps(job.id)] == ["package"]
    assert again.origin["submission"] == 2


def test_the_yes_to_a_step_without_a_price(store: Store, tmp_path: Path) -> None:
    job = sent(store, tmp_path)
    store.update_job(job.id, state=State.AWAITING_APPROVAL, waiting_reason="person")
    assert commands.approve(store, job.id).approved_credits == math.inf
