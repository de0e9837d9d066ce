# SPDX-License-Identifier: GPL-3.0-or-later
"""The step-by-step workflow: models, PUT, confirm, ready, projects.

(Glossi docs, Complete Workflow.) A model record without a confirm has started nothing, so it may be
made again when its address ended. Projects are made by a call that may happen once: no list would
tell what became of it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ...faults import HttpError
from ...flow import Flow, Submission
from ...jobs import State, StepKind
from ...problems import ProblemError
from . import table
from .explain import error_text
from .sending import put_all, renewable

if TYPE_CHECKING:
    from .client import GlossiClient

#: many ids go into one status call; how many is not documented
_IDS = 50
_TRIES = 3


def projects(
    flow: Flow, client: GlossiClient, products: list[dict[str, Any]], template: dict[str, Any]
) -> list[dict[str, Any]]:
    """``[{"project_id", "name", "model_id", "files": [file]}]`` of the models that worked."""
    models = _send(flow, client, products)
    ready = _wait(flow, client, models)
    if not ready:
        return []
    per_model = bool(flow.job.options.get("per_model", True)) or len(ready) == 1
    name = str(flow.job.options.get("project_name") or "").strip()

    def send(submission: Submission) -> dict[str, Any]:
        made = client.create_projects(
            [model["id"] for model in ready],
            template["id"],
            name=name or None,
            create_per_model=per_model and len(ready) > 1,
            before_last_piece=submission.body_complete,
        )
        return {"id": str(made[0]["projectId"]), "projects": made}

    made = flow.once(
        "projects",
        send,
        lambda _submission: None,
        moves=lambda answer: {"state": State.REMOTE, "waiting_reason": "", "problem": None},
        state=State.SUBMITTING,
        listed=False,
    )
    return _matched(made, ready)


def _matched(made: dict[str, Any], ready: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Which project holds which products; ids that a person named are taken in order."""
    files = {model["id"]: model["file"] for model in ready}
    if made.get("named"):
        named = [part for part in str(made["id"]).replace(",", " ").split() if part]
        if len(named) == 1 and len(ready) > 1:
            return [_project(named[0], "", "", list(files.values()))]
        return [
            _project(one, "", model["id"], [model["file"]])
            for one, model in zip(named, ready, strict=False)
        ]
    found = []
    for number, row in enumerate(made["projects"]):
        ids = [str(one) for one in row.get("modelIds") or []]
        if not ids and len(made["projects"]) == len(ready):
            ids = [ready[number]["id"]]
        found.append(
            _project(
                str(row["projectId"]),
                str(row.get("name") or ""),
                ids[0] if ids else "",
                [files[one] for one in ids if one in files] or list(files.values()),
            )
        )
    return found


def _project(project_id: str, name: str, model_id: str, files: list[str]) -> dict[str, Any]:
    return {"project_id": project_id, "name": name, "model_id": model_id, "files": files}


def _send(flow: Flow, client: GlossiClient, products: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """``[{"id", "file"}]``: every model created, uploaded and confirmed, one by one.

    Each has its own address and its own hour, so only those that were not confirmed are made again.
    """
    sent = []
    for number, product in enumerate(products):
        model = flow.step(
            f"upload.{number}",
            lambda product=product: _upload(flow, client, product),  # type: ignore[misc]
            kind=StepKind.RENEWABLE,
            state=State.UPLOADING,
            text=f"{number + 1} of {len(products)} models",
        )
        with renewable(flow, f"upload.{number}"):
            flow.step(
                f"confirm.{number}",
                lambda model=model: _confirm(client, model["id"]),  # type: ignore[misc]
                kind=StepKind.CHECK,
            )
        sent.append(model)
    return sent


def _upload(flow: Flow, client: GlossiClient, product: dict[str, Any]) -> dict[str, Any]:
    for attempt in range(_TRIES):
        made = client.create_models(
            [{"name": product["name"], "fileName": product["file_name"], "fileType": "glb"}]
        )
        try:
            put_all(flow, client, [(made[0]["uploadUrl"], product)])
        except ProblemError as error:
            if not getattr(error, "expired", False) or attempt == _TRIES - 1:
                raise
            flow.note("The address for an upload ended before everything was sent; it was renewed.")
            continue
        return {"id": str(made[0]["modelId"]), "file": product["file_name"]}
    raise AssertionError("unreachable")


def _confirm(client: GlossiClient, model_id: str) -> dict[str, Any]:
    """Confirm; when its answer was lost the model's status tells whether it worked.

    A confirmed model is PENDING at first, and what one is called before that is not documented: so
    a refusal that says "already" is believed, if the model is there.
    """
    try:
        return client.confirm_model(model_id, "glb")
    except HttpError as error:
        if error.status is None or not 400 <= error.status < 500 or error.status in (401, 403, 429):
            raise
        done = error.status == 409 or "already" in error.message.lower()
        for row in client.models_status([model_id])["models"]:
            status = str(row.get("status") or "PENDING")
            if row["modelId"] == model_id and (done or row["ready"] or status != "PENDING"):
                return {"modelId": model_id, "status": status}
        raise


def _wait(flow: Flow, client: GlossiClient, models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The models that became ready; the others are in the table with their reason.

    ``ready`` decides. What a failed model's status is called is not documented: whatever holds FAIL
    or ERROR, an id that is not found, or one that takes longer than ``model_minutes``.
    """
    files = {model["id"]: model["file"] for model in models}
    limit = 60.0 * float(flow.job.options.get("model_minutes") or 30.0)
    begun = flow.store.step(flow.job.id, "ready")
    since = begun.started_at if begun else time.time()

    def look() -> dict[str, Any]:
        rows: dict[str, Any] = {}
        ids = list(files)
        for start in range(0, len(ids), _IDS):
            answer = client.models_status(ids[start : start + _IDS])
            for row in answer["models"]:
                rows[str(row["modelId"])] = row
            for lost in answer["notFound"]:
                rows[str(lost)] = {"status": "NOT FOUND"}
        late = time.time() - since > limit
        return {"rows": rows, "late": late}

    def settled(answer: dict[str, Any]) -> bool:
        return answer["late"] or all(
            one in answer["rows"] and _verdict(answer["rows"][one]) != "" for one in files
        )

    def show(answer: dict[str, Any]) -> dict[str, Any]:
        good = sum(_verdict(row) == "ready" for row in answer["rows"].values())
        return {
            "remote": answer,
            "state_text": "Preparing the models",
            "phase_done": float(good),
            "phase_total": float(len(files)),
            "phase_unit": "steps",
        }

    final = flow.follow("ready", look, settled, show)
    ready = []
    for model in models:
        row = final["rows"].get(model["id"]) or {}
        if _verdict(row) == "ready":
            ready.append(model)
            continue
        status = str(row.get("status") or "no status")
        late = final["late"] and not _verdict(row)
        why = error_text(row) or (
            f"It was not ready after {limit / 60:g} minutes." if late else f"Glossi says: {status}."
        )
        table.change(flow, [model["file"]], status="failed", problem=why)
    return ready


def _verdict(row: dict[str, Any]) -> str:
    """ "ready", "failed", or "" while nobody knows."""
    if row.get("ready") is True:
        return "ready"
    status = str(row.get("status") or "").upper()
    failed = any(word in status for word in ("FAIL", "ERROR", "NOT FOUND"))
    return "failed" if failed else ""
