# SPDX-License-Identifier: GPL-3.0-or-later
"""What an import did, in sentences that an artist reads. Imports no bpy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

_MADE = ("images", "strips", "nodes", "cameras", "references", "materials", "previews")


@dataclass
class ImportReport:
    """The outcome of one import.

    Names, not data-blocks, so that it can be stored and outlives an undo. `lost` says what the file
    states and Blender cannot do, `notes` what the artist should know besides. `physics` is False if
    the asset came in as plain meshes. `mass` is the sum of all dynamic bodies, in kilograms.
    Of rendered frames and pictures: how many (`frames`), and the `images`, `strips`, `nodes`
    (compositor), `cameras` (with a background), `references` (objects), `materials` (of videos) and
    `previews` (objects and collections of the artist) that show them.
    """

    collection: str = ""
    body: str = ""
    bodies: list[str] = field(default_factory=list)
    colliders: int = 0
    mass: float = 0.0
    physics: bool = False
    ground: str = ""
    hidden: list[str] = field(default_factory=list)
    missing_textures: list[str] = field(default_factory=list)
    frames: int = 0
    images: list[str] = field(default_factory=list)
    strips: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    cameras: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    materials: list[str] = field(default_factory=list)
    previews: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lose(self, sentence: str) -> None:
        """Add a sentence to `lost`, once."""
        if sentence not in self.lost:
            self.lost.append(sentence)

    def note(self, sentence: str) -> None:
        """Add a sentence to `notes`, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def made(self) -> dict[str, list[str]]:
        """What shows the pictures, as it is now, for `forget`."""
        return {name: list(getattr(self, name)) for name in _MADE}

    def forget(self, made: dict[str, list[str]]) -> None:
        """Back to an earlier `made`."""
        for name, names in made.items():
            setattr(self, name, names)

    def as_what(self) -> str:
        """ "as an image and 2 strips": what shows the frames now."""
        kinds = (
            (self.images, "image"),
            (self.strips, "strip"),
            (self.nodes, "compositor node"),
            (self.cameras, "camera background"),
            (self.references, "reference"),
            (self.materials, "movie texture"),
            (self.previews, "asset preview"),
        )
        parts = [counted(len(names), thing) for names, thing in kinds if names]
        listing = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
        return f"as {listing}" if listing else "as nothing that shows"

    def to_dict(self) -> dict[str, Any]:
        """The form in which a job keeps it: plain JSON types."""
        return asdict(self)


def listed(names: Iterable[str], limit: int = 3) -> str:
    """Names for a sentence: the first few, and how many more there are."""
    known = list(dict.fromkeys(names))
    shown = ", ".join(known[:limit])
    rest = len(known) - limit
    return f"{shown} and {rest} more" if rest > 0 else shown


def counted(number: int, thing: str, things: str | None = None) -> str:
    """`1 collider`, `2 colliders`."""
    return f"{number} {thing if number == 1 else things or thing + 's'}"
