# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene renders with: read and changed by the names of Renderjuice's
``requestedRenderConfig`` (Renderjuice docs, Start render).

The documented values seen are Blender's own identifiers; the rest is taken to follow Blender as
well, which is not documented. Nothing here renders.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import bpy

from bridge.problems import Category, ProblemError

_MOVIES = ("FFMPEG", "AVI_JPEG", "AVI_RAW")
_MULTILAYER = "OPEN_EXR_MULTILAYER"
# The engine that Blender 4.2 to 4.5 call by another name than those before and after.
_EEVEE = ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT")
_ACES = ("ACES 2.0", "ACES 1.3")
#: name in outputSettings -> attribute of Blender's image settings
OUTPUT = {
    "colorMode": "color_mode",
    "colorDepth": "color_depth",
    "exrCodec": "exr_codec",
    "tiffCodec": "tiff_codec",
    "compression": "compression",
    "quality": "quality",
}


# -- reading -------------------------------------------------------------------------------------


def samples(scene: Any) -> int | None:
    """Samples of each pixel, where the engine counts in samples."""
    engine = scene.render.engine
    if engine == "CYCLES":
        return int(scene.cycles.samples)
    if engine in _EEVEE:
        return int(scene.eevee.taa_render_samples)
    return None


def denoises(scene: Any) -> bool:
    """Whether the engine's own denoiser is on."""
    return scene.render.engine == "CYCLES" and bool(scene.cycles.use_denoising)


def fps(scene: Any) -> int | float:
    """Frames in a second; a whole number where it is one."""
    value = scene.render.fps / scene.render.fps_base
    return round(value) if math.isclose(value, round(value), abs_tol=1e-6) else round(value, 5)


def output_settings(settings: Any) -> dict[str, Any]:
    """``outputSettings`` as far as the file format has them; the depth is a string."""
    kind = settings.file_format
    found: dict[str, Any] = {
        "colorMode": settings.color_mode,
        "colorDepth": str(settings.color_depth),
    }
    if kind in ("OPEN_EXR", _MULTILAYER):
        found["exrCodec"] = settings.exr_codec
    if kind == "TIFF":
        found["tiffCodec"] = settings.tiff_codec
    if kind == "PNG":
        found["compression"] = int(settings.compression)
    if kind in ("JPEG", "JPEG2000", "WEBP", "AVIF"):
        found["quality"] = int(settings.quality)
    return found


def color(scene: Any) -> dict[str, Any]:
    """How the scene shows its linear light."""
    view = scene.view_settings
    return {
        "displayDevice": scene.display_settings.display_device,
        "viewTransform": view.view_transform,
        "look": view.look,
        "exposure": round(float(view.exposure), 6),
        "gamma": round(float(view.gamma), 6),
    }


def read(scene: Any) -> dict[str, Any]:
    """The scene's settings in the names of the config. Without ``frameRanges``."""
    render = scene.render
    found: dict[str, Any] = {
        "renderEngine": render.engine,
        "sampleCount": samples(scene),
        "resolution": [int(render.resolution_x), int(render.resolution_y)],
        "resolutionPercentage": int(render.resolution_percentage),
        "fps": fps(scene),
        "outputFormat": render.image_settings.file_format,
        "outputSettings": output_settings(render.image_settings),
        "denoisingEnabled": denoises(scene),
        "denoiserType": str(scene.cycles.denoiser) if denoises(scene) else None,
        "compositorDevice": str(getattr(render, "compositor_device", "CPU")),
        "computeDeviceType": "CPU",
        "colorManagementPreset": (
            "aces" if scene.view_settings.view_transform.startswith("ACES") else "default"
        ),
    }
    if render.engine == "CYCLES":
        found["useTiling"] = bool(scene.cycles.use_auto_tile)
        found["tileSize"] = int(scene.cycles.tile_size)
    return found


# -- changing ------------------------------------------------------------------------------------


def _refuse(name: str, value: Any, technical: str = "") -> ProblemError:
    return ProblemError(
        Category.INPUT,
        f"The render setting {name} cannot be {value}.",
        "Choose another value, or leave the scene's own.",
        technical.strip()[-300:],
    )


