# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo studio: what it refuses, how it frames, what it renders. Small pictures, one sample."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from addon.recipes import studio_templates
from bridge import glb
from bridge.blender import probe, run_recipe
from bridge.problems import Category, ProblemError

STILLS = {"renderBookmarks": True, "renderShots": False, "renderVariants": False}
SMALL = {"imageQuality": 0, "videoQuality": 0, "videoResolution": 0}


def run(recipe: str, params: dict[str, Any], folder: Path, told: Any = None) -> dict[str, Any]:
    """A recipe, in a process of its own."""
    return run_recipe(
        recipe,
        params,
        workdir=folder / "work",
        program=probe(sys.executable),
        timeout=600,
        on_extra=told,
    )


def cube(path: Path, size: tuple[float, float, float] = (1, 1, 1), **more: Any) -> Path:
    """A box of ``size`` metres (width, height, depth as glTF has them), by hand.

    ``variants`` {name: color} makes it wear the first color, the others by KHR_materials_variants;
    ``image`` is put in as its texture.
    """
    corners = np.array(
        [[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)], np.float32
    ) * np.array(size, np.float32)
    faces = np.array(
        [0, 1, 3, 0, 3, 2, 4, 6, 7, 4, 7, 5, 0, 4, 5, 0, 5, 1,
         2, 3, 7, 2, 7, 6, 0, 2, 6, 0, 6, 4, 1, 5, 7, 1, 7, 3], np.uint16
    )  # fmt: skip
    image: bytes = more.get("image", b"")
    data = corners.tobytes() + faces.tobytes() + image
    variants: dict[str, list[float]] = more.get("variants", {})
    primitive: dict[str, Any] = {"attributes": {"POSITION": 0}, "indices": 1}
    document: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": path.stem}],
        "meshes": [{"primitives": [primitive]}],
        "accessors": [
            {
                "bufferView": 0, "componentType": 5126, "count": 8, "type": "VEC3",
                "min": corners.min(axis=0).tolist(), "max": corners.max(axis=0).tolist(),
            },
            {"bufferView": 1, "componentType": 5123, "count": 36, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 96},
            {"buffer": 0, "byteOffset": 96, "byteLength": 72},
        ],
        "buffers": [{"byteLength": len(data)}],
    }  # fmt: skip
    if image:
        document["bufferViews"].append({"buffer": 0, "byteOffset": 168, "byteLength": len(image)})
        document["images"] = [{"bufferView": 2, "mimeType": "image/png", "name": "Bark"}]
        document["textures"] = [{"source": 0}]
        texture = {"baseColorTexture": {"index": 0}}
        document["materials"] = [{"name": "wood", "pbrMetallicRoughness": texture}]
        primitive["material"] = 0
    if variants:
        document["materials"] = [
            {"name": name, "pbrMetallicRoughness": {"baseColorFactor": color, "metallicFactor": 0}}
            for name, color in variants.items()
        ]
        primitive["material"] = more.get("own", 0)
        listed = [{"name": name} for name in variants]
        document["extensions"] = {"KHR_materials_variants": {"variants": listed}}
        document["extensionsUsed"] = ["KHR_materials_variants"]
        mappings = [
            {"material": n, "variants": [n]} for n in range(more.get("mapped", len(listed)))
        ]
        primitive["extensions"] = {"KHR_materials_variants": {"mappings": mappings}}
    document.update(more.get("document", {}))
    return _write(path, document, data)


def _write(path: Path, document: dict[str, Any], data: bytes) -> Path:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    whole = struct.pack("<II", len(text), glb.JSON_CHUNK) + text
    if data:
        whole += struct.pack("<II", len(data), glb.BIN_CHUNK) + data
    path.write_bytes(glb.MAGIC + struct.pack("<II", 2, 12 + len(whole)) + whole)
    return path


def order(template: str, models: list[Path], output: Path, **more: Any) -> dict[str, Any]:
    """What ``studio_render`` takes, for a picture of 80 x 44 pixels."""
    settings = {**STILLS, **SMALL, **more.pop("settings", {})}
    return {
        "template": template,
        "models": [str(path) for path in models],
        "settings": settings,
        "output": str(output),
        "project": "test",
        "samples": 1,
        "scale": 16,
        **more,
    }


def pixels(path: str | Path) -> np.ndarray:
    """(height, width, 3), 0..1, the first row at the bottom."""
    import bpy

    image: Any = bpy.data.images.load(str(path))
    try:
        width, height = image.size
        flat = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(flat)
    finally:
        bpy.data.images.remove(image)
    return flat.reshape(height, width, 4)[..., :3]


