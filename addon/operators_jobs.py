# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators for one job: what people can do to it after it was sent.

All take ``job_id`` (the beginning is enough), so that a script can do what a click does. Each is
one change of the store; the worker acts on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ..bridge import paths
from ..bridge.jobs import Job
from ..bridge.problems import Category, ProblemError
from ..bridge.words import credits_text
from . import interface, pump, session

if TYPE_CHECKING:
    from ..bridge.store import Store


class JobOperator:
    """What the operators of a job share: finding it, telling what went wrong."""

    job_id: bpy.props.StringProperty(
        name="Job",
        description="The job's id, or enough of its beginning",
        options={"SKIP_SAVE"},
    )

    def act(
        self, context: bpy.types.Context, action: Callable[[Store, Job], str | None]
    ) -> interface.Answer:
        """Run ``action(store, job)`` on the job as it is now; report its answer or the problem.

        ``action`` must not touch bpy or the operator: it may run in a thread a moment later.
        """
        now = session.current()
        operator: Any = self
        wanted = str(operator.job_id)
        try:
            message = now.write(lambda store: action(store, store.find(wanted)))
        except ProblemError as error:
            now.click_problem = error.problem
            interface.report_problem(operator, error.problem)
            interface.redraw(context)
            return {"CANCELLED"}
        now.click_problem = None
        now.wake_worker(at_once=True)
        pump.look()
        if isinstance(message, str):
            operator.report({"INFO"}, message)
        return {"FINISHED"}


def is_shoot(job_id: str) -> bool:
    """Whether this job is one of product pictures."""
    job = session.current().jobs.get(job_id)
    return job is not None and job.service == "glossi"


def _doubtful(job_id: str) -> str:
    """What Glossi may have made when its answer was lost: projects come before renders."""
    job = session.current().jobs[job_id]
    rows = job.report.get("products") or []
    return "render jobs" if any(row.get("project_id") for row in rows) else "projects"


def confirm(
    operator: bpy.types.Operator,
    context: bpy.types.Context,
    event: bpy.types.Event,
    title: str,
    message: str,
    button: str,
) -> interface.Answer:
    """Ask "title" with a message below it; the operator runs when ``button`` is pressed."""
    return context.window_manager.invoke_confirm(
        operator, event, title=title, message=message, confirm_text=button, icon="WARNING"
    )


class SCENE_COURIER_OT_cancel_job(JobOperator, bpy.types.Operator):
    """Stop this job. What the service has already begun may go on there and be charged"""

    bl_idname = "scene_courier.cancel_job"
    bl_label = "Cancel"

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Ask the worker to stop the job."""

        def action(store: Store, job: Job) -> str | None:
            from ..bridge import commands
            from ..bridge.services import SERVICES

            commands.cancel(store, job.id)
            service = SERVICES[job.service]
            if not job.remote_id or job.sandboxed or job.state.terminal:
                return None
            if service.cancel_at:
                return f"{service.label} is told to stop. What was rendered until then is charged."
            return f"Canceled here. It goes on at {service.label} and is charged there."

        return self.act(context, action)


class SCENE_COURIER_OT_retry_job(JobOperator, bpy.types.Operator):
    """Go on from the last step that worked. A new paid attempt asks for your approval first"""

    bl_idname = "scene_courier.retry_job"
    bl_label = "Retry"

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        """Part of a job can be started again without a new yes: the click is one."""
        job = session.current().jobs.get(properties.job_id)
        if job is not None and job.report.get("retry_steps"):
            return (
                "Have only those renders started again that failed. What came back stays; the "
                "service may charge for what it renders"
            )
        return cls.__doc__ or ""

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Queue the job again."""

        def action(store: Store, job: Job) -> str | None:
            from ..bridge import commands

            commands.retry(store, job.id)
            return None

        return self.act(context, action)


