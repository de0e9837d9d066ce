# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny frames for the import tests, written by Blender itself, and looking at pixels."""

from __future__ import annotations

import contextlib
import math
import struct
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np

SIZE = 8
#: differences that rounding to 8 bits (or to half floats) makes
SAME = 1.5 / 255


def media(scene: Any, kind: str, file_format: str) -> None:
    """Set the output format; from 5.0 on its kind comes first."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = kind
    settings.file_format = file_format


def color(number: int, other: float = 0.2) -> tuple[float, float, float]:
    """A color that tells a frame from its neighbours."""
    return ((number * 37 % 97) / 97, (number * 11 % 23) / 23, other)


def write(path: Path, rgb: Iterable[float]) -> Path:
    """One frame of one color (with a dark first pixel, so that it is not quite flat)."""
    is_float = path.suffix == ".exr"
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new("frame", SIZE, SIZE, float_buffer=is_float)
    pixels = np.ones((SIZE * SIZE, 4), dtype=np.float32)
    pixels[:, :3] = tuple(rgb)
    pixels[0, :3] = 0
    image.pixels.foreach_set(pixels.ravel())
    if is_float:  # as a render writes it: in the scene's linear space
        image.colorspace_settings.name = "Linear Rec.709"
        scene = bpy.data.scenes.new("write")
        media(scene, "IMAGE", "OPEN_EXR")
        image.save_render(str(path), scene=scene)
        bpy.data.scenes.remove(scene)
    else:
        image.filepath_raw, image.file_format = str(path), "PNG"
        image.save()
    bpy.data.images.remove(image)
    return path


def frames(folder: Path, numbers: Iterable[int], suffix: str = ".png", end: str = "") -> list[Path]:
    """Frames named as Blender names them."""
    return [write(folder / f"shot_{number:04d}{end}{suffix}", color(number)) for number in numbers]


def facts(paths: Iterable[Path], **more: Any) -> dict[str, Any]:
    """What an import is told about a job."""
    start = int(bpy.context.scene.frame_start)
    known = {"frames": [str(path) for path in paths], "passes": {}, "videos": [], "fps": 24.0}
    return {**known, "scene": "Scene", "camera": None, "start": start, "end": start, **more}


def pixels(path: Path) -> Any:
    """Pixels of a file, shape (height, width, 4)."""
    image = bpy.data.images.load(str(path))
    try:
        width, height = image.size
        assert width and height, f"cannot be read: {path}"
        found = np.empty(width * height * 4, dtype=np.float32)
        image.pixels.foreach_get(found)
        return found.reshape(height, width, 4)
    finally:
        bpy.data.images.remove(image)


@contextlib.contextmanager
def output(path: Path, scene: Any) -> Iterator[None]:
    """Render settings for comparing pixels; those of the scene come back afterwards."""
    render, view = scene.render, scene.view_settings
    before = (render.filepath, render.resolution_x, render.resolution_y, render.use_sequencer)
    look = view.view_transform
    render.resolution_x = render.resolution_y = SIZE
    render.resolution_percentage = 100
    media(scene, "IMAGE", "OPEN_EXR" if path.suffix == ".exr" else "PNG")
    render.image_settings.color_mode = "RGBA"
    view.view_transform = "Standard"
    render.filepath = str(path)
    try:
        yield
    finally:
        render.filepath, render.resolution_x, render.resolution_y, render.use_sequencer = before
        view.view_transform = look


def rendered(frame: int, path: Path, *, sequencer: bool) -> Any:
    """Pixels of a frame as this Blender renders it: the Sequencer's, or the scene's with its
    compositor.
    """
    scene = bpy.context.scene
    with output(path, scene):
        scene.render.use_sequencer = sequencer
        scene.frame_set(frame)
        bpy.ops.render.render(write_still=True)
    return pixels(path)


def same(one: Any, other: Any) -> bool:
    """Whether two pictures are the same, but for rounding."""
    return one.shape == other.shape and float(np.abs(one - other).max()) < SAME


def quick_scene() -> Any:
    """A scene with a camera that Cycles renders in no time."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 1, False
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.render.fps = 24
    camera = bpy.data.objects.new("Shot Camera", bpy.data.cameras.new("Shot Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    if scene.world is None:
        scene.world = bpy.data.worlds.new("World")
    return scene


def multilayer(folder: Path, numbers: Iterable[int]) -> list[Path]:
    """Multi-layer EXR frames with depth and normals, really rendered: a plane that comes nearer."""
    scene = quick_scene()
    scene.view_layers[0].use_pass_z = scene.view_layers[0].use_pass_normal = True
    mesh = bpy.data.meshes.new("Plane")
    mesh.from_pydata([(-9, -9, 0), (9, -9, 0), (9, 9, 0), (-9, 9, 0)], [], [(0, 1, 2, 3)])
    plane = bpy.data.objects.new("Plane", mesh)
    scene.collection.objects.link(plane)
    media(scene, "MULTI_LAYER_IMAGE", "OPEN_EXR_MULTILAYER")
    found = []
    for number in numbers:
        plane.location.z = -float(number)
        path = folder / f"shot_{number:04d}.exr"
        scene.render.filepath = str(path)
        scene.frame_set(number)
        bpy.ops.render.render(write_still=True)
        found.append(path)
    bpy.data.objects.remove(plane)
    bpy.data.meshes.remove(mesh)
    return found


def movie(path: Path, paths: Iterable[Path], sound: Path | None = None) -> Path:
    """A video of these frames, encoded by Blender's own ffmpeg in a scene that goes away again."""
    scene = bpy.data.scenes.new("encode")
    scene.render.fps = 24
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    listed = list(paths)
    strip = strips.new_image("f", str(listed[0]), 1, 1, fit_method="STRETCH")
    for other in listed[1:]:
        strip.elements.append(other.name)
    scene.frame_start, scene.frame_end = 1, len(listed)
    scene.render.resolution_x = scene.render.resolution_y = 32
    scene.view_settings.view_transform = "Standard"
    media(scene, "VIDEO", "FFMPEG")
    scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "MPEG4", "H264"
    scene.render.ffmpeg.constant_rate_factor = "LOSSLESS"
    if sound is not None:
        strips.new_sound("s", str(sound), 2, 1)
        scene.render.ffmpeg.audio_codec = "AAC"
    scene.render.filepath = str(path)
    bpy.ops.render.render(animation=True, scene=scene.name)
    bpy.data.scenes.remove(scene)
    for loaded in list(getattr(bpy.data, "sounds", ())):
        bpy.data.sounds.remove(loaded)
    return path


def tone(path: Path) -> Path:
    """A second of sound."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44100)
        samples = (int(9000 * math.sin(at / 20)) for at in range(44100))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return path


def strips_of(scene: Any) -> list[Any]:
    """The scene's strips, lowest channel first."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    found = editor.strips if hasattr(editor, "strips") else editor.sequences
    return sorted(found, key=lambda strip: (strip.channel, span(strip)))


def span(strip: Any) -> tuple[int, int]:
    """First frame, and the one after the last."""
    if hasattr(strip, "left_handle"):
        return int(strip.left_handle), int(strip.right_handle)
    return int(strip.frame_final_start), int(strip.frame_final_end)


def compositor(scene: Any) -> Any:
    """The scene's compositing tree, or None."""
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return scene.node_tree


def everything() -> dict[str, list[tuple[str, int]]]:
    """Names and users of all data-blocks of the file, but for Blender's own (render, viewer)."""
    kinds = [
        prop.identifier
        for prop in type(bpy.data).bl_rna.properties
        if prop.type == "COLLECTION"
        if prop.identifier not in ("window_managers", "screens", "all_ids")
    ]
    return {
        kind: sorted(
            (item.name, item.users)
            for item in getattr(bpy.data, kind)
            if getattr(item, "source", "") != "VIEWER"
        )
        for kind in kinds
    }
