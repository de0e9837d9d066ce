# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's whole life in a fresh Blender, told step by step in a JSON report.

Run as ``PYTHON -m tests.build.lifecycle ARCHIVE REPORT.json``, in a process of its own: what is
left behind can only be judged against a Blender in which nothing happened before.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

from tests.support import processes
from tests.support.extension import ID, NAME, Extension

HEAVY = ("requests", "keyring", "cryptography", "filelock", "multipart", "platformdirs", "pxr")


# Encryption is what the Linux keyring needs of the compiled packages.
USE_PACKAGES = """
import sys
sys.path.append(sys.argv[1])
import filelock, keyring, keyring.backends.fail, multipart, platformdirs
assert keyring.__file__.startswith(sys.argv[1]), keyring.__file__
if sys.platform == "linux":
    import keyring.backends.SecretService, secretstorage
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    cipher = Cipher(algorithms.AES(b"k" * 16), modes.CBC(b"i" * 16)).encryptor()
    assert len(cipher.update(b"t" * 16) + cipher.finalize()) == 16
"""


def _ours(module: object) -> bool:
    return isinstance(module, str) and (module == NAME or module.startswith(NAME + "."))


def _subclasses(base: type) -> set[type]:
    found = set()
    todo = [base]
    while todo:
        for child in type.__subclasses__(todo.pop()):
            if child not in found:
                found.add(child)
                todo.append(child)
    return found


def registered_classes() -> list[str]:
    """Our classes that Blender knows: operators, panels, property groups, preferences, hooks."""
    import bpy

    return sorted(
        cls.__qualname__
        for cls in _subclasses(bpy.types.bpy_struct)
        if _ours(cls.__module__) and "bl_rna" in cls.__dict__
    )


def registered_timers() -> list[str]:
    """Our functions that wait in ``bpy.app.timers``, found among all functions there are."""
    import bpy

    found = []
    for thing in gc.get_objects():
        if not isinstance(thing, types.FunctionType | types.MethodType):
            continue
        if _ours(thing.__module__) and bpy.app.timers.is_registered(thing):
            found.append(f"{thing.__module__}.{thing.__qualname__}")
    return sorted(found)


def our_handlers() -> list[str]:
    """Our functions in ``bpy.app.handlers``."""
    import bpy

    return sorted(
        f"{name}: {function.__qualname__}"
        for name in dir(bpy.app.handlers)
        if isinstance(functions := getattr(bpy.app.handlers, name), list)
        for function in functions
        if _ours(getattr(function, "__module__", ""))
    )


def our_menu_entries() -> list[str]:
    """Our functions that were appended to Blender's menus, headers and panels."""
    import bpy

    found = []
    for name in dir(bpy.types):
        draw = getattr(getattr(bpy.types, name), "draw", None)
        for function in getattr(draw, "_draw_funcs", ()):
            if _ours(getattr(function, "__module__", "")):
                found.append(f"{name}: {function.__qualname__}")
    return sorted(found)


def our_keys() -> list[str]:
    """Our operators in any keymap."""
    import bpy

    operators = [
        cls.bl_idname
        for cls in _subclasses(bpy.types.Operator)
        if _ours(cls.__module__) and getattr(cls, "bl_idname", "")
    ]
    return sorted(
        f"{keymap.name}: {item.idname}"
        for configuration in bpy.context.window_manager.keyconfigs
        for keymap in configuration.keymaps
        for item in keymap.keymap_items
        if item.idname in operators
    )


def known_properties() -> list[str]:
    """Every property of every type of Blender, to be compared with another moment's."""
    import bpy

    found = []
    for name in dir(bpy.types):
        rna = getattr(getattr(bpy.types, name), "bl_rna", None)
        if rna is not None and not name.startswith(("SCENE_COURIER", "SceneCourier")):
            found += [f"{name}.{prop.identifier}" for prop in rna.properties]
    return found


def state() -> dict[str, Any]:
    """What of ours this Blender holds now."""
    return {
        "classes": registered_classes(),
        "timers": registered_timers(),
        "handlers": our_handlers(),
        "menus": our_menu_entries(),
        "keys": our_keys(),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "processes": list(processes.of_session().values()),
        "modules": sorted(name for name in sys.modules if _ours(name)),
        "properties": known_properties(),
        "path": list(sys.path),
    }


def installed_packages(site: Path) -> list[str]:
    """The Python packages that Blender unpacked for extensions."""
    return sorted(
        distribution.name.lower().replace("_", "-").replace(".", "-")
        for distribution in importlib.metadata.distributions(path=[str(site)])
    )


def use_packages(site: Path) -> str:
    """What goes wrong with the unpacked packages and the standard library alone, if anything."""
    done = subprocess.run(
        [sys.executable, "-B", "-I", "-S", "-c", USE_PACKAGES, str(site)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stderr


def live(archive: Path) -> dict[str, Any]:
    """Install, disable, enable again, update, uninstall; the report has a state for each moment."""
    import bpy

    extension = Extension(archive)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    extensions = Path(bpy.utils.user_resource("EXTENSIONS"))
    site = extensions / ".local" / "lib" / version / "site-packages"
    report: dict[str, Any] = {"blender": bpy.app.version_string, "before": state()}
    loaded = set(sys.modules)

    extension.install()
    report["installed"] = state() | {"enabled": extension.enabled}
    report["heavy"] = sorted(
        name for name in set(sys.modules) - loaded if name.split(".")[0] in HEAVY
    )
    report["files"] = sorted(
        path.relative_to(extension.folder).as_posix()
        for path in extension.folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    report["site"] = str(site)
    report["packages"] = installed_packages(site)
    report["packages in use"] = use_packages(site)

    extension.disable()
    report["disabled"] = state() | {"enabled": extension.enabled}
    extension.enable()
    report["enabled again"] = state() | {"enabled": extension.enabled}
    extension.install()  # over itself, enabled: an update
    report["updated"] = state() | {"enabled": extension.enabled}

    bpy.ops.wm.save_userpref()
    extension.uninstall()
    report["uninstalled"] = state() | {"enabled": extension.enabled}
    report["remaining files"] = sorted(
        path.relative_to(extensions).as_posix()
        for path in extensions.rglob("*")
        if path.is_file() and (ID in path.parts or site in path.parents)
    )
    return report


def main(archive: str, target: str) -> None:
    """Write the report, and leave at once: 4.2 and 4.5 do not always survive an orderly exit."""
    code = 0
    try:
        Path(target).write_text(json.dumps(live(Path(archive))), encoding="utf-8")
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
