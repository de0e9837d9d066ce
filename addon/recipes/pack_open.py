# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens what is to be packed and makes in memory what was asked for the current state.

The captured copy gets its unsaved pixels and drivers' functions back; its caches stay where the
artist has them (they may have a hundred gigabytes) and are taken from there. A plain .blend is
opened where it lies, without its scripts. Nothing is written.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import blocks, restore, scene_file
from addon.recipes.dependencies import Dependency, scan
from bridge import frames as frame_ranges
from bridge.frames import FrameRanges
from bridge.problems import Category, ProblemError

HANDLES = 2
#: options of a job that say what is packed; the same names are parameters of the recipe
CHOICES = ("scene", "camera", "view_layer", "frames", "handles")


@dataclass
class Opened:
    """The open file: what of it is packed, and where it comes from.

    ``blend`` is the file that is open, ``home`` the folder in which the artist has the scene (None:
    never saved). ``frames`` are those to render (None: the text that was given cannot be read),
    ``range`` first and last of them, ``cut`` the same with the handles.
    """

    scene: Any
    blend: Path
    home: str | None
    capture: dict[str, Any] | None
    folder: Path | None
    options: dict[str, Any]
    frames: FrameRanges | None
    range: tuple[int, int]
    cut: tuple[int, int]
    notes: list[str] = field(default_factory=list)


def open_asked(params: dict[str, Any]) -> Opened:
    """Open the file that the recipe's ``params`` name; see there.

    Raises ProblemError: INPUT (no such file or scene), BLENDER (the file is newer), INTERNAL.
    """
    notes: list[str] = []
    capture: dict[str, Any] | None = None
    folder = None
    if params.get("capture"):
        folder = Path(params["folder"])
        capture = restore.load(Path(params["capture"]))
        blend = folder / capture["blend"]
        original = capture.get("original_path") or ""
        home = os.path.dirname(original) or None
        notes += capture.get("notes", [])
        trusted = bool(capture.get("scripts_trusted"))
        restore.open_blend(blend, scripts=trusted)
        notes += restore.put_back_images(capture.get("images", []), folder)
        notes += _settle_images(capture.get("images", []))
        notes += restore.put_back_functions(capture, trusted)
    else:
        blend = Path(os.path.abspath(params["blend"]))
        home = str(blend.parent)
        restore.open_blend(blend, scripts=False)
    options = _options(params, capture)
    scene = _activate(options, capture or {})
    frames = _frames(scene, options.get("frames"))
    _set(scene, options, frames)
    handles = options.get("handles")
    handles = HANDLES if handles is None else max(0, int(handles))
    if frames is None:
        first, last = scene.frame_start, scene.frame_end
    else:
        first, last = frames.first, frames.last
    cut = (first - handles, last + handles)
    return Opened(scene, blend, home, capture, folder, options, frames, (first, last), cut, notes)


def find_files(opened: Opened) -> list[Dependency]:
    """What the scene needs for its frames and the handles.

    A file that only a handle would read may be missing: sequences start and end somewhere.
    """
    found = scan(frames=opened.cut, capture=opened.capture, folder=opened.folder)
    if opened.cut != opened.range and any(item.missing for item in found):
        exact = {
            (item.kind, item.path, item.library): set(item.missing)
            for item in scan(frames=opened.range, capture=opened.capture, folder=opened.folder)
        }
        for item in found:
            known = exact.get((item.kind, item.path, item.library), set())
            item.missing = [path for path in item.missing if path in known]
    return found


def _options(params: dict[str, Any], capture: dict[str, Any] | None) -> dict[str, Any]:
    """The job's options, as far as the recipe knows them; its own parameters come first."""
    job = (capture or {}).get("job") or {}
    given = {**(job.get("options") or {}), **(params.get("options") or {})}
    given |= {name: params[name] for name in CHOICES if params.get(name) is not None}
    return {name: value for name, value in given.items() if value is not None}


def _settle_images(entries: list[dict[str, Any]]) -> list[str]:
    """Pack the tiles that were put back, and drop images that gave way to unsaved pixels."""
    notes = []
    for entry in entries:
        old = bpy.data.images.get(entry["name"] + " (before)")
        if old is not None and not old.users:
            bpy.data.images.remove(old)
        image = blocks.find(bpy.data.images, entry["name"], entry.get("library"))
        if entry.get("library"):
            notes.append(
                f"The unsaved changes of the image {entry['name']} belong to a linked file; they "
                "are not in the package."
            )
        elif image is not None and image.source == "TILED":
            try:
                image.pack()
            except RuntimeError as error:
                notes.append(f"The unsaved changes of {entry['name']} were lost ({error}).")
    return notes


def _activate(options: dict[str, Any], capture: dict[str, Any]) -> Any:
    """Make the asked scene the current one, else the captured, else the file's own."""
    name = options.get("scene") or capture.get("scene")
    if not name:
        return bpy.context.scene
    scene = bpy.data.scenes.get(name)
    if scene is None:
        known = [one.name for one in bpy.data.scenes]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        raise ProblemError(
            Category.INPUT,
            f"There is no scene named {name} in the file.",
            f"Did you mean {near[0]}?" if near else f"It has: {', '.join(known)[:200]}.",
        )
    window = bpy.context.window
    window.scene = scene
    layer = scene.view_layers.get(capture.get("view_layer") or "")
    if layer is not None and scene.name == capture.get("scene"):
        window.view_layer = layer
    return scene


def _frames(scene: Any, wanted: Any) -> FrameRanges | None:
    """The frames to render; None where the text cannot be read (the report says so)."""
    try:
        if wanted:
            return frame_ranges.parse(str(wanted))
        return frame_ranges.from_scene(scene.frame_start, scene.frame_end, scene.frame_step)
    except ProblemError:
        return None


def _set(scene: Any, options: dict[str, Any], frames: FrameRanges | None) -> None:
    """Camera, view layer and range; names that the scene does not know are left to the report."""
    camera = scene.objects.get(options.get("camera") or "")
    if camera is not None:
        scene.camera = camera
        # Markers would switch to another camera again.
        for marker in scene.timeline_markers:
            marker.camera = None
    elif scene.camera is None:
        # Only markers name cameras. What reads the copy may look for one before it plays them.
        scene.camera = blocks.camera_of(scene, frames.first if frames else scene.frame_start)
    layer = scene.view_layers.get(options.get("view_layer") or "")
    if layer is not None:
        for other in scene.view_layers:
            other.use = other == layer
        window = bpy.context.window
        if window is not None and window.scene == scene:
            window.view_layer = layer
    # In the copy too, should a farm look there first. What simulates from the scene's first frame
    # would begin elsewhere, though: there the range stays.
    if options.get("frames") and frames and not scene_file.simulates(scene):
        scene.frame_start, scene.frame_end = frames.first, frames.last
        scene.frame_step = _step(frames)


def _step(frames: FrameRanges) -> int:
    """The step of a range that has one throughout, else 1."""
    if frames.count < 2:
        return 1
    step, rest = divmod(frames.last - frames.first, frames.count - 1)
    regular = range(frames.first, frames.last + 1, max(step, 1))
    return step if not rest and all(number in frames for number in regular) else 1
