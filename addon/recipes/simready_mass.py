# SPDX-License-Identifier: GPL-3.0-or-later
"""Mass, centre of mass and inertia of an asset from its surfaces.

The model, which the report repeats for each part:

* A closed surface is solid only up to a wall: its mass is density times the smaller of its
  volume and its area times the wall that objects of that material and size usually have. So a
  table leg is solid wood, a cupboard is boards, a steel cabinet is sheet metal. Materials that
  are solid through (stone, foam) have no wall.
* An open surface is a shell of sheet thickness. One with holes that are small against it is
  taken as closed, with the holes filled.
* A surface inside out within another is its cavity. Solids that overlap count once, in the
  smaller one. Doubled faces count once.
* Where the outside cannot be told (twisted or branching faces) the convex hull bounds the volume.

Masses given by the artist replace these; distribution and inertia keep their proportions.
Units: metres, kilograms. Never writes a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import permutations, product
from typing import Any

import bmesh
import bpy
import numpy as np

from . import simready_geometry as geometry
from .simready_geometry import Floats, Ints, Moments
from .simready_load import Shape
from .simready_matter import Matter

OPEN_RATIO = 0.3


@dataclass
class Piece:
    """One body of a shape (a connected surface with its cavities).

    ``moments`` are mass moments about the origin; ``volume`` is of the closed surface or 0.
    """

    shape: int
    number: int
    matter: Matter
    density: float
    method: str
    wall: float
    volume: float
    area: float
    moments: Moments
    solid: bool
    is_open: bool
    low: Floats
    high: Floats
    factor: float = 1.0


@dataclass
class Survey:
    """A shape taken apart: welded ``points``, ``tris``, a piece label for each triangle.

    ``cavity`` marks triangles on inner walls, which take no part in collisions.
    """

    points: Floats
    tris: Ints
    label: Ints
    cavity: Any
    pieces: list[Piece] = field(default_factory=list)


@dataclass
class Body:
    """The whole asset: mass (kg), centre (3,), principal moments (3,) and axes (w, x, y, z)."""

    mass: float
    centre: Floats
    inertia: Floats
    diagonal: Floats
    axes: tuple[float, float, float, float]


def survey(index: int, shape: Shape, matters: list[Matter]) -> Survey | None:
    """Take one shape apart and weigh its pieces; None if it has no surface at all."""
    points, tris, kept = geometry.alive_after_weld(shape.points, shape.tris)
    if not len(tris) or geometry.areas(points, tris).sum() <= 0.0:
        return None
    slots = shape.slots[kept]
    label = geometry.triangle_components(len(points), tris)
    facts = geometry.edges(len(points), tris)
    if len(facts.twisted):
        tris = _reorient(points, tris)
        facts = geometry.edges(len(points), tris)
    total = int(label.max()) + 1
    area = np.bincount(label, geometry.areas(points, tris), total)
    closed, cap_area = _closed_moments(points, tris, label, facts, total)
    if closed.zeroth[np.abs(closed.zeroth).argmax()] < 0:  # the whole shape is inside out
        tris = tris[:, ::-1]
        closed = closed.scaled(-1.0)
    low, high = _boxes(points, tris, label, total)
    twisted = np.zeros(total, bool)
    twisted[label[facts.twisted]] = True
    is_open = cap_area > OPEN_RATIO * area

    owner = _cavities(points, tris, label, closed.zeroth, twisted | is_open, low, high)
    cavity = owner != np.arange(total)
    inner = cavity[label]
    closed = closed.scaled(np.where((closed.zeroth < 0) & ~cavity, -1.0, 1.0))
    if cavity.any():
        names, label = np.unique(owner[label], return_inverse=True)
        label = label.reshape(-1)
        back = np.searchsorted(names, owner)
        closed = Moments(*(_regroup(values, back, len(names)) for values in _fields(closed)))
        area = np.bincount(back, area, len(names))
        twisted, is_open = twisted[names], is_open[names]
        low, high = low[names], high[names]
    result = Survey(points, tris, label, inner)
    _weigh(index, result, slots, matters, closed, area, twisted, is_open, low, high)
    return result


def _fields(moments: Moments) -> tuple[Floats, Floats, Floats]:
    return moments.zeroth, moments.first, moments.second


def _regroup(values: Floats, back: Ints, total: int) -> Floats:
    out = np.zeros((total, *values.shape[1:]))
    np.add.at(out, back, values)
    return out


def _reorient(points: Floats, tris: Ints) -> Ints:
    """Let Blender turn all faces outwards where neighbours disagree."""
    mesh = bpy.data.meshes.new("reorient")
    mesh.from_pydata(points.tolist(), [], tris.tolist())
    work: Any = bmesh.new()
    work.from_mesh(mesh)
    if len(work.faces) == len(tris):
        bmesh.ops.recalc_face_normals(work, faces=work.faces)
        work.to_mesh(mesh)
        turned = np.empty(len(tris) * 3, np.int32)
        mesh.loops.foreach_get("vertex_index", turned)
        tris = turned.reshape(-1, 3).astype(np.int64)
    work.free()
    bpy.data.meshes.remove(mesh)
    return tris


def _closed_moments(
    points: Floats, tris: Ints, label: Ints, facts: geometry.Edges, total: int
) -> tuple[Moments, Floats]:
    """Volume moments with holes filled, and the area of the fillings, for each component."""
    if not len(facts.rim):
        return geometry.solid_moments(points, tris, label, total), np.zeros(total)
    centres, fan, _ = geometry.caps(points, facts.rim)
    filled = np.concatenate([points, centres])
    fan_label = label[facts.rim_triangle]
    moments = geometry.solid_moments(
        filled, np.concatenate([tris, fan]), np.concatenate([label, fan_label]), total
    )
    return moments, np.bincount(fan_label, geometry.areas(filled, fan), total)


def _boxes(points: Floats, tris: Ints, label: Ints, total: int) -> tuple[Floats, Floats]:
    low = np.full((total, 3), np.inf)
    high = np.full((total, 3), -np.inf)
    for corner in range(3):
        np.minimum.at(low, label, points[tris[:, corner]])
        np.maximum.at(high, label, points[tris[:, corner]])
    return low, high


def _cavities(
    points: Floats, tris: Ints, label: Ints, volume: Floats, odd: Any, low: Floats, high: Floats
) -> Ints:
    """For each component the component it hollows out, else itself."""
    owner = np.arange(len(volume))
    inside_out = np.flatnonzero((volume < 0) & ~odd)
    if not 0 < len(inside_out) <= 200:
        return owner
    for inner in inside_out:
        around = (volume > -volume[inner]) & ~odd
        around &= (low <= low[inner]).all(axis=1) & (high >= high[inner]).all(axis=1)
        candidates = np.flatnonzero(around)
        probe = points[tris[np.argmax(label == inner)]].mean(axis=0, keepdims=True)
        # The smallest surface around it is the wall it belongs to.
        for outer in candidates[np.argsort(volume[candidates])][:8]:
            if geometry.winding(points, tris[label == outer], probe)[0] > 0.5:
                owner[inner] = outer
                break
    return owner


def _weigh(
    index: int,
    result: Survey,
    slots: Ints,
    matters: list[Matter],
    closed: Moments,
    area: Floats,
    twisted: Any,
    is_open: Any,
    low: Floats,
    high: Floats,
) -> None:
    """Choose for each piece how it is filled, and compute its mass moments."""
    points, tris, label = result.points, result.tris, result.label
    total, slots = len(area), np.minimum(slots, len(matters) - 1)
    part_area = np.zeros((total, len(matters)))
    np.add.at(part_area, (label, slots), geometry.areas(points, tris))
    main = part_area.argmax(axis=1)
    share = part_area / np.maximum(part_area.sum(axis=1, keepdims=True), 1e-30)
    size = (high - low).max(axis=1)
    density = np.array([m.density for m in matters])
    filled = share @ np.array(
        [m.density if m.bulk or not m.preset.stuffed else m.preset.stuffed for m in matters]
    )
    volume = np.where(is_open, 0.0, closed.zeroth)
    walls = np.zeros((total, len(matters)))
    solid = np.zeros(total, bool)
    hulls: dict[int, Moments] = {}
    for piece in range(total):
        if twisted[piece] and not is_open[piece]:
            hulls[piece] = _hull_moments(points[np.unique(tris[label == piece])])
            volume[piece] = hulls[piece].zeroth
        given = [_wall(m, float(size[piece]), bool(is_open[piece])) for m in matters]
        # Beside walls of other materials, a solid one is a facing of sheet thickness.
        walls[piece] = [
            w or m.preset.sheet(float(size[piece])) for w, m in zip(given, matters, strict=True)
        ]
        matter = float(part_area[piece] @ walls[piece])
        solid[piece] = not is_open[piece] and (given[main[piece]] == 0.0 or volume[piece] <= matter)
    wall = walls[label, slots]
    shells = geometry.shell_moments(points, tris, label, total, density[slots] * wall, wall)
    for piece in range(total):
        thick = 0.0 if solid[piece] else float(walls[piece, main[piece]])
        one = Moments(*(values[piece] for values in _fields(shells)))
        if solid[piece]:
            base = hulls.get(piece) or Moments(*(v[piece] for v in _fields(closed)))
            one = base.scaled(float(filled[piece]))
        result.pieces.append(
            Piece(
                shape=index,
                number=piece,
                matter=matters[main[piece]],
                density=float(filled[piece] if solid[piece] else share[piece] @ density),
                method=_method(solid[piece], is_open[piece], twisted[piece], thick),
                wall=thick,
                volume=float(volume[piece]),
                area=float(area[piece]),
                moments=one,
                solid=bool(solid[piece]),
                is_open=bool(is_open[piece]),
                low=low[piece],
                high=high[piece],
            )
        )


def _wall(matter: Matter, size: float, is_open: bool) -> float:
    """Wall in metres; 0 means solid through."""
    if matter.wall is not None and (matter.wall > 0 or not is_open):
        return matter.wall
    if is_open:
        return matter.preset.sheet(size)
    if matter.bulk or size <= matter.preset.solid_below:
        return 0.0
    return matter.preset.wall(size) or 0.0


def _method(solid: Any, is_open: Any, twisted: Any, wall: float) -> str:
    if solid:
        return "volume of the convex hull" if twisted else "volume of the closed surface"
    kind = "open surface" if is_open else "hollow"
    return f"{kind}, {wall * 1000:.3g} mm thick"


def _hull_moments(points: Floats) -> Moments:
    from .simready_hulls import hull_of

    hull = hull_of(points)
    label = np.zeros(len(hull.faces), int)
    return geometry.solid_moments(hull.points, hull.faces, label, 1).total()


def assemble(surveys: list[Survey | None], size: float) -> Body:
    """Sum all pieces; ``size`` is the asset's largest extent, for the least inertia allowed."""
    pieces = [piece for one in surveys if one for piece in one.pieces]
    mass = sum(float(piece.moments.zeroth) for piece in pieces)
    first = np.sum([piece.moments.first for piece in pieces], axis=0)
    second = np.sum([piece.moments.second for piece in pieces], axis=0)
    centre = first / mass
    spread = second - mass * np.outer(centre, centre)
    values, vectors = np.linalg.eigh((spread + spread.T) / 2.0)
    # Positive spread in every direction is what makes an inertia tensor physical.
    values = np.maximum(values, mass * (1e-4 * size) ** 2)
    spread = (vectors * values) @ vectors.T
    inertia = np.trace(spread) * np.eye(3) - spread
    moments = values.sum() - values
    moments, vectors = _tidy(moments, vectors)
    return Body(mass, centre, inertia, moments, geometry.rotation_to_quaternion(vectors))


def _tidy(moments: Floats, vectors: Floats) -> tuple[Floats, Floats]:
    """Order and sign the principal axes so that the rotation is as small as possible."""
    best = None
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            turned = vectors[:, order] * np.array(signs)
            if np.linalg.det(turned) > 0 and (best is None or np.trace(turned) > best[0] + 1e-9):
                best = (float(np.trace(turned)), moments[list(order)], turned)
    assert best is not None
    return best[1], best[2]
