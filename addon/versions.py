# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between Blender 4.2, 4.5, 5.0 and 5.2, in one place.

Every function asks Blender what it can do, and none compares version numbers: builds of the same
version differ too (Debian's has no USD, the 4.2 wheel has USD without its Python library). Nothing
here changes a scene.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, cast

import bpy


def has_usd_import() -> bool:
    """Whether this build of Blender reads USD files."""
    return bool(getattr(bpy.app.build_options, "usd", False)) and "usd_import" in dir(bpy.ops.wm)


def usd_library() -> ModuleType | None:
    """The USD library for Python (`pxr`) that this Blender brings along, or None.

    Blender 4.5 and newer hide it until `bpy.utils.expose_bundled_modules` is called. A `pxr` that
    somebody installed from elsewhere may come first; then an import hook cannot be given the stage.
    """
    expose = getattr(bpy.utils, "expose_bundled_modules", None)
    if expose is not None:
        expose()
    try:
        import pxr
        from pxr import Usd, UsdGeom, UsdPhysics, UsdShade, UsdUtils  # noqa: F401
    except Exception:  # a foreign library may fail in any way while it loads
        return None
    return cast(ModuleType, pxr)


def known_options(operator: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `wanted` that this version's operator has a property for."""
    known = {item.identifier for item in operator.get_rna_type().properties}
    return {name: value for name, value in wanted.items() if name in known}


def units_per_metre(scene: bpy.types.Scene) -> float:
    """How many of the scene's units a metre has; without a system of units a unit is a metre."""
    units = scene.unit_settings
    return 1.0 if units.system == "NONE" else 1.0 / units.scale_length


def identity(data: bpy.types.ID) -> int:
    """A number that stays with a data-block for this session: its `session_uid` or its pointer."""
    return int(getattr(data, "session_uid", 0) or data.as_pointer())


def eevee() -> str:
    """What this Blender calls EEVEE: "BLENDER_EEVEE", in 4.2 to 4.5 "BLENDER_EEVEE_NEXT"."""
    prop = bpy.types.RenderSettings.bl_rna.properties["engine"]
    known = [item.identifier for item in cast(bpy.types.EnumProperty, prop).enum_items]
    return next((name for name in known if "EEVEE" in name), "BLENDER_EEVEE")


@contextlib.contextmanager
def in_window(context: bpy.types.Context) -> Iterator[bpy.types.Context]:
    """Run operators with a window in the context: in a timer there is none."""
    manager = context.window_manager
    if context.window is None and manager is not None and len(manager.windows):
        with context.temp_override(window=manager.windows[0]):
            yield bpy.context
    else:
        yield context
