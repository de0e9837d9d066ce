# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves Glossi's workflow jobs on: models ready, projects made, renders done, complete or failed.

    AWAITING_UPLOADS -> PROCESSING -> CREATING_PROJECTS -> RENDERING -> COMPLETE | FAILED

One step at a time, each in one transaction, so that a restart goes on where it was and nothing is
made twice. Statuses that are not asked for are skipped. What becomes of a job in which some models
or renders failed is not documented (``partial``).
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from . import glossi_fate
from .glossi_store import JOB, MODEL, PROJECT, RENDER, GlossiStore, Record

LOG = logging.getLogger("scene_courier.sandbox")
WORKING = ("PROCESSING", "CREATING_PROJECTS", "RENDERING")
_TICK = 0.05


def project_name(model: str) -> str:
    """What a project is called that nobody named: of "chair.glb", "Chair Project"."""
    words = re.sub(r"[_\s]+", " ", re.sub(r"(?i)\.glb$", "", model)).strip()
    return f"{words[:1].upper()}{words[1:]} Project".strip()


class Conductor:
    """A thread that steps the jobs. ``told`` hears of what it made and of what ended;
    ``wake_runner`` is called when there is something to render.
    """

    def __init__(
        self,
        store: GlossiStore,
        ways: Callable[[], dict[str, Any]],
        told: Callable[[Record], None],
        wake_runner: Callable[[], None],
    ) -> None:
        self._store = store
        self._ways = ways
        self._told = told
        self._wake_runner = wake_runner
        self._wake = threading.Condition()
        self._news = False
        self._stopping = False
        self._entered: dict[str, tuple[str, float]] = {}
        self._thread = threading.Thread(target=self._work, name="sandbox-glossi-flow", daemon=True)

    def start(self) -> None:
        """Begin; jobs of the last run go on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; jobs stay where they are."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(15)

    def wake(self) -> None:
        """Something came to its end."""
        with self._wake:
            self._news = True
            self._wake.notify_all()

    @property
    def busy(self) -> bool:
        """Whether a job is under way that is not stuck for good."""
        return any(not glossi_fate.stuck(job) for job in self._store.in_state(JOB, *WORKING))

    def _work(self) -> None:
        while not self._stopping:
            jobs = self._store.in_state(JOB, *WORKING)
            moved = [self._safely(job) for job in jobs if not glossi_fate.stuck(job)]
            with self._wake:
                if not any(moved) and not self._news and not self._stopping:
                    timed = any(glossi_fate.least_seconds(job) for job in jobs)
                    self._wake.wait(_TICK if timed else 5)
                self._news = False

    def _safely(self, job: Record) -> bool:
        try:
            return self._step(job)
        except Exception as error:
            LOG.exception("job %s: fault of the sandbox", job.id)
            self._fail(job, f"Internal error: {type(error).__name__}")
            return True

    def _step(self, job: Record) -> bool:
        """Move a job on by one status, if it can; whether it did."""
        state, since = self._entered.get(job.id, ("", 0.0))
        if state != job.state:
            since = time.monotonic()
            self._entered[job.id] = (job.state, since)
        if time.monotonic() - since < glossi_fate.least_seconds(job):
            return False
        if job.status != job.state:
            self._store.change(JOB, job.id, lambda item: item.private.pop("shown", None))
        if reason := glossi_fate.failure(job, job.state):
            return self._fail(job, reason)
        handler = {"PROCESSING": self._processing, "CREATING_PROJECTS": self._creating,
                   "RENDERING": self._rendering}[job.state]  # fmt: skip
        return handler(job)

    # -- the statuses ----------------------------------------------------------------------------

    def _processing(self, job: Record) -> bool:
        models = self._store.known(MODEL, job.doc["models"])
        if not all(model.ended for model in models):
            return False
        failed = [model for model in models if model.state == "FAILED"]
        reasons = [f"{model.doc['name']}: {model.doc.get('failure', '')}" for model in failed]
        if failed and (len(failed) == len(models) or self._strict()):
            return self._fail(job, f"{len(failed)} of {len(models)} models failed: {reasons[0]}")
        good = [model.id for model in models if model.state == "READY"]

        def change(item: Record) -> None:
            item.doc["ready"] = good
            if reasons:
                item.doc["failure"] = "; ".join(reasons)
            if item.doc["createProjects"]:
                glossi_fate.enter(item, "CREATING_PROJECTS")
            else:
                _complete(item)

        return self._changed(job, change)

    def _creating(self, job: Record) -> bool:
        made: list[Record] = []

        def change(item: Record) -> None:
            for model in self._store.known(MODEL, item.doc["ready"]):
                doc = {
                    "name": project_name(model.doc["name"]),
                    "modelIds": [model.id],
                    "templateId": item.doc["templateId"],
                }
                made.append(self._store.create(PROJECT, "PENDING", doc, {"job": item.id}))
            item.doc["projects"] = [project.id for project in made]
            if len(item.doc["models"]) > 1:
                title = f"API Job - {datetime.now(UTC):%Y-%m-%d}"
                item.doc["batchProject"] = {"id": item.private["batch"], "title": title}
            if item.doc["settings"]:
                self._begin_renders(item, made)
                glossi_fate.enter(item, "RENDERING")
            else:
                _complete(item)

        changed = self._changed(job, change, made)
        self._wake_runner()
        return changed

    def _begin_renders(self, job: Record, projects: list[Record]) -> None:
        fate = glossi_fate.of(job).get("renders") or {}
        renders = [
            self._store.create(
                RENDER,
                "QUEUED",
                {"projectId": project.id, "settings": job.doc["settings"]},
                {"job": job.id, "fate": glossi_fate.chosen(fate, number), "asked_at": time.time(),
                 "attempts": 1},
            )
            for number, project in enumerate(projects)
        ]  # fmt: skip
        job.doc["renders"] = [render.id for render in renders]

    def _rendering(self, job: Record) -> bool:
        renders = self._store.known(RENDER, job.doc["renders"])
        if not all(render.ended for render in renders):
            return False
        failed = [render for render in renders if render.state == "FAILED"]
        reasons = [str(render.doc.get("failure", "")) for render in failed]
        if failed and (len(failed) == len(renders) or self._strict()):
            return self._fail(job, f"{len(failed)} of {len(renders)} renders failed: {reasons[0]}")

        def change(item: Record) -> None:
            if reasons:
                before = item.doc.get("failure")
                item.doc["failure"] = "; ".join(([before] if before else []) + reasons)
            _complete(item)

        return self._changed(job, change)

    # -- ends ------------------------------------------------------------------------------------

    def _strict(self) -> bool:
        return str(self._ways()["partial"]).startswith("fail")

    def _fail(self, job: Record, reason: str) -> bool:
        def change(item: Record) -> None:
            item.state = "FAILED"
            item.private.pop("shown", None)
            item.doc["failure"] = reason

        return self._changed(job, change)

    def _changed(
        self, job: Record, change: Callable[[Record], None], made: Sequence[Record] = ()
    ) -> bool:
        """Change a job; then tell of what was ``made``, and of its end."""
        after = self._store.change(JOB, job.id, change)
        if after is None:
            return False
        for record in made:
            self._told(record)
        if after.ended:
            self._entered.pop(job.id, None)
            self._told(after)
        return True


def _complete(job: Record) -> None:
    job.state = "COMPLETE"
    job.private.pop("shown", None)
