# SPDX-License-Identifier: GPL-3.0-or-later
"""Packing a scene: what is in the package, what is refused, and that nothing else is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest

from addon.recipes import pack_blend, pack_zip
from bridge.blender import run_recipe
from bridge.problems import Category, ProblemError
from tests.recipes import pack_support as lab
from tests.support import scenes

GIB = 1024**3


@pytest.fixture(autouse=True)
def _clean_slate() -> Iterator[None]:
    yield
    bpy.ops.wm.read_homefile(use_empty=True)


def _textured(tmp_path: Path, *names: str) -> Path:
    """A scene with a plane for each texture, named relative to the .blend."""
    blend = tmp_path / "project" / "s.blend"
    lab.new_scene(blend)
    for number, name in enumerate(names):
        path = lab.picture(blend.parent / name, (number / 8, 1.0, 0.5))
        image = bpy.data.images.load(str(path))
        image.filepath = "//" + name
        lab.plane(f"P{number}", lab.glow(f"M{number}", image), number)
    return lab.save(blend)


def _sequence(tmp_path: Path, count: int = 20, *, duration: int | None = None) -> Path:
    """A scene with an image sequence on a plane."""
    blend = tmp_path / "project" / "s.blend"
    lab.new_scene(blend)
    for frame in range(1, count + 1):
        lab.picture(blend.parent / "seq" / f"s_{frame:04}.png", (frame / count, 0, 1))
    image = bpy.data.images.load(str(blend.parent / "seq" / "s_0001.png"))
    image.source = "SEQUENCE"
    image.filepath = "//seq/s_0001.png"
    material = lab.glow("Seq", image)
    node = next(node for node in material.node_tree.nodes if node.type == "TEX_IMAGE")
    node.image_user.frame_duration = duration or count
    node.image_user.use_auto_refresh = True
    lab.plane("P", material, 0)
    return lab.save(blend)


def _library(path: Path, texture: Path | None, value: str) -> Path:
    """A .blend with one plane, "Part", whose texture is named by ``value``."""
    lab.new_scene(path)
    image = None
    if texture is not None:
        image = bpy.data.images.load(str(lab.picture(texture, (1, 0.5, 0))))
        image.filepath = value
    lab.plane("Part", lab.glow("Own", image), 2)
    return lab.save(path)


def _linking(blend: Path, *libraries: Path) -> Path:
    lab.new_scene(blend)
    for library in libraries:
        with bpy.data.libraries.load(str(library), link=True, relative=True) as (_, into):
            into.objects = ["Part"]
        bpy.context.scene.collection.objects.link(into.objects[0])
    return lab.save(blend)


# One .blend or an archive


def test_what_blender_can_pack_becomes_one_blend(tmp_path: Path) -> None:
    blend = _textured(tmp_path, "a.png", "Bäume 🌲/b.png")
    before = lab.snapshot(blend.parent)
    answer = lab.pack(blend, tmp_path / "out")
    assert answer["mode"] == "blend" and answer["path"] == str(tmp_path / "out" / "shot.blend")
    assert answer["bytes"] == os.path.getsize(answer["path"])
    assert answer["report"]["package"]["why"] == "Everything fits into one .blend."
    assert answer["report"]["package"]["files"] == 1
    assert sorted(os.listdir(tmp_path / "out")) == ["preflight.json", "shot.blend"]
    assert lab.snapshot(blend.parent) == before
    with open(answer["path"], "rb") as file:
        assert file.read(4) == b"\x28\xb5\x2f\xfd"  # zstd
    shutil.rmtree(blend.parent)
    bpy.ops.wm.open_mainfile(filepath=answer["path"])
    assert {image.size[0] for image in bpy.data.images if image.packed_file} == {4}
    assert len([image for image in bpy.data.images if image.packed_file]) == 2


def test_the_mode_can_be_chosen(tmp_path: Path) -> None:
    blend = _textured(tmp_path, "a.png")
    answer = lab.pack(blend, tmp_path / "out", mode="zip")
    assert answer["mode"] == "zip"
    assert lab.names(Path(answer["path"])) == ["assets/a.png", "shot.blend"]
    with pytest.raises(ProblemError) as caught:
        lab.pack(blend, tmp_path / "out", mode="tar")
    assert caught.value.problem.category is Category.INPUT


def test_one_blend_is_refused_where_blender_cannot(tmp_path: Path) -> None:
    blend = _sequence(tmp_path, 3)
    with pytest.raises(ProblemError) as caught:
        lab.pack(blend, tmp_path / "out", mode="blend")
    problem = caught.value.problem
    assert problem.category is Category.INPUT
    assert "image sequences" in problem.sentence and "ZIP" in problem.hint
    assert os.listdir(tmp_path / "out") == ["preflight.json"]
    answer = lab.pack(blend, tmp_path / "out", mode="auto")
    assert answer["mode"] == "zip"
    assert "image sequences" in answer["report"]["package"]["why"]


def test_what_blender_leaves_out_in_silence_makes_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scan after packing decides, not what the operator says."""
    blend = _textured(tmp_path, "a.png", "b.png")

    def forgetful(dependencies: Any) -> None:
        bpy.data.images["a.png"].pack()

    monkeypatch.setattr(pack_blend, "pack", forgetful)
    answer = lab.pack(blend, tmp_path / "out")
    assert answer["mode"] == "zip"
    assert answer["report"]["package"]["mode"] == "zip"
    assert "b.png" in answer["report"]["package"]["why"]
    assert lab.names(Path(answer["path"])) == ["assets/b.png", "shot.blend"]
    with pytest.raises(ProblemError) as caught:
        lab.pack(blend, tmp_path / "out 2", mode="blend")
    assert "b.png" in caught.value.problem.sentence


