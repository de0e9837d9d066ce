# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe export_glb on .blend files, as the command line sends them: what is in the GLB, and what
is said when something cannot be."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.problems import Category, ProblemError
from tests.support import gltf, scenes

bpy = pytest.importorskip("bpy")


@pytest.fixture(autouse=True)
def empty_scene() -> Iterator[None]:
    bpy.ops.wm.read_homefile(use_empty=True)
    yield


def export(tmp_path: Path, select: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """Save what is open, export it in another process."""
    blend = tmp_path / "Szene ü 🪑.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), copy=True, compress=False)
    return scenes.export({"blend": str(blend), "select": select, **more}, tmp_path / "work")


def refused(tmp_path: Path, select: list[str] | None = None, **more: Any) -> Any:
    with pytest.raises(ProblemError) as caught:
        export(tmp_path, select, **more)
    assert not list((tmp_path / "work").glob("*.glb"))
    return caught.value.problem


# What is in it


def test_only_what_was_chosen(tmp_path: Path) -> None:
    scenes.cube("Chosen 🪑")
    scenes.cube("Other")
    bpy.ops.object.light_add()
    bpy.ops.object.camera_add()
    result = export(tmp_path, ["Chosen 🪑"])
    document, _ = gltf.parts(Path(result["path"]))
    assert [node["name"] for node in document["nodes"]] == ["Chosen 🪑"]
    assert [mesh["name"] for mesh in document["meshes"]] == ["Chosen 🪑"]
    assert "cameras" not in document and "extensionsUsed" not in document
    assert (result["triangles"], result["objects"], result["bytes"]) == (
        12,
        1,
        Path(result["path"]).stat().st_size,
    )


def test_everything_visible(tmp_path: Path) -> None:
    scenes.cube("One")
    scenes.cube("Hidden").hide_set(True)
    assert export(tmp_path)["objects"] == 1


def test_y_up_and_metres(tmp_path: Path) -> None:
    scenes.cube("Post", size=200, at=(100, 200, 300))
    bpy.context.scene.unit_settings.scale_length = 0.01
    result = export(tmp_path)
    points = gltf.placed(Path(result["path"]))["Post"]
    assert points.min(axis=0).tolist() == pytest.approx([0, 2, -3], abs=1e-5)
    assert points.max(axis=0).tolist() == pytest.approx([2, 4, -1], abs=1e-5)


def test_modifiers_and_shape_keys_are_applied(tmp_path: Path) -> None:
    item = scenes.cube("Made")
    item.shape_key_add(name="Basis")
    for point in item.shape_key_add(name="Tall").data:
        point.co.z *= 3
    item.data.shape_keys.key_blocks["Tall"].value = 1.0
    item.modifiers.new("Row", "ARRAY").count = 5
    result = export(tmp_path)
    assert result["triangles"] == 60
    points = gltf.upright(gltf.placed(Path(result["path"]))["Made"])
    assert points.max(axis=0).tolist() == pytest.approx([9, 1, 3])
    document, _ = gltf.parts(Path(result["path"]))
    assert "targets" not in document["meshes"][0]["primitives"][0]


def test_armature_poses_the_mesh(tmp_path: Path) -> None:
    bpy.ops.object.armature_add()
    bones = bpy.context.object
    item = scenes.cube("Skin")
    item.modifiers.new("Bones", "ARMATURE").object = bones
    item.vertex_groups.new(name="Bone").add(range(8), 1.0, "REPLACE")
    bones.pose.bones["Bone"].location = (0, 4, 0)  # along the bone: up
    result = export(tmp_path, ["Skin"])
    points = gltf.upright(gltf.placed(Path(result["path"]))["Skin"])
    assert points[:, 2].mean() == pytest.approx(4, abs=1e-5)
    document, _ = gltf.parts(Path(result["path"]))
    assert "skins" not in document


@pytest.mark.parametrize("kind", ["curve", "text", "surface", "metaball"])
def test_kinds_that_become_meshes(tmp_path: Path, kind: str) -> None:
    if kind == "curve":
        bpy.ops.curve.primitive_bezier_circle_add()
        bpy.context.object.data.bevel_depth = 0.1
    elif kind == "text":
        bpy.ops.object.text_add()
    elif kind == "surface":
        bpy.ops.surface.primitive_nurbs_surface_sphere_add()
    else:
        bpy.ops.object.metaball_add()
    item = bpy.context.object
    item.name = "Shape"
    depsgraph = bpy.context.evaluated_depsgraph_get()
    mesh = item.evaluated_get(depsgraph).to_mesh()
    wanted = len(mesh.loops) - 2 * len(mesh.polygons)
    assert wanted > 0
    result = export(tmp_path, ["Shape"])
    assert result["triangles"] == wanted
    assert list(gltf.placed(Path(result["path"]))) == ["Shape"]


def test_curve_that_bends_a_chosen_mesh_still_bends_it(tmp_path: Path) -> None:
    bpy.ops.curve.primitive_bezier_circle_add(radius=5)
    path = bpy.context.object
    path.name = "Path"
    item = scenes.cube("Chain")
    item.modifiers.new("Row", "ARRAY").count = 12
    item.modifiers.new("Bend", "CURVE").object = path
    expected = scenes.evaluated_points(item)
    result = export(tmp_path, ["Path", "Chain"])
    points = gltf.upright(gltf.placed(Path(result["path"]))["Chain"])
    assert points.min(axis=0).tolist() == pytest.approx(expected.min(axis=0).tolist(), abs=1e-4)
    assert points.max(axis=0).tolist() == pytest.approx(expected.max(axis=0).tolist(), abs=1e-4)


def _collection_of_parts() -> Any:
    group = bpy.data.collections.new("Parts")
    for name, x in (("Leg", 0.0), ("Seat", 5.0)):
        item = scenes.cube(name, at=(x, 0, 0))
        bpy.context.collection.objects.unlink(item)
        group.objects.link(item)
    bpy.ops.curve.primitive_bezier_circle_add(location=(20, 0, 0))
    ring = bpy.context.object
    ring.name = "Ring"
    ring.data.bevel_depth = 0.1
    bpy.context.collection.objects.unlink(ring)
    group.objects.link(ring)
    return group


def test_collection_instances(tmp_path: Path) -> None:
    group = _collection_of_parts()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    ring = bpy.data.objects["Ring"].evaluated_get(depsgraph).to_mesh()
    ring_triangles = len(ring.loops) - 2 * len(ring.polygons)
    for number, x in enumerate((0, 100)):
        bpy.ops.object.collection_instance_add(collection=group.name, location=(x, 0, 0))
        bpy.context.object.name = f"Chair {number}"
    result = export(tmp_path, ["Chair 0", "Chair 1"])
    assert result["triangles"] == 2 * (24 + ring_triangles)
    assert result["meshes"] == 3  # shared
    points = gltf.placed(Path(result["path"]))
    centres = sorted(round(float(p[:, 0].mean())) for n, p in points.items() if n[:4] != "Ring")
    assert centres == [0, 5, 100, 105]
    document, _ = gltf.parts(Path(result["path"]))
    roots = [document["nodes"][n]["name"] for n in document["scenes"][0]["nodes"]]
    assert sorted(roots) == ["Chair 0", "Chair 1"]


@pytest.mark.parametrize("what", ["mesh", "object"])
def test_geometry_nodes_instances(tmp_path: Path, what: str) -> None:
    item = scenes.cube("Points")
    group = scenes.nodes_group()
    nodes, link = group.nodes, group.links.new
    spread = nodes.new("GeometryNodeInstanceOnPoints")
    if what == "mesh":
        part = nodes.new("GeometryNodeMeshCube")
        link(part.outputs["Mesh"], spread.inputs["Instance"])
    else:
        pebble = scenes.cube("Pebble", at=(90, 0, 0))
        part = nodes.new("GeometryNodeObjectInfo")
        part.inputs["Object"].default_value = pebble
        link(part.outputs["Geometry"], spread.inputs["Instance"])
    spread.inputs["Scale"].default_value = (0.1, 0.1, 0.1)
    join = nodes.new("GeometryNodeJoinGeometry")
    link(nodes["Group Input"].outputs[0], spread.inputs["Points"])
    link(nodes["Group Input"].outputs[0], join.inputs[0])
    link(spread.outputs[0], join.inputs[0])
    link(join.outputs[0], nodes["Group Output"].inputs[0])
    item.modifiers.new("Spread", "NODES").node_group = group
    result = export(tmp_path, ["Points"])
    assert result["triangles"] == 12 + 8 * 12
    assert result["meshes"] == 2


def test_instances_on_faces(tmp_path: Path) -> None:
    child = scenes.cube("Nail", size=0.1)
    parent = scenes.cube("Board")
    child.parent = parent
    parent.instance_type = "FACES"
    result = export(tmp_path, ["Board", "Nail"])
    assert result["triangles"] == 12 + 6 * 12


def test_hierarchy_and_properties(tmp_path: Path) -> None:
    """Names, parents and properties for the service come along; private properties do not."""
    bpy.ops.object.empty_add(location=(0, 0, 3))
    root = bpy.context.object
    root.name = "Chair"
    root["simready_mass_kg"] = 4.5
    root["client_notes"] = "secret"
    leg = scenes.cube("Leg", at=(1, 0, 0))
    leg.parent = root
    leg["simready_material"] = "oak"
    leg["price"] = 12
    leg.data["author"] = "somebody"
    made = scenes.material(leg, None, "Wood")
    made["simready_density"] = 700.0
    made["licence"] = "private"
    bpy.context.scene["project"] = "secret"
    result = export(tmp_path, ["Chair"])
    document, _ = gltf.parts(Path(result["path"]))
    by_name = {node["name"]: node for node in document["nodes"]}
    assert by_name["Chair"]["extras"] == {"simready_mass_kg": 4.5}
    assert by_name["Leg"]["extras"] == {"simready_material": "oak"}
    assert document["nodes"].index(by_name["Leg"]) in by_name["Chair"]["children"]
    assert document["materials"][0]["extras"] == {"simready_density": 700.0}
    text = Path(result["path"]).read_bytes()
    for word in (b"secret", b"somebody", b"licence", b"private", b"price"):
        assert word not in text
    points = gltf.upright(gltf.placed(Path(result["path"]))["Leg"])
    assert points.mean(axis=0).tolist() == pytest.approx([1, 0, 3])


def test_sheared_object_keeps_its_shape(tmp_path: Path) -> None:
    """A turned child of an unevenly scaled parent: no glTF node can say that."""
    parent = scenes.cube("Parent")
    parent.scale = (1, 5, 1)
    child = scenes.cube("Child")
    child.parent = parent
    child.rotation_euler = (0, 0, math.radians(30))
    expected = scenes.evaluated_points(child)
    result = export(tmp_path, ["Parent", "Child"])
    points = gltf.upright(gltf.placed(Path(result["path"]))["Child"])
    for point in expected:
        assert abs(points - point).max(axis=1).min() < 1e-4


def test_mirrored_object(tmp_path: Path) -> None:
    item = scenes.cube("Mirrored", at=(3, 0, 0))
    item.scale = (-1, 1, 1)
    item.data.vertices[0].co = (-4, -1, -1)
    expected = scenes.evaluated_points(item)
    result = export(tmp_path, ["Mirrored"])
    points = gltf.upright(gltf.placed(Path(result["path"]))["Mirrored"])
    for point in expected:
        assert abs(points - point).max(axis=1).min() < 1e-4


def test_material_on_the_object(tmp_path: Path) -> None:
    item = scenes.cube("Two")
    scenes.material(item, None, "Of the mesh")
    item.material_slots[0].link = "OBJECT"
    item.material_slots[0].material = bpy.data.materials.new("Of the object")
    result = export(tmp_path)
    document, _ = gltf.parts(Path(result["path"]))
    assert [entry["name"] for entry in document["materials"]] == ["Of the object"]


def test_hidden_and_switched_off_objects_can_be_named(tmp_path: Path) -> None:
    one, two, three = scenes.cube("One"), scenes.cube("Two"), scenes.cube("Three")
    one.hide_set(True)
    two.hide_viewport = True
    group = bpy.data.collections.new("Off")
    bpy.context.scene.collection.children.link(group)
    bpy.context.collection.objects.unlink(three)
    group.objects.link(three)
    bpy.context.view_layer.layer_collection.children["Off"].exclude = True
    result = export(tmp_path, ["One", "Two", "Three"])
    assert result["objects"] == 3 and result["triangles"] == 36


def test_animation_is_off_unless_asked_for(tmp_path: Path) -> None:
    item = scenes.cube("Moving")
    item.keyframe_insert("location", frame=1)
    item.location.x = 10
    item.keyframe_insert("location", frame=20)
    assert export(tmp_path)["animations"] == 0
    result = export(tmp_path, options={"animation": True})
    assert result["animations"] == 1 and result["triangles"] == 12


def test_linked_library(tmp_path: Path) -> None:
    scenes.cube("Linked")["private"] = "secret"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"), copy=True)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, to):
        to.objects = ["Linked"]
    bpy.context.collection.objects.link(to.objects[0])
    result = export(tmp_path, ["Linked"])
    assert result["triangles"] == 12
    assert b"secret" not in Path(result["path"]).read_bytes()


# Draco


def _draco_works() -> bool:
    """Whether this Blender can compress: it says so only in what it writes."""
    path = Path(bpy.app.tempdir) / "draco.glb"
    bpy.ops.export_scene.gltf(filepath=str(path), export_draco_mesh_compression_enable=True)
    return "KHR_draco_mesh_compression" in gltf.parts(path)[0].get("extensionsUsed", [])


def test_draco(tmp_path: Path) -> None:
    scenes.cube()
    works = _draco_works()
    # As measured: the wheels of 4.2.23 and 5.2.3 lack the library.
    assert works == (bpy.app.version[:2] in {(4, 5), (5, 0)})
    result = export(tmp_path, options={"draco": True})
    said = [note for note in result["notes"] if "Draco" in note]
    if works:
        assert "KHR_draco_mesh_compression" in result["extensions"] and not said
    else:
        assert result["extensions"] == []
        assert said == ["This Blender cannot compress with Draco: the file is sent uncompressed."]
    assert result["triangles"] == 12


# Textures


def _tree(item: Any, name: str = "Paint") -> tuple[Any, Any, Any]:
    made = scenes.material(item, None, name)
    return made, made.node_tree, made.node_tree.nodes["Principled BSDF"]


def test_textures_that_are_there(tmp_path: Path) -> None:
    item = scenes.cube()
    made, tree, shader = _tree(item)
    for number, into in enumerate(("Base Color", "Roughness", "Metallic", "Emission Color")):
        image = bpy.data.images.new(f"image {number}", 8, 8)
        scenes.fill(image, (0.5, 0.25, 1, 1))
        image.pack()
        scenes.feed(made, image, into)
    shader.inputs["Emission Strength"].default_value = 1.0
    normal = tree.nodes.new("ShaderNodeNormalMap")
    image = bpy.data.images.new("bumps", 8, 8, is_data=True)
    scenes.fill(image, (0.5, 0.5, 1, 1))
    image.pack()
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    tree.links.new(node.outputs["Color"], normal.inputs["Color"])
    tree.links.new(normal.outputs["Normal"], shader.inputs["Normal"])
    result = export(tmp_path)
    assert result["lost_textures"] == []
    assert result["images"] == 4  # metallic and roughness share one


def test_missing_image_file(tmp_path: Path) -> None:
    item = scenes.cube()
    image = bpy.data.images.new("Wood", 8, 8)
    scenes.fill(image, (1, 0, 0, 1))
    image.filepath_raw = str(tmp_path / "wood.png")
    image.file_format = "PNG"
    image.save()
    scenes.material(item, image, "Oak")
    (tmp_path / "wood.png").unlink()
    image.reload()
    result = export(tmp_path)
    assert result["lost_textures"] == [
        {
            "material": "Oak",
            "channel": "Base Color",
            "image": "Wood",
            "why": "the image file is missing",
        }
    ]


def test_procedural_texture(tmp_path: Path) -> None:
    item = scenes.cube()
    _, tree, shader = _tree(item, "Marble")
    noise = tree.nodes.new("ShaderNodeTexNoise")
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    tree.links.new(noise.outputs[0], ramp.inputs[0])
    tree.links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
    (lost,) = export(tmp_path)["lost_textures"]
    assert (lost["material"], lost["channel"], lost["image"]) == ("Marble", "Base Color", "")
    assert lost["why"] == "procedural textures (Noise Texture) must be baked to an image"


def test_unsupported_nodes(tmp_path: Path) -> None:
    item = scenes.cube()
    _, tree, shader = _tree(item, "Graded")
    image = bpy.data.images.new("Photo", 8, 8)
    scenes.fill(image, (1, 0, 0, 1))
    image.pack()
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    tree.links.new(node.outputs["Color"], ramp.inputs[0])
    tree.links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
    result = export(tmp_path)
    if result["images"]:  # the exporter passes the ramp by
        assert result["lost_textures"] == []
        assert any("Graded" in note and "Color Ramp" in note for note in result["notes"])
    else:
        (lost,) = result["lost_textures"]
        assert lost["image"] == "Photo"
        assert lost["why"] == "the nodes between image and shader cannot be sent"


def test_other_shader(tmp_path: Path) -> None:
    item = scenes.cube()
    _, tree, _ = _tree(item, "Matte")
    image = bpy.data.images.new("Photo", 8, 8)
    scenes.fill(image, (1, 0, 0, 1))
    image.pack()
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
    tree.links.new(node.outputs["Color"], diffuse.inputs["Color"])
    tree.links.new(diffuse.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    result = export(tmp_path)
    if result["images"]:  # some versions follow this shader
        assert result["lost_textures"] == []
    else:
        (lost,) = result["lost_textures"]
        assert lost["why"] == "its shader is not a Principled BSDF"


def test_texture_inside_a_group(tmp_path: Path) -> None:
    item = scenes.cube()
    _, tree, shader = _tree(item, "Grouped")
    group = bpy.data.node_groups.new("Look", "ShaderNodeTree")
    group.interface.new_socket("Color", in_out="OUTPUT", socket_type="NodeSocketColor")
    image = bpy.data.images.new("Photo", 8, 8)
    scenes.fill(image, (1, 0, 0, 1))
    image.pack()
    inner = group.nodes.new("ShaderNodeTexImage")
    inner.image = image
    group.links.new(inner.outputs["Color"], group.nodes.new("NodeGroupOutput").inputs[0])
    outer = tree.nodes.new("ShaderNodeGroup")
    outer.node_tree = group
    tree.links.new(outer.outputs[0], shader.inputs["Base Color"])
    result = export(tmp_path)
    assert (result["images"], result["lost_textures"]) == (1, [])
    group.nodes.remove(inner)
    group.links.new(
        group.nodes.new("ShaderNodeTexVoronoi").outputs["Color"],
        group.nodes["Group Output"].inputs[0],
    )
    (lost,) = export(tmp_path)["lost_textures"]
    assert "Voronoi" in lost["why"]


# What is refused


def test_unknown_name(tmp_path: Path) -> None:
    scenes.cube("Chair")
    scenes.cube("Table")
    problem = refused(tmp_path, ["chiar"])
    assert problem.category is Category.INPUT
    assert problem.sentence == "There is no object named chiar in the scene Scene."
    assert problem.hint == "Did you mean Chair?"


def test_nothing_with_a_surface(tmp_path: Path) -> None:
    bpy.ops.object.light_add()
    assert refused(tmp_path).sentence == "The scene shows no objects with faces."
    assert (
        refused(tmp_path, [bpy.context.object.name]).sentence
        == "The selected objects have no faces."
    )


def test_limit(tmp_path: Path) -> None:
    scenes.cube()
    problem = refused(tmp_path, max_bytes=1000)
    assert problem.category is Category.LIMIT
    assert problem.sentence.startswith("The exported file has ")
    assert "Decimate" in problem.hint


def test_newer_file(tmp_path: Path) -> None:
    path = tmp_path / "newer.blend"
    path.write_bytes(b"BLENDER17-01v0908REND" + bytes(100))
    with pytest.raises(ProblemError) as caught:
        scenes.export({"blend": str(path), "select": None}, tmp_path / "work")
    problem = caught.value.problem
    assert problem.category is Category.BLENDER
    assert "saved with Blender 9.8" in problem.sentence


@pytest.mark.parametrize("data", [b"not a blend", b"BLENDER-v402" + bytes(50)])
def test_damaged_blend(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.blend"
    path.write_bytes(data)
    with pytest.raises(ProblemError) as caught:
        scenes.export({"blend": str(path), "select": None}, tmp_path / "work")
    assert caught.value.problem.category is Category.INPUT
    assert "bad.blend" in caught.value.problem.sentence


def test_scripts_of_a_file_are_not_run(tmp_path: Path) -> None:
    scenes.cube()
    text = bpy.data.texts.new("run.py")
    text.write(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    text.use_module = True
    result = export(tmp_path)
    assert not (tmp_path / "ran").exists()
    assert any("scripts were not run" in note for note in result["notes"])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full's kind of disk")
def test_disk_that_is_too_small(tmp_path: Path) -> None:
    import subprocess

    scenes.cube()
    blend = tmp_path / "a.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), copy=True, compress=False)
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        with pytest.raises(ProblemError) as caught:
            params = {"blend": str(blend), "select": None, "output": str(place / "a.glb")}
            scenes.export(params, tmp_path / "work")
        assert caught.value.problem.category is Category.DISK
        assert "too little room" in caught.value.problem.sentence
        assert list(place.iterdir()) == []
    finally:
        subprocess.run(["umount", str(place)], check=True)
