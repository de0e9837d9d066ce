# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders in the job list: what the check and the farm found, and what can be done about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from .ui_support import Courier, Drawn, Layout, cube, draw  # noqa: E402

JOBS = "SCENE_COURIER_PT_jobs"
See = Callable[..., Drawn]


def finding(severity: str, sentence: str, hint: str = "", **more: Any) -> dict[str, Any]:
    fix = {"action": None, "type": "", "name": ""}
    one = {"code": "any", "technical": "", "users": [], "path": None, "fix": fix}
    return {**one, "severity": severity, "sentence": sentence, "hint": hint, **more}


def fix_by(action: str, kind: str = "", name: str = "") -> dict[str, Any]:
    return {"action": action, "type": kind, "name": name}


def preflight(*findings: dict[str, Any], **more: Any) -> dict[str, Any]:
    report = {
        "engine": "CYCLES",
        "samples": 512,
        "resolution": [1920, 1080],
        "percentage": 50,
        "camera": "Main",
        "frames": {"text": "1-120", "count": 120},
        "package": {"mode": "zip", "bytes": 1_234_000_000, "files": 48},
        "findings": list(findings),
    }
    return {"preflight": {**report, **more}}


NO_CAMERA = finding(
    "blocking",
    "The scene has no camera.",
    "Choose Main.",
    fix=fix_by("set_camera", "Object", "Main"),
)
MISSING = finding("blocking", "“oak.png” is missing.", "Find it.", fix=fix_by("find_missing"))
UNBAKED = finding(
    "warning",
    "The cloth is not baked.",
    "Bake it.",
    users=[{"type": "Object", "name": "Curtain", "library": None}],
)
NOTE = finding("info", "Every second frame is rendered.")


@pytest.fixture
def put(courier: Courier) -> Iterator[Callable[..., Any]]:
    """Put a render into the store, pick it, and let the pump read it."""

    def into(state: str, **more: Any) -> Any:
        more.setdefault("account", "default")
        with courier.store() as store:
            job = store.insert_job(courier.job("Kitchen", state, service="renderjuice", **more))
        courier.tick(2)
        courier.settle()  # a chore that writes would put off the click that follows
        courier.now.active_id = job.id
        return job

    yield into


@pytest.fixture
def see(courier: Courier, put: Callable[..., Any]) -> See:
    """The same, and draw the panel of jobs and the job's row of the list."""

    def look(state: str, **more: Any) -> Drawn:
        job = put(state, **more)
        drawn = draw(JOBS)
        courier.part("addon.job_view").draw_row(Layout(drawn), courier.now.jobs[job.id])
        return drawn

    return look


def results(courier: Courier, *kinds: str) -> list[Any]:
    made = courier.part("bridge.jobs").Result
    return [made(f"/r/frames/frame_{n:04d}.png", 5, kind) for n, kind in enumerate(kinds, 1)]


def stored(courier: Courier, job_id: str) -> Any:
    courier.settle()
    with courier.store() as store:
        return store.job(job_id)


def problem(courier: Courier, category: str = "input") -> Any:
    module = courier.part("bridge.problems")
    return module.Problem(module.Category(category), "It cannot be.", "Do this.", "technical")


# -- what is shown ---------------------------------------------------------------------------------


def test_what_blocks_comes_first_with_its_buttons(courier: Courier, see: See) -> None:
    report = preflight(NOTE, UNBAKED, MISSING, NO_CAMERA)
    drawn = see("failed", report=report, problem=problem(courier))
    assert "2 problems, 1 warning" in drawn.text and "Nothing was sent" in drawn.text
    order = [drawn.text.index(one["sentence"]) for one in (MISSING, NO_CAMERA, UNBAKED, NOTE)]
    assert order == sorted(order)
    assert "120 frames, 960 × 540, Cycles, 512 samples, camera “Main”" in drawn.text
    assert "1.2 GB, a .zip of 48 files" in drawn.text
    fixes = [(b[1], b[3]["index"]) for b in drawn.buttons if b[0] == "scene_courier.fix_finding"]
    assert fixes == [("Find Missing Files", 2), ("Use This Camera", 3), ("Select", 1)]
    assert drawn.has("scene_courier.override_job", "Send Anyway")
    assert not drawn.has("scene_courier.retry_job"), "the same copy would be stopped again"


def test_a_great_many_findings_stay_a_few_boxes(courier: Courier, see: See) -> None:
    many = [finding("warning", f"Number {number}.") for number in range(500)]
    drawn = see("failed", report=preflight(*many), problem=problem(courier))
    assert "and 488 more" in drawn.text and "Number 12." not in drawn.text


