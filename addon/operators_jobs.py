# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators for one job: what people can do to it after it was sent.

All take ``job_id`` (the beginning is enough), so that a script can do what a click does. Each is
one change of the store; the worker acts on it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ..bridge import paths
from ..bridge.jobs import Job, State
from ..bridge.problems import Category, Problem, ProblemError
from ..bridge.words import credits_text
from . import interface, pump, session

if TYPE_CHECKING:
    from ..bridge.store import Store


class _JobOperator:
    """What the operators of a job share: finding it, telling what went wrong."""

    job_id: bpy.props.StringProperty(
        name="Job",
        description="The job's id, or enough of its beginning",
        options={"SKIP_SAVE"},
    )

    def act(
        self, context: bpy.types.Context, action: Callable[[Store, Job], str | None]
    ) -> interface.Answer:
        """Run ``action(store, job)`` on the job as it is now; report its answer or the problem."""
        now = session.current()
        operator: Any = self
        try:
            store = now.open_store()
            message = action(store, store.find(operator.job_id))
        except ProblemError as error:
            now.click_problem = error.problem
            interface.report_problem(operator, error.problem)
            interface.redraw(context)
            return {"CANCELLED"}
        except session.database().OperationalError as error:
            busy = Problem(
                Category.DISK, "The job list is busy at the moment.", "Try again.", str(error)
            )
            interface.report_problem(operator, busy)
            return {"CANCELLED"}
        now.click_problem = None
        now.stale()
        pump.tick()
        if message:
            operator.report({"INFO"}, message)
        return {"FINISHED"}


def _confirm(
    operator: bpy.types.Operator,
    context: bpy.types.Context,
    event: bpy.types.Event,
    title: str,
    message: str,
    button: str,
) -> interface.Answer:
    return context.window_manager.invoke_confirm(
        operator, event, title=title, message=message, confirm_text=button, icon="WARNING"
    )


class SCENE_COURIER_OT_cancel_job(_JobOperator, bpy.types.Operator):
    """Stop this job. What the service has already begun may go on there and be charged"""

    bl_idname = "scene_courier.cancel_job"
    bl_label = "Cancel"

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Ask the worker to stop the job."""

        def action(store: Store, job: Job) -> str | None:
            from ..bridge import commands

            commands.cancel(store, job.id)
            session.current().wake_worker(at_once=True)
            if job.remote_id and not job.sandboxed and not job.state.terminal:
                return "Canceled here. The conversion goes on at Rigyd and is charged there."
            return None

        return self.act(context, action)


class SCENE_COURIER_OT_retry_job(_JobOperator, bpy.types.Operator):
    """Go on from the last step that worked. A new paid attempt asks for your approval first"""

    bl_idname = "scene_courier.retry_job"
    bl_label = "Retry"

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Queue the job again."""

        def action(store: Store, job: Job) -> str | None:
            from ..bridge import commands

            commands.retry(store, job.id)
            session.current().wake_worker(at_once=True)
            return None

        return self.act(context, action)


