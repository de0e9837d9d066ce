# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist sees: the panel in each situation, drawn against Blender's own API description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from .ui_support import Courier, Drawn, Layout, cube, draw  # noqa: E402

MB = 1000 * 1000
SEND, JOBS = "SCENE_COURIER_PT_send", "SCENE_COURIER_PT_jobs"
See = Callable[..., Drawn]


def tell(courier: Courier, kind: str, answer: dict[str, Any]) -> None:
    """What the worker would answer."""
    with courier.store() as store:
        request = store.ask(kind, {"service": "rigyd", "account": "default"}, 0)
        store.answer(request.id, answer)
    courier.tick()


def key_found(courier: Courier, source: str = "environment", address: str = "") -> None:
    state = {"key_source": source, "base_url": address, "ready": source != "none"}
    tell(courier, "service_state", state)


@pytest.fixture
def see(courier: Courier) -> See:
    """Put one job into the store, draw the panel of jobs, and its row of the list."""

    def look(state: str, **more: Any) -> Drawn:
        with courier.store() as store:
            job = store.insert_job(courier.job("Chair", state, **more))
        courier.tick()
        courier.now.active_id = job.id
        drawn = draw(JOBS)
        row = Layout(drawn)
        listed = courier.part("addon.panels").SCENE_COURIER_UL_jobs
        group = bpy.context.window_manager.scene_courier
        item = next(item for item in group.jobs if item.job_id == job.id)
        listed.draw_item(None, bpy.context, row, group, item, 0, group, "job_index", 0, 0)
        return drawn

    return look


def problem(courier: Courier, category: str, sentence: str, hint: str) -> Any:
    module = courier.part("bridge.problems")
    return module.Problem(module.Category(category), sentence, hint, "technical line")


# -- send ----------------------------------------------------------------------------------------


def test_nothing_selected_and_nothing_sent(courier: Courier) -> None:
    drawn = draw(SEND)
    assert "Nothing is selected" in drawn.text
    name, text, enabled, _given = drawn.button("scene_courier.send")
    assert (name, text, enabled) == ("scene_courier.send", "Send to the Sandbox", False)
    assert "Nothing has been sent yet" in draw(JOBS).text


def test_a_selection_without_a_mesh(courier: Courier) -> None:
    bpy.ops.object.camera_add()
    drawn = draw(SEND)
    assert "No mesh is selected" in drawn.text
    assert not drawn.button("scene_courier.send")[2]


def test_the_button_says_what_it_will_do(courier: Courier) -> None:
    cube("Chair")
    courier.look()
    drawn = draw(SEND)
    assert "Chair" in drawn.text and "12 triangles" in drawn.text and "Free" in drawn.text
    _name, text, enabled, given = drawn.button("scene_courier.send")
    assert text == "Send 1 Object to the Sandbox" and enabled
    assert given == {"service": "rigyd", "account": "sandbox", "agreed_credits": 0.0}
    assert "per_object" not in drawn.properties
    for number in range(4):
        cube(f"Leg {number}")
    drawn = draw(SEND)
    assert drawn.button("scene_courier.send")[1] == "Send 5 Objects to the Sandbox"
    assert "and 2 more" in drawn.text and "per_object" in drawn.properties
    wanted = {"format", "reduce", "target_triangle_count", "draco", "animation"}
    wanted |= {"placement", "source_after", "results_folder", "service", "account"}
    assert wanted <= set(drawn.properties)


def test_the_price_is_shown_and_goes_with_the_click(courier: Courier) -> None:
    cube("One")
    bpy.context.window_manager.scene_courier.account = "default"
    key_found(courier)
    drawn = draw(SEND)
    assert "Price not known yet" in drawn.text
    assert drawn.button("scene_courier.send")[3]["agreed_credits"] == -1.0
    tell(courier, "pricing", {"glb_to_simready": 2, "text_to_simready": 5})
    drawn = draw(SEND)
    assert "Costs 2 credits" in drawn.text
    _name, text, _enabled, given = drawn.button("scene_courier.send")
    assert text == "Send 1 Object to Rigyd"
    assert given == {"service": "rigyd", "account": "default", "agreed_credits": 2.0}
    cube("Two"), cube("Three")
    bpy.context.scene.scene_courier.per_object = True
    drawn = draw(SEND)
    assert "Costs 6 credits (3 × 2 credits)" in drawn.text
    assert drawn.button("scene_courier.send")[1] == "Send 3 Jobs to Rigyd"
    sentence = courier.part("addon.operators_send").price_sentence
    assert sentence(2.0, 3) == "This costs 6 credits: 3 jobs, 2 credits each."
    assert "before you approve" in sentence(None, 3) and sentence(0.0, 3) == ""


