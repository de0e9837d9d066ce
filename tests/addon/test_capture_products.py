# SPDX-License-Identifier: GPL-3.0-or-later
"""The products of a selection: what the panel may show, what Send captures, and that the recipe
finds the same in the copy.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bridge.blender import run_recipe
from tests.support import gltf, scenes
from tests.support.extension import Extension

bpy = pytest.importorskip("bpy")
pytestmark = pytest.mark.usefixtures("clean_scene")

MODES = ("object", "collection", "instance", "one")


@pytest.fixture
def capture(extension: Extension) -> ModuleType:
    """``addon.capture`` of the installed extension."""
    return extension.module("addon.capture")


def names(capture: ModuleType, mode: str) -> list[str]:
    return [product.name for product in capture.products(bpy.context, mode)]


def shop() -> dict[str, Any]:
    """A seat with a leg (in a collection, with a hidden part), a lamp, two instances; by name."""
    made = {
        "Seat": scenes.cube("Seat", at=(2, 0, 1)),
        "Leg": scenes.cube("Leg", at=(2, 0, -1)),
        "Spare": scenes.cube("Spare", at=(9, 9, 9)),
        "Lamp": scenes.cube("Lamp", at=(-4, 0, 0)),
    }
    for name in ("Leg", "Spare"):
        made[name].parent = made["Seat"]
        made[name].matrix_parent_inverse = made["Seat"].matrix_world.inverted()
    chair = bpy.data.collections.new("Chair")
    bpy.context.scene.collection.children.link(chair)
    for name in ("Seat", "Leg", "Spare"):
        for old in made[name].users_collection:
            old.objects.unlink(made[name])
        chair.objects.link(made[name])
    made["Spare"].hide_set(True)
    for name in ("One", "Two"):
        bpy.ops.object.collection_instance_add(collection="Chair", location=(9, 0, 0))
        made[name] = bpy.context.object
        made[name].name = name
    bpy.context.view_layer.update()
    return made


def test_what_makes_a_product(capture: ModuleType) -> None:
    made = shop()
    scenes.select(made["Lamp"], made["Seat"])
    assert sorted(names(capture, "object")) == ["Lamp", "Seat"]
    # The lamp lies in no collection but the scene's own.
    assert sorted(names(capture, "collection")) == ["Chair", "Lamp"]
    assert names(capture, "instance") == []
    assert names(capture, "one") == ["Seat"]
    members = {p.name: {o.name for o in p.objects} for p in capture.products(bpy.context, "object")}
    assert members == {"Lamp": {"Lamp"}, "Seat": {"Seat", "Leg"}}
    # A child that is selected too belongs to what is selected above it.
    scenes.select(made["Leg"], made["Seat"])
    assert names(capture, "object") == ["Seat"]
    scenes.select(made["Leg"])
    assert names(capture, "object") == ["Leg"]
    # Two instances of one collection in one size look alike.
    scenes.select(made["One"], made["Two"])
    assert names(capture, "instance") == ["One"]
    assert sorted(names(capture, "object")) == ["One", "Two"]
    made["Two"].scale = (2, 2, 2)
    bpy.context.view_layer.update()
    assert sorted(names(capture, "instance")) == ["One", "Two"]
    scenes.select()
    assert [names(capture, mode) for mode in MODES] == [[], [], [], []]


def test_bones_do_not_name_a_product(capture: ModuleType) -> None:
    bpy.ops.object.armature_add()
    bones = bpy.context.object
    item = scenes.cube("Robot")
    item.parent = bones
    scenes.select(bones, item)
    assert names(capture, "object") == ["Robot"]


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ("object", "Nothing is selected."),
        ("instance", "The selection has no collection instance."),
        ("collection", "The selection has no mesh."),
        ("one", "The selected products have no faces."),
    ],
)
def test_what_stands_in_the_way(capture: ModuleType, mode: str, sentence: str) -> None:
    if mode == "object":
        scenes.select()
    elif mode == "collection":
        bpy.ops.object.camera_add()
        scenes.select(bpy.context.object)
    elif mode == "one":
        scenes.cube().data.clear_geometry()
    else:
        scenes.cube()
    bpy.context.view_layer.update()
    (problem,) = capture.check(bpy.context, {}, products=mode)
    assert problem.sentence == sentence and problem.hint


def test_a_parent_alone_brings_its_children(capture: ModuleType, tmp_path: Path) -> None:
    """Also where the artist sees them: a played simulation is not in the file."""
    bpy.ops.object.empty_add()
    top = bpy.context.object
    top.name = "Set"
    for name, x in (("Left", -2), ("Right", 2)):
        scenes.cube(name, at=(x, 0, 0)).parent = top
    broken = scenes.cube("Broken")
    broken.data.clear_geometry()
    bpy.ops.rigidbody.world_add()
    scenes.select(broken, top)
    assert capture.check(bpy.context, {}, products="object") == []
    folder = tmp_path / "job"
    data = capture.capture(bpy.context, folder, job=scenes.JOB, products="object")
    assert data == json.loads((folder / "capture.json").read_text(encoding="utf-8"))
    assert sorted(one["name"] for one in data["selection"]) == ["Broken", "Set"]
    assert sorted(one["name"] for one in data["members"]) == ["Left", "Right"]
    assert data["bounds"] == {"min": [-3, -1, -1], "max": [3, 1, 1]}
    for entry in data["members"]:
        entry["matrix"][2][3] = 5.0 if entry["name"] == "Left" else 0.0
    (folder / "capture.json").write_text(json.dumps(data), encoding="utf-8")
    result = run_recipe(
        "export_products",
        {
            "capture": str(folder / "capture.json"),
            "folder": str(folder),
            "output": str(folder / "package"),
            "products": "object",
            "options": {},
            "max_bytes": scenes.LIMIT,
        },
        workdir=folder / "work",
        program=scenes.this_blender(),
        timeout=120,
    )
    rows = {row["name"]: row for row in result["products"]}
    assert rows["Broken"]["problem"]["sentence"] == "Broken has no faces."
    assert rows["Set"]["problem"] is None
    assert rows["Set"]["size_m"] == pytest.approx([6, 2, 7])
    points = {n: gltf.upright(p) for n, p in gltf.placed(Path(rows["Set"]["path"])).items()}
    assert points["Left"][:, 2].min() == pytest.approx(5)
    assert points["Right"][:, 2].min() == pytest.approx(0)


def test_send_makes_one_job_of_all_products(
    extension: Extension, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = extension.module("addon.sending")
    made = shop()
    scenes.select(made["Lamp"], made["Seat"])
    written: list[Any] = []

    class Now:
        """The part of a session that Send uses; what would be stored is kept."""

        home, id, active_id = tmp_path, "session", ""

        def open_store(self) -> None: ...

        def write(self, change: Any, take_back: Any) -> None:
            written.append(change)

    order = sending.Order(service="glossi", options={"template": "Studio"}, per_object=True)
    (job,) = sending.send(bpy.context, Now(), order)
    first = names(extension.module("addon.capture"), "object")[0]
    assert job.name == f"{first} and 1 more"
    assert job.service == "glossi" and job.options["products"] == "object"
    assert len(written) == 1 and job.group_id == ""
    told = {one["name"]: one for one in job.origin["products"]}
    assert set(told) == {"Lamp", "Seat"}
    assert told["Seat"]["object"] == "Seat"
    assert told["Seat"]["bounds"] == {"min": [1, -1, -2], "max": [3, 1, 2]}
    order = sending.Order(service="glossi", options={"products": "object"}, products="one")
    (job,) = sending.send(bpy.context, Now(), order)
    assert job.name == "Seat" and job.options["products"] == "one"
