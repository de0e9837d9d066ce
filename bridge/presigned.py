# SPDX-License-Identifier: GPL-3.0-or-later
"""What the storage behind a presigned address answers, in an artist's words.

Such a storage speaks XML, knows no API key, and says with a 403 that an address has expired. The
service's own errors are explained beside its client.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .faults import HttpError
from .problems import Category, Problem

_AGAIN = "It is tried again by itself."


def explain_storage(
    service: str, renewed: str, smaller: str = "Send less at once, or use smaller textures."
) -> Callable[[HttpError], Problem | None]:
    """``Http``'s ``explain`` for the storage of ``service``.

    ``renewed`` is the hint for an address that does not work any more, ``smaller`` the one for a
    file that is too large.
    """

    def explain(error: HttpError) -> Problem | None:
        def words(sentence: str, hint: str, category: Category = Category.SERVICE) -> Problem:
            return Problem(category, sentence, hint, error.problem.technical)

        status = error.status or 0
        if status in (401, 403, 410) or is_expired(error):
            return words(f"{service}'s storage does not accept the address any more.", renewed)
        if status == 404:
            return words(
                f"A file is not in {service}'s storage.",
                f"It may have been deleted. Look at the job on {service}'s website.",
            )
        if status == 413 or storage_code(error) == "EntityTooLarge":
            return words(
                f"The file is larger than {service}'s storage takes.", smaller, Category.LIMIT
            )
        if error.transient or status >= 500 or status == 429:
            return words(f"{service}'s storage is not available at the moment.", _AGAIN)
        return words(
            f"{service}'s storage refused the transfer.",
            f"Try again. If it stays, tell {service}.",
        )

    return explain


def storage_code(error: HttpError) -> str:
    """The code of an object store's XML error ("AccessDenied"); "" if there is none."""
    code = error.body.get("code") if isinstance(error.body, dict) else None
    return code if isinstance(code, str) else ""


def is_expired(error: HttpError) -> bool:
    """True when the storage itself says that the address, or its token, has expired."""
    if error.status not in (400, 401, 403, 410):
        return False
    said = f"{storage_code(error)} {error.message}"
    return bool(re.search(r"expired|specified time frame", said, re.I))
