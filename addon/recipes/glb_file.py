# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges the GLB that Blender wrote: is it whole, and which materials lost a texture on the way.

Blender's exporter drops silently what glTF cannot express. This compares what each material's
shader reads (images and procedural textures, channel by channel) with what its material in the file
has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

# The one module of the bridge beside its problems that recipes import: both ends read GLB alike.
from bridge import glb
from bridge.problems import Category, ProblemError

# Inputs of the Principled shader -> where glTF keeps that texture.
_CHANNELS = {
    "Base Color": ("pbrMetallicRoughness", "baseColorTexture"),
    "Alpha": ("pbrMetallicRoughness", "baseColorTexture"),
    "Metallic": ("pbrMetallicRoughness", "metallicRoughnessTexture"),
    "Roughness": ("pbrMetallicRoughness", "metallicRoughnessTexture"),
    "Normal": ("normalTexture",),
    "Emission Color": ("emissiveTexture",),
}
_PROCEDURAL = {
    "TEX_BRICK", "TEX_CHECKER", "TEX_GABOR", "TEX_GRADIENT", "TEX_MAGIC", "TEX_MUSGRAVE",
    "TEX_NOISE", "TEX_VORONOI", "TEX_WAVE", "TEX_WHITE_NOISE", "TEX_SKY", "BEVEL",
    "AMBIENT_OCCLUSION", "LAYER_WEIGHT", "FRESNEL", "NEW_GEOMETRY", "OBJECT_INFO", "WIREFRAME",
}  # fmt: skip

# Nodes between an image and the shader that the exporter passes by.
_CHANGING = {
    "VALTORGB", "HUE_SAT", "CURVE_RGB", "BRIGHTCONTRAST", "GAMMA", "INVERT", "RGBTOBW",
    "MAP_RANGE", "CLAMP", "BUMP",
}  # fmt: skip
_OF_INTEREST = _PROCEDURAL | _CHANGING | {"TEX_IMAGE"}
_TILE = re.compile(r"\.[12]\d{3}$")

Lost = dict[str, str]


def check_written(path: Path, max_bytes: int | None) -> glb.GlbInfo:
    """Check what Blender wrote; raises ProblemError: LIMIT, or BLENDER (damaged)."""
    size = path.stat().st_size if path.is_file() else 0
    if max_bytes is not None and size > max_bytes:
        raise glb.too_big("The exported file", size, max_bytes)
    try:
        return glb.check(path)
    except ProblemError as error:
        if error.problem.category is not Category.INPUT:
            raise
        raise ProblemError(
            Category.BLENDER,
            "Blender wrote an incomplete file.",
            "Check the space on the disk, then retry the job.",
            error.problem.technical,
        ) from error


def _surface(tree: Any) -> Any:
    """The node that the active output's surface comes from, or None."""
    outputs = [node for node in tree.nodes if node.type == "OUTPUT_MATERIAL"]
    outputs.sort(key=lambda node: not node.is_active_output)
    for output in outputs:
        if output.inputs["Surface"].links:
            return output.inputs["Surface"].links[0].from_node
    return None


def _upstream(socket: Any, seen: set[Any], path: tuple[Any, ...] = ()) -> Iterator[Any]:
    """All nodes that feed a socket, through reroutes and into and out of groups."""
    for link in socket.links:
        node = link.from_node
        key = (node.id_data.name, node.name, link.from_socket.identifier, len(path))
        if key in seen:
            continue
        seen.add(key)
        if node.type == "GROUP" and node.node_tree is not None:
            for inner in node.node_tree.nodes:
                if inner.type == "GROUP_OUTPUT" and inner.is_active_output:
                    for into in inner.inputs:
                        if into.identifier == link.from_socket.identifier:
                            yield from _upstream(into, seen, (*path, node))
        elif node.type == "GROUP_INPUT" and path:
            for into in path[-1].inputs:
                if into.identifier == link.from_socket.identifier:
                    yield from _upstream(into, seen, path[:-1])
        else:
            yield node
            for into in node.inputs:
                yield from _upstream(into, seen, path)


def _principled(tree: bpy.types.NodeTree) -> tuple[Any, tuple[Any, ...]]:
    """The Principled node at the surface (also inside a group), and the groups around it."""
    node = _surface(tree)
    path: tuple[Any, ...] = ()
    while node is not None and node.type == "GROUP" and node.node_tree is not None:
        path = (*path, node)
        inner = next(
            (n for n in node.node_tree.nodes if n.type == "GROUP_OUTPUT" and n.is_active_output),
            None,
        )
        link = next((s.links[0] for s in inner.inputs if s.links), None) if inner else None
        node = link.from_node if link else None
    if node is None or node.type != "BSDF_PRINCIPLED":
        return None, ()
    return node, path


def _interesting(nodes: list[Any]) -> list[Any]:
    """The texture nodes and those that change an image; nothing where there is no texture."""
    kept = [node for node in nodes if node.type in _OF_INTEREST]
    return kept if any(node.type not in _CHANGING for node in kept) else []


