# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the model files of the converter's tests: the well-behaved ones and the odd ones.

``python odd_models.py FOLDER`` makes them all in one Blender. The tests read the files only.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import bpy  # noqa: E402
import numpy as np  # noqa: E402

from tests.tools import models as m  # noqa: E402


def solid_cube() -> None:
    """One cubic decimetre and a half of stone, off centre."""
    m.box("Block", (0.3, 0.4, 0.5), (1.0, 2.0, 3.0), [m.material("Granite")])


def box_shell() -> None:
    """A closed box that is hollow: 2 mm of a material of 1000 kg/m3."""
    obj = m.box("Can", (0.3, 0.4, 0.5), (0, 0, 0), [m.material("Something")])
    obj["simready_wall_mm"] = 2.0
    obj.data.materials[0]["simready_density"] = 1000.0


def open_bowl() -> None:
    """The lower half of a sphere without thickness."""
    steps = [(0.1 * math.sin(a), 0.1 - 0.1 * math.cos(a)) for a in np.linspace(0, math.pi / 2, 12)]
    m.tube("Bowl", [(0.0, 0.0), *steps[1:]], (0, 0, 0), [m.material("White porcelain")])


def plane() -> None:
    """A flat sheet lying on the floor."""
    points = [(-0.5, -0.3, 0), (0.5, -0.3, 0), (0.5, 0.3, 0), (-0.5, 0.3, 0)]
    m.mesh_object("Sheet", points, [(0, 1, 2, 3)], [m.material("Steel sheet", metallic=1.0)])


def triangle() -> None:
    """The least mesh there is: one upright triangle."""
    m.mesh_object("Sail", [(0, 0, 0), (1, 0, 0), (0, 0, 1)], [(0, 1, 2)], [m.material("Canvas")])


def flipped_faces() -> None:
    """A stone block of which two faces look inwards."""
    obj = m.box("Block", (0.2, 0.2, 0.2), (0, 0, 0.1), [m.material("Granite")])
    for index in (1, 4):
        obj.data.polygons[index].flip()


def missing_face() -> None:
    """A scanned stone: closed but for its underside."""
    corners = [(x, y, z) for z in (0, 0.3) for y in (-0.2, 0.2) for x in (-0.2, 0.2)]
    m.mesh_object("Boulder", corners, m.BOX_FACES[1:], [m.material("Sandstone")])


def several_materials() -> None:
    """One mesh, three materials, one of them textured."""
    wood = m.material("Oak", texture=m.image("grain", m.wood_pixels(64)))
    steel = m.material("Steel", (0.5, 0.5, 0.5), metallic=1.0)
    red = m.material("Red plastic", (0.8, 0.1, 0.1))
    obj = m.box("Toolbox", (0.4, 0.2, 0.2), (0, 0, 0.1), [wood, steel, red])
    for index, polygon in enumerate(obj.data.polygons):
        polygon.material_index = index % 3


def instances() -> None:
    """Nested empties with four copies of one mesh, turned, scaled and one mirrored."""
    shared = m.box("Foot", (0.1, 0.1, 0.2), (0, 0, 0), [m.material("Walnut")])
    top = bpy.data.objects.new("Frame", None)
    inner = bpy.data.objects.new("Inner frame", None)
    for empty in (top, inner):
        bpy.context.scene.collection.objects.link(empty)
    inner.parent = top
    top.rotation_euler = (0, 0, 0.5)
    inner.location = (1.0, 0.0, 0.0)
    shared.parent = inner
    for number, scale in enumerate(((1, 1, 1), (2, 1, 1), (-1, 1, 1.5)), 1):
        copy = bpy.data.objects.new(f"Foot {number}", shared.data)
        copy.location = (number * 0.5, 0, 0)
        copy.scale = scale
        copy.parent = inner
        bpy.context.scene.collection.objects.link(copy)


