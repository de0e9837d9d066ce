# SPDX-License-Identifier: GPL-3.0-or-later
"""What Glossi's database would hold: models, projects, both kinds of jobs, the webhook setting.

Everything is in one SQLite file. A record's ``doc`` is what the service knows of it, ``private``
what only the sandbox does (files, fates of the fault plan). ``state`` is where it truly stands;
what is shown may be another for a while (``private["shown"]``).

    model   UPLOADING (shown as PENDING) -> PENDING, once confirmed -> ANALYZING -> READY | FAILED
    job     AWAITING_UPLOADS -> PROCESSING -> CREATING_PROJECTS -> RENDERING -> COMPLETE | FAILED
    project PENDING
    render  QUEUED -> RENDERING -> COMPLETED | FAILED
"""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UPLOADING = "UPLOADING"
MODEL, JOB, PROJECT, RENDER = "model", "job", "project", "render"
ENDS = {MODEL: ("READY", "FAILED"), JOB: ("COMPLETE", "FAILED"), PROJECT: (),
        RENDER: ("COMPLETED", "FAILED")}  # fmt: skip
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    changed_at REAL NOT NULL,
    doc TEXT NOT NULL,
    private TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS records_state ON records (kind, state);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_SELECT = "SELECT seq, kind, id, state, changed_at, doc, private FROM records"


@dataclass
class Record:
    """A model, a project or a job of either kind."""

    seq: int
    kind: str
    id: str
    state: str
    changed_at: float
    doc: dict[str, Any]
    private: dict[str, Any]

    @property
    def ended(self) -> bool:
        """Whether it came to one of its ends."""
        return self.state in ENDS[self.kind]

    @property
    def status(self) -> str:
        """The status that is shown."""
        # A model that was not confirmed is not known by another word.
        state = "PENDING" if self.state == UPLOADING else self.state
        return str(self.private.get("shown") or state)


class GlossiStore:
    """All records. All methods may be called from any thread."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._lock = threading.RLock()
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._db.execute(
            "INSERT OR IGNORE INTO settings VALUES ('workspace', ?)",
            (json.dumps(str(uuid.uuid4())),),
        )

    def close(self) -> None:
        """Close the file; the store is unusable afterwards."""
        with self._lock:
            self._db.close()

    def setting(self, name: str, default: Any = None) -> Any:
        """A stored value."""
        with self._lock:
            row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else json.loads(row[0])

    def set_setting(self, name: str, value: Any) -> None:
        """Store a value (JSON-able)."""
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value))
            )

    @property
    def workspace(self) -> str:
        """The id of this sandbox's workspace; part of every file's key."""
        return str(self.setting("workspace"))

    @property
    def paid_submits(self) -> int:
        """How many calls ever started renders; survives restarts."""
        return int(self.setting("paid_submits", 0))

    def count_start(self) -> None:
        """One more call started renders."""
        with self.transaction():
            self.set_setting("paid_submits", self.paid_submits + 1)

    # -- records -------------------------------------------------------------------------------

    def create(
        self, kind: str, state: str, doc: dict[str, Any], private: dict[str, Any] | None = None
    ) -> Record:
        """A new record."""
        identifier, moment = str(uuid.uuid4()), self._clock()
        with self._lock:
            cursor = self._db.execute(
                "INSERT INTO records (kind, id, state, changed_at, doc, private) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (kind, identifier, state, moment, json.dumps(doc), json.dumps(private or {})),
            )
        assert cursor.lastrowid is not None
        return Record(cursor.lastrowid, kind, identifier, state, moment, doc, private or {})

    def get(self, kind: str, identifier: str) -> Record | None:
        """A record by its kind and id."""
        with self._lock:
            row = self._db.execute(
                f"{_SELECT} WHERE kind = ? AND id = ?", (kind, identifier)
            ).fetchone()
        return None if row is None else _record(row)

    def known(self, kind: str, identifiers: Iterable[str]) -> list[Record]:
        """Those records of these ids that there are, in the same order."""
        found = [self.get(kind, identifier) for identifier in identifiers]
        return [record for record in found if record is not None]

    def in_state(self, kind: str, *states: str) -> list[Record]:
        """Records in these states, oldest first."""
        marks = ", ".join("?" * len(states))
        with self._lock:
            rows = self._db.execute(
                f"{_SELECT} WHERE kind = ? AND state IN ({marks}) ORDER BY seq", (kind, *states)
            ).fetchall()
        return [_record(row) for row in rows]

    def change(
        self, kind: str, identifier: str, change: Callable[[Record], Any], *, ended: bool = False
    ) -> Record | None:
        """Apply ``change`` to a record in one transaction.

        None, with nothing changed, when it is not there, when it came to its end already (unless
        ``ended``), or when ``change`` returns False.
        """
        with self.transaction():
            record = self.get(kind, identifier)
            if record is None or (record.ended and not ended) or change(record) is False:
                return None
            record.changed_at = self._clock()
            self._db.execute(
                "UPDATE records SET state = ?, changed_at = ?, doc = ?, private = ? WHERE id = ?",
                (record.state, record.changed_at, json.dumps(record.doc),
                 json.dumps(record.private), identifier),
            )  # fmt: skip
            return record

    def remove(self, identifier: str) -> None:
        """Forget a record."""
        with self._lock:
            self._db.execute("DELETE FROM records WHERE id = ?", (identifier,))

    @contextmanager
    def transaction(self) -> Iterator[None]:
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


def _record(row: tuple[Any, ...]) -> Record:
    seq, kind, identifier, state, changed_at, doc, private = row
    return Record(seq, kind, identifier, state, changed_at, json.loads(doc), json.loads(private))
