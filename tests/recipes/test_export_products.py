# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe export_products: one sound GLB for each product, whatever is wrong with another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bridge.blender import run_recipe
from bridge.problems import Category, ProblemError
from tests.support import gltf, scenes

bpy = pytest.importorskip("bpy")


@pytest.fixture(autouse=True)
def empty_scene() -> Iterator[None]:
    bpy.ops.wm.read_homefile(use_empty=True)
    yield


def export(tmp_path: Path, products: str = "object", **more: Any) -> dict[str, Any]:
    """Save what is open, export its products in another process."""
    blend = tmp_path / "Szene ü 🪑.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), copy=True, compress=False)
    params = {
        "blend": str(blend),
        "select": None,
        "output": str(tmp_path / "out"),
        "products": products,
        "options": {},
        "max_bytes": scenes.LIMIT,
        **more,
    }
    program = scenes.this_blender()
    return run_recipe(
        "export_products", params, workdir=tmp_path / "work", program=program, timeout=120
    )


def rows(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows by name; what is true of every good one is looked at here."""
    named = {row["name"]: row for row in result["products"]}
    assert len(named) == len(result["products"])
    for row in result["products"]:
        if row["problem"]:
            assert row["path"] is None
            continue
        path = Path(row["path"])
        assert path.name == row["file_name"] and path.stat().st_size == row["bytes"]
        low, high = extent(path)
        # On the floor, in the middle, as large as the row says.
        assert low[2] == pytest.approx(0, abs=1e-5)
        assert [low[0] + high[0], low[1] + high[1]] == pytest.approx([0, 0], abs=1e-5)
        size = [high[axis] - low[axis] for axis in range(3)]
        assert size == pytest.approx(row["size_m"], rel=1e-4, abs=1e-5)
    return named


def extent(path: Path) -> tuple[list[float], list[float]]:
    """Lowest and highest corner in the file, Z up, metres."""
    clouds = [gltf.upright(points) for points in gltf.placed(path).values()]
    low = [min(float(cloud[:, axis].min()) for cloud in clouds) for axis in range(3)]
    high = [max(float(cloud[:, axis].max()) for cloud in clouds) for axis in range(3)]
    return low, high


def nodes(row: dict[str, Any]) -> set[str]:
    """The names of the nodes in a product's file."""
    document, _ = gltf.parts(Path(row["path"]))
    return {node["name"] for node in document["nodes"]}


def files(tmp_path: Path) -> set[str]:
    """What lies in the output folder."""
    return {path.name for path in (tmp_path / "out").iterdir()}


def into(name: str, *items: Any, above: Any = None) -> Any:
    """A collection in the scene that holds these objects and no other does."""
    made = bpy.data.collections.new(name)
    (above or bpy.context.scene.collection).children.link(made)
    for item in items:
        for old in item.users_collection:
            old.objects.unlink(item)
        made.objects.link(item)
    return made


# Objects


def test_names_sizes_and_broken_ones_among_good_ones(tmp_path: Path) -> None:
    seat = scenes.cube("Stuhl ü", size=100, at=(300, 200, 100))
    seat.rotation_euler = (0.3, 0.2, 0.1)
    leg = scenes.cube("Leg", size=20, at=(300, 200, 20))
    leg.parent, leg.matrix_parent_inverse = seat, seat.matrix_world.inverted()
    ghost = scenes.cube("Ghost", size=20, at=(900, 200, 20))
    ghost.parent = seat
    ghost.hide_set(True)
    scenes.cube("stuhl u", size=50)
    scenes.cube("🪑", size=50)
    scenes.cube("椅子", size=50)
    scenes.cube("CON", size=50)
    scenes.cube("Wall", size=30_000)
    scenes.cube("Crumb", size=0.3)
    scenes.cube("Nothing").data.clear_geometry()
    bpy.ops.object.light_add()
    bpy.context.scene.unit_settings.scale_length = 0.01
    result = export(tmp_path)
    found = rows(result)
    assert {name: row["file_name"] for name, row in found.items()} == {
        "Stuhl ü": "Stuhl_u.glb",
        "stuhl u": "stuhl_u-2.glb",
        "🪑": "product.glb",
        "椅子": "product-2.glb",
        "CON": "product_CON.glb",
        "Wall": "Wall.glb",
        "Crumb": "Crumb.glb",
        "Nothing": "Nothing.glb",
    }
    good = {name for name, row in found.items() if not row["problem"]}
    assert good == {"Stuhl ü", "stuhl u", "🪑", "椅子", "CON"}
    assert files(tmp_path) == {found[name]["file_name"] for name in good}
    assert nodes(found["Stuhl ü"]) == {"Stuhl ü", "Leg"}
    assert (found["Stuhl ü"]["triangles"], found["stuhl u"]["triangles"]) == (24, 12)
    assert found["stuhl u"]["size_m"] == pytest.approx([0.5, 0.5, 0.5])
    wall, crumb, nothing = (found[name]["problem"] for name in ("Wall", "Crumb", "Nothing"))
    assert wall["category"] == crumb["category"] == nothing["category"] == "input"
    assert wall["sentence"] == "The longest side of Wall is 300 m. Is that meant?"
    assert "Unit Scale" in wall["hint"] and "which makes it 3 m" not in crumb["hint"]
    assert "ignore_scale" in wall["technical"]
    assert crumb["sentence"] == "The longest side of Crumb is 3 mm. Is that meant?"
    assert "to 1, which makes it 30 cm" in crumb["hint"]
    assert nothing["sentence"] == "Nothing has no faces."
    assert found["Crumb"]["size_m"] == pytest.approx([0.003] * 3)


def test_unlikely_sizes_may_be_sent_but_nothing_above_the_limit(tmp_path: Path) -> None:
    scenes.cube("Crumb", size=0.003)
    bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=64)
    bpy.context.object.name = "Heavy"
    found = rows(export(tmp_path, options={"ignore_scale": True}, max_bytes=20_000))
    assert found["Crumb"]["problem"] is None
    assert found["Heavy"]["problem"]["category"] == "limit"
    assert files(tmp_path) == {"Crumb.glb"}


