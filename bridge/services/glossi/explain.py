# SPDX-License-Identifier: GPL-3.0-or-later
"""Glossi's errors in an artist's words.

No status and no error body is documented (Glossi docs, Simple and Complete Workflow); failed jobs
say why in ``error``, failed renders in ``errorMessage``. So a status is explained in general, and
what Glossi said is shown. The storage behind presigned addresses has words of its own
(``presigned``): a key is never involved there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ... import presigned
from ...answers import plain
from ...faults import HttpError
from ...outcomes import Refused
from ...problems import Category, Problem

KEY_HINT = (
    "Make a key in your Glossi workspace; then sign in with it, or set GLOSSI_API_KEY. "
    "Its API is a beta: ask support@glossi.io if the workspace shows no keys."
)
_MODEL_HINT = "Make the product smaller: fewer polygons, smaller textures, or Draco."

# (status, category, sentence, hint); "{said}" is replaced by what Glossi said.
_WORDS: dict[int, tuple[Category, str, str]] = {
    400: (Category.INPUT, "Glossi refused the request.", "{said}"),
    401: (
        Category.CREDENTIALS,
        "Glossi does not accept the key.",
        f"It may be missing, mistyped or revoked. {KEY_HINT}",
    ),
    402: (
        Category.CREDITS,
        "Glossi asks for a payment or another plan before it does this.",
        "Look at the plan of your workspace on Glossi's website, then retry. {said}",
    ),
    403: (
        Category.CREDENTIALS,
        "Glossi does not allow this with the present key.",
        f"The key may be wrong, or the plan does not include it. {{said}} {KEY_HINT}",
    ),
    404: (
        Category.SERVICE,
        "Glossi does not know this template, model, project or job.",
        "It may have been deleted, or belong to another workspace. Check which key is in use.",
    ),
    409: (
        Category.SERVICE,
        "Glossi does not allow this in the present state.",
        "Look at it on Glossi's website, or try again later. {said}",
    ),
    413: (Category.LIMIT, "The file is larger than Glossi takes.", _MODEL_HINT),
    422: (Category.INPUT, "Glossi refused the request.", "{said}"),
}
_NOT_READY = re.compile(
    r"\b(?:not|isn.?t|aren.?t)\s+(?:yet\s+)?(?:ready|processed|finished|available)\b"
    r"|\b(?:still|being)\s+(?:being\s+)?(?:process|creat|prepar|pending|generat|set up)"
    r"|\bwait(?:ing)? (?:until|for)\b.{0,60}\bready\b",
    re.I,
)
#: Locked, Too Early: the status alone says that time helps
_EARLY = (423, 425)

explain_storage = presigned.explain_storage(
    "Glossi",
    "A new address is asked for. If this stays, check the clock of this computer.",
    _MODEL_HINT,
)
#: of finished files, whose addresses are asked for again only once
explain_files = presigned.explain_storage(
    "Glossi",
    "The addresses were asked for again, and did not work either. Retry later, or take the file "
    "from Glossi's website.",
)


def explain(error: HttpError) -> Problem | None:
    """Better words for an error answer of Glossi; None where the general ones do."""
    known = _WORDS.get(error.status or 0)
    if known is None:
        return None
    category, sentence, hint = known
    said = f"It says: {error.message}" if error.message else ""
    hint = " ".join(hint.replace("{said}", said).split())
    return Problem(category, sentence, hint or "Check the options.", error.problem.technical)


def error_text(answer: Mapping[str, Any]) -> str:
    """Why a job, a model or a render failed: one bounded line, "" if nothing is said.

    ``error`` is a text or an object with ``message`` (its type is not documented);
    ``errorMessage``, ``message`` and ``errors[0]`` are read too.
    """
    errors = answer.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    for value in (answer.get("error"), answer.get("errorMessage"), answer.get("message"), first):
        if text := _text(value):
            return text
    return ""


def _text(value: Any, depth: int = 0) -> str:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list) and depth < 3:
        return next((text for item in value if (text := _text(item, depth + 1))), "")
    if isinstance(value, Mapping) and depth < 3:
        names = ("message", "errorMessage", "error", "detail", "description", "name", "code")
        return next((text for name in names if (text := _text(value.get(name), depth + 1))), "")
    return ""


def not_ready(refusal: Refused) -> bool:
    """True for a clear "not ready yet" or "still processing": the same call may work later.

    Whether a new project can be rendered at once is not documented. Anything else is a real no.
    """
    if refusal.status in _EARLY:
        return True
    if refusal.status not in (400, 409, 422):
        return False
    said = refusal.problem.technical
    return bool(_NOT_READY.search(said)) and "already" not in said.lower()
