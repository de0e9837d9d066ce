# SPDX-License-Identifier: GPL-3.0-or-later
"""Every external file that the open .blend and its linked libraries need, in one list.

    scan(frames=(1, 250))                                    of a .blend that was opened as it lies
    scan(frames=(1, 250), capture=data, folder=job_folder)   of the copy in a job's folder

It reads Blender's data and the disk's folders, and changes neither: no file is opened for writing,
no path is rewritten (that is what each dependency's ``setter`` is for), nothing is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from addon.recipes.dependencies.caches import find as find_caches
from addon.recipes.dependencies.media import find as find_media
from addon.recipes.dependencies.model import (
    CASE,
    EMPTY,
    KINDS,
    LOOP,
    UNICODE,
    UNREADABLE,
    Dependency,
    FileEntry,
)
from addon.recipes.dependencies.net import find as find_left_over
from addon.recipes.dependencies.nodes import find as find_in_nodes
from addon.recipes.dependencies.strips import find as find_in_strips
from addon.recipes.dependencies.walk import Walk

__all__ = [
    "CASE",
    "EMPTY",
    "KINDS",
    "LOOP",
    "UNICODE",
    "UNREADABLE",
    "Dependency",
    "FileEntry",
    "scan",
]


def scan(
    *,
    frames: tuple[int, int] | None = None,
    capture: dict[str, Any] | None = None,
    folder: Path | None = None,
) -> list[Dependency]:
    """All dependencies of the open file and of what it links, by kind and path.

    ``frames`` (first, last, both included and with the caller's handles) cuts sequences and caches
    to what these frames read; None takes everything. ``capture`` is the content of capture.json
    when the open file is the copy that was captured into ``folder``: its caches are then looked
    for where the artist has them, and pixels that were saved beside the copy need no file.
    """
    walk = Walk(frames, capture, folder)
    find_media(walk)
    find_caches(walk)
    find_in_nodes(walk)
    find_in_strips(walk)
    find_left_over(walk)
    return walk.finish()
