# SPDX-License-Identifier: GPL-3.0-or-later
"""Scene -> job folder, on Blender's main thread: the only moment of a job in which Blender waits.

    check(context, options, ...)    what stands in the way of sending, cheap enough for a click
    notes(context, options, ...)    what the artist should know but may send anyway
    capture(context, folder, ...)   writes scene.blend, images/ and capture.json into the job folder
    exportable(context)             the selected objects that have, or become, a surface
    products(context, mode)         the products that the selection makes up, cheap enough to draw
    box(context, objects)           the box about objects in the world
    scene_facts(context)            what the scene says about its own render, cheap enough to draw

With ``whole_scene=True`` the first three are about the scene and its render, not the selection;
with ``products=MODE`` about the products that the selection makes up.

It writes a *copy*. The artist's file, selection, modes, images, undo steps and "unsaved changes"
mark stay as they were. It never renders, packs, converts or talks to anybody: the recipes do the
rest from the copy, in a Blender of their own.
"""

from __future__ import annotations

from .bounds import box
from .checks import check, notes
from .product_groups import products
from .scene import scene_facts
from .selection import exportable, triangles
from .write import SCHEMA, capture

__all__ = [
    "SCHEMA",
    "box",
    "capture",
    "check",
    "exportable",
    "notes",
    "products",
    "scene_facts",
    "triangles",
]
