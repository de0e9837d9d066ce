# SPDX-License-Identifier: GPL-3.0-or-later
"""The values that a render's settings can have, as items of Blender's enumerations.

Which ones the farm knows is not documented (one of each is seen, always Blender's own identifier),
so Blender's are offered.
"""

from __future__ import annotations

from . import render_values

ENGINES = tuple(
    (name, label, f"Render with {label}") for name, label in render_values.ENGINES.items()
)
FORMATS = tuple(
    (name, label, f"Frames as {label} files") for name, label in render_values.FORMATS.items()
)
EXR_CODECS = (
    ("NONE", "None", "No compression"),
    ("PXR24", "Pxr24", "Lossy for 32 bits"),
    ("ZIP", "ZIP", "Lossless, 16 lines at a time"),
    ("PIZ", "PIZ", "Lossless, good for grain"),
    ("RLE", "RLE", "Lossless, fast, large"),
    ("ZIPS", "ZIPS", "Lossless, line by line"),
    ("B44", "B44", "Lossy, fixed rate"),
    ("B44A", "B44A", "Lossy, smaller where the image is flat"),
    ("DWAA", "DWAA", "Lossy, 32 lines at a time"),
    ("DWAB", "DWAB", "Lossy, 256 lines at a time"),
)
TIFF_CODECS = (
    ("NONE", "None", "No compression"),
    ("DEFLATE", "Deflate", "Lossless"),
    ("LZW", "LZW", "Lossless"),
    ("PACKBITS", "Pack Bits", "Lossless, fast, large"),
)
COMPUTE = (
    ("CUDA", "CUDA", "NVIDIA GPUs by CUDA"),
    ("OPTIX", "OptiX", "NVIDIA GPUs by OptiX"),
    ("HIP", "HIP", "AMD GPUs"),
    ("ONEAPI", "oneAPI", "Intel GPUs"),
    ("METAL", "Metal", "Apple GPUs"),
    ("NONE", "None", "No GPU"),
)
CAMERAS = (
    (
        "active",
        "Active Camera",
        "The scene's camera, and the cameras of its markers",
        "OUTLINER_OB_CAMERA",
        0,
    ),
    (
        "chosen",
        "Pick Cameras",
        "The cameras below. Several cameras become several jobs",
        "OUTLINER_DATA_CAMERA",
        1,
    ),
)
DENOISERS = (
    ("OPENIMAGEDENOISE", "OpenImageDenoise", "The better one on most frames"),
    ("OPTIX", "OptiX", "Fast on NVIDIA GPUs"),
)
COLOR_MODES = (
    ("BW", "BW", "Gray"),
    ("RGB", "RGB", "Color"),
    ("RGBA", "RGBA", "Color and transparency"),
)
PRESETS = (
    (
        "auto",
        "Automatic",
        "ACES if this Blender was started with an ACES configuration, else Blender's own",
    ),
    ("default", "Default", "Blender's own"),
    ("aces", "ACES", "For projects that use ACES"),
)
PACKAGES = (
    ("auto", "Automatic", "One packed .blend where that is possible, else a .zip"),
    ("blend", "Packed .blend", "One .blend file that holds everything"),
    ("zip", ".zip", "The .blend with its files beside it"),
)
STARTS = (
    (
        "ask",
        "After My Yes",
        "Renderjuice checks the scene, the job shows what it found, and you start it",
    ),
    ("at_once", "At Once", "As soon as Renderjuice has checked the scene"),
)
