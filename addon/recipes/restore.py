# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a captured copy and puts back what a copy saved elsewhere silently loses.

Disk caches, bake folders, unsaved pixels and drivers' helper functions come back from where
``capture.json`` says they were. Caches that Blender might write to are copied into the job's
folder, so the artist's own are never touched; nothing outside the job's folder is ever written.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import blocks, caches
from bridge import blend_file
from bridge.problems import Category, ProblemError

SCHEMA = 1


def load(path: Path) -> dict[str, Any]:
    """Read capture.json; raises ProblemError(INTERNAL) when it is missing or of a later schema."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        schema = int(data["schema"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProblemError(
            Category.INTERNAL,
            "The captured scene of this job is missing or damaged.",
            "Send the objects again from Blender.",
            f"{path}: {error}",
        ) from None
    if schema > SCHEMA:
        raise ProblemError(
            Category.INTERNAL,
            "This job was captured by a newer Scene Courier.",
            "Update Scene Courier, then retry the job.",
            f"capture.json has schema {schema}, this one reads {SCHEMA}",
        )
    return dict(data)


def open_blend(path: Path, *, scripts: bool) -> None:
    """Open a .blend without its window layout; scripts run only when ``scripts``.

    Raises ProblemError: BLENDER when the file is newer than this Blender, INPUT when it is damaged.
    """
    blend_file.require_not_newer(path, bpy.app.version)
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=scripts)
    except RuntimeError as error:
        raise ProblemError(
            Category.INPUT,
            f"Blender cannot open {path.name}.",
            "Open it in Blender, save it, and send it again.",
            str(error).strip()[-300:],
        ) from None
    if tuple(bpy.data.version)[:2] > tuple(bpy.app.version)[:2]:
        raise blend_file.newer(path.name, tuple(bpy.data.version), tuple(bpy.app.version))


def open_capture(
    capture: dict[str, Any],
    folder: Path,
    *,
    all_frames: bool,
    say: Callable[[str], None] = lambda text: None,
) -> list[str]:
    """Open the copy in ``folder`` as the artist saw the scene; return notes for the artist.

    ``all_frames`` puts whole caches back, else only what the captured frame needs. ``say`` is told
    what goes on.
    """
    frame = None if all_frames else int(capture["frame_current"])
    entries = capture.get("caches", [])
    notes = caches.put_disk_caches(entries, folder, capture["blend"], frame)
    trusted = bool(capture.get("scripts_trusted"))
    open_blend(folder / capture["blend"], scripts=trusted)
    notes += caches.put_folders(entries, folder, frame)
    if any(entry["kind"] == "nodes_bake" for entry in entries):
        caches.put_disk_caches(entries, folder / "restored", capture["blend"], frame)
        _open_again(capture["blend"], folder, scripts=trusted)
    notes += put_back_images(capture.get("images", []), folder)
    notes += put_back_functions(capture, trusted)
    activate(capture)
    notes += caches.replay(bpy.context.scene, entries, say)
    return list(dict.fromkeys(notes))


def _open_again(blend: str, folder: Path, *, scripts: bool) -> None:
    """Save the open file with its new paths, by the same name, and open that.

    Geometry nodes look for a bake once; having missed it they keep to what they had.
    """
    path = folder / "restored" / blend
    caches.need_room(folder, (folder / blend).stat().st_size)
    path.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(
        filepath=str(path), copy=True, compress=False, relative_remap=True, check_existing=False
    )
    open_blend(path, scripts=scripts)
    with contextlib.suppress(OSError):
        path.unlink()


def activate(capture: dict[str, Any]) -> None:
    """Make the captured scene, view layer and frame the current ones."""
    scene = bpy.data.scenes.get(capture["scene"])
    if scene is None:
        raise ProblemError(
            Category.INTERNAL,
            "The captured scene of this job is incomplete.",
            "Send the objects again from Blender.",
            f"no scene {capture['scene']!r} in the copy",
        )
    window = bpy.context.window
    window.scene = scene
    layer = scene.view_layers.get(capture["view_layer"])
    if layer is not None:
        window.view_layer = layer
    scene.frame_set(int(capture["frame_current"]), subframe=float(capture.get("frame_subframe", 0)))


# Images


def put_back_images(entries: list[dict[str, Any]], folder: Path) -> list[str]:
    """Give the copy the pixels that the artist saw; return notes about those that could not be."""
    notes = []
    for entry in entries:
        image = blocks.find(bpy.data.images, entry["name"], entry.get("library"))
        if image is None:
            continue
        try:
            if "<UDIM>" in entry["file"]:
                _load_tiles(image, folder / entry["file"])
            else:
                _replace_pixels(image, folder / entry["file"])
        except (OSError, ValueError, RuntimeError) as error:
            notes.append(f"The unsaved changes of the image {entry['name']} were lost ({error}).")
    return notes


def _load_tiles(image: bpy.types.Image, path: Path) -> None:
    space = image.colorspace_settings.name
    if image.packed_file:
        image.unpack(method="REMOVE")
    image.filepath = str(path)
    image.reload()
    image.colorspace_settings.name = space


def _replace_pixels(image: bpy.types.Image, path: Path) -> None:
    """A fresh image takes the old one's place, whose state (packed, path) would interfere."""
    import numpy

    values = numpy.load(path, allow_pickle=False)
    height, width, channels = values.shape
    is_float = values.dtype != numpy.uint8
    name = image.name
    fresh: Any = bpy.data.images.new(
        "fresh", width, height, alpha=True, float_buffer=is_float, is_data=False
    )
    fresh.colorspace_settings.name = image.colorspace_settings.name
    fresh.alpha_mode = image.alpha_mode
    plain = numpy.ones((height, width, 4), dtype=numpy.float32)
    if channels == 4:
        plain[:] = values
    elif channels == 3:
        plain[..., :3] = values
    else:
        plain[..., :3] = values[..., :1]
    if not is_float:
        plain[..., : channels if channels in (3, 4) else 3] /= 255.0
    fresh.pixels.foreach_set(plain.ravel())
    fresh.pack()
    image.user_remap(fresh)
    if image.library is None:
        image.name = name + " (before)"
    fresh.name = name


