# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture: what it refuses, what it writes, and that the artist's session stays as it was."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support import scenes
from tests.support.extension import Extension

bpy = pytest.importorskip("bpy")
pytestmark = pytest.mark.usefixtures("clean_scene")


@pytest.fixture
def capture(extension: Extension) -> ModuleType:
    """``addon.capture`` of the installed extension."""
    return extension.module("addon.capture")


@pytest.fixture
def refused(extension: Extension) -> type[Exception]:
    """The installed extension's ProblemError."""
    return extension.module("bridge.problems").ProblemError


def take(capture: ModuleType, folder: Path, **more: Any) -> dict[str, Any]:
    return capture.capture(bpy.context, folder, job=scenes.JOB, **more)


# What it refuses, in the artist's words


def test_nothing_selected(capture: ModuleType) -> None:
    scenes.cube()
    scenes.select()
    (problem,) = capture.check(bpy.context, {})
    assert problem.category == "input"
    assert problem.sentence == "Nothing is selected."
    assert "Select the objects" in problem.hint


def test_selection_without_mesh(capture: ModuleType) -> None:
    bpy.ops.object.light_add()
    bpy.ops.object.camera_add()
    scenes.select(*bpy.context.scene.objects)
    (problem,) = capture.check(bpy.context, {})
    assert problem.sentence == "The selection has no mesh."
    assert "at least one mesh" in problem.hint
    assert problem.technical == "selected: CAMERA, LIGHT"


def test_only_the_parent_is_selected(capture: ModuleType) -> None:
    child = scenes.cube()
    bpy.ops.object.empty_add()
    parent = bpy.context.object
    child.parent = parent
    scenes.select(parent)
    (problem,) = capture.check(bpy.context, {})
    assert "only its children" in problem.sentence
    assert "Children" in problem.hint


def test_mesh_without_faces(capture: ModuleType) -> None:
    item = scenes.cube()
    item.data.clear_geometry()
    item.data.from_pydata([(0, 0, 0), (1, 0, 0)], [(0, 1)], [])
    bpy.context.view_layer.update()
    (problem,) = capture.check(bpy.context, {})
    assert problem.sentence == "The selected objects have no faces."


def test_faces_by_geometry_nodes_are_enough(capture: ModuleType) -> None:
    item = scenes.cube()
    item.data.clear_geometry()
    group = scenes.nodes_group()
    made = group.nodes.new("GeometryNodeMeshCube")
    group.links.new(made.outputs[0], group.nodes["Group Output"].inputs[0])
    item.modifiers.new("Make", "NODES").node_group = group
    bpy.context.view_layer.update()
    assert capture.check(bpy.context, {}) == []


@pytest.mark.parametrize("kind", ["curve", "text", "surface", "metaball", "collection"])
def test_what_becomes_a_mesh_may_be_sent(capture: ModuleType, kind: str) -> None:
    if kind == "curve":
        bpy.ops.curve.primitive_bezier_circle_add()
    elif kind == "text":
        bpy.ops.object.text_add()
    elif kind == "surface":
        bpy.ops.surface.primitive_nurbs_surface_sphere_add()
    elif kind == "metaball":
        bpy.ops.object.metaball_add()
    else:
        group = bpy.data.collections.new("Parts")
        group.objects.link(bpy.data.objects.new("Part", bpy.data.meshes.new("Part")))
        bpy.ops.object.collection_instance_add(collection=group.name)
        mesh = group.objects[0].data
        mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    scenes.select(bpy.context.object)
    bpy.context.view_layer.update()
    assert capture.check(bpy.context, {}) == []
    assert capture.exportable(bpy.context) == [bpy.context.object]


def test_empty_collection_instance_is_no_mesh(capture: ModuleType) -> None:
    group = bpy.data.collections.new("Nothing")
    bpy.ops.object.collection_instance_add(collection=group.name)
    scenes.select(bpy.context.object)
    assert [p.sentence for p in capture.check(bpy.context, {})] == ["The selection has no mesh."]


