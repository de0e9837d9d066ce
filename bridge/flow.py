# SPDX-License-Identifier: GPL-3.0-or-later
"""Durable steps: a job's flow reads from top to bottom and survives whatever ends its process.

A service's flow is a function that calls ``flow.step(...)`` for each thing it does. A finished
step's answer is in the store, written in the same transaction that moves the job on; when the flow
is run again, finished steps answer from there and the first unfinished one goes on. A flow that
has to wait raises ``Later`` and gives its thread back; the worker runs it again when it is due.

What may be repeated is decided by the step's kind (``jobs.StepKind``); a paid request goes through
``once`` and is never sent twice by itself. Nothing here knows HTTP or any service.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .jobs import Job, Result, State, StepKind
from .meter import Meter
from .outcomes import Lost, Refused, Unsent
from .paths import job_folder
from .problems import Canceled, Category, Problem
from .redact import redact
from .settings import Settings
from .store import Store

_CANCEL_LOOK_SECONDS = 0.2
#: how often the service's list is read before a person is asked (contract: no idempotency key)
_LOOKS = 2
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,10}://\S*")
#: a job's fields while nothing moves
STILL: dict[str, Any] = {"phase_done": 0, "phase_total": 0, "phase_unit": "", "rate": 0}


class Later(Exception):
    """The flow waits: ``changes`` go to the job, and it is run again after ``seconds``.

    ``seconds`` None means "when somebody changes the job" (an approval, a key).
    """

    def __init__(self, seconds: float | None, **changes: Any) -> None:
        super().__init__(seconds, changes)
        self.seconds = seconds
        self.changes = changes


@dataclass(frozen=True)
class Submission:
    """What ``once`` gives to the function that sends.

    ``tag`` goes into the file name: it is the job's id, made unique for each paid attempt, so that
    the service's list can be searched for exactly this attempt. ``body_complete`` must be called
    right before the last byte leaves. ``since`` is when the attempt began (Unix seconds).
    """

    tag: str
    since: float
    body_complete: Callable[[], None]


class Flow:
    """One run of one job's flow, in one thread, with that thread's store connection."""

    def __init__(
        self,
        store: Store,
        job: Job,
        settings: Settings,
        log: logging.Logger,
        leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        self.store = store
        self.settings = settings
        self.log = log
        self.job = job
        self.home = store.home
        self._leaving = leaving
        self._looked_at = 0.0
        self._canceled = job.cancel_requested
        self._meter = Meter()

    @property
    def folder(self) -> Path:
        """The job's folder."""
        return job_folder(self.home, self.job.id)

    # -- the job ---------------------------------------------------------------------------------

    def update(self, **changes: Any) -> None:
        """Change the job in the store and in ``self.job``."""
        self.job = self.store.update_job(self.job.id, **changes)

    def settle(self, due_at: float, **changes: Any) -> None:
        """Where the job stands until ``due_at`` (Unix seconds).

        If somebody changed the job since this run last saw it (approved, retried, named its id),
        their word counts: nothing is written over it, and the flow is run again at once.
        """
        with self.store.together():
            job = self.store.job(self.job.id)
            if job is not None and job.revision != self.job.revision:
                due_at, changes = 0.0, {}
            self.update(due_at=due_at, **changes)

    def note(self, text: str) -> None:
        """Add a remark for the artist, once."""
        if text not in self.job.notes:
            self.update(notes=[*self.job.notes, text])
            self.log.info("note: %s", text)

    def canceled(self) -> bool:
        """True once somebody asked to cancel; reads the store at most five times a second."""
        now = time.monotonic()
        if not self._canceled and now - self._looked_at > _CANCEL_LOOK_SECONDS:
            self._looked_at = now
            job = self.store.job(self.job.id)
            self._canceled = job is None or job.cancel_requested
        return self._canceled

    def check_canceled(self) -> None:
        """Raise Canceled if somebody asked for it."""
        self._looked_at = 0.0
        if self.canceled():
            raise Canceled()

    def progress(self, done: float, total: float, unit: str = "bytes", text: str = "") -> None:
        """Show progress; written at most four times a second, and at the end."""
        rate = self._meter.update(done, total)
        if rate is None:
            return
        self.update(
            phase_done=done,
            phase_total=total,
            phase_unit=unit,
            rate=rate if unit == "bytes" else 0.0,
            state_text=text or self.job.state_text,
        )

    def _enter(self, state: State | None, text: str) -> None:
        if state is not None:
            self._meter = Meter()
            self.update(state=state, state_text=text, waiting_reason="", problem=None, **STILL)

    # -- steps -----------------------------------------------------------------------------------

    def finished(self, name: str) -> bool:
        """True when the named step is done."""
        step = self.store.step(self.job.id, name)
        return step is not None and step.status == "done"

    def answer(self, name: str) -> Any:
        """The remembered answer of a finished step, else None."""
        step = self.store.step(self.job.id, name)
        return step.answer if step and step.status == "done" else None

    def sent(self) -> bool:
        """True once a paid request may have arrived: what it was made of is not needed again."""
        return any(
            step.kind is StepKind.ONCE and step.status in ("body_complete", "done")
            for step in self.store.steps(self.job.id)
        )

    def doubtful(self) -> bool:
        """True while a paid request may have arrived and nobody knows, whatever the state says."""
        return any(
            step.kind is StepKind.ONCE and step.status == "body_complete"
            for step in self.store.steps(self.job.id)
        )

    def step(
        self,
        name: str,
        action: Callable[[], Any],
        *,
        kind: StepKind = StepKind.REPEATABLE,
        state: State | None = None,
        text: str = "",
        moves: Callable[[Any], dict[str, Any]] = lambda _answer: {},
    ) -> Any:
        """Run ``action`` unless the store remembers its answer.

        ``state`` is what the job shows meanwhile; ``moves(answer)`` are the changes of the job that
        are written together with the answer (JSON-able, without presigned URLs).
        """
        remembered = self.store.step(self.job.id, name)
        if remembered and remembered.status == "done":
            return remembered.answer
        self._gate(f"before:{name}")
        self._enter(state, text)
        self.store.begin_step(self.job.id, name, kind)
        self.log.info("step %s begins", name)
        answer = action()
        self._finish(name, answer, moves)
        return answer

    def step_aside(self, name: str, answer: Any) -> None:
        """Remember something under a step's name, without being a stage of the flow."""
        self.store.begin_step(self.job.id, name, StepKind.REPEATABLE)
        self.store.finish_step(self.job.id, name, without_queries(answer))

    def _finish(self, name: str, answer: Any, moves: Callable[[Any], dict[str, Any]]) -> None:
        crash_point(f"answered:{name}")
        answer = without_queries(answer)
        self.store.finish_step(self.job.id, name, answer, **moves(answer))
        self.job = self.store.job(self.job.id) or self.job
        self.log.info("step %s is done", name)
        crash_point(f"after:{name}")

    def _gate(self, point: str) -> None:
        """Between steps: the place where a cancel or a newer worker's wish is heard."""
        self.check_canceled()
        if self._leaving():
            raise Later(0)
        crash_point(point)

    def once(
        self,
        name: str,
        send: Callable[[Submission], Any],
        look: Callable[[Submission], Any | None],
        *,
        moves: Callable[[Any], dict[str, Any]],
        state: State = State.UPLOADING,
        listed: bool = True,
    ) -> Any:
        """A request that costs something: sent at most once, whatever happens.

        ``send`` raises ``Unsent`` (may be sent again), ``Refused`` (the job fails, nothing is
        charged) or ``Lost``. After ``Lost``, or when the process died after the body was complete,
        the job is in doubt: ``look`` searches the service's list for exactly this attempt; found
        nothing twice, ``reconcile_seconds`` apart, a person decides. Where the service has no list
        (``listed`` False) a person decides at once.
        """
        remembered = self.store.step(self.job.id, name)
        if remembered and remembered.status == "done":
            return remembered.answer
        if remembered and remembered.status == "body_complete":
            if not listed:
                raise Later(None, **_ask_person(listed=False))
            return self._reconcile(name, look, moves, remembered.started_at)
        self._gate(f"before:{name}")
        self._enter(state, "")
        step = self.store.begin_step(self.job.id, name, StepKind.ONCE)

        def body_complete() -> None:
            # From here on only the service can know whether it has the request.
            self.store.mark_step(self.job.id, name, "body_complete", state=State.SUBMITTING)
            self.job = self.store.job(self.job.id) or self.job
            crash_point(f"body_complete:{name}")

        submission = Submission(self.tag, step.started_at, body_complete)
        self.log.info("step %s begins, tag %s", name, submission.tag)
        try:
            answer = send(submission)
        except (Unsent, Canceled):
            self.store.mark_step(self.job.id, name, "started")
            raise
        except Refused:
            self.store.drop_steps(self.job.id, [name])
            raise
        except Lost as lost:
            self.store.mark_step(self.job.id, name, "body_complete")
            self.log.warning("in doubt: %s", lost.problem.technical)
            changes = {"state": State.IN_DOUBT, "problem": doubt(lost.problem.technical), **STILL}
            raise Later(0, **changes) from None
        self._finish(name, answer, moves)
        return answer

    @property
    def tag(self) -> str:
        """The present paid attempt: the job's id, and a number from the second attempt on."""
        number = int(self.job.origin.get("submission", 1))
        return self.job.id if number == 1 else f"{self.job.id}-{number}"

    def _reconcile(
        self,
        name: str,
        look: Callable[[Submission], Any | None],
        moves: Callable[[Any], dict[str, Any]],
        since: float,
    ) -> Any:
        self.check_canceled()
        if self.job.state is not State.IN_DOUBT:
            self.update(state=State.IN_DOUBT, waiting_reason="", problem=doubt(""), **STILL)
        looks_name = f"{name}.looks"
        looks: list[float] = list(self.answer(looks_name) or [])
        pause = self.settings.reconcile_seconds
        if len(looks) < _LOOKS:
            # A clock that was set back must not make the pause longer.
            left = min(pause, pause - (time.time() - looks[-1])) if looks else 0.0
            if left > 0:
                raise Later(left)
            found = look(Submission(self.tag, since, lambda: None))
            if found is not None:
                self.log.info("in doubt: found in the service's list")
                self._finish(name, found, lambda answer: {"problem": None, **moves(answer)})
                return found
            looks.append(time.time())
            self.store.begin_step(self.job.id, looks_name, StepKind.REPEATABLE)
            self.store.finish_step(self.job.id, looks_name, looks)
            self.log.warning("in doubt: not in the service's list (look %d)", len(looks))
        if len(looks) < _LOOKS:
            raise Later(pause, state=State.IN_DOUBT, waiting_reason="", problem=doubt(""))
        raise Later(None, **_ask_person())

    def disbelieve(self, name: str, technical: str) -> None:
        """The id that a person named is not the service's: the job is in doubt again.

        Raises Later: a person decides. A mistyped id must not lose what was paid for.
        """
        problem = doubt(technical, ask=True, named=True)
        self.store.mark_step(
            self.job.id,
            name,
            "body_complete",
            state=State.IN_DOUBT,
            waiting_reason="person",
            problem=problem,
            remote_id="",
        )
        self.job = self.store.job(self.job.id) or self.job
        raise Later(None)

    def follow(
        self,
        name: str,
        look: Callable[[], Any],
        ended: Callable[[Any], bool],
        show: Callable[[Any], dict[str, Any]],
        *,
        moves: Callable[[Any], dict[str, Any]] = lambda _answer: {},
        calm: float = 1.0,
    ) -> Any:
        """Poll until ``ended(look())``; one look for each run of the flow, then ``Later``.

        ``show(answer)`` are the job's fields while it runs. Polls slow down after a minute, and
        ``calm`` times more for what takes hours.
        """
        remembered = self.store.step(self.job.id, name)
        if remembered and remembered.status == "done":
            return remembered.answer
        self._gate(f"before:{name}")
        if remembered is None:
            remembered = self.store.begin_step(self.job.id, name, StepKind.REPEATABLE)
        answer = without_queries(look())
        if ended(answer):
            self._finish(name, answer, lambda last: {**show(last), **moves(last)})
            return answer
        changes = {"state": State.REMOTE, "waiting_reason": "", "problem": None, **show(answer)}
        raise Later(self._poll_pause(time.time() - remembered.started_at, calm), **changes)

    def _poll_pause(self, elapsed: float, calm: float) -> float:
        settings = self.settings
        if self.job.sandboxed:
            return min(0.3, settings.poll_seconds)
        slow = elapsed > settings.poll_slow_after_seconds
        return settings.poll_slow_seconds * calm if slow else settings.poll_seconds

    def done(self, results: list[Result]) -> None:
        """The one good end of a job."""
        crash_point("before:done")
        self.update(
            state=State.DONE,
            state_text="",
            waiting_reason="",
            problem=None,
            results=results,
            **STILL,
        )


