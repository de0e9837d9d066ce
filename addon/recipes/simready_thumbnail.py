# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the asset's thumbnail: 256 x 256, Cycles on the processor, a plain light studio.

Cycles needs neither a screen nor a graphics driver, so it works wherever Blender starts. The scene
is made for the picture only and thrown away with the process.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector

from . import simready_geometry as geometry
from .simready_load import Shape

SIZE = 256
SAMPLES = 8
MAX_TRIANGLES = 1_500_000


def render(shapes: list[Shape], size: np.ndarray, path: Path) -> None:
    """Render ``shapes`` (bottom centre at the origin, ``size`` their extents) to a PNG."""
    scene = bpy.data.scenes.new("thumbnail")
    path.parent.mkdir(parents=True, exist_ok=True)
    total = sum(len(shape.tris) for shape in shapes)
    for shape in shapes:
        mesh = shape.mesh
        if total > MAX_TRIANGLES:
            mesh = _light(shape, max(100, int(len(shape.tris) * MAX_TRIANGLES / total / 3)))
        elif not any(mesh.materials):
            mesh.materials.clear()
        scene.collection.objects.link(bpy.data.objects.new(shape.prim, mesh))
    radius = max(float(np.linalg.norm(size)) / 2.0, 1e-4)
    middle = Vector((0.0, 0.0, float(size[2]) / 2.0))
    _camera(scene, size, middle, radius)
    _light_up(scene, middle, radius)
    _settings(scene, path)
    window = bpy.context.window
    if window:
        window.scene = scene
        bpy.ops.render.render(write_still=True)
    else:
        with bpy.context.temp_override(scene=scene):
            bpy.ops.render.render(write_still=True, scene=scene.name)


def _light(shape: Shape, target: int) -> bpy.types.Mesh:
    """A thinned copy without textures: a huge mesh would take minutes to prepare."""
    points, tris, _, kept = geometry.thin(shape.points, shape.tris, target)
    mesh = bpy.data.meshes.new(shape.prim)
    mesh.from_pydata(points.tolist(), [], tris.tolist())
    for material in shape.materials:
        mesh.materials.append(material)
    mesh.polygons.foreach_set("material_index", shape.slots[kept].astype(np.int32))
    mesh.update()
    return mesh


def _camera(scene: bpy.types.Scene, size: np.ndarray, middle: Vector, radius: float) -> None:
    data = bpy.data.cameras.new("camera")
    data.lens = 70.0
    camera = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(camera)
    # Seen from the front left and a little above; Blender's front is -Y.
    back = Vector((-0.62, -1.0, 0.55)).normalized()
    turn = back.to_track_quat("Z", "Y").to_matrix()
    half_angle = math.atan(0.5 * data.sensor_width / data.lens)
    corners = [
        Vector((x * float(size[0]) / 2, y * float(size[1]) / 2, z * float(size[2]) / 2))
        for x in (-1, 1)
        for y in (-1, 1)
        for z in (-1, 1)
    ]
    distance = radius
    for corner in corners:
        seen = turn.transposed() @ corner
        reach = max(abs(seen.x), abs(seen.y)) / math.tan(half_angle)
        distance = max(distance, 1.08 * reach + seen.z)
    camera.matrix_world = Matrix.Translation(middle + back * distance) @ turn.to_4x4()
    data.clip_start = max(distance - 4 * radius, distance * 0.01)
    data.clip_end = distance + 60 * radius
    scene.camera = camera


def _light_up(scene: bpy.types.Scene, middle: Vector, radius: float) -> None:
    world = bpy.data.worlds.new("studio")
    scene.world = world
    if bpy.app.version < (5, 0, 0):
        world.use_nodes = True
    tree = world.node_tree
    background = next((node for node in tree.nodes if node.type == "BACKGROUND"), None)
    if background:
        background.inputs["Color"].default_value = (0.92, 0.94, 0.97, 1.0)
        background.inputs["Strength"].default_value = 0.65
    sun: Any = bpy.data.lights.new("sun", "SUN")
    sun.energy = 2.2
    sun.angle = 0.25
    holder = bpy.data.objects.new("sun", sun)
    holder.rotation_euler = (0.75, -0.25, -0.6)
    scene.collection.objects.link(holder)
    floor = bpy.data.meshes.new("floor")
    reach = 40.0 * radius
    corners = [(-reach, -reach, 0), (reach, -reach, 0), (reach, reach, 0), (-reach, reach, 0)]
    floor.from_pydata([(x, y, -1e-4 * radius) for x, y, _ in corners], [], [(0, 1, 2, 3)])
    paint = bpy.data.materials.new("floor")
    if bpy.app.version < (5, 0, 0):
        paint.use_nodes = True
    shader = next((node for node in paint.node_tree.nodes if node.type == "BSDF_PRINCIPLED"), None)
    if shader:
        shader.inputs["Base Color"].default_value = (0.72, 0.73, 0.75, 1.0)
        shader.inputs["Roughness"].default_value = 0.9
    floor.materials.append(paint)
    scene.collection.objects.link(bpy.data.objects.new("floor", floor))


def _settings(scene: bpy.types.Scene, path: Path) -> None:
    render_settings: Any = scene.render
    render_settings.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = SAMPLES
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.use_denoising = False
    scene.cycles.max_bounces = 1
    scene.cycles.seed = 1
    scene.cycles.caustics_reflective = scene.cycles.caustics_refractive = False
    scene.cycles.use_light_tree = False  # one lamp: a tree only costs
    render_settings.resolution_x = render_settings.resolution_y = SIZE
    render_settings.resolution_percentage = 100
    render_settings.use_file_extension = False
    render_settings.filepath = str(path)
    settings = render_settings.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "PNG"
    settings.color_mode = "RGB"
    scene.view_settings.view_transform = "Standard"
