# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of products come back into Blender: named, placed beside them, nothing else changed."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest

from tests.addon import render_support as made
from tests.addon.ui_support import Courier, cube

HARD = "Möbel 🪑 (final)"
CAMERAS = ("Front View", "Three Quarter")


@pytest.fixture
def stills(extension: Any, clean_scene: None) -> Any:
    return extension.module("addon.imports.stills")


@pytest.fixture
def shoot(extension: Any) -> Any:
    return extension.module("addon.imports.shoot_facts")


@pytest.fixture
def problems(extension: Any) -> Any:
    return extension.module("bridge.problems")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / HARD
    place.mkdir()
    return place


def picture(path: Path, size: tuple[int, int] = (16, 9), rgb: tuple[float, ...] = (1, 0, 0)) -> str:
    """A still of one color, half as bright in its lower half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new("picture", *size)
    pixels = np.ones((size[1], size[0], 4), dtype=np.float32)
    pixels[..., :3] = rgb
    pixels[: size[1] // 2, :, :3] *= 0.5
    image.pixels.foreach_set(pixels.ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return str(path)


def shoot_job(
    extension: Any,
    folder: Path,
    paths: dict[str, tuple[str, str]],
    state: str = "done",
    **more: Any,
) -> Any:
    """A finished job; ``paths`` are file -> (kind, the render's name)."""
    jobs = extension.module("bridge.jobs")
    products = more.pop("products", ["Chair"])
    results = [
        jobs.Result(path, Path(path).stat().st_size, kind) for path, (kind, _name) in paths.items()
    ]
    report = {
        "products": [
            {"name": name, "file": f"{name}.glb", "status": "rendered"} for name in products
        ],
        "template": {"id": "t", "name": "Studio Light"},
        "labels": {path: name for path, (_kind, name) in paths.items()},
    }
    more = {"name": "Autumn", "account": "sandbox", "results_dir": str(folder)} | more
    return jobs.Job(
        "glossi",
        state=jobs.State(state),
        results=results,
        report=report | more.pop("report", {}),
        **more,
    )


def chairs(folder: Path, *products: str, size: tuple[int, int] = (16, 9)) -> dict[str, Any]:
    """Two stills of each product, and what an import is told of them."""
    found = [
        {
            "path": picture(folder / product / f"{camera}.png", size, (1, number / 4, 0)),
            "product": product,
            "camera": camera,
            "variant": "",
            "name": f"{camera} - Default",
            "part": f"still {product}/{camera} - Default",
        }
        for number, product in enumerate(products)
        for camera in CAMERAS
    ]
    return {
        "stills": found,
        "videos": [],
        "products": list(products),
        "template": "Studio Light",
        "packing": "object",
    }


def with_video(given: dict[str, Any], folder: Path, *, sound: bool = False) -> dict[str, Any]:
    """The same and a video of half a second for each product."""
    if not bpy.app.ffmpeg.supported:
        pytest.skip("this build has no ffmpeg")
    frames = made.frames(folder / "frames", range(1, 7))
    heard = made.tone(folder / "tone.wav") if sound else None
    for product in given["products"]:
        path = made.movie(folder / f"{product} spin.mp4", frames, heard)
        given["videos"].append(
            {
                "path": str(path),
                "product": product,
                "camera": "360 Spin",
                "variant": "",
                "name": "360 Spin - Default",
                "part": f"video {product}/360 Spin - Default",
            }
        )
    return given


def bring(stills: Any, given: dict[str, Any], *ways: str, **more: Any) -> Any:
    more = {"name": "Autumn", "job_id": "job-1", **more}
    return stills.import_pictures(bpy.context, given, ways, **more)


def images() -> list[Any]:
    """The file's images, but for Blender's own (render, viewer)."""
    return [image for image in bpy.data.images if image.source != "VIEWER"]


def ground(item: Any) -> tuple[Any, Any]:
    """Lowest and highest corner in the world of a reference, as it is drawn."""
    bpy.context.view_layer.update()
    if item.type == "EMPTY":
        width, height = item.data.size
        side = item.empty_display_size / max(width, height)
        x, y = width * side, height * side
        offset = item.empty_image_offset
        local = [
            ((at + offset[0]) * x, (up + offset[1]) * y, 0, 1) for at in (0, 1) for up in (0, 1)
        ]
    else:
        local = [(*vertex.co, 1) for vertex in item.data.vertices]
    points = np.array(local) @ np.array(item.matrix_world).T
    return points[:, :3].min(axis=0), points[:, :3].max(axis=0)


# -- facts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Front View - Oak", ("Front View", "Oak")),
        ("Front - Left - Oak", ("Front - Left", "Oak")),
        ("Chair - Front View - Oak", ("Front View", "Oak")),
        ("Front View", ("Front View", "")),
        (" - Oak", ("- Oak", "")),
        ("", ("", "")),
    ],
)
def test_names_of_renders(shoot: Any, name: str, found: tuple[str, str]) -> None:
    assert shoot.split_name(name, "Chair") == found


