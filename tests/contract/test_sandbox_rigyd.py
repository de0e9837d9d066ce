# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox answers as Rigyd's documentation says: shapes, errors, statuses, credits."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import requests

from bridge.sandbox import Sandbox
from bridge.sandbox.canned import CannedConverter, tiny_glb, tiny_png

from .conftest import Api, MakeBox

JOB_KEYS = {
    "id", "physiq_job_id", "status", "filename", "file_size_bytes", "stage", "progress", "error",
    "timing", "parameters", "report", "job_type", "credits_charged", "input", "preprocess",
    "output", "source_job", "simulations", "createdAt", "updatedAt",
}  # fmt: skip
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def _error(answer: requests.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/json")
    text = answer.json()["error"]
    assert isinstance(text, str)
    return text


# -- accepting and showing a job -------------------------------------------------------------------


def test_a_submit_is_answered_202_with_the_submission(api: Api) -> None:
    answer = api.submit("toolbox.glb")
    assert answer.status_code == 202
    data = answer.json()["data"]
    assert set(data) == {
        "id", "status", "filename", "progress", "job_type", "credits_charged", "createdAt",
    }  # fmt: skip
    assert re.fullmatch(r"[a-z0-9]{24}", data["id"])
    assert data["status"] == "queued"
    assert data["filename"] == "toolbox.glb"
    assert data["progress"] == 0
    assert data["job_type"] == "glb_to_simready"
    assert data["credits_charged"] == 1
    assert ISO.fullmatch(data["createdAt"])


def test_a_completed_job_has_every_documented_field(api: Api) -> None:
    answer = api.post(
        "/conversions",
        files={"file": ("tool box.glb", tiny_glb())},
        data={"optimize": "true", "target_triangle_count": "50000", "threshold": "0.05",
              "llm_provider": "some", "skip_validation": "true"},
        headers={"X-Rigyd-Client": "python-sdk"},
    )  # fmt: skip
    job = api.until(answer.json()["data"]["id"])
    assert set(job) == JOB_KEYS
    assert job["status"] == "completed"
    assert job["progress"] == 100
    assert job["error"] is None
    assert job["file_size_bytes"] == len(tiny_glb())
    assert job["physiq_job_id"].startswith("phy_")
    assert job["parameters"] == {
        "optimize": True, "target_triangle_count": 50000, "threshold": 0.05,
        "llm_provider": "some", "skip_validation": True, "client": "python-sdk",
    }  # fmt: skip
    assert set(job["timing"]) == {"queued_at", "started_at", "completed_at"}
    assert all(ISO.fullmatch(moment) for moment in job["timing"].values())
    assert job["preprocess"] == {
        "status": "skipped", "steps": None, "started_at": None, "completed_at": None,
        "error": None, "input_stats": None, "telemetry": None, "intermediate_glb": None,
    }  # fmt: skip
    assert job["input"]["model"]["name"] == "tool box.glb"
    assert job["input"]["images"] == []
    assert job["input"]["metadata"] is None
    assert set(job["output"]) == {
        "model", "textures", "mjcf_package", "sim_video", "sim_gif", "sim_log",
    }  # fmt: skip
    assert set(job["output"]["model"]) == {"url", "name", "size"}
    assert job["source_job"] is None
    assert job["simulations"] == []


def test_assets_are_served_without_a_key_and_with_the_stated_sizes(api: Api) -> None:
    job = api.until(api.accepted("chair.glb"))
    output = job["output"]
    for item in (output["model"], output["mjcf_package"]):
        answer = requests.get(item["url"], timeout=10)
        assert answer.status_code == 200
        assert len(answer.content) == item["size"]
    assert requests.get(job["input"]["model"]["url"], timeout=10).content == tiny_glb()
    texture = output["textures"][0]
    assert requests.get(texture["url"], timeout=10).content.startswith(b"\x89PNG")
    guessed = re.sub(r"/[0-9a-f]{32}/", f"/{'0' * 32}/", texture["url"])
    assert requests.get(guessed, timeout=10).status_code == 404


def test_the_walk_of_a_glb_rises_and_skips_preprocessing(make_box: MakeBox, client_of: Any) -> None:
    api = client_of(make_box(converter=CannedConverter(0.6)))
    identifier = api.accepted()
    seen: list[tuple[str, int]] = []
    while not seen or seen[-1][0] not in ("completed", "failed"):
        job = api.job(identifier)
        if not seen or seen[-1] != (job["status"], job["progress"]):
            seen.append((job["status"], job["progress"]))
    statuses = list(dict.fromkeys(status for status, _ in seen))
    assert statuses in (["queued", "running", "completed"], ["running", "completed"])
    progress = [value for _, value in seen]
    assert progress == sorted(progress)
    assert len(set(progress)) >= 4


def test_other_formats_are_preprocessed_first(make_box: MakeBox, client_of: Any) -> None:
    class Preparing(CannedConverter):
        def prepare(self, conversion: Any, progress: Any) -> dict[str, Any]:
            assert conversion.input.suffix == ".obj"
            progress(0.0, "import")
            progress(0.5, "export")
            target = conversion.workdir / "intermediate.glb"
            target.write_bytes(tiny_glb())
            steps = [{"name": "import", "seconds": 0.1}, {"name": "export", "seconds": 0.2}]
            return {"path": str(target), "stats": {"triangles": 1}, "steps": steps}

    api = client_of(make_box(converter=Preparing()))
    answer = api.submit("chair.obj", b"v 0 0 0\n")
    assert answer.json()["data"]["status"] == "preprocessing"
    job = api.until(answer.json()["data"]["id"])
    assert job["status"] == "completed", job["error"]
    prepared = job["preprocess"]
    assert prepared["status"] == "completed"
    assert prepared["input_stats"] == {"triangles": 1}
    assert [step["name"] for step in prepared["steps"]] == ["import", "export"]
    assert ISO.fullmatch(prepared["started_at"])
    assert ISO.fullmatch(prepared["completed_at"])
    assert requests.get(prepared["intermediate_glb"]["url"], timeout=10).content == tiny_glb()


def test_names_are_kept_as_given(api: Api) -> None:
    for name in ("стул 🪑.glb", 'a "quoted" name.glb', "percent %41.glb", "UPPER.GLB"):
        job = api.job(api.accepted(name))
        assert job["filename"] == name


# -- lists, prices, account ------------------------------------------------------------------------


def test_the_list_is_paged_newest_first(api: Api) -> None:
    assert api.get("/conversions").json() == {
        "data": [], "meta": {"page": 1, "pageSize": 25, "pageCount": 0, "total": 0},
    }  # fmt: skip
    made = [api.accepted(f"model{n}.glb") for n in range(5)]
    answer = api.get("/conversions", params={"page": 2, "pageSize": 2}).json()
    assert answer["meta"] == {"page": 2, "pageSize": 2, "pageCount": 3, "total": 5}
    assert [job["id"] for job in answer["data"]] == made[2:0:-1]
    assert set(answer["data"][0]) == JOB_KEYS
    assert api.get("/conversions?page=9").json()["data"] == []
    assert api.get("/conversions?page=x&pageSize=-1").json()["meta"]["page"] == 1


def test_prices_are_matched_before_ids(api: Api) -> None:
    assert api.get("/conversions/pricing").json() == {
        "data": {"glb_to_simready": 1, "text_to_simready": 2, "image_to_simready": 3,
                 "multiview_to_simready": 3, "simulate_usd": 0}
    }  # fmt: skip


def test_the_account(api: Api) -> None:
    data = api.get("/me").json()["data"]
    assert "@" in data["user"]["email"]
    assert data["subscription"]["plan"]["name"]
    assert isinstance(data["subscription"]["credits_remaining"], int)


# -- results ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "tops"),
    [("", {"usd", "mjcf"}), ("?format=all", {"usd", "mjcf"}), ("?format=usd", {"usd"}),
     ("?format=mjcf", {"mjcf"})],
)  # fmt: skip
def test_a_result_is_a_streamed_archive(api: Api, query: str, tops: set[str]) -> None:
    identifier = api.accepted("chair.glb")
    api.until(identifier)
    answer = api.get(f"/conversions/{identifier}/result{query}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/zip"
    assert "Content-Length" not in answer.headers
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert {name.split("/")[0] for name in archive.namelist()} == tops
        if "usd" in tops:
            assert "usd/chair/chair.usd" in archive.namelist()
            assert "usd/chair/.thumbs/256x256/chair.usd.png" in archive.namelist()
        if "mjcf" in tops:
            assert "mjcf/chair.xml" in archive.namelist()
    assert api.get(f"/conversions/{identifier}/result{query}").content == answer.content


def test_a_sized_result_can_be_resumed(make_box: MakeBox, client_of: Any) -> None:
    api = client_of(make_box(faults={"sized_results": True}))
    identifier = api.accepted()
    api.until(identifier)
    path = f"/conversions/{identifier}/result?format=usd"
    whole = api.get(path)
    size = len(whole.content)
    assert int(whole.headers["Content-Length"]) == size
    assert whole.headers["Accept-Ranges"] == "bytes"
    part = api.get(path, headers={"Range": "bytes=100-199", "If-Range": whole.headers["ETag"]})
    assert part.status_code == 206
    assert part.headers["Content-Range"] == f"bytes 100-199/{size}"
    assert part.content == whole.content[100:200]
    assert api.get(path, headers={"Range": "bytes=100-"}).content == whole.content[100:]
    assert api.get(path, headers={"Range": "bytes=-10"}).content == whole.content[-10:]
    changed = api.get(path, headers={"Range": "bytes=100-", "If-Range": '"another"'})
    assert changed.status_code == 200
    assert changed.content == whole.content
    past = api.get(path, headers={"Range": f"bytes={size}-"})
    assert past.status_code == 416
    assert past.headers["Content-Range"] == f"bytes */{size}"


def test_result_errors(make_box: MakeBox, client_of: Any) -> None:
    held = {"rules": [{"method": "POST", "path": "/conversions", "nth": 1,
                       "job": {"stuck": "running", "progress": 40}},
                      {"method": "POST", "path": "/conversions", "nth": 1,
                       "job": {"mjcf": False}}]}  # fmt: skip
    api = client_of(make_box(faults=held))
    stuck = api.accepted()
    answer = api.get(f"/conversions/{stuck}/result")
    assert answer.status_code == 409
    assert answer.json() == {"error": "Job not yet completed", "status": "running"}
    assert _error(api.get(f"/conversions/{stuck}/result?format=obj"), 400) == (
        "Invalid format. Expected one of: usd, mjcf, all"
    )
    assert _error(api.get("/conversions/nothing/result"), 404) == "Conversion job not found"
    assert _error(api.get("/conversions/nothing"), 404) == "Conversion job not found"


def test_a_job_without_mjcf(make_box: MakeBox, client_of: Any) -> None:
    plan = {"rules": [{"method": "POST", "path": "/conversions", "job": {"mjcf": False}}]}
    api = client_of(make_box(faults=plan))
    identifier = api.accepted()
    assert api.until(identifier)["output"]["mjcf_package"] is None
    assert _error(api.get(f"/conversions/{identifier}/result?format=mjcf"), 404) == (
        "MJCF package is not available for this conversion"
    )
    content = api.get(f"/conversions/{identifier}/result?format=all").content
    assert all(name.startswith("usd/") for name in zipfile.ZipFile(io.BytesIO(content)).namelist())


# -- refusals --------------------------------------------------------------------------------------


def test_keys(api: Api, box: Sandbox) -> None:
    for method, path in [("GET", "/me"), ("GET", "/conversions"), ("GET", "/conversions/pricing"),
                         ("GET", "/conversions/x"), ("GET", "/conversions/x/result"),
                         ("POST", "/conversions"), ("POST", "/conversions/generate"),
                         ("POST", "/conversions/x/simulate")]:  # fmt: skip
        bare = requests.request(method, box.rigyd.base_url + path, timeout=10)
        assert _error(bare, 401) == "Authentication required"
        for wrong in ("Bearer rgyd_live_nothing", "Bearer ключ".encode(), f"Bearer {'x' * 5000}"):
            answer = api.call(method, path, headers={"Authorization": wrong})
            assert _error(answer, 401) == "Invalid API key"
        basic = api.call(method, path, headers={"Authorization": "Basic eDp5"})
        assert _error(basic, 401) == "Authentication required"
    assert box.journal()["paid_submits"] == 0


@pytest.mark.parametrize(
    ("name", "data", "fields", "expected"),
    [
        ("scene.xyz", None, {}, "Unsupported format: .xyz. Allowed: glb, gltf, "),
        ("scene.blend", None, {}, "Unsupported format: .blend. Allowed: glb, gltf, "),
        ("scene", None, {}, "Unsupported format: scene. Allowed: glb, gltf, "),
        ("../x.glb", None, {}, "Invalid filename"),
        ("a/b.glb", None, {}, "Invalid filename"),
        ("...", None, {}, "Invalid filename"),
        ("a" * 252 + ".glb", None, {}, "Invalid filename"),
        ("a.glb", b"", {}, "The uploaded file is empty"),
        ("a.zip", b"not a zip", {}, "Archive cannot be read"),
        ("a.glb", None, {"target_triangle_count": "999"}, "target_triangle_count must be"),
        ("a.glb", None, {"target_triangle_count": "1000001"}, "target_triangle_count must be"),
        ("a.glb", None, {"target_triangle_count": "5e3"}, "target_triangle_count must be"),
        ("a.glb", None, {"threshold": "steep"}, "threshold must be a number"),
        ("a.glb", None, {"threshold": "nan"}, "threshold must be a number"),
        ("a.glb", None, {"skip_validation": "maybe"}, "skip_validation must be true or false"),
        ("a.glb", None, {"llm_provider": "x" * 70_000}, "Field too long: llm_provider"),
    ],
)
def test_bad_input_is_a_400_and_holds_no_credit(
    api: Api, box: Sandbox, name: str, data: bytes | None, fields: dict[str, str], expected: str
) -> None:
    before = api.credits()
    assert _error(api.submit(name, data, **fields), 400).startswith(expected)
    assert api.credits() == before
    assert box.journal()["paid_submits"] == 0
    assert list((box.state_dir / "rigyd" / "incoming").glob("*")) == []


def test_malformed_bodies(api: Api, box: Sandbox) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    for body in (
        b"",
        b"garbage",
        b"--b\r\n\r\n\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.glb"\r\n\r\nabc',
    ):
        text = _error(api.post("/conversions", data=body, headers=kind), 400)
        assert text.startswith("Malformed multipart body") or "required in the field" in text
    assert "required in the field" in _error(
        api.post("/conversions", data={"target_triangle_count": "2000"}), 400
    )
    two = [("file", ("a.glb", tiny_glb())), ("file", ("b.glb", tiny_glb()))]
    assert "Exactly one" in _error(api.post("/conversions", files=two), 400)
    other = {"model": ("a.glb", tiny_glb())}
    assert "Exactly one" in _error(api.post("/conversions", files=other), 400)
    plain = api.post("/conversions", data=b"x", headers={"Content-Type": "text/plain"})
    assert _error(plain, 400).startswith("Unsupported content type")
    assert box.journal()["paid_submits"] == 0


def test_over_the_limit_the_proxy_answers_in_html(make_box: MakeBox, client_of: Any) -> None:
    box = make_box(faults={"max_upload_bytes": 2000})
    api = client_of(box)
    answer = api.submit("big.glb", bytes(3000))
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "text/html"
    assert "413 Request Entity Too Large" in answer.text
    with pytest.raises(ValueError):
        answer.json()
    # The same when the size is only known while it streams.
    pieces = (bytes(500) for _ in range(10))
    streamed = api.post(
        "/conversions",
        data=pieces,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert streamed.status_code in (400, 413)
    assert box.journal()["paid_submits"] == 0
    assert api.submit("small.glb").status_code == 202


def test_the_limit_is_500_mib_by_default(api: Api) -> None:
    # The announced length decides; not a byte of the body has to travel.
    answer = api.post(
        "/conversions",
        data=b"",
        headers={"Content-Length": str(500 * 1024 * 1024 + 1), "Expect": "100-continue",
                 "Content-Type": "multipart/form-data; boundary=b"},
    )  # fmt: skip
    assert answer.status_code == 413


def test_unknown_paths_and_methods(api: Api) -> None:
    identifier = api.accepted()
    for method in ("DELETE", "PUT", "PATCH"):
        answer = api.call(method, f"/conversions/{identifier}")
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "GET"
        assert answer.json()["error"]["message"] == "Method Not Allowed"
    missing = api.get("/nothing")
    assert missing.status_code == 404
    assert missing.json()["error"]["message"] == "Not Found"
    assert api.post("/me").status_code == 405


def test_a_failed_job_tells_why_and_gives_the_credit_back_once(api: Api, box: Sandbox) -> None:
    before = api.credits()
    for name, data, words in [
        ("bad.glb", b"\0" * 100, "not a GLB"),
        ("short.glb", tiny_glb()[:-8], "incomplete"),
        ("old.glb", tiny_glb()[:4] + b"\x01" + tiny_glb()[5:], "version 1"),
        ("empty.glb", b"glTF\x02\0\0\0\x20\0\0\0\x0c\0\0\0JSON" + b'{"asset":{}}', "no mesh"),
        ("list.glb", b"glTF\x02\0\0\0\x18\0\0\0\x04\0\0\0JSON" + b"[1] ", "damaged"),
    ]:
        identifier = api.accepted(name, data)
        job = api.until(identifier)
        assert job["status"] == "failed"
        assert words in job["error"]
        assert job["output"]["model"] is None
        assert ISO.fullmatch(job["timing"]["completed_at"])
        answer = api.get(f"/conversions/{identifier}/result")
        assert answer.status_code == 409
        assert answer.json()["status"] == "failed"
    assert api.credits() == before
    assert box.journal()["paid_submits"] == 5


def test_credits_are_held_spent_and_run_out(make_box: MakeBox, client_of: Any) -> None:
    box = make_box(
        faults={"credits": 3, "prices": {"glb_to_simready": 2},
                "rules": [{"method": "POST", "path": "/conversions", "job": {"seconds": 0.3}}]}
    )  # fmt: skip
    api = client_of(box)
    assert api.get("/conversions/pricing").json()["data"]["glb_to_simready"] == 2
    identifier = api.accepted()
    assert api.credits() == 1
    assert api.job(identifier)["credits_charged"] == 2
    assert _error(api.submit(), 402) == "Insufficient credits"
    assert api.until(identifier)["status"] == "completed"
    assert api.credits() == 1
    assert api.get("/conversions").json()["meta"]["total"] == 1
    assert box.journal()["paid_submits"] == 1


# -- what a later stage does -----------------------------------------------------------------------

PNG = ("front.png", tiny_png())


@pytest.mark.parametrize(
    ("request_", "status", "expected"),
    [
        ({"json": {"prompt": "a chair"}}, 502, "Generation service unavailable: "),
        ({"data": {"prompt": "a chair"}}, 502, "Generation service unavailable: "),
        ({"files": {"prompt": (None, "a chair")}}, 502, "Generation service unavailable: "),
        ({"files": {"images": PNG}}, 502, "Generation service unavailable: "),
        ({"files": [("images[]", PNG)] * 4}, 502, "Generation service unavailable: "),
        ({"json": {}}, 422, "Provide a text prompt or at least one image"),
        ({"json": {"prompt": "  "}}, 422, "Provide a text prompt or at least one image"),
        ({"json": {"prompt": "x" * 501}}, 422, "Prompt must be 500 characters or less"),
        ({"files": {"images": PNG}, "data": {"prompt": "x"}}, 422,
         "Provide either a text prompt or image(s), not both"),
        ({"files": [("images", PNG)] * 5}, 422, "Maximum 4 images are supported"),
        ({"files": [("images", PNG)] * 2}, 422, "Provide 1 image, or 4"),
        ({"files": {"images": ("foo.tiff", b"x")}}, 422, "Unsupported image format: foo.tiff"),
        ({"files": {"images": ("front.jpg", bytes(10 * 1024 * 1024 + 1))}}, 413,
         "Image too large (max 10MB): front.jpg"),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400, "Invalid JSON"),
    ],
)  # fmt: skip
def test_generation_is_checked_and_then_not_done(
    api: Api, box: Sandbox, request_: dict[str, Any], status: int, expected: str
) -> None:
    before = api.credits()
    assert _error(api.post("/conversions/generate", **request_), status).startswith(expected)
    assert api.credits() == before
    assert box.journal()["paid_submits"] == 0


def test_the_name_of_the_image_field_can_be_fixed(
    make_box: MakeBox, client_of: Callable[[Sandbox], Api]
) -> None:
    api = client_of(make_box(faults={"image_field": "images[]"}))
    answer = api.post("/conversions/generate", files={"images": PNG})
    assert _error(answer, 422) == "Provide a text prompt or at least one image"
    assert api.post("/conversions/generate", files={"images[]": PNG}).status_code == 502


def test_simulation_is_checked_and_then_not_done(make_box: MakeBox, client_of: Any) -> None:
    stuck = {"rules": [{"method": "POST", "path": "/conversions", "times": 1,
                        "job": {"stuck": "queued"}}]}  # fmt: skip
    api = client_of(make_box(faults=stuck))
    waiting, ready = api.accepted(), api.accepted()
    api.until(ready)
    assert _error(api.post("/conversions/nothing/simulate", json={}), 404) == (
        "Conversion job not found"
    )
    answer = api.post(f"/conversions/{waiting}/simulate", json={})
    assert _error(answer, 409) == "Source job must be completed before simulation"
    for body in ({}, {"scene": "demo"}, {"scene": "drop"}):
        answer = api.post(f"/conversions/{ready}/simulate", json=body)
        assert _error(answer, 502).startswith("Simulation service unavailable: ")
    answer = api.post(f"/conversions/{ready}/simulate", json={"scene": "moon"})
    assert _error(answer, 422).startswith("Invalid scene")
