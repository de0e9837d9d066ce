# SPDX-License-Identifier: GPL-3.0-or-later
"""Are single pictures whole? PNG, JPEG, JPEG 2000, BMP, Targa, HDR, WebP, DPX, Cineon, Iris.

Each function takes a ``Source``, follows the format to its end and answers ``MediaFacts``; it
raises ``Damaged``. OpenEXR and TIFF have modules of their own.
"""

from __future__ import annotations

import struct
import zlib

from .media import Damaged, MediaFacts, Source

_PIECE = 1024 * 1024
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # PNG color type -> samples
# (first x, first y, step x, step y) of PNG's seven interlaced passes
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def png(source: Source) -> MediaFacts:
    """Every chunk with its checksum, the image data inflated to exactly its size, the end."""
    if source.start(8) != b"\x89PNG\r\n\x1a\n":
        raise Damaged("no PNG signature", foreign=True)
    place = 8
    facts = MediaFacts("png")
    inflate: _Inflate | None = None
    while True:
        length, kind = struct.unpack(">I4s", source.at(place, 8))
        source.need(place + 8, length + 4)
        if (kind == b"IHDR") != (place == 8):
            raise Damaged("the header is not at its place")
        check = zlib.crc32(kind)
        for offset in range(0, length, _PIECE):
            piece = source.at(place + 8 + offset, min(_PIECE, length - offset))
            check = zlib.crc32(piece, check)
            if kind == b"IHDR":
                facts, inflate = _png_header(piece)
            elif kind == b"IDAT" and inflate is not None:
                inflate.feed(piece)
        if check != int.from_bytes(source.at(place + 8 + length, 4), "big"):
            raise Damaged(f"wrong checksum of {kind!r} at {place}")
        place += length + 12
        if kind == b"IEND":
            if inflate is not None:
                inflate.finish()
            return facts


