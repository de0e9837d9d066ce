# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's scene around an import: what was there before, and how it is left.

A `Snapshot` knows every data-block that was there, so that a failed import can be taken back
without a trace. This module hides and selects; it never renames, replaces or deletes what the
artist made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

import bpy

from .. import versions
from .report import ImportReport, listed

JOB = "scene_courier:job"
OBJECTS = "scene_courier:objects"
HIDDEN = "scene_courier:hidden_sources"
_KINDS = (
    *("objects", "collections", "meshes", "curves", "hair_curves", "pointclouds", "volumes"),
    *("metaballs", "armatures", "cameras", "lights", "materials", "node_groups", "textures"),
    *("images", "actions", "cache_files", "worlds", "texts"),
)


def check_mode(context: bpy.types.Context) -> str:
    """The mode's name if an import has to wait for it to end, else an empty text."""
    if context.mode == "OBJECT":
        return ""
    return context.mode.replace("_", " ").title()


class Snapshot:
    """What the file held, what was selected and active, at the time of creation."""

    def __init__(self, context: bpy.types.Context) -> None:
        self.context = context
        self.scene = context.scene
        self.layer = context.view_layer
        self.known = {kind: _numbers(kind) for kind in _KINDS}
        self.had_world = self.scene.rigidbody_world is not None
        self.selected = [item for item in self.layer.objects if item.select_get()]
        self.active = self.layer.objects.active
        self.home = self.layer.active_layer_collection
        self.frame_end = (
            self.scene.rigidbody_world.point_cache.frame_end if self.had_world else None
        )

    def new(self, kind: str) -> list[Any]:
        """Data-blocks of a kind (`objects`, `materials`, …) that were not there."""
        known = self.known[kind]
        return [
            item for item in getattr(bpy.data, kind, ()) if versions.identity(item) not in known
        ]

    def into(self, collection: bpy.types.Collection) -> None:
        """Make the collection the one that importers add to."""
        found = _layer_collection(self.layer.layer_collection, collection)
        if found is not None:
            self.layer.active_layer_collection = found

    def restore_home(self) -> None:
        """Give the artist's active collection back."""
        with contextlib.suppress(ReferenceError, RuntimeError, TypeError):
            self.layer.active_layer_collection = self.home

    def restore_selection(self) -> None:
        """Select what was selected."""
        self.select(self.selected, self.active)

    def select(self, items: Iterable[bpy.types.Object], active: bpy.types.Object | None) -> None:
        """Select just these objects, as far as the view layer shows them."""
        for item in self.layer.objects:
            item.select_set(False)
        for item in items:
            with contextlib.suppress(ReferenceError, RuntimeError):
                item.select_set(True)
        with contextlib.suppress(ReferenceError, RuntimeError):
            self.layer.objects.active = active

    def remove_new_data(self) -> None:
        """Remove everything that was added since, but for collections."""
        for kind in _KINDS:
            fresh = self.new(kind) if kind != "collections" else []
            if fresh:
                bpy.data.batch_remove(fresh)

    def roll_back(self) -> None:
        """Remove everything that was added since, and give selection and collection back."""
        self.remove_new_data()
        collections = self.new("collections")
        if collections:
            bpy.data.batch_remove(collections)
        world = self.scene.rigidbody_world
        if world is not None and not self.had_world:
            with self.context.temp_override(scene=self.scene):
                bpy.ops.rigidbody.world_remove()
        elif world is not None and self.frame_end is not None and not world.point_cache.is_baked:
            world.point_cache.frame_end = self.frame_end
        self.restore_home()
        self.restore_selection()


def hide_sources(
    context: bpy.types.Context, sources: Sequence[str | tuple[str, int]], report: ImportReport
) -> None:
    """Hide the objects that were sent, in the viewport and in renders. Nothing else changes.

    Each is told by its name, or in the session that sent it by name and `versions.identity`: it may
    have another name now, and another object its name.
    """
    absent = []
    known = {versions.identity(item): item for item in context.scene.objects}
    for source in sources:
        if isinstance(source, str):
            name, item = source, context.scene.objects.get(source)
        else:
            name, item = source[0], known.get(source[1])
        if item is None:
            absent.append(name)
            continue
        name = item.name
        try:
            item.hide_set(True)
            item.hide_render = True
        except (RuntimeError, AttributeError):  # not in this view layer, or linked from a library
            if item.name in context.view_layer.objects and item.hide_get():
                report.note(f"{name} comes from another file: it is hidden in the viewport only.")
            else:
                absent.append(name)
                continue
        report.hidden.append(name)
        if item.rigid_body is not None and item.rigid_body.enabled:
            report.note(f"{name} is hidden, but it is a rigid body itself and still collides.")
    if absent:
        report.note(f"Not hidden, because not found in this view layer: {listed(absent)}.")


def earlier_imports(job_id: str) -> list[bpy.types.Collection]:
    """Collections that earlier imports of the job have made."""
    if not job_id:
        return []
    return [
        item
        for item in bpy.data.collections
        if item.library is None and item.get(JOB) == job_id and item.get(OBJECTS) is not None
    ]


def remove_import(collection: bpy.types.Collection, report: ImportReport) -> None:
    """Remove an earlier import. What the artist put into its collection moves up to the scene's."""
    job = collection[JOB]
    made = set(collection[OBJECTS])
    own: list[bpy.types.Object] = []
    others: list[bpy.types.Object] = []
    for item in collection.all_objects:
        (own if item.name in made and item.get(JOB) == job else others).append(item)
    parents = [*bpy.data.collections, *(scene.collection for scene in bpy.data.scenes)]
    homes = [parent for parent in parents if collection in tuple(parent.children)]
    for item in others:
        world = item.matrix_world.copy()
        if item.parent in own:
            item.parent = None
            item.matrix_world = world
        for home in homes or [bpy.context.scene.collection]:
            if item.name not in home.objects:
                home.objects.link(item)
    if others:
        names = listed(item.name for item in others)
        report.note(f"Kept from the earlier import, because you added or renamed it: {names}.")
    used: list[Any] = []
    for item in own:
        used += [item.data, *(slot.material for slot in item.material_slots)]
    for block in tuple(used):
        if isinstance(block, bpy.types.Material) and block.node_tree is not None:
            used += [getattr(node, "image", None) for node in block.node_tree.nodes]
    folders = [collection, *collection.children_recursive]
    bpy.data.batch_remove(own)
    bpy.data.batch_remove([c for c in folders if c.get(JOB) == job])
    _remove_unused([b for b in used if b is not None and b.get(JOB) == job])


def _remove_unused(blocks: Iterable[Any]) -> None:
    """Remove data-blocks that nothing uses any more: meshes first, then materials, then images."""
    unique = {versions.identity(block): block for block in blocks}
    for kind in (bpy.types.Mesh, bpy.types.Material, bpy.types.Image):
        idle = [b for b in unique.values() if isinstance(b, kind) and b.users == 0]
        for block in idle:
            unique.pop(versions.identity(block))
        if idle:
            bpy.data.batch_remove(idle)
        unique = {number: block for number, block in unique.items() if not isinstance(block, kind)}


def _numbers(kind: str) -> set[int]:
    return {versions.identity(item) for item in getattr(bpy.data, kind, ())}


def _layer_collection(
    top: bpy.types.LayerCollection, wanted: bpy.types.Collection
) -> bpy.types.LayerCollection | None:
    if top.collection == wanted:
        return top
    for child in top.children:
        found = _layer_collection(child, wanted)
        if found is not None:
            return found
    return None
