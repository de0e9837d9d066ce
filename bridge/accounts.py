# SPDX-License-Identifier: GPL-3.0-or-later
"""What the environment says about accounts: addresses, and which keys it holds, by fingerprint.

Light enough for Blender's main thread: no network, no keyring.
"""

from __future__ import annotations

import contextlib
import os
import secrets

from .credentials import clean_key, fingerprint, variable
from .problems import ProblemError
from .redact import redact
from .store import Store

#: every service whose key or address the environment may carry, present and planned
NAMES = ("renderjuice", "glossi", "rigyd")


def environment_base_url(service: str) -> str:
    """The address that the environment names for a service (``RIGYD_BASE_URL``), else "".

    It is kept with the job, so a password in it is taken out here (and refused when it is used).
    """
    return redact(os.environ.get(f"{service.upper()}_BASE_URL", "").strip().rstrip("/"))


def key_print(store: Store, key: str) -> str:
    """A fingerprint of a key: tells keys apart, gives nothing away."""
    salt = store.setting("salt")
    if not salt:
        with store.together():
            # Another process may have made it just now; there is one for all.
            salt = store.setting("salt") or secrets.token_hex(16)
            store.set_setting("salt", salt)
    return fingerprint(key, str(salt))


def environment_print(store: Store) -> dict[str, str]:
    """Fingerprints of the keys in this process's environment, by service.

    Of the keys as they are used: without the quotes or the "Bearer" that a paste brought along.
    """
    prints = {}
    for service in NAMES:
        text = os.environ.get(variable(service), "")
        if text.strip():
            with contextlib.suppress(ProblemError):  # told when the key is used
                prints[service] = key_print(store, clean_key(text))
    return prints
