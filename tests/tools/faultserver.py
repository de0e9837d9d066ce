# SPDX-License-Identifier: GPL-3.0-or-later
"""A raw-socket HTTP server on loopback that does exactly what a test tells it, however wrong.

    def script(exchange): exchange.read_body(); exchange.reply(200, b"{}")
    with FaultServer(script) as server: ... server.url, server.seen

Each connection carries one exchange, in a thread of its own. A script that raises fails the test
when the server is closed (a broken connection is no failure: clients may hang up).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any


class Exchange:
    """One request: its head is read; body and answer are the script's business."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number  # 1 for the first exchange of the server
        self.method = self.target = ""
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.received = 0
        self._spare = b""
        self.released = threading.Event()

    def read_head(self) -> bool:
        """False if the client closed without a request."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.sock.recv(65536)
            if not piece:
                return False
            data += piece
        head, _, self._spare = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _version = first.split(" ", 2)
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        return True

    @property
    def length(self) -> int:
        """The announced length of the body."""
        return int(self.headers.get("content-length", "0"))

    def read_body(self, count: int | None = None, *, keep: bool = True) -> bytearray:
        """Read the body, or its first ``count`` bytes; ends early if the client hangs up."""
        left = (self.length if count is None else count) - self.received
        while left > 0:
            piece = self._spare or self.sock.recv(min(left, 1 << 20))
            self._spare = b""
            if not piece:
                break
            self.received += len(piece)
            left -= len(piece)
            if keep:
                self.body += piece
        return self.body

    def send(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self.sock.sendall(raw)

    def reply(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        """A well-formed answer; ``Content-Length`` unless the headers set it to ""."""
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        fields |= {"Connection": "close"} | (headers or {})
        head = f"HTTP/1.1 {status} Reason\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
        self.send(head.encode("latin-1") + b"\r\n" + body)

    def reset(self) -> None:
        """Cut the connection hard (RST)."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class FaultServer:
    """Serves ``script`` on a free loopback port; a context manager. ``seen`` are the exchanges."""

    def __init__(
        self, script: Callable[[Exchange], None], tls: ssl.SSLContext | None = None
    ) -> None:
        self.script = script
        self.tls = tls
        self.seen: list[Exchange] = []
        self.faults: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Fixed, not tuned by the system: what a script has not read must not be "sent" already.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.closing = threading.Event()
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> FaultServer:
        self._accepting.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        for exchange in self.seen:
            exchange.released.set()
            with contextlib.suppress(OSError):
                exchange.sock.close()
        for thread in self._threads:
            thread.join(5)
        if self.faults and exc[0] is None:
            raise self.faults[0]

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _address = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        if self.tls is not None:
            try:
                sock = self.tls.wrap_socket(sock, server_side=True)
            except OSError:
                sock.close()
                return
        with self._lock:
            exchange = Exchange(sock, len(self.seen) + 1)
            try:
                if not exchange.read_head():
                    sock.close()
                    return
            except OSError:
                return
            self.seen.append(exchange)
        try:
            self.script(exchange)
        except OSError:
            pass  # the client hung up, or the server is closing
        except BaseException as error:
            self.faults.append(error)
        finally:
            with contextlib.suppress(OSError):
                sock.close()