def test_without_a_key_the_panel_says_how_to_get_one(courier: Courier) -> None:
    cube()
    bpy.context.window_manager.scene_courier.account = "default"
    key_found(courier, "none")
    drawn = draw(SEND)
    assert "There is no key for Rigyd" in drawn.text
    assert "scene-courier login rigyd" in drawn.text and "RIGYD_API_KEY" in drawn.text
    assert "sandbox needs neither" in drawn.text
    assert not drawn.button("scene_courier.send")[2]
    assert "Price" not in drawn.text


def test_a_price_that_cannot_be_had_says_why(courier: Courier) -> None:
    cube()
    bpy.context.window_manager.scene_courier.account = "default"
    key_found(courier, address="http://127.0.0.1:4711/rigyd/api")
    refused = problem(courier, "credentials", "Rigyd refuses the key.", "Make a new one.")
    with courier.store() as store:
        request = store.ask("pricing", {"service": "rigyd", "account": "default"}, 0)
        store.answer(request.id, problem=refused)
    courier.tick()
    drawn = draw(SEND)
    assert "Rigyd refuses the key. Make a new one." in drawn.text
    assert drawn.has("scene_courier.refresh", "Look Again")
    tell(courier, "pricing", {"glb_to_simready": 1})
    assert "refuses" not in draw(SEND).text


def test_offline_is_said_where_it_matters(courier: Courier) -> None:
    cube()
    group = bpy.context.window_manager.scene_courier
    group.account = "default"
    key_found(courier, address="https://api.rigyd.com/api")
    assert not bpy.app.online_access, "the test environment is offline"
    drawn = draw(SEND)
    assert "online access is off" in drawn.text
    assert drawn.has("scene_courier.open_online_preferences")
    assert drawn.button("scene_courier.send")[2], "the job may wait"
    key_found(courier, address="http://127.0.0.1:4711/rigyd/api")
    assert "online access" not in draw(SEND).text
    group.account = "sandbox"
    assert "online access" not in draw(SEND).text


def test_problems_have_their_hint_and_a_way_on(courier: Courier) -> None:
    bpy.ops.object.camera_add()
    with pytest.raises(RuntimeError):
        bpy.ops.scene_courier.send()
    drawn = draw(SEND)
    assert "The selection has no mesh." in drawn.text and "Select at least one mesh" in drawn.text
    assert bpy.ops.scene_courier.dismiss() == {"FINISHED"}
    assert "The selection has no mesh." not in draw(SEND).text
    courier.now.worker.problem = problem(courier, "internal", "It did not start.", "Read the log.")
    drawn = draw(SEND)
    assert "It did not start. Read the log." in drawn.text
    assert drawn.has("scene_courier.refresh", "Try Again")


# -- jobs ----------------------------------------------------------------------------------------


def test_an_upload_shows_its_bytes(courier: Courier, see: See) -> None:
    drawn = see(
        "uploading", phase_done=12.3 * MB, phase_total=40 * MB, phase_unit="bytes", rate=3.1 * MB
    )
    assert (pytest.approx(0.3075), "12.3 MB of 40.0 MB, 3.1 MB/s") in drawn.progress
    assert (pytest.approx(0.3075), "31 %") in drawn.progress, "and in the list"
    assert drawn.button("scene_courier.cancel_job")[2]
    assert not drawn.has("scene_courier.forget_job") and not drawn.has("scene_courier.retry_job")


