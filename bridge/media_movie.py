# SPDX-License-Identifier: GPL-3.0-or-later
"""Are containers whole? MP4 and QuickTime, Matroska and WebM, AVI, and ZIP archives.

A video that was cut short, or never finished, lacks its index or announces more bytes than there
are. Nothing is decoded; a ZIP's members are read through for their checksums.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator

from .media import Damaged, MediaFacts, Source

_MOST_PIECES = 2_000_000
_BOX_KINDS = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid")
_INNER = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_PIECE = 1024 * 1024


# --- MP4, QuickTime -------------------------------------------------------------------------------


def boxes(source: Source) -> MediaFacts:
    """All boxes of the first level; the index (moov) and the data (mdat) are both there."""
    if source.size < 8 or source.at(4, 4) not in _BOX_KINDS:
        raise Damaged("no MP4 or QuickTime box", foreign=True)
    kinds: set[bytes] = set()
    index: tuple[int, int] | None = None
    for kind, place, end in _boxes(source, 0, source.size):
        kinds.add(kind)
        if kind == b"moov" and index is None:
            index = (place, end)
    if index is None:
        raise Damaged("no index: the video was not finished")
    if b"mdat" not in kinds:
        raise Damaged("no data")
    width, height, frames = _video_track(source, *index)
    return MediaFacts("mp4", width, height, frames)


def _boxes(source: Source, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, place of the content, its end) of the boxes side by side in a stretch."""
    for _number in range(_MOST_PIECES):
        if place >= end:
            return
        if end - place < 8:
            if source.at(place, end - place).strip(b"\x00"):
                raise Damaged(f"a cut box at {place}")
            return
        size, kind = struct.unpack(">I4s", source.at(place, 8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", source.at(place + 8, 8))[0], 16
        elif size == 0:
            size = end - place
        if size < head or place + size > end:
            raise Damaged(f"box {kind!r} at {place} announces {size} bytes, {end - place} are left")
        yield kind, place + head, place + size
        place += size
    raise Damaged("too many boxes")


def _video_track(source: Source, place: int, end: int) -> tuple[int, int, int | None]:
    """Width, height and number of frames of the first track with a picture."""
    for kind, start, stop in _boxes(source, place, end):
        if kind != b"trak":
            continue
        found = dict(_leaves(source, start, stop))
        track = found.get(b"tkhd", b"")
        width, height = (n >> 16 for n in struct.unpack(">II", track[-8:].rjust(8, b"\0")))
        if width and height:
            sizes = found.get(b"stsz", b"")
            count = struct.unpack(">I", sizes[8:12])[0] if len(sizes) == 12 else None
            return width, height, count
    return 0, 0, None


def _leaves(source: Source, place: int, end: int, depth: int = 0) -> Iterator[tuple[bytes, bytes]]:
    for kind, start, stop in _boxes(source, place, end):
        if kind in _INNER and depth < 6:
            yield from _leaves(source, start, stop, depth + 1)
        elif kind == b"tkhd":
            yield kind, source.at(start, min(stop - start, 200))
        elif kind == b"stsz":
            yield kind, source.at(start, min(stop - start, 12))


# --- Matroska, WebM -------------------------------------------------------------------------------

_EBML, _SEGMENT, _CLUSTER, _TRACKS = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1654AE6B
_TRACK, _VIDEO, _WIDTH, _HEIGHT = 0xAE, 0xE0, 0xB0, 0xBA
_CUES, _INFO, _TAGS, _SEEK, _CHAPTERS, _FILES = (
    0x1C53BB6B,
    0x1549A966,
    0x1254C367,
    0x114D9B74,
    0x1043A770,
    0x1941A469,
)
_TOP = (_CLUSTER, _TRACKS, _CUES, _INFO, _TAGS, _SEEK, _CHAPTERS, _FILES)


def matroska(source: Source) -> MediaFacts:
    """The segment's length and all its elements; tracks and at least one cluster are there."""
    if source.start(4) != b"\x1a\x45\xdf\xa3":
        raise Damaged("no Matroska signature", foreign=True)
    width = height = clusters = tracks = segments = 0
    for kind, place, end in _elements(source, 0, source.size):
        if kind != _SEGMENT:
            continue
        segments += 1
        for inner, start, stop in _elements(source, place, end):
            clusters += inner == _CLUSTER
            if inner == _TRACKS:
                tracks += 1
                width, height = _pixel_size(source, start, stop)
    if not segments or not tracks or not clusters:
        raise Damaged("no tracks or no pictures: the video was not finished")
    return MediaFacts("mkv", width, height)


def _elements(source: Source, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    for _number in range(_MOST_PIECES):
        if place >= end:
            return
        kind, place = _number_at(source, place, keep_mark=True)
        size, place = _number_at(source, place)
        if size is None and kind == _SEGMENT:
            raise Damaged("no length: the video was not finished")
        stop = end if size is None else place + size
        if stop > end:
            raise Damaged(f"element {kind or 0:x} announces {size} bytes, {end - place} are left")
        yield kind or 0, place, stop
        place = stop
    raise Damaged("too many elements")


def _number_at(source: Source, place: int, *, keep_mark: bool = False) -> tuple[int | None, int]:
    """A number of variable length and the place behind it; None is the "unknown" size."""
    first = source.at(place, 1)[0]
    if not first:
        raise Damaged(f"no element at {place}")
    length = 9 - first.bit_length()
    value = int.from_bytes(source.at(place, length), "big")
    if keep_mark:
        return value, place + length
    value &= (1 << 7 * length) - 1
    return (None if value == (1 << 7 * length) - 1 else value), place + length


def _pixel_size(source: Source, place: int, end: int) -> tuple[int, int]:
    for kind, start, stop in _elements(source, place, end):
        if kind == _TRACK:
            for inner, begin, finish in _elements(source, start, stop):
                if inner == _VIDEO:
                    values = {
                        leaf: int.from_bytes(source.at(a, min(b - a, 8)), "big")
                        for leaf, a, b in _elements(source, begin, finish)
                    }
                    return values.get(_WIDTH, 0), values.get(_HEIGHT, 0)
    return 0, 0


# --- AVI ------------------------------------------------------------------------------------------


def avi(source: Source) -> MediaFacts:
    """Every RIFF part and list of the first levels; header and pictures are there."""
    start = source.start(12)
    if start[:4] != b"RIFF" or start[8:12] != b"AVI ":
        raise Damaged("no AVI signature", foreign=True)
    place, lists = 0, set()
    width = height = 0
    frames: int | None = None
    while place + 12 <= source.size:
        kind, size = struct.unpack("<4sI", source.at(place, 8))
        if kind != b"RIFF":
            break  # padding behind the last part
        end = place + 8 + size
        source.need(place, 8 + size)
        at = place + 12
        while at + 8 <= end:
            kind, size = struct.unpack("<4sI", source.at(at, 8))
            if at + 8 + size > end:
                raise Damaged(f"chunk {kind!r} at {at} is cut")
            if kind == b"LIST" and size >= 4:
                name = source.at(at + 8, 4)
                lists.add(name)
                if name == b"hdrl" and size >= 52 and source.at(at + 12, 4) == b"avih":
                    frames = struct.unpack("<I", source.at(at + 36, 4))[0]
                    width, height = struct.unpack("<II", source.at(at + 52, 8))
            at += 8 + size + (size & 1)
        place = end + (end & 1)
    if b"hdrl" not in lists or b"movi" not in lists:
        raise Damaged("no header or no pictures: the video was not finished")
    return MediaFacts("avi", width, height, frames)


# --- ZIP ------------------------------------------------------------------------------------------


def archive(source: Source) -> MediaFacts:
    """The directory at the end, and every member read through for its checksum."""
    if source.start(2) != b"PK":
        raise Damaged("no ZIP signature", foreign=True)
    try:
        with zipfile.ZipFile(_Handle(source)) as opened:
            for info in opened.infolist():
                if info.flag_bits & 1:
                    raise Damaged("encrypted")
                left = info.file_size
                with opened.open(info) as member:
                    while piece := member.read(_PIECE):
                        left -= len(piece)
                        if left < 0:
                            raise Damaged(f"more in {info.filename!r} than announced")
                if left:
                    raise Damaged(f"less in {info.filename!r} than announced")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Damaged(f"{type(error).__name__}: {error}") from None
    return MediaFacts("zip")


class _Handle:
    """A Source as the file object that ``zipfile`` reads."""

    def __init__(self, source: Source) -> None:
        self._source, self._place = source, 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._place, self._source.size)[whence]
        if base + offset < 0:
            raise Damaged("a directory that makes no sense")
        self._place = base + offset
        return self._place

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._source.size - self._place)
        data = self._source.at(self._place, left if count < 0 else min(count, left))
        self._place += len(data)
        return data