def test_all_broken_is_told_row_by_row_and_nothing_at_all_at_once(tmp_path: Path) -> None:
    scenes.cube("Nothing").data.clear_geometry()
    (row,) = export(tmp_path)["products"]
    assert row["problem"]["sentence"] == "Nothing has no faces."
    bpy.data.objects.remove(bpy.data.objects["Nothing"])
    bpy.ops.object.camera_add()
    with pytest.raises(ProblemError) as caught:
        export(tmp_path)
    assert caught.value.problem.category is Category.INPUT
    assert caught.value.problem.sentence == "The scene shows no mesh."


def test_one_product_from_what_is_named(tmp_path: Path) -> None:
    scenes.cube("Seat", at=(5, 0, 1))
    scenes.cube("Back", at=(5, 0, 3))
    scenes.cube("Other")
    found = rows(export(tmp_path, "one", select=["Back", "Seat"]))
    assert list(found) == ["Back"]
    assert nodes(found["Back"]) == {"Seat", "Back"}
    assert found["Back"]["size_m"] == pytest.approx([2, 2, 4])


def test_lost_textures_are_told_with_their_product(tmp_path: Path) -> None:
    good, bad = scenes.cube("Good"), scenes.cube("Bad")
    image = bpy.data.images.new("Red", 8, 8)
    scenes.fill(image, (1, 0, 0, 1))
    image.pack()
    scenes.material(good, image, "Fine")
    lost = bpy.data.images.new("Gone", 8, 8)
    lost.source, lost.filepath = "FILE", str(tmp_path / "gone.png")
    scenes.material(bad, lost, "Poor")
    found = rows(export(tmp_path))
    assert list(gltf.images(Path(found["Good"]["path"]))) == ["Red"]
    assert found["Good"]["notes"] == [] and found["Good"]["materials"] == ["Fine"]
    assert found["Bad"]["problem"] is None
    assert found["Bad"]["notes"] == [
        "Material Poor lost its texture Gone: the image file is missing."
    ]


# Collections and instances


