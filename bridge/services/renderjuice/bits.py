# SPDX-License-Identifier: GPL-3.0-or-later
"""Small things about Renderjuice's answers: the job in them, times, headers, what was signed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ...answers import Answer

_TYPES = {"blend": "application/octet-stream", "zip": "application/zip"}


def content_type(upload_url: str, file_type: str) -> str:
    """The Content-Type to send with a presigned PUT; "" for none at all.

    Only what is part of the signature may be there: a store that signed ``host`` alone may refuse
    others. Where the address does not say what was signed, none is sent.
    """
    query = {name.lower(): value for name, value in parse_qsl(urlsplit(upload_url).query)}
    signed = (query.get("x-amz-signedheaders") or query.get("x-goog-signedheaders") or "").lower()
    return _TYPES[file_type] if "content-type" in signed.split(";") else ""


def moment_of(text: Any) -> float | None:
    """An ISO 8601 date-time as Unix seconds (UTC unless it says); None if it cannot be read."""
    try:
        moment = datetime.fromisoformat(str(text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def header(answer: Answer, name: str) -> str:
    """A header of an answer, however it is spelled; "" if it is not there."""
    wanted = name.lower()
    return next((v for k, v in answer.headers.items() if k.lower() == wanted), "")


def outputs_deleted(job: Mapping[str, Any]) -> bool:
    """True when the farm has removed the outputs (``output.isDeletedForClient``)."""
    return as_dict(job.get("output")).get("isDeletedForClient") is True


def job_in(data: Any) -> dict[str, Any] | None:
    """The job in an answer, bare or wrapped once more; None if there is none."""
    for value in (data, as_dict(data).get("data"), as_dict(data).get("job")):
        if isinstance(value, dict):
            job_id, status = value.get("id"), value.get("status")
            if isinstance(job_id, str) and job_id and isinstance(status, str) and status:
                return value
    return None


def as_dict(value: Any) -> dict[str, Any]:
    """The object, or an empty one where something else stands."""
    return value if isinstance(value, dict) else {}


def texts_in(value: Any, depth: int = 0) -> Iterator[str]:
    """Every text in a value of unknown shape."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list) and depth < 8:
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts_in(item, depth + 1)
