# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that come from other jobs: sent in spite of a finding, other frames, started elsewhere.

Like ``commands``, each is one change of the store; nothing here waits or uses the network.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from . import commands, frames
from .jobs import REMOTE, Job, StepKind
from .paths import job_folder, safe_name
from .problems import Category, ProblemError
from .services import SERVICES
from .store import Store

#: what a job's folder holds of what was sent
_SENT = ("scene.blend", "capture.json", "images", "package")


def override(store: Store, job_id: str) -> Job:
    """Send although the check found something that blocks, or the products' size is unlikely.

    ProblemError(INPUT) if neither stopped the job.
    """
    with store.together():
        job = _existing(store, job_id)
        if job.unlikely_size:
            store.drop_steps(job.id, ["package"])
            # The table begins anew with the packages.
            report = {name: part for name, part in job.report.items() if name != "products"}
            options = {**job.options, "ignore_scale": True}
            store.update_job(job.id, options=options, report=report)
            return commands.retry(store, job.id)
        if not job.blocked:
            raise ProblemError(
                Category.INPUT,
                f"“{job.name}” was not stopped by the check of its scene.",
                "Retry it, or send the scene again.",
            )
        store.drop_steps(job.id, ["package"])
        store.update_job(job.id, options={**job.options, "ignore_problems": True})
        return commands.retry(store, job.id)


def again(store: Store, job_id: str, *, frames: str | None = None) -> Job:
    """A new job from what an earlier one sent, without going back to the scene.

    ``frames`` are those that were missing (they join the others in their folder), or None: all
    that the first job stands for (after test frames). A new job needs its own yes. Raises
    ProblemError(INPUT) when what was sent is no longer here, DISK when it cannot be copied.
    """
    old = _existing(store, job_id)
    service = SERVICES.get(old.service)
    folder = job_folder(store.home, old.id)
    kept = [folder / name for name in _SENT if (folder / name).exists()]
    ready = old.input_kind == "file" and Path(old.input_path).is_file()
    whole_scene = service is not None and service.scope == "scene"
    if old.input_kind == REMOTE or service is None or not whole_scene or not (kept or ready):
        raise ProblemError(
            Category.INPUT,
            f"What “{old.name}” sent is no longer in its folder.",
            "Send the scene again, with the frames that you want.",
            str(folder),
        )
    options = {**old.options, "test_frames": False, "check_only": False}
    if frames is not None:
        options["frames"] = frames
    service.checked(options)
    origin = {name: value for name, value in old.origin.items() if name != "submission"}
    new = Job(
        service=old.service,
        name=old.name,
        account=old.account,
        base_url=old.base_url,
        key_print=old.key_print,
        source=old.source,
        options=options,
        input_kind=old.input_kind,
        group_id=old.group_id,
        origin={**origin, "again": old.id},
        report={name: old.report[name] for name in ("preflight",) if name in old.report},
    )
    target = job_folder(store.home, new.id)
    new.input_path = _moved(old.input_path, folder, target)
    joined = frames is not None and store.step(old.id, "place") is not None
    new.results_dir = old.results_dir if joined else _sibling(old, new)
    try:
        _share(kept, target)
        with store.together():
            job = commands.submit(store, new)
            _carry_over(store, old, job, folder, target, joined)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, OSError):
            raise ProblemError(
                Category.DISK,
                "What was sent could not be copied for the new job.",
                "Check the free space of the data folder.",
                f"{target}: {error.strerror or error}",
            ) from None
        raise
    return job


def missing(store: Store, job: Job) -> str:
    """The frames of ``job`` that did not come, as text; "" if all did.

    Those that a later job of the same scene has brought, or is about to, are not asked for twice.
    """
    told = str((job.report.get("frames") or {}).get("missing") or "")
    if not told:
        return ""
    left = frames.parse(told)
    for later in store.jobs():
        asked = later.options.get("frames")
        if later.origin.get("again") != job.id or not asked:
            continue
        if later.state.terminal and "frames" not in later.report:
            continue  # it brought nothing
        brought = frames.parse(str(asked))
        still = missing(store, later)
        left = left.minus(brought.minus(frames.parse(still)) if still else brought)
    return left.text()


