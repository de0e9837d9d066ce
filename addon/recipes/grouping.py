# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the selected objects make up which product.

The panel shows the names before anything is copied, the recipe groups the copy by the same rules;
so this module stands on bpy alone. It only reads, evaluates nothing, and looks at no file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import bpy

MODES = ("object", "collection", "instance", "one")
_SURFACE_TYPES = frozenset({"MESH", "CURVE", "SURFACE", "FONT", "META"})


@dataclass(frozen=True)
class Group:
    """One product: its name (no two groups have the same) and its objects, ``root`` among them.

    ``same`` are the names of further selected instances that show the same product.
    """

    name: str
    objects: tuple[bpy.types.Object, ...]
    root: bpy.types.Object
    same: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grouping:
    """The products of a selection, and the selected objects that belong to none although they show
    something.
    """

    groups: tuple[Group, ...]
    left_out: tuple[bpy.types.Object, ...] = ()

    def objects(self) -> list[bpy.types.Object]:
        """All objects of all products, each once."""
        return list(dict.fromkeys(item for group in self.groups for item in group.objects))

    def names(self) -> list[str]:
        """The products' names."""
        return [group.name for group in self.groups]


def group(
    scene: Any,
    layer: Any,
    selected: Iterable[bpy.types.Object],
    mode: str,
    active: bpy.types.Object | None = None,
) -> Grouping:
    """Group the selected objects of a view layer into products.

    "object": each selected object with its visible children, selected or not; a child of another
    selected object belongs to that one. "collection": each collection that a selected object lies
    in, with everything visible in it; within another such collection it belongs to that one; what
    lies in no collection but the scene's is grouped as in "object". "instance": each selected
    collection instance; those of one collection in one size are the same product. "one": all.
    ``active`` gives "one" its name.
    """
    items = list(dict.fromkeys(selected))
    look = _Look(scene, layer, items)
    if mode == "one":
        found = look.together(active)
    elif mode == "instance":
        found = look.instances()
    elif mode == "collection":
        found = look.collections()
    else:
        found = look.tops(items)
    held = {item for one in found for item in one.objects}
    same = {name for one in found for name in one.same}
    left = [
        item for item in items if _shows(item) and item not in held and item.name_full not in same
    ]
    return Grouping(tuple(_distinct(found)), tuple(left))


def is_instance(item: bpy.types.Object) -> bool:
    """Whether the object shows a collection in its place."""
    return (
        item.type == "EMPTY"
        and item.instance_type == "COLLECTION"
        and item.instance_collection is not None
    )


def yaw(item: bpy.types.Object) -> float | None:
    """By what angle an object stands turned about the vertical; None if it is tilted as well."""
    _place, turn, _size = item.matrix_world.decompose()
    if abs(turn.x) > 1e-4 or abs(turn.y) > 1e-4:
        return None
    return float(turn.to_euler().z)


