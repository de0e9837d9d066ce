# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and answers as the sandbox's services see them.

The server turns sockets into a ``Request``; a service turns that into a ``Response``. Nothing here
knows a vendor. A body is only ever read piece by piece, never held as a whole.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from io import BufferedIOBase
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

# Measured: larger pieces cost more in fresh memory than they save in calls.
PIECE = 1 << 18
_MAX_CHUNK_LINE = 256


class ClientGone(Exception):
    """The client closed or broke the connection before its body was complete."""


class CutConnection(Exception):
    """A fault rule wants the connection cut now, without an answer."""


class HttpError(Exception):
    """Ends the handling of a request with the given answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass
class Response:
    """An answer; exactly one of ``body`` and ``file`` carries its content.

    ``sized`` decides whether a ``file`` goes out with Content-Length and ranges or in chunks.
    ``wire`` holds what a fault rule does to the connection while the answer is sent:
    ``cut`` ("before_headers", "after_headers", a number of body bytes or a share like "90%"),
    ``truncate`` (bytes or a share), ``reset``, ``send_rate``.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: Path | None = None
    sized: bool = True
    wire: dict[str, Any] = field(default_factory=dict)


def json_response(status: int, value: Any, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer in UTF-8."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(
        status,
        {"Content-Type": "application/json; charset=utf-8", **(headers or {})},
        text.encode(),
    )


def html_response(status: int, title: str) -> Response:
    """The plain HTML page of a reverse proxy that answers instead of the service."""
    head = f"{status} {title}"
    page = (
        f"<html>\r\n<head><title>{head}</title></head>\r\n<body>\r\n"
        f"<center><h1>{head}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Response(status, {"Content-Type": "text/html"}, page.encode())


def xml_error(status: int, code: str, message: str) -> Response:
    """A refusal as object stores write it: XML with a code and a sentence."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    )
    return Response(status, {"Content-Type": "application/xml"}, text.encode())


def share(value: Any, whole: int | None) -> int | None:
    """A number of bytes: a number as it is, a text like "90%" as that share of ``whole``.

    None for anything else, and for a share of an unknown size.
    """
    if isinstance(value, str) and value.endswith("%"):
        return None if whole is None else int(whole * float(value[:-1]) / 100)
    return value if isinstance(value, int) else None


class Body:
    """A request's body, read from the socket on demand.

    Understands Content-Length and chunked bodies. ``on_first_read`` is called once before the
    first byte is taken (the server answers "100 Continue" there, so a request can be refused
    before its body travels). ``length`` is None for a chunked body, 0 without a body.

    Raises ValueError from the constructor for contradictory framing.
    """

    def __init__(
        self,
        source: BufferedIOBase,
        headers: Message,
        on_first_read: Callable[[], None] = lambda: None,
    ) -> None:
        encoding = (headers.get("Transfer-Encoding") or "").strip().lower()
        lengths = {value.strip() for value in headers.get_all("Content-Length") or []}
        if encoding and (encoding != "chunked" or lengths):
            raise ValueError("unsupported or ambiguous body framing")
        if len(lengths) > 1 or any(not value.isdecimal() for value in lengths):
            raise ValueError("invalid Content-Length")
        self.length: int | None = None if encoding else int(next(iter(lengths), "0"))
        self.received = 0
        self.complete = self.length == 0
        self.cut_after: int | None = None
        self.rate: float | None = None
        self._source = source
        self._on_first_read = on_first_read
        self._started = False
        self._chunk_left = 0

    def read(self, size: int = PIECE) -> bytes:
        """Up to ``size`` bytes; b"" once the body is complete.

        Raises ClientGone when the connection ends early, CutConnection when a fault rule set
        ``cut_after`` and that many bytes have come, ValueError for broken chunk framing.
        """
        if self.complete:
            return b""
        if not self._started:
            self._started = True
            self._on_first_read()
        if self.cut_after is not None:
            size = min(size, self.cut_after - self.received)
            if size <= 0:
                raise CutConnection()
        if self.rate:
            size = max(1, min(size, int(self.rate / 20)))
            time.sleep(size / self.rate)
        data = self._piece(size)
        self.received += len(data)
        if self.length is not None and self.received == self.length:
            self.complete = True
        return data

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read():
            yield data

    def drain(self, limit: int | None = None) -> bool:
        """Read and forget the rest; False when more than ``limit`` bytes were still to come."""
        if limit is not None and self.length is not None and self.length - self.received > limit:
            return False
        start = self.received
        while self.read(min(PIECE, 65536)):
            if limit is not None and self.received - start > limit:
                return False
        return True

    def _piece(self, size: int) -> bytes:
        if self.length is not None:
            return self._take(min(size, self.length - self.received))
        if self._chunk_left == 0 and not self._next_chunk():
            return b""
        data = self._take(min(size, self._chunk_left))
        self._chunk_left -= len(data)
        if self._chunk_left == 0 and self._line():
            raise ValueError("chunk without its end")
        return data

    def _next_chunk(self) -> bool:
        """Read a chunk's size line; at the last chunk also the trailers. False at the end."""
        text = self._line().split(b";", 1)[0].strip()
        if not text or any(byte not in b"0123456789abcdefABCDEF" for byte in text):
            raise ValueError("invalid chunk size")
        self._chunk_left = int(text, 16)
        if self._chunk_left:
            return True
        for _ in range(32):
            if not self._line():
                self.complete = True
                return False
        raise ValueError("too many trailers")

    def _line(self) -> bytes:
        try:
            line = self._source.readline(_MAX_CHUNK_LINE + 1)
        except OSError as error:
            raise ClientGone() from error
        if not line:
            raise ClientGone()
        if not line.endswith(b"\n"):
            raise ValueError("line too long")
        return line.rstrip(b"\r\n")

    def _take(self, size: int) -> bytes:
        # read1 hands on what has arrived: one copy, no waiting for a full piece.
        try:
            data = self._source.read1(size)
        except OSError as error:
            raise ClientGone() from error
        if not data:
            raise ClientGone()
        return data


@dataclass
class Request:
    """One request. ``path`` is the part below ``/<service>``, percent-decoded, e.g. "/api/me"."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Message
    body: Body
    service: str
    entry: dict[str, Any]
    fault: Any = None

    def parameter(self, name: str, default: str = "") -> str:
        """The last value of a query parameter."""
        values = self.query.get(name)
        return values[-1] if values else default

    def header(self, name: str, default: str = "") -> str:
        """A header's value, or ``default``."""
        value = self.headers.get(name)
        return default if value is None else str(value)
