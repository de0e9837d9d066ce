# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators around sending: Send itself, and what the panel offers before anything is sent.

No operator has a property for a key: what is in a property shows in Info, history and crash logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from ..bridge.jobs import DEFAULT_ACCOUNT, SANDBOX
from ..bridge.problems import Category, ProblemError
from ..bridge.words import credits_text
from . import (
    capture,
    interface,
    orders,
    preferences,
    properties,
    properties_glossi,
    properties_renderjuice,
    pump,
    session,
)

if TYPE_CHECKING:
    from . import sending

SERVICE_LABELS = {"rigyd": "Rigyd", "renderjuice": "Renderjuice", "glossi": "Glossi"}
#: services that take the whole scene; the others take the selected objects
WHOLE_SCENE = ("renderjuice",)


def price_sentence(price: float | None, jobs: int) -> str:
    """What pressing Send costs, in a sentence; "" when it costs nothing."""
    if price is None:
        return "The price is not known yet; nothing is charged before you approve it."
    if price == 0:
        return ""
    if jobs == 1:
        return f"This costs {credits_text(price)}."
    return f"This costs {credits_text(price * jobs)}: {jobs} jobs, {credits_text(price)} each."


def render_question(order: sending.Order) -> tuple[str, str]:
    """What a click that renders with several cameras asks first: title and message."""
    jobs = len(order.cameras)
    where = "in the sandbox" if order.account == SANDBOX else f"on {SERVICE_LABELS[order.service]}"
    title = f"Render with {jobs} cameras as {jobs} jobs {where}?"
    if order.account == SANDBOX:
        return title, "This costs nothing."
    if order.agreed:
        return title, "Each is charged in GPU minutes of your plan, and starts by itself."
    return title, "Each is charged in GPU minutes of your plan once you start it."


