# SPDX-License-Identifier: GPL-3.0-or-later
"""The products that a selection makes up, for services that take several in one job.

Reads names, parents and collections only: cheap enough to draw. The recipe groups the copy by the
same rules.
"""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from ...bridge.problems import Category, Problem
from ..recipes import grouping
from . import selection


def grouped(
    context: bpy.types.Context, mode: str, objects: Iterable[bpy.types.Object] | None = None
) -> grouping.Grouping:
    """The selected objects (or those given) as products; ``mode`` as in ``grouping.group``."""
    items = selection.selected(context) if objects is None else list(objects)
    active = context.view_layer.objects.active
    return grouping.group(context.scene, context.view_layer, items, mode, active)


def products(
    context: bpy.types.Context, mode: str, objects: Iterable[bpy.types.Object] | None = None
) -> list[grouping.Group]:
    """What would be sent: a group for each product, with its ``name`` and ``objects``.

    Nothing is evaluated and no disk is touched. Whether a product has faces shows later.
    """
    return list(grouped(context, mode, objects).groups)


def problem(context: bpy.types.Context, items: list[bpy.types.Object], mode: str) -> Problem | None:
    """Why the objects make up no product at all; None if they do."""
    if not items:
        return Problem(
            Category.INPUT,
            "Nothing is selected.",
            "Select the products, then send again.",
        )
    made = grouped(context, mode, items)
    if not made.groups and mode == "instance":
        return Problem(
            Category.INPUT,
            "The selection has no collection instance.",
            "Select collection instances, or let each object or collection be a product.",
        )
    if not made.groups:
        return Problem(
            Category.INPUT,
            "The selection has no mesh.",
            "Select at least one mesh, curve, text, surface or collection instance.",
            "selected: " + ", ".join(sorted({item.type for item in items})),
        )
    if selection.without_faces(context, made.objects()):
        return Problem(
            Category.INPUT,
            "The selected products have no faces.",
            "Points and edges alone cannot be sent. Add faces, or select other objects.",
        )
    return None
