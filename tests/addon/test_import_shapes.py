# SPDX-License-Identifier: GPL-3.0-or-later
"""Colliders of every form that USD knows: each rests where its true form would."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bpy
import pytest

from tests.addon import usd_assets
from tests.addon.import_support import MILLIMETRE, body_of, collection_of, place, play, value

pytestmark = [
    pytest.mark.usefixtures("clean_scene"),
    pytest.mark.skipif(not usd_assets.pxr_available(), reason="no pxr in this Blender"),
]

# Kind, attributes, scale, Blender's shape, volume in m3, height of the origin at rest.
GPRIMS = [
    ("Cube", {"size": 0.8}, (1, 1, 1), "BOX", 0.512, 0.4),
    ("Cube", {"size": 1.0}, (0.4, 0.6, 0.5), "BOX", 0.12, 0.25),
    ("Sphere", {"radius": 0.3}, (1, 1, 1), "SPHERE", 4 / 3 * math.pi * 0.027, 0.3),
    ("Sphere", {"radius": 0.3}, (2, 2, 2), "SPHERE", 4 / 3 * math.pi * 0.216, 0.6),
    ("Sphere", {"radius": 0.5}, (1, 1, 0.4), "CONVEX_HULL", 4 / 3 * math.pi * 0.05, 0.2),
    (
        "Cylinder",
        {"radius": 0.4, "height": 0.5, "axis": "Z"},
        (1, 1, 1),
        "CYLINDER",
        math.pi * 0.08,
        0.25,
    ),
    (
        "Cylinder",
        {"radius": 0.4, "height": 0.5, "axis": "Y"},
        (1, 1, 1),
        "CYLINDER",
        math.pi * 0.08,
        0.4,
    ),
    (
        "Capsule",
        {"radius": 0.2, "height": 0.6, "axis": "X"},
        (1, 1, 1),
        "CAPSULE",
        math.pi * 0.04 * (0.6 + 0.8 / 3),
        0.2,
    ),
    ("Cone", {"radius": 0.4, "height": 0.6}, (1, 1, 1), "CONE", math.pi * 0.16 * 0.2, 0.3),
    ("Cone", {"radius": 0.4, "height": 0.6}, (1, 2, 1), "CONVEX_HULL", math.pi * 0.32 * 0.2, 0.3),
]


@pytest.fixture
def simready(extension: Any) -> Any:
    return extension.module("addon.imports.simready")


@pytest.mark.parametrize("guide", [False, True])
@pytest.mark.parametrize(("kind", "size", "scale", "shape", "volume", "rest"), GPRIMS)
def test_gprim(
    simready: Any,
    tmp_path: Path,
    kind: str,
    size: dict[str, Any],
    scale: tuple[float, float, float],
    shape: str,
    volume: float,
    rest: float,
    guide: bool,
) -> None:
    from pxr import UsdGeom

    stage = usd_assets.stage_at(tmp_path / "thing.usda")
    root = UsdGeom.Xform.Define(stage, "/Thing")
    usd_assets.body(root.GetPrim(), {"density": 100.0, "com": (0, 0, 0)})
    form = getattr(UsdGeom, kind).Define(stage, "/Thing/Form")
    for name, number in size.items():
        form.GetPrim().GetAttribute(name).Set(number)
    form.AddScaleOp().Set(scale)
    if guide:
        form.CreatePurposeAttr("guide")
        usd_assets.box(stage, "/Thing/Look", (-0.1, -0.1, -0.1), (0.1, 0.1, 0.1))
    usd_assets.collider(form.GetPrim(), None)
    usd_assets.finish(stage, "/Thing")
    report = simready.import_simready(bpy.context, tmp_path / "thing.usda", ground=False)
    body = body_of(report)
    (part,) = (item for item in body.children if item.rigid_body)
    assert part.rigid_body.collision_shape == shape
    assert part.hide_render and part.display_type == "WIRE"
    assert body.rigid_body.mass == pytest.approx(100 * volume, rel=0.02)
    # The shape's mesh, which Blender measures, has the true size and its middle in the origin.
    corners = [part.matrix_world @ vertex.co for vertex in part.data.vertices]
    half = (max(c.z for c in corners) - min(c.z for c in corners)) / 2
    assert half == pytest.approx(rest, rel=0.01)
    assert part.matrix_world.to_scale()[:] == pytest.approx((1, 1, 1))
    if not guide:
        shown = bpy.data.objects["Form"]
        assert not shown.hide_render and shown.rigid_body is None
        assert value(shown, "usd:prim") == "/Thing/Form"

    from importlib import import_module

    rigid = import_module(simready.__name__.replace(".simready", ".rigid"))
    floor = collection_of(report)
    from mathutils import Vector

    rigid.add_ground(bpy.context.scene, floor, -1.0, Vector(), 20.0)
    heights = {}
    play(150, lambda frame: heights.setdefault(frame, place(body).z))
    assert heights[150] - -1.0 == pytest.approx(rest, abs=MILLIMETRE)
    assert heights[150] == pytest.approx(heights[120], abs=MILLIMETRE)


@pytest.mark.parametrize(
    ("approximation", "shape", "half"),
    [("boundingCube", "BOX", 0.5), ("boundingSphere", "SPHERE", math.sqrt(0.75))],
)
@pytest.mark.parametrize("layout", ["A", "B", "C"])
def test_bounding_shapes_of_meshes(
    simready: Any, tmp_path: Path, approximation: str, shape: str, half: float, layout: str
) -> None:
    """The mesh's origin is at its foot: only a shape that is centred by itself rests right."""
    path = usd_assets.crate(tmp_path / "crate.usdc", layout, approximation=approximation)
    report = simready.import_simready(bpy.context, path, placement=("source", (0, 0, 0)))
    parts = [item for item in bpy.data.objects if item.parent and item.rigid_body]
    assert {part.rigid_body.collision_shape for part in parts} == {shape}
    if layout == "B":
        return
    (part,) = parts
    size = [2 * half] * 3
    assert part.dimensions[:] == pytest.approx(size, rel=1e-4)
    assert part.matrix_world.translation[:] == pytest.approx((0, 0, 0.5), abs=1e-5)
    body_of(report).location.z += 1
    play(200)
    graph = bpy.context.evaluated_depsgraph_get()
    rest = part.evaluated_get(graph).matrix_world.translation.z
    assert rest == pytest.approx(half, abs=MILLIMETRE)


