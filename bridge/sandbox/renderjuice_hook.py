# SPDX-License-Identifier: GPL-3.0-or-later
"""The webhook ``onRenderComplete`` (Renderjuice docs, Webhook events), posted to this computer.

The address is a loopback one and nothing else. The sender waits 7 s for a 2xx and tries again a
limited number of times; how often is not documented, here four times in all. The signature is the
HMAC-SHA256 of ``timestamp + "." + body``; its encoding is not documented either (``ways``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..problems import Category, ProblemError

LOG = logging.getLogger("scene_courier.sandbox")
EVENT = "onRenderComplete"
PATIENCE = 7.0
#: seconds before each further attempt
PAUSES: tuple[float, ...] = (1.0, 5.0, 15.0)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass
class _Delivery:
    payload: Callable[[], dict[str, Any]]
    job_id: str
    attempt: int = 1
    due: float = 0.0


def checked_url(url: str) -> str:
    """The same address. Raises ProblemError(INPUT) unless it is http(s) on this computer."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname in _LOOPBACK
        fits = fits and not parts.username and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits:
        raise ProblemError(
            Category.INPUT,
            "The sandbox sends webhooks to this computer only.",
            "Use an address like http://127.0.0.1:8123/hook.",
        )
    return url


def event(job: dict[str, Any], completed_at: str, frames: list[str]) -> dict[str, Any]:
    """The payload of a completed job; ``outputs`` is left out when there are no frames."""
    told = {
        "event": EVENT,
        "status": "completed",
        "jobId": job["id"],
        "workspaceId": job["workspaceId"],
        "completedAt": completed_at,
    }
    return {**told, "outputs": {"frames": frames}} if frames else told


class Hook:
    """Posts events on a thread of its own. ``ways`` are asked at each attempt.

    ``deliveries`` lists what was tried: {"job_id", "attempt", "status" (None: no answer), "at"}.
    """

    def __init__(self, secret: str, ways: Callable[[], dict[str, Any]]) -> None:
        self.url = ""
        self.secret = secret
        self.deliveries: list[dict[str, Any]] = []
        self._ways = ways
        self._queue: queue.SimpleQueue[_Delivery | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="sandbox-hook", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Forget what was not delivered; polling is a client's base."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(PATIENCE + 1)

    def send(self, job_id: str, payload: Callable[[], dict[str, Any]]) -> None:
        """Deliver an event, if there is an address. ``payload`` is made anew for each attempt."""
        if self.url:
            self._queue.put(_Delivery(payload, job_id))

    def _work(self) -> None:
        waiting: list[_Delivery] = []
        while True:
            now = time.monotonic()
            patience = min((item.due - now for item in waiting), default=60.0)
            try:
                new = self._queue.get(timeout=max(0.01, patience))
                if new is None:
                    return
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
            status = self._post(json.dumps(item.payload()).encode())
        except (OSError, http.client.HTTPException) as error:
            LOG.info("webhook for job %s: %s", item.job_id, type(error).__name__)
        self.deliveries.append(
            {"job_id": item.job_id, "attempt": item.attempt, "status": status, "at": time.time()}
        )
        return status is not None and 200 <= status < 300

    def _post(self, body: bytes) -> int:
        target = urlsplit(self.url)
        kind = (
            http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(target.hostname or "", target.port, timeout=PATIENCE)
        try:
            path = (target.path or "/") + (f"?{target.query}" if target.query else "")
            connection.request("POST", path, body, self.headers(body))
            return connection.getresponse().status
        finally:
            connection.close()

    def headers(self, body: bytes) -> dict[str, str]:
        """The headers of a delivery, the signature included."""
        ways = self._ways()
        stamp = str(int(time.time() - float(ways["hook_age"])))
        digest = hmac.new(self.secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
        signature = {
            "hex": digest.hexdigest(),
            "base64": base64.b64encode(digest.digest()).decode(),
            "prefixed": f"sha256={digest.hexdigest()}",
            "wrong": hashlib.sha256(body).hexdigest(),
        }[ways["hook_signature"]]
        return {
            "Content-Type": "application/json",
            "User-Agent": "Renderjuice-Sandbox",
            "X-Renderjuice-Signature": signature,
            "X-Renderjuice-Timestamp": stamp,
        }
