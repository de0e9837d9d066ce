# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight report about what is rendered and how, on real scenes: each finding and its
opposite. Files, simulations and scripts have tests of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from tests.recipes.preflight_support import (  # noqa: E402
    BLOCKING,
    INFO,
    WARNING,
    Look,
    strip_of_colour,
)

# Camera


def test_a_plain_animated_scene_has_no_findings(look: Look) -> None:
    assert look.codes() == set()


def test_no_camera(look: Look) -> None:
    look.scene.camera = None
    found = look.one("no_camera", BLOCKING)
    assert found["hint"] == "Choose one of its cameras: Camera."
    assert found["fix"] == {"action": "set_camera", "type": "Object", "name": "Camera"}
    bpy.data.objects.remove(bpy.data.objects["Camera"])
    found = look.one("no_camera", BLOCKING)
    assert "Add a camera" in found["hint"] and found["fix"]["action"] is None
    strip_of_colour(look.scene)
    assert "no_camera" not in look.codes(), "the strips are rendered, and need none"
    look.scene.render.use_sequencer = False
    assert "no_camera" in look.codes()


def test_a_camera_that_is_chosen(look: Look) -> None:
    look.scene.camera = None
    assert look.codes(camera="Camera") == set()
    assert look.report(camera="Camera")["camera"] == "Camera"
    found = look.one("camera_unknown", BLOCKING, camera="Gone")
    assert "no camera named Gone" in found["sentence"] and "Camera" in found["hint"]


def test_a_camera_outside_of_the_scene(look: Look) -> None:
    camera = look.scene.camera
    look.scene.collection.objects.unlink(camera)
    found = look.one("camera_not_in_scene", WARNING)
    assert found["users"] == [{"type": "Object", "name": "Camera", "library": None}]
    assert look.codes() == {"camera_not_in_scene"}


def test_an_object_that_is_no_camera(look: Look) -> None:
    look.scene.camera = look.cube
    assert "which is no camera" in look.one("camera_is_no_camera", WARNING)["sentence"]


def test_markers_that_switch_the_camera(look: Look) -> None:
    look.scene.timeline_markers.new("A", frame=5)
    assert look.codes() == set()
    look.scene.timeline_markers["A"].camera = look.scene.camera
    assert look.codes() == {"camera_markers"}
    assert "choose it before" in look.one("camera_markers", INFO)["hint"]


def test_markers_alone_name_the_camera(look: Look) -> None:
    camera = look.scene.camera
    look.scene.timeline_markers.new("A", frame=5).camera = camera
    look.scene.camera = None
    assert look.codes() == {"camera_markers"}, "Blender renders it"
    assert look.report()["camera"] == camera.name
    camera.hide_render = True
    assert "no_camera" in look.codes(), "Blender passes over a hidden one"


# Layers and what is visible


def test_view_layers(look: Look) -> None:
    look.scene.view_layers.new("Lights")
    assert look.codes() == set()
    assert look.report()["view_layers"] == [
        {"name": "ViewLayer", "use": True},
        {"name": "Lights", "use": True},
    ]
    look.scene.view_layers["Lights"].use = False
    assert "not rendered: Lights" in look.one("layers_left_out", INFO)["sentence"]
    look.scene.view_layers["ViewLayer"].use = False
    look.one("no_view_layer", BLOCKING)
    assert look.codes(view_layer="Lights") == set(), "one was chosen"
    assert look.report(view_layer="Lights")["view_layer"] == "Lights"
    look.one("view_layer_unknown", BLOCKING, view_layer="Gone")


