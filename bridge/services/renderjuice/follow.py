# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows a job at Renderjuice while it renders: status, counters, preview, GPU minutes.

The status of the job decides; counters are shown if they can be understood (their shape is not
documented). A spending cap is kept by the time that the service tells, so it is as exact as that.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...answers import plain
from ...faults import HttpError
from ...flow import Flow
from ...problems import Category, ProblemError
from ...transfer import download

if TYPE_CHECKING:
    from .client import RenderjuiceClient

_ENDED = frozenset({"completed", "failed", "canceled"})
_PREVIEW_SECONDS = 30.0
_MOST_PREVIEW_BYTES = 32 * 1024 * 1024
#: renders take hours: polled every half minute by and by
_CALM = 3.0
_TEXTS = {
    "created": "Uploaded",
    "validating": "Checking the scene",
    "validated": "Checked",
    "booting": "Starting machines",
    "rendering": "Rendering",
    "finalizing": "Gathering the frames",
    "completed": "Rendered",
    "failed": "Failed",
    "canceled": "Canceled",
    # These two are listed by the documentation and explained nowhere: they are waited through.
    "debugging": "Needs attention at Renderjuice",
    "suspended": "Suspended at Renderjuice",
}


def status_text(job: Mapping[str, Any]) -> str:
    """A job's status in words; one that is not known is shown as it is."""
    status = str(job.get("status") or "")
    return _TEXTS.get(status, status)


def gpu_minutes(job: Mapping[str, Any]) -> float | None:
    """GPU minutes used: ``normalizedSeconds`` / 60 (deduced from Renderjuice docs, GPU minutes)."""
    seconds = job.get("normalizedSeconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        return None
    return float(seconds) / 60.0


def question(flow: Flow) -> str:
    """What a person agrees to, in a line."""
    from .flow import expected_frames

    frames = expected_frames(flow)
    if frames is None:
        return "Checked; ready to render"
    return f"Checked; ready to render {frames.count} frame{'s' if frames.count != 1 else ''}"


def follow(flow: Flow, client: RenderjuiceClient, remote_id: str) -> dict[str, Any]:
    """Poll until the job has ended; answers its last state, whatever that is."""
    counts: dict[str, Any] = {}

    def look() -> dict[str, Any]:
        job = client.job(remote_id)
        counts.clear()
        if job["status"] not in _ENDED:
            counts.update(_counters(flow, client, remote_id))
            _keep_cap(flow, client, remote_id, job)
        _fetch_preview(flow, client, job)
        return job

    def show(job: dict[str, Any]) -> dict[str, Any]:
        changes: dict[str, Any] = {"remote": job, "state_text": status_text(job), **counts}
        if gpu_minutes(job) is not None:
            changes["report"] = {**flow.job.report, "gpu_minutes": gpu_minutes(job)}
        return changes

    answer: dict[str, Any] = flow.follow(
        "follow", look, lambda job: job["status"] in _ENDED, show, calm=_CALM
    )
    return answer


def _counters(flow: Flow, client: RenderjuiceClient, remote_id: str) -> dict[str, Any]:
    """Frames done and in all, as far as they are understood; this never fails a job."""
    still = {"phase_done": 0, "phase_total": 0, "phase_unit": ""}
    try:
        progress = client.progress(remote_id)
    except ProblemError as error:
        flow.log.info("no progress: %s", error.problem.technical)
        return still
    if progress is None or not progress.total:
        return still
    return {
        "phase_done": float(progress.done),
        "phase_total": float(progress.total),
        "phase_unit": "frames",
    }


def _keep_cap(
    flow: Flow, client: RenderjuiceClient, remote_id: str, job: Mapping[str, Any]
) -> None:
    """Stop the job at the service once it has used what the artist allowed."""
    cap = flow.job.options.get("spending_cap")
    if cap is None:
        return
    used = gpu_minutes(job)
    if used is None:
        if job.get("status") == "rendering":
            flow.note(
                "Renderjuice does not tell the GPU minutes of this job while it renders; the "
                "spending cap can only be kept once it does."
            )
        return
    # Once the frames are gathered nothing is used any more, and a cancel would lose them.
    if used < float(cap) or flow.finished("cap") or job["status"] == "finalizing":
        return
    flow.log.warning("spending cap: %.2f of %.2f GPU minutes", used, float(cap))
    try:
        client.cancel(remote_id)
    except HttpError as error:
        if error.status is None or error.status in (401, 403, 429) or error.status >= 500:
            raise  # not told: tried again
        # Refused: it may just have ended. One that goes on is told again with the next look.
        if client.job(remote_id)["status"] not in _ENDED:
            flow.note("Renderjuice would not stop the job at the spending cap; it is asked again.")
            return
    flow.step_aside("cap", {"used": used, "cap": cap})


def _fetch_preview(flow: Flow, client: RenderjuiceClient, job: Mapping[str, Any]) -> None:
    """Keep the preview image for the job list, now and then; a failure is no matter."""
    url = job.get("previewUrl")
    if not isinstance(url, str) or "://" not in url:
        return
    target = flow.folder / "results" / "preview.png"
    with contextlib.suppress(OSError):
        if time.time() - target.stat().st_mtime < _PREVIEW_SECONDS and job["status"] not in _ENDED:
            return
    fresh = target.with_name("preview.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        with client.http.keyless() as storage:
            download(storage, url, fresh, max_bytes=_MOST_PREVIEW_BYTES, cancelled=flow.canceled)
        fresh.replace(target)
    except (ProblemError, OSError) as error:
        flow.log.info("no preview: %s", type(error).__name__)
        return
    if flow.job.report.get("preview") != str(target):
        flow.update(report={**flow.job.report, "preview": str(target)})


def failed(flow: Flow, job: Mapping[str, Any], what: str) -> ProblemError:
    """Why the service failed the job, in its own words."""
    reason = job.get("failedReason")
    told = kind = ""
    if isinstance(reason, dict):
        told = str(reason.get("name") or reason.get("message") or "")
        kind = str(reason.get("type") or "")
    elif isinstance(reason, str):
        told = reason
    told, kind = plain(told), plain(kind)
    who = "The sandbox" if flow.job.sandboxed else "Renderjuice"
    return ProblemError(
        Category.REMOTE,
        f"{who} could not {what}: {told or kind or 'no reason given'}",
        "Change what it names and send the scene again; retry sends the same scene once more.",
        f"job {job.get('id')}, status {job.get('status')}, {kind or 'no type'}",
    )


def canceled_there() -> ProblemError:
    """Somebody, or the service itself, canceled the job there."""
    return ProblemError(
        Category.REMOTE,
        "The job was canceled at Renderjuice.",
        "Retry sends the scene once more.",
    )


def capped(used: float, cap: float, *, frames: bool = True) -> ProblemError:
    """The artist's own limit ended the job. ``frames``: the farm gives those that were ready."""
    return ProblemError(
        Category.LIMIT,
        f"The job was stopped: it had used {used:.1f} of the {cap:g} GPU minutes that you allowed.",
        "The frames that were ready are kept. A new job can render the missing ones; the cap holds "
        "for each job by itself."
        if frames
        else "Renderjuice offers none of its frames. Send the scene again with a higher cap, or "
        "with fewer frames.",
    )
