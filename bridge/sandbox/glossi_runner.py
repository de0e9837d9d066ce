# SPDX-License-Identifier: GPL-3.0-or-later
"""Works Glossi's two queues: models that are looked at, and projects that are rendered.

    PENDING -> ANALYZING -> READY | FAILED          QUEUED -> RENDERING -> COMPLETED | FAILED

Every change is in the database before the next begins. After a restart what was at work begins
anew; what three times ended with the sandbox fails, as it may be what ends the sandbox. A model or
project that breaks Blender fails alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..problems import Canceled, Category, ProblemError
from . import glossi_fate, glossi_templates
from .glossi_storage import GlossiStorage
from .glossi_store import ENDS, MODEL, PROJECT, RENDER, GlossiStore, Record
from .glossi_studio import ModelWork, ProjectWork, Studio
from .jobs import now_iso

LOG = logging.getLogger("scene_courier.sandbox")
QUEUES = {MODEL: ("PENDING", "ANALYZING"), RENDER: ("QUEUED", "RENDERING")}
_MAX_INTERRUPTIONS = 3
_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "MP4": ".mp4", "PRORES": ".mov"}


class _Fails(Exception):
    """The model or render fails with this text."""


class _Stuck(Exception):
    """A fault plan keeps it where it is."""


class GlossiRunner:
    """Threads that check and render. ``on_end`` hears of each record that came to an end."""

    def __init__(
        self,
        store: GlossiStore,
        storage: GlossiStorage,
        studio: Studio,
        *,
        on_end: Callable[[Record], None],
        parallel: int = 1,
    ) -> None:
        self._store = store
        self._storage = storage
        self._studio = studio
        self._on_end = on_end
        self._wake = threading.Condition()
        self._claimed: set[str] = set()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._work, args=(kind,), name=f"sandbox-glossi-{kind}-{number}", daemon=True
            )
            for number, kind in enumerate([MODEL] + [RENDER] * parallel)
        ]

    def start(self) -> None:
        """Note what the last run interrupted, then begin."""
        for kind, states in QUEUES.items():
            for record in self._store.in_state(kind, *states):
                if record.private.get("running"):
                    self._store.change(kind, record.id, _interrupted)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop what runs (its Blender is killed); everything stays where it is."""
        self._stopping.set()
        self.wake()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(15)

    def wake(self) -> None:
        """There is something new."""
        with self._wake:
            self._wake.notify_all()

    @property
    def busy(self) -> bool:
        """Whether something runs or waits to run."""
        with self._wake:
            return bool(self._claimed) or any(self._next(kind) for kind in QUEUES)

    def waiting(self, kind: str) -> int:
        """How many wait or run."""
        return len(self._store.in_state(kind, *QUEUES[kind]))

    # -- the queues ------------------------------------------------------------------------------

    def _next(self, kind: str) -> Record | None:
        found = [
            record
            for record in self._store.in_state(kind, *QUEUES[kind])
            if record.id not in self._claimed and not record.private.get("held")
        ]
        # What had begun goes on first; then whoever asked first.
        return min(
            found,
            key=lambda item: (item.state == QUEUES[kind][0], item.private.get("asked_at", 0)),
            default=None,
        )

    def _work(self, kind: str) -> None:
        while not self._stopping.is_set():
            with self._wake:
                record = self._next(kind)
                if record is None:
                    self._wake.wait(5)
                    continue
                self._claimed.add(record.id)
            try:
                self._run(record)
            finally:
                with self._wake:
                    self._claimed.discard(record.id)
            after = self._store.get(kind, record.id)
            if after is not None and after.ended:
                self._on_end(after)

    def _run(self, record: Record) -> None:
        try:
            if record.private.get("interruptions", 0) >= _MAX_INTERRUPTIONS:
                raise _Fails("The sandbox stopped three times while it worked on this.")
            self._store.change(record.kind, record.id, _running)
            self._enter(record, QUEUES[record.kind][1])
            if record.kind == MODEL:
                self._check(record)
            else:
                self._render(record)
        except Canceled:
            LOG.info("%s %s: stopped", record.kind, record.id)
        except _Stuck:
            LOG.info("%s %s: kept where it is by the fault plan", record.kind, record.id)
        except _Fails as error:
            self._fail(record, str(error))
        except ProblemError as error:
            problem = error.problem
            self._log(record, f"{problem.sentence} {problem.technical}")
            self._fail(record, _told(problem))
        except Exception as error:
            LOG.exception("%s %s: fault of the sandbox", record.kind, record.id)
            self._fail(record, f"Internal error: {type(error).__name__}")

    def _enter(self, record: Record, state: str) -> None:
        """Go to work, as the fault plan wants it shown."""
        seen = self._store.change(
            record.kind, record.id, lambda item: glossi_fate.enter(item, state)
        )
        if seen is None:
            raise Canceled()
        if glossi_fate.stuck(seen):
            self._store.change(record.kind, record.id, _held)
            raise _Stuck()
        end = time.monotonic() + glossi_fate.least_seconds(seen)
        while (left := end - time.monotonic()) > 0:
            if self._stopping.wait(min(0.02, left)):
                raise Canceled()
        if "shown" in seen.private:
            self._store.change(record.kind, record.id, lambda item: item.private.pop("shown", None))
        if reason := glossi_fate.failure(seen, state):
            raise _Fails(reason)

    def _end(self, record: Record, change: Callable[[Record], None]) -> None:
        def ended(item: Record) -> None:
            item.state = ENDS[record.kind][0]
            item.private.update(running=False, interruptions=0)
            change(item)

        if self._stopping.is_set():
            raise Canceled()
        self._store.change(record.kind, record.id, ended)

    def _fail(self, record: Record, reason: str) -> None:
        def change(item: Record) -> None:
            item.state = "FAILED"
            item.private.update(running=False)
            item.private.pop("shown", None)
            item.doc["failure"] = reason

        self._store.change(record.kind, record.id, change)

    def _log(self, record: Record, text: str) -> None:
        folder = self._storage.workdir(record.id)
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with open(folder / "sandbox.log", "a", encoding="utf-8") as file:
                file.write(f"{now_iso()} {text}\n")

    # -- one model, one project ------------------------------------------------------------------

    def _check(self, record: Record) -> None:
        path = self._storage.path(self._storage.model_key(record.id))
        if not path.is_file():
            raise _Fails("The file was not uploaded.")
        work = ModelWork(
            model_id=record.id,
            name=record.doc["name"],
            path=path,
            output=path.parent,
            workdir=self._storage.workdir(record.id),
            cancelled=self._stopping.is_set,
        )
        facts = self._studio.check(work)

        def change(item: Record) -> None:
            item.doc["facts"] = facts
            item.doc["thumbnail"] = work.thumbnail.is_file()

        self._end(record, change)

    def _render(self, record: Record) -> None:
        project = self._store.get(PROJECT, record.doc["projectId"])
        if project is None:
            raise _Fails("The project is not there any more.")
        template = glossi_templates.find(project.doc["templateId"])
        if template is None:
            raise _Fails("The project has no template.")
        models = self._store.known(MODEL, project.doc["modelIds"])
        paths = [self._storage.path(self._storage.model_key(item.id)) for item in models]
        if len(models) < len(project.doc["modelIds"]) or not all(p.is_file() for p in paths):
            raise _Fails("A model of the project is not there any more.")
        workdir = self._storage.workdir(record.id)
        shutil.rmtree(workdir / "output", ignore_errors=True)
        work = ProjectWork(
            job_id=record.id,
            project=project.doc["name"],
            template=template.key,
            models=paths,
            names=[item.doc["name"] for item in models],
            settings=record.doc["settings"],
            output=workdir / "output",
            workdir=workdir,
            cancelled=self._stopping.is_set,
        )
        work.output.mkdir(parents=True)
        made = self._studio.render(work)["renders"]
        renders = self._kept(record, work.output, made)
        shutil.rmtree(workdir / "output", ignore_errors=True)
        self._end(record, lambda item: item.doc.update(renders=renders))

    def _kept(self, record: Record, output: Path, made: list[dict[str, Any]]) -> list[Any]:
        """Move finished files to where their keys say; the rows of ``renders``."""
        fate = glossi_fate.of(record)
        rows = []
        for item in made:
            source = output / str(item["path"])
            kind, identifier = str(item["fileType"]).upper(), str(uuid.uuid4())
            name = "video" if item["isVideo"] else "render"
            name += _SUFFIXES.get(kind, source.suffix.lower())
            root = f"workspaces/{self._store.workspace}/renders/{record.id}"
            key = f"{root}/{identifier}/{name}"
            if not source.is_file() or source.stat().st_size == 0:
                raise ProblemError(
                    Category.REMOTE, f"“{item['name']}” was not rendered.", "", str(source)
                )
            if not fate.get("gone"):
                self._storage.path(key).parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, self._storage.path(key))
            rows.append(
                {"id": identifier, "name": str(item["name"]), "filePath": key, "fileType": kind,
                 "isVideo": bool(item["isVideo"])}
            )  # fmt: skip
        return glossi_fate.left(rows, fate)


def _interrupted(record: Record) -> None:
    record.private["interruptions"] = record.private.get("interruptions", 0) + 1


def _running(record: Record) -> None:
    record.private["running"] = True


def _held(record: Record) -> None:
    record.private["held"] = True


def _told(problem: Any) -> str:
    # What ails this computer's Blender, only the person here can mend.
    if problem.category is Category.BLENDER and problem.hint:
        return f"{problem.sentence} {problem.hint}"
    return str(problem.sentence)
