# SPDX-License-Identifier: GPL-3.0-or-later
"""How long Send holds Blender's main thread, beside a bare copy of the same scene.

The scene has one mesh of a million triangles; a second one has a thousand small objects with a
modifier each besides. Both write to the same disk, in turns, so that whatever else the computer
does troubles both alike. The budget is the bare copy plus 20 ms.
"""

from __future__ import annotations

import importlib
import os
import shutil
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 15
JOB = {"id": "0" * 32, "name": "Bench", "service": "rigyd", "options": {}}


def _scene(small: int) -> None:
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=707, y_subdivisions=707)
    many = bpy.context.object
    mesh = bpy.data.meshes.new("Small")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    for number in range(small):
        item = bpy.data.objects.new(f"Small {number}", mesh)
        item.modifiers.new("Bevel", "BEVEL")
        bpy.context.collection.objects.link(item)
        item.select_set(True)
    many.select_set(True)
    bpy.context.view_layer.update()
    print(f"Blender {bpy.app.version_string}, {2 * len(many.data.polygons):,} triangles, "
          f"{len(bpy.context.selected_objects)} objects selected")  # fmt: skip


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


def _measure(capture: types.ModuleType, small: int) -> None:
    import bpy

    bare: list[float] = []
    send: list[float] = []
    with tempfile.TemporaryDirectory(prefix="courier-bench-") as place:
        for number in range(ROUNDS):
            folder = Path(place, str(number))

            def copy(folder: Path = folder) -> None:
                folder.mkdir()
                bpy.ops.wm.save_as_mainfile(
                    filepath=str(folder / "scene.blend"), copy=True, compress=False
                )

            def click(folder: Path = folder) -> None:
                capture.notes(bpy.context, {})
                capture.capture(bpy.context, folder, job=JOB)

            for times, call in ((bare, copy), (send, click))[:: 1 if number % 2 else -1]:
                times.append(_timed(call))
                shutil.rmtree(folder)
    print(f"bare copy  median {statistics.median(bare):7.1f} ms, best {min(bare):7.1f} ms")
    print(f"Send       median {statistics.median(send):7.1f} ms, best {min(send):7.1f} ms")
    extra = statistics.median(send) - statistics.median(bare)
    print(f"difference median {extra:+7.1f} ms, best {min(send) - min(bare):+7.1f} ms (budget 20)")
    ratio = statistics.median(send) / statistics.median(bare)
    print(f"ratio Send : bare copy, {small + 1} objects  {ratio:.2f}")


def main() -> None:
    """Measure and print."""
    try:
        import bpy  # noqa: F401
    except ImportError:
        print("this Python has no bpy")
        return
    package = types.ModuleType("scene_courier")
    package.__path__ = [str(ROOT)]
    sys.modules["scene_courier"] = package
    capture = importlib.import_module("scene_courier.addon.capture")
    for small in (0, 1000):
        _scene(small)
        _measure(capture, small)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
