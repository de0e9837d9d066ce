# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes model files with Blender for tests, benchmarks and the demo: furniture with real textures.

Every maker builds its own scene from nothing and writes one GLB. ``python models.py NAME PATH``
makes one by hand. Needs bpy (a wheel or Blender's Python).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector


def clear() -> None:
    """An empty Blender."""
    bpy.ops.wm.read_factory_settings(use_empty=True)


def image(name: str, pixels: np.ndarray) -> bpy.types.Image:
    """A packed image from an array (h, w, 3) of values 0..1 as seen on screen."""
    height, width, _ = pixels.shape
    result = bpy.data.images.new(name, width, height)
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = np.clip(pixels, 0, 1)
    result.pixels.foreach_set(rgba.reshape(-1))
    result.pack()
    return result


def _noise(size: int, cells: int, seed: int, rows: int = 0) -> np.ndarray:
    """Smooth tileable noise (size, size); fewer ``rows`` of cells stretch it along V."""
    grid = np.random.default_rng(seed).random((rows or cells, cells))

    def place(count: int) -> tuple[np.ndarray, np.ndarray]:
        at = np.arange(size) / size * count
        part = at - at.astype(int)
        return at.astype(int), part * part * (3 - 2 * part)

    (i, u), (j, v) = place(grid.shape[0]), place(grid.shape[1])
    tall = grid[i] * (1 - u[:, None]) + grid[(i + 1) % grid.shape[0]] * u[:, None]
    return np.asarray(tall[:, j] * (1 - v) + tall[:, (j + 1) % cells] * v)


def wood_pixels(
    size: int = 256, seed: int = 1, tone: tuple[float, ...] = (0.62, 0.41, 0.24)
) -> Any:
    """Wood grain along V."""
    x = np.linspace(0, 1, size, endpoint=False)[None, :]
    bend = _noise(size, 3, seed, 2) * 0.35 + _noise(size, 12, seed + 1, 3) * 0.06
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (x * 6 + bend * 4))
    fibre = _noise(size, 96, seed + 2, 4)
    shade = 0.80 + 0.16 * rings**1.5 + 0.12 * (fibre - 0.5)
    return np.array(tone)[None, None] * shade[..., None]


def fabric_pixels(size: int = 256, tone: tuple[float, ...] = (0.23, 0.36, 0.52)) -> Any:
    """A woven cloth."""
    i, j = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    weave = 0.5 + 0.5 * np.sin(2 * np.pi * i / 8) * np.sin(2 * np.pi * j / 8)
    shade = 0.8 + 0.22 * weave + 0.08 * (_noise(size, 24, 5) - 0.5)
    return np.array(tone)[None, None] * shade[..., None]


def normal_pixels(size: int = 256, seed: int = 3, strength: float = 2.0, rows: int = 0) -> Any:
    """A tangent-space normal map of gentle bumps (``rows`` as in ``_noise``)."""
    height = _noise(size, 32, seed, rows)
    dx = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) * strength
    dy = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) * strength
    normal = np.stack([-dx, -dy, np.ones_like(height)], 2)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    return normal * 0.5 + 0.5


def material(
    name: str,
    color: tuple[float, float, float] = (0.8, 0.8, 0.8),
    *,
    metallic: float = 0.0,
    roughness: float = 0.5,
    texture: bpy.types.Image | None = None,
    normal: bpy.types.Image | None = None,
    transmission: float = 0.0,
) -> bpy.types.Material:
    """A Principled material, textured or plain."""
    result = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0, 0):
        result.use_nodes = True
    tree = result.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Metallic"].default_value = metallic
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Transmission Weight"].default_value = transmission
    if texture:
        node = tree.nodes.new("ShaderNodeTexImage")
        node.image = texture
        tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    if normal:
        node = tree.nodes.new("ShaderNodeTexImage")
        node.image = normal
        normal.colorspace_settings.name = "Non-Color"
        bump = tree.nodes.new("ShaderNodeNormalMap")
        tree.links.new(node.outputs["Color"], bump.inputs["Color"])
        tree.links.new(bump.outputs["Normal"], shader.inputs["Normal"])
    return result


