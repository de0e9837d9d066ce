# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of product pictures in the list: their table, their pictures, and what can be done."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from . import render_support as made  # noqa: E402
from .ui_support import Courier, Drawn, Layout, draw  # noqa: E402

JOBS = "SCENE_COURIER_PT_jobs"
See = Callable[..., Drawn]
COUNTERS = {
    "modelsUploaded": 3,
    "modelsReady": 2,
    "modelsTotal": 3,
    "projectsCreated": 1,
    "projectsTotal": 3,
    "rendersComplete": 0,
    "rendersTotal": 0,
}


def product(name: str, status: str, problem: str = "", **more: Any) -> dict[str, Any]:
    row = {"name": name, "file": f"{name}.glb", "status": status, "problem": problem}
    return {**row, "stills": 0, "videos": 0, **more}


def table(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"products": list(rows), "template": {"id": "t", "name": "Studio Light"}, **more}


CHAIR = product("Chair", "rendered", stills=4, videos=1, render_job="r1")
LAMP = product("Lamp", "failed", "The renderer ran out of memory.", render_job="r2")
VASE = product("Vase", "left out", "It is 3 mm high.")


@pytest.fixture
def put(courier: Courier) -> Iterator[Callable[..., Any]]:
    """Put a job into the store, pick it, and let the pump read it."""

    def into(state: str, **more: Any) -> Any:
        more.setdefault("account", "default")
        with courier.store() as store:
            job = store.insert_job(courier.job("Chair and 2 more", state, service="glossi", **more))
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


def result(courier: Courier, path: object, kind: str) -> Any:
    return courier.part("bridge.jobs").Result(str(path), 5, kind)


def stored(courier: Courier, job_id: str) -> Any:
    courier.settle()
    with courier.store() as store:
        return store.job(job_id)


# -- what is shown ---------------------------------------------------------------------------------


def test_counters_while_they_are_told(courier: Courier, see: See) -> None:
    report = table(product("Chair", "packed"), counters=COUNTERS)
    drawn = see(
        "remote",
        state_text="Preparing the models",
        report=report,
        phase_done=3,
        phase_total=6,
        phase_unit="steps",
        remote={"jobId": "j", "status": "PROCESSING"},
    )
    assert "Preparing the models" in drawn.texts
    for label, told in (
        ("Models uploaded", "3 of 3"),
        ("Models ready", "2 of 3"),
        ("Projects made", "1 of 3"),
        ("Renders done", "0 of 0"),
    ):
        assert label in drawn.texts and told in drawn.texts
    assert "Template: Studio Light" in drawn.texts and "Packed" in drawn.texts
    assert (0.5, "50 %") in drawn.progress
    # Once it renders, these counters say nothing any more.
    rendering = {
        "rows": [
            {"job_id": "r1", "project_id": "p1", "status": "RENDERING"},
            {"job_id": "r2", "project_id": "p2", "status": "QUEUED"},
            {"job_id": "r3", "project_id": "p3", "status": "COMPLETED"},
        ]
    }
    rows = [
        product(name, "project ready", project_id=f"p{number}")
        for number, name in enumerate(("Chair", "Lamp", "Table"), start=1)
    ]
    drawn = see(
        "remote",
        state_text="Rendering",
        report=table(*rows, counters=COUNTERS),
        phase_done=1,
        phase_total=3,
        phase_unit="products",
        remote=rendering,
    )
    assert "Models uploaded" not in drawn.texts and "1 of 3 products" in drawn.text
    assert {"Rendering", "In line", "Rendered"} <= set(drawn.texts)
    drawn = see("remote", report=table(product("Chair", "packed")), remote={"rows": {"m1": {}}})
    assert "Preparing" in drawn.texts, "the models' own rows are no renders"


