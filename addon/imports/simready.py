# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a SimReady USD asset into the scene, with live rigid bodies.

One new collection, one undo step, only new data-blocks. Blender's own importer does the meshes and
materials; the physics is read by a hook and rebuilt with Blender's rigid bodies; what Blender
cannot hold is kept as custom properties under its USD name. A failed import leaves nothing behind.
This module never touches the network and never changes the result files (textures that lie
elsewhere in the download are copied to where the USD looks for them).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix, Vector

from ...bridge.problems import Category, ProblemError
from .. import extents, versions
from . import artist, textures
from .keeping import keep_all
from .report import ImportReport
from .rigid import (
    BodyBuilder,
    Built,
    add_ground,
    has_passive,
    prepare_world,
    rigid_members,
    summary,
)
from .shapes import extent
from .usd_scene import Imported, import_usd, mend_places

SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")
MESH_IMPORTERS = {
    ".glb": ("import_scene", "gltf"),
    ".gltf": ("import_scene", "gltf"),
    ".obj": ("wm", "obj_import"),
    ".stl": ("wm", "stl_import"),
    ".ply": ("wm", "ply_import"),
}


def find_usd(folder: str | os.PathLike[str]) -> Path:
    """The main USD file of a result folder: the shallowest one.

    Of several at one depth the one named after its folder wins, then .usd, .usda, .usdc, .usdz.
    Hidden folders (thumbnails) are skipped. Raises ProblemError (input) if there is none.
    """
    root = Path(folder)
    found = []
    for place, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                depth = len(path.relative_to(root).parts)
                same = path.stem.casefold() == path.parent.name.casefold()
                found.append((depth, not same, SUFFIXES.index(path.suffix.lower()), name, path))
    if not found:
        raise ProblemError(
            Category.INPUT,
            "The result holds no USD file.",
            "Ask for the USD format, or download the result again.",
            f"no {', '.join(SUFFIXES)} below the result folder",
        )
    return min(found)[-1]


def import_simready(
    context: bpy.types.Context,
    usd_path: str | os.PathLike[str],
    *,
    name: str = "",
    placement: Mapping[str, Any] | tuple[str, Sequence[float] | None] | None = None,
    source: tuple[str, Sequence[str | tuple[str, int]]] = ("keep", ()),
    job_id: str = "",
    ground: bool = True,
    replace: bool = False,
    select: bool = True,
    push_undo: bool = True,
    fallback_mesh: str | os.PathLike[str] | None = None,
    textures_from: str | os.PathLike[str] | None = None,
) -> ImportReport:
    """Import one asset and say what became of it.

    `name` names the new collection (else the file does). `placement` is `(mode, location)` or
    capture.json's mapping: the middle of the asset's underside comes to `location`, in world units;
    without a location to the 3D cursor for the mode `cursor`. A `matrix` (16 numbers or 4 rows) in
    the mapping moves the asset's origin instead. None leaves the asset where the file has it.
    `source` is `("hide" or "keep", objects)`: what becomes of the objects that were sent, told by
    name or by name and `versions.identity`. `ground`
    adds a floor for the preview if the scene has nothing passive. `replace` removes earlier imports
    of the same `job_id`. `select` selects the body, else the artist's selection stays. `push_undo`
    makes the one undo step; an operator with the UNDO option makes its own and passes False.
    `fallback_mesh` is imported without physics where Blender cannot read USD. `textures_from` is
    the folder to search for textures (else the result folder that the USD file lies in).

    Raises ProblemError: input (the file is missing, or a mode other than Object Mode is active) or
    blender (this build reads no USD and there is no fallback; the importer failed).
    """
    path = Path(usd_path)
    with versions.in_window(context) as inside:
        mode = artist.check_mode(inside)
        if mode:
            raise ProblemError(
                Category.INPUT,
                f"The import waits: Blender is in {mode} mode.",
                "Switch to Object Mode, then press Import again.",
            )
        path = _readable(path, fallback_mesh)
        report = ImportReport()
        before = artist.Snapshot(inside)
        importer = _Import(inside, before, report, name or path.stem, job_id)
        try:
            importer.bring_in(path, Path(textures_from) if textures_from else _result_folder(path))
            importer.place(placement)
            importer.shorten_names()
            if ground:
                importer.add_ground()
            importer.label()
            if replace:
                importer.remove_earlier()
            if source[0] == "hide":
                artist.hide_sources(inside, source[1], report)
                importer.collection[artist.HIDDEN] = list(report.hidden)
        except ProblemError:
            before.roll_back()
            raise
        except Exception as error:
            before.roll_back()
            raise ProblemError(
                Category.BLENDER,
                "Blender could not import the result.",
                "The file is kept in the job's folder. Try File > Import, or send the job again.",
                f"{type(error).__name__}: {error}",
            ) from error
        before.restore_home()
        if select:
            before.select(importer.to_select(), importer.main())
        else:
            before.restore_selection()
        importer.finish()
        if push_undo:
            with contextlib.suppress(RuntimeError):  # global undo may be switched off
                bpy.ops.ed.undo_push(message=f"Import {report.collection}")
    return report