def mirrored() -> None:
    """A smooth textured part with all axes negative: faces must still look outwards."""
    obj = m.tube(
        "Vase", [(0, 0), (0.05, 0), (0.08, 0.1), (0.03, 0.22), (0, 0.22)], (0, 0, 0),
        [m.material("Ceramic", texture=m.image("glaze", m.fabric_pixels(32)))],
    )  # fmt: skip
    obj.scale = (-1.0, -1.2, -0.8)


def millimetres() -> None:
    """A chair whose metres were meant as millimetres."""
    for obj in m.build_chair():
        obj.matrix_basis = m.Matrix.Scale(1000.0, 4) @ obj.matrix_basis


def tiny() -> None:
    """Two millimetres of brass."""
    m.box("Grain", (0.002, 0.001, 0.001), (0, 0, 0), [m.material("Brass")])


def emoji() -> None:
    """Names in other scripts and with signs that paths and XML do not like."""
    wood = m.material('木 🪵 <Holz> & "Co"', texture=m.image("纹理 🌳", m.wood_pixels(32)))
    m.box("🪑 Stühle / 椅子", (0.2, 0.2, 0.2), (0, 0, 0.1), [wood])
    m.box("🪑", (0.1, 0.1, 0.1), (0.3, 0, 0.05), [wood])


def hollow_sphere() -> None:
    """A ball with a modelled cavity: an outer sphere and an inner one inside out."""
    steps = np.linspace(0, math.pi, 25)
    outer = [(0.1 * math.sin(a), -0.1 * math.cos(a)) for a in steps]
    inner = [(0.08 * math.sin(a), -0.08 * math.cos(a)) for a in steps]
    iron = m.material("Cast iron")
    poles = [(0.0, outer[0][1]), *outer[1:-1], (0.0, outer[-1][1])]
    shell = m.tube("Ball", poles, (0, 0, 0.1), [iron], segments=48)
    poles = [(0.0, inner[0][1]), *inner[1:-1], (0.0, inner[-1][1])]
    cavity = m.tube("Cavity", poles, (0, 0, 0.1), [iron], segments=48)
    cavity.data.flip_normals()
    with bpy.context.temp_override(
        active_object=shell, object=shell, selected_editable_objects=[shell, cavity]
    ):
        bpy.ops.object.join()
    shell["simready_density"] = 1000.0


def nested_solids() -> None:
    """A stone cube wholly inside a larger one: its matter must count once."""
    stone = m.material("Granite")
    m.box("Outer", (0.4, 0.4, 0.4), (0, 0, 0.2), [stone])
    m.box("Inner", (0.2, 0.2, 0.2), (0, 0, 0.2), [m.material("Foam")])


def doubled() -> None:
    """The same object twice in the same place."""
    stone = m.material("Granite")
    m.box("Block", (0.2, 0.2, 0.2), (0, 0, 0.1), [stone])
    m.box("Block again", (0.2, 0.2, 0.2), (0, 0, 0.1), [stone])


def table() -> None:
    """A table in one connected mesh: its space below must stay free."""
    wood = m.material("Oak")
    top = m.box("Table", (1.2, 0.7, 0.04), (0, 0, 0.73), [wood])
    legs = [
        m.box("Leg", (0.06, 0.06, 0.72), (x * 0.55, y * 0.3, 0.36), [wood])
        for x in (-1, 1)
        for y in (-1, 1)
    ]
    for leg in legs:
        modifier = top.modifiers.new("join", "BOOLEAN")
        modifier.operation, modifier.object, modifier.solver = "UNION", leg, "EXACT"
    graph = bpy.context.evaluated_depsgraph_get()
    mesh = bpy.data.meshes.new_from_object(top.evaluated_get(graph))
    top.modifiers.clear()
    top.data = mesh
    for leg in legs:
        bpy.data.objects.remove(leg)


def ring() -> None:
    """A torus lying flat."""
    bpy.ops.mesh.primitive_torus_add(
        major_radius=0.4, minor_radius=0.08, major_segments=36, minor_segments=16
    )
    bpy.context.object.data.materials.append(m.material("Rubber"))


