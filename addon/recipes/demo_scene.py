# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: builds the demo's scene, a few textured objects of several parts each.

    {"output": path of the .blend}  ->  {"path", "assets": [{"name", "objects": [names]}]}

Everything is made here, geometry and textures, so that the demo needs no files. It is an ordinary
scene: metres, materials with names, images packed into the .blend.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import bpy

from addon.recipes.demo_shapes import bands as striped
from addon.recipes.demo_shapes import box, checks, gather, lathe, material, metal, rod, wood

Progress = Callable[[float, str], None]


# -- the objects ---------------------------------------------------------------------------------


def _stool(x: float, oak: bpy.types.Material, walnut: bpy.types.Material) -> dict[str, Any]:
    seat = [(0, -0.016), (0.14, -0.016), (0.158, -0.008), (0.165, 0.004), (0.16, 0.014),
            (0.148, 0.017), (0.10, 0.012), (0, 0.009)]  # fmt: skip
    parts = [lathe("Stool seat", seat, (x, 0, 0.45), walnut)]
    lean = math.radians(9)
    for number in range(4):
        angle = math.pi / 4 + number * math.pi / 2
        outward = 0.118 + 0.218 * math.tan(lean)
        at = (x + outward * math.cos(angle), outward * math.sin(angle), 0.218)
        turn = (lean * math.sin(angle), -lean * math.cos(angle), 0.0)
        leg = [(0, -0.22), (0.011, -0.22), (0.013, -0.21), (0.018, 0.05), (0.016, 0.22), (0, 0.22)]
        parts.append(lathe(f"Stool leg {number + 1}", leg, at, oak, turn, 24))
    for number in range(4):
        angle = number * math.pi / 2
        z = 0.17 if number % 2 else 0.21
        reach = (0.118 + (0.436 - z) * math.tan(lean)) * math.cos(math.pi / 4)
        at = (x + reach * math.cos(angle), reach * math.sin(angle), z)
        turn = (math.pi / 2, 0.0, angle)
        profile = rod(0.009, 2 * reach)
        parts.append(lathe(f"Stool rung {number + 1}", profile, at, walnut, turn, 16))
    return gather("Stool", parts)


def _crate(x: float, pine: bpy.types.Material, steel: bpy.types.Material) -> dict[str, Any]:
    width, thick, board, gap = 0.42, 0.014, 0.09, 0.008
    parts = []
    floor = width - 2 * thick
    for number in range(4):
        y = (number - 1.5) * (board + gap)
        parts.append(box(f"Crate floor {number + 1}", (floor, board, thick), (x, y, 0.03), pine))
    for side in range(4):
        angle = side * math.pi / 2
        along = width if side % 2 else width - 2 * thick
        reach = (width - thick) / 2
        for level in range(3):
            z = 0.023 + board / 2 + level * (board + gap)
            at = (x + reach * math.cos(angle), reach * math.sin(angle), z)
            size = (thick, along, board)
            parts.append(box(f"Crate board {side + 1}{level + 1}", size, at, pine, (0, 0, angle)))
    for corner in range(4):
        angle = math.pi / 4 + corner * math.pi / 2
        reach = width / 2 - thick - 0.014
        cx = math.copysign(reach, math.cos(angle))
        cy = math.copysign(reach, math.sin(angle))
        parts.append(
            box(f"Crate post {corner + 1}", (0.028, 0.028, 0.28), (x + cx, cy, 0.18), pine)
        )
        out = width / 2 + 0.001
        for level, z in enumerate((0.068, 0.264)):
            plate = (0.05, 0.003, 0.04)
            ax = x + math.copysign(width / 2 - 0.026, cx)
            name = f"Crate plate {corner + 1}{level + 1}"
            parts.append(box(name, plate, (ax, math.copysign(out, cy), z), steel, bevel=0.001))
    return gather("Crate", parts)


