# SPDX-License-Identifier: GPL-3.0-or-later
"""The scan finds exactly the files that were put into a scene, of every kind, wherever they lie."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from addon.recipes import versions  # noqa: E402
from addon.recipes.dependencies import (  # noqa: E402
    CASE,
    EMPTY,
    LOOP,
    UNICODE,
    UNREADABLE,
    Dependency,
    net,
    scan,
    timing,
)
from addon.recipes.dependencies.disk import Disk  # noqa: E402
from addon.recipes.dependencies.walk import Walk  # noqa: E402

Scene = tuple[Path, dict[str, Any]]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def empty_scene() -> Iterator[None]:
    bpy.ops.wm.read_homefile(use_empty=True)
    yield
    bpy.ops.wm.read_homefile(use_empty=True)


def opened(path: Path | str) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False)


def saved(path: Path, *, remap: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=False, relative_remap=remap)
    return path


def files(found: list[Dependency], folder: Path) -> dict[str, list[str]]:
    """Kind -> paths of its files, relative to a folder."""
    result: dict[str, set[str]] = {}
    for made in found:
        for entry in made.files:
            name = os.path.relpath(entry.wanted, folder).replace(os.sep, "/")
            result.setdefault(made.kind, set()).add(name)
    return {kind: sorted(names) for kind, names in result.items()}


def one(found: list[Dependency], kind: str, name: str = "") -> Dependency:
    """The one dependency of a kind, with a name in its path."""
    close = [made for made in found if made.kind == kind and name in made.path]
    assert len(close) == 1, [(made.kind, made.path) for made in found]
    return close[0]


def image(name: str, path: str, source: str = "FILE") -> Any:
    made = bpy.data.images.new(name, 8, 8, tiled=source == "TILED")
    made.source = source
    made.filepath_raw = path
    made.use_fake_user = True
    return made


def touch(*paths: Path, content: bytes = b"x") -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


# Every kind


def test_exactly_the_files_that_the_frames_need(dependency_scene: Scene) -> None:
    folder, facts = dependency_scene
    opened(facts["main"])
    found = scan(frames=tuple(facts["frames"]))
    assert files(found, folder) == facts["files"]
    assert [made.path for made in found if made.missing or made.note] == []
    packed = {(made.kind, Path(made.path).name) for made in found if made.packed}
    assert packed == {("image", "packed.png"), ("script", "tool.py")}
    for made in found:
        assert made.bytes == sum(Path(entry.path).stat().st_size for entry in made.files)
        assert (made.used or made.kind == "script") and os.path.isabs(made.path)
        assert all(not entry.problem and not entry.placeholder for entry in made.files)
        json.dumps(made.as_dict())


def test_all_frames_are_more(dependency_scene: Scene) -> None:
    folder, facts = dependency_scene
    opened(facts["main"])
    cut, every = scan(frames=tuple(facts["frames"])), scan(frames=None)
    fewer, more = files(cut, folder), files(every, folder)
    assert {kind: set(names) - set(more[kind]) for kind, names in fewer.items()} == {
        kind: set() for kind in more
    }
    counts = {
        "image_sequence": 10, "volume_sequence": 8, "alembic": 7, "point_cache": 12,
        "nodes_bake": 24, "movie_clip": 10, "strip_sequence": 8,
    }  # fmt: skip
    assert {kind: len(more[kind]) for kind in counts} == counts
    totals = {made.path: made.total for made in cut if made.kind in counts}
    assert totals == {made.path: len(made.files) for made in every if made.kind in counts}
    sequence = one(cut, "image_sequence")
    assert sequence.frames == (4, 6) and sequence.path.endswith("s_####.png")
    assert one(every, "udim").frames is None


def test_without_the_files_each_is_missing(dependency_scene: Scene, tmp_path: Path) -> None:
    folder, facts = dependency_scene
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy, symlinks=True)
    main = copy / "project" / "main.blend"
    for path in list(copy.rglob("*")):
        if path.is_symlink() or (path.is_file() and path.suffix != ".blend"):
            path.unlink()
    opened(main)
    found = scan(frames=tuple(facts["frames"]))
    assert {made.kind for made in found if made.files} == {
        "library",
        "image",  # the one with an absolute path
    }
    missing = {made.kind for made in found if made.missing}
    silent = {"library", "proxy"}
    assert missing == set(facts["files"]) - silent
    sequence = one(found, "image_sequence")
    assert [Path(path).name for path in sequence.missing] == [
        "s_0004.png", "s_0005.png", "s_0006.png",
    ]  # fmt: skip
    assert sequence.as_dict()["missing_count"] == 3


def test_linked_files_belong_to_their_library(dependency_scene: Scene) -> None:
    folder, facts = dependency_scene
    opened(facts["main"])
    found = scan(frames=None)
    inner, mid = folder / "libs/inner/inner.blend", folder / "libs/mid/mid.blend"
    texture = one(found, "image", "inner.png")
    assert texture.library == str(inner) and texture.setter is None
    assert texture.value == "//tex/inner.png"
    assert {"type": "Image", "name": "inner", "library": str(inner)} == texture.users[0]
    assert {"type": "Object", "name": "Linked", "library": str(mid)} in texture.users
    assert one(found, "image", "mid.png").library == str(mid)
    libraries = {Path(made.path).name: made for made in found if made.kind == "library"}
    assert libraries["mid.blend"].library is None and libraries["mid.blend"].setter is not None
    assert libraries["inner.blend"].library == str(mid)
    assert libraries["inner.blend"].setter is None


def test_one_file_by_two_names_is_one_file(dependency_scene: Scene) -> None:
    _, facts = dependency_scene
    opened(facts["main"])
    found = scan(frames=None)
    link, plain = one(found, "image", "link.png"), one(found, "image", "plain.png")
    assert link.files[0].path != plain.files[0].path
    assert link.files[0].real == plain.files[0].real


def test_every_path_of_the_open_file_can_be_rewritten(
    dependency_scene: Scene, tmp_path: Path
) -> None:
    _, facts = dependency_scene
    opened(facts["main"])
    found = scan(frames=None)
    closed = {
        (made.kind, Path(made.path).name)
        for made in found
        if made.setter is None and made.library is None
    }
    # Blender finds this one by the name of the .blend; these proxies by the place of the clip.
    assert closed == {("point_cache", "blendcache_main"), ("proxy", "c010.png")}
    assert [made.path for made in found if made.beside] == [
        str(Path(facts["main"]).with_name("blendcache_main"))
    ]
    wanted: dict[str, set[str]] = {}
    for number, made in enumerate(found):
        if made.setter is not None and made.kind != "library":
            value = f"//moved/{number}/" + ("" if made.folder else Path(made.value).name)
            made.setter(value)
            wanted.setdefault(made.kind, set()).add(value.rstrip("/"))
    opened(saved(tmp_path / "rewritten.blend", remap=False))
    again: dict[str, set[str]] = {}
    for made in scan(frames=None):
        if made.value.startswith("//moved/"):
            again.setdefault(made.kind, set()).add(made.value.rstrip("/"))
    assert again == wanted


def test_a_captured_copy_is_read_as_the_original(dependency_scene: Scene, tmp_path: Path) -> None:
    folder, facts = dependency_scene
    opened(facts["main"])
    spec = importlib.util.spec_from_file_location("caches", ROOT / "addon/capture/caches.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    capture = {
        "original_path": bpy.data.filepath,
        "caches": module.find(),
        "images": [{"name": "relative", "library": None, "file": "images/x.npy"}],
    }
    job = tmp_path / "deep" / "er" / "job"
    job.mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(
        filepath=str(job / "scene.blend"), copy=True, compress=False, relative_remap=True
    )
    opened(job / "scene.blend")
    found = scan(frames=tuple(facts["frames"]), capture=capture, folder=job)
    expected = {kind: list(names) for kind, names in facts["files"].items()}
    expected["image"].remove("project/tex/plain.png")  # its pixels went along with the copy
    assert files(found, folder) == expected
    assert [made.path for made in found if made.missing] == []
    # Without its entries the folders are still found by where the original lay.
    found = scan(frames=tuple(facts["frames"]), capture={**capture, "caches": []}, folder=job)
    assert files(found, folder) == expected


def test_the_net_catches_what_nobody_looked_for(dependency_scene: Scene) -> None:
    _, facts = dependency_scene
    opened(facts["main"])
    walk = Walk(None, None, None)
    net.find(walk)
    caught = walk.finish()
    names = {Path(made.path).name for made in caught}
    assert {"plain.png", "inner.png", "points.pc2", "lamp.ies", "glow.osl", "ton.wav"} <= names
    assert {made.kind for made in caught} == {"other"}
    plain = next(made for made in caught if made.path.endswith("plain.png"))
    assert plain.files and plain.library is None
    if hasattr(bpy.data, "file_path_foreach"):
        assert plain.setter is not None
        plain.setter("//tex/changed.png")
        plain.setter("//tex/again.png")
        assert bpy.data.images["relative"].filepath_raw == "//tex/again.png"
    else:
        assert plain.setter is None


# Spellings


def test_names_that_the_disk_spells_otherwise(tmp_path: Path) -> None:
    nfc = unicodedata.normalize("NFC", "Wände")
    nfd = unicodedata.normalize("NFD", nfc)
    touch(tmp_path / nfd / "a.png", tmp_path / "Tex" / "Wood.PNG", tmp_path / "x y 🎨.png")
    touch(*(tmp_path / "seq" / f"Step_{number:03}.png" for number in range(1, 5)))
    if (tmp_path / nfc / "a.png").exists() or (tmp_path / "tex").exists():
        pytest.skip("this disk ignores how names are spelled")
    saved(tmp_path / "main.blend")
    image("unicode", f"//{nfc}/a.png")
    image("case", "//tex/wood.png")
    image("emoji", "//x y 🎨.png")
    clip_like = image("sequence", "//seq/step_001.png", "SEQUENCE")
    found = scan()
    accents = one(found, "image", nfc)
    assert accents.files[0].problem == UNICODE and not accents.missing
    assert accents.files[0].path == str(tmp_path / nfd / "a.png")
    assert accents.files[0].wanted == str(tmp_path / nfc / "a.png")
    case = one(found, "image", "wood")
    assert case.files[0].problem == CASE and case.files[0].path.endswith("Tex/Wood.PNG")
    assert one(found, "image", "🎨").files[0].problem == ""
    sequence = one(found, "image_sequence")
    assert [entry.problem for entry in sequence.files] == [CASE] * 4
    assert [entry.frame for entry in sequence.files] == [1, 2, 3, 4]
    clip_like.filepath_raw = "//seq/Step_001.png"
    assert [entry.problem for entry in one(scan(), "image_sequence").files] == [""] * 4


def test_odd_files(tmp_path: Path) -> None:
    touch(tmp_path / "empty.png", content=b"")
    touch(tmp_path / "folder.png" / "inside.txt")
    deep = tmp_path.joinpath(*["a folder with a name of forty letters ..x"] * 6)
    touch(deep / "deep.png")
    assert len(str(deep / "deep.png")) > 260
    (tmp_path / "loop.png").symlink_to("loop.png")
    saved(tmp_path / "main.blend")
    for name in ("empty", "folder", "loop", "gone"):
        image(name, f"//{name}.png")
    image("deep", "//" + str((deep / "deep.png").relative_to(tmp_path)))
    image("windows", "C:\\textures\\wood.png")
    image("share", "\\\\server\\share\\wood.png")
    image("above", "//../../../../../../../../../../../../nowhere.png")
    found = scan()
    empty = one(found, "image", "empty.png").files[0]
    assert empty.placeholder and empty.problem == EMPTY
    assert one(found, "image", "loop.png").files[0].problem == LOOP
    assert one(found, "image", "deep.png").files[0].bytes == 1
    for name, path in (
        ("folder.png", str(tmp_path / "folder.png")),
        ("gone.png", str(tmp_path / "gone.png")),
        ("C:", "C:\\textures\\wood.png"),
        ("share", "\\\\server\\share\\wood.png"),
        ("nowhere", "/nowhere.png"),
    ):
        made = one(found, "image", name)
        assert (made.missing, made.files) == ([path], []), name
    touch(tmp_path / "locked.png")
    os.chmod(tmp_path / "locked.png", 0)
    image("locked", "//locked.png")
    if not os.access(tmp_path / "locked.png", os.R_OK):  # as root everything can be read
        assert one(scan(), "image", "locked.png").files[0].problem == UNREADABLE


def test_a_loop_of_folders_ends(tmp_path: Path) -> None:
    bake = tmp_path / "ocean"
    touch(bake / "data" / "fluid_data_0001.vdb", bake / "data" / "fluid_data_0009.vdb")
    touch(bake / "config" / "config_0001.uni", bake / "script.py", bake / "mesh" / "note.txt")
    (bake / "data" / "again").symlink_to(bake, target_is_directory=True)
    saved(tmp_path / "main.blend")
    fluid_domain("Domain", "//ocean")
    made = one(scan(frames=(1, 3)), "fluid_cache")
    assert made.folder and made.setter is not None and made.note == ""
    # Through the link some are seen by another name too; the file behind it says so.
    reals = {entry.real for entry in made.files}
    assert {"fluid_data_0001.vdb", "fluid_data_0009.vdb", "config_0001.uni", "note.txt"} <= {
        Path(real).name for real in reals
    }  # 9 is the next one after the range
    assert len(reals) == 5 and len(made.files) < 15
    assert one(scan(frames=(1, 3)), "fluid_cache").used is False  # it is switched off


def fluid_domain(name: str, folder: str) -> Any:
    """A domain that is switched off: Blender's Python package cannot simulate fluids."""
    mesh = bpy.data.meshes.new(name)
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    modifier: Any = item.modifiers.new("Fluid", "FLUID")
    modifier.show_viewport = modifier.show_render = False
    modifier.fluid_type = "DOMAIN"
    modifier.domain_settings.cache_directory = folder
    return modifier.domain_settings


