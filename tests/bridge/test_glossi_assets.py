# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Glossi render offers, in every shape, under which names, and how it is fetched."""

from __future__ import annotations

import json
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.faults import HttpError
from bridge.problems import Canceled, Category
from bridge.services.glossi.assets import Asset, collect, fetch_assets, renders_in
from bridge.services.glossi.client import GlossiClient, connection
from bridge.settings import Settings
from tests.tools.faultserver import Exchange, FaultServer

KEY = "glsi_" + "k" * 20
FAST = Settings(connect_seconds=5, read_seconds=5, retries=1, retry_cap_seconds=0.02)
HOST = "https://files.example"


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


def movie() -> bytes:
    """The smallest file that has the boxes of a video."""

    def box(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data) + 8) + kind + data

    head = bytes(12) + struct.pack(">II", 24, 48) + bytes(80)
    return box(b"ftyp", b"isom\x00\x00\x00\x00isom") + box(b"moov", box(b"mvhd", head)) + box(
        b"mdat", b"\x00" * 32
    )  # fmt: skip


def row(name: str, place: str, kind: str = "PNG", **more: Any) -> dict[str, Any]:
    known = {"name": name, "filePath": place, "fileType": kind, "isVideo": kind != "PNG"}
    return known | {"id": f"id-{name}-{place[-9:]}"} | more


def paths(assets: list[Asset]) -> list[str]:
    return [asset.path for asset in assets]


# --- what can be fetched -------------------------------------------------------------------------


def test_bare_keys_as_documented() -> None:
    renders = [
        row("Front View - Default", "workspaces/.../render.png"),
        row("360 Spin - Default", "workspaces/.../video.mp4", "MP4"),
    ]
    assert collect([("Chair", renders)]) == (
        [],
        ["Chair: Front View - Default", "Chair: 360 Spin - Default"],
    )


def test_addresses_are_used_as_they_are() -> None:
    url = f"{HOST}/a%20b/render.png?X-Amz-Signature=1&y=%2F"
    found, lost = collect([("Chair", [row("Front", url)])])
    assert (found[0].url, found[0].path, found[0].kind) == (url, "Chair/Front.png", "still")
    assert not lost and url not in repr(found)
    for name in ("url", "downloadUrl", "signedUrl", "fileUrl"):
        found, lost = collect([("Chair", [row("Front", "workspaces/k.png", **{name: url})])])
        assert found[0].url == url and not lost
    # The documented field goes first; what is no address is none.
    found, _ = collect([("Chair", [row("Front", url, url=f"{HOST}/other.png")])])
    assert found[0].url == url
    for odd in ("ftp://x/y.png", "file:///etc/passwd", "s3://bucket/k.png", "http://far.example/x",
                "https://", "https://user:pass@far.example/x.png", "javascript:x", "", "   ", 7,
                None, {"href": url}):  # fmt: skip
        found, lost = collect([("Chair", [row("Front", "", filePath=odd)])], f"{HOST}/below")
        assert (found, lost) == ([], ["Chair: Front"])


def test_bare_keys_below_an_address() -> None:
    key = "workspaces/a b/ü/render.png"
    for base, url in (
        (f"{HOST}/files", f"{HOST}/files/workspaces/a%20b/%C3%BC/render.png"),
        (f" {HOST}/files/ ", f"{HOST}/files/workspaces/a%20b/%C3%BC/render.png"),
        (HOST, f"{HOST}/workspaces/a%20b/%C3%BC/render.png"),
        (f"{HOST}/f?sas=1", f"{HOST}/f/workspaces/a%20b/%C3%BC/render.png?sas=1"),
    ):
        found, lost = collect([("Chair", [row("Front", key)])], base)
        assert (found[0].url, lost) == (url, [])
    for odd in ("../../etc", "a/../../b", "/", "."):
        assert collect([("Chair", [row("Front", odd)])], HOST)[0] == []
    found, _ = collect([("Chair", [row("Front", "//other.example/x.png")])], f"{HOST}/f")
    assert found[0].url == f"{HOST}/f/other.example/x.png"
    for base in ("http://far.example", "nonsense", "https://[", "ftp://x"):
        assert collect([("Chair", [row("Front", key)])], base) == ([], ["Chair: Front"])