def test_the_yes_before_rendering(courier: Courier, see: See) -> None:
    report = table(product("Chair", "project ready"), product("Lamp", "project ready"), VASE)
    text = "2 projects ready to render: stills"
    more = {"waiting_reason": "person", "state_text": text, "report": report}
    drawn = see("awaiting_approval", **more)
    assert f"{text}. Glossi does not tell prices" in drawn.text and "GPU" not in drawn.text
    assert "Nothing is rendered before you approve it" in drawn.text and "Start?" in drawn.texts
    _name, words, enabled, given = drawn.button("scene_courier.approve_job")
    assert words == "Start Rendering 2 Products" and enabled and given["credits"] == -1.0
    assert "It is 3 mm high." in drawn.text
    drawn = see("awaiting_approval", account="sandbox", **more)
    assert "It costs nothing on this computer" in drawn.text


def test_a_failed_product_does_not_hide_the_others(courier: Courier, see: See) -> None:
    stills = [result(courier, f"/r/Chair/{n}.png", "still") for n in ("Front", "Back")]
    film = result(courier, "/r/Chair/Turntable.mp4", "video")
    report = table(CHAIR, LAMP, VASE, retry_steps=["rendered", "stills"])
    drawn = see("done", report=report, results=[*stills, film], results_dir="/r")
    assert "Products (1 of 3)" in drawn.texts and "1 of 3" in drawn.texts
    assert {"4 stills, 1 video", "Failed", "Left out"} <= set(drawn.texts)
    assert "The renderer ran out of memory." in drawn.text
    assert "2 stills, 1 video with Studio Light" in drawn.texts, "what came back in all"
    retry = drawn.button("scene_courier.retry_job", "Retry 1 Failed Render")
    assert retry[2]
    assert drawn.has("scene_courier.show_still", "Front")
    assert drawn.button("wm.path_open")[1:] == (
        "Turntable",
        True,
        {"filepath": "/r/Chair/Turntable.mp4"},
    )
    drawn = see("done", report=table(CHAIR), results=stills, results_dir="/r")
    assert not drawn.has("scene_courier.retry_job") and "Products (1)" in drawn.texts


def test_when_no_render_worked_a_retry_starts_them_again(courier: Courier, see: See) -> None:
    module = courier.part("bridge.problems")
    problem = module.Problem(module.Category.REMOTE, "It could not.", "Retry starts them again.")
    drawn = see("failed", report=table(LAMP, retry_steps=["rendered"]), problem=problem)
    assert drawn.has("scene_courier.retry_job", "Retry 1 Failed Render")
    drawn = see("failed", report=table(VASE), problem=problem)
    assert drawn.button("scene_courier.retry_job")[1] == "Retry"


def test_files_that_stay_at_glossi(courier: Courier, see: See) -> None:
    names = [f"View {n}" for n in range(15)]
    drawn = see("done", report=table(CHAIR, unreachable=names))
    assert "Only at Glossi (15 files)" in drawn.texts and "View 11 and 3 more" in drawn.text
    assert drawn.button("wm.url_open")[3]["url"].startswith("https://app.glossi.io")
    drawn = see("done", report=table(CHAIR, unreachable=names[:1]), account="sandbox")
    assert "Only at Glossi (1 file)" in drawn.texts and not drawn.has("wm.url_open")


def test_in_doubt_there_is_no_list_to_look_in(courier: Courier, see: See) -> None:
    drawn = see("in_doubt", waiting_reason="person", report=table(CHAIR))
    assert drawn.has("scene_courier.resolve_job", "It Is This One")
    assert drawn.has("scene_courier.resolve_job", "Send Again")
    assert not drawn.has("scene_courier.retry_job"), "Glossi documents no list"


@pytest.mark.parametrize(
    "report",
    [{}, {"products": None}, {"products": [None, {}]}, {"counters": 3}, {"template": None}],
)
def test_reports_with_nothing_in_them(courier: Courier, see: See, report: dict[str, Any]) -> None:
    for state in ("packaging", "uploading", "awaiting_approval", "remote", "done", "failed"):
        see(state, report=report)


