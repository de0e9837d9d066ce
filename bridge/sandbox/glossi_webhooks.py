# SPDX-License-Identifier: GPL-3.0-or-later
"""Glossi's webhook setting: one for the workspace (Glossi docs, Complete Workflow, Webhooks).

The secret is shown by PUT only. What GET and DELETE answer without a setting, and whether a PUT
changes the secret, is not documented (``glossi_ways``).
"""

from __future__ import annotations

import re

from . import glossi_check
from .glossi_desk import Desk, Route
from .wire import HttpError, Request, Response, json_response


class WebhookCalls:
    """The calls of ``/webhooks``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        path = re.compile("/webhooks")
        self.routes: list[Route] = [
            ("GET", path, self._look),
            ("PUT", path, self._put),
            ("DELETE", path, self._delete),
        ]

    def _look(self, request: Request) -> Response:
        setting = self._desk.hook.setting
        if setting is None:
            kind = self._desk.ways()["no_webhook"]
            if kind == 404:
                raise self._none()
            return json_response(200, None if kind == "null" else {})
        return self._desk.answer(setting, request)

    def _put(self, request: Request) -> Response:
        desk = self._desk
        setting = glossi_check.webhook(desk.fields(request, "url events enabled description"))
        return desk.answer(desk.hook.put(setting), request)

    def _delete(self, request: Request) -> Response:
        if not self._desk.hook.delete():
            raise self._none()
        if self._desk.ways()["delete_status"] == 204:
            return Response(204)
        return json_response(200, {})

    def _none(self) -> HttpError:
        return self._desk.error(404, "There is no webhook")
