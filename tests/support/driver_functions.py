# SPDX-License-Identifier: GPL-3.0-or-later
"""A function in a Python file, as an add-on would give it to drivers."""


def three() -> float:
    """A height."""
    return 3.0
