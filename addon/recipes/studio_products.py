# SPDX-License-Identifier: GPL-3.0-or-later
"""Products for the photo studio: a GLB comes in, is measured and stands on the floor.

Blender's importer keeps a file's material variants (KHR_materials_variants) only for its own panel,
so a variant is chosen before: the file's description is written anew with that variant's materials
as its own, and the copy is imported. The files themselves are only read.
"""

from __future__ import annotations

import copy
import json
import math
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import addon_utils
import bpy
import numpy as np
from mathutils import Matrix, Vector

from bridge import glb
from bridge.problems import Category, ProblemError

VARIANTS = "KHR_materials_variants"
_DIRECTIONS = 192
_AT_ONCE = 200_000
_CLOUD = 6000


@dataclass
class Model:
    """A product as it was sent."""

    path: Path
    name: str


@dataclass
class Product:
    """A product that was imported: its holder, what hangs on it, points of its outline (n, 3)."""

    name: str
    holder: Any
    objects: list[Any]
    points: np.ndarray

    @property
    def low(self) -> np.ndarray:
        """The lowest corner of its bounding box."""
        return np.asarray(self.points.min(axis=0))

    @property
    def high(self) -> np.ndarray:
        """The highest corner of its bounding box."""
        return np.asarray(self.points.max(axis=0))

    def move(self, by: np.ndarray) -> None:
        """Move it and what is known of it."""
        self.holder.matrix_world = Matrix.Translation(Vector(by.tolist())) @ (
            self.holder.matrix_world
        )
        self.points = self.points + by


# -- variants ------------------------------------------------------------------------------------


def variants(document: dict[str, Any]) -> list[str]:
    """The names of a file's material variants, in its order; an unnamed one gets its number."""
    listed = document.get("extensions", {}).get(VARIANTS, {}).get("variants", [])
    return [str(entry.get("name") or f"Variant {n}") for n, entry in enumerate(listed, 1)]


def _dressed(document: dict[str, Any], number: int) -> dict[str, Any]:
    """The description with the materials of variant ``number``, without variants."""
    changed = copy.deepcopy(document)
    for mesh in changed.get("meshes", []):
        for primitive in mesh.get("primitives", []):
            extensions = primitive.get("extensions", {})
            for mapping in extensions.pop(VARIANTS, {}).get("mappings", []):
                if number in mapping.get("variants", []):
                    primitive["material"] = mapping["material"]
            if not extensions:
                primitive.pop("extensions", None)
    changed.get("extensions", {}).pop(VARIANTS, None)
    for key in ("extensionsUsed", "extensionsRequired"):
        if key in changed:
            changed[key] = [name for name in changed[key] if name != VARIANTS]
            if not changed[key]:
                del changed[key]
    return changed


def is_default(document: dict[str, Any], number: int) -> bool:
    """Whether variant ``number`` shows the same materials as the file's own."""
    return [
        primitive.get("material")
        for mesh in _dressed(document, number).get("meshes", [])
        for primitive in mesh.get("primitives", [])
    ] == [
        primitive.get("material")
        for mesh in document.get("meshes", [])
        for primitive in mesh.get("primitives", [])
    ]


def write_variant(source: glb.Glb, name: str, target: Path) -> None:
    """Write ``source`` with the materials of its variant ``name`` to ``target``."""
    document = _dressed(source.json, variants(source.json).index(name))
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    padding = -source.bin_length % 4
    size = glb.HEADER_BYTES + glb.CHUNK_HEADER_BYTES + len(text)
    if source.bin_length:
        size += glb.CHUNK_HEADER_BYTES + source.bin_length + padding
    with open(source.path, "rb") as read, open(target, "wb") as write:
        write.write(glb.MAGIC + struct.pack("<II", 2, size))
        write.write(struct.pack("<II", len(text), glb.JSON_CHUNK) + text)
        if source.bin_length:
            length = source.bin_length + padding
            write.write(struct.pack("<II", length, glb.BIN_CHUNK))
            read.seek(source.bin_offset)
            # Nothing follows the binary chunk in the files that the check lets pass but padding.
            left = source.bin_length
            while left:
                piece = read.read(min(left, 1 << 20))
                if not piece:
                    raise OSError("the file became shorter")
                write.write(piece)
                left -= len(piece)
            write.write(b"\0" * padding)
    shutil.copystat(source.path, target)


# -- import --------------------------------------------------------------------------------------


def unusable(name: str, why: str, hint: str = "", technical: str = "") -> ProblemError:
    """The problem of a product that cannot be used."""
    return ProblemError(
        Category.INPUT,
        f"{name}: {why}",
        hint or "Export this product again, then send it once more.",
        technical.strip()[-300:],
    )


def opened(path: Path, name: str) -> glb.Glb:
    """The checked container. Raises ProblemError(INPUT), naming the product."""
    try:
        glb.check(path)
        return glb.read(path)
    except ProblemError as error:
        problem = error.problem
        sentence = problem.sentence
        raise ProblemError(
            problem.category, f"{name}: {sentence}", problem.hint, problem.technical
        ) from None


