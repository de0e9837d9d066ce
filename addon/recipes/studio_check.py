# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: opens a model as the photo studio will, and tells what it is.

    {"model": path of the .glb, "name": what the model is called (for sentences),
     "thumbnail": path of a small picture to make (.png or .jpg), or absent}
    ->
    {"name", "bytes", "triangles", "meshes", "materials": [names], "images", "textures",
     "variants": [names of KHR_materials_variants], "animations", "size_m": [width, depth, height],
     "extensions": [names], "thumbnail": path | None, "notes": [sentences]}

Raises ProblemError: INPUT with the reason for a model that cannot be used (damaged or cut off,
nothing in it, no mesh, no extent, a texture that is missing or cannot be read), BLENDER when this
Blender cannot open what is whole (a compression that it lacks). The model is only read.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from addon.recipes import pictures, studio_products, studio_scene
from addon.recipes.studio_templates import Bookmark, find
from bridge import glb

Progress = Callable[..., None]

_THUMBNAIL = (320, 180)
_SAMPLES = 6
_VIEW = Bookmark("Thumbnail", 30, 18, fill=0.8)


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Look; see the module's text."""
    path = Path(params["model"])
    name = str(params.get("name") or path.stem)
    progress(0.0, f"Opening {name}")
    container = studio_products.opened(path, name)
    info, document = glb.describe(container), container.json
    if not info.triangles:
        raise studio_products.unusable(name, "There is no mesh with faces in the model.")
    room = studio_scene.Room(find("studio"))
    model = studio_products.Model(path, name)
    with tempfile.TemporaryDirectory() as folder:
        room.prepare([model], None, Path(folder))
        _textures(name)
        size = np.ptp(room.points, axis=0)
        thumbnail = params.get("thumbnail")
        if thumbnail:
            progress(0.5, f"Taking a small picture of {name}")
            picture = Path(folder, "thumbnail.png")
            room.still(_VIEW, picture, *_THUMBNAIL, _SAMPLES)
            pictures.develop(picture, Path(thumbnail), None, max(_THUMBNAIL))
    return {
        "name": name,
        "bytes": info.bytes,
        "triangles": info.triangles,
        "meshes": info.meshes,
        "materials": [str(entry.get("name", "")) for entry in document.get("materials", [])],
        "images": info.images,
        "textures": info.textures,
        "variants": studio_products.variants(document),
        "animations": info.animations,
        "size_m": [round(float(length), 6) for length in size],
        "extensions": list(info.extensions),
        "thumbnail": str(thumbnail) if thumbnail else None,
        "notes": _notes(size),
    }


def _textures(name: str) -> None:
    """Every image that came along must show something. Raises ProblemError(INPUT)."""
    for image in bpy.data.images:
        if image.users and image.source == "FILE" and not image.size[0]:
            raise studio_products.unusable(
                name,
                f"The texture {image.name} is missing or cannot be read.",
                "Check the image in Blender, then export the product again.",
                f"{image.name}: {image.filepath}",
            )


def _notes(size: np.ndarray) -> list[str]:
    longest = float(size.max())
    if 0.01 <= longest <= 30 or not math.isfinite(longest):
        return []
    shown = f"{1000 * longest:.3g} mm" if longest < 1 else f"{longest:.3g} m"
    return [f"The model is {shown} large. Check its units if that is not meant."]
