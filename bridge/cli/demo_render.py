# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's second half: an animation goes to the render farm on this computer, frames come back.

The scene links a library with textures of its own, so that what is sent is a package.
"""

from __future__ import annotations

from pathlib import Path

from ..jobs import Job
from ..problems import Category, ProblemError
from ..services import SERVICES
from ..store import Store
from .demo_stage import Stage, follow, short
from .output import say


def render(store: Store, stage: Stage, fast: bool) -> list[Job]:
    """Build the animation, send it by the ordinary command, wait for its frames.

    Returns the job in its last state.
    """
    if "renderjuice" not in SERVICES:
        return []
    folder = stage.out / "animation"
    made = stage.recipe("demo_animation", {"output": str(folder)})
    say(f"Built {short(Path(made['path']))}: {made['frames']} frames, {len(made['files'])} files")
    results = stage.out / "results" / "Turntable"
    command = ["send", made["path"], "--to", "renderjuice", "--sandbox", "--out", str(results)]
    command += ["--option", f"frames=1-{made['frames']}"]
    if fast:
        command += ["--option", "resolution_percentage=50"]
    answer = stage.command([*command, "--yes"], [])
    return follow(store, {answer["id"]: "Turntable"})


def frames_of(job: Job) -> list[Path]:
    """The frames that came back, in order."""
    return sorted(Path(result.path) for result in job.results if result.kind == "frame")


def contact_sheet(job: Job, stage: Stage) -> Path:
    """All frames in one picture; returns its path. Raises ProblemError when none came back."""
    frames = frames_of(job)
    if not frames:
        raise ProblemError(Category.INTERNAL, "The animation came back without frames.")
    target = stage.out / "contact-sheet.png"
    params = {
        "frames": [str(path) for path in frames],
        "output": str(target),
        "columns": 8,
        "width": 192,
    }
    stage.recipe("contact_sheet", params)
    videos = [result.path for result in job.results if result.kind == "video"]
    say(f"  {len(frames)} frames{f', {short(Path(videos[0]))}' if videos else ''}")
    return target
