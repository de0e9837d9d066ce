# SPDX-License-Identifier: GPL-3.0-or-later
"""Collision shapes for Blender's rigid bodies, made from what USD states.

Blender ignores the scale of a compound's parts and takes boxes, spheres, capsules, cylinders and
cones from the bounds about the object's origin. So every shape made here has its scale baked into
the mesh and its origin in the middle. New meshes only; the asset's visible meshes are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import bmesh
import bpy
from mathutils import Matrix, Vector

from .usd_physics import Collider

HULL_KINDS = ("convexHull", "convexDecomposition")
_SIDES = 32


@dataclass
class Shape:
    """One collision shape: a mesh, the rigid matrix that places it, and Blender's name for it.

    `volume` in cubic units and `center` in the world are those of the solid. `exact` is False when
    Blender cannot do what the file asks for; `mesh` is None if the visible mesh serves as it is.
    """

    kind: str
    place: Matrix
    mesh: bpy.types.Mesh | None
    volume: float
    center: Vector
    exact: bool = True


def rigid_part(matrix: Matrix) -> Matrix:
    """Rotation and position of a matrix, without scale, shear or mirroring."""
    position, rotation, _scale = matrix.decompose()
    return Matrix.Translation(position) @ rotation.to_matrix().to_4x4()


def is_close(a: Matrix, b: Matrix, tolerance: float = 1e-5) -> bool:
    """Whether two matrices are the same but for rounding."""
    return all(abs(a[row][col] - b[row][col]) <= tolerance for row in range(4) for col in range(4))


def extent(points: Iterable[Vector]) -> tuple[Vector, Vector]:
    """Lowest and highest corner of the box about points; the origin twice without points."""
    known = list(points)
    if not known:
        return Vector(), Vector()
    low = Vector([min(point[axis] for point in known) for axis in range(3)])
    high = Vector([max(point[axis] for point in known) for axis in range(3)])
    return low, high


def shape_of(collider: Collider, source: bpy.types.Object | None, moves: bool) -> Shape | None:
    """The shape for a collider; `source` is the imported object of its prim, if there is one.

    `moves`: a body that the simulation moves, for which Blender has no exact concave shape. None if
    there is nothing to make a shape from.
    """
    if collider.kind == "Mesh":
        mesh = source.data if source is not None else None
        if source is None or not isinstance(mesh, bpy.types.Mesh) or not len(mesh.vertices):
            return None
        return _mesh_shape(collider, source, mesh, moves)
    return _primitive(collider, Matrix(collider.matrix))


def _mesh_shape(
    collider: Collider, source: bpy.types.Object, mesh: bpy.types.Mesh, moves: bool
) -> Shape:
    matrix = source.matrix_world.copy()
    place = rigid_part(matrix)
    rest = place.inverted() @ matrix
    points = [rest @ vertex.co for vertex in mesh.vertices]
    if collider.approximation in ("boundingCube", "boundingSphere"):
        low, high = extent(points)
        middle = (low + high) / 2
        place = place @ Matrix.Translation(middle)
        if collider.approximation == "boundingCube":
            return _box(place, (high - low) / 2)
        return _ball(place, max((p - middle).length for p in points))
    hull, volume, center = hull_mesh(points, mesh.name)
    concave = collider.approximation not in HULL_KINDS
    if concave and not moves:
        bpy.data.meshes.remove(hull)
        baked = None
        if collider.guide or not is_close(rest, Matrix()):
            baked = mesh.copy()
            baked.materials.clear()
            baked.transform(rest)
        return Shape("MESH", place, baked, volume, place @ center)
    exact = collider.approximation == "convexHull"
    if not collider.guide and is_close(rest, Matrix()):
        bpy.data.meshes.remove(hull)
        return Shape("CONVEX_HULL", place, None, volume, place @ center, exact)
    return Shape("CONVEX_HULL", place, hull, volume, place @ center, exact)


def hull_mesh(points: list[Vector], name: str) -> tuple[bpy.types.Mesh, float, Vector]:
    """The convex hull of points as a new mesh, its volume and the middle of that volume.

    Flat or degenerate points keep their shape; their volume is zero and the middle is their mean.
    """
    work = bmesh.new()
    try:
        for point in points:
            work.verts.new(point)
        if len(work.verts) > 3:
            answer = bmesh.ops.convex_hull(work, input=list(work.verts))
            inner = {v for key in ("geom_interior", "geom_unused") for v in answer[key]}
            loose = [v for v in work.verts if v in inner or not v.link_faces]
            if len(loose) < len(work.verts):
                bmesh.ops.delete(work, geom=loose, context="VERTS")
            bmesh.ops.recalc_face_normals(work, faces=list(work.faces))
        volume, middle = solid(work)
        mesh = bpy.data.meshes.new(name)
        work.to_mesh(mesh)
    finally:
        work.free()
    return mesh, volume, middle


def solid(work: bmesh.types.BMesh) -> tuple[float, Vector]:
    """Volume and middle of a closed mesh, from the tetrahedra between its faces and one point."""
    mean = sum((v.co for v in work.verts), Vector()) / max(1, len(work.verts))
    total, weighted = 0.0, Vector()
    for first, second, third in work.calc_loop_triangles():
        a, b, c = (loop.vert.co - mean for loop in (first, second, third))
        volume = float(Matrix((a[:], b[:], c[:])).determinant()) / 6
        total += volume
        weighted += volume * (a + b + c) / 4
    if abs(total) < 1e-12:
        return 0.0, mean
    return abs(total), mean + weighted / total


def _primitive(collider: Collider, matrix: Matrix) -> Shape | None:
    """Shapes of Gprims. With uneven scale only a hull of the true form is right."""
    size = collider.size
    turn = {"X": Matrix.Rotation(math.pi / 2, 4, "Y"), "Y": Matrix.Rotation(-math.pi / 2, 4, "X")}
    matrix = matrix @ turn.get(str(size.get("axis", "Z")), Matrix())
    place = rigid_part(matrix)
    rest = place.inverted() @ matrix
    scale = Vector([abs(rest[axis][axis]) for axis in range(3)])
    straight = is_close(Matrix.Diagonal((*(rest[i][i] for i in range(3)), 1)), rest)
    round_ = straight and abs(scale.x - scale.y) <= 1e-4 * scale.x
    even = round_ and abs(scale.x - scale.z) <= 1e-4 * scale.x
    widest = max(size.get("radiusTop", 1.0), size.get("radiusBottom", 1.0))
    radius = float(size.get("radius", widest))
    height = float(size.get("height", 2.0))
    kind = collider.kind.partition("_")[0]
    if kind == "Cube" and straight:
        return _box(place, scale * float(size.get("size", 2.0)) / 2)
    if kind == "Cube":
        ends = (-float(size.get("size", 2.0)) / 2, float(size.get("size", 2.0)) / 2)
        corners = [Vector((x, y, z)) for x in ends for y in ends for z in ends]
        return _hull(place, rest, corners, "Cube")
    if kind == "Plane":
        # An endless half space in PhysX; Blender has none, so a thick slab stands in for it.
        reach = max(20.0, float(size.get("width", 2.0)), float(size.get("length", 2.0)))
        slab = _box(place @ Matrix.Translation((0, 0, -0.5)), Vector((reach, reach, 0.5)))
        slab.exact = False
        return slab
    if kind == "Sphere":
        if even:
            return _ball(place, radius * scale.x)
        return _hull(place, rest, _lathe([(0, -radius), (0, radius)], radius, ball=True), "Sphere")
    if kind not in ("Capsule", "Cylinder", "Cone"):
        return None
    tapered = "radiusTop" in size and size["radiusTop"] != size.get("radiusBottom")
    half = height / 2
    if kind == "Capsule":
        points = _lathe([(radius, -half), (radius, half)], radius, ball=True)
        fits, volume = even, math.pi * radius**2 * (height + radius * 4 / 3)
        middle = 0.0
    elif kind == "Cylinder":
        points = _lathe([(radius, -half), (radius, half)], radius)
        fits, volume, middle = round_, math.pi * radius**2 * height, 0.0
    else:
        points = _lathe([(radius, -half), (0.0, half)], radius)
        fits, volume, middle = round_, math.pi * radius**2 * height / 3, -height / 4
    if not fits or tapered:
        shape = _hull(place, rest, points, kind)
        shape.exact = not tapered
        return shape
    mesh, _volume, _middle = hull_mesh([rest @ p for p in points], kind)
    center = place @ Vector((0, 0, middle * scale.z))
    return Shape(kind.upper(), place, mesh, volume * scale.x * scale.y * scale.z, center)


def _lathe(
    profile: list[tuple[float, float]], radius: float, *, ball: bool = False
) -> list[Vector]:
    """Points of a body of revolution about Z; `ball` puts half spheres on both ends."""
    rings = list(profile)
    if ball:
        low, high = profile[0][1], profile[-1][1]
        straight = high - low if profile[0][0] else 0.0
        rings = []
        for step in range(_SIDES // 2 + 1):
            angle = math.pi * (step / (_SIDES // 2) - 0.5)
            offset = math.copysign(straight / 2, angle) if abs(angle) > 1e-9 else 0.0
            rings.append((radius * math.cos(angle), radius * math.sin(angle) + offset))
        if straight:
            rings += [(radius, -straight / 2), (radius, straight / 2)]
    turns = [2 * math.pi * step / _SIDES for step in range(_SIDES)]
    points = {
        (round(r * math.cos(turn), 9), round(r * math.sin(turn), 9), round(z, 9))
        for r, z in rings
        for turn in turns
    }
    return [Vector(point) for point in sorted(points)]


def _hull(place: Matrix, rest: Matrix, points: list[Vector], name: str) -> Shape:
    mesh, volume, center = hull_mesh([rest @ point for point in points], name)
    return Shape("CONVEX_HULL", place, mesh, volume, place @ center)


def _box(place: Matrix, half: Vector) -> Shape:
    mesh = box_mesh("Box", half)
    return Shape("BOX", place, mesh, 8 * half.x * half.y * half.z, place.to_translation())


def box_mesh(name: str, half: Vector) -> bpy.types.Mesh:
    """A box about the origin, `half` its half sizes."""
    signs = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(x * half.x, y * half.y, z * half.z) for x, y, z in signs], [], faces)
    return mesh


def _ball(place: Matrix, radius: float) -> Shape:
    points = _lathe([(0, -radius), (0, radius)], radius, ball=True)
    mesh, _volume, _center = hull_mesh(points, "Sphere")
    return Shape("SPHERE", place, mesh, 4 / 3 * math.pi * radius**3, place.to_translation())
