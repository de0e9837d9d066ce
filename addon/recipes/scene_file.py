# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a .blend as a render farm does: with its windows, so that the scene and the view layer that
were active are active again, and without running its scripts.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import blocks, versions
from bridge import blend_file
from bridge.problems import Category, ProblemError

# Blender puts EEVEE in the place of an engine that it does not know, and only says so in passing.
_ENGINE = re.compile(r"Engine '([^']*)' not available for scene '([^'\n]*)'")
#: scene -> the engine that it asks for and this Blender has not, of the open file
_strangers: dict[str, str] = {}


def open_scene(path: Path) -> Any:
    """Open the file and return its active scene.

    Raises ProblemError: BLENDER when the file is newer than this Blender, INPUT when it is damaged
    or cannot be read.
    """
    blend_file.require_not_newer(path, bpy.app.version)
    _strangers.clear()
    try:
        with _heard() as said:
            bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=True, use_scripts=False)
    except RuntimeError as error:
        raise _damaged(path, str(error)) from None
    _strangers.update({scene: engine for engine, scene in _ENGINE.findall(said())})
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


@contextlib.contextmanager
def _heard() -> Iterator[Callable[[], str]]:
    """What this process and the libraries in it print meanwhile; it is printed afterwards."""
    text = ""
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        kept = [os.dup(number) for number in (1, 2)]
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        try:
            yield lambda: text
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, before in zip((1, 2), kept, strict=True):
                os.dup2(before, number)
                os.close(before)
            file.seek(0)
            text = file.read().decode("utf-8", "replace")
            print(text, end="", flush=True)


def missing_engine(scene: Any) -> str:
    """The engine that the scene was made for where this Blender does not have it, else ""."""
    return _strangers.get(scene.name, "")


def uses_sequencer(scene: Any) -> bool:
    """Whether the picture comes from the Video Sequencer instead of a camera."""
    editor = scene.sequence_editor
    if not scene.render.use_sequencer or editor is None:
        return False
    return any(strip.type != "SOUND" and not strip.mute for strip in versions.top_strips(editor))


def require_picture(scene: Any) -> None:
    """Raise ProblemError(INPUT) when there is nothing to render: no camera, no strips.

    A scene whose markers alone name cameras gets the one of its first frame.
    """
    if scene.camera is None:
        scene.camera = blocks.camera_of(scene, scene.frame_start)
    if scene.camera is None and not uses_sequencer(scene):
        raise ProblemError(
            Category.INPUT,
            f"The scene {scene.name} has no camera.",
            "Add a camera, or make one active with Ctrl+Numpad 0.",
        )


_SIMULATING = ("CLOTH", "SOFT_BODY", "FLUID", "DYNAMIC_PAINT", "PARTICLE_SYSTEM")


def simulates(scene: Any) -> bool:
    """Whether a frame's picture may depend on the frames before it (no matter whether baked)."""
    if scene.rigidbody_world is not None and scene.rigidbody_world.enabled:
        return True
    return any(
        modifier.type in _SIMULATING
        or (modifier.type == "NODES" and _simulating_group(modifier.node_group, set()))
        for item in scene.objects
        for modifier in item.modifiers
        if modifier.show_render
    )


def _simulating_group(tree: Any, seen: set[Any]) -> bool:
    if tree is None or tree in seen:
        return False
    seen.add(tree)
    return any(
        node.bl_idname == "GeometryNodeSimulationOutput"
        or _simulating_group(getattr(node, "node_tree", None), seen)
        for node in tree.nodes
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