def test_fluids_that_are_shifted_or_not_baked(tmp_path: Path) -> None:
    for frame in range(1, 9):
        touch(tmp_path / "fluid" / "data" / f"fluid_data_{frame:04}.vdb")
    saved(tmp_path / "main.blend")
    domain = fluid_domain("Domain", "//fluid")
    assert len(one(scan(frames=(2, 4)), "fluid_cache").files) == 5
    domain.cache_frame_offset = 3
    made = one(scan(frames=(2, 4)), "fluid_cache")
    assert len(made.files) == 8 and "All frames" in made.note
    domain.cache_directory = "//none"
    made = one(scan(frames=(2, 4)), "fluid_cache")
    assert (made.files, made.missing) == ([], []) and "not baked" in made.note


def test_particles_on_disk_and_an_unbaked_simulation(tmp_path: Path) -> None:
    saved(tmp_path / "main.blend")
    bpy.ops.mesh.primitive_plane_add()
    item = bpy.context.object
    item.name = "Ä"
    item.modifiers.new("Dust", "PARTICLE_SYSTEM")
    system = item.particle_systems[0]
    system.settings.frame_end, cache = 5, system.point_cache
    cache.use_disk_cache, cache.frame_end = True, 5
    made = one(scan(frames=(1, 2)), "point_cache")
    assert made.missing == [] and "not baked" in made.note and made.beside
    folder = tmp_path / "blendcache_main"
    assert made.path == str(folder)
    series = "Ä".encode().hex().upper()
    with bpy.context.temp_override(
        scene=bpy.context.scene, active_object=item, object=item, point_cache=cache
    ):
        bpy.ops.ptcache.bake(bake=True)
    baked = sorted(path.name for path in folder.iterdir())
    assert baked and all(name.startswith(series) for name in baked), baked
    touch(folder / f"{series}_000001_{cache.index + 1:02}.bphys")  # another simulation of it
    touch(folder / "414243_000001_00.bphys")  # another object's
    made = one(scan(), "point_cache")
    assert [Path(entry.path).name for entry in made.files] == baked and made.note == ""
    made = one(scan(frames=(1, 2)), "point_cache")
    assert [entry.frame for entry in made.files] == [0, 1, 2, 3][-len(made.files) :]
    assert 3 <= len(made.files) < made.total == len(baked)


