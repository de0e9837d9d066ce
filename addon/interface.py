# SPDX-License-Identifier: GPL-3.0-or-later
"""Small things that panels and operators share: redraws, wrapped text, icons, reports."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import blf
import bpy

from ..bridge.jobs import Job, State
from ..bridge.problems import Category, Problem

#: what an operator answers
Answer = set[Literal["RUNNING_MODAL", "CANCELLED", "FINISHED", "PASS_THROUGH", "INTERFACE"]]

STATE_ICONS = {
    State.QUEUED: "SORTTIME",
    State.PACKAGING: "PACKAGE",
    State.UPLOADING: "EXPORT",
    State.SUBMITTING: "EXPORT",
    State.IN_DOUBT: "QUESTION",
    State.AWAITING_APPROVAL: "USER",
    State.REMOTE: "PHYSICS",
    State.DOWNLOADING: "IMPORT",
    State.WAITING: "TIME",
    State.DONE: "CHECKMARK",
    State.FAILED: "ERROR",
    State.CANCELED: "X",
}
_REMOTE_ICONS = {"renderjuice": "RENDER_ANIMATION", "glossi": "CAMERA_DATA"}
_FONT = 0
#: a value with more characters does not fit beside its label
_LONG_VALUE = 20


def state_icon(job: Job) -> str:
    """The icon of a job's state; a result that is in the scene has its own."""
    if job.state is State.DONE and job.imported_at is not None:
        return "OUTLINER_COLLECTION"
    if job.state is State.REMOTE:
        return _REMOTE_ICONS.get(job.service, STATE_ICONS[job.state])
    return STATE_ICONS[job.state]


def redraw(context: bpy.types.Context | None = None) -> None:
    """Have the sidebars (and open preferences) drawn again."""
    manager = (context or bpy.context).window_manager
    if manager is None:
        return
    for window in manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()
            elif area.type == "PREFERENCES":
                area.tag_redraw()


def wrapped(
    context: bpy.types.Context, layout: Any, text: str, *, icon: str = "NONE", indent: int = 84
) -> None:
    """Labels that show all of ``text``, broken to the width of the region.

    ``indent`` is what boxes and margins take (pixels at 100 % interface scale).
    """
    scale = context.preferences.system.ui_scale
    region = context.region
    width = (region.width if region is not None else 300) - indent * scale
    if icon != "NONE":
        width -= 28 * scale
    column = layout.column(align=True)
    column.scale_y = 0.85
    for number, line in enumerate(break_lines(text, int(width), int(11 * scale))):
        if icon == "NONE":
            column.label(text=line)
        else:
            column.label(text=line, icon=icon if number == 0 else "BLANK1")


def fits(context: bpy.types.Context, text: str, *, indent: int) -> bool:
    """Whether a text is shown whole in one line of the region; ``indent`` as in ``wrapped``."""
    scale = context.preferences.system.ui_scale or 1.0
    region = context.region
    width = (region.width if region is not None else 300) - indent * scale
    return len(break_lines(text, int(width), int(11 * scale))) == 1


@lru_cache(maxsize=256)
def break_lines(text: str, width: int, size: int) -> tuple[str, ...]:
    """Break ``text`` into lines of at most ``width`` pixels in the interface font of ``size``.

    A word that is too long by itself (a path) is cut into pieces.
    """
    blf.size(_FONT, size)
    width = max(width, 60)

    def fits(line: str) -> bool:
        return blf.dimensions(_FONT, line)[0] <= width

    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if fits(longer):
                line = longer
                continue
            if line:
                lines.append(line)
            line = word
            while not fits(line) and len(line) > 1:
                cut = len(line) - 1
                while cut > 1 and not fits(line[:cut]):
                    cut -= 1
                lines.append(line[:cut])
                line = line[cut:]
        lines.append(line)
    return tuple(lines)


def fact(context: bpy.types.Context, layout: Any, label: str, value: str) -> None:
    """Label and value side by side; a long value gets lines of its own."""
    row = layout.row()
    row.scale_y = 0.85
    if not value or len(value) > _LONG_VALUE:
        row.label(text=label)
        if value:
            wrapped(context, layout, value, icon="BLANK1", indent=62)
        return
    split = row.split(factor=0.45)
    split.label(text=label)
    split.label(text=value)


def draw_problem(context: bpy.types.Context, layout: Any, problem: Problem) -> Any:
    """A box with the sentence and what to do; returns the box for buttons."""
    box = layout.box()
    icon = "INFO" if problem.category is Category.CANCELED else "ERROR"
    wrapped(context, box, problem.sentence, icon=icon)
    if problem.hint:
        wrapped(context, box, problem.hint, icon="BLANK1")
    return box


def report_problem(operator: bpy.types.Operator, problem: Problem) -> None:
    """Tell the person through Blender's own report."""
    text = f"{problem.sentence} {problem.hint}".strip()
    operator.report({"ERROR"}, text)


def reveal(operator: bpy.types.Operator, folder: Path) -> Answer:
    """Open a folder in the system's file browser; the operator's answer."""
    if not folder.is_dir():
        operator.report({"ERROR"}, f"The folder “{folder}” is not there.")
        return {"CANCELLED"}
    try:
        bpy.ops.wm.path_open(filepath=str(folder))
    except RuntimeError as error:
        operator.report({"ERROR"}, f"“{folder}” cannot be shown: {error}")
        return {"CANCELLED"}
    return {"FINISHED"}
