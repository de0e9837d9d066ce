# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs Blender's own USD import and finds out which object came from which prim.

A `bpy.types.USDHook` reads the physics while the importer holds the stage. It is registered only
around this one import and unregistered in every case: Blender 4.5 hangs at exit if a hook that has
run stays registered. The hook only records; everything is built afterwards. This module adds what
the importer adds, and moves nothing but objects whose parent the importer has left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix

from .. import versions
from .artist import Snapshot
from .report import ImportReport
from .shapes import is_close
from .usd_physics import StagePhysics, read_stage

OPTIONS: dict[str, Any] = {
    "merge_parent_xform": False,  # else a body may have no object of its own
    "import_guide": True,  # collider hulls
    "import_proxy": True,
    "import_visible_only": False,  # colliders may be invisible
    "import_cameras": False,
    "import_lights": False,
    "create_world_material": False,  # never touch the artist's world
    "set_frame_range": False,  # nor the frame range
    "support_scene_instancing": False,
    "import_all_materials": False,
    "mtl_name_collision_mode": "MAKE_UNIQUE",  # never reuse the artist's material
    "attr_import_mode": "ALL",
    "property_import_mode": "ALL",
}
ONLY_SHOWN: dict[str, Any] = {
    "import_guide": False,
    "import_proxy": False,
    "import_visible_only": True,
}


@dataclass
class Imported:
    """What the importer made: new objects, and objects and materials by prim path."""

    new: list[bpy.types.Object] = field(default_factory=list)
    objects: dict[str, bpy.types.Object] = field(default_factory=dict)
    materials: dict[str, bpy.types.Material] = field(default_factory=dict)
    physics: StagePhysics | None = None


class _Record:
    """What the hook saw. Filled while the importer runs."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.physics: StagePhysics | None = None
        self.objects: dict[str, int] = {}
        self.materials: dict[str, int] = {}
        self.error = ""


def _hook(record: _Record) -> type:
    """A hook class for one import."""

    def on_import(import_context: Any) -> bool:
        try:
            record.physics = read_stage(import_context.get_stage(), record.scale)
            for path, blocks in import_context.get_prim_map().items():
                for block in blocks:
                    if isinstance(block, bpy.types.Object):
                        record.objects[str(path)] = versions.identity(block)
                    elif isinstance(block, bpy.types.Material):
                        record.materials[str(path)] = versions.identity(block)
        except Exception as error:  # an exception in a hook would vanish in Blender's console
            record.error = f"{type(error).__name__}: {error}"
        return True

    return type(
        "SCENE_COURIER_USD_hook",
        (bpy.types.USDHook,),
        {
            "bl_idname": "SCENE_COURIER_USD_hook",
            "bl_label": "Scene Courier: read the physics",
            "on_import": staticmethod(on_import),
        },
    )


def import_usd(path: Path, report: ImportReport, before: Snapshot, scale: float = 1.0) -> Imported:
    """Import the file into the active collection; `scale` is the scene's units for each metre.

    Raises RuntimeError if Blender's importer refuses the file. Where the physics cannot be read,
    only what a render shows comes in and `physics` is None; the report says so.
    """
    library = versions.usd_library()
    options = OPTIONS | {"scale": scale}
    if library is None:
        _run(path, options | ONLY_SHOWN)
        report.lose("This Blender cannot read the physics in USD files: only the meshes came in.")
        return Imported(new=before.new("objects"))
    record = _Record(scale)
    hook = _hook(record)
    bpy.utils.register_class(hook)
    try:
        _run(path, options)
    finally:
        bpy.utils.unregister_class(hook)
    if record.physics is None or record.error:
        _read_beside(path, library, record, report)
    if record.physics is None:
        before.remove_new_data()  # collider hulls, which nothing tells from what is to be seen
        _run(path, options | ONLY_SHOWN)
        return Imported(new=before.new("objects"))
    made = Imported(new=before.new("objects"), physics=record.physics)
    by_number = {versions.identity(item): item for item in made.new}
    made.objects = {p: by_number[n] for p, n in record.objects.items() if n in by_number}
    if not made.objects:
        made.objects = match_by_name(made.new, record.physics.matrices)
    materials = {versions.identity(item): item for item in before.new("materials")}
    made.materials = {p: materials[n] for p, n in record.materials.items() if n in materials}
    return made


def _run(path: Path, options: dict[str, Any]) -> None:
    """One call of Blender's importer, with the options that this version knows."""
    known = versions.known_options(bpy.ops.wm.usd_import, options)
    answer = bpy.ops.wm.usd_import(filepath=str(path), **known)
    if "FINISHED" not in (answer or ()):
        raise RuntimeError(f"wm.usd_import answered {answer}")
    bpy.context.view_layer.update()


def _read_beside(path: Path, library: Any, record: _Record, report: ImportReport) -> None:
    """Read the file a second time, where a foreign USD library cannot take Blender's stage."""
    try:
        from pxr import Usd

        record.physics = read_stage(Usd.Stage.Open(str(path)), record.scale)
        report.note(
            "Another USD library is installed in this Blender. The physics was read with it, "
            "straight from the file."
        )
    except Exception as error:  # any failure of a foreign library means: no physics
        record.physics = None
        where = getattr(library, "__file__", "pxr")
        report.lose(
            "Another USD library in this Blender keeps the physics from being read: only the "
            f"meshes came in. Remove it to import physics ({where}: {record.error or error})."
        )


def match_by_name(
    objects: Iterable[bpy.types.Object], paths: Iterable[str]
) -> dict[str, bpy.types.Object]:
    """Objects by prim path, told from names and parents.

    The importer names an object after its prim; prim names hold no dot, so a suffix is Blender's.
    Parents that the importer left out are skipped.
    """
    free = {path: path.strip("/").split("/") for path in sorted(paths)}
    found: dict[str, bpy.types.Object] = {}
    for item in sorted(objects, key=lambda one: -len(_chain(one))):
        chain = _chain(item)
        for path, parts in free.items():
            rest = iter(parts)
            if parts[-1] == chain[-1] and all(name in rest for name in chain):
                found[path] = item
                del free[path]
                break
    return found


def _chain(item: bpy.types.Object) -> list[str]:
    names = []
    current: bpy.types.Object | None = item
    while current is not None:
        names.append(current.name.partition(".")[0])
        current = current.parent
    return names[::-1]


def mend_places(made: Imported) -> None:
    """Put objects where the stage has them, if the importer left out prims above them.

    Prims without a type and those that Blender stamped as its own have no object; their transform
    and the stage's units are then missing on everything below.
    """
    if made.physics is None:
        return
    for path, item in made.objects.items():
        rows = made.physics.matrices.get(path)
        if item.parent is not None or rows is None or item.constraints:
            continue
        wanted = Matrix(rows)
        if not is_close(wanted, item.matrix_world, 1e-5 * max(1e-3, wanted.median_scale)):
            item.matrix_world = wanted
    bpy.context.view_layer.update()