def test_collections(tmp_path: Path) -> None:
    chair = into("Chair", scenes.cube("Seat", at=(9, 0, 0)))
    into("Legs", scenes.cube("Leg", at=(9, 0, -2)), above=chair)
    lamp = into("Lamp", scenes.cube("Foot"), scenes.cube("Bulb", at=(0, 0, 2)))
    hidden = scenes.cube("Spare", at=(0, 0, 50))
    into("Spares", hidden, above=lamp)
    hidden.hide_set(True)
    loose = scenes.cube("Loose")
    for old in loose.users_collection:
        old.objects.unlink(loose)
    bpy.context.scene.collection.objects.link(loose)
    found = rows(export(tmp_path, "collection"))
    assert {name: nodes(row) for name, row in found.items()} == {
        "Chair": {"Seat", "Leg"},
        "Lamp": {"Foot", "Bulb"},
        "Loose": {"Loose"},
    }
    assert found["Chair"]["size_m"] == pytest.approx([2, 2, 4])
    # By its own name, and by an object's in it.
    assert list(rows(export(tmp_path, "collection", select=["Lamp", "Leg"]))) == ["Lamp", "Legs"]


def test_instances(tmp_path: Path) -> None:
    parts = bpy.data.collections.new("Parts")
    for name, size in (("Top", (4, 2, 1)), ("Nub", (1, 1, 3))):
        item = scenes.cube(name)
        item.scale = [value / 2 for value in size]
        bpy.context.collection.objects.unlink(item)
        parts.objects.link(item)
    empty = bpy.data.collections.new("Empty")
    for name, group, turn, scale in (
        ("Table", parts, (0, 0, 0.7), 1.0),
        ("Table.001", parts, (0, 0, 2.0), 1.0),
        ("Small", parts, (0, 0, 0), 0.5),
        ("Tilted", parts, (1.5707963, 0, 0), 1.0),
        ("Void", empty, (0, 0, 0), 1.0),
    ):
        bpy.ops.object.collection_instance_add(collection=group.name, location=(7, 8, 9))
        item = bpy.context.object
        item.name, item.rotation_euler, item.scale = name, turn, (scale,) * 3
    scenes.cube("Cube")
    result = export(tmp_path, "instance")
    found = rows(result)
    assert list(found) == ["Table", "Small", "Tilted", "Void"]
    assert found["Table"]["size_m"] == pytest.approx([4, 2, 3], abs=1e-5)
    assert found["Small"]["size_m"] == pytest.approx([2, 1, 1.5], abs=1e-5)
    assert found["Tilted"]["size_m"] == pytest.approx([4, 3, 2], abs=1e-5)
    assert found["Void"]["problem"]["sentence"] == "Void has no faces."
    assert result["notes"] == [
        "Not sent, because they are no collection instances: Cube.",
        "Sent once, because it looks the same as Table: Table.001.",
    ]


# Variants, animation


def variant_scene() -> Any:
    """A cube in two slots; the first is red, blue or (by no slot of its own) green."""
    settings = bpy.context.preferences.addons["io_scene_gltf2"].preferences
    if not settings.KHR_materials_variants_ui:
        settings.KHR_materials_variants_ui = True
    item = scenes.cube("Vase")
    image = bpy.data.images.new("Green", 8, 8)
    scenes.fill(image, (0, 1, 0, 1))
    image.pack()
    looks = [
        scenes.material(item, None, "Red"),
        scenes.material(item, None, "Rim"),
    ]
    item.data.materials.append(None)
    looks += [scenes.material(item, None, "Blue"), scenes.material(item, image, "Leaves")]
    for _ in range(3):
        item.data.materials.pop()
    item.data.polygons[0].material_index = 1
    scene = bpy.data.scenes[0]
    for number, (name, look) in enumerate(
        (("Rot", looks[0]), ("Blau", looks[2]), ("Grün", looks[3]))
    ):
        bpy.ops.scene.gltf2_variant_add()
        scene.gltf2_KHR_materials_variants_variants[number].name = name
        scene.gltf2_active_variant = number
        item.material_slots[0].material = look
        bpy.ops.scene.gltf2_assign_to_variant()
    item.material_slots[0].material = looks[0]
    bpy.ops.scene.gltf2_assign_as_original()
    scene.gltf2_active_variant = 1
    bpy.ops.scene.gltf2_display_variant()
    assert item.material_slots[0].material == looks[2]
    return item


