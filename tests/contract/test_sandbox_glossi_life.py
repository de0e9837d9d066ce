# SPDX-License-Identifier: GPL-3.0-or-later
"""Glossi's life in the sandbox: restarts, failures, fates, clean-up, storage and events."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from bridge.problems import Category, ProblemError
from bridge.sandbox import Sandbox, glossi_prune
from bridge.sandbox.canned import tiny_glb
from bridge.sandbox.glossi_canned import CannedStudio
from bridge.sandbox.glossi_hook import EVENTS

from .conftest import MakeBox
from .gloss import BROKEN, GLB, Ear, Gloss, listen
from .test_sandbox_glossi import Gate
from .test_sandbox_renderjuice_life import wait_until

GlossOf = Callable[[Sandbox], Gloss]


# -- restarts and failures -------------------------------------------------------------------------


def test_everything_goes_on_after_a_restart(make_box: MakeBox, gloss_of: GlossOf) -> None:
    gate = Gate("render")
    first = CannedStudio(gate=gate)
    box = make_box(studio=first)
    gloss = gloss_of(box)
    key, project = box.glossi.api_key, gloss.project()
    hook = {"url": "http://127.0.0.1:9/", "events": [EVENTS[0]]}
    secret = gloss.call("PUT", "/webhooks", json=hook)
    running, waiting = gloss.rendering(project), gloss.rendering(project)
    job = gloss.started({"a.glb": None, "b.glb": None}, renderSettings={"renderBookmarks": True})
    open_job = gloss.made("/jobs", gloss.job_body("c.glb"))
    assert gate.reached.wait(60)
    gloss.until(job, "RENDERING")
    box.stop()

    second = CannedStudio()
    gloss = gloss_of(make_box(studio=second))
    assert gloss.box.glossi.api_key == key
    for one in (running, waiting):
        assert gloss.rendered(one)["status"] == "COMPLETED"
        assert gloss.file(gloss.render(one)["renders"][0]["filePath"]).status_code == 200
    done = gloss.until(job)
    assert done["status"] == "COMPLETE" and done["progress"]["rendersComplete"] == 2
    assert len(done["results"]) == 2 and done["progress"]["projectsCreated"] == 2, "not made twice"
    assert second.rendered[0] == running, "what had begun goes on first"
    assert sorted(set(second.rendered)) == sorted(second.rendered)
    assert gloss.job(open_job["jobId"])["status"] == "AWAITING_UPLOADS"
    assert gloss.put(open_job["models"][0]["uploadUrl"]).status_code == 200
    assert gloss.get("/webhooks").json()["id"] == secret.json()["id"]
    assert gloss.box.glossi.hook.secret == secret.json()["secret"]
    assert gloss.box.journal()["paid_submits"] == 3


def test_a_check_begins_anew_and_what_ends_the_sandbox_fails_at_last(
    make_box: MakeBox, gloss_of: GlossOf
) -> None:
    gate = Gate("check")
    box = make_box(studio=CannedStudio(gate=gate))
    model = gloss_of(box).model()
    for _ in range(3):
        assert gate.reached.wait(60)
        box.stop()
        gate = Gate("check")
        box = make_box(studio=CannedStudio(gate=gate))
    assert gloss_of(box).settled(model)["status"] == "FAILED"
    record = box.glossi.store.get("model", model)
    assert record is not None and "three times" in record.doc["failure"]
    gate.open.set()
    assert gloss_of(box).settled(gloss_of(box).model())["ready"] is True


def test_a_studio_that_fails_fails_its_own_work_only(make_box: MakeBox, gloss_of: GlossOf) -> None:
    class Failing(CannedStudio):
        def check(self, work: Any) -> dict[str, Any]:
            if work.name == "bad":
                raise ProblemError(Category.BLENDER, "Blender stopped.", "It may have crashed.")
            if work.name == "worse":
                raise ZeroDivisionError
            return super().check(work)

        def render(self, work: Any) -> dict[str, Any]:
            if work.project == "crash":
                raise ProblemError(Category.BLENDER, "Blender stopped before it had finished.")
            if work.project == "lie":
                row = {"name": "Front", "path": "no.png", "fileType": "PNG", "isVideo": False}
                return {"renders": [row]}
            if work.project == "fault":
                raise KeyError("settings")
            return super().render(work)

    gloss = gloss_of(make_box(studio=Failing(), glossi_ways={"model_error": "error"}))
    assert (
        gloss.settled(gloss.model(name="bad"))["error"] == "Blender stopped. It may have crashed."
    )
    assert gloss.settled(gloss.model(name="worse"))["error"] == "Internal error: ZeroDivisionError"
    model = gloss.ready()
    texts = {}
    for name in ("crash", "lie", "fault"):
        job = gloss.rendered(gloss.rendering(gloss.project(model, name=name)))
        assert (job["status"], "renders" in job) == ("FAILED", False)
        texts[name] = job["errorMessage"]
    assert texts == {
        "crash": "Blender stopped before it had finished.",
        "lie": "“Front” was not rendered.",
        "fault": "Internal error: KeyError",
    }
    assert gloss.rendered(gloss.rendering(gloss.project(model)))["status"] == "COMPLETED"


# -- fates -----------------------------------------------------------------------------------------


def test_fates_of_models(gloss: Gloss) -> None:
    def fate(path: str, **job: Any) -> None:
        gloss.box.set_faults({"rules": [{"method": "POST", "path": path, "job": job}]})

    fate("/models", fail="No mesh")
    assert gloss.settled(gloss.model())["status"] == "FAILED"
    fate("/models/*/confirm", visit="OPTIMIZING", seconds=0.2)
    model = gloss.model()
    wait_until(lambda: gloss.status(model)["models"][0]["status"] == "OPTIMIZING", "never shown")
    wait_until(lambda: gloss.status(model)["allReady"], "it did not go on")
    fate("/models", stuck="ANALYZING")
    model = gloss.model()
    wait_until(lambda: gloss.status(model)["models"][0]["status"] == "ANALYZING", "not begun")
    gloss.box.set_faults(None)
    assert gloss.ready(), "the next one is not held up"
    assert gloss.status(model)["models"][0]["status"] == "ANALYZING"


@pytest.mark.parametrize("at", ["PROCESSING", "CREATING_PROJECTS", "RENDERING"])
def test_a_job_fails_or_stays_where_the_plan_says(gloss: Gloss, at: str) -> None:
    rendering = {"renderSettings": {"renderBookmarks": True}}

    def fate(**job: Any) -> None:
        rule = {"method": "POST", "path": "/jobs", "job": {"at": at, **job}}
        gloss.box.set_faults({"rules": [rule]})

    fate(fail="Out of credits")
    job = gloss.until(gloss.started(**rendering))
    assert (job["status"], job["error"]) == ("FAILED", "Out of credits")
    assert ("batchProject" in job, "results" in job) == (False, False)
    fate(visit="PAUSED", seconds=0.2)
    identifier = gloss.started(**rendering)
    gloss.until(identifier, "PAUSED")
    assert gloss.until(identifier)["status"] == "COMPLETE"
    fate(stuck="WAITING_FOR_REVIEW")
    identifier = gloss.started(**rendering)
    gloss.until(identifier, "WAITING_FOR_REVIEW")
    wait_until(lambda: not gloss.box.glossi.busy, "it is not stuck")
    assert gloss.job(identifier)["status"] == "WAITING_FOR_REVIEW"


def test_fates_of_renders(gloss: Gloss) -> None:
    def fate(path: str, **job: Any) -> None:
        gloss.box.set_faults({"rules": [{"method": "POST", "path": path, "job": job}]})

    project = gloss.project()
    fate("/renders", fail="No light", which=[1])
    jobs = gloss.made("/renders", {"projectIds": [project] * 3})["jobs"]
    ends = [gloss.rendered(job["jobId"])["status"] for job in jobs]
    assert ends == ["COMPLETED", "FAILED", "COMPLETED"]
    fate("/renders/*/retry", lose=[0])
    gloss.made(f"/renders/{jobs[1]['jobId']}/retry")
    done = gloss.rendered(jobs[1]["jobId"])
    assert [row["name"] for row in done["renders"]] == ["Three Quarter - Default",
                                                        "360 Spin - Default"]  # fmt: skip
    fate("/renders", gone=True)
    done = gloss.rendered(gloss.rendering(project))
    assert [gloss.file(row["filePath"]).status_code for row in done["renders"]] == [404, 404]
    fate("/renders", stuck="RENDERING")
    gloss.rendered(gloss.rendering(project), "RENDERING")
    fate("/renders", visit="STYLING", seconds=0.2)
    job = gloss.rendering(project)
    gloss.rendered(job, "STYLING")
    assert gloss.rendered(job)["status"] == "COMPLETED"
    fate("/jobs", models={"fail": "Torn", "which": [0]}, renders={"fail": "Dark", "times": 1},
         lose=[0])  # fmt: skip
    files: dict[str, bytes | None] = {"a.glb": None, "b.glb": None, "c.glb": None}
    assert gloss.until(gloss.started(files, renderSettings={"renderShots": True}))["error"] == (
        "2 of 2 renders failed: Dark"
    )
    job = gloss.until(gloss.started(files))
    assert [row["model"]["name"] for row in job["results"]] == ["c.glb"]


def test_the_generic_faults_work_on_this_api_too(gloss: Gloss) -> None:
    job = gloss.started()
    gloss.until(job)
    gloss.box.set_faults(
        {
            "rules": [
                {"path": "/jobs/*", "nth": 1, "status": 429, "headers": {"Retry-After": "2"}},
                {"path": "/jobs/*", "nth": 2, "html": True, "status": 502},
                {"path": "/jobs/*", "nth": 3, "garbage": True},
                {"path": "/jobs/*", "nth": 4, "patch": {"status": "HIBERNATING"},
                 "remove": ["progress"]},
                {"method": "POST", "path": "/models", "times": 1, "lose_answer": True},
                {"method": "PUT", "path": "/storage/**", "times": 1, "expired": True},
            ]
        }
    )  # fmt: skip
    limited = gloss.get(f"/jobs/{job}")
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "2")
    assert gloss.get(f"/jobs/{job}").headers["Content-Type"] == "text/html"
    with pytest.raises(ValueError):
        gloss.get(f"/jobs/{job}").json()
    patched = gloss.job(job)
    assert patched["status"] == "HIBERNATING" and "progress" not in patched
    with pytest.raises(OSError):
        gloss.post("/models", {"models": [{"name": "A", "fileName": "a", "fileType": "glb"}]})
    made = gloss.made("/jobs", gloss.job_body())["models"][0]
    expired = gloss.put(made["uploadUrl"])
    assert expired.status_code == 403 and "Request has expired" in expired.text
    assert gloss.put(made["uploadUrl"]).status_code == 200


# -- clean-up --------------------------------------------------------------------------------------


def test_old_files_are_deleted(
    make_box: MakeBox, gloss_of: GlossOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glossi_prune, "KEEP_RENDERS", 1)
    gloss = gloss_of(make_box())
    project = gloss.project()
    jobs = [gloss.rendered(gloss.rendering(project)) for _ in range(2)]

    def there(job: dict[str, Any]) -> bool:
        found = {gloss.file(row["filePath"]).status_code for row in job["renders"]}
        return found == {200}

    assert all(there(job) for job in jobs), "not within the hour"
    monkeypatch.setattr(glossi_prune, "KEEP_SECONDS", 0.0)
    jobs.append(gloss.rendered(gloss.rendering(project)))
    wait_until(lambda: not there(jobs[0]) and not there(jobs[1]), "still there")
    assert there(jobs[2])
    assert gloss.render(jobs[0]["jobId"])["status"] == "COMPLETED", "its id is known"
    idle = gloss.made("/jobs", gloss.job_body())["models"][0]
    gloss.put(idle["uploadUrl"])
    models = gloss.box.glossi.folder / "bucket"
    assert len(list(models.rglob("model.glb"))) == 2
    monkeypatch.setattr(glossi_prune, "IDLE_SECONDS", -1.0)
    gloss.box.glossi._pruner.prune()
    assert list(models.rglob("model.glb")) == []
    assert gloss.status(idle["id"])["notFound"] == [idle["id"]]
    assert gloss.post("/renders", {"projectIds": [project]}).status_code == 404


# -- storage ---------------------------------------------------------------------------------------


def test_an_upload_is_as_strict_as_a_signed_url(gloss: Gloss) -> None:
    job = gloss.made("/jobs", gloss.job_body())
    made = job["models"][0]
    url, key = made["uploadUrl"], {"X-API-Key": gloss.box.glossi.api_key}
    for headers in (key, {"Authorization": f"Bearer {gloss.box.glossi.api_key}"}):
        refused = gloss.put(url, **headers)
        assert refused.status_code == 400 and "<Code>InvalidArgument</Code>" in refused.text
        assert refused.headers["Content-Type"] == "application/xml"
    for kind in ("application/octet-stream", "model/gltf+json", ""):
        wrong = gloss.storage.put(url, data=tiny_glb(), headers={"Content-Type": kind}, timeout=10)
        assert wrong.status_code == 403 and "SignatureDoesNotMatch" in wrong.text, kind
    other = gloss.made("/jobs", gloss.job_body())["models"][0]["uploadUrl"]
    mixed = f"{url.partition('?')[0]}?{other.partition('?')[2]}"
    assert gloss.put(mixed).status_code == 403
    assert gloss.fetch(url).status_code == 403, "it is for PUT"
    assert gloss.put(url + "0").status_code == 403
    chunked = gloss.storage.put(
        url, data=iter([tiny_glb()]), headers={"Content-Type": GLB}, timeout=10
    )
    assert chunked.status_code == 411
    gloss.box.set_faults({"max_upload_bytes": 50})
    large = gloss.put(url, bytes(50))
    assert large.status_code == 400 and "EntityTooLarge" in large.text
    gloss.box.set_faults({"rules": [{"method": "PUT", "times": 1, "cut_upload": 10}]})
    with pytest.raises(OSError):
        gloss.put(url)
    assert gloss.job(job["jobId"])["progress"]["modelsUploaded"] == 0
    good = gloss.put(url)
    assert (good.status_code, good.content) == (200, b"")
    assert gloss.put(url).status_code == 200, "S3 takes it twice"
    entry = gloss.box.journal()["requests"][-1]
    assert entry["path"].endswith(made["uploadKey"]) and "***" in entry["query"]


def test_files_below_the_address_want_no_key(gloss: Gloss) -> None:
    job = gloss.rendered(gloss.rendering(renderShots=True))
    for row in job["renders"]:
        assert row["filePath"].startswith("workspaces/")
        whole = gloss.file(row["filePath"])
        kind = "video/mp4" if row["isVideo"] else "image/png"
        assert (whole.status_code, whole.headers["Content-Type"]) == (200, kind)
        part = gloss.file(row["filePath"], Range="bytes=2-5")
        assert (part.status_code, part.content) == (206, whole.content[2:6])
        for name in ("X-API-Key", "Authorization"):
            refused = gloss.file(row["filePath"], **{name: gloss.box.glossi.api_key})
            assert refused.status_code == 400 and refused.text.startswith("<?xml")
    for key in ("", "nothing", "../glossi.sqlite", "workspaces/../../glossi.sqlite",
                job["renders"][0]["filePath"] + "x", "%2e%2e/glossi.sqlite"):  # fmt: skip
        lost = gloss.fetch(f"{gloss.box.glossi.files_url}{key}")
        assert lost.status_code == 404, key
    put = gloss.storage.put(gloss.box.glossi.files_url + "workspaces/x", data=b"x", timeout=10)
    assert put.status_code == 405
    bucket = gloss.box.glossi.folder / "bucket"
    stored = sorted(path.name for path in bucket.rglob("*") if path.is_file())
    assert stored == ["model.glb", "render.png", "render.png", "thumbnail.jpg", "video.mp4"]


# -- events ----------------------------------------------------------------------------------------


def test_all_seven_events_are_told_and_signed(gloss: Gloss, event_ear: Ear) -> None:
    secret = listen(gloss, event_ear)
    job = gloss.until(gloss.started({"chair.glb": None, "broken.glb": BROKEN}))
    bad = gloss.until(gloss.started({"broken.glb": BROKEN}))
    project = job["results"][0]["project"]["id"]
    render = gloss.rendered(gloss.rendering(project))
    gloss.box.set_faults({"rules": [{"path": "/renders", "job": {"fail": "Dark"}}]})
    failed = gloss.rendered(gloss.rendering(project))
    wait_until(lambda: len(event_ear.heard) == 8, "not all events came")
    assert sorted(set(event_ear.events())) == sorted(EVENTS)
    for path, headers, body in event_ear.heard:
        mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        assert headers["x-glossi-signature"] == mac
        assert headers["content-type"] == "application/json" and path == "/hook?to=me"
        payload = json.loads(body)
        assert list(payload) == ["event", "timestamp", "data"]
        stamp = payload["timestamp"]
        assert len(stamp) == 24 and stamp[-5] == "." and stamp.endswith("Z")
        # As JSON.stringify writes it: the vendor's sample writes the parsed payload again.
        assert json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode() == body
    (processed,) = event_ear.of("model.processed")
    model = job["results"][0]["model"]
    assert list(processed) == ["modelId", "name", "status", "glbFilePath", "thumbnailUrl"]
    assert (processed["modelId"], processed["name"]) == (model["id"], "chair.glb")
    assert processed["status"] == "READY"
    assert gloss.fetch(processed["glbFilePath"]).content == tiny_glb()
    picture = gloss.fetch(processed["thumbnailUrl"])
    assert picture.content[:2] == b"\xff\xd8" and picture.headers["Content-Type"] == "image/jpeg"
    first, second = event_ear.of("model.failed")
    assert (first["name"], first["status"]) == ("broken.glb", "FAILED") and first["error"]
    assert first["modelId"] != second["modelId"]
    (created,) = event_ear.of("project.created")
    assert created == {
        "projectId": project, "name": "Chair Project", "status": "PENDING",
        "modelIds": [model["id"]], "templateId": gloss.template(),
    }  # fmt: skip
    assert event_ear.of("job.complete") == [
        {"jobId": job["jobId"], "status": "COMPLETE", "results": job["results"]}
    ]
    assert event_ear.of("job.failed") == [
        {"jobId": bad["jobId"], "status": "FAILED", "results": [], "error": bad["error"]}
    ]
    assert event_ear.of("render.complete") == [
        {"jobId": render["jobId"], "status": "COMPLETED", "projectId": project,
         "renderIds": [row["id"] for row in render["renders"]]}
    ]  # fmt: skip
    assert event_ear.of("render.failed") == [
        {"jobId": failed["jobId"], "status": "FAILED", "projectId": project,
         "errorMessage": "Dark"}
    ]  # fmt: skip


def test_an_event_is_tried_three_times_more(gloss: Gloss, event_ear: Ear) -> None:
    listen(gloss, event_ear)
    event_ear.left = [500, 302, 404, 200]
    first = gloss.ready()
    wait_until(lambda: len(event_ear.heard) == 4, "it did not try again")
    assert len({body for _, _, body in event_ear.heard}) == 1, "the timestamp is the event's"
    tried = gloss.box.glossi.hook.deliveries
    wait_until(lambda: len(tried) == 4, "not noted")
    assert [item["status"] for item in tried] == [500, 302, 404, 200]
    assert {item["id"] for item in tried} == {first}
    event_ear.left = [500] * 4
    gloss.ready()
    wait_until(lambda: len(event_ear.heard) == 8, "it did not try again")
    gloss.ready()
    wait_until(lambda: len(event_ear.heard) == 9, "the next event did not come")
    wait_until(lambda: len(tried) == 9, "not noted")
    assert [item["attempt"] for item in tried] == [1, 2, 3, 4, 1, 2, 3, 4, 1], "and no fifth time"
    bearer = {"Authorization": f"Bearer {gloss.box.glossi.api_key}"}
    place = f"{gloss.box.origin}/_sandbox/glossi/webhooks"
    assert gloss.storage.get(place, headers=bearer, timeout=10).json() == tried


def test_only_what_is_wanted_is_told(gloss: Gloss, event_ear: Ear) -> None:
    listen(gloss, event_ear, enabled=False)
    gloss.ready()
    listen(gloss, event_ear, events=["render.complete"])
    job = gloss.rendered(gloss.rendering())
    wait_until(lambda: event_ear.heard, "no event came")
    assert event_ear.events() == ["render.complete"]
    assert event_ear.of("render.complete")[0]["jobId"] == job["jobId"]
    assert gloss.call("DELETE", "/webhooks").status_code == 200
    gloss.rendered(gloss.rendering())
    assert len(event_ear.heard) == 1


def test_a_job_may_have_an_address_of_its_own(
    make_box: MakeBox, gloss_of: GlossOf, event_ear: Ear
) -> None:
    gloss = gloss_of(make_box())
    good = gloss.until(gloss.started(webhookUrl=event_ear.url))
    bad = gloss.until(gloss.started({"b.glb": BROKEN}, webhookUrl=event_ear.url))
    wait_until(lambda: len(event_ear.heard) == 2, "no event came")
    assert event_ear.events() == ["job.complete", "job.failed"]
    assert [json.loads(body)["data"]["jobId"] for _, _, body in event_ear.heard] == [
        good["jobId"], bad["jobId"],
    ]  # fmt: skip
    assert all("x-glossi-signature" not in headers for _, headers, _ in event_ear.heard), (
        "no secret yet"
    )
    secret = listen(gloss, event_ear, enabled=False)
    gloss.until(gloss.started(webhookUrl=event_ear.url))
    wait_until(lambda: len(event_ear.heard) == 3, "no event came")
    _, headers, body = event_ear.heard[-1]
    assert (
        headers["x-glossi-signature"] == hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    )
    gloss.box.set_faults({"glossi_ways": {"job_hook": "unsigned"}})
    gloss.until(gloss.started(webhookUrl=event_ear.url))
    wait_until(lambda: len(event_ear.heard) == 4, "no event came")
    assert "x-glossi-signature" not in event_ear.heard[-1][1]
