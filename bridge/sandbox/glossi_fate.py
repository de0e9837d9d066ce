# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault plan makes of Glossi's models, jobs and renders (a rule's ``job``).

Given with ``POST /models`` or a model's confirm it is the fate of these models, with ``POST /jobs``
or confirm-uploads that of the job, with ``POST /renders`` or a retry that of these render jobs. A
job's fate may have ``models`` and ``renders``, which are the fates of what it makes.

  {"fail": text}          it fails; of a job: ``at`` a status, "PROCESSING" unless given
  {"times": n}            a render fails so often, then works; without it, always
  {"which": [n, ...]}     only these of the call's models or renders, counted from 0
  {"stuck": status}       stays where it is, shown as that status (of a job: ``at``)
  {"visit": status, "seconds": n}
                          is shown as that status for so long, then goes on (of a job: ``at``)
  {"seconds": n}          each status takes at least so long
  {"lose": [n, ...]}      these results are missing: rows of ``results``, files of ``renders``
  {"gone": true}          files are listed, and are not there

Fates of later calls add to those of earlier ones; a retry's replaces them.
"""  # fmt: skip

from __future__ import annotations

from typing import Any

from .glossi_store import JOB, Record


def chosen(fate: dict[str, Any], number: int) -> dict[str, Any]:
    """The fate of a call's ``number``th thing; {} when it is not meant."""
    which = fate.get("which")
    if which is not None and number not in which:
        return {}
    return {key: value for key, value in fate.items() if key != "which"}


def of(record: Record) -> dict[str, Any]:
    """A record's fate."""
    return dict(record.private.get("fate") or {})


def applies(record: Record, state: str) -> bool:
    """Whether what is to happen happens in this state; only a job's depends on it."""
    return record.kind != JOB or of(record).get("at", "PROCESSING") == state


def failure(record: Record, state: str) -> str:
    """Why it is to fail now; "" when it is not."""
    fate = of(record)
    if "fail" not in fate or not applies(record, state):
        return ""
    times = fate.get("times")
    if times is not None and int(record.private.get("attempts", 1)) > int(times):
        return ""
    return str(fate["fail"])


def enter(record: Record, state: str) -> None:
    """Go to a state, shown as the fate wants it."""
    fate = of(record)
    record.state = state
    record.private.pop("shown", None)
    if applies(record, state):
        for word in ("stuck", "visit"):
            if word in fate:
                record.private["shown"] = str(fate[word])


def stuck(record: Record) -> bool:
    """Whether it stays where it is for good."""
    return "stuck" in of(record) and applies(record, record.state) and not record.ended


def least_seconds(record: Record) -> float:
    """How long the present state takes at least."""
    fate = of(record)
    if "visit" in fate and not applies(record, record.state):
        return 0.0
    return float(fate.get("seconds", 1.0 if "visit" in fate else 0.0))


def left(items: list[Any], fate: dict[str, Any]) -> list[Any]:
    """Items without those that are to be missing."""
    lost = set(fate.get("lose") or [])
    return [item for number, item in enumerate(items) if number not in lost]
