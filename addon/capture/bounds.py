# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the selection stands: the box about it in the world, exact however its parts are turned.

Thousands of objects and instances of whole sets are ordinary, so only what may reach an end of the
box is looked at closely: an instance is opened, a turned mesh measured, when its rough box sticks
out of what is known. Reads what Blender has evaluated anyway; changes nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Any

import bpy
from mathutils import Matrix

from .. import extents
from .selection import SURFACE_TYPES

Box = tuple[Any, Any]
#: lowest and highest corner; the object to look at closely (None: they are exact) and its place
Leaf = tuple[Any, Any, Any, Matrix]
# So many things looked at closely for one end of the box; after that a rough box has to do.
_MOST = 1000
# A rough box that reaches this little further than what is known (of the size) is not looked at.
_NEAR = 1e-6


def bounds(
    context: bpy.types.Context, objects: Iterable[bpy.types.Object]
) -> extents.Corners | None:
    """Corners ``(lowest, highest)`` of the box around the objects, in world units."""
    search = _Search(context.evaluated_depsgraph_get())
    found = [leaf for item in objects if (leaf := search.leaf(item, item.matrix_world)) is not None]
    if not found:
        return None
    rough = _around(found)
    near = _NEAR * max(abs(value) for end in rough for value in end)
    leaves: list[Leaf | None] = [*found]
    low, high = ([search.end(leaves, axis, side, near) for axis in range(3)] for side in (0, 1))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def box(
    context: bpy.types.Context, objects: Iterable[bpy.types.Object]
) -> dict[str, list[float]] | None:
    """The same as capture.json tells it: ``min`` and ``max``; None if nothing shows."""
    found = bounds(context, objects)
    return None if found is None else {"min": list(found[0]), "max": list(found[1])}


class _Search:
    """One look at the scene."""

    def __init__(self, depsgraph: bpy.types.Depsgraph) -> None:
        self.depsgraph = depsgraph
        self.groups: dict[str, Box | None] = {}

    def leaf(self, item: bpy.types.Object, matrix: Matrix) -> Leaf | None:
        """The object with its rough box, placed by ``matrix``; None if it shows nothing."""
        if item.type == "EMPTY":
            box = self._group(item.instance_collection)
        elif item.type in SURFACE_TYPES:
            corners = item.bound_box
            box = corners[0], corners[6]
        else:
            return None
        return None if box is None else (*_placed(box, matrix), item, matrix)

    def _group(self, group: bpy.types.Collection | None) -> Box | None:
        """The rough box of a collection, in its own space."""
        if group is None:
            return None
        key = group.name_full
        if key not in self.groups:
            self.groups[key] = None  # what holds itself adds nothing
            found = self._parts(group, Matrix())
            if found:
                self.groups[key] = _around(found)
        return self.groups[key]

    def _parts(self, group: Any, matrix: Matrix) -> list[Leaf]:
        inside = matrix @ Matrix.Translation(-group.instance_offset)
        found = (self.leaf(part, inside @ part.matrix_world) for part in group.all_objects)
        return [leaf for leaf in found if leaf is not None]

    def _closer(self, leaf: Leaf) -> list[Leaf]:
        """The same, looked at closely."""
        low, high, item, matrix = leaf
        if item.type == "EMPTY":
            return self._parts(item.instance_collection, matrix)
        data = item.evaluated_get(self.depsgraph).data
        known = extents.exact(item, data, matrix) if isinstance(data, bpy.types.Mesh) else None
        return [(*(known or (low, high)), None, matrix)]

    def end(self, leaves: list[Leaf | None], axis: int, side: int, near: float) -> float:
        """How far the leaves reach; ``side`` 0 for the lowest, 1 for the highest value.

        Those looked at closely are replaced in the list by what was found.
        """
        sign = 1 if side else -1
        heap = [(-sign * _reach(one, axis, side), n) for n, one in enumerate(leaves) if one]
        heapq.heapify(heap)
        best = -float("inf")
        looks = 0
        while heap:
            value, number = heapq.heappop(heap)
            leaf = leaves[number]
            if leaf is None or -value <= best + near:
                break
            if leaf[2] is None or looks > _MOST:
                best = -value
                break
            leaves[number] = None
            for closer in self._closer(leaf):
                looks += 1
                leaves.append(closer)
                reach = sign * _reach(closer, axis, side)
                if closer[2] is None:
                    best = max(best, reach)
                heapq.heappush(heap, (-reach, len(leaves) - 1))
        return sign * best


def _reach(leaf: Leaf, axis: int, side: int) -> float:
    return float((leaf[1] if side else leaf[0])[axis])


def _around(leaves: list[Leaf]) -> Box:
    return (
        [min(leaf[0][axis] for leaf in leaves) for axis in range(3)],
        [max(leaf[1][axis] for leaf in leaves) for axis in range(3)],
    )


def _placed(box: Box, matrix: Any) -> Box:
    """The box about a box that ``matrix`` places."""
    (ax, ay, az), (bx, by, bz) = box
    cx, cy, cz = (ax + bx) / 2, (ay + by) / 2, (az + bz) / 2
    hx, hy, hz = (bx - ax) / 2, (by - ay) / 2, (bz - az) / 2
    low, high = [], []
    for x, y, z, w in (matrix[0], matrix[1], matrix[2]):
        centre = x * cx + y * cy + z * cz + w
        half = abs(x) * hx + abs(y) * hy + abs(z) * hz
        low.append(centre - half)
        high.append(centre + half)
    return low, high
