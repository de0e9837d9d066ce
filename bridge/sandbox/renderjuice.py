# SPDX-License-Identifier: GPL-3.0-or-later
"""Renderjuice's API, spoken by the sandbox: routes, checks, refusals, envelopes after its docs.

Base URL ``http://127.0.0.1:PORT/renderjuice/api/external/v1``. Validation and rendering are real.
Uploads and outputs are signed URLs on this server, below ``/renderjuice/storage``; a key sent there
is refused. What the documentation leaves open can be done in several ways (``renderjuice_ways``);
the defaults are the careful reading of it.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import renderjuice_config, renderjuice_outputs, renderjuice_ways
from .renderjuice_files import CONTENT_TYPES
from .renderjuice_hook import Hook, checked_url, event
from .renderjuice_jobs import ENDS, STATUSES, Render, RenderStore
from .renderjuice_prune import Pruner
from .renderjuice_runner import RenderRunner
from .renderjuice_storage import Storage
from .signed import Signer
from .uploads import read_json
from .wire import HttpError, Request, Response, json_response

if TYPE_CHECKING:
    from . import Sandbox
    from .renderjuice_work import Renderer

_API = "/api/external/v1"
#: how many renders may wait; one more is told to come back
QUEUE = 20
_BUSY_SECONDS = 30
_SIZES = (10, 100)


class Renderjuice:
    """The service. ``folder`` keeps its database, uploads and job folders.

    ``renders`` run at once, ``queue`` more may wait. ``ways`` (see ``renderjuice_ways``) come under
    those of the fault plan.
    """

    name = "renderjuice"
    prefix = _API

    def __init__(
        self, box: Sandbox, folder: Path, api_key: str, renderer: Renderer, *,
        storage_secret: str, hook_secret: str, renders: int = 1, queue: int = QUEUE,
        ways: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._box = box
        self.folder = folder
        self.api_key = api_key
        self._queue = queue
        self._ways = renderjuice_ways.checked(ways or {})
        self.store = RenderStore(folder / "renders.sqlite", time.time)
        self.storage = Storage(box, folder, self.store, Signer(storage_secret), self.ways)
        self.hook = Hook(hook_secret, self.ways)
        self.hook.url = self.store.setting("webhook")
        self.runner = RenderRunner(
            self.store, renderer, folder=self.job_folder, upload=self.storage.upload_path,
            ways=self.ways, on_end=self._ended, parallel=renders,
        )  # fmt: skip
        self._pruner = Pruner(self.store, self.job_folder, self.storage.upload_path)
        job = r"/jobs/([^/]+)"
        # The literal progress comes before a job's id.
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Response]]] = [
            ("POST", re.compile("/uploads"), self._upload),
            ("POST", re.compile("/jobs"), self._create),
            ("GET", re.compile("/jobs"), self._list),
            ("GET", re.compile("/jobs/progress"), self._all_progress),
            ("GET", re.compile(job), self._retrieve),
            ("POST", re.compile(f"{job}/validate"), self._validate),
            ("POST", re.compile(f"{job}/render"), self._render),
            ("POST", re.compile(f"{job}/cancel"), self._cancel),
            ("GET", re.compile(f"{job}/progress"), self._progress),
            ("GET", re.compile(f"{job}/downloads"), self._downloads),
        ]

    # -- life ----------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """What RENDERJUICE_BASE_URL is set to."""
        return f"{self._box.origin}/renderjuice{_API}"

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits to run."""
        return self.runner.busy

    def start(self) -> None:
        """Begin to work the queues."""
        self._pruner.prune()
        self.hook.start()
        self.runner.start()

    def stop(self) -> None:
        """Stop working and close the database."""
        self.runner.stop()
        self.hook.stop()
        self.store.close()

    def job_folder(self, identifier: str) -> Path:
        """Where a job's scene and outputs lie."""
        return self.storage.job_folder(identifier)

    def ways(self) -> dict[str, Any]:
        """How things that are not documented are done at present."""
        return {**renderjuice_ways.DEFAULTS, **self._ways, **self._box.plan.ways}

    def set_webhook(self, url: str) -> None:
        """Send ``onRenderComplete`` there from now on, also after a restart; "" for nowhere.

        Raises ProblemError(INPUT) for an address that is not on this computer.
        """
        self.hook.url = checked_url(url) if url else ""
        self.store.set_setting("webhook", self.hook.url)

    def purge(self, identifier: str) -> bool:
        """Delete a completed job's outputs; False when it has none."""
        return self._pruner.purge(identifier)

    # -- answering -----------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer a request. Raises HttpError, and what reading a body raises."""
        if request.path.startswith("/storage/"):
            return self.storage.handle(request)
        path = request.path.removeprefix(_API)
        if path == request.path:
            raise self._error(404, "Not Found")
        self._authenticate(request)
        method = "GET" if request.method == "HEAD" else request.method
        allowed: set[str] = set()
        for verb, pattern, handler in self._routes:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            if verb == method:
                return handler(request, *match.groups())
            allowed.add(verb)
        raise self._error(405 if allowed else 404, "Not Found" if not allowed else "Not Allowed")

    def _error(self, status: int, text: str) -> HttpError:
        return HttpError(renderjuice_ways.refusal(status, text, self.ways()["errors"]))

    def _authenticate(self, request: Request) -> None:
        scheme, _, key = request.header("Authorization").partition(" ")
        known = hmac.compare_digest(key.strip().encode(), self.api_key.encode())
        if scheme.lower() != "bearer" or not known:
            raise self._error(401, "Unauthorized")

    def _json(self, request: Request) -> dict[str, Any]:
        try:
            return read_json(request)
        except HttpError as refused:
            raise self._error(refused.response.status, "Invalid JSON body") from None

    def _job(self, identifier: str) -> Render:
        record = self.store.get(identifier)
        if record is None:
            raise self._error(404, "Job not found")
        return record

    def _view(self, record: Render) -> dict[str, Any]:
        """The Job object (Renderjuice docs: Create, Start render, Get)."""
        job = dict(record.doc)
        preview = record.private.get("preview")
        if preview and not job["output"]["isDeletedForClient"]:
            job["previewUrl"] = self.storage.url(record.id, preview)
        seen: dict[str, Any] = renderjuice_outputs.without(job, self.ways()["omit"])
        return seen

    # -- jobs ----------------------------------------------------------------------------------

    def _upload(self, request: Request) -> Response:
        body = self._json(request)
        name, kind = body.get("fileName"), body.get("fileType")
        if not isinstance(name, str) or not name.strip():
            raise self._error(400, "fileName should not be empty")
        if kind not in CONTENT_TYPES:
            raise self._error(400, "fileType must be one of: blend, zip")
        if not name.lower().endswith(f".{kind}"):
            raise self._error(400, f"fileName must end in .{kind}")
        answer = self.storage.target(name, str(kind))
        return json_response(200, renderjuice_outputs.without(answer, self.ways()["omit"]))

    def _fate(self, request: Request, record: Render | None, phase: str) -> dict[str, Any]:
        """What the fault plan makes of the job, from this request on."""
        given = dict(request.fault.job) if request.fault is not None else {}
        if given:
            given.setdefault("at", phase)
        return {**(record.private.get("fate", {}) if record else {}), **given}

    def _create(self, request: Request) -> Response:
        slug = self._json(request).get("slug")
        if not isinstance(slug, str) or not slug:
            raise self._error(400, "slug should not be empty")
        upload = self.store.upload(slug)
        if upload is None:
            raise self._error(int(self.ways()["slug_status"]), "Upload not found")
        if upload["bytes"] is None:
            raise self._error(400, "The file of this upload has not been uploaded")
        if upload["jobs"] and self.ways()["slug"] == "once":
            raise self._error(400, "A job was already created from this upload")
        file = {"fileName": upload["name"], "size": upload["bytes"], "fileType": upload["kind"]}
        doc = {
            "rootFolderId": None,
            "normalizedSeconds": 0,
            "isAnalysisSkipped": False,
            "requestedConfig": None,
            "finalConfig": None,
            "output": {"isDeletedForClient": False},
            "sceneFile": file,
        }
        private = {
            "slug": slug,
            "kind": upload["kind"],
            "name": upload["name"],
            "fate": self._fate(request, None, "validating"),
        }
        record = self.store.create(slug, doc, private)
        request.entry["job_id"] = record.id
        return json_response(200, self._view(record))

    def _list(self, request: Request) -> Response:
        page = self._positive(request, "page", 1)
        size = min(_SIZES[1], self._positive(request, "pageSize", _SIZES[0]))
        status = request.parameter("status")
        if status and status not in STATUSES:
            raise self._error(400, f"status must be one of: {', '.join(STATUSES)}")
        records, total = self.store.page(
            page, size, status=status, oldest=self.ways()["order"] == "oldest"
        )
        pages = {"page": page, "pageSize": size, "total": total, "totalPages": -(-total // size)}
        jobs = [self._view(record) for record in records]
        return json_response(200, {"jobs": jobs, "pagination": pages})

    def _positive(self, request: Request, name: str, default: int) -> int:
        text = request.parameter(name)
        if not text:
            return default
        if not re.fullmatch(r"0*[1-9]\d{0,8}", text):
            raise self._error(400, f"{name} must be a positive number")
        return int(text)

    def _retrieve(self, request: Request, identifier: str) -> Response:
        return json_response(200, {"data": self._view(self._job(identifier))})

    def _validate(self, request: Request, identifier: str) -> Response:
        record = self._job(identifier)
        self._json(request)
        waiting = len(self.store.in_phase("validating"))

        def begin(job: Render) -> Any:
            if job.phase != "created":
                return False
            if waiting > self._queue:
                raise self._later()
            job.move("validating")
            job.private.update(fate=self._fate(request, job, "validating"), asked_at=time.time())

        changed = self.store.change(identifier, begin)
        if changed is None:
            raise self._error(400, f"Job cannot be validated in status {record.status}")
        request.entry["job_id"] = identifier
        self.runner.wake()
        return renderjuice_ways.job_answer(self._view(changed), self.ways()["validate"])

    def _later(self) -> HttpError:
        refused = self._error(429, "Too many jobs are waiting. Try again later")
        refused.response.headers["Retry-After"] = str(_BUSY_SECONDS)
        return refused

    def _render(self, request: Request, identifier: str) -> Response:
        self._job(identifier)
        ways = self.ways()
        try:
            config = renderjuice_config.check(
                self._json(request), ignore_unknown=ways["unknown_fields"] == "ignore"
            )
        except renderjuice_config.ConfigError as problem:
            raise self._error(400, str(problem)) from None
        waiting = len(self.store.in_phase("booting"))

        def begin(job: Render) -> Any:
            if job.phase != "validated":
                return False
            if waiting >= self._queue:
                raise self._later()
            numbers = renderjuice_config.to_render(config, job.doc.get("analysis", {}))
            job.move("booting")
            job.doc["requestedConfig"] = config
            job.private.update(
                fate=self._fate(request, job, "rendering"),
                asked_at=time.time(), total=len(numbers), done=0,
            )  # fmt: skip
            self.store.count_start()

        changed = self.store.change(identifier, begin)
        request.entry["job_id"] = identifier
        if changed is not None:
            request.entry["paid"] = 1
            self.runner.wake()
            return json_response(200, self._view(changed))
        record = self._job(identifier)
        again = record.phase in ("booting", "rendering", "finalizing")
        started = record.doc["requestedConfig"] is not None
        if again or (started and ways["render_ended"] == "replay"):
            return json_response(200, self._view(record), {"X-Idempotent-Replay": "true"})
        raise self._error(400, f"Job cannot be rendered in status {record.status}")

    def _cancel(self, request: Request, identifier: str) -> Response:
        record = self._job(identifier)
        self._json(request)
        ways = self.ways()
        if record.phase in ENDS:
            raise self._error(400, f"Job cannot be canceled in status {record.status}")
        if ways["cancel_timing"] == "now":
            changed = self.store.change(identifier, lambda job: job.move("canceled"))
            if changed is None:  # it came to its end in this moment
                raise self._error(400, "Job cannot be canceled any more")
            self.runner.cancel(identifier)
        elif ways["cancel_timing"] == "later":
            self.runner.cancel(identifier, float(ways["cancel_seconds"]))
        request.entry["job_id"] = identifier
        return renderjuice_ways.job_answer(self._view(self._job(identifier)), ways["cancel"])

    # -- progress and outputs ------------------------------------------------------------------

    def _counters(self, records: list[Render]) -> Any:
        counters = [
            {
                "jobId": record.id,
                "status": record.status,
                "completed": record.private.get("done", 0),
                "total": record.private.get("total", 0),
            }
            for record in records
            if record.phase in ("booting", "rendering", "finalizing")
        ]
        return renderjuice_ways.progress_answer(counters, self.ways()["progress"])

    def _progress(self, request: Request, identifier: str) -> Response:
        return json_response(200, self._counters([self._job(identifier)]))

    def _all_progress(self, request: Request) -> Response:
        return json_response(
            200, self._counters(self.store.in_phase("booting", "rendering", "finalizing"))
        )

    def _downloads(self, request: Request, identifier: str) -> Response:
        record = self._job(identifier)
        return json_response(200, self._offered(record, self.ways()))

    def _offered(self, record: Render, ways: dict[str, Any]) -> dict[str, Any]:
        ready = record.phase == "completed" and not record.doc["output"]["isDeletedForClient"]
        folder = self.job_folder(record.id)
        return renderjuice_outputs.downloads(
            folder,
            renderjuice_outputs.read_result(folder) if ready else None,
            lambda name: self.storage.url(record.id, name),
            ways,
        )

    def _ended(self, record: Render) -> None:
        """A job came to its end: tell of it, and make room."""
        if record.phase == "completed":
            if record.private.get("fate", {}).get("purge"):
                self.purge(record.id)
            else:
                ways = {**self.ways(), "omit": []}
                self.hook.send(
                    record.id,
                    lambda: event(record.doc, record.private["completed_at"],
                                  self._offered(record, ways)["frames"]),
                )  # fmt: skip
        self._pruner.prune()

    def observe(self, request: Request, path: str) -> Response:
        """``/_sandbox/renderjuice``: PUT /webhook {"url"}, POST /jobs/{id}/purge, GET /webhooks."""
        from ..problems import ProblemError

        if request.method == "PUT" and path == "/webhook":
            try:
                self.set_webhook(str(read_json(request).get("url") or ""))
            except ProblemError as error:
                return json_response(400, {"error": error.problem.sentence})
            return json_response(200, {"secret": self.hook.secret})
        if request.method == "GET" and path == "/webhooks":
            return json_response(200, self.hook.deliveries)
        match = re.fullmatch(r"/jobs/([^/]+)/purge", path)
        if request.method == "POST" and match and self.purge(match[1]):
            return json_response(200, {})
        return json_response(404, {"error": "Not Found"})
