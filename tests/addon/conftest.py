# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on is tested as what artists have: the built extension, installed and enabled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.extension import Extension, archive

if TYPE_CHECKING:
    from tests.addon.ui_support import Courier


@pytest.fixture(scope="session")
def extension(session_root: Path) -> Iterator[Extension]:
    """The extension in the running Blender, enabled for the whole session.

    Its modules are ``extension.module("addon.capture")``, ``extension.module("bridge.store")`` and
    so on: importing ``addon`` by itself cannot work, as it reaches the bridge by relative imports.
    """
    import bpy

    installed = Extension(archive(session_root))
    installed.install()
    assert installed.enabled, "Blender installed the extension but did not enable it"
    yield installed
    # Evidence for the search for secrets: preferences and a scene, as the session leaves them.
    bpy.ops.wm.save_userpref()
    bpy.ops.wm.save_as_mainfile(filepath=str(session_root / "last.blend"), copy=True)
    installed.disable()
    assert not installed.enabled


@pytest.fixture
def clean_scene(extension: Extension) -> Iterator[None]:
    """An empty file in Blender, with the extension still enabled.

    Not ``read_factory_settings``: that would disable every extension.
    """
    import bpy

    bpy.ops.wm.read_homefile(use_empty=True)
    assert extension.enabled
    yield
    bpy.ops.wm.read_homefile(use_empty=True)


@pytest.fixture
def courier(
    extension: Extension, clean_scene: None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Courier]:
    """The extension, newly registered, with a data folder of its own and no worker."""
    from tests.addon.ui_support import newly_registered

    monkeypatch.setenv("SCENE_COURIER_NO_WORKER", "1")
    with newly_registered(extension, home) as made:
        yield made
