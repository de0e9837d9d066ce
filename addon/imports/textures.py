# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that an import has its textures, and finds those that lie elsewhere in the download.

Blender answers FINISHED when an image is missing and shows the material untextured. So what the
USD refers to is looked up before the import, and every new material is looked at after it. Files
are only ever copied inside the download's own folder; no image of the artist's is used or changed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy

from .. import versions
from .report import ImportReport, listed

SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".tga", ".bmp", ".tif", ".tiff", ".exr", ".hdr", ".webp", ".jp2"),
}
_MOST_FILES = 20_000


def unresolved(usd: Path) -> list[Path]:
    """Image files that the USD refers to and that are not there. Empty without a USD library."""
    if versions.usd_library() is None:
        return []
    try:
        from pxr import UsdUtils

        missing = UsdUtils.ComputeAllDependencies(str(usd))[2]
    except Exception:  # a foreign library, or a file that the importer will complain about
        return []
    paths = (Path(str(name)) for name in missing)
    return [path if path.is_absolute() else usd.parent / path for path in paths if _is_image(path)]


def put_in_place(usd: Path, folder: Path, report: ImportReport) -> None:
    """Copy textures to where the USD looks for them, if they lie elsewhere in the download.

    Only inside `folder`, and never over a file. What is still missing goes into the report.
    """
    wanted = unresolved(usd)
    if not wanted:
        return
    root = folder.resolve()
    known = _images_below(root)
    moved = []
    for path in wanted:
        source = known.get(path.name.casefold())
        target = Path(os.path.normpath(path))
        if source is None or not target.resolve().is_relative_to(root):
            report.missing_textures.append(path.name)
            continue
        if not target.exists():
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
            except OSError:
                report.missing_textures.append(path.name)
                continue
        moved.append(path.name)
    if moved:
        report.note(f"Textures found elsewhere in the download: {listed(moved)}.")


def check(
    materials: Iterable[bpy.types.Material],
    earlier: dict[int, tuple[str, str]],
    report: ImportReport,
) -> None:
    """Look at the images of new materials; `earlier` is what `images_now` gave before the import.

    The importer takes an image that is already loaded from the same file and sets its colour space.
    Such an image gets its values back, and the new materials get a copy.
    """
    copies: dict[int, bpy.types.Image] = {}
    for material in materials:
        tree = material.node_tree
        for node in tree.nodes if tree is not None else ():
            if not isinstance(node, bpy.types.ShaderNodeTexImage):
                continue
            image = node.image
            if image is None:
                if not report.missing_textures:
                    report.lose(f"A texture of the material {material.name} is missing.")
                continue
            number = versions.identity(image)
            if number in earlier:
                if number not in copies:
                    copies[number] = _copy(image, earlier[number])
                image = node.image = copies[number]
            if _missing(image):
                report.missing_textures.append(Path(image.filepath).name or image.name)
    report.missing_textures[:] = list(dict.fromkeys(report.missing_textures))
    if report.missing_textures:
        report.lose(
            f"Textures are missing: {listed(report.missing_textures)}. Their materials look plain."
        )


def images_now() -> dict[int, tuple[str, str]]:
    """The images in this file with what an import could change: colour space and alpha mode."""
    return {
        versions.identity(image): (image.colorspace_settings.name, image.alpha_mode)
        for image in bpy.data.images
    }


def _copy(image: bpy.types.Image, values: tuple[str, str]) -> bpy.types.Image:
    twin = image.copy()
    space, alpha = values
    if image.colorspace_settings.name != space:
        image.colorspace_settings.name = space
    if image.alpha_mode != alpha:
        image.alpha_mode = alpha  # type: ignore[assignment]
    return twin


def _missing(image: bpy.types.Image) -> bool:
    """Whether an image has no file or no pixels."""
    if image.packed_file is not None or image.source not in ("FILE", "TILED"):
        return image.source == "FILE" and 0 in tuple(image.size)
    if image.source == "FILE" and not os.path.isfile(bpy.path.abspath(image.filepath)):
        return True
    return 0 in tuple(image.size)


def _images_below(root: Path) -> dict[str, Path]:
    """Image files in a folder by lower-case name; of several with one name the shallowest."""
    found: dict[str, Path] = {}
    seen = 0
    for place, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            seen += 1
            path = Path(place, name)
            if _is_image(path):
                other = found.get(name.casefold())
                if other is None or len(path.parts) < len(other.parts):
                    found[name.casefold()] = path
        if seen > _MOST_FILES:
            break
    return found


def _is_image(path: Any) -> bool:
    return Path(path).suffix.lower() in SUFFIXES
