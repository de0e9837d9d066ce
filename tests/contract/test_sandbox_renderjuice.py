# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox answers as Renderjuice's documentation says: shapes, statuses, every refusal."""

from __future__ import annotations

import io
import re
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from bridge.sandbox import Sandbox
from bridge.sandbox.renderjuice_canned import TINY_BLEND, CannedRenderer

from .conftest import MakeBox
from .juice import DEFAULT, Juice, names

JuiceOf = Callable[[Sandbox], Juice]
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ACTIONS = ("validate", "render", "cancel")
STATUSES = (
    "created", "validating", "validated", "booting", "rendering", "finalizing", "completed",
    "failed", "canceled", "debugging", "suspended",
)  # fmt: skip


def refused(answer: requests.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.json()["statusCode"] == status
    return str(answer.json()["message"])


# -- who may ask -----------------------------------------------------------------------------------


def test_every_call_needs_the_key(juice: Juice) -> None:
    identifier = juice.created()
    calls = [
        ("POST", "/uploads"), ("POST", "/jobs"), ("GET", "/jobs"), ("GET", "/jobs/progress"),
        ("GET", f"/jobs/{identifier}"), ("GET", f"/jobs/{identifier}/progress"),
        ("GET", f"/jobs/{identifier}/downloads"),
        *(("POST", f"/jobs/{identifier}/{action}") for action in ACTIONS),
    ]  # fmt: skip
    for headers in ({}, {"Authorization": "Bearer RJ-wrong"}, {"Authorization": "Basic x"}):
        for method, path in calls:
            answer = juice.storage.request(method, juice.url + path, headers=headers, timeout=30)
            assert refused(answer, 401) == "Unauthorized"
    assert juice.box.renderjuice.api_key.startswith("RJ-")
    assert juice.job(identifier)["status"] == "created"


def test_unknown_paths_jobs_and_methods(juice: Juice) -> None:
    assert refused(juice.get("/nothing"), 404)
    for path in ("", "/progress", "/downloads"):
        assert refused(juice.get(f"/jobs/{uuid.uuid4()}{path}"), 404) == "Job not found"
    for action in ACTIONS:
        body = {"requestedRenderConfig": DEFAULT}
        assert refused(juice.post(f"/jobs/{uuid.uuid4()}/{action}", body), 404)
    assert refused(juice.call("DELETE", "/jobs"), 405)
    assert refused(juice.post("/jobs", data="{not json"), 400) == "Invalid JSON body"


# -- uploads and creation --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"fileName": "", "fileType": "blend"},
        {"fileName": 3, "fileType": "blend"},
        {"fileName": "scene.blend"},
        {"fileName": "scene.blend", "fileType": "zip"},
        {"fileName": "scene.zip", "fileType": "blend"},
        {"fileName": "scene.tar", "fileType": "tar"},
    ],
)
def test_an_upload_that_does_not_fit_is_refused(juice: Juice, body: dict[str, Any]) -> None:
    assert refused(juice.post("/uploads", body), 400)


def test_a_job_is_created_from_a_slug(juice: Juice) -> None:
    target = juice.target("Kaffee früh.blend")
    assert set(target) == {"uploadUrl", "slug", "expiresAt"}
    assert ISO.fullmatch(target["expiresAt"])
    assert juice.put(target["uploadUrl"]).status_code == 200
    job = juice.post("/jobs", {"slug": target["slug"]}).json()
    assert job["status"] == "created"
    for key in ("id", "workspaceId", "userId"):
        assert str(uuid.UUID(job[key])) == job[key]
    assert job["rootFolderId"] is None
    assert job["normalizedSeconds"] == 0
    assert job["isAnalysisSkipped"] is False
    assert job["output"] == {"isDeletedForClient": False}
    size = len(TINY_BLEND)
    assert job["sceneFile"] == {
        "fileName": "Kaffee früh.blend", "size": size, "fileType": "blend",
    }  # fmt: skip
    assert ISO.fullmatch(job["createdAt"]) and ISO.fullmatch(job["updatedAt"])
    assert not {"failedReason", "previewUrl", "analysis"} & set(job)
    assert juice.get(f"/jobs/{job['id']}").json() == {"data": job}


