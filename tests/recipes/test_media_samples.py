# SPDX-License-Identifier: GPL-3.0-or-later
"""What this Blender writes is whole, in every format, and every cut of it is noticed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bridge.media import MediaFacts, check_media
from bridge.problems import ProblemError
from tests.recipes.conftest import HERE, _command, find_blender


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media") / "samples"
    try:
        program = find_blender()
    except ProblemError as error:
        pytest.skip(error.problem.sentence)
    run = subprocess.run(
        _command(program, HERE / "media_samples.py", str(folder)),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=240,
        check=False,
        env={**os.environ, "LIBGL_ALWAYS_SOFTWARE": "1"},
    )
    assert (folder / "complete").is_file(), run.stdout[-3000:] + run.stderr[-3000:]
    (folder / "complete").unlink()
    return folder


def test_all_are_whole(samples: Path) -> None:
    found = {path.name: check_media(path) for path in sorted(samples.iterdir())}
    assert len(found) >= 35
    videos = {"video.mp4": 3, "video.mov": 3, "video.avi": 3, "video.mkv": None, "video.webm": None}
    for name, facts in found.items():
        if name in videos:
            assert (facts.width, facts.height, facts.frames) == (64, 48, videos[name]), name
        else:
            assert (facts.width, facts.height, facts.frames) == (67, 45, None), name
    assert found["layers.exr"] == MediaFacts("exr", 67, 45)


def test_every_cut_is_noticed(samples: Path, tmp_path: Path) -> None:
    unnoticed = []
    for path in sorted(samples.iterdir()):
        data = path.read_bytes()
        short = tmp_path / path.name
        # A Targa file's footer says nothing about its pixels.
        end = len(data) if path.suffix != ".tga" else len(data) - 600
        cuts = {0, 1, 2, 5, 12, 30, 100, 400, end // 3, end // 2, end * 9 // 10}
        cuts |= {end - back for back in (1, 2, 3, 4, 8, 12, 20, 50, 300)}
        for length in sorted(cut for cut in cuts if 0 <= cut < end):
            short.write_bytes(data[:length])
            try:
                check_media(short)
            except ProblemError:
                continue
            unnoticed.append(f"{path.name}: {length} of {len(data)}")
    assert unnoticed == []


def test_one_format_under_the_name_of_another(samples: Path) -> None:
    files = {path.suffix: path for path in samples.iterdir()}
    suffixes = sorted(files)
    for suffix, other in zip(suffixes, suffixes[1:] + suffixes[:1], strict=True):
        if {suffix, other} in ({".mov", ".mp4"}, {".mkv", ".webm"}):
            continue
        with pytest.raises(ProblemError) as caught:
            check_media(files[suffix], name=f"frame_0001{other}")
        assert " is not a" in caught.value.problem.sentence
