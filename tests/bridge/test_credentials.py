# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys: found in order, kept where they can be kept, cleaned, never shown. Real keyrings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.backends.null
import keyring.errors
import pytest

from bridge import credentials
from bridge.problems import Category, ProblemError

# Not of a service's shape: the backend below writes it to a file, as plain-text backends do.
KEY = "kept-for-tests-0123456789"


class FileKeyring(keyring.backend.KeyringBackend):
    """A working backend without a desktop: JSON in one file, like the known plain-text ones."""

    priority = 1

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def _all(self) -> dict[str, str]:
        return dict(json.loads(self.path.read_text())) if self.path.exists() else {}

    def get_password(self, service: str, username: str) -> str | None:
        return self._all().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self.path.write_text(json.dumps(self._all() | {f"{service}/{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        known = self._all()
        if known.pop(f"{service}/{username}", None) is None:
            raise keyring.errors.PasswordDeleteError("not found")
        self.path.write_text(json.dumps(known))


class RaisingKeyring(keyring.backend.KeyringBackend):
    """A backend that meets one fault at every call."""

    priority = 1

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def get_password(self, service: str, username: str) -> str | None:
        raise self.error

    def set_password(self, service: str, username: str, password: str) -> None:
        raise self.error

    def delete_password(self, service: str, username: str) -> None:
        raise self.error


class PromptingKeyring(RaisingKeyring):
    """A backend whose prompt nobody answers until ``answered`` is set."""

    def __init__(self) -> None:
        super().__init__(keyring.errors.KeyringLocked("later"))
        self.answered = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.answered.wait(30)
        return None


@pytest.fixture
def use() -> Iterator[Any]:
    """Put a backend in place; the old one comes back."""
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def find(home: Path, **environ: str) -> credentials.Credential | None:
    return credentials.find("rigyd", home=home, environ=environ)


def test_environment_before_keyring_before_file(use: Any, home: Path, tmp_path: Path) -> None:
    use(keyring.backends.fail.Keyring())
    assert find(home) is None
    assert credentials.store("rigyd", "default", "from-the-file-1", allow_file=True, home=home) == (
        "file"
    )
    assert find(home) == credentials.Credential("from-the-file-1", "file")
    use(FileKeyring(tmp_path / "ring.json"))
    assert find(home) == credentials.Credential("from-the-file-1", "file")
    keyring.set_password("scene-courier", "rigyd:default", "from-the-ring-1")
    assert find(home) == credentials.Credential("from-the-ring-1", "keyring")
    found = find(home, RIGYD_API_KEY="  from-the-environment \n")
    assert found == credentials.Credential("from-the-environment", "environment")


def test_the_file_is_private_and_only_made_when_agreed(use: Any, home: Path) -> None:
    use(keyring.backends.fail.Keyring())
    with pytest.raises(ProblemError) as caught:
        credentials.store("rigyd", "default", KEY, home=home)
    assert caught.value.problem.sentence == "This computer has no keyring to keep the key in."
    assert "private file" in caught.value.problem.hint
    assert not (home / "credentials.json").exists()
    credentials.store("rigyd", "default", KEY, home=home, allow_file=True)
    if os.name == "posix":
        assert (home / "credentials.json").stat().st_mode & 0o777 == 0o600
        (home / "credentials.json").chmod(0o640)
        with pytest.raises(ProblemError) as caught:
            find(home)
        assert "other users" in caught.value.problem.sentence
        assert "0600" in caught.value.problem.hint
        assert KEY not in str(caught.value.problem)
        described = credentials.describe("rigyd", home=home, environ={})
        assert described["key_source"] == "none" and "other users" in described["sentence"]


def test_a_backend_that_drops_keys_is_noticed(use: Any, home: Path) -> None:
    use(keyring.backends.null.Keyring())
    with pytest.raises(ProblemError) as caught:
        credentials.store("rigyd", "default", KEY, home=home)
    assert caught.value.problem.technical == "the keyring did not keep the key"
    assert credentials.store("rigyd", "default", KEY, home=home, allow_file=True) == "file"
    assert find(home) == credentials.Credential(KEY, "file")


def test_keyring_keeps_and_forgets(use: Any, home: Path, tmp_path: Path) -> None:
    use(keyring.backends.fail.Keyring())
    credentials.store("rigyd", "default", "older-copy-123", home=home, allow_file=True)
    use(FileKeyring(tmp_path / "ring.json"))
    assert credentials.store("rigyd", "default", f" '{KEY}'\n", home=home) == "keyring"
    assert not (home / "credentials.json").exists()  # no second copy to leak from
    assert keyring.get_password("scene-courier", "rigyd:default") == KEY
    assert find(home) == credentials.Credential(KEY, "keyring")
    assert credentials.delete("rigyd", home=home) == ["keyring"]
    assert credentials.delete("rigyd", home=home) == []
    assert find(home) is None


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (keyring.errors.KeyringLocked("no"), "The keyring of this computer is locked."),
        (keyring.errors.InitError("Prompt dismissed"), "The keyring of this computer is locked."),
        (keyring.errors.KeyringError("odd"), "The keyring of this computer cannot be used."),
        (OSError("bus"), "The keyring of this computer cannot be used."),
    ],
)
def test_keyring_faults_are_problems(use: Any, home: Path, error: Exception, sentence: str) -> None:
    use(RaisingKeyring(error))
    for call in (
        lambda: find(home),
        lambda: credentials.store("rigyd", "default", KEY, home=home),
        lambda: credentials.delete("rigyd", home=home),
    ):
        with pytest.raises(ProblemError) as caught:
            call()
        assert caught.value.problem.sentence == sentence
        assert caught.value.problem.category is Category.CREDENTIALS
        assert caught.value.problem.hint
    # The file still serves where the keyring does not.
    credentials.store("rigyd", "default", KEY, home=home, allow_file=True)
    assert find(home) == credentials.Credential(KEY, "file")
    described = credentials.describe("rigyd", home=home, environ={})
    assert described["key_source"] == "file"


def test_a_prompt_does_not_hold_us(use: Any, home: Path) -> None:
    ring = PromptingKeyring()
    use(ring)
    for _ in range(2):  # the second time does not even start another call
        with pytest.raises(ProblemError) as caught:
            credentials.find("rigyd", home=home, environ={}, seconds=0.1)
        assert caught.value.problem.sentence == "The keyring of this computer does not answer."
        assert "unlock" in caught.value.problem.hint
    assert sum(thread.name == "keyring" for thread in threading.enumerate()) == 1
    ring.answered.set()
    for thread in threading.enumerate():
        if thread.name == "keyring":
            thread.join(5)
    assert credentials.find("rigyd", home=home, environ={}, seconds=5) is None


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY}\n",
        f"\ufeff{KEY}",
        f'"{KEY}"',
        f"“{KEY}”",
        f"Bearer {KEY}",
        f"\t 'Bearer {KEY}' \r\n",
        f"\u200b{KEY}\u200b",
    ],
)
def test_pasted_keys_are_cleaned(text: str) -> None:
    assert credentials.clean_key(text) == KEY


