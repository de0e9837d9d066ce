# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a 3D file with Blender's importers and bakes it into plain, placed meshes.

What comes out are ``Shape`` objects: one mesh for each object or instance, in Z-up metres, the
asset's bottom centre at the origin, no transforms left. Animation and skinning are frozen as
imported. Never writes a file; empties the running Blender, so it belongs into its own process.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, cast

import bpy
import numpy as np
from mathutils import Matrix

from bridge.problems import Category, ProblemError

from . import simready_geometry as geometry
from . import simready_presets as presets

PRIMARY = {".glb", ".gltf", ".obj", ".fbx", ".stl", ".ply", ".usd", ".usda", ".usdc", ".usdz"}
PREFIX = "simready_"
MAX_UNPACKED = 4 << 30


@dataclass
class Shape:
    """One baked mesh.

    ``points`` (n, 3) float64, ``tris`` (m, 3) and ``slots`` (m,) material slot per triangle.
    ``props`` are the object's ``simready_*`` values, inherited from its parents, except the mass:
    ``mass`` is this object's own, ``mass_scopes`` the (name, kg) of parents without a mesh.
    """

    name: str
    prim: str
    mesh: bpy.types.Mesh
    materials: list[bpy.types.Material | None]
    props: dict[str, Any] = field(default_factory=dict)
    mass: float | None = None
    mass_scopes: list[tuple[str, float]] = field(default_factory=list)
    points: Any = None
    tris: Any = None
    slots: Any = None

    def read(self) -> None:
        """Take points, triangles and material slots from the mesh (again)."""
        mesh = self.mesh
        points = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.vertices.foreach_get("co", points)
        mesh.calc_loop_triangles()
        tris = np.empty(len(mesh.loop_triangles) * 3, np.int32)
        mesh.loop_triangles.foreach_get("vertices", tris)
        slots = np.empty(len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("material_index", slots)
        self.points = points.reshape(-1, 3).astype(np.float64)
        self.tris = tris.reshape(-1, 3)
        self.slots = np.clip(slots, 0, max(0, len(self.materials) - 1))


def load(path: Path, unpack_to: Path) -> None:
    """Import the file into an emptied Blender.

    Raises ProblemError(INPUT) for a file that is missing, broken, unsupported or needs Draco
    where this Blender has none. ``unpack_to`` is a folder for the members of an archive.
    """
    if not path.is_file():
        raise ProblemError(Category.INPUT, "The file to convert is missing.", technical=str(path))
    suffix = path.suffix.lower()
    if suffix == ".zip":
        path = _unpack(path, unpack_to)
        suffix = path.suffix.lower()
    if suffix not in PRIMARY:
        raise ProblemError(
            Category.INPUT,
            f"Files of the kind “{suffix or path.name}” cannot be converted.",
            "Use a .glb file, or .gltf, .fbx, .obj, .stl, .ply or .usd.",
        )
    if path.stat().st_size == 0:
        raise _broken(path, "the file has no bytes")
    if suffix == ".glb":
        _check_glb(path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    try:
        result = _import(path, suffix)
    except ProblemError:
        raise
    except Exception as error:  # importers raise all kinds of errors at broken files
        text = str(error)
        if "draco" in text.lower():
            raise ProblemError(
                Category.BLENDER,
                "This file is compressed with Draco, which this Blender cannot read.",
                "Send it again with Draco compression switched off.",
                text.strip().splitlines()[-1][:300],
            ) from error
        raise _broken(path, f"{type(error).__name__}: {text.strip()[:300]}") from error
    if "FINISHED" not in result:
        raise _broken(path, f"the importer answered {sorted(result)}")


def _import(path: Path, suffix: str) -> set[str]:
    name, ops = str(path), cast(Any, bpy.ops)
    if suffix in {".glb", ".gltf"}:
        return set(ops.import_scene.gltf(filepath=name))
    if suffix == ".fbx":
        if "fbx_import" in dir(bpy.ops.wm):
            return set(ops.wm.fbx_import(filepath=name, use_anim=False))
        return set(ops.import_scene.fbx(filepath=name, use_anim=False))
    if suffix == ".obj":
        return set(ops.wm.obj_import(filepath=name))
    if suffix == ".stl":
        return set(ops.wm.stl_import(filepath=name))
    if suffix == ".ply":
        return set(ops.wm.ply_import(filepath=name))
    return set(ops.wm.usd_import(filepath=name, import_cameras=False, import_lights=False))


def _broken(path: Path, why: str) -> ProblemError:
    return ProblemError(
        Category.INPUT,
        "The 3D file cannot be read; it seems to be damaged.",
        "Export it again and check that it opens in Blender.",
        f"{path.name}: {why}",
    )


def _check_glb(path: Path) -> None:
    """Refuse a broken container before Blender sees it (glTF 2.0, Binary glTF layout)."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(20)
        if len(head) < 20 or head[:4] != b"glTF":
            raise _broken(path, "no glTF header")
        version, length, chunk, kind = struct.unpack("<4xIIII", head)
        if version != 2 or length > size or chunk > size - 20 or kind != 0x4E4F534A:
            raise _broken(path, f"version {version}, states {length} bytes, has {size}")
        try:
            content = json.loads(file.read(chunk))
        except ValueError as error:
            raise _broken(path, "its description is not JSON") from error
    if not isinstance(content, dict) or not content.get("meshes"):
        raise _empty()


def _empty() -> ProblemError:
    return ProblemError(
        Category.INPUT,
        "There is no mesh with faces in this file.",
        "Select at least one mesh object and send again.",
    )


def _unpack(path: Path, folder: Path) -> Path:
    """Unpack a ZIP with exactly one primary file; members are checked, never trusted."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            if sum(info.file_size for info in members) > MAX_UNPACKED:
                raise ProblemError(Category.LIMIT, "The archive is too large when unpacked.")
            primary = []
            for info in members:
                pure = PurePosixPath(info.filename.replace("\\", "/"))
                if pure.is_absolute() or ".." in pure.parts or ":" in info.filename:
                    raise _broken(path, f"unsafe member {info.filename!r}")
                hidden = any(part.startswith((".", "__MACOSX")) for part in pure.parts)
                if pure.suffix.lower() in PRIMARY and not hidden:
                    primary.append(pure)
            if len(primary) != 1:
                raise ProblemError(
                    Category.INPUT,
                    "The archive must contain exactly one 3D file.",
                    "Put one .obj, .gltf or .usd file and its textures into the archive.",
                    f"found {len(primary)}",
                )
            folder.mkdir(parents=True, exist_ok=True)
            archive.extractall(folder)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise _broken(path, str(error)) from error
    return folder.joinpath(*primary[0].parts)


def _own_props(item: Any) -> dict[str, Any]:
    return {key: item[key] for key in item.keys() if key.startswith(PREFIX)}  # noqa: SIM118


def number(value: Any) -> float | None:
    """A finite number from a custom property (text is tried too), else None."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if np.isfinite(result) else None


def _context(shape: Shape, obj: bpy.types.Object, instancer: bpy.types.Object | None) -> None:
    """Collect what the object and its parents say about mass and material."""
    chain: list[bpy.types.Object] = []
    for start in (obj, instancer):
        step = start
        while step is not None and step not in chain:
            chain.append(step)
            step = step.parent
    if isinstance(obj.data, bpy.types.Mesh):
        shape.props.update(_own_props(obj.data))
    for index, item in enumerate(chain):
        own = _own_props(item)
        mass = number(own.pop(f"{PREFIX}mass_kg", None))
        if mass is not None and mass > 0:
            if index == 0:
                shape.mass = mass
            elif item.type != "MESH":
                shape.mass_scopes.append((item.name, mass))
        for key, value in own.items():
            shape.props.setdefault(key, value)
    data_mass = number(shape.props.pop(f"{PREFIX}mass_kg", None))
    if shape.mass is None and data_mass is not None and data_mass > 0:
        shape.mass = data_mass


def shapes(notes: list[str]) -> list[Shape]:
    """Bake everything visible into shapes, drop exact doubles, and place the asset.

    Raises ProblemError(INPUT) if there are no faces or positions are not finite.
    """
    for obj in bpy.data.objects:
        obj.animation_data_clear()
    for key in bpy.data.shape_keys:
        key.animation_data_clear()
    graph = bpy.context.evaluated_depsgraph_get()
    found: list[Shape] = []
    taken: set[str] = set()
    # The iterator's items are only valid while it stands on them: copy what is needed at once.
    for instance in graph.object_instances:
        evaluated: Any = instance.object
        if evaluated.type != "MESH" or not len(evaluated.data.polygons):
            continue
        original = evaluated.original
        matrix = instance.matrix_world.copy()
        mesh = bpy.data.meshes.new_from_object(
            evaluated, preserve_all_data_layers=True, depsgraph=graph
        )
        slots = [
            slot.material.original if slot.material else None for slot in evaluated.material_slots
        ]
        instancer = instance.parent.original if instance.is_instance and instance.parent else None
        prim = presets.unique(presets.safe_name(original.name, "part"), taken)
        shape = Shape(original.name, prim, mesh, slots or [None])
        _context(shape, original, instancer)
        _bake(mesh, matrix)
        found.append(shape)
    for shape in found:
        shape.mesh.validate()
        shape.read()
        if not np.isfinite(shape.points).all():
            raise ProblemError(
                Category.INPUT,
                f"“{shape.name}” has points without a valid position.",
                "Repair or delete that object, then send again.",
            )
    found = [shape for shape in found if len(shape.tris)]
    if not found:
        raise _empty()
    found = _without_doubles(found, notes)
    _place(found)
    return found


def _bake(mesh: bpy.types.Mesh, matrix: Matrix) -> None:
    """Move a mesh by ``matrix``; a mirroring one also turns the faces back outside.

    Blender keeps custom normals relative to the faces, which is wrong under mirroring and uneven
    scaling (measured in 4.5, 5.0 and 5.2), so those are carried over here.
    """
    mirrored = matrix.determinant() < 0
    scale = [abs(value) for value in cast(Any, matrix.to_scale())]
    uneven = max(scale) - min(scale) > 1e-4 * max(scale)
    before = None
    if mesh.has_custom_normals and (mirrored or uneven):
        before = (_corner_normals(mesh), _corner_order(mesh))
    mesh.transform(matrix)
    if mirrored:
        mesh.flip_normals()
    mesh.update()
    if before is not None and abs(matrix.determinant()) > 1e-30:
        moved = before[0] @ np.array(matrix.to_3x3().inverted())
        moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-20)
        placed = np.empty_like(moved)
        placed[_corner_order(mesh)] = moved[before[1]]
        mesh.normals_split_custom_set(placed)
        mesh.update()


def _corner_normals(mesh: bpy.types.Mesh) -> Any:
    """Normals of all face corners, (corners, 3) float32."""
    values = np.empty(len(mesh.loops) * 3, np.float32)
    mesh.corner_normals.foreach_get("vector", values)
    return values.reshape(-1, 3)


def _corner_order(mesh: bpy.types.Mesh) -> Any:
    """The order that sorts corners by face, then point: the same before and after a flip."""
    vertex = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", vertex)
    sizes = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_total", sizes)
    return np.lexsort((vertex, np.repeat(np.arange(len(sizes)), sizes)))


def _without_doubles(found: list[Shape], notes: list[str]) -> list[Shape]:
    """Drop meshes that lie exactly on an earlier one: they would count twice."""
    seen: set[bytes] = set()
    kept = []
    for shape in found:
        rounded = np.round(shape.points, 6) + 0.0
        digest = hashlib.sha256(rounded.tobytes() + shape.tris.tobytes()).digest()
        if digest in seen:
            notes.append(f"“{shape.name}” lies exactly on another object and was left out.")
            continue
        seen.add(digest)
        kept.append(shape)
    return kept


def _place(found: list[Shape]) -> None:
    """Bottom centre of everything to the origin."""
    low = np.min([shape.points[shape.tris].min(axis=(0, 1)) for shape in found], axis=0)
    high = np.max([shape.points[shape.tris].max(axis=(0, 1)) for shape in found], axis=0)
    centre = (low + high) / 2.0
    move = Matrix.Translation((-centre[0], -centre[1], -low[2]))
    for shape in found:
        shape.mesh.transform(move)
        shape.mesh.update()
        shape.read()


def decimate(found: list[Shape], target: int) -> None:
    """Reduce all shapes together to at most ``target`` triangles (collapse, UVs kept)."""
    for _ in range(3):
        total = sum(len(shape.tris) for shape in found)
        if total <= target:
            return
        for shape in found:
            _decimate(shape, 0.98 * target / total)


def _decimate(shape: Shape, ratio: float) -> None:
    import bmesh

    if len(shape.tris) < 16:
        return
    mesh = shape.mesh
    work: Any = bmesh.new()
    work.from_mesh(mesh)
    # glTF parts points at every seam; joined again, the collapse opens no cracks.
    step = max(float(geometry.extent(shape.points).max()) * 1e-6, 1e-9)
    bmesh.ops.remove_doubles(work, verts=work.verts, dist=step)
    bmesh.ops.triangulate(work, faces=work.faces)
    work.to_mesh(mesh)
    work.free()
    if "custom_normal" in mesh.attributes:
        mesh.attributes.remove(mesh.attributes["custom_normal"])
    mesh.set_sharp_from_angle(angle=0.7)
    holder = bpy.data.objects.new("decimate", mesh)
    bpy.context.scene.collection.objects.link(holder)
    modifier: Any = holder.modifiers.new("decimate", "DECIMATE")
    modifier.ratio = ratio
    modifier.use_collapse_triangulate = True
    graph = bpy.context.evaluated_depsgraph_get()
    result = bpy.data.meshes.new_from_object(
        holder.evaluated_get(graph), preserve_all_data_layers=True, depsgraph=graph
    )
    bpy.data.objects.remove(holder)
    bpy.data.meshes.remove(mesh)
    shape.mesh = result
    shape.read()
