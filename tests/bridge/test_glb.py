# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a GLB without Blender: sound files are counted, broken ones refused in plain words."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from bridge import glb
from bridge.problems import Category, ProblemError
from tests.support import gltf


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "model.glb"
    path.write_bytes(data)
    return path


def refused(path: Path, **more: Any) -> Any:
    with pytest.raises(ProblemError) as caught:
        glb.check_ready_file(path, **more)
    return caught.value.problem


def test_sound_file(tmp_path: Path) -> None:
    data = gltf.pack(*gltf.triangle())
    info = glb.check_ready_file(write(tmp_path, data))
    assert (info.bytes, info.meshes, info.triangles) == (len(data), 1, 1)


def test_uses_of_a_mesh_are_counted(tmp_path: Path) -> None:
    document, binary = gltf.triangle(
        nodes=[{"children": [1, 2]}, {"mesh": 0}, {"mesh": 0}, {"mesh": 0}],
    )
    info = glb.check_ready_file(write(tmp_path, gltf.pack(document, binary)))
    assert (info.triangles, info.mesh_triangles) == (2, 1)  # the last node is in no scene


@pytest.mark.parametrize("mode, count", [(4, 3), (5, 7), (6, 7), (0, 0), (1, 0)])
def test_modes(mode: int, count: int) -> None:
    document = {"accessors": [{"count": 9}]}
    primitive = {"mode": mode, "attributes": {"POSITION": 0}}
    assert glb.primitive_triangles(document, primitive) == count


@pytest.mark.parametrize("keep", [0, 3, 11, 12, 19, 100, -1, -36])
def test_truncated(tmp_path: Path, keep: int) -> None:
    data = gltf.pack(*gltf.triangle())
    problem = refused(write(tmp_path, data[:keep]))
    assert problem.category is Category.INPUT
    assert "damaged or incomplete" in problem.sentence or "not a binary glTF" in problem.sentence
    assert problem.hint


def test_wrong_length(tmp_path: Path) -> None:
    data = bytearray(gltf.pack(*gltf.triangle()))
    struct.pack_into("<I", data, 8, len(data) + 4)
    problem = refused(write(tmp_path, bytes(data)))
    assert problem.sentence == "The file model.glb is damaged or incomplete."
    assert problem.technical == f"the header says {len(data) + 4} bytes, the file has {len(data)}"


def test_chunk_longer_than_the_file(tmp_path: Path) -> None:
    data = bytearray(gltf.pack(*gltf.triangle()))
    struct.pack_into("<I", data, 12, len(data))
    assert "are left" in refused(write(tmp_path, bytes(data))).technical


def test_json_that_is_none(tmp_path: Path) -> None:
    data = gltf.pack(*gltf.triangle()).replace(b'{"asset"', b'["asset"')
    assert "JSON chunk" in refused(write(tmp_path, data)).technical


def test_other_file(tmp_path: Path) -> None:
    problem = refused(write(tmp_path, b"solid model from a CAD program"))
    assert problem.sentence == "The file model.glb is not a binary glTF file."


def test_gltf_1(tmp_path: Path) -> None:
    problem = refused(write(tmp_path, struct.pack("<4sII", b"glTF", 1, 20) + bytes(8)))
    assert "version 1" in problem.sentence


def test_missing_file(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "nowhere.glb").sentence


@pytest.mark.parametrize(
    "change",
    [
        {"bufferViews": [{"buffer": 0, "byteLength": 4000}]},
        {"bufferViews": [{"buffer": 0, "byteOffset": -8, "byteLength": 8}]},
        {"buffers": [{"byteLength": 4000}]},
        {"accessors": [{"bufferView": 0, "componentType": 5126, "count": 400, "type": "VEC3"}]},
        {"accessors": [{"bufferView": 7, "componentType": 5126, "count": 3, "type": "VEC3"}]},
        {"nodes": [{"mesh": 5}]},
        {"nodes": "none"},
        {"meshes": [{"primitives": [{"attributes": {"POSITION": 9}}]}]},
    ],
)
def test_parts_that_do_not_fit(tmp_path: Path, change: dict[str, Any]) -> None:
    document, binary = gltf.triangle(**change)
    problem = refused(write(tmp_path, gltf.pack(document, binary)))
    assert problem.sentence == "The file model.glb is damaged or incomplete."


def test_image_that_is_none(tmp_path: Path) -> None:
    document, binary = gltf.triangle(
        images=[{"name": "wood", "bufferView": 0, "mimeType": "image/png"}]
    )
    assert (
        "image wood says image/png"
        in refused(write(tmp_path, gltf.pack(document, binary))).technical
    )


@pytest.mark.parametrize("part", ["images", "buffers"])
def test_reference_to_another_file(tmp_path: Path, part: str) -> None:
    document, binary = gltf.triangle()
    document.setdefault(part, []).append({"uri": "wood.png", "byteLength": 4})
    problem = refused(write(tmp_path, gltf.pack(document, binary)))
    assert "needs another file" in problem.sentence
    assert "everything embedded" in problem.hint


def test_no_surface(tmp_path: Path) -> None:
    document, binary = gltf.triangle(nodes=[{"name": "Empty"}])
    problem = refused(write(tmp_path, gltf.pack(document, binary)))
    assert problem.sentence == "The file model.glb has no visible surface."


def test_limit(tmp_path: Path) -> None:
    path = write(tmp_path, gltf.pack(*gltf.triangle()))
    assert glb.check_ready_file(path, max_bytes=path.stat().st_size)
    problem = refused(path, max_bytes=path.stat().st_size - 1)
    assert problem.category is Category.LIMIT
    assert "at most" in problem.sentence and "smaller textures" in problem.hint


def test_limit_of_500_mb_without_reading_it(tmp_path: Path) -> None:
    """A sparse file of 600 MB: the sizes are right, nothing of it comes into memory."""
    document, binary = gltf.triangle(buffers=[{"byteLength": 600_000_000}])
    head = gltf.pack(document, binary)[:12]
    text = gltf.pack(document)[12:]
    total = 12 + len(text) + 8 + 600_000_000
    path = tmp_path / "model.glb"
    with open(path, "wb") as file:
        file.write(struct.pack("<4sII", head[:4], 2, total) + text)
        file.write(struct.pack("<I4s", 600_000_000, b"BIN\0") + binary)
        file.truncate(total)
    tracemalloc.start()
    problem = refused(path, max_bytes=500_000_000)
    assert problem.sentence == "model.glb has 600 MB; the service takes at most 500 MB."
    assert glb.check_ready_file(path).triangles == 1
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()
