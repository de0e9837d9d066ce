# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene that needs every kind of external file there is, made by the Blender that runs this.

    python tests/support/dependency_scene.py FOLDER

makes FOLDER/project/main.blend, libraries and media around it, and FOLDER/facts.json. Each thing
is a cell of the picture (64 x 36 pixels, Cycles on the CPU, frames 2 to 4 of 1 to 6), so that a
file that gets lost changes pixels. `build` does that in a process of its own.

facts.json: {"main", "frames": [2, 4], "frame": 3, "scenes": [names to render], "files": {kind:
[paths relative to FOLDER that frames 2 to 4 need]}, "without": [what this Blender cannot do]}.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import struct
import subprocess
import sys
import wave
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

FRAMES = (2, 4)
FRAME = 3
SPECIAL = "shared tex/Fläche 🎨.png"

# A fog of 8 x 8 x 8 voxels of 0.1, as OpenVDB writes it; 4.2 has no OpenVDB for Python.
FOG = (
    "eNrt2stOwkAUBmBK8BKDignuuzBuDAmUi3GFYGHnykviajKUgUwy7RCmNJC48DV07cZH8G18FGeASouauDX8"
    "X3JypienndNZdFW77d5ntA8d+cyCVXHc1kWrXC41nO5F6bzqdkutTq1RajuuUy9XnI5bv5o36tjR0WeB4uGs"
    "oJe3Y8bIQEgakjqpkappe1w+9/U0nbd17OrY0uEJqpQpqHDMg+GeXg3k0I6kmPhs31xxwUivJ6fEp1NzR8S8"
    "Ks8vJ4hjrZMHqc6kQtzpSX80ZkpxGaz2P9arnpDKs89s6oU8YnZExYSpo/i2PhN0xvpEv2rf7EriiimYDQ7i"
    "Tp/5pDcLmTKz8CBs1MxLl99y6TkiOWVCTzMJwlRjJrsY2LQH1GerIRNHf6iXdwEfyLF/41HBruno5dl4b/41"
    "L3Y5ufw5P/ySi9+ylThka+3Q168BAAAAAAAAAAAAAAAAAADgHyosc9aqzn9/sBI12Fz4MWTDFRMfBvNlyH3V"
    "npqfC6qIfQ=="
)
LIGHT = """IESNA:LM-63-1995
TILT=NONE
1 1000 1 5 1 1 2 0 0 0
1 1 10
0 30 60 80 90
0
1000 500 900 100 0
"""
STAGE = """#usda 1.0
(
    metersPerUnit = 1
    startTimeCode = 1
    endTimeCode = 6
    timeCodesPerSecond = 24
    upAxis = "Z"
    subLayers = [@./layers/moving.usdc@]
)
"""


