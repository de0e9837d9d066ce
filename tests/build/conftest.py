# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive under test."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.extension import archive as find_archive


@pytest.fixture(scope="session")
def archive(session_root: Path) -> Path:
    """The installable archive."""
    return find_archive(session_root)


@pytest.fixture(scope="session")
def opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, open for reading."""
    with zipfile.ZipFile(archive) as handle:
        yield handle
