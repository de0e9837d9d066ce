# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job as an artist does it: select, Send, wait, and the asset is in the scene and falls.

The installed extension, the real worker, the real sandbox with a real conversion in a headless
Blender, the real import. Only the timer is called by hand, since a Blender without a window has no
event loop.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.extension import Extension

bpy = pytest.importorskip("bpy")


@pytest.fixture
def worker_home(
    home: Path, extension: Extension, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    monkeypatch.delenv("SCENE_COURIER_NO_WORKER", raising=False)
    monkeypatch.setenv("SCENE_COURIER_SETTINGS", json.dumps({"idle_seconds": 5}))
    extension.disable()
    extension.enable()
    yield home
    extension.disable()
    extension.enable()


def build_scene(folder: Path) -> list[bpy.types.Object]:
    """A crate with a lid and a textured material, above the floor, in a saved file."""
    image = bpy.data.images.new("planks", 64, 64)
    image.pixels[:] = [0.5, 0.3, 0.1, 1.0] * (64 * 64)
    image.filepath_raw = str(folder / "planks.png")
    image.file_format = "PNG"
    image.save()
    material = bpy.data.materials.new("Wood")
    material.use_nodes = True
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    material.node_tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    made = []
    for name, size, height in (
        ("Crate", (0.6, 0.4, 0.4), 0.5),
        ("Lid 🪵", (0.64, 0.44, 0.05), 0.725),
    ):
        bpy.ops.mesh.primitive_cube_add(size=1, location=(2, 1, height))
        item = bpy.context.object
        item.name, item.scale = name, size
        item.data.materials.append(material)
        made.append(item)
    bpy.ops.object.select_all(action="DESELECT")
    for item in made:
        item.select_set(True)
    bpy.context.view_layer.objects.active = made[0]
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "Küche 🍳.blend"))
    return made


def wait_for_end(extension: Extension, home: Path, seconds: float = 180) -> object:
    store_module = extension.module("bridge.store")
    pump = extension.module("addon.pump")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pump.tick()
        with store_module.Store.open(home) as store:
            jobs = store.jobs()
        if jobs and jobs[0].state.terminal:
            return jobs[0]
        time.sleep(0.1)
    assert jobs, "the click wrote no job"
    job = jobs[0]
    log = home / "jobs" / job.id / "job.log"
    raise AssertionError(f"{job.state} {job.problem} {log.read_text() if log.exists() else ''}")


def wait_for_import(extension: Extension, home: Path, job_id: str, seconds: float = 30) -> object:
    """The timer imports by itself, into the scene and session that sent the job."""
    store_module = extension.module("bridge.store")
    pump = extension.module("addon.pump")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pump.tick()
        with store_module.Store.open(home) as store:
            job = store.job(job_id)
        if job.imported_at:
            return job
        time.sleep(0.1)
    raise AssertionError(f"not imported: {job.notes} {job.problem}")


def lowest_point(item: bpy.types.Object) -> float:
    depsgraph = bpy.context.evaluated_depsgraph_get()
    evaluated = item.evaluated_get(depsgraph)
    mesh = evaluated.to_mesh()
    low = min((evaluated.matrix_world @ vertex.co).z for vertex in mesh.vertices)
    evaluated.to_mesh_clear()
    return float(low)


def test_one_click_brings_a_physics_ready_asset_back(
    extension: Extension, clean_scene: None, worker_home: Path, tmp_path: Path
) -> None:
    sources = build_scene(tmp_path)
    before = {item.name for item in bpy.data.objects}
    assert bpy.ops.scene_courier.send(account="sandbox") == {"FINISHED"}
    job = wait_for_end(extension, worker_home)
    assert job.state == "done", job.problem
    kinds = {result.kind for result in job.results}
    assert {"usd", "mjcf", "texture"} <= kinds
    usd = next(Path(result.path) for result in job.results if result.kind == "usd")
    assert usd.is_file() and str(tmp_path / "courier") in str(usd)
    assert job.credits_charged == 1 and job.remote["report"]

    job = wait_for_import(extension, worker_home, job.id)
    assert {item.name for item in bpy.data.objects} > before
    if bpy.app.version < (4, 5):
        # The 4.2 wheel has no pxr: geometry comes in, physics does not, and it is said.
        assert "physics" in " ".join(job.notes).lower()
        return
    new = [item for item in bpy.data.objects if item.name not in before]
    assert before <= {item.name for item in bpy.data.objects}, "nothing of the artist's is gone"
    assert not [item.name for item in new if job.id in item.name], "names for people"
    assert all(item.hide_render for item in sources), "the source is hidden"
    bodies = [item for item in new if item.rigid_body and item.rigid_body.type == "ACTIVE"]
    body = max(bodies, key=lambda item: item.rigid_body.mass)
    assert body.rigid_body.collision_shape == "COMPOUND"

    extension.module("addon.imports")
    bpy.utils.expose_bundled_modules()
    from pxr import Usd, UsdPhysics

    stage = Usd.Stage.Open(str(usd))
    stated = next(
        UsdPhysics.MassAPI(prim).GetMassAttr().Get()
        for prim in stage.Traverse()
        if prim.HasAPI(UsdPhysics.RigidBodyAPI)
    )
    assert body.rigid_body.mass == pytest.approx(stated, rel=1e-6)
    assert 1 < stated < 60, "a crate of wood"

    hulls = [item for item in new if item.rigid_body and item is not body and item.data]
    visible = [
        item
        for item in new
        if item.type == "MESH"
        and item.data.vertices
        and item not in hulls
        and not item.hide_render
        and not (item.rigid_body and item.rigid_body.type == "PASSIVE")
    ]
    assert visible
    scene = bpy.context.scene
    start = min(lowest_point(item) for item in visible)
    assert start == pytest.approx(0.3, abs=0.01), "it stands where the source stood"
    for frame in range(scene.frame_start, scene.frame_start + 150):
        scene.frame_set(frame)
    rest = min(lowest_point(item) for item in visible)
    assert abs(rest - _floor(new)) < 1e-3
    os.stat(usd)


def _floor(new: list[bpy.types.Object]) -> float:
    passive = [i for i in new if i.rigid_body and i.rigid_body.type == "PASSIVE"]
    assert passive, "there is something to fall on"
    ground = passive[0]
    return max((ground.matrix_world @ vertex.co).z for vertex in ground.data.vertices)
