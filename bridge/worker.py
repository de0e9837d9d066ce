# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker: one detached process per data folder that carries all jobs.

It takes jobs that are due, runs their flows in a few threads, answers the panel's questions, and
leaves when there is nothing to do. It may be killed at any moment: the next one goes on from the
last finished step. A waiting job holds no thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Everything that a flow needs is imported here, at the start: an update of the extension must not
# swap modules under a running worker.
from . import __version__, launch, questions
from .accounts import environment_print
from .disk import disk_problem
from .faults import OnlineAccessOff
from .flow import STILL, Flow, Later, doubt
from .jobs import Job, State
from .paths import data_home, ensure_home
from .problems import Canceled, Category, Problem, ProblemError
from .redact import RedactingFormatter, close_log, job_log, redact
from .services import SERVICES
from .settings import Settings
from .store import Store

if TYPE_CHECKING:
    from filelock import FileLock

THREADS = 6
_LOOK_SECONDS = 0.15
#: longest time between two looks at a job that waits for the network
_NETWORK_CAP_SECONDS = 300.0
#: a service that keeps answering with faults fails the job after this many tries (about an hour)
_SERVICE_TRIES = 20
_HOLD_SECONDS = 10.0
#: a wall clock that falls behind by more than this was set back
_SET_BACK_SECONDS = 2.0
#: looks at a store that cannot be read, a second apart, before the worker gives up
_STORE_TRIES = 120
#: how long a successor waits for an older worker to finish its step (an upload, say)
_SUCCESSOR_SECONDS = 12 * 3600.0


