# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk over the open file's data-blocks that finds what they refer to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from addon.recipes.dependencies.model import Dependency, FileEntry


class Walk:
    """One scan: collects dependencies, one for each place on disk and .blend that refers to it."""

    def __init__(
        self,
        frames: tuple[int, int] | None,
        capture: dict[str, Any] | None,
        folder: Path | None,
    ) -> None:
        self.frames, self.capture, self.folder = frames, capture, folder
        self.found: dict[tuple[str, str, str | None], Dependency] = {}

    def run(self) -> list[Dependency]:
        """Everything, sorted by kind and path."""
        for library in bpy.data.libraries:
            self._one("library", library, "filepath", parent=library.parent)
        for image in bpy.data.images:
            if image.source in {"FILE", "MOVIE"}:
                self._one("image", image, "filepath")
        return sorted(self.found.values(), key=lambda item: (item.kind, item.path))

    def _one(self, kind: str, item: Any, name: str, *, parent: Any = None) -> None:
        holder = parent if isinstance(item, bpy.types.Library) else item.library
        value = getattr(item, name)
        library = None
        if holder is not None:
            library = os.path.normpath(bpy.path.abspath(holder.filepath, library=holder.parent))
        path = os.path.normpath(bpy.path.abspath(value, library=holder))
        setter: Callable[[str], None] | None = None
        if holder is None:

            def setter(new: str) -> None:
                setattr(item, name, new)

        made = Dependency(kind, value, path, library, setter=setter)
        made.users.append({"type": type(item).__name__, "name": item.name, "library": library})
        made.packed = getattr(item, "packed_file", None) is not None
        if not made.packed:
            if os.path.isfile(path):
                made.files = [FileEntry(path, os.path.getsize(path), real=os.path.realpath(path))]
                made.total = 1
            else:
                made.missing = [path]
        self.found.setdefault((kind, path, library), made)