def _ask_person(*, listed: bool = True) -> dict[str, Any]:
    return {
        "state": State.IN_DOUBT,
        "waiting_reason": "person",
        "problem": doubt("", ask=True, listed=listed),
        **STILL,
    }


def without_queries(value: Any) -> Any:
    """A service's answer without the queries of its URLs: a presigned one is a secret.

    Also where an address stands within a text, such as a service's reason for a failure.
    """
    if isinstance(value, dict):
        return {key: without_queries(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_queries(item) for item in value]
    if isinstance(value, str) and "://" in value:
        return value.partition("?")[0] if _ADDRESS.fullmatch(value) else redact(value)
    return value


def doubt(
    technical: str, *, ask: bool = False, named: bool = False, listed: bool = True
) -> Problem:
    """A job in doubt, in words: it is being looked for, or (``ask``) a person decides."""
    if ask:
        searched = "its list does not show it" if listed else "it has no list to look in"
        return Problem(
            Category.IN_DOUBT,
            "The service does not know the id that was entered."
            if named
            else f"It is not known whether the service took this job; {searched}.",
            "Look at the service's website. If the job is there, enter its id; if not, send it "
            "again.",
            technical,
        )
    return Problem(
        Category.IN_DOUBT,
        "The service's answer was lost after everything had been sent.",
        "Nothing is sent again by itself. The service's list is searched for this job.",
        technical,
    )


def crash_point(name: str) -> None:
    """Die here when the crash tests say so (``SCENE_COURIER_CRASH_AT`` names the point).

    The promise that a job survives at every point can only be tested by ending the process there.
    """
    if os.environ.get("SCENE_COURIER_CRASH_AT") == name:
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        time.sleep(10)
