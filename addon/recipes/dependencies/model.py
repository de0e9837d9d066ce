# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scan for external files finds: one `Dependency` for each thing that a scene refers to.

Plain data, no Blender. A dependency may be one file, a numbered sequence, a set of tiles or a
folder; `Dependency.files` says which files of it the frames asked for need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

KINDS = frozenset(
    [
        "image",
        "image_sequence",
        "udim",
        "movie_clip",
        "movie",
        "sound",
        "font",
        "volume",
        "volume_sequence",
        "alembic",
        "usd",
        "mesh_cache",
        "ocean_cache",
        "point_cache",
        "fluid_cache",
        "rigid_body_cache",
        "nodes_bake",
        "ies",
        "script",
        "library",
        "strip",
        "strip_sequence",
        "proxy",
        "lut",
        "other",
    ]
)

# FileEntry.problem
CASE = "case"  # on disk the name has other capital letters than in the scene
UNICODE = "unicode"  # on disk the name has its accents in the other Unicode form (NFC, NFD)
LOOP = "loop"  # a symbolic link that leads to itself
UNREADABLE = "unreadable"  # there, but this user may not read it
EMPTY = "empty"  # zero bytes: damaged, or a cloud's placeholder


@dataclass
class FileEntry:
    """One file on this computer that the frames asked for need.

    ``path`` is absolute and spelled as on the disk. ``wanted`` is how Blender asks for it, which
    differs from ``path`` where the scene's spelling does (`CASE`, `UNICODE`). ``real`` is the file
    behind symbolic links: two entries with the same ``real`` are one file. ``frame`` is the number
    in a sequence's file name, or the number of a UDIM tile. ``placeholder``: the content is in a
    cloud, not on this disk (or the file has zero bytes). ``problem`` is "" or a code above.
    """

    path: str
    bytes: int
    frame: int | None = None
    placeholder: bool = False
    problem: str = ""
    wanted: str = ""
    real: str = ""

    def __post_init__(self) -> None:
        self.wanted = self.wanted or self.path
        self.real = self.real or self.path


@dataclass
class Dependency:
    """One external thing, and everything that is needed to send, report or rewrite it.

    ``value`` is the path as stored; ``path`` the same made absolute and normalised, with "####" for
    a sequence's frame number and "<UDIM>" for its tiles; for a folder, the folder. ``library`` is
    the absolute path of the .blend that holds the reference, None for the open file. ``users``: the
    data-block that holds the path, then who uses that: {"type", "name", "library"}.

    ``files`` are those there are and the frames asked for need, ``missing`` those that are needed
    and are not there (as absolute paths, spelled as the scene does). ``total`` counts all files on
    the disk, needed or not. The files of one dependency must keep their places relative to each
    other, wherever they go. ``packed``: the content is in its .blend, no file is needed.

    ``setter(value)`` rewrites the path in the open file, wherever this dependency is held; None
    where that is not possible: in a library (read-only), or with ``beside``, where Blender finds
    the folder by the .blend's name: ``blendcache_<name without .blend>`` beside it.

    ``used`` is false when nothing renders it: only a "fake user" keeps the data-block, or the
    modifier is switched off. ``optional``: a render does not need it (proxies, image output of
    Dynamic Paint), and missing ones are not listed.
    ``note`` says in a sentence what is special, such as why all frames are taken.
    """

    kind: str
    value: str
    path: str
    library: str | None = None
    users: list[dict[str, Any]] = field(default_factory=list)
    files: list[FileEntry] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    packed: bool = False
    folder: bool = False
    setter: Callable[[str], None] | None = None
    beside: bool = False
    used: bool = True
    optional: bool = False
    total: int = 0
    note: str = ""

    @property
    def bytes(self) -> int:
        """The size of the needed files together."""
        return sum(entry.bytes for entry in self.files)

    @property
    def frames(self) -> tuple[int, int] | None:
        """First and last frame number among the needed files of a sequence or a cache."""
        if self.kind == "udim":
            return None
        numbers = [entry.frame for entry in self.files if entry.frame is not None]
        return (min(numbers), max(numbers)) if numbers else None

    def as_dict(self) -> dict[str, Any]:
        """The report's form: at most 20 missing paths, no file list."""
        return {
            "kind": self.kind,
            "path": self.path,
            "value": self.value,
            "users": self.users,
            "library": self.library,
            "files": len(self.files),
            "bytes": self.bytes,
            "missing": self.missing[:20],
            "missing_count": len(self.missing),
            "packed": self.packed,
            "frames": list(self.frames) if self.frames else None,
            "total": self.total,
            "used": self.used,
            "optional": self.optional,
            "note": self.note,
        }
