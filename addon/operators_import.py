# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator that brings a finished result into the scene; the only one that changes the scene.

The timer calls it too, when a job of this very session is done. The work itself is in ``imports``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import bpy

from ..bridge import paths
from ..bridge.jobs import Job, State
from ..bridge.problems import Category, Problem, ProblemError
from . import interface, properties, pump, session
from .imports import render_facts, ways
from .operators_jobs import JobOperator

#: frames that came back before a job failed or was canceled are worth importing too
ENDED = (State.DONE, State.FAILED, State.CANCELED)


class SCENE_COURIER_OT_import_job(JobOperator, bpy.types.Operator):
    """Bring the result into this scene: an asset in its own collection, frames as you choose"""

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
    ways: bpy.props.EnumProperty(
        name="Frames",
        description="As what frames come in; as the scene's settings say if none is chosen",
        items=ways.ITEMS,
        options={"ENUM_FLAG", "SKIP_SAVE"},
        default=set(),
    )
    strips_in: bpy.props.EnumProperty(
        name="Strips",
        description="Which scene's Video Sequencer gets the strips",
        items=(
            ("scene", "In This Scene", "The scene that is open"),
            ("new", "In a New Scene", "A scene for editing, with the job's frame rate and size"),
        ),
        default="scene",
        options={"SKIP_SAVE"},
    )
    missing: bpy.props.EnumProperty(
        name="Missing Frames",
        description="What a strip shows where a frame is missing",
        items=(
            ("hold", "Hold", "The frame before it"),
            ("gap", "Gap", "Nothing: there is a strip for each run of frames"),
        ),
        default="hold",
        options={"SKIP_SAVE"},
    )
    front: bpy.props.BoolProperty(
        name="In Front",
        description="Show the frames in front of the objects instead of behind them",
        default=False,
        options={"SKIP_SAVE"},
    )
    alpha: bpy.props.FloatProperty(
        name="Opacity",
        description="Opacity of the camera background",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        options={"SKIP_SAVE"},
    )
    replace: bpy.props.BoolProperty(
        name="Replace",
        description=(
            "Put the frames where earlier imports of this job are used, and remove those. What you "
            "have renamed stays"
        ),
        default=False,
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

    def draw(self, _context: bpy.types.Context) -> None:
        """What can still be changed after the click."""
        layout = self.layout
        layout.use_property_split = True
        if not self.ways:
            layout.prop(self, "placement")
            layout.prop(self, "source_after")
            return
        layout.column().prop(self, "ways")
        if self.ways & {ways.STRIP, ways.MOVIE}:
            layout.prop(self, "strips_in")
        if ways.STRIP in self.ways:
            layout.prop(self, "missing")
        if ways.BACKGROUND in self.ways:
            layout.prop(self, "alpha")
            layout.prop(self, "front")
        layout.prop(self, "replace")

    def execute(self, context: bpy.types.Context) -> interface.Answer:
        """Import what a job brought back and mark it as imported."""
        now = session.current()
        try:
            store = now.open_store()
            job = store.find(self.job_id)
            self.job_id = job.id
            is_render = render_facts.is_render(job)
            report = self._import_frames(context, job) if is_render else self._import(context, job)
        except ProblemError as error:
            return self._failed(context, now, error.problem)
        except session.database().OperationalError as error:
            busy = Problem(Category.DISK, "The job list is busy.", "Import again.", str(error))
            return self._failed(context, now, busy)
        except session.database().Error as error:
            return self._failed(context, now, session.unreadable(error))
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
        job_id, imported_at = job.id, time.time()
        now.import_tried.add(job_id)
        now.write(
            lambda store: store.update_job_if(
                job_id, ENDED if is_render else (State.DONE,), imported_at=imported_at, notes=notes
            )
        )
        now.import_problems.pop(job.id, None)
        now.click_problem = None
        pump.look()
        lost = " The job's details say what could not be kept." if report.lost else ""
        where = report.as_what() if is_render else f"into “{report.collection}”"
        self.report({"INFO"}, f"Imported “{job.name}” {where}.{lost}")
        return {"FINISHED"}

    def _import_frames(self, context: bpy.types.Context, job: Job) -> Any:
        from .imports.renders import import_frames

        if not job.state.terminal or not render_facts.has_frames(job):
            raise ProblemError(
                Category.INPUT,
                f"“{job.name}” has no frames to import.",
                "Import is possible when a job has ended and frames came back.",
            )
        facts = render_facts.facts_of(job)
        chosen = set(self.ways)
        if not chosen and self.quiet:
            chosen = set(ways.BY_ITSELF)
        elif not chosen:
            chosen = _chosen_ways(context)
            chosen = set(
                ways.fitting(
                    chosen,
                    frames=bool(facts["frames"] or facts["passes"]),
                    videos=bool(facts["videos"]),
                )
            )
        self.ways = chosen  # the panel for changing it afterwards shows what was done
        return import_frames(
            context,
            facts,
            chosen,
            name=job.name,
            job_id=job.id,
            replace=self.replace,
            strips_in=self.strips_in,
            hold=self.missing == "hold",
            alpha=self.alpha,
            front=self.front,
            push_undo=False,
        )

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
        return import_simready(
            context,
            found[0],
            name=job.name,
            placement=placement,
            source=(after, _sources(job)),
            job_id=job.id,
            # What comes in by itself must not take the artist's selection away.
            select=not self.quiet,
            push_undo=False,
            fallback_mesh=_mesh(session.current().home, job),
            textures_from=job.results_dir or None,
        )

    def _failed(
        self, context: bpy.types.Context, now: session.Session, problem: Problem
    ) -> interface.Answer:
        now.import_problems[self.job_id] = problem
        if not self.quiet:
            interface.report_problem(self, problem)
        interface.redraw(context)
        return {"CANCELLED"}


def _chosen_ways(context: bpy.types.Context) -> set[str]:
    """The scene's choice, if it has one."""
    settings = getattr(properties.of_scene(context.scene), "renderjuice", None)
    return set(getattr(settings, "import_ways", None) or ways.DEFAULT)


def _sources(job: Job) -> list[Any]:
    """What was sent, as far as it is known here: by identity in the session that sent it.

    Names mean something only in the file that the job was sent from.
    """
    names = list(job.origin.get("objects") or [])
    identities = list(job.origin.get("identities") or [])
    if job.origin.get("session") == session.current().id:
        return list(zip(names, identities, strict=True)) if identities else names
    same_file = bool(job.origin.get("blend")) and job.origin.get("blend") == bpy.data.filepath
    return names if same_file else []


def _mesh(home: Path, job: Job) -> str | None:
    """A mesh to import where this Blender reads no USD: a glTF that came back, else the one sent.

    Not just any mesh of the results: an MJCF package has one for each collider.
    """
    found = [result.path for result in job.results if result.path.endswith((".glb", ".gltf"))]
    package = paths.job_folder(home, job.id) / "package"
    found += [str(path) for path in sorted(package.glob("*.glb"))]
    return found[0] if found else None


def register() -> None:
    """Register the operator."""
    bpy.utils.register_class(SCENE_COURIER_OT_import_job)


def unregister() -> None:
    """Take the operator back."""
    bpy.utils.unregister_class(SCENE_COURIER_OT_import_job)
