# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tick of the pump costs Blender's main thread with 200 jobs in the list.

Blender's timers do not fire without a window, so the ticks are called here. The budget is 2 ms for
a tick that has something to show and 0.2 ms for one that has not.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
JOBS = 200
# The worker must not start here: it would work on the jobs and spoil the quiet.
os.environ["SCENE_COURIER_NO_WORKER"] = "1"


def _row(label: str, times: list[float], budget: float) -> None:
    times = sorted(times)
    middle, worst = statistics.median(times), times[int(0.99 * (len(times) - 1))]
    print(f"{label:34} median {1000 * middle:7.3f} ms, 99th {1000 * worst:7.3f} ms")
    print(f"ratio {label} : budget of {1000 * budget:g} ms  {middle / budget:.2f}")


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    try:
        import bpy  # noqa: F401
    except ImportError:
        print("this Python has no bpy")
        return
    import importlib

    package = types.ModuleType("scene_courier")
    package.__path__ = [str(ROOT)]
    sys.modules["scene_courier"] = package
    addon = importlib.import_module("scene_courier.addon")
    pump = importlib.import_module("scene_courier.addon.pump")
    session = importlib.import_module("scene_courier.addon.session")
    jobs = importlib.import_module("scene_courier.bridge.jobs")
    paths = importlib.import_module("scene_courier.bridge.paths")
    store_module = importlib.import_module("scene_courier.bridge.store")
    home = paths.ensure_home(paths.data_home())
    store = store_module.Store.open(home)
    made = [
        store.insert_job(jobs.Job(service="rigyd", name=f"Object {number}"))
        for number in range(JOBS)
    ]
    addon.register()
    now = session.current()

    def look() -> None:
        now.drawn_at = time.monotonic()

    look()
    filling = [_timed(pump.tick) for _ in range(2 * JOBS // session.BATCH)]
    print(f"filling an empty list with {JOBS} jobs: {1000 * sum(filling):.1f} ms in all, "
          f"longest tick {1000 * max(filling):.2f} ms")  # fmt: skip
    assert len(now.jobs) == JOBS, len(now.jobs)

    one, many, quiet, closed = [], [], [], []
    for turn in range(300):
        store.update_job(made[turn % JOBS].id, phase_done=turn, phase_total=300)
        look()
        one.append(_timed(pump.tick))
    for turn in range(20):
        for job in made[:: JOBS // 10]:
            store.update_job(job.id, phase_done=turn, phase_total=20)
        look()
        many.append(_timed(pump.tick))
    for _ in range(20):
        pump.tick()
    for _ in range(2000):
        look()
        quiet.append(_timed(pump.tick))
    now.drawn_at = -1e9
    for _ in range(2000):
        closed.append(_timed(pump.tick))
    _row("one of 200 jobs changed", one, 0.002)
    _row("ten of 200 jobs changed", many, 0.002)
    _row("nothing changed, panel open", quiet, 0.0002)
    _row("nothing changed, panel closed", closed, 0.0002)
    addon.unregister()
    store.close()


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
