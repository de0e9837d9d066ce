# SPDX-License-Identifier: GPL-3.0-or-later
"""Glossi's API, spoken by the sandbox: its life, keys and routes; calls have modules of their own.

Base URL ``http://127.0.0.1:PORT/glossi/api/v1``, the key in ``X-API-Key``. Models are really opened
and projects really rendered. Files travel by signed URLs below ``/glossi/storage`` and, for bare
keys, below ``/glossi/files/``; a key sent there is refused. What the documentation leaves open can
be done in several ways (``glossi_ways``); the defaults are the careful reading of it.
"""

from __future__ import annotations

import hmac
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import glossi_ways
from .glossi_check import BodyError
from .glossi_desk import Desk
from .glossi_flow import Conductor
from .glossi_hook import GlossiHook
from .glossi_jobs import JobCalls
from .glossi_prune import GlossiPruner
from .glossi_runner import GlossiRunner
from .glossi_steps import StepCalls
from .glossi_storage import GlossiStorage
from .glossi_store import GlossiStore, Record
from .glossi_views import Views
from .glossi_webhooks import WebhookCalls
from .signed import Signer
from .wire import Request, Response, json_response

if TYPE_CHECKING:
    from . import Sandbox
    from .glossi_studio import Studio

_API = "/api/v1"
#: how many models, and how many render jobs, may wait; more are told to come back
QUEUE = 200


class Glossi:
    """The service. ``folder`` keeps its database and files.

    ``renders`` render jobs run at once, ``queue`` may wait. ``ways`` (see ``glossi_ways``) come
    under those of the fault plan.
    """

    name = "glossi"
    prefix = _API

    def __init__(
        self, box: Sandbox, folder: Path, api_key: str, studio: Studio, *, storage_secret: str,
        hook_secret: str, renders: int = 1, queue: int = QUEUE, ways: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._box = box
        self.folder = folder
        self.api_key = api_key
        self._ways = glossi_ways.checked(ways or {})
        self.store = GlossiStore(folder / "glossi.sqlite", time.time)
        self.storage = GlossiStorage(box, folder, self.store, Signer(storage_secret), self.ways)
        self.hook = GlossiHook(self.store, hook_secret, self.ways)
        self._views = Views(self.store, self.storage, self.ways)
        self.runner = GlossiRunner(
            self.store, self.storage, studio, on_end=self._ended, parallel=renders
        )
        self.conductor = Conductor(self.store, self.ways, self._tell, self.runner.wake)
        self._pruner = GlossiPruner(self.store, self.storage)
        desk = Desk(
            self.store, self.storage, self._views, self.hook, self.runner, self.conductor,
            self.ways, queue,
        )  # fmt: skip
        self._desk = desk
        self._routes = [*JobCalls(desk).routes, *StepCalls(desk).routes, *WebhookCalls(desk).routes]

    # -- life ------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """What GLOSSI_BASE_URL is set to."""
        return f"{self._box.origin}/glossi{_API}"

    @property
    def files_url(self) -> str:
        """The address that finished files lie below: what a bare key is joined to."""
        return self.storage.address

    @property
    def busy(self) -> bool:
        """Whether something is worked on or waits for it."""
        return self.runner.busy or self.conductor.busy

    def start(self) -> None:
        """Begin to work."""
        self._pruner.prune()
        self.hook.start()
        self.runner.start()
        self.conductor.start()

    def stop(self) -> None:
        """Stop working and close the database."""
        self.conductor.stop()
        self.runner.stop()
        self.hook.stop()
        self.store.close()

    def ways(self) -> dict[str, Any]:
        """How things that are not documented are done at present."""
        return {**glossi_ways.DEFAULTS, **self._ways, **self._box.plan.glossi_ways}

    def _tell(self, record: Record) -> None:
        """A project was made, or something came to its end."""
        name, data = self._views.event(record)
        self.hook.send(name, data, record.id, also=str(record.private.get("webhook_url") or ""))

    def _ended(self, record: Record) -> None:
        """A model was processed, or a render job ended."""
        self._tell(record)
        self.conductor.wake()
        self._pruner.prune()

    # -- answering -------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer a request. Raises HttpError, and what reading a body raises."""
        if request.path.startswith(("/storage/", "/files/")):
            return self.storage.handle(request)
        path, error = request.path.removeprefix(_API), self._desk.error
        if path == request.path:
            raise error(404, "Not found")
        if not hmac.compare_digest(request.header("X-API-Key").encode(), self.api_key.encode()):
            raise error(401, "Invalid API key")
        method = "GET" if request.method == "HEAD" else request.method
        known = False
        for verb, pattern, handler in self._routes:
            match = pattern.fullmatch(path)
            if match is not None and verb == method:
                try:
                    return handler(request, *match.groups())
                except BodyError as wrong:
                    raise error(400, str(wrong)) from None
            known = known or match is not None
        raise error(405, "Method not allowed") if known else error(404, "Not found")

    def observe(self, request: Request, path: str) -> Response:
        """``/_sandbox/glossi``: GET /webhooks (what was delivered)."""
        if request.method == "GET" and path == "/webhooks":
            return json_response(200, self.hook.deliveries)
        return json_response(404, {"error": "Not Found"})
