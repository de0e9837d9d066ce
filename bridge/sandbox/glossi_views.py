# SPDX-License-Identifier: GPL-3.0-or-later
"""Glossi's answers and events: bare objects in camelCase, keys in the order of its guides.

(Glossi docs: Simple Workflow, Complete Workflow, Webhooks.) Payloads of ``model.failed``,
``project.created``, ``job.failed`` and ``render.failed`` could not be read; they are made after the
others, with the reason in the field that the status calls have.
"""

from __future__ import annotations

from typing import Any

from .glossi_storage import GlossiStorage
from .glossi_store import JOB, MODEL, PROJECT, RENDER, GlossiStore, Record
from .glossi_ways import ordered

Answer = dict[str, Any]


class Views:
    """``ways`` are those in force."""

    def __init__(self, store: GlossiStore, storage: GlossiStorage, ways: Any) -> None:
        self._store = store
        self._storage = storage
        self._ways = ways

    # -- models ----------------------------------------------------------------------------------

    def upload(self, model: Record, *, of_job: bool) -> Answer:
        """A model that was just created; its id has another name in each workflow."""
        key = self._storage.model_key(model.id)
        names = (
            {"id": model.id, "fileName": model.doc["fileName"]}
            if of_job
            else {"modelId": model.id, "name": model.doc["name"]}
        )
        return {**names, "uploadUrl": self._storage.upload_url(key), "uploadKey": key}

    def status(self, model: Record) -> Answer:
        """A row of POST /models/status."""
        ways = self._ways()
        row: Answer = {
            "modelId": model.id,
            "name": model.doc["name"],
            "status": self.model_status(model),
            "ready": model.state == "READY",
        }
        if model.state == "FAILED" and ways["model_error"] != "absent":
            row[ways["model_error"]] = model.doc.get("failure", "")
        return row

    def model_status(self, model: Record) -> str:
        """What is shown of a model; the word for a failed one is not documented."""
        return str(self._ways()["failed_status"]) if model.state == "FAILED" else model.status

    # -- jobs ------------------------------------------------------------------------------------

    def job(self, job: Record) -> Answer:
        """GET /jobs/{jobId}."""
        ways = self._ways()
        view: Answer = {"jobId": job.id, "status": job.status}
        if "batchProject" in job.doc:
            view["batchProject"] = job.doc["batchProject"]
        view["progress"] = self._progress(job)
        if job.state == "COMPLETE" or (job.state == "FAILED" and ways["partial"] == "fail_results"):
            view["results"] = self.results(job, ways["job_renders"] == "results")
            if ways["job_renders"] == "top" and job.doc["settings"]:
                rows = self._store.known(RENDER, job.doc.get("renders", []))
                view["renders"] = [file for row in rows for file in self.files(row)]
        if error := self.error(job):
            view["error"] = {"message": error} if ways["job_error"] == "object" else error
        return view

    def error(self, job: Record) -> str:
        """Why a job failed, or what it lacks where that is told."""
        told = job.state == "FAILED" or (
            job.state == "COMPLETE" and self._ways()["partial"] == "keep_error"
        )
        return str(job.doc.get("failure", "")) if told else ""

    def _progress(self, job: Record) -> Answer:
        models = self._store.known(MODEL, job.doc["models"])
        projects, renders = job.doc.get("projects"), job.doc.get("renders")
        planned = len(job.doc["models"]) if job.doc["createProjects"] else 0
        ended = [one for one in self._store.known(RENDER, renders or []) if one.state in (
            "COMPLETED",
        )]  # fmt: skip
        total = len(projects) if projects is not None else planned
        return {
            "modelsUploaded": sum(model.private.get("bytes") is not None for model in models),
            "modelsReady": sum(model.state == "READY" for model in models),
            "modelsTotal": len(job.doc["models"]),
            "projectsCreated": len(projects or []),
            "projectsTotal": total,
            "rendersComplete": len(ended),
            "rendersTotal": total if job.doc["settings"] else 0,
        }

    def results(self, job: Record, with_renders: bool = False) -> list[Answer]:
        """Which project was made of which model; without those that failed or are to be missing."""
        lost = set((job.private.get("fate") or {}).get("lose") or [])
        projects = {
            project.doc["modelIds"][0]: project
            for project in self._store.known(PROJECT, job.doc.get("projects", []))
        }
        renders = {
            render.doc["projectId"]: render
            for render in self._store.known(RENDER, job.doc.get("renders", []))
        }
        rows = []
        for number, model in enumerate(self._store.known(MODEL, job.doc.get("ready", []))):
            project = projects.get(model.id)
            row: Answer = {"model": {"id": model.id, "name": model.doc["name"]}}
            if project is not None:
                row["project"] = {"id": project.id, "name": project.doc["name"]}
                if with_renders and project.id in renders:
                    row["renders"] = self.files(renders[project.id])
            if number not in lost:
                rows.append(row)
        return ordered(rows, self._ways())

    # -- projects and renders --------------------------------------------------------------------

    def project(self, project: Record) -> Answer:
        """A row of POST /projects."""
        view: Answer = {
            "projectId": project.id,
            "name": project.doc["name"],
            "status": project.status,
            "modelIds": project.doc["modelIds"],
        }
        if project.doc["templateId"]:
            view["templateId"] = project.doc["templateId"]
        return view

    def render(self, render: Record) -> Answer:
        """GET /renders/{jobId}."""
        view: Answer = {
            "jobId": render.id,
            "status": render.status,
            "projectId": render.doc["projectId"],
        }
        if render.state == "COMPLETED":
            view["renders"] = self.files(render)
        if render.state == "FAILED":
            view["errorMessage"] = render.doc.get("failure", "")
        return view

    def files(self, render: Record) -> list[Answer]:
        """The finished files of a render job."""
        kind = self._ways()["files"]
        rows = []
        for file in render.doc.get("renders", []):
            row = dict(file)
            if kind != "key":
                row["filePath" if kind == "path_url" else kind] = self._storage.url(row["filePath"])
            rows.append(row)
        return ordered(rows, self._ways())

    # -- events ----------------------------------------------------------------------------------

    def event(self, record: Record) -> tuple[str, Answer]:
        """The name and ``data`` of what a record's end, or a new project, tells."""
        good = record.state != "FAILED"
        if record.kind == MODEL:
            data: Answer = {"modelId": record.id, "name": record.doc["name"],
                            "status": self.model_status(record)}  # fmt: skip
            if not good:
                return "model.failed", {**data, "error": record.doc.get("failure", "")}
            key = self._storage.model_key(record.id)
            data["glbFilePath"] = self._storage.url(key)
            if record.doc.get("thumbnail"):
                thumbnail = key.replace("model.glb", "thumbnail.jpg")
                data["thumbnailUrl"] = self._storage.url(thumbnail)
            return "model.processed", data
        if record.kind == PROJECT:
            return "project.created", self.project(record)
        if record.kind == JOB:
            data = {"jobId": record.id, "status": record.state, "results": self.results(record)}
            if good:
                return "job.complete", data
            return "job.failed", {**data, "error": record.doc.get("failure", "")}
        data = {"jobId": record.id, "status": record.state, "projectId": record.doc["projectId"]}
        if good:
            files = record.doc.get("renders", [])
            return "render.complete", {**data, "renderIds": [file["id"] for file in files]}
        return "render.failed", {**data, "errorMessage": record.doc.get("failure", "")}
