# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure functions on paths as scenes store them: any platform's paths, on any platform.

Nothing here touches the disk or Blender; `windows` says whose rules hold where they differ. Blender
writes a path relative to a .blend with a leading ``//``; a Windows share starts with ``\\\\``.
"""

from __future__ import annotations

import ntpath
import os
import posixpath
import re
import unicodedata
from collections.abc import Container, Iterable
from types import ModuleType

HERE_WINDOWS = os.name == "nt"
LONGEST_WINDOWS = 260  # characters with the closing zero; longer ones need the \\?\ form
LONGEST_PART = 200  # bytes of one name in an archive: every file system takes 255, some lose a few

# st_file_attributes of Windows: offline, recall on open, recall on data access
_ELSEWHERE = 0x1000 | 0x40000 | 0x400000
_DATALESS = 0x40000000  # st_flags of macOS: the content is in the cloud

_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"}
_RESERVED |= {f"{name}{number}" for name in ("com", "lpt") for number in "123456789¹²³"}
_UNSAFE = re.compile(r'[<>:"|?*\\/\x00-\x1f\x7f]')
_NUMBER = re.compile(r"^(.*?)(\d+)(\D*)$", re.DOTALL)
_TILE = re.compile(r"<(?:UDIM|UVTILE)>")
LONE = re.compile(r"[\ud800-\udfff]")  # bytes of a name that are no valid text, on Linux


def _rules(windows: bool) -> ModuleType:
    return ntpath if windows else posixpath


def is_relative(value: str) -> bool:
    """Whether Blender reads a stored path as relative to its .blend."""
    return value.startswith("//")


def is_windows(path: str) -> bool:
    """Whether an absolute path is Windows' own: a drive letter or a share."""
    return bool(re.match(r"^[A-Za-z]:[\\/]", path)) or path.startswith("\\\\")


def is_share(path: str) -> bool:
    """Whether a path names a share of another computer (UNC), long form included."""
    return plain(path).startswith("\\\\")


def is_absolute(path: str) -> bool:
    """Whether a path is absolute on some platform; ``//`` is Blender's sign for relative."""
    return not is_relative(path) and (path.startswith("/") or is_windows(path))


def plain(path: str) -> str:
    """A Windows path without the long form's prefix: ``\\\\?\\C:\\x`` is ``C:\\x``."""
    if path.startswith("\\\\?\\UNC\\"):
        return "\\\\" + path[8:]
    return path[4:] if path.startswith("\\\\?\\") else path


def extended(path: str, windows: bool = HERE_WINDOWS) -> str:
    """The form of an absolute path with which Windows opens it however long it is."""
    if not windows or len(path) < LONGEST_WINDOWS - 12 or path.startswith("\\\\?\\"):
        return path  # folders have 12 characters less
    path = ntpath.normpath(path)
    return "\\\\?\\UNC\\" + path[2:] if path.startswith("\\\\") else "\\\\?\\" + path


def normal(path: str, windows: bool | None = None) -> str:
    """A path with single separators and without ``.`` and ``..``, by its own platform's rules.

    ``windows`` None: a drive letter or a share decides, else this computer's rules hold.
    """
    if windows is None:
        windows = is_windows(path) or HERE_WINDOWS
    if not path:
        return path
    if windows:
        return ntpath.normpath(plain(path))
    path = posixpath.normpath(path)
    return path[1:] if path.startswith("//") else path  # POSIX keeps two leading slashes


def resolve(value: str, folder: str, windows: bool | None = None) -> str:
    """A stored path made absolute and normal as Blender does, ``folder`` being the .blend's.

    Backslashes separate on every platform, since Blender reads them so. Windows paths stay what
    they are on other platforms (they are missing there). Without a folder (the .blend was never
    saved) a relative path stays relative.
    """
    if windows is None:
        windows = is_windows(value) or is_windows(folder) or (HERE_WINDOWS and folder[:1] != "/")
    if is_relative(value):
        rest = value[2:] if windows else value[2:].replace("\\", "/")
        rest = rest.lstrip("/\\") if folder else rest
        return normal(_rules(windows).join(folder, rest), windows)
    if is_windows(value):
        return normal(value, True)
    if not windows:
        value = value.replace("\\", "/")
    if windows and value[:1] in "/\\":  # on the .blend's own drive
        value = ntpath.splitdrive(folder)[0] + value
    elif not value.startswith("/") and value and folder:
        value = _rules(windows).join(folder, value)
    return normal(value, windows)


