# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Blender wrote a .blend, from its first bytes, old and new header, plain and compressed."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bridge import blend_file
from bridge.problems import Category, ProblemError

OLD = b"BLENDER-v402RENDH\0" + bytes(200)
NEW = b"BLENDER17-01v0502REND" + bytes(200)


@pytest.mark.parametrize("data, version", [(OLD, (4, 2)), (NEW, (5, 2))])
@pytest.mark.parametrize("form", ["plain", "gzip", "zstd"])
def test_version(tmp_path: Path, data: bytes, version: tuple[int, int], form: str) -> None:
    if form == "gzip":
        data = gzip.compress(data)
    elif form == "zstd":
        data = pytest.importorskip("zstandard").compress(data)
    path = tmp_path / "scene.blend"
    path.write_bytes(data)
    assert blend_file.version(path) == version
    blend_file.require_not_newer(path, (*version, 3))
    with pytest.raises(ProblemError) as caught:
        blend_file.require_not_newer(path, (4, 1, 0))
    problem = caught.value.problem
    assert problem.category is Category.BLENDER
    assert f"saved with Blender {version[0]}.{version[1]}" in problem.sentence
    assert "SCENE_COURIER_BLENDER" in problem.hint


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04 a zip", b"BLENDER", b"\x1f\x8b cut off", b"\x28\xb5\x2f\xfd cut off"],
)
def test_no_blend(tmp_path: Path, data: bytes) -> None:
    if data.startswith(blend_file.ZSTD_MAGIC):
        pytest.importorskip("zstandard")
    path = tmp_path / "scene.blend"
    path.write_bytes(data)
    with pytest.raises(ProblemError) as caught:
        blend_file.version(path)
    assert caught.value.problem.sentence == "The file scene.blend is not a Blender file."


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        blend_file.version(tmp_path / "scene.blend")
    assert "cannot be read" in caught.value.problem.sentence
