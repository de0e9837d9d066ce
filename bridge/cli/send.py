# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier send``: a file becomes a queued job, and with ``--wait`` its results.

All that can be known to be wrong is said before a job exists. The worker does the rest.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import shutil
import sys
from pathlib import Path

from .. import commands, launch, words
from ..jobs import FILES, SANDBOX, Job, State
from ..paths import data_home, ensure_home, job_folder, writable
from ..problems import Category, Problem, ProblemError
from ..services import SERVICES, Service
from ..store import Store
from . import INTERRUPTED, OK, inputs, options, products
from .follow import follow, say_report
from .output import describe_problem, emit, job_code, refused_code, say


def service_named(name: str) -> Service:
    """The entry of ``services.SERVICES``; ProblemError(INPUT) with the known names."""
    service = SERVICES.get(name.strip().lower())
    if service is None:
        raise ProblemError(
            Category.INPUT,
            f"There is no service “{name}”.",
            f"Known: {', '.join(SERVICES)}.",
        )
    return service


def send(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    service = service_named(args.to)
    sources, notes = inputs.check_all(args.file, service, args.select)
    source = sources[0]
    if args.select and service.scope == "scene":
        raise ProblemError(
            Category.INPUT,
            f"--select does not work with {service.label}: it takes the whole scene.",
            "Choose with --option scene=, camera= and view_layer=.",
        )
    values = options.parse(service, args.option)
    if "template" in values and not str(values["template"] or "").strip():
        raise ProblemError(
            Category.INPUT,
            "No template is chosen.",
            "Add --option template=NAME; “scene-courier templates” lists them"
            f"{' with --sandbox' if args.sandbox else ''}.",
        )
    if values.get("ignore_scale") is False:  # only a service of products has this option
        inputs.check_sizes(sources)
    out = out_folder(args.out)
    is_blend = source.suffix.lower() == inputs.BLEND
    blender = blender_program() if is_blend else ""
    with Store.open(ensure_home(data_home())) as store:
        job = Job(
            service=service.name,
            name=_name(args.select, sources),
            source="cli",
            options=values,
            input_kind="blend" if is_blend else FILES if len(sources) > 1 else "file",
            results_dir=str(out) if out else "",
            approved_credits=math.inf if args.yes else None,
            notes=notes,
        )
        if args.sandbox:
            job.account = SANDBOX
        else:
            job.base_url, job.key_print = _account(service, store)
        about = source.stat()
        job.origin = {
            "path": str(source),
            "stamp": [about.st_size, about.st_mtime_ns],
            "select": args.select,
        }
        if is_blend:
            job.origin["blender"] = {"executable": blender}
        folder = job_folder(store.home, job.id)
        target = folder / ("scene.blend" if is_blend else f"package/{inputs.package_name(source)}")
        job.input_path = str(target)
        inputs.copy(source, target)
        if job.input_kind == FILES:
            job.origin["files"] = [str(target)]
            for number, other in enumerate(sources[1:], 2):
                # A folder each: two of them may have one name.
                copy = folder / "package" / str(number) / inputs.package_name(other)
                inputs.copy(other, copy)
                job.origin["files"].append(str(copy))
        # Before the job: where no worker can be started nothing stays behind that a later one
        # would send; and a worker with other keys is asked to leave before it can take the job.
        try:
            started = launch.ensure_worker(store.home)
        except ProblemError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        job = commands.submit(store, job)
        try:
            say(f"Queued “{job.name}” as {job.short_id}.")
            if not started:
                launch.ensure_worker(store.home)  # it may have left in between
            if not args.wait:
                return leave(job, args)
        except KeyboardInterrupt:
            return _interrupted(store, job, args)
        except ProblemError as error:
            return _left_alone(store, job, error.problem, args)
        return wait(store, job, args)


def _name(selected: list[str] | None, sources: list[Path]) -> str:
    if selected:
        return selected[0]
    more = len(sources) - 1
    return f"{sources[0].stem} and {more} more" if more else sources[0].stem


def wait(store: Store, job: Job, args: argparse.Namespace) -> int:
    """Follow a job for ``--wait``; prints its results and returns the exit code."""
    try:
        job = follow(store, job.id, yes=args.yes)
    except KeyboardInterrupt:
        return _interrupted(store, job, args)
    except ProblemError as error:
        return _left_alone(store, job, error.problem, args)
    report(job)
    if args.json:
        emit(commands.describe(job))
    elif job.state is State.DONE:
        for result in job.results:
            print(result.path)
    return job_code(job)


def _interrupted(store: Store, job: Job, args: argparse.Namespace) -> int:
    """Say that the job lives on; returns the exit code."""
    last = store.job(job.id) or job
    say(f"Interrupted; the job {last.short_id} goes on.")
    say(f"  Follow it:  scene-courier jobs show {last.short_id} --wait")
    say(f"  Stop it:    scene-courier jobs cancel {last.short_id}")
    if args.json:
        emit(commands.describe(last))
    return INTERRUPTED


def _left_alone(store: Store, job: Job, problem: Problem, args: argparse.Namespace) -> int:
    """The job is queued and cannot be followed: its id is told all the same."""
    describe_problem(problem)
    if args.json:
        emit({**commands.describe(store.job(job.id) or job), "problem": problem.to_dict()})
    return refused_code(problem)


def report(job: Job) -> None:
    """How a followed job stands, for a person."""
    if job.state.terminal:
        for line in products.lines(job):
            say(f"  {line}")
    for note in job.notes:
        say(f"Note: {note}")
    if job.problem is not None:
        if job.blocked:
            say_report(job)
        describe_problem(job.problem)
        if job.blocked:
            say(f"  Send it all the same: scene-courier jobs override {job.short_id}")
    if job.state is State.DONE:
        cost = words.cost_line(job)
        count = len(job.results)
        say(f"Done: {count} file{'' if count == 1 else 's'}{f', {cost}' if cost else ''}.")
    elif job.state is State.AWAITING_APPROVAL:
        say_report(job)
        say(f"{words.agreement(job)} Nobody has agreed to that yet.")
        say(f"  Agree:   scene-courier jobs approve {job.short_id}")
        say(f"  Give up: scene-courier jobs cancel {job.short_id}")
    elif job.state is State.IN_DOUBT:
        many = ",ID" if SERVICES[job.service].many else ""  # one for each product
        say(f"  It is there:     scene-courier jobs resolve {job.short_id} --remote ID{many}")
        say(f"  It is not there: scene-courier jobs resolve {job.short_id} --send-again")
    elif job.state is State.WAITING:
        say(f"{words.status_line(job)}. The job is kept and goes on when that is settled.")
    elif job.state is State.CANCELED:
        say("Canceled.")


def leave(job: Job, args: argparse.Namespace) -> int:
    if job.approved_credits is None and not (job.sandboxed and SERVICES[job.service].priced):
        say("It stops before it costs anything; agree with")
        say(f"  scene-courier jobs approve {job.short_id}")
    say(f"  Follow it:  scene-courier jobs show {job.short_id} --wait")
    if args.json:
        emit(commands.describe(job))
    else:
        print(job.id)
    return OK


def out_folder(text: str | None) -> Path | None:
    if text is None:
        return None
    if not text.strip():
        # Mostly a variable that a script left empty; this folder is hardly what it meant.
        raise ProblemError(
            Category.INPUT, "--out names no folder.", "Give a folder, or leave --out out."
        )
    folder = Path(text).expanduser().absolute()
    if (folder.exists() and not folder.is_dir()) or not writable(folder):
        raise ProblemError(
            Category.DISK,
            f"Nothing can be written to “{text}”.",
            "Choose another folder for --out.",
            str(folder),
        )
    return folder


def blender_program() -> str:
    """The Blender that packages a .blend: a cheap look, the worker starts it later."""
    asked = os.environ.get("SCENE_COURIER_BLENDER", "").strip()
    if asked:
        if not Path(asked).is_file():
            raise ProblemError(
                Category.BLENDER,
                "SCENE_COURIER_BLENDER names a file that is not there.",
                "Set it to a Blender, or to a Python that has the bpy module.",
                asked,
            )
        return asked
    if importlib.util.find_spec("bpy") is None:
        raise ProblemError(
            Category.BLENDER,
            "A .blend needs a Blender that packages it, and none is known.",
            "Set SCENE_COURIER_BLENDER to a Blender, or to a Python that has the bpy module; "
            "or send a .glb.",
        )
    return sys.executable


def _account(service: Service, store: Store) -> tuple[str, str]:
    """The address that the environment names (or "") and the key's fingerprint, never the key.

    Raises ProblemError where there is no key, or no address that a key may be sent to.
    """
    from .. import accounts, credentials, route

    base_url = accounts.environment_base_url(service.name)
    if base_url:
        route.check_url(base_url, f"The address in {service.name.upper()}_BASE_URL")
    found = credentials.find(service.name, home=store.home)
    if found is None:
        raise ProblemError(
            Category.CREDENTIALS,
            f"There is no key for {service.label} on this computer.",
            f"“scene-courier login {service.name}” keeps one, or set "
            f"{credentials.variable(service.name)}; with --sandbox no key is needed.",
        )
    return base_url, accounts.key_print(store, found.key)
