# SPDX-License-Identifier: GPL-3.0-or-later
"""``send`` with the real worker and a real sandbox over a socket: every exit code, every shape."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bridge import launch
from bridge.cli import inputs, main
from bridge.jobs import Job, State
from bridge.problems import Category, ProblemError
from bridge.sandbox import Sandbox
from bridge.sandbox.canned import CannedConverter, tiny_glb
from bridge.store import Store
from tests.support import processes
from tests.support.cli import ROOT, command, environment, run

JOB_KEYS = ["id", "service", "state", "remote_id", "results", "problem"]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "box", converter=CannedConverter()) as running:
        yield running


@pytest.fixture
def env(home: Path, box: Sandbox) -> dict[str, str]:
    """What a pipeline has: the data folder, and the address and key of the service."""
    return environment(home, RIGYD_BASE_URL=box.rigyd.base_url, RIGYD_API_KEY=box.rigyd.api_key)


@pytest.fixture
def glb(tmp_path: Path) -> Path:
    path = tmp_path / "Stühle 🪑.glb"
    path.write_bytes(tiny_glb())
    return path


def jobs_of(home: Path) -> list[Job]:
    with Store.open(home) as store:
        return store.jobs()


def wait_for_state(home: Path, *states: State, seconds: float = 60) -> Job:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(IndexError):
            job = jobs_of(home)[0]
            if job.state in states:
                return job
        assert time.monotonic() < end, f"not {states} in time: {jobs_of(home)}"
        time.sleep(0.05)


def test_done(home: Path, env: dict[str, str], box: Sandbox, glb: Path, tmp_path: Path) -> None:
    out = tmp_path / "out put"
    said = run("send", glb, "--to", "rigyd", "--out", out, "--wait", "--yes", "--json", env=env)
    assert said.code == 0, said.err
    answer = said.json
    assert list(answer) == JOB_KEYS
    assert (answer["service"], answer["state"], answer["problem"]) == ("rigyd", "done", None)
    assert answer["remote_id"]
    kinds = {result["kind"] for result in answer["results"]}
    assert {"usd", "mjcf", "texture"} <= kinds
    for result in answer["results"]:
        assert list(result) == ["path", "bytes", "kind"]
        path = Path(result["path"])
        assert path.is_absolute() and path.stat().st_size == result["bytes"]
        assert out in path.parents
    assert box.journal()["paid_submits"] == 1
    assert run("jobs", "show", answer["id"], "--json", env=env).json == answer
    assert run("jobs", "--json", env=env).json == {"jobs": [answer]}


def test_without_json_stdout_has_the_paths(env: dict[str, str], glb: Path, tmp_path: Path) -> None:
    words = ("--option", "format=usd", "--out", tmp_path / "out", "--wait", "--yes")
    said = run("send", glb, "--to", "rigyd", *words, env=env)
    assert said.code == 0
    paths = [Path(line) for line in said.out.splitlines()]
    assert paths and all(path.is_file() for path in paths)
    assert not any(path.suffix == ".xml" for path in paths), "format=usd brings no MJCF"
    assert "1 credit" in said.err


def test_the_copy_is_sent_not_the_file(
    home: Path, env: dict[str, str], box: Sandbox, glb: Path
) -> None:
    """Once queued, FILE is no longer needed."""
    said = run("send", glb, "--to", "rigyd", "--json", env={**env, "SCENE_COURIER_NO_WORKER": "1"})
    assert (said.code, said.json["state"]) == (0, "queued"), said.err
    assert f"jobs approve {said.json['id'][:8]}" in said.err, "nobody agreed to a price yet"
    assert box.journal()["requests"] == []
    content = glb.read_bytes()
    glb.unlink()
    package = home / "jobs" / said.json["id"] / "package"
    assert [path.read_bytes() for path in package.iterdir()] == [content]
    followed = run("jobs", "show", said.json["id"], "--wait", "--yes", "--json", env=env)
    assert (followed.code, followed.json["state"]) == (0, "done"), followed.err


def test_a_price_that_nobody_agreed_to(
    home: Path, env: dict[str, str], box: Sandbox, glb: Path
) -> None:
    said = run("send", glb, "--to", "rigyd", "--wait", "--json", env=env)
    assert (said.code, said.json["state"]) == (4, "awaiting_approval"), said.err
    assert "1 credit" in said.err
    assert box.journal()["paid_submits"] == 0
    assert not any(entry["method"] == "POST" for entry in box.journal()["requests"])
    job_id = said.json["id"]
    assert run("jobs", "approve", job_id, env=env).code == 0
    said = run("jobs", "show", job_id, "--wait", "--json", env=env)
    assert (said.code, said.json["state"]) == (0, "done"), said.err
    assert box.journal()["paid_submits"] == 1


def on_a_terminal(words: list[object], env: dict[str, str], answer: bytes) -> tuple[int, str]:
    """Run a command with stdin and stderr on a terminal; type ``answer`` when it asks."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        command(*words), env=env, stdin=follower, stderr=follower, stdout=subprocess.PIPE
    )
    os.close(follower)
    seen, asked, end = b"", False, time.monotonic() + 90
    while process.poll() is None or select.select([leader], [], [], 0)[0]:
        assert time.monotonic() < end, seen
        if not select.select([leader], [], [], 0.1)[0]:
            continue
        try:
            seen += os.read(leader, 65536)
        except OSError:  # the other side is closed
            break
        if not asked and b"[y/N]" in seen:
            asked = True
            os.write(leader, answer + b"\n")
    code = process.wait(30)
    os.close(leader)
    assert process.stdout is not None
    process.stdout.close()
    return code, seen.decode("utf-8", "replace")


