# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches many files of a job: several at a time, each verified as it arrives, resumed, renewed.

A file gets its name only when it is whole; one that came cut or damaged is fetched again. What is
there already is not fetched twice, so a job that was interrupted goes on where it was. Addresses
expire: then they are asked for again. No key is ever sent to where the files lie. What a service
offers, and under which names, is its client's business.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .disk import disk_problem
from .faults import HttpError
from .media import check_media
from .names import safe_parts
from .presigned import is_expired
from .problems import Canceled, Category, Problem, ProblemError
from .transfer import download

if TYPE_CHECKING:
    from .http import Http

#: what finds a file again in a new list; JSON-able
Mark = tuple[Any, ...]

_TRIES = 3  # of one file that arrives damaged
_BARREN = 3  # renewals one after the other, without a file in between
_REPORT_SECONDS = 0.2
_JOIN_SECONDS = 60.0
_UNCHECKED = ".unchecked"


@dataclass(frozen=True)
class File:
    """A file that is there and whole; ``kind`` is the service's own word for what it is."""

    path: Path
    bytes: int
    kind: str


@dataclass
class Task:
    """One thing to fetch: from ``url`` (a secret) to ``goal``. ``item`` is the caller's own.

    ``files`` are what came of it: one, or several where it is unpacked. The rest is the fetch's.
    """

    url: str = field(repr=False)
    mark: Mark
    goal: Path
    kind: str
    item: Any = None
    files: list[File] = field(default_factory=list)
    problem: Problem | None = None
    generation: int = 0
    tries: int = 0
    refreshes: int = 0
    done: int = 0
    total: int = 0


class _Damage(Exception):
    """What arrived is not whole."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


@dataclass
class Fetch:
    """How tasks are fetched into ``folder``; ``run`` does it.

    ``http`` is the service's connection; its key stays behind. ``renewed()`` gives the present
    addresses by mark, and is asked when one does not work any more: for one task ``refreshes``
    times, and once for an address where nothing lies (404). ``unpack(task, stopped)`` may turn what
    arrived into other files. ``on_file(path, done, total)`` hears of each file that is whole,
    ``on_progress(done, total)`` counts bytes (``total`` is an estimate while sizes are still
    unknown, 0 at first). All of them but ``unpack`` are called in the caller's thread.
    """

    http: Http
    folder: Path
    #: what the files that this fetch brought are remembered under, for a later call
    name: str
    renewed: Callable[[], Mapping[Mark, str]]
    label: str
    explain: Callable[[HttpError], Problem | None]
    refreshes: int = 3
    #: a list that stays stale is raised (a service's fault) instead of told with each file
    strict: bool = True
    unpack: Callable[[Task, Callable[[], bool]], list[File] | None] = lambda _task, _stop: None
    on_file: Callable[[Path, int, int], None] = lambda _path, _done, _total: None
    on_progress: Callable[[int, int], None] = lambda _done, _total: None
    cancelled: Callable[[], bool] = lambda: False

    def run(self, tasks: list[Task], parallel: int) -> None:
        """Fetch them all; each task has its ``files``, or a ``problem``, afterwards.

        Raises HttpError when the service or its storage cannot be reached, ProblemError(DISK) for
        lack of room, Canceled. A file that stays damaged or is gone does not stop the others.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _Run(self, tasks).run(max(1, parallel))
        except OSError as error:
            raise disk_problem(error, self.folder) from None