def test_pictures_that_dynamic_paint_wrote_are_optional(tmp_path: Path) -> None:
    saved(tmp_path / "main.blend")
    bpy.ops.mesh.primitive_plane_add()
    item = bpy.context.object
    modifier = item.modifiers.new("Paint", "DYNAMIC_PAINT")
    bpy.ops.dpaint.type_toggle(type="CANVAS")
    surface = modifier.canvas_settings.canvas_surfaces[0]
    surface.surface_format = "IMAGE"
    surface.image_output_path = "//paint"
    assert scan() == []
    touch(tmp_path / "paint" / "paintmap0001.png", tmp_path / "paint" / "mine.png")
    made = one(scan(), "image_sequence")
    assert made.optional and made.folder
    assert [Path(entry.path).name for entry in made.files] == ["paintmap0001.png"]


# Images


def test_what_is_used_and_by_whom(tmp_path: Path) -> None:
    saved(tmp_path / "main.blend")
    kept = image("kept", "//kept.png")
    material = bpy.data.materials.new("Wood")
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = shown = image("shown", "//shown.png")
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    cube.data.materials.append(material)
    other = image("same file", str(tmp_path / "shown.png"))
    found = scan()
    assert one(found, "image", "kept.png").used is False
    made = one(found, "image", "shown.png")
    assert made.used and kept.users == 1
    rows = [(row["type"], row["name"]) for row in made.users]
    assert {("Image", "shown"), ("Image", "same file")} <= set(rows)
    assert {("Material", "Wood"), ("Object", cube.name)} <= set(rows)
    assert made.setter is not None
    made.setter("//new.png")
    assert (shown.filepath_raw, other.filepath_raw) == ("//new.png", "//new.png")


