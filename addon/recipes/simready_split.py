# SPDX-License-Identifier: GPL-3.0-or-later
"""Approximate convex decomposition: cuts a concave part by planes until its pieces are convex.

A plain relative of CoACD. Concavity is how deep the surface lies inside its own hull. The
worst piece is cut by the plane that leaves the least hull volume, then separates into its connected
parts. The work is bounded by counts, not by time, so the same file always gives the same hulls.
Sound for furniture, containers and rings; organic shapes get a coarser fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import simready_geometry as geometry
from .simready_geometry import Bools, Floats, Ints
from .simready_hulls import Hull, hull_of, rough_volume

MAX_PIECES = 16
MAX_TRIANGLES = 1000
LEVELS = 5
MERGE_GAIN = 1.04


@dataclass
class Soup:
    """Triangles by their corners (k, 3, 3); ``cap`` marks those that only close a cut."""

    corners: Floats
    cap: Bools

    @property
    def points(self) -> Floats:
        """All corners (3k, 3)."""
        return self.corners.reshape(-1, 3)


@dataclass
class _Work:
    soup: Soup
    hull: Hull
    concavity: float


def concavity(soup: Soup, hull: Hull, is_open: bool) -> float:
    """Largest depth (m) of the real surface below the hull.

    An open bowl lies wholly on its hull; there the distance of the hull's lid from the surface
    counts as well.
    """
    real = soup.corners[~soup.cap]
    if not len(real):
        return 0.0
    probes = np.concatenate([real.reshape(-1, 3), real.mean(axis=1)])
    deepest = float(max(0.0, hull.depth(probes).max()))
    return max(deepest, _bareness(real, hull)) if is_open else deepest


def _bareness(corners: Floats, hull: Hull) -> float:
    """Largest distance (m) of points on the hull's largest faces from the triangles."""
    face = hull.points[hull.faces]
    size = geometry.areas(hull.points, hull.faces)
    face = face[np.argsort(-size, kind="stable")[:40]]
    weights = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4]], float)
    weights /= weights.sum(axis=1, keepdims=True)
    probes = np.einsum("wc,fcx->fwx", weights, face).reshape(-1, 3)
    step = max(1, 300_000 // len(corners))
    parts_ = [geometry.distance(corners, probes[i : i + step]) for i in range(0, len(probes), step)]
    return float(max(part.max() for part in parts_))


def clip(soup: Soup, normal: Floats, offset: float, scale: float, close: bool = True) -> Soup:
    """The part of a soup where normal.x >= offset, the cut closed by fans (``close``)."""
    distance = soup.corners @ normal - offset
    distance[np.abs(distance) < 1e-7 * scale] = 0.0
    front = (distance >= 0).all(axis=1) & (distance > 0).any(axis=1)
    mixed = (distance > 0).any(axis=1) & (distance < 0).any(axis=1)
    pieces, caps = [soup.corners[front]], [soup.cap[front]]
    cuts: list[Floats] = []
    if mixed.any():
        corners, d, cap = soup.corners[mixed], distance[mixed], soup.cap[mixed]
        # Roll the corner that is alone on its side to the front.
        inside = d > 0
        alone_in = inside.sum(axis=1) == 1
        odd = np.where(alone_in, inside.argmax(axis=1), (d < 0).argmax(axis=1))
        order = (odd[:, None] + np.arange(3)) % 3
        corners = np.take_along_axis(corners, order[:, :, None], axis=1)
        d = np.take_along_axis(d, order, axis=1)
        p, q, r = corners[:, 0], corners[:, 1], corners[:, 2]

        def cross(i: int) -> Floats:
            t = d[:, 0] / (d[:, 0] - d[:, i])
            return p + np.clip(t, 0.0, 1.0)[:, None] * (corners[:, i] - p)

        pq, pr = cross(1), cross(2)
        one = alone_in
        pieces.append(np.stack([p[one], pq[one], pr[one]], 1))
        two = ~one
        pieces.append(np.stack([pq[two], q[two], r[two]], 1))
        pieces.append(np.stack([pq[two], r[two], pr[two]], 1))
        caps += [cap[one], cap[two], cap[two]]
        cuts.append(np.stack([pq, pr], 1))
    whole = np.concatenate(pieces)
    flags = np.concatenate(caps)
    fans = _fans(cuts[0], scale) if cuts and close else np.zeros((0, 3, 3))
    return Soup(np.concatenate([whole, fans]), np.concatenate([flags, np.ones(len(fans), bool)]))


def _fans(segments: Floats, scale: float) -> Floats:
    """Triangles from each cut segment (s, 2, 3) to the middle of its loop."""
    points = segments.reshape(-1, 3)
    _, node = np.unique(geometry.point_keys(points, 1e-6 * scale), return_inverse=True)
    node = node.reshape(-1, 2)
    loop = geometry.components(int(node.max()) + 1, node)[node[:, 0]]
    count = np.bincount(loop)
    middle = segments.mean(axis=1)
    centre = np.stack([np.bincount(loop, middle[:, i]) for i in range(3)], 1) / count[:, None]
    return np.stack([segments[:, 0], segments[:, 1], centre[loop]], 1)


def parts(soup: Soup, scale: float) -> list[Soup]:
    """Connected parts of a soup; pieces made of caps alone are dropped."""
    if not len(soup.corners):
        return []
    points = soup.points
    _, node = np.unique(geometry.point_keys(points, 1e-6 * scale), return_inverse=True)
    tris = node.reshape(-1, 3)
    label = geometry.triangle_components(int(tris.max()) + 1, tris)
    result = []
    for index in range(int(label.max()) + 1):
        mask = label == index
        if not soup.cap[mask].all():
            result.append(Soup(soup.corners[mask], soup.cap[mask]))
    return result


def _frame(points: Floats) -> Floats:
    """Rows are the cut directions: the axes, or the principal ones if they fit far better."""
    spread = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(spread.T @ spread)
    principal = axes.T
    turned = points @ axes
    fits = np.prod(np.maximum(np.ptp(turned, axis=0), 1e-9))
    plain = np.prod(np.maximum(np.ptp(points, axis=0), 1e-9))
    return principal if fits < 0.75 * plain else np.eye(3)


def _levels(values: Floats, weights: Floats) -> list[float]:
    """Promising cut positions along one direction: where much surface stands, and the middle."""
    low, high = float(values.min()), float(values.max())
    width = high - low
    if width <= 0:
        return []
    found = [low + width / 2.0]
    bins = 48
    index = np.clip(((values - low) / width * bins).astype(int), 0, bins - 1)
    mass = np.bincount(index, weights, bins)
    for place in np.argsort(-mass, kind="stable"):
        if mass[place] <= 0 or len(found) >= LEVELS:
            break
        inside = values[index == place]
        # A face lying across gives one exact level: cut just there.
        level = float(np.median(inside))
        if min(level - low, high - level) > 0.02 * width and all(
            abs(level - other) > 0.03 * width for other in found
        ):
            found.append(level)
    return found


def _best_cut(work: _Work, is_open: bool) -> tuple[Floats, float] | None:
    soup, hull = work.soup, work.hull
    real = soup.corners[~soup.cap]
    points = real.reshape(-1, 3)
    scale = max(float(geometry.extent(points).max()), 1e-9)
    span = float(np.ptp(points, axis=0).max())
    edge = np.linalg.norm(real - np.roll(real, 1, axis=1), axis=2)
    best: tuple[float, Floats, float] | None = None
    for axis in _frame(points):
        along = real @ axis
        width = float(np.ptp(along))
        # Corners of faces that lie across the axis mark the levels where the shape changes.
        flat = np.ptp(along, axis=1) < 0.02 * max(width, 1e-9)
        weight = np.where(flat, edge.prod(axis=1) ** (2 / 3), 1e-3 * scale**2 / len(real))
        for level in _levels(along.reshape(-1), np.repeat(weight, 3)):
            cost = 0.0
            for sign in (1.0, -1.0):
                for part in parts(clip(soup, sign * axis, sign * level, scale, not is_open), scale):
                    cost += rough_volume(part.points)
            # All else equal, prefer to halve the longest side.
            middle = abs(level - (along.min() + along.max()) / 2.0) / max(width, 1e-9)
            cost += hull.volume * (0.02 * middle + 0.02 * (1.0 - width / span))
            if best is None or cost < best[0]:
                best = (cost, axis, level)
    return None if best is None else (best[1], best[2])


def decompose(
    points: Floats,
    tris: Ints,
    *,
    limit: float,
    least: float,
    most: int = MAX_PIECES,
    is_open: bool = False,
) -> list[Floats]:
    """Cut one connected surface into nearly convex groups of points.

    ``limit`` is the concavity (m) that is good enough, ``most`` the largest number of pieces;
    ``is_open`` says that the surface has a large hole, like a bowl of no thickness.
    """
    original = points[np.unique(tris)]
    first = hull_of(original, least=least)
    if most <= 1:
        return [original]
    cluster, light = None, points
    if len(tris) > MAX_TRIANGLES:
        light, tris, cluster, _ = geometry.thin(points, tris, MAX_TRIANGLES)
        if not len(tris):
            return [original]
    whole = Soup(light[tris], np.zeros(len(tris), bool))
    if concavity(whole, first, is_open) <= limit:
        return [original]
    scale = max(float(geometry.extent(original).max()), 1e-9)
    done: list[_Work] = []
    queue = [_Work(whole, first, concavity(whole, first, is_open))]
    while queue:
        queue.sort(key=lambda work: work.concavity)
        work = queue.pop()
        if work.concavity <= limit or len(queue) + len(done) + 1 >= most:
            done.append(work)
            continue
        cut = _best_cut(work, is_open)
        if cut is None:
            done.append(work)
            continue
        pieces = []
        for sign in (1.0, -1.0):
            pieces += parts(
                clip(work.soup, sign * cut[0], sign * cut[1], scale, not is_open), scale
            )
        if len(pieces) < 2:
            done.append(work)
            continue
        for soup in pieces:
            hull = hull_of(soup.points, least=least)
            queue.append(_Work(soup, hull, concavity(soup, hull, is_open)))
    groups = _rejoin(done, limit, least, is_open)
    return groups if cluster is None else _with_originals(groups, points, cluster, scale)


def _rejoin(done: list[_Work], limit: float, least: float, is_open: bool) -> list[Floats]:
    """Undo cuts that turned out needless: join neighbours whose common hull is hardly larger."""
    work = sorted(done, key=lambda item: item.hull.volume)
    groups = [item.soup for item in work]
    hulls = [item.hull for item in work]
    index = 0
    while index < len(groups):
        for other in range(index + 1, len(groups)):
            a, b = hulls[index].points, hulls[other].points
            gap = np.maximum(a.min(0), b.min(0)) - np.minimum(a.max(0), b.max(0))
            if (gap > limit * 0.1).any():
                continue
            both = Soup(
                np.concatenate([groups[index].corners, groups[other].corners]),
                np.concatenate([groups[index].cap, groups[other].cap]),
            )
            hull = hull_of(both.points, least=least)
            if hull.volume > MERGE_GAIN * (hulls[index].volume + hulls[other].volume):
                continue
            if concavity(both, hull, is_open) > limit:
                continue
            groups[other], hulls[other] = both, hull
            del groups[index], hulls[index]
            index = -1
            break
        index += 1
    return [soup.points for soup in groups]


def _with_originals(
    groups: list[Floats], points: Floats, cluster: Ints, scale: float
) -> list[Floats]:
    """Give each group of a thinned surface the original points that it stands for."""
    used = np.unique(cluster)
    first = np.full(int(used.max()) + 1, -1)
    order = np.arange(len(cluster))[::-1]
    first[cluster[order]] = order
    representative = geometry.point_keys(points[first[used]], 1e-6 * scale)
    result = []
    for group in groups:
        mine = np.isin(representative, geometry.point_keys(group, 1e-6 * scale))
        member = np.isin(cluster, used[mine])
        own = points[member]
        result.append(np.concatenate([group, own]) if len(own) else group)
    return result
