# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier jobs``: the list, and what can be done to one job."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

from .. import commands, followups, launch, words
from ..jobs import Job, State
from ..paths import data_home, ensure_home, job_folder
from ..problems import Category, ProblemError
from ..services import SERVICES
from ..store import Store
from . import OK, PERSON, products
from .follow import ask_price, can_ask
from .output import describe_problem, emit, say
from .send import wait


def jobs(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    with Store.open(ensure_home(data_home())) as store:
        if args.action is None:
            return _list(store, args.json)
        if args.action == "adopt":
            from . import adopt

            return adopt.adopt(store, args)
        job = store.find(args.id)
        return {
            "show": _show,
            "cancel": _cancel,
            "retry": _retry,
            "forget": _forget,
            "approve": _approve,
            "resolve": _resolve,
            "again": _again,
            "override": _override,
        }[args.action](store, job, args)


def _list(store: Store, as_json: bool) -> int:
    found = store.jobs()
    if as_json:
        emit({"jobs": [commands.describe(job) for job in found]})
        return OK
    if not found:
        say("No jobs yet. “scene-courier send FILE --to rigyd --sandbox --wait” makes one.")
    for job in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created_at))
        place = "sandbox" if job.sandboxed else job.service
        print(f"{job.short_id}  {when}  {place:8}  {words.status_line(job):28}  {job.name}")
        if job.problem is not None:
            print(f"          {job.problem.sentence}")
    return OK


def _show(store: Store, job: Job, args: argparse.Namespace) -> int:
    if args.wait:
        if not job.state.terminal:
            launch.ensure_worker(store.home)
        return wait(store, job, args)
    if args.json:
        emit(commands.describe(job))
        return OK
    place = f"{job.service} (sandbox)" if job.sandboxed else job.service
    lines = [
        ("job", job.id),
        ("name", job.name),
        ("service", place),
        ("state", words.status_line(job)),
        ("at the service", job.remote_id),
        ("counted", products.counters(job)),
        ("cost", words.cost_line(job)),
        ("options", _options(job)),
        ("sent from", str(job.origin.get("path") or job.origin.get("blend") or "")),
        ("folder", str(job_folder(store.home, job.id))),
    ]
    for label, text in lines:
        if text:
            print(f"{label:15} {text}")
    for line in products.lines(job):
        print(f"{'product':15} {line}")
    for result in job.results:
        print(f"{'result':15} {result.path}  ({result.kind}, {result.bytes} bytes)")
    for note in job.notes:
        print(f"{'note':15} {note}")
    for part, label in (("preflight", "found"), ("analysis", "farm found")):
        for finding in job.report.get(part, {}).get("findings") or []:
            print(f"{label:15} {finding.get('severity', '')}: {finding.get('sentence', '')}")
    if job.problem is not None:
        describe_problem(job.problem)
    return OK


def _options(job: Job) -> str:
    """As they are written on the command line; what was left to the service is left out."""
    given = {key: value for key, value in job.options.items() if value is not None}
    return ", ".join(
        f"{key}={str(value).lower() if isinstance(value, bool) else value}"
        for key, value in given.items()
    )


def _answer(store: Store, job: Job, args: argparse.Namespace, text: str) -> int:
    say(text)
    if args.json:
        emit(commands.describe(store.job(job.id) or job))
    return OK


def _cancel(store: Store, job: Job, args: argparse.Namespace) -> int:
    if job.state.terminal:
        return _answer(store, job, args, f"{job.short_id} has ended already.")
    commands.cancel(store, job.id)
    launch.ensure_worker(store.home)
    text = f"{job.short_id} is being stopped."
    service = SERVICES.get(job.service)
    if job.remote_id and not job.sandboxed and not (service and service.cancel_at):
        # Neither Rigyd nor Glossi has a call that stops what runs there.
        text += f" {service.goes_on}" if service else ""
    return _answer(store, job, args, text)


def _retry(store: Store, job: Job, args: argparse.Namespace) -> int:
    if job.state is State.AWAITING_APPROVAL:
        raise ProblemError(
            Category.INPUT,
            "The job waits for an approval.",
            f"Agree with “scene-courier jobs approve {job.short_id}”.",
        )
    commands.retry(store, job.id)
    launch.ensure_worker(store.home)
    return _answer(store, job, args, f"{job.short_id} is tried again.")


def _forget(store: Store, job: Job, args: argparse.Namespace) -> int:
    commands.forget(store, job.id)
    job.results = [result for result in job.results if Path(result.path).exists()]
    return _answer(store, job, args, f"{job.short_id} is forgotten; its folder is removed.")


def _approve(store: Store, job: Job, args: argparse.Namespace) -> int:
    if job.state is State.AWAITING_APPROVAL and not args.yes and can_ask() and not ask_price(job):
        _answer(store, job, args, "Nothing was agreed to.")
        return PERSON
    # Typing “approve” without a terminal is agreement enough: the price is in the job.
    commands.approve(store, job.id)
    launch.ensure_worker(store.home)
    agreed = "agreed" if job.price is None else f"agreed to {words.credits_text(job.price)}"
    return _answer(store, job, args, f"{job.short_id} goes on; {agreed}.")


def _again(store: Store, job: Job, args: argparse.Namespace) -> int:
    frames = args.frames
    if args.missing:
        frames = followups.missing(store, job)
        if not frames:
            raise ProblemError(
                Category.INPUT,
                f"No frames of “{job.name}” are known to be missing.",
                "They came, or another job brings them. "
                "Name frames with --frames, or leave both out for all.",
            )
    new = followups.again(store, job.id, frames=frames)
    if args.yes:
        store.update_job(new.id, approved_credits=math.inf)
    launch.ensure_worker(store.home)
    what = f"frames {frames}" if frames else "all frames"
    return _answer(store, new, args, f"{new.short_id} renders {what} of what {job.short_id} sent.")


def _override(store: Store, job: Job, args: argparse.Namespace) -> int:
    followups.override(store, job.id)
    launch.ensure_worker(store.home)
    return _answer(store, job, args, f"{job.short_id} is sent in spite of what was found.")


def _resolve(store: Store, job: Job, args: argparse.Namespace) -> int:
    commands.resolve_in_doubt(
        store, job.id, remote_id=args.remote, send_again=bool(args.send_again)
    )
    launch.ensure_worker(store.home)
    text = "is sent again" if args.send_again else f"is followed as {args.remote}"
    return _answer(store, job, args, f"{job.short_id} {text}.")
