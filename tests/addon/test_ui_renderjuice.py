# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering a scene from the panel: what it shows, what its buttons say, and what is sent."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from .ui_support import Courier, Drawn, draw  # noqa: E402

SEND, REMOTE = "SCENE_COURIER_PT_send", "SCENE_COURIER_PT_remote_jobs"
#: what is ours, and always in a job's options
OURS = {"handles": 2, "video": True}


def camera(name: str, scene: Any = None) -> Any:
    item = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    (scene or bpy.context.scene).collection.objects.link(item)
    return item


@pytest.fixture
def render(courier: Courier) -> Iterator[Any]:
    """The settings of a scene of 120 frames with one camera, for Renderjuice on the sandbox."""
    scene = bpy.context.scene
    scene.scene_courier.service = "renderjuice"
    scene.frame_start, scene.frame_end, scene.frame_step = 1, 120, 1
    scene.camera = camera("Main")
    yield scene.scene_courier.renderjuice


def main_button(drawn: Drawn) -> tuple[str, bool]:
    _name, text, enabled, _given = drawn.button("scene_courier.send", "Render")
    return text, enabled


def all_jobs(courier: Courier) -> list:
    with courier.store() as store:
        return store.jobs()


def sent(courier: Courier, **more: Any) -> Any:
    """Send with these arguments; the one job that came of it."""
    before = {job.id for job in all_jobs(courier)}
    assert bpy.ops.scene_courier.send(account="sandbox", **more) == {"FINISHED"}
    (job,) = [job for job in all_jobs(courier) if job.id not in before]
    return job


def tell(courier: Courier, kind: str, account: str, answer: Any, problem: Any = None) -> None:
    """What the worker would answer."""
    with courier.store() as store:
        request = store.ask(kind, {"service": "renderjuice", "account": account}, 0)
        store.answer(request.id, answer, problem=problem)
    courier.tick()


# -- what the panel says --------------------------------------------------------------------------


def test_the_buttons_say_what_they_will_do(courier: Courier, render: Any) -> None:
    drawn = draw(SEND)
    assert main_button(drawn) == ("Render 120 Frames in the Sandbox", True)
    assert "Free." in drawn.text and "120 frames" in drawn.text and "Main" in drawn.texts
    sent_with = {text: given for _name, text, _on, given in drawn.buttons if "service" in given}
    assert sent_with["3 Test Frames"] == {
        "service": "renderjuice",
        "account": "sandbox",
        "test_frames": True,
    }
    assert sent_with["Check Scene"]["check_only"] is True
    bpy.context.scene.frame_end = 1
    drawn = draw(SEND)
    assert main_button(drawn) == ("Render 1 Frame in the Sandbox", True)
    assert not drawn.button("scene_courier.send", "1 Test")[2], "a test would be all of it"


def test_the_cost_is_told_and_never_invented(courier: Courier, render: Any) -> None:
    bpy.context.window_manager.scene_courier.account = "default"
    tell(courier, "service_state", "default", {"key_source": "keyring", "base_url": "", "ready": 1})
    drawn = draw(SEND)
    assert main_button(drawn) == ("Render 120 Frames on Renderjuice", True)
    assert "GPU minutes of your plan; nothing before rendering starts" in drawn.text
    assert "You start it once the scene was checked" in drawn.text
    assert "credit" not in drawn.text
    render.start, render.use_spending_cap, render.spending_cap = "at_once", True, 12.5
    drawn = draw(SEND)
    assert "It starts by itself" in drawn.text and "about 12.5 GPU minutes" in drawn.text


def test_without_a_key_only_the_check_is_offered(courier: Courier, render: Any) -> None:
    bpy.context.window_manager.scene_courier.account = "default"
    tell(courier, "service_state", "default", {"key_source": "none", "base_url": "", "ready": 0})
    drawn = draw(SEND)
    assert "scene-courier login renderjuice" in drawn.text
    assert "needs a key for Renderjuice" in drawn.text
    assert not main_button(drawn)[1]
    assert drawn.button("scene_courier.send", "Check Scene")[2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1-250,x", "“x” is not a frame or a range"),
        ("9-3", "ends before it begins"),
        ("1-10x0", "step of “1-10x0”"),
        ("1,,2", "Part 2 of the frames is empty"),
        ("1-9999999", "outside of what Blender counts"),
    ],
)
def test_frames_that_cannot_be_read(courier: Courier, render: Any, text: str, said: str) -> None:
    render.frames = text
    drawn = draw(SEND)
    assert said in drawn.text
    assert main_button(drawn) == ("Render in the Sandbox", False)
    with pytest.raises(RuntimeError, match=re.escape(said)):
        bpy.ops.scene_courier.send(account="sandbox")
    assert all_jobs(courier) == [] and said in courier.now.click_problem.sentence
    render.frames = "1-100x10, 200"
    drawn = draw(SEND)
    assert main_button(drawn)[0] == "Render 11 Frames in the Sandbox"
    assert "11 instead of 120 frames" in drawn.text


