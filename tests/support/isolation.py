# SPDX-License-Identifier: GPL-3.0-or-later
"""A home of its own for a test session, set before anything that reads it is imported.

Blender reads where its user files lie once, when ``bpy`` is imported; the keyring, platformdirs and
the official clients read HOME and the XDG variables. So this runs while ``tests/conftest.py`` is
imported. Processes that tests start inherit all of it.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from pathlib import Path

SESSION_VARIABLE = "SCENE_COURIER_TEST_SESSION"

# Nothing of the developer's own accounts and settings may reach a test.
_FOREIGN_PREFIXES = ("RIGYD_", "RENDERJUICE_", "GLOSSI_", "BLENDER_USER_", "BLENDER_SYSTEM_")
_FOREIGN = (
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "DBUS_SESSION_BUS_ADDRESS",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NETRC",
    "NO_PROXY",
    "PYTHONSTARTUP",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)


def isolate() -> Path:
    """Point every per-user folder into a new temporary one, which is returned.

    A dead proxy stands in the environment, and loopback is exempt from it: a child process, where
    the guard of :mod:`tests.support.network` does not reach, gets nowhere either.
    """
    root = Path(tempfile.mkdtemp(prefix="courier-tests-")).resolve()
    # The test environments stay where they are: only what a test may write moves.
    os.environ.setdefault("SCENE_COURIER_CACHE", str(Path.home() / ".cache" / "scene-courier"))
    folders = {
        "HOME": "home",
        "USERPROFILE": "home",
        "APPDATA": "home/AppData/Roaming",
        "LOCALAPPDATA": "home/AppData/Local",
        "XDG_DATA_HOME": "home/.local/share",
        "XDG_CONFIG_HOME": "home/.config",
        "XDG_CACHE_HOME": "home/.cache",
        "XDG_STATE_HOME": "home/.local/state",
        "XDG_RUNTIME_DIR": "run",
        "BLENDER_USER_RESOURCES": "blender",
        "SCENE_COURIER_HOME": "courier",
        "TMPDIR": "tmp",
        "TEMP": "tmp",
        "TMP": "tmp",
    }
    for name in list(os.environ):
        if name.upper() in _FOREIGN or name.upper().startswith(_FOREIGN_PREFIXES):
            del os.environ[name]
    for variable, folder in folders.items():
        path = root / folder
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ[variable] = str(path)
    tempfile.tempdir = None  # was decided with the old variables
    os.environ[SESSION_VARIABLE] = uuid.uuid4().hex
    os.environ["PYTHONNOUSERSITE"] = "1"
    os.environ.setdefault("LIBGL_ALWAYS_SOFTWARE", "1")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ[name] = "http://127.0.0.1:9"
    os.environ["no_proxy"] = "127.0.0.1,localhost,::1"
    return root
