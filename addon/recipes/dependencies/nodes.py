# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that nodes and cameras name themselves: light profiles, OSL scripts, imported geometry."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import bpy

from addon.recipes import places, versions
from addon.recipes.dependencies.media import trees
from addon.recipes.dependencies.walk import Setter, Walk, assign

_FIELD = re.compile(r"\{[^{}]*\}")


def find(walk: Walk) -> None:
    """Everything of these kinds."""
    for owner, tree in trees():
        for node in tree.nodes:
            if node.type == "TEX_IES" and node.mode == "EXTERNAL" and node.filepath:
                walk.file(_own(walk, "ies", owner, node))
            elif node.type == "SCRIPT" and node.mode == "EXTERNAL" and node.filepath:
                _script(walk, owner, node, "filepath")
            for socket in node.inputs:
                if socket.bl_idname == "NodeSocketStringFilePath":
                    _socket(walk, owner, socket)
    for camera in bpy.data.cameras:
        # Cameras written in OSL came with 5.0.
        if getattr(camera, "custom_mode", "") == "EXTERNAL" and camera.custom_filepath:
            _script(walk, camera, camera, "custom_filepath")
    for item in bpy.data.objects:
        for modifier in item.modifiers:
            if isinstance(modifier, bpy.types.NodesModifier) and modifier.node_group is not None:
                _inputs(walk, item, modifier)


def _own(walk: Walk, kind: str, owner: Any, node: Any) -> Any:
    return walk.add(kind, owner, node.filepath, setter=assign(node, "filepath"))


def _script(walk: Walk, owner: Any, holder: Any, name: str) -> None:
    """An OSL shader, and what it includes; compiled (.oso) or not."""
    made = walk.add("script", owner, getattr(holder, name), setter=assign(holder, name))
    if walk.file(made):
        _included(walk, made, made.path, set())
        compiled = os.path.splitext(made.path)[0] + ".oso"
        if walk.disk.find(compiled) is not None:
            walk.file(made, compiled)


def _included(walk: Walk, made: Any, path: str, seen: set[str]) -> None:
    """The files beside a shader that its ``#include "…"`` lines name, and theirs."""
    if path in seen or not path.endswith((".osl", ".h")):
        return
    seen.add(path)
    there = walk.disk.find(path)
    try:
        with open(places.extended(there[0] if there else path), "rb") as file:
            text = file.read(1 << 20).decode("utf-8", "replace")
    except OSError:
        return
    for name in re.findall(r'^\s*#include\s+"([^"\n]+)"', text, re.MULTILINE):
        other = places.resolve(name, os.path.dirname(path))
        if walk.disk.find(other) is not None:  # else it is Blender's own (stdosl.h)
            walk.file(made, other)
            _included(walk, made, other, seen)


# Geometry nodes that import files


def _socket(walk: Walk, owner: Any, socket: Any) -> None:
    """A path that a node reads: written on it, or in the string node that it is linked to."""
    if not socket.is_linked:
        if socket.default_value:
            _imported(
                walk, owner, socket.default_value, assign(socket, "default_value"), "its node"
            )
        return
    for node in _sources(socket):
        if node.bl_idname == "FunctionNodeInputString":
            if node.string:
                _imported(walk, owner, node.string, assign(node, "string"), "its node")
        elif node.bl_idname == "FunctionNodeFormatString" and not node.inputs[0].is_linked:
            value = node.inputs[0].default_value
            if value:
                _formatted(walk, owner, value, assign(node.inputs[0], "default_value"))


def _sources(socket: Any) -> Iterator[Any]:
    """The nodes that a socket's value comes from, past reroutes."""
    for link in socket.links:
        node = link.from_node
        if node.type == "REROUTE":
            yield from _sources(node.inputs[0])
        else:
            yield node


def _inputs(walk: Walk, item: Any, modifier: Any) -> None:
    """Inputs of a modifier that are file paths. ``//`` is relative to the .blend of the group."""
    group = modifier.node_group
    for socket in group.interface.items_tree:
        if socket.item_type != "SOCKET" or socket.in_out != "INPUT":
            continue
        if getattr(socket, "subtype", "") != "FILE_PATH":
            continue
        value = versions.input_of(modifier, socket.identifier)
        if not isinstance(value, str) or not value:
            continue

        def setter(new: str, name: str = socket.identifier) -> None:
            versions.set_input(modifier, name, new)
            item.update_tag()

        if group.library is None or item.library is not None:
            _imported(walk, item, value, setter, modifier.name)
        elif places.is_relative(value):  # as if it were in the group's .blend: it stays as it is
            _imported(walk, group, value, None, modifier.name, holder=item)
        else:
            _imported(walk, item, value, None, modifier.name)


def _imported(
    walk: Walk, owner: Any, value: str, setter: Setter | None, what: str, *, holder: Any = None
) -> None:
    path = walk.place(value, owner, moved=None)
    extension = os.path.splitext(path)[1].lower()
    kind = {".vdb": "volume", ".abc": "alembic", ".usd": "usd"}.get(extension, "other")
    made = walk.add(kind, owner, value, path=path, setter=setter, holder=holder)
    there = walk.disk.find(path)
    if there is not None and walk.disk.is_folder(there[0]):
        made.folder = True
        made.optional = True  # a folder may be where something is to be written
        made.note = f"A folder, named by {what}."
        return
    walk.file(made)


def _formatted(walk: Walk, owner: Any, value: str, setter: Setter) -> None:
    """A path in which a node puts numbers, say the frame: every file whose name fits is taken."""
    path = walk.place(value, owner, moved=None)
    folder, name = os.path.split(path)
    if not _FIELD.search(name) or _FIELD.search(folder):
        return
    expression = re.compile(
        "^" + ".+?".join(re.escape(piece) for piece in _FIELD.split(name)) + "$"
    )
    kind = "volume_sequence" if name.endswith(".vdb") else "other"
    made = walk.add(kind, owner, value, path=path, setter=setter)
    walk.all_frames(made, "All frames are taken, since which of them is shown is computed.")
    there = walk.disk.find(folder)
    for each in walk.disk.names(there[0]) if there else ():
        if expression.match(each):
            walk.file(made, os.path.join(folder, each), frame=places.number(each))
    if not walk.entries(made):
        walk.miss(made, [path])
