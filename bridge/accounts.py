# SPDX-License-Identifier: GPL-3.0-or-later
"""What the environment says about accounts: addresses, and which keys it holds, by fingerprint.

Light enough for Blender's main thread: no network, no keyring.
"""

from __future__ import annotations

import os
import secrets

from .credentials import fingerprint, variable
from .store import Store

#: every service whose key or address the environment may carry, present and planned
NAMES = ("renderjuice", "glossi", "rigyd")


def environment_base_url(service: str) -> str:
    """The address that the environment names for a service (``RIGYD_BASE_URL``), else ""."""
    return os.environ.get(f"{service.upper()}_BASE_URL", "").strip().rstrip("/")


def key_print(store: Store, key: str) -> str:
    """A fingerprint of a key: tells keys apart, gives nothing away."""
    salt = store.setting("salt")
    if not salt:
        store.set_setting("salt", secrets.token_hex(16))
        salt = store.setting("salt")
    return fingerprint(key, str(salt))


def environment_print(store: Store) -> dict[str, str]:
    """Fingerprints of the keys in this process's environment, by service."""
    prints = {}
    for service in NAMES:
        key = os.environ.get(variable(service), "").strip()
        if key:
            prints[service] = key_print(store, key)
    return prints
