# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of the frames that came back, for the job list.

Blender's own previews: named in the pump's turn, which costs microseconds as no file is opened;
Blender reads and scales a picture when it is drawn, in a thread of its own, and keeps it like the
File Browser's. Drawing only asks for a number. At most ``KEPT`` are held, the longest unseen goes
first. Nothing here makes data-blocks.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import bpy

from ...bridge.jobs import Job

#: pictures that are held, and that one turn may add
KEPT, EACH_TURN = 64, 4
_PICTURES = frozenset(
    (".png", ".jpg", ".jpeg", ".exr", ".webp", ".tif", ".tiff", ".bmp", ".tga", ".hdr", ".jp2")
)

_collection: Any = None
#: job id -> the file that its picture is of, the longest unseen first
_files: OrderedDict[str, str] = OrderedDict()
#: job id -> the revision that was last looked at: most turns have nothing to do
_seen: OrderedDict[str, int] = OrderedDict()


def icon_id(job_id: str) -> int:
    """The icon of a job's picture for ``layout.template_icon`` or ``label``; 0 without one."""
    if _collection is None or job_id not in _files:
        return 0
    _files.move_to_end(job_id)
    return int(_collection[job_id].icon_id)


def picture_of(job: Job) -> str:
    """The file to show: the service's preview, else the frame in the middle; "" without one.

    A video or an archive has none.
    """
    previews = [result.path for result in job.results if result.kind == "preview"]
    frames = [result.path for result in job.results if result.kind == "frame"]
    for paths in (previews, frames):
        shown = sorted(path for path in paths if os.path.splitext(path)[1].lower() in _PICTURES)
        if shown:
            return shown[(len(shown) - 1) // 2]
    return ""


def feed(jobs: Iterable[Job]) -> bool:
    """Name the pictures of these jobs to Blender, a few at a time; True when one was added.

    ``jobs`` are those that the panel shows, the most important first; beyond ``KEPT`` none is
    taken.
    """
    global _collection
    added = 0
    for position, job in enumerate(jobs):
        if position >= KEPT or added >= EACH_TURN:
            break
        if _seen.get(job.id) == job.revision:
            continue
        path = picture_of(job)
        if _files.get(job.id, "") == path:
            _note(job)
            continue
        forget(job.id)
        _note(job)
        if not path:
            continue
        if _collection is None:
            import bpy.utils.previews

            _collection = bpy.utils.previews.new()
        while len(_files) >= KEPT:
            forget(next(iter(_files)))
        _collection.load(job.id, path, "IMAGE")
        _files[job.id] = path
        added += 1
    return added > 0


def _note(job: Job) -> None:
    _seen[job.id] = job.revision
    while len(_seen) > 4 * KEPT:
        _seen.popitem(last=False)


def forget(job_id: str) -> None:
    """Release a job's picture."""
    _seen.pop(job_id, None)
    if _files.pop(job_id, None) is not None and _collection is not None:
        del _collection[job_id]


def release() -> None:
    """Release all of them (the extension is being disabled)."""
    global _collection
    _files.clear()
    _seen.clear()
    if _collection is not None:
        bpy.utils.previews.remove(_collection)
        _collection = None