class Worker:
    """The loop and its threads. ``run`` returns when there is nothing left to do."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = Settings.load(home)
        for service in SERVICES.values():
            service.load()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="flow")
        # The panel's questions must not wait behind long uploads.
        self._askers = ThreadPoolExecutor(2, thread_name_prefix="question")
        self._running: dict[str, Future[None]] = {}
        self._answering: dict[int, Future[None]] = {}
        self._leaving = threading.Event()
        self._asked = threading.Event()
        self._retries: dict[str, int] = {}
        self._open: list[Job] = []
        #: jobs and questions that could not even be begun or ended (a full disk, a folder that
        #: cannot be written): not before this moment (monotonic)
        self._hold: dict[str | int, float] = {}
        self._look_again_at = float("inf")
        #: jobs that are due although the clock does not say so, since it was set back
        self._rush: set[str] = set()
        self._offset = time.time() - time.monotonic()

    @property
    def left_by_itself(self) -> bool:
        """True when nobody asked it to leave."""
        return not self._asked.is_set()

    def leave(self, *_signal: object) -> None:
        """Finish the running steps, then go."""
        self._asked.set()
        self._leaving.set()

    def run(self) -> int:
        """Work until idle or asked to leave; returns the process's exit code."""
        store = Store.open(self.home)
        try:
            self._introduce(store)
            self._work(store)
        finally:
            # Whatever happened: the lock is given back after this, and no step may run then.
            self._leaving.set()
            self._pool.shutdown(wait=True)
            self._askers.shutdown(wait=True)
            with contextlib.suppress(sqlite3.Error):
                store.set_setting("worker", {})
            store.close()
        return 0

    def _work(self, store: Store) -> None:
        busy_at = time.monotonic()
        seen, tries = -1, 0
        while not self._leaving.is_set():
            try:
                version = store.data_version()
                if version != seen or time.monotonic() > self._look_again_at:
                    self._look_again_at = float("inf")
                    if self._asked_to_leave(store):
                        self._asked.set()
                        return
                    self._answer_requests(store)
                    self._open = store.open_jobs()
                    seen, tries = version, 0
            except sqlite3.OperationalError as error:
                tries += 1
                if tries > _STORE_TRIES:
                    raise
                logging.warning("store: %s", redact(error))
                self._leaving.wait(1.0)
                continue
            self._see_clock()
            if self._start_due_jobs() or self._running or self._answering:
                busy_at = time.monotonic()
            elif time.monotonic() - busy_at > self.settings.idle_seconds:
                return
            self._collect()
            self._leaving.wait(_LOOK_SECONDS)

    def _introduce(self, store: Store) -> None:
        with store.together():
            # Only who reads our number from here on can mean us.
            store.set_setting("worker_leave", {})
            store.set_setting(
                "worker",
                {"pid": os.getpid(), "version": __version__, "env": environment_print(store)},
            )
            for job in store.open_jobs():
                # A key may be here now, or the clock another one; what waits for a person goes on
                # waiting. Whoever reads our keys also reads that these jobs are tried again.
                if job.state is State.WAITING or time.time() < job.due_at < _FAR:
                    store.update_job(job.id, due_at=0)

    def _asked_to_leave(self, store: Store) -> bool:
        return bool(store.setting("worker_leave", {}).get("pid") == os.getpid())

    def _see_clock(self) -> None:
        """A clock that was set back (a wrong one put right) must not hold jobs for hours."""
        offset = time.time() - time.monotonic()
        if offset < self._offset - _SET_BACK_SECONDS:
            self._rush.update(job.id for job in self._open if job.due_at < _FAR)
        self._offset = offset

    # -- jobs ------------------------------------------------------------------------------------

    def _start_due_jobs(self) -> bool:
        """Start what is due; True while any job will be due by itself."""
        now, expected = time.time(), False
        for job in self._open:
            if job.id in self._running or self._hold.get(job.id, 0) > time.monotonic():
                expected = True
                continue
            due = job.due_at <= now or job.id in self._rush
            person = job.waiting_reason in ("person", "credentials") and not due
            expected = expected or not person
            if due:
                self._rush.discard(job.id)
                self._running[job.id] = self._pool.submit(self._run_job, job.id)
        return expected

    def _collect(self) -> None:
        for job_id in [key for key, future in self._running.items() if future.done()]:
            self._ended(job_id, self._running.pop(job_id))
        for request_id in [key for key, future in self._answering.items() if future.done()]:
            self._ended(request_id, self._answering.pop(request_id))

    def _ended(self, key: str | int, future: Future[None]) -> None:
        error = future.exception()
        if error is not None:
            logging.error("%s", redact(repr(error)))
            self._hold[key] = self._look_again_at = time.monotonic() + _HOLD_SECONDS

    def _run_job(self, job_id: str) -> None:
        with Store.open(self.home) as store:
            job = store.job(job_id)
            if job is None or job.state.terminal:
                return
            log = job_log(self.home / "jobs" / job_id)
            flow = Flow(store, job, Settings.load(self.home), log, self._leaving.is_set)
            try:
                self._run_flow(flow)
            finally:
                close_log(log)

    def _run_flow(self, flow: Flow) -> None:
        try:
            flow.check_canceled()
            service = SERVICES.get(flow.job.service)
            if service is None:
                raise ProblemError(
                    Category.INTERNAL,
                    f"This version does not know the service “{flow.job.service}”.",
                    "Update Scene Courier.",
                )
            service.flow(flow)
            self._retries.pop(flow.job.id, None)
        except Later as later:
            self._retries.pop(flow.job.id, None)
            due = time.time() + later.seconds if later.seconds is not None else _FAR
            flow.settle(due, **later.changes)
        except Canceled:
            self._cancel(flow)
        except ProblemError as error:
            self._meet(flow, error)
        except sqlite3.OperationalError as error:
            # Busy for long, or a full disk: no fault of the job, which goes on where it is.
            flow.log.error("store: %s", error)
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.filename:
                self._meet(flow, disk_problem(error, Path(os.fsdecode(error.filename))))
                return
            flow.log.exception("fault")
            problem = Problem(
                Category.INTERNAL,
                "Scene Courier made a mistake while it worked on this job.",
                "Retry the job; if it happens again, please report it with the job's log.",
                redact(f"{type(error).__name__}: {error}")[:300],
            )
            self._end(flow, State.FAILED, problem=problem)

    def _meet(self, flow: Flow, error: ProblemError) -> None:
        """Waiting is a state: only what no waiting can mend fails the job."""
        problem, retry_after = error.problem, getattr(error, "retry_after", None)
        offline = isinstance(error, OnlineAccessOff)
        flow.log.warning(
            "%s: %s [%s]", problem.category.value, problem.sentence, redact(problem.technical)
        )
        tries = self._retries[flow.job.id] = self._retries.get(flow.job.id, 0) + 1
        again = problem.category is Category.NETWORK or (
            problem.category is Category.SERVICE and tries < _SERVICE_TRIES and _may_pass(error)
        )
        no_key = problem.category is Category.CREDENTIALS
        soon = time.time() + _pause(tries, 5.0 if offline else retry_after)
        if flow.doubtful():
            # The list could not be read. No fault ends the doubt: only the list does, or a person.
            ask = not (again or no_key)
            flow.settle(
                _FAR if ask else soon,
                state=State.IN_DOUBT,
                waiting_reason="person" if ask else "credentials" if no_key else "",
                problem=problem if no_key else doubt(problem.technical, ask=ask),
                **STILL,
            )
        elif no_key or again:
            reason = "online_access" if offline else "network"
            flow.settle(
                _FAR if no_key else soon,
                state=State.WAITING,
                waiting_reason="credentials" if no_key else reason,
                state_text="",
                problem=problem,
                **STILL,
            )
        else:
            self._end(flow, State.FAILED, problem=problem)

    def _cancel(self, flow: Flow) -> None:
        job, service = flow.job, SERVICES.get(flow.job.service)
        label = service.label if service else job.service
        try:
            said = service.cancel(flow) if service and job.remote_id else []
        except Later as later:
            pause = later.seconds if later.seconds is not None else _HOLD_SECONDS
            flow.settle(time.time() + pause, **later.changes)
            return
        except ProblemError as error:
            self._meet(flow, error)
            return
        notes = [*flow.job.notes, *said]
        if job.remote_id and service and service.goes_on:
            notes.append(service.goes_on)
        elif flow.doubtful():
            notes.append(f"{label} may have taken this job before it was canceled.")
        self._end(flow, State.CANCELED, notes=notes, problem=None)

    def _end(self, flow: Flow, state: State, **changes: Any) -> None:
        self._retries.pop(flow.job.id, None)
        flow.update(
            state=state,
            state_text="",
            waiting_reason="",
            **STILL,
            **changes,
        )
        flow.log.info("ended: %s", state.value)

    # -- questions of the panel ------------------------------------------------------------------

    def _answer_requests(self, store: Store) -> None:
        for request in store.pending_requests():
            held = self._hold.get(request.id, 0) > time.monotonic()
            if request.id not in self._answering and not held:
                self._answering[request.id] = self._askers.submit(
                    questions.answer, self.home, Settings.load(self.home), request
                )


