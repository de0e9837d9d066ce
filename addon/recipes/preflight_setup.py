# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about what is rendered: camera, view layers, what is visible, frames.

Reads only; see ``preflight_findings`` for how severe each of them is.
"""

from __future__ import annotations

from typing import Any

from addon.recipes.preflight_facts import Facts
from addon.recipes.preflight_findings import Findings, fix_by, some, user
from addon.recipes.preflight_motion import moves
from addon.recipes.preflight_reach import Reach

MANY_FRAMES = 10_000
_SHOWS = frozenset(
    [
        "MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "POINTCLOUD", "VOLUME", "GPENCIL",
        "GREASEPENCIL",
    ]
)  # fmt: skip


def examine(facts: Facts, reach: Reach, findings: Findings) -> None:
    """Add what there is to say about what is rendered."""
    _camera(facts, findings)
    _layers(facts, findings)
    _visible(facts, findings)
    _border(facts, findings)
    _sequencer(facts, findings)
    _scenes(facts, findings)
    _frames(facts, reach, findings)


def _camera(facts: Facts, findings: Findings) -> None:
    names = [camera.name for camera in facts.cameras]
    camera, wished = facts.camera, facts.options.get("camera")
    known = f"The scene has {some(names)}." if names else "The scene has no camera."
    if wished and camera is None:
        findings.add(
            "camera_unknown",
            f"There is no camera named {wished} in the scene.",
            f"{known} Choose one of them." if names else "Add a camera, then send again.",
            fix=fix_by("set_camera", "Object", names[0]) if names else None,
        )
    elif camera is None and not facts.sequencer:
        findings.add(
            "no_camera",
            "The scene has no camera to render from.",
            f"Choose one of its cameras: {some(names)}."
            if names
            else "Add a camera, then send again.",
            fix=fix_by("set_camera", "Object", names[0]) if names else None,
        )
    elif camera is not None and camera.type != "CAMERA":
        findings.add(
            "camera_is_no_camera",
            f"The scene is rendered from {camera.name}, which is no camera.",
            f"{known} If this is not meant, choose one of them." if names else known,
            users=[user("Object", camera)],
            fix=fix_by("set_camera", "Object", names[0]) if names else None,
        )
    elif camera is not None and facts.scene.objects.get(camera.name) != camera:
        findings.add(
            "camera_not_in_scene",
            f"The camera {camera.name} is not in this scene.",
            "It is rendered from all the same, but its place may not be kept up to date. "
            "Add it to the scene, or choose another camera.",
            users=[user("Object", camera)],
            fix=fix_by("set_camera", "Object", names[0]) if names else None,
        )
    bound = [marker for marker in facts.scene.timeline_markers if marker.camera is not None]
    if bound:
        cameras = list(dict.fromkeys(marker.camera.name for marker in bound))
        findings.add(
            "camera_markers",
            f"Markers on the timeline switch the camera: {some(cameras)}.",
            "To render one camera throughout, choose it before you send." if not wished else "",
            users=[user("Object", marker.camera) for marker in bound],
        )


def _layers(facts: Facts, findings: Findings) -> None:
    scene, wished = facts.scene, facts.options.get("view_layer")
    names = [layer.name for layer in scene.view_layers]
    if wished and not facts.layers:
        findings.add(
            "view_layer_unknown",
            f"There is no view layer named {wished} in the scene.",
            f"Choose one of these: {some(names, 5)}.",
        )
    elif not facts.layers and not facts.sequencer and not facts.compositing:
        findings.add(
            "no_view_layer",
            "All view layers are switched off, so the frames would be empty.",
            "Switch on Use for Rendering in the View Layer properties.",
        )
    left_out = [layer.name for layer in scene.view_layers if layer not in facts.layers]
    if facts.layers and left_out and not wished:
        findings.add("layers_left_out", f"These view layers are not rendered: {some(left_out, 5)}.")


def _visible(facts: Facts, findings: Findings) -> None:
    if facts.sequencer or not facts.layers or facts.scene.background_set is not None:
        return
    if not any(_shows(layer.layer_collection) for layer in facts.layers):
        findings.add(
            "nothing_visible",
            "No object of the scene shows in a render.",
            "Objects are hidden from renders by the camera icon in the Outliner. If only the "
            "world is to be rendered, all is well.",
        )


def _shows(held: Any) -> bool:
    """Whether something with a surface in this part of a view layer is rendered."""
    if held.collection.hide_render:
        return False
    if not held.exclude and any(_seen(item) for item in held.collection.objects):
        return True
    return any(_shows(child) for child in held.children)


def _seen(item: Any) -> bool:
    if item.hide_render:
        return False
    return item.type in _SHOWS or (item.type == "EMPTY" and item.instance_collection is not None)


def _border(facts: Facts, findings: Findings) -> None:
    render = facts.scene.render
    if not render.use_border:
        return
    wide = (render.border_max_x - render.border_min_x) * facts.pixels[0]
    high = (render.border_max_y - render.border_min_y) * facts.pixels[1]
    if wide < 1 or high < 1:
        findings.add(
            "empty_border",
            "The render region is empty, so there is nothing to render.",
            "Clear it with Ctrl Alt B in the view, or switch off Render Region.",
            fix=fix_by("open_output"),
        )
        return
    if wide >= facts.pixels[0] and high >= facts.pixels[1]:
        return
    cut = "The frames are cut to it." if render.use_crop_to_border else "The rest stays empty."
    findings.add(
        "border",
        f"Only a part of each frame is rendered: about {wide:.0f} by {high:.0f} pixels.",
        f"{cut} If this is not meant, switch off Render Region in the Output properties.",
        fix=fix_by("open_output"),
    )


def _sequencer(facts: Facts, findings: Findings) -> None:
    if facts.sequencer:
        findings.add(
            "sequencer",
            "The sequencer's strips are rendered instead of the 3D scene.",
            "To render the 3D scene, switch off Sequencer under Post Processing in the Output "
            "properties.",
            fix=fix_by("open_output"),
        )


def _scenes(facts: Facts, findings: Findings) -> None:
    others = [] if facts.options.get("scene") else facts.others()
    if others:
        findings.add(
            "several_scenes",
            f"Only the scene {facts.scene.name} is rendered; the file also has {some(others)}.",
            "Another scene is a job of its own: choose it before you send.",
        )


def _frames(facts: Facts, reach: Reach, findings: Findings) -> None:
    scene, frames = facts.scene, facts.frames
    if frames is None or not frames.count:
        problem = facts.frames_problem
        findings.add(
            "no_frames",
            problem.sentence if problem else "There are no frames to render.",
            problem.hint if problem else "Set the frame range in the Output properties.",
            technical=problem.technical if problem else "",
            fix=fix_by("open_output"),
        )
        return
    asked = facts.frames_given
    start, end = _own_range(facts)
    if asked and (frames.first < start or frames.last > end):
        findings.add(
            "frames_outside",
            f"Some frames lie outside of the scene's own range, {start} to {end}.",
            "If this is meant, all is well.",
            technical=frames.text()[:200],
        )
    if frames.count > MANY_FRAMES:
        findings.add(
            "many_frames",
            f"{frames.count:,} frames would be rendered.",
            "Check the frame range, or render test frames first.",
            fix=fix_by("open_output"),
        )
    if not asked and scene.frame_step > 1:
        findings.add(
            "frame_step",
            f"Only one of {scene.frame_step} frames is rendered, as the scene's frame step says.",
        )
    if not asked and scene.use_preview_range:
        findings.add(
            "preview_range",
            f"The preview range ({scene.frame_preview_start} to {scene.frame_preview_end}) is not "
            "used: the whole frame range is rendered.",
        )
    if frames.count > 1 and not facts.sequencer and not moves(facts, reach):
        findings.add(
            "still_scene",
            f"Nothing in the scene seems to move, but {frames.count} frames would be rendered.",
            "For a still image, ask for one frame only.",
            fix=fix_by("open_output"),
        )


def _own_range(facts: Facts) -> tuple[int, int]:
    """The artist's own range, as captured; whoever packs may have set the scene's anew."""
    known = facts.capture if facts.capture.get("scene") == facts.scene.name else {}
    start = known.get("frame_start", facts.scene.frame_start)
    return int(start), int(known.get("frame_end", facts.scene.frame_end))
