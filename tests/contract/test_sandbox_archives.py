# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploaded archives: one primary model, relative references, nothing that leaves its folder."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox import archives
from bridge.sandbox.canned import CannedConverter, tiny_glb

from .conftest import MakeBox

EXACTLY_ONE = "Archive must contain exactly one .obj/.gltf/.usd file"


def zipped(path: Path, members: dict[str, bytes | str], *special: zipfile.ZipInfo) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        for info in special:
            archive.writestr(info, "x")
    return path


def gltf(*uris: str) -> str:
    return json.dumps({"buffers": [{"uri": uri} for uri in uris], "images": [{"bufferView": 0}]})


@pytest.mark.parametrize(
    ("members", "primary"),
    [
        ({"chair.obj": "mtllib chair.mtl\n", "chair.mtl": "map_Kd -s 1 1 1 tex/a.png\n",
          "tex/a.png": b""}, "chair.obj"),
        ({"m/chair.gltf": gltf("chair.bin", "data:;base64,AA==", "../tex/a.png")}, "m/chair.gltf"),
        ({"Chair.USD": b"PXR-USDC", "textures/a.png": b""}, "Chair.USD"),
        ({"a.usda": "#usda 1.0\n asset x = @./tex/a.png@\n", "tex/a.png": b""}, "a.usda"),
        ({"a.obj": "", "__MACOSX/._a.obj": "", "sub/.DS_Store": "", "folder/": ""}, "a.obj"),
    ],
)  # fmt: skip
def test_good_archives(tmp_path: Path, members: dict[str, bytes | str], primary: str) -> None:
    path = zipped(tmp_path / "a.zip", members)
    assert archives.check_archive(path) == primary
    archives.unpack(path, tmp_path / "out")
    assert (tmp_path / "out" / primary).is_file()
    assert not list((tmp_path / "out").rglob("._*"))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, EXACTLY_ONE),
        ({"readme.txt": ""}, EXACTLY_ONE),
        ({"a.obj": "", "b.gltf": "{}"}, EXACTLY_ONE),
        ({"a.obj": "", "sub/b.obj": ""}, EXACTLY_ONE),
        ({"a.fbx": b""}, EXACTLY_ONE),
        ({"a.obj": "mtllib /etc/passwd\n"}, "relative references: /etc/passwd"),
        ({"a.obj": "mtllib C:\\x\\a.mtl\n"}, "relative references: C:"),
        ({"a.obj": "", "a.mtl": "map_Kd ../../a.png\n"}, "relative references: ../../a.png"),
        ({"a.gltf": gltf("http://x.invalid/a.bin")}, "relative references: http:"),
        ({"a.gltf": gltf("../a.bin")}, "relative references: ../a.bin"),
        ({"a.gltf": gltf("%2e%2e/a.bin")}, "relative references: ../a.bin"),
        ({"a.obj": "", "a.mtl": "map_Kd -s 1 1 1 /abs dir/a.png\n"}, "references: /abs"),
        ({"a.gltf": "{nothing"}, ".gltf that cannot be read"),
        ({"a.gltf": "[1]"}, ".gltf that cannot be read"),
        ({"a.usda": "asset x = @/abs/a.png@"}, "relative references: /abs/a.png"),
        ({"a.obj": "", "../evil.txt": ""}, "unsafe path"),
        ({"a.obj": "", "/evil.txt": ""}, "unsafe path"),
        ({"a.obj": "", "x/..\\..\\evil.txt": ""}, "unsafe path"),
        ({"a.obj": "", "C:evil.txt": ""}, "unsafe path"),
        ({"a.obj": "", "A.OBJ": ""}, "the same path twice"),
    ],
)
def test_bad_archives(tmp_path: Path, members: dict[str, bytes | str], expected: str) -> None:
    path = zipped(tmp_path / "a.zip", members)
    with pytest.raises(archives.ArchiveError) as caught:
        archives.check_archive(path)
    assert expected in str(caught.value)


def test_links_and_encrypted_members_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.obj")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(archives.ArchiveError, match="unsafe path"):
        archives.check_archive(zipped(tmp_path / "a.zip", {}, link))
    path = zipped(tmp_path / "b.zip", {"a.obj": "x"})
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag in the local header and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(archives.ArchiveError, match="encrypted"):
        archives.check_archive(path)


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped(tmp_path / "bomb.zip", {"a.obj": "", "zeros.bin": bytes(80 << 20)})
    with pytest.raises(archives.ArchiveError, match="too large"):
        archives.check_archive(bomb)
    # One whose directory lies about the sizes is stopped while it unpacks.
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1000)
    honest = zipped(tmp_path / "b.zip", {"a.obj": bytes(900)})
    monkeypatch.setattr(archives, "_safe_members", lambda archive: archive.infolist() * 2)
    with pytest.raises(archives.ArchiveError, match="too large"):
        archives.unpack(honest, tmp_path / "out")


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.obj": "mtllib a.mtl\n" * 100})
    data = bytearray(path.read_bytes())
    data[45] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(archives.ArchiveError, match=r"cannot be read|relative references"):
        archives.check_archive(path)
    path.write_bytes(bytes(data[: len(data) // 2]))
    with pytest.raises(archives.ArchiveError, match="cannot be read"):
        archives.check_archive(path)


def test_a_bad_archive_costs_nothing_and_a_good_one_is_unpacked(
    make_box: MakeBox, client_of: Any, tmp_path: Path
) -> None:
    seen: list[str] = []

    class Preparing(CannedConverter):
        def prepare(self, conversion: Any, progress: Any) -> dict[str, Any]:
            seen.append(conversion.input.read_text())
            target = conversion.workdir / "intermediate.glb"
            target.write_bytes(tiny_glb())
            return {"path": str(target), "stats": {}}

    api = client_of(make_box(converter=Preparing()))
    before = api.credits()
    bad = zipped(tmp_path / "bad.zip", {"a.obj": "", "b.obj": ""}).read_bytes()
    answer = api.submit("bad.zip", bad)
    assert (answer.status_code, answer.json()) == (400, {"error": EXACTLY_ONE})
    assert api.credits() == before
    good = zipped(tmp_path / "good.zip", {"model/a.obj": "o chair\n"}).read_bytes()
    job = api.until(api.accepted("good.zip", good))
    assert job["status"] == "completed", job["error"]
    assert seen == ["o chair\n"]


def test_the_same_result_packs_to_the_same_bytes(tmp_path: Path) -> None:
    for name in ("usd/a/a.usd", "usd/a/textures/t.png", "mjcf/a.xml"):
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 50)
    archives.pack(tmp_path / "out", ("usd", "mjcf"), tmp_path / "1.zip")
    (tmp_path / "out" / "mjcf" / "a.xml").touch()
    archives.pack(tmp_path / "out", ("usd", "mjcf"), tmp_path / "2.zip")
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
