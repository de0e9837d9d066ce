# SPDX-License-Identifier: GPL-3.0-or-later
"""A template's scene with products in it, and what happens before the camera: stills and frames.

The scene that is open is thrown away. Renders with Cycles on the processor, denoised where this
Blender can; the same order gives the same picture.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from addon.recipes import studio_camera, studio_sets
from addon.recipes.studio_parts import Stage
from addon.recipes.studio_products import Model, line_up, load
from addon.recipes.studio_templates import Bookmark, Shot, Template
from bridge.problems import Category, ProblemError

_STEPS = 9  # places at which a camera that swings around is checked to see everything


class Room:
    """One template's scene. ``points`` is the outline of what stands in it, ``unit`` its size."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.notes: list[str] = []
        self.scene: Any = None
        self.spinner: Any = None
        self.points = np.empty((0, 3))
        self.framed = self.points  # what cameras frame: the turntable's plate too
        self.unit = 1.0

    def prepare(self, models: list[Model], variant: str | None, workdir: Path) -> None:
        """A fresh scene: the models side by side in this variant, the stage around them.

        Raises ProblemError, with the name of the model that cannot be used.
        """
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = scene = bpy.context.scene
        products = [load(model, variant, workdir) for model in models]
        self.points = line_up(products)
        size = np.ptp(self.points, axis=0)
        self.unit = unit = float(size.max())
        self.spinner = bpy.data.objects.new("turning", None)
        scene.collection.objects.link(self.spinner)
        for product in products:
            product.holder.parent = self.spinner
        reach = float(np.linalg.norm(self.points[:, :2], axis=1).max()) / unit
        self.framed = self.points
        if self.template.turns:
            rim = unit * studio_sets.plate(reach)
            ring = studio_camera.turned(np.array([[rim, 0.0, -0.05 * unit]]))
            self.framed = np.concatenate([self.points, ring])
        photographed = bpy.data.collections.new("Products")
        for item in (item for product in products for item in product.objects):
            photographed.objects.link(item)
        stage = Stage(scene, unit, reach, float(size[2]) / unit, self.spinner, photographed)
        studio_sets.build(self.template.key, stage)
        scene.frame_set(1)
        self._cycles()

    def _cycles(self) -> None:
        render: Any = self.scene.render
        render.engine = "CYCLES"
        render.use_persistent_data = True
        render.resolution_percentage = 100
        render.use_file_extension = False
        render.film_transparent = False
        cycles = self.scene.cycles
        cycles.device = "CPU"
        cycles.seed, cycles.use_animated_seed = 1, False
        # Most of a picture is calm paper, which needs few samples.
        cycles.adaptive_threshold, cycles.adaptive_min_samples = 0.1, 4
        cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 6, 2, 3
        # What paper throws at paper is guessed from the world's light: half the time.
        cycles.use_fast_gi, cycles.fast_gi_method = True, "REPLACE"
        cycles.ao_bounces_render = 1
        self.scene.world.light_settings.distance = 3.0 * self.unit
        cycles.transmission_bounces, cycles.transparent_max_bounces = 6, 8
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.sample_clamp_indirect = 6.0
        cycles.blur_glossy = 0.6
        cycles.use_denoising = True
        try:
            cycles.denoiser = "OPENIMAGEDENOISE"
            cycles.denoising_prefilter = "FAST"
        except TypeError:
            cycles.use_denoising = False
            self.notes.append("This Blender has no denoiser; the pictures have more grain.")

    # -- stills ----------------------------------------------------------------------------------

    def still(self, bookmark: Bookmark, path: Path, width: int, height: int, samples: int) -> None:
        """Render one bookmark to ``path`` (.png). Raises ProblemError(BLENDER)."""
        points, azimuth = self.framed, bookmark.azimuth
        if self.template.turns:
            # The product turns to the camera, which stays where the light is made for it.
            angle = -math.radians(azimuth)
            self.spinner.rotation_euler[2] = angle
            points, azimuth = studio_camera.rotated(points, angle), 0.0
        points = studio_camera.part(points, bookmark.part)
        item, distance = self._camera(bookmark, points, azimuth)
        studio_camera.focus(item, distance, bookmark.f_stop, self.unit)
        self.scene.camera = item
        try:
            self.frame(path, width, height, samples)
        finally:
            self.spinner.rotation_euler[2] = 0.0

    def _camera(
        self, view: Bookmark | Shot, points: np.ndarray, azimuth: float
    ) -> tuple[Any, float]:
        """A camera whose picture ``points`` fill, and how far away their middle is."""
        turn = studio_camera.axes(azimuth, view.elevation)
        place = studio_camera.fit(points, turn, view.lens, view.fill)
        place = place - turn[1] * view.rise * float(np.ptp(points @ turn[1]))
        middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
        distance = float((place - middle) @ turn[2])
        item = studio_camera.camera(self.scene, view.name, view.lens, self.unit, distance)
        item.matrix_world = studio_camera.matrix(place, turn)
        return item, distance

    def frame(self, path: Path, width: int, height: int, samples: int, *, depth: str = "8") -> None:
        """Render what the scene's camera sees. Raises ProblemError(BLENDER)."""
        render: Any = self.scene.render
        render.resolution_x, render.resolution_y = width, height
        self.scene.cycles.samples = samples
        self.scene.cycles.use_adaptive_sampling = samples > 8
        settings = render.image_settings
        if hasattr(settings, "media_type"):
            settings.media_type = "IMAGE"
        settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", depth
        settings.compression = 15
        temporary = path.with_name(f".{path.stem}.part.png")
        render.filepath = str(temporary).replace("{", "{{").replace("}", "}}")
        try:
            bpy.ops.render.render(write_still=True)
            os.replace(temporary, path)
        except (RuntimeError, OSError) as error:
            temporary.unlink(missing_ok=True)
            raise ProblemError(
                Category.BLENDER,
                f"The picture {path.stem} could not be rendered.",
                "Retry it; if it happens again, look at the log.",
                str(error).strip()[-300:],
            ) from None

    # -- videos ----------------------------------------------------------------------------------

    def action(self, shot: Shot, count: int) -> Callable[[int], None]:
        """Put a shot's camera up. The answer, called with a frame's number from 0 on, moves what
        moves; ``count`` frames are the whole shot.
        """
        if shot.kind == "spin":
            points = studio_camera.turned(self.framed)
            self.scene.camera, _ = self._camera(shot, points, shot.azimuth)
            return lambda number: self.turn(2 * math.pi * number / count)
        end = shot.azimuth + (shot.sweep if shot.kind == "orbit" else 0.0)
        middle = 0.5 * (self.points.min(axis=0) + self.points.max(axis=0))
        far = 0.0
        for azimuth in np.linspace(shot.azimuth, end, _STEPS):
            turn = studio_camera.axes(float(azimuth), shot.elevation)
            place = studio_camera.fit(self.points, turn, shot.lens, shot.fill)
            far = max(far, float(np.linalg.norm(place - middle)))
        item = studio_camera.camera(self.scene, shot.name, shot.lens, self.unit, far)
        self.scene.camera = item

        def move(number: int) -> None:
            t = number / max(1, count - 1)
            eased = t * t * (3 - 2 * t)
            near = 1.0 - shot.sweep * eased if shot.kind == "push" else 1.0
            azimuth = shot.azimuth + (end - shot.azimuth) * eased
            turn = studio_camera.axes(azimuth, shot.elevation)
            item.matrix_world = studio_camera.matrix(middle + turn[2] * far * near, turn)

        return move

    def turn(self, angle: float) -> None:
        """Turn the product, and what it stands on, to ``angle`` radians."""
        self.spinner.rotation_euler[2] = angle
