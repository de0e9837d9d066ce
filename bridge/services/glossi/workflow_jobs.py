# SPDX-License-Identifier: GPL-3.0-or-later
"""The Jobs workflow: create, PUT, confirm, poll (Glossi docs, Simple Workflow).

Nothing has started before the confirm, so creating and uploading may be done again: addresses
live for an hour, and there is no call that renews them. What does not fit into an hour is split
into several jobs, each confirmed before the next one is made.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ...faults import HttpError
from ...flow import Flow
from ...jobs import State, StepKind
from ...problems import Category, ProblemError
from . import in_job, table
from .explain import error_text
from .options import render_settings
from .sending import put_all, renewable

if TYPE_CHECKING:
    from .client import GlossiClient

_ENDED = frozenset({"COMPLETE", "FAILED"})
COUNTERS = (
    "modelsUploaded",
    "modelsReady",
    "modelsTotal",
    "projectsCreated",
    "projectsTotal",
    "rendersComplete",
    "rendersTotal",
)
#: how often one model that cannot be split any further is tried
_TRIES = 3
_TEXTS = {
    "AWAITING_UPLOADS": "Waiting for the models",
    "PROCESSING": "Preparing the models",
    "CREATING_PROJECTS": "Making projects",
    "RENDERING": "Rendering",
    "COMPLETE": "Projects are ready",
    "FAILED": "Failed",
}


def projects(
    flow: Flow, client: GlossiClient, products: list[dict[str, Any]], template: dict[str, Any]
) -> list[dict[str, Any]]:
    """``[{"project_id", "name", "model_id", "files": [file]}]`` of the models that worked."""
    sent = _send(flow, client, products, template)
    final = flow.follow(
        "processed",
        lambda: {"jobs": [client.job(one["job_id"]) for one in sent]},
        lambda answer: all(job["status"] in _ENDED for job in answer["jobs"]),
        lambda answer: _shown(flow, answer["jobs"]),
    )
    found: list[dict[str, Any]] = []
    for one, job in zip(sent, final["jobs"], strict=True):
        found += _of_job(flow, one, job)
    return found


def _send(
    flow: Flow, client: GlossiClient, products: list[dict[str, Any]], template: dict[str, Any]
) -> list[dict[str, Any]]:
    """Create, upload and confirm; one job, or several where an hour was too short."""
    files = {product["file_name"]: product for product in products}
    plan: list[list[str]] = flow.answer("plan") or [list(files)]
    sent: list[dict[str, Any]] = []
    alone = 0
    while len(sent) < len(plan):
        number = len(sent)
        batch = [files[name] for name in plan[number]]
        try:
            job = flow.step(
                f"upload.{number}",
                lambda batch=batch: _upload(flow, client, batch, template),  # type: ignore[misc]
                kind=StepKind.RENEWABLE,
                state=State.UPLOADING,
            )
        except ProblemError as error:
            alone += len(batch) == 1
            if not getattr(error, "expired", False) or alone >= _TRIES:
                raise
            if len(batch) == 1:
                flow.note("The address for an upload ended before it was sent; a new job was made.")
                continue
            half = len(batch) // 2
            plan[number : number + 1] = [plan[number][:half], plan[number][half:]]
            flow.step_aside("plan", plan)
            flow.note(
                "The addresses for the upload ended before everything was sent. A new job at "
                "Glossi was needed; the models now go in several jobs."
            )
            continue
        # A job that renders by itself may have begun to, if an earlier confirm arrived.
        kept = in_job.asked(flow)
        with contextlib.nullcontext() if kept else renewable(flow, f"upload.{number}"):
            flow.step(
                f"confirm.{number}",
                lambda job=job: _confirm(client, job["job_id"]),  # type: ignore[misc]
                kind=StepKind.CHECK,
                state=State.REMOTE,
                text="Confirming the models",
                moves=lambda _answer, job=job: {"remote_id": job["job_id"]},  # type: ignore[misc]
            )
        sent.append(job)
        alone = 0
    return sent


def _upload(
    flow: Flow, client: GlossiClient, batch: list[dict[str, Any]], template: dict[str, Any]
) -> dict[str, Any]:
    """POST /jobs and a PUT for each model; ``{"job_id", "models": [{"id", "file"}]}``."""
    options = flow.job.options
    settings = render_settings(options) if in_job.asked(flow) else None
    job = client.create_job(
        [{"fileName": product["file_name"], "fileType": "glb"} for product in batch],
        template["id"],
        create_projects=True,
        render_settings=settings,
        webhook_url=options.get("webhook_url") or None,
    )
    targets = _matched(job["models"], batch)
    put_all(flow, client, [(model["uploadUrl"], product) for model, product in targets])
    return {
        "job_id": job["jobId"],
        "models": [{"id": m["id"], "file": p["file_name"]} for m, p in targets],
    }


def _matched(
    models: list[dict[str, Any]], batch: list[dict[str, Any]]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Which address is whose: by the file's name, which is unique, else by the order."""
    by_name = {str(model.get("fileName") or ""): model for model in models}
    pairs = []
    for number, product in enumerate(batch):
        model = by_name.get(product["file_name"])
        if model is None and len(models) == len(batch) and not models[number].get("fileName"):
            model = models[number]
        if model is None:
            raise ProblemError(
                Category.SERVICE,
                f"Glossi gave no address for “{product['file_name']}”.",
                "Try again.",
                f"{len(models)} addresses for {len(batch)} models",
            )
        pairs.append((model, product))
    return pairs


