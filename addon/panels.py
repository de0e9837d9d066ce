# SPDX-License-Identifier: GPL-3.0-or-later
"""The tab “Courier” in the 3D viewport's sidebar: send, and what became of it.

Drawing only reads what the pump has put into the session. It never opens a file, asks the store, or
writes to a data-block.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..bridge.jobs import DEFAULT_ACCOUNT, SANDBOX
from ..bridge.words import credits_text
from . import (
    capture,
    interface,
    job_view,
    panels_glossi,
    panels_renderjuice,
    properties,
    properties_glossi,
    pump,
    session,
)
from .operators_send import SERVICE_LABELS

CATEGORY = "Courier"


class SCENE_COURIER_UL_jobs(bpy.types.UIList):
    """The job list: newest first."""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: Any,
        data: Any,
        item: Any,
        icon: int | None,
        active_data: Any,
        active_property: str | None,
        index: int | None = 0,
        flt_flag: int | None = 0,
    ) -> None:
        """One job: icon, name, state or progress."""
        job = session.current().jobs.get(item.job_id)
        if job is None:
            layout.label(text=item.name, icon="BLANK1")
            return
        job_view.draw_row(layout, job)


class SCENE_COURIER_PT_send(bpy.types.Panel):
    """What is sent, how, and for how much."""

    bl_idname = "SCENE_COURIER_PT_send"
    bl_label = "Send"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = CATEGORY

    def draw(self, context: bpy.types.Context) -> None:
        """Draw from the session, the scene's settings and the selection."""
        now = session.current()
        now.drawn(context.window.as_pointer() if context.window is not None else 0)
        layout = self.layout
        settings = properties.of_scene(context.scene)
        group = properties.of_window(context)
        service, account = settings.service, group.account
        for problem in (now.problem, now.worker.problem):
            if problem is not None:
                box = interface.draw_problem(context, layout, problem)
                box.operator("scene_courier.refresh", text="Try Again", icon="FILE_REFRESH")
        if now.problem is not None:
            return
        column = layout.column()
        column.prop(settings, "service", text="")
        column.row(align=True).prop(group, "account", expand=True)
        _draw_account(context, layout, now, service, account)
        if service == panels_renderjuice.SERVICE:
            panels_renderjuice.draw_send(context, layout, now, account)
        elif service == properties_glossi.SERVICE:
            panels_glossi.draw_send(context, layout, now, account)
        else:
            count = _draw_selection(layout, context, settings.per_object)
            _draw_options(layout, settings)
            _draw_send(layout, now, service, account, count, settings.per_object)
        if now.click_problem is not None:
            box = interface.draw_problem(context, layout, now.click_problem)
            box.operator("scene_courier.dismiss", icon="X")


def _draw_account(
    context: bpy.types.Context, layout: Any, now: session.Session, service: str, account: str
) -> None:
    """What the chosen account still needs, if anything."""
    label = SERVICE_LABELS[service]
    if account == SANDBOX:
        interface.wrapped(
            context,
            layout,
            f"Does what {label} does, on this computer: no account, no internet, free.",
            indent=62,
        )
        return
    source = now.answers.key_source(service)
    if source == "none":
        box = layout.box()
        state = now.answers.states.get((service, DEFAULT_ACCOUNT), {})
        why = state.get("problem") or {}
        sentence = str(why.get("sentence") or f"There is no key for {label}.")
        interface.wrapped(context, box, sentence, icon="KEYINGSET")
        interface.wrapped(
            context,
            box,
            f"Sign in with “scene-courier login {service}” in a terminal, or set "
            f"{service.upper()}_API_KEY before Blender starts. The sandbox needs neither.",
            icon="BLANK1",
        )
        box.operator("scene_courier.refresh", text="Look Again", icon="FILE_REFRESH")
    elif not bpy.app.online_access and not now.answers.nearby(service):
        box = layout.box()
        interface.wrapped(
            context,
            box,
            "Blender's online access is off: jobs to your own account wait until it is on.",
            icon="INTERNET_OFFLINE",
        )
        box.operator("scene_courier.open_online_preferences", icon="PREFERENCES")
    elif (told := now.answers.problems.get((service, DEFAULT_ACCOUNT))) is not None:
        box = interface.draw_problem(context, layout, told)
        box.operator("scene_courier.refresh", text="Look Again", icon="FILE_REFRESH")