class SCENE_COURIER_OT_approve_job(_JobOperator, bpy.types.Operator):
    """Agree to the price of this job; only then is it sent to the service"""

    bl_idname = "scene_courier.approve_job"
    bl_label = "Approve"

    credits: bpy.props.FloatProperty(
        name="Credits",
        description="The price that you agree to. If it has risen since, nothing is approved",
        default=-1.0,
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Agree, if the price is still the one that was shown."""

        def action(store: Store, job: Job) -> str | None:
            from ..bridge import commands

            price = job.price
            if price is not None and self.credits >= 0 and price > self.credits:
                raise ProblemError(
                    Category.CREDITS,
                    f"The price is {credits_text(price)} now.",
                    "Look at it again before you approve it.",
                )
            commands.approve(store, job.id)
            session.current().wake_worker(at_once=True)
            return None

        return self.act(context, action)


class SCENE_COURIER_OT_resolve_job(_JobOperator, bpy.types.Operator):
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
        description="The id that the service's own web page shows for this conversion",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        """One operator, two buttons, two tooltips."""
        if properties.decision == "again":
            return (
                "Send this job once more. If the first request did arrive, the service charges both"
            )
        return "Go on with the conversion that the service already has; you give its id"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> interface.Answer:
        """Ask for the id, or whether it is really to be sent again."""
        if self.decision == "again":
            return _confirm(
                self,
                context,
                event,
                "Send this job again?",
                "Look at the service's list first: if the first request did arrive there, "
                "you pay twice.",
                "Send Again",
            )
        return context.window_manager.invoke_props_dialog(self, width=360)

    def draw(self, _context: bpy.types.Context) -> None:
        """The dialog for the id."""
        layout = self.layout
        layout.label(text="Which conversion at the service is it?")
        layout.prop(self, "remote_id", text="Its id")

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Tell the worker the decision."""

        def action(store: Store, job: Job) -> str | None:
            from ..bridge import commands

            again = self.decision == "again"
            if not again and not self.remote_id.strip():
                raise ProblemError(
                    Category.INPUT,
                    "No id was given.",
                    "Open the service's web page and copy the id of the conversion.",
                )
            commands.resolve_in_doubt(
                store, job.id, remote_id=None if again else self.remote_id, send_again=again
            )
            session.current().wake_worker(at_once=True)
            return None

        return self.act(context, action)


class SCENE_COURIER_OT_forget_job(_JobOperator, bpy.types.Operator):
    """Remove this job from the list, with its folder. Results that lie elsewhere stay"""

    bl_idname = "scene_courier.forget_job"
    bl_label = "Forget"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> interface.Answer:
        """Ask first: the folder holds what was sent."""
        job = session.current().jobs.get(self.job_id)
        name = job.name if job else "this job"
        return _confirm(
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


class SCENE_COURIER_OT_reveal_job(_JobOperator, bpy.types.Operator):
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


class SCENE_COURIER_OT_import_job(_JobOperator, bpy.types.Operator):
    """Bring the result into this scene, in a collection of its own"""

    bl_idname = "scene_courier.import_job"
    bl_label = "Import"
    bl_options = {"REGISTER", "UNDO"}

    placement: bpy.props.EnumProperty(
        name="Place",
        description="Where the result stands",
        items=(
            ("sent", "As Sent", "As it was set when the job was sent"),
            ("source", "At the Source", "Where the sent objects stood"),
            ("cursor", "At the 3D Cursor", "Where the 3D cursor is"),
        ),
        default="sent",
        options={"SKIP_SAVE"},
    )
    source_after: bpy.props.EnumProperty(
        name="Source",
        description="What happens to the objects that were sent",
        items=(
            ("sent", "As Sent", "As it was set when the job was sent"),
            ("hide", "Hide", "Hide the sent objects"),
            ("keep", "Keep", "Leave the sent objects as they are"),
        ),
        default="sent",
        options={"SKIP_SAVE"},
    )
    quiet: bpy.props.BoolProperty(
        name="Quiet",
        description="Keep what goes wrong in the panel instead of reporting it",
        default=False,
        options={"SKIP_SAVE", "HIDDEN"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Edit modes hold data that an import would disturb."""
        if context.mode != "OBJECT":
            cls.poll_message_set("Change to Object Mode to import a result")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Import the USD of a finished job and mark it as imported."""
        now = session.current()
        try:
            store = now.open_store()
            job = store.find(self.job_id)
            self.job_id = job.id
            report = self._import(context, job)
        except ProblemError as error:
            return self._failed(context, now, error.problem)
        except session.database().OperationalError as error:
            busy = Problem(Category.DISK, "The job list is busy.", "Import again.", str(error))
            return self._failed(context, now, busy)
        except (RuntimeError, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            broken = Problem(
                Category.BLENDER,
                "The result could not be imported.",
                "The files are in the results folder; please report this with the job's log.",
                f"{type(error).__name__}: {error}",
            )
            return self._failed(context, now, broken)
        said = [*report.lost, *report.notes]
        notes = job.notes + [text for text in said if text not in job.notes]
        self._mark(store, job, notes)
        now.import_problems.pop(job.id, None)
        now.click_problem = None
        now.stale()
        pump.tick()
        lost = " The job's details say what could not be kept." if report.lost else ""
        self.report({"INFO"}, f"Imported “{job.name}” into “{report.collection}”.{lost}")
        return {"FINISHED"}

    def _import(self, context: bpy.types.Context, job: Job) -> Any:
        from .imports.simready import import_simready

        found = [result.path for result in job.results if result.kind == "usd"]
        if job.state is not State.DONE or not found:
            raise ProblemError(
                Category.INPUT,
                f"“{job.name}” has no USD result to import.",
                "Import is possible when a job is done and its result format includes USD.",
            )
        if not os.path.isfile(found[0]):
            raise ProblemError(
                Category.DISK,
                "The result is not where it was put.",
                f"Bring the file back, or send the job again: “{found[0]}”.",
                found[0],
            )
        sent = job.origin.get("placement") or {}
        mode = self.placement if self.placement != "sent" else str(sent.get("mode") or "cursor")
        # At the cursor means where the cursor is now; only the source's place was noted.
        location = sent.get("location") if mode == "source" else None
        placement = (mode if location is not None else "cursor", location)
        after = self.source_after
        if after == "sent":
            after = str(job.origin.get("source_after") or "keep")
        # Names mean something only in the file that the job was sent from.
        same_file = job.origin.get("session") == session.current().id or (
            bool(job.origin.get("blend")) and job.origin.get("blend") == bpy.data.filepath
        )
        return import_simready(
            context,
            found[0],
            name=job.name,
            placement=placement,
            source=(after, list(job.origin.get("objects") or []) if same_file else []),
            job_id=job.id,
            push_undo=False,
            fallback_mesh=_mesh(session.current().home, job),
            textures_from=job.results_dir or None,
        )

    def _mark(self, store: Store, job: Job, notes: list[str]) -> None:
        try:
            store.update_job_if(job.id, (State.DONE,), imported_at=time.time(), notes=notes)
        except session.database().OperationalError:
            # The import itself is there; at worst the list still offers the button.
            session.current().import_tried.add(job.id)

    def _failed(
        self, context: bpy.types.Context, now: session.Session, problem: Problem
    ) -> interface.Answer:
        now.import_problems[self.job_id] = problem
        if not self.quiet:
            interface.report_problem(self, problem)
        interface.redraw(context)
        return {"CANCELLED"}


def _mesh(home: Path, job: Job) -> str | None:
    """A mesh to import where this Blender reads no USD: one that came back, else what was sent."""
    found = [result.path for result in job.results if result.kind == "mesh"]
    package = paths.job_folder(home, job.id) / "package"
    found += [str(path) for path in sorted(package.glob("*.glb"))]
    return found[0] if found else None


_CLASSES = (
    SCENE_COURIER_OT_cancel_job,
    SCENE_COURIER_OT_retry_job,
    SCENE_COURIER_OT_approve_job,
    SCENE_COURIER_OT_resolve_job,
    SCENE_COURIER_OT_forget_job,
    SCENE_COURIER_OT_reveal_job,
    SCENE_COURIER_OT_import_job,
)


def register() -> None:
    """Register the operators."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take the operators back."""
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
