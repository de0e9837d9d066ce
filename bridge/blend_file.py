# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads from a .blend's first bytes which Blender wrote it, without Blender.

An older Blender must not open a newer file: it may drop what it does not know. Standard library,
plus ``zstandard`` where present (Blender bundles it). It never reads more than a few kilobytes.

Facts: up to Blender 4.x the header has 12 bytes: ``BLENDER``, pointer size, byte order, three
digits of version (``402`` is 4.2). From 5.0 it has 17: ``BLENDER``, its own length ``17``, ``-``,
format version ``01``, byte order, four digits (``0502`` is 5.2). A compressed file is one zstd
stream (since 3.0) or gzip (before).
"""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from .problems import Category, ProblemError

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
GZIP_MAGIC = b"\x1f\x8b"
_ENOUGH = 64
_OLD = re.compile(rb"BLENDER[_-][vV](\d)(\d\d)")
_NEW = re.compile(rb"BLENDER\d\d-\d\d[vV](\d\d)(\d\d)")


def _unzstd(path: Path) -> bytes | None:
    """The first bytes of a zstd file; None where this Python cannot read zstd."""
    try:
        import zstandard
    except ImportError:
        try:
            from compression import zstd  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            return None
        with zstd.open(path, "rb") as stream:
            return bytes(stream.read(_ENOUGH))
    with (
        open(path, "rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as reader,
    ):
        return bytes(reader.read(_ENOUGH))


def version(path: Path) -> tuple[int, int] | None:
    """``(major, minor)`` of the Blender that saved the file; None when this Python cannot tell.

    Raises ProblemError(INPUT) when the file cannot be read or is no .blend.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            head = file.read(_ENOUGH)
        if head.startswith(ZSTD_MAGIC):
            plain = _unzstd(path)
            if plain is None:
                return None
            head = plain
        elif head.startswith(GZIP_MAGIC):
            with gzip.open(path, "rb") as stream:
                head = stream.read(_ENOUGH)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        head = type(error).__name__.encode()
    except OSError as error:
        raise ProblemError(
            Category.INPUT,
            f"The file {path.name} cannot be read.",
            "Check that it exists and that you may read it.",
            f"{path}: {error.strerror or error}",
        ) from None
    except Exception as error:  # zstandard's own error class, which may not be importable here
        head = f"{type(error).__name__}: {error}".encode()
    if match := _OLD.match(head) or _NEW.match(head):
        return int(match[1]), int(match[2])
    raise ProblemError(
        Category.INPUT,
        f"The file {path.name} is not a Blender file.",
        "Choose a .blend file that Blender opens.",
        f"first bytes {head[:16]!r}",
    )


def require_not_newer(path: Path, program: tuple[int, ...]) -> None:
    """Raise ProblemError(BLENDER) when the file comes from a newer Blender than ``program``."""
    made_by = version(path)
    if made_by is not None and made_by > tuple(program[:2]):
        raise newer(Path(path).name, made_by, program)


def newer(name: str, made_by: tuple[int, ...], program: tuple[int, ...]) -> ProblemError:
    """The problem of a file that this Blender is too old for."""
    have = ".".join(str(part) for part in program)
    need = ".".join(str(part) for part in made_by[:2])
    return ProblemError(
        Category.BLENDER,
        f"{name} was saved with Blender {need}; the Blender that would open it here is {have}.",
        f"Set SCENE_COURIER_BLENDER to Blender {need} or newer.",
    )
