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
from .imports import render_facts, shoot_facts, ways
from .operators_jobs import JobOperator

#: what came back before a job failed or was canceled is worth importing too
ENDED = (State.DONE, State.FAILED, State.CANCELED)


def _ways(operator: Any, _context: Any) -> Any:
    """The ways of the job's service; all of them where the job is not known.

    A menu asks before it knows the job: it is the panel's, so the job is the picked one.
    """
    now = session.current()
    wanted = str(operator.job_id) or now.active_id
    job = now.jobs.get(wanted)
    if job is None and wanted:
        job = next((one for one in now.jobs.values() if one.id.startswith(wanted)), None)
    if job is None:
        return ways.EVERY_ITEMS
    return ways.STILL_ITEMS if shoot_facts.is_shoot(job) else ways.ITEMS


class SCENE_COURIER_OT_import_job(JobOperator, bpy.types.Operator):
    """Bring the result into this scene: an asset in its own collection, pictures as you choose"""

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
        name="As",
        description="As what frames and pictures come in; as the scene says if none is chosen",
        items=_ways,
        options={"ENUM_FLAG", "SKIP_SAVE"},
    )
    still: bpy.props.StringProperty(
        name="Picture",
        description="The file of the one picture to import; all of the job's if it is empty",
        options={"SKIP_SAVE", "HIDDEN"},
    )
    references_as: bpy.props.EnumProperty(
        name="References",
        description="What shows the pictures beside their product",
        items=(
            ("empty", "Image Empties", "Seen in every viewport, never rendered"),
            ("plane", "Image Planes", "Meshes that glow by themselves, rendered with the scene"),
        ),
        default="empty",
        options={"SKIP_SAVE"},
    )
    mark_assets: bpy.props.BoolProperty(
        name="Mark as Asset",
        description=(
            "Make assets of the products that are none yet, with product and template as tags"
        ),
        default=True,
        options={"SKIP_SAVE"},
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
        description="Show the picture in front of the objects instead of behind them",
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
            "Put the result where earlier imports of this job are used, and remove those. What you "
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

    def draw(self, context: bpy.types.Context) -> None:
        """What can still be changed after the click."""
        layout = self.layout
        layout.use_property_split = True
        if not self.ways:
            layout.prop(self, "placement")
            layout.prop(self, "source_after")
            return
        layout.column().prop(self, "ways")
        shoot = _ways(self, context) is ways.STILL_ITEMS
        if not shoot and self.ways & {ways.STRIP, ways.MOVIE}:
            layout.prop(self, "strips_in")
        if not shoot and ways.STRIP in self.ways:
            layout.prop(self, "missing")
        if ways.REFERENCE in self.ways:
            layout.prop(self, "references_as")
        if ways.PREVIEW in self.ways:
            layout.prop(self, "mark_assets")
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
            is_asset = not (shoot_facts.is_shoot(job) or render_facts.is_render(job))
            report = self._bring_in(context, job)
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
                job_id, (State.DONE,) if is_asset else ENDED, imported_at=imported_at, notes=notes
            )
        )
        now.import_problems.pop(job.id, None)
        now.click_problem = None
        pump.look()
        lost = " The job's details say what could not be kept." if report.lost else ""
        where = f"into “{report.collection}”" if is_asset else report.as_what()
        self.report({"INFO"}, f"Imported “{job.name}” {where}.{lost}")
        return {"FINISHED"}

    def _bring_in(self, context: bpy.types.Context, job: Job) -> Any:
        if shoot_facts.is_shoot(job):
            return self._import_pictures(context, job)
        if render_facts.is_render(job):
            return self._import_frames(context, job)
        return self._import(context, job)

    def _import_pictures(self, context: bpy.types.Context, job: Job) -> Any:
        from .imports.stills import import_pictures

        if not job.state.terminal or not shoot_facts.has_pictures(job):
            raise ProblemError(
                Category.INPUT,
                f"“{job.name}” has no pictures to import.",
                "Import is possible when a job has ended and stills or videos came back.",
            )
        facts = shoot_facts.facts_of(job)
        chosen = set(self.ways)
        if not chosen:
            wanted = ways.BY_ITSELF if self.quiet else _chosen_ways(context, shoot_facts.SERVICE)
            chosen = set(
                ways.fitting_pictures(
                    wanted, stills=bool(facts["stills"]), videos=bool(facts["videos"])
                )
            )
        self.ways = chosen  # the panel for changing it afterwards shows what was done
        return import_pictures(
            context,
            facts,
            chosen,
            name=job.name,
            job_id=job.id,
            sources=_sources(job),
            products=_products(job),
            only=self.still,
            replace=self.replace,
            references_as=self.references_as,
            mark_assets=self.mark_assets,
            alpha=self.alpha,
            front=self.front,
            push_undo=False,
        )

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
            chosen = _chosen_ways(context, "renderjuice") or set(ways.DEFAULT)
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


def _chosen_ways(context: bpy.types.Context, service: str) -> set[str]:
    """The scene's choice for a service, if it has one."""
    settings = getattr(properties.of_scene(context.scene), service, None)
    return set(getattr(settings, "import_ways", None) or ())


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


def _products(job: Job) -> list[dict[str, Any]]:
    """Where each product was when it was sent; nothing in another file."""
    rows = [row for row in job.origin.get("products") or [] if isinstance(row, dict)]
    if job.origin.get("session") == session.current().id:
        return rows
    same_file = bool(job.origin.get("blend")) and job.origin.get("blend") == bpy.data.filepath
    return [{**row, "identity": None} for row in rows] if same_file else []


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
