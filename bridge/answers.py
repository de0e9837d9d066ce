# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a service answers, and trusts none of it.

An answer may be JSON in one of several shapes, a gateway's HTML page, garbage, or nothing. Here it
becomes either data or a message; nothing in this module talks to the network.
"""

from __future__ import annotations

import email.utils
import html
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .redact import redact

MESSAGE_LIMIT = 300
_TITLE = re.compile(r"<(title|h1)[^>]*>(.*?)</\1>", re.I | re.S)


@dataclass(frozen=True)
class Answer:
    """A whole answer. ``data`` is what the ``{"data": …}`` envelope held, else the body itself."""

    status: int
    data: Any
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def meta(self) -> dict[str, Any]:
        """The list's ``meta`` object; empty if there is none."""
        meta = self.body.get("meta") if isinstance(self.body, dict) else None
        return meta if isinstance(meta, dict) else {}


class Unreadable(Exception):
    """The body is not JSON; the text says what it looks like (for the technical line)."""


def parse(raw: bytes, content_type: str = "") -> Any:
    """The JSON value of a body. Raises Unreadable for everything else, and for an empty body.

    The content type is not trusted either way; it only helps to name what came instead.
    """
    stripped = raw.strip(b"\x00 \t\r\n")
    if not stripped:
        raise Unreadable("empty answer")
    try:
        return json.loads(stripped.removeprefix(b"\xef\xbb\xbf"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        pass
    if "html" in content_type.lower() or stripped[:1] == b"<":
        title = page_title(stripped)
        raise Unreadable(f"a web page instead of JSON{f': {title}' if title else ''}")
    kind = content_type.partition(";")[0].strip() or "no content type"
    raise Unreadable(f"not JSON ({kind}, {len(raw)} bytes)")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def page_title(raw: bytes) -> str:
    """A web page's title or first heading, for the technical line."""
    match = _TITLE.search(raw[:20_000].decode("utf-8", "replace"))
    return plain(html.unescape(match[2])) if match else ""


def storage_error(raw: bytes) -> dict[str, str] | None:
    """An object store's XML error as ``{"code", "message"}``; None for anything else.

    Only these two are taken: the rest may hold what was signed.
    """
    text = raw[:20_000].decode("utf-8", "replace")
    found = {
        name.lower(): plain(html.unescape(match[1]))
        for name in ("Code", "Message")
        if (match := re.search(rf"<{name}>([^<]{{1,2000}})</{name}>", text))
    }
    return found if "code" in found else None


def plain(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """A service's words as one bounded line without control characters, tags or secrets."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = redact(re.sub(r"<[^>]{0,200}>", "", line)).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def message(body: Any) -> str:
    """The words of an error answer, in any of the shapes that the services use; "" if none.

    ``{"error": "…"}``, ``{"error": {"message", "name"}}``, ``{"data": {"error": "…"}}``,
    ``{"message": "…"}``, ``{"errorMessage": "…"}``, and the usual relatives (detail,
    errors[0].message). Where a body has several, ``message`` says most (``error`` is then often
    only the status in words).
    """
    for candidate in _candidates(body):
        if isinstance(candidate, str) and candidate.strip():
            return plain(candidate)
    return ""


def _candidates(body: Any) -> list[Any]:
    if isinstance(body, str):
        return [body]
    if not isinstance(body, dict):
        return []
    found: list[Any] = []
    for holder in (body, body.get("data")):
        if not isinstance(holder, dict):
            continue
        said = holder.get("message")
        found.append(said[0] if isinstance(said, list) and said else said)
        error = holder.get("error")
        found.append(error)
        if isinstance(error, dict):
            found += [error.get("message"), error.get("detail"), error.get("name")]
        if isinstance(error, list) and error:
            found.append(error[0])
        found.append(holder.get("errorMessage"))
        found.append(holder.get("detail"))
        errors = holder.get("errors")
        if isinstance(errors, list) and errors:
            first = errors[0]
            found.append(first.get("message") if isinstance(first, dict) else first)
    return found


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by Retry-After (seconds or a date); None if absent or senseless."""
    value = (headers.get("Retry-After") or "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        moment = server_time(value)
        if moment is None:
            return None
        # The service's own clock tells how far away its date is, ours may be wrong.
        seconds = moment - (server_time(headers.get("Date", "")) or time.time())
    return min(max(seconds, 0.0), 86400.0) if seconds == seconds else None


def server_time(date: str) -> float | None:
    """A Date header as Unix seconds; None if it cannot be read."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
