# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames come back into Blender: each where the timeline has it, nothing else changed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bpy
import pytest

from tests.addon import render_support as made

pytestmark = pytest.mark.usefixtures("clean_scene")

HARD = "Büro 🎬 (final)"


@pytest.fixture
def renders(extension: Any) -> Any:
    return extension.module("addon.imports.renders")


@pytest.fixture
def problems(extension: Any) -> Any:
    return extension.module("bridge.problems")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / HARD
    place.mkdir()
    return place


def bring(renders: Any, given: dict[str, Any], *ways: str, **more: Any) -> Any:
    more = {"name": "Shot", "job_id": "job-1", **more}
    return renders.import_frames(bpy.context, given, ways, **more)


def images() -> list[Any]:
    """The file's images, but for Blender's own (render, viewer)."""
    return [image for image in bpy.data.images if image.source != "VIEWER"]


# -- strips --------------------------------------------------------------------------------------


def test_the_sequencer_plays_each_frame_at_its_time(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    paths = made.frames(folder, range(10, 16))
    report = bring(renders, made.facts(paths, start=10, end=15), "strip")
    (strip,) = made.strips_of(scene)
    assert report.strips == [strip.name] == ["Shot frames"] and report.frames == 6
    assert made.span(strip) == (10, 16)
    assert [element.filename for element in strip.elements] == [path.name for path in paths]
    for number, path in ((10, paths[0]), (13, paths[3]), (15, paths[5])):
        shown = made.rendered(number, folder.parent / f"{number}.png", sequencer=True)
        assert made.same(shown, made.pixels(path)), number
    wrong = made.rendered(12, folder.parent / "wrong.png", sequencer=True)
    assert not made.same(wrong, made.pixels(paths[3])), "the comparison can fail"
    assert images() == []


def test_a_scene_without_strips_still_renders_itself(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    scene.world.use_nodes = True
    before = made.rendered(1, folder / "before.png", sequencer=True)
    assert scene.render.use_sequencer
    report = bring(renders, made.facts(made.frames(folder, [1, 2]), start=1, end=2), "strip")
    assert scene.render.use_sequencer is False
    assert any("Post Processing" in note for note in report.notes)
    after = made.rendered(1, folder / "after.png", sequencer=scene.render.use_sequencer)
    assert made.same(before, after)
    assert not made.same(made.rendered(1, folder / "s.png", sequencer=True), before)


def test_strips_of_the_artist_are_not_touched(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    paths = made.frames(folder, range(1, 9))
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strips.new_effect("Red", "COLOR", 1, 1, **_length(3))
    strips.new_effect("Blue", "COLOR", 4, 6, **_length(20))
    editor.channels[5].lock = True
    before = [(s.name, s.channel, made.span(s), s.mute, s.select) for s in made.strips_of(scene)]
    bring(renders, made.facts(paths[:3], start=1, end=3), "strip")
    report = bring(renders, made.facts(paths[3:], start=4, end=8), "strip", name="B", job_id="b")
    found = made.strips_of(scene)
    new = {s.name: s for s in found if s.name in ("Shot frames", "B frames")}
    assert new["Shot frames"].channel == 2, "above what plays then"
    assert new["B frames"].channel == 6, "5 is locked"
    rest = [s for s in found if s.name not in new]
    assert before == [(s.name, s.channel, made.span(s), s.mute, s.select) for s in rest]
    assert scene.render.use_sequencer, "this scene renders its strips anyway"
    assert not any("Post Processing" in note for note in report.notes)


def _length(frames: int) -> dict[str, int]:
    """A color strip's length: 4.x asks for the end."""
    known = bpy.types.Scene.bl_rna.properties["sequence_editor"].fixed_type.properties
    strips = known["strips" if "strips" in known else "sequences"].srna
    names = strips.functions["new_effect"].parameters
    return {"length": frames} if "length" in names else {"frame_end": 1 + frames}


@pytest.mark.parametrize("hold", [True, False])
def test_gaps(renders: Any, folder: Path, hold: bool) -> None:
    scene = made.quick_scene()
    paths = made.frames(folder, [3, 4, 7, 9])
    given = made.facts(paths, start=3, end=10, missing="5-6,8,10")
    report = bring(renders, given, "strip", "image", hold=hold)
    spans = [made.span(strip) for strip in made.strips_of(scene)]
    assert spans == ([(3, 10)] if hold else [(3, 5), (7, 8), (9, 10)])
    notes = " ".join(report.notes)
    assert "frames 5-6, 8" in notes and "5-6,8,10" in notes
    at_9 = made.rendered(9, folder.parent / "9.png", sequencer=True)
    assert made.same(at_9, made.pixels(paths[3]))
    at_6 = made.rendered(6, folder.parent / "6.png", sequencer=True)
    assert made.same(at_6, made.pixels(paths[1])) == hold
    (image,) = images()
    assert image.source == "SEQUENCE" and tuple(image["scene_courier:frames"]) == (3, 9)


def test_another_frame_rate_is_said(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    scene.render.fps, scene.render.fps_base = 30, 1.001
    paths = made.frames(folder, [1, 2])
    report = bring(renders, made.facts(paths, fps=24.0), "strip")
    assert any("24 frames per second" in n and "29.97" in n for n in report.notes), report.notes
    report = bring(renders, made.facts(paths, fps=30 / 1.001), "strip")
    assert not any("per second" in note for note in report.notes)


def test_a_scene_for_editing(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    scene.view_settings.view_transform = "Filmic"
    paths = made.frames(folder, range(101, 104))
    given = made.facts(paths, start=101, end=103, resolution=[made.SIZE, made.SIZE])
    report = bring(renders, given, "strip", strips_in="new")
    assert not made.strips_of(scene) and scene.render.use_sequencer
    (other,) = [item for item in bpy.data.scenes if item != scene]
    assert other.name == "Shot edit" and (other.frame_start, other.frame_end) == (101, 103)
    assert other.render.fps == 24 and other.render.use_sequencer
    assert other.view_settings.view_transform == "Standard", "finished colors get no second look"
    assert "Shot edit" in " ".join(report.notes)
    bpy.context.window.scene = other
    shown = made.rendered(102, folder.parent / "x.png", sequencer=True)
    assert made.same(shown, made.pixels(paths[1]))


def test_the_look_is_not_put_on_twice_without_a_word(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    scene.view_settings.view_transform = "Filmic"
    report = bring(renders, made.facts(made.frames(folder, [1, 2])), "strip")
    assert any("Filmic" in note for note in report.notes)
    linear = made.frames(folder, [1, 2], ".exr")
    report = bring(renders, made.facts(linear), "strip", job_id="b")
    assert not any("Filmic" in note for note in report.notes)


def test_strips_and_multilayer_frames(renders: Any, folder: Path) -> None:
    """Blender 4.2's Sequencer cannot show them; that is said, and the rest comes in."""
    scene = made.quick_scene()
    paths = made.multilayer(folder, [1, 2])
    report = bring(renders, made.facts(paths, start=1, end=2), "strip", "image")
    assert report.images == ["Shot frames"] and images()[0].source == "SEQUENCE"
    if report.strips:
        assert made.span(made.strips_of(scene)[0]) == (1, 3) and not report.lost
        shown = made.rendered(1, folder.parent / "1.exr", sequencer=True)
        assert shown[4, 4, 3] == pytest.approx(1, abs=0.01), "there is something"
    else:
        assert "Sequencer of this Blender cannot show" in report.lost[0]
        assert not made.strips_of(scene) and scene.render.use_sequencer


def test_the_project_can_be_moved(renders: Any, folder: Path) -> None:
    made.quick_scene()
    paths = made.frames(folder / "courier" / "Shot 7", [1, 2, 3])
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "Küche.blend"))
    bring(renders, made.facts(paths, start=1, end=3), "strip", "image", "compositor")
    bpy.ops.wm.save_mainfile()
    wanted = made.pixels(paths[1])
    moved = folder.rename(folder.with_name("elsewhere é"))
    bpy.ops.wm.open_mainfile(filepath=str(moved / "Küche.blend"))
    (image,) = images()
    assert image.filepath == "//courier/Shot 7/shot_0001.png"
    shown = made.rendered(2, moved / "2.png", sequencer=True)
    assert made.same(shown, wanted)


# -- images --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "space"), [(".png", "sRGB"), (".exr", "Linear Rec.709")])
def test_image_sequence_in_an_open_image_editor(
    renders: Any, folder: Path, suffix: str, space: str
) -> None:
    made.quick_scene()
    paths = made.frames(folder, range(98, 103), suffix)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder.parent / "scene.blend"))
    areas = bpy.context.window.screen.areas
    layout = [area.type for area in areas]
    area = next(area for area in areas if area.type == "OUTLINER")
    area.ui_type = "IMAGE_EDITOR"
    try:
        report = bring(renders, made.facts(paths, start=98, end=102), "image")
        space_data = area.spaces.active
        (image,) = images()
        assert report.images == [image.name] == ["Shot frames"]
        assert space_data.image == image
        assert image.source == "SEQUENCE" and image.colorspace_settings.name == space
        assert image.use_view_as_render == (suffix == ".exr")
        assert image.filepath == f"//{HARD}/{paths[0].name}", "relative to the saved file"
        user = space_data.image_user
        assert (user.frame_start, user.frame_duration, user.frame_offset) == (98, 5, 97)
        assert user.use_auto_refresh and not user.use_cyclic
    finally:
        area.ui_type = "OUTLINER"
    assert [area.type for area in areas] == layout


def test_a_pinned_image_editor_is_left_alone(renders: Any, folder: Path) -> None:
    made.quick_scene()
    own = bpy.data.images.new("Reference", 4, 4)
    area = next(a for a in bpy.context.window.screen.areas if a.type == "OUTLINER")
    area.ui_type = "IMAGE_EDITOR"
    try:
        area.spaces.active.image = own
        area.spaces.active.use_image_pin = True
        report = bring(renders, made.facts(made.frames(folder, [1, 2])), "image")
        assert area.spaces.active.image == own
        assert "No Image Editor" in " ".join(report.notes)
    finally:
        area.spaces.active.use_image_pin = False
        area.ui_type = "OUTLINER"


def test_a_still_is_a_single_file(renders: Any, folder: Path) -> None:
    made.quick_scene()
    path = made.write(folder / "poster.png", (0.5, 0.4, 0.3))
    report = bring(renders, made.facts([path], start=7, end=7), "image", "strip")
    (image,) = images()
    assert image.source == "FILE" and report.frames == 1
    assert tuple(image.size) == (made.SIZE, made.SIZE)


def test_stereo_has_an_image_and_a_strip_for_each_view(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    left = made.frames(folder, [1, 2, 3], end="_L")
    right = [made.write(p.with_name(p.name.replace("_L", "_R")), made.color(50)) for p in left]
    report = bring(renders, made.facts([*right, *left]), "image", "strip", "compositor")
    assert report.images == ["Shot frames left", "Shot frames right"]
    first, second = made.strips_of(scene)
    assert (first.name, first.mute) == ("Shot frames left", False)
    assert (second.name, second.mute) == ("Shot frames right", True)
    assert made.span(first) == made.span(second) == (1, 4)
    shown = made.rendered(2, folder.parent / "2.png", sequencer=True)
    assert made.same(shown, made.pixels(left[1]))
    assert len(report.nodes) == 2 and report.frames == 6


def test_stereo_scene_plays_both_views_of_one_strip(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    scene.render.use_multiview = True
    left = made.frames(folder, [1, 2], end="_L")
    right = [made.write(p.with_name(p.name.replace("_L", "_R")), made.color(50)) for p in left]
    bring(renders, made.facts([*left, *right]), "strip")
    (strip,) = made.strips_of(scene)
    assert strip.use_multiview and not strip.mute
    with made.output(folder.parent / "out.png", scene):
        scene.render.use_sequencer = True
        scene.frame_set(2)
        bpy.ops.render.render(write_still=True)
    for end, path in (("_L", left[1]), ("_R", right[1])):
        assert made.same(made.pixels(folder.parent / f"out{end}.png"), made.pixels(path)), end


# -- compositor ----------------------------------------------------------------------------------


def test_compositor_node_shows_the_passes_and_each_frame(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    paths = made.multilayer(folder, range(5, 9))
    scene.render.image_settings.file_format = scene.render.image_settings.file_format
    assert made.compositor(scene) is None
    report = bring(renders, made.facts(paths, start=5, end=8, multilayer=True), "compositor")
    tree = made.compositor(scene)
    node = tree.nodes[report.nodes[0]]
    assert node.image.type == "MULTILAYER" and node.image.source == "SEQUENCE"
    assert {"Combined", "Depth", "Normal"} <= {s.name for s in node.outputs if s.enabled}
    assert (node.frame_start, node.frame_duration, node.frame_offset) == (5, 4, 4)
    assert node.use_auto_refresh and not node.use_cyclic
    to = [link.to_node.bl_idname for link in tree.links if link.from_node == node]
    assert to == ["CompositorNodeViewer"], "the render goes on to be the scene's own"
    output = next(
        n for n in tree.nodes if n.bl_idname in ("CompositorNodeComposite", "NodeGroupOutput")
    )
    source = output.inputs[0].links[0].from_node
    while source.bl_idname == "NodeReroute":
        source = source.inputs[0].links[0].from_node
    assert source.bl_idname == "CompositorNodeRLayers"
    # The plane came nearer by one unit a frame: its depth says which frame is shown.
    tree.links.new(node.outputs["Depth"], output.inputs[0])
    for number in (5, 7, 8):
        shown = made.rendered(number, folder.parent / f"{number}.exr", sequencer=False)
        assert shown[4, 4, 0] == pytest.approx(number, abs=0.01)


@pytest.mark.parametrize("suffix", [".png", ".exr"])
def test_the_nodes_picture_is_the_files(renders: Any, folder: Path, suffix: str) -> None:
    scene = made.quick_scene()
    paths = made.frames(folder, range(20, 24), suffix)
    report = bring(renders, made.facts(paths, start=20, end=23), "compositor")
    tree = made.compositor(scene)
    output = next(
        n for n in tree.nodes if n.bl_idname in ("CompositorNodeComposite", "NodeGroupOutput")
    )
    tree.links.new(tree.nodes[report.nodes[0]].outputs[0], output.inputs[0])
    for number in (20, 22):
        shown = made.rendered(number, folder.parent / f"o{number}{suffix}", sequencer=False)
        assert made.same(shown, made.pixels(paths[number - 20])), number


def test_a_new_compositor_changes_no_pixel_of_the_render(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    before = made.rendered(1, folder / "a.exr", sequencer=False)
    bring(renders, made.facts(made.frames(folder, [1, 2])), "compositor")
    assert (before == made.rendered(1, folder / "b.exr", sequencer=False)).all()
    assert scene.render.use_sequencer


def test_nodes_of_the_artist_stay_as_they_are(renders: Any, extension: Any, folder: Path) -> None:
    scene = made.quick_scene()
    tree, _back = extension.module("addon.versions").make_compositor(scene, "Mine")
    blur = tree.nodes.new("CompositorNodeBlur")
    blur.location = (50, -700)

    def state() -> list[Any]:
        nodes = [(n.name, tuple(n.location), n.select) for n in tree.nodes if n.name in known]
        links = [(k.from_node.name, k.to_node.name, k.to_socket.name) for k in tree.links]
        return [nodes, sorted(links), tree.nodes.active]

    known = {node.name for node in tree.nodes}
    before = state()
    report = bring(renders, made.facts(made.frames(folder, [1, 2])), "compositor")
    assert made.compositor(scene) == tree and state() == before
    node = tree.nodes[report.nodes[0]]
    assert not any(link.from_node == node for link in tree.links)
    assert node.location.y < -800, "below the lowest"


def test_passes_of_output_nodes_come_too(renders: Any, folder: Path) -> None:
    made.quick_scene()
    paths = made.frames(folder, [1, 2])
    depth = made.frames(folder / "compositor" / "Depth", [1, 2], ".exr")
    given = made.facts(paths, passes={"Depth": [str(path) for path in depth]})
    report = bring(renders, given, "image", "strip", "compositor")
    assert report.images == ["Shot frames", "Shot Depth"] and len(report.nodes) == 2
    assert len(report.strips) == 1


# -- camera and video ----------------------------------------------------------------------------


def test_camera_background(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    other = bpy.data.objects.new("Side", bpy.data.cameras.new("Side"))
    scene.collection.objects.link(other)
    kept = other.data.background_images.new()
    paths = made.frames(folder, range(30, 35))
    given = made.facts(paths, start=30, end=34, camera="Side")
    report = bring(renders, given, "background", alpha=0.25, front=True)
    assert report.cameras == ["Side"] and not scene.camera.data.background_images
    first, background = other.data.background_images
    assert first == kept and first.image is None
    assert other.data.show_background_images
    assert background.image.name == "Shot frames"
    assert background.alpha == pytest.approx(0.25) and background.display_depth == "FRONT"
    user = background.image_user
    assert (user.frame_start, user.frame_duration, user.frame_offset) == (30, 5, 29)
    report = bring(renders, {**given, "camera": "Gone"}, "background", job_id="b")
    assert report.cameras == ["Shot Camera"] and "Gone" in " ".join(report.notes)


def test_without_a_camera(renders: Any, problems: Any, folder: Path) -> None:
    before = made.everything()
    given = made.facts(made.frames(folder, [1, 2]))
    with pytest.raises(problems.ProblemError, match="no camera"):
        bring(renders, given, "background")
    assert made.everything() == before
    report = bring(renders, given, "background", "strip")
    assert report.strips and "no camera" in " ".join(report.lost)


def test_movie_strip_and_its_sound(renders: Any, folder: Path) -> None:
    if not bpy.app.ffmpeg.supported:
        pytest.skip("this build has no ffmpeg")
    scene = made.quick_scene()
    paths = made.frames(folder, range(1, 6))
    audio = getattr(bpy.app.build_options, "audaspace", False)
    video = made.movie(
        folder / "shot.mp4", paths, made.tone(folder / "tone.wav") if audio else None
    )
    silent = made.movie(folder / "silent.mp4", paths)
    given = made.facts([], videos=[str(video)], start=40, end=44)
    report = bring(renders, given, "movie")
    strips = {strip.type: strip for strip in made.strips_of(scene)}
    assert set(strips) == ({"MOVIE", "SOUND"} if audio else {"MOVIE"})
    assert made.span(strips["MOVIE"])[0] == 40 and made.span(strips["MOVIE"])[1] == 45
    assert len(report.strips) == len(strips)
    if audio:
        assert made.span(strips["SOUND"])[0] == 40
        assert strips["SOUND"].channel != strips["MOVIE"].channel
        assert [sound.name for sound in bpy.data.sounds] == ["Shot sound"]
    for number in (40, 43):
        shown = made.rendered(number, folder.parent / f"{number}.png", sequencer=True)
        wanted = made.pixels(paths[number - 40])
        assert abs(shown[4, 4, :3] - wanted[4, 4, :3]).max() < 0.05, number
    bring(renders, {**given, "videos": [str(silent)]}, "movie", job_id="b", name="B")
    new = [strip for strip in made.strips_of(scene) if strip.name.startswith("B ")]
    assert [strip.type for strip in new] == ["MOVIE"], "a silent video has no sound strip"


# -- the file around it --------------------------------------------------------------------------


def test_one_undo_step_and_nothing_else_changed(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    bpy.data.images.new("Shot frames", 4, 4).use_fake_user = True
    scene.frame_start, scene.frame_end = 10, 60
    scene.frame_set(33)
    paths = made.frames(folder, range(1, 6))
    bpy.ops.ed.undo_push(message="before")
    before = made.everything()
    given = made.facts(paths, camera="Shot Camera")
    bring(renders, given, "image", "strip", "compositor", "background")
    after = made.everything()
    assert {name for name, _users in before["images"]} < {name for name, _users in after["images"]}
    for kind, items in after.items():
        names = {name for name, _users in items}
        assert {name for name, _users in before[kind]} <= names, kind
        # A Render Layers node counts as a user of its scene.
        if kind not in ("images", "node_groups", "scenes"):
            assert items == before[kind], kind
    scene = bpy.context.scene
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (10, 60, 33)
    assert bpy.ops.ed.undo() == {"FINISHED"}
    assert made.everything() == before
    scene = bpy.context.scene
    assert not made.strips_of(scene) and not scene.camera.data.background_images
    assert scene.render.use_sequencer
    assert bpy.ops.ed.redo() == {"FINISHED"}
    again = made.everything()
    assert {kind: [name for name, _users in items] for kind, items in again.items()} == {
        kind: [name for name, _users in items] for kind, items in after.items()
    }


def test_a_failure_leaves_nothing_behind(
    renders: Any, problems: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = made.quick_scene()
    before = made.everything()
    given = made.facts(made.frames(folder, [1, 2]))

    def fail(*_arguments: Any) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(renders.renders_background, "set_user", fail)
    with pytest.raises(problems.ProblemError) as caught:
        bring(renders, given, "image", "strip", "compositor", "background")
    assert "no more" in caught.value.problem.technical
    assert made.everything() == before
    assert not made.strips_of(scene) and scene.render.use_sequencer
    assert not scene.camera.data.background_images
    assert not scene.camera.data.show_background_images


def test_missing_and_unreadable_files(renders: Any, problems: Any, folder: Path) -> None:
    made.quick_scene()
    before = made.everything()
    gone = made.facts([folder / "shot_0001.png", folder / "shot_0002.png"])
    with pytest.raises(problems.ProblemError) as caught:
        bring(renders, gone, "image", "strip")
    assert caught.value.problem.category == "disk" and HARD in caught.value.problem.hint
    with pytest.raises(problems.ProblemError, match="no frames"):
        bring(renders, made.facts([]), "image")
    (folder / "broken_0001.png").write_bytes(b"not a picture")
    for way in ("image", "strip", "compositor"):
        with pytest.raises(problems.ProblemError) as caught:
            bring(renders, made.facts([folder / "broken_0001.png"]), way)
        assert caught.value.problem.category == "blender", way
    with pytest.raises(problems.ProblemError, match="cannot be imported as"):
        bring(renders, made.facts(made.frames(folder, [1])), "hologram")
    assert made.everything() == before
    paths = made.frames(folder, [1, 2, 3])
    paths[1].unlink()
    report = bring(renders, made.facts(paths), "strip")
    assert "any more: frames 2" in " ".join(report.notes) and report.frames == 2


def test_importing_again_adds_or_replaces(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    ways = ("image", "strip", "compositor", "background")
    paths = made.frames(folder, range(1, 4))
    bring(renders, made.facts(paths), *ways)
    tree = made.compositor(scene)
    node = tree.nodes["Shot frames"]
    blur = tree.nodes.new("CompositorNodeBlur")
    tree.links.new(node.outputs[0], blur.inputs[0])
    bring(renders, made.facts(paths), *ways)
    assert len(images()) == 2 and len(made.strips_of(scene)) == 2
    kept = made.strips_of(scene)[1]
    kept.name = "Mine"
    more = [*paths, *made.frames(folder, [4, 5])]
    report = bring(renders, made.facts(more, end=5), *ways, replace=True)
    assert [image.name for image in images()] == ["Shot frames"]
    (image,) = images()
    assert tuple(image["scene_courier:frames"]) == (1, 5)
    strips = {strip.name: made.span(strip) for strip in made.strips_of(scene)}
    assert strips == {"Mine": (1, 4), "Shot frames": (1, 6)}
    assert "renamed" in " ".join(report.notes)
    node = tree.nodes["Shot frames"]
    assert node.image == image and node.frame_duration == 5
    assert any(k.from_node == node and k.to_node == blur for k in tree.links), "links are kept"
    backgrounds = scene.camera.data.background_images
    assert {item.image for item in backgrounds} == {image}
    bring(renders, made.facts(more), *ways, job_id="another", replace=True)
    assert len(images()) == 2, "another job's frames stay"


def test_two_thousand_frames_import_at_once(renders: Any, folder: Path) -> None:
    scene = made.quick_scene()
    first = made.write(folder / "shot_0001.png", made.color(1)).read_bytes()
    paths = [folder / f"shot_{number:04d}.png" for number in range(1, 2001)]
    for path in paths[1:]:
        path.write_bytes(first)
    given = made.facts(paths, start=1, end=2000)
    started = time.perf_counter()
    bring(renders, given, "image", "strip", "compositor", "background")
    seconds = time.perf_counter() - started
    (strip,) = made.strips_of(scene)
    assert len(strip.elements) == 2000 and made.span(strip) == (1, 2001)
    print(f"\n2,000 frames imported in four ways in {1000 * seconds:.0f} ms")
