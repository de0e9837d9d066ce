# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the MuJoCo package: XML, OBJ meshes and PNG textures, all paths relative.

The same numbers as in the USD: one free body with its inertial, a visual mesh for each material
(group 2, no contact), the convex hulls (group 3, contact), and a ground plane to drop it on.
MuJoCo combines friction by the larger value; the hulls have priority, so theirs counts. It has no
restitution: that value is in the USD only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import numpy as np

from . import simready_geometry as geometry
from .simready_materials import MAX_PREVIEW_TEXTURE, Look, TextureFolder
from .simready_presets import safe_name, unique
from .simready_usd import Asset, look_key
from .simready_usd_mesh import corner_normals

MAX_TRIANGLES = 500_000
CHUNK = 50_000


@dataclass
class _Visual:
    """Triangles of one material: corner arrays (c, 3), (c, 2), (c, 3) and indices by points."""

    points: list[Any] = field(default_factory=list)
    tris: list[Any] = field(default_factory=list)
    uvs: list[Any] = field(default_factory=list)
    normals: list[Any] = field(default_factory=list)
    count: int = 0


def write(asset: Asset, folder: Path, notes: list[str]) -> Path:
    """Write ``<name>.xml``, ``meshes/`` and ``textures/`` into ``folder``; returns the XML."""
    meshes = folder / "meshes"
    meshes.mkdir(parents=True, exist_ok=True)
    textures = TextureFolder(folder / "textures", png_only=True, limit=MAX_PREVIEW_TEXTURE)
    root = xml.Element("mujoco", model=asset.name)
    xml.SubElement(root, "compiler", angle="radian", meshdir="meshes", texturedir="textures")
    xml.SubElement(root, "option", timestep="0.002", integrator="implicitfast")
    assets = xml.SubElement(root, "asset")
    world = xml.SubElement(root, "worldbody")
    span = max(float(np.max(asset.size)), 0.01)
    _stage(assets, world, span)
    body = xml.SubElement(world, "body", name=asset.name)
    xml.SubElement(body, "freejoint", name=f"{asset.name}_free")
    w, x, y, z = asset.body.axes
    xml.SubElement(
        body,
        "inertial",
        pos=_text(asset.body.centre),
        mass=repr(float(np.float32(asset.body.mass))),
        diaginertia=_text(asset.body.diagonal),
        quat=_text((w, x, y, z)),
    )
    _visuals(asset, assets, body, meshes, textures, notes)
    for number, collider in enumerate(asset.colliders):
        name = f"hull_{number:02d}"
        _write_obj(meshes / f"{name}.obj", collider.hull.points, collider.hull.faces)
        xml.SubElement(assets, "mesh", name=name, file=f"{name}.obj")
        xml.SubElement(
            body,
            "geom",
            name=name,
            type="mesh",
            mesh=name,
            group="3",
            priority="1",
            condim="4",
            friction=f"{collider.matter.dynamic:g} 0.005 0.0001",
            rgba="0.3 0.7 1 0.35",
        )
    xml.indent(root)
    path = folder / f"{asset.name}.xml"
    xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    notes += [note for note in textures.notes if note not in notes]
    return path


def _text(values: Any) -> str:
    return " ".join(f"{float(value):.9g}" for value in values)


def _stage(assets: xml.Element, world: xml.Element, span: float) -> None:
    xml.SubElement(
        assets,
        "texture",
        name="ground",
        type="2d",
        builtin="checker",
        rgb1="0.42 0.44 0.47",
        rgb2="0.36 0.38 0.41",
        width="256",
        height="256",
    )
    xml.SubElement(
        assets, "material", name="ground", texture="ground", texrepeat="4 4", texuniform="true"
    )
    xml.SubElement(
        world, "light", pos=_text((span, -span, 3 * span)), dir="-0.3 0.3 -1", castshadow="true"
    )
    xml.SubElement(
        world, "geom", name="ground", type="plane", size=_text((0, 0, span)), material="ground"
    )


def _visuals(
    asset: Asset,
    assets: xml.Element,
    body: xml.Element,
    meshes: Path,
    textures: TextureFolder,
    notes: list[str],
) -> None:
    total = sum(len(shape.tris) for shape in asset.shapes)
    if total > MAX_TRIANGLES:
        notes.append(f"The MuJoCo preview was thinned to about {MAX_TRIANGLES:,} triangles.")
    groups: dict[str, _Visual] = {}
    for shape in asset.shapes:
        for slot in np.unique(shape.slots):
            look = asset.looks[look_key(shape.materials[slot])]
            _collect(
                groups.setdefault(look_key(shape.materials[slot]), _Visual()),
                shape,
                shape.slots == slot,
                look,
                min(1.0, MAX_TRIANGLES / total),
            )
    taken = {"ground"}
    for key in sorted(groups):
        look, group = asset.looks[key], groups[key]
        name = unique(safe_name(look.name, "material"), taken)
        points = np.concatenate(group.points)
        tris = np.concatenate(group.tris)
        uvs = np.concatenate(group.uvs)
        facing = np.concatenate(group.normals)
        _write_obj(meshes / f"visual_{name}.obj", points, tris, uvs, facing)
        mesh = xml.SubElement(assets, "mesh", name=f"visual_{name}", file=f"visual_{name}.obj")
        if _flat(points):
            # MuJoCo weighs every mesh, and a flat one has no volume.
            mesh.set("inertia", "shell")
        _material(assets, name, look, textures)
        xml.SubElement(
            body,
            "geom",
            name=f"visual_{name}",
            type="mesh",
            mesh=f"visual_{name}",
            material=name,
            group="2",
            contype="0",
            conaffinity="0",
        )


