# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves and scales everything in a GLB by one node above all others.

Animated objects cannot be moved before they are exported: their keys say where they are.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path

from mathutils import Matrix

from bridge import glb

_UP = Matrix(((1, 0, 0, 0), (0, 0, 1, 0), (0, -1, 0, 0), (0, 0, 0, 1)))  # from +Z to +Y


def place(path: Path, matrix: Matrix, name: str) -> None:
    """Put the scene of a GLB below a new node; ``matrix`` moves, turns and scales, +Z up, by
    Blender's axes.
    """
    whole = glb.read(path)
    document = whole.json
    where, turn, size = (_UP @ matrix @ _UP.inverted()).decompose()
    nodes = document.setdefault("nodes", [])
    for scene in document.get("scenes", []):
        roots = scene.get("nodes", [])
        if not roots:
            continue
        nodes.append(
            {
                "name": name,
                "children": roots,
                "translation": list(where[:]),
                "rotation": [turn.x, turn.y, turn.z, turn.w],
                "scale": list(size[:]),
            }
        )
        scene["nodes"] = [len(nodes) - 1]
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 4)
    length = glb.HEADER_BYTES + glb.CHUNK_HEADER_BYTES + len(text)
    if whole.bin_length:
        length += glb.CHUNK_HEADER_BYTES + whole.bin_length
    temporary = path.with_name(path.name + ".tmp")
    with open(path, "rb") as source, open(temporary, "wb") as target:
        target.write(struct.pack("<4sII", glb.MAGIC, 2, length))
        target.write(struct.pack("<II", len(text), glb.JSON_CHUNK) + text)
        if whole.bin_length:
            target.write(struct.pack("<II", whole.bin_length, glb.BIN_CHUNK))
            source.seek(whole.bin_offset)
            shutil.copyfileobj(source, target, 1 << 20)
    os.replace(temporary, path)