def test_a_range_that_ends_before_it_begins_is_the_scenes_own(
    courier: Courier, render: Any
) -> None:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 20, 20
    scene.frame_step = 5
    assert main_button(draw(SEND))[0] == "Render 1 Frame in the Sandbox"
    scene.frame_end = 31
    assert main_button(draw(SEND))[0] == "Render 3 Frames in the Sandbox"


def test_what_is_missing_is_said_and_greys_the_button(courier: Courier, render: Any) -> None:
    scene = bpy.context.scene

    def refused(words: str) -> None:
        drawn = draw(SEND)
        assert words in drawn.text
        assert not main_button(drawn)[1]
        assert not drawn.button("scene_courier.send", "Check Scene")[2]
        with pytest.raises(RuntimeError, match=words):
            bpy.ops.scene_courier.send(account="sandbox")
        assert all_jobs(courier) == []

    main, scene.camera = scene.camera, None
    refused("The scene has no active camera")
    render.camera_choice = "chosen"
    refused("No camera is chosen")
    render.cameras.add().name = "Nobody"
    refused("The scene has no camera “Nobody”")
    render.camera_choice, scene.camera = "active", main
    render.scene = "Lost"
    refused("There is no scene “Lost”")
    render.scene, render.view_layer = "", "Lost layer"
    refused("The scene has no view layer “Lost layer”")
    render.view_layer = ""
    render.use_output_format, render.output_format = True, "JPEG"
    render.use_color_depth, render.color_depth = True, "16"
    refused("JPEG has 8 bits")
    render.use_color_depth = False
    render.use_color_mode, render.color_mode = True, "RGBA"
    refused("JPEG has no transparency")
    render.color_mode = "RGB"
    assert main_button(draw(SEND))[1]


def test_a_marker_or_the_sequencer_does_without_an_active_camera(
    courier: Courier, render: Any
) -> None:
    scene = bpy.context.scene
    bound, scene.camera = scene.camera, None
    scene.timeline_markers.new("Shot", frame=1).camera = bound
    drawn = draw(SEND)
    assert main_button(drawn)[1] and "as the markers say" in drawn.text


def test_untouched_settings_show_the_scenes_values(courier: Courier, render: Any) -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 77, False
    scene.render.resolution_x, scene.render.resolution_y = 640, 360
    scene.render.resolution_percentage, scene.render.fps = 50, 25
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_depth = "32"
    drawn = draw(SEND)
    shown = {"Cycles", "77", "Off", "640 × 360", "50 %", "25", "OpenEXR", "32 bit"}
    assert shown <= set(drawn.texts)
    switches = {name for name in drawn.properties if name.startswith("use_")}
    assert {"use_exr_codec", "use_tiling", "use_gpu_count"} <= switches
    assert not switches & {"use_quality", "use_compression", "use_denoiser"}, "these mean nothing"
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.image_settings.file_format = "PNG"
    drawn = draw(SEND)
    switches = {name for name in drawn.properties if name.startswith("use_")}
    assert "Workbench" in drawn.texts and "use_compression" in switches
    assert not switches & {"use_samples", "use_denoise", "use_tiling", "use_exr_codec"}


