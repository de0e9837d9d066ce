# SPDX-License-Identifier: GPL-3.0-or-later
"""What the extension remembers while Blender runs: the job list as last read, prices, problems.

The pump fills it, panels and operators read it. Reading is attribute access: drawing never reaches
the disk. Whatever may take long or write for the panel's own sake (asking for prices, starting the
worker) is a chore: a short thread with its own store connection. It never imports bpy, so that a
chore cannot touch Blender by accident.
"""

from __future__ import annotations

import importlib
import threading
import time
import uuid
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..bridge import paths
from ..bridge.jobs import DEFAULT_ACCOUNT, SANDBOX, Job, State
from ..bridge.problems import Category, Problem, ProblemError
from .answers import Answers
from .worker_watch import WorkerWatch

if TYPE_CHECKING:
    from ..bridge.store import Store

#: ``bridge.store.FILE_NAME``, which is not imported before there is a store to open
STORE_NAME = "courier.sqlite"
#: the store never keeps Blender's main thread waiting for another writer longer than this
BUSY_MS = 20
#: a chore that makes up for a click waits this long
LATER_MS = 5000
#: what ``Session.write`` answers when a chore does it
LATER = object()
#: kinds of results that can be brought into a scene
IMPORTABLE = frozenset({"usd", "frame", "pass", "video", "still"})
#: those that may come in by themselves
BY_ITSELF = frozenset({"usd", "frame", "still"})
#: jobs taken over in one tick; keeps a tick short when many changed at once
BATCH = 32
#: the panel counts as open this long after it was last drawn (seconds)
PANEL_SECONDS = 4.0


def database() -> ModuleType:
    """The SQLite module, loaded when first needed: enabling the extension must not pay for it."""
    import sqlite3

    return sqlite3


def unreadable(error: Exception) -> Problem:
    """The problem of a store that is damaged."""
    return Problem(
        Category.DISK,
        "The job list cannot be read.",
        "Look at the data folder in the add-on's preferences.",
        f"{type(error).__name__}: {error}",
    )


