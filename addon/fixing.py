# SPDX-License-Identifier: GPL-3.0-or-later
"""What the button beside a finding does: select what it is about, set a camera, find files.

Acts in the open file only, and only if that is the file which the job came from. Nothing is changed
beyond what the button says.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy

from ..bridge.jobs import Job
from ..bridge.problems import Category, ProblemError
from . import session

_ORDER = {"blocking": 0, "warning": 1, "info": 2}
#: action of a finding -> text of its button, icon, tooltip
_BUTTONS = {
    "select": ("Select", "RESTRICT_SELECT_OFF", "Select what this is about"),
    "find_missing": (
        "Find Missing Files",
        "FILE_FOLDER",
        "Choose a folder; Blender looks in it for every file that is missing",
    ),
    "set_camera": ("Use This Camera", "OUTLINER_OB_CAMERA", "Make it the scene's camera"),
    "open_output": ("Show Output", "OUTPUT", "Show the Output properties"),
    "save": ("Save", "FILE_TICK", "Save the file"),
    "reload": ("Reload", "FILE_REFRESH", "Read it from the disk again"),
}
#: how far users of users are followed: image, node group, material, mesh, object
_DEPTH = 8


def findings(job: Job) -> list[tuple[int, dict[str, Any]]]:
    """The preflight report's findings with their places in it, blocking ones first."""
    found = (job.report.get("preflight") or {}).get("findings") or []
    return sorted(enumerate(found), key=lambda item: _ORDER.get(item[1].get("severity"), 2))


def finding(job: Job, index: int) -> dict[str, Any] | None:
    """One finding by its place in the report."""
    found = (job.report.get("preflight") or {}).get("findings") or []
    return dict(found[index]) if 0 <= index < len(found) else None


def action(one: dict[str, Any]) -> str:
    """What can be done about a finding; "" when nothing can."""
    named = str((one.get("fix") or {}).get("action") or "")
    return named or ("select" if one.get("users") else "")


def button(one: dict[str, Any]) -> tuple[str, str] | None:
    """Text and icon of the finding's button; None when it has none."""
    text, icon, _tip = _BUTTONS.get(action(one), ("", "", ""))
    return (text, icon) if text else None


def tooltip(one: dict[str, Any]) -> str:
    """What the finding's button would do, and to what."""
    _text, _icon, tip = _BUTTONS.get(action(one), ("", "", "Show what this is about"))
    names = [name for _kind, name, _library in _targets(one)]
    return f"{tip}: {', '.join(names[:5])}" if names else tip


def fix(context: bpy.types.Context, job: Job, index: int) -> str:
    """Do what the finding's button says; answers a sentence to report.

    Raises ProblemError(INPUT) when it cannot be done here and now.
    """
    one = finding(job, index)
    if one is None:
        raise ProblemError(Category.INPUT, "This finding is not in the report.", "Check again.")
    what = action(one)
    if what not in _BUTTONS:
        raise ProblemError(
            Category.INPUT, "There is no button for this finding.", str(one.get("hint") or "")
        )
    _same_file(job)
    targets = _targets(one)
    if what == "select":
        return _select(context, targets)
    if what == "set_camera":
        return _set_camera(context, job, targets)
    if what == "open_output":
        return _open_output(context)
    if what == "reload":
        return _reload(targets)
    if bpy.app.background:
        raise ProblemError(
            Category.INPUT, "There is no window for this.", "Do it in Blender's own menus."
        )
    if what == "save":
        bpy.ops.wm.save_mainfile("INVOKE_DEFAULT")
    else:
        bpy.ops.file.find_missing_files("INVOKE_DEFAULT")
    return ""


def no_frames_missing(job: Job) -> ProblemError:
    """Somebody asked for the missing frames of a job that has all."""
    return ProblemError(
        Category.INPUT,
        f"No frame of “{job.name}” is missing.",
        "All of them came back, or another job brings them.",
    )


