# SPDX-License-Identifier: GPL-3.0-or-later
"""Renderjuice's list of downloads, in every shape that it may have (Renderjuice docs, Downloads).

Frames and compositor outputs come twice, as plain addresses (legacy) and as objects; ZIPs and
videos hide in ``transforms``, whose inner shapes are not documented: a text, an object, an array, a
map of names or null are all read. Every name becomes a relative path that is safe to write.
The addresses are secrets and expire; nothing here is written anywhere. ``downloads`` fetches them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ...archive import folded
from ...frames import FrameRanges, of
from ...names import safe_parts

_MOST_OUTPUTS = 2_000_000
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Output:
    """One file that can be fetched.

    ``kind`` is frame, pass, frame_zip, pass_zip or video; ``path`` is where it goes, relative to a
    folder and safe on every system; ``node`` is the compositor node that made it, ``view`` the
    stereo view; ``legacy`` says that only the old list named it. ``url`` is a secret.
    """

    url: str = field(repr=False)
    file_name: str
    view: str = ""
    relative_path: str = ""
    node: str = ""
    legacy: bool = False
    path: str = ""
    kind: str = "frame"

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What stays the same when the list is asked for again and the addresses are new."""
        return self.kind, self.view, self.node, self.relative_path, self.file_name


@dataclass(frozen=True)
class Downloads:
    """What a job offers: frames, passes (compositor outputs), ZIPs of both, and videos."""

    frames: list[Output] = field(default_factory=list)
    passes: list[Output] = field(default_factory=list)
    frame_zips: list[Output] = field(default_factory=list)
    pass_zips: list[Output] = field(default_factory=list)
    videos: list[Output] = field(default_factory=list)

    def wanted(self) -> list[Output]:
        """What has to be fetched: everything, but archives only where their files are not offered
        one by one.
        """
        frames = self.frames or self.frame_zips
        return [*frames, *(self.passes or self.pass_zips), *self.videos]

    def everything(self) -> list[Output]:
        """Every output, also archives of what is offered one by one."""
        groups = (self.frames, self.passes, self.frame_zips, self.pass_zips, self.videos)
        return [output for group in groups for output in group]

    def without_videos(self) -> Downloads:
        """The same, but for the videos."""
        return replace(self, videos=[])

    @property
    def empty(self) -> bool:
        """True before outputs are ready, and after they were deleted."""
        return not self.wanted()


def read_downloads(data: Mapping[str, Any]) -> Downloads:
    """The answer's ``data`` as ``Downloads``. What is not understood is left out; never raises."""
    transforms = data.get("transforms")
    derived = transforms if isinstance(transforms, dict) else {}

    def group(kind: str, new: Any, old: Any, fallback: str) -> list[Output]:
        merged = _merged(list(_outputs(new)), list(_outputs(old)))
        return _placed([replace(output, kind=kind) for output in merged], fallback)

    return Downloads(
        frames=group("frame", data.get("frameOutputs"), data.get("frames"), "frame"),
        passes=group(
            "pass", data.get("compositeNodeOutputs"), data.get("compositeNodes"), "output"
        ),
        frame_zips=group(
            "frame_zip", derived.get("framesZipOutputs"), derived.get("framesZip"), "frames.zip"
        ),
        pass_zips=group(
            "pass_zip",
            derived.get("compositeNodesZipOutputs"),
            derived.get("compositeNodesZip"),
            "compositor.zip",
        ),
        videos=group("video", derived.get("video"), derived.get("videos"), "video.mp4"),
    )


def _outputs(value: Any, hint: str = "", depth: int = 0) -> Iterator[Output]:
    """Every output in a value of any shape. ``hint`` is the name that a map gave it."""
    if isinstance(value, str):
        if _is_address(value):
            name = _last(hint) if "." in _last(hint) else _name_in(value) or _last(hint)
            yield Output(value, name, legacy=True)
    elif isinstance(value, dict):
        url = next((value[k] for k in ("url", "downloadUrl", "href") if k in value), None)
        if isinstance(url, str):
            if _is_address(url):
                yield _output(value, url, hint)
        elif depth < 4:
            for name, item in value.items():
                yield from _outputs(item, str(name), depth + 1)
    elif isinstance(value, list) and depth < 4:
        for item in value[:_MOST_OUTPUTS]:
            yield from _outputs(item, hint, depth + 1)


def _output(value: Mapping[str, Any], url: str, hint: str) -> Output:
    def text(name: str) -> str:
        found = value.get(name)
        return found if isinstance(found, str) else ""

    relative = text("relativePath")
    name = _last(text("fileName")) or text("name")
    if not name:
        last = _last(relative)
        name = last if "." in last else _name_in(url) or _last(hint)
    return Output(
        url,
        name,
        view=text("view"),
        relative_path=relative,
        node=text("compositeNodeName"),
        legacy=value.get("legacy") is True,
    )


def _is_address(text: str) -> bool:
    return text.strip().lower().startswith(("https://", "http://"))


def _name_in(url: str) -> str:
    try:
        return _last(unquote(urlsplit(url).path))
    except ValueError:
        return ""


def _place(url: str) -> str:
    """An address without its signature: the same for two addresses of one file."""
    return url.partition("?")[0]


def _last(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]


