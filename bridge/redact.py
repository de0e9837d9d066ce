# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes secrets out of text before it is written or shown.

Everything that reaches a log, an error message or the store passes through ``redact`` first: API
keys by their known shapes, authorization headers, every value in a URL's query, the whole address
where the query is a signature (whoever holds a presigned URL may use it), and each exact key that
this process has handled (``remember``). It never raises, and redacting twice changes nothing.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import threading
from pathlib import Path
from urllib.parse import quote

MARK = "***"
LOG_BYTES = 1_000_000
LOG_COPIES = 2

_known: set[str] = set()
_known_lock = threading.Lock()

# Rigyd: rgyd_live_… / rgyd_test_…; Renderjuice: RJ-…; Glossi: glsi_…
_KEY_SHAPES = re.compile(
    r"\brgyd_[A-Za-z0-9_\-]+|\bglsi_[A-Za-z0-9_\-]+|\bRJ-[A-Za-z0-9][A-Za-z0-9._\-]{5,}"
)
_SCHEMES = re.compile(r"\b(Bearer|Basic|Digest|Token)\s+(?!\*\*\*)[A-Za-z0-9._~+/=\-]{6,}", re.I)
_NAMED = re.compile(
    r"""(?P<name>["']?\b(?:x-api-key|proxy-authorization|authorization|set-cookie|cookie
        |x-amz-security-token|api[_-]?key|client[_-]?secret|webhook[_-]?secret|access[_-]?token
        |refresh[_-]?token|password|passwd|secret|token)\b["']?\s*[:=]\s*)
        (?P<scheme>(?:Bearer|Basic|Digest|Token)\s+)?
        (?P<value>"[^"\r\n]*"|'[^'\r\n]*'|[^\s,;&"'<>)}\]]+)""",
    re.I | re.X,
)
_URL = re.compile(r"(?P<scheme>\b(?:https?|socks[45]h?|ftp)://)(?P<rest>[^\s\"'<>\\^`{}|]+)", re.I)
# A path with a query that is not written as a full address: what urllib3's errors and logs hold.
_BARE_QUERY = re.compile(r"(?<=[\w/\-.%])\?(?P<query>[\w\-.%\[\]]+=[^\s\"'<>)]*)")
_SIGNED = re.compile(
    r"(?:^|[?&;])(?:x-amz-[\w\-]+|x-goog-[\w\-]+|x-oss-[\w\-]+|signature|sig|policy|key-pair-id"
    r"|awsaccesskeyid|token|access_token|se|sv|sp)=",
    re.I,
)
_HOME_SHAPES = re.compile(
    r"(?P<root>/home/|/Users/|\b[A-Za-z]:[\\/]+Users[\\/]+)(?P<name>[^\\/\s\"':]+)"
)


def remember(secret: str | None) -> None:
    """From now on take this exact text out of everything; fewer than six characters are ignored."""
    if secret and len(secret.strip()) >= 6:
        with _known_lock:
            _known.add(secret.strip())
            _known.add(quote(secret.strip(), safe=""))


def forget_secrets() -> None:
    """Empty the list of exact secrets (tests)."""
    with _known_lock:
        _known.clear()


def _query(query: str) -> str:
    pieces = []
    for part in re.split(r"([&;])", query):
        name, equals, value = part.partition("=")
        pieces.append(f"{name}={MARK}" if equals and not value.startswith(MARK) else part)
    return "".join(pieces)


def _url(match: re.Match[str]) -> str:
    scheme, rest = match["scheme"], match["rest"]
    tail = ""
    while rest and rest[-1] in ".,;:!)]":
        tail = rest[-1] + tail
        rest = rest[:-1]
    rest = rest.partition("#")[0]
    place, question, query = rest.partition("?")
    authority, slash, path = place.partition("/")
    if "@" in authority:
        authority = f"{MARK}@{authority.rpartition('@')[2]}"
    if question and _SIGNED.search(query):
        return f"{scheme}{authority}/{MARK}{tail}"
    return f"{scheme}{authority}{slash}{path}{question}{_query(query)}{tail}"


def _bare_query(match: re.Match[str]) -> str:
    query = match["query"]
    return f"?{MARK}" if _SIGNED.search(query) else f"?{_query(query)}"


def _named(match: re.Match[str]) -> str:
    value = match["value"]
    around = value[0] if value[0] in "\"'" and value[-1] == value[0] and len(value) > 1 else ""
    return f"{match['name']}{match['scheme'] or ''}{around}{MARK}{around}"


def redact(text: object, *, people: bool = False) -> str:
    """``text`` without its secrets; with ``people`` also without the user names in home paths."""
    out = text if isinstance(text, str) else str(text)
    with _known_lock:
        secrets = sorted(_known, key=len, reverse=True)
    for secret in secrets:
        if secret in out:
            out = out.replace(secret, MARK)
    out = _URL.sub(_url, out)
    out = _BARE_QUERY.sub(_bare_query, out)
    out = _NAMED.sub(_named, out)
    out = _SCHEMES.sub(lambda match: f"{match[1]} {MARK}", out)
    out = _KEY_SHAPES.sub(MARK, out)
    if people:
        home = os.path.expanduser("~")
        if len(home) > 3:
            out = out.replace(home, "~")
        out = _HOME_SHAPES.sub(lambda match: f"{match['root']}…", out)
    return out


def technical(*parts: object, limit: int = 400) -> str:
    """One redacted line for ``Problem.technical``: no line breaks, bounded in length."""
    joined = "; ".join(str(part) for part in parts if part not in (None, ""))
    line = redact(" ".join(joined.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


class RedactingFormatter(logging.Formatter):
    """Formats a record, its arguments and its traceback, then redacts the whole."""

    def format(self, record: logging.LogRecord) -> str:
        """The finished line, redacted; a later formatter never sees the raw traceback."""
        return redact(super().format(record))


class RedactingFilter(logging.Filter):
    """Redacts a record's message in place, for handlers whose formatter is not ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always keeps the record."""
        try:
            message = record.getMessage()
        except Exception:  # a wrong format string must not lose the record or leak its arguments
            message = str(record.msg)
        record.msg, record.args = redact(message), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        return True


def redacted_handler(path: Path) -> logging.Handler:
    """A rotating file handler (private file, about 1 MB, two older copies) that redacts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.name == "posix":
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_BYTES, backupCount=LOG_COPIES, encoding="utf-8", delay=True
    )
    handler.setFormatter(
        RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
    )
    return handler


def job_log(folder: Path) -> logging.Logger:
    """A logger that writes to ``<folder>/job.log`` only: redacted, rotating, private.

    It is not in logging's global tree, since a worker runs many jobs and must not collect loggers.
    Close it with ``close_log``.
    """
    logger = logging.Logger(f"job.{folder.name[:8]}", logging.INFO)
    logger.addHandler(redacted_handler(folder / "job.log"))
    return logger


def close_log(logger: logging.Logger) -> None:
    """Close a ``job_log``'s file; a second call does nothing."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
