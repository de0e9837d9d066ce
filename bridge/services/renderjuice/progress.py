# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads Renderjuice's progress counters, whose shape is not documented.

The lifecycle page says "current counters, or an empty array when nothing is running" and names no
field. So an object, an array of objects, a pair of numbers or counts by status are all understood;
what is not understood gives None, and the bar shows that work goes on. It never raises: the job's
status alone decides what happens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_DONE = (
    "completed",
    "complete",
    "done",
    "finished",
    "rendered",
    "success",
    "succeeded",
    "processed",
    "completedframes",
    "framescompleted",
    "doneframes",
    "framesdone",
    "finishedframes",
    "framesfinished",
    "renderedframes",
    "framesrendered",
    "current",
)
_TOTAL = ("total", "totalframes", "framestotal", "framecount", "frames", "count", "all")
_OPEN = (
    "pending",
    "queued",
    "waiting",
    "remaining",
    "running",
    "rendering",
    "inprogress",
    "active",
    "failed",
    "errored",
    "canceled",
    "cancelled",
    "processing",
    "started",
)
_PERCENT = ("percent", "percentage", "progress", "progresspercent", "progresspercentage")
_WRAPPERS = ("data", "progress", "counters", "counts", "frames", "job", "stats", "items", "jobs")
_IDS = ("jobid", "id", "job", "uuid")
_MOST = 100_000


@dataclass(frozen=True)
class Progress:
    """How far a job is: ``done`` of ``total`` (frames as a rule, or percent), and in words."""

    done: int
    total: int
    text: str


def read_progress(body: Any, job_id: str = "") -> Progress | None:
    """The progress of one job in an answer; None when nothing runs or nothing is understood.

    Objects that name another job than ``job_id`` are left out; several objects are added up.
    """
    try:
        return _read(body, job_id, 0)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None


def read_all(body: Any) -> dict[str, Progress]:
    """The progress of every job that an answer names, by job id."""
    found: dict[str, Progress] = {}
    try:
        for job_id, value in _by_job(body, 0):
            progress = _read(value, job_id, 0)
            if progress is not None:
                found[job_id] = progress
    except (ValueError, TypeError, OverflowError, RecursionError):
        pass
    return found


def _plain(name: object) -> str:
    return re.sub(r"[^a-z]", "", str(name).lower())


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    whole = math.isfinite(value) and value >= 0 and value == int(value)
    return int(value) if whole and value < 1e9 else None


def _progress(done: int, total: int) -> Progress | None:
    if total <= 0 or done > total:
        return None
    return Progress(done, total, f"{done} of {total}")


def _read(value: Any, job_id: str, depth: int) -> Progress | None:
    if depth > 4:
        return None
    if isinstance(value, dict):
        return _object(value, job_id, depth)
    if not isinstance(value, list) or not value or len(value) > _MOST:
        return None
    numbers = [_count(item) for item in value]
    if len(numbers) == 2 and numbers[0] is not None and numbers[1] is not None:
        return _progress(numbers[0], numbers[1])
    objects = [item for item in value if isinstance(item, dict) and _is_of(item, job_id)]
    by_status = _items_by_status(objects)
    if by_status is not None:
        return by_status
    parts = [part for item in objects if (part := _read(item, job_id, depth + 1)) is not None]
    if len(parts) <= 1:
        return parts[0] if parts else None
    if all(part.text.endswith("%") for part in parts):
        return _percent(sum(part.done for part in parts) / len(parts))
    return _progress(sum(part.done for part in parts), sum(part.total for part in parts))


def _is_of(item: dict[str, Any], job_id: str) -> bool:
    """False when the object says that it belongs to another job."""
    named = [value for name, value in item.items() if _plain(name) == "jobid"]
    return not job_id or not named or job_id in named


def _object(value: dict[str, Any], job_id: str, depth: int) -> Progress | None:
    if not _is_of(value, job_id):
        return None
    fields = {_plain(name): item for name, item in value.items()}
    done = next((n for name in _DONE if (n := _count(fields.get(name))) is not None), None)
    total = next((n for name in _TOTAL if (n := _count(fields.get(name))) is not None), None)
    waiting = [n for name in _OPEN if (n := _count(fields.get(name))) is not None]
    if done is not None and total is not None:
        return _progress(done, total)
    if waiting and (done is not None or total is not None):
        rest = sum(waiting)
        if total is not None:
            return _progress(total - rest, total) if rest <= total else None
        return _progress(done or 0, (done or 0) + rest)
    for name in _PERCENT:
        number = fields.get(name)
        if isinstance(number, int | float) and not isinstance(number, bool):
            fraction = isinstance(number, float) and 0 < number < 1
            return _percent(number * 100 if fraction else number)
    if job_id and job_id in value:
        return _read(value[job_id], job_id, depth + 1)
    for name in _WRAPPERS:
        inner = fields.get(name)
        if isinstance(inner, dict | list):
            found = _read(inner, job_id, depth + 1)
            if found is not None:
                return found
    return None


def _percent(number: float) -> Progress | None:
    if not math.isfinite(number) or not 0 <= number <= 100:
        return None
    return Progress(int(number), 100, f"{int(number)} %")


def _items_by_status(objects: list[dict[str, Any]]) -> Progress | None:
    """One object for each frame, with its status: count the finished ones."""
    states = []
    for item in objects:
        fields = {_plain(name): value for name, value in item.items()}
        if not isinstance(fields.get("status"), str) or not any(
            isinstance(fields.get(name), int) for name in ("frame", "framenumber", "index")
        ):
            return None
        states.append(_plain(fields["status"]))
    return _progress(sum(state in _DONE for state in states), len(states)) if states else None


def _by_job(body: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > 3:
        return
    if isinstance(body, list):
        for item in body[:_MOST]:
            if isinstance(item, dict):
                fields = {_plain(name): value for name, value in item.items()}
                job_id = next(
                    (v for name in _IDS if isinstance(v := fields.get(name), str) and v), None
                )
                if job_id is not None:
                    yield job_id, item
    elif isinstance(body, dict):
        inner = next((body[name] for name in _WRAPPERS if isinstance(body.get(name), list)), None)
        if inner is not None or isinstance(body.get("data"), dict):
            yield from _by_job(body["data"] if inner is None else inner, depth + 1)
        else:
            for name, value in body.items():
                if isinstance(value, dict | list):
                    yield str(name), value
