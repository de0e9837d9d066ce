# SPDX-License-Identifier: GPL-3.0-or-later
"""Glossi's webhooks: what is believed, which jobs wake, and the setting on the command line."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge import cli, credentials
from bridge.cli import webhook_setting
from bridge.jobs import Job, State, StepKind
from bridge.sandbox.glossi_hook import EVENTS as SANDBOX_EVENTS
from bridge.services import SERVICES
from bridge.services.glossi import GLOSSI, previews
from bridge.services.glossi.client import connection
from bridge.settings import Settings
from bridge.store import Store
from bridge.webhook_events import GLOSSI_EVENTS
from bridge.webhooks import Event, Receiver, Rejected, verify_glossi, wake
from tests.bridge.test_glossi_assets import png
from tests.support.cli import command, environment
from tests.tools.faultserver import Exchange, FaultServer

SECRET = "whsec_of_glossi"
NOW = datetime(2025, 1, 15, 11, 0, tzinfo=UTC).timestamp()
#: signed by Node's crypto as in the vendor's sample, and by ``openssl dgst -sha256 -hmac``
BY_NODE = (
    '{"event":"render.complete","timestamp":"2025-01-15T10:30:00.000Z","data":{"jobId":'
    '"render-job-uuid","status":"COMPLETED","projectId":"project-uuid","renderIds":'
    '["render-uuid-1","render-uuid-2"],"title":"Küche – 椅子 é/☃"}}'
).encode()
NODES_SIGNATURE = "027c1476a9f47494ca8751d16a43d56c8d11a038ee5037ac304699891ba9545f"
#: the vendor's sample (Complete Workflow, Verify Webhook Signatures), turned round: it signs
SAMPLE = """
const crypto = require("crypto")
const payload = JSON.parse(process.argv[1])
const body = JSON.stringify(payload)
const expected = crypto.createHmac("sha256", process.argv[2]).update(body).digest("hex")
process.stdout.write(expected + "\\n" + body)
"""


def payload(event: str = "render.complete", age: float = 0.0, **data: Any) -> dict[str, Any]:
    moment = datetime.now(UTC) - timedelta(seconds=age)
    stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"event": event, "timestamp": stamp, "data": data or {"jobId": "r1"}}


def body(event: str = "render.complete", age: float = 0.0, **data: Any) -> bytes:
    return json.dumps(payload(event, age, **data), separators=(",", ":")).encode()


def signed(raw: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Glossi-Signature": hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()}


# --- the signature -------------------------------------------------------------------------------


def test_a_signature_that_node_made() -> None:
    headers = {"x-glossi-signature": NODES_SIGNATURE}
    event = verify_glossi(SECRET, headers, BY_NODE, now=NOW)
    assert (event.service, event.name, event.remote_id) == (
        "glossi",
        "render.complete",
        "render-job-uuid",
    )
    assert event.ids == ("render-job-uuid", "project-uuid", "render-uuid-1", "render-uuid-2")


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node here; its signature is above")
def test_the_vendors_sample_run_by_node() -> None:
    for event in GLOSSI_EVENTS:
        text = json.dumps(payload(event, jobId="j", name="Küche ☃ / \u2028"))
        done = subprocess.run(
            ["node", "-e", SAMPLE, text, SECRET], capture_output=True, timeout=60, check=True
        )
        signature, _, raw = done.stdout.partition(b"\n")
        headers = {"X-Glossi-Signature": signature.decode()}
        assert verify_glossi(SECRET, headers, raw).name == event
        with pytest.raises(Rejected):
            verify_glossi(SECRET + "x", headers, raw)


def test_every_flipped_bit_is_refused() -> None:
    for place in range(len(BY_NODE)):
        for bit in range(8):
            raw = bytearray(BY_NODE)
            raw[place] ^= 1 << bit
            with pytest.raises(Rejected):
                verify_glossi(SECRET, {"X-Glossi-Signature": NODES_SIGNATURE}, bytes(raw), now=NOW)
    for place in range(32):
        digest = bytearray.fromhex(NODES_SIGNATURE)
        digest[place] ^= 1
        with pytest.raises(Rejected):
            verify_glossi(SECRET, {"X-Glossi-Signature": digest.hex()}, BY_NODE, now=NOW)


@pytest.mark.parametrize(
    "signature",
    [
        *(NODES_SIGNATURE[:count] for count in (0, 1, 2, 31, 32, 62, 63)),
        NODES_SIGNATURE + "0",
        NODES_SIGNATURE * 2,
        "g" * 64,
        "é" * 64,
        "0" * 64,
        "sha256=",
        hashlib.sha256(BY_NODE).hexdigest(),
    ],
)
def test_shortened_and_odd_signatures(signature: str) -> None:
    with pytest.raises(Rejected) as caught:
        verify_glossi(SECRET, {"X-Glossi-Signature": signature}, BY_NODE, now=NOW)
    assert caught.value.status == 401


@pytest.mark.parametrize(
    "way", [str.upper, lambda text: f"sha256={text}", lambda text: f" {text} "]
)
def test_other_spellings(way: Any) -> None:
    headers = {"X-Glossi-Signature": way(NODES_SIGNATURE)}
    assert verify_glossi(SECRET, headers, BY_NODE, now=NOW).remote_id == "render-job-uuid"


def test_other_bytes_of_the_same_meaning_are_not_what_was_signed() -> None:
    again = json.dumps(json.loads(BY_NODE), indent=1).encode()
    with pytest.raises(Rejected):
        verify_glossi(SECRET, {"X-Glossi-Signature": NODES_SIGNATURE}, again, now=NOW)


@pytest.mark.parametrize(("hours", "fine"), [(0, True), (23.9, True), (24.1, False), (999, False)])
def test_the_events_own_time(hours: float, fine: bool) -> None:
    for side in (1, -1):
        raw = body(age=side * hours * 3600)
        if fine:
            assert verify_glossi(SECRET, signed(raw), raw).remote_id == "r1"
        else:
            with pytest.raises(Rejected, match="too old"):
                verify_glossi(SECRET, signed(raw), raw)


@pytest.mark.parametrize(
    "stamp", ["", "yesterday", None, [], {}, True, "2025-13-45T99:00:00Z", 10**400, float("nan")]
)
def test_a_time_that_cannot_be_read(stamp: Any) -> None:
    raw = json.dumps(payload() | {"timestamp": stamp}).encode()
    with pytest.raises(Rejected) as caught:
        verify_glossi(SECRET, signed(raw), raw)
    assert caught.value.status == 401


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_time_in_numbers(unit: int) -> None:
    raw = json.dumps(payload() | {"timestamp": int(time.time() * unit)}).encode()
    assert verify_glossi(SECRET, signed(raw), raw).name == "render.complete"


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b"null", b'{"event": 1, "timestamp": 1}', b'{"event": "x"}', b"\xff"]
)
def test_signed_nonsense_and_an_empty_body(raw: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        verify_glossi(SECRET, signed(raw), raw)
    assert caught.value.status in (400, 401)
    with pytest.raises(Rejected) as caught:
        verify_glossi(SECRET, {}, raw)
    assert caught.value.status == 401


# --- what is in an event -------------------------------------------------------------------------


def test_the_ids_of_all_seven_events() -> None:
    assert set(GLOSSI_EVENTS) == set(SANDBOX_EVENTS) and len(GLOSSI_EVENTS) == 7
    results = [{"model": {"id": "m1", "name": "c"}, "project": {"id": "p1", "name": "C"}}]
    cases: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
        "model.processed": ({"modelId": "m1", "name": "C", "status": "READY"}, ("m1",)),
        "model.failed": ({"modelId": "m1", "error": "no"}, ("m1",)),
        "project.created": ({"projectId": "p1", "modelIds": ["m1", "m2"]}, ("p1", "m1", "m2")),
        "job.complete": ({"jobId": "j1", "results": results}, ("j1", "m1", "p1")),
        "job.failed": ({"jobId": "j1", "error": {"id": 5}}, ("j1",)),
        "render.complete": ({"jobId": "r1", "projectId": "p1", "renderIds": []}, ("r1", "p1")),
        "render.failed": ({"projectId": "p1", "jobId": "r1"}, ("r1", "p1")),
        "brand.new": ({"thing": {"id": "x"}}, ("x",)),
        "model.archived": ({}, ("r1",)),
    }
    for name, (data, ids) in cases.items():
        raw = body(name, **data)
        event = verify_glossi(SECRET, signed(raw), raw)
        assert (event.name, event.ids, event.remote_id) == (name, ids, ids[0])
    for odd in (None, 7, "text", [], [[[[[[[[{"id": "deep"}]]]]]]]]):
        raw = json.dumps(payload() | {"data": odd}).encode()
        assert verify_glossi(SECRET, signed(raw), raw).ids == ()
    raw = body("job.complete", jobId="j", results=[{"model": {"id": f"m{n}"}} for n in range(999)])
    assert len(verify_glossi(SECRET, signed(raw), raw).ids) == 400


def test_addresses_of_a_processed_model_are_not_shown() -> None:
    raw = body("model.processed", modelId="m", thumbnailUrl="https://s3/t?s=1", glbFilePath="g")
    event = verify_glossi(SECRET, signed(raw), raw)
    assert (event.thumbnail, event.glb) == ("https://s3/t?s=1", "g") and "s3" not in repr(event)


# --- the receiver --------------------------------------------------------------------------------


def post(port: int, raw: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    connected = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connected.request("POST", "/glossi", raw, headers)
        answer = connected.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connected.close()


def test_repeated_deliveries_are_harmless_and_a_retry_is_news() -> None:
    heard: list[Event] = []
    refused: list[str] = []
    with Receiver("glossi", SECRET, 0, heard.append, on_rejected=refused.append) as receiver:
        first, again = body("render.failed", jobId="r1"), body("render.failed", 9, jobId="r1")
        for _ in range(4):
            status, answer = post(receiver.port, first, signed(first))
            assert status == 200
        assert answer == {"accepted": False} and len(heard) == 1
        # The same render failed once more after a retry: another event, with another time.
        assert post(receiver.port, again, signed(again)) == (200, {"accepted": True})
        assert post(receiver.port, first, {})[0] == 401
        short = {"X-Glossi-Signature": signed(first)["X-Glossi-Signature"][:-2]}
        assert post(receiver.port, first, short)[0] == 401
        stale = body(age=25 * 3600)
        assert post(receiver.port, stale, signed(stale))[0] == 401
        assert post(receiver.port, b"", signed(b""))[0] == 400
    assert len(heard) == 2 and len(refused) == 4 and SECRET not in str(refused)


# --- waking --------------------------------------------------------------------------------------


def shoot(store: Store, name: str, steps: dict[str, Any] | None = None, **more: Any) -> Job:
    fields: dict[str, Any] = {"service": "glossi", "state": State.REMOTE}
    fields |= {"due_at": time.time() + 5000} | more
    job = store.insert_job(Job(name=name, **fields))
    for step, answer in (steps or {}).items():
        store.begin_step(job.id, step, StepKind.REPEATABLE)
        store.finish_step(job.id, step, answer)
    return job


def test_jobs_that_know_an_id_are_woken(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        models = {"upload.0": {"job_id": "j1", "models": [{"id": "m1", "file": "chair.glb"}]}}
        own = shoot(store, "own id", remote_id="j1")
        models_of = shoot(store, "models", models)
        steps = shoot(store, "steps", {"upload.1": {"id": "m1", "file": "a.glb"}})
        renders = shoot(store, "renders", {"renders": {"id": "r1", "jobs": [{"jobId": "r1"}]}})
        kept = shoot(store, "known", {"rendered.known": {"r2": {"status": "FAILED"}}})
        report = shoot(store, "report", report={"products": [{"project_id": "p1"}]})
        shoot(store, "ended", models, state=State.DONE)
        shoot(store, "asks", models, state=State.AWAITING_APPROVAL)
        shoot(store, "in doubt", models, state=State.IN_DOUBT, waiting_reason="person")
        shoot(store, "other", {"upload.0": {"id": "m12", "file": "m1.glb", "x": "m1 m1"}})
        shoot(store, "farm", models, service="renderjuice", remote_id="j1")
        names = {job.id: job.name for job in store.jobs()}

        def woken(*ids: str) -> list[str]:
            event = Event("glossi", "x", ids[0] if ids else "", ids=ids)
            return sorted(names[job_id] for job_id in wake(store, event))

        assert woken("m1") == ["models", "steps"]
        assert woken("j1") == ["models", "own id"]
        assert woken("r1", "p1") == ["renders", "report"] and woken("r2") == ["known"]
        assert woken("nobody") == [] and woken() == [] and woken("%") == [] and woken("") == []
        assert woken('m1"') == [] and woken("m1'; DROP TABLE jobs") == []
        due = {job.name: job.due_at for job in store.jobs()}
    for job in (own, models_of, steps, renders, kept, report):
        assert due[job.name] == 0
    assert all(due[name] > 0 for name in ("ended", "asks", "in doubt", "other", "farm"))


# --- thumbnails ----------------------------------------------------------------------------------

PRODUCTS = [
    {"name": "Chair", "file": "chair.glb", "status": "packed"},
    {"name": "Table", "file": "table.glb", "status": "packed"},
]


def files(exchange: Exchange) -> None:
    assert "x-api-key" not in exchange.headers
    name = exchange.target.partition("?")[0]
    if name == "/t.png":
        exchange.reply(200, png())
    elif name == "/bad.jpg":
        exchange.reply(200, b"<html></html>")
    else:
        exchange.reply(403, b"<Error><Code>AccessDenied</Code></Error>")


def test_a_thumbnail_is_put_into_the_products_row(home: Path) -> None:
    models = [{"id": "m1", "file": "chair.glb"}, {"id": "m2", "file": "table.glb"}]
    steps = {"upload.0": {"job_id": "j1", "models": models}}
    with FaultServer(files) as server, Store.open(home) as store:
        job = shoot(store, "shoot", steps, report={"products": PRODUCTS}, account="sandbox")
        http_ = connection(
            "https://api.example", None, settings=Settings(connect_seconds=5, retries=0)
        )
        url = f"{server.url}/t.png?X-Amz-Signature=abcdef0123456789"
        (path,) = previews.keep(store, job, http_, ["m1"], url, f"{server.url}/gone.glb")
        assert path.read_bytes() == png() and path.name == "chair.glb.png"
        assert previews.keep(store, job, http_, ["m2"], f"{server.url}/bad.jpg", "") == []
        assert previews.keep(store, job, http_, ["m3"], url, "") == []
        assert previews.keep(store, job, http_, ["m2"], "no address", "https://[") == []
        first, second = store.find(job.id).report["products"]
        assert first == PRODUCTS[0] | {"thumbnail": str(path)} and second == PRODUCTS[1]
        # The worker's own table has it too, whoever wrote last.
        assert previews.known(path.parents[1], PRODUCTS)[0]["thumbnail"] == str(path)
        assert sorted(p.name for p in path.parent.iterdir()) == ["chair.glb.png"]
        # An event does not make us ask our own computer for a job of the real service.
        real = shoot(store, "real", steps, report={"products": PRODUCTS})
        before = len(server.seen)
        assert previews.keep(store, real, http_, ["m1"], url, "") == []
        assert len(server.seen) == before


# --- the commands --------------------------------------------------------------------------------


class Workspace:
    """Glossi's webhook setting, and nothing else."""

    def __init__(self) -> None:
        self.setting: dict[str, Any] | None = None
        self.calls: list[str] = []
        self.server = FaultServer(self._script)

    def _script(self, exchange: Exchange) -> None:
        sent = bytes(exchange.read_body())
        assert exchange.headers["x-api-key"] == "glsi_" + "k" * 20
        self.calls.append(exchange.method)
        if exchange.method == "PUT":
            self.setting = {"id": "w1"} | json.loads(sent)
            exchange.reply(200, json.dumps(self.setting | {"secret": SECRET}).encode())
        elif exchange.method == "DELETE":
            self.setting = None
            exchange.reply(204)
        elif self.setting is None:
            exchange.reply(404, b'{"error":"No webhook"}')
        else:
            exchange.reply(200, json.dumps(self.setting).encode())


