# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier webhooks show | set | delete``: where a service posts its events.

There seems to be one such setting for a whole workspace, and something else may depend on it (a
workflow tool, say): so the present one is shown before it is replaced or removed, and that needs a
yes. The secret that comes with it goes to the keyring and is shown nowhere.
"""

from __future__ import annotations

import argparse
import difflib
import os
from typing import Any

from .. import connect, credentials
from ..jobs import DEFAULT_ACCOUNT, SANDBOX
from ..paths import data_home, ensure_home
from ..problems import Category, ProblemError
from ..route import check_url
from ..services import Service
from ..settings import Settings
from ..store import Store
from ..webhook_events import GLOSSI_EVENTS
from . import OK, PERSON
from .follow import ask, can_ask
from .login import PLACES, keep
from .output import emit, say
from .send import service_named

#: the account of the secret that the sandbox signs with; never mixed with the service's own
SANDBOX_WEBHOOK = "sandbox-webhook"


def setting(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code. ``--json``: {"service", "webhook", "changed"}."""
    service = service_named(args.service)
    if args.action == "set":
        check_url(args.url, "The address for the events")
        args.event = [event for text in args.event for event in _events(text)]
    with Store.open(ensure_home(data_home())) as store:
        account = SANDBOX if args.sandbox else DEFAULT_ACCOUNT
        way = connect.access(store, service, account)
        with service.http(way.base_url, way.key, settings=Settings.load(store.home)) as http:
            client = service.client(http)
            if not hasattr(client, "webhook"):
                raise ProblemError(
                    Category.INPUT,
                    f"The webhook of {service.label} is set on its website.",
                    "Glossi's can be set here: --service glossi.",
                )
            present = client.webhook()
            if args.action == "show":
                return _show(service, present, args)
            if args.action == "set":
                return _set(service, client, present, args)
            return _delete(service, client, present, args)


def _events(text: str) -> list[str]:
    wanted = text.strip().lower()
    if wanted == "all":
        return list(GLOSSI_EVENTS)
    if wanted in GLOSSI_EVENTS:
        return [wanted]
    near = difflib.get_close_matches(wanted, GLOSSI_EVENTS, n=1, cutoff=0.5)
    raise ProblemError(
        Category.INPUT,
        f"There is no event “{text}”.",
        f"Did you mean “{near[0]}”?" if near else f"Events: {', '.join(GLOSSI_EVENTS)}, or all.",
    )


def _show(service: Service, present: dict[str, Any] | None, args: argparse.Namespace) -> int:
    if args.json:
        return _told(service, present, False, args)
    for line in _lines(present):
        print(line)
    if present is None:
        say(f"{service.label} has no webhook in this workspace.")
    return OK


def _lines(present: dict[str, Any] | None) -> list[str]:
    if present is None:
        return []
    state = "on" if present["enabled"] else "off"
    lines = [f"{present['url']}  ({state})", f"  events: {', '.join(present['events']) or 'none'}"]
    if present.get("description"):
        lines.append(f"  {present['description']}")
    return lines


def _set(
    service: Service, client: Any, present: dict[str, Any] | None, args: argparse.Namespace
) -> int:
    if present is not None and not _agreed(service, present, "would be replaced", "Replace", args):
        return _told(service, present, False, args, PERSON)
    made = client.set_webhook(
        args.url,
        list(dict.fromkeys(args.event)),
        enabled=not args.disabled,
        description=args.description,
    )
    secret = made.pop("secret")
    say(f"{service.label} now posts to:")
    for line in _lines(made):
        say(f"  {line}")
    _keep_secret(service, secret, args)
    return _told(service, made, True, args)


def _keep_secret(service: Service, secret: str, args: argparse.Namespace) -> None:
    if not secret:
        say("It told no secret; one that was kept before goes on being used.")
        return
    account = _account(args)
    try:
        where = keep(service, account, secret, args.allow_file)
    except ProblemError as error:
        raise ProblemError(
            error.problem.category,
            "The webhook is set, but its secret could not be kept.",
            f"{error.problem.hint} Then set it again: a secret is told each time.",
            error.problem.technical,
        ) from None
    say(f"Its secret is kept in the {PLACES[where]}.")
    variable = credentials.variable(service.name, credentials.WEBHOOK)
    if not args.sandbox and os.environ.get(variable, "").strip():
        say(f"  {variable} is set, and goes before it.")


def _delete(
    service: Service, client: Any, present: dict[str, Any] | None, args: argparse.Namespace
) -> int:
    if present is None:
        say(f"{service.label} has no webhook in this workspace.")
        return _told(service, None, False, args)
    if not _agreed(service, present, "would be removed", "Remove", args):
        return _told(service, present, False, args, PERSON)
    client.delete_webhook()
    credentials.delete(service.name, _account(args))
    say("The webhook is removed, and its secret is forgotten here.")
    return _told(service, None, True, args)


def _account(args: argparse.Namespace) -> str:
    return SANDBOX_WEBHOOK if args.sandbox else credentials.WEBHOOK


def _agreed(
    service: Service, present: dict[str, Any], fate: str, verb: str, args: argparse.Namespace
) -> bool:
    """Show what there is; True when somebody agreed that it goes."""
    say(f"{service.label} has a webhook, which {fate}:")
    for line in _lines(present):
        say(f"  {line}")
    if args.yes:
        return True
    if can_ask() and ask(f"{verb} it?"):
        return True
    say("Nothing was changed. --yes agrees.")
    return False


def _told(
    service: Service,
    webhook: dict[str, Any] | None,
    changed: bool,
    args: argparse.Namespace,
    code: int = OK,
) -> int:
    if args.json:
        emit({"service": service.name, "webhook": webhook, "changed": changed, "problem": None})
    return code
