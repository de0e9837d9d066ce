# SPDX-License-Identifier: GPL-3.0-or-later
"""The imported body has the USD's mass, friction and restitution, falls and rests on the floor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy
import pytest

from tests.addon import usd_assets
from tests.addon.import_support import (
    MILLIMETRE,
    body_of,
    collection_of,
    lowest,
    place,
    play,
    value,
    visible_meshes,
)

pytestmark = [
    pytest.mark.usefixtures("clean_scene"),
    pytest.mark.skipif(not usd_assets.pxr_available(), reason="no pxr in this Blender"),
]


@pytest.fixture
def simready(extension: Any) -> Any:
    return extension.module("addon.imports.simready")


def drop(report: Any, height: float = 0.5) -> None:
    """Lift the bodies by `height` metres."""
    for name in report.bodies:
        item = bpy.data.objects[name]
        if item.rigid_body.type == "ACTIVE":
            item.location.z += height
    bpy.context.view_layer.update()


@pytest.mark.parametrize("layout", ["A", "B", "C"])
@pytest.mark.parametrize(
    ("up", "metres", "kilograms"), [("Z", 1.0, 1.0), ("Y", 0.01, 0.001), ("Z", 0.0254, 0.4536)]
)
def test_crate_has_the_stated_values_and_rests(
    simready: Any, tmp_path: Path, layout: str, up: str, metres: float, kilograms: float
) -> None:
    path = usd_assets.crate(
        tmp_path / "crate.usdc", layout, up=up, metres=metres, kilograms=kilograms
    )
    report = simready.import_simready(
        bpy.context, path, name="Crate", placement=("source", (3.0, -2.0, 0.0)), job_id="job"
    )
    assert report.physics
    assert report.missing_textures == []
    body = body_of(report)
    rigid = body.rigid_body
    assert rigid.type == "ACTIVE"
    assert rigid.mass == pytest.approx(12.5, rel=1e-6)
    assert report.mass == pytest.approx(12.5, rel=1e-6)
    assert rigid.friction == pytest.approx(0.5)
    assert rigid.restitution == pytest.approx(0.1)
    assert rigid.use_margin and rigid.collision_margin == 0.0
    # The origin is the centre of mass.
    assert place(body)[:] == pytest.approx((3.0, -2.0, 0.45), abs=1e-5)
    shown = visible_meshes(collection_of(report).all_objects)
    assert lowest(shown) == pytest.approx(0.0, abs=1e-5)

    drop(report)
    heights: dict[int, float] = {}
    places: dict[int, Any] = {}

    def look(frame: int) -> None:
        if frame in (1, 6, 100, 150):
            heights[frame], places[frame] = lowest(shown), place(body)

    play(150, look)
    assert heights[1] == pytest.approx(0.5, abs=1e-3)
    # 5 frames of free fall; Blender counts a little more in steps of 1/240 s.
    assert heights[6] == pytest.approx(0.5 - 9.81 / 2 * (5 / 24) ** 2, abs=0.02)
    assert abs(heights[150]) < MILLIMETRE
    assert (places[150] - places[100]).length < MILLIMETRE


def test_compound_hulls_are_tidy(simready: Any, tmp_path: Path) -> None:
    path = usd_assets.crate(tmp_path / "crate.usdc", "B", labels=True)
    report = simready.import_simready(bpy.context, path, name="Crate", job_id="job")
    collection = collection_of(report)
    body = body_of(report)
    assert body.type == "MESH" and len(body.data.vertices) == 0
    assert body.rigid_body.collision_shape == "COMPOUND"
    (hulls,) = collection.children
    assert hulls.name == "Colliders"
    assert sorted(item.name for item in hulls.objects) == ["hull_0", "hull_1"]
    for hull in hulls.objects:
        assert hull.parent == body
        assert hull.display_type == "WIRE" and hull.hide_render
        assert hull.rigid_body.collision_shape == "CONVEX_HULL"
        assert value(hull, "physics:approximation") == "convexHull"
        assert hull.matrix_world.to_scale()[:] == pytest.approx((1, 1, 1))
    assert report.colliders == 2
    # Nothing of the import lies outside its collection (but for the simulation's own list).
    members = bpy.context.scene.rigidbody_world.collection
    for item in collection.all_objects:
        assert set(item.users_collection) <= {collection, hulls, members}


def test_what_blender_cannot_hold_is_kept(simready: Any, tmp_path: Path) -> None:
    path = usd_assets.crate(tmp_path / "crate.usdc", "B", labels=True)
    report = simready.import_simready(bpy.context, path, name="Crate", job_id="job-7")
    body = body_of(report)
    assert value(body, "physics:diagonalInertia") == pytest.approx([2.1, 2.1, 2.0])
    assert value(body, "physics:principalAxes") == [1, 0, 0, 0]
    assert value(body, "physics:centerOfMass") == pytest.approx([0, 0, 0.45])
    assert value(body, "physics:staticFriction") == pytest.approx(0.6)
    assert value(body, "semantics:labels:wikidata_qcode") == ["Q1144312"]
    assert value(body, "rigyd:job") == "job-1"
    assert value(body, "rigyd:confidence") == pytest.approx(0.75)
    assert "PhysicsMassAPI" in value(body, "usd:apiSchemas")
    assert value(body, "usd:prim") == "/Crate"
    collection = collection_of(report)
    for holder in (body, collection):
        metadata = value(holder, "SimReady_Metadata")
        assert metadata["asset_name"] == "Crate" and metadata["rigid_body_count"] == 1
        assert json.loads(json.dumps(metadata)) == metadata
    assert value(collection, "usd:metersPerUnit") == 1.0
    assert value(collection, "usd:upAxis") == "Z"
    kept = json.loads(collection["usd:prims"])
    assert kept["/Crate/PhysicsMaterial"]["physics:dynamicFriction"] == pytest.approx(0.5)
    assert collection["scene_courier:job"] == "job-7"
    said = " ".join(report.lost)
    assert "inertia" in said and "friction" in said
    assert report.to_dict() == json.loads(json.dumps(report.to_dict()))


def test_metadata_beside_the_file(simready: Any, tmp_path: Path) -> None:
    path = usd_assets.stage_at(tmp_path / "thing.usda")
    usd_assets.box(path, "/Thing")
    usd_assets.finish(path, "/Thing")
    (tmp_path / "thing.json").write_text('{"SimReady_Metadata": {"author": "me"}}', "utf-8")
    report = simready.import_simready(bpy.context, tmp_path / "thing.usda")
    assert value(collection_of(report), "SimReady_Metadata") == {"author": "me"}
    assert report.collection == "thing"


def test_a_prim_that_blender_leaves_out_still_makes_a_body(simready: Any, tmp_path: Path) -> None:
    """Blender drops what it has stamped as its own, and with it transform and units."""
    path = usd_assets.crate(
        tmp_path / "crate.usdc", "B", generated=True, labels=True, up="Y", metres=0.01
    )
    report = simready.import_simready(bpy.context, path, name="Crate")
    body = body_of(report)
    assert body.rigid_body.mass == pytest.approx(12.5)
    assert value(body, "semantics:labels:wikidata_qcode") == ["Q1144312"]
    shown = visible_meshes(collection_of(report).all_objects)
    assert [item.name for item in shown] == ["Body"]
    assert shown[0].dimensions[:] == pytest.approx((1, 1, 1), abs=1e-5)
    assert shown[0].parent == body
    assert lowest(shown) == pytest.approx(0, abs=1e-5)
    drop(report)
    play(150)
    assert abs(lowest(shown)) < MILLIMETRE


@pytest.mark.parametrize(
    ("facts", "mass"),
    [
        ({"density": 500.0}, 500.0),
        ({"mass": 3.0, "density": 500.0}, 3.0),
        ({}, 1000.0),
    ],
)
def test_mass_from_density(
    simready: Any, tmp_path: Path, facts: dict[str, float], mass: float
) -> None:
    path = usd_assets.crate(tmp_path / "crate.usdc", "B", facts=facts)
    report = simready.import_simready(bpy.context, path)
    assert body_of(report).rigid_body.mass == pytest.approx(mass, rel=1e-4)
    # Without a stated centre of mass it is the middle of the colliders.
    assert place(body_of(report))[:] == pytest.approx((0, 0, 0.5), abs=1e-5)
    assert any("as much as water" in note for note in report.notes) == (not facts)


def test_mass_and_density_on_colliders_and_materials(simready: Any, tmp_path: Path) -> None:
    """One half of 1 m3 weighs 30 kg by itself, the other has its material's 200 kg/m3."""
    from pxr import Usd, UsdPhysics

    path = usd_assets.crate(tmp_path / "crate.usda", "B", facts={"density": 0.0})
    stage = Usd.Stage.Open(str(path))
    first, second = (stage.GetPrimAtPath(f"/Crate/Colliders/hull_{n}") for n in (0, 1))
    UsdPhysics.MassAPI.Apply(first).CreateMassAttr(30.0)
    usd_assets.physics_material(
        stage, "/Crate/Light", [second], {"density": 200.0, "dynamic": 0.2, "restitution": 0.3}
    )
    stage.GetRootLayer().Save()
    report = simready.import_simready(bpy.context, path)
    body = body_of(report)
    assert body.rigid_body.mass == pytest.approx(130.0, rel=1e-4)
    assert place(body).x == pytest.approx((30 * -0.25 + 100 * 0.25) / 130, abs=1e-4)
    assert bpy.data.objects["hull_0"].rigid_body.mass == pytest.approx(30.0)
    assert bpy.data.objects["hull_1"].rigid_body.friction == pytest.approx(0.2)
    assert value(bpy.data.objects["hull_1"], "physicsMaterial:density") == pytest.approx(200.0)
    assert any("2 physics materials" in text for text in report.lost)


