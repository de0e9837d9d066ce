# SPDX-License-Identifier: GPL-3.0-or-later
"""What Rigyd's answers look like: the fields of a job, of a submission, of the account.

Shapes after Rigyd docs, "Retrieve a job" and "Job lifecycle". Asset addresses are made when a job
is shown, since the sandbox's port may change between two runs.
"""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import quote

from .jobs import Record
from .uploads import UploadedFile


def new_job(
    *, filename: str, size: int, parameters: dict[str, Any], price: int, preprocess: bool
) -> dict[str, Any]:
    """A file conversion that was just accepted; ``size`` in bytes."""
    return {
        "physiq_job_id": None,
        "status": "submitting",
        "filename": filename,
        "file_size_bytes": size,
        "stage": None,
        "progress": 0,
        "error": None,
        "timing": {"queued_at": None, "started_at": None, "completed_at": None},
        "parameters": parameters,
        "report": {},
        "job_type": "glb_to_simready",
        "credits_charged": price,
        "preprocess": {
            "status": "pending" if preprocess else "skipped",
            "steps": None,
            "started_at": None,
            "completed_at": None,
            "error": None,
            "input_stats": None,
            "telemetry": None,
        },
        "source_job": None,
        "simulations": [],
    }


def submission(record: Record) -> dict[str, Any]:
    """The ``data`` of a 202."""
    keys = ("id", "status", "filename", "progress", "job_type", "credits_charged", "createdAt")
    return {key: record.doc[key] for key in keys}


def asset(path: str, upload: UploadedFile) -> dict[str, Any]:
    """The uploaded model as an asset; ``path`` is below the job's folder."""
    return {
        "token": secrets.token_hex(16), "path": path, "name": upload.filename, "size": upload.size
    }  # fmt: skip


def assets(record: Record) -> list[dict[str, Any]]:
    """All files of a job that are served under unguessable paths."""
    private = record.private
    single = [private.get(key) for key in ("input_asset", "intermediate", "model", "mjcf_package")]
    return [item for item in [*single, *private.get("textures", [])] if item]


def job(record: Record, assets_url: str) -> dict[str, Any]:
    """The ``data`` of a job."""

    def link(item: dict[str, Any] | None, size: bool = False) -> dict[str, Any] | None:
        if not item:
            return None
        url = f"{assets_url}/{record.id}/{item['token']}/{quote(item['name'])}"
        return {"url": url, "name": item["name"], **({"size": item["size"]} if size else {})}

    private = record.private
    doc = dict(record.doc)
    created, updated = doc.pop("createdAt"), doc.pop("updatedAt")
    doc["input"] = {"model": link(private.get("input_asset")), "images": [], "metadata": None}
    doc["preprocess"] = {
        **doc["preprocess"],
        "intermediate_glb": link(private.get("intermediate")),
    }
    doc["output"] = {
        "model": link(private.get("model"), size=True),
        "textures": [link(item) for item in private.get("textures", [])],
        "mjcf_package": link(private.get("mjcf_package"), size=True),
        "sim_video": None,
        "sim_gif": None,
        "sim_log": None,
    }
    return {**doc, "createdAt": created, "updatedAt": updated}


def account(credits: int) -> dict[str, Any]:
    """The ``data`` of ``GET /me``."""
    return {
        "user": {"email": "sandbox@localhost", "username": "sandbox"},
        "subscription": {
            "status": "active",
            "plan": {"name": "Sandbox"},
            "credits_remaining": credits,
        },
    }
