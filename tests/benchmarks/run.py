# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs every ``bench_*.py`` beside this file, one after the other, and lists the ratios again.

    python -m tests.benchmarks [WORD ...]      only those whose name contains one of the words

A benchmark is a script: it measures, prints what it likes, and prints its ratios as lines that
begin with "ratio". Each runs in a process and a home of its own, so that none warms up another.
Nothing is judged: machines differ, and a slow one is no fault.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
_SECONDS = 900
# What Blender itself says about each file it writes.
_CHATTER = ("Info: ", "EGL Error")


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks; returns 1 if one could not be run at all."""
    words = sys.argv[1:] if argv is None else argv
    scripts = sorted(HERE.glob("bench_*.py"))
    if words:
        scripts = [path for path in scripts if any(word in path.name for word in words)]
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, "
          f"{os.cpu_count()} processors", flush=True)  # fmt: skip
    ratios, broken = [], []
    for script in scripts:
        name = script.stem.removeprefix("bench_")
        print(f"\n== {name}", flush=True)
        code, lines = _run(script)
        if code != 0:
            broken.append(name)
            print(f"   could not be run (exit code {code})", flush=True)
        ratios += [
            f"{name:12} {line[5:].strip(' :')}" for line in lines if line.startswith("ratio")
        ]
    print("\n== ratios")
    for line in ratios:
        print(f"   {line}")
    return 1 if broken else 0


def _run(script: Path) -> tuple[int, list[str]]:
    with tempfile.TemporaryDirectory(prefix="courier-bench-") as home:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SCENE_COURIER_HOME": str(Path(home, "courier")),
            "BLENDER_USER_RESOURCES": str(Path(home, "blender")),
            "TMPDIR": home,
        }
        process = subprocess.Popen(
            [sys.executable, "-u", str(script)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        assert process.stdout is not None
        lines = []
        try:
            for line in process.stdout:
                if line.startswith(_CHATTER):
                    continue
                lines.append(line.strip())
                print(f"   {line.rstrip()}", flush=True)
            return process.wait(_SECONDS), lines
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


if __name__ == "__main__":
    raise SystemExit(main())