def test_long_names_keep_what_tells_them_apart(shoot: Any) -> None:
    one = {"product": "Ohrensessel " * 9, "camera": "Front View", "variant": "Oak 🌳"}
    for limit in (58, 250):
        shown = shoot.title(one, limit)
        assert len(shown.encode()) <= limit
        assert shown.startswith("Ohrensessel") and shown.endswith("Front View · Oak 🌳")
    other = {"product": "Chair", "camera": "🪑" * 40, "variant": "Oak"}
    assert len(shoot.title(other, 58).encode()) <= 58 and shoot.title(other, 58)[:5] == "Chair"
    assert shoot.title({"product": "", "camera": "", "variant": ""}) == "Picture"


def test_facts_of_a_job(extension: Any, shoot: Any, tmp_path: Path) -> None:
    told = {
        "Lamp/b.png": ("still", "Front View - Default"),
        "Chär_ 1/c.png": ("still", "Three Quarter - Oak"),
        "Chär_ 1/a.png": ("still", "Front View - Oak"),
        "Chär_ 1/d.png": ("still", "Three Quarter - Default"),
        "Chär_ 1/e.mp4": ("video", "360 Spin - Oak"),
        "glossi.json": ("report", ""),
    }
    paths = {}
    for place, (kind, name) in told.items():
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
        paths[str(path)] = (kind, name)
    job = shoot_job(extension, tmp_path, paths, products=["Chär? 1", "Sofa", "Lamp"])
    facts = shoot.facts_of(job)
    assert [shoot.title(one) for one in facts["stills"]] == [
        "Chär? 1 · Three Quarter · Oak",
        "Chär? 1 · Three Quarter · Default",
        "Chär? 1 · Front View · Oak",
        "Lamp · Front View",
    ]
    assert [shoot.title(one) for one in facts["videos"]] == ["Chär? 1 · 360 Spin · Oak"]
    assert facts["template"] == "Studio Light" and facts["products"] == ["Chär? 1", "Sofa", "Lamp"]
    assert len({one["part"] for one in facts["stills"]}) == 4
    assert shoot.has_pictures(job) and not extension.module("addon.imports.render_facts").is_render(
        job
    )
    # A job that tells nothing of its own: the folders and files have names too.
    job.report = {}
    assert shoot.title(shoot.facts_of(job)["stills"][0]) == "Lamp · b"
    job.results_dir = ""
    assert [one["product"] for one in shoot.facts_of(job)["stills"]][:2] == ["Lamp", "Chär_ 1"]


# -- images --------------------------------------------------------------------------------------


def test_stills_are_images_with_names(stills: Any, folder: Path) -> None:
    given = chairs(folder, "Chair", "Lämp")
    report = bring(stills, given, "image")
    names = [f"{product} · {camera}" for product in ("Chair", "Lämp") for camera in CAMERAS]
    assert sorted(image.name for image in images()) == sorted(names) == sorted(report.images)
    for one in given["stills"]:
        image = bpy.data.images[f"{one['product']} · {one['camera']}"]
        assert image.use_fake_user, "kept when the file is saved"
        assert tuple(image.size) == (16, 9) and bpy.path.abspath(image.filepath) == one["path"]
    shown = np.empty(16 * 9 * 4, dtype=np.float32)
    bpy.data.images["Lämp · Front View"].pixels.foreach_get(shown)
    assert np.allclose(shown[-4:], (1, 0.25, 0, 1), atol=0.01)
    assert np.allclose(shown[:4], (0.5, 0.125, 0, 1), atol=0.01)


