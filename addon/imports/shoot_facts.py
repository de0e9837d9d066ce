# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about the pictures of a product, from the job alone.

Pure: reads no file, imports no bpy. ``facts_of`` makes what ``stills.import_pictures`` takes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import Any

from ...bridge.jobs import Job
from ...bridge.paths import safe_name

SERVICE = "glossi"
#: kinds of results that can be imported as pictures
KINDS = frozenset({"still", "video"})
#: what a render of the product's own materials is called (Glossi docs: "Front View - Default")
OWN_LOOK = "default"
_BETWEEN = " - "
_DOT = " · "


def is_shoot(job: Job) -> bool:
    """True for a job whose result is pictures of products."""
    return job.service == SERVICE


def has_pictures(job: Job) -> bool:
    """True when stills or videos came back."""
    return is_shoot(job) and any(result.kind in KINDS for result in job.results)


def facts_of(job: Job) -> dict[str, Any]:
    """The job's pictures, by product in the order of the table, then by camera.

    ``stills`` and ``videos`` [picture]; a picture is ``path``, ``product``, ``camera`` (or the
    video's shot), ``variant`` ("" where there is but the product's own look), ``name`` as the
    service told it, ``part`` (the same in every import of the job). ``products`` [names],
    ``template`` its name, ``packing`` what made a product: "object", "collection", "instance" or
    "one".
    """
    products = [str(row.get("name") or "") for row in _rows(job)]
    products = list(dict.fromkeys(name for name in products if name))
    folders = {safe_name(name).casefold(): name for name in reversed(products)}
    labels = _dict(job.report.get("labels"))
    found: dict[str, list[dict[str, Any]]] = {"still": [], "video": []}
    for result in job.results:
        if result.kind not in KINDS:
            continue
        product = _product(result.path, job, folders)
        told = labels.get(result.path)
        name = str(told) if told else os.path.splitext(os.path.basename(result.path))[0]
        camera, variant = split_name(name, product)
        found[result.kind].append(
            {
                "path": result.path,
                "product": product,
                "camera": camera,
                "variant": variant,
                "name": name,
            }
        )
    return {
        "stills": _ordered(found["still"], products, "still"),
        "videos": _ordered(found["video"], products, "video"),
        "products": products,
        "template": str(_dict(job.report.get("template")).get("name") or ""),
        "packing": str(job.options.get("products") or "object"),
    }


def split_name(name: str, product: str = "") -> tuple[str, str]:
    """A render's name as (camera, variant): “Front View - Oak” is ("Front View", "Oak").

    The last separator counts, as a bookmark's name may have one itself; a product's name at the
    beginning is left out. Without a separator everything is the camera's.
    """
    if product and name.casefold().startswith((product + _BETWEEN).casefold()):
        name = name[len(product) + len(_BETWEEN) :]
    camera, between, variant = name.rpartition(_BETWEEN)
    if not between or not camera.strip():
        return name.strip(), ""
    return camera.strip(), variant.strip()


def title(picture: dict[str, Any], limit: int = 250) -> str:
    """What people read: “Chair · Front View · Oak”, in at most ``limit`` bytes.

    What is too long is shortened at the product first: the end tells the pictures apart.
    """
    product, rest = picture["product"], [picture["camera"], picture["variant"]]
    tail = _DOT.join(part for part in rest if part)
    whole = _DOT.join(part for part in (product, tail) if part)
    over = _size(whole) - limit
    if over <= 0:
        return whole or "Picture"
    if tail and _size(product) - over >= 8:
        return _DOT.join((_cut(product, _size(product) - over), tail))
    head = _cut(product, 12)
    tail = _cut(tail, limit - _size(head + _DOT)) if tail else ""
    return _DOT.join(part for part in (head, tail) if part) if tail else _cut(product, limit)


def _ordered(
    pictures: list[dict[str, Any]], products: list[str], kind: str
) -> list[dict[str, Any]]:
    """By product, camera and variant, each in the order in which it came first."""
    place = _places(products, (picture["product"] for picture in pictures))
    looks: dict[str, set[str]] = {}
    for picture in pictures:
        looks.setdefault(picture["product"], set()).add(picture["variant"].casefold())
    cameras = _places([], ((picture["product"], picture["camera"]) for picture in pictures))
    found = sorted(
        pictures,
        key=lambda one: (place(one["product"]), cameras((one["product"], one["camera"]))),
    )
    counted: dict[str, int] = {}
    for picture in found:
        if looks[picture["product"]] <= {OWN_LOOK, ""}:
            picture["variant"] = ""
        part = f"{kind} {picture['product']}/{picture['name']}"
        counted[part] = counted.get(part, 0) + 1
        picture["part"] = part if counted[part] == 1 else f"{part} {counted[part]}"
    return found


def _places(first: Iterable[Any], rest: Iterable[Any]) -> Callable[[Any], int]:
    known = {key: at for at, key in enumerate(dict.fromkeys([*first, *rest]))}
    return lambda key: known[key]


def _product(path: str, job: Job, folders: dict[str, str]) -> str:
    """Whose picture a file is: that of the folder it lies in, below the results."""
    only = next(iter(folders.values())) if len(folders) == 1 else ""
    folder = os.path.dirname(path)
    own = os.path.basename(folder)
    if job.results_dir:
        below = "..."
        with contextlib.suppress(ValueError):  # another drive
            below = os.path.relpath(folder, job.results_dir).replace("\\", "/")
        if below == ".":
            own = job.name
        elif not below.startswith(".."):
            own = below.split("/")[0]
    return folders.get(own.casefold(), only or own)


def _rows(job: Job) -> list[dict[str, Any]]:
    rows = job.report.get("products")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _size(text: str) -> int:
    return len(text.encode("utf-8"))


def _cut(text: str, size: int) -> str:
    """The beginning of a text in at most ``size`` bytes, with a mark where it was longer."""
    if _size(text) <= size:
        return text
    kept = text.encode("utf-8")[: max(0, size - 3)].decode("utf-8", "ignore")
    return kept.rstrip(" \u200d") + "…"
