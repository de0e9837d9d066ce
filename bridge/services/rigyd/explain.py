# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigyd's errors in an artist's words (Rigyd docs: Errors).

The contract gives each error a text; a text that it does not give falls back to the general words
for its status. What Rigyd said stays in the technical line either way.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ...faults import HttpError
from ...problems import Category, Problem

KEY_HINT = (
    "Make a key on app.rigyd.com under Settings, API Keys; then sign in with it, "
    "or set RIGYD_API_KEY."
)
_AGAIN = "It is tried again by itself."

_Entry = tuple[int, str, Callable[[str], tuple[Category, str, str]]]


def _always(
    category: Category, sentence: str, hint: str
) -> Callable[[str], tuple[Category, str, str]]:
    return lambda _said: (category, sentence, hint)


def _file(said: str) -> str:
    """The file name at the end of "…: front.jpg", in quotes, or "The file"."""
    name = said.rpartition(":")[2].strip()
    return f"“{name}”" if name and name != said.strip() else "The file"


# (status, pattern of Rigyd's text, words); status 0 is any. The first that fits counts.
_TABLE: tuple[_Entry, ...] = (
    (
        400,
        r"unsupported format",
        _always(
            Category.INPUT,
            "Rigyd does not take this kind of file.",
            "Send a .glb (best), .gltf, .fbx, .obj, .stl, .ply, .usd, .usda, .usdc, .usdz or .zip.",
        ),
    ),
    (
        400,
        r"archive must contain|exactly one",
        _always(
            Category.INPUT,
            "The .zip must hold exactly one model.",
            "Keep one .obj, .gltf or .usd file in it, with its textures beside it.",
        ),
    ),
    (
        400,
        r"invalid filename",
        _always(
            Category.INPUT,
            "Rigyd does not take the name of this file.",
            "Rename it with plain letters and digits, then send it again.",
        ),
    ),
    (
        400,
        r"invalid format",
        _always(
            Category.INPUT,
            "Rigyd does not know this result format.",
            "Choose usd, mjcf or all.",
        ),
    ),
    (
        401,
        r"authentication required",
        _always(Category.CREDENTIALS, "Rigyd asks for a key.", KEY_HINT),
    ),
    (
        401,
        r"",
        _always(
            Category.CREDENTIALS,
            "Rigyd does not accept the key.",
            f"It may be mistyped, revoked or expired. {KEY_HINT}",
        ),
    ),
    (
        402,
        r"",
        _always(
            Category.CREDITS,
            "There are too few credits in the Rigyd account.",
            "Add credits on app.rigyd.com, then retry. Nothing was charged.",
        ),
    ),
    (
        404,
        r"mjcf package",
        _always(
            Category.SERVICE,
            "Rigyd made no MuJoCo package for this asset.",
            "Choose the format usd instead; the download costs nothing.",
        ),
    ),
    (
        404,
        r"conversion job not found",
        _always(
            Category.SERVICE,
            "Rigyd does not know this job.",
            "It may belong to another account or have been deleted. Check which key is in use.",
        ),
    ),
    (
        409,
        r"source job",
        _always(
            Category.SERVICE,
            "The asset must be converted before it can be simulated.",
            "Wait until its conversion is done, then try again.",
        ),
    ),
    (
        409,
        r"not yet completed",
        _always(Category.SERVICE, "Rigyd has not finished this job yet.", _AGAIN),
    ),
    (
        413,
        r"image too large",
        lambda said: (
            Category.LIMIT,
            f"{_file(said)} is too large for Rigyd.",
            "An image may have 10 MB at most. Save it smaller, then send it again.",
        ),
    ),
    (
        413,
        r"",
        _always(
            Category.LIMIT,
            "The file is larger than the 500 MB that Rigyd takes.",
            "Send fewer objects, use smaller textures, or switch on Draco.",
        ),
    ),
    (
        422,
        r"not both",
        _always(
            Category.INPUT,
            "Rigyd takes a text or images, not both at once.",
            "Leave one of them out.",
        ),
    ),
    (
        422,
        r"text prompt or at least one image",
        _always(
            Category.INPUT,
            "Rigyd got neither a text nor an image.",
            "Describe the asset, or choose one image or four.",
        ),
    ),
    (
        422,
        r"500 characters",
        _always(
            Category.INPUT,
            "The description is too long for Rigyd.",
            "Shorten it to 500 characters.",
        ),
    ),
    (
        422,
        r"images are supported",
        _always(
            Category.INPUT,
            "These are more images than Rigyd takes.",
            "Choose one image, or four: front, right, back, left.",
        ),
    ),
    (
        422,
        r"unsupported image format",
        lambda said: (
            Category.INPUT,
            f"{_file(said)} is not an image that Rigyd takes.",
            "Use .jpg, .png or .webp.",
        ),
    ),
    (
        422,
        r"cannot simulate a simulation",
        _always(
            Category.INPUT,
            "A simulation cannot be simulated again.",
            "Choose the converted asset instead.",
        ),
    ),
    (
        502,
        r"service unavailable",
        _always(Category.SERVICE, "Rigyd's conversion service is not available.", _AGAIN),
    ),
)


def explain(error: HttpError) -> Problem | None:
    """Better words for an error answer of Rigyd; None where the general ones do."""
    for status, pattern, words in _TABLE:
        if error.status == status and re.search(pattern, error.message, re.I):
            category, sentence, hint = words(error.message)
            return Problem(category, sentence, hint, error.problem.technical)
    return None


def is_mjcf_missing(error: HttpError) -> bool:
    """True for "there is no MJCF package for this job", where the USD can still be had."""
    return error.status == 404 and "mjcf" in error.message.lower()
