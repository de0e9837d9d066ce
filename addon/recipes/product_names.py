# SPDX-License-Identifier: GPL-3.0-or-later
"""File names for products: plain ASCII, never the same twice, good on every system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_LONGEST = 60
_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L",
     "đ": "d", "Đ": "D", "ı": "i", "þ": "th", "Þ": "Th"}
)  # fmt: skip
# Windows keeps these for devices, whatever comes after a dot.
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


def file_names(names: Iterable[str], suffix: str = ".glb") -> list[str]:
    """A file name for each product's name, in the same order.

    Only letters, digits and ``_``; two that differ in capitals alone would be one file on Windows
    and macOS, so they get different numbers.
    """
    taken: set[str] = set()
    made = []
    for name in names:
        stem = base = _plain(name)
        number = 2
        while stem.lower() in taken:
            stem, number = f"{base}-{number}", number + 1
        taken.add(stem.lower())
        made.append(stem + suffix)
    return made


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    text = re.sub(r"[^A-Za-z0-9]+", "_", folded.encode("ascii", "ignore").decode()).strip("_")
    text = text[:_LONGEST].strip("_")
    if not text or _RESERVED.fullmatch(text):
        return f"product_{text}".strip("_")
    return text
