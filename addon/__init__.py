# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension inside Blender: everything that imports bpy lives in this package.

This file imports neither bpy nor any sibling at its top level, because a headless Blender's recipes
(``addon.recipes``) share the package. It never opens a file or a connection: enabling the extension
costs nothing until the sidebar tab is first looked at.
"""

from __future__ import annotations

import importlib
from types import ModuleType

# In the order in which they are registered: a module may use the classes of those before it.
_PARTS = (
    "preferences",
    "properties",
    "operators_send",
    "operators_jobs",
    "operators_render",
    "operators_shoot",
    "operators_import",
    "panels",
    "panels_renderjuice",
    "panels_glossi",
    "pump",
)
_registered: list[ModuleType] = []


def register() -> None:
    """Register every part; when one fails, those before it are taken back first."""
    try:
        for name in _PARTS:
            part = importlib.import_module(f".{name}", __package__)
            part.register()
            _registered.append(part)
    except BaseException:
        unregister()
        raise


def unregister() -> None:
    """Take everything back, last part first; leaves no class, property, handler or timer."""
    while _registered:
        _registered.pop().unregister()
