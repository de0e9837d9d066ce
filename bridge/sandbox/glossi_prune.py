# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes room: the files of old renders, models that nobody used for a week, what was left over.

A render job whose files are gone is still listed by its id, as it may be at the service (how long
it keeps them is not documented). Nothing that ended within the hour is touched.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from .glossi_storage import GlossiStorage
from .glossi_store import JOB, MODEL, PROJECT, RENDER, UPLOADING, GlossiStore, Record

KEEP_RENDERS = 200
KEEP_BYTES = 8 << 30
KEEP_SECONDS = 3600.0
#: how long a model may lie unused, and an upload unconfirmed
IDLE_SECONDS = 7 * 86_400.0
#: render jobs that are known by their id
LISTED = 5000


class GlossiPruner:
    """``storage`` says where things lie."""

    def __init__(self, store: GlossiStore, storage: GlossiStorage) -> None:
        self._store = store
        self._storage = storage
        self._lock = threading.Lock()

    def prune(self) -> None:
        """Keep to the caps."""
        with self._lock:
            self._renders()
            self._idle()

    def _renders(self) -> None:
        now = time.time()
        ended = self._store.in_state(RENDER, "COMPLETED", "FAILED")
        there = [job for job in ended if not job.private.get("pruned")]
        sizes = {job.id: _size(self._storage.folder_of("renders", job.id)) for job in there}
        count, total = len(there), sum(sizes.values())
        for job in there:
            if count <= KEEP_RENDERS and total <= KEEP_BYTES:
                break
            if now - job.changed_at < KEEP_SECONDS:
                continue
            self._storage.remove("renders", job.id)
            self._store.change(RENDER, job.id, _pruned, ended=True)
            count, total = count - 1, total - sizes[job.id]
        for job in ended[: max(0, len(ended) - LISTED)]:
            self._storage.remove("renders", job.id)
            self._store.remove(job.id)

    def _idle(self) -> None:
        before = time.time() - IDLE_SECONDS
        at_work = {job.doc["projectId"] for job in self._store.in_state(RENDER, "QUEUED",
                                                                       "RENDERING")}  # fmt: skip
        used: set[str] = set()
        for project in self._store.in_state(PROJECT, "PENDING"):
            if project.changed_at >= before or project.id in at_work:
                used.update(project.doc["modelIds"])
            else:
                self._store.remove(project.id)
        for job in self._store.in_state(JOB, "AWAITING_UPLOADS", "COMPLETE", "FAILED"):
            if job.changed_at < before:
                self._store.remove(job.id)
            else:
                used.update(job.doc["models"])
        for model in self._store.in_state(MODEL, UPLOADING, "READY", "FAILED"):
            if model.changed_at < before and model.id not in used:
                self._storage.remove("models", model.id)
                self._store.remove(model.id)


def _pruned(record: Record) -> None:
    record.private["pruned"] = True


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
