# SPDX-License-Identifier: GPL-3.0-or-later
"""One policy for all talk with services: timeouts, retries, proxies, redirects, errors.

* Only calls that may be repeated are retried (connection faults, 429, 502, 503, 504), with
  decorrelated jitter and the service's Retry-After. A call that may happen once ends in an answer
  or in one of ``outcomes``; it is never sent a second time here.
* The key goes to the service's own origin only: not to another host, port or scheme, not along a
  redirect, not to a presigned address.
* Plain http only on this computer. No answer is trusted to be JSON, or to be small.
* What is raised is a ``HttpError``: a problem with a sentence and a hint; its technical line never
  holds a key or a query.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests

from . import __version__, answers, faults
from .answers import Answer
from .credentials import clean_key
from .faults import HttpError
from .problems import Canceled, ProblemError
from .reading import Reader
from .redact import remember, technical
from .route import ca_bundle, check_url, is_loopback, origin, proxies_for
from .settings import Settings
from .wire import PlainSession, Watch, watching

if TYPE_CHECKING:
    from .uploads import Upload

USER_AGENT = f"scene-courier/{__version__}"
MAX_REDIRECTS = 5
_FIRST_PAUSE = 0.5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CLOCK_SECONDS = 300

# urllib3 would log whole addresses, queries included, when somebody turns on debug logging.
logging.getLogger("urllib3").setLevel(logging.WARNING)


class Http(Reader):
    """A service's address, its key and the policy above.

    ``auth`` gives the headers that identify us (default: ``Authorization: Bearer <key>``).
    ``online`` is asked before each exchange with anything but this computer. ``explain`` may give
    a better problem for an error answer of this service: ``explain(error) -> Problem | None``.
    """

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        *,
        auth: Callable[[str], Mapping[str, str]] | None = None,
        settings: Settings | None = None,
        online: Callable[[], bool] | None = None,
        cancelled: Callable[[], bool] | None = None,
        headers: Mapping[str, str] | None = None,
        explain: Callable[[HttpError], Any] | None = None,
        label: str = "The service",
        log: logging.Logger | None = None,
    ) -> None:
        check_url(base_url)
        self.base_url = base_url.strip().rstrip("/")
        self.settings = settings or Settings()
        self.label = label
        self._key = clean_key(key) if key else ""
        remember(self._key)
        self._auth = auth or (lambda value: {"Authorization": f"Bearer {value}"})
        self._online = online or (lambda: True)
        self._cancelled = cancelled or (lambda: False)
        self._headers = {"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})}
        self._explain = explain
        self._log = log or logging.getLogger(__name__)
        self._session: PlainSession | None = None
        self._verify: str | bool | None = None
        #: this computer's clock minus the service's, in seconds, once a difference was seen
        self.clock_skew = 0.0

    def __repr__(self) -> str:
        return f"<Http {self.base_url} key={'yes' if self._key else 'no'}>"

    def keyless(
        self,
        *,
        label: str = "",
        explain: Callable[[HttpError], Any] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Http:
        """The same policy without the key, for presigned addresses (also of the same host).

        A connection of its own: each thread of a parallel transfer takes one.
        """
        other = Http(
            self.base_url,
            settings=self.settings,
            online=self._online,
            cancelled=cancelled or self._cancelled,
            explain=explain,
            label=label or self.label,
            log=self._log,
        )
        other._headers["Accept"] = "*/*"
        return other

    def close(self) -> None:
        """Close the connections that are kept open."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> Http:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def local(self) -> bool:
        """True when the service runs on this computer (the sandbox)."""
        return is_loopback(urlsplit(self.base_url).hostname)

    def notes(self) -> list[str]:
        """Remarks for the artist that came up, e.g. a wrong clock."""
        if abs(self.clock_skew) < _CLOCK_SECONDS:
            return []
        side = "ahead" if self.clock_skew > 0 else "behind"
        minutes = max(1, round(abs(self.clock_skew) / 60))
        return [f"The clock of this computer is about {minutes} minutes {side}. Set it right."]

    # -- calls that may be repeated -------------------------------------------------------------

    def get(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        cancelled: Callable[[], bool] | None = None,
    ) -> Answer:
        """GET and read JSON; retried. Raises HttpError, or Canceled if ``cancelled()`` says so."""
        return self.repeatable("GET", path, params=params, cancelled=cancelled)

    def repeatable(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        empty: bool = False,
        cancelled: Callable[[], bool] | None = None,
    ) -> Answer:
        """A call whose repetition does no harm, whatever its method. Raises as ``get`` does.

        ``empty`` accepts a good answer without a body: its ``data`` is None.
        """

        def attempt() -> Answer:
            return self.call(method, path, params=params, json=json, empty=empty, stop=cancelled)

        return self.retrying(attempt, cancelled)

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        empty: bool = False,
        stop: Callable[[], bool] | None = None,
    ) -> Answer:
        """One attempt of a call that costs nothing. Arguments and faults as of ``repeatable``."""
        with self.open(method, path, params=params, json=json, cancelled=stop) as response:
            return self._read(response, empty=empty)

    def retrying(
        self, attempt: Callable[[], Any], cancelled: Callable[[], bool] | None = None
    ) -> Any:
        """Call ``attempt`` until it works, at most ``settings.retries`` times more.

        Only transient HttpErrors are retried. The pauses grow at random (decorrelated jitter), so
        that many clients do not come back together; a Retry-After counts, up to the cap.
        """
        pause = _FIRST_PAUSE
        cap = self.settings.retry_cap_seconds
        for left in range(self.settings.retries, -1, -1):
            try:
                return attempt()
            except HttpError as error:
                if not error.transient or not left:
                    raise
                pause = min(cap, random.uniform(_FIRST_PAUSE, pause * 3))
                wait = pause if error.retry_after is None else min(cap, error.retry_after)
                self._log.info("%s; again in %.1f s", error.problem.technical, wait)
                self.sleep(wait, cancelled)
        raise AssertionError("unreachable")

    def sleep(self, seconds: float, cancelled: Callable[[], bool] | None = None) -> None:
        """Wait; Canceled within a fifth of a second of ``cancelled()``."""
        end = time.monotonic() + seconds
        stop = cancelled or self._cancelled
        while (left := end - time.monotonic()) > 0:
            if stop():
                raise Canceled
            time.sleep(min(0.2, left))

    @contextmanager
    def open(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[requests.Response]:
        """One exchange, redirects followed for GET; yields a good (2xx) answer, its body unread.

        ``url`` is a path below the base URL or a whole address; the key goes along only to the
        service's own origin. Raises HttpError for everything else than 2xx.
        """
        target = self._target(url)
        if self._session is None:
            self._session = PlainSession()
        stop = cancelled or self._cancelled
        watch = Watch(stop, self.settings.stall_seconds, self.settings.read_seconds)
        for _hop in range(MAX_REDIRECTS + 1):
            response = self._exchange(
                self._session, watch, method, target, params=params, json=json, headers=headers
            )
            try:
                if response.status_code in _REDIRECTS and method in ("GET", "HEAD"):
                    target = self._redirected(response, target)
                    params = None
                    continue
                if not 200 <= response.status_code < 300:
                    raise self._error(response)
                yield response
                return
            finally:
                response.close()
        raise faults.redirect(self.label, "more than five redirects")

    # -- calls that may happen once -------------------------------------------------------------

    def once(
        self,
        path: str,
        upload: Upload,
        *,
        headers: Mapping[str, str] | None = None,
        valid: Callable[[Any], bool] = lambda data: data is not None,
    ) -> Answer:
        """POST ``upload`` exactly once and read the answer.

        ``valid(data)`` says whether a 2xx answer is one. Raises Unsent when the body never left
        whole, Refused when the service said no, Lost when everything was sent and no valid answer
        came; Canceled, or the upload's own ProblemError, before the last piece.
        """
        accepted = False  # a 2xx was heard, even if it came before we had sent everything
        try:
            # A connection of its own: a kept one may just be closing, which would look like Lost.
            with PlainSession() as session:
                response = self._upload(session, "POST", self._target(path), upload, headers)
                try:
                    if not 200 <= response.status_code < 300:
                        raise self._error(response)
                    accepted = True
                    answer = self._read(response)
                    if not valid(answer.data):
                        raise faults.unreadable(self.label, answer.status, "not what was expected")
                    return answer
                finally:
                    response.close()
        except HttpError as error:
            raise faults.outcome(self.label, error, accepted or upload.committed) from None
        except Exception as error:
            if not upload.committed:
                raise
            raise faults.outcome(self.label, faults.unexpected(self.label, error), True) from None

    def put_file(
        self, url: str, upload: Upload, *, headers: Mapping[str, str] | None = None
    ) -> Mapping[str, str]:
        """PUT a body to a presigned address: no key, no redirect, the address is never logged.

        An upload whose ``content_type`` is "" is sent without one. Returns the answer's headers (an
        ETag, say). Raises HttpError; the caller decides whether a new address is asked for and the
        bytes are sent again.
        """
        with PlainSession() as session:
            target = self._target(url)
            response = self._upload(session, "PUT", target, upload, headers, keyed=False)
            try:
                if not 200 <= response.status_code < 300:
                    raise self._error(response)
                return dict(response.headers)
            finally:
                response.close()

    def _upload(
        self,
        session: PlainSession,
        method: str,
        target: str,
        upload: Upload,
        headers: Mapping[str, str] | None,
        *,
        keyed: bool = True,
    ) -> requests.Response:
        watch = Watch(
            upload.cancelled,
            self.settings.stall_seconds,
            self.settings.answer_seconds,
            upload.moved,
        )
        upload.watch = watch
        kind = {"Content-Type": upload.content_type} if upload.content_type else {}
        return self._exchange(
            session,
            watch,
            method,
            target,
            data=upload,
            headers={**kind, **(headers or {})},
            keyed=keyed,
        )

    # -- one exchange ---------------------------------------------------------------------------

    def _target(self, url: str) -> str:
        target = url if "://" in url else f"{self.base_url}/{url.lstrip('/')}"
        check_url(target, "The address that the service named" if "://" in url else "The address")
        return target

    def _same_place(self, target: str) -> bool:
        return origin(target) == origin(self.base_url)

    def _exchange(
        self,
        session: PlainSession,
        watch: Watch,
        method: str,
        target: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        keyed: bool = True,
    ) -> requests.Response:
        host = urlsplit(target).hostname or ""
        if not is_loopback(host) and not self._online():
            raise faults.offline()
        watch.check()
        sent = {**self._headers, **(headers or {})}
        if keyed and self._key and self._same_place(target):
            sent.update(self._auth(self._key))
        if self._verify is None:
            self._verify = ca_bundle(self.settings)
        proxies = proxies_for(target, self.settings)
        settings = self.settings
        try:
            prepared = requests.Request(
                method, target, headers=sent, params=params, json=json, data=data
            ).prepare()
            with watching(watch):
                response = session.send(
                    prepared,
                    stream=True,
                    allow_redirects=False,
                    verify=self._verify,
                    proxies=proxies,
                    timeout=(settings.connect_seconds, watch.answer_seconds),
                )
        except (requests.RequestException, OSError, ValueError) as error:
            # ValueError: http.client's and urllib3's refusals of odd headers and addresses
            raise faults.connection(self.label, host, error, watch.left) from None
        self._see_clock(response)
        return response

    def _redirected(self, response: requests.Response, target: str) -> str:
        """Where a redirect leads; never out of encryption, never into this computer."""
        place = response.headers.get("Location", "")
        if not place:
            raise faults.redirect(self.label, f"HTTP {response.status_code} without a Location")
        try:
            new = urljoin(target, place)
            parts = check_url(new, "The address that the service named")
        except (ValueError, ProblemError) as error:
            raise faults.redirect(self.label, technical(error)) from None
        if is_loopback(parts.hostname) and not is_loopback(urlsplit(target).hostname):
            raise faults.redirect(self.label, "redirect into this computer")
        return new

    def _see_clock(self, response: requests.Response) -> None:
        moment = answers.server_time(response.headers.get("Date", ""))
        if moment is not None:
            skew = time.time() - moment
            self.clock_skew = skew if abs(skew) >= _CLOCK_SECONDS else 0.0
