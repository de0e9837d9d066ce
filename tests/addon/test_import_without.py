# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Blender has no USD library, a foreign one, or no USD at all: meshes, and a plain word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest

from tests.addon import usd_assets
from tests.addon.import_support import body_of, collection_of, ids, value, visible_meshes

pytestmark = pytest.mark.usefixtures("clean_scene")
needs_pxr = pytest.mark.skipif(not usd_assets.pxr_available(), reason="no pxr in this Blender")


# A body with a collider hull, in USD's text form, which needs no library to write.
TEXT = """#usda 1.0
(
    defaultPrim = "Crate"
    metersPerUnit = 1
    upAxis = "Z"
)
def Xform "Crate" (prepend apiSchemas = ["PhysicsRigidBodyAPI", "PhysicsMassAPI"])
{
    float physics:mass = 2
    def Mesh "Body"
    {
        int[] faceVertexCounts = [3, 3, 3, 3]
        int[] faceVertexIndices = [0, 2, 1, 0, 1, 3, 1, 2, 3, 2, 0, 3]
        point3f[] points = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    }
    def Scope "Colliders"
    {
        def Mesh "Hull" (prepend apiSchemas = ["PhysicsCollisionAPI", "PhysicsMeshCollisionAPI"])
        {
            uniform token physics:approximation = "convexHull"
            uniform token purpose = "guide"
            int[] faceVertexCounts = [3, 3, 3, 3]
            int[] faceVertexIndices = [0, 2, 1, 0, 1, 3, 1, 2, 3, 2, 0, 3]
            point3f[] points = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
        }
    }
}
"""


@pytest.fixture
def simready(extension: Any) -> Any:
    return extension.module("addon.imports.simready")


@pytest.fixture
def plain_usd(tmp_path: Path) -> Path:
    """A cube that Blender itself exported: every version can."""
    bpy.ops.mesh.primitive_cube_add(location=(0, 0, 1))
    bpy.context.object.name = "Block"
    path = tmp_path / "block.usdc"
    bpy.ops.wm.usd_export(filepath=str(path))
    bpy.ops.wm.read_homefile(use_empty=True)
    return path


def test_meshes_without_physics(simready: Any, plain_usd: Path) -> None:
    report = simready.import_simready(
        bpy.context, plain_usd, name="Block", placement=("source", (1, 2, 0)), job_id="job"
    )
    assert not report.physics and report.bodies == [] and report.ground == ""
    (look,) = visible_meshes(collection_of(report).all_objects)
    assert look.matrix_world.translation[:] == pytest.approx((1, 2, 1))
    assert look["scene_courier:job"] == "job"
    assert bpy.context.scene.rigidbody_world is None
    if usd_assets.pxr_available():
        assert "The file states no rigid body, so nothing will fall." in report.lost
    else:
        assert report.lost == [
            "This Blender cannot read the physics in USD files: only the meshes came in."
        ]


def test_hulls_stay_out_where_nothing_tells_them_apart(simready: Any, tmp_path: Path) -> None:
    path = tmp_path / "crate.usda"
    path.write_text(TEXT, encoding="utf-8")
    report = simready.import_simready(bpy.context, path, name="Crate")
    names = sorted(item.name for item in collection_of(report).all_objects)
    if usd_assets.pxr_available():
        assert names == ["Body", "Crate", "Crate Body", "Hull", "Preview Ground"]
        assert body_of(report).rigid_body.mass == pytest.approx(2)
    else:
        assert names == ["Body", "Crate"]


def test_the_versions_without_a_usd_library_are_known() -> None:
    """Blender 4.2's wheel has none; if that changes, the import gains physics there by itself."""
    assert usd_assets.pxr_available() == (bpy.app.version >= (4, 5, 0))


def test_a_build_without_usd(
    simready: Any,
    plain_usd: Path,
    tmp_path: Path,
    extension: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problems = extension.module("bridge.problems")
    versions = extension.module("addon.versions")
    assert versions.has_usd_import()
    monkeypatch.setattr(versions, "has_usd_import", lambda: False)
    before = ids()
    with pytest.raises(problems.ProblemError) as caught:
        simready.import_simready(bpy.context, plain_usd)
    problem = caught.value.problem
    assert problem.category == "blender"
    assert problem.sentence == "This build of Blender cannot read USD files."
    assert "blender.org" in problem.hint
    assert ids() == before

    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.name = "Sent"
    sent = tmp_path / "sent.glb"
    bpy.ops.export_scene.gltf(filepath=str(sent))
    bpy.ops.wm.read_homefile(use_empty=True)
    report = simready.import_simready(
        bpy.context, plain_usd, name="Sent", placement=("source", (0, 0, 5)), fallback_mesh=sent
    )
    assert not report.physics
    assert "This build of Blender cannot read USD files" in report.lost[0]
    (look,) = visible_meshes(collection_of(report).all_objects)
    assert look.name == "Sent"
    assert look.matrix_world.translation.z == pytest.approx(6)


@needs_pxr
def test_a_foreign_usd_library(
    simready: Any, tmp_path: Path, extension: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot take Blender's stage; the file is read a second time, objects are told by name."""
    scene = extension.module("addon.imports.usd_scene")
    real = scene.read_stage
    calls = []

    def refuse_the_first(stage: Any, scale: float) -> Any:
        calls.append(stage)
        if len(calls) == 1:
            raise TypeError("No to_python (by-value) converter found for C++ type: UsdStage")
        return real(stage, scale)

    monkeypatch.setattr(scene, "read_stage", refuse_the_first)
    path = usd_assets.crate(tmp_path / "crate.usdc", "B", labels=True, up="Y", metres=0.01)
    bpy.data.objects.new("Body", None)
    report = simready.import_simready(bpy.context, path)
    assert len(calls) == 2
    assert report.physics and any("Another USD library" in note for note in report.notes)
    body = body_of(report)
    assert body.rigid_body.mass == pytest.approx(12.5)
    assert value(body, "semantics:labels:wikidata_qcode") == ["Q1144312"]
    assert len([item for item in body.children if item.rigid_body]) == 2


@needs_pxr
def test_a_foreign_usd_library_that_reads_nothing(
    simready: Any, tmp_path: Path, extension: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = extension.module("addon.imports.usd_scene")

    def refuse(_stage: Any, _scale: float) -> Any:
        raise TypeError("foreign")

    monkeypatch.setattr(scene, "read_stage", refuse)
    path = usd_assets.crate(tmp_path / "crate.usdc", "B")
    report = simready.import_simready(bpy.context, path)
    assert not report.physics
    assert any("Another USD library" in text and "foreign" in text for text in report.lost)
    # The hulls would be seen as part of the asset.
    assert [item.name for item in collection_of(report).all_objects] == ["Body", "Crate"]
    assert sorted(item.name for item in bpy.data.objects) == ["Body", "Crate"]
    assert len(bpy.data.materials) == 1
