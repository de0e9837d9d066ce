# SPDX-License-Identifier: GPL-3.0-or-later
"""What the photo studio of the sandbox offers: four templates, as plain data.

A template is a scene that products are put into (``studio_sets`` builds it), with bookmarks (saved
camera angles, one still each) and shots (one video each), as Glossi calls them. This module needs
no Blender; recipe ``studio_list`` hands the same data out. Ids are the same everywhere.

Angles are in degrees: ``azimuth`` 0 looks from the front (-Y), positive from the product's left,
that is from the viewer's right; ``elevation`` is how far the camera looks down. ``fill`` is the
share of the picture's height or width, whichever is tighter, that the product takes.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

from bridge.problems import Category, ProblemError

FPS = 12


@dataclass(frozen=True)
class Bookmark:
    """A saved camera angle. ``part`` is the (lowest, highest) share of the product's height that is
    framed; ``f_stop`` blurs what is before and behind, 0 keeps all sharp.
    """

    name: str
    azimuth: float
    elevation: float
    fill: float = 0.78
    lens: float = 70.0
    part: tuple[float, float] = (0.0, 1.0)
    f_stop: float = 0.0
    rise: float = 0.0  # moves the product up in the picture, as a share of its height


@dataclass(frozen=True)
class Shot:
    """A video. ``kind`` "spin" turns the product once, "orbit" swings the camera from ``azimuth``
    by ``sweep`` degrees, "push" moves it closer by the share ``sweep``.
    """

    name: str
    kind: str
    frames: int
    azimuth: float = 0.0
    elevation: float = 14.0
    sweep: float = 360.0
    fill: float = 0.72
    lens: float = 70.0
    rise: float = 0.0


@dataclass(frozen=True)
class Template:
    """One template; ``key`` names its scene, ``scope`` is "public" or "workspace"."""

    key: str
    name: str
    description: str
    scope: str
    bookmarks: tuple[Bookmark, ...]
    shots: tuple[Shot, ...]
    turns: bool = False  # the product turns to the camera instead of the camera around it
    id: str = field(default="", init=False)

    def __post_init__(self) -> None:
        address = f"https://sandbox.invalid/glossi/templates/{self.key}"
        object.__setattr__(self, "id", str(uuid.uuid5(uuid.NAMESPACE_URL, address)))

    def to_dict(self) -> dict[str, Any]:
        """The form in which a recipe's result carries it."""
        return asdict(self)


TEMPLATES = (
    Template(
        "studio",
        "Studio Light",
        "Clean studio lighting setup",
        "public",
        (
            Bookmark("Front View", 0, 8),
            Bookmark("Three Quarter", 34, 16),
            Bookmark("Detail", 24, 18, fill=0.9, lens=90, part=(0.55, 1.0), f_stop=0.9),
        ),
        (Shot("Slow Orbit", "orbit", 24, azimuth=-30, sweep=60),),
    ),
    Template(
        "outdoor",
        "Outdoor Scene",
        "Natural outdoor lighting",
        "public",
        (
            Bookmark("Front View", 0, 7, lens=60, f_stop=0.9),
            Bookmark("Three Quarter", -32, 11, lens=60, f_stop=0.9),
            Bookmark("Low Angle", 20, 2, lens=45, fill=0.8, f_stop=0.9),
        ),
        (Shot("Slow Orbit", "orbit", 24, azimuth=-25, elevation=9, sweep=50),),
    ),
    Template(
        "dark",
        "Dark Studio",
        "Rim lights before a dark background",
        "workspace",
        (
            Bookmark("Front View", 0, 6),
            Bookmark("Three Quarter", 36, 12),
            Bookmark("Detail", -24, 14, fill=0.9, lens=90, part=(0.55, 1.0), f_stop=0.9),
        ),
        (Shot("Push In", "push", 24, azimuth=18, elevation=8, sweep=0.2),),
    ),
    Template(
        "turntable",
        "Turntable",
        "The product turns once on a round stage",
        "workspace",
        (
            Bookmark("Front View", 0, 12, fill=0.87),
            Bookmark("Three Quarter", 34, 18, fill=0.87),
            Bookmark("Back View", 180, 12, fill=0.87),
        ),
        (Shot("360 Spin", "spin", 24, fill=0.87),),
        turns=True,
    ),
)


def find(which: str) -> Template:
    """A template by its id, key or name. Raises ProblemError(INPUT)."""
    for template in TEMPLATES:
        if which in (template.id, template.key, template.name):
            return template
    raise ProblemError(
        Category.INPUT,
        "There is no such template.",
        "Choose one from the list of templates.",
        str(which)[:100],
    )
