# SPDX-License-Identifier: GPL-3.0-or-later
"""What a copy saved elsewhere loses is there again in the exported GLB.

Each test makes a scene whose shape or colour depends on the thing in question, captures it, exports
the capture in another process, and looks into the GLB.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

from tests.support import gltf, scenes
from tests.support.extension import Extension

bpy = pytest.importorskip("bpy")
pytestmark = pytest.mark.usefixtures("clean_scene")


@pytest.fixture
def capture(extension: Extension) -> ModuleType:
    """``addon.capture`` of the installed extension."""
    return extension.module("addon.capture")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The artist's folder, with a saved .blend that is open."""
    folder = tmp_path / "project"
    folder.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot 1.blend"))
    return folder


def send(capture: ModuleType, folder: Path, **options: Any) -> tuple[dict[str, Any], Path]:
    capture.capture(bpy.context, folder, job=scenes.JOB)
    result = scenes.export_capture(folder, **options)
    return result, Path(result["path"])


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
    }


def assert_same_points(path: Path, name: str, expected: Any) -> None:
    points = gltf.upright(gltf.placed(path)[name])
    # The exporter may split a point (normals, UVs); as sets of positions both are equal.
    for found, wanted in ((points, expected), (expected, points)):
        for point in found:
            assert numpy.abs(wanted - point).max(axis=1).min() < 1e-4


# Caches and bakes


def _sheet(name: str = "Sheet") -> Any:
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=4, y_subdivisions=4)
    item = bpy.context.object
    item.name = name
    return item


def _bake(cache: Any) -> None:
    with bpy.context.temp_override(point_cache=cache, scene=bpy.context.scene):
        assert bpy.ops.ptcache.bake(bake=True) == {"FINISHED"}


@pytest.mark.parametrize("name", ["Sheet", "Tuch 🧵"])
def test_cloth_disk_cache(capture: ModuleType, project: Path, tmp_path: Path, name: str) -> None:
    item = _sheet(name)
    cache = item.modifiers.new("Cloth", "CLOTH").point_cache
    bpy.context.scene.frame_end = cache.frame_end = 10
    cache.use_disk_cache = True
    _bake(cache)
    assert list((project / "blendcache_shot 1").glob("*.bphys"))
    bpy.context.scene.frame_set(8)
    expected = scenes.evaluated_points(item)
    assert expected[:, 2].max() < -0.1  # it has fallen
    before = listing(project)
    _, path = send(capture, tmp_path / "job")
    assert_same_points(path, name, expected)
    assert listing(project) == before
    # Only what the frame needs is copied.
    copied = {p.name.split("_")[-2] for p in (tmp_path / "job" / "blendcache_scene").iterdir()}
    assert {"000001", "000008"} <= copied <= {"000001", "000007", "000008", "000009"}


def test_cloth_cache_between_two_cached_frames(
    capture: ModuleType, project: Path, tmp_path: Path
) -> None:
    item = _sheet()
    cache = item.modifiers.new("Cloth", "CLOTH").point_cache
    bpy.context.scene.frame_end = cache.frame_end = 20
    cache.use_disk_cache = True
    cache.frame_step = 5
    _bake(cache)
    bpy.context.scene.frame_set(13)
    expected = scenes.evaluated_points(item)
    assert expected[:, 2].max() < -0.1
    _, path = send(capture, tmp_path / "job")
    assert_same_points(path, "Sheet", expected)


def test_cloth_external_cache(capture: ModuleType, project: Path, tmp_path: Path) -> None:
    item = _sheet()
    cache = item.modifiers.new("Cloth", "CLOTH").point_cache
    bpy.context.scene.frame_end = cache.frame_end = 10
    cache.use_disk_cache = True
    cache.name = "flag"
    _bake(cache)
    shutil.copytree(project / "blendcache_shot 1", project / "shared caches")
    shutil.rmtree(project / "blendcache_shot 1")
    cache.use_external = True
    cache.filepath = "//shared caches"
    cache.name = "flag"
    bpy.context.scene.frame_set(7)
    expected = scenes.evaluated_points(item)
    assert expected[:, 2].max() < -0.1
    before = listing(project)
    _, path = send(capture, tmp_path / "job")
    assert_same_points(path, "Sheet", expected)
    assert listing(project) == before


