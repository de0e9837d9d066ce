# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about the frames of a finished job, from the job alone.

Pure: reads no file, imports no bpy. ``facts_of`` makes what ``renders.import_frames`` takes.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from ...bridge import frames as frame_ranges
from ...bridge.jobs import Job
from ...bridge.problems import ProblemError
from . import shoot_facts
from .frame_names import numbered

#: kinds of results that can be imported as frames
KINDS = frozenset({"frame", "pass", "video"})
# The folder, below the results, whose folders are the compositor's File Output nodes.
_PASS_FOLDERS = frozenset({"passes", "compositor", "compositenodes"})


def has_frames(job: Job) -> bool:
    """True when frames, passes or a video came back."""
    return any(result.kind in KINDS for result in job.results)


def is_render(job: Job) -> bool:
    """True for a job whose result is frames, not an asset."""
    return job.service == "renderjuice" or (has_frames(job) and job.service != shoot_facts.SERVICE)


def facts_of(job: Job) -> dict[str, Any]:
    """The job's frames and what they were rendered from.

    ``frames`` [{"path", "number", "view"}] by view and number; ``passes`` {node: the same};
    ``videos`` [path]; ``fps`` (0.0 where nobody said); ``start``, ``end``: the first and the last
    frame; ``video_start``: the first frame that was asked for, with which a video begins;
    ``missing``: frames that were asked for and did not come, as text;
    ``scene``, ``camera`` (a name or None); ``multilayer``; ``resolution`` [w, h] or None.
    """
    options, report = job.options, job.report
    preflight = _dict(report.get("preflight"))
    asked = _asked(job, preflight)
    found = numbered((result.path for result in job.results if result.kind == "frame"), asked or ())
    passes: dict[str, list[str]] = {}
    for result in job.results:
        if result.kind == "pass":
            passes.setdefault(_node(result.path, job.results_dir), []).append(result.path)
    numbers = [frame["number"] for frame in found]
    if asked is not None and len(found) == 1 and asked.count == 1:
        # A still: its file may have no number, or one that counts something else.
        found[0]["number"] = asked.first
        numbers = [asked.first]
    # Frames that were sent later lie beside those that came first.
    bounds = [*numbers, asked.first, asked.last] if asked else numbers
    first, last = min(bounds, default=1), max(bounds, default=1)
    lost = asked.minus(frame_ranges.of(numbers)).short() if asked and numbers else ""
    output = _dict(preflight.get("output"))
    return {
        "frames": found,
        "passes": {node: numbered(paths) for node, paths in sorted(passes.items())},
        "videos": [result.path for result in job.results if result.kind == "video"],
        "fps": _number(options.get("fps")) or _number(preflight.get("fps")) or 0.0,
        "start": first,
        "end": last,
        "video_start": asked.first if asked else first,
        "missing": lost,
        "scene": str(
            options.get("scene") or preflight.get("scene") or job.origin.get("scene") or ""
        ),
        "camera": options.get("camera") or preflight.get("camera") or None,
        "multilayer": options.get("output_format", "") == "OPEN_EXR_MULTILAYER"
        or ("output_format" not in options and bool(output.get("multilayer"))),
        "resolution": _resolution(options, preflight),
    }


def _asked(job: Job, preflight: dict[str, Any]) -> frame_ranges.FrameRanges | None:
    """The frames that this job was to render, by the first that says it."""
    told = [
        _dict(job.report.get("frames")).get("asked"),
        None if job.options.get("test_frames") else job.options.get("frames"),
        None if job.options.get("test_frames") else _dict(preflight.get("frames")).get("text"),
    ]
    for text in told:
        if not text:
            continue
        try:
            ranges = frame_ranges.parse(str(text))
        except ProblemError:
            continue
        if ranges:
            return ranges
    return None


def _node(path: str, results_dir: str) -> str:
    """Which File Output node a file is of: the folder below the one for passes, or its own."""
    folder = os.path.dirname(path)
    with contextlib.suppress(ValueError):  # another drive
        below = os.path.relpath(folder, results_dir) if results_dir else folder
        folder = folder if below.startswith("..") else below
    parts = folder.replace("\\", "/").split("/")
    for at in reversed(range(len(parts) - 1)):
        if parts[at].lower() in _PASS_FOLDERS:
            return parts[at + 1]
    return parts[-1] or "Pass"


def _resolution(options: dict[str, Any], preflight: dict[str, Any]) -> list[int] | None:
    """Width and height in pixels, the percentage applied; None where it is not known."""
    size: list[int] | None = None
    text = str(options.get("resolution") or "")
    try:
        size = [int(part) for part in text.lower().split("x")] if text else None
    except ValueError:
        size = None
    known = size or preflight.get("resolution")
    if not isinstance(known, list | tuple) or len(known) != 2:
        return None
    percentage = _number(options.get("resolution_percentage"))
    percentage = percentage or _number(preflight.get("percentage")) or 100.0
    return [max(1, int(_number(side) * percentage / 100)) for side in known]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value)