class Session:
    """One per Blender process; ``current()`` has it."""

    def __init__(self) -> None:
        #: which file is open in which Blender: renewed when another file is loaded
        self.id = uuid.uuid4().hex
        self.store: Store | None = None
        self.jobs: dict[str, Job] = {}
        #: (-created_at, id), newest first, in step with ``jobs``
        self.order: list[tuple[float, str]] = []
        self.revision = 0
        self.changes = 0  # counts what a panel would show differently
        self.order_changes = 0
        self._seen = 0
        #: the data folder or the store cannot be used
        self.problem: Problem | None = None
        #: the last Send, or another click, did not work
        self.click_problem: Problem | None = None
        self.worker = WorkerWatch()
        self.drawn_at = -1e9
        self.drawn_in = 0  # the window (its pointer, as a number) that drew the panel last
        #: the last look did not take over everything yet
        self.more = False
        self.active_id = ""
        #: what the person chose in the panel: "", "default" or "sandbox"
        self.account_choice = ""
        self.answers = Answers()
        #: derived from ``jobs`` whenever they change: how many go on, whether one of them needs
        #: the worker, and which ended ones of this very session are not imported yet
        self.active = 0
        self.work_waiting = False
        self.importable: list[str] = []
        #: jobs whose automatic import was tried in this session
        self.import_tried: set[str] = set()
        #: why an import did not work, by job
        self.import_problems: dict[str, Problem] = {}
        self._data_version = -1
        self._stale = True
        self._retry_store_at = 0.0
        self._chores: dict[str, threading.Thread] = {}
        self._home: Path | None = None

    # -- the data folder and the store -----------------------------------------------------------

    @property
    def home(self) -> Path:
        """The data folder (its path; nothing is made)."""
        if self._home is None:
            self._home = paths.data_home()
        return self._home

    def open_store(self) -> Store:
        """The main thread's connection, opened now if need be (makes the data folder).

        Raises ProblemError(DISK) when that fails, sqlite3's OperationalError while it is locked.
        """
        from ..bridge.store import Store

        if self.store is None:
            paths.ensure_home(self.home)
            self.store = Store.open(self.home, busy_ms=BUSY_MS)
            self.problem = None
            self.stale()
            self.chore("preload", _preload)
        return self.store

    def _try_store(self, now: float) -> bool:
        """Open the store if it exists or somebody looks; after a failure not again for 5 s."""
        if self.store is not None:
            return True
        if now < self._retry_store_at:
            return False
        try:
            if not self.panel_open(now) and not (self.home / STORE_NAME).exists():
                return False
            self._retry_store_at = now + 5.0
            self.open_store()
        except ProblemError as error:
            if error.problem != self.problem:
                self.problem = error.problem
                self.changes += 1
        except (OSError, database().Error, ImportError) as error:
            problem = Problem(
                Category.DISK,
                "The data folder of Scene Courier cannot be used now.",
                "Look at the data folder in the add-on's preferences.",
                f"{type(error).__name__}: {error}",
            )
            if problem != self.problem:
                self.problem = problem
                self.changes += 1
        return self.store is not None

    def retry_store(self) -> None:
        """Try a data folder that could not be used again at the next tick."""
        self._retry_store_at = 0.0

    def close(self) -> None:
        """Close the connection; chores end by themselves."""
        if self.store is not None:
            self.store.close()
            self.store = None

    def stale(self) -> None:
        """Read again at the next tick: this connection itself has written something."""
        self._stale = True

    def write(self, action: Callable[[Store], Any], undo: Callable[[], None] | None = None) -> Any:
        """Change the store, all of it or nothing; what ``action(store)`` answers, or LATER.

        While another process writes, the main thread does not wait for it: a chore does the same a
        moment later, and ``click_problem`` says if that fails (after ``undo``). So ``action`` and
        ``undo`` must not touch bpy. Raises what ``action`` and ``open_store`` raise.
        """
        try:
            store = self.open_store()
            with store.together():
                answer = action(store)
        except database().OperationalError:
            self._write_later(action, undo)
            return LATER
        except database().Error as error:
            raise ProblemError.of(unreadable(error)) from error
        self.stale()
        return answer

    def _write_later(self, action: Callable[[Store], Any], undo: Callable[[], None] | None) -> None:
        home = self.home

        def work() -> None:
            from ..bridge.store import Store

            problem: Problem | None = None
            try:
                with Store.open(home, busy_ms=LATER_MS) as store, store.together():
                    action(store)
            except ProblemError as error:
                problem = error.problem
            except (database().Error, OSError) as error:
                problem = Problem(
                    Category.DISK,
                    "The job list stayed busy, so the last click did nothing.",
                    "Try again. If it stays so, look for a program that holds the data folder.",
                    f"{type(error).__name__}: {error}",
                )
            if problem is not None:
                if undo is not None:
                    undo()
                self.click_problem = problem
                self.changes += 1

        self.chore(f"write {uuid.uuid4().hex}", work)

    # -- reading ---------------------------------------------------------------------------------

    def refresh(self, now: float | None = None) -> bool:
        """Take over what changed in the store; True when a panel would look different.

        Costs microseconds when nothing changed, and at most ``BATCH`` jobs otherwise. A store that
        is busy leaves everything as it was.
        """
        now = time.monotonic() if now is None else now
        if self._try_store(now):
            try:
                self._read()
            except database().OperationalError:
                # Another process is writing: show what was there, look again next time.
                self._stale, self.more = True, False
            except database().Error as error:
                self.close()
                self.problem = unreadable(error)
                self.changes += 1
        # A chore may have changed something since the last look.
        changed, self._seen = self.changes != self._seen, self.changes
        return changed

    def _read(self) -> None:
        assert self.store is not None
        version = self.store.data_version()
        if version == self._data_version and not self._stale:
            return
        newest, changed, gone = self.store.changed_since(self.revision, limit=BATCH)
        for job in changed:
            self._take(job)
        for job_id in gone:
            self._drop(job_id)
        self.revision = newest
        if changed or gone:
            self._derive()
        if self.answers.read(self.store):
            self.changes += 1
        # Only now: had the store been busy, the next tick would look again.
        self._data_version = version
        self.more = self._stale = len(changed) >= BATCH

    def _take(self, job: Job) -> None:
        known = self.jobs.get(job.id)
        if known is None:
            key = (-job.created_at, job.id)
            self.order.insert(bisect_left(self.order, key), key)
            self.order_changes += 1
        self.jobs[job.id] = job
        self.changes += 1

    def _drop(self, job_id: str) -> None:
        job = self.jobs.pop(job_id, None)
        if job is not None:
            self.order.remove((-job.created_at, job.id))
            self.order_changes += 1
            self.changes += 1

    def _derive(self) -> None:
        self.active, self.work_waiting, self.importable = 0, False, []
        for job in self.jobs.values():
            if not job.state.terminal:
                self.active += 1
                if job.waiting_reason != "person" or job.cancel_requested:
                    self.work_waiting = True
            elif (
                job.imported_at is None
                and job.origin.get("session") == self.id
                and self.is_importable(job)
                and any(result.kind in BY_ITSELF for result in job.results)
            ):
                self.importable.append(job.id)

    @staticmethod
    def is_importable(job: Job) -> bool:
        """True when the job brought something that a scene can take: USD, frames, pictures."""
        return job.state is State.DONE and any(r.kind in IMPORTABLE for r in job.results)

    def new_file(self) -> None:
        """Another .blend was loaded: what was sent before belongs to another session."""
        self.id = uuid.uuid4().hex
        self.importable = []
        self.click_problem = None

    # -- what follows from it --------------------------------------------------------------------

    def listed(self) -> list[Job]:
        """All known jobs, newest first."""
        return [self.jobs[job_id] for _created, job_id in self.order]

    def panel_open(self, now: float | None = None) -> bool:
        """True when the panel was drawn in the last seconds."""
        return (time.monotonic() if now is None else now) - self.drawn_at < PANEL_SECONDS

    def drawn(self, window: int = 0) -> None:
        """Called by the panel's draw: somebody is looking, in this window (a pointer)."""
        self.drawn_at = time.monotonic()
        self.drawn_in = window or self.drawn_in

    def account(self, service: str, preferred: str = "") -> str:
        """Which account a job goes to: the choice, else the preference, else what is possible."""
        chosen = self.account_choice or preferred
        if chosen in (DEFAULT_ACCOUNT, SANDBOX):
            return chosen
        return DEFAULT_ACCOUNT if self.answers.has_key(service) else SANDBOX

    # -- chores ----------------------------------------------------------------------------------

    def chore(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """Run ``work`` in a daemon thread unless the chore of that name still runs.

        ``work`` must not touch bpy, and opens its own store connection.
        """
        running = self._chores.get(name)
        if running is not None and running.is_alive():
            return running
        thread = threading.Thread(target=work, name=f"scene-courier {name}", daemon=True)
        self._chores[name] = thread
        thread.start()
        return thread

    def ask(self, service: str, account: str, *, online: bool, force: bool = False) -> None:
        """Have the worker tell where the key is and what a job costs, when that is due."""
        if self.store is None:
            return
        due = self.answers.due(service, account, online=online, now=time.monotonic(), force=force)
        home, args = self.home, {"service": service, "account": account}

        def work() -> None:
            from ..bridge.store import Store

            try:
                with Store.open(home) as store:
                    for kind, age in due:
                        store.ask(kind, args, age)
            except (ProblemError, database().Error, OSError):
                # The panel goes on without a price; the next minute asks again.
                return

        if due:
            self.chore(f"ask {account}", work)

    def tell_online_access(self, online: bool) -> None:
        """Write Blender's switch for all processes: off, it pauses jobs sent from Blender."""
        home = self.home

        def work() -> None:
            from ..bridge.store import Store

            try:
                with Store.open(home) as store:
                    known = store.setting("online_access")
                    if not isinstance(known, dict) or known.get("value") is not online:
                        store.set_setting("online_access", {"value": online, "at": time.time()})
            except (ProblemError, database().Error, OSError):
                return

        self.chore(f"online access {online}", work)

    def wake_worker(self, now: float | None = None, *, at_once: bool = False) -> None:
        """See to it, in a thread, that a worker runs; see ``worker_watch``."""
        now = time.monotonic() if now is None else now
        if self.worker.due(now, at_once=at_once):
            self.chore("worker", lambda: self._start_worker(self.home))

    def _start_worker(self, home: Path) -> None:
        if self.worker.start(home):
            self.changes += 1


def _preload() -> None:
    """Load what the first click on Send needs, so that the click itself does not wait for it."""
    importlib.import_module("..bridge.commands", __package__)
    importlib.import_module("..bridge.launch", __package__)


_current: Session | None = None


def current() -> Session:
    """The session of this Blender."""
    global _current
    if _current is None:
        _current = Session()
    return _current


def end() -> None:
    """Close and forget the session (the extension is being disabled)."""
    global _current
    if _current is not None:
        _current.close()
        _current = None
