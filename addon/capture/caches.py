# SPDX-License-Identifier: GPL-3.0-or-later
"""Where simulations and bakes of the scene lie on disk, by their original absolute location.

Blender looks for most of them relative to the .blend (``blendcache_<name>``, ``//`` folders), and
does not rewrite those paths in a copy saved elsewhere. Only notes the places; never opens or lists
them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import bpy

_POINT_CACHE_MODIFIERS = {"CLOTH", "SOFT_BODY"}
_FILE_MODIFIERS = {"MESH_CACHE", "OCEAN"}
_KINDS = {"DYNAMIC_PAINT", "FLUID", "NODES", "PARTICLE_SYSTEM"}
_KINDS |= _POINT_CACHE_MODIFIERS | _FILE_MODIFIERS


def find() -> list[dict[str, Any]]:
    """Entries for capture.json: kind, object, library, modifier, original, and what the kind needs.

    kinds: ``point_cache`` (cloth, soft body, particles, dynamic paint, rigid bodies with a disk
    cache; ``external`` true when the artist chose the folder), ``fluid`` (a domain's cache),
    ``nodes_bake`` (geometry nodes; ``bake_id`` for a single bake with a path of its own),
    ``file`` (a modifier's own file; ``property`` names it).
    """
    found: list[dict[str, Any]] = []
    for item in bpy.data.objects:
        for modifier in item.modifiers:
            if modifier.type in _KINDS:
                found += _modifier(item, modifier)
    for scene in bpy.data.scenes:
        world = scene.rigidbody_world
        if world is not None and world.point_cache is not None:
            found += _point_cache(scene, None, world.point_cache)
    return found


def _modifier(item: bpy.types.Object, modifier: Any) -> Iterator[dict[str, Any]]:
    kind = modifier.type
    if kind == "PARTICLE_SYSTEM":
        system = modifier.particle_system
        yield from _point_cache(item, system.name, system.point_cache)
    elif kind in _POINT_CACHE_MODIFIERS:
        yield from _point_cache(item, modifier.name, modifier.point_cache)
    elif kind == "DYNAMIC_PAINT" and modifier.canvas_settings is not None:
        for surface in modifier.canvas_settings.canvas_surfaces:
            yield from _point_cache(item, modifier.name, surface.point_cache, surface.name)
    elif kind == "FLUID" and modifier.fluid_type == "DOMAIN" and modifier.domain_settings:
        yield _entry("fluid", item, modifier.name, modifier.domain_settings.cache_directory)
    elif kind == "NODES":
        if modifier.bake_directory:
            yield _entry("nodes_bake", item, modifier.name, modifier.bake_directory, bake_id=None)
        for bake in modifier.bakes:
            if bake.use_custom_path and bake.directory:
                yield _entry(
                    "nodes_bake", item, modifier.name, bake.directory, bake_id=bake.bake_id
                )
    elif kind in _FILE_MODIFIERS and modifier.filepath:
        yield _entry("file", item, modifier.name, modifier.filepath, property="filepath")


def _point_cache(
    owner: bpy.types.ID, name: str | None, cache: Any, surface: str | None = None
) -> Iterator[dict[str, Any]]:
    if cache.use_external:
        yield _entry("point_cache", owner, name, cache.filepath, external=True, surface=surface)
    elif cache.use_disk_cache:
        yield _entry(
            "point_cache",
            owner,
            name,
            _beside_blend(owner, cache),
            external=False,
            surface=surface,
        )


def _beside_blend(owner: bpy.types.ID, cache: Any) -> str:
    """The folder in which Blender keeps disk caches: beside the .blend, else its temporary one."""
    blend = bpy.data.filepath
    if owner.library is not None and cache.use_library_path:
        blend = bpy.path.abspath(owner.library.filepath)
    if not blend:
        return os.path.join(bpy.app.tempdir, "blendcache_")
    folder, name = os.path.split(blend)
    return os.path.join(folder, "blendcache_" + os.path.splitext(name)[0])


def _entry(
    kind: str, owner: bpy.types.ID, modifier: str | None, path: str, **more: Any
) -> dict[str, Any]:
    library = owner.library
    return {
        "kind": kind,
        "object": owner.name if isinstance(owner, bpy.types.Object) else None,
        "scene": owner.name if isinstance(owner, bpy.types.Scene) else None,
        "library": None
        if library is None
        else os.path.normpath(bpy.path.abspath(library.filepath)),
        "modifier": modifier,
        "original": os.path.normpath(bpy.path.abspath(path, library=library)),
        **more,
    }