def mesh_object(
    name: str,
    points: Any,
    faces: Any,
    materials: list[bpy.types.Material] | None = None,
    *,
    at: tuple[float, float, float] = (0, 0, 0),
    uvs: bool = True,
    smooth: bool = False,
) -> bpy.types.Object:
    """An object from points and faces, with box-projected UVs (one tile is half a metre)."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([tuple(map(float, p)) for p in points], [], [tuple(f) for f in faces])
    mesh.update()
    if uvs:
        layer = mesh.uv_layers.new(name="UVMap")
        size = np.ptp(np.array([tuple(vertex.co) for vertex in mesh.vertices]), axis=0)
        for polygon in mesh.polygons:
            axis = int(np.argmax(np.abs(polygon.normal)))
            # V runs along the longer side, as the grain of a board does.
            u, v = sorted((i for i in range(3) if i != axis), key=lambda i: size[i])
            for corner in polygon.loop_indices:
                co = mesh.vertices[mesh.loops[corner].vertex_index].co
                layer.data[corner].uv = (co[u] * 2.0, co[v] * 2.0)
    if smooth:
        mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
    for item in materials or []:
        mesh.materials.append(item)
    obj = bpy.data.objects.new(name, mesh)
    obj.location = at
    bpy.context.scene.collection.objects.link(obj)
    return obj


BOX_FACES = (
    (0, 2, 3, 1),
    (4, 5, 7, 6),
    (0, 1, 5, 4),
    (2, 6, 7, 3),
    (0, 4, 6, 2),
    (1, 3, 7, 5),
)


def box(
    name: str,
    size: tuple[float, float, float],
    at: tuple[float, float, float],
    materials: list[bpy.types.Material] | None = None,
    *,
    bevel: float = 0.0,
) -> bpy.types.Object:
    """A closed box centred on ``at``; ``bevel`` rounds its edges."""
    half = np.array(size) / 2.0
    corners = [(x, y, z) for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)]
    obj = mesh_object(name, np.array(corners) * half, BOX_FACES, materials, at=at)
    if bevel:
        import bmesh

        work = bmesh.new()
        work.from_mesh(obj.data)
        bmesh.ops.bevel(
            work, geom=list(work.edges), offset=bevel, segments=2, profile=0.6, affect="EDGES"
        )
        work.to_mesh(obj.data)
        work.free()
    return obj


def tube(
    name: str,
    profile: list[tuple[float, float]],
    at: tuple[float, float, float],
    materials: list[bpy.types.Material] | None = None,
    *,
    segments: int = 32,
    closed: bool = False,
) -> bpy.types.Object:
    """A body of revolution around Z from (radius, height) pairs, upwards on the outside.

    Radius 0 makes a pole; ``closed`` joins the last ring to the first (a modelled wall).
    """
    points: list[tuple[float, float, float]] = []
    rings: list[list[int]] = []
    for radius, height in profile:
        if radius <= 0:
            rings.append([len(points)] * segments)
            points.append((0.0, 0.0, height))
            continue
        rings.append([len(points) + i for i in range(segments)])
        for i in range(segments):
            angle = 2 * np.pi * i / segments
            points.append((radius * np.cos(angle), radius * np.sin(angle), height))
    pairs = list(pairwise(rings))
    if closed:
        pairs.append((rings[-1], rings[0]))
    faces = []
    for low, high in pairs:
        for i in range(segments):
            j = (i + 1) % segments
            loop = [low[i], low[j], high[j], high[i]]
            face = [v for k, v in enumerate(loop) if v != loop[k - 1]]
            if len(set(face)) > 2:
                faces.append(face)
    return mesh_object(name, points, faces, materials, at=at, smooth=True)


def save_glb(path: str | Path, **options: Any) -> Path:
    """Export the whole scene as GLB with custom properties; returns the path."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.export_scene.gltf(
        filepath=str(target), export_format="GLB", export_extras=True, export_yup=True, **options
    )
    return target


def build_chair(at: tuple[float, float, float] = (0, 0, 0), turn: float = 0.0) -> list[Any]:
    """A dining chair: four legs, hollow boxed seat, slatted back, cushion, steel screws."""
    oak = material("Oak wood", texture=image("oak_grain", wood_pixels()), roughness=0.45)
    cloth = material(
        "Blue fabric",
        texture=image("weave", fabric_pixels()),
        normal=image("weave_bumps", normal_pixels()),
        roughness=0.9,
    )
    steel = material("Brushed steel", (0.7, 0.7, 0.72), metallic=1.0, roughness=0.3)
    made = []
    for x in (-1, 1):
        for y in (-1, 1):
            tall = 0.92 if y > 0 else 0.44
            made.append(
                box(
                    f"Leg {'left' if x < 0 else 'right'} {'back' if y > 0 else 'front'}",
                    (0.04, 0.04, tall),
                    (x * 0.19, y * 0.19, tall / 2),
                    [oak],
                    bevel=0.004,
                )
            )
            made.append(
                tube(
                    "Screw",
                    [(0, 0), (0.006, 0), (0.006, 0.004), (0, 0.004)],
                    (x * 0.19, y * 0.19 - 0.0, 0.455),
                    [steel],
                    segments=12,
                )
            )
    made.append(box("Seat", (0.44, 0.44, 0.05), (0, 0, 0.43), [oak], bevel=0.008))
    made.append(box("Cushion", (0.40, 0.38, 0.04), (0, -0.015, 0.475), [cloth], bevel=0.015))
    for row in range(3):
        made.append(
            box(
                f"Back slat {row + 1}",
                (0.36, 0.018, 0.07),
                (0, 0.195, 0.60 + row * 0.12),
                [oak],
                bevel=0.004,
            )
        )
    _place(made, at, turn)
    return made


