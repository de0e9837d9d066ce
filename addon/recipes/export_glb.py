# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: the captured selection, or objects of a .blend, to one GLB with everything embedded.

Exports what the viewport shows: modifiers applied, instances made real, +Y up, metres, textures
inside; no cameras, no lights, no animation unless asked for. Never writes outside the job's folder,
never saves a .blend, and runs the file's scripts only when the artist's session trusted them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import glb_file, glb_write, plain, scene_choice
from bridge.problems import Category, ProblemError

Progress = Callable[[float, str], None]


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
        found = scene_choice.captured(
            params, all_frames=animation, say=lambda text: progress(0.1, text)
        )
        found.require_all()
    else:
        found = scene_choice.from_blend(params)
    chosen, notes = found.objects, found.notes
    output = Path(params["output"])
    progress(0.25, "Applying modifiers")
    scene_choice.leave_modes()
    if animation:
        triangles, materials = _prepare_animated(chosen, notes)
    else:
        made = plain.build(chosen, found.places, unit_scale=scene_choice.unit_scale())
        triangles, materials = made.triangles, made.materials()
        notes += made.notes
        bpy.context.window.scene = made.scene
        glb_write.select(made.scene.objects)
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
    glb_write.need_room(output.parent, triangles, wishes)
    progress(0.4, "Writing the GLB")
    written = glb_write.write(
        output,
        wishes,
        notes,
        options=options,
        max_bytes=params.get("max_bytes"),
        checking=lambda: progress(0.9, "Checking the GLB"),
    )
    progress(1.0, "Exported")
    return {
        "path": str(output),
        "objects": sum("mesh" in node for node in written.document.get("nodes", [])),
        **written.info.to_dict(),
        "lost_textures": glb_file.lost_textures(written.document, wishes),
        "notes": list(dict.fromkeys(notes)),
    }


def _prepare_animated(
    chosen: list[bpy.types.Object], notes: list[str]
) -> tuple[int, list[bpy.types.Material]]:
    """With animation the exporter itself applies what it can and keeps bones and shape keys."""
    if abs(scene_choice.unit_scale() - 1.0) > 1e-6:
        notes.append("With animation the size is sent in the scene's own units, not in metres.")
    bones = [item.find_armature() for item in chosen if item.type == "MESH"]
    items = list(dict.fromkeys([*chosen, *(bone for bone in bones if bone is not None)]))
    glb_write.select(items)
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
