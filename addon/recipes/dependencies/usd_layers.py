# SPDX-License-Identifier: GPL-3.0-or-later
"""Which other files a USD file needs: layers that it refers to, and their textures.

Where this Blender has no USD library for Python (4.2), text layers are searched for asset paths and
binary ones count as complete in themselves.
"""

from __future__ import annotations

import os
import re

import bpy

from addon.recipes import places

_ASSET = re.compile(r"@@?@?([^@\n]+?)@")


def needed(path: str) -> list[str]:
    """Absolute paths of the files that a USD file refers to, itself left out; there or not."""
    found = _by_library(path)
    if found is None:
        found = _by_text(path, set())
    own = places.key(path)
    return [each for each in dict.fromkeys(found) if places.key(each) != own]


def _by_library(path: str) -> list[str] | None:
    expose = getattr(bpy.utils, "expose_bundled_modules", None)
    if expose is not None:
        expose()
    try:
        from pxr import UsdUtils

        layers, assets, missing = UsdUtils.ComputeAllDependencies(path)
    except Exception:  # no library, a foreign one, or a file that it cannot read
        return None
    names = [layer.realPath or layer.identifier for layer in layers]
    return [
        places.resolve(str(name), os.path.dirname(path))
        for name in [*names, *assets, *missing]
        if name and "[" not in str(name)  # within a .usdz
    ]


def _by_text(path: str, seen: set[str]) -> list[str]:
    if path in seen or len(seen) > 1000:
        return []
    seen.add(path)
    try:
        with open(places.extended(path), "rb") as file:
            if file.read(5) != b"#usda":
                return []
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    found = []
    for name in _ASSET.findall(text):
        other = places.resolve(name, os.path.dirname(path))
        found.append(other)
        if os.path.splitext(other)[1].lower() in {".usd", ".usda"}:
            found += _by_text(other, seen)
    return found
