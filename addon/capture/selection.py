# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the artist's selection has a surface, and how much of it.

Reads only what Blender has evaluated anyway; it never changes the selection.
"""

from __future__ import annotations

from collections.abc import Iterable

import bpy

# What the glTF recipe can write as triangles: a mesh, or what Blender converts to one.
SURFACE_TYPES = frozenset({"MESH", "CURVE", "SURFACE", "FONT", "META"})


def selected(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The selected objects of the view layer, whatever the editor that the click came from."""
    return list(context.view_layer.objects.selected)


def has_surface(item: bpy.types.Object, known: dict[str, bool] | None = None) -> bool:
    """Whether the object is, or instances, something with a surface.

    ``known`` remembers what was found out about collections, for many objects in a row.
    """
    if item.type in SURFACE_TYPES:
        return True
    group = item.instance_collection if item.type == "EMPTY" else None
    if group is None or item.instance_type != "COLLECTION":
        return False
    known = {} if known is None else known
    key = group.name_full
    if key not in known:
        known[key] = False  # what holds itself adds nothing
        known[key] = any(has_surface(part, known) for part in group.all_objects)
    return known[key]


def exportable(
    context: bpy.types.Context, objects: Iterable[bpy.types.Object] | None = None
) -> list[bpy.types.Object]:
    """The selected objects (or those given) that end up as triangles in the file sent."""
    items = selected(context) if objects is None else list(objects)
    known: dict[str, bool] = {}
    return [item for item in items if has_surface(item, known)]


def _mesh_triangles(mesh: bpy.types.Mesh) -> int:
    # A polygon of n corners gives n - 2 triangles; the two lengths are known without a loop.
    return max(0, len(mesh.loops) - 2 * len(mesh.polygons))


def _parts(item: bpy.types.Object) -> list[bpy.types.Object]:
    """What of a collection instance has a surface; of anything else the object itself."""
    if item.type != "EMPTY" or item.instance_collection is None:
        return [item]
    known: dict[str, bool] = {}
    return [part for part in item.instance_collection.all_objects if has_surface(part, known)]


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
    known: dict[str, int] = {}  # by collection: a set may be instanced thousands of times
    total = 0
    for item in objects:
        key = item.instance_collection.name_full if item.instance_collection else ""
        if not key or key not in known:
            known[key] = sum(_faces(part, depsgraph) or 0 for part in _parts(item))
        total += known[key]
    return total


def without_faces(context: bpy.types.Context, objects: Iterable[bpy.types.Object]) -> bool:
    """Whether it is certain that none of the objects has a face; looks no further than it must."""
    depsgraph = context.evaluated_depsgraph_get()
    seen: set[str] = set()
    for item in objects:
        key = item.instance_collection.name_full if item.instance_collection else ""
        if key and key in seen:
            continue
        seen.add(key)
        if any(_faces(part, depsgraph) != 0 for part in _parts(item)):
            return False
    return True


def _may_make_faces(item: bpy.types.Object) -> bool:
    return item.instance_type != "NONE" or any(
        modifier.type in {"NODES", "PARTICLE_SYSTEM", "FLUID", "SKIN", "MESH_SEQUENCE_CACHE"}
        for modifier in item.modifiers
    )
