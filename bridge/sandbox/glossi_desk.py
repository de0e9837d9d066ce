# SPDX-License-Identifier: GPL-3.0-or-later
"""What all of Glossi's calls need: reading a body, finding a record, answering, refusing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from . import glossi_ways
from .glossi_check import Fields
from .glossi_flow import Conductor
from .glossi_hook import GlossiHook
from .glossi_runner import GlossiRunner
from .glossi_storage import GlossiStorage
from .glossi_store import UPLOADING, GlossiStore, Record
from .glossi_views import Views
from .uploads import read_json
from .wire import HttpError, Request, Response, json_response

Route = tuple[str, re.Pattern[str], Callable[..., Response]]
_BUSY_SECONDS = 30
_NOTED_BYTES = 1 << 16


class Desk:
    """The parts of the service, as its calls see them. ``queue`` of a kind may wait."""

    def __init__(
        self, store: GlossiStore, storage: GlossiStorage, views: Views, hook: GlossiHook,
        runner: GlossiRunner, conductor: Conductor, ways: Callable[[], dict[str, Any]], queue: int,
    ) -> None:  # fmt: skip
        self.store = store
        self.storage = storage
        self.views = views
        self.hook = hook
        self.runner = runner
        self.conductor = conductor
        self.ways = ways
        self._queue = queue

    def error(self, status: int, text: str) -> HttpError:
        """A refusal, to be raised."""
        return HttpError(glossi_ways.refusal(status, text, self.ways()["errors"]))

    def answer(self, value: Any, request: Request) -> Response:
        """An answer with a body."""
        ways = self.ways()
        status = 200 if request.method in ("GET", "HEAD") else int(ways["success"])
        return json_response(status, glossi_ways.without(value, ways["omit"]))

    def fields(self, request: Request, allowed: str) -> Fields:
        """The body's fields; the journal notes what is not long. Raises HttpError, BodyError."""
        try:
            body = read_json(request)
        except HttpError as refused:
            raise self.error(refused.response.status, "Invalid JSON body") from None
        if request.body.received <= _NOTED_BYTES:
            request.entry["json"] = body
        return Fields(body, allowed, ignore=self.lenient)

    @property
    def lenient(self) -> bool:
        """Whether unknown fields are passed over."""
        return bool(self.ways()["unknown_fields"] == "ignore")

    def get(self, kind: str, identifier: str) -> Record:
        """A record. Raises HttpError (404)."""
        record = self.store.get(kind, identifier)
        if record is None:
            name = {"render": "Render job"}.get(kind, kind.capitalize())
            raise self.error(404, f"{name} not found")
        return record

    def room(self, kind: str, more: int) -> None:
        """Raises HttpError (429) when so many more cannot wait."""
        if self.runner.waiting(kind) + more > self._queue:
            refused = self.error(429, "Too many requests are waiting. Try again later")
            refused.response.headers["Retry-After"] = str(_BUSY_SECONDS)
            raise refused


def fate_of(request: Request) -> dict[str, Any]:
    """What the fault plan makes of what this call begins."""
    return dict(request.fault.job) if request.fault is not None else {}


def uploaded(model: Record) -> bool:
    """Whether a model's bytes came."""
    return model.state != UPLOADING or model.private.get("bytes") is not None


def confirmed(model: Record, fate: dict[str, Any], asked_at: float) -> bool:
    """Let a model be looked at; False, for one that is looked at already."""
    if model.state != UPLOADING:
        return False
    model.state = "PENDING"
    model.private["fate"] = {**model.private.get("fate", {}), **fate}
    model.private["asked_at"] = asked_at
    return True