@pytest.mark.parametrize("report", [{}, {"preflight": {}}, {"analysis": {}}, {"frames": {}}])
def test_reports_with_nothing_in_them(courier: Courier, see: See, report: dict[str, Any]) -> None:
    for state in ("packaging", "awaiting_approval", "remote", "done", "failed", "canceled"):
        see(state, report=report)


def test_the_yes_before_the_paid_step(courier: Courier, see: See) -> None:
    analysis = {
        "facts": [["Render engine", "CYCLES"], ["Samples", "512"]],
        "findings": [{"severity": "warning", "sentence": "OptiX is used.", "hint": "Fine."}],
    }
    drawn = see(
        "awaiting_approval",
        waiting_reason="person",
        state_text="Checked; ready to render 120 frames",
        report={**preflight(UNBAKED), "analysis": analysis},
        remote={"status": "validated"},
    )
    assert "Checked; ready to render 120 frames. It uses GPU minutes of your plan" in drawn.text
    assert "Nothing is rendered before you approve it" in drawn.text
    assert "OptiX is used. Fine." in drawn.text and "The cloth is not baked." in drawn.text
    assert {"Render engine", "CYCLES"} <= set(drawn.texts) and "Start?" in drawn.texts
    _name, text, enabled, given = drawn.button("scene_courier.approve_job")
    assert text == "Start Rendering 120 Frames" and enabled and given["credits"] == -1.0
    assert drawn.has("scene_courier.cancel_job")


@pytest.mark.parametrize(
    ("status", "told", "label"),
    [
        ("validating", "Checking the scene", "Validating"),
        ("booting", "Starting machines", "Rendering"),
        ("suspended", "Suspended at Renderjuice", "Suspended"),
        ("debugging", "Needs attention at Renderjuice", "Needs attention"),
    ],
)
def test_what_the_farm_is_doing(
    courier: Courier, see: See, status: str, told: str, label: str
) -> None:
    drawn = see("remote", state_text=told, remote={"status": status})
    assert told in drawn.text and label in drawn.texts
    assert drawn.has("scene_courier.cancel_job")


def test_progress_by_frames_and_minutes(courier: Courier, see: See) -> None:
    drawn = see(
        "remote",
        state_text="Rendering",
        phase_done=47,
        phase_total=120,
        phase_unit="frames",
        report={**preflight(), "gpu_minutes": 18.4},
        remote={"status": "rendering"},
    )
    assert (pytest.approx(47 / 120), "47 of 120 frames") in drawn.progress
    assert "18.4 GPU minutes so far" in drawn.text
    drawn = see("queued", state_text="Checked; ready to render", report={"gpu_minutes": 0.0})
    assert "Queued" in drawn.texts and "GPU minutes" not in drawn.text


def frames(arrived: int, count: int, missing: str = "") -> dict[str, Any]:
    return {"asked": f"1-{count}", "count": count, "arrived": arrived, "missing": missing}


def test_all_frames_came_back(courier: Courier, see: See) -> None:
    report = {**preflight(), "frames": frames(120, 120), "gpu_minutes": 61.0}
    drawn = see("done", report=report, results=results(courier, "frame"))
    assert "120 of 120 frames came back" in drawn.text and "61 GPU minutes" in drawn.text
    assert drawn.has("scene_courier.import_job", "Import")
    menus = [b for b in drawn.buttons if b[3].get("menu") == "ways"]
    assert [b[1] for b in menus] == ["Import As"]
    assert not drawn.has("scene_courier.render_again")
    assert drawn.button("scene_courier.reveal_job")[3]["what"] == "results"


def test_missing_frames_can_be_rendered(courier: Courier, see: See) -> None:
    report = {**preflight(), "frames": frames(117, 120, "3,7-8")}
    drawn = see("done", report=report, results=results(courier, "frame"))
    assert "117 of 120 frames came back. Missing: 3,7-8" in drawn.text
    given = drawn.button("scene_courier.render_again", "Render Missing Frames")[3]
    assert given["frames"] == "missing"
    # What was rendered before a job failed was paid for, and is offered all the same.
    drawn = see(
        "failed", report=report, results=results(courier, "frame"), problem=problem(courier)
    )
    assert drawn.has("scene_courier.import_job", "Import")
    assert drawn.has("scene_courier.render_again", "Render Missing Frames")
    assert drawn.has("scene_courier.retry_job", "Retry")


