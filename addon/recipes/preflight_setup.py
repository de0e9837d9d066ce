# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about what is rendered and how: camera, view layers, frames, engine, output.

Reads only; see ``preflight_findings`` for how severe each of them is.
"""

from __future__ import annotations

from addon.recipes.preflight_facts import Facts
from addon.recipes.preflight_findings import Findings, fix_by, some


def examine(facts: Facts, findings: Findings) -> None:
    """Add what there is to say about the scene's settings."""
    _camera(facts, findings)


def _camera(facts: Facts, findings: Findings) -> None:
    names = [camera.name for camera in facts.cameras]
    if facts.camera is None and not facts.sequencer:
        hint = "Add a camera and make it the scene's camera."
        if names:
            hint = f"Choose one of the scene's cameras: {some(names)}."
        findings.add(
            "no_camera",
            "The scene has no camera to render from.",
            hint,
            fix=fix_by("set_camera", "Object", names[0]) if names else None,
        )
