# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the artist's selection has a surface, how much of it, and where it stands.

Reads only what Blender has evaluated anyway; it never changes the selection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import bpy

from .. import extents

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


def _parts(items: Iterable[bpy.types.Object]) -> Iterator[bpy.types.Object]:
    for item in items:
        if item.type == "EMPTY" and item.instance_collection is not None:
            yield from (part for part in item.instance_collection.all_objects if has_surface(part))
        else:
            yield item


def _faces(part: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> int | None:
    """Triangles of one evaluated object; None when that cannot be told cheaply."""
    if part.type != "MESH":
        return None
    data = part.evaluated_get(depsgraph).data
    count = _mesh_triangles(data) if isinstance(data, bpy.types.Mesh) else 0
    # Geometry nodes and instancers may add what the evaluated mesh does not show.
    if count == 0 and (part.mode == "EDIT" or _may_make_faces(part)):
        return None
    return count


def triangles(context: bpy.types.Context, objects: Iterable[bpy.types.Object]) -> int:
    """Triangles of the objects as the viewport shows them, where that is known at once.

    Curves, texts and the like, and instances made by modifiers, are not counted.
    """
    depsgraph = context.evaluated_depsgraph_get()
    return sum(_faces(part, depsgraph) or 0 for part in _parts(objects))


def without_faces(context: bpy.types.Context, objects: Iterable[bpy.types.Object]) -> bool:
    """Whether it is certain that none of the objects has a face; looks no further than it must."""
    depsgraph = context.evaluated_depsgraph_get()
    return all(_faces(part, depsgraph) == 0 for part in _parts(objects))


def _may_make_faces(item: bpy.types.Object) -> bool:
    return item.instance_type != "NONE" or any(
        modifier.type in {"NODES", "PARTICLE_SYSTEM", "FLUID", "SKIN", "MESH_SEQUENCE_CACHE"}
        for modifier in item.modifiers
    )


def _boxes(
    item: bpy.types.Object, matrix: Any, depsgraph: bpy.types.Depsgraph, depth: int = 0
) -> Iterator[tuple[Sequence[float], Sequence[float]]]:
    """The world box, lowest and highest corner, of each part of an object."""
    if item.type == "EMPTY" and item.instance_collection is not None and depth < 8:
        offset = item.instance_collection.instance_offset
        for part in item.instance_collection.all_objects:
            moved = part.matrix_world.copy()
            moved.translation -= offset
            yield from _boxes(part, matrix @ moved, depsgraph, depth + 1)
    elif item.type in SURFACE_TYPES:
        known = None
        data = item.evaluated_get(depsgraph).data
        if isinstance(data, bpy.types.Mesh):
            known = extents.exact(item, data, matrix)
        if known is not None:
            yield known
            return
        box = item.bound_box
        (ax, ay, az), (bx, by, bz) = box[0], box[6]
        cx, cy, cz = (ax + bx) / 2, (ay + by) / 2, (az + bz) / 2
        hx, hy, hz = (bx - ax) / 2, (by - ay) / 2, (bz - az) / 2
        low, high = [], []
        for x, y, z, w in (matrix[0], matrix[1], matrix[2]):
            centre = x * cx + y * cy + z * cz + w
            half = abs(x) * hx + abs(y) * hy + abs(z) * hz
            low.append(centre - half)
            high.append(centre + half)
        yield low, high


def bounds(
    context: bpy.types.Context, objects: Iterable[bpy.types.Object]
) -> tuple[tuple[float, float, float], tuple[float, float, float]] | None:
    """Corners ``(lowest, highest)`` of the box around the objects, in world units."""
    depsgraph = context.evaluated_depsgraph_get()
    boxes = [box for item in objects for box in _boxes(item, item.matrix_world, depsgraph)]
    if not boxes:
        return None
    low = [min(box[0][axis] for box in boxes) for axis in range(3)]
    high = [max(box[1][axis] for box in boxes) for axis in range(3)]
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
