# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation leaves open can be done in every way that it may mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bridge.problems import ProblemError
from bridge.sandbox import FaultPlan, Sandbox
from bridge.sandbox.renderjuice_canned import CannedRenderer
from bridge.sandbox.renderjuice_ways import WAYS

from .conftest import MakeBox
from .juice import Juice

JuiceOf = Callable[[Sandbox], Juice]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("message", {"message": "Job not found", "statusCode": 404}),
        ("error", {"error": "Job not found"}),
        ("nested", {"error": {"message": "Job not found", "code": 404}}),
        ("detail", {"detail": "Job not found"}),
        ("list", {"errors": [{"message": "Job not found"}]}),
    ],
)
def test_errors(juice: Juice, shape: str, expected: Any) -> None:
    juice.box.set_faults({"ways": {"errors": shape}})
    answer = juice.get("/jobs/none")
    assert (answer.status_code, answer.json()) == (404, expected)


def test_errors_that_are_no_json(juice: Juice) -> None:
    kinds = {"text": "text/plain", "html": "text/html", "empty": None}
    for shape, kind in kinds.items():
        juice.box.set_faults({"ways": {"errors": shape}})
        answer = juice.get("/jobs/none")
        assert answer.status_code == 404
        assert answer.headers.get("Content-Type") == kind
        assert ("Job not found" in answer.text) == (shape != "empty")


@pytest.mark.parametrize("shape", ["bare", "data", "empty", "nothing"])
def test_answers_of_validate_and_cancel(make_box: MakeBox, juice_of: JuiceOf, shape: str) -> None:
    juice = juice_of(make_box(ways={"validate": shape, "cancel": shape}))
    identifier = juice.created()
    for action, status in (("validate", "validating"), ("cancel", "canceled")):
        answer = juice.post(f"/jobs/{identifier}/{action}")
        assert answer.status_code == 200
        if shape == "nothing":
            assert answer.content == b""
        elif shape == "empty":
            assert answer.json() == {}
        else:
            job = answer.json()["data"] if shape == "data" else answer.json()
            assert (job["id"], job["status"]) == (identifier, status)


@pytest.mark.parametrize("shape", WAYS["progress"])
def test_progress(make_box: MakeBox, juice_of: JuiceOf, shape: str) -> None:
    fate = {"method": "POST", "path": "/jobs", "job": {"stuck": "rendering", "at": "rendering"}}
    juice = juice_of(make_box(ways={"progress": shape}, faults={"rules": [fate]}))
    identifier = juice.validated()
    assert juice.get(f"/jobs/{identifier}/progress").json() == [], "idle is always []"
    juice.render(identifier)
    juice.until(identifier, "rendering")
    answer = juice.get(f"/jobs/{identifier}/progress").json()
    counters = {"jobId": identifier, "status": "rendering", "completed": 0, "total": 3}
    expected = {
        "array": [counters],
        "object": counters,
        "data": {"data": [counters]},
        "words": [{"task": identifier, "ready": 0, "ofAll": {"n": 3}}],
        "text": ["0 of 3 frames"],
    }
    assert answer == expected[shape]


def test_transforms(make_box: MakeBox, juice_of: JuiceOf) -> None:
    juice = juice_of(make_box(renderer=CannedRenderer(nodes=("Glow",))))
    identifier = juice.completed()
    kinds = {"output": dict, "array": list, "map": dict, "string": str, "null": type(None)}
    for shape in WAYS["video"]:
        juice.box.set_faults({"ways": {"video": shape, "zip_outputs": shape}})
        transforms = juice.downloads(identifier)["transforms"]
        assert isinstance(transforms["framesZip"], str)
        for key in ("video", "framesZipOutputs", "compositeNodesZipOutputs"):
            if shape == "absent":
                assert key not in transforms
                continue
            assert isinstance(transforms[key], kinds[shape])
            addresses = [word for word in _texts(transforms[key]) if word.startswith("http")]
            assert len(addresses) == (0 if shape == "null" else 1)
            for url in addresses:
                assert juice.fetch(url).status_code == 200


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def test_optional_fields_can_be_missing(make_box: MakeBox, juice_of: JuiceOf) -> None:
    missing = ["previewUrl", "normalizedSeconds", "userId", "frameOutputs", "view"]
    juice = juice_of(make_box(renderer=CannedRenderer(nodes=("Glow",)), ways={"omit": missing}))
    identifier = juice.completed()
    offered = juice.downloads(identifier)
    answers = [juice.job(identifier), offered, *juice.get("/jobs").json()["jobs"]]
    assert not any(f'"{name}"' in json.dumps(answers) for name in missing)
    assert len(offered["frames"]) == 3 and offered["compositeNodeOutputs"][0]["url"]


