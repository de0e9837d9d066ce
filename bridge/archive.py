# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacks a ZIP that a service sent, trusting none of its names and sizes.

Every member is checked before the first byte is written: no path that leaves the folder, no link,
no name that another system would read differently, no two names that are one on a disk that folds
case or Unicode forms, no bomb. It is unpacked into a fresh folder beside the target and renamed.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import unicodedata
import uuid
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from .disk import disk_problem
from .paths import require_space
from .problems import Canceled, Category, ProblemError
from .redact import technical

_COPY = 1024 * 1024
_DEEPEST = 24
_RESERVED = {
    *("con", "prn", "aux", "nul", "conin$", "conout$"),
    *(f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"),
}


@dataclass(frozen=True)
class Limits:
    """What an archive may hold; the ratio counts only for members above 1 MB."""

    total_bytes: int = 20 * 1024**3
    member_bytes: int = 10 * 1024**3
    members: int = 20_000
    ratio: float = 250.0


def extract_zip(
    archive: Path,
    folder: Path,
    *,
    limits: Limits | None = None,
    max_bytes: int | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Path]:
    """Unpack ``archive`` as ``folder``, which must not exist or be empty; returns the files.

    ``max_bytes`` bounds the unpacked total (shorthand for ``Limits(total_bytes=…)``).
    Names keep their letters; what a file system could refuse is replaced. Raises
    ProblemError(SERVICE) for a damaged or unsafe archive, ProblemError(DISK), Canceled.
    """
    bounds = limits or Limits()
    if max_bytes is not None:
        bounds = replace(bounds, total_bytes=max_bytes)
    stop = cancelled or (lambda: False)
    try:
        with zipfile.ZipFile(archive) as opened:
            plan = _plan(opened, bounds)
            total = sum(info.file_size for info, _parts in plan)
            require_space(folder.parent, total + 16 * 1024**2, "unpack the result")
            return _unpack(opened, plan, folder, bounds, stop)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # RuntimeError and NotImplementedError: encrypted, or packed by an unknown method
        raise _bad("The result is damaged.", type(error).__name__, error) from None
    except OSError as error:
        raise disk_problem(error, folder) from None


def _bad(sentence: str, *detail: object) -> ProblemError:
    return ProblemError(
        Category.SERVICE,
        sentence,
        "Download it again. If it stays, tell the service.",
        technical(*detail),
    )


def _unsafe(name: str, why: str) -> ProblemError:
    return _bad("The result holds a file that is not safe to unpack.", why, repr(name[:120]))


def _plan(opened: zipfile.ZipFile, limits: Limits) -> list[tuple[zipfile.ZipInfo, tuple[str, ...]]]:
    """The files to write and their checked path parts."""
    infos = opened.infolist()
    if len(infos) > limits.members:
        raise _bad("The result holds too many files.", f"{len(infos)} members")
    plan: list[tuple[zipfile.ZipInfo, tuple[str, ...]]] = []
    seen: dict[str, tuple[bool, str]] = {}  # folded path -> (is a folder, as it is spelled)
    total = 0
    for info in infos:
        parts = _parts(info)
        for depth in range(1, len(parts) + 1):
            whole = depth == len(parts)
            folder = info.is_dir() or not whole
            key = "/".join(folded(part) for part in parts[:depth])
            this = (folder, "/".join(parts[:depth]))
            if key in seen and not (folder and seen[key] == this):
                raise _unsafe(info.filename, "two members with one name")
            seen[key] = this
        if info.is_dir():
            continue
        total += info.file_size
        if info.file_size > limits.member_bytes or total > limits.total_bytes:
            raise _bad("The result is too large to unpack.", f"{total} bytes or more")
        if info.file_size > 1_000_000 and info.file_size > limits.ratio * info.compress_size:
            raise _unsafe(info.filename, "packed suspiciously tight")
        plan.append((info, parts))
    if not plan:
        raise _bad("The result is empty.", "no files in the archive")
    return plan


def _parts(info: zipfile.ZipInfo) -> tuple[str, ...]:
    # zipfile cuts names at a NUL and turns os.sep into "/"; look at what the archive really says.
    raw = getattr(info, "orig_filename", info.filename)
    if "\x00" in raw or "\\" in raw:
        raise _unsafe(raw, "NUL or backslash in a name")
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if kind and kind not in (stat.S_IFREG, stat.S_IFDIR):
        raise _unsafe(raw, "a link or a device")
    if info.flag_bits & 0x1:
        raise _unsafe(raw, "encrypted")
    if raw.startswith("/"):
        raise _unsafe(raw, "absolute path")
    names = [part for part in raw.split("/") if part not in ("", ".")]
    if not names or len(names) > _DEEPEST:
        raise _unsafe(raw, "no name, or too deep")
    for name in names:
        if name == "..":
            raise _unsafe(raw, "leaves its folder")
        if len(name) > 1 and name[1] == ":" and name[0].isalpha():
            raise _unsafe(raw, "drive letter")
    return tuple(kept_name(name) for name in names)


def kept_name(name: str) -> str:
    """A file's name as it is, unless some system could not take it.

    A USD file refers to its textures by name, so nothing is tidied without need.
    """
    out = re.sub(r'[<>:"|?*\x00-\x1f\x7f]', "_", name)
    out = "".join("_" if unicodedata.category(c) == "Cs" else c for c in out)
    out = re.sub(r"[ .]+$", lambda end: "_" * len(end[0]), out)
    if out.split(".")[0].rstrip().lower() in _RESERVED:
        out = f"_{out}"
    if len(out.encode()) > 240:
        raise _unsafe(name, "name too long")
    return out


def folded(name: str) -> str:
    """What two names have in common on a disk that folds case and Unicode forms."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())


def _unpack(
    opened: zipfile.ZipFile,
    plan: list[tuple[zipfile.ZipInfo, tuple[str, ...]]],
    folder: Path,
    limits: Limits,
    stop: Callable[[], bool],
) -> list[Path]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.parent / f".{folder.name[:40]}.{uuid.uuid4().hex[:12]}"
    fresh.mkdir()
    try:
        written = 0
        for info, parts in plan:
            path = fresh.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(info) as source, path.open("xb") as target:
                while piece := source.read(_COPY):  # zipfile checks the CRC at the end
                    if stop():
                        raise Canceled
                    written += len(piece)
                    if written > limits.total_bytes:
                        raise _bad("The result is too large to unpack.", f"{written} bytes")
                    target.write(piece)
                if target.tell() != info.file_size:
                    raise _bad("The result is damaged.", "a member is shorter than announced")
        if folder.exists():
            folder.rmdir()  # only an empty one: nothing of the artist's is replaced
        os.replace(fresh, folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return [folder.joinpath(*parts) for _info, parts in plan]
