# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames: read from what an artist types, checked, and written back in short form.

    parse("1-250,300")      1 to 250, and 300
    parse("1-100x10")       every tenth: 1, 11, … 91
    parse("-10--5")         negative frames, as Blender allows them
    of([3, 1, 2]).text()    "1-3"

Light enough for a panel that asks at every redraw: the standard library alone, ranges are kept as
ranges, and a text is read once. Nothing here talks to anybody.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from .problems import Category, ProblemError

#: Blender's own bounds of a frame number (MINAFRAME and MAXFRAME are ±1,048,574).
LOWEST, HIGHEST = -1_048_574, 1_048_574
MOST_FRAMES = 1_000_000
EXAMPLE = "Write frames like 1-250,300 or 1-100x10."
_LONGEST_TEXT = 10_000_000
# Fewer frames than these in equal steps are easier to read one by one.
_SHORTEST_STEPS = 4

_PIECE = re.compile(r"([+-]?[0-9]+)(?:\s*-\s*([+-]?[0-9]+)(?:\s*[x×]\s*([0-9]+))?)?", re.I)
_DASHES = str.maketrans({"–": "-", "—": "-", "−": "-", "‑": "-"})


@dataclass(frozen=True)
class FrameRanges:
    """A set of frames: sorted, each once. ``runs`` are (first, last) of consecutive frames.

    Made by ``parse``, ``of`` or ``from_scene``. May be empty (nothing is missing, say).
    """

    runs: tuple[tuple[int, int], ...] = ()

    @property
    def count(self) -> int:
        """How many frames."""
        return sum(last - first + 1 for first, last in self.runs)

    def __bool__(self) -> bool:
        return bool(self.runs)

    def __iter__(self) -> Iterator[int]:
        return self.numbers()

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.contains(number)

    @property
    def first(self) -> int:
        """The lowest frame. IndexError when there is none."""
        return self.runs[0][0]

    @property
    def last(self) -> int:
        """The highest frame. IndexError when there is none."""
        return self.runs[-1][1]

    def numbers(self) -> Iterator[int]:
        """Every frame, ascending."""
        for first, last in self.runs:
            yield from range(first, last + 1)

    def contains(self, number: int) -> bool:
        """Is this frame one of them?"""
        at = bisect_right(self.runs, (number, HIGHEST + 1)) - 1
        return at >= 0 and self.runs[at][0] <= number <= self.runs[at][1]

    def minus(self, other: FrameRanges) -> FrameRanges:
        """These frames without the other ones."""
        left: list[tuple[int, int]] = []
        cuts = iter(other.runs)
        cut = next(cuts, None)
        for first, last in self.runs:
            while cut is not None and cut[1] < first:
                cut = next(cuts, None)
            while cut is not None and cut[0] <= last:
                if cut[0] > first:
                    left.append((first, cut[0] - 1))
                first = cut[1] + 1
                if cut[1] >= last:  # it may reach into the next run as well
                    break
                cut = next(cuts, None)
            if first <= last:
                left.append((first, last))
        return FrameRanges(tuple(left))

    def plus(self, other: FrameRanges) -> FrameRanges:
        """These frames and the other ones."""
        return FrameRanges(_joined([*self.runs, *other.runs]))

    def first_middle_last(self) -> FrameRanges:
        """Three frames to test with (fewer where there are fewer)."""
        if not self.runs:
            return self
        at = (self.count - 1) // 2
        middle = self.first
        for first, last in self.runs:
            if at <= last - first:
                middle = first + at
                break
            at -= last - first + 1
        return of((self.first, middle, self.last))

    def strings(self) -> list[str]:
        """One text for each run, "7" or "1-3": steps are written out."""
        return [_run(first, last) for first, last in self.runs]

    def text(self) -> str:
        """As ``strings``, in one line: "1-3,7"; "" when there is none. ``parse`` reads it."""
        return ",".join(self.strings())

    def short(self) -> str:
        """For people: as ``text``, with "1-91x10" for equal steps. ``parse`` reads it too."""
        return ",".join(_pieces(self.runs))

    __str__ = text


def parse(text: str) -> FrameRanges:
    """The frames that a text names. Raises ProblemError(INPUT) that says where it is wrong.

    Numbers, ranges (``1-250``) and ranges with a step (``1-100x10``), with commas or semicolons
    between them; repeated frames count once.
    """
    return _parsed(text)


