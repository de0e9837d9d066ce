# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the selected objects of the current scene as one GLB, and judges the file.

A file that is not whole, or above the limit, never gets its final name. Never writes outside the
folder of that file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import caches, glb_file, gltf_images
from bridge import glb
from bridge.problems import Category, ProblemError

_BYTES_PER_TRIANGLE = 110  # three corners of their own with position, normal and UV, and an index


Wishes = dict[str, dict[str, list[Any]]]


@dataclass(frozen=True)
class Written:
    """A sound GLB in its place: what it holds, and its JSON."""

    path: Path
    info: glb.GlbInfo
    document: dict[str, Any]


def write(
    output: Path,
    wishes: Wishes,
    notes: list[str],
    *,
    options: dict[str, Any],
    max_bytes: int | None,
    extras: bool = True,
    then: Callable[[Path], None] = lambda path: None,
    checking: Callable[[], None] = lambda: None,
) -> Written:
    """Export the selection of the current scene and check the file.

    ``wishes`` is what its materials read (``glb_file.wanted``, by name). ``options``: draco,
    animation. ``extras`` keeps custom properties. ``then`` may still change the file; ``checking``
    is told when that is over. ``notes`` gets sentences for the artist. Raises ProblemError: LIMIT,
    BLENDER.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(output.stem + ".part.glb")
    scratch = output.with_name(output.stem + ".tiles")
    notes += glb_file.changed_notes(wishes)
    notes += gltf_images.make_exportable(images(wishes), scratch)
    try:
        _export(temporary, bool(options.get("draco")), bool(options.get("animation")), extras)
        then(temporary)
        checking()
        info = glb_file.check_written(temporary, max_bytes)
        document = glb.read(temporary).json
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)
    if options.get("draco") and glb.DRACO not in info.extensions:
        notes.append("This Blender cannot compress with Draco: the file is sent uncompressed.")
    return Written(output, info, document)


def need_room(folder: Path, triangles: int, wishes: Wishes) -> None:
    """Raise ProblemError(DISK) unless the disk has room for the file, by a careful guess."""
    caches.need_room(folder, triangles * _BYTES_PER_TRIANGLE + _image_bytes(wishes))


def select(items: Iterable[bpy.types.Object]) -> None:
    """Select these objects in the current view layer and no others; the last is active."""
    layer = bpy.context.view_layer
    for item in layer.objects:
        item.select_set(False)
    for item in items:
        if item.name in layer.objects:
            item.select_set(True)
            layer.objects.active = item


def _export(path: Path, draco: bool, animation: bool, extras: bool) -> None:
    try:
        bpy.ops.export_scene.gltf(
            filepath=str(path),
            export_format="GLB",
            use_selection=True,
            use_active_scene=True,
            export_apply=animation,
            export_yup=True,
            export_animations=animation,
            export_skins=animation,
            export_morph=animation,
            export_cameras=False,
            export_lights=False,
            export_extras=extras,
            export_image_format="AUTO",
            export_draco_mesh_compression_enable=draco,
        )
    except RuntimeError as error:
        raise ProblemError(
            Category.BLENDER,
            "Blender's glTF exporter stopped with an error.",
            "Try File > Export > glTF in Blender with the same objects to see what it refuses.",
            str(error).strip()[-400:],
        ) from error


def images(wishes: Wishes) -> list[bpy.types.Image]:
    """The images that the materials read, each once."""
    nodes = [
        node for channels in wishes.values() for several in channels.values() for node in several
    ]
    found = [getattr(node, "image", None) for node in nodes]
    return list(dict.fromkeys(image for image in found if image is not None))


def _image_bytes(wishes: Wishes) -> int:
    """The images' size as plain 8-bit pixels: more than PNG or JPEG will need."""
    return sum(image.size[0] * image.size[1] * 4 for image in images(wishes))