def test_only_new_data_and_one_undo_step(stills: Any, folder: Path) -> None:
    cube()
    made.quick_scene()
    given = chairs(folder, "Chair")
    bpy.ops.ed.undo_push(message="before")
    before = made.everything()
    bring(stills, given, "image", "reference", sources=["Chair"], references_as="plane")
    after = made.everything()
    new = {kind: [item for item in after[kind] if item not in before[kind]] for kind in after}
    assert {kind for kind, items in new.items() if items} == {
        "collections", "images", "materials", "meshes", "objects",
    }  # fmt: skip
    assert all(item in after[kind] for kind, items in before.items() for item in items)
    assert [item.name for item in bpy.context.selected_objects] == ["Chair"]
    assert bpy.context.view_layer.objects.active.name == "Chair"
    bpy.ops.ed.undo()
    assert made.everything() == before


def test_the_project_can_be_moved(stills: Any, folder: Path) -> None:
    given = chairs(folder / "courier", "Chair")
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "Küche.blend"))
    bring(stills, given, "image")
    bpy.ops.wm.save_mainfile()
    moved = folder.rename(folder.with_name("elsewhere é"))
    bpy.ops.wm.open_mainfile(filepath=str(moved / "Küche.blend"))
    assert len(images()) == 2, "nothing uses them, and they are kept"
    image = bpy.data.images["Chair · Front View"]
    assert image.filepath == "//courier/Chair/Front View.png" and tuple(image.size) == (16, 9)


def test_two_hundred_stills_are_quick(stills: Any, folder: Path) -> None:
    source = Path(picture(folder / "one.png"))
    found = []
    for number in range(200):
        path = folder / f"{number}.png"
        path.hardlink_to(source)
        found.append({
            "path": str(path), "product": f"P{number % 20}", "camera": f"Camera {number}",
            "variant": "", "name": str(number), "part": f"still {number}",
        })  # fmt: skip
    given = {"stills": found, "videos": [], "products": [], "template": "", "packing": "object"}
    started = time.perf_counter()
    bring(stills, given, "image", "reference")
    print(f"\n200 stills as images and references: {time.perf_counter() - started:.2f} s")
    assert len(images()) == 200 and len(bpy.data.objects) == 200
    started = time.perf_counter()
    bring(stills, given, "image", "reference", replace=True)
    print(f"the same again, replacing: {time.perf_counter() - started:.2f} s")
    assert len(images()) == 200 and len(bpy.data.objects) == 200
    # Files are read when somebody looks: all but the first are not there any more.
    assert sum(image.has_data for image in images()) <= 1


# -- references ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["empty", "plane"])
@pytest.mark.parametrize("size", [(16, 9), (8, 12)])
def test_references_stand_beside_the_product(
    stills: Any, folder: Path, kind: str, size: tuple[int, int]
) -> None:
    item = cube("Chair", (2, 1, 3))  # two units wide: from (1, 0, 2) to (3, 2, 4)
    item.rotation_euler.z = 0.3
    given = chairs(folder, "Chair", size=size)
    report = bring(stills, given, "reference", sources=["Chair"], references_as=kind)
    home = bpy.data.collections[report.collection]
    assert (
        report.collection == "Autumn stills" and home.name in bpy.context.scene.collection.children
    )
    first, second = (home.objects[f"Chair · {camera}"] for camera in CAMERAS)
    bpy.context.view_layer.update()
    right = max((item.matrix_world @ vertex.co).x for vertex in item.data.vertices)
    low, high = ground(first)
    width = 2 * size[0] / size[1]
    assert np.allclose(high - low, (width, 0, 2), atol=1e-4), "as high as the product"
    assert np.allclose(low, (right + 0.2, 1, 2), atol=1e-4), "to its right"
    step = ground(second)[0] - low
    assert np.allclose(step, (width + 0.2, 0, 0), atol=1e-4), "a row"
    assert first.type == ("EMPTY" if kind == "empty" else "MESH")
    if kind == "empty":
        assert first.data == bpy.data.images["Chair · Front View"]
        assert not first.data.use_fake_user, "it goes with its reference"


