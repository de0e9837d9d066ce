# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m bridge``: the command line, the same as ``scene-courier``."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
