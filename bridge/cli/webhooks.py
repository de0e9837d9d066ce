# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier webhooks listen``: receive a service's events, wake the jobs they are about.

In the foreground, until it is interrupted. It listens on this computer alone; a tunnel of the
user's own brings the events here. The secret is never an argument and never printed.
"""

from __future__ import annotations

import argparse
import contextlib
import queue
import signal
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path

from .. import credentials, launch
from ..paths import data_home, ensure_home
from ..problems import Category, ProblemError
from ..services import Service
from ..settings import load
from ..store import Store
from ..webhooks import VERIFIERS, Event, Receiver, wake
from . import OK
from .output import emit, say
from .send import service_named

#: the worker may be looking at the job when its event comes, and then sleep; so once more
_AGAIN_SECONDS = (1.0, 5.0)
#: two events about one model must not write one file
_fetching = threading.Lock()


def webhooks(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    if args.action != "listen":
        from .webhook_setting import setting

        return setting(args)
    service = service_named(args.service)
    if service.name not in VERIFIERS:
        raise ProblemError(
            Category.INPUT,
            f"{service.label} sends no events that Scene Courier knows.",
            f"Services that do: {', '.join(VERIFIERS)}.",
        )
    home = ensure_home(data_home())
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        with (
            Store.open(home) as store,
            Receiver(
                service.name,
                _secret(service, args.sandbox),
                args.port,
                events.put,
                on_rejected=lambda reason: say(f"Refused a delivery: {reason}."),
            ) as receiver,
        ):
            say(f"Listening at {receiver.url} for {service.label}; interrupt to stop.")
            say("  Only this computer can reach it: let your tunnel forward to that address.")
            if args.json:
                emit({"service": service.name, "port": receiver.port, "url": receiver.url})
            _listen(store, service, events, stop)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
    say("Stopped.")
    return OK


def _secret(service: Service, sandbox: bool) -> str:
    if sandbox:
        from .webhook_setting import SANDBOX_WEBHOOK

        found = credentials.find(service.name, SANDBOX_WEBHOOK)
        hint = "Set its webhook first: “scene-courier webhooks set --sandbox”."
    else:
        found = credentials.find(service.name, credentials.WEBHOOK)
        hint = (
            f"Enter it with “scene-courier login {service.name} --webhook”, or set "
            f"{credentials.variable(service.name, credentials.WEBHOOK)}."
        )
    if found is None:
        raise ProblemError(
            Category.CREDENTIALS, f"There is no webhook secret for {service.label}.", hint
        )
    return found.key


def _listen(
    store: Store, service: Service, events: queue.SimpleQueue[Event], stop: threading.Event
) -> None:
    again: list[tuple[float, Event]] = []
    while not stop.is_set():
        try:
            event = events.get(timeout=0.2)
        except queue.Empty:
            now = time.monotonic()
            due = [item for item in again if item[0] <= now]
            again = [item for item in again if item[0] > now]
            for _moment, event in due:
                wake(store, event)
            continue
        woken = wake(store, event)
        names = ", ".join(job_id[:8] for job_id in woken)
        say(f"{event.name}: {f'job {names} looks at once' if woken else 'no open job here'}.")
        if woken:
            launch.ensure_worker(store.home)
            again += [(time.monotonic() + seconds, event) for seconds in _AGAIN_SECONDS]
        if event.thumbnail or event.glb:
            threading.Thread(
                target=_keep_previews, args=(store.home, service, event), daemon=True
            ).start()


def _keep_previews(home: Path, service: Service, event: Event) -> None:
    """Fetch what an event about a processed model names; a job is none the worse without it."""
    from ..connect import may_go_online
    from ..services.glossi import previews

    quiet = contextlib.suppress(ProblemError, OSError, sqlite3.Error)
    with _fetching, quiet, Store.open(home) as store:
        settings = replace(load(home), retries=1)
        for job in store.jobs_about(event.service, event.ids):
            with service.http(
                service.default_base_url,
                None,
                settings=settings,
                online=lambda job=job: may_go_online(home, job.source),  # type: ignore[misc]
            ) as http:
                kept = previews.keep(store, job, http, event.ids, event.thumbnail, event.glb)
            for path in kept:
                say(f"  {path.name} for job {job.short_id}.")