def _robot(
    x: float, paint: bpy.types.Material, steel: bpy.types.Material, rubber: bpy.types.Material
) -> dict[str, Any]:
    parts = [box("Robot body", (0.20, 0.13, 0.20), (x, 0, 0.235), paint, bevel=0.018)]
    parts.append(box("Robot head", (0.15, 0.11, 0.11), (x, 0, 0.408), paint, bevel=0.016))
    parts.append(lathe("Robot neck", rod(0.03, 0.03, 0.002), (x, 0, 0.343), steel))
    for side in (-1, 1):
        word = "left" if side < 0 else "right"
        eye = [(0, -0.006), (0.022, -0.006), (0.024, 0), (0.014, 0.007), (0, 0.009)]
        turn = (math.pi / 2, 0, 0)
        parts.append(
            lathe(f"Robot eye {word}", eye, (x + side * 0.034, -0.058, 0.415), steel, turn)
        )
        arm = (x + side * 0.125, -0.02, 0.235)
        parts.append(
            box(f"Robot arm {word}", (0.036, 0.045, 0.16), arm, steel, (0.25, 0, 0), bevel=0.010)
        )
        hand = (x + side * 0.125, -0.048, 0.142)
        parts.append(
            lathe(f"Robot hand {word}", rod(0.028, 0.036, 0.008), hand, rubber, (0, math.pi / 2, 0))
        )
        for place, y in (("front", -0.045), ("back", 0.045)):
            at = (x + side * 0.088, y, 0.062)
            wheel = rod(0.062, 0.036, 0.010)
            parts.append(
                lathe(f"Robot wheel {place} {word}", wheel, at, rubber, (0, math.pi / 2, 0))
            )
    parts.append(box("Robot chassis", (0.13, 0.12, 0.07), (x, 0, 0.10), steel, bevel=0.008))
    parts.append(lathe("Robot aerial", rod(0.005, 0.10, 0.002), (x + 0.045, 0, 0.51), steel))
    parts.append(lathe("Robot knob", rod(0.014, 0.026, 0.008), (x + 0.045, 0, 0.563), rubber))
    return gather("Robot", parts)


def _vase(x: float, glaze: bpy.types.Material, cork: bpy.types.Material) -> dict[str, Any]:
    outer = [(0, 0), (0.055, 0), (0.060, 0.006), (0.088, 0.07), (0.098, 0.13), (0.088, 0.19),
             (0.055, 0.245), (0.042, 0.285), (0.046, 0.315), (0.055, 0.33)]  # fmt: skip
    inner = [(0.049, 0.329), (0.039, 0.314), (0.035, 0.285), (0.047, 0.245), (0.080, 0.19),
             (0.090, 0.13), (0.080, 0.07), (0.052, 0.013), (0, 0.010)]  # fmt: skip
    parts = [lathe("Vase", [*outer, *inner], (x, 0, 0), glaze)]
    plug = [(0, 0.292), (0.031, 0.292), (0.0345, 0.310), (0.034, 0.345), (0.030, 0.352), (0, 0.354)]
    parts.append(lathe("Vase stopper", plug, (x, 0, 0), cork, segments=32))
    return gather("Vase", parts)


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Build and save the scene; see the module's text."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.unit_settings.system = "METRIC"
    progress(0.1, "Painting textures")
    oak = material("Oak wood", wood((0.80, 0.60, 0.38), (0.50, 0.31, 0.15), 1), 0.45)
    walnut = material("Walnut wood", wood((0.44, 0.27, 0.16), (0.20, 0.11, 0.06), 2), 0.35)
    pine = material("Pine wood", wood((0.90, 0.74, 0.50), (0.70, 0.49, 0.26), 3), 0.6)
    steel = material("Brushed steel", metal((0.78, 0.79, 0.80), 4), 0.32, 1.0)
    rubber = material("Rubber", checks((0.05, 0.05, 0.055), (0.09, 0.09, 0.095), 16), 0.75)
    teal, cream, red = (0.10, 0.45, 0.50), (0.90, 0.85, 0.74), (0.78, 0.20, 0.13)
    paint = material("Plastic paint", checks(teal, (0.13, 0.50, 0.55), 8), 0.35)
    bands = striped([cream, red, cream, teal, cream], [0.22, 0.34, 0.48, 0.62])
    glaze = material("Ceramic glaze", bands, 0.15)
    cork = material("Cork", wood((0.76, 0.58, 0.38), (0.52, 0.36, 0.20), 5), 0.9)
    progress(0.5, "Building objects")
    assets = [
        _stool(-0.75, oak, walnut),
        _crate(-0.15, pine, steel),
        _robot(0.40, paint, steel, rubber),
        _vase(0.80, glaze, cork),
    ]
    bpy.context.view_layer.update()
    progress(0.9, "Saving")
    bpy.context.preferences.filepaths.save_version = 0
    bpy.ops.wm.save_as_mainfile(filepath=params["output"], compress=True)
    return {"path": params["output"], "assets": assets}
