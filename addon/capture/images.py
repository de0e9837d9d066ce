# SPDX-License-Identifier: GPL-3.0-or-later
"""Saves pixels that exist only in memory beside the copy: painted, baked, generated and changed.

A copy of the .blend forgets them (only files, packed data and generation settings are in it). The
artist's images stay as they are: still unsaved, same path, same source.

An ordinary image is written as a NumPy array (.npy), rows bottom up, 8 bits or 32-bit float for
each channel: exact, and 10 times faster than a PNG. The image API shows only the first tile of a
tiled image (UDIM), so Blender's own "save a copy" writes those: PNG, or 32-bit OpenEXR for float.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy

_CHUNK = 1 << 20  # values converted at a time: stays in the processor's cache


def unsaved() -> list[bpy.types.Image]:
    """Images whose pixels a copy of the file would lose.

    An untouched generated image is not among them: its settings are in the file, and Blender makes
    the same pixels from them. An image without users is not written to the file at all.
    """
    return [
        image
        for image in bpy.data.images
        if image.is_dirty
        and image.users > 0
        and image.source in {"FILE", "GENERATED", "TILED", "SEQUENCE"}
        and image.type not in {"RENDER_RESULT", "COMPOSITING"}
    ]


def unsaved_bytes() -> int:
    """Bytes that ``save_all`` will write at most (a tiled image counted by its tiles)."""
    total = 0
    for image in unsaved():
        if image.source == "TILED":
            pixels = sum(tile.size[0] * tile.size[1] for tile in image.tiles)
        else:
            pixels = image.size[0] * image.size[1]
        total += pixels * 4 * (4 if image.is_float else 1)
    return total


def save_all(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Save each unsaved image into ``folder``/images; return the entries for capture.json and
    notes.

    An entry: name, library (absolute path or None), file (relative to ``folder``; ``<UDIM>`` stands
    for the tile), reason ("dirty" or "generated"), width, height, channels, float.
    Raises OSError when the disk refuses.
    """
    entries: list[dict[str, Any]] = []
    notes: list[str] = []
    for number, image in enumerate(unsaved(), start=1):
        target = folder / "images"
        target.mkdir(exist_ok=True)
        try:
            if image.source == "TILED":
                file = _save_tiles(image, target, number)
            else:
                file = _save_array(image, target, number)
        except (RuntimeError, ValueError) as error:
            notes.append(
                f"The unsaved changes of the image {image.name} could not be taken along ({error})."
            )
            continue
        entries.append(
            {
                "name": image.name,
                "library": _library(image),
                "file": f"images/{file}",
                "reason": "generated" if image.source == "GENERATED" else "dirty",
                "width": image.size[0],
                "height": image.size[1],
                "channels": image.channels,
                "float": image.is_float,
            }
        )
    return entries, notes


def _library(image: bpy.types.Image) -> str | None:
    if image.library is None:
        return None
    return str(bpy.path.abspath(image.library.filepath))


def _save_array(image: Any, folder: Path, number: int) -> str:
    import numpy

    width, height = image.size
    channels = image.channels
    values = numpy.empty(width * height * channels, dtype=numpy.float32)
    if not values.size:
        raise ValueError("it has no pixels")
    image.pixels.foreach_get(values)
    name = f"{number:04}.npy"
    header = {
        "descr": "<f4" if image.is_float else "|u1",
        "fortran_order": False,
        "shape": (height, width, channels),
    }
    with open(folder / name, "wb") as file:
        numpy.lib.format.write_array_header_1_0(file, header)
        if image.is_float:
            file.write(values.data)
        else:
            for start in range(0, values.size, _CHUNK):
                part = values[start : start + _CHUNK]
                numpy.multiply(part, 255.0, out=part)
                numpy.rint(part, out=part)
                file.write(part.astype(numpy.uint8).data)
    return name


def _save_tiles(image: Any, folder: Path, number: int) -> str:
    name = f"{number:04}.<UDIM>." + ("exr" if image.is_float else "png")
    with _file_format(image, "OPEN_EXR" if image.is_float else "PNG"):
        if "save_copy" in image.bl_rna.functions["save"].parameters:
            image.save(filepath=str(folder / name), save_copy=True)
        else:
            _save_copy_42(image, str(folder / name))
    if not any(folder.glob(name.replace("<UDIM>", "*"))):
        raise ValueError("Blender wrote no tile")
    return name


def _save_copy_42(image: bpy.types.Image, path: str) -> None:
    """Blender 4.2: ``Image.save`` has no copy; the operator has, but it leaves the path changed."""
    before = image.filepath_raw
    try:
        with bpy.context.temp_override(edit_image=image):
            bpy.ops.image.save_as(filepath=path, copy=True, check_existing=False)
    finally:
        image.filepath_raw = before


@contextmanager
def _file_format(image: Any, kind: str) -> Iterator[None]:
    before = image.file_format
    image.file_format = kind
    try:
        yield
    finally:
        image.file_format = before
