# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the panel “Send” that has products photographed by Glossi, and its templates.

Only draws: from the scene's settings, the session, and what the timer has looked up.
"""

from __future__ import annotations

import time
from typing import Any

import bpy

from ..bridge.jobs import SANDBOX
from . import interface, properties, pump, session, shoot_plan
from .answers import TemplateList
from .properties_glossi import SERVICE

LABEL = "Glossi"
#: a list is as good as new for so long (seconds); then its age is told
_FRESH = 600.0
#: a search field is worth its place from so many templates on
_SEARCHED = 7
_SCOPE_ICONS = {"public": "WORLD", "workspace": "HOME"}


class SCENE_COURIER_UL_templates(bpy.types.UIList):
    """The account's templates, by name."""

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
        """One template: its name, and by the icon whose it is."""
        layout.label(text=item.name, icon=_SCOPE_ICONS.get(item.scope, "BLANK1"))

    def filter_items(self, _context: bpy.types.Context, data: Any, property: str) -> Any:
        """Those of the chosen scope with all words of the search, here or in Blender's own."""
        rows = list(getattr(data, property))
        shown = visible(rows, data.template_scope, f"{data.template_search} {self.filter_name}")
        bit = self.bitflag_filter_item
        return [bit if row else 0 for row in shown], []


def visible(rows: list[Any], scope: str, search: str) -> list[bool]:
    """Which templates are listed: those of the scope whose name or description has every word."""
    words = search.lower().split()
    return [
        scope in ("all", row.scope)
        and all(word in f"{row.name} {row.description}".lower() for word in words)
        for row in rows
    ]


def draw_send(context: bpy.types.Context, layout: Any, now: session.Session, account: str) -> None:
    """Everything below the choice of service and account."""
    all_settings = properties.of_scene(context.scene)
    settings = all_settings.glossi
    now.answers.templates.look_at(SERVICE, account, time.monotonic())
    made = shoot_plan.plan(context, settings, account)
    _draw_products(context, layout, settings, made)
    _draw_template(context, layout, now, settings, made, account)
    _draw_pictures(context, layout, settings)
    _draw_advanced(context, layout, settings, made)
    header, body = layout.panel("scene_courier_glossi_result", default_closed=True)
    header.label(text="Result")
    if body is not None:
        _split(body)
        body.prop(all_settings, "results_folder")
        part = body.column()
        part.use_property_split = False
        part.label(text="Import As")
        part.prop(settings, "import_ways")
        if not bpy.data.filepath and all_settings.results_folder.startswith("//"):
            body.label(text="Unsaved file: kept in the data folder", icon="INFO")
    _draw_button(context, layout, now, settings, made, account)


def _split(layout: Any) -> None:
    layout.use_property_split = True
    layout.use_property_decorate = False


# -- what is photographed ------------------------------------------------------------------------


def _draw_products(
    context: bpy.types.Context, layout: Any, settings: Any, made: shoot_plan.Plan
) -> None:
    """What makes a product, which those are, and how large they are."""
    column = layout.column()
    column.prop(settings, "products", text="")
    column = layout.column(align=True)
    if not made.count:
        sentence = made.problem.sentence if made.problem is not None else ""
        interface.wrapped(context, column, sentence, icon="RESTRICT_SELECT_OFF", indent=62)
        return
    names = ", ".join(made.products[:3])
    if made.count > 3:
        names += f" and {made.count - 3} more"
    plural = "" if made.count == 1 else "s"
    text = f"{made.count:,} product{plural}: {names}"
    interface.wrapped(context, column, text, icon="PACKAGE", indent=62)
    counted = pump.selection()
    objects = list(context.view_layer.objects.selected)
    # An instance's triangles are not counted: no number is better than one that is too small.
    if settings.products != "instance" and counted.matches(objects) and counted.triangles:
        about = "" if counted.complete else "more than "
        column.label(text=f"{about}{counted.triangles:,} triangles", icon="BLANK1")


# -- the template --------------------------------------------------------------------------------


def _draw_template(
    context: bpy.types.Context,
    layout: Any,
    now: session.Session,
    settings: Any,
    made: shoot_plan.Plan,
    account: str,
) -> None:
    """The list of templates as it is known; the choice shows without one too."""
    header, body = layout.panel("scene_courier_glossi_template", default_closed=False)
    chosen = made.template or settings.template_name
    gone = bool(chosen) and made.about == "template"
    header.alert = gone
    header.label(
        text=f"Template: {chosen}" if chosen else "Template", icon="ERROR" if gone else "NONE"
    )
    if body is None:
        return
    known = now.answers.templates.known(SERVICE, account)
    problem = now.answers.templates.problem(SERVICE, account)
    if known is None:
        _draw_no_list(context, body, now, problem, account)
        return
    if known.items:
        _draw_list(context, body, known)
        found = known.find(made.template_id) if made.template_id else None
        if found is not None and found["description"]:
            interface.wrapped(context, body, found["description"], icon="BLANK1", indent=62)
    row = body.row(align=True)
    row.label(text=list_line(known, time.time(), old=problem is not None))
    row.operator("scene_courier.refresh", text="", icon="FILE_REFRESH")
    if problem is not None:
        text = f"The list could not be renewed: {problem.sentence}"
        interface.wrapped(context, body, text, icon="INFO", indent=62)


