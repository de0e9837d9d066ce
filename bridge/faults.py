# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of an exchange, in the words that an artist reads.

One function for each kind of failure, so that every sentence stands in one place. ``label`` is the
service's name. Nothing here talks to the network.
"""

from __future__ import annotations

import re
from typing import Any

from .outcomes import Lost, Outcome, Refused, Unsent
from .problems import Category, Problem, ProblemError
from .redact import technical

_ONLINE = "Check the internet connection. It is tried again by itself."


class HttpError(ProblemError):
    """A failed exchange.

    ``status`` is None if no answer was read; ``message`` is what the service said (bounded, safe to
    show), ``body`` its JSON; ``transient`` means that trying again may help, ``retry_after`` when
    (seconds); ``left`` that at least a part of the request was sent.
    """

    def __init__(
        self,
        category: Category,
        sentence: str,
        hint: str = "",
        technical: str = "",
        *,
        status: int | None = None,
        message: str = "",
        body: Any = None,
        retry_after: float | None = None,
        transient: bool = False,
        left: bool = True,
    ) -> None:
        super().__init__(category, sentence, hint, technical)
        self.status = status
        self.message = message
        self.body = body
        self.retry_after = retry_after
        self.transient = transient
        self.left = left


class OnlineAccessOff(HttpError):
    """Blender's online access is switched off: nothing may leave this computer."""


def offline() -> OnlineAccessOff:
    """The switch in Blender's preferences forbids the network."""
    return OnlineAccessOff(
        Category.NETWORK,
        "Blender's online access is off.",
        "Allow it in Preferences > System > Network. The job goes on then.",
        "online access is off",
        left=False,
    )


def connection(label: str, host: str, error: BaseException, left: bool) -> HttpError:
    """No answer: told apart by the cause that lies deepest in ``requests``' exceptions."""
    names, text = _chain(error)
    line = technical(f"{host}: {_reason(names, text)}")

    def fault(sentence: str, hint: str, transient: bool = True, kind: str = "") -> HttpError:
        category = Category(kind) if kind else Category.NETWORK
        return HttpError(category, sentence, hint, line, transient=transient, left=left)

    if "SSLCertVerificationError" in names or "CERTIFICATE_VERIFY_FAILED" in text:
        return fault(
            f"The connection to {label} cannot be trusted.",
            "If your company inspects the traffic, name its certificate file in the settings. "
            "Else check the clock of this computer.",
            transient=False,
        )
    if "Missing dependencies for SOCKS" in text:
        return fault("SOCKS proxies are not supported.", "Use an HTTP proxy.", transient=False)
    if "ProxyError" in names or "Tunnel connection failed" in text:
        return fault(
            "The proxy does not let the connection through.",
            "Check the proxy settings, and the name and password if it asks for one.",
            transient=not re.search(r"\b40[37]\b", text),
        )
    if "NameResolutionError" in names or "gaierror" in names:
        return fault(f"{label} cannot be found on the network.", _ONLINE)
    if "ConnectionRefusedError" in names or "Connection refused" in text:
        return fault(f"{label} cannot be reached.", _ONLINE)
    if "ConnectTimeoutError" in names or "ConnectTimeout" in names:
        return fault(f"{label} does not answer.", _ONLINE)
    if "ReadTimeout" in names or "ReadTimeoutError" in names or "TimeoutError" in names:
        return fault(f"{label} took too long to answer.", "It is tried again by itself.")
    if isinstance(error, ValueError):  # requests' InvalidURL, InvalidHeader, … are ValueErrors
        return fault(
            f"The address of {label} cannot be used.",
            "Check the base URL in the settings or the environment.",
            transient=False,
            kind="input",
        )
    return fault(f"The connection to {label} was lost.", _ONLINE)


def _chain(error: BaseException) -> tuple[set[str], str]:
    """The class names of an exception and of all that it wraps, and their text."""
    names: set[str] = set()
    texts: list[str] = []
    waiting: list[Any] = [error]
    while waiting and len(texts) < 20:
        item = waiting.pop(0)
        if not isinstance(item, BaseException):
            continue
        names.update(kind.__name__ for kind in type(item).__mro__ if kind is not Exception)
        texts.append(str(item))
        waiting += [getattr(item, "reason", None), item.__cause__, item.__context__, *item.args]
    return names, " ".join(texts)


def _reason(names: set[str], text: str) -> str:
    """The innermost readable reason: never an address with its query."""
    if "ProxyError" in names:
        code = re.search(r"Tunnel connection failed: (\d+)", text)
        return f"proxy error {code[1]}" if code else "proxy error"
    known = (
        "SSLCertVerificationError",
        "NameResolutionError",
        "ConnectionRefusedError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "RemoteDisconnected",
        "IncompleteRead",
        "ConnectionResetError",
        "BrokenPipeError",
        "SSLError",
        "NewConnectionError",
        "ProtocolError",
        "TimeoutError",
    )
    return next((name for name in known if name in names), "connection error")


