# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a TIFF or BigTIFF file whole? Every strip and tile of every picture in it is looked up.

The directory of a TIFF may stand anywhere, often at the end; strips and tiles are named by offset
and length (TIFF 6.0, BigTIFF). Nothing is decompressed.
"""

from __future__ import annotations

import struct

from .media import Damaged, MediaFacts, Source

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_MOST_PICTURES = 4096
_MOST_VALUES = 20_000_000
_WANTED = {256, 257, 258, 259, 273, 277, 278, 279, 284, 322, 323, 324, 325}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _ROWS, _PLANAR = 256, 257, 258, 259, 277, 278, 284
_STRIPS, _STRIP_BYTES = 273, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 322, 323, 324, 325


def tiff(source: Source) -> MediaFacts:
    """All directories, and all pixels that they name."""
    start = source.start(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    version = struct.unpack(f"{order}H", start[2:4])[0] if order and len(start) >= 8 else 0
    if order is None or version not in (42, 43):
        raise Damaged("no TIFF signature", foreign=True)
    big = version == 43
    place = struct.unpack(f"{order}{'Q' if big else 'I'}", start[8:16] if big else start[4:8])[0]
    facts: MediaFacts | None = None
    seen: set[int] = set()
    while place:
        if place in seen or len(seen) >= _MOST_PICTURES:
            raise Damaged("directories without an end")
        seen.add(place)
        tags, place = _directory(source, order, big, place)
        size = _picture(source, tags)
        if facts is None:
            facts = MediaFacts("tiff", *size)
    if facts is None:
        raise Damaged("no picture was ever finished in it")
    return facts


def _directory(
    source: Source, order: str, big: bool, place: int
) -> tuple[dict[int, list[int]], int]:
    """The wanted tags, and the next directory's place (0: none)."""
    head, entry, word = (8, 20, "Q") if big else (2, 12, "I")
    count = struct.unpack(f"{order}{'Q' if big else 'H'}", source.at(place, head))[0]
    if count > 65535:
        raise Damaged("a directory that makes no sense")
    raw = source.at(place + head, count * entry)
    inline = 8 if big else 4
    tags: dict[int, list[int]] = {}
    for at in range(0, len(raw), entry):
        tag, kind, values = struct.unpack(f"{order}HH{word}", raw[at : at + 4 + inline])
        if tag not in _WANTED or kind not in _CODES:
            continue
        if values > _MOST_VALUES:
            raise Damaged("a directory that makes no sense")
        size = values * _SIZES[kind]
        field = raw[at + 4 + inline : at + entry]
        if size > inline:
            field = source.at(struct.unpack(f"{order}{word}", field)[0], size)
        tags[tag] = list(struct.unpack(f"{order}{values}{_CODES[kind]}", field[:size]))
    end = source.at(place + head + count * entry, inline)
    return tags, struct.unpack(f"{order}{word}", end)[0]


def _picture(source: Source, tags: dict[int, list[int]]) -> tuple[int, int]:
    width, height = _one(tags, _WIDTH), _one(tags, _HEIGHT)
    if not width or not height:
        raise Damaged("a picture without a size")
    samples = _one(tags, _SAMPLES, 1)
    planes = samples if _one(tags, _PLANAR, 1) == 2 else 1
    if _TILES in tags:
        across, down = _one(tags, _TILE_WIDTH), _one(tags, _TILE_HEIGHT)
        if not across or not down:
            raise Damaged("tiles without a size")
        offsets, lengths = tags[_TILES], tags.get(_TILE_BYTES, [])
        expected = -(-width // across) * -(-height // down) * planes
    else:
        rows = min(_one(tags, _ROWS, height) or height, height)
        offsets, lengths = tags.get(_STRIPS, []), tags.get(_STRIP_BYTES, [])
        expected = -(-height // rows) * planes
    if len(offsets) != expected or len(lengths) != expected:
        raise Damaged(f"{len(offsets)} of {expected} strips or tiles")
    total = 0
    for offset, length in zip(offsets, lengths, strict=True):
        if not offset or not length:
            raise Damaged("a strip or tile was never written")
        source.need(offset, length)
        total += length
    bits = tags.get(_BITS, [1])
    row = -(-width * (sum(bits) if len(bits) == samples else bits[0] * samples) // 8)
    if _one(tags, _COMPRESSION, 1) == 1 and _TILES not in tags and total < row * height:
        raise Damaged(f"{total} of {row * height} bytes of pixels")
    return width, height


def _one(tags: dict[int, list[int]], tag: int, default: int = 0) -> int:
    values = tags.get(tag)
    return values[0] if values else default
