# SPDX-License-Identifier: GPL-3.0-or-later
"""Each call of Glossi's two guides, as they write it, and each answer as they show it.

The examples are data: a call's method, path, headers and body, and the answer. Ids, addresses and
keys that the guides abbreviate are compared by their kind. What the sandbox recorded of the calls
is compared with the examples too.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from bridge.sandbox import Sandbox
from bridge.sandbox.canned import tiny_glb
from bridge.sandbox.glossi_canned import CannedStudio
from bridge.sandbox.glossi_hook import EVENTS

from .conftest import MakeBox
from .gloss import GLB, Gloss

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KEY = re.compile(r"workspaces/[^?]+/(model\.glb|render\.png|video\.mp4)")
KEYED, JSON = {"X-API-Key"}, {"X-API-Key", "Content-Type"}

# -- Simple Workflow -------------------------------------------------------------------------------

WITHOUT_RENDERING = {
    "models": [
        {"fileName": "chair.glb", "fileType": "glb"},
        {"fileName": "table.glb", "fileType": "glb"},
    ],
    "templateId": "your-template-uuid",
    "createProjects": True,
}
WITH_RENDERING = {
    "models": [{"fileName": "chair.glb", "fileType": "glb"}],
    "templateId": "your-template-uuid",
    "renderSettings": {"renderBookmarks": True, "imageQuality": 1},
}
WITH_WEBHOOK = {
    "models": [{"fileName": "chair.glb", "fileType": "glb"}],
    "templateId": "your-template-uuid",
    "webhookUrl": "http://127.0.0.1:9/webhooks/glossi",
}
JOB_CREATED = {
    "jobId": "job-uuid",
    "status": "AWAITING_UPLOADS",
    "models": [
        {"id": "model-1-uuid", "fileName": "chair.glb", "uploadUrl": "https://s3.../signed-url-1",
         "uploadKey": "workspaces/.../model.glb"},
        {"id": "model-2-uuid", "fileName": "table.glb", "uploadUrl": "https://s3.../signed-url-2",
         "uploadKey": "workspaces/.../model.glb"},
    ],
}  # fmt: skip
CONFIRMED = {"jobId": "job-uuid", "status": "PROCESSING", "modelsConfirmed": 2}
IN_PROGRESS = {
    "jobId": "job-uuid",
    "status": "PROCESSING",
    "progress": {
        "modelsUploaded": 2, "modelsReady": 1, "modelsTotal": 2, "projectsCreated": 0,
        "projectsTotal": 2, "rendersComplete": 0, "rendersTotal": 0,
    },
}  # fmt: skip
COMPLETE = {
    "jobId": "job-uuid",
    "status": "COMPLETE",
    "batchProject": {"id": "batch-uuid", "title": "API Job - 2025-02-10"},
    "progress": {
        "modelsUploaded": 2, "modelsReady": 2, "modelsTotal": 2, "projectsCreated": 2,
        "projectsTotal": 2, "rendersComplete": 0, "rendersTotal": 0,
    },
    "results": [
        {"model": {"id": "model-1-uuid", "name": "chair.glb"},
         "project": {"id": "project-1-uuid", "name": "Chair Project"}},
        {"model": {"id": "model-2-uuid", "name": "table.glb"},
         "project": {"id": "project-2-uuid", "name": "Table Project"}},
    ],
}  # fmt: skip

# -- Complete Workflow -----------------------------------------------------------------------------

MODEL = {"models": [{"name": "My Product", "fileName": "product.glb", "fileType": "glb"}]}
MODEL_CREATED = {
    "models": [
        {"modelId": "abc123-uuid", "name": "My Product",
         "uploadUrl": "https://s3.amazonaws.com/...", "uploadKey": "workspaces/.../model.glb"}
    ]
}  # fmt: skip
MODEL_CONFIRMED = {
    "modelId": "abc123-uuid", "name": "My Product", "status": "PENDING",
    "filePath": "workspaces/.../model.glb",
}  # fmt: skip
MODEL_READY = {
    "models": [{"modelId": "abc123-uuid", "name": "My Product", "status": "READY", "ready": True}],
    "allReady": True,
    "notFound": [],
}
TEMPLATES = {
    "templates": [
        {"templateId": "abc123-template", "name": "Studio Light",
         "description": "Clean studio lighting setup"},
        {"templateId": "def456-template", "name": "Outdoor Scene",
         "description": "Natural outdoor lighting"},
    ]
}  # fmt: skip
PROJECT = {
    "name": "Product Photoshoot", "modelIds": ["abc123-uuid"], "templateId": "template-uuid",
}  # fmt: skip
PROJECT_CREATED = {
    "projects": [
        {"projectId": "project-uuid", "name": "Product Photoshoot", "status": "PENDING",
         "modelIds": ["abc123-uuid"], "templateId": "template-uuid"}
    ]
}  # fmt: skip
PER_MODEL = {
    "modelIds": ["abc123-uuid", "abc123-uuid", "abc123-uuid"], "templateId": "template-uuid",
    "createPerModel": True,
}  # fmt: skip
RENDER = {
    "projectIds": ["project-uuid"],
    "settings": {
        "renderBookmarks": True, "renderShots": True, "renderVariants": True, "imageQuality": 1,
        "videoQuality": 1,
    },
}  # fmt: skip
RENDER_4K = {
    "projectIds": ["project-uuid"],
    "settings": {"renderBookmarks": True, "renderShots": False, "imageQuality": 2},
}
RENDER_THREE = {
    "projectIds": ["project-uuid", "project-uuid", "project-uuid"],
    "settings": {"renderBookmarks": True, "imageQuality": 1},
}
RENDER_QUEUED = {
    "jobs": [{"jobId": "job-uuid", "status": "QUEUED", "projectId": "project-uuid"}],
    "totalProjects": 1,
}
RENDERING = {"jobId": "job-uuid", "status": "RENDERING", "projectId": "project-uuid"}
RENDERED = {
    "jobId": "job-uuid",
    "status": "COMPLETED",
    "projectId": "project-uuid",
    "renders": [
        {"id": "render-uuid-1", "name": "Front View - Default",
         "filePath": "workspaces/.../render.png", "fileType": "PNG", "isVideo": False},
        {"id": "render-uuid-2", "name": "360 Spin - Default",
         "filePath": "workspaces/.../video.mp4", "fileType": "MP4", "isVideo": True},
    ],
}  # fmt: skip
RETRIED = {
    "jobId": "job-uuid", "status": "QUEUED", "projectId": "project-uuid",
    "batchId": "new-batch-uuid",
}  # fmt: skip
WEBHOOK = {
    "url": "http://127.0.0.1:9/webhooks/glossi",
    "events": [
        "model.processed", "model.failed", "project.created", "job.complete", "job.failed",
        "render.complete", "render.failed",
    ],
    "enabled": True,
}  # fmt: skip
WEBHOOK_SET = {
    "id": "webhook-uuid", "url": WEBHOOK["url"], "secret": "your-webhook-secret",
    "events": WEBHOOK["events"], "enabled": True,
}  # fmt: skip


def like(answer: Any, example: Any, where: str = "answer") -> None:
    """The same keys in the same order, and values of the kind that the example abbreviates."""
    if isinstance(example, dict):
        assert list(answer) == list(example), where
        for key, value in example.items():
            like(answer[key], value, f"{where}.{key}")
    elif isinstance(example, list):
        assert len(answer) == len(example), where
        for number, value in enumerate(example):
            like(answer[number], value, f"{where}.{number}")
    elif isinstance(example, str) and re.search(r"uuid|-template$", example):
        assert UUID.fullmatch(answer), where
    elif isinstance(example, str) and example.startswith("https://s3"):
        assert answer.startswith("http://127.0.0.1:") and "Signature=" in answer, where
    elif isinstance(example, str) and example.startswith("workspaces/"):
        assert KEY.fullmatch(answer), where
        assert answer.rpartition("/")[2] == example.rpartition("/")[2], where
    elif example == "your-webhook-secret":
        assert len(answer) >= 32, where
    elif isinstance(example, str) and example.startswith("API Job - "):
        assert re.fullmatch(r"API Job - \d{4}-\d\d-\d\d", answer), where
    else:
        assert type(answer) is type(example) and answer == example, where


class Guide:
    """Makes calls as the guides write them, with real ids where they have an example's."""

    def __init__(self, gloss: Gloss) -> None:
        self.gloss = gloss
        self.ids: dict[str, str] = {
            "your-template-uuid": gloss.template(),
            "template-uuid": gloss.template(),
        }
        self.expected: list[tuple[str, str, set[str], Any]] = []

    def real(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.real(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.real(item) for item in value]
        return self.ids.get(value, value) if isinstance(value, str) else value

    def call(self, method: str, path: str, headers: set[str], body: Any = None) -> Any:
        body = self.real(body)
        self.expected.append((method, f"/glossi/api/v1{path}", headers, body))
        answer = self.gloss.call(method, path, **({} if body is None else {"json": body}))
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        return answer.json()

    def put(self, url: str, data: bytes | None = None) -> None:
        path = url.partition("?")[0].removeprefix(self.gloss.box.origin)
        self.expected.append(("PUT", path, {"Content-Type"}, None))
        answer = self.gloss.put(url, data)
        assert (answer.status_code, answer.content) == (200, b"")

    def compare(self, entries: list[dict[str, Any]]) -> None:
        """The sandbox saw these calls, with these headers and bodies and no others."""
        assert len(entries) == len(self.expected)
        own = {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection", "Content-Length"}
        for entry, (method, path, headers, body) in zip(entries, self.expected, strict=True):
            assert (entry["method"], entry["path"]) == (method, path.partition("?")[0])
            seen = set(entry["headers"]) - {name.lower() for name in own}
            assert seen == {name.lower() for name in headers}, path
            assert entry["authorization"] == ("X-API-Key" in headers)
            if "Content-Type" in headers:
                assert entry.get("json") == body
                kind = GLB if method == "PUT" and "/storage/" in path else "application/json"
                assert entry["headers"]["content-type"] == kind
            elif method != "GET":
                assert (entry["json"], entry["received"]) == ({}, 0), "None required"


@pytest.fixture
def guide(make_box: MakeBox, gloss_of: Any) -> Guide:
    studio = CannedStudio(views=("Front View",))
    return Guide(gloss_of(make_box(studio=studio)))


def after(box: Sandbox, number: int) -> list[dict[str, Any]]:
    return [entry for entry in box.journal()["requests"] if entry["n"] > number]


def last(box: Sandbox) -> int:
    return int(box.journal()["requests"][-1]["n"])


def test_the_simple_workflow_as_its_guide_writes_it(guide: Guide) -> None:
    gloss, box = guide.gloss, guide.gloss.box
    # One model is processed, the other is still looked at when the job is asked for.
    box.set_faults({"rules": [{"path": "/jobs", "job": {"models": {"stuck": "ANALYZING",
                                                                    "which": [1]}}}]})  # fmt: skip
    began = last(box)
    made = guide.call("POST", "/jobs", JSON, WITHOUT_RENDERING)
    like(made, JOB_CREATED)
    for model in made["models"]:
        guide.put(model["uploadUrl"])
    job = f"/jobs/{made['jobId']}"
    like(guide.call("POST", f"{job}/confirm-uploads", KEYED), CONFIRMED)
    guide.compare(after(box, began))
    gloss.settled(made["models"][0]["id"])
    like(guide.call("GET", job, KEYED), IN_PROGRESS)

    box.set_faults(None)
    began, guide.expected = last(box), []
    made = guide.call("POST", "/jobs", JSON, WITHOUT_RENDERING)
    for model in made["models"]:
        guide.put(model["uploadUrl"], tiny_glb())
    guide.call("POST", f"/jobs/{made['jobId']}/confirm-uploads", KEYED)
    guide.compare(after(box, began))
    gloss.until(made["jobId"])
    began, guide.expected = last(box), []
    done = guide.call("GET", f"/jobs/{made['jobId']}", KEYED)
    like(done, COMPLETE)
    assert [row["model"]["id"] for row in done["results"]] == [m["id"] for m in made["models"]]
    guide.compare(after(box, began))


def test_the_other_bodies_of_a_job(guide: Guide) -> None:
    gloss, began = guide.gloss, last(guide.gloss.box)
    rendering = guide.call("POST", "/jobs", JSON, WITH_RENDERING)
    guide.put(rendering["models"][0]["uploadUrl"])
    guide.call("POST", f"/jobs/{rendering['jobId']}/confirm-uploads", KEYED)
    told = guide.call("POST", "/jobs", JSON, WITH_WEBHOOK)
    guide.compare(after(gloss.box, began))
    assert told["status"] == "AWAITING_UPLOADS"
    done = gloss.until(rendering["jobId"])
    assert done["status"] == "COMPLETE"
    assert done["progress"]["rendersComplete"] == done["progress"]["rendersTotal"] == 1
    assert "batchProject" not in done, "one model is no batch"
    assert set(done["results"][0]) == {"model", "project"}, "no renders are documented there"
    studio: Any = gloss.box._studio
    settings = studio.works[-1].settings
    assert settings["renderBookmarks"] is True and settings["renderShots"] is False


def test_the_complete_workflow_as_its_guide_writes_it(guide: Guide) -> None:
    gloss, box = guide.gloss, guide.gloss.box
    began = last(box)
    made = guide.call("POST", "/models", JSON, MODEL)
    like(made, MODEL_CREATED)
    guide.ids["abc123-uuid"] = model = made["models"][0]["modelId"]
    guide.put(made["models"][0]["uploadUrl"])
    confirmed = guide.call("POST", f"/models/{model}/confirm", JSON, {"fileType": "glb"})
    like(confirmed, MODEL_CONFIRMED)
    assert confirmed["filePath"] == made["models"][0]["uploadKey"]
    guide.compare(after(box, began))
    gloss.settled(model)
    began, guide.expected = last(box), []
    like(guide.call("POST", "/models/status", JSON, {"modelIds": ["abc123-uuid"]}), MODEL_READY)
    both = guide.call("GET", "/templates", KEYED)
    like({"templates": both["templates"][:2]}, TEMPLATES)
    public = guide.call("GET", "/templates?internal=false", KEYED)["templates"]
    own = guide.call("GET", "/templates?public=false", KEYED)["templates"]
    assert public + own == both["templates"] and public and own
    like(guide.call("POST", "/projects", JSON, PROJECT), PROJECT_CREATED)
    three = guide.call("POST", "/projects", JSON, PER_MODEL)["projects"]
    assert [row["modelIds"] for row in three] == [[model]] * 3
    guide.ids["project-uuid"] = three[0]["projectId"]
    box.set_faults({"rules": [{"path": "/renders", "times": 1, "job": {"stuck": "RENDERING"}}]})
    began_render = guide.call("POST", "/renders", JSON, RENDER)
    like(began_render, RENDER_QUEUED)
    guide.compare(after(box, began))
    gloss.rendered(began_render["jobs"][0]["jobId"], "RENDERING")
    like(guide.call("GET", f"/renders/{began_render['jobs'][0]['jobId']}", KEYED), RENDERING)

    began, guide.expected = last(box), []
    job = guide.call("POST", "/renders", JSON, RENDER)["jobs"][0]["jobId"]
    guide.call("POST", "/renders", JSON, RENDER_4K)
    assert len(guide.call("POST", "/renders", JSON, RENDER_THREE)["jobs"]) == 3
    guide.compare(after(box, began))
    gloss.rendered(job)
    like(guide.call("GET", f"/renders/{job}", KEYED), RENDERED)
    # A render that fails is retried.
    box.set_faults({"rules": [{"path": "/renders", "job": {"fail": "No light", "times": 1}}]})
    job = guide.call("POST", "/renders", JSON, RENDER)["jobs"][0]["jobId"]
    failed = gloss.rendered(job)
    like(failed, {**RENDERING, "status": "FAILED", "errorMessage": "No light"})
    began, guide.expected = last(box), []
    retried = guide.call("POST", f"/renders/{job}/retry", KEYED)
    like(retried, RETRIED)
    guide.compare(after(box, began))
    assert retried["jobId"] == job
    assert gloss.rendered(job)["status"] == "COMPLETED"


def test_the_settings_that_are_left_out_are_the_guides(guide: Guide) -> None:
    gloss = guide.gloss
    guide.ids["project-uuid"] = gloss.project()
    for body, changed in (
        (RENDER_4K, {"renderShots": False, "imageQuality": 2}),
        (RENDER_THREE, {}),
        ({"projectIds": ["project-uuid"]}, {}),
    ):
        job = guide.call("POST", "/renders", JSON, body)["jobs"][0]["jobId"]
        gloss.rendered(job)
        studio: Any = gloss.box._studio
        work = next(item for item in studio.works if item.job_id == job)
        defaults = {"renderBookmarks": True, "renderShots": True, "renderVariants": True,
                    "imageQuality": 1, "videoQuality": 1, "videoResolution": 1}  # fmt: skip
        assert work.settings == {**defaults, **changed}


def test_the_webhook_setting_as_its_guide_writes_it(guide: Guide) -> None:
    began = last(guide.gloss.box)
    made = guide.call("PUT", "/webhooks", JSON, WEBHOOK)
    like(made, WEBHOOK_SET)
    assert tuple(made["events"]) == EVENTS
    shown = guide.call("GET", "/webhooks", KEYED)
    like(shown, {key: value for key, value in WEBHOOK_SET.items() if key != "secret"})
    assert shown["id"] == made["id"]
    guide.call("DELETE", "/webhooks", KEYED)
    # A call without a body has none to note.
    entries = after(guide.gloss.box, began)
    entries[-1]["json"] = {}
    guide.compare(entries)
    assert guide.gloss.get("/webhooks").status_code == 404


def test_the_secret_is_shown_when_it_is_set_and_never_again(guide: Guide) -> None:
    gloss = guide.gloss
    secret = guide.call("PUT", "/webhooks", JSON, {**WEBHOOK, "description": "n8n"})["secret"]
    shown = gloss.get("/webhooks")
    assert secret not in shown.text and shown.json()["description"] == "n8n"
    assert guide.call("PUT", "/webhooks", JSON, WEBHOOK)["secret"] == secret
    holders = [
        path.name
        for path in gloss.box.state_dir.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]
    assert holders == []
    assert secret not in str(gloss.box.journal())