def test_a_great_many_products_stay_a_short_table(courier: Courier, see: See) -> None:
    many = [product(f"P{n}", "rendered", stills=3) for n in range(300)]
    drawn = see("done", report=table(*many, LAMP))
    assert "Products (300 of 301)" in drawn.texts and "and 277 more" in drawn.text
    assert "Lamp" in drawn.texts, "what failed is not among those that are left out"
    assert "P22" in drawn.texts and "P23" not in drawn.texts


# -- pictures --------------------------------------------------------------------------------------


@pytest.fixture
def shot(courier: Courier, put: Callable[..., Any], tmp_path: Path) -> Any:
    """A finished job with six stills of two products on disk."""
    report = table(CHAIR, product("Lamp", "rendered", stills=3, render_job="r2"), labels={})
    results = []
    for name in ("Chair", "Lamp"):
        (tmp_path / name).mkdir()
        for view in ("front", "side", "top"):
            path = made.write(tmp_path / name / f"{view}.png", (1.0, 0.5, 0.0))
            results.append(result(courier, path, "still"))
            report["labels"][str(path)] = f"{view.title()} View - Default"
    return put("done", report=report, results=results, results_dir=str(tmp_path))


def test_a_contact_sheet_by_product(courier: Courier, shot: Any) -> None:
    thumbnails = courier.part("addon.imports.thumbnails")
    drawn = draw(JOBS)
    shows = [b for b in drawn.buttons if b[0] == "scene_courier.show_still"]
    assert [b[1] for b in shows] == ["Front View", "Side View", "Top View"] * 2
    assert drawn.text.index("Chair") < drawn.text.index("Lamp")
    turns = []
    for _turn in range(6):
        courier.look()
        courier.settle()
        turns.append(len(thumbnails._files))
    assert max(b - a for a, b in itertools.pairwise(turns)) <= thumbnails.EACH_TURN
    assert turns[-1] == 6, "the one of the list is among them"
    assert {button[3]["path"] for button in shows} == set(thumbnails._files)
    Path(shows[0][3]["path"]).unlink()
    thumbnails._looked_at = -1e9  # ten seconds later
    for _turn in range(3):
        courier.look()
        courier.settle()
    assert shows[0][3]["path"] not in thumbnails._files


def test_many_stills_stay_bounded(courier: Courier, put: Callable[..., Any]) -> None:
    thumbnails = courier.part("addon.imports.thumbnails")
    many = [result(courier, f"/r/Chair/{n:03d}.png", "still") for n in range(400)]
    put("done", report=table(CHAIR), results=many, results_dir="/r")
    drawn = draw(JOBS)
    shows = [b for b in drawn.buttons if b[0] == "scene_courier.show_still"]
    assert len(shows) == thumbnails.SHEET
    assert f"and {400 - thumbnails.SHEET} more stills in the folder" in drawn.text


def test_one_picture_large(courier: Courier, shot: Any) -> None:
    path = shot.results[4].path
    show = bpy.ops.scene_courier.show_still
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    before = area.type
    try:
        area.type = "IMAGE_EDITOR"
        with bpy.context.temp_override(window=window):
            assert show(job_id=shot.id, path=path) == {"FINISHED"}
            assert area.spaces.active.image.filepath == path
            show(job_id=shot.id, path=path)
            assert [image.name for image in bpy.data.images] == ["Lamp · Side View"], "once"
            show(job_id=shot.id)
            assert area.spaces.active.image.filepath == shot.results[0].path
    finally:
        area.type = before
    with pytest.raises(RuntimeError, match="is not there any more"):
        show(job_id=shot.id, path=path + ".gone")
    if not any(a.type == "IMAGE_EDITOR" for a in window.screen.areas):
        # Without a window none can be opened; the picture is loaded all the same.
        assert show(job_id=shot.id, path=shot.results[1].path) == {"FINISHED"}


# -- what can be done ------------------------------------------------------------------------------


