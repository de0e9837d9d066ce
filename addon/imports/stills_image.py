# SPDX-License-Identifier: GPL-3.0-or-later
"""Stills as images with names that people read: “Chair · Front View · Oak”.

They are kept with the file although nothing uses them yet. One is shown in an Image Editor that is
open; no editor is opened. Files are not read before somebody looks at them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import bpy

from ...bridge.problems import ProblemError
from . import renders_image, shoot_facts
from .artist import JOB
from .bringing import PART, Bringing, display_referred, is_renamed, stored
from .report import listed

#: room for Blender's own ".001" behind a name
_ROOM = 5
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A still or a video: its file, whose it is, the name that people see, and its part."""

    path: str
    product: str
    title: str
    part: str


def named(told: Iterable[Mapping[str, Any]]) -> list[Picture]:
    """Pictures with names of their own, as long as this Blender's names can be."""
    rule: Any = bpy.types.ID.bl_rna.properties["name"]
    limit = int(rule.length_max) - 1 - _ROOM
    taken: dict[str, int] = {}
    found = []
    for one in told:
        title = shoot_facts.title(dict(one), limit)
        taken[title] = taken.get(title, 0) + 1
        if taken[title] > 1:
            title = f"{shoot_facts.title(dict(one), limit - 4)} {taken[title]}"
        found.append(Picture(one["path"], one["product"], title, one["part"]))
    return found


def image_of(bring: Bringing, picture: Picture) -> bpy.types.Image:
    """The image of a still; made once, whatever uses it.

    Raises ProblemError(BLENDER) where this Blender cannot read the file.
    """
    if picture.part in bring.images:
        return bring.images[picture.part]
    try:
        image = bpy.data.images.load(stored(picture.path), check_existing=False)
    except RuntimeError as error:
        raise renders_image.unreadable(picture.path, str(error)) from error
    bring.undo(lambda: (bring.images.pop(picture.part, None), bpy.data.images.remove(image)))
    image.name = picture.title
    if image.source == "FILE" and not min(size_of(image, picture.path)):
        raise renders_image.unreadable(picture.path, "Blender read no pixels")
    if not display_referred(picture.path):
        image.use_view_as_render = True
    bring.label(image, picture.part)
    bring.images[picture.part] = image
    bring.report.images.append(image.name)
    return image


def size_of(image: bpy.types.Image, path: str) -> tuple[int, int]:
    """Width and height in pixels; (0, 0) for what is no picture.

    A PNG says it in its first bytes; of others Blender has to read the whole file.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(24)
    except OSError:
        return 0, 0
    if start[:8] == _PNG and start[12:16] == b"IHDR":
        width, height = struct.unpack(">II", start[16:24])
        return int(width), int(height)
    return int(image.size[0]), int(image.size[1])


def each(bring: Bringing, pictures: Iterable[Picture]) -> list[tuple[Picture, bpy.types.Image]]:
    """The images of all that can be read; the others are told. ProblemError if there are none."""
    found, problems, names = [], [], []
    for picture in pictures:
        mark = bring.mark()
        try:
            found.append((picture, image_of(bring, picture)))
        except ProblemError as error:
            bring.roll_back(mark)
            problems.append(error)
            names.append(f"“{picture.title}”")
    if problems and not found:
        raise problems[0]
    if problems:
        bring.report.lose(f"This Blender cannot read {listed(names)}.")
    return found


def show(bring: Bringing, stills: list[Picture]) -> None:
    """All stills as images that are kept; the first one in an Image Editor, if one is open."""
    made = each(bring, stills)
    for _picture, image in made:
        image.use_fake_user = True  # else they would be gone when the file is saved
    renders_image.view(bring, made[0][1])


def replace_earlier(bring: Bringing) -> None:
    """Put the new images where those of earlier imports are used, and remove these."""
    for old in bpy.data.images:
        image = bring.images.get(str(old.get(PART)))
        if image is None or image == old or not bring.job_id or old.get(JOB) != bring.job_id:
            continue
        if old.use_fake_user and old.library is None and not is_renamed(old):
            image.use_fake_user = True
    renders_image.replace_earlier(bring)
