# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox as an HTTP server, over raw sockets: framing, keep-alive, refusals, hosts."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest

from bridge.sandbox import Sandbox
from bridge.sandbox.canned import tiny_glb

from .conftest import Api, MakeBox

PIECE = 64 * 1024


class Raw:
    """A connection on which a test writes the bytes itself."""

    def __init__(self, sock: socket.socket, file: BinaryIO, box: Sandbox) -> None:
        self.sock, self.file, self.box = sock, file, box

    def send(self, line: str, *headers: str, body: bytes = b"", host: str = "127.0.0.1") -> None:
        """A request: its first line, headers, Host and the key (unless Authorization is given)."""
        head = [line, *headers]
        if host:
            head.append(f"Host: {host}")
        if not any(name.startswith("Authorization") for name in headers):
            head.append(f"Authorization: Bearer {self.box.rigyd.api_key}")
        self.sock.sendall("\r\n".join([*head, "", ""]).encode() + body)

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers (lower case) of the next answer."""
        status = int(self.file.readline().split()[1])
        headers = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return status, headers

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer, with a body of known length."""
        status, headers = self.head()
        return status, headers, self.file.read(int(headers["content-length"]))

    def ended(self) -> bool:
        """Whether the server has closed the connection."""
        return self.file.read(1) == b""


@contextmanager
def raw(box: Sandbox) -> Iterator[Raw]:
    port = int(box.origin.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as sock,
        sock.makefile("rb") as f,
    ):
        yield Raw(sock, f, box)


def form(name: str = "chair.glb", data: bytes | None = None) -> tuple[str, bytes]:
    content = tiny_glb() if data is None else data
    body = (
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n--b--\r\n"
    )
    return "Content-Type: multipart/form-data; boundary=b", body


def test_it_listens_on_loopback_only(box: Sandbox) -> None:
    port = int(box.origin.rpartition(":")[2])
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    # Another address of this computer: a server on all addresses would answer here.
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", port), timeout=5)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8", "[::1]:80", "LOCALHOST"])
def test_loopback_host_names_are_served(box: Sandbox, host: str) -> None:
    with raw(box) as connection:
        connection.send("GET /rigyd/api/me HTTP/1.1", host=host)
        assert connection.answer()[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "10.0.0.1", ""]
)
def test_other_host_names_are_not(box: Sandbox, host: str) -> None:
    with raw(box) as connection:
        for path in ("/rigyd/api/me", "/_sandbox/journal", "/rigyd/assets/x/y/z"):
            connection.send(f"GET {path} HTTP/1.1", host=host)
            status, _, body = connection.answer()
            assert status == 403
            assert b"loopback" in body


def test_many_requests_share_a_connection(box: Sandbox) -> None:
    kind, body = form()
    with raw(box) as connection:
        for _ in range(3):
            connection.send("GET /rigyd/api/me HTTP/1.1")
            assert connection.answer()[0] == 200
            connection.send(
                "POST /rigyd/api/conversions HTTP/1.1", kind, f"Content-Length: {len(body)}",
                body=body,
            )  # fmt: skip
            assert connection.answer()[0] == 202
    assert box.journal()["paid_submits"] == 3


def test_a_small_refused_body_leaves_the_connection_usable(box: Sandbox) -> None:
    kind, body = form(data=bytes(100_000))
    with raw(box) as connection:
        for headers in (["Authorization: Bearer wrong"], []):
            path = "conversions" if headers else "nothing"
            connection.send(
                f"POST /rigyd/api/{path} HTTP/1.1", kind, f"Content-Length: {len(body)}", *headers,
                body=body,
            )  # fmt: skip
            status, answer, _ = connection.answer()
            assert status in (401, 404)
            assert "connection" not in answer
            connection.send("GET /rigyd/api/me HTTP/1.1")
            assert connection.answer()[0] == 200


def test_a_large_refused_body_ends_the_connection_after_the_answer(box: Sandbox) -> None:
    size = 64 * 1024 * 1024
    with raw(box) as connection:
        connection.send(
            "POST /rigyd/api/conversions HTTP/1.1", f"Content-Length: {size}",
            "Authorization: Bearer wrong",
        )  # fmt: skip
        # The client goes on sending and can still read the answer: no reset.
        for _ in range(16):
            connection.sock.sendall(bytes(PIECE))
        status, headers, _ = connection.answer()
        assert status == 401
        assert headers["connection"] == "close"
        assert connection.ended()


def test_a_client_that_asks_first_is_told_before_it_sends(box: Sandbox) -> None:
    kind, body = form()
    length = f"Content-Length: {len(body)}"
    with raw(box) as connection:
        connection.send(
            "POST /rigyd/api/conversions HTTP/1.1", kind, length, "Expect: 100-continue"
        )
        status, headers = connection.head()
        assert (status, headers) == (100, {})
        connection.sock.sendall(body)
        assert connection.answer()[0] == 202
        connection.send(
            "POST /rigyd/api/conversions HTTP/1.1", kind, length, "Expect: 100-continue",
            "Authorization: Bearer wrong",
        )  # fmt: skip
        status, headers, _ = connection.answer()
        assert status == 401
        assert headers["connection"] == "close"


