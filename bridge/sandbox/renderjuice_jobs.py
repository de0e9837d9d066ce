# SPDX-License-Identifier: GPL-3.0-or-later
"""What Renderjuice's database would hold: uploads, jobs and small settings, in one SQLite file.

A job's ``doc`` is what the service shows of it, ``private`` what only the sandbox knows. Where a
job truly stands is ``private["phase"]``; the status that is shown may be another for a while
(``debugging`` and ``suspended``, which no documentation explains).
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .jobs import now_iso

# Renderjuice docs, Create job: the enum; and Job lifecycle: which are ends.
STATUSES = (
    "created", "validating", "validated", "debugging", "rendering", "finalizing", "completed",
    "failed", "canceled", "booting", "suspended",
)  # fmt: skip
ENDS = ("completed", "failed", "canceled")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS uploads (
    slug TEXT PRIMARY KEY,
    created_at REAL NOT NULL,
    doc TEXT NOT NULL            -- name, kind, bytes (once they came), jobs
);
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    phase TEXT NOT NULL,
    changed_at REAL NOT NULL,
    doc TEXT NOT NULL,
    private TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_phase ON jobs (phase);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_SELECT = "SELECT seq, id, phase, changed_at, doc, private FROM jobs"


@dataclass
class Render:
    """One job."""

    seq: int
    id: str
    phase: str
    changed_at: float
    doc: dict[str, Any]
    private: dict[str, Any]

    @property
    def status(self) -> str:
        """The status that is shown."""
        return str(self.doc["status"])

    @property
    def ended(self) -> bool:
        """Whether the job is at one of its ends."""
        return self.phase in ENDS

    def move(self, phase: str) -> None:
        """Go to another phase and show it as the status."""
        self.phase = phase
        self.doc["status"] = phase


class RenderStore:
    """Uploads and jobs. All methods may be called from any thread."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._lock = threading.RLock()
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        for name in ("workspace_id", "user_id"):
            self._db.execute(
                "INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, str(uuid.uuid4()))
            )

    def close(self) -> None:
        """Close the file; the store is unusable afterwards."""
        with self._lock:
            self._db.close()

    def setting(self, name: str, default: str = "") -> str:
        """A stored text."""
        with self._lock:
            row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else str(row[0])

    def set_setting(self, name: str, value: str) -> None:
        """Store a text."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    @property
    def paid_submits(self) -> int:
        """How many renders were ever started; survives restarts and the removal of old jobs."""
        return int(self.setting("paid_submits", "0"))

    # -- uploads -------------------------------------------------------------------------------

    def add_upload(self, name: str, kind: str) -> str:
        """A place for a file's bytes; its slug."""
        slug = f"{kind}-{secrets.token_hex(12)}"
        doc: dict[str, Any] = {"name": name, "kind": kind, "bytes": None, "jobs": []}
        with self._lock:
            self._db.execute(
                "INSERT INTO uploads VALUES (?, ?, ?)", (slug, self._clock(), json.dumps(doc))
            )
        return slug

    def upload(self, slug: str) -> dict[str, Any] | None:
        """An upload: {"name", "kind", "bytes" (None until they came), "jobs"}."""
        with self._lock:
            row = self._db.execute("SELECT doc FROM uploads WHERE slug = ?", (slug,)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def change_upload(self, slug: str, **values: Any) -> None:
        """Set keys of an upload."""
        with self._transaction():
            doc = {**(self.upload(slug) or {}), **values}
            self._db.execute("UPDATE uploads SET doc = ? WHERE slug = ?", (json.dumps(doc), slug))

    def unused_uploads(self, before: float) -> list[str]:
        """Slugs that were made before a moment (unix seconds) and that no job has used."""
        with self._lock:
            rows = self._db.execute(
                "SELECT slug, doc FROM uploads WHERE created_at < ?", (before,)
            ).fetchall()
        return [slug for slug, doc in rows if not json.loads(doc)["jobs"]]

    def remove_upload(self, slug: str) -> None:
        """Forget an upload."""
        with self._lock:
            self._db.execute("DELETE FROM uploads WHERE slug = ?", (slug,))

    # -- jobs ----------------------------------------------------------------------------------

    def create(self, slug: str, doc: dict[str, Any], private: dict[str, Any]) -> Render:
        """A job in ``created``, made from an upload."""
        moment = now_iso()
        with self._transaction():
            identifier = str(uuid.uuid4())
            full = {
                "id": identifier,
                "status": "created",
                "workspaceId": self.setting("workspace_id"),
                "createdAt": moment,
                "updatedAt": moment,
                "userId": self.setting("user_id"),
                **doc,
            }
            upload = self.upload(slug) or {}
            self.change_upload(slug, jobs=[*upload.get("jobs", []), identifier])
            cursor = self._db.execute(
                "INSERT INTO jobs (id, status, phase, changed_at, doc, private) "
                "VALUES (?, 'created', 'created', ?, ?, ?)",
                (identifier, self._clock(), json.dumps(full), json.dumps(private)),
            )
            assert cursor.lastrowid is not None
            return Render(cursor.lastrowid, identifier, "created", self._clock(), full, private)

    def get(self, identifier: str) -> Render | None:
        """A job by its id."""
        with self._lock:
            row = self._db.execute(f"{_SELECT} WHERE id = ?", (identifier,)).fetchone()
        return None if row is None else _render(row)

    def page(
        self, page: int, size: int, *, status: str = "", oldest: bool = False
    ) -> tuple[list[Render], int]:
        """One page (from 1), newest first unless told, and the number of all that fit."""
        where, values = ("WHERE status = ?", [status]) if status else ("", [])
        order = "ASC" if oldest else "DESC"
        with self._lock:
            rows = self._db.execute(
                f"{_SELECT} {where} ORDER BY seq {order} LIMIT ? OFFSET ?",
                [*values, size, (page - 1) * size],
            ).fetchall()
            total = self._db.execute(f"SELECT COUNT(*) FROM jobs {where}", values).fetchone()[0]
        return [_render(row) for row in rows], int(total)

    def in_phase(self, *phases: str) -> list[Render]:
        """Jobs in these phases, oldest first."""
        marks = ", ".join("?" * len(phases))
        with self._lock:
            rows = self._db.execute(
                f"{_SELECT} WHERE phase IN ({marks}) ORDER BY seq", phases
            ).fetchall()
        return [_render(row) for row in rows]

    def change(
        self, identifier: str, change: Callable[[Render], Any], *, ended: bool = False
    ) -> Render | None:
        """Apply ``change`` to the job in one transaction.

        None, with nothing changed, when the job is not there, when it is at its end already (unless
        ``ended``), or when ``change`` returns False.
        """
        with self._transaction():
            record = self.get(identifier)
            if record is None or (record.ended and not ended) or change(record) is False:
                return None
            record.doc["updatedAt"] = now_iso()
            record.changed_at = self._clock()
            self._db.execute(
                "UPDATE jobs SET status = ?, phase = ?, changed_at = ?, doc = ?, private = ? "
                "WHERE id = ?",
                (
                    record.status,
                    record.phase,
                    record.changed_at,
                    json.dumps(record.doc),
                    json.dumps(record.private),
                    identifier,
                ),
            )
            return record

    def count_start(self) -> None:
        """One more render was started."""
        with self._transaction():
            self.set_setting("paid_submits", str(self.paid_submits + 1))

    def remove(self, identifier: str) -> None:
        """Forget a job."""
        with self._lock:
            self._db.execute("DELETE FROM jobs WHERE id = ?", (identifier,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One transaction; within another it is part of that one."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _render(row: tuple[Any, ...]) -> Render:
    seq, identifier, phase, changed_at, doc, private = row
    return Render(seq, identifier, phase, changed_at, json.loads(doc), json.loads(private))