def test_a_conversion_shows_what_the_service_says(courier: Courier, see: See) -> None:
    drawn = see(
        "remote", state_text="Colliders", phase_done=62, phase_total=100, phase_unit="percent"
    )
    assert "Converting: Colliders" in drawn.text
    assert (0.62, "62 %") in drawn.progress


def test_canceling_is_shown_and_not_offered_twice(courier: Courier, see: See) -> None:
    drawn = see("uploading", phase_done=1, phase_total=2, cancel_requested=True)
    assert "Canceling" in drawn.text
    assert not drawn.button("scene_courier.cancel_job")[2]


def test_a_failure_has_sentence_hint_and_retry(courier: Courier, see: See) -> None:
    failure = problem(courier, "remote", "Rigyd could not convert this.", "Close the holes.")
    drawn = see("failed", problem=failure, credits_charged=1.0, account="default")
    assert "Rigyd could not convert this. Close the holes." in drawn.text
    assert "given back" in drawn.text and "technical line" in drawn.text
    assert drawn.has("scene_courier.retry_job", "Retry")
    assert drawn.has("scene_courier.forget_job")


def test_an_approval_names_its_price(courier: Courier, see: See) -> None:
    drawn = see("awaiting_approval", price=1.0, account="default", waiting_reason="person")
    assert "It costs 1 credit. Nothing is sent before you approve it." in drawn.text
    _name, text, _enabled, given = drawn.button("scene_courier.approve_job")
    assert text == "Approve 1 credit" and given["credits"] == 1.0
    assert drawn.has("scene_courier.cancel_job")


def test_doubt_is_for_a_person_only_when_the_list_was_no_help(courier: Courier, see: See) -> None:
    doubt = problem(courier, "in_doubt", "Nobody knows.", "Look it up.")
    drawn = see("in_doubt", problem=doubt, account="default")
    assert "Nobody knows. Look it up." in drawn.text
    assert not drawn.has("scene_courier.resolve_job")
    drawn = see("in_doubt", problem=doubt, account="default", waiting_reason="person")
    assert drawn.button("scene_courier.resolve_job", "It Is")[3]["decision"] == "found"
    assert drawn.button("scene_courier.resolve_job", "Send")[3]["decision"] == "again"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("network", "Waiting for the network"),
        ("credentials", "Waiting for a key"),
        ("online_access", "Blender's online access is off"),
        ("disk", "Waiting for disk space"),
    ],
)
def test_waiting_says_for_what(courier: Courier, see: See, reason: str, words: str) -> None:
    drawn = see("waiting", waiting_reason=reason, account="default")
    assert words in drawn.text
    assert drawn.has("scene_courier.retry_job", "Try Now")


def test_a_result_can_be_imported_revealed_and_read(courier: Courier, see: See) -> None:
    result = courier.part("bridge.jobs").Result
    drawn = see(
        "done",
        account="default",
        credits_charged=1.0,
        remote_id="c9k2j4h5",
        results=[result("/r/usd/a.usd", 5, "usd"), result("/r/mjcf/a.xml", 5, "mjcf")],
        notes=["The texture “rust.png” was left out."],
        remote={
            "timing": {"queued_at": "2026-11-22T08:00:01.000Z", "completed_at": None},
            "preprocess": {"status": "completed", "steps": ["export", "align"], "error": None},
            "report": {"mass_kg": 4.2137, "validation": {"passed": True}},
        },
    )
    assert drawn.has("scene_courier.import_job", "Import")
    reveals = {b[3]["what"] for b in drawn.buttons if b[0] == "scene_courier.reveal_job"}
    assert reveals == {"results", "mjcf"}
    assert "1 credit charged" in drawn.text and "c9k2j4h5" in drawn.text
    assert "The texture “rust.png” was left out." in drawn.text
    assert "export, align" in drawn.text and "4.2137" in drawn.text
    assert "Passed yes" in drawn.text and "Completed at" not in drawn.text


def test_an_imported_result_offers_another(courier: Courier, see: See) -> None:
    result = courier.part("bridge.jobs").Result
    drawn = see("done", imported_at=1.0, results=[result("/r/a.usd", 5, "usd")])
    assert "Imported into the scene" in drawn.text and "Imported" in drawn.texts
    assert drawn.has("scene_courier.import_job", "Import Again")


