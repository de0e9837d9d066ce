# SPDX-License-Identifier: GPL-3.0-or-later
"""How one job looks in the panel: a row of the list, and its details with what can be done.

Only draws. Everything shown is in the ``Job`` that the pump has read.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import bpy

from ..bridge.jobs import Job, State
from ..bridge.problems import Category
from ..bridge.words import agreement, cost_line, credits_text, progress_text, state_label
from . import interface, job_render_view, job_shoot_view, session
from .imports import render_facts, shoot_facts, thumbnails

#: a tree of what the service said is cut here: rows, depth, characters of a value
TREE_ROWS, TREE_DEPTH, TREE_TEXT = 40, 5, 200
#: a picture in place of the state's icon says no less here
_PICTURED = (State.DONE, State.REMOTE, State.DOWNLOADING)
_MOVING = (State.PACKAGING, State.UPLOADING, State.REMOTE, State.DOWNLOADING)


#: the sidebar is narrow: where a state's own words are long, the list says less than the details
_SHORT = {
    State.SUBMITTING: "Sending",
    State.AWAITING_APPROVAL: "Approve?",
    State.WAITING: "Waiting",
}


def draw_row(layout: Any, job: Job) -> None:
    """A row of the list: icon, name, and the state or how far it is."""
    split = layout.split(factor=0.64)
    name = job_render_view.list_name(job)
    picture = thumbnails.icon_id(job.id)
    if picture and job.state in _PICTURED:
        split.label(text=name, icon_value=picture)
    else:
        split.label(text=name, icon=interface.state_icon(job))
    fraction = job.fraction if job.state in _MOVING else None
    if fraction is not None and not job.cancel_requested:
        split.progress(factor=fraction, text=f"{100 * fraction:.0f} %")
        return
    text = state_label(job) if job.cancel_requested else _SHORT.get(job.state, state_label(job))
    if text == "Preparing the models":
        text = "Preparing"
    if job.state is State.AWAITING_APPROVAL and job.price is None:
        text = "Start?"
    elif job.state is State.DONE and (partly := job_shoot_view.row_text(job)):
        text = partly
    elif job.state is State.DONE and job.imported_at is not None:
        text = "Imported"
    right = split.row()
    right.alert = job.state in (State.FAILED, State.IN_DOUBT)
    right.label(text=text)


def draw_job(context: bpy.types.Context, layout: Any, now: session.Session, job: Job) -> None:
    """The picked job: where it stands, what is wrong, what can be done, and all the rest folded."""
    _draw_state(context, layout, job)
    _draw_problems(context, layout, now, job)
    # What a person decides by comes before the button.
    first = job.blocked or not job.state.terminal
    if first:
        job_render_view.draw_reports(context, layout, job)
    shoot = shoot_facts.is_shoot(job)
    if shoot and not job.state.terminal:
        job_shoot_view.draw_report(context, layout, job)
    _draw_buttons(layout, job)
    if not first:
        job_render_view.draw_reports(context, layout, job)
    if shoot and job.state.terminal:
        job_shoot_view.draw_sheet(context, layout, job)
        job_shoot_view.draw_report(context, layout, job)
    if job.notes:
        header, body = layout.panel("scene_courier_notes", default_closed=False)
        header.label(text=f"Worth Knowing ({len(job.notes)})")
        if body is not None:
            for note in job.notes[:12]:
                interface.wrapped(context, body, note, icon="DOT")
    header, body = layout.panel("scene_courier_details", default_closed=True)
    header.label(text="Details")
    if body is not None:
        _draw_details(context, body, job)


def _draw_state(context: bpy.types.Context, layout: Any, job: Job) -> None:
    account = "sandbox" if job.sandboxed else "my account"
    interface.wrapped(context, layout, job.name, icon=interface.state_icon(job), indent=62)
    facts = [f"{job.service.capitalize()}, {account}, {_when(job)}"]
    if job.state is State.DONE:
        said = "Imported into the scene" if job.imported_at is not None else "Done"
        if job.options.get("check_only"):
            said = "Checked; nothing was sent"
        cost = cost_line(job)
        facts.append(f"{said}; {cost}" if cost else said)
    elif job.state is State.FAILED or render_facts.is_render(job):
        used = cost_line(job) if job.state.terminal else job_render_view.minutes_so_far(job)
        facts += [used] if used else []
    shoot = shoot_facts.is_shoot(job)
    facts += job_shoot_view.facts(job) if shoot else []
    for fact in facts:
        interface.wrapped(context, layout, fact, icon="BLANK1", indent=62)
    picture = 0 if shoot else thumbnails.icon_id(job.id)
    if picture:
        layout.template_icon(picture, scale=6.0)
    if job.state.terminal:
        job_render_view.draw_frames(context, layout, job)
        return
    label = state_label(job)
    told = "" if job.state in (State.WAITING, State.QUEUED) else job.state_text
    if job.state is State.AWAITING_APPROVAL:
        nothing = "sent" if job.price is not None else "rendered"
        told = f"{agreement(job)} Nothing is {nothing} before you approve it."
        label = ""
    text = told if told.startswith(label) else ": ".join(part for part in (label, told) if part)
    interface.wrapped(context, layout, text, indent=62)
    fraction = job.fraction
    if fraction is not None and job.state in _MOVING:
        layout.progress(factor=fraction, text=progress_text(job))


def _draw_problems(context: bpy.types.Context, layout: Any, now: session.Session, job: Job) -> None:
    """Why it failed or waits, with the hint; and why an import did not work."""
    if job.blocked:
        text = "The check found what would spoil the render. Nothing was sent."
        interface.wrapped(context, layout, text, icon="ERROR", indent=62)
    elif job.problem is not None and job.problem.category is not Category.CANCELED:
        interface.draw_problem(context, layout, job.problem)
    elif job.problem is not None:
        interface.wrapped(context, layout, f"{job.problem.sentence} {job.problem.hint}", indent=62)
    problem = now.import_problems.get(job.id)
    if problem is not None:
        interface.draw_problem(context, layout, problem)


def _draw_buttons(layout: Any, job: Job) -> None:
    """What can be done to the job now: the likeliest first and largest."""
    column = layout.column(align=True)
    big = column.column(align=True)
    big.scale_y = 1.3
    if job.state is State.AWAITING_APPROVAL and job.price is not None:
        button = big.operator(
            "scene_courier.approve_job", text=f"Approve {credits_text(job.price)}", icon="CHECKMARK"
        )
        button.job_id, button.credits = job.id, job.price
    elif (render_facts.is_render(job) and job_render_view.draw_main_button(big, job)) or (
        shoot_facts.is_shoot(job) and job_shoot_view.draw_main_button(big, job)
    ):
        pass
    elif job.state is State.IN_DOUBT and job.waiting_reason == "person":
        found = big.operator("scene_courier.resolve_job", text="It Is This One…", icon="VIEWZOOM")
        found.job_id, found.decision = job.id, "found"
        again = big.operator("scene_courier.resolve_job", text="Send Again…", icon="EXPORT")
        again.job_id, again.decision = job.id, "again"
        if not shoot_facts.is_shoot(job):
            _button(column, "retry_job", job, "Look in the List Again", "FILE_REFRESH")
    elif session.Session.is_importable(job):
        text = "Import" if job.imported_at is None else "Import Again"
        _button(big, "import_job", job, text, "IMPORT")
    elif job.state in (State.FAILED, State.CANCELED):
        _button(big, "retry_job", job, "Retry", "FILE_REFRESH")
    if render_facts.is_render(job):
        job_render_view.draw_more_buttons(column, job)
    elif shoot_facts.is_shoot(job):
        job_shoot_view.draw_more_buttons(column, job)
    row = column.row(align=True)
    reveal = row.operator("scene_courier.reveal_job", text="Folder", icon="FILE_FOLDER")
    reveal.job_id = job.id
    reveal.what = "results" if job.state.terminal and job.results else "job"
    if any(result.kind == "mjcf" for result in job.results):
        reveal = row.operator("scene_courier.reveal_job", text="MJCF", icon="FILE_FOLDER")
        reveal.job_id, reveal.what = job.id, "mjcf"
    if job.state in (State.FAILED, State.CANCELED) and job.results:
        _button(row, "retry_job", job, "Retry", "FILE_REFRESH")
    if job.state is State.WAITING:
        _button(row, "retry_job", job, "Try Now", "FILE_REFRESH")
    if job.state.terminal:
        _button(row, "forget_job", job, "Forget", "TRASH")
    else:
        cancel = row.row(align=True)
        cancel.enabled = not job.cancel_requested
        _button(cancel, "cancel_job", job, "Cancel", "X")


def _button(layout: Any, operator: str, job: Job, text: str, icon: str) -> None:
    layout.operator(f"scene_courier.{operator}", text=text, icon=icon).job_id = job.id


# -- details -------------------------------------------------------------------------------------


def _draw_details(context: bpy.types.Context, layout: Any, job: Job) -> None:
    """Facts and what the service told, as a tree that cannot grow without bounds."""
    column = layout.column(align=True)
    facts = [
        ("Job", job.short_id),
        ("At the service", job.remote_id),
        ("Results", job.results_dir),
    ]
    for label, value in facts:
        if value:
            interface.fact(context, column, label, value)
    for label, value in job_render_view.facts(job):
        interface.fact(context, column, label, value)
    for label, value in detail_rows(job.remote):
        interface.fact(context, column, label, value)
    if job.problem is not None and job.problem.technical:
        interface.fact(context, column, "Technical", job.problem.technical)


#: what the service's answer is shown as, in this order; the rest of the answer follows
_FIRST = ("timing", "preprocess", "report")
#: shown elsewhere, or of no use to a person
_HIDDEN = frozenset(
    {"id", "status", "stage", "progress", "error", "credits_charged", "filename", "output", "input"}
    | {"analysis", "previewUrl"}
)


def detail_rows(remote: dict[str, Any]) -> list[tuple[str, str]]:
    """The service's last answer as (label, value) rows, indented, at most ``TREE_ROWS`` of them."""
    rows: list[tuple[str, str]] = []
    order = [key for key in _FIRST if key in remote]
    order += [key for key in remote if key not in _FIRST and key not in _HIDDEN]
    for key in order:
        _tree(rows, key, remote[key], 0)
    if len(rows) > TREE_ROWS:
        rest = len(rows) - TREE_ROWS
        rows = [*rows[:TREE_ROWS], (f"and {rest} more: see the job's folder", "")]
    return rows


