# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts an answer on the wire: sized or chunked, whole or a byte range, honest or cut by a fault."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import BinaryIO

from .wire import PIECE, Response, share


def send(handler: BaseHTTPRequestHandler, response: Response) -> bool:
    """Send ``response``; False when a fault cut it and the connection has to be broken.

    Raises OSError when the client has gone.
    """
    cut = response.wire.get("cut")
    if response.file is None:
        head = _head(handler, response, len(response.body))
        if cut == "after_headers":
            handler.wfile.write(head)
            return False
        if handler.command == "HEAD":
            handler.wfile.write(head)
            return True
        most = share(cut, len(response.body))
        if most is not None:
            handler.wfile.write(head + response.body[:most])
            return most >= len(response.body)
        if response.wire.get("send_rate"):
            handler.wfile.write(head)
            return _send_pieces(handler, response, iter([response.body]), False, None)
        handler.wfile.write(head + response.body)
        return True
    with open(response.file, "rb") as file:
        return _send_file(handler, response, file)


def _send_file(handler: BaseHTTPRequestHandler, response: Response, file: BinaryIO) -> bool:
    size = os.fstat(file.fileno()).st_size
    most = share(response.wire.get("truncate"), size)
    size = size if most is None else min(size, most)
    start, end = 0, size
    if response.sized:
        response.headers["Accept-Ranges"] = "bytes"
        wanted = _range(handler, response, size)
        if wanted is not None:
            start, end = wanted
            if start >= size:
                response.status = 416
                response.headers["Content-Range"] = f"bytes */{size}"
                handler.wfile.write(_head(handler, response, 0))
                return True
            response.status = 206
            response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    chunked = not response.sized and handler.request_version != "HTTP/1.0"
    if not response.sized and not chunked:
        handler.close_connection = True
    handler.wfile.write(_head(handler, response, end - start if response.sized else None))
    if response.wire.get("cut") == "after_headers":
        return False
    if handler.command == "HEAD":
        return True
    left = share(response.wire.get("cut"), end - start)
    return _send_pieces(handler, response, _pieces(file, start, end), chunked, left)


def _send_pieces(
    handler: BaseHTTPRequestHandler,
    response: Response,
    pieces: Iterator[bytes],
    chunked: bool,
    left: int | None,
) -> bool:
    """Send; ``left`` is after how many bytes a fault cuts."""
    rate = response.wire.get("send_rate")
    step = max(1, int(rate / 20)) if rate else PIECE
    for whole in pieces:
        for offset in range(0, len(whole), step):
            piece = whole[offset : offset + step]
            if left is not None:
                piece, left = piece[:left], left - len(piece[:left])
            if rate:
                time.sleep(len(piece) / rate)
            if piece:
                frame = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
                handler.wfile.write(frame)
            if left == 0:
                return False
    if chunked:
        handler.wfile.write(b"0\r\n\r\n")
    return True


def _pieces(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    while start < end and (data := file.read(min(PIECE, end - start))):
        start += len(data)
        yield data


def _range(
    handler: BaseHTTPRequestHandler, response: Response, size: int
) -> tuple[int, int] | None:
    """The one byte range that is asked for, as [start, end); None for the whole."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", handler.headers.get("Range", "").strip())
    condition = handler.headers.get("If-Range")
    if match is None or not any(match.groups()):
        return None
    if condition is not None and condition != response.headers.get("ETag"):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


def _head(handler: BaseHTTPRequestHandler, response: Response, length: int | None) -> bytes:
    reason = BaseHTTPRequestHandler.responses.get(response.status, ("",))[0]
    lines = [f"HTTP/1.1 {response.status} {reason}", f"Date: {handler.date_time_string()}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    elif handler.request_version != "HTTP/1.0":
        lines.append("Transfer-Encoding: chunked")
    if handler.close_connection:
        lines.append("Connection: close")
    elif handler.request_version == "HTTP/1.0":
        lines.append("Connection: keep-alive")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