def test_too_much_for_one_blend(tmp_path: Path) -> None:
    blend = _textured(tmp_path, "a.png", "b.png")
    answer = lab.pack(blend, tmp_path / "out", packed_max_bytes=1000)
    assert answer["mode"] == "zip" and "GiB together" in answer["report"]["package"]["why"]


def test_report_only_writes_a_report_only(tmp_path: Path) -> None:
    blend = _sequence(tmp_path, 5)
    answer = lab.pack(blend, tmp_path / "out", report_only=True)
    assert (answer["path"], answer["bytes"], answer["mode"]) == (None, None, None)
    assert os.listdir(tmp_path / "out") == ["preflight.json"]
    report = json.loads((tmp_path / "out" / "preflight.json").read_text(encoding="utf-8"))
    assert report == json.loads(json.dumps(answer["report"]))
    assert report["package"]["mode"] == "zip" and report["package"]["files"] == 6
    real = lab.pack(blend, tmp_path / "out")
    assert report["package"]["bytes"] < 20 * real["bytes"]
    report = json.loads((tmp_path / "out" / "preflight.json").read_text(encoding="utf-8"))
    assert report["package"]["bytes"] == real["bytes"] == os.path.getsize(real["path"])


def test_blocking_findings_block_unless_told(tmp_path: Path) -> None:
    blend = _textured(tmp_path, "a.png", "b.png")
    os.unlink(blend.parent / "a.png")
    answer = lab.pack(blend, tmp_path / "out")
    assert answer["blocked"] and answer["path"] is None
    assert os.listdir(tmp_path / "out") == ["preflight.json"]
    answer = lab.pack(blend, tmp_path / "out", ignore_problems=True)
    assert not answer["blocked"] and answer["mode"] == "blend"
    answer = lab.pack(blend, tmp_path / "out", ignore_problems=True, mode="zip")
    assert lab.names(Path(answer["path"])) == ["assets/b.png", "shot.blend"]


# The current scene, camera, layer and range of the copy


def test_what_is_asked_for_is_current_in_the_copy(tmp_path: Path) -> None:
    blend = tmp_path / "project" / "s.blend"
    first = lab.new_scene(blend)
    other = bpy.data.scenes.new("Night")
    camera = bpy.data.objects.new("Second", bpy.data.cameras.new("Second"))
    for name in ("Near", "Far"):
        other.view_layers.new(name)
    other.collection.objects.link(camera)
    other.collection.objects.link(first.camera)
    other.camera = first.camera
    other.timeline_markers.new("cut", frame=3).camera = first.camera
    lab.save(blend)
    asked = {"scene": "Night", "camera": "Second", "view_layer": "Far", "frames": "10-20x5"}
    answer = lab.pack(blend, tmp_path / "out", **asked)
    bpy.ops.wm.open_mainfile(filepath=answer["path"], load_ui=True)
    scene: Any = bpy.context.scene
    assert scene.name == "Night" and scene.camera.name == "Second"
    assert [layer.name for layer in scene.view_layers if layer.use] == ["Far"]
    assert (scene.frame_start, scene.frame_end, scene.frame_step) == (10, 20, 5)
    scene.frame_set(5)
    assert scene.camera.name == "Second"  # no marker takes it back
    report = answer["report"]
    assert (report["scene"], report["camera"], report["view_layer"]) == ("Night", "Second", "Far")
    with pytest.raises(ProblemError) as caught:
        lab.pack(blend, tmp_path / "out", scene="Nigth")
    assert "Night" in caught.value.problem.hint


