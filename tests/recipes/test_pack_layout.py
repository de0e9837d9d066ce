# SPDX-License-Identifier: GPL-3.0-or-later
"""Where files go in the package: names only, no disk, no Blender."""

from __future__ import annotations

import random
import sys
import unicodedata
from typing import Any

import pytest

from addon.recipes import pack_layout
from addon.recipes.dependencies import UNREADABLE, Dependency, FileEntry
from addon.recipes.pack_layout import Layout, plan

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths of this computer")

HOME = "/data/film/shots"


def _one(path: str, value: str = "", *, kind: str = "image", **more: Any) -> Dependency:
    """A dependency that is one file."""
    real = more.pop("real", path)
    made = Dependency(kind, value or path, path, setter=lambda _value: None, **more)
    made.files = [FileEntry(path, 10, real=real)]
    return made


def _many(path: str, names: list[str], value: str, *, kind: str, **more: Any) -> Dependency:
    """A sequence, tiles or a folder."""
    made = Dependency(kind, value, path, setter=lambda _value: None, **more)
    folder = path if made.folder else path.rpartition("/")[0]
    made.files = [FileEntry(f"{folder}/{name}", 10) for name in names]
    return made


def _plan(*dependencies: Dependency, home: str | None = HOME) -> Layout:
    """The layout, which must not depend on the order in which things are found."""
    layout = plan(dependencies, name="shot", home=home)
    for seed in range(5):
        other = list(dependencies)
        random.Random(seed).shuffle(other)
        again = plan(other, name="shot", home=home)
        assert sorted(again.files) == sorted(layout.files)
        assert again.places == layout.places and again.again == layout.again
    return layout


def _value(layout: Layout, item: Dependency) -> str | None:
    return layout.value(item, layout.blend)


def test_one_root_needs_no_name() -> None:
    item = _one(f"{HOME}/tex/a.png", "//tex/a.png")
    layout = _plan(item)
    assert list(layout.files) == ["assets/tex/a.png"]
    assert _value(layout, item) == "//assets/tex/a.png"


def test_places_of_the_artists_computer_are_not_told() -> None:
    items = [
        _one(f"{HOME}/a.png"),
        _one("/home/name/wood/a.png"),
        _one("/mnt/x/wood/a.png"),
        _one("/mnt/x/wood/deep/b.png"),
        _one("/c.png"),
    ]
    layout = _plan(*items[:-1])
    assert sorted(layout.files) == [
        "assets/shots/a.png",
        "assets/wood/a.png",
        "assets/wood~2/a.png",
        "assets/wood~2/deep/b.png",
    ]
    assert "assets/c.png" in _plan(items[-1]).files


def test_a_sequence_is_stored_by_a_name_and_not_by_its_pattern() -> None:
    item = _many(f"{HOME}/s/x_###.exr", ["x_007.exr"], "//s/x_001.exr", kind="image_sequence")
    assert _value(_plan(item), item) == "//assets/s/x_001.exr"
    tiles = _many(
        f"{HOME}/t.<UDIM>.png", ["t.1001.png", "t.1002.png"], "//t.<UDIM>.png", kind="udim"
    )
    layout = _plan(tiles)
    assert _value(layout, tiles) == "//assets/t.<UDIM>.png"
    assert set(layout.files) == {"assets/t.1001.png", "assets/t.1002.png"}


def test_a_number_sign_in_a_name_is_no_pattern() -> None:
    item = _one(f"{HOME}/take #1.png", "//take #1.png")
    other = _one("/else/x.png", real=f"{HOME}/take #1.png")
    layout = _plan(item, other)
    assert len(layout.files) == 1
    assert _value(layout, item) == _value(layout, other)


@pytest.mark.parametrize("head", ["l" * 240, "ä" * 120])
def test_long_names_keep_their_numbers(head: str) -> None:
    names = [f"{head}{frame:04}.png" for frame in range(1, 30)]
    item = _many(f"{HOME}/{head}####.png", names, f"//{names[0]}", kind="image_sequence")
    layout = _plan(item)
    assert len(layout.files) == 29
    value = _value(layout, item)
    assert value is not None and value[2:] in layout.files
    assert value.endswith("0001.png") and len(value.encode()) < 210
    assert {name[-8:-4] for name in layout.files} == {f"{frame:04}" for frame in range(1, 30)}


def test_names_that_differ_by_case_only_are_kept_apart() -> None:
    items = [_one(f"{HOME}/{name}") for name in ("A.png", "a.png", "Tex/b.png", "tex/B.png")]
    layout = _plan(*items)
    assert len({name.casefold() for name in layout.files}) == 4
    assert len({_value(layout, item) for item in items}) == 4


def test_simulations_lie_beside_the_blend_under_its_new_name() -> None:
    item = _many(
        f"{HOME}/blendcache_scene 12",
        ["AB_000001_00.bphys"],
        "",
        kind="point_cache",
        folder=True,
        beside=True,
    )
    assert list(_plan(item).files) == ["blendcache_shot/AB_000001_00.bphys"]


