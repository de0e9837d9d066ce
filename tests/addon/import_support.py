# SPDX-License-Identifier: GPL-3.0-or-later
"""What the import tests share: play the simulation, measure where things are, compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import bpy

MILLIMETRE = 0.001


def visible_meshes(objects: Iterable[Any]) -> list[Any]:
    """The objects that a render would show."""
    return [
        item
        for item in objects
        if item.type == "MESH" and not item.hide_render and len(item.data.vertices)
    ]


def positions(objects: Iterable[Any]) -> list[Any]:
    """The world positions of all vertices as Blender evaluates them at this frame."""
    graph = bpy.context.evaluated_depsgraph_get()
    found = []
    for item in objects:
        real = item.evaluated_get(graph)
        found += [real.matrix_world @ vertex.co for vertex in real.data.vertices]
    return found


def lowest(objects: Iterable[Any]) -> float:
    """The height of the lowest vertex."""
    return min(point.z for point in positions(objects))


def place(item: Any) -> Any:
    """Where the object is at this frame, the simulation included."""
    graph = bpy.context.evaluated_depsgraph_get()
    return item.evaluated_get(graph).matrix_world.translation.copy()


def play(last: int, look: Callable[[int], None] | None = None) -> None:
    """Step through the frames from the first one, as Play does."""
    scene = bpy.context.scene
    for frame in range(scene.frame_start, last + 1):
        scene.frame_set(frame)
        if look is not None:
            look(frame)


def collection_of(report: Any) -> Any:
    """The collection that the import made."""
    return bpy.data.collections[report.collection]


def body_of(report: Any) -> Any:
    """The body that the import made."""
    return bpy.data.objects[report.body]


def value(item: Any, name: str) -> Any:
    """A custom property as plain Python."""
    found = item[name]
    for convert in ("to_dict", "to_list"):
        if hasattr(found, convert):
            return getattr(found, convert)()
    return found


def ids() -> dict[str, list[str]]:
    """The names of all data-blocks that an import could touch."""
    kinds = (
        "objects",
        "meshes",
        "materials",
        "images",
        "collections",
        "worlds",
        "scenes",
        "actions",
    )
    return {kind: sorted(item.name for item in getattr(bpy.data, kind)) for kind in kinds}
