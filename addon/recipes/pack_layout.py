# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each file of a scene goes in the package: names only, nothing is read, copied or rewritten.

The .blend lies at the top, all else in ``assets/``. Folders that lie in each other stay so, and a
library keeps its place relative to the files that it names by a relative path: then its bytes need
no change. What lies elsewhere gets a folder of its own; where it lay on the artist's disk is not
told. A file that several things use is there once. Names are safe on every platform, so a name may
differ from the artist's: whatever refers to it is rewritten.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from addon.recipes import places
from addon.recipes.dependencies import LOOP, UNREADABLE, Dependency, FileEntry
from addon.recipes.zip_stream import Entry

ASSETS = "assets"
#: characters of a folder's path in the archive; Windows allows 259 for a whole path
_LONGEST_FOLDER = 120
#: what stands for the number in a sequence's or a tile's name
_COUNTED = re.compile(r"^(.*?)(u\d+_v\d+|\d+|#+|<UDIM>|<UVTILE>)(\D*)$", re.DOTALL)


@dataclass
class Place:
    """Where one dependency lies in the archive.

    ``base`` is the folder that took the place of the one on disk, ``name`` what followed it in the
    dependency's path: a file name, a pattern, or "" for a folder.
    """

    base: str
    name: str

    @property
    def path(self) -> str:
        """The archive path of the file, the pattern or the folder."""
        return posixpath.join(self.base, self.name) if self.name else self.base


@dataclass
class Layout:
    """The archive: ``blend`` (name of the scene), ``files`` (all others) and each thing's place.

    ``places`` is by (kind, path) as a scan gives them; ``again`` are the libraries (by path) whose
    own paths would lead nowhere, with the reason; ``libraries`` where each lies in the archive;
    ``copies`` counts files that had to be taken twice to keep a sequence together.
    """

    blend: str
    files: dict[str, FileEntry] = field(default_factory=dict)
    places: dict[tuple[str, str], Place] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)
    copies: int = 0

    def entries(self) -> list[Entry]:
        """What the archive holds beside the .blend, each as it lies on the disk."""
        return [Entry(name, item.path, item.bytes) for name, item in self.files.items()]

    def value(self, dependency: Dependency, blend: str) -> str | None:
        """The path to store in ``blend`` (an archive path) for a dependency; None: not packed."""
        place = self.places.get((dependency.kind, dependency.path))
        if place is None:
            return None
        target = place.path
        if is_pattern(dependency):
            # A sequence is stored by the name of one of its files, not by its pattern.
            target = posixpath.join(posixpath.dirname(target), safe_name(leaf(dependency.value)))
        return "//" + posixpath.relpath(target, posixpath.dirname(blend) or ".")


def leaf(value: str) -> str:
    """The last part of a path as Blender stores it, whatever its platform."""
    return value.replace("\\", "/").rstrip("/").rpartition("/")[2]


def is_pattern(item: Dependency) -> bool:
    """Whether a dependency's path stands for several files: a sequence or tiles."""
    last = leaf(item.path)
    counted = "#" in last and last != leaf(item.value)
    return not item.folder and (counted or places.has_tiles(last))


def safe_name(name: str) -> str:
    """A safe name for a file or a pattern; the files of one sequence keep one name but its number.

    A name that is too long loses characters before its number, never the number.
    """
    if not places.has_tiles(name) and len(name.encode(errors="replace")) <= places.LONGEST_PART:
        return places.safe_part(name)
    stem, dot, extension = name.rpartition(".")
    match = _COUNTED.match(stem or name)
    if match is None:
        return places.safe_part(name)
    head, number, tail = match.groups()
    tail += dot + extension if stem else ""
    if len(name.encode(errors="replace")) > places.LONGEST_PART - 10:
        head = head[:30] + _digest(head)
    head, tail = places.safe_part(f"{head}0")[:-1], places.safe_part(f"0{tail}")[1:]
    return head + number + tail


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def wanted(dependencies: Iterable[Dependency]) -> list[Dependency]:
    """Those whose files the package needs."""
    return [item for item in dependencies if files(item) and not (item.packed or item.optional)]


