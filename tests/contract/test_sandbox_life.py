# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's life: restarts, queues, one per folder, ends by signal or by idleness."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge.problems import Category, ProblemError
from bridge.sandbox import Sandbox, runner, serve
from bridge.sandbox.canned import CannedConverter

from .conftest import Api, MakeBox

ClientOf = Callable[[Sandbox], Api]


class Holding(CannedConverter):
    """Converts until it is let go, or stopped with the sandbox."""

    def __init__(self) -> None:
        super().__init__()
        self.running: list[str] = []
        self.most = 0
        self.let_go = threading.Event()

    def __call__(self, conversion: Any, progress: Any) -> dict[str, Any]:
        from bridge.problems import Canceled

        self.running.append(conversion.job_id)
        self.most = max(self.most, len(self.running))
        progress(0.5, "colliders")
        try:
            while not self.let_go.wait(0.01):
                if conversion.cancelled():
                    raise Canceled()
            return super().__call__(conversion, progress)
        finally:
            self.running.remove(conversion.job_id)


def test_everything_survives_a_restart(make_box: MakeBox, client_of: ClientOf) -> None:
    first = make_box()
    api = client_of(first)
    identifier = api.accepted()
    before = api.until(identifier)
    result = api.get(f"/conversions/{identifier}/result").content
    address, credits = first.address(), api.credits()
    first.stop()
    second = make_box()
    assert second.address() == address, "the same key and, where it is free, the same port"
    api = client_of(second)
    assert api.job(identifier) == before
    assert api.credits() == credits
    assert api.get(f"/conversions/{identifier}/result").content == result
    assert second.journal()["paid_submits"] == 1
    second.stop()
    third = make_box(port=_free_port())
    moved = client_of(third).job(identifier)["output"]["model"]
    assert moved["url"].startswith(third.origin)
    assert len(requests.get(moved["url"], timeout=10).content) == moved["size"]


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_interrupted_and_waiting_jobs_are_done_after_a_restart(
    make_box: MakeBox, client_of: ClientOf
) -> None:
    box = make_box(converter=Holding())
    api = client_of(box)
    running, waiting = api.accepted(), api.accepted("second.glb")
    api.until(running, "running")
    assert api.job(waiting)["status"] == "queued"
    before = api.credits()
    box.stop()
    api = client_of(make_box())
    for identifier in (running, waiting):
        job = api.until(identifier)
        assert job["status"] == "completed", job["error"]
    assert api.credits() == before
    names = {item["filename"] for item in api.get("/conversions").json()["data"]}
    assert names == {"chair.glb", "second.glb"}


def test_a_job_that_always_ends_the_sandbox_fails_at_last(
    make_box: MakeBox, client_of: ClientOf
) -> None:
    box = make_box(converter=Holding())
    api = client_of(box)
    identifier = api.accepted()
    full = api.credits() + 1
    for _ in range(3):
        api.until(identifier, "running")
        box.stop()
        box = make_box(converter=Holding())
        api = client_of(box)
    job = api.until(identifier)
    assert job["status"] == "failed"
    assert "three times" in job["error"]
    assert api.credits() == full


def test_an_upload_that_was_lost_fails_and_is_refunded(
    make_box: MakeBox, client_of: ClientOf
) -> None:
    import shutil

    box = make_box(converter=Holding())
    api = client_of(box)
    identifier = api.accepted()
    full = api.credits() + 1
    box.stop()
    shutil.rmtree(box.rigyd.job_folder(identifier))
    api = client_of(make_box())
    job = api.until(identifier)
    assert "lost" in job["error"]
    assert api.credits() == full


def test_a_disk_that_cannot_take_the_upload_costs_nothing(
    make_box: MakeBox, client_of: ClientOf
) -> None:
    box = make_box()
    api = client_of(box)
    full = api.credits()
    (box.state_dir / "rigyd" / "jobs").write_text("in the way")
    answer = api.submit()
    assert answer.status_code == 502
    assert answer.json()["error"].startswith("Conversion service unavailable: ")
    assert api.credits() == full
    assert api.get("/conversions").json()["data"][0]["status"] == "failed"


def test_one_conversion_at_a_time_unless_told_otherwise(
    make_box: MakeBox, client_of: ClientOf, tmp_path: Path
) -> None:
    for parallel in (1, 3):
        converter = Holding()
        box = make_box(tmp_path / f"box{parallel}", converter=converter, parallel=parallel)
        api = client_of(box)
        made = [api.accepted() for _ in range(4)]
        for identifier in made[:parallel]:
            api.until(identifier, "running")
        assert set(converter.running) == set(made[:parallel]), "first come, first served"
        assert all(api.job(other)["status"] == "queued" for other in made[parallel:])
        converter.let_go.set()
        for identifier in made:
            api.until(identifier)
        assert converter.most == parallel


def test_a_converter_that_breaks_fails_its_job_only(make_box: MakeBox, client_of: ClientOf) -> None:
    class Broken(CannedConverter):
        def __call__(self, conversion: Any, progress: Any) -> dict[str, Any]:
            if "bad" in conversion.name:
                raise ZeroDivisionError
            return super().__call__(conversion, progress)

    api = client_of(make_box(converter=Broken()))
    bad, good = api.accepted("bad.glb"), api.accepted("good.glb")
    assert api.until(bad)["error"] == "Internal error: ZeroDivisionError"
    assert api.until(good)["status"] == "completed"