def key(path: str, windows: bool | None = None) -> str:
    """Two spellings of one place have the same key: Unicode forms; on Windows also case."""
    if windows is None:
        windows = is_windows(path) or HERE_WINDOWS
    text = unicodedata.normalize("NFC", normal(path, windows))
    return text.casefold() if windows else text


def fold(name: str) -> str:
    """A name without the differences that some file systems ignore: case and Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def same_form(one: str, other: str) -> bool:
    """Whether two names differ at most by their Unicode form."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def parts(path: str) -> list[str]:
    """An absolute path's parts: its root (``/``, ``C:\\``, ``\\\\server\\share\\``) and names."""
    if is_windows(path):
        path = normal(path, True)
        drive, rest = ntpath.splitdrive(path)
        return [drive + "\\", *[name for name in rest.split("\\") if name]]
    path = normal(path, False)
    return ["/", *[name for name in path.split("/") if name]]


def join(pieces: list[str]) -> str:
    """`parts`, put together again."""
    if is_windows(pieces[0]) or pieces[0].startswith("\\\\"):
        return pieces[0] + "\\".join(pieces[1:])
    return pieces[0] + "/".join(pieces[1:])


def name(path: str) -> str:
    """The last part of a path of any platform."""
    return parts(path)[-1] if is_windows(path) else posixpath.basename(path.rstrip("/"))


def common_root(folders: Iterable[str]) -> str | None:
    """The deepest folder that holds all of these folders; None on several drives or shares."""
    rows = [parts(folder) for folder in folders]
    if not rows:
        return None
    shared: list[str] = []
    for column in zip(*rows, strict=False):
        if len({key(piece, is_windows(rows[0][0])) for piece in column}) != 1:
            break
        shared.append(column[0])
    return join(shared) if shared else None


def within(path: str, folder: str) -> bool:
    """Whether a path is a folder or something in it."""
    windows = is_windows(path)
    one, other = parts(path), parts(folder)
    return windows == is_windows(folder) and [key(piece, windows) for piece in other] == [
        key(piece, windows) for piece in one[: len(other)]
    ]


def relative(path: str, folder: str) -> str | None:
    """A path as Blender stores it in a .blend of ``folder`` (``//../x``); None on another drive."""
    one, other = parts(path), parts(folder)
    windows = is_windows(path)
    if key(one[0], windows) != key(other[0], is_windows(folder)):
        return None
    count = 0
    for left, right in zip(one, other, strict=False):
        if key(left, windows) != key(right, windows):
            break
        count += 1
    return "//" + "/".join([".."] * (len(other) - count) + one[count:])


# Names in an archive


def safe_part(text: str) -> str:
    """One file or folder name that every platform can unpack; the same in NFC where it is safe."""
    text = unicodedata.normalize("NFC", LONE.sub("_", text))
    text = _UNSAFE.sub("_", text).rstrip(". ")
    if text.split(".")[0].rstrip().casefold() in _RESERVED:
        text = "_" + text
    stem, dot, extension = text.rpartition(".")
    if not stem or len(extension) > 16:
        stem, dot, extension = text, "", ""
    room = LONGEST_PART - len((dot + extension).encode())
    stem = stem.encode()[:room].decode("utf-8", "ignore")
    return stem + dot + extension or "_"


