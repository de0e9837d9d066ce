# SPDX-License-Identifier: GPL-3.0-or-later
"""Packing a scene with about 500 MB of random textures into an archive, beside three others.

    python tests/benchmarks/bench_pack.py [rounds]

The others: ``zip -0`` of the same files, Blender Asset Tracer's ZipPacker, and a plain copy of the
folder. In turns, so that the machine's mood cancels out; each is measured as a whole, its start
included (ours starts a Blender), and for ours also what the writing alone takes. Asserts nothing.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COUNT, SIZE = 30, 16_800_000

_MAKE = """
import os, sys
from pathlib import Path
import bpy
folder = Path(sys.argv[-1])
bpy.ops.wm.read_homefile(use_empty=True)
scene = bpy.context.scene
scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
scene.collection.objects.link(scene.camera)
bpy.ops.wm.save_as_mainfile(filepath=str(folder / "s.blend"))
for number in range(%d):
    name = f"t{number:02}.png"
    (folder / "tex" / name).write_bytes(os.urandom(%d))
    image = bpy.data.images.new(name, 1, 1)
    image.source, image.filepath, image.use_fake_user = "FILE", "//tex/" + name, True
bpy.ops.wm.save_as_mainfile(filepath=str(folder / "s.blend"))
sys.stdout.flush()
os._exit(0)
""" % (COUNT, SIZE)  # noqa: UP031  (braces in it)

_TRACER = """
import sys
from pathlib import Path
from blender_asset_tracer.pack.zipped import ZipPacker
project, target = Path(sys.argv[1]), Path(sys.argv[2])
with ZipPacker(project / "s.blend", project, target) as packer:
    packer.strategise()
    packer.execute()
"""

_WRITE = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from addon.recipes import zip_stream
project, target = Path(sys.argv[2]), Path(sys.argv[3])
files = [path for path in project.rglob("*") if path.is_file()]
start = time.perf_counter()
zip_stream.write(target, [
    zip_stream.Entry(path.relative_to(project).as_posix(), str(path), path.stat().st_size)
    for path in files
])
print(time.perf_counter() - start)
"""


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return done.stdout


def _timed(work: Callable[[], object], target: Path) -> tuple[float, int]:
    """Seconds that ``work`` takes to make ``target``, and the bytes of that; removes it again."""
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    if target.is_dir():
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
        shutil.rmtree(target)
    else:
        size = target.stat().st_size
        target.unlink()
    return seconds, size


def main(rounds: int) -> None:
    """Measure in turns, print medians and ratios."""
    sys.path.insert(0, str(ROOT))
    from bridge.blender import find_blender, run_recipe

    program = find_blender()
    with tempfile.TemporaryDirectory() as folder:
        project, out = Path(folder, "project"), Path(folder, "out")
        (project / "tex").mkdir(parents=True)
        out.mkdir()
        _run(sys.executable, "-c", _MAKE, str(project))
        (project / "s.blend1").unlink(missing_ok=True)

        def ours() -> None:
            params = {"blend": str(project / "s.blend"), "output": str(out / "ours"), "name": "s"}
            params |= {"folder": folder, "mode": "zip", "handles": 0}  # type: ignore[dict-item]
            run_recipe("pack_scene", params, workdir=out / "work", program=program, timeout=600)

        ways: dict[str, tuple[Callable[[], object], Path]] = {
            "packed, all in all": (ours, out / "ours" / "s.zip"),
            "copy": (lambda: shutil.copytree(project, out / "copy"), out / "copy"),
        }
        if shutil.which("zip"):
            ways["zip -0"] = (
                lambda: subprocess.run(
                    ["zip", "-q", "-r", "-0", str(out / "z.zip"), "."], cwd=project, check=True
                ),
                out / "z.zip",
            )
        try:
            import blender_asset_tracer  # noqa: F401

            ways["Asset Tracer"] = (
                lambda: _run(sys.executable, "-c", _TRACER, str(project), str(out / "bat.zip")),
                out / "bat.zip",
            )
        except ImportError:
            print("Blender Asset Tracer is not installed here")
        spent: dict[str, list[float]] = {name: [] for name in ["written", *ways]}
        sizes: dict[str, int] = {}
        for path in project.rglob("*.png"):
            path.read_bytes()[:1]  # into the page cache, for all alike
        for _ in range(rounds):
            for name, (work, target) in ways.items():
                seconds, sizes[name] = _timed(work, target)
                spent[name].append(seconds)
            answer = _run(sys.executable, "-c", _WRITE, str(ROOT), str(project), str(out / "w.zip"))
            spent["written"].append(float(answer))
            (out / "w.zip").unlink()
    middle = {name: statistics.median(values) for name, values in spent.items()}
    for name, seconds in middle.items():
        size = f", {sizes[name] / 1e6:,.0f} MB" if name in sizes else ""
        print(f"{name}: {seconds:.2f} s{size}")
    for name in ways:
        if name != "packed, all in all":
            print(f"ratio: packed / {name} {middle['packed, all in all'] / middle[name]:.2f}")
    print(f"ratio: written alone / copy {middle['written'] / middle['copy']:.2f}")
    if "zip -0" in middle:
        print(f"ratio: written alone / zip -0 {middle['written'] / middle['zip -0']:.2f}")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
