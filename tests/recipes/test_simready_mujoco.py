# SPDX-License-Identifier: GPL-3.0-or-later
"""The MuJoCo package loads in MuJoCo, weighs what the USD says, falls and comes to rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from .conftest import Convert, Converted

mujoco = pytest.importorskip("mujoco", exc_type=ImportError)
pytestmark = pytest.mark.blender
Facts = Callable[[Path], dict[str, Any]]


def _load(converted: Converted) -> Any:
    assert converted.problem is None, converted.problem
    return mujoco.MjModel.from_xml_path(str(converted.mjcf))


def _drop(model: Any, height: float, seconds: float) -> Any:
    data = mujoco.MjData(model)
    data.qpos[2] += height
    while data.time < seconds:
        mujoco.mj_step(model, data)
    return data


@pytest.mark.parametrize("model", ["chair", "crate", "mug", "table", "several_materials"])
def test_it_falls_and_is_at_rest_after_a_second(convert: Convert, model: str) -> None:
    loaded = _load(convert(f"{model}.glb"))
    half = _drop(loaded, 0.3, 0.15)
    assert 0.1 < half.qpos[2] < 0.25, "it falls"
    data = _drop(loaded, 0.3, 1.0)
    assert abs(data.qpos[2]) < 0.001
    assert np.abs(data.qvel).max() < 0.01
    assert data.ncon >= 3


@pytest.mark.parametrize(
    "model",
    ["open_bowl", "plane", "triangle", "instances", "mirrored", "emoji", "tiny", "ring",
     "loose_parts", "hollow_sphere", "millimetres", "lamp"],
)  # fmt: skip
def test_odd_shapes_load_too(convert: Convert, facts: Facts, model: str) -> None:
    converted = convert(f"{model}.glb")
    loaded = _load(converted)
    assert loaded.body_mass[1] == pytest.approx(facts(converted.usd)["mass"], rel=1e-6)


@pytest.mark.parametrize("model", ["chair", "crate", "instances"])
def test_usd_and_mjcf_state_the_same_body(convert: Convert, facts: Facts, model: str) -> None:
    converted = convert(f"{model}.glb")
    loaded, stated = _load(converted), facts(converted.usd)
    assert loaded.body_mass[1] == pytest.approx(stated["mass"], rel=1e-6)
    assert loaded.body_ipos[1] == pytest.approx(stated["centre"], abs=1e-6)
    assert sorted(loaded.body_inertia[1]) == pytest.approx(sorted(stated["inertia"]), rel=1e-5)


def test_each_material_is_a_visual_and_each_hull_collides(convert: Convert) -> None:
    converted = convert("several_materials.glb")
    root = ElementTree.parse(converted.mjcf).getroot()
    geoms = root.findall(".//body/geom")
    visuals = [geom for geom in geoms if geom.get("group") == "2"]
    hulls = [geom for geom in geoms if geom.get("group") == "3"]
    assert len(visuals) == 3
    assert all(geom.get("contype") == "0" for geom in visuals)
    assert len(hulls) == converted.result["colliders"]
    assert all(geom.get("friction") for geom in hulls)
    assert root.find(".//freejoint") is not None
    assert root.find("worldbody/geom[@type='plane']") is not None


def test_every_file_is_named_relatively_and_is_there(convert: Convert) -> None:
    converted = convert("chair.glb")
    root = ElementTree.parse(converted.mjcf).getroot()
    for kind, folder in (("mesh", "meshes"), ("texture", "textures")):
        files = [item.get("file") for item in root.findall(f"asset/{kind}") if item.get("file")]
        assert files
        for file in files:
            assert file and re.fullmatch(r"[a-z0-9_]+\.(obj|png)", file)
            assert (converted.mjcf.parent / folder / file).is_file()


def test_a_jpeg_becomes_a_png_for_mujoco_and_stays_one_for_usd(convert: Convert) -> None:
    converted = convert("jpeg_tinted.glb")
    loaded = _load(converted)
    assert loaded.ntex == 2, "ground and photo"
    assert [path.suffix for path in (converted.mjcf.parent / "textures").iterdir()] == [".png"]
    assert [Path(name).suffix for name in converted.result["textures"]] == [".jpg"]
