# SPDX-License-Identifier: GPL-3.0-or-later
"""An import adds to the artist's scene and changes nothing in it; failing, it leaves no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest
from mathutils import Matrix

from tests.addon import usd_assets
from tests.addon.import_support import (
    body_of,
    collection_of,
    ids,
    lowest,
    play,
    positions,
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


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    usd_assets.png(tmp_path / "textures" / "wood.png")
    return usd_assets.crate(tmp_path / "crate.usdc", "B", texture="./textures/wood.png")


def artists_scene(tmp_path: Path) -> dict[str, Any]:
    """A scene whose names all collide with those of the crate."""
    scene = bpy.context.scene
    image = bpy.data.images.load(str(tmp_path / "textures" / "wood.png"))
    image.colorspace_settings.name = "Non-Color"
    image.alpha_mode = "CHANNEL_PACKED"
    wood = bpy.data.materials.new("Wood")
    wood.diffuse_color = (1, 0, 0, 1)
    home = bpy.data.collections.new("Crate")
    scene.collection.children.link(home)
    made = {"image": image, "material": wood, "collection": home}
    for name in ("Crate", "Body", "hull_0", "Crate Body", "Preview Ground"):
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
        mesh.materials.append(wood)
        made[name] = bpy.data.objects.new(name, mesh)
        home.objects.link(made[name])
    bpy.context.view_layer.update()
    return made


def test_nothing_of_the_artists_is_renamed_reused_or_changed(
    simready: Any, crate: Path, tmp_path: Path
) -> None:
    made = artists_scene(tmp_path)
    before = {name: (item, item.name) for name, item in made.items()}
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 10, 60
    scene.frame_set(33)
    world = scene.world
    report = simready.import_simready(bpy.context, crate, name="Crate", job_id="job")
    for item, name in before.values():
        assert item.name == name
    assert made["image"].colorspace_settings.name == "Non-Color"
    assert made["image"].alpha_mode == "CHANNEL_PACKED"
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (10, 60, 33)
    assert scene.world == world
    assert list(made["collection"].objects) == [
        made[name] for name in ("Crate", "Body", "hull_0", "Crate Body", "Preview Ground")
    ]
    collection = collection_of(report)
    assert collection != made["collection"] and collection.name == "Crate.001"
    imported = [
        item for item in collection.all_objects if item.type == "MESH" and item.data.materials
    ]
    (look,) = imported
    (material,) = look.data.materials
    assert material != made["material"] and material.name.startswith("Wood")
    assert tuple(made["material"].diffuse_color) == (1, 0, 0, 1)
    (image,) = (node.image for node in material.node_tree.nodes if node.type == "TEX_IMAGE")
    assert image != made["image"]
    assert image.colorspace_settings.name == "sRGB"
    assert made["image"].users == 0 and not made["material"].get("scene_courier:job")
    # Two imports share nothing that either could change.
    again = simready.import_simready(bpy.context, crate, name="Crate", job_id="job")
    assert not set(collection_of(again).all_objects) & set(collection.all_objects)
    assert len({m.name for m in bpy.data.materials}) == 3


def test_one_undo_step(simready: Any, crate: Path, tmp_path: Path) -> None:
    artists_scene(tmp_path)
    bpy.ops.ed.undo_push(message="before")
    before = ids()
    simready.import_simready(bpy.context, crate, name="Crate", job_id="job")
    after = ids()
    assert after != before
    assert bpy.ops.ed.undo() == {"FINISHED"}
    assert ids() == before
    assert bpy.context.scene.rigidbody_world is None
    assert bpy.ops.ed.redo() == {"FINISHED"}
    assert ids() == after
    report = simready.import_simready(bpy.context, crate, name="More", push_undo=False)
    assert report.collection == "More"
    bpy.ops.ed.undo()
    assert ids() == before


def test_placement_source_and_cursor(simready: Any, crate: Path) -> None:
    scene = bpy.context.scene

    def foot(report: Any) -> tuple[float, float, float]:
        shown = visible_meshes(collection_of(report).all_objects)
        low = lowest(shown)
        body = body_of(report).matrix_world.translation
        return (body.x, body.y, low)

    first = simready.import_simready(bpy.context, crate, placement=("source", (1, 2, 3)))
    assert foot(first) == pytest.approx((1, 2, 3), abs=1e-5)
    scene.cursor.location = (-4, 5, 0.25)
    second = simready.import_simready(bpy.context, crate, placement={"mode": "cursor"})
    assert foot(second) == pytest.approx((-4, 5, 0.25), abs=1e-5)
    # The cursor's place at the time of sending counts where it was noted.
    third = simready.import_simready(bpy.context, crate, placement=("cursor", (7, 0, 0)))
    assert foot(third) == pytest.approx((7, 0, 0), abs=1e-5)
    turned = [[0, -1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 2], [0, 0, 0, 1]]
    fourth = simready.import_simready(bpy.context, crate, placement={"matrix": turned})
    assert foot(fourth) == pytest.approx((1, 0, 2), abs=1e-5)
    fifth = simready.import_simready(bpy.context, crate)
    assert foot(fifth) == pytest.approx((0, 0, 0), abs=1e-5)


@pytest.mark.parametrize("metres", [1.0, 0.01])
@pytest.mark.parametrize("unit", [0.01, 0.001, 10.0])
def test_a_scene_in_other_units(simready: Any, tmp_path: Path, unit: float, metres: float) -> None:
    """The asset has its true size, and its weight, in a scene whose unit is no metre."""
    scene = bpy.context.scene
    scene.unit_settings.system = "METRIC"
    scene.unit_settings.scale_length = unit
    facts = {"density": 20.0 * metres**3}  # 20 kg/m3 in the file's units
    path = usd_assets.crate(tmp_path / "crate.usdc", "B", facts=facts, metres=metres)
    report = simready.import_simready(
        bpy.context, path, placement=("source", (5 / unit, 0, 2 / unit))
    )
    points = positions(visible_meshes(collection_of(report).all_objects))
    for axis, (low, high) in enumerate([(4.5, 5.5), (-0.5, 0.5), (2, 3)]):
        assert min(point[axis] for point in points) * unit == pytest.approx(low, abs=1e-4)
        assert max(point[axis] for point in points) * unit == pytest.approx(high, abs=1e-4)
    assert body_of(report).rigid_body.mass == pytest.approx(20.0, rel=1e-4)
    assert any("gravity" in note for note in report.notes)


def test_a_scene_in_centimetres_falls_and_rests(simready: Any, crate: Path) -> None:
    scene = bpy.context.scene
    scene.unit_settings.system = "METRIC"
    scene.unit_settings.scale_length = 0.01
    scene.gravity = (0, 0, -981)
    report = simready.import_simready(bpy.context, crate, placement=("source", (0, 0, 0)))
    assert not any("gravity" in note for note in report.notes)
    body = body_of(report)
    body.matrix_world = Matrix.Translation((0, 0, 50)) @ body.matrix_world
    play(60)
    meshes = visible_meshes(collection_of(report).all_objects)
    assert lowest(meshes) * 0.01 == pytest.approx(0.0, abs=0.001)


def test_a_turned_asset_stands_on_the_place(simready: Any, tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_uv_sphere_add(rotation=(0.785, 0.3, 0.2))
    path = tmp_path / "ball.usdc"
    bpy.ops.wm.usd_export(filepath=str(path), selected_objects_only=True)
    report = simready.import_simready(bpy.context, path, placement=("source", (3, 2, 4)))
    points = positions(visible_meshes(collection_of(report).all_objects))
    assert min(point.z for point in points) == pytest.approx(4.0, abs=1e-4)
    middle = [(min(p[i] for p in points) + max(p[i] for p in points)) / 2 for i in range(2)]
    assert middle == pytest.approx([3, 2], abs=1e-4)


def test_source_hidden_or_kept(simready: Any, crate: Path, tmp_path: Path) -> None:
    made = artists_scene(tmp_path)
    item = made["Crate"]
    simready.import_simready(bpy.context, crate, source=("keep", ["Crate"]))
    assert not item.hide_render and not item.hide_get()
    report = simready.import_simready(bpy.context, crate, source=("hide", ["Crate", "gone"]))
    assert item.hide_render and item.hide_get()
    assert not made["Body"].hide_render and not made["Body"].hide_get()
    assert report.hidden == ["Crate"]
    assert any("gone" in note for note in report.notes)
    assert value(collection_of(report), "scene_courier:hidden_sources") == ["Crate"]


def test_selection_and_active_collection(simready: Any, crate: Path, tmp_path: Path) -> None:
    made = artists_scene(tmp_path)
    layer = bpy.context.view_layer
    home = layer.layer_collection.children["Crate"]
    layer.active_layer_collection = home
    made["Body"].select_set(True)
    layer.objects.active = made["Body"]
    report = simready.import_simready(bpy.context, crate, select=False)
    assert [item.name for item in layer.objects if item.select_get()] == ["Body"]
    assert layer.objects.active == made["Body"]
    assert layer.active_layer_collection == home
    report = simready.import_simready(bpy.context, crate)
    assert [item.name for item in layer.objects if item.select_get()] == [report.body]
    assert layer.objects.active == body_of(report)
    assert layer.active_layer_collection == home


def test_refused_outside_object_mode(
    simready: Any, crate: Path, tmp_path: Path, extension: Any
) -> None:
    problems = extension.module("bridge.problems")
    made = artists_scene(tmp_path)
    bpy.context.view_layer.objects.active = made["Body"]
    bpy.ops.object.mode_set(mode="EDIT")
    before = ids()
    try:
        with pytest.raises(problems.ProblemError) as caught:
            simready.import_simready(bpy.context, crate)
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")
    problem = caught.value.problem
    assert problem.category == "input"
    assert "Edit Mesh" in problem.sentence and "Object Mode" in problem.hint
    assert ids() == before


@pytest.mark.parametrize("existing_world", [False, True])
def test_a_failure_leaves_no_trace(
    simready: Any,
    crate: Path,
    tmp_path: Path,
    extension: Any,
    monkeypatch: pytest.MonkeyPatch,
    existing_world: bool,
) -> None:
    problems = extension.module("bridge.problems")
    made = artists_scene(tmp_path)
    scene = bpy.context.scene
    if existing_world:
        bpy.ops.rigidbody.world_add()
    made["Body"].select_set(True)
    before = ids()

    def fail(*_arguments: Any, **_named: Any) -> None:
        raise ValueError("broken on purpose")

    monkeypatch.setattr(simready, "keep_all", fail)
    with pytest.raises(problems.ProblemError) as caught:
        simready.import_simready(bpy.context, crate, job_id="job", source=("hide", ["Crate"]))
    assert caught.value.problem.category == "blender"
    assert "broken on purpose" in caught.value.problem.technical
    assert ids() == before
    assert (scene.rigidbody_world is not None) == existing_world
    if existing_world:
        assert scene.rigidbody_world.point_cache.frame_end == 250
    assert [item.name for item in bpy.context.view_layer.objects if item.select_get()] == ["Body"]
    assert not made["Crate"].hide_render
    assert not [c for c in bpy.types.USDHook.__subclasses__() if c.is_registered]


def test_rigid_bodies_in_a_linked_collection(
    simready: Any, crate: Path, tmp_path: Path, extension: Any
) -> None:
    shared = bpy.data.collections.new("Shared")
    bpy.data.libraries.write(str(tmp_path / "library.blend"), {shared})
    bpy.data.collections.remove(shared)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, to):
        to.collections = ["Shared"]
    bpy.ops.rigidbody.world_add()
    bpy.context.scene.rigidbody_world.collection = to.collections[0]
    before = ids()
    with pytest.raises(extension.module("bridge.problems").ProblemError) as caught:
        simready.import_simready(bpy.context, crate)
    assert "linked from another file" in caught.value.problem.sentence
    assert "Rigid Body World" in caught.value.problem.hint
    assert ids() == before


def test_a_broken_file_is_a_problem(simready: Any, tmp_path: Path, extension: Any) -> None:
    problems = extension.module("bridge.problems")
    broken = tmp_path / "broken.usda"
    broken.write_text("not a stage", encoding="utf-8")
    before = ids()
    with pytest.raises(problems.ProblemError) as caught:
        simready.import_simready(bpy.context, broken)
    assert caught.value.problem.category == "blender"
    assert "could not import" in caught.value.problem.sentence
    with pytest.raises(problems.ProblemError) as caught:
        simready.import_simready(bpy.context, tmp_path / "absent.usd")
    assert caught.value.problem.category == "input"
    assert "absent.usd" in caught.value.problem.sentence
    assert ids() == before


def test_replace_takes_only_its_own_jobs_import(simready: Any, crate: Path, tmp_path: Path) -> None:
    made = artists_scene(tmp_path)
    other = simready.import_simready(bpy.context, crate, name="Other", job_id="other")
    first = simready.import_simready(bpy.context, crate, name="Asset", job_id="mine")
    clean = ids()
    lamp = bpy.data.objects.new("Lamp", None)
    collection_of(first).objects.link(lamp)
    lamp.parent = body_of(first)
    lamp.location = (1, 1, 1)
    bpy.context.view_layer.update()
    # Made by the artist in place of an imported object, under its name.
    hulls = collection_of(first).children[0].objects
    (theirs,) = (item for item in hulls if item.name.startswith("hull_1"))
    name = theirs.name
    bpy.data.meshes.remove(theirs.data)
    own = bpy.data.objects.new(name, None)
    collection_of(first).objects.link(own)
    stood = lamp.matrix_world.translation.copy()
    second = simready.import_simready(bpy.context, crate, name="Asset", job_id="mine", replace=True)
    assert second.collection == "Asset"
    assert [c.name for c in bpy.data.collections if c.get("scene_courier:job") == "mine"] == [
        "Asset",
        *[c.name for c in collection_of(second).children],
    ]
    assert other.collection in bpy.data.collections
    assert lamp.name in bpy.context.scene.collection.objects
    assert (lamp.matrix_world.translation - stood).length < 1e-5
    assert own.name in bpy.context.scene.collection.objects
    assert any("Lamp" in note and name in note for note in second.notes)
    counts = {kind: len(names) for kind, names in ids().items()}
    wanted = {kind: len(names) for kind, names in clean.items()}
    assert counts == {**wanted, "objects": wanted["objects"] + 2}
    for name in ("Crate", "Body", "hull_0"):
        assert bpy.data.objects[name] == made[name]
    assert body_of(second).rigid_body.mass == pytest.approx(12.5)
    # Without `replace` the earlier import stays.
    simready.import_simready(bpy.context, crate, name="Asset", job_id="mine")
    assert {"Asset", "Asset.001"} <= set(bpy.data.collections.keys())


def test_two_scenes_keep_apart(simready: Any, crate: Path) -> None:
    other = bpy.data.scenes.new("Other")
    report = simready.import_simready(bpy.context, crate)
    assert len(other.objects) == 0 and other.rigidbody_world is None
    assert body_of(report).name in bpy.context.scene.objects


def test_find_usd(simready: Any, tmp_path: Path, extension: Any) -> None:
    problems = extension.module("bridge.problems")
    with pytest.raises(problems.ProblemError) as caught:
        simready.find_usd(tmp_path)
    assert caught.value.problem.category == "input"
    for name in (
        "usd/chair/.thumbs/256x256/chair.usd",
        "usd/chair/parts/aaa.usd",
        "usd/chair/aaa.usd",
        "usd/chair/chair.usd",
        "mjcf/deep/er/x.usd",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert simready.find_usd(tmp_path) == tmp_path / "usd/chair/chair.usd"
