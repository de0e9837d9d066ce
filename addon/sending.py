# SPDX-License-Identifier: GPL-3.0-or-later
"""Send: from the selection, or the whole scene, to a durable job, on Blender's main thread.

The scene is copied once, however many jobs it becomes; each job's row is written last. When
anything fails, every folder made here is removed again and no job exists.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

from ..bridge import commands, paths
from ..bridge.jobs import SANDBOX, Job
from ..bridge.problems import ProblemError
from ..bridge.services import SERVICES
from . import capture, session, versions
from .capture import scene as scenes
from .capture import write as capture_files


@dataclass
class Order:
    """What is asked for: everything that Send needs besides the scene itself.

    ``scope`` is "selection" (what is selected, with ``per_object``) or "scene" (a render of the
    whole scene; ``cameras`` names those to render, each a job of its own; none: the scene's).
    ``products`` says what makes a product, for a service that takes several in one job: it is one
    job then, whatever is selected. Left empty it is the option of that name, or each object.
    ``agreed_credits`` is the price for each job that the person saw and agreed to, None if no price
    was shown; ``agreed`` says yes to the paid step beforehand, where there is no price to show.
    ``results_folder`` may begin with ``//``.
    """

    service: str = "rigyd"
    account: str = SANDBOX
    options: dict[str, Any] = field(default_factory=dict)
    scope: str = "selection"
    cameras: list[str] = field(default_factory=list)
    agreed: bool = False
    per_object: bool = False
    products: str = ""
    placement: str = "source"
    source_after: str = "hide"
    results_folder: str = "//courier/"
    agreed_credits: float | None = None


@dataclass
class _Part:
    """What one job of an order is about: some objects, or the scene from one camera."""

    name: str
    options: dict[str, Any]
    objects: list[bpy.types.Object] = field(default_factory=list)
    scene: Any = None
    products: str = ""


def send(context: bpy.types.Context, now: session.Session, order: Order) -> list[Job]:
    """Capture the selection or the scene and queue it; returns the job, or one for each object or
    camera.

    Raises ProblemError with the reason and nothing left behind.
    """
    parts = _scene_parts(context, order) if order.scope == "scene" else _parts(context, order)
    with contextlib.suppress(session.database().OperationalError):
        # A data folder that cannot be used is said before anything is copied into it.
        now.open_store()
    folders: list[Path] = []
    group = uuid.uuid4().hex if len(parts) > 1 else ""

    def take_back() -> None:
        # No row was written: all of them are one change of the store.
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    try:
        first: dict[str, Any] = {}
        jobs = [_prepare(context, now, order, part, folders, group, first) for part in parts]
        now.write(lambda store: [commands.submit(store, job) for job in jobs], take_back)
    except OSError as error:
        take_back()
        raise ProblemError.of(capture_files.disk_problem(now.home, error)) from error
    except BaseException:
        take_back()
        raise
    now.active_id = jobs[-1].id
    return jobs


def _parts(context: bpy.types.Context, order: Order) -> list[_Part]:
    """The selection as one job, or as one for each object; products are always one job."""
    items = list(context.view_layer.objects.selected)
    if SERVICES[order.service].many:
        return [_product_part(context, order, items)]
    for problem in capture.check(context, order.options, objects=items):
        raise ProblemError.of(problem)
    groups = (
        [[item] for item in capture.exportable(context, items)] if order.per_object else [items]
    )
    return [_Part(_name(context, group), dict(order.options), group) for group in groups]


def _product_part(context: bpy.types.Context, order: Order, items: list[bpy.types.Object]) -> _Part:
    mode = order.products or str(order.options.get("products") or "object")
    options = {**order.options, "products": mode}
    for problem in capture.check(context, options, objects=items, products=mode):
        raise ProblemError.of(problem)
    made = capture.products(context, mode, items)
    more = f" and {len(made) - 1} more" if len(made) > 1 else ""
    return _Part(f"{made[0].name}{more}", options, items, products=mode)


def _scene_parts(context: bpy.types.Context, order: Order) -> list[_Part]:
    """The scene as one job, or as one for each camera that is asked for."""
    cameras = list(dict.fromkeys(order.cameras))
    parts = []
    for camera in cameras or [""]:
        options = dict(order.options) | ({"camera": camera} if camera else {})
        for problem in capture.check(context, options, whole_scene=True):
            raise ProblemError.of(problem)
        scene = scenes.chosen(context, options)
        name = scenes.job_name(scene, camera if len(cameras) > 1 else "")
        parts.append(_Part(name, options, scene=scene))
    return parts


def _prepare(
    context: bpy.types.Context,
    now: session.Session,
    order: Order,
    part: _Part,
    folders: list[Path],
    group: str,
    first: dict[str, Any],
) -> Job:
    """Write one job's folder; the first one copies the scene, the others share that copy.

    ``first`` keeps what the first one's capture.json holds: most of it is the same for all.
    """
    job = Job(
        service=order.service,
        name=part.name,
        account=order.account,
        source="blender",
        options=part.options,
        group_id=group,
        approved_credits=math.inf if order.agreed else order.agreed_credits,
    )
    whole = part.scene is not None
    folder = paths.job_folder(now.home, job.id)
    wanted = {"id": job.id, "name": job.name, "service": job.service, "options": job.options}
    if not folders:
        data = capture.capture(
            context,
            folder,
            job=wanted,
            placement=order.placement,
            objects=part.objects,
            whole_scene=whole,
            products=part.products,
        )
        folders.append(folder)
        first |= data
    else:
        folders.append(folder)
        if whole:
            one = capture_files.describe_scene(context, wanted)
        else:
            one = capture_files.describe(context, part.objects, order.placement, wanted)
        data = first | one
        _share(folders[0], folder, data)
    job.input_path = str(folder / "capture.json")
    place = results_folder(order.results_folder, job.name, job.short_id)
    job.results_dir = str(place or folder / "results")
    told = capture.notes(
        context, job.options, objects=part.objects, whole_scene=whole, products=part.products
    )
    job.notes = [*told, *data["notes"]]
    job.origin = {
        "session": now.id,
        "blend": bpy.data.filepath,
        "scene": data["scene"],
        "blender": data["blender"],
    }
    if whole:
        job.origin |= {"scope": "scene", "camera": data["camera"], "frames": data["frames"]}
    else:
        job.origin |= {
            "objects": [item.name for item in part.objects],
            "identities": [versions.identity(item) for item in part.objects],
            "placement": {"mode": order.placement, "location": _foot(data)},
            "source_after": order.source_after,
        }
    if part.products:
        job.origin["products"] = _products(context, part)
    return job


def _products(context: bpy.types.Context, part: _Part) -> list[dict[str, Any]]:
    """Where each product stands: its object and the box about it, in world units."""
    made = capture.products(context, part.products, part.objects)
    return [
        {
            "name": one.name,
            "object": one.root.name,
            "identity": versions.identity(one.root),
            "bounds": capture.box(context, one.objects),
        }
        for one in made
    ]


def _share(first: Path, folder: Path, data: dict[str, Any]) -> None:
    """A further job of the same moment: links to the first one's copy, its own capture.json."""
    folder.mkdir(mode=0o700)
    for path in [first / capture_files.BLEND, *sorted((first / "images").glob("*"))]:
        target = folder / path.relative_to(first)
        target.parent.mkdir(exist_ok=True)
        try:
            os.link(path, target)
        except OSError:
            # Some file systems have no hard links.
            shutil.copyfile(path, target)
    capture_files.write_json(folder / "capture.json", data)


def _foot(data: dict[str, Any]) -> list[float] | None:
    """The middle of the underside of what was sent, in world units."""
    box = data.get("bounds")
    if box is None:
        return None
    low, high = box["min"], box["max"]
    return [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]]


def _name(context: bpy.types.Context, objects: Sequence[bpy.types.Object]) -> str:
    """What the job is called: the active object among those sent, and how many others."""
    active = context.view_layer.objects.active
    first = active if active in objects else objects[0]
    return first.name if len(objects) == 1 else f"{first.name} and {len(objects) - 1} more"


def results_folder(wanted: str, name: str, short_id: str) -> Path | None:
    """A job's folder in the one that the person asked for; None if that cannot be written.

    “//” is beside the .blend; an unsaved file has no such place.
    """
    text = wanted.strip() or "//courier/"
    if text.startswith("//") and not bpy.data.filepath:
        return None
    place = Path(bpy.path.abspath(text)).absolute()
    anchor = place
    while not anchor.exists() and anchor != anchor.parent:
        anchor = anchor.parent
    if not anchor.is_dir() or not paths.writable(anchor):
        return None
    return place / f"{paths.safe_name(name, limit=60)}-{short_id}"
