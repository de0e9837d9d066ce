# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the written USD with fresh eyes: USD's own validators and the SimReady rules.

The rules are those of the SimReady profile Robotics-Prop 4.0.0 which a converter can break; the
official validator is a test of ours, not a part of the converter. Reads files only.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

REQUIRED = (
    "author",
    "asset_name",
    "asset_type",
    "asset_license",
    "category",
    "source_file",
    "usd_date_generated",
    "qcode",
    "rigid_body_count",
    "asset_extents",
    "mass",
)


def check(path: Path) -> list[dict[str, str]]:
    """Every finding as {"rule", "level" (error or warning), "text", "at"}; empty is good."""
    from pxr import Usd

    stage = Usd.Stage.Open(str(path))
    findings: list[dict[str, str]] = []

    def fail(rule: str, text: str, at: Any = "", level: str = "error") -> None:
        findings.append({"rule": rule, "level": level, "text": text, "at": str(at)})

    root = stage.GetDefaultPrim()
    if not root:
        fail("HI.004", "There is no default prim.")
        return findings
    _check_stage(stage, root, fail)
    _check_metadata(stage, path, fail)
    for prim in Usd.PrimRange(root):
        _check_prim(prim, fail)
    _check_physics(root, fail)
    _check_files(stage, path, fail)
    _builtin(stage, fail)
    return findings


def _check_stage(stage: Any, root: Any, fail: Any) -> None:
    from pxr import Gf, UsdGeom

    if UsdGeom.GetStageUpAxis(stage) != UsdGeom.Tokens.z:
        fail("UN.006", "The up axis is not Z.")
    if UsdGeom.GetStageMetersPerUnit(stage) != 1.0:
        fail("UN.007", "The unit is not the metre.")
    if not root.IsA(UsdGeom.Xformable):
        fail("HI.003", "The root cannot be placed.", root.GetPath())
    elif not Gf.IsClose(UsdGeom.Xformable(root).GetLocalTransformation(), Gf.Matrix4d(1.0), 1e-4):
        fail("VG.025", "The root is transformed.", root.GetPath())
    if len(stage.GetPseudoRoot().GetChildren()) != 1:
        fail("HI.001", "There is more than one root.")


def _check_metadata(stage: Any, path: Path, fail: Any) -> None:
    data = stage.GetRootLayer().customLayerData.get("SimReady_Metadata", {})
    missing = [name for name in REQUIRED if data.get(name) in (None, "")]
    if missing:
        fail("SR.004", f"Metadata is missing: {', '.join(missing)}.")
    elif not re.fullmatch(r"Q[0-9]+", str(data["qcode"])) or not data["mass"] > 0:
        fail("SR.004", "The Q-code or the mass is not valid.")
    if not (path.parent / ".thumbs" / "256x256" / f"{path.name}.png").is_file():
        fail("SR.002", "There is no thumbnail.")
    if path.parent.parent.name.lower() not in path.stem.lower():
        fail("NP.005", "The file name does not contain the asset folder's name.", level="warning")


def _check_prim(prim: Any, fail: Any) -> None:
    from pxr import Usd, UsdGeom, UsdPhysics, UsdShade

    at = prim.GetPath()
    if prim.IsA(UsdShade.Material) and not prim.GetAttribute("semantics:labels:material").Get():
        fail("SL.MAT.001", "A material has no label.", at)
    if prim.HasAPI(UsdPhysics.MeshCollisionAPI) and not prim.IsA(UsdGeom.Mesh):
        fail("RB.COL.002", "Mesh collision is not on a mesh.", at)
    mesh = UsdGeom.Mesh(prim)
    if not mesh:
        return
    points, counts = mesh.GetPointsAttr().Get(), mesh.GetFaceVertexCountsAttr().Get()
    indices = mesh.GetFaceVertexIndicesAttr().Get()
    valid = points and counts and indices
    if not valid or not UsdGeom.Mesh.ValidateTopology(indices, counts, len(points))[0]:
        fail("VG.014", "The mesh has broken faces.", at)
    if not mesh.GetNormalsAttr().HasAuthoredValue():
        fail("VG.027", "The mesh has no normals.", at)
    if not mesh.GetExtentAttr().HasAuthoredValue():
        fail("VG.002", "The mesh has no extent.", at)
    if UsdGeom.Imageable(prim).ComputePurpose() == UsdGeom.Tokens.guide:
        return
    if prim.HasAPI(UsdPhysics.CollisionAPI):
        fail("RB.010", "A visible mesh is a collider.", at, "warning")
    material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
    if not material:
        fail("VM.MAT.001", "The mesh has no material.", at)
    elif not material.ComputeSurfaceSource(UsdShade.Tokens.universalRenderContext)[0]:
        fail("VM.PS.002", "The material has no preview surface.", material.GetPath())
    if not any(
        step.GetAttribute("semantics:labels:class").Get()
        for step in (prim, *_ancestors(prim))
        if step.IsValid() and not step.IsPseudoRoot()
    ):
        fail("SL.001", "The mesh has no label.", at)
    del Usd


