# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches what a Renderjuice job offers: several files at a time, each verified as it arrives.

A file gets its name only when it is whole; one that came cut or damaged is fetched again. What is
there already is not fetched twice, so a job that was interrupted goes on where it was. Addresses
expire: then the list is asked for again. The key is never sent to where the files lie. What the
list may look like is in ``outputs``.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...archive import extract_zip, folded
from ...disk import disk_problem
from ...faults import HttpError
from ...media import check_media
from ...presigned import is_expired
from ...problems import Canceled, Category, Problem, ProblemError
from ...transfer import download
from .explain import explain_storage
from .outputs import (
    Downloads,
    Output,
    frame_numbers,
    missing_frames,
    read_downloads,
    safe_parts,
)

if TYPE_CHECKING:
    from ...http import Http
    from .client import RenderjuiceClient

__all__ = [
    "Arrived",
    "Downloads",
    "Fetched",
    "Output",
    "fetch_all",
    "frame_numbers",
    "missing_frames",
    "read_downloads",
]

#: the folder for the outputs of compositor nodes, beside the frames
PASSES = "passes"
_TRIES = 3  # of one file that arrives damaged
_REFRESHES = 3  # of the list, one after the other, without a file in between
_REPORT_SECONDS = 0.2
_JOIN_SECONDS = 60.0
_UNCHECKED = ".unchecked"


@dataclass(frozen=True)
class Fetched:
    """A file that is there and whole. ``kind``: frame, pass, video; ``output`` is what it was on
    the list (one made of an archive's member has no address).
    """

    path: Path
    bytes: int
    kind: str
    output: Output


class Arrived(list[Fetched]):
    """What came, in the list's order; ``failed`` is what did not, with the reason of each."""

    def __init__(self, files: list[Fetched], failed: list[tuple[Output, Problem]]) -> None:
        super().__init__(files)
        self.failed = failed


@dataclass
class _Task:
    output: Output
    mark: tuple[Any, ...]  # what finds it again in a new list
    goal: Path
    generation: int = 0
    tries: int = 0
    refreshes: int = 0
    done: int = 0
    total: int = 0
    files: list[Fetched] = field(default_factory=list)


