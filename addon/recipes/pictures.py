# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered frames as small pictures that a screen shows: read, made smaller, written.

A frame with linear light (OpenEXR, Radiance) is shown through the scene's view transform; every
other format holds what was shown when it was rendered. The frames themselves are only read.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from bridge.problems import Category, ProblemError

LINEAR = (".exr", ".hdr")


@contextlib.contextmanager
def loaded(path: Path) -> Iterator[Any]:
    """The image, removed again afterwards. Raises ProblemError(INPUT) when it cannot be read."""
    try:
        image: Any = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise _unreadable(path, str(error)) from None
    try:
        yield image
    finally:
        bpy.data.images.remove(image)


def _unreadable(path: Path, technical: str) -> ProblemError:
    return ProblemError(
        Category.INPUT,
        f"The picture {path.name} cannot be read.",
        "It may be incomplete; render or download this frame again.",
        technical.strip()[-300:],
    )


@contextlib.contextmanager
def darkroom(path: Path, color: dict[str, Any] | None) -> Iterator[Any]:
    """A scene of its own that shows ``path``'s kind of file rightly; removed again afterwards."""
    scene: Any = bpy.data.scenes.new("darkroom")
    try:
        show(scene, color if path.suffix.lower() in LINEAR else None)
        yield scene
    finally:
        bpy.data.scenes.remove(scene)


def show(scene: Any, color: dict[str, Any] | None) -> None:
    """Set a scene's view transform; without ``color``, the one that changes nothing."""
    view = scene.view_settings
    view.view_transform, view.look = "Standard", "None"
    view.exposure, view.gamma = 0.0, 1.0
    if not color:
        return
    # A look or a device that only the artist's own color configuration knows is left out.
    for holder, attribute, name in (
        (scene.display_settings, "display_device", "displayDevice"),
        (view, "view_transform", "viewTransform"),
        (view, "look", "look"),
        (view, "exposure", "exposure"),
        (view, "gamma", "gamma"),
    ):
        with contextlib.suppress(TypeError, ValueError):
            if name in color:
                setattr(holder, attribute, color[name])


def develop(
    source: Path,
    target: Path,
    color: dict[str, Any] | None,
    longest: int | None = None,
    *,
    quality: int = 85,
) -> tuple[int, int]:
    """Write ``source`` as an 8-bit .png or .jpg (by ``target``'s ending), no side longer than
    ``longest`` pixels. Returns (width, height). Raises ProblemError(INPUT).
    """
    with loaded(source) as image, darkroom(source, color) as scene:
        if longest and not _fit(image, longest):
            with tempfile.TemporaryDirectory() as folder:
                whole = Path(folder, "whole.png")
                develop(source, whole, color)
                return develop(whole, target, None, longest, quality=quality)
        settings = scene.render.image_settings
        if hasattr(settings, "media_type"):
            settings.media_type = "IMAGE"
        settings.file_format = "JPEG" if target.suffix.lower() in (".jpg", ".jpeg") else "PNG"
        settings.color_mode = "RGB"
        settings.color_depth = "8"
        settings.quality, settings.compression = quality, 100 if longest else 15
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.stem}.part{target.suffix}")
        try:
            image.save_render(str(temporary), scene=scene)
            os.replace(temporary, target)
        except (RuntimeError, OSError) as error:
            temporary.unlink(missing_ok=True)
            raise _unreadable(source, str(error)) from None
    return size(target)


def _fit(image: Any, longest: int) -> bool:
    """Make it smaller; False for an image of several layers, which does not tell its size."""
    width, height = image.size
    if not width:
        return False
    share = longest / max(width, height)
    if share < 1:
        image.scale(max(1, round(width * share)), max(1, round(height * share)))
    return True


def size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels."""
    with loaded(path) as image:
        width, height = image.size
        return int(width), int(height)


def values(path: Path, color: dict[str, Any] | None, longest: int) -> np.ndarray:
    """What a screen shows of a frame: (height, width, 3), 0..1, the first row at the bottom."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "small.png")
        width, height = develop(path, small, color, longest)
        with loaded(small) as image:
            pixels = np.empty(width * height * 4, dtype=np.float32)
            image.pixels.foreach_get(pixels)
    return pixels.reshape(height, width, 4)[..., :3]


def save(picture: np.ndarray, target: Path) -> None:
    """Write (height, width, 3) values 0..1, the first row at the bottom, as a .png."""
    height, width, _ = picture.shape
    image: Any = bpy.data.images.new("picture", width, height)
    try:
        pixels = np.ones((height, width, 4), dtype=np.float32)
        pixels[..., :3] = picture
        image.pixels.foreach_set(pixels.ravel())
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder, "plain.png")
            image.filepath_raw = str(plain)
            image.file_format = "PNG"
            image.save()
            develop(plain, target, None, max(width, height))
    finally:
        bpy.data.images.remove(image)
