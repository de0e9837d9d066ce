# SPDX-License-Identifier: GPL-3.0-or-later
"""``jobs`` and what can be done to one: shapes, words and effects in the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from bridge.cli import main
from bridge.jobs import Job, Result, State
from bridge.paths import ensure_home
from bridge.problems import Category, Problem
from bridge.store import Store
from tests.support.cli import Said

JOB_KEYS = ["id", "service", "state", "remote_id", "results", "problem"]


OPTIONS = {"format": "usd", "threshold": None, "draco": False}


class Here(Protocol):
    def __call__(self, *words: object) -> Said: ...


@pytest.fixture
def here(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    """The command line in this process, with no worker that would act on the jobs."""
    monkeypatch.setenv("SCENE_COURIER_NO_WORKER", "1")

    def run_here(*words: object) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return run_here


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store.open(ensure_home(home)) as opened:
        yield opened


def put(store: Store, **fields: Any) -> Job:
    fields.setdefault("name", "Stühle 🪑")
    return store.insert_job(Job(service="rigyd", **fields))


def now(store: Store, job: Job) -> Job:
    found = store.job(job.id)
    assert found is not None
    return found


def test_the_list_is_newest_first_and_has_every_field(here: Here, store: Store) -> None:
    assert here("jobs", "--json").json == {"jobs": []}
    problem = Problem(Category.REMOTE, "It failed.", "Try again.", "stage x")
    old = put(store, state=State.FAILED, problem=problem, created_at=1.0)
    result = Result(str(store.home / "chair.usd"), 12, "usd")
    new = put(store, state=State.DONE, remote_id="abc", results=[result], account="sandbox")
    listed = here("jobs", "--json").json["jobs"]
    assert [job["id"] for job in listed] == [new.id, old.id]
    assert all(list(job) == JOB_KEYS for job in listed)
    assert listed[0] == {
        "id": new.id,
        "service": "rigyd",
        "state": "done",
        "remote_id": "abc",
        "results": [{"path": str(store.home / "chair.usd"), "bytes": 12, "kind": "usd"}],
        "problem": None,
    }
    assert listed[1]["problem"] == problem.to_dict() and listed[1]["remote_id"] is None
    shown = here("jobs").out
    assert "Stühle 🪑" in shown and "It failed." in shown and "sandbox" in shown


def test_show_takes_the_beginning_of_an_id(here: Here, store: Store) -> None:
    job = put(store, id="a" * 32, options=OPTIONS, notes=["A note."])
    put(store, id="ab" + "c" * 30)
    for word in (job.id, "aa"):
        assert here("jobs", "show", word, "--json").json["id"] == job.id
        assert here("jobs", "--json", "show", word).json["id"] == job.id
    text = here("jobs", "show", "aa").out
    options = "format=usd, draco=false\n"
    for part in (job.id, "Stühle 🪑", "Queued", options, "A note.", str(store.home)):
        assert part in text
    for word in ("a", "zz"):  # two jobs begin like this; none does
        said = here("jobs", "show", word, "--json")
        assert said.code == 2 and list(said.json) == JOB_KEYS
        assert said.json["problem"]["category"] == "input" and word in said.err


def test_every_state_can_be_shown(here: Here, store: Store) -> None:
    for state in State:
        job = put(store, state=state, phase_done=1, phase_total=4, phase_unit="bytes", price=1.0)
        said = here("jobs", "show", job.id, "--json")
        assert said.code == 0 and said.json["state"] == state.value
        assert here("jobs", "show", job.id).code == 0
    assert len(here("jobs", "--json").json["jobs"]) == len(State)


def test_cancel(here: Here, store: Store) -> None:
    job = put(store, state=State.REMOTE, remote_id="abc")
    said = here("jobs", "cancel", job.id, "--json")
    assert said.code == 0 and said.json["id"] == job.id
    assert now(store, job).cancel_requested
    assert "goes on at Rigyd and is charged" in said.err
    ended = put(store, state=State.DONE)
    assert here("jobs", "cancel", ended.id).code == 0
    assert not now(store, ended).cancel_requested


def test_retry(here: Here, store: Store) -> None:
    job = put(store, state=State.FAILED, problem=Problem(Category.NETWORK, "No network."))
    assert here("jobs", "retry", job.id, "--json").json["state"] == "queued"
    assert now(store, job).problem is None
    done = put(store, state=State.DONE)
    said = here("jobs", "retry", done.id, "--json")
    assert (said.code, said.json["problem"]["category"]) == (2, "input")
    waits = put(store, state=State.AWAITING_APPROVAL, price=2.0)
    said = here("jobs", "retry", waits.id, "--json")
    assert said.code == 2 and "jobs approve" in said.json["problem"]["hint"]


def test_forget_removes_the_folder_of_an_ended_job_only(
    here: Here, store: Store, tmp_path: Path
) -> None:
    job = put(store, state=State.DONE)
    folder = store.home / "jobs" / job.id
    folder.mkdir(parents=True)
    (folder / "scene.blend").write_bytes(b"x")
    assert here("jobs", "forget", job.id).code == 0
    assert store.job(job.id) is None and not folder.exists()
    elsewhere = tmp_path / "kept.usd"
    elsewhere.write_bytes(b"usd")
    lost = store.home / "jobs" / "lost.usd"
    both = [Result(str(elsewhere), 3, "usd"), Result(str(lost), 3, "usd")]
    ended = put(store, state=State.DONE, results=both)
    said = here("jobs", "forget", ended.id, "--json")
    assert [item["path"] for item in said.json["results"]] == [str(elsewhere)], "what is left"
    runs = put(store, state=State.UPLOADING)
    said = here("jobs", "forget", runs.id, "--json")
    assert said.code == 2 and "Cancel it first" in said.json["problem"]["hint"]
    assert store.job(runs.id) is not None


def test_approve(here: Here, store: Store) -> None:
    job = put(store, state=State.AWAITING_APPROVAL, price=3.0, waiting_reason="person")
    said = here("jobs", "approve", job.id, "--json")
    assert said.code == 0 and "3 credits" in said.err
    assert (now(store, job).approved_credits, now(store, job).state) == (3.0, State.QUEUED)
    said = here("jobs", "approve", job.id, "--json")
    assert said.code == 2 and said.json["problem"]["category"] == "input"


def test_resolve(here: Here, store: Store) -> None:
    doubt = {"state": State.IN_DOUBT, "waiting_reason": "person"}
    there, gone = put(store, **doubt), put(store, **doubt)
    said = here("jobs", "resolve", there.id, "--remote", "k2l9", "--json")
    assert (said.json["state"], said.json["remote_id"]) == ("remote", "k2l9")
    assert here("jobs", "resolve", gone.id, "--send-again", "--json").json["state"] == "queued"
    assert here("jobs", "resolve", gone.id, "--json").code == 2
    assert here("jobs", "resolve", gone.id, "--remote", "x", "--send-again").code == 2
    assert here("jobs", "resolve", gone.id, "--send-again").code == 2, "not in doubt any more"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"state": State.DONE}, 0),
        ({"state": State.CANCELED}, 1),
        ({"state": State.FAILED, "problem": Problem(Category.REMOTE, "No.")}, 1),
        ({"state": State.FAILED, "problem": Problem(Category.BLENDER, "No.")}, 1),
        ({"state": State.FAILED, "problem": Problem(Category.CREDITS, "No.")}, 1),
        ({"state": State.FAILED, "problem": Problem(Category.INPUT, "No mesh.")}, 2),
        ({"state": State.FAILED, "problem": Problem(Category.LIMIT, "Too big.")}, 2),
        ({"state": State.FAILED, "problem": Problem(Category.CREDENTIALS, "No key.")}, 3),
        ({"state": State.WAITING, "waiting_reason": "credentials"}, 3),
        ({"state": State.WAITING, "waiting_reason": "person"}, 4),
        ({"state": State.WAITING, "waiting_reason": "disk"}, 4),
        ({"state": State.AWAITING_APPROVAL, "waiting_reason": "person", "price": 1.0}, 4),
        ({"state": State.IN_DOUBT, "waiting_reason": "person"}, 4),
    ],
)
def test_the_exit_code_of_a_followed_job(
    fields: dict[str, Any], code: int, here: Here, store: Store
) -> None:
    job = put(store, **fields)
    said = here("jobs", "show", job.id, "--wait", "--json")
    assert said.code == code, said.err
    assert said.json["state"] == fields["state"].value


def test_nobody_is_asked_where_nobody_sits(here: Here, store: Store) -> None:
    """Without a terminal an approval is never assumed, and the way to give it is said."""
    job = put(store, state=State.AWAITING_APPROVAL, waiting_reason="person", price=2.0)
    said = here("jobs", "show", job.id, "--wait")
    assert said.code == 4 and "2 credits" in said.err
    assert f"jobs approve {job.short_id}" in said.err
    assert now(store, job).approved_credits is None


PRODUCTS = [
    {"name": "Stuhl 🪑", "file": "a.glb", "status": "rendered", "stills": 3, "videos": 1,
     "problem": "", "project_id": "p1"},
    {"name": "Kaputt", "file": "b.glb", "status": "left out", "stills": 0, "videos": 0,
     "problem": "Kaputt has no faces."},
]  # fmt: skip


def test_each_product_is_told(here: Here, store: Store) -> None:
    """A job that is done says which product was left out, to a person and to a program."""
    job = put(store, state=State.DONE, report={"products": PRODUCTS})
    said = here("jobs", "show", job.id)
    assert "product         Stuhl 🪑: rendered, 3 stills, 1 video\n" in said.out
    assert "product         Kaputt: left out. Kaputt has no faces.\n" in said.out
    assert "Kaputt: left out. Kaputt has no faces." in here("jobs", "show", job.id, "--wait").err
    told = here("jobs", "show", job.id, "--json").json
    assert list(told) == [*JOB_KEYS, "products"]
    assert [(row["name"], row["status"]) for row in told["products"]] == [
        ("Stuhl 🪑", "rendered"),
        ("Kaputt", "left out"),
    ]
    assert told["products"][1] == {
        "name": "Kaputt", "status": "left out", "stills": 0, "videos": 0, "project_id": None,
        "problem": "Kaputt has no faces.",
    }  # fmt: skip
    assert list(here("jobs", "--json").json["jobs"][0]) == [*JOB_KEYS, "products"]


def test_the_counters_of_a_running_job_are_told(here: Here, store: Store) -> None:
    counters = {"modelsUploaded": 2, "modelsReady": 1, "modelsTotal": 3, "projectsTotal": 3}
    job = put(store, state=State.REMOTE, report={"counters": counters})
    out = here("jobs", "show", job.id).out
    assert "models uploaded 2 of 3, models ready 1 of 3, projects made 0 of 3" in out
    store.update_job(job.id, state=State.DONE)
    assert "models ready" not in here("jobs", "show", job.id).out


def test_what_a_cancel_says_is_the_service_s_own(here: Here, store: Store) -> None:
    job = put(store, state=State.REMOTE, remote_id="r1")
    store.update_job(job.id, service="glossi")
    assert "goes on at Glossi and may be charged" in here("jobs", "cancel", job.id).err
