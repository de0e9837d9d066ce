# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames on disk as image sequences: which number, which view, which files belong together.

Told by their names alone, as Blender writes them: a base name, the frame's number, for stereo the
view's suffix, the format's suffix. Looks at no file and imports no bpy.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# A minus belongs to the number only where no word ends before it: “shot-0010” is frame 10.
_DIGITS = re.compile(r"(?:(?<![^\W_])-)?\d+")
_SIDE = re.compile(r"[_.\- ]?(L|R|left|right)", re.IGNORECASE)
_SIDES = {"l": "left", "r": "right"}


@dataclass(frozen=True)
class FrameSequence:
    """Files that differ in their number alone.

    ``files`` are (number, path), ascending, each number once. ``view`` is "left", "right" or
    another view's name, "" without views; ``suffix`` is what stands for it in the file names.
    ``countable``: the number is the last one of the name, where Blender looks for it.
    """

    view: str
    suffix: str
    files: tuple[tuple[int, str], ...]
    countable: bool = True

    @property
    def first(self) -> int:
        """The lowest frame."""
        return self.files[0][0]

    @property
    def last(self) -> int:
        """The highest frame."""
        return self.files[-1][0]

    @property
    def numbers(self) -> list[int]:
        """Every frame, ascending."""
        return [number for number, _path in self.files]

    @property
    def whole(self) -> bool:
        """True when no frame between the first and the last one is missing."""
        return self.last - self.first + 1 == len(self.files)


def numbered(paths: Iterable[str], asked: Container[int] = ()) -> list[dict[str, Any]]:
    """Paths as ``[{"path", "number", "view"}]``, sorted by view and number.

    Of several numbers in a name (“take 2_0010.png”, “f_0010_cam2.png”) the frame's is the one that
    was ``asked`` for most often, then the one that differs most among files that are named alike;
    of equals the last. A name without any number is frame 0. Views are told by the end of the name,
    or by a folder for the view that holds the same names once more.
    """
    alike: dict[tuple[str, str], list[tuple[str, list[re.Match[str]], str]]] = defaultdict(list)
    for path in paths:
        folder, name = os.path.split(path)
        stem, _suffix = os.path.splitext(name)
        shape = (folder, _DIGITS.sub("#", name))
        alike[shape].append((path, list(_DIGITS.finditer(stem)), stem))
    found: list[dict[str, Any]] = []
    tails: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for (folder, _shape), files in alike.items():
        at = _counting([runs for _path, runs, _stem in files], asked)
        for path, runs, stem in files:
            run = runs[at] if at >= 0 else None
            number = int(run.group()) if run else 0
            head, tail = (stem[: run.start()], stem[run.end() :]) if run else (stem, "")
            key = (folder, head, os.path.splitext(path)[1])
            tails[key].add(tail)
            found.append({"path": path, "number": number, "view": "", "key": key, "tail": tail})
    for frame in found:
        tail, several = frame.pop("tail"), len(tails[frame.pop("key")]) > 1
        if several or _SIDE.fullmatch(tail):
            frame["view"] = _view(tail)
    _views_by_folder(found)
    return sorted(found, key=lambda frame: (frame["view"], frame["number"], frame["path"]))


def _views_by_folder(frames: list[dict[str, Any]]) -> None:
    """A second view with the names of the first one lies in a folder that is named after it."""
    if not frames:
        return
    placed = [os.path.split(frame["path"]) for frame in frames]
    base = min((folder for folder, _name in placed), key=len)
    names = {name for folder, name in placed if folder == base}
    views = set()
    for frame, (folder, name) in zip(frames, placed, strict=True):
        above, view = os.path.split(folder)
        if above == base and folder != base and name in names and not frame["view"]:
            frame["view"] = _view(view)
            views.add(frame["view"])
    rest = {"left", "right"} - views
    if len(views) == 1 and len(rest) == 1:
        for frame in frames:
            frame["view"] = frame["view"] or next(iter(rest))


def _view(tail: str) -> str:
    """The view that the end of a file name stands for."""
    side = _SIDE.fullmatch(tail)
    if side is not None:
        return _SIDES.get(side[1].lower(), side[1].lower())
    return tail.strip("_.- ")


def _counting(runs: list[list[re.Match[str]]], asked: Container[int]) -> int:
    """Which of the numbers in names of one shape counts the frames; -1 where there is none."""
    count = len(runs[0])
    if not count:
        return -1

    def fitness(at: int) -> tuple[int, int, int]:
        texts = {found[at].group() for found in runs}
        return sum(int(text) in asked for text in texts), len(texts), at

    return max(range(count), key=fitness)


def sequences(frames: Iterable[Mapping[str, Any]]) -> list[FrameSequence]:
    """Frames (``path``, ``number``, ``view``) as sequences, for each view the longest one first.

    Views come in their order: without one, left, right, others by name.
    """
    groups: dict[tuple[str, str, str, str, str], dict[int, tuple[str, bool]]] = defaultdict(dict)
    for frame in frames:
        path, number = str(frame["path"]), int(frame["number"])
        folder, name = os.path.split(path)
        stem, ending = os.path.splitext(name)
        runs = list(_DIGITS.finditer(stem))
        same = [run for run in runs if int(run.group()) == number]
        # “f_0001_cam1” is frame 1 of the view cam1, not of one that has no name.
        told = [run for run in same if _view(stem[run.end() :]) == (frame.get("view") or "")]
        best = told or same
        run = best[-1] if best else None
        head, tail = (stem[: run.start()], stem[run.end() :]) if run else (stem, "")
        key = (str(frame.get("view") or ""), folder, head, tail, ending.lower())
        groups[key].setdefault(number, (path, run is not None and run is runs[-1]))
    found = []
    for (view, _folder, _head, tail, _ending), files in groups.items():
        ordered = tuple((number, files[number][0]) for number in sorted(files))
        countable = all(last for _path, last in files.values())
        found.append(FrameSequence(view, tail if view else "", ordered, countable))
    order = {"": 0, "left": 1, "right": 2}
    return sorted(
        found, key=lambda item: (order.get(item.view, 3), item.view, -len(item.files), item.files)
    )
