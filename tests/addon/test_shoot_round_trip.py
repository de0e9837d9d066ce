# SPDX-License-Identifier: GPL-3.0-or-later
"""Products as an artist has them photographed: selected, one click, pictures in the scene.

The installed extension, the real worker, the real sandbox, whose studio is a headless Blender (with
small pictures and few samples). Only the timer is called by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.addon.test_round_trip import wait_for_end, worker_home
from tests.support.extension import Extension

bpy = pytest.importorskip("bpy")
__all__ = ["worker_home"]
PRODUCTS = ("Kanne", "Stuhl 🪑", "Würfel")


def build_scene(folder: Path) -> None:
    """Three products and one without a surface, all selected, in a saved file."""
    bpy.ops.mesh.primitive_cylinder_add(radius=0.1, depth=0.3, location=(0, 0, 0.15))
    bpy.context.object.name = PRODUCTS[0]
    bpy.ops.mesh.primitive_cube_add(size=0.5, location=(1, 0, 0.25))
    bpy.context.object.name = PRODUCTS[1]
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.2, location=(2, 0, 0.2))
    bpy.context.object.name = PRODUCTS[2]
    for number, name in enumerate(PRODUCTS):
        material = bpy.data.materials.new(name)
        material.diffuse_color = (0.8, 0.2 * number, 0.1, 1)
        bpy.data.objects[name].data.materials.append(material)
    mesh = bpy.data.meshes.new("Kaputt")
    mesh.from_pydata([(3, 0, 0), (3, 0, 1)], [(0, 1)], [])
    broken = bpy.data.objects.new("Kaputt", mesh)
    bpy.context.scene.collection.objects.link(broken)
    bpy.ops.object.select_all(action="SELECT")
    bpy.context.view_layer.objects.active = bpy.data.objects[PRODUCTS[0]]
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "Katalog 📷.blend"))


def rows(job: Any) -> dict[str, Any]:
    return {row["name"]: row for row in job.report["products"]}


def test_three_products_come_back_and_the_broken_one_is_reported(
    extension: Extension,
    clean_scene: None,
    worker_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = {"scale": 20, "samples": 1, "frames": 6}
    monkeypatch.setenv("SCENE_COURIER_STUDIO", json.dumps(small))
    build_scene(tmp_path)
    settings = bpy.context.scene.scene_courier.glossi
    settings.bookmarks, settings.shots = True, True
    answer = bpy.ops.scene_courier.send(
        service="glossi", account="sandbox", template="Turntable", start="at_once"
    )
    assert answer == {"FINISHED"}
    job = wait_for_end(extension, worker_home, 400)
    assert job.state == "done", (job.problem, job.notes)
    table = rows(job)
    for name in PRODUCTS:
        assert table[name]["status"] == "rendered" and table[name]["project_id"], table[name]
        assert table[name]["stills"] >= 1 and table[name]["videos"] == 1, table[name]
    assert table["Kaputt"]["status"] == "left out" and table["Kaputt"]["problem"]
    stills = [result.path for result in job.results if result.kind == "still"]
    videos = [result.path for result in job.results if result.kind == "video"]
    assert len({Path(path).parent for path in stills}) == len(PRODUCTS)
    assert all(str(tmp_path / "courier") in path for path in (*stills, *videos))

    before = set(bpy.data.images)
    assert bpy.ops.scene_courier.import_job(job_id=job.id, ways={"image", "strip"}) == {"FINISHED"}
    found = [image for image in bpy.data.images if image not in before]
    assert len([image for image in found if image.source == "FILE"]) == len(stills)
    assert any(image.name.startswith(PRODUCTS[0]) for image in found)
    editor = bpy.context.scene.sequence_editor
    strips = list(editor.strips if hasattr(editor, "strips") else editor.sequences)
    assert len([strip for strip in strips if strip.type == "MOVIE"]) == len(videos)
