# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts verified results where the artist wants them, and overwrites nothing that was there.

The archive as it came stays in the job's folder; what was extracted from it is moved.
"""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

from .flow import Flow
from .jobs import Result
from .paths import safe_name, writable

#: two jobs with one folder must not both find it empty
_placing = threading.Lock()


def place(flow: Flow) -> str:
    """The step "place": decide once, durably, which folder the results go to.

    The asked folder if it can be written and holds nothing yet, else a folder of the job's own in
    it; the job's folder when it cannot be written (with a note).
    """
    with _placing:
        return str(flow.step("place", lambda: str(_choose(flow))))


def _choose(flow: Flow) -> Path:
    job = flow.job
    own = flow.folder / "results" / "files"
    if not job.results_dir:
        return own
    asked = Path(job.results_dir)
    if not writable(asked):
        flow.note(f"“{asked}” cannot be written; the results are in the job's folder.")
        return own
    if any(asked.iterdir()) or _taken(flow, str(asked)):
        return asked / f"{safe_name(job.name, limit=60)}-{job.short_id}"
    return asked


def _taken(flow: Flow, folder: str) -> bool:
    """Has another job chosen this folder and not delivered yet?"""
    steps = [flow.store.step(job.id, "place") for job in flow.store.open_jobs()]
    return any(step is not None and step.answer == folder for step in steps)


def deliver(folder: Path, results: list[Result], target: Path) -> list[Result]:
    """Move the files of ``folder`` to ``target``; answers the results with their new paths."""
    moved = []
    for result in results:
        source = Path(result.path)
        goal = target / source.relative_to(folder)
        goal.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(source, goal)
        except OSError:
            # Another disk: copy under a temporary name, then rename.
            temporary = goal.with_name(f".{goal.name}.part")
            shutil.copyfile(source, temporary)
            os.replace(temporary, goal)
        moved.append(Result(str(goal), result.bytes, result.kind))
    shutil.rmtree(folder, ignore_errors=True)
    return moved
