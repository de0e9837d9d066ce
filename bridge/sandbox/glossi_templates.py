# SPDX-License-Identifier: GPL-3.0-or-later
"""The templates that the sandbox's Glossi has: real scenes, built by the studio's recipes.

``key`` is what a recipe calls the scene. Ids are the same in every sandbox, so that what an artist
chose once stays chosen. Two are public, two are the workspace's own.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Template:
    """One template."""

    key: str
    name: str
    description: str
    public: bool
    id: str = field(default="", init=False)

    def __post_init__(self) -> None:
        address = f"https://sandbox.invalid/glossi/templates/{self.key}"
        object.__setattr__(self, "id", str(uuid.uuid5(uuid.NAMESPACE_URL, address)))

    def view(self) -> dict[str, Any]:
        """As ``GET /templates`` shows it (Glossi docs, Complete Workflow)."""
        return {"templateId": self.id, "name": self.name, "description": self.description}


TEMPLATES = (
    Template("studio", "Studio Light", "Clean studio lighting setup", True),
    Template("outdoor", "Outdoor Scene", "Natural outdoor lighting", True),
    Template("dark", "Dark Studio", "Rim lights before a dark background", False),
    Template("turntable", "Turntable", "The product turns once on a round stage", False),
)


def listed(*, public: bool, internal: bool) -> list[Template]:
    """Those that a caller wants to see."""
    return [item for item in TEMPLATES if (public if item.public else internal)]


def find(identifier: object) -> Template | None:
    """A template by its id."""
    return next((item for item in TEMPLATES if item.id == identifier), None)