def test_planes_show_the_picture_whatever_the_light(stills: Any, folder: Path) -> None:
    cube("Chair", (0, 0, 1))
    scene = made.quick_scene()
    given = chairs(folder, "Chair", size=(8, 8))
    report = bring(stills, given, "reference", sources=["Chair"], references_as="plane")
    plane = bpy.data.objects["Chair · Front View"]
    assert not plane.visible_diffuse and not plane.visible_shadow and not plane.hide_render
    camera = scene.camera
    camera.data.type, camera.data.ortho_scale = "ORTHO", 2
    camera.location = (plane.location.x, -9, plane.location.z)
    camera.rotation_euler = (np.pi / 2, 0, 0)
    shown = made.rendered(1, folder / "out.png", sequencer=False)
    assert made.same(shown, made.pixels(Path(given["stills"][0]["path"])))
    scene.view_settings.view_transform = "Filmic"
    report = bring(stills, given, "reference", sources=["Chair"], references_as="plane", job_id="b")
    assert any("Filmic" in note for note in report.notes)


def test_rows_do_not_run_into_other_products(stills: Any, folder: Path) -> None:
    for number, name in enumerate(("A", "B", "C")):
        cube(name, (3.0 * number, 0, 1))
    given = chairs(folder, "A", "B", "C")
    report = bring(stills, given, "reference", sources=["A", "B", "C"])
    boxes = []
    for name in "ABC":
        home = bpy.data.collections[f"{name} stills"]
        assert (
            len(home.objects) == 2 and home.name in bpy.data.collections["Autumn stills"].children
        )
        corners = [ground(item) for item in home.objects]
        boxes.append(
            (min(c[0][0] for c in corners), corners[0][0][1], max(c[1][0] for c in corners))
        )
        assert all(abs(c[0][2]) < 1e-4 for c in corners), "on the ground"
    products = [(3.0 * n - 1, -1, 3.0 * n + 1, 1) for n in range(3)]
    for at, (left, y, right) in enumerate(boxes):
        assert not any(x0 < right and x1 > left and y0 < y < y1 for x0, y0, x1, y1 in products)
        for other in boxes[at + 1 :]:
            assert abs(other[1] - y) > 0.1 or other[0] > right or other[2] < left
    assert len(report.references) == 6


def test_a_product_that_is_gone_has_its_pictures_at_the_cursor(stills: Any, folder: Path) -> None:
    cube("Sofa")
    bpy.context.scene.cursor.location = (5, 6, 7)
    report = bring(stills, chairs(folder, "Chair", "Sofa"), "reference", sources=["Chair", "Sofa"])
    assert any("“Chair”" in note and "cursor" in note for note in report.notes)
    assert np.allclose(ground(bpy.data.objects["Chair · Front View"])[0], (5, 6, 7), atol=1e-4)


def test_a_product_that_is_a_collection_or_all_at_once(stills: Any, folder: Path) -> None:
    home = bpy.data.collections.new("Chair")
    bpy.context.scene.collection.children.link(home)
    for name, x in (("Seat", 0.0), ("Back", 4.0)):
        item = cube(name, (x, 0, 1))
        for old in item.users_collection:
            old.objects.unlink(item)
        home.objects.link(item)
    # Of a collection not all has to be selected.
    given = chairs(folder, "Chair") | {"packing": "collection"}
    report = bring(stills, given, "reference", sources=["Seat"])
    assert ground(bpy.data.objects[report.references[0]])[0][0] > 5
    given |= {"packing": "one", "products": ["Seat"]}
    report = bring(stills, given, "reference", sources=["Seat", "Back"], job_id="b")
    assert ground(bpy.data.objects[report.references[0]])[0][0] > 5


