# SPDX-License-Identifier: GPL-3.0-or-later
"""What pressing Render would do: which scene, cameras and frames; or why it cannot.

The panel words its buttons by it and the operator sends it, so that both mean the same. Only reads,
and is cheap enough for drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import bpy

from ..bridge import frames
from ..bridge.frames import FrameRanges
from ..bridge.problems import Category, Problem, ProblemError
from . import properties_renderjuice, render_values


@dataclass(frozen=True)
class Plan:
    """What would be rendered.

    ``facts`` are what the scene says itself (empty when it is gone). ``cameras`` is empty where
    the scene's own camera is used. ``frames`` is None while they cannot be told. ``about`` is the
    setting that ``problem`` is about: "scene", "view_layer", "camera", "frames" or "output".
    """

    facts: dict[str, Any] = field(default_factory=dict)
    cameras: tuple[str, ...] = ()
    frames: FrameRanges | None = None
    problem: Problem | None = None
    about: str = ""

    @property
    def jobs(self) -> int:
        """How many jobs it makes: one for each camera."""
        return max(1, len(self.cameras))

    @property
    def count(self) -> int:
        """Frames of each job."""
        return self.frames.count if self.frames is not None else 0

    @property
    def tests(self) -> FrameRanges:
        """The frames of a test: first, middle, last."""
        return self.frames.first_middle_last() if self.frames is not None else FrameRanges()


def plan(
    context: bpy.types.Context,
    settings: Any,
    *,
    text: str = "",
    cameras: Sequence[str] = (),
) -> Plan:
    """The plan by a scene's settings (its ``renderjuice`` group).

    A script may give other frames (``text``) or cameras.
    """
    scene = properties_renderjuice.target_scene(settings)
    if scene is None:
        gone = f"There is no scene “{settings.scene}” in this file."
        return _not(Plan(), "scene", gone, "Choose another scene.")
    facts = properties_renderjuice.facts_of(context, settings)
    made = Plan(facts)
    text = text or settings.frames
    try:
        ranges = frames.parse(text) if text.strip() else _scene_frames(scene)
        made = replace(made, frames=ranges)
    except ProblemError as error:
        made = replace(made, problem=error.problem, about="frames")
    layers = [layer["name"] for layer in facts["view_layers"]]
    if settings.view_layer and settings.view_layer not in layers:
        gone = f"The scene has no view layer “{settings.view_layer}”."
        made = _not(made, "view_layer", gone, "Choose another view layer.")
    made = _with_cameras(made, settings, cameras)
    wrong = render_values.misfit(settings, facts)
    return _not(made, "output", wrong, "Change it under Output.") if wrong else made


def _with_cameras(made: Plan, settings: Any, given: Sequence[str]) -> Plan:
    """The cameras that were given, else chosen; else the scene must have one."""
    facts = made.facts
    names = list(given)
    if not names and settings.camera_choice == "chosen":
        names = [item.name for item in settings.cameras]
        if not names:
            hint = "Tick at least one camera, or use the active one."
            return _not(made, "camera", "No camera is chosen.", hint)
    known = set(facts["cameras"])
    for name in names:
        if name not in known:
            gone = f"The scene has no camera “{name}”."
            return _not(made, "camera", gone, "Take it off the list of cameras.")
    if not names and not (facts["camera"] or facts["markers"] or facts["sequencer"]):
        hint = "Add a camera, or make one the scene's camera."
        return _not(made, "camera", "The scene has no active camera.", hint)
    return replace(made, cameras=tuple(dict.fromkeys(names)))


def _not(made: Plan, name: str, sentence: str, hint: str) -> Plan:
    if made.problem is not None:
        # What was found first is said first.
        return made
    return replace(made, problem=Problem(Category.INPUT, sentence, hint), about=name)


def _scene_frames(scene: bpy.types.Scene) -> FrameRanges:
    return frames.from_scene(scene.frame_start, scene.frame_end, scene.frame_step)


# -- in words ------------------------------------------------------------------------------------


def counted(count: int, word: str = "Frame") -> str:
    """1 -> "1 Frame", 1200 -> "1,200 Frames"."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def button(made: Plan, where: str) -> str:
    """What the large button says; ``where`` is "on Renderjuice" or "in the Sandbox"."""
    if made.frames is None:
        return f"Render {where}"
    if made.jobs > 1:
        return f"Render {counted(made.count)} × {made.jobs} Cameras"
    return f"Render {counted(made.count)} {where}"


def test_button(made: Plan) -> str:
    """What the smaller button says: the test frames of all cameras."""
    count = made.tests.count * made.jobs
    return counted(count, "Test Frame") if count else "Test Frames"
