# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by a Blender: writes one small picture in every format and variant, and videos.

python media_samples.py FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bpy

PICTURES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("PNG", "png", "color_depth", ("8", "16")),
    ("PNG", "png", "color_mode", ("BW", "RGBA")),
    ("JPEG", "jpg", "", ("",)),
    ("JPEG2000", "jp2", "", ("",)),
    ("BMP", "bmp", "", ("",)),
    ("TARGA", "tga", "", ("",)),
    ("TARGA_RAW", "tga", "", ("",)),
    ("HDR", "hdr", "", ("",)),
    ("WEBP", "webp", "", ("",)),
    ("DPX", "dpx", "color_depth", ("8", "10", "12", "16")),
    ("CINEON", "cin", "", ("",)),
    ("IRIS", "rgb", "", ("",)),
    ("TIFF", "tif", "tiff_codec", ("NONE", "DEFLATE", "LZW", "PACKBITS")),
    (
        "OPEN_EXR",
        "exr",
        "exr_codec",
        ("NONE", "PXR24", "ZIP", "PIZ", "RLE", "ZIPS", "B44", "B44A", "DWAA", "DWAB", "HTJ2K"),
    ),
)
VIDEOS = (
    ("MPEG4", "H264", "mp4"),
    ("QUICKTIME", "H264", "mov"),
    ("MKV", "H264", "mkv"),
    ("WEBM", "WEBM", "webm"),
    ("AVI", "MPEG4", "avi"),
)
SIZE = (67, 45)


def _choose(settings: bpy.types.ImageFormatSettings, name: str) -> None:
    if hasattr(settings, "media_type"):
        kinds = {"FFMPEG": "VIDEO", "OPEN_EXR_MULTILAYER": "MULTI_LAYER_IMAGE"}
        settings.media_type = kinds.get(name, "IMAGE")
    settings.file_format = name


def main(folder: Path) -> None:
    """Write everything."""
    folder.mkdir(parents=True)
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    render, settings = scene.render, scene.render.image_settings
    render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    render.resolution_x, render.resolution_y, render.resolution_percentage = *SIZE, 100
    bpy.context.view_layer.use_pass_z = True
    for multiview in (False, True):
        render.use_multiview = multiview
        _choose(settings, "OPEN_EXR_MULTILAYER")
        settings.views_format = "MULTIVIEW" if multiview else "INDIVIDUAL"
        render.filepath = str(folder / f"{'stereo' if multiview else 'layers'}.exr")
        bpy.ops.render.render(write_still=True)
    render.use_multiview = False
    bpy.ops.render.render()
    for name, suffix, setting, values in PICTURES:
        _choose(settings, name)
        settings.color_mode = "RGB"
        if name == "OPEN_EXR":
            settings.color_depth = "16"  # B44 is for half floats only
        for value in values:
            try:
                if setting:
                    setattr(settings, setting, value)
            except TypeError:
                continue  # this version does not have it
            path = folder / f"{name.lower()}-{value or 'plain'}.{suffix}"
            bpy.data.images["Render Result"].save_render(str(path))
    _choose(settings, "FFMPEG")
    scene.frame_start, scene.frame_end = 1, 3
    render.resolution_x, render.resolution_y = 64, 48
    render.use_file_extension = False
    for container, codec, suffix in VIDEOS:
        render.ffmpeg.format, render.ffmpeg.codec = container, codec
        render.filepath = str(folder / f"video.{suffix}")
        bpy.ops.render.render(animation=True)


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
    (Path(sys.argv[-1]) / "complete").write_text("yes")
    sys.stdout.flush()
    os._exit(0)  # some versions crash on their way out
