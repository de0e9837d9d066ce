# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the SimReady USD with Blender's own pxr: visuals, colliders, physics, labels, metadata.

Layout: ``/<asset>`` is the rigid body (complete MassAPI), with the scopes ``geometry`` (visual
meshes), ``colliders`` (convex hulls, purpose guide), ``materials`` and ``physics_materials``.
Follows the NVIDIA SimReady profile Robotics-Prop 4.0.0. Needs a Blender with USD (4.5 or newer).
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from bridge.problems import Category, ProblemError

from .simready_hulls import Hull
from .simready_load import Shape
from .simready_mass import Body
from .simready_materials import Look, Texture, TextureFolder
from .simready_matter import Matter
from .simready_presets import GENERIC, Label, Preset, safe_name, unique

VENDOR = "sceneCourier"


@dataclass
class Collider:
    """One convex hull and what it is made of."""

    hull: Hull
    matter: Matter
    part: str


@dataclass
class Asset:
    """All that the writers need; names are safe for prims and files."""

    name: str
    title: str
    label: Label
    shapes: list[Shape]
    looks: dict[str, Look]
    body: Body
    colliders: list[Collider]
    matters: list[list[Matter]]
    size: Any
    source_file: str
    copyright: str
    mass_source: str


def require_pxr() -> Any:
    """Blender's bundled ``pxr``; raises ProblemError(BLENDER) where there is none."""
    expose = getattr(bpy.utils, "expose_bundled_modules", None)
    if expose:
        expose()
    try:
        import pxr
        from pxr import Usd, UsdPhysics, UsdSemantics  # noqa: F401
    except ImportError as error:
        version = ".".join(str(part) for part in bpy.app.version)
        raise ProblemError(
            Category.BLENDER,
            f"Blender {version} has no USD support, so it cannot make a SimReady asset.",
            "Let a Blender 4.5 or newer from blender.org do this step.",
            str(error),
        ) from error
    return pxr


def look_key(material: bpy.types.Material | None) -> str:
    """The key of a material in ``Asset.looks``."""
    return material.name if material else ""


def write(asset: Asset, path: Path) -> TextureFolder:
    """Write the crate file ``path`` and ``textures/`` beside it; returns the texture folder."""
    from pxr import Sdf, Usd, UsdGeom

    path.parent.mkdir(parents=True, exist_ok=True)
    folder = TextureFolder(path.parent / "textures")
    layer = Sdf.Layer.CreateNew(str(path), args={"format": "usdc"})
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    from pxr import UsdPhysics

    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, f"/{asset.name}")
    stage.SetDefaultPrim(root.GetPrim())
    Usd.ModelAPI(root.GetPrim()).SetKind("component")
    _label(root.GetPrim(), "class", asset.label.name)
    _label(root.GetPrim(), "wikidata_qcode", asset.label.qcode)
    _body(root.GetPrim(), asset)
    materials = _materials(stage, asset, folder)
    _geometry(stage, asset, materials)
    _colliders(stage, asset)
    _metadata(layer, asset)
    layer.Save()
    return folder


def _label(prim: Any, kind: str, *values: str) -> None:
    from pxr import UsdSemantics, Vt

    api = UsdSemantics.LabelsAPI.Apply(prim, kind)
    api.CreateLabelsAttr().Set(Vt.TokenArray(list(values)))


def _vendor(prim: Any, name: str, value: Any) -> None:
    from pxr import Sdf

    kind = Sdf.ValueTypeNames.String if isinstance(value, str) else Sdf.ValueTypeNames.Double
    prim.CreateAttribute(f"{VENDOR}:{name}", kind, custom=True).Set(value)