def test_tiles_that_are_not_there_or_not_listed(tmp_path: Path) -> None:
    saved(tmp_path / "main.blend")
    touch(tmp_path / "t.1001.png", tmp_path / "t.1011.png", tmp_path / "t.101.png")
    tiled = image("tiled", "//t.<UDIM>.png", "TILED")
    tiled.tiles.new(1002)
    made = one(scan(), "udim")
    assert [entry.frame for entry in made.files] == [1001, 1011]
    assert [Path(path).name for path in made.missing] == ["t.1002.png"]
    assert made.path.endswith("t.<UDIM>.png")
    tiled.filepath_raw = "//t.<UVTILE>.png"
    touch(tmp_path / "t.u1_v1.png", tmp_path / "t.u2_v1.png")
    assert [entry.frame for entry in one(scan(), "udim").files] == [1001, 1002]


def test_views_of_a_scene_in_stereo(tmp_path: Path) -> None:
    saved(tmp_path / "main.blend")
    touch(*(tmp_path / f"eye{suffix}.png" for suffix in ("_left", "_right", "_L", "_R")))
    render = bpy.context.scene.render
    render.use_multiview = True
    render.views["left"].file_suffix, render.views["right"].file_suffix = "_left", "_right"
    made = image("eyes", "//eye_left.png")
    made.use_multiview, made.views_format = True, "INDIVIDUAL"
    assert [Path(entry.path).name for entry in one(scan(), "image").files] == [
        "eye_left.png",
        "eye_right.png",
    ]


