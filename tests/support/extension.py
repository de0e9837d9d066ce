# SPDX-License-Identifier: GPL-3.0-or-later
"""The built extension in the running Blender, handled as a user would: by Blender's own operators.

It imports ``bpy`` when called, so it can be named in processes without Blender.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
ID = "scene_courier"
REPOSITORY = "user_default"
NAME = f"bl_ext.{REPOSITORY}.{ID}"


def ci_module(name: str) -> ModuleType:
    """A module of ``.ci``, which is no package."""
    loaded = sys.modules.get(f"ci_{name}")
    if loaded is None:
        sys.path.insert(0, str(ROOT / ".ci"))
        try:
            spec = importlib.util.spec_from_file_location(f"ci_{name}", ROOT / ".ci" / f"{name}.py")
            assert spec is not None and spec.loader is not None
            loaded = importlib.util.module_from_spec(spec)
            sys.modules[f"ci_{name}"] = loaded
            spec.loader.exec_module(loaded)
        finally:
            sys.path.remove(str(ROOT / ".ci"))
    return loaded


def archive(folder: Path) -> Path:
    """The installable archive: the one that SCENE_COURIER_ZIP names, else built into ``folder``
    now.

    Building here needs the wheels to be in ``wheels/`` already (``make build``), as tests fetch
    nothing.
    """
    given = os.environ.get("SCENE_COURIER_ZIP")
    if given:
        return Path(given)
    build = ci_module("build")
    missing = [name for name in build.wheel_names() if not (ROOT / "wheels" / name).is_file()]
    assert not missing, f"run `make build` first; missing in wheels/: {missing}"
    path = folder / f"{ID}.zip"
    build.blender_ext(
        Path(sys.executable), "build", f"--source-dir={ROOT}", f"--output-filepath={path}"
    )
    return path


@dataclass(frozen=True)
class Extension:
    """The extension as it is installed and enabled in this Blender."""

    archive: Path
    name: str = NAME

    @property
    def folder(self) -> Path:
        """Where Blender unpacked it."""
        import bpy

        return Path(bpy.utils.user_resource("EXTENSIONS")) / REPOSITORY / ID

    def module(self, dotted: str = "") -> ModuleType:
        """A module of the installed extension: ``module("addon.capture")``."""
        return importlib.import_module(f"{self.name}.{dotted}" if dotted else self.name)

    @property
    def enabled(self) -> bool:
        """Whether Blender has it in its preferences and its ``register`` has run."""
        import addon_utils
        import bpy

        return self.name in bpy.context.preferences.addons and addon_utils.check(self.name)[1]

    def install(self) -> None:
        """Install and enable the archive; where Blender does not enable it, nothing is raised."""
        import bpy

        result = bpy.ops.extensions.package_install_files(
            filepath=str(self.archive), repo=REPOSITORY, enable_on_install=True
        )
        assert result == {"FINISHED"}, result

    def disable(self) -> None:
        """What clearing the check box does."""
        import bpy

        assert bpy.ops.preferences.addon_disable(module=self.name) == {"FINISHED"}

    def enable(self) -> None:
        """What setting the check box does."""
        import bpy

        assert bpy.ops.preferences.addon_enable(module=self.name) == {"FINISHED"}

    def uninstall(self) -> None:
        """What "Uninstall" does."""
        import bpy

        repositories = [repo.module for repo in bpy.context.preferences.extensions.repos]
        result = bpy.ops.extensions.package_uninstall(
            repo_index=repositories.index(REPOSITORY), pkg_id=ID
        )
        assert result == {"FINISHED"}, result
