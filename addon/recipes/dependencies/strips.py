# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Video Sequencer shows: images, movies, and the proxies that stand in for them.

Sounds, clips and scenes of strips are data-blocks, found as such.
"""

from __future__ import annotations

import os
from typing import Any

import bpy

from addon.recipes import places, versions
from addon.recipes.dependencies import timing
from addon.recipes.dependencies.media import views
from addon.recipes.dependencies.model import Dependency
from addon.recipes.dependencies.walk import SHOWN_USERS, Walk, assign


def find(walk: Walk) -> None:
    """Everything of these kinds."""
    for scene in bpy.data.scenes:
        editor = scene.sequence_editor
        if editor is None:
            continue
        top = {strip.as_pointer() for strip in versions.top_strips(editor)}
        sped = _sped(editor)
        for strip in versions.strips(editor):
            plain = strip.as_pointer() in top and strip.as_pointer() not in sped
            if strip.type == "IMAGE":
                _images(walk, scene, strip, plain)
            elif strip.type == "MOVIE" and strip.filepath:
                _movie(walk, scene, strip)


def _sped(editor: Any) -> set[int]:
    """Strips that an effect shows at another speed."""
    return {
        strip.input_1.as_pointer()
        for strip in versions.strips(editor)
        if strip.type == "SPEED" and strip.input_1 is not None
    }


def _images(walk: Walk, scene: Any, strip: Any, plain: bool) -> None:
    """An image strip: the folder is what it stores, the files are its elements."""
    names = [element.filename for element in strip.elements]
    if not names:
        return
    value = strip.directory
    folder = walk.place(value, scene)
    made = walk.add(
        "strip" if len(names) == 1 else "strip_sequence",
        scene,
        value,
        path=folder,
        folder=True,
        setter=assign(strip, "directory"),
    )
    _shown_as(made, strip)
    low, high = 0, len(names) - 1
    if len(names) > 1 and walk.asked:
        if walk.frames is not None and plain and _steady(strip):
            low, high = timing.strip_elements(
                *walk.frames,
                start=_content_start(strip),
                count=len(names),
                trimmed=strip.animation_offset_start,
            )
        else:
            why = walk.all_frames_because
            walk.all_frames(made, why or "All frames are taken, since the strip's time is changed.")
    for name in names[low : high + 1]:
        for view in views(os.path.join(folder, name), strip):
            walk.file(made, view, frame=places.number(name) if len(names) > 1 else None)
    for name in names:
        walk.known.add(places.key(os.path.join(folder, name)))
    made.total = max(made.total, len(names))
    if strip.use_proxy:
        _proxies(walk, scene, strip, folder, names[0])


def _shown_as(made: Dependency, strip: Any) -> None:
    """The scene is what holds the path; people look for the strip."""
    row = {"type": "Strip", "name": strip.name, "library": made.library}
    if row not in made.users and len(made.users) < SHOWN_USERS:
        made.users.append(row)


def _content_start(strip: Any) -> float:
    start = getattr(strip, "content_start", None)  # 5.2's name
    return float(strip.frame_start if start is None else start)


def _steady(strip: Any) -> bool:
    """Whether a strip shows one element for each frame, in order."""
    keys = getattr(strip, "retiming_keys", ())
    speed = getattr(strip, "speed_factor", 1.0)
    return not len(keys) and speed == 1.0 and not strip.use_reverse_frames and strip.strobe <= 1.0


def _movie(walk: Walk, scene: Any, strip: Any) -> None:
    made = walk.add("strip", scene, strip.filepath, setter=assign(strip, "filepath"))
    _shown_as(made, strip)
    for view in views(made.path, strip):
        walk.file(made, view)
    if strip.use_proxy:
        folder, name = os.path.split(made.path)
        _proxies(walk, scene, strip, folder, name)


def _proxies(walk: Walk, scene: Any, strip: Any, folder: str, name: str) -> None:
    """Where Blender looks for proxies: the strip's own file or folder, the project's, or beside."""
    proxy, editor = strip.proxy, scene.sequence_editor
    if proxy is None:
        return
    if proxy.use_proxy_custom_file and proxy.filepath:
        path = walk.place(proxy.filepath, scene, moved=False)
        made = walk.add(
            "proxy",
            scene,
            proxy.filepath,
            path=path,
            optional=True,
            setter=assign(proxy, "filepath"),
        )
        walk.file(made)
        return
    if editor.proxy_storage == "PROJECT":
        value, setter = editor.proxy_dir or "//BL_proxy", assign(editor, "proxy_dir")
    elif proxy.use_proxy_custom_directory and proxy.directory:
        value, setter = proxy.directory, assign(proxy, "directory")
    else:
        value, setter = os.path.join(folder, "BL_proxy"), None
    path = walk.place(value, scene, moved=False)
    made = walk.add("proxy", scene, value, path=path, folder=True, optional=True, setter=setter)
    # A project's folder also holds other strips' proxies; the strip's own are in one by its name.
    inner = [each for each in (name, os.path.splitext(name)[0]) if each]
    if strip.type == "IMAGE":
        inner += ["images"]
    walk.tree(made, inner=inner)
