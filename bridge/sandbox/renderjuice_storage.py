# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Renderjuice's uploads and outputs lie here, and the signed URLs by which they travel.

``uploads/<slug>`` is one upload, ``jobs/<id>/output/`` a job's outputs. Clients are to treat both
the URLs and this layout as private (Renderjuice docs, Customizing pipelines).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import renderjuice_outputs
from .renderjuice_files import MAX_UPLOAD, receive
from .renderjuice_jobs import RenderStore
from .signed import Signer, quoted
from .wire import HttpError, Request, Response, xml_error

if TYPE_CHECKING:
    from . import Sandbox


class Storage:
    """Files below ``folder``, behind URLs that ``signer`` makes and checks."""

    def __init__(
        self, box: Sandbox, folder: Path, store: RenderStore, signer: Signer,
        ways: Callable[[], dict[str, Any]],
    ) -> None:  # fmt: skip
        self._box = box
        self._folder = folder
        self._store = store
        self._signer = signer
        self._ways = ways

    def upload_path(self, slug: str) -> Path:
        """Where an upload's bytes lie."""
        return self._folder / "uploads" / slug

    def job_folder(self, identifier: str) -> Path:
        """Where a job's scene and outputs lie."""
        return self._folder / "jobs" / identifier

    def target(self, name: str, kind: str) -> dict[str, Any]:
        """The answer of ``POST /uploads``: {"uploadUrl", "slug", "expiresAt"}."""
        ways = self._ways()
        headers = ("host", "content-type") if ways["signed_headers"] != "host" else ("host",)
        slug = self._store.add_upload(name, kind)
        path = f"/storage/uploads/{slug}"
        query, expires = self._signer.query("PUT", path, float(ways["upload_seconds"]), headers)
        return {
            "uploadUrl": f"{self._box.origin}/renderjuice{path}?{query}",
            "slug": slug,
            "expiresAt": expires.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }

    def url(self, identifier: str, name: str) -> str:
        """A URL for a file below a job's outputs."""
        path = f"/storage/jobs/{identifier}/{name}"
        query, _ = self._signer.query("GET", path, float(self._ways()["download_seconds"]))
        return f"{self._box.origin}/renderjuice{quoted(path)}?{query}"

    def handle(self, request: Request) -> Response:
        """Answer a request for ``/storage/...``. Raises HttpError, with XML as object stores do."""
        signed = self._signer.check(request)
        _, _, kind, name, *rest = request.path.split("/")
        if kind == "uploads":
            return self._put(request, name, signed)
        path = self.job_folder(name) / "output" / "/".join(rest)
        if not path.is_file():
            raise _no_such_key()
        return renderjuice_outputs.serve(path)

    def _put(self, request: Request, slug: str, signed: tuple[str, ...]) -> Response:
        ways, upload = self._ways(), self._store.upload(slug)
        if upload is None:
            raise _no_such_key()
        if upload["jobs"] or (upload["bytes"] is not None and ways["puts"] == "once"):
            raise HttpError(xml_error(403, "AccessDenied", "This upload has been made already"))
        limit = self._box.plan.max_upload_bytes or MAX_UPLOAD
        size = receive(request, upload["kind"], signed, self.upload_path(slug), limit)
        self._store.change_upload(slug, bytes=size)
        return Response(int(ways["put_status"]), {"ETag": f'"{slug.rpartition("-")[2]}"'})


def _no_such_key() -> HttpError:
    return HttpError(xml_error(404, "NoSuchKey", "The specified key does not exist."))
