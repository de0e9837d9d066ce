# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP side of the sandbox: sockets, routing to services, faults on the wire, the journal.

It listens on the loopback address only, answers only to loopback host names (a web page that
points its own name at this machine gets nothing), and serves nothing without the services' keys
except the assets, whose paths are unguessable. It knows no vendor: below ``/<service>`` a service
decides; ``/_sandbox`` is for the tests' eyes.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from . import send
from .uploads import read_json
from .wire import (
    PIECE,
    Body,
    ClientGone,
    CutConnection,
    HttpError,
    Request,
    Response,
    json_response,
    share,
)

if TYPE_CHECKING:
    from . import Sandbox

LOG = logging.getLogger("scene_courier.sandbox")
_LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}
# A refused body up to this size is read and forgotten, so that the connection lives on.
_DRAIN_BYTES = 4 << 20
_LINGER_SECONDS = 10.0
_LINGER_IDLE = 2.0


class Server(ThreadingHTTPServer):
    """A threading server on 127.0.0.1 that remembers its open connections."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    # On Windows this option would let another program take the same port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, port: int, box: Sandbox) -> None:
        self.box = box
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, then hand it to a thread."""
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Break every open connection, so that no thread outlives the server."""
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A broken connection is everyday; anything else is logged."""
        LOG.debug("connection ended", exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """One connection: request after request until one side closes."""

    protocol_version = "HTTP/1.1"
    server_version = "SceneCourierSandbox"
    sys_version = ""
    timeout = 75
    rbufsize = 256 * 1024
    disable_nagle_algorithm = True
    server: Server

    def handle_expect_100(self) -> bool:
        """Say nothing yet: "100 Continue" goes out when a service first reads the body."""
        return True

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are in the journal; headers are never logged."""

    def _serve(self) -> None:
        box = self.server.box
        target = urlsplit(self.path)
        entry = box.journal_entry(self.command, target, self.headers)
        self._entry = entry
        try:
            body = entry["_body"] = Body(self.rfile, self.headers, self._continue)
        except ValueError as error:
            self.close_connection = True
            self._answer(json_response(400, {"error": str(error)}), None)
            self._linger()
            box.close_entry(entry)
            return
        try:
            response = self._respond(target.path, parse_qs(target.query), body)
            self._answer(response, body)
        except (CutConnection, ClientGone):
            entry["cut"] = True
            self._cut(False)
        except ValueError:  # broken chunk framing: what follows cannot be read
            self.close_connection = True
            self._answer(json_response(400, {"error": "Malformed request body"}), None)
            self._linger()
        finally:
            box.close_entry(entry)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve

    def _continue(self) -> None:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _respond(self, path: str, query: dict[str, list[str]], body: Body) -> Response:
        refused = self._check_host()
        if refused is not None:
            return refused
        name, _, rest = unquote(path).lstrip("/").partition("/")
        request = Request(
            self.command, "/" + rest.rstrip("/"), query, self.headers, body, name, self._entry
        )
        try:
            if name == "_sandbox":
                return self._observe(request)
            service = self.server.box.services.get(name)
            if service is None:
                return json_response(404, {"error": "Not Found"})
            return self._with_faults(service, request)
        except HttpError as error:
            return error.response
        except (CutConnection, ClientGone, ValueError):
            raise
        except Exception:
            LOG.exception("fault of the sandbox while answering %s", path)
            return json_response(500, {"error": "Internal Server Error"})

    def _check_host(self) -> Response | None:
        host = self.headers.get("Host")
        if host is None and self.request_version == "HTTP/1.0":
            return None
        name = (host or "").strip().lower()
        if not name.startswith("["):
            name = name.partition(":")[0]
        else:
            name = name.partition("]")[0] + "]"
        if name in _LOOPBACK:
            return None
        return json_response(403, {"error": "This server only answers to loopback host names"})

    def _with_faults(self, service: Any, request: Request) -> Response:
        path = request.path.removeprefix(service.prefix) or "/"
        fault = self.server.box.plan.take(request.method, path, request.query, service.name)
        if fault is None:
            return _handle(service, request)
        request.fault = fault
        request.entry["fault"] = True
        request.body.cut_after = share(fault.action.get("cut_upload"), request.body.length)
        request.body.rate = fault.action.get("read_rate")
        if fault.when == "received":
            request.body.drain()
        if fault.acts_early:
            response = fault.replacement() or json_response(500, {"error": "cut"})
        else:
            response = _handle(service, request)
            response = fault.replacement() or response
        if fault.action.get("delay"):
            self.server.box.stopping.wait(float(fault.action["delay"]))
        return fault.change(response)

    def _observe(self, request: Request) -> Response:
        """``/_sandbox``: what tests look at and steer by; any service's key opens it."""
        box = self.server.box
        given = request.header("Authorization").removeprefix("Bearer ").encode()
        if not any(hmac.compare_digest(given, s.api_key.encode()) for s in box.services.values()):
            return json_response(401, {"error": "Authentication required"})
        if request.method == "GET" and request.path == "/journal":
            return json_response(200, box.journal())
        if request.method == "PUT" and request.path == "/faults":
            from ..problems import ProblemError

            try:
                box.set_faults(read_json(request))
            except ProblemError as error:
                return json_response(400, {"error": error.problem.technical})
            return json_response(200, {})
        name, _, rest = request.path.lstrip("/").partition("/")
        observe = getattr(box.services.get(name), "observe", None)
        if observe is not None:
            answer: Response = observe(request, f"/{rest}")
            return answer
        return json_response(404, {"error": "Not Found"})

    # -- sending -------------------------------------------------------------------------------

    def _answer(self, response: Response, body: Body | None) -> None:
        """Send; then make the connection fit for the next request, or end it politely."""
        entry = self._entry
        entry["status"] = response.status
        if response.wire.get("cut") == "before_headers":
            entry["cut"] = True
            self._cut(bool(response.wire.get("reset")))
            return
        unread = body is not None and not body.complete
        keep = body is not None and unread and self._may_drain(body)
        if unread and not keep:
            self.close_connection = True
        if not send.send(self, response):
            entry["cut"] = True
            self._cut(bool(response.wire.get("reset")))
        elif body is not None and keep:
            body.rate = body.cut_after = None
            with contextlib.suppress(ValueError):
                body.drain()
            self.close_connection = self.close_connection or not body.complete
        elif unread:
            self._linger()

    def _may_drain(self, body: Body) -> bool:
        """Whether the rest of a refused body is little enough to be read for keep-alive."""
        if self.headers.get("Expect") and body.received == 0:
            return False  # the client may or may not send it: nothing after it can be trusted
        return body.length is not None and body.length - body.received <= _DRAIN_BYTES

    def _linger(self) -> None:
        """Let a client that is still sending read the answer: an early close would reset it."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_IDLE)
            end = time.monotonic() + _LINGER_SECONDS
            while time.monotonic() < end and self.connection.recv(PIECE):
                pass

    def _cut(self, reset: bool) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            if reset:
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                socket.close(self.connection.detach())
            else:
                self.connection.shutdown(socket.SHUT_RDWR)


def _handle(service: Any, request: Request) -> Response:
    try:
        response: Response = service.handle(request)
    except HttpError as error:
        return error.response
    return response