class _Damage(Exception):
    """What arrived is not whole."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


def fetch_all(
    client: RenderjuiceClient,
    job_id: str,
    outputs: Downloads | Iterable[Output],
    folder: Path,
    *,
    parallel: int = 4,
    on_file: Callable[[Path, int, int], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Arrived:
    """Fetch ``outputs`` into ``folder``, each to its ``path``.

    Given ``Downloads``, it fetches what is ``wanted`` of it, and compositor outputs go to a folder
    of their own below. ``on_file(path, done, total)`` hears of each file that is whole,
    ``on_progress(done, total)`` counts bytes (``total`` is an estimate while sizes are still
    unknown, 0 at first). All functions are called in the caller's thread. Files that an earlier
    call brought are not fetched again.

    Raises HttpError when the service or its storage cannot be reached, ProblemError(DISK) for lack
    of room, Canceled; ProblemError(SERVICE) when nothing at all arrived whole. A file that stays
    damaged or is gone does not stop the others: it is in ``failed``.
    """
    tasks = _tasks(outputs, folder)
    fetch = _Fetch(client, job_id, tasks, folder)
    fetch.on_file = on_file or (lambda _path, _done, _total: None)
    fetch.on_progress = on_progress or (lambda _done, _total: None)
    fetch.cancelled = cancelled or (lambda: False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return fetch.run(max(1, parallel))
    except OSError as error:
        raise disk_problem(error, folder) from None


class _Fetch:
    on_file: Callable[[Path, int, int], None]
    on_progress: Callable[[int, int], None]
    cancelled: Callable[[], bool]

    def __init__(
        self, client: RenderjuiceClient, job_id: str, tasks: list[_Task], folder: Path
    ) -> None:
        self.client, self.job_id, self.tasks, self.folder = client, job_id, tasks, folder
        self.failed: list[tuple[Output, Problem]] = []
        self.record = folder / f".{'-'.join(safe_parts(job_id))[:60]}.fetched"
        self.todo: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self.events: queue.SimpleQueue[tuple[_Task, BaseException | None]] = queue.SimpleQueue()
        self.stop = threading.Event()
        self.generation = self.barren = self.arrived = 0
        self.urls = {task.mark: task.output.url for task in self.tasks}
        self.reported = 0.0

    # -- the caller's thread ----------------------------------------------------------------------

    def run(self, parallel: int) -> Arrived:
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
        files = [file for task in self.tasks for file in task.files]
        if self.failed and not files:
            raise ProblemError.of(self.failed[0][1])
        if not self.failed:
            self.record.unlink(missing_ok=True)
        return Arrived(files, self.failed)

    def _left(self) -> list[_Task]:
        """The tasks whose files are not there yet, by the record of an earlier call."""
        known = _read_record(self.record)
        left = []
        for task in self.tasks:
            files = known.get(json.dumps(task.mark), [])
            there = [self.folder / name for name, _size, _kind in files]
            whole = bool(files) and all(
                path.is_file() and path.stat().st_size == size
                for path, (_name, size, _kind) in zip(there, files, strict=True)
            )
            if whole:
                task.files = [
                    Fetched(path, size, kind, self._output(task, path, kind))
                    for path, (_name, size, kind) in zip(there, files, strict=True)
                ]
                task.done = task.total = sum(file.bytes for file in task.files)
                self.arrived += 1
            else:
                left.append(task)
        return left

    def _output(self, task: _Task, path: Path, kind: str) -> Output:
        if not task.output.kind.endswith("_zip"):
            return task.output
        name = path.relative_to(self.folder).as_posix()
        return Output("", path.name, path=name, kind=kind)

    def _follow(self, open_tasks: int) -> None:
        while open_tasks:
            if self.cancelled():
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
                self.on_file(task.goal, self.arrived, len(self.tasks))
                self._say()
            elif not self._again(task, fault):
                open_tasks -= 1

    def _again(self, task: _Task, fault: BaseException) -> bool:
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
        else:
            raise fault
        if again:
            self.todo.put(task)
        else:
            self.failed.append((task.output, problem))
            _discard(task.goal)
        return again

    def _renewed(self, task: _Task, fault: HttpError) -> bool:
        """Give the task a new address; False when that does not help any more."""
        if task.generation == self.generation:
            limit = 1 if fault.status == 404 else _REFRESHES
            if task.refreshes >= limit:
                return False
            task.refreshes += 1
            self.barren += 1
            if self.barren > _REFRESHES:
                raise fault
            self.generation += 1
            fresh = self.client.downloads(self.job_id)
            self.urls = {mark: output.url for mark, output in _marked(fresh.everything())}
        if task.mark not in self.urls:
            return False
        task.output = replace(task.output, url=self.urls[task.mark])
        task.generation = self.generation
        return True

    def _note(self, task: _Task) -> None:
        """Remember for a later call what is whole."""
        files = [
            [file.path.relative_to(self.folder).as_posix(), file.bytes, file.kind]
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
        self.on_progress(done, max(done, estimate))

    # -- the other threads ------------------------------------------------------------------------

    def _work(self) -> None:
        with self.client.http.keyless(
            label="Renderjuice's storage", explain=explain_storage, cancelled=self.stop.is_set
        ) as http:
            while (task := self.todo.get()) is not None and not self.stop.is_set():
                fault: BaseException | None = None
                try:
                    self._one(http, task)
                except BaseException as error:  # handed to the caller's thread, whatever it is
                    fault = error
                self.events.put((task, fault))

    def _one(self, http: Http, task: _Task) -> None:
        task.tries += 1

        def moved(done: int, total: int) -> None:
            task.done = done
            task.total = max(total, done)

        fresh = task.goal.with_name(task.goal.name + _UNCHECKED)
        size = download(http, task.output.url, fresh, on_progress=moved, cancelled=self.stop.is_set)
        try:
            check_media(fresh, name=task.goal.name, cancelled=self.stop.is_set)
            os.replace(fresh, task.goal)
            task.done = task.total = size
            if task.output.kind.endswith("_zip"):
                task.files = self._unpacked(task)
            else:
                task.files = [Fetched(task.goal, size, task.output.kind, task.output)]
        except ProblemError as error:
            if error.problem.category is not Category.SERVICE:
                raise
            fresh.unlink(missing_ok=True)
            task.goal.unlink(missing_ok=True)
            raise _Damage(error.problem) from None
        except OSError as error:
            raise disk_problem(error, task.goal) from None

    def _unpacked(self, task: _Task) -> list[Fetched]:
        """The files of an archive, each verified, where they would lie if they came alone."""
        kind = task.output.kind.removesuffix("_zip")
        staging = task.goal.with_name(f".{task.goal.name}.unpacked")
        shutil.rmtree(staging, ignore_errors=True)
        target = self.folder / PASSES if kind == "pass" else self.folder
        files = []
        try:
            paths = extract_zip(task.goal, staging, cancelled=self.stop.is_set)
            base = Path(os.path.commonpath([path.parent for path in paths]))
            for path in paths:
                check_media(path, cancelled=self.stop.is_set)
            for path in paths:
                goal = target / path.relative_to(base)
                goal.parent.mkdir(parents=True, exist_ok=True)
                size = path.stat().st_size
                os.replace(path, goal)
                files.append(Fetched(goal, size, kind, self._output(task, goal, kind)))
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        task.goal.unlink(missing_ok=True)
        return files


def _tasks(outputs: Downloads | Iterable[Output], folder: Path) -> list[_Task]:
    apart = isinstance(outputs, Downloads)
    listed = outputs.wanted() if isinstance(outputs, Downloads) else list(outputs)
    tasks: list[_Task] = []
    taken: set[str] = set()
    for mark, output in _marked(listed):
        parts = safe_parts(output.path or output.file_name) or ["file"]
        if apart and output.kind == "pass":
            parts = [PASSES, *parts]
        while folded("/".join(parts)) in taken:
            parts = [output.kind, *parts]
        taken.add(folded("/".join(parts)))
        tasks.append(_Task(output, mark, folder.joinpath(*parts)))
    return tasks


def _marked(outputs: list[Output]) -> Iterator[tuple[tuple[Any, ...], Output]]:
    """Each output with what finds it again in a later list."""
    repeated: dict[tuple[Any, ...], int] = {}
    for output in outputs:
        repeated[output.key] = repeated.get(output.key, 0) + 1
        yield (*output.key, repeated[output.key]), output


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
