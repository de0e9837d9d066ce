# SPDX-License-Identifier: GPL-3.0-or-later
"""Mass, centre of mass and inertia: closed forms, believable furniture, the artist's overrides."""

from __future__ import annotations

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


def _tensor(facts: dict[str, Any]) -> np.ndarray:
    """The inertia tensor (3, 3) that the USD states, about the centre of mass."""
    w, x, y, z = facts["axes"]
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    return np.asarray(turn @ np.diag(facts["inertia"]) @ turn.T)


def test_a_solid_block_has_the_textbook_values(convert: Convert, facts: Facts) -> None:
    stated = facts(_good(convert("solid_cube.glb")).usd)
    a, b, c = 0.3, 0.4, 0.5
    mass = 2600 * a * b * c
    assert stated["mass"] == pytest.approx(mass, rel=1e-5)
    assert stated["centre"] == pytest.approx([0, 0, c / 2], abs=1e-6)
    expected = mass / 12 * np.diag([b * b + c * c, a * a + c * c, a * a + b * b])
    assert _tensor(stated) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_thin_walled_box_has_the_textbook_values(convert: Convert, facts: Facts) -> None:
    stated = facts(_good(convert("box_shell.glb")).usd)
    a, b, c, wall, density = 0.3, 0.4, 0.5, 0.002, 1000.0
    areas = {"x": b * c, "y": a * c, "z": a * b}
    mass = density * wall * 2 * sum(areas.values())
    assert stated["mass"] == pytest.approx(mass, rel=1e-5)
    # Integral of x2 over the six faces: two at +-a/2, four that span it.
    spans = {"x": a, "y": b, "z": c}
    spread = []
    for axis, span in spans.items():
        across = 2 * areas[axis] * span**2 / 4
        along = sum(2 * areas[other] * span**2 / 12 for other in areas if other != axis)
        spread.append(density * wall * (across + along))
    expected = np.diag([sum(spread) - one for one in spread])
    assert _tensor(stated) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_a_modelled_cavity_is_subtracted(convert: Convert, facts: Facts) -> None:
    stated = facts(_good(convert("hollow_sphere.glb")).usd)
    volume = 4 / 3 * np.pi * (0.1**3 - 0.08**3)
    mass = 1000 * volume
    # The model is a polyhedron of 48 x 24 faces: one percent smaller than the ball.
    assert stated["mass"] == pytest.approx(mass, rel=0.015)
    inertia = 0.4 * mass * (0.1**5 - 0.08**5) / (0.1**3 - 0.08**3)
    assert stated["inertia"] == pytest.approx([inertia] * 3, rel=0.025)


def test_a_bowl_of_no_thickness_is_a_shell(convert: Convert) -> None:
    converted = _good(convert("open_bowl.glb"))
    expected = 2 * np.pi * 0.1**2 * 0.0035 * 2400
    assert converted.result["mass"] == pytest.approx(expected, rel=0.01)
    # A hemispherical shell's centre lies half a radius below its rim.
    assert converted.report["center_of_mass_m"][2] == pytest.approx(0.05, abs=0.001)
    assert "open surface" in converted.part("Bowl")["method"]


def test_a_flat_sheet_has_a_physical_inertia(convert: Convert, facts: Facts) -> None:
    stated = facts(_good(convert("plane.glb")).usd)
    mass = 1.0 * 0.6 * 0.0012 * 7850
    assert stated["mass"] == pytest.approx(mass, rel=1e-4)
    i = sorted(stated["inertia"])
    assert i == pytest.approx([mass / 12 * 0.36, mass / 12, mass / 12 * 1.36], rel=1e-3)
    assert i[0] + i[1] >= i[2] * (1 - 1e-6)


def test_matter_in_matter_counts_once(convert: Convert) -> None:
    converted = _good(convert("nested_solids.glb"))
    assert converted.part("Inner")["mass_kg"] == pytest.approx(35 * 0.2**3, rel=1e-4)
    assert converted.part("Outer")["mass_kg"] == pytest.approx(2600 * (0.4**3 - 0.2**3), rel=1e-3)