RED, GREEN, BLUE = [0.8, 0.02, 0.02, 1], [0.02, 0.6, 0.02, 1], [0.02, 0.05, 0.8, 1]


# -- templates -----------------------------------------------------------------------------------


def test_the_templates_are_told_and_are_those_that_the_service_lists(tmp_path: Path) -> None:
    from bridge.sandbox import glossi_templates

    told = run("studio_list", {}, tmp_path)["templates"]
    served = {
        entry.key: (entry.id, entry.name, entry.description, entry.public)
        for entry in glossi_templates.TEMPLATES
    }
    assert served == {
        entry["key"]: (
            entry["id"], entry["name"], entry["description"], entry["scope"] == "public"
        )
        for entry in told
    }  # fmt: skip
    assert len(told) == 4
    for entry in told:
        assert len(entry["bookmarks"]) >= 3
        assert len(entry["shots"]) >= 1


def test_an_unknown_template_is_refused() -> None:
    with pytest.raises(ProblemError, match="no such template"):
        studio_templates.find("nothing")
    assert studio_templates.find("Studio Light") is studio_templates.TEMPLATES[0]


# -- looking at models ---------------------------------------------------------------------------


def test_a_model_is_described_and_pictured(tmp_path: Path) -> None:
    path = cube(tmp_path / "box.glb", (0.4, 0.8, 0.2), variants={"Oak": RED, "Walnut": GREEN})
    thumbnail = tmp_path / "thumbnail.jpg"
    params = {"model": str(path), "name": "Box", "thumbnail": str(thumbnail)}
    found = run("studio_check", params, tmp_path)
    assert found["triangles"] == 12
    assert found["size_m"] == pytest.approx([0.4, 0.2, 0.8])
    assert found["variants"] == ["Oak", "Walnut"]
    assert found["materials"] == ["Oak", "Walnut"]
    assert found["notes"] == []
    assert found["bytes"] == path.stat().st_size
    picture = pixels(thumbnail)
    middle = picture[picture.shape[0] // 2, picture.shape[1] // 2]
    assert middle[0] > 1.5 * middle[1]


def _broken(kind: str, path: Path) -> Path:
    whole = cube(path)
    if kind == "damaged":
        path.write_bytes(whole.read_bytes()[:-40])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "no mesh":
        _write(path, {"asset": {"version": "2.0"}, "scenes": [{"nodes": []}], "scene": 0}, b"")
    elif kind == "flat nothing":
        cube(path, (0, 0, 0))
    elif kind == "texture":
        cube(path, image=b"\x89PNG\r\n\x1a\n" + b"nonsense" * 4)
    elif kind == "texture elsewhere":
        cube(path, document={"images": [{"uri": "bark.png"}]})
    return path


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("damaged", "damaged"),
        ("empty", "Ladder"),
        ("no mesh", "no visible surface"),
        ("flat nothing", "no size"),
        ("texture", "texture Bark"),
        ("texture elsewhere", "another file"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_with_its_name_and_the_reason(
    tmp_path: Path, kind: str, word: str
) -> None:
    path = _broken(kind, tmp_path / "model.glb")
    with pytest.raises(ProblemError, match=word) as caught:
        run("studio_check", {"model": str(path), "name": "Ladder"}, tmp_path)
    assert caught.value.problem.category is Category.INPUT
    assert caught.value.problem.sentence.startswith("Ladder: ")


def test_one_bad_product_among_good_ones_is_named(tmp_path: Path) -> None:
    good, bad = cube(tmp_path / "good.glb"), _broken("damaged", tmp_path / "bad.glb")
    params = order("studio", [good, bad], tmp_path / "out", names=["Table", "Ladder"])
    with pytest.raises(ProblemError, match=r"^Ladder: "):
        run("studio_render", params, tmp_path)


# -- stills --------------------------------------------------------------------------------------


def test_stills_of_each_template_have_names_sizes_and_the_product_in_them(tmp_path: Path) -> None:
    path = cube(tmp_path / "box.glb", variants={"Red": RED, "Blue": BLUE})
    for template in studio_templates.TEMPLATES:
        told: list[dict[str, Any]] = []
        params = order(template.id, [path], tmp_path / template.key)
        answer = run("studio_render", params, tmp_path, told.append)
        renders = answer["renders"]
        expected = [f"{bookmark.name} - Default" for bookmark in template.bookmarks]
        assert [entry["name"] for entry in renders] == expected
        assert [entry["render"] for entry in told] == expected
        for entry in renders:
            assert (entry["fileType"], entry["isVideo"]) == ("PNG", False)
            assert Path(entry["path"]).parent == tmp_path / template.key
            picture = pixels(entry["path"])
            assert picture.shape == (44, 80, 3)
            assert 0.03 < _red(picture).mean() < 0.75, (template.key, entry["name"])


def _red(picture: np.ndarray) -> np.ndarray:
    return picture[..., 0] > 1.6 * np.maximum(picture[..., 1], picture[..., 2]) + 0.02


def test_each_variant_is_rendered_once_and_looks_different(tmp_path: Path) -> None:
    path = cube(tmp_path / "box.glb", variants={"Oak": RED, "Walnut": GREEN, "Ash": BLUE})
    params = order("studio", [path], tmp_path / "out", settings={"renderVariants": True})
    renders = run("studio_render", params, tmp_path)["renders"]
    views = [bookmark.name for bookmark in studio_templates.find("studio").bookmarks]
    assert [entry["name"] for entry in renders] == [
        f"{view} - {variant}" for variant in ("Oak", "Walnut", "Ash") for view in views
    ]
    colors = {}
    for entry in renders:
        if entry["bookmark"] == views[0]:
            picture = pixels(entry["path"])
            colors[entry["variant"]] = int(picture[18:26, 36:44].mean(axis=(0, 1)).argmax())
    assert colors == {"Oak": 0, "Walnut": 1, "Ash": 2}


def test_own_materials_that_are_no_variant_come_first(tmp_path: Path) -> None:
    path = cube(
        tmp_path / "box.glb", variants={"Oak": RED, "Walnut": GREEN, "Own": BLUE}, own=2, mapped=2
    )
    other = cube(tmp_path / "other.glb")
    from addon.recipes import studio_products

    document = glb.read(path).json
    assert not any(studio_products.is_default(document, number) for number in (0, 1))
    params = order("studio", [path, other], tmp_path / "out", settings={"renderVariants": True})
    renders = run("studio_render", params, tmp_path)["renders"]
    # The third variant changes nothing, so it is the file's own look.
    assert [entry["variant"] for entry in renders[::3]] == ["Oak", "Walnut", "Own"]


@pytest.mark.parametrize("size", [(0.003, 0.002, 0.003), (120, 300, 80), (2.0, 0.1, 0.1)])
def test_a_product_of_any_size_fills_its_share_of_the_picture(
    tmp_path: Path, size: tuple[float, float, float]
) -> None:
    path = cube(tmp_path / "box.glb", size, variants={"Red": RED})
    renders = run("studio_render", order("studio", [path], tmp_path / "out"), tmp_path)["renders"]
    for entry in renders[:2]:
        red = _red(pixels(entry["path"]))
        rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
        share = max((rows[-1] - rows[0] + 1) / 44, (columns[-1] - columns[0] + 1) / 80)
        assert 0.68 < share < 0.92, (entry["name"], share)
        middle = (columns[0] + columns[-1]) / 2 / 80, (rows[0] + rows[-1]) / 2 / 44
        assert middle == pytest.approx((0.5, 0.5), abs=0.09)


def test_several_products_stand_side_by_side(tmp_path: Path) -> None:
    paths = [
        cube(tmp_path / f"{name}.glb", (0.3, height, 0.3), variants={name: color})
        for name, height, color in (("red", 0.4, RED), ("green", 0.3, GREEN), ("blue", 0.5, BLUE))
    ]
    renders = run("studio_render", order("studio", paths, tmp_path / "out"), tmp_path)["renders"]
    picture = pixels(renders[0]["path"])
    found = []
    for channel in range(3):
        rest = picture[..., [c for c in range(3) if c != channel]].max(axis=2)
        there = np.argwhere(picture[..., channel] > 1.5 * rest + 0.02)
        assert len(there) > 30
        found.append((float(there[:, 1].mean()), int(there[:, 0].min())))
    assert found[0][0] < found[1][0] < found[2][0]
    lowest = [low for _, low in found]
    assert max(lowest) - min(lowest) <= 2  # feet on one floor


def test_the_same_order_gives_the_same_picture(tmp_path: Path) -> None:
    path = cube(tmp_path / "box.glb")
    answers = [
        run("studio_render", order("outdoor", [path], tmp_path / name), tmp_path)["renders"]
        for name in ("one", "two")
    ]
    for one, two in zip(*answers, strict=True):
        assert np.array_equal(pixels(one["path"]), pixels(two["path"]))


def test_true_sizes_and_wrong_settings() -> None:
    from addon.recipes import studio_render

    assert studio_render.SIZES == {0: (1280, 720), 1: (1920, 1080), 2: (3840, 2160)}
    for wrong in ({"imageQuality": 3}, {"videoQuality": "1"}, {"videoResolution": True}):
        with pytest.raises(ProblemError) as caught:
            studio_render.Settings.read(wrong)
        assert caught.value.problem.category is Category.INPUT


# -- videos --------------------------------------------------------------------------------------


def _movie(path: str) -> tuple[int, int, int]:
    """(frames, width, height) as Blender reads them."""
    import bpy

    clip: Any = bpy.data.movieclips.load(path)
    try:
        return int(clip.frame_duration), int(clip.size[0]), int(clip.size[1])
    finally:
        bpy.data.movieclips.remove(clip)


def test_a_turntable_video_has_its_frames_and_size_and_turns(tmp_path: Path) -> None:
    path = cube(tmp_path / "box.glb", (1, 0.6, 0.2), variants={"Red": RED})
    settings = {"renderBookmarks": False, "renderShots": True}
    params = order("turntable", [path], tmp_path / "out", settings=settings, frames=8, scale=10)
    (entry,) = run("studio_render", params, tmp_path)["renders"]
    assert (entry["name"], entry["fileType"], entry["isVideo"]) == (
        "360 Spin - Default", "MP4", True,
    )  # fmt: skip
    assert _movie(entry["path"]) == (8, 128, 72)
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == ["360 Spin - Default.mp4"]
    wide = [_red(picture).mean() for picture in _frames(entry["path"], tmp_path, (1, 3))]
    assert wide[0] > 1.5 * wide[1]  # from the front, from the side


def _frames(path: str, folder: Path, numbers: tuple[int, ...]) -> list[np.ndarray]:
    """Single frames of a video, through the sequencer."""
    import bpy

    from addon.recipes import pictures, render_settings

    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene: Any = bpy.context.scene
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strips.new_movie(name="film", filepath=path, channel=1, frame_start=1, fit_method="ORIGINAL")
    scene.render.resolution_x, scene.render.resolution_y = 128, 72
    scene.render.resolution_percentage = 100
    render_settings.set_format(scene.render.image_settings, "PNG")
    pictures.show(scene, None)
    found = []
    for number in numbers:
        scene.frame_set(number)
        scene.render.filepath = str(folder / f"frame {number}.png")
        bpy.ops.render.render(write_still=True)
        found.append(pixels(scene.render.filepath))
    return found


@pytest.mark.parametrize("key", ["studio", "dark"])
def test_shots_with_a_moving_camera_move(tmp_path: Path, key: str) -> None:
    path = cube(tmp_path / "box.glb", (0.5, 0.9, 0.3), variants={"Red": RED})
    settings = {"renderBookmarks": False, "renderShots": True, "videoQuality": 1}
    params = order(key, [path], tmp_path / "out", settings=settings, frames=3, scale=10)
    (entry,) = run("studio_render", params, tmp_path)["renders"]
    assert _movie(entry["path"]) == (3, 128, 72)
    first, last = _frames(entry["path"], tmp_path, (1, 3))
    assert np.abs(first - last).mean() > 0.01
    assert min(_red(first).mean(), _red(last).mean()) > 0.02


def _writes_prores() -> bool:
    import bpy

    known = bpy.types.FFmpegSettings.bl_rna.properties["codec"].enum_items.keys()
    return "PRORES" in known


def test_prores_is_written_where_there_is_one_and_else_refused_before_any_work(
    tmp_path: Path,
) -> None:
    path = cube(tmp_path / "box.glb", variants={"Red": RED})
    settings = {"renderShots": True, "videoQuality": 2}
    params = order("turntable", [path], tmp_path / "out", settings=settings, frames=2, scale=10)
    if not _writes_prores():
        with pytest.raises(ProblemError, match="cannot write ProRes") as caught:
            run("studio_render", params, tmp_path)
        assert caught.value.problem.category is Category.BLENDER
        assert list((tmp_path / "out").glob("*")) == []
        return
    entry = run("studio_render", params, tmp_path)["renders"][-1]
    assert (entry["fileType"], Path(entry["path"]).suffix) == ("PRORES", ".mov")
    assert _movie(entry["path"]) == (2, 128, 72)
    assert b"apch" in Path(entry["path"]).read_bytes()  # ProRes 422 HQ


# -- the demo's products -------------------------------------------------------------------------


def test_the_demo_products_are_sound_and_have_variants(tmp_path: Path) -> None:
    products = run("demo_products", {"output": str(tmp_path / "out")}, tmp_path)["products"]
    assert [entry["name"] for entry in products] == ["Lamp", "Chair", "Vase"]
    from addon.recipes import studio_products

    for entry in products:
        path = Path(entry["path"])
        glb.check(path)
        document = glb.read(path).json
        assert studio_products.variants(document) == entry["variants"]
        assert studio_products.is_default(document, 0)
        assert not studio_products.is_default(document, 1)
        assert document["images"]
