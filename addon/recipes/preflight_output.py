# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about how frames are rendered and what comes out: engine, size, color, files written.

Which engines, versions and denoisers a service has is not documented: nothing here blocks for being
unusual, it is only said.
"""

from __future__ import annotations

import os
import re
from typing import Any

import bpy

from addon.recipes import preflight_facts
from addon.recipes.preflight_facts import BUILT_IN_ENGINES, CYCLES, WORKBENCH, Facts
from addon.recipes.preflight_findings import Findings, fix_by, some

MOST_SIDE, LEAST_SIDE, MOST_PIXELS = 16_384, 16, 150_000_000
MANY_SAMPLES = {CYCLES: 8192}
MANY_SAMPLES_ELSE = 1024
_ABSOLUTE = re.compile(r"^(?:/(?!/)|\\\\|[A-Za-z]:[\\/])")


def examine(facts: Facts, findings: Findings) -> None:
    """Add what there is to say about the engine, the size and the output."""
    _engine(facts, findings)
    _size(facts, findings)
    _views(facts, findings)
    _color(facts, findings)
    _format(facts, findings)
    _compositor(facts, findings)
    _blender(findings)


def _engine(facts: Facts, findings: Findings) -> None:
    if facts.engine == WORKBENCH:
        findings.add(
            "engine_workbench",
            "The scene is rendered with Workbench, which shows it like the solid viewport.",
            "For a finished picture choose Cycles or EEVEE.",
        )
    elif facts.engine not in BUILT_IN_ENGINES:
        module = facts.capture.get("engine_module")
        findings.add(
            "engine_addon",
            f"The render engine {facts.engine} is an add-on, and the farm may not have it.",
            "Ask the farm, or choose Cycles or EEVEE.",
            technical=f"engine of {module}" if module else "",
        )
    many = MANY_SAMPLES.get(facts.engine, MANY_SAMPLES_ELSE)
    if facts.samples and facts.samples > many:
        findings.add(
            "samples",
            f"Each pixel takes up to {facts.samples:,} samples, which is unusually many.",
            "Render test frames first to see how long a frame takes.",
        )
    unknown = facts.denoise and facts.engine == CYCLES and not facts.denoiser
    captured = facts.capture.get("denoiser")
    if unknown or (facts.denoise and (facts.denoiser == "OPTIX" or captured == "OPTIX")):
        findings.add(
            "denoiser",
            "The scene asks for a denoiser that only some graphics cards have.",
            "Choose OpenImageDenoise to have the same picture on every machine.",
            technical=f"denoiser {facts.denoiser or captured or 'not available here'}",
        )
    if facts.scene.render.use_persistent_data:
        findings.add(
            "persistent_data",
            "Persistent Data is on: frames render faster, but need more memory.",
        )


def _size(facts: Facts, findings: Findings) -> None:
    wide, high = facts.pixels
    if wide > MOST_SIDE or high > MOST_SIDE or wide * high > MOST_PIXELS:
        what = "unusually large"
    elif wide < LEAST_SIDE or high < LEAST_SIDE:
        what = "very small"
    else:
        what = ""
    if what:
        findings.add(
            "resolution",
            f"The frames are {what}: {wide} by {high} pixels.",
            "Check the resolution and its percentage in the Output properties.",
            fix=fix_by("open_output"),
        )
    if facts.percentage != 100:
        findings.add(
            "percentage",
            f"The frames are rendered at {facts.percentage} % of the resolution: "
            f"{wide} by {high} pixels.",
            fix=fix_by("open_output"),
        )


def _views(facts: Facts, findings: Findings) -> None:
    render = facts.scene.render
    if not render.use_multiview:
        return
    stereo = render.views_format == "STEREO_3D"
    views = [view.name for view in render.views if view.use]
    if stereo:
        views = [name for name in views if name in ("left", "right")]
    if len(views) > 1:
        findings.add(
            "stereo",
            f"Each frame is rendered {len(views)} times, once for each view: {some(views, 5)}.",
        )


def _color(facts: Facts, findings: Findings) -> None:
    captured = facts.capture
    config = captured.get("color_config") if captured else os.environ.get("OCIO", "")
    if config:
        findings.add(
            "color_config",
            "This Blender uses a color configuration of its own, which the farm may not have.",
            "Ask the farm, or render with Blender's own color management."
            " For ACES choose that preset.",
            technical=os.path.basename(str(config)),
        )
    wanted = captured.get("view_transform")
    has = str(facts.scene.view_settings.view_transform)
    if wanted and captured.get("scene") == facts.scene.name and wanted != has:
        findings.add(
            "color_view",
            f"The view transform {wanted} is not known to a plain Blender.",
            "Colors may differ from what you see. Choose one that comes with Blender.",
            technical=f"{has or 'none'} instead of {wanted}",
        )


def _format(facts: Facts, findings: Findings) -> None:
    if facts.movie:
        findings.add(
            "movie_output",
            "The output of the scene is a movie, but a farm renders single frames.",
            "Choose an image format such as PNG or OpenEXR. A video is offered by the service "
            "when it can make one of the frames.",
            fix=fix_by("open_output"),
        )


def _compositor(facts: Facts, findings: Findings) -> None:
    if not facts.compositing:
        return
    nodes = preflight_facts.file_outputs(facts.compositor)
    if preflight_facts.composes(facts.compositor):
        findings.add("compositor", "The frames go through the compositor.")
    elif nodes:
        findings.add(
            "compositor_only",
            "Only File Output nodes give pictures; the frames themselves would be black.",
            "Connect the compositor's own output too, or switch off Compositing.",
            technical=", ".join(node.name for node in nodes)[:300],
        )
    elif not facts.sequencer:
        findings.add(
            "no_output",
            "The compositor has no output, so the frames would be black.",
            "Add an output node to it, or switch off Compositing under Post Processing.",
            fix=fix_by("open_output"),
        )
    absolute = [node for node in nodes if _ABSOLUTE.match(preflight_facts.output_folder(node))]
    if absolute:
        findings.add(
            "absolute_output",
            f"File Output nodes write to folders of this computer: "
            f"{some(node.name for node in absolute)}.",
            "The farm collects their pictures where it keeps them.",
            path=preflight_facts.output_folder(absolute[0]),
        )


def _blender(findings: Findings) -> None:
    app: Any = bpy.app
    saved = tuple(bpy.data.version) if bpy.data.filepath else tuple(app.version)
    versions_of(findings, saved=saved[:2], now=tuple(app.version)[:2], cycle=app.version_cycle)


def versions_of(
    findings: Findings, *, saved: tuple[int, ...], now: tuple[int, ...], cycle: str
) -> None:
    """Add what the file's version and this Blender's give reason to say."""
    if cycle not in ("release", "rc"):
        findings.add(
            "test_version",
            f"This is a test version of Blender {now[0]}.{now[1]}, which the farm may not have.",
            "Save and send the scene from a released version.",
            technical=cycle,
        )
    if saved < now:
        findings.add(
            "older_file",
            f"The file was saved by Blender {saved[0]}.{saved[1]} and is sent by "
            f"{now[0]}.{now[1]}.",
            "Some things may look different; open it in this version and look at it.",
            fix=fix_by("save"),
        )