def _tree(rows: list[tuple[str, str]], label: str, value: Any, depth: int) -> None:
    if value is None or value == "" or value == [] or value == {}:
        return
    # Counting on, without keeping: the last row says how many are left out.
    if len(rows) > 20 * TREE_ROWS:
        return
    words = str(label).replace("_", " ")
    shown = "    " * depth + words[:1].upper() + words[1:]
    if isinstance(value, dict) and depth < TREE_DEPTH:
        rows.append((shown, ""))
        for key, part in value.items():
            _tree(rows, str(key), part, depth + 1)
    elif isinstance(value, list) and depth < TREE_DEPTH:
        if all(not isinstance(part, dict | list) for part in value):
            rows.append((shown, _short(", ".join(str(part) for part in value))))
            return
        rows.append((shown, ""))
        for number, part in enumerate(value, start=1):
            name = str(number)
            if isinstance(part, dict) and part.get("name"):
                name, part = str(part["name"]), {k: v for k, v in part.items() if k != "name"}
                if len(part) == 1 and not isinstance(next(iter(part.values())), dict | list):
                    part = next(iter(part.values()))
            _tree(rows, name, part, depth + 1)
    else:
        rows.append((shown, _short(_plain(value))))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    try:
        moment = datetime.fromisoformat(text) if len(text) > 18 and text[4:5] == "-" else None
    except ValueError:
        moment = None
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment is not None else text


def _short(text: str) -> str:
    return text if len(text) <= TREE_TEXT else text[: TREE_TEXT - 1] + "…"


def _when(job: Job) -> str:
    """When it was sent: the time today, else the date."""
    sent = time.localtime(job.created_at)
    if time.strftime("%Y%m%d", sent) == time.strftime("%Y%m%d"):
        return time.strftime("%H:%M", sent)
    return time.strftime("%Y-%m-%d %H:%M", sent)
