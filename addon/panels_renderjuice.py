# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the panel “Send” that renders a scene at Renderjuice, and its list of jobs elsewhere.

Only draws: from the scene's settings, the session, and what the timer has looked up.
"""

from __future__ import annotations

import time
from typing import Any

import bpy

from ..bridge.jobs import SANDBOX
from . import interface, properties, render_plan, render_values, session
from .properties_renderjuice import FARM, OUTPUT, RESOLUTION, SAMPLING, target_scene

SERVICE, LABEL = "renderjuice", "Renderjuice"
#: so many cameras are listed at once
MOST_CAMERAS = 24
#: labels beside the settings; the sidebar is narrow, the tooltips have the contract's names
LABELS = {
    "resolution": "Resolution",
    "resolution_percentage": "Percentage",
    "fps": "FPS",
    "engine": "Engine",
    "samples": "Samples",
    "denoise": "Denoise",
    "denoiser": "Denoiser",
    "tiling": "Tiling",
    "tile_size": "Tile Size",
    "output_format": "Format",
    "color_mode": "Color",
    "color_depth": "Depth",
    "exr_codec": "Codec",
    "tiff_codec": "Codec",
    "compression": "Compression",
    "quality": "Quality",
    "gpu_count": "GPUs",
    "minimum_ram": "Minimum RAM",
    "compute_device": "Compute",
    "compositor_device": "Compositor",
}


def draw_send(context: bpy.types.Context, layout: Any, now: session.Session, account: str) -> None:
    """Everything below the choice of service and account."""
    all_settings = properties.of_scene(context.scene)
    settings = all_settings.renderjuice
    made = render_plan.plan(context, settings)
    _draw_what(context, layout, settings, made)
    if made.facts:
        _draw_folds(context, layout, settings, made)
    header, body = layout.panel("scene_courier_rj_result", default_closed=True)
    header.label(text="Result")
    if body is not None:
        _split(body)
        body.prop(all_settings, "results_folder")
        body.prop(settings, "video")
        part = body.column()
        part.use_property_split = False
        part.label(text="Import As")
        part.prop(settings, "import_ways")
        if not bpy.data.filepath and all_settings.results_folder.startswith("//"):
            body.label(text="Unsaved file: kept in the data folder", icon="INFO")
    _draw_buttons(context, layout, now, settings, made, account)


# -- what is rendered ----------------------------------------------------------------------------


def _draw_what(
    context: bpy.types.Context, layout: Any, settings: Any, made: render_plan.Plan
) -> None:
    """Scene, camera, view layer and frames."""
    facts = made.facts
    column = layout.column()
    if len(bpy.data.scenes) > 1 or settings.scene:
        row = _labelled(column)
        row.alert = made.about == "scene"
        row.prop_search(settings, "scene", bpy.data, "scenes", text="Scene", icon="SCENE_DATA")
    if not facts:
        return
    if len(facts["view_layers"]) > 1 or settings.view_layer:
        row = _labelled(column)
        row.alert = made.about == "view_layer"
        scene = target_scene(settings)
        row.prop_search(
            settings, "view_layer", scene, "view_layers", text="View Layer", icon="RENDERLAYERS"
        )
    column.row(align=True).prop(settings, "camera_choice", expand=True)
    if settings.camera_choice == "chosen":
        _draw_cameras(column, settings, sorted(facts["cameras"]))
    else:
        row = column.row()
        row.alert = made.about == "camera"
        row.label(text=_active_camera(facts), icon="OUTLINER_OB_CAMERA")
    row = _labelled(column)
    row.alert = made.about == "frames"
    row.prop(settings, "frames", text="Frames", placeholder=facts["frames"])
    if made.about == "frames" and made.problem is not None:
        part = column.column()
        part.alert = True
        text = f"{made.problem.sentence} {made.problem.hint}"
        interface.wrapped(context, part, text, icon="ERROR", indent=62)
    elif made.frames is not None:
        text = render_plan.counted(made.count, "frame")
        if settings.frames.strip():
            text = f"{made.count:,} instead of {facts['frame_count']:,} frames"
        part = column.split(factor=0.4)
        part.label(text="")
        part.label(text=text)


def _labelled(layout: Any) -> Any:
    row = layout.row()
    _split(row)
    return row


def _active_camera(facts: dict[str, Any]) -> str:
    if facts["markers"]:
        return "Cameras as the markers say"
    if facts["camera"]:
        return str(facts["camera"])
    return "None: the sequencer's picture" if facts["sequencer"] else "No active camera"


def _draw_cameras(layout: Any, settings: Any, known: list[str]) -> None:
    """The scene's cameras, each with a tick; chosen ones that are gone can be taken away."""
    chosen = [item.name for item in settings.cameras]
    gone = [name for name in chosen if name not in known]
    box = layout.box().column(align=True)
    for name in known[:MOST_CAMERAS]:
        _camera(box, name, "CHECKBOX_HLT" if name in chosen else "CHECKBOX_DEHLT")
    for name in gone:
        row = box.row()
        row.alert = True
        _camera(row, name, "ERROR", " (not in the scene)")
    if not known:
        box.label(text="No camera in the scene", icon="OUTLINER_OB_CAMERA")
    if len(known) > MOST_CAMERAS:
        more = len(known) - MOST_CAMERAS
        ticked = len(set(chosen).intersection(known[MOST_CAMERAS:]))
        box.label(text=f"and {more} more, {ticked} of them ticked", icon="BLANK1")
    if len(known) > 1:
        row = box.row(align=True)
        for choice, text in (("all", "All"), ("none", "None")):
            row.operator("scene_courier.choose_cameras", text=text).choice = choice


