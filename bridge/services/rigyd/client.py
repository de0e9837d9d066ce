# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigyd's API: submit a 3D file, follow it, list, prices, result (Rigyd docs and its own client).

Every call is one request of the contract. Which of them may be repeated is decided here: reads
are, the submit never is. Nothing is stored, and no key is handled here.
"""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...answers import Answer
from ...faults import HttpError, unreadable
from ...http import Http
from ...paths import ascii_slug
from ...settings import Settings
from ...transfer import download
from ...uploads import MultipartUpload
from .explain import explain, is_mjcf_missing
from .options import submit_fields

CLIENT_TAG = "scene-courier"
PAGE_SIZE = 25  # as the official client asks; the largest allowed is unknown
_MOST_PAGES = 400
# How much older than our attempt a row must be before the rest of a newest-first list is left
# unread: clocks differ.
_CLOCK_SLACK = 86400.0
_TYPES = {
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".obj": "model/obj",
    ".stl": "model/stl",
    ".zip": "application/zip",
    ".usdz": "model/vnd.usdz+zip",
}
_TAG = re.compile(r"-([0-9a-f]{32}(?:-\d+)?)$", re.I)


def connection(
    base_url: str,
    key: str | None,
    *,
    settings: Settings | None = None,
    online: Callable[[], bool] | None = None,
    cancelled: Callable[[], bool] | None = None,
    log: logging.Logger | None = None,
) -> Http:
    """A connection to Rigyd: bearer key, client header, Rigyd's errors in words."""
    return Http(
        base_url,
        key,
        settings=settings,
        online=online,
        cancelled=cancelled,
        headers={"X-Rigyd-Client": CLIENT_TAG},
        explain=explain,
        label="Rigyd",
        log=log,
    )


def upload_name(name: str, tag: str, suffix: str = ".glb") -> str:
    """The name that Rigyd sees: plain ASCII, and holding the attempt's tag to find it by."""
    return f"{ascii_slug(name, limit=48)}-{tag}{suffix.lower()}"


@dataclass(frozen=True)
class Page:
    """One page of the job list; ``pages`` is how many there are."""

    jobs: list[dict[str, Any]]
    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class Downloaded:
    """A result ZIP on disk and the format that it really holds (usd, mjcf or all)."""

    path: Path
    format: str
    bytes: int


