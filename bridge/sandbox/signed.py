# SPDX-License-Identifier: GPL-3.0-or-later
"""Object storage on this server: signed URLs without a key, that expire.

A URL carries its right in its query, signed like S3's (the signature is this sandbox's own): the
method, the path, the time and the signed headers. It is as strict as a presigned URL can be, so
that a client that is careless here would not fail only at the vendor:

* a request with Authorization, with a Content-Type that was not signed, or with an unsigned
  ``x-amz-*`` header is refused; so is HEAD on a URL that was signed for GET;
* an upload needs the Content-Type that was signed (none, if none was), an exact Content-Length and
  less than a limit;
* refusals are XML, as object stores write them.

Uploads are streamed to disk: memory stays flat whatever their size.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode

from .wire import HttpError, Request, xml_error

_STAMP = "%Y%m%dT%H%M%SZ"
_SIGNATURE = "X-Amz-Signature"


class Signer:
    """Makes and checks signed URLs below one path. ``secret`` never leaves it."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def query(
        self, method: str, path: str, lifetime: float, headers: tuple[str, ...] = ("host",)
    ) -> tuple[str, datetime]:
        """The query that allows ``method`` on ``path``, and the moment of its expiry.

        ``lifetime`` is in seconds; 0 or less gives one that has expired.
        """
        seconds = max(1, int(lifetime))
        began = int(time.time() - (seconds if lifetime <= 0 else 0))
        values = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Date": datetime.fromtimestamp(began, UTC).strftime(_STAMP),
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": ";".join(sorted(headers)),
        }
        signature = self._sign(method, path, values)
        return (
            urlencode({**values, _SIGNATURE: signature}),
            datetime.fromtimestamp(began + seconds, UTC),
        )

    def check(self, request: Request) -> tuple[str, ...]:
        """The signed headers of a request whose URL is right. Raises HttpError (XML, 400, 403)."""
        refuse_keys(request)
        values = {name: items[-1] for name, items in request.query.items()}
        given = values.pop(_SIGNATURE, "")
        expected = self._sign(request.method, request.path, values)
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise mismatch()
        began = datetime.strptime(values["X-Amz-Date"], _STAMP).replace(tzinfo=UTC).timestamp()
        if time.time() >= began + int(values["X-Amz-Expires"]):
            raise HttpError(xml_error(403, "AccessDenied", "Request has expired"))
        signed = tuple(values["X-Amz-SignedHeaders"].split(";"))
        for name in request.headers:
            if name.lower().startswith("x-amz-") and name.lower() not in signed:
                raise HttpError(xml_error(403, "AccessDenied", f"The header {name} was not signed"))
        return signed

    def _sign(self, method: str, path: str, values: dict[str, str]) -> str:
        text = "\n".join([method, path, *(f"{name}={values[name]}" for name in sorted(values))])
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def refuse_keys(request: Request) -> None:
    """Raises HttpError (XML, 400) for a request that brings a key of a service along."""
    for name in ("Authorization", "X-API-Key"):
        if name in request.headers:
            raise HttpError(
                xml_error(400, "InvalidArgument", f"Only one auth mechanism is allowed, not {name}")
            )


def mismatch() -> HttpError:
    """The refusal of a request that is not the one that was signed."""
    return HttpError(
        xml_error(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided",
        )
    )


def quoted(path: str) -> str:
    """A path as it stands in a URL."""
    return quote(path, safe="/")


def receive(request: Request, content_type: str, target: Path, limit: int) -> int:
    """Take an upload's bytes into ``target``, whole or not at all; how many.

    ``content_type`` is what was signed, "" for none; ``limit`` the size that a file must stay
    under. Raises HttpError (XML), ClientGone when the client's connection ends early,
    CutConnection for a fault.
    """
    if request.header("Content-Type") != content_type:
        raise mismatch()
    length = request.body.length
    if length is None or "Content-Length" not in request.headers:
        raise HttpError(
            xml_error(411, "MissingContentLength", "You must provide the Content-Length header")
        )
    if length >= limit:
        raise HttpError(
            xml_error(400, "EntityTooLarge", "Your upload exceeds the maximum allowed size")
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    if length > shutil.disk_usage(target.parent).free:
        raise HttpError(xml_error(503, "SlowDown", "There is no room for this upload"))
    temporary = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        with open(temporary, "wb", buffering=0) as file:
            for piece in request.body:
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
        os.replace(temporary, target)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise HttpError(xml_error(503, "ServiceUnavailable", reason)) from None
    finally:
        temporary.unlink(missing_ok=True)
    return length