@pytest.mark.parametrize(
    ("kind", "place", "video", "ending"),
    [
        ("PNG", "r.png", False, ".png"),
        ("JPG", "r", False, ".jpg"),
        ("jpeg", "r", False, ".jpg"),
        ("MP4", "r.mp4", True, ".mp4"),
        ("PRORES", "r", True, ".mov"),
        ("ProRes", "r.mov", True, ".mov"),
        ("image/webp", "r", False, ".webp"),
        ("video/quicktime", "r", True, ".mov"),
        ("EXR", "r", False, ".exr"),
        ("", "r.jpeg?x=1", False, ".jpg"),
        ("", "r.MOV", True, ".mov"),
        ("", "r", True, ".mp4"),
        ("", "r", False, ".png"),
        ("STILL", "r.png", False, ".png"),
        ("HEIC", "r", False, ".heic"),
        ("../x", "r", False, ".x"),
        ("a very odd one", "r", False, ".png"),
    ],
)
def test_endings(kind: str, place: str, video: bool, ending: str) -> None:
    rows = [{"name": "Front", "filePath": f"{HOST}/{place}", "fileType": kind, "isVideo": video}]
    found, _ = collect([("Chair", rows)])
    assert found[0].path == f"Chair/Front{ending}"
    assert found[0].kind == ("video" if video else "still")


def test_video_or_still_without_a_word() -> None:
    rows = [
        {"filePath": f"{HOST}/spin.mp4"},
        {"filePath": f"{HOST}/front.png", "isVideo": "no"},
        f"{HOST}/loose.mov",
    ]
    found, _ = collect([("Chair", rows)])
    assert [(asset.name, asset.kind) for asset in found] == [
        ("spin.mp4", "video"),
        ("front.png", "still"),
        ("loose.mov", "video"),
    ]
    assert paths(found) == ["Chair/spin.mp4", "Chair/front.png", "Chair/loose.mov"]


@pytest.mark.parametrize(
    ("product", "name", "path"),
    [
        ("Chair", "Front View - Oak", "Chair/Front View - Oak.png"),
        ("Chair", "Front.png", "Chair/Front.png"),
        ("Stuhl Ü", "Küche 椅子", "Stuhl Ü/Küche 椅子.png"),
        ("../..", "../../etc/passwd", "product/etc_passwd.png"),
        ("C:\\x", "a/b\\c", "C_x/a_b_c.png"),
        ("", "", "product/x.png"),
        (".hidden", ".glossi.fetched", "hidden/glossi.fetched.png"),
        ("con", "NUL", "product_con/render_NUL.png"),
        ("a\x00b", "a\u202eb\nc", "a_b/a b c.png"),
        ("x" * 300, "y" * 300, f"{'x' * 80}/{'y' * 120}.png"),
    ],
)
def test_names_are_safe(product: str, name: str, path: str) -> None:
    found, _ = collect([(product, [row(name, f"{HOST}/x.png")])])
    assert found[0].path == path


def test_names_are_unique_whatever_the_order() -> None:
    rows = [
        row("Front", f"{HOST}/1.png", id="b"),
        row("front", f"{HOST}/2.png", id="a"),
        row("Front", f"{HOST}/3.png", id="c"),
        row("Front", f"{HOST}/4.mp4", "MP4", id="d"),
        row("Front", f"{HOST}/again.png", id="b"),
        row("Front 2", f"{HOST}/5.png", id="e"),
    ]
    one, _ = collect([("Chair", rows), ("chair", [row("FRONT", f"{HOST}/6.png", id="f")])])
    other, _ = collect([("chair", [row("FRONT", f"{HOST}/6.png", id="f")]), ("Chair", rows[::-1])])
    assert len({path.lower() for path in paths(one)}) == len(one) == 6
    assert {asset.id: asset.path for asset in one} == {asset.id: asset.path for asset in other}
    by_id = {asset.id: asset.path for asset in one}
    assert (by_id["b"], by_id["c"], by_id["d"], by_id["e"]) == (
        "Chair/Front.png",
        "Chair/Front 3.png",
        "Chair/Front.mp4",
        "Chair/Front 2.png",
    )


