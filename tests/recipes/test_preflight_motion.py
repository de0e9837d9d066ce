# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight report about simulations and about what needs Python, on real scenes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from tests.recipes.preflight_support import INFO, WARNING, Look  # noqa: E402
from tests.support import scenes  # noqa: E402


def bake(look: Look, cache: Any, last: int = 10) -> None:
    cache.frame_end = last
    with bpy.context.temp_override(point_cache=cache, scene=look.scene):
        assert bpy.ops.ptcache.bake(bake=True) == {"FINISHED"}


@pytest.mark.parametrize("kind", ["cloth", "soft body", "particles", "hair dynamics"])
def test_a_simulation_that_is_not_baked(look: Look, kind: str) -> None:
    modifiers = look.cube.modifiers
    if kind in ("particles", "hair dynamics"):
        system = modifiers.new("System", "PARTICLE_SYSTEM").particle_system
        cache = system.point_cache
        if kind == "hair dynamics":
            system.settings.type = "HAIR"
            assert "unbaked" not in look.codes(), "hair that stands still"
            system.use_hair_dynamics = True
        else:
            system.settings.count = 5
    else:
        cache = modifiers.new("Soft", kind.upper().replace(" ", "_")).point_cache
    found = look.one("unbaked", WARNING)
    assert found["sentence"] == f"Not baked: {kind} of Cube."
    assert found["users"] == [{"type": "Object", "name": "Cube", "library": None}]
    assert found["fix"] == {"action": "select", "type": "Object", "name": "Cube"}
    assert "unbaked" not in look.codes(frames="1"), "nothing has moved yet"
    if kind != "hair dynamics":
        bake(look, cache)
        assert look.codes(frames="1-10") == set()
        assert not cache.is_outdated


def test_modifiers_that_are_not_rendered(look: Look) -> None:
    look.cube.modifiers.new("Cloth", "CLOTH").show_render = False
    assert look.codes() == set()


def test_simulations_elsewhere(look: Look) -> None:
    """An object of another scene takes no part."""
    other = bpy.data.scenes.new("Other")
    item = bpy.data.objects.new("Flag", look.cube.data)
    item.modifiers.new("Cloth", "CLOTH")
    other.collection.objects.link(item)
    assert look.codes() == {"several_scenes"}


def test_a_cache_that_ends_too_early(look: Look) -> None:
    cache = look.cube.modifiers.new("Cloth", "CLOTH").point_cache
    bake(look, cache)
    found = look.one("cache_range", WARNING, frames="1-11")
    assert "ends at frame 10" in found["sentence"] and "up to 11" in found["sentence"]
    assert "cache_range" not in look.codes(frames="1-10")


def test_motion_blur_at_the_end_of_a_cache(look: Look) -> None:
    bake(look, look.cube.modifiers.new("Cloth", "CLOTH").point_cache)
    look.scene.render.use_motion_blur = True
    assert "cloth of Cube" in look.one("cache_blur", INFO, frames="1-10")["sentence"]
    assert look.codes(frames="1-9") == set()
    look.scene.render.motion_blur_position = "END"
    assert look.codes(frames="1-10") == set(), "it looks back only"
    assert look.report(frames="1")["motion_blur"] is True


