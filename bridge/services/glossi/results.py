# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings stills and videos home, as far as Glossi says where they are.

How a finished file is downloaded is not documented: an address is used as it is, a bare key only
below an address that the artist was given. What cannot be fetched is listed by its name, and the
job is done all the same: it was rendered, and the web app has it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...deliver import place
from ...flow import Flow
from ...jobs import Result, State
from ...launch import ensure_sandbox
from ...package import captured_blender
from ...problems import Category, Problem, ProblemError
from . import renders, table
from .assets import Asset, collect, fetch_assets

if TYPE_CHECKING:
    from .client import GlossiClient

WEB_APP = "https://app.glossi.io"
_MOST_NAMES = 6
_AGAIN = "renders failed; retry starts them again."


def fetch(flow: Flow, client: GlossiClient, rows: list[dict[str, Any]]) -> None:
    """End the job: done with its files and the table, or failed when nothing was rendered."""
    failed = [row for row in rows if row["status"] != "COMPLETED"]
    # After a retry an earlier count is no longer true.
    flow.update(notes=[note for note in flow.job.notes if not note.endswith(_AGAIN)])
    if failed:
        # A person's retry starts these again, and nothing else.
        table.tell(flow, retry_steps=["rendered", "stills"])
    problem = renders.failed(flow, rows)
    if problem is not None:
        raise problem
    target = Path(place(flow))
    arrived = flow.step(
        "stills", lambda: _download(flow, client, rows, target), state=State.DOWNLOADING
    )
    _count(flow, arrived["files"])
    _tell_unreachable(flow, arrived["unreachable"])
    if failed:
        flow.note(f"{len(failed)} of {len(rows)} {_AGAIN}")
    else:
        table.tell(flow, retry_steps=[])
    results = [Result(one["path"], one["bytes"], one["kind"]) for one in arrived["files"]]
    flow.done([*results, _last_answer(flow, target)])


def _tell_unreachable(flow: Flow, names: list[str]) -> None:
    """What is rendered and cannot be downloaded: all names in the report, some in a note."""
    table.tell(flow, unreachable=names)
    if not names:
        return
    some = ", ".join(f"“{name}”" for name in names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    flow.note(
        f"Glossi does not say where these can be downloaded: {some}{more}. They are rendered and "
        f"can be seen at {WEB_APP}. If Glossi gave you an address that files lie below, set it as "
        "“render_base_url”."
    )


def _download(
    flow: Flow, client: GlossiClient, rows: list[dict[str, Any]], target: Path
) -> dict[str, Any]:
    """``{"files": [{"path", "bytes", "kind", "product", "name"}], "unreachable": [name]}``."""
    names = _labels(flow.job.report.get("products") or [])
    projects = {label: project for project, label in names.items()}
    done = [row for row in rows if row["status"] == "COMPLETED"]
    base_url = _base_url(flow)

    def offered() -> tuple[list[Asset], list[str]]:
        # Read anew: an address may be signed, and is never kept.
        fresh = [{**row, **client.render(row["job_id"])} for row in done]
        return collect(
            [(names.get(row["project_id"], "product"), row.get("renders") or []) for row in fresh],
            base_url=base_url,
        )

    assets, unreachable = offered()
    arrived, lost = fetch_assets(
        client.http,
        assets,
        target,
        refresh=lambda: offered()[0],
        parallel=max(2, flow.settings.parallel_transfers),
        on_progress=flow.progress,
        cancelled=flow.canceled,
    )
    if lost:
        raise _not_fetched(lost)
    return {
        "files": [
            {
                "path": str(one.path),
                "bytes": one.bytes,
                "kind": one.kind,
                "product": one.asset.product,
                "project_id": projects.get(one.asset.product, ""),
                "name": one.asset.name,
            }
            for one in arrived
        ],
        "unreachable": unreachable,
    }


def _labels(products: list[dict[str, Any]]) -> dict[str, str]:
    """Project id -> what its folder is called: its product, or the first of several."""
    members: dict[str, list[str]] = {}
    for product in products:
        if product.get("project_id"):
            members.setdefault(str(product["project_id"]), []).append(str(product["name"]))
    labels: dict[str, str] = {}
    for project, names in members.items():
        label = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        # Two products may have one name, and their pictures must not mix.
        count = sum(
            other.rpartition(" (")[0] == label or other == label for other in labels.values()
        )
        labels[project] = f"{label} ({count + 1})" if count else label
    return labels


def _base_url(flow: Flow) -> str:
    """The address that bare keys lie below, if somebody was given one; the sandbox gives one."""
    named = str(flow.job.options.get("render_base_url") or "")
    if named or not flow.job.sandboxed:
        return named
    entry = ensure_sandbox(flow.store.home, captured_blender(flow)).get("glossi") or {}
    return str(entry.get("files_url") or "")


def _not_fetched(lost: list[tuple[Asset, Problem]]) -> ProblemError:
    first, why = lost[0]
    count = f"{len(lost)} files" if len(lost) > 1 else f"“{first.name}”"
    return ProblemError(
        Category.SERVICE,
        f"{count} could not be fetched: {why.sentence}",
        "Retry fetches what is missing; nothing is rendered again.",
        ", ".join(asset.name for asset, _why in lost)[:300],
    )


def _count(flow: Flow, files: list[dict[str, Any]]) -> None:
    rows = []
    for product in flow.job.report.get("products") or []:
        mine = [one for one in files if one["project_id"] == product.get("project_id")]
        rows.append(
            {
                **product,
                "stills": sum(one["kind"] == "still" for one in mine),
                "videos": sum(one["kind"] == "video" for one in mine),
            }
        )
    labels = {one["path"]: one["name"] for one in files}
    table.tell(flow, products=rows, labels=labels)


def _last_answer(flow: Flow, target: Path) -> Result:
    """The table and Glossi's last answer, beside the files."""
    path = target / f"glossi-{flow.job.short_id}.json"
    text = json.dumps(
        {"products": flow.job.report.get("products"), "answer": flow.job.remote},
        indent=1,
        ensure_ascii=False,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return Result(str(path), path.stat().st_size, "report")
