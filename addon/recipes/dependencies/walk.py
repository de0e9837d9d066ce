# SPDX-License-Identifier: GPL-3.0-or-later
"""One scan: who asks for what, where that is, and which files of it are there.

The modules beside this one know the kinds of things; each has a function that takes a `Walk` and
tells it what it finds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import blocks, places, versions
from addon.recipes.dependencies.disk import Disk
from addon.recipes.dependencies.model import Dependency, FileEntry

SHOWN_USERS = 8
Setter = Callable[[str], None]


class Walk:
    """Collects dependencies, one for each place on disk and .blend that refers to it."""

    def __init__(
        self,
        frames: tuple[int, int] | None,
        capture: dict[str, Any] | None,
        folder: Path | None,
        disk: Disk | None = None,
    ) -> None:
        self.capture = capture or {}
        self.folder = folder
        self.disk = disk or Disk()
        self.windows = os.name == "nt"
        self.here = os.path.dirname(bpy.data.filepath)
        original = str(self.capture.get("original_path") or "")
        self.original = os.path.dirname(original) if capture is not None else self.here
        self.all_frames_because = _untimed()
        self.frames = None if self.all_frames_because else frames
        self.asked = frames is not None
        self.found: dict[tuple[str, str, str | None, bool], Dependency] = {}
        self.known: set[str] = set()
        self.rendered = True  # whether what is being looked at takes part in a render
        self._entries: dict[int, dict[str, FileEntry]] = {}
        self._user_map: dict[Any, set[Any]] | None = None

    # What is referred to

    def place(self, value: str, item: Any, *, moved: bool | None = True) -> str:
        """A stored path of a data-block, absolute and normal, as Blender understands it.

        ``moved`` says whether Blender rewrites this kind of path when a copy is saved elsewhere. If
        it does not, ``//`` still means the artist's own folder; None: some versions do.
        """
        library = blocks.library_path(item)
        folders = [self.here if moved is not False else self.original]
        if library is not None:
            folders = [os.path.dirname(library)]
        elif moved is not True:
            folders.append(self.original if moved is None else self.here)
        reference = getattr(item.override_library, "reference", None)
        if library is None and reference is not None:
            folders.append(os.path.dirname(blocks.library_path(reference) or ""))
        close = [places.resolve(value, folder) for folder in dict.fromkeys(folders)]
        if len(close) > 1 and places.is_relative(value):
            return next((path for path in close if self.disk.find(path)), close[0])
        return close[0]

    def add(
        self,
        kind: str,
        item: Any,
        value: str,
        *,
        path: str | None = None,
        setter: Setter | None = None,
        packed: bool = False,
        holder: Any = None,
        **more: Any,
    ) -> Dependency:
        """The dependency for a stored path of ``item``: a new one, or the one that is known.

        ``setter`` is dropped for linked data. ``holder`` is the data-block shown as the user, where
        that is not ``item``.
        """
        if path is None:
            path = self.place(value, item)
        library = self._held_by(item)
        if library is not None:
            library = places.normal(library)
        self.known.add(places.key(path))
        key = (kind, places.key(path), library, packed)
        made = self.found.get(key)
        if made is None:
            made = Dependency(kind, value, path, library, packed=packed, **more)
            made.used = False
            self.found[key] = made
            self._entries[id(made)] = {}
        shown = item if holder is None else holder
        made.used = made.used or (self.rendered and not _only_kept(shown))
        for user in self._users(shown):
            if user not in made.users and len(made.users) < SHOWN_USERS:
                made.users.append(user)
        if setter is not None and library is None:
            made.setter = _both(made.setter, setter)
        return made

    @staticmethod
    def _held_by(item: Any) -> str | None:
        """The .blend whose content holds a data-block's path; a library's is its parent's."""
        if isinstance(item, bpy.types.Library):
            return None if item.parent is None else str(bpy.path.abspath(item.parent.filepath))
        return blocks.library_path(item)

    def _users(self, item: Any) -> list[dict[str, Any]]:
        """The data-block, then what uses it, then what uses that: objects and scenes at last."""
        if self._user_map is None:
            self._user_map = bpy.data.user_map()
        rows, seen, level = [], {item}, [item]
        wanted = (bpy.types.Object, bpy.types.Scene)
        for _ in range(6):
            rows += level
            if not level or all(isinstance(each, wanted) for each in level):
                break
            above: list[Any] = []
            for each in level:
                for user in () if isinstance(each, wanted) else self._user_map.get(each, ()):
                    if user not in seen and not isinstance(user, _WINDOWS):
                        seen.add(user)
                        above.append(user)
            level = sorted(above, key=lambda each: str(each.name))[:SHOWN_USERS]
        return [_row(each) for each in rows]

    # Where it is

    def skip(self, value: str, item: Any) -> None:
        """A path that is stored and not read, so that the safety net leaves it alone."""
        self.known.add(places.key(self.place(value, item)))

    def put(self, made: Dependency, entries: Iterable[FileEntry | None]) -> None:
        """Add files to a dependency, each once."""
        known = self._entries[id(made)]
        for entry in entries:
            if entry is not None and entry.wanted not in known:
                known[entry.wanted] = entry
                self.known.add(places.key(entry.wanted))

    def miss(self, made: Dependency, paths: Iterable[str]) -> None:
        """Add missing files to a dependency, each once."""
        for path in paths:
            if path not in made.missing:
                made.missing.append(path)

    def file(self, made: Dependency, path: str | None = None, *, frame: int | None = None) -> bool:
        """Look for one file (the dependency's own path, if none is named); say if it is there."""
        path = made.path if path is None else path
        if made.packed:
            return True
        self.known.add(places.key(path))
        there = self.disk.find(path)
        entry = None
        if there is not None:
            entry = self.disk.entry(there[0], frame, wanted=path, problem=there[1])
        if entry is None:
            if not made.optional:
                self.miss(made, [path])
            return False
        self.put(made, [entry])
        made.total = max(made.total, len(self._entries[id(made)]))
        return True

    def sequence(
        self,
        made: Dependency,
        path: str,
        wanted: Collection[int] | None,
        *,
        spare: Collection[int] = (),
    ) -> None:
        """Look for a sequence's files, ``path`` being one of them; ``wanted`` None: all there are.

        A number that is wanted and not on the disk is missing, unless it is also ``spare``. A file
        without a number in its name is one file.
        """
        folder, name = os.path.split(path)
        pieces = places.numbered(name)
        if pieces is None:
            self.file(made, path)
            return
        self.known.add(places.key(path))
        there = self.disk.find(folder)
        on_disk = {} if there is None else self.numbered(there[0], pieces)
        made.total = max(made.total, len(on_disk))
        numbers = sorted(on_disk) if wanted is None else sorted(wanted)
        for number in numbers:
            asked = os.path.join(folder, places.encode(pieces, number))
            if number in on_disk:
                found = os.path.join(there[0] if there else folder, on_disk[number])
                self.put(made, [self.disk.entry(found, number, wanted=asked)])
            elif number not in spare:
                self.miss(made, [asked])
        if not numbers and wanted is None:
            self.miss(made, [path])

    def numbered(self, folder: str, pieces: tuple[str, int, str]) -> dict[int, str]:
        """Number -> name of a sequence's files; a close spelling where the exact one is not."""
        exact: dict[int, str] = {}
        close: dict[int, str] = {}
        folded = (places.fold(pieces[0]), pieces[1], places.fold(pieces[2]))
        for name in self.disk.names(folder):
            number = places.sequence(name, pieces)
            if number is not None:
                exact[number] = name
                continue
            number = places.sequence(places.fold(name), folded)
            if number is not None:
                close.setdefault(number, name)
        return {**close, **exact}

    def tree(
        self,
        made: Dependency,
        choose: Callable[[list[str]], Mapping[str, int | None]] | None = None,
        *,
        inner: Iterable[str] = ("",),
    ) -> int:
        """Take a folder's files, deeply: all, or those that ``choose`` picks from the relative
        names and gives a frame. ``inner`` names the folders in it to look at. Returns how many
        files there are.
        """
        there = self.disk.find(made.path)
        if there is None or not self.disk.is_folder(there[0]):
            return 0
        found: dict[str, str] = {}
        for name in inner:
            start = os.path.join(there[0], name) if name else there[0]
            found.update(
                ((f"{name}/" if name else "") + relative, path)
                for relative, path in self.disk.tree(start)
            )
        chosen = dict.fromkeys(found) if choose is None else choose(sorted(found))
        made.total = max(made.total, len(found))
        for relative in sorted(chosen):
            asked = os.path.join(made.path, *relative.split("/"))
            frame = chosen[relative]
            self.put(made, [self.disk.entry(found[relative], frame, wanted=asked)])
        return len(found)

    def entries(self, made: Dependency) -> list[FileEntry]:
        """The files that a dependency has so far."""
        return list(self._entries[id(made)].values())

    def entry_of(self, kind: str, owner: Any, **facts: Any) -> dict[str, Any] | None:
        """What capture.json knows of a cache: its entry by kind, owner and the facts given."""
        what = "scene" if isinstance(owner, bpy.types.Scene) else "object"
        for entry in self.capture.get("caches", []):
            if (
                entry["kind"] == kind
                and entry.get(what) == owner.name
                and blocks.same_file(entry.get("library"), blocks.library_path(owner))
                and all(entry.get(name) == value for name, value in facts.items())
            ):
                return dict(entry)
        return None

    def all_frames(self, made: Dependency, why: str) -> None:
        """Say why a sequence is taken whole though a range of frames was asked for."""
        if self.asked and why not in made.note:
            made.note = f"{made.note} {why}".strip()

    def finish(self) -> list[Dependency]:
        """Everything, with its files in order, sorted by kind and path."""
        for made in self.found.values():
            entries = self._entries[id(made)].values()
            made.files = sorted(
                entries, key=lambda each: (each.frame is None, each.frame or 0, each.wanted)
            )
        return sorted(
            self.found.values(), key=lambda each: (each.kind, each.path, each.library or "")
        )


