# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier services``: addresses, where keys come from, limits, prices, options.

It never shows a key. Prices are read from the service, since they may change; without a key, or
without a network, they are left out and the reason is said.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from .. import accounts, connect, credentials, settings, words
from ..paths import data_home, ensure_home, readable_bytes
from ..problems import Problem, ProblemError
from ..services import SERVICES, Option, Service
from ..store import Store
from . import OK
from .inputs import BLEND
from .output import emit, say

# This command answers a person at once; a job has more patience.
_SECONDS = 8.0


def services(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    with Store.open(ensure_home(data_home())) as store:
        entries = [_entry(store, service, args.offline) for service in SERVICES.values()]
    if args.json:
        emit({"services": entries})
        return OK
    for entry in entries:
        _print(entry)
    return OK


def _entry(store: Store, service: Service, offline: bool) -> dict[str, Any]:
    source = credentials.describe(service.name, home=store.home)
    prices, problem = None, None
    if source["key_source"] == "none":
        if source["sentence"]:
            say(f"{service.label}: {source['sentence']} {source['hint']}")
    elif service.priced and not offline:
        prices, problem = read_prices(store, service)
    if problem is not None:
        say(f"{service.label}: {problem.sentence} {problem.hint}")
    return {
        "name": service.name,
        "label": service.label,
        "base_url": accounts.environment_base_url(service.name) or service.default_base_url,
        "key_source": source["key_source"],
        "key_variable": source["variable"],
        "limits": {"accepts": [BLEND, *service.accepts], "max_bytes": service.max_bytes},
        "prices": prices,
        "problem": problem.to_dict() if problem else None,
        "options": [_option(option) for option in service.options],
    }


def read_prices(store: Store, service: Service) -> tuple[dict[str, float] | None, Problem | None]:
    """The price list in credits by job type, or why it could not be read."""
    patience = replace(
        settings.load(store.home),
        connect_seconds=_SECONDS,
        read_seconds=_SECONDS,
        answer_seconds=_SECONDS,
        retries=0,
    )
    try:
        way = connect.access(store, service, "default")
        with service.http(way.base_url, way.key, settings=patience) as http:
            return dict(service.client(http).pricing()), None
    except ProblemError as error:
        return None, error.problem


def _option(option: Option) -> dict[str, Any]:
    return {
        "name": option.name,
        "kind": option.kind,
        "default": option.default,
        "choices": list(option.choices or ()),
        "minimum": option.minimum,
        "maximum": option.maximum,
        "aliases": list(option.aliases),
        "help": option.help,
    }


def _print(entry: dict[str, Any]) -> None:
    print(f"{entry['name']} ({entry['label']})")
    print(f"  address   {entry['base_url']}")
    key = entry["key_source"]
    print(f"  key       {'none' if key == 'none' else f'from the {key}'}")
    print(f"  takes     {' '.join(entry['limits']['accepts'])}")
    print(f"  at most   {readable_bytes(entry['limits']['max_bytes'])} for one upload")
    for name, price in (entry["prices"] or {}).items():
        print(f"  price     {name}: {words.credits_text(price)}")
    for option in entry["options"]:
        default = "" if option["default"] is None else f" (default {_shown(option['default'])})"
        values = "|".join(map(str, option["choices"])) or option["kind"]
        print(f"  --option  {option['name']}={values}{default}")
        if option["help"]:
            print(f"              {option['help']}")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
