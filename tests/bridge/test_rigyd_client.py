# SPDX-License-Identifier: GPL-3.0-or-later
"""The Rigyd client against the sandbox: the contract, its errors, a lost job found again."""

from __future__ import annotations

import json
import os
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.faults import HttpError
from bridge.http import Http
from bridge.outcomes import Lost, Refused, Unsent
from bridge.problems import Category
from bridge.sandbox import Sandbox
from bridge.sandbox.canned import CannedConverter, tiny_glb
from bridge.services.rigyd.client import RigydClient, connection, find_submitted, upload_name
from bridge.services.rigyd.options import OPTIONS, submit_fields
from bridge.settings import Settings

FAST = Settings(connect_seconds=5, read_seconds=10, answer_seconds=10, retries=0)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "box", converter=CannedConverter()) as sandbox:
        yield sandbox


@pytest.fixture
def client(box: Sandbox) -> Iterator[RigydClient]:
    with connection(box.rigyd.base_url, box.rigyd.api_key, settings=FAST) as http:
        yield RigydClient(http)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.glb"
    path.write_bytes(tiny_glb())
    return path


def submit(client: RigydClient, path: Path, tag: str = "", **options: Any) -> dict[str, Any]:
    name = upload_name("Küchen-Stuhl 🪑", tag or uuid.uuid4().hex, path.suffix)
    return client.submit_file(path, name, options)


def finished(client: RigydClient, remote_id: str) -> dict[str, Any]:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        job = client.job(remote_id)
        if job["status"] in ("completed", "failed"):
            return job
        time.sleep(0.05)
    raise AssertionError("the job did not end")


# --- the good way --------------------------------------------------------------------------------


def test_the_round_trip(box: Sandbox, client: RigydClient, model: Path, tmp_path: Path) -> None:
    assert client.pricing()["glb_to_simready"] == 1
    me = client.me()
    assert me["available"] and me["credits_remaining"] > 0 and me["email"]
    tag = uuid.uuid4().hex
    submission = submit(client, model, tag, target_triangle_count=5000, threshold=0.05)
    assert submission["status"] == "queued" and submission["credits_charged"] == 1
    job = finished(client, submission["id"])
    assert job["status"] == "completed" and job["progress"] == 100
    assert job["filename"] == f"Kuchen_Stuhl-{tag}.glb"
    assert job["parameters"] == {
        "target_triangle_count": 5000,
        "optimize": True,
        "threshold": 0.05,
        "client": "scene-courier",
    }
    assert job["file_size_bytes"] == model.stat().st_size
    for wanted in ("usd", "mjcf", "all"):
        got = client.result(job["id"], wanted, tmp_path / f"{wanted}.zip")
        assert got.format == wanted and got.bytes == got.path.stat().st_size
        kinds = {name.split("/")[0] for name in zipfile.ZipFile(got.path).namelist()}
        assert kinds == ({"usd", "mjcf"} if wanted == "all" else {wanted})
    seen = box.journal()["requests"]
    assert {entry["client"] for entry in seen} == {"scene-courier"}
    assert all(entry["authorization"] for entry in seen)
    assert box.journal()["paid_submits"] == 1


def test_what_is_sent_for_options() -> None:
    defaults = {option.name: option.default for option in OPTIONS}
    assert submit_fields(defaults) == {}
    everything = submit_fields(
        {
            "format": "usd",
            "target_triangle_count": 1000,
            "threshold": 0.1,
            "llm_provider": "x",
            "skip_validation": True,
            "draco": True,
            "animation": True,
        }
    )
    assert everything == {
        "target_triangle_count": "1000",
        "optimize": "true",
        "threshold": "0.1",
        "llm_provider": "x",
        "skip_validation": "true",
    }


def test_upload_names_are_plain_and_hold_the_tag() -> None:
    tag = uuid.uuid4().hex
    assert upload_name("Stuhl №5 🪑/..\\x", tag, ".GLB").endswith(f"-{tag}.glb")
    assert upload_name("🪑", tag).isascii()
    name = upload_name("x" * 500, f"{tag}-2")
    assert len(name) < 128 and name.endswith(f"-{tag}-2.glb")


def test_the_price_list_in_its_other_shape(box: Sandbox, client: RigydClient) -> None:
    box.set_faults({"rules": [{"path": "/conversions/pricing", "wrap": "pricing"}]})
    assert client.pricing()["text_to_simready"] == 2


@pytest.mark.parametrize("status", [401, 403])
def test_me_may_refuse_a_good_key(box: Sandbox, client: RigydClient, status: int) -> None:
    box.set_faults({"rules": [{"path": "/me", "status": status, "error": "jwt only"}]})
    assert client.me() == {
        "available": False,
        "credits_remaining": None,
        "plan": None,
        "email": None,
    }