@pytest.mark.parametrize("renders", [None, "x", 7, {}, [], [None, 7, []], [{}], [{"name": 5}]])
def test_nonsense_is_no_asset(renders: Any) -> None:
    found, lost = collect([("Chair", renders)], HOST)
    assert found == [] and lost in ([], ["Chair: render"])


def test_renders_in_a_jobs_answer() -> None:
    files = [row("Front", "k/1.png"), row("Side", "k/2.png")]
    for answer in (
        {"renders": files},
        {"results": [{"project": {"id": "p"}, "renders": files}]},
        {"results": [{"model": {"id": "m"}, "render": files[0]}, files[1]]},
    ):
        assert renders_in({"jobId": "j", "status": "COMPLETE"} | answer) == files
    deep: Any = files
    for _ in range(40):
        deep = [deep]
    assert renders_in(deep) == [] == renders_in("x") == renders_in({"results": None})


# --- fetching ------------------------------------------------------------------------------------


class Studio:
    """Serves a render's files by addresses that a token ends, as a storage would."""

    def __init__(self, names: list[str]) -> None:
        self.token = 1
        self.files = {name: png(number) for number, name in enumerate(names)}
        self.served: dict[str, int] = {}
        self.meddle: Callable[[Exchange, str, bytes], bool] = lambda *_: False
        self.lists = 0
        self._lock = threading.Lock()
        self.server = FaultServer(self._script)

    def __enter__(self) -> Studio:
        self.server.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.__exit__(*exc)

    def _script(self, exchange: Exchange) -> None:
        if exchange.target.startswith("/api/renders/"):
            self.lists += 1
            rows = [
                row(name.partition(".")[0], self.url(name), name.partition(".")[2].upper(), id=name)
                for name in self.files
            ]
            body = {"jobId": "r", "status": "COMPLETED", "projectId": "p", "renders": rows}
            exchange.reply(200, json.dumps(body).encode())
            return
        assert "x-api-key" not in exchange.headers and "authorization" not in exchange.headers
        parts = urlsplit(exchange.target)
        name = parts.path.rpartition("/")[2]
        with self._lock:
            self.served[name] = self.served.get(name, 0) + 1
        data = self.files[name]
        if self.meddle(exchange, name, data):
            return
        if parts.query != f"X-Amz-Signature={self.token}":
            exchange.reply(403, b"<Error><Code>AccessDenied</Code></Error>")
            return
        exchange.reply(200, data, {"ETag": '"1"', "Content-Type": "image/png"})

    def url(self, name: str) -> str:
        return f"{self.server.url}/bucket/{name}?X-Amz-Signature={self.token}"

    def client(self) -> GlossiClient:
        return GlossiClient(connection(f"{self.server.url}/api", KEY, settings=FAST))

    def assets(self) -> list[Asset]:
        return collect([("Chair", self.client().render("r")["renders"])])[0]

    def fetch(self, folder: Path, assets: list[Asset] | None = None, **more: Any) -> Any:
        return fetch_assets(
            self.client().http,
            self.assets() if assets is None else assets,
            folder,
            refresh=self.assets,
            **more,
        )


NAMES = [f"view{n}.png" for n in range(6)]


