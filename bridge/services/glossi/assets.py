# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a finished render can be downloaded, under which names, and how it is fetched.

How ``filePath`` becomes a download is not documented (Glossi docs, Complete Workflow, step 5): both
examples are bare keys of a storage that is not named. So an address is used as it is, a key only
below an address that the artist was given, and no host is ever guessed. None of them hears our key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ...answers import plain
from ...archive import folded
from ...fetching import Fetch, Mark, Task
from ...paths import safe_name
from ...problems import Problem, ProblemError
from ...route import check_url
from .bits import id_of, text_of
from .explain import explain_files

if TYPE_CHECKING:
    from ...http import Http

__all__ = ["Arrived", "Asset", "collect", "fetch_assets", "renders_in"]

#: what an address may be called; only ``filePath`` is documented
_ADDRESSES = ("filePath", "url", "downloadUrl", "signedUrl", "fileUrl")
_SUFFIXES = {
    "JPEG": ".jpg", "TIFF": ".tif", "PRORES": ".mov", "QUICKTIME": ".mov", "H264": ".mp4",
    "X-PRORES": ".mov", "OPENEXR": ".exr",
}  # fmt: skip
_VIDEOS = frozenset({".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v"})
_STILLS = frozenset({".png", ".jpg", ".webp", ".exr", ".tif", ".bmp", ".tga", ".hdr", ".gif"})
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_MOST = 100_000
_FOLDER_BYTES, _NAME_BYTES = 80, 120


@dataclass(frozen=True)
class Asset:
    """A file that can be fetched: from ``url``, a secret, to ``path``, relative and safe."""

    product: str
    name: str
    url: str = field(repr=False)
    file_type: str
    is_video: bool
    path: str
    id: str = ""

    @property
    def kind(self) -> str:
        """ "still" or "video"."""
        return "video" if self.is_video else "still"

    @property
    def mark(self) -> Mark:
        """What stays the same when the addresses are new."""
        return self.product, self.id, self.path


@dataclass(frozen=True)
class Arrived:
    """A file that is there and whole; ``kind`` is "still" or "video"."""

    path: Path
    bytes: int
    kind: str
    asset: Asset


def collect(
    groups: Iterable[tuple[str, Iterable[Any]]], base_url: str = ""
) -> tuple[list[Asset], list[str]]:
    """What can be fetched, and the names of what cannot.

    ``groups`` are (product, its ``renders``). A file goes to ``<product>/<render name>.<ext>``;
    names that are one on some disk are numbered, by the ids, so that a later list names them alike.
    ``base_url`` is what bare keys lie below. What is not understood is left out; never raises.
    """
    found: list[Asset] = []
    unreachable: list[str] = []
    seen: set[tuple[str, str]] = set()
    for product, renders in groups:
        for row in renders_of(renders):
            mark = (product, id_of(row, "id", "renderId"))
            if mark[1] and mark in seen:
                continue
            seen.add(mark)
            asset = _asset(product, row, base_url)
            if asset.url:
                found.append(asset)
            else:
                unreachable.append(f"{product}: {asset.name}" if product else asset.name)
    return _placed(found), unreachable


def renders_of(renders: Any) -> Iterator[dict[str, Any]]:
    """The rows of a list of renders; one that is only an address or a key counts as a row."""
    for row in list(renders or [])[:_MOST] if isinstance(renders, list | tuple) else []:
        if isinstance(row, dict):
            yield row
        elif isinstance(row, str) and row.strip():
            yield {"filePath": row}


def renders_in(answer: Any, depth: int = 0) -> list[dict[str, Any]]:
    """Every object with a ``filePath``, wherever an answer has it.

    For jobs that rendered by themselves: where their files are named is not documented.
    """
    if isinstance(answer, dict):
        if text_of(answer, "filePath"):
            return [answer]
        answer = list(answer.values())
    if not isinstance(answer, list) or depth > 6:
        return []
    return [row for item in answer[:_MOST] for row in renders_in(item, depth + 1)]