def test_folder_that_is_a_file(capture: ModuleType, refused: Any, tmp_path: Path) -> None:
    scenes.cube()
    (tmp_path / "jobs").write_text("not a folder")
    with pytest.raises(refused) as caught:
        take(capture, tmp_path / "jobs" / "one")
    assert caught.value.problem.category == "disk"
    assert "is a file" in caught.value.problem.sentence
    assert "choose another folder" in caught.value.problem.hint


def _mounted(place: Path, options: str) -> bool:
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of its own that holds 80 MB; skipped where mounting is not allowed."""
    place = tmp_path / "small disk"
    if not sys.platform.startswith("linux") or not _mounted(place, "size=80m"):
        pytest.skip("mounting a file system is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_read_only_folder(capture: ModuleType, refused: Any, small_disk: Path) -> None:
    """A file system mounted read-only refuses root as well as anybody."""
    scenes.cube()
    command = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(command, check=True, capture_output=True)
    (problem,) = capture.check(bpy.context, {}, folder=small_disk / "jobs")
    assert problem.category == "disk"
    assert "may not write" in problem.sentence
    with pytest.raises(refused):
        take(capture, small_disk / "jobs" / "one")
    assert not (small_disk / "jobs").exists()


def test_folder_without_the_right_to_write(capture: ModuleType, tmp_path: Path) -> None:
    """The same for an ordinary user; root passes every permission, so root is left out."""
    if os.name == "nt" or os.geteuid() == 0:
        pytest.skip("permissions do not bind this user")
    scenes.cube()
    place = tmp_path / "closed"
    place.mkdir(mode=0o500)
    (problem,) = capture.check(bpy.context, {}, folder=place / "one")
    assert "may not write" in problem.sentence


def test_too_little_disk_is_said_before_writing(
    capture: ModuleType, refused: Any, small_disk: Path
) -> None:
    scenes.cube()
    with pytest.raises(refused) as caught:
        take(capture, small_disk / "one")
    problem = caught.value.problem
    assert problem.category == "disk"
    assert "too little room" in problem.sentence and "MB are needed" in problem.sentence
    assert list(small_disk.iterdir()) == []


def test_disk_that_fills_while_writing(
    extension: Extension, capture: ModuleType, refused: Any, small_disk: Path, monkeypatch: Any
) -> None:
    """The guess was too small: nothing half-written stays behind."""
    item = scenes.cube()
    item.modifiers.new("Many", "SUBSURF").levels = 1
    image = bpy.data.images.new("Big", 4096, 4096, float_buffer=True)
    scenes.material(item, image)
    scenes.fill(image, (1, 0, 0, 1))  # 268 MB
    monkeypatch.setattr(extension.module("addon.capture.checks"), "needed_bytes", lambda: 0)
    with pytest.raises(refused) as caught:
        take(capture, small_disk / "one")
    assert caught.value.problem.category == "disk"
    assert "became full" in caught.value.problem.sentence
    assert os.strerror(errno.ENOSPC) in caught.value.problem.technical
    assert list(small_disk.iterdir()) == []
    assert image.is_dirty


def test_blender_that_cannot_write(capture: ModuleType, refused: Any, tmp_path: Path) -> None:
    """Blender's own error (a folder stands where its file goes) becomes a problem."""
    scenes.cube()
    folder = tmp_path / "job"
    folder.mkdir()
    before_save = []

    def obstruct(*_: Any) -> None:
        before_save.append(True)
        (folder / "scene.blend@").mkdir()

    bpy.app.handlers.save_pre.append(obstruct)
    try:
        with pytest.raises(refused) as caught:
            take(capture, folder)
    finally:
        bpy.app.handlers.save_pre.remove(obstruct)
    assert before_save
    assert caught.value.problem.category == "disk"
    assert "could not write the copy" in caught.value.problem.sentence
    assert list(folder.iterdir()) == []


def test_folder_in_use(capture: ModuleType, refused: Any, tmp_path: Path) -> None:
    scenes.cube()
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "scene.blend").write_text("somebody's")
    with pytest.raises(refused):
        take(capture, tmp_path / "job")
    assert (tmp_path / "job" / "scene.blend").read_text() == "somebody's"


# What the artist should know