def _draw_selection(layout: Any, context: bpy.types.Context, per_object: bool) -> int:
    """Names and size of what would be sent; returns how many objects have a surface."""
    objects = list(context.view_layer.objects.selected)
    sent = capture.exportable(context, objects)
    column = layout.column(align=True)
    if not objects:
        column.label(text="Nothing is selected", icon="RESTRICT_SELECT_OFF")
        return 0
    if not sent:
        column.label(text="No mesh is selected", icon="RESTRICT_SELECT_OFF")
        return 0
    names = ", ".join(item.name for item in sent[:3])
    if len(sent) > 3:
        names += f" and {len(sent) - 3} more"
    column.label(text=names, icon="OBJECT_DATA")
    counted = pump.selection()
    if counted.matches(objects) and counted.triangles:
        about = "" if counted.complete else "more than "
        column.label(text=f"{about}{counted.triangles:,} triangles", icon="BLANK1")
    if len(sent) > 1:
        layout.prop(properties.of_scene(context.scene), "per_object")
    return len(sent)


def _draw_options(layout: Any, settings: Any) -> None:
    """Two folds: what the service does, and what happens to the result."""
    header, body = layout.panel("scene_courier_options", default_closed=True)
    header.label(text="Conversion")
    if body is not None:
        body.use_property_split = True
        body.use_property_decorate = False
        options = settings.rigyd
        body.prop(options, "format")
        row = body.row(heading="Reduce", align=True)
        row.prop(options, "reduce", text="")
        value = row.row()
        value.active = options.reduce
        value.prop(options, "target_triangle_count", text="")
        body.prop(options, "draco")
        body.prop(options, "animation")
    header, body = layout.panel("scene_courier_result", default_closed=True)
    header.label(text="Result")
    if body is not None:
        body.use_property_split = True
        body.use_property_decorate = False
        body.prop(settings, "placement")
        body.prop(settings, "source_after")
        body.prop(settings, "results_folder")
        if not bpy.data.filepath and settings.results_folder.startswith("//"):
            body.label(text="Unsaved file: kept in the data folder", icon="INFO")


def _draw_send(
    layout: Any, now: session.Session, service: str, account: str, count: int, per_object: bool
) -> None:
    """The price and the button, which says what it does."""
    label = "the Sandbox" if account == SANDBOX else SERVICE_LABELS[service]
    price = now.answers.price(service, account)
    jobs = count if per_object and count > 1 else 1
    possible = account == SANDBOX or now.answers.key_source(service) != "none"
    if count and possible:
        layout.label(text=_cost(price, jobs, account))
    if count > 1 and per_object:
        text = f"Send {count} Jobs to {label}"
    elif count > 1:
        text = f"Send {count} Objects to {label}"
    elif count == 1:
        text = f"Send 1 Object to {label}"
    else:
        text = f"Send to {label}"
    row = layout.row()
    row.scale_y = 1.6
    # A click that can only answer "there is no key" is not offered.
    row.enabled = count > 0 and possible
    button = row.operator("scene_courier.send", text=text, icon="EXPORT")
    button.service = service
    button.account = account
    button.agreed_credits = -1.0 if price is None else price


def _cost(price: float | None, jobs: int, account: str) -> str:
    if account == SANDBOX:
        return "Free"
    if price is None:
        return "Price not known yet: you approve it later"
    if jobs == 1 or price == 0:
        return f"Costs {credits_text(price)}" if price else "Free"
    return f"Costs {credits_text(price * jobs)} ({jobs} × {credits_text(price)})"


class SCENE_COURIER_PT_jobs(bpy.types.Panel):
    """The jobs, and all about the one that is picked."""

    bl_idname = "SCENE_COURIER_PT_jobs"
    bl_label = "Jobs"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = CATEGORY

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the list and the details from the session."""
        now = session.current()
        now.drawn(context.window.as_pointer() if context.window is not None else 0)
        layout = self.layout
        group = properties.of_window(context)
        if not now.order:
            interface.wrapped(
                context,
                layout,
                "Nothing has been sent yet. What you send appears here; you can go on working.",
                indent=62,
            )
            return
        layout.template_list(
            "SCENE_COURIER_UL_jobs", "", group, "jobs", group, "job_index", rows=4, maxrows=8
        )
        job = now.jobs.get(now.active_id)
        if job is not None:
            job_view.draw_job(context, layout, now, job)


_CLASSES = (SCENE_COURIER_UL_jobs, SCENE_COURIER_PT_send, SCENE_COURIER_PT_jobs)


def register() -> None:
    """Register the panels."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take the panels back."""
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