@pytest.mark.parametrize(("answer", "code", "paid"), [(b"y", 0, 1), (b"", 4, 0), (b"n", 4, 0)])
def test_a_terminal_is_asked(
    answer: bytes, code: int, paid: int, env: dict[str, str], box: Sandbox, glb: Path
) -> None:
    got, seen = on_a_terminal(["send", glb, "--to", "rigyd", "--wait"], env, answer)
    assert got == code, seen
    assert "at Rigyd costs 1 credit. Go on? [y/N]" in seen
    assert box.journal()["paid_submits"] == paid


def test_a_job_that_the_service_fails(env: dict[str, str], box: Sandbox, glb: Path) -> None:
    box.set_faults(
        {"rules": [{"method": "POST", "path": "/conversions", "job": {"fail": "Not manifold"}}]}
    )
    said = run("send", glb, "--to", "rigyd", "--wait", "--yes", "--json", env=env)
    assert (said.code, said.json["state"]) == (1, "failed"), said.err
    problem = said.json["problem"]
    assert problem["category"] == "remote" and "Not manifold" in problem["sentence"]
    assert said.json["results"] == []


def test_too_few_credits(env: dict[str, str], box: Sandbox, glb: Path) -> None:
    box.set_faults({"credits": 0})
    said = run("send", glb, "--to", "rigyd", "--wait", "--yes", "--json", env=env)
    assert said.code in (1, 4) and said.json["problem"]["category"] == "credits", said.err


def test_what_the_service_refuses_is_bad_input(
    env: dict[str, str], box: Sandbox, glb: Path
) -> None:
    rule = {"method": "POST", "path": "/conversions", "status": 400,
            "error": "Unsupported format: .glb. Allowed: obj"}  # fmt: skip
    box.set_faults({"rules": [rule]})
    said = run("send", glb, "--to", "rigyd", "--wait", "--yes", "--json", env=env)
    assert (said.code, said.json["problem"]["category"]) == (2, "input"), said.err


def test_a_key_that_the_service_refuses(env: dict[str, str], box: Sandbox, glb: Path) -> None:
    wrong = {**env, "RIGYD_API_KEY": "rgyd_live_" + "x" * 43}
    said = run("send", glb, "--to", "rigyd", "--wait", "--yes", "--json", env=wrong)
    assert said.code == 3, said.err
    assert said.json["problem"]["category"] == "credentials"
    assert box.journal()["paid_submits"] == 0
    assert "x" * 43 not in said.out + said.err


