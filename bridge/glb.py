# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and checks a binary glTF file (.glb) without Blender and without reading it into memory.

Used on both sides: the bridge checks a file that somebody sends as it is, and the export recipe
checks what Blender wrote. Standard library only. It never decodes geometry or pixels, never follows
a reference to another file, and never changes the file.

Facts: glTF 2.0 specification, chapter "GLB File Format Specification": a header of 12 bytes (magic
``glTF``, version 2, length of the whole file) and chunks of ``length, type, data``, little-endian;
the first chunk is JSON, an optional second one is BIN.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .problems import Category, ProblemError

HEADER_BYTES = 12
CHUNK_HEADER_BYTES = 8
MAGIC = b"glTF"
JSON_CHUNK = 0x4E4F534A
BIN_CHUNK = 0x004E4942
# A description of the scene is small beside its data; this only bounds memory for a hostile file.
MAX_JSON_BYTES = 512 * 1024 * 1024
DRACO = "KHR_draco_mesh_compression"
INSTANCING = "EXT_mesh_gpu_instancing"

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_COMPONENTS = {
    "SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16,
}  # fmt: skip


@dataclass(frozen=True)
class GlbInfo:
    """What a sound GLB holds.

    ``triangles`` counts what the default scene shows: a mesh that two nodes use counts twice;
    ``mesh_triangles`` counts each mesh once. ``bytes`` is the size of the file.
    """

    bytes: int
    meshes: int
    triangles: int
    mesh_triangles: int
    materials: int
    images: int
    textures: int
    nodes: int
    animations: int
    extensions: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The form that a recipe's result carries."""
        return asdict(self)


@dataclass(frozen=True)
class Glb:
    """The readable part of a GLB: its JSON, and where its binary data lies (offset, length)."""

    path: Path
    size: int
    json: dict[str, Any]
    bin_offset: int
    bin_length: int


def _damaged(path: Path, technical: str) -> ProblemError:
    return ProblemError(
        Category.INPUT,
        f"The file {path.name} is damaged or incomplete.",
        "Export it again, then send the new file.",
        technical,
    )


def _chunks(file: BinaryIO, path: Path, size: int) -> Iterator[tuple[int, int, int]]:
    """Yield ``(type, offset, length)`` of each chunk; raises when one leaves the file."""
    position = HEADER_BYTES
    while position < size:
        file.seek(position)
        head = file.read(CHUNK_HEADER_BYTES)
        if len(head) < CHUNK_HEADER_BYTES:
            raise _damaged(path, f"chunk header cut off at byte {position}")
        length, kind = struct.unpack("<II", head)
        start = position + CHUNK_HEADER_BYTES
        if length % 4:
            raise _damaged(path, f"chunk at byte {position} has length {length}, no multiple of 4")
        if start + length > size:
            raise _damaged(
                path, f"chunk at byte {position} says {length} bytes, {size - start} are left"
            )
        yield kind, start, length
        position = start + length