def test_what_cannot_become_a_job(juice: Juice, box: Sandbox) -> None:
    for body in ({}, {"slug": ""}, {"slug": 5}):
        assert refused(juice.post("/jobs", body), 400)
    assert refused(juice.post("/jobs", {"slug": "nobody-knows"}), 404)
    box.set_faults({"ways": {"slug_status": 400}})
    assert refused(juice.post("/jobs", {"slug": "nobody-knows"}), 400)
    empty = juice.target()["slug"]
    assert "not been uploaded" in refused(juice.post("/jobs", {"slug": empty}), 400)
    slug = juice.uploaded()
    assert juice.post("/jobs", {"slug": slug}).status_code == 200
    assert "already" in refused(juice.post("/jobs", {"slug": slug}), 400)
    box.set_faults({"ways": {"slug": "again"}})
    again = juice.post("/jobs", {"slug": slug})
    assert again.status_code == 200
    assert juice.get("/jobs").json()["pagination"]["total"] == 2


def test_one_upload_may_become_two_jobs_where_that_is_allowed(
    make_box: MakeBox, juice_of: JuiceOf
) -> None:
    juice = juice_of(make_box(ways={"slug": "again"}))
    slug = juice.uploaded()
    for _ in range(2):
        identifier = juice.post("/jobs", {"slug": slug}).json()["id"]
        juice.post(f"/jobs/{identifier}/validate")
        assert juice.until(identifier, "validated", "failed")["status"] == "validated"


# -- the whole walk --------------------------------------------------------------------------------


class Gate:
    """Holds a canned renderer before a frame (0: at validation) until it is let go."""

    def __init__(self, *frames: int) -> None:
        self.frames = frames
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self, frame: int) -> None:
        if frame in self.frames:
            self.reached.set()
            self.open.wait(60)


@pytest.fixture
def gate() -> Iterator[Gate]:
    held = Gate(2)
    yield held
    held.open.set()


def test_the_walk_of_a_render(make_box: MakeBox, juice_of: JuiceOf, gate: Gate) -> None:
    box = make_box(renderer=CannedRenderer((1, 3), nodes=("Glow",), gate=gate))
    juice = juice_of(box)
    identifier = juice.validated()
    before = juice.job(identifier)
    assert before["analysis"]["frameRanges"] == ["1-3"]
    assert str(uuid.UUID(before["analysisId"]))
    assert before["requestedConfig"] is None and before["finalConfig"] is None
    assert juice.get(f"/jobs/{identifier}/progress").json() == []
    assert juice.get("/jobs/progress").json() == []
    empty = {
        "frames": [], "compositeNodes": [], "transforms": {}, "frameOutputs": [],
        "compositeNodeOutputs": [],
    }  # fmt: skip
    assert juice.downloads(identifier) == empty
    answer = juice.render(identifier, sampleCount=7)
    assert answer.json()["id"] == identifier and "X-Idempotent-Replay" not in answer.headers
    assert answer.json()["requestedConfig"] == {**DEFAULT, "sampleCount": 7}
    assert gate.reached.wait(60)
    assert juice.job(identifier)["status"] == "rendering"
    counters = [
        {"jobId": identifier, "status": "rendering", "completed": 1, "total": 3},
    ]  # fmt: skip
    assert juice.get(f"/jobs/{identifier}/progress").json() == counters
    assert juice.get("/jobs/progress").json() == counters
    assert juice.downloads(identifier) == empty
    gate.open.set()
    job = juice.until(identifier)
    assert job["status"] == "completed"
    assert job["finalConfig"]["sampleCount"] == 7
    assert job["finalConfig"]["frameRanges"] == ["1-3"]
    assert job["finalConfig"]["renderEngine"] == "CYCLES"
    assert juice.get(f"/jobs/{identifier}/progress").json() == []
    preview = juice.fetch(job["previewUrl"])
    assert (
        preview.content.startswith(b"\xff\xd8") and preview.headers["Content-Type"] == "image/jpeg"
    )
    scene = box.state_dir / "renderjuice/jobs" / identifier / "scene"
    end = time.monotonic() + 60
    while scene.exists():  # tidied up a moment after the job has ended
        assert time.monotonic() < end, "the scene is still there"
        time.sleep(0.02)
    assert box.journal()["paid_submits"] == 1


def test_every_status_can_be_seen_on_the_way(make_box: MakeBox, juice_of: JuiceOf) -> None:
    box = make_box(faults={"rules": [{"method": "POST", "path": "/jobs", "job": {"seconds": 0.2}}]})
    juice = juice_of(box)
    seen: list[str] = []

    def follow(identifier: str, end: str) -> None:
        while not seen or seen[-1] != end:
            status = juice.job(identifier)["status"]
            if not seen or seen[-1] != status:
                seen.append(status)

    identifier = juice.created()
    juice.post(f"/jobs/{identifier}/validate")
    follow(identifier, "validated")
    juice.render(identifier)
    follow(identifier, "completed")
    walk = [
        "validating", "validated", "booting", "rendering", "finalizing", "completed",
    ]  # fmt: skip
    assert [status for status in walk if status in seen] == seen, "in this order, no other"
    assert len(seen) >= 4


