# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts one recipe in this process and writes what came of it to a file.

    PYTHON run.py NAME PARAMS.json RESULT.json                                  (bpy wheel)
    blender -b --factory-startup --disable-autoexec --python run.py -- NAME PARAMS.json RESULT.json

The result file is the only sign of success: Blender 4.2 may crash while it exits although all the
work is done, so this process leaves by ``os._exit`` as soon as the file is in place.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MARK = "@courier "


def progress(fraction: float, text: str, extra: dict[str, Any] | None = None) -> None:
    """Report progress to the starting process; ``fraction`` is 0..1, ``extra`` what else it is told
    (JSON-able; each one arrives, while of several fractions only the last may).
    """
    data: dict[str, Any] = {"fraction": max(0.0, min(1.0, float(fraction))), "text": text}
    if extra is not None:
        data["extra"] = extra
    sys.stdout.write(f"{MARK}{json.dumps(data)}\n")
    sys.stdout.flush()


def _end_with_starter() -> None:
    """Leave when the starting process dies: its end of our standard input closes then.

    A recipe that went on alone would write into a folder that the next worker uses again.
    """

    def watch() -> None:
        if sys.platform == "win32":
            _wait_on_windows()
        else:
            while os.read(0, 64):
                pass
        os._exit(9)

    if os.environ.get("SCENE_COURIER_WATCH"):
        threading.Thread(target=watch, daemon=True).start()


def _wait_on_windows() -> None:
    """Return when standard input has closed.

    A read that waits on a pipe holds up every library that looks at the standard handles while it
    is loaded, so the pipe is only peeked at.
    """
    if sys.platform == "win32":
        import ctypes
        import msvcrt

        handle = msvcrt.get_osfhandle(0)
        while ctypes.windll.kernel32.PeekNamedPipe(
            ctypes.c_void_p(handle), None, 0, None, None, None
        ):
            time.sleep(0.5)


def _arguments() -> tuple[str, Path, Path]:
    given = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    name, params, result = given
    return name, Path(params), Path(result)


def _write(path: Path, answer: dict[str, Any]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(answer, file, ensure_ascii=False, default=str)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _run(name: str, params_path: Path) -> dict[str, Any]:
    from bridge.problems import Category, Problem, ProblemError

    try:
        with open(params_path, encoding="utf-8") as file:
            params = json.load(file)
        import bpy  # noqa: F401  (bmesh and mathutils are there only after it)

        recipe = importlib.import_module(f"addon.recipes.{name}")
        return {"ok": True, "result": recipe.main(params, progress)}
    except ProblemError as error:
        return {"ok": False, "problem": error.problem.to_dict()}
    except MemoryError:
        problem = Problem(
            Category.BLENDER,
            "Blender ran out of memory while it worked on the scene.",
            "Close other programs, or send fewer or simpler objects.",
            f"MemoryError in recipe {name}",
        )
        return {"ok": False, "problem": problem.to_dict()}
    except Exception as error:
        traceback.print_exc()
        problem = Problem(
            Category.BLENDER,
            "Blender could not finish its part of the work.",
            "Look at the job's log; if the scene opens and exports by hand, please report this.",
            f"{type(error).__name__}: {error} (recipe {name})",
        )
        return {"ok": False, "problem": problem.to_dict()}


def main() -> None:
    """Run the recipe that the command line names, then leave at once."""
    name, params_path, result_path = _arguments()
    _end_with_starter()
    # This is a process of our own: its path may be set (the artist's Blender's never is).
    sys.path.insert(0, str(ROOT))
    code = 1
    try:
        answer = _run(name, params_path)
        _write(result_path, answer)
        code = 0 if answer["ok"] else 3
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
