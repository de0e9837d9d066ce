# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the paths in the open file lead to the package's files, in memory.

A path that belongs to a linked library cannot be rewritten from outside; the layout keeps such
files where the library looks for them, or names the library to be saved again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import bpy

from addon.recipes import blocks, pack_blend, places, versions
from addon.recipes.dependencies import Dependency
from addon.recipes.pack_layout import Layout, leaf, safe_name, wanted


def rewrite(dependencies: Sequence[Dependency], layout: Layout, blend: str) -> list[str]:
    """Rewrite what the open file names; ``blend`` is its place in the archive.

    Returns the names of files whose path could not be rewritten.
    """
    failed = []
    for item in wanted(dependencies):
        if item.library is not None or item.beside or item.kind == "library":
            continue
        value = layout.value(item, blend)
        if value is None:
            continue
        if item.setter is None:
            failed.append(leaf(item.path))
            continue
        item.setter(value)
    _rename_elements()
    rewrite_libraries(layout, blend)
    return failed


def stage_clips(dependencies: Sequence[Dependency], layout: Layout, root: Path, blend: str) -> None:
    """Let movie clips be found by their new paths while these are set, by links under ``root``.

    Blender looks at the disk when a clip's path is set: where it finds nothing, a sequence of
    images becomes a movie for good. The open file is saved to its place under ``root`` for it.
    """
    clips = [item for item in own(dependencies) if item.kind == "movie_clip"]
    if not clips:
        return
    for item in clips:
        place = layout.places.get((item.kind, item.path))
        real = {entry.real for entry in item.files}
        for name, entry in layout.files.items():
            if place is not None and entry.real in real and name.startswith(place.base + "/"):
                _link(entry.path, root / name)
    pack_blend.save(root / blend, copy=False)


def _link(source: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return
    for way in (os.symlink, os.link, shutil.copyfile):
        try:
            way(source, target)
            return
        except OSError as error:
            print(f"{way.__name__} {target.name}: {error}", flush=True)


def _rename_elements() -> None:
    """The files of an image strip have their names apart from its folder."""
    for scene in bpy.data.scenes:
        if scene.library is None and scene.sequence_editor is not None:
            for strip in versions.strips(scene.sequence_editor):
                for element in strip.elements if strip.type == "IMAGE" else ():
                    if not places.same_form(element.filename, safe_name(element.filename)):
                        element.filename = safe_name(element.filename)


def rewrite_libraries(layout: Layout, blend: str) -> None:
    """All libraries, those that are linked by others too: Blender recognises them by their path."""
    values = []
    for library in bpy.data.libraries:
        path = os.path.normpath(bpy.path.abspath(library.filepath, library=library.parent))
        known = next(
            (at for one, at in layout.libraries.items() if blocks.same_file(one, path)), None
        )
        if known is not None:
            values.append((library, "//" + os.path.relpath(known, os.path.dirname(blend) or ".")))
    for library, value in values:
        library.filepath = value.replace(os.sep, "/")


def unchanged(dependencies: Sequence[Dependency], before: Sequence[Dependency]) -> list[str]:
    """Of a scan after the rewriting: what the open file still names as it did ``before``."""
    old = {(item.kind, item.value) for item in own(before)}
    now = own(dependencies, missing=True)
    return [leaf(item.path) for item in now if (item.kind, item.value) in old]


def own(dependencies: Sequence[Dependency], *, missing: bool = False) -> list[Dependency]:
    """Those that the open file itself names by a path; ``missing``: also where no file is."""
    return [
        item
        for item in (dependencies if missing else wanted(dependencies))
        if item.library is None and not (item.packed or item.optional or item.beside)
    ]
