# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ``render_lab.py`` once for all tests of a session, and reads the files that it left."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

from bridge.blender import BlenderProgram, probe

HERE = Path(__file__).resolve().parent
_facts: dict[str, dict[str, Any]] = {}


def own_blender() -> BlenderProgram:
    """This suite's own Blender, not the one that stands in for it where USD is needed."""
    import sys

    return probe(sys.executable)


def lab(root: Path) -> dict[str, Any]:
    """What all labs found; {lab's name: facts}. Each is checked to have come to its end."""
    if not _facts:
        folder = root / "render lab"
        folder.mkdir()
        run = subprocess.run(
            [own_blender().executable, str(HERE / "render_lab.py"), str(folder)],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=600,
            check=False,
            env={**os.environ, "LIBGL_ALWAYS_SOFTWARE": "1"},
        )
        path = folder / "facts.json"
        assert path.is_file(), run.stdout[-3000:] + run.stderr[-3000:]
        _facts.update(json.loads(path.read_text(encoding="utf-8")))
    broken = {name: facts["broken"] for name, facts in _facts.items() if "broken" in facts}
    assert not broken, "\n".join(broken.values())
    return _facts


def png(path: Path) -> dict[str, Any]:
    """Size, depth and channels of a PNG, read from its header; its data is unpacked in full."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    at, packed = 8, b""
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        packed += data[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        at += 12 + length
    channels = {0: 1, 2: 3, 6: 4}[kind]
    assert len(zlib.decompress(packed)) == height * (1 + width * channels * depth // 8)
    return {"size": [width, height], "depth": depth, "channels": channels}


def exr(path: Path) -> dict[str, Any]:
    """Compression and {channel: type} of an OpenEXR file, of all its parts; 1 is half, 2 float."""
    data = path.read_bytes()
    assert data[:4] == b"\x76\x2f\x31\x01"
    several = struct.unpack("<I", data[4:8])[0] & 0x1000
    at, compression = 8, 0
    channels = {}
    while data[at] != 0:
        found = {}
        while data[at] != 0:
            name, _, rest = data[at:].partition(b"\0")
            at += len(name) + 1
            kind = rest.partition(b"\0")[0]
            at += len(kind) + 1
            length = struct.unpack("<i", data[at : at + 4])[0]
            found[name.decode()] = data[at + 4 : at + 4 + length]
            at += 4 + length
        at += 1
        part = found["name"].rstrip(b"\0").decode() + "." if several else ""
        compression = found["compression"][0]
        listed = found["channels"]
        while listed and listed[0] != 0:
            name, _, rest = listed.partition(b"\0")
            channels[part + name.decode()] = struct.unpack("<i", rest[:4])[0]
            listed = rest[16:]
        if not several:
            break
    return {"compression": compression, "channels": channels}


def tiff_compression(path: Path) -> int:
    """The compression tag of a little-endian TIFF; 5 is LZW."""
    data = path.read_bytes()
    assert data[:4] == b"II*\0"
    at = struct.unpack("<I", data[4:8])[0]
    for number in range(struct.unpack("<H", data[at : at + 2])[0]):
        entry = data[at + 2 + 12 * number : at + 14 + 12 * number]
        if struct.unpack("<H", entry[:2])[0] == 259:
            return int(struct.unpack("<H", entry[8:10])[0])
    return 1
