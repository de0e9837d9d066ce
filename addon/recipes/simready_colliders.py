# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the convex hulls of an asset: one for each piece, more where a piece is concave.

The number of hulls is bounded; when there are more pieces, the smallest join their neighbours, and
pieces wholly inside another's hull need none. Inner walls of cavities take no part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .simready_hulls import MAX_POINTS, Hull, hull_of, merge_to
from .simready_load import Shape
from .simready_mass import Piece, Survey
from .simready_split import MAX_PIECES, decompose
from .simready_usd import Collider

MAX_HULLS = 64
DEFAULT_THRESHOLD = 0.05


def build(
    shapes: list[Shape],
    surveys: list[Survey | None],
    size: Any,
    threshold: float | None,
    tick: Callable[[float], None] = lambda fraction: None,
) -> list[Collider]:
    """Colliders for all pieces. ``threshold`` is the concavity allowed, as in CoACD: a share of
    half the asset's largest extent, 0.01 to 1 (default 0.05); smaller gives more hulls.
    """
    span = float(np.max(size))
    limit = 0.5 * span * min(1.0, max(0.01, threshold or DEFAULT_THRESHOLD))
    least = min(2e-3, max(5e-5, 0.004 * span))
    found = _surfaces(surveys)
    found.sort(key=lambda item: -float(np.prod(np.maximum(item[0].high - item[0].low, least))))
    groups: list[Any] = []
    owners: list[Piece] = []
    for number, (piece, points, tris) in enumerate(found):
        waiting = len(found) - number - 1
        most = max(1, min(MAX_PIECES, MAX_HULLS - len(groups) - waiting))
        if float((piece.high - piece.low).max()) < 2.0 * limit:
            most = 1
        cut = decompose(points, tris, limit=limit, least=least, most=most, is_open=piece.is_open)
        for group in cut:
            groups.append(group)
            owners.append(piece)
        if number % max(1, len(found) // 20) == 0:
            tick((number + 1) / len(found))
    members = [[index] for index in range(len(groups))]
    if len(groups) > MAX_HULLS:
        groups, members = merge_to(groups, MAX_HULLS, least)
    hulls = [hull_of(group, least=least, limit=MAX_POINTS) for group in groups]
    kept = _without_inner(hulls, least)
    result = []
    for index in kept:
        piece = max((owners[i] for i in members[index]), key=lambda one: one.area)
        result.append(Collider(hulls[index], piece.matter, shapes[piece.shape].name))
    return result


def _surfaces(surveys: list[Survey | None]) -> list[tuple[Piece, Any, Any]]:
    """(piece, points, outer triangles) of every piece; sorts each shape's triangles once."""
    found = []
    for one in surveys:
        if one is None:
            continue
        order = np.argsort(one.label, kind="stable")
        order = order[~one.cavity[order]]
        counts = np.bincount(one.label[order], minlength=len(one.pieces))
        ends = np.cumsum(counts)
        for piece, end, count in zip(one.pieces, ends, counts, strict=True):
            if not count:
                continue
            tris = one.tris[order[end - count : end]]
            used, local = np.unique(tris, return_inverse=True)
            found.append((piece, one.points[used], local.reshape(-1, 3)))
    return found


def _without_inner(hulls: list[Hull], least: float) -> list[int]:
    """Indices of hulls that stick out of every other; at least one is left."""
    order = sorted(range(len(hulls)), key=lambda index: -hulls[index].volume)
    kept: list[int] = []
    for index in order:
        points = hulls[index].points
        if not any((hulls[other].depth(points) > -0.1 * least).all() for other in kept):
            kept.append(index)
    return sorted(kept)