def _flat(points: Any) -> bool:
    spread = points - points.mean(axis=0)
    values = np.linalg.eigvalsh(spread.T @ spread / len(points))
    return bool(values[0] < 1e-6 * max(values[2], 1e-30))


def _material(assets: xml.Element, name: str, look: Look, textures: TextureFolder) -> None:
    texture = look.color_texture
    file = textures.file_for(texture.image) if texture else None
    # MuJoCo shows colours as they are on screen; Blender's are linear.
    color = [_to_screen(part) for part in look.color]
    node = xml.SubElement(
        assets,
        "material",
        name=name,
        rgba=_text((*color, look.opacity)),
        specular=f"{0.5 * (1 - look.roughness) + 0.3 * look.metallic:.3g}",
        shininess=f"{max(0.0, 1 - look.roughness):.3g}",
    )
    if file:
        if not any(item.get("name") == f"texture_{Path(file).stem}" for item in assets):
            xml.SubElement(
                assets, "texture", name=f"texture_{Path(file).stem}", type="2d", file=file
            )
        node.set("texture", f"texture_{Path(file).stem}")


def _to_screen(value: float) -> float:
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


def _collect(group: _Visual, shape: Any, mask: Any, look: Look, share: float) -> None:
    """Add one slot's triangles of a shape to its material's mesh."""
    data = shape.mesh
    data.calc_loop_triangles()
    loops = np.empty(len(data.loop_triangles) * 3, np.int32)
    data.loop_triangles.foreach_get("loops", loops)
    loops = loops.reshape(-1, 3)[mask]
    tris = shape.tris[mask]
    points = shape.points
    if share < 1.0 and len(tris) > 64:
        points, tris, _, kept = geometry.thin(points, tris, max(64, int(len(tris) * share)))
        loops = loops[kept]
        if not len(tris):
            return
    used, local = np.unique(tris, return_inverse=True)
    local = local.reshape(-1, 3)
    uv = np.zeros((len(data.loops), 2), np.float32)
    texture = look.color_texture
    layer = data.uv_layers.get(texture.uv_map) if texture and texture.uv_map else None
    layer = layer or next((one for one in data.uv_layers if one.active_render), None)
    if layer is not None:
        flat = np.empty(len(data.loops) * 2, np.float32)
        layer.uv.foreach_get("vector", flat)
        uv = flat.reshape(-1, 2)
        if texture and texture.transform:
            move, turn, scale = texture.transform
            cos, sin = np.cos(turn), np.sin(turn)
            uv = (uv * np.array(scale)) @ np.array([[cos, sin], [-sin, cos]]) + np.array(move)
    group.points.append(points[used])
    group.tris.append(local + group.count)
    group.uvs.append(uv[loops.reshape(-1)])
    group.normals.append(corner_normals(data)[loops.reshape(-1)])
    group.count += len(used)


def _rows(file: Any, pattern: str, rows: Any) -> None:
    """Write an array line by line; formatting whole chunks is ten times faster than lines."""
    for begin in range(0, len(rows), CHUNK):
        part = rows[begin : begin + CHUNK]
        file.write((pattern * len(part)) % tuple(part.reshape(-1).tolist()))


def _write_obj(
    path: Path, points: Any, tris: Any, uvs: Any | None = None, facing: Any | None = None
) -> None:
    """Write an OBJ; ``uvs`` and ``facing`` are given for each triangle corner in order."""
    if len(points) < 4:
        # MuJoCo wants four points: split the first triangle at its middle.
        a, b, c = tris[0].tolist()
        points = np.concatenate([points, points[[a, b, c]].mean(axis=0, keepdims=True)])
        new = len(points) - 1
        tris = np.concatenate([[[a, b, new], [b, c, new], [c, a, new]], tris[1:]])
        if uvs is not None:
            uvs = np.concatenate([np.zeros((9, 2)), uvs[3:]])
        if facing is not None:
            facing = np.concatenate([np.repeat(facing[:1], 9, axis=0), facing[3:]])
    with open(path, "w", encoding="ascii", newline="\n") as file:
        _rows(file, "v %.7g %.7g %.7g\n", points)
        if uvs is None or facing is None:
            _rows(file, "f %d %d %d\n", tris + 1)
            return
        uvs, uv_index = np.unique(np.round(uvs, 6), axis=0, return_inverse=True)
        facing, n_index = np.unique(np.round(facing, 4), axis=0, return_inverse=True)
        _rows(file, "vt %.6g %.6g\n", uvs)
        _rows(file, "vn %.4g %.4g %.4g\n", facing)
        corners = np.stack([tris.reshape(-1), uv_index.reshape(-1), n_index.reshape(-1)], 1) + 1
        _rows(file, "f %d/%d/%d %d/%d/%d %d/%d/%d\n", corners.reshape(-1, 9))
