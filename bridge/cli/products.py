# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of products in words: one line for each, with what came back or what went wrong."""

from __future__ import annotations

from typing import Any

from ..jobs import Job

#: the seven counters of a Jobs workflow, as label, done, of how many
_COUNTERS = (
    ("models uploaded", "modelsUploaded", "modelsTotal"),
    ("models ready", "modelsReady", "modelsTotal"),
    ("projects made", "projectsCreated", "projectsTotal"),
    ("renders done", "rendersComplete", "rendersTotal"),
)


def lines(job: Job) -> list[str]:
    """ "chair: rendered, 3 stills, 1 video", "lamp: left out. lamp has no faces."; may be empty."""
    return [_line(row) for row in job.report.get("products") or []]


def counters(job: Job) -> str:
    """What a job that still runs has counted; "" when it has not, or has ended."""
    told = job.report.get("counters")
    if job.state.terminal or not isinstance(told, dict) or not any(told.values()):
        return ""
    return ", ".join(
        f"{label} {told.get(done) or 0} of {told.get(total) or 0}"
        for label, done, total in _COUNTERS
    )


def _line(row: dict[str, Any]) -> str:
    parts = [str(row.get("status") or "")]
    for key in ("still", "video"):
        count = int(row.get(f"{key}s") or 0)
        if count:
            parts.append(f"{count} {key}" if count == 1 else f"{count} {key}s")
    problem = str(row.get("problem") or "")
    return f"{row.get('name', '')}: {', '.join(parts)}{f'. {problem}' if problem else ''}"
