# SPDX-License-Identifier: GPL-3.0-or-later
"""The same promises over TLS: trust, uploads, an early refusal."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from bridge.faults import HttpError
from bridge.http import Http
from bridge.outcomes import Refused, Unsent
from bridge.problems import Category
from bridge.settings import Settings
from bridge.uploads import MultipartUpload
from tests.tools.faultserver import Exchange, FaultServer

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl makes the certificate for these tests"
)
KEY = "rgyd_test_" + "k" * 43


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    path = folder / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subprocess.run(
        [
            *(*command.split(), "-keyout", str(folder / "key.pem")),
            *("-out", str(folder / "cert.pem"), "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    path.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return folder / "cert.pem"


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.with_name("both.pem"))
    return context


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.glb"
    path.write_bytes(os.urandom(9_000_000))
    return path


def trusting(home: Path, certificate: Path) -> Settings:
    return Settings(home=home, ca_file=str(certificate), retries=0, stall_seconds=2)


def test_an_unknown_certificate_is_not_trusted_and_not_tried_again(
    context: ssl.SSLContext,
) -> None:
    with (
        FaultServer(lambda exchange: exchange.reply(200, b"{}"), context) as server,
        pytest.raises(HttpError) as caught,
    ):
        Http(server.url, KEY, label="Rigyd").get("/x")
    problem = caught.value.problem
    assert server.seen == [] and not caught.value.transient
    assert problem.category is Category.NETWORK
    assert problem.sentence == "The connection to Rigyd cannot be trusted."
    assert "certificate file in the settings" in problem.hint
    assert problem.technical == "127.0.0.1: SSLCertVerificationError"


def test_an_upload_with_an_extra_ca(
    context: ssl.SSLContext, certificate: Path, home: Path, model: Path
) -> None:
    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.reply(202, b'{"data": {"id": "j"}}')

    with FaultServer(script, context) as server:
        upload = MultipartUpload({}, model, "m.glb")
        answer = Http(server.url, KEY, settings=trusting(home, certificate)).once("/x", upload)
    assert answer.data == {"id": "j"} and upload.sent == len(upload)
    assert model.read_bytes() in server.seen[0].body


def test_an_early_refusal_is_read(
    context: ssl.SSLContext, certificate: Path, home: Path, model: Path
) -> None:
    def script(exchange: Exchange) -> None:
        exchange.read_body(100_000, keep=False)
        exchange.reply(413, b"<html><title>413 Request Entity Too Large</title></html>")
        exchange.released.wait(0.3)
        exchange.reset()

    with FaultServer(script, context) as server, pytest.raises((Refused, Unsent)) as caught:
        Http(server.url, KEY, settings=trusting(home, certificate)).once(
            "/x", MultipartUpload({}, model, "m.glb")
        )
    # A reset may throw away what was not read yet; it must never look like an accepted job.
    assert caught.value.status in (413, None)


def test_a_stall_is_noticed(
    context: ssl.SSLContext, certificate: Path, home: Path, model: Path
) -> None:
    def script(exchange: Exchange) -> None:
        exchange.released.wait(20)

    with FaultServer(script, context) as server, pytest.raises(Unsent) as caught:
        Http(server.url, KEY, settings=trusting(home, certificate)).once(
            "/x", MultipartUpload({}, model, "m.glb")
        )
    assert caught.value.problem.sentence == "The upload has stalled."
