# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox that the worker starts when a job names it; it leaves when nobody needs it.

Its address and key are in ``<home>/sandbox/address.json``, which only this user may read. Its jobs
stay on disk, so that the next one serves them too.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ..redact import RedactingFormatter
from . import serve

IDLE_SECONDS = 900.0


def main(home: str) -> int:
    """Serve for the data folder ``home`` until idle; the process's exit code."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        RedactingFormatter("%(asctime)s sandbox %(process)d %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    serve(Path(home) / "sandbox", idle_exit=IDLE_SECONDS)
    return 0
