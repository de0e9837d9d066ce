# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns chosen objects into a new scene of plain meshes: what the viewport shows, and no more.

Modifiers, shape keys, armatures, simulations and drivers are applied by taking the evaluated mesh;
curves, texts, surfaces and metaballs become meshes; instances (of collections, geometry nodes,
vertices, faces, particles) become objects that share their mesh. Hierarchy and names stay. Only
custom properties that begin with ``simready_`` come along. Works on the open file in memory; saves
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import bpy
from mathutils import Matrix

SURFACE_TYPES = frozenset({"MESH", "CURVE", "SURFACE", "FONT", "META"})
CARRIED = "simready_"
#: told of each new mesh and the evaluated object that it comes from
Carry = Callable[[bpy.types.Object, bpy.types.Mesh], None]


@dataclass
class Plain:
    """The new scene: its objects with a mesh, and its triangles (each use counted)."""

    scene: bpy.types.Scene
    objects: list[bpy.types.Object] = field(default_factory=list)
    triangles: int = 0
    notes: list[str] = field(default_factory=list)
    meshes: list[bpy.types.Mesh] = field(default_factory=list)
    renamed: list[tuple[Any, str]] = field(default_factory=list)
    gone: bool = False

    def discard(self) -> None:
        """Remove what was made, and give the sources their names back; again: nothing happens.

        The scene must not be the window's any more.
        """
        if not self.gone:
            self.gone = True
            bpy.data.batch_remove([*self.scene.objects, *self.meshes, self.scene])
            self.objects.clear()
            for item, name in self.renamed:
                item.name = name

    def materials(self) -> list[bpy.types.Material]:
        """The materials that some face uses, each once, in order of appearance."""
        seen: dict[str, bpy.types.Material] = {}
        meshes_seen: set[tuple[Any, ...]] = set()
        for item in self.objects:
            slots = [slot.material for slot in item.material_slots]
            key = (item.data.name, *(slot.name_full if slot else "" for slot in slots))
            if key in meshes_seen:
                continue
            meshes_seen.add(key)
            for index in _used_slots(item.data):
                material = slots[min(index, len(slots) - 1)] if slots else None
                if material is not None:
                    seen.setdefault(material.name_full, material)
        return list(seen.values())


def _used_slots(mesh: Any) -> list[int]:
    import numpy

    indices = numpy.zeros(len(mesh.polygons), dtype=numpy.int32)
    mesh.polygons.foreach_get("material_index", indices)
    return [int(index) for index in numpy.unique(indices)]


def triangle_count(mesh: bpy.types.Mesh) -> int:
    """Triangles of a mesh: a face of n corners has n - 2."""
    return max(0, len(mesh.loops) - 2 * len(mesh.polygons))


class _Builder:
    def __init__(
        self, scene: bpy.types.Scene, unit_scale: float, carry: Carry | None = None
    ) -> None:
        self.plain = Plain(scene)
        self.carry = carry
        self.scale = Matrix.Scale(unit_scale, 4)
        self.meshes: dict[tuple[Any, ...], bpy.types.Mesh] = {}
        self.made: dict[str, bpy.types.Object] = {}

    def mesh(self, source: bpy.types.Object, name: str) -> bpy.types.Mesh | None:
        """A mesh of its own from an evaluated object; None when that has no face."""
        slots = tuple(
            slot.material.name_full if slot.material else "" for slot in source.material_slots
        )
        data = source.data
        key = (data.as_pointer(), slots) if source.type == "MESH" and data else (source.name_full,)
        if key not in self.meshes:
            mesh = bpy.data.meshes.new_from_object(source)
            if mesh is None:
                return None
            if not len(mesh.polygons):
                bpy.data.meshes.remove(mesh)
                return None
            mesh.name = name
            _keep_carried(mesh)
            _object_materials(mesh, source)
            if self.carry is not None:
                self.carry(source, mesh)
            self.meshes[key] = mesh
            self.plain.meshes.append(mesh)
        return self.meshes[key]

    def add(
        self,
        name: str,
        mesh: bpy.types.Mesh | None,
        world: Matrix,
        origin: bpy.types.ID | None,
    ) -> bpy.types.Object:
        world = self.scale @ world
        if mesh is not None and not _is_trs(world):
            mesh = mesh.copy()  # a sheared object cannot be told by glTF's node: shear the points
            self.plain.meshes.append(mesh)
            mesh.transform(world)
            if world.is_negative:
                mesh.flip_normals()
            world = Matrix.Identity(4)
        item = bpy.data.objects.new(name, mesh)
        item.matrix_basis = world
        if origin is not None:
            for key in _carried(origin):
                item[key] = origin[key]
        self.plain.scene.collection.objects.link(item)
        if mesh is not None:
            self.plain.objects.append(item)
            self.plain.triangles += triangle_count(mesh)
        return item


