# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a .blend as a render farm does: with its windows, so that the scene and the view layer that
were active are active again, and without running its scripts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import versions
from bridge import blend_file
from bridge.problems import Category, ProblemError


def open_scene(path: Path) -> Any:
    """Open the file and return its active scene.

    Raises ProblemError: BLENDER when the file is newer than this Blender, INPUT when it is damaged
    or cannot be read.
    """
    blend_file.require_not_newer(path, bpy.app.version)
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=True, use_scripts=False)
    except RuntimeError as error:
        raise _damaged(path, str(error)) from None
    if tuple(bpy.data.version)[:2] > tuple(bpy.app.version)[:2]:
        raise blend_file.newer(path.name, tuple(bpy.data.version), tuple(bpy.app.version))
    scene = bpy.context.scene
    if scene is None:
        raise _damaged(path, "no scene")
    bpy.context.preferences.edit.use_global_undo = False
    return scene


def _damaged(path: Path, technical: str) -> ProblemError:
    return ProblemError(
        Category.INPUT,
        f"Blender cannot open {path.name}.",
        "Open it in Blender, save it, and send it again.",
        technical.strip()[-300:],
    )


def uses_sequencer(scene: Any) -> bool:
    """Whether the picture comes from the Video Sequencer instead of a camera."""
    editor = scene.sequence_editor
    if not scene.render.use_sequencer or editor is None:
        return False
    return any(strip.type != "SOUND" and not strip.mute for strip in versions.top_strips(editor))


def require_picture(scene: Any) -> None:
    """Raise ProblemError(INPUT) when there is nothing to render: no camera, no strips."""
    if scene.camera is None and not uses_sequencer(scene):
        raise ProblemError(
            Category.INPUT,
            f"The scene {scene.name} has no camera.",
            "Add a camera, or make one active with Ctrl+Numpad 0.",
        )


def ranges(frames: Iterable[int]) -> list[str]:
    """Frames as the fewest ranges: [1, 2, 3, 7] -> ["1-3", "7"]."""
    runs: list[list[int]] = []
    for frame in sorted(set(frames)):
        if runs and frame == runs[-1][1] + 1:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    return [str(first) if first == last else f"{first}-{last}" for first, last in runs]
