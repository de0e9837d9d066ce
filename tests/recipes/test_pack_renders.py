# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof by rendering: packed, moved elsewhere, the original tree gone, the same pixels.

Cycles on the CPU with a fixed seed and without denoiser; every file that a scene needs changes some
pixels. Run in every Blender.
"""

from __future__ import annotations

import base64
import os
import shutil
import wave
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest

from tests.recipes import pack_support as lab
from tests.support import dependency_scene


@pytest.fixture(autouse=True)
def _clean_slate() -> Iterator[None]:
    yield
    bpy.ops.wm.read_homefile(use_empty=True)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A scene with every kind of file, and what it looks like: ``pictures`` by scene."""
    root = tmp_path_factory.mktemp("every kind") / "original"
    facts = dependency_scene.build(root)
    frame, target = facts["frame"], root.parent / "original.png"
    facts["root"] = root
    facts["pictures"] = {
        name: lab.render(Path(facts["main"]), frame, target, name) for name in facts["scenes"]
    }
    bpy.ops.wm.read_homefile(use_empty=True)
    yield facts
    shutil.rmtree(root.parent, ignore_errors=True)


def test_every_kind_of_file_in_an_archive(everything: dict[str, Any], tmp_path: Path) -> None:
    root = everything["root"]
    before = lab.snapshot(root)
    first, last = everything["frames"]
    out = tmp_path / "out"
    answer = lab.pack(Path(everything["main"]), out, frames=f"{first}-{last}", handles=0)
    assert answer["mode"] == "zip" and answer["notes"] == [] and not answer["blocked"]
    assert lab.snapshot(root) == before
    assert sorted(os.listdir(out)) == ["preflight.json", "shot.zip"]
    moved = lab.unpack(Path(answer["path"]), tmp_path / "far" / "away")
    held = {path.name for path in moved.parent.rglob("*")}
    wanted = {Path(name).name for kind, names in everything["files"].items()
              for name in names if kind != "proxy"}  # fmt: skip
    # What is on the disk by two names is there by one.
    assert wanted - held <= {"plain.png", "link.png"}
    assert not held & {"s_0001.png", "c015.png", "step_006.abc", "p 08.png", "smoke 0006.vdb"}
    gone = root.with_name("gone")
    os.rename(root, gone)
    try:
        for name, picture in everything["pictures"].items():
            assert picture.std() > 0.1
            again = lab.render(moved, everything["frame"], tmp_path / "again.png", name)
            assert lab.differing(again, picture) == [], name
    finally:
        os.rename(gone, root)


def test_handles_ask_for_no_files_that_are_not_there(
    everything: dict[str, Any], tmp_path: Path
) -> None:
    """With handles the range begins before the caches do; that is no reason to stop."""
    answer = lab.pack(Path(everything["main"]), tmp_path, frames="2-5", report_only=True)
    assert not answer["blocked"], answer["report"]["findings"]
    assert all(not item["missing_count"] for item in answer["report"]["dependencies"])
    answer = lab.pack(Path(everything["main"]), tmp_path, frames="0-5", report_only=True)
    assert answer["blocked"]


