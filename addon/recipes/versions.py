# SPDX-License-Identifier: GPL-3.0-or-later
"""What recipes do differently in Blender 4.2, 4.5, 5.0 and 5.2, in one place.

Every function asks Blender what it has and compares no version numbers. Nothing here changes a
scene.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy


def curves(action: Any) -> Iterator[Any]:
    """All F-curves of an action; since 4.4 they lie in layers, since 5.0 nowhere else."""
    yield from getattr(action, "fcurves", ())
    for layer in getattr(action, "layers", ()):
        for strip in layer.strips:
            for bag in getattr(strip, "channelbags", ()):
                yield from bag.fcurves


def strips(editor: Any) -> list[Any]:
    """All strips of a sequencer, those in meta strips included."""
    found = getattr(editor, "strips_all", None)
    return list(editor.sequences_all if found is None else found)


def top_strips(editor: Any) -> list[Any]:
    """The strips of a sequencer that are in no meta strip."""
    found = getattr(editor, "strips", None)
    return list(editor.sequences if found is None else found)


def compositor(scene: Any) -> Any:
    """The node tree with which a scene is composited, or None; since 5.0 a data-block of its own.

    Where it is not used (``use_nodes`` off) it is returned all the same.
    """
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return scene.node_tree


def input_of(modifier: Any, identifier: str) -> Any:
    """The value that a geometry nodes modifier gives to an input of its group, or None."""
    properties = getattr(modifier, "properties", None)
    if properties is not None:  # since 5.2
        return getattr(getattr(properties.inputs, identifier, None), "value", None)
    return modifier.get(identifier)


def set_input(modifier: Any, identifier: str, value: Any) -> None:
    """Set what `input_of` reads."""
    properties = getattr(modifier, "properties", None)
    if properties is not None:
        getattr(properties.inputs, identifier).value = value
    else:
        modifier[identifier] = value


def stored_paths() -> list[tuple[Any, str]]:
    """Every path that Blender itself knows of, as stored, with its data-block (None before 4.5).

    Packed files are left out. Without a data-block the path is absolute.
    """
    found: list[tuple[Any, str]] = []
    if hasattr(bpy.data, "file_path_foreach"):
        bpy.data.file_path_foreach(lambda item, path, *_: found.append((item, path)))
    elif hasattr(bpy.data, "file_path_map"):
        for item, paths in bpy.data.file_path_map(include_libraries=False).items():
            found += [(item, path) for path in paths]
    else:
        found += [(None, path) for path in bpy.utils.blend_paths(absolute=True, packed=False)]
    return found
