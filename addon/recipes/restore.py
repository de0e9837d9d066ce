# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a captured copy and puts back what a copy saved elsewhere silently loses.

Disk caches, bake folders, unsaved pixels and drivers' helper functions come back from where
``capture.json`` says they were. Caches that Blender might write to are copied into the job's
folder, so the artist's own are never touched; nothing outside the job's folder is ever written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy

from bridge import blend_file
from bridge.problems import Category, ProblemError

SCHEMA = 1
_POINT_FRAME = re.compile(r"^(?P<series>.*)_(?P<frame>-?\d+)(?P<rest>_\d+)?\.bphys$")
_FLUID_FRAME = re.compile(r"^(?P<series>.*)_(?P<frame>-?\d+)(?P<rest>\.[\w.]+)$")


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


def open_capture(capture: dict[str, Any], folder: Path, *, all_frames: bool) -> list[str]:
    """Open the copy in ``folder`` as the artist saw the scene; return notes for the artist.

    With ``all_frames`` whole caches are put back, else only what the current frame needs (a cache
    may have a hundred gigabytes, one frame of it a few megabytes).
    """
    notes: list[str] = []
    frames = None if all_frames else int(capture["frame_current"])
    beside = folder / ("blendcache_" + Path(capture["blend"]).stem)
    entries = capture.get("caches", [])
    # Before opening: Blender looks for these as soon as it evaluates the scene.
    for original in _unique(e for e in entries if _own_disk_cache(e)):
        notes += copy_frames(Path(original), beside, frames, _POINT_FRAME)
    trusted = bool(capture.get("scripts_trusted"))
    open_blend(folder / capture["blend"], scripts=trusted)
    notes += put_back_images(capture.get("images", []), folder)
    for number, entry in enumerate(entries):
        notes += _put_back_cache(entry, folder / "caches" / f"{number:03}", frames)
    notes += _put_back_functions(capture.get("driver_namespace", []), trusted)
    activate(capture)
    return list(dict.fromkeys(notes))


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


def same_file(one: str | None, other: str | None) -> bool:
    """Whether two library paths (None: the file itself) mean the same file, by their text."""
    if one is None or other is None:
        return one is other
    return os.path.normcase(os.path.normpath(one)) == os.path.normcase(os.path.normpath(other))


def library_path(item: bpy.types.ID) -> str | None:
    """The absolute path of the file that a data-block is linked from; None for a local one."""
    if item.library is None:
        return None
    return str(bpy.path.abspath(item.library.filepath, library=item.library.parent))


def find(collection: Any, name: str, library: str | None) -> Any:
    """The data-block of that name from that library (None: local), or None."""
    for item in collection:
        if item.name == name and same_file(library_path(item), library):
            return item
    return None


# Caches


def _unique(entries: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(entry["original"]) for entry in entries))


def _own_disk_cache(entry: dict[str, Any]) -> bool:
    """In ``blendcache_<name>`` of the artist's file (a library's own is found as before)."""
    if entry["kind"] != "point_cache" or entry.get("external"):
        return False
    library = entry.get("library")
    return library is None or not same_file(
        os.path.join(os.path.dirname(library), "blendcache_" + Path(library).stem),
        entry["original"],
    )


def _needed(names: Iterable[str], frame: int, pattern: re.Pattern[str]) -> list[str]:
    """Of each numbered series its first frame and those around ``frame``; all unnumbered files."""
    series: dict[tuple[str, str], dict[int, str]] = {}
    needed = []
    for name in names:
        if match := pattern.match(name):
            key = (match["series"], match["rest"] or "")
            series.setdefault(key, {})[int(match["frame"])] = name
        else:
            needed.append(name)
    for numbered in series.values():
        before = [number for number in numbered if number <= frame]
        after = [number for number in numbered if number >= frame]
        picks = {
            min(numbered),
            *([max(before)] if before else []),
            *([min(after)] if after else []),
        }
        needed += [
            numbered[number] for number in sorted(picks | {frame - 1, frame + 1} & set(numbered))
        ]
    return needed


def copy_frames(
    source: Path, target: Path, frame: int | None, pattern: re.Pattern[str], *, deep: bool = False
) -> list[str]:
    """Copy a cache folder, or what ``frame`` needs of it; return notes.

    Raises ProblemError(DISK) when there is too little room.
    """
    if not source.is_dir():
        return [f"A simulation cache was not found: {source.name} beside the scene."]
    chosen: list[tuple[Path, Path]] = []
    for folder, subfolders, names in os.walk(source):
        if not deep:
            subfolders.clear()
        relative = Path(folder).relative_to(source)
        if not deep:
            names = [name for name in names if name.endswith(".bphys")]
        for name in names if frame is None else _needed(names, frame, pattern):
            chosen.append((Path(folder) / name, target / relative / name))
    need_room(target, sum(one.stat().st_size for one, _ in chosen))
    for one, other in chosen:
        other.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(one, other)
    return []