def test_one_sandbox_in_a_folder(make_box: MakeBox) -> None:
    box = make_box()
    with pytest.raises(ProblemError, match="already running"):
        Sandbox(box.state_dir).start()
    assert requests.get(f"{box.rigyd.base_url}/me", timeout=10).status_code == 401
    box.stop()
    make_box()


def test_a_taken_port_and_an_unknown_service_are_said(make_box: MakeBox, tmp_path: Path) -> None:
    port = int(make_box().origin.rpartition(":")[2])
    with pytest.raises(ProblemError, match=f"Port {port} is in use"):
        Sandbox(tmp_path / "other", port=port).start()
    with pytest.raises(ProblemError, match="Port 99999 cannot be used"):
        Sandbox(tmp_path / "other", port=99999).start()
    with pytest.raises(ProblemError, match="no service named nothing"):
        Sandbox(tmp_path / "other", services=("nothing",))


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProblemError, match="cannot write"):
        Sandbox(tmp_path / "file" / "box").start()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_the_key_is_random_and_private(make_box: MakeBox, tmp_path: Path) -> None:
    one, two = make_box(), make_box(tmp_path / "two")
    assert one.rigyd.api_key != two.rigyd.api_key
    assert one.rigyd.api_key.startswith("rgyd_test_")
    assert len(one.rigyd.api_key) == len("rgyd_test_") + 43
    holders = [
        path
        for path in one.state_dir.rglob("*")
        if path.is_file() and one.rigyd.api_key.encode() in path.read_bytes()
    ]
    assert sorted(path.name for path in holders) == ["address.json", "credentials.json"]
    for path in holders:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(one.state_dir.stat().st_mode) == 0o700


def test_old_jobs_are_removed_beyond_the_cap(
    make_box: MakeBox, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "KEEP_JOBS", 2)
    box = make_box()
    api = client_of(box)
    made = [api.accepted() for _ in range(3)]
    for identifier in made:
        api.until(identifier)
    assert api.get("/conversions").json()["meta"]["total"] == 3, "none within the hour"
    monkeypatch.setattr(runner, "KEEP_SECONDS", 0.0)
    made.append(api.accepted())
    api.until(made[-1])
    jobs = box.state_dir / "rigyd" / "jobs"
    end = time.monotonic() + 10
    while {path.name for path in jobs.iterdir()} != set(made[2:]):
        assert time.monotonic() < end, "the older folders are still there"
        time.sleep(0.02)
    assert [job["id"] for job in api.get("/conversions").json()["data"]] == made[:1:-1]
    assert box.journal()["paid_submits"] == 4


# -- as a process ----------------------------------------------------------------------------------

PROGRAM = """
import json, sys
from pathlib import Path
from bridge.sandbox import serve
serve(Path(sys.argv[1]), idle_exit=float(sys.argv[2]) or None,
      on_ready=lambda address: print(json.dumps(address), flush=True))
print("ended", flush=True)
"""


@pytest.fixture
def start(
    tmp_path: Path, environment: dict[str, str]
) -> Iterator[Callable[[float], tuple[subprocess.Popen[str], dict[str, Any]]]]:
    processes: list[subprocess.Popen[str]] = []

    def begin(idle: float = 0) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "served"), str(idle)],
            stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        processes.append(process)
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())

    yield begin
    for process in processes:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_cleanly_by_signal(start: Any, tmp_path: Path, number: int) -> None:
    process, address = start()
    written = json.loads((tmp_path / "served" / "address.json").read_text())
    assert written == {"pid": process.pid, **address}
    bearer = {"Authorization": f"Bearer {address['rigyd']['api_key']}"}
    answer = requests.get(f"{address['rigyd']['base_url']}/me", headers=bearer, timeout=10)
    assert answer.status_code == 200
    process.send_signal(number)
    assert process.wait(20) == 0
    assert process.stdout.read() == "ended\n"
    assert not (tmp_path / "served" / "address.json").exists()


def test_a_killed_sandbox_leaves_a_folder_that_starts_again(start: Any) -> None:
    process, address = start()
    process.kill()
    process.wait(10)
    _, again = start()
    assert again["rigyd"]["api_key"] == address["rigyd"]["api_key"]


def test_serve_leaves_when_nobody_uses_it(start: Any) -> None:
    process, _ = start(1.0)
    assert process.wait(30) == 0


def test_serve_says_what_is_wrong(make_box: MakeBox) -> None:
    box = make_box()
    with pytest.raises(ProblemError, match="already running"):
        serve(box.state_dir)


def test_a_blender_that_cannot_convert_is_told_with_what_to_do(
    make_box: MakeBox, client_of: Callable[[Sandbox], Api]
) -> None:
    def lacking(*_words: object) -> dict[str, Any]:
        raise ProblemError(Category.BLENDER, "It cannot write USD.", "Set the newer one.")

    api = client_of(make_box(converter=lacking))
    job = api.until(api.accepted())
    assert (job["status"], job["error"]) == ("failed", "It cannot write USD. Set the newer one.")