class _Look:
    def __init__(self, scene: Any, layer: Any, items: list[bpy.types.Object]) -> None:
        self.scene, self.layer, self.items = scene, layer, items
        self.chosen = set(items)
        self._children: dict[bpy.types.Object, list[bpy.types.Object]] | None = None

    def tops(self, items: Iterable[bpy.types.Object]) -> list[Group]:
        found = []
        for top in dict.fromkeys(self._top(item) for item in items):
            members = self._family(top)
            if any(_shows(item) for item in members):
                found.append(Group(_name(top, members), tuple(members), top))
        return found

    def together(self, active: bpy.types.Object | None) -> list[Group]:
        parts = self.tops(self.items)
        if not parts:
            return []
        named = next((part for part in parts if active in part.objects), parts[0])
        members = dict.fromkeys(item for part in parts for item in part.objects)
        return [Group(named.name, tuple(members), named.root)]

    def instances(self) -> list[Group]:
        known: dict[tuple[Any, ...], Group] = {}
        for item in self.items:
            if not is_instance(item):
                continue
            members = tuple(self._family(item))
            key = _looks(item) if len(members) == 1 else (item.name_full,)
            if key in known:
                first = known[key]
                same = (*first.same, item.name_full)
                known[key] = Group(first.name, first.objects, first.root, same)
            else:
                known[key] = Group(item.name, members, item)
        return list(known.values())

    def collections(self) -> list[Group]:
        own = set(self.scene.collection.children_recursive)
        homes: dict[bpy.types.Object, Any] = {}
        for item in self.items:
            homes[item] = next((c for c in item.users_collection if c in own), None)
        used = dict.fromkeys(home for home in homes.values() if home is not None)
        inner = {below for home in used for below in home.children_recursive}
        found: list[Group] = []
        loose: list[bpy.types.Object] = []
        done = set()
        for item, home in homes.items():
            if home is None:
                loose.append(item)
            elif home not in inner and home not in done:
                done.add(home)
                members = tuple(one for one in home.all_objects if self._visible(one))
                if any(_shows(one) for one in members):
                    found.append(Group(home.name, members, members[0]))
        held = {item for one in found for item in one.objects}
        return found + self.tops([item for item in loose if item not in held])

    def _top(self, item: bpy.types.Object) -> bpy.types.Object:
        """The highest selected object above, or the object itself."""
        top, above = item, item.parent
        while above is not None:
            if above in self.chosen:
                top = above
            above = above.parent
        return top

    def _family(self, top: bpy.types.Object) -> list[bpy.types.Object]:
        """An object and what is visible below it; a hidden one may have visible children."""
        if self._children is None:
            # Blender's own ``children`` looks through the whole file at each call.
            self._children = {}
            for item in self.layer.objects:
                if item.parent is not None:
                    self._children.setdefault(item.parent, []).append(item)
        found, todo = [top], list(self._children.get(top, ()))
        while todo:
            item = todo.pop(0)
            if self._visible(item):
                found.append(item)
            todo = [*self._children.get(item, ()), *todo]
        return found

    def _visible(self, item: bpy.types.Object) -> bool:
        return item in self.chosen or bool(item.visible_get(view_layer=self.layer))


def _shows(item: bpy.types.Object) -> bool:
    """Whether the object may have a surface; an empty mesh counts, and is told later."""
    return item.type in _SURFACE_TYPES or is_instance(item)


def _name(top: bpy.types.Object, members: list[bpy.types.Object]) -> str:
    """The name of the top object, unless that is only the bones or the like that move the rest."""
    if top.type == "EMPTY" or _shows(top):
        return str(top.name)
    return str(next(item.name for item in members if _shows(item)))


def _looks(item: Any) -> tuple[Any, ...]:
    """What makes two collection instances look the same: the collection, size and tilt."""
    world, group = item.matrix_world, item.instance_collection
    if yaw(item) is None:
        rows = [world[row][column] for row in range(3) for column in range(3)]
    else:
        rows = [*world.to_scale(), 1.0 if world.is_negative else 0.0]
    return (group.name_full, *(round(value, 5) for value in rows))


def _distinct(groups: list[Group]) -> list[Group]:
    """No name twice: linked objects may share theirs with local ones."""
    taken: set[str] = set()
    named = []
    for one in groups:
        name, number = one.name, 2
        while name in taken:
            name, number = f"{one.name} ({number})", number + 1
        taken.add(name)
        named.append(Group(name, one.objects, one.root, one.same))
    return named


def notes(made: Grouping, mode: str) -> list[str]:
    """What the artist should know about what is sent, one sentence each."""
    said = []
    if made.left_out and mode == "instance":
        names = _some([item.name for item in made.left_out])
        said.append(f"Not sent, because they are no collection instances: {names}.")
    for one in made.groups:
        if one.same:
            same = _some(list(one.same))
            said.append(f"Sent once, because it looks the same as {one.name}: {same}.")
    return said


def _some(names: list[str], most: int = 3) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
