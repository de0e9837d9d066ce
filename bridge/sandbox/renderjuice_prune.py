# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes room: old outputs, scenes that nobody renders, uploads that nobody used.

A job whose outputs are gone stays in the list with ``output.isDeletedForClient`` (how long the
service keeps them is not documented). Nothing that ended within the hour is touched.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .renderjuice_jobs import Render, RenderStore

KEEP_JOBS = 100
KEEP_BYTES = 16 << 30
KEEP_SECONDS = 3600.0
#: how long an upload may wait for its job, and a scene for its render
IDLE_SECONDS = 7 * 86_400.0
#: jobs that the list remembers
LISTED = 2000


class Pruner:
    """``folder(job id)`` and ``upload(slug)`` say where things lie."""

    def __init__(
        self, store: RenderStore, folder: Callable[[str], Path], upload: Callable[[str], Path]
    ) -> None:
        self._store = store
        self._folder = folder
        self._upload = upload
        self._lock = threading.Lock()

    def purge(self, identifier: str) -> bool:
        """Delete a completed job's outputs; False when it has none."""

        def change(job: Render) -> bool:
            output = job.doc.get("output") or {}
            if job.phase != "completed" or output.get("isDeletedForClient"):
                return False
            job.doc["output"] = {**output, "isDeletedForClient": True}
            return True

        if self._store.change(identifier, change, ended=True) is None:
            return False
        shutil.rmtree(self._folder(identifier), ignore_errors=True)
        return True

    def prune(self) -> None:
        """Keep to the caps."""
        with self._lock:
            self._outputs()
            self._idle()

    def _outputs(self) -> None:
        now = time.time()
        completed = [
            job
            for job in self._store.in_phase("completed")
            if not job.doc["output"]["isDeletedForClient"]
        ]
        sizes = {job.id: _size(self._folder(job.id)) for job in completed}
        count, total = len(completed), sum(sizes.values())
        for job in completed:
            if count <= KEEP_JOBS and total <= KEEP_BYTES:
                break
            if now - job.changed_at >= KEEP_SECONDS and self.purge(job.id):
                count, total = count - 1, total - sizes[job.id]
        ended = self._store.in_phase("completed", "failed", "canceled")
        for job in ended[: max(0, len(ended) - LISTED)]:
            shutil.rmtree(self._folder(job.id), ignore_errors=True)
            self._store.remove(job.id)

    def _idle(self) -> None:
        before = time.time() - IDLE_SECONDS
        for slug in self._store.unused_uploads(before):
            self._store.remove_upload(slug)
            self._upload(slug).unlink(missing_ok=True)
        for job in self._store.in_phase("created", "validated"):
            if job.changed_at < before:
                self._store.change(job.id, lambda record: record.move("canceled"))
                shutil.rmtree(self._folder(job.id), ignore_errors=True)
                self._upload(job.private["slug"]).unlink(missing_ok=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
