# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole scene captured and sent: nothing selected, its own settings, several cameras."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from bridge.blender import run_recipe  # noqa: E402
from tests.support import scenes  # noqa: E402

from .ui_support import Courier, cube  # noqa: E402

JOB = {"id": "0" * 32, "name": "Shot", "service": "renderjuice", "options": {}}


@pytest.fixture
def scene(courier: Courier) -> Any:
    """A scene with two cameras and a cube; nothing is selected."""
    cube("Ofen").select_set(False)
    scene = bpy.context.scene
    for name in ("Cam A", "Cam B"):
        scene.collection.objects.link(bpy.data.objects.new(name, bpy.data.cameras.new(name)))
    scene.camera = scene.objects["Cam A"]
    return scene


def refused(courier: Courier, **options: Any) -> str:
    """What stands in the way, in one line."""
    found = courier.part("addon.capture").check(bpy.context, options, whole_scene=True)
    return " ".join(f"{problem.sentence} {problem.hint}" for problem in found)


def order(courier: Courier, **more: Any) -> Any:
    """Send the scene; the jobs, as the store has them."""
    sending = courier.part("addon.sending")
    made = sending.Order(service="renderjuice", scope="scene", **more)
    sending.send(bpy.context, courier.now, made)
    with courier.store() as store:
        return sorted(store.jobs(), key=lambda job: job.name)


def captured(courier: Courier, job: Any) -> dict[str, Any]:
    return json.loads(Path(job.input_path).read_text("utf-8"))


def test_nothing_needs_to_be_selected(courier: Courier, scene: Any, tmp_path: Path) -> None:
    scene.frame_start, scene.frame_end, scene.frame_step = 1, 24, 2
    capture = courier.part("addon.capture")
    assert capture.check(bpy.context, {}) != [], "a conversion does need a selection"
    assert capture.check(bpy.context, {}, whole_scene=True) == []
    data = capture.capture(bpy.context, tmp_path / "job", job=JOB, whole_scene=True)
    assert json.loads((tmp_path / "job" / "capture.json").read_text("utf-8")) == data
    assert (tmp_path / "job" / "scene.blend").read_bytes()[:7] == b"BLENDER"
    assert data["schema"] == 1 and data["whole_scene"] is True
    assert data["selection"] == [] and data["bounds"] is None and data["active"] is None
    assert data["camera"] == "Cam A" and data["cameras"] == ["Cam A", "Cam B"]
    assert data["frames"] == "1-24x2" and data["engine"] == scene.render.engine
    assert data["view_layers"] == [{"name": "ViewLayer", "use": True}]
    assert data["nodes"] == [] and data["engine_module"] is None
    scene.render.engine = "CYCLES"
    data = capture.capture(bpy.context, tmp_path / "cycles", job=JOB, whole_scene=True)
    assert (data["engine"], data["engine_module"]) == ("CYCLES", None)
    assert data["job"]["service"] == "renderjuice"


def test_a_scene_of_lights_alone_may_be_sent(courier: Courier, scene: Any) -> None:
    bpy.data.objects.remove(scene.objects["Ofen"])
    assert refused(courier) == ""


def test_what_a_click_refuses(courier: Courier, scene: Any) -> None:
    assert "no camera named Cam C" in refused(courier, camera="Cam C")
    assert "Cam A, Cam B" in refused(courier, camera="Cam C")
    assert "no view layer named Lights" in refused(courier, view_layer="Lights")
    assert "no scene named Other" in refused(courier, scene="Other")
    assert "ends before it begins" in refused(courier, frames="9-1")
    assert refused(courier, camera="Cam B", view_layer="ViewLayer", frames="1-9,20") == ""
    scene.camera = None
    assert "no camera to render from" in refused(courier)
    assert "Cam A, Cam B" in refused(courier)
    assert refused(courier, camera="Cam B") == ""
    assert refused(courier, ignore_problems=True) == "", "somebody said: send anyway"


def test_markers_may_name_the_camera(courier: Courier, scene: Any) -> None:
    scene.timeline_markers.new("A", frame=5).camera = scene.camera
    scene.camera = None
    assert refused(courier) == ""


def test_strips_need_no_camera(courier: Courier, scene: Any) -> None:
    scene.camera = None
    assert refused(courier)
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    end = {"length": 9} if bpy.app.version >= (5, 0, 0) else {"frame_end": 10}
    strips.new_effect("Blue", "COLOR", 1, 1, **end)
    assert refused(courier) == ""
    scene.render.use_sequencer = False
    assert refused(courier)


def test_one_job_of_the_scene(courier: Courier, scene: Any, tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "Küche 1.blend"))
    (job,) = order(courier, options={"frames": "1-10", "samples": 16})
    assert (job.name, job.service, job.state) == ("Küche 1", "renderjuice", "queued")
    assert job.options == {"frames": "1-10", "samples": 16}
    assert job.group_id == "" and job.approved_credits is None and job.account == "sandbox"
    assert Path(job.results_dir) == tmp_path / "courier" / f"Küche 1-{job.id[:8]}"
    assert job.origin["scope"] == "scene" and job.origin["camera"] == "Cam A"
    assert job.origin["blend"] == str(tmp_path / "Küche 1.blend")
    data = captured(courier, job)
    assert data["frames"] == "1-10" and data["job"]["options"] == job.options