def test_in_doubt(home: Path, env: dict[str, str], box: Sandbox, glb: Path) -> None:
    """The submit's answer is lost and the list does not show the job: a person has to look."""
    rules = [
        {"method": "POST", "path": "/conversions", "lose_answer": True},
        {"method": "GET", "path": "/conversions", "body": {"data": [], "meta": {
            "pagination": {"page": 1, "pageSize": 25, "pageCount": 1, "total": 0}}}},
    ]  # fmt: skip
    box.set_faults({"rules": rules})
    said = run("send", glb, "--to", "rigyd", "--wait", "--yes", "--json", env=env)
    assert (said.code, said.json["state"]) == (4, "in_doubt"), said.err
    assert said.json["problem"]["category"] == "in_doubt"
    assert f"jobs resolve {said.json['id'][:8]} --remote ID" in said.err
    assert box.journal()["paid_submits"] == 1
    box.set_faults(None)
    remote = next(entry["job_id"] for entry in box.journal()["requests"] if entry["job_id"])
    assert run("jobs", "resolve", said.json["id"], "--remote", remote, env=env).code == 0
    said = run("jobs", "show", said.json["id"], "--wait", "--json", env=env)
    assert (said.code, said.json["state"], said.json["remote_id"]) == (0, "done", remote)
    assert box.journal()["paid_submits"] == 1


