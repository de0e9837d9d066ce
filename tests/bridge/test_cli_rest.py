# SPDX-License-Identifier: GPL-3.0-or-later
"""``services``, ``login``, ``logout``, ``diagnose``, ``worker`` and ``sandbox``."""

from __future__ import annotations

import json
import os
import pty
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.jobs import Job, State
from bridge.launch import wait_for_worker
from bridge.sandbox import Sandbox
from bridge.sandbox.canned import CannedConverter
from bridge.store import Store
from tests.support.cli import Said, command, environment, run

KEY = "rgyd_live_" + "k" * 43


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("box"), converter=CannedConverter()) as running:
        yield running


@pytest.fixture
def env(home: Path, box: Sandbox) -> dict[str, str]:
    """No key in the environment, and a keyring that is not there."""
    return environment(
        home,
        RIGYD_BASE_URL=box.rigyd.base_url,
        PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring",
    )


def key_source(env: dict[str, str]) -> str:
    listed = run("services", "--offline", "--json", env=env).json["services"]
    return str(listed[0]["key_source"])


def of_rigyd(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The entry of one of the services."""
    return next(entry for entry in entries if entry["name"] == "rigyd")


def test_services_lists_what_scripts_need(env: dict[str, str], box: Sandbox) -> None:
    said = run("services", "--json", env=env)
    assert said.code == 0 and list(said.json) == ["services"]
    rigyd = of_rigyd(said.json["services"])
    assert rigyd["name"] == "rigyd" and rigyd["base_url"] == box.rigyd.base_url
    assert (rigyd["key_source"], rigyd["prices"], rigyd["problem"]) == ("none", None, None)
    assert rigyd["limits"]["max_bytes"] == 500_000_000
    assert {".blend", ".glb", ".zip"} <= set(rigyd["limits"]["accepts"])
    options = {option["name"]: option for option in rigyd["options"]}
    # The contract's field names, section 3, and the result's format, section 9.
    assert {"format", "target_triangle_count", "threshold", "llm_provider", "skip_validation"} <= (
        set(options)
    )
    for option in options.values():
        assert {"kind", "default", "choices", "minimum", "maximum", "aliases", "help"} <= set(
            option
        )
        assert option["help"].endswith(".")
    assert options["format"]["default"] == "all" and options["format"]["choices"]
    count = options["target_triangle_count"]
    assert (count["minimum"], count["maximum"]) == (1000, 1_000_000)


def test_services_with_a_key_reads_the_prices(env: dict[str, str], box: Sandbox) -> None:
    with_key = {**env, "RIGYD_API_KEY": box.rigyd.api_key}
    said = run("services", "--json", env=with_key)
    rigyd = of_rigyd(said.json["services"])
    assert rigyd["key_source"] == "environment" and rigyd["prices"]["glb_to_simready"] == 1
    assert box.rigyd.api_key not in said.out + said.err
    text = run("services", env=with_key)
    assert "from the environment" in text.out and "1 credit" in text.out
    assert box.rigyd.api_key not in text.out


def test_services_says_why_there_are_no_prices(home: Path, env: dict[str, str]) -> None:
    nobody = {**env, "RIGYD_API_KEY": KEY, "RIGYD_BASE_URL": "http://127.0.0.1:9/api"}
    rigyd = of_rigyd(run("services", "--json", env=nobody).json["services"])
    assert rigyd["prices"] is None and rigyd["problem"]["category"] == "network"
    assert rigyd["options"], "the rest is known without a network"


def test_login_without_a_keyring_needs_a_yes(home: Path, env: dict[str, str], box: Sandbox) -> None:
    said = run("login", "rigyd", "--json", env=env, stdin=f"  {box.rigyd.api_key}\n")
    assert said.code == 3 and said.json["problem"]["category"] == "credentials"
    assert "--allow-file" in said.json["problem"]["hint"] and key_source(env) == "none"

    said = run("login", "rigyd", "--allow-file", "--json", env=env, stdin=f"{box.rigyd.api_key}\n")
    assert said.code == 0, said.err
    assert said.json == {"service": "rigyd", "key_source": "file", "problem": None}
    file = home / "credentials.json"
    assert str(file) in said.err and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert box.rigyd.api_key not in said.out + said.err
    assert key_source(env) == "file"

    said = run("logout", "rigyd", "--json", env=env)
    assert (said.code, said.json["removed"]) == (0, ["file"])
    assert key_source(env) == "none" and not file.exists()
    said = run("logout", "rigyd", "--json", env=env)
    assert (said.code, said.json["removed"]) == (0, []) and "No key" in said.err


def test_login_wakes_the_jobs_that_wait_for_a_key(
    home: Path, env: dict[str, str], box: Sandbox
) -> None:
    with Store.open(home) as store:
        job = store.insert_job(
            Job(
                service="rigyd",
                name="Chair",
                state=State.WAITING,
                waiting_reason="credentials",
                key_print="of another key",
                due_at=4e9,
            )
        )
        run("login", "rigyd", "--allow-file", env=env, stdin=f"{box.rigyd.api_key}\n")
        woken = store.job(job.id)
    assert run("logout", "rigyd", env=env).code == 0
    assert woken is not None and (woken.due_at, woken.key_print) == (0, "")


def test_login_refuses_what_the_service_refuses(env: dict[str, str]) -> None:
    for key, word in ((KEY, "refuse"), ("", "empty"), ("two words", "characters")):
        said = run("login", "rigyd", "--allow-file", "--json", env=env, stdin=f"{key}\n")
        assert said.code == 3, (word, said.err)
        assert said.json["problem"]["category"] == "credentials"
        assert not key or key not in said.out + said.err
    assert key_source(env) == "none"


def test_login_offline_and_unreachable_keeps_the_key(env: dict[str, str]) -> None:
    said = run("login", "rigyd", "--allow-file", "--offline", env=env, stdin=f"{KEY}\n")
    assert said.code == 0 and key_source(env) == "file"
    assert run("logout", "rigyd", env=env).code == 0
    nobody = {**env, "RIGYD_BASE_URL": "http://127.0.0.1:9/api"}
    said = run("login", "rigyd", "--allow-file", env=nobody, stdin=f"{KEY}\n")
    assert said.code == 0 and "could not be checked" in said.err and key_source(env) == "file"
    assert run("logout", "rigyd", env=env).code == 0


def test_login_and_logout_tell_about_the_environment(env: dict[str, str], box: Sandbox) -> None:
    both = {**env, "RIGYD_API_KEY": box.rigyd.api_key}
    said = run("login", "rigyd", "--allow-file", env=both, stdin=f"{box.rigyd.api_key}\n")
    assert said.code == 0 and "RIGYD_API_KEY is set, and goes before it." in said.err
    said = run("logout", "rigyd", env=both)
    assert said.code == 0 and "goes on being used; unset it there" in said.err
    said = run("logout", "rigyd", env=both)
    assert said.code == 3, "a key is left that cannot be removed from here"


def test_a_key_is_never_an_argument(env: dict[str, str]) -> None:
    said = run("login", "rigyd", KEY, env=env)
    assert said.code == 2


def test_login_on_a_terminal_shows_nothing(home: Path, env: dict[str, str], box: Sandbox) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        command("login", "rigyd"),
        env=env,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    seen, steps, end = b"", [b"(not shown)", b"[y/N]"], time.monotonic() + 60
    typed = [box.rigyd.api_key.encode(), b"y"]
    while time.monotonic() < end:
        try:
            seen += os.read(leader, 65536)
        except OSError:
            break
        if steps and steps[0] in seen:
            steps.pop(0)
            time.sleep(0.3)  # getpass empties the input after it has asked
            os.write(leader, typed.pop(0) + b"\n")
    assert process.wait(20) == 0, seen
    os.close(leader)
    assert b"not encrypted" in seen and box.rigyd.api_key.encode() not in seen
    assert key_source(env) == "file"
    assert run("logout", "rigyd", env=env).code == 0


def test_diagnose_is_complete_and_holds_no_secret(
    home: Path, env: dict[str, str], box: Sandbox
) -> None:
    with_key = {**env, "RIGYD_API_KEY": box.rigyd.api_key}
    said = run("diagnose", "--json", env=with_key)
    assert said.code == 0, said.err
    report = said.json
    assert {"version", "python", "system", "packages", "data_folder", "worker", "jobs"} <= set(
        report
    )
    assert {"blender", "keyring", "services"} <= set(report)
    assert report["data_folder"]["path"].endswith("courier home")
    assert report["worker"]["running"] is False and report["keyring"] == "none"
    rigyd = of_rigyd(report["services"])
    assert rigyd["key_source"] == "environment"
    assert rigyd["network"]["connection"].startswith("good") and rigyd["network"]["clock"] == "good"
    assert box.rigyd.api_key not in said.out
    assert not any(entry["authorization"] for entry in box.journal()["requests"][-1:])
    nobody = {**env, "RIGYD_BASE_URL": "https://rigyd.invalid/api"}
    rigyd = of_rigyd(run("diagnose", "--json", env=nobody).json["services"])
    assert rigyd["network"]["name"].startswith("not found")
    assert run("diagnose", "--offline", env=env).code == 0


def test_the_worker_in_the_foreground(home: Path, env: dict[str, str]) -> None:
    patient = {**env, "SCENE_COURIER_SETTINGS": json.dumps({"idle_seconds": 60})}
    worker = subprocess.Popen(command("worker"), env=patient, stderr=subprocess.PIPE, text=True)
    try:
        assert wait_for_worker(home, 30)
        second = run("worker", env=patient)
        assert second.code == 2 and "already running" in second.err
        assert run("diagnose", "--offline", "--json", env=env).json["worker"]["running"] is True
    finally:
        worker.send_signal(signal.SIGTERM)
        _out, err = worker.communicate(timeout=30)
    assert worker.returncode == 0 and str(home) in err


def serve(env: dict[str, str], *words: object) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        command("sandbox", *words),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline()


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> Said:
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return Said(process.returncode, out, err)


def test_the_sandbox_in_the_foreground(home: Path, env: dict[str, str], tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"prices": {"glb_to_simready": 7}}))
    process, line = serve(env, "--json", "--faults", plan, "--service", "rigyd")
    entry = json.loads(line)["rigyd"]
    assert entry["base_url"].startswith("http://127.0.0.1:")
    with_key = {**env, "RIGYD_BASE_URL": entry["base_url"], "RIGYD_API_KEY": entry["api_key"]}
    rigyd = of_rigyd(run("services", "--json", env=with_key).json["services"])
    assert rigyd["prices"]["glb_to_simready"] == 7, "the fault plan is in force"
    second = run("sandbox", "--json", env=env)
    assert second.code == 2 and "already running" in second.json["problem"]["sentence"]
    ended = stop(process)
    assert (ended.code, ended.out) == (0, ""), "one line and no more"
    process, line = serve(env)
    assert line == f"export RIGYD_BASE_URL={entry['base_url']}\n", "the same place again"
    assert process.stdout is not None
    assert process.stdout.readline() == f"export RIGYD_API_KEY={entry['api_key']}\n"
    assert stop(process, signal.SIGINT).code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--service", "glossy"], "The sandbox has no service “glossy”."),
        (["--faults", "missing.json"], "There is no fault plan “missing.json”."),
        (["--faults", "bad.json"], "The fault plan cannot be used."),
        (["--port", "99999"], "Argument --port: '99999' is not a port between 0 and 65535."),
    ],
)
def test_a_sandbox_that_cannot_start(
    words: list[str], sentence: str, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "bad.json").write_text('{"rules": [{"colour": "red"}]}')
    said = run("sandbox", *words, "--json", env=env, cwd=tmp_path)
    assert said.code == 2, said.err
    assert said.json["problem"]["sentence"] == sentence and said.json["problem"]["hint"]


def test_a_port_that_is_taken(env: dict[str, str], box: Sandbox) -> None:
    port = box.origin.rpartition(":")[2]
    said = run("sandbox", "--port", port, "--json", env=env)
    assert said.code == 2 and said.json["problem"]["sentence"] == f"Port {port} is in use."
