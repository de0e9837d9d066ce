# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing secret survives ``redact``, and what is harmless stays readable."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import redact as module
from bridge.redact import close_log, job_log, redact, remember, technical

KEY = "rgyd_live_" + "Ab-_9" * 8 + "xyz"


@pytest.fixture(autouse=True)
def _no_known_secrets() -> Iterator[None]:
    module.forget_secrets()
    yield
    module.forget_secrets()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"key {KEY} refused", KEY),
        (f"Authorization: Bearer {KEY}", KEY),
        ("{'Authorization': 'Bearer abcdefgh12345678'}", "abcdefgh12345678"),
        ("authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("X-API-Key: gl0ssi-secret-value", "gl0ssi-secret-value"),
        ('{"api_key": "gl0ssi-secret-value"}', "gl0ssi-secret-value"),
        ("api_key=gl0ssi-secret-value&x=1", "gl0ssi-secret-value"),
        ("RJ-1234567890abcdef was sent", "RJ-1234567890abcdef"),
        ("X-API-Key is glsi_1234567890_abcde, it says", "glsi_1234567890_abcde"),
        ("Cookie: session=0123456789", "0123456789"),
        ("GET https://s3.example/a/b.glb?X-Amz-Signature=deadbeefdeadbeef&x=1", "deadbeefdeadbeef"),
        ("GET https://s3.example/a/b.glb?X-Amz-Signature=deadbeefdeadbeef&x=1", "b.glb"),
        ("https://host/download/f?token=eyJhbGciOi.J9.sig", "eyJhbGciOi"),
        ("https://api.example/conversions?page=77&pageSize=25", "77"),
        ("http://user:pa55word@proxy.example:3128", "pa55word"),
        ("Max retries exceeded with url: /a/b?Signature=deadbeef12 (Caused by x)", "deadbeef12"),
        ("https://host/path#access_token=abcdefgh", "abcdefgh"),
    ],
)
def test_secret_is_gone_and_a_second_pass_changes_nothing(text: str, secret: str) -> None:
    once = redact(text)
    assert secret not in once
    assert redact(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "Uploading chair.glb: 12 of 40 pieces",
        "https://api.rigyd.com/api/conversions/abc123",
        "Is it there? It = 3 metres",
        "HTTP 413; a web page instead of JSON: 413 Request Entity Too Large",
    ],
)
def test_harmless_text_stays(text: str) -> None:
    assert redact(text) == text


def test_names_of_query_values_stay() -> None:
    assert redact("https://h/x?page=2&pageSize=25.") == "https://h/x?page=***&pageSize=***."


def test_exact_secrets_also_without_a_known_shape() -> None:
    remember("s3cr3t/value+with=odd")
    assert "s3cr3t" not in redact("the sandbox said s3cr3t/value+with=odd twice")
    assert "s3cr3t" not in redact("quoted: s3cr3t%2Fvalue%2Bwith%3Dodd")
    remember("abc")
    assert redact("abc") == "abc"  # too short to be a secret; it would shred every text


def test_people_in_paths() -> None:
    assert "marta" not in redact("/home/marta/scene.blend", people=True)
    assert "Marta" not in redact(r"C:\Users\Marta\scene.blend", people=True)
    assert "marta" in redact("/home/marta/scene.blend")
    assert redact(os.path.expanduser("~") + "/x.blend", people=True) == "~/x.blend"


def test_technical_is_one_bounded_line() -> None:
    line = technical("first\nsecond", None, f"key {KEY}", "x" * 1000)
    assert "\n" not in line and KEY not in line and len(line) <= 400


def test_job_log_redacts_messages_arguments_and_tracebacks(tmp_path: Path) -> None:
    log = job_log(tmp_path / "0123456789abcdef")
    log.info("sending with %s", KEY)
    try:
        raise ValueError(f"https://h/x?X-Amz-Signature=deadbeefdeadbeef and {KEY}")
    except ValueError:
        log.exception("it failed")
    close_log(log)
    close_log(log)
    path = tmp_path / "0123456789abcdef" / "job.log"
    text = path.read_text("utf-8")
    assert "sending with ***" in text and "ValueError" in text
    assert KEY not in text and "deadbeef" not in text
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0
    assert log.name not in logging.Logger.manager.loggerDict


def test_job_log_rotates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_BYTES", 2000)
    log = job_log(tmp_path / "job")
    for number in range(200):
        log.info("line %d", number)
    close_log(log)
    files = sorted(path.name for path in (tmp_path / "job").iterdir())
    assert files == ["job.log", "job.log.1", "job.log.2"]
    assert "line 199" in (tmp_path / "job" / "job.log").read_text("utf-8")


def test_filter_for_foreign_handlers(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.Logger("foreign")
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(module.RedactingFilter())
    logger.addHandler(handler)
    try:
        raise OSError(f"refused {KEY}")
    except OSError:
        logger.exception("with %s", KEY)
    shown = capsys.readouterr().err
    assert "with ***" in shown and "OSError" in shown and KEY not in shown