@pytest.mark.parametrize(
    ("frames", "handles", "kept"),
    [
        ("8-9", None, range(6, 12)),
        ("8-9", 0, range(8, 10)),
        ("3,6", 1, range(2, 8)),
        (None, None, range(1, 13)),
    ],
)
def test_sequences_are_cut_to_the_range(
    tmp_path: Path, frames: str | None, handles: int | None, kept: range
) -> None:
    blend = _sequence(tmp_path)
    answer = lab.pack(blend, tmp_path / "out", frames=frames, handles=handles)
    found = [name for name in lab.names(Path(answer["path"])) if "s_" in name]
    assert found == [f"assets/seq/s_{number:04}.png" for number in kept]


# Libraries


def test_libraries_go_in_byte_for_byte(tmp_path: Path) -> None:
    root = tmp_path / "studio"
    deep = _library(root / "libs" / "deep" / "d.blend", root / "tex" / "d.png", "//../../tex/d.png")
    wall = root / "libs" / "wall.blend"
    lab.new_scene(wall)
    with bpy.data.libraries.load(str(deep), link=True, relative=True) as (_, into):
        into.materials = ["Own"]
    lab.plane("Wall", into.materials[0], 1)
    lab.save(wall)
    blend = root / "shots" / "s.blend"
    lab.new_scene(blend)
    with bpy.data.libraries.load(str(wall), link=True, relative=True) as (_, into):
        into.objects = ["Wall"]
    bpy.context.scene.collection.objects.link(into.objects[0])
    lab.save(blend)
    answer = lab.pack(blend, tmp_path / "out")
    assert answer["mode"] == "zip" and answer["notes"] == []
    with zipfile.ZipFile(answer["path"]) as archive:
        names = archive.namelist()
        held = {name.rpartition("/")[2]: archive.read(name) for name in names}
    assert names == [
        "assets/libs/deep/d.blend",
        "assets/libs/wall.blend",
        "assets/tex/d.png",
        "shot.blend",
    ]
    assert held["d.blend"] == deep.read_bytes() and held["wall.blend"] == wall.read_bytes()


def test_a_library_with_paths_of_this_computer_is_saved_again(tmp_path: Path) -> None:
    root = tmp_path / "studio"
    texture = tmp_path / "server" / "t.png"
    far = _library(root / "libs" / "far.blend", texture, str(texture))
    near = _library(root / "libs" / "near.blend", root / "tex" / "n.png", "//../tex/n.png")
    blend = _linking(root / "s.blend", far, near)
    before = lab.snapshot(tmp_path)
    answer = lab.pack(blend, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "unpacked", ignore_errors=True)
    assert [note for note in answer["notes"] if "far.blend was saved again" in note]
    assert not [note for note in answer["notes"] if "near.blend" in note]
    with zipfile.ZipFile(answer["path"]) as archive:
        assert archive.read("assets/studio/libs/near.blend") == near.read_bytes()
        assert archive.read("assets/studio/libs/far.blend") != far.read_bytes()
        assert "assets/server/t.png" in archive.namelist()
    assert {k: v for k, v in lab.snapshot(tmp_path).items() if not k.startswith("out/")} == before
    moved = lab.unpack(Path(answer["path"]), tmp_path / "else" / "where")
    shutil.rmtree(root)
    shutil.rmtree(texture.parent)
    bpy.ops.wm.open_mainfile(filepath=str(moved))
    values = {image.filepath: image.size[0] for image in bpy.data.images if image.source == "FILE"}
    assert values == {"//../tex/n.png": 4, "//../../server/t.png": 4}


def test_libraries_without_files_of_their_own_are_packed(tmp_path: Path) -> None:
    root = tmp_path / "studio"
    part = _library(root / "part.blend", None, "")
    blend = _linking(root / "shots" / "s.blend", part)
    answer = lab.pack(blend, tmp_path / "out")
    assert answer["mode"] == "blend"
    shutil.rmtree(root)
    bpy.ops.wm.open_mainfile(filepath=answer["path"])
    (library,) = bpy.data.libraries
    assert library.packed_file is not None
    assert bpy.data.objects["Part"].library == library
    assert len(bpy.data.objects["Part"].data.vertices) == 4


