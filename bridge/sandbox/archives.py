# SPDX-License-Identifier: GPL-3.0-or-later
"""ZIP files in and out: an uploaded archive is checked, a result packed, or spoilt on demand.

An uploaded archive is checked before anything is charged: exactly one primary model, relative
references only, no member that could leave its folder, no bomb. Members are written under checked
names with counted bytes; ``extractall`` is never used.
"""

from __future__ import annotations

import json
import os
import re
import stat
import zipfile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

PRIMARY = (".obj", ".gltf", ".usd", ".usda")
MAX_MEMBERS = 10_000
MAX_UNPACKED = 2 << 30
_MAX_RATIO = 300
_RATIO_FROM = 64 << 20
_TEXT_LIMIT = 16 << 20
_PACKED = {".png", ".jpg", ".jpeg", ".webp", ".usd", ".usdc", ".zip"}
_EXACTLY_ONE = "Archive must contain exactly one .obj/.gltf/.usd file"


class ArchiveError(Exception):
    """The archive is refused; the text is the service's ``error``."""


def check_archive(path: Path) -> str:
    """Check an uploaded archive; the name of its primary model. Raises ArchiveError."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _safe_members(archive)
            primary = [
                member
                for member in members
                if PurePosixPath(member.filename).suffix.lower() in PRIMARY
            ]
            if len(primary) != 1:
                raise ArchiveError(_EXACTLY_ONE)
            for member in members:
                if member.filename.lower().endswith((".gltf", ".obj", ".mtl", ".usda")):
                    _check_references(archive, member)
            return primary[0].filename
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError):
        raise ArchiveError("Archive cannot be read") from None


def unpack(path: Path, folder: Path) -> None:
    """Write the members of a checked archive below ``folder``. Raises ArchiveError."""
    left = MAX_UNPACKED
    try:
        with zipfile.ZipFile(path) as archive:
            for member in _safe_members(archive):
                target = folder / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(target, "wb") as sink:
                    while piece := source.read(1 << 20):
                        left -= len(piece)
                        if left < 0:
                            raise ArchiveError("Archive is too large when unpacked")
                        sink.write(piece)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError):
        raise ArchiveError("Archive cannot be read") from None


def _safe_members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files of an archive, without the folders and what macOS adds."""
    members: list[zipfile.ZipInfo] = []
    seen: set[str] = set()
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
            raise ArchiveError("Archive contains an unsafe path")
        if member.flag_bits & 1:
            raise ArchiveError("Archive is encrypted")
        if member.is_dir() or "__MACOSX" in parts or parts[-1] in (".DS_Store", "Thumbs.db"):
            continue
        if name.casefold() in seen:
            raise ArchiveError("Archive contains the same path twice")
        seen.add(name.casefold())
        total += member.file_size
        bomb = total > _RATIO_FROM and member.file_size > _MAX_RATIO * max(1, member.compress_size)
        if bomb or total > MAX_UNPACKED or len(seen) > MAX_MEMBERS:
            raise ArchiveError("Archive is too large when unpacked")
        members.append(member)
    return members


def _check_references(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Text models may only name files below the archive."""
    if member.file_size > _TEXT_LIMIT:
        with archive.open(member) as file:
            text = file.read(_TEXT_LIMIT).decode("utf-8", "replace")
    else:
        text = archive.read(member).decode("utf-8", "replace")
    folder = PurePosixPath(member.filename).parent
    for reference in _references(member.filename.lower(), text):
        if not _stays_inside(folder, reference):
            raise ArchiveError(f"Archive must only use relative references: {reference[:120]}")


def _references(name: str, text: str) -> list[str]:
    if name.endswith(".gltf"):
        try:
            data = json.loads(text)
            items = [*data.get("buffers", []), *data.get("images", [])]
            uris = [str(item["uri"]) for item in items if "uri" in item]
        except (ValueError, AttributeError, TypeError):
            raise ArchiveError("Archive contains a .gltf that cannot be read") from None
        return [unquote(uri) for uri in uris if not uri.startswith("data:")]
    if name.endswith(".usda"):
        return re.findall(r"@([^@\n]+)@", text)
    lines = re.findall(r"^[ \t]*(?:mtllib|map_\w+)[ \t]+(.+)$", text, re.MULTILINE)
    # A name may hold blanks and follow options: every word has to be harmless.
    return [word for line in lines for word in line.split()]


def _stays_inside(folder: PurePosixPath, reference: str) -> bool:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", reference) or reference.startswith(("/", "\\")):
        return False
    depth = len(folder.parts)
    for part in re.split(r"[/\\]", reference):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return False
    return True


# -- results ---------------------------------------------------------------------------------------


def pack(folder: Path, parts: tuple[str, ...], target: Path) -> int:
    """Pack the sub-folders ``parts`` of a result, in a stable order; the size in bytes.

    Textures and binary USD are stored, text is deflated. The same content gives the same bytes.
    """
    temporary = target.with_name(target.name + ".tmp")
    with zipfile.ZipFile(temporary, "w") as archive:
        for part in parts:
            for path in sorted((folder / part).rglob("*")):
                if not path.is_file():
                    continue
                info = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                info.external_attr = 0o644 << 16
                stored = path.suffix.lower() in _PACKED
                info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
                info.file_size = path.stat().st_size
                with open(path, "rb") as source, archive.open(info, "w") as sink:
                    while piece := source.read(1 << 20):
                        sink.write(piece)
    os.replace(temporary, target)
    return target.stat().st_size


def spoil(source: Path, kind: str, target: Path, size: int) -> Path:
    """A result archive that a careful client must refuse (fault plan: ``zip``)."""
    if kind == "garbage":
        target.write_bytes(b"this is not an archive\n" * 200)
        return target
    if kind == "corrupt":
        data = bytearray(source.read_bytes())
        # Inside the first member's content: the directory stays readable, the checksum fails.
        start = 30 + int.from_bytes(data[26:28], "little") + int.from_bytes(data[28:30], "little")
        data[start + 4] ^= 0xFF
        target.write_bytes(data)
        return target
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist() if kind != "empty" else []:
            if kind == "no_main" and member.filename.lower().endswith((".usd", ".usda", ".xml")):
                continue
            new.writestr(member, old.read(member))
        if kind == "traversal":
            new.writestr("usd/../../../escaped.txt", "outside")
        elif kind == "absolute":
            new.writestr("/escaped.txt", "outside")
        elif kind == "symlink":
            info = zipfile.ZipInfo("usd/link")
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            new.writestr(info, "../../../escaped.txt")
        elif kind == "oversize":
            info = zipfile.ZipInfo("usd/zeros.bin")
            info.compress_type = zipfile.ZIP_DEFLATED
            with new.open(info, "w", force_zip64=True) as sink:
                for _ in range(size >> 20):
                    sink.write(bytes(1 << 20))
    return target
