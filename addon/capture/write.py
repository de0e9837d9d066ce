# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the job folder: scene.blend (a copy), images/ (pixels that no file holds), capture.json.

``capture.json`` is the sole hand-off from the artist's session to the recipes. It is written last,
by a temporary name: a folder without it is no capture. When anything fails, the folder is as
before.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import bpy

from ...bridge.problems import Category, Problem, ProblemError
from . import bounds, caches, checks, images, selection, session
from . import product_groups as grouped
from . import scene as scenes

SCHEMA = 1
BLEND = "scene.blend"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}


def capture(
    context: bpy.types.Context,
    folder: Path,
    *,
    job: dict[str, Any],
    placement: str = "source",
    objects: Iterable[bpy.types.Object] | None = None,
    whole_scene: bool = False,
    products: str = "",
    progress: Callable[[float, str], None] | None = None,
) -> dict[str, Any]:
    """Copy the scene and what it loses by copying into ``folder``; return what capture.json holds.

    ``job`` has id, name, service and options. ``placement`` is "source" (the result stands where
    the selection stood: the middle of its foot) or "cursor" (at the 3D cursor). ``objects`` sends
    only those (one job per object) whatever is selected. ``whole_scene`` is for a render: nothing
    needs to be selected, and the scene, camera, view layer and frames are those of the job's
    options, else the scene's own. ``products`` says what makes a product, where each becomes a file
    of its own (``grouping.group``): children and collections come along.
    ``progress(fraction, text)`` is called in between, for a cursor or a status text.

    The folder is made; it must be new or empty. Raises ProblemError (INPUT, DISK) with the folder
    left as it was found. Nothing of the artist's session changes.
    """
    say = progress or (lambda fraction, text: None)
    options = job.get("options") or {}
    items = [] if whole_scene else list(objects or ())
    if not whole_scene and objects is None:
        items = selection.selected(context)
    folder = Path(folder)
    for problem in checks.check(
        context,
        options,
        objects=items,
        folder=folder,
        whole_scene=whole_scene,
        products=products,
    ):
        raise ProblemError.of(problem)
    made = _make(folder)
    try:
        say(0.1, "Copying the scene")
        _save_copy(folder / BLEND)
        say(0.8, "Saving unsaved images")
        saved, notes = images.save_all(folder)
        if whole_scene:
            picked = scenes.chosen(context, options)
            data = _of_scene(context, picked) | describe_scene(context, job)
        else:
            data = _of_scene(context, context.scene)
            data |= describe(context, items, placement, job, products)
        data |= {"images": saved, "notes": notes}
        write_json(folder / "capture.json", data)
    except BaseException as error:
        _undo(folder, made)
        if isinstance(error, OSError):
            raise ProblemError.of(disk_problem(folder, error)) from error
        raise
    say(1.0, "Captured")
    return data


def _of_scene(context: bpy.types.Context, scene: Any) -> dict[str, Any]:
    """What every job of this moment has in common, but for images and notes."""
    layer = context.view_layer if scene == context.scene else scene.view_layers[0]
    functions = session.driver_functions()
    return {
        "schema": SCHEMA,
        "blend": BLEND,
        "original_path": bpy.data.filepath,
        "scene": scene.name,
        "view_layer": layer.name,
        "camera": scene.camera.name if scene.camera else None,
        "frame_current": scene.frame_current,
        "frame_subframe": scene.frame_subframe,
        "frame_start": scene.frame_start,
        "frame_end": scene.frame_end,
        "frame_step": scene.frame_step,
        "fps": scene.render.fps / scene.render.fps_base,
        "scripts_trusted": session.scripts_trusted(),
        "driver_namespace": functions,
        "driven": session.driven({str(entry["name"]) for entry in functions}),
        "caches": caches.find(),
        "blender": session.blender(),
        "unit_scale": _metres(scene),
    }


def describe(
    context: bpy.types.Context,
    items: list[bpy.types.Object],
    placement: str,
    job: dict[str, Any],
    products: str = "",
) -> dict[str, Any]:
    """What capture.json says of one job: its objects, where they stand, and the job.

    ``members`` are objects that come along because they belong to a product.
    """
    scene: Any = context.scene
    active = context.view_layer.objects.active
    more: list[bpy.types.Object] = []
    if products:
        chosen = set(items)
        held = grouped.grouped(context, products, items).objects()
        more = [item for item in held if item not in chosen]
    box = bounds.bounds(context, [*items, *more])
    # A rigid body that was played but not baked has fallen, and the file does not know it.
    places = scene.rigidbody_world is not None
    return {
        "selection": [_reference(item, places) for item in items],
        **({"members": [_reference(item, places) for item in more]} if more else {}),
        "active": active.name if active is not None and active in items else None,
        "placement": {"mode": placement, "location": _location(scene, placement, box)},
        "bounds": None if box is None else {"min": list(box[0]), "max": list(box[1])},
        "job": {key: job.get(key) for key in ("id", "name", "service", "options")},
    }


