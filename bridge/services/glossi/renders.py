# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders: started once for all projects, followed each on its own, retried where they failed.

"Only jobs with status FAILED can be retried" (Glossi docs, Complete Workflow), so a job is
looked at before it is. Nobody lists render jobs: their ids are kept from the first moment.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ...faults import HttpError
from ...flow import Flow, Later, Submission
from ...jobs import State
from ...outcomes import Refused
from ...problems import Category, ProblemError
from . import table
from .explain import error_text, not_ready
from .options import render_settings

if TYPE_CHECKING:
    from .client import GlossiClient

_ENDED = frozenset({"COMPLETED", "FAILED"})
#: a project that was just made may not be ready to render; that is not documented
_READY_SECONDS = 300.0
_READY_PAUSE = 10.0
_CALM = 2.0


def wanted(flow: Flow) -> bool:
    """False when neither stills nor videos were asked for."""
    settings = render_settings(flow.job.options)
    return bool(settings["renderBookmarks"] or settings["renderShots"])


def question(flow: Flow, projects: list[dict[str, Any]]) -> str:
    """What a person agrees to, in a line; no price is documented, so none is named."""
    settings = render_settings(flow.job.options)
    parts = [name for name, on in (
        ("stills", settings["renderBookmarks"]),
        ("videos", settings["renderShots"]),
        ("all variants", settings["renderVariants"]),
    ) if on]  # fmt: skip
    count = len(projects)
    return f"{count} project{'s' if count != 1 else ''} ready to render: {', '.join(parts)}"


