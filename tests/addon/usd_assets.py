# SPDX-License-Identifier: GPL-3.0-or-later
"""Small SimReady USD files for the import tests, written with the USD library inside Blender.

Each function writes one file and returns its path. Sizes are in metres unless the file says
otherwise. Nothing here reads or changes the Blender scene. Needs `pxr`, so Blender 4.5 or newer.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import bpy

CRATE = {
    "mass": 12.5,
    "static": 0.6,
    "dynamic": 0.5,
    "restitution": 0.1,
    "com": (0.0, 0.0, 0.45),
    "inertia": (2.1, 2.1, 2.0),
}


def pxr_available() -> bool:
    """Whether this Blender lets Python use its USD library."""
    expose = getattr(bpy.utils, "expose_bundled_modules", None)
    if expose is not None:
        expose()
    try:
        import pxr  # noqa: F401
    except ImportError:
        return False
    return True


def png(path: Path, color: tuple[int, int, int] = (160, 110, 60), size: int = 4) -> Path:
    """Write a square PNG of one colour."""
    row = b"\0" + bytes(color) * size

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(row * size))
        + chunk(b"IEND", b"")
    )
    return path


def stage_at(path: Path, *, up: str = "Z", metres: float = 1.0, kilograms: float = 1.0) -> Any:
    """Start an empty stage with the given units."""
    from pxr import Usd, UsdGeom, UsdPhysics

    path.parent.mkdir(parents=True, exist_ok=True)
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z if up == "Z" else UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, metres)
    UsdPhysics.SetStageKilogramsPerUnit(stage, kilograms)
    return stage


def box(
    stage: Any,
    path: str,
    low: Sequence[float] = (-0.5, -0.5, 0.0),
    high: Sequence[float] = (0.5, 0.5, 1.0),
    *,
    guide: bool = False,
) -> Any:
    """Define a box mesh with texture coordinates; `low` and `high` are its corners."""
    from pxr import Sdf, UsdGeom

    mesh = UsdGeom.Mesh.Define(stage, path)
    ends = list(zip(low, high, strict=True))
    corners = [(x, y, z) for z in ends[2] for y in ends[1] for x in ends[0]]
    mesh.CreatePointsAttr(corners)
    mesh.CreateFaceVertexCountsAttr([4] * 6)
    mesh.CreateFaceVertexIndicesAttr(
        [0, 2, 3, 1, 4, 5, 7, 6, 0, 1, 5, 4, 2, 6, 7, 3, 0, 4, 6, 2, 1, 3, 7, 5]
    )
    mesh.CreateSubdivisionSchemeAttr("none")
    if guide:
        mesh.CreatePurposeAttr("guide")
    else:
        uv = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
            "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
        )
        uv.Set([(0, 0), (1, 0), (1, 1), (0, 1)] * 6)
    return mesh


def collider(prim: Any, approximation: str | None = "convexHull") -> None:
    """Make the prim a collider; `approximation` only for meshes."""
    from pxr import UsdPhysics

    UsdPhysics.CollisionAPI.Apply(prim)
    if approximation is not None:
        UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(approximation)


def body(prim: Any, facts: dict[str, Any] | None = None, *, kinematic: bool = False) -> None:
    """Make the prim a rigid body with the mass facts given."""
    from pxr import Gf, UsdPhysics

    rigid = UsdPhysics.RigidBodyAPI.Apply(prim)
    if kinematic:
        rigid.CreateKinematicEnabledAttr(True)
    if facts is None:
        return
    mass = UsdPhysics.MassAPI.Apply(prim)
    if "mass" in facts:
        mass.CreateMassAttr(facts["mass"])
    if "density" in facts:
        mass.CreateDensityAttr(facts["density"])
    if "com" in facts:
        mass.CreateCenterOfMassAttr(Gf.Vec3f(*facts["com"]))
    if "inertia" in facts:
        mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*facts["inertia"]))
        mass.CreatePrincipalAxesAttr(Gf.Quatf(1, 0, 0, 0))


def physics_material(
    stage: Any, path: str, targets: Iterable[Any], facts: dict[str, Any] | None = None
) -> Any:
    """Define a physics material and bind it to the targets for the purpose `physics`."""
    from pxr import UsdPhysics, UsdShade

    facts = facts or CRATE
    material = UsdShade.Material.Define(stage, path)
    api = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    if "static" in facts:
        api.CreateStaticFrictionAttr(facts["static"])
    if "dynamic" in facts:
        api.CreateDynamicFrictionAttr(facts["dynamic"])
    if "restitution" in facts:
        api.CreateRestitutionAttr(facts["restitution"])
    if "density" in facts:
        api.CreateDensityAttr(facts["density"])
    for prim in targets:
        binding = UsdShade.MaterialBindingAPI.Apply(prim)
        binding.Bind(material, UsdShade.Tokens.weakerThanDescendants, "physics")
    return material


def preview_material(stage: Any, path: str, prim: Any, texture: str | None) -> Any:
    """Define a UsdPreviewSurface material, textured if `texture` names a file, and bind it."""
    from pxr import Sdf, UsdShade

    material = UsdShade.Material.Define(stage, path)
    shader = UsdShade.Shader.Define(stage, path + "/Surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    color = shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f)
    if texture:
        reader = UsdShade.Shader.Define(stage, path + "/Reader")
        reader.CreateIdAttr("UsdPrimvarReader_float2")
        reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
        reader.CreateOutput("result", Sdf.ValueTypeNames.Float2)
        image = UsdShade.Shader.Define(stage, path + "/Texture")
        image.CreateIdAttr("UsdUVTexture")
        image.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(texture)
        image.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(
            reader.ConnectableAPI(), "result"
        )
        image.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
        color.ConnectToSource(image.ConnectableAPI(), "rgb")
    else:
        color.Set((0.6, 0.4, 0.2))
    shader.CreateOutput("surface", Sdf.ValueTypeNames.Token)
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material)
    return material


def finish(stage: Any, root: str, metadata: dict[str, Any] | None = None) -> None:
    """Set the default prim and the SimReady metadata, and save."""
    stage.SetDefaultPrim(stage.GetPrimAtPath(root))
    if metadata is not None:
        stage.GetRootLayer().customLayerData = {"SimReady_Metadata": metadata}
    stage.GetRootLayer().Save()


def crate(
    path: Path,
    layout: str = "B",
    *,
    texture: str | None = None,
    facts: dict[str, Any] | None = None,
    generated: bool = False,
    labels: bool = False,
    approximation: str = "convexHull",
    up: str = "Z",
    metres: float = 1.0,
    kilograms: float = 1.0,
    name: str = "Crate",
) -> Path:
    """Write a crate of 1 m standing on the origin, in one of three layouts.

    A: the visual mesh below the body is the collider. B: two guide hulls beside the visual mesh.
    C: body, mass and collider all on the mesh. With other units, the numbers are converted, so
    that it is always the same crate.
    """
    from pxr import Sdf, UsdGeom

    facts = dict(CRATE if facts is None else facts)
    unit = 1.0 / metres

    def point(x: float, y: float, z: float) -> tuple[float, float, float]:
        return (x * unit, y * unit, z * unit) if up == "Z" else (x * unit, z * unit, -y * unit)

    def corners(low: Sequence[float], high: Sequence[float]) -> tuple[Any, Any]:
        a, b = point(*low), point(*high)
        return tuple(map(min, a, b)), tuple(map(max, a, b))

    if "mass" in facts:
        facts["mass"] /= kilograms
    if "com" in facts:
        facts["com"] = point(*facts["com"])
    if "inertia" in facts:
        facts["inertia"] = [value / kilograms * unit * unit for value in facts["inertia"]]
    stage = stage_at(path, up=up, metres=metres, kilograms=kilograms)
    root = f"/{name}"
    whole = corners((-0.5, -0.5, 0.0), (0.5, 0.5, 1.0))
    if layout == "C":
        mesh = box(stage, root, *whole)
        body(mesh.GetPrim(), facts)
        collider(mesh.GetPrim(), approximation)
        targets, visual = [mesh.GetPrim()], mesh.GetPrim()
    else:
        xform = UsdGeom.Xform.Define(stage, root).GetPrim()
        body(xform, facts)
        visual = box(stage, f"{root}/Body", *whole).GetPrim()
        if layout == "A":
            collider(visual, approximation)
            targets = [visual]
        else:
            halves = [((-0.5, -0.5, 0.0), (0.0, 0.5, 1.0)), ((0.0, -0.5, 0.0), (0.5, 0.5, 1.0))]
            targets = []
            for number, (low, high) in enumerate(halves):
                place = f"{root}/Colliders/hull_{number}"
                hull = box(stage, place, *corners(low, high), guide=True)
                collider(hull.GetPrim(), approximation)
                targets.append(hull.GetPrim())
    physics_material(stage, f"{root}/PhysicsMaterial", targets, facts)
    preview_material(stage, f"{root}/Looks/Wood", visual, texture)
    prim = stage.GetPrimAtPath(root)
    if labels:
        from pxr import UsdSemantics

        api = UsdSemantics.LabelsAPI.Apply(prim, "wikidata_qcode")
        api.CreateLabelsAttr(["Q1144312"])
        prim.CreateAttribute("rigyd:job", Sdf.ValueTypeNames.String).Set("job-1")
        prim.CreateAttribute("rigyd:confidence", Sdf.ValueTypeNames.Float).Set(0.75)
    if generated:
        prim.SetCustomDataByKey("Blender:generated", True)
    about = {"asset_name": name, "mass": 12.5, "rigid_body_count": 1, "qcode": "Q1144312"}
    finish(stage, root, about)
    return path
