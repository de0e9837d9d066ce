# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox's converter makes of a textured object of nine parts falls and stands again."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import bpy
import pytest

from tests.addon import usd_assets
from tests.addon.import_support import (
    MILLIMETRE,
    body_of,
    collection_of,
    lowest,
    place,
    play,
    value,
    visible_meshes,
)

pytestmark = [
    pytest.mark.blender,
    pytest.mark.slow,
    pytest.mark.usefixtures("clean_scene"),
    pytest.mark.skipif(not usd_assets.pxr_available(), reason="no pxr in this Blender"),
]


@pytest.fixture(scope="module")
def converted(extension: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The demo's stool, packaged and converted in headless Blenders of this version."""
    blender = extension.module("bridge.blender")
    program = blender.probe(sys.executable)
    folder = tmp_path_factory.mktemp("converted")

    def run(name: str, params: dict[str, Any]) -> Any:
        return blender.run_recipe(name, params, workdir=folder / name, program=program, timeout=200)

    scene = run("demo_scene", {"output": str(folder / "demo.blend")})
    (stool,) = (asset for asset in scene["assets"] if asset["name"] == "Stool")
    model = run(
        "export_glb",
        {
            "blend": scene["path"],
            "select": stool["objects"],
            "folder": str(folder),
            "output": str(folder / "Stool.glb"),
            "options": {},
        },
    )
    result = run(
        "simready",
        {
            "input": model["path"],
            "output": str(folder / "results"),
            "name": "Stool",
            "options": {"skip_validation": True},
        },
    )
    return folder / "results", result


def test_converted_asset(extension: Any, converted: tuple[Path, Any]) -> None:
    simready = extension.module("addon.imports.simready")
    folder, result = converted
    path = simready.find_usd(folder)
    assert path == folder / result["usd"]
    report = simready.import_simready(
        bpy.context, path, name="Stool", placement=("source", (2, -1, 0.4)), job_id="job"
    )
    assert report.physics and report.missing_textures == []
    assert report.colliders == result["colliders"]
    body = body_of(report)
    assert body.rigid_body.mass == pytest.approx(result["mass"], rel=1e-6)
    assert body.rigid_body.friction == pytest.approx(value(body, "physics:dynamicFriction"))
    assert body.rigid_body.restitution == pytest.approx(value(body, "physics:restitution"))
    assert value(body, "SimReady_Metadata")["mass"] == pytest.approx(result["mass"])
    assert value(body, "semantics:labels:wikidata_qcode")
    shown = visible_meshes(collection_of(report).all_objects)
    images = {
        node.image
        for item in shown
        for slot in item.material_slots
        for node in slot.material.node_tree.nodes
        if node.type == "TEX_IMAGE"
    }
    assert images and all(min(image.size) > 0 for image in images)
    shown = [item for item in shown if item.name != report.ground]
    assert lowest(shown) == pytest.approx(0.4, abs=1e-4)
    start = place(body)
    upright = body.matrix_world.to_quaternion()
    body.location.z += 0.5
    places: dict[int, Any] = {}
    play(200, lambda frame: places.setdefault(frame, place(body)))
    assert abs(lowest(shown) - 0.4) < MILLIMETRE
    assert (places[200] - places[150]).length < MILLIMETRE
    # It landed flat on its four legs: it stands on them, and was not thrown about.
    assert places[200].z == pytest.approx(start.z, abs=0.005)
    graph = bpy.context.evaluated_depsgraph_get()
    turned = body.evaluated_get(graph).matrix_world.to_quaternion()
    assert math.degrees(turned.rotation_difference(upright).angle) < 10
