# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths as scenes store them: any platform's, judged on any platform. No Blender, no disk."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.recipes import places

NFC = unicodedata.normalize("NFC", "Fläche/Ünï.png")
NFD = unicodedata.normalize("NFD", NFC)
LONG = "\\".join(["C:", *["a rather long folder name"] * 12, "picture.png"])


@pytest.mark.parametrize(
    ("value", "folder", "expected"),
    [
        ("//tex/a.png", "/home/me/film", "/home/me/film/tex/a.png"),
        ("//../tex/a.png", "/home/me/film", "/home/me/tex/a.png"),
        ("//../../../../../a.png", "/home/me", "/a.png"),
        ("//./tex//a.png", "/home/me", "/home/me/tex/a.png"),
        ("//tex\\sub\\a.png", "/home/me", "/home/me/tex/sub/a.png"),
        ("//a b/ü 🎨.png", "/home/me", "/home/me/a b/ü 🎨.png"),
        ("/abs/../x.png", "/home/me", "/x.png"),
        ("/mnt\\share\\x.png", "/home/me", "/mnt/share/x.png"),
        ("tex/a.png", "/home/me", "/home/me/tex/a.png"),
        ("C:\\tex\\a.png", "/home/me", "C:\\tex\\a.png"),
        ("d:/tex/../a.png", "/home/me", "d:\\a.png"),
        ("\\\\server\\share\\tex\\..\\a.png", "/home/me", "\\\\server\\share\\a.png"),
        ("//tex/a.png", "C:\\film", "C:\\film\\tex\\a.png"),
        ("//..\\tex\\a.png", "C:\\film\\shot", "C:\\film\\tex\\a.png"),
        ("//..\\..\\..\\a.png", "C:\\film", "C:\\a.png"),
        ("//tex/a.png", "\\\\server\\share\\film", "\\\\server\\share\\film\\tex\\a.png"),
        ("//../../../a.png", "\\\\server\\share\\film", "\\\\server\\share\\a.png"),
        ("\\tex\\a.png", "D:\\film", "D:\\tex\\a.png"),
        ("E:\\a.png", "D:\\film", "E:\\a.png"),
        ("\\\\?\\C:\\x\\a.png", "D:\\film", "C:\\x\\a.png"),
        ("\\\\?\\UNC\\server\\share\\a.png", "D:\\film", "\\\\server\\share\\a.png"),
        ("", "/home/me", ""),
    ],
)
def test_a_stored_path_made_absolute(value: str, folder: str, expected: str) -> None:
    assert places.resolve(value, folder) == expected


def test_a_file_that_was_never_saved_has_no_place() -> None:
    assert not places.is_absolute(places.resolve("//tex/a.png", "", False))


@pytest.mark.parametrize(
    ("path", "absolute", "windows", "share"),
    [
        ("/a", True, False, False),
        ("//a", False, False, False),
        ("a", False, False, False),
        ("C:\\a", True, True, False),
        ("c:/a", True, True, False),
        ("C:a", False, False, False),
        ("\\\\server\\share", True, True, True),
        ("\\\\?\\UNC\\server\\share\\a", True, True, True),
        ("\\\\?\\C:\\a", True, True, False),
        ("", False, False, False),
    ],
)
def test_what_a_path_is(path: str, absolute: bool, windows: bool, share: bool) -> None:
    assert places.is_absolute(path) is absolute
    assert places.is_windows(path) is windows
    assert places.is_share(path) is share


def test_long_paths_of_windows_are_opened_in_their_long_form() -> None:
    assert len(LONG) > 260
    assert places.extended(LONG, True) == "\\\\?\\" + LONG
    share = "\\\\server\\share" + LONG[2:]
    assert places.extended(share, True) == "\\\\?\\UNC\\server\\share" + LONG[2:]
    assert places.extended(places.extended(LONG, True), True) == "\\\\?\\" + LONG
    assert places.plain(places.extended(share, True)) == share
    assert places.extended(LONG.replace("\\", "/"), True) == "\\\\?\\" + LONG
    assert places.extended("C:\\short.png", True) == "C:\\short.png"
    assert places.extended("/" + "long/" * 100, False) == "/" + "long/" * 100


def test_two_spellings_of_one_place() -> None:
    assert NFC != NFD
    assert places.key("/x/" + NFC) == places.key("/x/" + NFD)
    assert places.same_form(NFC, NFD) and not places.same_form(NFC, NFC.upper())
    assert places.key("C:\\Tex\\A.PNG") == places.key("c:/tex/a.png")
    assert places.key("/Tex/a", False) != places.key("/tex/a", False)
    assert places.key("\\\\SERVER\\Share\\a") == places.key("\\\\server\\share\\A")
    assert places.fold(NFD.upper()) == places.fold(NFC)


@pytest.mark.parametrize(
    ("path", "folder", "expected"),
    [
        ("/a/b/c.png", "/a/b", "//c.png"),
        ("/a/x/c.png", "/a/b", "//../x/c.png"),
        ("/c.png", "/a/b", "//../../c.png"),
        ("C:\\a\\c.png", "C:\\a\\b", "//../c.png"),
        ("c:\\A\\c.png", "C:\\a\\b", "//../c.png"),
        ("D:\\a\\c.png", "C:\\a\\b", None),
        ("\\\\server\\share\\x\\c.png", "\\\\server\\share\\y", "//../x/c.png"),
        ("\\\\server\\other\\c.png", "\\\\server\\share\\y", None),
        ("/a/c.png", "C:\\a", None),
    ],
)
def test_relative_as_blender_writes_it(path: str, folder: str, expected: str | None) -> None:
    assert places.relative(path, folder) == expected
    if expected is not None:
        assert places.key(places.resolve(expected, folder)) == places.key(path)


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["/a/b/c", "/a/b/d"], "/a/b"),
        (["/a/b", "/a/b/d"], "/a/b"),
        (["/a", "/b"], "/"),
        (["C:\\film\\tex", "c:\\Film\\cache"], "C:\\film"),
        (["C:\\film", "D:\\film"], None),
        (["\\\\server\\share\\a", "\\\\server\\share\\b"], "\\\\server\\share\\"),
        (["\\\\server\\one\\a", "\\\\server\\two\\a"], None),
        (["C:\\a", "/a"], None),
        ([], None),
    ],
)
def test_the_folder_that_holds_all(folders: list[str], expected: str | None) -> None:
    assert places.common_root(folders) == expected


