# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole or not: kinds of files that Blender writes seldom or never, made byte by byte.

What Blender itself writes is tested where a Blender is (tests/recipes/test_media_samples.py).
"""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.media import MediaFacts, check_media
from bridge.problems import Canceled, Category, ProblemError

# --- the makers ----------------------------------------------------------------------------------


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png(
    size: tuple[int, int] = (5, 3),
    bits: int = 8,
    color: int = 2,
    interlaced: bool = False,
    data: bytes | None = None,
    pieces: int = 1,
) -> bytes:
    width, height = size
    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlaced)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)]
        passes += [(0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for x, y, dx, dy in passes:
        columns, rows = len(range(x, width, dx)), len(range(y, height, dy))
        if columns:
            raw += (b"\0" + bytes(-(-columns * channels * bits // 8))) * rows
    packed = zlib.compress(raw if data is None else data)
    step = -(-len(packed) // pieces)
    idat = b"".join(
        png_chunk(b"IDAT", packed[at : at + step]) for at in range(0, len(packed), step)
    )
    text = png_chunk(b"tEXt", b"Software\0Blender")
    start = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head)
    return start + text + idat + png_chunk(b"IEND", b"")


def attribute(name: bytes, kind: bytes, value: bytes) -> bytes:
    return name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value


def exr_header(
    size: tuple[int, int], compression: int, *, top: int = 0, more: bytes = b""
) -> bytes:
    width, height = size
    box = struct.pack("<4i", 0, top, width - 1, top + height - 1)
    return (
        attribute(b"channels", b"chlist", b"R\0" + bytes(16) + b"\0")
        + attribute(b"compression", b"compression", bytes([compression]))
        + attribute(b"dataWindow", b"box2i", box)
        + attribute(b"displayWindow", b"box2i", struct.pack("<4i", 0, 0, width - 1, height - 1))
        + more
        + b"\0"
    )


def text(name: bytes, value: bytes) -> bytes:
    return attribute(name, b"string", value)


def count(chunks: int) -> bytes:
    return attribute(b"chunkCount", b"int", struct.pack("<i", chunks))


def tiles(across: int, down: int, mode: int) -> bytes:
    return attribute(b"tiles", b"tiledesc", struct.pack("<IIB", across, down, mode))


def exr(version: int, headers: list[bytes], chunks: list[list[bytes]]) -> bytes:
    """``chunks`` by part; in a multi-part file they begin with the number of their part."""
    start = b"\x76\x2f\x31\x01" + struct.pack("<I", 2 | version) + b"".join(headers)
    start += b"\0" if version & 0x1000 else b""
    place = len(start) + 8 * sum(map(len, chunks))
    table, data = b"", b""
    for part in chunks:
        for chunk in part:
            table += struct.pack("<Q", place + len(data))
            data += chunk
    return start + table + data


def lines(rows: range, part: int | None = None, payload: bytes = b"pixels") -> list[bytes]:
    mark = b"" if part is None else struct.pack("<i", part)
    return [mark + struct.pack("<ii", row, len(payload)) + payload for row in rows]


def tile(x: int, y: int, lx: int = 0, ly: int = 0, part: int | None = None) -> bytes:
    mark = b"" if part is None else struct.pack("<i", part)
    return mark + struct.pack("<5i", x, y, lx, ly, 6) + b"pixels"


def deep_lines(rows: range, part: int | None = None) -> list[bytes]:
    mark = b"" if part is None else struct.pack("<i", part)
    return [mark + struct.pack("<iQQQ", row, 8, 6, 99) + b"counts..pixels" for row in rows]


def tiff(
    *,
    big: bool = False,
    order: str = "<",
    tiled: bool = False,
    planar: bool = False,
    pages: int = 1,
) -> bytes:
    """8 x 6 RGB pictures of 8 bits, two rows to a strip, directories at the end."""
    word, size = ("Q", 8) if big else ("I", 4)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if big else 42)
    head += struct.pack(f"{order}HH", 8, 0) if big else b""
    planes, samples = (3, 1) if planar else (1, 3)
    step = 8 * 8 * samples if tiled else 8 * 2 * samples
    number = planes * (1 if tiled else 3)
    start = len(head) + size
    body, previous = b"", 0
    links: list[int] = []
    for _page in range(pages):
        offsets = []
        for _ in range(number):
            offsets.append(start + len(body))
            body += bytes(range(256)) * 2
            body = body[: offsets[-1] - start + step]
        lists = []
        for values in (offsets, [step] * number):
            lists.append(start + len(body) if number > 1 else values[0])
            if number > 1:
                body += struct.pack(f"{order}{number}{word}", *values)
        tags = [(256, 3, 1, 8), (257, 3, 1, 6), (258, 3, 1, 8), (259, 3, 1, 1), (277, 3, 1, 3)]
        tags += [(284, 3, 1, 2 if planar else 1), (278, 3, 1, 2)]
        kind = 16 if big else 4
        if tiled:
            tags += [(322, 3, 1, 8), (323, 3, 1, 8)]
        where, lengths = (324, 325) if tiled else (273, 279)
        tags += [(where, kind, number, lists[0]), (lengths, kind, number, lists[1])]
        links.append(start + len(body))
        body += struct.pack(f"{order}{'Q' if big else 'H'}", len(tags))
        for tag, kind, values_count, value in sorted(tags):
            body += struct.pack(f"{order}HH{word}", tag, kind, values_count)
            short = struct.pack(f"{order}H", value) if kind == 3 else b""
            body += short.ljust(size, b"\0") if kind == 3 else struct.pack(f"{order}{word}", value)
        place = len(body)
        body += bytes(size)
        if len(links) > 1:
            at = previous
            body = body[:at] + struct.pack(f"{order}{word}", links[-1]) + body[at + size :]
        previous = place
    return head + struct.pack(f"{order}{word}", links[0]) + body


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


def mp4(*, index_first: bool = False, wide: bool = False, to_end: bool = False) -> bytes:
    track = box(b"tkhd", bytes(76) + struct.pack(">II", 64 << 16, 48 << 16))
    sizes = box(b"stsz", struct.pack(">III", 0, 0, 3) + bytes(12))
    track += box(b"mdia", box(b"minf", box(b"stbl", sizes)))
    index = box(b"moov", box(b"mvhd", bytes(100)) + box(b"trak", track))
    data = bytes(500)
    if wide:
        content = struct.pack(">I", 1) + b"mdat" + struct.pack(">Q", 16 + len(data)) + data
    elif to_end:
        content = struct.pack(">I", 0) + b"mdat" + data
    else:
        content = box(b"mdat", data)
    start = box(b"ftyp", b"isom" + bytes(8))
    return start + (index + content if index_first else content + index)


def ebml(kind: str, data: bytes, size: bytes | None = None) -> bytes:
    length = (len(data) | 1 << 56).to_bytes(8, "big") if size is None else size
    return bytes.fromhex(kind) + length + data


def mkv(size: bytes | None = None, *, clusters: int = 2) -> bytes:
    picture = ebml("E0", ebml("B0", b"\x00\x40") + ebml("BA", b"\x30"))
    tracks = ebml("1654AE6B", ebml("AE", ebml("D7", b"\1") + picture))
    inner = tracks + ebml("1F43B675", bytes(300)) * clusters + ebml("1C53BB6B", bytes(20))
    return ebml("1A45DFA3", b"\x42\x82\x84webm") + ebml("18538067", inner, size)


def riff(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def avi() -> bytes:
    head = struct.pack("<10I", 0, 0, 0, 0, 3, 0, 1, 0, 64, 48) + bytes(16)
    header = riff(b"LIST", b"hdrl" + riff(b"avih", head))
    return riff(b"RIFF", b"AVI " + header + riff(b"LIST", b"movi" + bytes(200)))


def webp() -> bytes:
    return riff(
        b"RIFF", b"WEBP" + riff(b"VP8L", b"\x2f" + struct.pack("<I", 66 | 44 << 14) + b"x" * 20)
    )


def jpeg() -> bytes:
    def segment(marker: int, data: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data

    frame = segment(0xC2, struct.pack(">BHHB", 8, 45, 67, 3) + bytes(9))
    scan = segment(0xDA, bytes(10)) + b"ab\xff\x00cd\xff\xd0ef" + bytes(3000)
    thumbnail = segment(0xE1, b"Exif\0\0\xff\xd8\xff\xd9")
    return (
        b"\xff\xd8" + thumbnail + frame + scan + segment(0xC4, bytes(20)) + scan + b"\xff\xff\xd9"
    )


def tga(kind: int) -> bytes:
    head = struct.pack("<BBBHHBHHHHBB", 3, 0, kind, 0, 0, 0, 0, 0, 6, 4, 24, 0) + b"abc"
    if kind == 2:
        return head + bytes(6 * 4 * 3)
    return head + b"\x8fxyz" + b"\x07" + bytes(8 * 3)


def hdr(*, packed: bool) -> bytes:
    start = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4 +X 10\n"
    row = b"\x02\x02\x00\x0a" + b"\x8a\x00" + b"\x05abcde\x85\x01" + b"\x8a\x00" + b"\x0aabcdefghij"
    return start + (row * 4 if packed else bytes(range(40)) * 4)


def iris(*, packed: bool) -> bytes:
    head = struct.pack(">HBBHHHH", 0x01DA, packed, 1, 3, 8, 4, 3).ljust(512, b"\0")
    if not packed:
        return head + bytes(8 * 4 * 3)
    starts = [512 + 12 * 8 + 3 * n for n in range(12)]
    return (
        head + struct.pack(">12I", *starts) + struct.pack(">12I", *[3] * 12) + b"\x88\x07\x00" * 12
    )


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("a/frame_0001.png", png())
        made.writestr("b.txt", b"text" * 500, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


PART = text(b"name", b"one") + text(b"type", b"scanlineimage")
TILED = text(b"name", b"two") + text(b"type", b"tiledimage")
DEEP = text(b"name", b"three") + text(b"type", b"deepscanline")

WHOLE: dict[str, tuple[bytes, tuple[int, int]]] = {
    "plain.png": (png(), (5, 3)),
    "interlaced.png": (png((21, 13), interlaced=True), (21, 13)),
    "thin.png": (png((1, 1), interlaced=True), (1, 1)),
    "palette.png": (png((9, 2), bits=1, color=3), (9, 2)),
    "deep.png": (png((40, 50), bits=16, color=6, pieces=7), (40, 50)),
    "progressive.jpg": (jpeg(), (67, 45)),
    "lossless.webp": (webp(), (67, 45)),
    "raw.tga": (tga(2), (6, 4)),
    "packed.tga": (tga(10), (6, 4)),
    "packed.hdr": (hdr(packed=True), (10, 4)),
    "flat.hdr": (hdr(packed=False), (10, 4)),
    "packed.rgb": (iris(packed=True), (8, 4)),
    "raw.sgi": (iris(packed=False), (8, 4)),
    "lines.exr": (exr(0, [exr_header((9, 7), 0)], [lines(range(7))]), (9, 7)),
    "offset.exr": (exr(0, [exr_header((9, 40), 3, top=-5)], [lines(range(-5, 35, 16))]), (9, 40)),
    "tiles.exr": (
        exr(0x200, [exr_header((9, 7), 3, more=tiles(4, 4, 0))], [[tile(0, 0)] * 6]),
        (9, 7),
    ),
    "mipmap.exr": (  # 9x7, 4x3, 2x1, 1x1: 6 + 1 + 1 + 1 tiles
        exr(0x200, [exr_header((9, 7), 3, more=tiles(4, 4, 1))], [[tile(0, 0, 1, 1)] * 9]),
        (9, 7),
    ),
    "ripmap.exr": (  # widths 9 4 2 1, heights 7 3 1: (3+1+1+1) * (2+1+1)
        exr(0x200, [exr_header((9, 7), 3, more=tiles(4, 4, 2))], [[tile(1, 1, 1, 0)] * 24]),
        (9, 7),
    ),
    "parts.exr": (
        exr(
            0x1400,
            [
                exr_header((9, 7), 0, more=PART + count(7)),
                exr_header((9, 7), 3, more=TILED + tiles(9, 7, 0) + count(1)),
                exr_header((9, 7), 2, more=DEEP + count(7)),
            ],
            [lines(range(7), 0), [tile(0, 0, part=1)], deep_lines(range(7), 2)],
        ),
        (9, 7),
    ),
    "deep.exr": (
        exr(0x800, [exr_header((9, 7), 2, more=DEEP + count(7))], [deep_lines(range(7))]),
        (9, 7),
    ),
    "future.exr": (exr(0, [exr_header((9, 7), 77)], [lines(range(7))]), (9, 7)),
    "little.tif": (tiff(), (8, 6)),
    "bigendian.tif": (tiff(order=">"), (8, 6)),
    "big.tif": (tiff(big=True), (8, 6)),
    "tiled.tif": (tiff(tiled=True, big=True), (8, 6)),
    "planes.tif": (tiff(planar=True), (8, 6)),
    "pages.tif": (tiff(pages=3), (8, 6)),
    "movie.mp4": (mp4(), (64, 48)),
    "faststart.mp4": (mp4(index_first=True), (64, 48)),
    "wide.mov": (mp4(wide=True), (64, 48)),
    "open.mov": (mp4(index_first=True, to_end=True), (64, 48)),
    "movie.mkv": (mkv(), (64, 48)),
    "movie.webm": (mkv(), (64, 48)),
    "movie.avi": (avi(), (64, 48)),
    "frames.zip": (archive(), (0, 0)),
}
# Formats that do not say where they end: the data "to the end of the file".
ENDLESS = {"open.mov"}


@pytest.fixture
def judge(tmp_path: Path) -> Callable[[str, bytes], MediaFacts]:
    def judged(name: str, data: bytes) -> MediaFacts:
        path = tmp_path / name
        path.write_bytes(data)
        try:
            return check_media(path)
        finally:
            path.unlink()  # what looks for secrets at the end reads whole archives only

    return judged


Judge = Callable[[str, bytes], MediaFacts]


@pytest.mark.parametrize("name", WHOLE)
def test_whole(judge: Judge, name: str) -> None:
    data, size = WHOLE[name]
    facts = judge(name, data)
    assert (facts.width, facts.height) == size and facts.kind
    if name.endswith((".mp4", ".mov", ".avi")):
        assert facts.frames == 3


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in ENDLESS])
def test_every_cut_is_noticed(judge: Judge, name: str) -> None:
    data, _size = WHOLE[name]
    step = max(1, len(data) // 60)
    lengths = {*range(0, len(data), step), *range(len(data) - min(40, len(data)), len(data))}
    unnoticed = []
    for length in sorted(lengths):
        try:
            judge(name, data[:length])
        except ProblemError as error:
            assert error.problem.category is Category.SERVICE
            assert error.problem.sentence.startswith(f"“{name}” is not ")
        else:
            unnoticed.append(length)
    assert unnoticed == [], len(data)


@pytest.mark.parametrize("name", WHOLE)
def test_no_byte_makes_it_fail_otherwise(judge: Judge, name: str) -> None:
    """Any damage is a problem or goes unseen; it is never another error, and never endless."""
    data = bytearray(WHOLE[name][0])
    for place in range(0, len(data), max(1, len(data) // 50)):
        for value in (0xFF, data[place] ^ 0x10):
            kept, data[place] = data[place], value
            with contextlib.suppress(ProblemError):
                judge(name, bytes(data))
            data[place] = kept


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) >= 1 and len(old) == len(new)
    at = data.index(old)
    return data[:at] + new + data[at + len(old) :]


def damaged() -> Iterator[tuple[str, str, bytes]]:
    plain = png()
    yield "a flipped bit", "a.png", plain[:-20] + bytes([plain[-20] ^ 1]) + plain[-19:]
    yield "too few rows", "a.png", png((5, 3), data=bytes(16 * 2))
    yield "too many rows", "a.png", png((5, 3), data=bytes(16 * 4))
    yield "no pictures in it", "a.png", plain[:33] + png_chunk(b"IEND", b"")
    yield (
        "never finished",
        "a.exr",
        patched(WHOLE["lines.exr"][0], WHOLE["lines.exr"][0][-7 * 14 - 8 : -7 * 14], bytes(8)),
    )
    table = WHOLE["parts.exr"][0]
    yield (
        "another part's chunk",
        "a.exr",
        patched(table, struct.pack("<iii", 0, 3, 6), struct.pack("<iii", 1, 3, 6)),
    )
    lines_file = WHOLE["lines.exr"][0]
    yield "zeros at the end", "a.exr", lines_file[:-14] + bytes(14)
    yield (
        "a hole in it",
        "a.tif",
        patched(tiff(), struct.pack("<3I", 8, 56, 104), struct.pack("<3I", 8, 0, 104)),
    )
    yield "in a circle", "a.tif", tiff()[:-4] + tiff()[4:8]
    yield "without an index", "a.mp4", box(b"ftyp", bytes(12)) + box(b"mdat", bytes(90))
    yield "without pictures", "a.mkv", mkv(clusters=0)
    yield "still being written", "a.mkv", mkv(b"\x01" + b"\xff" * 7)
    yield "a wrong sum", "a.zip", patched(archive(), b"tEXtSoftware", b"tEXtSoftwarX")
    yield "empty", "a.xyz", b""


CASES = list(damaged())


@pytest.mark.parametrize(("why", "name", "data"), CASES, ids=[case[0] for case in CASES])
def test_damaged(judge: Judge, why: str, name: str, data: bytes) -> None:
    with pytest.raises(ProblemError) as caught:
        judge(name, data)
    assert caught.value.problem.sentence == f"“{name}” is not whole."
    assert caught.value.problem.technical


@pytest.mark.parametrize(
    "suffix", sorted({name.rpartition(".")[2] for name in WHOLE} | {"dpx", "cin", "bmp", "jp2"})
)
def test_a_web_page_is_no_picture(judge: Judge, suffix: str) -> None:
    with pytest.raises(ProblemError) as caught:
        judge(
            f"frame_0001.{suffix}", b"<!DOCTYPE html><html><title>Please sign in</title></html>" * 9
        )
    problem = caught.value.problem
    assert problem.sentence.startswith(f"“frame_0001.{suffix}” is not a")
    assert "whole" not in problem.sentence and "DOCTYPE" in problem.technical


def test_the_suffix_counts_in_any_case_and_may_be_told(tmp_path: Path) -> None:
    path = tmp_path / "frame_0001.PNG.unchecked"
    path.write_bytes(png())
    assert check_media(path, name="frame_0001.PNG").kind == "png"
    assert check_media(path) == MediaFacts("")
    path.write_bytes(png()[:-1])
    with pytest.raises(ProblemError, match=r"frame_0001\.PNG"):
        check_media(path, name="frame_0001.PNG")


def test_an_unknown_kind_has_to_hold_something(judge: Judge) -> None:
    assert judge("notes.txt", b"x") == judge("without", b"x") == MediaFacts("")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        check_media(tmp_path / "gone.png")
    assert caught.value.problem.category is Category.DISK


def test_it_can_be_canceled(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    with pytest.raises(Canceled):
        check_media(path, cancelled=lambda: True)


def test_a_bomb_is_not_inflated(judge: Judge) -> None:
    """A small file that says it is small and inflates to a gigabyte."""
    bomb = zlib.compressobj(9)
    packed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(64)) + bomb.flush()
    data = png()
    head = data[: data.index(b"IDAT") - 4]
    with pytest.raises(ProblemError) as caught:
        judge("a.png", head + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b""))
    assert "more image data" in caught.value.problem.technical