def test_two_bodies_fall_apart_from_each_other(simready: Any, tmp_path: Path) -> None:
    from pxr import UsdGeom

    stage = usd_assets.stage_at(tmp_path / "two.usdc")
    UsdGeom.Xform.Define(stage, "/Set")
    for number, mass in enumerate((2.0, 7.0)):
        prim = UsdGeom.Xform.Define(stage, f"/Set/Box_{number}")
        prim.AddTranslateOp().Set((3.0 * number, 0, 0.0))
        usd_assets.body(prim.GetPrim(), {"mass": mass, "com": (0, 0, 0.5)})
        mesh = usd_assets.box(stage, f"/Set/Box_{number}/Mesh").GetPrim()
        usd_assets.collider(mesh)
        usd_assets.physics_material(
            stage, f"/Set/Rubber_{number}", [mesh], {"dynamic": 0.3 + number / 10}
        )
    usd_assets.finish(stage, "/Set")
    report = simready.import_simready(bpy.context, tmp_path / "two.usdc")
    bodies = [bpy.data.objects[name] for name in report.bodies]
    assert [item.rigid_body.mass for item in bodies] == pytest.approx([2, 7])
    assert [item.rigid_body.friction for item in bodies] == pytest.approx([0.3, 0.4])
    assert report.mass == pytest.approx(9)
    assert report.ground
    drop(report)
    play(150)
    for item in bodies:
        (mesh,) = (child for child in item.children if child.type == "MESH")
        assert abs(lowest([mesh])) < MILLIMETRE
    assert (place(bodies[1]) - place(bodies[0])).length == pytest.approx(3, abs=0.3)


