# SPDX-License-Identifier: GPL-3.0-or-later
"""The Renderjuice flow: pack, upload, create once, validate, ask, render, follow, fetch the frames.

It reads like Renderjuice's own guide (Job lifecycle). Creating a job has no idempotency key, so it
goes through ``Flow.once``; rendering costs GPU minutes, but a repeated call answers with the job as
it is (``X-Idempotent-Replay``), so it may be repeated. Nothing is rendered without a person's yes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import frames as frame_ranges
from ...approval import consent
from ...connect import connect
from ...faults import HttpError
from ...flow import Flow, Submission
from ...frames import FrameRanges
from ...jobs import REMOTE, State, StepKind
from ...outcomes import Refused
from ...package import captured_blender, package_scene
from ...paths import ascii_slug
from ...problems import Category, ProblemError
from .. import SERVICES
from . import analysis, follow, results
from .client import RenderjuiceClient, UploadExpired, find_created
from .config import differences, render_config
from .options import MAX_BYTES

#: where rendering has begun, whoever began it
STARTED = frozenset({"booting", "rendering", "finalizing", "completed"})
ENDED = frozenset({"completed", "failed", "canceled"})


def render(flow: Flow) -> None:
    """One scene, one camera, one job: from the packed scene to its frames on disk."""
    path = None
    if flow.job.input_kind != REMOTE:
        package = package_scene(flow, max_bytes=MAX_BYTES)
        if flow.job.options.get("check_only"):
            flow.done([])
            return
        path = Path(str(package["path"]))
        _check_size(flow, path)
    with connect(
        flow.store,
        SERVICES["renderjuice"],
        flow.job,
        flow.settings,
        cancelled=flow.canceled,
        captured=captured_blender(flow),
        log=flow.log,
    ) as http:
        client = RenderjuiceClient(http)
        created = _create(flow, client, path)
        remote_id = str(created["id"])
        if created.get("named"):
            flow.step("named", lambda: _look_up(flow, client, remote_id))
        job = _validate(flow, client, remote_id)
        if job.get("status") not in STARTED:
            _start(flow, client, remote_id)
        final = follow.follow(flow, client, remote_id)
        _compare(flow, final)
        results.fetch(flow, client, remote_id, final)
        for text in http.notes():
            flow.note(text)


def _check_size(flow: Flow, path: Path) -> None:
    """A ready .zip may have grown since it was sent; the recipe watches its own package."""
    if flow.finished("upload"):
        return
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ProblemError(
            Category.INPUT,
            "What was packed for this job is no longer in its folder.",
            "Send the scene again.",
            f"{path}: {error.strerror}",
        ) from None
    if size > MAX_BYTES:
        raise ProblemError(
            Category.LIMIT,
            "The package is larger than Renderjuice takes: 5 GiB.",
            "Use smaller textures, fewer frames of caches, or send parts of the scene.",
            f"{size} bytes, limit {MAX_BYTES} bytes",
        )


# -- upload and create ----------------------------------------------------------------------------


def _create(flow: Flow, client: RenderjuiceClient, path: Path | None) -> dict[str, Any]:
    """The job at Renderjuice: {"id", ...}; made once, or known already."""
    known = flow.store.step(flow.job.id, "create")
    if path is not None and (known is None or known.status == "started"):
        flow.step(
            "upload",
            lambda: _upload(flow, client, path),
            kind=StepKind.RENEWABLE,
            state=State.UPLOADING,
        )
    uploaded = flow.answer("upload") or {}

    def send(submission: Submission) -> dict[str, Any]:
        try:
            return client.create_job(
                str(uploaded["slug"]), before_last_piece=submission.body_complete
            )
        except Refused:
            # Whether a slug expires is not documented: the next try gets a new one.
            flow.store.drop_steps(flow.job.id, ["upload"])
            raise

    def look(submission: Submission) -> dict[str, Any] | None:
        known_ids = {job.remote_id for job in flow.store.jobs() if job.remote_id}
        return find_created(
            client,
            submission.since,
            known_ids,
            str(uploaded.get("name") or ""),
            str(uploaded.get("slug") or ""),
        )

    return dict(flow.once("create", send, look, moves=_created, state=State.SUBMITTING))


def _upload(flow: Flow, client: RenderjuiceClient, path: Path) -> dict[str, Any]:
    """A presigned address, one PUT; an address that ran out on the way is renewed once.

    The address is a secret and stays in memory; the slug is "the only thing job creation needs"
    (Renderjuice docs, Create upload target).
    """
    # The attempt's tag in the name: a lost job is found by it, where the list shows names.
    name = f"{ascii_slug(flow.job.name, limit=48)}-{flow.tag}{path.suffix.lower()}"
    for attempt in (1, 2):
        target = client.create_upload(name, path.suffix.lower().lstrip("."))
        try:
            client.put(
                target["uploadUrl"],
                path,
                on_progress=flow.progress,
                cancelled=flow.canceled,
                expires_at=target.get("expiresAt"),
            )
            break
        except UploadExpired:
            if attempt == 2:
                raise
            flow.note("The upload took longer than its address was valid; it was sent again.")
    return {"slug": target["slug"], "name": name, "bytes": path.stat().st_size}


def _created(answer: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "remote_id": str(answer["id"]),
        "state": State.REMOTE,
        "waiting_reason": "",
        "problem": None,
    }
    if answer.get("certain") is False:
        # Found by its time alone: whatever was agreed to before, a person looks at it first.
        changes["approved_credits"] = None
    return changes


def _look_up(flow: Flow, client: RenderjuiceClient, remote_id: str) -> None:
    """Ask for the job whose id a person entered, before it is believed."""
    try:
        client.job(remote_id)
    except HttpError as error:
        if error.status not in (400, 404, 422):
            raise
        flow.disbelieve("create", error.problem.technical)


# -- validate -------------------------------------------------------------------------------------


def _validate(flow: Flow, client: RenderjuiceClient, remote_id: str) -> dict[str, Any]:
    """Validation, as far as it is needed; answers the job as it was when that had ended."""
    flow.step(
        "validate",
        lambda: _start_validation(client, remote_id),
        kind=StepKind.CHECK,
        state=State.REMOTE,
        text="Starting validation",
    )
    job: dict[str, Any] = flow.follow(
        "validated",
        lambda: client.job(remote_id),
        lambda job: job["status"] == "validated" or job["status"] in STARTED | ENDED,
        lambda job: {"remote": job, "state_text": follow.status_text(job)},
        moves=lambda job: {
            "report": {**flow.job.report, "analysis": analysis.readable(job)},
        },
    )
    if job["status"] == "failed":
        raise follow.failed(flow, job, "check the scene")
    if job["status"] == "canceled":
        raise follow.canceled_there()
    return job


def _start_validation(client: RenderjuiceClient, remote_id: str) -> dict[str, Any]:
    """Validate "only from created", 400 otherwise: so the job is looked at first, and again."""
    job = client.job(remote_id)
    if job["status"] != "created":
        return {"status": job["status"]}
    try:
        client.validate(remote_id)
    except HttpError as error:
        if error.status is None or not 400 <= error.status < 500:
            raise
        job = client.job(remote_id)
        if job["status"] == "created":
            raise
    return {"status": "validating"}


# -- render ---------------------------------------------------------------------------------------


def _start(flow: Flow, client: RenderjuiceClient, remote_id: str) -> None:
    """The paid step, after a person's yes."""
    found = flow.answer("create") or {}
    if found.get("certain") is False:
        flow.note(
            "The answer to this job's creation was lost, and it was found by its time alone. Make "
            "sure that what was validated is your scene before you agree."
        )
    consent(flow, follow.question(flow))
    config = render_config(flow.job.options, sent_frames(flow))

    def start() -> dict[str, Any]:
        # A repeated call is harmless while the job runs; once it has ended it may be refused.
        job = client.job(remote_id)
        if job["status"] not in STARTED | ENDED:
            try:
                job, replayed = client.render(remote_id, config)
                return {**job, "replayed": replayed, "asked": config}
            except HttpError as error:
                if error.status is None or not 400 <= error.status < 500:
                    raise
                job = client.job(remote_id)
                if job["status"] not in STARTED | ENDED:
                    raise
        return {**job, "replayed": True, "asked": config}

    job = flow.step(
        "render",
        start,
        state=State.REMOTE,
        text="Starting",
        moves=lambda job: {"remote": job, "state_text": follow.status_text(job)},
    )
    for text in differences(config, job):
        flow.note(text)


def _compare(flow: Flow, final: dict[str, Any]) -> None:
    """Say what was used instead of what was asked for, now that the farm knows."""
    started = flow.answer("render") or {}
    for text in differences(started.get("asked") or {}, final):
        flow.note(text)


def sent_frames(flow: Flow) -> FrameRanges | None:
    """The frames that are named to the farm; None leaves them to what the validation found."""
    text = flow.job.options.get("frames")
    if flow.job.options.get("test_frames"):
        asked = asked_frames(flow)
        return asked.first_middle_last() if asked is not None else None
    return frame_ranges.parse(str(text)) if text else None


def asked_frames(flow: Flow) -> FrameRanges | None:
    """The frames that this job stands for, before test frames are taken of them.

    The artist's, else the scene's by our own check, else by the farm's; None when nobody knows.
    """
    job = flow.job
    preflight = job.report.get("preflight") or {}
    text = job.options.get("frames") or (preflight.get("frames") or {}).get("text")
    if text:
        return frame_ranges.parse(str(text))
    return analysis.frames(job.remote)


def expected_frames(flow: Flow) -> FrameRanges | None:
    """The frames that have to come back."""
    sent = sent_frames(flow)
    return sent if sent is not None else asked_frames(flow)
