# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a .zip in one pass over each file, with flat memory, the same bytes each time.

Media that is compressed already is stored, the rest is deflated. Names are UTF-8, entries sorted,
times and modes fixed, nothing of the operating system is in it. Large files and archives use Zip64.
The archive has a temporary name until it is whole, and is gone when writing it fails. Knows nothing
of Blender and never changes what it reads.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from addon.recipes import places
from bridge.problems import Category, ProblemError

#: endings of formats that are compressed by themselves: deflating them costs time and wins nothing
COMPRESSED = frozenset([
    ".png", ".jpg", ".jpeg", ".jp2", ".j2c", ".webp", ".avif", ".heic", ".exr", ".gif",
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ogv", ".flv", ".wmv",
    ".mxf", ".m2ts", ".mp3", ".ogg", ".oga", ".opus", ".flac", ".m4a", ".aac", ".wma",
    ".vdb", ".abc", ".usdz", ".zip", ".gz", ".xz", ".zst", ".bz2", ".7z", ".npz", ".woff",
    ".woff2", ".uni", ".glb",
])  # fmt: skip
LEVEL = 3
_BLOCK = 1024 * 1024
_PROBE = 64 * 1024
#: what deflating must at least save in the first bytes of a file of unknown kind
_WORTH = 0.95
_NO_ROOM = {errno.ENOSPC, errno.EFBIG} | ({errno.EDQUOT} if hasattr(errno, "EDQUOT") else set())
#: local header, central directory, Zip64 fields: for each entry, beside its name (twice)
_OVERHEAD = 160

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Entry:
    """One file: its name in the archive (``/`` between folders), where it lies, its bytes."""

    name: str
    source: str
    bytes: int


@dataclass(frozen=True)
class Written:
    """What came of it: the archive's bytes, its files, and how many of them were deflated."""

    bytes: int
    files: int
    deflated: int


def is_compressed(path: str | os.PathLike[str]) -> bool:
    """Whether a file's ending says that deflating it wins nothing. A .blend's does not say."""
    return os.path.splitext(os.fspath(path))[1].lower() in COMPRESSED


def bound(entries: Iterable[Entry]) -> int:
    """Bytes that the archive has at most."""
    return 22 + 98 + sum(
        entry.bytes + entry.bytes // 1000 + 2 * len(entry.name.encode()) + _OVERHEAD
        for entry in entries
    )  # fmt: skip


def write(
    output: Path,
    entries: Iterable[Entry],
    *,
    max_bytes: int | None = None,
    report: Report = lambda done, total: None,
) -> Written:
    """Write the archive ``output``; ``report(done, total)`` is told of the bytes read.

    Names must be unique. A file must have the bytes that its entry says: one that is being written
    meanwhile would arrive broken. Raises ProblemError: INPUT (a file changed or is gone), LIMIT
    (more than ``max_bytes``), DISK; then neither ``output`` nor a part of it is left behind.
    """
    chosen = sorted(entries, key=lambda entry: entry.name.encode())
    names = {entry.name for entry in chosen}
    if len(names) != len(chosen):
        raise ValueError("two entries have the same name")
    total = sum(entry.bytes for entry in chosen)
    temporary = output.with_name(output.name + ".part")
    done = deflated = 0
    try:
        with (
            _disk_problems(output),
            open(temporary, "wb") as target,
            zipfile.ZipFile(target, "w", allowZip64=True, compresslevel=LEVEL) as archive,
        ):
            buffer = memoryview(bytearray(_BLOCK))
            for entry in chosen:
                deflated += _add(archive, entry, buffer, lambda n: report(done + n, total))  # noqa: B023
                done += entry.bytes
                if max_bytes is not None and target.tell() > max_bytes:
                    raise _too_large(target.tell(), max_bytes)
                report(done, total)
        with _disk_problems(output):
            size = temporary.stat().st_size
            if max_bytes is not None and size > max_bytes:
                raise _too_large(size, max_bytes)
            os.replace(temporary, output)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return Written(size, len(chosen), deflated)


def _add(
    archive: zipfile.ZipFile, entry: Entry, buffer: memoryview, report: Callable[[int], None]
) -> bool:
    """Add one file; returns whether it was deflated."""
    with _opened(entry) as source:
        store = is_compressed(entry.name) or not _worth_deflating(source, entry)
        info = zipfile.ZipInfo(entry.name, (1980, 1, 1, 0, 0, 0))
        info.create_system = 3
        info.external_attr = (stat.S_IFREG | 0o644) << 16
        info.compress_type = zipfile.ZIP_STORED if store else zipfile.ZIP_DEFLATED
        # Public only from Python 3.13 on, by another name that is an alias of this one.
        info._compresslevel = LEVEL  # type: ignore[attr-defined, unused-ignore]
        info.file_size = entry.bytes
        done = 0
        with archive.open(info, "w") as target:
            while True:
                try:
                    count = source.readinto(buffer)
                except OSError as error:
                    raise _unreadable(entry, error.strerror or str(error)) from None
                if not count:
                    break
                done += count
                if done > entry.bytes:
                    break
                target.write(buffer[:count])
                report(done)
    if done != entry.bytes:
        raise _unreadable(entry, f"{entry.bytes} bytes at first, then {done}")
    return not store


@contextlib.contextmanager
def _opened(entry: Entry) -> Iterator[FileIO]:
    try:
        source = FileIO(places.extended(entry.source), "rb")
    except OSError as error:
        raise _unreadable(entry, error.strerror or str(error)) from None
    with source:
        yield source


def _worth_deflating(source: FileIO, entry: Entry) -> bool:
    """Judge a file of unknown kind by its first bytes; leaves it at its start."""
    if entry.bytes < 128:
        return False
    try:
        head = source.read(_PROBE) or b""
        source.seek(0)
    except OSError as error:
        raise _unreadable(entry, error.strerror or str(error)) from None
    return len(zlib.compress(head, 1)) < _WORTH * len(head)


@contextlib.contextmanager
def _disk_problems(output: Path) -> Iterator[None]:
    """Tell an artist why the archive could not be written."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise ProblemError(
                Category.DISK,
                "The disk became full while the package was written.",
                "Free some space, then retry the job.",
                f"{output}: {error.strerror}",
            ) from error
        raise ProblemError(
            Category.DISK,
            "The package could not be written.",
            "Check that you may write to the folder, then retry.",
            f"{output}: {error.strerror or error}",
        ) from error


def _too_large(size: int, limit: int) -> ProblemError:
    return ProblemError(
        Category.LIMIT,
        f"The package is larger than the {limit / 1024**3:.3g} GiB that the service takes.",
        "Send fewer frames, or remove files that the scene does not need.",
        f"{size} bytes written, the limit is {limit}",
    )


def _unreadable(entry: Entry, why: str) -> ProblemError:
    return ProblemError(
        Category.INPUT,
        f"The file {os.path.basename(entry.source)} changed or could not be read while the scene "
        "was packed.",
        "Wait until nothing writes to it any more, then retry the job.",
        f"{entry.source}: {why}",
    )
