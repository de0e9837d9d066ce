# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver of services' events that wakes the jobs they are about.

It listens on loopback alone, on a port that the user names, behind the user's own tunnel; what
comes through it may come from anybody, and is judged by ``webhook_events``. Bodies, headers, times
and threads are bounded. An event only makes the worker look at a job at once: what happened is
asked from the service itself, and polling stays the base.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import socketserver
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

from .jobs import State
from .problems import Category, ProblemError
from .redact import technical
from .store import Store
from .webhook_events import VERIFIERS, Event, Rejected, verify_glossi, verify_renderjuice

__all__ = [
    "VERIFIERS",
    "Event",
    "Receiver",
    "Rejected",
    "verify_glossi",
    "verify_renderjuice",
    "wake",
]

MAX_BODY_BYTES = 1024 * 1024
_THREADS = 8
#: all of one exchange; the vendor waits 7 s for the answer (Renderjuice docs, Webhook events)
_EXCHANGE_SECONDS = 6.0
_REMEMBERED = 10_000
_LOG = logging.getLogger(__name__)


class Receiver:
    """Listens on 127.0.0.1; a context manager. ``on_event`` is called in a thread of its own kind.

    Every genuine event is answered with 200 before anything is done about it; one that was heard
    already is too, so that nobody sends it again, but it is not acted on a second time. Raises
    ProblemError(INPUT) when the port cannot be used.
    """

    def __init__(
        self,
        service: str,
        secret: str,
        port: int,
        on_event: Callable[[Event], None],
        *,
        on_rejected: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._verify = VERIFIERS[service]
        self._secret = secret
        self._on_event = on_event
        self._on_rejected = on_rejected
        self._heard: OrderedDict[tuple[str, ...], None] = OrderedDict()
        self._lock = threading.Lock()
        try:
            self._server = _Server(self, port)
        except OSError as error:
            raise ProblemError(
                Category.INPUT,
                f"The port {port} cannot be used.",
                "Something else may be using it. Choose another one.",
                technical(type(error).__name__, error.strerror),
            ) from None
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="webhooks", daemon=True
        )

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def receive(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Judge one delivery; False when it was heard before. Raises Rejected."""
        event = self._verify(self._secret, headers, body)
        with self._lock:
            if event.key in self._heard:
                return False
            self._heard[event.key] = None
            while len(self._heard) > _REMEMBERED:
                self._heard.popitem(last=False)
        self._on_event(event)
        return True

    def reject(self, reason: str) -> None:
        """Tell the owner that something else than a genuine event came."""
        _LOG.info("refused: %s", reason)
        self._on_rejected(reason)


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """At most so many exchanges at once; what comes beyond that is hung up on, and sent again."""

    daemon_threads = True
    request_queue_size = 16
    # On Windows this would let two programs share the port.
    allow_reuse_address = not hasattr(socket, "SO_EXCLUSIVEADDRUSE")

    def __init__(self, receiver: Receiver, port: int) -> None:
        self.receiver = receiver
        self._room = threading.BoundedSemaphore(_THREADS)
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin an exchange if there is room."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One exchange, ended by force when it takes too long."""

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

        limit = threading.Timer(_EXCHANGE_SECONDS, hang_up)
        limit.daemon = True
        limit.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            limit.cancel()
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A broken connection is no news."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _EXCHANGE_SECONDS
    server: _Server
    server_version = "scene-courier"
    sys_version = ""

    def do_POST(self) -> None:
        receiver = self.server.receiver
        try:
            fresh = receiver.receive(self._headers(), self._body())
        except Rejected as rejected:
            receiver.reject(str(rejected))
            self._answer(rejected.status, {"accepted": False})
            return
        self._answer(200, {"accepted": fresh})

    def do_GET(self) -> None:
        self._answer(405, {"accepted": False})

    do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_GET

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            if name.lower() in headers and name.lower().startswith("x-"):
                raise Rejected(400, "a header twice")
            headers[name.lower()] = value
        return headers

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,10}", length):
            raise Rejected(411, "no length")
        if int(length) > MAX_BODY_BYTES:
            raise Rejected(413, "too large")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise Rejected(400, "cut short")
        return body

    def _answer(self, status: int, data: dict[str, Any]) -> None:
        raw = json.dumps(data).encode()
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: request lines may hold what a tunnel put there."""


def wake(store: Store, event: Event) -> list[str]:
    """Make the worker look at the event's jobs now; answers their ids.

    Those whose own id at the service, or that of anything they made there, is in the event. Only
    jobs that wait for time: what waits for a person goes on waiting.
    """
    woken = []
    for job in store.jobs_about(event.service, event.ids or (event.remote_id,)):
        if job.state is State.AWAITING_APPROVAL or job.waiting_reason in ("person", "credentials"):
            continue
        if job.due_at > time.time():
            store.update_job(job.id, due_at=0)
        woken.append(job.id)
    return woken
