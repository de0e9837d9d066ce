# SPDX-License-Identifier: GPL-3.0-or-later
"""What will be rendered: the scene's own settings, with what the job's options change.

Reads the open file; changes nothing. Differences between Blender's versions that concern a scene's
settings are met here by asking what it has.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import Any

import bpy

from addon.recipes import blocks, preflight_engine, versions
from bridge import frames as frame_ranges
from bridge.frames import FrameRanges
from bridge.problems import Problem, ProblemError

#: engines that come with Blender; which of them a service offers, only the service knows
CYCLES = "CYCLES"
EEVEE = ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT")
WORKBENCH = "BLENDER_WORKBENCH"
BUILT_IN_ENGINES = (CYCLES, *EEVEE, WORKBENCH)
MOVIE_FORMATS = frozenset({"FFMPEG", "AVI_JPEG", "AVI_RAW"})
_SIZE = re.compile(r"\s*(\d+)\s*[xX×,]\s*(\d+)\s*")


@dataclass
class Facts:
    """One scene as it will be rendered.

    ``frames`` is None when the wanted range cannot be read (``frames_problem`` says why).
    ``layers`` are the view layers that are rendered. ``size`` is width and height at 100 %.
    """

    scene: Any
    options: dict[str, Any]
    capture: dict[str, Any]
    camera: Any = None
    cameras: list[Any] = field(default_factory=list)
    layers: list[Any] = field(default_factory=list)
    frames: FrameRanges | None = None
    frames_problem: Problem | None = None
    frames_given: bool = False
    engine: str = ""
    samples: int | None = None
    size: tuple[int, int] = (0, 0)
    percentage: int = 100
    fps: float = 24.0
    format: str = ""
    color_mode: str = ""
    color_depth: str = ""
    denoise: bool = False
    denoiser: str = ""
    motion_blur: bool = False
    compositing: bool = False
    compositor: Any = None
    sequencer: bool = False

    @property
    def movie(self) -> bool:
        """Whether the output is a movie file instead of frames."""
        return self.format in MOVIE_FORMATS

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height of a frame as rendered."""
        width, height = self.size
        return width * self.percentage // 100, height * self.percentage // 100

    def others(self) -> list[str]:
        """The other scenes of the file, without those that this one uses."""
        used = {self.scene, self.scene.background_set}
        used |= {getattr(strip, "scene", None) for strip in strips(self.scene)}
        return [one.name for one in bpy.data.scenes if one not in used]


def read(
    scene: Any, *, frames: Any, capture: dict[str, Any] | None, options: dict[str, Any] | None
) -> Facts:
    """The facts of ``scene``. ``frames``: a text like "1-250,300", FrameRanges (of the options, if
    these have frames, else of the scene), or None for the scene's own range.
    """
    facts = Facts(scene, dict(options or {}), dict(capture or {}))
    wishes = facts.options
    render = scene.render
    image = render.image_settings
    wished = wishes.get("camera")
    facts.cameras = [item for item in scene.objects if item.type == "CAMERA"]
    first = scene.frame_start
    facts.camera = scene.objects.get(wished) if wished else blocks.camera_of(scene, first)
    facts.layers = rendered_layers(scene, wishes.get("view_layer"))
    facts.frames, facts.frames_problem = _frames(scene, frames or wishes.get("frames"))
    facts.frames_given = bool(wishes.get("frames")) or isinstance(frames, str)
    facts.engine = str(wishes.get("engine") or saved_engine(scene, facts.capture))
    facts.samples = wishes.get("samples") or samples(scene, facts.engine)
    facts.size = _size(wishes.get("resolution")) or (render.resolution_x, render.resolution_y)
    facts.percentage = int(wishes.get("resolution_percentage") or render.resolution_percentage)
    facts.fps = float(wishes.get("fps") or render.fps / render.fps_base)
    facts.format = str(wishes.get("output_format") or image.file_format)
    facts.color_mode = str(wishes.get("color_mode") or image.color_mode)
    facts.color_depth = str(wishes.get("color_depth") or image.color_depth)
    facts.denoise, facts.denoiser = denoising(scene, facts.engine)
    facts.denoise = bool(wishes["denoise"]) if "denoise" in wishes else facts.denoise
    facts.denoiser = str(wishes.get("denoiser") or facts.denoiser)
    facts.motion_blur = bool(render.use_motion_blur)
    facts.compositor = compositor_tree(scene)
    facts.compositing = bool(render.use_compositing and facts.compositor is not None)
    facts.sequencer = bool(render.use_sequencer and strips(scene))
    return facts