def load(model: Model, variant: str | None, workdir: Path) -> Product:
    """Import a product into the open scene, its materials those of ``variant`` if it has that one.

    Cameras and lights that came along are left out. Raises ProblemError: INPUT, BLENDER.
    """
    source, path = opened(model.path, model.name), model.path
    chosen = variant is not None and variant in variants(source.json)
    if chosen:
        assert variant is not None
        path = workdir / "variant.glb"
        write_variant(source, variant, path)
    before = set(bpy.data.objects)
    try:
        _import(path, model.name)
    finally:
        if chosen:
            path.unlink(missing_ok=True)
    fresh = [item for item in bpy.data.objects if item not in before]
    for item in [item for item in fresh if item.type in ("CAMERA", "LIGHT")]:
        fresh.remove(item)
        bpy.data.objects.remove(item)
    holder: Any = bpy.data.objects.new(f"product {model.name}"[:60], None)
    bpy.context.scene.collection.objects.link(holder)
    for item in fresh:
        if item.parent is None:
            item.parent = holder
    bpy.context.view_layer.update()
    points = _outline(set(fresh))
    if not len(points):
        raise unusable(model.name, "There is no mesh in the model.")
    if not np.isfinite(points).all():
        raise unusable(model.name, "The model has points that lie nowhere.")
    if float(np.ptp(points, axis=0).max()) <= 0.0:
        raise unusable(model.name, "The model has no size.")
    return Product(model.name, holder, fresh, points)


def _import(path: Path, name: str) -> None:
    if not addon_utils.check("io_scene_gltf2")[1]:
        addon_utils.enable("io_scene_gltf2")
    operator: Any = bpy.ops.import_scene.gltf
    known = operator.get_rna_type().properties
    order: dict[str, Any] = {"filepath": str(path)}
    for option, value in (("disable_bone_shape", True), ("import_select_created_objects", False)):
        if option in known:
            order[option] = value
    try:
        operator(**order)
    except RuntimeError as error:
        text = str(error)
        if "draco" in text.lower() or "meshopt" in text.lower():
            raise ProblemError(
                Category.BLENDER,
                f"{name}: This Blender cannot open the compression that the model has.",
                "Export it again without compression.",
                text.strip()[-300:],
            ) from None
        raise unusable(name, "The model cannot be opened.", technical=text) from None


def _instances(objects: set[Any]) -> Iterator[tuple[Any, np.ndarray]]:
    """(evaluated mesh, matrix) of everything that is shown of ``objects``."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    for instance in depsgraph.object_instances:
        owner = instance.parent or instance.object
        if owner.original in objects and instance.object.type == "MESH":
            yield instance.object.data, np.array(instance.matrix_world)


def _outline(objects: set[Any]) -> np.ndarray:
    """Points of the surface: the farthest in many directions, and some from all over."""
    directions = _sphere(_DIRECTIONS)
    kept = []
    for mesh, matrix in _instances(objects):
        count = len(mesh.vertices)
        if not count or not len(mesh.polygons):
            continue
        flat = np.empty(count * 3, np.float32)
        mesh.vertices.foreach_get("co", flat)
        world = flat.reshape(-1, 3).astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        kept.append(world[:: max(1, count // _CLOUD)])
        for start in range(0, count, _AT_ONCE):
            part = world[start : start + _AT_ONCE]
            kept.append(part[np.unique((part @ directions.T).argmax(axis=0))])
    if not kept:
        return np.empty((0, 3))
    every = np.concatenate(kept)
    far = every[np.unique((every @ directions.T).argmax(axis=0))]
    return np.concatenate([far, every[:: max(1, len(every) // _CLOUD)]])


def _sphere(count: int) -> np.ndarray:
    """Directions all around, the six main ones among them."""
    step = np.arange(count) + 0.5
    height = 1 - 2 * step / count
    turn = math.pi * (1 + 5**0.5) * step
    width = np.sqrt(1 - height**2)
    around = np.stack([width * np.cos(turn), width * np.sin(turn), height], axis=1)
    return np.concatenate([around, np.eye(3), -np.eye(3)])


# -- placing -------------------------------------------------------------------------------------


def line_up(products: list[Product]) -> np.ndarray:
    """Put the products side by side along X, feet on the floor, the middle at the origin.

    Returns the outline's points of all of them.
    """
    widths = [float(product.high[0] - product.low[0]) for product in products]
    gap = 0.22 * sum(widths) / len(widths)
    left = -0.5 * (sum(widths) + gap * (len(widths) - 1))
    for product, width in zip(products, widths, strict=True):
        middle = 0.5 * (product.low + product.high)
        product.move(np.array([left - product.low[0], -middle[1], -product.low[2]]))
        left += width + gap
    return np.concatenate([product.points for product in products])
