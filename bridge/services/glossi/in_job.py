# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders that a workflow job made by itself (``render_in_job``): found as far as they are named.

Where the answer has them is not documented (Glossi docs, Simple Workflow), so every object with a
``filePath`` counts. They are never rendered a second time to find them: that would cost again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ...approval import consent
from ...flow import Flow
from . import results, table
from .assets import renders_in
from .bits import as_dict, id_of
from .options import render_settings

if TYPE_CHECKING:
    from .client import GlossiClient


def asked(flow: Flow) -> bool:
    """True when the job itself is to render."""
    options = flow.job.options
    settings = render_settings(options)
    wanted = settings["renderBookmarks"] or settings["renderShots"]
    steps = options.get("workflow") == "steps"
    return bool(options.get("render_in_job") and wanted and not steps)


def agree(flow: Flow, count: int) -> None:
    """The yes to render, before the job that does so is made."""
    consent(flow, f"{count} product{'s' if count != 1 else ''} to render, inside the job")


def fetch(flow: Flow, client: GlossiClient, projects: list[dict[str, Any]]) -> None:
    """End the job with what its answers name."""
    inside = _Inside(flow, client, [project["project_id"] for project in projects])
    rows = []
    for project in projects:
        table.change(flow, project["files"], status="rendered")
        rows.append({"job_id": project["project_id"], "project_id": project["project_id"],
                     "status": "COMPLETED", "problem": ""})  # fmt: skip
    if not any(inside.render(row["job_id"])["renders"] for row in rows):
        flow.note("The job rendered by itself; its answer does not name the files.")
    results.fetch(flow, cast("GlossiClient", inside), rows)


class _Inside:
    """Answers as a client's ``render`` does, from the workflow jobs; by the project's id."""

    def __init__(self, flow: Flow, client: GlossiClient, projects: list[str]) -> None:
        self.http = client.http
        self._client = client
        self._projects = projects
        self._jobs = [
            str(as_dict(step.answer)["job_id"])
            for step in flow.store.steps(flow.job.id)
            if step.name.startswith("upload.") and as_dict(step.answer).get("job_id")
        ]

    def render(self, project_id: str) -> dict[str, Any]:
        """``{"renders": [...]}`` of one project, read anew."""
        found: list[dict[str, Any]] = []
        for job_id in self._jobs:
            answer = self._client.job(job_id)
            rows = answer.pop("results", None)
            for row in rows if isinstance(rows, list) else []:
                if id_of(as_dict(row).get("project"), "id", "projectId") == project_id:
                    found += renders_in(row)
            for render in renders_in(answer):
                owner = id_of(render, "projectId")
                # What says nothing of a project is shown with the first.
                if owner == project_id or (not owner and project_id == self._projects[0]):
                    found.append(render)
        return {"renders": found}
