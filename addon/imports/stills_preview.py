# SPDX-License-Identifier: GPL-3.0-or-later
"""A still as the picture of the product in the Asset Browser, product and template as its tags.

The one way of importing that changes what is the artist's own: the object (or collection) that was
sent gets the picture, and becomes an asset if that is wanted. Nothing else of it changes; undo
takes it back.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import bpy
import numpy as np

from ...bridge.problems import Category, ProblemError
from .bringing import Bringing
from .report import listed
from .stills_image import Picture, size_of
from .stills_sources import Sources

#: AssetTag.name holds 63 bytes
_LONGEST_TAG = 63


def set_all(bring: Bringing, stills: list[Picture], sources: Sources, *, mark: bool) -> None:
    """Give each product its first still. ProblemError(INPUT) where none has one object to take it.

    ``mark``: make an asset of what is none yet; without that only assets get tags.
    """
    first: dict[str, Picture] = {}
    for still in stills:
        first.setdefault(still.product, still)
    count = max(len(first), len(bring.facts.get("products") or ()))
    missing = []
    for product, still in first.items():
        target = sources.target(product, count)
        if target is None or target.library is not None:
            missing.append(f"“{product}”")
            continue
        _set(bring, target, still)
        if mark and target.asset_data is None:
            target.asset_mark()
            bring.undo(target.asset_clear)
        for tag in (product, str(bring.facts.get("template") or "")):
            _tag(bring, target, tag)
        bring.report.previews.append(target.name)
    if missing and not bring.report.previews:
        raise ProblemError(
            Category.INPUT,
            f"{listed(missing)} is not one object or collection of this file.",
            "Import into the file that the product was sent from, where it still is.",
        )
    if missing:
        bring.report.lose(
            f"No asset preview for {listed(missing)}: not one object or collection of this file."
        )


def _set(bring: Bringing, target: Any, still: Picture) -> None:
    """The preview, scaled by Blender to its usual size."""
    _check(still)
    before = target.preview
    kept = None
    if before is not None and before.image_size[0]:
        values = np.empty(before.image_size[0] * before.image_size[1] * 4, dtype=np.float32)
        before.image_pixels_float.foreach_get(values)
        kept = (tuple(before.image_size), values, before.is_image_custom)
    bring.undo(partial(_back, target, kept))
    try:
        with bpy.context.temp_override(id=target):
            bpy.ops.ed.lib_id_load_custom_preview(filepath=still.path)
    except RuntimeError as error:
        raise _unreadable(still, str(error)) from error
    if target.preview is None or not target.preview.image_size[0]:
        raise _unreadable(still, "Blender made no preview")


def _check(still: Picture) -> None:
    """ProblemError(BLENDER) for what is no picture: it would leave an empty preview."""
    try:
        probe = bpy.data.images.load(still.path, check_existing=False)
    except RuntimeError as error:
        raise _unreadable(still, str(error)) from error
    try:
        if not min(size_of(probe, still.path)):
            raise _unreadable(still, "Blender read no pixels")
    finally:
        bpy.data.images.remove(probe)


def _back(target: Any, kept: Any) -> None:
    preview = target.preview_ensure()
    if kept is None:
        preview.is_image_custom = False
        return
    preview.image_size, values, custom = kept
    preview.image_pixels_float.foreach_set(values)
    preview.is_image_custom = custom


def _tag(bring: Bringing, target: Any, text: str) -> None:
    name = text.strip().encode("utf-8")[:_LONGEST_TAG].decode("utf-8", "ignore")
    if target.asset_data is None or not name:
        return
    tags = target.asset_data.tags
    if name in tags:
        return
    tags.new(name, skip_if_exists=True)
    bring.undo(lambda: tags.remove(tags[name]))


def _unreadable(still: Picture, technical: str) -> ProblemError:
    return ProblemError(
        Category.BLENDER,
        f"No asset preview could be made of “{still.title}”.",
        "The picture is in the results folder. Choose it in the Asset Browser yourself.",
        f"{still.path}: {technical.strip()}",
    )
