# SPDX-License-Identifier: GPL-3.0-or-later
"""How an answer is read: bounded in size and time, cut ones noticed, errors turned into problems.

The half of ``http`` that begins once an answer's head is there. It sends nothing.
"""

from __future__ import annotations

import http.client
import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from . import answers, faults
from .answers import Answer
from .faults import HttpError
from .settings import Settings

MAX_ANSWER_BYTES = 16 * 1024 * 1024
_REPEATABLE_STATUS = frozenset({429, 502, 503, 504})


class Reader:
    """What reading needs of a connection: its name in sentences, its limits, its words."""

    label: str
    settings: Settings
    _explain: Callable[[HttpError], Any] | None
    _log: logging.Logger

    def _body(self, response: requests.Response) -> bytes:
        """The decoded body, at most MAX_ANSWER_BYTES and ``read_seconds`` twice over."""
        deadline = time.monotonic() + 2 * self.settings.read_seconds
        pieces: list[bytes] = []
        size = 0
        while piece := self.read_some(response, 64 * 1024, decode=True):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_ANSWER_BYTES or time.monotonic() > deadline:
                raise faults.unreadable(self.label, response.status_code, "too large or slow")
        length = response.headers.get("Content-Length", "")
        encoded = response.headers.get("Content-Encoding")
        if length.isdigit() and not encoded and size < int(length):
            raise faults.cut(self.label, f"{size} of {length} bytes")
        return b"".join(pieces)

    def read_some(self, response: requests.Response, limit: int, *, decode: bool) -> bytes:
        """The next bytes of a body as they come, at most ``limit``; b"" at its end.

        Returns early with what is there, so that a slow body can be watched. HttpError if the
        connection breaks or stays silent for ``read_seconds``.
        """
        raw: Any = response.raw
        try:
            if hasattr(raw, "read1"):
                return bytes(raw.read1(limit, decode_content=decode) or b"")
            if not decode or "Content-Encoding" not in response.headers:
                # urllib3 1.26 (Blender 4.2) has no read1; http.client beneath it has.
                return bytes(raw._fp.read1(limit) or b"")
            return bytes(raw.read(1024, decode_content=True) or b"")
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            host = urlsplit(response.url or "").hostname or ""
            raise faults.connection(self.label, host, error, True) from None

    def _read(self, response: requests.Response, *, empty: bool = False) -> Answer:
        raw = self._body(response)
        if empty and not raw.strip():
            return Answer(response.status_code, None, None, dict(response.headers))
        try:
            body = answers.parse(raw, response.headers.get("Content-Type", ""))
        except answers.Unreadable as error:
            raise faults.unreadable(self.label, response.status_code, str(error)) from None
        data = body["data"] if isinstance(body, dict) and "data" in body else body
        return Answer(response.status_code, data, body, dict(response.headers))

    def _error(self, response: requests.Response) -> HttpError:
        """The error that an answer other than 2xx means; its body is read if that is possible."""
        status = response.status_code
        body: Any = None
        shape = ""
        raw = b""
        try:
            raw = self._body(response)
            body = answers.parse(raw, response.headers.get("Content-Type", ""))
        except answers.Unreadable as unreadable:
            body = answers.storage_error(raw)
            shape = "" if body else str(unreadable)
        except HttpError as broken:
            shape = broken.problem.technical
        error = faults.refusal(
            self.label,
            status,
            answers.message(body),
            body=body,
            shape=shape,
            retry_after=answers.retry_after(response.headers),
            transient=status in _REPEATABLE_STATUS,
        )
        if self._explain is not None:
            problem = self._explain(error)
            if problem is not None:
                error.problem = problem
        return error
