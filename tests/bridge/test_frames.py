# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame ranges: what an artist types, what is kept, and what is refused with its place."""

from __future__ import annotations

import random

import pytest

from bridge.frames import FrameRanges, compact, from_scene, of, parse
from bridge.problems import Category, ProblemError


@pytest.mark.parametrize(
    ("text", "numbers", "short"),
    [
        ("1", [1], "1"),
        ("1-5", [1, 2, 3, 4, 5], "1-5"),
        (" 1 - 3 , 300 ", [1, 2, 3, 300], "1-3,300"),
        ("300;1-3", [1, 2, 3, 300], "1-3,300"),
        ("1-3,2-5,4", [1, 2, 3, 4, 5], "1-5"),
        ("1-3,4-6", [1, 2, 3, 4, 5, 6], "1-6"),
        ("1-40x10", [1, 11, 21, 31], "1-31x10"),
        ("1-30X10", [1, 11, 21], "1,11,21"),
        ("1-5x1", [1, 2, 3, 4, 5], "1-5"),
        ("5-5x9", [5], "5"),
        ("-3--1", [-3, -2, -1], "-3--1"),
        ("-1-2", [-1, 0, 1, 2], "-1-2"),
        ("+1–3", [1, 2, 3], "1-3"),
        ("007", [7], "7"),
        ("-1048574,1048574", [-1048574, 1048574], "-1048574,1048574"),
    ],
)
def test_what_is_read(text: str, numbers: list[int], short: str) -> None:
    ranges = parse(text)
    assert list(ranges) == numbers and ranges.count == len(numbers)
    assert ranges.short() == short and parse(short) == parse(ranges.text()) == ranges
    assert all(ranges.contains(number) and number in ranges for number in numbers)
    assert not ranges.contains(numbers[-1] + 1) and not ranges.contains(numbers[0] - 1)
    assert (ranges.first, ranges.last) == (numbers[0], numbers[-1])


@pytest.mark.parametrize(
    ("text", "sentence", "where"),
    [
        ("", "No frames are named.", ""),
        ("  ", "No frames are named.", ""),
        ("1,,5", "Part 2 of the frames is empty.", "part 2, at character 3"),
        ("1-10,", "Part 2 of the frames is empty.", "part 2, at character 6"),
        ("1-5,abc", "“abc” is not a frame or a range.", "part 2, at character 5"),
        ("1.5", "“1.5” is not a frame or a range.", "part 1, at character 1"),
        ("1 2", "“1 2” is not a frame or a range.", "part 1, at character 1"),
        ("1-2-3", "“1-2-3” is not a frame or a range.", "part 1, at character 1"),
        ("5x2", "“5x2” is not a frame or a range.", "part 1, at character 1"),
        ("٣", "“٣” is not a frame or a range.", "part 1, at character 1"),
        ("10-1", "The range “10-1” ends before it begins.", "part 1, at character 1"),
        ("1-9x0", "The step of “1-9x0” cannot be used.", "part 1, at character 1"),
        ("1-9x99999999", "The step of “1-9x99999999” cannot be used.", "part 1, at character 1"),
        ("1048575", "Frame 1048575 is outside of what Blender counts.", "part 1, at character 1"),
        ("-1048575", "Frame -1048575 is outside of what Blender counts.", "part 1, at character 1"),
        ("1,1-" + "9" * 500, "Frame " + "9" * 29 + "… is outside of", "part 2, at character 3"),
        ("-1000000-1000000", "These are more frames than one job can hold.", ""),
        ("0-999999,-3--1", "These are more frames than one job can hold.", ""),
        ("1," * 5_000_001, "These are more frames than one job can hold.", ""),
    ],
)
def test_what_is_refused(text: str, sentence: str, where: str) -> None:
    with pytest.raises(ProblemError) as caught:
        parse(text)
    problem = caught.value.problem
    assert problem.category is Category.INPUT and problem.sentence.startswith(sentence)
    assert problem.hint and problem.technical == where


def test_as_many_as_are_allowed() -> None:
    assert parse("1-1000000").count == 1_000_000
    assert parse("1-1000000,5-500").count == 1_000_000
    assert parse("-1048574-1048574x3").count == 699_050


def test_from_a_scene() -> None:
    assert from_scene(1, 24).text() == "1-24"
    assert list(from_scene(1, 10, 4)) == [1, 5, 9]
    assert from_scene(5, 5, 10).count == 1
    for start, end in ((2, 1), (1, 2_000_000), (-1_048_574, 1_048_574)):
        with pytest.raises(ProblemError):
            from_scene(start, end)


def test_first_middle_last() -> None:
    assert parse("1-250").first_middle_last().text() == "1,125,250"
    assert parse("1-3,100-101").first_middle_last().text() == "1,3,101"
    assert parse("1-2").first_middle_last().text() == "1-2"
    assert parse("7").first_middle_last().text() == "7"
    assert FrameRanges().first_middle_last() == FrameRanges()


def test_steps_are_written_out_for_a_service() -> None:
    ranges = parse("1-3,10-40x10,99")
    assert ranges.strings() == ["1-3", "10", "20", "30", "40", "99"]
    assert ranges.text() == str(ranges) == "1-3,10,20,30,40,99"
    assert ranges.short() == "1-3,10-40x10,99"


def test_compact() -> None:
    assert compact([3, 1, 2, 7, 7]) == "1-3,7"
    assert compact(range(1, 30, 10)) == "1,11,21"
    assert compact([]) == "" and not of([])
    with pytest.raises(ValueError, match="bounds"):
        of([2_000_000])


def test_sets_of_frames_behave_like_sets() -> None:
    dice = random.Random(3)
    for _ in range(300):
        one = {dice.randint(-30, 30) for _ in range(dice.randint(0, 40))}
        two = {dice.randint(-30, 30) for _ in range(dice.randint(0, 40))}
        assert set(of(one).minus(of(two))) == one - two
        assert of(one).plus(of(two)) == of(one | two)
        if one:
            assert parse(of(one).text()) == parse(of(one).short()) == of(one)


def test_a_text_is_read_once() -> None:
    assert parse("1-1000,2000") is parse("1-1000,2000")
