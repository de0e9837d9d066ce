# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: builds the demo's animation, a turntable of 24 frames, as a production keeps one.

    {"output": an empty folder}  ->  {"path": "<output>/turntable.blend", "frames": 24,
                                      "files": [paths of everything it needs]}

The objects lie in a library of their own with their textures as files beside it, and are linked
into the scene that is rendered; that scene has a texture file too. Everything is made here.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import bmesh
import bpy
import numpy as np
from mathutils import Vector

from addon.recipes import demo_scene, pictures, versions

Progress = Callable[..., None]

FRAMES = 24
_FPS = 12
_WARM = (0.80, 0.33, 0.19)
# Around the robot: name, place on the turntable in degrees and metres, turn in degrees, size.
_AROUND = (
    ("Vase", 205, 0.40, 0, 0.78),
    ("Crate", 325, 0.37, 20, 0.5),
    ("Stool", 85, 0.42, 0, 0.5),
)


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Build and save library and scene; see the module's text."""
    folder = Path(params["output"])
    (folder / "textures").mkdir(parents=True, exist_ok=True)
    progress(0.0, "Building the library")
    library = _library(folder / "library")
    progress(0.6, "Building the turntable")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene: Any = bpy.context.scene
    path = folder / "turntable.blend"
    bpy.context.preferences.filepaths.save_version = 0
    # Saved early, so that what follows can be stored by relative paths.
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True)
    names = ["Robot", *(name for name, *_ in _AROUND)]
    libraries: Any = bpy.data.libraries
    with libraries.load(str(library), link=True, relative=True) as (_, wanted):
        wanted.collections = names
    table = _table(_terrazzo(folder / "textures" / "terrazzo.png"))
    _turn(table)
    robot = _place("Robot", table, (0.0, 0.0, 0.085))
    _hop(robot)
    for name, angle, reach, turn, size in _AROUND:
        at = (reach * math.cos(math.radians(angle)), reach * math.sin(math.radians(angle)), 0.06)
        item = _place(name, table, at)
        item.rotation_euler.z, item.scale = math.radians(turn), (size, size, size)
    _backdrop()
    _light(scene)
    _settings(scene)
    bpy.ops.wm.save_mainfile(compress=True)
    files = sorted(str(item) for item in folder.rglob("*") if item.is_file())
    return {"path": str(path), "frames": FRAMES, "files": files}


