# SPDX-License-Identifier: GPL-3.0-or-later
"""How a job of product pictures looks among the jobs: its products, its pictures, what is missing.

Only draws. Everything shown is in the ``Job`` that the pump has read; the small pictures are those
that the pump has named.
"""

from __future__ import annotations

import itertools
import os
from typing import Any

import bpy

from ..bridge.jobs import Job, State
from ..bridge.words import renders
from . import interface, shoot_plan
from .imports import shoot_facts, thumbnails

WEB_APP = "https://app.glossi.io"
#: so many products, names and videos are listed
MOST_PRODUCTS, MOST_NAMES = 24, 12
#: a small picture's size, in lines of the interface
_SCALE = 5.0
_STATUS = {
    "left out": ("CANCEL", "Left out"),
    "packed": ("PACKAGE", "Packed"),
    "project ready": ("SCENE_DATA", "Project ready"),
    "rendered": ("CHECKMARK", "Rendered"),
    "failed": ("ERROR", "Failed"),
}
#: of a render job that goes on
_RENDER = {
    "QUEUED": ("SORTTIME", "In line"),
    "RENDERING": ("CAMERA_DATA", "Rendering"),
    "COMPLETED": ("CHECKMARK", "Rendered"),
    "FAILED": ("ERROR", "Failed"),
}
_BAD = ("left out", "failed")
#: the seven counters, as label, done, of how many
_COUNTERS = (
    ("Models uploaded", "modelsUploaded", "modelsTotal"),
    ("Models ready", "modelsReady", "modelsTotal"),
    ("Projects made", "projectsCreated", "projectsTotal"),
    ("Renders done", "rendersComplete", "rendersTotal"),
)


def products(job: Job) -> list[dict[str, Any]]:
    """The rows of the job's table."""
    return [row for row in job.report.get("products") or [] if isinstance(row, dict)]


def row_text(job: Job) -> str:
    """What the list says of an ended job, where not every product worked; "" otherwise."""
    rows = products(job)
    bad = sum(row.get("status") in _BAD for row in rows)
    return f"{len(rows) - bad} of {len(rows)}" if bad and job.state is State.DONE else ""


def facts(job: Job) -> list[str]:
    """A line about the job: its template, and how many pictures came."""
    template = job.report.get("template") or {}
    name = str(template.get("name") or "")
    stills = sum(result.kind == "still" for result in job.results)
    videos = sum(result.kind == "video" for result in job.results)
    came = _pictures(stills, videos)
    if name:
        return [f"{came} with {name}" if came else f"Template: {name}"]
    return [came] if came else []


def _pictures(stills: int, videos: int) -> str:
    parts = [
        f"{count:,} {word}{'' if count == 1 else 's'}"
        for count, word in ((stills, "still"), (videos, "video"))
        if count
    ]
    return ", ".join(parts)


# -- reports -------------------------------------------------------------------------------------


def draw_report(context: bpy.types.Context, layout: Any, job: Job) -> None:
    """The counters while they are told, the products, and what stayed at Glossi."""
    _draw_counters(layout, job)
    _draw_products(context, layout, job)
    _draw_unreachable(context, layout, job)


def _draw_counters(layout: Any, job: Job) -> None:
    counters = job.report.get("counters")
    if job.state.terminal or renders(job) or not isinstance(counters, dict):
        return
    if not any(counters.values()):
        return
    column = layout.column(align=True)
    column.scale_y = 0.85
    for label, done, total in _COUNTERS:
        split = column.split(factor=0.62)
        split.label(text=label)
        split.label(text=f"{counters.get(done) or 0} of {counters.get(total) or 0}")


def _draw_products(context: bpy.types.Context, layout: Any, job: Job) -> None:
    rows = products(job)
    if not rows:
        return
    bad = [row for row in rows if row.get("status") in _BAD]
    header, body = layout.panel("scene_courier_products", default_closed=False)
    title = f"Products ({len(rows)})"
    if bad:
        title = f"Products ({len(rows) - len(bad)} of {len(rows)})"
    header.label(text=title)
    if body is None:
        return
    shown = rows
    if len(rows) > MOST_PRODUCTS:
        # What went wrong must not be among those that are left out.
        shown = (bad + [row for row in rows if row not in bad])[:MOST_PRODUCTS]
    column = body.column(align=True)
    for row in shown:
        _draw_product(context, column, job, row)
    if len(rows) > len(shown):
        text = f"and {len(rows) - len(shown)} more; all are in the job's folder"
        interface.wrapped(context, body, text, icon="BLANK1", indent=62)


def _draw_product(context: bpy.types.Context, layout: Any, job: Job, row: dict[str, Any]) -> None:
    icon, word = _status(job, row)
    split = layout.split(factor=0.55)
    split.label(text=str(row.get("name") or ""), icon=icon)
    right = split.row()
    right.alert = row.get("status") in _BAD
    right.label(text=word)
    if row.get("problem"):
        text = f"{row['problem']} {row.get('hint') or ''}".strip()
        interface.wrapped(context, layout, text, icon="BLANK1", indent=62)


def _status(job: Job, row: dict[str, Any]) -> tuple[str, str]:
    """Icon and word of a product: its render's own status while there is one, else the table's."""
    status = str(row.get("status") or "")
    told = _STATUS.get(status, ("DOT", status.capitalize()))
    if status == "rendered":
        came = _pictures(int(row.get("stills") or 0), int(row.get("videos") or 0))
        return told[0], came or told[1]
    if status == "project ready" and renders(job) and not job.state.terminal:
        project = row.get("project_id")
        for one in job.remote["rows"]:
            if project and isinstance(one, dict) and one.get("project_id") == project:
                return _RENDER.get(str(one.get("status")), told)
    return told


