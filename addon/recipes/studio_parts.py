# SPDX-License-Identifier: GPL-3.0-or-later
"""What the studio's scenes are made of: surfaces, materials, lights, the world around.

Lengths are in stage units; one unit is the size of the product, ``Stage.unit`` metres. A light's
power grows with the square of the unit, so that a product is as bright whatever its size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector

Color = tuple[float, float, float]
_INPUTS = {"specular_ior_level": "Specular IOR Level"}


@dataclass
class Stage:
    """A scene that is being built. ``spinner`` carries what turns with the product."""

    scene: Any
    unit: float
    reach: float  # the product's farthest point from the Z axis, in units
    height: float  # the product's height, in units
    spinner: Any
    products: Any = None  # the collection of what is photographed

    def only_products(self, light: Any) -> None:
        """Let a light shine on the products alone, so that the floor shows no glare of it."""
        light.light_linking.receiver_collection = self.products

    def link(self, item: Any, turning: bool = False) -> Any:
        """Put an object into the scene."""
        self.scene.collection.objects.link(item)
        if turning:
            item.parent = self.spinner
        return item

    def surface(
        self,
        name: str,
        points: np.ndarray | Sequence[Sequence[float]],
        faces: Sequence[Sequence[int]],
        material: Any,
        *,
        smooth: bool = False,
        turning: bool = False,
    ) -> Any:
        """A mesh of points in units."""
        data: Any = bpy.data.meshes.new(name)
        data.from_pydata((np.asarray(points, float) * self.unit).tolist(), [], list(faces))
        data.materials.append(material)
        if smooth:
            data.polygons.foreach_set("use_smooth", [True] * len(data.polygons))
        data.update()
        return self.link(bpy.data.objects.new(name, data), turning)

    def area(
        self,
        name: str,
        at: Sequence[float],
        to: Sequence[float],
        size: tuple[float, float],
        watts: float,
        color: Color = (1.0, 1.0, 1.0),
        spread: float = 180.0,
    ) -> Any:
        """A softbox at ``at`` that shines towards ``to``; ``watts`` for a product of one metre."""
        data: Any = bpy.data.lights.new(name, "AREA")
        data.shape = "RECTANGLE"
        data.size, data.size_y = size[0] * self.unit, size[1] * self.unit
        data.energy = watts * self.unit**2
        data.color = color
        data.spread = math.radians(spread)
        item: Any = bpy.data.objects.new(name, data)
        place, aim = Vector(at) * self.unit, Vector(to) * self.unit
        turn = (place - aim).to_track_quat("Z", "Y")
        item.matrix_world = Matrix.Translation(place) @ turn.to_matrix().to_4x4()
        return self.link(item)

    def sun(
        self, azimuth: float, elevation: float, strength: float, width: float, color: Color
    ) -> Any:
        """A sun in the direction (degrees as for cameras), ``width`` its size in degrees."""
        data: Any = bpy.data.lights.new("Sun", "SUN")
        data.energy, data.angle, data.color = strength, math.radians(width), color
        item: Any = bpy.data.objects.new("Sun", data)
        a, e = math.radians(azimuth), math.radians(elevation)
        back = Vector((math.sin(a) * math.cos(e), -math.cos(a) * math.cos(e), math.sin(e)))
        item.matrix_world = back.to_track_quat("Z", "Y").to_matrix().to_4x4()
        return self.link(item)


# -- materials -----------------------------------------------------------------------------------


def material(
    name: str, color: Color, roughness: float, metallic: float = 0.0, **more: Any
) -> tuple[Any, Any]:
    """A material with one Principled shader: (material, shader)."""
    made: Any = bpy.data.materials.new(name)
    if made.node_tree is None:
        made.use_nodes = True
    tree = made.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Metallic"].default_value = metallic
    for key, value in more.items():
        shader.inputs[_INPUTS[key]].default_value = value
    return made, shader


def noise(tree: Any, scale: float, detail: float = 4.0, coordinate: Any = None) -> Any:
    """A noise texture by object coordinates (metres); returns its value socket."""
    node = tree.nodes.new("ShaderNodeTexNoise")
    node.inputs["Scale"].default_value = scale
    node.inputs["Detail"].default_value = detail
    if coordinate is None:
        coordinate = tree.nodes.new("ShaderNodeTexCoord").outputs["Object"]
    tree.links.new(coordinate, node.inputs["Vector"])
    return node.outputs[0]


def ramp(tree: Any, value: Any, stops: Sequence[tuple[float, Color]]) -> Any:
    """Colors by a value; returns the color socket."""
    node = tree.nodes.new("ShaderNodeValToRGB")
    elements = node.color_ramp.elements
    while len(elements) < len(stops):
        elements.new(0.5)
    for element, (position, color) in zip(elements, stops, strict=True):
        element.position = position
        element.color = (*color, 1.0)
    tree.links.new(value, node.inputs["Fac"])
    return node.outputs["Color"]


def bump(tree: Any, shader: Any, height: Any, distance: float, strength: float = 1.0) -> None:
    """Make a surface uneven by ``distance`` metres."""
    node = tree.nodes.new("ShaderNodeBump")
    node.inputs["Distance"].default_value = distance
    node.inputs["Strength"].default_value = strength
    tree.links.new(height, node.inputs["Height"])
    tree.links.new(node.outputs["Normal"], shader.inputs["Normal"])


def world(scene: Any, color: Color, strength: float = 1.0) -> tuple[Any, Any]:
    """A plain world: (node tree, background node)."""
    made: Any = bpy.data.worlds.new("Studio")
    scene.world = made
    if made.node_tree is None:
        made.use_nodes = True
    tree = made.node_tree
    background = next((node for node in tree.nodes if node.type == "BACKGROUND"), None)
    if background is None:
        background = tree.nodes.new("ShaderNodeBackground")
        output = tree.nodes.new("ShaderNodeOutputWorld")
        tree.links.new(background.outputs[0], output.inputs["Surface"])
    background.inputs["Color"].default_value = (*color, 1.0)
    background.inputs["Strength"].default_value = strength
    return tree, background


# -- shapes --------------------------------------------------------------------------------------


def revolved(
    profile: Sequence[tuple[float, float]], steps: int = 96, span: tuple[float, float] = (0, 360)
) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """Points and faces of ``profile`` (radius, z) swung about Z. Angles as for cameras' azimuths,
    so 180 is behind the product; a whole turn is closed.
    """
    whole = span[1] - span[0] >= 360
    count = steps if whole else steps + 1
    angles = np.radians(span[0] + (span[1] - span[0]) * np.arange(count) / steps)
    radius, z = np.array(profile, float).T
    x = np.outer(np.sin(angles), radius)
    y = np.outer(-np.cos(angles), radius)
    points = np.stack([x, y, np.broadcast_to(z, x.shape)], axis=2).reshape(-1, 3)
    width = len(profile)
    faces: list[tuple[int, ...]] = []
    for step in range(steps):
        here, there = step * width, ((step + 1) % count) * width
        for ring in range(width - 1):
            faces.append((here + ring, there + ring, there + ring + 1, here + ring + 1))
    return points, faces


def cove(floor: float, bend: float, height: float) -> list[tuple[float, float]]:
    """The profile of a floor that becomes a wall without an edge."""
    corner = [
        (floor + bend * math.sin(a), bend * (1 - math.cos(a)))
        for a in np.linspace(0, math.pi / 2, 24)
    ]
    return [(0.001, 0.0), *corner, (floor + bend, height)]


def disc(radius: float, top: float, depth: float, ease: float) -> list[tuple[float, float]]:
    """The profile of a round plate with a soft edge, its upper side at ``top``."""
    edge = [
        (radius - ease + ease * math.sin(a), top - ease + ease * math.cos(a))
        for a in np.linspace(0, math.pi / 2, 6)
    ]
    return [(0.001, top), *edge, (radius, top - depth)]
