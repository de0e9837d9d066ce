# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist's session knows and a .blend does not: trust, drivers' helpers, which Blender.

Only reads. Nothing is run, and no preference is touched.
"""

from __future__ import annotations

import math
import os
import re
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


# Where drivers may sit: on a data-block of a collection, or on a tree or keys within one.
_DRIVEN = (
    ("objects", None), ("meshes", None), ("curves", None), ("armatures", None),
    ("materials", None), ("materials", "node_tree"), ("node_groups", None),
    ("shape_keys", None), ("scenes", None), ("metaballs", None),
)  # fmt: skip


def driven(names: set[str]) -> list[dict[str, Any]]:
    """The current values of properties whose drivers use one of these added names.

    An entry: collection, within (None, or the attribute that holds the driven part), name,
    library, path, index, value, functions (the names used). Nothing is looked at without names.
    """
    found: list[dict[str, Any]] = []
    if not names:
        return found
    words = re.compile(r"\b(?:" + "|".join(map(re.escape, sorted(names))) + r")\b")
    for collection, within in _DRIVEN:
        for item in getattr(bpy.data, collection):
            owner = getattr(item, within) if within else item
            data = getattr(owner, "animation_data", None)
            for curve in data.drivers if data is not None else ():
                used = words.findall(curve.driver.expression)
                if curve.driver.type != "SCRIPTED" or not used:
                    continue
                value = _value(owner, curve)
                if value is not None:
                    found.append(
                        {
                            "collection": collection,
                            "within": within,
                            "name": item.name,
                            "library": _library(item),
                            "path": curve.data_path,
                            "index": curve.array_index,
                            "value": value,
                            "functions": sorted(set(used)),
                        }
                    )
    return found


def _value(owner: Any, curve: bpy.types.FCurve) -> float | int | bool | None:
    try:
        value = owner.path_resolve(curve.data_path)
        value = value[curve.array_index] if hasattr(value, "__len__") else value
    except (ValueError, IndexError, TypeError):
        return None
    return value if isinstance(value, (int, float)) else None


def _library(item: bpy.types.ID) -> str | None:
    if item.library is None:
        return None
    path = bpy.path.abspath(item.library.filepath)
    return os.path.normpath(path)
