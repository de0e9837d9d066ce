# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocabulary: a job, its states, and what it brings back.

Plain data without behaviour; the store keeps it, the worker moves it on, panel and command line
show it. No key and no presigned URL ever belongs in any of these fields.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .problems import Problem


class State(StrEnum):
    """Where a job stands. Exactly one of the last three ends it.

    QUEUED             durably on disk; nothing has happened yet
    PACKAGING          a headless Blender makes the file to send
    UPLOADING          bytes are on their way
    SUBMITTING         everything was sent, the service's answer is awaited
    IN_DOUBT           a paid request left and its answer was lost; the account's list decides
    AWAITING_APPROVAL  the next step costs something and nobody has agreed to it yet
    REMOTE             the service works
    DOWNLOADING        results are coming
    WAITING            for the network, a key, a person (``waiting_reason`` says which)
    """

    QUEUED = "queued"
    PACKAGING = "packaging"
    UPLOADING = "uploading"
    SUBMITTING = "submitting"
    IN_DOUBT = "in_doubt"
    AWAITING_APPROVAL = "awaiting_approval"
    REMOTE = "remote"
    DOWNLOADING = "downloading"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def terminal(self) -> bool:
        """True when nothing more happens by itself."""
        return self in (State.DONE, State.FAILED, State.CANCELED)


SANDBOX = "sandbox"
DEFAULT_ACCOUNT = "default"
#: ``Job.input_kind`` of a job that was started elsewhere and is only followed here
REMOTE = "remote"
#: ``Job.input_kind`` of several ready files, which ``origin["files"]`` names
FILES = "files"


@dataclass
class Result:
    """One file that came back: absolute ``path``, size in ``bytes``.

    ``kind``: usd, mjcf, texture, archive, thumbnail, report, mesh, frame, pass (an output of the
    compositor), video, preview, other.
    """

    path: str
    bytes: int
    kind: str

    def to_dict(self) -> dict[str, Any]:
        """The form of ``--json`` and of the store."""
        return {"path": self.path, "bytes": self.bytes, "kind": self.kind}


@dataclass
class Job:
    """One piece of work for one service, from the click to the results on disk.

    ``account`` is "default" or "sandbox" (never a URL). ``base_url`` is set only where the
    environment named another one when the job was sent. ``phase_done``/``phase_total`` count
    bytes or percent (``phase_unit``), ``rate`` is bytes per second. ``price``,
    ``approved_credits`` and ``credits_charged`` are the service's credits. ``origin`` says where
    the job came from (blend file, session, placement), ``remote`` is the service's last answer
    without URLs. ``report`` holds what was found out about the scene: "preflight", "analysis" (what
    the service found), "frames" (asked, rendered, arrived, missing). Times are Unix seconds.
    ``due_at`` is when the worker looks at it again.
    """

    service: str
    name: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    account: str = DEFAULT_ACCOUNT
    base_url: str = ""
    key_print: str = ""
    source: str = "cli"
    state: State = State.QUEUED
    state_text: str = ""
    waiting_reason: str = ""
    phase_done: float = 0.0
    phase_total: float = 0.0
    phase_unit: str = ""
    rate: float = 0.0
    remote_id: str = ""
    remote: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    input_kind: str = "capture"
    input_path: str = ""
    results_dir: str = ""
    results: list[Result] = field(default_factory=list)
    problem: Problem | None = None
    price: float | None = None
    approved_credits: float | None = None
    credits_charged: float | None = None
    cancel_requested: bool = False
    origin: dict[str, Any] = field(default_factory=dict)
    imported_at: float | None = None
    group_id: str = ""
    notes: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    due_at: float = 0.0
    revision: int = 0

    @property
    def fraction(self) -> float | None:
        """Progress of the present phase, 0..1, or None where it is not known."""
        if self.phase_total <= 0:
            return None
        return max(0.0, min(1.0, self.phase_done / self.phase_total))

    @property
    def sandboxed(self) -> bool:
        """True when the job runs on this computer and costs nothing."""
        return self.account == SANDBOX

    @property
    def blocked(self) -> bool:
        """True when the check of the scene stopped the job before anything was sent."""
        findings = self.report.get("preflight", {}).get("findings") or []
        return (
            self.state is State.FAILED
            and not self.remote_id
            and not self.options.get("ignore_problems")
            and any(finding.get("severity") == "blocking" for finding in findings)
        )

    @property
    def unlikely_size(self) -> bool:
        """True when nothing was sent as the products are so small or large that it was asked."""
        return (
            self.state is State.FAILED
            and not self.remote_id
            and self.problem is not None
            and "option ignore_scale" in self.problem.technical
            and not self.options.get("ignore_scale")
        )

    @property
    def short_id(self) -> str:
        """The first eight characters: enough for people and for ``jobs show``."""
        return self.id[:8]


class StepKind(StrEnum):
    """What may be done when a step's answer was lost (see ``flow``)."""

    REPEATABLE = "repeatable"
    CHECK = "check"
    RENEWABLE = "renewable"
    ONCE = "once"


@dataclass
class Step:
    """A named step of a job's flow as the store remembers it.

    ``status``: "started", "body_complete" (the last byte of a paid request is about to leave)
    or "done"; ``answer`` is JSON-able and holds no presigned URL.
    """

    job_id: str
    name: str
    kind: StepKind
    status: str = "started"
    answer: Any = None
    attempt: int = 0
    started_at: float = 0.0
    finished_at: float | None = None


@dataclass
class Request:
    """A question of the panel that the worker answers (prices, service state, credits)."""

    id: int
    kind: str
    args: dict[str, Any]
    state: str
    answer: Any = None
    problem: Problem | None = None
    asked_at: float = 0.0
    answered_at: float | None = None

    @property
    def age(self) -> float:
        """Seconds since the answer, or since the question while there is none."""
        return time.time() - (self.answered_at or self.asked_at)
