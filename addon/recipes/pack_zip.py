# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of a scene: the .blend at its top, what it needs in folders beside it.

Libraries go in byte for byte; only one whose own paths would lead nowhere is opened and saved again
into the job's folder, with paths that do. Never writes anywhere but into the folders it is given.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from addon.recipes import pack_blend, pack_rewrite, restore, zip_stream
from addon.recipes.dependencies import Dependency, scan
from addon.recipes.pack_layout import Layout, leaf
from addon.recipes.zip_stream import Entry
from bridge.problems import Category, ProblemError

#: what remains of files that are deflated: usually, and at least
_USUALLY, _AT_LEAST = 0.5, 0.05
_LISTED = 5


@dataclass
class Packed:
    """What was written: bytes and files of the archive, and what the artist should know."""

    bytes: int
    files: int
    notes: list[str] = field(default_factory=list)


def estimate(layout: Layout, blend_bytes: int, remains: float = _USUALLY) -> int:
    """Bytes that the archive is expected to have; ``remains``: the part of a file that deflating
    leaves of it.
    """
    return sum(
        entry.bytes if zip_stream.is_compressed(entry.name) else int(entry.bytes * remains)
        for entry in [*layout.entries(), Entry(layout.blend, "", blend_bytes)]
    )


def at_most(layout: Layout, blend_bytes: int) -> int:
    """Bytes that the archive and what is made for it can have, whatever is in the files."""
    again = {layout.libraries[library] for library in layout.again}
    copies = sum(entry.bytes for entry in layout.entries() if entry.name in again)
    return copies + zip_stream.bound([*layout.entries(), Entry("", "", 2 * blend_bytes)])


def require_size(layout: Layout, blend_bytes: int, max_bytes: int) -> None:
    """Raise ProblemError(LIMIT) when the archive is larger than ``max_bytes``, however it turns
    out; names the largest files. Nothing has been written then.
    """
    if estimate(layout, blend_bytes, _AT_LEAST) > max_bytes:
        raise too_large(layout.entries(), estimate(layout, blend_bytes), max_bytes)


def too_large(entries: list[Entry], total: int, max_bytes: int) -> ProblemError:
    """The problem of a package that the service does not take: by folder, what takes the room."""
    sizes: dict[str, int] = {}
    counts: dict[str, int] = {}
    for entry in entries:
        folder = os.path.dirname(entry.source)
        sizes[folder] = sizes.get(folder, 0) + entry.bytes
        counts[folder] = counts.get(folder, 0) + 1
    single = {os.path.dirname(entry.source): leaf(entry.source) for entry in entries}
    largest = sorted(sizes, key=lambda folder: (-sizes[folder], folder))[:_LISTED]
    told = [
        f"{single[folder]} ({_gib(sizes[folder])})"
        if counts[folder] == 1
        else f"{counts[folder]:,} files in {leaf(folder) or folder} ({_gib(sizes[folder])})"
        for folder in largest
    ]
    return ProblemError(
        Category.LIMIT,
        f"The package would have about {_gib(total)}; the service takes {_gib(max_bytes)}.",
        f"The largest: {', '.join(told)}. Render fewer frames in one job, or use smaller textures "
        "and caches.",
        f"{total} bytes, limit {max_bytes}; "
        + ", ".join(f"{folder}: {sizes[folder]}" for folder in largest),
    )


def _gib(size: int) -> str:
    return f"{size / 1024**3:.1f} GiB" if size >= 1024**3 // 10 else f"{size / 1024**2:.1f} MiB"


def pack(
    dependencies: list[Dependency],
    layout: Layout,
    *,
    output: Path,
    scratch: Path,
    cut: tuple[int, int],
    max_bytes: int,
    say: Callable[[float, str], None],
) -> Packed:
    """Rewrite the open file, save it into ``scratch`` and write the archive ``output``.

    The open file is another one afterwards where libraries had to be saved again. ``cut`` are the
    frames that the scan was made for. Raises ProblemError: LIMIT, DISK, INPUT (a file changed).
    """
    notes = []
    say(0.0, "Rewriting paths")
    failed = pack_rewrite.rewrite(dependencies, layout, scratch, layout.blend)
    failed += pack_rewrite.unchanged(scan(frames=cut), dependencies, layout, layout.blend)
    for name in list(dict.fromkeys(failed))[:_LISTED]:
        notes.append(f"{name} is in the package, but the scene may not find it there.")
    say(0.1, "Saving the scene")
    scene = scratch / layout.blend
    entries = [Entry(layout.blend, str(scene), pack_blend.save(scene))]
    replaced: dict[str, Entry] = {}
    for number, (library, reason) in enumerate(sorted(layout.again.items())):
        say(0.15, f"Saving {leaf(library)} again")
        place = layout.libraries[library]
        replaced[place] = _save_again(layout, place, scratch / f"again {number}", cut)
        notes.append(f"The linked file {leaf(library)} was saved again for the package: {reason}.")
    entries += [replaced.get(entry.name, entry) for entry in layout.entries()]
    total = sum(entry.bytes for entry in entries)
    last = [-1]

    def report(done: int, whole: int) -> None:
        percent = 100 * done // max(whole, 1)
        if percent != last[0]:
            last[0] = percent
            say(0.2 + 0.8 * done / max(whole, 1), f"Packing {_gib(done)} of {_gib(whole)}")

    try:
        written = zip_stream.write(output, entries, max_bytes=max_bytes, report=report)
    except ProblemError as error:
        if error.problem.category is Category.LIMIT:
            raise too_large(entries, total, max_bytes) from error
        raise
    return Packed(written.bytes, written.files, notes)


def _save_again(layout: Layout, place: str, root: Path, cut: tuple[int, int]) -> Entry:
    """Open a library as it lies, rewrite its paths in memory, and save that as a copy."""
    copy = root / place
    copy.parent.mkdir(parents=True, exist_ok=True)
    restore.open_blend(Path(layout.files[place].path), scripts=False)
    found = scan(frames=cut)
    pack_rewrite.rewrite(found, layout, root, place)
    return Entry(place, str(copy), pack_blend.save(copy))
