# SPDX-License-Identifier: GPL-3.0-or-later
"""What a processed model looks like at Glossi: its thumbnail, and the model as it was made ready.

Only the event ``model.processed`` names them (``thumbnailUrl``, ``glbFilePath``: Glossi docs,
Complete Workflow, step 6), so they are fetched where events are received, as well as can be: a job
never fails for want of them. They lie in the job's folder, named after the product's file. The key
is not sent, the addresses are not kept.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import glb
from ...media import check_media
from ...paths import job_folder
from ...problems import Canceled, ProblemError
from ...route import check_url, is_loopback
from ...store import Store
from ...transfer import download
from .bits import as_dict, id_of
from .explain import explain_files

if TYPE_CHECKING:
    from ...http import Http
    from ...jobs import Job

THUMBNAILS, MODELS = "thumbnails", "processed"
_THUMBNAIL_BYTES = 20_000_000
#: larger ones stay at Glossi: nobody asked for them
_MODEL_BYTES = 64_000_000
_IMAGES = (".jpg", ".jpeg", ".png", ".webp")


def keep(
    store: Store, job: Job, http: Http, model_ids: Iterable[str], thumbnail: str, model: str
) -> list[Path]:
    """Fetch both for the job's product that became one of ``model_ids``; what arrived whole.

    ``http`` is any connection whose policy holds. Never raises for what cannot be fetched.
    """
    file = _file_of(store, job, set(model_ids))
    if not file:
        return []
    folder = job_folder(store.home, job.id)
    wanted: list[tuple[str, Path, int]] = []
    if thumbnail:
        suffix = os.path.splitext(thumbnail.partition("?")[0])[1].lower()
        goal = folder / THUMBNAILS / f"{file}{suffix if suffix in _IMAGES else '.jpg'}"
        wanted.append((thumbnail, goal, _THUMBNAIL_BYTES))
    if model:
        wanted.append((model, folder / MODELS / file, _MODEL_BYTES))
    arrived = []
    with http.keyless(label="Glossi's storage", explain=explain_files) as storage:
        for url, goal, most in wanted:
            with contextlib.suppress(ProblemError, Canceled, OSError):
                if is_loopback(check_url(url).hostname) and not job.sandboxed:
                    continue  # an event must not make us ask our own computer
                _fetch(storage, url, goal, most)
                arrived.append(goal)
    if arrived:
        _tell(store, job.id, folder)
    return arrived


def known(folder: Path, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the table with the paths of what was kept: "thumbnail" and "processed".

    From the disk, since the worker and the receiver of events both write the table.
    """
    names: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for path in sorted((folder / THUMBNAILS).iterdir()):
            if path.suffix.lower() in _IMAGES:
                names[path.stem] = str(path)
    told = []
    for row in rows:
        file = str(row.get("file") or "")
        more = {"thumbnail": names[file]} if file in names else {}
        if file and (folder / MODELS / file).is_file():
            more["processed"] = str(folder / MODELS / file)
        told.append({**row, **more})
    return told


def _file_of(store: Store, job: Job, model_ids: set[str]) -> str:
    """The product's file that became a model, by what the uploads' steps remember."""
    for step in store.steps(job.id):
        if not step.name.startswith("upload."):
            continue
        answer = as_dict(step.answer)
        models = answer.get("models")
        for row in models if isinstance(models, list) else [answer]:
            file = as_dict(row).get("file")
            if id_of(row, "id") in model_ids and isinstance(file, str) and file:
                # Our own unique name; only a name all the same.
                return file.replace("\\", "/").rpartition("/")[2]
    return ""


def _fetch(http: Http, url: str, goal: Path, most: int) -> None:
    fresh = goal.with_name(f".{goal.name}.unchecked")
    try:
        download(http, url, fresh, max_bytes=most, resume=False)
        if goal.suffix.lower() in _IMAGES:
            check_media(fresh, name=goal.name)
        else:
            glb.read(fresh)
        os.replace(fresh, goal)
    finally:
        fresh.unlink(missing_ok=True)


def _tell(store: Store, job_id: str, folder: Path) -> None:
    with store.together():
        job = store.job(job_id)
        if job is None:
            return
        report = {**job.report, "products": known(folder, job.report.get("products") or [])}
        if report != job.report:
            store.update_job(job_id, report=report)