def following(home: Path, env: dict[str, str], glb: Path) -> tuple[subprocess.Popen[str], Job]:
    """A ``send --wait`` that follows a job which is stuck at the service."""
    words = ("send", glb, "--to", "rigyd", "--wait", "--yes", "--json")
    process = subprocess.Popen(
        command(*words), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    return process, wait_for_state(home, State.REMOTE)


STUCK = {"rules": [{"method": "POST", "path": "/conversions", "job": {"stuck": "running"}}]}


def test_an_interrupt_ends_the_following_and_not_the_job(
    home: Path, env: dict[str, str], box: Sandbox, glb: Path
) -> None:
    box.set_faults(STUCK)
    process, job = following(home, env, glb)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert json.loads(out)["state"] == "remote" and out.count("\n") == 1
    assert f"jobs show {job.short_id} --wait" in err and "goes on" in err
    assert jobs_of(home)[0].state is State.REMOTE, "the job lives on"
    assert run("jobs", "cancel", job.id, env=env).code == 0
    said = run("jobs", "show", job.id, "--wait", "--json", env=env)
    assert (said.code, said.json["state"]) == (1, "canceled")


def test_a_worker_that_dies_is_started_again(
    home: Path, env: dict[str, str], box: Sandbox, glb: Path
) -> None:
    slow = {"rules": [{"method": "POST", "path": "/conversions", "job": {"seconds": 4}}]}
    box.set_faults(slow)
    process, _job = following(home, env, glb)
    with Store.open(home) as store:
        os.kill(store.setting("worker")["pid"], signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["state"] == "done"
    assert box.journal()["paid_submits"] == 1


def test_only_the_environment(home: Path, tmp_path: Path, glb: Path) -> None:
    """The sandbox in a process of its own; its one line holds all that a send needs."""
    serving = subprocess.Popen(
        command("sandbox", "--json"), env=environment(home), stdout=subprocess.PIPE, text=True
    )
    try:
        assert serving.stdout is not None
        entry = json.loads(serving.stdout.readline())
        assert all(set(one) >= {"base_url", "api_key"} for one in entry.values())
        other = tmp_path / "another home"
        env = environment(
            other,
            RIGYD_BASE_URL=entry["rigyd"]["base_url"],
            RIGYD_API_KEY=entry["rigyd"]["api_key"],
        )
        listed = run("services", "--json", env=env).json["services"]
        assert listed[0]["key_source"] == "environment"
        assert listed[0]["prices"]["glb_to_simready"] == 1
        assert entry["rigyd"]["api_key"] not in json.dumps(listed)
        said = run("send", glb, "--to", "rigyd", "--json", env=env)
        assert (said.code, list(said.json)) == (0, JOB_KEYS), said.err
    finally:
        serving.send_signal(signal.SIGINT)
        assert serving.wait(20) == 0
        serving.stdout.close()
        processes.end(list(processes.of_session(containing=str(other))))


@pytest.mark.skipif(find_spec("bpy") is None, reason="this Python has no Blender")
def test_the_real_thing(home: Path, tmp_path: Path) -> None:
    """A scene, the sandbox on demand, a real conversion: what the README promises."""
    made = subprocess.run(
        [*command()[:1], "-I", str(ROOT / "addon/recipes/run.py"), "demo_scene",
         str(write(tmp_path / "p.json", {"output": str(tmp_path / "scene.blend")})),
         str(tmp_path / "r.json")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["ok"], made.stderr
    vase = result["result"]["assets"][3]["objects"]
    scene = tmp_path / "moved" / "scene.blend"
    scene.parent.mkdir()
    shutil.move(tmp_path / "scene.blend", scene)
    words = ("--to", "rigyd", "--sandbox", "--out", tmp_path / "out", "--wait", "--json")
    said = run("send", scene, *words, "--select", *vase, env=environment(home), seconds=250)
    assert (said.code, said.json["state"]) == (0, "done"), said.err
    usd = [Path(result["path"]) for result in said.json["results"] if result["kind"] == "usd"]
    assert len(usd) == 1 and usd[0].stat().st_size > 10_000
    assert sum(result["kind"] == "texture" for result in said.json["results"]) >= 2
    wrong = run("send", scene, *words, "--select", "Vass", env=environment(home), seconds=120)
    assert (wrong.code, wrong.json["state"]) == (2, "failed"), "found by packaging, still bad input"
    assert "Vase" in wrong.json["problem"]["hint"]


def test_a_worker_that_cannot_be_started_leaves_no_job(
    home: Path,
    env: dict[str, str],
    glb: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Else a later worker would send, and pay for, what this command said had not begun."""
    for name in ("RIGYD_BASE_URL", "RIGYD_API_KEY"):
        monkeypatch.setenv(name, env[name])

    def full(_home: Path) -> bool:
        raise ProblemError(Category.DISK, "The disk is full.", "Free some space.")

    monkeypatch.setattr(launch, "ensure_worker", full)
    assert main(["send", str(glb), "--to", "rigyd", "--yes", "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["id"] is None and answer["problem"]["sentence"] == "The disk is full."
    assert jobs_of(home) == [] and not list((home / "jobs").iterdir())


@pytest.mark.parametrize(
    ("fault", "code"), [(KeyboardInterrupt(), 130), (ProblemError(Category.DISK, "Full."), 2)]
)
def test_a_job_that_is_queued_is_told_whatever_happens_next(
    fault: BaseException,
    code: int,
    home: Path,
    env: dict[str, str],
    glb: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("RIGYD_BASE_URL", "RIGYD_API_KEY"):
        monkeypatch.setenv(name, env[name])

    def later(home: Path) -> bool:
        if jobs_of(home):
            raise fault
        return False

    monkeypatch.setattr(launch, "ensure_worker", later)
    assert main(["send", str(glb), "--to", "rigyd", "--yes", "--json"]) == code
    answer = json.loads(capsys.readouterr().out)
    assert (answer["id"], answer["state"]) == (jobs_of(home)[0].id, "queued")


def test_an_interrupt_before_there_is_a_job(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inputs, "check", stopped)
    assert main(["send", "chair.glb", "--to", "rigyd", "--json"]) == 130
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and list(json.loads(out)) == JOB_KEYS
    assert json.loads(out)["problem"]["category"] == "canceled"


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path
