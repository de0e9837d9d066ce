# SPDX-License-Identifier: GPL-3.0-or-later
"""Every test session: a home of its own, no network, nothing left running, no secret on disk."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import isolation, network, processes, sweep

SESSION_ROOT = isolation.isolate()
network.install()

_faults: list[str] = []
_session: pytest.Session | None = None


def pytest_configure(config: pytest.Config) -> None:
    """Put pytest's own temporary folders where the sweep looks."""
    if config.option.basetemp is None:
        config.option.basetemp = str(SESSION_ROOT / "pytest")


@pytest.fixture(scope="session")
def session_root() -> Path:
    """The folder that holds everything this session writes."""
    return SESSION_ROOT


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of its own; whatever was started for it (a worker, a sandbox) is ended
    afterwards.
    """
    folder = tmp_path / "courier home"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("SCENE_COURIER_HOME", str(folder))
    yield folder
    processes.end(list(processes.of_session(containing=str(folder))))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Judge what the session left behind; a fault turns a passed session into a failed one."""
    global _session
    _session = session
    if session.config.option.collectonly:
        return
    stray = processes.left_over(patience=5.0)
    _faults.extend(f"still running: {pid} {line}" for pid, line in stray.items())
    processes.end(list(stray))
    _faults.extend(f"tried to leave this computer: {what}" for what in network.refused)
    _faults.extend(
        f"a secret in {found.where}: {found.secret[:14]}…" for found in sweep.sweep(SESSION_ROOT)
    )
    if _faults and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was found."""
    if _faults:
        terminalreporter.section("left behind by this session", red=True)
        for fault in _faults:
            terminalreporter.line(fault, red=True)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Remove the session's folder; leave at once where Blender is in the process.

    With ``bpy`` loaded the ordinary way out is no way out: 4.5 hangs when a timer is still
    registered and 4.2 crashes after some operators, both after all tests have passed.
    """
    if not os.environ.get("SCENE_COURIER_KEEP_TESTS") and not _faults:
        shutil.rmtree(SESSION_ROOT, ignore_errors=True)
    if "bpy" in sys.modules and _session is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(_session.exitstatus))
