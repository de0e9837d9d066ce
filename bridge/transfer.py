# SPDX-License-Identifier: GPL-3.0-or-later
"""Files to a service and back, streamed: never a whole file in memory, never a half one in place.

Downloads go to ``<name>.part``, are checked, flushed to disk and renamed; they go on where they
stopped if the host allows it. A cancel is heard within a second. What is sent is in ``uploads``,
what is unpacked in ``archive``; both are named here too.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import faults
from .archive import Limits, extract_zip
from .disk import disk_problem, sync_folder
from .paths import readable_bytes, require_space
from .problems import Canceled, Category, ProblemError
from .uploads import FileUpload, JsonUpload, MultipartUpload, Upload

if TYPE_CHECKING:
    import requests

    from .http import Http

__all__ = [
    "FileUpload",
    "JsonUpload",
    "Limits",
    "MultipartUpload",
    "Upload",
    "download",
    "extract_zip",
]

_PIECE = 256 * 1024
_SPACE_MARGIN = 64 * 1024 * 1024


def download(
    http: Http,
    url: str,
    dest: Path,
    *,
    params: Mapping[str, Any] | None = None,
    expected_size: int | None = None,
    max_bytes: int | None = None,
    resume: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> int:
    """Fetch ``url`` (a path of the service, or an address) into ``dest``; returns its bytes.

    A broken connection is tried again, from where it stopped if the host can (Range, If-Range),
    else from zero. ``total`` in ``on_progress(done, total)`` is 0 while the size is unknown.
    Raises HttpError, ProblemError(DISK) for lack of room, Canceled. ``<dest>.part`` is kept after a
    failure only if it can be continued.
    """
    job = _Download(http, url, dest, params or {}, expected_size, max_bytes, resume)
    job.on_progress = on_progress or (lambda _done, _total: None)
    job.cancelled = cancelled or (lambda: False)
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        while True:
            before = job.received
            try:
                http.retrying(job.attempt, job.cancelled)
                return job.finish()
            except faults.HttpError as error:
                # A large file over a bad line: go on for as long as each round brings something.
                if not error.transient or not job.validator or job.received == before:
                    raise
    except OSError as error:
        raise disk_problem(error, dest) from None
    finally:
        job.tidy()


class _Download:
    def __init__(
        self,
        http: Http,
        url: str,
        dest: Path,
        params: Mapping[str, Any],
        expected: int | None,
        max_bytes: int | None,
        resume: bool,
    ) -> None:
        self.http, self.url, self.dest, self.params = http, url, dest, params
        self.expected, self.max_bytes, self.resume = expected, max_bytes, resume
        self.part = dest.with_name(f"{dest.name}.part")
        self.about = dest.with_name(f"{dest.name}.part.json")
        self.on_progress: Callable[[int, int], None]
        self.cancelled: Callable[[], bool]
        self.received = 0  # bytes over all attempts
        self.validator = self._known_validator() if resume else ""

    def _known_validator(self) -> str:
        """The validator under which an earlier ``.part`` was begun; "" if there is none."""
        try:
            value = json.loads(self.about.read_text("utf-8"))["validator"]
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        return value if isinstance(value, str) else ""

    def attempt(self) -> None:
        """One request; appends to the part where the host agrees."""
        offset = self._offset()
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": self.validator}
        try:
            with self.http.open(
                "GET", self.url, params=self.params, headers=headers, cancelled=self.cancelled
            ) as response:
                self._receive(response, offset)
        except faults.HttpError as error:
            if error.status == 416 and offset:  # our part does not fit what is there now
                self._forget()
                error.transient = True
            raise

    def _offset(self) -> int:
        if not self.validator:
            return 0
        try:
            return self.part.stat().st_size
        except OSError:
            return 0

    def _forget(self) -> None:
        self.validator = ""
        self.part.unlink(missing_ok=True)
        self.about.unlink(missing_ok=True)

    def _receive(self, response: requests.Response, offset: int) -> None:
        label = self.http.label
        encoded = response.headers.get("Content-Encoding", "identity").lower() != "identity"
        length = _number(response.headers.get("Content-Length"))
        if response.status_code == 206:
            start, whole = _content_range(response.headers.get("Content-Range", ""))
            if not offset or start != offset:
                self._forget()
                raise faults.cut(label, "the host sent another part than the one asked for")
            total = whole if whole is not None else (offset + length if length else None)
        else:
            offset = 0
            total = None if encoded else length
            self._begin(response, encoded)
        for size in (total, self.expected):
            if size is not None and self.max_bytes is not None and size > self.max_bytes:
                raise _too_large(label, size)
        if total is not None and self.expected is not None and total != self.expected:
            self._forget()
            raise _wrong_size(label, total, self.expected)
        known = total if total is not None else self.expected
        require_space(
            self.dest.parent, max((known or 0) - offset, 0) + _SPACE_MARGIN, "download the result"
        )
        done = self._copy(response, offset, known, encoded)
        if known is not None and done != known:
            if done > known:
                self._forget()
            raise faults.cut(label, f"{done} of {known} bytes")

    def _begin(self, response: requests.Response, encoded: bool) -> None:
        """From zero: remember what identifies this version, if anything does."""
        self._forget()
        tag = response.headers.get("ETag", "")
        strong = tag if tag.startswith('"') else ""
        self.validator = "" if encoded else strong or response.headers.get("Last-Modified", "")
        if not self.resume or response.headers.get("Accept-Ranges", "").lower() == "none":
            self.validator = ""
        if self.validator:
            self.about.write_text(json.dumps({"validator": self.validator}), "utf-8")

    def _copy(
        self, response: requests.Response, done: int, total: int | None, encoded: bool
    ) -> int:
        with self.part.open("ab" if done else "wb", buffering=0) as file:
            try:
                while True:
                    if self.cancelled():
                        raise Canceled
                    piece = self.http.read_some(response, _PIECE, decode=encoded)
                    if not piece:
                        break
                    view = memoryview(piece)
                    while view:
                        view = view[file.write(view) :]
                    done += len(piece)
                    self.received += len(piece)
                    if self.max_bytes is not None and done > self.max_bytes:
                        raise _too_large(self.http.label, done)
                    self.on_progress(done, total or 0)
            except BaseException:
                with contextlib.suppress(OSError):  # the first fault is the one to tell
                    os.fsync(file.fileno())
                raise
            os.fsync(file.fileno())
        return done

    def finish(self) -> int:
        """Rename the checked part; returns its size."""
        size = self.part.stat().st_size
        os.replace(self.part, self.dest)
        self.validator = ""
        self.about.unlink(missing_ok=True)
        sync_folder(self.dest.parent)
        return size

    def tidy(self) -> None:
        """Leave no part that nobody can continue."""
        if not self.validator:
            for path in (self.part, self.about):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _content_range(text: str) -> tuple[int | None, int | None]:
    """("bytes 100-199/500") -> (100, 500); an unknown whole size is None."""
    match = re.fullmatch(r"\s*bytes\s+(\d+)-(\d+)/(\d+|\*)\s*", text, re.I)
    if not match:
        return None, None
    return int(match[1]), None if match[3] == "*" else int(match[3])


def _wrong_size(label: str, got: int, expected: int) -> ProblemError:
    return ProblemError(
        Category.SERVICE,
        f"The result at {label} does not have the announced size.",
        "Try again. If it stays, tell the service.",
        f"{got} bytes, announced {expected}",
    )


def _too_large(label: str, size: int) -> ProblemError:
    return ProblemError(
        Category.LIMIT,
        f"The result at {label} is larger than is accepted here.",
        "It can be downloaded on the service's website.",
        f"at least {readable_bytes(size)}",
    )
