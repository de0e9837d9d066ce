# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier templates``: light, cameras and backgrounds that products can be put into."""

from __future__ import annotations

import argparse

from .. import connect
from ..jobs import DEFAULT_ACCOUNT, SANDBOX
from ..paths import data_home, ensure_home
from ..problems import Category, ProblemError
from ..settings import Settings
from ..store import Store
from . import OK
from .output import emit, say
from .send import service_named


def templates(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code. ``--json``: {"templates": [{"id", "name", …}]}."""
    service = service_named(args.service)
    if not service.many:
        raise ProblemError(
            Category.INPUT, f"{service.label} has no templates.", "Glossi has: --from glossi."
        )
    with Store.open(ensure_home(data_home())) as store:
        account = SANDBOX if args.sandbox else DEFAULT_ACCOUNT
        way = connect.access(store, service, account)
        with service.http(way.base_url, way.key, settings=Settings.load(store.home)) as http:
            found = service.client(http).templates_by_scope()
    wanted = "public" if args.public else "workspace" if args.workspace else ""
    found = [row for row in found if wanted in ("", row["scope"])]
    if args.json:
        emit({"templates": found})
        return OK
    for row in found:
        print(f"{row['id']}  {row['scope']:9}  {row['name']}")
        if row["description"]:
            print(f"{'':{len(row['id'])}}  {'':9}  {row['description']}")
    if not found:
        say(f"{service.label} has no such templates in this account.")
    return OK
