# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's render farm: recipes in a headless Blender look at a scene and render it.

``SceneWork`` is the work order; a renderer is what fulfils it, and a test may replace it.
``BlenderRenderer`` is the real one. It takes the Blender that fits the file, as the service says
that it does: of those known here the same version, else the next newer one, else its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..blend_file import version as saved_by
from ..blender import BlenderProgram, find_blender, probe, run_recipe
from ..problems import ProblemError

Told = Callable[[dict[str, Any]], None]
#: beside the sandbox's jobs: a JSON list of the Blenders that sent scenes here
KNOWN_BLENDERS = "blenders.json"


@dataclass
class SceneWork:
    """One job's work order.

    ``blend`` is the scene's file, ``output`` the folder that receives ``frames/`` and
    ``compositor/<node>/``, ``workdir`` is for parameters and logs. ``cancelled`` turns true when
    the job is canceled or the sandbox stops; it is asked many times a second. ``told`` hears of
    each frame: {"frame", "begun": true, "done", "total"} and {"frame", "done", "total", "seconds"}.
    """

    job_id: str
    blend: Path
    output: Path
    workdir: Path
    config: dict[str, Any] = field(default_factory=dict)
    frames: list[int] = field(default_factory=list)
    cancelled: Callable[[], bool] = lambda: False
    told: Told = lambda _fact: None
    timeout: float = 86_400.0


class Renderer(Protocol):
    """Looks at scenes and renders them. Raises ProblemError to fail the job, Canceled."""

    def analyze(self, work: SceneWork) -> dict[str, Any]:
        """The analysis, as recipe ``analyze_scene`` describes it."""
        ...

    def render(self, work: SceneWork) -> dict[str, Any]:
        """Render what is not there yet; the result that recipe ``render_scene`` describes."""
        ...

    def video(self, work: SceneWork, result: dict[str, Any]) -> Path | None:
        """One video of the frames of ``result`` (as ``render`` gave it), or None."""
        ...


class BlenderRenderer:
    """Renders for real. ``program`` None: SCENE_COURIER_BLENDER, else this Python's bpy.

    ``known`` is the file with the other Blenders of this computer; read anew for each job.
    """

    def __init__(self, program: BlenderProgram | None = None, known: Path | None = None) -> None:
        self._program = program
        self._known = known

    def program_for(self, blend: Path) -> BlenderProgram:
        """The Blender for a file. Raises ProblemError: INPUT for no .blend, BLENDER for none."""
        wanted = saved_by(blend)
        if self._program is None:
            try:
                self._program = find_blender()
            except ProblemError:
                # What somebody named wrongly is told, not replaced.
                if os.environ.get("SCENE_COURIER_BLENDER", "").strip():
                    raise
        programs = [self._program] if self._program else []
        for executable in self._others():
            with contextlib.suppress(ProblemError):
                programs.append(probe(executable))
        if wanted is None or not programs:
            return programs[0] if programs else find_blender()
        newer = [item for item in programs if item.version[:2] >= wanted]
        if not newer:
            return programs[0]  # it says itself that the file is of a newer Blender
        return min(newer, key=lambda item: item.version[:2])

    def _others(self) -> list[str]:
        if self._known is None:
            return []
        try:
            found = json.loads(self._known.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return [str(item) for item in found] if isinstance(found, list) else []

    def analyze(self, work: SceneWork) -> dict[str, Any]:
        """Run recipe ``analyze_scene``."""
        return self._run("analyze_scene", {"input": str(work.blend)}, work)

    def render(self, work: SceneWork) -> dict[str, Any]:
        """Run recipe ``render_scene``, which resumes by itself."""
        params = {
            "input": str(work.blend),
            "output": str(work.output),
            "config": work.config,
            "frames": work.frames,
            "device": "CPU",
            "preview": str(work.output / "preview.jpg"),
        }
        return self._run("render_scene", params, work)

    def video(self, work: SceneWork, result: dict[str, Any]) -> Path | None:
        """Run recipe ``make_video``; None where this Blender has no ffmpeg, or for one frame."""
        frames = [
            {"frame": item["frame"], "path": str(work.output / item["files"][0]["path"])}
            for item in result["frames"]
            if item["files"]
        ]
        if len(frames) < 2:
            return None
        target = work.output / f"{video_name(work.blend)}.mp4"
        params = {"frames": frames, "output": str(target), "fps": result["fps"]}
        if result.get("color"):
            params["color"] = result["color"]
        made = self._run("make_video", params, work)
        return target if made.get("available") else None

    def _run(self, recipe: str, params: dict[str, Any], work: SceneWork) -> dict[str, Any]:
        work.workdir.mkdir(parents=True, exist_ok=True)
        with open(work.workdir / f"{recipe}.log", "a", encoding="utf-8") as log:
            return run_recipe(
                recipe,
                params,
                workdir=work.workdir,
                program=self.program_for(work.blend),
                timeout=work.timeout,
                on_extra=work.told,
                cancelled=work.cancelled,
                log=lambda line: print(line, file=log, flush=True),
            )


def video_name(blend: Path) -> str:
    """The name of a job's video, without its suffix: the scene's own."""
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", blend.stem).strip(". ")[:80] or "video"
