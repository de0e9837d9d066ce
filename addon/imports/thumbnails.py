# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of what came back: one for each job of the list, and the picked job's stills.

Blender's own previews: named in the pump's turn, which costs microseconds as no file is opened;
Blender reads and scales a picture when it is drawn, in a thread of its own, and keeps it like the
File Browser's. Whether a file is there, and whether it changed, is looked up in a thread too: a
network drive may take its time. Drawing only asks for a number. At most ``KEPT`` are held, the
longest unseen goes first. Nothing here makes data-blocks.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import bpy

from ...bridge.jobs import Job
from . import shoot_facts

#: pictures that are held, that one turn may add, and that a job's sheet shows
KEPT, EACH_TURN, SHEET = 96, 4, 36
#: after so long a file is looked at again: it may be gone, or be another one (seconds)
LOOK_AGAIN = 10.0
_PICTURES = frozenset(
    (".png", ".jpg", ".jpeg", ".exr", ".webp", ".tif", ".tiff", ".bmp", ".tga", ".hdr", ".jp2")
)

Run = Callable[[str, Callable[[], None]], object]

_collection: Any = None
#: file -> the stamp of what is held of it; the longest unseen first. Two jobs may share a file
_files: OrderedDict[str, int] = OrderedDict()
#: job id -> the revision that was last looked at and the file to show: most turns have nothing new
_seen: OrderedDict[str, tuple[int, str]] = OrderedDict()
#: file -> when it was changed (nanoseconds), 0 when it is not there; written by the thread
_stamps: dict[str, int] = {}
_looked_at = -1e9
#: the stills of the job that is looked at: id, revision, pictures
_sheet: tuple[str, int, list[dict[str, Any]]] = ("", -1, [])


def icon_id(key: str) -> int:
    """The icon of a job's picture (by its id) or of a still (by its path); 0 without one.

    For ``layout.template_icon`` or ``label``.
    """
    known = _seen.get(key)
    path = known[1] if known is not None else key
    if _collection is None or path not in _files:
        return 0
    _files.move_to_end(path)
    return int(_collection[path].icon_id)


def picture_of(job: Job) -> str:
    """The file to show: the service's preview, else the first still, else the frame in the middle.

    "" without one: a video or an archive has none.
    """
    for kind in ("preview", "still", "frame"):
        shown = [r.path for r in job.results if r.kind == kind and _is_picture(r.path)]
        if shown and kind == "still":
            return shown[0]
        if shown:
            return sorted(shown)[(len(shown) - 1) // 2]
    # What a farm shows while it renders.
    told = job.report.get("preview")
    return told if isinstance(told, str) and _is_picture(told) else ""


def sheet_of(job: Job) -> list[dict[str, Any]]:
    """The job's stills that can be shown, by product and camera; see ``shoot_facts.facts_of``."""
    global _sheet
    if _sheet[:2] != (job.id, job.revision):
        stills = shoot_facts.facts_of(job)["stills"] if shoot_facts.is_shoot(job) else []
        _sheet = (job.id, job.revision, [one for one in stills if _is_picture(one["path"])])
    return _sheet[2]


def _is_picture(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in _PICTURES


def feed(jobs: Iterable[Job], sheet: Job | None = None, *, run: Run) -> bool:
    """Name pictures to Blender, a few at a time; True when one was added or taken away.

    ``jobs`` are those of the list, the most important first; ``sheet`` is the one whose stills are
    shown. Beyond ``KEPT`` none is taken. ``run(name, work)`` does work in a thread.
    """
    wanted: dict[str, None] = {}
    for job in jobs:
        if len(wanted) >= KEPT - SHEET:
            break
        if path := _picture_of(job):
            wanted[path] = None
    if sheet is not None:
        wanted |= {one["path"]: None for one in sheet_of(sheet)[:SHEET]}
    _look_at(list(wanted), run)
    changed = 0
    for path in wanted:
        stamp, held = _stamps.get(path), _files.get(path, 0)
        if stamp is None or held == stamp:
            continue
        forget(path)
        if stamp:
            _load(path, stamp)
        changed += 1
        if changed >= EACH_TURN:
            break
    return changed > 0


def _picture_of(job: Job) -> str:
    known = _seen.get(job.id)
    if known is not None and known[0] == job.revision:
        return known[1]
    path = picture_of(job)
    _seen[job.id] = (job.revision, path)
    while len(_seen) > 4 * KEPT:
        _seen.popitem(last=False)
    return path


def _look_at(paths: list[str], run: Run) -> None:
    """Have the thread look which of these files are there: new ones now, the others by and by."""
    global _looked_at
    clock = time.monotonic()
    due = paths if clock - _looked_at > LOOK_AGAIN else [p for p in paths if p not in _stamps]
    if not due:
        return
    if due is paths:
        _looked_at = clock
        for path in set(_stamps).difference(paths):
            del _stamps[path]

    def look() -> None:
        for path in due:
            try:
                _stamps[path] = os.stat(path).st_mtime_ns or 1
            except OSError:
                _stamps[path] = 0

    run("pictures", look)


def _load(path: str, stamp: int) -> None:
    global _collection
    if _collection is None:
        import bpy.utils.previews

        _collection = bpy.utils.previews.new()
    while len(_files) >= KEPT:
        forget(next(iter(_files)))
    _collection.load(path, path, "IMAGE")
    _files[path] = stamp


def forget(path: str) -> None:
    """Release a file's picture."""
    if _files.pop(path, None) is not None and _collection is not None:
        del _collection[path]


def release() -> None:
    """Release all of them (the extension is being disabled)."""
    global _collection, _looked_at
    _files.clear()
    _seen.clear()
    _stamps.clear()
    _looked_at = -1e9
    if _collection is not None:
        bpy.utils.previews.remove(_collection)
        _collection = None