def test_null_progress_is_zero(box: Sandbox, client: RigydClient, model: Path) -> None:
    job_id = submit(client, model)["id"]
    for odd in (None, -3, 900, "half"):
        box.set_faults({"rules": [{"path": "/conversions/*", "patch": {"progress": odd}}]})
        assert client.job(job_id)["progress"] == 0


def test_an_unknown_status_is_handed_on(box: Sandbox, client: RigydClient, model: Path) -> None:
    job_id = submit(client, model)["id"]
    box.set_faults({"rules": [{"path": "/conversions/*", "patch": {"status": "hibernating"}}]})
    assert client.job(job_id)["status"] == "hibernating"


@pytest.mark.parametrize("wanted", ["mjcf", "all"])
def test_a_job_without_mjcf_gives_its_usd(
    box: Sandbox, client: RigydClient, model: Path, tmp_path: Path, wanted: str
) -> None:
    box.set_faults(
        {
            "rules": [
                {
                    "path": "/conversions/*/result",
                    "query": {"format": wanted},
                    "status": 404,
                    "error": "MJCF package is not available for this conversion",
                }
            ]
        }
    )
    job_id = submit(client, model)["id"]
    finished(client, job_id)
    got = client.result(job_id, wanted, tmp_path / "r.zip")
    assert got.format == "usd" and zipfile.is_zipfile(got.path)


def test_a_result_that_is_no_zip(
    box: Sandbox, client: RigydClient, model: Path, tmp_path: Path
) -> None:
    job_id = submit(client, model)["id"]
    finished(client, job_id)
    box.set_faults({"rules": [{"path": "/conversions/*/result", "zip": "garbage"}]})
    with pytest.raises(HttpError) as caught:
        client.result(job_id, "usd", tmp_path / "r.zip")
    assert caught.value.problem.sentence == "Rigyd gave an answer that cannot be read."
    assert not (tmp_path / "r.zip").exists()


def test_an_id_cannot_change_the_path(box: Sandbox, client: RigydClient) -> None:
    with pytest.raises(HttpError) as caught:
        client.job("../me?x=1")
    assert caught.value.status == 404
    assert box.journal()["requests"][-1]["path"] not in ("/rigyd/api/me", "/me")


# --- the table of errors -------------------------------------------------------------------------

ERRORS: list[tuple[int, str, Category, str, str]] = [
    # status, Rigyd's text, category, sentence, a part of the hint
    (
        400,
        "Unsupported format: .xyz. Allowed: glb, gltf",
        Category.INPUT,
        "Rigyd does not take this kind of file.",
        "Send a .glb",
    ),
    (
        400,
        "Archive must contain exactly one .obj/.gltf/.usd file",
        Category.INPUT,
        "The .zip must hold exactly one model.",
        "Keep one .obj, .gltf or .usd",
    ),
    (
        400,
        "Invalid filename",
        Category.INPUT,
        "Rigyd does not take the name of this file.",
        "Rename it",
    ),
    (
        400,
        "Invalid format. Expected one of: usd, mjcf, all",
        Category.INPUT,
        "Rigyd does not know this result format.",
        "usd, mjcf or all",
    ),
    (400, "Something new", Category.INPUT, "Rigyd refused the request.", "Something new"),
    (
        401,
        "Authentication required",
        Category.CREDENTIALS,
        "Rigyd asks for a key.",
        "app.rigyd.com",
    ),
    (
        401,
        "Invalid API key",
        Category.CREDENTIALS,
        "Rigyd does not accept the key.",
        "revoked or expired",
    ),
    (
        402,
        "Insufficient credits",
        Category.CREDITS,
        "There are too few credits in the Rigyd account.",
        "Nothing was charged",
    ),
    (
        404,
        "Conversion job not found",
        Category.SERVICE,
        "Rigyd does not know this job.",
        "another account",
    ),
    (
        404,
        "MJCF package is not available for this conversion",
        Category.SERVICE,
        "Rigyd made no MuJoCo package for this asset.",
        "format usd",
    ),
    (
        409,
        "Job not yet completed",
        Category.SERVICE,
        "Rigyd has not finished this job yet.",
        "again by itself",
    ),
    (
        409,
        "Source job must be completed before simulation",
        Category.SERVICE,
        "The asset must be converted before it can be simulated.",
        "Wait until",
    ),
    (
        413,
        "Image too large (max 10MB): front.jpg",
        Category.LIMIT,
        "“front.jpg” is too large for Rigyd.",
        "10 MB",
    ),
    (
        422,
        "Provide either a text prompt or image(s), not both",
        Category.INPUT,
        "Rigyd takes a text or images, not both at once.",
        "Leave one",
    ),
    (
        422,
        "Provide a text prompt or at least one image",
        Category.INPUT,
        "Rigyd got neither a text nor an image.",
        "one image or four",
    ),
    (
        422,
        "Prompt must be 500 characters or less",
        Category.INPUT,
        "The description is too long for Rigyd.",
        "500 characters",
    ),
    (
        422,
        "Maximum 4 images are supported",
        Category.INPUT,
        "These are more images than Rigyd takes.",
        "one image, or four",
    ),
    (
        422,
        "Unsupported image format: foo.tiff",
        Category.INPUT,
        "“foo.tiff” is not an image that Rigyd takes.",
        ".jpg, .png or .webp",
    ),
    (
        422,
        "Cannot simulate a simulation job",
        Category.INPUT,
        "A simulation cannot be simulated again.",
        "converted asset",
    ),
    (
        502,
        "Conversion service unavailable: upstream",
        Category.SERVICE,
        "Rigyd's conversion service is not available.",
        "again by itself",
    ),
    (429, "slow down", Category.SERVICE, "Rigyd is busy and asks to wait.", "again by itself"),
    (500, "oops", Category.SERVICE, "Rigyd has a fault of its own.", "Try again later"),
]


