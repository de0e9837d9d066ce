# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in Blender: small scenes, rendered plainly and by the recipe; what came of it as JSON.

    PYTHON render_lab.py FOLDER     writes FOLDER/facts.json

Pixels are compared here, where Blender can read every format; the tests judge the facts.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from addon.recipes import (
    analyze_scene,
    contact_sheet,
    make_video,
    preview_image,
    render_scene,
)
from bridge.problems import ProblemError

WIDTH, HEIGHT = 32, 18
MULTILAYER = "OPEN_EXR_MULTILAYER"


# -- scenes --------------------------------------------------------------------------------------


def start(frames: int = 3) -> Any:
    """Blender's own first scene, small, Cycles with one sample, the cube on its way."""
    bpy.ops.wm.read_factory_settings(use_empty=False)
    scene: Any = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.resolution_percentage = 100
    scene.frame_start, scene.frame_end = 1, frames
    scene.render.filepath = "//render/shot_####"
    cube = bpy.data.objects["Cube"]
    for frame, x in ((1, -1.0), (frames, 2.0)):
        cube.location.x = x
        cube.keyframe_insert("location", frame=frame)
    return scene


def set_format(settings: Any, kind: str) -> None:
    """Independent of the recipe's own way."""
    if hasattr(settings, "media_type"):
        media = {MULTILAYER: "MULTI_LAYER_IMAGE", "FFMPEG": "VIDEO"}
        settings.media_type = media.get(kind, "IMAGE")
    settings.file_format = kind


def save(folder: Path) -> Path:
    """Save the scene as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=False)
    return path


def plain(blend: Path) -> None:
    """What an artist does: open and render the animation; files go where the scene says."""
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    bpy.ops.render.render(animation=True)


def recipe(blend: Path, frames: list[int], config: dict[str, Any] | None = None) -> dict[str, Any]:
    """The recipe, into ``out`` beside the file."""
    told: list[Any] = []
    params = {
        "input": str(blend),
        "output": str(blend.parent / "out"),
        "frames": frames,
        "config": config or {},
        "device": "CPU",
    }
    result = render_scene.main(params, lambda *words: told.append(list(words)))
    return {**result, "told": told}


def pixels(path: Path) -> np.ndarray:
    """All values of a picture; of one with layers, what it shows first."""
    image: Any = bpy.data.images.load(str(path), check_existing=False)
    if image.size[0] == 0:
        image.save_render(str(path) + ".png")
        return pixels(Path(str(path) + ".png"))
    found = np.empty(image.size[0] * image.size[1] * 4, dtype=np.float32)
    image.pixels.foreach_get(found)
    shape = (image.size[1], image.size[0], 4)
    bpy.data.images.remove(image)
    return found.reshape(shape)


def same(one: Path, other: Path) -> bool:
    """Every pixel equal, and not all of one color."""
    a, b = pixels(one), pixels(other)
    return a.shape == b.shape and bool(np.array_equal(a, b)) and float(a.std()) > 0


def listing(folder: Path) -> list[str]:
    """All files below, with slashes."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


# -- the labs ------------------------------------------------------------------------------------


def pixels_as_plain(folder: Path) -> dict[str, Any]:
    """Motion blur, a camera that changes by a marker, a scene property with keyframes."""
    scene = start(4)
    scene.render.use_motion_blur = True
    other = bpy.data.objects.new("Other", bpy.data.cameras.new("Other"))
    scene.collection.objects.link(other)
    other.matrix_world = bpy.data.objects["Camera"].matrix_world
    other.location.z += 2.0
    for frame, camera in ((1, "Camera"), (3, "Other")):
        scene.timeline_markers.new(camera, frame=frame).camera = bpy.data.objects[camera]
    for frame, exposure in ((1, 0.0), (4, 1.5)):
        scene.view_settings.exposure = exposure
        scene.keyframe_insert("view_settings.exposure", frame=frame)
    blend = save(folder)
    plain(blend)
    result = recipe(blend, [1, 2, 3, 4])
    names = listing(folder / "out")
    return {
        "result": result,
        "plain": listing(folder / "render"),
        "names": names,
        "same": [same(folder / "render" / Path(n).name, folder / "out" / n) for n in names],
        "distinct": len({pixels(folder / "out" / n).tobytes() for n in names}),
    }


