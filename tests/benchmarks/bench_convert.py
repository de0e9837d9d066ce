# SPDX-License-Identifier: GPL-3.0-or-later
"""What the local conversion of a 230 KB chair costs, beside a bare glTF import and USD export.

Both run in the same headless Blender, several times, so that the machine's mood cancels out.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RUNS = 5


def _inside(folder: Path) -> dict[str, Any]:
    """Runs in Blender: make the chair once, then convert and copy it in turns."""
    import time

    import bpy

    sys.path.insert(0, str(ROOT))
    from addon.recipes import simready
    from tests.tools import models

    chair = models.make_chair(folder / "chair.glb")
    spent: dict[str, list[float]] = {"convert": [], "bare": []}
    stages: list[dict[str, float]] = []
    for number in range(RUNS):
        begin = time.perf_counter()
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.ops.import_scene.gltf(filepath=str(chair))
        bpy.ops.wm.usd_export(filepath=str(folder / f"bare{number}" / "chair.usdc"))
        spent["bare"].append(time.perf_counter() - begin)
        begin = time.perf_counter()
        answer = simready.main(
            {"input": str(chair), "output": str(folder / f"full{number}"), "name": "chair"},
            lambda fraction, text: None,
        )
        spent["convert"].append(time.perf_counter() - begin)
        stages.append(answer["timings"])
    names = [name for name in stages[0] if name != "total"]
    return {
        "blender": bpy.app.version_string,
        "bytes": chair.stat().st_size,
        "first": spent["convert"][0],
        **{name: statistics.median(values) for name, values in spent.items()},
        "stages": {name: statistics.median(one[name] for one in stages) for name in names},
    }


def main() -> None:
    """Measure with the Blender that recipes would use, and print."""
    from bridge.blender import find_blender

    program = find_blender(need_usd=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [program.executable, str(Path(__file__)), "--inside", folder]
        if program.kind != "wheel":
            command[1:1] = ["-b", "--factory-startup", "--python"]
            command.insert(5, "--")
        run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        answer = Path(folder, "answer.json")
        if not answer.is_file():
            sys.exit(run.stdout[-2000:] + run.stderr[-2000:])
        found = json.loads(answer.read_text(encoding="utf-8"))
    print(f"Blender {found['blender']}, a chair of {found['bytes'] / 1000:.0f} kB, {RUNS} runs")
    for name, seconds in found["stages"].items():
        print(f"   {name:12} {seconds:6.3f} s")
    print(f"   the first conversion in a process took {found['first']:.2f} s")
    print(f"   bare import and USD export {found['bare']:.3f} s")
    print(f"ratio convert / bare import and export: {found['convert'] / found['bare']:.2f}"
          f"  ({found['convert']:.2f} s)")  # fmt: skip


if __name__ == "__main__":
    if "--inside" in sys.argv:
        target = Path(sys.argv[sys.argv.index("--inside") + 1])
        result = _inside(target)
        (target / "answer.json").write_text(json.dumps(result), encoding="utf-8")
        sys.stdout.flush()
        import os

        os._exit(0)
    main()
