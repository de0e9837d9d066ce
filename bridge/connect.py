# SPDX-License-Identifier: GPL-3.0-or-later
"""From a job's account to a connection: which address, which key, and whether it may be used.

The sandbox's address and key come from its own private file. For a service, the address is the one
that was in the environment when the job was sent, else the vendor's; the key is looked up each
time and must be the one the job was sent with (compared by fingerprint, never kept).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import credentials
from .accounts import environment_base_url, key_print
from .http import Http
from .jobs import SANDBOX, Job
from .launch import ensure_sandbox
from .problems import Category, ProblemError
from .services.base import Service
from .settings import Settings
from .store import Store


@dataclass(frozen=True)
class Access:
    """Where a service is and the key for it; ``source`` as in ``credentials`` or "sandbox"."""

    base_url: str
    key: str = field(repr=False)
    source: str


def access(
    store: Store,
    service: Service,
    account: str,
    *,
    base_url: str = "",
    captured: dict[str, Any] | None = None,
) -> Access:
    """The address and key of an account. Raises ProblemError(CREDENTIALS, BLENDER, INTERNAL)."""
    if account == SANDBOX:
        entry = ensure_sandbox(store.home, captured)[service.name]
        return Access(str(entry["base_url"]), str(entry["api_key"]), SANDBOX)
    found = credentials.find(service.name, account, home=store.home)
    if found is None:
        raise ProblemError(
            Category.CREDENTIALS,
            f"There is no key for {service.label}.",
            f"Sign in with “scene-courier login {service.name}”, set "
            f"{credentials.variable(service.name)}, or use the sandbox.",
        )
    address = base_url or environment_base_url(service.name) or service.default_base_url
    return Access(address, found.key, found.source)


def connect(
    store: Store,
    service: Service,
    job: Job,
    settings: Settings,
    *,
    cancelled: Callable[[], bool],
    captured: dict[str, Any] | None = None,
    log: logging.Logger | None = None,
) -> Http:
    """A connection for a job. Raises as ``access``, also when the key is not the job's."""
    way = access(store, service, job.account, base_url=job.base_url, captured=captured)
    print_now = key_print(store, way.key)
    other = bool(job.key_print) and job.account != SANDBOX and job.key_print != print_now
    if other and way.source == "environment":
        # This process's environment is that of whoever started it; the job's may have had none.
        kept = _kept_key(store, job)
        if kept is not None and key_print(store, kept.key) == job.key_print:
            way, other = replace(way, key=kept.key, source=kept.source), False
    if other:
        raise ProblemError(
            Category.CREDENTIALS,
            f"This job was sent with another {service.label} key than the present one.",
            f"Set {credentials.variable(service.name)} to that key again, or sign in with it. "
            "A job that was never sent can be retried with the present key.",
            f"key from {way.source}",
        )
    if not job.key_print:
        store.update_job(job.id, key_print=print_now)
    return service.http(
        way.base_url,
        way.key,
        settings=settings,
        online=lambda: may_go_online(store.home, job.source),
        cancelled=cancelled,
        log=log,
    )


def _kept_key(store: Store, job: Job) -> credentials.Credential | None:
    """The key in the keyring or the private file, as if the environment had none."""
    try:
        return credentials.find(job.service, job.account, home=store.home, environ={})
    except ProblemError:
        return None


def may_go_online(home: Path, source: str) -> bool:
    """False while Blender's online access is off and the job came from Blender.

    Opens a connection of its own, since it is asked from transfer threads.
    """
    if source != "blender":
        return True
    with Store.open(home) as store:
        return bool(store.setting("online_access", {}).get("value", True))
