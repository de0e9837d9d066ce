# SPDX-License-Identifier: GPL-3.0-or-later
"""For the tests of packing: small projects on disk, the recipe on them, and a render of a frame.

All in the Blender that the test runs in; whatever is opened stays open until the next is.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

import bpy
import numpy

from addon.recipes import pack_scene

GIB = 1024**3


def pack(blend: Path, output: Path, **params: Any) -> dict[str, Any]:
    """Run the recipe on a .blend where it lies."""
    given = {
        "blend": str(blend),
        "output": str(output),
        "name": "shot",
        "max_bytes": 5 * GIB,
        "packed_max_bytes": GIB,
        **params,
    }
    return pack_scene.main(given, lambda *words: None)


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file below with its time and content."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def unpack(package: Path, folder: Path) -> Path:
    """Put a package somewhere else; returns the .blend."""
    folder.mkdir(parents=True)
    if package.suffix == ".blend":
        target = folder / package.name
        os.replace(package, target)
        return target
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    (blend,) = folder.glob("*.blend")
    return blend


def names(package: Path) -> list[str]:
    """The archive's names."""
    with zipfile.ZipFile(package) as archive:
        return archive.namelist()


def new_scene(path: Path) -> Any:
    """`empty_scene`, saved at ``path``."""
    scene = empty_scene()
    path.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=False)
    return scene


def empty_scene() -> Any:
    """An empty scene for Cycles, small, with a camera that looks down at the origin."""
    bpy.ops.wm.read_homefile(use_empty=True)
    scene: Any = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.seed = 7
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    scene.render.resolution_percentage = 100
    scene.frame_start, scene.frame_end = 1, 10
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = (0, 0, 10)
    camera.data.type = "ORTHO"
    camera.data.ortho_scale = 8
    scene.collection.objects.link(camera)
    scene.camera = camera
    return scene


def picture(
    path: Path, colour: tuple[float, float, float], size: int = 4, *, deep: bool = False
) -> Path:
    """Write a picture of one colour; ``deep``: with 16 bits for each channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new("made", size, size, float_buffer=deep)
    image.pixels.foreach_set([*colour, 1.0] * (size * size))
    image.filepath_raw = str(path)
    image.file_format = "OPEN_EXR" if path.suffix == ".exr" else "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def glow(name: str, image: Any) -> Any:
    """A material that shows an image by itself, without light."""
    made = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0):
        made.use_nodes = True
    tree = made.node_tree
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    emission = tree.nodes.new("ShaderNodeEmission")
    tree.links.new(emission.outputs[0], output.inputs["Surface"])
    if image is not None:
        texture = tree.nodes.new("ShaderNodeTexImage")
        texture.image = image
        texture.interpolation = "Closest"
        tree.links.new(texture.outputs["Color"], emission.inputs["Color"])
    return made


_COLUMNS = 6


def plane(name: str, material: Any, number: int, *, link: bool = True) -> Any:
    """A square with UVs in place ``number`` of the picture."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], [], [(0, 1, 2, 3)])
    layer = mesh.uv_layers.new()
    for corner, place in zip(layer.data, [(0, 0), (1, 0), (1, 1), (0, 1)], strict=True):
        corner.uv = place
    if material is not None:
        mesh.materials.append(material)
    item = bpy.data.objects.new(name, mesh)
    item.location = (-3.4 + 1.15 * (number % _COLUMNS), 1.0 - 1.15 * (number // _COLUMNS), 0)
    if link:
        bpy.context.scene.collection.objects.link(item)
    return item


def save(path: Path) -> Path:
    """Save the open scene at ``path``, paths as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(
        filepath=str(path), compress=False, relative_remap=False, check_existing=False
    )
    return path


def render(blend: Path, frame: int, target: Path, scene: str | None = None) -> Any:
    """Open a file as a farm does and render one frame; the pixels, (height, width, 4)."""
    bpy.ops.wm.open_mainfile(filepath=str(blend), load_ui=True, use_scripts=False)
    chosen: Any = bpy.context.scene if scene is None else bpy.data.scenes[scene]
    bpy.context.window.scene = chosen
    chosen.frame_set(frame)
    return render_open(target)


def render_open(target: Path) -> Any:
    """Render the current frame of the open scene; the pixels, (height, width, 4)."""
    scene: Any = bpy.context.scene
    scene.render.compositor_device = "CPU"
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.render.render(write_still=True, scene=scene.name)
    image = bpy.data.images.load(str(target))
    width, height = image.size
    values = numpy.empty(width * height * 4, dtype=numpy.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    return values.reshape(height, width, 4)


def differing(one: Any, other: Any) -> list[tuple[int, int]]:
    """The cells (column, row from above, of 8 x 4) in which two pictures differ."""
    rows, columns = numpy.nonzero((one != other).any(axis=2))
    cells = {(int(x) * 8 // one.shape[1], 3 - int(y) * 4 // one.shape[0])
             for x, y in zip(columns, rows, strict=True)}  # fmt: skip
    return sorted(cells)
