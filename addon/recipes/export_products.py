# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: the captured selection, or objects of a .blend, to one GLB for each product.

The file is opened once. The products are built, written, checked and forgotten again, a few at a
time, so that they take little memory; a product that cannot be sent says why in its row and stops
no other. Each stands upright on the world's origin, in metres, with its material variants. Never
writes outside the output folder, never saves a .blend.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix, Vector

from addon.recipes import (
    glb_file,
    glb_place,
    glb_write,
    grouping,
    plain,
    product_names,
    product_size,
    scene_choice,
    variants,
)
from bridge.problems import Category, Problem, ProblemError

Progress = Callable[[float, str], None]
#: triangles of products that are built side by side, before any is written
_TOGETHER = 2_000_000


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Export every product and report each.

    ``params``: either ``capture`` (path of capture.json) with ``folder`` (the job's), or ``blend``
    (path) with ``select`` (names of objects or collections; null: what is visible); ``output``
    (folder for the files); ``products`` ("object", "collection", "instance", "one": see
    ``grouping.group``); ``options``: draco, animation, ignore_scale; ``max_bytes`` (for each file,
    or null). Material variants always go along.

    Returns ``products``, a row for each: name, file_name (unique, ASCII, also on disks that ignore
    case), path (null if there is a problem), bytes, triangles, size_m [x, y, z], materials (names),
    variants (names), problem (as a dict, or null), notes; and ``notes`` about all of them. Raises
    ProblemError when there is nothing to export: INPUT, BLENDER.
    """
    options = params.get("options") or {}
    progress(0.0, "Opening the scene")
    if params.get("capture"):
        found = scene_choice.captured(
            params,
            all_frames=bool(options.get("animation")),
            say=lambda text: progress(0.05, text),
        )
    else:
        found = _from_blend(params)
    mode = params.get("products") or "object"
    made = grouping.group(
        bpy.context.scene, bpy.context.view_layer, found.objects, mode, found.active
    )
    if not made.groups and not found.lost:
        raise ProblemError.of(grouping_problem(mode, bool(params.get("select"))))
    notes = [*found.notes, *grouping.notes(made, mode)]
    scene_choice.show(made.objects())
    scene_choice.leave_modes()
    exporter = _Exporter(Path(params["output"]), params, found.places, variants.enable())
    names = product_names.file_names([*made.names(), *found.lost])
    rows = exporter.rows(
        list(zip(made.groups, names, strict=False)),
        lambda fraction, text: progress(0.15 + 0.85 * fraction, text),
    )
    for number, (name, problem) in enumerate(found.lost.items(), len(made.groups)):
        rows.append(_Row(name, names[number]).told(problem))
    progress(1.0, "Exported")
    return {"products": rows, "notes": list(dict.fromkeys(notes))}


def grouping_problem(mode: str, picked: bool) -> Problem:
    """Why there is no product at all."""
    if mode == "instance":
        return Problem(
            Category.INPUT,
            "There is no collection instance to send.",
            "Select collection instances, or let each object or collection be a product.",
        )
    return Problem(
        Category.INPUT,
        "The selection has no mesh." if picked else "The scene shows no mesh.",
        "Products are meshes, curves, texts, surfaces or collection instances.",
    )


def _from_blend(params: dict[str, Any]) -> scene_choice.Chosen:
    """Like ``scene_choice.from_blend``; a name may also be a collection's, which is then meant in
    collection mode and elsewhere where no object has the name.
    """
    notes = scene_choice.open_file(params)
    names = params.get("select")
    if names is None:
        return scene_choice.Chosen(scene_choice.visible(), notes)
    chosen: list[bpy.types.Object] = []
    scene = bpy.context.scene
    whole = {one.name: one for one in scene.collection.children_recursive}
    for name in names:
        known = params.get("products") != "collection" and scene.objects.get(name) is not None
        if name in whole and not known:
            chosen += [item for item in whole[name].all_objects if item.visible_get()]
        else:
            chosen.append(scene_choice.named(name))
    chosen = list(dict.fromkeys(chosen))
    scene_choice.show(chosen)
    return scene_choice.Chosen(chosen, notes, active=chosen[0] if chosen else None)


@dataclass
class _Row:
    """What is told about one product."""

    name: str
    file_name: str
    path: Path | None = None
    bytes: int = 0
    triangles: int = 0
    size: tuple[float, float, float] = (0.0, 0.0, 0.0)
    materials: list[str] = field(default_factory=list)
    variants: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def told(self, problem: Problem | None = None) -> dict[str, Any]:
        return {
            "name": self.name,
            "file_name": self.file_name,
            "path": str(self.path) if self.path and problem is None else None,
            "bytes": self.bytes,
            "triangles": self.triangles,
            "size_m": [round(value, 6) for value in self.size],
            "materials": self.materials,
            "variants": self.variants,
            "problem": problem.to_dict() if problem else None,
            "notes": list(dict.fromkeys(self.notes)),
        }


_Built = tuple[grouping.Group, _Row, plain.Plain | None, Problem | None]


def _attempt(row: _Row, work: Callable[[], None]) -> Problem | None:
    """What went wrong with one product; None: nothing. One's trouble is not the others'."""
    try:
        work()
    except ProblemError as error:
        return error.problem
    except MemoryError:
        return Problem(
            Category.BLENDER,
            f"Blender ran out of memory at {row.name}.",
            "Close other programs, or send it with fewer triangles or smaller textures.",
        )
    except Exception as error:
        traceback.print_exc()
        return Problem(
            Category.BLENDER,
            f"Blender could not export {row.name}.",
            "Try File > Export > glTF in Blender with the same objects to see what it refuses.",
            f"{type(error).__name__}: {error}"[:400],
        )
    return None


def _said(doing: str, number: int, groups: Sequence[tuple[grouping.Group, str]]) -> str:
    many = f" ({number + 1} of {len(groups)})" if len(groups) > 1 else ""
    return f"{doing} {groups[number][0].name}{many}"


class _Exporter:
    """Exports one product after another from the open file."""

    def __init__(
        self,
        folder: Path,
        params: dict[str, Any],
        places: dict[bpy.types.Object, Matrix],
        variant_names: list[str],
    ) -> None:
        self.folder, self.params, self.places = folder, params, places
        self.options: dict[str, Any] = params.get("options") or {}
        self.animated = bool(self.options.get("animation"))
        self.names = variant_names
        self.window = bpy.context.window
        self.scene, self.layer = bpy.context.scene, bpy.context.view_layer
        self.unit = scene_choice.unit_scale()

    def rows(
        self, groups: Sequence[tuple[grouping.Group, str]], progress: Progress
    ) -> list[dict[str, Any]]:
        """Export the products, with their file names; whatever goes wrong is told in its row."""
        rows: list[dict[str, Any]] = []
        while len(rows) < len(groups):
            built = self._build(groups, len(rows), progress)
            try:
                for group, row, made, problem in built:
                    progress(len(rows) / len(groups), _said("Writing", len(rows), groups))
                    if made is not None:
                        problem = _attempt(row, partial(self._write, group, made, row))
                    rows.append(row.told(problem))
            finally:
                self._back()
                for _group, _row, made, _problem in built:
                    if made is not None:
                        made.discard()
        return rows

    def _build(
        self, groups: Sequence[tuple[grouping.Group, str]], begin: int, progress: Progress
    ) -> list[_Built]:
        """The next products as plain meshes: as many as fit into memory side by side.

        What one has in common with another gets its names back first, so they wait for that.
        """
        depsgraph = bpy.context.evaluated_depsgraph_get()
        built: list[_Built] = []
        held: set[bpy.types.ID] = set()
        triangles = 0
        for number, (group, file_name) in enumerate(groups[begin:], begin):
            own = {part for item in group.objects for part in (item, item.data) if part is not None}
            if built and (triangles > _TOGETHER or self.animated or held & own):
                break
            held |= own
            progress(number / len(groups), _said("Preparing", number, groups))
            row = _Row(group.name, file_name)
            made: list[plain.Plain] = []
            problem = _attempt(row, lambda: made.append(self._plain(group, depsgraph)))  # noqa: B023
            triangles += made[0].triangles if made else 0
            built.append((group, row, made[0] if made else None, problem))
        return built

    def _plain(self, group: grouping.Group, depsgraph: bpy.types.Depsgraph) -> plain.Plain:
        places = {item: self.places[item] for item in group.objects if item in self.places}
        if self.params.get("products") == "instance":
            places = _straight(group, places)
        carry = self._carry if self.names else None
        return plain.build(
            group.objects, places, unit_scale=self.unit, carry=carry, depsgraph=depsgraph
        )

    def _write(self, group: grouping.Group, made: plain.Plain, row: _Row) -> None:
        row.triangles = made.triangles
        row.notes += made.notes
        if not made.triangles:
            raise ProblemError(
                Category.INPUT,
                f"{group.name} has no faces.",
                "Points, edges and curves without thickness cannot be sent. Add faces, or leave "
                "it out.",
                ", ".join(item.name for item in group.objects)[:200],
            )
        materials = made.materials()
        for mesh in made.meshes:
            materials += variants.materials(mesh)
        materials = list(dict.fromkeys(materials))
        row.materials = [material.name for material in materials]
        self.window.scene = made.scene
        low, high = product_size.box(made.objects)
        row.size = (high[0] - low[0], high[1] - low[1], high[2] - low[2])
        if not self.options.get("ignore_scale"):
            product_size.require_likely(group.name, row.size, self.unit)
        foot = Vector(((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]))
        wishes = {material.name: glb_file.wanted(material) for material in materials}
        glb_write.need_room(self.folder, made.triangles, wishes)
        if self.animated:
            self._back()
            made.discard()
            self._select_animated(group)
        else:
            product_size.move(made.scene.objects, -foot)
            glb_write.select(made.scene.objects)
        variants.announce(self.names)
        home = Matrix.Translation(-foot) @ Matrix.Scale(self.unit, 4)
        written = glb_write.write(
            self.folder / row.file_name,
            wishes,
            row.notes,
            options=self.options,
            max_bytes=self.params.get("max_bytes"),
            extras=False,  # custom properties may be private
            then=lambda path: glb_place.place(path, home, group.name) if self.animated else None,
        )
        row.path, row.bytes = written.path, written.info.bytes
        row.triangles = written.info.triangles
        row.variants = variants.written(written.document)
        for lost in glb_file.lost_textures(written.document, wishes):
            image = f" {lost['image']}" if lost["image"] else ""
            row.notes.append(f"Material {lost['material']} lost its texture{image}: {lost['why']}.")

    def _select_animated(self, group: grouping.Group) -> None:
        """With animation the exporter itself applies what it can and keeps bones and shape keys."""
        bones = [item.find_armature() for item in group.objects if item.type == "MESH"]
        items = list(dict.fromkeys([*group.objects, *(bone for bone in bones if bone is not None)]))
        glb_write.select(items)

    def _back(self) -> None:
        """To the artist's scene and view layer."""
        if self.window.scene != self.scene:
            self.window.scene = self.scene
        if self.window.view_layer != self.layer:
            self.window.view_layer = self.layer

    def _carry(self, source: bpy.types.Object, mesh: bpy.types.Mesh) -> None:
        variants.carry(source, mesh, len(self.names))


def _straight(
    group: grouping.Group, places: dict[bpy.types.Object, Matrix]
) -> dict[bpy.types.Object, Matrix]:
    """Places without the turn about the vertical that the instance got in the artist's scene."""
    angle = grouping.yaw(group.root)
    if angle is None or math.isclose(angle, 0.0, abs_tol=1e-6):
        return places
    centre = Matrix.Translation(group.root.matrix_world.translation)
    turn = centre @ Matrix.Rotation(-angle, 4, "Z") @ centre.inverted()
    return {item: turn @ places.get(item, item.matrix_world) for item in group.objects}
