# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets under ``requests``, watched.

Three things that an ordinary session cannot do: count the bytes of a body as they really leave,
notice a stall or a cancel in the middle of a piece, and read an answer (413, 401) that the service
gives while the body is still on its way, instead of reporting a broken pipe. The policy (what is
retried, what is an error) is not here but in ``http``.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from requests import Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.wait import wait_for_read

from .faults import stalled
from .problems import Canceled

_SLICE = 0.25  # seconds between looks at "canceled?" while a socket is busy


class Watch:
    """What one exchange and its connection tell each other.

    ``in_body`` is set by the body when its first piece follows the headers; ``committed`` when its
    last piece is about to leave, after which a cancel no longer interrupts the exchange.
    """

    def __init__(
        self,
        cancelled: Callable[[], bool],
        stall_seconds: float,
        answer_seconds: float,
        on_sent: Callable[[int], None] | None = None,
    ) -> None:
        self.cancelled = cancelled
        self.stall_seconds = stall_seconds
        self.answer_seconds = answer_seconds
        self.on_sent = on_sent
        self.in_body = False
        self.committed = False
        self.left = False  # at least the headers were handed to the system
        self.socket: Any = None

    def check(self) -> None:
        """Canceled, unless the body is already complete."""
        if not self.committed and self.cancelled():
            raise Canceled

    def answered_early(self) -> bool:
        """True when the service has refused, or closed, before the body was through.

        Plain sockets only: under TLS unread bytes may be a session ticket. There the system
        reports the broken connection and the answer is read then.
        """
        if self.socket is None or isinstance(self.socket, ssl.SSLSocket):
            return False
        try:
            if not isinstance(self.socket, socket.socket) or not wait_for_read(self.socket, 0):
                return False
            start = self.socket.recv(12, socket.MSG_PEEK)
        except (BlockingIOError, TimeoutError):
            return False
        except OSError:
            return True
        if not start:
            return True
        digit = start[9:10]  # b"HTTP/1.1 413": an interim 1xx or an early 2xx does not stop us
        return not start.startswith(b"HTTP/") or digit in (b"3", b"4", b"5")


_current: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watching(watch: Watch) -> Iterator[Watch]:
    """Connections used in this block, by this thread, obey ``watch``."""
    token = _current.set(watch)
    try:
        yield watch
    finally:
        _current.reset(token)
        watch.socket = None


def _send(sock: Any, data: Any, watch: Watch) -> None:
    """Like sendall, but the time limit counts from the last byte that left, not the first."""
    view = memoryview(data).cast("B")
    before = sock.gettimeout()
    sock.settimeout(_SLICE)
    deadline = time.monotonic() + watch.stall_seconds
    try:
        while view:
            watch.check()
            try:
                count = sock.send(view)
            except (TimeoutError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                if watch.in_body and not watch.committed and watch.answered_early():
                    raise BrokenPipeError from None
                if time.monotonic() > deadline:
                    raise stalled(watch.stall_seconds) from None
                continue
            except (ConnectionResetError, ConnectionAbortedError):
                # urllib3 reads the answer after a broken pipe; of a reset only newer ones do.
                raise BrokenPipeError from None
            view = view[count:]
            deadline = time.monotonic() + watch.stall_seconds
            watch.left = True
            if watch.in_body and watch.on_sent is not None:
                watch.on_sent(count)
    finally:
        view.release()
        with suppress(OSError):
            sock.settimeout(before)


class _Watched:
    """Mixed into urllib3's connections; without a watch they behave as ever."""

    sock: Any
    auto_open: int
    connect: Callable[[], None]

    def send(self, data: Any) -> None:
        watch = _current.get()
        if watch is None or not isinstance(data, (bytes, bytearray, memoryview)):
            super().send(data)  # type: ignore[misc]
            return
        watch.check()
        if self.sock is None:
            self.connect()
        watch.socket = self.sock
        _send(self.sock, data, watch)

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        watch = _current.get()
        if watch is not None and self.sock is not None:
            deadline = time.monotonic() + watch.answer_seconds
            while not self._readable():
                watch.check()
                if time.monotonic() > deadline:
                    raise TimeoutError("timed out waiting for the answer")
        return super().getresponse(*args, **kwargs)  # type: ignore[misc]

    def _readable(self) -> bool:
        pending = getattr(self.sock, "pending", None)
        if pending is not None and pending():
            return True
        return bool(wait_for_read(self.sock, _SLICE))


class _HTTPConnection(_Watched, HTTPConnection):
    pass


class _HTTPSConnection(_Watched, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class WatchedAdapter(HTTPAdapter):
    """requests' adapter with watched connections, direct or through a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if "socks" not in proxy.partition(":")[0]:
            manager.pool_classes_by_scheme = _POOLS
        return manager


class PlainSession(Session):
    """A session that takes nothing from the environment and follows nothing by itself.

    No netrc (it would replace our Authorization), no cookies, no redirects: ``http`` decides.
    """

    def __init__(self) -> None:
        super().__init__()
        from http.cookiejar import DefaultCookiePolicy

        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.mount("https://", WatchedAdapter(max_retries=0))
        self.mount("http://", WatchedAdapter(max_retries=0))

    def get_redirect_target(self, resp: Any) -> str | None:
        """Never: ``requests`` would read such an answer whole and follow it with our headers."""
        return None