def overrides() -> None:
    """Three objects: one with its own mass, two under a parent with a total."""
    group = bpy.data.objects.new("Set", None)
    bpy.context.scene.collection.objects.link(group)
    group["simready_mass_kg"] = 5.0
    stone = m.material("Granite")
    stone["simready_static_friction"] = 0.81
    stone["simready_dynamic_friction"] = 0.71
    stone["simready_restitution"] = 0.12
    alone = m.box("Alone", (0.2, 0.2, 0.2), (0, 0, 0.1), [stone])
    alone["simready_mass_kg"] = 3.0
    for number, size in enumerate((0.1, 0.2)):
        one = m.box(f"Member {number}", (size, size, size), (0.5 + number, 0, size / 2), [stone])
        one.parent = group


def loose_parts() -> None:
    """Three hundred loose pebbles in one object."""
    random = np.random.default_rng(4)
    points, faces = [], []
    half = np.array([(x, y, z) for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)]) * 0.01
    for _ in range(300):
        base = len(points)
        points += list(half + random.random(3) * np.array([1.0, 1.0, 0.3]))
        faces += [tuple(base + i for i in face) for face in m.BOX_FACES]
    m.mesh_object("Pebbles", points, faces, [m.material("Stone")])


def many_triangles() -> None:
    """A finely divided sphere for the triangle target."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=96, ring_count=64, radius=0.3)
    obj = bpy.context.object
    obj.data.materials.append(m.material("Clay", texture=m.image("clay", m.fabric_pixels(32))))


def jpeg_tinted() -> None:
    """A JPEG texture, tinted by a factor, with transparency."""
    picture = m.image("photo", m.wood_pixels(64))
    path = Path(bpy.app.tempdir, "photo.jpg")
    picture.file_format = "JPEG"
    picture.save(filepath=str(path))
    jpeg = bpy.data.images.load(str(path))
    jpeg.pack()
    skin = m.material("Painted wood", texture=jpeg)
    tree = skin.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    source = shader.inputs["Base Color"].links[0].from_socket
    mix = tree.nodes.new("ShaderNodeMix")
    mix.data_type, mix.blend_type = "RGBA", "MULTIPLY"
    mix.inputs["Factor"].default_value = 1.0
    tree.links.new(source, mix.inputs["A"])
    mix.inputs["B"].default_value = (1.0, 0.5, 0.25, 1.0)
    tree.links.new(mix.outputs["Result"], shader.inputs["Base Color"])
    m.box("Plank", (0.5, 0.1, 0.02), (0, 0, 0.01), [skin])


MODELS = {
    "chair": m.build_chair,
    "crate": m.build_crate,
    "mug": m.build_mug,
    "lamp": m.build_lamp,
    **{
        made.__name__: made
        for made in (
            solid_cube, box_shell, open_bowl, plane, triangle, several_materials, instances,
            flipped_faces, missing_face,
            mirrored, millimetres, tiny, emoji, hollow_sphere, nested_solids, doubled, table, ring,
            overrides, loose_parts, many_triangles, jpeg_tinted,
        )
    },
}  # fmt: skip


def other_formats(folder: Path) -> None:
    """The crate as OBJ, STL, PLY, FBX, glTF and USD, and things that are not models."""
    m.clear()
    m.build_crate()
    bpy.ops.wm.obj_export(filepath=str(folder / "crate.obj"), path_mode="COPY")
    bpy.ops.wm.stl_export(filepath=str(folder / "crate.stl"))
    bpy.ops.wm.ply_export(filepath=str(folder / "crate.ply"))
    bpy.ops.export_scene.fbx(filepath=str(folder / "crate.fbx"))
    bpy.ops.export_scene.gltf(filepath=str(folder / "crate.gltf"), export_format="GLTF_SEPARATE")
    if "usd_export" in dir(bpy.ops.wm):
        bpy.ops.wm.usd_export(filepath=str(folder / "crate.usdc"))
    m.clear()
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Nothing", None))
    m.save_glb(folder / "no_mesh.glb")


def main(folder: Path) -> None:
    """Make every file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in MODELS.items():
        m.clear()
        build()
        m.save_glb(folder / f"{name}.glb")
    other_formats(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)
