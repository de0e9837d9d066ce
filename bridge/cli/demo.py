# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier demo``: the whole trip with small scenes, on this computer, without an account.

It builds a scene, sends each of its objects to the sandbox's Rigyd by the same commands that a
person would type, imports the results into a fresh Blender as the extension does, and lets them
fall. It sends an animation to the sandbox's Renderjuice and three products to its Glossi, and puts
the pictures that come back side by side. It prints the paths of all three sheets, uses a data
folder of its own and leaves no process behind.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

from .. import words
from ..blender import find_blender
from ..jobs import Job, State
from ..paths import ensure_home, writable
from ..problems import Category, ProblemError
from ..store import Store
from . import JOB_FAILED, OK, demo_render, demo_shoot
from .demo_stage import Stage, environment, follow, short, stop
from .output import describe_problem, emit, say


def demo(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    started = time.monotonic()
    out = Path(args.out or "scene-courier-demo").expanduser().absolute()
    if not writable(out):
        raise ProblemError(
            Category.DISK, f"Nothing can be written to “{out}”.", "Choose another --out."
        )
    extension = _extension(args.extension)
    stage = Stage(out, find_blender(need_usd=True))
    version = ".".join(map(str, stage.program.version))
    say(f"Blender {version}; everything of the demo goes to {out}")
    for name in ("data", "blender", "work", "results", "animation", "products"):
        shutil.rmtree(out / name, ignore_errors=True)
    home = ensure_home(out / "data")
    with environment(home, out, stage.program):
        try:
            scene = stage.recipe("demo_scene", {"output": str(out / "scene.blend")})
            say(f"Built {short(out / 'scene.blend')}: {len(scene['assets'])} objects to send")
            jobs = _send_all(scene, stage)
            with Store.open(home) as store:
                finished = follow(store, jobs)
                rendered = [] if _failed(finished) else demo_render.render(store, stage, args.fast)
                shot = []
                if not _failed(finished + rendered):
                    shot = demo_shoot.shoot(store, stage, args.fast)
        finally:
            stop(home)
        if failed := _failed(finished + rendered + shot):
            for job in failed:
                say(f"{job.name}: {words.state_label(job)}")
                if job.problem is not None:
                    describe_problem(job.problem)
            return _end(args, JOB_FAILED, finished + rendered + shot, [])
        pictures = [_drop(finished, extension, stage, bool(args.fast))]
        pictures += [demo_render.contact_sheet(job, stage) for job in rendered]
        if shot:
            pictures.append(demo_shoot.product_sheet(shot, stage))
    say(f"The whole trip took {time.monotonic() - started:.0f} s. Before and after the drop, and")
    say("the frames of the animation, the products' stills:")
    return _end(args, OK, finished + rendered + shot, pictures)


def _failed(jobs: list[Job]) -> list[Job]:
    return [job for job in jobs if job.state is not State.DONE]


def _end(args: argparse.Namespace, code: int, jobs: list[Job], pictures: list[Path]) -> int:
    if args.json:
        from ..commands import describe

        emit(
            {
                "picture": str(pictures[0]) if pictures else None,
                "contact_sheet": str(pictures[1]) if len(pictures) > 1 else None,
                "products": str(pictures[2]) if len(pictures) > 2 else None,
                "jobs": [describe(job) for job in jobs],
            }
        )
    else:
        for picture in pictures:
            print(picture)
    return code


def _extension(text: str | None) -> Path | None:
    if text is None:
        return None
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise ProblemError(
            Category.INPUT, f"There is no extension “{text}”.", "Build it with “make build”."
        )
    return path


def _send_all(scene: dict[str, Any], stage: Stage) -> dict[str, str]:
    """Send each object by the ordinary command; returns {job id: name}."""
    jobs = {}
    for asset in scene["assets"]:
        folder = stage.out / "results" / asset["name"]
        command = ["send", scene["path"], "--to", "rigyd", "--sandbox", "--out", str(folder)]
        parts = asset["objects"]
        answer = stage.command(command, ["--select", *parts], f"--select … ({len(parts)} parts)")
        jobs[answer["id"]] = asset["name"]
    return jobs


def _drop(jobs: list[Job], extension: Path | None, stage: Stage, fast: bool) -> Path:
    assets = []
    for job in sorted(jobs, key=lambda job: job.created_at):
        usd = [result.path for result in job.results if result.kind == "usd"]
        assets.append({"name": Path(job.results_dir).name, "usd": usd[0], "job": job.id})
    how = f"the installed extension {extension.name}" if extension else "the extension's code"
    say(f"Importing into a fresh Blender with {how}")
    told = stage.recipe(
        "demo_drop",
        {
            "assets": assets,
            "extension": str(extension) if extension else "",
            "folder": str(stage.out / "renders"),
            "picture": str(stage.out / "demo.png"),
            "fast": fast,
        },
    )
    for asset in told["assets"]:
        rest = "at rest" if asset["moved"] < 1e-3 else f"still moving ({asset['moved']:.3f} m)"
        lowest = 1000 * asset["lowest"]
        say(
            f"  {asset['name']:8} {asset['mass']:6.2f} kg, {asset['colliders']:2} colliders, "
            f"{rest}, lowest point {lowest:+.1f} mm"
        )
    return Path(told["picture"])