def test_within() -> None:
    assert places.within("/a/b/c", "/a/b") and places.within("/a/b", "/a/b")
    assert not places.within("/a/bc", "/a/b") and not places.within("/a", "/a/b")
    assert places.within("c:\\FILM\\x", "C:\\film") and not places.within("D:\\film", "C:\\film")


# Archives


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/me/tex/a.png", "home/me/tex/a.png"),
        ("C:\\tex\\a.png", "C/tex/a.png"),
        ("\\\\server\\share\\a.png", "server/share/a.png"),
        ("C:\\..\\..\\a.png", "C/a.png"),
        ("/a/con/aux.txt", "a/_con/_aux.txt"),
        ("/a/b:c?.png", "a/b_c_.png"),
        ("/a/ends. /x..", "a/ends/x"),
        ("/a/\udc80.png", "a/_.png"),
    ],
)
def test_a_mirrored_name_in_an_archive(path: str, expected: str) -> None:
    assert places.archive_name(path) == expected


def test_names_in_archives_are_nfc_and_short() -> None:
    assert places.archive_name("/x/" + NFD) == "x/" + NFC
    made = places.safe_part("ü🎨" * 200 + ".png")
    assert len(made.encode()) <= places.LONGEST_PART and made.endswith(".png")
    assert places.safe_part("...") == "_" and places.safe_part("") == "_"


@given(st.text(max_size=60))
def test_no_name_leaves_the_archive(text: str) -> None:
    for path in ("/" + text, "C:\\" + text, "\\\\server\\share\\" + text):
        name = places.archive_name(path)
        assert not name.startswith("/") and "\\" not in name and ":" not in name
        assert not {"", ".", ".."} & set(name.split("/")) or not name
        assert places.archive_name("/" + name) == name or not name


def test_no_two_files_get_one_name() -> None:
    taken = {places.fold("tex/Wood.png")}
    assert places.distinct("tex/wood.png", taken) == "tex/wood-2.png"
    taken.add(places.fold("tex/wood-2.png"))
    assert places.distinct("tex/wood.png", taken) == "tex/wood-3.png"
    assert places.distinct("tex/other.png", taken) == "tex/other.png"
    assert places.distinct("v1.2/file", {"v1.2/file"}) == "v1.2/file-2"


# Sequences, tiles, clouds


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("s_0010.png", ("s_", 4, ".png")),
        ("a2_0010.png", ("a2_", 4, ".png")),
        ("0001", ("", 4, "")),
        ("take 3 final.exr", ("take ", 1, " final.exr")),
        ("plain.png", None),
        ("film.mp4", None),
        ("x.0100.vdb", ("x.", 4, ".vdb")),
        ("-0003.png", ("-", 4, ".png")),
    ],
)
def test_the_number_in_a_name(name: str, expected: tuple[str, int, str] | None) -> None:
    assert places.numbered(name) == expected
    if expected is not None:
        number = places.number(name)
        assert number is not None and places.encode(expected, number) == name
        assert places.sequence(name, expected) == number


def test_what_belongs_to_a_sequence() -> None:
    pieces = ("s_", 4, ".png")
    assert places.sequence("s_10000.png", pieces) == 10000
    assert places.sequence("s_-003.png", pieces) == -3
    for other in ("s_010.png", "s_00010.png", "s_0010.jpg", "t_0010.png", "s_001a.png", "s_.png"):
        assert places.sequence(other, pieces) is None, other


@pytest.mark.parametrize(
    ("pattern", "name", "tile"),
    [
        ("a.<UDIM>.png", "a.1001.png", 1001),
        ("a.<UDIM>.png", "a.1012.png", 1012),
        ("a_<UVTILE>.png", "a_u1_v1.png", 1001),
        ("a_<UVTILE>.png", "a_u2_v3.png", 1022),
        ("a(1).<UDIM>.png", "a(1).1001.png", 1001),
        ("a.<UDIM>.png", "a.101.png", None),
        ("a.<UDIM>.png", "b.1001.png", None),
    ],
)
def test_tiles(pattern: str, name: str, tile: int | None) -> None:
    assert places.tile_number(name, pattern) == tile
    assert places.has_tiles(pattern) and not places.has_tiles(name)
    if tile is not None:
        assert places.tile_name(pattern, tile) == name


@pytest.mark.parametrize(
    ("size", "attributes", "flags", "away"),
    [
        (100, 0, 0, False),
        (0, 0, 0, True),
        (100, 0x20, 0, False),  # archive
        (100, 0x1000, 0, True),  # offline
        (100, 0x40000, 0, True),  # recall on open
        (100, 0x400000 | 0x20, 0, True),  # recall on data access
        (100, 0x80000, 0, False),  # pinned: kept on this computer
        (100, 0, 0x40000000, True),  # macOS: dataless
        (100, 0, 0x20, False),
    ],
)
def test_what_is_only_in_a_cloud(size: int, attributes: int, flags: int, away: bool) -> None:
    assert places.is_placeholder(size, attributes, flags) is away
