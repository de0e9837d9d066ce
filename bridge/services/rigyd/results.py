# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at what came back: is the USD a USD, is the MJCF XML, are the textures not empty?

Facts about the layout: Rigyd docs, Download result, and the official loaders: a USD at
``usd/{base}/{model}.usd`` with ``textures/`` beside it, an MJCF ``.xml`` with ``meshes/`` and
``textures/``; the shallowest file of its kind is the main one.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from ...jobs import Result
from ...problems import Category, ProblemError

_USD_SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")
_USD_HEADS = (b"PXR-USDC", b"#usda", b"PK\x03\x04")
_IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".exr", ".hdr", ".tga", ".tif", ".tiff", ".bmp")
_MESHES = (".stl", ".obj", ".msh", ".glb", ".ply")


def main_file(folder: Path, suffixes: tuple[str, ...]) -> Path | None:
    """The shallowest file with one of the suffixes (then by name), or None."""
    found = [path for path in folder.rglob("*") if path.suffix.lower() in suffixes]
    found = [path for path in found if path.is_file() and ".thumbs" not in path.parts]
    return min(found, key=lambda path: (len(path.parts), str(path)), default=None)


def check_results(folder: Path, wanted: str) -> list[Result]:
    """The files of an extracted result, the main ones first.

    ``wanted`` is the asked format: usd, mjcf or all. Raises ProblemError(SERVICE) when a main file
    is missing or unreadable.
    """
    usd = main_file(folder, _USD_SUFFIXES)
    mjcf = main_file(folder, (".xml",))
    if wanted in ("usd", "all"):
        if usd is None:
            raise _incomplete("The result holds no USD file.", folder)
        with open(usd, "rb") as file:
            head = file.read(8)
        if not head.startswith(_USD_HEADS):
            raise _incomplete(f"The USD file “{usd.name}” is damaged.", usd)
    if wanted in ("mjcf", "all") and (wanted == "mjcf" or mjcf is not None):
        if mjcf is None:
            raise _incomplete("The result holds no MJCF file.", folder)
        try:
            root = ElementTree.parse(mjcf).getroot().tag
        except ElementTree.ParseError as error:
            raise _incomplete(f"The MJCF file “{mjcf.name}” is damaged.", mjcf, error) from None
        if root != "mujoco":
            raise _incomplete(f"“{mjcf.name}” is not an MJCF file.", mjcf)
    results = [Result(str(path), path.stat().st_size, kind) for path, kind in _kinds(usd, mjcf)]
    main = {result.path for result in results}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and str(path) not in main:
            results.append(Result(str(path), path.stat().st_size, _kind(path)))
    empty = [Path(r.path).name for r in results if r.bytes == 0 and r.kind in ("texture", "mesh")]
    if empty:
        raise _incomplete(f"“{empty[0]}” in the result is empty.", folder)
    return results


def _kinds(usd: Path | None, mjcf: Path | None) -> list[tuple[Path, str]]:
    return [(path, kind) for path, kind in ((usd, "usd"), (mjcf, "mjcf")) if path is not None]


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if ".thumbs" in path.parts:
        return "thumbnail"
    if suffix in _IMAGES:
        return "texture"
    if suffix in _MESHES:
        return "mesh"
    if suffix in _USD_SUFFIXES:
        return "usd"
    return "report" if suffix == ".json" else "other"


def _incomplete(sentence: str, path: Path, error: Exception | None = None) -> ProblemError:
    return ProblemError(
        Category.SERVICE,
        sentence,
        "Retry the job: the result is downloaded again, which costs nothing.",
        f"{path.name}: {error}" if error else str(path.name),
    )