def _library(folder: Path) -> Path:
    """The demo's objects, a collection each, their textures as files."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "props.blend"
    made = demo_scene.main({"output": str(path)}, lambda fraction, text: None)
    for asset in made["assets"]:
        main_object = bpy.data.objects[asset["objects"][0]]
        collection = bpy.data.collections.new(asset["name"])
        for name in asset["objects"]:
            item = bpy.data.objects[name]
            bpy.context.scene.collection.objects.unlink(item)
            collection.objects.link(item)
        # Instances stand on the floor, whatever the height of the first object's origin.
        collection.instance_offset = (main_object.matrix_world.translation.x, 0.0, 0.0)
        bpy.context.scene.collection.children.link(collection)
    bpy.ops.file.unpack_all(method="WRITE_LOCAL")
    bpy.ops.wm.save_mainfile(compress=True)
    return path


def _link(name: str, data: Any) -> Any:
    item = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(item)
    return item


def _place(name: str, table: Any, at: Sequence[float]) -> Any:
    """An instance of a linked collection on the turntable."""
    item = _link(name, None)
    item.instance_type = "COLLECTION"
    item.instance_collection = bpy.data.collections[name]
    item.parent = table
    item.location = at
    return item


# -- motion --------------------------------------------------------------------------------------


def _turn(table: Any) -> None:
    """Once around; the frame after the last one is the first again."""
    for frame, angle in ((1, 0.0), (FRAMES + 1, 2 * math.pi)):
        table.rotation_euler.z = angle + math.radians(15)
        table.keyframe_insert("rotation_euler", index=2, frame=frame)
    _shape(table, "LINEAR")


def _hop(robot: Any) -> None:
    """Two hops, pressed together before and after."""
    ground = robot.location.z
    for start in (1, 1 + FRAMES // 2):
        for after, height, stretch in (
            (0, 0.0, 1.0), (2, 0.0, 0.84), (4, 0.10, 1.08), (6, 0.15, 1.0),
            (8, 0.10, 1.05), (10, 0.0, 0.88), (12, 0.0, 1.0),
        ):  # fmt: skip
            robot.location.z = ground + height
            wide = 1 / math.sqrt(stretch)
            robot.scale = (wide, wide, stretch)
            robot.keyframe_insert("location", index=2, frame=start + after)
            robot.keyframe_insert("scale", frame=start + after)


def _shape(item: Any, interpolation: str) -> None:
    for curve in versions.curves(item.animation_data.action):
        for point in curve.keyframe_points:
            point.interpolation = interpolation


# -- the studio ----------------------------------------------------------------------------------


def _terrazzo(path: Path) -> Any:
    """A stone with chips of colour, as a texture file."""
    side, rng = 512, np.random.default_rng(11)
    points, colours = rng.random((170, 2)), rng.integers(0, 4, 170)
    chips = np.array([(0.85, 0.42, 0.27), (0.12, 0.42, 0.45), (0.30, 0.22, 0.18), (0.95, 0.9, 0.8)])
    grid = np.stack(np.meshgrid(*[np.arange(side) / side] * 2), axis=-1)
    nearest = np.full((side, side), np.inf)
    second = np.full((side, side), np.inf)
    owner = np.zeros((side, side), dtype=int)
    for number, point in enumerate(points):
        apart = np.abs(grid - point)
        apart = np.minimum(apart, 1 - apart)  # it repeats at the edges
        distance = np.hypot(apart[..., 0], apart[..., 1])
        closer = distance < nearest
        second = np.where(closer, nearest, np.minimum(second, distance))
        owner = np.where(closer, number, owner)
        nearest = np.where(closer, distance, nearest)
    stone = np.array((0.90, 0.86, 0.80)) + 0.02 * rng.standard_normal((side, side, 1))
    chip = (second - nearest > 0.016 + 0.03 * rng.random(170)[owner])[..., None]
    pictures.save(np.clip(np.where(chip, chips[colours[owner]], stone), 0, 1), path)
    return bpy.data.images.load(str(path), check_existing=True)


def _material(name: str, colour: Sequence[float], roughness: float, image: Any = None) -> Any:
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Roughness"].default_value = roughness
    if image is not None:
        image.filepath = bpy.path.relpath(image.filepath)
        texture = tree.nodes.new("ShaderNodeTexImage")
        texture.image = image
        tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    return material


def _table(image: Any) -> Any:
    """Two round steps of stone, the object that turns."""
    material = _material("Terrazzo", (0.9, 0.86, 0.8), 0.28, image)
    table = None
    for name, radius, height, floor in (("Turntable", 0.58, 0.06, 0.0), ("Step", 0.2, 0.085, 0.06)):
        mesh = bmesh.new()
        bmesh.ops.create_cone(
            mesh, cap_ends=True, segments=96, radius1=radius, radius2=radius, depth=height - floor
        )
        rims = [edge for edge in mesh.edges if len(edge.link_faces[0].verts) > 4
                or len(edge.link_faces[-1].verts) > 4]  # fmt: skip
        bmesh.ops.bevel(mesh, geom=rims, offset=0.008, segments=3, profile=0.5, affect="EDGES")
        layer = mesh.loops.layers.uv.new("UVMap")
        for face in mesh.faces:
            face.smooth = len(face.verts) <= 4
            for loop in face.loops:
                x, y, z = loop.vert.co
                flat = abs(face.normal.z) > 0.5
                u, v = (x, y) if flat else (math.atan2(y, x) * radius, z)
                loop[layer].uv = (1.3 * u, 1.3 * v)
        data = bpy.data.meshes.new(name)
        mesh.to_mesh(data)
        mesh.free()
        data.materials.append(material)
        item = _link(name, data)
        item.location.z = (height + floor) / 2
        if table is None:
            table = _link("Turning", None)
        item.parent = table
    return table


def _backdrop() -> None:
    """A floor that bends up into the background."""
    bend = np.linspace(0.0, math.pi / 2, 24)
    outline = [(-6.0, 0.0), *((1.2 + 1.4 * math.sin(a), 1.4 - 1.4 * math.cos(a)) for a in bend)]
    outline.append((2.6, 6.0))
    vertices = [(x, y, z) for y, z in outline for x in (-9.0, 9.0)]
    faces = [(2 * n, 2 * n + 1, 2 * n + 3, 2 * n + 2) for n in range(len(outline) - 1)]
    data = bpy.data.meshes.new("Backdrop")
    data.from_pydata(vertices, [], faces)
    for polygon in data.polygons:
        polygon.use_smooth = True
    data.materials.append(_material("Backdrop", _WARM, 0.9))
    _link("Backdrop", data)


def _light(scene: Any) -> None:
    world = bpy.data.worlds.new("Studio")
    world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (1.0, 0.82, 0.72, 1)
    background.inputs["Strength"].default_value = 0.35
    scene.world = world
    middle = Vector((0, 0, 0.25))
    for name, power, size, at, colour in (
        ("Key", 90, 0.8, (-1.7, -1.5, 2.2), (1.0, 0.93, 0.84)),
        ("Fill", 18, 2.4, (2.2, -1.6, 1.2), (0.75, 0.88, 1.0)),
        ("Rim", 70, 0.7, (1.3, 1.5, 1.7), (1.0, 0.88, 0.78)),
    ):
        light: Any = bpy.data.lights.new(name, "AREA")
        light.energy, light.size, light.color = power, size, colour
        item = _link(name, light)
        item.location = at
        item.rotation_euler = (middle - Vector(at)).to_track_quat("-Z", "Y").to_euler()
    camera = _link("Camera", bpy.data.cameras.new("Camera"))
    camera.location = (0.0, -2.9, 1.3)
    target = Vector((0, 0, 0.315))
    camera.rotation_euler = (target - camera.location).to_track_quat("-Z", "Y").to_euler()
    camera.data.lens = 70
    scene.camera = camera


def _settings(scene: Any) -> None:
    scene.frame_start, scene.frame_end = 1, FRAMES
    render = scene.render
    render.fps = _FPS
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = 288, 216, 100
    render.filepath = "//render/turntable_####"
    render.image_settings.file_format = "PNG"
    render.image_settings.color_mode = "RGB"
    render.use_persistent_data = True
    scene.cycles.device = "CPU"
    scene.cycles.samples = 8
    scene.cycles.max_bounces = 3
    scene.cycles.use_adaptive_sampling = False
    try:
        scene.cycles.use_denoising = True
        scene.cycles.denoiser = "OPENIMAGEDENOISE"
    except TypeError:  # a build without it
        scene.cycles.use_denoising = False
    with contextlib.suppress(TypeError):  # not every build has these looks
        scene.view_settings.look = "AgX - Medium High Contrast"