def simulation(folder: Path) -> dict[str, Any]:
    """A body that falls without a bake: where it is comes from the frames before."""
    scene = start(8)
    cube = bpy.data.objects["Cube"]
    cube.animation_data_clear()
    cube.location = (0.0, 0.0, 1.0)
    bpy.context.view_layer.objects.active = cube
    with bpy.context.temp_override(object=cube, active_object=cube, selected_objects=[cube]):
        bpy.ops.rigidbody.object_add(type="ACTIVE")
    blend = save(folder)
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    for frame in range(1, 9):  # as playing it does
        scene.frame_set(frame)
        scene.render.filepath = f"//render/shot_{frame:04}"
        bpy.ops.render.render(write_still=True)
    recipe(blend, [1, 8, 4])
    frames = [folder / f"out/frames/shot_{n:04}.png" for n in (1, 4, 8)]
    return {
        "same": [same(folder / "render" / path.name, path) for path in frames],
        "distinct": len({pixels(path).tobytes() for path in frames}),
    }


def compositor(folder: Path) -> dict[str, Any]:
    """Two File Output nodes: pictures, and a file of several layers."""
    scene = start(2)
    scene.view_layers[0].use_pass_z = True
    if hasattr(scene, "compositing_node_group"):
        tree = bpy.data.node_groups.new("comp", "CompositorNodeTree")
        scene.compositing_node_group = tree
    else:
        scene.use_nodes = True
        tree = scene.node_tree
    tree.nodes.clear()
    layers = tree.nodes.new("CompositorNodeRLayers")
    if hasattr(scene, "compositing_node_group"):
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        end = tree.nodes.new("NodeGroupOutput")
    else:
        end = tree.nodes.new("CompositorNodeComposite")
    tree.links.new(layers.outputs["Image"], end.inputs[0])
    depth = "depth"
    for name, kind, place in (
        ("Pictures", "PNG", "//passes/"),
        ("All: passes", MULTILAYER, "//layers/all_"),
    ):
        node: Any = tree.nodes.new("CompositorNodeOutputFile")
        node.name = name
        set_format(node.format, kind)
        if hasattr(node, "directory"):
            node.directory, _, node.file_name = place.rpartition("/")
            node.directory += "/"
            for slot in ("beauty", depth):
                node.file_output_items.new("RGBA" if slot == "beauty" else "FLOAT", slot)
        else:
            node.base_path = place
            slots = node.layer_slots if kind == MULTILAYER else node.file_slots
            slots.clear()
            for slot in ("beauty", depth):
                slots.new(slot)
        tree.links.new(layers.outputs["Image"], node.inputs["beauty"])
        tree.links.new(layers.outputs["Depth"], node.inputs[depth])
    blend = save(folder)
    plain(blend)
    before = listing(folder)
    result = recipe(blend, [1, 2])
    return {
        "result": result,
        "before": [name for name in before if name != "scene.blend"],
        "names": listing(folder / "out"),
        "same": [
            same(folder / place / name, folder / "out/compositor" / node / name)
            for place, node, name in (
                ("passes", "Pictures", "beauty0002.png"),
                ("layers", "All_ passes", "all_0002.exr"),
            )
        ],
        "analysis": analyze_scene.main({"input": str(blend)}, lambda *words: None),
    }


def stereo(folder: Path) -> dict[str, Any]:
    """Two views as files of their own, then both in one."""
    facts = {}
    for kind, views in (("PNG", "INDIVIDUAL"), (MULTILAYER, "MULTIVIEW"), ("JPEG", "STEREO_3D")):
        scene = start(1)
        scene.render.use_multiview = True
        set_format(scene.render.image_settings, kind)
        scene.render.image_settings.views_format = views
        blend = save(folder / views)
        plain(blend)
        result = recipe(blend, [1])
        names = listing(blend.parent / "out/frames")
        facts[views] = {
            "names": names,
            "plain": listing(blend.parent / "render"),
            "files": result["frames"][0]["files"],
            "again": recipe(blend, [1])["rendered"],
        }
    return facts


