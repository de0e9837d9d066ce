# SPDX-License-Identifier: GPL-3.0-or-later
"""Webhooks: what is believed, what is refused, and that a genuine event wakes its job."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import queue
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.jobs import Job, State
from bridge.problems import ProblemError
from bridge.sandbox.renderjuice_hook import Hook
from bridge.store import Store
from bridge.webhooks import (
    MAX_BODY_BYTES,
    Event,
    Receiver,
    Rejected,
    verify_renderjuice,
    wake,
)
from tests.support.cli import command, environment, run

SECRET = "whsec_" + "s" * 30
EVENT = Event("renderjuice", "onRenderComplete", "6f1e0c9a-0000-4000-8000-000000000001")


def body(**more: Any) -> bytes:
    known = {"event": EVENT.name, "status": "completed", "jobId": EVENT.remote_id}
    return json.dumps(known | {"workspaceId": "w", "outputs": {"frames": []}} | more).encode()


def signed(
    raw: bytes, *, age: float = 0.0, secret: str = SECRET, way: str = "hex"
) -> dict[str, str]:
    stamp = str(int(time.time() - age))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256).digest()
    text = {
        "hex": digest.hex(),
        "HEX": digest.hex().upper(),
        "prefixed": f"sha256={digest.hex()}",
        "base64": base64.b64encode(digest).decode(),
        "base64url": base64.urlsafe_b64encode(digest).decode().rstrip("="),
    }[way]
    return {"X-Renderjuice-Signature": text, "X-Renderjuice-Timestamp": stamp}


# --- the signature -------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["hex", "HEX", "prefixed", "base64", "base64url"])
@pytest.mark.parametrize("age", [0, 295, -295])
def test_genuine(way: str, age: float) -> None:
    raw = body()
    assert verify_renderjuice(SECRET, signed(raw, age=age, way=way), raw) == EVENT
    lower = {name.lower(): value for name, value in signed(raw, way=way).items()}
    assert verify_renderjuice(SECRET, lower, raw) == EVENT


def test_a_signature_that_was_computed_elsewhere() -> None:
    """By ``printf '%s' '1700000000.{…}' | openssl dgst -sha256 -hmac secret``."""
    raw = b'{"event":"onRenderComplete","jobId":"j1"}'
    headers = {
        "X-Renderjuice-Timestamp": "1700000000",
        "X-Renderjuice-Signature": (
            "bd576b93dadd2e8c2d890e928dbdb4e87d4ffe49d53fd1469f484d4a1a67c091"
        ),
    }
    assert verify_renderjuice("secret", headers, raw, now=1700000100).remote_id == "j1"


def altered(name: str) -> tuple[dict[str, str], bytes]:
    raw = body()
    headers = signed(raw)
    stamp, signature = "X-Renderjuice-Timestamp", "X-Renderjuice-Signature"
    if name == "other body":
        return headers, raw.replace(b"completed", b"Completed")
    if name == "reserialised":
        return headers, json.dumps(json.loads(raw), indent=1).encode()
    if name == "of the body alone":
        return headers | {signature: hashlib.sha256(raw).hexdigest()}, raw
    if name == "without the dot":
        mixed = headers[stamp].encode() + raw
        return headers | {signature: hmac.new(SECRET.encode(), mixed, "sha256").hexdigest()}, raw
    changes: dict[str, dict[str, str]] = {
        "other secret": signed(raw, secret="x" * 20),
        "too old": signed(raw, age=330),
        "from the future": signed(raw, age=-330),
        "moved on": {stamp: str(int(headers[stamp]) + 1)},
        "no signature": {signature: ""},
        "no timestamp": {stamp: ""},
        "not a number": {stamp: "now"},
        "milliseconds": {stamp: headers[stamp] + "000"},
        "not hex": {signature: "g" * 64},
        "short": {signature: headers[signature][:32]},
        "not text": {signature: "é" * 64},
    }
    return headers | changes[name], raw


@pytest.mark.parametrize(
    "name",
    [
        "other body",
        "reserialised",
        "of the body alone",
        "without the dot",
        "other secret",
        "too old",
        "from the future",
        "moved on",
        "no signature",
        "no timestamp",
        "not a number",
        "milliseconds",
        "not hex",
        "short",
        "not text",
    ],
)
def test_not_genuine(name: str) -> None:
    headers, raw = altered(name)
    with pytest.raises(Rejected) as caught:
        verify_renderjuice(SECRET, headers, raw)
    assert caught.value.status == 401


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b'{"event": 1, "jobId": "x"}', b'{"event": "x"}']
)
def test_signed_nonsense(raw: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        verify_renderjuice(SECRET, signed(raw), raw)
    assert caught.value.status == 400


# --- the receiver --------------------------------------------------------------------------------


class Ear:
    """A receiver on a free port, and what it heard."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.refused: list[str] = []
        self.receiver = Receiver(
            "renderjuice", SECRET, 0, self.events.put, on_rejected=self.refused.append
        )

    def post(
        self, raw: bytes, headers: dict[str, str] | None = None, *, method: str = "POST"
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.receiver.port, timeout=30)
        try:
            connection.request(method, "/any/path?x=1", raw, headers or {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()


@pytest.fixture
def ear() -> Iterator[Ear]:
    made = Ear()
    with made.receiver:
        yield made


def test_it_listens_on_this_computer_alone(ear: Ear) -> None:
    assert ear.receiver._server.server_address[0] == "127.0.0.1"
    assert ear.receiver.url == f"http://127.0.0.1:{ear.receiver.port}"


def test_an_event_is_heard_once(ear: Ear) -> None:
    raw = body()
    assert ear.post(raw, signed(raw)) == (200, {"accepted": True})
    assert ear.events.get(timeout=60) == EVENT
    # The same delivery again, and the same event signed anew: answered, not acted on.
    assert ear.post(raw, signed(raw)) == (200, {"accepted": False})
    assert ear.post(raw, signed(raw, age=100)) == (200, {"accepted": False})
    other = body(jobId="another")
    assert ear.post(other, signed(other)) == (200, {"accepted": True})
    assert ear.events.get(timeout=60).remote_id == "another" and ear.events.empty()


def test_what_is_refused_is_not_heard(ear: Ear) -> None:
    raw = body()
    assert ear.post(raw)[0] == 401
    assert ear.post(raw, signed(raw, secret="no" * 10))[0] == 401
    assert ear.post(raw, signed(raw, age=900))[0] == 401
    assert ear.events.empty() and len(ear.refused) == 3
    assert SECRET not in str(ear.refused)
    # A forged one does not keep the genuine one out.
    assert ear.post(raw, signed(raw)) == (200, {"accepted": True})


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods(ear: Ear, method: str) -> None:
    assert ear.post(b"", method=method)[0] == 405


def raw_answer(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        sock.sendall(request)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
        return answer


def test_sizes_are_bounded(ear: Ear) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\n"
    port = ear.receiver.port
    too_large = f"Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode()
    assert raw_answer(port, head + too_large).startswith(b"HTTP/1.0 413")
    assert raw_answer(port, head + b"\r\n").startswith(b"HTTP/1.0 411")
    chunked = b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert raw_answer(port, head + chunked).startswith(b"HTTP/1.0 411")
    assert raw_answer(port, head + b"Content-Length: -5\r\n\r\n").startswith(b"HTTP/1.0 411")
    twice = b"X-Renderjuice-Signature: a\r\nX-Renderjuice-Signature: b\r\nContent-Length: 0\r\n\r\n"
    assert raw_answer(port, head + twice).startswith(b"HTTP/1.0 400")
    assert ear.events.empty()


def test_many_silent_visitors_keep_nobody_out(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    from bridge import webhooks

    monkeypatch.setattr(webhooks, "_EXCHANGE_SECONDS", 0.5)
    monkeypatch.setattr(webhooks._Handler, "timeout", 60)
    silent = [socket.create_connection(("127.0.0.1", ear.receiver.port), 30) for _ in range(20)]
    for sock in silent[::2]:
        sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nx")
    raw, answer = body(), (0, None)
    end = time.monotonic() + 60
    while answer[0] != 200 and time.monotonic() < end:
        try:
            answer = ear.post(raw, signed(raw))
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)  # no room: the vendor would try again too
    assert answer == (200, {"accepted": True})
    for sock in silent:
        sock.settimeout(60)
        with sock, contextlib.suppress(ConnectionError):
            assert sock.recv(4096) == b"", "hung up on by the server"
    assert threading.active_count() < 20


def test_a_port_that_is_taken(ear: Ear) -> None:
    with pytest.raises(ProblemError, match="cannot be used"):
        Receiver("renderjuice", SECRET, ear.receiver.port, lambda _event: None)


@pytest.mark.parametrize("way", ["hex", "base64", "prefixed"])
def test_the_sandboxs_events_are_understood(ear: Ear, way: str) -> None:
    hook = Hook(SECRET, lambda: {"hook_age": 0, "hook_signature": way})
    hook.url = f"{ear.receiver.url}/hook"
    hook.start()
    try:
        hook.send(EVENT.remote_id, lambda: json.loads(body()))
        assert ear.events.get(timeout=60) == EVENT
    finally:
        hook.stop()


# --- waking --------------------------------------------------------------------------------------


def test_only_the_job_concerned_is_woken(tmp_path: Path) -> None:
    later = time.time() + 1000

    def job(name: str, **more: Any) -> Job:
        fields: dict[str, Any] = {
            "service": "renderjuice",
            "state": State.REMOTE,
            "remote_id": EVENT.remote_id,
            "due_at": later,
        }
        return Job(name=name, **fields | more)

    with Store.open(tmp_path) as store:
        mine = store.insert_job(job("mine"))
        store.insert_job(job("other job", remote_id="x"))
        store.insert_job(job("other service", service="rigyd"))
        store.insert_job(job("ended", state=State.DONE))
        store.insert_job(job("asks", state=State.AWAITING_APPROVAL, waiting_reason="person"))
        store.insert_job(job("no key", state=State.WAITING, waiting_reason="credentials"))
        offline = store.insert_job(job("offline", state=State.WAITING, waiting_reason="network"))
        assert sorted(wake(store, EVENT)) == sorted([mine.id, offline.id])
        due = {found.name: found.due_at for found in store.jobs()}
        assert due.pop("mine") == due.pop("offline") == 0 and set(due.values()) == {later}
        revision = store.revision()
        assert sorted(wake(store, EVENT)) == sorted([mine.id, offline.id])
        assert store.revision() == revision, "what is due already is not written again"


# --- the command ---------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def test_the_command_listens_and_wakes(home: Path) -> None:
    with Store.open(home) as store:
        job = store.insert_job(
            Job(
                service="renderjuice",
                name="shot",
                state=State.REMOTE,
                remote_id=EVENT.remote_id,
                due_at=time.time() + 5000,
            )
        )
    port = free_port()
    process = subprocess.Popen(
        command("webhooks", "listen", "--service", "renderjuice", "--port", port, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(
            home, RENDERJUICE_WEBHOOK_SECRET=f" {SECRET}\n", SCENE_COURIER_NO_WORKER="1"
        ),
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told == {
            "service": "renderjuice",
            "port": port,
            "url": f"http://127.0.0.1:{port}",
        }
        raw = body()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/", raw, signed(raw))
        assert connection.getresponse().status == 200
        connection.close()
        end = time.monotonic() + 60
        with Store.open(home) as store:
            while store.find(job.id).due_at and time.monotonic() < end:
                time.sleep(0.05)
            assert store.find(job.id).due_at == 0
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0 and out == "" and "Stopped." in err
    assert f"onRenderComplete: job {job.id[:8]} looks at once." in err and SECRET not in err


def test_the_command_refuses(home: Path) -> None:
    env = environment(home, PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring")
    listen = ("webhooks", "listen", "--json", "--service")
    said = run(*listen, "renderjuice", "--port", 8123, env=env)
    assert said.code == 3 and "no webhook secret" in said.json["problem"]["sentence"]
    assert "login renderjuice --webhook" in said.json["problem"]["hint"]
    assert run(*listen, "rigyd", "--port", 8123, env=env).code == 2
    assert run(*listen, "renderjuice", "--port", 0, env=env).code == 2


def test_the_secret_is_kept_apart_from_the_key(home: Path) -> None:
    env = environment(home, PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring")
    login = ("login", "renderjuice", "--webhook", "--allow-file", "--json")
    said = run(*login, env=env, stdin=f"{SECRET}\n")
    assert said.code == 0 and SECRET not in said.out + said.err
    kept = home / "credentials.json"
    assert json.loads(kept.read_text()) == {"renderjuice:webhook": SECRET}
    said = run("logout", "renderjuice", "--webhook", "--json", env=env)
    assert said.code == 0 and re.search("webhook secret .* was removed", said.err)
    assert not kept.exists()
    assert run("login", "rigyd", "--webhook", env=env, stdin="x" * 20).code == 2