def test_a_folder_keeps_the_names_that_blender_computes() -> None:
    name = unicodedata.normalize("NFD", "Flägge_000001_00.bphys")
    item = _many("/x/cache", [name], "/x/cache", kind="point_cache", folder=True)
    layout = _plan(item)
    assert list(layout.files) == [f"assets/{name}"]
    assert _value(layout, item) == "//assets"


def test_what_cannot_be_read_or_is_not_needed_is_left_out() -> None:
    locked = _one(f"{HOME}/locked.png")
    locked.files[0].problem = UNREADABLE
    proxy = _one(f"{HOME}/proxy.jpg", kind="proxy", optional=True)
    packed = _one(f"{HOME}/packed.png", packed=True)
    layout = _plan(locked, proxy, packed)
    assert layout.files == {} and _value(layout, locked) is None


# Libraries


def _library(path: str, parent: str | None = None) -> Dependency:
    return _one(path, "//" + path.rpartition("/")[2], kind="library", library=parent)


def test_a_library_keeps_its_place_to_what_it_names() -> None:
    library = _library("/data/film/libs/char/hero.blend")
    texture = _one("/data/film/tex/h.png", "//../../tex/h.png", library=library.path)
    own = _one(f"{HOME}/own.png", "//own.png")
    layout = _plan(library, texture, own)
    assert sorted(layout.files) == [
        "assets/libs/char/hero.blend",
        "assets/shots/own.png",
        "assets/tex/h.png",
    ]
    assert layout.again == {}
    far = _one("/other/x.png", "/other/x.png", library=library.path)
    layout = _plan(library, texture, far)
    assert list(layout.again) == [library.path] and "absolute" in layout.again[library.path]


def test_a_name_that_had_to_change_makes_a_library_be_saved_again() -> None:
    library = _library("/data/libs/l.blend")
    good = _one("/data/libs/ok.png", "//ok.png", library=library.path)
    odd = _one("/data/libs/a:b.png", "//a:b.png", library=library.path)
    assert _plan(library, good).again == {}
    layout = _plan(library, good, odd)
    assert list(layout.again) == [library.path]
    assert layout.value(odd, layout.libraries[library.path]) == "//a_b.png"


def test_accents_are_left_as_a_library_spells_them() -> None:
    name = unicodedata.normalize("NFD", "Käfer.png")
    library = _library("/data/libs/l.blend")
    texture = _one(f"/data/libs/{name}", f"//{name}", library=library.path)
    layout = _plan(library, texture)
    assert layout.again == {} and f"assets/{name}" in layout.files
    mine = _one(f"{HOME}/{name}", f"//{name}")
    assert list(_plan(mine).files) == ["assets/Käfer.png"]


def test_one_file_by_two_names_is_where_a_library_looks_for_it() -> None:
    library = _library("/data/libs/l.blend")
    theirs = _one("/data/libs/t.png", "//t.png", library=library.path, real="/store/1.png")
    mine = _one("/elsewhere/mine.png", "/elsewhere/mine.png", real="/store/1.png")
    layout = _plan(library, theirs, mine)
    assert len(layout.files) == 2 and layout.again == {} and layout.copies == 0
    assert _value(layout, mine) == "//" + next(n for n in layout.files if n.endswith("t.png"))


def test_a_sequence_stays_together_even_if_one_file_is_there_already() -> None:
    one = _one(f"{HOME}/still.png", "//still.png", real="/store/2.png")
    names = ["s_1.png", "s_2.png"]
    several = _many(f"{HOME}/q/s_#.png", names, "//q/s_1.png", kind="image_sequence")
    several.files[1].real = "/store/2.png"
    layout = _plan(one, several)
    value = _value(layout, several)
    assert value is not None
    folder = value[2:].rpartition("/")[0]
    assert {f"{folder}/{name}" for name in names} <= set(layout.files)
    assert layout.copies == 1


def test_files_of_a_packed_library_keep_their_place_too() -> None:
    library = _library("/data/libs/deep/l.blend")
    library.packed, library.files = True, []
    texture = _one("/data/libs/tex/t.png", "//../tex/t.png", library=library.path)
    layout = _plan(library, texture)
    assert list(layout.files) == ["assets/tex/t.png"]
    assert layout.libraries == {library.path: "assets/deep/l.blend"} and layout.again == {}


def test_a_path_that_is_too_deep_is_shortened() -> None:
    deep = "/".join(["folder with a long name"] * 12)
    item = _one(f"{HOME}/{deep}/a.png")
    layout = _plan(item, _one(f"{HOME}/b.png"))
    assert max(len(name) for name in layout.files) < 60
    assert pack_layout.safe_name("a.png") == "a.png"