def _readable(path: Path, fallback: str | os.PathLike[str] | None) -> Path:
    """The file to import: the USD, or the fallback where this build of Blender reads no USD."""
    if not versions.has_usd_import():
        other = Path(fallback) if fallback else None
        if other is None or not other.is_file() or other.suffix.lower() not in MESH_IMPORTERS:
            raise ProblemError(
                Category.BLENDER,
                "This build of Blender cannot read USD files.",
                "Use the Blender from blender.org. The result is kept in the job's folder.",
                f"Blender {bpy.app.version_string} was built without USD",
            )
        return other
    if not path.is_file():
        raise ProblemError(
            Category.INPUT,
            f"The result file {path.name} is missing.",
            "Download the result again.",
        )
    return path


def _result_folder(path: Path) -> Path:
    """The folder of the whole result: a service puts its file at `usd/<asset>/<asset>.usd`."""
    folder = path.parent
    return folder.parent.parent if folder.parent.name == "usd" else folder


class _Import:
    """One import on its way."""

    def __init__(
        self,
        context: bpy.types.Context,
        before: artist.Snapshot,
        report: ImportReport,
        name: str,
        job_id: str,
    ) -> None:
        self.context = context
        self.scene: bpy.types.Scene = context.scene  # type: ignore[assignment]
        self.before = before
        self.report = report
        self.job_id = job_id
        self.made = Imported()
        self.built = Built()
        self.path = Path()
        self.floor: bpy.types.Object | None = None
        self.scale = versions.units_per_metre(self.scene)
        self.collection = bpy.data.collections.new(name)
        report.collection = self.collection.name

    def bring_in(self, path: Path, texture_folder: Path) -> None:
        """Run the importer, then build the physics."""
        self.path = path
        images = textures.images_now()
        self.scene.collection.children.link(self.collection)
        self.before.into(self.collection)
        if path.suffix.lower() in SUFFIXES:
            textures.put_in_place(path, texture_folder, self.report)
            self.made = import_usd(path, self.report, self.before, self.scale)
            mend_places(self.made)
        else:
            space, operator = MESH_IMPORTERS[path.suffix.lower()]
            getattr(getattr(bpy.ops, space), operator)(filepath=str(path))
            self.made = Imported(new=self.before.new("objects"))
            for item in self.made.new:
                if item.parent is None:
                    item.matrix_world = Matrix.Scale(self.scale, 4) @ item.matrix_world
            self.report.lose(
                "This build of Blender cannot read USD files: the mesh came in without physics."
            )
        self._gather()
        self.context.view_layer.update()
        textures.check(self.before.new("materials"), images, self.report)
        if not self.made.new:
            self.report.lose("The file holds nothing that Blender shows.")
        physics = self.made.physics
        if physics is None:
            self._drop_idle_empties()
            return
        if physics.bodies or physics.loose:
            had_world = self.scene.rigidbody_world is not None
            self.built = BodyBuilder(
                self.scene, self.collection, self.made, physics, self.report
            ).build()
            prepare_world(self.scene, self.report, new=not had_world, scale=self.scale)
            self.report.physics = bool(self.built.bodies)
        else:
            self.report.lose("The file states no rigid body, so nothing will fall.")
        summary(physics, self.report)
        self._tidy()
        self.context.view_layer.update()

    def _gather(self) -> None:
        """Importers differ in where they put objects; all of them belong in the new collection."""
        for item in self.made.new:
            homes = list(item.users_collection)
            if homes != [self.collection]:
                for home in homes:
                    home.objects.unlink(item)
                self.collection.objects.link(item)

    def _tidy(self) -> None:
        """Hide what USD hides, drop empties that hold nothing, and fit the others to the asset."""
        physics = self.made.physics
        if physics is None:
            return
        colliders = set(self.built.colliders)
        for path in physics.unseen:
            item = self.made.objects.get(path)
            if item is not None and item not in colliders:
                item.hide_render = True
                item.hide_viewport = True
        self._drop_idle_empties()
        low, high = self.bounds()
        largest = max((high - low).to_tuple())
        for item in self.made.new:
            if item.type == "EMPTY":
                scale = max(1e-6, item.matrix_world.median_scale)
                item.empty_display_size = max(0.01, 0.1 * largest) / scale

    def _drop_idle_empties(self) -> None:
        """Remove empties that have no children and stand for prims that state nothing."""
        physics = self.made.physics
        paths = {item: path for path, item in self.made.objects.items()}

        def idle(item: bpy.types.Object) -> bool:
            if item.type != "EMPTY" or item in parents:
                return False
            return paths.get(item) in physics.empty if physics else not item.keys()

        while True:
            parents = {item.parent for item in bpy.data.objects if item.parent is not None}
            found = [item for item in self.made.new if idle(item)]
            if not found:
                return
            for item in found:
                self.made.objects.pop(paths.pop(item, ""), None)
                self.made.new.remove(item)
            bpy.data.batch_remove(found)

    def bounds(self) -> tuple[Vector, Vector]:
        """Corners of the asset's box in the world; without meshes the origin twice."""
        self.context.view_layer.update()
        mine = (*self.made.new, *self.built.added)
        items = [item for item in mine if item.type == "MESH" and len(item.data.vertices)]
        shown = [item for item in items if not item.hide_render] or items
        corners: list[Vector] = []
        for item in shown:
            known = extents.exact(item, item.data, item.matrix_world)
            if known is not None:
                corners += [Vector(corner) for corner in known]
            else:
                corners += [item.matrix_world @ Vector(corner) for corner in item.bound_box]
        return extent(corners)

    def place(
        self, placement: Mapping[str, Any] | tuple[str, Sequence[float] | None] | None
    ) -> None:
        """Move the whole asset; see `import_simready`."""
        if placement is None:
            return
        wanted: dict[str, Any]
        if isinstance(placement, Mapping):
            wanted = dict(placement)
        else:
            wanted = {"mode": placement[0], "location": placement[1]}
        mode, matrix, location = wanted.get("mode"), wanted.get("matrix"), wanted.get("location")
        if mode == "cursor" and location is None:
            location = self.scene.cursor.location.copy()
        if matrix is not None:
            rows = [row if hasattr(row, "__len__") else [row] for row in matrix]
            numbers = [float(number) for row in rows for number in row]
            move = Matrix([numbers[row : row + 4] for row in (0, 4, 8, 12)])
        elif location is not None:
            low, high = self.bounds()
            middle = Vector(((low.x + high.x) / 2, (low.y + high.y) / 2, low.z))
            move = Matrix.Translation(Vector(location) - middle)
        else:
            return
        mine = [*self.made.new, *self.built.added]
        for item in mine:
            if item.parent is None:
                item.matrix_world = move @ item.matrix_world
        self.context.view_layer.update()

    def shorten_names(self) -> None:
        """Take the job's id out of the new names; uploads carry it so that a job can be found."""
        if not self.job_id:
            return
        for kind in ("objects", "meshes", "materials", "collections"):
            for block in self.before.new(kind):
                shorter = re.sub(f"[-_. ]*{re.escape(self.job_id)}(-\\d+)?", "", block.name).strip()
                if shorter != block.name:
                    block.name = shorter or self.collection.name

    def add_ground(self) -> None:
        """A floor for a body that would fall for ever."""
        if not self.built.dynamic or has_passive(self.scene, self.built.bodies):
            return
        if any(b.rigid_body.type == "PASSIVE" for b in self.built.bodies):
            return
        low, high = self.bounds()
        reach = max(10.0, 10 * max((high - low).to_tuple()))
        self.floor = add_ground(self.scene, self.collection, low.z, (low + high) / 2, reach)
        self.report.ground = self.floor.name
        self.report.note(
            "A preview floor was added under the asset, because the scene has nothing to land on. "
            "It is not rendered."
        )

    def label(self) -> None:
        """Custom properties: what Blender cannot hold, and which job made what."""
        keep_all(self.made, self.built, self.collection, self.main(), self.path)
        fresh = [*self.before.new("objects"), *self.before.new("meshes")]
        fresh += [*self.before.new("materials"), *self.before.new("images")]
        members = None
        if self.scene.rigidbody_world is not None:
            members = rigid_members(self.scene)
        fresh += [c for c in self.before.new("collections") if c != members]
        for block in fresh:
            block[artist.JOB] = self.job_id
        self.collection[artist.OBJECTS] = [item.name for item in self.before.new("objects")]

    def main(self) -> bpy.types.Object | None:
        """The body, or what stands for it."""
        if self.built.bodies:
            return self.built.bodies[0]
        roots = [item for item in self.made.new if item.parent is None]
        return roots[0] if roots else None

    def to_select(self) -> list[bpy.types.Object]:
        """What is selected after the import: the bodies, or everything without a parent."""
        return self.built.bodies or [item for item in self.made.new if item.parent is None]

    def remove_earlier(self) -> None:
        """Remove earlier imports of this job, and take over the collection's name."""
        wanted = ""
        for collection in artist.earlier_imports(self.job_id):
            if collection == self.collection:
                continue
            wanted = collection.name
            artist.remove_import(collection, self.report)
        if wanted:
            self.collection.name = wanted

    def finish(self) -> None:
        """Names for the report, once they no longer change."""
        main = self.main()
        self.report.collection = self.collection.name
        self.report.body = main.name if main is not None else ""
        self.report.bodies = [item.name for item in self.built.bodies]
