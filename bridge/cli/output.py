# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command line prints, and the exit codes that say the same in a number.

stdout carries results only, with ``--json`` exactly one object; every word for a person goes to
stderr. Nothing here reads the store or the network.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ..jobs import Job, State
from ..problems import Category, Problem
from . import CREDENTIALS, JOB_FAILED, OK, PERSON, USAGE

# Fields of a job's object, in the order in which they are printed.
JOB_KEYS = ("id", "service", "state", "remote_id", "results", "problem")


def say(text: str = "") -> None:
    """One line for a person, on stderr."""
    print(text, file=sys.stderr, flush=True)


def emit(value: dict[str, Any]) -> None:
    """The one JSON object of ``--json``; ASCII only, so that any pipe can take it."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def describe_problem(problem: Problem) -> None:
    """Sentence, hint and technical line, for a person."""
    say(problem.sentence)
    if problem.hint:
        say(f"  {problem.hint}")
    if problem.technical:
        say(f"  ({problem.technical})")


def refused_object(problem: Problem, command: str) -> dict[str, Any]:
    """The object for a command that could not begin: the same keys, nothing in them."""
    if command == "jobs":
        return {"jobs": [], "problem": problem.to_dict()}
    if command == "services":
        return {"services": [], "problem": problem.to_dict()}
    if command in ("send", "job"):
        empty: dict[str, Any] = dict.fromkeys(JOB_KEYS)
        empty["results"] = []
        empty["problem"] = problem.to_dict()
        return empty
    if command == "pack":
        nothing = dict.fromkeys(("path", "bytes", "mode", "report"))
        return {**nothing, "blocked": False, "notes": [], "problem": problem.to_dict()}
    return {"problem": problem.to_dict()}


def refuse(problem: Problem, command: str, as_json: bool) -> int:
    """Tell why a command did nothing; returns its exit code."""
    describe_problem(problem)
    if as_json:
        emit(refused_object(problem, command))
    return refused_code(problem)


def fault(error: Exception) -> Problem:
    """What to say when this program itself is at fault."""
    import traceback

    from ..redact import redact

    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{last.name}, line {last.lineno}"
    return Problem(
        Category.INTERNAL,
        "Scene Courier made a mistake.",
        "Try again; if it happens again, please report it with what “scene-courier diagnose” says.",
        redact(f"{type(error).__name__}: {error} ({where})")[:300],
    )


def refused_code(problem: Problem) -> int:
    """The exit code where no job was made."""
    if problem.category in (Category.INPUT, Category.LIMIT, Category.DISK, Category.BLENDER):
        return USAGE
    if problem.category is Category.CREDENTIALS:
        return CREDENTIALS
    if problem.category is Category.IN_DOUBT:
        return PERSON
    return JOB_FAILED


def job_code(job: Job) -> int:
    """The exit code that a followed job ends with; a job that needs somebody counts as ended."""
    if job.state is State.DONE:
        return OK
    if job.state in (State.AWAITING_APPROVAL, State.IN_DOUBT):
        return PERSON
    if job.state is State.WAITING:
        return CREDENTIALS if job.waiting_reason == "credentials" else PERSON
    if job.state is State.FAILED and job.problem is not None:
        # What packaging finds wrong with the scene is bad input too, only found a little later.
        if job.problem.category in (Category.INPUT, Category.LIMIT) and not job.remote_id:
            return USAGE
        if job.problem.category is Category.CREDENTIALS:
            return CREDENTIALS
        if job.problem.category is Category.IN_DOUBT:
            return PERSON
    return JOB_FAILED


def needs_somebody(job: Job) -> bool:
    """True when the job stands still until a person or a key comes."""
    if job.state is State.AWAITING_APPROVAL:
        return True
    return job.state is State.WAITING and job.waiting_reason not in ("network", "")
