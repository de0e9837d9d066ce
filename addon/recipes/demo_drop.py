# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: imports the demo's results as the extension does, lets them fall, and takes the picture.

    {"assets": [{"name", "usd", "job"}], "extension": path of the built zip or "",
     "folder": where the single renders go, "picture": path.png, "fast": bool}
    ->  {"picture", "extension": bool, "assets": [{"name", "mass", "colliders", "lost", "notes",
         "moved" (metres in the last half second), "lowest" (metres above the floor)}]}

With a zip the extension is installed and enabled by Blender's own operators, into the user folder
that ``BLENDER_USER_RESOURCES`` names; without one the same code is imported from where it lies.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Euler, Vector

from bridge.problems import Category, ProblemError

Progress = Callable[[float, str], None]

# Where each asset hangs before it falls: place of its base in metres, turn in degrees.
_HANGS = (
    ((-0.74, 0.05, 0.42), (16, -11, 24)),
    ((-0.14, 0.10, 0.26), (0, 14, 33)),
    ((0.40, -0.08, 0.24), (7, 6, -24)),
    ((0.80, 0.06, 0.36), (24, 8, 10)),
)
_REST_FRAME = 110
_FPS = 24


# -- the extension -------------------------------------------------------------------------------


def _importer(zip_path: str) -> Any:
    """The add-on's module ``imports.simready``, from the installed extension if there is a zip."""
    if not zip_path:
        # The folder above addon/ and bridge/ may have any name; the add-on only needs a parent.
        package = types.ModuleType("scene_courier")
        package.__path__ = [str(Path(__file__).resolve().parents[2])]
        sys.modules["scene_courier"] = package
        return importlib.import_module("scene_courier.addon.imports.simready")
    bpy.ops.extensions.package_install_files(
        filepath=zip_path, repo="user_default", enable_on_install=True
    )
    name = "bl_ext.user_default.scene_courier"
    if name not in bpy.context.preferences.addons or name not in sys.modules:
        raise ProblemError(
            Category.BLENDER,
            "The extension was installed, but Blender did not enable it.",
            "Build it again with “make build”.",
            f"Blender {bpy.app.version_string}, {zip_path}",
        )
    return importlib.import_module(f"{name}.addon.imports.simready")


# -- the studio ----------------------------------------------------------------------------------


