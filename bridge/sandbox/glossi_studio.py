# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's photo studio: recipes in a headless Blender look at models and take the pictures.

``ModelWork`` and ``ProjectWork`` are the work orders; a studio is what fulfils them, and a test may
replace it. ``BlenderStudio`` is the real one.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..blender import BlenderProgram, find_blender, probe, run_recipe
from ..problems import ProblemError


@dataclass
class ModelWork:
    """A model to look at: ``path`` is its GLB, ``output`` the folder for its thumbnail.

    ``workdir`` is for parameters and logs. ``cancelled`` turns true when the sandbox stops; it is
    asked many times a second. ``timeout`` is in seconds.
    """

    model_id: str
    name: str
    path: Path
    output: Path
    workdir: Path
    cancelled: Callable[[], bool] = lambda: False
    timeout: float = 1800.0

    @property
    def thumbnail(self) -> Path:
        """Where the studio puts a small JPEG of the model, if it makes one."""
        return self.output / "thumbnail.jpg"


@dataclass
class ProjectWork:
    """A project to render: ``models`` are GLBs, ``names`` their names, ``template`` a scene's key.

    ``settings`` are those of ``POST /renders``, complete. ``output`` receives the files.
    """

    job_id: str
    project: str
    template: str
    models: list[Path]
    names: list[str]
    settings: dict[str, Any]
    output: Path
    workdir: Path
    cancelled: Callable[[], bool] = lambda: False
    timeout: float = 86_400.0
    told: Callable[[dict[str, Any]], None] = field(default=lambda _fact: None)


class Studio(Protocol):
    """Looks at models and renders projects. Raises ProblemError to fail one, Canceled."""

    def check(self, work: ModelWork) -> dict[str, Any]:
        """Facts about a model that can be used, as recipe ``studio_check`` describes them."""
        ...

    def render(self, work: ProjectWork) -> dict[str, Any]:
        """``{"renders": [{"name", "path", "fileType", "isVideo"}]}``; paths in ``output``."""
        ...


class BlenderStudio:
    """Works for real. ``program`` None: SCENE_COURIER_BLENDER, else this Python's bpy.

    ``known`` is the file with the other Blenders of this computer, for when there is neither.
    ``more`` goes to recipe ``studio_render`` too ("samples", "scale", "frames": for tests, which
    may also set it as JSON in the environment, SCENE_COURIER_STUDIO).
    """

    def __init__(
        self,
        program: BlenderProgram | None = None,
        known: Path | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        self._program = program
        self._known = known
        self._more = more or json.loads(os.environ.get("SCENE_COURIER_STUDIO") or "{}")

    def check(self, work: ModelWork) -> dict[str, Any]:
        """Run recipe ``studio_check``."""
        params = {
            "model": str(work.path),
            "name": work.name,
            "thumbnail": str(work.thumbnail),
        }
        return self._run("studio_check", params, work)

    def render(self, work: ProjectWork) -> dict[str, Any]:
        """Run recipe ``studio_render``."""
        params = {
            "template": work.template,
            "models": [str(path) for path in work.models],
            "names": work.names,
            "settings": work.settings,
            "output": str(work.output),
            "project": work.project,
            **self._more,
        }
        return self._run("studio_render", params, work)

    def _run(
        self, recipe: str, params: dict[str, Any], work: ModelWork | ProjectWork
    ) -> dict[str, Any]:
        work.workdir.mkdir(parents=True, exist_ok=True)
        with open(work.workdir / f"{recipe}.log", "a", encoding="utf-8") as log:
            return run_recipe(
                recipe,
                params,
                workdir=work.workdir,
                program=self._blender(),
                timeout=work.timeout,
                on_extra=work.told if isinstance(work, ProjectWork) else None,
                cancelled=work.cancelled,
                log=lambda line: print(line, file=log, flush=True),
            )

    def _blender(self) -> BlenderProgram:
        """The Blender that works. Raises ProblemError(BLENDER) when there is none."""
        if self._program is None:
            try:
                self._program = find_blender()
            except ProblemError:
                self._program = self._other()
                if self._program is None:
                    raise
        return self._program

    def _other(self) -> BlenderProgram | None:
        found: Any = []
        if self._known is not None:
            with contextlib.suppress(OSError, ValueError):
                found = json.loads(self._known.read_text(encoding="utf-8"))
        for executable in found if isinstance(found, list) else []:
            with contextlib.suppress(ProblemError):
                return probe(str(executable))
        return None