def test_a_disk_cache_is_as_good(look: Look, tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    cache = look.cube.modifiers.new("Cloth", "CLOTH").point_cache
    cache.use_disk_cache = True
    cache.frame_end = 5
    assert "unbaked" in look.codes(frames="1-5")
    for frame in range(1, 6):
        look.scene.frame_set(frame)
    assert list((tmp_path / "blendcache_shot").iterdir())
    assert look.codes(frames="1-5") == set()


def test_rigid_bodies(look: Look) -> None:
    bpy.context.view_layer.objects.active = look.cube
    look.cube.select_set(True)
    bpy.ops.rigidbody.object_add()
    found = look.one("unbaked", WARNING)
    assert found["sentence"] == "Not baked: rigid bodies of Scene."
    assert found["users"] == [{"type": "Object", "name": "Cube", "library": None}]
    look.scene.rigidbody_world.enabled = False
    assert look.codes() == set()
    look.scene.rigidbody_world.enabled = True
    bake(look, look.scene.rigidbody_world.point_cache)
    assert look.codes(frames="1-10") == set()


def test_fluid_domain(look: Look) -> None:
    modifier = look.cube.modifiers.new("Fluid", "FLUID")
    modifier.fluid_type = "FLOW"
    assert look.codes() == set()
    modifier.fluid_type = "DOMAIN"
    assert look.one("unbaked", WARNING)["sentence"] == "Not baked: fluid of Cube."


def test_dynamic_paint(look: Look) -> None:
    look.cube.modifiers.new("Paint", "DYNAMIC_PAINT").ui_type = "CANVAS"
    bpy.context.view_layer.objects.active = look.cube
    bpy.ops.dpaint.type_toggle(type="CANVAS")
    found = look.one("unbaked", WARNING)
    assert found["sentence"] == "Not baked: dynamic paint of Cube."


def test_simulation_nodes(look: Look, tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    look.scene.frame_end = 3
    bpy.context.view_layer.objects.active = look.cube
    modifier = scenes.rising_simulation(look.cube)
    packable = hasattr(modifier, "bake_target")
    if packable:
        # Whether it is packed into the file cannot be seen.
        assert "simulation nodes" in look.one("perhaps_unbaked", INFO)["sentence"]
        modifier.bake_target = "DISK"
    assert look.one("unbaked", WARNING)["sentence"] == "Not baked: simulation nodes of Cube."
    modifier.bake_directory = "//bakes"
    scenes.bake_nodes(look.cube, modifier)
    assert look.codes(frames="1-3") == set()


# Python


@pytest.mark.parametrize(
    ("expression", "simple"),
    [
        ("frame / 2", True),
        ("sin(frame) if frame > 3 else 1", True),
        ("bpy.data.filepath != ''", False),
    ],
)
def test_drivers(look: Look, expression: str, simple: bool) -> None:
    curve = look.cube.driver_add("location", 2)
    curve.driver.expression = expression
    if simple:
        assert look.codes() == set()
        return
    found = look.one("autoexec_fail", WARNING)
    assert "A driver needs Python: Cube" in found["sentence"]
    assert expression in found["technical"]
    assert found["fix"] == {"action": "select", "type": "Object", "name": "Cube"}
    curve.mute = True
    assert look.codes() == set(), "it was switched off"


def test_drivers_of_materials_and_shape_keys(look: Look) -> None:
    node = look.image_node(None)
    node.id_data.driver_add(f'nodes["{node.name}"].location', 0).driver.expression = "len('a')"
    look.cube.shape_key_add(name="Basis")
    look.cube.shape_key_add(name="Wide")
    keys = look.cube.data.shape_keys
    keys.driver_add('key_blocks["Wide"].value').driver.expression = "len('a')"
    found = look.one("autoexec_fail", WARNING)
    assert {user["name"] for user in found["users"]} == {"Paint", "Cube"}
    assert {user["type"] for user in found["users"]} == {"Material", "Mesh"}


def test_functions_of_the_session(look: Look) -> None:
    look.cube.driver_add("location", 2).driver.expression = "lift(frame)"
    look.capture = {
        "driver_namespace": [{"name": "lift"}, {"name": "not_used"}],
    }
    found = look.one("autoexec_fail", WARNING)
    assert "your own session knows: lift." in found["sentence"]


def test_scripts_that_run_on_load(look: Look) -> None:
    text = bpy.data.texts.new("rig_ui.py")
    assert look.codes() == set()
    text.use_module = True
    found = look.one("autoexec_fail", WARNING)
    assert "rig_ui.py" in found["sentence"]
    assert found["users"] == [{"type": "Text", "name": "rig_ui.py", "library": None}]
    text.name = "notes"
    assert look.codes() == set(), "only texts named like a module run"


def test_osl(look: Look) -> None:
    node = look.material().node_tree.nodes.new("ShaderNodeScript")
    assert "switched off" in look.one("osl", WARNING)["hint"]
    look.scene.cycles.shading_system = True
    found = look.one("osl", WARNING)
    assert "OptiX" in found["hint"] and found["users"][0]["name"] == "Paint"
    assert "osl" not in look.codes(engine="BLENDER_WORKBENCH")
    node.mute = True
    assert look.codes() == set()


# Add-ons


@pytest.fixture
def glow(look: Look, tmp_path: Path) -> Iterator[Look]:
    """A file with a node, a tree and settings of an add-on, opened without it."""

    class Glow(bpy.types.ShaderNode):
        bl_idname = "CourierPreflightGlow"
        bl_label = "Glow"

    class Settings(bpy.types.PropertyGroup):
        width: bpy.props.IntProperty()

    bpy.utils.register_class(Glow)
    bpy.utils.register_class(Settings)
    bpy.types.Object.courier_glow = bpy.props.PointerProperty(type=Settings)
    look.material().node_tree.nodes.new("CourierPreflightGlow")
    look.cube.courier_glow.width = 4
    path = tmp_path / "glow.blend"
    assert look.codes() == set(), "while the add-on is there"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    del bpy.types.Object.courier_glow
    bpy.utils.unregister_class(Settings)
    bpy.utils.unregister_class(Glow)
    bpy.ops.wm.open_mainfile(filepath=str(path))
    yield look


def test_add_ons(glow: Look) -> None:
    found = glow.one("addons", WARNING)
    assert "which this Blender does not know. They are in Paint." in found["sentence"]
    assert found["users"] == [{"type": "Material", "name": "Paint", "library": None}]
    assert "courier_glow" in glow.one("addon_data", INFO)["sentence"]
    assert glow.report()["addons"] == []
    glow.capture = {
        "nodes": [{"idname": "CourierPreflightGlow", "module": "bl_ext.user_default.glow"}]
    }
    assert "of an add-on: glow." in glow.one("addons", WARNING)["sentence"]
    assert glow.report()["addons"] == ["glow"]
    glow.cube.data.materials.clear()
    assert "courier_glow" in glow.one("addon_data", INFO)["sentence"]