def test_a_switch_begins_with_the_scenes_value(courier: Courier, render: Any) -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 33, False
    scene.render.resolution_x, scene.render.resolution_y = 800, 450
    scene.render.image_settings.file_format = "TIFF"
    for name in ("samples", "denoise", "resolution", "output_format", "engine", "fps"):
        setattr(render, f"use_{name}", True)
    assert (render.samples, render.denoise) == (33, False)
    assert (render.resolution_x, render.resolution_y) == (800, 450)
    assert (render.output_format, render.engine) == ("TIFF", "CYCLES")
    drawn = draw(SEND)
    assert {"samples", "denoise", "resolution_x", "resolution_y", "fps"} <= set(drawn.properties)
    assert any(text.startswith("Sampling (3") for text in drawn.texts)
    # What somebody entered is not taken back by the switch.
    render.samples, render.use_samples = 5, False
    render.use_samples = True
    assert render.samples == 5


def test_every_choice_is_one_that_the_service_takes(courier: Courier, render: Any) -> None:
    known = {o.name: o for o in courier.part("bridge.services").SERVICES["renderjuice"].options}
    values = courier.part("addon.render_values")
    for prop in render.bl_rna.properties:
        option = known.get(prop.identifier)
        if option is None or prop.type != "ENUM" or not option.choices:
            continue
        for value in prop.enum_items.keys():  # noqa: SIM118
            if (prop.identifier, value) == ("color_management", "auto"):
                continue
            told = values.engine_identifier(value) if prop.identifier == "engine" else value
            assert option.checked(told) == told, (prop.identifier, value)
    for name in ("samples", "tile_size", "gpu_count", "fps", "compression", "handles"):
        prop, option = render.bl_rna.properties[name], known[name]
        for limit in (prop.hard_min, prop.hard_max):
            # Blender's decimals have single precision.
            shown = limit if prop.type == "INT" else float(f"{limit:.7g}")
            assert option.checked(shown) == shown, name
    assert set(values.FORMATS) == set(known["output_format"].choices)


# -- several cameras -------------------------------------------------------------------------------


def test_cameras_are_ticked_by_name(courier: Courier, render: Any) -> None:
    camera("Top"), camera("Door")
    render.camera_choice = "chosen"
    choose = bpy.ops.scene_courier.choose_cameras
    choose(choice="toggle", camera="Top")
    choose(choice="toggle", camera="Main")
    drawn = draw(SEND)
    assert main_button(drawn)[0] == "Render 120 Frames × 2 Cameras"
    assert drawn.has("scene_courier.send", "6 Test Frames")
    listed = [text for name, text, _on, given in drawn.buttons if given.get("camera")]
    assert listed == ["Door", "Main", "Top"]
    choose(choice="toggle", camera="Top")
    assert main_button(draw(SEND))[0] == "Render 120 Frames in the Sandbox"
    choose(choice="all")
    assert [item.name for item in render.cameras] == ["Main", "Top", "Door"]
    bpy.data.objects.remove(bpy.data.objects["Door"])
    drawn = draw(SEND)
    assert drawn.has("scene_courier.choose_cameras", "Door (not in the scene)")
    choose(choice="none")
    assert len(render.cameras) == 0


def test_each_camera_becomes_a_job(courier: Courier, render: Any) -> None:
    camera("Top")
    render.camera_choice = "chosen"
    bpy.ops.scene_courier.choose_cameras(choice="all")
    assert bpy.ops.scene_courier.send(account="sandbox") == {"FINISHED"}
    jobs = all_jobs(courier)
    assert sorted(job.options["camera"] for job in jobs) == ["Main", "Top"]
    assert len({job.group_id for job in jobs}) == 1 and jobs[0].group_id
    assert all("Main" in job.name or "Top" in job.name for job in jobs)
    checked = sent(courier, check_only=True)
    assert checked.options["camera"] == "Main", "one look at the scene is enough"
    other = sent(courier, cameras=[{"name": "Top"}])
    assert other.options["camera"] == "Top"


def test_several_cameras_are_asked_about_first(courier: Courier, render: Any) -> None:
    question = courier.part("addon.operators_send").render_question
    order = courier.part("addon.sending").Order
    two = {"service": "renderjuice", "scope": "scene", "cameras": ["A", "B"]}
    title, message = question(order(account="sandbox", **two))
    assert "2 cameras as 2 jobs in the sandbox" in title and "nothing" in message
    title, message = question(order(account="default", agreed=True, **two))
    assert "on Renderjuice" in title and "starts by itself" in message
    assert "once you start it" in question(order(account="default", **two))[1]


# -- what is sent ----------------------------------------------------------------------------------