def _carry_over(store: Store, old: Job, new: Job, folder: Path, target: Path, joined: bool) -> None:
    """Steps of the earlier job whose answers are the new one's too."""
    package = store.step(old.id, "package")
    if package is not None and package.status == "done" and _holds(package.answer, new):
        path = _moved(str(package.answer["path"]), folder, target)
        if Path(path).is_file():
            _done(store, new, "package", {**package.answer, "path": path})
    place = store.step(old.id, "place")
    if joined and place is not None and place.status == "done":
        _done(store, new, "place", place.answer)


def _done(store: Store, job: Job, name: str, answer: Any) -> None:
    store.begin_step(job.id, name, StepKind.REPEATABLE)
    store.finish_step(job.id, name, answer)


def _holds(answer: Any, job: Job) -> bool:
    """Does the package have what the asked frames need? Sequences are cut to the first job's."""
    if not isinstance(answer, dict) or not answer.get("path"):
        return False
    asked, packed = job.options.get("frames"), answer.get("frames")
    if not asked or answer.get("mode") == "blend":
        return True
    if not packed:
        return answer.get("mode") is None
    return frames.parse(str(asked)).minus(frames.parse(str(packed))).count == 0


def _moved(path: str, folder: Path, target: Path) -> str:
    """A path of the old job's folder, in the new one's."""
    try:
        return str(target / Path(path).relative_to(folder))
    except ValueError:
        return path


def _sibling(old: Job, new: Job) -> str:
    if not old.results_dir:
        return ""
    parent = Path(old.results_dir).parent
    if parent.name == old.id:  # the results stayed in the job's own folder
        return ""
    if not old.results_dir.endswith(old.short_id):
        return old.results_dir  # a folder that a person named: the new job has its own place in it
    return str(parent / f"{safe_name(new.name, limit=60)}-{new.short_id}")


def _share(kept: list[Path], target: Path) -> None:
    """Links where the disk has them: what was sent is never changed."""
    target.mkdir(mode=0o700, parents=True)
    for place in kept:
        if place.is_dir():
            shutil.copytree(place, target / place.name, copy_function=_link)
        else:
            _link(str(place), str(target / place.name))


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target


def adopt(
    store: Store,
    service: str,
    account: str,
    remote_id: str,
    name: str,
    *,
    results_dir: str = "",
    source: str = "cli",
) -> Job:
    """Follow a job that was started elsewhere, and fetch what it brings.

    Raises ProblemError(INPUT) for a job that is here already, or a service without such jobs.
    """
    entry = SERVICES.get(service)
    remote_id = remote_id.strip()
    if entry is None or entry.scope != "scene" or not remote_id:
        raise ProblemError(
            Category.INPUT,
            "This job cannot be followed from here.",
            "Jobs of Renderjuice can.",
            f"{service} {remote_id}",
        )
    with store.together():
        for known in store.jobs():
            if (known.service, known.account, known.remote_id) == (service, account, remote_id):
                raise ProblemError(
                    Category.INPUT,
                    f"This job is here already, as “{known.name}”.",
                    "Pick it in the list.",
                    f"job {known.short_id}",
                )
        job = Job(
            service=service,
            name=name.strip() or f"{entry.label} {remote_id[:8]}",
            account=account,
            source=source,
            options=entry.defaults(),
            input_kind=REMOTE,
            remote_id=remote_id,
            results_dir=results_dir,
        )
        commands.submit(store, job)
        _done(store, job, entry.once_step, {"id": remote_id, "adopted": True})
    return job


def _existing(store: Store, job_id: str) -> Job:
    job = store.job(job_id)
    if job is None:
        raise ProblemError(
            Category.INPUT, "This job is no longer in the list.", "Refresh the list.", job_id
        )
    return job
