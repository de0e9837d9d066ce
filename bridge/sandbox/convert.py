# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's converter: a model in, SimReady USD and MJCF out, in a headless Blender.

``Conversion`` is what a converter gets, a callable that a test may replace. ``BlenderConverter``
is the real one: it turns other formats into a clean GLB (recipe ``to_glb``), then runs recipe
``simready``. It never runs Blender inside this process.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..blender import BlenderProgram, find_blender, run_recipe
from ..problems import Category, ProblemError

Progress = Callable[[float, str], None]


@dataclass
class Conversion:
    """One conversion's work order.

    ``input`` is the model's file; ``output`` an empty folder that receives ``usd/<name>/...`` and
    ``mjcf/...``; ``workdir`` is for parameters and logs. ``cancelled`` turns true when the sandbox
    stops.
    """

    job_id: str
    input: Path
    output: Path
    workdir: Path
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    cancelled: Callable[[], bool] = lambda: False
    timeout: float = 1800.0


class Converter(Protocol):
    """Converts; reports ``progress(fraction, text)``; returns the recipe's result.

    The result has ``usd`` and ``mjcf`` (paths below ``output``; mjcf may be absent), ``textures``
    (a list of such paths) and ``report``. Raises ProblemError to fail the job with its sentence,
    Canceled when ``conversion.cancelled`` asked for it.
    """

    def __call__(self, conversion: Conversion, progress: Progress) -> dict[str, Any]: ...


class BlenderConverter:
    """Converts for real. ``program`` None: SCENE_COURIER_BLENDER, else this Python's bpy."""

    def __init__(self, program: BlenderProgram | None = None) -> None:
        self._program = program

    @property
    def program(self) -> BlenderProgram:
        """The Blender that does the work; found once. Raises ProblemError(BLENDER)."""
        if self._program is None:
            self._program = find_blender(need_usd=True)
        return self._program

    def prepare(self, conversion: Conversion, progress: Progress) -> dict[str, Any]:
        """Turn another format into a GLB in ``workdir``: {"path", "stats", "steps"}."""
        target = conversion.workdir / "intermediate.glb"
        return self._run(
            "to_glb", {"input": str(conversion.input), "output": str(target)}, conversion, progress
        )

    def __call__(self, conversion: Conversion, progress: Progress) -> dict[str, Any]:
        """Run recipe ``simready``."""
        params = {
            "input": str(conversion.input),
            "output": str(conversion.output),
            "name": conversion.name,
            "options": conversion.options,
        }
        return self._run("simready", params, conversion, progress)

    def _run(
        self, recipe: str, params: dict[str, Any], conversion: Conversion, progress: Progress
    ) -> dict[str, Any]:
        log_path = conversion.workdir / f"{recipe}.log"
        conversion.workdir.mkdir(parents=True, exist_ok=True)
        with open(log_path, "a", encoding="utf-8") as log:
            return run_recipe(
                recipe,
                params,
                workdir=conversion.workdir,
                program=self.program,
                timeout=conversion.timeout,
                on_progress=progress,
                cancelled=conversion.cancelled,
                log=lambda line: print(line, file=log, flush=True),
            )


def check_glb(path: Path) -> dict[str, int]:
    """Check a GLB's container without loading it: {"meshes", "materials", "images"}.

    Follows the Khronos glTF 2.0 specification, "GLB File Format Specification". Raises
    ProblemError(INPUT) with a sentence that can be shown as the job's error.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(20)
        if len(head) < 20 or head[:4] != b"glTF":
            raise _bad_glb("The file is not a GLB.", "no glTF magic")
        version, length, json_length, json_kind = struct.unpack("<IIII", head[4:])
        if version != 2:
            raise _bad_glb(f"This GLB has version {version}; only version 2 can be read.", "")
        if length != size:
            raise _bad_glb("The GLB is incomplete.", f"says {length} bytes, has {size}")
        if json_kind != 0x4E4F534A or json_length > size - 20:
            raise _bad_glb("The GLB is damaged.", "first chunk is not JSON")
        try:
            content = json.loads(file.read(json_length))
            counts = {key: len(content.get(key, [])) for key in ("meshes", "materials", "images")}
        except (ValueError, AttributeError, TypeError, RecursionError):
            raise _bad_glb("The GLB is damaged.", "JSON chunk cannot be read") from None
    if counts["meshes"] == 0:
        raise _bad_glb("The GLB contains no mesh.", "")
    return counts


def _bad_glb(sentence: str, technical: str) -> ProblemError:
    return ProblemError(Category.INPUT, sentence, "Export the model again.", technical)