def _set(holder: Any, attribute: str, value: Any, name: str) -> None:
    """Set one property; Blender says itself which values it knows."""
    try:
        setattr(holder, attribute, value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _refuse(name, value, str(error)) from None
    now = getattr(holder, attribute)
    same = math.isclose(now, value, rel_tol=1e-5) if isinstance(now, float) else now == value
    if not same:  # a number beyond Blender's bounds is silently moved
        raise _refuse(name, value, f"Blender makes {now} of it")


def _whole(value: Any, name: str, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise _refuse(name, value, "not a whole number")
    if value < least:
        raise _refuse(name, value, f"less than {least}")
    return int(value)


def set_format(settings: Any, kind: str, name: str = "outputFormat") -> None:
    """Change the file format; from 5.0 on Blender asks for the kind of medium first."""
    if hasattr(settings, "media_type"):
        medium = "MULTI_LAYER_IMAGE" if kind == _MULTILAYER else "IMAGE"
        settings.media_type = "VIDEO" if kind in _MOVIES else medium
    _set(settings, "file_format", kind, name)


def no_movie(scene: Any) -> list[str]:
    """A movie cannot be rendered frame by frame: PNG frames instead. Returns notes."""
    if not scene.render.is_movie_format:
        return []
    settings = scene.render.image_settings
    set_format(settings, "PNG")
    settings.color_mode = "RGBA" if scene.render.film_transparent else "RGB"
    settings.color_depth = "8"
    return ["The scene writes a movie. It is rendered as PNG frames."]


def _engine(scene: Any, wanted: str) -> None:
    names = (wanted, *_EEVEE) if wanted in _EEVEE else (wanted,)
    technical = ""
    for name in names:
        try:
            scene.render.engine = name
            return
        except TypeError as error:
            technical = technical or str(error)
    raise no_engine(wanted, technical)


def no_engine(name: str, technical: str = "") -> ProblemError:
    """The problem of a scene whose engine is not here."""
    return ProblemError(
        Category.BLENDER,
        f"This Blender does not have the render engine {name}.",
        "Choose Cycles or EEVEE, or render where the engine is installed.",
        f"Blender {bpy.app.version_string}: {technical[-250:]}",
    )


def set_fps(scene: Any, value: Any) -> None:
    """Frames in a second, 23.976 as well as 24. Raises ProblemError(INPUT)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 32767:
        raise _refuse("fps", value)
    whole = max(1, math.ceil(value - 1e-9))
    scene.render.fps = whole
    scene.render.fps_base = whole / value


def _resolution(scene: Any, value: Any) -> None:
    if not isinstance(value, list) or len(value) != 2:
        raise _refuse("resolution", value, "not [width, height]")
    _set(scene.render, "resolution_x", _whole(value[0], "resolution"), "resolution")
    _set(scene.render, "resolution_y", _whole(value[1], "resolution"), "resolution")


def _samples(scene: Any, value: Any) -> list[str]:
    count = _whole(value, "sampleCount")
    if scene.render.engine == "CYCLES":
        _set(scene.cycles, "samples", count, "sampleCount")
    elif scene.render.engine in _EEVEE:
        _set(scene.eevee, "taa_render_samples", count, "sampleCount")
    else:
        return ["The scene's engine does not count in samples; the number was left out."]
    return []


def _denoise(scene: Any, config: dict[str, Any]) -> list[str]:
    if scene.render.engine != "CYCLES":
        return []
    notes = []
    if config.get("denoisingEnabled") is not None:
        scene.cycles.use_denoising = bool(config["denoisingEnabled"])
    if config.get("denoiserType") is not None:
        try:
            scene.cycles.denoiser = config["denoiserType"]
        except TypeError:
            if config["denoiserType"] not in ("OPTIX", "OPENIMAGEDENOISE"):
                raise _refuse("denoiserType", config["denoiserType"]) from None
            notes.append(f"There is no {config['denoiserType']} here; another denoiser is used.")
    if scene.cycles.use_denoising:
        try:
            scene.cycles.denoiser = scene.cycles.denoiser or "OPENIMAGEDENOISE"
        except TypeError:
            scene.cycles.use_denoising = False
            notes.append("This Blender has no denoiser; the frames are not denoised.")
    return notes


def _colors(scene: Any, preset: Any) -> list[str]:
    if preset in (None, "default"):
        return []
    if preset != "aces":
        raise _refuse("colorManagementPreset", preset)
    if scene.view_settings.view_transform.startswith("ACES"):
        return []
    for name in _ACES:
        try:
            scene.view_settings.view_transform = name
            return []
        except TypeError:
            continue
    return ["This Blender has no ACES; the scene's own colors are used."]


def apply(scene: Any, config: dict[str, Any], device: str = "CPU") -> list[str]:
    """Change the scene as ``config`` asks; returns notes for the artist.

    Raises ProblemError: INPUT for a value that Blender does not know, BLENDER for an engine that it
    does not have. Other names (notes, number of GPUs) have no effect on one processor.
    """
    render = scene.render
    notes: list[str] = []
    _engine(scene, config.get("renderEngine") or render.engine)
    if render.engine == "CYCLES":
        _set(scene.cycles, "device", device, "device")
    if config.get("resolution") is not None:
        _resolution(scene, config["resolution"])
    if config.get("resolutionPercentage") is not None:
        share = _whole(config["resolutionPercentage"], "resolutionPercentage")
        _set(render, "resolution_percentage", share, "resolutionPercentage")
    if config.get("fps") is not None:
        set_fps(scene, config["fps"])
    if config.get("sampleCount") is not None:
        notes += _samples(scene, config["sampleCount"])
    notes += _denoise(scene, config)
    if render.engine == "CYCLES":
        if config.get("useTiling") is not None:
            scene.cycles.use_auto_tile = bool(config["useTiling"])
        if config.get("tileSize") is not None:
            _set(scene.cycles, "tile_size", _whole(config["tileSize"], "tileSize"), "tileSize")
    if hasattr(render, "compositor_device"):
        if config.get("compositorDevice") not in (None, "CPU", "GPU"):
            raise _refuse("compositorDevice", config["compositorDevice"])
        render.compositor_device = device if device == "CPU" else config.get("compositorDevice")
    notes += _colors(scene, config.get("colorManagementPreset"))
    if config.get("outputFormat") is not None:
        set_format(render.image_settings, str(config["outputFormat"]))
    notes += no_movie(scene)
    for name, value in _ordered(config.get("outputSettings") or {}):
        value = str(value) if name == "colorDepth" else value
        if name in ("compression", "quality"):
            value = _whole(value, name, 0)
        _set(render.image_settings, OUTPUT[name], value, f"outputSettings.{name}")
    return notes


def _ordered(settings: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """The known ones in Blender's order: which depths there are depends on what comes before."""
    return [(name, settings[name]) for name in OUTPUT if settings.get(name) is not None]