def test_other_ways(make_box: MakeBox, juice_of: JuiceOf) -> None:
    juice = juice_of(
        make_box(
            ways={"put_status": 204, "render_ended": "replay", "unknown_fields": "ignore",
                  "final": {"frameRanges": ["1"]}}
        )
    )  # fmt: skip
    target = juice.target()
    assert juice.put(target["uploadUrl"]).status_code == 204
    identifier = juice.post("/jobs", {"slug": target["slug"]}).json()["id"]
    juice.post(f"/jobs/{identifier}/validate")
    juice.until(identifier, "validated")
    assert juice.render(identifier, somethingNew=1).status_code == 200
    assert juice.until(identifier)["finalConfig"]["frameRanges"] == ["1"]
    again = juice.render(identifier)
    assert (again.status_code, again.headers["X-Idempotent-Replay"]) == (200, "true")
    assert juice.box.journal()["paid_submits"] == 1


def test_the_generic_faults_work_on_this_api_too(juice: Juice) -> None:
    identifier = juice.created()
    juice.box.set_faults(
        {
            "rules": [
                {"path": "/jobs/*", "nth": 1, "status": 429, "headers": {"Retry-After": "2"}},
                {"path": "/jobs/*", "nth": 2, "html": True, "status": 502},
                {"path": "/jobs/*", "nth": 3, "garbage": True},
                {"path": "/jobs/*", "nth": 4, "patch": {"status": "hibernating"},
                 "remove": ["workspaceId"]},
                {"method": "GET", "path": "/jobs", "patch": {"status": "asleep"}},
                {"method": "POST", "path": "/jobs/*/cancel", "wrap": "job"},
                {"service": "rigyd", "path": "/jobs/*", "status": 500},
            ]
        }
    )  # fmt: skip
    limited = juice.get(f"/jobs/{identifier}")
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "2")
    assert juice.get(f"/jobs/{identifier}").headers["Content-Type"] == "text/html"
    with pytest.raises(ValueError):
        juice.get(f"/jobs/{identifier}").json()
    patched = juice.job(identifier)
    assert patched["status"] == "hibernating" and "workspaceId" not in patched
    assert [job["status"] for job in juice.get("/jobs").json()["jobs"]] == ["asleep"]
    assert juice.job(identifier)["status"] == "created"
    assert juice.post(f"/jobs/{identifier}/cancel").json()["job"]["status"] == "canceled"


@pytest.mark.parametrize("plan", [{"errors": "loud"}, {"colour": "red"}, {"omit": "view"}])
def test_a_way_that_there_is_not_is_refused(make_box: MakeBox, plan: dict[str, Any]) -> None:
    with pytest.raises(ProblemError):
        FaultPlan.load({"ways": plan})
    with pytest.raises(ProblemError):
        make_box(ways=plan)


def test_every_way_is_described() -> None:
    from bridge.sandbox import renderjuice_ways

    text = renderjuice_ways.__doc__ or ""
    for name, values in WAYS.items():
        assert f" {name} " in text or f"``{name}``" in text
        for value in values:
            assert isinstance(value, (type, list, dict)) or str(value) in text
