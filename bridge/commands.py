# SPDX-License-Identifier: GPL-3.0-or-later
"""What people do to jobs. The panel and the command line call these, and nothing else.

Each is one change of the store; the worker acts on it. Nothing here waits or uses the network.
"""

from __future__ import annotations

import contextlib
import fnmatch
import math
import os
import shutil
from pathlib import Path
from typing import Any

from .accounts import environment_base_url, environment_print
from .jobs import REMOTE, Job, State, StepKind
from .paths import job_folder
from .problems import Category, ProblemError
from .services import SERVICES
from .store import Store

#: what ``--json`` tells of each product, with what stands for nothing
_PRODUCT = {"name": "", "status": "", "stills": 0, "videos": 0, "project_id": None, "problem": ""}


def submit(store: Store, job: Job) -> Job:
    """Queue a job whose folder is complete; it is durable when this returns.

    The address and the key (by fingerprint) that this environment names are the job's from now on,
    whatever environment the worker has.
    """
    if not job.sandboxed:
        job.base_url = job.base_url or environment_base_url(job.service)
        job.key_print = job.key_print or environment_print(store).get(job.service, "")
    job_folder(store.home, job.id).mkdir(mode=0o700, parents=True, exist_ok=True)
    asked = os.environ.get("SCENE_COURIER_BLENDER", "").strip()
    if asked and not job.origin.get("blender"):
        job.origin = {**job.origin, "blender": {"executable": asked}}
    with store.together():
        _remember_blender(store, job)
        return store.insert_job(job)


def _remember_blender(store: Store, job: Job) -> None:
    """Note which Blender sent a job: the sandbox may convert with it for one without USD."""
    executable = str((job.origin.get("blender") or {}).get("executable") or "")
    if executable:
        seen = {**store.setting("blenders", {}), executable: job.created_at}
        newest = sorted(seen, key=lambda path: float(seen[path]))[-20:]
        store.set_setting("blenders", {path: seen[path] for path in newest})


def cancel(store: Store, job_id: str) -> Job:
    """Ask for a job to be stopped. A job that has ended is returned as it is."""
    with store.together():
        job = _existing(store, job_id)
        if job.state.terminal:
            return job
        return store.update_job(job_id, cancel_requested=True, due_at=0)


def retry(store: Store, job_id: str) -> Job:
    """Let a job go on: from its last finished step, or from a new submit if the service failed it.

    A new paid attempt needs a new approval. ProblemError(INPUT) when there is nothing to retry.
    """
    # One transaction: a second retry must not take the steps away from the first one's attempt.
    with store.together():
        return _retry(store, _existing(store, job_id))


def _retry(store: Store, job: Job) -> Job:
    partly = [str(name) for name in job.report.get("retry_steps") or []]
    if partly and job.state in (State.DONE, State.FAILED):
        return _retry_part(store, job, partly)
    if job.state is State.DONE:
        raise ProblemError(
            Category.INPUT,
            f"“{job.name}” is done; there is nothing to retry.",
            "Send it again to have it done once more.",
        )
    if job.state is State.IN_DOUBT:
        store.drop_steps(job.id, [f"{doubtful_step(store, job)}.looks"])
        return store.update_job(job.id, waiting_reason="", due_at=0)
    if not job.state.terminal:
        return store.update_job(job.id, due_at=0, **_present_key(store, job))
    changes: dict[str, Any] = {}
    if _ended_there(job):
        changes = _new_attempt(store, job)
    # What a cancel was answered counts for that cancel alone: a later one is told again.
    store.drop_steps(job.id, ["cancel"])
    return store.update_job(
        job.id,
        state=State.QUEUED,
        state_text="",
        waiting_reason="",
        problem=None,
        cancel_requested=False,
        due_at=0,
        **changes,
    )


def _retry_part(store: Store, job: Job, steps: list[str]) -> Job:
    """Let the service do again what failed there; what worked is kept and not paid for again."""
    store.drop_steps(job.id, steps)
    tries = int(job.origin.get("retries", 0)) + 1
    return store.update_job(
        job.id,
        state=State.QUEUED,
        state_text="",
        waiting_reason="",
        problem=None,
        cancel_requested=False,
        due_at=0,
        origin={**job.origin, "retries": tries},
    )


def _ended_there(job: Job) -> bool:
    """True when the service failed or stopped this attempt: it cannot be gone on with."""
    if job.problem is not None and job.problem.category is Category.REMOTE:
        return True
    return job.state.terminal and job.remote.get("status") in ("canceled", "failed")


def doubtful_step(store: Store, job: Job) -> str:
    """The step whose answer was lost: of those that may happen once, the one without an end."""
    once = [step for step in store.steps(job.id) if step.kind is StepKind.ONCE]
    lost = [step.name for step in once if step.status == "body_complete"]
    service = SERVICES.get(job.service)
    return lost[0] if lost else service.once_step if service else "submit"


def _present_key(store: Store, job: Job) -> dict[str, Any]:
    """A job that waits for a key goes on with the present one: a person asked for it.

    Not once something was sent: only the account that has it can tell what became of it.
    """
    sent = any(
        step.kind is StepKind.ONCE and step.status != "started" for step in store.steps(job.id)
    )
    if sent or job.sandboxed or job.waiting_reason != "credentials":
        return {}
    return {"key_print": environment_print(store).get(job.service, "")}


