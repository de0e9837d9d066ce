# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: builds the demo's scene, a few textured objects of several parts each.

    {"output": path of the .blend}  ->  {"path", "assets": [{"name", "objects": [names]}]}

Everything is made here, geometry and textures, so that the demo needs no files. It is an ordinary
scene: metres, materials with names, images packed into the .blend.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import bmesh
import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector

Progress = Callable[[float, str], None]
_SIZE = 512


# -- textures ------------------------------------------------------------------------------------


def _noise(rng: np.random.Generator, cells: tuple[int, int]) -> np.ndarray:
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


def _mix(a: Sequence[float], b: Sequence[float], t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)[..., None]
    return np.asarray(a) * (1 - t) + np.asarray(b) * t


def _wood(light: Sequence[float], dark: Sequence[float], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    waves = _noise(rng, (6, 2)) * 0.7 + _noise(rng, (24, 3)) * 0.2
    rows = np.linspace(0, 1, _SIZE, endpoint=False)[:, None]
    rings = 0.5 + 0.5 * np.sin(2 * math.pi * (8 * rows + 1.6 * waves))
    grain = 0.55 * rings**2 + 0.3 * _noise(rng, (96, 4)) + 0.25 * _noise(rng, (256, 10))
    return _mix(light, dark, grain * 0.85)


def _metal(tone: Sequence[float], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    brushed = 0.6 * _noise(rng, (256, 3)) + 0.4 * _noise(rng, (32, 4))
    return _mix([0.72 * channel for channel in tone], tone, brushed)


def _checks(one: Sequence[float], other: Sequence[float], count: int) -> np.ndarray:
    index = np.arange(_SIZE) * count // _SIZE
    return _mix(one, other, ((index[:, None] + index[None, :]) % 2).astype(float))


def _bands(colours: Sequence[Sequence[float]], edges: Sequence[float]) -> np.ndarray:
    rows = np.linspace(0, 1, _SIZE, endpoint=False)
    columns = np.linspace(0, 1, _SIZE, endpoint=False)
    height = rows[:, None] + 0.015 * np.sin(2 * math.pi * 12 * columns)[None, :]
    picture = np.zeros((_SIZE, _SIZE, 3)) + np.asarray(colours[0])
    for edge, colour in zip(edges, colours[1:], strict=True):
        picture[height > edge] = colour
    return picture


def _material(
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


def _box(
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


def _lathe(
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


def _rod(radius: float, length: float, ease: float = 0.004) -> list[tuple[float, float]]:
    half = length / 2
    return [
        (0, -half), (radius - ease, -half), (radius, -half + ease),
        (radius, half - ease), (radius - ease, half), (0, half),
    ]  # fmt: skip


def _gather(name: str, parts: list[bpy.types.Object]) -> dict[str, Any]:
    """Parent the parts to the first one, as an artist would; they are sent together."""
    bpy.context.view_layer.update()
    main = parts[0]
    main.name = name  # what is sent is called after its first object
    for part in parts[1:]:
        place = part.matrix_world.copy()
        part.parent = main
        part.matrix_world = place
    return {"name": name, "objects": [part.name for part in parts]}


# -- the objects ---------------------------------------------------------------------------------


def _stool(x: float, oak: bpy.types.Material, walnut: bpy.types.Material) -> dict[str, Any]:
    seat = [(0, -0.016), (0.14, -0.016), (0.158, -0.008), (0.165, 0.004), (0.16, 0.014),
            (0.148, 0.017), (0.10, 0.012), (0, 0.009)]  # fmt: skip
    parts = [_lathe("Stool seat", seat, (x, 0, 0.45), walnut)]
    lean = math.radians(9)
    for number in range(4):
        angle = math.pi / 4 + number * math.pi / 2
        outward = 0.118 + 0.218 * math.tan(lean)
        at = (x + outward * math.cos(angle), outward * math.sin(angle), 0.218)
        turn = (lean * math.sin(angle), -lean * math.cos(angle), 0.0)
        leg = [(0, -0.22), (0.011, -0.22), (0.013, -0.21), (0.018, 0.05), (0.016, 0.22), (0, 0.22)]
        parts.append(_lathe(f"Stool leg {number + 1}", leg, at, oak, turn, 24))
    for number in range(4):
        angle = number * math.pi / 2
        z = 0.17 if number % 2 else 0.21
        reach = (0.118 + (0.436 - z) * math.tan(lean)) * math.cos(math.pi / 4)
        at = (x + reach * math.cos(angle), reach * math.sin(angle), z)
        turn = (math.pi / 2, 0.0, angle)
        profile = _rod(0.009, 2 * reach)
        parts.append(_lathe(f"Stool rung {number + 1}", profile, at, walnut, turn, 16))
    return _gather("Stool", parts)


def _crate(x: float, pine: bpy.types.Material, steel: bpy.types.Material) -> dict[str, Any]:
    width, thick, board, gap = 0.42, 0.014, 0.09, 0.008
    parts = []
    floor = width - 2 * thick
    for number in range(4):
        y = (number - 1.5) * (board + gap)
        parts.append(_box(f"Crate floor {number + 1}", (floor, board, thick), (x, y, 0.03), pine))
    for side in range(4):
        angle = side * math.pi / 2
        along = width if side % 2 else width - 2 * thick
        reach = (width - thick) / 2
        for level in range(3):
            z = 0.023 + board / 2 + level * (board + gap)
            at = (x + reach * math.cos(angle), reach * math.sin(angle), z)
            size = (thick, along, board)
            parts.append(_box(f"Crate board {side + 1}{level + 1}", size, at, pine, (0, 0, angle)))
    for corner in range(4):
        angle = math.pi / 4 + corner * math.pi / 2
        reach = width / 2 - thick - 0.014
        cx = math.copysign(reach, math.cos(angle))
        cy = math.copysign(reach, math.sin(angle))
        parts.append(
            _box(f"Crate post {corner + 1}", (0.028, 0.028, 0.28), (x + cx, cy, 0.18), pine)
        )
        out = width / 2 + 0.001
        for level, z in enumerate((0.068, 0.264)):
            plate = (0.05, 0.003, 0.04)
            ax = x + math.copysign(width / 2 - 0.026, cx)
            name = f"Crate plate {corner + 1}{level + 1}"
            parts.append(_box(name, plate, (ax, math.copysign(out, cy), z), steel, bevel=0.001))
    return _gather("Crate", parts)


def _robot(
    x: float, paint: bpy.types.Material, steel: bpy.types.Material, rubber: bpy.types.Material
) -> dict[str, Any]:
    parts = [_box("Robot body", (0.20, 0.13, 0.20), (x, 0, 0.235), paint, bevel=0.018)]
    parts.append(_box("Robot head", (0.15, 0.11, 0.11), (x, 0, 0.408), paint, bevel=0.016))
    parts.append(_lathe("Robot neck", _rod(0.03, 0.03, 0.002), (x, 0, 0.343), steel))
    for side in (-1, 1):
        word = "left" if side < 0 else "right"
        eye = [(0, -0.006), (0.022, -0.006), (0.024, 0), (0.014, 0.007), (0, 0.009)]
        turn = (math.pi / 2, 0, 0)
        parts.append(
            _lathe(f"Robot eye {word}", eye, (x + side * 0.034, -0.058, 0.415), steel, turn)
        )
        arm = (x + side * 0.125, -0.02, 0.235)
        parts.append(
            _box(f"Robot arm {word}", (0.036, 0.045, 0.16), arm, steel, (0.25, 0, 0), bevel=0.010)
        )
        hand = (x + side * 0.125, -0.048, 0.142)
        parts.append(
            _lathe(
                f"Robot hand {word}", _rod(0.028, 0.036, 0.008), hand, rubber, (0, math.pi / 2, 0)
            )
        )
        for place, y in (("front", -0.045), ("back", 0.045)):
            at = (x + side * 0.088, y, 0.062)
            wheel = _rod(0.062, 0.036, 0.010)
            parts.append(
                _lathe(f"Robot wheel {place} {word}", wheel, at, rubber, (0, math.pi / 2, 0))
            )
    parts.append(_box("Robot chassis", (0.13, 0.12, 0.07), (x, 0, 0.10), steel, bevel=0.008))
    parts.append(_lathe("Robot aerial", _rod(0.005, 0.10, 0.002), (x + 0.045, 0, 0.51), steel))
    parts.append(_lathe("Robot knob", _rod(0.014, 0.026, 0.008), (x + 0.045, 0, 0.563), rubber))
    return _gather("Robot", parts)


def _vase(x: float, glaze: bpy.types.Material, cork: bpy.types.Material) -> dict[str, Any]:
    outer = [(0, 0), (0.055, 0), (0.060, 0.006), (0.088, 0.07), (0.098, 0.13), (0.088, 0.19),
             (0.055, 0.245), (0.042, 0.285), (0.046, 0.315), (0.055, 0.33)]  # fmt: skip
    inner = [(0.049, 0.329), (0.039, 0.314), (0.035, 0.285), (0.047, 0.245), (0.080, 0.19),
             (0.090, 0.13), (0.080, 0.07), (0.052, 0.013), (0, 0.010)]  # fmt: skip
    parts = [_lathe("Vase", [*outer, *inner], (x, 0, 0), glaze)]
    plug = [(0, 0.292), (0.031, 0.292), (0.0345, 0.310), (0.034, 0.345), (0.030, 0.352), (0, 0.354)]
    parts.append(_lathe("Vase stopper", plug, (x, 0, 0), cork, segments=32))
    return _gather("Vase", parts)


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Build and save the scene; see the module's text."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.unit_settings.system = "METRIC"
    progress(0.1, "Painting textures")
    oak = _material("Oak wood", _wood((0.80, 0.60, 0.38), (0.50, 0.31, 0.15), 1), 0.45)
    walnut = _material("Walnut wood", _wood((0.44, 0.27, 0.16), (0.20, 0.11, 0.06), 2), 0.35)
    pine = _material("Pine wood", _wood((0.90, 0.74, 0.50), (0.70, 0.49, 0.26), 3), 0.6)
    steel = _material("Brushed steel", _metal((0.78, 0.79, 0.80), 4), 0.32, 1.0)
    rubber = _material("Rubber", _checks((0.05, 0.05, 0.055), (0.09, 0.09, 0.095), 16), 0.75)
    teal, cream, red = (0.10, 0.45, 0.50), (0.90, 0.85, 0.74), (0.78, 0.20, 0.13)
    paint = _material("Plastic paint", _checks(teal, (0.13, 0.50, 0.55), 8), 0.35)
    bands = _bands([cream, red, cream, teal, cream], [0.22, 0.34, 0.48, 0.62])
    glaze = _material("Ceramic glaze", bands, 0.15)
    cork = _material("Cork", _wood((0.76, 0.58, 0.38), (0.52, 0.36, 0.20), 5), 0.9)
    progress(0.5, "Building objects")
    assets = [
        _stool(-0.75, oak, walnut),
        _crate(-0.15, pine, steel),
        _robot(0.40, paint, steel, rubber),
        _vase(0.80, glaze, cork),
    ]
    bpy.context.view_layer.update()
    progress(0.9, "Saving")
    bpy.context.preferences.filepaths.save_version = 0
    bpy.ops.wm.save_as_mainfile(filepath=params["output"], compress=True)
    return {"path": params["output"], "assets": assets}