# Files and their names


def test_each_file_is_there_once(tmp_path: Path) -> None:
    """By two paths, by a symbolic link, by a hard link: one file."""
    blend = tmp_path / "project" / "s.blend"
    lab.new_scene(blend)
    real = lab.picture(blend.parent / "tex" / "real.png", (1, 0, 0))
    store = tmp_path / "store"
    store.mkdir()
    os.symlink(real, store / "linked.png")
    os.link(real, store / "hard.png")
    os.symlink(blend.parent / "tex", store / "folder")
    for number, value in enumerate(
        ["//tex/real.png", "//../project/tex/real.png", str(store / "linked.png"),
         str(store / "hard.png"), str(store / "folder" / "real.png")]
    ):  # fmt: skip
        image = bpy.data.images.new(f"I{number}", 1, 1)
        image.source = "FILE"
        image.filepath = value
        lab.plane(f"P{number}", lab.glow(f"M{number}", image), number)
    lab.save(blend)
    answer = lab.pack(blend, tmp_path / "out", mode="zip")
    images = [name for name in lab.names(Path(answer["path"])) if name.endswith(".png")]
    assert len(images) == 1
    moved = lab.unpack(Path(answer["path"]), tmp_path / "moved")
    bpy.ops.wm.open_mainfile(filepath=str(moved))
    sizes = [image.size[0] for image in bpy.data.images if image.source == "FILE"]
    assert sizes == [4] * 5


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not allow")
def test_names_are_safe_everywhere(tmp_path: Path) -> None:
    nfd = unicodedata.normalize("NFD", "Straße ä")
    odd = [
        "a:b?.png",
        "CON.png",
        "tail. /x.png",
        f"{nfd}.png",
        "Up.png",
        "uP.png",
        "l" * 230 + ".png",
    ]
    blend = _textured(tmp_path, *odd)
    answer = lab.pack(blend, tmp_path / "out", mode="zip")
    found = lab.names(Path(answer["path"]))
    assert len({name.casefold() for name in found}) == len(odd) + 1
    for name in found:
        assert unicodedata.is_normalized("NFC", name)
        assert not set(name) & set('<>:"|?*\\') and len(name.encode()) < 255
        for part in name.split("/"):
            assert part.split(".")[0].casefold() != "con" and part == part.rstrip(". ")
    moved = lab.unpack(Path(answer["path"]), tmp_path / "moved")
    shutil.rmtree(blend.parent)
    bpy.ops.wm.open_mainfile(filepath=str(moved))
    colours = sorted(round(image.pixels[0], 1) for image in bpy.data.images if image.size[0] == 4)
    assert len(colours) == len(odd) and len(set(colours)) == len(odd)


def test_the_same_scene_gives_the_same_package(tmp_path: Path) -> None:
    """In Blenders that save the same scene the same; older ones write addresses into a .blend."""
    blend = _sequence(tmp_path, 3)
    packages = []
    for number in (1, 2):
        output = tmp_path / f"out {number}"
        params = {"blend": str(blend), "folder": str(tmp_path), "output": str(output),
                  "name": "shot", "max_bytes": GIB, "packed_max_bytes": GIB}  # fmt: skip
        work = tmp_path / f"work {number}"
        answer = run_recipe(
            "pack_scene", params, workdir=work, program=scenes.this_blender(), timeout=240
        )
        packages.append(Path(answer["path"]))
        os.utime(blend.parent / "seq" / "s_0001.png")
    with zipfile.ZipFile(packages[0]) as one, zipfile.ZipFile(packages[1]) as other:
        assert one.namelist() == other.namelist()
        same = one.read("shot.blend") == other.read("shot.blend")
        assert [i.CRC for i in one.infolist()[:-1]] == [i.CRC for i in other.infolist()[:-1]]
    if bpy.app.version >= (5, 2):
        assert same
    if same:
        assert packages[0].read_bytes() == packages[1].read_bytes()


# Size and disk


