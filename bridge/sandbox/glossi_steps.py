# SPDX-License-Identifier: GPL-3.0-or-later
"""Glossi step by step: models, templates, projects, renders (Glossi docs, Complete Workflow)."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

from . import glossi_check, glossi_fate, glossi_templates
from .glossi_check import BodyError
from .glossi_desk import Desk, Route, confirmed, fate_of, uploaded
from .glossi_flow import project_name
from .glossi_store import MODEL, PROJECT, RENDER, UPLOADING, Record
from .glossi_ways import ordered
from .wire import Request, Response


class StepCalls:
    """The calls below ``/models``, ``/templates``, ``/projects`` and ``/renders``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.routes: list[Route] = [
            ("POST", re.compile("/models"), self._create_models),
            ("POST", re.compile("/models/status"), self._models_status),
            ("POST", re.compile("/models/([^/]+)/confirm"), self._confirm),
            ("GET", re.compile("/templates"), self._templates),
            ("POST", re.compile("/projects"), self._create_projects),
            ("POST", re.compile("/renders"), self._create_renders),
            ("GET", re.compile("/renders/([^/]+)"), self._look),
            ("POST", re.compile("/renders/([^/]+)/retry"), self._retry),
        ]

    # -- models ----------------------------------------------------------------------------------

    def _create_models(self, request: Request) -> Response:
        desk = self._desk
        fields = desk.fields(request, "models")
        models = glossi_check.models(fields, named=True, ignore=desk.lenient)
        fate = fate_of(request)
        with desk.store.transaction():
            made = [
                desk.store.create(
                    MODEL, UPLOADING, item, {"fate": glossi_fate.chosen(fate, number)}
                )
                for number, item in enumerate(models)
            ]
        rows = [desk.views.upload(model, of_job=False) for model in made]
        return desk.answer({"models": ordered(rows, desk.ways())}, request)

    def _confirm(self, request: Request, identifier: str) -> Response:
        desk = self._desk
        if desk.fields(request, "fileType").text("fileType") != "glb":
            raise BodyError("fileType must be glb")
        model = desk.get(MODEL, identifier)
        changed = None
        if model.state == UPLOADING:
            if not uploaded(model) and desk.ways()["confirm_early"] == "refuse":
                raise desk.error(400, f"{model.doc['fileName']} has not been uploaded")
            desk.room(MODEL, 1)
            fate, now = fate_of(request), time.time()
            changed = desk.store.change(MODEL, identifier, lambda one: confirmed(one, fate, now))
        if changed is None:
            if desk.ways()["confirm_again"] != 200:
                raise desk.error(
                    int(desk.ways()["confirm_again"]), "The upload is confirmed already"
                )
            changed = desk.get(MODEL, identifier)
        desk.runner.wake()
        answer = {
            "modelId": changed.id,
            "name": changed.doc["name"],
            "status": desk.views.model_status(changed),
            "filePath": desk.storage.model_key(changed.id),
        }
        return desk.answer(answer, request)

    def _models_status(self, request: Request) -> Response:
        desk = self._desk
        wanted = desk.fields(request, "modelIds").ids("modelIds")
        found = desk.store.known(MODEL, wanted)
        there = {model.id for model in found}
        lost = [identifier for identifier in wanted if identifier not in there]
        answer = {
            "models": ordered([desk.views.status(one) for one in found], desk.ways()),
            "allReady": not lost and all(model.state == "READY" for model in found),
            "notFound": lost,
        }
        return desk.answer(answer, request)

    def _templates(self, request: Request) -> Response:
        public, internal = (
            request.parameter(name, "true").lower() not in ("false", "0")
            for name in ("public", "internal")
        )
        rows = [
            item.view() for item in glossi_templates.listed(public=public, internal=internal)
        ]  # fmt: skip
        return self._desk.answer({"templates": rows}, request)

    # -- projects and renders --------------------------------------------------------------------

    def _create_projects(self, request: Request) -> Response:
        desk = self._desk
        fields = desk.fields(request, "name modelIds templateId createPerModel")
        ids, name = fields.ids("modelIds"), fields.text("name", required=False)
        per_model = fields.flag("createPerModel", False)
        template = fields.text("templateId", required=desk.ways()["no_template"] == "refuse")
        if template and glossi_templates.find(template) is None:
            raise desk.error(404, "Template not found")
        models = [desk.get(MODEL, identifier) for identifier in ids]
        for model in models:
            if model.state != "READY":
                status = desk.views.model_status(model)
                raise desk.error(400, f"Model {model.id} is not ready: {status}")
        groups = [[model] for model in models] if per_model else [models]
        with desk.store.transaction():
            made = [
                desk.store.create(PROJECT, "PENDING", _project(group, name, template))
                for group in groups
            ]
        for project in made:
            event, data = desk.views.event(project)
            desk.hook.send(event, data, project.id)
        request.entry["job_id"] = made[0].id
        rows = [desk.views.project(project) for project in made]
        return desk.answer({"projects": ordered(rows, desk.ways())}, request)

    def _create_renders(self, request: Request) -> Response:
        desk, ways = self._desk, self._desk.ways()
        fields = desk.fields(request, "projectIds settings")
        ids = fields.ids("projectIds")
        settings = glossi_check.settings(fields.raw("settings"), ignore=desk.lenient)
        projects = [desk.get(PROJECT, identifier) for identifier in ids]
        for project in projects:
            if not project.doc["templateId"]:
                raise desk.error(400, f"Project {project.id} has no template")
            if time.time() - project.changed_at < float(ways["project_seconds"]):
                raise desk.error(int(ways["not_ready"]), f"Project {project.id} is not ready yet")
        desk.room(RENDER, len(projects))
        fate = fate_of(request)
        with desk.store.transaction():
            made = [
                desk.store.create(
                    RENDER,
                    "QUEUED",
                    {"projectId": project.id, "settings": settings},
                    {"fate": glossi_fate.chosen(fate, number), "asked_at": time.time(),
                     "attempts": 1},
                )
                for number, project in enumerate(projects)
            ]  # fmt: skip
            desk.store.count_start()
        request.entry.update(job_id=made[0].id, paid=1)
        desk.runner.wake()
        rows: list[dict[str, Any]] = [
            {"jobId": job.id, "status": "QUEUED", "projectId": job.doc["projectId"]} for job in made
        ]
        return desk.answer({"jobs": ordered(rows, ways), "totalProjects": len(made)}, request)

    def _look(self, request: Request, identifier: str) -> Response:
        desk = self._desk
        return desk.answer(desk.views.render(desk.get(RENDER, identifier)), request)

    def _retry(self, request: Request, identifier: str) -> Response:
        desk = self._desk
        desk.fields(request, "")
        render = desk.get(RENDER, identifier)
        if render.state == "FAILED":
            desk.room(RENDER, 1)
        fate, batch = fate_of(request), str(uuid.uuid4())

        def again(item: Record) -> Any:
            if item.state != "FAILED":
                return False
            item.state = "QUEUED"
            item.doc.pop("failure", None)
            item.doc["batchId"] = batch
            item.private.pop("held", None)
            item.private.update(
                attempts=int(item.private.get("attempts", 1)) + 1,
                asked_at=time.time(), interruptions=0, fate=fate or item.private.get("fate", {}),
            )  # fmt: skip
            return True

        changed = desk.store.change(RENDER, identifier, again, ended=True)
        if changed is None:
            status = desk.get(RENDER, identifier).status
            raise desk.error(
                int(desk.ways()["retry_status"]), f"Only failed jobs can be retried, not {status}"
            )
        request.entry["job_id"] = identifier
        desk.runner.wake()
        answer = {
            "jobId": identifier,
            "status": "QUEUED",
            "projectId": changed.doc["projectId"],
            "batchId": batch,
        }
        return desk.answer(answer, request)


def _project(models: list[Record], name: str, template: str) -> dict[str, Any]:
    first = project_name(models[0].doc["name"])
    return {
        "name": name or first,
        "modelIds": [model.id for model in models],
        "templateId": template,
    }
