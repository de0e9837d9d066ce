# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a service's key comes from: the environment, the system's keyring, or a private file.

In that order. The file exists only where there is no keyring and the artist agreed to it; it is
readable by its owner alone. Calls to a keyring may open a prompt, so they run in a thread of their
own and are given up after a while: never call this module on Blender's main thread. A key is never
logged, shown or put into an error; ``keyring`` is imported only when it is needed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import queue
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .paths import data_home, private_write
from .problems import Category, Problem, ProblemError
from .redact import remember, technical

KEYRING_SERVICE = "scene-courier"
FILE_NAME = "credentials.json"
SANDBOX = "sandbox"
#: the account of what a service's events are signed with
WEBHOOK = "webhook"
KEYRING_SECONDS = 30.0
_LONGEST_KEY = 2048
_QUOTES = "\"'`“”‘’«»"
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\u00a0"

_stuck: threading.Thread | None = None
_stuck_lock = threading.Lock()


@dataclass(frozen=True)
class Credential:
    """A key and where it was found: "environment", "keyring", "file" or "sandbox"."""

    key: str = field(repr=False)
    source: str


class _KeyringTrouble(Exception):
    """The keyring could not be used; carries the words for it. ``absent``: there is none at all."""

    def __init__(self, problem: Problem, absent: bool = False) -> None:
        super().__init__(problem.sentence)
        self.problem = problem
        self.absent = absent


def variable(service: str, account: str = "default") -> str:
    """The environment variable of a service's key, e.g. RIGYD_API_KEY, or of its webhook secret."""
    return f"{service.upper()}_{'WEBHOOK_SECRET' if account == WEBHOOK else 'API_KEY'}"


def clean_key(text: str, what: str = "The key") -> str:
    """The key without what a paste brings along: spaces, line ends, quotes, a "Bearer" in front.

    Raises ProblemError(CREDENTIALS) if nothing is left or if it cannot be put into a header.
    """
    key = text.strip().strip(_INVISIBLE).strip()
    while key and key[0] in _QUOTES:
        key = key[1:].strip()
    while key and key[-1] in _QUOTES:
        key = key[:-1].strip()
    if key[:7].lower() == "bearer ":
        key = key[7:].strip()
    key = key.strip(_INVISIBLE).strip()
    if not key:
        raise ProblemError(
            Category.CREDENTIALS,
            f"{what} is empty.",
            "Copy the whole key from the page of the service and enter it again.",
        )
    if len(key) > _LONGEST_KEY or any(not "!" <= character <= "~" for character in key):
        raise ProblemError(
            Category.CREDENTIALS,
            f"{what} contains characters that a key cannot have.",
            "Copy only the key itself, in one line, and enter it again.",
            technical(f"{len(key)} characters, with spaces, line breaks or non-ASCII ones"),
        )
    return key


def fingerprint(key: str, salt: str | bytes) -> str:
    """16 hex digits that tell whether two keys are the same, without keeping either."""
    raw = salt.encode() if isinstance(salt, str) else salt
    return hmac.new(raw, key.encode(), hashlib.sha256).hexdigest()[:16]


# --- the keyring -------------------------------------------------------------------------------


def _bounded(call: Callable[[], Any], seconds: float) -> Any:
    """Run ``call`` in a thread; give up after ``seconds`` (a desktop prompt may never end)."""
    global _stuck
    with _stuck_lock:
        if _stuck is not None and _stuck.is_alive():
            raise _KeyringTrouble(_waiting_problem())
        _stuck = None
    answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((True, call()))
        except BaseException as error:  # handed over to the caller's thread, whatever it is
            answers.put((False, error))

    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    try:
        fine, value = answers.get(timeout=seconds)
    except queue.Empty:
        with _stuck_lock:
            _stuck = thread
        raise _KeyringTrouble(_waiting_problem()) from None
    if fine:
        return value
    raise _translated(value)


def _waiting_problem() -> Problem:
    return Problem(
        Category.CREDENTIALS,
        "The keyring of this computer does not answer.",
        "It may be waiting for you to unlock it. Unlock it, then try again.",
        "keyring call timed out",
    )