def _draw_list(context: bpy.types.Context, layout: Any, known: TemplateList) -> None:
    group = properties.of_window(context)
    scopes = {item["scope"] for item in known.items}
    if len(known.items) >= _SEARCHED or group.template_search:
        layout.prop(group, "template_search", text="", icon="VIEWZOOM")
    if len(scopes) > 1 or group.template_scope != "all":
        layout.row(align=True).prop(group, "template_scope", expand=True)
    layout.template_list(
        "SCENE_COURIER_UL_templates",
        "",
        group,
        "templates",
        group,
        "template_index",
        rows=3,
        maxrows=6,
    )


def _draw_no_list(
    context: bpy.types.Context, layout: Any, now: session.Session, problem: Any, account: str
) -> None:
    """Why there is no list yet."""
    if problem is not None:
        box = interface.draw_problem(context, layout, problem)
        box.operator("scene_courier.refresh", text="Look Again", icon="FILE_REFRESH")
        return
    text = "Asking for the templates…"
    icon = "SORTTIME"
    if account != SANDBOX and now.answers.key_source(SERVICE) == "none":
        text, icon = "Templates are listed once there is a key.", "INFO"
    elif account != SANDBOX and not bpy.app.online_access and not now.answers.nearby(SERVICE):
        text, icon = "Templates are listed once Blender may go online.", "INTERNET_OFFLINE"
    interface.wrapped(context, layout, text, icon=icon, indent=62)


def list_line(known: TemplateList, now: float, *, old: bool = False) -> str:
    """ "12 templates", and of when they are where that matters."""
    count = len(known.items)
    text = f"{count:,} template{'' if count == 1 else 's'}" if count else "This account has none"
    seconds = now - known.at
    if not known.at or (seconds < _FRESH and not old):
        return text
    return f"{text}, as of {age_text(seconds)} ago"


def age_text(seconds: float) -> str:
    """90 -> "2 minutes", 7200 -> "2 hours", 172800 -> "2 days"."""
    if seconds < 60:
        return "a minute"
    for size, unit in ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute")):
        if seconds >= size or unit == "minute":
            number = max(1, round(seconds / size))
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return ""


# -- the pictures --------------------------------------------------------------------------------


def _draw_pictures(context: bpy.types.Context, layout: Any, settings: Any) -> None:
    """Stills, videos, variants, and how large and good they are."""
    column = layout.column(align=True)
    row = column.row(align=True)
    row.prop(settings, "bookmarks", toggle=True, icon="IMAGE_DATA")
    row.prop(settings, "shots", toggle=True, icon="FILE_MOVIE")
    row.prop(settings, "variants", toggle=True, icon="MATERIAL")
    part = layout.column()
    _split(part)
    if settings.bookmarks:
        part.prop(settings, "image_quality", text="Stills")
    if settings.shots:
        part.prop(settings, "video_resolution", text="Videos")
        part.prop(settings, "video_quality", text="Video Quality")
    if not (settings.bookmarks or settings.shots):
        text = "Neither stills nor videos: projects are made and nothing is rendered."
        interface.wrapped(context, layout, text, icon="INFO", indent=62)
    warning = shoot_plan.multiplies(settings)
    if warning:
        interface.wrapped(context, layout, warning, icon="ERROR", indent=62)


def _draw_advanced(
    context: bpy.types.Context, layout: Any, settings: Any, made: shoot_plan.Plan
) -> None:
    header, body = layout.panel("scene_courier_glossi_advanced", default_closed=True)
    header.label(text="Advanced")
    if body is None:
        return
    _split(body)
    body.prop(settings, "workflow")
    if settings.workflow == "steps":
        part = body.column(heading="Projects")
        part.active = made.count != 1
        part.prop(settings, "per_model", text="One per Product")
        body.prop(settings, "project_name")
    else:
        text = "Glossi names the projects; only Step by Step can set a name."
        interface.wrapped(context, body, text, icon="INFO", indent=62)
        body.prop(settings, "webhook_url", text="Webhook")
    body.prop(settings, "render_base_url")
    body.prop(settings, "retries")
    column = body.column(heading="Upload")
    column.prop(settings, "draco")
    column.prop(settings, "animation")
    column.prop(settings, "ignore_scale")


# -- the button ----------------------------------------------------------------------------------


def _draw_button(
    context: bpy.types.Context,
    layout: Any,
    now: session.Session,
    settings: Any,
    made: shoot_plan.Plan,
    account: str,
) -> None:
    """What is known about the cost, and the button, which says what it does or why it cannot."""
    key = account == SANDBOX or now.answers.key_source(SERVICE) != "none"
    if made.problem is not None:
        # What is simply not chosen yet is no error.
        lost = made.about == "template" and bool(made.template)
        text, icon = f"{made.problem.sentence} {made.problem.hint}", "ERROR" if lost else "INFO"
    elif not key:
        text, icon = f"Sending needs a key for {LABEL}.", "KEYINGSET"
    else:
        text, icon = shoot_plan.cost_sentence(account, rendered=made.pictures), "NONE"
    interface.wrapped(context, layout, text, icon=icon, indent=62)
    row = layout.row()
    row.scale_y = 1.6
    row.enabled = key and made.problem is None
    text = shoot_plan.button(made, account)
    if not interface.fits(context, text, indent=90):
        text = shoot_plan.button(made, account, short=True)
    button = row.operator("scene_courier.send", text=text, icon="CAMERA_DATA")
    button.service, button.account = SERVICE, account
    # Nothing comes in between, so the click is the yes.
    button.start = "at_once"


_CLASSES = (SCENE_COURIER_UL_templates,)


def register() -> None:
    """Register the list of templates."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take it back."""
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