def test_faces_that_look_inwards_do_no_harm(convert: Convert) -> None:
    converted = _good(convert("flipped_faces.glb"))
    assert converted.result["mass"] == pytest.approx(2600 * 0.2**3, rel=1e-5)
    assert converted.part("Block")["method"] == "volume of the closed surface"


def test_a_small_hole_is_filled(convert: Convert) -> None:
    converted = _good(convert("missing_face.glb"))
    assert converted.result["mass"] == pytest.approx(2600 * 0.4 * 0.4 * 0.3, rel=1e-5)


def test_an_object_lying_on_its_double_counts_once(convert: Convert) -> None:
    converted = _good(convert("doubled.glb"))
    assert converted.result["mass"] == pytest.approx(2600 * 0.2**3, rel=1e-5)
    assert any("Block again" in note or "“Block”" in note for note in converted.report["notes"])


def test_a_hollow_chair_is_not_36_kg(convert: Convert) -> None:
    converted = _good(convert("chair.glb"))
    assert 2.0 < converted.result["mass"] < 12.0
    seat = converted.part("Seat")
    assert seat["preset"] == "wood"
    assert seat["density_source"] == "name of the material"
    assert "hollow" in seat["method"]
    assert converted.part("Cushion")["mass_kg"] < 1.0
    parts = sum(part["mass_kg"] for part in converted.report["parts"])
    assert parts == pytest.approx(converted.result["mass"], rel=1e-6)


@pytest.mark.parametrize(
    ("model", "low", "high"),
    [("crate", 3.0, 10.0), ("mug", 0.15, 0.5), ("lamp", 0.3, 3.0), ("table", 10.0, 40.0)],
)
def test_other_things_weigh_what_they_do(
    convert: Convert, model: str, low: float, high: float
) -> None:
    assert low < _good(convert(f"{model}.glb")).result["mass"] < high


def test_walls_follow_the_material_of_each_face(convert: Convert) -> None:
    mass = _good(convert("several_materials.glb")).result["mass"]
    # Two faces of each: 18 mm oak, sheet steel, thin plastic.
    assert 1.5 < mass < 6.0


def test_given_masses_add_up(convert: Convert) -> None:
    converted = _good(convert("overrides.glb"))
    assert converted.result["mass"] == pytest.approx(8.0, rel=1e-6)
    assert converted.part("Alone")["mass_kg"] == pytest.approx(3.0, rel=1e-9)
    assert converted.part("Alone")["mass_source"] == "given"
    members = [converted.part(f"Member {number}")["mass_kg"] for number in (0, 1)]
    assert sum(members) == pytest.approx(5.0, rel=1e-9)
    assert members[1] / members[0] == pytest.approx(8.0, rel=1e-6)


def test_a_total_for_the_job_scales_everything(convert: Convert, facts: Facts) -> None:
    plain = facts(_good(convert("solid_cube.glb")).usd)
    heavy = facts(_good(convert("solid_cube.glb", overrides={"mass_kg": 12.5})).usd)
    assert heavy["mass"] == pytest.approx(12.5, rel=1e-7)
    factor = 12.5 / plain["mass"]
    assert heavy["inertia"] == pytest.approx([i * factor for i in plain["inertia"]], rel=1e-5)


def test_density_wall_and_material_can_be_given(convert: Convert) -> None:
    volume = 0.3 * 0.4 * 0.5
    dense = _good(convert("solid_cube.glb", overrides={"density": 500}))
    assert dense.result["mass"] == pytest.approx(500 * volume, rel=1e-5)
    thin = _good(convert("solid_cube.glb", overrides={"material": "steel", "wall_mm": 1}))
    area = 2 * (0.3 * 0.4 + 0.3 * 0.5 + 0.4 * 0.5)
    assert thin.result["mass"] == pytest.approx(7850 * area * 0.001, rel=1e-5)


def test_friction_of_the_material_is_the_artists(convert: Convert, facts: Facts) -> None:
    stated = facts(_good(convert("overrides.glb")).usd)
    values = list(stated["physics"].values())
    assert values == [pytest.approx([0.81, 0.71, 0.12])]
