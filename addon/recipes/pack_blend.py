# SPDX-License-Identifier: GPL-3.0-or-later
"""One .blend with everything in it: whether that is possible, and how it is made.

Blender's "Pack Resources" says nothing of what it leaves out (sequences, movies, caches, the files
of linked libraries), and packs volumes that it then cannot load (measured: 4.2 to 5.2). So what it
can do is judged before, by what the scan found, and looked at again after. Of the disk it writes
one file only.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import places
from addon.recipes.dependencies import CASE, UNICODE, Dependency
from addon.recipes.pack_layout import leaf, wanted
from bridge.problems import Category, ProblemError

#: what Blender packs, with every file that belongs to it
PACKABLE = frozenset(["image", "udim", "sound", "font", "library"])
#: Blender's own limit for one packed file
LARGEST_FILE = 2_000_000_000
_NAMES = {
    "image_sequence": "image sequences",
    "movie_clip": "movie clips",
    "movie": "movies",
    "volume": "volumes",
    "volume_sequence": "volumes",
    "alembic": "Alembic files",
    "usd": "USD files",
    "mesh_cache": "mesh caches",
    "ocean_cache": "ocean caches",
    "point_cache": "simulation caches",
    "fluid_cache": "fluid caches",
    "rigid_body_cache": "simulation caches",
    "nodes_bake": "bakes of geometry nodes",
    "ies": "light profiles in files",
    "script": "scripts in files",
    "strip": "strips of the sequencer",
    "strip_sequence": "strips of the sequencer",
    "lut": "colour tables",
}


def obstacle(dependencies: Sequence[Dependency], total: int, packed_max_bytes: int) -> str:
    """Why the scene cannot be one .blend, in a sentence; "" if it can.

    ``total``: bytes of the .blend and all files together.
    """
    needed = wanted(dependencies)
    for item in needed:
        if item.kind not in PACKABLE:
            what = _NAMES.get(item.kind, "some files")
            return f"Blender cannot pack {what} into a .blend."
        if item.library is not None and item.kind != "library":
            return f"The linked file {leaf(item.library)} uses files of its own."
        if item.setter is None and item.library is None:
            return f"The file {leaf(item.path)} cannot be packed."
        for entry in item.files:
            if entry.bytes >= LARGEST_FILE:
                return f"The file {leaf(entry.path)} is too large to be packed into a .blend."
    if total > packed_max_bytes:
        return f"The files have more than {packed_max_bytes / 1024**3:.3g} GiB together."
    return ""


#: formats with more than 8 bits for each channel, mostly
_DEEP = frozenset([".exr", ".hdr", ".tif", ".tiff", ".dpx", ".cin", ".jp2", ".j2c", ".psd"])


def drawback(dependencies: Sequence[Dependency]) -> str:
    """Why an archive is better although Blender can pack everything; "" if it is not.

    Cycles reads image files by itself: 16-bit ones as such. Packed ones it gets from Blender as
    32-bit floats: twice the memory, and some pixels differ in their last bit (measured).
    """
    for item in wanted(dependencies):
        if item.kind in ("image", "udim"):
            for entry in item.files:
                if _is_deep(entry.path):
                    return (
                        f"The image {leaf(entry.path)} has more than 8 bits; packed it needs more "
                        "memory."
                    )
    return ""


def _is_deep(path: str) -> bool:
    extension = os.path.splitext(path)[1].lower()
    if extension != ".png":
        return extension in _DEEP
    try:
        with open(places.extended(path), "rb") as file:
            return file.read(25)[24:] == b"\x10"  # the bits of each channel
    except OSError:
        return False


def pack(dependencies: Sequence[Dependency]) -> None:
    """Pack into the open file, in memory. What could not be packed is left as it was."""
    for item in wanted(dependencies):
        entry = item.files[0]
        if item.setter is not None and len(item.files) == 1 and entry.problem in (CASE, UNICODE):
            item.setter(entry.path)
    # Missing files are reported as errors, after all others have been packed.
    with contextlib.suppress(RuntimeError):
        bpy.ops.file.pack_all()
    if bpy.data.libraries:
        with contextlib.suppress(RuntimeError):
            bpy.ops.file.pack_libraries()


def left_out(dependencies: Sequence[Dependency]) -> list[str]:
    """Of a scan after packing: files that are there and are still not in the .blend.

    What a packed library names is not in it; a library's own scan is the caller's matter.
    """
    return [leaf(item.path) for item in wanted(dependencies)]


def save(path: Path, *, copy: bool = True) -> int:
    """Save the open file as a copy, or for good where more is to be changed; returns its bytes.

    The copy is compressed since it is uploaded, and explicitly so, since the default differs
    between versions. Paths are kept as they are: whoever packs has set them. Raises
    ProblemError(DISK).
    """
    filters: dict[str, Any] = {"relative_remap": False, "check_existing": False}
    bpy.data.use_autopack = False  # saving would pack what lies beside
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=copy, compress=copy, **filters)
        return path.stat().st_size
    except (RuntimeError, OSError) as error:
        raise ProblemError(
            Category.DISK,
            "Blender could not write the packed scene.",
            "Check the space on the disk and that you may write to the folder, then retry.",
            f"{path.name}: {str(error).strip()[-300:]}",
        ) from error
