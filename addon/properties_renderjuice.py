# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be set for a render at Renderjuice; saved with the scene, named as in the contract.

Every setting of the render has a switch. Off, the panel shows the scene's own value and nothing is
sent; on, the value here is sent. Cameras, scene and view layer are kept by name: a pointer would
keep a deleted camera alive in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy

from . import capture, render_choices, render_values
from .imports import ways

#: the settings with a switch, in the panel's order, by sub-panel
RESOLUTION = ("resolution", "resolution_percentage", "fps")
SAMPLING = ("engine", "samples", "denoise", "denoiser", "tiling", "tile_size")
OUTPUT = (
    "output_format",
    "color_mode",
    "color_depth",
    "exr_codec",
    "tiff_codec",
    "compression",
    "quality",
)
FARM = ("gpu_count", "minimum_ram", "compute_device", "compositor_device")
SWITCHED = RESOLUTION + SAMPLING + OUTPUT + FARM


class SceneCourierName(bpy.types.PropertyGroup):
    """The name of something; ``name`` is there already."""


def _take_scenes(name: str) -> Callable[[Any, bpy.types.Context], None]:
    """Switched on for the first time, a setting begins with the scene's value."""

    def update(group: Any, context: bpy.types.Context) -> None:
        if not getattr(group, f"use_{name}") or group.is_property_set(_stored(name)):
            return
        value = render_values.of_scene(facts_of(context, group), name)
        if value is None:
            return
        if name == "resolution":
            group.resolution_x, group.resolution_y = (int(side) for side in value.split("x"))
        else:
            setattr(group, name, _fitting(group, name, value))

    return update


def _stored(name: str) -> str:
    return "resolution_x" if name == "resolution" else name


def _fitting(group: Any, name: str, value: Any) -> Any:
    """The scene's value, or the default here where the panel does not know it."""
    items = group.bl_rna.properties[name]
    if items.type == "ENUM" and value not in items.enum_items.keys():  # noqa: SIM118
        return items.default
    return value


def _switch(name: str, label: str) -> Any:
    return bpy.props.BoolProperty(
        name=f"Change {label}",
        description=(
            f"Render with another {label} than the scene's. Off, the scene's own value is used "
            "and nothing is sent"
        ),
        default=False,
        update=_take_scenes(name),
    )