def test_products_are_found_as_they_were_sent(
    extension: Any, stills: Any, folder: Path, problems: Any
) -> None:
    identity = extension.module("addon.versions").identity
    bones = bpy.data.objects.new("Rig", None)
    bpy.context.scene.collection.objects.link(bones)
    chair = cube("Chair", (2, 0, 1))
    chair.parent = bones
    box = {"min": [7, 7, 7], "max": [8, 8, 9]}
    products = [
        {"name": "Chair", "object": "Rig", "identity": identity(bones), "bounds": box},
        {"name": "Lamp", "object": "Lamp", "identity": 12345678, "bounds": box},
    ]
    bones.name, bones.location.y = "Bones", 5  # renamed and moved since
    given = chairs(folder, "Chair", "Lamp")
    report = bring(stills, given, "reference", "preview", products=products)
    low, high = ground(bpy.data.objects["Chair · Front View"])
    assert np.allclose((low[0], low[1], low[2], high[2]), (3.2, 5, 0, 2), atol=1e-4)
    low, high = ground(bpy.data.objects["Lamp · Front View"])
    assert np.allclose((low[1], low[2], high[2]), (7.5, 7, 9), atol=1e-4), "where it was"
    assert report.previews == ["Bones"] and "“Lamp”" in report.lost[0]
    assert not any("cursor" in note for note in report.notes)
    given |= {"packing": "one", "products": ["Chair"], "stills": given["stills"][:2]}
    report = bring(stills, given, "preview", sources=["Bones", "Chair"], products=products)
    assert report.previews == ["Bones"], "the other one hangs on it"
    chair.parent = None
    with pytest.raises(problems.ProblemError, match="not one object"):
        bring(stills, given, "preview", sources=["Bones", "Chair"], products=products)


# -- backgrounds and previews --------------------------------------------------------------------


def test_a_camera_background(stills: Any, folder: Path, problems: Any) -> None:
    given = chairs(folder, "Chair")
    with pytest.raises(problems.ProblemError, match="no camera"):
        bring(stills, given, "background")
    assert not images(), "what was begun is taken back"
    scene = made.quick_scene()
    second = given["stills"][1]["path"]
    report = bring(stills, given, "background", only=second, alpha=0.25, front=True)
    (background,) = scene.camera.data.background_images
    assert background.image.name == "Chair · Three Quarter" and len(images()) == 1
    assert (background.alpha, background.display_depth) == (0.25, "FRONT")
    assert scene.camera.data.show_background_images and report.cameras == ["Shot Camera"]


def preview(item: Any) -> Any:
    """The pixels of an asset's preview, (height, width, 4)."""
    width, height = item.preview.image_size
    found = np.empty(width * height * 4, dtype=np.float32)
    item.preview.image_pixels_float.foreach_get(found)
    return found.reshape(height, width, 4)


def test_the_products_own_preview(stills: Any, folder: Path) -> None:
    item, lamp = cube("Chair"), cube("Lamp")
    given = chairs(folder, "Chair", "Lamp", size=(64, 36))
    bpy.ops.ed.undo_push(message="before")
    before = made.everything()
    report = bring(stills, given, "preview", sources=["Chair", "Lamp"])
    assert report.previews == ["Chair", "Lamp"]
    after = made.everything()
    # An asset is kept with the file, so it has one user more.
    assert {kind for kind in after if after[kind] != before[kind]} == {"objects"}
    assert after["objects"] == [("Chair", 2), ("Lamp", 2)], "no new data-block"
    assert item.asset_data is not None
    assert [tag.name for tag in item.asset_data.tags] == ["Chair", "Studio Light"]
    shown = preview(item)
    assert abs(shown.shape[1] / shown.shape[0] - 16 / 9) < 0.03
    assert np.allclose(shown[-1, 0], (1, 0, 0, 1), atol=0.02), "the front view, the right way up"
    assert np.allclose(preview(lamp)[-1, 0], (1, 0.25, 0, 1), atol=0.02)
    bpy.ops.ed.undo()
    item = bpy.data.objects["Chair"]
    assert item.asset_data is None and (item.preview is None or not item.preview.image_size[0])


def test_a_preview_without_becoming_an_asset(stills: Any, folder: Path, problems: Any) -> None:
    item = cube("Chair")
    given = chairs(folder, "Chair", "Lamp")
    third = given["stills"][1]["path"]
    report = bring(stills, given, "preview", sources=["Chair"], mark_assets=False, only=third)
    assert item.asset_data is None and item.preview.image_size[0]
    report = bring(stills, given, "preview", sources=["Chair"])
    assert report.previews == ["Chair"] and "“Lamp”" in report.lost[0]
    with pytest.raises(problems.ProblemError, match="“Lamp” is not one object"):
        bring(stills, given | {"stills": given["stills"][2:]}, "preview", sources=["Chair"])
    # What is no picture leaves the preview as it is.
    kept = preview(item)
    Path(third).write_bytes(b"no picture")
    with pytest.raises(problems.ProblemError, match="No asset preview could be made"):
        bring(stills, given, "preview", sources=["Chair"], only=third)
    assert np.array_equal(preview(item), kept) and not images()