def test_after_test_frames_all_can_follow(courier: Courier, see: See) -> None:
    report = {**preflight(), "frames": frames(3, 3)}
    more = {"report": report, "results": results(courier, "frame")}
    drawn = see("done", options={"test_frames": True}, **more)
    given = drawn.button("scene_courier.render_again", "Render All 120 Frames")[3]
    assert given["frames"] == ""
    assert "Kitchen (test)" in drawn.texts
    drawn = see(
        "awaiting_approval",
        options={"test_frames": True},
        report=preflight(),
        waiting_reason="person",
    )
    assert drawn.has("scene_courier.approve_job", "Start Rendering 3 Test Frames")
    drawn = see("done", options={"check_only": True}, report=preflight(NOTE))
    assert "Kitchen (check)" in drawn.texts and "Checked; nothing was sent" in drawn.text
    assert drawn.has("scene_courier.render_again", "Send and Render")
    assert not drawn.has("scene_courier.import_job") and "1 note" in drawn.text


def test_a_job_from_elsewhere_cannot_be_rendered_again(courier: Courier, see: See) -> None:
    report = {"frames": frames(1, 2, "2")}
    drawn = see("done", report=report, results=results(courier, "frame"), input_kind="remote")
    assert drawn.has("scene_courier.import_job") and not drawn.has("scene_courier.render_again")


# -- what can be done ------------------------------------------------------------------------------


def test_approve_has_no_price(courier: Courier, put: Callable[..., Any]) -> None:
    job = put("awaiting_approval", waiting_reason="person")
    assert bpy.ops.scene_courier.approve_job(job_id=job.id) == {"FINISHED"}
    after = stored(courier, job.id)
    assert after.approved_credits == math.inf and after.state == "queued"


def test_send_anyway(courier: Courier, put: Callable[..., Any]) -> None:
    job = put("failed", report=preflight(MISSING), problem=problem(courier))
    assert bpy.ops.scene_courier.override_job(job_id=job.id) == {"FINISHED"}
    after = stored(courier, job.id)
    assert after.state == "queued" and after.options["ignore_problems"] is True
    fine = put("done", report=preflight(NOTE))
    with pytest.raises(RuntimeError, match="was not stopped by the check"):
        bpy.ops.scene_courier.override_job(job_id=fine.id)


def test_further_frames_of_what_was_sent(courier: Courier, put: Callable[..., Any]) -> None:
    report = {**preflight(), "frames": frames(117, 120, "3,7-8")}
    job = put("done", report=report, options={"samples": 16, "test_frames": True})
    folder = courier.home / "jobs" / job.id
    folder.mkdir(parents=True)
    (folder / "scene.blend").write_bytes(b"BLENDER")
    (folder / "capture.json").write_text("{}")
    again = bpy.ops.scene_courier.render_again
    assert again(job_id=job.id, frames="missing") == {"FINISHED"}
    new = stored(courier, courier.now.active_id)
    assert new.id != job.id and new.options["frames"] == "3,7-8" and new.state == "queued"
    assert new.options["samples"] == 16 and not new.options["test_frames"]
    assert courier.rows()[0] == new.id, "shown at once"
    again(job_id=job.id)
    assert "frames" not in stored(courier, courier.now.active_id).options
    again(job_id=job.id, frames="5-6")
    assert stored(courier, courier.now.active_id).options["frames"] == "5-6"
    with pytest.raises(RuntimeError, match="is not a frame or a range"):
        again(job_id=job.id, frames="five")
    whole = put("done", report={**preflight(), "frames": frames(120, 120)})
    with pytest.raises(RuntimeError, match="No frame of “Kitchen” is missing"):
        again(job_id=whole.id, frames="missing")
    with pytest.raises(RuntimeError, match="no longer in its folder"):
        again(job_id=whole.id)


def test_cancel_says_what_happens_at_the_farm(courier: Courier, put: Callable[..., Any]) -> None:
    job = put("remote", remote_id="9d1c", remote={"status": "rendering"})
    assert bpy.ops.scene_courier.cancel_job(job_id=job.id) == {"FINISHED"}
    assert stored(courier, job.id).cancel_requested


# -- the buttons beside findings -------------------------------------------------------------------


@pytest.fixture
def fix(courier: Courier, put: Callable[..., Any]) -> Callable[..., Any]:
    """Press the button of a finding of a job that was sent from the open file."""

    def press(one: dict[str, Any], **origin: Any) -> Any:
        told = {"session": courier.now.id, "blend": "", "scene": bpy.context.scene.name, **origin}
        job = put("failed", report=preflight(NOTE, one), problem=problem(courier), origin=told)
        return bpy.ops.scene_courier.fix_finding(job_id=job.id, index=1)

    return press


