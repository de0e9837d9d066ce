# SPDX-License-Identifier: GPL-3.0-or-later
"""Glossi's API: jobs, models, templates, projects, renders, the webhook (Glossi docs, API, beta).

Every call is one request of the two guides. Which of them may be repeated is decided here: reads,
the webhook's setting, and jobs and models that nobody has confirmed are; the confirms and a retry
are tried once, and whoever calls looks before and after; projects and renders are made once. Only
what the guides promise is required, in any shape that holds it, and what they do not know is handed
on. Presigned addresses are used without the key and never written anywhere.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ...faults import HttpError, unreadable
from ...http import Http
from ...presigned import is_expired, storage_code
from ...problems import Category, ProblemError
from ...redact import remember, technical
from ...settings import Settings
from ...uploads import FileUpload, JsonUpload
from .bits import as_dict, id_of, life, quoted, rows_in, status_of, text_of, webhook_in
from .explain import explain, explain_storage
from .templates import all_templates

__all__ = ["GLB", "GlossiClient", "UploadExpired", "connection"]

#: what a model is sent as; for other kinds of file it is not documented (Simple Workflow, step 2)
GLB = "model/gltf-binary"
_MARGIN = 15.0  # before its end no upload is begun; less where it lives shorter
#: the two workflows have different words for the same end
_JOB_WORDS = {"COMPLETED": "COMPLETE"}
_RENDER_WORDS = {"COMPLETE": "COMPLETED"}


class UploadExpired(ProblemError):
    """A presigned address has ended: only a new job or model record has another one."""

    expired = True
    transient = False
    status = 403
    retry_after: float | None = None

    def __init__(self, detail: str = "") -> None:
        super().__init__(
            Category.SERVICE,
            "Glossi's address for the upload has expired.",
            "It lives for an hour. Send fewer or smaller products at once.",
            technical(detail or "upload address expired"),
        )


def connection(
    base_url: str,
    key: str | None,
    *,
    settings: Settings | None = None,
    online: Callable[[], bool] | None = None,
    cancelled: Callable[[], bool] | None = None,
    log: logging.Logger | None = None,
) -> Http:
    """A connection to Glossi: the key in ``X-API-Key``, Glossi's errors in words."""
    return Http(
        base_url,
        key,
        auth=lambda value: {"X-API-Key": value},
        settings=settings,
        online=online,
        cancelled=cancelled,
        explain=explain,
        label="Glossi",
        log=log,
    )


