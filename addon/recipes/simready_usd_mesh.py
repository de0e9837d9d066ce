# SPDX-License-Identifier: GPL-3.0-or-later
"""Authors one visual mesh in USD straight from a Blender mesh, in numpy.

Normals and UVs that agree at all corners of a point are written once for each point, so a glTF mesh
keeps its size. Faces of several materials become subsets. Never changes the mesh.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .simready_load import Shape


def _interpolated(values: Any, vertex: Any, count: int) -> tuple[Any, bool]:
    """Reduce corner values (c, k) to point values (count, k) if that loses nothing."""
    point = np.zeros((count, values.shape[1]), values.dtype)
    point[vertex] = values
    if np.abs(point[vertex] - values).max(initial=0.0) < 1e-6:
        return point, True
    return values, False


def author_mesh(
    stage: Any, path: str, shape: Shape, materials: list[Any], color: str | None
) -> Any:
    """Define the mesh prim ``path`` with points, normals, UVs, subsets and material bindings.

    ``materials`` holds a UsdShade material for each slot; ``color`` names the colour attribute
    to write as displayColor (``*`` for the active one).
    """
    from pxr import Gf, Sdf, UsdGeom, UsdShade, Vt

    from .simready_usd import uv_name

    data = shape.mesh
    points = np.empty(len(data.vertices) * 3, np.float32)
    data.vertices.foreach_get("co", points)
    points = points.reshape(-1, 3)
    vertex = np.empty(len(data.loops), np.int32)
    data.loops.foreach_get("vertex_index", vertex)
    sizes = np.empty(len(data.polygons), np.int32)
    data.polygons.foreach_get("loop_total", sizes)
    slots = np.empty(len(data.polygons), np.int32)
    data.polygons.foreach_get("material_index", slots)
    slots = np.clip(slots, 0, len(materials) - 1)
    used, index = np.unique(vertex, return_inverse=True)
    points, index = points[used], index.reshape(-1).astype(np.int32)

    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(sizes))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(index))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    low, high = points.min(axis=0), points.max(axis=0)
    mesh.CreateExtentAttr([Gf.Vec3f(*map(float, low)), Gf.Vec3f(*map(float, high))])

    values = corner_normals(data)
    facing = np.empty(len(data.polygons) * 3, np.float32)
    data.polygons.foreach_get("normal", facing)
    facing = np.repeat(facing.reshape(-1, 3), sizes, axis=0)
    if float(np.einsum("ij,ij->", values, facing)) < 0:
        values = facing  # shading that contradicts the faces: trust the faces
    values, shared = _interpolated(values, index, len(points))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(values, np.float32)))
    tokens = UsdGeom.Tokens
    mesh.SetNormalsInterpolation(tokens.vertex if shared else tokens.faceVarying)

    primvars = UsdGeom.PrimvarsAPI(mesh)
    render = next((layer.name for layer in data.uv_layers if layer.active_render), None)
    written: set[str] = set()
    for layer in sorted(data.uv_layers, key=lambda one: one.name != render):
        uv = np.empty(len(data.loops) * 2, np.float32)
        layer.uv.foreach_get("vector", uv)
        values, shared = _interpolated(uv.reshape(-1, 2), index, len(points))
        array = Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(values))
        names = {uv_name(layer.name)} | ({"st"} if layer.name == render else set())
        for name in sorted(names - written):
            written.add(name)
            primvar = primvars.CreatePrimvar(
                name,
                Sdf.ValueTypeNames.TexCoord2fArray,
                tokens.vertex if shared else tokens.faceVarying,
            )
            primvar.Set(array)
    if color:
        _author_color(mesh, data, color, index, len(points))

    UsdGeom.Imageable(mesh).CreatePurposeAttr(tokens.default_)
    present = np.unique(slots).tolist()
    binding = UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim())
    main = int(np.bincount(slots).argmax())
    if materials[main]:
        binding.Bind(materials[main])
    if len(present) > 1:
        for slot in present:
            faces = Vt.IntArray.FromNumpy(np.flatnonzero(slots == slot).astype(np.int32))
            subset = binding.CreateMaterialBindSubset(f"slot_{slot}", faces)
            if materials[slot]:
                UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(materials[slot])
        binding.SetMaterialBindSubsetsFamilyType(tokens.partition)
    return mesh


def corner_normals(data: bpy.types.Mesh) -> Any:
    """Unit normals of all face corners (c, 3) float32; broken ones point up."""
    values = np.empty(len(data.loops) * 3, np.float32)
    data.corner_normals.foreach_get("vector", values)
    values = values.reshape(-1, 3)
    length = np.linalg.norm(values, axis=1)
    good = np.isfinite(length) & (length > 1e-6)
    values[good] /= length[good, None]
    values[~good] = (0.0, 0.0, 1.0)
    return values


def _author_color(mesh: Any, data: bpy.types.Mesh, name: str, index: Any, count: int) -> None:
    """Write one colour attribute as displayColor (linear), by point or by corner."""
    from pxr import UsdGeom, Vt

    attributes: Any = data.color_attributes
    source = attributes.get(name) or attributes.active_color or (attributes or [None])[0]
    if source is None:
        return
    rgba = np.empty(len(source.data) * 4, np.float32)
    source.data.foreach_get("color", rgba)
    rgb = rgba.reshape(-1, 4)[:, :3]
    if source.domain == "POINT":
        vertex = np.empty(len(data.loops), np.int32)
        data.loops.foreach_get("vertex_index", vertex)
        rgb = rgb[vertex]
    values, shared = _interpolated(np.ascontiguousarray(rgb), index, count)
    primvar = mesh.CreateDisplayColorPrimvar(
        UsdGeom.Tokens.vertex if shared else UsdGeom.Tokens.faceVarying
    )
    primvar.Set(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(values)))