def test_chunked_bodies(box: Sandbox) -> None:
    kind, body = form()
    with raw(box) as connection:
        connection.send("POST /rigyd/api/conversions HTTP/1.1", kind, "Transfer-Encoding: chunked")
        for start in range(0, len(body), 7):
            piece = body[start : start + 7]
            connection.sock.sendall(b"%x;note=1\r\n%b\r\n" % (len(piece), piece))
        connection.sock.sendall(b"0\r\nTrailer: x\r\n\r\n")
        assert connection.answer()[0] == 202
        connection.send("GET /rigyd/api/me HTTP/1.1")
        assert connection.answer()[0] == 200
    job = box.rigyd.store.page(1, 1)[0][0]
    assert job.doc["file_size_bytes"] == len(tiny_glb())


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: -5"],
        ["Content-Length: five"],
    ],
)
def test_ambiguous_framing_is_refused(box: Sandbox, headers: list[str]) -> None:
    with raw(box) as connection:
        connection.send("POST /rigyd/api/conversions HTTP/1.1", *headers, body=b"hello")
        status, answer, _ = connection.answer()
        assert status == 400
        assert answer["connection"] == "close"
        assert connection.ended()


@pytest.mark.parametrize("body", [b"zz\r\n", b"5\r\nhelloXX\r\n", b"5" * 300])
def test_broken_chunks_are_refused(box: Sandbox, body: bytes) -> None:
    kind, _ = form()
    with raw(box) as connection:
        connection.send(
            "POST /rigyd/api/conversions HTTP/1.1", kind, "Transfer-Encoding: chunked", body=body
        )
        assert connection.answer()[0] == 400
        assert connection.ended()
    assert box.journal()["paid_submits"] == 0


def test_a_body_that_ends_early_creates_nothing(box: Sandbox) -> None:
    kind, body = form()
    for missing in (1, len(body) - 10):
        with raw(box) as connection:
            connection.send(
                "POST /rigyd/api/conversions HTTP/1.1", kind, f"Content-Length: {len(body)}",
                body=body[:-missing],
            )  # fmt: skip
            connection.sock.shutdown(socket.SHUT_WR)
            assert connection.ended()
    journal = box.journal()
    assert journal["paid_submits"] == 0
    assert [entry["body_complete"] for entry in journal["requests"]] == [False, False]
    assert list((box.state_dir / "rigyd" / "incoming").glob("*")) == []


def test_head_has_the_headers_and_no_body(api: Api, box: Sandbox) -> None:
    identifier = api.accepted()
    api.until(identifier)
    for path in ("/me", "/conversions", f"/conversions/{identifier}", "/nothing"):
        head, get = api.call("HEAD", path), api.get(path)
        assert head.status_code == get.status_code
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
        assert head.content == b""
    result = api.call("HEAD", f"/conversions/{identifier}/result")
    assert result.status_code == 200
    assert result.headers["Content-Type"] == "application/zip"
    with raw(box) as connection:
        connection.send(f"HEAD /rigyd/api/conversions/{identifier}/result HTTP/1.1")
        assert connection.head()[0] == 200
        connection.send("GET /rigyd/api/me HTTP/1.1")
        assert connection.answer()[0] == 200


def test_http_1_0_gets_an_unchunked_result(api: Api, box: Sandbox) -> None:
    identifier = api.accepted()
    api.until(identifier)
    expected = api.get(f"/conversions/{identifier}/result").content
    with raw(box) as connection:
        connection.send(f"GET /rigyd/api/conversions/{identifier}/result HTTP/1.0", host="")
        status, headers = connection.head()
        assert status == 200
        assert "transfer-encoding" not in headers
        assert connection.file.read() == expected


def test_an_upload_never_lies_in_memory(make_box: MakeBox) -> None:
    """300 MB through the sandbox in this process: its memory grows by a few pieces only."""
    resource = pytest.importorskip("resource")
    box = make_box()
    size = 300 * 1024 * 1024
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.glb"\r\n\r\n'
    tail = b"\r\n--b--\r\n"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with raw(box) as connection:
        connection.send(
            "POST /rigyd/api/conversions HTTP/1.1", "Content-Type: multipart/form-data; boundary=b",
            f"Content-Length: {len(head) + size + len(tail)}", body=head,
        )  # fmt: skip
        piece = bytes(1024 * 1024)
        for _ in range(size // len(piece)):
            connection.sock.sendall(piece)
        connection.sock.sendall(tail)
        status, _, body = connection.answer()
    assert status == 202, body
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 32 * 1024, f"{grown} KiB"


def test_the_journal_needs_a_key_and_never_shows_one(api: Api, box: Sandbox) -> None:
    api.accepted()
    port = int(box.origin.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/_sandbox/journal")
        assert connection.getresponse().status == 401
        connection.close()
        bearer = {"Authorization": f"Bearer {box.rigyd.api_key}"}
        connection.request("GET", "/_sandbox/journal", headers=bearer)
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    journal = json.loads(text)
    assert journal["paid_submits"] == 1
    submit = journal["requests"][0]
    assert submit["method"] == "POST"
    assert submit["path"] == "/rigyd/api/conversions"
    assert submit["status"] == 202
    assert submit["authorization"] is True
    assert submit["paid"] == 1
    assert submit["body_complete"] is True
    assert box.rigyd.api_key not in text
    assert journal["requests"][1]["authorization"] is False