class RigydClient:
    """Rigyd through an ``Http`` made by ``connection``."""

    def __init__(self, http: Http) -> None:
        self.http = http

    # -- submit: once ---------------------------------------------------------------------------

    def submit_file(
        self,
        path: Path,
        filename: str,
        options: Mapping[str, Any],
        *,
        on_progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        before_last_piece: Callable[[], None] | None = None,
    ) -> dict[str, Any]:
        """POST /conversions with one model; the submission (``id``, ``status``, and so on).

        Sent once. Raises ``outcomes.Unsent`` (safe to repeat), ``Refused`` (nothing charged) or
        ``Lost`` (in doubt); Canceled or ProblemError before the last piece has left.
        """
        upload = MultipartUpload(
            submit_fields(options),
            path,
            filename,
            file_type=_TYPES.get(path.suffix.lower(), "application/octet-stream"),
            on_progress=on_progress,
            cancelled=cancelled,
            before_last_piece=before_last_piece,
        )
        answer = self.http.once("/conversions", upload, valid=_is_job)
        return _job(answer.data)

    # Text and image submits (POST /conversions/generate) and simulate come here in a later stage.

    # -- reads: repeatable ----------------------------------------------------------------------

    def job(self, remote_id: str) -> dict[str, Any]:
        """GET /conversions/{id}. ``progress`` is an int 0..100 (null becomes 0)."""
        answer = self.http.get(f"/conversions/{quote(remote_id, safe='')}")
        if not _is_job(answer.data) or not isinstance(answer.data.get("status"), str):
            raise unreadable("Rigyd", answer.status, "not a job")
        return _job(answer.data)

    def jobs(self, page: int = 1, page_size: int = PAGE_SIZE) -> Page:
        """GET /conversions: one page of the account's jobs, in whatever order Rigyd lists them."""
        answer = self.http.get("/conversions", {"page": page, "pageSize": page_size})
        if not isinstance(answer.data, list):
            raise unreadable("Rigyd", answer.status, "not a list of jobs")
        rows = [_job(row) for row in answer.data if _is_job(row)]
        pages, total = _count(answer, "pageCount"), _count(answer, "total")
        if pages is None:  # without meta: a full page may be followed by another
            pages = page + 1 if len(answer.data) >= page_size else page
        return Page(rows, page, pages, len(rows) if total is None else total)

    def all_jobs(self, until: float | None = None) -> Iterator[dict[str, Any]]:
        """Every job once. With ``until`` (Unix seconds) a newest-first list is read only as far
        back as that moment; a list in another order is read whole, since its order is not promised.
        """
        seen: set[str] = set()
        newest_first = True
        last: float | None = None
        for number in range(1, _MOST_PAGES + 1):
            page = self.jobs(number)
            for row in page.jobs:
                made = created(row)
                if made is not None:
                    newest_first = newest_first and (last is None or made <= last)
                    last = made
                if row["id"] not in seen:  # a new job shifts rows from page to page
                    seen.add(row["id"])
                    yield row
            if number >= page.pages or not page.jobs:
                return
            if until is not None and newest_first and last is not None and last < until:
                return

    def pricing(self) -> dict[str, float]:
        """GET /conversions/pricing: credits by job type; both shapes that are in use are read."""
        answer = self.http.get("/conversions/pricing")
        data = answer.data
        if isinstance(data, dict) and isinstance(data.get("pricing"), dict):
            data = data["pricing"]
        if not isinstance(data, dict):
            raise unreadable("Rigyd", answer.status, "not a price list")
        prices = {
            str(name): value
            for name, value in data.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        }
        if not prices:
            raise unreadable("Rigyd", answer.status, "no prices in the price list")
        return prices

    def check_key(self) -> None:
        """Ask something that needs a key and costs nothing: HttpError(CREDENTIALS) if it is wrong.

        Not ``/me``, which may refuse a good key.
        """
        self.pricing()

    def me(self) -> dict[str, Any]:
        """GET /me: ``{"available", "credits_remaining", "plan", "email"}``.

        This call is not documented and may refuse API keys: then ``available`` is False, which says
        nothing about the key (check that with ``pricing``).
        """
        nothing = {"available": False, "credits_remaining": None, "plan": None, "email": None}
        try:
            data = self.http.get("/me").data
        except HttpError as error:
            if error.status in (401, 403, 404, 405):
                return nothing
            raise
        if not isinstance(data, dict):
            return nothing
        subscription = _dict(data.get("subscription"))
        user = _dict(data.get("user"))
        credits = subscription.get("credits_remaining")
        known = isinstance(credits, int | float) and not isinstance(credits, bool)
        return {
            "available": known,
            "credits_remaining": credits if known else None,
            "plan": _dict(subscription.get("plan")).get("name"),
            "email": user.get("email"),
        }

    def result(
        self,
        remote_id: str,
        format: str,
        dest: Path,
        *,
        on_progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Downloaded:
        """GET /conversions/{id}/result: the ZIP in ``dest``; downloading again costs nothing.

        Where Rigyd has no MJCF package (older jobs), "all" and "mjcf" give the USD instead.
        """
        try:
            return self._result(remote_id, format, dest, on_progress, cancelled)
        except HttpError as error:
            if format == "usd" or not is_mjcf_missing(error):
                raise
        return self._result(remote_id, "usd", dest, on_progress, cancelled)

    def _result(
        self,
        remote_id: str,
        format: str,
        dest: Path,
        on_progress: Callable[[int, int], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> Downloaded:
        size = download(
            self.http,
            f"/conversions/{quote(remote_id, safe='')}/result",
            dest,
            params={"format": format},
            on_progress=on_progress,
            cancelled=cancelled,
        )
        if not zipfile.is_zipfile(dest):
            dest.unlink(missing_ok=True)
            raise unreadable("Rigyd", 200, f"the result is not a ZIP archive ({size} bytes)")
        return Downloaded(dest, format, size)


# --- in doubt ----------------------------------------------------------------------------------


def find_submitted(client: RigydClient, filename: str, since: float) -> dict[str, Any] | None:
    """The job that our upload named ``filename`` became, or None if the list does not show it.

    An exact match: by the whole name, or by the attempt's tag in it should Rigyd have changed the
    rest; and by the client header where the row tells it. ``since`` is when the attempt began
    (Unix seconds). Two matches give the older one.
    """
    tag = _tag_of(filename)
    found: list[dict[str, Any]] = []
    for row in client.all_jobs(until=since - _CLOCK_SLACK):
        name = row.get("filename")
        if not isinstance(name, str):
            continue
        if name != filename and (tag is None or _tag_of(name) != tag):
            continue
        sender = _dict(row.get("parameters")).get("client")
        if sender in (None, CLIENT_TAG):
            found.append(row)
    return min(found, key=lambda row: created(row) or 0.0, default=None)


def _tag_of(filename: str) -> str | None:
    match = _TAG.search(re.sub(r"\.[A-Za-z0-9]{1,5}$", "", filename.rpartition("/")[2]))
    return match[1].lower() if match else None


def created(job: Mapping[str, Any]) -> float | None:
    """When a job was made, in Unix seconds; None if its ``createdAt`` cannot be read."""
    try:
        return datetime.fromisoformat(str(job.get("createdAt"))).timestamp()
    except (ValueError, OverflowError):
        return None


def _is_job(data: Any) -> bool:
    if not isinstance(data, dict):
        return False
    value = data.get("id")
    return (isinstance(value, str) and bool(value)) or (type(value) is int)


def _job(data: dict[str, Any]) -> dict[str, Any]:
    """A job with its id as text and its progress as an int 0..100."""
    progress = data.get("progress")
    fine = isinstance(progress, int | float) and 0 <= progress <= 100
    return {**data, "id": str(data["id"]), "progress": int(progress) if fine and progress else 0}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(answer: Answer, name: str) -> int | None:
    value = answer.meta.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
