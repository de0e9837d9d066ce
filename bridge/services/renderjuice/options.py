# SPDX-License-Identifier: GPL-3.0-or-later
"""Renderjuice's render settings and limits (Renderjuice docs: Start render, Create upload target).

Names follow the fields of ``requestedRenderConfig``. Only what somebody sets is sent; for the rest
the farm uses what its validation finds in the scene. Which values the enumerations have is not
documented (one of each is seen, always Blender's own identifier), so Blender's identifiers are
offered and the service's refusal is shown.
"""

from __future__ import annotations

from ..base import Option

#: "under 5 GiB" for the presigned single request
MAX_BYTES = 5 * 1024**3 - 1
ACCEPTS = (".zip",)
PRESETS = ("default", "aces")
ENGINES = ("CYCLES", "BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH")
FORMATS = (
    "PNG",
    "JPEG",
    "OPEN_EXR",
    "OPEN_EXR_MULTILAYER",
    "TIFF",
    "WEBP",
    "BMP",
    "TARGA",
    "TARGA_RAW",
    "JPEG2000",
    "CINEON",
    "DPX",
    "HDR",
    "IRIS",
)
EXR_CODECS = ("NONE", "PXR24", "ZIP", "PIZ", "RLE", "ZIPS", "B44", "B44A", "DWAA", "DWAB", "HTJ2K")
TIFF_CODECS = ("NONE", "DEFLATE", "LZW", "PACKBITS")
DEVICES = ("CUDA", "OPTIX", "HIP", "ONEAPI", "METAL", "NONE")


def _sent(name: str, kind: str, help: str, **more: object) -> Option:
    return Option(name, kind, help=help, **more)  # type: ignore[arg-type]


def _ours(name: str, kind: str, help: str, **more: object) -> Option:
    return Option(name, kind, help=help, packaging=True, **more)  # type: ignore[arg-type]


OPTIONS = (
    _sent(
        "frames",
        "text",
        "Frames to render, such as 1-250,300 or 1-100x10; the scene's when not given.",
        aliases=("frame_ranges", "frame_range"),
    ),
    _sent(
        "color_management",
        "text",
        "Color management preset: default, or aces for projects that use ACES.",
        default="default",
        choices=PRESETS,
        aliases=("color_management_preset",),
    ),
    _sent("engine", "text", "Render engine.", choices=ENGINES, aliases=("render_engine",)),
    _sent(
        "samples",
        "int",
        "Samples for each pixel.",
        minimum=1,
        maximum=1 << 24,
        aliases=("sample_count",),
    ),
    _sent("resolution", "text", "Width and height in pixels, such as 1920x1080."),
    _sent(
        "resolution_percentage",
        "int",
        "Size of the frames in percent of the resolution.",
        minimum=1,
        maximum=32767,
        aliases=("percentage",),
    ),
    _sent("fps", "float", "Frames per second.", minimum=0.01, maximum=1000),
    _sent("output_format", "text", "Format of the frames.", choices=FORMATS, aliases=("format",)),
    _sent("color_mode", "text", "Channels of the frames.", choices=("BW", "RGB", "RGBA")),
    _sent("color_depth", "text", "Bits for each channel.", choices=("8", "10", "12", "16", "32")),
    _sent("exr_codec", "text", "Compression of OpenEXR frames.", choices=EXR_CODECS),
    _sent("tiff_codec", "text", "Compression of TIFF frames.", choices=TIFF_CODECS),
    _sent("compression", "float", "Compression of PNG frames in percent.", minimum=0, maximum=100),
    _sent(
        "quality", "float", "Quality of JPEG and WebP frames in percent.", minimum=0, maximum=100
    ),
    _sent("denoise", "bool", "Denoise the frames.", aliases=("denoising", "denoising_enabled")),
    _sent(
        "denoiser",
        "text",
        "Which denoiser.",
        choices=("OPTIX", "OPENIMAGEDENOISE"),
        aliases=("denoiser_type",),
    ),
    _sent("tiling", "bool", "Render in tiles, to save memory.", aliases=("use_tiling",)),
    _sent("tile_size", "int", "Size of a tile in pixels.", minimum=1, maximum=1 << 16),
    _sent(
        "compositor_device",
        "text",
        "What composites.",
        choices=("CPU", "GPU"),
        advanced=True,
    ),
    _sent(
        "compute_device",
        "text",
        "How the farm's GPUs are used.",
        choices=DEVICES,
        aliases=("compute_device_type",),
        advanced=True,
    ),
    _sent(
        "gpu_count",
        "int",
        "How many GPUs; the largest number is not documented.",
        minimum=1,
        maximum=10_000,
        advanced=True,
    ),
    _sent(
        "minimum_ram",
        "float",
        "Memory that a machine needs; the unit is not documented, GB is likely.",
        minimum=0.001,
        maximum=1_000_000,
        advanced=True,
    ),
    _sent("notes", "text", "A remark for the people at the farm.", advanced=True),
    _ours("scene", "text", "Which scene of the file; the active one when not given."),
    _ours("camera", "text", "Which camera; the scene's when not given."),
    _ours("view_layer", "text", "Render only this view layer."),
    _ours(
        "package",
        "text",
        "How the scene is packed: one .blend, a .zip, or whichever fits.",
        default="auto",
        choices=("auto", "blend", "zip"),
    ),
    _ours(
        "handles",
        "int",
        "Frames of sequences and caches beyond the range that go along, for motion blur.",
        default=2,
        minimum=0,
        maximum=1000,
        advanced=True,
    ),
    _ours(
        "test_frames",
        "bool",
        "Render only the first, the middle and the last frame.",
        default=False,
        aliases=("test",),
    ),
    _ours(
        "spending_cap",
        "float",
        "Stop when this many GPU minutes are used, as far as the service tells.",
        minimum=0.01,
        maximum=10_000_000,
        aliases=("cap", "gpu_minutes"),
    ),
    _ours("video", "bool", "Fetch the video too, where one is offered.", default=True),
    _ours(
        "ignore_problems",
        "bool",
        "Send although the check found something that would break the render.",
        default=False,
        aliases=("force",),
        advanced=True,
    ),
    _ours(
        "check_only",
        "bool",
        "Only check the scene; nothing is sent.",
        default=False,
        advanced=True,
    ),
)