@pytest.mark.parametrize("shape", ["plain", "nested", "data", "message"])
@pytest.mark.parametrize(("status", "text", "category", "sentence", "hint"), ERRORS)
def test_every_error_has_its_words(
    box: Sandbox,
    client: RigydClient,
    status: int,
    text: str,
    category: Category,
    sentence: str,
    hint: str,
    shape: str,
) -> None:
    rule = {"path": "/conversions/pricing", "status": status, "error": text, "shape": shape}
    box.set_faults({"rules": [rule]})
    with pytest.raises(HttpError) as caught:
        client.pricing()
    problem = caught.value.problem
    assert (problem.category, problem.sentence) == (category, sentence)
    assert hint in problem.hint
    assert problem.technical == f"HTTP {status}; {text}"


def test_the_gateways_page_for_a_file_above_the_limit(
    box: Sandbox, client: RigydClient, tmp_path: Path
) -> None:
    path = tmp_path / "large.glb"
    path.write_bytes(os.urandom(6_000_000))
    box.set_faults({"max_upload_bytes": 100_000})
    with pytest.raises(Refused) as caught:
        submit(client, path)
    problem = caught.value.problem
    assert caught.value.status == 413 and problem.category is Category.LIMIT
    assert problem.sentence == "The file is larger than the 500 MB that Rigyd takes."
    assert "Draco" in problem.hint and "web page instead of JSON" in problem.technical
    assert box.journal()["paid_submits"] == 0


def test_a_wrong_key_is_refused_before_anything_is_paid(box: Sandbox, model: Path) -> None:
    for key, sentence in (
        ("rgyd_test_" + "w" * 43, "Rigyd does not accept the key."),
        (None, "Rigyd asks for a key."),
    ):
        with (
            connection(box.rigyd.base_url, key, settings=FAST) as http,
            pytest.raises(Refused) as caught,
        ):
            submit(RigydClient(http), model)
        assert caught.value.problem.sentence == sentence
        assert caught.value.problem.category is Category.CREDENTIALS
    assert box.journal()["paid_submits"] == 0


def test_no_credits(box: Sandbox, client: RigydClient, model: Path) -> None:
    box.set_faults({"credits": 0})
    with pytest.raises(Refused) as caught:
        submit(client, model)
    assert caught.value.problem.category is Category.CREDITS
    assert box.journal()["paid_submits"] == 0


@pytest.mark.parametrize("data", [[], None, "text", {"prices": "soon"}, {"glb_to_simready": -1}])
def test_answers_of_the_wrong_shape(box: Sandbox, client: RigydClient, data: Any) -> None:
    box.set_faults({"rules": [{"status": 200, "body": {"data": data}}]})
    calls = (client.pricing, lambda: client.job("x"))
    for call in calls if data == [] else (*calls, client.jobs):
        with pytest.raises(HttpError) as caught:
            call()
        assert caught.value.problem.sentence == "Rigyd gave an answer that cannot be read."


# --- in doubt ------------------------------------------------------------------------------------


