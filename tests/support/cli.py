# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the command line in a process of its own and reads what it says, as a pipeline would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

#: short pauses, so that tests do not wait where people would
QUICK = {
    "poll_seconds": 0.05,
    "poll_slow_seconds": 0.05,
    "reconcile_seconds": 0.3,
    "idle_seconds": 1.0,
    "retries": 1,
    "retry_cap_seconds": 0.2,
}


@dataclass(frozen=True)
class Said:
    """What a finished command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """stdout as the one JSON object that it has to be; one line, nothing before or after."""
        assert self.out.endswith("\n") and self.out.count("\n") == 1, self.out
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


def environment(home: Path, **more: str) -> dict[str, str]:
    """This process's environment with the data folder ``home`` and short pauses."""
    return {
        **os.environ,
        "SCENE_COURIER_HOME": str(home),
        "SCENE_COURIER_SETTINGS": json.dumps(QUICK),
        "PYTHONPATH": str(ROOT),
        **more,
    }


def command(*words: object) -> list[str]:
    """The argument list that starts the command line with this Python."""
    return [sys.executable, "-m", "bridge", *map(str, words)]


def run(
    *words: object,
    env: dict[str, str],
    stdin: str = "",
    cwd: Path | None = None,
    seconds: int = 120,
) -> Said:
    """Run a command to its end."""
    done = subprocess.run(
        command(*words),
        env=env,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=seconds,
    )
    return Said(done.returncode, done.stdout, done.stderr)