def test_memory_cache(capture: ModuleType, project: Path, tmp_path: Path) -> None:
    item = _sheet()
    cache = item.modifiers.new("Cloth", "CLOTH").point_cache
    bpy.context.scene.frame_end = cache.frame_end = 10
    _bake(cache)
    bpy.context.scene.frame_set(8)
    expected = scenes.evaluated_points(item)
    _, path = send(capture, tmp_path / "job")
    assert_same_points(path, "Sheet", expected)


def test_missing_cache_is_said(capture: ModuleType, project: Path, tmp_path: Path) -> None:
    item = _sheet()
    cache = item.modifiers.new("Cloth", "CLOTH").point_cache
    cache.use_disk_cache = True
    result, _ = send(capture, tmp_path / "job")
    assert result["notes"] == [
        "A simulation cache was not found: blendcache_shot 1 beside the scene."
    ]


@pytest.mark.parametrize("place", ["default", "modifier", "bake"])
def test_nodes_bake_folder(capture: ModuleType, project: Path, tmp_path: Path, place: str) -> None:
    """A simulation zone baked into a folder that is named relative to the .blend."""
    item = scenes.cube("Riser")
    modifier = scenes.rising_simulation(item)
    bpy.context.scene.frame_end = 10
    bpy.context.scene.frame_set(1)
    if "bake_target" in modifier.bl_rna.properties:
        modifier.bake_target = "DISK"
    if place == "modifier":
        modifier.bake_directory = "//bakes/of the riser"
    elif place == "bake":
        modifier.bakes[0].use_custom_path = True
        modifier.bakes[0].directory = "//one bake"
    bpy.ops.wm.save_mainfile()
    scenes.bake_nodes(item, modifier)
    folder = {"default": "blendcache_shot 1", "modifier": "bakes", "bake": "one bake"}[place]
    assert any(path.is_file() for path in (project / folder).rglob("*"))
    bpy.context.scene.frame_set(6)
    expected = scenes.evaluated_points(item)
    assert expected[:, 2].max() == pytest.approx(7)  # lifted in each frame until bake's 6
    before = listing(project)
    _, path = send(capture, tmp_path / "job")
    assert_same_points(path, "Riser", expected)
    assert listing(project) == before


def test_packed_nodes_bake(capture: ModuleType, project: Path, tmp_path: Path) -> None:
    item = scenes.cube("Riser")
    modifier = scenes.rising_simulation(item)
    if "bake_target" not in modifier.bl_rna.properties:
        pytest.skip("this Blender bakes to disk only")
    modifier.bake_target = "PACKED"
    bpy.context.scene.frame_end = 10
    scenes.bake_nodes(item, modifier)
    bpy.context.scene.frame_set(6)
    expected = scenes.evaluated_points(item)
    _, path = send(capture, tmp_path / "job")
    assert_same_points(path, "Riser", expected)


def test_unbaked_nodes_simulation(capture: ModuleType, project: Path, tmp_path: Path) -> None:
    """Played but not baked: it lives in memory only, so the recipe plays it again."""
    item = scenes.cube("Riser")
    scenes.rising_simulation(item)
    for frame in range(1, 7):
        bpy.context.scene.frame_set(frame)
    expected = scenes.evaluated_points(item)
    assert expected[:, 2].max() > 5
    result, path = send(capture, tmp_path / "job")
    assert_same_points(path, "Riser", expected)
    assert any("simulation" in note for note in result["notes"])