def _draw_unreachable(context: bpy.types.Context, layout: Any, job: Job) -> None:
    """What is rendered and cannot be downloaded: names, and where to find them."""
    names = [str(name) for name in job.report.get("unreachable") or []]
    if not names:
        return
    plural = "" if len(names) == 1 else "s"
    header, body = layout.panel("scene_courier_unreachable", default_closed=False)
    header.label(text=f"Only at Glossi ({len(names)} file{plural})")
    if body is None:
        return
    text = "These are rendered. Glossi does not say where they can be downloaded."
    interface.wrapped(context, body, text, icon="INFO", indent=62)
    listed = ", ".join(names[:MOST_NAMES])
    if len(names) > MOST_NAMES:
        listed += f" and {len(names) - MOST_NAMES} more"
    interface.wrapped(context, body, listed, icon="BLANK1", indent=62)
    if job.sandboxed:
        text = "The sandbox does as Glossi does here; a Render Address under Advanced changes it."
        interface.wrapped(context, body, text, icon="BLANK1", indent=62)
    else:
        body.operator("wm.url_open", text="Open Glossi", icon="URL").url = WEB_APP


# -- the contact sheet ---------------------------------------------------------------------------


def draw_sheet(context: bpy.types.Context, layout: Any, job: Job) -> None:
    """The job's stills as small pictures by product, and its videos by name."""
    pictures = thumbnails.sheet_of(job)
    shown = pictures[: thumbnails.SHEET]
    videos = [result.path for result in job.results if result.kind == "video"]
    if not pictures and not videos:
        return
    header, body = layout.panel("scene_courier_sheet", default_closed=False)
    header.label(text="Pictures")
    if body is None:
        return
    columns = _columns(context)
    for product, group in itertools.groupby(shown, key=lambda one: one["product"]):
        if len(products(job)) > 1:
            body.label(text=product, icon="PACKAGE")
        grid = body.grid_flow(row_major=True, columns=columns, even_columns=True, align=False)
        for picture in group:
            _draw_still(grid, job, picture)
    if len(pictures) > len(shown):
        text = f"and {len(pictures) - len(shown)} more stills in the folder"
        interface.wrapped(context, body, text, icon="BLANK1", indent=62)
    if videos:
        _draw_videos(context, body, job, videos)


def _draw_videos(context: bpy.types.Context, layout: Any, job: Job, videos: list[str]) -> None:
    column = layout.column(align=True)
    for path in videos[:MOST_NAMES]:
        told = (job.report.get("labels") or {}).get(path)
        name = str(told) if told else os.path.splitext(os.path.basename(path))[0]
        column.operator("wm.path_open", text=name, icon="PLAY").filepath = path
    if len(videos) > MOST_NAMES:
        text = f"and {len(videos) - MOST_NAMES} more videos in the folder"
        interface.wrapped(context, layout, text, icon="BLANK1", indent=62)


def _columns(context: bpy.types.Context) -> int:
    """As many small pictures side by side as there is room for."""
    region = context.region
    scale = context.preferences.system.ui_scale or 1.0
    width = (region.width if region is not None else 300) - 45 * scale
    return max(1, int(width // ((_SCALE + 0.8) * 20 * scale)))


def _draw_still(layout: Any, job: Job, picture: dict[str, Any]) -> None:
    cell = layout.column(align=True)
    icon = thumbnails.icon_id(picture["path"])
    if icon:
        cell.template_icon(icon, scale=_SCALE)
    name = " · ".join(part for part in (picture["camera"], picture["variant"]) if part)
    button = cell.operator(
        "scene_courier.show_still", text=name or "Picture", icon="NONE" if icon else "IMAGE_DATA"
    )
    button.job_id, button.path = job.id, picture["path"]


# -- what can be done ----------------------------------------------------------------------------


def draw_main_button(layout: Any, job: Job) -> bool:
    """The likeliest thing to do with such a job, if it is none that all jobs have."""
    if job.state is State.AWAITING_APPROVAL and job.price is None:
        good = [row for row in products(job) if row.get("status") not in _BAD]
        text = f"Start Rendering {shoot_plan.counted(len(good))}" if good else "Start Rendering"
        button = layout.operator("scene_courier.approve_job", text=text, icon="CAMERA_DATA")
        button.job_id, button.credits = job.id, -1.0
        return True
    if job.unlikely_size:
        layout.operator(
            "scene_courier.override_job", text="Send at This Size", icon="EXPORT"
        ).job_id = job.id
        return True
    if job.state is State.FAILED and retryable(job):
        _retry(layout, job)
        return True
    return False


def draw_more_buttons(layout: Any, job: Job) -> None:
    """Other ways to import; renders that failed among good ones can be started again."""
    if job.state.terminal and shoot_facts.has_pictures(job):
        menu = layout.operator_menu_enum(
            "scene_courier.import_job", "ways", text="Import As", icon="IMPORT"
        )
        menu.job_id = job.id
    if job.state is State.DONE and retryable(job):
        _retry(layout, job)


def retryable(job: Job) -> bool:
    """Whether a retry would start failed renders again, and nothing else."""
    return bool(job.report.get("retry_steps"))


def _retry(layout: Any, job: Job) -> None:
    count = sum(
        row.get("status") == "failed" and bool(row.get("render_job")) for row in products(job)
    )
    text = (
        f"Retry {shoot_plan.counted(count, 'Failed Render')}" if count else "Retry Failed Renders"
    )
    layout.operator("scene_courier.retry_job", text=text, icon="FILE_REFRESH").job_id = job.id