def test_nothing_is_sent_that_was_not_changed(courier: Courier, render: Any) -> None:
    job = sent(courier)
    assert (job.service, job.account, job.source) == ("renderjuice", "sandbox", "blender")
    assert job.options == OURS
    assert job.approved_credits is None, "it asks before it renders"
    captured = json.loads((courier.home / "jobs" / job.id / "capture.json").read_text("utf-8"))
    assert captured["job"]["options"] == OURS and captured["whole_scene"]


def test_only_what_was_changed_is_sent(courier: Courier, render: Any) -> None:
    bpy.context.scene.render.engine = "CYCLES"
    bpy.context.scene.view_layers.new("Front")
    for name, value in {
        "frames": " 1-10,20 ",
        "view_layer": "Front",
        "samples": 64,
        "denoise": False,
        "fps": 29.97,
        "resolution": (1280, 720),
        "output_format": "OPEN_EXR",
        "exr_codec": "DWAA",
        "tiff_codec": "LZW",
        "gpu_count": 4,
        "color_management": "aces",
        "notes": "Night shot",
        "package": "zip",
        "handles": 0,
        "video": False,
    }.items():
        if hasattr(render, f"use_{name}"):
            setattr(render, f"use_{name}", True)
        if name == "resolution":
            render.resolution_x, render.resolution_y = value
        else:
            setattr(render, name, value)
    render.use_spending_cap, render.spending_cap = True, 30.0
    render.quality = 10  # its switch is off
    job = sent(courier)
    assert job.options == {
        "frames": "1-10,20",
        "view_layer": "Front",
        "samples": 64,
        "denoise": False,
        "fps": 29.97,
        "resolution": "1280x720",
        "output_format": "OPEN_EXR",
        "exr_codec": "DWAA",
        "gpu_count": 4,
        "color_management": "aces",
        "notes": "Night shot",
        "package": "zip",
        "spending_cap": 30.0,
        "handles": 0,
        "video": False,
    }, "a TIFF codec means nothing for OpenEXR"
    service = courier.part("bridge.services").SERVICES["renderjuice"]
    checked = service.checked(job.options)
    assert {name: checked[name] for name in job.options} == job.options


def test_engines_go_by_this_blenders_names(courier: Courier, render: Any) -> None:
    render.use_engine, render.engine = True, "EEVEE"
    job = sent(courier)
    bpy.context.scene.render.engine = job.options["engine"]  # an unknown one raises
    assert "EEVEE" in bpy.context.scene.render.engine


def test_another_scene_of_the_file(courier: Courier, render: Any) -> None:
    other = bpy.data.scenes.new("Titles")
    other.frame_start, other.frame_end = 1, 5
    render.scene = "Titles"
    assert "The scene has no active camera" in draw(SEND).text
    other.camera = camera("Title camera", other)
    assert main_button(draw(SEND))[0] == "Render 5 Frames in the Sandbox"
    job = sent(courier)
    assert job.options == {**OURS, "scene": "Titles"}


def test_the_operator_works_for_scripts_whatever_the_panel_shows(
    courier: Courier, render: Any
) -> None:
    bpy.context.scene.scene_courier.service = "rigyd"
    job = sent(courier, service="renderjuice", frames="7-9", test_frames=True, start="at_once")
    assert job.service == "renderjuice"
    assert job.options == {**OURS, "frames": "7-9", "test_frames": True}
    assert job.approved_credits == math.inf, "agreed to beforehand"
    render.start = "at_once"
    assert sent(courier, service="renderjuice").approved_credits == math.inf
    assert sent(courier, service="renderjuice", start="ask").approved_credits is None
    checked = sent(courier, service="renderjuice", check_only=True)
    assert checked.options["check_only"] and checked.approved_credits is None
    with pytest.raises(RuntimeError, match="Select the objects that should be sent"):
        bpy.ops.scene_courier.send(service="rigyd", account="sandbox")


def test_settings_are_the_scenes_own_and_saved_with_it(
    courier: Courier, render: Any, tmp_path: Any
) -> None:
    render.frames, render.use_samples, render.samples = "1-7", True, 99
    render.cameras.add().name = "Main"
    path = str(tmp_path / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True)
    assert bpy.context.scene.scene_courier.renderjuice.frames == ""
    bpy.ops.wm.open_mainfile(filepath=path)
    again = bpy.context.scene.scene_courier.renderjuice
    assert (again.frames, again.use_samples, again.samples) == ("1-7", True, 99)
    assert [item.name for item in again.cameras] == ["Main"]