def _body(prim: Any, asset: Asset) -> None:
    from pxr import Gf, UsdPhysics

    UsdPhysics.RigidBodyAPI.Apply(prim).CreateRigidBodyEnabledAttr(True)
    mass = UsdPhysics.MassAPI.Apply(prim)
    body = asset.body
    mass.CreateMassAttr(float(body.mass))
    mass.CreateCenterOfMassAttr(Gf.Vec3f(*map(float, body.centre)))
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*map(float, body.diagonal)))
    w, x, y, z = body.axes
    mass.CreatePrincipalAxesAttr(Gf.Quatf(w, x, y, z))
    _vendor(prim, "mass:source", asset.mass_source)


def _materials(stage: Any, asset: Asset, folder: TextureFolder) -> dict[str, Any]:
    from pxr import UsdGeom

    UsdGeom.Scope.Define(stage, f"/{asset.name}/materials")
    taken: set[str] = set()
    used = {look_key(m) for shape in asset.shapes for m in _used_materials(shape)}
    result = {}
    for key in sorted(used):
        look = asset.looks[key]
        name = unique(safe_name(look.name, "material"), taken)
        result[key] = _material(stage, f"/{asset.name}/materials/{name}", look, folder)
    presets: dict[str, list[Preset]] = {}
    for shape, matters in zip(asset.shapes, asset.matters, strict=True):
        for slot, material in enumerate(shape.materials):
            presets.setdefault(look_key(material), []).append(matters[slot].preset)
    for key, material in result.items():
        found = presets.get(key) or [GENERIC]
        _label(material.GetPrim(), "material", *sorted({preset.name for preset in found}))
        _sensor(material.GetPrim(), found[0], asset.looks[key])
    return result


def _sensor(prim: Any, preset: Preset, look: Look) -> None:
    """Non-visual properties for sensor simulation (SimReady capability nonvisual_materials)."""
    from pxr import Sdf, Vt

    kinds = Sdf.ValueTypeNames
    extra = ["emissive"] if max(look.emission) > 0 or look.emission_texture else []
    extra += ["visually_transparent"] if look.opacity < 0.9 else []
    values = (
        ("base", kinds.Token, preset.sensor or "plastic"),
        ("coating", kinds.Token, "clearcoat" if look.clearcoat > 0.1 else "none"),
        ("attributes", kinds.TokenArray, Vt.TokenArray(extra or ["none"])),
    )
    for name, kind, value in values:
        attribute = prim.CreateAttribute(
            f"omni:simready:nonvisual:{name}", kind, False, Sdf.VariabilityUniform
        )
        attribute.Set(value)


def _used_materials(shape: Shape) -> list[bpy.types.Material | None]:
    return [shape.materials[slot] for slot in np.unique(shape.slots)]