def test_the_preview_of_a_collection(stills: Any, folder: Path) -> None:
    home = bpy.data.collections.new("Chair")
    bpy.context.scene.collection.children.link(home)
    for name in ("Seat", "Back"):
        home.objects.link(cube(name))
    given = chairs(folder, "Chair") | {"packing": "collection"}
    report = bring(stills, given, "preview", sources=["Seat", "Back"])
    assert (
        report.previews == ["Chair"] and home.asset_data is not None and home.preview.image_size[0]
    )
    assert bpy.data.objects["Seat"].asset_data is None


# -- videos --------------------------------------------------------------------------------------


def test_videos_are_strips_one_after_the_other(stills: Any, folder: Path) -> None:
    audio = bool(bpy.app.build_options.audaspace)
    given = with_video(chairs(folder, "Chair", "Lamp"), folder, sound=audio)
    scene = made.quick_scene()
    scene.frame_current = 20
    bring(stills, given, "strip")
    movies = [strip for strip in made.strips_of(scene) if strip.type == "MOVIE"]
    assert sorted((strip.name, made.span(strip)) for strip in movies) == [
        ("Chair · 360 Spin", (20, 26)),
        ("Lamp · 360 Spin", (26, 32)),
    ]
    assert sum(strip.type == "SOUND" for strip in made.strips_of(scene)) == 2 * audio
    assert not scene.render.use_sequencer and scene.frame_current == 20 and not images()
    # Again, in the same place, wherever the playhead is now.
    before = sorted((s.name, s.channel, made.span(s)) for s in made.strips_of(scene))
    scene.frame_current = 50
    bring(stills, given, "strip", replace=True)
    assert sorted((s.name, s.channel, made.span(s)) for s in made.strips_of(scene)) == before
    assert not audio or len(bpy.data.sounds) == 2


def test_videos_are_textures(stills: Any, folder: Path) -> None:
    given = with_video(chairs(folder, "Chair"), folder)
    cube("Chair", (0, 0, 1))
    scene = made.quick_scene()
    report = bring(stills, given, "movie")
    (material,) = [one for one in bpy.data.materials if one.name == "Chair · 360 Spin"]
    assert report.materials == [material.name] and material.use_fake_user
    (image,) = images()
    (texture,) = [node for node in material.node_tree.nodes if node.type == "TEX_IMAGE"]
    assert texture.image == image and image.source == "MOVIE"
    assert texture.image_user.frame_duration == 6 and texture.image_user.use_auto_refresh
    assert not made.strips_of(scene)
    # Among the references, a plane plays it.
    report = bring(
        stills, given, "movie", "reference", sources=["Chair"], references_as="plane", replace=True
    )
    plane = bpy.data.objects["Chair · 360 Spin"]
    assert plane.data.materials[0].name == "Chair · 360 Spin" and len(report.references) == 3
    assert len([one for one in bpy.data.materials if one.name.startswith("Chair · 360")]) == 1
    camera = scene.camera
    camera.data.type, camera.data.ortho_scale = "ORTHO", 1
    camera.location, camera.rotation_euler = plane.location, (np.pi / 2, 0, 0)
    camera.location.y -= 3
    for frame in (2, 5):
        shown = made.rendered(frame, folder / "out.png", sequencer=False)
        assert np.allclose(shown[4, 4, :3], made.color(frame), atol=0.06), frame


