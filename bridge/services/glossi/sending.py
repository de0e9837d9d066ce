# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends several models to their presigned addresses: side by side, bounded, as one progress."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...faults import HttpError
from ...flow import Flow

if TYPE_CHECKING:
    from .client import GlossiClient


@contextlib.contextmanager
def renewable(flow: Flow, upload: str) -> Iterator[None]:
    """Around a confirm: where it is refused, the step ``upload`` is forgotten.

    Nothing has started without a confirm, so a retry makes a new one and sends the bytes again.
    What becomes of a job or model that nobody confirmed in time is not documented.
    """
    try:
        yield
    except HttpError as error:
        status = error.status or 0
        if 400 <= status < 500 and status not in (401, 403, 429) and not error.transient:
            flow.store.drop_steps(flow.job.id, [upload])
        raise


def put_all(
    flow: Flow, client: GlossiClient, targets: Iterable[tuple[str, dict[str, Any]]]
) -> None:
    """PUT each product's file; ``targets`` are (upload address, product).

    The first failure stops the others and is raised (UploadExpired, HttpError, Canceled).
    """
    jobs = list(targets)
    total = sum(int(product["bytes"]) for _url, product in jobs)
    done: dict[str, int] = {}
    lock = threading.Lock()
    stop = threading.Event()
    news = [0]

    def moved(name: str, count: int) -> None:
        with lock:
            done[name] = count
            news[0] = sum(done.values())

    def send(url: str, product: dict[str, Any]) -> None:
        try:
            client.put(
                url,
                Path(product["path"]),
                on_progress=lambda count, _all: moved(product["file_name"], count),
                cancelled=stop.is_set,
            )
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(max(1, flow.settings.parallel_transfers)) as pool:
        futures = [pool.submit(send, url, product) for url, product in jobs]
        try:
            while True:
                # The store's connection belongs to this thread: only here is anything written.
                ended, open_ = wait(futures, 0.2, FIRST_EXCEPTION)
                flow.progress(news[0], total)
                if flow.canceled():
                    stop.set()
                if not open_ or any(future.exception() for future in ended):
                    break
        finally:
            stop_all = any(not future.done() for future in futures)
            if stop_all:
                stop.set()
    flow.check_canceled()
    errors = [error for future in futures if (error := future.exception()) is not None]
    real = [error for error in errors if type(error).__name__ != "Canceled"]
    if errors:
        raise (real or errors)[0]
