# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's libraries come from the extension's own wheels, in this Blender's Python."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bridge import launch

NEEDED = ["keyring", "filelock", "platformdirs", "multipart"]
if sys.platform == "linux":
    NEEDED += ["keyring.backends.SecretService", "secretstorage", "cryptography.x509", "cffi"]


def test_the_worker_needs_nothing_of_this_pythons_own_packages(
    home: Path, tmp_path: Path, opened: zipfile.ZipFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.extractall(tmp_path / "extension")
    monkeypatch.setattr(launch, "ROOT", tmp_path / "extension")
    copy = launch.runtime_copy(home)
    # -S: without site-packages. "requests" is Blender's own and not asked for here.
    code = (
        "import importlib, sys; sys.path.insert(0, sys.argv[1]); sys.path.append(sys.argv[2])\n"
        "for name in sys.argv[3:]: print(importlib.import_module(name).__file__)\n"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(copy), str(copy / "site"), *NEEDED]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    places = said.stdout.split("\n")[: len(NEEDED)]
    assert len(places) == len(NEEDED)
    assert all(place.startswith(str(copy / "site")) for place in places), places