def _ancestors(prim: Any) -> list[Any]:
    found = []
    step = prim.GetParent()
    while step and not step.IsPseudoRoot():
        found.append(step)
        step = step.GetParent()
    return found


def _check_physics(root: Any, fail: Any) -> None:
    from pxr import Usd, UsdPhysics

    prims = list(Usd.PrimRange(root))
    bodies = [prim for prim in prims if prim.HasAPI(UsdPhysics.RigidBodyAPI)]
    if not bodies:
        fail("RB.001", "There is no rigid body.")
    for body in bodies:
        mass = UsdPhysics.MassAPI(body)
        value = mass.GetMassAttr().Get()
        if not value or value <= 0:
            fail("RB.007", "The body has no mass.", body.GetPath())
        inertia = mass.GetDiagonalInertiaAttr().Get()
        if not inertia or min(inertia) <= 0 or 2 * max(inertia) > sum(inertia) * (1 + 1e-5):
            fail("RB.MASS", "The inertia is not that of a real body.", body.GetPath())
        axes = mass.GetPrincipalAxesAttr().Get()
        if not axes or abs(axes.GetLength() - 1.0) > 1e-4:
            fail("RB.MASS", "The principal axes are not a rotation.", body.GetPath())
    if not any(prim.HasAPI(UsdPhysics.CollisionAPI) for prim in prims):
        fail("RB.COL.001", "There is no collider.")


def _check_files(stage: Any, path: Path, fail: Any) -> None:
    from pxr import Sdf

    def visit(spec: Any) -> None:
        layer = stage.GetRootLayer()
        item = layer.GetAttributeAtPath(spec)
        if item is None or item.typeName != Sdf.ValueTypeNames.Asset or item.default is None:
            return
        name = item.default.path
        if not name.startswith("./"):
            fail("AA.001", f"The path “{name}” is not relative.", spec)
        elif not (path.parent / name).is_file():
            fail("NP.008", f"The file “{name}” is missing.", spec)

    stage.GetRootLayer().Traverse(Sdf.Path.absoluteRootPath, visit)


def _builtin(stage: Any, fail: Any) -> None:
    """USD's own validators, as far as this Blender bundles them."""
    try:
        from pxr import UsdValidation
    except ImportError:
        return
    registry = UsdValidation.ValidationRegistry()
    metadata = registry.GetAllValidatorMetadata()
    names = [item.name for item in metadata if not item.isSuite and "Usdz" not in item.name]
    context = UsdValidation.ValidationContext(registry.GetOrLoadValidatorsByName(names))
    for error in context.Validate(stage):
        if error.HasNoError():
            continue
        kind = "error" if error.GetType() == UsdValidation.ValidationErrorType.Error else "warning"
        sites = ", ".join(_site(site) for site in error.GetSites()[:3])
        fail(str(error.GetName()), error.GetMessage(), sites, kind)


def _site(site: Any) -> str:
    for getter in ("GetPrim", "GetProperty"):
        item = getattr(site, getter)()
        if item and item.IsValid():
            return str(item.GetPath())
    return "stage"
