# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier jobs adopt``: jobs that were started elsewhere, listed and followed from here."""

from __future__ import annotations

import argparse
import math
import time

from .. import connect, followups, launch
from ..jobs import DEFAULT_ACCOUNT, SANDBOX
from ..problems import Category, ProblemError
from ..questions import remote_jobs
from ..settings import Settings
from ..store import Store
from . import OK
from .output import emit, say
from .send import leave, out_folder, service_named, wait


def adopt(store: Store, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    service = service_named(args.service)
    if service.scope != "scene":
        raise ProblemError(
            Category.INPUT,
            f"Jobs of {service.label} cannot be adopted.",
            "Jobs of renderjuice can.",
        )
    account = SANDBOX if args.sandbox else DEFAULT_ACCOUNT
    if not args.remote:
        way = connect.access(store, service, account)
        with service.http(way.base_url, way.key, settings=Settings.load(store.home)) as http:
            found = remote_jobs(store, service, account, service.client(http))
        if args.json:
            emit({"jobs": found})
            return OK
        for row in found:
            made = row["created_at"]
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(made)) if made else ""
            here = "here" if row["here"] else ""
            print(f"{row['id']}  {when:16}  {row['status']:11}  {here:4}  {row['name']}")
        if not found:
            say(f"{service.label} has no jobs of this account.")
        return OK
    out = out_folder(args.out)
    job = followups.adopt(
        store, service.name, account, args.remote, "", results_dir=str(out) if out else ""
    )
    if args.yes:
        job = store.update_job(job.id, approved_credits=math.inf)
    launch.ensure_worker(store.home)
    say(f"Following {args.remote} as {job.short_id}.")
    return wait(store, job, args) if args.wait else leave(job, args)
