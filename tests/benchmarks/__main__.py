# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.benchmarks``: see ``run``."""

from __future__ import annotations

from tests.benchmarks.run import main

if __name__ == "__main__":
    raise SystemExit(main())
