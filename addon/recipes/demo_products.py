# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: builds the demo's three products, each a GLB with textures and material variants.

    {"output": folder}
    ->  {"products": [{"name", "path", "variants": [names]}]}

A table lamp, a chair and a vase with branches. Everything is made here, geometry and textures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import addon_utils
import bpy
import numpy as np

from addon.recipes.demo_shapes import gather, lathe, material, mix, noise, wood

Progress = Callable[[float, str], None]
_SIZE = 512
Color = tuple[float, float, float]


# -- materials -----------------------------------------------------------------------------------


def _plain(name: str, color: Color, roughness: float, metallic: float = 0.0) -> Any:
    return material(name, np.zeros((_SIZE, _SIZE, 3)) + np.asarray(color), roughness, metallic)


def _speckled(name: str, color: Color, dots: Color, roughness: float, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    cloud = noise(rng, (6, 6))
    picture = mix(np.asarray(color) * 0.93, color, cloud)
    fine = noise(rng, (128, 128))
    picture = np.where((fine > 0.86)[..., None], np.asarray(dots), picture)
    return material(name, picture, roughness)


def _fabric(name: str, light: Color, dark: Color, seed: int) -> Any:
    """A woven cloth: threads over and under, with a normal map."""
    rng = np.random.default_rng(seed)
    count = 64
    row, column = np.mgrid[0:_SIZE, 0:_SIZE] * count / _SIZE
    warp = np.abs(np.sin(math.pi * row))
    weft = np.abs(np.sin(math.pi * column))
    over = (np.floor(row) + np.floor(column)) % 2
    height = np.where(over > 0, warp * (0.6 + 0.4 * weft), weft * (0.6 + 0.4 * warp))
    tone = 0.55 * height + 0.45 * noise(rng, (96, 96))
    made = material(name, mix(dark, light, tone), 0.92)
    _uneven(made, height, 0.9)
    return made


def _uneven(made: Any, height: np.ndarray, strength: float) -> None:
    """Give a material a normal map of ``height`` (rows, columns), which repeats at the edges."""
    dx = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) * strength
    dy = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) * strength
    normal = np.stack([-dx, -dy, np.ones_like(dx)], axis=2)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    pixels = np.ones((_SIZE, _SIZE, 4), dtype=np.float32)
    pixels[..., :3] = 0.5 + 0.5 * normal
    image: Any = bpy.data.images.new(f"{made.name} normal", _SIZE, _SIZE)
    image.colorspace_settings.name = "Non-Color"
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    tree = made.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    bend = tree.nodes.new("ShaderNodeNormalMap")
    tree.links.new(texture.outputs["Color"], bend.inputs["Color"])
    tree.links.new(bend.outputs["Normal"], shader.inputs["Normal"])