def build(folder: Path, python: str = sys.executable) -> dict[str, Any]:
    """Make the scene in a process of its own; return what facts.json holds."""
    folder.mkdir(parents=True, exist_ok=True)
    run = subprocess.run(
        [python, str(Path(__file__).resolve()), str(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
        check=False,
    )
    facts = folder / "facts.json"
    assert facts.is_file(), run.stdout[-4000:] + run.stderr[-4000:]
    return dict(json.loads(facts.read_text(encoding="utf-8")))


class Maker:
    """Makes the files and the scene."""

    def __init__(self, folder: Path) -> None:
        import bpy

        self.bpy = bpy
        expose = getattr(bpy.utils, "expose_bundled_modules", None)
        if expose is not None:
            expose()
        self.root = folder
        self.project = folder / "project"
        self.files: dict[str, list[str]] = {}
        self.without: list[str] = []
        self.cells = 0

    def need(self, kind: str, *paths: Path) -> None:
        """Note that frames 2 to 4 need these files."""
        names = [path.relative_to(self.root).as_posix() for path in paths]
        self.files.setdefault(kind, []).extend(names)

    def attempt(self, name: str, make: Callable[[], None]) -> None:
        """Make one part, or note that this Blender cannot."""
        try:
            make()
        except (AttributeError, ImportError, RuntimeError, TypeError, KeyError) as error:
            print(f"without {name}: {type(error).__name__}: {error}", flush=True)
            self.without.append(name)

    def picture(
        self,
        path: Path,
        color: tuple[float, float, float],
        kind: str = "PNG",
        size: tuple[int, int] = (8, 8),
    ) -> Path:
        """A small picture with a pattern."""
        path.parent.mkdir(parents=True, exist_ok=True)
        image: Any = self.bpy.data.images.new("made", *size, float_buffer=kind == "OPEN_EXR")
        pixels: list[float] = []
        for row in range(size[1]):
            for column in range(size[0]):
                shade = 0.4 + 0.6 * ((row + column) % 4) / 3
                pixels += [value * shade for value in color] + [1.0]
        image.pixels.foreach_set(pixels)
        image.file_format = kind
        image.filepath_raw = str(path)
        image.save()
        self.bpy.data.images.remove(image)
        return path

    def place(self) -> tuple[float, float]:
        """The middle of the next free cell."""
        number = self.cells
        self.cells += 1
        assert number < 32, "the picture is full"
        return -3.5 + number % 8, 1.5 - number // 8

    def plane(self, name: str, material: Any = None) -> Any:
        """A plane that fills the next cell."""
        x, y = self.place()
        self.bpy.ops.mesh.primitive_grid_add(
            x_subdivisions=4, y_subdivisions=4, size=0.9, location=(x, y, 0)
        )
        item = self.bpy.context.object
        item.name = item.data.name = name
        if material is not None:
            item.data.materials.append(material)
        return item

    def material(self, name: str, image: Any = None) -> Any:
        """A material that glows with an image, or with a colour."""
        made: Any = self.bpy.data.materials.new(name)
        made.use_nodes = True
        tree = made.node_tree
        tree.nodes.clear()
        output = tree.nodes.new("ShaderNodeOutputMaterial")
        glow = tree.nodes.new("ShaderNodeEmission")
        glow.inputs["Color"].default_value = (0.2, 0.5, 0.8, 1)
        tree.links.new(glow.outputs[0], output.inputs["Surface"])
        if image is not None:
            texture = tree.nodes.new("ShaderNodeTexImage")
            texture.image = image
            texture.interpolation = "Closest"
            texture.name = "Texture"
            tree.links.new(texture.outputs["Color"], glow.inputs["Color"])
        return made

    def shown(self, name: str, path: str, source: str = "FILE") -> Any:
        """A cell with an image by a stored path; the image."""
        image = self.bpy.data.images.new(name, 8, 8, tiled=source == "TILED")
        image.source = source
        image.filepath = path
        self.plane(name, self.material(name, image))
        return image

    def user(self, name: str) -> Any:
        """How the texture of a cell times its sequence."""
        return self.bpy.data.materials[name].node_tree.nodes["Texture"].image_user

    def only(self, item: Any) -> None:
        """Select one object."""
        for other in self.bpy.context.selected_objects:
            other.select_set(False)
        item.select_set(True)
        self.bpy.context.view_layer.objects.active = item

    # The parts

    def libraries(self) -> None:
        """mid.blend links inner.blend, whose texture is relative to inner.blend."""
        bpy = self.bpy
        texture = self.picture(self.root / "libs/inner/tex/inner.png", (1, 0.3, 0.9))
        inner, mid = self.root / "libs/inner/inner.blend", self.root / "libs/mid/mid.blend"
        mid.parent.mkdir(parents=True)
        bpy.ops.wm.read_homefile(use_empty=True)
        image = bpy.data.images.new("inner", 8, 8)
        image.source, image.filepath = "FILE", "//tex/inner.png"
        material = self.material("inner", image)
        material.use_fake_user = True
        bpy.ops.wm.save_as_mainfile(filepath=str(inner), compress=True)
        bpy.ops.wm.read_homefile(use_empty=True)
        with bpy.data.libraries.load(str(inner), link=True) as (_, chosen):
            chosen.materials = ["inner"]
        image = bpy.data.images.new("mid", 8, 8)
        image.source, image.filepath = "FILE", "//../shared by libs/mid.png"
        other = self.picture(self.root / "libs/shared by libs/mid.png", (0.3, 1, 0.1))
        for name, given in (
            ("Linked", chosen.materials[0]),
            ("Overridden", self.material("mid", image)),
        ):
            bpy.ops.mesh.primitive_plane_add(size=0.9)
            item = bpy.context.object
            item.name = item.data.name = name
            item.data.materials.append(given)
            group = bpy.data.collections.new(name)
            bpy.context.scene.collection.objects.unlink(item)
            group.objects.link(item)
            bpy.context.scene.collection.children.link(group)
        bpy.ops.wm.save_as_mainfile(filepath=str(mid), compress=False, relative_remap=True)
        bpy.ops.file.make_paths_relative()
        bpy.ops.wm.save_as_mainfile(filepath=str(mid), compress=False)
        mid.with_name("mid.blend1").unlink(missing_ok=True)
        self.need("library", inner, mid)
        self.need("image", texture, other)

    def link(self) -> None:
        """An instance of a linked collection, and an override of another."""
        bpy = self.bpy
        path = self.root / "libs/mid/mid.blend"
        with bpy.data.libraries.load(str(path), link=True, relative=True) as (_, chosen):
            chosen.collections = ["Linked", "Overridden"]
        linked, other = chosen.collections
        empty = bpy.data.objects.new("Instance", None)
        empty.instance_type, empty.instance_collection = "COLLECTION", linked
        empty.location = (*self.place(), 0)
        bpy.context.scene.collection.objects.link(empty)
        made = other.override_hierarchy_create(bpy.context.scene, bpy.context.view_layer)
        made.objects[0].location = (*self.place(), 0)

    def images(self) -> None:
        """Images of all sorts."""
        bpy, project = self.bpy, self.project
        tex = project / "tex"
        self.need("image", self.picture(tex / "plain.png", (1, 0, 0)))
        self.shown("relative", "//tex/plain.png")
        self.need("image", self.picture(tex / "absolute.png", (1, 0.5, 0)))
        self.shown("absolute", str(tex / "absolute.png"))
        self.need("image", self.picture(self.root / SPECIAL, (1, 1, 0)))
        self.shown("special", "//../" + SPECIAL)
        # Two names of one file.
        (tex / "link.png").symlink_to("plain.png")
        self.need("image", tex / "link.png")
        self.shown("symbolic link", "//tex/link.png")
        for number, color in ((1001, (0, 1, 0)), (1002, (0, 1, 1))):
            self.need("udim", self.picture(tex / f"tile.{number}.png", color))
        image = self.shown("tiles", "//tex/tile.<UDIM>.png", "TILED")
        image.tiles.new(1002)
        for corner in bpy.data.objects["tiles"].data.uv_layers[0].data:
            corner.uv.x *= 2
        for frame in range(1, 11):
            path = self.picture(tex / f"seq/s_{frame:04}.png", (frame / 10, 0, 1 - frame / 10))
            if frame in {4, 5, 6}:  # frames 2 to 4, offset by 2
                self.need("image_sequence", path)
        self.shown("sequence", "//tex/seq/s_0001.png", "SEQUENCE")
        user = self.user("sequence")
        user.frame_duration, user.frame_offset, user.frame_start = 10, 2, 1
        user.use_auto_refresh = True
        for eye in "LR":
            path = self.picture(tex / f"eye_{eye}.png", (0.5, eye == "L", 1))
            self.need("image", path)
        image = self.shown("eyes", "//tex/eye_L.png")
        image.use_multiview = True
        image.views_format = "INDIVIDUAL"
        packed = self.picture(tex / "packed.png", (0.1, 0.8, 0.5))
        self.shown("packed", "//tex/packed.png").pack()
        packed.unlink()
        image = bpy.data.images.new("generated", 8, 8)
        image.generated_type = "COLOR_GRID"
        self.plane("generated", self.material("generated", image))
        world = bpy.data.worlds.new("World")
        world.use_nodes = True
        sky = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
        sky.image = bpy.data.images.new("sky", 8, 8)
        sky.image.source, sky.image.filepath = "FILE", "//tex/sky.exr"
        self.need("image", self.picture(tex / "sky.exr", (0.2, 0.3, 0.6), "OPEN_EXR"))
        background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
        world.node_tree.links.new(sky.outputs[0], background.inputs["Color"])
        bpy.context.scene.world = world

    def movie(self) -> None:
        """A movie made by Blender's own FFmpeg, as a texture."""
        bpy = self.bpy
        path = self.project / "film/Film 1.mp4"
        scene = bpy.data.scenes.new("film")
        scene.render.resolution_x = scene.render.resolution_y = 32
        scene.frame_end = 6
        settings = scene.render.image_settings
        if hasattr(settings, "media_type"):
            settings.media_type = "VIDEO"
        settings.file_format = "FFMPEG"
        scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "MPEG4", "H264"
        scene.render.filepath, scene.render.use_file_extension = str(path), False
        strips = _strips(scene)
        for number in range(3):
            start = 1 + number * 2
            try:
                strip = strips.new_effect(
                    name="c", type="COLOR", channel=1, frame_start=start, length=2
                )
            except TypeError:
                strip = strips.new_effect(
                    name="c", type="COLOR", channel=1, frame_start=start, frame_end=start + 2
                )
            strip.color = (number == 0, number == 1, number == 2)
        bpy.ops.render.render(animation=True, scene="film")
        bpy.data.scenes.remove(scene)
        assert path.stat().st_size
        self.need("movie", path)
        self.shown("movie", "//film/Film 1.mp4", "MOVIE")
        user = self.user("movie")
        user.frame_duration, user.use_auto_refresh = 6, True

    def clip(self) -> None:
        """A clip of single pictures, mixed in by the compositor; with proxies."""
        bpy, scene = self.bpy, self.bpy.context.scene
        for frame in range(10, 20):
            path = self.picture(
                self.project / f"clip/c{frame:03}.png", (frame / 20, 0.5, 0.2), size=(64, 36)
            )
            if frame <= 13:  # frame 4 shows the fourth; clips are kept from their first
                self.need("movie_clip", path)
        clip = bpy.data.movieclips.load(str(self.project / "clip/c010.png"))
        clip.filepath = "//clip/c010.png"
        clip.use_proxy = True
        proxy = self.project / "clip/BL_proxy/c010.png/proxy_25/00000001.jpg"
        proxy.parent.mkdir(parents=True)
        proxy.write_bytes(b"not needed to render")
        self.need("proxy", proxy)
        if hasattr(scene, "compositing_node_group"):
            tree = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
            scene.compositing_node_group = tree
            tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
            output = tree.nodes.new("NodeGroupOutput")
        else:
            scene.use_nodes = True
            tree = scene.node_tree
            tree.nodes.clear()
            output = tree.nodes.new("CompositorNodeComposite")
        layers = tree.nodes.new("CompositorNodeRLayers")
        shown = tree.nodes.new("CompositorNodeMovieClip")
        shown.clip = clip
        over = tree.nodes.new("CompositorNodeAlphaOver")
        pictures = [socket for socket in over.inputs if socket.type == "RGBA"]
        factor = next(socket for socket in over.inputs if socket.name in {"Fac", "Factor"})
        factor.default_value = 0.5
        tree.links.new(layers.outputs["Image"], pictures[0])
        tree.links.new(shown.outputs["Image"], pictures[1])
        tree.links.new(over.outputs[0], output.inputs[0])

    def volumes(self) -> None:
        """One VDB file, and a sequence."""
        bpy = self.bpy
        fog = zlib.decompress(base64.b64decode(FOG))
        (self.project / "vdb").mkdir()
        single = self.project / "vdb/fog.vdb"
        single.write_bytes(fog)
        self.need("volume", single)
        for frame in range(1, 9):
            path = self.project / f"vdb/smoke {frame:04}.vdb"
            path.write_bytes(fog)
            if frame in {1, 2, 3}:  # starts at frame 2
                self.need("volume_sequence", path)
        material = bpy.data.materials.new("fog")
        material.use_nodes = True
        tree = material.node_tree
        tree.nodes.clear()
        output = tree.nodes.new("ShaderNodeOutputMaterial")
        glow = tree.nodes.new("ShaderNodeVolumePrincipled")
        glow.inputs["Emission Strength"].default_value = 2
        glow.inputs["Emission Color"].default_value = (1, 0.4, 0.1, 1)
        tree.links.new(glow.outputs[0], output.inputs["Volume"])
        for name, path in (("fog", "//vdb/fog.vdb"), ("smoke", "//vdb/smoke 0001.vdb")):
            volume = bpy.data.volumes.new(name)
            volume.filepath = path
            volume.materials.append(material)
            item = bpy.data.objects.new(name, volume)
            x, y = self.place()
            item.location = (x - 0.4, y - 0.4, 0)
            bpy.context.scene.collection.objects.link(item)
        volume = bpy.data.volumes["smoke"]
        volume.is_sequence = True
        volume.frame_start, volume.frame_duration = 2, 8

    def caches(self) -> None:
        """Alembic as one file and as a sequence, USD, and a mesh cache."""
        bpy, scene = self.bpy, self.bpy.context.scene
        folder = self.project / "cache"
        folder.mkdir()

        def moving(name: str) -> Any:
            item = self.plane(name)
            item.shape_key_add()
            key = item.shape_key_add()
            for index, point in enumerate(key.data):
                point.co.y += 0.3 * (index % 3 - 1)
            for value, frame in ((0.0, 1), (1.0, 6)):
                key.value = value
                key.keyframe_insert("value", frame=frame)
            self.only(item)
            return item

        def exchanged(item: Any, bring: Callable[[], Any]) -> None:
            old, place = item.data, item.location.copy()
            bpy.data.objects.remove(item)
            bpy.data.meshes.remove(old)
            bring()
            made = bpy.context.selected_objects[0]
            assert any(each.type == "MESH_SEQUENCE_CACHE" for each in made.modifiers), made.name
            made.data.materials.clear()
            made.data.materials.append(self.material(made.name))
            assert (made.matrix_world.translation - place).length < 1e-3

        item = moving("alembic")
        path = folder / "moving.abc"
        bpy.ops.wm.alembic_export(filepath=str(path), selected=True, start=1, end=6)
        exchanged(item, lambda: bpy.ops.wm.alembic_import(filepath=str(path)))
        self.need("alembic", path)

        item = moving("alembic sequence")
        for frame in range(1, 7):
            path = folder / f"step_{frame:03}.abc"
            bpy.ops.wm.alembic_export(filepath=str(path), selected=True, start=frame, end=frame)
            if frame in {2, 3, 4, 5}:
                self.need("alembic", path)
        exchanged(
            item,
            lambda: bpy.ops.wm.alembic_import(
                filepath=str(folder / "step_001.abc"), always_add_cache_reader=True
            ),
        )
        bpy.data.cache_files["step_001.abc"].is_sequence = True

        item = moving("usd")
        stage, layer = folder / "stage.usda", folder / "layers/moving.usdc"
        layer.parent.mkdir()
        bpy.ops.wm.usd_export(
            filepath=str(layer), selected_objects_only=True, export_animation=True,
            export_materials=False, export_shapekeys=False, export_armatures=False,
            convert_world_material=False,
        )  # fmt: skip
        stage.write_text(STAGE, encoding="ascii")
        exchanged(item, lambda: bpy.ops.wm.usd_import(filepath=str(stage)))
        bpy.data.cache_files["stage.usda"].filepath = "//cache/stage.usda"
        self.need("usd", stage, layer)

        item = self.plane("mesh cache", self.material("mesh cache"))
        path = folder / "points.pc2"
        points = [tuple(vertex.co) for vertex in item.data.vertices]
        content = struct.pack("<12siiffi", b"POINTCACHE2\0", 1, len(points), 1.0, 1.0, 6)
        for frame in range(6):
            for x, y, z in points:
                content += struct.pack("<3f", x * (1 - frame / 12), y, z)
        path.write_bytes(content)
        modifier = item.modifiers.new("Cache", "MESH_CACHE")
        modifier.cache_format, modifier.filepath = "PC2", "//cache/points.pc2"
        modifier.frame_start = 1
        self.need("mesh_cache", path)
        scene.frame_set(FRAME)

    def simulations(self) -> None:
        """Cloth baked beside the .blend and in a folder of its own; geometry nodes baked."""
        bpy, scene = self.bpy, self.bpy.context.scene
        scene.gravity = (0, -60, 0)
        folder, other = self.project / "blendcache_main", self.project / "outside cache"
        other.mkdir()
        for name in ("cloth 1", "cloth 2"):
            cloth = self.plane(name, self.material(name))
            cache = cloth.modifiers.new("Cloth", "CLOTH").point_cache
            cache.use_disk_cache, cache.frame_start, cache.frame_end = True, 1, 6
            with bpy.context.temp_override(scene=scene, active_object=cloth, point_cache=cache):
                bpy.ops.ptcache.bake(bake=True)
        baked = {name: sorted(folder.glob(name.encode().hex().upper() + "_*"))
                 for name in ("cloth 1", "cloth 2")}  # fmt: skip
        assert [len(paths) for paths in baked.values()] == [6, 6], baked
        self.need("point_cache", *baked["cloth 1"][:5])  # a simulation is read from its start
        for number, path in enumerate(baked["cloth 2"], 1):
            moved = path.rename(other / f"cloth_{number:06}_00.bphys")
            if number <= 5:
                self.need("point_cache", moved)
        cache.use_external = True
        cache.index, cache.name, cache.filepath = 0, "cloth", "//outside cache"
        modifiers = []
        for name in ("sim", "sim of its own"):
            item = self.plane(name, self.material(name))
            modifier = item.modifiers.new("Simulation", "NODES")
            modifier.node_group = bpy.data.node_groups.get("Sim") or self._simulation()
            if hasattr(modifier, "bake_target"):
                modifier.bake_target = "DISK"
            modifiers.append(modifier)
        bpy.context.view_layer.update()
        modifiers[0].bake_directory = "//bakes/sim"
        modifiers[1].bake_directory = "//bakes/unused"
        modifiers[1].bakes[0].use_custom_path = True
        modifiers[1].bakes[0].directory = "//bakes/own"
        for modifier in modifiers:
            self.only(modifier.id_data)
            bpy.ops.object.simulation_nodes_cache_bake(selected=True)
        found = sorted(path for path in (self.project / "bakes").rglob("*") if path.is_file())
        assert len(found) == 24, found  # six frames, a description and a blob each, twice
        self.need("nodes_bake", *[path for path in found if path.name[:5] in _NEAR])

    def _simulation(self) -> Any:
        tree = self.bpy.data.node_groups.new("Sim", "GeometryNodeTree")
        for way in ("INPUT", "OUTPUT"):
            tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
        first, last = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
        begin = tree.nodes.new("GeometryNodeSimulationInput")
        end = tree.nodes.new("GeometryNodeSimulationOutput")
        begin.pair_with_output(end)
        move = tree.nodes.new("GeometryNodeTransform")
        move.inputs["Scale"].default_value = (0.8, 0.95, 1)
        tree.links.new(first.outputs[0], begin.inputs["Geometry"])
        tree.links.new(begin.outputs["Geometry"], move.inputs[0])
        tree.links.new(move.outputs[0], end.inputs["Geometry"])
        tree.links.new(end.outputs["Geometry"], last.inputs[0])
        return tree

    def font(self) -> None:
        """A letter in a font file."""
        bpy = self.bpy
        source = Path(bpy.utils.system_resource("DATAFILES")) / "fonts"
        path = self.project / "Schrift ä.woff2"
        shutil.copyfile(source / "DejaVuSansMono.woff2", path)
        curve: Any = bpy.data.curves.new("letter", "FONT")
        curve.body, curve.size = "R", 1.2
        curve.font = bpy.data.fonts.load(str(path))
        curve.font.filepath = "//Schrift ä.woff2"
        curve.materials.append(self.material("letter"))
        item = bpy.data.objects.new("letter", curve)
        x, y = self.place()
        item.location = (x - 0.4, y - 0.4, 0)
        bpy.context.scene.collection.objects.link(item)
        self.need("font", path)

    def lights(self) -> None:
        """A lamp with a measured profile over a plane without a glow of its own."""
        bpy = self.bpy
        path = self.project / "lamp.ies"
        path.write_text(LIGHT, encoding="ascii")
        item = self.plane("lit")
        x, y, _ = item.location
        lamp = bpy.data.lights.new("lamp", "POINT")
        lamp.energy, lamp.use_nodes = 3, True
        tree = lamp.node_tree
        glow = next(node for node in tree.nodes if node.type == "EMISSION")
        profile = tree.nodes.new("ShaderNodeTexIES")
        profile.mode, profile.filepath = "EXTERNAL", "//lamp.ies"
        tree.links.new(profile.outputs[0], glow.inputs["Strength"])
        shining = bpy.data.objects.new("lamp", lamp)
        shining.location = (x, y, 0.7)
        bpy.context.scene.collection.objects.link(shining)
        self.need("ies", path)

    def shader(self) -> None:
        """A shader written in OSL, which includes a file beside it."""
        bpy = self.bpy
        if not bpy.app.build_options.cycles_osl:
            raise RuntimeError("no OSL")
        folder = self.project / "osl"
        folder.mkdir()
        (folder / "color.h").write_text("#define COLOR color(0.2, 0.7, 0.1)\n", encoding="ascii")
        (folder / "glow.osl").write_text(
            '#include "color.h"\nshader glow(output color Out = color(0)) { Out = COLOR; }\n',
            encoding="ascii",
        )
        bpy.context.scene.cycles.shading_system = True
        material = self.material("osl")
        tree = material.node_tree
        script = tree.nodes.new("ShaderNodeScript")
        script.mode, script.filepath = "EXTERNAL", "//osl/glow.osl"
        glow = next(node for node in tree.nodes if node.type == "EMISSION")
        tree.links.new(script.outputs[0], glow.inputs["Color"])
        self.plane("osl", material)
        self.need("script", *sorted(folder.iterdir()))

    def imported(self) -> None:
        """Geometry that nodes read from files while rendering: 4.5 and later."""
        bpy = self.bpy
        if not hasattr(bpy.types, "GeometryNodeImportOBJ"):
            raise RuntimeError("no such nodes")
        folder = self.project / "models"
        folder.mkdir()
        item = self.plane("made")
        item.location = (0, 0, 0)
        item.scale = (0.6, 0.8, 1)
        self.only(item)
        self.cells -= 1
        for name, export, options in (
            ("node.obj", bpy.ops.wm.obj_export, {"export_selected_objects": True}),
            ("input.ply", bpy.ops.wm.ply_export, {"export_selected_objects": True}),
        ):
            export(filepath=str(folder / name), forward_axis="Y", up_axis="Z", **options)
        (folder / "node.mtl").unlink(missing_ok=True)
        bpy.data.objects.remove(item)
        for name, kind in (("node.obj", "OBJ"), ("input.ply", "PLY")):
            tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
            tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
            reader = tree.nodes.new(f"GeometryNodeImport{kind}")
            output = tree.nodes.new("NodeGroupOutput")
            paint = tree.nodes.new("GeometryNodeSetMaterial")
            paint.inputs["Material"].default_value = self.material(name)
            geometry = reader.outputs[0]
            if geometry.name == "Instances":
                real = tree.nodes.new("GeometryNodeRealizeInstances")
                tree.links.new(geometry, real.inputs[0])
                geometry = real.outputs[0]
            tree.links.new(geometry, paint.inputs["Geometry"])
            tree.links.new(paint.outputs[0], output.inputs[0])
            item = self.plane(name)
            modifier = item.modifiers.new("Read", "NODES")
            if kind == "OBJ":
                reader.inputs["Path"].default_value = "//models/node.obj"
            else:
                socket = tree.interface.new_socket(
                    "Path", in_out="INPUT", socket_type="NodeSocketString"
                )
                socket.subtype = "FILE_PATH"
                entry = tree.nodes.new("NodeGroupInput")
                tree.links.new(entry.outputs[0], reader.inputs["Path"])
            modifier.node_group = tree
            if kind == "PLY":
                bpy.context.view_layer.update()
                if hasattr(modifier, "properties"):
                    getattr(
                        modifier.properties.inputs, socket.identifier
                    ).value = "//models/input.ply"
                else:
                    modifier[socket.identifier] = "//models/input.ply"
            self.need("other", folder / name)

    def edit(self) -> None:
        """A second scene, cut in the sequencer: pictures with proxies, a movie and its sound."""
        bpy = self.bpy
        scene = bpy.data.scenes.new("Edit")
        _picture_format(scene)
        strips = _strips(scene)
        folder = self.project / "edit"
        for frame in range(1, 9):
            path = self.picture(folder / f"p {frame:02}.png", (0, frame / 8, 1 - frame / 8))
            if 1 <= frame <= 5:  # one more than needed on each side
                self.need("strip_sequence", path)
        strip = strips.new_image(
            name="pictures", filepath=str(folder / "p 01.png"), channel=1, frame_start=1
        )
        for frame in range(2, 9):
            strip.elements.append(f"p {frame:02}.png")
        strip.directory = "//edit/"
        strip.use_proxy = True
        strip.proxy.use_proxy_custom_directory = True
        strip.proxy.directory = "//proxies"
        proxy = self.project / "proxies/images/25/p 01_proxy.jpg"
        proxy.parent.mkdir(parents=True)
        proxy.write_bytes(b"not needed to render")
        self.need("proxy", proxy)
        sound = folder / "ton.wav"
        with wave.open(str(sound), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(b"\0\1" * 2000)
        speaker: Any = bpy.data.speakers.new("speaker")
        speaker.sound = bpy.data.sounds.load(str(sound))
        speaker.sound.filepath = "//edit/ton.wav"
        bpy.context.scene.collection.objects.link(bpy.data.objects.new("speaker", speaker))
        self.need("sound", sound)
        if "movie" not in self.without:
            path = self.project / "film/cut.mp4"
            shutil.copyfile(self.project / "film/Film 1.mp4", path)
            strip = strips.new_movie(name="film", filepath=str(path), channel=2, frame_start=1)
            strip.filepath = "//film/cut.mp4"
            strip.transform.scale_x = strip.transform.scale_y = 0.4
            self.need("strip", path)

    def rest(self) -> None:
        """A script in a file of its own, whose lines are in the .blend too."""
        path = self.project / "tool.py"
        path.write_text("print('hello')\n", encoding="ascii")
        self.bpy.data.texts.load(str(path)).filepath = "//tool.py"

    def make(self) -> None:
        """Everything, and facts.json."""
        bpy = self.bpy
        self.project.mkdir(parents=True)
        self.libraries()
        bpy.ops.wm.read_homefile(use_empty=True)
        main = self.project / "main.blend"
        scene = bpy.context.scene
        scene.name = "Scene"
        scene.frame_start, scene.frame_end = 1, 6
        _picture_format(scene)
        scene.render.engine = "CYCLES"
        scene.cycles.samples, scene.cycles.seed = 2, 7
        scene.cycles.max_bounces, scene.cycles.volume_step_rate = 1, 10
        if hasattr(scene.cycles, "volume_biased"):
            scene.cycles.volume_biased = True  # five times as fast for these fogs
        scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
        scene.cycles.device = "CPU"
        camera: Any = bpy.data.cameras.new("Camera")
        camera.type, camera.ortho_scale = "ORTHO", 8.2
        item = bpy.data.objects.new("Camera", camera)
        item.location = (0, 0, 5)
        scene.collection.objects.link(item)
        scene.camera = item
        bpy.ops.wm.save_as_mainfile(filepath=str(main), compress=False)
        self.link()
        self.images()
        self.attempt("movie", self.movie)
        self.clip()
        self.volumes()
        self.attempt("caches", self.caches)
        self.simulations()
        self.font()
        self.lights()
        self.attempt("osl", self.shader)
        self.attempt("import nodes", self.imported)
        self.edit()
        self.rest()
        scene.frame_set(FRAME)
        bpy.ops.wm.save_as_mainfile(filepath=str(main), compress=False)
        main.with_name("main.blend1").unlink(missing_ok=True)
        facts = {
            "main": str(main),
            "frames": list(FRAMES),
            "frame": FRAME,
            "scenes": ["Scene", "Edit"],
            "files": {kind: sorted(set(names)) for kind, names in self.files.items()},
            "without": self.without,
        }
        (self.root / "facts.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


_NEAR = ("00001", "00002", "00003", "00004", "00005")


def _strips(scene: Any) -> Any:
    editor = scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def _picture_format(scene: Any) -> None:
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    scene.render.image_settings.file_format = "PNG"
    scene.frame_start, scene.frame_end = 1, 6


if __name__ == "__main__":
    Maker(Path(sys.argv[-1])).make()
    sys.stdout.flush()
    os._exit(0)
