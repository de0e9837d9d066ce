# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives from a server: nothing leaves the folder, nothing overwrites, nothing explodes."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from bridge.archive import Limits, extract_zip
from bridge.problems import Canceled, Category, ProblemError


def make(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.filename = name  # ZipInfo tidies what it is given; an attacker does not
            info.orig_filename = name
            info.compress_type = method
            archive.writestr(info, data)
    return path


def refused(archive: Path, folder: Path, **more: object) -> str:
    """The technical line of the refusal; nothing was written anywhere."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(ProblemError) as caught:
        extract_zip(archive, folder, **more)  # type: ignore[arg-type]
    assert sorted(archive.parent.rglob("*")) == before
    assert caught.value.problem.category is Category.SERVICE
    assert caught.value.problem.hint == "Download it again. If it stays, tell the service."
    return caught.value.problem.technical


def test_a_result_as_the_service_packs_it(tmp_path: Path) -> None:
    members = {
        "usd/chair/chair.usd": b"#usda 1.0\n",
        "usd/chair/textures/_albedo é 🪑.png": b"\x89PNG",
        "usd/chair/.thumbs/256x256/chair.usd.png": b"\x89PNG",
        "mjcf/chair.xml": b"<mujoco/>",
        "empty/": b"",
    }
    archive = make(tmp_path / "r.zip", members, zipfile.ZIP_DEFLATED)
    (tmp_path / "out").mkdir()
    files = extract_zip(archive, tmp_path / "out")
    written = {str(path.relative_to(tmp_path / "out")): path.read_bytes() for path in files}
    assert written == {name: data for name, data in members.items() if not name.endswith("/")}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "r.zip"]


def test_nothing_of_the_artist_is_replaced(tmp_path: Path) -> None:
    archive = make(tmp_path / "r.zip", {"a": b"1"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.blend").write_text("mine")
    with pytest.raises(ProblemError) as caught:
        extract_zip(archive, tmp_path / "out")
    assert caught.value.problem.category is Category.DISK
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious.blend"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../evil.txt", "leaves its folder"),
        ("usd/../../evil.txt", "leaves its folder"),
        ("/etc/evil.txt", "absolute path"),
        ("C:evil.txt", "drive letter"),
        ("C:/evil.txt", "drive letter"),
        ("..\\evil.txt", "NUL or backslash in a name"),
        ("\\\\server\\share", "NUL or backslash in a name"),
        ("a/" * 40 + "deep.txt", "no name, or too deep"),
        ("n" * 300, "name too long"),
    ],
)
def test_unsafe_paths(tmp_path: Path, name: str, why: str) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    archive = make(folder / "r.zip", {"good.txt": b"1", name: b"2"})
    assert refused(archive, folder / "out").startswith(why)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inner"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices(tmp_path: Path, kind: int) -> None:
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.create_system = 3
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert refused(tmp_path / "r.zip", tmp_path / "out").startswith("a link or a device")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Chair.usd", "chair.usd"),
        ("caf\u00e9.png", "cafe\u0301.png"),
        ("stra\u00dfe.png", "STRASSE.png"),
        ("\ufb01n.png", "fin.png"),
        ("a/x.png", "A/y.png"),
        ("a", "a/b"),
        ("a?.png", "a*.png"),
        ("same.png", "same.png"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_are_one_elsewhere(tmp_path: Path, first: str, second: str) -> None:
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        archive.writestr(first, b"1")
        archive.writestr(second, b"2")
    assert refused(tmp_path / "r.zip", tmp_path / "out").startswith("two members with one name")


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("CON", "_CON"),
        ("usd/aux.png", "usd/_aux.png"),
        ("lpt1.txt", "_lpt1.txt"),
        ("name.", "name_"),
        ("name ", "name_"),
        ("what?.png", "what_.png"),
        ("tab\there", "tab_here"),
        ("_keep_.png", "_keep_.png"),
        (".hidden", ".hidden"),
    ],
)
def test_names_that_a_system_could_not_take(tmp_path: Path, name: str, made: str) -> None:
    archive = make(tmp_path / "r.zip", {name: b"1"})
    assert extract_zip(archive, tmp_path / "out") == [tmp_path / "out" / made]


def test_bombs(tmp_path: Path) -> None:
    zeros = {"zeros": bytes(5_000_000)}
    tight = make(tmp_path / "tight.zip", zeros, zipfile.ZIP_DEFLATED)
    assert refused(tight, tmp_path / "out").startswith("packed suspiciously tight")
    plain = make(tmp_path / "plain.zip", zeros)
    assert "bytes or more" in refused(plain, tmp_path / "out", max_bytes=4_999_999)
    assert "bytes or more" in refused(plain, tmp_path / "out", limits=Limits(member_bytes=1000))
    many = make(tmp_path / "many.zip", {f"{n}.txt": b"" for n in range(11)})
    assert refused(many, tmp_path / "out", limits=Limits(members=10)) == "11 members"
    assert len(extract_zip(plain, tmp_path / "out", max_bytes=5_000_000)) == 1


def test_a_member_that_lies_about_its_size(tmp_path: Path) -> None:
    archive = make(tmp_path / "r.zip", {"data": b"0123456789" * 1000})
    raw = bytearray(archive.read_bytes())
    central = raw.rindex(b"PK\x01\x02")
    struct.pack_into("<II", raw, central + 20, 10, 10)
    struct.pack_into("<II", raw, 18, 10, 10)
    archive.write_bytes(raw)
    refused(archive, tmp_path / "out")


def test_damage(tmp_path: Path) -> None:
    archive = make(tmp_path / "r.zip", {"data": b"0123456789" * 1000})
    raw = bytearray(archive.read_bytes())
    raw[100] ^= 0xFF  # within the member: only its checksum can tell
    archive.write_bytes(raw)
    assert "BadZipFile" in refused(archive, tmp_path / "out")
    archive.write_bytes(raw[:-30])
    refused(archive, tmp_path / "out")
    archive.write_bytes(b"<html>not a zip</html>")
    refused(archive, tmp_path / "out")
    assert refused(make(tmp_path / "none.zip", {}), tmp_path / "out") == "no files in the archive"


def test_encrypted(tmp_path: Path) -> None:
    archive = make(tmp_path / "r.zip", {"data": b"0123456789"})
    raw = bytearray(archive.read_bytes())
    raw[6] |= 1
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(raw)
    assert refused(archive, tmp_path / "out").startswith("encrypted")


def test_cancel_leaves_nothing(tmp_path: Path) -> None:
    archive = make(tmp_path / "r.zip", {"a": b"1", "b": b"2"})
    with pytest.raises(Canceled):
        extract_zip(archive, tmp_path / "out", cancelled=lambda: True)
    assert [path.name for path in tmp_path.iterdir()] == ["r.zip"]
