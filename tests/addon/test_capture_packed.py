# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole scene captured with what only the session knows, packed, and rendered somewhere else."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bridge.blender import run_recipe
from tests.support import scenes
from tests.support.extension import Extension

bpy = pytest.importorskip("bpy")
pytestmark = pytest.mark.usefixtures("clean_scene")

from tests.recipes import pack_support as lab  # noqa: E402

JOB = {"id": "0" * 32, "name": "Shot", "service": "renderjuice", "options": {"samples": 1}}


@pytest.fixture
def capture(extension: Extension) -> ModuleType:
    """``addon.capture`` of the installed extension."""
    return extension.module("addon.capture")


def _pack(folder: Path, **params: Any) -> dict[str, Any]:
    given = {
        "capture": str(folder / "capture.json"),
        "folder": str(folder),
        "output": str(folder / "package"),
        "name": "shot",
        "max_bytes": 5 * 1024**3,
        "packed_max_bytes": 1024**3,
        **params,
    }
    return run_recipe(
        "pack_scene", given, workdir=folder / "work", program=scenes.this_blender(), timeout=240
    )


def _painted(folder: Path) -> None:
    """An image file, a generated image and tiles, all painted and not saved."""
    path = lab.picture(folder / "tex" / "a.png", (1, 0, 0))
    image = bpy.data.images.load(str(path))
    lab.plane("file", lab.glow("file", image), 0)
    image.pixels.foreach_set([0.1, 0.2, 0.9, 1.0] * 16)
    image.update()
    image = bpy.data.images.new("painted", 4, 4)
    image.pixels.foreach_set([0.9, 0.6, 0.1, 1.0] * 16)
    image.update()
    lab.plane("painted", lab.glow("painted", image), 1)
    for tile in (1001, 1002):
        lab.picture(folder / "tex" / f"t.{tile}.png", (0, tile - 1001, 1))
    image = bpy.data.images.load(str(folder / "tex" / "t.1001.png"))
    image.source = "TILED"
    image.filepath = "//tex/t.<UDIM>.png"
    image.reload()
    item = lab.plane("tiles", lab.glow("tiles", image), 2)
    for corner in item.data.uv_layers[0].data:
        corner.uv.x *= 2
    image.pixels.foreach_set([0.5, 0.1, 0.5, 1.0] * 16)
    image.update()


def _simulated() -> None:
    """A cloth that falls, baked beside the .blend, and a bake of geometry nodes under ``//``."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=4, y_subdivisions=4, size=1, location=(0, -1, 0))
    item = bpy.context.object
    item.data.materials.append(lab.glow("cloth", None))
    bpy.context.scene.gravity = (0, -60, 0)
    cache = item.modifiers.new("Cloth", "CLOTH").point_cache
    cache.use_disk_cache, cache.frame_end = True, 6
    with bpy.context.temp_override(point_cache=cache, scene=bpy.context.scene):
        bpy.ops.ptcache.bake(bake=True)
    bpy.ops.mesh.primitive_plane_add(size=1, location=(2, -1, 0))
    item = bpy.context.object
    item.data.materials.append(lab.glow("sim", None))
    modifier = scenes.rising_simulation(item)
    lift = next(node for node in modifier.node_group.nodes if "Offset" in node.inputs)
    lift.inputs["Offset"].default_value = (0.2, 0, 0)
    if "bake_target" in modifier.bl_rna.properties:
        modifier.bake_target = "DISK"
    modifier.bake_directory = "//bakes/riser"
    bpy.context.view_layer.update()
    scenes.bake_nodes(item, modifier)


def test_what_only_the_session_knows_is_in_the_package(capture: ModuleType, tmp_path: Path) -> None:
    project = tmp_path / "project"
    blend = project / "shot 1.blend"
    scene = lab.new_scene(blend)
    scene.frame_end = 6
    _painted(project)
    _simulated()
    scene.frame_set(4)
    before = lab.snapshot(project)
    folder = tmp_path / "job"
    capture.capture(bpy.context, folder, job=JOB, whole_scene=True)
    for image in bpy.data.images:
        if image.is_dirty:
            image.pack()  # without a window, rendering forgets what is painted
    wanted = lab.render_open(tmp_path / "wanted.png")
    bpy.ops.wm.read_homefile(use_empty=True)
    held = sorted(path.name for path in folder.iterdir())
    killed = folder / "package" / ".packing-of a run that was killed"
    killed.mkdir(parents=True)
    answer = _pack(folder, frames="4-5", handles=0)
    assert answer["mode"] == "zip" and not answer["blocked"], answer["report"]["findings"]
    assert lab.snapshot(project) == before
    assert sorted(path.name for path in folder.iterdir()) == sorted([*held, "package", "work"])
    assert sorted(os.listdir(folder / "package")) == ["preflight.json", "shot.zip"]
    names = lab.names(Path(answer["path"]))
    assert len([name for name in names if name.startswith("blendcache_shot/")]) == 6
    assert not [name for name in names if name.endswith(".png")]  # the pixels are in the .blend
    moved = lab.unpack(Path(answer["path"]), tmp_path / "far" / "away")
    project.rename(tmp_path / "gone")
    folder.rename(tmp_path / "gone too")
    again = lab.render(moved, 4, tmp_path / "again.png")
    assert lab.differing(again, wanted) == []
    assert len({tuple(pixel) for pixel in wanted.reshape(-1, 4)}) > 5


def test_a_scene_that_was_never_saved(capture: ModuleType, tmp_path: Path) -> None:
    lab.empty_scene()
    image = bpy.data.images.load(str(lab.picture(tmp_path / "somewhere" / "a.png", (1, 0.5, 0))))
    lab.plane("P", lab.glow("M", image), 0)
    wanted = lab.render_open(tmp_path / "wanted.png")
    folder = tmp_path / "job"
    capture.capture(bpy.context, folder, job=JOB, whole_scene=True)
    for mode in ("blend", "zip"):
        answer = _pack(folder, mode=mode)
        assert answer["mode"] == mode
        moved = lab.unpack(Path(answer["path"]), tmp_path / "far" / mode)
        (tmp_path / "somewhere").rename(tmp_path / "gone")
        assert lab.differing(lab.render(moved, 1, tmp_path / "again.png"), wanted) == []
        (tmp_path / "gone").rename(tmp_path / "somewhere")