def test_a_deleted_camera_is_not_kept_alive(courier: Courier, render: Any) -> None:
    item = camera("Short-lived")
    bpy.ops.scene_courier.choose_cameras(choice="toggle", camera=item.name)
    assert item.users == 1, "the scene's collection alone"


# -- jobs that were started elsewhere --------------------------------------------------------------


def rows(here: bool = False) -> dict[str, Any]:
    return {
        "jobs": [
            {"id": "9d1c", "status": "rendering", "created_at": 1.0, "name": "a.zip", "here": here},
            {"id": "77aa", "status": "completed", "created_at": None, "name": "", "here": False},
        ]
    }


def test_the_list_of_other_jobs_is_asked_for_when_it_is_open(courier: Courier, render: Any) -> None:
    courier.look()
    courier.settle()

    def asked() -> list[str]:
        with courier.store() as store:
            return [request.kind for request in store.pending_requests()]

    assert "remote_jobs" not in asked()
    assert "Asking for the list" in draw(REMOTE).text
    courier.look()
    courier.settle()
    assert "remote_jobs" in asked()
    tell(courier, "remote_jobs", "sandbox", rows())
    drawn = draw(REMOTE)
    assert "a.zip" in drawn.texts and "Job 77aa" in drawn.texts
    adopt = [b[3] for b in drawn.buttons if b[0] == "scene_courier.adopt"]
    assert [given["remote_id"] for given in adopt] == ["9d1c", "77aa"]
    tell(courier, "remote_jobs", "sandbox", rows(here=True))
    assert "a.zip" not in draw(REMOTE).texts
    tell(courier, "remote_jobs", "sandbox", {"jobs": []})
    assert "Every job of this account" in draw(REMOTE).text
    bpy.context.scene.scene_courier.service = "rigyd"
    assert draw(REMOTE).texts == []


def test_why_the_list_cannot_be_had(courier: Courier, render: Any) -> None:
    draw(REMOTE)
    problems = courier.part("bridge.problems")
    told = problems.Problem(problems.Category.NETWORK, "Nobody answers.", "Try later.")
    tell(courier, "remote_jobs", "sandbox", None, told)
    drawn = draw(REMOTE)
    assert "Nobody answers. Try later." in drawn.text
    assert drawn.has("scene_courier.refresh", "Look Again")


def test_adopt(courier: Courier, render: Any, tmp_path: Any) -> None:
    bpy.context.scene.scene_courier.results_folder = str(tmp_path / "frames")
    adopt = bpy.ops.scene_courier.adopt
    given = {"service": "renderjuice", "account": "sandbox", "remote_id": "9d1c-22"}
    assert adopt(name="hero shot", **given) == {"FINISHED"}
    (job,) = all_jobs(courier)
    assert (job.name, job.remote_id, job.account) == ("hero shot", "9d1c-22", "sandbox")
    assert job.input_kind == "remote" and job.source == "blender"
    assert job.results_dir == str(tmp_path / "frames" / "hero shot-9d1c-22")
    assert courier.now.active_id == job.id
    with pytest.raises(RuntimeError, match="is here already"):
        adopt(name="hero shot", **given)
    with pytest.raises(RuntimeError, match="cannot be followed"):
        adopt(service="renderjuice", account="sandbox", remote_id=" ")


def test_drawing_reads_no_store_and_no_disk(courier: Courier, render: Any) -> None:
    import sys

    report = {"preflight": {"findings": [], "frames": {"count": 3}}, "gpu_minutes": 1.0}
    with courier.store() as store:
        job = store.insert_job(courier.job(state="done", service="renderjuice", report=report))
    courier.look()
    courier.now.active_id = job.id
    render.frames, render.use_samples = "1-7,x", True
    courier.now.store.close()  # any question to the store would raise from here on
    touched: list[str] = []
    watching = [True]

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        if watching[0] and name in {"open", "os.listdir", "os.scandir", "sqlite3.connect"}:
            touched.append(f"{name} {arguments[:1]}")

    sys.addaudithook(hook)
    try:
        for panel in (SEND, "SCENE_COURIER_PT_jobs", REMOTE):
            draw(panel)
    finally:
        watching[0] = False
        courier.now.store = None
    assert touched == []
