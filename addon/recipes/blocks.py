# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds data-blocks by name and library, as ``capture.json`` tells them, and a camera."""

from __future__ import annotations

import os
from typing import Any

import bpy


def same_file(one: str | None, other: str | None) -> bool:
    """Whether two library paths (None: the file itself) mean the same file, by their text."""
    if one is None or other is None:
        return one is other
    return os.path.normcase(os.path.normpath(one)) == os.path.normcase(os.path.normpath(other))


def library_path(item: bpy.types.ID) -> str | None:
    """The absolute path of the file that a data-block is linked from; None for a local one."""
    if item.library is None:
        return None
    # Blender keeps the paths of all libraries relative to the open file, indirect ones included.
    return os.path.normpath(bpy.path.abspath(item.library.filepath))


def find(collection: Any, name: str, library: str | None) -> Any:
    """The data-block of that name from that library (None: local), or None."""
    for item in collection:
        if item.name == name and same_file(library_path(item), library):
            return item
    return None


def camera_of(scene: Any, frame: int) -> Any:
    """The camera that ``scene`` is rendered from at ``frame``, or None.

    A scene that names none is rendered from those of its markers: the last one up to the frame,
    else the first of all (Blender's own rule; cameras hidden in renders do not count).
    """
    if scene.camera is not None:
        return scene.camera
    bound = [
        marker
        for marker in scene.timeline_markers
        if marker.camera is not None and not marker.camera.hide_render
    ]
    before = [marker for marker in bound if marker.frame <= frame]
    if before:
        return max(before, key=lambda marker: marker.frame).camera
    return min(bound, key=lambda marker: marker.frame).camera if bound else None
