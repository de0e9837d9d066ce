# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the artist's objects a product was made of, and where they stand. Changes nothing.

In the session that sent them objects are told by identity: they may have other names now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy

from .. import versions
from ..capture import bounds
from ..extents import Corners

#: a name, or the name at the time of sending and ``versions.identity``
Source = str | tuple[str, int]


class Sources:
    """The objects that were sent, as far as they are in this scene.

    ``packing``: what made a product of them ("object", "collection", "instance", "one").
    """

    def __init__(self, context: bpy.types.Context, sent: Sequence[Source], packing: str) -> None:
        self._context = context
        self._packing = packing
        #: name at the time of sending -> object
        self.objects: dict[str, Any] = {}
        scene: Any = context.scene
        known = {versions.identity(item): item for item in scene.objects} if sent else {}
        for source in sent:
            if isinstance(source, str):
                name, item = source, scene.objects.get(source)
            else:
                name, item = source[0], known.get(source[1])
            if item is not None:
                self.objects[name] = item
        self._collections = {
            collection.name: collection
            for item in self.objects.values()
            for collection in item.users_collection
        }

    def of(self, product: str, products: int) -> list[Any]:
        """The objects of a product; all that were sent where there is but one of ``products``."""
        if self._packing == "one":
            return list(self.objects.values())
        item = self.objects.get(product)
        if item is not None and self._packing != "collection":
            return [item]
        collection = self._collection(product)
        if collection is not None:
            within = set(collection.all_objects)
            return [item for item in self.objects.values() if item in within]
        if item is not None:
            return [item]
        for other in self.objects.values():
            group = other.instance_collection
            if group is not None and group.name == product:
                return [other]
        return list(self.objects.values()) if products == 1 else []

    def target(self, product: str, products: int) -> Any:
        """The one data-block that stands for a product: an object or a collection; None if many."""
        if self._packing == "collection":
            collection = self._collection(product)
            if collection is not None:
                return collection
        found = self.of(product, products)
        return found[0] if len(found) == 1 else None

    def box(self, objects: Sequence[Any]) -> Corners | None:
        """The box about objects (and what hangs on them) in world units; None if they show none."""
        every = dict.fromkeys(objects)
        for item in objects:
            every.update(dict.fromkeys(item.children_recursive))
        return bounds.bounds(self._context, list(every)) if every else None

    def _collection(self, name: str) -> Any:
        found = self._collections.get(name)
        return None if found is None or found == self._context.scene.collection else found
