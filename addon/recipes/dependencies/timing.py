# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a sequence a range of frames reads: Blender's own arithmetic. Plain Python.

Each function returns the set of numbers in the file names. All ranges include both ends.
"""

from __future__ import annotations

from collections.abc import Iterable


def image_frames(
    first: int, last: int, *, start: int, duration: int, offset: int, cyclic: bool
) -> set[int]:
    """Of an image sequence. Before its start Blender asks for the number 0 + ``offset``, which is
    often not there; after its end the last one is held.
    """
    if duration <= 0:
        return set()
    if cyclic:
        if last - first + 1 >= duration:
            return {offset + number for number in range(1, duration + 1)}
        return {offset + (frame - start) % duration + 1 for frame in range(first, last + 1)}
    low, high = first - start + 1, last - start + 1
    low, high = min(max(low, 0), duration), min(max(high, 0), duration)
    return {offset + number for number in range(low, high + 1)}


def volume_frames(
    first: int, last: int, *, start: int, duration: int, offset: int, mode: str
) -> set[int]:
    """Of a volume sequence, by its mode CLIP, EXTEND, REPEAT or PING_PONG."""
    if duration <= 0:
        return set()
    period = {"REPEAT": duration, "PING_PONG": max(duration * 2 - 2, 1)}.get(mode)
    if period is not None and last - first + 1 >= period:
        return {offset + number for number in range(1, duration + 1)}
    found = set()
    if period is None:
        low, high = first - start + 1, last - start + 1
        if mode == "CLIP":
            low, high = max(low, 1), min(high, duration)
        else:
            low, high = min(max(low, 1), duration), min(max(high, 1), duration)
        return {offset + number for number in range(low, high + 1)}
    for frame in range(first - start + 1, last - start + 2):
        number = (frame - 1) % period + 1
        if number > duration:
            number = duration * 2 - number
        found.add(offset + number)
    return found


def around(numbers: Iterable[int], first: int, last: int) -> set[int]:
    """Those in the range, and the nearest one on each side, which is interpolated with.

    With none on a side, the nearest there is: a bake of a single frame serves every frame.
    """
    numbers = sorted(numbers)
    found = {number for number in numbers if first <= number <= last}
    before = [number for number in numbers if number < first]
    after = [number for number in numbers if number > last]
    return found | set(before[-1:]) | set(after[:1])


def until(numbers: Iterable[int], last: int) -> set[int]:
    """Those up to the range's end and one more: a simulation is read from its first frame on."""
    numbers = sorted(numbers)
    return {number for number in numbers if number <= last} | set(
        [number for number in numbers if number > last][:1]
    )


def strip_elements(
    first: int, last: int, *, start: float, count: int, trimmed: int = 0
) -> tuple[int, int]:
    """The first and last element (from 0) of an image strip whose content starts at ``start``.

    ``trimmed`` elements are skipped at its beginning. Outside its content the ends are held.
    """
    low = int(first - start) - 1 + trimmed
    high = int(last - start) + 1 + trimmed
    return min(max(low, 0), count - 1), min(max(high, 0), count - 1)