_FAR = 4e9


def _may_pass(error: ProblemError) -> bool:
    """A fault of the service that waiting may mend; a 404 or an unsafe archive is none."""
    return bool(getattr(error, "transient", False)) or (getattr(error, "status", 0) or 0) >= 500


def _pause(tries: int, retry_after: float | None) -> float:
    """Seconds until the next try: what the service asked for, else doubling, with jitter."""
    if retry_after is not None:
        return min(retry_after, 3600.0)
    return min(_NETWORK_CAP_SECONDS, 2.0 ** min(tries, 10)) * random.uniform(0.6, 1.0)


def main(home_text: str = "") -> int:
    """Run the worker of a data folder; returns 0, also when another one already does."""
    from filelock import FileLock

    home = ensure_home(Path(home_text) if home_text else data_home())
    handler = logging.StreamHandler()
    handler.setFormatter(
        RedactingFormatter("%(asctime)s worker %(process)d %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    lock = FileLock(home / launch.WORKER_LOCK)
    while _take(home, lock):
        try:
            worker = Worker(home)
            for name in ("SIGTERM", "SIGINT"):
                with contextlib.suppress(ValueError):
                    signal.signal(getattr(signal, name), worker.leave)
            code = worker.run()
        finally:
            lock.release()
        if not worker.left_by_itself or not _work_came(home):
            return code
    return 0


def _take(home: Path, lock: FileLock) -> bool:
    """Take the worker's lock: at once if it is free, patiently if its owner was asked to leave."""
    from filelock import FileLock, Timeout

    with contextlib.suppress(Timeout):
        lock.acquire(timeout=2.0)
        return True
    if not _making_room(home):
        return False
    # One successor is enough; the old worker may have hours of uploading before it.
    with contextlib.suppress(Timeout), FileLock(home / launch.NEXT_LOCK, timeout=1.0):
        lock.acquire(timeout=_SUCCESSOR_SECONDS, poll_interval=0.25)
        return True
    return False


def _work_came(home: Path) -> bool:
    """Did something come while this worker left? Who sent it saw the lock and started no other."""
    now = time.time()
    with Store.open(home) as store:
        jobs = store.open_jobs()
        due = any(job.due_at <= now for job in jobs)
        return due or bool(store.pending_requests())


def _making_room(home: Path) -> bool:
    with Store.open(home) as store:
        info, asked = store.setting("worker", {}), store.setting("worker_leave", {})
    return bool(info.get("pid")) and asked.get("pid") == info["pid"] and not asked.get("stop")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
