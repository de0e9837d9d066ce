# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's front door: hands ``register`` and ``unregister`` on to ``addon``.

It never imports ``bpy`` at its top level, so that plain Python (the tests, the build, the worker)
can import the folder it stands in, and so that Blender pays nothing for an extension that is not
enabled.
"""


def register() -> None:
    """Called by Blender when the extension is enabled."""
    from . import addon

    addon.register()


def unregister() -> None:
    """Called by Blender when the extension is disabled, updated or removed, and when Blender
    closes.
    """
    from . import addon

    addon.unregister()