def need_room(place: Path, needed: int, margin: int = 32 * 1024 * 1024) -> None:
    """Raise ProblemError(DISK) unless the disk of ``place`` has room for ``needed`` bytes."""
    existing = place
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed + margin:
        raise ProblemError(
            Category.DISK,
            f"There is too little room on the disk: about {(needed + margin) / 1e6:,.0f} MB are "
            f"needed, {free / 1e6:,.0f} MB are free.",
            "Free some space, then retry the job.",
            f"{existing}: {free} bytes free, {needed} + {margin} needed",
        )


def _put_back_cache(entry: dict[str, Any], own: Path, frame: int | None) -> list[str]:
    """Point one simulation to its data; ``own`` is a folder in the job for a copy of it."""
    original = Path(entry["original"])
    item = (
        find(bpy.data.objects, entry["object"], entry.get("library")) if entry["object"] else None
    )
    modifier = item.modifiers.get(entry["modifier"]) if item is not None else None
    kind = entry["kind"]
    if kind == "point_cache":
        if not entry.get("external"):
            return []
        cache = _point_cache(item, modifier, entry)
        if cache is None:
            return []
        notes = copy_frames(original, own, frame, _POINT_FRAME)
        if not notes:
            cache.filepath = str(own)
        return notes
    if modifier is None:
        return []
    if kind == "fluid":
        notes = copy_frames(original, own, frame, _FLUID_FRAME, deep=True)
        modifier.domain_settings.cache_directory = str(original if notes else own)
        return notes if modifier.domain_settings.has_cache_baked_any else []
    if kind == "file":
        setattr(modifier, entry["property"], str(original))
        return (
            [] if original.exists() else [f"{item.name}: the file {original.name} was not found."]
        )
    return _put_back_bake(modifier, entry, original)


def _put_back_bake(modifier: Any, entry: dict[str, Any], original: Path) -> list[str]:
    # Blender only ever reads a bake of geometry nodes unless told to bake: no copy is needed.
    if entry.get("bake_id") is None:
        modifier.bake_directory = str(original)
    else:
        for bake in modifier.bakes:
            if bake.bake_id == entry["bake_id"]:
                bake.directory = str(original)
    return []


def _point_cache(item: Any, modifier: Any, entry: dict[str, Any]) -> Any:
    if entry.get("scene"):
        scene = bpy.data.scenes.get(entry["scene"])
        world = scene.rigidbody_world if scene else None
        return world.point_cache if world else None
    if modifier is not None and modifier.type in {"CLOTH", "SOFT_BODY"}:
        return modifier.point_cache
    if modifier is not None and modifier.type == "DYNAMIC_PAINT":
        surface = modifier.canvas_settings.canvas_surfaces.get(entry.get("surface"))
        return surface.point_cache if surface else None
    system = item.particle_systems.get(entry["modifier"]) if item is not None else None
    return system.point_cache if system else None


# Images


def put_back_images(entries: list[dict[str, Any]], folder: Path) -> list[str]:
    """Give the copy the pixels that the artist saw; return notes about those that could not be."""
    notes = []
    for entry in entries:
        image = find(bpy.data.images, entry["name"], entry.get("library"))
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
    fresh = bpy.data.images.new(
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


def _put_back_functions(wanted: list[dict[str, Any]], trusted: bool) -> list[str]:
    """Run again the texts that gave drivers their functions; only in a file the artist trusts.

    Where that is impossible the driven values stay as they were saved, which is right for the
    captured frame.
    """
    namespace = bpy.app.driver_namespace
    missing = [entry for entry in wanted if entry["name"] not in namespace]
    if trusted:
        for name in dict.fromkeys(entry["text"] for entry in missing if entry.get("text")):
            text = bpy.data.texts.get(name)
            if text is not None:
                _run(text)
    if trusted and missing:
        _revive_drivers()
    used = _expressions()
    lost = [
        entry["name"]
        for entry in missing
        if entry["name"] not in namespace and any(entry["name"] in text for text in used)
    ]
    if not lost:
        return []
    return [
        f"Drivers use {', '.join(lost)}, which only your own Blender knows; "
        "what they drive is sent as it stands at this frame."
    ]


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


def _expressions() -> list[str]:
    return [curve.driver.expression for curve in _drivers() if curve.driver.type == "SCRIPTED"]


def _revive_drivers() -> None:
    """A driver that failed once stays off until its expression is set again."""
    for curve in _drivers():
        if curve.driver.type == "SCRIPTED":
            expression = curve.driver.expression
            curve.driver.expression = expression
            curve.id_data.update_tag()