def _confirm(client: GlossiClient, job_id: str) -> dict[str, Any]:
    """Confirm unless it is done already: what a second one does is not documented."""
    job = client.job(job_id)
    if job["status"] != "AWAITING_UPLOADS":
        return {"status": job["status"]}
    try:
        return client.confirm_uploads(job_id)
    except HttpError as error:
        if error.status is None or not 400 <= error.status < 500 or error.status in (401, 403, 429):
            raise
        job = client.job(job_id)
        if job["status"] == "AWAITING_UPLOADS":
            raise
        return {"status": job["status"]}


def _shown(flow: Flow, jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """All seven counters, summed over the jobs, and the status of the one that is least far."""
    counters = dict.fromkeys(COUNTERS, 0)
    for job in jobs:
        told = job.get("progress")
        progress = told if isinstance(told, dict) else {}
        for name in COUNTERS:
            value = progress.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                counters[name] += value
    worked = any(job["status"] == "COMPLETE" for job in jobs)
    status = next(
        (job["status"] for job in jobs if job["status"] not in _ENDED),
        "COMPLETE" if worked else "FAILED",
    )
    report = {**flow.job.report, "counters": counters}
    batches = [job["batchProject"] for job in jobs if isinstance(job.get("batchProject"), dict)]
    if batches:
        report["batch_projects"] = batches
    made = counters["modelsReady"] + counters["projectsCreated"]
    total = counters["modelsTotal"] + counters["projectsTotal"]
    return {
        "remote": jobs[0] if len(jobs) == 1 else {"jobs": jobs},
        "state_text": _TEXTS.get(status, status),
        "phase_done": float(made),
        "phase_total": float(total),
        "phase_unit": "steps" if total else "",
        "report": report,
    }


def _of_job(flow: Flow, sent: dict[str, Any], job: dict[str, Any]) -> list[dict[str, Any]]:
    """The projects of one ended job; models without one have failed, the others are kept."""
    files = {model["id"]: model["file"] for model in sent["models"]}
    found, seen = [], set()
    for row in job.get("results") or []:
        model, project = _inner(row, "model"), _inner(row, "project")
        file = files.get(str(model.get("id") or "")) or next(
            (f for f in files.values() if f == model.get("name")), None
        )
        if file is None or not project.get("id") or file in seen:
            continue
        seen.add(file)
        found.append(
            {
                "project_id": str(project["id"]),
                "name": str(project.get("name") or ""),
                "model_id": str(model.get("id") or ""),
                "files": [file],
            }
        )
    why = error_text(job) or (
        "Glossi failed the job and gave no reason."
        if job["status"] == "FAILED"
        else "Glossi made no project of this model and gave no reason."
    )
    table.change(flow, set(files.values()) - seen, status="failed", problem=why)
    return found


def _inner(row: Any, name: str) -> dict[str, Any]:
    value = row.get(name) if isinstance(row, dict) else None
    return value if isinstance(value, dict) else {}
