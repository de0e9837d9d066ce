# SPDX-License-Identifier: GPL-3.0-or-later
"""Renderjuice's API: upload, job, validation, render, progress, downloads (Renderjuice docs).

Every call is one request of the contract. Which of them may be repeated is decided here: reads,
``render`` (replay-safe) and ``cancel`` are, making a job never is. Only ``id`` and ``status`` of a
job are required; envelopes (``data``) and bare answers are both taken everywhere, since the pages
differ. Presigned addresses are used without the key and never written anywhere.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...answers import Answer, server_time
from ...faults import HttpError, unreadable
from ...http import Http
from ...presigned import is_expired, storage_code
from ...problems import Category, Problem, ProblemError
from ...redact import remember, technical
from ...settings import Settings
from ...uploads import FileUpload, JsonUpload
from .bits import as_dict, content_type, header, job_in, moment_of, outputs_deleted, texts_in
from .explain import explain, explain_storage
from .outputs import Downloads, read_downloads
from .progress import Progress, read_all, read_progress
from .reconcile import find_created

__all__ = [
    "RenderjuiceClient",
    "UploadExpired",
    "connection",
    "find_created",
    "outputs_deleted",
]

REPLAY_HEADER = "X-Idempotent-Replay"

_MOST_PAGES = 400
_LONGEST_MARGIN = 15.0  # seconds before an upload address ends in which no upload is begun


class UploadExpired(ProblemError):
    """The presigned address has ended: ask for a new one, at most once, and send again."""

    transient = False
    status = 403
    retry_after: float | None = None

    def __init__(self, detail: str = "") -> None:
        super().__init__(
            Category.SERVICE,
            "Renderjuice's address for the upload has expired.",
            "A new one is asked for. If this stays, the connection is too slow for this package.",
            technical(detail or "upload address expired"),
        )

    @classmethod
    def of(cls, problem: Problem) -> UploadExpired:
        """With another problem's technical line."""
        return cls(problem.technical)


def connection(
    base_url: str,
    key: str | None,
    *,
    settings: Settings | None = None,
    online: Callable[[], bool] | None = None,
    cancelled: Callable[[], bool] | None = None,
    log: logging.Logger | None = None,
) -> Http:
    """A connection to Renderjuice: bearer key, Renderjuice's errors in words."""
    return Http(
        base_url,
        key,
        settings=settings,
        online=online,
        cancelled=cancelled,
        explain=explain,
        label="Renderjuice",
        log=log,
    )