@pytest.fixture
def workspace(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setitem(SERVICES, "glossi", GLOSSI)
    monkeypatch.setattr(credentials, "_keyring_get", _no_keyring)
    monkeypatch.setattr(credentials, "_keyring_set", _no_keyring)
    monkeypatch.setattr(credentials, "_keyring_delete", _no_keyring)
    made = Workspace()
    with made.server:
        monkeypatch.setenv("GLOSSI_BASE_URL", made.server.url)
        monkeypatch.setenv("GLOSSI_API_KEY", "glsi_" + "k" * 20)
        yield made


def _no_keyring(*_args: Any) -> Any:
    raise credentials._KeyringTrouble(credentials._none_problem("none here"), absent=True)


SET = ["webhooks", "set", "--url", "https://hooks.example/glossi", "--allow-file"]


def kept(home: Path) -> Any:
    path = home / credentials.FILE_NAME
    return json.loads(path.read_text()) if path.exists() else {}


def test_set_show_delete(
    workspace: Workspace, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["webhooks", "show", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"service": "glossi", "webhook": None, "changed": False, "problem": None}
    words = [*SET, "--event", "job.complete", "render.failed", "--event", "job.complete"]
    assert cli.main([*words, "--description", "for n8n", "--disabled", "--json"]) == 0
    said = capsys.readouterr()
    made = json.loads(said.out)["webhook"]
    assert made["events"] == ["job.complete", "render.failed"] and made["enabled"] is False
    assert workspace.setting is not None and workspace.setting["description"] == "for n8n"
    assert kept(home) == {"glossi:webhook": SECRET} and SECRET not in said.out + said.err
    assert "private file" in said.err

    assert cli.main(["webhooks", "show"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "https://hooks.example/glossi  (off)",
        "  events: job.complete, render.failed",
        "  for n8n",
    ]
    assert cli.main(["webhooks", "delete"]) == 4 and workspace.setting is not None
    assert "would be removed" in capsys.readouterr().err
    assert cli.main(["webhooks", "delete", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] is True
    assert workspace.setting is None and kept(home) == {}
    assert cli.main(["webhooks", "delete", "--yes"]) == 0
    assert workspace.calls.count("DELETE") == 1


def test_what_is_there_is_shown_before_it_is_replaced(
    workspace: Workspace, home: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    other = {"url": "https://n8n.example/hook", "events": ["job.failed"], "enabled": True}
    workspace.setting = dict(other)
    assert cli.main([*SET, "--event", "all", "--json"]) == 4
    said = capsys.readouterr()
    assert "https://n8n.example/hook" in said.err and "would be replaced" in said.err
    assert json.loads(said.out) == {
        "service": "glossi", "webhook": other, "changed": False, "problem": None,
    }  # fmt: skip
    assert "PUT" not in workspace.calls and kept(home) == {}
    # At a terminal it is asked.
    monkeypatch.setattr(webhook_setting, "can_ask", lambda: True)
    for answer, code in ((False, 4), (True, 0)):
        monkeypatch.setattr(webhook_setting, "ask", lambda _question, answer=answer: answer)
        assert cli.main([*SET, "--event", "all"]) == code
        assert ("PUT" in workspace.calls) is answer
    assert workspace.setting["events"] == list(GLOSSI_EVENTS)
    monkeypatch.setattr(webhook_setting, "can_ask", lambda: False)
    assert cli.main([*SET, "--event", "job.complete", "--yes"]) == 0
    assert workspace.setting["events"] == ["job.complete"]
    assert workspace.setting["enabled"] is True and "description" not in workspace.setting


def test_what_is_wrong_is_said_before_anything_is_asked(
    workspace: Workspace, home: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert cli.main([*SET, "--event", "job.completed"]) == 2
    assert "Did you mean “job.complete”?" in capsys.readouterr().err
    assert cli.main(["webhooks", "set", "--url", "http://hooks.example", "--event", "all"]) == 2
    assert cli.main(["webhooks", "set", "--url", "https://hooks.example"]) == 2
    assert cli.main(["webhooks", "set", "--event", "all"]) == 2
    assert workspace.calls == []
    assert cli.main(["webhooks", "show", "--service", "rigyd"]) in (2, 3)
    # Without a keyring and without leave for a file the secret has no place; said with the way on.
    assert cli.main([*SET[:-1], "--event", "all", "--json"]) == 3
    said = capsys.readouterr()
    assert "could not be kept" in said.err and "--allow-file" in said.err
    assert SECRET not in said.out + said.err and kept(home) == {}
    monkeypatch.delenv("GLOSSI_API_KEY")
    assert cli.main(["webhooks", "show"]) == 3


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def test_the_command_listens_wakes_and_fetches(home: Path) -> None:
    steps = {"upload.0": {"job_id": "j1", "models": [{"id": "m1", "file": "chair.glb"}]}}
    with Store.open(home) as store:
        job = shoot(store, "shoot", steps, report={"products": PRODUCTS}, account="sandbox")
    port = free_port()
    with FaultServer(files) as server:
        process = subprocess.Popen(
            command("webhooks", "listen", "--service", "glossi", "--port", port, "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(home, GLOSSI_WEBHOOK_SECRET=SECRET, SCENE_COURIER_NO_WORKER="1"),
        )
        try:
            assert process.stdout is not None and json.loads(process.stdout.readline())
            for name in GLOSSI_EVENTS:
                raw = body(name, modelId="m1", thumbnailUrl=f"{server.url}/t.png?s=abc")
                assert post(port, raw, signed(raw))[0] == 200
            end = time.monotonic() + 60
            with Store.open(home) as store:
                row: dict[str, Any] = {}
                while not row.get("thumbnail") and time.monotonic() < end:
                    time.sleep(0.05)
                    row = store.find(job.id).report["products"][0]
                assert store.find(job.id).due_at == 0
            assert Path(row["thumbnail"]).read_bytes() == png()
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 0 and out == "" and SECRET not in err and "s=abc" not in err
    for name in GLOSSI_EVENTS:
        assert f"{name}: job {job.short_id} looks at once." in err