# -- again, and what goes wrong ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["empty", "plane"])
def test_an_import_in_the_place_of_the_first(stills: Any, folder: Path, kind: str) -> None:
    cube("Chair")
    scene = made.quick_scene()
    given = chairs(folder, "Chair")
    ways = ("image", "reference", "background")
    bring(stills, given, *ways, sources=["Chair"], references_as=kind)
    used = bpy.data.materials.new("Mine")
    if used.node_tree is None:
        used.use_nodes = True
    node = used.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images["Chair · Front View"]
    before = made.everything()
    report = bring(stills, given, *ways, sources=["Chair"], references_as=kind, replace=True)
    assert made.everything() == before and not report.lost
    assert node.image.name == "Chair · Front View" and node.image.use_fake_user
    assert sorted(report.references) == sorted(report.images)
    assert len(scene.camera.data.background_images) == 1
    # Without replacing there are two of each.
    bring(stills, given, *ways, sources=["Chair"], references_as=kind)
    assert len(images()) == 4 and "Autumn stills.001" in bpy.data.collections
    # What was renamed stays.
    bpy.data.images["Chair · Front View"].name = "Hero"
    report = bring(stills, given, "image", replace=True)
    assert "Hero" in bpy.data.images and any("“Hero” is kept" in note for note in report.notes)


def test_missing_and_unreadable_files(stills: Any, folder: Path, problems: Any) -> None:
    given = chairs(folder, "Chair", "Lamp")
    paths = [Path(one["path"]) for one in given["stills"]]
    paths[0].unlink()
    paths[1].write_bytes(b"<html>not a picture</html>")
    report = bring(stills, given, "image", "reference", "movie")
    assert sorted(report.images) == ["Lamp · Front View", "Lamp · Three Quarter"]
    assert len(report.references) == 2 and len(images()) == 2
    assert any("“Front View.png”" in note for note in report.notes)
    told = " ".join(report.lost)
    assert "cannot read “Chair · Three Quarter”" in told and "No video came back" in told
    before = made.everything()
    with pytest.raises(problems.ProblemError, match="cannot read") as caught:
        bring(stills, given | {"stills": given["stills"][1:2]}, "image", "reference")
    assert caught.value.problem.category == "blender" and made.everything() == before
    for path in paths[1:]:
        path.unlink()
    with pytest.raises(problems.ProblemError, match="not where they were put") as caught:
        bring(stills, given, "image")
    assert caught.value.problem.category == "disk"
    with pytest.raises(problems.ProblemError, match="no such picture"):
        bring(stills, given, "image", only=str(folder / "other.png"))
    with pytest.raises(problems.ProblemError, match="has no pictures"):
        bring(stills, given | {"stills": []}, "image")
    with pytest.raises(problems.ProblemError, match="imported as “compositor”"):
        bring(stills, given, "compositor")
    assert made.everything() == before


# -- the click -----------------------------------------------------------------------------------


def stored(courier: Courier, job: Any) -> Any:
    courier.settle()  # a store that was busy for a moment is written by a thread
    with courier.store() as store:
        return store.job(job.id)


def given_job(courier: Courier, folder: Path, state: str = "done", **more: Any) -> Any:
    paths = {
        picture(folder / "Chair" / f"{camera}.png"): ("still", f"{camera} - Default")
        for camera in CAMERAS
    }
    with courier.store() as store:
        return store.insert_job(shoot_job(courier.extension, folder, paths, state, **more))


def test_import_from_the_job_list(courier: Courier, folder: Path) -> None:
    item = cube("Chair")
    made.quick_scene()
    origin = {
        "session": courier.now.id,
        "objects": ["Chair"],
        "identities": [courier.part("addon.versions").identity(item)],
    }
    job = given_job(courier, folder, origin=origin)
    item.name = "Sessel"  # renamed since
    courier.tick()
    assert courier.now.is_importable(courier.now.jobs[job.id])
    bpy.ops.ed.undo_push(message="before")
    before = made.everything()
    assert bpy.ops.scene_courier.import_job("EXEC_DEFAULT", True, job_id=job.id) == {"FINISHED"}
    assert sorted(image.name for image in images()) == [f"Chair · {name}" for name in CAMERAS]
    after = made.everything()
    assert {kind for kind in after if after[kind] != before[kind]} == {"images"}
    assert stored(courier, job).imported_at
    bpy.ops.ed.undo()
    assert made.everything() == before
    bpy.ops.ed.undo_push(message="again")
    assert bpy.ops.scene_courier.import_job(
        "EXEC_DEFAULT",
        True,
        job_id=job.short_id,
        ways={"reference", "preview"},
        references_as="plane",
    ) == {"FINISHED"}
    item = bpy.data.objects["Sessel"]
    assert item.asset_data is not None and item.preview.image_size[0]
    assert ground(bpy.data.objects["Chair · Front View"])[0][0] > 3
    bpy.ops.ed.undo()
    assert made.everything() == before and bpy.data.objects["Sessel"].asset_data is None
    with pytest.raises((TypeError, ValueError), match="compositor"):
        bpy.ops.scene_courier.import_job(job_id=job.id, ways={"compositor"})
    assert made.everything() == before