class RenderjuiceClient:
    """Renderjuice through an ``Http`` made by ``connection``."""

    def __init__(self, http: Http) -> None:
        self.http = http
        #: this computer's clock minus Renderjuice's, in seconds; None until an answer told it
        self.skew: float | None = None
        self._ends: dict[str, tuple[float, float]] = {}  # address -> (end by monotonic, margin)

    # -- upload ---------------------------------------------------------------------------------

    def create_upload(self, file_name: str, file_type: str) -> dict[str, Any]:
        """POST /uploads: ``{"uploadUrl", "slug", "expiresAt"}``. ``file_type``: "blend" or "zip".

        Nothing is started by it, so it is repeated like a read. ``uploadUrl`` is a secret: it stays
        in this process. ``expiresAt`` is "" where the service does not say it.
        """
        answer = self._seen(
            self.http.repeatable(
                "POST", "/uploads", json={"fileName": file_name, "fileType": file_type}
            )
        )
        data = as_dict(answer.data)
        url, slug = data.get("uploadUrl"), data.get("slug")
        if not (isinstance(url, str) and url and isinstance(slug, str) and slug):
            raise unreadable("Renderjuice", answer.status, "no upload address or slug")
        remember(url)
        ends = data.get("expiresAt")
        moment = moment_of(ends)
        if moment is not None:
            left = moment - self.server_now()
            # An address that is over on arrival: a clock is wrong, the storage shall judge.
            if left > 0:
                self._ends[url] = (time.monotonic() + left, min(_LONGEST_MARGIN, left / 10))
        return {"uploadUrl": url, "slug": slug, "expiresAt": ends if moment is not None else ""}

    def put(
        self,
        upload_url: str,
        path: Path,
        on_progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        expires_at: str | None = None,
    ) -> int:
        """PUT the file to the presigned address; returns its bytes.

        A broken connection is tried again from the first byte (a single PUT cannot be continued).
        Raises UploadExpired when the address has ended or is about to, HttpError, Canceled.
        """
        file_type = "zip" if path.suffix.lower() == ".zip" else "blend"
        kind = content_type(upload_url, file_type)
        storage = self.http.keyless(label="Renderjuice's storage", explain=explain_storage)
        size = 0

        def attempt() -> None:
            nonlocal size
            if self._ended(upload_url, expires_at, early=True):
                raise UploadExpired("expired before the upload began")
            upload = FileUpload(path, kind, on_progress=on_progress, cancelled=cancelled)
            size = upload.total
            try:
                storage.put_file(upload_url, upload)
            except HttpError as error:
                refused = error.status in (400, 401, 403, 410)
                over = refused and self._ended(upload_url, expires_at, early=False)
                if is_expired(error) or (over and error.status != 400):
                    raise UploadExpired(error.problem.technical) from None
                if error.status == 500 or storage_code(error) == "RequestTimeout":
                    error.transient = True  # an object store's own hiccups
                raise

        with storage:
            storage.retrying(attempt, cancelled)
        return size

    def _ended(self, url: str, expires_at: str | None, *, early: bool) -> bool:
        """Is the address over (``early``: or nearly)? False where nobody said when."""
        if url in self._ends:
            end, margin = self._ends[url]
            return time.monotonic() > end - (margin if early else 0.0)
        moment = moment_of(expires_at)
        return moment is not None and self.server_now() > moment

    # -- a job: made once -----------------------------------------------------------------------

    def create_job(
        self,
        slug: str,
        before_last_piece: Callable[[], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> dict[str, Any]:
        """POST /jobs: the job that the upload becomes, in status ``created``.

        Sent once: whether a slug may be used twice is not documented. Raises ``outcomes.Unsent``
        (safe to repeat), ``Refused`` (no job was made) or ``Lost`` (in doubt, see
        ``find_created``); Canceled before it has left.
        """
        body = JsonUpload({"slug": slug}, before_last_piece=before_last_piece, cancelled=cancelled)
        answer = self._seen(
            self.http.once("/jobs", body, valid=lambda data: job_in(data) is not None)
        )
        return self._job(answer)

    # -- what may be done to a job --------------------------------------------------------------

    def validate(self, job_id: str) -> dict[str, Any] | None:
        """POST /jobs/{id}/validate: one attempt, since a second one is refused (400).

        The answer is not documented: the job if it holds one, else None (then ask for the job).
        After any HttpError the job's status tells whether it worked.
        """
        answer = self._seen(self.http.call("POST", f"{_at(job_id)}/validate", empty=True))
        return job_in(answer.data)

    def render(self, job_id: str, config: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """POST /jobs/{id}/render with ``requestedRenderConfig``: (job, was it a replay).

        Replay-safe (Renderjuice docs, Start render), hence repeated after a lost answer: what had
        been started already is answered with the present job.
        """
        answer = self._seen(
            self.http.repeatable(
                "POST",
                f"{_at(job_id)}/render",
                json={"requestedRenderConfig": dict(config)},
                empty=True,
            )
        )
        replayed = header(answer, REPLAY_HEADER).strip().lower() in ("true", "1")
        job = job_in(answer.data)
        return (self.job(job_id) if job is None else job), replayed

    def cancel(self, job_id: str) -> dict[str, Any] | None:
        """POST /jobs/{id}/cancel; the job if the answer holds one, else None.

        Refused with HttpError (4xx) when the job has ended, also when that is the work of an
        earlier attempt whose answer was lost: the job's status tells.
        """
        answer = self._seen(self.http.repeatable("POST", f"{_at(job_id)}/cancel", empty=True))
        return job_in(answer.data)

    # -- reads ----------------------------------------------------------------------------------

    def job(self, job_id: str) -> dict[str, Any]:
        """GET /jobs/{id}."""
        return self._job(self._seen(self.http.get(_at(job_id))))

    def jobs(
        self, page: int = 1, page_size: int | None = None
    ) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """GET /jobs: one page of the workspace's jobs and ``{"page", "pageSize", "total",
        "totalPages"}`` (only what the service told). The order is not documented.
        """
        params = {"page": page} | ({"pageSize": page_size} if page_size else {})
        answer = self._seen(self.http.get("/jobs", params))
        rows = answer.data
        holders = [as_dict(answer.body), as_dict(answer.data)]
        if isinstance(rows, dict):
            rows = next((rows[name] for name in ("jobs", "items", "data") if name in rows), None)
        if not isinstance(rows, list):
            raise unreadable("Renderjuice", answer.status, "not a list of jobs")
        told = next((as_dict(h["pagination"]) for h in holders if h.get("pagination")), {})
        numbers = {
            name: value
            for name in ("page", "pageSize", "total", "totalPages")
            if isinstance(value := told.get(name), int) and not isinstance(value, bool)
        }
        return [job for row in rows if (job := job_in(row)) is not None], numbers

    def check_key(self) -> None:
        """Ask something that needs a key and is free: HttpError(CREDENTIALS) if it is wrong."""
        self.jobs(1, page_size=1)

    def all_jobs(self, until: float | None = None) -> Iterator[dict[str, Any]]:
        """Every job once. With ``until`` (Unix seconds, Renderjuice's clock) a list that is newest
        first is read only as far back as that; in any other order it is read whole.
        """
        seen: set[str] = set()
        newest_first, last = True, None
        for number in range(1, _MOST_PAGES + 1):
            rows, pages = self.jobs(number)
            fresh = 0
            for row in rows:
                made = moment_of(row.get("createdAt"))
                if made is not None:
                    newest_first = newest_first and (last is None or made <= last)
                    last = made
                if row["id"] not in seen:
                    seen.add(row["id"])
                    fresh += 1
                    yield row
            if not fresh or number >= pages.get("totalPages", number + 1):
                return
            if until is not None and newest_first and last is not None and last < until:
                return

    def pricing(self) -> dict[str, float]:
        """There is no price list: rendering uses GPU minutes of a plan (Renderjuice docs, GPU
        minutes). One page of jobs is read instead, so that a refused key is told.
        """
        self.jobs()
        return {}

    def me(self) -> dict[str, Any]:
        """No call for a balance is documented."""
        return {"available": False}

    def created_at(self, job: Mapping[str, Any]) -> float | None:
        """When a job was made, in Unix seconds; None where that cannot be read."""
        return moment_of(job.get("createdAt"))

    def name_of(self, job: Mapping[str, Any]) -> str:
        """A name for people: the scene's file if the job tells it (undocumented), else ""."""
        for text in texts_in(job.get("sceneFile")):
            name = text.partition("?")[0].rpartition("/")[2]
            if name.lower().endswith((".blend", ".zip")):
                return name
        return ""

    def progress(self, job_id: str) -> Progress | None:
        """GET /jobs/{id}/progress; None when nothing runs, or it cannot be told. Never a fault:
        the job's status alone decides (Canceled is heard all the same).
        """
        try:
            answer = self.http.call("GET", f"{_at(job_id)}/progress", empty=True)
        except ProblemError:
            return None
        return read_progress(answer.data, job_id)

    def all_progress(self) -> dict[str, Progress]:
        """GET /jobs/progress: by job id; empty when nothing runs. Never a fault."""
        try:
            return read_all(self.http.call("GET", "/jobs/progress", empty=True).data)
        except ProblemError:
            return {}

    def downloads(self, job_id: str) -> Downloads:
        """GET /jobs/{id}/downloads: what can be fetched now; empty before outputs are ready."""
        answer = self._seen(self.http.get(f"{_at(job_id)}/downloads"))
        if not isinstance(answer.data, dict):
            raise unreadable("Renderjuice", answer.status, "not a list of downloads")
        return read_downloads(answer.data)

    # -- clocks ---------------------------------------------------------------------------------

    def server_now(self) -> float:
        """Renderjuice's time in Unix seconds, as far as its answers told it."""
        return time.time() - (self.skew or 0.0)

    def _seen(self, answer: Answer) -> Answer:
        moment = server_time(header(answer, "Date"))
        if moment is not None:
            self.skew = time.time() - moment
        return answer

    def _job(self, answer: Answer) -> dict[str, Any]:
        job = job_in(answer.data)
        if job is None:
            raise unreadable("Renderjuice", answer.status, "not a job")
        return job


def _at(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"
