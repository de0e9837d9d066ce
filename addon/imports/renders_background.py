# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames behind (or in front of) the view through the camera that rendered them.

One more background image on that camera; those that it has stay as they are. Only the viewport
shows it: it is never rendered.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import bpy

from ...bridge.problems import Category, ProblemError
from .bringing import Bringing
from .renders_image import image_of, set_user


def add(bring: Bringing, *, alpha: float, front: bool) -> None:
    """A background image with the first sequence. Raises ProblemError(INPUT) without a camera."""
    camera = camera_of(bring)
    item = bring.shown[0]
    background = put(bring, camera, image_of(bring, item), item.part, alpha=alpha, front=front)
    set_user(background.image_user, item.sequence)


def put(
    bring: Bringing, camera: Any, image: bpy.types.Image, part: str, *, alpha: float, front: bool
) -> Any:
    """Show the image behind a camera's view: one more background, or in an earlier one's place."""
    data: Any = camera.data
    background = _earlier(bring, data, part) if bring.replace else None
    if background is None:
        background = data.background_images.new()
        bring.undo(lambda: data.background_images.remove(background))
        background.alpha = min(1.0, max(0.0, alpha))
        background.display_depth = "FRONT" if front else "BACK"
        background.frame_method = "FIT"
        background.show_expanded = False
    background.image = image
    if not data.show_background_images:
        data.show_background_images = True
        bring.undo(lambda: setattr(data, "show_background_images", False))
    bring.report.cameras.append(camera.name)
    return background


def camera_of(bring: Bringing) -> bpy.types.Object:
    """The job's camera in this scene, else the scene's own. ProblemError(INPUT) without one."""
    name = bring.facts.get("camera")
    camera = bring.scene.objects.get(str(name)) if name else None
    if camera is None or camera.type != "CAMERA":
        camera = bring.scene.camera
        if camera is not None and name:
            bring.report.note(
                f"The camera “{name}” is not in this scene: the frames are behind “{camera.name}”."
            )
    if camera is None or camera.type != "CAMERA":
        raise ProblemError(
            Category.INPUT,
            "There is no camera to put the pictures behind.",
            "Add a camera to this scene, or import in another way.",
        )
    if camera.data.library is not None:
        raise ProblemError(
            Category.INPUT,
            f"The camera “{camera.name}” comes from another file.",
            "Make it local, or import in another way.",
        )
    return camera


def _earlier(bring: Bringing, data: Any, part: str) -> Any:
    """The background image of an earlier import; it keeps its settings."""
    for background in data.background_images:
        image = background.image
        if image is not None and bring.is_earlier(image, part):
            bring.undo(partial(setattr, background, "image", image))
            return background
    return None
