# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches and bakes: Alembic, USD, mesh caches, oceans, simulations, baked geometry nodes.

In a copy of the scene Blender's own idea of where a simulation lies is wrong; capture.json tells
the artist's folder, and that is where they are looked for. They are read there, never copied here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any

import bpy

from addon.recipes import blocks, places
from addon.recipes.dependencies import timing, usd_layers
from addon.recipes.dependencies.media import pattern
from addon.recipes.dependencies.model import Dependency
from addon.recipes.dependencies.walk import Walk, animated, assign

# <series>_<frame>_<index>.bphys; an external cache may have no index. Frames have six digits.
_POINT = re.compile(r"^(?P<series>.*)_(?P<frame>-?\d{5,})(?:_(?P<index>\d+))?\.bphys$")
_FLUID = re.compile(r"^.*_(?P<frame>-?\d+)\.[\w.]+$")
_BAKED = re.compile(r"^(?:\d+/)?meta/(?P<frame>-?\d+)_\d+\.json$")
_BLOB = re.compile(rb'"name"\s*:\s*"([^"]+)"')


def find(walk: Walk) -> None:
    """Everything of these kinds."""
    for cache in bpy.data.cache_files:
        _cache_file(walk, cache, cache, cache.filepath)
        for layer in cache.layers:
            _cache_file(walk, cache, layer, layer.filepath, moved=False)
    for item in bpy.data.objects:
        for modifier in item.modifiers:
            walk.rendered = modifier.show_render or animated(item, "show_render")
            _modifier(walk, item, modifier)
    walk.rendered = True
    for scene in bpy.data.scenes:
        world = scene.rigidbody_world
        if world is not None and world.point_cache is not None:
            _point_cache(walk, scene, None, world.point_cache)


# Files


def _cache_file(walk: Walk, cache: Any, owner: Any, value: str, *, moved: bool = True) -> None:
    """One file of a cache data-block: its own, or one of the layers over it."""
    if not value:
        return
    path = walk.place(value, cache, moved=moved)
    extension = os.path.splitext(path)[1].lower()
    kind = "usd" if extension.startswith(".usd") else "alembic"
    pieces = places.numbered(os.path.basename(path)) if cache.is_sequence else None
    shown = path
    if pieces is not None:
        shown = os.path.join(os.path.dirname(path), pattern(pieces))
    made = walk.add(kind, cache, value, path=shown, setter=assign(owner, "filepath"))
    if pieces is None:
        walk.file(made, path)
    elif walk.frames is None or cache.override_frame or animated(cache, "frame", "frame_offset"):
        why = walk.all_frames_because
        walk.all_frames(made, why or "All frames are taken, since its time is animated.")
        walk.sequence(made, path, None)
    else:
        first, last = (int(frame - cache.frame_offset) for frame in walk.frames)
        walk.sequence(made, path, range(first, last + 2), spare=[last + 1])
    if kind == "usd":
        for entry in list(walk.entries(made)):
            for layer in usd_layers.needed(entry.path):
                walk.file(made, layer)


def _modifier(walk: Walk, item: Any, modifier: Any) -> None:
    kind = modifier.type
    if kind == "PARTICLE_SYSTEM":
        system = modifier.particle_system
        _point_cache(walk, item, system.name, system.point_cache)
    elif kind in {"CLOTH", "SOFT_BODY"}:
        _point_cache(walk, item, modifier.name, modifier.point_cache)
    elif kind == "DYNAMIC_PAINT" and modifier.canvas_settings is not None:
        for surface in modifier.canvas_settings.canvas_surfaces:
            if surface.surface_format == "IMAGE":
                _paint_images(walk, item, surface)
            else:
                _point_cache(walk, item, modifier.name, surface.point_cache, surface.name)
    elif kind == "FLUID" and modifier.fluid_type == "DOMAIN" and modifier.domain_settings:
        _fluid(walk, item, modifier)
    elif kind == "NODES":
        _bakes(walk, item, modifier)
    elif kind == "MESH_CACHE" and modifier.filepath:
        made = walk.add(
            "mesh_cache",
            item,
            modifier.filepath,
            path=_original(walk, "file", item, modifier, modifier.filepath),
            setter=assign(modifier, "filepath"),
        )
        walk.file(made)
    elif kind == "OCEAN" and modifier.filepath:
        if modifier.is_cached:
            _ocean(walk, item, modifier)
        else:
            walk.skip(modifier.filepath, item)
    elif kind == "MULTIRES" and modifier.is_external and modifier.filepath:
        made = walk.add("mesh_cache", item, modifier.filepath, setter=assign(modifier, "filepath"))
        walk.file(made)