def files(item: Dependency) -> list[FileEntry]:
    """The files of a dependency that can be read."""
    return [entry for entry in item.files if entry.problem not in (LOOP, UNREADABLE)]


def plan(dependencies: Sequence[Dependency], *, name: str, home: str | None) -> Layout:
    """Lay out the archive. ``name``: the .blend's, without ending; ``home``: the artist's folder.

    The same dependencies give the same layout, in whatever order they come.
    """
    layout = Layout(f"{name}.blend")
    chosen = sorted(wanted(dependencies), key=_order)
    roots = _name_roots(_roots(chosen, home))
    taken: dict[str, str] = {places.fold(layout.blend): ""}
    at: dict[str, str] = {}
    for item in chosen:
        folder = base(item)
        if item.beside and item.library is None:
            natural = f"blendcache_{name}"
        else:
            natural = _archive_folder(folder, roots, _rigid(item))
        place = _claim(layout, item, natural, taken, at)
        layout.places[(item.kind, item.path)] = place
        if item.kind == "library":
            layout.libraries[item.path] = place.path
    _place_packed(layout, dependencies, chosen, roots)
    for item in chosen:
        if item.library is None or item.library in layout.again or not item.used:
            continue
        reason = _unreachable(layout, item)
        if reason:
            layout.again[item.library] = reason
    return layout


def _place_packed(
    layout: Layout,
    dependencies: Sequence[Dependency],
    chosen: Sequence[Dependency],
    roots: dict[str, str],
) -> None:
    """Libraries that are packed in the .blend have no file, but files that they name."""
    holders = {item.library for item in chosen}
    for item in dependencies:
        if item.kind == "library" and item.packed and item.path in holders:
            folder, last = os.path.split(item.path)
            if any(_inside(folder, root) for root in roots):
                place = posixpath.join(_archive_folder(folder, roots), safe_name(last))
                layout.libraries.setdefault(item.path, place)


def join_hard_links(dependencies: Iterable[Dependency]) -> None:
    """Give files that are one on the disk by several names the same ``real``, so that the archive
    holds them once. Looks at each file's facts, not at its content.
    """
    first: dict[tuple[int, int], str] = {}
    for item in dependencies:
        for entry in item.files:
            with contextlib.suppress(OSError):
                facts = os.stat(places.extended(entry.real))
                if facts.st_nlink > 1 and facts.st_ino:
                    entry.real = first.setdefault((facts.st_dev, facts.st_ino), entry.real)


def base(item: Dependency) -> str:
    """The folder on disk that all the files of a dependency lie in."""
    if item.folder:
        return item.path
    return _common([item.path, *(entry.wanted for entry in item.files)])


def _common(paths: Iterable[str]) -> str:
    """The folder that files have in common; on several drives, that of the first."""
    folders = [os.path.dirname(path) for path in paths]
    try:
        return os.path.commonpath(folders)
    except ValueError:
        return folders[0]


def _tail(path: str, folder: str, exact: bool) -> str:
    """What follows the folder in a path, as an archive names it."""
    rest = os.path.relpath(path, folder).split(os.sep)
    if os.pardir in rest:
        rest = [os.path.basename(path)]
    return "/".join(_name(part, exact) for part in rest)


def _name(part: str, exact: bool) -> str:
    """A safe name; ``exact``: in the Unicode form it has, since Blender will ask for that."""
    safe = safe_name(part)
    return part if exact and places.same_form(part, safe) else safe


def _rigid(item: Dependency) -> bool:
    """Whether a library asks for it, which cannot be told another name."""
    return item.library is not None


def _order(item: Dependency) -> tuple[bool, bool, str, str, str]:
    """Libraries first, then what they refer to: those paths are not rewritten."""
    return (item.kind != "library", item.library is None, item.library or "", item.kind, item.path)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/\\") + os.sep)