def _packable(root: Path, *, more: bool) -> Path:
    """A scene with one of each thing that Blender packs into a .blend; ``more``: and what it says
    it packs, but renders differently then.
    """
    part = root / "libs" / "part.blend"
    lab.new_scene(part)
    inner = bpy.data.images.new("inner", 4, 4)
    inner.pixels.foreach_set([0.2, 0.9, 0.4, 1.0] * 16)
    inner.pack()
    lab.plane("Part", lab.glow("Part", inner), 0)
    lab.save(part)
    blend = root / "Szenen ü" / "s.blend"
    scene = lab.new_scene(blend)
    with bpy.data.libraries.load(str(part), link=True, relative=True) as (_, into):
        into.objects = ["Part"]
    scene.collection.objects.link(into.objects[0])
    image = bpy.data.images.load(str(lab.picture(root / "tex 🎨" / "a.png", (1, 0, 0))))
    image.filepath = "//../tex 🎨/a.png"
    lab.plane("relative", lab.glow("relative", image), 1)
    name = "b.exr" if more else "b.png"
    image = bpy.data.images.load(str(lab.picture(root / "tex 🎨" / name, (0, 0.37, 0))))
    lab.plane("absolute", lab.glow("absolute", image), 2)
    for tile in (1001, 1002):
        lab.picture(root / "tex 🎨" / f"t.{tile}.png", (0, tile - 1001, 1))
    image = bpy.data.images.load(str(root / "tex 🎨" / "t.1001.png"))
    image.source = "TILED"
    image.filepath = "//../tex 🎨/t.<UDIM>.png"
    image.reload()
    item = lab.plane("tiles", lab.glow("tiles", image), 3)
    for corner in item.data.uv_layers[0].data:
        corner.uv.x *= 2
    fonts = Path(bpy.utils.system_resource("DATAFILES")) / "fonts"
    shutil.copyfile(fonts / "DejaVuSansMono.woff2", root / "letters.woff2")
    curve: Any = bpy.data.curves.new("letter", "FONT")
    curve.body = "R"
    curve.font = bpy.data.fonts.load(str(root / "letters.woff2"))
    curve.font.filepath = "//../letters.woff2"
    curve.materials.append(lab.glow("letter", None))
    item = bpy.data.objects.new("letter", curve)
    item.location = (1.3, 1.1, 0)
    scene.collection.objects.link(item)
    with wave.open(str(root / "tone.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\1" * 100)
    speaker: Any = bpy.data.speakers.new("speaker")
    speaker.sound = bpy.data.sounds.load(str(root / "tone.wav"))
    speaker.sound.filepath = "//../tone.wav"
    scene.collection.objects.link(bpy.data.objects.new("speaker", speaker))
    return lab.save(blend)


def _fog(root: Path) -> None:
    fog = root / "fog.vdb"
    fog.write_bytes(zlib.decompress(base64.b64decode(dependency_scene.FOG)))
    volume: Any = bpy.data.volumes.new("fog")
    volume.filepath = "//../fog.vdb"
    volume.materials.append(_smoke())
    item = bpy.data.objects.new("fog", volume)
    item.location = (2.6, 1.1, 0)
    bpy.context.scene.collection.objects.link(item)


def _smoke() -> Any:
    made = lab.glow("smoke", None)
    tree = made.node_tree
    shader = tree.nodes.new("ShaderNodeVolumePrincipled")
    shader.inputs["Emission Strength"].default_value = 2.0
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.remove(output.inputs["Surface"].links[0])
    tree.links.new(shader.outputs[0], output.inputs["Volume"])
    return made


@pytest.mark.parametrize("mode", ["auto", "zip"])
def test_what_blender_packs(tmp_path: Path, mode: str) -> None:
    root = tmp_path / "original"
    blend = _packable(root, more=mode == "zip")
    wanted = lab.render(blend, 1, tmp_path / "wanted.png")
    assert len({tuple(pixel) for pixel in wanted.reshape(-1, 4)}) > 6
    before = lab.snapshot(root)
    answer = lab.pack(blend, tmp_path / "out", mode=mode)
    assert answer["mode"] == ("blend" if mode == "auto" else "zip")
    assert answer["notes"] == [] and lab.snapshot(root) == before
    moved = lab.unpack(Path(answer["path"]), tmp_path / "far" / "away")
    shutil.rmtree(root)
    again = lab.render(moved, 1, tmp_path / "again.png")
    assert lab.differing(again, wanted) == []
    for sound in bpy.data.sounds:
        assert sound.packed_file or Path(bpy.path.abspath(sound.filepath)).is_file()


@pytest.mark.parametrize("name", ["b.exr", "deep.png", "fog.vdb"])
def test_what_would_look_different_when_packed(tmp_path: Path, name: str) -> None:
    root = tmp_path / "original"
    blend = root / "s.blend"
    lab.new_scene(blend)
    if name == "fog.vdb":
        root = root.parent / "fog"
        root.mkdir()
        _fog(root)
        bpy.data.volumes[0].filepath = str(root / "fog.vdb")
    else:
        path = lab.picture(root / name, (0, 0.37, 0), deep=True)
        lab.plane("P", lab.glow("M", bpy.data.images.load(str(path))), 0)
    answer = lab.pack(lab.save(blend), tmp_path / "out")
    assert answer["mode"] == "zip"
    why = answer["report"]["package"]["why"]
    assert ("volumes" if name == "fog.vdb" else name) in why


def test_a_library_that_was_saved_again(tmp_path: Path) -> None:
    """Absolute paths in a library, and in one that it links in turn."""
    root, server = tmp_path / "original", tmp_path / "server"
    deep = root / "deep" / "deep.blend"
    lab.new_scene(deep)
    image = bpy.data.images.load(str(lab.picture(server / "d.png", (0.9, 0.1, 0.5))))
    lab.glow("Deep", image).use_fake_user = True
    lab.save(deep)
    part = root / "part.blend"
    lab.new_scene(part)
    with bpy.data.libraries.load(str(deep), link=True, relative=False) as (_, into):
        into.materials = ["Deep"]
    lab.plane("Part", into.materials[0], 0)
    image = bpy.data.images.load(str(lab.picture(server / "p.png", (0.1, 0.9, 0.5))))
    lab.plane("Other", lab.glow("Other", image), 1)
    lab.save(part)
    blend = root / "shots" / "s.blend"
    scene = lab.new_scene(blend)
    with bpy.data.libraries.load(str(part), link=True, relative=True) as (_, into):
        into.objects = ["Part", "Other"]
    for item in into.objects:
        scene.collection.objects.link(item)
    lab.save(blend)
    wanted = lab.render(blend, 1, tmp_path / "wanted.png")
    answer = lab.pack(blend, tmp_path / "out")
    assert answer["mode"] == "zip"
    assert len([note for note in answer["notes"] if "saved again" in note]) == 2
    moved = lab.unpack(Path(answer["path"]), tmp_path / "far" / "away")
    shutil.rmtree(root)
    shutil.rmtree(server)
    again = lab.render(moved, 1, tmp_path / "again.png")
    assert (again == wanted).all() and wanted.std() > 0.1
