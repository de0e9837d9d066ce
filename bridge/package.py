# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the file to send: from a capture or a .blend by a headless Blender, or a ready file as is.

Flows of every service that takes a model use this one step; its answer is remembered.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import glb
from .blender import find_blender, run_recipe
from .flow import Flow, Later
from .jobs import FILES, State
from .paths import ascii_slug, readable_bytes, require_space, safe_name
from .problems import Category, Problem, ProblemError

#: the most that goes into one packed .blend; above it a .zip is made, as a stream
PACKED_MAX_BYTES = 1024**3
_MOST_DEPENDENCIES = 200
#: one headless Blender at a time: it may need most of the memory
_slot = threading.Semaphore(1)


def package_glb(flow: Flow, *, max_bytes: int) -> dict[str, Any]:
    """The step "package": a GLB of the captured selection, or the ready file.

    Answers ``{"path", "bytes", ...}`` as recipe ``export_glb`` reports it, and adds what an artist
    should know (textures that did not survive) to the job's notes. ``max_bytes`` is the service's
    limit. Raises ProblemError and Canceled.
    """
    answer = _package(flow, lambda: _export(flow, max_bytes))
    for note in _notes(answer):
        flow.note(note)
    return answer


def package_scene(flow: Flow, *, max_bytes: int) -> dict[str, Any]:
    """The step "package": the whole scene with everything it needs, or the ready file.

    Answers ``{"path", "bytes", "mode", "frames"}`` ("frames" is the range that sequences and caches
    were cut to). The report of the check goes to ``Job.report["preflight"]``. With the option
    ``check_only`` nothing is packed and ``path`` is None. Raises ProblemError (INPUT when the check
    found what would break the render) and Canceled.
    """
    answer = _package(flow, lambda: _pack(flow, max_bytes))
    for note in answer.get("notes") or []:
        flow.note(str(note))
    return answer


def package_products(flow: Flow, *, max_bytes: int) -> dict[str, Any]:
    """The step "package": one GLB for each product, or the ready files.

    Answers ``{"products": [{"name", "file_name", "path", "bytes", "problem", ...}], "notes"}`` as
    recipe ``export_products`` reports it. A product that cannot be sent has a ``problem`` (a
    problem as a dict) and stops no other. File names are unique.
    """
    if flow.job.input_kind in ("file", FILES):
        return dict(flow.step("package", lambda: _ready_products(flow, max_bytes)))
    answer = _package(flow, lambda: _export_products(flow, max_bytes))
    for note in answer.get("notes") or []:
        flow.note(str(note))
    for row in answer.get("products") or []:
        for note in row.get("notes") or []:
            flow.note(f"{row['name']}: {note}")
    return answer


