# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier pack``: the check and the package of a scene, without any service.

The same recipe as for a job. The .blend is opened where it lies and never written to.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from ..blender import find_blender, run_recipe
from ..package import blocked, pack_params
from ..paths import data_home, readable_bytes, safe_name
from ..problems import Category, ProblemError
from ..settings import Settings
from . import OK, USAGE, inputs, options
from .output import describe_problem, emit, say
from .send import blender_program, out_folder, service_named


def pack(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    ``--json`` prints {"path", "bytes", "mode", "blocked", "notes", "report", "problem"}.
    """
    service = service_named(args.to)
    if service.scope != "scene":
        raise ProblemError(
            Category.INPUT,
            f"{service.label} takes models, not packed scenes.",
            "Use --to renderjuice, or leave it out.",
        )
    source, _notes = inputs.check(args.file, service, None)
    if source.suffix.lower() != inputs.BLEND:
        raise ProblemError(
            Category.INPUT, f"“{source.name}” is no .blend.", "Only a .blend can be packed."
        )
    values = options.parse(service, args.option)
    folder = out_folder(args.out)
    assert folder is not None
    settings = Settings.load(data_home())
    program = find_blender({"executable": blender_program()})
    last = [""]

    def told(_fraction: float, text: str) -> None:
        if text != last[0]:
            last[0] = text
            say(text)

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scene-courier-pack-") as work:
        params = pack_params(values, folder, safe_name(source.stem), service.max_bytes)
        params |= {"blend": str(source), "folder": work}
        answer = run_recipe(
            "pack_scene",
            params,
            workdir=Path(work),
            program=program,
            timeout=settings.packaging_seconds,
            on_progress=told,
        )
    report = answer.get("report") or {}
    for finding in report.get("findings") or []:
        say(f"{finding.get('severity', ''):8} {finding.get('sentence', '')}")
        if finding.get("hint"):
            say(f"{'':9}{finding['hint']}")
    for note in answer.get("notes") or []:
        say(f"Note: {note}")
    problem = blocked(report).problem if answer.get("blocked") else None
    if args.json:
        emit({**answer, "problem": problem.to_dict() if problem else None})
    if problem is not None:
        describe_problem(problem)
        say("  Pack it all the same: --option ignore_problems=true")
        return USAGE
    if answer.get("path") and not args.json:
        say(f"Packed: {readable_bytes(answer.get('bytes') or 0)}.")
        print(answer["path"])
    return OK