def test_what_a_completed_job_offers(make_box: MakeBox, juice_of: JuiceOf) -> None:
    juice = juice_of(make_box(renderer=CannedRenderer((1, 3), nodes=("Glow", "Depth pass"))))
    identifier = juice.completed(frameRanges=["1-2", "3"])
    offered = juice.downloads(identifier)
    assert names(offered["frameOutputs"]) == [f"frame_000{n}.png" for n in (1, 2, 3)]
    assert [item["url"] for item in offered["frameOutputs"]] == offered["frames"]
    assert [item["url"] for item in offered["compositeNodeOutputs"]] == offered["compositeNodes"]
    output = offered["compositeNodeOutputs"][1]
    assert set(output) == {
        "url", "fileName", "view", "legacy", "relativePath", "compositeNodeName",
    }  # fmt: skip
    assert {item["compositeNodeName"] for item in offered["compositeNodeOutputs"]} == {
        "Glow", "Depth pass",
    }  # fmt: skip
    for url in [*offered["frames"], *offered["compositeNodes"]]:
        assert juice.fetch(url).content.startswith(b"\x89PNG")
    transforms = offered["transforms"]
    with zipfile.ZipFile(io.BytesIO(juice.fetch(transforms["framesZip"]).content)) as archive:
        assert archive.namelist() == [f"frame_000{n}.png" for n in (1, 2, 3)]
        assert archive.testzip() is None
    with zipfile.ZipFile(
        io.BytesIO(juice.fetch(transforms["compositeNodesZip"]).content)
    ) as archive:
        assert "Depth pass/Image0001.png" in archive.namelist()
    assert transforms["framesZipOutputs"]["fileName"] == "frames.zip"
    (video,) = transforms["video"].values()
    assert juice.fetch(video).headers["Content-Type"] == "video/mp4"
    assert juice.job(identifier)["finalConfig"]["frameRanges"] == ["1-2", "3"], "verbatim"


