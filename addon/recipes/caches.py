# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts simulations back: disk caches, bake folders, and simulations that lived in memory only.

Caches that Blender might write to are copied into the job's folder, so the artist's own are never
touched. For a single frame only that frame's files are copied: a whole cache may have a hundred
gigabytes, one frame of it a few megabytes.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import blocks
from bridge.problems import Category, ProblemError

# <series>_<frame>_<index>.bphys; an external cache may have no index. Frames have six digits.
_POINT_FRAME = re.compile(r"^(?P<series>.*)_(?P<frame>-?\d{5,})(?P<rest>_\d+)?\.bphys$")
_FLUID_FRAME = re.compile(r"^(?P<series>.*)_(?P<frame>-?\d+)(?P<rest>\.[\w.]+)$")
REPLAY_SECONDS = 300.0


def put_disk_caches(
    entries: list[dict[str, Any]], folder: Path, blend: str, frame: int | None
) -> list[str]:
    """Copy ``blendcache_<name>`` beside the copy; before it is opened, since Blender looks then.

    ``frame`` None: all frames. Returns notes. Raises ProblemError(DISK).
    """
    notes: list[str] = []
    beside = folder / ("blendcache_" + Path(blend).stem)
    for original in _unique(entry for entry in entries if _own_disk_cache(entry)):
        notes += copy_frames(Path(original), beside, frame, _POINT_FRAME)
    return notes


def put_folders(entries: list[dict[str, Any]], folder: Path, frame: int | None) -> list[str]:
    """Point simulations of the open copy to folders that are not beside it. Returns notes."""
    notes: list[str] = []
    for number, entry in enumerate(entries):
        notes += _put_back_cache(entry, folder / "caches" / f"{number:03}", frame)
    return notes


def _simulates(tree: Any, seen: set[str]) -> bool:
    if tree is None or tree.name_full in seen:
        return False
    seen.add(tree.name_full)
    return any(
        node.type == "SIMULATION_OUTPUT"
        or (node.type == "GROUP" and _simulates(node.node_tree, seen))
        for node in tree.nodes
    )


def replay(scene: Any, entries: list[dict[str, Any]], say: Callable[[str], None]) -> list[str]:
    """Play from the first frame when a simulation of geometry nodes is not baked to a folder.

    Such a simulation lives in the artist's memory only; every frame depends on the one before.
    Where it is baked into the .blend playing only reads it. Bounded in time; returns notes.
    """
    on_disk = {
        (entry["object"], entry["modifier"])
        for entry in entries
        if entry["kind"] == "nodes_bake"
        and any(place.is_dir() for place in Path(entry["original"]).rglob("meta"))
    }
    modifiers: list[tuple[Any, Any]] = [(o, m) for o in scene.objects for m in o.modifiers]
    found = [
        item.name
        for item, modifier in modifiers
        if modifier.type == "NODES"
        and modifier.show_viewport
        and (item.name, modifier.name) not in on_disk
        and _simulates(modifier.node_group, set())
    ]
    current, first = scene.frame_current, scene.frame_start
    if not found or current <= first:
        return []
    started = time.monotonic()
    for frame in range(first, current):
        if time.monotonic() - started > REPLAY_SECONDS:
            scene.frame_set(current)
            return [f"The simulation of {found[0]} is too slow to play again: bake it, then send."]
        say(f"Simulating frame {frame} of {current}")
        scene.frame_set(frame)
    scene.frame_set(current)
    return [f"The simulation of {found[0]} was played again up to frame {current}."]


def _unique(entries: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(entry["original"]) for entry in entries))


def _own_disk_cache(entry: dict[str, Any]) -> bool:
    """In ``blendcache_<name>`` of the artist's file (a library's own is found as before)."""
    if entry["kind"] != "point_cache" or entry.get("external"):
        return False
    library = entry.get("library")
    return library is None or not blocks.same_file(
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
        blocks.find(bpy.data.objects, entry["object"], entry.get("library"))
        if entry["object"]
        else None
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
