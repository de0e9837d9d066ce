# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangle geometry in numpy for the local converter: topology, integrals, clipping, thinning.

Points are float64 arrays (n, 3) in metres, triangles integer arrays (m, 3). Everything is
vectorised, so that a mesh of ten million triangles costs seconds. Never imports bpy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Floats: TypeAlias = "np.ndarray[Any, Any]"
Ints: TypeAlias = "np.ndarray[Any, Any]"
Bools: TypeAlias = "np.ndarray[Any, Any]"


_PRIMES = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)


def _row_keys(rows: Ints) -> Ints:
    """One 64-bit key for each row of three integers: a linear hash, equal for equal rows.

    Two different rows of ten million collide with a chance of about one in a million.
    """
    mixed = rows.astype(np.int64).astype(np.uint64) * _PRIMES
    return (mixed[:, 0] + mixed[:, 1] + mixed[:, 2]).view(np.int64)


def point_keys(points: Floats, step: float) -> Ints:
    """One key for each point, equal for points that round to the same grid node.

    The grid is shifted by an odd amount, so that round coordinates never fall between two nodes.
    """
    return _row_keys(np.round(points / step + 0.13719))


def extent(points: Floats) -> Floats:
    """Size of the axis-aligned box around ``points`` (3,)."""
    return points.max(axis=0) - points.min(axis=0)


def weld(points: Floats, tris: Ints, step: float | None = None) -> tuple[Floats, Ints]:
    """Join points that coincide (glTF splits them at seams) and drop collapsed triangles.

    ``step`` defaults to a millionth of the size. The result's triangles are not deduplicated.
    """
    if step is None:
        step = max(float(extent(points).max()) * 1e-6, 1e-9)
    _, first, inverse = np.unique(point_keys(points, step), return_index=True, return_inverse=True)
    welded = inverse.reshape(-1)[tris]
    alive = (
        (welded[:, 0] != welded[:, 1])
        & (welded[:, 1] != welded[:, 2])
        & (welded[:, 2] != welded[:, 0])
    )
    return points[first], welded[alive]


def alive_after_weld(points: Floats, tris: Ints) -> tuple[Floats, Ints, Ints]:
    """Like ``weld``, for matter: also drops doubled faces. Adds the indices of kept triangles."""
    step = max(float(extent(points).max()) * 1e-6, 1e-9)
    _, first, inverse = np.unique(point_keys(points, step), return_index=True, return_inverse=True)
    welded = inverse.reshape(-1)[tris]
    order = np.sort(welded, axis=1)
    flat = (order[:, 0] == order[:, 1]) | (order[:, 1] == order[:, 2])
    _, single = np.unique(_row_keys(order), return_index=True)
    kept = np.sort(single)
    kept = kept[~flat[kept]]
    return points[first], welded[kept], kept


def components(count: int, pairs: Ints) -> Ints:
    """Labels 0..k-1 of the connected components of ``count`` nodes joined by ``pairs`` (e, 2)."""
    label = np.arange(count)
    if len(pairs):
        a, b = pairs[:, 0], pairs[:, 1]
        while True:
            low = np.minimum(label[a], label[b])
            high = np.maximum(label[a], label[b])
            open_ = low != high
            if not open_.any():
                break
            np.minimum.at(label, high[open_], low[open_])
            while True:
                jumped = label[label]
                if np.array_equal(jumped, label):
                    break
                label = jumped
    return np.unique(label, return_inverse=True)[1].reshape(-1)


def triangle_components(count: int, tris: Ints) -> Ints:
    """A component label for each triangle; triangles that share a point belong together."""
    node = components(count, np.concatenate([tris[:, :2], tris[:, 1:]]))
    return np.unique(node[tris[:, 0]], return_inverse=True)[1].reshape(-1)


@dataclass
class Edges:
    """Edge facts of a welded mesh.

    ``rim`` are directed boundary edges (r, 2) and ``rim_triangle`` their triangles; ``twisted``
    are triangles at edges whose neighbours disagree about the outside.
    """

    rim: Ints
    rim_triangle: Ints
    twisted: Ints