def sequence_texture(tmp_path: Path) -> tuple[Any, Any]:
    """A material whose image is a sequence of 20 on the disk."""
    saved(tmp_path / "main.blend")
    touch(*(tmp_path / f"s_{number:04}.png" for number in range(1, 21)))
    material = bpy.data.materials.new("Moving")
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image("sequence", "//s_0001.png", "SEQUENCE")
    bpy.ops.mesh.primitive_plane_add()
    bpy.context.object.data.materials.append(material)
    return material, node


def test_the_frames_of_a_sequence_are_blenders_own(tmp_path: Path) -> None:
    material, node = sequence_texture(tmp_path)
    user, scene = node.image_user, bpy.context.scene
    user.use_auto_refresh = True
    output = next(each for each in material.node_tree.nodes if each.type == "OUTPUT_MATERIAL")
    material.node_tree.links.new(node.outputs[0], output.inputs["Surface"])
    for start, duration, offset, cyclic in (
        (1, 20, 0, False), (1, 10, 2, False), (3, 4, 5, True), (-2, 3, 5, True), (3, 4, 0, False),
    ):  # fmt: skip
        user.frame_start, user.frame_duration = start, duration
        user.frame_offset, user.use_cyclic = offset, cyclic
        seen = set()
        for frame in range(-3, 9):
            scene.frame_set(frame)
            graph = bpy.context.evaluated_depsgraph_get()
            nodes = material.evaluated_get(graph).node_tree.nodes
            seen.add(nodes[node.name].image_user.frame_current)
        found = timing.image_frames(
            -3, 8, start=start, duration=duration, offset=offset, cyclic=cyclic
        )
        assert found == seen, (start, duration, offset, cyclic)
        made = one(scan(frames=(-3, 8)), "image_sequence")
        assert {entry.frame for entry in made.files} == seen & set(range(1, 21))
        assert made.missing == []