def _new_attempt(store: Store, job: Job) -> dict[str, Any]:
    """Forget the paid steps; the next submit carries another tag and needs its own approval."""
    service = SERVICES.get(job.service)
    if job.input_kind == REMOTE or service is None:
        raise ProblemError(
            Category.INPUT,
            f"“{job.name}” was started elsewhere and has ended; it cannot be started again here.",
            "Send the scene again.",
        )
    store.drop_steps(
        job.id,
        [
            step.name
            for step in store.steps(job.id)
            if any(fnmatch.fnmatch(step.name, name) for name in service.attempt_steps)
        ],
    )
    number = int(job.origin.get("submission", 1)) + 1
    return {
        "remote_id": "",
        "remote": {},
        "approved_credits": None,
        "credits_charged": None,
        "origin": {**job.origin, "submission": number},
    }


def approve(store: Store, job_id: str) -> Job:
    """Agree to the price that the job shows, or to the step that it waits before.

    ProblemError(INPUT) if it waits for no approval.
    """
    with store.together():
        job = _existing(store, job_id)
        if job.state is not State.AWAITING_APPROVAL:
            raise ProblemError(
                Category.INPUT,
                f"“{job.name}” is not waiting for an approval.",
                "“scene-courier jobs” shows what each job waits for.",
            )
        return store.update_job(
            job_id,
            approved_credits=math.inf if job.price is None else job.price,
            state=State.QUEUED,
            waiting_reason="",
            due_at=0,
        )


def resolve_in_doubt(
    store: Store, job_id: str, *, remote_id: str | None = None, send_again: bool = False
) -> Job:
    """A person's decision about a job in doubt: it is ``remote_id``, or it is to be sent again.

    Raises ProblemError(INPUT) when the job is not in doubt, nothing was decided, the id is that of
    another job here, or it is to be sent again while it is still being looked for.
    """
    named = (remote_id or "").strip()
    with store.together():
        job = _existing(store, job_id)
        if job.state is not State.IN_DOUBT or bool(named) == send_again:
            raise ProblemError(
                Category.INPUT,
                f"“{job.name}” needs no such decision now.",
                "Either the service's id of the job is given, or it is sent again.",
            )
        if named:
            return _name(store, job, named)
        if job.waiting_reason != "person":
            raise ProblemError(
                Category.INPUT,
                f"“{job.name}” is still being looked for at the service.",
                "Sending it again now could cost twice. Wait until the search has ended.",
            )
        changes = _new_attempt(store, job)
        changes["approved_credits"] = job.approved_credits
        return store.update_job(
            job_id, state=State.QUEUED, waiting_reason="", problem=None, due_at=0, **changes
        )


def _name(store: Store, job: Job, remote_id: str) -> Job:
    other = _known_here(store, job.account, remote_id)
    if other is not None and other.id != job.id:
        raise ProblemError(
            Category.INPUT,
            f"That is the id of another job here, “{other.name}”.",
            "Look for this job at the service and enter its own id.",
            f"job {other.short_id}",
        )
    # The flow looks the id up before it believes it.
    store.finish_step(job.id, doubtful_step(store, job), {"id": remote_id, "named": True})
    return store.update_job(
        job.id,
        remote_id=remote_id,
        state=State.REMOTE,
        waiting_reason="",
        problem=None,
        due_at=0,
    )


def _known_here(store: Store, account: str, remote_id: str) -> Job | None:
    for job in store.jobs():
        if job.remote_id == remote_id and job.account == account:
            return job
    return None


def key_changed(store: Store, service: str) -> int:
    """There is another key now: the jobs that wait for one go on. Answers how many."""
    with store.together():
        waiting = [
            job
            for job in store.open_jobs()
            if job.service == service and job.waiting_reason == "credentials"
        ]
        for job in waiting:
            store.update_job(job.id, due_at=0, **_present_key(store, job))
    return len(waiting)


def forget(store: Store, job_id: str) -> None:
    """Remove an ended job and its folder. Results elsewhere, and files in use, stay.

    Raises ProblemError(INPUT) for a job that has not ended.
    """
    with store.together():
        job = _existing(store, job_id)
        if not job.state.terminal:
            raise ProblemError(
                Category.INPUT,
                f"“{job.name}” has not ended yet.",
                "Cancel it first.",
            )
        store.forget_job(job_id)
        folder = job_folder(store.home, job_id)
        joined = _joined_below(store, folder)
    if folder.parent != store.home / "jobs":
        return
    imported = any(str(folder) in result.path for result in job.results) and job.imported_at
    if imported or joined:
        # An import, or another job, uses these files in place: drop what was sent, keep what came.
        for name in ("scene.blend", "package", "images"):
            _remove(folder / name)
        return
    _remove(folder)


def _joined_below(store: Store, folder: Path) -> bool:
    """Do the frames of another job lie in this folder? Those that were missing join the others."""
    later = [job.id for job in store.jobs() if job.origin.get("again")]
    places = [step.answer for job_id in later if (step := store.step(job_id, "place"))]
    return any(str(place or "").startswith(f"{folder}{os.sep}") for place in places)


def _remove(path: Any) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def describe(job: Job) -> dict[str, Any]:
    """The one object that ``--json`` prints for a job; ``products`` where it has such a table."""
    products = [
        {key: row.get(key, empty) for key, empty in _PRODUCT.items()}
        for row in job.report.get("products") or []
    ]
    return {
        "id": job.id,
        "service": job.service,
        "state": job.state.value,
        "remote_id": job.remote_id or None,
        "results": [result.to_dict() for result in job.results],
        "problem": job.problem.to_dict() if job.problem else None,
        **({"products": products} if products else {}),
    }


def _existing(store: Store, job_id: str) -> Job:
    job = store.job(job_id)
    if job is None:
        raise ProblemError(
            Category.INPUT,
            "This job is no longer in the list.",
            "Refresh the list.",
            job_id,
        )
    return job