_WINDOWS = (bpy.types.WindowManager, bpy.types.Screen, bpy.types.WorkSpace, bpy.types.Library)


def _row(item: Any) -> dict[str, Any]:
    library = blocks.library_path(item)
    return {"type": type(item).__name__, "name": item.name, "library": library}


def _only_kept(item: Any) -> bool:
    """Whether nothing but a fake user keeps a data-block."""
    if isinstance(item, bpy.types.Library | bpy.types.Scene) or item.is_embedded_data:
        return False
    return int(item.users) - int(item.use_fake_user) <= 0


def _both(one: Setter | None, other: Setter) -> Setter:
    if one is None:
        return other

    def both(value: str) -> None:
        one(value)
        other(value)

    return both


def assign(owner: Any, name: str) -> Setter:
    """A setter for a plain property."""

    def setter(value: str) -> None:
        setattr(owner, name, value)

    return setter


def animated(item: Any, *names: str) -> bool:
    """Whether a property of one of these names is keyed or driven, in a data-block or an embedded
    node tree.
    """
    data = getattr(item, "animation_data", None)
    if data is None:
        return False
    actions = [data.action] + [strip.action for track in data.nla_tracks for strip in track.strips]
    found = [curve for action in actions if action is not None for curve in versions.curves(action)]
    return any(curve.data_path.rpartition(".")[2] in names for curve in [*found, *data.drivers])


def _untimed() -> str:
    """Why the scene's frames say nothing about which files are read; "" when they do."""
    for scene in bpy.data.scenes:
        render = scene.render
        if render.frame_map_old != render.frame_map_new:
            return "All frames are taken, since the scene's time is remapped."
        editor = scene.sequence_editor
        if editor is not None and any(strip.type == "SCENE" for strip in versions.strips(editor)):
            return "All frames are taken, since a scene strip shows a scene at another time."
    return ""