def test_an_object_is_selected(courier: Courier, fix: Callable[..., Any]) -> None:
    curtain, other = cube("Curtain"), cube("Other")
    curtain.select_set(False)
    curtain.hide_set(True)
    assert fix(UNBAKED) == {"FINISHED"}
    assert list(bpy.context.view_layer.objects.selected) == [curtain]
    assert bpy.context.view_layer.objects.active == curtain and not other.select_get()
    assert not curtain.hide_get()


def test_what_uses_an_image_is_selected(courier: Courier, fix: Callable[..., Any]) -> None:
    image = bpy.data.images.new("oak.png", 4, 4)
    material = bpy.data.materials.new("Oak")
    material.use_nodes = True
    material.node_tree.nodes.new("ShaderNodeTexImage").image = image
    table, chair = cube("Table"), cube("Chair")
    table.data.materials.append(material)
    users = [{"type": "Image", "name": "oak.png", "library": None}]
    assert fix(finding("warning", "x", users=users)) == {"FINISHED"}
    assert list(bpy.context.view_layer.objects.selected) == [table]
    assert not chair.select_get()


def test_what_cannot_be_selected_is_said(courier: Courier, fix: Callable[..., Any]) -> None:
    with pytest.raises(RuntimeError, match="“Curtain” is not in this file any more"):
        fix(UNBAKED)
    bpy.data.images.new("lonely.png", 4, 4)
    users = [{"type": "Image", "name": "lonely.png", "library": None}]
    with pytest.raises(RuntimeError, match=r"No object of this view layer uses “lonely\.png”"):
        fix(finding("warning", "x", users=users))
    cube("Curtain")
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        with pytest.raises(RuntimeError, match="Change to Object Mode"):
            fix(UNBAKED)
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")


def test_a_camera_is_set(courier: Courier, fix: Callable[..., Any]) -> None:
    scene = bpy.context.scene
    assert scene.camera is None
    with pytest.raises(RuntimeError, match="no camera “Main” any more"):
        fix(NO_CAMERA)
    item = bpy.data.objects.new("Main", bpy.data.cameras.new("Main"))
    scene.collection.objects.link(item)
    assert fix(NO_CAMERA) == {"FINISHED"}
    assert scene.camera == item


def test_a_library_is_read_again(courier: Courier, fix: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "props.blend"
    cube("Vase")
    bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(path), link=True) as (_source, wanted):
        wanted.objects = ["Vase"]
    bpy.context.collection.objects.link(wanted.objects[0])
    reload = fix_by("reload", "Library", "props.blend")
    assert fix(finding("blocking", "x", fix=reload)) == {"FINISHED"}
    assert bpy.data.objects["Vase"].library is not None


def test_what_needs_a_window_says_so(courier: Courier, fix: Callable[..., Any]) -> None:
    for action in ("find_missing", "save"):
        with pytest.raises(RuntimeError, match="no window for this"):
            fix(finding("blocking", "x", fix=fix_by(action)))
    with pytest.raises(RuntimeError, match="There is no button for this finding"):
        fix(NOTE)


def test_the_output_properties_are_shown(courier: Courier, fix: Callable[..., Any]) -> None:
    window = bpy.context.window_manager.windows[0]
    areas = [area for area in window.screen.areas if area.type == "PROPERTIES"]
    with bpy.context.temp_override(window=window):
        if areas:
            assert fix(finding("warning", "x", fix=fix_by("open_output"))) == {"FINISHED"}
            assert areas[0].spaces.active.context == "OUTPUT"
        else:
            with pytest.raises(RuntimeError, match="No Properties editor is open"):
                fix(finding("warning", "x", fix=fix_by("open_output")))


def test_names_mean_something_else_in_another_file(
    courier: Courier, fix: Callable[..., Any]
) -> None:
    cube("Curtain")
    with pytest.raises(RuntimeError, match=r"sent from another file: “house\.blend”"):
        fix(UNBAKED, blend="/elsewhere/house.blend")
    with pytest.raises(RuntimeError, match="no longer open"):
        fix(UNBAKED, session="another")


def test_tooltips_say_what_each_button_does(courier: Courier, put: Callable[..., Any]) -> None:
    fixing = courier.part("addon.fixing")
    assert fixing.tooltip(UNBAKED) == "Select what this is about: Curtain"
    assert fixing.tooltip(NO_CAMERA) == "Make it the scene's camera: Main"
    assert fixing.button(NOTE) is None and fixing.button(MISSING)[0] == "Find Missing Files"
    assert fixing.finding(put("failed", report=preflight(NOTE)), 7) is None
