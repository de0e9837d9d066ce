# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: renders the frames of a .blend, one by one, with the scene's own engine.

    {"input": path of the .blend, "output": folder,
     "config": {...}     names of Renderjuice's ``requestedRenderConfig``; what is absent stays as
                         the scene has it (see ``render_settings``),
     "frames": [1, 2, …] the frames to render, in this order,
     "device": "CPU",
     "preview": path of a small .jpg of the middle frame, or absent}
    ->
    {"frames": [{"frame": 1, "files": [{"path": "frames/shot_0001.png", "view": "", "bytes": n}]}],
     "compositor": [{"path": "compositor/<node>/Image0001.exr", "node": name, "view": "",
                     "bytes": n}],
     "rendered": n, "kept": n (were there before), "seconds": time spent rendering,
     "finalConfig": {...} what was really used, in the same names,
     "color": {...}      how an unmanaged frame is to be shown (for ``make_video``),
     "fps": number, "preview": path | None, "notes": [sentences]}

Paths in the result are relative to ``output``, with slashes. Frames are called as the scene's
output path says, ``<basename>0001.png``; with several views each has a file with its suffix. A
frame whose files are there is not rendered again, so the same call resumes. A file has its final
name only when it is whole: everything is written beside, then renamed, the frame itself last.

Progress: ``progress(fraction, text, extra)``, ``extra`` is
{"frame": n, "begun": true, "done": k, "total": m} before each frame and
{"frame": n, "done": k, "total": m, "seconds": t, "files": [paths]} after it.

Raises ProblemError: INPUT for a scene that cannot be rendered (no camera, an unknown setting),
BLENDER when a frame fails; the sentence names the frame, the frames before it stay.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import pictures, preview_image, render_settings, scene_file
from addon.recipes.render_outputs import Outputs
from bridge.problems import Category, ProblemError

Progress = Callable[..., None]


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Open, change, render, tell; see the module's text."""
    frames = list(dict.fromkeys(int(number) for number in params["frames"]))
    progress(0.0, "Opening the scene")
    scene = scene_file.open_scene(Path(params["input"]))
    config = params.get("config") or {}
    if scene_file.missing_engine(scene) and not config.get("renderEngine"):
        raise render_settings.no_engine(scene_file.missing_engine(scene))
    notes = render_settings.apply(scene, config, str(params.get("device") or "CPU"))
    scene_file.require_picture(scene)
    outputs = Outputs(scene, Path(params["output"]))
    clock, spent = _Clock(scene), 0.0
    try:
        todo = [frame for frame in frames if not outputs.present(frame)]
        kept = len(frames) - len(todo)
        for done, frame in enumerate(todo, kept):
            told: dict[str, Any] = {"frame": frame, "done": done, "total": len(frames)}
            progress(done / len(frames), f"Rendering frame {frame}", {**told, "begun": True})
            begin = time.monotonic()
            clock.go(frame)
            _render(scene, frame, outputs)
            files = [outputs.relative(path) for path in outputs.settle(frame)]
            seconds = time.monotonic() - begin
            spent += seconds
            told.update(done=done + 1, seconds=round(seconds, 3), files=files)
            progress((done + 1) / len(frames), f"Frame {frame} is done", told)
    finally:
        outputs.close()
    color = render_settings.color(scene)
    return {
        "frames": [{"frame": frame, "files": outputs.told(frame)} for frame in frames],
        "compositor": outputs.compositor(),
        "rendered": len(todo),
        "kept": kept,
        "seconds": round(spent, 3),
        "finalConfig": {**render_settings.read(scene), "frameRanges": scene_file.ranges(frames)},
        "color": color,
        "fps": render_settings.fps(scene),
        "preview": _preview(params.get("preview"), frames, outputs, color),
        "notes": notes,
    }


def _render(scene: Any, frame: int, outputs: Outputs) -> None:
    """Render one frame into the staging folder. The scene's own range stays as it is, which
    simulations and drivers may read.
    """
    # From 5.0 on an animation's range can be given, and File Output nodes number their files only
    # in an animation.
    operator: Any = bpy.ops.render.render
    ranged = "frame_start" in operator.get_rna_type().properties
    outputs.aim(frame, still=not ranged)
    order: dict[str, Any] = {"write_still": True}
    if ranged:
        order = {"animation": True, "frame_start": frame, "frame_end": frame}
    try:
        answer = operator(scene=scene.name, **order)
        why = "" if "FINISHED" in answer else f"Blender answered {answer}"
    except RuntimeError as error:
        why = str(error).strip() or "RuntimeError"
    if why:
        raise ProblemError(
            Category.BLENDER,
            f"Frame {frame} could not be rendered.",
            "Render this frame on your own computer; what Blender says there helps to find it.",
            f"frame {frame}: {why[-300:]}",
        )


class _Clock:
    """Moves the scene to a frame as playing it would: what is simulated comes from the frames
    before. It is moved at all because rendering alone does not advance a simulation without a bake.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._simulates = scene_file.simulates(scene)
        self._at: int | None = None

    def go(self, frame: int) -> None:
        first = self._scene.frame_start if self._at is None else self._at + 1
        if self._simulates:
            if self._at is not None and frame < self._at:
                first = self._scene.frame_start
            for number in range(first, frame):
                self._scene.frame_set(number)
        self._scene.frame_set(frame)
        self._at = frame


def _preview(
    path: str | None, frames: list[int], outputs: Outputs, color: dict[str, Any]
) -> str | None:
    """A small picture of the middle frame. A nicety: without one the frames are as good."""
    if not path or not frames:
        return None
    files = outputs.expected(frames[len(frames) // 2])
    try:
        source = next(iter(files.values()))
        pictures.develop(source, Path(path), color, preview_image.LONGEST)
    except (ProblemError, OSError, RuntimeError) as error:
        print(f"no preview: {error}", flush=True)
        return None
    return path