def _translated(error: BaseException) -> _KeyringTrouble:
    """Every way in which a keyring fails, as a problem; never the text of unknown errors."""
    if isinstance(error, ImportError):
        return _KeyringTrouble(_none_problem("keyring is not installed"), absent=True)
    name = type(error).__name__
    if name == "NoKeyringError":
        return _KeyringTrouble(_none_problem(name), absent=True)
    if name in ("KeyringLocked", "InitError"):
        return _KeyringTrouble(
            Problem(
                Category.CREDENTIALS,
                "The keyring of this computer is locked.",
                "Unlock it (on Linux by signing in to the desktop), then try again.",
                name,
            )
        )
    return _KeyringTrouble(
        Problem(
            Category.CREDENTIALS,
            "The keyring of this computer cannot be used.",
            "Set the key in the environment instead, or keep it in a private file.",
            name,
        )
    )


def _none_problem(why: str) -> Problem:
    return Problem(
        Category.CREDENTIALS,
        "This computer has no keyring to keep the key in.",
        "Set the key in the environment, or agree to keep it in a private file.",
        why,
    )


def _user(service: str, account: str) -> str:
    return f"{service}:{account}"


def _keyring_get(service: str, account: str, seconds: float) -> str | None:
    def call() -> str | None:
        import keyring

        return keyring.get_password(KEYRING_SERVICE, _user(service, account))

    value = _bounded(call, seconds)
    return value if isinstance(value, str) and value else None


def _keyring_set(service: str, account: str, key: str, seconds: float) -> None:
    def call() -> bool:
        import keyring

        keyring.set_password(KEYRING_SERVICE, _user(service, account), key)
        # Some backends (null) drop what they are given without a word.
        return keyring.get_password(KEYRING_SERVICE, _user(service, account)) == key

    if not _bounded(call, seconds):
        raise _KeyringTrouble(_none_problem("the keyring did not keep the key"), absent=True)


def _keyring_delete(service: str, account: str, seconds: float) -> bool:
    def call() -> bool:
        import keyring
        import keyring.errors

        if keyring.get_password(KEYRING_SERVICE, _user(service, account)) is None:
            return False
        try:
            keyring.delete_password(KEYRING_SERVICE, _user(service, account))
        except keyring.errors.PasswordDeleteError:
            return False
        return True

    return bool(_bounded(call, seconds))


# --- the private file --------------------------------------------------------------------------


def _file(home: Path) -> Path:
    return home / FILE_NAME


def _read_file(home: Path) -> dict[str, str]:
    """The keys in the private file; empty if there is none. Refuses one that others may read."""
    path = _file(home)
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            raw = file.read(1_000_000)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ProblemError(
            Category.CREDENTIALS,
            "The private file with the key cannot be read.",
            "Enter the key again in the preferences, or set it in the environment.",
            technical(type(error).__name__, error.strerror),
        ) from None
    if os.name == "posix" and (
        about.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or about.st_uid != os.geteuid()
    ):
        raise ProblemError(
            Category.CREDENTIALS,
            "The private file with the key can be read by other users.",
            f"Make “{FILE_NAME}” in the data folder readable by you alone (mode 0600), "
            "or enter the key again.",
            technical(f"mode {stat.S_IMODE(about.st_mode):04o}, owner {about.st_uid}"),
        )
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except ValueError:
        return {}
    if not isinstance(data, dict):
        return {}
    return {str(name): value for name, value in data.items() if isinstance(value, str)}


def _write_file(home: Path, keys: Mapping[str, str]) -> None:
    try:
        if keys:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            private_write(_file(home), json.dumps(dict(keys), indent=2))
        else:
            _file(home).unlink(missing_ok=True)
    except OSError as error:
        raise ProblemError(
            Category.DISK,
            "The private file with the key cannot be written.",
            "Check that the data folder is writable and that the disk has room.",
            technical(type(error).__name__, error.strerror),
        ) from None


