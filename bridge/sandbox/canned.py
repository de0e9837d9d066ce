# SPDX-License-Identifier: GPL-3.0-or-later
"""A converter without Blender, for tests of transport: every job gets the same small package.

    Sandbox(state_dir, converter=CannedConverter())

What it answers has the layout of a real result (``usd/<base>/<base>.usd`` with a texture, a
thumbnail, ``mjcf/<base>.xml`` with a mesh), but it is no conversion of the input. ``serve`` never
uses it.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

from ..problems import Canceled
from .convert import Conversion

_USDA = """#usda 1.0
(
    defaultPrim = "{name}"
    metersPerUnit = 1
    upAxis = "Z"
)
def Xform "{name}" {{
    def Cube "body" {{ double size = 1 }}
}}
"""
_MJCF = """<mujoco model="{name}">
  <worldbody>
    <geom type="plane" size="5 5 0.1"/>
    <body name="{name}" pos="0 0 0.5">
      <freejoint/>
      <geom type="box" size="0.5 0.5 0.5" mass="12.5"/>
    </body>
  </worldbody>
</mujoco>
"""
_OBJ = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"


def tiny_png(red: int = 120, green: int = 80, blue: int = 40) -> bytes:
    """A PNG of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(bytes([0, red, green, blue]))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
    )


def tiny_glb() -> bytes:
    """A GLB of one triangle: the least that a converter accepts."""
    points = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    text = (
        b'{"asset":{"version":"2.0"},"buffers":[{"byteLength":36}],"bufferViews":[{"buffer":0,'
        b'"byteLength":36}],"accessors":[{"bufferView":0,"componentType":5126,"count":3,"type":'
        b'"VEC3","min":[0,0,0],"max":[1,1,0]}],"meshes":[{"primitives":[{"attributes":{"POSITION"'
        b':0}}]}],"nodes":[{"mesh":0}],"scenes":[{"nodes":[0]}],"scene":0}'
    )
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text
    body += struct.pack("<II", len(points), 0x004E4942) + points
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


class CannedConverter:
    """Writes the package; ``seconds`` long, in ``steps`` steps; ``padding`` bytes of more texture.

    ``conversions`` counts its runs. ``gate``, if given, is called before each job's end.
    """

    def __init__(
        self,
        seconds: float = 0.0,
        *,
        steps: int = 4,
        padding: int = 0,
        gate: Callable[[], None] | None = None,
    ) -> None:
        self.seconds = seconds
        self.steps = steps
        self.padding = padding
        self.gate = gate
        self.conversions = 0

    def __call__(
        self, conversion: Conversion, progress: Callable[[float, str], None]
    ) -> dict[str, Any]:
        self.conversions += 1
        for step in range(self.steps):
            progress(step / self.steps, ("import", "mass", "colliders", "export")[step % 4])
            end = time.monotonic() + self.seconds / self.steps
            while time.monotonic() < end:
                if conversion.cancelled():
                    raise Canceled()
                time.sleep(0.01)
        if self.gate is not None:
            self.gate()
        name = conversion.name
        # Not compressible, and the same in each run.
        words = (zlib.crc32(b"%d" % n) for n in range(self.padding // 4))
        padding = b"".join(word.to_bytes(4, "big") for word in words)
        files = {
            f"usd/{name}/{name}.usd": _USDA.format(name=name).encode(),
            f"usd/{name}/textures/colour.png": tiny_png() + padding,
            f"usd/{name}/.thumbs/256x256/{name}.usd.png": tiny_png(),
            f"mjcf/{name}.xml": _MJCF.format(name=name).encode(),
            "mjcf/meshes/hull.obj": _OBJ.encode(),
            "mjcf/textures/colour.png": tiny_png(),
        }
        for path, data in files.items():
            target = conversion.output / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return {
            "usd": f"usd/{name}/{name}.usd",
            "mjcf": f"mjcf/{name}.xml",
            "textures": [f"usd/{name}/textures/colour.png"],
            "report": {"mass_kg": 12.5, "colliders": 1, "validation": {"passed": True}},
        }
