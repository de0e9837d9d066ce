# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier worker`` and ``sandbox``: both in the foreground, until they are interrupted."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .. import launch
from ..paths import data_home, ensure_home
from ..problems import Category, ProblemError
from . import OK
from .output import emit, say


def worker(_args: argparse.Namespace) -> int:
    """Run the worker here; returns the exit code."""
    from .. import worker as module

    home = ensure_home(data_home())
    if launch.worker_running(home):
        raise ProblemError(
            Category.INPUT,
            "A worker is already running for this data folder.",
            "Let it work, or stop it first; “scene-courier diagnose” shows it.",
            str(home),
        )
    say(f"Working for {home}; interrupt to stop. Jobs are kept.")
    return int(module.main(str(home)))


def sandbox(args: argparse.Namespace) -> int:
    """Serve the sandbox here; returns the exit code."""
    from .. import sandbox as module

    home = ensure_home(data_home())
    if args.faults and not Path(args.faults).is_file():
        raise ProblemError(
            Category.INPUT, f"There is no fault plan “{args.faults}”.", "Check the path."
        )
    known = tuple(module.SERVICES)
    wanted = tuple(args.service or known)
    for name in wanted:
        if name not in known:
            raise ProblemError(
                Category.INPUT,
                f"The sandbox has no service “{name}”.",
                f"It has: {', '.join(known)}.",
            )

    def ready(addresses: dict[str, Any]) -> None:
        if args.json:
            emit(addresses)
        else:
            for name, entry in addresses.items():
                print(f"export {name.upper()}_BASE_URL={entry['base_url']}")
                print(f"export {name.upper()}_API_KEY={entry['api_key']}")
                if "webhook_secret" in entry:
                    print(f"export {name.upper()}_WEBHOOK_SECRET={entry['webhook_secret']}")
                if "files_url" in entry:
                    print(f"# {name}: finished files lie below {entry['files_url']}")
            sys.stdout.flush()
        say("Serving on this computer only; interrupt to stop.")

    # It ends by itself on SIGINT and SIGTERM: being stopped is how a server ends well.
    module.serve(
        home / "sandbox" / "served",
        port=args.port,
        services=wanted,
        faults=Path(args.faults) if args.faults else None,
        webhook=args.renderjuice_webhook,
        on_ready=ready,
    )
    say("Stopped.")
    return OK