@lru_cache(maxsize=32)
def _parsed(text: str) -> FrameRanges:
    if not text.strip():
        raise ProblemError(Category.INPUT, "No frames are named.", EXAMPLE)
    if len(text) > _LONGEST_TEXT:
        raise _too_many()
    runs: list[tuple[int, int]] = []
    place = 0
    for number, piece in enumerate(re.split(r"[,;]", text), start=1):
        found = _piece(piece, number, place)
        place += len(piece) + 1
        if len(found) > MOST_FRAMES:
            raise _too_many()
        if found.step == 1:
            runs.append((found.start, found[-1]))
        else:
            runs.extend((frame, frame) for frame in found)
        if len(runs) > 2 * MOST_FRAMES:
            raise _too_many()
    ranges = FrameRanges(_joined(runs))
    if ranges.count > MOST_FRAMES:
        raise _too_many()
    return ranges


def _piece(piece: str, number: int, place: int) -> range:
    """One part between commas. ``number`` and ``place`` say where it stands."""
    said = piece.strip()
    where = f"part {number}, at character {place + 1}"
    if not said:
        raise ProblemError(Category.INPUT, f"Part {number} of the frames is empty.", EXAMPLE, where)
    match = _PIECE.fullmatch(said.translate(_DASHES))
    if match is None:
        raise ProblemError(
            Category.INPUT, f"“{_short(said)}” is not a frame or a range.", EXAMPLE, where
        )
    first = _frame(match[1], where)
    last = first if match[2] is None else _frame(match[2], where)
    if last < first:
        raise ProblemError(
            Category.INPUT,
            f"The range “{_short(said)}” ends before it begins.",
            "Put the lower frame first.",
            where,
        )
    step = match[3]
    if step is None:
        return range(first, last + 1)
    if len(step.lstrip("0")) > 7 or int(step) < 1:
        raise ProblemError(
            Category.INPUT,
            f"The step of “{_short(said)}” cannot be used.",
            "Use a step of 1 or more.",
            where,
        )
    return range(first, last + 1, int(step))


def _frame(digits: str, where: str) -> int:
    # Very long numbers are refused by their length: int() is slow on them.
    value = int(digits) if len(digits.lstrip("+-0")) <= 7 else HIGHEST + 1
    if not LOWEST <= value <= HIGHEST:
        raise ProblemError(
            Category.INPUT,
            f"Frame {_short(digits)} is outside of what Blender counts.",
            f"Use frames from {LOWEST} to {HIGHEST}.",
            where,
        )
    return value


def of(numbers: Iterable[int]) -> FrameRanges:
    """These frames, in any order, repeated or not. ValueError outside of Blender's bounds."""
    ordered = sorted(set(numbers))
    if ordered and not (ordered[0] >= LOWEST and ordered[-1] <= HIGHEST):
        raise ValueError("a frame outside of Blender's bounds")
    return FrameRanges(_joined((number, number) for number in ordered))


def from_scene(start: int, end: int, step: int = 1) -> FrameRanges:
    """The frames of a scene's own settings. Raises ProblemError(INPUT) when there are none."""
    if end < start:
        raise ProblemError(
            Category.INPUT,
            "The scene's frame range ends before it begins.",
            "Set the start and the end in the Output properties.",
            f"{start} to {end}",
        )
    if not (start >= LOWEST and end <= HIGHEST):
        raise ProblemError(
            Category.INPUT,
            "The scene's frame range is outside of what Blender counts.",
            f"Use frames from {LOWEST} to {HIGHEST}.",
            f"{start} to {end}",
        )
    frames = range(start, end + 1, max(1, step))
    if len(frames) > MOST_FRAMES:
        raise _too_many()
    if frames.step == 1:
        return FrameRanges(((start, end),))
    return of(frames)


def compact(numbers: Iterable[int]) -> str:
    """(1, 2, 3, 7) -> "1-3,7"."""
    return of(numbers).text()


def _joined(runs: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(runs):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def _run(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _pieces(runs: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """The runs as text; single frames in equal steps become one "A-BxS"."""
    at = 0
    while at < len(runs):
        end = at
        if runs[at][0] == runs[at][1] and at + 1 < len(runs):
            step = runs[at + 1][0] - runs[at][0]
            while (
                end + 1 < len(runs)
                and runs[end + 1][0] == runs[end + 1][1]
                and runs[end + 1][0] - runs[end][0] == step
            ):
                end += 1
        if end - at + 1 >= _SHORTEST_STEPS:
            yield f"{runs[at][0]}-{runs[end][0]}x{step}"
            at = end + 1
        else:
            yield _run(*runs[at])
            at += 1


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:29] + "…"


def _too_many() -> ProblemError:
    return ProblemError(
        Category.INPUT,
        "These are more frames than one job can hold.",
        f"Ask for {MOST_FRAMES:,} frames at most.",
    )
