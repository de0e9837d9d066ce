# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie on this computer, and names that every file system takes.

The data folder is one per user, outside the add-on (an update replaces that) and outside Blender's
per-version folders (4.2 and 5.2 share their jobs).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import unicodedata
from pathlib import Path

from .problems import Category, ProblemError

_RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"com{n}" for n in range(10)),
    *(f"lpt{n}" for n in range(10)),
}


def data_home() -> Path:
    """The data folder: ``SCENE_COURIER_HOME``, else the user's data directory for this system."""
    named = os.environ.get("SCENE_COURIER_HOME", "").strip()
    if named:
        return Path(named).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("scene-courier", appauthor=False, roaming=False))


def ensure_home(home: Path) -> Path:
    """Make the data folder, readable by this user only; ProblemError(DISK) when that fails."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for part in ("jobs", "runtime", "sandbox"):
            (home / part).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ProblemError(
            Category.DISK,
            "The data folder of Scene Courier cannot be used.",
            f"Make “{home}” writable, or set SCENE_COURIER_HOME to another folder.",
            f"{home}: {error.strerror or error}",
        ) from None
    return home


def job_folder(home: Path, job_id: str) -> Path:
    """The job's folder: everything that was sent and what came back."""
    return home / "jobs" / job_id


def safe_name(text: str, fallback: str = "asset", limit: int = 80) -> str:
    """A file name that Windows, macOS and Linux all take; keeps letters of any script and emoji.

    Normalised to NFC; separators, control characters and Windows' forbidden ones become "_".
    """
    name = unicodedata.normalize("NFC", text)
    name = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]+', "_", name)
    name = "".join(
        c for c in name if unicodedata.category(c) not in ("Cc", "Cs", "Cf") or c == "\u200d"
    )
    name = re.sub(r"\s+", " ", name).strip(" ._")
    while len(name.encode("utf-8")) > limit:
        name = name[:-1]
    name = name.rstrip(" .")
    if not name or name.split(".")[0].lower() in _RESERVED:
        name = f"{fallback}_{name}" if name else fallback
    return name


def ascii_slug(text: str, fallback: str = "asset", limit: int = 60) -> str:
    """A plain ASCII name (letters, digits, ``-`` and ``_``) for uploads and USD prims."""
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9]+", "_", folded).strip("_")[:limit].strip("_")
    return slug or fallback


def free_space(folder: Path) -> int:
    """Free bytes where ``folder`` is (or will be)."""
    probe = folder
    while not probe.exists() and probe != probe.parent:
        probe = probe.parent
    return shutil.disk_usage(probe).free


def require_space(folder: Path, needed: int, what: str) -> None:
    """ProblemError(DISK) when fewer than ``needed`` bytes are free; ``what`` completes "to …"."""
    free = free_space(folder)
    if free < needed:
        raise ProblemError(
            Category.DISK,
            f"There is too little disk space to {what}.",
            f"Free at least {readable_bytes(needed - free)} on the disk of “{folder}”.",
            f"needed {needed} bytes, free {free} bytes",
        )


def writable(folder: Path) -> bool:
    """True when a file can really be made in ``folder`` (made with its parents if missing)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def readable_bytes(count: float) -> str:
    """1500 -> "1.5 KB". Decimal, as the services state their limits: 1 KB is 1000 bytes."""
    size = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")


def private_write(path: Path, text: str) -> None:
    """Write a file that only this user may read (0600), atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