def _material(stage: Any, path: str, look: Look, folder: TextureFolder) -> Any:
    from pxr import Gf, Sdf, UsdShade

    types = Sdf.ValueTypeNames
    material = UsdShade.Material.Define(stage, path)
    shader = UsdShade.Shader.Define(stage, f"{path}/preview_surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    readers: dict[Any, Any] = {}

    def put(name: str, kind: Any, value: Any, texture: Texture | None, **extra: Any) -> None:
        target = shader.CreateInput(name, kind)
        file = folder.file_for(texture.image) if texture else None
        if texture is None or file is None:
            target.Set(value)
            return
        sampler = _sampler(stage, path, name, texture, file, readers, **extra)
        channel = texture.channel
        if kind != types.Float:
            channel = "rgb"
        elif channel == "rgb":
            channel = "r"
        out = types.Float3 if channel == "rgb" else types.Float
        target.ConnectToSource(sampler.CreateOutput(channel, out))

    color = Gf.Vec3f(*look.color)
    put("diffuseColor", types.Color3f, color, look.color_texture, color=True)
    if look.vertex_color and not look.color_texture:
        reader = UsdShade.Shader.Define(stage, f"{path}/vertex_color")
        reader.CreateIdAttr("UsdPrimvarReader_float3")
        reader.CreateInput("varname", types.String).Set("displayColor")
        reader.CreateInput("fallback", types.Float3).Set(color)
        shader.GetInput("diffuseColor").ConnectToSource(reader.CreateOutput("result", types.Float3))
    put("metallic", types.Float, float(look.metallic), look.metallic_texture)
    put("roughness", types.Float, float(look.roughness), look.roughness_texture)
    put("opacity", types.Float, float(look.opacity), look.opacity_texture)
    if look.threshold > 0:
        shader.CreateInput("opacityThreshold", types.Float).Set(float(look.threshold))
    glow = Gf.Vec3f(*look.emission)
    put("emissiveColor", types.Color3f, glow, look.emission_texture, color=True)
    shader.CreateInput("ior", types.Float).Set(float(look.ior))
    if look.clearcoat > 0:
        shader.CreateInput("clearcoat", types.Float).Set(float(look.clearcoat))
    if look.normal_texture:
        up = Gf.Vec3f(0.0, 0.0, 1.0)
        put("normal", types.Normal3f, up, look.normal_texture, bump=look.normal_strength)
    return material


def _sampler(
    stage: Any,
    path: str,
    use: str,
    texture: Texture,
    file: str,
    readers: dict[Any, Any],
    *,
    color: bool = False,
    bump: float | None = None,
) -> Any:
    from pxr import Gf, Sdf, UsdShade

    types = Sdf.ValueTypeNames
    key = (texture.uv_map, texture.transform)
    if key not in readers:
        number = len(readers) or ""
        reader = UsdShade.Shader.Define(stage, f"{path}/uv_reader{number}")
        reader.CreateIdAttr("UsdPrimvarReader_float2")
        reader.CreateInput("varname", types.String).Set(uv_name(texture.uv_map))
        output = reader.CreateOutput("result", types.Float2)
        if texture.transform:
            move, turn, scale = texture.transform
            place = UsdShade.Shader.Define(stage, f"{path}/uv_transform{number}")
            place.CreateIdAttr("UsdTransform2d")
            place.CreateInput("in", types.Float2).ConnectToSource(output)
            place.CreateInput("translation", types.Float2).Set(Gf.Vec2f(*move))
            place.CreateInput("rotation", types.Float).Set(float(np.degrees(turn)))
            place.CreateInput("scale", types.Float2).Set(Gf.Vec2f(*scale))
            output = place.CreateOutput("result", types.Float2)
        readers[key] = output
    sampler = UsdShade.Shader.Define(stage, f"{path}/{safe_name(use, 'texture')}_texture")
    sampler.CreateIdAttr("UsdUVTexture")
    sampler.CreateInput("file", types.Asset).Set(Sdf.AssetPath(f"./textures/{file}"))
    sampler.CreateInput("sourceColorSpace", types.Token).Set("sRGB" if color else "raw")
    sampler.CreateInput("st", types.Float2).ConnectToSource(readers[key])
    for wrap in ("wrapS", "wrapT"):
        sampler.CreateInput(wrap, types.Token).Set(texture.repeat)
    if bump is not None:
        s = 2.0 * bump
        sampler.CreateInput("scale", types.Float4).Set(Gf.Vec4f(s, s, 2.0, 1.0))
        sampler.CreateInput("bias", types.Float4).Set(Gf.Vec4f(-bump, -bump, -1.0, 0.0))
    elif tuple(texture.factor) != (1.0, 1.0, 1.0):
        sampler.CreateInput("scale", types.Float4).Set(Gf.Vec4f(*texture.factor, 1.0))
    return sampler


def uv_name(uv_map: str) -> str:
    """The primvar of a UV map: ``st`` for the usual first, a name of its own for further ones."""
    return "st" if uv_map in {"", "UVMap"} else f"st_{safe_name(uv_map, 'uv')}"


def _geometry(stage: Any, asset: Asset, materials: dict[str, Any]) -> None:
    from pxr import UsdGeom

    from .simready_usd_mesh import author_mesh

    UsdGeom.Scope.Define(stage, f"/{asset.name}/geometry")
    for shape, matters in zip(asset.shapes, asset.matters, strict=True):
        colors = {asset.looks[look_key(m)].vertex_color for m in _used_materials(shape)}
        named = next((color for color in sorted(filter(None, colors))), None)
        bound = [materials.get(look_key(material)) for material in shape.materials]
        mesh = author_mesh(stage, f"/{asset.name}/geometry/{shape.prim}", shape, bound, named)
        _vendor(mesh.GetPrim(), "source:name", shape.name)
        _vendor(mesh.GetPrim(), "source:density", float(matters[int(shape.slots[0])].density))


def _colliders(stage: Any, asset: Asset) -> None:
    from pxr import Gf, UsdGeom, UsdPhysics, UsdShade, Vt

    UsdGeom.Scope.Define(stage, f"/{asset.name}/colliders")
    UsdGeom.Scope.Define(stage, f"/{asset.name}/physics_materials")
    physics: dict[Any, Any] = {}
    taken: set[str] = set()
    for number, collider in enumerate(asset.colliders):
        matter = collider.matter
        if matter.surface not in physics:
            name = unique(safe_name(matter.name, "matter"), taken)
            physics[matter.surface] = _physics_material(stage, asset, name, matter)
        hull = collider.hull
        mesh = UsdGeom.Mesh.Define(stage, f"/{asset.name}/colliders/hull_{number:02d}")
        points = hull.points.astype(np.float32)
        mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
        mesh.CreateFaceVertexCountsAttr(Vt.IntArray([3] * len(hull.faces)))
        mesh.CreateFaceVertexIndicesAttr(
            Vt.IntArray.FromNumpy(hull.faces.reshape(-1).astype(np.int32))
        )
        flat = hull.normals().astype(np.float32)
        mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(flat))
        mesh.SetNormalsInterpolation(UsdGeom.Tokens.uniform)
        mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
        low, high = points.min(axis=0), points.max(axis=0)
        mesh.CreateExtentAttr([Gf.Vec3f(*map(float, low)), Gf.Vec3f(*map(float, high))])
        mesh.CreatePurposeAttr(UsdGeom.Tokens.guide)
        prim = mesh.GetPrim()
        UsdPhysics.CollisionAPI.Apply(prim)
        UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(
            UsdPhysics.Tokens.convexHull
        )
        UsdShade.MaterialBindingAPI.Apply(prim).Bind(
            physics[matter.surface],
            bindingStrength=UsdShade.Tokens.weakerThanDescendants,
            materialPurpose="physics",
        )
        _vendor(prim, "source:part", collider.part)


