# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads: whole or not at all, continued where the host can, checked in size."""

from __future__ import annotations

import errno
import gzip
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge import paths
from bridge.disk import disk_problem
from bridge.faults import HttpError
from bridge.http import Http
from bridge.problems import Canceled, Category, ProblemError
from bridge.settings import Settings
from bridge.transfer import download
from tests.tools.faultserver import Exchange, FaultServer

KEY = "rgyd_test_" + "k" * 43
DATA = os.urandom(3_000_000)
FAST = Settings(connect_seconds=2, read_seconds=1, retries=3, retry_cap_seconds=0.02)


def connect(server: FaultServer, settings: Settings = FAST) -> Http:
    return Http(server.url, KEY, settings=settings, label="Rigyd")


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def sized(data: bytes = DATA, **headers: str) -> Callable[[Exchange], None]:
    def script(exchange: Exchange) -> None:
        exchange.reply(200, data, {"Content-Type": "application/zip", **headers})

    return script


def test_a_sized_download(tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    dest = tmp_path / "new folder" / "result.zip"
    with FaultServer(sized()) as server:
        size = download(
            connect(server),
            "/result",
            dest,
            params={"format": "usd"},
            on_progress=lambda done, total: progress.append((done, total)),
        )
    assert size == len(DATA) and dest.read_bytes() == DATA and left_in(dest.parent) == [dest.name]
    assert progress[-1] == (len(DATA), len(DATA)) and progress == sorted(progress)
    assert server.seen[0].target == "/result?format=usd"
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.seen[0].headers["accept-encoding"] == "identity"


def test_no_key_for_another_host(tmp_path: Path) -> None:
    with FaultServer(sized(b"asset")) as assets:
        http = Http("https://api.example/api", KEY, settings=FAST)
        download(http, f"{assets.url}/f.usd?Signature=deadbeef01", tmp_path / "f.usd")
    assert "authorization" not in assets.seen[0].headers
    assert KEY not in str(assets.seen[0].headers)


def chunked(data: bytes, *, end: bool = True, headers: str = "") -> bytes:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + headers.encode() + b"\r\n"
    for at in range(0, len(data), 100_000):
        piece = data[at : at + 100_000]
        raw += f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    return raw + (b"0\r\n\r\n" if end else b"")


def test_a_streamed_download_without_a_size(tmp_path: Path) -> None:
    totals = set()
    with FaultServer(lambda exchange: exchange.send(chunked(DATA))) as server:
        download(
            connect(server),
            "/r",
            tmp_path / "r",
            on_progress=lambda _done, total: totals.add(total),
        )
    assert (tmp_path / "r").read_bytes() == DATA and totals == {0}


@pytest.mark.parametrize("where", ["in a chunk", "between chunks"])
def test_a_truncated_stream_is_fetched_again_from_zero(tmp_path: Path, where: str) -> None:
    cut = chunked(DATA, end=False)
    if where == "in a chunk":
        cut = cut[:-5000]

    def script(exchange: Exchange) -> None:
        exchange.send(cut if exchange.number < 3 else chunked(DATA))

    with FaultServer(script) as server:
        download(connect(server), "/r", tmp_path / "r")
    assert (tmp_path / "r").read_bytes() == DATA
    assert all("range" not in exchange.headers for exchange in server.seen)


def test_a_stream_that_is_always_cut_leaves_nothing(tmp_path: Path) -> None:
    with (
        FaultServer(lambda exchange: exchange.send(chunked(DATA, end=False))) as server,
        pytest.raises(HttpError) as caught,
    ):
        download(connect(server), "/r", tmp_path / "r")
    assert caught.value.problem.sentence == "The connection to Rigyd was lost."
    assert caught.value.transient and len(server.seen) == 1 + FAST.retries
    assert left_in(tmp_path) == []


def ranged(tag: str = '"v1"', cut: int = 700_000, whole: bool = False) -> Any:
    """A host that breaks off after ``cut`` bytes each time and knows ranges (unless ``whole``)."""

    def script(exchange: Exchange) -> None:
        start = 0
        head = "HTTP/1.1 200 OK\r\n"
        asked = exchange.headers.get("range")
        if asked and not whole and exchange.headers.get("if-range") == tag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            head = "HTTP/1.1 206 Partial Content\r\n"
            head += f"Content-Range: bytes {start}-{len(DATA) - 1}/{len(DATA)}\r\n"
        head += f"Content-Length: {len(DATA) - start}\r\nETag: {tag}\r\n\r\n"
        exchange.send(head.encode() + DATA[start : start + cut])

    return script


def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with FaultServer(ranged()) as server:
        # More breaks than retries: it goes on for as long as each round brings something.
        download(connect(server, Settings(retries=1, retry_cap_seconds=0)), "/r", tmp_path / "r")
    assert (tmp_path / "r").read_bytes() == DATA and left_in(tmp_path) == ["r"]
    assert len(server.seen) == 5
    assert [exchange.headers.get("range") for exchange in server.seen] == [
        None,
        *(f"bytes={700_000 * n}-" for n in range(1, 5)),
    ]


def test_it_also_goes_on_in_another_process(tmp_path: Path) -> None:
    stop = threading.Event()
    with FaultServer(ranged(cut=1_000_000)) as server:
        with pytest.raises(Canceled):
            download(
                connect(server),
                "/r",
                tmp_path / "r",
                on_progress=lambda done, _total: stop.set(),
                cancelled=stop.is_set,
            )
        kept = (tmp_path / "r.part").stat().st_size
        assert kept > 0 and not (tmp_path / "r").exists()
        download(connect(server), "/r", tmp_path / "r")
    assert server.seen[1].headers["range"] == f"bytes={kept}-"
    assert (tmp_path / "r").read_bytes() == DATA


def test_a_changed_file_is_not_glued_to_the_old_part(tmp_path: Path) -> None:
    (tmp_path / "r.part").write_bytes(b"old bytes")
    (tmp_path / "r.part.json").write_text('{"validator": "\\"v0\\""}')
    with FaultServer(ranged(tag='"v1"', cut=len(DATA))) as server:
        download(connect(server), "/r", tmp_path / "r")
    assert server.seen[0].headers["if-range"] == '"v0"'
    assert (tmp_path / "r").read_bytes() == DATA


def test_a_part_without_its_validator_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "r.part").write_bytes(b"from somewhere")
    with FaultServer(ranged(cut=len(DATA))) as server:
        download(connect(server), "/r", tmp_path / "r")
    assert "range" not in server.seen[0].headers and (tmp_path / "r").read_bytes() == DATA


