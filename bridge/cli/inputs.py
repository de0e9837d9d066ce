# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at FILE before a job exists: is it there, is it whole, will the service take it?

Cheap looks only (a few bytes, or the JSON of a .gltf); it never changes the file and never asks
the network. What only Blender can tell (object names, missing textures) is found while packaging.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import zipfile
from pathlib import Path

from ..paths import readable_bytes, require_space, safe_name
from ..problems import Category, ProblemError
from ..services import Service

BLEND = ".blend"
_LARGEST_JSON = 64 * 1024 * 1024


def check_all(
    texts: list[str], service: Service, selected: list[str] | None
) -> tuple[list[Path], list[str]]:
    """``check`` for each FILE; several only where one job of the service takes several."""
    if len(texts) > 1 and not service.many:
        raise ProblemError(
            Category.INPUT,
            f"A job of {service.label} takes one file.",
            "Send each of them on its own.",
        )
    paths: list[Path] = []
    notes: list[str] = []
    for text in texts:
        path, said = check(text, service, selected)
        if path in paths:
            raise ProblemError(Category.INPUT, f"“{text}” was named twice.", "Name each file once.")
        paths.append(path)
        notes += said
    if len(paths) > 1 and any(path.suffix.lower() == BLEND for path in paths):
        raise ProblemError(
            Category.INPUT,
            "A .blend is sent on its own: its objects are the products.",
            "Send the other files in a second job.",
        )
    return paths, notes


def check(text: str, service: Service, selected: list[str] | None) -> tuple[Path, list[str]]:
    """The absolute path of FILE and notes for the person who sends it.

    ``service`` is an entry of ``services.SERVICES``. Raises ProblemError(INPUT or LIMIT).
    """
    path = Path(text).expanduser()
    if not text.strip():
        raise ProblemError(Category.INPUT, "No file is named.", "Give the path of a file.")
    try:
        about = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise ProblemError(
            Category.INPUT,
            f"There is no file “{text}”.",
            "Check the path.",
            f"{text}: {reason}",
        ) from None
    if stat.S_ISDIR(about.st_mode):
        raise ProblemError(
            Category.INPUT,
            f"“{text}” is a folder.",
            "Give a single file; several files belong into one .zip or .glb.",
        )
    if not stat.S_ISREG(about.st_mode):
        raise ProblemError(Category.INPUT, f"“{text}” is not a file.", "Give an ordinary file.")
    if about.st_size == 0:
        raise ProblemError(
            Category.INPUT, f"“{text}” is empty.", "Save or export it again, then send it."
        )
    suffix = path.suffix.lower()
    accepted = tuple(service.accepts)
    if suffix != BLEND and suffix not in accepted:
        raise ProblemError(
            Category.INPUT,
            f"{service.label} does not take “{suffix or path.name}” files.",
            f"It takes {' '.join((BLEND, *accepted))}.",
        )
    if selected and suffix != BLEND:
        raise ProblemError(
            Category.INPUT,
            "--select works with a .blend only.",
            f"“{path.name}” is sent as it is; leave --select out, or send the .blend.",
        )
    if suffix != BLEND and about.st_size > service.max_bytes:
        raise ProblemError(
            Category.LIMIT,
            f"“{path.name}” is larger than {service.label} takes.",
            f"It has {readable_bytes(about.st_size)}; the limit is "
            f"{readable_bytes(service.max_bytes)}. Use smaller textures or fewer objects.",
            f"{about.st_size} bytes, limit {service.max_bytes} bytes",
        )
    if suffix == ".zip" and service.scope == "scene":
        _check_scene_archive(path)
    return path.absolute(), _look_inside(path, suffix, about.st_size)


def _check_scene_archive(path: Path) -> None:
    """A packed scene has its .blend at the top; without one the farm would refuse it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise ProblemError(
            Category.INPUT,
            f"“{path.name}” is not a whole .zip.",
            "Pack the scene again: “scene-courier pack”.",
            str(error),
        ) from None
    top = [name for name in names if "/" not in name and name.lower().endswith(BLEND)]
    if len(top) != 1:
        raise ProblemError(
            Category.INPUT,
            f"“{path.name}” has {'no' if not top else 'more than one'} .blend at its top.",
            "A packed scene has exactly one there: “scene-courier pack” makes such a file.",
            f"{len(names)} files",
        )


def _look_inside(path: Path, suffix: str, size: int) -> list[str]:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise ProblemError(
            Category.INPUT,
            f"“{path.name}” cannot be read.",
            "Check its permissions.",
            f"{path}: {error.strerror or error}",
        ) from None
    if suffix == BLEND:
        from .. import blend_file

        blend_file.version(path)  # raises for what is no .blend
    if suffix == ".glb":
        from .. import glb

        glb.check(path)
    if suffix == ".gltf":
        _check_gltf(path, size)
    if suffix in (".stl", ".ply"):
        return [f"{suffix} files hold no materials; the result will have none either."]
    if suffix == ".obj":
        return ["An .obj alone has no textures; put it into a .zip with them to send both."]
    return []


def check_sizes(paths: list[Path]) -> None:
    """Ask about a product of 3 mm or 300 m; those of a .blend are asked about while packaging.

    Raises ProblemError(INPUT) for the first unlikely one.
    """
    from .. import glb_size

    for path in paths:
        longest = glb_size.longest_side(path) if path.suffix.lower() == ".glb" else None
        if longest is not None and not glb_size.SMALLEST <= longest <= glb_size.LARGEST:
            size = f"{longest * 1000:.3g} mm" if longest < 0.01 else f"{longest:,.4g} m"
            raise ProblemError(
                Category.INPUT,
                f"The longest side of {path.name} is {size}. Is that meant?",
                "If it is, add --option ignore_scale=true. If not, export it in metres.",
                f"{longest:.6g} m, option ignore_scale",
            )


def _check_gltf(path: Path, size: int) -> None:
    if size > _LARGEST_JSON:
        return
    try:
        data = json.loads(path.read_bytes())
        items = [*(data.get("buffers") or []), *(data.get("images") or [])]
        outside = [item["uri"] for item in items if "uri" in item]
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ProblemError(
            Category.INPUT,
            f"“{path.name}” is not a glTF file.",
            "Export it again.",
            type(error).__name__,
        ) from None
    outside = [uri for uri in outside if not str(uri).startswith("data:")]
    if outside:
        raise ProblemError(
            Category.INPUT,
            f"“{path.name}” needs other files beside it.",
            "Send a .glb, or a .zip that holds all of them.",
            f"refers to {len(outside)} files, for example {outside[0]}"[:200],
        )


def copy(source: Path, target: Path) -> int:
    """Copy FILE into the job folder, durably; returns its size in bytes.

    The copy is what gets sent: FILE may change or vanish while the job waits.
    """
    size = source.stat().st_size
    require_space(target.parent, size + (64 << 20), "keep a copy of the file")
    temporary = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, temporary)
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())
            copied = os.fstat(file.fileno()).st_size
        os.replace(temporary, target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ProblemError(
            Category.DISK,
            "The file could not be copied into the job's folder.",
            "Check the free space and the permissions of the data folder.",
            f"{target.parent}: {error.strerror or error}",
        ) from None
    return copied


def package_name(source: Path) -> str:
    """The copy's name: FILE's own, made safe, with its suffix in lower case."""
    return safe_name(source.stem, "model") + source.suffix.lower()