class GlossiClient:
    """Glossi through an ``Http`` made by ``connection``.

    Ids and states are texts, states in capitals. Threads may share it for ``put``; everything else
    belongs to one thread.
    """

    def __init__(self, http: Http) -> None:
        self.http = http
        #: upload address -> (its end by the monotonic clock, how long before it is too late)
        self._ends: dict[str, tuple[float, float]] = {}

    # -- templates, key ---------------------------------------------------------------------------

    def templates(
        self, internal: bool | None = None, public: bool | None = None
    ) -> list[dict[str, Any]]:
        """GET /templates: ``[{"templateId", "name", "description", …}]``.

        Public and the workspace's own; ``internal=False`` gives only the public ones,
        ``public=False`` only the workspace's (Complete Workflow, Filtering Templates).
        """
        wanted = {"internal": internal, "public": public}
        params = {name: str(v).lower() for name, v in wanted.items() if v is not None}
        answer = self.http.get("/templates", params or None)
        rows = rows_in(answer.data, "templates")
        if rows is None:
            raise unreadable("Glossi", answer.status, "not a list of templates")
        return [
            {**row, "templateId": found, "name": text_of(row, "name"),
             "description": text_of(row, "description")}
            for row in rows
            if (found := id_of(row, "templateId", "id"))
        ]  # fmt: skip

    def templates_by_scope(self) -> list[dict[str, str]]:
        """``[{"id", "name", "description", "scope"}]``; scope is "public" or "workspace"."""
        return all_templates(self)

    def check_key(self) -> None:
        """Ask something that needs a key and is free: HttpError(CREDENTIALS) if it is wrong."""
        self.templates()

    def pricing(self) -> dict[str, float]:
        """No price is documented. The templates are read, so that a refused key is told."""
        self.check_key()
        return {}

    def me(self) -> dict[str, Any]:
        """No call for an account or a balance is documented."""
        return {"available": False}

    # -- the Jobs workflow -------------------------------------------------------------------------

    def create_job(
        self,
        models: Iterable[Mapping[str, str]],
        template_id: str | None,
        *,
        create_projects: bool | None = True,
        render_settings: Mapping[str, Any] | None = None,
        webhook_url: str | None = None,
    ) -> dict[str, Any]:
        """POST /jobs: ``{"jobId", "status", "models": [{"id", "fileName", "uploadUrl", …}]}``.

        ``models`` are ``{"fileName", "fileType"}``. Nothing starts before the confirm, so it is
        repeated like a read. ``uploadUrl`` is a secret: it stays in this process.
        """
        body: dict[str, Any] = {"models": [dict(model) for model in models]}
        body |= {"templateId": template_id} if template_id else {}
        body |= {} if create_projects is None else {"createProjects": create_projects}
        body |= {"renderSettings": dict(render_settings)} if render_settings else {}
        body |= {"webhookUrl": webhook_url} if webhook_url else {}
        asked = time.monotonic()
        answer = self.http.repeatable("POST", "/jobs", json=body)
        job_id = id_of(answer.data, "jobId", "id")
        rows = self._uploads(answer.data, "id", asked)
        if not job_id or rows is None:
            raise unreadable("Glossi", answer.status, "no job, or no upload addresses")
        status = status_of(answer.data, _JOB_WORDS) or "AWAITING_UPLOADS"
        return {**answer.data, "jobId": job_id, "status": status, "models": rows}

    def confirm_uploads(self, job_id: str) -> dict[str, Any]:
        """POST /jobs/{id}/confirm-uploads: one attempt, ``{"jobId", "status", …}``.

        What a second one does is not documented: after any HttpError the job's status tells.
        """
        answer = self.http.call("POST", f"/jobs/{quoted(job_id)}/confirm-uploads", empty=True)
        status = status_of(answer.data, _JOB_WORDS) or "PROCESSING"
        return {**as_dict(answer.data), "jobId": job_id, "status": status}

    def job(self, job_id: str) -> dict[str, Any]:
        """GET /jobs/{id}: ``{"jobId", "status", …}``, and what else Glossi told."""
        answer = self.http.get(f"/jobs/{quoted(job_id)}")
        status = status_of(answer.data, _JOB_WORDS)
        if not status:
            raise unreadable("Glossi", answer.status, "not a job")
        return {**answer.data, "jobId": job_id, "status": status}

    # -- models ------------------------------------------------------------------------------------

    def create_models(self, models: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
        """POST /models: ``[{"modelId", "name", "uploadUrl", …}]`` in Glossi's order.

        ``models`` are ``{"name", "fileName", "fileType"}``. Repeated as ``create_job`` is.
        """
        asked = time.monotonic()
        body = {"models": [dict(model) for model in models]}
        answer = self.http.repeatable("POST", "/models", json=body)
        rows = self._uploads(answer.data, "modelId", asked)
        if rows is None:
            raise unreadable("Glossi", answer.status, "no models, or no upload addresses")
        return rows

    def put(
        self,
        upload_url: str,
        path: Path,
        on_progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> int:
        """PUT a GLB to its presigned address; returns its bytes.

        A broken connection is tried again from the first byte (a single PUT cannot be continued).
        Raises UploadExpired when the address has ended or is about to, HttpError, Canceled.
        """
        size = 0

        def attempt() -> None:
            nonlocal size
            if self._ended(upload_url, early=True):
                raise UploadExpired("an hour has passed since the address was made")
            upload = FileUpload(path, GLB, on_progress=on_progress, cancelled=cancelled)
            size = upload.total
            try:
                storage.put_file(upload_url, upload)
            except HttpError as error:
                late = error.status in (401, 403, 410) and self._ended(upload_url, early=False)
                if late or is_expired(error):
                    raise UploadExpired(error.problem.technical) from None
                if error.status == 500 or storage_code(error) == "RequestTimeout":
                    error.transient = True  # an object store's own hiccups
                raise

        with self.http.keyless(label="Glossi's storage", explain=explain_storage) as storage:
            storage.retrying(attempt, cancelled)
        return size

    def confirm_model(self, model_id: str, file_type: str = "glb") -> dict[str, Any]:
        """POST /models/{id}/confirm: one attempt, ``{"modelId", "status", …}``.

        As of ``confirm_uploads``, its status tells what became of a lost answer.
        """
        answer = self.http.call(
            "POST", f"/models/{quoted(model_id)}/confirm", json={"fileType": file_type}, empty=True
        )
        status = status_of(answer.data) or "PENDING"
        return {**as_dict(answer.data), "modelId": model_id, "status": status}

    def models_status(self, model_ids: Iterable[str]) -> dict[str, Any]:
        """POST /models/status: ``{"models": [{"modelId", "status", "ready", …}], "allReady",
        "notFound": [id]}``. A read, whatever its method.
        """
        answer = self.http.repeatable(
            "POST", "/models/status", json={"modelIds": [str(one) for one in model_ids]}
        )
        rows = rows_in(answer.data, "models")
        data = as_dict(answer.data)
        lost = data.get("notFound")
        if rows is None and not isinstance(lost, list):
            raise unreadable("Glossi", answer.status, "not a list of models")
        models = []
        for row in rows or []:
            status = status_of(row)
            ready = row.get("ready") if isinstance(row.get("ready"), bool) else status == "READY"
            if found := id_of(row, "modelId", "id"):
                models.append({**row, "modelId": found, "status": status, "ready": ready})
        return {
            "models": models,
            "allReady": data.get("allReady") is True,
            "notFound": [
                found for one in (lost if isinstance(lost, list) else [])
                if (found := id_of(one, "modelId", "id") or id_of({"id": one}, "id"))
            ],
        }  # fmt: skip

    # -- projects and renders: made once ----------------------------------------------------------

    def create_projects(
        self,
        model_ids: Iterable[str],
        template_id: str,
        *,
        name: str | None = None,
        create_per_model: bool = False,
        before_last_piece: Callable[[], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[dict[str, Any]]:
        """POST /projects: ``[{"projectId", "name", "status", "modelIds", …}]``, at least one.

        Sent once: no list tells what became of a lost answer. Raises ``outcomes.Unsent`` (safe to
        repeat), ``Refused`` (nothing was made) or ``Lost`` (in doubt); Canceled before it has left.
        """
        body: dict[str, Any] = {"name": name} if name else {}
        body |= {"modelIds": [str(one) for one in model_ids], "templateId": template_id}
        body |= {"createPerModel": True} if create_per_model else {}
        return self._once("/projects", body, "projects", "projectId", before_last_piece, cancelled)

    def create_renders(
        self,
        project_ids: Iterable[str],
        settings: Mapping[str, Any],
        *,
        before_last_piece: Callable[[], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[dict[str, Any]]:
        """POST /renders: ``[{"jobId", "status", "projectId"}]``, at least one. Raises as above.

        Send every flag: those left out are true (Complete Workflow, Render Settings Explained).
        """
        body = {"projectIds": [str(one) for one in project_ids], "settings": dict(settings)}
        rows = self._once("/renders", body, "jobs", "jobId", before_last_piece, cancelled)
        return [{**row, "projectId": id_of(row, "projectId")} for row in rows]

    def render(self, job_id: str) -> dict[str, Any]:
        """GET /renders/{id}: ``{"jobId", "status", "projectId", "renders"?, "errorMessage"?}``."""
        answer = self.http.get(f"/renders/{quoted(job_id)}")
        status = status_of(answer.data, _RENDER_WORDS)
        if not status:
            raise unreadable("Glossi", answer.status, "not a render job")
        project = id_of(answer.data, "projectId")
        return {**answer.data, "jobId": job_id, "status": status, "projectId": project}

    def retry_render(self, job_id: str) -> dict[str, Any]:
        """POST /renders/{id}/retry: one attempt, ``{"jobId", "status", "batchId", …}``.

        "Only jobs with status FAILED can be retried"; after any HttpError the job's status tells.
        """
        answer = self.http.call("POST", f"/renders/{quoted(job_id)}/retry", empty=True)
        status = status_of(answer.data, _RENDER_WORDS) or "QUEUED"
        batch = id_of(answer.data, "batchId")
        return {**as_dict(answer.data), "jobId": job_id, "status": status, "batchId": batch}

    # -- the webhook -------------------------------------------------------------------------------

    def webhook(self) -> dict[str, Any] | None:
        """GET /webhooks: ``{"url", "events", "enabled", …}`` without its secret; None for none."""
        try:
            answer = self.http.repeatable("GET", "/webhooks", empty=True)
        except HttpError as error:
            if error.status == 404:
                return None
            raise
        return webhook_in(answer.data)

    def set_webhook(
        self,
        url: str,
        events: Iterable[str],
        *,
        enabled: bool = True,
        description: str | None = None,
    ) -> dict[str, Any]:
        """PUT /webhooks: the new setting with its ``secret`` ("" where none is told).

        There seems to be one setting for a workspace (no id in the path): look at the present one
        first. Repeated like a read; the last answer's secret is the one that counts.
        """
        body: dict[str, Any] = {"url": url, "events": list(events), "enabled": enabled}
        body |= {"description": description} if description else {}
        answer = self.http.repeatable("PUT", "/webhooks", json=body)
        made = webhook_in(answer.data) or body
        secret = text_of(answer.data, "secret")
        remember(secret)
        return {**made, "secret": secret}

    def delete_webhook(self) -> None:
        """DELETE /webhooks (its path is not documented; taken as that of the others)."""
        try:
            self.http.repeatable("DELETE", "/webhooks", empty=True)
        except HttpError as error:
            if error.status != 404:
                raise

    # -- within ------------------------------------------------------------------------------------

    def _once(
        self,
        path: str,
        body: Mapping[str, Any],
        group: str,
        name: str,
        before_last_piece: Callable[[], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> list[dict[str, Any]]:
        def made(data: Any) -> list[dict[str, Any]]:
            rows = rows_in(data, group)
            rows = [data] if rows is None and isinstance(data, dict) else rows or []
            return [{**row, name: found} for row in rows if (found := id_of(row, name, "id"))]

        upload = JsonUpload(body, before_last_piece=before_last_piece, cancelled=cancelled)
        answer = self.http.once(path, upload, valid=lambda data: bool(made(data)))
        return [{**row, "status": status_of(row, _RENDER_WORDS)} for row in made(answer.data)]

    def _uploads(self, data: Any, name: str, asked: float) -> list[dict[str, Any]] | None:
        """The models with an id and an address; None unless all of them have both."""
        rows = []
        for row in rows_in(data, "models") or []:
            found, url = id_of(row, "modelId", "id"), text_of(row, "uploadUrl")
            if not found or not url:
                return None
            if "?" in url:  # without a signature it is no secret, and may begin another one
                remember(url)
            lives = life(url)
            self._ends[url] = (asked + lives, min(_MARGIN, lives / 10))
            rows.append({**row, name: found})
        return rows or None

    def _ended(self, url: str, *, early: bool) -> bool:
        """Is the address over (``early``: or nearly)? False where it is not one of ours."""
        end, margin = self._ends.get(url, (math.inf, 0.0))
        return time.monotonic() > end - (margin if early else 0.0)
