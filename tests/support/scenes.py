# SPDX-License-Identifier: GPL-3.0-or-later
"""Small scenes in the running Blender, and the export recipe run on them in a Blender of its own.

It imports ``bpy`` when called, so it can be named in processes without Blender.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.blender import BlenderProgram, run_recipe

if TYPE_CHECKING:
    import bpy

LIMIT = 500_000_000
JOB = {"id": "0" * 32, "name": "Test", "service": "rigyd", "options": {}}


def this_blender() -> BlenderProgram:
    """The Blender that the test runs in, as the bridge would start it."""
    import bpy

    version = bpy.app.version
    return BlenderProgram(sys.executable, "wheel", (version[0], version[1], version[2]), True)


def export(params: dict[str, Any], work: Path) -> dict[str, Any]:
    """Run recipe export_glb in another process; the GLB is ``work``/asset.glb unless told."""
    given = {"output": str(work / "asset.glb"), "options": {}, "max_bytes": LIMIT, **params}
    return run_recipe("export_glb", given, workdir=work, program=this_blender(), timeout=120)


def export_capture(folder: Path, **options: Any) -> dict[str, Any]:
    """Export the capture in ``folder`` (a job's)."""
    params = {
        "capture": str(folder / "capture.json"),
        "folder": str(folder),
        "output": str(folder / "package" / "asset.glb"),
        "options": options,
    }
    return export(params, folder / "work")


def cube(
    name: str = "Cube", *, size: float = 2.0, at: tuple[float, float, float] = (0, 0, 0)
) -> Any:
    """A selected, active cube in the current scene."""
    import bpy

    bpy.ops.mesh.primitive_cube_add(size=size, location=at)
    item = bpy.context.object
    item.name = item.data.name = name
    return item


def select(*items: bpy.types.Object) -> None:
    """Select these objects and no others; the last is active."""
    import bpy

    for item in bpy.context.view_layer.objects:
        item.select_set(item in items)
    if items:
        bpy.context.view_layer.objects.active = items[-1]


def material(
    item: bpy.types.Object, image: bpy.types.Image | None, name: str = "Paint"
) -> bpy.types.Material:
    """A Principled material on the object, its base colour from ``image``."""
    import bpy

    made = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0):
        made.use_nodes = True
    item.data.materials.append(made)
    if image is not None:
        feed(made, image)
    return made


def feed(
    made: bpy.types.Material, image: bpy.types.Image | None, into: str = "Base Color"
) -> bpy.types.Node:
    """An image texture into an input of the material's Principled node."""
    tree = made.node_tree
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    tree.links.new(node.outputs["Color"], tree.nodes["Principled BSDF"].inputs[into])
    return node


def fill(image: bpy.types.Image, colour: tuple[float, float, float, float]) -> None:
    """Paint a whole image in one colour; it is unsaved from now on."""
    image.pixels.foreach_set(list(colour) * (image.size[0] * image.size[1]))
    image.update()
    assert image.is_dirty


def nodes_group(name: str = "Nodes") -> bpy.types.NodeTree:
    """An empty geometry node group with a geometry in and out."""
    import bpy

    group = bpy.data.node_groups.new(name, "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    group.nodes.new("NodeGroupInput")
    group.nodes.new("NodeGroupOutput")
    return group


def rising_simulation(item: bpy.types.Object) -> Any:
    """A geometry nodes modifier whose simulation lifts the mesh by 1 in each frame."""
    group = nodes_group("Rising")
    nodes, link = group.nodes, group.links.new
    first = nodes.new("GeometryNodeSimulationInput")
    last = nodes.new("GeometryNodeSimulationOutput")
    first.pair_with_output(last)
    lift = nodes.new("GeometryNodeSetPosition")
    lift.inputs["Offset"].default_value = (0, 0, 1)
    link(nodes["Group Input"].outputs[0], first.inputs["Geometry"])
    link(first.outputs["Geometry"], lift.inputs["Geometry"])
    link(lift.outputs["Geometry"], last.inputs["Geometry"])
    link(last.outputs["Geometry"], nodes["Group Output"].inputs[0])
    modifier = item.modifiers.new("Rising", "NODES")
    modifier.node_group = group
    return modifier


def bake_nodes(item: bpy.types.Object, modifier: Any) -> None:
    """Bake the first bake or simulation of a geometry nodes modifier."""
    import bpy

    bpy.ops.object.geometry_node_bake_single(
        session_uid=item.session_uid,
        modifier_name=modifier.name,
        bake_id=modifier.bakes[0].bake_id,
    )


def evaluated_points(item: bpy.types.Object) -> Any:
    """The points of the evaluated mesh in world space, as an array (n, 3)."""
    import bpy
    import numpy

    depsgraph = bpy.context.evaluated_depsgraph_get()
    evaluated = item.evaluated_get(depsgraph)
    world = evaluated.matrix_world
    return numpy.array([world @ point.co for point in evaluated.data.vertices])


def mean_colour(file: bytes, folder: Path) -> list[float]:
    """The mean colour of an image file, RGBA as stored (0..1)."""
    import bpy
    import numpy

    path = folder / "look.png"
    path.write_bytes(file)
    image = bpy.data.images.load(str(path))
    try:
        values = numpy.empty(image.size[0] * image.size[1] * 4, dtype=numpy.float32)
        image.pixels.foreach_get(values)
        return [float(v) for v in values.reshape(-1, 4).mean(axis=0)]
    finally:
        bpy.data.images.remove(image)
