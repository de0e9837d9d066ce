# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives Blender's glTF exporter images that it writes as the artist sees them.

Measured in 4.2 to 5.2: the exporter stops with an error at tiles (UDIM) that are not PNG or JPEG,
and it writes float images (OpenEXR, Radiance, painted 32-bit) far too dark, as linear values in a
file that everybody reads as sRGB. Both kinds are replaced by 8-bit images in the open copy. Changes
no file of the artist's.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy

_FINE = {".png", ".jpg", ".jpeg"}
_FINE_BEGIN = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def make_exportable(images: Iterable[bpy.types.Image], folder: Path) -> list[str]:
    """Replace what the exporter cannot take; ``folder`` is for tiles. Returns notes."""
    notes = []
    for number, image in enumerate(dict.fromkeys(images)):
        try:
            if image.source == "TILED":
                _tiles(image, folder / f"{number:04}.<UDIM>.png")
            elif image.source in {"FILE", "GENERATED"} and image.is_float and not _is_fine(image):
                _eight_bits(image)
        except RuntimeError as error:
            notes.append(f"The image {image.name} cannot be read ({str(error).strip()}).")
    return notes


def _is_fine(image: bpy.types.Image) -> bool:
    """The exporter takes the file as it is: a PNG of 16 bits, say."""
    if image.source == "GENERATED" or image.is_dirty:
        return False
    if image.packed_file:
        return bool(image.packed_file.data[:8].startswith(_FINE_BEGIN))
    return image.file_format in {"PNG", "JPEG"}


def _eight_bits(image: bpy.types.Image) -> None:
    values = _pixels(image)
    if values is None:
        return  # missing: the report about lost textures will say so
    is_data = image.colorspace_settings.is_data
    name, space = image.name, image.colorspace_settings.name
    fresh: Any = bpy.data.images.new(
        "fresh", image.size[0], image.size[1], alpha=True, is_data=is_data
    )
    fresh.colorspace_settings.name = space if is_data else "sRGB"
    fresh.pixels.foreach_set(values.ravel())
    fresh.pack()
    image.user_remap(fresh)
    if image.library is None:
        image.name = name + " (float)"
    fresh.name = name


def _tiles(image: bpy.types.Image, target: Path) -> None:
    pattern = Path(bpy.path.abspath(image.filepath_raw, library=image.library))
    if image.packed_file or pattern.suffix.lower() in _FINE or "<UDIM>" not in pattern.name:
        return
    space = image.colorspace_settings.name
    written, encoded = 0, False
    target.parent.mkdir(parents=True, exist_ok=True)
    for tile in image.tiles:
        number = str(tile.number)
        source = pattern.with_name(pattern.name.replace("<UDIM>", number))
        if not source.is_file():
            continue
        one = bpy.data.images.load(str(source))
        try:
            one.colorspace_settings.name = space
            if _write_png(one, target.with_name(target.name.replace("<UDIM>", number))):
                written += 1
                encoded |= one.is_float and not one.colorspace_settings.is_data
        finally:
            bpy.data.images.remove(one)
    if not written:
        return
    image.filepath = str(target)
    image.reload()
    image.colorspace_settings.name = "sRGB" if encoded else space


def _pixels(image: Any) -> Any:
    """RGBA values (n, 4) for an 8-bit image of the same look; None when the image has none.

    Float colours are linear in memory; they are encoded as sRGB here, which Blender's own
    ``Image.save`` does not do for an image that is marked as linear.
    """
    import numpy

    values = numpy.empty(len(image.pixels), dtype=numpy.float32)
    if not values.size:
        return None
    image.pixels.foreach_get(values)
    values = values.reshape(-1, image.channels)
    plain = numpy.ones((len(values), 4), dtype=numpy.float32)
    channels = image.channels if image.channels in (3, 4) else 1
    plain[:, : max(3, channels)] = values[:, :channels]
    if image.is_float and not image.colorspace_settings.is_data:
        colours = numpy.clip(plain[:, :3], 0.0, 1.0)
        plain[:, :3] = numpy.where(
            colours <= 0.0031308, colours * 12.92, 1.055 * colours ** (1 / 2.4) - 0.055
        )
    return plain


def _write_png(image: bpy.types.Image, path: Path) -> bool:
    """Write an image's look as an 8-bit PNG; False when it has no pixels."""
    values = _pixels(image)
    if values is None:
        return False
    copy: Any = bpy.data.images.new("copy", image.size[0], image.size[1], alpha=True)
    try:
        copy.pixels.foreach_set(values.ravel())
        copy.filepath_raw = str(path)
        copy.file_format = "PNG"
        copy.save()
    finally:
        bpy.data.images.remove(copy)
    return True