def rendered_layers(scene: Any, wished: str | None = None) -> list[Any]:
    """The view layers that take part in a render: the wished one, else those switched on."""
    if wished:
        layer = scene.view_layers.get(wished)
        return [] if layer is None else [layer]
    window = bpy.context.window
    if scene.render.use_single_layer and window is not None and window.scene == scene:
        return [window.view_layer]
    return [layer for layer in scene.view_layers if layer.use]


def saved_engine(scene: Any, capture: dict[str, Any]) -> str:
    """The engine that the artist chose. Blender without its add-on shows another in its place."""
    if capture.get("engine") and capture.get("scene") == scene.name:
        return str(capture["engine"])
    shown = str(scene.render.engine)
    if not bpy.data.filepath or scene.library is not None:
        return shown
    stored = preflight_engine.engines(bpy.data.filepath).get(scene.name, "")
    # Blender's own engines were renamed over time; opening the file has seen to that.
    own = not stored or stored == CYCLES or stored.startswith("BLENDER_")
    return shown if own else stored


def samples(scene: Any, engine: str) -> int | None:
    """Samples for each pixel of a final frame; None where the engine has none that are known."""
    if engine == CYCLES:
        cycles = getattr(scene, "cycles", None)
        return None if cycles is None else int(cycles.samples)
    if engine in EEVEE:
        return int(scene.eevee.taa_render_samples)
    return None


def denoising(scene: Any, engine: str) -> tuple[bool, str]:
    """Whether Cycles denoises the final frame, and by which denoiser."""
    cycles = getattr(scene, "cycles", None)
    if engine != CYCLES or cycles is None:
        return False, ""
    return bool(cycles.use_denoising), str(cycles.denoiser)


def compositor_tree(scene: Any) -> Any:
    """The scene's compositing nodes if they are in use."""
    tree = versions.compositor(scene)
    # Since 5.0 the nodes are in use when there are any.
    if "compositing_node_group" in scene.bl_rna.properties or scene.use_nodes:
        return tree
    return None


def composes(tree: Any) -> bool:
    """Whether the compositor gives an image for the frame (a Composite node; 5.0: its output)."""
    return any(node.type in ("COMPOSITE", "GROUP_OUTPUT") and not node.mute for node in tree.nodes)


def strips(scene: Any) -> list[Any]:
    """The strips of the sequencer that would be rendered."""
    editor = scene.sequence_editor
    found = [] if editor is None else versions.top_strips(editor)
    return [strip for strip in found if not strip.mute and strip.type != "SOUND"]


def file_outputs(tree: Any) -> list[Any]:
    """The File Output nodes of a compositor that are not switched off, those in groups too."""
    found: list[Any] = []
    seen: set[str] = set()
    todo = [tree] if tree is not None else []
    while todo:
        one = todo.pop()
        for node in one.nodes:
            inner = getattr(node, "node_tree", None)
            if node.type == "OUTPUT_FILE" and not node.mute:
                found.append(node)
            elif node.type == "GROUP" and inner is not None and inner.name_full not in seen:
                seen.add(inner.name_full)
                todo.append(inner)
    return found


def output_folder(node: Any) -> str:
    """Where a File Output node writes to, as it is stored."""
    for name in ("directory", "base_path"):
        with contextlib.suppress(AttributeError):
            return str(getattr(node, name))
    return ""


def _frames(scene: Any, wanted: Any) -> tuple[FrameRanges | None, Problem | None]:
    if isinstance(wanted, FrameRanges):
        return wanted, None
    try:
        if wanted:
            return frame_ranges.parse(str(wanted)), None
        start, end, step = scene.frame_start, scene.frame_end, scene.frame_step
        return frame_ranges.from_scene(start, end, step), None
    except ProblemError as error:
        return None, error.problem


def _size(wanted: Any) -> tuple[int, int] | None:
    match = _SIZE.fullmatch(str(wanted or ""))
    return (int(match[1]), int(match[2])) if match else None
