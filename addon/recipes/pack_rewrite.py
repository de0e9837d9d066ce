# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the paths in the open file lead to the package's files. In memory only: nothing is saved.

A path that belongs to a linked library cannot be rewritten from outside; the layout keeps such
files where the library looks for them, or names the library to be saved again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import bpy

from addon.recipes import blocks
from addon.recipes.dependencies import Dependency
from addon.recipes.pack_layout import Layout, leaf, wanted


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
    rewrite_libraries(layout, blend)
    return failed


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


def still_outside(dependencies: Sequence[Dependency], layout: Layout) -> list[str]:
    """Of a scan after the rewriting: what the open file names by a path out of the package.

    Only what was to be packed counts; missing files stay as they are.
    """
    old = {path for _kind, path in layout.places}
    return [
        leaf(item.path)
        for item in dependencies
        if item.library is None
        and not (item.packed or item.beside or item.optional)
        and (item.path in old or (item.files and not item.value.startswith("//")))
    ]
