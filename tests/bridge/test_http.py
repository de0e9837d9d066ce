# SPDX-License-Identifier: GPL-3.0-or-later
"""The one policy for requests: retries, errors in words, untrusted answers, redirects."""

from __future__ import annotations

import email.utils
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from bridge import __version__, reading
from bridge import http as module
from bridge.faults import HttpError, OnlineAccessOff
from bridge.http import Http
from bridge.problems import Canceled, Category, ProblemError
from bridge.settings import Settings
from tests.tools.faultserver import Exchange, FaultServer

KEY = "rgyd_test_" + "k" * 43
FAST = Settings(connect_seconds=2, read_seconds=2, retries=2, retry_cap_seconds=0.05)


def connect(server: FaultServer, **more: Any) -> Http:
    return Http(f"{server.url}/api", KEY, **{"settings": FAST, "label": "Rigyd", **more})


def answers(*replies: tuple[Any, ...]) -> Callable[[Exchange], None]:
    """Reply in turn; the last one for ever."""

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.reply(*replies[min(exchange.number, len(replies)) - 1])

    return script


def test_a_plain_get() -> None:
    with (
        FaultServer(answers((200, b'{"data": {"id": "a"}, "meta": {"total": 1}}'))) as server,
        connect(server, headers={"X-Rigyd-Client": "scene-courier"}) as http,
    ):
        answer = http.get("/conversions", {"page": 1, "pageSize": 25})
    assert answer.data == {"id": "a"} and answer.meta == {"total": 1} and answer.status == 200
    seen = server.seen[0]
    assert seen.target == "/api/conversions?page=1&pageSize=25"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["user-agent"] == f"scene-courier/{__version__}"
    assert seen.headers["x-rigyd-client"] == "scene-courier"


def test_other_services_put_their_key_elsewhere() -> None:
    with (
        FaultServer(answers((200, b"{}"))) as server,
        connect(server, auth=lambda key: {"X-API-Key": key}) as http,
    ):
        http.get("/x")
    assert server.seen[0].headers["x-api-key"] == KEY
    assert "authorization" not in server.seen[0].headers


# --- retries -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_passing_faults_are_tried_again(status: int) -> None:
    with (
        FaultServer(answers((status, b""), (200, b'{"data": 1}'))) as server,
        connect(server) as http,
    ):
        assert http.get("/x").data == 1
    assert len(server.seen) == 2


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 413, 422, 500])
def test_final_answers_are_not(status: int) -> None:
    with (
        FaultServer(answers((status, b'{"error": "no"}'))) as server,
        connect(server) as http,
        pytest.raises(HttpError) as caught,
    ):
        http.get("/x")
    assert len(server.seen) == 1
    assert caught.value.status == status and caught.value.message == "no"
    assert not caught.value.transient
    assert caught.value.problem.technical == f"HTTP {status}; no"


def test_retries_end() -> None:
    with (
        FaultServer(answers((503, b"", {"Retry-After": "7"}))) as server,
        connect(server) as http,
        pytest.raises(HttpError) as caught,
    ):
        http.get("/x")
    assert len(server.seen) == 1 + FAST.retries
    assert caught.value.transient and caught.value.retry_after == 7
    assert caught.value.problem.sentence == "Rigyd is not available at the moment."
    assert caught.value.problem.hint == "It is tried again by itself."


def record_sleeps(http: Http) -> list[float]:
    slept: list[float] = []
    http.sleep = lambda seconds, cancelled=None: slept.append(seconds)  # type: ignore[method-assign]
    return slept


def test_retry_after_in_seconds_and_as_a_date_is_honoured_up_to_the_cap() -> None:
    now = time.time()
    later = email.utils.formatdate(now + 4, usegmt=True)
    date = email.utils.formatdate(now, usegmt=True)
    replies = answers(
        (429, b"", {"Retry-After": "3"}),
        (429, b"", {"Retry-After": later, "Date": date}),
        (503, b"", {"Retry-After": "3600"}),
        (503, b"", {"Retry-After": "soon"}),
        (200, b"{}"),
    )
    settings = Settings(retries=4, retry_cap_seconds=10)
    with FaultServer(replies) as server, connect(server, settings=settings) as http:
        slept = record_sleeps(http)
        http.get("/x")
    assert slept[:3] == [3, pytest.approx(4, abs=1.1), 10]
    assert 0.5 <= slept[3] <= 10


def test_pauses_vary_and_stay_below_the_cap() -> None:
    settings = Settings(retries=12, retry_cap_seconds=5)
    with FaultServer(answers((503, b""))) as server, connect(server, settings=settings) as http:
        slept = record_sleeps(http)
        with pytest.raises(HttpError):
            http.get("/x")
    assert len(slept) == 12 and all(0.5 <= pause <= 5 for pause in slept)
    assert len({round(pause, 6) for pause in slept}) > 3