def test_an_mjcf_only_result_has_nothing_to_import(courier: Courier, see: See) -> None:
    result = courier.part("bridge.jobs").Result
    drawn = see("done", results=[result("/r/a.xml", 5, "mjcf")])
    assert not drawn.has("scene_courier.import_job") and drawn.has("scene_courier.reveal_job")


def test_a_failed_import_is_said_with_its_job(courier: Courier, see: See) -> None:
    result = courier.part("bridge.jobs").Result
    see("done", results=[result("/r/a.usd", 5, "usd")])
    job_id = courier.now.active_id
    why = problem(courier, "disk", "The result is gone.", "Bring it back.")
    courier.now.import_problems[job_id] = why
    assert "The result is gone. Bring it back." in draw(JOBS).text


@pytest.mark.parametrize("state", sorted(["queued", "packaging", "submitting", "downloading"]))
def test_every_other_state_draws(courier: Courier, see: See, state: str) -> None:
    drawn = see(state)
    assert drawn.has("scene_courier.cancel_job") and "Chair" in drawn.text


def test_a_report_of_any_size_stays_a_few_rows(courier: Courier) -> None:
    view = courier.part("addon.job_view")
    wide = {f"rule {number}": {"passed": True, "text": "x" * 500} for number in range(1000)}
    deep: dict[str, Any] = {"end": 1}
    for _level in range(50):
        deep = {"more": deep}
    rows = view.detail_rows({"report": wide, "other": deep, "status": "completed", "input": {}})
    assert len(rows) == view.TREE_ROWS + 1 and "more: see" in rows[-1][0]
    assert max(len(value) for _label, value in rows) <= view.TREE_TEXT
    rows = view.detail_rows({"report": deep})
    assert len(rows) <= view.TREE_DEPTH + 2
    assert view.detail_rows(
        {"report": {"list": [1, 2, 3], "rules": [{"name": "RB.007", "passed": True}]}}
    ) == [
        ("Report", ""),
        ("    List", "1, 2, 3"),
        ("    Rules", ""),
        ("        RB.007", "yes"),
    ]


def test_long_texts_are_broken_to_the_width(courier: Courier) -> None:
    lines = courier.part("addon.interface").break_lines("many short words " * 8, 160, 11)
    assert len(lines) > 3 and " ".join(lines).split() == ("many short words " * 8).split()
    path = "/a/very/long/path/without/any/space/" * 4
    assert "".join(courier.part("addon.interface").break_lines(path, 160, 11)) == path


def test_the_preferences_say_where_things_are(courier: Courier) -> None:
    key_found(courier, "keyring")
    layout = Layout()
    preferences = courier.part("addon.preferences")
    addon = bpy.context.preferences.addons[courier.extension.name].preferences
    assert preferences.get(bpy.context) == addon

    class Shown:
        def __init__(self) -> None:
            self.layout = layout
            self.bl_rna = addon.bl_rna

    preferences.SceneCourierPreferences.draw(Shown(), bpy.context)
    drawn = layout.drawn
    assert str(courier.home) in drawn.texts and "From this system's keyring" in drawn.texts
    assert {"auto_import", "account"} <= set(drawn.properties)
    assert drawn.has("scene_courier.reveal_data_folder") and drawn.has("scene_courier.refresh")


def test_drawing_reads_no_store_and_no_disk(
    courier: Courier, see: See, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    cube()
    see("failed", problem=problem(courier, "disk", "Full.", "Make room."))
    courier.now.store.close()  # any question to the store would raise from here on
    touched: list[str] = []
    watching = [True]

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        if watching[0] and name in {"open", "os.listdir", "os.scandir", "sqlite3.connect"}:
            touched.append(f"{name} {arguments[:1]}")

    sys.addaudithook(hook)
    try:
        draw(SEND)
        draw(JOBS)
        assert bpy.ops.scene_courier.send.poll()
    finally:
        watching[0] = False
        courier.now.store = None
    assert touched == []