def test_notes(capture: ModuleType, tmp_path: Path) -> None:
    item = scenes.cube("Chair")
    assert any("not saved yet" in note for note in capture.notes(bpy.context, {}))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    assert capture.notes(bpy.context, {}) == []
    item.scale = (1, 2, 1)
    bpy.context.view_layer.update()
    (note,) = capture.notes(bpy.context, {})
    assert note.startswith("Scaled unevenly: Chair.")
    item.scale = (-1, 1, 1)
    bpy.context.view_layer.update()
    (note,) = capture.notes(bpy.context, {})
    assert note.startswith("Mirrored by a negative scale: Chair.")


def test_what_has_no_surface_is_told(capture: ModuleType) -> None:
    bpy.ops.object.volume_add()
    cloud, item = bpy.context.object, scenes.cube()
    cloud.name = "Smoke"
    bpy.ops.object.light_add()
    scenes.select(cloud, bpy.context.object, item)
    (note,) = (text for text in capture.notes(bpy.context, {}) if "no surface" in text)
    assert "Smoke" in note and "Light" not in note
    assert not capture.check(bpy.context, {})


def test_many_triangles_are_noted(capture: ModuleType, tmp_path: Path) -> None:
    scenes.cube()
    bpy.context.object.modifiers.new("Many", "SUBSURF").levels = 9  # 12 * 4**9 = 3.1 million
    bpy.context.view_layer.update()
    assert any("3.1 million triangles" in note for note in capture.notes(bpy.context, {}))


# What it writes


def test_capture_json(capture: ModuleType, tmp_path: Path) -> None:
    item = scenes.cube("Stuhl 🪑 ä", at=(3, 4, 5))
    bpy.ops.object.camera_add()
    bpy.context.scene.camera = bpy.context.object
    scenes.select(item)
    scene = bpy.context.scene
    scene.name = "Küche"
    scene.frame_start, scene.frame_end, scene.frame_step = 10, 20, 2
    scene.frame_set(12)
    scene.render.fps, scene.render.fps_base = 30, 1.001
    scene.unit_settings.scale_length = 0.01
    folder = tmp_path / "jöb 🪑 with spaces"
    data = take(capture, folder)
    assert json.loads((folder / "capture.json").read_text(encoding="utf-8")) == data
    assert sorted(path.name for path in folder.iterdir()) == ["capture.json", "scene.blend"]
    assert (folder / "scene.blend").read_bytes()[:7] == b"BLENDER"
    assert data["schema"] == 1
    assert data["blend"] == "scene.blend"
    assert data["original_path"] == ""
    assert data["scene"] == "Küche"
    assert data["view_layer"] == "ViewLayer"
    assert data["camera"] == "Camera"
    (entry,) = data["selection"]
    assert (entry["name"], entry["library"], entry["type"]) == ("Stuhl 🪑 ä", None, "MESH")
    assert data["active"] == "Stuhl 🪑 ä"
    assert [data[f"frame_{k}"] for k in ("current", "start", "end", "step")] == [12, 10, 20, 2]
    assert data["fps"] == pytest.approx(29.97003)
    assert data["unit_scale"] == pytest.approx(0.01)
    assert data["placement"] == {"mode": "source", "location": pytest.approx([3, 4, 4])}
    assert data["bounds"] == {"min": pytest.approx([2, 3, 4]), "max": pytest.approx([4, 5, 6])}
    assert data["job"] == scenes.JOB
    assert data["blender"] == {
        "executable": sys.executable,
        "kind": "wheel",
        "version": list(bpy.app.version),
    }


def test_the_foot_of_a_turned_object(capture: ModuleType, tmp_path: Path) -> None:
    """The box about the turned bounding box would reach 0.65 m below the ball."""
    bpy.ops.mesh.primitive_uv_sphere_add(location=(3, 2, 5), rotation=(0.785, 0.3, 0.2))
    ball = bpy.context.object
    low, high = take(capture, tmp_path / "job")["bounds"].values()
    points = [ball.matrix_world @ vertex.co for vertex in ball.data.vertices]
    for axis in range(3):
        assert low[axis] == pytest.approx(min(point[axis] for point in points), abs=1e-5)
        assert high[axis] == pytest.approx(max(point[axis] for point in points), abs=1e-5)
    # Whatever is more than its mesh, or has none, keeps to its box.
    bpy.ops.object.mode_set(mode="EDIT")
    edited = take(capture, tmp_path / "edited")["bounds"]
    bpy.ops.object.mode_set(mode="OBJECT")
    assert edited["min"][2] <= low[2] + 1e-5 and edited["max"][2] >= high[2] - 1e-5