def test_broken_connections_are_tried_again() -> None:
    def script(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.reset()
        elif exchange.number == 2:
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        else:
            exchange.reply(200, b'{"data": "there"}')

    with FaultServer(script) as server, connect(server) as http:
        assert http.get("/x").data == "there"
    assert len(server.seen) == 3


def test_truncated_chunks_are_noticed() -> None:
    def script(exchange: Exchange) -> None:
        exchange.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
            b'\r\n10\r\n{"data": {"id": "'
        )

    with FaultServer(script) as server, connect(server) as http, pytest.raises(HttpError) as caught:
        http.get("/x")
    assert len(server.seen) == 3
    assert caught.value.problem.category is Category.NETWORK
    assert caught.value.problem.sentence == "The connection to Rigyd was lost."


def test_a_dripping_answer_is_given_up() -> None:
    def script(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not exchange.released.wait(0.05):
            exchange.send(b" ")

    settings = Settings(read_seconds=0.3, retries=0)
    with (
        FaultServer(script) as server,
        connect(server, settings=settings) as http,
        pytest.raises(HttpError) as caught,
    ):
        http.get("/x")
    assert caught.value.problem.technical == "HTTP 200; too large or slow"


def silent(exchange: Exchange) -> None:
    exchange.released.wait()


def test_silence_ends_in_a_problem() -> None:
    settings = Settings(read_seconds=0.3, retries=0)
    with (
        FaultServer(silent) as server,
        connect(server, settings=settings) as http,
        pytest.raises(HttpError) as caught,
    ):
        http.get("/x")
    assert caught.value.problem.sentence == "Rigyd took too long to answer."
    assert caught.value.problem.category is Category.NETWORK and caught.value.transient


# --- canceling -----------------------------------------------------------------------------------


def test_a_wait_between_tries_can_be_canceled() -> None:
    stop = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.reply(503, b"", {"Retry-After": "60"})
        stop.set()

    settings = Settings(retry_cap_seconds=60)
    with (
        FaultServer(script) as server,
        connect(server, settings=settings) as http,
        pytest.raises(Canceled),
    ):
        http.get("/x", cancelled=stop.is_set)
    assert len(server.seen) == 1


def test_waiting_for_an_answer_can_be_canceled() -> None:
    stop = threading.Event()

    def script(exchange: Exchange) -> None:
        stop.set()
        exchange.released.wait()

    with (
        FaultServer(script) as server,
        connect(server, settings=Settings(read_seconds=600)) as http,
        pytest.raises(Canceled),
    ):
        http.get("/x", cancelled=stop.is_set)


# --- answers that are none -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "technical"),
    [
        (b"", "application/json", "HTTP 200; empty answer"),
        (b"{nonsense", "application/json", "HTTP 200; not JSON (application/json, 9 bytes)"),
        (b"\xff\xfe\x00garbage", "text/plain", "HTTP 200; not JSON (text/plain, 10 bytes)"),
        (b'{"a": NaN}', "application/json", "HTTP 200; not JSON (application/json, 10 bytes)"),
        (b"[" * 200_000, "application/json", "HTTP 200; not JSON (application/json, 200000 bytes)"),
        (
            b"<html><head><title>Welcome to Hotel WiFi</title>",
            "application/json",
            "HTTP 200; a web page instead of JSON: Welcome to Hotel WiFi",
        ),
    ],
)
def test_unreadable_answers(body: bytes, kind: str, technical: str) -> None:
    with (
        FaultServer(answers((200, body, {"Content-Type": kind}))) as server,
        connect(server) as http,
        pytest.raises(HttpError) as caught,
    ):
        http.get("/x")
    problem = caught.value.problem
    assert problem.sentence == "Rigyd gave an answer that cannot be read."
    assert "sign-in page" in problem.hint
    assert problem.technical == technical and problem.category is Category.SERVICE


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "text/html"}, {"Content-Type": ""}, {"Content-Type": "a/b; c=d"}]
)
def test_json_with_a_wrong_type_or_a_bom_is_read(headers: dict[str, str]) -> None:
    with (
        FaultServer(answers((200, b'\xef\xbb\xbf{"data": []}', headers))) as server,
        connect(server) as http,
    ):
        assert http.get("/x").data == []