def test_the_frames_of_a_volume_are_blenders_own(dependency_scene: Scene) -> None:
    _, facts = dependency_scene
    opened(facts["main"])
    scene, volume = bpy.context.scene, bpy.data.volumes["smoke"]
    for mode in ("CLIP", "EXTEND", "REPEAT", "PING_PONG"):
        volume.sequence_mode = mode
        for start, duration, offset in ((2, 3, 1), (1, 2, 0), (3, 4, 2)):
            volume.frame_start, volume.frame_duration = start, duration
            volume.frame_offset = offset
            seen = set()
            for frame in range(-3, 9):
                scene.frame_set(frame)
                number = volume.grids.frame
                seen |= {number} if abs(number) < 10000 else set()
            found = timing.volume_frames(
                -3, 8, start=start, duration=duration, offset=offset, mode=mode
            )
            assert found == seen, (mode, start, duration, offset)


def test_all_frames_where_time_cannot_be_foretold(tmp_path: Path) -> None:
    _, node = sequence_texture(tmp_path)
    node.image_user.frame_duration = 20
    assert len(one(scan(frames=(2, 4)), "image_sequence").files) == 3

    node.image_user.keyframe_insert("frame_offset", frame=1)
    made = one(scan(frames=(2, 4)), "image_sequence")
    assert len(made.files) == 20 and "All frames" in made.note
    assert one(scan(), "image_sequence").note == ""  # nobody asked for fewer
    material = bpy.data.materials["Moving"]
    material.node_tree.animation_data_clear()
    assert len(one(scan(frames=(2, 4)), "image_sequence").files) == 3

    driver = node.image_user.driver_add("frame_offset").driver
    driver.expression = "frame * 2"
    assert len(one(scan(frames=(2, 4)), "image_sequence").files) == 20
    material.node_tree.animation_data_clear()

    bpy.context.scene.render.frame_map_new = 50
    made = one(scan(frames=(2, 4)), "image_sequence")
    assert len(made.files) == 20 and "remapped" in made.note
    bpy.context.scene.render.frame_map_new = 100

    # Geometry nodes choose the frame themselves.
    tree = bpy.data.node_groups.new("Shows", "GeometryNodeTree")
    tree.nodes.new("GeometryNodeImageTexture").inputs["Image"].default_value = node.image
    assert len(one(scan(frames=(2, 4)), "image_sequence").files) == 20