class SCENE_COURIER_OT_send(bpy.types.Operator):
    """Copy the scene and send it, or its selected objects; you can go on working at once"""

    bl_idname = "scene_courier.send"
    bl_label = "Send"
    bl_options = {"REGISTER"}

    service: bpy.props.EnumProperty(
        name="Service",
        description="Who does the work; the scene's choice if not given",
        items=(
            ("scene", "As Set in the Scene", ""),
            ("rigyd", "Rigyd", "The selected objects become SimReady assets"),
            ("renderjuice", "Renderjuice", "The whole scene is rendered"),
            ("glossi", "Glossi", "The selected products are photographed"),
        ),
        default="scene",
        options={"SKIP_SAVE"},
    )
    account: bpy.props.EnumProperty(
        name="Account",
        description="With which account; the panel's choice if not given",
        items=(
            ("panel", "As Set in the Panel", ""),
            (DEFAULT_ACCOUNT, "My Account", ""),
            (SANDBOX, "Sandbox on This Computer", ""),
        ),
        default="panel",
        options={"SKIP_SAVE"},
    )
    agreed_credits: bpy.props.FloatProperty(
        name="Agreed Credits",
        description=(
            "Objects: the price for each job that was shown and agreed to. Below zero: none, so a "
            "job that costs something waits for your approval"
        ),
        default=-1.0,
        options={"SKIP_SAVE"},
    )
    frames: bpy.props.StringProperty(
        name="Frame Ranges",
        description="Renders: frames such as 1-250,300 instead of those that are set",
        options={"SKIP_SAVE"},
    )
    cameras: bpy.props.CollectionProperty(
        type=properties_renderjuice.SceneCourierName,
        name="Cameras",
        description=(
            "Renders: cameras instead of those that are set, as [{“name”: “Camera”}]; each "
            "becomes a job"
        ),
        options={"SKIP_SAVE"},
    )
    test_frames: bpy.props.BoolProperty(
        name="Test Frames",
        description="Renders: only the first, the middle and the last frame",
        default=False,
        options={"SKIP_SAVE"},
    )
    check_only: bpy.props.BoolProperty(
        name="Check Only",
        description="Renders: look for what would go wrong, and send nothing",
        default=False,
        options={"SKIP_SAVE"},
    )
    template: bpy.props.StringProperty(
        name="Template",
        description="Products: a template's id or name instead of the one that is set",
        options={"SKIP_SAVE"},
    )
    start: bpy.props.EnumProperty(
        name="Start",
        description="Renders and products: when rendering starts, which is what is charged for",
        items=(
            (
                "panel",
                "As Set in the Panel",
                "Renders: as set. Products: after your yes, as no price is known",
            ),
            ("ask", "After My Yes", "The job waits for your yes once all else is ready"),
            ("at_once", "At Once", "As soon as all else is ready"),
        ),
        default="panel",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        """One operator, several buttons: each says what it does."""
        if properties.check_only:
            return (
                "Look for missing files and anything else that would spoil the render. Nothing is "
                "sent and nothing is charged"
            )
        if properties.test_frames:
            return (
                "Send the scene and render only the first, the middle and the last frame. The "
                "rest can follow from the same upload"
            )
        if properties.service == "glossi":
            return (
                "Copy the scene, send the selected products and have them photographed with the "
                "template; you can go on working at once"
            )
        if properties.service == "renderjuice":
            return "Copy the scene, send it and have it rendered; you can go on working at once"
        return "Copy the scene and send the selected objects; you can go on working at once"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There must be a scene to copy."""
        return context.view_layer is not None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> interface.Answer:
        """A click: several paid jobs at once are asked about first."""
        try:
            order = self._order(context)
        except ProblemError as error:
            return self._refused(context, error)
        if order.scope == "scene":
            if len(order.cameras) <= 1:
                return self.execute(context)
            title, message = render_question(order)
            jobs = len(order.cameras)
        else:
            jobs = len(capture.exportable(context)) if order.per_object else 1
            if jobs <= 1:
                return self.execute(context)
            price = session.current().answers.price(order.service, order.account)
            title = f"Send {jobs} objects as {jobs} jobs to {SERVICE_LABELS[order.service]}?"
            message = price_sentence(price, jobs) or "This costs nothing."
        return context.window_manager.invoke_confirm(
            self, event, title=title, message=message, confirm_text=f"Send {jobs} Jobs"
        )

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Capture and queue; reports what was sent or why not."""
        # Here, not above: enabling the extension must not pay for what only Send needs.
        from . import sending

        now = session.current()
        try:
            order = self._order(context)
            jobs = sending.send(context, now, order)
        except ProblemError as error:
            return self._refused(context, error)
        now.click_problem = None
        now.wake_worker(at_once=True)
        pump.look()
        where = "the sandbox" if jobs[0].sandboxed else SERVICE_LABELS[jobs[0].service]
        what = f"“{jobs[0].name}”" if len(jobs) == 1 else f"{len(jobs)} jobs"
        done = f"Sent {what} to {where}"
        if order.options.get("check_only"):
            done = f"Checking {what}"
        self.report({"INFO"}, f"{done}. You can go on working.")
        return {"FINISHED"}

    def _refused(self, context: bpy.types.Context, error: ProblemError) -> interface.Answer:
        session.current().click_problem = error.problem
        interface.redraw(context)
        interface.report_problem(self, error.problem)
        return {"CANCELLED"}

    def _order(self, context: bpy.types.Context) -> sending.Order:
        settings = properties.of_scene(context.scene)
        service = settings.service if self.service == "scene" else self.service
        account = self.account
        if account == "panel":
            account = session.current().account(service, preferences.get(context).account)
        if service in WHOLE_SCENE:
            return orders.of_scene(
                context,
                service,
                account,
                frames=self.frames,
                cameras=[item.name for item in self.cameras],
                test_frames=self.test_frames,
                check_only=self.check_only,
                start=self.start,
            )
        if service == properties_glossi.SERVICE:
            return orders.of_products(
                context, account, template=self.template, agreed=self.start == "at_once"
            )
        if not context.view_layer.objects.selected:
            raise ProblemError(
                Category.INPUT, "Nothing is selected.", "Select the objects that should be sent."
            )
        agreed = self.agreed_credits if self.agreed_credits >= 0 else None
        return orders.of_selection(context, service, account, agreed)


class SCENE_COURIER_OT_refresh(bpy.types.Operator):
    """Look for news now: jobs, keys and prices"""

    bl_idname = "scene_courier.refresh"
    bl_label = "Refresh"

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Read the store and ask the worker again."""
        now = session.current()
        now.drawn()
        now.retry_store()
        now.stale()
        pump.ask(context, force=True)
        now.wake_worker(at_once=True)
        pump.look()
        return {"FINISHED"}


class SCENE_COURIER_OT_dismiss(bpy.types.Operator):
    """Put this message away"""

    bl_idname = "scene_courier.dismiss"
    bl_label = "Dismiss"

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Forget the last problem of a click."""
        session.current().click_problem = None
        interface.redraw(context)
        return {"FINISHED"}


class SCENE_COURIER_OT_open_online_preferences(bpy.types.Operator):
    """Show Blender's preference “Allow Online Access”, which is off"""

    bl_idname = "scene_courier.open_online_preferences"
    bl_label = "Open Preferences"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """A switch given on the command line cannot be changed in the preferences."""
        if bpy.app.online_access_override:
            cls.poll_message_set("Blender was started with --offline-mode or --online-mode")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Open the preferences window at the System page."""
        if bpy.app.background:
            self.report({"ERROR"}, "There is no window to show the preferences in.")
            return {"CANCELLED"}
        context.preferences.active_section = "SYSTEM"
        bpy.ops.screen.userpref_show("INVOKE_DEFAULT", section="SYSTEM")
        return {"FINISHED"}


class SCENE_COURIER_OT_reveal_data_folder(bpy.types.Operator):
    """Show the folder that holds the job list and the jobs"""

    bl_idname = "scene_courier.reveal_data_folder"
    bl_label = "Open Data Folder"

    def execute(self, _context: bpy.types.Context) -> interface.Answer:
        """Open the data folder in the system's file browser."""
        return interface.reveal(self, session.current().home)


_CLASSES = (
    SCENE_COURIER_OT_send,
    SCENE_COURIER_OT_refresh,
    SCENE_COURIER_OT_dismiss,
    SCENE_COURIER_OT_open_online_preferences,
    SCENE_COURIER_OT_reveal_data_folder,
)


def register() -> None:
    """Register the operators."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take the operators back."""
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