def build(
    chosen: Iterable[bpy.types.Object],
    places: dict[bpy.types.Object, Matrix] | None = None,
    *,
    unit_scale: float = 1.0,
    carry: Carry | None = None,
    depsgraph: bpy.types.Depsgraph | None = None,
) -> Plain:
    """Make the new scene from objects of the current view layer, as they are evaluated now.

    ``places`` overrules where an object stands in the world: what the artist's session knew and the
    file does not (a rigid body that was played but not baked). ``unit_scale`` is metres for each
    Blender unit; the new scene is in metres. ``carry`` may add to each new mesh. ``depsgraph`` is
    what was evaluated before, for several calls in a row: asked again after the first, Blender
    would go through the whole scene again. The chosen objects and their data lose their names to
    the new ones (the file in memory is a copy, never saved).
    """
    items = list(dict.fromkeys(chosen))
    names = {item: item.name for item in items}
    depsgraph = depsgraph or bpy.context.evaluated_depsgraph_get()
    builder = _Builder(bpy.data.scenes.new("Asset"), unit_scale, carry)
    parts = [(item, item.evaluated_get(depsgraph)) for item in items]
    made: dict[bpy.types.Object, bpy.types.Object] = {}
    moves: dict[bpy.types.Object, Matrix] = {}
    sources: list[tuple[bpy.types.Object, str, bpy.types.Mesh | None, Matrix]] = []
    for item, evaluated in parts:
        mesh = None
        if item.type in SURFACE_TYPES and _shows_itself(item, items):
            data_name = item.data.name
            mesh = builder.mesh(evaluated, data_name)
            if mesh is not None and item.data.library is None and item.data.name == data_name:
                item.data.name = data_name + " (source)"
                builder.plain.renamed.append((item.data, data_name))
                mesh.name = data_name
        here = evaluated.matrix_world.copy()
        world = (places or {}).get(item, here)
        sources.append((item, names[item], mesh, world))
        moves[item] = world @ here.inverted_safe()
    above = _ancestors(items)
    copies = _instances(builder, depsgraph, moves) if any(map(_may_instance, items)) else {}
    for item, name, mesh, world in sources:
        if mesh is None and not (item in above or copies.get(item)):
            continue
        if item.library is None:
            item.name = name + " (source)"
            builder.plain.renamed.append((item, name))
        made[item] = builder.add(name, mesh, world, item)
    for item, several in copies.items():
        for name, mesh, world, origin in several:
            made_item = builder.add(name, mesh, world, origin)
            _adopt(made_item, made[item])
    _rebuild_hierarchy(made)
    return builder.plain


def _ancestors(items: Iterable[bpy.types.Object]) -> set[bpy.types.Object]:
    """All that some of the objects have above them."""
    found: set[bpy.types.Object] = set()
    for item in items:
        above = item.parent
        while above is not None and above not in found:
            found.add(above)
            above = above.parent
    return found


def _may_instance(item: bpy.types.Object) -> bool:
    """Whether it is worth looking through all instances of the scene for those of this object."""
    if item.type != "MESH" or item.instance_type != "NONE":
        return True
    return any(modifier.type in {"NODES", "PARTICLE_SYSTEM"} for modifier in item.modifiers)