def test_particle_instances_with_disk_cache(
    capture: ModuleType, project: Path, tmp_path: Path
) -> None:
    pebble = scenes.cube("Pebble", size=0.1)
    pebble.location.x = 50
    item = _sheet("Ground")
    settings = item.modifiers.new("Rain", "PARTICLE_SYSTEM").particle_system.settings
    settings.count, settings.frame_start, settings.frame_end = 20, 1, 1
    settings.lifetime = 100
    settings.render_type = "OBJECT"
    settings.instance_object = pebble
    settings.particle_size = 1.0
    cache = item.particle_systems[0].point_cache
    bpy.context.scene.frame_end = cache.frame_end = 10
    cache.use_disk_cache = True
    _bake(cache)
    bpy.context.scene.frame_set(9)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    expected = sorted(
        tuple(round(v, 3) for v in i.matrix_world.translation)
        for i in depsgraph.object_instances
        if i.is_instance
    )
    assert len(expected) == 20 and expected[0][2] < -0.1
    result, path = send(capture, tmp_path / "job")
    assert result["triangles"] == 32 + 20 * 12
    nodes = {n: p for n, p in gltf.placed(path).items() if n.startswith("Pebble")}
    found = sorted(
        tuple(float(round(v, 3)) for v in gltf.upright(points).mean(axis=0))
        for points in nodes.values()
    )
    assert numpy.allclose(found, expected, atol=2e-3)


def test_rigid_bodies_in_memory(capture: ModuleType, project: Path, tmp_path: Path) -> None:
    item = scenes.cube("Faller", at=(0, 0, 10))
    bpy.ops.rigidbody.object_add()
    scene = bpy.context.scene
    scene.frame_end = 20
    _bake(scene.rigidbody_world.point_cache)
    scene.frame_set(20)
    expected = scenes.evaluated_points(item)
    assert expected[:, 2].max() < 10
    _, path = send(capture, tmp_path / "job")
    assert_same_points(path, "Faller", expected)


def test_fluid_folder(capture: ModuleType, project: Path, tmp_path: Path) -> None:
    """A fluid domain's folder, named relative to the .blend: the frames around this one are copied.

    The bpy module aborts as soon as it evaluates a fluid (its solver, in 4.2 to 5.2). So the domain
    is in no scene, the files are made by hand, and no shape is looked at.
    """
    scenes.cube("Sent")
    domain = bpy.data.objects.new("Domain", bpy.data.meshes.new("Domain"))
    domain.use_fake_user = True
    modifier = domain.modifiers.new("Fluid", "FLUID")
    modifier.fluid_type = "DOMAIN"
    modifier.domain_settings.cache_type = "ALL"
    modifier.domain_settings.cache_directory = "//fluid"
    bpy.context.scene.frame_set(5)
    for folder, name in (("mesh", "lMesh_{:04}.bobj.gz"), ("data", "fluid_data_{:04}.vdb")):
        (project / "fluid" / folder).mkdir(parents=True)
        for frame in range(1, 20):
            (project / "fluid" / folder / name.format(frame)).write_bytes(b"frame")
    before = listing(project)
    folder = tmp_path / "job"
    data = capture.capture(bpy.context, folder, job=scenes.JOB)
    (entry,) = data["caches"]
    assert (entry["kind"], entry["object"], entry["modifier"]) == ("fluid", "Domain", "Fluid")
    assert entry["original"] == str(project / "fluid")
    scenes.export_capture(folder)
    copied = {path.name for path in (folder / "caches" / "000").rglob("*") if path.is_file()}
    assert copied == {
        pattern.format(frame)
        for pattern in ("lMesh_{:04}.bobj.gz", "fluid_data_{:04}.vdb")
        for frame in (1, 4, 5, 6)
    }
    assert listing(project) == before


