# SPDX-License-Identifier: GPL-3.0-or-later
"""Glossi's webhooks, posted to this computer: the workspace's setting, and a job's own address.

Addresses are loopback ones and nothing else. The signature is the hex HMAC-SHA256 of the raw body
(Glossi docs, Webhooks). What is not answered with a 2xx is tried three times more, each time after
a longer pause; how long the pauses are is not documented. A delivery keeps its event's timestamp.

The secret is made from one that lies in the sandbox's private file, so the database has none.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from .glossi_store import GlossiStore

LOG = logging.getLogger("scene_courier.sandbox")
EVENTS = (
    "model.processed", "model.failed", "project.created", "job.complete", "job.failed",
    "render.complete", "render.failed",
)  # fmt: skip
PATIENCE = 7.0
#: seconds before each further attempt: three, each after a longer time
PAUSES: tuple[float, ...] = (1.0, 4.0, 16.0)
#: how long events are collected when they are to come in another order
COLLECTED = 0.5


@dataclass
class _Delivery:
    url: str
    event: str
    body: bytes
    signed: bool
    subject: str
    attempt: int = 1
    due: float = 0.0


class GlossiHook:
    """Keeps the setting, and posts events on a thread of its own.

    ``deliveries`` lists what was tried: {"event", "id", "url", "attempt", "status" (None: no
    answer), "at"}.
    """

    def __init__(self, store: GlossiStore, secret: str, ways: Callable[[], dict[str, Any]]) -> None:
        self._store = store
        self._base = secret.encode()
        self._ways = ways
        self.deliveries: list[dict[str, Any]] = []
        self._queue: queue.SimpleQueue[_Delivery | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="sandbox-glossi-hook", daemon=True)

    # -- the setting -----------------------------------------------------------------------------

    @property
    def setting(self) -> dict[str, Any] | None:
        """{"id", "url", "events", "enabled"}, with "description" if there is one; else None."""
        kept = self._store.setting("webhook")
        return None if kept is None else {k: v for k, v in kept.items() if k != "generation"}

    @property
    def secret(self) -> str:
        """What deliveries are signed with; "" without a setting."""
        kept = self._store.setting("webhook")
        if kept is None:
            return ""
        words = f"{kept['id']}.{kept['generation']}".encode()
        return hmac.new(self._base, words, hashlib.sha256).hexdigest()

    def put(self, setting: dict[str, Any]) -> dict[str, Any]:
        """Replace the setting; the new one, its secret included."""
        with self._store.transaction():
            kept = self._store.setting("webhook") or {"id": str(uuid.uuid4()), "generation": 0}
            if self._ways()["webhook_secret"] == "new":
                kept["generation"] += 1
            setting = {"id": kept["id"], **setting}
            self._store.set_setting("webhook", {**setting, "generation": kept["generation"]})
        answer = {"id": setting.pop("id"), "url": setting.pop("url"), "secret": self.secret}
        return {**answer, **setting}

    def delete(self) -> bool:
        """Forget the setting; False when there is none."""
        there = self._store.setting("webhook") is not None
        self._store.set_setting("webhook", None)
        return there

    # -- delivering ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Forget what was not delivered; polling is a client's base."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(PATIENCE + 1)

    def send(self, event: str, data: dict[str, Any], subject: str, also: str = "") -> None:
        """Deliver an event where the setting wants it, and to ``also`` (a job's ``webhookUrl``)."""
        setting, ways = self._store.setting("webhook"), self._ways()
        moment = datetime.fromtimestamp(time.time() - float(ways["hook_age"]), UTC)
        stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        payload = {"event": event, "timestamp": stamp, "data": data}
        separators = (",", ":") if ways["hook_body"] == "compact" else (", ", " : ")
        body = json.dumps(payload, ensure_ascii=False, separators=separators).encode()
        targets: list[tuple[str, bool]] = []
        if setting and setting["enabled"] and event in setting["events"]:
            targets.append((setting["url"], True))
        if also:
            targets.append((also, setting is not None and ways["job_hook"] == "signed"))
        for url, signed in targets:
            for _ in range(int(ways["hook_times"])):
                self._queue.put(_Delivery(url, event, body, signed, subject))

    def _work(self) -> None:
        waiting: list[_Delivery] = []
        while True:
            now = time.monotonic()
            patience = min((item.due - now for item in waiting), default=60.0)
            try:
                new = self._queue.get(timeout=max(0.01, patience))
                if new is None:
                    return
                if self._ways()["hook_order"] == "reversed":
                    new.due = time.monotonic() + COLLECTED
                    for item in waiting:
                        if item.attempt == 1:
                            item.due = new.due
                    waiting.insert(0, new)
                    continue
                waiting.append(new)
            except queue.Empty:
                pass
            now = time.monotonic()
            due = [item for item in waiting if item.due <= now]
            waiting = [item for item in waiting if item.due > now]
            for item in due:
                if self._attempt(item) or item.attempt > len(PAUSES):
                    continue
                item.due = time.monotonic() + PAUSES[item.attempt - 1]
                item.attempt += 1
                waiting.append(item)

    def _attempt(self, item: _Delivery) -> bool:
        status: int | None = None
        try:
            status = self._post(item)
        except (OSError, http.client.HTTPException) as error:
            LOG.info("webhook %s for %s: %s", item.event, item.subject, type(error).__name__)
        self.deliveries.append(
            {"event": item.event, "id": item.subject, "url": item.url.partition("?")[0],
             "attempt": item.attempt, "status": status, "at": time.time()}
        )  # fmt: skip
        return status is not None and 200 <= status < 300

    def _post(self, item: _Delivery) -> int:
        target = urlsplit(item.url)
        kind = (
            http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(target.hostname or "", target.port, timeout=PATIENCE)
        try:
            path = (target.path or "/") + (f"?{target.query}" if target.query else "")
            connection.request("POST", path, item.body, self._headers(item))
            return connection.getresponse().status
        finally:
            connection.close()

    def _headers(self, item: _Delivery) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "Glossi-Sandbox"}
        kind, secret = self._ways()["hook_signature"], self.secret
        if item.signed and secret and kind != "absent":
            digest = hmac.new(secret.encode(), item.body, hashlib.sha256).hexdigest()
            headers["X-Glossi-Signature"] = {
                "hex": digest,
                "prefixed": f"sha256={digest}",
                "wrong": hashlib.sha256(item.body).hexdigest(),
            }[kind]
        return headers
