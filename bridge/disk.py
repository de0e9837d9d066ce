# SPDX-License-Identifier: GPL-3.0-or-later
"""What a disk says when it refuses, in an artist's words; and making a rename durable."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from .problems import Category, ProblemError
from .redact import technical

_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def no_room(error: OSError) -> bool:
    """True when the disk, or this user's share of it, is full."""
    return error.errno in _NO_ROOM


def disk_problem(error: OSError, path: Path) -> ProblemError:
    """An OSError while writing ``path``, as ProblemError(DISK)."""
    if no_room(error):
        return ProblemError(
            Category.DISK,
            "The disk is full.",
            f"Free some space on the disk of “{path.parent.name}”, then try again.",
            technical(error.strerror, path.name),
        )
    return ProblemError(
        Category.DISK,
        f"“{path.name}” cannot be written.",
        "Check that the folder is still there and that you may write to it.",
        technical(type(error).__name__, error.strerror),
    )


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable where the system knows how (not on Windows)."""
    if os.name != "posix":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
