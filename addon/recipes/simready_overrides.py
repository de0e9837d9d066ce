# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces estimated masses by the ones that the artist or the job gave.

Only the amount changes: where the matter lies, and so the proportions of the inertia, stay as
estimated.
"""

from __future__ import annotations

from typing import Any

from .simready_load import Shape
from .simready_mass import Piece, Survey


def apply_overrides(
    shapes: list[Shape], surveys: list[Survey | None], overrides: dict[str, Any], notes: list[str]
) -> None:
    """Scale pieces to the masses that the artist gave.

    An object's own mass is that of its mesh. A mass on a parent without a mesh is the total of
    everything below it; what is given there for single objects is part of it. ``overrides``
    may name the asset's total, ``mass_kg``.
    """
    fixed = [shape.mass is not None for shape in shapes]
    for shape, one in zip(shapes, surveys, strict=True):
        if shape.mass is not None and one:
            _scale(one.pieces, shape.mass)
    scopes: dict[str, float] = {}
    for shape in shapes:
        scopes.update(dict(shape.mass_scopes))
    depth = {name: min(_depth(shape, name) for shape in shapes) for name in scopes}
    for scope in sorted(scopes, key=lambda name: depth[name]):
        members = [i for i, s in enumerate(shapes) if surveys[i] and _depth(s, scope) < 99]
        free = [i for i in members if not fixed[i]]
        known = sum(_sum(surveys[i]) for i in members if fixed[i])
        rest = scopes[scope] - known
        if free and rest > 0:
            _scale([p for i in free for p in surveys[i].pieces], rest)
            for i in free:
                fixed[i] = True
        elif free:
            notes.append(f"The mass given for “{scope}” is less than that of its parts.")
        elif abs(rest) > 1e-6:
            notes.append(f"The masses of the parts replace the one given for “{scope}”.")
    total = overrides.get("mass_kg")
    if total:
        _scale([piece for one in surveys if one for piece in one.pieces], float(total))


def _depth(shape: Shape, scope: str) -> int:
    names = [name for name, _ in shape.mass_scopes]
    return names.index(scope) if scope in names else 99


def _sum(one: Survey | None) -> float:
    return sum(float(piece.moments.zeroth) for piece in one.pieces) if one else 0.0


def _scale(pieces: list[Piece], target: float) -> None:
    now = sum(float(piece.moments.zeroth) for piece in pieces)
    if now <= 0:
        return
    for piece in pieces:
        piece.moments = piece.moments.scaled(target / now)
        piece.factor *= target / now