class SceneCourierRenderjuice(bpy.types.PropertyGroup):
    """Settings of a render at Renderjuice; ``chosen`` makes a job's options of them."""

    scene: bpy.props.StringProperty(
        name="Scene",
        description="Which scene of this file is rendered; this one when empty",
    )
    view_layer: bpy.props.StringProperty(
        name="View Layer",
        description="Render only this view layer; all that the scene renders when empty",
    )
    camera_choice: bpy.props.EnumProperty(
        name="Camera",
        description="Through which camera the scene is rendered",
        items=render_choices.CAMERAS,
        default="active",
    )
    cameras: bpy.props.CollectionProperty(type=SceneCourierName)
    frames: bpy.props.StringProperty(
        name="Frame Ranges",
        description=(
            "Frames to render, such as 1-250,300 or 1-100x10 for every tenth; the scene's own "
            "range when empty"
        ),
    )

    use_engine: _switch("engine", "render engine")
    engine: bpy.props.EnumProperty(
        name="Render Engine", description="What renders the frames", items=render_choices.ENGINES
    )
    use_samples: _switch("samples", "sample count")
    samples: bpy.props.IntProperty(
        name="Sample Count",
        description="Samples for each pixel",
        default=128,
        min=1,
        max=1 << 24,
    )
    use_denoise: _switch("denoise", "denoising")
    denoise: bpy.props.BoolProperty(
        name="Denoising Enabled", description="Remove noise from the frames", default=True
    )
    use_denoiser: _switch("denoiser", "denoiser")
    denoiser: bpy.props.EnumProperty(
        name="Denoiser Type",
        description="What removes the noise",
        items=render_choices.DENOISERS,
    )
    use_tiling: _switch("tiling", "tiling")
    tiling: bpy.props.BoolProperty(
        name="Use Tiling", description="Render large frames in tiles, to save memory", default=True
    )
    use_tile_size: _switch("tile_size", "tile size")
    tile_size: bpy.props.IntProperty(
        name="Tile Size",
        description="Width and height of a tile in pixels",
        default=2048,
        min=8,
        max=1 << 16,
        subtype="PIXEL",
    )

    use_resolution: _switch("resolution", "resolution")
    resolution_x: bpy.props.IntProperty(
        name="Width",
        description="Width of the frames in pixels, before the percentage",
        default=1920,
        min=4,
        max=65536,
        subtype="PIXEL",
    )
    resolution_y: bpy.props.IntProperty(
        name="Height",
        description="Height of the frames in pixels, before the percentage",
        default=1080,
        min=4,
        max=65536,
        subtype="PIXEL",
    )
    use_resolution_percentage: _switch("resolution_percentage", "resolution percentage")
    resolution_percentage: bpy.props.IntProperty(
        name="Resolution Percentage",
        description="Size of the frames in percent of the resolution",
        default=100,
        min=1,
        soft_max=100,
        max=32767,
        subtype="PERCENTAGE",
    )
    use_fps: _switch("fps", "frame rate")
    fps: bpy.props.FloatProperty(
        name="FPS", description="Frames per second", default=24.0, min=0.01, max=1000.0, precision=3
    )

    use_output_format: _switch("output_format", "output format")
    output_format: bpy.props.EnumProperty(
        name="Output Format",
        description="In which format frames are saved",
        items=render_choices.FORMATS,
    )
    use_color_mode: _switch("color_mode", "color mode")
    color_mode: bpy.props.EnumProperty(
        name="Color Mode",
        description="Which channels are saved",
        items=render_choices.COLOR_MODES,
        default="RGBA",
    )
    use_color_depth: _switch("color_depth", "color depth")
    color_depth: bpy.props.EnumProperty(
        name="Color Depth",
        description="Bits for each channel",
        items=tuple(
            (bits, f"{bits} bit", f"{bits} bits for each channel")
            for bits in ("8", "10", "12", "16", "32")
        ),
        default="16",
    )
    use_exr_codec: _switch("exr_codec", "EXR codec")
    exr_codec: bpy.props.EnumProperty(
        name="EXR Codec",
        description="How OpenEXR frames are compressed",
        items=render_choices.EXR_CODECS,
        default="ZIP",
    )
    use_tiff_codec: _switch("tiff_codec", "TIFF codec")
    tiff_codec: bpy.props.EnumProperty(
        name="TIFF Codec",
        description="How TIFF frames are compressed",
        items=render_choices.TIFF_CODECS,
        default="DEFLATE",
    )
    use_compression: _switch("compression", "compression")
    compression: bpy.props.IntProperty(
        name="Compression",
        description="Lossless compression: a higher value is slower and smaller",
        default=15,
        min=0,
        max=100,
        subtype="PERCENTAGE",
    )
    use_quality: _switch("quality", "quality")
    quality: bpy.props.IntProperty(
        name="Quality",
        description="Lossy compression: a higher value is better and larger",
        default=90,
        min=0,
        max=100,
        subtype="PERCENTAGE",
    )
    import_ways: bpy.props.EnumProperty(
        name="Import As",
        description="As what frames come into the scene when they are imported",
        items=ways.ITEMS,
        options={"ENUM_FLAG"},
        default=set(ways.DEFAULT),
    )
    video: bpy.props.BoolProperty(
        name="Fetch the Video",
        description="Download the video too, where Renderjuice offers one",
        default=True,
    )

    use_gpu_count: _switch("gpu_count", "GPU count")
    gpu_count: bpy.props.IntProperty(
        name="GPU Count",
        description="How many GPUs render. The largest possible number is not documented",
        default=1,
        min=1,
        max=10_000,
        soft_max=16,
    )
    use_minimum_ram: _switch("minimum_ram", "minimum RAM")
    minimum_ram: bpy.props.FloatProperty(
        name="Minimum RAM",
        description="Memory that a machine needs. The unit is not documented: probably GB",
        default=16.0,
        min=1.0,
        max=1_000_000.0,
        soft_max=512.0,
        precision=0,
    )
    use_compute_device: _switch("compute_device", "compute device")
    compute_device: bpy.props.EnumProperty(
        name="Compute Device Type",
        description="How the farm's GPUs are used",
        items=render_choices.COMPUTE,
    )
    use_compositor_device: _switch("compositor_device", "compositor device")
    compositor_device: bpy.props.EnumProperty(
        name="Compositor Device",
        description="What does the compositing",
        items=(("CPU", "CPU", "The processor"), ("GPU", "GPU", "The graphics card")),
    )
    color_management: bpy.props.EnumProperty(
        name="Color Management Preset",
        description="Renderjuice's color management",
        items=render_choices.PRESETS,
    )
    notes: bpy.props.StringProperty(
        name="Notes", description="A remark that goes to Renderjuice with the render"
    )

    package: bpy.props.EnumProperty(
        name="Package",
        description="How the scene and its files are packed",
        items=render_choices.PACKAGES,
    )
    handles: bpy.props.IntProperty(
        name="Extra Frames",
        description=(
            "How many frames of image sequences and caches go along before and after the range, "
            "as motion blur needs them"
        ),
        default=2,
        min=0,
        max=1000,
    )
    start: bpy.props.EnumProperty(
        name="Start",
        description="When rendering starts, which is what Renderjuice charges for",
        items=render_choices.STARTS,
    )
    use_spending_cap: bpy.props.BoolProperty(
        name="Limit Spending",
        description="Stop the job when it has used up so many GPU minutes",
        default=False,
    )
    spending_cap: bpy.props.FloatProperty(
        name="Spending Cap",
        description=(
            "GPU minutes after which the job is stopped. Renderjuice's count is looked at while it "
            "renders, so a little more may be charged"
        ),
        default=60.0,
        min=0.01,
        max=10_000_000.0,
        precision=1,
        step=100,
    )

    def changed(self, facts: dict[str, Any], names: tuple[str, ...] = SWITCHED) -> list[str]:
        """Those settings that differ from the scene's and are sent."""
        return [
            name
            for name in names
            if getattr(self, f"use_{name}") and render_values.applies(self, facts, name)
        ]

    def chosen(self, facts: dict[str, Any]) -> dict[str, Any]:
        """The options of a job: only what was changed; cameras are the order's.

        ``facts`` are ``capture.scene_facts`` of the scene that is rendered.
        """
        options = {name: self._value(name) for name in self.changed(facts)}
        for name in ("frames", "view_layer", "notes"):
            if getattr(self, name).strip():
                options[name] = getattr(self, name).strip()
        if self.scene and self.scene != self.id_data.name:
            options["scene"] = self.scene
        preset = self.color_management
        preset = facts["color_management"] if preset == "auto" else preset
        if preset != "default":
            options["color_management"] = preset
        if self.package != "auto":
            options["package"] = self.package
        if self.use_spending_cap:
            options["spending_cap"] = _decimal(self.spending_cap)
        return {**options, "handles": self.handles, "video": self.video}

    def _value(self, name: str) -> Any:
        if name == "resolution":
            return f"{self.resolution_x}x{self.resolution_y}"
        if name == "engine":
            return render_values.engine_identifier(self.engine)
        value = getattr(self, name)
        return _decimal(value) if isinstance(value, float) else value


def _decimal(value: float) -> float:
    """What the field shows: single precision turns 29.97 into 29.969999313354492."""
    return float(f"{value:.7g}")


def target_scene(settings: Any) -> Any:
    """The scene that is rendered; None when the one that was chosen is gone."""
    if not settings.scene:
        return settings.id_data
    return bpy.data.scenes.get(settings.scene)


def facts_of(context: bpy.types.Context, settings: Any) -> dict[str, Any]:
    """What the scene that is rendered says itself, under the options' names."""
    return capture.scene_facts(context, {"scene": settings.scene or settings.id_data.name})


CLASSES = (SceneCourierName, SceneCourierRenderjuice)
