# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the artist's selection has a surface, how much of it, and where it stands.

Reads only what Blender has evaluated anyway; it never changes the selection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bpy
from mathutils import Vector

# What the glTF recipe can write as triangles: a mesh, or what Blender converts to one.
SURFACE_TYPES = frozenset({"MESH", "CURVE", "SURFACE", "FONT", "META"})


def selected(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The selected objects of the view layer, whatever the editor that the click came from."""
    return list(context.view_layer.objects.selected)


def has_surface(item: bpy.types.Object, _above: tuple[str, ...] = ()) -> bool:
    """Whether the object is, or instances, something with a surface."""
    if item.type in SURFACE_TYPES:
        return True
    group = item.instance_collection if item.type == "EMPTY" else None
    if group is None or item.instance_type != "COLLECTION" or group.name_full in _above:
        return False
    return any(has_surface(part, (*_above, group.name_full)) for part in group.all_objects)


def exportable(
    context: bpy.types.Context, objects: Iterable[bpy.types.Object] | None = None
) -> list[bpy.types.Object]:
    """The selected objects (or those given) that end up as triangles in the file sent."""
    items = selected(context) if objects is None else list(objects)
    return [item for item in items if has_surface(item)]


def _mesh_triangles(mesh: bpy.types.Mesh) -> int:
    # A polygon of n corners gives n - 2 triangles; the two lengths are known without a loop.
    return max(0, len(mesh.loops) - 2 * len(mesh.polygons))


def triangles(context: bpy.types.Context, objects: Iterable[bpy.types.Object]) -> int | None:
    """Triangles of the objects as the viewport shows them; None when it cannot be told cheaply.

    Curves, texts and the like, and objects that Blender has not evaluated, are not counted: a
    selection with any of those gives None when nothing else has a face.
    """
    depsgraph = context.evaluated_depsgraph_get()
    total, unknown = 0, False
    for item in objects:
        if item.type == "EMPTY" and item.instance_collection is not None:
            parts = [part for part in item.instance_collection.all_objects if has_surface(part)]
        else:
            parts = [item]
        for part in parts:
            if part.type != "MESH":
                unknown = True
                continue
            if part.mode == "EDIT":
                unknown = True
            data = part.evaluated_get(depsgraph).data
            count = _mesh_triangles(data) if isinstance(data, bpy.types.Mesh) else 0
            total += count
            # Geometry nodes and instancers may add what the evaluated mesh does not show.
            if count == 0 and _may_make_faces(part):
                unknown = True
    return None if unknown and total == 0 else total


def _may_make_faces(item: bpy.types.Object) -> bool:
    return item.instance_type != "NONE" or any(
        modifier.type in {"NODES", "PARTICLE_SYSTEM", "FLUID", "SKIN", "MESH_SEQUENCE_CACHE"}
        for modifier in item.modifiers
    )


def _corners(item: bpy.types.Object, matrix: Any, depth: int = 0) -> Iterable[Vector]:
    if item.type == "EMPTY" and item.instance_collection is not None and depth < 8:
        offset = item.instance_collection.instance_offset
        for part in item.instance_collection.all_objects:
            moved = part.matrix_world.copy()
            moved.translation -= offset
            yield from _corners(part, matrix @ moved, depth + 1)
    elif item.type in SURFACE_TYPES:
        for corner in item.bound_box:
            yield matrix @ Vector(corner)


def bounds(
    objects: Iterable[bpy.types.Object],
) -> tuple[tuple[float, float, float], tuple[float, float, float]] | None:
    """Corners ``(lowest, highest)`` of the box around the objects, in world units."""
    low, high = [float("inf")] * 3, [float("-inf")] * 3
    for item in objects:
        for corner in _corners(item, item.matrix_world):
            for axis in range(3):
                low[axis] = min(low[axis], corner[axis])
                high[axis] = max(high[axis], corner[axis])
    if low[0] > high[0]:
        return None
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