def test_kinematic_and_switched_off_bodies(simready: Any, tmp_path: Path) -> None:
    from pxr import UsdGeom, UsdPhysics

    stage = usd_assets.stage_at(tmp_path / "set.usda")
    UsdGeom.Xform.Define(stage, "/Set")
    for name in ("Moved", "Off"):
        prim = UsdGeom.Xform.Define(stage, f"/Set/{name}").GetPrim()
        usd_assets.body(prim, {"mass": 4.0}, kinematic=name == "Moved")
        usd_assets.collider(usd_assets.box(stage, f"/Set/{name}/Mesh").GetPrim())
    UsdPhysics.RigidBodyAPI(stage.GetPrimAtPath("/Set/Off")).CreateRigidBodyEnabledAttr(False)
    usd_assets.finish(stage, "/Set")
    report = simready.import_simready(bpy.context, tmp_path / "set.usda")
    moved, off = (bpy.data.objects[f"{name} Body"].rigid_body for name in ("Moved", "Off"))
    assert moved.kinematic and moved.type == "ACTIVE" and moved.mass == pytest.approx(4)
    assert off.type == "PASSIVE"
    assert not report.ground


def test_colliders_without_a_body_are_passive(simready: Any, tmp_path: Path) -> None:
    """A floor of exact surface, and a crate that comes to rest on it without a preview floor."""
    from pxr import UsdGeom

    stage = usd_assets.stage_at(tmp_path / "room.usda")
    UsdGeom.Xform.Define(stage, "/Room")
    floor = usd_assets.box(stage, "/Room/Floor", (-5, -5, -0.2), (5, 5, 0)).GetPrim()
    usd_assets.collider(floor, "none")
    prim = UsdGeom.Xform.Define(stage, "/Room/Crate")
    prim.AddTranslateOp().Set((0, 0, 1))
    usd_assets.body(prim.GetPrim(), {"mass": 5.0})
    crate = usd_assets.box(stage, "/Room/Crate/Mesh", (-0.5, -0.5, 0), (0.5, 0.5, 1)).GetPrim()
    usd_assets.collider(crate)
    usd_assets.finish(stage, "/Room")
    report = simready.import_simready(bpy.context, tmp_path / "room.usda")
    still = bpy.data.objects["Floor"]
    assert still.rigid_body.type == "PASSIVE"
    assert still.rigid_body.collision_shape == "MESH"
    assert report.ground == ""
    assert report.body == "Crate Body"
    assert report.mass == pytest.approx(5)
    play(150)
    assert abs(lowest([bpy.data.objects["Mesh"]])) < MILLIMETRE