def cut(label: str, detail: str) -> HttpError:
    """The answer ended too early."""
    return HttpError(
        Category.NETWORK,
        f"The connection to {label} was lost.",
        _ONLINE,
        technical("answer cut short", detail),
        transient=True,
    )


def unreadable(label: str, status: int, detail: str) -> HttpError:
    """A 2xx answer that is not one."""
    return HttpError(
        Category.SERVICE,
        f"{label} gave an answer that cannot be read.",
        "Try again later. A network with a sign-in page, or a proxy, can also be the cause.",
        technical(f"HTTP {status}", detail),
        status=status,
        transient=True,
    )


def stalled(seconds: float) -> HttpError:
    """No byte could be sent for ``seconds``."""
    return HttpError(
        Category.NETWORK,
        "The upload has stalled.",
        _ONLINE,
        f"no byte left for {seconds:g} s",
        transient=True,
    )


def unexpected(label: str, error: BaseException) -> HttpError:
    """Something that no rule here foresees."""
    return HttpError(
        Category.INTERNAL,
        f"Talking to {label} failed in an unexpected way.",
        "Please report this, with the job's log.",
        technical(type(error).__name__),
    )


def redirect(label: str, detail: str) -> HttpError:
    """A redirect that is not followed."""
    return HttpError(
        Category.SERVICE,
        f"{label} points to an address that is not safe to follow.",
        "Check the base URL. If it is right, try again later.",
        technical(detail),
    )


def refusal(
    label: str,
    status: int,
    message: str,
    *,
    body: Any = None,
    shape: str = "",
    retry_after: float | None = None,
    transient: bool = False,
) -> HttpError:
    """An error answer, in general words; a service's client may know better ones."""
    problem = _by_status(label, status, message)
    return HttpError(
        problem.category,
        problem.sentence,
        problem.hint,
        technical(f"HTTP {status}", message or shape),
        status=status,
        message=message,
        body=body,
        retry_after=retry_after,
        transient=transient,
    )


def _by_status(label: str, status: int, message: str) -> Problem:
    said = f" It says: {message}" if message else ""
    if status == 401:
        return Problem(
            Category.CREDENTIALS,
            f"{label} does not accept the key.",
            "Enter the key again. It may have been revoked or have expired.",
        )
    if status == 402:
        return Problem(
            Category.CREDITS,
            f"The {label} account has too few credits.",
            "Add credits to the account, then try again. Nothing was charged.",
        )
    if status == 403:
        return Problem(
            Category.CREDENTIALS,
            f"{label} does not allow this with the present key.",
            f"Check what the key and the plan of the account allow.{said}",
        )
    if status == 404:
        return Problem(
            Category.SERVICE,
            f"{label} does not know what was asked for.",
            f"It may have been deleted, or it belongs to another account.{said}",
        )
    if status == 407:
        return Problem(
            Category.NETWORK,
            "The proxy asks for a name and a password.",
            "Enter them in the proxy settings.",
        )
    if status == 409:
        return Problem(
            Category.SERVICE, f"{label} is not ready for this yet.", f"Try again later.{said}"
        )
    if status == 413:
        return Problem(
            Category.LIMIT,
            f"The file is larger than {label} accepts.",
            "Send fewer objects, or use smaller textures.",
        )
    if status == 429:
        return Problem(
            Category.SERVICE,
            f"{label} is busy and asks to wait.",
            "It is tried again by itself.",
        )
    if 300 <= status < 400:
        return Problem(
            Category.SERVICE,
            f"{label} seems to have moved.",
            "Check the base URL in the settings or the environment.",
        )
    if status < 500:
        return Problem(
            Category.INPUT,
            f"{label} refused the request.",
            message or "Check the options and the file, then try again.",
        )
    if status in (502, 503, 504):
        return Problem(
            Category.SERVICE,
            f"{label} is not available at the moment.",
            "It is tried again by itself.",
        )
    return Problem(
        Category.SERVICE,
        f"{label} has a fault of its own.",
        "Try again later. If it stays, tell the service.",
    )


def outcome(label: str, error: HttpError, complete: bool) -> Outcome:
    """What a failed exchange means for a request that may be sent only once.

    ``complete`` says whether its last piece was about to leave. A clear no (4xx, 307, 308) is
    Refused whenever it came; anything else is Unsent before that moment and Lost after it: a
    gateway's 5xx does not tell whether the service behind it took the request.
    """
    status = error.status
    kind: type[Outcome] = Lost if complete else Unsent
    if status is not None and (400 <= status < 500 or status in (307, 308)) and status != 408:
        kind = Refused
    if kind is not Lost:
        return kind.wrap(
            error.problem,
            status=status,
            transient=error.transient,
            retry_after=error.retry_after,
        )
    return Lost(
        Category.IN_DOUBT,
        f"{label} did not confirm the submission after everything had been sent.",
        f"It may have arrived. {label}'s job list is searched before anything is sent again.",
        error.problem.technical,
        status=status,
    )
