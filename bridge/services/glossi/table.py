# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of products: what became of each, from the export to its files.

It lives in ``Job.report["products"]``; panel and command line show it. One product's trouble never
stops the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...flow import Flow
from ...problems import Category, Problem, ProblemError
from . import previews


def begin(flow: Flow, package: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Start the table from the packages; answers those that can be sent.

    Raises ProblemError(INPUT) when that is none of them.
    """
    rows = list(package.get("products") or [])
    if not flow.job.report.get("products"):
        tell(
            flow,
            products=[
                {
                    "name": row["name"],
                    "file": row["file_name"],
                    "status": "left out" if row.get("problem") else "packed",
                    "problem": _sentence(row.get("problem")),
                    "stills": 0,
                    "videos": 0,
                    **_hint(row.get("problem")),
                }
                for row in rows
            ],
        )
    good = [row for row in rows if not row.get("problem")]
    if good:
        return good
    first = Problem.from_dict(rows[0]["problem"]) if rows else None
    raise ProblemError(
        Category.INPUT,
        first.sentence if first else "There is no product to send.",
        first.hint if first else "Select at least one object with a surface.",
        first.technical if first else "",
    )


def _sentence(problem: Any) -> str:
    return str(problem.get("sentence") or "") if isinstance(problem, dict) else ""


def _hint(problem: Any) -> dict[str, str]:
    hint = str(problem.get("hint") or "") if isinstance(problem, dict) else ""
    return {"hint": hint} if hint else {}


def tell(flow: Flow, **parts: Any) -> None:
    """Change parts of the job's report; nothing is written when nothing changes."""
    report = {**flow.job.report, **parts}
    if report.get("products"):
        report["products"] = previews.known(flow.folder, report["products"])
    if report != flow.job.report:
        flow.update(report=report)


def change(flow: Flow, files: Iterable[str], **fields: Any) -> None:
    """Change the rows of these files."""
    wanted = set(files)
    rows = [
        {**row, **fields} if row["file"] in wanted else row
        for row in flow.job.report.get("products") or []
    ]
    tell(flow, products=rows)


def with_projects(flow: Flow, projects: list[dict[str, Any]]) -> None:
    """Note which product became which project; what became of it since then stays."""
    of_file = {file: project for project in projects for file in project["files"]}
    rows = []
    for row in flow.job.report.get("products") or []:
        project = of_file.get(row["file"])
        if project is not None and row.get("project_id") != project["project_id"]:
            row = {
                **row,
                "project_id": project["project_id"],
                "project": project.get("name") or "",
                "model_id": project.get("model_id") or "",
                "status": "project ready",
                "problem": "",
            }
        rows.append(row)
    tell(flow, products=rows)
