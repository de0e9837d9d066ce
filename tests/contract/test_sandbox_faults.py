# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault plan does what it says, and nothing else."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge.problems import Category, ProblemError
from bridge.sandbox import FaultPlan, Sandbox
from bridge.sandbox.canned import CannedConverter, tiny_glb

from .conftest import Api, MakeBox

SUBMIT = {"method": "POST", "path": "/conversions"}


def rules(*items: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"rules": list(items), **options}


def test_a_rule_takes_the_requests_that_it_names(api: Api, box: Sandbox) -> None:
    box.set_faults(
        rules(
            {"path": "/conversions/*", "method": "GET", "nth": [2, 4], "status": 503},
            {"path": "/conversions", "query": {"page": "7"}, "times": 1, "status": 500},
            {"path": "/m**", "nth": 1, "status": 418},
        )
    )
    identifier = api.accepted()
    answers = [api.get(f"/conversions/{identifier}").status_code for _ in range(5)]
    assert answers == [200, 503, 200, 503, 200]
    assert api.get(f"/conversions/{identifier}/result").status_code in (200, 409)
    assert [api.get(f"/conversions?page={n}").status_code for n in (6, 7, 7)] == [200, 500, 200]
    assert [api.get("/me").status_code for _ in range(2)] == [418, 200]
    assert sum(entry["fault"] for entry in box.journal()["requests"]) == 4


def test_answers_can_be_replaced(api: Api, box: Sandbox) -> None:
    def only(**action: Any) -> requests.Response:
        box.set_faults(rules({"path": "/me", **action}))
        return api.get("/me")

    limited = only(status=429, headers={"Retry-After": "2"}, error="slow down")
    assert limited.status_code == 429
    assert limited.headers["Retry-After"] == "2"
    assert limited.json() == {"error": "slow down"}
    shapes = {
        "nested": {"error": {"message": "no", "name": "ApplicationError"}},
        "data": {"data": {"error": "no"}},
        "message": {"message": "no"},
    }
    for shape, expected in shapes.items():
        assert only(status=500, error="no", shape=shape).json() == expected
    assert only(status=500, error="no", shape="text").text == "no"
    page = only(status=502, html=True)
    assert page.headers["Content-Type"] == "text/html"
    assert "502 Bad Gateway" in page.text
    assert only(body={"data": {"x": 1}}).json() == {"data": {"x": 1}}
    assert only(status=200, body="<x>", headers={"Content-Type": "text/xml"}).text == "<x>"
    garbage = only(garbage=True)
    assert garbage.status_code == 200
    with pytest.raises(ValueError):
        garbage.json()
    away = {"Location": "http://other.invalid/"}
    box.set_faults(rules({"path": "/me", "status": 307, "headers": away, "body": ""}))
    redirect = api.get("/me", allow_redirects=False)
    assert redirect.status_code == 307
    assert redirect.headers["Location"] == away["Location"]


def test_an_early_fault_creates_nothing_and_a_late_one_does(api: Api, box: Sandbox) -> None:
    for when, made in (("early", 0), ("received", 0), ("done", 1)):
        box.set_faults(rules({**SUBMIT, "when": when, "status": 502, "error": "x"}))
        assert api.submit().status_code == 502
        assert box.journal()["paid_submits"] == made
        if when != "early":
            assert box.journal()["requests"][-1]["body_complete"] is True


@pytest.mark.parametrize("reset", [False, True])
def test_a_lost_submit_answer(api: Api, box: Sandbox, reset: bool) -> None:
    box.set_faults(rules({**SUBMIT, "nth": 1, "lose_answer": True, "reset": reset}))
    with pytest.raises(requests.ConnectionError):
        api.submit("lost.glb")
    assert box.journal()["paid_submits"] == 1
    listed = api.get("/conversions").json()["data"]
    assert [job["filename"] for job in listed] == ["lost.glb"]
    assert api.until(listed[0]["id"])["status"] == "completed"
    assert api.submit().status_code == 202