def test_frames_that_are_needed_and_missing(tmp_path: Path) -> None:
    _, node = sequence_texture(tmp_path)
    node.image_user.frame_duration = 20
    (tmp_path / "s_0003.png").unlink()
    made = one(scan(frames=(2, 4)), "image_sequence")
    assert [entry.frame for entry in made.files] == [2, 4]
    assert made.missing == [str(tmp_path / "s_0003.png")]
    assert one(scan(frames=(5, 6)), "image_sequence").missing == []
    assert one(scan(), "image_sequence").missing == []  # without a range, what is there counts


# The sequencer


def test_a_strip_with_another_speed_keeps_all_its_pictures(tmp_path: Path) -> None:
    saved(tmp_path / "main.blend")
    names = [f"p{number:02}.png" for number in range(1, 13)]
    touch(*(tmp_path / "cut" / name for name in names))
    editor = bpy.context.scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_image("cut", str(tmp_path / "cut" / names[0]), 1, 5)
    for name in names[1:]:
        strip.elements.append(name)
    strip.directory = "//cut/"
    made = one(scan(frames=(8, 9)), "strip_sequence")
    # Frame 8 shows the fourth, frame 9 the fifth; one more on each side.
    assert [entry.frame for entry in made.files] == [3, 4, 5, 6]
    assert (made.value, made.folder, made.total) == ("//cut/", True, 12)
    assert {"type": "Strip", "name": "cut", "library": None} in made.users
    strip.frame_offset_start = 2  # trimming does not move the pictures
    assert [entry.frame for entry in one(scan(frames=(8, 9)), "strip_sequence").files] == [
        3, 4, 5, 6,
    ]  # fmt: skip
    strip.use_reverse_frames = True
    made = one(scan(frames=(8, 9)), "strip_sequence")
    assert len(made.files) == 12 and "time is changed" in made.note
    (tmp_path / "cut" / "p07.png").unlink()
    assert [Path(path).name for path in one(scan(), "strip_sequence").missing] == ["p07.png"]


# Libraries