def there(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_all_come_several_at_a_time_without_a_key(tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    main = threading.get_ident()
    with Studio(NAMES) as studio:
        studio.files["spin.mp4"] = movie()
        gate = threading.Barrier(3)

        def together(_exchange: Exchange, name: str, _data: bytes) -> bool:
            if name in NAMES[:3]:
                gate.wait(60)
            return False

        studio.meddle = together

        def moved(done: int, total: int) -> None:
            assert threading.get_ident() == main
            progress.append((done, total))

        arrived, lost = studio.fetch(tmp_path, parallel=3, on_progress=moved)
    assert lost == [] and [(one.asset.name, one.kind) for one in arrived] == [
        *((name[:5], "still") for name in NAMES),
        ("spin", "video"),
    ]
    assert there(tmp_path) == sorted([f"Chair/{name}" for name in NAMES] + ["Chair/spin.mp4"])
    assert (tmp_path / "Chair/view2.png").read_bytes() == png(2)
    assert arrived[0].bytes == len(png()) and arrived[0].path == tmp_path / "Chair/view0.png"
    assert all(done <= total for done, total in progress)


def test_what_is_there_is_not_fetched_twice(tmp_path: Path) -> None:
    with Studio(NAMES) as studio:
        with pytest.raises(Canceled):
            studio.fetch(tmp_path, parallel=1, cancelled=lambda: len(studio.served) >= 3)
        first = {name for name in NAMES if (tmp_path / "Chair" / name).is_file()}
        assert 1 <= len(first) < len(NAMES)
        studio.served.clear()
        studio.token = 2  # a day later
        arrived, lost = studio.fetch(tmp_path)
        assert not lost and [one.path.name for one in arrived] == NAMES
    assert first.isdisjoint(studio.served) and there(tmp_path) == [f"Chair/{n}" for n in NAMES]


def test_a_broken_line_goes_on_where_it_was(tmp_path: Path) -> None:
    with Studio(["big.png"]) as studio:
        data = studio.files["big.png"] = png(1, 600)

        def cut(exchange: Exchange, name: str, data: bytes) -> bool:
            begin = exchange.headers.get("range", "")
            head = {"ETag": '"v"', "Content-Length": str(len(data)), "Content-Type": "image/png"}
            if studio.served[name] == 1:
                exchange.reply(200, data[:100_000], head)
                return True
            assert begin == "bytes=100000-" and exchange.headers["if-range"] == '"v"'
            span = {"Content-Range": f"bytes 100000-{len(data) - 1}/{len(data)}", "ETag": '"v"'}
            exchange.reply(206, data[100_000:], span)
            return True

        studio.meddle = cut
        arrived, lost = studio.fetch(tmp_path)
    assert not lost and arrived[0].path.read_bytes() == data and studio.served["big.png"] == 2


def test_old_addresses_are_asked_for_again_once(tmp_path: Path) -> None:
    with Studio(NAMES) as studio:
        old = studio.assets()
        studio.token, studio.lists = 2, 0
        arrived, lost = studio.fetch(tmp_path, old)
        assert len(arrived) == len(NAMES) and not lost and studio.lists == 1


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_stays_away_is_told_and_the_rest_comes(tmp_path: Path, status: int) -> None:
    def missing(exchange: Exchange, name: str, _data: bytes) -> bool:
        if name in NAMES[1:3]:
            exchange.reply(status, b"<Error><Code>NoSuchKey</Code></Error>")
        return name in NAMES[1:3]

    with Studio(NAMES) as studio:
        assets = studio.assets()
        studio.meddle, studio.lists = missing, 0
        arrived, lost = studio.fetch(tmp_path, assets, parallel=2)
        assert 1 <= studio.lists <= 2
    assert [one.path.name for one in arrived] == [NAMES[0], *NAMES[3:]]
    assert [asset.name for asset, _why in lost] == ["view1", "view2"]
    assert all("Glossi's storage" in why.sentence for _asset, why in lost)
    assert max(studio.served.values()) <= 3
    with Studio(NAMES) as studio:  # all of them: told as well, not raised
        studio.meddle = lambda exchange, _name, _data: exchange.reply(status, b"") is None
        arrived, lost = studio.fetch(tmp_path / "none")
        assert arrived == [] and len(lost) == len(NAMES) and there(tmp_path / "none") == []


def test_one_that_is_not_on_the_list_any_more(tmp_path: Path) -> None:
    with Studio(NAMES) as studio:
        assets = studio.assets()
        studio.token = 2
        del studio.files[NAMES[5]]
        original = studio.server.script

        def script(exchange: Exchange) -> None:
            if NAMES[5] in exchange.target:
                exchange.reply(410, b"")
            else:
                original(exchange)

        studio.server.script = script
        arrived, lost = fetch_assets(studio.client().http, assets, tmp_path, refresh=studio.assets)
    assert [one.path.name for one in arrived] == NAMES[:5]
    assert [asset.name for asset, _why in lost] == ["view5"]


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    def broken(exchange: Exchange, name: str, data: bytes) -> bool:
        if name == "view0.png" and studio.served[name] == 1:
            exchange.reply(200, data[:-20])
            return True
        if name == "view1.png":
            exchange.reply(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
            return True
        return False

    with Studio(NAMES) as studio:
        studio.meddle = broken
        arrived, lost = studio.fetch(tmp_path)
    assert studio.served["view0.png"] == 2 and studio.served["view1.png"] == 3
    assert [asset.name for asset, _why in lost] == ["view1"]
    assert lost[0][1].category is Category.SERVICE and "not a PNG" in lost[0][1].sentence
    assert len(arrived) == len(NAMES) - 1
    assert there(tmp_path / "Chair") == sorted(set(NAMES) - {"view1.png"})


def test_other_refusals_concern_one_file(tmp_path: Path) -> None:
    def odd(exchange: Exchange, name: str, _data: bytes) -> bool:
        if name == "view0.png":
            exchange.reply(400, b"<Error><Code>InvalidRequest</Code></Error>")
        elif name == "view1.png":
            exchange.reply(302, b"", {"Location": "http://far.example/x.png"})
        elif name == "view2.png":
            exchange.reply(302, b"", {"Location": studio.url("view3.png")})
        return name in NAMES[:3]

    with Studio(NAMES) as studio:
        studio.meddle = odd
        arrived, lost = studio.fetch(tmp_path)
    assert [asset.name for asset, _why in lost] == ["view0", "view1"]
    assert (tmp_path / "Chair/view2.png").read_bytes() == png(3) and len(arrived) == 4


def test_nothing_can_be_reached(tmp_path: Path) -> None:
    with Studio(NAMES) as studio:
        assets = studio.assets()
        http = studio.client().http
    with pytest.raises(HttpError) as caught:
        fetch_assets(http, assets, tmp_path, refresh=lambda: assets)
    assert caught.value.transient and caught.value.problem.category is Category.NETWORK


def test_bare_keys_below_an_address_are_fetched_without_the_key(tmp_path: Path) -> None:
    def script(exchange: Exchange) -> None:
        assert "x-api-key" not in exchange.headers
        assert exchange.target == "/glossi/files/workspaces/w/render.png"
        exchange.reply(200, png(), {"ETag": '"1"'})

    with FaultServer(script) as server:
        assets, lost = collect(
            [("Chair", [row("Front", "workspaces/w/render.png")])], f"{server.url}/glossi/files/"
        )
        http = connection(f"{server.url}/glossi/api/v1", KEY, settings=FAST)
        arrived, missing = fetch_assets(http, assets, tmp_path, refresh=lambda: assets)
    assert not lost and not missing and arrived[0].path == tmp_path / "Chair/Front.png"


def test_nothing_to_fetch(tmp_path: Path) -> None:
    http = connection("http://127.0.0.1:9", KEY, settings=FAST)
    assert fetch_assets(http, [], tmp_path / "x", refresh=lambda: []) == ([], [])