def test_a_huge_answer_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_ANSWER_BYTES", 100_000)
    with (
        FaultServer(answers((200, b"[" + b"1," * 500_000 + b"1]"))) as server,
        connect(server, settings=Settings(retries=0)) as http,
        pytest.raises(HttpError) as caught,
    ):
        http.get("/x")
    assert caught.value.problem.technical == "HTTP 200; too large or slow"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "Plain words"}, "Plain words"),
        ({"error": {"message": "Nested words", "name": "X"}}, "Nested words"),
        ({"error": {"name": "OnlyAName"}}, "OnlyAName"),
        ({"data": {"error": "Inner words"}}, "Inner words"),
        ({"data": None, "error": {"status": 404, "message": "Strapi words"}}, "Strapi words"),
        ({"message": "Other words"}, "Other words"),
        ({"detail": "Detail words"}, "Detail words"),
        ({"errors": [{"message": "First words"}]}, "First words"),
        ({"error": 17}, ""),
        (["no object"], ""),
        (None, ""),
    ],
)
def test_every_shape_of_error(body: Any, message: str) -> None:
    with (
        FaultServer(answers((400, json.dumps(body).encode()))) as server,
        connect(server) as http,
        pytest.raises(HttpError) as caught,
    ):
        http.get("/x")
    assert caught.value.message == message


def test_error_texts_are_bounded_and_carry_no_secret() -> None:
    said = f"{KEY} <b>x</b> https://s3.example/f?X-Amz-Signature=deadbeefdeadbeef\n" + "y" * 5000
    with (
        FaultServer(answers((400, json.dumps({"error": said}).encode()))) as server,
        connect(server) as http,
        pytest.raises(HttpError) as caught,
    ):
        http.get("/x")
    shown = json.dumps(caught.value.problem.to_dict()) + caught.value.message
    assert KEY not in shown and "deadbeef" not in shown and "<b>" not in shown
    assert "\n" not in caught.value.message and len(caught.value.message) <= 300


@pytest.mark.parametrize(
    ("status", "category", "sentence"),
    [
        (400, Category.INPUT, "Rigyd refused the request."),
        (401, Category.CREDENTIALS, "Rigyd does not accept the key."),
        (402, Category.CREDITS, "The Rigyd account has too few credits."),
        (403, Category.CREDENTIALS, "Rigyd does not allow this with the present key."),
        (404, Category.SERVICE, "Rigyd does not know what was asked for."),
        (407, Category.NETWORK, "The proxy asks for a name and a password."),
        (409, Category.SERVICE, "Rigyd is not ready for this yet."),
        (413, Category.LIMIT, "The file is larger than Rigyd accepts."),
        (429, Category.SERVICE, "Rigyd is busy and asks to wait."),
        (500, Category.SERVICE, "Rigyd has a fault of its own."),
        (502, Category.SERVICE, "Rigyd is not available at the moment."),
    ],
)
def test_general_words_for_each_status(status: int, category: Category, sentence: str) -> None:
    page = b"<html><title>Some gateway</title></html>"
    with (
        FaultServer(answers((status, page, {"Content-Type": "text/html"}))) as server,
        connect(server, settings=Settings(retries=0)) as http,
        pytest.raises(HttpError) as caught,
    ):
        http.get("/x")
    problem = caught.value.problem
    assert (problem.category, problem.sentence) == (category, sentence)
    assert problem.hint
    assert problem.technical == f"HTTP {status}; a web page instead of JSON: Some gateway"


# --- where a request may go ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["http://api.rigyd.com/api", "http://192.168.1.5/", "http://127.0.0.1.evil.example/"]
)
def test_plain_http_is_for_this_computer(url: str) -> None:
    with pytest.raises(ProblemError) as caught:
        Http(url, KEY)
    assert caught.value.problem.sentence == "The address of the service is not encrypted."
    assert "https://" in caught.value.problem.hint


@pytest.mark.parametrize("url", ["ftp://x/y", "api.rigyd.com", "", "http://[::1", "https://:80/"])
def test_odd_addresses(url: str) -> None:
    with pytest.raises(ProblemError) as caught:
        Http(url, KEY)
    assert caught.value.problem.sentence == "The address of the service is not a web address."


def test_no_password_in_an_address() -> None:
    with pytest.raises(ProblemError) as caught:
        Http("https://name:word@api.example/", KEY)
    assert "password" in caught.value.problem.sentence


@pytest.mark.parametrize("url", ["http://localhost:1/a", "http://[::1]:1/a", "http://127.9.9.9/a"])
def test_loopback_in_any_spelling(url: str) -> None:
    assert Http(url, KEY).local


def test_nothing_leaves_while_online_access_is_off() -> None:
    http = Http("https://api.invalid/api", KEY, online=lambda: False, label="Rigyd")
    with pytest.raises(OnlineAccessOff) as caught:
        http.get("/x")
    assert caught.value.problem.sentence == "Blender's online access is off."
    assert "Preferences" in caught.value.problem.hint and not caught.value.transient
    with (
        FaultServer(answers((200, b"{}"))) as server,
        connect(server, online=lambda: False) as here,
    ):
        here.get("/x")  # this computer is not the network