def test_an_invisible_collider_is_used_and_not_shown(simready: Any, tmp_path: Path) -> None:
    from pxr import UsdGeom

    stage = usd_assets.stage_at(tmp_path / "thing.usda")
    usd_assets.body(UsdGeom.Xform.Define(stage, "/Thing").GetPrim(), {"mass": 1.0})
    hull = usd_assets.box(stage, "/Thing/Hull")
    hull.CreateVisibilityAttr("invisible")
    usd_assets.collider(hull.GetPrim())
    helper = usd_assets.box(stage, "/Thing/Helper", guide=True)
    assert helper
    usd_assets.box(stage, "/Thing/Look")
    usd_assets.finish(stage, "/Thing")
    report = simready.import_simready(bpy.context, tmp_path / "thing.usda")
    (part,) = (item for item in body_of(report).children if item.rigid_body)
    assert part.name == "Hull" and part.hide_render
    other = bpy.data.objects["Helper"]
    assert other.hide_render and other.hide_viewport and other.rigid_body is None
    assert not bpy.data.objects["Look"].hide_render


def test_turned_and_scaled_parts(simready: Any, tmp_path: Path) -> None:
    """A body that is turned and scaled, with hulls that share one mesh."""
    from pxr import UsdGeom

    stage = usd_assets.stage_at(tmp_path / "thing.usda")
    root = UsdGeom.Xform.Define(stage, "/Thing")
    root.AddTranslateOp().Set((1, 2, 3))
    root.AddRotateXYZOp().Set((0, 0, 30))
    root.AddScaleOp().Set((0.5, 0.5, 0.5))
    usd_assets.body(root.GetPrim(), {"mass": 2.0, "com": (0, 0, 0.5)})
    for side in (-1, 1):
        hull = usd_assets.box(stage, f"/Thing/Hull_{side + 1}", guide=True)
        hull.AddTranslateOp().Set((side * 0.6, 0, 0))
        usd_assets.collider(hull.GetPrim())
    usd_assets.box(stage, "/Thing/Look", (-1.1, -0.5, 0), (1.1, 0.5, 1))
    usd_assets.finish(stage, "/Thing")
    report = simready.import_simready(bpy.context, tmp_path / "thing.usda")
    body = body_of(report)
    assert place(body)[:] == pytest.approx((1, 2, 3.25), abs=1e-5)
    assert body.matrix_world.to_scale()[:] == pytest.approx((1, 1, 1))
    assert math.degrees(body.matrix_world.to_euler().z) == pytest.approx(30, abs=1e-3)
    for side in (-1, 1):
        hull = bpy.data.objects[f"Hull_{side + 1}"]
        assert hull.matrix_world.to_scale()[:] == pytest.approx((1, 1, 1))
        assert hull.dimensions[:] == pytest.approx((0.5, 0.5, 0.5), abs=1e-5)
        middle = sum(((hull.matrix_world @ v.co) for v in hull.data.vertices), place(body) * 0) / 8
        local = body.matrix_world.inverted() @ middle
        assert local[:] == pytest.approx((side * 0.3, 0, 0), abs=1e-5)
    look = bpy.data.objects["Look"]
    assert look.matrix_world.to_scale()[:] == pytest.approx((0.5, 0.5, 0.5))


def test_a_body_without_usable_colliders_is_told(simready: Any, tmp_path: Path) -> None:
    from pxr import UsdGeom

    stage = usd_assets.stage_at(tmp_path / "thing.usda")
    usd_assets.body(UsdGeom.Xform.Define(stage, "/Thing").GetPrim(), {"mass": 1.0})
    usd_assets.box(stage, "/Thing/Look")
    usd_assets.finish(stage, "/Thing")
    report = simready.import_simready(bpy.context, tmp_path / "thing.usda")
    assert not report.physics and not report.ground
    assert any("no collider" in text for text in report.lost)
    assert value(bpy.data.objects["Thing"], "physics:mass") == 1.0
