# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what a Renderjuice job has rendered: frames for ``progress``, seconds for the bill.

``normalizedSeconds`` is render time alone: booting, validating and packaging are not charged
(Renderjuice docs, GPU minutes). Here a second is a second of this computer. It rises while a frame
is rendered, not only after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..problems import Category, Problem
from . import renderjuice_fate
from .renderjuice_jobs import Render, RenderStore

_TICK_SECONDS = 0.5


class Meter:
    """Of one run of one job. ``cancelled`` says whether to stop."""

    def __init__(self, store: RenderStore, record: Render, cancelled: Callable[[], bool]) -> None:
        self._store = store
        self._id = record.id
        self._cancelled = cancelled
        self._settled = float(record.doc.get("normalizedSeconds") or 0)
        self._fate: dict[str, Any] = {}
        self._fails: Callable[[dict[str, str]], Exception] | None = None
        self._frame: int | None = None
        self._begun = 0.0
        self._told_at = 0.0

    def begin(self, fate: dict[str, Any], fails: Callable[[dict[str, str]], Exception]) -> None:
        """Frames are rendered from now on; ``fails`` makes what ends a job whose fate it is."""
        self._fate, self._fails = fate, fails

    def end(self) -> None:
        """No frame is rendered any more."""
        self._frame, self._fails = None, None

    def cancelled(self) -> bool:
        """Whether to stop; asked many times a second, so the running frame is counted here."""
        now = time.monotonic()
        if self._frame is not None and now - self._told_at > _TICK_SECONDS:
            self._told_at = now
            seconds = self._settled + now - self._begun
            self._store.change(
                self._id, lambda job: job.doc.update(normalizedSeconds=round(seconds, 3))
            )
        return self._cancelled()

    def told(self, fact: dict[str, Any]) -> None:
        """A renderer's report of a frame (see ``SceneWork``)."""
        frame, done, total = fact.get("frame"), fact.get("done"), fact.get("total")
        counters = {"done": done, "total": total, "frame": frame}
        now = time.monotonic()
        if fact.get("begun"):
            self._frame, self._begun, self._told_at = frame, now, now
            reason = renderjuice_fate.failure(self._fate, "rendering", frame)
            if reason is not None and self._fails is not None:
                raise self._fails(reason)
        elif self._frame == frame:
            self._frame = None
            # Never less than was shown while the frame was rendered.
            self._settled += max(float(fact.get("seconds") or 0), now - self._begun)
            self._settled += float(self._fate.get("seconds_per_frame", 0))
        seconds = round(self._settled, 3)

        def change(job: Render) -> None:
            job.private.update({k: v for k, v in counters.items() if isinstance(v, int)})
            job.doc["normalizedSeconds"] = max(seconds, job.doc.get("normalizedSeconds") or 0)

        self._store.change(self._id, change)

    def told_of(self, problem: Problem) -> str:
        """A failure's name: its sentence, with the frame that was being rendered."""
        if self._frame is not None and str(self._frame) not in problem.sentence:
            return f"{problem.sentence} It was rendering frame {self._frame}."
        # What ails this computer's Blender, only the person here can mend.
        if self._frame is None and problem.category is Category.BLENDER and problem.hint:
            return f"{problem.sentence} {problem.hint}"
        return problem.sentence
