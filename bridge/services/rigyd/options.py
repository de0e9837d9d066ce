# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigyd's options and limits (Rigyd docs: 3D to SimReady, Supported formats, Download result)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base import Option

#: "500 MB per upload"; the smaller reading of MB keeps us on the safe side of it
MAX_BYTES = 500 * 1000 * 1000
ACCEPTS = (
    ".glb",
    ".gltf",
    ".fbx",
    ".obj",
    ".stl",
    ".ply",
    ".usd",
    ".usda",
    ".usdc",
    ".usdz",
    ".zip",
)
FORMATS = ("usd", "mjcf", "all")

OPTIONS = (
    Option(
        "format",
        "text",
        default="all",
        choices=FORMATS,
        aliases=("export", "result_format"),
        help="What to download: USD with textures, the MuJoCo package, or both.",
    ),
    Option(
        "target_triangle_count",
        "int",
        minimum=1000,
        maximum=1_000_000,
        aliases=("triangles", "target_triangles", "triangle_count"),
        help="Reduce the model to about this many triangles.",
    ),
    Option(
        "threshold",
        "float",
        aliases=("coacd_threshold", "concavity"),
        help="How concave a collider part may be before it is split.",
        advanced=True,
    ),
    Option(
        "llm_provider",
        "text",
        aliases=("provider",),
        help="The model that names the materials.",
        advanced=True,
    ),
    Option(
        "skip_validation",
        "bool",
        default=False,
        aliases=("no_validation",),
        help="Accept a result that breaks SimReady rules.",
        advanced=True,
    ),
    Option(
        "draco",
        "bool",
        default=False,
        help="Compress the meshes of the upload, where this Blender can.",
        advanced=True,
        packaging=True,
    ),
    Option(
        "animation",
        "bool",
        default=False,
        aliases=("animations",),
        help="Keep animation in the upload.",
        advanced=True,
        packaging=True,
    ),
)


def submit_fields(options: Mapping[str, Any]) -> dict[str, str]:
    """The text parts of POST /conversions for these options; defaults are left to the service.

    ``optimize`` goes along with a triangle count, as all official clients do it; the documentation
    does not name it.
    """
    fields: dict[str, str] = {}
    count = options.get("target_triangle_count")
    if count:
        fields["target_triangle_count"] = str(int(count))
        fields["optimize"] = "true"
    if options.get("threshold") is not None:
        fields["threshold"] = repr(float(options["threshold"]))
    if options.get("llm_provider"):
        fields["llm_provider"] = str(options["llm_provider"])
    if options.get("skip_validation"):
        fields["skip_validation"] = "true"
    return fields
