# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe ``to_glb``: any model format that Rigyd takes becomes one clean GLB.

The sandbox's preprocessing. It reads the file into an empty scene, drops everything that is not
geometry (cameras, lights, empty objects' animation), and exports GLB: +Y up, metres, textures
embedded. It never judges the model beyond "is there a mesh in it".

Params: {"input": path, "output": path of the .glb}
Result: {"path", "stats": {format, objects, triangles, vertices, materials, images, dimensions_m},
"steps": [{"name", "seconds"}]}

Formats without units (OBJ, STL, PLY) are taken as metres.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import addon_utils
import bpy
import numpy

from bridge.problems import Category, ProblemError

Progress = Callable[[float, str], None]


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Convert ``params["input"]``. Raises ProblemError(INPUT) for a file that cannot be read."""
    source, target = Path(params["input"]), Path(params["output"])
    begun = [time.monotonic()]
    progress(0.05, "import")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    _import(source)
    begun.append(time.monotonic())
    progress(0.5, "process")
    meshes = [item for item in bpy.context.scene.objects if item.type == "MESH"]
    stats = {"format": source.suffix.lower().lstrip("."), **_stats(meshes)}
    if not stats["triangles"]:
        raise ProblemError(
            Category.INPUT,
            "The file contains no mesh with faces.",
            "Check the export: Rigyd needs surfaces, not points, curves or empty objects.",
            source.name,
        )
    begun.append(time.monotonic())
    progress(0.7, "export")
    target.parent.mkdir(parents=True, exist_ok=True)
    _enable("io_scene_gltf2")
    bpy.ops.export_scene.gltf(
        filepath=str(target),
        export_format="GLB",
        export_yup=True,
        export_apply=True,
        export_animations=False,
        export_cameras=False,
        export_lights=False,
        export_extras=True,
    )
    progress(1.0, "export")
    begun.append(time.monotonic())
    spent = [round(end - start, 3) for start, end in pairwise(begun)]
    steps = [
        {"name": name, "seconds": seconds}
        for name, seconds in zip(("import", "process", "export"), spent, strict=True)
    ]
    return {"path": str(target), "stats": stats, "steps": steps}


def _import(source: Path) -> None:
    path = str(source)
    try:
        match source.suffix.lower():
            case ".obj":
                bpy.ops.wm.obj_import(filepath=path)
            case ".stl":
                bpy.ops.wm.stl_import(filepath=path)
            case ".ply":
                bpy.ops.wm.ply_import(filepath=path)
            case ".fbx":
                _import_fbx(path)
            case ".gltf" | ".glb":
                _enable("io_scene_gltf2")
                bpy.ops.import_scene.gltf(filepath=path)
            case ".usd" | ".usda" | ".usdc" | ".usdz":
                bpy.ops.wm.usd_import(filepath=path)
            case other:
                raise RuntimeError(f"no importer for {other}")
    except (RuntimeError, AttributeError, ImportError, OSError, ValueError, KeyError) as error:
        raise ProblemError(
            Category.INPUT,
            f"The {source.suffix.lstrip('.').upper()} file cannot be read.",
            "Open it in Blender to check it, or export it again, best as GLB.",
            f"{type(error).__name__}: {str(error).strip()}"[:400],
        ) from None


def _import_fbx(path: str) -> None:
    """Blender 5 reads FBX by itself; before, its bundled add-on does."""
    if hasattr(bpy.types, "WM_OT_fbx_import"):
        bpy.ops.wm.fbx_import(filepath=path)
        return
    _enable("io_scene_fbx")
    bpy.ops.import_scene.fbx(filepath=path)


def _enable(module: str) -> None:
    if not addon_utils.check(module)[1]:
        addon_utils.enable(module)


def _stats(meshes: list[bpy.types.Object]) -> dict[str, Any]:
    depsgraph = bpy.context.evaluated_depsgraph_get()
    triangles = vertices = 0
    corners: list[Any] = []
    materials: set[str] = set()
    for item in meshes:
        mesh = item.evaluated_get(depsgraph).data
        mesh.calc_loop_triangles()
        triangles += len(mesh.loop_triangles)
        vertices += len(mesh.vertices)
        materials.update(slot.material.name for slot in item.material_slots if slot.material)
        if mesh.vertices:
            points = numpy.empty(len(mesh.vertices) * 3, numpy.float32)
            mesh.vertices.foreach_get("co", points)
            matrix = numpy.array(item.matrix_world)
            world = points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
            corners += [world.min(axis=0), world.max(axis=0)]
    size = numpy.ptp(corners, axis=0).tolist() if corners else [0.0] * 3
    return {
        "objects": len(meshes),
        "triangles": triangles,
        "vertices": vertices,
        "materials": len(materials),
        "images": sum(image.size[0] > 0 for image in bpy.data.images),
        "dimensions_m": [round(length, 6) for length in size],
    }
