# SPDX-License-Identifier: GPL-3.0-or-later
"""Install, disable, enable, update and uninstall, through this Blender's own operators."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.extension import NAME, ROOT

LEFT_BEHIND = ("classes", "timers", "handlers", "menus", "keys", "processes")


@pytest.fixture(scope="module")
def life(archive: Path, session_root: Path) -> dict[str, Any]:
    """The report of one life; see lifecycle.py."""
    report = session_root / "life.json"
    resources = session_root / "life"
    resources.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.build.lifecycle", str(archive), str(report)],
        cwd=ROOT,
        env={**os.environ, "BLENDER_USER_RESOURCES": str(resources)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert report.is_file(), done.stdout + done.stderr
    return json.loads(report.read_text(encoding="utf-8"))


def test_it_is_enabled_and_not_just_installed(life: dict[str, Any]) -> None:
    assert life["installed"]["enabled"]
    assert life["installed"]["classes"], "nothing is registered"
    assert life["installed"]["timers"], "the pump does not run"


def test_enabling_imports_nothing_heavy(life: dict[str, Any]) -> None:
    assert life["heavy"] == []


def test_enabling_starts_no_process(life: dict[str, Any]) -> None:
    assert life["installed"]["processes"] == []


def test_the_wheels_serve_by_themselves(life: dict[str, Any]) -> None:
    """What Blender unpacked works with the standard library alone: nothing is missing from the
    bundle.
    """
    assert life["packages in use"] == ""


def test_blender_unpacked_the_wheels(life: dict[str, Any]) -> None:
    expected = {
        wheel.name.split("-")[0].lower().replace("_", "-").replace(".", "-")
        for wheel in (ROOT / "wheels").iterdir()
    }
    assert set(life["packages"]) == expected


@pytest.mark.parametrize("what", LEFT_BEHIND)
def test_disabling_leaves_nothing_behind(life: dict[str, Any], what: str) -> None:
    assert not life["disabled"]["enabled"]
    assert life["disabled"][what] == []


@pytest.mark.parametrize("what", ["properties", "threads"])
def test_disabling_restores_blender(life: dict[str, Any], what: str) -> None:
    assert life["disabled"][what] == life["before"][what]


@pytest.mark.parametrize("moment", ["enabled again", "updated"])
def test_it_comes_back_the_same(life: dict[str, Any], moment: str) -> None:
    assert life[moment]["enabled"]
    for what in ("classes", "timers", "handlers", "menus", "keys", "processes", "properties"):
        assert life[moment][what] == life["installed"][what], what


def test_uninstalling_removes_it_all(life: dict[str, Any]) -> None:
    after = life["uninstalled"]
    assert not after["enabled"]
    assert life["remaining files"] == []
    for what in LEFT_BEHIND:
        assert after[what] == [], what
    assert [name for name in after["modules"] if name.startswith(NAME)] == []
    assert after["properties"] == life["before"]["properties"]


def test_blenders_module_path_is_its_own(life: dict[str, Any]) -> None:
    """Nothing but Blender's own folder for unpacked wheels was added to ``sys.path``."""
    added = set(life["updated"]["path"]) - set(life["before"]["path"])
    assert added <= {life["site"]}