def _targets(one: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """(type, name, library) of what the finding is about: the fix's own, else all its users."""
    named = one.get("fix") or {}
    if named.get("name"):
        return [(str(named.get("type") or ""), str(named["name"]), named.get("library"))]
    return [
        (str(user.get("type") or ""), str(user.get("name") or ""), user.get("library"))
        for user in one.get("users") or []
    ]


def _same_file(job: Job) -> None:
    """A name means something else in another file."""
    blend = str(job.origin.get("blend") or "")
    here = bpy.data.filepath
    if blend and blend != here:
        raise ProblemError(
            Category.INPUT,
            f"This job was sent from another file: “{Path(blend).name}”.",
            "Open that file first.",
            blend,
        )
    sent_in = str(job.origin.get("session") or "")
    if not blend and sent_in and sent_in != session.current().id:
        raise ProblemError(
            Category.INPUT,
            "This job was sent from a file that is no longer open.",
            "Check the open scene instead.",
        )


def _find(kind: str, name: str, library: str | None) -> Any:
    """The data-block of this type (its class name) and name; None when it is gone."""
    found = None
    for prop in bpy.data.bl_rna.properties:
        if prop.type != "COLLECTION":
            continue
        for item in getattr(bpy.data, prop.identifier):
            if item.name != name or (kind and type(item).__name__ != kind):
                continue
            own = item.library.filepath if item.library is not None else None
            if (own is None) == (library is None):
                return item
            found = item
    return found


def _select(context: bpy.types.Context, targets: list[tuple[str, str, str | None]]) -> str:
    """Select the objects that are named, or that use what is named."""
    if context.mode != "OBJECT":
        raise ProblemError(
            Category.INPUT, "Objects can be selected in Object Mode.", "Change to Object Mode."
        )
    items = [item for item in (_find(*target) for target in targets) if item is not None]
    names = ", ".join(f"“{name}”" for _kind, name, _library in targets[:3])
    if not items:
        raise ProblemError(
            Category.INPUT,
            f"{names or 'What this is about'} is not in this file any more.",
            "Check the scene again.",
        )
    objects = _objects_using(items)
    layer = context.view_layer
    here = [item for item in objects if layer.objects.get(item.name) == item]
    if not here:
        raise ProblemError(
            Category.INPUT,
            f"No object of this view layer uses {names}.",
            "Look for it in the Outliner, under Blender File.",
        )
    for item in layer.objects.selected:
        item.select_set(False)
    for item in here:
        item.hide_set(False)
        item.select_set(True)
    layer.objects.active = here[0]
    _look_at_selected(context)
    if len(here) == 1:
        return f"Selected “{here[0].name}”."
    return f"Selected {len(here)} objects."


def _objects_using(items: Iterable[Any]) -> list[Any]:
    """The objects among ``items``, and those that use the others, directly or not."""
    users = bpy.data.user_map()
    seen, edge = set(items), set(items)
    found = {item for item in edge if isinstance(item, bpy.types.Object)}
    edge -= found
    for _level in range(_DEPTH):
        edge = {user for item in edge for user in users.get(item, ())} - seen
        seen |= edge
        objects = {item for item in edge if isinstance(item, bpy.types.Object)}
        found |= objects
        edge -= objects
        if not edge:
            break
    return sorted(found, key=lambda item: str(item.name))


def _look_at_selected(context: bpy.types.Context) -> None:
    """Turn the 3D viewport to what was selected, where there is one."""
    area = context.area
    if bpy.app.background or area is None or area.type != "VIEW_3D":
        return
    region = next((item for item in area.regions if item.type == "WINDOW"), None)
    if region is not None:
        with context.temp_override(area=area, region=region):
            bpy.ops.view3d.view_selected()


def _set_camera(
    context: bpy.types.Context, job: Job, targets: list[tuple[str, str, str | None]]
) -> str:
    scene = bpy.data.scenes.get(str(job.origin.get("scene") or "")) or context.scene
    name = targets[0][1] if targets else ""
    item = scene.objects.get(name)
    if item is None or item.type != "CAMERA":
        raise ProblemError(
            Category.INPUT,
            f"The scene has no camera “{name}” any more." if name else "No camera is named.",
            "Choose the scene's camera in the Scene properties.",
        )
    scene.camera = item
    return f"“{name}” is the scene's camera now. Send the scene again."


def _open_output(context: bpy.types.Context) -> str:
    window = context.window
    for area in window.screen.areas if window is not None else ():
        if area.type == "PROPERTIES":
            space: Any = area.spaces.active
            space.context = "OUTPUT"
            area.tag_redraw()
            return "The Output properties are shown."
    raise ProblemError(
        Category.INPUT, "No Properties editor is open.", "Open one, and look at its Output tab."
    )


def _reload(targets: list[tuple[str, str, str | None]]) -> str:
    for kind, name, library in targets:
        item = _find(kind, name, library)
        if isinstance(item, bpy.types.Library | bpy.types.Image):
            item.reload()
            return f"“{name}” was read again. Send the scene again."
    raise ProblemError(Category.INPUT, "It is not in this file any more.", "Check the scene again.")
