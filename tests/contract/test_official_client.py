# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigyd's own client from PyPI, unchanged, works against the sandbox by its two settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.sandbox import Sandbox

from .conftest import Api, MakeBox
from .models import chair_glb

pytest.importorskip("rigyd", reason="the official client (rigyd 1.0.1) is not installed")

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(tmp_path: Path) -> Callable[[Sandbox], Cli]:
    """Runs ``rigyd ...`` in a process of its own, with a home and a cache of its own."""
    home = tmp_path / "client home"
    for name in ("home", "tmp", "out"):
        (home / name).mkdir(parents=True)

    def of(box: Sandbox) -> Cli:
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("RIGYD")
        }
        environment |= {
            "HOME": str(home / "home"),
            "XDG_CONFIG_HOME": str(home / "home" / ".config"),
            "RIGYD_CACHE": str(home / "cache"),
            "TMPDIR": str(home / "tmp"),
            "RIGYD_BASE_URL": box.rigyd.base_url,
            "RIGYD_API_KEY": box.rigyd.api_key,
            "NO_COLOR": "1",
            "PYTHONIOENCODING": "utf-8",
        }

        def run(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
            done = subprocess.run(
                [sys.executable, "-m", "rigyd.cli", *arguments], env=environment,
                cwd=home / "out", capture_output=True, encoding="utf-8", timeout=200,
            )  # fmt: skip
            assert done.returncode == expect, done.stderr
            return done

        return run

    return of


def _version() -> str:
    from importlib.metadata import version

    return version("rigyd")


def test_it_is_the_release_that_the_contract_was_written_from() -> None:
    assert _version() == "1.0.1"


@pytest.mark.blender
def test_the_whole_trip(
    make_box: MakeBox, client_of: Callable[[Sandbox], Api], cli: Callable[[Sandbox], Cli],
    tmp_path: Path,
) -> None:  # fmt: skip
    box = make_box(converter=None)
    rigyd = cli(box)
    before = client_of(box).credits()
    who = json.loads(rigyd("whoami", "--json").stdout)
    assert who["subscription"]["credits_remaining"] == before
    assert "sandbox@localhost" in rigyd("whoami").stdout
    assert json.loads(rigyd("pricing", "--json").stdout)["glb_to_simready"] == 1

    chair = tmp_path / "Oak chair.glb"
    chair.write_bytes(chair_glb())
    done = rigyd("convert", str(chair), "--tris", "5000", "--json")
    converted = json.loads(done.stdout)
    assert Path(converted["main"]).suffix == ".usd"
    assert Path(converted["main"]).is_file()
    identifier = converted["job_id"]

    listed = rigyd("jobs", "list").stdout
    assert identifier in listed
    assert "completed" in listed
    assert json.loads(rigyd("jobs", "list", "--json").stdout)["meta"]["total"] == 1
    shown = rigyd("jobs", "get", identifier).stdout
    assert Path(converted["main"]).name in shown
    assert "-mjcf.zip" in shown
    job = json.loads(rigyd("jobs", "get", identifier, "--json").stdout)
    assert job["parameters"] == {
        "target_triangle_count": 5000, "optimize": True, "client": "cli",
    }  # fmt: skip

    for target, main in (("usd", ".usd"), ("mjcf", ".xml"), ("all", ".xml")):
        folder = tmp_path / target
        got = json.loads(
            rigyd("download", identifier, "--export", target, "-o", str(folder), "--json").stdout
        )
        assert got["main"].endswith(main)
        tops = {Path(name).parts[0] for name in got["files"]}
        assert tops == ({"usd", "mjcf"} if target == "all" else {target})
    assert client_of(box).credits() == before - 1
    assert box.journal()["paid_submits"] == 1


def test_its_library(make_box: MakeBox, cli: Callable[[Sandbox], Cli], tmp_path: Path) -> None:
    from rigyd.client import RigydClient
    from rigyd.errors import RigydError
    from rigyd.job import Job

    box = make_box()
    client = RigydClient(box.rigyd.base_url, box.rigyd.api_key)
    chair = tmp_path / "chair.glb"
    chair.write_bytes(chair_glb())
    job = Job(client, client.create_from_file(str(chair))).wait(interval=0.05)
    assert job.progress == 100
    assert Path(job.download("mjcf", str(tmp_path / "mjcf"))).name == "chair.xml"
    with pytest.raises(RigydError, match="Conversion job not found"):
        client.get_job("nothing")
    with pytest.raises(RigydError, match="Invalid API key"):
        RigydClient(box.rigyd.base_url, "rgyd_live_wrong").me()
    (tmp_path / "x.blend").write_bytes(b"x")
    with pytest.raises(RigydError, match=r"Unsupported format: \.blend"):
        client.create_from_file(str(tmp_path / "x.blend"))
    for call in (
        lambda: client.generate_from_prompt("a chair"),
        lambda: client.generate_from_images([__file__]),
        lambda: client.simulate(str(job.id)),
    ):
        with pytest.raises(RigydError) as caught:
            call()
        assert caught.value.status in (502, 422)


def test_its_errors_are_readable(make_box: MakeBox, cli: Callable[[Sandbox], Cli]) -> None:
    shapes = ("plain", "nested", "data", "message")
    rules = [
        {"path": "/me", "nth": n, "status": 500, "error": "it broke", "shape": shape}
        for n, shape in enumerate(shapes, 1)
    ]
    rigyd = cli(make_box(faults={"rules": rules}))
    for _ in range(4):
        assert "it broke" in rigyd("whoami", expect=1).stderr
    rigyd("whoami")
