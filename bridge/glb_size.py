# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a binary glTF file is in the world, from the bounds that it declares.

Used to ask about a chair of 3 mm or 300 m before it is sent. Standard library only; no geometry is
decoded: glTF 2.0 demands ``min`` and ``max`` of each accessor of positions, and lengths in metres.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from .glb import Glb, read

#: metres, of the longest side: before a template's cameras anything else is a dot or a wall
SMALLEST, LARGEST = 0.01, 20.0
Matrix = tuple[float, ...]
_SAME: Matrix = (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1)


def longest_side(path: Path) -> float | None:
    """Metres along the longest axis of what the default scene shows; None when it does not say.

    A box about each mesh is turned with it, so a turned mesh may count as a little larger.
    Raises ProblemError(INPUT) for what is no GLB.
    """
    try:
        corners = _corners(read(path))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None
    if not corners:
        return None
    return max(max(axis) - min(axis) for axis in zip(*corners, strict=True))


def _corners(glb: Glb) -> list[tuple[float, ...]]:
    document = glb.json
    nodes = document.get("nodes", [])
    scenes = document.get("scenes", [])
    roots = scenes[document.get("scene", 0)].get("nodes", []) if scenes else range(len(nodes))
    found: list[tuple[float, ...]] = []
    boxes = [_boxes(document, mesh) for mesh in document.get("meshes", [])]
    stack: list[tuple[int, Matrix]] = [(index, _SAME) for index in roots]
    seen: set[int] = set()
    while stack:
        index, above = stack.pop()
        if index in seen:
            continue  # a node has one parent; a file that says otherwise must not loop
        seen.add(index)
        node = nodes[index]
        here = _times(above, _local(node))
        stack.extend((child, here) for child in node.get("children", []))
        for box in boxes[node["mesh"]] if "mesh" in node else []:
            found += [_moved(here, corner) for corner in itertools.product(*box)]
    return found


def _boxes(document: dict[str, Any], mesh: dict[str, Any]) -> list[list[tuple[float, float]]]:
    found = []
    for part in mesh.get("primitives", []):
        accessor = document["accessors"][part["attributes"]["POSITION"]]
        if accessor.get("normalized"):
            raise ValueError("quantized positions")
        low, high = accessor["min"], accessor["max"]
        found.append([(float(low[axis]), float(high[axis])) for axis in range(3)])
    return found


def _local(node: dict[str, Any]) -> Matrix:
    """A node's matrix, column by column as glTF has it."""
    if "matrix" in node:
        given = tuple(float(value) for value in node["matrix"])
        if len(given) != 16:
            raise ValueError("matrix")
        return given
    x, y, z, w = (float(value) for value in node.get("rotation", (0, 0, 0, 1)))
    a, b, c = (float(value) for value in node.get("scale", (1, 1, 1)))
    i, j, k = (float(value) for value in node.get("translation", (0, 0, 0)))
    return (
        a * (1 - 2 * (y * y + z * z)), a * 2 * (x * y + z * w), a * 2 * (x * z - y * w), 0,
        b * 2 * (x * y - z * w), b * (1 - 2 * (x * x + z * z)), b * 2 * (y * z + x * w), 0,
        c * 2 * (x * z + y * w), c * 2 * (y * z - x * w), c * (1 - 2 * (x * x + y * y)), 0,
        i, j, k, 1,
    )  # fmt: skip


def _times(a: Matrix, b: Matrix) -> Matrix:
    return tuple(
        sum(a[4 * inner + row] * b[4 * column + inner] for inner in range(4))
        for column in range(4)
        for row in range(4)
    )


def _moved(m: Matrix, p: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(
        m[row] * p[0] + m[4 + row] * p[1] + m[8 + row] * p[2] + m[12 + row] for row in range(3)
    )
