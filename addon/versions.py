# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between Blender 4.2, 4.5, 5.0 and 5.2, in one place.

Every function asks Blender what it can do, and none compares version numbers: builds of the same
version differ too (Debian's has no USD, the 4.2 wheel has USD without its Python library). Nothing
here changes a scene.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
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


def strips(editor: Any) -> Any:
    """The strips of a scene's Sequencer; Blender before 4.4 calls them sequences."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def strip_range(strip: Any) -> tuple[int, int]:
    """The strip's first frame and the one after its last, as the timeline shows it."""
    if hasattr(strip, "left_handle"):
        return int(strip.left_handle), int(strip.right_handle)
    return int(strip.frame_final_start), int(strip.frame_final_end)


def compositor(scene: bpy.types.Scene) -> Any:
    """The scene's compositing node tree, or None. From 5.0 on it is a node group."""
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return cast(Any, scene).node_tree


def make_compositor(scene: Any, name: str) -> tuple[Any, Callable[[], None]]:
    """Give a scene that has none a tree that passes the render on unchanged, and how to undo it."""
    if not hasattr(scene, "compositing_node_group"):
        used = scene.use_nodes
        scene.use_nodes = True  # makes Blender's own default tree

        def back() -> None:
            # The tree belongs to the scene and stays; unused, it does nothing.
            scene.node_tree.nodes.clear()
            scene.use_nodes = used

        return scene.node_tree, back
    tree = bpy.data.node_groups.new(name, "CompositorNodeTree")
    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    layers, output = tree.nodes.new("CompositorNodeRLayers"), tree.nodes.new("NodeGroupOutput")
    layers.location, output.location = (-300.0, 0.0), (200.0, 0.0)
    tree.links.new(layers.outputs["Image"], output.inputs["Image"])
    scene.compositing_node_group = tree
    return tree, lambda: bpy.data.node_groups.remove(tree)
