# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier login`` and ``logout``: keep a service's key, or forget it.

The key is typed without echo, or read as one line from stdin; it is never an argument, never
printed and never logged.
"""

from __future__ import annotations

import argparse
import os
import sys

from .. import accounts, commands, credentials, launch
from ..paths import data_home, ensure_home
from ..problems import Category, ProblemError
from ..services import Service
from ..settings import Settings, load
from ..store import Store
from . import CREDENTIALS, OK
from .follow import ask, can_ask
from .output import emit, say
from .send import service_named

_LONGEST_LINE = 4096


def login(args: argparse.Namespace) -> int:
    """Ask for a key, check it, keep it; returns the exit code."""
    service = service_named(args.service)
    home = ensure_home(data_home())
    if args.webhook:
        return _login_webhook(args, service)
    key = credentials.clean_key(_read_key(service))
    if not args.offline:
        _check(service, key, load(home))
    where = keep(service, "default", key, args.allow_file)
    with Store.open(home) as store:
        if commands.key_changed(store, service.name):
            launch.ensure_worker(home)
    path = f" ({home / credentials.FILE_NAME}, readable by you alone)" if where == "file" else ""
    say(f"The key for {service.label} is kept in the {PLACES[where]}{path}.")
    if os.environ.get(credentials.variable(service.name), "").strip():
        say(f"  {credentials.variable(service.name)} is set, and goes before it.")
    if args.json:
        emit({"service": service.name, "key_source": where, "problem": None})
    return OK


PLACES = {"keyring": "system's keyring", "file": "private file"}


def _login_webhook(args: argparse.Namespace, service: Service) -> int:
    """Keep what the service signs its events with; only an event can tell whether it is right."""
    _has_events(service)
    secret = credentials.clean_key(_read_key(service, "Webhook secret"), "The secret")
    where = keep(service, credentials.WEBHOOK, secret, args.allow_file)
    say(f"The webhook secret of {service.label} is kept in the {PLACES[where]}.")
    variable = credentials.variable(service.name, credentials.WEBHOOK)
    if os.environ.get(variable, "").strip():
        say(f"  {variable} is set, and goes before it.")
    if args.json:
        emit({"service": service.name, "key_source": where, "problem": None})
    return OK


def _has_events(service: Service) -> None:
    from ..webhooks import VERIFIERS

    if service.name not in VERIFIERS:
        raise ProblemError(
            Category.INPUT,
            f"{service.label} sends no events that Scene Courier knows.",
            "Leave --webhook out to enter the key.",
        )


def _read_key(service: Service, what: str = "Key") -> str:
    if can_ask():
        import getpass

        if what == "Key":
            say(f"A key is made on {service.key_page}.")
        try:
            return getpass.getpass(f"{what} for {service.label} (not shown): ", sys.stderr)
        except EOFError:
            return ""
    return sys.stdin.readline(_LONGEST_LINE)


def _check(service: Service, key: str, settings: Settings) -> None:
    """Ask the service something that needs a key and costs nothing.

    A service that cannot be reached says nothing about the key; then it is kept unchecked.
    """
    address = accounts.environment_base_url(service.name) or service.default_base_url
    try:
        with service.http(address, key, settings=settings) as http:
            service.client(http).check_key()
    except ProblemError as error:
        if error.problem.category is Category.CREDENTIALS:
            raise
        say(f"The key could not be checked: {error.problem.sentence}")
        say("  It is kept as it is.")


def keep(service: Service, account: str, key: str, allow_file: bool) -> str:
    """Keep a secret; "keyring" or "file". Where there is no keyring somebody has to agree."""
    try:
        return credentials.store(service.name, account, key, allow_file=allow_file)
    except ProblemError as error:
        if allow_file or not can_ask():
            raise ProblemError(
                error.problem.category,
                error.problem.sentence,
                f"{error.problem.hint} --allow-file agrees to a private file in the data folder.",
                error.problem.technical,
            ) from None
        say(error.problem.sentence)
        if not ask("Keep the key in a private file in the data folder, not encrypted?"):
            raise
    return credentials.store(service.name, account, key, allow_file=True)


def logout(args: argparse.Namespace) -> int:
    """Forget a key; returns the exit code."""
    service = service_named(args.service)
    account = credentials.WEBHOOK if args.webhook else "default"
    what = "webhook secret" if args.webhook else "key"
    removed = credentials.delete(service.name, account, home=ensure_home(data_home()))
    for where in removed:
        say(f"The {what} for {service.label} was removed from the {PLACES[where]}.")
    variable = credentials.variable(service.name, account)
    left = bool(os.environ.get(variable, "").strip())
    if left:
        say(f"{variable} is set in the environment and goes on being used; unset it there.")
    elif not removed:
        say(f"No {what} for {service.label} was kept here.")
    if args.json:
        emit({"service": service.name, "removed": removed, "problem": None})
    return CREDENTIALS if left and not removed else OK
