# SPDX-License-Identifier: GPL-3.0-or-later
"""The scan against Blender Asset Tracer, which reads the same .blend without a Blender.

pytest -s tests/recipes/test_against_asset_tracer.py      prints what each of them finds
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("bpy")
pytest.importorskip("blender_asset_tracer")

import bpy
from blender_asset_tracer import blendfile
from blender_asset_tracer.trace import blocks2assets, file2blocks

from addon.recipes.dependencies import scan


def traced(main: Path) -> tuple[set[Path], list[str]]:
    """Every file that the tracer lists, and the data-blocks at which it gave up.

    As its own ``trace.deps``, which ends with the first data-block that it cannot read.
    """
    found: set[Path] = set()
    lost = []
    with blendfile.open_cached(main) as opened:
        for block in file2blocks.iter_blocks(opened):
            try:
                for usage in blocks2assets.iter_assets(block):
                    found.update(Path(os.path.normpath(path)) for path in usage.files())
            except blendfile.exceptions.SegmentationFault:
                lost.append(block.id_name.decode())
    blendfile.close_all_cached()
    # A folder stands for what is in it.
    inside = {path for folder in found if folder.is_dir() for path in folder.rglob("*")}
    return {path for path in found | inside if path.is_file()}, lost


def test_ours_finds_what_the_tracer_finds_and_more(
    dependency_scene: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, facts = dependency_scene
    theirs, lost = traced(Path(facts["main"]))
    bpy.ops.wm.open_mainfile(filepath=facts["main"], load_ui=False)
    ours: dict[Path, str] = {}
    for made in scan(frames=None):
        for entry in made.files:
            ours[Path(entry.wanted)] = made.kind
    bpy.ops.wm.read_homefile(use_empty=True)

    counted = Counter(ours.values())
    both = Counter(kind for path, kind in ours.items() if path in theirs)
    rows = [f"{'kind':16} {'ours':>5} {'BAT':>5}   Blender {bpy.app.version_string}"]
    rows += [f"{kind:16} {counted[kind]:5} {both[kind]:5}" for kind in sorted(counted)]
    rows.append(f"{'all':16} {counted.total():5} {both.total():5}")
    with capsys.disabled():
        print("\n" + "\n".join(rows))
        if lost:
            print(f"BAT cannot read: {', '.join(sorted(lost))}")

    packed = folder / "project" / "tex" / "packed.png"
    assert len(theirs) > 60, "the tracer found next to nothing: is the comparison one?"
    assert theirs - set(ours) - {packed} == set()
    assert len(ours) > len(theirs)
