# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that a service gave, made into relative paths that stay in their folder.

Names keep their letters; only what some system could not take is changed.
"""

from __future__ import annotations

import re

from .archive import kept_name
from .problems import ProblemError

_LONGEST_NAME = 200  # bytes
_DEEPEST = 8
_DRIVE = re.compile(r"[A-Za-z]:")


def safe_parts(text: str) -> list[str]:
    """A path from outside as parts that stay in their folder; names keep their letters.

    Absolute paths become relative, ``..`` and drives are dropped, reserved names are changed.
    """
    parts = []
    for part in re.split(r"[\\/]+", text):
        name = _DRIVE.sub("", part, count=1) if _DRIVE.match(part) else part
        name = name.rstrip(" .")
        if name:
            parts.append(_safe_name(name))
    return parts[-_DEEPEST:]


def _safe_name(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    if len(suffix) > 12 or not stem:
        stem, dot, suffix = name, "", ""
    while len(f"{stem}{dot}{suffix}".encode("utf-8", "replace")) > _LONGEST_NAME:
        stem = stem[:-1]  # the end of a very long name is where its number may be: see below
    try:
        return kept_name(f"{stem}{dot}{suffix}")
    except ProblemError:
        return "file"
