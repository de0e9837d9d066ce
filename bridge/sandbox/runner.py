# SPDX-License-Identifier: GPL-3.0-or-later
"""Works the sandbox's queue: takes accepted jobs one at a time, through every status, to an end.

    submitting -> preprocessing (not for GLB) -> queued -> running -> completed | failed

A job that a restart interrupted starts again from its upload, in fresh folders. One that was
interrupted while it ran three times fails, since it may be what ends the sandbox.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..problems import Canceled, Category, ProblemError
from . import archives
from .convert import Conversion, Converter, check_glb
from .jobs import JobStore, Record, now_iso, random_id

LOG = logging.getLogger("scene_courier.sandbox")
_MAX_INTERRUPTIONS = 3
KEEP_JOBS = 200
KEEP_BYTES = 4 << 30
KEEP_SECONDS = 3600.0
# Which part of a non-GLB job's progress the preprocessing is.
_PREPARE_SHARE = 15


class Runner:
    """Threads that convert. ``folder(job id)`` is a job's folder."""

    def __init__(
        self,
        store: JobStore,
        folder: Callable[[str], Path],
        converter: Converter,
        *,
        parallel: int = 1,
        timeout: float = 1800.0,
    ) -> None:
        self._store = store
        self._folder = folder
        self._converter = converter
        self._timeout = timeout
        self._wake = threading.Condition()
        self._claimed: set[str] = set()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"sandbox-runner-{n}", daemon=True)
            for n in range(parallel)
        ]

    def start(self) -> None:
        """Put interrupted jobs back into the queue, then begin."""
        for record in self._store.unfinished():
            if _stuck(record):
                continue
            if not self._folder(record.id).is_dir():
                self.fail(record.id, "The upload was lost when the sandbox stopped.")
            else:
                self._store.change(record.id, _requeue)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the conversion that runs (its Blender is killed; the job stays queued)."""
        self._stopping.set()
        with self._wake:
            self._wake.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(15)

    def wake(self) -> None:
        """There is a new job."""
        with self._wake:
            self._wake.notify_all()

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits to run."""
        with self._wake:
            return bool(self._claimed) or self._next() is not None

    def _next(self) -> Record | None:
        for record in self._store.unfinished():
            waiting = record.status in ("preprocessing", "queued")
            if waiting and record.id not in self._claimed and not _stuck(record):
                return record
        return None

    def _work(self) -> None:
        while not self._stopping.is_set():
            with self._wake:
                record = self._next()
                if record is None:
                    self._wake.wait(5)
                    continue
                self._claimed.add(record.id)
            try:
                self._run(record)
            except Canceled:
                LOG.info("job %s: stopped with the sandbox", record.id)
            except ProblemError as error:
                self._log(record.id, f"{error.problem.sentence} {error.problem.technical}")
                self.fail(record.id, _told(error))
            except archives.ArchiveError as error:
                self.fail(record.id, str(error))
            except Exception as error:
                LOG.exception("job %s: fault of the sandbox", record.id)
                self.fail(record.id, f"Internal error: {type(error).__name__}")
            finally:
                with self._wake:
                    self._claimed.discard(record.id)
            self._prune()

    # -- one job -------------------------------------------------------------------------------

    def _run(self, record: Record) -> None:
        folder = self._folder(record.id)
        fate = record.private.get("fate", {})
        begun = time.monotonic()
        for name in ("work", "output"):
            shutil.rmtree(folder / name, ignore_errors=True)
        conversion = Conversion(
            job_id=record.id,
            input=folder / record.private["input"],
            output=folder / "output",
            workdir=folder / "work",
            name=record.private["base"],
            options={k: v for k, v in record.doc["parameters"].items() if k != "client"},
            cancelled=self._stopping.is_set,
            timeout=self._timeout,
        )
        conversion.output.mkdir(parents=True)
        conversion.workdir.mkdir()
        if record.status == "preprocessing":
            self._prepare(record, conversion)
        self._set(record.id, _begin)
        check_glb(conversion.input)
        low = record.doc["progress"] if record.private["format"] == "glb" else _PREPARE_SHARE
        if "fail" in fate:
            self._meet_fate(record.id, fate)
            return
        result = self._converter(conversion, self._reporter(record.id, low, 99, fate))
        while time.monotonic() - begun < float(fate.get("seconds", 0)):
            if self._stopping.wait(0.02):
                raise Canceled()
        self._complete(record.id, folder, result, fate)

    def _prepare(self, record: Record, conversion: Conversion) -> None:
        """Bring another format to GLB; ``preprocess`` tells of it."""
        if record.private["format"] == "zip":
            source = conversion.workdir / "source"
            archives.unpack(conversion.input, source)
            conversion.input = source / record.private["primary"]

        def begin(job: Record) -> None:
            job.doc["preprocess"].update(status="running", started_at=now_iso(), error=None)

        self._set(record.id, begin)
        prepare = getattr(self._converter, "prepare", None)
        answer: dict[str, Any] = {}
        try:
            if prepare is not None:
                report = self._reporter(record.id, 0, _PREPARE_SHARE, {}, steps=True)
                answer = prepare(conversion, report)
                conversion.input = Path(answer["path"])
        except ProblemError as error:
            sentence = error.problem.sentence

            def fail(job: Record) -> None:
                job.doc["preprocess"].update(
                    status="failed", error=sentence, completed_at=now_iso()
                )

            self._set(record.id, fail)
            raise

        def end(job: Record) -> None:
            steps = answer.get("steps", [])
            job.doc["preprocess"].update(
                status="completed",
                completed_at=now_iso(),
                input_stats=answer.get("stats", {}),
                steps=[{**step, "status": "completed"} for step in steps],
            )
            job.doc.update(status="queued", stage="queued", progress=_PREPARE_SHARE)
            job.doc["timing"]["queued_at"] = now_iso()
            job.private["intermediate"] = _asset(
                self._folder(job.id), conversion.input, conversion.input.name
            )

        self._set(record.id, end)

    def _reporter(
        self, identifier: str, low: int, high: int, fate: dict[str, Any], steps: bool = False
    ) -> Callable[[float, str], None]:
        """Turns a recipe's progress into the job's, each whole percent once."""
        last: list[Any] = [-1, ""]

        def report(fraction: float, text: str) -> None:
            percent = low + int((high - low) * max(0.0, min(1.0, fraction)))
            if self._stopping.is_set() or [percent, text] == last or percent < last[0]:
                return
            last[:] = [percent, text]

            def change(job: Record) -> None:
                job.doc.update(progress=max(percent, job.doc["progress"]), stage=text)
                if steps:
                    _step(job.doc["preprocess"], text)

            self._store.change(identifier, change)

        return report

    def _meet_fate(self, identifier: str, fate: dict[str, Any]) -> None:
        """A fault plan wants this job to fail."""
        percent = int(100 * float(fate.get("at", 0.3)))
        self._store.change(identifier, lambda job: job.doc.update(progress=percent))
        if self._stopping.wait(float(fate.get("seconds", 0))):
            raise Canceled()
        self.fail(identifier, str(fate["fail"]))

    def _complete(
        self, identifier: str, folder: Path, result: dict[str, Any], fate: dict[str, Any]
    ) -> None:
        output = folder / "output"
        usd = output / str(result["usd"])
        mjcf = result.get("mjcf") if fate.get("mjcf", True) else None
        private: dict[str, Any] = {
            "model": _asset(folder, usd, usd.name),
            "textures": [
                _asset(folder, output / str(name), Path(str(name)).name)
                for name in result.get("textures", [])
            ],
        }
        if mjcf:
            package = folder / "mjcf.zip"
            archives.pack(output, ("mjcf",), package)
            private["mjcf_package"] = _asset(folder, package, f"{Path(str(mjcf)).stem}-mjcf.zip")

        def change(job: Record) -> None:
            job.private.update(private)
            job.doc.update(
                status="completed", stage="export", progress=100, report=result.get("report") or {}
            )
            job.doc["timing"]["completed_at"] = now_iso()

        self._store.change(identifier, change, finished_at=time.time())

    def _set(self, identifier: str, change: Callable[[Record], None]) -> None:
        if self._stopping.is_set():
            raise Canceled()
        self._store.change(identifier, change)

    def fail(self, identifier: str, sentence: str) -> None:
        """End a job with an error; its credit is given back."""

        def change(job: Record) -> None:
            job.doc.update(status="failed", error=sentence)
            job.doc["timing"]["completed_at"] = now_iso()
            if job.doc["preprocess"]["status"] in ("pending", "running"):
                job.doc["preprocess"].update(status="failed", error=sentence)

        self._store.change(identifier, change, finished_at=time.time())

    def _log(self, identifier: str, text: str) -> None:
        path = self._folder(identifier) / "sandbox.log"
        with contextlib.suppress(OSError), open(path, "a", encoding="utf-8") as file:
            file.write(f"{now_iso()} {text}\n")

    def _prune(self) -> None:
        """Remove the oldest finished jobs beyond the caps; none that ended within the hour."""
        finished = self._store.finished()
        sizes = {record.id: _size(self._folder(record.id)) for record in finished}
        count, total = len(finished), sum(sizes.values())
        for record in finished:
            if count <= KEEP_JOBS and total <= KEEP_BYTES:
                return
            if time.time() - (record.finished_at or 0) < KEEP_SECONDS:
                continue
            self._store.remove(record.id)
            shutil.rmtree(self._folder(record.id), ignore_errors=True)
            count, total = count - 1, total - sizes[record.id]