def test_nothing_visible(look: Look) -> None:
    look.cube.hide_render = True
    look.one("nothing_visible", WARNING)
    look.cube.hide_render = False
    group = bpy.data.collections.new("Set")
    look.scene.collection.children.link(group)
    group.objects.link(look.cube)
    look.scene.collection.objects.unlink(look.cube)
    assert look.codes() == set()
    group.hide_render = True
    assert look.codes() == {"nothing_visible"}
    group.hide_render = False
    look.scene.view_layers[0].layer_collection.children["Set"].exclude = True
    assert look.codes() == {"nothing_visible"}
    empty = bpy.data.objects.new("Instance", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", group
    look.scene.collection.objects.link(empty)
    assert look.codes() == set()


def test_render_region(look: Look) -> None:
    render = look.scene.render
    render.use_border = True
    assert look.codes() == set(), "the region is the whole frame"
    render.border_max_x = 0.25
    found = look.one("border", WARNING)
    assert "480 by 1080" in found["sentence"] and "stays empty" in found["hint"]
    render.use_crop_to_border = True
    assert "cut to it" in look.one("border", WARNING)["hint"]
    render.border_max_x = 0.0
    assert look.one("empty_border", BLOCKING)["fix"]["action"] == "open_output"


def test_sequencer(look: Look) -> None:
    strip_of_colour(look.scene)
    look.one("sequencer", WARNING)
    look.scene.render.use_sequencer = False
    assert look.codes() == set()


def test_several_scenes(look: Look) -> None:
    other = bpy.data.scenes.new("Titles")
    assert "Titles" in look.one("several_scenes", INFO)["sentence"]
    assert look.codes(scene="Scene") == set(), "it was chosen"
    look.scene.background_set = other
    assert look.codes() == set(), "it is rendered too"


# Frames


def test_frames_of_the_scene(look: Look) -> None:
    scene = look.scene
    scene.frame_start, scene.frame_end, scene.frame_step = 10, 20, 5
    found = look.one("frame_step", INFO)
    assert "one of 5 frames" in found["sentence"]
    frames = look.report()["frames"]
    assert frames == {"text": "10,15,20", "count": 3, "start": 10, "end": 20, "step": 5}
    assert look.codes(frames="10-20") == set()
    scene.frame_step = 1
    scene.use_preview_range = True
    scene.frame_preview_start, scene.frame_preview_end = 12, 13
    assert "(12 to 13) is not used" in look.one("preview_range", INFO)["sentence"]


def test_frames_that_are_asked_for(look: Look) -> None:
    assert look.codes(frames="1-24,250") == set()
    look.one("frames_outside", WARNING, frames="1-251")
    look.one("frames_outside", WARNING, frames="-5-1")
    look.capture = {"scene": "Scene", "frame_start": 1, "frame_end": 9}
    found = look.one("frames_outside", WARNING, frames="1-10")
    assert "1 to 9" in found["sentence"]
    look.capture = {}
    found = look.one("no_frames", BLOCKING, frames="20-10")
    assert "ends before it begins" in found["sentence"] and found["hint"]
    look.one("many_frames", WARNING, frames="1-10001")
    assert "many_frames" not in look.codes(frames="1-10000")


def test_a_still_scene(look: Look) -> None:
    look.cube.animation_data_clear()
    assert "250 frames" in look.one("still_scene", WARNING)["sentence"]
    assert look.codes(frames="7") == set()


@pytest.mark.parametrize("what", ["driver", "world", "modifier", "sequence", "time node", "nla"])
def test_what_moves_is_no_still_scene(look: Look, what: str) -> None:
    look.cube.animation_data_clear()
    if what == "driver":
        look.cube.driver_add("location", 0).driver.expression = "frame / 10"
    elif what == "world":
        look.scene.world = bpy.data.worlds.new("Sky")
        look.scene.world.keyframe_insert("color", index=0)
    elif what == "modifier":
        look.cube.modifiers.new("Waves", "WAVE")
    elif what == "sequence":
        image = bpy.data.images.new("Fire", 4, 4)
        image.source = "SEQUENCE"
        look.image_node(image)
    elif what == "nla":
        track = look.cube.animation_data_create().nla_tracks.new()
        track.strips.new("Turn", 1, bpy.data.actions.new("Turn"))
    else:
        group = bpy.data.node_groups.new("Spin", "GeometryNodeTree")
        group.nodes.new("GeometryNodeInputSceneTime")
        look.cube.modifiers.new("Spin", "NODES").node_group = group
    assert "still_scene" not in look.codes()


# Engine, size, views


def test_engine(look: Look) -> None:
    for engine in ("CYCLES", "BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"):
        assert look.codes(engine=engine) == set()
    look.one("engine_workbench", INFO, engine="BLENDER_WORKBENCH")
    look.scene.render.engine = "BLENDER_WORKBENCH"
    assert look.report()["engine"] == "BLENDER_WORKBENCH"
    assert look.codes() == {"engine_workbench"}


def test_an_engine_that_this_blender_does_not_have(look: Look) -> None:
    look.capture = {"scene": "Scene", "engine": "GLOW", "engine_module": "bl_ext.x.glow"}
    found = look.one("engine_addon", WARNING)
    assert "GLOW" in found["sentence"] and "bl_ext.x.glow" in found["technical"]
    assert look.report()["addons"] == ["glow"] and look.report()["engine"] == "GLOW"
    assert look.codes(engine="CYCLES") == set(), "another was chosen"


@pytest.mark.parametrize("compress", [False, True])
def test_an_engine_that_only_the_file_names(look: Look, tmp_path: Path, compress: bool) -> None:
    """Nobody captured the file, and Blender shows another engine in the missing one's place."""
    from addon.recipes import preflight_engine

    class Engine(bpy.types.RenderEngine):
        bl_idname = "COURIER_PREFLIGHT"
        bl_label = "Test"

    path = tmp_path / "shot.blend"
    bpy.utils.register_class(Engine)
    look.scene.render.engine = "COURIER_PREFLIGHT"
    look.scene.name = "Küche"
    bpy.data.scenes.new("Other").render.engine = "CYCLES"
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=compress)
    bpy.utils.unregister_class(Engine)
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert preflight_engine.engines(path) == {"Küche": "COURIER_PREFLIGHT", "Other": "CYCLES"}
    assert look.scene.render.engine != "COURIER_PREFLIGHT"
    assert "COURIER_PREFLIGHT" in look.one("engine_addon", WARNING)["sentence"]
    (tmp_path / "cut.blend").write_bytes(path.read_bytes()[:5000])
    assert preflight_engine.engines(tmp_path / "cut.blend") == {}
    assert preflight_engine.engines(tmp_path / "gone.blend") == {}


