# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads: byte-true, cancelable, and honest about whether the service can have the request."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.faults import HttpError
from bridge.http import Http
from bridge.outcomes import Lost, Refused, Unsent
from bridge.problems import Canceled, Category, ProblemError
from bridge.settings import Settings
from bridge.uploads import FileUpload, JsonUpload, MultipartUpload, Upload
from tests.tools.faultserver import Exchange, FaultServer

KEY = "rgyd_test_" + "k" * 43
MIB = 1024 * 1024
FAST = Settings(connect_seconds=2, read_seconds=2, answer_seconds=2, stall_seconds=0.6, retries=0)
GOOD = b'{"data": {"id": "j1", "status": "queued"}}'


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file of 8 MiB and a bit: more than the buffers of a loopback connection take in."""
    path = tmp_path / "model.glb"
    path.write_bytes(os.urandom(8 * MIB + 12345))
    return path


def connect(server: FaultServer, settings: Settings = FAST) -> Http:
    return Http(server.url, KEY, settings=settings, label="Rigyd")


def whole(reply: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
    """A script that reads the whole body first."""

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        reply(exchange)

    return script


def multipart(path: Path, **hooks: Any) -> MultipartUpload:
    return MultipartUpload({"optimize": "true"}, path, "chair-1.glb", file_type="model/x", **hooks)


def test_the_body_arrives_as_a_form_and_progress_is_byte_true(model: Path) -> None:
    progress: list[tuple[int, int]] = []
    marks: list[int] = []
    with FaultServer(whole(lambda exchange: exchange.reply(202, GOOD))) as server:
        upload: MultipartUpload = multipart(
            model,
            on_progress=lambda done, total: progress.append((done, total)),
            before_last_piece=lambda: marks.append(upload.sent),
        )
        answer = connect(server).once("/conversions", upload)
    assert answer.data["id"] == "j1" and answer.status == 202
    seen = server.seen[0]
    assert seen.method == "POST" and seen.length == len(upload) == len(seen.body)
    assert "transfer-encoding" not in seen.headers
    assert progress[-1] == (len(upload), len(upload))
    assert [done for done, _ in progress] == sorted({done for done, _ in progress})
    # One mark, when only the closing boundary had not left.
    assert len(marks) == 1 and len(upload) - marks[0] < 64

    import multipart as parser

    boundary = seen.headers["content-type"].partition("boundary=")[2]
    parts = {part.name: part for part in parser.MultipartParser(io.BytesIO(seen.body), boundary)}
    assert parts["optimize"].value == "true"
    assert parts["file"].filename == "chair-1.glb" and parts["file"].content_type == "model/x"
    assert parts["file"].raw == model.read_bytes()
    for part in parts.values():
        part.close()


def test_odd_names_and_values_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "x.glb"
    path.write_bytes(b"x")
    upload = MultipartUpload({'a"b': "1\r\n2 ü"}, path, 'na"me\r\nX: y.glb')
    head = bytes(next(iter(upload))).split(b"1\r\n2")[0]
    assert b"\r\nX: y" not in b"".join(bytes(piece) for piece in upload)
    assert b'name="a%22b"' in head or b'name="a\\"b"' in head


def test_a_put_to_a_presigned_address_carries_no_key(model: Path) -> None:
    with FaultServer(whole(lambda exchange: exchange.reply(200, b"", {"ETag": '"e"'}))) as bucket:
        http = Http("https://api.example/api", KEY, settings=FAST)
        headers = http.put_file(
            f"{bucket.url}/b/f?X-Amz-Signature=deadbeef01", FileUpload(model, "model/gltf-binary")
        )
    assert headers["ETag"] == '"e"'
    seen = bucket.seen[0]
    assert seen.method == "PUT" and seen.body == model.read_bytes()
    assert seen.headers["content-type"] == "model/gltf-binary"
    assert "authorization" not in seen.headers and KEY not in str(seen.headers)


def test_an_expired_presigned_address_is_no_secret_in_the_problem(model: Path) -> None:
    page = b"<Error><Code>AccessDenied</Code></Error>"
    with FaultServer(whole(lambda exchange: exchange.reply(403, page))) as bucket:
        http = Http("https://api.example/api", KEY, settings=FAST)
        with pytest.raises(HttpError) as caught:
            http.put_file(f"{bucket.url}/b/f?X-Amz-Signature=deadbeef01", FileUpload(model))
    assert caught.value.status == 403
    assert "deadbeef" not in json.dumps(caught.value.problem.to_dict())


# --- what is known about a submit that failed ----------------------------------------------------


def submit(server: FaultServer, model: Path, **hooks: Any) -> tuple[Upload, list[str]]:
    """Submit; raises what ``once`` raises. The list notes the durable mark."""
    marks: list[str] = []
    upload = multipart(model, before_last_piece=lambda: marks.append("complete"), **hooks)
    try:
        connect(server).once("/conversions", upload, valid=lambda data: isinstance(data, dict))
    finally:
        submit.marks = marks  # type: ignore[attr-defined]
    return upload, marks


@pytest.mark.parametrize("status", [400, 401, 402, 413, 422, 429])
def test_an_error_answer_is_a_refusal(model: Path, status: int) -> None:
    reply = whole(lambda exchange: exchange.reply(status, b'{"error": "said no"}'))
    with FaultServer(reply) as server, pytest.raises(Refused) as caught:
        submit(server, model)
    assert caught.value.status == status and len(server.seen) == 1
    assert caught.value.transient is (status == 429)
    assert caught.value.problem.category is not Category.IN_DOUBT


@pytest.mark.parametrize("status", [401, 413])
@pytest.mark.parametrize("ending", ["close", "reset", "linger"])
def test_an_early_refusal_is_read_while_we_are_still_sending(
    model: Path, status: int, ending: str
) -> None:
    page = b"<html><head><title>413 Request Entity Too Large</title></head></html>"

    def script(exchange: Exchange) -> None:
        exchange.read_body(100_000, keep=False)
        exchange.reply(status, page, {"Content-Type": "text/html"})
        if ending == "linger":
            exchange.released.wait(20)
        elif ending == "reset":
            # What a server does that closes with unread data; give the answer time to arrive.
            exchange.released.wait(0.3)
            exchange.reset()

    with FaultServer(script) as server, pytest.raises(Refused) as caught:
        submit(server, model)
    assert caught.value.status == status
    assert submit.marks == []  # type: ignore[attr-defined]
    assert server.seen[0].received < model.stat().st_size


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_gateway_error_after_the_whole_body_is_in_doubt(model: Path, status: int) -> None:
    page = b"<html><title>Bad Gateway</title></html>"
    with (
        FaultServer(whole(lambda exchange: exchange.reply(status, page))) as server,
        pytest.raises(Lost) as caught,
    ):
        submit(server, model)
    assert len(server.seen) == 1 and submit.marks == ["complete"]  # type: ignore[attr-defined]
    problem = caught.value.problem
    assert problem.category is Category.IN_DOUBT and caught.value.status == status
    assert problem.sentence == (
        "Rigyd did not confirm the submission after everything had been sent."
    )
    assert "before anything is sent again" in problem.hint
    assert problem.technical.startswith(f"HTTP {status}")


def test_a_gateway_error_before_the_whole_body_is_unsent(model: Path) -> None:
    def script(exchange: Exchange) -> None:
        exchange.read_body(100_000, keep=False)
        exchange.reply(502, b"")

    with FaultServer(script) as server, pytest.raises(Unsent) as caught:
        submit(server, model)
    assert caught.value.transient and caught.value.status == 502


@pytest.mark.parametrize("how", ["close", "reset", "head", "body", "silence"])
def test_no_answer_after_the_whole_body_is_in_doubt(model: Path, how: str) -> None:
    def reply(exchange: Exchange) -> None:
        if how == "reset":
            exchange.reset()
        elif how == "head":
            exchange.send(b"HTTP/1.1 202 Acc")
        elif how == "body":
            exchange.send(b'HTTP/1.1 202 Accepted\r\nContent-Length: 500\r\n\r\n{"data": {"id"')
        elif how == "silence":
            exchange.released.wait(20)

    with FaultServer(whole(reply)) as server, pytest.raises(Lost):
        submit(server, model)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>ok</html>", b"{", b"null", b'"queued"', b'{"data": []}', b'{"data": null}'],
)
def test_a_good_status_without_a_job_is_in_doubt(model: Path, body: bytes) -> None:
    with (
        FaultServer(whole(lambda exchange: exchange.reply(202, body))) as server,
        pytest.raises(Lost),
    ):
        submit(server, model)


def test_a_yes_before_the_end_is_never_taken_for_unsent(model: Path) -> None:
    def script(exchange: Exchange) -> None:
        exchange.read_body(100_000, keep=False)
        exchange.reply(202, b"{garbage")
        exchange.released.wait(0.3)
        exchange.reset()

    with FaultServer(script) as server, pytest.raises(Lost):
        submit(server, model)


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirected_submit_is_not_followed_and_in_doubt(model: Path, status: int) -> None:
    reply = whole(lambda exchange: exchange.reply(status, b"", {"Location": "/elsewhere"}))
    with FaultServer(reply) as server, pytest.raises(Lost):
        submit(server, model)
    assert len(server.seen) == 1


def test_a_moved_service_refuses(model: Path) -> None:
    reply = whole(lambda exchange: exchange.reply(308, b"", {"Location": "/elsewhere"}))
    with FaultServer(reply) as server, pytest.raises(Refused) as caught:
        submit(server, model)
    assert caught.value.problem.sentence == "Rigyd seems to have moved."


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_connection_cut_on_the_way_is_unsent(model: Path, how: str) -> None:
    def script(exchange: Exchange) -> None:
        exchange.read_body(1_000_000, keep=False)
        if how == "reset":
            exchange.reset()

    with FaultServer(script) as server, pytest.raises(Unsent) as caught:
        submit(server, model)
    assert caught.value.problem.category is Category.NETWORK and caught.value.transient
    assert submit.marks == [] and len(server.seen) == 1  # type: ignore[attr-defined]


def test_no_connection_is_unsent(model: Path) -> None:
    with FaultServer(lambda exchange: None) as server:
        pass
    with pytest.raises(Unsent) as caught:
        submit(server, model)
    assert caught.value.problem.sentence == "Rigyd cannot be reached."


def test_a_stall_is_noticed_and_unsent(model: Path) -> None:
    def script(exchange: Exchange) -> None:
        exchange.released.wait(20)  # never reads

    with FaultServer(script) as server, pytest.raises(Unsent) as caught:
        submit(server, model)
    assert caught.value.problem.sentence == "The upload has stalled."
    assert caught.value.problem.technical == "no byte left for 0.6 s" and caught.value.transient


def test_a_slow_line_is_no_stall(model: Path) -> None:
    def script(exchange: Exchange) -> None:
        while exchange.received < exchange.length:
            exchange.read_body(min(exchange.received + 700_000, exchange.length), keep=False)
            exchange.released.wait(0.1)  # longer for a piece than the stall limit in all
        exchange.reply(202, GOOD)

    with FaultServer(script) as server:
        upload, _marks = submit(server, model)
    assert upload.committed and server.seen[0].received == len(upload)


def test_a_cancel_is_heard_while_the_line_is_stuck(model: Path) -> None:
    stop = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.read_body(100_000, keep=False)
        stop.set()
        exchange.released.wait(20)

    with FaultServer(script) as server:
        http = connect(server, Settings(stall_seconds=600))
        with pytest.raises(Canceled):
            http.once("/x", multipart(model, cancelled=stop.is_set))


def test_a_cancel_after_the_last_piece_does_not_lose_the_answer(model: Path) -> None:
    stop = threading.Event()

    def reply(exchange: Exchange) -> None:
        stop.set()
        exchange.released.wait(0.6)
        exchange.reply(202, GOOD)

    with FaultServer(whole(reply)) as server:
        upload, _marks = submit(server, model, cancelled=stop.is_set)
    assert upload.committed


def test_a_mark_that_cannot_be_written_stops_the_last_piece(model: Path) -> None:
    def mark() -> None:
        raise OSError("the store's disk is full")

    with (
        FaultServer(whole(lambda exchange: exchange.reply(202, GOOD))) as server,
        pytest.raises(ProblemError) as caught,
    ):
        connect(server).once("/x", multipart(model, before_last_piece=mark))
    assert caught.value.problem.sentence == "The upload could not be recorded."
    assert server.seen[0].received < server.seen[0].length


# --- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["longer", "shorter", "touched", "gone"])
def test_a_file_that_changes_on_the_way_is_not_completed(model: Path, change: str) -> None:
    def script(exchange: Exchange) -> None:
        exchange.read_body(3 * MIB, keep=False)
        size = model.stat().st_size
        if change == "longer":
            with model.open("ab") as file:
                file.write(b"more")
        elif change == "shorter":
            os.truncate(model, size - 2 * MIB)
        elif change == "touched":
            os.utime(model, (1, 1))
        elif change == "gone":
            model.unlink()
        exchange.read_body(keep=False)

    with FaultServer(script) as server, pytest.raises(ProblemError) as caught:
        submit(server, model)
    assert not isinstance(caught.value, Lost) and submit.marks == []  # type: ignore[attr-defined]
    assert caught.value.problem.category is Category.INPUT
    assert caught.value.problem.sentence in (
        "The file changed while it was being sent.",
        "“model.glb” cannot be read.",
    )


def test_empty_and_missing_files(tmp_path: Path) -> None:
    empty = tmp_path / "empty.glb"
    empty.touch()
    with pytest.raises(ProblemError) as caught:
        multipart(empty)
    assert caught.value.problem.sentence == "“empty.glb” is empty."
    with pytest.raises(ProblemError) as caught:
        multipart(tmp_path / "none.glb")
    assert caught.value.problem.sentence == "“none.glb” cannot be read."


def test_a_small_json_body_may_happen_once_too() -> None:
    marks: list[str] = []
    with FaultServer(whole(lambda exchange: exchange.reply(202, GOOD))) as server:
        upload = JsonUpload({"scene": "demo"}, before_last_piece=lambda: marks.append("x"))
        assert connect(server).once("/simulate", upload).data["id"] == "j1"
    assert json.loads(server.seen[0].body) == {"scene": "demo"} and marks == ["x"]
    assert server.seen[0].headers["content-type"] == "application/json"
