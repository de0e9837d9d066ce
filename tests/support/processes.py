# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding and ending processes that tests started, also those that detached themselves.

They are known by the session's mark in their environment, which children inherit. Linux only, as it
reads ``/proc``; elsewhere nothing is found.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from .isolation import SESSION_VARIABLE


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def command_line(pid: int) -> str:
    """What runs there, or an empty text when it has gone (or is a zombie that nobody has waited
    for).
    """
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode("utf-8", "replace").strip()


def of_session(containing: str = "") -> dict[int, str]:
    """The living processes of this test session but this one: process id -> command line.

    ``containing`` keeps those that have this text (a data folder, say) in environment or command
    line.
    """
    mark = f"{SESSION_VARIABLE}={os.environ[SESSION_VARIABLE]}".encode()
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        if pid == os.getpid():
            continue
        environment = _environment(pid)
        if mark not in environment.split(b"\0"):
            continue
        line = command_line(pid)
        if line and (containing.encode() in environment or containing in line):
            found[pid] = line
    return found


def end(pids: list[int], patience: float = 5.0) -> None:
    """Ask these processes to stop, then make them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            try:
                os.kill(pid, number)
            except OSError:
                continue
        until = time.monotonic() + patience
        while time.monotonic() < until and any(command_line(pid) for pid in pids):
            time.sleep(0.05)
        pids = [pid for pid in pids if command_line(pid)]


def left_over(patience: float) -> dict[int, str]:
    """What still runs after waiting up to ``patience`` seconds for it to leave by itself."""
    until = time.monotonic() + patience
    while True:
        found = of_session()
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.2)
