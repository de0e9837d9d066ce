# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads form bodies: multipart with files straight to disk, urlencoded, JSON.

File parts are written piece by piece into a folder under names of our own; the client's file name
is only ever data, never a path. Fields are small and bounded.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, unquote

from .wire import HttpError, Request, Response, html_response, json_response

PLAIN_LIMIT = 1 << 20
MAX_FIELD = 64 * 1024
MAX_PARTS = 64
_BAD_NAME = re.compile(r"[\x00-\x1f\x7f/\\]")


@dataclass(frozen=True)
class UploadedFile:
    """A file part: its field, the client's name for it, where its bytes lie, how many."""

    field: str
    filename: str
    path: Path
    size: int


@dataclass
class Form:
    """Fields (text; the last of equal names wins) and files in the order in which they came."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[UploadedFile] = field(default_factory=list)


def too_large() -> Response:
    """What the proxy in front of the service says above its body limit."""
    return html_response(413, "Request Entity Too Large")


def bad_request(text: str) -> HttpError:
    """A 400 in the service's own error form."""
    return HttpError(json_response(400, {"error": text}))


def refuse_oversize(request: Request, limit: int) -> None:
    """Answer 413 from the announced length, before a byte of the body is read."""
    if request.body.length is not None and request.body.length > limit:
        raise HttpError(too_large())


def valid_filename(name: str) -> bool:
    """Whether a client's file name is a plain name: no path, no control characters, not empty."""
    return (
        bool(name.strip(". "))
        and len(name.encode("utf-8", "surrogatepass")) <= 255
        and not _BAD_NAME.search(name)
    )


def read_form(request: Request, folder: Path, limit: int) -> Form:
    """Read the request's body as a form, whatever its encoding.

    ``folder`` receives file parts as ``part-0``, ``part-1``...; the caller removes it. ``limit``
    bounds the whole body, in bytes. Raises HttpError (400, 413), ClientGone, CutConnection.
    """
    refuse_oversize(request, limit)
    kind = request.header("Content-Type").split(";", 1)[0].strip().lower()
    if kind == "multipart/form-data":
        return _read_multipart(request, folder, limit)
    if kind == "application/x-www-form-urlencoded":
        values = parse_qs(_text(request), keep_blank_values=True)
        return Form({name: items[-1] for name, items in values.items()})
    if kind == "application/json":
        return Form({name: _plain(value) for name, value in read_json(request).items()})
    request.body.drain()
    raise bad_request("Unsupported content type. Use multipart/form-data")


def read_json(request: Request) -> dict[str, Any]:
    """A JSON object body; an empty body is an empty object. Raises HttpError (400, 413)."""
    text = _text(request)
    try:
        value = json.loads(text) if text.strip() else {}
    except ValueError:
        raise bad_request("Invalid JSON body") from None
    if not isinstance(value, dict):
        raise bad_request("Invalid JSON body")
    return value


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _text(request: Request) -> str:
    refuse_oversize(request, PLAIN_LIMIT)
    pieces: list[bytes] = []
    size = 0
    for piece in request.body:
        size += len(piece)
        if size > PLAIN_LIMIT:
            raise HttpError(too_large())
        pieces.append(piece)
    return b"".join(pieces).decode("utf-8", "replace")


def _read_multipart(request: Request, folder: Path, limit: int) -> Form:
    import multipart

    boundary = multipart.parse_options_header(request.header("Content-Type"))[1].get("boundary")
    form = Form()
    sink = _Sink(form, folder)
    try:
        # Not strict: the CRLF after the last boundary may come in a packet of its own.
        parser = multipart.PushMultipartParser(boundary or "", max_segment_count=MAX_PARTS)
        for piece in request.body:
            if request.body.received > limit:
                raise HttpError(too_large())
            for event in parser.parse(piece):
                if event is None:
                    sink.end()
                elif isinstance(event, (bytes, bytearray)):
                    sink.write(event)
                else:
                    sink.begin(event)
        parser.close()
    except multipart.MultipartError as error:
        sink.close()
        # As behind a proxy, the whole body is taken before the answer goes out.
        request.body.drain()
        raise bad_request(f"Malformed multipart body: {error}") from None
    finally:
        sink.close()
    return form


class _Sink:
    """Collects one part after the other: fields in memory, files on disk."""

    def __init__(self, form: Form, folder: Path) -> None:
        self._form = form
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._name = ""
        self._filename: str | None = None
        self._text = bytearray()
        self._size = 0

    def begin(self, segment: Any) -> None:
        """A part's headers have come."""
        self._name = segment.name or ""
        self._filename = segment.filename
        if self._filename is None:
            self._filename = _extended_filename(segment.header("Content-Disposition") or "")
        self._text.clear()
        self._size = 0
        if self._filename is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path(), "wb", buffering=0)  # noqa: SIM115 - closed by end()

    def write(self, data: bytes | bytearray) -> None:
        """A piece of the part's content has come."""
        self._size += len(data)
        if self._file is not None:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        elif self._size > MAX_FIELD:
            raise bad_request(f"Field too long: {self._name[:80]}")
        else:
            self._text += data

    def end(self) -> None:
        """The part is complete."""
        if self._file is None:
            self._form.fields[self._name] = self._text.decode("utf-8", "replace")
            return
        path = self._path()
        self.close()
        self._form.files.append(UploadedFile(self._name, self._filename or "", path, self._size))

    def close(self) -> None:
        """Close a file that is still open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _path(self) -> Path:
        return self._folder / f"part-{len(self._form.files)}"


def _extended_filename(disposition: str) -> str | None:
    """The name in RFC 2231 form (``filename*=utf-8''...``), which some clients send."""
    match = re.search(r"filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", disposition, re.IGNORECASE)
    return unquote(match[1]) if match else None
