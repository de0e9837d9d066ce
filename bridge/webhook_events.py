# SPDX-License-Identifier: GPL-3.0-or-later
"""Is an event really the service's? One function in ``VERIFIERS`` for each service that sends any.

Nothing is believed before its signature is, over the raw bytes that came and in constant time.
Nothing here listens or answers; that is ``webhooks``.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

#: how far Renderjuice's timestamp, which is signed for each delivery, may be off
WINDOW_SECONDS = 300
#: how old a Glossi event may be: its timestamp is the event's, and deliveries are tried again later
DAY_SECONDS = 86_400
GLOSSI_EVENTS = (
    "model.processed",
    "model.failed",
    "project.created",
    "job.complete",
    "job.failed",
    "render.complete",
    "render.failed",
)
_MOST_IDS = 400
_LONGEST_ID = 200
_DEEPEST = 6


@dataclass(frozen=True)
class Event:
    """A verified event: which service, what it is called, and the service's id of what it is about.

    ``ids`` are all ids in it (``remote_id`` first), ``stamp`` its own time. ``thumbnail`` and
    ``glb`` are addresses that an event about a processed model has: secrets, kept in this process.
    """

    service: str
    name: str
    remote_id: str
    stamp: str = ""
    ids: tuple[str, ...] = ()
    thumbnail: str = field(default="", repr=False)
    glb: str = field(default="", repr=False)

    @property
    def key(self) -> tuple[str, ...]:
        """What is the same when an event is delivered again (there is no delivery id)."""
        return self.service, self.remote_id, self.name, self.stamp


class Rejected(Exception):
    """Not a genuine event; ``status`` is the HTTP answer, the text is for our own log."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def verify_renderjuice(
    secret: str, headers: Mapping[str, str], body: bytes, now: float | None = None
) -> Event:
    """The event in a delivery of Renderjuice's (Renderjuice docs, Webhook events).

    HMAC-SHA256 over ``timestamp + "." + raw body``, compared in constant time; the encoding of the
    signature is not documented, so hex and base64 are both read. The timestamp (Unix seconds) may
    be five minutes off, to either side. Raises Rejected.
    """
    named = {name.lower(): value.strip() for name, value in headers.items()}
    stamp = named.get("x-renderjuice-timestamp", "")
    signature = named.get("x-renderjuice-signature", "")
    if not stamp or not signature:
        raise Rejected(401, "not signed")
    if not re.fullmatch(r"[0-9]{1,12}", stamp):
        raise Rejected(401, "an unreadable timestamp")
    expected = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).digest()
    genuine = [hmac.compare_digest(expected, given) for given in _signatures(signature)]
    if not any(genuine):
        raise Rejected(401, "a wrong signature")
    if abs((time.time() if now is None else now) - int(stamp)) > WINDOW_SECONDS:
        raise Rejected(401, "too old, or from the future")
    try:
        data = json.loads(body)
        name, remote_id = data["event"], data["jobId"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Rejected(400, "no event in it") from None
    if not (isinstance(name, str) and isinstance(remote_id, str) and name and remote_id):
        raise Rejected(400, "no event in it")
    return Event("renderjuice", name[:100], remote_id[:200])


def _signatures(text: str) -> list[bytes]:
    """The 32 bytes that a signature may stand for, in each encoding that fits."""
    value = re.sub(r"^(?:sha256|v1)=", "", text, flags=re.I)
    found = []
    if re.fullmatch(r"[0-9a-fA-F]{64}", value):
        found.append(bytes.fromhex(value))
    if re.fullmatch(r"[A-Za-z0-9+/_-]{43}=?", value):
        plain = value.rstrip("=").replace("-", "+").replace("_", "/") + "="
        with contextlib.suppress(binascii.Error, ValueError):
            found.append(base64.b64decode(plain, validate=True))
    return found


def verify_glossi(
    secret: str, headers: Mapping[str, str], body: bytes, now: float | None = None
) -> Event:
    """The event in a delivery of Glossi's (Glossi docs, Complete Workflow, step 6, and Webhooks).

    HMAC-SHA256 over the raw body in hex, compared in constant time. The signature covers no time of
    its own, so the event's (``timestamp``) must be there and not more than a day off: what was
    recorded once cannot be played back later. Which ids an event has is documented for three of the
    seven; all that are in it count. An event of an unknown name is genuine too. Raises Rejected.
    """
    named = {name.lower(): value.strip() for name, value in headers.items()}
    signature = named.get("x-glossi-signature", "")
    if not signature:
        raise Rejected(401, "not signed")
    given = re.sub(r"^sha256=", "", signature, flags=re.I)
    # Of another length, or no hex: no need to compare. compare_digest would not mind either.
    if not re.fullmatch(r"[0-9a-fA-F]{64}", given):
        raise Rejected(401, "an unreadable signature")
    expected = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    if not hmac.compare_digest(expected, bytes.fromhex(given)):
        raise Rejected(401, "a wrong signature")
    try:
        payload = json.loads(body)
        name, stamp = payload["event"], payload["timestamp"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Rejected(400, "no event in it") from None
    if not isinstance(name, str) or not name:
        raise Rejected(400, "no event in it")
    moment = _moment(stamp)
    if moment is None:
        raise Rejected(401, "an unreadable timestamp")
    if not abs((time.time() if now is None else now) - moment) <= DAY_SECONDS:
        raise Rejected(401, "too old, or from the future")
    data = payload.get("data")
    kind = name.partition(".")[0]
    main = _text(data, {"model": "modelId", "project": "projectId"}.get(kind, "jobId"))
    found = [main] if main else []
    for one in _ids(data):
        if one not in found and len(found) < _MOST_IDS:
            found.append(one)
    return Event(
        "glossi",
        name[:100],
        found[0] if found else "",
        str(stamp)[:100],
        tuple(found),
        _text(data, "thumbnailUrl"),
        _text(data, "glbFilePath"),
    )


def _moment(stamp: Any) -> float | None:
    """An ISO 8601 time, or Unix seconds or milliseconds, as Unix seconds; None if neither."""
    try:
        if isinstance(stamp, int | float) and not isinstance(stamp, bool):
            return float(stamp) / (1000 if stamp > 1e11 else 1)
        moment = datetime.fromisoformat(str(stamp))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _ids(value: Any, name: str = "", depth: int = 0) -> Iterator[str]:
    """Every id in an event's data: what stands under ``id``, ``…Id`` or ``…Ids``."""
    if isinstance(value, str):
        if re.fullmatch(r"id|ids|.*Ids?", name) and 0 < len(value) <= _LONGEST_ID:
            yield value
    elif isinstance(value, dict) and depth < _DEEPEST:
        for key, item in value.items():
            yield from _ids(item, str(key), depth + 1)
    elif isinstance(value, list) and depth < _DEEPEST:
        for item in value:
            yield from _ids(item, name, depth + 1)


def _text(data: Any, name: str) -> str:
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, str) else ""


Verifier = Callable[[str, Mapping[str, str], bytes], Event]

VERIFIERS: dict[str, Verifier] = {
    "renderjuice": verify_renderjuice,
    "glossi": verify_glossi,
}