def archive_name(path: str) -> str:
    """A relative name for an absolute path of any platform, with slashes: the whole path mirrored.

    ``C:\\a\\b.png`` is ``C/a/b.png``, ``\\\\server\\share\\b.png`` is ``server/share/b.png``. Never
    absolute, never with ``..``.
    """
    root, *names = parts(path)
    roots = [piece.rstrip(":") for piece in re.split(r"[\\/]", root) if piece]
    return "/".join(safe_part(piece) for piece in [*roots, *names] if piece not in (".", ".."))


def distinct(wanted: str, taken: Container[str]) -> str:
    """``wanted``, or with a number before its extension what is not among the folded ``taken``."""
    if fold(wanted) not in taken:
        return wanted
    folder, slash, last = wanted.rpartition("/")
    stem, dot, extension = last.rpartition(".")
    if not stem:
        stem, dot, extension = last, "", ""
    number = 2
    while fold(made := f"{folder}{slash}{stem}-{number}{dot}{extension}") in taken:
        number += 1
    return made


# Sequences and tiles


def numbered(name: str) -> tuple[str, int, str] | None:
    """A file name as (head, count of digits, tail) around its frame number; None without one.

    The number is the last one before the extension, as Blender finds it: ``a2_0010.png`` is
    ("a2_", 4, ".png").
    """
    split = _split(name)
    return None if split is None else (split[0], len(split[1]), split[2])


def number(name: str) -> int | None:
    """The frame number in a file's name."""
    split = _split(name)
    return None if split is None else int(split[1])


def _split(name: str) -> tuple[str, str, str] | None:
    stem, dot, extension = name.rpartition(".")
    if not stem:
        stem, dot, extension = name, "", ""
    match = _NUMBER.match(stem)
    return None if match is None else (match[1], match[2], match[3] + dot + extension)


def sequence(name: str, pieces: tuple[str, int, str]) -> int | None:
    """The number of a file that belongs to a sequence of `numbered` pieces, else None.

    The number is padded with zeros to the digits of the sequence, and may be longer.
    """
    head, digits, tail = pieces
    if not (name.startswith(head) and name.endswith(tail)):
        return None
    middle = name[len(head) : len(name) - len(tail)]
    if not re.fullmatch(r"-?\d+", middle) or len(middle) < digits:
        return None
    return int(middle) if encode(pieces, int(middle)) == name else None


def encode(pieces: tuple[str, int, str], frame: int) -> str:
    """The file name of one frame of a sequence, as Blender builds it (C's ``%0*d``)."""
    head, digits, tail = pieces
    return f"{head}{frame:0{digits}d}{tail}"


def has_tiles(name: str) -> bool:
    """Whether a name stands for UDIM tiles."""
    return _TILE.search(name) is not None


def tile_name(name: str, tile: int) -> str:
    """The file name of one tile: ``<UDIM>`` is 1001…, ``<UVTILE>`` is u1_v1…"""
    uv = f"u{(tile - 1001) % 10 + 1}_v{(tile - 1001) // 10 + 1}"
    return name.replace("<UDIM>", f"{tile:04}").replace("<UVTILE>", uv)


def tile_number(name: str, pattern: str) -> int | None:
    """Which tile of a pattern a file is; None if it is none."""
    expression = re.escape(pattern)
    expression = expression.replace(re.escape("<UDIM>"), r"(?P<udim>\d{4})")
    expression = expression.replace(re.escape("<UVTILE>"), r"u(?P<u>\d+)_v(?P<v>\d+)")
    match = re.fullmatch(expression, name)
    if match is None:
        return None
    found = match.groupdict()
    if found.get("udim"):
        return int(found["udim"])
    return 1001 + (int(found["v"]) - 1) * 10 + int(found["u"]) - 1


# Clouds


def is_placeholder(size: int, attributes: int = 0, flags: int = 0) -> bool:
    """Whether a file's content is elsewhere: by Windows' attributes, macOS' flags, or zero bytes.

    ``attributes`` is ``st_file_attributes`` and ``flags`` is ``st_flags`` of its `os.stat`, 0 where
    a platform has none.
    """
    return size == 0 or bool(attributes & _ELSEWHERE) or bool(flags & _DATALESS)
