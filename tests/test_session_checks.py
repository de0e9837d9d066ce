# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks that stand around every session can fail: each is shown what it must find."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import zstandard

from tests.support import network, processes, sweep

KEY = "_".join(["rgyd", "test", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"])
SIGNED = "https://bucket.example/file?" + "X-Amz-" + "Signature=" + "0a" * 32


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """A folder for planted secrets, which is emptied again: the session's own search must not find
    them.
    """
    folder = tmp_path / "evidence"
    folder.mkdir()
    yield folder
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


def _plain(path: Path, secret: str) -> None:
    path.write_text(f"2026-11-22 sent with {secret}\n", encoding="utf-8")


def _blend(path: Path, secret: str) -> None:
    half = len(secret) // 2
    frames = [
        b"BLENDER" + b"\0" * 500 + secret[:half].encode(),
        secret[half:].encode() + b"\0" * 500,
    ]
    path.write_bytes(zstandard.ZstdCompressor().compress(b"".join(frames)))


def _archive(path: Path, secret: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as handle:
        handle.writestr("report.json", json.dumps({"sent": secret}))


def _database(path: Path, secret: str) -> None:
    store = sqlite3.connect(path)
    store.execute("create table jobs (data text)")
    store.execute("insert into jobs values (?)", (secret,))
    store.commit()
    store.close()


@pytest.mark.parametrize("secret", [KEY, SIGNED], ids=["key", "presigned"])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("job.log", _plain),
        ("saved.blend", _blend),
        ("out.zip", _archive),
        ("courier.sqlite", _database),
    ],
)
def test_a_secret_is_found(evidence: Path, name: str, write, secret: str) -> None:
    write(evidence / name, "nothing of the kind; keys look like rgyd_test_…")
    assert sweep.sweep(evidence) == []
    (evidence / name).unlink()
    write(evidence / name, secret)
    assert sweep.sweep(evidence), f"not found in {name}"


def test_only_a_private_key_file_may_hold_a_key(evidence: Path) -> None:
    file = evidence / "address.json"
    file.write_text(json.dumps({"pid": 1, "rigyd": {"api_key": "a-random-key-of-a-sandbox"}}))
    file.chmod(0o600)
    assert sweep.sweep(evidence) == []
    _plain(evidence / "worker.log", "a-random-key-of-a-sandbox")
    assert [Path(found.where).name for found in sweep.sweep(evidence)] == ["worker.log"]
    (evidence / "worker.log").unlink()
    file.chmod(0o644)
    assert [Path(found.where).name for found in sweep.sweep(evidence)] == ["address.json"]


def _refused(call) -> str:
    before = len(network.refused)
    with pytest.raises(ConnectionRefusedError, match="this computer only"):
        call()
    assert len(network.refused) == before + 1
    return network.refused.pop()


def test_other_computers_are_out_of_reach() -> None:
    with socket.socket() as one, socket.socket(type=socket.SOCK_DGRAM) as two:
        assert "192.0.2.1" in _refused(lambda: one.connect(("192.0.2.1", 80)))
        assert "192.0.2.1" in _refused(lambda: two.sendto(b"x", ("192.0.2.1", 53)))
    assert "rigyd.com" in _refused(lambda: socket.create_connection(("api.rigyd.com", 443)))


def test_a_name_that_never_resolves_may_be_used() -> None:
    with pytest.raises(socket.gaierror):
        socket.create_connection(("nowhere.invalid", 80), timeout=5)
    assert network.refused == []


def test_this_computer_is_within_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            with socket.create_connection((host, server.getsockname()[1]), timeout=5):
                pass


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_detached_process_is_found_and_ended(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)", str(tmp_path)],
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    with child.stdout:
        child.stdout.readline()
    assert child.pid in processes.of_session(containing=str(tmp_path))
    assert child.pid not in processes.of_session(containing="another folder")
    processes.end([child.pid])
    assert child.wait(timeout=5) != 0
    assert child.pid not in processes.of_session()


def test_the_session_has_a_home_of_its_own(session_root: Path) -> None:
    for name in ("HOME", "XDG_DATA_HOME", "BLENDER_USER_RESOURCES", "SCENE_COURIER_HOME", "TMPDIR"):
        assert Path(os.environ[name]).is_relative_to(session_root)
    assert not [name for name in os.environ if name.startswith(("RIGYD_", "BLENDER_SYSTEM_"))]
