# SPDX-License-Identifier: GPL-3.0-or-later
"""Three gigabytes of noise go to the farm: neither the worker nor the server grows with them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from bridge import commands
from bridge.jobs import Job, State
from bridge.sandbox.renderjuice_canned import TINY_BLEND
from bridge.services import SERVICES
from bridge.store import Store
from tests.support.worker_runs import QUICK, ROOT

GIB = 1024**3
SIZE = 3 * GIB
#: what a process may need more than with a small package: buffers, not gigabytes
GROWTH = 96 * 1024**2

SERVER = """
import json, sys, threading
from pathlib import Path
from bridge.sandbox import Sandbox
from bridge.sandbox.renderjuice_canned import CannedRenderer
with Sandbox(Path(sys.argv[1]), services=("renderjuice",), renderer=CannedRenderer()) as box:
    farm = box.services["renderjuice"]
    print(json.dumps({"url": farm.base_url, "key": farm.api_key}), flush=True)
    sys.stdin.read()
"""

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc"),
    pytest.mark.skipif(sys.version_info < (3, 13), reason="once is enough: in the newest Python"),
]


def noise(path: Path, size: int) -> Path:
    """A scene's archive with textures that cannot be compressed, stored."""
    piece = os.urandom(16 * 1024**2)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scene.blend", TINY_BLEND)
        for number in range(max(1, size // GIB)):
            with archive.open(f"assets/{number}.exr", "w", force_zip64=True) as member:
                for _ in range(max(1, min(size, GIB) // len(piece))):
                    member.write(piece)
    return path


def peak(pid: int) -> int:
    """The most memory that a process has had, in bytes (VmHWM of proc(5))."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def send(home: Path, server: Path, package: Path) -> tuple[Job, int, int]:
    """One job through a worker and a server of its own: (job, worker's peak, server's peak)."""
    home.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(server)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as box:
        try:
            assert box.stdout is not None
            address = json.loads(box.stdout.readline())
            return _send(home, package, address, box.pid)
        finally:
            box.kill()


def _send(home: Path, package: Path, address: dict[str, str], server: int) -> tuple[Job, int, int]:
    with Store.open(home) as store:
        job = commands.submit(
            store,
            Job(
                service="renderjuice",
                name="noise",
                input_kind="file",
                input_path=str(package),
                base_url=address["url"],
                approved_credits=float("inf"),
                options=SERVICES["renderjuice"].defaults(),
            ),
        )
    settings = {**QUICK, "read_seconds": 60, "answer_seconds": 300, "stall_seconds": 120}
    with subprocess.Popen(
        [sys.executable, "-m", "bridge", "worker"],
        cwd=ROOT,
        env={
            **os.environ,
            "SCENE_COURIER_HOME": str(home),
            "SCENE_COURIER_SETTINGS": json.dumps({**settings, "idle_seconds": 20}),
            "RENDERJUICE_BASE_URL": address["url"],
            "RENDERJUICE_API_KEY": address["key"],
        },
    ) as worker:
        try:
            with Store.open(home) as store:
                end = time.monotonic() + 900
                while (now := store.job(job.id)) is None or not now.state.terminal:
                    assert time.monotonic() < end, f"{now and (now.state, now.problem)}"
                    time.sleep(0.2)
            return now, peak(worker.pid), peak(server)
        finally:
            worker.kill()


def test_memory_stays_flat(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 4 * SIZE:
        pytest.skip("too little room on the disk for three gigabytes, thrice")
    small = send(
        tmp_path / "small", tmp_path / "box small", noise(tmp_path / "s.zip", 16 * 1024**2)
    )
    large = send(tmp_path / "large", tmp_path / "box large", noise(tmp_path / "l.zip", SIZE))
    shutil.rmtree(tmp_path / "box large")
    (tmp_path / "l.zip").unlink()
    for job, _worker, _box in (small, large):
        assert job.state is State.DONE, job.problem
    print(f"peaks in MiB, small and large: {[n >> 20 for n in (*small[1:], *large[1:])]}")
    assert large[1] < small[1] + GROWTH, "the worker"
    assert large[2] < small[2] + GROWTH, "the server"
