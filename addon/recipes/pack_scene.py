# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: a scene and everything it needs, checked, in one file: a packed .blend or an archive.

The artist's files are only read: what is rewritten is the copy. Refuses what is too large before
anything is written. Leaves the package, its report ``preflight.json`` and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from addon.recipes import (
    caches,
    pack_blend,
    pack_layout,
    pack_open,
    pack_rewrite,
    pack_zip,
    places,
    preflight,
)
from addon.recipes.dependencies import Dependency, scan
from addon.recipes.pack_layout import Layout
from addon.recipes.pack_open import Opened
from bridge.problems import Category, ProblemError

Progress = Callable[[float, str], None]
REPORT = "preflight.json"
MODES = ("auto", "blend", "zip")
_SCRATCH = ".packing-"
_GIB = 1024**3


@dataclass
class _Plan:
    """How the scene will be packed; ``refused``: why not in the way that was asked for."""

    mode: str
    why: str
    refused: str
    bytes: int
    files: int
    dependencies: list[Dependency]
    layout: Layout


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Open, look for files, check, pack.

    ``params``: either ``capture`` (path of capture.json) with ``folder`` (the job's), or ``blend``
    (path); ``output`` (folder of the package), ``name`` (its name, without ending); of the scene's
    names, or null: ``scene``, ``camera``, ``view_layer``; ``frames`` (text like "1-250,300");
    ``handles`` (frames before and after that sequences and caches are taken along for); ``mode``
    (auto, blend, zip); ``max_bytes`` (the service's limit), ``packed_max_bytes`` (the largest
    .blend); ``report_only`` (nothing is packed), ``ignore_problems`` (pack in spite of blocking
    findings); ``options`` (the job's other options, for the report).

    Returns path, bytes, mode (all null without a package), ``report``, ``blocked`` (true: blocking
    findings, nothing was packed) and ``notes`` (sentences for the artist). The report is also
    written to ``output``/preflight.json. Raises ProblemError: INPUT, LIMIT, DISK, BLENDER.
    """
    mode = params.get("mode") or "auto"
    if mode not in MODES:
        raise ProblemError(
            Category.INPUT, f"A scene cannot be packed as “{mode}”.", "Use auto, blend or zip."
        )
    max_bytes = int(params.get("max_bytes") or 5 * _GIB)
    output = Path(params["output"])
    name = places.safe_part(str(params.get("name") or "scene"))
    progress(0.0, "Opening the scene")
    opened = pack_open.open_asked(params)
    progress(0.1, "Looking for files")
    found = pack_open.find_files(opened)
    packed_max = int(params.get("packed_max_bytes") or _GIB)
    plan = _plan(opened, found, name, mode, packed_max)
    progress(0.2, "Checking the scene")
    report = preflight.examine(
        opened.scene,
        found,
        frames=opened.frames or opened.options.get("frames"),
        capture=opened.capture,
        options=opened.options,
        package=_about(plan, max_bytes),
    )
    stops = {item["code"] for item in report["findings"] if item["severity"] == "blocking"}
    blocked = bool(stops) and not params.get("ignore_problems")
    answer: dict[str, Any] = {
        "path": None,
        "bytes": None,
        "mode": None,
        "report": report,
        "blocked": blocked,
        "notes": list(dict.fromkeys(opened.notes)),
    }
    _make(output, own=bool(params.get("folder")) and Path(params["folder"]) in output.parents)
    _write_report(output, report)
    if params.get("report_only"):
        return answer
    if blocked and stops == {"too_large"}:
        raise pack_zip.too_large(plan.layout.entries(), plan.bytes, max_bytes)
    if blocked:
        return answer
    if plan.refused:
        raise ProblemError(
            Category.INPUT,
            f"The scene cannot be packed into one .blend. {plan.refused}",
            "Choose Automatic or ZIP for the package.",
        )
    pack_zip.require_size(plan.layout, _blend_bytes(opened), max_bytes)
    caches.need_room(output, pack_zip.at_most(plan.layout, _blend_bytes(opened)))
    progress(0.3, "Packing")
    with _scratch(output) as scratch:
        path, size, files, notes = _pack(opened, plan, mode, output, scratch, max_bytes, progress)
    report["package"] = {**_about(plan, max_bytes), "bytes": size, "files": files}
    _write_report(output, report)
    answer |= {"path": str(path), "bytes": size, "mode": plan.mode}
    answer["notes"] = list(dict.fromkeys([*opened.notes, *notes]))
    progress(1.0, "Packed")
    return answer


def _about(plan: _Plan, max_bytes: int) -> dict[str, Any]:
    """The package as the report tells it."""
    return {
        "mode": plan.mode,
        "why": plan.refused or plan.why,
        "bytes": plan.bytes,
        "files": plan.files,
        "max_bytes": max_bytes,
    }


def _blend_bytes(opened: Opened) -> int:
    return opened.blend.stat().st_size


def _plan(
    opened: Opened, found: list[Dependency], name: str, mode: str, packed_max_bytes: int
) -> _Plan:
    pack_layout.join_hard_links(found)
    layout = pack_layout.plan(found, name=name, home=opened.home)
    size = pack_zip.estimate(layout, _blend_bytes(opened))
    whole = pack_zip.estimate(layout, _blend_bytes(opened), 1.0)
    obstacle = pack_blend.obstacle(found, whole, packed_max_bytes)
    if not obstacle and layout.again:
        library = pack_layout.leaf(min(layout.again))
        obstacle = f"The linked file {library} names others in a way that only this computer knows."
    refused = ""
    if mode == "zip":
        chosen, why = "zip", "A ZIP was asked for."
    elif mode == "blend":
        chosen, why, refused = "blend", "One .blend was asked for.", obstacle
    elif obstacle or (drawback := pack_blend.drawback(found)):
        chosen, why = "zip", obstacle or drawback
    elif layout.files:
        chosen, why = "blend", "Everything fits into one .blend."
    else:
        chosen, why = "blend", "The scene needs no other files."
    files = 1 if chosen == "blend" else 1 + len(layout.files)
    return _Plan(chosen, why, refused, size, files, found, layout)


def _pack(
    opened: Opened,
    plan: _Plan,
    mode: str,
    output: Path,
    scratch: Path,
    max_bytes: int,
    progress: Progress,
) -> tuple[Path, int, int, list[str]]:
    """Write the package; returns its path, bytes, files and notes. ``plan`` may become a ZIP."""
    if plan.mode == "blend":
        left = _into_blend(opened, plan)
        if not left:
            progress(0.6, "Saving the scene")
            temporary = scratch / plan.layout.blend
            size = pack_blend.save(temporary)
            if size > max_bytes:
                raise pack_zip.too_large(plan.layout.entries(), size, max_bytes)
            path = output / plan.layout.blend
            _move(temporary, path)
            return path, size, 1, []
        if mode == "blend":
            raise ProblemError(
                Category.BLENDER,
                f"Blender could not pack {left[0]} into the .blend.",
                "Choose Automatic or ZIP for the package.",
                ", ".join(left)[:300],
            )
        plan.mode, plan.why = "zip", f"Blender could not pack {left[0]} into a .blend."
        name = plan.layout.blend.removesuffix(".blend")
        plan.layout = pack_layout.plan(plan.dependencies, name=name, home=opened.home)
    path = output / (plan.layout.blend.removesuffix(".blend") + ".zip")
    packed = pack_zip.pack(
        plan.dependencies,
        plan.layout,
        output=path,
        scratch=scratch,
        cut=opened.cut,
        max_bytes=max_bytes,
        say=lambda done, text: progress(0.3 + 0.7 * done, text),
    )
    return path, packed.bytes, packed.files, packed.notes


def _into_blend(opened: Opened, plan: _Plan) -> list[str]:
    """Pack into the open file and look whether everything is in it; returns what is not."""
    pack_blend.pack(plan.dependencies)
    plan.dependencies = scan(frames=opened.cut, capture=opened.capture, folder=opened.folder)
    left = pack_blend.left_out(plan.dependencies)
    if not left:
        pack_rewrite.rewrite_libraries(plan.layout, plan.layout.blend)
    return left


# Files


def _make(output: Path, *, own: bool) -> None:
    """Make the folder. In a job's ``own`` one, what a run left behind that was killed goes."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        for left in output.glob(f"{_SCRATCH}*") if own else ():
            shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        raise _unwritable(output, error) from error


@contextlib.contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    """A folder for what is being made, beside the package: the same disk, gone afterwards."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=output))
    except OSError as error:
        raise _unwritable(output, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    try:
        os.replace(source, target)
    except OSError as error:
        raise _unwritable(target, error) from error


def _write_report(output: Path, report: dict[str, Any]) -> None:
    path = output / REPORT
    temporary = path.with_name(path.name + ".tmp")
    try:
        # A name that is no valid text (it happens on Linux) is escaped, not refused.
        text = json.dumps(report, ensure_ascii=False, indent=1, default=str) + "\n"
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ProblemError:
    return ProblemError(
        Category.DISK,
        "The folder of the package cannot be written to.",
        "Check that you may write there and that the disk has room, then retry.",
        f"{path}: {error.strerror or error}",
    )
