# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole scene: what it says about its own render, and what stands in the way of sending it.

``scene_facts`` is cheap enough for ``draw``: it reads settings that Blender has in memory, and
never the disk. Nothing here changes anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import bpy

from ...bridge import frames as frame_ranges
from ...bridge.problems import Category, Problem, ProblemError

_EEVEE = ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT")
_QUALITY = ("JPEG", "WEBP", "JPEG2000", "AVIF")
# Modules of classes that Blender itself brings (it also makes some when they are asked for).
_BLENDERS = frozenset({"_bpy_types", "bpy", "bpy_types", "cycles"})
# Where nodes may be that the artist's add-ons made.
_TREES = ("materials", "worlds", "lights", "scenes", "textures", "linestyles")


def scene_facts(
    context: bpy.types.Context, options: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What the scene says for each setting of a render job, under the options' names.

    frames ("1-250", "1-250x2"), color_management, engine, samples, resolution ("1920x1080"),
    resolution_percentage, fps, output_format, color_mode, color_depth, exr_codec, tiff_codec,
    compression, quality, denoise, denoiser, tiling, tile_size, compositor_device, scene, camera,
    view_layer; None where the scene has no such setting. Beside these: frame_count, scenes, cameras
    (names in the scene), view_layers (``{"name", "use"}``), movie, motion_blur, compositing,
    sequencer, markers (True when markers switch the camera).

    ``options["scene"]`` names the scene to look at if it is not the current one.
    """
    scene: Any = chosen(context, options) or context.scene
    render, image = scene.render, scene.render.image_settings
    kind = str(image.file_format)
    cycles = getattr(scene, "cycles", None) if render.engine == "CYCLES" else None
    layers = [{"name": layer.name, "use": bool(layer.use)} for layer in scene.view_layers]
    used = [layer["name"] for layer in layers if layer["use"]]
    start, end, step = scene.frame_start, scene.frame_end, max(1, scene.frame_step)
    return {
        "frames": frames_text(scene),
        "frame_count": max(0, (end - start) // step + 1),
        "color_management": "aces" if _aces() else "default",
        "engine": str(render.engine),
        "samples": _samples(scene),
        "resolution": f"{render.resolution_x}x{render.resolution_y}",
        "resolution_percentage": int(render.resolution_percentage),
        "fps": render.fps / render.fps_base,
        "output_format": kind,
        "color_mode": str(image.color_mode),
        "color_depth": str(image.color_depth),
        "exr_codec": str(image.exr_codec) if kind.startswith("OPEN_EXR") else None,
        "tiff_codec": str(image.tiff_codec) if kind == "TIFF" else None,
        "compression": int(image.compression) if kind == "PNG" else None,
        "quality": int(image.quality) if kind in _QUALITY else None,
        "denoise": None if cycles is None else bool(cycles.use_denoising),
        "denoiser": None if cycles is None else str(cycles.denoiser) or None,
        "tiling": None if cycles is None else bool(cycles.use_auto_tile),
        "tile_size": None if cycles is None else int(cycles.tile_size),
        "compositor_device": str(render.compositor_device),
        "scene": scene.name,
        "camera": scene.camera.name if scene.camera is not None else None,
        "view_layer": used[0] if len(used) == 1 else None,
        "scenes": [one.name for one in bpy.data.scenes],
        "cameras": cameras(scene),
        "view_layers": layers,
        "movie": bool(render.is_movie_format),
        "motion_blur": bool(render.use_motion_blur),
        "compositing": bool(render.use_compositing and _composites(scene)),
        "sequencer": renders_strips(scene),
        "markers": any(marker.camera is not None for marker in scene.timeline_markers),
    }


def frames_text(scene: Any) -> str:
    """The scene's own range as an option: "1-250", with every second frame "1-250x2"."""
    start, end, step = scene.frame_start, scene.frame_end, scene.frame_step
    if start == end:
        return str(start)
    return f"{start}-{end}" + (f"x{step}" if step > 1 else "")


def cameras(scene: Any) -> list[str]:
    """The names of the scene's cameras, in its order."""
    return [item.name for item in scene.objects if item.type == "CAMERA"]


def chosen(context: bpy.types.Context, options: dict[str, Any] | None) -> Any:
    """The scene that the job is about: the one that the options name, else the current one.

    None when there is none of that name.
    """
    name = (options or {}).get("scene")
    return bpy.data.scenes.get(name) if name else context.scene


def renders_strips(scene: Any) -> bool:
    """Whether a render shows the sequencer's strips instead of the 3D scene."""
    editor = scene.sequence_editor
    if editor is None or not scene.render.use_sequencer:
        return False
    strips = editor.strips if "strips" in editor.bl_rna.properties else editor.sequences
    return any(not strip.mute and strip.type != "SOUND" for strip in strips)


def check(context: bpy.types.Context, options: dict[str, Any] | None) -> list[Problem]:
    """What must be changed before the scene can be sent, as far as a click can tell at once.

    The rest is found by the preflight report, from the copy.
    """
    wishes = options or {}
    scene = chosen(context, wishes)
    if scene is None:
        return [_unknown("scene", wishes["scene"], [one.name for one in bpy.data.scenes])]
    found = []
    wanted = wishes.get("camera")
    known = cameras(scene)
    if wanted and wanted not in known:
        found.append(_unknown("camera", wanted, known))
    elif not wanted and scene.camera is None and not wishes.get("ignore_problems"):
        found += [] if renders_strips(scene) or _markers_name(scene) else [_no_camera(known)]
    layer = wishes.get("view_layer")
    if layer and layer not in scene.view_layers:
        found.append(_unknown("view layer", layer, [one.name for one in scene.view_layers]))
    if wishes.get("frames"):
        try:
            frame_ranges.parse(str(wishes["frames"]))
        except ProblemError as error:
            found.append(error.problem)
    return found


def _markers_name(scene: Any) -> bool:
    """Whether markers of the timeline name cameras: the scene itself needs none then."""
    cameras = [marker.camera for marker in scene.timeline_markers if marker.camera is not None]
    return any(not camera.hide_render for camera in cameras)


def _no_camera(known: list[str]) -> Problem:
    return Problem(
        Category.INPUT,
        "The scene has no camera to render from.",
        f"Choose a camera: {', '.join(known[:3])}." if known else "Add a camera, then send again.",
    )


def _unknown(what: str, name: str, known: list[str]) -> Problem:
    return Problem(
        Category.INPUT,
        f"There is no {what} named {name}.",
        f"Choose one of these: {', '.join(known[:5])}." if known else f"Add a {what} first.",
        f"{len(known)} known",
    )


def describe(scene: Any, wishes: dict[str, Any]) -> dict[str, Any]:
    """What capture.json says of a whole scene beyond what every capture says.

    All of it is optional for readers. ``engine``, ``view_transform`` and ``nodes`` are there
    because a Blender without the artist's add-ons and colour configuration shows others in their
    place.
    """
    camera = wishes.get("camera") or (scene.camera.name if scene.camera else None)
    return {
        "whole_scene": True,
        "camera": camera,
        "cameras": cameras(scene),
        "scenes": [one.name for one in bpy.data.scenes],
        "view_layers": [{"name": one.name, "use": bool(one.use)} for one in scene.view_layers],
        "frames": wishes.get("frames") or frames_text(scene),
        "engine": str(scene.render.engine),
        "engine_module": _engine_module(str(scene.render.engine)),
        "samples": _samples(scene),
        "denoiser": str(getattr(getattr(scene, "cycles", None), "denoiser", "")),
        "view_transform": str(scene.view_settings.view_transform),
        "display_device": str(scene.display_settings.display_device),
        "color_config": os.environ.get("OCIO", ""),
        "nodes": addon_nodes(),
        "modified": bool(bpy.data.is_dirty),
    }


def _samples(scene: Any) -> int | None:
    if scene.render.engine == "CYCLES" and hasattr(scene, "cycles"):
        return int(scene.cycles.samples)
    return int(scene.eevee.taa_render_samples) if scene.render.engine in _EEVEE else None


def _composites(scene: Any) -> bool:
    if "compositing_node_group" in scene.bl_rna.properties:
        return scene.compositing_node_group is not None
    return bool(scene.use_nodes and scene.node_tree is not None)


def _aces() -> bool:
    """Whether this Blender was started with a colour configuration of its own that is ACES."""
    return "aces" in os.environ.get("OCIO", "").lower()


def _subclasses(base: Any) -> Iterator[Any]:
    for one in base.__subclasses__():
        yield one
        yield from _subclasses(one)


def _module(cls: Any) -> str:
    """The add-on that a class comes from: "some_addon", "bl_ext.user_default.some_addon"."""
    parts = cls.__module__.split(".")
    return ".".join(parts[:3]) if parts[0] == "bl_ext" else parts[0]


def _engine_module(name: str) -> str | None:
    """The add-on that brings this render engine; None for one that comes with Blender."""
    for cls in _subclasses(bpy.types.RenderEngine):
        if getattr(cls, "bl_idname", None) == name and _module(cls) not in _BLENDERS:
            return _module(cls)
    return None


def addon_nodes() -> list[dict[str, Any]]:
    """Kinds of nodes in use that an add-on made: ``idname``, ``module``.

    A headless Blender without the add-on shows them as undefined, and not what they were. Without
    such add-ons no node is looked at.
    """
    made = {
        str(getattr(cls, "bl_idname", "") or cls.__name__): _module(cls)
        for cls in _subclasses(bpy.types.Node)
        if _module(cls) not in _BLENDERS and getattr(cls, "is_registered", False)
    }
    if not made:
        return []
    found: set[str] = set()
    for tree in _trees():
        found |= made.keys() & {node.bl_idname for node in tree.nodes}
    return [{"idname": name, "module": made[name]} for name in sorted(found)]


def _trees() -> Iterator[Any]:
    yield from bpy.data.node_groups
    for name in _TREES:
        for owner in getattr(bpy.data, name):
            # A scene's tree is a node group of its own since 5.0.
            tree = getattr(owner, "node_tree", None)
            if tree is not None:
                yield tree


def job_name(scene: Any, camera: str = "") -> str:
    """What the job is called: the file's name, the scene and the camera where there are several."""
    path = bpy.data.filepath
    name = os.path.splitext(os.path.basename(path))[0] if path else "Untitled"
    parts = [scene.name] if len(bpy.data.scenes) > 1 else []
    parts += [camera] if camera else []
    return f"{name} ({', '.join(parts)})" if parts else name