def overrides(folder: Path) -> dict[str, Any]:
    """Each setting on its own: what the recipe says and what the file is."""
    start(1)
    scene: Any = bpy.context.scene
    if scene.view_settings.view_transform != "AgX":
        scene.view_settings.view_transform = "AgX"
    blend = save(folder)
    facts = {}
    wanted: dict[str, dict[str, Any]] = {
        "none": {"colorManagementPreset": "default"},
        "resolution": {"resolution": [40, 20]},
        "percentage": {"resolutionPercentage": 50},
        "samples": {"sampleCount": 7},
        "denoise": {"denoisingEnabled": True, "denoiserType": "OPTIX"},
        "fps": {"fps": 23.976},
        "whole_fps": {"fps": 30},
        "jpeg": {"outputFormat": "JPEG", "outputSettings": {"quality": 31, "colorMode": "BW"}},
        "exr": {
            "outputFormat": "OPEN_EXR",
            "outputSettings": {"exrCodec": "PIZ", "colorDepth": "32", "colorMode": "RGB"},
        },
        "multilayer": {"outputFormat": MULTILAYER, "outputSettings": {"exrCodec": "ZIPS"}},
        "tiff": {"outputFormat": "TIFF", "outputSettings": {"tiffCodec": "LZW"}},
        "png16": {"outputSettings": {"colorDepth": "16", "compression": 90}},
        "movie": {"outputFormat": "FFMPEG"},
        "tiles": {"useTiling": True, "tileSize": 64},
        "devices": {"compositorDevice": "GPU", "computeDeviceType": "OPTIX", "gpuCount": 4},
        "aces": {"colorManagementPreset": "aces"},
        "workbench": {"renderEngine": "BLENDER_WORKBENCH"},
    }
    for name, config in wanted.items():
        result = recipe(folder_of(blend, name), [1], config)
        path = folder / name / "out" / result["frames"][0]["files"][0]["path"]
        facts[name] = {
            "final": result["finalConfig"],
            "notes": result["notes"],
            "file": str(path),
            "names": listing(folder / name / "out"),
        }
    more = pixels(Path(facts["samples"]["file"]))
    facts["samples"]["differs"] = not np.array_equal(more, pixels(Path(facts["none"]["file"])))
    for name in ("resolution", "percentage"):
        shape = pixels(Path(facts[name]["file"])).shape
        facts[name]["size"] = [shape[1], shape[0]]
    return facts


def folder_of(blend: Path, name: str) -> Path:
    """A place of its own for the same file."""
    place = blend.parent / name
    place.mkdir()
    target = place / "scene.blend"
    os.link(blend, target)
    return target


def refusals(folder: Path) -> dict[str, Any]:
    """What cannot be rendered, with what is said."""
    start(1)
    blend = save(folder / "good")
    scene: Any = bpy.context.scene
    scene.camera = None
    blind = save(folder / "blind")
    start(1)
    bpy.context.scene.render.filepath = "//{no_such_word}_"
    template = save(folder / "template")
    damaged = folder / "damaged.blend"
    damaged.write_bytes(blend.read_bytes()[:9000])
    newer = folder / "newer.blend"
    newer.write_bytes(_newer(blend.read_bytes()))
    facts = {}
    for name, path, config in (
        ("camera", blind, {}),
        ("template", template, {}),
        ("damaged", damaged, {}),
        ("newer", newer, {}),
        ("engine", blend, {"renderEngine": "LUXCORE"}),
        ("format", blend, {"outputFormat": "PSD"}),
        ("depth", blend, {"outputSettings": {"colorDepth": "32"}}),
        ("resolution", blend, {"resolution": [0, 10]}),
        ("percentage", blend, {"resolutionPercentage": 40000}),
        ("samples", blend, {"sampleCount": 1.5}),
        ("fps", blend, {"fps": 0}),
        ("preset", blend, {"colorManagementPreset": "log"}),
    ):
        facts[name] = problem_of(lambda p=path, c=config: recipe(p, [1], c))  # type: ignore[misc]
    for name, path in (("analysis camera", blind), ("analysis damaged", damaged)):
        facts[name] = problem_of(
            lambda p=path: analyze_scene.main({"input": str(p)}, lambda *w: None)  # type: ignore[misc]
        )
    return facts


