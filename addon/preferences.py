# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: habits of the person, and where things lie.

Nothing secret is ever kept here (Blender writes preferences to a file in the clear); keys are read
from the environment or the system's keyring by the worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy

from . import session

# Relative to the extension, whatever repository it was installed from.
ADDON = (__package__ or "addon").rpartition(".")[0] or "addon"


class SceneCourierPreferences(bpy.types.AddonPreferences):
    """What Blender shows under Preferences > Add-ons > Scene Courier."""

    bl_idname = ADDON

    auto_import: bpy.props.BoolProperty(
        name="Import Results Automatically",
        description=(
            "When a job that was sent from the open file is done, bring its result into the scene "
            "as soon as Blender is in Object Mode and idle"
        ),
        default=True,
    )
    account: bpy.props.EnumProperty(
        name="Send With",
        description="Which account the panel offers first",
        items=(
            (
                "auto",
                "My account if there is a key",
                "Use your account when a key is found, and the sandbox on this computer otherwise",
            ),
            ("default", "My account", "Always offer your own account first"),
            ("sandbox", "Sandbox on this computer", "Always offer the free sandbox first"),
        ),
        default="auto",
    )

    def draw(self, _context: bpy.types.Context) -> None:
        """Draw the preferences; everything shown comes from the session."""
        now = session.current()
        now.drawn()
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "account")
        layout.prop(self, "auto_import")
        layout.separator()
        column = layout.column(align=True)
        _line(column, "Data folder", str(now.home))
        _line(column, "", "Set SCENE_COURIER_HOME before Blender starts to use another one.")
        _line(column, "Worker", worker_text(now))
        for service, label in (("rigyd", "Rigyd"), ("renderjuice", "Renderjuice")):
            _line(column, f"Key for {label}", key_text(now, service))
        row = layout.row()
        row.operator("scene_courier.reveal_data_folder", icon="FILE_FOLDER")
        row.operator("scene_courier.refresh", icon="FILE_REFRESH")
        for problem in (now.problem, now.worker.problem):
            if problem is not None:
                box = layout.box()
                box.label(text=problem.sentence, icon="ERROR")
                if problem.hint:
                    box.label(text=problem.hint)


def _line(layout: Any, label: str, text: str) -> None:
    split = layout.split(factor=0.4)
    left = split.row()
    left.alignment = "RIGHT"
    left.label(text=label)
    split.label(text=text)


def worker_text(now: session.Session) -> str:
    """What the worker is doing, in a sentence."""
    if now.worker.problem is not None:
        return "Could not be started"
    if now.active:
        return f"{now.active} job{'s' if now.active != 1 else ''} under way"
    return "Idle: starts by itself when there is work"


def key_text(now: session.Session, service: str) -> str:
    """Where the key comes from, never the key."""
    return {
        "environment": f"From the environment ({service.upper()}_API_KEY)",
        "keyring": "From this system's keyring",
        "file": "From a private file in the data folder",
        "none": f"None found: use “scene-courier login {service}” or {service.upper()}_API_KEY",
    }.get(now.answers.key_source(service), "Not looked up yet")


@dataclass
class _Defaults:
    """Stands in where the add-on is registered without being enabled (some tests)."""

    auto_import: bool = True
    account: str = "auto"


def get(context: bpy.types.Context) -> Any:
    """The person's preferences."""
    addon = context.preferences.addons.get(ADDON)
    return addon.preferences if addon is not None and addon.preferences else _Defaults()


def register() -> None:
    """Register the preferences."""
    bpy.utils.register_class(SceneCourierPreferences)


def unregister() -> None:
    """Take the preferences back."""
    bpy.utils.unregister_class(SceneCourierPreferences)