def _requeue(job: Record) -> None:
    if job.status == "running" or job.doc["preprocess"]["status"] == "running":
        job.private["interruptions"] = job.private.get("interruptions", 0) + 1
    glb = job.private["format"] == "glb"
    job.doc.update(status="queued" if glb else "preprocessing", stage="queued", progress=0)
    job.doc["timing"]["started_at"] = None
    if not glb:
        job.doc["preprocess"].update(status="pending", steps=None, started_at=None)


def _begin(job: Record) -> None:
    if job.private.get("interruptions", 0) >= _MAX_INTERRUPTIONS:
        raise ProblemError(
            Category.REMOTE, "The sandbox stopped three times while it converted this model."
        )
    job.doc.update(status="running", stage="starting")
    job.doc["physiq_job_id"] = job.doc["physiq_job_id"] or f"phy_{random_id()}"
    job.doc["timing"]["started_at"] = now_iso()


def _told(error: ProblemError) -> str:
    """The job's error. What ails this computer's Blender, only the person here can mend."""
    problem = error.problem
    if problem.category is Category.BLENDER and problem.hint:
        return f"{problem.sentence} {problem.hint}"
    return problem.sentence


def _stuck(record: Record) -> bool:
    return "stuck" in record.private.get("fate", {})


def _step(preprocess: dict[str, Any], text: str) -> None:
    steps = preprocess["steps"] or []
    if not steps or steps[-1]["name"] != text:
        for step in steps:
            step["status"] = "completed"
        steps.append({"name": text, "status": "running"})
    preprocess["steps"] = steps


def _asset(folder: Path, path: Path, name: str) -> dict[str, Any]:
    """A file that is served under an unguessable path without a key."""
    return {
        "token": secrets.token_hex(16),
        "path": path.relative_to(folder).as_posix(),
        "name": name,
        "size": path.stat().st_size,
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
