# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's own job store: what a vendor's database would hold, in one SQLite file.

Jobs, a pretend credit balance and small settings. A job's credit is held when it is accepted,
spent when it completes and given back once when it fails; each move happens in the transaction
that changes the job. This is not the bridge's job store and shares nothing with it.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import string
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

UNFINISHED = ("submitting", "preprocessing", "queued", "running")
_ALPHABET = string.ascii_lowercase + string.digits
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    price INTEGER NOT NULL,
    credit TEXT NOT NULL,        -- held, spent, refunded
    finished_at REAL,
    doc TEXT NOT NULL,           -- the fields that the service shows
    private TEXT NOT NULL        -- file names, asset tokens, faults: never shown
);
CREATE INDEX IF NOT EXISTS jobs_status ON jobs (status);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class CreditsShort(Exception):
    """The balance does not cover the price."""


@dataclass
class Record:
    """One job. ``doc`` is what the service shows of it, ``private`` what only the sandbox knows."""

    seq: int
    id: str
    status: str
    price: int
    credit: str
    finished_at: float | None
    doc: dict[str, Any]
    private: dict[str, Any]


def random_id(length: int = 24) -> str:
    """An id of lower-case letters and digits, as the service makes them."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def now_iso() -> str:
    """The present as the service writes it: UTC, milliseconds, "Z"."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JobStore:
    """Jobs and credits of one service. All methods may be called from any thread."""

    def __init__(self, path: Path, credits: int) -> None:
        self._lock = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._db.execute("INSERT OR IGNORE INTO settings VALUES ('credits', ?)", (str(credits),))
        self._db.execute("INSERT OR IGNORE INTO settings VALUES ('paid_submits', '0')")

    def close(self) -> None:
        """Close the file; the store is unusable afterwards."""
        with self._lock:
            self._db.close()

    # -- settings and credits ------------------------------------------------------------------

    def setting(self, name: str) -> int | None:
        """A stored whole number, or None."""
        with self._lock:
            row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def set_setting(self, name: str, value: int) -> None:
        """Store a whole number."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, str(value)))

    @property
    def credits(self) -> int:
        """The balance that is left: held credits are already taken off."""
        return self.setting("credits") or 0

    @property
    def paid_submits(self) -> int:
        """How many jobs were ever accepted; survives restarts and the removal of old jobs."""
        return self.setting("paid_submits") or 0

    def _add(self, name: str, amount: int) -> None:
        self._db.execute(
            "UPDATE settings SET value = CAST(value AS INTEGER) + ? WHERE name = ?", (amount, name)
        )

    # -- jobs ----------------------------------------------------------------------------------

    def accept(self, price: int, doc: dict[str, Any], private: dict[str, Any]) -> Record:
        """Hold the price and create the job, both or neither. Raises CreditsShort."""
        with self._transaction():
            if self.credits < price:
                raise CreditsShort()
            self._add("credits", -price)
            self._add("paid_submits", 1)
            identifier = random_id()
            moment = now_iso()
            full = {"id": identifier, **doc, "createdAt": moment, "updatedAt": moment}
            cursor = self._db.execute(
                "INSERT INTO jobs (id, status, price, credit, doc, private) "
                "VALUES (?, ?, ?, 'held', ?, ?)",
                (identifier, full["status"], price, json.dumps(full), json.dumps(private)),
            )
            assert cursor.lastrowid is not None
            return Record(
                cursor.lastrowid, identifier, full["status"], price, "held", None, full, private
            )

    def get(self, identifier: str) -> Record | None:
        """A job by its id."""
        with self._lock:
            row = self._db.execute(f"{_SELECT} WHERE id = ?", (identifier,)).fetchone()
        return None if row is None else _record(row)

    def page(self, page: int, size: int) -> tuple[list[Record], int]:
        """One page (from 1), newest first, and the number of all jobs."""
        with self._lock:
            rows = self._db.execute(
                f"{_SELECT} ORDER BY seq DESC LIMIT ? OFFSET ?", (size, (page - 1) * size)
            ).fetchall()
            total = self._db.execute("SELECT COUNT(*) FROM jobs").fetchone()[0]
        return [_record(row) for row in rows], int(total)

    def unfinished(self) -> list[Record]:
        """Jobs that are not at an end, oldest first."""
        marks = ", ".join("?" * len(UNFINISHED))
        with self._lock:
            rows = self._db.execute(
                f"{_SELECT} WHERE status IN ({marks}) ORDER BY seq", UNFINISHED
            ).fetchall()
        return [_record(row) for row in rows]

    def finished(self) -> list[Record]:
        """Jobs at their end, oldest first."""
        with self._lock:
            rows = self._db.execute(
                f"{_SELECT} WHERE finished_at IS NOT NULL ORDER BY seq"
            ).fetchall()
        return [_record(row) for row in rows]

    def change(
        self, identifier: str, change: Callable[[Record], None], *, finished_at: float | None = None
    ) -> Record | None:
        """Apply ``change`` to the job in one transaction; None when it is already at its end.

        With ``finished_at`` (unix seconds) the job ends: a held credit is spent when its status
        is then "completed", else given back. A job that has ended never changes again, so no
        credit is ever given back twice.
        """
        with self._transaction():
            record = self.get(identifier)
            if record is None or record.finished_at is not None:
                return None
            change(record)
            record.status = record.doc["status"]
            record.doc["updatedAt"] = now_iso()
            if finished_at is not None:
                record.finished_at = finished_at
                if record.credit == "held":
                    record.credit = "spent" if record.status == "completed" else "refunded"
                    if record.credit == "refunded":
                        self._add("credits", record.price)
            self._db.execute(
                "UPDATE jobs SET status = ?, credit = ?, finished_at = ?, doc = ?, private = ? "
                "WHERE id = ?",
                (
                    record.status,
                    record.credit,
                    record.finished_at,
                    json.dumps(record.doc),
                    json.dumps(record.private),
                    identifier,
                ),
            )
            return record

    def remove(self, identifier: str) -> None:
        """Forget a job."""
        with self._lock:
            self._db.execute("DELETE FROM jobs WHERE id = ?", (identifier,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


_SELECT = "SELECT seq, id, status, price, credit, finished_at, doc, private FROM jobs"


def _record(row: tuple[Any, ...]) -> Record:
    seq, identifier, status, price, credit, finished_at, doc, private = row
    return Record(
        seq, identifier, status, price, credit, finished_at, json.loads(doc), json.loads(private)
    )
