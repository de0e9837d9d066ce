# SPDX-License-Identifier: GPL-3.0-or-later
"""Real workers that send scenes to the sandbox's render farm, whose renderer is a canned one."""

from __future__ import annotations

import math
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge import commands
from bridge.jobs import Job, State
from bridge.sandbox.renderjuice_canned import TINY_BLEND, CannedRenderer
from bridge.services import SERVICES
from bridge.store import Store
from tests.support.worker_runs import WorkerRun


def tiny_zip(path: Path, padding: int = 0) -> Path:
    """A scene's archive as the packer makes it; ``padding`` bytes of texture."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scene.blend", TINY_BLEND)
        archive.writestr("assets/texture.png", os.urandom(padding) if padding else b"x")
    return path


@dataclass
class FarmRun(WorkerRun):
    """A data folder, a sandbox with the render farm, and workers that know both."""

    renderer: CannedRenderer = field(default_factory=CannedRenderer)

    def environment(self) -> dict[str, str]:
        """What the workers see."""
        farm = self.box.services["renderjuice"]
        return {
            **super().environment(),
            "RENDERJUICE_BASE_URL": farm.base_url,
            "RENDERJUICE_API_KEY": self.key or farm.api_key,
        }

    def queue(self, **changes: Any) -> Job:
        """A job for a ready .zip; agreed to, unless ``approved_credits`` says otherwise."""
        path = self.files / "Küche.zip"
        if not path.exists():
            tiny_zip(path)
        options = SERVICES["renderjuice"].checked(changes.pop("options", {}))
        fields: dict[str, Any] = {
            "service": "renderjuice",
            "name": "Küche 🪑",
            "input_kind": "file",
            "input_path": str(path),
            "base_url": self.box.services["renderjuice"].base_url,
            "approved_credits": math.inf,
            "options": options,
        }
        with Store.open(self.home) as store:
            return commands.submit(store, Job(**{**fields, **changes}))

    def farm_jobs(self) -> list[dict[str, Any]]:
        """The jobs that the farm has, as its own list tells them."""
        import requests

        farm = self.box.services["renderjuice"]
        answer = requests.get(
            f"{farm.base_url}/jobs",
            headers={"Authorization": f"Bearer {farm.api_key}"},
            timeout=30,
        )
        return list(answer.json()["jobs"])

    def assert_rendered_once(self, job: Job, frames: int = 3) -> Job:
        """The job is done with its frames; the farm rendered one job, each frame once."""
        ended = self.read(job)
        assert ended.state is State.DONE, (ended.state, ended.problem, ended.notes)
        found = [result for result in ended.results if result.kind == "frame"]
        assert len(found) == frames
        for result in ended.results:
            assert Path(result.path).stat().st_size == result.bytes
        assert ended.report["frames"]["arrived"] == frames
        assert ended.report["frames"]["missing"] == ""
        assert len(self.started()) == 1
        return ended

    def started(self) -> list[str]:
        """The ids of the farm's jobs that were ever rendered."""
        for identifier, done in self.renderer.rendered.items():
            assert len(done) == len(set(done)), f"{identifier}: a frame was rendered twice"
        return list(self.renderer.rendered)