@pytest.mark.parametrize("text", ["", "  \n", "''"])
def test_empty_keys_are_refused(text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        credentials.clean_key(text)
    assert caught.value.problem.sentence == "The key is empty."


@pytest.mark.parametrize("text", ["two words", "line\nbreak", "nul\x00l", "schlüssel", "x" * 3000])
def test_unsafe_keys_are_refused_and_not_repeated(text: str, home: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        find(home, RIGYD_API_KEY=text)
    problem = caught.value.problem
    assert problem.category is Category.CREDENTIALS
    assert problem.sentence == (
        "The key in RIGYD_API_KEY contains characters that a key cannot have."
    )
    assert text not in str(problem.to_dict())
    with pytest.raises(ProblemError):
        credentials.store("rigyd", "default", text, home=home, allow_file=True)
    assert not (home / "credentials.json").exists()


def test_the_sandbox_account_has_its_own_key(use: Any, home: Path) -> None:
    use(keyring.backends.fail.Keyring())
    environ = {"RIGYD_API_KEY": KEY}
    assert credentials.find("rigyd", "sandbox", home=home, environ=environ) is None
    (home / "sandbox").mkdir()
    address = home / "sandbox" / "address.json"
    address.write_text(json.dumps({"pid": 1, "rigyd": {"api_key": "sandbox-key-1"}}))
    address.chmod(0o600)
    found = credentials.find("rigyd", "sandbox", home=home, environ=environ)
    assert found == credentials.Credential("sandbox-key-1", "sandbox")


def test_keys_do_not_show(use: Any, home: Path) -> None:
    use(keyring.backends.fail.Keyring())
    found = find(home, RIGYD_API_KEY=KEY)
    assert found and KEY not in repr(found) and KEY not in f"{found}"
    described = credentials.describe("rigyd", home=home, environ={"RIGYD_API_KEY": KEY})
    assert described["key_source"] == "environment" and KEY not in str(described)


def test_fingerprint_tells_keys_apart() -> None:
    first = credentials.fingerprint(KEY, "salt")
    assert first == credentials.fingerprint(KEY, b"salt")
    assert first != credentials.fingerprint(KEY + "x", "salt")
    assert first != credentials.fingerprint(KEY, "other salt")
    assert KEY not in first and len(first) == 16


def test_importing_is_light() -> None:
    code = (
        "import sys; import bridge.credentials, bridge.services, bridge.settings, bridge.redact; "
        "bad = {'keyring', 'requests', 'urllib3'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=Path.cwd())


@pytest.mark.skipif(
    not (shutil.which("gnome-keyring-daemon") and shutil.which("dbus-run-session")),
    reason="gnome-keyring or dbus is not installed here",
)
def test_a_real_desktop_keyring(home: Path, tmp_path: Path) -> None:
    script = tmp_path / "ring.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom bridge import credentials\n"
        "home = Path(sys.argv[1])\n"
        f"assert credentials.store('rigyd', 'default', {KEY!r}, home=home) == 'keyring'\n"
        f"assert credentials.find('rigyd', home=home, environ={{}}).key == {KEY!r}\n"
        "assert credentials.delete('rigyd', home=home) == ['keyring']\n"
        "assert credentials.find('rigyd', home=home, environ={}) is None\n"
    )
    (Path(os.environ["HOME"]) / ".local/share/keyrings").mkdir(parents=True, exist_ok=True)
    unlock = "printf 'pw\\n' | gnome-keyring-daemon --unlock --components=secrets --daemonize"
    # The daemon leaves by itself when the session's bus ends.
    command = f'{unlock} >/dev/null && "$0" "$1" "$2"'
    subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", command, sys.executable, str(script), str(home)],
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