def test_a_cut_before_anything_is_done(api: Api, box: Sandbox) -> None:
    for cut in (
        {"cut": "before_headers"},
        {"cut": "before_headers", "when": "received"},
        {"cut_upload": 50},
    ):
        box.set_faults(rules({**SUBMIT, **cut}))
        with pytest.raises(requests.ConnectionError):
            api.submit()
    entry = box.journal()["requests"][-1]
    assert entry["received"] == 50
    assert entry["body_complete"] is False
    assert entry["cut"] is True
    assert box.journal()["paid_submits"] == 0


def test_answers_can_be_cut(make_box: MakeBox, client_of: Callable[[Sandbox], Api]) -> None:
    box = make_box(converter=CannedConverter(padding=100_000))
    api = client_of(box)
    identifier = api.accepted()
    api.until(identifier)
    whole = len(api.get(f"/conversions/{identifier}/result").content)
    for path in ("/me", f"/conversions/{identifier}/result"):
        for cut in ("after_headers", 20):
            box.set_faults(rules({"path": path, "cut": cut}))
            with pytest.raises(requests.RequestException):
                api.get(path)
    for sized in (False, True):
        box.set_faults(rules({"path": "/conversions/*/result", "cut": 50_000}, sized_results=sized))
        answer = api.get(f"/conversions/{identifier}/result", stream=True)
        got = 0
        with pytest.raises(requests.RequestException):
            for piece in answer.iter_content(1000):
                got += len(piece)
        assert got <= 50_000 < whole
    box.set_faults(rules({"path": "/conversions/*/result", "truncate": 500}))
    assert len(api.get(f"/conversions/{identifier}/result").content) == 500
    box.set_faults(rules({"path": "/me", "truncate": 5}))
    assert api.get("/me").content == b'{"dat'


def test_answers_can_be_patched(api: Api, box: Sandbox) -> None:
    identifier = api.accepted()
    api.until(identifier)
    box.set_faults(
        rules(
            {"path": "/conversions/pricing", "wrap": "pricing"},
            {"path": "/conversions/*", "patch": {"status": "hibernating", "progress": None,
                                                 "file_size_bytes": 7, "mood": "good"},
             "remove": ["timing"]},
            {"path": "/conversions", "method": "GET", "remove": ["parameters"]},
        )
    )  # fmt: skip
    job = api.job(identifier)
    assert job["status"] == "hibernating"
    assert job["progress"] is None
    assert job["file_size_bytes"] == 7
    assert job["mood"] == "good"
    assert "timing" not in job
    assert "parameters" not in api.get("/conversions").json()["data"][0]
    prices = api.get("/conversions/pricing").json()["data"]
    assert prices == {"pricing": {**prices["pricing"], "glb_to_simready": 1}}


def test_jobs_can_fail_or_hang(api: Api, box: Sandbox) -> None:
    before = api.credits()
    box.set_faults(
        rules(
            {**SUBMIT, "nth": 1, "job": {"fail": "Mesh is not manifold", "at": 0.5}},
            {**SUBMIT, "nth": 1, "job": {"stuck": "running", "progress": 33}},
            {**SUBMIT, "nth": 1, "job": {"stuck": "hibernating"}},
        )
    )
    # Each rule counts the submits it saw; the first armed one acts, so one rule for each.
    failed = api.accepted()
    job = api.until(failed)
    assert (job["status"], job["error"], job["progress"]) == ("failed", "Mesh is not manifold", 50)
    assert api.credits() == before
    box.set_faults(rules({**SUBMIT, "job": {"stuck": "running", "progress": 33}}))
    stuck = api.accepted()
    box.set_faults(None)
    ready = api.accepted()
    assert api.until(ready)["status"] == "completed"
    job = api.job(stuck)
    assert (job["status"], job["progress"]) == ("running", 33)
    assert not box.rigyd.busy


