# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: opens a .blend and tells what a render of it would be. Scripts are not run.

    {"input": path of the .blend}  ->  the analysis:
    {"schema": 1,
     "blender": [5, 2, 3], "fileVersion": [5, 2, 3], "bytes": n,
     "scene": name, "scenes": [names], "camera": name | None, "cameras": [names],
     "viewLayers": [{"name", "use"}],
     "renderEngine": "CYCLES", "engineSupported": bool, "sampleCount": n | None,
     "resolution": [w, h], "resolutionPercentage": n, "fps": number,
     "frameStart": n, "frameEnd": n, "frameStep": n, "frameCount": n, "frameRanges": ["1-24"],
     "outputFormat": "PNG", "isMovie": bool,
     "outputSettings": {"colorMode", "colorDepth", "exrCodec", "tiffCodec", "compression",
                        "quality"},    (those that the format has)
     "views": ["left", "right"] | [], "motionBlur": bool,
     "denoisingEnabled": bool, "denoiserType": str | None, "useTiling": bool, "tileSize": n,
     "compositorDevice": "CPU", "computeDeviceType": "CPU",
     "colorManagement": {"displayDevice", "viewTransform", "look", "exposure", "gamma"},
     "compositorOutputs": [names], "useSequencer": bool,
     "objects": n, "triangles": n, "materials": n, "images": n, "memoryBytes": n (a rough estimate),
     "missingFiles": [{"path", "kind", "users": [names]}]  (at most 200), "missingCount": n,
     "autoexecFail": bool, "autoexecMessage": str,
     "findings": [{"code", "severity": "blocking" | "warning" | "info", "sentence", "hint",
                   "users": [names]}]}

Names as in Renderjuice's ``requestedRenderConfig`` where it has one. Raises ProblemError: INPUT for
a damaged file or one without a camera, BLENDER for a file of a newer Blender. It writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

from addon.recipes import render_settings, scene_file
from addon.recipes.render_outputs import compositor_tree, file_outputs

Progress = Callable[..., None]

_MOST_MISSING = 200
# Counting stops here; a scene beyond it is large, however large.
_MOST_INSTANCES = 500_000
# Roughly what Cycles keeps for one triangle and one pixel, in bytes.
_TRIANGLE_BYTES, _PIXEL_BYTES = 250, 64


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Open the file and look; see the module's text."""
    path = Path(params["input"])
    progress(0.1, "Opening the scene")
    scene = scene_file.open_scene(path)
    scene_file.require_picture(scene)
    progress(0.5, "Looking at the scene")
    missing = _missing()
    counted = _count(scene)
    render = scene.render
    found: dict[str, Any] = {
        "schema": 1,
        "blender": list(bpy.app.version),
        "fileVersion": list(bpy.data.version),
        "bytes": path.stat().st_size,
        "scene": scene.name,
        "scenes": sorted(item.name for item in bpy.data.scenes),
        "camera": scene.camera.name if scene.camera else None,
        "cameras": sorted(item.name for item in scene.objects if item.type == "CAMERA"),
        "viewLayers": [{"name": layer.name, "use": layer.use} for layer in scene.view_layers],
        **render_settings.read(scene),
        "engineSupported": not scene_file.missing_engine(scene),
        "isMovie": bool(render.is_movie_format),
        **_frames(scene),
        "views": [view.name for view in render.views if view.use] if render.use_multiview else [],
        "motionBlur": bool(render.use_motion_blur),
        "colorManagement": render_settings.color(scene),
        "compositorOutputs": [name for name, _ in file_outputs(compositor_tree(scene))],
        "useSequencer": scene_file.uses_sequencer(scene),
        **counted,
        "missingFiles": missing[:_MOST_MISSING],
        "missingCount": len(missing),
        "autoexecFail": bool(bpy.app.autoexec_fail),
        "autoexecMessage": str(bpy.app.autoexec_fail_message or ""),
    }
    if not found["engineSupported"]:
        found.update(renderEngine=scene_file.missing_engine(scene), sampleCount=None)
    found["findings"] = _findings(found)
    return found


def _frames(scene: Any) -> dict[str, Any]:
    first, last, step = scene.frame_start, scene.frame_end, max(1, scene.frame_step)
    numbers = range(first, last + 1, step)
    return {
        "frameStart": first,
        "frameEnd": last,
        "frameStep": step,
        "frameCount": len(numbers),
        "frameRanges": [f"{first}-{last}"] if step == 1 else scene_file.ranges(numbers),
    }


