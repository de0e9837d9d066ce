# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Glossi's files lie here, and how they travel: by signed URLs, or below an address.

Below ``bucket/`` a file's path is its key: ``workspaces/<id>/models/<id>/model.glb``,
``workspaces/<id>/renders/<job>/<id>/render.png``. Three ways lead there:

* a signed PUT, one hour long, for a model (Content-Type ``model/gltf-binary`` is signed);
* a signed GET, where an answer has a URL;
* ``/glossi/files/<key>``, unsigned: the address that somebody was given for bare keys. Keys cannot
  be guessed.

None of them wants the API key, and each refuses it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import renderjuice_outputs
from .glossi_store import MODEL, UPLOADING, GlossiStore, Record
from .signed import Signer, quoted, receive, refuse_keys
from .wire import HttpError, Request, Response, xml_error

if TYPE_CHECKING:
    from . import Sandbox

#: the web interface's limit (Glossi docs, Uploading your models); the API's is not documented
MAX_UPLOAD = 1_000_000_000
GLB = "model/gltf-binary"
_KEY = re.compile(r"workspaces/[0-9a-f-]{36}/(models|renders)/[0-9a-f-]{36}(/[0-9A-Za-z._-]+){1,2}")


class GlossiStorage:
    """Files below ``folder``."""

    def __init__(
        self, box: Sandbox, folder: Path, store: GlossiStore, signer: Signer,
        ways: Callable[[], dict[str, Any]],
    ) -> None:  # fmt: skip
        self._box = box
        self._folder = folder
        self._store = store
        self._signer = signer
        self._ways = ways

    def path(self, key: str) -> Path:
        """Where the file of a key lies."""
        return self._folder / "bucket" / key

    def folder_of(self, kind: str, identifier: str) -> Path:
        """The folder of a model's ("models") or a render job's ("renders") files."""
        return self.path(f"workspaces/{self._store.workspace}/{kind}/{identifier}")

    def model_key(self, identifier: str) -> str:
        """The key of a model's file."""
        return f"workspaces/{self._store.workspace}/models/{identifier}/model.glb"

    def workdir(self, identifier: str) -> Path:
        """For parameters, logs and unfinished files of one model or render job."""
        return self._folder / "work" / identifier

    @property
    def address(self) -> str:
        """What a bare key is joined to."""
        return f"{self._box.origin}/glossi/files/"

    def upload_url(self, key: str) -> str:
        """A URL for one model's bytes."""
        seconds = float(self._ways()["upload_seconds"])
        path = f"/storage/{key}"
        query, _ = self._signer.query("PUT", path, seconds, ("content-type", "host"))
        return f"{self._box.origin}/glossi{quoted(path)}?{query}"

    def url(self, key: str) -> str:
        """A URL for a file."""
        path = f"/storage/{key}"
        query, _ = self._signer.query("GET", path, float(self._ways()["download_seconds"]))
        return f"{self._box.origin}/glossi{quoted(path)}?{query}"

    def remove(self, kind: str, identifier: str) -> None:
        """Delete the files of a model or render job."""
        shutil.rmtree(self.folder_of(kind, identifier), ignore_errors=True)
        shutil.rmtree(self.workdir(identifier), ignore_errors=True)

    # -- answering -------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer a request for ``/storage/...`` or ``/files/...``. Raises HttpError, with XML."""
        _, place, key = request.path.split("/", 2)
        if place == "files":
            refuse_keys(request)
            if request.method not in ("GET", "HEAD"):
                raise HttpError(xml_error(405, "MethodNotAllowed", "Not allowed here"))
        else:
            self._signer.check(request)
            if request.method == "PUT":
                return self._put(request, key)
        if not _KEY.fullmatch(key) or not self.path(key).is_file():
            raise _no_such_key()
        return renderjuice_outputs.serve(self.path(key))

    def _put(self, request: Request, key: str) -> Response:
        model = self._store.get(MODEL, key.split("/")[3])
        if model is None:
            raise _no_such_key()
        again = model.private.get("bytes") is not None and self._ways()["puts"] == "once"
        if model.state != UPLOADING or again:
            raise HttpError(xml_error(403, "AccessDenied", "This upload has been made already"))
        limit = self._box.plan.max_upload_bytes or MAX_UPLOAD
        size = receive(request, GLB, self.path(key), limit)

        def uploaded(record: Record) -> None:
            record.private["bytes"] = size

        self._store.change(MODEL, model.id, uploaded)
        return Response(200, {"ETag": f'"{model.id[:8]}-{size:x}"'})


def _no_such_key() -> HttpError:
    return HttpError(xml_error(404, "NoSuchKey", "The specified key does not exist."))
