# SPDX-License-Identifier: GPL-3.0-or-later
"""Several keys and one worker: pipelines that share a data folder, each with an account of its own.

The worker has the environment of whoever started it. Each job goes on with its own key all the
same, and a command ends with "no key" only where its key is really refused.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.sandbox import Sandbox
from bridge.sandbox.canned import CannedConverter, tiny_glb
from tests.support.cli import command, environment, run

SLOW = {"rules": [{"method": "POST", "path": "/conversions", "job": {"seconds": 1}}]}


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[list[Sandbox]]:
    """Two services of the same kind; each knows only its own key."""
    with (
        Sandbox(tmp_path / "one", converter=CannedConverter()) as one,
        Sandbox(tmp_path / "two", converter=CannedConverter()) as two,
    ):
        yield [one, two]


@pytest.fixture
def glb(tmp_path: Path) -> Path:
    path = tmp_path / "cup.glb"
    path.write_bytes(tiny_glb())
    return path


def of(box: Sandbox, home: Path) -> dict[str, str]:
    return environment(home, RIGYD_BASE_URL=box.rigyd.base_url, RIGYD_API_KEY=box.rigyd.api_key)


def test_two_that_send_at_once_with_keys_of_their_own(
    home: Path, boxes: list[Sandbox], glb: Path
) -> None:
    words = command("send", glb, "--to", "rigyd", "--wait", "--yes", "--json")
    started = []
    for box in boxes:
        box.set_faults(SLOW)
        started.append(
            subprocess.Popen(
                words, env=of(box, home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    for process in started:
        out, err = process.communicate(timeout=90)
        assert (process.returncode, json.loads(out)["state"]) == (0, "done"), err
    assert [box.journal()["paid_submits"] for box in boxes] == [1, 1]


def test_a_kept_key_beside_a_worker_that_has_another_in_its_environment(
    home: Path, boxes: list[Sandbox], glb: Path
) -> None:
    one, two = boxes
    words = ("send", glb, "--to", "rigyd", "--wait", "--yes", "--json")
    settings = json.loads(of(one, home)["SCENE_COURIER_SETTINGS"])
    patient = json.dumps({**settings, "idle_seconds": 60})
    said = run(*words, env={**of(one, home), "SCENE_COURIER_SETTINGS": patient})
    assert said.code == 0, said.err
    kept = of(two, home)
    key = kept.pop("RIGYD_API_KEY")
    assert run("login", "rigyd", "--allow-file", env=kept, stdin=f"{key}\n").code == 0
    said = run(*words, env=kept)
    assert (said.code, said.json["state"]) == (0, "done"), said.err
    assert [box.journal()["paid_submits"] for box in boxes] == [1, 1]


def test_a_refused_key_is_told_at_once(home: Path, boxes: list[Sandbox], glb: Path) -> None:
    """Waiting for a worker with this key must not hide that the service does not take it."""
    wrong = {**of(boxes[0], home), "RIGYD_API_KEY": boxes[1].rigyd.api_key}
    said = run("send", glb, "--to", "rigyd", "--wait", "--yes", "--json", env=wrong, seconds=60)
    assert (said.code, said.json["state"]) == (3, "waiting"), said.err
    assert "does not accept the key" in said.json["problem"]["sentence"]