def _newer(data: bytes) -> bytes:
    head = data[:17]
    if head[7:9].isdigit():
        return head[:13] + b"9901" + data[17:]
    return head[:9] + b"901" + data[12:]


def problem_of(action: Callable[[], Any]) -> dict[str, str]:
    """The problem that it raises, {} if none."""
    try:
        action()
    except ProblemError as error:
        return error.problem.to_dict()
    return {}


class Fragile(bpy.types.RenderEngine):
    """An engine that fails at frame 3."""

    bl_idname = "FRAGILE"
    bl_label = "Fragile"

    def render(self, depsgraph: Any) -> None:
        """One grey picture."""
        scene = depsgraph.scene
        if scene.frame_current == 3:
            self.report({"ERROR"}, "the third frame breaks")
            self.error_set("the third frame breaks")
            return
        share = scene.render.resolution_percentage / 100
        width = int(scene.render.resolution_x * share)
        height = int(scene.render.resolution_y * share)
        result = self.begin_result(0, 0, width, height)
        result.layers[0].passes["Combined"].rect = [[0.5, 0.5, 0.5, 1.0]] * (width * height)
        self.end_result(result)


def failing_frame(folder: Path) -> dict[str, Any]:
    """Frames before the failing one stay; the problem names it."""
    bpy.utils.register_class(Fragile)
    scene = start(4)
    scene.render.engine = "FRAGILE"
    blend = save(folder)
    problem = problem_of(lambda: recipe(blend, [1, 2, 3, 4]))
    kept = listing(folder / "out")
    bpy.utils.unregister_class(Fragile)
    return {
        "problem": problem,
        "kept": kept,
        "left": (folder / "out/.rendering").exists(),
        "gone": problem_of(lambda: recipe(blend, [4])),
        "analysis": analyze_scene.main({"input": str(blend)}, lambda *words: None),
    }


def resume(folder: Path) -> dict[str, Any]:
    """A frame that is there is kept as it is; leftovers of an interrupted run are cleared."""
    start(3)
    blend = save(folder / "in {braces} & ü")
    out = blend.parent / "out"
    first = recipe(blend, [1, 2, 3])
    frame = out / "frames/shot_0001.png"
    (out / "frames/shot_0002.png").unlink()
    frame.write_bytes(b"an artist's own")
    (out / ".rendering/frames").mkdir(parents=True)
    (out / ".rendering/frames/shot_0002.png").write_bytes(b"half")
    second = recipe(blend, [1, 2, 3])
    return {
        "first": first,
        "second": second,
        "kept": frame.read_bytes() == b"an artist's own",
        "names": listing(out),
        "size": (out / "frames/shot_0002.png").stat().st_size,
    }


def names(folder: Path) -> dict[str, Any]:
    """What the scene calls its frames, wherever it wanted them."""
    facts = {}
    for number, path in enumerate(
        ("//", "/tmp/", "//shot", "//a/b_##_v2", "C:\\renders\\shot.", "//take.png")
    ):
        start(1)
        scene: Any = bpy.context.scene
        scene.render.filepath = path
        blend = save(folder / str(number))
        recipe(blend, [7])
        facts[path] = listing(blend.parent / "out")
    return facts


def analysis(folder: Path) -> dict[str, Any]:
    """A scene with much to say, and the default one."""
    start(24)
    simple = analyze_scene.main({"input": str(save(folder / "simple"))}, lambda *words: None)
    scene = start(10)
    scene.frame_step = 4
    scene.render.use_motion_blur = True
    scene.view_layers.new("fog").use = False
    image = bpy.data.images.new("there", 4, 4)
    image.filepath_raw = str(folder / "there.png")
    image.file_format = "PNG"
    image.save()
    for name in ("there.png", "gone.png", "tiles.<UDIM>.png"):
        texture = bpy.data.images.load(str(folder / "there.png"), check_existing=False)
        texture.name = name
        texture.filepath = f"//../{name}"
        texture.use_fake_user = True
    (folder / "tiles.1001.png").write_bytes((folder / "there.png").read_bytes())
    set_format(scene.render.image_settings, "FFMPEG")
    driver = bpy.data.objects["Cube"].driver_add("location", 2).driver
    driver.expression = "__import__('os').getpid()"
    text = bpy.data.texts.new("startup.py")
    text.write("import bpy\n")
    text.use_module = True
    blend = save(folder / "rich")
    return {
        "simple": simple,
        "rich": analyze_scene.main({"input": str(blend)}, lambda *words: None),
    }