# Scripts


def put_back_functions(capture: dict[str, Any], trusted: bool) -> list[str]:
    """Run again the texts that gave drivers their functions; only in a file the artist trusts.

    A driver whose function stays missing would set its property to zero: it is switched off, and
    the property gets the value that it had when the scene was captured.
    """
    namespace = bpy.app.driver_namespace
    wanted = capture.get("driver_namespace", [])
    missing = [entry for entry in wanted if entry["name"] not in namespace]
    if trusted:
        for name in dict.fromkeys(entry["text"] for entry in missing if entry.get("text")):
            text = bpy.data.texts.get(name)
            if text is not None:
                _run(text)
    if trusted and missing:
        _revive_drivers()
    names = {entry["name"] for entry in missing if entry["name"] not in namespace}
    lost = set()
    for entry in capture.get("driven", []):
        used = names & set(entry["functions"])
        if used and _freeze(entry):
            lost |= used
    if not lost:
        return []
    return [
        f"Drivers use {', '.join(sorted(lost))}, which only your own Blender knows; "
        "what they drive is sent as it stands at this frame."
    ]


def _freeze(entry: dict[str, Any]) -> bool:
    """Switch one driver off and give its property the captured value."""
    item = blocks.find(getattr(bpy.data, entry["collection"]), entry["name"], entry.get("library"))
    if item is None:
        return False
    owner = getattr(item, entry["within"]) if entry.get("within") else item
    curve = owner.animation_data.drivers.find(entry["path"], index=entry["index"])
    if curve is None:
        return False
    curve.mute = True
    holder, _, name = entry["path"].rpartition(".")
    try:
        target = owner.path_resolve(holder) if holder else owner
        if name.endswith("]"):
            owner_path, _, key = entry["path"].rpartition("[")
            holder_object = owner.path_resolve(owner_path) if owner_path else owner
            holder_object[json.loads(key[:-1])] = entry["value"]
        elif hasattr(getattr(target, name), "__len__"):
            getattr(target, name)[entry["index"]] = entry["value"]
        else:
            setattr(target, name, entry["value"])
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        print(f"driver of {entry['name']}.{entry['path']}: {error}", flush=True)
        return False
    owner.update_tag()
    return True


def _run(text: bpy.types.Text) -> None:
    source = compile(text.as_string(), os.path.join(bpy.data.filepath, text.name), "exec")
    try:
        exec(source, {"__name__": "__main__", "__file__": text.name, "bpy": bpy})
    except Exception as error:  # the artist's own script: whatever it raises, the job goes on
        print(f"text {text.name}: {type(error).__name__}: {error}", flush=True)


def _drivers() -> Iterable[bpy.types.FCurve]:
    for collection in (
        bpy.data.objects, bpy.data.meshes, bpy.data.materials, bpy.data.node_groups,
        bpy.data.shape_keys, bpy.data.curves, bpy.data.armatures, bpy.data.scenes,
    ):  # fmt: skip
        for item in collection:
            if item.animation_data is not None:
                yield from item.animation_data.drivers


def _revive_drivers() -> None:
    """A driver that failed once stays off until its expression is set again."""
    for curve in _drivers():
        if curve.driver.type == "SCRIPTED":
            expression = curve.driver.expression
            curve.driver.expression = expression
            curve.id_data.update_tag()
