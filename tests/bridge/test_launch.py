# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting the worker: from a copy, one per data folder, making room for newer ones."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bridge import __version__, commands, launch
from bridge.jobs import Job
from bridge.paths import ensure_home
from bridge.problems import Category, ProblemError
from bridge.route import check_url
from bridge.store import Store

PYTHON = f"cp3{sys.version_info[1]}"
OTHER = "cp313" if PYTHON == "cp311" else "cp311"
linux_x64 = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="wheel names of Linux x64"
)


@linux_x64
@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("keyring-25.7.0-py3-none-any.whl", True),
        ("jeepney-0.9.0-py2.py3-none-any.whl", True),
        (f"cffi-2.0.0-{PYTHON}-{PYTHON}-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", True),
        (f"cffi-2.0.0-{OTHER}-{OTHER}-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", False),
        (f"cffi-2.0.0-{PYTHON}-{PYTHON}-macosx_11_0_arm64.whl", False),
        (f"cffi-2.0.0-{PYTHON}-{PYTHON}-win_amd64.whl", False),
        (f"cffi-2.0.0-{PYTHON}-{PYTHON}-manylinux2014_aarch64.whl", False),
        ("cryptography-46.0.3-cp311-abi3-manylinux_2_34_x86_64.whl", True),
        ("cryptography-46.0.3-cp399-abi3-manylinux_2_34_x86_64.whl", False),
    ],
)
def test_only_fitting_wheels_are_unpacked(name: str, fits: bool) -> None:
    assert launch._fits(name) is fits


def test_a_copy_starts_others_from_itself(home: Path) -> None:
    """The worker starts the sandbox: another copy made from the copy would have no wheels."""
    ensure_home(home)
    copy = launch.runtime_copy(home)
    (copy / "site" / "from_a_wheel.py").touch()
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); "
        "from bridge import launch; print(launch.runtime_copy(Path(sys.argv[2])))"
    )
    said = subprocess.run(
        [sys.executable, "-I", "-c", code, str(copy), str(home)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(said.stdout.strip()) == copy
    assert [path for path in (home / "runtime").iterdir() if path.is_dir()] == [copy]


def test_the_runtime_is_a_working_copy(home: Path) -> None:
    ensure_home(home)
    copy = launch.runtime_copy(home)
    assert copy == launch.runtime_copy(home), "made once"
    assert copy.name.startswith(f"{__version__}-{PYTHON}-")
    assert (copy / "addon" / "recipes" / "run.py").is_file()
    assert not list(copy.rglob("*.pyc")) and not (copy / "addon" / "panels.py").exists()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import bridge.worker, bridge.sandbox; "
        "print(bridge.__file__)"
    )
    said = subprocess.run(
        [sys.executable, "-I", "-c", code, str(copy)], capture_output=True, text=True, check=True
    )
    assert Path(said.stdout.strip()).parent == copy / "bridge"


def test_a_full_disk_is_told_and_leaves_no_half_copy(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, idle=0.2)

    def full(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:10])
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ProblemError) as caught:
        launch.ensure_worker(home)
    assert caught.value.problem.category is Category.DISK
    assert caught.value.problem.sentence == "The disk is full."
    assert list((home / "runtime").iterdir()) == []


