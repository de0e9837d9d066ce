# SPDX-License-Identifier: GPL-3.0-or-later
"""How a render looks among the jobs: what the check found, what the farm found, its frames.

Only draws. Everything shown is in the ``Job`` that the pump has read.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..bridge.jobs import Job, State
from ..bridge.paths import readable_bytes
from ..bridge.words import gpu_text
from . import fixing, interface, render_plan
from .imports import render_facts

#: so many findings and facts are shown
MOST_FINDINGS, MOST_FACTS = 12, 16
_ICONS = {"blocking": "CANCEL", "warning": "ERROR", "info": "INFO"}


def draw_reports(context: bpy.types.Context, layout: Any, job: Job) -> None:
    """The reports that a person decides by stand open, the others are folded."""
    if job.state is State.DONE and job.options.get("check_only"):
        opened = True
    else:
        opened = job.blocked or job.state is State.AWAITING_APPROVAL
    _draw_preflight(context, layout, job, opened=opened)
    _draw_analysis(context, layout, job, opened=opened)


def list_name(job: Job) -> str:
    """The job's name, and whether it is less than a whole render."""
    if job.options.get("check_only"):
        return f"{job.name} (check)"
    return f"{job.name} (test)" if job.options.get("test_frames") else job.name


def minutes_so_far(job: Job) -> str:
    """GPU minutes while it renders; "" while there are none."""
    minutes = job.report.get("gpu_minutes")
    return f"{gpu_text(minutes)} so far" if minutes else ""


def draw_frames(context: bpy.types.Context, layout: Any, job: Job) -> None:
    """How many frames came back, and which did not."""
    told = job.report.get("frames") or {}
    count, arrived = told.get("count"), told.get("arrived")
    if not count or arrived is None:
        return
    text = f"{arrived:,} of {count:,} frames came back"
    missing = str(told.get("missing") or "")
    if not missing:
        interface.wrapped(context, layout, text, icon="BLANK1", indent=62)
        return
    part = layout.column()
    part.alert = True
    shown = missing if len(missing) <= 120 else missing[:119] + "…"
    interface.wrapped(context, part, f"{text}. Missing: {shown}", icon="ERROR", indent=62)


# -- what the check of the scene found -----------------------------------------------------------


def _draw_preflight(context: bpy.types.Context, layout: Any, job: Job, *, opened: bool) -> None:
    report = job.report.get("preflight")
    if not isinstance(report, dict):
        return
    found = fixing.findings(job)
    # Notes alone need nobody's attention before a yes.
    serious = any(finding.get("severity") != "info" for _index, finding in found)
    opened = opened and (serious or job.state is not State.AWAITING_APPROVAL)
    body = _fold(layout, "check", f"Scene Check: {_verdict(found)}", opened)
    if body is None:
        return
    for line in summary(report):
        interface.wrapped(context, body, line, icon="BLANK1", indent=62)
    for index, finding in found[:MOST_FINDINGS]:
        button = fixing.button(finding)
        part = _draw_finding(context, body, finding)
        if button is not None:
            row = part.row()
            row.label(text="", icon="BLANK1")
            text, icon = button
            fix = row.operator("scene_courier.fix_finding", text=text, icon=icon)
            fix.job_id, fix.index = job.id, index
    _draw_rest(context, body, len(found) - MOST_FINDINGS, "all are in the job's folder")


def _fold(layout: Any, name: str, title: str, opened: bool) -> Any:
    # A fold remembers how it was left; the two kinds must not share that.
    header, body = layout.panel(
        f"scene_courier_{name}_{'open' if opened else 'folded'}", default_closed=not opened
    )
    header.label(text=title)
    return body


def _verdict(found: list[tuple[int, dict[str, Any]]]) -> str:
    """ "2 problems, 1 warning", "nothing found"."""
    count = dict.fromkeys(_ICONS, 0)
    for _index, finding in found:
        count[str(finding.get("severity"))] = count.get(str(finding.get("severity")), 0) + 1
    parts = [
        f"{count[severity]} {word}{'' if count[severity] == 1 else 's'}"
        for severity, word in (("blocking", "problem"), ("warning", "warning"), ("info", "note"))
        if count[severity]
    ]
    return ", ".join(parts[:2]) or "nothing found"


