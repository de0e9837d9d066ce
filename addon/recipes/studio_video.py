# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames become a video, by the open Blender's own sequencer and ffmpeg: H.264 or ProRes.

Unlike recipe ``make_video`` this works in the scene file that is open and always has the size that
was asked for: smaller frames are enlarged.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import pictures, render_settings
from bridge.problems import Category, ProblemError

#: videoQuality -> (container, codec, constant rate factor, speed of encoding, ending)
_WAYS = {
    0: ("MPEG4", "H264", "MEDIUM", "REALTIME", ".mp4"),
    1: ("MPEG4", "H264", "HIGH", "GOOD", ".mp4"),
    2: ("QUICKTIME", "PRORES", None, None, ".mov"),
}


def file_type(quality: int) -> str:
    """The kind of file of a ``videoQuality``, as Glossi names it."""
    return "PRORES" if quality == 2 else "MP4"


def ending(quality: int) -> str:
    """The ending of its file's name."""
    return _WAYS[quality][4]


def require(quality: int) -> None:
    """Raises ProblemError(BLENDER) with the reason when this Blender cannot write such a video."""
    version = ".".join(map(str, bpy.app.version))
    if not bpy.app.build_options.codec_ffmpeg:
        raise _cannot(f"Blender {version} here was built without ffmpeg, so it makes no videos.")
    container, codec = _WAYS[quality][:2]
    scene: Any = bpy.data.scenes.new("video")
    try:
        render_settings.set_format(scene.render.image_settings, "FFMPEG")
        scene.render.ffmpeg.format = container
        scene.render.ffmpeg.codec = codec
    except (TypeError, ProblemError):
        name = "ProRes" if codec == "PRORES" else "H.264"
        raise _cannot(f"Blender {version} here cannot write {name} videos.") from None
    finally:
        bpy.data.scenes.remove(scene)


def _cannot(sentence: str) -> ProblemError:
    return ProblemError(
        Category.BLENDER,
        sentence,
        "Choose another video quality, or stills only.",
    )


def write(
    frames: list[Path], target: Path, *, width: int, height: int, fps: int, quality: int
) -> None:
    """Write ``frames``, one after the other, as a video of exactly ``width`` x ``height`` pixels.

    Raises ProblemError(BLENDER).
    """
    scene: Any = bpy.data.scenes.new("video")
    window = bpy.context.window
    before = window.scene if window is not None else None
    folder = frames[0].parent
    try:
        _sequence(scene, frames, width, height, fps)
        _settings(scene.render, quality)
        scene.render.filepath = str(folder / "video").replace("{", "{{").replace("}", "}}")
        if window is not None:
            window.scene = scene
        try:
            bpy.ops.render.render(animation=True, scene=scene.name)
        except RuntimeError as error:
            raise _failed(str(error)) from None
        made = [path for path in folder.glob("video*") if path.stat().st_size]
        if not made:
            raise _failed("no file")
        os.replace(made[0], target)
    finally:
        if window is not None and before is not None:
            window.scene = before
        bpy.data.scenes.remove(scene)


def _sequence(scene: Any, frames: list[Path], width: int, height: int, fps: int) -> None:
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_image(
        name="frames", filepath=str(frames[0]), channel=1, frame_start=1, fit_method="STRETCH"
    )
    for frame in frames[1:]:
        strip.elements.append(frame.name)
    render = scene.render
    render.resolution_x, render.resolution_y = width, height
    render.resolution_percentage = 100
    render_settings.set_fps(scene, fps)
    scene.frame_start, scene.frame_end = 1, len(frames)
    # The strip was fitted to the scene's size of that moment.
    first = strip.elements[0]
    strip.transform.scale_x = width / (first.orig_width or width)
    strip.transform.scale_y = height / (first.orig_height or height)
    pictures.show(scene, None)


def _settings(render: Any, quality: int) -> None:
    container, codec, rate, speed, _ = _WAYS[quality]
    render_settings.set_format(render.image_settings, "FFMPEG")
    render.image_settings.color_mode = "RGB"
    ffmpeg = render.ffmpeg
    ffmpeg.format, ffmpeg.codec, ffmpeg.audio_codec = container, codec, "NONE"
    if rate is not None:
        ffmpeg.constant_rate_factor, ffmpeg.ffmpeg_preset = rate, speed
        ffmpeg.gopsize = 12
    elif hasattr(ffmpeg, "ffmpeg_prores_profile"):
        ffmpeg.ffmpeg_prores_profile = "422_HQ"
    render.use_file_extension = True


def _failed(technical: str) -> ProblemError:
    return ProblemError(
        Category.BLENDER,
        "The video could not be made.",
        "Send the product again, or ask for stills only.",
        technical.strip()[-300:],
    )
