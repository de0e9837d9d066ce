# SPDX-License-Identifier: GPL-3.0-or-later
"""What Renderjuice's object storage takes: which files, with which content type, how large."""

from __future__ import annotations

from pathlib import Path

from . import signed
from .wire import Request

#: a file must be smaller than this (Renderjuice docs, Create upload target)
MAX_UPLOAD = 5 << 30
CONTENT_TYPES = {"blend": "application/octet-stream", "zip": "application/zip"}


def receive(request: Request, kind: str, headers: tuple[str, ...], target: Path, limit: int) -> int:
    """Take an upload (``kind`` "blend" or "zip"; ``headers`` were signed); see ``signed``."""
    wanted = CONTENT_TYPES[kind] if "content-type" in headers else ""
    return signed.receive(request, wanted, target, limit)