def _png_header(data: bytes) -> tuple[MediaFacts, _Inflate]:
    if len(data) != 13:
        raise Damaged("a header of the wrong size")
    width, height, bits, color, _method, _filter, interlaced = struct.unpack(">IIBBBBB", data)
    if not width or not height or color not in _CHANNELS:
        raise Damaged("a header that makes no sense")
    pixel = bits * _CHANNELS[color]

    def size(columns: int, rows: int) -> int:
        return rows * (1 + (columns * pixel + 7) // 8) if columns and rows else 0

    if interlaced:
        total = sum(
            size(-(-(width - x) // dx) if width > x else 0, -(-(height - y) // dy))
            for x, y, dx, dy in _ADAM7
            if height > y
        )
    else:
        total = size(width, height)
    return MediaFacts("png", width, height), _Inflate(total)


class _Inflate:
    """Inflates and throws away, counting; memory stays at a piece."""

    def __init__(self, expected: int) -> None:
        self.expected, self.got = expected, 0
        self._inflater = zlib.decompressobj()

    def feed(self, piece: bytes) -> None:
        try:
            while piece and not self._inflater.eof:
                self.got += len(self._inflater.decompress(piece, _PIECE))
                piece = self._inflater.unconsumed_tail
                if self.got > self.expected:
                    raise Damaged("more image data than the picture has")
        except zlib.error as error:
            raise Damaged(f"image data: {error}") from None

    def finish(self) -> None:
        try:
            self.got += len(self._inflater.flush())
        except zlib.error as error:
            raise Damaged(f"image data: {error}") from None
        if self.got != self.expected or not self._inflater.eof:
            raise Damaged(f"{self.got} of {self.expected} bytes of image data")


def jpeg(source: Source) -> MediaFacts:
    """All segments and scans, to the end marker."""
    if source.start(3) != b"\xff\xd8\xff":
        raise Damaged("no JPEG signature", foreign=True)
    width = height = 0
    scans = 0
    place = 2
    while True:
        place, marker = _next_marker(source, place)
        if marker == 0xD9:
            if not scans or not width:
                raise Damaged("ends without a picture")
            return MediaFacts("jpeg", width, height)
        if 0xD0 <= marker <= 0xD8 or marker == 0x01:
            continue
        length = int.from_bytes(source.at(place, 2), "big")
        if length < 2:
            raise Damaged(f"a segment without a length at {place}")
        source.need(place, length)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", source.at(place + 3, 4))
        place += length
        if marker == 0xDA:
            scans += 1


def _next_marker(source: Source, place: int) -> tuple[int, int]:
    """(place after it, the marker): the next one that is not part of a scan's data."""
    length = 256  # between segments it is near; within a scan's data it is far
    while True:
        if place + 2 > source.size:
            raise Damaged("no end marker")
        piece = source.at(place, min(length, source.size - place))
        length = _PIECE
        at = piece.find(b"\xff")
        while 0 <= at < len(piece) - 1:
            follower = piece[at + 1]
            if follower not in (0x00, 0xFF) and not 0xD0 <= follower <= 0xD7:
                return place + at + 2, follower
            at = piece.find(b"\xff", at + (1 if follower == 0xFF else 2))
        place += at if at >= 0 and at == len(piece) - 1 and len(piece) > 1 else len(piece)


def jpeg2000(source: Source) -> MediaFacts:
    """The codestream's header, and its end marker at the end of the file."""
    start = source.start(12)
    if start[:4] != b"\xff\x4f\xff\x51" and start != b"\x00\x00\x00\x0cjP  \r\n\x87\n":
        raise Damaged("no JPEG 2000 signature", foreign=True)
    head = source.start(4096)
    at = head.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(head) < at + 24:
        raise Damaged("no codestream")
    right, bottom, left, top = struct.unpack(">IIII", head[at + 8 : at + 24])
    if source.at(source.size - 2, 2) != b"\xff\xd9":
        raise Damaged("no end of codestream")
    return MediaFacts("jp2", max(0, right - left), max(0, bottom - top))


def webp(source: Source) -> MediaFacts:
    """The container's length and all its chunks, one of which is a picture."""
    start = source.start(12)
    if start[:4] != b"RIFF" or start[8:12] != b"WEBP":
        raise Damaged("no WebP signature", foreign=True)
    end = 8 + int.from_bytes(start[4:8], "little")
    source.need(0, end)
    place, width, height, pictures = 12, 0, 0, 0
    while place + 8 <= end:
        kind, length = struct.unpack("<4sI", source.at(place, 8))
        if place + 8 + length > end:
            raise Damaged(f"chunk {kind!r} at {place} is cut")
        head = source.at(place + 8, min(length, 16))
        if kind == b"VP8X" and length >= 10:
            width = 1 + int.from_bytes(head[4:7], "little")
            height = 1 + int.from_bytes(head[7:10], "little")
        elif kind == b"VP8 " and length >= 10:
            pictures += 1
            if not width:
                width, height = (n & 0x3FFF for n in struct.unpack("<HH", head[6:10]))
        elif kind == b"VP8L" and length >= 5:
            pictures += 1
            if not width:
                bits = int.from_bytes(head[1:5], "little")
                width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        elif kind == b"ANMF":
            pictures += 1
        place += 8 + length + (length & 1)
    if not pictures:
        raise Damaged("no picture in it")
    return MediaFacts("webp", width, height)


def bmp(source: Source) -> MediaFacts:
    """The rows that the header announces."""
    if source.start(2) != b"BM":
        raise Damaged("no BMP signature", foreign=True)
    announced, _reserved, pixels, head = struct.unpack("<IIII", source.at(2, 16))
    if head < 16:
        return MediaFacts("bmp")
    width, height, _planes, bits = struct.unpack("<iiHH", source.at(18, 12))
    method = int.from_bytes(source.at(30, 4), "little") if head >= 20 else 0
    if method in (0, 3, 6):
        source.need(pixels, (width * bits + 31) // 32 * 4 * abs(height))
    else:
        source.need(0, announced)
    if width <= 0 or height == 0:
        raise Damaged("a header that makes no sense")
    return MediaFacts("bmp", width, abs(height))


def tga(source: Source) -> MediaFacts:
    """All pixels: by their number, or followed through the packets where they are packed."""
    if source.size < 18:
        raise Damaged("shorter than its header")
    head = source.at(0, 18)
    name, has_map, kind = head[0], head[1], head[2]
    map_count, map_bits = int.from_bytes(head[5:7], "little"), head[7]
    width, height, bits = struct.unpack("<HHB", head[12:17])
    known = kind in (1, 2, 3, 9, 10, 11) and has_map in (0, 1) and bits in (8, 15, 16, 24, 32)
    if not known or not width or not height:
        raise Damaged("no Targa header", foreign=True)
    place = 18 + name + (map_count * ((map_bits + 7) // 8) if has_map else 0)
    step = (bits + 7) // 8
    if kind < 8:
        source.need(place, width * height * step)
    elif source.at(source.size - min(18, source.size), min(18, source.size)) != (
        b"TRUEVISION-XFILE.\x00"
    ):
        _tga_packets(source.at(place, source.size - place), width * height, step)
    return MediaFacts("tga", width, height)


def _tga_packets(data: bytes, pixels: int, step: int) -> None:
    place = 0
    while pixels > 0:
        if place >= len(data):
            raise Damaged(f"{pixels} pixels are missing")
        count = data[place]
        pixels -= (count & 127) + 1
        place += 1 + (step if count & 128 else step * (count + 1))
    if place > len(data):
        raise Damaged("the last packet is cut")


def radiance(source: Source) -> MediaFacts:
    """Every row, followed through its packets."""
    head = source.start(65536)
    if not head.startswith((b"#?RADIANCE", b"#?RGBE")):
        raise Damaged("no Radiance signature", foreign=True)
    blank = head.find(b"\n\n")
    end = head.find(b"\n", blank + 2)
    words = head[blank + 2 : end].split()
    if blank < 0 or end < 0 or len(words) != 4:
        raise Damaged("no size")
    height, width = int(words[1]), int(words[3])
    data = source.at(end + 1, source.size - end - 1)
    packed = 8 <= width <= 32767 and data[:2] == b"\x02\x02"
    if packed:
        _radiance_rows(data, width, height)
    elif len(data) < 4 * width * height and not _old_runs(data, width * height):
        raise Damaged(f"{len(data)} bytes of {width} x {height} pixels")
    return MediaFacts("hdr", width, height)


def _radiance_rows(data: bytes, width: int, height: int) -> None:
    place, size = 0, len(data)
    mark = bytes((2, 2, width >> 8, width & 255))
    for row in range(height):
        if data[place : place + 4] != mark:
            raise Damaged(f"row {row} of {height} is not there")
        place += 4
        for _channel in range(4):
            left = width
            while left > 0:
                if place >= size:
                    raise Damaged(f"row {row} of {height} is cut")
                count = data[place]
                if count > 128:
                    left -= count - 128
                    place += 2
                elif count:
                    left -= count
                    place += 1 + count
                else:
                    raise Damaged(f"row {row} of {height} makes no sense")
    if place > size:
        raise Damaged("the last row is cut")


def _old_runs(data: bytes, pixels: int) -> bool:
    """Radiance's oldest packing: (1, 1, 1, n) repeats the pixel before it n times."""
    shift = 0
    for place in range(0, len(data) - 3, 4):
        if data[place : place + 3] == b"\x01\x01\x01":
            pixels -= data[place + 3] << shift
            shift += 8
        else:
            pixels -= 1
            shift = 0
        if pixels <= 0:
            return True
    return False


def dpx(source: Source) -> MediaFacts:
    """The announced size of the file, and room for the pixels of the first element."""
    order = {b"SDPX": ">", b"XPDS": "<"}.get(source.start(4))
    if order is None:
        raise Damaged("no DPX signature", foreign=True)
    offset = struct.unpack(f"{order}I", source.at(4, 4))[0]
    announced = struct.unpack(f"{order}I", source.at(16, 4))[0]
    width, height = struct.unpack(f"{order}II", source.at(772, 8))
    descriptor, bits = source.at(800, 1)[0], source.at(803, 1)[0]
    packing, encoding = struct.unpack(f"{order}HH", source.at(804, 4))
    channels = {50: 3, 51: 4, 52: 4}.get(descriptor, 1)
    if encoding == 0:
        source.need(offset, height * _row_bytes(width * channels, bits, packing))
    if announced not in (0, 0xFFFFFFFF):
        source.need(0, announced)
    return MediaFacts("dpx", width, height)


def _row_bytes(samples: int, bits: int, packing: int) -> int:
    if bits == 10 and packing:
        return -(-samples // 3) * 4
    if bits == 12 and packing:
        return samples * 2
    return -(-samples * bits // 8)


def cineon(source: Source) -> MediaFacts:
    """The announced size of the file, and room for the pixels."""
    order = {b"\x80\x2a\x5f\xd7": ">", b"\xd7\x5f\x2a\x80": "<"}.get(source.start(4))
    if order is None:
        raise Damaged("no Cineon signature", foreign=True)
    offset = struct.unpack(f"{order}I", source.at(4, 4))[0]
    announced = struct.unpack(f"{order}I", source.at(20, 4))[0]
    channels, bits = source.at(193, 1)[0], source.at(198, 1)[0]
    width, height = struct.unpack(f"{order}II", source.at(200, 8))
    source.need(offset, height * _row_bytes(width * max(1, channels), bits, 1))
    if announced not in (0, 0xFFFFFFFF):
        source.need(0, announced)
    return MediaFacts("cin", width, height)


def iris(source: Source) -> MediaFacts:
    """All rows, by the table of a packed file or by their number."""
    if source.start(2) != b"\x01\xda":
        raise Damaged("no Iris signature", foreign=True)
    packed, depth, dimensions, width, height, channels = struct.unpack(">BBHHHH", source.at(2, 10))
    rows = (height if dimensions > 1 else 1) * (channels if dimensions > 2 else 1)
    if not packed:
        source.need(512, rows * width * depth)
    else:
        table = source.at(512, rows * 8)
        starts = struct.unpack(f">{rows}I", table[: rows * 4])
        lengths = struct.unpack(f">{rows}I", table[rows * 4 :])
        for start, length in zip(starts, lengths, strict=True):
            if start < 512 + rows * 8:
                raise Damaged("a row without a place")
            source.need(start, length)
    return MediaFacts("rgb", width, height if dimensions > 1 else 1)
