# SPDX-License-Identifier: GPL-3.0-or-later
"""Convex hulls for collision: built by bmesh, limited in points, never degenerate.

Physics engines want convex meshes of few points (64 suits PhysX and MuJoCo). Flat, straight and
single-point parts are thickened to a least extent, never below the floor. Writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bmesh
import numpy as np

from . import simready_geometry as geometry
from .simready_geometry import Floats, Ints

MAX_POINTS = 64
MANY = 3000


@dataclass
class Hull:
    """A convex mesh: ``points`` (n, 3), outward triangles ``faces`` (m, 3), ``volume`` in m3."""

    points: Floats
    faces: Ints
    volume: float

    def _all_planes(self) -> tuple[Floats, Floats, geometry.Bools]:
        normal = geometry.normals(self.points, self.faces)
        offset = np.einsum("ij,ij->i", normal, self.points[self.faces[:, 0]])
        beyond = (self.points @ normal.T).max(axis=0) - offset
        return normal, offset, beyond <= 1e-5 * float(geometry.extent(self.points).max())

    def planes(self) -> tuple[Floats, Floats]:
        """Outward unit normals (k, 3) and offsets (k,): inside is normal.x <= offset.

        Slivers, whose normal is mostly rounding, are left out: their neighbours bound the hull.
        """
        normal, offset, sound = self._all_planes()
        return (normal[sound], offset[sound]) if sound.sum() >= 4 else (normal, offset)

    def normals(self) -> Floats:
        """A unit normal for each face; a sliver takes that of the plane it lies in."""
        normal, offset, sound = self._all_planes()
        if sound.any() and not sound.all():
            centre = self.points[self.faces[~sound]].mean(axis=1)
            gap = np.abs(centre @ normal[sound].T - offset[sound])
            normal[~sound] = normal[sound][gap.argmin(axis=1)]
        return normal

    def depth(self, probes: Floats) -> Floats:
        """How deep each probe lies inside (m); negative outside."""
        normal, offset = self.planes()
        return (offset[None, :] - probes @ normal.T).min(axis=1)


def _raw(points: Floats) -> Hull | None:
    """bmesh's hull of points in general position; None if it is flat."""
    work: Any = bmesh.new()
    try:
        verts = [work.verts.new(point) for point in points.tolist()]
        bmesh.ops.convex_hull(work, input=verts, use_existing_faces=False)
        bmesh.ops.triangulate(work, faces=work.faces)
        work.verts.index_update()
        faces = np.array([[v.index for v in face.verts] for face in work.faces], np.int64)
    finally:
        work.free()
    if len(faces) < 4:
        return None
    used, local = np.unique(faces, return_inverse=True)
    corners, faces = points[used], local.reshape(-1, 3)
    # The interior lies behind every face, so each can be turned on its own.
    normal = geometry.normals(corners, faces)
    inward = np.einsum("ij,ij->i", normal, corners[faces[:, 0]] - corners.mean(axis=0)) < 0
    faces[inward] = faces[inward][:, ::-1]
    a, b, c = (corners[faces[:, i]] - corners.mean(axis=0) for i in range(3))
    volume = float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0)
    return Hull(corners, faces, volume) if volume > 0 else None


_PROBES: dict[int, Floats] = {}


def rough_volume(points: Floats) -> float:
    """Volume of the hull of at most sixty extreme points: a quick lower bound, 0 if flat."""
    if len(points) > 90:
        points = points[np.unique((points @ _directions(54).T).argmax(axis=0))]
    size = max(float(geometry.extent(points).max()), 1e-9)
    hull = _raw((points - points[0]) / size)
    return hull.volume * size**3 if hull else 0.0


def _directions(count: int) -> Floats:
    """Evenly spread unit vectors (Fibonacci sphere) plus the six axes."""
    if count in _PROBES:
        return _PROBES[count]
    index = np.arange(count) + 0.5
    polar = np.arccos(1 - 2 * index / count)
    turn = np.pi * (1 + 5**0.5) * index
    sphere = np.stack(
        [np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], 1
    )
    _PROBES[count] = np.concatenate([np.eye(3), -np.eye(3), sphere])
    return _PROBES[count]