def test_wheels_of_the_extension_come_along(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_home(home)
    root = home / "extension"
    for name in ("bridge", "addon/recipes", "wheels"):
        (root / name).mkdir(parents=True)
    for name in ("bridge/__init__.py", "addon/__init__.py", "addon/recipes/run.py"):
        (root / name).write_text("")
    with zipfile.ZipFile(root / "wheels" / "greeting-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("greeting.py", "WORD = 'hello'\n")
    monkeypatch.setattr(launch, "ROOT", root)
    copy = launch.runtime_copy(home)
    assert (copy / "site" / "greeting.py").read_text() == "WORD = 'hello'\n"


def quick(monkeypatch: pytest.MonkeyPatch, idle: float) -> None:
    monkeypatch.setenv("SCENE_COURIER_SETTINGS", json.dumps({"idle_seconds": idle}))
    monkeypatch.delenv(launch.NO_WORKER, raising=False)
    monkeypatch.delenv("RIGYD_API_KEY", raising=False)


def gone(home: Path, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while launch.worker_running(home):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def worker_info(home: Path) -> dict[str, object]:
    end = time.monotonic() + 15
    while time.monotonic() < end:
        with Store.open(home) as store:
            info = dict(store.setting("worker", {}))
        if info:
            return info
        time.sleep(0.05)
    raise AssertionError((home / "worker.log").read_text())


def test_one_worker_which_leaves_when_idle(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, idle=1.5)
    assert not launch.worker_running(home)
    for _ in range(3):
        launch.ensure_worker(home)
    assert launch.wait_for_worker(home)
    pid = worker_info(home)["pid"]
    launch.ensure_worker(home)
    assert worker_info(home)["pid"] == pid
    assert gone(home)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_workers_that_have_left_leave_nothing_in_a_long_session(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that nobody waits for stays in the list of processes as long as Blender runs."""
    quick(monkeypatch, idle=0.2)
    launch.ensure_worker(home)
    pid = int(str(worker_info(home)["pid"]))
    assert gone(home)
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end, "still there"
        launch.ensure_worker(home)
        time.sleep(0.5)
    time.sleep(3)  # for one that was just being started
    assert gone(home)


def test_a_password_in_an_address_reaches_no_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The panel's jobs carry the address of the environment, and it is refused when used."""
    ensure_home(home)
    monkeypatch.setenv("RIGYD_BASE_URL", "https://me:hunter22@rigyd.example/api")
    with Store.open(home) as store:
        job = commands.submit(store, Job(service="rigyd", name="Chair"))
    assert "hunter22" not in job.base_url
    with pytest.raises(ProblemError, match="user name or a password"):
        check_url(job.base_url)
    assert b"hunter22" not in b"".join(path.read_bytes() for path in home.glob("courier.sqlite*"))


def test_a_worker_without_this_environments_key_makes_room(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, idle=30)
    launch.ensure_worker(home)
    first = worker_info(home)
    assert first["env"] == {}
    key = "rgyd_test_" + "k" * 43
    monkeypatch.setenv("RIGYD_API_KEY", key)
    launch.ensure_worker(home)
    end = time.monotonic() + 15
    while (second := worker_info(home))["pid"] == first["pid"] and time.monotonic() < end:
        time.sleep(0.05)
    assert second["pid"] != first["pid"] and "rigyd" in dict(second["env"])  # type: ignore[call-overload]
    assert key.encode() not in b"".join(p.read_bytes() for p in home.glob("courier.sqlite*"))
    launch.stop_worker(home)
    assert gone(home)


def test_no_worker_when_told_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(launch.NO_WORKER, "1")
    launch.ensure_worker(home)
    assert not launch.wait_for_worker(home, 0.5)
    assert not (home / "worker.log").exists() or os.path.getsize(home / "worker.log") == 0


def test_several_jobs_at_once_start_one_sandbox(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_home(home)
    monkeypatch.setenv("SCENE_COURIER_BLENDER", sys.executable)  # it is not asked for anything
    started: list[str] = []
    real = launch._spawn

    def spawn(module: str, *rest: Any) -> None:
        started.append(module)
        real(module, *rest)

    monkeypatch.setattr(launch, "_spawn", spawn)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _n: launch.ensure_sandbox(home), range(4)))
    assert started == ["sandbox.managed"]
    assert all(answer == answers[0] for answer in answers) and "rigyd" in answers[0]


def test_a_killed_sandbox_is_not_taken_for_a_living_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_home(home)
    monkeypatch.setenv("SCENE_COURIER_BLENDER", sys.executable)
    first = launch.ensure_sandbox(home)
    assert launch.ensure_sandbox(home) == first, "it runs already"
    for service in ("rigyd", "renderjuice", "glossi"):
        assert f"/{service}/" in first[service]["base_url"] and first[service]["api_key"]
    assert first["glossi"]["files_url"].endswith("/glossi/files/")
    os.kill(first["pid"], signal.SIGKILL)
    end = time.monotonic() + 10
    while launch.locked(home / "sandbox" / launch.SANDBOX_LOCK):
        assert time.monotonic() < end
        time.sleep(0.02)
    second = launch.ensure_sandbox(home)
    assert second["pid"] != first["pid"]
    assert second["rigyd"]["api_key"] == first["rigyd"]["api_key"]


def test_a_sandbox_without_a_blender_gives_way_once_there_is_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_home(home)
    with monkeypatch.context() as before:
        before.setattr(launch, "sandbox_blender", lambda *_: None)
        first = launch.ensure_sandbox(home)
        assert launch.ensure_sandbox(home) == first, "nothing better is known"
    monkeypatch.setattr(launch, "sandbox_blender", lambda *_: sys.executable)
    second = launch.ensure_sandbox(home)
    assert second["pid"] != first["pid"] and launch.ensure_sandbox(home) == second
    assert second["rigyd"]["api_key"] == first["rigyd"]["api_key"], "its jobs and key stay"


def test_any_blender_that_sent_a_job_may_convert(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that has no USD is passed over for one that has; both are asked, not guessed."""
    ensure_home(home)
    programs = {}
    for name, usd in (("old", "false"), ("new", "true")):
        programs[name] = tmp_path / name / "python3"
        programs[name].parent.mkdir()
        answer = f'@courier {{"version": [4, 2, 23], "usd": {usd}}}'
        programs[name].write_text(f"#!/bin/sh\necho '{answer}'\n")
        programs[name].chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(programs["old"]))
    monkeypatch.delenv("SCENE_COURIER_BLENDER", raising=False)
    captured = {"executable": str(programs["old"])}
    assert launch.sandbox_blender(home, captured) is None
    with Store.open(home) as store:
        sent = Job(
            service="rigyd", name="a", origin={"blender": {"executable": str(programs["new"])}}
        )
        commands.submit(store, sent)
    assert launch.sandbox_blender(home, captured) == str(programs["new"])
    monkeypatch.setenv("SCENE_COURIER_BLENDER", str(tmp_path / "missing"))
    assert launch.sandbox_blender(home, captured) == str(tmp_path / "missing"), "to be reported"
