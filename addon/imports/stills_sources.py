# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the artist's objects a product was made of, and where they stand. Changes nothing.

In the session that sent them objects are told by identity: they may have other names now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    ``products``: for each product its "name", the "object" at its top, that one's "identity" (None
    in another session) and its "bounds" ({"min", "max"}) when it was sent.
    """

    def __init__(
        self,
        context: bpy.types.Context,
        sent: Sequence[Source],
        packing: str,
        products: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._context = context
        self._packing = packing
        scene: Any = context.scene
        self._names = scene.objects
        self._known = (
            {versions.identity(item): item for item in scene.objects} if sent or products else {}
        )
        #: name at the time of sending -> object
        self.objects: dict[str, Any] = {}
        for source in sent:
            name, number = (source, None) if isinstance(source, str) else source
            item = self._find(name, number)
            if item is not None:
                self.objects[name] = item
        self._products = {str(row.get("name")): row for row in products}
        self._collections = {
            collection.name: collection
            for item in self.objects.values()
            for collection in item.users_collection
            if collection != scene.collection
        }

    def of(self, product: str, products: int) -> list[Any]:
        """The objects of a product, its top first, without what hangs on them.

        All that were sent where there is but one of ``products``.
        """
        if self._packing == "one":
            return list(self.objects.values())
        if self._packing == "collection" and product in self._collections:
            return list(self._collections[product].all_objects)
        top = self._top(product)
        if top is not None:
            return [top]
        return list(self.objects.values()) if products == 1 else []

    def target(self, product: str, products: int) -> Any:
        """The one data-block that stands for a product: an object or a collection; None if many."""
        if self._packing == "collection" and product in self._collections:
            return self._collections[product]
        found = self.of(product, products)
        tops = [item for item in found if not self._is_below(item, found)]
        return tops[0] if len(tops) == 1 else None

    def box(self, product: str, products: int) -> Corners | None:
        """The box about a product in world units: where it is, else where it was; None if unknown.

        What hangs on its objects counts.
        """
        objects = self.of(product, products)
        every = dict.fromkeys(objects)
        for item in objects:
            every.update(dict.fromkeys(item.children_recursive))
        found = bounds.bounds(self._context, list(every)) if every else None
        told = self._products.get(product, {}).get("bounds")
        if found is None and isinstance(told, Mapping):
            low, high = told["min"], told["max"]
            return (low[0], low[1], low[2]), (high[0], high[1], high[2])
        return found

    def _top(self, product: str) -> Any:
        row = self._products.get(product)
        if row is not None:
            return self._find(str(row.get("object") or ""), row.get("identity"))
        return self.objects.get(product)

    def _find(self, name: str, number: int | None) -> Any:
        return self._names.get(name) if number is None else self._known.get(number)

    @staticmethod
    def _is_below(item: Any, others: Sequence[Any]) -> bool:
        above = item.parent
        while above is not None:
            if above in others:
                return True
            above = above.parent
        return False
