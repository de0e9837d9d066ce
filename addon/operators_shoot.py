# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of product pictures: one large, in an Image Editor."""

from __future__ import annotations

import os
from typing import Any

import bpy

from ..bridge.jobs import Job
from . import interface, session
from .imports import shoot_facts


class SCENE_COURIER_OT_show_still(bpy.types.Operator):
    """Show this picture large, in an Image Editor"""

    bl_idname = "scene_courier.show_still"
    bl_label = "Show Picture"
    bl_options = {"UNDO"}

    job_id: bpy.props.StringProperty(
        name="Job", description="The job that the picture is of", options={"SKIP_SAVE"}
    )
    path: bpy.props.StringProperty(
        name="Picture",
        description="The file; the job's first still if none is given",
        options={"SKIP_SAVE", "HIDDEN"},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        """Which picture."""
        name = os.path.basename(properties.path)
        return f"Show “{name}” large, in an Image Editor" if name else cls.__doc__ or ""

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Load the picture, unless it is loaded, and show it in the first Image Editor."""
        job = session.current().jobs.get(self.job_id)
        path = self.path or first_still(job)
        if not os.path.isfile(path):
            self.report({"ERROR"}, f"“{path or self.job_id}” is not there any more.")
            return {"CANCELLED"}
        known = set(bpy.data.images)
        try:
            image = bpy.data.images.load(path, check_existing=True)
        except RuntimeError as error:
            self.report({"ERROR"}, f"The picture cannot be read: {error}")
            return {"CANCELLED"}
        if image not in known:
            image.name = title(job, path) or image.name
        space = image_editor(context)
        if space is None:
            self.report({"WARNING"}, f"“{image.name}” is loaded; open an Image Editor to see it.")
        else:
            space.image = image
        self.path = path
        return {"FINISHED"}


def first_still(job: Job | None) -> str:
    """The first still that a job brought; "" without one."""
    stills = [result.path for result in job.results if result.kind == "still"] if job else []
    return stills[0] if stills else ""


def title(job: Job | None, path: str) -> str:
    """What people read: “Chair · Front View”; "" for a file that is none of the job's."""
    stills = shoot_facts.facts_of(job)["stills"] if job else []
    return next((shoot_facts.title(one, 60) for one in stills if one["path"] == path), "")


def image_editor(context: bpy.types.Context) -> Any:
    """An Image Editor's space: one that is open, else one in a new window; None without windows."""
    manager = context.window_manager
    windows = list(manager.windows) if manager is not None else []
    if context.window in windows:
        # What lies before the artist's eyes is better than another window.
        windows.sort(key=lambda window: window != context.window)
    for window in windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR" and area.ui_type == "IMAGE_EDITOR":
                area.tag_redraw()
                return area.spaces.active
    if bpy.app.background or not windows:
        return None
    known = {window.as_pointer() for window in windows}
    with context.temp_override(window=windows[0]):
        bpy.ops.wm.window_new()
    for window in manager.windows:
        if window.as_pointer() not in known:
            area = max(window.screen.areas, key=lambda item: item.width * item.height)
            area.ui_type = "IMAGE_EDITOR"
            return area.spaces.active
    return None


_CLASSES = (SCENE_COURIER_OT_show_still,)


def register() -> None:
    """Register the operators."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take the operators back."""
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