def _shows_itself(item: bpy.types.Object, items: list[bpy.types.Object]) -> bool:
    """Instancers may hide themselves, and what they instance shows only as instances."""
    if item.is_instancer and not item.show_instancer_for_viewport:
        return False
    parent = item.parent
    return not (
        parent in items and parent is not None and parent.instance_type in {"VERTS", "FACES"}
    )


def _instances(
    builder: _Builder, depsgraph: bpy.types.Depsgraph, moves: dict[bpy.types.Object, Matrix]
) -> dict[bpy.types.Object, list[tuple[str, bpy.types.Mesh, Matrix, bpy.types.ID | None]]]:
    """What the chosen objects instance. An instance lives for one turn of the loop only."""
    found: dict[
        bpy.types.Object, list[tuple[str, bpy.types.Mesh, Matrix, bpy.types.ID | None]]
    ] = {}
    # The mesh of a curve, text or the like is listed as an instance of the object in its own place.
    shells = {item for item in moves if item.type not in {"MESH", "EMPTY"}}
    for instance in depsgraph.object_instances:
        if not instance.is_instance or instance.parent is None:
            continue
        owner = instance.parent.original
        if owner not in moves or instance.object.type != "MESH":
            continue
        source: Any = instance.object
        if owner in shells and _same(instance.matrix_world, owner.evaluated_get(depsgraph)):
            shells.discard(owner)
            continue
        mesh = builder.mesh(source, source.data.name)
        if mesh is not None:
            original = source.original
            found.setdefault(owner, []).append(
                (
                    original.name,
                    mesh,
                    moves[owner] @ instance.matrix_world,
                    None if original == owner else original,
                )
            )
    return found


def _same(matrix: Matrix, item: bpy.types.Object) -> bool:
    return all(
        abs(matrix[row][column] - item.matrix_world[row][column]) <= 1e-6
        for row in range(3)
        for column in range(4)
    )


def _object_materials(mesh: bpy.types.Mesh, source: bpy.types.Object) -> None:
    """Materials that sit on the object instead of its mesh go to the mesh."""
    for index, slot in enumerate(source.material_slots):
        if slot.link != "OBJECT":
            continue
        while len(mesh.materials) <= index:
            mesh.materials.append(None)
        mesh.materials[index] = slot.material.original if slot.material else None


def _is_trs(matrix: Matrix) -> bool:
    """Whether moving, turning and scaling give the matrix; a sheared one is none."""
    again = Matrix.LocRotScale(*matrix.decompose())
    size = max(abs(matrix[row][column]) for row in range(4) for column in range(4))
    return all(
        abs(matrix[row][column] - again[row][column]) <= 1e-5 * size
        for row in range(3)
        for column in range(3)
    )


def _adopt(child: bpy.types.Object, parent: bpy.types.Object) -> None:
    """Parent without moving, unless glTF could not tell the child's place that way.

    A new object's ``matrix_basis`` is its place in the world; the inverse keeps it so.
    """
    if abs(parent.matrix_basis.determinant()) < 1e-12:
        return
    inverse = parent.matrix_basis.inverted()
    if _is_trs(inverse @ child.matrix_basis):
        child.parent = parent
        child.matrix_parent_inverse = inverse


def _rebuild_hierarchy(made: dict[bpy.types.Object, bpy.types.Object]) -> None:
    for item, new in made.items():
        above = item.parent
        while above is not None and above not in made:
            above = above.parent
        if above is not None:
            _adopt(new, made[above])


def _carried(item: bpy.types.ID) -> list[str]:
    return [key for key in item.keys() if key.startswith(CARRIED)]  # noqa: SIM118


def _keep_carried(item: bpy.types.ID) -> None:
    for key in list(item.keys()):
        if not key.startswith(CARRIED):
            del item[key]


def strip_properties(items: Iterable[bpy.types.ID]) -> None:
    """Remove the custom properties that are not for the service; they may be private."""
    for item in items:
        _keep_carried(item)
