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
from typing import Any

# Everything that a flow needs is imported here, at the start: an update of the extension must not
# swap modules under a running worker.
from . import __version__, launch, questions
from .accounts import environment_print
from .faults import OnlineAccessOff
from .flow import Flow, Later
from .jobs import Job, State
from .paths import data_home, ensure_home
from .problems import Canceled, Category, Problem, ProblemError
from .redact import job_log, redact
from .services import SERVICES
from .settings import Settings
from .store import Store

THREADS = 6
_LOOK_SECONDS = 0.15
#: longest time between two looks at a job that waits for the network
_NETWORK_CAP_SECONDS = 300.0
#: a service that keeps answering with faults fails the job after this many tries (about an hour)
_SERVICE_TRIES = 20
_HOLD_SECONDS = 10.0


class Worker:
    """The loop and its threads. ``run`` returns when there is nothing left to do."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = Settings.load(home)
        for service in SERVICES.values():
            service.load()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="flow")
        self._running: dict[str, Future[None]] = {}
        self._answering: dict[int, Future[None]] = {}
        self._leaving = threading.Event()
        self._started_at = time.time()
        self._retries: dict[str, int] = {}
        self._open: list[Job] = []
        #: jobs whose store could not be written (a full disk): not before this moment
        self._hold: dict[str, float] = {}

    def leave(self, *_signal: object) -> None:
        """Finish the running steps, then go."""
        self._leaving.set()

    def run(self) -> int:
        """Work until idle or asked to leave; returns the process's exit code."""
        store = Store.open(self.home)
        self._introduce(store)
        busy_at = time.monotonic()
        seen = -1
        while not self._leaving.is_set():
            version = store.data_version()
            if version != seen:
                seen = version
                if self._asked_to_leave(store):
                    break
                self._answer_requests(store)
                self._open = store.open_jobs()
            if self._start_due_jobs() or self._running or self._answering:
                busy_at = time.monotonic()
            elif time.monotonic() - busy_at > self.settings.idle_seconds:
                break
            self._collect()
            self._leaving.wait(_LOOK_SECONDS)
        self._leaving.set()
        self._pool.shutdown(wait=True)
        store.set_setting("worker", {})
        store.close()
        return 0

    def _introduce(self, store: Store) -> None:
        store.set_setting(
            "worker",
            {"pid": os.getpid(), "version": __version__, "env": environment_print(store)},
        )
        for job in store.open_jobs():
            # A key may be here now; what waits for a person goes on waiting.
            if job.state is State.WAITING:
                store.update_job(job.id, due_at=0)

    def _asked_to_leave(self, store: Store) -> bool:
        asked = store.setting("worker_leave", {})
        return asked.get("pid") == os.getpid() and asked.get("at", 0) > self._started_at

    # -- jobs ------------------------------------------------------------------------------------

    def _start_due_jobs(self) -> bool:
        """Start what is due; True while any job will be due by itself."""
        now, expected = time.time(), False
        for job in self._open:
            if job.id in self._running or self._hold.get(job.id, 0) > now:
                expected = True
                continue
            person = job.waiting_reason in ("person", "credentials") and job.due_at > now
            expected = expected or not person
            if job.due_at <= now or job.cancel_requested:
                self._running[job.id] = self._pool.submit(self._run_job, job.id)
        return expected

    def _collect(self) -> None:
        for running in (self._running, self._answering):
            for key in [key for key, future in running.items() if future.done()]:
                future = running.pop(key)  # type: ignore[call-overload]
                if future.exception() is not None:
                    logging.error("%s", redact(repr(future.exception())))

    def _run_job(self, job_id: str) -> None:
        with Store.open(self.home) as store:
            job = store.job(job_id)
            if job is None or job.state.terminal:
                return
            log = job_log(self.home / "jobs" / job_id)
            flow = Flow(store, job, self.settings, log, self._leaving.is_set)
            try:
                self._run_flow(flow)
            except sqlite3.OperationalError as error:
                log.error("store: %s", error)
                self._hold[job_id] = time.time() + _HOLD_SECONDS
            finally:
                for handler in list(log.handlers):
                    handler.close()
                    log.removeHandler(handler)

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
            flow.update(due_at=due, **later.changes)
        except Canceled:
            self._cancel(flow)
        except ProblemError as error:
            self._meet(flow, error)
        except Exception as error:
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
        if flow.job.state is State.IN_DOUBT and (again or problem.category is Category.CREDENTIALS):
            # The list could not be read; the doubt stays until it can.
            flow.update(due_at=time.time() + _pause(tries, retry_after))
        elif problem.category is Category.CREDENTIALS:
            flow.update(
                state=State.WAITING,
                waiting_reason="credentials",
                state_text="",
                problem=problem,
                due_at=_FAR,
            )
        elif again:
            flow.update(
                state=State.WAITING,
                waiting_reason="online_access" if offline else "network",
                state_text="",
                problem=problem,
                due_at=time.time() + _pause(tries, 5.0 if offline else retry_after),
            )
        else:
            self._end(flow, State.FAILED, problem=problem)

    def _cancel(self, flow: Flow) -> None:
        job = flow.job
        notes = list(job.notes)
        label = SERVICES[job.service].label if job.service in SERVICES else job.service
        if job.remote_id:
            notes.append(f"The conversion goes on at {label} and is charged: it cannot be stopped.")
        elif job.state in (State.IN_DOUBT, State.SUBMITTING):
            notes.append(f"{label} may have taken this job before it was canceled.")
        self._end(flow, State.CANCELED, notes=notes, problem=None)

    def _end(self, flow: Flow, state: State, **changes: Any) -> None:
        self._retries.pop(flow.job.id, None)
        flow.update(
            state=state,
            state_text="",
            waiting_reason="",
            phase_done=0,
            phase_total=0,
            phase_unit="",
            rate=0,
            **changes,
        )
        flow.log.info("ended: %s", state.value)

    # -- questions of the panel ------------------------------------------------------------------

    def _answer_requests(self, store: Store) -> None:
        for request in store.pending_requests():
            if request.id not in self._answering:
                self._answering[request.id] = self._pool.submit(
                    questions.answer, self.home, self.settings, request
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


def main(home_text: str = "", wait: float = 120.0) -> int:
    """Run the worker of a data folder; returns 0, also when another one already does.

    ``wait`` is how long an older worker may take to finish its step (seconds).
    """
    from filelock import FileLock, Timeout

    home = ensure_home(Path(home_text) if home_text else data_home())
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s worker %(process)d %(levelname)s %(message)s"
    )
    lock = FileLock(home / launch.WORKER_LOCK)
    try:
        # A short wait for a look at the lock; a long one only if a worker was asked to leave.
        lock.acquire(timeout=wait if _making_room(home) else 2.0)
    except Timeout:
        return 0
    try:
        worker = Worker(home)
        for name in ("SIGTERM", "SIGINT"):
            with contextlib.suppress(ValueError):
                signal.signal(getattr(signal, name), worker.leave)
        return worker.run()
    finally:
        lock.release()


def _making_room(home: Path) -> bool:
    with Store.open(home) as store:
        info, asked = store.setting("worker", {}), store.setting("worker_leave", {})
    return bool(info.get("pid")) and asked.get("pid") == info.get("pid")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
