# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight report about files and linked data: what is missing and used blocks, all else does
not.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from tests.recipes.preflight_support import BLOCKING, INFO, WARNING, Look  # noqa: E402

GIB = 1024**3


@pytest.fixture
def project(look: Look, tmp_path: Path) -> Path:
    """The artist's folder with the small scene in it, open."""
    folder = tmp_path / "project"
    folder.mkdir()
    save(folder)
    return folder


def save(folder: Path) -> None:
    path = str(folder / "shot.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)


def picture(path: Path) -> Any:
    """An image on the disk, and in the open file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = bpy.data.images.new(path.stem, 4, 4)
    made.filepath_raw, made.file_format = str(path), "PNG"
    made.save()
    bpy.data.images.remove(made)
    return bpy.data.images.load(str(path))


# Missing


def test_a_missing_texture(look: Look, project: Path) -> None:
    path = project / "tex" / "wood.png"
    look.image_node(picture(path))
    assert look.codes() == set()
    path.unlink()
    found = look.one("missing_file", BLOCKING)
    assert found["sentence"] == "The image wood.png is missing."
    assert "used by Cube." in found["hint"] and found["path"] == str(path)
    assert found["fix"]["action"] == "find_missing"
    assert [user["type"] for user in found["users"]] == ["Image", "Material", "Mesh", "Object"]
    look.cube.data.materials.clear()
    found = look.one("missing_unused", INFO)
    assert "Nothing that is rendered uses it." in found["hint"]


def test_a_packed_texture_needs_no_file(look: Look, project: Path) -> None:
    path = project / "wood.png"
    image = picture(path)
    image.pack()
    look.image_node(image)
    path.unlink()
    assert look.codes() == set()


@pytest.mark.parametrize("where", ["background", "empty", "other scene", "fake user"])
def test_missing_pictures_that_no_render_reads(look: Look, project: Path, where: str) -> None:
    path = project / "reference.png"
    image = picture(path)
    path.unlink()
    if where == "background":
        camera = look.scene.camera.data
        camera.show_background_images = True
        camera.background_images.new().image = image
    elif where == "empty":
        empty = bpy.data.objects.new("Reference", None)
        empty.empty_display_type, empty.data = "IMAGE", image
        look.scene.collection.objects.link(empty)
    elif where == "other scene":
        other = bpy.data.scenes.new("Other")
        item = bpy.data.objects.new("There", bpy.data.meshes.new("There"))
        other.collection.objects.link(item)
        item.data.materials.append(look.material())
        look.image_node(image)
        look.cube.data.materials.clear()
    else:
        image.use_fake_user = True
    codes = look.codes() - {"several_scenes"}
    assert codes == {"missing_unused"}


def test_missing_pictures_elsewhere_than_in_materials(look: Look, project: Path) -> None:
    path = project / "sky.png"
    image = picture(path)
    path.unlink()
    image.use_fake_user = True
    assert look.codes() == {"missing_unused"}
    tree = look.compositor()
    look.composite(tree)
    tree.nodes.new("CompositorNodeImage").image = image
    assert look.codes() == {"missing_file", "compositor"}
    look.scene.render.use_compositing = False
    assert look.codes() == {"missing_unused"}


def test_a_missing_sequence_frame(look: Look, project: Path) -> None:
    for number in (1, 2, 3):
        shutil.copy(picture(project / "one.png").filepath, project / f"fire_{number:04}.png")
    for image in list(bpy.data.images):
        bpy.data.images.remove(image)
    image = bpy.data.images.load(str(project / "fire_0001.png"))
    image.source = "SEQUENCE"
    user = look.image_node(image).image_user
    user.frame_duration, user.use_auto_refresh = 3, True
    assert "missing_file" not in look.codes(frames="1-3")
    (project / "fire_0002.png").unlink()
    found = look.one("missing_file", BLOCKING, frames="1-3")
    assert found["sentence"] == "1 file is missing of the image sequence fire_####.png."
    assert found["path"] == str(project / "fire_0002.png")


@pytest.mark.skipif(not bpy.app.build_options.audaspace, reason="this Blender has no sound")
def test_a_missing_sound(look: Look, project: Path) -> None:
    sound = project / "music.wav"
    sound.write_bytes(
        b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x08"
        b"\0\0\0" + bytes(8)
    )
    editor = look.scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strips.new_sound("Music", str(sound), 1, 1)
    assert look.codes() == set(), "a sound is no picture: the 3D scene is rendered"
    sound.unlink()
    assert "sound music.wav" in look.one("missing_extra", WARNING)["sentence"]


def test_a_missing_strip(look: Look, project: Path) -> None:
    path = project / "title.png"
    picture(path)
    editor = look.scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strips.new_image("Title", str(path), 1, 1)
    for image in list(bpy.data.images):
        bpy.data.images.remove(image)
    assert look.codes() == {"sequencer"}
    path.unlink()
    look.one("missing_file", BLOCKING)
    look.scene.render.use_sequencer = False
    assert look.codes() == {"missing_unused"}


def test_a_baked_cache_whose_files_are_gone(look: Look, project: Path) -> None:
    cache = look.cube.modifiers.new("Cloth", "CLOTH").point_cache
    cache.use_disk_cache = True
    cache.frame_end = 4
    with bpy.context.temp_override(point_cache=cache, scene=look.scene):
        bpy.ops.ptcache.bake(bake=True)
    assert look.codes(frames="1-4") == set()
    shutil.rmtree(project / "blendcache_shot")
    assert "simulation cache" in look.one("missing_file", BLOCKING, frames="1-4")["sentence"]


# There, but not right


def test_a_file_without_content(look: Look, project: Path) -> None:
    path = project / "wood.png"
    look.image_node(picture(path))
    path.write_bytes(b"")
    found = look.one("empty_file", BLOCKING)
    assert found["sentence"] == "wood.png has no content." and found["path"] == str(path)
    look.cube.data.materials.clear()
    assert look.codes() == set()


def test_conditions_of_files() -> None:
    """Clouds, rights and spellings, as the scan tells them: they cannot be made everywhere."""
    from addon.recipes import preflight_files
    from addon.recipes.dependencies import CASE, EMPTY, LOOP, UNICODE, UNREADABLE, FileEntry

    def code(**more: Any) -> str:
        return preflight_files.condition(FileEntry("/p/a.png", 1, **more))

    assert code() == ""
    assert code(placeholder=True) == "cloud_file"
    assert code(placeholder=True, problem=EMPTY) == "empty_file"
    assert code(problem=UNREADABLE) == code(problem=LOOP) == "unreadable_file"
    assert code(problem=CASE) == code(problem=UNICODE) == "spelling"


@pytest.mark.parametrize(
    ("problem", "placeholder", "found", "said"),
    [
        ("", True, "cloud_file", "wood.png is in the cloud, not on this computer."),
        ("unreadable", False, "unreadable_file", "wood.png cannot be read."),
        ("case", False, "spelling", "wood.png is spelled differently"),
    ],
)
def test_files_in_a_bad_state(
    look: Look, project: Path, problem: str, placeholder: bool, found: str, said: str
) -> None:
    from addon.recipes import dependencies, preflight

    path = project / "wood.png"
    look.image_node(picture(path))
    held = dependencies.scan()
    (image,) = [one for one in held if one.kind == "image"]
    (entry,) = image.files
    entry.problem, entry.placeholder = problem, placeholder
    report = preflight.examine(look.scene, held)
    (one,) = report["findings"]
    assert one["code"] == found and said in one["sentence"]
    assert "used by Cube" in one["hint"]
    if placeholder:
        assert one["fix"] == {"action": "reload", "type": "Image", "name": "wood.png"}


def test_another_spelling_on_the_disk(look: Look, project: Path) -> None:
    path = project / "Wood.PNG"
    image = picture(path)
    look.image_node(image)
    image.filepath = "//wood.png"
    if (project / "wood.png").exists():
        pytest.skip("this disk does not tell capital letters apart")
    found = look.one("spelling", WARNING)
    assert "Wood.PNG" in found["sentence"] and found["path"] == str(path)


# Linked data


@pytest.fixture
def linked(look: Look, project: Path) -> Path:
    """A library whose chair the scene shows; returns the library's path."""
    path = project / "props.blend"
    chair = bpy.data.objects.new("Chair", look.cube.data)
    group = bpy.data.collections.new("Chairs")
    group.objects.link(chair)
    bpy.data.libraries.write(str(path), {group, chair})
    bpy.data.collections.remove(group)
    bpy.data.objects.remove(chair)
    with bpy.data.libraries.load(str(path), link=True) as (_, wanted):
        wanted.collections = ["Chairs"]
    look.scene.collection.children.link(wanted.collections[0])
    return path


def test_a_library_that_is_there(look: Look, project: Path, linked: Path) -> None:
    save(project)
    assert look.codes() == set()


def test_a_missing_library(look: Look, project: Path, linked: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(project / "shot.blend"))
    linked.unlink()
    bpy.ops.wm.open_mainfile(filepath=str(project / "shot.blend"))
    found = look.one("missing_library", BLOCKING)
    assert found["sentence"] == "The linked file props.blend is missing."
    assert look.codes() == {"missing_library"}, "its objects are not told one by one as well"
    look.scene.collection.children.unlink(look.scene.collection.children[0])
    bpy.context.view_layer.update()
    assert look.codes() == {"missing_unused"}


def test_data_that_is_no_longer_in_the_library(look: Look, project: Path, linked: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(project / "shot.blend"))
    bpy.data.libraries.write(str(linked), {look.cube})
    bpy.ops.wm.open_mainfile(filepath=str(project / "shot.blend"))
    found = look.one("missing_data", BLOCKING)
    assert "props.blend: Chairs." in found["sentence"]
    assert found["path"] == str(linked)
    assert found["fix"] == {"action": "reload", "type": "Library", "name": "props.blend"}
    look.scene.collection.children.unlink(look.scene.collection.children[0])
    bpy.context.view_layer.update()
    assert look.codes() == {"missing_unused"}


def test_a_texture_missing_in_a_library(look: Look, project: Path, tmp_path: Path) -> None:
    path = project / "bark.png"
    look.image_node(picture(path))
    library = project / "tree.blend"
    cube = look.cube
    cube.name = "Tree"
    bpy.data.libraries.write(str(library), {cube}, path_remap="RELATIVE_ALL")
    bpy.ops.wm.open_mainfile(filepath=str(project / "shot.blend"))
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.objects = ["Tree"]
    look.scene.collection.objects.link(wanted.objects[0])
    assert look.codes() == set()
    path.unlink()
    found = look.one("missing_file", BLOCKING)
    assert "The link to it is in tree.blend." in found["hint"]
    assert "used by Tree." in found["hint"]


def test_an_override_without_its_origin(look: Look, project: Path, linked: Path) -> None:
    chair = look.scene.collection.children[0].objects[0]
    look.scene.collection.objects.link(chair)
    made = chair.override_create(remap_local_usages=True)
    assert made is not None
    look.scene.collection.children.unlink(look.scene.collection.children[0])
    save(project)
    assert look.codes() == set()
    bpy.data.libraries.write(str(linked), {look.cube})
    bpy.ops.wm.open_mainfile(filepath=str(project / "shot.blend"))
    found = look.one("override", WARNING)
    assert "library override Chair" in found["sentence"]


# The package


def test_the_size_of_the_package(look: Look) -> None:
    look.package = {"mode": "zip", "why": "a sequence", "bytes": GIB // 2, "files": 3}
    assert look.codes() == set()
    assert look.report()["package"] == look.package
    look.package["bytes"] = 2 * GIB
    assert "2.0 GiB" in look.one("large", INFO)["sentence"]
    look.package["bytes"] = 5 * GIB
    assert "at most 5.0 GiB" in look.one("too_large", BLOCKING)["sentence"]
    look.package = {"bytes": 2000, "max_bytes": 1000}
    look.one("too_large", BLOCKING)


def test_dependencies_in_the_report(look: Look, project: Path) -> None:
    look.image_node(picture(project / "wood.png"))
    (one,) = look.report()["dependencies"]
    assert (one["kind"], one["files"], one["missing_count"]) == ("image", 1, 0)
    assert one["path"] == str(project / "wood.png")