def _roots(chosen: Sequence[Dependency], home: str | None) -> list[str]:
    """Folders on disk that hold everything, none within another.

    A library and what it names relative to itself have one root in common.
    """
    roots: set[str] = set()
    if home is not None and any(_inside(base(item), home) for item in chosen):
        roots.add(home)
    for item in chosen:
        folder = base(item)
        if item.beside and item.library is None:
            continue
        if item.library is not None and (item.beside or item.value.startswith("//")):
            folder = _common([os.path.join(folder, "x"), item.library])
        roots.add(folder)
    kept: list[str] = []
    for root in sorted(roots):
        if not any(_inside(root, other) for other in kept):
            kept.append(root)
    return kept


def _name_roots(roots: list[str]) -> dict[str, str]:
    """A folder in the archive for each root."""
    if len(roots) == 1:
        return {roots[0]: ASSETS}
    named: dict[str, str] = {}
    used: set[str] = set()
    for root in roots:
        name = short = places.safe_part(os.path.basename(root.rstrip("/\\")) or "files")
        number = 1
        while places.fold(name) in used:
            number += 1
            name = f"{short}~{number}"
        used.add(places.fold(name))
        named[root] = f"{ASSETS}/{name}"
    return named


def _archive_folder(folder: str, roots: dict[str, str], exact: bool = False) -> str:
    root = next(root for root in roots if _inside(folder, root))
    rest = os.path.relpath(folder, root)
    parts = [] if rest == os.curdir else [_name(part, exact) for part in rest.split(os.sep)]
    path = "/".join([roots[root], *parts])
    return path if len(path) <= _LONGEST_FOLDER else f"{roots[root]}/{_digest(rest)}"


def _claim(
    layout: Layout, item: Dependency, natural: str, taken: dict[str, str], at: dict[str, str]
) -> Place:
    """Give the files of one dependency their names; those that are there already keep theirs.

    ``taken``: which file (its ``real``) has a name, by the folded name; ``at``: the name that a
    file has.
    """
    folder = base(item)
    found = sorted(files(item), key=lambda entry: entry.wanted)
    single = len(found) == 1 and not item.folder and not is_pattern(item)
    exact = item.folder or _rigid(item)
    tails = {_tail(entry.wanted, folder, exact): entry for entry in found}
    pattern = "" if item.folder else _tail(item.path, folder, exact)
    there = _there(tails, at, single)
    if there is not None:
        if single:
            return Place(posixpath.dirname(there), posixpath.basename(there))
        return Place(there, pattern)
    target, number = natural, 1
    while any(
        taken.get(places.fold(f"{target}/{tail}"), entry.real) != entry.real
        for tail, entry in tails.items()
    ):
        number += 1
        target = f"{natural}~{number}"
    for tail, entry in tails.items():
        name = f"{target}/{tail}"
        if taken.setdefault(places.fold(name), entry.real) and name not in layout.files:
            layout.files[name] = entry
            layout.copies += entry.real in at
            at.setdefault(entry.real, name)
    return Place(target, next(iter(tails)) if single else pattern)


def _there(tails: dict[str, FileEntry], at: dict[str, str], single: bool) -> str | None:
    """Where these files lie in the archive already, all with these names: the folder; or the path
    of a single file, whatever its name is there.
    """
    known = [at.get(entry.real) for entry in tails.values()]
    if single:
        return known[0]
    folders = {
        name[: -len(tail) - 1] if name is not None and name.endswith("/" + tail) else None
        for name, tail in zip(known, tails, strict=True)
    }
    return folders.pop() if len(folders) == 1 else None


def _unreachable(layout: Layout, item: Dependency) -> str:
    """Why a library's own reference would lead nowhere in the archive; "" if it does not."""
    assert item.library is not None
    library = layout.libraries.get(item.library)
    if library is None:
        return ""
    if not item.beside and not item.value.startswith("//"):
        return f"it names {leaf(item.value)} by an absolute path"
    start = os.path.dirname(item.library)
    for entry in files(item):
        steps = os.path.relpath(entry.wanted, start).replace(os.sep, "/")
        name = posixpath.normpath(posixpath.join(posixpath.dirname(library), steps))
        held = layout.files.get(name)
        if held is None or held.real != entry.real:
            return f"{leaf(entry.wanted)} has another name in the package"
    return ""