def test_an_archive_is_unpacked_and_rendered(make_box: MakeBox, juice_of: JuiceOf) -> None:
    class Looking(CannedRenderer):
        def analyze(self, work: Any) -> dict[str, Any]:
            assert work.blend.name == "shot.blend"
            beside = sorted(path.name for path in work.blend.parent.rglob("*") if path.is_file())
            return {**super().analyze(work), "scenes": beside}

    juice = juice_of(make_box(renderer=Looking()))
    data = archive({"shot.blend": TINY_BLEND, "lib/chair.blend": TINY_BLEND, "tex/ü.png": b"x"})
    identifier = juice.completed(data, "shot.zip")
    job = juice.job(identifier)
    assert job["analysis"]["scenes"] == ["chair.blend", "shot.blend", "ü.png"]
    assert job["sceneFile"]["fileType"] == "zip"


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, data in members.items():
            target.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (archive({"a/shot.blend": TINY_BLEND}), "no .blend at the top"),
        (archive({"a.blend": TINY_BLEND, "b.blend": TINY_BLEND}), "more than one .blend"),
        (archive({"a.blend": TINY_BLEND, "../b.png": b"x"}), "unsafe path"),
        (archive({"a.blend": TINY_BLEND, "/b.png": b"x"}), "unsafe path"),
        (b"this is not an archive", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_an_archive_that_does_not_fit_fails_with_the_reason(
    juice: Juice, data: bytes, words: str
) -> None:
    identifier = juice.created(data, "shot.zip")
    assert juice.post(f"/jobs/{identifier}/validate").status_code == 200
    job = juice.until(identifier)
    assert job["status"] == "failed"
    assert words in job["failedReason"]["name"]
    assert job["failedReason"]["type"] == "VALIDATION_ERROR"


# -- what is allowed when --------------------------------------------------------------------------


def at(juice: Juice, status: str) -> str:
    """A job that stays in a status."""
    box = juice.box
    fate = {"stuck": status, "at": status}
    if status in ("debugging", "suspended"):
        fate["at"] = "rendering"
    rule = {"method": "POST", "path": "/jobs", "times": 1, "job": fate}
    if status in ("failed",):
        rule["job"] = {"fail": "Out of memory", "at": "rendering"}
    if status not in ("created", "validated", "completed", "canceled"):
        box.set_faults({"rules": [rule]})
    if status == "completed":
        return juice.completed()
    identifier = juice.created() if status in ("created", "canceled") else ""
    if status == "canceled":
        juice.post(f"/jobs/{identifier}/cancel")
    if not identifier:
        identifier = juice.created()
        juice.post(f"/jobs/{identifier}/validate")
        if status != "validating":
            juice.until(identifier, "validated")
    if status not in ("created", "validating", "validated", "canceled"):
        assert juice.render(identifier).status_code == 200
    assert juice.until(identifier, status)["status"] == status
    return identifier


def at_rest(juice: Juice, identifier: str) -> dict[str, Any]:
    """The job once the farm's own work no longer changes it: the same for a second."""
    end, job, since = time.monotonic() + 60, juice.job(identifier), time.monotonic()
    while time.monotonic() - since < 1:
        assert time.monotonic() < end, "it does not come to rest"
        time.sleep(0.05)
        now = juice.job(identifier)
        if now["updatedAt"] != job["updatedAt"]:
            job, since = now, time.monotonic()
    return job


@pytest.mark.parametrize("status", STATUSES)
def test_what_each_status_allows(make_box: MakeBox, juice_of: JuiceOf, status: str) -> None:
    """Every documented action in every status; after each refusal the job is as it was."""
    juice = juice_of(make_box())
    identifier = at(juice, status)
    before = at_rest(juice, identifier)

    def same() -> bool:
        after = juice.job(identifier)
        keep = ("status", "requestedConfig", "updatedAt")
        return all(after[key] == before[key] for key in keep)

    if status != "created":
        assert status in refused(juice.post(f"/jobs/{identifier}/validate"), 400)
        assert same()
    assert refused(juice.post(f"/jobs/{identifier}/render", {}), 400)
    assert refused(juice.post(f"/jobs/{identifier}/render", {"requestedRenderConfig": {}}), 400)
    assert refused(
        juice.post(f"/jobs/{identifier}/render", {"requestedRenderConfig": {"sampleCount": 1}}), 400
    )
    assert same()
    if status in ("booting", "rendering", "finalizing", "debugging", "suspended"):
        again = juice.render(identifier, sampleCount=99)
        assert again.status_code == 200
        assert again.headers["X-Idempotent-Replay"] == "true"
        assert again.json()["status"] == status
        assert same()
        assert juice.box.journal()["paid_submits"] == 1
    elif status != "validated":
        assert status in refused(juice.render(identifier), 400)
        assert same()
    assert isinstance(juice.get(f"/jobs/{identifier}/progress").json(), list)
    assert (juice.downloads(identifier)["frames"] != []) == (status == "completed")
    cancel = juice.post(f"/jobs/{identifier}/cancel")
    if status in ("completed", "failed", "canceled"):
        assert status in refused(cancel, 400)
        assert same()
    else:
        assert cancel.status_code == 200
        assert juice.until(identifier)["status"] == "canceled"
        for action in ACTIONS:
            body = {"requestedRenderConfig": DEFAULT}
            assert refused(juice.post(f"/jobs/{identifier}/{action}", body), 400)
    if status == "failed":
        assert before["failedReason"] == {"name": "Out of memory", "type": "SANDBOX_FAULT"}


@pytest.mark.parametrize(
    "field",
    [
        {"colorManagementPreset": "filmic"},
        {"frameRanges": "1-3"},
        {"frameRanges": []},
        {"frameRanges": [1]},
        {"frameRanges": ["1-3,5"]},
        {"frameRanges": ["3-1"]},
        {"frameRanges": ["1-900000"]},
        {"renderEngine": "POVRAY"},
        {"sampleCount": 0},
        {"sampleCount": 1.5},
        {"sampleCount": True},
        {"gpuCount": "2"},
        {"resolution": [1920]},
        {"resolution": [1920, 0]},
        {"resolutionPercentage": 32768},
        {"fps": 0},
        {"fps": "24"},
        {"denoisingEnabled": 1},
        {"denoiserType": "NLM"},
        {"outputFormat": "FFMPEG"},
        {"tileSize": -1},
        {"minimumRam": 0},
        {"notes": 5},
        {"outputSettings": []},
        {"outputSettings": {"colorDepth": 8}},
        {"outputSettings": {"colorMode": "CMYK"}},
        {"outputSettings": {"exrCodec": "LZW"}},
        {"outputSettings": {"compression": 101}},
        {"outputSettings": {"speed": 1}},
        {"samples": 4},
    ],
)
def test_a_config_that_does_not_fit_is_refused(juice: Juice, field: dict[str, Any]) -> None:
    identifier = juice.validated()
    message = refused(juice.render(identifier, **field), 400)
    assert next(iter(field)) in message
    assert juice.job(identifier)["status"] == "validated"
    assert juice.box.journal()["paid_submits"] == 0


def test_a_full_config_is_taken_and_kept(juice: Juice) -> None:
    config = {
        "frameRanges": ["2", "-3--1"], "notes": "ä", "renderEngine": "CYCLES",
        "compositorDevice": "GPU", "computeDeviceType": "OPTIX", "gpuCount": 2, "sampleCount": 4,
        "denoisingEnabled": True, "denoiserType": "OPENIMAGEDENOISE", "resolution": [64, 36],
        "resolutionPercentage": 50, "outputFormat": "OPEN_EXR", "fps": 23.976, "useTiling": True,
        "tileSize": 256, "minimumRam": 16.5,
        "outputSettings": {"colorMode": "RGB", "colorDepth": "16", "exrCodec": "DWAA",
                           "tiffCodec": "LZW", "compression": 15, "quality": 90.0},
    }  # fmt: skip
    identifier = juice.completed(**config)
    job = juice.job(identifier)
    assert job["requestedConfig"] == {**DEFAULT, **config}
    frames = names(juice.downloads(identifier)["frameOutputs"])
    assert len(frames) == 4 and "frame_0002.png" in frames


# -- lists -----------------------------------------------------------------------------------------


def test_the_list(juice: Juice, box: Sandbox) -> None:
    made = [juice.created() for _ in range(12)]
    first = juice.get("/jobs").json()
    assert set(first) == {"jobs", "pagination"}
    assert first["pagination"] == {"page": 1, "pageSize": 10, "total": 12, "totalPages": 2}
    assert [job["id"] for job in first["jobs"]] == made[:1:-1], "newest first"
    assert first["jobs"][0] == juice.job(made[-1])
    second = juice.get("/jobs?page=2&pageSize=5").json()
    assert [job["id"] for job in second["jobs"]] == made[6:1:-1]
    assert juice.get("/jobs?page=99").json()["jobs"] == []
    assert juice.get("/jobs?pageSize=5000").json()["pagination"]["pageSize"] == 100
    juice.post(f"/jobs/{made[3]}/cancel")
    only = juice.get("/jobs?status=canceled").json()
    assert [job["id"] for job in only["jobs"]] == [made[3]]
    assert only["pagination"]["total"] == 1
    for query in ("page=0", "page=x", "pageSize=-1", "status=asleep"):
        assert refused(juice.get(f"/jobs?{query}"), 400)
    box.set_faults({"ways": {"order": "oldest"}})
    assert [job["id"] for job in juice.get("/jobs?pageSize=2").json()["jobs"]] == made[:2]


def test_several_renders_wait_their_turn_and_too_many_are_told_to(
    make_box: MakeBox, juice_of: JuiceOf, gate: Gate
) -> None:
    box = make_box(renderer=CannedRenderer((1, 2), gate=gate), queue=2)
    juice = juice_of(box)
    made = [juice.validated() for _ in range(4)]
    assert juice.render(made[2]).status_code == 200
    assert gate.reached.wait(60)
    assert juice.render(made[0]).status_code == 200
    assert juice.render(made[1]).status_code == 200
    full = juice.render(made[3])
    assert refused(full, 429)
    assert int(full.headers["Retry-After"]) > 0
    states = [juice.job(identifier)["status"] for identifier in made]
    assert states == ["booting", "booting", "rendering", "validated"]
    assert {item["jobId"] for item in juice.get("/jobs/progress").json()} == set(made[:3])
    assert box.journal()["paid_submits"] == 3
    # One that waits can be canceled, and is never rendered.
    assert juice.post(f"/jobs/{made[0]}/cancel").status_code == 200
    assert juice.render(made[3]).status_code == 200
    gate.open.set()
    ends = [juice.until(identifier)["status"] for identifier in made]
    assert ends == ["canceled", "completed", "completed", "completed"]


def test_normalized_seconds_rise_while_a_frame_is_rendered(
    make_box: MakeBox, juice_of: JuiceOf
) -> None:
    juice = juice_of(make_box(renderer=CannedRenderer((1, 1), seconds=1.2)))
    identifier = juice.rendering()
    seen: list[float] = []
    end = time.monotonic() + 60
    while juice.job(identifier)["status"] != "completed":
        value = float(juice.job(identifier)["normalizedSeconds"])
        if not seen or value != seen[-1]:
            seen.append(value)
        assert time.monotonic() < end
    assert seen == sorted(seen)
    assert len(seen) >= 3
    assert juice.job(identifier)["normalizedSeconds"] >= 1.2