def test_results_can_be_spoilt(api: Api, box: Sandbox, tmp_path: Path) -> None:
    identifier = api.accepted()
    api.until(identifier)
    honest = api.get(f"/conversions/{identifier}/result").content

    def spoilt(kind: str, **more: Any) -> bytes:
        box.set_faults(rules({"path": "/conversions/*/result", "zip": kind, **more}))
        return api.get(f"/conversions/{identifier}/result").content

    assert not zipfile.is_zipfile(io.BytesIO(spoilt("garbage")))
    with zipfile.ZipFile(io.BytesIO(spoilt("corrupt"))) as archive:
        bad = archive.namelist()[0]
        with pytest.raises(zipfile.BadZipFile):
            archive.read(bad)
    expected = {
        "traversal": "usd/../../../escaped.txt",
        "absolute": "/escaped.txt",
        "symlink": "usd/link",
    }
    for kind, name in expected.items():
        with zipfile.ZipFile(io.BytesIO(spoilt(kind))) as archive:
            assert name in archive.namelist()
    with zipfile.ZipFile(io.BytesIO(spoilt("empty"))) as archive:
        assert archive.namelist() == []
    with zipfile.ZipFile(io.BytesIO(spoilt("no_main"))) as archive:
        assert not any(name.endswith((".usd", ".xml")) for name in archive.namelist())
    big = spoilt("oversize", zip_bytes=32 << 20)
    assert len(big) < 1 << 20
    with zipfile.ZipFile(io.BytesIO(big)) as archive:
        assert archive.getinfo("usd/zeros.bin").file_size == 32 << 20
    box.set_faults(None)
    assert api.get(f"/conversions/{identifier}/result").content == honest


def test_delay_and_rates_slow_down(api: Api, box: Sandbox) -> None:
    box.set_faults(
        rules(
            {"path": "/me", "delay": 0.3},
            {**SUBMIT, "read_rate": 100_000},
            {"path": "/conversions/pricing", "send_rate": 500},
        )
    )

    def seconds(action: Callable[[], Any]) -> float:
        begin = time.monotonic()
        action()
        return time.monotonic() - begin

    # Lower bounds only: a slow computer cannot break these.
    assert seconds(lambda: api.get("/me").json()["data"]) >= 0.3
    assert seconds(lambda: api.submit(data=tiny_glb() + bytes(30_000))) >= 0.25
    assert seconds(lambda: api.get("/conversions/pricing").json()["data"]) >= 0.1


def test_the_plan_can_be_a_file_and_be_changed_over_http(
    make_box: MakeBox, client_of: Callable[[Sandbox], Api], tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(rules({"path": "/me", "status": 500})))
    box = make_box(faults=path)
    api = client_of(box)
    assert api.get("/me").status_code == 500
    put = api.session.put(f"{box.origin}/_sandbox/faults", json={"credits": 0}, timeout=10)
    assert put.status_code == 200
    assert api.get("/me").status_code == 200
    assert api.submit().json() == {"error": "Insufficient credits"}
    put = api.session.put(f"{box.origin}/_sandbox/faults", json={"x": 0}, timeout=10)
    assert put.status_code == 400
    assert requests.put(f"{box.origin}/_sandbox/faults", json={}, timeout=10).status_code == 401


@pytest.mark.parametrize(
    "plan",
    [
        {"unknown": 1},
        {"credits": "many"},
        {"rules": {}},
        {"rules": ["x"]},
        {"rules": [{"stauts": 500}]},
        {"rules": [{"zip": "soggy"}]},
        {"rules": [{"when": "never"}]},
        {"rules": [{"cut": "later"}]},
    ],
)
def test_a_wrong_plan_is_refused_with_the_reason(plan: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        FaultPlan.load(plan)
    assert caught.value.problem.category is Category.INPUT
    assert caught.value.problem.technical
    with pytest.raises(ProblemError):
        FaultPlan.load(tmp_path / "missing.json")


def test_the_example_of_the_documentation_is_a_plan() -> None:
    from bridge.sandbox import faults

    assert faults.__doc__ is not None
    text = faults.__doc__.split("\n\n")[2]
    plan = FaultPlan.load(json.loads(text))
    assert plan.credits == 3
    assert plan.take("POST", "/conversions", {}) is not None
