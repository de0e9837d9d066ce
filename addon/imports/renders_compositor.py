# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as Image nodes in the scene's compositor; multi-layer EXR with a socket for each pass.

Adds nodes below all others and links them to nothing. A scene without a compositor gets one that
passes the render on as it is, with the frames at a Viewer.
"""

from __future__ import annotations

from typing import Any

import bpy

from ...bridge.problems import Category, ProblemError
from .. import versions
from .bringing import Bringing, Shown, note_look
from .renders_image import image_of, set_user

_GAP = 60.0


def add_nodes(bring: Bringing) -> None:
    """An Image node for each sequence, the passes of File Output nodes included."""
    for item in bring.shown:
        image_of(bring, item)  # what cannot be read is told before there is a tree
    tree = versions.compositor(bring.scene)
    new = tree is None
    if new:
        tree, back = versions.make_compositor(bring.scene, f"{bring.name} compositing")
        bring.undo(back)
        if isinstance(tree, bpy.types.ID) and not tree.is_embedded_data:
            bring.label(tree, "compositor")
    elif tree.library is not None:
        raise ProblemError(
            Category.INPUT,
            "The scene's compositor comes from another file.",
            "Make it local, then import again.",
            tree.name_full,
        )
    made = [_node(bring, tree, item) for item in bring.shown]
    if new:
        _to_viewer(tree, made[0])
    elif getattr(bring.scene, "use_nodes", True) is False:
        bring.report.note("Use Nodes is off in this scene's compositor; the new node waits there.")
    note_look(bring, bring.shown[0].sequence.files[0][1], "Rendering the compositor's result")


def _node(bring: Bringing, tree: Any, item: Shown) -> Any:
    image = image_of(bring, item)
    node = _earlier(bring, tree, item) if bring.replace else None
    if node is None:
        x, y = _free_place(tree)
        node = tree.nodes.new("CompositorNodeImage")
        bring.undo(lambda: tree.nodes.remove(node))
        node.location = (x, y)
        node.select = False
        node.name = node.label = item.name
        bring.label(node, item.part)
    node.image = image  # makes a socket for each pass of the file
    set_user(node, item.sequence)
    bring.report.nodes.append(node.name)
    return node


def _earlier(bring: Bringing, tree: Any, item: Shown) -> Any:
    """The node of an earlier import: it keeps its links and gets the new frames."""
    for node in tree.nodes:
        if node.bl_idname == "CompositorNodeImage" and bring.is_earlier(node, item.part):
            names = ("image", "frame_duration", "frame_start", "frame_offset", "use_auto_refresh")
            before = {name: getattr(node, name) for name in names}

            def back(node: Any = node, before: dict[str, Any] = before) -> None:
                for name, value in before.items():
                    setattr(node, name, value)

            bring.undo(back)
            return node
    return None


def _free_place(tree: Any) -> tuple[float, float]:
    """Left edge and a height below everything that is there."""
    left, bottom = 0.0, 0.0
    scale = bpy.context.preferences.system.ui_scale or 1.0
    for number, node in enumerate(tree.nodes):
        x, y = _absolute(node)
        # Without a window nodes have no size yet: count their sockets.
        height = node.dimensions.y / scale
        height = height or 140.0 + 22.0 * (len(node.inputs) + len(node.outputs))
        left = min(left, x) if number else x
        bottom = min(bottom, y - height) if number else y - height
    return (left, bottom - _GAP) if len(tree.nodes) else (0.0, 0.0)


def _absolute(node: Any) -> tuple[float, float]:
    """Where a node is in the tree: those in frames count from the frame."""
    x, y = node.location
    while node.parent is not None:
        node = node.parent
        x, y = x + node.location.x, y + node.location.y
    return x, y


def _to_viewer(tree: Any, node: Any) -> None:
    """In a tree of our own the frames can be looked at in the backdrop."""
    viewer = next((n for n in tree.nodes if n.bl_idname == "CompositorNodeViewer"), None)
    if viewer is None:
        viewer = tree.nodes.new("CompositorNodeViewer")
        viewer.location = (node.location.x + 500.0, node.location.y)
        viewer.select = False
    tree.links.new(node.outputs[0], viewer.inputs[0])
