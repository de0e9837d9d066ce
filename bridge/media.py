# SPDX-License-Identifier: GPL-3.0-or-later
"""Is this picture, video or archive whole? Looked at closely enough to know, and no closer.

A download can have the announced size and still be half a file, or an error page under a picture's
name. So each format is followed to its own end: checksums and the inflated size of a PNG, every
chunk of an OpenEXR file (single, multi-part, deep, tiled), every strip of a TIFF, the boxes of a
video. Pixels are not judged. The standard library alone; memory stays small for large files, and a
hostile file cannot make it loop.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .problems import Canceled, Category, ProblemError
from .redact import technical


@dataclass(frozen=True)
class MediaFacts:
    """What a file is: ``kind`` ("png", "exr", "mp4", …; "" if unknown), and its size in pixels.

    ``width`` and ``height`` are 0 where the format does not tell, ``frames`` (of a video) is None.
    """

    kind: str
    width: int = 0
    height: int = 0
    frames: int | None = None


class Damaged(Exception):
    """The file is not whole; the text says where that shows. For the checkers, see ``check_media``.

    ``foreign`` means that it is not of the kind that its name says at all.
    """

    def __init__(self, detail: str, *, foreign: bool = False) -> None:
        super().__init__(detail)
        self.foreign = foreign


class Source:
    """A file's bytes by their place; whoever asks beyond its end hears ``Damaged``."""

    def __init__(self, path: Path, cancelled: Callable[[], bool] | None = None) -> None:
        self._file = path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size
        self._cancelled = cancelled or (lambda: False)

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._file.close()

    def at(self, offset: int, count: int) -> bytes:
        """Exactly ``count`` bytes from ``offset``."""
        if self._cancelled():
            raise Canceled
        self.need(offset, count)
        self._file.seek(offset)
        data = self._file.read(count)
        if len(data) != count:
            raise Damaged(f"{len(data)} of {count} bytes at {offset}")
        return data

    def need(self, offset: int, count: int) -> None:
        """Say ``Damaged`` unless that many bytes are there."""
        if offset < 0 or count < 0 or offset + count > self.size:
            raise Damaged(f"needs bytes {offset} to {offset + count}, has {self.size}")

    def start(self, count: int) -> bytes:
        """The first bytes, fewer if there are fewer."""
        return self.at(0, min(count, self.size))


Checker = Callable[[Source], MediaFacts]


def check_media(
    path: Path, *, name: str = "", cancelled: Callable[[], bool] | None = None
) -> MediaFacts:
    """Follow the file to its end; what it is.

    The kind goes by the suffix of ``name`` (default: the file's own); a suffix that is not known is
    only required to hold something. Raises ProblemError(SERVICE) for a file that is cut short,
    damaged or not what its name says, ProblemError(DISK) when it cannot be read, Canceled.
    """
    shown = name or path.name
    suffix = os.path.splitext(shown)[1].lower()
    checker, words = _checker(suffix)
    try:
        with Source(path, cancelled) as source:
            if source.size == 0:
                raise Damaged("empty")
            return checker(source) if checker is not None else MediaFacts("")
    except Damaged as damage:
        raise _problem(shown, words, damage, path) from None
    except (ValueError, LookupError, ArithmeticError, struct.error) as error:
        raise _problem(shown, words, Damaged(type(error).__name__), path) from None
    except OSError as error:
        raise ProblemError(
            Category.DISK,
            f"“{shown}” cannot be read.",
            "Check that the file is still there and that you may read it.",
            technical(type(error).__name__, error.strerror),
        ) from None


def _checker(suffix: str) -> tuple[Checker | None, str]:
    from . import media_exr, media_movie, media_still, media_tiff

    table: dict[str, tuple[Checker, str]] = {
        ".png": (media_still.png, "a PNG image"),
        ".jpg": (media_still.jpeg, "a JPEG image"),
        ".jpeg": (media_still.jpeg, "a JPEG image"),
        ".jp2": (media_still.jpeg2000, "a JPEG 2000 image"),
        ".j2c": (media_still.jpeg2000, "a JPEG 2000 image"),
        ".j2k": (media_still.jpeg2000, "a JPEG 2000 image"),
        ".bmp": (media_still.bmp, "a BMP image"),
        ".tga": (media_still.tga, "a Targa image"),
        ".hdr": (media_still.radiance, "a Radiance HDR image"),
        ".webp": (media_still.webp, "a WebP image"),
        ".dpx": (media_still.dpx, "a DPX image"),
        ".cin": (media_still.cineon, "a Cineon image"),
        ".rgb": (media_still.iris, "an Iris image"),
        ".sgi": (media_still.iris, "an Iris image"),
        ".exr": (media_exr.exr, "an OpenEXR image"),
        ".tif": (media_tiff.tiff, "a TIFF image"),
        ".tiff": (media_tiff.tiff, "a TIFF image"),
        ".mp4": (media_movie.boxes, "an MP4 video"),
        ".m4v": (media_movie.boxes, "an MP4 video"),
        ".mov": (media_movie.boxes, "a QuickTime video"),
        ".mkv": (media_movie.matroska, "a Matroska video"),
        ".webm": (media_movie.matroska, "a WebM video"),
        ".avi": (media_movie.avi, "an AVI video"),
        ".zip": (media_movie.archive, "a ZIP archive"),
    }
    checker, words = table.get(suffix, (None, "a file"))
    return checker, words


def _problem(shown: str, words: str, damage: Damaged, path: Path) -> ProblemError:
    if damage.foreign:
        return ProblemError(
            Category.SERVICE,
            f"“{shown}” is not {words}.",
            "Download it again. If it stays, tell the service.",
            technical(damage, f"begins {_beginning(path)}"),
        )
    return ProblemError(
        Category.SERVICE,
        f"“{shown}” is not whole.",
        "Download it again. If it stays, tell the service.",
        technical(damage),
    )


def _beginning(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return repr(file.read(16))
    except OSError:
        return "?"
