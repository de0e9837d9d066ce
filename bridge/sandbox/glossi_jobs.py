# SPDX-License-Identifier: GPL-3.0-or-later
"""Glossi's Jobs workflow: create, confirm-uploads, look (Glossi docs, Simple Workflow)."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

from . import glossi_check, glossi_fate, glossi_templates
from .glossi_check import BodyError, Fields
from .glossi_desk import Desk, Route, confirmed, fate_of, uploaded
from .glossi_store import JOB, MODEL, UPLOADING, Record
from .glossi_ways import ordered
from .wire import Request, Response


class JobCalls:
    """The calls below ``/jobs``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.routes: list[Route] = [
            ("POST", re.compile("/jobs"), self._create),
            ("GET", re.compile("/jobs/([^/]+)"), self._look),
            ("POST", re.compile("/jobs/([^/]+)/confirm-uploads"), self._confirm),
        ]

    def _create(self, request: Request) -> Response:
        desk, store = self._desk, self._desk.store
        fields = desk.fields(
            request, "models templateId createProjects renderSettings webhookUrl"
        )  # fmt: skip
        models = glossi_check.models(fields, named=False, ignore=desk.lenient)
        doc = self._wanted(fields, fields.raw("renderSettings"))
        url = fields.text("webhookUrl", required=False)
        private = {
            "webhook_url": glossi_check.address(url) if url else "",
            "fate": fate_of(request),
            "batch": str(uuid.uuid4()),
        }
        fate = private["fate"].get("models") or {}  # type: ignore[attr-defined]
        with store.transaction():
            made = [
                store.create(MODEL, UPLOADING, item, {"fate": glossi_fate.chosen(fate, number)})
                for number, item in enumerate(models)
            ]
            doc["models"] = [model.id for model in made]
            job = store.create(JOB, "AWAITING_UPLOADS", doc, private)
        request.entry["job_id"] = job.id
        rows = [desk.views.upload(model, of_job=True) for model in made]
        answer = {"jobId": job.id, "status": job.status, "models": ordered(rows, desk.ways())}
        return desk.answer(answer, request)

    def _wanted(self, fields: Fields, asked: Any) -> dict[str, Any]:
        """What is to be made of the models. Raises BodyError, HttpError."""
        template = fields.text("templateId", required=False)
        if template and glossi_templates.find(template) is None:
            raise self._desk.error(404, "Template not found")
        create = fields.flag("createProjects", True)
        settings: dict[str, Any] | None = None
        if asked is not None:
            settings = glossi_check.settings(asked, of_job=True, ignore=self._desk.lenient)
            if not (settings["renderBookmarks"] or settings["renderShots"]):
                settings = None
        if settings and not (template and create):
            raise BodyError("Rendering needs a templateId, and createProjects")
        if create and not template and self._desk.ways()["no_template"] == "refuse":
            raise BodyError("templateId is required to create projects")
        return {"templateId": template, "createProjects": create, "settings": settings}

    def _look(self, request: Request, identifier: str) -> Response:
        return self._desk.answer(self._desk.views.job(self._desk.get(JOB, identifier)), request)

    def _confirm(self, request: Request, identifier: str) -> Response:
        desk, store = self._desk, self._desk.store
        desk.fields(request, "")
        job = desk.get(JOB, identifier)
        models = store.known(MODEL, job.doc["models"])
        there = [model for model in models if uploaded(model)]
        changed = None
        if job.state == "AWAITING_UPLOADS":
            if len(there) < len(models) and desk.ways()["confirm_early"] == "refuse":
                lost = next(model for model in models if not uploaded(model))
                raise desk.error(400, f"{lost.doc['fileName']} has not been uploaded")
            desk.room(MODEL, len(models))
            changed = store.change(JOB, identifier, lambda item: self._begin(item, models, request))
        if changed is None:
            status = desk.get(JOB, identifier).status
            if desk.ways()["confirm_again"] != 200:
                raise desk.error(
                    int(desk.ways()["confirm_again"]), f"Uploads are confirmed already: {status}"
                )
            return desk.answer(
                {"jobId": identifier, "status": status, "modelsConfirmed": len(models)}, request
            )
        request.entry["job_id"] = identifier
        desk.runner.wake()
        desk.conductor.wake()
        return desk.answer(
            {"jobId": identifier, "status": "PROCESSING", "modelsConfirmed": len(there)}, request
        )

    def _begin(self, job: Record, models: list[Record], request: Request) -> bool:
        if job.state != "AWAITING_UPLOADS":
            return False
        fate, store, now = fate_of(request), self._desk.store, time.time()
        job.private["fate"] = {**job.private.get("fate", {}), **fate}
        for number, model in enumerate(models):
            more = glossi_fate.chosen(fate.get("models") or {}, number)
            store.change(MODEL, model.id, lambda item, more=more: confirmed(item, more, now))  # type: ignore[misc]
        glossi_fate.enter(job, "PROCESSING")
        if job.doc["settings"]:
            store.count_start()
            request.entry["paid"] = 1
        return True
