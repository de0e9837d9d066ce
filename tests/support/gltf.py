# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes and reads GLB files for tests, by the specification and without the code under test."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy

Vector = tuple[float, float, float]


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    """The JSON document and the binary chunk of a sound GLB."""
    data = path.read_bytes()
    magic, version, size = struct.unpack_from("<4sII", data)
    assert (magic, version, size) == (b"glTF", 2, len(data))
    length, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    document = json.loads(data[20 : 20 + length])
    rest = data[20 + length :]
    if not rest:
        return document, b""
    bin_length, bin_kind = struct.unpack_from("<I4s", rest)
    assert bin_kind == b"BIN\0" and len(rest) == 8 + bin_length
    return document, rest[8:]


def pack(document: dict[str, Any], binary: bytes = b"") -> bytes:
    """A GLB from its two parts."""
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    if binary:
        chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def triangle(**more: Any) -> tuple[dict[str, Any], bytes]:
    """The smallest document with a surface: one triangle, not indexed."""
    binary = numpy.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype="<f4").tobytes()
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "Triangle"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(binary)}],
        "buffers": [{"byteLength": len(binary)}],
        **more,
    }
    return document, binary


def _matrix(node: dict[str, Any]) -> Any:
    if "matrix" in node:
        return numpy.array(node["matrix"], dtype=float).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    turn = numpy.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = numpy.eye(4)
    matrix[:3, :3] = turn * numpy.array(node.get("scale", (1, 1, 1)))
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


def placed(path: Path) -> dict[str, Any]:
    """Points of each node that has a mesh, in the file's world space: name -> array (n, 3)."""
    document, binary = parts(path)
    found: dict[str, Any] = {}

    def walk(index: int, above: Any) -> None:
        node = document["nodes"][index]
        world = above @ _matrix(node)
        if "mesh" in node:
            clouds = []
            for primitive in document["meshes"][node["mesh"]]["primitives"]:
                accessor = document["accessors"][primitive["attributes"]["POSITION"]]
                view = document["bufferViews"][accessor["bufferView"]]
                start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
                count = accessor["count"] * 3
                cloud = numpy.frombuffer(binary, "<f4", count, start).reshape(-1, 3)
                clouds.append(cloud @ world[:3, :3].T + world[:3, 3])
            assert node["name"] not in found
            found[node["name"]] = numpy.concatenate(clouds)
        for child in node.get("children", []):
            walk(child, world)

    for root in document["scenes"][document.get("scene", 0)]["nodes"]:
        walk(root, numpy.eye(4))
    return found


def upright(points: Any) -> Any:
    """From glTF's +Y up to Blender's +Z up."""
    return numpy.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1)


def images(path: Path) -> dict[str, tuple[str, bytes]]:
    """Embedded images: name -> (MIME type, file)."""
    document, binary = parts(path)
    found = {}
    for image in document.get("images", []):
        view = document["bufferViews"][image["bufferView"]]
        start = view.get("byteOffset", 0)
        found[image["name"]] = (image["mimeType"], binary[start : start + view["byteLength"]])
    return found
