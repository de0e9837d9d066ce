# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: the templates of the photo studio.

{}  ->  {"templates": [{"id", "key", "name", "description", "scope": "public" | "workspace",
                        "bookmarks": [{"name", …}], "shots": [{"name", "frames", …}]}]}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from addon.recipes import studio_templates

Progress = Callable[..., None]


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Tell; see the module's text."""
    return {"templates": [template.to_dict() for template in studio_templates.TEMPLATES]}