def _camera(layout: Any, name: str, icon: str, remark: str = "") -> None:
    # Left-aligned, like the checkboxes of Blender's own lists.
    row = layout.row()
    row.alignment = "LEFT"
    button = row.operator(
        "scene_courier.choose_cameras", text=name + remark, icon=icon, emboss=False
    )
    button.choice, button.camera = "toggle", name


# -- how it is rendered --------------------------------------------------------------------------


def _draw_folds(
    context: bpy.types.Context, layout: Any, settings: Any, made: render_plan.Plan
) -> None:
    """The settings: each with a switch, and the scene's value while it is off."""
    for name, label, names in (
        ("resolution", "Resolution", RESOLUTION),
        ("sampling", "Sampling", SAMPLING),
        ("output", "Output", OUTPUT),
        ("farm", "Farm", FARM),
    ):
        header, body = layout.panel(f"scene_courier_rj_{name}", default_closed=True)
        changes = len(settings.changed(made.facts, names))
        if name == "farm":
            changes += (settings.color_management != "auto") + bool(settings.notes.strip())
        header.alert = made.about == name
        header.label(text=f"{label} ({changes} changed)" if changes else label)
        if body is None:
            continue
        _split(body)
        for setting in names:
            _draw_setting(body, settings, made.facts, setting)
        if name == "output" and made.about == "output" and made.problem is not None:
            part = body.column()
            part.alert = True
            interface.wrapped(context, part, made.problem.sentence, icon="ERROR", indent=62)
        if name == "farm":
            body.prop(settings, "color_management", text="Color Preset")
            body.prop(settings, "notes")
    header, body = layout.panel("scene_courier_rj_package", default_closed=True)
    header.label(text="Package")
    if body is not None:
        _split(body)
        body.prop(settings, "package")
        body.prop(settings, "handles")
    header, body = layout.panel("scene_courier_rj_start", default_closed=True)
    header.label(text="Start and Spending")
    if body is not None:
        _split(body)
        body.prop(settings, "start")
        row = body.row(heading="GPU Minutes", align=True)
        row.prop(settings, "use_spending_cap", text="")
        value = row.row()
        value.active = settings.use_spending_cap
        value.prop(settings, "spending_cap", text="")


def _split(layout: Any) -> None:
    layout.use_property_split = True
    layout.use_property_decorate = False


def _draw_setting(layout: Any, settings: Any, facts: dict[str, Any], name: str) -> None:
    if not render_values.applies(settings, facts, name):
        return
    row = layout.row(heading=LABELS[name], align=True)
    row.prop(settings, f"use_{name}", text="")
    changed = getattr(settings, f"use_{name}")
    value = row.row(align=True)
    value.active = changed
    if not changed:
        value.label(text=render_values.shown(facts, name))
    elif name == "resolution":
        value.prop(settings, "resolution_x", text="")
        value.prop(settings, "resolution_y", text="")
    elif isinstance(getattr(settings, name), bool):
        value.prop(settings, name, text="On" if getattr(settings, name) else "Off", toggle=True)
    else:
        value.prop(settings, name, text="")