def _original(
    walk: Walk,
    kind: str,
    owner: Any,
    modifier: Any,
    value: str,
    *,
    moved: bool = True,
    **facts: Any,
) -> str:
    """Where the artist's data is: from capture.json, else from the stored path."""
    name = modifier if modifier is None or isinstance(modifier, str) else modifier.name
    entry = walk.entry_of(kind, owner, modifier=name, **facts)
    if entry is not None:
        return places.normal(str(entry["original"]))
    return walk.place(value, owner, moved=moved)


def _ocean(walk: Walk, item: Any, modifier: Any) -> None:
    made = walk.add(
        "ocean_cache",
        item,
        modifier.filepath,
        path=_original(walk, "file", item, modifier, modifier.filepath),
        folder=True,
        setter=assign(modifier, "filepath"),
    )
    names = re.compile(r"^(?:disp|normal|foam|spray|spray_inverse)_-?\d+\.exr$")
    timed = not animated(item, "time")

    def choose(all_names: list[str]) -> dict[str, int]:
        own = {name: places.number(name) or 0 for name in all_names if names.match(name)}
        if walk.frames is None or not timed:
            return own
        first, last = walk.frames
        start = int(modifier.frame_start)
        low, high = max(first, start), max(last, start)
        picked = timing.around(own.values(), min(low, modifier.frame_end), high)
        return {name: frame for name, frame in own.items() if frame in picked}

    if not walk.tree(made, choose):
        walk.miss(made, [made.path])


# Simulations


def _point_cache(
    walk: Walk, owner: Any, modifier: str | None, cache: Any, surface: str | None = None
) -> None:
    if cache is None or not (cache.use_external or cache.use_disk_cache):
        return
    external = bool(cache.use_external)
    value = cache.filepath if external else ""
    path = walk.place(value, owner, moved=False) if external else _beside_blend(walk, owner, cache)
    entry = walk.entry_of("point_cache", owner, modifier=modifier, surface=surface)
    if entry is not None and bool(entry.get("external")) == external:
        path = places.normal(str(entry["original"]))
    kind = "rigid_body_cache" if isinstance(owner, bpy.types.Scene) else "point_cache"
    series = _series(owner, cache)
    index = cache.index if cache.index >= 0 else None
    made = walk.add(
        kind,
        owner,
        value,
        path=path,
        folder=True,
        beside=not external,
        setter=assign(cache, "filepath") if external else None,
    )

    def choose(names: list[str]) -> dict[str, int]:
        own: dict[str, int] = {}
        for name in names:
            match = _POINT.match(name)
            if match is None or not places.same_form(match["series"], series):
                continue
            if external or index is None or int(match["index"] or -1) == index:
                own[name] = int(match["frame"])
        found.update(own)
        return _until(walk, own)

    found: dict[str, int] = {}
    walk.tree(made, choose)
    made.total = max(len(found), len(walk.entries(made)))
    if not found:
        if cache.is_baked or external:
            walk.miss(made, [os.path.join(path, f"{series}_######.bphys")])
        else:
            made.note = "This simulation is not baked."


def _series(owner: Any, cache: Any) -> str:
    """What a cache's files are called: its name, else the bytes of its object's name in hex."""
    return str(cache.name) or owner.name.encode("utf-8", "surrogateescape").hex().upper()


def _beside_blend(walk: Walk, owner: Any, cache: Any) -> str:
    """The folder that Blender derives from the .blend's name."""
    blend = bpy.data.filepath
    if owner.library is not None and cache.use_library_path:
        blend = blocks.library_path(owner) or blend
    elif walk.capture.get("original_path"):
        blend = str(walk.capture["original_path"])
    folder, name = os.path.split(blend)
    return places.normal(os.path.join(folder, "blendcache_" + os.path.splitext(name)[0]))


def _until(walk: Walk, own: dict[str, int]) -> dict[str, int]:
    """Names whose frame is not after the range: a simulation is read from its first frame on."""
    if walk.frames is None:
        return own
    picked = timing.until(set(own.values()), walk.frames[1])
    return {name: frame for name, frame in own.items() if frame in picked}