def test_by_itself_only_images_come_in(courier: Courier, folder: Path) -> None:
    cube("Chair")
    scene = made.quick_scene()
    mine = {"session": courier.now.id, "scene": scene.name, "objects": ["Chair"]}
    settings = getattr(scene.scene_courier, "glossi", None)
    if settings is not None and hasattr(settings, "import_ways"):
        settings.import_ways = {"reference"}
    before = made.everything()
    job = given_job(courier, folder, origin=mine)
    courier.tick(3)
    assert len(images()) == 2 and stored(courier, job).imported_at
    after = made.everything()
    assert {kind for kind in after if after[kind] != before[kind]} == {"images"}
    assert bpy.data.objects["Chair"].asset_data is None
    courier.tick(3)
    assert len(images()) == 2, "once"


def test_a_lone_video_waits_for_a_click(courier: Courier, folder: Path) -> None:
    given = with_video(chairs(folder, "Chair"), folder)
    scene = made.quick_scene()
    path = given["videos"][0]["path"]
    origin = {"session": courier.now.id, "scene": scene.name}
    with courier.store() as store:
        job = store.insert_job(
            shoot_job(courier.extension, folder, {path: ("video", "Spin - Default")}, origin=origin)
        )
    courier.tick(3)
    assert not images() and not made.strips_of(scene)
    assert bpy.ops.scene_courier.import_job(job_id=job.id) == {"FINISHED"}
    assert [material.name for material in bpy.data.materials] == ["Chair · Spin"]
    assert not made.strips_of(scene), "a timeline is never touched unasked"


def test_a_failed_job_has_pictures_too(courier: Courier, folder: Path) -> None:
    job = given_job(courier, folder, "failed")
    running = given_job(courier, folder, "remote")
    empty = given_job(courier, folder)
    with courier.store() as store:
        store.update_job(empty.id, results=[])
    courier.tick()
    assert bpy.ops.scene_courier.import_job(job_id=job.id) == {"FINISHED"}
    assert len(images()) == 2 and stored(courier, job).imported_at
    for other in (running, empty):
        with pytest.raises(RuntimeError, match="no pictures to import"):
            bpy.ops.scene_courier.import_job(job_id=other.id)
    for camera in CAMERAS:
        (folder / "Chair" / f"{camera}.png").unlink()
    with pytest.raises(RuntimeError, match="not where they were put"):
        bpy.ops.scene_courier.import_job(job_id=job.id)
    assert courier.now.import_problems[job.id].category == "disk"


def test_a_menu_offers_what_the_jobs_service_has(courier: Courier, folder: Path) -> None:
    ways = courier.part("addon.imports.ways")
    items = courier.part("addon.operators_import")._ways
    shot = given_job(courier, folder)
    with courier.store() as store:
        other = store.insert_job(courier.job("Frames", "done", service="renderjuice"))
    courier.tick()
    for job, offered in ((shot, ways.STILL_ITEMS), (other, ways.ITEMS)):
        assert items(SimpleNamespace(job_id=job.short_id), bpy.context) is offered
        courier.now.active_id = job.id
        assert items(SimpleNamespace(job_id=""), bpy.context) is offered, "the picked one"
    assert items(SimpleNamespace(job_id="unknown"), bpy.context) is ways.EVERY_ITEMS
    numbers: dict[str, int] = {}
    for item in (*ways.ITEMS, *ways.STILL_ITEMS, *ways.EVERY_ITEMS):
        assert numbers.setdefault(item[0], item[4]) == item[4], "one number for one name"
    assert len(set(numbers.values())) == len(numbers)
