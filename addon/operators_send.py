# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators around sending: Send itself, and what the panel offers before anything is sent.

No operator has a property for a key: what is in a property shows in Info, history and crash logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ..bridge.jobs import DEFAULT_ACCOUNT, SANDBOX
from ..bridge.problems import ProblemError
from ..bridge.words import credits_text
from . import capture, interface, preferences, properties, pump, session

if TYPE_CHECKING:
    from . import sending

SERVICE_LABELS = {"rigyd": "Rigyd"}


def price_sentence(price: float | None, jobs: int) -> str:
    """What pressing Send costs, in a sentence; "" when it costs nothing."""
    if price is None:
        return "The price is not known yet; nothing is charged before you approve it."
    if price == 0:
        return ""
    if jobs == 1:
        return f"This costs {credits_text(price)}."
    return f"This costs {credits_text(price * jobs)}: {jobs} jobs, {credits_text(price)} each."


class SCENE_COURIER_OT_send(bpy.types.Operator):
    """Copy the scene and send the selected objects; you can go on working at once"""

    bl_idname = "scene_courier.send"
    bl_label = "Send"
    bl_options = {"REGISTER"}

    service: bpy.props.EnumProperty(
        name="Service",
        description="Who does the work; the scene's choice if not given",
        items=(("scene", "As Set in the Scene", ""), ("rigyd", "Rigyd", "")),
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
            "The price for each job that was shown and agreed to. Below zero: none, so a job that "
            "costs something waits for your approval"
        ),
        default=-1.0,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Something must be selected."""
        if context.view_layer is None or not context.view_layer.objects.selected:
            cls.poll_message_set("Select the objects that should be sent")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> interface.Answer:
        """A click: several paid jobs at once are asked about first."""
        order = self._order(context)
        jobs = len(capture.exportable(context)) if order.per_object else 1
        if jobs <= 1:
            return self.execute(context)
        price = session.current().answers.price(order.service, order.account)
        label = SERVICE_LABELS[order.service]
        return context.window_manager.invoke_confirm(
            self,
            event,
            title=f"Send {jobs} objects as {jobs} jobs to {label}?",
            message=price_sentence(price, jobs) or "This costs nothing.",
            confirm_text=f"Send {jobs} Jobs",
        )

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Capture and queue; reports what was sent or why not."""
        # Here, not above: enabling the extension must not pay for what only Send needs.
        from . import sending

        now = session.current()
        try:
            jobs = sending.send(context, now, self._order(context))
        except ProblemError as error:
            now.click_problem = error.problem
            interface.redraw(context)
            interface.report_problem(self, error.problem)
            return {"CANCELLED"}
        now.click_problem = None
        now.wake_worker(at_once=True)
        pump.look()
        where = "the sandbox" if jobs[0].sandboxed else SERVICE_LABELS[jobs[0].service]
        what = f"“{jobs[0].name}”" if len(jobs) == 1 else f"{len(jobs)} jobs"
        self.report({"INFO"}, f"Sent {what} to {where}. You can go on working.")
        return {"FINISHED"}

    def _order(self, context: bpy.types.Context) -> sending.Order:
        from . import sending

        settings = properties.of_scene(context.scene)
        service = settings.service if self.service == "scene" else self.service
        account = self.account
        if account == "panel":
            account = session.current().account(service, preferences.get(context).account)
        return sending.Order(
            service=service,
            account=account,
            options=getattr(settings, service).chosen(),
            per_object=settings.per_object,
            placement=settings.placement,
            source_after=settings.source_after,
            results_folder=settings.results_folder,
            agreed_credits=self.agreed_credits if self.agreed_credits >= 0 else None,
        )


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