def _asset(product: str, row: Mapping[str, Any], base_url: str) -> Asset:
    url = _address(row, base_url)
    place = text_of(row, "filePath") or url
    told = text_of(row, "fileType").strip()
    suffix = _suffix(told, place, row.get("isVideo") is True)
    video = row.get("isVideo")
    is_video = video if isinstance(video, bool) else suffix in _VIDEOS
    name = plain(text_of(row, "name")) or plain(_last(place)) or "render"
    stem = name[: -len(suffix)] if name.lower().endswith(suffix) else name
    folder = safe_name(product, "product", _FOLDER_BYTES)
    file_name = safe_name(stem, "render", _NAME_BYTES) + suffix
    path = str(PurePosixPath(folder, file_name))
    return Asset(product, name, url, told, is_video, path, id_of(row, "id", "renderId"))


def _address(row: Mapping[str, Any], base_url: str) -> str:
    """Where the file is; "" where nobody said."""
    for name in _ADDRESSES:
        text = text_of(row, name).strip()
        if re.match(r"https?://", text, re.I) and _usable(text):
            return text
    key = text_of(row, "filePath").strip()
    if not key or not base_url.strip() or _SCHEME.match(key):
        return ""
    parts = [part for part in key.split("/") if part]
    if not parts or any(part in (".", "..") for part in parts):
        return ""
    try:
        base = urlsplit(base_url.strip())
    except ValueError:
        return ""
    path = f"{base.path.rstrip('/')}/{quote('/'.join(parts), safe='/')}"
    joined = urlunsplit((base.scheme, base.netloc, path, base.query, ""))
    return joined if _usable(joined) else ""


def _usable(url: str) -> bool:
    try:
        check_url(url)
    except ProblemError:
        return False
    return True


def _suffix(told: str, place: str, video: bool) -> str:
    """The ending of the file's name: by ``fileType``, else as the service calls it."""
    word = told.upper().rpartition("/")[2].lstrip(".")
    suffix = _SUFFIXES.get(word) or (f".{word.lower()}" if word else "")
    if suffix in _VIDEOS or suffix in _STILLS:
        return suffix
    last = PurePosixPath(_last(place)).suffix.lower()
    last = _SUFFIXES.get(last[1:].upper(), last)
    if last in _VIDEOS or last in _STILLS:
        return last
    if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix):
        return suffix
    return ".mp4" if video else ".png"


def _last(place: str) -> str:
    try:
        path = urlsplit(place).path if "://" in place else place
    except ValueError:
        return ""
    return unquote(path.rstrip("/").rpartition("/")[2])


def _placed(assets: list[Asset]) -> list[Asset]:
    """No two paths that are one on a disk that folds case; in the given order."""
    paths: dict[int, str] = {}
    taken: set[str] = set()
    for number in sorted(range(len(assets)), key=lambda n: (assets[n].path, assets[n].id)):
        path = PurePosixPath(assets[number].path)
        count, free = 1, path
        while folded(str(free)) in taken:
            count += 1
            free = path.with_name(f"{path.stem} {count}{path.suffix}")
        taken.add(folded(str(free)))
        paths[number] = str(free)
    return [replace(asset, path=paths[number]) for number, asset in enumerate(assets)]


def fetch_assets(
    http: Http,
    assets: Iterable[Asset],
    folder: Path,
    *,
    refresh: Callable[[], Iterable[Asset]],
    parallel: int = 4,
    on_progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[list[Arrived], list[tuple[Asset, Problem]]]:
    """Fetch into ``folder``: what arrived whole, and what did not, with the reason of each.

    ``refresh()`` reads the list anew; it is asked once for an address that does not work (401, 403,
    404, 410), then the file is given up. All functions are called in the caller's thread. Files
    that an earlier call brought are not fetched again.

    Raises HttpError when nothing can be reached, ProblemError(DISK) for lack of room, Canceled.
    """
    tasks = [
        Task(asset.url, asset.mark, folder / asset.path, asset.kind, asset) for asset in assets
    ]
    Fetch(
        http,
        folder,
        "glossi",
        lambda: {asset.mark: asset.url for asset in refresh()},
        "Glossi's storage",
        explain_files,
        refreshes=1,
        strict=False,
        on_progress=on_progress or (lambda _done, _total: None),
        cancelled=cancelled or (lambda: False),
    ).run(tasks, parallel)
    arrived = [
        Arrived(file.path, file.bytes, file.kind, task.item)
        for task in tasks
        for file in task.files
    ]
    return arrived, [(task.item, task.problem) for task in tasks if task.problem is not None]
