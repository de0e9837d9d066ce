# SPDX-License-Identifier: GPL-3.0-or-later
"""The job store: durable, ordered by revision, readable by two processes at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bridge.jobs import Job, Result, State, StepKind
from bridge.problems import Category, Problem, ProblemError
from bridge.store import FILE_NAME, Store

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path) as opened:
        yield opened


def test_a_job_comes_back_as_it_was_written(store: Store) -> None:
    job = Job(
        service="rigyd",
        name="Stühle 🪑",
        options={"format": "all", "threshold": 0.05},
        origin={"blend": "/scenes/ä b.blend"},
        results=[Result("/r/chair.usd", 12, "usd")],
        problem=Problem(Category.REMOTE, "It failed.", "Retry.", "x"),
        approved_credits=float("inf"),
        notes=["one"],
    )
    store.insert_job(job)
    assert store.job(job.id) == job
    assert store.job("nothing") is None


def test_every_change_raises_the_revision_and_is_listed_once(store: Store) -> None:
    first = store.insert_job(Job(service="rigyd", name="a"))
    second = store.insert_job(Job(service="rigyd", name="b"))
    seen, jobs, gone = store.changed_since(0)
    assert [job.id for job in jobs] == [first.id, second.id] and gone == []
    store.update_job(first.id, state=State.REMOTE, state_text="running")
    newer, jobs, _ = store.changed_since(seen)
    assert newer > seen and [(j.id, j.state) for j in jobs] == [(first.id, State.REMOTE)]
    assert store.changed_since(newer) == (newer, [], [])
    store.forget_job(second.id)
    assert store.changed_since(newer)[2] == [second.id]
    assert [job.id for job in store.jobs()] == [first.id]


def test_unknown_fields_and_jobs_are_refused(store: Store) -> None:
    job = store.insert_job(Job(service="rigyd", name="a"))
    with pytest.raises(TypeError):
        store.update_job(job.id, colour="red")
    with pytest.raises(KeyError):
        store.update_job("missing", name="b")
    assert store.revision() == job.revision, "a refused change leaves no trace"


def test_find_takes_a_unique_prefix(store: Store) -> None:
    job = store.insert_job(Job(service="rigyd", name="a", id="abc1" + "0" * 28))
    store.insert_job(Job(service="rigyd", name="b", id="abc2" + "0" * 28))
    assert store.find("abc1").id == job.id
    for prefix in ("abc", "zzz", "", "%"):
        with pytest.raises(ProblemError) as caught:
            store.find(prefix)
        assert caught.value.problem.category is Category.INPUT
    store.forget_job("abc2" + "0" * 28)
    with pytest.raises(ProblemError):
        store.find("_")


def test_a_step_and_its_jobs_move_are_one_transaction(store: Store) -> None:
    job = store.insert_job(Job(service="rigyd", name="a"))
    store.begin_step(job.id, "submit", StepKind.ONCE)
    with pytest.raises(TypeError):
        store.finish_step(job.id, "submit", {"id": "r1"}, no_such_field=1)
    step = store.step(job.id, "submit")
    assert step is not None and step.status == "started" and step.answer is None
    store.finish_step(job.id, "submit", {"id": "r1"}, remote_id="r1", state=State.REMOTE)
    step, moved = store.step(job.id, "submit"), store.job(job.id)
    assert step is not None and step.answer == {"id": "r1"} and step.finished_at
    assert moved is not None and moved.remote_id == "r1" and moved.state is State.REMOTE
    assert store.begin_step(job.id, "submit", StepKind.ONCE).attempt == 2


def test_questions_are_asked_once_and_answers_age(store: Store) -> None:
    args = {"service": "rigyd", "account": "sandbox"}
    asked = store.ask("pricing", args)
    assert asked.state == "pending" and store.ask("pricing", args).id == asked.id
    assert [request.id for request in store.pending_requests()] == [asked.id]
    store.answer(asked.id, {"glb_to_simready": 1})
    assert store.ask("pricing", args, max_age=60).answer == {"glb_to_simready": 1}
    again = store.ask("pricing", args, max_age=0)
    assert again.state == "pending" and again.answer == {"glb_to_simready": 1}
    store.answer(again.id, problem=Problem(Category.NETWORK, "No network."))
    failed = store.request("pricing", args)
    assert failed is not None and failed.state == "failed" and failed.problem is not None
    assert failed.answer == {"glb_to_simready": 1}, "the last good answer stays readable"


def test_another_process_sees_changes_at_once(store: Store, tmp_path: Path) -> None:
    job = store.insert_job(Job(service="rigyd", name="a"))
    before = store.data_version()
    code = (
        "import sys; from pathlib import Path; from bridge.store import Store;"
        "s=Store.open(Path(sys.argv[1])); s.update_job(sys.argv[2], name='from outside')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path), job.id], cwd=ROOT, check=True)
    assert store.data_version() != before
    changed = store.job(job.id)
    assert changed is not None and changed.name == "from outside"


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        job = store.insert_job(Job(service="rigyd", name="a"))

    def write() -> None:
        with Store.open(tmp_path) as own:
            for _ in range(50):
                own.update_job(job.id, state_text="x")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store.open(tmp_path) as store:
        assert store.revision() == job.revision + 200


def test_the_panel_never_waits_for_a_writer(store: Store, tmp_path: Path) -> None:
    """With 20 ms of patience a reader still reads while somebody writes; a writer gives up."""
    job = store.insert_job(Job(service="rigyd", name="a"))
    writer = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        with Store.open(tmp_path, busy_ms=20) as panel:
            assert panel.jobs()[0].id == job.id
            with pytest.raises(sqlite3.OperationalError):
                panel.update_job(job.id, name="b")
    finally:
        writer.execute("ROLLBACK")
        writer.close()


def test_a_damaged_or_foreign_store_is_a_clear_problem(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is not a database" * 100)
    with pytest.raises(ProblemError) as caught:
        Store.open(tmp_path)
    assert caught.value.problem.category is Category.DISK
    assert "job folders stay" in caught.value.problem.hint
    newer = tmp_path / "newer"
    newer.mkdir()
    db = sqlite3.connect(newer / FILE_NAME)
    db.execute("PRAGMA user_version=2000")
    db.close()
    with pytest.raises(ProblemError) as caught:
        Store.open(newer)
    assert "another version" in caught.value.problem.sentence


def test_a_newer_minor_schema_is_read(store: Store, tmp_path: Path) -> None:
    job = store.insert_job(Job(service="rigyd", name="a"))
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.execute("ALTER TABLE jobs ADD COLUMN colour TEXT DEFAULT 'red'")
    db.execute("UPDATE jobs SET state='dreaming'")
    db.execute("PRAGMA user_version=1007")
    db.commit()
    db.close()
    with Store.open(tmp_path) as later:
        read = later.job(job.id)
    assert read is not None and read.state is State.WAITING and read.state_text == "dreaming"
    assert read.due_at > 4e9 - 1, "a worker of this version leaves it alone"


def test_a_failed_commit_leaves_nothing_half_done(tmp_path: Path) -> None:
    """Where WAL does not work (a network drive), a reader can make a commit fail."""
    Store.open(tmp_path).close()
    reader = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    reader.execute("PRAGMA journal_mode=DELETE")
    try:
        with Store.open(tmp_path, busy_ms=20) as store:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM jobs").fetchall()
            with pytest.raises(sqlite3.OperationalError):
                store.insert_job(Job(service="rigyd", name="refused"))
            reader.execute("ROLLBACK")
            store.insert_job(Job(service="rigyd", name="durable"))
            names = reader.execute("SELECT name FROM jobs").fetchall()
    finally:
        reader.close()
    assert names == [("durable",)]


def test_a_full_disk_is_told_as_such(store: Store) -> None:
    database = store._db
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.insert_job(Job(service="rigyd", name="x" * 200_000))
    database.execute("PRAGMA max_page_count=100000")
    assert store.insert_job(Job(service="rigyd", name="a")).revision > 0
    assert [job.name for job in store.jobs()] == ["a"]


def test_a_store_of_the_first_schema_gains_what_came_later(tmp_path: Path) -> None:
    job = Job("rigyd", "old")
    with Store.open(tmp_path) as store:
        store.insert_job(job)
    db = sqlite3.connect(tmp_path / "courier.sqlite")
    db.execute("ALTER TABLE jobs DROP COLUMN report")
    db.execute("PRAGMA user_version=1000")
    db.close()
    with Store.open(tmp_path) as store:
        assert store.job(job.id).report == {}
        assert store.update_job(job.id, report={"frames": {"count": 3}}).report["frames"]
    with Store.open(tmp_path) as store:
        assert store.job(job.id).report == {"frames": {"count": 3}}
