# SPDX-License-Identifier: GPL-3.0-or-later
"""The job store: the one contract between Blender, the worker and the command line.

A SQLite file in the data folder. Every change of a job raises one counter, the revision, so that a
reader asks "what changed since N?" and gets an answer in microseconds when nothing did.

It never holds a key or a presigned URL. A connection belongs to the thread that opened it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .jobs import Job, Request, State, Step, StepKind
from .problems import Category, Problem, ProblemError
from .rows import ADDED, JOB_FIELDS, TABLES, encode, to_job, to_request, to_row, to_step

FILE_NAME = "courier.sqlite"
# A reader accepts newer minor schemas (added columns and tables), never another major one.
SCHEMA_MAJOR, SCHEMA_MINOR = 1, 1


class Store:
    """An open connection to the job store. Use ``Store.open``; close it when done."""

    def __init__(self, connection: sqlite3.Connection, home: Path) -> None:
        self._db = connection
        self.home = home

    @classmethod
    def open(cls, home: Path, *, busy_ms: int = 5000) -> Store:
        """Open (or make) the store in the data folder ``home``.

        ``busy_ms`` bounds how long a call waits for another writer; Blender's main thread passes
        20 and shows what it had. Raises ProblemError(DISK) when the file cannot be used, and
        ProblemError(INTERNAL) when a later major version of Scene Courier wrote it.
        """
        path = home / FILE_NAME
        try:
            db = sqlite3.connect(path, timeout=busy_ms / 1000, isolation_level=None)
            try:
                db.row_factory = sqlite3.Row
                store = cls(db, home)
                store._prepare(busy_ms)
            except BaseException:
                db.close()
                raise
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise
            raise _unusable(path, error) from None
        except sqlite3.DatabaseError as error:
            raise _unusable(path, error) from None
        return store

    def _prepare(self, busy_ms: int) -> None:
        self._db.execute(f"PRAGMA busy_timeout={int(busy_ms)}")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        major, minor = divmod(version, 1000)
        if version and major != SCHEMA_MAJOR:
            raise ProblemError(
                Category.INTERNAL,
                "The job list was written by another version of Scene Courier.",
                "Update Scene Courier in every Blender that you use.",
                f"schema {major}.{minor}, expected {SCHEMA_MAJOR}.x",
            )
        if version < SCHEMA_MAJOR * 1000 + SCHEMA_MINOR:
            # WAL lets Blender read while the worker writes. SQLite itself falls back to a
            # rollback journal where shared memory does not work (network drives).
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError:
                self._db.execute("PRAGMA journal_mode=DELETE")
            with _Transaction(self._db):
                self._make_tables()
        self._db.execute("PRAGMA synchronous=FULL")

    def _make_tables(self) -> None:
        """Make what is missing: all tables, or what a newer minor schema added."""
        for statement in TABLES.split(";"):
            if statement.strip():
                self._db.execute(statement)
        for table, column in ADDED:
            known = {row["name"] for row in self._db.execute(f"PRAGMA table_info({table})")}
            if column.partition(" ")[0] not in known:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
        self._db.execute(f"PRAGMA user_version={SCHEMA_MAJOR * 1000 + SCHEMA_MINOR}")

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def together(self) -> _Transaction:
        """``with store.together():`` makes several changes one: all of them or none."""
        return _Transaction(self._db)

    # -- jobs ------------------------------------------------------------------------------------

    def insert_job(self, job: Job) -> Job:
        """Add a job; it is durable when this returns."""
        with _Transaction(self._db):
            job.revision = self._next_revision()
            row = to_row(job)
            marks = ",".join("?" * len(row))
            self._db.execute(
                f"INSERT INTO jobs ({','.join(row)}) VALUES ({marks})", [*row.values()]
            )
        return job

    def job(self, job_id: str) -> Job | None:
        """The job with exactly this id, or None."""
        row = self._db.execute("SELECT * FROM jobs WHERE id=?", (job_id,)).fetchone()
        return to_job(row) if row else None

    def find(self, prefix: str) -> Job:
        """The one job whose id begins with ``prefix``; ProblemError(INPUT) when not exactly one."""
        pattern = prefix.lower().replace("%", "").replace("_", "") + "%"
        rows = self._db.execute("SELECT * FROM jobs WHERE id LIKE ? LIMIT 2", (pattern,)).fetchall()
        if len(rows) == 1 and pattern != "%":
            return to_job(rows[0])
        more = "fits several jobs" if len(rows) > 1 else "is not in the list"
        raise ProblemError(
            Category.INPUT,
            f"The job “{prefix}” {more}.",
            "“scene-courier jobs” lists all jobs with their ids.",
        )

    def jobs(self) -> list[Job]:
        """All jobs, newest first."""
        rows = self._db.execute("SELECT * FROM jobs ORDER BY created_at DESC, id").fetchall()
        return [to_job(row) for row in rows]

    def open_jobs(self) -> list[Job]:
        """Jobs that have not ended, oldest first."""
        ended = [state.value for state in State if state.terminal]
        rows = self._db.execute(
            "SELECT * FROM jobs WHERE state NOT IN (?,?,?) ORDER BY created_at, id", ended
        ).fetchall()
        return [to_job(row) for row in rows]

    def jobs_about(self, service: str, remote_ids: Iterable[str]) -> list[Job]:
        """A service's jobs that have not ended and that know one of these ids of the service.

        As their own, or in what their steps, their report or the last answer hold; oldest first.
        """
        ended = [state.value for state in State if state.terminal]
        found: dict[str, Job] = {}
        for remote_id in dict.fromkeys(remote_ids):
            if not remote_id:
                continue
            text = json.dumps(remote_id)  # as it stands in JSON, quotes included
            rows = self._db.execute(
                "SELECT * FROM jobs WHERE service=? AND state NOT IN (?,?,?) AND (remote_id=? "
                "OR instr(report,?) OR instr(remote,?) OR EXISTS (SELECT 1 FROM steps "
                "WHERE job_id=jobs.id AND instr(answer,?)))",
                (service, *ended, remote_id, text, text, text),
            )
            found |= {row["id"]: to_job(row) for row in rows}
        return sorted(found.values(), key=lambda job: (job.created_at, job.id))

    def update_job(self, job_id: str, **changes: Any) -> Job:
        """Change fields of a job, durably, and raise the revision. KeyError if it is not there."""
        with _Transaction(self._db):
            return self._update(job_id, changes)

    def update_job_if(self, job_id: str, states: tuple[State, ...], **changes: Any) -> Job | None:
        """Like ``update_job``, but only while the job is in one of ``states``; else None."""
        with _Transaction(self._db):
            job = self.job(job_id)
            return self._update(job_id, changes) if job and job.state in states else None

    def _update(self, job_id: str, changes: dict[str, Any]) -> Job:
        unknown = set(changes) - set(JOB_FIELDS)
        if unknown or not changes:
            raise TypeError(f"not fields of a job: {sorted(unknown)}")
        values = {name: encode(name, value) for name, value in changes.items()}
        values["updated_at"] = time.time()
        values["revision"] = self._next_revision()
        sets = ",".join(f"{name}=?" for name in values)
        done = self._db.execute(f"UPDATE jobs SET {sets} WHERE id=?", [*values.values(), job_id])
        if done.rowcount != 1:
            raise KeyError(job_id)
        job = self.job(job_id)
        assert job is not None
        return job

    def forget_job(self, job_id: str) -> None:
        """Remove a job and its steps from the store; its files are the caller's business."""
        with _Transaction(self._db):
            revision = self._next_revision()
            self._db.execute("DELETE FROM jobs WHERE id=?", (job_id,))
            self._db.execute("DELETE FROM steps WHERE job_id=?", (job_id,))
            self._db.execute("INSERT OR REPLACE INTO forgotten VALUES (?,?)", (job_id, revision))

    # -- what changed ----------------------------------------------------------------------------

    def data_version(self) -> int:
        """A number that differs when another connection has committed; costs microseconds."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def revision(self) -> int:
        """The revision of the newest change."""
        row = self._db.execute("SELECT value FROM meta WHERE key='revision'").fetchone()
        return int(row[0])

    def changed_since(
        self, revision: int, *, limit: int | None = None
    ) -> tuple[int, list[Job], list[str]]:
        """(newest revision, jobs changed after ``revision``, ids forgotten after it).

        With ``limit`` at most that many jobs, oldest change first; the revision that is returned
        is then the last one taken over, and the next call goes on from there.
        """
        self._db.execute("BEGIN")
        try:
            newest = self.revision()
            if newest == revision:
                return newest, [], []
            rows = self._db.execute(
                "SELECT * FROM jobs WHERE revision>? ORDER BY revision LIMIT ?",
                (revision, -1 if limit is None else limit),
            ).fetchall()
            if limit is not None and len(rows) == limit:
                newest = rows[-1]["revision"]
            gone = self._db.execute(
                "SELECT id FROM forgotten WHERE revision>? AND revision<=?", (revision, newest)
            )
            return newest, [to_job(row) for row in rows], [row[0] for row in gone]
        finally:
            self._db.execute("COMMIT")

    def _next_revision(self) -> int:
        self._db.execute("UPDATE meta SET value=CAST(value AS INTEGER)+1 WHERE key='revision'")
        return self.revision()

    # -- steps -----------------------------------------------------------------------------------

    def step(self, job_id: str, name: str) -> Step | None:
        """The remembered step, or None when it never began."""
        row = self._db.execute(
            "SELECT * FROM steps WHERE job_id=? AND name=?", (job_id, name)
        ).fetchone()
        return to_step(row) if row else None

    def steps(self, job_id: str) -> list[Step]:
        """All steps of a job in the order in which they began."""
        rows = self._db.execute(
            "SELECT * FROM steps WHERE job_id=? ORDER BY started_at, rowid", (job_id,)
        ).fetchall()
        return [to_step(row) for row in rows]

    def begin_step(self, job_id: str, name: str, kind: StepKind) -> Step:
        """Note that a step is about to run (again); it counts the attempts."""
        with _Transaction(self._db):
            self._db.execute(
                "INSERT INTO steps VALUES (?,?,?,'started',NULL,1,?,NULL) "
                "ON CONFLICT (job_id, name) DO UPDATE SET status='started', answer=NULL, "
                "attempt=attempt+1, started_at=excluded.started_at, finished_at=NULL",
                (job_id, name, kind.value, time.time()),
            )
        step = self.step(job_id, name)
        assert step is not None
        return step

    def mark_step(self, job_id: str, name: str, status: str, **job_changes: Any) -> None:
        """Set a step's status ("body_complete"), together with changes of its job."""
        with _Transaction(self._db):
            self._db.execute(
                "UPDATE steps SET status=? WHERE job_id=? AND name=?", (status, job_id, name)
            )
            if job_changes:
                self._update(job_id, job_changes)

    def finish_step(self, job_id: str, name: str, answer: Any, **job_changes: Any) -> None:
        """Keep a step's answer and move the job on, in one transaction."""
        with _Transaction(self._db):
            self._db.execute(
                "UPDATE steps SET status='done', answer=?, finished_at=? WHERE job_id=? AND name=?",
                (json.dumps(answer), time.time(), job_id, name),
            )
            if job_changes:
                self._update(job_id, job_changes)

    def drop_steps(self, job_id: str, names: list[str]) -> None:
        """Forget the named steps, so that a retried job runs them again."""
        with _Transaction(self._db):
            for name in names:
                self._db.execute("DELETE FROM steps WHERE job_id=? AND name=?", (job_id, name))

    # -- requests --------------------------------------------------------------------------------

    def ask(self, kind: str, args: dict[str, Any], max_age: float = 300.0) -> Request:
        """The answer to a question if it is younger than ``max_age`` seconds; else ask (again).

        An old answer stays readable in ``answer`` while the new one is awaited.
        """
        text = json.dumps(args, sort_keys=True)
        known = self.request(kind, args)
        if known and (known.state == "pending" or known.age < max_age):
            return known
        with _Transaction(self._db):
            revision = self._next_revision()
            self._db.execute(
                "INSERT INTO requests (kind, args, state, asked_at, revision) "
                "VALUES (?,?,'pending',?,?) ON CONFLICT (kind, args) DO UPDATE SET "
                "state='pending', problem=NULL, asked_at=excluded.asked_at, "
                "revision=excluded.revision",
                (kind, text, time.time(), revision),
            )
        request = self.request(kind, args)
        assert request is not None
        return request

    def request(self, kind: str, args: dict[str, Any]) -> Request | None:
        """The question as it stands, or None if it was never asked."""
        row = self._db.execute(
            "SELECT * FROM requests WHERE kind=? AND args=?",
            (kind, json.dumps(args, sort_keys=True)),
        ).fetchone()
        return to_request(row) if row else None

    def pending_requests(self) -> list[Request]:
        """Questions that wait for the worker, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM requests WHERE state='pending' ORDER BY asked_at"
        ).fetchall()
        return [to_request(row) for row in rows]

    def answer(self, request_id: int, answer: Any = None, problem: Problem | None = None) -> None:
        """The worker's answer: data, or a problem."""
        state = "failed" if problem else "answered"
        text = json.dumps(problem.to_dict()) if problem else None
        with _Transaction(self._db):
            revision = self._next_revision()
            self._db.execute(
                "UPDATE requests SET state=?, answer=COALESCE(?,answer), problem=?, answered_at=?, "
                "revision=? WHERE id=?",
                (
                    state,
                    None if problem else json.dumps(answer),
                    text,
                    time.time(),
                    revision,
                    request_id,
                ),
            )

    # -- settings shared by all processes --------------------------------------------------------

    def setting(self, name: str, default: Any = None) -> Any:
        """A value that all processes share (never a secret)."""
        row = self._db.execute("SELECT value FROM meta WHERE key=?", (f"set:{name}",)).fetchone()
        return json.loads(row[0]) if row else default

    def set_setting(self, name: str, value: Any) -> None:
        """Keep a JSON-able value for all processes; nothing is written when it is the same."""
        if self.setting(name, _MISSING) == value:
            return
        with _Transaction(self._db):
            self._db.execute(
                "INSERT OR REPLACE INTO meta VALUES (?,?)", (f"set:{name}", json.dumps(value))
            )
            self._next_revision()


_MISSING = object()


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT; a nested use joins the outer one."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._outer = False

    def __enter__(self) -> None:
        self._outer = not self._db.in_transaction
        if self._outer:
            self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_exc: object) -> None:
        if not self._outer:
            return
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            # A commit that failed (a reader of a rollback journal, a full disk) stays open, and
            # later changes would silently become part of it. SQLite itself may have rolled back.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


def _unusable(path: Path, error: Exception) -> ProblemError:
    return ProblemError(
        Category.DISK,
        "The job list cannot be opened.",
        f"Check that “{path.parent}” is writable and has free space; if the file is damaged, "
        "move it away and start again: job folders stay where they are.",
        f"{path}: {error}",
    )
