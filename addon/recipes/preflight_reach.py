# SPDX-License-Identifier: GPL-3.0-or-later
"""Which data-blocks a render of one scene can touch: a missing texture elsewhere does no harm.

Follows Blender's own map of who uses whom, downwards from the scene. What is only there for the
viewport (a camera's background images, reference images of empties, brushes) is left out. In doubt
a data-block counts as used.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import bpy

Key = tuple[str, str, str | None]
_TOOLS = ("Brush", "Palette", "PaintCurve", "WorkSpace", "Screen", "WindowManager")


def library_path(item: Any) -> str | None:
    """The absolute path of the .blend that a data-block is linked from; None for a local one."""
    library = item.library
    if library is None:
        return None
    return os.path.normpath(bpy.path.abspath(library.filepath, library=library.parent))


def key(item: Any) -> Key:
    """Type, name and library: what tells a data-block from all others of the open file."""
    return type(item).__name__, item.name, library_path(item)


class Reach:
    """The data-blocks that rendering ``scene`` may touch."""

    def __init__(self, scene: Any, *, sequencer: bool, compositing: bool) -> None:
        self._sequencer, self._compositing = sequencer, compositing
        below = _below()
        self.items: dict[int, Any] = {scene.as_pointer(): scene}
        todo = [scene]
        while todo:
            one = todo.pop()
            for item in below.get(one.as_pointer(), ()):
                if item.as_pointer() not in self.items and self._renders(one, item):
                    self.items[item.as_pointer()] = item
                    todo.append(item)
        self._keys = {key(item) for item in self.items.values()}
        self.libraries = {path for _, _, path in self._keys if path}

    def _renders(self, user: Any, item: Any) -> bool:
        kind, used = type(user).__name__, type(item).__name__
        if used in _TOOLS:
            return False
        if kind == "Camera":
            return used not in ("Image", "MovieClip")
        if kind == "Object":
            return used != "MovieClip" and not (used == "Image" and user.type == "EMPTY")
        if kind == "Scene" and used in ("Image", "CompositorNodeTree"):
            return self._compositing  # before 5.0 the scene holds its nodes itself
        if kind == "Scene" and used in ("MovieClip", "Mask"):
            return self._sequencer or self._compositing
        return True

    def __contains__(self, item: Any) -> bool:
        return item is not None and item.as_pointer() in self.items

    def uses(self, users: Iterable[dict[str, Any]]) -> bool:
        """Whether one of these users (type, name, library) is within reach."""
        for user in users:
            path = user.get("library")
            path = os.path.normpath(path) if path else None
            if (user.get("type"), user.get("name"), path) in self._keys:
                return True
        return False

    def knows(self, user: dict[str, Any]) -> bool:
        """Whether the user's type is one of Blender's, so that `uses` can be believed."""
        return isinstance(getattr(bpy.types, str(user.get("type")), None), type)

    def uses_library(self, path: str) -> bool:
        """Whether something within reach is linked from this .blend."""
        return os.path.normpath(path) in self.libraries

    def animated(self) -> Iterator[Any]:
        """Everything within reach that may have animation or drivers, node trees included."""
        for item in self.items.values():
            yield item
            tree = getattr(item, "node_tree", None)
            if tree is not None and tree.is_embedded_data:
                yield tree

    def objects(self) -> list[Any]:
        """The objects within reach."""
        return [item for item in self.items.values() if isinstance(item, bpy.types.Object)]

    def trees(self) -> Iterator[tuple[Any, Any]]:
        """All node trees within reach, each with the data-block that a person knows it by."""
        for item in self.items.values():
            if isinstance(item, bpy.types.NodeTree):
                yield item, item
            else:
                tree = getattr(item, "node_tree", None)
                if tree is not None and tree.is_embedded_data:
                    yield tree, item


def _below() -> dict[int, list[Any]]:
    """What each data-block uses, by its pointer."""
    below: dict[int, list[Any]] = {}
    for item, users in bpy.data.user_map().items():
        for user in users:
            below.setdefault(user.as_pointer(), []).append(item)
    return below


def drivers(items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Each scripted driver that is switched on, with the data-block that it is in."""
    for item in items:
        data = getattr(item, "animation_data", None)
        for curve in data.drivers if data is not None else ():
            if not curve.mute and curve.driver.type == "SCRIPTED":
                yield item, curve