def test_a_host_without_ranges_sends_it_all_again(tmp_path: Path) -> None:
    count = [0]

    def script(exchange: Exchange) -> None:
        count[0] += 1
        ranged(cut=700_000 if count[0] == 1 else len(DATA), whole=True)(exchange)

    with FaultServer(script) as server:
        download(connect(server), "/r", tmp_path / "r")
    assert server.seen[1].headers["range"] and (tmp_path / "r").read_bytes() == DATA


def test_a_wrong_range_is_not_used(tmp_path: Path) -> None:
    def script(exchange: Exchange) -> None:
        if exchange.number == 1:
            ranged()(exchange)
        elif exchange.number == 2:
            exchange.reply(206, DATA[5:], {"Content-Range": f"bytes 5-{len(DATA) - 1}/{len(DATA)}"})
        else:
            exchange.reply(200, DATA)

    with FaultServer(script) as server:
        download(connect(server), "/r", tmp_path / "r")
    assert (tmp_path / "r").read_bytes() == DATA and "range" not in server.seen[2].headers


def test_a_part_that_no_longer_fits_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "r.part").write_bytes(b"x" * (len(DATA) + 10))
    (tmp_path / "r.part.json").write_text('{"validator": "\\"v1\\""}')

    def script(exchange: Exchange) -> None:
        if "range" in exchange.headers:
            exchange.reply(416, b"", {"Content-Range": f"bytes */{len(DATA)}"})
        else:
            exchange.reply(200, DATA)

    with FaultServer(script) as server:
        download(connect(server), "/r", tmp_path / "r")
    assert (tmp_path / "r").read_bytes() == DATA