def test_played_rigid_body(capture: ModuleType, project: Path, tmp_path: Path) -> None:
    """Played, not baked: the file forgets where it had fallen to."""
    item = scenes.cube("Faller", at=(0, 0, 10))
    bpy.ops.rigidbody.object_add()
    for frame in range(1, 13):
        bpy.context.scene.frame_set(frame)
    expected = scenes.evaluated_points(item)
    assert expected[:, 2].max() < 10.9
    _, path = send(capture, tmp_path / "job")
    assert_same_points(path, "Faller", expected)


@pytest.mark.parametrize("disk", [False, True])
def test_played_cloth(capture: ModuleType, project: Path, tmp_path: Path, disk: bool) -> None:
    item = _sheet()
    item.modifiers.new("Cloth", "CLOTH").point_cache.use_disk_cache = disk
    for frame in range(1, 9):
        bpy.context.scene.frame_set(frame)
    expected = scenes.evaluated_points(item)
    assert expected[:, 2].max() < -0.1
    before = listing(project)
    _, path = send(capture, tmp_path / "job")
    assert_same_points(path, "Sheet", expected)
    assert listing(project) == before


def test_mesh_cache_file(capture: ModuleType, project: Path, tmp_path: Path) -> None:
    """A modifier that reads a file named relative to the .blend."""
    import struct

    item = scenes.cube("Deformed")
    points = [(v.co.x * 3, v.co.y, v.co.z) for v in item.data.vertices]
    data = struct.pack(">2i", 1, len(points)) + struct.pack(">f", 0.0)
    data += b"".join(struct.pack(">3f", *point) for point in points)
    (project / "points.mdd").write_bytes(data)
    modifier = item.modifiers.new("Cache", "MESH_CACHE")
    modifier.cache_format = "MDD"
    modifier.filepath = "//points.mdd"
    expected = scenes.evaluated_points(item)
    assert expected[:, 0].max() == pytest.approx(3)
    _, path = send(capture, tmp_path / "job")
    assert_same_points(path, "Deformed", expected)


# Images


def _painted(file: bytes, folder: Path, colour: list[float], tolerance: float = 1 / 255) -> None:
    assert scenes.mean_colour(file, folder) == pytest.approx(colour, abs=tolerance)


@pytest.mark.parametrize("kind", ["file", "packed", "generated", "resized"])
def test_unsaved_pixels(capture: ModuleType, project: Path, tmp_path: Path, kind: str) -> None:
    item = scenes.cube("Painted")
    image = bpy.data.images.new("Farbe 🎨", 16, 8)
    scenes.fill(image, (0, 0, 0, 1))
    if kind != "generated":
        image.filepath_raw = str(project / "farbe.png")
        image.file_format = "PNG"
        image.save()
        image.filepath = "//farbe.png"
        assert image.source == "FILE"
    if kind == "packed":
        image.pack()
        (project / "farbe.png").unlink()
    if kind == "resized":
        image.scale(32, 32)
    scenes.material(item, image)
    colour = [32 / 255, 64 / 255, 128 / 255, 1]
    scenes.fill(image, tuple(colour))
    result, path = send(capture, tmp_path / "job")
    ((mime, file),) = gltf.images(path).values()
    assert mime == "image/png"
    _painted(file, tmp_path, colour)
    assert result["lost_textures"] == [] and result["notes"] == []
    assert image.is_dirty


def test_untouched_generated_image(capture: ModuleType, project: Path, tmp_path: Path) -> None:
    item = scenes.cube("Painted")
    image = bpy.data.images.new("Grid", 64, 64)
    image.generated_type = "COLOR_GRID"
    scenes.material(item, image)
    result, path = send(capture, tmp_path / "job")
    (image_file,) = gltf.images(path).values()
    values = numpy.empty(64 * 64 * 4, dtype=numpy.float32)
    image.pixels.foreach_get(values)
    _painted(image_file[1], tmp_path, list(values.reshape(-1, 4).mean(axis=0)))
    assert result["lost_textures"] == []


