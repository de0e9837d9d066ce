# SPDX-License-Identifier: GPL-3.0-or-later
"""What an import did, in sentences that an artist reads. Imports no bpy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class ImportReport:
    """The outcome of one import.

    Names, not data-blocks, so that it can be stored and outlives an undo. `lost` says what the file
    states and Blender cannot do, `notes` what the artist should know besides. `physics` is False if
    the asset came in as plain meshes. `mass` is the sum of all dynamic bodies, in kilograms.
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