def _missing() -> list[dict[str, Any]]:
    """External files that are not there, those of linked libraries included."""
    absent: dict[str, dict[str, Any]] = {}
    known = set()
    for kind, item in _with_files():
        path = os.path.normpath(bpy.path.abspath(item.filepath, library=item.library))
        known.add(path)
        if not _there(path):
            entry = absent.setdefault(path, {"path": path, "kind": kind, "users": []})
            entry["users"].append(item.name)
    # Blender's own list, which does not say who: strips, caches of modifiers.
    for raw in bpy.utils.blend_paths(absolute=True, packed=False, local=False):
        path = os.path.normpath(raw)
        # Brushes of tools name Blender's own assets, by a path that holds where it was saved only.
        if "/datafiles/assets/" in path.replace(os.sep, "/"):
            continue
        if path not in known and not os.path.isdir(path) and not _there(path):
            absent.setdefault(path, {"path": path, "kind": "other", "users": []})
    return [absent[path] for path in sorted(absent)]


def _with_files() -> Iterator[tuple[str, Any]]:
    for name in (
        "libraries", "images", "movieclips", "sounds", "fonts", "volumes", "cache_files",
    ):  # fmt: skip
        for item in getattr(bpy.data, name):
            packed = getattr(item, "packed_file", None) or getattr(item, "packed_files", None)
            if packed or not item.filepath or item.filepath == "<builtin>":
                continue
            if getattr(item, "source", "") in ("GENERATED", "VIEWER"):
                continue
            yield item.id_type.lower(), item


def _there(path: str) -> bool:
    """Whether the file, or one of a tiled image, is on the disk."""
    if "<UDIM>" in path or "<UVTILE>" in path:
        head = os.path.basename(path).split("<")[0]
        try:
            return any(name.startswith(head) for name in os.listdir(os.path.dirname(path)))
        except OSError:
            return False
    return os.path.exists(path)


def _count(scene: Any) -> dict[str, Any]:
    """What there is to render; triangles as the render sees them, instances counted each."""
    graph = bpy.context.evaluated_depsgraph_get()
    known: dict[int, int] = {}
    triangles = 0
    for number, instance in enumerate(graph.object_instances):
        if number >= _MOST_INSTANCES:
            break
        data = instance.object.data if instance.object.type == "MESH" else None
        if data is None:
            continue
        key = data.as_pointer()
        if key not in known:
            known[key] = max(0, len(data.loops) - 2 * len(data.polygons))
        triangles += known[key]
    pixels = sum(
        image.size[0] * image.size[1] * (16 if image.is_float else 4)
        for image in bpy.data.images
        if image.source == "GENERATED" or image.packed_file
    )
    render = scene.render
    share = render.resolution_percentage / 100
    memory = sum(known.values()) * _TRIANGLE_BYTES + pixels
    memory += int(render.resolution_x * render.resolution_y * share * share * _PIXEL_BYTES)
    return {
        "objects": len(scene.objects),
        "triangles": triangles,
        "materials": len(bpy.data.materials),
        "images": sum(image.source != "VIEWER" for image in bpy.data.images),
        "memoryBytes": memory,
    }


def _finding(
    code: str, severity: str, sentence: str, hint: str = "", users: list[str] | None = None
) -> dict[str, Any]:
    return {
        "code": code,
        "severity": severity,
        "sentence": sentence,
        "hint": hint,
        "users": users or [],
    }


def _findings(found: dict[str, Any]) -> list[dict[str, Any]]:
    """What a person should know before the frames are paid for."""
    said = []
    if not found["engineSupported"]:
        said.append(
            _finding(
                "unsupported_engine",
                "blocking",
                f"The engine {found['renderEngine']} is not installed here.",
                "Choose Cycles or EEVEE.",
            )
        )
    if found["missingCount"]:
        users = [name for entry in found["missingFiles"] for name in entry["users"]]
        count = found["missingCount"]
        said.append(
            _finding(
                "missing_files",
                "warning",
                "One file is missing." if count == 1 else f"{count} files are missing.",
                "What uses them renders pink or empty. Pack them into the file.",
                users[:50],
            )
        )
    if found["autoexecFail"]:
        said.append(
            _finding(
                "scripts",
                "warning",
                "The file holds scripts or drivers that are not run.",
                "Bake what they drive, or use simple expressions.",
                [found["autoexecMessage"]] if found["autoexecMessage"] else [],
            )
        )
    if found["isMovie"]:
        said.append(_finding("movie", "info", "The movie is rendered as PNG frames."))
    if found["frameCount"] < 1:
        said.append(
            _finding(
                "no_frames",
                "blocking",
                "The frame range of the scene is empty.",
                "Set its start and end in Output Properties.",
            )
        )
    if found["fileVersion"][:2] != found["blender"][:2]:
        saved, here = (".".join(map(str, found[key][:2])) for key in ("fileVersion", "blender"))
        said.append(
            _finding(
                "version",
                "info",
                f"The file was saved with Blender {saved} and is rendered with {here}.",
            )
        )
    return said
