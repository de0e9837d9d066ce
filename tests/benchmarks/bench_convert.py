# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's conversion of a small textured chair, beside a bare start of Blender.

The aim is about a second for the work itself; starting a headless Blender comes on top.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bridge.blender import find_blender, run_recipe
from bridge.problems import ProblemError

ROOT = Path(__file__).resolve().parents[2]
RUNS = 3
BUDGET = 1.0


def main() -> None:
    """Measure and print."""
    if importlib.util.find_spec("bpy") is None:
        print("this Python has no bpy")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        chair = folder / "chair.glb"
        maker = ROOT / "tests" / "tools" / "models.py"
        subprocess.run([sys.executable, str(maker), "chair", str(chair)], capture_output=True)
        try:
            program = find_blender(need_usd=True)
        except ProblemError as error:
            print(error.problem.sentence)
            return
        start, whole, inside = [], [], []
        result: dict[str, Any] = {}
        size = chair.stat().st_size
        for run in range(RUNS):
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-I", "-c", "import bpy, os; os._exit(0)"], capture_output=True
            )
            start.append(time.perf_counter() - began)
            began = time.perf_counter()
            result = run_recipe(
                "simready",
                {
                    "input": str(chair),
                    "output": str(folder / f"out{run}"),
                    "name": "chair",
                    "options": {},
                },
                workdir=folder / f"work{run}",
                program=program,
            )
            whole.append(time.perf_counter() - began)
            inside.append(float(result["timings"]["total"]))
    print(f"chair.glb, {size} bytes, {result['triangles']} triangles, "
          f"{result['colliders']} colliders")  # fmt: skip
    print(f"start of Blender            {statistics.median(start):6.2f} s")
    print(f"conversion with the start   {statistics.median(whole):6.2f} s")
    print(f"conversion itself           {statistics.median(inside):6.2f} s: {result['timings']}")
    print(f"ratio conversion itself : {BUDGET:g} s  {statistics.median(inside) / BUDGET:.2f}")
    print(f"ratio whole : bare start  {statistics.median(whole) / statistics.median(start):.2f}")


if __name__ == "__main__":
    main()