def test_unknown_host() -> None:
    http = Http("https://api.invalid/api", KEY, settings=Settings(retries=0, proxy_mode="none"))
    with pytest.raises(HttpError) as caught:
        http.get("/x")
    assert caught.value.problem.sentence == "The service cannot be found on the network."
    assert caught.value.transient and not caught.value.left


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    http = Http(f"http://127.0.0.1:{port}", KEY, settings=Settings(retries=0), label="The sandbox")
    with pytest.raises(HttpError) as caught:
        http.get("/x")
    assert caught.value.problem.sentence == "The sandbox cannot be reached."
    assert caught.value.problem.technical == "127.0.0.1: ConnectionRefusedError"
    assert not caught.value.left


# --- redirects -----------------------------------------------------------------------------------


def test_the_key_stays_with_its_origin_along_redirects() -> None:
    with FaultServer(answers((200, b'{"data": "there"}'))) as other:

        def script(exchange: Exchange) -> None:
            if exchange.target == "/api/x?a=1":
                exchange.reply(302, b"x" * 10, {"Location": "/api/y"})
            else:
                exchange.reply(307, b"", {"Location": f"{other.url}/z?Signature=deadbeef01"})

        with FaultServer(script) as server, connect(server) as http:
            assert http.get("/x", {"a": 1}).data == "there"
    assert server.seen[1].target == "/api/y"
    assert server.seen[1].headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in other.seen[0].headers
    assert KEY not in str(other.seen[0].headers)


def test_redirects_end() -> None:
    with (
        FaultServer(answers((302, b"", {"Location": "/api/again"}))) as server,
        connect(server) as http,
        pytest.raises(HttpError) as caught,
    ):
        http.get("/x")
    assert len(server.seen) == 1 + module.MAX_REDIRECTS
    assert caught.value.problem.technical == "more than five redirects"


@pytest.mark.parametrize(
    "place", ["http://assets.example/f", "file:///etc/passwd", "", "https://[::1", "//x@y.example/"]
)
def test_unsafe_redirects_are_refused(place: str) -> None:
    with (
        FaultServer(answers((302, b"", {"Location": place}))) as server,
        connect(server) as http,
        pytest.raises(HttpError) as caught,
    ):
        http.get("/x")
    assert len(server.seen) == 1
    assert caught.value.problem.sentence == "Rigyd points to an address that is not safe to follow."


def test_a_redirect_from_outside_into_this_computer_is_refused() -> None:
    http = Http("https://api.example/api", KEY)

    class Response:
        status_code = 302
        headers = {"Location": "http://127.0.0.1:8080/admin"}

    with pytest.raises(HttpError) as caught:
        http._redirected(Response(), "https://api.example/api/x")  # type: ignore[arg-type]
    assert caught.value.problem.technical == "redirect into this computer"


def test_an_endless_redirect_body_is_not_read() -> None:
    def script(exchange: Exchange) -> None:
        if exchange.target == "/api/x":
            exchange.send(
                b"HTTP/1.1 302 Found\r\nLocation: /api/y\r\nContent-Length: 99999999\r\n\r\n"
            )
            exchange.released.wait()
        else:
            exchange.reply(200, b'{"data": 2}')

    with FaultServer(script) as server, connect(server) as http:
        assert http.get("/x").data == 2


# --- odds ----------------------------------------------------------------------------------------


def test_a_wrong_clock_is_noticed() -> None:
    date = email.utils.formatdate(time.time() - 3600, usegmt=True)
    with FaultServer(answers((200, b"{}", {"Date": date}))) as server, connect(server) as http:
        assert http.notes() == []
        http.get("/x")
        assert http.notes() == [
            "The clock of this computer is about 60 minutes ahead. Set it right."
        ]


def test_the_key_does_not_show() -> None:
    assert KEY not in repr(Http("https://api.example", KEY))
    with pytest.raises(ProblemError) as caught:
        Http("https://api.example", "bad\nkey")
    assert caught.value.problem.category is Category.CREDENTIALS


def test_cookies_are_not_kept() -> None:
    with (
        FaultServer(answers((200, b"{}", {"Set-Cookie": "a=b"}))) as server,
        connect(server) as http,
    ):
        http.get("/x")
        http.get("/x")
    assert "cookie" not in server.seen[1].headers


def test_kept_connections_that_went_stale_are_replaced() -> None:
    def script(exchange: Exchange) -> None:
        exchange.reply(200, b'{"data": 3}', {"Connection": "keep-alive"})

    with FaultServer(script) as server, connect(server) as http:
        assert [http.get("/x").data for _ in range(3)] == [3, 3, 3]
