# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier webhooks listen``: receive a service's events, wake the jobs they are about.

In the foreground, until it is interrupted. It listens on this computer alone; a tunnel of the
user's own brings the events here. The secret is never an argument and never printed.
"""

from __future__ import annotations

import argparse
import queue
import signal
import threading
import time

from .. import credentials, launch
from ..paths import data_home, ensure_home
from ..problems import Category, ProblemError
from ..services import Service
from ..store import Store
from ..webhooks import VERIFIERS, Event, Receiver, wake
from . import OK
from .output import emit, say
from .send import service_named

#: the worker may be looking at the job when its event comes, and then sleep; so once more
_AGAIN_SECONDS = (1.0, 5.0)


def webhooks(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
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
                _secret(service),
                args.port,
                events.put,
                on_rejected=lambda reason: say(f"Refused a delivery: {reason}."),
            ) as receiver,
        ):
            say(f"Listening at {receiver.url} for {service.label}; interrupt to stop.")
            say("  Only this computer can reach it: let your tunnel forward to that address.")
            if args.json:
                emit({"service": service.name, "port": receiver.port, "url": receiver.url})
            _listen(store, events, stop)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
    say("Stopped.")
    return OK


def _secret(service: Service) -> str:
    found = credentials.find(service.name, credentials.WEBHOOK)
    if found is None:
        raise ProblemError(
            Category.CREDENTIALS,
            f"There is no webhook secret for {service.label}.",
            f"Enter it with “scene-courier login {service.name} --webhook”, or set "
            f"{credentials.variable(service.name, credentials.WEBHOOK)}.",
        )
    return found.key


def _listen(store: Store, events: queue.SimpleQueue[Event], stop: threading.Event) -> None:
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
