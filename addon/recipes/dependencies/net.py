# SPDX-License-Identifier: GPL-3.0-or-later
"""The safety net: every path that Blender itself lists and the other modules did not find."""

from __future__ import annotations

import os
from typing import Any

import bpy

from addon.recipes import blocks, places, versions
from addon.recipes.dependencies.walk import Setter, Walk


def find(walk: Walk) -> None:
    """Adds what is left over, as kind ``other``."""
    for item, value in versions.stored_paths():
        if not value or isinstance(item, bpy.types.Library):
            continue
        path = places.resolve(value, walk.here) if item is None else walk.place(value, item)
        if _known(walk, path):
            continue
        holder = item if item is not None else bpy.context.scene
        made = walk.add("other", holder, value, path=path, setter=_setter(item, value))
        there = walk.disk.find(path)
        if there is not None and walk.disk.is_folder(there[0]):
            made.folder = True
            if not places.within(walk.here or path, path):  # not the folder of the scene itself
                walk.tree(made)
        else:
            walk.file(made)


def _known(walk: Walk, path: str) -> bool:
    """Whether a path was found already, in any spelling; a pattern of tiles counts as its files."""
    return places.key(path) in walk.known or _placeless(path)


def _placeless(path: str) -> bool:
    """No file; or the folder that Blender lists for each simulation, on disk or in memory."""
    name = os.path.basename(path)
    return name in ("", "<builtin>") or name.startswith("blendcache_")


def _setter(item: Any, value: str) -> Setter | None:
    """Rewrites the path by the way it was found: where Blender lets its own list be changed."""
    if item is None or blocks.library_path(item) is not None:
        return None
    if not hasattr(bpy.data, "file_path_foreach"):
        return None
    state = {"value": value}

    def setter(new: str) -> None:
        old = state["value"]
        bpy.data.file_path_foreach(
            lambda _item, path, *_: new if path == old else None, subset={item}
        )
        state["value"] = new

    return setter
