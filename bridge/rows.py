# SPDX-License-Identifier: GPL-3.0-or-later
"""How jobs, steps and questions lie in SQLite: the tables, and rows to and from plain data."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import fields
from typing import Any

from .jobs import Job, Request, Result, State, Step, StepKind
from .problems import Problem

_JSON_FIELDS = ("remote", "options", "origin", "notes", "results", "problem", "report")
JOB_FIELDS = tuple(f.name for f in fields(Job))
TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, service TEXT NOT NULL, name TEXT NOT NULL, account TEXT NOT NULL,
    base_url TEXT NOT NULL, key_print TEXT NOT NULL, source TEXT NOT NULL, state TEXT NOT NULL,
    state_text TEXT NOT NULL, waiting_reason TEXT NOT NULL, phase_done REAL NOT NULL,
    phase_total REAL NOT NULL, phase_unit TEXT NOT NULL, rate REAL NOT NULL,
    remote_id TEXT NOT NULL, remote TEXT NOT NULL, options TEXT NOT NULL,
    input_kind TEXT NOT NULL, input_path TEXT NOT NULL, results_dir TEXT NOT NULL,
    results TEXT NOT NULL, problem TEXT, price REAL, approved_credits REAL, credits_charged REAL,
    cancel_requested INTEGER NOT NULL, origin TEXT NOT NULL, imported_at REAL,
    group_id TEXT NOT NULL, notes TEXT NOT NULL, report TEXT NOT NULL DEFAULT '{}',
    created_at REAL NOT NULL, updated_at REAL NOT NULL, due_at REAL NOT NULL,
    revision INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_revision ON jobs (revision);
CREATE INDEX IF NOT EXISTS jobs_created ON jobs (created_at);
CREATE TABLE IF NOT EXISTS forgotten (id TEXT PRIMARY KEY, revision INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS steps (
    job_id TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL,
    answer TEXT, attempt INTEGER NOT NULL, started_at REAL NOT NULL, finished_at REAL,
    PRIMARY KEY (job_id, name));
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, args TEXT NOT NULL,
    state TEXT NOT NULL, answer TEXT, problem TEXT, asked_at REAL NOT NULL, answered_at REAL,
    revision INTEGER NOT NULL, UNIQUE (kind, args));
INSERT OR IGNORE INTO meta VALUES ('revision', '0');
"""
#: columns that minor schemas after 1.0 added: (table, column)
ADDED = (("jobs", "report TEXT NOT NULL DEFAULT '{}'"),)
_NEVER = 4e9  # Unix seconds, in the year 2096


def encode(name: str, value: Any) -> Any:
    """A field of a job as SQLite takes it."""
    if name == "results":
        return json.dumps([result.to_dict() for result in value])
    if name == "problem":
        return json.dumps(value.to_dict()) if value is not None else None
    if name in _JSON_FIELDS:
        return json.dumps(value)
    if isinstance(value, State):
        return value.value
    return int(value) if isinstance(value, bool) else value


def to_row(job: Job) -> dict[str, Any]:
    """A job as column names and values."""
    return {name: encode(name, getattr(job, name)) for name in JOB_FIELDS}


def to_job(row: sqlite3.Row) -> Job:
    """A row of ``jobs``; columns that this version does not know are left alone."""
    known = set(row.keys())
    values = {name: row[name] for name in JOB_FIELDS if name in known}
    for name in ("remote", "options", "origin", "notes", "report"):
        if name in values:
            values[name] = json.loads(values[name])
    values["results"] = [Result(**result) for result in json.loads(values["results"])]
    problem = values["problem"]
    values["problem"] = Problem.from_dict(json.loads(problem)) if problem else None
    values["cancel_requested"] = bool(values["cancel_requested"])
    try:
        values["state"] = State(values["state"])
    except ValueError:
        # A newer version's state: show it, leave it to that version's worker.
        values["state_text"] = str(values["state"])
        values["state"] = State.WAITING
        values["due_at"] = _NEVER
    return Job(**values)


def to_step(row: sqlite3.Row) -> Step:
    """A row of ``steps``."""
    return Step(
        job_id=row["job_id"],
        name=row["name"],
        kind=StepKind(row["kind"]),
        status=row["status"],
        answer=json.loads(row["answer"]) if row["answer"] is not None else None,
        attempt=row["attempt"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def to_request(row: sqlite3.Row) -> Request:
    """A row of ``requests``."""
    return Request(
        id=row["id"],
        kind=row["kind"],
        args=json.loads(row["args"]),
        state=row["state"],
        answer=json.loads(row["answer"]) if row["answer"] is not None else None,
        problem=Problem.from_dict(json.loads(row["problem"])) if row["problem"] else None,
        asked_at=row["asked_at"],
        answered_at=row["answered_at"],
    )
