# SPDX-License-Identifier: GPL-3.0-or-later
"""The Renderjuice client over real sockets: what is sent, every shape of answer, every refusal."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bridge.faults import HttpError
from bridge.outcomes import Lost, Refused, Unsent
from bridge.problems import Canceled, Category
from bridge.redact import redact
from bridge.services.renderjuice.client import (
    RenderjuiceClient,
    UploadExpired,
    connection,
    find_created,
    outputs_deleted,
)
from bridge.services.renderjuice.progress import Progress, read_all, read_progress
from bridge.settings import Settings
from tests.tools.faultserver import Exchange, FaultServer

KEY = "RJ-" + "k" * 40
FAST = Settings(
    connect_seconds=5, read_seconds=5, answer_seconds=5, retries=2, retry_cap_seconds=0.02
)
JOB = {"id": "6f1e0c9a-0000-4000-8000-000000000001", "status": "created"}
WRAPS: list[Callable[[Any], Any]] = [lambda job: job, lambda job: {"data": job}]


def client(server: FaultServer, settings: Settings = FAST) -> RenderjuiceClient:
    return RenderjuiceClient(connection(server.url, KEY, settings=settings))


def answering(
    body: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Callable[[Exchange], None]:
    def script(exchange: Exchange) -> None:
        exchange.read_body()
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        exchange.reply(status, raw, headers)

    return script


def in_seconds(seconds: float) -> str:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat().replace("+00:00", "Z")


# --- jobs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", WRAPS)
def test_every_call_takes_bare_and_wrapped_jobs(wrap: Callable[[Any], Any]) -> None:
    with FaultServer(answering(wrap(JOB), headers={"x-idempotent-replay": "true"})) as server:
        api = client(server)
        assert api.create_job("slug-1") == JOB
        assert api.validate(JOB["id"]) == JOB
        assert api.render(JOB["id"], {"colorManagementPreset": "default"}) == (JOB, True)
        assert api.cancel(JOB["id"]) == JOB
        assert api.job(JOB["id"]) == JOB
    at = f"/jobs/{JOB['id']}"
    assert [(exchange.method, exchange.target) for exchange in server.seen] == [
        ("POST", "/jobs"),
        ("POST", f"{at}/validate"),
        ("POST", f"{at}/render"),
        ("POST", f"{at}/cancel"),
        ("GET", at),
    ]
    assert all(e.headers["authorization"] == f"Bearer {KEY}" for e in server.seen)
    assert [bytes(exchange.body) for exchange in server.seen] == [
        b'{"slug": "slug-1"}',
        b"",
        b'{"requestedRenderConfig": {"colorManagementPreset": "default"}}',
        b"",
        b"",
    ]
    # An empty body that says it is JSON is refused by some servers.
    assert "content-type" not in server.seen[1].headers
    assert server.seen[1].headers["content-length"] == "0"


@pytest.mark.parametrize("status", [200, 204])
def test_validate_and_cancel_may_answer_nothing(status: int) -> None:
    with FaultServer(answering(b"", status)) as server:
        assert client(server).validate("j") is None
        assert client(server).cancel("j") is None


def test_answers_without_a_job() -> None:
    with FaultServer(answering({"ok": True})) as server:
        assert client(server).validate("j") is None
        with pytest.raises(HttpError) as caught:
            client(server).job("j")
    assert caught.value.problem.sentence == "Renderjuice gave an answer that cannot be read."


def test_only_id_and_status_are_needed_and_the_rest_is_handed_on() -> None:
    odd = JOB | {"status": "hibernating", "normalizedSeconds": None, "output": None, "new": [1]}
    with FaultServer(answering({"data": odd})) as server:
        assert client(server).job("j") == odd
    assert not outputs_deleted(odd) and not outputs_deleted({"output": {"isDeletedForClient": 1}})
    assert outputs_deleted({"output": {"isDeletedForClient": True}})


def test_a_first_render_is_no_replay_and_an_empty_answer_is_looked_up() -> None:
    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.reply(200, b"" if exchange.method == "POST" else json.dumps(JOB).encode())

    with FaultServer(script) as server:
        assert client(server).render("j", {"a": 1}) == (JOB, False)
    assert [exchange.method for exchange in server.seen] == ["POST", "GET"]


def test_render_is_repeated_after_a_lost_answer_and_validate_is_not() -> None:
    def script(exchange: Exchange) -> None:
        exchange.read_body()
        if exchange.number == 1 or exchange.target.endswith("validate"):
            exchange.reset()
        else:
            exchange.reply(200, json.dumps(JOB).encode(), {"X-Idempotent-Replay": "true"})

    with FaultServer(script) as server:
        assert client(server).render("j", {"a": 1}) == (JOB, True)
        with pytest.raises(HttpError):
            client(server).validate("j")
    assert [exchange.target for exchange in server.seen] == [
        "/jobs/j/render",
        "/jobs/j/render",
        "/jobs/j/validate",
    ]


def test_an_id_cannot_change_the_path() -> None:
    with FaultServer(answering(JOB)) as server:
        client(server).job("../x?y=1")
    assert server.seen[0].target == "/jobs/..%2Fx%3Fy%3D1"


# --- create: once --------------------------------------------------------------------------------


def test_create_says_when_it_is_about_to_be_sent() -> None:
    events: list[str] = []

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        events.append("received")
        exchange.reply(200, json.dumps(JOB).encode())

    with FaultServer(script) as server:
        client(server).create_job("s", before_last_piece=lambda: events.append("body complete"))
    assert events == ["body complete", "received"]


@pytest.mark.parametrize("how", ["reset", "503", "html", "no id", "empty"])
def test_a_lost_answer_is_lost_and_nothing_is_sent_twice(how: str) -> None:
    def script(exchange: Exchange) -> None:
        exchange.read_body()
        if how == "reset":
            exchange.reset()
        elif how == "503":
            exchange.reply(503, b"{}")
        else:
            body = {"html": b"<html><title>Hi</title>", "no id": b'{"status": "created"}'}
            exchange.reply(200, body.get(how, b""))

    with FaultServer(script) as server, pytest.raises(Lost):
        client(server).create_job("s")
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [400, 404, 409, 422, 429])
def test_a_refused_create(status: int) -> None:
    script = answering({"message": "unknown slug"}, status)
    with FaultServer(script) as server, pytest.raises(Refused) as caught:
        client(server).create_job("s")
    assert "unknown slug" in caught.value.problem.technical and len(server.seen) == 1


def test_a_create_that_never_left() -> None:
    with FaultServer(answering(JOB)) as server:
        url = server.url
    with pytest.raises(Unsent):
        RenderjuiceClient(connection(url, KEY, settings=FAST)).create_job("s")
    with FaultServer(answering(JOB)) as server, pytest.raises(Canceled):
        client(server).create_job("s", cancelled=lambda: True)


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Said so"},
        {"message": "Said so", "error": "Bad Request", "statusCode": 400},
        {"message": ["Said so", "and this"], "error": "Bad Request"},
        {"error": "Said so"},
        {"error": {"message": "Said so", "name": "X"}},
        {"detail": "Said so"},
        {"errors": [{"message": "Said so"}]},
        {"errors": ["Said so"]},
        {"data": {"message": "Said so"}},
    ],
)
def test_errors_in_every_shape(body: Any) -> None:
    with FaultServer(answering(body, 400)) as server, pytest.raises(HttpError) as caught:
        client(server).job("j")
    assert caught.value.message == "Said so"
    assert caught.value.problem.hint == "Said so"
    assert caught.value.problem.technical == "HTTP 400; Said so"


ERRORS = [
    (
        400,
        "requestedRenderConfig is required",
        Category.INPUT,
        "take these render settings",
        "It s",
    ),
    (400, "Job is already validating", Category.SERVICE, "present state", "already validating"),
    (401, "Unauthorized", Category.CREDENTIALS, "does not accept the key", "on request"),
    (401, "", Category.CREDENTIALS, "does not accept the key", "RENDERJUICE_API_KEY"),
    (402, "", Category.CREDITS, "too few GPU minutes", "dashboard"),
    (403, "Forbidden", Category.CREDENTIALS, "let this key use its API", "given on request"),
    (404, "Not Found", Category.SERVICE, "does not know this job", "another workspace"),
    (413, "", Category.LIMIT, "5 GiB", "smaller"),
    (418, "teapot", Category.INPUT, "refused the request", "teapot"),
    (500, "boom", Category.SERVICE, "fault of its own", "later"),
]


@pytest.mark.parametrize(("status", "said", "category", "sentence", "hint"), ERRORS)
def test_errors_in_words(
    status: int, said: str, category: Category, sentence: str, hint: str
) -> None:
    script = answering({"message": said}, status)
    with FaultServer(script) as server, pytest.raises(HttpError) as caught:
        client(server).job("j")
    problem = caught.value.problem
    assert (problem.category, caught.value.status) == (category, status)
    assert sentence in problem.sentence and hint in problem.hint
    assert len(server.seen) == 1


def test_html_and_plain_text_errors() -> None:
    page = answering(b"<html><title>Bad gateway</title></html>", 502)
    with FaultServer(page) as server, pytest.raises(HttpError) as caught:
        client(server).job("j")
    assert "Bad gateway" in caught.value.problem.technical and len(server.seen) == 3
    with FaultServer(answering(b"nope", 400)) as server, pytest.raises(HttpError) as caught:
        client(server).job("j")
    assert caught.value.problem.category is Category.INPUT


def test_busy_is_waited_for() -> None:
    def script(exchange: Exchange) -> None:
        busy = exchange.number == 1
        headers = {"Retry-After": "0"} if busy else {}
        exchange.reply(429 if busy else 200, b"{}" if busy else json.dumps(JOB).encode(), headers)

    with FaultServer(script) as server:
        assert client(server).job("j") == JOB
    assert len(server.seen) == 2


# --- upload --------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "scene.blend"
    path.write_bytes(b"BLENDER" + bytes(range(256)) * 12_000)
    return path


@pytest.mark.parametrize("wrap", WRAPS)
def test_an_upload_address(wrap: Callable[[Any], Any]) -> None:
    body = {"uploadUrl": "https://s.example/x?X-Amz-Signature=abc", "slug": "s", "expiresAt": "?"}
    with FaultServer(answering(wrap(body))) as server:
        target = client(server).create_upload("scène.blend", "blend")
    assert target == body | {"expiresAt": ""}
    assert json.loads(server.seen[0].body) == {"fileName": "scène.blend", "fileType": "blend"}
    assert "abc" not in redact(f"text {body['uploadUrl']} text")


@pytest.mark.parametrize(
    "body", [{}, {"uploadUrl": "https://x"}, {"slug": "s", "uploadUrl": 5}, []]
)
def test_an_upload_address_that_is_none(body: Any) -> None:
    with FaultServer(answering(body)) as server, pytest.raises(HttpError):
        client(server).create_upload("a.zip", "zip")


@pytest.mark.parametrize("status", [200, 201, 204])
@pytest.mark.parametrize(
    ("query", "suffix", "kind"),
    [
        ("X-Amz-SignedHeaders=host&X-Amz-Signature=1", ".blend", None),
        ("X-Amz-SignedHeaders=content-type%3Bhost", ".blend", "application/octet-stream"),
        ("X-Amz-SignedHeaders=content-type%3Bhost", ".zip", "application/zip"),
        ("X-Goog-SignedHeaders=content-type;host", ".zip", "application/zip"),
        ("token=1", ".zip", None),
        ("", ".zip", None),
    ],
)
def test_one_put_with_the_raw_bytes_and_without_our_key(
    package: Path, status: int, query: str, suffix: str, kind: str | None
) -> None:
    path = package.rename(package.with_suffix(suffix))
    moved: list[tuple[int, int]] = []
    with FaultServer(answering(b"", status)) as server:
        url = f"{server.url}/bucket/a%20b?{query}"  # the very origin of the API
        size = client(server).put(url, path, lambda done, total: moved.append((done, total)))
    sent = server.seen[0]
    assert bytes(sent.body) == path.read_bytes() and size == len(sent.body)
    assert (sent.method, sent.target.partition("?")[0]) == ("PUT", "/bucket/a%20b")
    assert parse_qs(urlsplit(sent.target).query) == parse_qs(query)
    assert sent.headers["content-length"] == str(size)
    assert "transfer-encoding" not in sent.headers and "authorization" not in sent.headers
    assert sent.headers.get("content-type") == kind
    assert KEY not in str(sent.headers) and moved[-1] == (size, size)


def storage(code: str, message: str) -> bytes:
    text = f"<Code>{code}</Code><Message>{message}</Message><StringToSign>secret</StringToSign>"
    return f'<?xml version="1.0"?>\n<Error>{text}</Error>'.encode()


def test_a_storage_error_is_explained_and_gives_nothing_away(package: Path) -> None:
    body = storage("SignatureDoesNotMatch", "The signature we calculated does not match.")
    with FaultServer(answering(body, 403)) as server, pytest.raises(HttpError) as caught:
        client(server).put(f"{server.url}/b?X-Amz-Signature=deadbeef&X-Amz-Expires=9", package)
    problem = caught.value.problem
    assert problem.category is Category.SERVICE, "the key has nothing to do with it"
    assert "calculated does not match" in problem.technical
    text = json.dumps(problem.to_dict())
    assert "deadbeef" not in text and "secret" not in text and "Expires" not in text


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, storage("AccessDenied", "Request has expired")),
        (400, storage("ExpiredToken", "The provided token has expired.")),
        (403, storage("AuthenticationFailed", "Signature not valid in the specified time frame")),
    ],
)
def test_an_expired_address_by_the_words_of_the_storage(
    package: Path, status: int, body: bytes
) -> None:
    with FaultServer(answering(body, status)) as server, pytest.raises(UploadExpired):
        client(server).put(f"{server.url}/b?sig=1", package)
    assert len(server.seen) == 1


def uploading(
    expires: float, put: Callable[[Exchange], None], skew: float | None = None
) -> Callable[[Exchange], None]:
    """The API and its storage; with ``skew`` they say that their clock is so far behind ours."""

    def script(exchange: Exchange) -> None:
        now = email.utils.formatdate(time.time() - (skew or 0.0), usegmt=True)
        date = {"Date": now if skew is not None else ""}
        exchange.read_body()
        if exchange.method == "POST":
            body = {
                "uploadUrl": f"http://{exchange.headers['host']}/put?sig=1",
                "slug": "s",
                "expiresAt": in_seconds(expires - (skew or 0.0)),
            }
            exchange.reply(200, json.dumps(body).encode(), date)
        else:
            put(exchange)

    return script


def test_expiry_by_the_clock(package: Path) -> None:
    with FaultServer(uploading(0.5, answering(b""))) as server:
        api = client(server)
        target = api.create_upload("a.blend", "blend")
        time.sleep(0.6)
        with pytest.raises(UploadExpired):
            api.put(target["uploadUrl"], package, expires_at=target["expiresAt"])
    assert [exchange.method for exchange in server.seen] == ["POST"], "it was not even begun"


def test_an_address_that_ends_on_the_way(package: Path) -> None:
    def slow(exchange: Exchange) -> None:
        time.sleep(2.2)
        exchange.reply(403, b"denied")

    with FaultServer(uploading(2.0, slow)) as server:
        api = client(server)
        target = api.create_upload("a.blend", "blend")
        with pytest.raises(UploadExpired):
            api.put(target["uploadUrl"], package, expires_at=target["expiresAt"])
    assert [exchange.method for exchange in server.seen] == ["POST", "PUT"]


def test_a_403_before_the_end_is_no_expiry(package: Path) -> None:
    with FaultServer(uploading(600, answering(b"denied", 403))) as server:
        api = client(server)
        target = api.create_upload("a.blend", "blend")
        with pytest.raises(HttpError) as caught:
            api.put(target["uploadUrl"], package, expires_at=target["expiresAt"])
    assert caught.value.status == 403 and len(server.seen) == 2


@pytest.mark.parametrize("skew", [7200.0, -7200.0])
def test_a_wrong_clock_does_not_matter(package: Path, skew: float) -> None:
    with FaultServer(uploading(60, answering(b""), skew)) as server:
        api = client(server)
        target = api.create_upload("a.blend", "blend")
        api.put(target["uploadUrl"], package, expires_at=target["expiresAt"])
    assert api.skew is not None and abs(api.skew - skew) < 60
    assert [exchange.method for exchange in server.seen] == ["POST", "PUT"]


def test_a_broken_upload_is_sent_again_whole(package: Path) -> None:
    def script(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.read_body(1_000_000)
            exchange.reset()
        elif exchange.number == 2:
            exchange.read_body()
            exchange.reply(500, storage("InternalError", "We encountered an internal error."))
        else:
            exchange.read_body()
            exchange.reply(200)

    with FaultServer(script) as server:
        client(server).put(f"{server.url}/b?sig=1", package)
    assert len(server.seen) == 3 and bytes(server.seen[2].body) == package.read_bytes()


def test_a_redirect_is_not_followed_with_the_bytes(package: Path) -> None:
    with FaultServer(answering(b"")) as other:
        moved = answering(b"", 307, {"Location": f"{other.url}/elsewhere"})
        with FaultServer(moved) as server, pytest.raises(HttpError):
            client(server).put(f"{server.url}/b?sig=1", package)
        assert not other.seen and len(server.seen) == 1


def test_an_unencrypted_address_elsewhere_is_refused(package: Path) -> None:
    with FaultServer(answering(b"")) as server, pytest.raises(Exception, match="not encrypted"):
        client(server).put("http://storage.example/b?sig=1", package)


def test_an_upload_can_be_canceled(package: Path) -> None:
    with FaultServer(answering(b"")) as server, pytest.raises(Canceled):
        client(server).put(f"{server.url}/b", package, cancelled=lambda: True)


# --- lists ---------------------------------------------------------------------------------------


def listing(
    rows: list[dict[str, Any]], size: int = 10, wrap: str = "jobs", date: float | None = 0.0
) -> Callable[[Exchange], None]:
    def script(exchange: Exchange) -> None:
        query = parse_qs(urlsplit(exchange.target).query)
        page = int(query.get("page", ["1"])[0])
        some = rows[(page - 1) * size : page * size]
        told = {
            "page": page,
            "pageSize": size,
            "total": len(rows),
            "totalPages": -(-len(rows) // size),
        }
        body: Any = {
            "jobs": {"jobs": some, "pagination": told},
            "data": {"data": {"jobs": some, "pagination": told}},
            "beside": {"data": some, "pagination": told},
            "bare": some,
        }[wrap]
        headers = {}
        if date is not None:
            headers["Date"] = email.utils.formatdate(time.time() - date, usegmt=True)
        exchange.reply(200, json.dumps(body).encode(), headers)

    return script


def row(number: int, age: float = 0.0, **more: Any) -> dict[str, Any]:
    return {"id": f"j{number}", "status": "created", "createdAt": in_seconds(-age)} | more


@pytest.mark.parametrize("wrap", ["jobs", "data", "beside", "bare"])
def test_lists_in_every_shape(wrap: str) -> None:
    rows = [row(n, age=n) for n in range(25)] + [{"id": None}]  # type: ignore[list-item]
    with FaultServer(listing(rows, wrap=wrap)) as server:
        some, pages = client(server).jobs(2, page_size=10)
        assert [job["id"] for job in some] == [f"j{n}" for n in range(10, 20)]
        assert pages == ({} if wrap == "bare" else pages) and pages.get("totalPages", 3) == 3
        assert [job["id"] for job in client(server).all_jobs()] == [f"j{n}" for n in range(25)]
    assert parse_qs(urlsplit(server.seen[0].target).query) == {"page": ["2"], "pageSize": ["10"]}
    assert server.seen[1].target == "/jobs?page=1"


def test_a_list_that_never_ends_is_left() -> None:
    with FaultServer(listing([row(1)], size=1)) as server:
        api = client(server)
        api.jobs = lambda page=1, page_size=None: ([row(1)], {"totalPages": 10**9})  # type: ignore
        assert len(list(api.all_jobs())) == 1


NAME = "scene-0123456789abcdef0123456789abcdef.blend"


def look(rows: list[dict[str, Any]], **more: Any) -> dict[str, Any] | None:
    arguments: dict[str, Any] = {"size": 10, "date": 0.0, "known": [], "slug": ""} | more
    with FaultServer(listing(rows, arguments["size"], date=arguments["date"])) as server:
        return find_created(
            client(server), time.time() - 30, arguments["known"], NAME, arguments["slug"]
        )


def test_a_lost_job_is_found_by_its_file() -> None:
    others = [row(n, age=n, sceneFile={"name": f"other-{n}.blend"}) for n in range(5)]
    for place in (
        {"sceneFile": {"name": NAME}},
        {"sceneFile": f"uploads/abc/{NAME}"},
        {"analysis": {"files": [{"path": NAME}]}},
    ):
        found = look([*others, row(9, age=9, status="validating", **place)])
        assert found is not None and (found["id"], found["certain"]) == ("j9", True)
    found = look([*others, row(9, sceneFile={"slug": "up-123456789"})], slug="up-123456789")
    assert found is not None and found["certain"]


def test_a_lone_new_job_is_a_candidate_only() -> None:
    old = [row(n, age=4000 + n) for n in range(15)]
    found = look([row(99), *old])
    assert found is not None and (found["id"], found["certain"]) == ("j99", False)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(1), row(2)],
        [row(1, age=4000)],
        [row(1, status="rendering")],
        [row(1, createdAt=None)],
        [row(1, sceneFile={"name": "someone-elses.blend"})],
    ],
)
def test_no_candidate(rows: list[dict[str, Any]]) -> None:
    assert look(rows) is None


def test_known_jobs_are_no_candidates() -> None:
    found = look([row(1), row(2)], known=["j1"])
    assert found is not None and found["id"] == "j2" and not found["certain"]


@pytest.mark.parametrize("skew", [5000.0, -5000.0])
def test_the_services_clock_counts(skew: float) -> None:
    found = look([row(1, age=skew), row(2, age=4000 + skew)], date=skew)
    assert found is not None and found["id"] == "j1"


def test_a_list_in_any_order_is_read_far_enough() -> None:
    rows = [row(n, age=10000 - n * 10, status="completed") for n in range(95)]
    found = look([*rows, row(99, sceneFile=NAME)])
    assert found is not None and found["id"] == "j99" and found["certain"]


# --- progress ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], None),
        ({}, None),
        (None, None),
        ("soon", None),
        ([{}], None),
        ([{"completed": 12, "total": 24}], (12, 24)),
        ({"completed": 12, "total": 24}, (12, 24)),
        ({"data": {"completedFrames": 12, "totalFrames": 24}}, (12, 24)),
        ({"progress": {"done": 0, "total": 24}}, (0, 24)),
        ([12, 24], (12, 24)),
        ({"frames_completed": 3.0, "frames_total": 4}, (3, 4)),
        ({"pending": 3, "rendering": 1, "completed": 20, "failed": 0}, (20, 24)),
        ({"total": 24, "remaining": 4}, (20, 24)),
        (
            [{"jobId": "other", "completed": 1, "total": 2}, {"jobId": "j", "done": 5, "total": 9}],
            (5, 9),
        ),
        ([{"jobId": "other", "completed": 1, "total": 2}], None),
        ([{"completed": 5, "total": 10}, {"completed": 1, "total": 10}], (6, 20)),
        ({"j": {"completed": 5, "total": 10}}, (5, 10)),
        ({"progress": 45}, (45, 100)),
        ({"percent": 0.455}, (45, 100)),
        (
            [{"frame": n, "status": "completed" if n < 4 else "pending"} for n in range(1, 11)],
            (3, 10),
        ),
        ({"completed": 30, "total": 24}, None),
        ({"completed": -1, "total": 24}, None),
        ({"completed": True, "total": 24}, None),
        ({"completed": 1, "total": float("nan")}, None),
        ({"percent": 900}, None),
        ({"data": {"data": {"data": {"data": {"data": {"data": [1, 2]}}}}}}, None),
    ],
)
def test_progress_in_every_shape(body: Any, expected: tuple[int, int] | None) -> None:
    found = read_progress(body, "j")
    assert (None if found is None else (found.done, found.total)) == expected


def test_progress_in_words() -> None:
    assert read_progress([{"completed": 12, "total": 24}]) == Progress(12, 24, "12 of 24")
    assert read_progress({"percent": 7}) == Progress(7, 100, "7 %")


@pytest.mark.parametrize(
    "body",
    [
        [{"jobId": "a", "completed": 1, "total": 2}, {"jobId": "b", "completed": 3, "total": 4}],
        {"data": [{"id": "a", "done": 1, "total": 2}, {"id": "b", "done": 3, "total": 4}]},
        {"a": [1, 2], "b": {"completed": 3, "total": 4}},
    ],
)
def test_the_progress_of_all(body: Any) -> None:
    with FaultServer(answering(body)) as server:
        found = client(server).all_progress()
    assert {name: (p.done, p.total) for name, p in found.items()} == {"a": (1, 2), "b": (3, 4)}
    assert server.seen[0].target == "/jobs/progress"
    assert read_all([]) == read_all(None) == read_all([1, "x", {"id": 5}]) == {}


@pytest.mark.parametrize("how", [b"", b"<html>", b"{", b"[]"])
def test_progress_is_never_a_fault(how: bytes) -> None:
    with FaultServer(answering(how)) as server:
        assert client(server).progress("j") is None and client(server).all_progress() == {}
    with FaultServer(answering(b"{}", 500)) as server:
        assert client(server).progress("j") is None and client(server).all_progress() == {}


def test_downloads_bare_and_wrapped() -> None:
    body = {"frames": ["https://x.example/f_0001.png?t=1"], "compositeNodes": [], "transforms": {}}
    for wrap in WRAPS:
        with FaultServer(answering(wrap(body))) as server:
            found = client(server).downloads("j")
        assert [output.path for output in found.frames] == ["f_0001.png"]
    with FaultServer(answering([])) as server, pytest.raises(HttpError):
        client(server).downloads("j")