def test_samples_and_denoiser(look: Look) -> None:
    cycles = look.scene.cycles
    cycles.samples = 8192
    assert look.codes() == set()
    assert look.report()["samples"] == 8192
    cycles.samples = 9000
    assert "9,000 samples" in look.one("samples", INFO)["sentence"]
    assert look.codes(samples=64) == set() and look.report(samples=64)["samples"] == 64
    cycles.samples = 64
    cycles.use_denoising = True
    assert look.codes() == set()
    look.one("denoiser", INFO, denoiser="OPTIX")
    look.capture = {"denoiser": "OPTIX"}
    look.one("denoiser", INFO)
    assert look.codes(denoise=False) == set()


def test_a_denoiser_of_a_card_that_is_not_here(look: Look) -> None:
    cycles = look.scene.cycles
    cycles.use_denoising = True
    held = getattr(look.scene, "bl_system_properties_get", None)
    (held(do_create=True) if held else look.scene)["cycles"]["denoiser"] = 2
    assert look.one("denoiser", INFO)["technical"].endswith("not available here")


def test_size(look: Look) -> None:
    render = look.scene.render
    render.resolution_percentage = 50
    assert "960 by 540" in look.one("percentage", INFO)["sentence"]
    assert look.codes(resolution_percentage=100) == set()
    render.resolution_percentage = 100
    render.resolution_x = 20_000
    assert "unusually large" in look.one("resolution", WARNING)["sentence"]
    assert look.codes(resolution="1920x1080") == set()
    assert look.report(resolution="640x360")["resolution"] == [640, 360]
    render.resolution_x = 8
    assert "very small" in look.one("resolution", WARNING)["sentence"]


def test_views(look: Look) -> None:
    render = look.scene.render
    render.use_multiview = True
    assert "2 times" in look.one("stereo", INFO)["sentence"]
    render.views["right"].use = False
    assert look.codes() == set()


def test_persistent_data(look: Look) -> None:
    look.scene.render.use_persistent_data = True
    look.one("persistent_data", INFO)