class _Run:
    def __init__(self, how: Fetch, tasks: list[Task]) -> None:
        self.how, self.tasks = how, tasks
        self.record = how.folder / f".{'-'.join(safe_parts(how.name))[:60]}.fetched"
        self.todo: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.events: queue.SimpleQueue[tuple[Task, BaseException | None]] = queue.SimpleQueue()
        self.stop = threading.Event()
        self.generation = self.barren = self.arrived = 0
        self.urls: Mapping[Mark, str] = {task.mark: task.url for task in tasks}
        self.reported = 0.0

    # -- the caller's thread ----------------------------------------------------------------------

    def run(self, parallel: int) -> None:
        waiting = self._left()
        threads = [
            threading.Thread(target=self._work, name="fetch", daemon=True)
            for _ in range(min(parallel, len(waiting)))
        ]
        for task in waiting:
            self.todo.put(task)
        for thread in threads:
            thread.start()
        try:
            self._say(force=True)
            self._follow(len(waiting))
        finally:
            self.stop.set()
            for _ in threads:
                self.todo.put(None)
            for thread in threads:
                thread.join(_JOIN_SECONDS)
        if all(task.problem is None for task in self.tasks):
            self.record.unlink(missing_ok=True)

    def _left(self) -> list[Task]:
        """The tasks whose files are not there yet, by the record of an earlier call."""
        known = _read_record(self.record)
        left = []
        for task in self.tasks:
            files = [
                File(self.how.folder / name, size, kind)
                for name, size, kind in known.get(json.dumps(task.mark), [])
            ]
            # The same file under another name of this list: fetched again, or two would be one.
            moved = len(files) == 1 and files[0].kind == task.kind and files[0].path != task.goal
            if files and not moved and all(_is_there(file) for file in files):
                task.files = files
                task.done = task.total = sum(file.bytes for file in files)
                self.arrived += 1
            else:
                left.append(task)
        return left

    def _follow(self, open_tasks: int) -> None:
        while open_tasks:
            if self.how.cancelled():
                raise Canceled
            try:
                task, fault = self.events.get(timeout=0.1)
            except queue.Empty:
                self._say()
                continue
            if fault is None:
                open_tasks -= 1
                self.arrived += 1
                self.barren = 0
                self._note(task)
                self.how.on_file(task.goal, self.arrived, len(self.tasks))
                self._say()
            elif not self._again(task, fault):
                open_tasks -= 1

    def _again(self, task: Task, fault: BaseException) -> bool:
        """What a fault of one file means: True when it is tried again, False when given up.

        Raises what concerns all files.
        """
        task.done = 0
        if isinstance(fault, _Damage):
            problem, again = fault.problem, task.tries < _TRIES
        elif isinstance(fault, HttpError) and _is_stale(fault):
            problem, again = fault.problem, self._renewed(task, fault)
        elif isinstance(fault, HttpError) and (fault.transient or (fault.status or 0) >= 500):
            # Only this file, while others come: given up in the end. All of them: wait and go on.
            problem, again = fault.problem, task.tries < _TRIES
            if not self.arrived or (fault.status is None and not fault.left):
                raise fault
        elif isinstance(fault, HttpError) and fault.problem.category is Category.SERVICE:
            problem, again = fault.problem, False  # refused, or a redirect that is not safe
        else:
            raise fault
        if again:
            self.todo.put(task)
        else:
            task.problem = problem
            _discard(task.goal)
        return again

    def _renewed(self, task: Task, fault: HttpError) -> bool:
        """Give the task a new address; False when that does not help any more."""
        if task.generation == self.generation:
            if task.refreshes >= (1 if fault.status == 404 else self.how.refreshes):
                return False
            task.refreshes += 1
            self.barren += 1
            if self.barren > _BARREN:
                if self.how.strict:
                    raise fault
                return False
            self.generation += 1
            self.urls = self.how.renewed()
        if task.mark not in self.urls:
            return False
        task.url = self.urls[task.mark]
        task.generation = self.generation
        return True

    def _note(self, task: Task) -> None:
        """Remember for a later call what is whole."""
        files = [
            [file.path.relative_to(self.how.folder).as_posix(), file.bytes, file.kind]
            for file in task.files
        ]
        with self.record.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"mark": json.dumps(task.mark), "files": files}) + "\n")

    def _say(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self.reported < _REPORT_SECONDS:
            return
        self.reported = now
        known = [task.total for task in self.tasks if task.total]
        unknown = len(self.tasks) - len(known)
        estimate = sum(known) + (unknown * (sum(known) // len(known)) if known else 0)
        done = sum(task.done for task in self.tasks)
        self.how.on_progress(done, max(done, estimate))

    # -- the other threads ------------------------------------------------------------------------

    def _work(self) -> None:
        how = self.how
        with how.http.keyless(
            label=how.label, explain=how.explain, cancelled=self.stop.is_set
        ) as http:
            while (task := self.todo.get()) is not None and not self.stop.is_set():
                fault: BaseException | None = None
                try:
                    self._one(http, task)
                except BaseException as error:  # handed to the caller's thread, whatever it is
                    fault = error
                self.events.put((task, fault))

    def _one(self, http: Http, task: Task) -> None:
        task.tries += 1

        def moved(done: int, total: int) -> None:
            task.done = done
            task.total = max(total, done)

        fresh = task.goal.with_name(task.goal.name + _UNCHECKED)
        size = download(http, task.url, fresh, on_progress=moved, cancelled=self.stop.is_set)
        try:
            check_media(fresh, name=task.goal.name, cancelled=self.stop.is_set)
            os.replace(fresh, task.goal)
            task.done = task.total = size
            files = self.how.unpack(task, self.stop.is_set)
            task.files = [File(task.goal, size, task.kind)] if files is None else files
        except ProblemError as error:
            if error.problem.category is not Category.SERVICE:
                raise
            fresh.unlink(missing_ok=True)
            task.goal.unlink(missing_ok=True)
            raise _Damage(error.problem) from None
        except OSError as error:
            raise disk_problem(error, task.goal) from None


def _is_there(file: File) -> bool:
    return file.path.is_file() and file.path.stat().st_size == file.bytes


def _is_stale(error: HttpError) -> bool:
    """The address does not work any more; a new list may have another one."""
    return error.status in (401, 403, 404, 410) or is_expired(error)


def _discard(goal: Path) -> None:
    for ending in (_UNCHECKED, f"{_UNCHECKED}.part", f"{_UNCHECKED}.part.json"):
        goal.with_name(goal.name + ending).unlink(missing_ok=True)


def _read_record(path: Path) -> dict[str, list[tuple[str, int, str]]]:
    known: dict[str, list[tuple[str, int, str]]] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return known
    for line in lines:
        try:
            entry = json.loads(line)
            known[str(entry["mark"])] = [
                ("/".join(safe_parts(str(name))), int(size), str(kind))
                for name, size, kind in entry["files"]
            ]
        except (ValueError, KeyError, TypeError):
            continue  # a line that was cut when the computer went off
    return known
