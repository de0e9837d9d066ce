# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of the demo share: its environment, recipes, commands, following, the end."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import launch, words
from ..blender import BlenderProgram, run_recipe
from ..jobs import Job, State
from ..problems import Category, ProblemError
from ..store import Store
from . import OK
from .output import say

_LONGEST_SECONDS = 900.0
# The managed sandbox and the worker leave soon after the last job.
_LEAVE_SECONDS = 20.0


@dataclass(frozen=True)
class Stage:
    """Where a demo plays: its folder and the Blender that does the work."""

    out: Path
    program: BlenderProgram

    def recipe(self, name: str, params: dict[str, Any]) -> dict[str, Any]:
        """Run a recipe and say what it does; Blender's own words go to demo.log."""
        last = ""

        def on_progress(_fraction: float, text: str) -> None:
            nonlocal last
            if text != last:
                last = text
                say(f"  {text}")

        with open(self.out / "demo.log", "a", encoding="utf-8") as log:
            return run_recipe(
                name,
                params,
                workdir=self.out / "work",
                program=self.program,
                timeout=_LONGEST_SECONDS,
                on_progress=on_progress,
                log=lambda line: print(line, file=log),
            )

    def command(self, words: list[str], hidden: list[str], more: str = "") -> dict[str, Any]:
        """Run a command as a person would type it; returns what its ``--json`` answers.

        ``hidden`` words are given too but not shown; ``more`` is said in their place.
        """
        from . import main

        shown = [short(Path(w)) if w.startswith(str(self.out)) else w for w in words]
        say(f"$ scene-courier {shlex.join(shown)}{f' {more}' if more else ''}")
        answer, talk = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(answer), contextlib.redirect_stderr(talk):
            code = main([*words, "--json", *hidden])
        if code != OK:
            sys.stderr.write(talk.getvalue())
            raise ProblemError(
                Category.INTERNAL,
                f"“{Path(words[1]).name}” could not be sent.",
                "",
                f"exit code {code}",
            )
        return dict(json.loads(answer.getvalue()))


@contextlib.contextmanager
def environment(home: Path, out: Path, program: BlenderProgram) -> Iterator[None]:
    """This process's environment for the demo: own data folder, own Blender user folder."""
    values = {
        "SCENE_COURIER_HOME": str(home),
        "SCENE_COURIER_BLENDER": program.executable,
        "BLENDER_USER_RESOURCES": str(out / "blender"),
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def follow(store: Store, jobs: dict[str, str]) -> list[Job]:
    """Wait for all jobs, with a line for each change; {job id: name} as it is shown."""
    shown: dict[str, str] = {}
    started = time.monotonic()
    end = started + _LONGEST_SECONDS
    while True:
        present = [job for job in (store.job(job_id) for job_id in jobs) if job is not None]
        for job in present:
            text = _standing(job)
            if shown.get(job.id) != text:
                shown[job.id] = text
                say(f"  {time.monotonic() - started:5.1f} s  {jobs[job.id]:8} {text}")
        if all(job.state.terminal for job in present):
            return present
        if time.monotonic() > end:
            raise ProblemError(
                Category.INTERNAL,
                "The demo takes too long and was given up.",
                "Look at worker.log and at the job logs in the demo's data folder.",
                f"{_LONGEST_SECONDS:.0f} s",
            )
        launch.ensure_worker(store.home)
        time.sleep(0.2)


def _standing(job: Job) -> str:
    """The state of a job, and every quarter of its frames."""
    label = words.state_label(job)
    if job.state is not State.REMOTE or job.phase_unit != "frames" or job.phase_total < 4:
        return label
    quarter = job.phase_total // 4
    done = int(job.phase_done // quarter * quarter)
    return f"{label}, {done} of {job.phase_total:.0f} frames" if done else label


def stop(home: Path) -> None:
    """Ask worker and sandbox of the demo's own data folder to leave, and wait for it."""
    with contextlib.suppress(ProblemError, OSError, ValueError, KeyError):
        if launch.worker_running(home):
            launch.stop_worker(home)
        folder = home / "sandbox"
        if launch.locked(folder / launch.SANDBOX_LOCK):
            # The lock is held, so the process that wrote its number there is alive.
            address = json.loads((folder / "address.json").read_text(encoding="utf-8"))
            os.kill(int(address["pid"]), signal.SIGTERM)
        end = time.monotonic() + _LEAVE_SECONDS
        while launch.worker_running(home) and time.monotonic() < end:
            time.sleep(0.1)


def short(path: Path) -> str:
    """A path as a person at this place would type it."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