def _merged(new: list[Output], old: list[Output]) -> list[Output]:
    """Both lists without what stands in both; the newer one says more."""
    merged: list[Output] = []
    seen: set[tuple[str, ...]] = set()
    for output in new:
        mark = (_place(output.url), *output.key)
        if mark not in seen:
            seen.add(mark)
            merged.append(output)
    if merged and len(merged) >= len(old):
        return merged
    names = {folded(output.file_name) for output in merged}
    places = {_place(output.url) for output in merged}
    for output in old:
        place = _place(output.url)
        if place not in places and not (merged and folded(output.file_name) in names):
            places.add(place)
            merged.append(replace(output, legacy=True))
    return merged


# --- names ---------------------------------------------------------------------------------------


def _placed(outputs: list[Output], fallback: str) -> list[Output]:
    """The outputs with their paths: what all folders have in common is left out, no two alike."""
    places = [_folder_and_name(output, fallback, number) for number, output in enumerate(outputs)]
    common = _common([folder for folder, _name in places])
    placed: list[Output] = []
    taken: set[str] = set()
    for output, (folder, name) in zip(outputs, places, strict=True):
        parts = folder[common:]
        node = safe_parts(output.node.replace("/", "_").replace("\\", "_"))
        node = node if output.kind == "pass" else []
        if node and parts[:1] != node:
            parts = [*node, *parts]
        path = PurePosixPath(*parts, name)
        view = safe_parts(output.view.replace("/", "_"))
        if _key(path) in taken and view:
            path = PurePosixPath(*view, *parts, name)
        number = 2
        while _key(path) in taken:
            path = PurePosixPath(f"more_{number}", *parts, name)
            number += 1
        taken.add(_key(path))
        placed.append(replace(output, path=str(path)))
    return placed


def _key(path: PurePosixPath) -> str:
    return folded(str(path))


def _folder_and_name(output: Output, fallback: str, number: int) -> tuple[list[str], str]:
    parts = safe_parts(output.relative_path)
    name = (safe_parts(output.file_name) or [""])[-1]
    # A relative path names the file itself or its folder; the docs do not say which.
    if parts and name and (parts[-1] == name or _suffix(parts[-1]) == _suffix(name) != ""):
        return parts[:-1], name
    if parts and not name and _suffix(parts[-1]):
        return parts[:-1], parts[-1]
    if not name:
        stem, dot, suffix = fallback.partition(".")
        name = f"{stem}{'' if dot and not number else f'_{number + 1}'}{dot}{suffix}"
    return parts, name


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _common(folders: list[list[str]]) -> int:
    """How many leading parts all folders share."""
    if not folders:
        return 0
    shortest, longest = min(folders), max(folders)
    count = 0
    for one, other in zip(shortest, longest, strict=False):
        if one != other:
            break
        count += 1
    return count


# --- which frames --------------------------------------------------------------------------------


def frame_numbers(outputs: Iterable[Output], asked: FrameRanges | None = None) -> dict[int, Output]:
    """Frame number -> output, by the file names ("frame_0001.png", "-0005.exr", "0001_L.png").

    Where a name holds several numbers, the one that differs from file to file counts, else the
    last. Of stereo views a frame counts when every view has it. ``asked`` tells "name-0005" (the
    fifth frame) from frame -5. Files without a number are left out.
    """
    views: dict[tuple[str, str], dict[int, Output]] = {}
    groups: dict[tuple[str, str], list[Output]] = {}
    for item in outputs:
        output = Output("", item) if isinstance(item, str) else item
        groups.setdefault((output.view, output.node), []).append(output)
    for group, members in groups.items():
        views[group] = _numbered(members, asked)
    if not views:
        return {}
    first, *others = views.values()
    return {
        number: output
        for number, output in sorted(first.items())
        if all(number in other for other in others)
    }


def _numbered(outputs: list[Output], asked: FrameRanges | None) -> dict[int, Output]:
    stems = [PurePosixPath(_last(output.path or output.file_name)).stem for output in outputs]
    spans = [list(_DIGITS.finditer(stem)) for stem in stems]
    at = _varying(stems, spans)
    found: dict[int, Output] = {}
    for output, stem, matches in zip(outputs, stems, spans, strict=True):
        if not matches:
            continue
        match = matches[at] if at is not None else matches[-1]
        if len(match[0]) > 12:
            continue
        number = int(match[0])
        before = stem[: match.start()]
        if before.endswith("-") and number and _is_minus(before[:-1], number, asked):
            number = -number
        found.setdefault(number, output)
    return found


def _is_minus(before: str, number: int, asked: FrameRanges | None) -> bool:
    if asked is not None and asked.contains(number) != asked.contains(-number):
        return asked.contains(-number)
    return not before or not before[-1].isalnum()


def _varying(stems: list[str], spans: list[list[re.Match[str]]]) -> int | None:
    """Which number of the names is the frame; None for "the last one"."""
    if len(stems) < 2 or len({_DIGITS.sub("0", stem) for stem in stems}) != 1:
        return None
    differing = [
        place for place in range(len(spans[0])) if len({matches[place][0] for matches in spans}) > 1
    ]
    return differing[0] if len(differing) == 1 else None


def missing_frames(asked: FrameRanges, got: Iterable[int]) -> FrameRanges:
    """The frames that were asked for and did not come; ``got`` is ``frame_numbers``' answer."""
    return asked.minus(of(number for number in got if asked.contains(number)))
