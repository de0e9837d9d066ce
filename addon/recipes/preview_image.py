# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: a small .jpg of one rendered frame, as the scene would show it.

{"input": path of a frame, "output": path.jpg, "longest": 480, "color": as render_scene told}
->  {"path", "width", "height"}
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import pictures

LONGEST = 480

Progress = Callable[..., None]


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Write one preview; see the module's text."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    target = Path(params["output"])
    longest = int(params.get("longest") or LONGEST)
    width, height = pictures.develop(Path(params["input"]), target, params.get("color"), longest)
    return {"path": str(target), "width": width, "height": height}