def _fluid(walk: Walk, item: Any, modifier: Any) -> None:
    domain = modifier.domain_settings
    value = domain.cache_directory
    if not value:
        return
    made = walk.add(
        "fluid_cache",
        item,
        value,
        path=_original(walk, "fluid", item, modifier, value),
        folder=True,
        setter=assign(domain, "cache_directory"),
    )
    shifted = domain.cache_frame_offset != 0 or animated(item, "cache_frame_offset")
    if shifted:
        walk.all_frames(made, "All frames are taken, since its time is shifted.")

    def choose(names: list[str]) -> dict[str, int | None]:
        own: dict[str, int] = {}
        for name in names:
            match = _FLUID.match(name.rpartition("/")[2])
            if match is not None:
                own[name] = int(match["frame"])
        rest = dict.fromkeys(name for name in names if name not in own)
        return {**rest, **(own if shifted else _until(walk, own))}

    count = walk.tree(made, choose, inner=_FLUID_FOLDERS)
    if not count:
        if domain.has_cache_baked_any:
            walk.miss(made, [made.path])
        else:
            made.note = "This simulation is not baked."


_FLUID_FOLDERS = ("config", "data", "guiding", "mesh", "noise", "particles", "script")


def _paint_images(walk: Walk, item: Any, surface: Any) -> None:
    """Image sequences that Dynamic Paint wrote: a render reads them only by image data-blocks."""
    value = surface.image_output_path
    names = tuple(name for name in (surface.output_name_a, surface.output_name_b) if name)
    if not value or not names:
        return
    path = walk.place(value, item)
    own = re.compile(f"^(?:{'|'.join(re.escape(name) for name in names)})\\d+\\.\\w+$")
    there = walk.disk.find(path)
    if there is None or not any(own.match(name) for name in walk.disk.names(there[0])):
        return
    made = walk.add(
        "image_sequence",
        item,
        value,
        path=path,
        folder=True,
        optional=True,
        setter=assign(surface, "image_output_path"),
    )
    for name in walk.disk.names(there[0]):
        if own.match(name):
            walk.file(made, os.path.join(path, name), frame=places.number(name))


# Baked geometry nodes


def _bakes(walk: Walk, item: Any, modifier: Any) -> None:
    common: list[str] = []
    for bake in modifier.bakes:
        if not _on_disk(modifier, bake):
            continue
        if not bake.use_custom_path:
            common.append(str(bake.bake_id))
        elif bake.directory:
            path = _original(
                walk, "nodes_bake", item, modifier, bake.directory, moved=False,
                bake_id=bake.bake_id,
            )  # fmt: skip
            _bake(walk, item, bake.directory, path, assign(bake, "directory"), ("",))
    value = modifier.bake_directory
    if value and common:
        path = _original(walk, "nodes_bake", item, modifier, value, moved=False, bake_id=None)
        _bake(walk, item, value, path, assign(modifier, "bake_directory"), common)


def _on_disk(modifier: Any, bake: Any) -> bool:
    """Since 4.4 a bake may be packed into the .blend, and is so by default."""
    target = getattr(bake, "bake_target", "DISK")
    if target == "INHERIT":
        target = getattr(modifier, "bake_target", "DISK")
    return bool(target == "DISK")


def _bake(
    walk: Walk,
    item: Any,
    value: str,
    path: str,
    setter: Callable[[str], None],
    inner: Iterable[str],
) -> None:
    made = walk.add("nodes_bake", item, value, path=path, folder=True, setter=setter)

    def choose(names: list[str]) -> dict[str, int | None]:
        return _baked_frames(walk, made, names)

    if not walk.tree(made, choose, inner=inner):
        walk.miss(made, [made.path])


def _baked_frames(walk: Walk, made: Dependency, names: list[str]) -> dict[str, int | None]:
    """The frames' descriptions, and the blobs that these name."""
    groups: dict[str, dict[str, int]] = {}
    for name in names:
        if match := _BAKED.match(name):
            groups.setdefault(name.partition("meta/")[0], {})[name] = int(match["frame"])
    chosen: dict[str, int | None] = {}
    for name in names:
        if not any(name.startswith((f"{prefix}meta/", f"{prefix}blobs/")) for prefix in groups):
            chosen[name] = None
    for prefix, frames in groups.items():
        picked = set(frames.values())
        if walk.frames is not None:
            picked = timing.around(picked, *walk.frames)
        metas = {name: frame for name, frame in frames.items() if frame in picked}
        blobs = set()
        for name in metas if walk.frames is not None else ():
            blobs |= _blobs(walk, os.path.join(made.path, *PurePath(name).parts))
        chosen.update(metas)
        for name in names:
            needed = walk.frames is None or name.rpartition("/")[2] in blobs
            if needed and name.startswith(f"{prefix}blobs/"):
                chosen[name] = None
    return chosen


def _blobs(walk: Walk, path: str) -> set[str]:
    """The blob files that one frame of a bake names; a frame may use another's."""
    there = walk.disk.find(path)
    try:
        with open(places.extended(there[0] if there else path), "rb") as file:
            return {name.decode("utf-8", "replace") for name in _BLOB.findall(file.read())}
    except OSError:
        return set()
