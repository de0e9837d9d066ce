# SPDX-License-Identifier: GPL-3.0-or-later
"""The Rigyd flow: package, price, submit once, follow, download, verify.

It reads like Rigyd's own guide (docs.rigyd.com: 3D to SimReady, Retrieve a job, Download result).
The submit costs credits and has no idempotency key, so it goes through ``Flow.once``.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

from ...approval import approve
from ...archive import extract_zip
from ...connect import connect
from ...deliver import deliver, place
from ...faults import HttpError
from ...flow import Flow, Submission
from ...jobs import Result, State
from ...package import captured_blender, package_glb
from ...paths import require_space
from ...problems import Category, ProblemError
from .. import SERVICES
from .checks import check_input
from .client import RigydClient, find_submitted, upload_name
from .options import MAX_BYTES
from .results import check_results

JOB_TYPE = "glb_to_simready"  # for every 3D input (Rigyd docs, 3D to SimReady)


def convert(flow: Flow) -> None:
    """One asset, one job, one charge: a 3D file to SimReady USD and MJCF."""
    package = package_glb(flow, max_bytes=MAX_BYTES)
    path = Path(package["path"])
    flow.step("check", lambda: check_input(path))
    with connect(
        flow.store,
        SERVICES["rigyd"],
        flow.job,
        flow.settings,
        cancelled=flow.canceled,
        captured=captured_blender(flow),
        log=flow.log,
    ) as http:
        client = RigydClient(http)
        if flow.store.step(flow.job.id, "submit") is None:
            approve(flow, _price(client))
        submitted = flow.once(
            "submit",
            lambda submission: _submit(flow, client, path, submission),
            lambda submission: find_submitted(
                client, upload_name(flow.job.name, submission.tag, path.suffix), submission.since
            ),
            moves=_moves,
        )
        remote_id = str(submitted["id"])
        if submitted.get("named"):
            flow.step("named", lambda: _look_up(flow, client, remote_id))
        final = flow.follow(
            "follow",
            lambda: client.job(remote_id),
            lambda job: job.get("status") in ("completed", "failed"),
            _shown,
            moves=_moves,
        )
        if final.get("status") == "failed":
            raise _failed(final, flow.job.sandboxed)
        _check_received(flow, final, path)
        known = flow.answer("download")
        if known and not Path(known["path"]).is_file() and not flow.finished("unpack"):
            # Somebody tidied up. Downloading again is free (Rigyd SDK's README).
            flow.store.drop_steps(flow.job.id, ["download"])
        archive = flow.step(
            "download",
            lambda: _download(flow, client, remote_id),
            state=State.DOWNLOADING,
        )
    target = Path(place(flow))
    results = flow.step("unpack", lambda: _unpack(flow, archive, target))
    for text in http.notes():
        flow.note(text)
    flow.done([Result(**result) for result in results])


def _price(client: RigydClient) -> float:
    """Credits for one conversion; the pricing call is the source of truth (Rigyd docs, Pricing).

    A price list without this job type is an unknown price: no number that somebody agreed to covers
    it, so a person is asked.
    """
    price = client.pricing().get(JOB_TYPE)
    return float(price) if isinstance(price, int | float) else math.inf


def _submit(flow: Flow, client: RigydClient, path: Path, submission: Submission) -> dict[str, Any]:
    return client.submit_file(
        path,
        filename=upload_name(flow.job.name, submission.tag, path.suffix),
        options=flow.job.options,
        on_progress=flow.progress,
        cancelled=flow.canceled,
        before_last_piece=submission.body_complete,
    )


def _look_up(flow: Flow, client: RigydClient, remote_id: str) -> None:
    """Ask for the job whose id a person entered, before it is believed."""
    try:
        client.job(remote_id)
    except HttpError as error:
        if error.status not in (400, 404):
            raise
        flow.disbelieve("submit", error.problem.technical)


def _moves(answer: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "remote_id": str(answer["id"]),
        "state": State.REMOTE,
        "waiting_reason": "",
        "problem": None,
    }
    if isinstance(answer.get("credits_charged"), int | float):
        changes["credits_charged"] = float(answer["credits_charged"])
    return changes


def _shown(answer: dict[str, Any]) -> dict[str, Any]:
    """What the panel shows meanwhile. ``stage`` is free text and never branched on."""
    status, stage = str(answer.get("status") or ""), str(answer.get("stage") or "")
    progress = answer.get("progress")
    return {
        "remote": answer,
        "state_text": stage or status,
        "phase_done": float(progress) if isinstance(progress, int | float) else 0.0,
        "phase_total": 100.0,
        "phase_unit": "percent",
    }


def _failed(answer: dict[str, Any], sandboxed: bool) -> ProblemError:
    preprocess = answer.get("preprocess")
    preprocess_error = preprocess.get("error") if isinstance(preprocess, dict) else None
    reason = str(answer.get("error") or preprocess_error or "no reason given")
    return ProblemError(
        Category.REMOTE,
        f"{'The sandbox' if sandboxed else 'Rigyd'} could not convert the asset: {reason}",
        "Change what it names, then retry. Nothing was paid."
        if sandboxed
        else "The credits are given back by Rigyd. Change the asset or the options, then retry.",
        f"job {answer.get('id')}, stage {answer.get('stage')}",
    )


def _check_received(flow: Flow, final: dict[str, Any], path: Path) -> None:
    """Compare what the service received with what was sent."""
    size = final.get("file_size_bytes")
    if isinstance(size, int) and path.is_file() and size != path.stat().st_size:
        flow.note(
            f"Rigyd received {size} bytes, but {path.stat().st_size} were sent. "
            "Look at the result with care."
        )


def _download(flow: Flow, client: RigydClient, remote_id: str) -> dict[str, Any]:
    wanted = str(flow.job.options.get("format") or "all")
    folder = flow.folder / "results"
    folder.mkdir(parents=True, exist_ok=True)
    require_space(folder, 64 * 1024**2, "download the result")
    got = client.result(
        remote_id,
        wanted,
        folder / "result.zip",
        on_progress=flow.progress,
        cancelled=flow.canceled,
    )
    return {"path": str(got.path), "bytes": got.path.stat().st_size, "format": got.format}


def _unpack(flow: Flow, archive: dict[str, Any], target: Path) -> list[dict[str, Any]]:
    """Extract, look at every file, then move them to the folder of the artist's choice."""
    zip_path = Path(archive["path"])
    staging = flow.folder / "results" / "unpacked"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        extract_zip(zip_path, staging, cancelled=flow.canceled)
        results = check_results(staging, str(archive["format"]))
    except ProblemError as error:
        if error.problem.category is Category.SERVICE:
            # A retry downloads again, which is free (Rigyd SDK's README).
            flow.store.drop_steps(flow.job.id, ["download"])
            zip_path.unlink(missing_ok=True)
        raise
    if flow.job.options.get("format") != "usd" and not any(r.kind == "mjcf" for r in results):
        flow.note("Rigyd made no MJCF package for this job; only the USD was delivered.")
    results.append(_last_answer(flow, staging))
    require_space(target, sum(result.bytes for result in results), "keep the results")
    return [result.to_dict() for result in deliver(staging, results, target)]


def _last_answer(flow: Flow, folder: Path) -> Result:
    """Keep Rigyd's last answer beside the files: report, timing, preprocessing."""
    path = folder / "rigyd-job.json"
    path.write_text(json.dumps(flow.job.remote, indent=1, ensure_ascii=False), encoding="utf-8")
    return Result(str(path), path.stat().st_size, "report")
