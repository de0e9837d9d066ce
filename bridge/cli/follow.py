# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows a job to its end: a progress bar on a terminal, quiet lines elsewhere.

It only reads the store and asks the person; the worker does the work. If the worker dies it is
started again. Interrupting ends the following, never the job.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

from .. import commands, launch, words
from ..accounts import environment_print
from ..jobs import Job, State
from ..problems import Category, ProblemError
from ..store import Store
from .output import needs_somebody, say

_LOOK_SECONDS = 0.1
_WORKER_SECONDS = 2.0
# A worker that dies again and again must not be started for ever.
_STARTS = 5


def follow(store: Store, job_id: str, *, yes: bool, quiet: bool = False) -> Job:
    """Wait until the job has ended or needs somebody; asks on a terminal what may be asked.

    ``yes`` agrees to any price. Raises ProblemError when the job vanishes or no worker stays up,
    KeyboardInterrupt when the person stops following.
    """
    watch = _WorkerWatch(store.home)
    with _display(quiet) as show:
        while True:
            job = store.job(job_id)
            if job is None:
                raise ProblemError(
                    Category.CANCELED, "The job was removed from the list meanwhile.", "", job_id
                )
            show.update(job)
            if job.state.terminal:
                return job
            if _key_is_on_its_way(store, job):
                watch.ask_for_keys()
            elif needs_somebody(job) or (job.state is State.IN_DOUBT and job.waiting_reason):
                show.pause()
                if not _settle(store, job, yes):
                    return job
            watch.look()
            time.sleep(_LOOK_SECONDS)


def _key_is_on_its_way(store: Store, job: Job) -> bool:
    """The job waits for a key that this environment holds, and only the present worker lacks.

    So it is where several people, or pipelines, send with keys of their own at the same time.
    """
    if job.waiting_reason != "credentials" or not job.key_print:
        return False
    with store.together():  # the worker tells its keys and wakes such jobs in one change, too
        mine = environment_print(store).get(job.service)
        worker = store.setting("worker", {}).get("env", {}).get(job.service)
        last = store.job(job.id) or job
    if last.waiting_reason != "credentials":
        return True  # it has gone on since it was read
    return mine == job.key_print and (worker != mine or last.due_at <= time.time())


def _settle(store: Store, job: Job, yes: bool) -> bool:
    """True when the job goes on: agreed to by ``--yes`` or by the person at the terminal."""
    if job.state is not State.AWAITING_APPROVAL:
        return False
    if not yes and not (can_ask() and ask_price(job)):
        return False
    with contextlib.suppress(ProblemError):  # somebody else may have agreed in the panel
        commands.approve(store, job.id)
    return True


def can_ask() -> bool:
    """True when a person sits at this terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> bool:
    """A yes-or-no question on stderr; anything but yes is no."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def ask_price(job: Job) -> bool:
    """Ask for the yes that the job waits for."""
    from ..services import SERVICES

    service = SERVICES.get(job.service)
    label = service.label if service else job.service
    if job.price is not None:
        cost = words.credits_text(job.price)
        return ask(f"Converting “{job.name}” at {label} costs {cost}. Go on?")
    say_report(job)
    return ask(f"Rendering “{job.name}” at {label}: {words.agreement(job)} Go on?")


def say_report(job: Job) -> None:
    """What was found out about the scene: by our check, and by the service's."""
    for part in ("preflight", "analysis"):
        for finding in job.report.get(part, {}).get("findings") or []:
            say(f"  {finding.get('severity', ''):8} {finding.get('sentence', '')}")
            if finding.get("hint"):
                say(f"{'':11}{finding['hint']}")


class _WorkerWatch:
    """Starts the worker again when it is gone, or when it lacks the keys of this environment."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._next = time.monotonic() + _WORKER_SECONDS
        self._starts = 0

    def look(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _WORKER_SECONDS
        if launch.worker_running(self._home):
            return
        self._starts += 1
        if self._starts > _STARTS:
            raise ProblemError(
                Category.INTERNAL,
                "The background worker stops again and again.",
                f"Look at “{self._home / 'worker.log'}”; the job is kept.",
                f"{_STARTS} starts",
            )
        launch.ensure_worker(self._home)

    def ask_for_keys(self) -> None:
        """Let a worker with this environment's keys have its turn; the present one ends its step
        first.
        """
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _WORKER_SECONDS
            launch.ensure_worker(self._home)


# -- what is shown meanwhile ---------------------------------------------------------------------


class _Lines:
    """One line for each change of state; nothing moves, fit for logs."""

    def __init__(self) -> None:
        self._last = ""

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass

    def update(self, job: Job) -> None:
        label = words.state_label(job)
        told = job.state_text if job.state_text != label and not job.state.terminal else ""
        text = f"{label} · {told}" if told else label
        if text != self._last:
            self._last = text
            say(f"{job.short_id}  {text}")

    def pause(self) -> None:
        pass


class _Quiet(_Lines):
    def update(self, job: Job) -> None:
        pass


class _Bar(_Lines):
    """A tqdm bar on stderr: the present phase, its bytes or percent, and the rate."""

    def __init__(self, tqdm: Any) -> None:
        super().__init__()
        self._tqdm = tqdm
        self._bar: Any = None
        self._phase: tuple[str, str] = ("", "")

    def __exit__(self, *_exc: object) -> None:
        self.pause()

    def pause(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            self._phase = ("", "")

    def update(self, job: Job) -> None:
        if job.state.terminal:
            self.pause()
            super().update(job)
            return
        phase = (words.state_label(job), job.phase_unit if job.phase_total > 0 else "")
        if phase != self._phase:
            self.pause()
            self._phase = phase
            self._bar = self._make(*phase)
        if job.phase_total > 0:
            self._bar.total = job.phase_total
            self._bar.n = min(job.phase_done, job.phase_total)
        self._bar.set_postfix_str(job.state_text[:40], refresh=False)
        self._bar.refresh()

    def _make(self, label: str, unit: str) -> Any:
        if unit == "bytes":
            return self._tqdm(
                desc=label, total=1, unit="B", unit_scale=True, unit_divisor=1024, leave=False,
                file=sys.stderr, dynamic_ncols=True,
            )  # fmt: skip
        if unit == "percent":
            form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} {postfix}"
        else:
            form = "{desc}: {elapsed} {postfix}"
        return self._tqdm(
            desc=label, total=1, bar_format=form, leave=False, file=sys.stderr, dynamic_ncols=True
        )


def _display(quiet: bool) -> _Lines:
    if quiet:
        return _Quiet()
    if sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            return _Bar(tqdm)
    return _Lines()
