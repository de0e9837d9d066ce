# SPDX-License-Identifier: GPL-3.0-or-later
"""Renderjuice's errors in an artist's words.

Documented are only the 400s of validate and render (Renderjuice docs, Job lifecycle); the shape of
an error and every other status are not. So a status is explained in general, and what the service
said is shown. Storage errors (XML, presigned addresses) have words of their own (``presigned``): a
key is never involved there.
"""

from __future__ import annotations

import re

from ... import presigned
from ...faults import HttpError
from ...problems import Category, Problem

KEY_HINT = (
    "Make a key in the Renderjuice dashboard; then sign in with it, or set RENDERJUICE_API_KEY. "
    "Access to the API is given on request: ask Renderjuice if the dashboard shows none."
)
_Words = tuple[Category, str, str]

# (status, pattern of what was said, words); "{said}" is replaced. The first that fits counts.
_TABLE: tuple[tuple[int, str, _Words], ...] = (
    (
        400,
        r"requestedRenderConfig|render.?config|colorManagement",
        (
            Category.INPUT,
            "Renderjuice does not take these render settings.",
            "{said}",
        ),
    ),
    (
        400,
        r"already.*validat|validat.*already|in status|current(ly)? (status|in)|cannot|not allowed",
        (
            Category.SERVICE,
            "Renderjuice does not allow this in the job's present state.",
            "{said}",
        ),
    ),
    (
        401,
        r"",
        (
            Category.CREDENTIALS,
            "Renderjuice does not accept the key.",
            f"It may be missing, mistyped or revoked. {KEY_HINT}",
        ),
    ),
    (
        402,
        r"",
        (
            Category.CREDITS,
            "The Renderjuice account has too few GPU minutes.",
            "Add to the plan or its on-demand budget in the dashboard, then retry. {said}",
        ),
    ),
    (
        403,
        r"",
        (
            Category.CREDENTIALS,
            "Renderjuice does not let this key use its API.",
            f"The key may be wrong, or the workspace has no access yet. {KEY_HINT}",
        ),
    ),
    (
        404,
        r"",
        (
            Category.SERVICE,
            "Renderjuice does not know this job or upload.",
            "It may belong to another workspace or have been deleted. Check which key is in use.",
        ),
    ),
    (
        413,
        r"",
        (
            Category.LIMIT,
            "The file is larger than the 5 GiB that Renderjuice takes.",
            "Make the package smaller: fewer frames of caches, smaller textures.",
        ),
    ),
)


def explain(error: HttpError) -> Problem | None:
    """Better words for an error answer of Renderjuice; None where the general ones do."""
    for status, pattern, (category, sentence, hint) in _TABLE:
        if error.status == status and re.search(pattern, error.message, re.I):
            said = f"It says: {error.message}" if error.message else ""
            return Problem(
                category, sentence, hint.replace("{said}", said).strip(), error.problem.technical
            )
    return None


explain_storage = presigned.explain_storage(
    "Renderjuice",
    "A new address is asked for. If this stays, check the clock of this computer.",
    "Make the package smaller: fewer frames of caches, smaller textures.",
)
