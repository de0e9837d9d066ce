# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's third part: three products go to the photo studio on this computer.

All three get stills in one template; the lamp gets a video on the turntable too, by the other of
the two workflows.
"""

from __future__ import annotations

from pathlib import Path

from ..jobs import Job
from ..problems import Category, ProblemError
from ..services import SERVICES
from ..store import Store
from .demo_stage import Stage, follow, short
from .output import say

_STILLS = ("template=Studio Light", "image_quality=720p")
_VIDEO = (
    "template=Turntable",
    "workflow=steps",
    "bookmarks=false",
    "shots=true",
    "video_quality=fast",
    "video_resolution=720p",
)


def shoot(store: Store, stage: Stage, fast: bool) -> list[Job]:
    """Build the products, send them by the ordinary command, wait for their pictures.

    Returns the jobs in their last state; ``fast`` leaves the video out.
    """
    if "glossi" not in SERVICES:
        return []
    folder = stage.out / "products"
    products = stage.recipe("demo_products", {"output": str(folder)})["products"]
    say(f"Built {len(products)} products with material variants in {short(folder)}")
    jobs = {_send(stage, products, _STILLS, "Stills"): "Stills"}
    finished = follow(store, jobs)
    if fast or any(job.problem is not None for job in finished):
        return finished
    jobs = {_send(stage, products[:1], _VIDEO, "Video"): "Video"}
    return finished + follow(store, jobs)


def _send(stage: Stage, products: list[dict[str, str]], options: tuple[str, ...], name: str) -> str:
    """Send products by the ordinary command; returns the job's id."""
    paths = [str(entry["path"]) for entry in products]
    results = stage.out / "results" / name
    command = ["send", *paths, "--to", "glossi", "--sandbox", "--out", str(results)]
    for option in options:
        command += ["--option", option]
    return str(stage.command([*command, "--yes"], [])["id"])


def product_sheet(jobs: list[Job], stage: Stage) -> Path:
    """All stills in one picture; returns its path. Raises ProblemError when none came back."""
    results = [result for job in jobs for result in job.results]
    stills = sorted(result.path for result in results if result.kind == "still")
    if not stills:
        raise ProblemError(Category.INTERNAL, "The products came back without pictures.")
    target = stage.out / "products.png"
    stage.recipe(
        "contact_sheet", {"frames": stills, "output": str(target), "columns": 3, "width": 426}
    )
    videos = [short(Path(result.path)) for result in results if result.kind == "video"]
    say("  " + ", ".join([f"{len(stills)} stills", *videos]))
    return target