def describe_scene(context: bpy.types.Context, job: dict[str, Any]) -> dict[str, Any]:
    """What capture.json says of one job that renders the whole scene."""
    wishes = job.get("options") or {}
    data = scenes.describe(scenes.chosen(context, wishes), wishes)
    if wishes.get("view_layer"):
        data["view_layer"] = wishes["view_layer"]
    return data | {
        "selection": [],
        "active": None,
        "placement": {"mode": "source", "location": [0.0, 0.0, 0.0]},
        "bounds": None,
        "job": {key: job.get(key) for key in ("id", "name", "service", "options")},
    }


def _metres(scene: bpy.types.Scene) -> float:
    """Metres for each unit; without a system of units a unit counts as a metre."""
    units = scene.unit_settings
    return 1.0 if units.system == "NONE" else float(units.scale_length)


def _reference(item: bpy.types.Object, places: bool) -> dict[str, Any]:
    library = item.library
    path = None
    if library is not None:
        path = os.path.normpath(bpy.path.abspath(library.filepath))
    entry: dict[str, Any] = {"name": item.name, "library": path, "type": item.type}
    if places:
        entry["matrix"] = [list(item.matrix_world[row][:]) for row in range(4)]
    return entry


def _location(
    scene: bpy.types.Scene,
    placement: str,
    box: tuple[tuple[float, float, float], tuple[float, float, float]] | None,
) -> list[float]:
    """Where the foot of the result goes, in world units."""
    if placement == "cursor" or box is None:
        return list(scene.cursor.location[:])
    low, high = box
    return [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]]


def _make(folder: Path) -> list[Path]:
    """Make the folder; return the folders that did not exist before, deepest first."""
    new = []
    place = folder
    while not place.exists() and place != place.parent:
        new.append(place)
        place = place.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ProblemError(
                Category.INTERNAL, "The job's folder is already in use.", "", str(folder)
            )
    except OSError as error:
        raise ProblemError.of(disk_problem(folder, error)) from error
    return new


def _undo(folder: Path, made: list[Path]) -> None:
    """Take back what was written, and the folders that were made for it."""
    with contextlib.suppress(OSError):
        for leftover in list(folder.iterdir()):  # the folder was empty: all in it is ours
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
        for place in made:
            place.rmdir()


def _save_copy(path: Path) -> None:
    """Blender's own copy: flushes edit, sculpt and paint modes, leaves the session alone.

    Uncompressed, since that is faster than what it saves on a local disk, and explicitly so, since
    the default differs between versions. Paths are rewritten for the new place: the copy still
    finds its libraries and textures.
    """
    # Packing automatically would pack the artist's own images, in the session.
    packs, bpy.data.use_autopack = bpy.data.use_autopack, False
    try:
        bpy.ops.wm.save_as_mainfile(
            filepath=str(path), copy=True, compress=False, relative_remap=True, check_existing=False
        )
    except RuntimeError as error:
        raise ProblemError(
            Category.DISK,
            "Blender could not write the copy of the scene.",
            "Check the space on the disk and your right to write to the folder for jobs.",
            f"{path}: {str(error).strip()}",
        ) from error
    finally:
        bpy.data.use_autopack = packs
    if not path.is_file():
        raise OSError(errno.EIO, "Blender wrote no file", str(path))


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write ``capture.json``, by a temporary name."""
    temporary = path.with_name(path.name + ".tmp")
    # A name that is no valid text (it happens on Linux) is escaped, not refused.
    # One line for each entry: readable, and written by json's fast encoder, which cannot indent.
    lines = [f"{json.dumps(key)}: {json.dumps(data[key], ensure_ascii=False)}" for key in data]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
    os.replace(temporary, path)


def disk_problem(folder: Path, error: OSError) -> Problem:
    """Why the job's folder could not be written."""
    if error.errno in _NO_ROOM:
        return Problem(
            Category.DISK,
            "The disk became full while the scene was copied.",
            "Free some space, or choose a folder on another disk in the preferences.",
            f"{folder}: {error.strerror}",
        )
    return checks.unwritable(folder, error.strerror or str(error))
