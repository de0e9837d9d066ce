# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers the questions that the panel puts into the store (it has no network itself).

pricing        {"service", "account"} -> the service's price list, credits by job type
service_state  {"service", "account"} -> where the key comes from, the address, "ready"
account        {"service", "account"} -> the credits that are left, or null where not told
remote_jobs    {"service", "account"} -> {"jobs": [{"id", "status", "created_at" (Unix seconds or
               null), "name", "here" (in this list already)}]}, newest first
templates      {"service", "account"} -> {"templates": [{"id", "name", "description", "scope"}],
               "at" (Unix seconds)}; scope is "public" or "workspace". The time is part of the
               answer: an old list stays readable when a newer one cannot be had

No answer ever holds a key.
"""

from __future__ import annotations

import itertools
import logging
import time
from pathlib import Path
from typing import Any

from .accounts import environment_base_url
from .connect import access, may_go_online
from .jobs import DEFAULT_ACCOUNT, SANDBOX, Request
from .problems import Category, Problem, ProblemError
from .redact import redact
from .services import SERVICES
from .services.base import Service
from .settings import Settings
from .store import Store

_KINDS = ("pricing", "service_state", "account", "remote_jobs", "templates")
#: more are not listed; a workspace may have thousands
_MOST_JOBS = 200


def answer(home: Path, settings: Settings, request: Request) -> None:
    """Work on one question and write its answer, or a problem, to the store."""
    with Store.open(home) as store:
        try:
            store.answer(request.id, _answer(store, settings, request))
        except ProblemError as error:
            store.answer(request.id, problem=error.problem)
        except Exception as error:
            logging.exception("question %s", request.kind)
            text = redact(f"{type(error).__name__}: {error}")[:300]
            store.answer(
                request.id,
                problem=Problem(Category.INTERNAL, "This could not be looked up.", "", text),
            )


def _answer(store: Store, settings: Settings, request: Request) -> Any:
    service = SERVICES.get(str(request.args.get("service")))
    account = str(request.args.get("account") or DEFAULT_ACCOUNT)
    if service is None or request.kind not in _KINDS:
        raise ProblemError(
            Category.INTERNAL,
            "This version does not know what was asked.",
            "Update Scene Courier.",
            f"{request.kind} {sorted(request.args)}",
        )
    if request.kind == "service_state":
        return service_state(store, service, account)
    way = access(store, service, account, base_url=str(request.args.get("base_url") or ""))
    with service.http(
        way.base_url,
        way.key,
        settings=settings,
        online=lambda: may_go_online(store.home, str(request.args.get("source", "blender"))),
    ) as http:
        client = service.client(http)
        if request.kind == "templates":
            return {"templates": client.templates_by_scope(), "at": time.time()}
        if request.kind == "remote_jobs":
            return {"jobs": remote_jobs(store, service, account, client)}
        return client.pricing() if request.kind == "pricing" else client.me()


def remote_jobs(store: Store, service: Service, account: str, client: Any) -> list[dict[str, Any]]:
    """The account's jobs at the service, newest first, and which of them are here already."""
    here = {
        job.remote_id
        for job in store.jobs()
        if (job.service, job.account) == (service.name, account) and job.remote_id
    }
    found = []
    for row in itertools.islice(client.all_jobs(), _MOST_JOBS):
        moment = client.created_at(row)
        found.append(
            {
                "id": row["id"],
                "status": str(row.get("status") or ""),
                "created_at": moment,
                "name": client.name_of(row),
                "here": row["id"] in here,
            }
        )
    return sorted(found, key=lambda row: row["created_at"] or 0.0, reverse=True)


def service_state(store: Store, service: Service, account: str) -> dict[str, Any]:
    """Where an account's key comes from and whether it can be used; reaches for no network."""
    if account == SANDBOX:
        return {"key_source": SANDBOX, "base_url": "", "ready": True}
    address = environment_base_url(service.name) or service.default_base_url
    try:
        source = access(store, service, account).source
    except ProblemError as error:
        return {
            "key_source": "none",
            "base_url": address,
            "ready": False,
            "problem": error.problem.to_dict(),
        }
    return {"key_source": source, "base_url": address, "ready": True}
