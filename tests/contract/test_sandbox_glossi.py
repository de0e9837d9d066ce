# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox speaks Glossi's API: keys, refusals, statuses, partial failures. No Blender."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from addon.recipes import studio_templates
from bridge.problems import Canceled
from bridge.sandbox import Sandbox
from bridge.sandbox.glossi_canned import CannedStudio
from bridge.sandbox.glossi_templates import TEMPLATES

from .conftest import MakeBox
from .gloss import BROKEN, Gloss

GlossOf = Callable[[Sandbox], Gloss]
NOBODY = str(uuid.uuid4())
JOB = {"models": [{"fileName": "a.glb", "fileType": "glb"}], "createProjects": False}
CALLS = [
    ("POST", "/jobs"),
    ("GET", f"/jobs/{NOBODY}"),
    ("POST", f"/jobs/{NOBODY}/confirm-uploads"),
    ("POST", "/models"),
    ("POST", "/models/status"),
    ("POST", f"/models/{NOBODY}/confirm"),
    ("GET", "/templates"),
    ("POST", "/projects"),
    ("POST", "/renders"),
    ("GET", f"/renders/{NOBODY}"),
    ("POST", f"/renders/{NOBODY}/retry"),
    ("GET", "/webhooks"),
    ("PUT", "/webhooks"),
    ("DELETE", "/webhooks"),
]


