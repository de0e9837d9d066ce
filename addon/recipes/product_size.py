# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a product is, and whether that can be meant.

Works on the objects of ``plain.build``, whose scene is in metres.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import bpy
from mathutils import Matrix, Vector

from bridge.problems import Category, ProblemError

SMALLEST, LARGEST = 0.01, 20.0  # metres, of the longest side
_CHUNK = 1 << 16
# Points looked at one by one for a box; more are as many copies of a few meshes.
_MOST_POINTS = 50_000_000
Point = tuple[float, float, float]


def box(items: Iterable[bpy.types.Object]) -> tuple[Point, Point]:
    """Lowest and highest corner about mesh objects in the world, exact however they are turned."""
    import numpy

    several: dict[bpy.types.Mesh, list[Matrix]] = {}
    known: dict[bpy.types.Object, Matrix] = {}
    for item in items:
        if isinstance(item.data, bpy.types.Mesh):
            several.setdefault(item.data, []).append(_world(item, known))
    low, high = numpy.full(3, numpy.inf), numpy.full(3, -numpy.inf)
    looked = 0
    for mesh, places in several.items():
        points = _points(mesh)
        if len(points) * len(places) + looked > _MOST_POINTS and len(places) > 1:
            points = _corners(points)
        looked += len(points) * len(places)
        for place in places:
            rows = [place[number][:] for number in range(3)]
            turn = numpy.array([row[:3] for row in rows], dtype=numpy.float32)
            where = numpy.array([row[3] for row in rows])
            for start in range(0, len(points), _CHUNK):
                along = turn @ points[start : start + _CHUNK].T
                low = numpy.minimum(low, along.min(axis=1) + where)
                high = numpy.maximum(high, along.max(axis=1) + where)
    lowest, highest = low.tolist(), high.tolist()
    return (lowest[0], lowest[1], lowest[2]), (highest[0], highest[1], highest[2])


def _world(item: bpy.types.Object, known: dict[bpy.types.Object, Matrix]) -> Matrix:
    """Where an object without constraints stands; ``matrix_world`` may not know it yet."""
    if item not in known:
        above = item.parent
        here = item.matrix_parent_inverse @ item.matrix_basis if above else item.matrix_basis
        known[item] = _world(above, known) @ here if above else here.copy()
    return known[item]


def _points(mesh: Any) -> Any:
    """The points that belong to faces; a loose one has no surface."""
    import numpy

    values = numpy.empty(len(mesh.vertices) * 3, dtype=numpy.float32)
    # The attribute is copied in one piece; the vertices' own property is 20 times slower.
    mesh.attributes["position"].data.foreach_get("vector", values)
    points = values.reshape(-1, 3)
    corners = numpy.empty(len(mesh.loops), dtype=numpy.int32)
    mesh.attributes[".corner_vert"].data.foreach_get("value", corners)
    used = numpy.zeros(len(points), dtype=bool)
    used[corners] = True
    return points if used.all() else points[used]


def _corners(points: Any) -> Any:
    import numpy

    ends = numpy.stack((points.min(axis=0), points.max(axis=0)))
    return numpy.array(
        [[ends[x, 0], ends[y, 1], ends[z, 2]] for x in (0, 1) for y in (0, 1) for z in (0, 1)],
        dtype=numpy.float32,
    )


def move(items: Iterable[bpy.types.Object], by: Vector) -> None:
    """Move everything by moving what has no parent."""
    for item in items:
        if item.parent is None:
            item.matrix_basis = Matrix.Translation(by) @ item.matrix_basis


def require_likely(name: str, size: Sequence[float], unit: float) -> None:
    """Raise ProblemError(INPUT) when a product is smaller than a centimetre or larger than 20 m.

    Before a template's cameras it would be a dot or a wall; mostly the scene's unit is not the one
    that was meant. ``size`` in metres; ``unit``: metres for each unit of the scene.
    """
    longest = max(size)
    if SMALLEST <= longest <= LARGEST:
        return
    scale = _other_unit(longest, unit)
    way = "scale it"
    if scale is not None:
        way = (
            f"set Unit Scale in the scene's units to {scale:.6g}, which makes it "
            f"{readable(longest * scale / unit)}"
        )
    raise ProblemError(
        Category.INPUT,
        f"The longest side of {name} is {readable(longest)}. Is that meant?",
        f"If not, {way}. If it is, allow unlikely sizes in the options and send it again.",
        f"size {' x '.join(f'{value:.6g}' for value in size)} m, unit scale {unit:.6g}, "
        "option ignore_scale",
    )


def _other_unit(longest: float, unit: float) -> float | None:
    """A unit scale in which the size would be likely: metres, centimetres, millimetres."""
    usual = [one for one in (1.0, 0.01, 0.001) if abs(one - unit) > 1e-9]
    usual += [unit * 0.01, unit * 0.001] if longest > LARGEST else [unit * 100, unit * 1000]
    for low, high in ((0.05, 5.0), (SMALLEST, LARGEST)):
        for one in usual:
            if low <= longest * one / unit <= high:
                return one
    return None


def readable(metres: float) -> str:
    """A length for people."""
    if metres < 0.01:
        return f"{metres * 1000:.2g} mm"
    return f"{metres * 100:.3g} cm" if metres < 1 else f"{metres:,.4g} m"