def test_the_box_about_instanced_sets_of_turned_parts(
    capture: ModuleType, tmp_path: Path, extension: Extension, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exact, although only the parts at its ends are looked at closely."""
    bpy.ops.mesh.primitive_cone_add(vertices=7)
    cone = bpy.context.object.data
    inner, outer = (bpy.data.collections.new(name) for name in ("Inner", "Outer"))
    outer.instance_offset = (0.5, -1, 2)
    for number in range(40):
        part = bpy.data.objects.new("Part", cone)
        part.location = (number % 7, number % 5, number % 3)
        part.rotation_euler = (number, 2 * number, 0.3)
        inner.objects.link(part)
    chosen = []
    for number in range(90):
        group, home = (inner, outer) if number < 30 else (outer, bpy.context.collection)
        item = bpy.data.objects.new("Set", None)
        item.instance_type, item.instance_collection = "COLLECTION", group
        item.location = (20 * (number % 4), 3 * number, number % 11)
        item.rotation_euler = (0.1 * number, 0.2, number)
        home.objects.link(item)
        chosen += [item] if group is outer else []
    bpy.context.view_layer.update()
    scenes.select(*chosen)
    points = [
        one.matrix_world @ vertex.co
        for one in bpy.context.evaluated_depsgraph_get().object_instances
        if one.is_instance and one.object.type == "MESH"
        for vertex in one.object.data.vertices
    ]
    assert len(points) == 60 * 30 * 40 * 8
    module, looks = extension.module("addon.extents"), []
    real = module.exact
    monkeypatch.setattr(module, "exact", lambda *more: looks.append(1) or real(*more))
    box = take(capture, tmp_path / "job")["bounds"]
    for axis in range(3):
        assert box["min"][axis] == pytest.approx(min(p[axis] for p in points), abs=1e-3)
        assert box["max"][axis] == pytest.approx(max(p[axis] for p in points), abs=1e-3)
    assert 0 < len(looks) < 2000, "of 72,000 parts"


def test_a_set_that_is_used_often_is_counted_once(
    capture: ModuleType, extension: Extension, monkeypatch: pytest.MonkeyPatch
) -> None:
    cube = scenes.cube()
    kit = bpy.data.collections.new("Kit")
    bpy.context.collection.objects.unlink(cube)
    kit.objects.link(cube)
    chosen = [bpy.data.objects.new("Set", None) for _number in range(50)]
    for item in chosen:
        item.instance_type, item.instance_collection = "COLLECTION", kit
        bpy.context.collection.objects.link(item)
    bpy.context.view_layer.update()
    scenes.select(*chosen)
    module, calls = extension.module("addon.capture.selection"), []
    real = module._faces
    monkeypatch.setattr(module, "_faces", lambda *more: calls.append(1) or real(*more))
    assert capture.triangles(bpy.context, chosen) == 50 * 12
    assert len(calls) == 1


def test_automatic_packing_packs_nothing_of_the_artists(
    capture: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "wood.png"
    fresh = bpy.data.images.new("wood", 4, 4)
    fresh.filepath_raw, fresh.file_format = str(path), "PNG"
    fresh.save()
    image = bpy.data.images.load(str(path))
    image.use_fake_user = True
    scenes.cube()
    bpy.data.use_autopack = True
    try:
        take(capture, tmp_path / "job")
        assert bpy.data.use_autopack
    finally:
        bpy.data.use_autopack = False
    assert image.packed_file is None


def test_placement_at_the_cursor(capture: ModuleType, tmp_path: Path) -> None:
    scenes.cube()
    bpy.context.scene.cursor.location = (7, 8, 9)
    data = take(capture, tmp_path / "job", placement="cursor")
    assert data["placement"] == {"mode": "cursor", "location": [7, 8, 9]}


def test_one_object_of_several(capture: ModuleType, tmp_path: Path) -> None:
    one, two = scenes.cube("One"), scenes.cube("Two")
    scenes.select(one, two)
    data = take(capture, tmp_path / "job", objects=[one])
    assert [entry["name"] for entry in data["selection"]] == ["One"]
    assert data["active"] is None
    assert {item.name for item in bpy.context.selected_objects} == {"One", "Two"}


def test_copy_finds_textures_and_libraries(capture: ModuleType, tmp_path: Path) -> None:
    project = tmp_path / "Projekt ü"
    project.mkdir()
    scenes.cube("Linked")
    bpy.ops.wm.save_as_mainfile(filepath=str(project / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(project / "scene.blend"))
    with bpy.data.libraries.load(str(project / "library.blend"), link=True) as (_, to):
        to.objects = ["Linked"]
    linked = to.objects[0]
    bpy.context.collection.objects.link(linked)
    linked.library.filepath = "//library.blend"
    scenes.select(linked)
    data = take(capture, tmp_path / "elsewhere" / "job")
    (entry,) = data["selection"]
    assert (entry["name"], entry["library"]) == ("Linked", str(project / "library.blend"))
    result = scenes.export_capture(tmp_path / "elsewhere" / "job")
    assert result["triangles"] == 12


# The artist's session


def _state() -> dict[str, Any]:
    image = bpy.data.images["Painted"]
    tiles = bpy.data.images["Tiles"]
    return {
        "path": bpy.data.filepath,
        "dirty": bpy.data.is_dirty,
        "mode": bpy.context.object.mode,
        "selected": sorted(item.name for item in bpy.context.view_layer.objects.selected),
        "active": bpy.context.view_layer.objects.active.name,
        "frame": bpy.context.scene.frame_current,
        "blocks": {
            name: sorted(item.name_full for item in getattr(bpy.data, name))
            for name in ("objects", "meshes", "images", "materials", "scenes", "collections")
        },
        "images": [
            (i.is_dirty, i.source, i.filepath_raw, i.file_format, bool(i.packed_file), i.name)
            for i in (image, tiles)
        ],
        "pixels": [list(i.pixels) for i in (image, tiles)],
        "autosave": bpy.context.preferences.filepaths.save_version,
    }


@pytest.mark.parametrize("unsaved", [False, True])
def test_session_is_untouched(
    extension: Extension, capture: ModuleType, tmp_path: Path, unsaved: bool
) -> None:
    scenes.cube("Other")
    item = scenes.cube("Edited")
    image = bpy.data.images.new("Painted", 8, 8)
    made = scenes.material(item, image)
    scenes.fill(image, (0.25, 0.5, 0.75, 1))
    tiles = bpy.data.images.new("Tiles", 8, 8, tiled=True)
    scenes.feed(made, tiles, "Roughness")
    scenes.fill(tiles, (0.5, 0.5, 0.5, 1))
    if not unsaved:
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "mine.blend"))
        scenes.fill(image, (0.5, 0.5, 0.75, 1))
        item.location.x = 1
    bpy.ops.ed.undo_push(message="Before")
    item = bpy.data.objects["Edited"]
    item.location.x = 2
    bpy.ops.ed.undo_push(message="Moved")
    bpy.ops.object.mode_set(mode="EDIT")
    scenes.fill(bpy.data.images["Painted"], (0.125, 0.5, 0.75, 1))
    files = sorted(path for path in tmp_path.rglob("*"))
    before = _state()
    data = take(capture, tmp_path / "job")
    assert len(data["images"]) == 2
    assert _state() == before
    shutil.rmtree(tmp_path / "job")
    assert sorted(path for path in tmp_path.rglob("*")) == files
    bpy.ops.object.mode_set(mode="OBJECT")
    while bpy.data.objects["Edited"].location.x == 2:
        assert bpy.ops.ed.undo() == {"FINISHED"}
    assert bpy.data.objects["Edited"].location.x != 2


def test_failed_capture_leaves_the_session_untouched(
    capture: ModuleType, refused: Any, tmp_path: Path
) -> None:
    scenes.cube()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "mine.blend"))
    (tmp_path / "file").write_text("")
    with pytest.raises(refused):
        take(capture, tmp_path / "file" / "job")
    assert bpy.data.filepath == str(tmp_path / "mine.blend")
