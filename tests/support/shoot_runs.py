# SPDX-License-Identifier: GPL-3.0-or-later
"""Real workers that send products to the sandbox's Glossi, whose studio is a canned one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge import commands
from bridge.jobs import FILES, Job, State
from bridge.sandbox.canned import tiny_glb
from bridge.sandbox.glossi_canned import CannedStudio
from bridge.services import SERVICES
from bridge.store import Store
from tests.support.worker_runs import WorkerRun

PRODUCTS = ("Stuhl", "Lampe 💡", "Vase")


@dataclass
class ShootRun(WorkerRun):
    """A data folder, a sandbox with Glossi, and workers that know both."""

    studio: CannedStudio = field(default_factory=CannedStudio)

    def environment(self) -> dict[str, str]:
        """What the workers see."""
        glossi = self.box.services["glossi"]
        return {
            **super().environment(),
            "GLOSSI_BASE_URL": glossi.base_url,
            "GLOSSI_API_KEY": self.key or glossi.api_key,
        }

    def products(self, names: tuple[str, ...] = PRODUCTS) -> list[str]:
        """Ready GLBs of these names."""
        paths = []
        for name in names:
            path = self.files / f"{name}.glb"
            if not path.exists():
                path.write_bytes(tiny_glb())
            paths.append(str(path))
        return paths

    def queue(self, **changes: Any) -> Job:
        """A job for three ready GLBs; agreed to, unless ``approved_credits`` says otherwise."""
        files = changes.pop("files", None) or self.products()
        options = SERVICES["glossi"].checked(
            {"template": "Studio Light", **changes.pop("options", {})}
        )
        fields: dict[str, Any] = {
            "service": "glossi",
            "name": "Stuhl and 2 more",
            "input_kind": FILES,
            "input_path": files[0],
            "origin": {"files": files},
            "base_url": self.box.services["glossi"].base_url,
            "approved_credits": math.inf,
            "options": options,
        }
        with Store.open(self.home) as store:
            return commands.submit(store, Job(**{**fields, **changes}))

    def assert_shot_once(self, job: Job, stills: int = 6) -> Job:
        """The job is done with its stills; each product was rendered once."""
        ended = self.read(job)
        assert ended.state is State.DONE, (ended.state, ended.problem, ended.notes)
        found = [result for result in ended.results if result.kind == "still"]
        assert len(found) == stills, (ended.results, ended.notes)
        for result in ended.results:
            assert Path(result.path).stat().st_size == result.bytes
        assert len(self.studio.rendered) == len(set(self.studio.rendered))
        return ended

    def renders_started(self) -> int:
        """How many render jobs the service was asked for (POST /renders that it took)."""
        return len(set(self.studio.rendered))
