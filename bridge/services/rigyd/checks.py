# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a ready file before anything is sent, so that no credit hangs on what can be seen here.

Facts: Rigyd docs, Supported formats: the suffixes, 500 MB, one primary model in a ZIP with relative
references. What only the service can judge (topology, materials) is left to it.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ... import glb
from ...paths import readable_bytes
from ...problems import Category, ProblemError
from ...redact import technical
from .options import ACCEPTS, MAX_BYTES

_PRIMARY = (".obj", ".gltf", ".usd", ".usda")
_LARGEST_JSON = 64 * 1024 * 1024
_HEADS: dict[str, tuple[bytes, ...]] = {
    ".usdc": (b"PXR-USDC",),
    ".usda": (b"#usda",),
    ".usd": (b"PXR-USDC", b"#usda"),
    ".usdz": (b"PK\x03\x04",),
    ".zip": (b"PK\x03\x04",),
    ".ply": (b"ply",),
    ".fbx": (b"Kaydara FBX Binary",),
}


def check_input(path: Path) -> dict[str, Any]:
    """``{"bytes", "suffix", "notes"}`` of a file that can be sent.

    Raises ProblemError(INPUT) or ProblemError(LIMIT).
    """
    suffix = path.suffix.lower()
    if suffix not in ACCEPTS:
        raise ProblemError(
            Category.INPUT,
            f"Rigyd does not take “{suffix or path.name}” files.",
            f"It takes {' '.join(ACCEPTS)}.",
        )
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise ProblemError(
            Category.INPUT,
            f"“{path.name}” cannot be read.",
            "Check that it is still there and that you may read it.",
            technical(type(error).__name__, error.strerror),
        ) from None
    if size == 0:
        raise ProblemError(
            Category.INPUT, f"“{path.name}” is empty.", "Export it again, then send it."
        )
    if size > MAX_BYTES:
        raise ProblemError(
            Category.LIMIT,
            f"“{path.name}” is larger than the 500 MB that Rigyd takes.",
            "Send fewer objects, use smaller textures, or switch on Draco.",
            f"{readable_bytes(size)}, {size} bytes",
        )
    if suffix in _HEADS and not head.startswith(_HEADS[suffix]):
        raise _not_what_it_says(path, suffix, head)
    notes: list[str] = []
    if suffix == ".glb":
        glb.check_ready_file(path, max_bytes=MAX_BYTES)
    elif suffix == ".gltf":
        _check_gltf(path.name, _json(path.name, path.read_bytes(), size), members=None)
    elif suffix == ".zip":
        _check_zip(path)
    elif suffix == ".obj":
        notes.append("An .obj alone has no textures; put it into a .zip with them to send both.")
    elif suffix in (".stl", ".ply"):
        notes.append(f"{suffix} files hold no materials; the result will have none either.")
    return {"bytes": size, "suffix": suffix, "notes": notes}


def _not_what_it_says(path: Path, suffix: str, head: bytes) -> ProblemError:
    hint = "Export it again, then send it."
    if suffix == ".fbx" and head.lstrip().startswith(b";"):
        hint = "It is an ASCII FBX. Export it as binary FBX, or better as .glb."
    return ProblemError(
        Category.INPUT,
        f"“{path.name}” is not a {suffix} file.",
        hint,
        technical(f"first bytes {head[:8]!r}"),
    )


def _json(name: str, raw: bytes, size: int) -> Any:
    if size > _LARGEST_JSON:
        return {}
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("asset"), dict):
        raise ProblemError(Category.INPUT, f"“{name}” is not a glTF file.", "Export it again.")
    return data


def _check_gltf(name: str, data: Any, members: set[str] | None) -> None:
    """Every buffer and image must be inside the file, or (in a ZIP) among ``members``."""
    base = PurePosixPath(name).parent
    for kind in ("buffers", "images"):
        items = data.get(kind)
        for item in items if isinstance(items, list) else []:
            uri = item.get("uri") if isinstance(item, dict) else None
            if not isinstance(uri, str) or uri.startswith("data:"):
                continue
            if members is None:
                raise ProblemError(
                    Category.INPUT,
                    f"“{PurePosixPath(name).name}” needs other files beside it.",
                    "Send a .glb, or a .zip that holds all of them.",
                    technical(f"refers to {uri[:120]}"),
                )
            place = unquote(uri)
            parts = PurePosixPath(place)
            if (
                urlsplit(place).scheme
                or parts.is_absolute()
                or "\\" in place
                or ".." in parts.parts
            ):
                raise _bad_reference(name, uri, "it is not relative")
            if str(base / parts) not in members:
                raise _bad_reference(name, uri, "it is missing in the .zip")


def _bad_reference(name: str, uri: str, why: str) -> ProblemError:
    shown = PurePosixPath(uri.replace("\\", "/")).name[:80]
    return ProblemError(
        Category.INPUT,
        f"“{PurePosixPath(name).name}” refers to “{shown}”, but {why}.",
        "Put all files beside the model, with relative paths, or send a .glb.",
        technical(f"refers to {uri[:120]}"),
    )


def _check_zip(path: Path) -> None:
    """Exactly one primary model, nothing damaged, references that stay inside."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            names = {info.filename for info in infos if not _is_litter(info.filename)}
            primary = [name for name in names if PurePosixPath(name).suffix.lower() in _PRIMARY]
            if len(primary) != 1:
                raise ProblemError(
                    Category.INPUT,
                    "The .zip must hold exactly one model.",
                    "Keep one .obj, .gltf or .usd file in it, with its textures beside it.",
                    technical(f"{len(primary)} models", *sorted(primary)[:4]),
                )
            if any(info.flag_bits & 0x1 for info in infos):
                raise ProblemError(
                    Category.INPUT,
                    f"“{path.name}” is protected by a password.",
                    "Pack it again without one.",
                )
            damaged = archive.testzip()
            if damaged is not None:
                raise zipfile.BadZipFile(damaged)
            _check_primary(archive, primary[0], names)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise ProblemError(
            Category.INPUT,
            f"“{path.name}” is damaged or incomplete.",
            "Pack it again, then send the new file.",
            technical(type(error).__name__, error),
        ) from None


def _is_litter(name: str) -> bool:
    """What macOS and Windows add to archives by themselves."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or PurePosixPath(name).name.startswith("._")


def _check_primary(archive: zipfile.ZipFile, name: str, names: set[str]) -> None:
    info = archive.getinfo(name)
    suffix = PurePosixPath(name).suffix.lower()
    if info.file_size == 0:
        raise ProblemError(
            Category.INPUT,
            f"“{PurePosixPath(name).name}” in the .zip is empty.",
            "Export it again, then pack it again.",
        )
    if suffix == ".gltf" and info.file_size <= _LARGEST_JSON:
        _check_gltf(name, _json(name, archive.read(name), info.file_size), names)
    if suffix == ".obj":
        with archive.open(name) as file:
            start = file.read(64 * 1024)
        for line in start.decode("utf-8", "replace").splitlines():
            if line.startswith("mtllib "):
                library = line[7:].strip()
                if str(PurePosixPath(name).parent / library) not in names:
                    raise _bad_reference(name, library, "it is missing in the .zip")
