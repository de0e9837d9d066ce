# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a render in the panel's words: the scene's own values, what goes together.

Works on what ``capture.scene_facts`` tells of a scene, and on the panel's settings.
"""

from __future__ import annotations

from typing import Any

from . import versions

#: engine as the panel names it -> its label
ENGINES = {"CYCLES": "Cycles", "EEVEE": "EEVEE", "WORKBENCH": "Workbench"}
_EEVEE = ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT")
_ENGINE_NAMES = {"CYCLES": "CYCLES", "BLENDER_WORKBENCH": "WORKBENCH"}

#: formats of single frames, by Blender's names
FORMATS = {
    "PNG": "PNG",
    "JPEG": "JPEG",
    "OPEN_EXR": "OpenEXR",
    "OPEN_EXR_MULTILAYER": "OpenEXR MultiLayer",
    "TIFF": "TIFF",
    "WEBP": "WebP",
    "BMP": "BMP",
    "TARGA": "Targa",
    "TARGA_RAW": "Targa Raw",
    "JPEG2000": "JPEG 2000",
    "CINEON": "Cineon",
    "DPX": "DPX",
    "HDR": "Radiance HDR",
    "IRIS": "Iris",
}
_OTHER_FORMATS = {"FFMPEG": "Video", "AVIF": "AVIF"}
#: bits for each channel that a format knows (Blender's own table)
DEPTHS = {
    "PNG": ("8", "16"),
    "JPEG": ("8",),
    "OPEN_EXR": ("16", "32"),
    "OPEN_EXR_MULTILAYER": ("16", "32"),
    "TIFF": ("8", "16"),
    "WEBP": ("8",),
    "BMP": ("8",),
    "TARGA": ("8",),
    "TARGA_RAW": ("8",),
    "JPEG2000": ("8", "12", "16"),
    "CINEON": ("10",),
    "DPX": ("8", "10", "12", "16"),
    "HDR": ("32",),
    "IRIS": ("8",),
}
#: formats without transparency
_OPAQUE = ("JPEG", "BMP", "CINEON", "HDR")
#: settings that only some formats have
_FORMATS_WITH = {
    "exr_codec": ("OPEN_EXR", "OPEN_EXR_MULTILAYER"),
    "tiff_codec": ("TIFF",),
    "compression": ("PNG",),
    "quality": ("JPEG", "WEBP", "JPEG2000"),
}

#: what ``capture.scene_facts`` tells
Facts = dict[str, Any]


def engine(facts: Facts) -> str:
    """The scene's engine as the panel names it; "" for one that the panel does not offer."""
    name = facts["engine"]
    return "EEVEE" if name in _EEVEE else _ENGINE_NAMES.get(name, "")


def engine_identifier(name: str) -> str:
    """Blender's name of an engine of the panel; EEVEE's depends on the version."""
    if name == "EEVEE":
        return versions.eevee()
    return {"WORKBENCH": "BLENDER_WORKBENCH"}.get(name, name)


def of_scene(facts: Facts, name: str) -> Any:
    """The scene's value of a setting; None where it has none (the farm's hardware, say)."""
    return (engine(facts) or None) if name == "engine" else facts.get(name)


def shown(facts: Facts, name: str) -> str:
    """The scene's value in words, for a field that is not changed."""
    value = of_scene(facts, name)
    if name == "engine":
        return ENGINES.get(value or "", str(facts["engine"]).replace("_", " ").title())
    if value is None:
        return "As the farm finds it"
    if name == "resolution":
        return str(value).replace("x", " × ")
    if name in ("resolution_percentage", "compression", "quality"):
        return f"{value} %"
    if name == "output_format":
        return FORMATS.get(value, _OTHER_FORMATS.get(value, str(value)))
    if name == "color_depth":
        return f"{value} bit"
    if name == "denoiser":
        return "OptiX" if value == "OPTIX" else "OpenImageDenoise"
    if isinstance(value, bool):
        return "On" if value else "Off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def in_use(settings: Any, facts: Facts, name: str) -> Any:
    """What would be rendered with: the changed value, else the scene's."""
    if getattr(settings, f"use_{name}"):
        return getattr(settings, name)
    return of_scene(facts, name)


def applies(settings: Any, facts: Facts, name: str) -> bool:
    """Whether a setting means anything for the chosen engine and format.

    What does not is neither shown nor sent.
    """
    if name in _FORMATS_WITH:
        return in_use(settings, facts, "output_format") in _FORMATS_WITH[name]
    # An engine that the panel does not know may have anything.
    chosen = in_use(settings, facts, "engine")
    cycles = chosen in ("CYCLES", None)
    if name in ("denoise", "tiling"):
        return cycles
    if name == "denoiser":
        return cycles and in_use(settings, facts, "denoise") is not False
    if name == "tile_size":
        return cycles and in_use(settings, facts, "tiling") is not False
    return name != "samples" or chosen != "WORKBENCH"


def misfit(settings: Any, facts: Facts) -> str:
    """Why the changed output settings do not go together, in a sentence; "" when they do."""
    chosen = in_use(settings, facts, "output_format")
    label = FORMATS.get(chosen, "")
    depths = DEPTHS.get(chosen, ())
    if settings.use_color_depth and depths and settings.color_depth not in depths:
        return f"{label} has {' or '.join(depths)} bits for each channel."
    if settings.use_color_mode and settings.color_mode == "RGBA" and chosen in _OPAQUE:
        return f"{label} has no transparency: choose RGB."
    return ""
