# SPDX-License-Identifier: GPL-3.0-or-later
"""What starting costs: ``scene-courier --version``, and the extension's ``register()``.

Prints times beside a bare Python's, and which modules came in.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = 9
HEAVY = (
    "requests",
    "urllib3",
    "keyring",
    "sqlite3",
    "ssl",
    "numpy",
    "multipart",
    "tqdm",
    "asyncio",
)

_VERSION = """
import sys
before = set(sys.modules)
from bridge.cli import main
try:
    main(["--version"])
except SystemExit:
    pass
import json
sys.stderr.write(json.dumps(sorted(set(sys.modules) - before)))
"""

# Registers the add-on from the clone, under a parent package as Blender would.
_REGISTER = """
import json, os, sys, time, types
import bpy
package = types.ModuleType("scene_courier")
package.__path__ = [ROOT]
package.__package__ = "scene_courier"
sys.modules["scene_courier"] = package
before = set(sys.modules)
started = time.perf_counter()
import importlib
addon = importlib.import_module("scene_courier.addon")
addon.register()
took = time.perf_counter() - started
again = []
for _ in range(5):
    addon.unregister()
    started = time.perf_counter()
    addon.register()
    again.append(time.perf_counter() - started)
addon.unregister()
sys.stderr.write(json.dumps([took, sorted(again)[2], sorted(set(sys.modules) - before)]))
sys.stderr.flush()
sys.stdout.flush()
os._exit(0)
"""


def _seconds(*arguments: str) -> float:
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _heavy(modules: list[str]) -> str:
    tops = {module.partition(".")[0] for module in modules}
    return ", ".join(name for name in HEAVY if name in tops) or "none"


def main() -> None:
    """Measure and print."""
    bare = _seconds("-c", "pass")
    version = _seconds("-m", "bridge", "--version")
    told = subprocess.run(
        [sys.executable, "-c", _VERSION], cwd=ROOT, check=True, capture_output=True, text=True
    )
    modules = json.loads(told.stderr)
    print(f"python -c pass              {1000 * bare:7.1f} ms")
    print(f"scene-courier --version     {1000 * version:7.1f} ms, {len(modules)} modules more")
    print(f"  heavy ones among them: {_heavy(modules)}")
    print(f"ratio --version : bare Python  {version / bare:.2f}")
    if importlib.util.find_spec("bpy") is None:
        print("register(): this Python has no bpy")
        return
    done = subprocess.run(
        [sys.executable, "-c", _REGISTER.replace("ROOT", repr(str(ROOT)), 1)],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    try:
        first, again, modules = json.loads(done.stderr.splitlines()[-1])
    except (ValueError, IndexError):
        print(f"register(): could not be measured: {done.stderr.strip()[-300:]}")
        return
    print(f"register(), first           {1000 * first:7.1f} ms, {len(modules)} modules more")
    print(f"register(), again           {1000 * again:7.1f} ms")
    print(f"  heavy ones among them: {_heavy(modules)}")


if __name__ == "__main__":
    main()
