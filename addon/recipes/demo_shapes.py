# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures and parts that the demo's objects are made of: all by code, the same each time.

Lengths are metres; colors are values 0..1 as a picture holds them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import bmesh
import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector

_SIZE = 512


# -- textures ------------------------------------------------------------------------------------


def noise(rng: np.random.Generator, cells: tuple[int, int]) -> np.ndarray:
    """Smooth values in 0..1 that repeat at the edges; (rows, columns) of the coarse grid."""
    coarse = rng.random(cells)
    rows = np.linspace(0, cells[0], _SIZE, endpoint=False)
    columns = np.linspace(0, cells[1], _SIZE, endpoint=False)
    r0, c0 = rows.astype(int), columns.astype(int)
    fr, fc = rows - r0, columns - c0
    fr, fc = (fr * fr * (3 - 2 * fr))[:, None], (fc * fc * (3 - 2 * fc))[None, :]
    r1, c1 = (r0 + 1) % cells[0], (c0 + 1) % cells[1]
    top = coarse[np.ix_(r0, c0)] * (1 - fc) + coarse[np.ix_(r0, c1)] * fc
    bottom = coarse[np.ix_(r1, c0)] * (1 - fc) + coarse[np.ix_(r1, c1)] * fc
    return np.asarray(top * (1 - fr) + bottom * fr)


def mix(a: Sequence[float], b: Sequence[float], t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)[..., None]
    return np.asarray(a) * (1 - t) + np.asarray(b) * t


