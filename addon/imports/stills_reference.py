# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures in a row beside their product, as high as it is, in a collection of their own.

As image empties (seen in every viewport, never rendered) or as planes that glow by themselves. A
row stands to the right of its product, seen from the front; where another product or row is in the
way it moves back.
"""

from __future__ import annotations

import math
from typing import Any

import bpy

from .. import versions
from .artist import OBJECTS
from .bringing import Bringing, display_referred
from .report import listed
from .stills_image import Picture, each, size_of
from .stills_movie import play, unlit
from .stills_sources import Sources

#: between the pictures of a row, as a share of their height
_GAP = 0.1
#: a flat product's pictures are at least this high, as a share of its width
_LEAST = 0.5
#: part of the collection
_PART = "references"

#: what is in the way, from above: lowest x and y, highest x and y
Ground = tuple[float, float, float, float]


def place(bring: Bringing, pictures: list[Picture], sources: Sources, *, planes: bool) -> None:
    """Stand the pictures up, a row for each product."""
    made = each(bring, pictures)
    products = list(dict.fromkeys(picture.product for picture, _image in made))
    count = max(len(products), len(bring.facts.get("products") or ()))
    boxes = {name: sources.box(name, count) for name in products}
    lost = [name for name in products if boxes[name] is None]
    if lost and sources.objects:
        bring.report.note(
            f"Not found in this scene: {listed(f'“{name}”' for name in lost)}. The pictures stand "
            "at the 3D cursor."
        )
    in_the_way: list[Ground] = [
        (box[0][0], box[0][1], box[1][0], box[1][1]) for box in boxes.values() if box is not None
    ]
    whole = _collection(bring, f"{bring.name} stills", bring.scene.collection, _PART)
    placed: list[Any] = []
    for name in products:
        row = [(picture, image) for picture, image in made if picture.product == name]
        sizes = [size_of(image, picture.path) for picture, image in row]
        shares = [width / height if height else 1.0 for width, height in sizes]
        height, corner = _beside(bring, boxes[name])
        gap = _GAP * height
        length = height * sum(shares) + gap * (len(row) - 1)
        corner, ground = _free(corner, length, gap, in_the_way)
        in_the_way.append(ground)
        home = (
            _collection(bring, f"{name} stills", whole, f"{_PART} {name}")
            if len(products) > 1
            else whole
        )
        x, y, z = corner
        for (picture, image), share in zip(row, shares, strict=True):
            width = share * height
            make = _plane if planes else _empty
            item = make(bring, picture, image, width, height)
            item.location = (x + 0.5 * width, y, z + 0.5 * height)
            item.rotation_euler = (math.pi / 2, 0.0, 0.0)
            _link(bring, home, item, picture)
            placed.append(item)
            x += width + gap
    whole[OBJECTS] = [item.name for item in placed]
    bring.report.collection = whole.name
    bring.report.references += [item.name for item in placed]
    look = bring.scene.view_settings.view_transform
    if planes and look not in ("Standard", "Raw", "None") and display_referred(made[0][0].path):
        bring.report.note(
            "The pictures have a look already. Where the planes are rendered, the scene's "
            f"“{look}” is put on them again."
        )


def take_names(bring: Bringing) -> None:
    """Give the new objects and collections the names that an earlier import had."""
    report = bring.report
    kinds: dict[str, Any] = {
        "OBJECT": bpy.data.objects,
        "COLLECTION": bpy.data.collections,
        "MESH": bpy.data.meshes,
    }
    for thing, name in bring.named:
        if thing.name == name or name in kinds[thing.id_type]:
            continue
        before, thing.name = thing.name, name
        if before in report.references:
            report.references[report.references.index(before)] = thing.name
        if before == report.collection:
            report.collection = thing.name
    for collection in bpy.data.collections:
        if bring.is_earlier(collection, _PART) and collection.name == report.collection:
            collection[OBJECTS] = list(report.references)


def _beside(bring: Bringing, box: Any) -> tuple[float, tuple[float, float, float]]:
    """How high the pictures are, and where the lower left corner of the first one is."""
    if box is None:
        height = versions.units_per_metre(bring.scene)
        cursor: Any = bring.scene.cursor.location
        return height, (cursor[0], cursor[1], cursor[2])
    low, high = box
    size = [high[axis] - low[axis] for axis in range(3)]
    height = max(size[2], _LEAST * max(size[0], size[1]))
    height = height or versions.units_per_metre(bring.scene)
    return height, (high[0] + _GAP * height, 0.5 * (low[1] + high[1]), low[2])


def _free(
    corner: tuple[float, float, float], length: float, gap: float, in_the_way: list[Ground]
) -> tuple[tuple[float, float, float], Ground]:
    """The same row, moved back until nothing is in its way; and the ground that it takes."""
    x, y, z = corner
    deep = 0.1 * gap
    for _turn in range(len(in_the_way) + 1):
        hit = [
            high_y
            for low_x, low_y, high_x, high_y in in_the_way
            if low_x < x + length and high_x > x and low_y < y + deep and high_y > y - deep
        ]
        if not hit:
            break
        y = max(hit) + gap
    return (x, y, z), (x, y - deep, x + length, y + deep)


def _empty(
    bring: Bringing, picture: Picture, image: bpy.types.Image, width: float, height: float
) -> Any:
    item: Any = bpy.data.objects.new(picture.title, None)
    bring.undo(lambda: bpy.data.objects.remove(item))
    item.empty_display_type = "IMAGE"
    item.data = image
    # The longer side is as long as this says.
    item.empty_display_size = max(width, height)
    if image.source == "MOVIE":
        play(item.image_user, image)
    return item


def _plane(
    bring: Bringing, picture: Picture, image: bpy.types.Image, width: float, height: float
) -> Any:
    mesh = bpy.data.meshes.new(picture.title)
    bring.undo(lambda: bpy.data.meshes.remove(mesh))
    x, y = 0.5 * width, 0.5 * height
    mesh.from_pydata([(-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0)], [], [(0, 1, 2, 3)])
    corners = mesh.uv_layers.new(name="UVMap").data
    for corner, uv in zip(corners, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
        corner.uv = uv
    mesh.materials.append(unlit(bring, picture, image))
    bring.label(mesh, f"{picture.part} mesh")
    bring.named.append((mesh, picture.title))
    item: Any = bpy.data.objects.new(picture.title, mesh)
    bring.undo(lambda: bpy.data.objects.remove(item))
    # Seen by the camera alone: it neither lights the product nor shows in it.
    for ray in ("diffuse", "glossy", "transmission", "volume_scatter", "shadow"):
        setattr(item, f"visible_{ray}", False)
    return item


def _link(bring: Bringing, home: bpy.types.Collection, item: Any, picture: Picture) -> None:
    home.objects.link(item)
    bring.label(item, f"{picture.part} reference")
    bring.named.append((item, picture.title))


def _collection(
    bring: Bringing, name: str, above: bpy.types.Collection, part: str
) -> bpy.types.Collection:
    made = bpy.data.collections.new(name)
    bring.undo(lambda: bpy.data.collections.remove(made))
    above.children.link(made)
    bring.label(made, part)
    bring.named.append((made, name))
    return made
