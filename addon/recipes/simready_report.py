# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells for each part what it is made of, how its volume was found, and what it weighs.

Objects of many loose parts are summed up in one entry. Plain data for JSON; computes nothing new.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from .simready_load import Shape
from .simready_mass import Piece, Survey
from .simready_usd import Collider

MAX_PARTS_PER_OBJECT = 12


def parts_report(
    shapes: list[Shape], surveys: list[Survey | None], colliders: list[Collider]
) -> list[dict[str, Any]]:
    """One dictionary for each part; masses in kg, lengths in m, areas in m2, volumes in m3."""
    hulls = Counter(collider.part for collider in colliders)
    result: list[dict[str, Any]] = []
    for shape, one in zip(shapes, surveys, strict=True):
        if one is None:
            result.append({"object": shape.name, "method": "no surface", "mass_kg": 0.0})
            continue
        if len(one.pieces) <= MAX_PARTS_PER_OBJECT:
            entries = [_entry(shape, [piece]) for piece in one.pieces]
        else:
            entries = [_entry(shape, one.pieces)]
        entries[0]["colliders"] = hulls.get(shape.name, 0)
        result += entries
    return result


def _entry(shape: Shape, pieces: list[Piece]) -> dict[str, Any]:
    main = max(pieces, key=lambda piece: piece.area)
    matter = main.matter
    given = abs(main.factor - 1.0) > 1e-9
    return {
        "object": shape.name,
        "prim": shape.prim,
        "loose_parts": len(pieces),
        "material": matter.material,
        "preset": matter.preset.name,
        "density_kg_m3": main.density,
        "density_source": matter.source,
        "method": main.method,
        "wall_m": main.wall,
        "volume_m3": sum(piece.volume for piece in pieces),
        "area_m2": sum(piece.area for piece in pieces),
        "mass_kg": sum(float(piece.moments.zeroth) for piece in pieces),
        "mass_source": "given" if given else "estimated",
        "static_friction": matter.static,
        "dynamic_friction": matter.dynamic,
        "restitution": matter.restitution,
    }
