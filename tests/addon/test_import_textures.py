# SPDX-License-Identifier: GPL-3.0-or-later
"""Missing textures are found in the download, or told; Blender itself says nothing about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest

from tests.addon import usd_assets
from tests.addon.import_support import collection_of, visible_meshes

pytestmark = [
    pytest.mark.usefixtures("clean_scene"),
    pytest.mark.skipif(not usd_assets.pxr_available(), reason="no pxr in this Blender"),
]


@pytest.fixture
def simready(extension: Any) -> Any:
    return extension.module("addon.imports.simready")


def image_of(report: Any) -> Any:
    """The one image of the one visible mesh."""
    (look,) = visible_meshes(
        item for item in collection_of(report).all_objects if item.name != report.ground
    )
    tree = look.data.materials[0].node_tree
    (image,) = (node.image for node in tree.nodes if node.type == "TEX_IMAGE")
    return image


def test_textures_in_place(simready: Any, tmp_path: Path) -> None:
    usd_assets.png(tmp_path / "textures" / "wood.png", size=8)
    path = usd_assets.crate(tmp_path / "crate.usdc", texture="./textures/wood.png")
    report = simready.import_simready(bpy.context, path)
    assert report.missing_textures == []
    assert tuple(image_of(report).size) == (8, 8)


@pytest.mark.parametrize("place", ["wood.png", "other/deep/WOOD.PNG"])
def test_textures_elsewhere_in_the_download(simready: Any, tmp_path: Path, place: str) -> None:
    """As when model and textures are downloaded one by one, from unrelated addresses."""
    usd_assets.png(tmp_path / place, size=8)
    path = usd_assets.crate(tmp_path / "crate.usdc", texture="./textures/wood.png")
    report = simready.import_simready(bpy.context, path)
    assert report.missing_textures == []
    assert tuple(image_of(report).size) == (8, 8)
    assert (tmp_path / "textures" / "wood.png").is_file()
    assert (tmp_path / place).is_file()
    assert any("wood.png" in note for note in report.notes)


def test_textures_of_the_whole_result_folder(simready: Any, tmp_path: Path) -> None:
    usd_assets.png(tmp_path / "loose" / "wood.png", size=8)
    path = usd_assets.crate(tmp_path / "usd" / "crate" / "crate.usd", texture="textures/wood.png")
    report = simready.import_simready(bpy.context, path)
    assert report.missing_textures == []
    assert tuple(image_of(report).size) == (8, 8)


def test_missing_textures_are_told(simready: Any, tmp_path: Path) -> None:
    path = usd_assets.crate(tmp_path / "crate.usdc", texture="./textures/wood.png")
    report = simready.import_simready(bpy.context, path)
    assert report.missing_textures == ["wood.png"]
    assert "Textures are missing: wood.png. Their materials look plain." in report.lost


def test_nothing_is_written_outside_the_download(simready: Any, tmp_path: Path) -> None:
    inside = tmp_path / "download"
    usd_assets.png(inside / "wood.png")
    path = usd_assets.crate(inside / "crate.usdc", texture="../elsewhere/wood.png")
    report = simready.import_simready(bpy.context, path)
    assert report.missing_textures == ["wood.png"]
    assert not (tmp_path / "elsewhere").exists()


def test_an_empty_image_is_told(simready: Any, tmp_path: Path) -> None:
    (tmp_path / "textures").mkdir()
    (tmp_path / "textures" / "wood.png").write_bytes(b"this is no picture")
    path = usd_assets.crate(tmp_path / "crate.usdc", texture="./textures/wood.png")
    report = simready.import_simready(bpy.context, path)
    assert report.missing_textures == ["wood.png"]


def test_a_material_that_blender_cannot_read_is_told(simready: Any, tmp_path: Path) -> None:
    from pxr import Sdf, Usd, UsdShade

    path = usd_assets.crate(tmp_path / "crate.usda", "A")
    stage = Usd.Stage.Open(str(path))
    material = UsdShade.Material.Define(stage, "/Crate/Looks/Glass")
    shader = UsdShade.Shader.Define(stage, "/Crate/Looks/Glass/Shader")
    shader.SetSourceAsset("OmniGlass.mdl", "mdl")
    shader.CreateOutput("out", Sdf.ValueTypeNames.Token)
    material.CreateSurfaceOutput("mdl").ConnectToSource(shader.ConnectableAPI(), "out")
    UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/Crate/Body")).Bind(material)
    stage.GetRootLayer().Save()
    report = simready.import_simready(bpy.context, path)
    assert any("Glass" in text for text in report.lost)