def start(flow: Flow, client: GlossiClient, projects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """POST /renders, once; ``[{"job_id", "project_id"}]``."""
    settings = render_settings(flow.job.options)

    def send(submission: Submission) -> dict[str, Any]:
        try:
            made = client.create_renders(
                [project["project_id"] for project in projects],
                settings,
                before_last_piece=submission.body_complete,
            )
        except Refused as refusal:
            begun = flow.answer("renders.waited") or time.time()
            if not not_ready(refusal) or time.time() - begun > _READY_SECONDS:
                if refusal.status == 404 and (flow.answer("projects") or {}).get("named"):
                    # A person entered the ids: a mistyped one must not lose what was made.
                    flow.store.drop_steps(flow.job.id, ["renders"])
                    flow.disbelieve("projects", refusal.problem.technical)
                raise
            flow.step_aside("renders.waited", begun)
            # Nothing was started by a refused call: it may be made again.
            flow.store.drop_steps(flow.job.id, ["renders"])
            raise Later(
                _READY_PAUSE if not flow.job.sandboxed else 0.5,
                state=State.REMOTE,
                state_text="Waiting for the projects",
            ) from None
        return {"id": str(made[0]["jobId"]), "jobs": made}

    answer = flow.once(
        "renders",
        send,
        lambda _submission: None,
        moves=lambda made: {
            "remote_id": str(made["id"]),
            "state": State.REMOTE,
            "waiting_reason": "",
            "problem": None,
        },
        state=State.SUBMITTING,
        listed=False,
    )
    jobs: list[dict[str, Any]]
    if answer.get("named"):
        ids = [part for part in str(answer["id"]).replace(",", " ").split() if part]
        ours = {project["project_id"] for project in projects}
        told = flow.step("named", lambda: _look_up(flow, client, ids, ours)) or {}
        # A person enters the ids in any order: whose each is, Glossi says.
        jobs = [{"jobId": one, "projectId": told.get(one, "")} for one in ids]
    else:
        jobs = answer["jobs"]
    found = []
    for number, job in enumerate(jobs):
        project = str(job.get("projectId") or "")
        if not project and len(jobs) == len(projects):
            project = projects[number]["project_id"]
        found.append({"job_id": str(job["jobId"]), "project_id": project})
    missing = {p["project_id"] for p in projects} - {job["project_id"] for job in found}
    for lost in projects:
        if lost["project_id"] in missing and all(job["project_id"] for job in found):
            table.change(
                flow, lost["files"], status="failed", problem="Glossi started no render of it."
            )
    return found


def _look_up(flow: Flow, client: GlossiClient, ids: list[str], ours: set[str]) -> dict[str, str]:
    """Ask for the render jobs whose ids a person entered, before they are believed.

    Answers which project each is of, "" where Glossi does not say.
    """
    told: dict[str, str] = {}
    for one in ids:
        try:
            told[one] = str(client.render(one).get("projectId") or "")
        except HttpError as error:
            if error.status not in (400, 404, 422):
                raise
            flow.disbelieve("renders", error.problem.technical)
            continue
        if told[one] and told[one] not in ours:
            flow.disbelieve("renders", f"{one} is of another project")
    return told


def follow(flow: Flow, client: GlossiClient, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Poll until every render job has ended; failed ones are retried as often as allowed.

    Answers ``[{"job_id", "project_id", "status", "renders": [...], "problem"}]``.
    """

    def look() -> dict[str, Any]:
        known = flow.answer("rendered.known") or {}
        rows = []
        for job in jobs:
            row = known.get(job["job_id"])
            if row is None:
                row = _look(flow, client, job)
                if row["status"] in _ENDED:
                    # Kept without its files: their addresses may be signed, and are read again.
                    known[job["job_id"]] = {k: v for k, v in row.items() if k != "renders"}
                    flow.step_aside("rendered.known", known)
            rows.append(row)
        return {"rows": rows}

    def show(answer: dict[str, Any]) -> dict[str, Any]:
        rows = answer["rows"]
        done = sum(row["status"] in _ENDED for row in rows)
        working = any(row["status"] == "RENDERING" for row in rows)
        return {
            "remote": answer,
            "state_text": "Rendering" if working or done else "Waiting for its turn",
            "phase_done": float(done),
            "phase_total": float(len(rows)),
            "phase_unit": "products",
        }

    final = flow.follow(
        "rendered",
        look,
        lambda answer: all(row["status"] in _ENDED for row in answer["rows"]),
        show,
        calm=_CALM,
    )
    rows: list[dict[str, Any]] = final["rows"]
    _tell(flow, rows)
    return rows


def _look(flow: Flow, client: GlossiClient, job: dict[str, Any]) -> dict[str, Any]:
    answer = client.render(job["job_id"])
    project = job["project_id"] or str(answer.get("projectId") or "")
    row = {
        "job_id": job["job_id"],
        "project_id": project,
        "status": answer["status"],
        "problem": error_text(answer) if answer["status"] == "FAILED" else "",
        "renders": answer.get("renders") or [],
    }
    if answer["status"] != "FAILED":
        return row
    name = f"retry.{job['job_id']}"
    tries: list[Any] = list(flow.answer(name) or [])
    if len(tries) >= int(flow.job.options.get("retries") or 0):
        return row
    # Looked at just now and failed: only then may it be retried.
    again = _again(client, job["job_id"])
    flow.step_aside(name, [*tries, str((again or {}).get("batchId") or "")])
    if again is None:
        return row
    flow.note(f"A render failed and was started again: {row['problem'] or 'no reason given'}")
    return {**row, "status": str(again.get("status") or "QUEUED"), "problem": ""}


def _again(client: GlossiClient, job_id: str) -> dict[str, Any] | None:
    """Retry a failed render; None when Glossi refuses that: it harms no other render."""
    try:
        return client.retry_render(job_id)
    except HttpError as error:
        if error.status is None or not 400 <= error.status < 500 or error.status in (401, 403, 429):
            raise
    job = client.render(job_id)
    return None if job["status"] == "FAILED" else job


def _tell(flow: Flow, rows: list[dict[str, Any]]) -> None:
    """Put the outcome into the table; remember what a retry by a person begins with."""
    products = flow.job.report.get("products") or []
    for row in rows:
        files = [
            product["file"]
            for product in products
            if product.get("project_id") == row["project_id"]
        ]
        table.change(
            flow,
            files,
            render_job=row["job_id"],
            status="rendered" if row["status"] == "COMPLETED" else "failed",
            problem=row["problem"] if row["status"] == "FAILED" else "",
        )


def failed(flow: Flow, rows: list[dict[str, Any]]) -> ProblemError | None:
    """The problem of a job of which no render worked; None where any did."""
    if any(row["status"] == "COMPLETED" for row in rows):
        return None
    who = "The sandbox" if flow.job.sandboxed else "Glossi"
    why = next((row["problem"] for row in rows if row["problem"]), "no reason given")
    return ProblemError(
        Category.REMOTE,
        f"{who} could not render the products: {why}",
        "Retry starts the failed renders again.",
        ", ".join(row["job_id"] for row in rows)[:300],
    )


def start_failed_again(flow: Flow, client: GlossiClient) -> None:
    """What a person's retry does: every render that failed is started again, after a look."""
    known = flow.answer("rendered.known") or {}
    for job_id, row in list(known.items()):
        if row["status"] != "FAILED":
            continue
        if client.render(job_id)["status"] == "FAILED":
            again = _again(client, job_id)
            if again is None:
                flow.note("Glossi would not start a failed render again.")
                continue
            flow.step_aside(f"retried.{job_id}", str(again.get("batchId") or ""))
        known.pop(job_id)
        flow.step_aside("rendered.known", known)
        products = flow.job.report.get("products") or []
        files = [one["file"] for one in products if one.get("project_id") == row["project_id"]]
        table.change(flow, files, status="project ready", problem="")
