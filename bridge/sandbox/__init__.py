# SPDX-License-Identifier: GPL-3.0-or-later
"""The services on this computer: no account, no internet, the real work.

    serve(state_dir)                      serve until interrupted (``scene-courier sandbox``)
    with Sandbox(state_dir) as box: ...   the same in this process, on threads (tests)

``box.rigyd.base_url`` and ``box.rigyd.api_key`` are all that a client needs; ``box.renderjuice``
and ``box.glossi`` have the same. Keys, jobs, credits and files lie in ``state_dir`` and survive a
restart; ``state_dir/address.json`` (private) tells where a running sandbox is. One sandbox per
folder.
Finished jobs are kept, of Rigyd at most 200 and 4 GiB, and at least an hour.

This package stands in for the vendors, so it shares no code with ``bridge.services``: shared code
would hide shared mistakes. It listens on the loopback address only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..problems import Category, ProblemError
from .faults import FaultPlan

if TYPE_CHECKING:
    from ..blender import BlenderProgram
    from .convert import Converter
    from .glossi import Glossi
    from .glossi_studio import Studio
    from .renderjuice import Renderjuice
    from .renderjuice_work import Renderer
    from .rigyd import Rigyd

__all__ = ["SERVICES", "FaultPlan", "Sandbox", "serve"]

# What can be served, with the prefix of each service's keys.
SERVICES = {"rigyd": "rgyd_test_", "renderjuice": "RJ-", "glossi": "glsi_"}
# A signed URL opens what it names: its signature is not noted.
_SIGNED = re.compile(r"((?:^|&)[^=&]*Signature=)[^&]*", re.IGNORECASE)
_SECRET_HEADERS = ("authorization", "x-api-key", "cookie")
Faults = FaultPlan | dict[str, Any] | Path | str | None


class Sandbox:
    """The sandbox in this process; a context manager.

    ``port`` 0 takes the port of the last run if it is free, else any. ``faults`` is a fault plan
    (see ``faults``), an object, or a file. ``converter`` (Rigyd), ``renderer`` (Renderjuice) and
    ``studio`` (Glossi) replace the headless Blender; without them ``program`` (or
    SCENE_COURIER_BLENDER, or this Python's bpy) does the work. ``parallel`` conversions run at
    once, each for at most ``timeout`` seconds; of each service ``renders`` renders run at once.
    ``queue`` more of Renderjuice's may wait. ``ways`` are those of Renderjuice that its
    documentation leaves open (see ``renderjuice_ways``). ``webhook`` is where its events go, an
    address on this computer; None leaves it as it was last set, "" ends it.
    ``glossi_ways`` are Glossi's (see the module of that name); ``products`` of its models, and as
    many of its render jobs, may wait.

    Raises ProblemError when the folder is in use, not writable, or the port is taken.
    """

    rigyd: Rigyd
    renderjuice: Renderjuice
    glossi: Glossi

    def __init__(
        self,
        state_dir: Path,
        *,
        port: int = 0,
        services: Iterable[str] = tuple(SERVICES),
        faults: Faults = None,
        program: BlenderProgram | None = None,
        converter: Converter | None = None,
        renderer: Renderer | None = None,
        parallel: int = 1,
        renders: int = 1,
        queue: int = 20,
        timeout: float = 1800.0,
        ways: dict[str, Any] | None = None,
        webhook: str | None = None,
        studio: Studio | None = None,
        glossi_ways: dict[str, Any] | None = None,
        products: int = 200,
    ) -> None:
        self.state_dir = Path(state_dir)
        self.stopping = threading.Event()
        self.services: dict[str, Any] = {}
        self.plan = FaultPlan.load(faults)
        self._port = port
        self._names = tuple(services)
        self._converter = converter
        self._program = program
        self._renderer = renderer
        self._parallel = parallel
        self._renders, self._queue = renders, queue
        self._ways = ways
        self._webhook = webhook
        self._studio, self._glossi_ways, self._products = studio, glossi_ways, products
        self._timeout = timeout
        self._requests: deque[dict[str, Any]] = deque(maxlen=20_000)
        self._journal_lock = threading.Lock()
        self._last_use = time.monotonic()
        self._lock: Any = None
        self._server: Any = None
        self._thread: threading.Thread | None = None
        unknown = [name for name in self._names if name not in SERVICES]
        if unknown:
            raise ProblemError(
                Category.INPUT,
                f"The sandbox has no service named {unknown[0]}.",
                f"It serves: {', '.join(SERVICES)}.",
            )

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> Sandbox:
        """Take the folder, open the port, begin to serve on threads."""
        self._take_folder()
        try:
            self._server = self._listen()
            for name in self._names:
                folder = self.state_dir / name
                folder.mkdir(mode=0o700, exist_ok=True)
                service = getattr(self, f"_make_{name}")(folder)
                self.services[name] = service
                setattr(self, name, service)
            self._apply_plan()
            for service in self.services.values():
                service.start()
            self._thread = threading.Thread(
                target=self._server.serve_forever, args=(0.05,), name="sandbox-http", daemon=True
            )
            self._thread.start()
            _write_private(
                self.state_dir / "address.json", json.dumps({"pid": os.getpid(), **self.address()})
            )
        except BaseException:
            self.stop()
            raise
        return self

    def _make_rigyd(self, folder: Path) -> Rigyd:
        from .convert import BlenderConverter
        from .rigyd import Rigyd

        return Rigyd(
            self,
            folder,
            self._secret("rigyd", SERVICES["rigyd"]),
            self._converter or BlenderConverter(self._program),
            parallel=self._parallel,
            timeout=self._timeout,
        )

    def _make_renderjuice(self, folder: Path) -> Renderjuice:
        from .renderjuice import Renderjuice
        from .renderjuice_work import KNOWN_BLENDERS, BlenderRenderer

        known = self.state_dir / KNOWN_BLENDERS
        service = Renderjuice(
            self,
            folder,
            self._secret("renderjuice", SERVICES["renderjuice"]),
            self._renderer or BlenderRenderer(self._program, known),
            storage_secret=self._secret("renderjuice_storage"),
            hook_secret=self._secret("renderjuice_webhook", "whsec_"),
            renders=self._renders,
            queue=self._queue,
            ways=self._ways,
        )
        if self._webhook is not None:
            service.set_webhook(self._webhook)
        return service

    def _make_glossi(self, folder: Path) -> Glossi:
        from .glossi import Glossi
        from .glossi_studio import BlenderStudio
        from .renderjuice_work import KNOWN_BLENDERS

        return Glossi(
            self,
            folder,
            self._secret("glossi", SERVICES["glossi"]),
            self._studio or BlenderStudio(self._program, self.state_dir / KNOWN_BLENDERS),
            storage_secret=self._secret("glossi_storage"),
            hook_secret=self._secret("glossi_webhook"),
            renders=self._renders,
            queue=self._products,
            ways=self._glossi_ways,
        )

    def stop(self) -> None:
        """Stop serving, kill a running Blender (its job goes on next time), let go."""
        self.stopping.set()
        if self._server is not None:
            if self._thread is not None:
                self._server.shutdown()
                self._thread.join(10)
            self._server.server_close()
            self._server.close_connections()
        for service in self.services.values():
            service.stop()
        if self._lock is not None:
            with contextlib.suppress(OSError):
                (self.state_dir / "address.json").unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self._server.port}"

    def address(self) -> dict[str, dict[str, str]]:
        """{service: {"base_url", "api_key"}}: what a client needs.

        Renderjuice's entry has "webhook_secret" as well while events are sent. Glossi's has
        "files_url", the address that finished files lie below, for its bare keys.
        """
        found = {
            name: {"base_url": service.base_url, "api_key": service.api_key}
            for name, service in self.services.items()
        }
        if "renderjuice" in found and self.renderjuice.hook.url:
            found["renderjuice"]["webhook_secret"] = self.renderjuice.hook.secret
        if "glossi" in found:
            found["glossi"]["files_url"] = self.glossi.files_url
        return found

    def idle_seconds(self) -> float:
        """How long nothing was asked and nothing was worked on."""
        if any(service.busy for service in self.services.values()):
            self.touch()
        return time.monotonic() - self._last_use

    def touch(self) -> None:
        """The sandbox is in use."""
        self._last_use = time.monotonic()

    # -- faults and the journal ----------------------------------------------------------------

    def set_faults(self, faults: Faults) -> None:
        """Put another fault plan in force; None is an honest sandbox."""
        self.plan = FaultPlan.load(faults)
        self._apply_plan()

    def _apply_plan(self) -> None:
        if self.plan.credits is not None and "rigyd" in self.services:
            self.rigyd.store.set_setting("credits", self.plan.credits)

    def journal(self) -> dict[str, Any]:
        """What was seen: {"paid_submits", "credits", "requests": [...]}.

        ``paid_submits`` counts accepted paid submits and started renders since the folder is new.
        A request has n, method, path, query, status, client, authorization (whether a key's header
        was there), headers (their values; of a key "***"), received (bytes of its body),
        body_complete, json (the body of Glossi's calls), job_id and paid (for an accepted submit),
        fault, cut, started, ended. Keys and signatures are never in it.
        """
        with self._journal_lock:
            entries = [dict(entry) for entry in self._requests]
        for entry in entries:
            body = entry.pop("_body", None)
            if body is not None:
                entry.update(received=body.received, body_complete=body.complete)
        stores = [service.store for service in self.services.values()]
        return {
            "paid_submits": sum(store.paid_submits for store in stores),
            "credits": {"rigyd": self.rigyd.store.credits} if "rigyd" in self.services else {},
            "requests": entries,
        }

    def journal_entry(self, method: str, target: Any, headers: Any) -> dict[str, Any]:
        """Begin the entry of a request (called by the server)."""
        entry: dict[str, Any] = {
            "method": method,
            "path": target.path,
            "query": _SIGNED.sub(r"\1***", target.query),
            "status": None,
            "client": headers.get("X-Rigyd-Client"),
            "authorization": "Authorization" in headers or "X-API-Key" in headers,
            "headers": {
                name.lower(): "***" if name.lower() in _SECRET_HEADERS else str(value)
                for name, value in headers.items()
            },
            "received": 0,
            "body_complete": False,
            "job_id": None,
            "paid": None,
            "fault": False,
            "cut": False,
            "started": time.time(),
            "ended": None,
        }
        with self._journal_lock:
            entry["n"] = self._requests[-1]["n"] + 1 if self._requests else 1
            self._requests.append(entry)
        self.touch()
        return entry

    def close_entry(self, entry: dict[str, Any]) -> None:
        """The request is over (called by the server)."""
        with self._journal_lock:
            body = entry.pop("_body", None)
            if body is not None:
                entry.update(received=body.received, body_complete=body.complete)
            entry["ended"] = time.time()
        self.touch()

    # -- start-up ------------------------------------------------------------------------------

    def _take_folder(self) -> None:
        from filelock import FileLock, Timeout

        try:
            self.state_dir.mkdir(parents=True, mode=0o700, exist_ok=True)
            lock = FileLock(self.state_dir / "sandbox.lock")
            # Not at once: whoever looks whether a sandbox runs holds the lock for that moment.
            lock.acquire(timeout=1.0)
        except Timeout:
            raise ProblemError(
                Category.INPUT,
                "A sandbox is already running in this folder.",
                "Use the one that runs, or stop it first.",
                str(self.state_dir),
            ) from None
        except OSError as error:
            raise ProblemError(
                Category.DISK,
                "The sandbox cannot write to its folder.",
                "Choose a data folder that you may write to.",
                f"{self.state_dir}: {error.strerror}",
            ) from None
        self._lock = lock
        # One that was killed left its address behind; nobody must take it for this one's.
        (self.state_dir / "address.json").unlink(missing_ok=True)

    def _secret(self, name: str, prefix: str = "") -> str:
        """A key of this folder: made once, kept in a private file."""
        path = self.state_dir / "credentials.json"
        keys: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError, TypeError):
            keys = dict(json.loads(path.read_text(encoding="utf-8")))
        if not keys.get(name) or not str(keys[name]).startswith(prefix):
            keys[name] = prefix + secrets.token_urlsafe(32)
            _write_private(path, json.dumps(keys))
        return str(keys[name])

    def _listen(self) -> Any:
        from .server import Server

        remembered = self.state_dir / "port"
        last = 0
        if self._port == 0:
            with contextlib.suppress(OSError, ValueError):
                last = int(remembered.read_text())
        for port in dict.fromkeys([self._port or last, self._port]):
            try:
                server = Server(port, self)
            except (OSError, OverflowError) as error:
                if port == 0 or port == self._port:
                    taken = getattr(error, "errno", None) == errno.EADDRINUSE
                    raise ProblemError(
                        Category.INPUT,
                        f"Port {port} is in use." if taken else f"Port {port} cannot be used.",
                        "Leave the port out: the sandbox then finds a free one.",
                        str(error),
                    ) from None
                continue
            remembered.write_text(str(server.port))
            return server
        raise AssertionError("no port was tried")


def serve(
    state_dir: Path,
    *,
    port: int = 0,
    services: Iterable[str] = tuple(SERVICES),
    faults: Faults = None,
    program: BlenderProgram | None = None,
    webhook: str | None = None,
    on_ready: Callable[[dict[str, dict[str, str]]], None] | None = None,
    idle_exit: float | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, or until nobody used it for ``idle_exit`` seconds.

    ``on_ready`` gets ``Sandbox.address()`` once requests are answered. Raises what ``Sandbox``
    raises.
    """
    done = threading.Event()
    previous: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, lambda *_: done.set())
    try:
        with Sandbox(
            state_dir,
            port=port,
            services=services,
            faults=faults,
            program=program,
            webhook=webhook,
        ) as box:
            if on_ready is not None:
                on_ready(box.address())
            while not done.wait(0.5):
                if idle_exit is not None and box.idle_seconds() > idle_exit:
                    return
    finally:
        for known, handler in previous.items():
            signal.signal(known, handler)


def _write_private(path: Path, text: str) -> None:
    """Write a file that only this user may read; whole or not at all."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