def test_color(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = look.scene.view_settings.view_transform
    look.capture = {"scene": "Scene", "view_transform": shown, "color_config": ""}
    assert look.codes() == set()
    look.capture = {"scene": "Scene", "view_transform": "Studio Log", "color_config": ""}
    assert "Studio Log" in look.one("color_view", WARNING)["sentence"]
    look.capture = {"color_config": "/share/aces_1.2/config.ocio"}
    assert look.one("color_config", WARNING)["technical"] == "config.ocio"
    look.capture = {}
    monkeypatch.setenv("OCIO", "/share/studio.ocio")
    look.one("color_config", WARNING)


# Output


def test_movie_output(look: Look) -> None:
    image = look.scene.render.image_settings
    if "media_type" in image.bl_rna.properties:
        image.media_type = "VIDEO"
    image.file_format = "FFMPEG"
    found = look.one("movie_output", WARNING)
    assert found["fix"]["action"] == "open_output"
    assert look.report()["output"]["movie"] is True
    assert look.codes(output_format="PNG") == set()
    assert look.report(output_format="OPEN_EXR_MULTILAYER")["output"]["multilayer"] is True


def test_compositor(look: Look) -> None:
    tree = look.compositor()
    look.one("no_output", BLOCKING)
    out = tree.nodes.new("CompositorNodeOutputFile")
    out.name = "Masks"
    look.folder_of(out, "//masks/")
    found = look.one("compositor_only", WARNING)
    assert found["technical"] == "Masks"
    assert look.report()["output"]["compositor_outputs"] == ["Masks"]
    look.composite(tree)
    assert look.codes() == {"compositor"}
    look.folder_of(out, "/renders/masks/")
    assert look.one("absolute_output", INFO)["path"] == "/renders/masks/"
    look.folder_of(out, "D:\\renders\\")
    look.one("absolute_output", INFO)
    out.mute = True
    assert look.codes() == {"compositor"}
    look.scene.render.use_compositing = False
    assert look.codes() == set()


# Versions, the report's form


def test_an_older_file(look: Look, tmp_path: Path) -> None:
    from addon.recipes import preflight_output
    from addon.recipes.preflight_findings import Findings

    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "now.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "now.blend"))
    assert look.codes() == set()
    findings = Findings()
    preflight_output.versions_of(findings, saved=(3, 6), now=(4, 2), cycle="release")
    preflight_output.versions_of(findings, saved=(4, 2), now=(4, 2), cycle="alpha")
    assert [one["code"] for one in findings.sorted()] == ["test_version", "older_file"]


def test_the_form_of_a_report(look: Look) -> None:
    report = look.report(frames="1-24")
    assert list(report) == [
        "schema", "blender", "file_version", "scene", "scenes", "camera", "cameras", "view_layer",
        "view_layers", "engine", "samples", "resolution", "percentage", "fps", "frames", "output",
        "denoise", "motion_blur", "package", "dependencies", "findings", "addons",
    ]  # fmt: skip
    assert report["schema"] == 1 and report["blender"] == list(bpy.app.version)
    assert report["package"] == {} and report["fps"] == 24
    look.scene.camera = None
    (found,) = look.report()["findings"]
    assert set(found) == {
        "code", "severity", "sentence", "hint", "technical", "users", "path", "fix",
    }  # fmt: skip


def test_the_severest_first_and_every_kind_decided() -> None:
    from addon.recipes import preflight_findings as findings

    made = findings.Findings()
    for code in ("percentage", "border", "no_camera", "missing_file"):
        made.add(code, "Something.", users=[{"type": "Object", "name": str(n)} for n in range(25)])
    said = made.sorted()
    assert [one["severity"] for one in said] == [BLOCKING, BLOCKING, WARNING, INFO]
    assert len(said[0]["users"]) == 20 and "25 users" in said[0]["technical"]
    assert [one["code"] for one in findings.blocking(said)] == ["no_camera", "missing_file"]
    with pytest.raises(KeyError):
        made.add("never heard of", "Something.")
    assert set(findings.SEVERITY.values()) == {BLOCKING, WARNING, INFO}


def _values(thing: Any) -> dict[str, str]:
    """All settings of something in Blender, as text."""
    return {
        name: str(getattr(thing, name))
        for name, prop in thing.bl_rna.properties.items()
        if prop.type not in ("POINTER", "COLLECTION")
    }


def test_nothing_changes(look: Look, tmp_path: Path) -> None:
    path = tmp_path / "shot.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    scene, render = look.scene, look.scene.render
    things = (scene, render, render.image_settings, scene.cycles, look.cube, scene.view_layers[0])
    before = [_values(thing) for thing in things], sorted(one.name for one in bpy.data.objects)
    size = path.stat()
    look.report(frames="1-9", camera="Camera", engine="CYCLES", samples=4, output_format="TIFF")
    after = [_values(thing) for thing in things], sorted(one.name for one in bpy.data.objects)
    assert after == before
    assert path.stat().st_mtime_ns == size.st_mtime_ns
    assert [one.name for one in tmp_path.iterdir()] == ["shot.blend"]
