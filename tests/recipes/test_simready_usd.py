# SPDX-License-Identifier: GPL-3.0-or-later
"""What the USD holds: placed geometry, materials with textures, labels, colliders that fit."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import Convert, Converted

pytestmark = pytest.mark.blender
Facts = Callable[[Path], dict[str, Any]]


def _good(converted: Converted) -> Converted:
    assert converted.problem is None, converted.problem
    return converted


def _visuals(stated: dict[str, Any]) -> list[dict[str, Any]]:
    return [mesh for mesh in stated["meshes"] if not mesh["collision"]]


def _hulls(stated: dict[str, Any]) -> list[dict[str, Any]]:
    return [mesh for mesh in stated["meshes"] if mesh["collision"]]


def _triangles(mesh: dict[str, Any]) -> np.ndarray:
    points, result, at = np.array(mesh["points"]), [], 0
    for count in mesh["counts"]:
        face = mesh["indices"][at : at + count]
        result += [[face[0], face[i], face[i + 1]] for i in range(1, count - 1)]
        at += count
    return np.asarray(points[np.array(result)])


def _volume(mesh: dict[str, Any]) -> float:
    a, b, c = np.moveaxis(_triangles(mesh), 1, 0)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def test_the_files_lie_where_the_service_puts_them(convert: Convert) -> None:
    converted = _good(convert("crate.glb", name="Wine crate"))
    assert converted.result["usd"] == "usd/wine_crate/wine_crate_usd.usd"
    assert converted.result["mjcf"] == "mjcf/wine_crate.xml"
    assert converted.usd.read_bytes().startswith(b"PXR-USDC")
    picture = (converted.output / converted.result["thumbnail"]).read_bytes()
    assert converted.result["thumbnail"].endswith("/.thumbs/256x256/wine_crate_usd.usd.png")
    assert struct.unpack(">II", picture[16:24]) == (256, 256)
    assert len(picture) > 5000, "a rendered picture, not a flat one"
    assert converted.result["textures"] == [
        "usd/wine_crate/textures/pine_bumps.png",
        "usd/wine_crate/textures/pine_grain.png",
    ]


def test_stage_body_and_labels(convert: Convert, facts: Facts) -> None:
    stated = facts(_good(convert("chair.glb")).usd)
    assert (stated["up"], stated["unit"], stated["rigid"]) == ("Z", 1.0, True)
    assert stated["labels"] == {"class": ["chair"], "wikidata_qcode": ["Q15026"]}
    assert "Blender" not in stated["custom_data"]
    points = np.concatenate([mesh["points"] for mesh in _visuals(stated)])
    low, high = points.min(axis=0), points.max(axis=0)
    assert low[2] == pytest.approx(0, abs=1e-6)
    assert (low + high)[:2] == pytest.approx([0, 0], abs=1e-6)
    assert high - low == pytest.approx([0.44, 0.44, 0.92], abs=1e-3)


def test_textures_are_beside_it_and_say_their_colour_space(convert: Convert, facts: Facts) -> None:
    converted = _good(convert("chair.glb"))
    stated = facts(converted.usd)
    assert len(stated["textures"]) == 3
    for path, file in stated["textures"].items():
        assert file.startswith("./textures/")
        assert (converted.usd.parent / file).is_file()
        assert stated["spaces"][path][0] == ("raw" if "normal" in path else "sRGB")
    assert all(mesh["uv"] == ["st"] for mesh in _visuals(stated))


def test_a_tint_on_a_texture_survives(convert: Convert, facts: Facts) -> None:
    stated = facts(_good(convert("jpeg_tinted.glb")).usd)
    ((_, scale),) = stated["spaces"].values()
    assert scale == pytest.approx([1.0, 0.5, 0.25, 1.0], abs=0.01)


def test_several_materials_on_one_mesh(convert: Convert, facts: Facts) -> None:
    (mesh,) = _visuals(facts(_good(convert("several_materials.glb")).usd))
    assert mesh["subsets"] == 3
    assert mesh["subset_faces"] == len(mesh["counts"])


def test_instances_are_baked_each_in_its_place(convert: Convert, facts: Facts) -> None:
    stated = facts(_good(convert("instances.glb")).usd)
    meshes = _visuals(stated)
    assert len(meshes) == 4
    volumes = sorted(_volume(mesh) for mesh in meshes)
    assert volumes == pytest.approx([0.002, 0.002, 0.003, 0.004], rel=1e-4), "all face outwards"


def test_mirroring_leaves_faces_and_normals_outside(convert: Convert, facts: Facts) -> None:
    converted = _good(convert("mirrored.glb"))
    (mesh,) = _visuals(facts(converted.usd))
    assert _volume(mesh) > 0
    assert converted.report["validation"] == []


@pytest.mark.parametrize(
    "model", ["chair", "table", "ring", "mug", "plane", "triangle", "tiny", "loose_parts"]
)
def test_hulls_are_convex_small_and_cover_the_model(
    convert: Convert, facts: Facts, model: str
) -> None:
    stated = facts(_good(convert(f"{model}.glb")).usd)
    hulls, span = _hulls(stated), 0.0
    points = np.concatenate([mesh["points"] for mesh in _visuals(stated)])
    span = float(np.ptp(points, axis=0).max())
    assert 1 <= len(hulls) <= 64
    covered = np.full(len(points), np.inf)
    for hull in hulls:
        assert (hull["purpose"], hull["approximation"]) == ("guide", "convexHull")
        assert hull["physics_material"].startswith(f"{stated['root']}/physics_materials/")
        corners = np.array(hull["points"])
        assert 4 <= len(corners) <= 64
        tris = _triangles(hull)
        normal = np.cross(tris[:, 1] - tris[:, 0], tris[:, 2] - tris[:, 0])
        length = np.linalg.norm(normal, axis=1)
        longest = np.linalg.norm(tris - np.roll(tris, 1, axis=1), axis=2).max(axis=1)
        # The normal of a sliver is rounding; single precision knows no better.
        wide = length / longest > 1e-3 * float(np.ptp(corners, axis=0).max())
        normal, tris = normal[wide] / length[wide, None], tris[wide]
        offset = np.einsum("ij,ij->i", normal, tris[:, 0])
        assert (corners @ normal.T - offset).max() < 2e-4 * span, "convex"
        assert _volume(hull) > 0
        covered = np.minimum(covered, (points @ normal.T - offset).max(axis=1))
        assert corners[:, 2].min() > -1e-5 * max(span, 1.0), "nothing below the floor"
    assert covered.max() < 0.02 * span, "every point of the model lies in or near a hull"


def test_the_space_below_a_table_stays_free(convert: Convert, facts: Facts) -> None:
    hulls = _hulls(facts(_good(convert("table.glb")).usd))
    assert len(hulls) >= 5
    assert sum(_volume(hull) for hull in hulls) < 0.1, "one hull around all would be 0.6 m3"


def test_the_inside_of_a_bowl_stays_free(convert: Convert, facts: Facts) -> None:
    hulls = _hulls(facts(_good(convert("open_bowl.glb")).usd))
    full = 2 / 3 * np.pi * 0.1**3
    assert sum(_volume(hull) for hull in hulls) < 0.5 * full


def test_a_coarser_threshold_gives_fewer_hulls(convert: Convert) -> None:
    fine = _good(convert("ring.glb")).result["colliders"]
    coarse = _good(convert("ring.glb", options={"threshold": 0.12})).result["colliders"]
    assert 1 < coarse < fine


def test_names_in_any_script(convert: Convert, facts: Facts) -> None:
    converted = _good(convert("emoji.glb", name="🪑 Stühle"))
    assert converted.result["usd"] == "usd/stuhle/stuhle_usd.usd"
    paths = [mesh["path"] for mesh in facts(converted.usd)["meshes"]]
    assert len(set(paths)) == len(paths)
    assert {part["object"] for part in converted.report["parts"]} == {"🪑 Stühle / 椅子", "🪑"}