def _plain(name: str, colour: tuple[float, float, float], roughness: float) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    shader = next(n for n in material.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Roughness"].default_value = roughness
    return material


def _link(name: str, data: Any) -> bpy.types.Object:
    item = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(item)
    return item


def _studio(fast: bool) -> bpy.types.Object:
    """Floor, light and camera; returns the camera."""
    scene = bpy.context.scene
    scene.render.fps = _FPS
    world = bpy.data.worlds.new("Studio")
    world.use_nodes = True
    background = next(n for n in world.node_tree.nodes if n.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.78, 0.84, 0.92, 1)
    background.inputs["Strength"].default_value = 0.38
    scene.world = world
    _floor()
    for name, power, size, at in (
        ("Key", 185, 1.1, (-1.9, -1.7, 2.9)),
        ("Fill", 35, 3.0, (2.6, -1.4, 1.6)),
        ("Rim", 120, 1.2, (0.9, 2.4, 2.2)),
    ):
        light: Any = bpy.data.lights.new(name, "AREA")
        light.energy, light.size = power, size
        item = _link(name, light)
        item.location = at
        item.rotation_euler = _towards(Vector(at), Vector((0, 0, 0.3)))
    camera = _link("Camera", bpy.data.cameras.new("Camera"))
    camera.location = (0.25, -3.35, 1.35)
    camera.rotation_euler = _towards(camera.location, Vector((0.03, 0, 0.36)))
    camera.data.lens = 55
    scene.camera = camera
    _quality(scene, fast)
    return camera


def _towards(here: Vector, there: Vector) -> Euler:
    return (there - here).to_track_quat("-Z", "Y").to_euler()


def _floor() -> None:
    """A floor that bends up into the background; passive, with the friction of a preview ground."""
    outline = [(-14.0, 0.0), (3.2, 0.0)]
    outline += [
        (3.2 + 1.5 * math.sin(a), 1.5 - 1.5 * math.cos(a))
        for a in np.linspace(0.1, math.pi / 2, 12)
    ]
    outline.append((4.7, 8.0))
    vertices = [(x, y, z) for y, z in outline for x in (-14.0, 14.0)]
    faces = [(2 * n, 2 * n + 1, 2 * n + 3, 2 * n + 2) for n in range(len(outline) - 1)]
    data = bpy.data.meshes.new("Backdrop")
    data.from_pydata(vertices, [], faces)
    for polygon in data.polygons:
        polygon.use_smooth = True
    data.materials.append(_plain("Backdrop", (0.72, 0.74, 0.76), 0.9))
    _link("Backdrop", data)
    # What things fall on is a box of its own: thin meshes let fast bodies through.
    slab = bpy.data.meshes.new("Floor")
    corners = [(x, y, z) for z in (-0.25, 0.25) for y in (-6, 6) for x in (-6, 6)]
    sides = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    slab.from_pydata(corners, [], sides)
    floor = _link("Floor", slab)
    floor.hide_render = True
    floor.location.z = -0.25  # a box shape is centred on its object's origin
    with bpy.context.temp_override(object=floor, active_object=floor, selected_objects=[floor]):
        bpy.context.view_layer.objects.active = floor
        bpy.ops.rigidbody.object_add(type="PASSIVE")
    body = floor.rigid_body
    body.collision_shape, body.friction, body.restitution = "BOX", 1.0, 0.0
    body.use_margin, body.collision_margin = True, 0.0


def _quality(scene: Any, fast: bool) -> None:
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = 12 if fast else 20
    scene.cycles.max_bounces = 4
    scene.cycles.adaptive_threshold = 0.05
    try:
        scene.cycles.use_denoising = True
        scene.cycles.denoiser = "OPENIMAGEDENOISE"
    except TypeError:  # a build without it
        scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = (480, 360) if fast else (640, 480)
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.use_persistent_data = True
    with contextlib.suppress(TypeError):  # not every build has these looks
        scene.view_settings.look = "AgX - Medium High Contrast"


def _caption(camera: bpy.types.Object) -> Any:
    """A line of text in front of the camera; returns its curve."""
    curve: Any = bpy.data.curves.new("Caption", "FONT")
    curve.size = 0.026
    material = bpy.data.materials.new("Caption")
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    glow, out = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    glow.inputs["Color"].default_value = (0.012, 0.016, 0.022, 1)
    tree.links.new(glow.outputs["Emission"], out.inputs["Surface"])
    curve.materials.append(material)
    item = _link("Caption", curve)
    item.parent = camera
    half = 18 / camera.data.lens  # half the width of the picture at 1 m (36 mm sensor)
    item.location = (-half + 0.022, -0.75 * half + 0.026, -1.0)
    for kind in ("shadow", "diffuse", "glossy", "transmission"):
        setattr(item, f"visible_{kind}", False)
    return curve


# -- the drop ------------------------------------------------------------------------------------


def _bring(module: Any, asset: dict[str, Any], place: int) -> tuple[bpy.types.Object, Any]:
    """Import one result and hang it up; returns the body and the report."""
    at, turn = _HANGS[place % len(_HANGS)]
    report = module.import_simready(
        bpy.context,
        asset["usd"],
        name=asset["name"],
        placement=("source", (at[0], at[1], 0.0)),
        job_id=asset["job"],
    )
    body = bpy.data.objects.get(report.body) if report.body else None
    if body is None:
        body = bpy.data.collections[report.collection].objects[0]
    body.rotation_mode = "XYZ"
    body.rotation_euler = Euler([math.radians(angle) for angle in turn])
    body.location.z += at[2]
    return body, report


def _lowest(body: bpy.types.Object) -> float:
    """The height of the lowest rendered vertex of an asset, in metres."""
    graph = bpy.context.evaluated_depsgraph_get()
    lowest = math.inf
    for item in [body, *body.children_recursive]:
        if item.type != "MESH" or item.hide_render or not len(item.data.vertices):
            continue
        evaluated = item.evaluated_get(graph)
        points = np.empty(3 * len(evaluated.data.vertices), dtype=np.float32)
        evaluated.data.vertices.foreach_get("co", points)
        matrix = np.array(evaluated.matrix_world)
        lowest = min(lowest, float((points.reshape(-1, 3) @ matrix[2, :3] + matrix[2, 3]).min()))
    return lowest


def _place(body: bpy.types.Object) -> Vector:
    return body.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world.translation.copy()


def _render(path: Path) -> None:
    bpy.context.scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def _side_by_side(left: Path, right: Path, target: Path) -> None:
    parts = []
    for path in (left, right):
        image: Any = bpy.data.images.load(str(path))
        width, height = image.size
        pixels = np.empty(width * height * 4, dtype=np.float32)
        image.pixels.foreach_get(pixels)
        parts.append(pixels.reshape(height, width, 4))
    gap = np.ones((parts[0].shape[0], 8, 4), dtype=np.float32)
    whole = np.concatenate([parts[0], gap, parts[1]], axis=1)
    picture: Any = bpy.data.images.new("Picture", whole.shape[1], whole.shape[0])
    picture.pixels.foreach_set(whole.ravel())
    picture.filepath_raw = str(target)
    picture.file_format = "PNG"
    picture.save()


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Import, drop, render; see the module's text."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    progress(0.02, "Installing the extension" if params.get("extension") else "Opening Blender")
    module = _importer(params.get("extension") or "")
    scene = bpy.context.scene
    camera = _studio(bool(params.get("fast")))
    caption = _caption(camera)
    scene.frame_start, scene.frame_end = 1, _REST_FRAME
    brought = []
    for place, asset in enumerate(params["assets"]):
        progress(0.05 + 0.15 * place / len(params["assets"]), f"Importing {asset['name']}")
        brought.append((asset, *_bring(module, asset, place)))
    folder = Path(params["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "imported.blend"), compress=True)

    scene.frame_set(1)
    caption.body = "Imported: frame 1, nothing has moved yet"
    progress(0.2, "Rendering before the drop")
    _render(folder / "before.png")
    half_second_ago: list[Vector] = []
    for frame in range(2, _REST_FRAME + 1):
        scene.frame_set(frame)
        if frame == _REST_FRAME - _FPS // 2:
            half_second_ago = [_place(body) for _, body, _ in brought]
    caption.body = f"Play: at rest after {(_REST_FRAME - 1) / _FPS:.1f} s of Blender's own physics"
    progress(0.6, "Rendering after the drop")
    _render(folder / "after.png")
    told = []
    for (asset, body, report), then in zip(brought, half_second_ago, strict=True):
        told.append(
            {
                "name": asset["name"],
                "mass": report.mass,
                "colliders": report.colliders,
                "lost": report.lost,
                "notes": report.notes,
                "moved": (_place(body) - then).length,
                "lowest": _lowest(body),
            }
        )
    picture = Path(params["picture"])
    _side_by_side(folder / "before.png", folder / "after.png", picture)
    return {"picture": str(picture), "extension": bool(params.get("extension")), "assets": told}