def read(path: Path) -> Glb:
    """Read the container and its JSON chunk.

    Raises ProblemError(INPUT) for a file that is no GLB, is cut off or contradicts itself.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            return _read(file, path, size)
    except OSError as error:
        raise ProblemError(
            Category.INPUT,
            f"The file {path.name} cannot be read.",
            "Check that it exists and that you may read it.",
            f"{path}: {error.strerror or error}",
        ) from None


def _read(file: BinaryIO, path: Path, size: int) -> Glb:
    head = file.read(HEADER_BYTES)
    if head[:4] != MAGIC:
        raise ProblemError(
            Category.INPUT,
            f"The file {path.name} is not a binary glTF file.",
            "Send a .glb file, or the .blend itself.",
            f"first bytes {head[:4]!r}, expected {MAGIC!r}",
        )
    if len(head) < HEADER_BYTES:
        raise _damaged(path, f"the file ends after {len(head)} bytes")
    version, declared = struct.unpack("<II", head[4:])
    if version != 2:
        raise ProblemError(
            Category.INPUT,
            f"The file {path.name} has glTF version {version}; only version 2 can be sent.",
            "Export it again as glTF 2.0.",
        )
    if declared != size:
        raise _damaged(path, f"the header says {declared} bytes, the file has {size}")
    document: dict[str, Any] | None = None
    bin_offset = bin_length = 0
    for number, (kind, start, length) in enumerate(_chunks(file, path, size)):
        if number == 0:
            if kind != JSON_CHUNK:
                raise _damaged(path, f"the first chunk has type {kind:#x}, not JSON")
            document = _read_json(file, path, start, length)
        elif number == 1 and kind == BIN_CHUNK:
            bin_offset, bin_length = start, length
    if document is None:
        raise _damaged(path, "the file has no JSON chunk")
    return Glb(path, size, document, bin_offset, bin_length)


def _read_json(file: BinaryIO, path: Path, start: int, length: int) -> dict[str, Any]:
    if length > MAX_JSON_BYTES:
        raise _damaged(path, f"the JSON chunk has {length} bytes")
    file.seek(start)
    try:
        document = json.loads(file.read(length).decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _damaged(path, f"the JSON chunk cannot be read: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("asset"), dict):
        raise _damaged(path, "the JSON chunk is no glTF document")
    return document


def _check_views(glb: Glb) -> None:
    """Each buffer view inside its buffer, each accessor inside its view."""
    document, path = glb.json, glb.path
    buffers = document.get("buffers", [])
    for index, buffer in enumerate(buffers):
        uri = buffer.get("uri")
        if uri is None:
            if index != 0 or glb.bin_length < buffer["byteLength"]:
                raise _damaged(
                    path,
                    f"buffer {index} wants {buffer['byteLength']} bytes, "
                    f"the binary chunk has {glb.bin_length}",
                )
        elif not uri.startswith("data:"):
            raise _outside(path, uri)
    views = document.get("bufferViews", [])
    for index, view in enumerate(views):
        end = view.get("byteOffset", 0) + view["byteLength"]
        if not 0 <= view.get("byteOffset", 0) <= end <= buffers[view["buffer"]]["byteLength"]:
            raise _damaged(path, f"buffer view {index} leaves its buffer")
    for index, accessor in enumerate(document.get("accessors", [])):
        if "bufferView" not in accessor:
            continue
        view = views[accessor["bufferView"]]
        element = _COMPONENT_BYTES[accessor["componentType"]] * _COMPONENTS[accessor["type"]]
        stride = view.get("byteStride", element)
        count = accessor["count"]
        used = accessor.get("byteOffset", 0) + (count - 1) * stride + element if count else 0
        if used > view["byteLength"]:
            raise _damaged(path, f"accessor {index} leaves its buffer view")


def _outside(path: Path, uri: str) -> ProblemError:
    return ProblemError(
        Category.INPUT,
        f"The file {path.name} needs another file beside it, which would not be sent.",
        "Export it again as one .glb file with everything embedded.",
        f"refers to {uri[:80]}",
    )


def _check_images(glb: Glb) -> None:
    """Each image lies inside the file and begins like the kind of image that it claims to be."""
    views = glb.json.get("bufferViews", [])
    with open(glb.path, "rb") as file:
        for index, image in enumerate(glb.json.get("images", [])):
            if "bufferView" not in image:
                if not str(image.get("uri", "")).startswith("data:"):
                    raise _outside(glb.path, str(image.get("uri", "nothing")))
                continue
            view = views[image["bufferView"]]
            file.seek(glb.bin_offset + view.get("byteOffset", 0))
            begin = file.read(min(16, view["byteLength"]))
            if not _looks_like(str(image.get("mimeType", "")), begin):
                name = image.get("name", index)
                raise _damaged(
                    glb.path, f"image {name} says {image.get('mimeType')}, begins {begin[:8]!r}"
                )


def _looks_like(mime: str, begin: bytes) -> bool:
    if mime == "image/png":
        return begin.startswith(b"\x89PNG\r\n\x1a\n")
    if mime == "image/jpeg":
        return begin.startswith(b"\xff\xd8\xff")
    if mime == "image/webp":
        return begin[:4] == b"RIFF" and begin[8:12] == b"WEBP"
    return bool(begin)  # other kinds come by extensions, whose reader judges them


def primitive_triangles(document: dict[str, Any], primitive: dict[str, Any]) -> int:
    """Triangles of one primitive; 0 for points and lines."""
    accessors = document.get("accessors", [])
    source = primitive.get("indices", primitive.get("attributes", {}).get("POSITION"))
    count = accessors[source]["count"] if source is not None else 0
    mode = primitive.get("mode", _TRIANGLES)
    if mode == _TRIANGLES:
        return int(count) // 3
    if mode in (_STRIP, _FAN):
        return max(0, int(count) - 2)
    return 0


def _shown_triangles(document: dict[str, Any], per_mesh: list[int]) -> int:
    """Triangles that the default scene shows, each use of a mesh counted."""
    nodes = document.get("nodes", [])
    scenes = document.get("scenes", [])
    if scenes:
        stack = list(scenes[document.get("scene", 0)].get("nodes", []))
    else:
        stack = list(range(len(nodes)))
    total, seen = 0, set()
    while stack:
        index = stack.pop()
        if index in seen:
            continue
        seen.add(index)
        node = nodes[index]
        stack.extend(node.get("children", []))
        if "mesh" in node:
            total += per_mesh[node["mesh"]] * _copies(document, node)
    return total


def _copies(document: dict[str, Any], node: dict[str, Any]) -> int:
    attributes = node.get("extensions", {}).get(INSTANCING, {}).get("attributes", {})
    for accessor in attributes.values():
        return int(document["accessors"][accessor]["count"])
    return 1


def describe(glb: Glb) -> GlbInfo:
    """Count what the file holds; raises ProblemError(INPUT) when its parts do not fit together."""
    document = glb.json
    try:
        per_mesh = [
            sum(primitive_triangles(document, part) for part in mesh.get("primitives", []))
            for mesh in document.get("meshes", [])
        ]
        return GlbInfo(
            bytes=glb.size,
            meshes=len(per_mesh),
            triangles=_shown_triangles(document, per_mesh),
            mesh_triangles=sum(per_mesh),
            materials=len(document.get("materials", [])),
            images=len(document.get("images", [])),
            textures=len(document.get("textures", [])),
            nodes=len(document.get("nodes", [])),
            animations=len(document.get("animations", [])),
            extensions=tuple(document.get("extensionsUsed", [])),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(glb.path, f"{type(error).__name__}: {error}") from None


def check(path: Path, *, max_bytes: int | None = None) -> GlbInfo:
    """Check a GLB as far as it can be without decoding it, and count what it holds.

    ``max_bytes`` is the service's limit (Rigyd: 500 MB for each upload, from its page on supported
    formats). Raises ProblemError: LIMIT when it is passed, INPUT when the file is damaged, points
    to other files, or shows no mesh with a surface.
    """
    path = Path(path)
    glb = read(path)
    if max_bytes is not None and glb.size > max_bytes:
        raise too_big(path.name, glb.size, max_bytes)
    try:
        _check_views(glb)
        _check_images(glb)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from None
    info = describe(glb)
    if info.triangles == 0:
        raise ProblemError(
            Category.INPUT,
            f"The file {path.name} has no visible surface.",
            "Send at least one mesh with faces.",
            f"{info.meshes} meshes, {info.mesh_triangles} triangles, none in the default scene",
        )
    return info


def check_ready_file(path: Path, *, max_bytes: int | None = None) -> GlbInfo:
    """Check a GLB that is sent as it is (``scene-courier send model.glb``); see ``check``."""
    return check(path, max_bytes=max_bytes)


def megabytes(count: int) -> str:
    """A size for people, in decimal megabytes."""
    return f"{count / 1e6:,.1f} MB" if count < 100e6 else f"{count / 1e6:,.0f} MB"


def too_big(name: str, size: int, limit: int, hint: str = "") -> ProblemError:
    """The problem of a file above the service's limit, with both numbers."""
    return ProblemError(
        Category.LIMIT,
        f"{name} has {megabytes(size)}; the service takes at most {megabytes(limit)}.",
        hint or "Use smaller textures, fewer objects, or fewer triangles (a Decimate modifier).",
        f"{size} bytes, limit {limit}",
    )
