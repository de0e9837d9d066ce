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

from collections.abc import Callable
from typing import Any

Progress = Callable[..., None]


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Look; see the module's text."""
    raise NotImplementedError
