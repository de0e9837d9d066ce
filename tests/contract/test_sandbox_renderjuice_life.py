# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm's life: restarts, cancellation, crashes, clean-up, events, and the Blender that fits."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge import launch
from bridge.problems import Category, ProblemError
from bridge.sandbox import Sandbox, renderjuice_hook, renderjuice_prune
from bridge.sandbox.renderjuice_canned import TINY_BLEND, CannedRenderer
from bridge.sandbox.renderjuice_work import BlenderRenderer
from tests.support.cli import command, environment, run

from .conftest import MakeBox
from .juice import Juice
from .test_sandbox_renderjuice import Gate

JuiceOf = Callable[[Sandbox], Juice]


@pytest.fixture
def gate() -> Iterator[Gate]:
    held = Gate(2)
    yield held
    held.open.set()


def wait_until(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


class Holding(CannedRenderer):
    """Stays in one frame (or in validation, frame 0) until it is stopped."""

    def __init__(self, frame: int, frames: tuple[int, int] = (1, 4)) -> None:
        super().__init__(frames, gate=self._hold)
        self.frame = frame
        self.reached = threading.Event()
        self._work: Any = None

    def analyze(self, work: Any) -> dict[str, Any]:
        self._work = work
        return super().analyze(work)

    def render(self, work: Any) -> dict[str, Any]:
        self._work = work
        return super().render(work)

    def _hold(self, frame: int) -> None:
        if frame == self.frame:
            self.reached.set()
            wait_until(self._work.cancelled, "nobody stopped it")


# -- restarts --------------------------------------------------------------------------------------


def test_a_render_goes_on_after_a_restart(make_box: MakeBox, juice_of: JuiceOf) -> None:
    first = Holding(3)
    box = make_box(renderer=first)
    juice = juice_of(box)
    running, waiting = juice.validated(), juice.validated()
    idle = juice.created()
    for identifier in (running, waiting):
        assert juice.render(identifier, sampleCount=3).status_code == 200
    assert first.reached.wait(60)
    key, seconds = box.renderjuice.api_key, juice.job(running)["normalizedSeconds"]
    box.stop()
    second = CannedRenderer((1, 4))
    juice = juice_of(make_box(renderer=second))
    assert juice.box.renderjuice.api_key == key
    for identifier in (running, waiting):
        assert juice.until(identifier)["status"] == "completed"
        assert len(juice.downloads(identifier)["frames"]) == 4
    assert first.rendered == {running: [1, 2]}
    assert second.rendered == {running: [3, 4], waiting: [1, 2, 3, 4]}
    assert juice.job(running)["requestedConfig"]["sampleCount"] == 3
    assert juice.job(running)["normalizedSeconds"] >= seconds
    assert juice.job(idle)["status"] == "created"
    assert juice.box.journal()["paid_submits"] == 2


def test_a_validation_begins_anew_after_a_restart(make_box: MakeBox, juice_of: JuiceOf) -> None:
    first = Holding(0)
    box = make_box(renderer=first)
    juice = juice_of(box)
    identifier = juice.created()
    juice.post(f"/jobs/{identifier}/validate")
    assert first.reached.wait(60)
    box.stop()
    juice = juice_of(make_box())
    assert juice.until(identifier, "validated", "failed")["status"] == "validated"


def test_a_render_that_always_ends_the_sandbox_fails_at_last(
    make_box: MakeBox, juice_of: JuiceOf
) -> None:
    renderer = Holding(2)
    box = make_box(renderer=renderer)
    identifier = juice_of(box).rendering()
    for _ in range(4):
        if not renderer.reached.wait(60 if _ < 3 else 0.0):
            break
        box.stop()
        renderer = Holding(2)
        box = make_box(renderer=renderer)
    job = juice_of(box).until(identifier)
    assert job["status"] == "failed"
    assert "three times" in job["failedReason"]["name"]


# -- cancellation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("timing", ["now", "later"])
def test_a_running_render_ends_when_it_is_canceled(
    make_box: MakeBox, juice_of: JuiceOf, timing: str
) -> None:
    renderer = Holding(2)
    box = make_box(
        renderer=renderer, ways={"cancel_timing": timing, "cancel_seconds": 0.3}
    )  # fmt: skip
    juice = juice_of(box)
    identifier = juice.rendering()
    assert renderer.reached.wait(60)
    answer = juice.post(f"/jobs/{identifier}/cancel")
    assert answer.json()["status"] == ("canceled" if timing == "now" else "rendering")
    assert juice.until(identifier)["status"] == "canceled"
    assert juice.downloads(identifier)["frames"] == []
    output = box.state_dir / "renderjuice/jobs" / identifier / "output"
    wait_until(lambda: not output.exists(), "its frames are still there")
    wait_until(lambda: not box.renderjuice.busy, "it is still at work")
    assert renderer.rendered == {identifier: [1]}
    box.renderjuice.runner.wake()
    assert juice.job(juice.validated())["status"] == "validated", "and the next one is worked on"


def test_a_cancel_may_come_too_late(make_box: MakeBox, juice_of: JuiceOf, gate: Gate) -> None:
    juice = juice_of(
        make_box(renderer=CannedRenderer(gate=gate), ways={"cancel_timing": "never"})
    )  # fmt: skip
    identifier = juice.rendering()
    assert gate.reached.wait(60)
    assert juice.post(f"/jobs/{identifier}/cancel").status_code == 200
    gate.open.set()
    assert juice.until(identifier)["status"] == "completed"


def test_an_idle_job_can_be_canceled_later(make_box: MakeBox, juice_of: JuiceOf) -> None:
    juice = juice_of(make_box(ways={"cancel_timing": "later", "cancel_seconds": 0.2}))
    identifier = juice.validated()
    assert juice.post(f"/jobs/{identifier}/cancel").json()["status"] == "validated"
    assert juice.until(identifier)["status"] == "canceled"


# -- failure ---------------------------------------------------------------------------------------


def test_a_renderer_that_fails_fails_its_job_only(make_box: MakeBox, juice_of: JuiceOf) -> None:
    class Failing(CannedRenderer):
        def analyze(self, work: Any) -> dict[str, Any]:
            if work.blend.name == "damaged.blend":
                raise ProblemError(Category.INPUT, "The file is damaged.", "Save it again.")
            return super().analyze(work)

        def render(self, work: Any) -> dict[str, Any]:
            work.told({"frame": 7, "begun": True, "done": 0, "total": 2})
            if work.config.get("notes") == "crash":
                raise ProblemError(Category.BLENDER, "Blender stopped before it had finished.")
            raise ZeroDivisionError

    juice = juice_of(make_box(renderer=Failing()))
    identifier = juice.created(name="damaged.blend")
    juice.post(f"/jobs/{identifier}/validate")
    assert juice.until(identifier)["failedReason"] == {
        "name": "The file is damaged.", "type": "VALIDATION_ERROR",
    }  # fmt: skip
    crashed = juice.until(juice.rendering(notes="crash"))
    assert crashed["failedReason"] == {
        "name": "Blender stopped before it had finished. It was rendering frame 7.",
        "type": "RENDER_ERROR",
    }
    assert juice.downloads(crashed["id"])["frames"] == []
    broken = juice.until(juice.rendering())
    assert broken["failedReason"]["name"] == "Internal error: ZeroDivisionError"
    assert juice.validated()


def test_fates_of_the_fault_plan(make_box: MakeBox, juice_of: JuiceOf) -> None:
    renderer = CannedRenderer((1, 4))
    juice = juice_of(make_box(renderer=renderer))

    def fate(path: str, **job: Any) -> None:
        juice.box.set_faults({"rules": [{"method": "POST", "path": path, "job": job}]})

    fate("/jobs", fail="No camera", type="scene")
    identifier = juice.created()
    juice.post(f"/jobs/{identifier}/validate")
    assert juice.until(identifier)["failedReason"] == {"name": "No camera", "type": "scene"}
    fate("/jobs/*/render", fail="Out of memory", frame=3)
    identifier = juice.rendering()
    assert juice.until(identifier)["failedReason"]["name"] == "Out of memory"
    assert renderer.rendered[identifier] == [1, 2]
    fate("/jobs/*/validate", visit="debugging", seconds=0.3)
    identifier = juice.created()
    juice.post(f"/jobs/{identifier}/validate")
    juice.until(identifier, "debugging")
    assert juice.until(identifier, "validated", "failed")["status"] == "validated"
    fate("/jobs/*/render", visit="hibernating", seconds=0.3)
    assert juice.render(identifier).status_code == 200
    juice.until(identifier, "hibernating")
    assert juice.until(identifier)["status"] == "completed"
    fate("/jobs/*/render", lose=[2, 3], seconds_per_frame=60)
    job = juice.until(juice.rendering())
    assert [url.partition("?")[0][-8:] for url in juice.downloads(job["id"])["frames"]] == [
        "0001.png", "0004.png",
    ]  # fmt: skip
    assert job["normalizedSeconds"] >= 240
    fate("/jobs/*/render", purge=True)
    identifier = juice.rendering()
    wait_until(
        lambda: juice.job(identifier)["output"] == {"isDeletedForClient": True}, "still offered"
    )


def test_old_outputs_are_deleted_and_the_job_says_so(
    make_box: MakeBox, juice_of: JuiceOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderjuice_prune, "KEEP_JOBS", 1)
    box = make_box()
    juice = juice_of(box)
    made = [juice.completed() for _ in range(2)]
    assert all(juice.downloads(identifier)["frames"] for identifier in made), "not within the hour"
    monkeypatch.setattr(renderjuice_prune, "KEEP_SECONDS", 0.0)
    made.append(juice.completed())
    for identifier in made[:2]:
        wait_until(
            lambda which=identifier: juice.job(which)["output"]["isDeletedForClient"],  # type: ignore[misc]
            "still offered",
        )
        assert juice.downloads(identifier)["frames"] == []
        folder = box.state_dir / "renderjuice/jobs" / identifier
        wait_until(lambda gone=folder: not gone.exists(), "its files are there")  # type: ignore[misc]
    assert juice.downloads(made[2])["frames"]
    unused = juice.uploaded()
    monkeypatch.setattr(renderjuice_prune, "IDLE_SECONDS", 0.0)
    idle = juice.created()
    box.renderjuice._pruner.prune()
    assert juice.post("/jobs", {"slug": unused}).status_code == 404
    assert juice.job(idle)["status"] == "canceled"
    uploads = box.state_dir / "renderjuice/uploads"
    wait_until(lambda: not list(uploads.iterdir()), "uploads are there")


# -- events ----------------------------------------------------------------------------------------


class Ear:
    """A web server that hears events; answers with the next of ``answers``, then 204."""

    def __init__(self, *answers: int) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        ear, left = self, list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                ear.heard.append(({key.lower(): item for key, item in self.headers.items()}, body))
                self.send_response(left.pop(0) if left else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?to=me"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    monkeypatch.setattr(renderjuice_hook, "PAUSES", (0.05, 0.05))
    made = Ear(500, 302)
    yield made
    made.close()


def test_on_render_complete_is_told_with_a_signature(
    make_box: MakeBox, juice_of: JuiceOf, ear: Ear
) -> None:
    box = make_box(webhook=ear.url)
    juice = juice_of(box)
    secret = box.address()["renderjuice"]["webhook_secret"]
    identifier = juice.completed()
    wait_until(lambda: len(ear.heard) == 3, "it did not try three times")
    assert [item["status"] for item in box.renderjuice.hook.deliveries] == [500, 302, 204]
    for headers, body in ear.heard:
        stamp = headers["x-renderjuice-timestamp"]
        assert abs(time.time() - int(stamp)) < 120
        mac = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
        assert headers["x-renderjuice-signature"] == mac.hexdigest()
        assert headers["content-type"] == "application/json"
    event = json.loads(ear.heard[-1][1])
    job = juice.job(identifier)
    assert {key: event[key] for key in ("event", "status", "jobId", "workspaceId")} == {
        "event": "onRenderComplete", "status": "completed", "jobId": identifier,
        "workspaceId": job["workspaceId"],
    }  # fmt: skip
    assert event["completedAt"].endswith("Z")
    assert len(event["outputs"]["frames"]) == 3
    assert juice.fetch(event["outputs"]["frames"][0]).status_code == 200
    # Neither a failure nor a cancellation is told: such events are planned, not sent.
    box.set_faults({"rules": [{"method": "POST", "path": "/jobs/*/render", "job": {"fail": "x"}}]})
    assert juice.until(juice.rendering())["status"] == "failed"
    juice.post(f"/jobs/{juice.created()}/cancel")
    box.set_faults(None)
    last = juice.completed()
    wait_until(lambda: len(ear.heard) == 4, "the next event did not come")
    assert json.loads(ear.heard[3][1])["jobId"] == last
    secrets = {"credentials.json", "address.json"}
    holders = {
        path.name
        for path in box.state_dir.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    }
    assert holders <= secrets


@pytest.mark.parametrize("kind", ["base64", "prefixed", "wrong"])
def test_signatures_in_other_forms(
    make_box: MakeBox, juice_of: JuiceOf, ear: Ear, kind: str
) -> None:
    box = make_box(webhook=ear.url, ways={"hook_signature": kind, "hook_age": 600})
    juice_of(box).completed()
    wait_until(lambda: ear.heard, "no event came")
    headers, body = ear.heard[0]
    stamp = headers["x-renderjuice-timestamp"]
    assert time.time() - int(stamp) >= 590
    mac = hmac.new(
        box.renderjuice.hook.secret.encode(), stamp.encode() + b"." + body, hashlib.sha256
    )
    right = {
        "base64": base64.b64encode(mac.digest()).decode(),
        "prefixed": f"sha256={mac.hexdigest()}",
    }
    given = headers["x-renderjuice-signature"]
    assert (
        given == right[kind] if kind in right else given not in (mac.hexdigest(), *right.values())
    )


def test_the_address_of_events_is_remembered_and_can_be_set_from_outside(
    make_box: MakeBox, juice_of: JuiceOf, ear: Ear
) -> None:
    box = make_box()
    juice = juice_of(box)
    assert "webhook_secret" not in box.address()["renderjuice"]
    place = f"{box.origin}/_sandbox/renderjuice/webhook"
    refused = juice.session.put(place, json={"url": "https://example.com/hook"}, timeout=10)
    assert refused.status_code == 400 and "this computer only" in refused.json()["error"]
    secret = juice.session.put(place, json={"url": ear.url}, timeout=10).json()["secret"]
    box.stop()
    box = make_box()
    assert box.renderjuice.hook.url == ear.url
    assert box.address()["renderjuice"]["webhook_secret"] == secret
    identifier = juice_of(box).completed()
    wait_until(lambda: ear.heard, "no event came")
    assert json.loads(ear.heard[0][1])["jobId"] == identifier
    box.stop()
    assert make_box(webhook="").renderjuice.hook.url == ""
    for url in ("http://10.0.0.1/x", "ftp://127.0.0.1/x", "http://me@127.0.0.1/", "nothing"):
        with pytest.raises(ProblemError, match="this computer only"):
            renderjuice_hook.checked_url(url)


def test_the_command_line_and_jobs_start_all_services(home: Path, ear: Ear) -> None:
    env = environment(home, SCENE_COURIER_BLENDER=sys.executable)
    with subprocess.Popen(
        command("sandbox", "--json", "--renderjuice-webhook", ear.url),
        env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as served:  # fmt: skip
        assert served.stdout is not None
        try:
            address = json.loads(served.stdout.readline())
        finally:
            served.terminate()
    assert set(address) == {"rigyd", "renderjuice", "glossi"}
    assert address["renderjuice"]["base_url"].endswith("/renderjuice/api/external/v1")
    assert address["renderjuice"]["webhook_secret"].startswith("whsec_")
    said = run("sandbox", "--json", "--renderjuice-webhook", "https://example.com/", env=env)
    assert said.code == 2 and "this computer only" in said.json["problem"]["sentence"]


def test_the_sandbox_that_a_job_starts_serves_both(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCENE_COURIER_BLENDER", sys.executable)
    known = launch.ensure_sandbox(home)
    entry = known["renderjuice"]
    assert entry["api_key"].startswith("RJ-") and "rigyd" in known
    bearer = {"Authorization": f"Bearer {entry['api_key']}"}
    answer = requests.get(f"{entry['base_url']}/jobs", headers=bearer, timeout=30)
    assert answer.json()["jobs"] == []


# -- the Blender that fits -------------------------------------------------------------------------


def test_a_scene_is_rendered_by_the_blender_that_fits_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCENE_COURIER_BLENDER", raising=False)
    programs: dict[str, str] = {}
    for version in ("4, 2, 23", "5, 0, 1", "5, 2, 3"):
        path = tmp_path / version.replace(", ", "") / "python3"
        path.parent.mkdir()
        path.write_text(f'#!/bin/sh\necho \'@courier {{"version": [{version}], "usd": false}}\'\n')
        path.chmod(0o755)
        programs[version[:4].replace(", ", ".")] = str(path)
    folder = home / "sandbox"
    folder.mkdir()
    for executable in (*programs.values(), programs["4.2"]):
        launch._note_blender(folder, {"executable": executable})
    assert json.loads((folder / "blenders.json").read_text())[0] == programs["4.2"]
    monkeypatch.setattr("sys.executable", str(tmp_path / "no blender"))
    renderer = BlenderRenderer(known=folder / "blenders.json")
    heads = {
        "4.2": b"BLENDER-v402",
        "5.0": TINY_BLEND,
        "4.5": b"BLENDER-v405",
        "5.2": b"BLENDER17-01v0502",
    }
    fits = {"4.2": "4.2", "4.5": "5.0", "5.0": "5.0", "5.2": "5.2"}
    for saved, head in heads.items():
        blend = tmp_path / f"{saved}.blend"
        blend.write_bytes(head + bytes(64))
        assert renderer.program_for(blend).executable == programs[fits[saved]]
    monkeypatch.setenv("SCENE_COURIER_BLENDER", str(tmp_path / "missing"))
    with pytest.raises(ProblemError, match="not there"):
        BlenderRenderer(known=folder / "blenders.json").program_for(tmp_path / "4.2.blend")
    (tmp_path / "x.blend").write_bytes(b"PK\x03\x04")
    with pytest.raises(ProblemError, match="not a Blender file"):
        renderer.program_for(tmp_path / "x.blend")
