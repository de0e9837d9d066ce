# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a worker running while something waits for one, without insisting.

No bpy and no waiting here: ``due`` is asked by the timer and costs nothing, ``start`` runs in a
thread of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..bridge.problems import Category, Problem, ProblemError

#: seconds between two attempts, and the longest pause after failures
PAUSE, LONGEST = 5.0, 300.0


class WorkerWatch:
    """When to start the worker next, and why it could not be started."""

    def __init__(self) -> None:
        self.problem: Problem | None = None
        self.failures = 0
        self._at = -1e9

    def due(self, now: float, *, at_once: bool = False) -> bool:
        """True when it is time to try; the next time is then ``PAUSE`` seconds away.

        After failures the pause doubles, up to ``LONGEST``. A click does not wait for it
        (``at_once``). ``SCENE_COURIER_NO_WORKER`` switches it off.
        """
        if os.environ.get("SCENE_COURIER_NO_WORKER"):
            return False
        pause = min(LONGEST, PAUSE * 2**self.failures)
        if now - self._at < pause and not at_once:
            return False
        self._at = now
        return True

    def start(self, home: Path) -> bool:
        """Start the worker unless it runs; True when the panel has something else to say now."""
        from ..bridge import launch

        problem: Problem | None = None
        try:
            launch.ensure_worker(home)
        except ProblemError as error:
            problem = error.problem
        except Exception as error:
            problem = Problem(
                Category.INTERNAL,
                "The part of Scene Courier that does the work could not be started.",
                f"Look at “{home / 'worker.log'}”.",
                f"{type(error).__name__}: {error}",
            )
        self.failures = 0 if problem is None else min(self.failures + 1, 6)
        changed, self.problem = problem != self.problem, problem
        return changed
