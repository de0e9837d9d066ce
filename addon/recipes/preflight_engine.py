# SPDX-License-Identifier: GPL-3.0-or-later
"""Which render engine each scene of a .blend names, read from the file itself.

A Blender without the engine's add-on puts another in its place and does not tell which it was, so
for a file that nobody captured the file has to be asked. Reads in one pass, keeps only the scenes;
writes nothing. Standard library, plus ``zstandard`` (Blender bundles it).

Facts (Blender's own "blend file format"): after the header come blocks, each with code, length,
old address, index of its struct and count. Up to 4.x lengths have 32 bits, in 5.0's larger header
64. The block DNA1, near the end, describes all structs: names, types, sizes, fields.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO

_ZSTD, _GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
_ARRAY = re.compile(rb"\[(\d+)\]")
_LARGEST_SCENE = 1 << 20
_CHUNK = 1 << 20


def engines(path: str | Path) -> dict[str, str]:
    """Scene name -> engine, such as {"Scene": "CYCLES"}; {} where the file cannot be read so."""
    try:
        with _opened(Path(path)) as stream:
            return _read(stream)
    except (OSError, EOFError, ValueError, KeyError, IndexError, struct.error, ImportError):
        return {}
    except Exception as error:  # a damaged zstd stream raises zstandard's own error
        print(f"engine of {path}: {type(error).__name__}: {error}", flush=True)
        return {}


def _opened(path: Path) -> Any:
    with open(path, "rb") as file:
        head = file.read(4)
    if head == _ZSTD:
        import zstandard

        file = open(path, "rb")  # noqa: SIM115 (closed with the reader)
        return zstandard.ZstdDecompressor().stream_reader(
            file, read_across_frames=True, closefd=True
        )
    return gzip.open(path, "rb") if head[:2] == _GZIP else open(path, "rb")


def _read(stream: BinaryIO) -> dict[str, str]:
    header = _exactly(stream, 12)
    if not header.startswith(b"BLENDER"):
        raise ValueError("not a .blend")
    if header[7:9].isdigit():  # since 5.0: the header's own length follows
        rest = _exactly(stream, int(header[7:9]) - len(header))
        large, order = True, ">" if rest[:1] == b"V" else "<"
        head = struct.Struct(f"{order}4siQqq")
    else:
        large, order = False, ">" if header[8:9] == b"V" else "<"
        head = struct.Struct(f"{order}4siQii" if header[7:8] == b"-" else f"{order}4siIii")
    pointer = 4 if not large and header[7:8] == b"_" else 8
    scenes: list[bytes] = []
    while True:
        fields = head.unpack(_exactly(stream, head.size))
        code, length = (fields[0], fields[3]) if large else (fields[0], fields[1])
        if code == b"SC\0\0" and length <= _LARGEST_SCENE:
            scenes.append(_exactly(stream, length))
        elif code == b"DNA1":
            return _named(scenes, _Dna(_exactly(stream, length), order, pointer))
        elif code == b"ENDB":
            return {}
        else:
            _skip(stream, length)


def _named(scenes: list[bytes], dna: _Dna) -> dict[str, str]:
    name = dna.offset("Scene", "id") + dna.offset("ID", "name") + 2  # after the code "SC"
    engine = dna.offset("Scene", "r") + dna.offset("RenderData", "engine")
    return {_text(data, name): _text(data, engine) for data in scenes}


def _text(data: bytes, start: int) -> str:
    end = data.index(b"\0", start)
    return data[start:end].decode("utf-8", "surrogateescape")


class _Dna:
    """The description of all structs: enough of it to tell where a field lies."""

    def __init__(self, data: bytes, order: str, pointer: int) -> None:
        self._data, self._order, self._pointer, self._at = data, order, pointer, 4
        names = self._texts(b"NAME")
        types = self._texts(b"TYPE")
        self._tag(b"TLEN")
        self._sizes = dict(zip(types, self._numbers(f"{len(types)}H"), strict=True))
        self._tag(b"STRC")
        (count,) = self._numbers("i")
        self._fields: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for _ in range(count):
            kind, many = self._numbers("HH")
            pairs = self._numbers(f"{2 * many}H")
            rows = [(types[pairs[n]], names[pairs[n + 1]]) for n in range(0, 2 * many, 2)]
            self._fields[types[kind]] = rows

    def offset(self, owner: str, wanted: str) -> int:
        """Where a field of a struct begins, in bytes."""
        place = 0
        for kind, name in self._fields[owner.encode()]:
            if _ARRAY.sub(b"", name) == wanted.encode():
                return place
            size = self._pointer if name[:1] in (b"*", b"(") else self._sizes[kind]
            for many in _ARRAY.findall(name):
                size *= int(many)
            place += size
        raise KeyError(f"{owner}.{wanted}")

    def _tag(self, tag: bytes) -> None:
        self._at = -(-self._at // 4) * 4
        if self._data[self._at : self._at + 4] != tag:
            raise ValueError(f"no {tag!r} in the description of structs")
        self._at += 4

    def _numbers(self, form: str) -> tuple[int, ...]:
        form = self._order + form
        found = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return found

    def _texts(self, tag: bytes) -> list[bytes]:
        self._tag(tag)
        found = []
        for _ in range(self._numbers("i")[0]):
            end = self._data.index(b"\0", self._at)
            found.append(self._data[self._at : end])
            self._at = end + 1
        return found


def _exactly(stream: BinaryIO, size: int) -> bytes:
    parts = []
    while size > 0:
        part = stream.read(size)
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _skip(stream: BinaryIO, size: int) -> None:
    if isinstance(stream, io.BufferedReader):  # not compressed
        stream.seek(size, os.SEEK_CUR)
        return
    while size > 0:
        size -= len(_exactly(stream, min(size, _CHUNK)))
