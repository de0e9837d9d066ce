# SPDX-License-Identifier: GPL-3.0-or-later
"""Enabling the extension: what it registers, what it costs, and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.extension import ROOT

bpy = pytest.importorskip("bpy")

from .ui_support import Courier, operator_type  # noqa: E402

OPERATORS = {
    "send",
    "refresh",
    "dismiss",
    "open_online_preferences",
    "reveal_data_folder",
    "cancel_job",
    "retry_job",
    "approve_job",
    "resolve_job",
    "forget_job",
    "reveal_job",
    "import_job",
    "choose_cameras",
    "override_job",
    "render_again",
    "fix_finding",
    "adopt",
    "show_still",
}
#: those that change the open file, so that Ctrl+Z takes it back
UNDOING = {"import_job", "choose_cameras", "fix_finding", "show_still"}

COST = """
import importlib, json, os, sys, types
import bpy
sys.dont_write_bytecode = True
opened = []
def hook(name, arguments):
    if name == "open" and not str(arguments[0]).endswith((".py", ".pyc")):
        opened.append(str(arguments[0]))
    elif name.startswith(("socket.", "subprocess.", "sqlite3.")):
        opened.append(name + " " + str(arguments[:1]))
parent = types.ModuleType("enabled")
parent.__path__ = [sys.argv[1]]
sys.modules["enabled"] = parent
importlib.import_module("enabled.addon")
before = set(sys.modules)
sys.addaudithook(hook)
sys.modules["enabled.addon"].register()
seen = list(opened)
loaded = sorted(set(sys.modules) - before)
sys.modules["enabled.addon"].unregister()
with open(sys.argv[2], "w") as file:
    json.dump({"loaded": loaded, "touched": seen}, file)
sys.stdout.flush()
os._exit(0)
"""


def our_operators() -> dict[str, object]:
    prefix = "SCENE_COURIER_OT_"
    return {
        name.removeprefix(prefix): getattr(bpy.types, name)
        for name in dir(bpy.types)
        if name.startswith(prefix)
    }


def test_each_operator_is_there_and_says_what_it_does(courier: Courier) -> None:
    found = our_operators()
    assert set(found) == OPERATORS
    for name in found:
        rna = operator_type(f"scene_courier.{name}")
        assert len(rna.description) > 15, name
        assert not rna.description.endswith("."), "Blender adds the full stop itself"
        for prop in rna.properties:
            if prop.identifier == "rna_type":
                continue
            assert prop.description, f"{name}.{prop.identifier} has no tooltip"


def test_no_property_could_hold_a_key(courier: Courier) -> None:
    groups = [operator_type(f"scene_courier.{name}") for name in our_operators()]
    assert any("job_id" in rna.properties for rna in groups)
    settings = bpy.context.scene.scene_courier
    groups += [settings.bl_rna, settings.rigyd.bl_rna, settings.renderjuice.bl_rna]
    groups += [settings.glossi.bl_rna]
    groups += [bpy.context.window_manager.scene_courier.bl_rna]
    groups += [bpy.context.preferences.addons[courier.extension.name].preferences.bl_rna]
    for rna in groups:
        for prop in rna.properties:
            words = {prop.identifier, *prop.identifier.split("_")}
            assert not words & {"key", "apikey", "token", "secret", "password"}, prop.identifier


def test_what_changes_the_scene_can_be_undone(courier: Courier) -> None:
    undoing = {
        name for name, cls in our_operators().items() if "UNDO" in getattr(cls, "bl_options", ())
    }
    assert undoing == UNDOING


def test_every_setting_has_a_tooltip(courier: Courier) -> None:
    for rna in (
        bpy.context.scene.scene_courier.bl_rna,
        bpy.context.scene.scene_courier.rigyd.bl_rna,
        bpy.context.scene.scene_courier.renderjuice.bl_rna,
        bpy.context.scene.scene_courier.glossi.bl_rna,
        bpy.context.window_manager.scene_courier.bl_rna,
        bpy.context.preferences.addons[courier.extension.name].preferences.bl_rna,
    ):
        for prop in rna.properties:
            if prop.identifier in {"rna_type", "name", "bl_idname"} or prop.type in {
                "POINTER",
                "COLLECTION",
            }:
                continue
            assert prop.description, prop.identifier
            if prop.type == "ENUM":
                assert all(item.description for item in prop.enum_items), prop.identifier


def test_the_options_are_those_of_the_registry(courier: Courier) -> None:
    known = {o.name: o for o in courier.part("bridge.services").SERVICES["rigyd"].options}
    shown = bpy.context.scene.scene_courier.rigyd
    shown.reduce = True
    chosen = shown.chosen()
    assert set(chosen) <= set(known)
    assert {name for name, option in known.items() if not option.advanced} <= set(chosen)
    for name, value in chosen.items():
        assert known[name].checked(value) == value
    count = shown.bl_rna.properties["target_triangle_count"]
    option = known["target_triangle_count"]
    assert (count.hard_min, count.hard_max) == (option.minimum, option.maximum)
    formats = shown.bl_rna.properties["format"]
    assert set(formats.enum_items.keys()) == set(known["format"].choices)
    assert formats.default == known["format"].default
    services = bpy.context.scene.scene_courier.bl_rna.properties["service"].enum_items.keys()
    assert set(services) == set(courier.part("bridge.services").SERVICES)


def test_enabling_touches_nothing_and_loads_nothing_heavy(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-c", COST, str(ROOT), str(report)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert report.exists(), done.stderr
    found = json.loads(report.read_text())
    heavy = {"requests", "keyring", "sqlite3", "platformdirs", "filelock", "urllib3", "pxr", "ssl"}
    assert not heavy & {name.split(".")[0] for name in found["loaded"]}
    assert found["touched"] == []


def test_disabling_leaves_nothing(courier: Courier) -> None:
    courier.look()
    pump = courier.part("addon.pump")
    tick, loaded = pump.tick, pump._file_loaded
    assert bpy.app.timers.is_registered(tick)
    courier.settle()
    courier.extension.disable()
    try:
        assert not bpy.app.timers.is_registered(tick)
        assert loaded not in bpy.app.handlers.load_post
        assert not our_operators()
        assert not [name for name in dir(bpy.types) if "courier" in name.lower()]
        assert not hasattr(bpy.types.Scene, "scene_courier")
        assert not hasattr(bpy.types.WindowManager, "scene_courier")
        assert pump.draw_status_bar not in bpy.types.STATUSBAR_HT_header.draw._draw_funcs
    finally:
        courier.extension.enable()
    assert set(our_operators()) == OPERATORS


def test_a_part_that_fails_takes_the_others_back(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    addon = courier.part("addon")
    addon.unregister()
    pump = courier.part("addon.pump")

    def fail() -> None:
        raise RuntimeError("no timer today")

    with monkeypatch.context() as patch:
        patch.setattr(pump, "register", fail)
        with pytest.raises(RuntimeError, match="no timer today"):
            addon.register()
    assert not our_operators()
    addon.register()
    assert set(our_operators()) == OPERATORS


def test_the_timer_and_the_list_survive_loading_a_file(courier: Courier) -> None:
    with courier.store() as store:
        job = store.insert_job(courier.job())
    courier.tick()
    session_id = courier.now.id
    bpy.ops.wm.read_homefile(use_empty=True)
    assert bpy.app.timers.is_registered(courier.part("addon.pump").tick)
    assert courier.now.id != session_id, "another file is another session"
    courier.tick()
    assert courier.rows() == [job.id]