# -- the buttons ---------------------------------------------------------------------------------


def _draw_buttons(
    context: bpy.types.Context,
    layout: Any,
    now: session.Session,
    settings: Any,
    made: render_plan.Plan,
    account: str,
) -> None:
    """What it costs, as far as anybody knows, and the buttons, which say what they do."""
    sandbox = account == SANDBOX
    key = sandbox or now.answers.key_source(SERVICE) != "none"
    if made.problem is not None:
        interface.wrapped(context, layout, made.problem.sentence, icon="ERROR", indent=62)
    elif not key:
        interface.wrapped(
            context, layout, f"Sending needs a key for {LABEL}.", icon="KEYINGSET", indent=62
        )
    else:
        interface.wrapped(context, layout, cost_sentence(settings, account), indent=62)
    row = layout.row()
    row.scale_y = 1.6
    row.enabled = key and made.problem is None
    where = "in the Sandbox" if sandbox else f"on {LABEL}"
    _send(row, account, render_plan.button(made, where), "RENDER_ANIMATION")
    row = layout.row(align=True)
    part = row.row(align=True)
    part.enabled = key and made.problem is None and made.count > 1
    _send(part, account, render_plan.test_button(made), "RENDER_STILL").test_frames = True
    part = row.row(align=True)
    part.enabled = made.problem is None
    _send(part, account, "Check Scene", "VIEWZOOM").check_only = True


def _send(layout: Any, account: str, text: str, icon: str) -> Any:
    button = layout.operator("scene_courier.send", text=text, icon=icon)
    button.service, button.account = SERVICE, account
    return button


def cost_sentence(settings: Any, account: str) -> str:
    """What is known about the cost. There is no price list: GPU minutes are told afterwards."""
    by_itself = settings.start == "at_once"
    begins = "It starts by itself" if by_itself else "You start it"
    text = f"{begins} once the scene was checked."
    if account == SANDBOX:
        return f"Free. {text}"
    if settings.use_spending_cap:
        text += f" Stopped after about {settings.spending_cap:g} GPU minutes."
    return f"Charged in GPU minutes of your plan; nothing before rendering starts. {text}"


# -- jobs that were started elsewhere -------------------------------------------------------------


class SCENE_COURIER_PT_remote_jobs(bpy.types.Panel):
    """Jobs of the account that were not sent from this computer"""

    bl_idname = "SCENE_COURIER_PT_remote_jobs"
    bl_label = "Jobs on Renderjuice"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Courier"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where the scene goes to a service that has such a list."""
        return bool(properties.of_scene(context.scene).service == SERVICE)

    def draw(self, context: bpy.types.Context) -> None:
        """List what the worker was told last; an open list has it asked again."""
        now = session.current()
        now.drawn(context.window.as_pointer() if context.window is not None else 0)
        account = properties.of_window(context).account
        now.answers.look_at_remote_jobs(SERVICE, account, time.monotonic())
        layout = self.layout
        problem = now.answers.remote_problem(SERVICE, account)
        jobs = now.answers.remote_jobs(SERVICE, account)
        if problem is not None:
            interface.draw_problem(context, layout, problem)
        elif jobs is None:
            layout.label(text="Asking for the list…", icon="SORTTIME")
        elif not jobs:
            text = "Every job of this account is in the list above."
            interface.wrapped(context, layout, text, indent=62)
        for job in jobs or ():
            _draw_remote(layout, account, job)
        layout.operator("scene_courier.refresh", text="Look Again", icon="FILE_REFRESH")


def _draw_remote(layout: Any, account: str, job: dict[str, Any]) -> None:
    name = str(job.get("name") or "") or f"Job {str(job.get('id'))[:8]}"
    split = layout.row().split(factor=0.7)
    column = split.column(align=True)
    column.scale_y = 0.85
    column.label(text=name)
    facts = [str(job.get("status") or "").capitalize()]
    if job.get("created_at"):
        facts.append(time.strftime("%Y-%m-%d", time.localtime(job["created_at"])))
    column.label(text=", ".join(fact for fact in facts if fact))
    button = split.operator("scene_courier.adopt", text="Adopt", icon="IMPORT")
    button.service, button.account = SERVICE, account
    button.remote_id, button.name = str(job.get("id") or ""), name


_CLASSES = (SCENE_COURIER_PT_remote_jobs,)


def register() -> None:
    """Register the panel; it stands below the others."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take the panel back."""
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
