# SPDX-License-Identifier: GPL-3.0-or-later
"""Is an OpenEXR file whole? Single and multi-part, scan lines and tiles, deep or flat.

An OpenEXR file names every chunk of pixels in a table behind its headers (OpenEXR File Layout). The
table is written last: a file that was never finished has zeros in it. Here each chunk must be in
the table, inside the file, and carry its own place.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from .media import Damaged, MediaFacts, Source

_MAGIC = b"\x76\x2f\x31\x01"
_TILED, _DEEP, _MULTIPART = 0x200, 0x800, 0x1000
_MOST_CHUNKS = 50_000_000
_MOST_PARTS = 10_000
_LONGEST_HEADER = 64 * 1024 * 1024
# compression -> rows in a chunk; later ones (10, 11) are OpenEXR 3.4's
_ROWS = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256, 10: 256, 11: 32}
_TABLE_PIECE = 65536


@dataclass
class _Part:
    values: dict[str, bytes] = field(default_factory=dict)
    tiled: bool = False
    deep: bool = False

    def box(self, name: str) -> tuple[int, int, int, int]:
        raw = self.values.get(name, b"")
        if len(raw) != 16:
            raise Damaged(f"no {name}")
        left, top, right, bottom = struct.unpack("<4i", raw)
        if right < left or bottom < top:
            raise Damaged(f"a {name} that makes no sense")
        return left, top, right, bottom


def exr(source: Source) -> MediaFacts:
    """Headers, the table of chunks, and every chunk."""
    start = source.start(8)
    if start[:4] != _MAGIC:
        raise Damaged("no OpenEXR signature", foreign=True)
    version = struct.unpack("<I", start[4:8])[0] if len(start) == 8 else 0
    parts, place = _headers(source, version)
    counts = [_chunk_count(part) for part in parts]
    for number, count in enumerate(counts):
        if count is None:  # a compression of the future: the first chunk follows the table
            first = struct.unpack("<Q", source.at(place, 8))[0]
            if len(parts) > 1 or first < place or (first - place) % 8:
                raise Damaged("an unknown compression")
            counts[number] = (first - place) // 8
    tables = sum(count or 0 for count in counts)
    if tables > _MOST_CHUNKS:
        raise Damaged("too many chunks")
    data = place + tables * 8
    source.need(place, tables * 8)
    for number, part in enumerate(parts):
        count = counts[number] or 0
        _chunks(source, part, place, count, data, number if version & _MULTIPART else None)
        place += count * 8
    left, top, right, bottom = parts[0].box("displayWindow")
    return MediaFacts("exr", right - left + 1, bottom - top + 1)


def _headers(source: Source, version: int) -> tuple[list[_Part], int]:
    parts: list[_Part] = []
    reader = _HeaderReader(source, 8)
    while True:
        part = _Part()
        while name := reader.text():
            reader.text()  # the type of the attribute
            size = reader.number()
            part.values[name] = reader.take(size)
        if not part.values:
            break  # the empty header behind the last part
        kind = part.values.get("type", b"").rstrip(b"\x00")
        part.deep = kind.startswith(b"deep") or (not kind and bool(version & _DEEP))
        part.tiled = kind.endswith(b"tile") or kind == b"tiledimage" or bool(version & _TILED)
        parts.append(part)
        if not version & _MULTIPART:
            break
        if len(parts) > _MOST_PARTS:
            raise Damaged("too many parts")
    if not parts:
        raise Damaged("no header")
    return parts, reader.place


class _HeaderReader:
    def __init__(self, source: Source, place: int) -> None:
        self._source, self.place = source, place
        self._data, self._at = b"", place

    def take(self, count: int) -> bytes:
        if count < 0 or self.place + count > _LONGEST_HEADER:
            raise Damaged("a header that makes no sense")
        start = self.place - self._at
        if start + count > len(self._data):
            self._source.need(self.place, count)
            self._at = self.place
            wanted = max(count, 65536)
            self._data = self._source.at(self.place, min(wanted, self._source.size - self.place))
            start = 0
        self.place += count
        return self._data[start : start + count]

    def text(self) -> str:
        letters = bytearray()
        while (letter := self.take(1)) != b"\x00":
            letters += letter
            if len(letters) > 255:
                raise Damaged("a name without an end")
        return letters.decode("utf-8", "replace")

    def number(self) -> int:
        return int(struct.unpack("<i", self.take(4))[0])


def _chunk_count(part: _Part) -> int | None:
    """How many chunks the part has; None for a compression that is not known."""
    told = part.values.get("chunkCount", b"")
    if len(told) == 4:
        return max(0, int(struct.unpack("<i", told)[0]))
    left, top, right, bottom = part.box("dataWindow")
    width, height = right - left + 1, bottom - top + 1
    if part.tiled:
        return _tile_count(part, width, height)
    compression = part.values.get("compression", b"\xff")[0]
    rows = 1 if part.deep and compression <= 2 else _ROWS.get(compression)
    return None if rows is None else -(-height // rows)


def _tile_count(part: _Part, width: int, height: int) -> int:
    raw = part.values.get("tiles", b"")
    if len(raw) != 9:
        raise Damaged("no tile sizes")
    across, down, mode = struct.unpack("<IIB", raw)
    if not across or not down:
        raise Damaged("tiles without a size")
    up = bool(mode >> 4)

    def levels(size: int) -> list[int]:
        sizes = [size]
        while sizes[-1] > 1:
            sizes.append(max(1, (sizes[-1] + 1) // 2 if up else sizes[-1] // 2))
        return sizes

    def tiles(columns: int, rows: int) -> int:
        return -(-columns // across) * -(-rows // down)

    kind = mode & 15
    if kind == 0:
        return tiles(width, height)
    wide, high = levels(width), levels(height)
    if kind == 2:  # every combination of both
        return sum(tiles(x, y) for x in wide for y in high)
    count = max(len(wide), len(high))
    wide += [1] * (count - len(wide))
    high += [1] * (count - len(high))
    return sum(tiles(x, y) for x, y in zip(wide, high, strict=True))


def _chunks(
    source: Source, part: _Part, table: int, count: int, data: int, number: int | None
) -> None:
    """Every chunk of one part: in the table, inside the file, at its own place."""
    left, top, right, bottom = part.box("dataWindow")
    place_size = 16 if part.tiled else 4
    head_size = (4 if number is not None else 0) + place_size + (24 if part.deep else 4)
    for first in range(0, count, _TABLE_PIECE):
        some = min(_TABLE_PIECE, count - first)
        for at, offset in enumerate(
            struct.unpack(f"<{some}Q", source.at(table + first * 8, some * 8))
        ):
            if offset < data:
                raise Damaged(f"chunk {first + at} of {count} was never written")
            head = source.at(offset, head_size)
            if number is not None:
                if struct.unpack("<i", head[:4])[0] != number:
                    raise Damaged(f"chunk {first + at} of {count} is of another part")
                head = head[4:]
            if part.tiled:
                column, row, level_x, level_y = struct.unpack("<4i", head[:16])
                fits = min(column, row, level_x, level_y) >= 0 and column <= right - left
                fits = fits and row <= bottom - top
            else:
                line = struct.unpack("<i", head[:4])[0]
                fits = top <= line <= bottom and (first + at > 0 or line == top)
            if not fits:
                raise Damaged(f"chunk {first + at} of {count} is not at its place")
            if part.deep:
                table_size, packed, _unpacked = struct.unpack("<QQQ", head[place_size:])
                size = table_size + packed
            else:
                size = struct.unpack("<i", head[place_size:])[0]
            if size <= 0 or (part.deep and table_size == 0):
                raise Damaged(f"chunk {first + at} of {count} is empty")
            source.need(offset + head_size, size)
