# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast something goes, and when progress is worth writing down. Plain arithmetic."""

from __future__ import annotations

import time

_PROGRESS_SECONDS = 0.25


class Meter:
    """Rate (bytes per second, smoothed) and how often progress is written."""

    def __init__(self) -> None:
        self._at = 0.0
        self._done = 0.0
        self._rate = 0.0

    def update(self, done: float, total: float) -> float | None:
        """The rate if this progress is to be written now, else None; the end always is."""
        now = time.monotonic()
        if now - self._at < _PROGRESS_SECONDS and done < total:
            return None
        if self._at and done > self._done:
            sample = (done - self._done) / max(now - self._at, 1e-6)
            self._rate = sample if not self._rate else 0.7 * self._rate + 0.3 * sample
        self._at, self._done = now, done
        return self._rate