def test_float_pixels_keep_their_depth(
    extension: Extension, capture: ModuleType, project: Path, tmp_path: Path
) -> None:
    item = scenes.cube("Painted")
    image = bpy.data.images.new("Deep", 4, 4, float_buffer=True, is_data=True)
    scenes.material(item, image)
    scenes.fill(image, (0.123456789, 12.5, -1.0, 1.0))
    folder = tmp_path / "job"
    data = capture.capture(bpy.context, folder, job=scenes.JOB)
    (entry,) = data["images"]
    values = numpy.load(folder / entry["file"])
    assert values.dtype == numpy.float32 and values.shape == (4, 4, 4)
    assert values[0, 0].tolist() == pytest.approx([0.123456789, 12.5, -1.0, 1.0], rel=1e-6)
    assert image.file_format == "PNG" and image.is_dirty


@pytest.mark.parametrize("kind", ["painted", "packed", "file", "data"])
def test_float_colours_are_seen_as_in_blender(
    capture: ModuleType, project: Path, tmp_path: Path, kind: str
) -> None:
    """Float colours are linear; in the GLB's 8-bit image they are sRGB."""
    item = scenes.cube("Painted")
    image = bpy.data.images.new("Deep", 8, 8, float_buffer=True, is_data=kind == "data")
    linear = (0.1234567, 0.5, 0.75, 1.0)
    if kind == "file":
        # Written by hand-made rules in the images of Blender: a file whose values are linear.
        image.source = "TILED"
        scenes.fill(image, linear)
        image.file_format = "OPEN_EXR"
        with bpy.context.temp_override(edit_image=image):
            bpy.ops.image.save_as(
                filepath=str(project / "deep.<UDIM>.exr"), copy=True, check_existing=False
            )
        image = bpy.data.images.load(str(project / "deep.1001.exr"))
        assert image.colorspace_settings.name == "Linear Rec.709"
        assert list(image.pixels[:4]) == pytest.approx(linear, abs=1e-6)
    else:
        scenes.fill(image, linear)
        if kind == "packed":
            image.pack()
    scenes.material(item, image)
    result, path = send(capture, tmp_path / "job")
    ((_, file),) = gltf.images(path).values()
    seen = [31, 128, 191] if kind == "data" else [99, 188, 225]
    _painted(file, tmp_path, [*(value / 255 for value in seen), 1])
    assert result["lost_textures"] == []


@pytest.mark.parametrize("deep", [False, True])
def test_unsaved_tiles(capture: ModuleType, project: Path, tmp_path: Path, deep: bool) -> None:
    item = scenes.cube("Painted")
    image = bpy.data.images.new("Tiles", 8, 8, tiled=True, float_buffer=deep)
    with bpy.context.temp_override(edit_image=image):
        bpy.ops.image.tile_add(
            number=1002, count=1, fill=True, width=8, height=8, color=(1, 0, 0, 1), float=deep
        )
    scenes.material(item, image)
    scenes.fill(image, (0.1234567, 0.5, 0.75, 1))  # the first tile
    before = (image.filepath_raw, image.file_format, image.source)
    folder = tmp_path / "job"
    data = capture.capture(bpy.context, folder, job=scenes.JOB)
    assert (image.filepath_raw, image.file_format, image.source) == before and image.is_dirty
    (entry,) = data["images"]
    assert "<UDIM>" in entry["file"]
    suffix = "exr" if deep else "png"
    names = sorted(path.name for path in (folder / "images").iterdir())
    assert names == [f"0001.1001.{suffix}", f"0001.1002.{suffix}"]
    if deep:
        again = bpy.data.images.load(str(folder / "images" / names[0]))
        # Half precision would be off by 3e-5 here.
        assert list(again.pixels[:3]) == pytest.approx([0.1234567, 0.5, 0.75], abs=1e-7)
        bpy.data.images.remove(again)
    result = scenes.export_capture(folder)
    files = [file for _, file in gltf.images(Path(result["path"])).values()]
    assert files and result["lost_textures"] == []
    assert sorted(path.name for path in (folder / "package").iterdir()) == ["asset.glb"]
    # Floats are linear and become sRGB, as in any 8-bit file.
    colour = [99 / 255, 188 / 255, 225 / 255] if deep else [31 / 255, 128 / 255, 191 / 255]
    _painted(files[0], tmp_path, [*colour, 1])


