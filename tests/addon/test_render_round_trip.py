# SPDX-License-Identifier: GPL-3.0-or-later
"""A render as an artist orders it: the panel's operator, the farm on this computer, frames back.

The installed extension, the real worker, the real sandbox, which renders with a headless Blender.
Only the timer is called by hand, since a Blender without a window has no event loop.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.addon.render_support import media, pixels
from tests.addon.test_round_trip import wait_for_end, worker_home
from tests.support.extension import Extension

bpy = pytest.importorskip("bpy")
np = pytest.importorskip("numpy")
__all__ = ["worker_home"]
FRAMES = 24


def build_scene(folder: Path) -> Any:
    """A textured, turning cube from a linked library above a floor, in a saved file."""
    library = folder / "assets" / "Würfel 🎲.blend"
    library.parent.mkdir(parents=True)
    image = bpy.data.images.new("checks", 32, 32)
    pixels = np.ones((32, 32, 4), dtype=np.float32)
    pixels[::2, :, 0] = 0.1
    pixels[:, :16, 1] = 0.2
    image.pixels.foreach_set(pixels.ravel())
    image.filepath_raw, image.file_format = str(folder / "assets" / "Muster ü.png"), "PNG"
    image.save()
    material = bpy.data.materials.new("Checks")
    material.use_nodes = True
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    material.node_tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    bpy.ops.mesh.primitive_cube_add(size=2)
    cube = bpy.context.object
    cube.data.materials.append(material)
    cube.name = "Cube"
    bpy.ops.wm.save_as_mainfile(filepath=str(library), relative_remap=True)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(library), link=True) as (source, target):
        target.meshes = list(source.meshes)
    scene = bpy.context.scene
    cube = bpy.data.objects.new("Cube", target.meshes[0])
    scene.collection.objects.link(cube)
    for frame, angle in ((1, 0.0), (FRAMES, 3.0)):
        cube.rotation_euler = (0.3, 0, angle)
        cube.keyframe_insert("rotation_euler", frame=frame)
    camera = bpy.data.objects.new("Kamera", bpy.data.cameras.new("Kamera"))
    camera.location = (0, -7, 0)
    camera.rotation_euler = (1.5708, 0, 0)
    light = bpy.data.objects.new("Sonne", bpy.data.lights.new("Sonne", "SUN"))
    light.rotation_euler = (0.6, 0.3, 0)
    for item in (camera, light):
        scene.collection.objects.link(item)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.cycles.device = "CPU"
    scene.render.resolution_x, scene.render.resolution_y = 48, 27
    scene.render.fps = 30
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.render.filepath = "//render/shot_"
    # A finished frame in the Sequencer is shown as it is.
    scene.view_settings.view_transform = "Standard"
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "Szene 🎬.blend"), relative_remap=True)
    return scene


def send(extension: Extension, home: Path, **more: Any) -> Any:
    answer = bpy.ops.scene_courier.send(service="renderjuice", account="sandbox", **more)
    assert answer == {"FINISHED"}
    job = wait_for_end(extension, home, 300)
    assert job.state == "done", (job.problem, job.notes, job.report.get("preflight"))
    return job


def test_an_animation_goes_out_and_plays_in_the_sequencer(
    extension: Extension, clean_scene: None, worker_home: Path, tmp_path: Path
) -> None:
    scene = build_scene(tmp_path)
    job = send(extension, worker_home, start="at_once")
    frames = sorted(result.path for result in job.results if result.kind == "frame")
    assert len(frames) == FRAMES and job.report["frames"]["missing"] == ""
    assert str(tmp_path / "courier") in frames[0]
    assert Path(frames[0]).name == "shot_0001.png", "named as the scene names them"
    used = {one["kind"] for one in job.report["preflight"]["dependencies"]}
    assert "library" in used, "the linked file went along"
    assert bpy.ops.scene_courier.import_job(
        job_id=job.id, ways={"image", "strip", "compositor"}
    ) == {"FINISHED"}
    images = [image for image in bpy.data.images if image.source == "SEQUENCE"]
    assert images
    editor = scene.sequence_editor
    strips = list(editor.strips if hasattr(editor, "strips") else editor.sequences)
    assert [strip.type for strip in strips] == ["IMAGE"]
    assert (strips[0].frame_final_start, strips[0].frame_final_end) == (1, FRAMES + 1)
    tree = getattr(scene, "compositing_node_group", None) or getattr(scene, "node_tree", None)
    assert any(node.type == "IMAGE" and node.image for node in tree.nodes)
    # What the farm rendered is what this scene renders, and each frame plays at its own time.
    for number in (1, 13, FRAMES):
        own = rendered(number, tmp_path / f"own_{number}.png", sequencer=False)
        come = pixels(Path(frames[number - 1]))
        assert np.abs(own - come).max() < 2 / 255, f"frame {number} differs from the scene's own"
    played = [rendered(n, tmp_path / f"played_{n}.png", sequencer=True) for n in (1, 13, FRAMES)]
    for number, seen in zip((1, 13, FRAMES), played, strict=True):
        assert np.abs(seen - pixels(Path(frames[number - 1]))).max() < 3 / 255
    assert np.abs(played[0] - played[1]).max() > 0.05, "it moves"


def rendered(number: int, path: Path, *, sequencer: bool) -> Any:
    """A frame's pixels as this Blender renders it with the scene's own settings."""
    scene = bpy.context.scene
    before = scene.render.filepath, scene.render.use_sequencer
    scene.render.filepath, scene.render.use_sequencer = str(path), sequencer
    scene.frame_set(number)
    try:
        bpy.ops.render.render(write_still=True)
    finally:
        scene.render.filepath, scene.render.use_sequencer = before
    return pixels(path)


def test_a_multilayer_render_shows_its_passes(
    extension: Extension, clean_scene: None, worker_home: Path, tmp_path: Path
) -> None:
    scene = build_scene(tmp_path)
    media(scene, "MULTI_LAYER_IMAGE", "OPEN_EXR_MULTILAYER")
    bpy.context.view_layer.use_pass_z = True
    bpy.context.view_layer.use_pass_normal = True
    job = send(extension, worker_home, start="at_once", frames="3-4")
    names = sorted(Path(result.path).name for result in job.results if result.kind == "frame")
    assert names == ["shot_0003.exr", "shot_0004.exr"]
    assert bpy.ops.scene_courier.import_job(job_id=job.id, ways={"compositor"}) == {"FINISHED"}
    tree = getattr(scene, "compositing_node_group", None) or getattr(scene, "node_tree", None)
    node = next(node for node in tree.nodes if node.type == "IMAGE" and node.image)
    sockets = {output.name for output in node.outputs}
    assert {"Combined", "Depth", "Normal"} <= sockets


def test_it_waits_for_the_yes_and_for_test_frames_only_three(
    extension: Extension, clean_scene: None, worker_home: Path, tmp_path: Path
) -> None:
    build_scene(tmp_path)
    store_module = extension.module("bridge.store")
    answer = bpy.ops.scene_courier.send(
        service="renderjuice", account="sandbox", test_frames=True, start="ask"
    )
    assert answer == {"FINISHED"}
    pump = extension.module("addon.pump")
    end = time.monotonic() + 120
    while time.monotonic() < end:
        pump.tick()
        with store_module.Store.open(worker_home) as store:
            jobs = store.jobs()
        if jobs and jobs[0].state == "awaiting_approval":
            break
        assert not jobs or not jobs[0].state.terminal, jobs[0].problem
        time.sleep(0.1)
    job = jobs[0]
    assert job.state == "awaiting_approval" and "3 frames" in job.state_text
    assert job.report["analysis"]["facts"]
    assert bpy.ops.scene_courier.approve_job(job_id=job.id) == {"FINISHED"}
    job = wait_for_end(extension, worker_home, 120)
    assert job.state == "done" and job.report["frames"]["asked"] == "1,12,24"
