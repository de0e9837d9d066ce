# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Renderjuice job offers, in every shape, and how it is fetched: whole, resumed, renewed."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.faults import HttpError
from bridge.frames import parse
from bridge.problems import Canceled, Category, ProblemError
from bridge.services.renderjuice.client import RenderjuiceClient, connection
from bridge.services.renderjuice.downloads import (
    Downloads,
    Output,
    fetch_all,
    frame_numbers,
    missing_frames,
    read_downloads,
)
from bridge.settings import Settings
from tests.tools.faultserver import Exchange, FaultServer

KEY = "RJ-" + "k" * 40
FAST = Settings(connect_seconds=5, read_seconds=5, retries=1, retry_cap_seconds=0.02)
HOST = "https://files.example/x"


def png(number: int = 0, size: int = 40) -> bytes:
    """A whole PNG of ``size`` x ``size`` grey pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        raw = kind + data
        return len(data).to_bytes(4, "big") + raw + zlib.crc32(raw).to_bytes(4, "big")

    rows = b"".join(
        b"\x00" + bytes((number + x * y) % 256 for x in range(size)) for y in range(size)
    )
    head = size.to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows, 0))
        + chunk(b"IEND", b"")
    )


# --- the list ------------------------------------------------------------------------------------


def output(name: str, **more: Any) -> dict[str, Any]:
    return {"url": f"{HOST}/{name}?token=abc", "fileName": name, "legacy": False} | more


def empty(**more: Any) -> dict[str, Any]:
    return {"frames": [], "compositeNodes": [], "transforms": {}} | more


def paths(outputs: list[Output]) -> list[str]:
    return [item.path for item in outputs]


def test_nothing_yet() -> None:
    for body in (empty(), {}, empty(transforms=None), empty(frames=None), empty(frameOutputs=7)):
        assert read_downloads(body).empty


def test_legacy_addresses_alone() -> None:
    found = read_downloads(
        empty(
            frames=[f"{HOST}/a/frame_0001.png?sig=1", f"{HOST}/a/frame%200002.png", 7, "", "no"],
            compositeNodes=[f"{HOST}/n/glare_0001.exr"],
        )
    )
    assert paths(found.frames) == ["frame_0001.png", "frame 0002.png"]
    assert paths(found.passes) == ["glare_0001.exr"]
    assert all(item.legacy for item in found.frames)


def test_what_both_lists_name_is_there_once() -> None:
    found = read_downloads(
        empty(
            frames=[f"{HOST}/frame_000{n}.png?sig={n}" for n in (1, 2)],
            frameOutputs=[output("frame_0001.png"), output("Frame_0002.PNG")],
        )
    )
    assert paths(found.frames) == ["frame_0001.png", "Frame_0002.PNG"]
    # Hashes instead of names in the old list: the new one is complete, so it counts.
    found = read_downloads(empty(frames=[f"{HOST}/8f3a"], frameOutputs=[output("frame_0001.png")]))
    assert paths(found.frames) == ["frame_0001.png"]
    # Where the new list lacks something, the old one fills in.
    found = read_downloads(
        empty(
            frames=[f"{HOST}/frame_000{n}.png" for n in (1, 2, 3)],
            frameOutputs=[output("frame_0002.png")],
        )
    )
    assert sorted(paths(found.frames)) == [f"frame_000{n}.png" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"{HOST}/out.mp4?t=1", ["out.mp4"]),
        (output("out.mp4"), ["out.mp4"]),
        ([output("a.mp4"), output("b.mp4")], ["a.mp4", "b.mp4"]),
        ({"left.mp4": f"{HOST}/1?t=1", "right.mp4": f"{HOST}/2"}, ["left.mp4", "right.mp4"]),
        ({"main": output("out.mp4")}, ["out.mp4"]),
        ({"outputs": [f"{HOST}/out.mp4"]}, ["out.mp4"]),
        ({}, []),
        ([], []),
        (None, []),
        ("", []),
        (False, []),
        ({"url": None}, []),
        ({"status": "pending"}, []),
        ([[[[[[f"{HOST}/deep.mp4"]]]]]], []),
    ],
)
@pytest.mark.parametrize("field", ["video", "framesZip", "framesZipOutputs"])
def test_transforms_in_every_shape(field: str, value: Any, expected: list[str]) -> None:
    found = read_downloads(empty(transforms={field: value}))
    group = found.videos if field == "video" else found.frame_zips
    assert paths(group) == expected


def test_a_zip_in_both_fields_is_there_once() -> None:
    transforms = {
        "framesZip": f"{HOST}/frames.zip?sig=1",
        "framesZipOutputs": output("frames.zip"),
        "compositeNodesZip": f"{HOST}/nodes.zip",
        "compositeNodesZipOutputs": [output("nodes.zip")],
    }
    found = read_downloads(empty(transforms=transforms))
    assert paths(found.frame_zips) == ["frames.zip"] and paths(found.pass_zips) == ["nodes.zip"]
    assert [item.kind for item in found.wanted()] == ["frame_zip", "pass_zip"]
    found = read_downloads(empty(transforms=transforms, frames=[f"{HOST}/f_1.png"]))
    assert [item.kind for item in found.wanted()] == ["frame", "pass_zip"]


def test_folders_and_nodes() -> None:
    found = read_downloads(
        empty(
            frameOutputs=[
                output(f"f_000{n}.exr", relativePath=f"output/frames/f_000{n}.exr") for n in (1, 2)
            ],
            compositeNodeOutputs=[
                output("0001.exr", relativePath="output/Glare", compositeNodeName="Glare"),
                output("0001.exr", relativePath="output/Ma/sk", compositeNodeName="Ma/sk"),
            ],
        )
    )
    assert paths(found.frames) == ["f_0001.exr", "f_0002.exr"]
    assert paths(found.passes) == ["Glare/0001.exr", "Ma_sk/Ma/sk/0001.exr"]


def test_stereo_views_do_not_overwrite_each_other() -> None:
    found = read_downloads(
        empty(
            frameOutputs=[
                output("0001.png", view="left"),
                output("0001.png", view="right", url=f"{HOST}/r/0001.png"),
                output("0001.PNG", url=f"{HOST}/other"),
            ]
        )
    )
    assert paths(found.frames) == ["0001.png", "right/0001.png", "more_2/0001.PNG"]


@pytest.mark.parametrize(
    ("relative", "name", "expected"),
    [
        ("../../../etc", "passwd.png", "etc/passwd.png"),
        ("/abs/a.png", "a.png", "abs/a.png"),
        ("C:\\Windows\\System32", "x.png", "Windows/System32/x.png"),
        ("", "..\\..\\x.png", "x.png"),
        ("", "C:x.png", "x.png"),
        ("\\\\server\\share", "x.png", "server/share/x.png"),
        ("", "con.png", "_con.png"),
        ("", "ab:c?.png", "ab_c_.png"),
        ("", "x.png. .", "x.png"),
        ("..", "..", "frame_2"),
        ("", "\ud800.png", "_.png"),
        ("", "é" * 300 + ".png", "é" * 98 + ".png"),
        ("a/" * 50, "x.png", "a/" * 8 + "x.png"),
    ],
)
def test_names_from_the_server_are_made_safe(relative: str, name: str, expected: str) -> None:
    other = output("other.txt", relativePath="elsewhere/other.txt")
    body = empty(frameOutputs=[other, output(name, relativePath=relative, url=f"{HOST}/?t=1")])
    found = read_downloads(body).frames[1]
    assert found.path == expected


def test_names_that_differ_only_in_case_or_form() -> None:
    names = ["A.png", "a.png", "\u00e9.png", "e\u0301.png"]
    body = empty(frameOutputs=[output(n, url=f"{HOST}/{i}") for i, n in enumerate(names)])
    assert len({path.casefold() for path in paths(read_downloads(body).frames)}) == 4


def test_addresses_do_not_show() -> None:
    assert "token" not in repr(read_downloads(empty(frameOutputs=[output("a.png")])))


# --- which frames --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["frame_0001.png", "frame_0002.png"], [1, 2]),
        (["0007.exr"], [7]),
        (["shot2_v03_0012.png", "shot2_v03_0013.png"], [12, 13]),
        (["0001_v2.png", "0002_v2.png"], [1, 2]),
        (["-0005.png", "0000.png", "0001.png"], [-5, 0, 1]),
        (["frame_-0005.png", "frame_0001.png"], [-5, 1]),
        (["frame-0005.png", "frame-0006.png"], [5, 6]),
        (["a/0001.png", "a/0010000.png"], [1, 10000]),
        (["final.png"], []),
        ([], []),
    ],
)
def test_frame_numbers(names: list[str], numbers: list[int]) -> None:
    assert list(frame_numbers(names)) == numbers


def test_what_was_asked_decides_about_a_minus() -> None:
    names = ["frame-0005.png", "frame-0004.png"]
    assert list(frame_numbers(names, parse("-5--4"))) == [-5, -4]
    assert list(frame_numbers(names, parse("1-10"))) == [4, 5]


def test_a_frame_counts_when_every_view_has_it() -> None:
    outputs = [Output("", "0001_L.png", view="left"), Output("", "0002_L.png", view="left")]
    assert list(frame_numbers([*outputs, Output("", "0002_R.png", view="right")])) == [2]


def test_missing_frames() -> None:
    got = frame_numbers(["0001.png", "0002.png", "0009.png"])
    assert missing_frames(parse("1-5"), got).text() == "3-5"
    assert not missing_frames(parse("1-2"), got)


# --- fetching ------------------------------------------------------------------------------------


class Farm:
    """The API and the storage on one port: ``files`` by name, ``script`` may meddle with one."""

    def __init__(self, names: list[str], size: int = 40) -> None:
        self.files = {name: png(n, size) for n, name in enumerate(names)}
        self.token = "t1"
        self.lists = 0
        self.served: dict[str, int] = {}
        self.meddle: Callable[[Exchange, str, bytes], bool] = lambda *_: False
        self.transforms: dict[str, Any] = {}
        self.server = FaultServer(self.script)
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Farm:
        self.server.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.server.__exit__(*exc)

    def url(self, name: str) -> str:
        return f"{self.server.url}/store/{name}?X-Amz-Signature={self.token}"

    def client(self, settings: Settings = FAST) -> RenderjuiceClient:
        return RenderjuiceClient(connection(self.server.url, KEY, settings=settings))

    def body(self) -> dict[str, Any]:
        outputs = [
            {"url": self.url(name), "fileName": name}
            for name in self.files
            if not name.endswith(".zip")
        ]
        return empty(frameOutputs=outputs, transforms=self.transforms)

    def script(self, exchange: Exchange) -> None:
        parts = urlsplit(exchange.target)
        if parts.path.endswith("/downloads"):
            self.lists += 1
            assert exchange.headers["authorization"] == f"Bearer {KEY}"
            exchange.reply(200, json.dumps({"data": self.body()}).encode())
            return
        assert "authorization" not in exchange.headers and KEY not in str(exchange.headers)
        name = parts.path.rpartition("/")[2]
        with self._lock:
            self.served[name] = self.served.get(name, 0) + 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            data = self.files[name]
            if self.meddle(exchange, name, data):
                return
            if parts.query != f"X-Amz-Signature={self.token}":
                exchange.reply(403, b"<Error><Code>AccessDenied</Code></Error>")
                return
            exchange.reply(200, data, {"ETag": '"1"', "Content-Type": "image/png"})
        finally:
            with self._lock:
                self.at_once -= 1


def names(count: int) -> list[str]:
    return [f"frame_{n:04d}.png" for n in range(1, count + 1)]


def offered(farm: Farm) -> Downloads:
    return farm.client().downloads("j1")


def there(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_all_frames_come_several_at_a_time(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    progress: list[tuple[int, int]] = []
    main = threading.get_ident()
    with Farm(names(12)) as farm:
        gate = threading.Barrier(3)

        def together(_exchange: Exchange, name: str, _data: bytes) -> bool:
            if name in names(3):
                gate.wait(60)  # three at once, or never
            return False

        farm.meddle = together

        def on_file(path: Path, done: int, total: int) -> None:
            assert threading.get_ident() == main
            heard.append((path.name, done, total))

        arrived = fetch_all(
            farm.client(),
            "j1",
            offered(farm),
            tmp_path / "out",
            parallel=3,
            on_file=on_file,
            on_progress=lambda done, total: progress.append((done, total)),
            cancelled=lambda: threading.get_ident() != main,
        )
    assert there(tmp_path / "out") == names(12) and farm.most_at_once == 3
    assert [file.path.name for file in arrived] == names(12) and not arrived.failed
    assert [count for _name, count, _total in heard] == list(range(1, 13))
    assert {total for _name, _done, total in heard} == {12}
    assert {name for name, _done, _total in heard} == set(names(12))
    for n, name in enumerate(names(12)):
        assert (tmp_path / "out" / name).read_bytes() == png(n)
    assert progress[0] == (0, 0) and all(done <= total for done, total in progress)
    assert arrived[0].bytes == len(png()) and arrived[0].kind == "frame"


def test_what_is_there_is_not_fetched_twice(tmp_path: Path) -> None:
    stop = False

    def on_file(_path: Path, done: int, _total: int) -> None:
        nonlocal stop
        stop = done >= 4

    with Farm(names(8)) as farm:
        with pytest.raises(Canceled):
            fetch_all(
                farm.client(),
                "j1",
                offered(farm),
                tmp_path,
                parallel=1,
                on_file=on_file,
                cancelled=lambda: stop,
            )
        first = {name for name in names(8) if (tmp_path / name).is_file()}
        assert 4 <= len(first) < 8
        # One of them was touched since: it comes again. Cut off records do not matter.
        (tmp_path / "frame_0001.png").write_bytes(b"edited")
        with (tmp_path / ".j1.fetched").open("a") as record:
            record.write('{"mark": "')
        farm.served.clear()
        arrived = fetch_all(farm.client(), "j1", offered(farm), tmp_path)
    assert set(farm.served) == set(names(8)) - first | {"frame_0001.png"}
    assert [file.path.name for file in arrived] == names(8) and there(tmp_path) == names(8)
    assert (tmp_path / "frame_0001.png").read_bytes() == png(0)


def test_a_broken_line_goes_on_where_it_was(tmp_path: Path) -> None:
    big = png(1, 600)
    ranges: list[str] = []

    def break_off(exchange: Exchange, _name: str, data: bytes) -> bool:
        begin = exchange.headers.get("range", "")
        ranges.append(begin)
        head = f'ETag: "1"\r\nContent-Length: {len(data) - 100_000 * bool(begin)}\r\n\r\n'
        if not begin:
            exchange.send(b"HTTP/1.1 200 OK\r\n" + head.encode() + data[:100_000])
            return True
        head = f"Content-Range: bytes 100000-{len(data) - 1}/{len(data)}\r\n{head}"
        exchange.send(b"HTTP/1.1 206 Partial\r\n" + head.encode() + data[100_000:])
        return True

    with Farm(["frame_0001.png"]) as farm:
        farm.files["frame_0001.png"] = big
        farm.meddle = break_off
        fetch_all(farm.client(), "j1", offered(farm), tmp_path)
    assert (tmp_path / "frame_0001.png").read_bytes() == big
    assert ranges == ["", "bytes=100000-"]


@pytest.mark.parametrize("how", ["truncated", "page", "flipped"])
def test_a_damaged_frame_is_fetched_again(tmp_path: Path, how: str) -> None:
    def damage(exchange: Exchange, name: str, data: bytes) -> bool:
        if name != "frame_0002.png" or farm.served[name] > 1:
            return False
        bad = {
            "truncated": data[: len(data) // 2],
            "page": b"<html><title>Sign in</title></html>",
            "flipped": data[:600] + bytes([data[600] ^ 1]) + data[601:],
        }[how]
        exchange.reply(200, bad)
        return True

    with Farm(names(3)) as farm:
        farm.meddle = damage
        arrived = fetch_all(farm.client(), "j1", offered(farm), tmp_path)
    assert farm.served == {"frame_0001.png": 1, "frame_0002.png": 2, "frame_0003.png": 1}
    assert there(tmp_path) == names(3) and not arrived.failed
    assert (tmp_path / "frame_0002.png").read_bytes() == png(1)


def test_a_frame_that_stays_damaged_does_not_stop_the_others(tmp_path: Path) -> None:
    def damage(exchange: Exchange, name: str, data: bytes) -> bool:
        if name == "frame_0002.png":
            exchange.reply(200, data[:-20])
        return name == "frame_0002.png"

    with Farm(names(4)) as farm:
        farm.meddle = damage
        arrived = fetch_all(farm.client(), "j1", offered(farm), tmp_path)
        assert farm.served["frame_0002.png"] == 3
        assert [output.file_name for output, _problem in arrived.failed] == ["frame_0002.png"]
        assert arrived.failed[0][1].sentence == "“frame_0002.png” is not whole."
        left = [name for name in there(tmp_path) if not name.startswith(".")]
        assert left == ["frame_0001.png", "frame_0003.png", "frame_0004.png"]
        farm.meddle = lambda *_: False
        farm.served.clear()
        arrived = fetch_all(farm.client(), "j1", offered(farm), tmp_path)
    assert farm.served == {"frame_0002.png": 1} and not arrived.failed
    assert there(tmp_path) == names(4)


def test_nothing_whole_is_a_problem(tmp_path: Path) -> None:
    with Farm(names(2)) as farm:
        farm.meddle = lambda exchange, _name, data: bool(exchange.reply(200, data[:50])) or True
        with pytest.raises(ProblemError) as caught:
            fetch_all(farm.client(), "j1", offered(farm), tmp_path)
    assert caught.value.problem.category is Category.SERVICE


@pytest.mark.parametrize("status", [401, 403, 410])
def test_expired_addresses_are_asked_for_again(tmp_path: Path, status: int) -> None:
    def expire(exchange: Exchange, name: str, _data: bytes) -> bool:
        if exchange.target.endswith("=t1") and name > "frame_0002.png":
            farm.token = "t2"
            exchange.reply(status, b"<Error><Code>AccessDenied</Code></Error>")
            return True
        return False

    with Farm(names(6)) as farm:
        farm.meddle = expire
        listed = offered(farm)
        fetch_all(farm.client(), "j1", listed, tmp_path, parallel=2)
        assert farm.lists <= 3
    assert there(tmp_path) == names(6)


def test_addresses_that_never_work_end_it(tmp_path: Path) -> None:
    with Farm(names(5)) as farm:
        farm.meddle = lambda exchange, _name, _data: bool(exchange.reply(403, b"no")) or True
        with pytest.raises(HttpError) as caught:
            fetch_all(farm.client(), "j1", offered(farm), tmp_path)
        assert farm.lists <= 6
    assert caught.value.status == 403
    assert caught.value.problem.category is Category.SERVICE, "no key is at fault here"
    assert there(tmp_path) == []


def test_one_frame_that_is_gone(tmp_path: Path) -> None:
    def gone(exchange: Exchange, name: str, _data: bytes) -> bool:
        if name == "frame_0001.png":
            exchange.reply(404, b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>")
        return name == "frame_0001.png"

    with Farm(names(3)) as farm:
        farm.meddle = gone
        arrived = fetch_all(farm.client(), "j1", offered(farm), tmp_path)
    assert [file.path.name for file in arrived] == ["frame_0002.png", "frame_0003.png"]
    assert arrived.failed[0][1].technical == "HTTP 404; gone"


def test_a_storage_that_is_down(tmp_path: Path) -> None:
    with Farm(names(3)) as farm:
        farm.meddle = lambda exchange, *_: bool(exchange.reply(503, b"busy")) or True
        with pytest.raises(HttpError) as caught:
            fetch_all(farm.client(), "j1", offered(farm), tmp_path)
    assert caught.value.transient
    assert caught.value.problem.sentence == (
        "Renderjuice's storage is not available at the moment."
    )


def test_a_zip_stands_in_for_frames(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for n, name in enumerate(names(3)):
            archive.writestr(f"job/frames/{name}", png(n))
    with Farm([]) as farm:
        farm.files["frames.zip"] = buffer.getvalue()
        farm.transforms = {"framesZip": farm.url("frames.zip")}
        arrived = fetch_all(farm.client(), "j1", offered(farm), tmp_path)
        again = fetch_all(farm.client(), "j1", offered(farm), tmp_path)
    assert there(tmp_path) == names(3)
    assert [(file.path.name, file.kind) for file in arrived] == [(n, "frame") for n in names(3)]
    assert list(frame_numbers(file.output for file in arrived)) == [1, 2, 3]
    assert len(again) == 3


def test_compositor_outputs_get_a_folder_of_their_own(tmp_path: Path) -> None:
    with Farm(["frame_0001.png", "glare.png"]) as farm:
        listed = offered(farm)
        frame, other = listed.frames
        listed = read_downloads(
            empty(
                frameOutputs=[{"url": frame.url, "fileName": "frame_0001.png"}],
                compositeNodeOutputs=[
                    {"url": other.url, "fileName": "0001.png", "compositeNodeName": "Glare"}
                ],
                transforms={"video": {"url": other.url, "fileName": "frame_0001.PNG"}},
            )
        )
        fetch_all(farm.client(), "j1", listed, tmp_path)
    assert there(tmp_path) == ["frame_0001.png", "passes/Glare/0001.png", "video/frame_0001.PNG"]


def test_a_cancel_is_heard_while_the_line_is_silent(tmp_path: Path) -> None:
    began = threading.Event()

    def silent(exchange: Exchange, _name: str, _data: bytes) -> bool:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nabc")
        began.set()
        exchange.released.wait(60)
        return True

    with Farm(names(2)) as farm:
        farm.meddle = silent
        listed = offered(farm)
        start = time.monotonic()
        settings = Settings(connect_seconds=5, read_seconds=2, retries=0)
        with pytest.raises(Canceled):
            fetch_all(farm.client(settings), "j1", listed, tmp_path, cancelled=began.is_set)
        assert time.monotonic() - start < 50
    assert not [thread for thread in threading.enumerate() if thread.name == "fetch"]


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bridge import paths as module

    monkeypatch.setattr(module, "free_space", lambda _folder: 1000)
    with Farm(names(2)) as farm, pytest.raises(ProblemError) as caught:
        fetch_all(farm.client(), "j1", offered(farm), tmp_path)
    assert caught.value.problem.category is Category.DISK