def test_image_without_users_is_left_out(capture: ModuleType, tmp_path: Path) -> None:
    scenes.cube()
    scenes.fill(bpy.data.images.new("Scratch", 4, 4), (1, 0, 0, 1))
    assert capture.capture(bpy.context, tmp_path / "job", job=scenes.JOB)["images"] == []


# Scripts

_SCRIPT = """
import bpy
def lift(frame):
    return frame * 0.5
bpy.app.driver_namespace["courier_lift"] = lift
"""


@pytest.fixture
def namespace() -> Any:
    yield
    bpy.app.driver_namespace.pop("courier_lift", None)


def _driven(registered: bool) -> Any:
    item = scenes.cube("Driven")
    text = bpy.data.texts.new("helpers.py")
    text.write(_SCRIPT)
    text.use_module = registered
    curve = item.driver_add("location", 2)
    curve.driver.expression = "courier_lift(frame)"
    source = compile(text.as_string(), "/helpers.py", "exec")
    exec(source, {"__name__": "__main__"})  # what "Run Script" does
    curve.driver.expression = "courier_lift(frame)"
    bpy.context.scene.frame_set(20)
    assert item.matrix_world.translation.z == pytest.approx(10)
    return item


def _spoil(path: Path) -> None:
    """Save the copy again with a driven value that only the driver can put right."""
    code = (
        "import bpy, sys, os\n"
        f"bpy.ops.wm.open_mainfile(filepath={str(path)!r}, use_scripts=False, load_ui=False)\n"
        "bpy.data.objects['Driven'].location.z = -1000\n"
        "bpy.context.scene.frame_current = 1\n"
        f"bpy.ops.wm.save_as_mainfile(filepath={str(path)!r}, compress=False)\n"
        "sys.stdout.flush(); os._exit(0)\n"
    )
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=100)


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("registered", [True, False])
def test_driver_function_of_a_trusted_file(
    capture: ModuleType, tmp_path: Path, registered: bool
) -> None:
    _driven(registered)
    folder = tmp_path / "job"
    data = capture.capture(bpy.context, folder, job=scenes.JOB)
    assert data["scripts_trusted"] is True
    assert data["driver_namespace"] == [
        {"name": "courier_lift", "text": "helpers.py", "file": None}
    ]
    _spoil(folder / "scene.blend")
    result = scenes.export_capture(folder)
    points = gltf.upright(gltf.placed(Path(result["path"]))["Driven"])
    assert points[:, 2].mean() == pytest.approx(10, abs=1e-4)
    assert result["notes"] == []


@pytest.mark.usefixtures("namespace")
def test_scripts_of_an_untrusted_file_never_run(
    extension: Extension, capture: ModuleType, tmp_path: Path, monkeypatch: Any
) -> None:
    """Opened with its scripts blocked: the recipe blocks them too, and the saved value stands."""
    bpy.ops.wm.read_homefile(use_empty=True)
    witness = tmp_path / "ran"
    text = bpy.data.texts.new("register.py")
    text.write(f"open({str(witness)!r}, 'w').close()\n")
    text.use_module = True
    scenes.cube("Driven", at=(0, 0, 3))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "stranger.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "stranger.blend"), use_scripts=False)
    assert bpy.app.autoexec_fail
    assert any("scripts are blocked" in note for note in capture.notes(bpy.context, {}))
    scenes.select(bpy.data.objects["Driven"])
    folder = tmp_path / "job"
    data = capture.capture(bpy.context, folder, job=scenes.JOB)
    assert data["scripts_trusted"] is False
    result = scenes.export_capture(folder)
    assert not witness.exists()
    points = gltf.upright(gltf.placed(Path(result["path"]))["Driven"])
    assert points[:, 2].mean() == pytest.approx(3, abs=1e-4)