def test_an_unexpected_size_is_a_problem(tmp_path: Path) -> None:
    with FaultServer(sized()) as server, pytest.raises(ProblemError) as caught:
        download(connect(server), "/r", tmp_path / "r", expected_size=len(DATA) + 1)
    assert caught.value.problem.sentence == "The result at Rigyd does not have the announced size."
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("stream", [False, True])
def test_too_much_is_not_taken(tmp_path: Path, stream: bool) -> None:
    script = (lambda exchange: exchange.send(chunked(DATA))) if stream else sized()
    with FaultServer(script) as server, pytest.raises(ProblemError) as caught:
        download(connect(server), "/r", tmp_path / "r", max_bytes=1_000_000)
    assert caught.value.problem.category is Category.LIMIT and left_in(tmp_path) == []


def test_a_packed_answer_is_unpacked(tmp_path: Path) -> None:
    packed = gzip.compress(b"text " * 100_000)
    with FaultServer(sized(packed, **{"Content-Encoding": "gzip", "ETag": '"z"'})) as server:
        download(connect(server), "/r", tmp_path / "r")
    assert (tmp_path / "r").read_bytes() == b"text " * 100_000


def test_an_error_answer_keeps_its_words_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        FaultServer(lambda exchange: exchange.reply(404, b'{"error": "No such thing"}')) as server,
        pytest.raises(HttpError) as caught,
    ):
        download(connect(server), "/r", tmp_path / "r")
    assert caught.value.message == "No such thing" and left_in(tmp_path) == []


def test_silence_in_the_middle_is_noticed(tmp_path: Path) -> None:
    def script(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello")
        exchange.released.wait(20)

    settings = Settings(read_seconds=0.3, retries=0)
    with FaultServer(script) as server, pytest.raises(HttpError) as caught:
        download(connect(server, settings), "/r", tmp_path / "r")
    assert caught.value.problem.category is Category.NETWORK and left_in(tmp_path) == []


def test_a_cancel_is_heard_on_a_slow_line(tmp_path: Path) -> None:
    stop = threading.Event()

    def progress(done: int, _total: int) -> None:
        if done > 20:
            stop.set()

    def script(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while not exchange.released.wait(0.02):
            exchange.send(b"drip")

    with FaultServer(script) as server, pytest.raises(Canceled):
        download(
            connect(server),
            "/r",
            tmp_path / "r",
            on_progress=progress,
            cancelled=stop.is_set,
        )
    assert left_in(tmp_path) == []


def test_too_little_room_is_seen_before_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "free_space", lambda _folder: 1_000_000)
    with FaultServer(sized()) as server, pytest.raises(ProblemError) as caught:
        download(connect(server), "/r", tmp_path / "r")
    assert caught.value.problem.category is Category.DISK
    assert caught.value.problem.sentence == (
        "There is too little disk space to download the result."
    )
    assert "Free at least" in caught.value.problem.hint and left_in(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on file sizes")
def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with FaultServer(sized()) as server, pytest.raises(ProblemError) as caught:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
        try:
            download(connect(server), "/r", tmp_path / "r")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.problem.sentence == "The disk is full."
    assert "Free some space" in caught.value.problem.hint
    assert left_in(tmp_path) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with FaultServer(sized()) as server, pytest.raises(ProblemError) as caught:
        download(connect(server), "/r", tmp_path / "file" / "r")
    assert caught.value.problem.category is Category.DISK
    assert caught.value.problem.sentence == "“r” cannot be written."
    full = disk_problem(OSError(errno.ENOSPC, "No space left"), tmp_path / "r").problem
    assert full.sentence == "The disk is full."