def variant_looks(row: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The default material of the first slot, and the material by variant, as the file tells."""
    document, _ = gltf.parts(Path(row["path"]))
    told = document["extensions"]["KHR_materials_variants"]["variants"]
    (primitive,) = [
        part
        for part in document["meshes"][0]["primitives"]
        if "KHR_materials_variants" in part.get("extensions", {})
        and len(part["extensions"]["KHR_materials_variants"]["mappings"]) > 1
    ]
    names = [material["name"] for material in document["materials"]]
    mappings = primitive["extensions"]["KHR_materials_variants"]["mappings"]
    looks = {told[n]["name"]: names[one["material"]] for one in mappings for n in one["variants"]}
    return names[primitive["material"]], looks


@pytest.mark.parametrize("way", ["plain", "modified", "animation"])
def test_material_variants_go_along(tmp_path: Path, way: str) -> None:
    item = variant_scene()
    item.modifiers.new("Round", "BEVEL") if way == "modified" else None
    bpy.context.scene.name = "Zoo"
    bpy.data.scenes.new("Later")
    scenes.cube("Bare", at=(5, 0, 0))
    found = rows(export(tmp_path, options={"animation": way == "animation"}))
    row = found["Vase"]
    assert row["variants"] == ["Rot", "Blau", "Grün"]
    default, looks = variant_looks(row)
    assert looks == {"Rot": "Red", "Blau": "Blue", "Grün": "Leaves"}
    assert default == "Red"
    assert {"Red", "Blue", "Leaves", "Rim"} == set(row["materials"])
    assert list(gltf.images(Path(row["path"]))) == ["Green"]
    assert row["notes"] == []
    assert found["Bare"]["variants"] == [] and found["Bare"]["problem"] is None
    document, _ = gltf.parts(Path(row["path"]))
    assert "extras" not in json.dumps(document)


def test_animation_stays_and_stands_on_the_floor(tmp_path: Path) -> None:
    item = scenes.cube("Mobile", size=50, at=(100, 200, 300))
    item.keyframe_insert("location", frame=1)
    item.location.z += 50
    item.keyframe_insert("location", frame=20)
    scenes.cube("Still", size=50, at=(-100, 0, 0))
    bpy.context.scene.unit_settings.scale_length = 0.01
    found = rows(export(tmp_path, options={"animation": True}))
    document, _ = gltf.parts(Path(found["Mobile"]["path"]))
    assert len(document["animations"]) == 1
    assert found["Mobile"]["size_m"] == pytest.approx([0.5, 0.5, 0.5])
    assert nodes(found["Mobile"]) == {"Mobile"}
    assert "animations" not in gltf.parts(Path(found["Still"]["path"]))[0]


def test_building_one_product_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    """Modifiers and drivers that look at other objects, which are products too."""
    names = ("First", "Second", "Third")
    for name in names:
        item = scenes.cube(name, at=(3, 0, 0))
        item.modifiers.new("Row", "ARRAY").count = 3
    for name, other in pairwise(names):
        driver = bpy.data.objects[name].driver_add("scale", 2).driver
        variable = driver.variables.new()
        variable.name, variable.type = "other", "TRANSFORMS"
        variable.targets[0].id = bpy.data.objects[other]
        variable.targets[0].transform_type = "LOC_X"
        driver.expression = "other"
    for name, row in rows(export(tmp_path)).items():
        assert row["size_m"] == pytest.approx([6, 2, 2 if name == "Third" else 6]), name
        assert nodes(row) == {name}
        document, _ = gltf.parts(Path(row["path"]))
        assert [mesh["name"] for mesh in document["meshes"]] == [name]


def test_products_that_share_a_mesh_keep_its_name(tmp_path: Path) -> None:
    first = scenes.cube("First")
    second = bpy.data.objects.new("Second", first.data)
    second.scale = (1, 1, 2)
    bpy.context.collection.objects.link(second)
    both = into("Both", scenes.cube("Third"))
    both.objects.link(first)
    bpy.context.view_layer.update()
    for row in rows(export(tmp_path)).values():
        document, _ = gltf.parts(Path(row["path"]))
        mesh = "Third" if row["name"] == "Third" else "First"
        assert (nodes(row), document["meshes"][0]["name"]) == ({row["name"]}, mesh)