def test_a_lost_answer_is_found_by_its_tag(box: Sandbox, client: RigydClient, model: Path) -> None:
    tag, since = uuid.uuid4().hex, time.time()
    submit(client, model)  # another job of ours
    box.set_faults({"rules": [{"method": "POST", "path": "/conversions", "lose_answer": True}]})
    with pytest.raises(Lost):
        submit(client, model, tag)
    box.set_faults(None)
    submit(client, model)
    found = find_submitted(client, upload_name("Küchen-Stuhl 🪑", tag), since)
    assert found is not None and found["filename"] == f"Kuchen_Stuhl-{tag}.glb"
    assert found["credits_charged"] == 1
    assert finished(client, found["id"])["status"] == "completed"
    # A job that was renamed meanwhile is still this attempt; the next attempt is another one.
    assert find_submitted(client, upload_name("Other", tag), since) == find_submitted(
        client, upload_name("Küchen-Stuhl 🪑", tag), since
    )
    assert find_submitted(client, upload_name("Küchen-Stuhl 🪑", f"{tag}-2"), since) is None
    assert find_submitted(client, upload_name("Küchen-Stuhl 🪑", uuid.uuid4().hex), since) is None
    assert box.journal()["paid_submits"] == 3


def test_a_second_attempt_is_not_taken_for_the_first(client: RigydClient, model: Path) -> None:
    tag = uuid.uuid4().hex
    second = submit(client, model, f"{tag}-2")
    assert find_submitted(client, upload_name("x", tag), time.time()) is None
    found = find_submitted(client, upload_name("x", f"{tag}-2"), time.time())
    assert found is not None and found["id"] == second["id"]


def test_a_job_of_another_client_is_not_ours(box: Sandbox, model: Path) -> None:
    tag = uuid.uuid4().hex
    with Http(box.rigyd.base_url, box.rigyd.api_key, headers={"X-Rigyd-Client": "cli"}) as http:
        submit(RigydClient(http), model, tag)
    with connection(box.rigyd.base_url, box.rigyd.api_key, settings=FAST) as http:
        assert find_submitted(RigydClient(http), upload_name("x", tag), time.time()) is None


@pytest.mark.parametrize("cut", [20, 200])
def test_an_upload_cut_on_the_way_is_unsent(
    box: Sandbox, client: RigydClient, model: Path, cut: int
) -> None:
    box.set_faults({"rules": [{"method": "POST", "path": "/conversions", "cut_upload": cut}]})
    path = model.with_name("long.glb")
    path.write_bytes(tiny_glb() + bytes(8_000_000))
    with pytest.raises(Unsent):
        submit(client, path)
    assert box.journal()["paid_submits"] == 0 and len(box.journal()["requests"]) == 1


class Listing(RigydClient):
    """A client whose list is made up: what a real one cannot be told to do is its order."""

    def __init__(self, rows: list[dict[str, Any]], size: int) -> None:
        self.rows, self.size, self.asked = rows, size, 0

    def jobs(self, page: int = 1, page_size: int = 25) -> Any:
        from bridge.services.rigyd.client import Page

        self.asked += 1
        rows = self.rows[(page - 1) * self.size : page * self.size]
        return Page(rows, page, -(-len(self.rows) // self.size), len(self.rows))


def rows(tag: str, at: int, ages: list[int], now: float) -> list[dict[str, Any]]:
    from datetime import UTC, datetime

    return [
        {
            "id": f"j{n}",
            "filename": f"x-{tag if n == at else uuid.uuid4().hex}.glb",
            "createdAt": datetime.fromtimestamp(now - age, UTC).isoformat().replace("+00:00", "Z"),
        }
        for n, age in enumerate(ages)
    ]


def test_a_newest_first_list_is_read_only_as_far_as_needed() -> None:
    now, tag = time.time(), uuid.uuid4().hex
    client = Listing(rows(tag, 3, [n * 3600 for n in range(500)], now), 25)
    found = find_submitted(client, f"x-{tag}.glb", now - 3 * 3600)
    assert found is not None and found["id"] == "j3" and client.asked <= 3


def test_a_list_in_another_order_is_read_whole() -> None:
    now, tag = time.time(), uuid.uuid4().hex
    client = Listing(rows(tag, 499, [(500 - n) * 3600 for n in range(500)], now), 25)
    found = find_submitted(client, f"x-{tag}.glb", now)
    assert found is not None and found["id"] == "j499"


def test_paging_against_the_sandbox(client: RigydClient, model: Path) -> None:
    ids = {submit(client, model)["id"] for _ in range(7)}
    page = client.jobs(1, page_size=3)
    assert len(page.jobs) == 3 and page.pages == 3 and page.total == 7
    assert {row["id"] for row in client.all_jobs()} == ids


def test_keys_do_not_reach_problems(box: Sandbox, model: Path) -> None:
    key = box.rigyd.api_key
    said = {"path": "/conversions/*", "status": 400, "error": f"bad {key} in Bearer {key}"}
    box.set_faults({"rules": [said]})
    with (
        connection(box.rigyd.base_url, key, settings=FAST) as http,
        pytest.raises(HttpError) as caught,
    ):
        RigydClient(http).job("x")
    assert key not in json.dumps(caught.value.problem.to_dict()) + caught.value.message