def _package(flow: Flow, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    if flow.job.input_kind == "file":
        return dict(flow.step("package", lambda: _ready_file(flow)))
    known = flow.answer("package")
    if known and not all(path.is_file() for path in _made(known)) and not flow.sent():
        # Somebody tidied up: the package can be made again.
        flow.store.drop_steps(flow.job.id, ["package"])
    if flow.finished("package"):
        return dict(flow.answer("package"))
    if not _slot.acquire(blocking=False):
        raise Later(0.5, state_text="Another job is being packaged")
    try:
        return dict(flow.step("package", make, state=State.PACKAGING, text="Starting Blender"))
    finally:
        _slot.release()


def _made(answer: dict[str, Any]) -> list[Path]:
    """The files of a package."""
    rows = [answer, *(answer.get("products") or [])]
    return [Path(row["path"]) for row in rows if row.get("path")]


def captured_blender(flow: Flow) -> dict[str, Any] | None:
    """The "blender" entry of the capture; for a .blend what the command line named, or None."""
    if flow.job.input_kind != "capture":
        return flow.job.origin.get("blender")
    try:
        capture = json.loads((flow.folder / "capture.json").read_text(encoding="utf-8"))
        return dict(capture["blender"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _ready_file(flow: Flow) -> dict[str, Any]:
    path = Path(flow.job.input_path)
    try:
        return {"path": str(path), "bytes": path.stat().st_size}
    except OSError as error:
        raise ProblemError(
            Category.INPUT,
            f"The file “{path.name}” is no longer there.",
            "Send it again.",
            f"{path}: {error.strerror}",
        ) from None


def _ready_products(flow: Flow, max_bytes: int) -> dict[str, Any]:
    """The files of the command line as products, named after them."""
    paths = [str(path) for path in flow.job.origin.get("files") or [flow.job.input_path]]
    rows: list[dict[str, Any]] = []
    for text in paths:
        path = Path(text)
        row: dict[str, Any] = {
            "name": path.stem,
            "file_name": _unique(ascii_slug(path.stem, "product"), rows),
            "path": text,
            "bytes": 0,
            "problem": None,
        }
        try:
            row["bytes"] = path.stat().st_size
            glb.check(path)
            if row["bytes"] > max_bytes:
                raise ProblemError(
                    Category.LIMIT,
                    f"“{path.name}” is larger than one model may be.",
                    f"The limit is {readable_bytes(max_bytes)}.",
                    f"{row['bytes']} bytes",
                )
        except ProblemError as error:
            row["problem"] = error.problem.to_dict()
        except OSError as error:
            row["problem"] = Problem(
                Category.INPUT,
                f"“{path.name}” is no longer there.",
                "Send it again.",
                f"{path}: {error.strerror}",
            ).to_dict()
        rows.append(row)
    return {"products": rows, "notes": []}


def _unique(stem: str, rows: list[dict[str, Any]]) -> str:
    taken = {row["file_name"].lower() for row in rows}
    name, number = f"{stem}.glb", 2
    while name.lower() in taken:
        name, number = f"{stem}-{number}.glb", number + 1
    return name


def _export_products(flow: Flow, max_bytes: int) -> dict[str, Any]:
    job = flow.job
    source, size = _source(flow)
    require_space(flow.folder, 2 * size + 256 * 1024**2, "package the products")
    params: dict[str, Any] = {
        "output": str(flow.folder / "package"),
        "products": job.options.get("products") or "object",
        "options": {
            name: job.options.get(name)
            for name in ("draco", "animation", "variants", "ignore_scale")
        },
        "max_bytes": max_bytes,
    }
    if job.input_kind != "capture":
        params["select"] = job.origin.get("select") or None
    return _run(flow, "export_products", source, params)


def _export(flow: Flow, max_bytes: int) -> dict[str, Any]:
    job = flow.job
    source, size = _source(flow)
    # The GLB holds at most what the scene and its textures hold; textures are not known yet.
    require_space(flow.folder, 2 * size + 256 * 1024**2, "package the scene")
    params: dict[str, Any] = {
        "output": str(flow.folder / "package" / f"{safe_name(job.name)}.glb"),
        "options": {name: job.options.get(name) for name in ("draco", "animation")},
        "max_bytes": max_bytes,
    }
    if job.input_kind != "capture":
        params["select"] = job.origin.get("select") or None
    return _run(flow, "export_glb", source, params)


def _pack(flow: Flow, max_bytes: int) -> dict[str, Any]:
    job = flow.job
    source, _size = _source(flow)
    params = pack_params(job.options, flow.folder / "package", safe_name(job.name), max_bytes)
    answer = _run(flow, "pack_scene", source, params)
    report = answer.get("report") or {}
    flow.update(report={**flow.job.report, "preflight": _bounded(report)})
    if answer.get("blocked"):
        raise blocked(report)
    frames = report.get("frames") or {}
    return {
        "path": answer.get("path"),
        "bytes": answer.get("bytes"),
        "mode": answer.get("mode"),
        "frames": frames.get("text") or "",
        "notes": [str(note) for note in answer.get("notes") or []],
    }


def pack_params(options: dict[str, Any], output: Path, name: str, max_bytes: int) -> dict[str, Any]:
    """What recipe ``pack_scene`` is told: a job's options, the folder and name of the package."""
    params: dict[str, Any] = {
        "output": str(output),
        "name": name,
        "max_bytes": max_bytes,
        "packed_max_bytes": PACKED_MAX_BYTES,
        "mode": options.get("package") or "auto",
        "report_only": bool(options.get("check_only")),
        "ignore_problems": bool(options.get("ignore_problems")),
    }
    for option in ("scene", "camera", "view_layer", "frames", "handles"):
        params[option] = options.get(option)
    return params


def _bounded(report: dict[str, Any]) -> dict[str, Any]:
    """The report as the store keeps it; preflight.json beside the package has all of it."""
    used = report.get("dependencies") or []
    return {**report, "dependencies": used[:_MOST_DEPENDENCIES], "dependency_count": len(used)}


def blocked(report: dict[str, Any]) -> ProblemError:
    """The problem of a scene whose check found what would break the render."""
    stops = [one for one in report.get("findings") or [] if one.get("severity") == "blocking"]
    first = stops[0] if stops else {}
    count = len(stops) - 1
    more = f" {count} more finding{'s' * (count > 1)} like it." if count else ""
    return ProblemError(
        Category.INPUT,
        f"{first.get('sentence') or 'The scene cannot be rendered like this.'}{more}",
        f"{first.get('hint') or 'Look at the report.'} Nothing was sent.",
        str(first.get("technical") or first.get("code") or ""),
    )


def _source(flow: Flow) -> tuple[Path, int]:
    """The .blend to work on, and its size. ProblemError(INPUT) when it is gone."""
    source = flow.folder / "scene.blend" if flow.job.input_kind == "capture" else _blend(flow)
    try:
        return source, os.stat(source).st_size
    except OSError as error:
        raise ProblemError(
            Category.INPUT,
            "The copy of the scene is no longer in the job's folder.",
            "Send the scene again.",
            f"{source}: {error.strerror}",
        ) from None


def _run(flow: Flow, recipe: str, source: Path, params: dict[str, Any]) -> dict[str, Any]:
    """Run a recipe on the capture, or on the .blend of the command line."""
    params["folder"] = str(flow.folder)
    if flow.job.input_kind == "capture":
        params["capture"] = str(flow.folder / "capture.json")
    else:
        params["blend"] = str(source)
    return run_recipe(
        recipe,
        params,
        workdir=flow.folder / "package",
        program=find_blender(captured_blender(flow)),
        timeout=flow.settings.packaging_seconds,
        on_progress=lambda done, text: flow.progress(100 * done, 100, "percent", text),
        cancelled=flow.canceled,
        log=flow.log.info,
    )


def _blend(flow: Flow) -> Path:
    """The .blend where it lies while it is unchanged, else the copy in the job's folder.

    Paths that begin with ``//`` (textures, linked files) only lead somewhere from the first.
    """
    origin = flow.job.origin
    path = Path(str(origin.get("path") or ""))
    try:
        about = path.stat()
        if [about.st_size, about.st_mtime_ns] == origin.get("stamp"):
            return path
    except OSError:
        pass
    flow.note(
        f"“{path.name}” has changed since it was sent. The copy made then is used; textures that "
        "lie beside the file may be missing."
    )
    return Path(flow.job.input_path)


def _notes(answer: dict[str, Any]) -> list[str]:
    notes = [str(note) for note in answer.get("notes") or []]
    for lost in answer.get("lost_textures") or []:
        image = f" “{lost.get('image')}”" if lost.get("image") else ""
        notes.append(
            f"Material “{lost.get('material')}” lost its texture{image}: {lost.get('why')}"
        )
    return notes
