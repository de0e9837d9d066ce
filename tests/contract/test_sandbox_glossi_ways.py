# SPDX-License-Identifier: GPL-3.0-or-later
"""What Glossi's documentation leaves open can be done in every way that it may mean."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.problems import ProblemError
from bridge.sandbox import FaultPlan, Sandbox
from bridge.sandbox.glossi_ways import WAYS

from .conftest import MakeBox
from .gloss import BROKEN, STILLS, Ear, Gloss, listen
from .test_sandbox_renderjuice_life import wait_until

GlossOf = Callable[[Sandbox], Gloss]
RENDERING = {"renderSettings": {"renderBookmarks": True}}


def ways(gloss: Gloss, **values: Any) -> None:
    gloss.box.set_faults({"glossi_ways": values})


def test_errors(gloss: Gloss) -> None:
    forms: dict[str, Any] = {
        "error": {"error": "Job not found"},
        "message": {"message": "Job not found", "statusCode": 404},
        "nested": {"error": {"message": "Job not found", "code": 404}},
        "errorMessage": {"errorMessage": "Job not found"},
        "list": {"errors": ["Job not found"]},
    }
    for shape in WAYS["errors"]:
        ways(gloss, errors=shape)
        answer = gloss.get("/jobs/none")
        assert answer.status_code == 404
        if shape in forms:
            assert answer.json() == forms[shape]
        else:
            kinds = {"text": "text/plain", "html": "text/html", "empty": None}
            assert answer.headers.get("Content-Type") == kinds[shape]
            assert ("Job not found" in answer.text) == (shape != "empty")


def test_success_has_any_status_of_the_two_hundreds(gloss: Gloss) -> None:
    for status in WAYS["success"]:
        ways(gloss, success=status)
        made = gloss.post("/jobs", gloss.job_body())
        assert made.status_code == status
        assert gloss.get(f"/jobs/{made.json()['jobId']}").status_code == 200
        hook = {"url": "http://127.0.0.1:9/", "events": ["job.complete"]}
        assert gloss.call("PUT", "/webhooks", json=hook).status_code == status
        assert gloss.put(made.json()["models"][0]["uploadUrl"]).status_code == 200


def test_files_are_keys_or_addresses(gloss: Gloss) -> None:
    job = gloss.rendered(gloss.rendering())["jobId"]
    for kind in WAYS["files"]:
        ways(gloss, files=kind)
        for row in gloss.render(job)["renders"]:
            assert row["filePath"].startswith("http" if kind == "path_url" else "workspaces/")
            extra = set(row) - {"id", "name", "filePath", "fileType", "isVideo"}
            assert extra == (set() if kind in ("key", "path_url") else {kind})
            url = row["filePath"] if kind == "path_url" else row.get(kind)
            if url:
                got = gloss.fetch(url)
                assert got.status_code == 200 and got.content.startswith(b"\x89PNG")
                assert gloss.fetch(url, **{"X-API-Key": "x"}).status_code == 400
                assert gloss.fetch(url[:-1] + "0x"[url[-1] == "0"]).status_code == 403
    ways(gloss, files="path_url", download_seconds=-1)
    expired = gloss.fetch(gloss.render(job)["renders"][0]["filePath"])
    assert expired.status_code == 403 and "Request has expired" in expired.text


def test_where_a_job_shows_its_renders(gloss: Gloss) -> None:
    job = gloss.started({"a.glb": None, "b.glb": None}, **RENDERING)
    gloss.until(job)
    hidden = gloss.job(job)
    assert "filePath" not in json.dumps(hidden)
    ways(gloss, job_renders="results")
    rows = gloss.job(job)["results"]
    assert [[file["name"] for file in row["renders"]] for row in rows] == [
        ["Front View - Default", "Three Quarter - Default"]] * 2  # fmt: skip
    ways(gloss, job_renders="top")
    top = gloss.job(job)
    assert len(top["renders"]) == 4 and "renders" not in top["results"][0]


@pytest.mark.parametrize("way", WAYS["partial"])
def test_partial_failure(make_box: MakeBox, gloss_of: GlossOf, way: str) -> None:
    gloss = gloss_of(make_box(glossi_ways={"partial": way}))
    job = gloss.until(gloss.started({"chair.glb": None, "broken.glb": BROKEN}))
    failed = way.startswith("fail")
    assert job["status"] == ("FAILED" if failed else "COMPLETE")
    assert ("error" in job) == (way != "keep")
    assert ("results" in job) == (way != "fail")
    assert len(job.get("results", [1])) == (0 if way == "fail_results" else 1)
    if way != "keep":
        assert "broken.glb" in job["error"]
    rule = {"path": "/jobs", "job": {"renders": {"fail": "Dark", "which": [0]}}}
    gloss.box.set_faults({"rules": [rule]})
    job = gloss.until(gloss.started({"a.glb": None, "b.glb": None}, **RENDERING))
    assert job["status"] == ("FAILED" if failed else "COMPLETE")
    assert len(job.get("results", [])) == (0 if way == "fail" else 2)
    assert job["progress"]["rendersComplete"] == 1


def test_a_job_error_may_be_an_object(gloss: Gloss) -> None:
    job = gloss.started({"broken.glb": BROKEN})
    text = gloss.until(job)["error"]
    assert isinstance(text, str)
    ways(gloss, job_error="object")
    assert gloss.job(job)["error"] == {"message": text}


def test_confirming_again_and_early(gloss: Gloss) -> None:
    for status in WAYS["confirm_again"]:
        ways(gloss, confirm_again=status)
        job, model = gloss.started(), gloss.model()
        done = gloss.until(job)
        again = gloss.post(f"/jobs/{job}/confirm-uploads")
        assert again.status_code == status
        if status == 200:
            assert again.json() == {"jobId": job, "status": done["status"], "modelsConfirmed": 1}
        gloss.settled(model)
        again = gloss.post(f"/models/{model}/confirm", {"fileType": "glb"})
        assert again.status_code == status
        if status == 200:
            assert again.json()["status"] == "READY"
    ways(gloss, confirm_early="accept")
    made = gloss.made("/jobs", gloss.job_body("a.glb", "b.glb"))
    gloss.put(made["models"][1]["uploadUrl"])
    assert gloss.made(f"/jobs/{made['jobId']}/confirm-uploads")["modelsConfirmed"] == 1
    job_done = gloss.until(made["jobId"])
    assert [row["model"]["name"] for row in job_done["results"]] == ["b.glb"]
    assert job_done["progress"]["modelsUploaded"] == 1
    body = {"models": [{"name": "A", "fileName": "a.glb", "fileType": "glb"}]}
    alone = gloss.made("/models", body)["models"][0]["modelId"]
    gloss.made(f"/models/{alone}/confirm", {"fileType": "glb"})
    assert gloss.settled(alone)["status"] == "FAILED"


def test_projects_without_a_template(gloss: Gloss) -> None:
    body = {"models": [{"fileName": "a.glb", "fileType": "glb"}]}
    ways(gloss, no_template="accept")
    made = gloss.made("/jobs", body)
    gloss.put(made["models"][0]["uploadUrl"])
    gloss.made(f"/jobs/{made['jobId']}/confirm-uploads")
    done = gloss.until(made["jobId"])
    project = done["results"][0]["project"]["id"]
    assert gloss.post("/renders", {"projectIds": [project]}).status_code == 400
    made = gloss.made("/projects", {"modelIds": [gloss.ready()]})["projects"][0]
    assert "templateId" not in made


def test_a_new_project_may_not_be_ready_yet(gloss: Gloss) -> None:
    model = gloss.ready()
    for status in WAYS["not_ready"]:
        ways(gloss, project_seconds=1000, not_ready=status)
        project = gloss.project(model)
        refused = gloss.post("/renders", {"projectIds": [project], "settings": STILLS})
        assert refused.status_code == status and "is not ready yet" in refused.json()["error"]
        ways(gloss, project_seconds=0)
        assert gloss.rendered(gloss.rendering(project))["status"] == "COMPLETED"
    assert gloss.box.journal()["paid_submits"] == len(WAYS["not_ready"])


def test_the_word_for_a_failed_model(gloss: Gloss) -> None:
    model = gloss.model(BROKEN)
    gloss.settled(model)
    for word in ("FAILED", "PROCESSING_ERROR", "REJECTED"):
        ways(gloss, failed_status=word, model_error="errorMessage")
        assert gloss.status(model)["models"] == [
            {"modelId": model, "name": "Chair", "status": word, "ready": False,
             "errorMessage": "The file is not a GLB."}
        ]  # fmt: skip


def test_orders_and_missing_keys(gloss: Gloss) -> None:
    first, second = gloss.ready(name="A"), gloss.ready(name="B")
    body = {"modelIds": [first, second], "templateId": gloss.template(), "createPerModel": True}
    job_body = gloss.job_body("a.glb", "b.glb")
    ways(gloss, order="reversed", omit=["templateId", "progress"])
    job = gloss.made("/jobs", job_body)
    assert [model["fileName"] for model in job["models"]] == ["b.glb", "a.glb"]
    assert "progress" not in gloss.job(job["jobId"])
    assert [row["name"] for row in gloss.status(first, second)["models"]] == ["B", "A"]
    rows = gloss.made("/projects", body)["projects"]
    assert [row["name"] for row in rows] == ["B Project", "A Project"]
    assert all("templateId" not in row for row in rows)
    ids = [row["projectId"] for row in rows]
    jobs = gloss.made("/renders", {"projectIds": ids})["jobs"]
    assert [row["projectId"] for row in jobs] == ids[::-1]


def test_other_ways(gloss: Gloss) -> None:
    ways(gloss, upload_seconds=0)
    expired = gloss.put(gloss.made("/jobs", gloss.job_body())["models"][0]["uploadUrl"])
    assert expired.status_code == 403 and "Request has expired" in expired.text
    ways(gloss, puts="once")
    url = gloss.made("/jobs", gloss.job_body())["models"][0]["uploadUrl"]
    assert [gloss.put(url).status_code for _ in range(2)] == [200, 403]
    job = gloss.rendered(gloss.rendering())["jobId"]
    for status in WAYS["retry_status"]:
        ways(gloss, retry_status=status)
        assert gloss.post(f"/renders/{job}/retry").status_code == status
    ways(gloss, unknown_fields="ignore")
    assert gloss.post("/jobs", gloss.job_body(somethingNew=1)).status_code == 200
    project = gloss.project()
    body = {"projectIds": [project], "settings": {"samples": 64}, "priority": 1}
    assert gloss.post("/renders", body).status_code == 200
    ways(gloss, no_webhook="null")
    assert (gloss.get("/webhooks").status_code, gloss.get("/webhooks").json()) == (200, None)
    ways(gloss, no_webhook="empty", delete_status=204, webhook_secret="new")
    assert gloss.get("/webhooks").json() == {}
    hook = {"url": "http://127.0.0.1:9/", "events": ["job.complete"]}
    secrets = [gloss.call("PUT", "/webhooks", json=hook).json()["secret"] for _ in range(2)]
    assert secrets[0] != secrets[1]
    gone = gloss.call("DELETE", "/webhooks")
    assert (gone.status_code, gone.content) == (204, b"")


@pytest.mark.parametrize("kind", ["prefixed", "wrong", "absent"])
def test_signatures_in_other_forms(gloss: Gloss, event_ear: Ear, kind: str) -> None:
    ways(gloss, hook_signature=kind, hook_body="spaced", hook_age=90_000)
    secret = listen(gloss, event_ear)
    gloss.ready()
    wait_until(lambda: event_ear.heard, "no event came")
    _, headers, body = event_ear.heard[0]
    right = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = headers.get("x-glossi-signature")
    assert {"prefixed": given == f"sha256={right}", "absent": given is None,
            "wrong": given is not None and right not in given}[kind]  # fmt: skip
    payload = json.loads(body)
    assert json.dumps(payload, separators=(",", ":")).encode() != body
    stamp = datetime.fromisoformat(payload["timestamp"]).timestamp()
    assert time.time() - stamp >= 89_000


def test_events_may_come_twice_and_in_another_order(gloss: Gloss, event_ear: Ear) -> None:
    ways(gloss, hook_order="reversed", hook_times=2)
    listen(gloss, event_ear)
    names = ["model.processed", "project.created", "job.complete"]
    for name in names:
        gloss.box.glossi.hook.send(name, {}, "x")
    wait_until(lambda: len(event_ear.heard) == 6, "not all events came")
    assert event_ear.events() == [name for name in names[::-1] for _ in range(2)]


def test_what_was_made_is_told_before_what_it_is_for(gloss: Gloss, event_ear: Ear) -> None:
    listen(gloss, event_ear)
    gloss.until(gloss.started())
    wait_until(lambda: len(event_ear.heard) == 3, "not all events came")
    assert event_ear.events() == ["model.processed", "project.created", "job.complete"]


@pytest.mark.parametrize(
    "plan", [{"errors": "loud"}, {"colour": "red"}, {"omit": "progress"}, {"project_seconds": True}]
)
def test_a_way_that_there_is_not_is_refused(make_box: MakeBox, plan: dict[str, Any]) -> None:
    with pytest.raises(ProblemError):
        FaultPlan.load({"glossi_ways": plan})
    with pytest.raises(ProblemError):
        make_box(glossi_ways=plan)


def test_every_way_is_described() -> None:
    from bridge.sandbox import glossi_ways

    text = glossi_ways.__doc__ or ""
    manual = (Path(__file__).parents[2] / "docs/sandbox.md").read_text(encoding="utf-8")
    for name, values in WAYS.items():
        assert f" {name} " in text
        assert f"`{name}`" in manual
        for value in values:
            assert isinstance(value, (type, list)) or str(value) in text