class SCENE_COURIER_OT_approve_job(JobOperator, bpy.types.Operator):
    """Agree to what this job waits for; only then does it go on"""

    bl_idname = "scene_courier.approve_job"
    bl_label = "Approve"

    credits: bpy.props.FloatProperty(
        name="Credits",
        description="The price that you agree to. If it has risen since, nothing is approved",
        default=-1.0,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        """A price, or GPU minutes that nobody can tell beforehand."""
        if is_shoot(properties.job_id):
            return "Start rendering. What Glossi charges for it is not told beforehand"
        if properties.credits < 0:
            return "Start rendering. It is charged in GPU minutes of your plan"
        return "Agree to the price of this job; only then is it sent to the service"

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Agree, if the price is still the one that was shown."""

        shown = self.credits

        def action(store: Store, job: Job) -> str | None:
            from ..bridge import commands

            price = job.price
            if price is not None and 0 <= shown < price * (1 - 1e-6):
                raise ProblemError(
                    Category.CREDITS,
                    f"The price is {credits_text(price)} now.",
                    "Look at it again before you approve it.",
                )
            commands.approve(store, job.id)
            return None

        return self.act(context, action)


class SCENE_COURIER_OT_resolve_job(JobOperator, bpy.types.Operator):
    """Say what became of a paid request whose answer was lost"""

    bl_idname = "scene_courier.resolve_job"
    bl_label = "Resolve"

    decision: bpy.props.EnumProperty(
        name="Decision",
        description="What became of the request",
        items=(
            ("found", "It Is This One", "The service has it: give its id there"),
            ("again", "Send Again", "The service does not have it: send it once more"),
        ),
        default="found",
        options={"SKIP_SAVE"},
    )
    remote_id: bpy.props.StringProperty(
        name="Job at the Service",
        description=(
            "The id that the service's own web page shows for this conversion; for product "
            "pictures several with commas between them"
        ),
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        """One operator, two buttons, two tooltips."""
        if is_shoot(properties.job_id) and properties.decision == "found":
            return (
                f"Go on with the {_doubtful(properties.job_id)} that Glossi has; you give the ids"
            )
        if properties.decision == "again":
            return (
                "Send this job once more. If the first request did arrive, the service charges both"
            )
        return "Go on with the conversion that the service already has; you give its id"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> interface.Answer:
        """Ask for the id, or whether it is really to be sent again."""
        shoot = is_shoot(self.job_id)
        if self.decision == "again":
            where = "on Glossi's website" if shoot else "at the service's list"
            return confirm(
                self,
                context,
                event,
                "Send this job again?",
                f"Look {where} first: if the first request did arrive there, you pay twice.",
                "Send Again",
            )
        what = f"Which {_doubtful(self.job_id)} are they?" if shoot else "Which conversion is it?"
        return context.window_manager.invoke_props_dialog(
            self, width=360, title=what, confirm_text="Follow This One"
        )

    def draw(self, _context: bpy.types.Context) -> None:
        """The dialog for the id."""
        layout = self.layout
        if is_shoot(self.job_id):
            what = _doubtful(self.job_id)
            layout.label(text=f"Enter the ids of Glossi's {what}, with commas between them.")
            layout.prop(self, "remote_id", text="Ids")
            return
        layout.label(text="The service's own web page shows the id of each conversion.")
        layout.prop(self, "remote_id", text="Id")

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Tell the worker the decision."""

        again, remote_id = self.decision == "again", self.remote_id.strip()

        def action(store: Store, job: Job) -> str | None:
            from ..bridge import commands

            if not again and not remote_id:
                raise ProblemError(
                    Category.INPUT,
                    "No id was given.",
                    "Open the service's web page and copy the id of the conversion.",
                )
            commands.resolve_in_doubt(
                store, job.id, remote_id=None if again else remote_id, send_again=again
            )
            return None

        return self.act(context, action)


class SCENE_COURIER_OT_forget_job(JobOperator, bpy.types.Operator):
    """Remove this job from the list, with its folder. Results that lie elsewhere stay"""

    bl_idname = "scene_courier.forget_job"
    bl_label = "Forget"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> interface.Answer:
        """Ask first: the folder holds what was sent."""
        job = session.current().jobs.get(self.job_id)
        name = job.name if job else "this job"
        return confirm(
            self,
            context,
            event,
            f"Forget “{name}”?",
            "Its copy of the scene is deleted. Results in your own folders stay.",
            "Forget",
        )

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Remove the ended job."""
        from ..bridge import commands

        return self.act(context, lambda store, job: commands.forget(store, job.id))


class SCENE_COURIER_OT_reveal_job(JobOperator, bpy.types.Operator):
    """Show this job's files in the system's file browser"""

    bl_idname = "scene_courier.reveal_job"
    bl_label = "Reveal Folder"

    what: bpy.props.EnumProperty(
        name="What",
        description="Which of the job's folders",
        items=(
            ("results", "Results", "What came back"),
            ("mjcf", "MJCF", "The MuJoCo package"),
            ("job", "Job", "What was sent, and the job's log"),
        ),
        default="results",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        """A tooltip for each folder."""
        return {
            "results": "Show the folder with the results",
            "mjcf": "Show the folder with the MuJoCo package",
            "job": "Show the folder with what was sent and the job's log",
        }[properties.what]

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Open the folder."""
        now = session.current()
        job = now.jobs.get(self.job_id)
        try:
            job = job or now.open_store().find(self.job_id)
        except (ProblemError, session.database().OperationalError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return interface.reveal(self, job_place(now.home, job, self.what))


def job_place(home: Path, job: Job, what: str) -> Path:
    """The folder to show; the job's own when there are no such results."""
    own = paths.job_folder(home, job.id)
    if what == "mjcf":
        found = [result.path for result in job.results if result.kind == "mjcf"]
        return Path(found[0]).parent if found else own
    if what == "results" and job.results and os.path.isdir(job.results_dir):
        return Path(job.results_dir)
    return own


_CLASSES = (
    SCENE_COURIER_OT_cancel_job,
    SCENE_COURIER_OT_retry_job,
    SCENE_COURIER_OT_approve_job,
    SCENE_COURIER_OT_resolve_job,
    SCENE_COURIER_OT_forget_job,
    SCENE_COURIER_OT_reveal_job,
)


def register() -> None:
    """Register the operators."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take the operators back."""
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
