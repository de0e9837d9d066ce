# SPDX-License-Identifier: GPL-3.0-or-later
"""``usd_facts.py USD JSON``: what a SimReady USD states, as plain data, read with Blender's pxr.

Shares no code with the converter. With ``--remove WHAT`` before the paths it damages a copy
instead, for the negative controls: mass, labels, colliders, up.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import bpy

bpy.utils.expose_bundled_modules()

from pxr import Usd, UsdGeom, UsdPhysics, UsdShade  # noqa: E402


def mesh(prim: Any) -> dict[str, Any]:
    """Points, normals' agreement with the faces, bindings."""
    one = UsdGeom.Mesh(prim)
    points = [list(p) for p in one.GetPointsAttr().Get()]
    indices = list(one.GetFaceVertexIndicesAttr().Get())
    counts = list(one.GetFaceVertexCountsAttr().Get())
    binding = UsdShade.MaterialBindingAPI(prim)
    visual, _ = binding.ComputeBoundMaterial()
    physical, _ = binding.ComputeBoundMaterial("physics")
    attribute = prim.GetAttribute("physics:approximation")
    subsets = UsdShade.MaterialBindingAPI(prim).GetMaterialBindSubsets()
    return {
        "path": str(prim.GetPath()),
        "points": points,
        "counts": counts,
        "indices": indices,
        "purpose": str(UsdGeom.Imageable(prim).ComputePurpose()),
        "collision": prim.HasAPI(UsdPhysics.CollisionAPI),
        "approximation": attribute.Get() if attribute else None,
        "material": str(visual.GetPath()) if visual else None,
        "physics_material": str(physical.GetPath()) if physical else None,
        "subsets": len(subsets),
        "subset_faces": sum(len(s.GetIndicesAttr().Get()) for s in subsets),
        "uv": [
            str(v.GetPrimvarName())
            for v in UsdGeom.PrimvarsAPI(prim).GetPrimvarsWithValues()
            if v.GetTypeName() == "texCoord2f[]"
        ],
    }


def read(path: str) -> dict[str, Any]:
    """All facts of a stage."""
    stage = Usd.Stage.Open(path)
    root = stage.GetDefaultPrim()
    mass = UsdPhysics.MassAPI(root)
    axes = mass.GetPrincipalAxesAttr().Get()
    textures, spaces = {}, {}
    physics: dict[str, Any] = {}
    for prim in stage.Traverse():
        shader = UsdShade.Shader(prim)
        if shader and shader.GetIdAttr().Get() == "UsdUVTexture":
            textures[str(prim.GetPath())] = shader.GetInput("file").Get().path
            scale = shader.GetInput("scale")
            spaces[str(prim.GetPath())] = [
                shader.GetInput("sourceColorSpace").Get(),
                list(scale.Get()) if scale and scale.Get() else None,
            ]
        if prim.HasAPI(UsdPhysics.MaterialAPI):
            api = UsdPhysics.MaterialAPI(prim)
            physics[prim.GetName()] = [
                api.GetStaticFrictionAttr().Get(),
                api.GetDynamicFrictionAttr().Get(),
                api.GetRestitutionAttr().Get(),
            ]
    return {
        "root": str(root.GetPath()),
        "up": str(UsdGeom.GetStageUpAxis(stage)),
        "unit": UsdGeom.GetStageMetersPerUnit(stage),
        "rigid": root.HasAPI(UsdPhysics.RigidBodyAPI),
        "mass": mass.GetMassAttr().Get(),
        "centre": list(mass.GetCenterOfMassAttr().Get()),
        "inertia": list(mass.GetDiagonalInertiaAttr().Get()),
        "axes": [axes.GetReal(), *axes.GetImaginary()],
        "labels": {
            name: list(root.GetAttribute(f"semantics:labels:{name}").Get())
            for name in ("class", "wikidata_qcode")
        },
        "custom_data": list(root.GetCustomData()),
        "meshes": [mesh(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)],
        "textures": textures,
        "spaces": spaces,
        "physics": physics,
    }


def damage(what: str, path: str) -> None:
    """Take one thing away, so that a validator must notice."""
    stage = Usd.Stage.Open(path)
    root = stage.GetDefaultPrim()
    if what == "mass":
        root.RemoveAPI(UsdPhysics.MassAPI)
        for name in ("mass", "centerOfMass", "diagonalInertia", "principalAxes"):
            root.RemoveProperty(f"physics:{name}")
    elif what == "labels":
        for name in ("class", "wikidata_qcode"):
            root.RemoveAppliedSchema(f"SemanticsLabelsAPI:{name}")
            root.RemoveProperty(f"semantics:labels:{name}")
        for prim in stage.Traverse():
            if prim.IsA(UsdShade.Material):
                prim.RemoveAppliedSchema("SemanticsLabelsAPI:material")
                prim.RemoveProperty("semantics:labels:material")
    elif what == "up":
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    elif what == "normals":
        for prim in stage.Traverse():
            prim.RemoveProperty("normals")
    else:
        raise SystemExit(f"cannot remove {what}")
    stage.GetRootLayer().Save()


if __name__ == "__main__":
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    if arguments[0] == "--remove":
        damage(arguments[1], arguments[2])
        Path(arguments[3]).write_text("done", encoding="utf-8")
    else:
        Path(arguments[1]).write_text(json.dumps(read(arguments[0])), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)
