# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist's session knows and a .blend does not: trust, drivers' helpers, which Blender.

Only reads. Nothing is run, and no preference is touched.
"""

from __future__ import annotations

import math
import os
import sys
from typing import Any

import bpy

# What Blender itself puts into the namespace of drivers; whatever else is there, somebody added.
_BUILT_IN = frozenset(dir(math)) | {
    "__builtins__", "__doc__", "__file__", "__loader__", "__name__", "__package__", "__spec__",
    "bpy", "clamp", "lerp", "noise", "smoothstep", "depsgraph", "frame", "self",
}  # fmt: skip


def blender() -> dict[str, Any]:
    """Which Blender this is, as ``bridge.blender`` takes it: executable, kind, version."""
    binary = bpy.app.binary_path
    return {
        "executable": str(binary or sys.executable),
        "kind": "app" if binary else "wheel",
        "version": list(bpy.app.version),
    }


def scripts_trusted() -> bool:
    """Whether the scripts in this file may run in this session, as far as Blender tells.

    Blender does not show its switch, only whether it has refused a script since the file was
    opened. A refusal means that the artist does not trust the file. No refusal means that its
    scripts ran, or that it has none that run by themselves.
    """
    return not bpy.app.autoexec_fail


def driver_functions() -> list[dict[str, str | None]]:
    """What was added to ``bpy.app.driver_namespace``: ``name``, and where it comes from.

    ``text`` is the text data-block that defines it (the recipe can run it again in the copy),
    ``file`` the Python file (an add-on or a startup script, which a headless Blender lacks). Both
    are None for a value that no function holds.
    """
    found: list[dict[str, str | None]] = []
    for name, value in bpy.app.driver_namespace.items():
        if name in _BUILT_IN or name.startswith("__"):
            continue
        text, path = _origin(value)
        found.append({"name": name, "text": text, "file": path})
    return found


def _origin(value: object) -> tuple[str | None, str | None]:
    code = getattr(value, "__code__", None)
    if code is None:
        code = getattr(getattr(type(value), "__call__", None), "__code__", None)  # noqa: B004
    filename = str(getattr(code, "co_filename", "") or "")
    if not filename:
        module = sys.modules.get(str(getattr(value, "__module__", "")))
        filename = str(getattr(module, "__file__", "") or "")
    if not filename:
        return None, None
    # Blender names a text's code "<path of the .blend>/<name of the text>".
    name = os.path.basename(filename.replace("\\", "/"))
    if name in bpy.data.texts and not os.path.isfile(filename):
        return name, None
    return None, filename
