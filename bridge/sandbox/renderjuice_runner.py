# SPDX-License-Identifier: GPL-3.0-or-later
"""Works Renderjuice's two queues: validations, and renders, which wait their turn in ``booting``.

    validating -> validated            booting -> rendering -> finalizing -> completed

Every change is in the database before the next begins. After a restart a validation begins anew and
a render goes on where it was: frames that are there are not rendered again. A job that three times
in a row ended with the sandbox, without one more frame, fails: it may be what ends the sandbox.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..problems import Canceled, Category, ProblemError
from . import renderjuice_config, renderjuice_fate, renderjuice_outputs, renderjuice_scene
from .jobs import now_iso
from .renderjuice_jobs import Render, RenderStore
from .renderjuice_meter import Meter
from .renderjuice_work import Renderer, SceneWork

LOG = logging.getLogger("scene_courier.sandbox")
VALIDATION = ("validating",)
RENDERING = ("booting", "rendering", "finalizing")
_MAX_INTERRUPTIONS = 3
_VALIDATION_SECONDS = 1800.0


class _Fails(Exception):
    """The job fails with this ``failedReason``."""

    def __init__(self, reason: dict[str, str]) -> None:
        super().__init__(reason["name"])
        self.reason = reason


class _Stuck(Exception):
    """A fault plan keeps the job where it is."""


class RenderRunner:
    """Threads that validate and render. ``folder(job id)`` is a job's folder, ``upload(slug)`` the
    file of an upload; ``on_end`` hears of each job that it brought to an end.
    """

    def __init__(
        self,
        store: RenderStore,
        renderer: Renderer,
        *,
        folder: Callable[[str], Path],
        upload: Callable[[str], Path],
        ways: Callable[[], dict[str, Any]],
        on_end: Callable[[Render], None],
        parallel: int = 1,
        timeout: float = 86_400.0,
    ) -> None:
        self._store = store
        self._renderer = renderer
        self._folder = folder
        self._upload = upload
        self._ways = ways
        self._on_end = on_end
        self._timeout = timeout
        self._wake = threading.Condition()
        self._claimed: set[str] = set()
        self._cancels: dict[str, float] = {}
        self._stopping = threading.Event()
        kinds = [VALIDATION] + [RENDERING] * parallel
        self._threads = [
            threading.Thread(target=self._work, args=(kind,), name=f"sandbox-{kind[0]}-{number}",
                             daemon=True)
            for number, kind in enumerate(kinds)
        ]  # fmt: skip

    def start(self) -> None:
        """Note which jobs the last run interrupted, then begin."""
        for record in self._store.in_phase(*VALIDATION, *RENDERING):
            if record.private.get("running"):
                self._store.change(record.id, _interrupted)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop what runs (its Blender is killed); the jobs stay where they are."""
        self._stopping.set()
        self.wake()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(15)

    def wake(self) -> None:
        """There is something new."""
        with self._wake:
            self._wake.notify_all()

    def cancel(self, identifier: str, after: float = 0.0) -> None:
        """End a job in ``after`` seconds, if it has not come to another end by then."""
        with self._wake:
            self._cancels[identifier] = time.monotonic() + after
            self._wake.notify_all()

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits to run."""
        with self._wake:
            return bool(self._claimed) or any(self._next(kind) for kind in (VALIDATION, RENDERING))

    # -- the queues ----------------------------------------------------------------------------

    def _next(self, kind: tuple[str, ...]) -> Render | None:
        found = [
            record
            for record in self._store.in_phase(*kind)
            if record.id not in self._claimed and not record.private.get("stuck")
        ]
        # What had begun goes on first; then whoever asked first.
        return min(
            found,
            key=lambda item: (item.phase == "booting", item.private.get("asked_at", 0)),
            default=None,
        )

    def _work(self, kind: tuple[str, ...]) -> None:
        while not self._stopping.is_set():
            self._end_canceled()
            with self._wake:
                record = self._next(kind)
                if record is None:
                    self._wake.wait(0.1 if self._cancels else 5)
                    continue
                self._claimed.add(record.id)
            try:
                self._run(record, kind)
            finally:
                with self._wake:
                    self._claimed.discard(record.id)
            self._after(record.id)

    def _end_canceled(self) -> None:
        """End the jobs whose cancellation is due and which nobody works on."""
        now = time.monotonic()
        with self._wake:
            due = [key for key, when in self._cancels.items() if when <= now]
            due = [key for key in due if key not in self._claimed]
            for key in due:
                del self._cancels[key]
        for key in due:
            self._canceled(key)

    def _canceled(self, identifier: str) -> None:
        self._store.change(identifier, lambda job: job.move("canceled"))
        self._tidy(identifier)

    def _cancelled(self, identifier: str) -> bool:
        due = self._cancels.get(identifier)
        return self._stopping.is_set() or (due is not None and due <= time.monotonic())

    def _run(self, record: Render, kind: tuple[str, ...]) -> None:
        failing = "VALIDATION_ERROR" if kind is VALIDATION else "RENDER_ERROR"
        meter = Meter(self._store, record, lambda: self._cancelled(record.id))
        try:
            self._store.change(record.id, lambda job: job.private.update(running=True))
            if kind is VALIDATION:
                self._validate(record, meter)
            else:
                self._render(record, meter)
        except Canceled:
            LOG.info("job %s: stopped", record.id)
            return
        except _Stuck:
            LOG.info("job %s: kept where it is by the fault plan", record.id)
        except _Fails as error:
            self._fail(record.id, error.reason)
        except ProblemError as error:
            problem = error.problem
            self._log(record.id, f"{problem.sentence} {problem.technical}")
            self._fail(record.id, {"name": meter.told_of(problem), "type": failing})
        except Exception as error:
            LOG.exception("job %s: fault of the sandbox", record.id)
            self._fail(
                record.id, {"name": f"Internal error: {type(error).__name__}", "type": failing}
            )
        self._store.change(record.id, lambda job: job.private.update(running=False))

    def _after(self, identifier: str) -> None:
        record = self._store.get(identifier)
        if record is None or not record.ended:
            return
        with self._wake:
            self._cancels.pop(identifier, None)
        self._tidy(identifier)
        self._on_end(record)

    def _fail(self, identifier: str, reason: dict[str, str]) -> None:
        def change(job: Render) -> None:
            job.move("failed")
            job.doc["failedReason"] = reason

        self._store.change(identifier, change)

    def _tidy(self, identifier: str) -> None:
        """An ended job's scene is not needed any more; nor are frames that nobody is offered."""
        record = self._store.get(identifier)
        if record is None or not record.ended:
            return
        folder = self._folder(identifier)
        shutil.rmtree(folder / "scene", ignore_errors=True)
        if self._ways()["slug"] == "once":
            self._upload(record.private["slug"]).unlink(missing_ok=True)
        if record.phase != "completed":
            shutil.rmtree(folder / "output", ignore_errors=True)

    def _log(self, identifier: str, text: str) -> None:
        folder = self._folder(identifier)
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with open(folder / "sandbox.log", "a", encoding="utf-8") as file:
                file.write(f"{now_iso()} {text}\n")

    # -- one job -------------------------------------------------------------------------------

    def _enter(self, identifier: str, phase: str) -> dict[str, Any]:
        """Go to a phase, as the fault plan wants it shown; the job's fate."""

        def change(job: Render) -> Any:
            shown = renderjuice_fate.overlay(job.private.get("fate", {}), phase)
            visited = job.private.setdefault("visited", [])
            job.move(phase)
            if shown is not None and phase not in visited:
                job.doc["status"] = shown[0]
                job.private["stuck"] = shown[1] is None
                visited.append(phase)

        if self._cancelled(identifier):
            raise Canceled()
        record = self._store.change(identifier, change)
        if record is None:
            raise Canceled()
        fate = dict(record.private.get("fate", {}))
        if reason := renderjuice_fate.failure(fate, phase):
            raise _Fails(reason)
        if record.private.get("stuck"):
            raise _Stuck()
        if record.status != phase:
            shown = renderjuice_fate.overlay(fate, phase)
            self._wait(identifier, (shown[1] if shown else 0) or 0)
            self._store.change(identifier, lambda job: job.move(phase))
        self._wait(identifier, renderjuice_fate.least_seconds(fate))
        return fate

    def _wait(self, identifier: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._cancelled(identifier):
                raise Canceled()
            self._stopping.wait(min(0.02, left))

    def _scene(self, record: Render) -> Path:
        folder = self._folder(record.id)
        folder.mkdir(parents=True, exist_ok=True)
        private = record.private
        return renderjuice_scene.prepare(
            self._upload(private["slug"]),
            private["kind"],
            private["name"],
            folder / "scene",
            lambda: self._cancelled(record.id),
            keep=self._ways()["slug"] == "again",
        )

    def _order(self, record: Render, meter: Meter) -> SceneWork:
        if record.private.get("interruptions", 0) >= _MAX_INTERRUPTIONS:
            raise ProblemError(
                Category.REMOTE, "The sandbox stopped three times while it worked on this scene."
            )
        folder = self._folder(record.id)
        work = SceneWork(
            job_id=record.id,
            blend=self._scene(record),
            output=folder / "output",
            workdir=folder / "work",
            cancelled=meter.cancelled,
            told=meter.told,
            timeout=_VALIDATION_SECONDS,
        )
        work.output.mkdir(exist_ok=True)
        return work

    def _validate(self, record: Render, meter: Meter) -> None:
        self._enter(record.id, "validating")
        analysis = self._renderer.analyze(self._order(record, meter))

        def change(job: Render) -> None:
            job.move("validated")
            job.doc.update(analysis=analysis, analysisId=str(uuid.uuid4()))
            job.private.update(interruptions=0)

        if self._cancelled(record.id):
            raise Canceled()
        self._store.change(record.id, change)

    def _render(self, record: Render, meter: Meter) -> None:
        folder = self._folder(record.id)
        if record.phase == "booting":
            self._enter(record.id, "booting")
        work = self._order(record, meter)
        work.config = record.doc["requestedConfig"]
        work.frames = renderjuice_config.to_render(work.config, record.doc.get("analysis", {}))
        work.timeout = self._timeout
        result = renderjuice_outputs.read_result(folder)
        if result is None:
            fate = self._enter(record.id, "rendering")
            meter.begin(fate, lambda reason: _Fails(reason))
            result = renderjuice_fate.frames_left(self._renderer.render(work), fate)
            meter.end()
            renderjuice_outputs.write_result(folder, result)
        self._enter(record.id, "finalizing")
        renderjuice_outputs.pack(folder, result, work.cancelled)
        with contextlib.suppress(ProblemError):  # a video is an extra; the frames are the job
            video = self._renderer.video(work, result)
            result["video"] = video.name if video else None
        renderjuice_outputs.write_result(folder, result)
        used = result.get("finalConfig") or {}
        final = {
            **renderjuice_config.final(
                work.config, record.doc.get("analysis", {}), used, work.frames
            ),
            **self._ways()["final"],
        }

        def change(job: Render) -> None:
            job.move("completed")
            job.doc["finalConfig"] = final
            job.doc["output"] = {"isDeletedForClient": False}
            job.private["completed_at"] = now_iso()
            if result.get("preview"):
                job.private["preview"] = Path(str(result["preview"])).name

        if self._cancelled(record.id):
            raise Canceled()
        self._store.change(record.id, change)


def _interrupted(job: Render) -> None:
    done, before = job.private.get("done", 0), job.private.get("done_before")
    job.private["interruptions"] = job.private.get("interruptions", 0) + 1 if done == before else 1
    job.private["done_before"] = done