def test_agreed_beforehand(courier: Courier, scene: Any) -> None:
    (job,) = order(courier, agreed=True)
    assert job.approved_credits == math.inf
    assert job.name == "Untitled"
    assert any("not saved" in note for note in job.notes)


def test_several_cameras_are_several_jobs_of_one_copy(courier: Courier, scene: Any) -> None:
    jobs = order(courier, cameras=["Cam B", "Cam A", "Cam B"], options={"samples": 4})
    assert [job.name for job in jobs] == ["Untitled (Cam A)", "Untitled (Cam B)"]
    assert len({job.group_id for job in jobs}) == 1 and jobs[0].group_id
    assert [job.options for job in jobs] == [
        {"samples": 4, "camera": "Cam A"},
        {"samples": 4, "camera": "Cam B"},
    ]
    assert [captured(courier, job)["camera"] for job in jobs] == ["Cam A", "Cam B"]
    assert [captured(courier, job)["job"]["id"] for job in jobs] == [job.id for job in jobs]
    copies = [Path(job.input_path).with_name("scene.blend") for job in jobs]
    assert os.path.samefile(*copies), "one copy, held by two names"
    # Forgetting one must not take the scene from the other.
    copies[0].unlink()
    assert copies[1].stat().st_size > 1000


def test_one_camera_by_name_is_one_job(courier: Courier, scene: Any) -> None:
    (job,) = order(courier, cameras=["Cam B"])
    assert job.name == "Untitled" and job.group_id == ""
    assert captured(courier, job)["camera"] == "Cam B"


def test_a_camera_that_is_not_there_sends_nothing(courier: Courier, scene: Any) -> None:
    problems = courier.part("bridge.problems")
    with pytest.raises(problems.ProblemError, match="no camera named Cam C"):
        order(courier, cameras=["Cam A", "Cam C"])
    assert not (courier.home / "jobs").exists()


def test_another_scene_of_the_file(courier: Courier, scene: Any) -> None:
    other = bpy.data.scenes.new("Titles")
    other.collection.objects.link(scene.objects["Cam B"])
    other.camera = scene.objects["Cam B"]
    other.frame_start, other.frame_end = 5, 7
    other.render.fps = 50
    (job,) = order(courier, options={"scene": "Titles"})
    assert job.name == "Untitled (Titles)"
    data = captured(courier, job)
    assert data["scene"] == job.origin["scene"] == "Titles"
    assert (data["camera"], data["frames"], data["fps"]) == ("Cam B", "5-7", 50)
    assert (data["frame_start"], data["frame_end"]) == (5, 7)
    facts = courier.part("addon.capture").scene_facts(bpy.context, {"scene": "Titles"})
    assert facts["frames"] == "5-7" and facts["cameras"] == ["Cam B"]
    assert facts["scenes"] == ["Scene", "Titles"]


def test_a_view_layer_that_is_chosen(courier: Courier, scene: Any, tmp_path: Path) -> None:
    scene.view_layers.new("Lights")
    job = {**JOB, "options": {"view_layer": "Lights"}}
    capture = courier.part("addon.capture")
    data = capture.capture(bpy.context, tmp_path / "job", job=job, whole_scene=True)
    assert data["view_layer"] == "Lights"
    assert [layer["name"] for layer in data["view_layers"]] == ["ViewLayer", "Lights"]


def test_facts_are_the_scenes_own_values(courier: Courier, scene: Any) -> None:
    """Under the options' names, so that each may be sent as it is."""
    render = scene.render
    render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 77, False
    scene.cycles.use_auto_tile, scene.cycles.tile_size = True, 512
    render.resolution_x, render.resolution_y, render.resolution_percentage = 640, 360, 50
    render.fps, render.fps_base = 30, 1.001
    render.image_settings.file_format = "OPEN_EXR"
    render.image_settings.color_depth, render.image_settings.exr_codec = "32", "PIZ"
    render.image_settings.color_mode = "RGB"
    scene.frame_start, scene.frame_end, scene.frame_step = 2, 12, 5
    facts = courier.part("addon.capture").scene_facts(bpy.context)
    wanted = {
        "engine": "CYCLES",
        "samples": 77,
        "denoise": False,
        "denoiser": "OPENIMAGEDENOISE",
        "tiling": True,
        "tile_size": 512,
        "resolution": "640x360",
        "resolution_percentage": 50,
        "output_format": "OPEN_EXR",
        "color_depth": "32",
        "color_mode": "RGB",
        "exr_codec": "PIZ",
        "tiff_codec": None,
        "compression": None,
        "quality": None,
        "frames": "2-12x5",
        "frame_count": 3,
        "camera": "Cam A",
        "cameras": ["Cam A", "Cam B"],
        "view_layer": "ViewLayer",
        "color_management": "default",
        "movie": False,
        "sequencer": False,
        "compositing": False,
        "markers": False,
    }
    assert {name: facts[name] for name in wanted} == wanted
    assert facts["fps"] == pytest.approx(29.97003)
    frames = courier.part("bridge.frames").parse(facts["frames"])
    assert frames.count == facts["frame_count"]
    render.image_settings.file_format = "JPEG"
    render.image_settings.quality = 71
    facts = courier.part("addon.capture").scene_facts(bpy.context)
    assert facts["quality"] == 71 and facts["exr_codec"] is None


