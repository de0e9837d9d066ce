# SPDX-License-Identifier: GPL-3.0-or-later
"""From an upload to the scene's folder: a .blend as it is, a .zip unpacked with care.

An archive has exactly one .blend at its top (libraries may lie below) and no member that could
leave its folder. Members are written under checked names with counted bytes; ``extractall`` is
never used. Large archives are everyday here, so the limits are wide; what deflates to far more than
it weighs is refused all the same.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from ..problems import Canceled, Category, ProblemError

MAX_MEMBERS = 500_000
MAX_UNPACKED = 64 << 30
_MAX_RATIO = 300
_RATIO_FROM = 1 << 30
_PIECE = 1 << 20


def prepare(
    upload: Path, kind: str, name: str, folder: Path, cancelled: Callable[[], bool], *, keep: bool
) -> Path:
    """Put the upload's scene into ``folder``; the path of its .blend.

    ``kind`` is "blend" or "zip", ``name`` the file's own. With ``keep`` the upload stays where it
    is. A folder that is complete already is used as it is. Raises ProblemError(INPUT), Canceled.
    """
    if not folder.is_dir():
        temporary = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        if kind == "zip":
            _unpack(upload, temporary, cancelled)
        elif keep:
            shutil.copyfile(upload, temporary / _plain(name))
        else:
            os.replace(upload, temporary / _plain(name))
        os.replace(temporary, folder)
        if not keep:
            upload.unlink(missing_ok=True)
    blends = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".blend" and path.is_file() and not path.name.startswith("._")
    ]
    if len(blends) != 1:
        raise _wrong(
            "There is no .blend at the top of the archive."
            if not blends
            else "There is more than one .blend at the top of the archive.",
            ", ".join(sorted(path.name for path in blends)),
        )
    return blends[0]


def _wrong(sentence: str, technical: str = "") -> ProblemError:
    return ProblemError(
        Category.INPUT,
        sentence,
        "Pack the scene again: one .blend at the top, everything else below it.",
        technical,
    )


def _plain(name: str) -> str:
    """A client's file name as a name on this disk."""
    stem = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", name.removesuffix(".blend")).strip(". ")
    return f"{stem.encode()[:200].decode(errors='ignore') or 'scene'}.blend"


def _unpack(path: Path, folder: Path, cancelled: Callable[[], bool]) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = _checked(archive)
            room = min(MAX_UNPACKED, shutil.disk_usage(folder).free)
            if sum(member.file_size for member in members) > room:
                raise _wrong("The archive is too large when it is unpacked.")
            for member in members:
                _write(archive, member, folder / member.filename, cancelled)
    except (
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError,
    ) as error:  # fmt: skip
        raise _wrong("The archive cannot be read.", f"{type(error).__name__}: {error}") from None


def _write(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    target: Path,
    cancelled: Callable[[], bool],
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    try:
        with archive.open(member) as source, open(target, "xb", buffering=0) as sink:
            while piece := source.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise _wrong("The archive is too large when it is unpacked.", member.filename)
                if cancelled():
                    raise Canceled()
                view = memoryview(piece)
                while view:
                    view = view[sink.write(view) :]
    except FileExistsError:
        raise _wrong("The archive contains the same path twice.", member.filename) from None


def _checked(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files of an archive, without folders and what macOS adds. Raises ProblemError."""
    members: list[zipfile.ZipInfo] = []
    total = 0
    for member in archive.infolist():
        name = member.filename
        parts = PurePosixPath(name).parts
        if (
            name.startswith("/")
            or ".." in parts
            or re.search(r"[\x00-\x1f\\:]", name)
            or stat.S_ISLNK(member.external_attr >> 16)
        ):
            raise _wrong("The archive contains an unsafe path.", name[:200])
        if member.flag_bits & 1:
            raise _wrong("The archive is encrypted.", name[:200])
        if member.is_dir() or "__MACOSX" in parts or parts[-1] in (".DS_Store", "Thumbs.db"):
            continue
        total += member.file_size
        members.append(member)
        ratio = member.file_size > _MAX_RATIO * max(1, member.compress_size)
        if (ratio and total > _RATIO_FROM) or len(members) > MAX_MEMBERS:
            raise _wrong("The archive is too large when it is unpacked.", name[:200])
    return members
