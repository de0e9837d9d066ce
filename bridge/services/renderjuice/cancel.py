# SPDX-License-Identifier: GPL-3.0-or-later
"""Stops a job at Renderjuice, and makes sure of it.

"Cancel is accepted until work finishes" (Renderjuice docs, Job lifecycle). Whether it takes effect
at once is not documented, and a job may still become completed; so the job is looked at until it
has ended, for a bounded time.
"""

from __future__ import annotations

import time

from ...connect import connect
from ...faults import HttpError
from ...flow import STILL, Flow, Later, without_queries
from ...jobs import State
from ...package import captured_blender
from .. import SERVICES
from .client import RenderjuiceClient
from .follow import gpu_minutes

_ENDED = frozenset({"completed", "failed", "canceled"})
_LOOK_SECONDS = 2.0
_SANDBOX_SECONDS = 0.3
_PATIENCE_SECONDS = 600.0


def cancel(flow: Flow) -> list[str]:
    """Tell Renderjuice, wait for the end there, and answer remarks for the artist.

    Raises ``Later`` while the job has not ended there; HttpError when it cannot be told.
    """
    remote_id = flow.job.remote_id
    with connect(
        flow.store,
        SERVICES["renderjuice"],
        flow.job,
        flow.settings,
        cancelled=lambda: False,  # this is the cancel
        captured=captured_blender(flow),
        log=flow.log,
    ) as http:
        client = RenderjuiceClient(http)
        try:
            job = client.job(remote_id)
            known = flow.answer("cancel") or {}
            if job["status"] not in _ENDED and not known:
                refusal = _tell(client, remote_id)
                flow.step_aside("cancel", {"asked_at": time.time(), "refusal": refusal})
                known = flow.answer("cancel") or {}
                job = client.job(remote_id)
        except HttpError as error:
            if error.status not in (404, 410):
                raise
            return ["Renderjuice no longer knows this job."]
    if job["status"] not in _ENDED:
        waited = time.time() - float(known.get("asked_at") or time.time())
        if known.get("refusal"):
            return [f"Renderjuice would not cancel the job ({known['refusal']}); it goes on there."]
        if waited < _PATIENCE_SECONDS:
            raise Later(
                _SANDBOX_SECONDS if flow.job.sandboxed else _LOOK_SECONDS,
                state=State.REMOTE,
                state_text="Waiting for Renderjuice to stop",
                **STILL,
            )
        return ["Renderjuice has not confirmed yet that the job was stopped. Look at its website."]
    used = gpu_minutes(job)
    flow.update(
        remote=without_queries(job),
        report={**flow.job.report, **({} if used is None else {"gpu_minutes": used})},
    )
    if job["status"] == "completed":
        return ["The job had ended already. “Retry” fetches its frames."]
    return []


def _tell(client: RenderjuiceClient, remote_id: str) -> str:
    """Ask for the cancel; answers why it was refused, or ""."""
    try:
        client.cancel(remote_id)
    except HttpError as error:
        if error.status is None or error.status in (401, 403, 429) or error.status >= 500:
            raise
        return error.problem.technical or error.problem.sentence
    return ""