def test_a_library_that_is_missing_or_packed(tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.name = "Thing"
    library = saved(tmp_path / "lib" / "things.blend")
    bpy.ops.wm.read_homefile(use_empty=True)
    saved(tmp_path / "main.blend")
    with bpy.data.libraries.load(str(library), link=True, relative=True) as (_, chosen):
        chosen.objects = ["Thing"]
    bpy.context.scene.collection.objects.link(chosen.objects[0])
    main = saved(tmp_path / "main.blend")
    made = one(scan(), "library")
    assert (made.value, made.files[0].path) == ("//lib/things.blend", str(library))
    library.rename(tmp_path / "gone.blend")
    opened(main)
    made = one(scan(), "library")
    assert made.missing == [str(library)]
    assert ("Object", "Thing") in {(row["type"], row["name"]) for row in made.users}
    (tmp_path / "gone.blend").rename(library)
    opened(main)
    bpy.ops.file.pack_libraries()
    made = one(scan(), "library")
    assert made.packed and not made.files and not made.missing


def test_overrides_and_what_a_linked_group_reads(tmp_path: Path) -> None:
    touch(tmp_path / "lib" / "cache" / "x.mdd", tmp_path / "lib" / "x.obj")
    bpy.ops.mesh.primitive_plane_add()
    bpy.context.object.name = "Cached"
    bpy.context.object.modifiers.new("Cache", "MESH_CACHE").filepath = "//cache/x.mdd"
    reads = hasattr(bpy.types, "GeometryNodeImportOBJ")
    if reads:
        group = bpy.data.node_groups.new("Reads", "GeometryNodeTree")
        group.use_fake_user = True
        socket = group.interface.new_socket("Path", in_out="INPUT", socket_type="NodeSocketString")
        socket.subtype = "FILE_PATH"
        name = socket.identifier
    library = saved(tmp_path / "lib" / "lib.blend")
    bpy.ops.wm.read_homefile(use_empty=True)
    saved(tmp_path / "main" / "main.blend")
    with bpy.data.libraries.load(str(library), link=True, relative=True) as (given, chosen):
        chosen.objects, chosen.node_groups = ["Cached"], given.node_groups
    made = chosen.objects[0].override_create()
    bpy.context.scene.collection.objects.link(made)
    caches = {each.library: each for each in scan() if each.kind == "mesh_cache"}
    assert {each.path for each in caches.values()} == {str(tmp_path / "lib/cache/x.mdd")}
    assert caches[None].setter is not None and caches[str(library)].setter is None
    if not reads:
        return
    modifier = made.modifiers.new("Reads", "NODES")
    modifier.node_group = chosen.node_groups[0]
    bpy.context.view_layer.update()
    versions.set_input(modifier, name, "//x.obj")
    found = one(scan(), "other", "x.obj")  # relative to the group's file, which stays so
    assert found.files[0].path == str(tmp_path / "lib" / "x.obj")
    assert (found.library, found.setter) == (str(library), None)
    assert {"type": "Object", "name": made.name, "library": None} in found.users


def test_an_ocean_that_was_baked(tmp_path: Path) -> None:
    tracer = pytest.importorskip("blender_asset_tracer.blendfile")
    bpy.ops.mesh.primitive_plane_add()
    modifier: Any = bpy.context.object.modifiers.new("Ocean", "OCEAN")
    modifier.filepath, modifier.frame_start, modifier.frame_end = "//sea", 1, 9
    modifier.show_viewport = False
    for number in range(1, 10):
        touch(*(tmp_path / "sea" / f"{kind}_{number:04}.exr" for kind in ("disp", "foam")))
    touch(tmp_path / "sea" / "notes.txt")
    main = saved(tmp_path / "main.blend")
    assert scan() == []  # not baked: computed while rendering
    # The mark of a baked ocean is set when Blender's job ends, which needs a window.
    with tracer.BlendFile(main, mode="rb+") as opened_file:
        for block in opened_file.find_blocks_from_code(b"DATA"):
            if block.dna_type_name == "OceanModifierData":
                block.set(b"cached", 1)
    opened(main)
    made = one(scan(frames=(3, 4)), "ocean_cache")
    assert made.folder and made.setter is not None and made.total == 19
    assert sorted({entry.frame for entry in made.files if entry.frame}) == [2, 3, 4, 5]
    assert len(made.files) == 8
    shutil.rmtree(tmp_path / "sea")
    assert one(scan(frames=(3, 4)), "ocean_cache").missing == [str(tmp_path / "sea")]


def test_a_disk_that_ignores_case_is_compared_with_its_listing(tmp_path: Path) -> None:
    touch(tmp_path / "Tex" / "Wood.png")
    disk = Disk(folded=True)
    assert disk.find(str(tmp_path / "Tex" / "Wood.png")) == (str(tmp_path / "Tex/Wood.png"), "")
    assert disk.find(str(tmp_path / "tex" / "WOOD.png")) == (str(tmp_path / "Tex/Wood.png"), CASE)
    assert disk.find(str(tmp_path / "tex" / "stone.png")) is None


def test_nothing_in_an_empty_file() -> None:
    assert scan(frames=(1, 10)) == []