def test_only_what_failed_is_started_again(courier: Courier, put: Callable[..., Any]) -> None:
    job = put("done", report=table(CHAIR, LAMP, retry_steps=["rendered", "stills"]))
    assert bpy.ops.scene_courier.retry_job(job_id=job.id) == {"FINISHED"}
    after = stored(courier, job.id)
    assert after.state == "queued" and after.origin["retries"] == 1
    fine = put("done", report=table(CHAIR, retry_steps=[]))
    with pytest.raises(RuntimeError, match="there is nothing to retry"):
        bpy.ops.scene_courier.retry_job(job_id=fine.id)


def test_an_unlikely_size_is_asked_about(
    courier: Courier, see: See, put: Callable[..., Any]
) -> None:
    module = courier.part("bridge.problems")
    technical = "size 0.003 x 0.003 x 0.003 m, unit scale 1, option ignore_scale"
    problem = module.Problem(module.Category.INPUT, "It is 3 mm. Is that meant?", "If", technical)
    vase = {**VASE, "hint": "If not, scale it."}
    drawn = see("failed", report=table(vase), problem=problem)
    assert drawn.has("scene_courier.override_job", "Send at This Size")
    assert "It is 3 mm high. If not, scale it." in drawn.text
    job = put("failed", report=table(vase), problem=problem)
    assert bpy.ops.scene_courier.override_job(job_id=job.id) == {"FINISHED"}
    after = stored(courier, job.id)
    assert after.state == "queued" and after.options["ignore_scale"]
    assert "products" not in after.report and after.report["template"], "the table begins anew"
    other = put("failed", problem=module.Problem(module.Category.INPUT, "No faces.", "", ""))
    assert not draw(JOBS).has("scene_courier.override_job")
    with pytest.raises(RuntimeError, match="was not stopped by the check"):
        bpy.ops.scene_courier.override_job(job_id=other.id)


def test_ids_are_entered_after_a_lost_answer(courier: Courier, put: Callable[..., Any]) -> None:
    job = put("in_doubt", waiting_reason="person")
    resolve = bpy.ops.scene_courier.resolve_job
    assert resolve(job_id=job.id, decision="found", remote_id="r1, r2") == {"FINISHED"}
    after = stored(courier, job.id)
    assert after.state == "remote" and after.remote_id == "r1, r2"


def test_approve_has_no_price(courier: Courier, put: Callable[..., Any]) -> None:
    job = put("awaiting_approval", waiting_reason="person")
    assert bpy.ops.scene_courier.approve_job(job_id=job.id) == {"FINISHED"}
    after = stored(courier, job.id)
    assert after.approved_credits == math.inf and after.state == "queued"


def test_each_button_has_a_tooltip_of_its_own(courier: Courier, put: Callable[..., Any]) -> None:
    shot = put("awaiting_approval", report=table({**CHAIR, "project_id": "p"}))
    early = put("in_doubt", waiting_reason="person", report=table(CHAIR))
    farm = courier.job("Kitchen", "awaiting_approval", service="renderjuice")
    with courier.store() as store:
        store.insert_job(farm)
    courier.tick(2)

    def tooltip(name: str, **values: Any) -> str:
        cls = getattr(bpy.types, f"SCENE_COURIER_OT_{name}")
        defaults = {"credits": -1.0, "decision": "found", "path": ""}
        return str(cls.description(bpy.context, type("P", (), {**defaults, **values})()))

    assert "Glossi" in tooltip("approve_job", job_id=shot.id)
    assert "GPU minutes" in tooltip("approve_job", job_id=farm.id)
    assert "render jobs" in tooltip("resolve_job", job_id=shot.id)
    assert "projects" in tooltip("resolve_job", job_id=early.id)
    assert "conversion" in tooltip("resolve_job", job_id="")
    assert "size" in tooltip("override_job", job_id=shot.id)
    assert "spoil" in tooltip("override_job", job_id=farm.id)
    again = put("done", report=table(CHAIR, LAMP, retry_steps=["rendered"]))
    assert "only those renders" in tooltip("retry_job", job_id=again.id)
    assert "last step" in tooltip("retry_job", job_id=farm.id)
    assert "“a.png”" in tooltip("show_still", job_id=shot.id, path="/x/a.png")
