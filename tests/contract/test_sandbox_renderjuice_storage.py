# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's object storage: signed URLs, what they refuse, byte ranges, faults on the bytes."""

from __future__ import annotations

import http.client
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
import requests

from bridge.problems import Category, ProblemError
from bridge.sandbox import Sandbox, renderjuice_files, renderjuice_scene
from bridge.sandbox.renderjuice_canned import TINY_BLEND, CannedRenderer

from .conftest import MakeBox
from .juice import Juice

JuiceOf = Callable[[Sandbox], Juice]


def code(answer: requests.Response, status: int) -> str:
    """The code of an object store's refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/xml"
    found = ElementTree.fromstring(answer.content).findtext("Code")
    assert found
    return found


def raw_put(url: str, *headers: str, body: bytes = b"") -> tuple[int, bytes]:
    """A PUT whose headers a test writes itself."""
    target = urlsplit(url)
    with socket.create_connection(("127.0.0.1", target.port or 80), timeout=30) as sock:
        lines = [f"PUT {target.path}?{target.query} HTTP/1.1", "Host: 127.0.0.1", *headers]
        sock.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        return answer.status, answer.read()


# -- uploading -------------------------------------------------------------------------------------


def test_a_presigned_put_takes_the_bytes_once(juice: Juice, box: Sandbox) -> None:
    target = juice.target()
    query = parse_qs(urlsplit(target["uploadUrl"]).query)
    assert query["X-Amz-SignedHeaders"] == ["host"]
    answer = juice.put(target["uploadUrl"])
    assert answer.status_code == 200 and answer.content == b""
    assert answer.headers["ETag"]
    stored = box.state_dir / "renderjuice/uploads" / target["slug"]
    assert stored.read_bytes() == TINY_BLEND
    assert code(juice.put(target["uploadUrl"], b"other"), 403) == "AccessDenied"
    box.set_faults({"ways": {"puts": "again"}})
    assert juice.put(target["uploadUrl"], b"other").status_code == 200
    assert stored.read_bytes() == b"other"
    assert juice.post("/jobs", {"slug": target["slug"]}).status_code == 200
    assert code(juice.put(target["uploadUrl"]), 403) == "AccessDenied", "its job is made"


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        ({"Authorization": "Bearer RJ-x"}, 400, "InvalidArgument"),
        ({"Content-Type": "application/octet-stream"}, 403, "SignatureDoesNotMatch"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 403, "SignatureDoesNotMatch"),
        ({"x-amz-acl": "public-read"}, 403, "AccessDenied"),
    ],
)
def test_a_put_with_a_header_too_many_is_refused(
    juice: Juice, headers: dict[str, str], status: int, expected: str
) -> None:
    url = juice.target()["uploadUrl"]
    assert code(juice.put(url, **headers), status) == expected
    assert juice.put(url).status_code == 200, "and has used nothing up"


@pytest.mark.parametrize(
    ("name", "kind"), [("a.blend", "application/octet-stream"), ("a.zip", "application/zip")]
)
def test_a_signed_content_type_has_to_be_sent(
    make_box: MakeBox, juice_of: JuiceOf, name: str, kind: str
) -> None:
    juice = juice_of(make_box(ways={"signed_headers": "content-type"}))
    url = juice.target(name, name.rpartition(".")[2])["uploadUrl"]
    assert parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"] == ["content-type;host"]
    assert code(juice.put(url), 403) == "SignatureDoesNotMatch"
    assert code(juice.put(url, **{"Content-Type": "text/plain"}), 403) == "SignatureDoesNotMatch"
    assert juice.put(url, **{"Content-Type": kind}).status_code == 200


def test_a_url_opens_only_what_it_was_signed_for(juice: Juice) -> None:
    url, other = juice.target()["uploadUrl"], juice.target()["uploadUrl"]
    wrong = [
        url.replace("-Signature=", "-Signature=0"),
        url.partition("?")[0],
        url.partition("?")[0] + "?" + urlsplit(other).query,
        url.replace("X-Amz-Expires=3600", "X-Amz-Expires=9999999"),
    ]
    for bad in wrong:
        assert code(juice.put(bad), 403) == "SignatureDoesNotMatch"
    assert code(juice.fetch(url), 403) == "SignatureDoesNotMatch"
    assert juice.storage.head(url, timeout=30).status_code == 403


def test_an_upload_needs_an_exact_length_below_the_limit(juice: Juice) -> None:
    url = juice.target()["uploadUrl"]
    status, body = raw_put(url, "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n")
    assert (status, b"MissingContentLength" in body) == (411, True)
    # Refused by the announced length, before one byte of five gibibytes travels.
    status, body = raw_put(url, f"Content-Length: {5 << 30}")
    assert (status, b"EntityTooLarge" in body) == (400, True)
    status, _ = raw_put(url, f"Content-Length: {5 << 30}", "Expect: 100-continue")
    assert status == 400
    juice.box.set_faults({"max_upload_bytes": 100})
    assert code(juice.put(url, bytes(100)), 400) == "EntityTooLarge"
    assert juice.put(url, bytes(99)).status_code == 200


def test_a_put_that_breaks_off_leaves_nothing(juice: Juice, box: Sandbox) -> None:
    target = juice.target()
    url = urlsplit(target["uploadUrl"])
    with socket.create_connection(("127.0.0.1", url.port or 80), timeout=30) as sock:
        sock.sendall(
            f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Length: 1000\r\n\r\n".encode()
            + bytes(900)
        )
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
    end = time.monotonic() + 60
    while list((box.state_dir / "renderjuice/uploads").glob("*")):
        assert time.monotonic() < end, "what came is kept"
        time.sleep(0.02)
    assert juice.post("/jobs", {"slug": target["slug"]}).status_code == 400


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_url_expires(make_box: MakeBox, juice_of: JuiceOf, seconds: int) -> None:
    juice = juice_of(make_box(ways={"upload_seconds": seconds, "download_seconds": 1}))
    target = juice.target()
    expires = datetime.fromisoformat(target["expiresAt"]).timestamp()
    while time.time() < expires:
        time.sleep(0.05)
    assert code(juice.put(target["uploadUrl"]), 403) == "AccessDenied"
    juice.box.set_faults({"ways": {"upload_seconds": 3600, "download_seconds": 3600}})
    identifier = juice.completed()
    juice.box.set_faults({"ways": {"download_seconds": 0}})
    (url, *_) = juice.downloads(identifier)["frames"]
    assert code(juice.fetch(url), 403) == "AccessDenied"
    juice.box.set_faults({"ways": {"download_seconds": 60}})
    assert juice.fetch(juice.downloads(identifier)["frames"][0]).status_code == 200


def test_uploads_do_not_fill_the_memory(juice: Juice, box: Sandbox) -> None:
    """Piece by piece to disk: ten times the pieces, the same memory."""
    import tracemalloc

    def upload(size: int) -> int:
        def pieces() -> Iterator[bytes]:
            for _ in range(size >> 20):
                yield bytes(1 << 20)

        url = juice.target()["uploadUrl"]
        prepared = requests.Request("PUT", url, data=pieces()).prepare()
        del prepared.headers["Transfer-Encoding"]
        prepared.headers["Content-Length"] = str(size)
        tracemalloc.reset_peak()
        assert juice.storage.send(prepared, timeout=120).status_code == 200
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        upload(1 << 20)
        assert upload(80 << 20) < 16 << 20
    finally:
        tracemalloc.stop()


# -- downloading -----------------------------------------------------------------------------------


@pytest.fixture
def frames(make_box: MakeBox, juice_of: JuiceOf) -> tuple[Juice, list[str]]:
    juice = juice_of(make_box(renderer=CannedRenderer((1, 2), padding=100_000)))
    return juice, juice.downloads(juice.completed())["frames"]


def test_ranges_and_entity_tags(frames: tuple[Juice, list[str]]) -> None:
    juice, (url, _) = frames
    whole = juice.fetch(url)
    tag, size = whole.headers["ETag"], len(whole.content)
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert int(whole.headers["Content-Length"]) == size > 100_000
    part = juice.fetch(url, Range="bytes=1000-1999")
    assert part.status_code == 206
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{size}"
    assert part.content == whole.content[1000:2000]
    assert juice.fetch(url, Range="bytes=99990-").content == whole.content[99990:]
    assert juice.fetch(url, Range=f"bytes={size}-").status_code == 416
    assert juice.fetch(url, Range="bytes=5-", **{"If-Range": tag}).status_code == 206
    assert juice.fetch(url, Range="bytes=5-", **{"If-Range": '"else"'}).status_code == 200


def test_a_key_sent_to_the_storage_is_refused(frames: tuple[Juice, list[str]]) -> None:
    juice, (url, _) = frames
    answer = juice.fetch(url, Authorization=f"Bearer {juice.box.renderjuice.api_key}")
    assert code(answer, 400) == "InvalidArgument"
    query = [
        entry["query"]
        for entry in juice.box.journal()["requests"]
        if "storage" in entry["path"]
    ]  # fmt: skip
    assert query and all(text.endswith("-Signature=***") for text in query)


def test_bytes_can_be_faulted_on_the_way(frames: tuple[Juice, list[str]]) -> None:
    juice, (url, other) = frames
    box = juice.box
    whole = juice.fetch(url).content
    outputs = {"service": "renderjuice", "method": "GET", "path": "/storage/jobs/**"}
    uploads = {"method": "PUT", "path": "/storage/uploads/*"}
    box.set_faults({"rules": [{**outputs, "times": 1, "truncate": "50%"}]})
    short = juice.fetch(url)
    assert short.status_code == 200 and short.content == whole[: len(whole) // 2]
    assert juice.fetch(url).content == whole
    box.set_faults({"rules": [{**outputs, "times": 1, "cut": "90%"}]})
    with pytest.raises(requests.RequestException):
        juice.fetch(url)
    box.set_faults({"rules": [{**outputs, "nth": 2, "expired": True}]})
    assert juice.fetch(url).status_code == 200
    assert code(juice.fetch(other), 403) == "AccessDenied"
    box.set_faults({"rules": [{**outputs, "times": 1, "html": True, "status": 200}]})
    assert juice.fetch(url).content.startswith(b"<html>")
    box.set_faults({"rules": [{**uploads, "times": 1, "cut_upload": "90%"}]})
    target = juice.target()
    with pytest.raises(requests.ConnectionError):
        juice.put(target["uploadUrl"], bytes(100_000))
    assert box.journal()["requests"][-1]["received"] == 90_000
    assert juice.put(target["uploadUrl"], bytes(100_000)).status_code == 200
    box.set_faults({"rules": [{**uploads, "expired": True}]})
    assert code(juice.put(juice.target()["uploadUrl"]), 403) == "AccessDenied"


def test_outputs_that_were_deleted(frames: tuple[Juice, list[str]]) -> None:
    juice, (url, _) = frames
    (job,) = juice.get("/jobs").json()["jobs"]
    headers = dict(juice.session.headers)
    purge = f"{juice.box.origin}/_sandbox/renderjuice/jobs/{job['id']}/purge"
    assert requests.post(purge, timeout=10).status_code == 401
    assert requests.post(purge, headers=headers, timeout=10).status_code == 200
    assert requests.post(purge, headers=headers, timeout=10).status_code == 404
    assert code(juice.fetch(url), 404) == "NoSuchKey"
    after = juice.job(job["id"])
    assert after["output"] == {"isDeletedForClient": True}
    assert after["status"] == "completed" and "previewUrl" not in after
    assert juice.downloads(job["id"])["frames"] == []


# -- archives --------------------------------------------------------------------------------------


def unpack(path: Path, folder: Path) -> Path:
    return renderjuice_scene.prepare(path, "zip", path.name, folder, lambda: False, keep=True)


def made(path: Path, fill: Callable[[zipfile.ZipFile], Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scene.blend", TINY_BLEND)
        fill(archive)
    return path


def bomb(archive: zipfile.ZipFile) -> None:
    with archive.open("zeros.bin", "w", force_zip64=True) as sink:
        for _ in range(64):
            sink.write(bytes(1 << 20))


def test_an_archive_that_grows_without_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path / "bomb.zip", bomb)
    assert unpack(path, tmp_path / "small").name == "scene.blend", "64 MiB are everyday"
    monkeypatch.setattr(renderjuice_scene, "_RATIO_FROM", 32 << 20)
    with pytest.raises(ProblemError, match="too large"):
        unpack(path, tmp_path / "ratio")
    monkeypatch.setattr(renderjuice_scene, "_RATIO_FROM", 1 << 40)
    monkeypatch.setattr(renderjuice_scene, "MAX_UNPACKED", 32 << 20)
    with pytest.raises(ProblemError, match="too large") as caught:
        unpack(path, tmp_path / "size")
    assert caught.value.problem.category is Category.INPUT
    assert not (tmp_path / "size").exists()


def test_members_that_would_leave_their_folder_are_refused(tmp_path: Path) -> None:
    def link(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc")

    fills: list[Callable[[zipfile.ZipFile], Any]] = [link]
    for name in ("../x", "a/../../x", "/x", "C:/x", "a\\b", "a\x01b"):
        fills.append(lambda archive, name=name: archive.writestr(name, b"x"))  # type: ignore[misc]
    for number, fill in enumerate(fills):
        with pytest.raises(ProblemError, match="unsafe path"):
            unpack(made(tmp_path / f"{number}.zip", fill), tmp_path / f"to{number}")
    assert not list(tmp_path.rglob("x"))


def test_the_signature_is_the_folders_own(
    make_box: MakeBox, juice_of: JuiceOf, tmp_path: Path
) -> None:
    one, two = juice_of(make_box()), juice_of(make_box(tmp_path / "two"))
    url = one.target()["uploadUrl"].replace(one.box.origin, two.box.origin)
    assert code(two.put(url), 403) == "SignatureDoesNotMatch"
    assert renderjuice_files.MAX_UPLOAD == 5 * 1024**3