def _glowing(name: str, color: Color, strength: float) -> Any:
    made = _plain(name, (1.0, 0.95, 0.88), 0.5)
    shader = next(n for n in made.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
    shader.inputs["Emission Color"].default_value = (*color, 1.0)
    shader.inputs["Emission Strength"].default_value = strength
    return made


# -- shapes --------------------------------------------------------------------------------------


def _loft(
    name: str,
    rings: Sequence[np.ndarray],
    made: Any,
    *,
    repeat: tuple[float, float] = (1.0, 1.0),
    flat: bool = False,
    along: bool = False,
) -> Any:
    """A skin over closed rings (n, 3) of equally many points, closed at both ends.

    UV: u around, v along, or the other way round with ``along``; ``flat``: seen from above, in
    metres times ``repeat``.
    """
    count = len(rings[0])
    points = np.concatenate([rings[0].mean(axis=0)[None], *rings, rings[-1].mean(axis=0)[None]])
    faces: list[tuple[int, ...]] = []
    for ring in range(len(rings) - 1):
        low, high = 1 + ring * count, 1 + (ring + 1) * count
        for step in range(count):
            after = (step + 1) % count
            faces.append((low + step, low + after, high + after, high + step))
    last = len(points) - 1
    for step in range(count):
        after = (step + 1) % count
        faces.append((0, 1 + after, 1 + step))
        faces.append((last, last - count + step, last - count + after))
    data: Any = bpy.data.meshes.new(name)
    data.from_pydata(points.tolist(), [], faces)
    layer = data.uv_layers.new(name="UVMap")
    for polygon in data.polygons:
        for corner, vertex in zip(polygon.loop_indices, polygon.vertices, strict=True):
            if flat:
                place = points[vertex][:2] * np.asarray(repeat)
            else:
                ring, step = divmod(max(0, min(vertex, last - 1) - 1), count)
                # The seam's second side is a whole turn on.
                steps = [(v - 1) % count for v in polygon.vertices]
                around = step + (count if step == 0 and count - 1 in steps else 0)
                place = (repeat[0] * around / count, repeat[1] * ring / max(1, len(rings) - 1))
                place = place[::-1] if along else place
            layer.data[corner].uv = [float(value) for value in place]
    data.polygons.foreach_set("use_smooth", [True] * len(data.polygons))
    data.materials.append(made)
    data.update()
    item: Any = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(item)
    return item


def _tube(name: str, path: np.ndarray, radii: np.ndarray, made: Any, count: int = 20) -> Any:
    """A round bar along ``path`` (n, 3), its radius at each point given; the ends are rounded."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    helper = np.array([0.0, 1.0, 0.0]) if abs(along[0][1]) < 0.8 else np.array([1.0, 0.0, 0.0])
    turn = 2 * math.pi * np.arange(count) / count
    rings = []
    for place, radius, direction in zip(path, radii, along, strict=True):
        side = np.cross(direction, helper)
        side /= np.linalg.norm(side)
        other = np.cross(direction, side)
        rings.append(
            place + radius * (np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * other)
        )
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    return _loft(name, rings, made, repeat=(0.12, 1.6 * length), along=True)


def _rounded(half: tuple[float, float], power: float, count: int) -> np.ndarray:
    """A rectangle with round corners (a superellipse), (count, 2)."""
    turn = 2 * math.pi * np.arange(count) / count
    c, s = np.cos(turn), np.sin(turn)
    x = half[0] * np.sign(c) * np.abs(c) ** (2 / power)
    y = half[1] * np.sign(s) * np.abs(s) ** (2 / power)
    return np.stack([x, y], axis=1)


# -- the products --------------------------------------------------------------------------------


def _lamp() -> tuple[Any, dict[str, dict[str, Any]]]:
    """A table lamp: a turned foot, a thin stem, a dome with a light in it."""
    brass = _plain("Brass", (0.86, 0.73, 0.52), 0.26, 1.0)
    inner = _plain("Shade inside", (0.96, 0.94, 0.90), 0.6)
    bulb = _glowing("Light", (1.0, 0.72, 0.42), 14.0)
    enamel = {
        "Sage": _plain("Enamel sage", (0.47, 0.56, 0.47), 0.32),
        "Clay": _plain("Enamel clay", (0.76, 0.40, 0.27), 0.32),
        "Ink": _plain("Enamel ink", (0.12, 0.17, 0.27), 0.32),
    }
    first = enamel["Sage"]
    foot = [(0, 0), (0.088, 0), (0.092, 0.003), (0.092, 0.010), (0.089, 0.015), (0.074, 0.021),
            (0.046, 0.029), (0.024, 0.042), (0.0135, 0.066), (0.0095, 0.11), (0.0085, 0.20),
            (0.0085, 0.335), (0.013, 0.345), (0.013, 0.352), (0, 0.353)]  # fmt: skip
    dome: list[tuple[float, float]] = [(0.150, 0.250)]
    dome += [(0.150 * math.cos(a), 0.258 + 0.128 * math.sin(a)) for a in np.linspace(0.0, 1.5, 26)]
    dome += [(0, 0.386)]
    under: list[tuple[float, float]] = [(0, 0.381)]
    under += [
        (0.1465 * math.cos(a), 0.258 + 0.1235 * math.sin(a)) for a in np.linspace(1.5, 0.0, 26)
    ]
    under += [(0.1465, 0.250)]
    knob = [(0, 0.384), (0.010, 0.384), (0.010, 0.388), (0.006, 0.393), (0.0085, 0.400),
            (0.0075, 0.407), (0, 0.410)]  # fmt: skip
    ball = [(0.034 * math.cos(a), 0.292 + 0.034 * math.sin(a)) for a in np.linspace(-1.5, 1.5, 20)]
    rim = [(0.1455, 0.2495), (0.1505, 0.2485), (0.1515, 0.2505), (0.1505, 0.2525),
           (0.1455, 0.2515)]  # fmt: skip
    parts = [
        lathe("Lamp", foot, (0, 0, 0), brass, segments=96),
        lathe("Lamp shade", dome, (0, 0, 0), first, segments=128),
        lathe("Lamp shade inside", under, (0, 0, 0), inner, segments=128),
        lathe("Lamp rim", rim, (0, 0, 0), brass, segments=128),
        lathe("Lamp knob", knob, (0, 0, 0), brass, segments=48),
        lathe("Lamp light", [(0, 0.258), *ball, (0, 0.326)], (0, 0, 0), bulb, segments=48),
    ]
    gather("Lamp", parts)
    return parts, {name: {"Enamel sage": made} for name, made in enamel.items()}


def _chair() -> tuple[Any, dict[str, dict[str, Any]]]:
    """A dining chair: tapered legs, an upholstered seat, a bent back."""
    oak = material("Oak", wood((0.80, 0.62, 0.42), (0.62, 0.43, 0.25), 11), 0.42)
    walnut = material("Walnut", wood((0.42, 0.27, 0.17), (0.24, 0.14, 0.085), 12), 0.36)
    ash = material("Black ash", wood((0.085, 0.08, 0.078), (0.04, 0.038, 0.037), 13), 0.4)
    sand = _fabric("Cloth sand", (0.80, 0.74, 0.64), (0.60, 0.53, 0.44), 14)
    green = _fabric("Cloth green", (0.34, 0.42, 0.33), (0.20, 0.27, 0.20), 15)
    rust = _fabric("Cloth rust", (0.72, 0.38, 0.24), (0.50, 0.23, 0.14), 16)
    parts = [_seat(sand), _frame_of_seat(oak)]
    t = np.linspace(0, 1, 24)[:, None]
    for side in (-1, 1):
        word = "left" if side < 0 else "right"
        low, high = np.array([side * 0.225, -0.215, 0]), np.array([side * 0.185, -0.175, 0.43])
        front = np.concatenate([low + (high - low) * t])
        radii = np.interp(t[:, 0], [0, 0.02, 0.8, 1], [0.0085, 0.0105, 0.0185, 0.018])
        parts.append(_tube(f"Chair leg front {word}", front, radii, oak))
        curve = np.array(
            [(side * 0.215, 0.265, 0.0), (side * 0.19, 0.19, 0.42), (side * 0.2, 0.275, 0.80)]
        )
        back = (1 - t) ** 2 * curve[0] + 2 * t * (1 - t) * curve[1] + t**2 * curve[2]
        radii = np.interp(t[:, 0], [0, 0.02, 0.5, 0.97, 1], [0.0085, 0.0105, 0.0185, 0.0115, 0.008])
        parts.append(_tube(f"Chair leg back {word}", back, radii, oak))
    parts.append(_back(sand))
    gather("Chair", parts)
    variants = {
        "Oak": {"Oak": oak, "Cloth sand": sand},
        "Walnut": {"Oak": walnut, "Cloth sand": green},
        "Black Ash": {"Oak": ash, "Cloth sand": rust},
    }
    return parts, variants


def _seat(cloth: Any) -> Any:
    """A cushion, a little hollow in the middle."""
    rings = []
    for share, z in (
        (0.30, 0.434), (0.90, 0.434), (0.965, 0.437), (0.995, 0.446), (1.0, 0.456), (0.985, 0.467),
        (0.945, 0.4755), (0.88, 0.4805), (0.78, 0.4815), (0.6, 0.479), (0.4, 0.476), (0.2, 0.474),
        (0.05, 0.4735),
    ):  # fmt: skip
        outline = _rounded((0.225 * share, 0.215 * share), 3.6, 96)
        outline[:, 0] *= 1 - 0.1 * (outline[:, 1] + 0.2)  # narrower behind
        rings.append(np.column_stack([outline, np.full(96, z)]))
    return _loft("Chair", rings, cloth, repeat=(4.0, 4.0), flat=True)


def _frame_of_seat(made: Any) -> Any:
    rings = []
    for share, z in ((0.2, 0.402), (0.855, 0.402), (0.87, 0.405), (0.87, 0.433), (0.2, 0.434)):
        outline = _rounded((0.225 * share, 0.215 * share), 4.5, 96)
        outline[:, 0] *= 1 - 0.1 * (outline[:, 1] + 0.2)
        rings.append(np.column_stack([outline, np.full(96, z)]))
    return _loft("Chair frame", rings, made, repeat=(6.0, 0.4))


def _back(cloth: Any) -> Any:
    """A bent, padded board between the back legs; its sections run from left to right."""
    rings = []
    for step in np.linspace(-1, 1, 49):
        angle = step * 0.62
        size = max(0.0, 1 - abs(step) ** 9) ** 0.5
        half = (0.017 * (0.25 + 0.75 * size), 0.085 * (0.45 + 0.55 * size))
        section = _rounded(half, 2.6, 40)
        radius = 0.40 + section[:, 0]
        lean = 0.20 * section[:, 1]
        x = radius * math.sin(angle)
        y = -0.145 + radius * math.cos(angle) + lean
        rings.append(np.column_stack([x, y, 0.715 + section[:, 1]]))
    return _loft("Chair back", rings, cloth, repeat=(1.6, 2.0))


def _vase() -> tuple[Any, dict[str, dict[str, Any]]]:
    """A fluted vase with a twist, and branches in it."""
    glaze = {
        "Celadon": _speckled("Glaze celadon", (0.66, 0.76, 0.69), (0.50, 0.60, 0.53), 0.18, 21),
        "Cobalt": _speckled("Glaze cobalt", (0.10, 0.20, 0.47), (0.05, 0.10, 0.30), 0.14, 22),
        "Sand": _speckled("Glaze sand", (0.85, 0.78, 0.68), (0.55, 0.44, 0.34), 0.45, 23),
    }
    first = glaze["Celadon"]
    heights = [0, 0.004, 0.03, 0.07, 0.11, 0.15, 0.19, 0.225, 0.25, 0.268, 0.28]
    widths = [0.048, 0.052, 0.068, 0.083, 0.0895, 0.086, 0.072, 0.053, 0.042, 0.041, 0.047]
    fine = np.linspace(0, 0.28, 90)
    smooth = _spline(np.array(heights), np.array(widths), fine)
    count = 192
    turn = 2 * math.pi * np.arange(count) / count
    rings = []
    for z, width in zip(fine, smooth, strict=True):
        deep = 0.045 * math.sin(math.pi * min(1.0, max(0.0, (z - 0.004) / 0.268))) ** 0.6
        flutes = 1 + deep * (np.abs(np.cos(9 * (turn + 5.2 * z))) - 0.64)
        rings.append(
            np.column_stack(
                [width * flutes * np.cos(turn), width * flutes * np.sin(turn), np.full(count, z)]
            )
        )
    circle = np.column_stack([np.cos(turn), np.sin(turn)])
    for z, inset in ((0.2815, 0.0016), (0.2805, 0.0036), (0.262, 0.005), (0.22, 0.006)):
        width = float(_spline(np.array(heights), np.array(widths), np.array([min(z, 0.28)]))[0])
        rings.append(np.column_stack([circle * (width - inset), np.full(count, z)]))
    rings.append(np.column_stack([circle * 0.02, np.full(count, 0.2)]))
    parts = [_loft("Vase", rings, first, repeat=(3.0, 2.0))]
    parts += _branches()
    gather("Vase", parts)
    return parts, {name: {"Glaze celadon": made} for name, made in glaze.items()}


def _spline(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A smooth curve through points."""
    slope = np.gradient(y, x)
    index = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    width = x[index + 1] - x[index]
    t = (at - x[index]) / width
    return np.asarray(
        (2 * t**3 - 3 * t**2 + 1) * y[index]
        + (t**3 - 2 * t**2 + t) * width * slope[index]
        + (3 * t**2 - 2 * t**3) * y[index + 1]
        + (t**3 - t**2) * width * slope[index + 1]
    )


def _branches() -> list[Any]:
    """Eucalyptus: thin stems, round leaves in pairs."""
    rng = np.random.default_rng(31)
    twig = _plain("Twig", (0.42, 0.33, 0.25), 0.8)
    leaf = material("Leaf", mix((0.34, 0.45, 0.38), (0.50, 0.60, 0.50), noise(rng, (12, 12))), 0.55)
    parts = []
    t = np.linspace(0, 1, 20)[:, None]
    for number, (angle, lean, length) in enumerate(
        ((0.3, 0.17, 0.33), (1.7, 0.13, 0.42), (2.8, 0.20, 0.30), (4.0, 0.10, 0.37),
         (5.2, 0.19, 0.36)), 1
    ):  # fmt: skip
        out = np.array([math.cos(angle), math.sin(angle), 0.0])
        start = out * 0.012 + np.array([0, 0, 0.19])
        middle = out * lean * 0.28 + np.array([0, 0, 0.19 + 0.62 * length])
        end = out * lean + np.array([0, 0, 0.17 + length])
        path = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
        radii = np.linspace(0.0026, 0.0010, 20)
        parts.append(_tube(f"Vase stem {number}", path, radii, twig, 8))
        parts.append(_leaves(f"Vase leaves {number}", path, leaf, rng))
    return parts


def _leaves(name: str, path: np.ndarray, made: Any, rng: np.random.Generator) -> Any:
    """All leaves of one stem as one mesh."""
    points: list[np.ndarray] = []
    faces: list[tuple[int, ...]] = []
    rings, steps = 4, 14
    turn = 2 * math.pi * np.arange(steps) / steps
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    uvs: list[tuple[float, float]] = []
    for pair, index in enumerate(range(8, 20, 1)):
        direction = along[index]
        side = np.cross(direction, [0.3, 0.5, 0.2])
        side /= np.linalg.norm(side)
        other = np.cross(direction, side)
        size = (0.021 - 0.0105 * (index - 8) / 12) * rng.uniform(0.85, 1.12)
        for half in (0, 1):
            around = pair * 1.25 + half * math.pi + rng.uniform(-0.3, 0.3)
            out = side * math.cos(around) + other * math.sin(around)
            out = out * 0.9 + direction * rng.uniform(0.25, 0.6)
            out /= np.linalg.norm(out)
            wide = np.cross(out, direction)
            wide /= np.linalg.norm(wide)
            up = np.cross(wide, out)
            base = len(points)
            middle = path[index] + out * size * 1.05
            points.append(middle - up * size * 0.16)
            uvs.append((0.5, 0.5))
            for ring in range(1, rings + 1):
                r = ring / rings
                for angle in turn:
                    a, b = r * math.cos(angle), r * math.sin(angle)
                    cup = -0.16 + 0.22 * r * r + 0.05 * a * b
                    points.append(middle + size * (out * a + wide * b * 0.86 + up * cup))
                    uvs.append((0.5 + 0.5 * a, 0.5 + 0.5 * b))
            for step in range(steps):
                after = (step + 1) % steps
                faces.append((base, base + 1 + step, base + 1 + after))
                for ring in range(rings - 1):
                    low, high = base + 1 + ring * steps, base + 1 + (ring + 1) * steps
                    faces.append((low + step, high + step, high + after, low + after))
    data: Any = bpy.data.meshes.new(name)
    data.from_pydata(np.array(points).tolist(), [], faces)
    layer = data.uv_layers.new(name="UVMap")
    for corner, loop in enumerate(data.loops):
        layer.data[corner].uv = uvs[loop.vertex_index]
    data.polygons.foreach_set("use_smooth", [True] * len(data.polygons))
    data.materials.append(made)
    data.update()
    item: Any = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(item)
    return item


# -- writing -------------------------------------------------------------------------------------


def _dress(parts: list[Any], variants: dict[str, dict[str, Any]]) -> None:
    """Tell Blender's glTF add-on the variants: {variant: {material of its own: material}}."""
    if not addon_utils.check("io_scene_gltf2")[1]:
        addon_utils.enable("io_scene_gltf2", default_set=True)
    bpy.context.preferences.addons["io_scene_gltf2"].preferences.KHR_materials_variants_ui = True
    scene: Any = bpy.data.scenes[0]
    listed = scene.gltf2_KHR_materials_variants_variants
    for number, name in enumerate(variants):
        entry = listed.add()
        entry.variant_idx = number  # first: the name is made unique among the other numbers
        entry.name = name
    for part in parts:
        data = part.data
        own = data.materials[0].name
        for number, changes in enumerate(variants.values()):
            if own in changes:
                entry = data.gltf2_variant_mesh_data.add()
                entry.material_slot_index, entry.material = 0, changes[own]
                entry.variants.add().variant.variant_idx = number


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Build and export; see the module's text."""
    folder = Path(params["output"])
    folder.mkdir(parents=True, exist_ok=True)
    products = []
    for number, (name, build) in enumerate((("Lamp", _lamp), ("Chair", _chair), ("Vase", _vase))):
        progress(number / 3, f"Building the {name.lower()}")
        bpy.ops.wm.read_factory_settings(use_empty=True)
        parts, variants = build()
        _dress(parts, variants)
        path = folder / f"{name}.glb"
        bpy.ops.export_scene.gltf(
            filepath=str(path),
            export_format="GLB",
            export_yup=True,
            export_apply=False,
            export_animations=False,
            export_cameras=False,
            export_lights=False,
        )
        products.append({"name": name, "path": str(path), "variants": list(variants)})
    return {"products": products}