def _sparse(tmp_path: Path, count: int, size: int) -> Path:
    blend = tmp_path / "project" / "s.blend"
    lab.new_scene(blend)
    for number in range(count):
        path = blend.parent / "vdb" / f"cloud{number}x.vdb"
        path.parent.mkdir(exist_ok=True)
        with open(path, "wb") as file:
            file.truncate(size)
        volume = bpy.data.volumes.new(f"V{number}")
        volume.filepath = f"//vdb/{path.name}"
        item = bpy.data.objects.new(f"V{number}", volume)
        bpy.context.scene.collection.objects.link(item)
    return lab.save(blend)


@pytest.mark.parametrize("ignore", [False, True])
def test_six_gib_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ignore: bool
) -> None:
    blend = _sparse(tmp_path, 6, GIB)
    monkeypatch.setattr(pack_zip.zip_stream, "write", lambda *_a, **_k: pytest.fail("written"))
    monkeypatch.setattr(pack_blend, "save", lambda *_a, **_k: pytest.fail("saved"))
    with pytest.raises(ProblemError) as caught:
        lab.pack(blend, tmp_path / "out", ignore_problems=ignore)
    problem = caught.value.problem
    assert problem.category is Category.LIMIT
    assert "6.0 GiB" in problem.sentence and "5.0 GiB" in problem.sentence
    assert "6 files in vdb (6.0 GiB)" in problem.hint
    assert os.listdir(tmp_path / "out") == ["preflight.json"]


def test_the_limit_holds_while_writing_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blend = _textured(tmp_path, "a.png")
    monkeypatch.setattr(pack_zip, "estimate", lambda *_a: 0)
    with pytest.raises(ProblemError) as caught:
        lab.pack(blend, tmp_path / "out", mode="zip", max_bytes=20_000)
    assert caught.value.problem.category is Category.LIMIT
    assert os.listdir(tmp_path / "out") == ["preflight.json"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that holds 48 MB; skipped where mounting is not allowed."""
    place = tmp_path / "small disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)]
    linux = sys.platform.startswith("linux")
    if not linux or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def _noise(tmp_path: Path, size: int) -> Path:
    blend = _textured(tmp_path, "a.png")
    image = bpy.data.images.new("noise", 1, 1)
    image.source = "FILE"
    image.filepath = "//noise.png"
    image.use_fake_user = True
    (blend.parent / "noise.png").write_bytes(os.urandom(size))
    return lab.save(blend)


def test_too_little_disk_is_said_before_writing(tmp_path: Path, small_disk: Path) -> None:
    blend = _noise(tmp_path, 30_000_000)
    with pytest.raises(ProblemError) as caught:
        lab.pack(blend, small_disk / "out", mode="zip")
    assert caught.value.problem.category is Category.DISK
    assert "too little room" in caught.value.problem.sentence
    assert os.listdir(small_disk / "out") == ["preflight.json"]


def test_a_disk_that_becomes_full_leaves_nothing(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blend = _noise(tmp_path, 60_000_000)
    monkeypatch.setattr(pack_zip, "at_most", lambda *_a: 0)
    for mode in ("zip", "blend"):
        with pytest.raises(ProblemError) as caught:
            lab.pack(blend, small_disk / "out", mode=mode)
        assert caught.value.problem.category is Category.DISK
        assert os.listdir(small_disk / "out") == ["preflight.json"]


def test_a_folder_that_may_not_be_written(tmp_path: Path, small_disk: Path) -> None:
    blend = _textured(tmp_path, "a.png")
    command = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(ProblemError) as caught:
        lab.pack(blend, small_disk / "out")
    assert caught.value.problem.category is Category.DISK
    assert "cannot be written" in caught.value.problem.sentence


def test_a_read_only_project_is_packed(tmp_path: Path, small_disk: Path) -> None:
    """Nothing is written beside the artist's file, not even for a moment."""
    blend = _sequence(tmp_path, 3)
    shutil.copytree(blend.parent, small_disk / "project")
    command = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(command, check=True, capture_output=True)
    answer = lab.pack(small_disk / "project" / "s.blend", tmp_path / "out")
    assert len(lab.names(Path(answer["path"]))) == 4
    bpy.ops.wm.read_homefile(use_empty=True)


def test_progress_tells_how_far_it_is(tmp_path: Path) -> None:
    blend = _noise(tmp_path, 10_000_000)
    told: list[tuple[float, str]] = []
    params = {"blend": str(blend), "output": str(tmp_path / "out"), "name": "x", "mode": "zip"}
    lab.pack_scene.main(params, lambda *words: told.append(words))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
    assert [text for _, text in told if text.startswith("Packing 9.") and "MiB of" in text]