def changed_notes(wishes: dict[str, dict[str, list[Any]]]) -> list[str]:
    """Say which materials' images are sent as they are although nodes change them in Blender."""
    notes = []
    for name, channels in wishes.items():
        for nodes in channels.values():
            images = [node for node in nodes if node.type == "TEX_IMAGE"]
            changing = [node.bl_label for node in nodes if node.type in _CHANGING]
            if images and changing:
                notes.append(
                    f"Material {name}: its images are sent without what "
                    f"{', '.join(dict.fromkeys(changing))} makes of them. Bake them to keep that."
                )
                break
    return notes


def wanted(material: bpy.types.Material) -> dict[str, list[Any]]:
    """Which texture nodes feed which channel ("Surface": there is no Principled shader)."""
    tree = material.node_tree
    if tree is None:
        return {}
    found: dict[str, list[Any]] = {}
    shader, path = _principled(tree)
    if shader is None:
        node = _surface(tree)
        if node is not None:
            seen: set[Any] = set()
            nodes = [n for socket in node.inputs for n in _upstream(socket, seen)]
            textures = _interesting(nodes)
            if textures:
                found["Surface"] = textures
        return found
    for channel in _CHANNELS:
        socket = shader.inputs.get(channel)
        if socket is None or not socket.is_linked or _without_effect(shader, channel):
            continue
        nodes = list(_upstream(socket, set(), path))
        textures = _interesting(nodes)
        if textures:
            found[channel] = textures
    return found


def _without_effect(shader: Any, channel: str) -> bool:
    if channel != "Emission Color":
        return False
    strength = shader.inputs.get("Emission Strength")
    return strength is not None and not strength.is_linked and strength.default_value == 0.0


def image_state(image: Any) -> str:
    """ "" when the image has pixels, else why it has none."""
    if image is None:
        return "no image is chosen in the texture node"
    if image.packed_file or image.source == "GENERATED":
        return ""
    if image.source in {"MOVIE", "SEQUENCE"}:
        return "a movie or an image sequence cannot be sent"
    path = Path(bpy.path.abspath(image.filepath_raw, library=image.library))
    if image.source == "TILED":
        name = path.name.replace("<UDIM>", "*").replace("<UVTILE>", "*")
        there = path.parent.is_dir() and any(path.parent.glob(name))
    else:
        there = path.is_file()
    if not there:
        return "the image file is missing"
    return "" if image.size[0] else "the image file cannot be read"


def _has(material: dict[str, Any], channel: str, document: dict[str, Any]) -> bool:
    place: Any = material
    for key in _CHANNELS[channel]:
        place = place.get(key, {})
    if "index" not in place:
        return False
    texture = document["textures"][place["index"]]
    sources = [texture, *texture.get("extensions", {}).values()]
    return any("source" in source for source in sources)


def _has_any(material: dict[str, Any], document: dict[str, Any]) -> bool:
    return any(_has(material, channel, document) for channel in _CHANNELS)


def lost_textures(document: dict[str, Any], wishes: dict[str, dict[str, list[Any]]]) -> list[Lost]:
    """Compare the file's JSON with what each material wanted (``wanted``, by material name).

    Each entry: ``material``, ``channel`` (of the shader), ``image`` (name, "" for a procedural
    texture) and ``why``, a clause for the artist. One entry for each lost image of a material.
    """
    written: dict[str, list[dict[str, Any]]] = {}
    for entry in document.get("materials", []):
        # The exporter makes a material for each tile of a tiled image: "Wood.1001".
        name = str(entry.get("name", ""))
        base = name if name in wishes else _TILE.sub("", name)
        written.setdefault(base, []).append(entry)
    lost: dict[tuple[str, str, str], Lost] = {}
    for name, channels in wishes.items():
        entries = written.get(name, [])
        for channel, nodes in channels.items():
            if channel == "Surface":
                there = any(_has_any(entry, document) for entry in entries)
            else:
                there = any(_has(entry, channel, document) for entry in entries)
            if there:
                continue
            for image, why in _reasons(nodes, channel):
                lost.setdefault(
                    (name, image, why),
                    {"material": name, "channel": channel, "image": image, "why": why},
                )
    return list(lost.values())


def _reasons(nodes: list[Any], channel: str) -> list[tuple[str, str]]:
    images = [node for node in nodes if node.type == "TEX_IMAGE"]
    procedural = [node for node in nodes if node.type in _PROCEDURAL]
    if not images:
        return [("", f"procedural textures ({procedural[0].bl_label}) must be baked to an image")]
    reasons = []
    for node in images:
        name = node.image.name if node.image else ""
        why = image_state(node.image)
        if not why and channel == "Surface":
            why = "its shader is not a Principled BSDF"
        elif not why and procedural:
            why = "the image is mixed with procedural textures; bake them to one image"
        reasons.append((name, why or "the nodes between image and shader cannot be sent"))
    return list(dict.fromkeys(reasons))
