# SPDX-License-Identifier: GPL-3.0-or-later
"""Real models for conversions, written byte by byte: no Blender is needed to make them."""

from __future__ import annotations

import json
import struct
import zlib

# One side of a box: four corners, wound outwards; of the unit cube around the origin.
_SIDES = (
    ((0, 0, 1), ((-1, -1, 1), (1, -1, 1), (1, 1, 1), (-1, 1, 1))),
    ((0, 0, -1), ((1, -1, -1), (-1, -1, -1), (-1, 1, -1), (1, 1, -1))),
    ((1, 0, 0), ((1, -1, 1), (1, -1, -1), (1, 1, -1), (1, 1, 1))),
    ((-1, 0, 0), ((-1, -1, -1), (-1, -1, 1), (-1, 1, 1), (-1, 1, -1))),
    ((0, 1, 0), ((-1, 1, 1), (1, 1, 1), (1, 1, -1), (-1, 1, -1))),
    ((0, -1, 0), ((-1, -1, -1), (1, -1, -1), (1, -1, 1), (-1, -1, 1))),
)
_CORNERS = ((0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.0, 0.0))

# name, material, size in metres, centre (glTF: y is up)
_CHAIR = (
    ("Seat", 0, (0.45, 0.04, 0.45), (0.0, 0.45, 0.0)),
    ("Back", 0, (0.45, 0.45, 0.03), (0.0, 0.695, -0.21)),
    ("Leg FL", 1, (0.03, 0.43, 0.03), (-0.2, 0.215, 0.2)),
    ("Leg FR", 1, (0.03, 0.43, 0.03), (0.2, 0.215, 0.2)),
    ("Leg BL", 1, (0.03, 0.43, 0.03), (-0.2, 0.215, -0.2)),
    ("Leg BR", 1, (0.03, 0.43, 0.03), (0.2, 0.215, -0.2)),
)


def checkered_png(size: int = 64) -> bytes:
    """A square RGB PNG in two browns."""
    dark, light = bytes((90, 55, 30)), bytes((170, 120, 70))
    rows = b"".join(
        b"\0" + b"".join(dark if (x // 8 + y // 8) % 2 else light for x in range(size))
        for y in range(size)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chair_glb() -> bytes:
    """A chair of six parts, two materials, one of them textured: a GLB of about 5 KB."""
    blob = bytearray()
    views: list[dict[str, int]] = []
    accessors: list[dict[str, object]] = []
    meshes: list[dict[str, object]] = []
    nodes: list[dict[str, object]] = []

    def view(data: bytes) -> int:
        blob.extend(b"\0" * (-len(blob) % 4))
        views.append({"buffer": 0, "byteOffset": len(blob), "byteLength": len(data)})
        blob.extend(data)
        return len(views) - 1

    def accessor(values: list[float], kind: str, width: int, limits: bool = False) -> int:
        data = struct.pack(f"<{len(values)}f", *values)
        entry: dict[str, object] = {
            "bufferView": view(data), "componentType": 5126, "count": len(values) // width,
            "type": kind,
        }  # fmt: skip
        if limits:
            entry["min"] = [min(values[axis::width]) for axis in range(width)]
            entry["max"] = [max(values[axis::width]) for axis in range(width)]
        accessors.append(entry)
        return len(accessors) - 1

    for name, material, size, centre in _CHAIR:
        points: list[float] = []
        normals: list[float] = []
        coordinates: list[float] = []
        for normal, corners in _SIDES:
            for corner, uv in zip(corners, _CORNERS, strict=True):
                points += [c * s / 2 for c, s in zip(corner, size, strict=True)]
                normals += [float(n) for n in normal]
                coordinates += uv
        indices = [n for side in range(6) for n in (0, 1, 2, 0, 2, 3) for n in (side * 4 + n,)]
        accessors.append(
            {"bufferView": view(struct.pack("<36H", *indices)), "componentType": 5123,
             "count": 36, "type": "SCALAR"}
        )  # fmt: skip
        index = len(accessors) - 1
        attributes = {
            "POSITION": accessor(points, "VEC3", 3, limits=True),
            "NORMAL": accessor(normals, "VEC3", 3),
            "TEXCOORD_0": accessor(coordinates, "VEC2", 2),
        }
        primitive = {"attributes": attributes, "indices": index, "material": material}
        meshes.append({"name": name, "primitives": [primitive]})
        nodes.append({"name": name, "mesh": len(meshes) - 1, "translation": list(centre)})
    image = view(checkered_png())
    blob.extend(b"\0" * (-len(blob) % 4))
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(nodes)))}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": [
            {"name": "Oak", "pbrMetallicRoughness": {"baseColorTexture": {"index": 0},
                                                     "metallicFactor": 0.0}},
            {"name": "Steel", "pbrMetallicRoughness": {"baseColorFactor": [0.6, 0.6, 0.65, 1.0],
                                                       "metallicFactor": 1.0}},
        ],
        "textures": [{"source": 0}],
        "images": [{"bufferView": image, "mimeType": "image/png", "name": "oak"}],
        "buffers": [{"byteLength": len(blob)}],
        "bufferViews": views,
        "accessors": accessors,
    }  # fmt: skip
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    size_of_all = 12 + 8 + len(text) + 8 + len(blob)
    return (
        struct.pack("<4sII", b"glTF", 2, size_of_all)
        + struct.pack("<II", len(text), 0x4E4F534A)
        + text
        + struct.pack("<II", len(blob), 0x004E4942)
        + bytes(blob)
    )


def crate_obj() -> tuple[str, str]:
    """A crate of 0.5 m as OBJ and MTL text; the material names ``textures/crate.png``."""
    lines = ["mtllib crate.mtl", "o Crate", "usemtl Pine"]
    for _, corners in _SIDES:
        lines += [f"v {x / 4} {y / 4} {z / 4}" for x, y, z in corners]
    lines += [f"vt {u} {1 - v}" for u, v in _CORNERS]
    for side in range(6):
        lines.append("f " + " ".join(f"{side * 4 + n}/{n}" for n in (1, 2, 3, 4)))
    return "\n".join(lines) + "\n", "newmtl Pine\nKd 1 1 1\nmap_Kd textures/crate.png\n"
