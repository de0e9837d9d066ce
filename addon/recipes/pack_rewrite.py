# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the paths in the open file lead to the package's files, in memory.

A path that belongs to a linked library cannot be rewritten from outside; the layout keeps such
files where the library looks for them, or names the library to be saved again.
"""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import blocks, pack_blend, places, versions
from addon.recipes.dependencies import Dependency
from addon.recipes.pack_layout import Layout, leaf, safe_name, wanted

#: Blender may write to these while it looks at them: they are never reached through a link
_WRITTEN = frozenset(["point_cache", "fluid_cache", "rigid_body_cache", "nodes_bake"])
#: what Blender judges by the file when the path is set, and for good: a clip of images that it does
#: not find becomes a movie, a shader's script loses its sockets. A script is compiled then, and the
#: result written beside it: scripts are copied.
_CLIP, _SCRIPT = "movie_clip", "script"


def rewrite(
    dependencies: Sequence[Dependency], layout: Layout, root: Path, blend: str
) -> list[str]:
    """Rewrite what the open file names; ``blend`` is its place in the archive.

    The open file is saved to its place under ``root``, and links beside it let Blender find what it
    names while that is rewritten. Returns the names of files whose path could not be rewritten.
    """
    libraries = _libraries(layout)
    _stage(dependencies, layout, root)
    pack_blend.save(root / blend, copy=False)
    failed = []
    for item in own(dependencies):
        value = layout.value(item, blend)
        if value is None or item.kind == "library":
            continue
        if item.setter is None:
            failed.append(leaf(item.path))
            continue
        item.setter(value)
    _rename_elements()
    _rewrite_libraries(libraries, blend)
    return failed


def rewrite_libraries(layout: Layout, blend: str) -> None:
    """Only the paths of libraries, those that are linked by others too: Blender recognises
    libraries by their path.
    """
    _rewrite_libraries(_libraries(layout), blend)


def _libraries(layout: Layout) -> list[tuple[bpy.types.Library, str]]:
    found = []
    for library in bpy.data.libraries:
        path = os.path.normpath(bpy.path.abspath(library.filepath))
        for one, place in layout.libraries.items():
            if blocks.same_file(one, path):
                found.append((library, place))
    return found


def _rewrite_libraries(libraries: list[tuple[bpy.types.Library, str]], blend: str) -> None:
    for library, place in libraries:
        library.filepath = "//" + posixpath.relpath(place, posixpath.dirname(blend) or ".")


def _stage(dependencies: Sequence[Dependency], layout: Layout, root: Path) -> None:
    """Links under ``root`` to the files that the open file names, as they will lie in the archive.

    Copies where links are not allowed, but only of what must be found.
    """
    at: dict[str, list[str]] = {}
    for name, entry in layout.files.items():
        at.setdefault(entry.real, []).append(name)
    for item in own(dependencies):
        if item.kind in _WRITTEN or item.kind == "library":
            continue
        ways: list[Callable[[str, Path], Any]] = [os.symlink]
        if item.kind == _CLIP:
            ways += [os.link, shutil.copyfile]
        elif item.kind == _SCRIPT:
            ways = [shutil.copyfile]
        for entry in item.files:
            for name in at.get(entry.real, ()):
                _link(entry.path, root / name, ways)


def _link(source: str, target: Path, ways: Sequence[Callable[[str, Path], Any]]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for way in ways:
        if os.path.lexists(target):
            return
        try:
            way(source, target)
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


def unchanged(
    dependencies: Sequence[Dependency], before: Sequence[Dependency], layout: Layout, blend: str
) -> list[str]:
    """Of a scan after the rewriting: what the open file still names as it did ``before``."""
    old = {
        (item.kind, item.value)
        for item in own(before)
        if layout.value(item, blend) not in (None, item.value)
    }
    now = own(dependencies, missing=True)
    return [leaf(item.path) for item in now if (item.kind, item.value) in old]


def own(dependencies: Sequence[Dependency], *, missing: bool = False) -> list[Dependency]:
    """Those that the open file itself names by a path; ``missing``: also where no file is."""
    return [
        item
        for item in (dependencies if missing else wanted(dependencies))
        if item.library is None and not (item.packed or item.optional or item.beside)
    ]