def wood(light: Sequence[float], dark: Sequence[float], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    waves = noise(rng, (6, 2)) * 0.7 + noise(rng, (24, 3)) * 0.2
    rows = np.linspace(0, 1, _SIZE, endpoint=False)[:, None]
    rings = 0.5 + 0.5 * np.sin(2 * math.pi * (8 * rows + 1.6 * waves))
    grain = 0.55 * rings**2 + 0.3 * noise(rng, (96, 4)) + 0.25 * noise(rng, (256, 10))
    return mix(light, dark, grain * 0.85)


def metal(tone: Sequence[float], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    brushed = 0.6 * noise(rng, (256, 3)) + 0.4 * noise(rng, (32, 4))
    return mix([0.72 * channel for channel in tone], tone, brushed)


def checks(one: Sequence[float], other: Sequence[float], count: int) -> np.ndarray:
    index = np.arange(_SIZE) * count // _SIZE
    return mix(one, other, ((index[:, None] + index[None, :]) % 2).astype(float))


def bands(colours: Sequence[Sequence[float]], edges: Sequence[float]) -> np.ndarray:
    rows = np.linspace(0, 1, _SIZE, endpoint=False)
    columns = np.linspace(0, 1, _SIZE, endpoint=False)
    height = rows[:, None] + 0.015 * np.sin(2 * math.pi * 12 * columns)[None, :]
    picture = np.zeros((_SIZE, _SIZE, 3)) + np.asarray(colours[0])
    for edge, colour in zip(edges, colours[1:], strict=True):
        picture[height > edge] = colour
    return picture


def material(
    name: str, picture: np.ndarray, roughness: float, metallic: float = 0.0
) -> bpy.types.Material:
    image = bpy.data.images.new(f"{name} colour", _SIZE, _SIZE)
    pixels = np.ones((_SIZE, _SIZE, 4), dtype=np.float32)
    pixels[..., :3] = np.clip(picture, 0, 1)
    flat: Any = image.pixels  # a whole array to Blender, one number to its stubs
    flat.foreach_set(pixels.ravel())
    image.pack()
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Metallic"].default_value = metallic
    material.diffuse_color = (*picture.mean(axis=(0, 1)), 1.0)
    return material


# -- parts ---------------------------------------------------------------------------------------


def _unwrap(mesh: bmesh.types.BMesh, scale: float, shift: float) -> None:
    """Box projection in metres, the texture's grain (u) along the longest side of the part."""
    layer = mesh.loops.layers.uv.new("UVMap")
    points = np.array([vertex.co.to_tuple() for vertex in mesh.verts])
    order = np.argsort(-np.ptp(points, axis=0))
    for face in mesh.faces:
        normal = [abs(value) for value in face.normal.to_tuple()]
        facing = normal.index(max(normal))
        u, v = (int(axis) for axis in order if int(axis) != facing)
        for loop in face.loops:
            loop[layer].uv = (loop.vert.co[u] * scale + shift, loop.vert.co[v] * scale + shift)


def _object(
    name: str,
    mesh: bmesh.types.BMesh,
    material: bpy.types.Material,
    at: Sequence[float],
    turn: Sequence[float] = (0, 0, 0),
    *,
    smooth: bool = False,
) -> bpy.types.Object:
    data = bpy.data.meshes.new(name)
    for face in mesh.faces:
        face.smooth = smooth
    mesh.to_mesh(data)
    mesh.free()
    data.materials.append(material)
    item = bpy.data.objects.new(name, data)
    item.matrix_world = Matrix.Translation(Vector(at)) @ Euler(turn).to_matrix().to_4x4()
    bpy.context.scene.collection.objects.link(item)
    return item


def box(
    name: str,
    size: Sequence[float],
    at: Sequence[float],
    material: bpy.types.Material,
    turn: Sequence[float] = (0, 0, 0),
    bevel: float = 0.004,
) -> bpy.types.Object:
    mesh = bmesh.new()
    bmesh.ops.create_cube(mesh, size=1.0, matrix=Matrix.Diagonal((*size, 1.0)))
    bmesh.ops.bevel(mesh, geom=mesh.edges[:], offset=bevel, segments=2, profile=0.5, affect="EDGES")
    _unwrap(mesh, 1.6, hash_of(name))
    return _object(name, mesh, material, at, turn)


def hash_of(name: str) -> float:
    """A number 0..1 that is the same in every run, to shift the grain from part to part."""
    return (sum((index + 1) * ord(letter) for index, letter in enumerate(name)) % 97) / 97


def lathe(
    name: str,
    profile: Sequence[tuple[float, float]],
    at: Sequence[float],
    material: bpy.types.Material,
    turn: Sequence[float] = (0, 0, 0),
    segments: int = 48,
) -> bpy.types.Object:
    """A closed solid of revolution about z; ``profile`` runs (radius, z), on the axis at both ends.

    UV: u once around, v along the profile's height.
    """
    mesh = bmesh.new()
    layer = mesh.loops.layers.uv.new("UVMap")
    low = min(z for _, z in profile)
    height = max(z for _, z in profile) - low
    rings: list[list[bmesh.types.BMVert]] = []
    for radius, z in profile:
        if radius == 0:
            rings.append([mesh.verts.new((0, 0, z))])
            continue
        angles = [2 * math.pi * step / segments for step in range(segments)]
        rings.append(
            [mesh.verts.new((radius * math.cos(a), radius * math.sin(a), z)) for a in angles]
        )
    for below, above in itertools.pairwise(rings):
        for step in range(segments):
            after = (step + 1) % segments
            corners = [
                (below[step % len(below)], step),
                (below[after % len(below)], step + 1),
                (above[after % len(above)], step + 1),
                (above[step % len(above)], step),
            ]
            kept = [c for n, c in enumerate(corners) if c[0] not in [k[0] for k in corners[:n]]]
            face = mesh.faces.new([vertex for vertex, _ in kept])
            for loop, (vertex, column) in zip(face.loops, kept, strict=True):
                loop[layer].uv = (3 * column / segments, (vertex.co.z - low) / height)
    bmesh.ops.recalc_face_normals(mesh, faces=mesh.faces[:])
    item = _object(name, mesh, material, at, turn, smooth=True)
    _keep_corners_sharp(item.data)
    return item


def _keep_corners_sharp(mesh: Any) -> None:
    work = bmesh.new()
    work.from_mesh(mesh)
    for edge in work.edges:
        edge.smooth = not edge.is_manifold or edge.calc_face_angle(0) < math.radians(40)
    work.to_mesh(mesh)
    work.free()


def rod(radius: float, length: float, ease: float = 0.004) -> list[tuple[float, float]]:
    half = length / 2
    return [
        (0, -half), (radius - ease, -half), (radius, -half + ease),
        (radius, half - ease), (radius - ease, half), (0, half),
    ]  # fmt: skip


def gather(name: str, parts: list[bpy.types.Object]) -> dict[str, Any]:
    """Parent the parts to the first one, as an artist would; they are sent together."""
    bpy.context.view_layer.update()
    main = parts[0]
    main.name = name  # what is sent is called after its first object
    for part in parts[1:]:
        place = part.matrix_world.copy()
        part.parent = main
        part.matrix_world = place
    return {"name": name, "objects": [part.name for part in parts]}
