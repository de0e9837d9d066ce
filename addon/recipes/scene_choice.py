# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a capture or a .blend, and finds the objects in it that somebody chose.

What is hidden is shown, in memory: nothing is evaluated that is not. Never saves a .blend, and runs
the file's scripts only when the artist's session trusted them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix

from addon.recipes import blocks, restore
from bridge.problems import Category, Problem, ProblemError


@dataclass
class Chosen:
    """The chosen objects; ``notes`` for the artist; where the artist saw each (its matrix in the
    world), if that is known better than by the file; the active one, if it is among them.

    ``lost`` tells what could not be found, by name.
    """

    objects: list[bpy.types.Object]
    notes: list[str] = field(default_factory=list)
    places: dict[bpy.types.Object, Matrix] = field(default_factory=dict)
    active: bpy.types.Object | None = None
    lost: dict[str, Problem] = field(default_factory=dict)

    def require_all(self) -> None:
        """Raise ProblemError(INPUT) if anything chosen could not be found."""
        for problem in self.lost.values():
            raise ProblemError.of(problem)


def captured(params: dict[str, Any], *, all_frames: bool, say: Callable[[str], None]) -> Chosen:
    """Open a capture (``capture`` and ``folder`` of a recipe's params) and find its objects.

    ``all_frames`` puts whole caches back, not only the captured frame's. Raises ProblemError.
    """
    capture = restore.load(Path(params["capture"]))
    notes = list(capture.get("notes", []))
    notes += restore.open_capture(capture, Path(params["folder"]), all_frames=all_frames, say=say)
    found = Chosen([], notes)
    for entry in capture["selection"]:
        item = blocks.find(bpy.data.objects, entry["name"], entry.get("library"))
        if item is None:
            found.lost[entry["name"]] = Problem(
                Category.INPUT,
                f"The object {entry['name']} is missing from the copy of the scene.",
                "If it is linked from another file, check that this file is still there.",
                f"library {entry.get('library')}",
            )
            continue
        found.objects.append(item)
        if item.name == capture.get("active"):
            found.active = item
    for entry in [*capture["selection"], *capture.get("members", [])]:
        if entry.get("matrix"):
            item = blocks.find(bpy.data.objects, entry["name"], entry.get("library"))
            if item is not None:
                found.places[item] = Matrix(entry["matrix"])
    show(found.objects)
    return found


def open_file(params: dict[str, Any]) -> list[str]:
    """Open the .blend of a recipe's params (``blend``), without its scripts; returns notes."""
    restore.open_blend(Path(params["blend"]), scripts=False)
    if not bpy.app.autoexec_fail:
        return []
    return [
        "This file's scripts were not run: what they drive may be wrong. "
        "Open it in Blender and send it from there."
    ]


def visible() -> list[bpy.types.Object]:
    """What the current view layer shows."""
    return [item for item in bpy.context.view_layer.objects if item.visible_get()]


def from_blend(params: dict[str, Any]) -> Chosen:
    """Open a .blend and find the objects that ``select`` names; without names: what is visible."""
    notes = open_file(params)
    names = params.get("select")
    if names is None:
        return Chosen(visible(), notes)
    chosen = [named(name) for name in names]
    # Whoever names the parent of an assembly means the assembly.
    for item in list(chosen):
        if item.type == "EMPTY" and item.instance_collection is None:
            chosen += [child for child in item.children_recursive if child not in chosen]
    show(chosen)
    return Chosen(chosen, notes)


def named(name: str) -> bpy.types.Object:
    """The object of that name in the current scene, else in any; ProblemError(INPUT) with what is
    near.
    """
    scene = bpy.context.scene
    item = scene.objects.get(name)
    if item is None:
        item = next((o for o in bpy.data.objects if o.name == name and o.users_scene), None)
    if item is not None:
        return item
    known = [o.name for o in scene.objects]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    lower = {o.lower(): o for o in known}
    near += [lower[n] for n in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
    near = list(dict.fromkeys(near))[:3]
    raise ProblemError(
        Category.INPUT,
        f"There is no object named {name} in the scene {scene.name}.",
        f"Did you mean {' or '.join(near)}?" if near else "Check the name; capital letters matter.",
        "objects: " + ", ".join(sorted(known))[:300],
    )


def show(items: list[bpy.types.Object]) -> None:
    """Make the chosen objects visible in the current view layer: hidden ones are not evaluated."""
    layer, scene = bpy.context.view_layer, bpy.context.scene
    for item in items:
        if item.hide_viewport:
            item.hide_viewport = False
        if item.name not in layer.objects or layer.objects[item.name] != item:
            scene.collection.objects.link(item)
        item.hide_set(False)
    layer.update()
    for item in items:
        # In a collection that is switched off: the scene's own collection always shows.
        if not item.visible_get() and scene.collection.objects.get(item.name) is None:
            scene.collection.objects.link(item)
    layer.update()


def leave_modes() -> None:
    """A file saved in edit mode opens in edit mode; its objects' data are complete either way."""
    layer = bpy.context.view_layer
    for item in layer.objects:
        if item.mode != "OBJECT":
            layer.objects.active = item
            bpy.ops.object.mode_set(mode="OBJECT")


def unit_scale() -> float:
    """Metres for each unit of the scene; glTF is in metres, and the service weighs what it gets."""
    units = bpy.context.scene.unit_settings
    return 1.0 if units.system == "NONE" else float(units.scale_length)
