# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of sending, said before anything is written.

``check`` lists what must be changed first, ``notes`` what the artist may want to know. Both are
cheap enough for a click (not for ``draw``): they look at what Blender has in memory and at one
folder.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy

from ...bridge.problems import Category, Problem
from . import images, selection, session
from . import product_groups as grouped
from . import scene as scenes

MARGIN_BYTES = 64 * 1024 * 1024
# An uncompressed copy of a compressed .blend; measured on ordinary scenes, on the careful side.
COMPRESSED_FACTOR = 4
UNSAVED_BYTES = 64 * 1024 * 1024
MANY_TRIANGLES = 2_000_000
# What an artist sees, but no triangles can be made of. Lights, cameras and bones are no loss.
_NO_SURFACE = {"CURVES", "POINTCLOUD", "VOLUME", "GPENCIL", "GREASEPENCIL"}


def check(
    context: bpy.types.Context,
    options: dict[str, Any] | None = None,
    *,
    objects: Iterable[bpy.types.Object] | None = None,
    folder: Path | None = None,
    whole_scene: bool = False,
    products: str = "",
) -> list[Problem]:
    """What must be changed before the selection (or ``objects``) can be sent; empty: nothing.

    ``whole_scene`` asks about the scene instead: nothing needs to be selected, and no mesh is
    needed. ``products`` says what makes a product, where each becomes a file of its own; one good
    one is enough. ``folder`` is the job's folder or the folder that will hold it, if its place is
    to be checked too. ``options`` are the service's, as in the job; of these only a whole scene's
    frames, scene, camera, view layer and "ignore_problems" matter here.
    """
    found: list[Problem | None] = []
    if whole_scene:
        found += scenes.check(context, options)
    else:
        items = selection.selected(context) if objects is None else list(objects)
        found.append(
            grouped.problem(context, items, products)
            if products
            else _selection_problem(context, items)
        )
    if folder is not None:
        found.append(place_problem(folder, needed_bytes()))
    return [problem for problem in found if problem is not None]


def _selection_problem(context: bpy.types.Context, items: list[bpy.types.Object]) -> Problem | None:
    if not items:
        return Problem(
            Category.INPUT,
            "Nothing is selected.",
            "Select the objects that make up the asset, then send again.",
        )
    with_surface = selection.exportable(context, items)
    if not with_surface:
        if any(selection.has_surface(child) for item in items for child in item.children_recursive):
            return Problem(
                Category.INPUT,
                "The selection has no mesh itself; only its children have.",
                "Select the children too: Select > Select Grouped > Children.",
            )
        return Problem(
            Category.INPUT,
            "The selection has no mesh.",
            "Select at least one mesh, curve, text, surface or collection instance.",
            "selected: " + ", ".join(sorted({item.type for item in items})),
        )
    if selection.without_faces(context, with_surface):
        return Problem(
            Category.INPUT,
            "The selected objects have no faces.",
            "Points and edges alone cannot be converted. Add faces, or select other objects.",
        )
    return None


def notes(
    context: bpy.types.Context,
    options: dict[str, Any] | None = None,
    *,
    objects: Iterable[bpy.types.Object] | None = None,
    whole_scene: bool = False,
    products: str = "",
) -> list[str]:
    """What the artist should know before sending, one sentence each; none of it stops the job.

    What is only about some of the ``products`` is told with them, later.
    """
    said = []
    if not bpy.data.filepath:
        said.append(
            "This scene is not saved yet: results go to Scene Courier's own folder. "
            "Save the scene first to have them beside it."
        )
    if not session.scripts_trusted():
        said.append(
            "This file's scripts are blocked: what they drive stands still in the render."
            if whole_scene
            else "This file's scripts are blocked: what they drive is sent as it stands at this "
            "frame."
        )
    if whole_scene:
        return said
    given = selection.selected(context) if objects is None else list(objects)
    if products:
        given = grouped.grouped(context, products, given).objects()
    left_out = [item.name for item in given if item.type in _NO_SURFACE]
    if left_out:
        said.append(
            f"Not sent, because hair, points, volumes and drawings have no surface: "
            f"{_some(left_out)}. Convert them to meshes to send them too."
        )
    items = selection.exportable(context, given)
    count = selection.triangles(context, items)
    if count > MANY_TRIANGLES:
        said.append(
            f"The selection has {count / 1e6:.1f} million triangles: "
            + (
                "sending and processing it may take long."
                if products
                else "the conversion may take long. A lower triangle count can be set in the "
                "options."
            )
        )
    said += _scale_notes(items)
    return said


def _scale_notes(items: list[bpy.types.Object]) -> list[str]:
    mirrored, uneven = [], []
    for item in items:
        x, y, z = item.scale[:]
        if x * y * z < 0:
            mirrored.append(item.name)
        elif not x == y == z and max(x, y, z) > 1.001 * min(x, y, z):
            uneven.append(item.name)
    said = []
    if mirrored:
        said.append(f"Mirrored by a negative scale: {_some(mirrored)}. Check the faces' direction.")
    if uneven:
        said.append(
            f"Scaled unevenly: {_some(uneven)}. If parts look sheared, apply the scale (Ctrl A)."
        )
    return said


def _some(names: list[str], most: int = 3) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def needed_bytes() -> int:
    """Bytes that a capture is likely to need: the copy, the unsaved images, and a margin.

    Nobody knows the size of an uncompressed copy before it is written; this guesses from the file
    on disk, on the careful side.
    """
    copy = UNSAVED_BYTES
    if bpy.data.filepath:
        try:
            with open(bpy.data.filepath, "rb") as file:
                compressed = not file.read(7).startswith(b"BLENDER")
                size = file.seek(0, os.SEEK_END)
            copy = size * (COMPRESSED_FACTOR if compressed else 1)
        except OSError:
            pass  # moved or unplugged since it was opened: the guess for an unsaved scene stands
    return copy + images.unsaved_bytes() + MARGIN_BYTES


def place_problem(folder: Path, needed: int) -> Problem | None:
    """Why ``folder`` (which need not exist yet) cannot take ``needed`` bytes; None when it can."""
    place = Path(folder)
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return Problem(
            Category.DISK,
            f"The folder for jobs cannot be made: {place} is a file.",
            "Move that file away, or choose another folder in the preferences.",
            f"{folder}: not a directory",
        )
    if not os.access(place, os.W_OK | os.X_OK):
        return unwritable(place, "no right to write")
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return unwritable(place, error.strerror or str(error))
    if free < needed:
        return Problem(
            Category.DISK,
            f"There is too little room on the disk: about {needed / 1e6:,.0f} MB are needed, "
            f"{free / 1e6:,.0f} MB are free.",
            "Free some space, or choose a folder on another disk in the preferences.",
            f"{place}: {free} bytes free, {needed} needed",
        )
    return None


def unwritable(place: Path, technical: str) -> Problem:
    """The problem of a folder that cannot be written to."""
    return Problem(
        Category.DISK,
        f"Scene Courier may not write to its folder {place}.",
        "Give yourself the right to write there, or choose another folder in the preferences.",
        f"{place}: {technical}",
    )