def _extremes(points: Floats, count: int) -> Floats:
    """Those of ``points`` that reach furthest in some direction."""
    best = np.zeros(0, int)
    directions = _directions(count)
    step = max(1, 20_000_000 // len(points))
    for begin in range(0, len(directions), step):
        best = np.union1d(best, (points @ directions[begin : begin + step].T).argmax(axis=0))
    return points[best]


def thicken(points: Floats, least: float) -> Floats:
    """Give points that are flat, straight or one a thickness of ``least`` metres.

    What stood on or above the floor (z = 0) stays there.
    """
    centre = points.mean(axis=0)
    spread = points - centre
    _, _, axes = np.linalg.svd(spread.T @ spread)
    along = spread @ axes.T
    width = along.max(axis=0) - along.min(axis=0)
    floor = points[:, 2].min()
    result = points
    for axis in range(3):
        if width[axis] < least:
            middle = (along[:, axis].max() + along[:, axis].min()) / 2.0
            flat = result - np.outer((result - centre) @ axes[axis] - middle, axes[axis])
            push = axes[axis] * (least / 2.0)
            result = np.concatenate([flat + push, flat - push])
    if result is not points:
        sink = floor - result[:, 2].min()
        if sink > 0:
            result = result + np.array([0.0, 0.0, sink])
    return result


def hull_of(points: Floats, *, least: float = 1e-4, limit: int | None = None) -> Hull:
    """The convex hull of any points, thickened to ``least``, with at most ``limit`` points.

    A reduced hull lies inside the true one and keeps its furthest points.
    """
    if len(points) > MANY:
        points = _extremes(points, 600 if len(points) < 200_000 else 160)
    points = thicken(points, least)
    origin = points.mean(axis=0)
    size = max(float(geometry.extent(points).max()), 1e-9)
    # bmesh works in single precision with fixed tolerances: feed it points of about unit size.
    unit = (points - origin) / size
    unit = unit[np.unique(np.round(unit, 6), axis=0, return_index=True)[1]]
    hull = _raw(unit)
    if hull is not None and limit and len(hull.points) > limit:
        hull = _reduce(hull.points, limit)
    if hull is None:
        hull = _box(unit, least / size)
    return Hull(hull.points * size + origin, hull.faces, hull.volume * size**3)


def _reduce(points: Floats, limit: int) -> Hull:
    """Pick at most ``limit`` points: extremes first, then those left furthest out."""
    chosen = set()
    for direction in _directions(20):
        chosen.add(int((points @ direction).argmax()))
    low = np.flatnonzero(points[:, 2] < points[:, 2].min() + 1e-4)
    step = max(1, len(low) // 12)
    chosen.update(int(index) for index in low[::step][:12])  # keep what it stands on
    hull = _raw(points[sorted(chosen)])
    while hull is not None and len(chosen) < limit:
        outside = -hull.depth(points)
        order = np.argsort(-outside)
        fresh = [int(i) for i in order if outside[i] > 1e-6 and int(i) not in chosen]
        if not fresh:
            break
        chosen.update(fresh[: max(1, min(6, limit - len(chosen)))])
        hull = _raw(points[sorted(chosen)])
    return hull or _box(points, 1e-3)


def _box(points: Floats, least: float) -> Hull:
    """The axis-aligned box: the last resort, always valid."""
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2.0, np.maximum((high - low) / 2.0, max(least, 1e-6) / 2.0)
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    sides = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    faces = np.array([side for a, b, c, d in sides for side in ((a, b, c), (a, c, d))])
    return Hull(middle + signs * half, faces, float(np.prod(2 * half)))


def merge_to(
    groups: list[Floats], limit: int, least: float
) -> tuple[list[Floats], list[list[int]]]:
    """Join the smallest groups of points with their nearest until at most ``limit`` are left.

    Returns the joined groups and, for each, which of the given ones it holds.
    """
    members = [[index] for index in range(len(groups))]
    if len(groups) > 4 * limit:
        groups, members = _by_cells(groups, members, 4 * limit)
    groups = list(groups)
    low = np.array([group.min(axis=0) for group in groups])
    high = np.array([group.max(axis=0) for group in groups])
    while len(groups) > limit:
        size = np.maximum(high - low, least)
        volume = size.prod(axis=1)
        small = int(volume.argmin())
        joined = np.maximum(np.maximum(high, high[small]) - np.minimum(low, low[small]), least)
        cost = joined.prod(axis=1) - volume
        cost[small] = np.inf
        other = int(cost.argmin())
        groups[other] = np.concatenate([groups[other], groups[small]])
        members[other] += members[small]
        low[other] = np.minimum(low[other], low[small])
        high[other] = np.maximum(high[other], high[small])
        del groups[small], members[small]
        low, high = np.delete(low, small, 0), np.delete(high, small, 0)
    return groups, members


def _by_cells(
    groups: list[Floats], members: list[list[int]], limit: int
) -> tuple[list[Floats], list[list[int]]]:
    """First coarse step for thousands of loose parts: join those whose centres share a cell."""
    centres = np.array([group.mean(axis=0) for group in groups])
    size = max(float(geometry.extent(centres).max()), 1e-9)
    cells = 64.0
    while True:
        node = np.floor((centres - centres.min(axis=0)) / size * cells)
        _, label = np.unique(node, axis=0, return_inverse=True)
        label = label.reshape(-1)
        if label.max() < limit or cells < 2:
            break
        cells *= 0.8
    buckets: list[list[int]] = [[] for _ in range(int(label.max()) + 1)]
    for index, cell in enumerate(label.tolist()):
        buckets[cell].append(index)
    return (
        [np.concatenate([groups[i] for i in bucket]) for bucket in buckets],
        [[m for i in bucket for m in members[i]] for bucket in buckets],
    )