def build_crate(at: tuple[float, float, float] = (0, 0, 0), turn: float = 0.0) -> list[Any]:
    """An open wooden crate of boards with a rope handle and metal corners."""
    pine = material(
        "Pine planks",
        texture=image("pine_grain", wood_pixels(seed=7, tone=(0.80, 0.62, 0.40))),
        normal=image("pine_bumps", normal_pixels(seed=9, strength=1.0, rows=3)),
        roughness=0.7,
    )
    iron = material("Iron", (0.12, 0.12, 0.13), metallic=1.0, roughness=0.55)
    made = [box("Bottom board", (0.56, 0.36, 0.015), (0, 0, 0.0075), [pine], bevel=0.002)]
    for row in range(3):
        z = 0.065 + row * 0.105
        for y in (-1, 1):
            made.append(
                box(
                    f"Side board {row} {y}",
                    (0.59, 0.015, 0.095),
                    (0, y * 0.1875, z),
                    [pine],
                    bevel=0.002,
                )
            )
        for x in (-1, 1):
            made.append(
                box(
                    f"End board {row} {x}",
                    (0.015, 0.36, 0.095),
                    (x * 0.2875, 0, z),
                    [pine],
                    bevel=0.002,
                )
            )
    for x in (-1, 1):
        for y in (-1, 1):
            made.append(box("Corner", (0.02, 0.02, 0.32), (x * 0.27, y * 0.17, 0.175), [iron]))
    _place(made, at, turn)
    return made


def build_mug(at: tuple[float, float, float] = (0, 0, 0), turn: float = 0.0) -> list[Any]:
    """A mug with a modelled wall and a separate ring handle."""
    glaze = material("Glazed ceramic", (0.85, 0.32, 0.18), roughness=0.15)
    cup = tube(
        "Mug",
        [
            (0, 0),
            (0.036, 0),
            (0.04, 0.004),
            (0.041, 0.09),
            (0.037, 0.09),
            (0.036, 0.008),
            (0, 0.008),
        ],
        (0, 0, 0),
        [glaze],
    )
    points, faces = [], []
    around, across = 20, 10
    for i in range(around):
        angle = np.pi * 2 * i / around
        for j in range(across):
            turn_ = np.pi * 2 * j / across
            radius = 0.026 + 0.005 * np.cos(turn_)
            points.append(
                (
                    0.052 + radius * np.cos(angle) * 0.8,
                    0.005 * np.sin(turn_),
                    0.047 + radius * np.sin(angle),
                )
            )
            n, m = (i + 1) % around, (j + 1) % across
            faces.append((i * across + j, i * across + m, n * across + m, n * across + j))
    handle = mesh_object("Handle", points, faces, [glaze], smooth=True)
    made = [cup, handle]
    _place(made, at, turn)
    return made


def build_lamp(at: tuple[float, float, float] = (0, 0, 0), turn: float = 0.0) -> list[Any]:
    """A table lamp: cast base, brass tube, an open paper shade, a glass bulb."""
    brass = material("Brass", (0.75, 0.56, 0.25), metallic=1.0, roughness=0.3)
    paper = material("Paper shade", (0.93, 0.88, 0.75), roughness=0.9)
    glass = material("Glass bulb", (0.95, 0.95, 0.95), roughness=0.05, transmission=1.0)
    made = [
        tube(
            "Base", [(0, 0), (0.09, 0), (0.09, 0.012), (0.03, 0.03), (0, 0.03)], (0, 0, 0), [brass]
        ),
        tube(
            "Stem",
            [(0, 0.02), (0.008, 0.02), (0.008, 0.34), (0, 0.34)],
            (0, 0, 0),
            [brass],
            segments=16,
        ),
        tube("Shade", [(0.15, 0.27), (0.10, 0.47)], (0, 0, 0), [paper], segments=40),
        tube(
            "Bulb",
            [(0, 0.335), (0.012, 0.34), (0.03, 0.385), (0.02, 0.42), (0, 0.428)],
            (0, 0, 0),
            [glass],
            segments=24,
        ),
    ]
    _place(made, at, turn)
    return made


def _place(objects: list[Any], at: tuple[float, float, float], turn: float) -> None:
    matrix = Matrix.Translation(Vector(at)) @ Matrix.Rotation(turn, 4, "Z")
    for obj in objects:
        obj.matrix_basis = matrix @ obj.matrix_basis


def _single(builder: Callable[[], list[Any]]) -> Callable[[str | Path], Path]:
    def make(path: str | Path) -> Path:
        clear()
        builder()
        return save_glb(path)

    return make


make_chair = _single(build_chair)
make_textured_crate = _single(build_crate)
make_mug = _single(build_mug)
make_lamp = _single(build_lamp)

if __name__ == "__main__":
    globals()[f"make_{sys.argv[1]}"](sys.argv[2])
    sys.stdout.flush()
    os._exit(0)
