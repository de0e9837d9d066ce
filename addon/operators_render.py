# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of renders: which cameras, what to do about findings, further frames, adopting a job.

Those for one job take ``job_id`` like all others; each is one change of the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from ..bridge.jobs import DEFAULT_ACCOUNT, SANDBOX, Job
from ..bridge.problems import ProblemError
from . import fixing, interface, properties, properties_renderjuice, pump, session
from .operators_jobs import JobOperator, confirm, is_shoot

if TYPE_CHECKING:
    from ..bridge.store import Store


class SCENE_COURIER_OT_choose_cameras(bpy.types.Operator):
    """Tick or untick a camera. Each ticked camera becomes a job of its own"""

    bl_idname = "scene_courier.choose_cameras"
    bl_label = "Choose Cameras"
    bl_options = {"UNDO", "INTERNAL"}

    choice: bpy.props.EnumProperty(
        name="Choice",
        description="What to do with the ticks",
        items=(
            ("toggle", "Toggle", "Tick this camera, or take the tick away"),
            ("all", "All", "Tick all cameras of the scene"),
            ("none", "None", "Take all ticks away"),
        ),
        options={"SKIP_SAVE"},
    )
    camera: bpy.props.StringProperty(
        name="Camera", description="Which camera is ticked or not", options={"SKIP_SAVE"}
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        """A tooltip for each button."""
        return {
            "toggle": "Render through this camera too. Each ticked camera becomes a job",
            "all": "Tick all cameras of the scene. Each becomes a job",
            "none": "Take all ticks away",
        }[properties.choice]

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Change the list of names."""
        settings = properties.of_scene(context.scene).renderjuice
        chosen = settings.cameras
        if self.choice == "toggle":
            at = chosen.find(self.camera)
            if at >= 0:
                chosen.remove(at)
            else:
                chosen.add().name = self.camera
            return {"FINISHED"}
        chosen.clear()
        if self.choice == "all":
            for name in properties_renderjuice.facts_of(context, settings)["cameras"]:
                chosen.add().name = name
        return {"FINISHED"}


class SCENE_COURIER_OT_override_job(JobOperator, bpy.types.Operator):
    """Send this scene although the check found something that would spoil the render"""

    bl_idname = "scene_courier.override_job"
    bl_label = "Send Anyway"

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        """What is sent all the same."""
        if is_shoot(properties.job_id):
            return "Send the products although their size is unlikely"
        return cls.__doc__ or ""

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> interface.Answer:
        """Ask first: GPU minutes may be spent on frames that are wrong."""
        if is_shoot(self.job_id):
            # The size was the question, and the button is its answer.
            return self.execute(context)
        return confirm(
            self,
            context,
            event,
            "Send this scene anyway?",
            "What was found will probably show in the frames, and they are charged all the same.",
            "Send Anyway",
        )

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Let the job go on in spite of the findings."""

        def action(store: Store, job: Job) -> str | None:
            from ..bridge import followups

            followups.override(store, job.id)
            return None

        return self.act(context, action)


class SCENE_COURIER_OT_render_again(JobOperator, bpy.types.Operator):
    """Render more frames of the scene as it was sent, in a new job"""

    bl_idname = "scene_courier.render_again"
    bl_label = "Render More"

    frames: bpy.props.StringProperty(
        name="Frame Ranges",
        description=(
            "Frames such as 1-250,300, or “missing” for those that did not come back; all that "
            "the job stands for when empty"
        ),
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        """A tooltip for each button."""
        if properties.frames:
            return (
                "Render only the frames that are missing, in a new job of the same scene. They "
                "join the others in their folder"
            )
        return "Render all frames of the scene as it was sent, in a new job"

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Make the new job; it asks before it renders, like the first one."""
        asked = self.frames.strip()

        def action(store: Store, job: Job) -> str | None:
            from ..bridge import followups

            frames: str | None = asked or None
            if asked == "missing":
                frames = followups.missing(store, job)
                if not frames:
                    raise fixing.no_frames_missing(job)
            new = followups.again(store, job.id, frames=frames)
            session.current().active_id = new.id
            return f"A new job renders {frames or 'all frames'} of “{job.name}”."

        return self.act(context, action)


class SCENE_COURIER_OT_fix_finding(JobOperator, bpy.types.Operator):
    """Do what puts this finding right, or show where"""

    bl_idname = "scene_courier.fix_finding"
    bl_label = "Show"
    bl_options = {"UNDO"}

    index: bpy.props.IntProperty(
        name="Finding",
        description="Which finding of the job's report, from 0",
        default=0,
        min=0,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        """What this button would do."""
        job = session.current().jobs.get(properties.job_id)
        finding = fixing.finding(job, properties.index) if job is not None else None
        return fixing.tooltip(finding) if finding is not None else "Show what this is about"

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Act in the open file; the job itself stays as it is."""
        now = session.current()
        try:
            job = now.jobs.get(self.job_id) or now.open_store().find(self.job_id)
            message = fixing.fix(context, job, self.index)
        except ProblemError as error:
            interface.report_problem(self, error.problem)
            return {"CANCELLED"}
        except session.database().OperationalError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if message:
            self.report({"INFO"}, message)
        interface.redraw(context)
        return {"FINISHED"}


class SCENE_COURIER_OT_adopt(bpy.types.Operator):
    """Follow this job here, and fetch its frames when they are ready"""

    bl_idname = "scene_courier.adopt"
    bl_label = "Adopt"

    service: bpy.props.EnumProperty(
        name="Service",
        description="Where the job is",
        items=(("renderjuice", "Renderjuice", ""),),
        options={"SKIP_SAVE"},
    )
    account: bpy.props.EnumProperty(
        name="Account",
        description="Whose job it is",
        items=((DEFAULT_ACCOUNT, "My Account", ""), (SANDBOX, "Sandbox on This Computer", "")),
        options={"SKIP_SAVE"},
    )
    remote_id: bpy.props.StringProperty(
        name="Job at the Service",
        description="The id that the service gave the job",
        options={"SKIP_SAVE"},
    )
    name: bpy.props.StringProperty(
        name="Name", description="What the job is called here", options={"SKIP_SAVE"}
    )

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Put the job into the list; the worker goes on with it."""
        from . import sending

        now = session.current()
        service, account = self.service, self.account
        remote_id, name = self.remote_id, self.name
        folder = sending.results_folder(
            properties.of_scene(context.scene).results_folder, name, remote_id[:8]
        )

        def action(store: Store) -> str:
            from ..bridge import followups

            job = followups.adopt(
                store,
                service,
                account,
                remote_id,
                name,
                results_dir=str(folder or ""),
                source="blender",
            )
            now.active_id = job.id
            return f"“{job.name}” is followed here now."

        try:
            message = now.write(action)
        except ProblemError as error:
            now.click_problem = error.problem
            interface.report_problem(self, error.problem)
            interface.redraw(context)
            return {"CANCELLED"}
        now.click_problem = None
        now.wake_worker(at_once=True)
        pump.look()
        if isinstance(message, str):
            self.report({"INFO"}, message)
        return {"FINISHED"}


_CLASSES = (
    SCENE_COURIER_OT_choose_cameras,
    SCENE_COURIER_OT_override_job,
    SCENE_COURIER_OT_render_again,
    SCENE_COURIER_OT_fix_finding,
    SCENE_COURIER_OT_adopt,
)


def register() -> None:
    """Register the operators."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take the operators back."""
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
