# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a render's ``requestedRenderConfig`` (Renderjuice docs, Start render).

Field names and JSON types are documented; of each enum one value is seen, and it is always
Blender's own identifier, so Blender's identifiers are taken and anything else is refused. Bounds
follow the example values in the same way. Neither is confirmed. The syntax of ``frameRanges`` is
unknown: "N" and "A-B" are taken, and kept as they were sent.
"""

from __future__ import annotations

import math
import re
from typing import Any

#: more than these are refused: a typing error, not an order
MOST_FRAMES = 100_000
_LAST_FRAME = 1_048_574
_RANGE = re.compile(r"\s*(-?\d{1,7})(?:\s*-\s*(-?\d{1,7}))?\s*")
_ENUMS = {
    "colorManagementPreset": ("default", "aces"),
    "renderEngine": (
        "CYCLES", "BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH",
    ),
    "compositorDevice": ("CPU", "GPU"),
    "computeDeviceType": ("CUDA", "OPTIX", "HIP", "ONEAPI", "METAL", "NONE"),
    "denoiserType": ("OPTIX", "OPENIMAGEDENOISE"),
    # Movies are not among them: a farm renders frames.
    "outputFormat": (
        "BMP", "IRIS", "PNG", "JPEG", "JPEG2000", "TARGA", "TARGA_RAW", "CINEON", "DPX",
        "OPEN_EXR_MULTILAYER", "OPEN_EXR", "HDR", "TIFF", "WEBP",
    ),
}  # fmt: skip
_OUTPUT_ENUMS = {
    "colorMode": ("BW", "RGB", "RGBA"),
    "colorDepth": ("8", "10", "12", "16", "32"),
    "exrCodec": ("NONE", "PXR24", "ZIP", "PIZ", "RLE", "ZIPS", "B44", "B44A", "DWAA", "DWAB"),
    "tiffCodec": ("NONE", "DEFLATE", "LZW", "PACKBITS"),
}
_INTEGERS = {
    "gpuCount": (1, 10_000),
    "sampleCount": (1, 1 << 24),
    "resolutionPercentage": (1, 32767),
    "tileSize": (1, 1 << 16),
}
_FLAGS = ("denoisingEnabled", "useTiling")


class ConfigError(Exception):
    """The config is refused; the text is the service's message."""


def check(body: dict[str, Any], *, ignore_unknown: bool = False) -> dict[str, Any]:
    """The config of a render's body, as it was sent. Raises ConfigError."""
    config = body.get("requestedRenderConfig")
    if config is None:
        raise ConfigError("requestedRenderConfig is required")
    if not isinstance(config, dict):
        raise ConfigError("requestedRenderConfig must be an object")
    if not config:
        raise ConfigError("requestedRenderConfig must not be empty")
    if "colorManagementPreset" not in config:
        raise ConfigError("requestedRenderConfig.colorManagementPreset is required")
    for name, value in config.items():
        _field(name, value, ignore_unknown)
    return config


def _field(name: str, value: Any, ignore_unknown: bool) -> None:
    path = f"requestedRenderConfig.{name}"
    if name in _ENUMS:
        _enum(path, value, _ENUMS[name])
    elif name in _INTEGERS:
        _integer(path, value, *_INTEGERS[name])
    elif name in _FLAGS:
        if not isinstance(value, bool):
            raise ConfigError(f"{path} must be a boolean")
    elif name == "frameRanges":
        frames(value)
    elif name == "resolution":
        if not isinstance(value, list) or len(value) != 2:
            raise ConfigError(f"{path} must be an array of two integers")
        for item in value:
            _integer(path, item, 1, 65536)
    elif name in ("fps", "minimumRam"):
        _number(path, value, 0, math.inf, above=True)
    elif name == "notes":
        if not isinstance(value, str):
            raise ConfigError(f"{path} must be a string")
    elif name == "outputSettings":
        _output_settings(path, value, ignore_unknown)
    elif not ignore_unknown:
        raise ConfigError(f"{path} should not exist")


def _output_settings(path: str, value: Any, ignore_unknown: bool) -> None:
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must be an object")
    for name, item in value.items():
        if name in _OUTPUT_ENUMS:
            _enum(f"{path}.{name}", item, _OUTPUT_ENUMS[name])
        elif name in ("compression", "quality"):
            _number(f"{path}.{name}", item, 0, 100)
        elif not ignore_unknown:
            raise ConfigError(f"{path}.{name} should not exist")


def _enum(path: str, value: Any, values: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in values:
        raise ConfigError(f"{path} must be one of: {', '.join(values)}")


def _number(path: str, value: Any, low: float, high: float, *, above: bool = False) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{path} must be a number")
    if above and value <= low:
        raise ConfigError(f"{path} must be greater than {low:g}")
    if not low <= value <= high:
        raise ConfigError(f"{path} must be between {low:g} and {high:g}")


def _integer(path: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{path} must be an integer")
    if not low <= value <= high:
        raise ConfigError(f"{path} must be between {low} and {high}")


def frames(ranges: Any) -> list[int]:
    """The frames that ``frameRanges`` name, sorted, each once. Raises ConfigError."""
    path = "requestedRenderConfig.frameRanges"
    if not isinstance(ranges, list) or not all(isinstance(item, str) for item in ranges):
        raise ConfigError(f"{path} must be an array of strings")
    if not ranges:
        raise ConfigError(f"{path} must not be empty")
    found: set[int] = set()
    for text in ranges:
        match = _RANGE.fullmatch(text)
        if match is None:
            raise ConfigError(f'{path}: "{text[:40]}" is neither a frame nor a range like 1-250')
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if last < first or max(abs(first), abs(last)) > _LAST_FRAME:
            raise ConfigError(f'{path}: "{text[:40]}" is not a range of frames')
        if len(found) + last - first + 1 > MOST_FRAMES:
            raise ConfigError(f"{path} names more than {MOST_FRAMES} frames")
        found.update(range(first, last + 1))
    return sorted(found)


def to_render(config: dict[str, Any], analysis: dict[str, Any]) -> list[int]:
    """The frames of a job: those asked for, else what validation found."""
    if "frameRanges" in config:
        return frames(config["frameRanges"])
    first, last = int(analysis.get("frameStart", 1)), int(analysis.get("frameEnd", 1))
    return list(range(first, last + 1, max(1, int(analysis.get("frameStep", 1)))))[:MOST_FRAMES]


def final(
    config: dict[str, Any], analysis: dict[str, Any], used: dict[str, Any], numbers: list[int]
) -> dict[str, Any]:
    """``finalConfig``: what was asked, what was found, and what was really used, in this order."""
    names = (
        *_ENUMS, *_INTEGERS, *_FLAGS, "frameRanges", "resolution", "fps", "outputSettings",
    )  # fmt: skip
    found = {name: analysis[name] for name in names if analysis.get(name) is not None}
    found.setdefault("frameRanges", ranges(numbers))
    # Frames stay as they were written: the same ones in other words would look like others.
    told = {k: v for k, v in used.items() if v is not None and k != "frameRanges"}
    return {**found, **config, **told}


def ranges(numbers: list[int]) -> list[str]:
    """Frames as ranges: [1, 2, 3, 7] is ["1-3", "7"]."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return [f"{first}" if first == last else f"{first}-{last}" for first, last in runs]
