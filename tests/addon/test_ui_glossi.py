# SPDX-License-Identifier: GPL-3.0-or-later
"""Products photographed from the panel: what it shows, what its button says, what is sent."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from .ui_support import Courier, Drawn, Layout, cube, draw  # noqa: E402

SEND = "SCENE_COURIER_PT_send"
TEMPLATES = [
    {"id": "t-dark", "name": "Dark", "description": "A black room", "scope": "public"},
    {"id": "t-own", "name": "House Style", "description": "Our own", "scope": "workspace"},
    {"id": "t-light", "name": "Studio Light", "description": "White, soft", "scope": "public"},
]


@pytest.fixture
def shoot(courier: Courier) -> Iterator[Any]:
    """The settings of a scene with three selected products, for Glossi on the sandbox."""
    bpy.context.scene.scene_courier.service = "glossi"
    for name in ("Lamp", "Table", "Chair"):
        cube(name)
    yield bpy.context.scene.scene_courier.glossi


def tell(courier: Courier, kind: str, account: str, answer: Any, problem: Any = None) -> None:
    """What the worker would answer."""
    with courier.store() as store:
        request = store.ask(kind, {"service": "glossi", "account": account}, 0)
        store.answer(request.id, answer, problem=problem)
    courier.look()


def tell_templates(
    courier: Courier,
    rows: list[dict[str, str]] | None = None,
    account: str = "sandbox",
    **more: Any,
) -> None:
    tell(
        courier,
        "templates",
        account,
        {"templates": TEMPLATES if rows is None else rows, "at": time.time(), **more},
    )


def choose(name: str) -> None:
    """Click on a template in the list."""
    group = bpy.context.window_manager.scene_courier
    group.template_index = [row.name for row in group.templates].index(name)


def main_button(drawn: Drawn) -> tuple[str, bool]:
    _name, text, enabled, _given = drawn.button("scene_courier.send")
    return text, enabled


def own_account(courier: Courier, key: str = "keyring") -> None:
    bpy.context.window_manager.scene_courier.account = "default"
    ready = key != "none"
    tell(
        courier,
        "service_state",
        "default",
        {"key_source": key, "base_url": "https://api.glossi.app/api/v1", "ready": ready},
    )


def sent(courier: Courier, **more: Any) -> Any:
    """Send with these arguments; the one job that came of it."""
    courier.settle()  # a chore that writes would put off the click
    with courier.store() as store:
        before = {job.id for job in store.jobs()}
    assert bpy.ops.scene_courier.send(account="sandbox", **more) == {"FINISHED"}
    courier.settle()
    with courier.store() as store:
        (job,) = [job for job in store.jobs() if job.id not in before]
    return job


def asked(courier: Courier) -> list[tuple[str, str]]:
    courier.settle()
    with courier.store() as store:
        return [(one.kind, one.args["account"]) for one in store.pending_requests()]


# -- what the panel says ---------------------------------------------------------------------------


def test_the_button_says_what_it_will_do(courier: Courier, shoot: Any) -> None:
    tell_templates(courier)
    drawn = draw(SEND)
    assert main_button(drawn) == ("Shoot 3 Products", False)
    assert "Choose a template. Pick one in the list." in drawn.text
    choose("Studio Light")
    drawn = draw(SEND)
    assert main_button(drawn) == ("Shoot 3 Products with Studio Light", True)
    assert "3 products: " in drawn.text and "36 triangles" in drawn.text
    assert {"Template: Studio Light", "3 templates", "White, soft"} <= set(drawn.texts)
    assert "Free." in drawn.text
    assert drawn.button("scene_courier.send")[3] == {
        "service": "glossi",
        "account": "sandbox",
        "start": "at_once",
    }
    bpy.data.objects["Lamp"].select_set(False)
    bpy.data.objects["Table"].select_set(False)
    assert main_button(draw(SEND))[0] == "Shoot 1 Product with Studio Light"
    shoot.bookmarks = False
    drawn = draw(SEND)
    assert main_button(drawn) == ("Prepare 1 Product in the Sandbox", True)
    assert "nothing is rendered" in drawn.text
    shoot.bookmarks, shoot.template_name = True, "A house style with a name that is very long"
    assert main_button(draw(SEND))[0] == "Shoot 1 Product with Studio Light", "as it is listed"
    tell_templates(courier, [{**TEMPLATES[2], "name": shoot.template_name}])
    assert main_button(draw(SEND))[0] == "Shoot 1 Product", "the header above has the whole name"


def test_greyed_with_its_reason(courier: Courier, shoot: Any) -> None:
    tell_templates(courier)
    choose("Dark")
    bpy.ops.object.select_all(action="DESELECT")
    drawn = draw(SEND)
    assert main_button(drawn) == ("Shoot in the Sandbox", False)
    assert "Nothing is selected." in drawn.text
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Empty", None))
    bpy.data.objects["Empty"].select_set(True)
    assert "Nothing with a surface is selected." in draw(SEND).text
    bpy.data.objects["Chair"].select_set(True)
    shoot.products = "instance"
    drawn = draw(SEND)
    assert "No collection instance is selected." in drawn.text and not main_button(drawn)[1]
    shoot.products = "object"
    own_account(courier, "none")
    tell_templates(courier, account="default")
    drawn = draw(SEND)
    assert "Sending needs a key for Glossi." in drawn.text and not main_button(drawn)[1]
    assert "scene-courier login glossi" in drawn.text


def test_no_price_is_ever_made_up(courier: Courier, shoot: Any) -> None:
    own_account(courier)
    tell_templates(courier, account="default")
    choose("Dark")
    drawn = draw(SEND)
    assert "Glossi does not tell prices" in drawn.text and "your yes" in drawn.text
    assert "credit" not in drawn.text and "multipl" not in drawn.text
    shoot.image_quality = "4k"
    assert "4K multiplies the work." in draw(SEND).text
    shoot.shots = shoot.variants = True
    assert "4K, videos and variants multiply the work." in draw(SEND).text
    shoot.bookmarks = False
    assert "Videos and variants multiply the work." in draw(SEND).text, "no still, so no 4K"
    shoot.video_resolution = "4k"
    assert "4K, videos and variants multiply the work." in draw(SEND).text


def test_only_what_matters_is_shown(courier: Courier, shoot: Any) -> None:
    tell_templates(courier)
    shown = set(draw(SEND).properties)
    assert {"products", "bookmarks", "shots", "variants", "image_quality"} <= shown
    assert {"webhook_url", "retries", "render_base_url", "draco", "animation"} <= shown
    assert not shown & {"video_quality", "video_resolution", "project_name", "per_model"}
    assert "Glossi names the projects" in draw(SEND).text
    shoot.shots, shoot.workflow = True, "steps"
    shown = set(draw(SEND).properties)
    assert {"video_quality", "video_resolution", "project_name", "per_model"} <= shown
    assert "webhook_url" not in shown, "only a job takes one"
    assert "Glossi names the projects" not in draw(SEND).text


# -- templates -------------------------------------------------------------------------------------


def test_templates_are_asked_for_when_somebody_looks(courier: Courier, shoot: Any) -> None:
    courier.look()
    assert ("templates", "sandbox") not in asked(courier)
    assert "Asking for the templates" in draw(SEND).text
    courier.look()
    assert ("templates", "sandbox") in asked(courier)
    assert ("templates", "default") not in asked(courier), "nobody looks at those"
    tell_templates(courier)
    rows = bpy.context.window_manager.scene_courier.templates
    assert [row.name for row in rows] == ["Dark", "House Style", "Studio Light"]
    assert rows[1].scope == "workspace" and rows[2].template_id == "t-light"


def test_an_own_account_is_not_asked_while_it_cannot_answer(courier: Courier, shoot: Any) -> None:
    own_account(courier, "none")
    assert "Templates are listed once there is a key." in draw(SEND).text
    courier.look()
    assert ("templates", "default") not in asked(courier)
    own_account(courier)
    assert "Templates are listed once Blender may go online." in draw(SEND).text
    courier.look()
    assert ("templates", "default") not in asked(courier)


def test_an_old_list_is_shown_with_its_age(courier: Courier, shoot: Any) -> None:
    own_account(courier)
    tell_templates(courier, account="default", at=time.time() - 3 * 3600)
    choose("Dark")
    drawn = draw(SEND)
    assert "3 templates, as of 3 hours ago" in drawn.texts
    assert main_button(drawn) == ("Shoot 3 Products with Dark", True)
    problems = courier.part("bridge.problems")
    offline = problems.Problem(problems.Category.NETWORK, "There is no network.", "Check it.")
    tell(courier, "templates", "default", None, offline)
    drawn = draw(SEND)
    assert "3 templates, as of 3 hours ago" in drawn.texts, "the failure is no newer list"
    assert "The list could not be renewed: There is no network." in drawn.text
    assert main_button(drawn)[1]


def test_without_any_list_the_reason_is_told(courier: Courier, shoot: Any) -> None:
    problems = courier.part("bridge.problems")
    broken = problems.Problem(problems.Category.SERVICE, "It does not answer.", "Wait.")
    tell(courier, "templates", "sandbox", None, broken)
    drawn = draw(SEND)
    assert "It does not answer. Wait." in drawn.text
    assert drawn.has("scene_courier.refresh", "Look Again")
    tell_templates(courier, [])
    assert "This account has none" in draw(SEND).text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (30, "a minute"),
        (90, "2 minutes"),
        (3600, "1 hour"),
        (7300, "2 hours"),
        (86400, "1 day"),
        (300000, "3 days"),
    ],
)
def test_ages_in_words(courier: Courier, seconds: float, said: str) -> None:
    assert courier.part("addon.panels_glossi").age_text(seconds) == said


def test_the_choice_is_the_scenes_own(courier: Courier, shoot: Any, tmp_path: Any) -> None:
    tell_templates(courier)
    choose("Dark")
    group = bpy.context.window_manager.scene_courier
    other = bpy.data.scenes.new("Other")
    bpy.context.window.scene = other
    other.scene_courier.service = "glossi"
    assert group.template_index == -1
    choose("House Style")
    bpy.context.window.scene = shoot.id_data
    assert group.template_index == 0 and shoot.template_name == "Dark"
    path = str(tmp_path / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    courier.look()
    again = bpy.context.scene.scene_courier.glossi
    assert (again.template_id, again.template_name) == ("t-dark", "Dark")
    group = bpy.context.window_manager.scene_courier
    assert len(group.templates) == 3 and group.template_index == 0, "listed again after loading"


def test_the_choice_shows_without_a_list(courier: Courier, shoot: Any) -> None:
    shoot.template_id, shoot.template_name = "t-light", "Studio Light"
    assert main_button(draw(SEND)) == ("Shoot 3 Products with Studio Light", True)
    # Another account has one of the same name: that is meant.
    tell_templates(courier, [{**TEMPLATES[2], "id": "other"}])
    assert main_button(draw(SEND)) == ("Shoot 3 Products with Studio Light", True)
    assert sent(courier).options["template"] == "other"
    # It is gone.
    tell_templates(courier, TEMPLATES[:1])
    drawn = draw(SEND)
    assert "There is no template “Studio Light” in the sandbox." in drawn.text
    assert not main_button(drawn)[1]


def test_search_and_scope(courier: Courier, shoot: Any) -> None:
    tell_templates(courier)
    visible = courier.part("addon.panels_glossi").visible
    rows = list(bpy.context.window_manager.scene_courier.templates)
    assert visible(rows, "all", "") == [True] * 3
    assert visible(rows, "public", "") == [True, False, True]
    assert visible(rows, "workspace", " ") == [False, True, False]
    assert visible(rows, "all", "BLACK da") == [True, False, False], "every word, name or remark"
    assert visible(rows, "all", "x") == [False] * 3
    shown = draw(SEND).properties
    assert "template_scope" in shown and "template_search" not in shown, "three need no search"
    many = [{**TEMPLATES[0], "id": str(n), "name": f"Number {n}"} for n in range(200)]
    tell_templates(courier, many)
    shown = draw(SEND).properties
    assert "template_search" in shown and "template_scope" not in shown
    row = bpy.context.window_manager.scene_courier.templates[0]
    layout = Layout()
    bpy.types.SCENE_COURIER_UL_templates.draw_item(None, None, layout, None, row, 0, None, "")
    assert layout.drawn.texts == ["Number 0"]


def test_damaged_answers_break_nothing(courier: Courier, shoot: Any) -> None:
    for answer in (
        {},
        {"templates": None},
        {"templates": [None, {}, {"id": "only"}], "at": "noon"},
    ):
        tell(courier, "templates", "sandbox", answer)
        draw(SEND)
    assert [row.name for row in bpy.context.window_manager.scene_courier.templates] == ["only"]


# -- what is sent ----------------------------------------------------------------------------------


def test_what_is_sent(courier: Courier, shoot: Any) -> None:
    tell_templates(courier)
    choose("Studio Light")
    job = sent(courier, start="at_once")
    assert (job.service, job.account, job.source) == ("glossi", "sandbox", "blender")
    assert job.options == {
        "template": "t-light",
        "products": "object",
        "bookmarks": True,
        "shots": False,
        "variants": False,
        "image_quality": "1080p",
        "workflow": "jobs",
        "retries": 1,
        "draco": False,
        "animation": False,
    }
    assert job.approved_credits == math.inf, "pressing is the yes"
    assert sorted(job.origin["objects"]) == ["Chair", "Lamp", "Table"]
    assert job.origin["source_after"] == "keep", "pictures replace nothing"
    captured = json.loads((courier.home / "jobs" / job.id / "capture.json").read_text("utf-8"))
    assert captured["job"]["options"] == job.options and captured["job"]["service"] == "glossi"


def test_all_that_can_be_set_is_sent(courier: Courier, shoot: Any) -> None:
    for name, value in {
        "products": "one",
        "shots": True,
        "variants": True,
        "image_quality": "4k",
        "video_quality": "best",
        "video_resolution": "720p",
        "workflow": "steps",
        "project_name": " Spring ",
        "per_model": False,
        "webhook_url": "https://example.org/hook",
        "render_base_url": "https://files.example.org/",
        "retries": 3,
        "draco": True,
        "animation": True,
        "ignore_scale": True,
    }.items():
        setattr(shoot, name, value)
    job = sent(courier, template="Any")
    assert job.options == {
        "template": "Any",
        "products": "one",
        "bookmarks": True,
        "shots": True,
        "variants": True,
        "image_quality": "4k",
        "video_quality": "best",
        "video_resolution": "720p",
        "workflow": "steps",
        "project_name": "Spring",
        "per_model": False,
        "render_base_url": "https://files.example.org/",
        "retries": 3,
        "draco": True,
        "animation": True,
        "ignore_scale": True,
    }
    shoot.workflow = "jobs"
    options = sent(courier, template="Any").options
    assert options["webhook_url"] == "https://example.org/hook"
    assert not set(options) & {"project_name", "per_model"}, "names cannot be set there"


def test_every_choice_is_one_that_the_service_takes(courier: Courier, shoot: Any) -> None:
    known = {o.name: o for o in courier.part("bridge.services.glossi").GLOSSI.options}
    for prop in shoot.bl_rna.properties:
        option = known.get(prop.identifier)
        if option is None:
            continue
        if prop.type == "ENUM":
            choices = list(prop.enum_items.keys())
            assert [option.checked(value) for value in choices] == choices
            assert set(choices) == set(option.choices) and prop.default == option.default
        elif prop.type == "INT":
            assert (prop.hard_min, prop.hard_max) == (option.minimum, option.maximum)
        if prop.type in ("BOOLEAN", "INT"):
            assert prop.default == option.default, prop.identifier
    assert {name for name, option in known.items() if not option.advanced} <= {
        "template",
        *(prop.identifier for prop in shoot.bl_rna.properties),
    }


def test_the_operator_works_for_scripts_whatever_the_panel_shows(
    courier: Courier, shoot: Any
) -> None:
    bpy.context.scene.scene_courier.service = "rigyd"
    with pytest.raises(RuntimeError, match="Choose a template"):
        bpy.ops.scene_courier.send(service="glossi", account="sandbox")
    job = sent(courier, service="glossi", template="Studio Light")
    assert job.options["template"] == "Studio Light" and job.service == "glossi"
    assert job.approved_credits is None, "a script that does not say so has not agreed"
    asking = sent(courier, service="glossi", template="x", start="ask")
    assert asking.approved_credits is None
    agreed = sent(courier, service="glossi", template="x", start="at_once")
    assert agreed.approved_credits == math.inf
    bpy.ops.object.select_all(action="DESELECT")
    with pytest.raises(RuntimeError, match="Nothing is selected"):
        bpy.ops.scene_courier.send(service="glossi", account="sandbox", template="x")


def test_one_click_asks_nothing(courier: Courier, shoot: Any) -> None:
    """Several products are one job, whatever “One Job per Object” says for another service."""
    bpy.context.scene.scene_courier.per_object = True
    job = sent(courier, template="x")
    assert len(job.origin["objects"]) == 3