def test_function_of_an_add_on(capture: ModuleType, tmp_path: Path) -> None:
    """A headless Blender lacks it: the value of the captured frame stands, and it is said."""
    from tests.support import driver_functions

    bpy.app.driver_namespace["courier_addon"] = driver_functions.three
    try:
        item = scenes.cube("Driven")
        curve = item.driver_add("location", 2)
        curve.driver.expression = "courier_addon()"
        item.shape_key_add(name="Basis")
        item.shape_key_add(name="Wide").data[0].co.x = -9
        keys = item.data.shape_keys
        driver = keys.driver_add('key_blocks["Wide"].value').driver
        driver.expression = "courier_addon() / 6"
        item["width"] = 0.0
        item.driver_add('["width"]').driver.expression = "courier_addon() * 2"
        array = item.modifiers.new("Array", "ARRAY")
        array.driver_add("count").driver.expression = "courier_addon()"
        bpy.context.view_layer.update()
        assert item.matrix_world.translation.z == pytest.approx(3)
        folder = tmp_path / "job"
        data = capture.capture(bpy.context, folder, job=scenes.JOB)
    finally:
        del bpy.app.driver_namespace["courier_addon"]
    assert data["driver_namespace"][0]["text"] is None
    assert data["driver_namespace"][0]["file"].endswith("driver_functions.py")
    result = scenes.export_capture(folder)
    points = gltf.upright(gltf.placed(Path(result["path"]))["Driven"])
    assert points[:, 2].mean() == pytest.approx(3, abs=1e-4)
    assert points[:, 0].min() == pytest.approx(-5, abs=1e-4)
    assert result["triangles"] == 36
    assert any("courier_addon" in note for note in result["notes"])


# Modes


def test_edit_mode_changes(capture: ModuleType, tmp_path: Path) -> None:
    import bmesh

    one, two = scenes.cube("One"), scenes.cube("Two")
    scenes.select(one, two)
    bpy.ops.object.mode_set(mode="EDIT")
    for item in (one, two):
        mesh = bmesh.from_edit_mesh(item.data)
        for point in mesh.verts:
            point.co.z += 5
        bmesh.update_edit_mesh(item.data)
    _, path = send(capture, tmp_path / "job")
    assert one.mode == two.mode == "EDIT"
    points = gltf.placed(path)
    assert gltf.upright(points["One"])[:, 2].mean() == pytest.approx(5)
    assert gltf.upright(points["Two"])[:, 2].mean() == pytest.approx(5)
    bpy.ops.object.mode_set(mode="OBJECT")


@pytest.mark.parametrize("mode", ["SCULPT", "VERTEX_PAINT", "WEIGHT_PAINT", "TEXTURE_PAINT"])
def test_other_modes(capture: ModuleType, tmp_path: Path, mode: str) -> None:
    item = scenes.cube("Worked on")
    bpy.ops.object.mode_set(mode=mode)
    for point in item.data.vertices:
        point.co.z += 2
    item.data.update()
    _, path = send(capture, tmp_path / "job")
    assert item.mode == mode
    assert gltf.upright(gltf.placed(path)["Worked on"])[:, 2].mean() == pytest.approx(2)
    bpy.ops.object.mode_set(mode="OBJECT")


def test_text_in_edit_mode(capture: ModuleType, tmp_path: Path) -> None:
    bpy.ops.object.text_add()
    item = bpy.context.object
    item.name = "Label"
    item.data.body = "A"
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.font.text_insert(text="WWWWWWWW")
    _, path = send(capture, tmp_path / "job")
    assert item.mode == "EDIT"
    assert numpy.ptp(gltf.placed(path)["Label"][:, 0]) > 3
    bpy.ops.object.mode_set(mode="OBJECT")
