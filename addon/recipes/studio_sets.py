# SPDX-License-Identifier: GPL-3.0-or-later
"""The studio's four scenes, built around a product that stands at the origin, its front to -Y.

Lengths are in units of the product's size; see ``studio_parts``. Everything is made by code and is
the same each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from addon.recipes.studio_parts import (
    Stage,
    bump,
    cove,
    disc,
    material,
    noise,
    ramp,
    revolved,
    world,
)  # fmt: skip

_VIEWS = {
    "studio": ("Khronos PBR Neutral", "None", 0.0),
    "outdoor": ("AgX", "AgX - Medium High Contrast", 0.0),
    "dark": ("AgX", "AgX - Medium High Contrast", 0.0),
    "turntable": ("Khronos PBR Neutral", "None", 0.0),
}


def build(key: str, stage: Stage) -> None:
    """Build the scene of template ``key`` and set how it is shown."""
    _BUILDERS[key](stage)
    transform, look, exposure = _VIEWS[key]
    view = stage.scene.view_settings
    for attribute, value in (("view_transform", transform), ("look", look)):
        try:
            setattr(view, attribute, value)
        except TypeError:  # an own color configuration has others
            continue
    view.exposure, view.gamma = exposure, 1.0


def plate(reach: float) -> float:
    """The radius of the turntable under a product that reaches so far from the axis."""
    return 1.12 * reach + 0.06


def _studio(stage: Stage) -> None:
    """A white cove; a big soft key from the left, a fill, a light from above, a lit background."""
    world(stage.scene, (0.86, 0.87, 0.89), 0.55)
    paper, _ = material("Paper", (0.83, 0.83, 0.825), 0.75)
    profile = cove(4.2, 2.2, 9.0)
    points, faces = revolved(profile[1:], 72, (50, 310))
    stage.surface("Cove", points, faces, paper, smooth=True)
    points, faces = revolved(profile[:2], 72)
    stage.surface("Floor", points, faces, paper)
    points, faces = revolved([(4.0, -0.002), (30, -0.002)], 72)
    stage.surface("Before the cove", points, faces, paper)
    middle = (0, 0, 0.45 * stage.height)
    stage.area("Key", (-2.5, -1.7, 2.6), middle, (1.5, 1.5), 72, (1.0, 0.97, 0.94))
    stage.area("Fill", (3.2, -1.8, 1.2), middle, (1.4, 2.2), 10, (0.94, 0.97, 1.0))
    stage.area("Top", (0.2, 0.5, 3.4), (0, 0.1, 0), (2.4, 1.8), 34)
    stage.area("Edge", (2.3, 2.2, 1.7), middle, (0.6, 1.8), 12, spread=60)
    stage.area("Background", (0, 1.2, 5.2), (0, 6.2, 0.8), (7.0, 3.0), 150)


def _dark(stage: Stage) -> None:
    """A dark floor that mirrors softly, a glow behind, two rims, a little light in front."""
    world(stage.scene, (0.03, 0.034, 0.042), 0.35)
    floor, _ = material("Dark floor", (0.024, 0.024, 0.027), 0.3, specular_ior_level=0.35)
    points, faces = revolved([(0.001, 0), (3.2, 0)], 72)
    stage.surface("Floor", points, faces, floor)
    points, faces = revolved([(3.1, -0.002), (30, -0.002)], 72)
    stage.surface("Before the cove", points, faces, floor)
    wall, shader = material("Backdrop", (0.02, 0.021, 0.024), 0.95, specular_ior_level=0.0)
    tree = wall.node_tree
    place = tree.nodes.new("ShaderNodeSeparateXYZ")
    tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["Object"], place.inputs[0])
    height = tree.nodes.new("ShaderNodeMath")
    height.operation = "DIVIDE"
    tree.links.new(place.outputs["Z"], height.inputs[0])
    height.inputs[1].default_value = 4.0 * stage.unit
    glow = ramp(
        tree,
        height.outputs[0],
        [
            (0.0, (0.005, 0.006, 0.008)),
            (0.10, (0.042, 0.052, 0.074)),
            (0.22, (0.050, 0.063, 0.092)),
            (0.62, (0.006, 0.007, 0.011)),
        ],
    )
    tree.links.new(glow, shader.inputs["Emission Color"])
    shader.inputs["Emission Strength"].default_value = 1.0
    if hasattr(wall, "cycles"):
        wall.cycles.emission_sampling = "NONE"  # too faint to be worth a ray
    points, faces = revolved(cove(3.2, 1.8, 14.0)[1:], 72, (65, 295))
    stage.surface("Backdrop", points, faces, wall, smooth=True)
    middle = (0, 0, 0.55 * stage.height)
    for name, side, watts, color in (
        ("Rim warm", -1, 90, (1.0, 0.76, 0.5)),
        ("Rim cool", 1, 82, (0.62, 0.78, 1.0)),
    ):
        at = (1.8 * side, 1.3, 1.3)
        stage.only_products(stage.area(name, at, middle, (0.5, 1.8), watts, color))
    stage.area("Top", (0, 0.2, 2.8), middle, (1.4, 1.0), 34, (1.0, 0.96, 0.92), 110)
    stage.area("Front", (-1.9, -2.7, 2.0), middle, (1.2, 1.2), 42, (1.0, 0.94, 0.88), 90)


def _turntable(stage: Stage) -> None:
    """A round plate that turns, in an even gray room."""
    world(stage.scene, (0.6, 0.61, 0.63), 0.55)
    paper, _ = material("Gray paper", (0.42, 0.425, 0.435), 0.8, specular_ior_level=0.1)
    points, faces = revolved(cove(4.4, 2.4, 9.0), 72, (0, 360))
    points[:, 2] -= 0.07
    stage.surface("Room", points, faces, paper, smooth=True)
    white, _ = material("Plate", (0.80, 0.80, 0.79), 0.35)
    radius = plate(stage.reach)
    points, faces = revolved(disc(radius, 0.0, 0.05, 0.012), 128)
    stage.surface("Plate", points, faces, white, smooth=True, turning=True)
    ring, _ = material("Ring", (0.10, 0.10, 0.105), 0.4)
    points, faces = revolved([(radius - 0.02, -0.045), (radius - 0.02, -0.07)], 128)
    stage.surface("Gap", points, faces, ring, smooth=True)
    # Marks along the rim let the turning be seen under a round product.
    marks: list[np.ndarray] = []
    mark_faces: list[tuple[int, ...]] = []
    for number in range(24):
        angle = 2 * math.pi * number / 24
        along = np.array([math.sin(angle), -math.cos(angle), 0])
        side = np.array([math.cos(angle), math.sin(angle), 0])
        wide = 0.006 if number % 6 else 0.012
        near, far = radius - (0.05 if number % 6 else 0.07), radius - 0.022
        start = len(marks)
        for out, turn in ((near, -1), (near, 1), (far, 1), (far, -1)):
            marks.append(along * out + side * turn * wide / 2 + np.array([0, 0, 0.0008]))
        mark_faces.append(tuple(range(start, start + 4)))
    stage.surface("Marks", np.array(marks), mark_faces, ring, turning=True)
    middle = (0, 0, 0.45 * stage.height)
    stage.area("Key", (-2.4, -2.0, 2.5), middle, (1.5, 1.5), 84, (1.0, 0.975, 0.95))
    stage.area("Fill", (3.0, -1.6, 1.5), middle, (1.6, 2.2), 16)
    stage.area("Top", (0, 0.4, 3.2), (0, 0.1, 0), (2.4, 2.4), 46)
    stage.area("Edge", (1.9, 2.4, 1.8), middle, (0.6, 1.8), 20, spread=60)
    stage.area("Background", (0, 0.6, 5.6), (0, 6.5, 0.6), (7.0, 3.0), 170)


def _outdoor(stage: Stage) -> None:
    """A stone terrace in the late afternoon, grass, bushes and hills behind."""
    tree, background = world(stage.scene, (1, 1, 1), 1.0)
    coordinate = tree.nodes.new("ShaderNodeTexCoord").outputs["Generated"]
    split = tree.nodes.new("ShaderNodeSeparateXYZ")
    tree.links.new(coordinate, split.inputs[0])
    sky = ramp(
        tree,
        split.outputs["Z"],
        [
            (0.0, (0.95, 0.86, 0.72)),
            (0.06, (0.80, 0.84, 0.86)),
            (0.25, (0.38, 0.58, 0.86)),
            (0.8, (0.16, 0.34, 0.70)),
        ],
    )
    tree.links.new(sky, background.inputs["Color"])
    background.inputs["Strength"].default_value = 0.8
    stage.sun(-48, 38, 5.0, 1.5, (1.0, 0.85, 0.66))
    _terrace(stage)
    _meadow(stage)


def _terrace(stage: Stage) -> None:
    """Slabs with joints; each a little different."""
    stone, shader = material("Stone", (0.5, 0.46, 0.4), 0.8)
    tree = stone.node_tree
    coordinate = tree.nodes.new("ShaderNodeTexCoord").outputs["Object"]
    brick = tree.nodes.new("ShaderNodeTexBrick")
    tree.links.new(coordinate, brick.inputs["Vector"])
    for name, value in (
        ("Scale", 1.0 / stage.unit), ("Mortar Size", 0.008), ("Mortar Smooth", 0.3),
        ("Brick Width", 1.3), ("Row Height", 0.8), ("Bias", 0.0),
        ("Color1", (0.50, 0.42, 0.33, 1)), ("Color2", (0.40, 0.335, 0.265, 1)),
        ("Mortar", (0.13, 0.115, 0.09, 1)),
    ):  # fmt: skip
        brick.inputs[name].default_value = value
    spots = ramp(
        tree,
        noise(tree, 5.0 / stage.unit, 8.0, coordinate),
        [(0.3, (0.72, 0.70, 0.68)), (0.7, (1.0, 1.0, 1.0))],
    )
    mix = tree.nodes.new("ShaderNodeMix")
    mix.data_type, mix.blend_type = "RGBA", "MULTIPLY"
    sockets = [socket for socket in mix.inputs if socket.type == "RGBA"]
    mix.inputs[0].default_value = 1.0
    tree.links.new(brick.outputs["Color"], sockets[0])
    tree.links.new(spots, sockets[1])
    color = next(socket for socket in mix.outputs if socket.type == "RGBA")
    tree.links.new(color, shader.inputs["Base Color"])
    fine = noise(tree, 24.0 / stage.unit, 6.0, coordinate)
    height = tree.nodes.new("ShaderNodeMath")
    height.operation = "MULTIPLY_ADD"
    tree.links.new(brick.outputs["Fac"], height.inputs[0])
    height.inputs[1].default_value = -1.0
    tree.links.new(fine, height.inputs[2])
    bump(tree, shader, height.outputs[0], 0.006 * stage.unit, 0.7)
    wide, back, front, deep = 5.0, 2.4, 9.0, 0.12
    top = [(-wide, -front, 0), (wide, -front, 0), (wide, back, 0), (-wide, back, 0)]
    low = [(x, y, -deep) for x, y, _ in top]
    sides = [(n, (n + 1) % 4, 4 + (n + 1) % 4, 4 + n) for n in range(4)]
    stage.surface("Terrace", [*top, *low], [(0, 1, 2, 3), *(face[::-1] for face in sides)], stone)


def _meadow(stage: Stage) -> None:
    grass, shader = material("Grass", (0.12, 0.2, 0.05), 0.9)
    tree = grass.node_tree
    tone = ramp(
        tree,
        noise(tree, 0.9 / stage.unit, 8.0),
        [(0.3, (0.055, 0.115, 0.022)), (0.55, (0.14, 0.21, 0.05)), (0.75, (0.27, 0.27, 0.10))],
    )
    tree.links.new(tone, shader.inputs["Base Color"])
    points, faces = revolved([(0.001, -0.1), (6, -0.1), (20, -0.1), (120, -0.1)], 48)
    stage.surface("Meadow", points, faces, grass)
    rng = np.random.default_rng(7)
    leaves, shader = material("Leaves", (0.06, 0.13, 0.025), 0.8)
    tree = leaves.node_tree
    tone = ramp(
        tree,
        noise(tree, 5.0 / stage.unit, 8.0),
        [(0.3, (0.025, 0.06, 0.012)), (0.55, (0.09, 0.16, 0.03)), (0.75, (0.26, 0.28, 0.07))],
    )
    tree.links.new(tone, shader.inputs["Base Color"])
    bump(tree, shader, noise(tree, 14.0 / stage.unit, 5.0), 0.2 * stage.unit)
    for number in range(34):
        angle = 180 + (number - 16.5) * 6.2 + rng.uniform(-3, 3)
        far = rng.uniform(8.0, 16.0)
        wide = rng.uniform(1.0, 2.2) * far / 12
        _bush(stage, rng, angle, far, wide, wide * rng.uniform(0.8, 1.6), leaves)
    for number, (far, high, color) in enumerate(
        (
            (38.0, 4.2, (0.12, 0.17, 0.075)),
            (60.0, 9.5, (0.20, 0.26, 0.23)),
            (95.0, 18.0, (0.36, 0.42, 0.47)),
        )
    ):
        _hills(stage, rng, far, high, material(f"Hills {number + 1}", color, 1.0)[0])


def _bush(
    stage: Stage, rng: Any, angle: float, far: float, wide: float, high: float, leaves: Any
) -> None:
    """A crown of leaves, lobed and rough."""
    points, faces = revolved([(math.sin(a), -math.cos(a)) for a in np.linspace(0.02, 3.12, 56)], 96)
    bulge = np.ones(len(points))
    for wave in (2.5, 4.0, 6.5, 11.0, 19.0, 31.0):
        for _ in range(3):
            along = rng.standard_normal(3)
            along *= wave / np.linalg.norm(along)
            bulge += 0.20 / wave**0.72 * np.sin(points @ along + rng.uniform(0, 6.28))
    points = points * bulge[:, None] * np.array([wide, wide, high]) * 0.6
    a = math.radians(angle)
    points += np.array([far * math.sin(a), -far * math.cos(a), 0.38 * high])
    stage.surface("Bush", points, faces, leaves, smooth=True)


def _hills(stage: Stage, rng: Any, far: float, high: float, paint: Any) -> None:
    """A ridge all around."""
    steps = 180
    angles = np.linspace(0, 2 * math.pi, steps, endpoint=False)
    ridge = np.zeros(steps)
    for wave in range(2, 14):
        ridge += np.sin(wave * angles + rng.uniform(0, 6.28)) / wave
    ridge = high * (0.55 + 0.4 * ridge / np.abs(ridge).max())
    low = np.stack([far * np.sin(angles), -far * np.cos(angles), np.full(steps, -1.0)], axis=1)
    top = low * np.array([1.12, 1.12, 1.0])
    top[:, 2] = ridge
    faces = [(n, (n + 1) % steps, steps + (n + 1) % steps, steps + n) for n in range(steps)]
    stage.surface("Hills", np.concatenate([low, top]), faces, paint, smooth=True)


_BUILDERS: dict[str, Callable[[Stage], None]] = {
    "studio": _studio,
    "outdoor": _outdoor,
    "dark": _dark,
    "turntable": _turntable,
}