def test_concave_requests_are_replaced_and_said(simready: Any, tmp_path: Path) -> None:
    for approximation in ("none", "meshSimplification", "sdf", "convexDecomposition"):
        path = usd_assets.crate(
            tmp_path / f"{approximation}.usda", "B", approximation=approximation
        )
        report = simready.import_simready(bpy.context, path, ground=False)
        hulls = [item for item in body_of(report).children if item.rigid_body]
        assert [item.rigid_body.collision_shape for item in hulls] == ["CONVEX_HULL"] * 2
        assert value(hulls[0], "physics:approximation") == approximation
        assert sum("a convex hull replaces it" in text for text in report.lost) == 2


def test_an_existing_world_is_extended_and_never_shortened(simready: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene
    bpy.ops.rigidbody.world_add()
    world = scene.rigidbody_world
    world.point_cache.frame_end = 900
    scene.frame_end = 400
    path = usd_assets.crate(tmp_path / "crate.usdc")
    simready.import_simready(bpy.context, path)
    assert world.point_cache.frame_end == 900
    scene.frame_end = 1200
    simready.import_simready(bpy.context, path)
    assert world.point_cache.frame_end == 1200
    assert scene.frame_end == 1200


def test_a_floor_only_where_nothing_is_passive(simready: Any, tmp_path: Path) -> None:
    path = usd_assets.crate(tmp_path / "crate.usdc")
    without = simready.import_simready(bpy.context, path, ground=False)
    assert without.ground == ""
    first = simready.import_simready(
        bpy.context, path, placement={"mode": "source", "location": [0, 0, 2.5]}
    )
    ground = bpy.data.objects[first.ground]
    assert ground.rigid_body.type == "PASSIVE" and ground.rigid_body.friction == 1.0
    assert ground.hide_render
    assert max((ground.matrix_world @ v.co).z for v in ground.data.vertices) == pytest.approx(2.5)
    assert any("preview floor" in note for note in first.notes)
    second = simready.import_simready(bpy.context, path)
    assert second.ground == ""


def test_joints_and_velocities_are_told(simready: Any, tmp_path: Path) -> None:
    from pxr import Usd, UsdPhysics

    path = usd_assets.crate(tmp_path / "crate.usda")
    stage = Usd.Stage.Open(str(path))
    joint = UsdPhysics.RevoluteJoint.Define(stage, "/Crate/Hinge")
    joint.CreateBody0Rel().SetTargets(["/Crate"])
    joint.CreateLowerLimitAttr(-30.0)
    UsdPhysics.RigidBodyAPI(stage.GetPrimAtPath("/Crate")).CreateVelocityAttr((1, 0, 0))
    stage.GetRootLayer().Save()
    report = simready.import_simready(bpy.context, path)
    said = " ".join(report.lost)
    assert "1 joint not rebuilt (Hinge)" in said
    assert "starts with a velocity" in said
    hinge = bpy.data.objects["Hinge"]
    assert value(hinge, "physics:lowerLimit") == -30
    assert value(hinge, "physics:body0") == ["/Crate"]


def test_another_first_frame(simready: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 40, 400
    report = simready.import_simready(bpy.context, usd_assets.crate(tmp_path / "crate.usdc"))
    cache = scene.rigidbody_world.point_cache
    assert (cache.frame_start, cache.frame_end) == (40, 400)
    drop(report)
    heights: dict[int, float] = {}
    play(200, lambda frame: heights.setdefault(frame, place(body_of(report)).z))
    assert heights[40] == pytest.approx(0.95, abs=1e-3)
    assert heights[46] < 0.8
    assert heights[200] == pytest.approx(0.45, abs=MILLIMETRE)


def test_it_falls_in_a_saved_file_too(simready: Any, tmp_path: Path) -> None:
    report = simready.import_simready(bpy.context, usd_assets.crate(tmp_path / "crate.usdc"))
    drop(report)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    body = body_of(report)
    assert value(body, "SimReady_Metadata")["asset_name"] == "Crate"
    assert value(body, "physics:diagonalInertia") == pytest.approx([2.1, 2.1, 2.0])
    play(150)
    assert body.rigid_body.mass == pytest.approx(12.5)
    assert place(body).z == pytest.approx(0.45, abs=MILLIMETRE)


def test_without_a_window_as_in_a_timer(simready: Any, tmp_path: Path) -> None:
    path = usd_assets.crate(tmp_path / "crate.usdc")
    with bpy.context.temp_override(window=None):
        assert bpy.context.window is None
        report = simready.import_simready(bpy.context, path)
    assert report.physics and body_of(report).rigid_body.mass == pytest.approx(12.5)