class Gate:
    """Holds a studio at its work until it is opened, or until the sandbox stops."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.open = threading.Event()
        self.reached = threading.Event()

    def __call__(self, kind: str, work: Any) -> None:
        if kind != self.kind:
            return
        self.reached.set()
        while not self.open.wait(0.02):
            if work.cancelled():
                raise Canceled()


@pytest.fixture
def render_gate() -> Iterator[Gate]:
    held = Gate("render")
    yield held
    held.open.set()


# -- keys, paths, bodies ---------------------------------------------------------------------------


def test_every_call_needs_the_key(gloss: Gloss) -> None:
    wrong: list[dict[str, Any]] = [
        {"X-API-Key": ""},
        {"X-API-Key": gloss.box.glossi.api_key + "x"},
        {"X-API-Key": None, "Authorization": f"Bearer {gloss.box.glossi.api_key}"},
        {"X-API-Key": gloss.box.rigyd.api_key},
    ]
    for method, path in CALLS:
        for headers in wrong:
            answer = gloss.call(method, path, headers=headers)
            assert answer.status_code == 401, (method, path, headers)
            assert answer.json() == {"error": "Invalid API key"}


def test_the_key_looks_like_the_vendors(gloss: Gloss) -> None:
    assert gloss.box.glossi.api_key.startswith("glsi_")
    assert gloss.box.address()["glossi"] == {
        "base_url": gloss.url,
        "api_key": gloss.box.glossi.api_key,
        "files_url": f"{gloss.box.origin}/glossi/files/",
    }


def test_unknown_paths_ids_and_methods(gloss: Gloss) -> None:
    for method, path in CALLS:
        if NOBODY in path:
            body = {"fileType": "glb"} if "models" in path else None
            answer = gloss.call(method, path, **({"json": body} if body else {}))
            assert (answer.status_code, "not found" in answer.json()["error"]) == (404, True)
    assert gloss.get("/nothing").status_code == 404
    assert gloss.session.get(f"{gloss.box.origin}/glossi/jobs", timeout=10).status_code == 404
    for method, path in (("GET", "/jobs"), ("GET", "/models"), ("GET", "/projects"),
                         ("GET", "/renders"), ("DELETE", f"/jobs/{NOBODY}"),
                         ("POST", "/templates"), ("POST", "/webhooks")):  # fmt: skip
        assert gloss.call(method, path).status_code == 405, "no list, no cancel is documented"


MODELS = {"models": [{"name": "A", "fileName": "a.glb", "fileType": "glb"}]}


def test_a_body_that_does_not_fit_is_refused(gloss: Gloss) -> None:
    bodies: list[tuple[str, Any]] = [
        ("/jobs", {}),
        ("/jobs", {**JOB, "models": []}),
        ("/jobs", {**JOB, "models": [{"fileName": "a.glb"}]}),
        ("/jobs", {**JOB, "models": [{"fileName": "a.fbx", "fileType": "fbx"}]}),
        ("/jobs", {**JOB, "models": [{"fileName": " ", "fileType": "glb"}]}),
        ("/jobs", {**JOB, "models": [{"name": "A", "fileName": "a.glb", "fileType": "glb"}]}),
        ("/jobs", {**JOB, "models": ["a.glb"]}),
        ("/jobs", {**JOB, "createProjects": "yes"}),
        ("/jobs", {"models": JOB["models"]}),
        ("/jobs", {**JOB, "renderSettings": {"renderBookmarks": True}}),
        ("/jobs", {**JOB, "renderSettings": {"renderBookmarks": 1}}),
        ("/jobs", {**JOB, "renderSettings": {"imageQuality": 3}}),
        ("/jobs", {**JOB, "renderSettings": []}),
        ("/jobs", {**JOB, "webhookUrl": "https://example.com/hook"}),
        ("/jobs", {**JOB, "projectName": "Chairs"}),
        ("/models", {}),
        ("/models", {"models": [{"fileName": "a.glb", "fileType": "glb"}]}),
        ("/models", {"models": [{"name": "A", "fileName": "a.glb", "fileType": "usdz"}]}),
        ("/models", {"models": [MODELS["models"][0]] * 501}),
        ("/models/status", {}),
        ("/models/status", {"modelIds": []}),
        ("/models/status", {"modelIds": [7]}),
        ("/projects", {"modelIds": [NOBODY]}),
        ("/projects", {"modelIds": "all", "templateId": NOBODY}),
        ("/projects", {"modelIds": [NOBODY], "templateId": NOBODY, "createPerModel": 1}),
        ("/renders", {"settings": {}}),
        ("/renders", {"projectIds": [NOBODY], "settings": {"imageQuality": "4k"}}),
        ("/renders", {"projectIds": [NOBODY], "settings": {"imageQuality": True}}),
        ("/renders", {"projectIds": [NOBODY], "settings": {"videoResolution": -1}}),
        ("/renders", {"projectIds": [NOBODY], "settings": {"samples": 10}}),
        ("/renders", {"projectIds": [NOBODY], "quality": 1}),
    ]
    for path, body in bodies:
        answer = gloss.post(path, body)
        assert answer.status_code == 400, (path, body, answer.text)
        assert list(answer.json()) == ["error"] and answer.json()["error"]


def test_what_is_no_json_is_refused(gloss: Gloss) -> None:
    for data in (b"{", b"[1]", b'"x"'):
        answer = gloss.call("POST", "/jobs", data=data)
        assert (answer.status_code, answer.json()) == (400, {"error": "Invalid JSON body"})


def test_what_is_not_there_is_refused(gloss: Gloss) -> None:
    model, template = gloss.ready(), gloss.template()
    for path, body in (
        ("/jobs", gloss.job_body("a.glb", templateId=NOBODY)),
        ("/projects", {"modelIds": [model], "templateId": NOBODY}),
        ("/projects", {"modelIds": [model, NOBODY], "templateId": template}),
        ("/renders", {"projectIds": [gloss.project(model), NOBODY]}),
    ):
        assert gloss.post(path, body).status_code == 404
    assert gloss.box.journal()["paid_submits"] == 0, "nothing was started"


# -- templates -------------------------------------------------------------------------------------


def test_templates_are_those_of_the_studio_and_can_be_filtered(gloss: Gloss) -> None:
    for mine, its in zip(TEMPLATES, studio_templates.TEMPLATES, strict=True):
        assert (mine.id, mine.key, mine.name, mine.description) == (
            its.id, its.key, its.name, its.description,
        )  # fmt: skip
        assert mine.public == (its.scope == "public")

    def names(query: str) -> set[str]:
        rows = gloss.get(f"/templates{query}").json()["templates"]
        assert all(set(row) == {"templateId", "name", "description"} for row in rows)
        return {row["name"] for row in rows}

    public, own = names("?internal=false"), names("?public=false")
    assert public == {"Studio Light", "Outdoor Scene"} and own == {"Dark Studio", "Turntable"}
    assert names("") == names("?internal=true&public=true") == public | own
    assert names("?internal=false&public=false") == set()


# -- models ----------------------------------------------------------------------------------------


def test_a_model_is_uploaded_confirmed_and_processed(make_box: MakeBox, gloss_of: GlossOf) -> None:
    gate = Gate("check")
    gloss = gloss_of(make_box(studio=CannedStudio(gate=gate)))
    made = gloss.made("/models", MODELS)["models"][0]
    model = made["modelId"]
    early = gloss.post(f"/models/{model}/confirm", {"fileType": "glb"})
    assert early.status_code == 400 and "has not been uploaded" in early.json()["error"]
    assert gloss.status(model)["models"][0]["status"] == "PENDING"
    gloss.put(made["uploadUrl"])
    for body in ({}, {"fileType": "fbx"}):
        assert gloss.post(f"/models/{model}/confirm", body).status_code == 400
    gloss.made(f"/models/{model}/confirm", {"fileType": "glb"})
    assert gate.reached.wait(60)
    row = gloss.status(model)
    assert row["models"][0]["status"] == "ANALYZING"
    assert (row["models"][0]["ready"], row["allReady"]) == (False, False)
    unready = gloss.post("/projects", {"modelIds": [model], "templateId": gloss.template()})
    assert unready.status_code == 400 and "is not ready: ANALYZING" in unready.json()["error"]
    again = gloss.post(f"/models/{model}/confirm", {"fileType": "glb"})
    assert again.status_code == 409
    gate.open.set()
    assert gloss.settled(model)["ready"] is True
    assert gloss.put(made["uploadUrl"]).status_code == 403, "it is used as it was confirmed"


def test_several_models_in_one_status_call(gloss: Gloss) -> None:
    good, bad = gloss.model(), gloss.model(BROKEN, "Broken")
    gloss.settled(good)
    gloss.settled(bad)
    answer = gloss.status(bad, NOBODY, good)
    assert answer["models"] == [
        {"modelId": bad, "name": "Broken", "status": "FAILED", "ready": False},
        {"modelId": good, "name": "Chair", "status": "READY", "ready": True},
    ]
    assert answer["notFound"] == [NOBODY]
    assert answer["allReady"] is False
    assert gloss.status(good)["allReady"] is True
    assert gloss.status(good, bad)["allReady"] is False
    assert gloss.status(good, NOBODY)["allReady"] is False
    refused = gloss.post("/projects", {"modelIds": [good, bad], "templateId": gloss.template()})
    assert refused.status_code == 400


# -- the Jobs workflow -----------------------------------------------------------------------------


def test_a_job_walks_through_all_its_statuses(make_box: MakeBox, gloss_of: GlossOf) -> None:
    slow = {"method": "POST", "path": "/jobs", "job": {"seconds": 0.3}}
    gloss = gloss_of(make_box(faults={"rules": [slow]}))
    body = gloss.job_body("a.glb", "b.glb", renderSettings={"renderBookmarks": True})
    made = gloss.made("/jobs", body)
    job = made["jobId"]
    assert gloss.job(job)["status"] == "AWAITING_UPLOADS"
    assert set(gloss.job(job)["progress"].values()) == {0, 2}
    gloss.put(made["models"][0]["uploadUrl"])
    assert gloss.job(job)["progress"]["modelsUploaded"] == 1
    early = gloss.post(f"/jobs/{job}/confirm-uploads")
    assert (early.status_code, early.json()) == (400, {"error": "b.glb has not been uploaded"})
    gloss.put(made["models"][1]["uploadUrl"])
    gloss.made(f"/jobs/{job}/confirm-uploads")
    for status in ("PROCESSING", "CREATING_PROJECTS", "RENDERING", "COMPLETE"):
        seen = gloss.until(job, status, "FAILED")
        assert seen["status"] == status
        assert ("results" in seen) == (status == "COMPLETE")
        assert ("batchProject" in seen) == (status in ("RENDERING", "COMPLETE"))
    assert seen["progress"] == {
        "modelsUploaded": 2, "modelsReady": 2, "modelsTotal": 2, "projectsCreated": 2,
        "projectsTotal": 2, "rendersComplete": 2, "rendersTotal": 2,
    }  # fmt: skip
    for _ in range(2):
        again = gloss.post(f"/jobs/{job}/confirm-uploads")
        assert again.status_code == 409
    assert gloss.box.journal()["paid_submits"] == 1


def test_stages_that_are_not_asked_for_are_skipped(gloss: Gloss) -> None:
    job = gloss.until(gloss.started(createProjects=False))
    assert job["status"] == "COMPLETE"
    assert job["results"] == [
        {"model": {"id": job["results"][0]["model"]["id"], "name": "chair.glb"}}
    ]
    assert job["progress"]["projectsTotal"] == job["progress"]["rendersTotal"] == 0
    for settings in ({}, {"imageQuality": 2}, {"renderBookmarks": False, "renderShots": False}):
        job = gloss.until(gloss.started(renderSettings=settings))
        assert job["status"] == "COMPLETE" and job["progress"]["rendersTotal"] == 0
    assert gloss.box.journal()["paid_submits"] == 0
    studio: Any = gloss.box._studio
    assert studio.rendered == []


def test_a_broken_model_fails_alone(gloss: Gloss) -> None:
    job = gloss.until(
        gloss.started({"chair.glb": None, "broken.glb": BROKEN, "oak_table.GLB": None})
    )
    assert job["status"] == "COMPLETE" and "error" not in job
    assert [row["model"]["name"] for row in job["results"]] == ["chair.glb", "oak_table.GLB"]
    assert [row["project"]["name"] for row in job["results"]] == [
        "Chair Project", "Oak table Project",
    ]  # fmt: skip
    assert (job["progress"]["modelsReady"], job["progress"]["modelsTotal"]) == (2, 3)
    assert job["progress"]["projectsCreated"] == job["progress"]["projectsTotal"] == 2
    projects = [row["project"]["id"] for row in job["results"]]
    renders = gloss.made("/renders", {"projectIds": projects, "settings": {"renderShots": False}})
    for row, project in zip(renders["jobs"], projects, strict=True):
        assert row["projectId"] == project
        assert gloss.rendered(row["jobId"])["status"] == "COMPLETED"


def test_a_job_without_a_good_model_fails_with_the_reason(gloss: Gloss) -> None:
    job = gloss.until(gloss.started({"broken.glb": BROKEN}))
    assert list(job) == ["jobId", "status", "progress", "error"]
    assert job["status"] == "FAILED"
    assert job["error"] == "1 of 1 models failed: broken.glb: The file is not a GLB."


def test_duplicate_file_names_are_taken(gloss: Gloss) -> None:
    made = gloss.made("/jobs", gloss.job_body("a.glb", "a.glb"))["models"]
    assert made[0]["id"] != made[1]["id"] and made[0]["uploadUrl"] != made[1]["uploadUrl"]


# -- projects and renders --------------------------------------------------------------------------


def test_projects_of_several_models(gloss: Gloss) -> None:
    models = [gloss.ready(name=name) for name in ("Chair", "Table")]
    body = {"modelIds": models, "templateId": gloss.template()}
    together = gloss.made("/projects", body)["projects"]
    assert [(row["name"], row["modelIds"]) for row in together] == [("Chair Project", models)]
    apart = gloss.made("/projects", {**body, "createPerModel": True})["projects"]
    assert [(row["name"], row["modelIds"]) for row in apart] == [
        ("Chair Project", [models[0]]), ("Table Project", [models[1]]),
    ]  # fmt: skip
    named = gloss.made("/projects", {**body, "createPerModel": True, "name": "Oak"})["projects"]
    assert [row["name"] for row in named] == ["Oak", "Oak"]
    job = gloss.rendered(gloss.rendering(together[0]["projectId"]))
    assert job["status"] == "COMPLETED"
    studio: Any = gloss.box._studio
    assert studio.works[-1].names == ["Chair", "Table"] and len(studio.works[-1].models) == 2


def test_settings_decide_what_is_rendered(make_box: MakeBox, gloss_of: GlossOf) -> None:
    gloss = gloss_of(make_box(studio=CannedStudio(variants=("Oak", "Walnut"))))
    project = gloss.project()

    def kinds(**settings: Any) -> list[tuple[str, str]]:
        job = gloss.rendered(gloss.rendering(project, **settings))
        assert job["status"] == "COMPLETED"
        assert all(row["isVideo"] == (row["fileType"] != "PNG") for row in job["renders"])
        return [(row["name"], row["fileType"]) for row in job["renders"]]

    assert kinds() == [("Front View - Oak", "PNG"), ("Three Quarter - Oak", "PNG")]
    assert len(kinds(renderVariants=True)) == 4
    assert kinds(renderBookmarks=False, renderShots=True) == [("360 Spin - Oak", "MP4")]
    best = kinds(renderBookmarks=False, renderShots=True, videoQuality=2)
    assert best == [("360 Spin - Oak", "PRORES")]
    assert kinds(renderBookmarks=False) == []


def test_a_render_job_walks_through_its_statuses(
    make_box: MakeBox, gloss_of: GlossOf, render_gate: Gate
) -> None:
    gloss = gloss_of(make_box(studio=CannedStudio(gate=render_gate)))
    project = gloss.project()
    first, second = gloss.rendering(project), gloss.rendering(project)
    assert render_gate.reached.wait(60)
    shown = {"jobId": first, "status": "RENDERING", "projectId": project}
    assert gloss.render(first) == shown
    assert gloss.render(second) == {**shown, "jobId": second, "status": "QUEUED"}
    for job in (first, second):
        refused = gloss.post(f"/renders/{job}/retry")
        assert refused.status_code == 409 and "Only failed jobs" in refused.json()["error"]
    render_gate.open.set()
    for job in (first, second):
        assert gloss.rendered(job)["status"] == "COMPLETED"
    assert gloss.post(f"/renders/{first}/retry").status_code == 409
    assert gloss.box.journal()["paid_submits"] == 2


def test_a_failed_render_is_retried_as_the_same_job(gloss: Gloss) -> None:
    gloss.box.set_faults({"rules": [{"path": "/renders", "job": {"fail": "Dark", "times": 2}}]})
    job = gloss.rendering()
    batches = set()
    for _ in range(2):
        failed = gloss.rendered(job)
        assert (failed["status"], failed["errorMessage"]) == ("FAILED", "Dark")
        assert "renders" not in failed
        batches.add(gloss.made(f"/renders/{job}/retry")["batchId"])
    done = gloss.rendered(job)
    assert done["status"] == "COMPLETED" and "errorMessage" not in done
    assert len(batches) == 2
    studio: Any = gloss.box._studio
    assert studio.rendered == [job]


def test_two_kinds_of_jobs_have_ids_of_their_own(gloss: Gloss) -> None:
    job = gloss.until(gloss.started())
    assert gloss.get(f"/renders/{job['jobId']}").status_code == 404
    assert gloss.get(f"/jobs/{gloss.rendering(job['results'][0]['project']['id'])}").status_code \
        == 404  # fmt: skip


def test_the_queues_are_bounded(make_box: MakeBox, gloss_of: GlossOf, render_gate: Gate) -> None:
    gloss = gloss_of(make_box(studio=CannedStudio(gate=render_gate), products=3))
    project = gloss.project()
    started = [gloss.rendering(project) for _ in range(2)]
    body = {"projectIds": [project, project], "settings": {}}
    refused = gloss.post("/renders", body)
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 0
    started.append(gloss.rendering(project))
    assert gloss.post("/renders", {"projectIds": [project]}).status_code == 429
    assert gloss.box.journal()["paid_submits"] == 3
    render_gate.open.set()
    for job in started:
        gloss.rendered(job)
    names = {f"{number}.glb": None for number in range(4)}
    made = gloss.made("/jobs", gloss.job_body(*names))
    for model in made["models"]:
        gloss.put(model["uploadUrl"])
    assert gloss.post(f"/jobs/{made['jobId']}/confirm-uploads").status_code == 429
    assert gloss.job(made["jobId"])["status"] == "AWAITING_UPLOADS"


# -- the webhook setting ---------------------------------------------------------------------------

HOOK: dict[str, Any] = {"url": "http://127.0.0.1:9/hook", "events": ["render.complete"]}


def test_a_webhook_that_does_not_fit_is_refused(gloss: Gloss) -> None:
    gloss.call("PUT", "/webhooks", json=HOOK)
    bodies: list[dict[str, Any]] = [
        {},
        {**HOOK, "url": "https://example.com/hook"},
        {**HOOK, "url": "nothing"},
        {**HOOK, "url": None},
        {**HOOK, "events": []},
        {**HOOK, "events": ["render.started"]},
        {**HOOK, "events": [["render.complete"]]},
        {**HOOK, "enabled": "yes"},
        {**HOOK, "secret": "mine"},
    ]
    for body in bodies:
        answer = gloss.call("PUT", "/webhooks", json=body)
        assert answer.status_code == 400, (body, answer.text)
    assert gloss.get("/webhooks").json()["url"] == HOOK["url"], "the present one stays"


def test_there_is_one_webhook_and_it_can_be_replaced_and_deleted(gloss: Gloss) -> None:
    assert gloss.call("DELETE", "/webhooks").status_code == 404
    first = gloss.call("PUT", "/webhooks", json=HOOK).json()
    assert first["enabled"] is True
    second = gloss.call(
        "PUT", "/webhooks", json={**HOOK, "enabled": False, "description": "for n8n"}
    ).json()
    assert second["id"] == first["id"]
    shown = gloss.get("/webhooks").json()
    assert (shown["enabled"], shown["description"]) == (False, "for n8n")
    assert gloss.call("DELETE", "/webhooks").status_code == 200
    assert gloss.get("/webhooks").status_code == 404
    assert gloss.call("PUT", "/webhooks", json=HOOK).json()["secret"] != first["secret"]