def _sandbox(home: Path, service: str) -> Credential | None:
    """The running sandbox's own key, from its private address file."""
    try:
        data = json.loads((home / "sandbox" / "address.json").read_text("utf-8"))
        key = data[service]["api_key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Credential(clean_key(key), "sandbox") if isinstance(key, str) and key else None


# --- what others call --------------------------------------------------------------------------


def find(
    service: str,
    account: str = "default",
    *,
    home: Path | None = None,
    environ: Mapping[str, str] | None = None,
    seconds: float = KEYRING_SECONDS,
) -> Credential | None:
    """The key to use, or None if there is none anywhere.

    Account "sandbox" is answered from the sandbox's address file alone. Raises
    ProblemError(CREDENTIALS) where a key seems to exist but cannot be used: a malformed one, a
    locked keyring, a file that others may read.
    """
    place = data_home() if home is None else home
    if account == SANDBOX:
        found = _sandbox(place, service)
    else:
        found = _find(service, account, place, os.environ if environ is None else environ, seconds)
    if found:
        remember(found.key)
    return found


def _find(
    service: str, account: str, home: Path, environ: Mapping[str, str], seconds: float
) -> Credential | None:
    name = variable(service, account)
    if account in ("default", WEBHOOK) and environ.get(name, "").strip():
        remember(environ[name])
        return Credential(clean_key(environ[name], f"The key in {name}"), "environment")
    trouble: Problem | None = None
    try:
        value = _keyring_get(service, account, seconds)
    except _KeyringTrouble as error:
        value, trouble = None, None if error.absent else error.problem
    if value:
        return Credential(clean_key(value, "The key in the keyring"), "keyring")
    kept = _read_file(home).get(_user(service, account))
    if kept:
        return Credential(clean_key(kept, "The key in the private file"), "file")
    if trouble is not None:
        raise ProblemError.of(trouble)
    return None


def store(
    service: str,
    account: str,
    key: str,
    *,
    home: Path | None = None,
    allow_file: bool = False,
    seconds: float = KEYRING_SECONDS,
) -> str:
    """Keep a key; returns where: "keyring" or "file".

    The file is used only with ``allow_file``, where the caller has announced it. Raises
    ProblemError(CREDENTIALS) if the key is malformed or there is no place to keep it.
    """
    place = data_home() if home is None else home
    cleaned = clean_key(key)
    remember(cleaned)
    try:
        _keyring_set(service, account, cleaned, seconds)
    except _KeyringTrouble as error:
        if not allow_file:
            raise ProblemError.of(error.problem) from None
        keys = _readable_keys(place)
        keys[_user(service, account)] = cleaned
        _write_file(place, keys)
        return "file"
    keys = _readable_keys(place)
    if keys.pop(_user(service, account), None) is not None:
        _write_file(place, keys)  # an older copy would only be a second place to leak from
    return "keyring"


def _readable_keys(home: Path) -> dict[str, str]:
    try:
        return _read_file(home)
    except ProblemError:
        return {}


def delete(
    service: str,
    account: str = "default",
    *,
    home: Path | None = None,
    seconds: float = KEYRING_SECONDS,
) -> list[str]:
    """Forget a key in the keyring and in the file; returns where it was removed.

    Raises ProblemError(CREDENTIALS) if the keyring is there but cannot be used now.
    """
    place = data_home() if home is None else home
    removed = []
    keys = _readable_keys(place)
    if keys.pop(_user(service, account), None) is not None:
        _write_file(place, keys)
        removed.append("file")
    try:
        if _keyring_delete(service, account, seconds):
            removed.append("keyring")
    except _KeyringTrouble as error:
        if not error.absent:
            raise ProblemError.of(error.problem) from None
    return removed


def describe(
    service: str,
    account: str = "default",
    *,
    home: Path | None = None,
    environ: Mapping[str, str] | None = None,
    seconds: float = KEYRING_SECONDS,
) -> dict[str, str]:
    """``{"key_source", "variable", "sentence", "hint"}``: where the key comes from, never the key.

    ``key_source`` is "environment", "keyring", "file", "sandbox" or "none". Never raises.
    """
    answer = {
        "key_source": "none",
        "variable": variable(service, account),
        "sentence": "",
        "hint": "",
    }
    try:
        found = find(service, account, home=home, environ=environ, seconds=seconds)
    except ProblemError as error:
        answer.update(sentence=error.problem.sentence, hint=error.problem.hint)
        return answer
    if found:
        answer["key_source"] = found.source
    return answer
