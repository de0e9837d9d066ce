# SPDX-License-Identifier: GPL-3.0-or-later
"""From a job's options to ``requestedRenderConfig``, and back: what was really used.

Renderjuice docs, Start render: ``colorManagementPreset`` is the only required field; everything
else falls back to what the validation found. Only what somebody set is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ... import frames as frame_ranges
from ...frames import FrameRanges
from ...problems import Category, ProblemError

#: option name -> field of the config, where the value goes as it is
_PLAIN = {
    "engine": "renderEngine",
    "samples": "sampleCount",
    "resolution_percentage": "resolutionPercentage",
    "fps": "fps",
    "output_format": "outputFormat",
    "denoise": "denoisingEnabled",
    "denoiser": "denoiserType",
    "tiling": "useTiling",
    "tile_size": "tileSize",
    "compositor_device": "compositorDevice",
    "compute_device": "computeDeviceType",
    "gpu_count": "gpuCount",
    "minimum_ram": "minimumRam",
    "notes": "notes",
}
_OUTPUT = {
    "color_mode": "colorMode",
    "color_depth": "colorDepth",
    "exr_codec": "exrCodec",
    "tiff_codec": "tiffCodec",
    "compression": "compression",
    "quality": "quality",
}
_SIZE = re.compile(r"\s*(\d{1,6})\s*[x×, ]\s*(\d{1,6})\s*", re.I)
_LARGEST_SIDE = 65536  # Blender's own limit


def resolution(text: str) -> list[int]:
    """ "1920x1080" -> [1920, 1080]. Raises ProblemError(INPUT)."""
    match = _SIZE.fullmatch(text)
    sides = [int(match[1]), int(match[2])] if match else []
    if not sides or not all(4 <= side <= _LARGEST_SIDE for side in sides):
        raise ProblemError(
            Category.INPUT,
            f"“{text}” is not a resolution.",
            f"Write width and height in pixels, for example 1920x1080 (4 to {_LARGEST_SIDE}).",
        )
    return sides


def check_options(values: Mapping[str, Any]) -> None:
    """Judge what single options cannot: the grammar of frames and resolution.

    Raises ProblemError(INPUT) that says where it is wrong.
    """
    if values.get("frames"):
        frame_ranges.parse(str(values["frames"]))
    if values.get("resolution"):
        resolution(str(values["resolution"]))


def render_config(options: Mapping[str, Any], frames: FrameRanges | None) -> dict[str, Any]:
    """The ``requestedRenderConfig`` for these options.

    ``frames`` None leaves the frames to what the validation found. One string for each range,
    "10" or "1-250": the syntax is not documented.
    """
    config: dict[str, Any] = {"colorManagementPreset": options.get("color_management") or "default"}
    if frames is not None:
        config["frameRanges"] = frames.strings()
    for name, field in _PLAIN.items():
        if options.get(name) is not None:
            config[field] = options[name]
    if options.get("resolution"):
        config["resolution"] = resolution(str(options["resolution"]))
    output = {
        field: options[name] for name, field in _OUTPUT.items() if options.get(name) is not None
    }
    if output:
        config["outputSettings"] = output
    return config


def differences(asked: Mapping[str, Any], job: Mapping[str, Any]) -> list[str]:
    """What the farm uses instead of what was asked, a sentence for each field.

    ``finalConfig`` "may differ from requested" (Renderjuice docs, Start render). Its shape is not
    documented: fields that it does not name are not judged.
    """
    final = job.get("finalConfig")
    if not isinstance(final, dict):
        return []
    said = []
    for name, wanted in asked.items():
        if name in ("notes", "colorManagementPreset") and name not in final:
            continue
        if name == "outputSettings":
            inner = final.get(name)
            if isinstance(inner, dict):
                said += _compare(wanted, inner)
        else:
            said += _compare({name: wanted}, final)
    return said


def _compare(asked: Mapping[str, Any], final: Mapping[str, Any]) -> list[str]:
    said = []
    for name, wanted in asked.items():
        used = final.get(name)
        if used is None or _same(name, wanted, used):
            continue
        said.append(
            f"The farm uses {_word(name)} {_shown(used)} instead of the {_shown(wanted)} "
            "that was asked for."
        )
    return said


def _same(name: str, wanted: Any, used: Any) -> bool:
    if name == "frameRanges":
        got = used_frames(used)
        return got is not None and got.text() == frame_ranges.parse(",".join(wanted)).text()
    if isinstance(wanted, int | float) and isinstance(used, int | float):
        return abs(wanted - used) < 1e-6 * max(1.0, abs(wanted))
    return bool(str(wanted).lower() == str(used).lower())


def used_frames(value: Any) -> FrameRanges | None:
    """The frames that a config names, in whatever shape; None where it cannot be read."""
    items = value if isinstance(value, list) else [value]
    texts = []
    for item in items:
        if isinstance(item, dict) and "start" in item and "end" in item:
            texts.append(f"{item['start']}-{item['end']}")
        elif isinstance(item, str | int) and not isinstance(item, bool):
            texts.append(str(item))
        else:
            return None
    try:
        return frame_ranges.parse(",".join(texts))
    except ProblemError:
        return None


def _word(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: " " + match[1].lower(), name)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ("x" if all(isinstance(item, int) for item in value) else ",").join(map(str, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
