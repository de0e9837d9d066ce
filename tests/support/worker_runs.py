# SPDX-License-Identifier: GPL-3.0-or-later
"""Real worker processes for tests: queue a job, start a worker, wait, read what became of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge import commands
from bridge.jobs import Job, State
from bridge.sandbox import Sandbox
from bridge.sandbox.canned import tiny_glb
from bridge.store import Store

ROOT = Path(__file__).resolve().parents[2]
QUICK = {
    "poll_seconds": 0.1,
    "reconcile_seconds": 0.3,
    "idle_seconds": 0.5,
    "retries": 1,
    "retry_cap_seconds": 0.2,
    "connect_seconds": 3,
    "read_seconds": 3,
}


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until it is true; fails the test when it does not become so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def large_glb(path: Path, more: int = 16 * 1024 * 1024) -> Path:
    """A GLB that takes a while to send: one more chunk of an unknown kind, which readers skip.

    (glTF 2.0, GLB File Format Specification, Chunks.)
    """
    whole = tiny_glb() + more.to_bytes(4, "little") + b"SPAR" + bytes(more)
    path.write_bytes(whole[:8] + len(whole).to_bytes(4, "little") + whole[12:])
    return path


@dataclass
class WorkerRun:
    """A data folder, a sandbox, and workers that are given both by their environment."""

    home: Path
    box: Sandbox
    files: Path
    settings: dict[str, Any] = field(default_factory=dict)
    key: str = ""

    def environment(self) -> dict[str, str]:
        """What the workers see."""
        return {
            **os.environ,
            "SCENE_COURIER_HOME": str(self.home),
            "SCENE_COURIER_SETTINGS": json.dumps({**QUICK, **self.settings}),
            "RIGYD_BASE_URL": self.box.rigyd.base_url,
            "RIGYD_API_KEY": self.key or self.box.rigyd.api_key,
        }

    def queue(self, **changes: Any) -> Job:
        """A job for a ready GLB, approved for one credit."""
        glb = self.files / "chair.glb"
        if not glb.exists():
            glb.write_bytes(tiny_glb())
        fields: dict[str, Any] = {
            "service": "rigyd",
            "name": "Stühle 🪑",
            "input_kind": "file",
            "input_path": str(glb),
            "base_url": self.box.rigyd.base_url,
            "approved_credits": 1.0,
            "options": {"format": "all"},
        }
        with Store.open(self.home) as store:
            return commands.submit(store, Job(**{**fields, **changes}))

    def start(self, crash_at: str = "") -> subprocess.Popen[bytes]:
        """A worker process in the foreground of nobody."""
        more = {"SCENE_COURIER_CRASH_AT": crash_at} if crash_at else {}
        return subprocess.Popen(
            [sys.executable, "-m", "bridge", "worker"],
            cwd=ROOT,
            env={**self.environment(), **more},
        )

    def finish(self, job: Job, seconds: float = 60) -> Job:
        """Let a worker run until it has nothing to do, and read the job."""
        assert self.start().wait(seconds) == 0
        return self.read(job)

    def until(self, job: Job, condition: Callable[[Job], bool], seconds: float = 30) -> Job:
        """Run a worker until the job fits, then kill that worker."""
        worker = self.start()
        try:
            wait_for(lambda: condition(self.read(job)), seconds)
        finally:
            worker.kill()
            worker.wait(10)
        return self.read(job)

    def read(self, job: Job) -> Job:
        """The job as the store has it now."""
        with Store.open(self.home) as store:
            found = store.job(job.id)
        assert found is not None
        return found

    @property
    def paid(self) -> int:
        """How many paid submits the sandbox has accepted."""
        return int(self.box.journal()["paid_submits"])

    def assert_done_once(self, job: Job) -> None:
        """The job is done with whole results, and was paid exactly once."""
        ended = self.read(job)
        assert ended.state is State.DONE, ended.problem
        assert {"usd", "mjcf", "texture"} <= {result.kind for result in ended.results}
        for result in ended.results:
            assert Path(result.path).stat().st_size == result.bytes
        assert ended.credits_charged == 1
        assert self.paid == 1