def summary(report: dict[str, Any]) -> list[str]:
    """What will be rendered and how large it is, a line or two."""
    frames = (report.get("frames") or {}).get("count")
    size, percentage = report.get("resolution") or [], report.get("percentage") or 100
    parts = [f"{frames:,} frame{'' if frames == 1 else 's'}"] if frames else []
    if len(size) == 2:
        parts.append("{} × {}".format(*(side * percentage // 100 for side in size)))
    engine = str(report.get("engine") or "")
    parts.append({"CYCLES": "Cycles", "BLENDER_WORKBENCH": "Workbench"}.get(engine, "EEVEE"))
    if report.get("samples"):
        parts.append(f"{report['samples']} samples")
    if report.get("camera"):
        parts.append(f"camera “{report['camera']}”")
    package = report.get("package") or {}
    lines = [", ".join(parts)]
    if package.get("bytes"):
        files = package.get("files") or 1
        kind = {"blend": "packed .blend", "zip": ".zip"}.get(str(package.get("mode")), "file")
        among = f" of {files:,} files" if files > 1 else ""
        lines.append(f"Package: {readable_bytes(package['bytes'])}, a {kind}{among}")
    return lines


def _draw_finding(context: bpy.types.Context, layout: Any, finding: dict[str, Any]) -> Any:
    """Sentence and hint; red only where it blocks, and never by colour alone."""
    severity = str(finding.get("severity") or "info")
    box = layout.box()
    part = box.column()
    part.alert = severity == "blocking"
    icon = _ICONS.get(severity, "INFO")
    interface.wrapped(context, part, str(finding.get("sentence") or ""), icon=icon)
    if finding.get("hint"):
        interface.wrapped(context, box, str(finding["hint"]), icon="BLANK1")
    return box


def _draw_rest(context: bpy.types.Context, layout: Any, more: int, where: str) -> None:
    if more > 0:
        interface.wrapped(context, layout, f"and {more} more; {where}", icon="BLANK1", indent=62)


# -- what the farm's validation found -------------------------------------------------------------


def _draw_analysis(context: bpy.types.Context, layout: Any, job: Job, *, opened: bool) -> None:
    found = (job.report.get("analysis") or {}).get("findings") or []
    if not found:
        return
    who = "the Sandbox" if job.sandboxed else "Renderjuice"
    title = f"Found by {who}: {_verdict(list(enumerate(found)))}"
    body = _fold(layout, "analysis", title, opened)
    if body is None:
        return
    for finding in found[:MOST_FINDINGS]:
        _draw_finding(context, body, finding)
    _draw_rest(context, body, len(found) - MOST_FINDINGS, "all are in the job's folder")


def facts(job: Job) -> list[tuple[str, str]]:
    """What the farm's validation saw, as (label, value) rows."""
    told = (job.report.get("analysis") or {}).get("facts") or []
    rows = [(str(label), str(value)) for label, value in told[:MOST_FACTS]]
    if len(told) > MOST_FACTS:
        rows.append((f"and {len(told) - MOST_FACTS} more facts", ""))
    return rows


# -- what can be done ----------------------------------------------------------------------------


def draw_main_button(layout: Any, job: Job) -> bool:
    """The likeliest thing to do with a render, if it is none that all jobs have."""
    if job.state is State.AWAITING_APPROVAL and job.price is None:
        button = layout.operator(
            "scene_courier.approve_job", text=_start_text(job), icon="RENDER_ANIMATION"
        )
        button.job_id, button.credits = job.id, -1.0
        return True
    if job.blocked:
        button = layout.operator("scene_courier.override_job", icon="ERROR")
        button.job_id = job.id
        return True
    if job.state is State.DONE and job.options.get("check_only"):
        _again(layout, job, "", "Send and Render", "RENDER_ANIMATION")
        return True
    if job.state.terminal and render_facts.has_frames(job):
        text = "Import" if job.imported_at is None else "Import Again"
        button = layout.operator("scene_courier.import_job", text=text, icon="IMPORT")
        button.job_id = job.id
        return True
    return False


def draw_more_buttons(layout: Any, job: Job) -> None:
    """Other ways to import, and further frames of what was sent."""
    if not job.state.terminal:
        return
    if render_facts.has_frames(job):
        menu = layout.operator_menu_enum(
            "scene_courier.import_job", "ways", text="Import As", icon="IMPORT"
        )
        menu.job_id = job.id
    if job.input_kind == "remote":
        return
    if (job.report.get("frames") or {}).get("missing"):
        _again(layout, job, "missing", "Render Missing Frames", "RENDER_STILL")
    if job.state is State.DONE and job.options.get("test_frames"):
        _again(layout, job, "", _all_text(job), "RENDER_ANIMATION")


def _again(layout: Any, job: Job, frames: str, text: str, icon: str) -> None:
    button = layout.operator("scene_courier.render_again", text=text, icon=icon)
    button.job_id, button.frames = job.id, frames


def _start_text(job: Job) -> str:
    count = _count(job)
    if not count:
        return "Start Rendering"
    word = "Frame"
    if job.options.get("test_frames"):
        count, word = min(count, 3), "Test Frame"
    return f"Start Rendering {render_plan.counted(count, word)}"


def _all_text(job: Job) -> str:
    count = _count(job)
    return f"Render All {render_plan.counted(count)}" if count else "Render All Frames"


def _count(job: Job) -> int:
    return int(((job.report.get("preflight") or {}).get("frames") or {}).get("count") or 0)
