# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: the captured selection, or objects of a .blend, to one GLB with everything embedded.

Exports what the viewport shows: modifiers applied, instances made real, +Y up, metres, textures
inside; no cameras, no lights, no animation unless asked for. Never writes outside the job's folder,
never saves a .blend, and runs the file's scripts only when the artist's session trusted them.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix

from addon.recipes import blocks, caches, glb_file, gltf_images, plain, restore
from bridge import glb
from bridge.problems import Category, ProblemError

Progress = Callable[[float, str], None]
_BYTES_PER_TRIANGLE = 110  # three corners of their own with position, normal and UV, and an index


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Export, check and report.

    ``params``: either ``capture`` (path of capture.json) with ``folder`` (the job's), or ``blend``
    (path) with ``select`` (names; null: every visible object with a surface); ``output`` (path of
    the .glb); ``options``: draco, animation; ``max_bytes`` (the service's limit, or null).

    Returns path, bytes, triangles, mesh_triangles, meshes, materials, images, objects,
    ``lost_textures`` (material, channel, image, why), ``notes`` (sentences for the artist) and
    ``extensions``. Raises ProblemError: INPUT, LIMIT, DISK, BLENDER.
    """
    options = params.get("options") or {}
    animation = bool(options.get("animation"))
    progress(0.0, "Opening the scene")
    if params.get("capture"):
        chosen, notes, places = _captured(params, animation, progress)
    else:
        chosen, notes = _from_blend(params)
        places = {}
    output = Path(params["output"])
    progress(0.25, "Applying modifiers")
    _leave_modes()
    if animation:
        triangles, materials = _prepare_animated(chosen, notes)
    else:
        made = plain.build(chosen, places, unit_scale=_unit_scale())
        triangles, materials = made.triangles, made.materials()
        notes += made.notes
        bpy.context.window.scene = made.scene
        _select(made.scene.objects)
    if not triangles:
        picked = params.get("capture") or params.get("select")
        raise ProblemError(
            Category.INPUT,
            "The selected objects have no faces."
            if picked
            else "The scene shows no objects with faces.",
            "Points, edges and curves without thickness cannot be converted. Select other objects.",
            ", ".join(item.name for item in chosen)[:200],
        )
    wishes = {material.name: glb_file.wanted(material) for material in materials}
    plain.strip_properties(materials)
    caches.need_room(output.parent, triangles * _BYTES_PER_TRIANGLE + _image_bytes(wishes))
    progress(0.4, "Writing the GLB")
    return _write(output, params, options, notes, wishes, progress)


def _write(
    output: Path,
    params: dict[str, Any],
    options: dict[str, Any],
    notes: list[str],
    wishes: dict[str, dict[str, list[Any]]],
    progress: Progress,
) -> dict[str, Any]:
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(output.stem + ".part.glb")
    scratch = output.with_name(output.stem + ".tiles")
    notes += glb_file.changed_notes(wishes)
    notes += gltf_images.make_exportable(_images(wishes), scratch)
    try:
        _export(temporary, bool(options.get("draco")), bool(options.get("animation")))
        progress(0.9, "Checking the GLB")
        info = glb_file.check_written(temporary, params.get("max_bytes"))
        document = glb.read(temporary).json
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)
    if options.get("draco") and glb.DRACO not in info.extensions:
        notes.append("This Blender cannot compress with Draco: the file is sent uncompressed.")
    progress(1.0, "Exported")
    return {
        "path": str(output),
        "objects": sum("mesh" in node for node in document.get("nodes", [])),
        **info.to_dict(),
        "lost_textures": glb_file.lost_textures(document, wishes),
        "notes": list(dict.fromkeys(notes)),
    }


def _export(path: Path, draco: bool, animation: bool) -> None:
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
            export_extras=True,
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


# What is exported


def _captured(
    params: dict[str, Any], animation: bool, progress: Progress
) -> tuple[list[bpy.types.Object], list[str], dict[bpy.types.Object, Matrix]]:
    """The captured objects, notes, and where the artist saw each (its matrix in the world)."""
    capture = restore.load(Path(params["capture"]))
    notes = list(capture.get("notes", []))
    notes += restore.open_capture(
        capture,
        Path(params["folder"]),
        all_frames=animation,
        say=lambda text: progress(0.1, text),
    )
    chosen, places = [], {}
    for entry in capture["selection"]:
        item = blocks.find(bpy.data.objects, entry["name"], entry.get("library"))
        if item is None:
            raise ProblemError(
                Category.INPUT,
                f"The object {entry['name']} is missing from the copy of the scene.",
                "If it is linked from another file, check that this file is still there.",
                f"library {entry.get('library')}",
            )
        chosen.append(item)
        if entry.get("matrix"):
            places[item] = Matrix(entry["matrix"])
    _show(chosen)
    return chosen, notes, places


def _from_blend(params: dict[str, Any]) -> tuple[list[bpy.types.Object], list[str]]:
    path = Path(params["blend"])
    restore.open_blend(path, scripts=False)
    notes = []
    if bpy.app.autoexec_fail:
        notes.append(
            "This file's scripts were not run: what they drive may be wrong. "
            "Open it in Blender and send it from there."
        )
    names = params.get("select")
    layer = bpy.context.view_layer
    if names is None:
        return [item for item in layer.objects if item.visible_get()], notes
    chosen = [_named(name) for name in names]
    # Whoever names the parent of an assembly means the assembly.
    for item in list(chosen):
        if item.type == "EMPTY" and item.instance_collection is None:
            chosen += [child for child in item.children_recursive if child not in chosen]
    _show(chosen)
    return chosen, notes


def _named(name: str) -> bpy.types.Object:
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


def _show(items: list[bpy.types.Object]) -> None:
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


def _leave_modes() -> None:
    """A file saved in edit mode opens in edit mode; its objects' data are complete either way."""
    layer = bpy.context.view_layer
    for item in layer.objects:
        if item.mode != "OBJECT":
            layer.objects.active = item
            bpy.ops.object.mode_set(mode="OBJECT")


def _unit_scale() -> float:
    """Metres for each unit of the scene; glTF is in metres, and the service weighs what it gets."""
    units = bpy.context.scene.unit_settings
    return 1.0 if units.system == "NONE" else float(units.scale_length)


def _select(items: Any) -> None:
    layer = bpy.context.view_layer
    for item in layer.objects:
        item.select_set(False)
    for item in items:
        if item.name in layer.objects:
            item.select_set(True)
            layer.objects.active = item


def _prepare_animated(
    chosen: list[bpy.types.Object], notes: list[str]
) -> tuple[int, list[bpy.types.Material]]:
    """With animation the exporter itself applies what it can and keeps bones and shape keys."""
    if abs(_unit_scale() - 1.0) > 1e-6:
        notes.append("With animation the size is sent in the scene's own units, not in metres.")
    bones = [item.find_armature() for item in chosen if item.type == "MESH"]
    items = list(dict.fromkeys([*chosen, *(bone for bone in bones if bone is not None)]))
    _select(items)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    triangles = 0
    materials: dict[str, bpy.types.Material] = {}
    for item in chosen:
        if item.type not in plain.SURFACE_TYPES:
            continue
        mesh = item.evaluated_get(depsgraph).to_mesh()
        if mesh is not None:
            triangles += plain.triangle_count(mesh)
        for slot in item.material_slots:
            if slot.material is not None:
                materials.setdefault(slot.material.name_full, slot.material)
    for item in items:
        plain.strip_properties([one for one in (item, item.data) if one is not None])
    strip: Any = bpy.context.scene
    plain.strip_properties([strip])
    return triangles, list(materials.values())


def _images(wishes: dict[str, dict[str, list[Any]]]) -> list[bpy.types.Image]:
    """The images that the materials read, each once."""
    nodes = [
        node for channels in wishes.values() for several in channels.values() for node in several
    ]
    found = [getattr(node, "image", None) for node in nodes]
    return list(dict.fromkeys(image for image in found if image is not None))


def _image_bytes(wishes: dict[str, dict[str, list[Any]]]) -> int:
    """The images' size as plain 8-bit pixels: more than PNG or JPEG will need."""
    return sum(image.size[0] * image.size[1] * 4 for image in _images(wishes))
