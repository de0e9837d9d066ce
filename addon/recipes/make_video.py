# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: frames in, one .mp4 (H.264) out, by Blender's own sequencer and ffmpeg.

    {"frames": [{"frame": 1, "path": absolute path}, …], "output": path.mp4, "fps": number,
     "color": what ``render_scene`` told, or absent}
    ->  {"available": true, "path", "bytes", "width", "height", "frames": n, "fps": number}
    ->  {"available": false, "why": one sentence}    (this Blender cannot; nothing was written)

A frame that is missing in between is shown by the one before it, so that time stays right. Frames
with linear light (OpenEXR, Radiance) get the scene's view transform. The frames are only read.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import pictures, render_settings
from bridge.problems import Category, ProblemError

Progress = Callable[..., None]


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Make the video; see the module's text. Raises ProblemError: INPUT, BLENDER."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    why = _unavailable()
    if why:
        return {"available": False, "why": why}
    frames = {int(entry["frame"]): Path(entry["path"]) for entry in params["frames"]}
    if not frames:
        raise ProblemError(Category.INPUT, "There are no frames for a video.")
    target = Path(params["output"])
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".video-") as folder:
        plain = _developed(frames, Path(folder), params.get("color"), progress)
        width, height = pictures.size(plain[min(plain)])
        scene = _sequence(plain, width, height, float(params["fps"]))
        progress(0.5, "Writing the video")
        made = _write(scene, Path(folder))
        os.replace(made, target)
    return {
        "available": True,
        "path": str(target),
        "bytes": target.stat().st_size,
        "width": scene.render.resolution_x,
        "height": scene.render.resolution_y,
        "frames": scene.frame_end - scene.frame_start + 1,
        "fps": render_settings.fps(scene),
    }


def _unavailable() -> str:
    """Why this Blender makes no video; "" when it does."""
    if not bpy.app.build_options.codec_ffmpeg:
        return "This Blender was built without ffmpeg, so it makes no video."
    scene: Any = bpy.context.scene
    try:
        render_settings.set_format(scene.render.image_settings, "FFMPEG")
        scene.render.ffmpeg.format = "MPEG4"
        scene.render.ffmpeg.codec = "H264"
    except (TypeError, ProblemError):
        return "This Blender's ffmpeg cannot write H.264, so it makes no video."
    return ""


def _developed(
    frames: dict[int, Path], folder: Path, color: dict[str, Any] | None, progress: Progress
) -> dict[int, Path]:
    """Frames that the sequencer may show as they are: linear light becomes PNG."""
    ready = {}
    for number, (frame, path) in enumerate(sorted(frames.items())):
        if path.suffix.lower() in pictures.LINEAR:
            progress(0.5 * number / len(frames), "Preparing the frames")
            ready[frame] = folder / f"{number}.png"
            pictures.develop(path, ready[frame], color)
        else:
            ready[frame] = path
    return ready


def _sequence(frames: dict[int, Path], width: int, height: int, fps: float) -> Any:
    """A scene that shows the frames at their time, frame numbers as rendered."""
    scene: Any = bpy.data.scenes.new("video")
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    first, last = min(frames), max(frames)
    shown = frames[first]
    strip = strips.new_image(
        name="frames", filepath=str(shown), channel=1, frame_start=first, fit_method="ORIGINAL"
    )
    folder = shown.parent
    for frame in range(first + 1, last + 1):
        shown = frames.get(frame, shown)
        # Elements are names in the strip's folder; frames of one job lie in one.
        strip.elements.append(os.path.relpath(shown, folder))
    render = scene.render
    # H.264's color planes need even sides; an odd row or column is cut off.
    render.resolution_x, render.resolution_y = max(2, width // 2 * 2), max(2, height // 2 * 2)
    render.resolution_percentage = 100
    render_settings.set_fps(scene, fps)
    scene.frame_start, scene.frame_end = first, last
    pictures.show(scene, None)
    return scene


def _write(scene: Any, folder: Path) -> Path:
    render = scene.render
    render_settings.set_format(render.image_settings, "FFMPEG")
    render.image_settings.color_mode = "RGB"
    ffmpeg = render.ffmpeg
    ffmpeg.format, ffmpeg.codec, ffmpeg.audio_codec = "MPEG4", "H264", "NONE"
    ffmpeg.constant_rate_factor = "HIGH"
    ffmpeg.ffmpeg_preset = "GOOD"
    render.use_file_extension = True
    render.filepath = str(folder / "video").replace("{", "{{").replace("}", "}}")
    window = bpy.context.window
    if window is not None:
        window.scene = scene
    try:
        bpy.ops.render.render(animation=True, scene=scene.name)
    except RuntimeError as error:
        raise _failed(str(error)) from None
    made = [path for path in folder.glob("video*") if path.stat().st_size]
    if not made:
        raise _failed("no file")
    return made[0]


def _failed(technical: str) -> ProblemError:
    return ProblemError(
        Category.BLENDER,
        "The frames are there, but no video could be made of them.",
        "Make the video from the frames in Blender's Video Sequencer.",
        technical.strip()[-300:],
    )