def edges(count: int, tris: Ints) -> Edges:
    """Find open and inconsistent edges; an edge is fine when its directions cancel out."""
    start = tris.reshape(-1)
    end = tris[:, [1, 2, 0]].reshape(-1)
    low, high = np.minimum(start, end), np.maximum(start, end)
    key = low.astype(np.int64) * count + high
    _, inverse, uses = np.unique(key, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    balance = np.bincount(inverse, np.where(start < end, 1.0, -1.0), len(uses))
    single = (uses == 1)[inverse]
    odd = ((balance != 0) & (uses > 1))[inverse]
    owner = np.repeat(np.arange(len(tris)), 3)
    return Edges(np.stack([start[single], end[single]], 1), owner[single], np.unique(owner[odd]))


def caps(points: Floats, rim: Ints) -> tuple[Floats, Ints, Ints]:
    """Close holes by fans: extra points, triangles over ``points`` + extra, and loop labels.

    ``rim`` are the directed boundary edges; a cap triangle runs against its edge, so the closed
    surface stays consistently oriented.
    """
    used, local = np.unique(rim, return_inverse=True)
    local = local.reshape(rim.shape)
    loop = components(len(used), local)
    total = int(loop.max()) + 1 if len(loop) else 0
    sums = np.stack([np.bincount(loop, points[used][:, i], total) for i in range(3)], 1)
    centres = sums / np.bincount(loop, minlength=total)[:, None]
    edge_loop = loop[local[:, 0]]
    fan = np.stack([rim[:, 1], rim[:, 0], len(points) + edge_loop], 1)
    return centres, fan, edge_loop


def areas(points: Floats, tris: Ints) -> Floats:
    """Area of each triangle."""
    a, b, c = (points[tris[:, i]] for i in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def normals(points: Floats, tris: Ints) -> Floats:
    """Unit normal of each triangle; degenerate ones point up."""
    a, b, c = (points[tris[:, i]] for i in range(3))
    cross = np.cross(b - a, c - a)
    length = np.linalg.norm(cross, axis=1, keepdims=True)
    result = np.divide(cross, length, out=np.zeros_like(cross), where=length > 1e-20)
    result[length[:, 0] <= 1e-20] = (0.0, 0.0, 1.0)
    return result


@dataclass
class Moments:
    """Integrals of a body or of many: ``zeroth`` (k,), ``first`` (k, 3), ``second`` (k, 3, 3).

    Zeroth is volume or area (later mass), first the integral of x, second that of x xT, all
    about the origin.
    """

    zeroth: Floats
    first: Floats
    second: Floats

    def scaled(self, factor: Floats | float) -> Moments:
        """Multiply, for example by a density (k,) or a number."""
        f = np.asarray(factor, float)
        return Moments(self.zeroth * f, self.first * f[..., None], self.second * f[..., None, None])

    def total(self) -> Moments:
        """The sum over all bodies, each field without its leading axis."""
        return Moments(self.zeroth.sum(), self.first.sum(axis=0), self.second.sum(axis=0))

    def plus(self, other: Moments, sign: float = 1.0) -> Moments:
        """Add (or with ``sign`` -1 subtract) another body about the same origin."""
        return Moments(
            self.zeroth + sign * other.zeroth,
            self.first + sign * other.first,
            self.second + sign * other.second,
        )


def _grouped(values: Floats, label: Ints, total: int) -> Floats:
    flat = values.reshape(len(values), -1)
    out = np.stack([np.bincount(label, flat[:, i], total) for i in range(flat.shape[1])], 1)
    return out.reshape((total, *values.shape[1:]))


def solid_moments(points: Floats, tris: Ints, label: Ints, total: int) -> Moments:
    """Exact volume integrals of closed surfaces by signed tetrahedra, for each label."""
    result = _none(total)
    for part in _chunks(len(tris)):
        a, b, c = (points[tris[part, i]] for i in range(3))
        volume = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0
        s = a + b + c
        outer = sum(np.einsum("ij,ik->ijk", x, x) for x in (a, b, c, s))
        result = result.plus(
            Moments(
                np.bincount(label[part], volume, total),
                _grouped(volume[:, None] * s / 4.0, label[part], total),
                _grouped(volume[:, None, None] * outer / 20.0, label[part], total),
            )
        )
    return result


def _none(total: int) -> Moments:
    return Moments(np.zeros(total), np.zeros((total, 3)), np.zeros((total, 3, 3)))


def _chunks(count: int) -> Iterator[slice]:
    """Half a million triangles at a time: the products need two hundred bytes for each."""
    for begin in range(0, count, 500_000):
        yield slice(begin, begin + 500_000)


def shell_moments(
    points: Floats, tris: Ints, label: Ints, total: int, weight: Floats, wall: Floats
) -> Moments:
    """Surface integrals, each triangle's area times ``weight`` (kg/m2) and ``wall`` (m) thick."""
    result = _none(total)
    for part in _chunks(len(tris)):
        a, b, c = (points[tris[part, i]] for i in range(3))
        normal = np.cross(b - a, c - a)
        length = np.linalg.norm(normal, axis=1)
        mass = 0.5 * length * weight[part]
        s = a + b + c
        outer = sum(np.einsum("ij,ik->ijk", x, x) for x in (a, b, c, s))
        second = mass[:, None, None] * outer / 12.0
        unit = normal / np.maximum(length, 1e-30)[:, None]
        # A plate has matter across its thickness too; without it a flat one has no valid inertia.
        across = mass * wall[part] ** 2 / 12.0
        second += across[:, None, None] * np.einsum("ij,ik->ijk", unit, unit)
        result = result.plus(
            Moments(
                np.bincount(label[part], mass, total),
                _grouped(mass[:, None] * s / 3.0, label[part], total),
                _grouped(second, label[part], total),
            )
        )
    return result


def winding(points: Floats, tris: Ints, probes: Floats) -> Floats:
    """Generalised winding number of ``probes`` (p, 3): about 1 inside a closed surface, else 0."""
    result = np.zeros(len(probes))
    corners = points[tris]
    step = max(1, 400_000 // max(1, len(probes)))
    for begin in range(0, len(corners), step):
        part = corners[begin : begin + step]
        a, b, c = (part[None, :, i] - probes[:, None] for i in range(3))
        la, lb, lc = (np.linalg.norm(x, axis=2) for x in (a, b, c))
        num = np.einsum("pti,pti->pt", a, np.cross(b, c))
        den = la * lb * lc
        den += np.einsum("pti,pti->pt", a, b) * lc
        den += np.einsum("pti,pti->pt", b, c) * la
        den += np.einsum("pti,pti->pt", c, a) * lb
        result += 2.0 * np.arctan2(num, den).sum(axis=1)
    return result / (4.0 * np.pi)


def distance(corners: Floats, probes: Floats) -> Floats:
    """Distance of each probe (p, 3) from the nearest of the triangles (t, 3, 3)."""
    a, b, c = (corners[None, :, i] for i in range(3))
    p = probes[:, None]
    ab, ac, ap = b - a, c - a, p - a
    d1, d2 = (ab * ap).sum(-1), (ac * ap).sum(-1)
    aa, bb, cc = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    det = np.maximum(aa * cc - bb * bb, 1e-30)
    v, w = (cc * d1 - bb * d2) / det, (aa * d2 - bb * d1) / det
    inside = (v >= 0) & (w >= 0) & (v + w <= 1)
    flat = np.linalg.norm(ap - v[..., None] * ab - w[..., None] * ac, axis=-1)
    result = np.where(inside, flat, np.inf)
    for start, side in ((a, ab), (a, ac), (b, c - b)):
        along = ((p - start) * side).sum(-1) / np.maximum((side * side).sum(-1), 1e-30)
        near = start + np.clip(along, 0.0, 1.0)[..., None] * side
        result = np.minimum(result, np.linalg.norm(p - near, axis=-1))
    return result.min(axis=1)


def thin(points: Floats, tris: Ints, target: int) -> tuple[Floats, Ints, Ints, Ints]:
    """Cluster points on a grid until about ``target`` triangles are left.

    Returns points, triangles, for each old point its new index, and which old triangles were
    kept. A cluster is represented by one of its own points, so nothing grows.
    """
    if len(tris) > 60 * target:  # a first coarse step makes the search below cheap
        light, few, joined, early = thin(points, tris, 16 * target)
        light, few, again, late = thin(light, few, target)
        return light, few, again[joined], early[late]
    size = float(extent(points).max())
    cells = max(4.0, np.sqrt(target / 4.0))
    while True:
        _, first, inverse = np.unique(
            point_keys(points, size / cells), return_index=True, return_inverse=True
        )
        inverse = inverse.reshape(-1)
        new = inverse[tris]
        keep = (new[:, 0] != new[:, 1]) & (new[:, 1] != new[:, 2]) & (new[:, 2] != new[:, 0])
        kept = np.flatnonzero(keep)
        if len(kept):
            key = _row_keys(np.sort(new[kept], axis=1))
            kept = kept[np.sort(np.unique(key, return_index=True)[1])]
        if len(kept) <= target or cells <= 4.0:
            return points[first], new[kept], inverse, kept
        cells = max(4.0, cells * 0.8)


def rotation_to_quaternion(matrix: Floats) -> tuple[float, float, float, float]:
    """Unit quaternion (w, x, y, z) of a proper rotation matrix (3, 3), with w >= 0."""
    m = np.asarray(matrix, float)
    # The eigenvector form is robust for every rotation, half turns included.
    k = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0.0, 0.0, 0.0],
            [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], 0.0, 0.0],
            [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], 0.0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], np.trace(m)],
        ]
    )
    _, vectors = np.linalg.eigh(k, UPLO="L")
    x, y, z, w = vectors[:, -1]
    sign = -1.0 if w < 0 else 1.0
    return float(sign * w), float(sign * x), float(sign * y), float(sign * z)