def _physics_material(stage: Any, asset: Asset, name: str, matter: Matter) -> Any:
    from pxr import UsdPhysics, UsdShade

    material = UsdShade.Material.Define(stage, f"/{asset.name}/physics_materials/{name}")
    api = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    api.CreateStaticFrictionAttr(float(matter.static))
    api.CreateDynamicFrictionAttr(float(matter.dynamic))
    api.CreateRestitutionAttr(float(matter.restitution))
    api.CreateDensityAttr(float(matter.density))
    _label(material.GetPrim(), "material", matter.preset.name)
    return material


def _metadata(layer: Any, asset: Asset) -> None:
    """All fields that SR.004 asks for (and those of SR.001), in the root layer only."""
    from pxr import Gf

    common = {
        "asset_name": asset.name,
        "asset_type": "prop",
        "source_file": asset.source_file,
        "usd_date_generated": datetime.date.today().isoformat(),
    }
    layer.customLayerData = {
        **common,  # where the older rule SR.001 looks for them
        "SimReady_Metadata": {
            **common,
            "author": "Scene Courier, local converter",
            "asset_license": asset.copyright or "unspecified; as the source file",
            "category": asset.label.category,
            "qcode": asset.label.qcode,
            "rigid_body_count": 1,
            "asset_extents": Gf.Vec3f(*map(float, asset.size)),
            "mass": float(np.float32(asset.body.mass)),
        },
    }
