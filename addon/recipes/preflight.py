# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight report: what will be rendered, what it needs, and what stands in the way.

Looks at the open file as a headless Blender sees it, before any byte leaves. It changes nothing and
writes nothing; whoever packs decides by the report (a blocking finding stops the job unless the
artist says "send anyway").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy

from addon.recipes import (
    preflight_facts,
    preflight_files,
    preflight_motion,
    preflight_output,
    preflight_scripts,
    preflight_setup,
)
from addon.recipes.preflight_facts import Facts
from addon.recipes.preflight_findings import Findings
from addon.recipes.preflight_reach import Reach

SCHEMA = 1


def examine(
    scene: Any,
    dependencies: Sequence[Any],
    *,
    frames: Any = None,
    capture: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    package: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The report about ``scene`` of the open file.

    ``dependencies`` are those of ``addon.recipes.dependencies.scan``. ``frames`` is a text like
    "1-250,300", FrameRanges, or None for the scene's own. ``capture`` is what capture.json holds
    (None on the command line), ``options`` the job's, ``package`` what is known about the package:
    mode, why, bytes, files, and max_bytes (the service's limit).
    """
    facts = preflight_facts.read(scene, frames=frames, capture=capture, options=options)
    reach = Reach(scene, sequencer=facts.sequencer, compositing=facts.compositing)
    findings = Findings()
    preflight_setup.examine(facts, reach, findings)
    preflight_files.examine(facts, reach, dependencies, package, findings)
    preflight_output.examine(facts, findings)
    preflight_motion.examine(facts, reach, dependencies, findings)
    addons = preflight_scripts.examine(facts, reach, findings)
    return {
        **_report(facts),
        "package": dict(package or {}),
        "dependencies": [one.as_dict() for one in dependencies],
        "findings": findings.sorted(),
        "addons": addons,
    }


def _report(facts: Facts) -> dict[str, Any]:
    scene, frames = facts.scene, facts.frames
    nodes = preflight_facts.file_outputs(facts.compositor) if facts.compositing else []
    return {
        "schema": SCHEMA,
        "blender": list(bpy.app.version),
        "file_version": list(bpy.data.version),
        "scene": scene.name,
        "scenes": [one.name for one in bpy.data.scenes],
        "camera": facts.camera.name if facts.camera is not None else None,
        "cameras": [camera.name for camera in facts.cameras],
        "view_layer": facts.layers[0].name if len(facts.layers) == 1 else None,
        "view_layers": [
            {"name": layer.name, "use": layer in facts.layers} for layer in scene.view_layers
        ],
        "engine": facts.engine,
        "samples": facts.samples,
        "resolution": list(facts.size),
        "percentage": facts.percentage,
        "fps": facts.fps,
        "frames": {
            "text": frames.text() if frames else "",
            "count": frames.count if frames else 0,
            "start": frames.first if frames else scene.frame_start,
            "end": frames.last if frames else scene.frame_end,
            "step": scene.frame_step,
        },
        "output": {
            "format": facts.format,
            "movie": facts.movie,
            "color_mode": facts.color_mode,
            "color_depth": facts.color_depth,
            "multilayer": facts.format == "OPEN_EXR_MULTILAYER",
            "compositor_outputs": [node.name for node in nodes],
        },
        "denoise": facts.denoise,
        "motion_blur": facts.motion_blur,
    }
