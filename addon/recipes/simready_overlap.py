# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps matter from counting twice where solid pieces lie in each other.

A chair's leg often reaches into its seat. The overlap is measured with evenly spread points in the
smaller piece and taken off the larger one. Looks at the largest solids only, and never takes more
than nineteen twentieths of a piece.
"""

from __future__ import annotations

import numpy as np

from . import simready_geometry as geometry
from .simready_geometry import Floats, Ints, Moments
from .simready_mass import Piece, Survey

MAX_OVERLAP_PIECES = 48
PROBES = 384
INSIDE = ", without what lies inside it"


def remove_overlaps(surveys: list[Survey | None]) -> None:
    """Count matter once where solids overlap; the smaller one keeps it."""
    pieces = [piece for one in surveys if one for piece in one.pieces if piece.solid]
    pieces.sort(key=lambda piece: -piece.volume)
    pieces = pieces[:MAX_OVERLAP_PIECES]
    probes: dict[int, tuple[Floats, float]] = {}
    for i, big in enumerate(pieces):
        limit = 0.05 * float(big.moments.zeroth)
        for j in range(i + 1, len(pieces)):
            small = pieces[j]
            common = np.minimum(big.high, small.high) - np.maximum(big.low, small.low)
            if (common <= 1e-4 * (small.high - small.low).max()).any():
                continue
            if j not in probes:
                probes[j] = _probes(small, surveys)
            inside_small, cell = probes[j]
            if not len(inside_small):
                continue
            near = (inside_small >= big.low) & (inside_small <= big.high)
            inside = inside_small[near.all(axis=1)]
            if len(inside) < max(2, 0.01 * len(inside_small)):
                continue
            points, tris = _light(big, surveys)
            inside = inside[np.abs(geometry.winding(points, tris, inside)) > 0.5]
            if len(inside) < max(2, 0.01 * len(inside_small)):
                continue
            weight = cell * big.density
            taken = Moments(
                np.float64(weight * len(inside)),
                weight * inside.sum(axis=0),
                weight * np.einsum("ij,ik->jk", inside, inside),
            )
            if big.moments.zeroth - taken.zeroth < limit:
                continue
            big.moments = big.moments.plus(taken, -1.0)
            if not big.method.endswith(INSIDE):
                big.method += INSIDE


def _light(piece: Piece, surveys: list[Survey | None]) -> tuple[Floats, Ints]:
    """A piece's surface, thinned when large."""
    one = surveys[piece.shape]
    assert one is not None
    tris = one.tris[one.label == piece.number]
    if len(tris) > 4000:
        points, tris, _, _ = geometry.thin(one.points, tris, 4000)
        return points, tris
    return one.points, tris


def _probes(piece: Piece, surveys: list[Survey | None]) -> tuple[Floats, float]:
    """Evenly spread points inside a piece and the volume that each stands for."""
    points, tris = _light(piece, surveys)
    size = np.maximum(piece.high - piece.low, 1e-9)
    # A low-discrepancy (R3) sequence: even, and the same in every run.
    steps = np.array([0.8191725133961645, 0.6710436067037893, 0.5497004779019703])
    spread = (0.5 + np.arange(1, PROBES + 1)[:, None] * steps) % 1.0
    candidates = piece.low + spread * size
    inside = candidates[np.abs(geometry.winding(points, tris, candidates)) > 0.5]
    return inside, piece.volume / max(1, len(inside))