def test_facts_fit_the_services_options(courier: Courier, scene: Any) -> None:
    """What the scene says is a value that the service's options take."""
    option = courier.part("bridge.services").SERVICES["renderjuice"].option
    for engine in ("CYCLES", "BLENDER_WORKBENCH"):
        scene.render.engine = engine
        for form in ("PNG", "JPEG", "OPEN_EXR", "TIFF"):
            scene.render.image_settings.file_format = form
            facts = courier.part("addon.capture").scene_facts(bpy.context)
            for name, value in facts.items():
                if name in ("scenes", "cameras", "view_layers") or value is None:
                    continue
                if name in ("frame_count", "movie", "motion_blur", "sequencer", "compositing"):
                    continue
                if name != "markers":
                    option(name).checked(value)


def test_facts_never_look_at_the_disk(
    courier: Courier, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The panel asks at every redraw."""

    def forbidden(*_args: Any, **_more: Any) -> Any:
        raise AssertionError("the disk was asked")

    facts = courier.part("addon.capture").scene_facts
    with monkeypatch.context() as patch:
        for name in ("stat", "scandir", "listdir", "open"):
            patch.setattr(os, name, forbidden)
        assert facts(bpy.context)["cameras"]


def test_an_add_ons_nodes_and_engine_are_named(
    courier: Courier, scene: Any, tmp_path: Path
) -> None:
    """A Blender without the add-on cannot tell what they were."""

    class Glow(bpy.types.ShaderNode):
        bl_idname = "CourierTestGlow"
        bl_label = "Glow"

    class Unused(bpy.types.ShaderNode):
        bl_idname = "CourierTestUnused"
        bl_label = "Unused"

    class Engine(bpy.types.RenderEngine):
        bl_idname = "COURIER_TEST"
        bl_label = "Test"

    classes = (Glow, Unused, Engine)
    for cls in classes:
        cls.__module__ = "bl_ext.user_default.glow.nodes"
        bpy.utils.register_class(cls)
    try:
        made = bpy.data.materials.new("Glowing")
        scene.objects["Ofen"].data.materials.append(made)
        if bpy.app.version < (5, 0):
            made.use_nodes = True
        made.node_tree.nodes.new("CourierTestGlow")
        # Blender makes classes of its own nodes when somebody asks for them.
        assert issubclass(bpy.types.ShaderNodeBsdfPrincipled, bpy.types.Node)
        scene.render.engine = "COURIER_TEST"
        capture = courier.part("addon.capture")
        data = capture.capture(bpy.context, tmp_path / "job", job=JOB, whole_scene=True)
    finally:
        bpy.data.materials.remove(made)
        scene.render.engine = "CYCLES"
        for cls in classes:
            bpy.utils.unregister_class(cls)
    module = "bl_ext.user_default.glow"
    assert data["nodes"] == [{"idname": "CourierTestGlow", "module": module}]
    assert (data["engine"], data["engine_module"]) == ("COURIER_TEST", module)
    assert capture.scene_facts(bpy.context)["engine"] == "CYCLES"
    # What the captured session knew comes back in the report of a Blender that does not know it.
    params = {
        "capture": str(tmp_path / "job" / "capture.json"),
        "folder": str(tmp_path / "job"),
        "output": str(tmp_path / "package"),
        "report_only": True,
    }
    program = scenes.this_blender()
    answer = run_recipe("pack_scene", params, workdir=tmp_path, program=program, timeout=240)
    report = answer["report"]
    assert (report["engine"], report["addons"]) == ("COURIER_TEST", ["glow"])
    assert {"engine_addon", "addons"} <= {found["code"] for found in report["findings"]}
    assert answer["blocked"] is False and answer["path"] is None


def test_the_artists_session_stays_as_it_was(courier: Courier, scene: Any, tmp_path: Path) -> None:
    path = tmp_path / "shot.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    scene.view_layers[0].objects.active = scene.objects["Ofen"]
    before = path.read_bytes()
    order(courier, cameras=["Cam B"], options={"frames": "3"})
    assert path.read_bytes() == before and bpy.data.filepath == str(path)
    assert scene.camera == scene.objects["Cam A"]
    assert (scene.frame_start, scene.frame_end) == (1, 250)
    assert not [item for item in scene.objects if item.select_get()]
