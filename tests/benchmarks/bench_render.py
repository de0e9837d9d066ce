# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames rendered by the sandbox's recipe, beside one plain render of the animation and beside one
start of Blender for each frame.

The scene is the demo's turntable, small, so that what is around the rendering shows. The three take
turns, so that the machine's mood cancels out.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 12
RUNS = 3
_PLAIN = """
import os, sys, bpy
blend, folder, first, last = sys.argv[-4:]
bpy.ops.wm.open_mainfile(filepath=blend, use_scripts=False)
scene = bpy.context.scene
scene.render.resolution_percentage, scene.cycles.samples = 33, 2
scene.render.filepath = os.path.join(folder, "plain_####")
scene.frame_start, scene.frame_end = int(first), int(last)
bpy.ops.render.render(animation=True)
sys.stdout.flush()
os._exit(0)
"""


def _plain(program: Any, blend: Path, folder: Path, first: int, last: int) -> None:
    """What ``blender -b FILE -a`` does, with the same settings."""
    arguments = [str(blend), str(folder), str(first), str(last)]
    if program.kind == "wheel":
        command = [program.executable, "-I", "-c", _PLAIN, *arguments]
    else:
        start = ["--background", "--factory-startup", "--python-expr", _PLAIN, "--"]
        command = [program.executable, *start, *arguments]
    subprocess.run(
        command, check=True, timeout=300, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def main() -> None:
    """Measure with the Blender that recipes would use, and print."""
    sys.path.insert(0, str(ROOT))
    from bridge.blender import find_blender, run_recipe

    program = find_blender()
    spent: dict[str, list[float]] = {"recipe": [], "animation": [], "starts": []}
    inside = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = run_recipe(
            "demo_animation", {"output": str(folder / "scene")}, workdir=folder, program=program
        )
        blend = Path(made["path"])
        for run in range(RUNS):
            out = folder / f"run{run}"
            params = {
                "input": str(blend),
                "output": str(out / "recipe"),
                "frames": list(range(1, FRAMES + 1)),
                "config": {"resolutionPercentage": 33, "sampleCount": 2},
            }
            begin = time.perf_counter()
            result = run_recipe("render_scene", params, workdir=out, program=program)
            spent["recipe"].append(time.perf_counter() - begin)
            inside.append(result["seconds"])
            begin = time.perf_counter()
            _plain(program, blend, out / "animation", 1, FRAMES)
            spent["animation"].append(time.perf_counter() - begin)
            begin = time.perf_counter()
            for frame in range(1, FRAMES + 1):
                _plain(program, blend, out / "starts", frame, frame)
            spent["starts"].append(time.perf_counter() - begin)
            assert len(os.listdir(out / "recipe" / "frames")) == FRAMES
            assert len(os.listdir(out / "animation")) == len(os.listdir(out / "starts")) == FRAMES
    found = {name: statistics.median(values) for name, values in spent.items()}
    print(f"Blender {'.'.join(map(str, program.version))}, {FRAMES} frames, {RUNS} runs")
    print(
        f"   recipe {found['recipe']:.2f} s, of which rendering {statistics.median(inside):.2f} s"
    )
    print(f"   one animation in one process {found['animation']:.2f} s")
    print(f"   one start for each frame {found['starts']:.2f} s")
    print(f"ratio recipe / one animation: {found['recipe'] / found['animation']:.2f}")
    print(f"ratio recipe / one start for each frame: {found['recipe'] / found['starts']:.2f}")


if __name__ == "__main__":
    main()
