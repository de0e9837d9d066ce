# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier demo``: the whole trip with a small scene, on this computer, without an account.

It builds a scene, sends each of its objects to the sandbox by the same commands that a person
would type, imports the results into a fresh Blender as the extension does, lets them fall, and
prints the path of a picture of before and after. It uses a data folder of its own and leaves no
process behind.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import launch, words
from ..blender import BlenderProgram, find_blender, run_recipe
from ..jobs import Job, State
from ..paths import ensure_home, writable
from ..problems import Category, ProblemError
from ..store import Store
from . import JOB_FAILED, OK
from .output import describe_problem, emit, say

_LONGEST_SECONDS = 900.0
# The managed sandbox and the worker leave soon after the last job.
_LEAVE_SECONDS = 20.0


def demo(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    started = time.monotonic()
    out = Path(args.out or "scene-courier-demo").expanduser().absolute()
    if not writable(out):
        raise ProblemError(
            Category.DISK, f"Nothing can be written to “{out}”.", "Choose another --out."
        )
    extension = _extension(args.extension)
    program = find_blender(need_usd=True)
    version = ".".join(map(str, program.version))
    say(f"Blender {version}; everything of the demo goes to {out}")
    for name in ("data", "blender", "work", "results"):
        shutil.rmtree(out / name, ignore_errors=True)
    home = ensure_home(out / "data")
    with _environment(home, out, program):
        try:
            scene = _recipe("demo_scene", {"output": str(out / "scene.blend")}, out, program)
            say(f"Built {_short(out / 'scene.blend')}: {len(scene['assets'])} objects to send")
            jobs = _send_all(scene, out)
            with Store.open(home) as store:
                finished = _follow(store, jobs)
        finally:
            _stop(home)
        failed = [job for job in finished if job.state is not State.DONE]
        for job in failed:
            say(f"{job.name}: {words.state_label(job)}")
            if job.problem is not None:
                describe_problem(job.problem)
        if failed:
            return _end(args, JOB_FAILED, finished, None)
        picture = _drop(finished, extension, out, program, bool(args.fast))
    say(f"The whole trip took {time.monotonic() - started:.0f} s. Before and after:")
    return _end(args, OK, finished, picture)


def _end(args: argparse.Namespace, code: int, jobs: list[Job], picture: Path | None) -> int:
    if args.json:
        from ..commands import describe

        path = str(picture) if picture else None
        emit({"picture": path, "jobs": [describe(job) for job in jobs]})
    elif picture:
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


@contextlib.contextmanager
def _environment(home: Path, out: Path, program: BlenderProgram) -> Iterator[None]:
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


def _recipe(
    name: str, params: dict[str, Any], out: Path, program: BlenderProgram
) -> dict[str, Any]:
    last = ""

    def on_progress(_fraction: float, text: str) -> None:
        nonlocal last
        if text != last:
            last = text
            say(f"  {text}")

    with open(out / "demo.log", "a", encoding="utf-8") as log:
        return run_recipe(
            name,
            params,
            workdir=out / "work",
            program=program,
            timeout=_LONGEST_SECONDS,
            on_progress=on_progress,
            log=lambda line: print(line, file=log),
        )


def _send_all(scene: dict[str, Any], out: Path) -> dict[str, str]:
    """Send each object by the ordinary command; returns {job id: name}."""
    from . import main

    jobs = {}
    for asset in scene["assets"]:
        folder = out / "results" / asset["name"]
        command = ["send", scene["path"], "--to", "rigyd", "--sandbox", "--out", str(folder)]
        shown = [_short(Path(word)) if word.startswith(str(out)) else word for word in command]
        say(f"$ scene-courier {shlex.join(shown)} --select … ({len(asset['objects'])} parts)")
        command += ["--json", "--select", *asset["objects"]]
        answer, talk = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(answer), contextlib.redirect_stderr(talk):
            code = main(command)
        if code != OK:
            sys.stderr.write(talk.getvalue())
            raise ProblemError(
                Category.INTERNAL, f"“{asset['name']}” could not be sent.", "", f"exit code {code}"
            )
        jobs[json.loads(answer.getvalue())["id"]] = asset["name"]
    return jobs


def _follow(store: Store, jobs: dict[str, str]) -> list[Job]:
    """Wait for all jobs, with a line for each change."""
    shown: dict[str, str] = {}
    started = time.monotonic()
    end = started + _LONGEST_SECONDS
    while True:
        present = [job for job in (store.job(job_id) for job_id in jobs) if job is not None]
        for job in present:
            text = words.state_label(job)
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


def _drop(
    jobs: list[Job], extension: Path | None, out: Path, program: BlenderProgram, fast: bool
) -> Path:
    assets = []
    for job in sorted(jobs, key=lambda job: job.created_at):
        usd = [result.path for result in job.results if result.kind == "usd"]
        assets.append({"name": Path(job.results_dir).name, "usd": usd[0], "job": job.id})
    how = f"the installed extension {extension.name}" if extension else "the extension's code"
    say(f"Importing into a fresh Blender with {how}")
    told = _recipe(
        "demo_drop",
        {
            "assets": assets,
            "extension": str(extension) if extension else "",
            "folder": str(out / "renders"),
            "picture": str(out / "demo.png"),
            "fast": fast,
        },
        out,
        program,
    )
    for asset in told["assets"]:
        rest = "at rest" if asset["moved"] < 1e-3 else f"still moving ({asset['moved']:.3f} m)"
        lowest = 1000 * asset["lowest"]
        say(
            f"  {asset['name']:8} {asset['mass']:6.2f} kg, {asset['colliders']:2} colliders, "
            f"{rest}, lowest point {lowest:+.1f} mm"
        )
    return Path(told["picture"])


def _stop(home: Path) -> None:
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


def _short(path: Path) -> str:
    """A path as a person at this place would type it."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