def video(folder: Path) -> dict[str, Any]:
    """PNG frames with a hole and an odd size; linear frames; both as a video and as a sheet."""
    scene = start(4)
    scene.render.resolution_x, scene.render.resolution_y = 65, 37
    blend = save(folder)
    facts: dict[str, Any] = {}
    shown: dict[str, list[np.ndarray]] = {}
    for name, kind in (("png", "PNG"), ("exr", "OPEN_EXR"), ("layers", MULTILAYER)):
        place = folder_of(blend, name)
        result = recipe(place, [1, 2, 4], {"outputFormat": kind, "fps": 23.976})
        out = place.parent / "out"
        frames = [
            {"frame": entry["frame"], "path": str(out / entry["files"][0]["path"])}
            for entry in result["frames"]
        ]
        target = folder / f"{name}.mp4"
        made = make_video.main(
            {
                "frames": frames,
                "output": str(target),
                "fps": result["fps"],
                "color": result["color"],
            },
            lambda *words: None,
        )
        preview = preview_image.main(
            {
                "input": frames[0]["path"],
                "output": str(folder / f"{name}.jpg"),
                "longest": 20,
                "color": result["color"],
            },
            lambda *words: None,
        )
        sheet = contact_sheet.main(
            {
                "frames": [entry["path"] for entry in frames],
                "output": str(folder / f"{name}-sheet.png"),
                "columns": 2,
                "width": 30,
                "color": result["color"],
            },
            lambda *words: None,
        )
        shown[name] = played(target) if made["available"] else []
        if name == "png":
            shown["frames"] = [pixels(Path(entry["path"]))[..., :3] for entry in frames]
        facts[name] = {"made": made, "preview": preview, "sheet": sheet}
        facts[name]["jpeg"] = pixels(folder / f"{name}.jpg").mean(axis=(0, 1)).tolist()
    even = [frame[:36, :64] for frame in shown.pop("frames")]
    wanted = [even[0], even[1], even[1], even[2]]
    facts["off"] = {
        name: [float(np.abs(a - b).mean()) for a, b in zip(movie, wanted, strict=False)]
        for name, movie in shown.items()
    }
    facts["counts"] = {name: len(movie) for name, movie in shown.items()}
    facts["apart"] = float(np.abs(wanted[0] - wanted[3]).mean())
    facts["left"] = [name for name in listing(folder) if "/.video" in name or "part" in name]
    return facts


def played(path: Path) -> list[np.ndarray]:
    """The frames of a video, as the sequencer shows them."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene: Any = bpy.context.scene
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_movie("movie", str(path), 1, 1)
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    found = []
    for number in range(1, strip.frame_final_duration + 1):
        scene.frame_set(number)
        scene.render.filepath = f"{path}.{number}.png"
        bpy.ops.render.render(write_still=True)
        found.append(pixels(Path(scene.render.filepath))[..., :3])
    return found


LABS: tuple[Callable[[Path], dict[str, Any]], ...] = (
    pixels_as_plain, simulation, compositor, stereo, overrides, refusals, failing_frame, resume,
    names, analysis, video,
)  # fmt: skip


def main(folder: Path, wanted: list[str]) -> None:
    """Run the labs; one that breaks is told in its place and does not stop the others."""
    facts: dict[str, Any] = {"version": list(bpy.app.version)}
    for lab in LABS:
        if wanted and lab.__name__ not in wanted:
            continue
        try:
            facts[lab.__name__] = lab(folder / lab.__name__)
        except Exception:
            facts[lab.__name__] = {"broken": traceback.format_exc()}
    (folder / "facts.json").write_text(json.dumps(facts, default=str), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
    sys.stdout.flush()
    os._exit(0)
