# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads Blender materials (mostly as the glTF importer builds them) into plain ``Look`` values.

USD and MJCF are written from the same ``Look``. Node setups that a preview surface cannot hold
are reduced to their first texture and constant factor, and a note says so. Also writes the
textures: the original bytes where the format allows it, else PNG. Changes no material.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

from . import simready_presets as presets

MAX_TEXTURE = 8192
MAX_PREVIEW_TEXTURE = 4096


@dataclass
class Texture:
    """One use of an image: ``channel`` r, g, b, a or rgb; ``transform`` (offset, angle, scale)."""

    image: bpy.types.Image
    channel: str = "rgb"
    uv_map: str = ""
    transform: tuple[tuple[float, float], float, tuple[float, float]] | None = None
    repeat: str = "repeat"
    factor: tuple[float, ...] = (1.0, 1.0, 1.0)


@dataclass
class Look:
    """The visible side of a material; colours are linear, as in Blender and in USD."""

    name: str
    color: tuple[float, float, float] = (0.8, 0.8, 0.8)
    opacity: float = 1.0
    threshold: float = 0.0
    metallic: float = 0.0
    roughness: float = 0.5
    ior: float = 1.5
    clearcoat: float = 0.0
    transmission: float = 0.0
    emission: tuple[float, float, float] = (0.0, 0.0, 0.0)
    normal_strength: float = 1.0
    color_texture: Texture | None = None
    vertex_color: str | None = None
    opacity_texture: Texture | None = None
    metallic_texture: Texture | None = None
    roughness_texture: Texture | None = None
    normal_texture: Texture | None = None
    emission_texture: Texture | None = None
    notes: list[str] = field(default_factory=list)

    def textures(self) -> list[Texture]:
        """All textures in use."""
        every = (
            self.color_texture,
            self.opacity_texture,
            self.metallic_texture,
            self.roughness_texture,
            self.normal_texture,
            self.emission_texture,
        )
        return [texture for texture in every if texture]


@dataclass
class _Trace:
    texture: Texture | None = None
    value: Any = None
    factor: tuple[float, ...] = (1.0, 1.0, 1.0)
    vertex_color: str | None = None
    strength: float = 1.0
    threshold: float = 0.0


def _triple(value: Any) -> tuple[float, ...]:
    if isinstance(value, (int, float)):
        return (float(value),) * 3
    return tuple(float(part) for part in value)[:3]


def _trace(socket: Any, depth: int = 0, channel: str = "") -> _Trace:
    """Follow a socket upstream to a texture, a vertex colour or a constant."""
    if socket is None:
        return _Trace(value=0.0)
    if not socket.is_linked or depth > 16:
        return _Trace(value=getattr(socket, "default_value", 0.0))
    link = socket.links[0]
    node, source = link.from_node, link.from_socket
    kind = node.type
    if kind == "TEX_IMAGE" and node.image:
        if source.name == "Alpha":
            channel = "a"
        return _Trace(texture=_texture(node, channel or "rgb"))
    if kind in {"VERTEX_COLOR", "ATTRIBUTE"}:
        name = getattr(node, "layer_name", "") or getattr(node, "attribute_name", "")
        return _Trace(vertex_color=name or "*", value=(1.0, 1.0, 1.0))
    if kind in {"RGB", "VALUE"}:
        return _Trace(value=source.default_value)
    if kind in {"SEPARATE_COLOR", "SEPRGB", "SEPXYZ"}:
        letter = {"Red": "r", "R": "r", "X": "r", "Green": "g", "G": "g", "Y": "g"}
        return _trace(node.inputs[0], depth + 1, letter.get(source.name, "b"))
    if kind == "NORMAL_MAP":
        result = _trace(node.inputs["Color"], depth + 1)
        result.strength = float(node.inputs["Strength"].default_value)
        return result
    return _trace_mixed(node, kind, depth, channel)


def _trace_mixed(node: Any, kind: str, depth: int, channel: str) -> _Trace:
    wanted = [item for item in node.inputs if item.enabled and item.is_linked]
    colors = [item for item in wanted if item.type in {"RGBA", "VALUE", "VECTOR"}]
    if kind in {"MIX", "MIX_RGB"}:
        colors = [item for item in colors if "Fac" not in item.name]
    if not colors:
        return _Trace(value=0.5)
    traced = [_trace(item, depth + 1, channel) for item in colors]
    # With several branches the one that carries a picture tells most.
    best = next((item for item in traced if item.texture), None)
    best = best or next((item for item in traced if item.vertex_color), traced[0])
    blend = getattr(node, "blend_type", "") or getattr(node, "operation", "")
    if blend == "MULTIPLY":
        for item in node.inputs:
            if not item.enabled or item.is_linked or "Fac" in item.name:
                continue
            if (item.type in {"RGBA", "VALUE"} and kind != "MATH") or item == node.inputs[1]:
                one = _triple(item.default_value)
                best.factor = tuple(a * b for a, b in zip(best.factor, one, strict=True))
    elif blend in {"GREATER_THAN", "LESS_THAN", "ROUND", "SNAP"}:
        limits = [item.default_value for item in node.inputs[:2] if not item.is_linked]
        best.threshold = float(limits[0]) if limits and blend != "ROUND" else 0.5
    return best


def _texture(node: Any, channel: str) -> Texture:
    texture = Texture(node.image, channel)
    texture.repeat = {"EXTEND": "clamp", "CLIP": "black", "MIRROR": "mirror"}.get(
        node.extension, "repeat"
    )
    socket = node.inputs["Vector"]
    for _ in range(4):
        if not socket.is_linked:
            break
        before = socket.links[0].from_node
        if before.type == "UVMAP":
            texture.uv_map = before.uv_map
            break
        if before.type == "MAPPING":
            place = before.inputs["Location"].default_value
            turn = before.inputs["Rotation"].default_value
            size = before.inputs["Scale"].default_value
            texture.transform = ((place[0], place[1]), turn[2], (size[0], size[1]))
        if not before.inputs:
            break
        socket = before.inputs[0]
    return texture


def _surface(material: bpy.types.Material) -> Any:
    """The shader node that shows most: a Principled BSDF if any, else emission or another."""
    tree = material.node_tree
    outputs = [node for node in tree.nodes if node.type == "OUTPUT_MATERIAL"]
    outputs.sort(key=lambda node: not node.is_active_output)
    seen: list[Any] = []
    queue: list[Any] = [node.inputs["Surface"] for node in outputs[:1]]
    while queue:
        socket = queue.pop(0)
        if not socket.is_linked:
            continue
        node = socket.links[0].from_node
        if node in seen:
            continue
        seen.append(node)
        queue += [item for item in node.inputs if item.type == "SHADER"]
        if node.type == "REROUTE":
            queue += list(node.inputs)
    ranks = ("BSDF_PRINCIPLED", "EMISSION", "BACKGROUND")
    for kind in ranks:
        for node in seen:
            if node.type == kind:
                return node
    return next((node for node in seen if node.type.startswith("BSDF_")), None)


def describe(material: bpy.types.Material | None) -> Look:
    """The look of a material; a plain grey for None."""
    if material is None:
        return Look("default")
    look = Look(material.name)
    node = _surface(material) if material.node_tree else None
    if node is None:
        look.color = _clamped(material.diffuse_color)
        look.metallic, look.roughness = float(material.metallic), float(material.roughness)
        return look
    _read_color(look, node)
    if node.type == "BSDF_PRINCIPLED":
        _read_principled(look, node)
    return look


def _clamped(value: Any) -> tuple[float, float, float]:
    r, g, b = (min(1.0, max(0.0, part)) for part in _triple(value))
    return r, g, b


def _read_color(look: Look, node: Any) -> None:
    traced = _trace(node.inputs.get("Base Color") or node.inputs.get("Color"))
    if traced.texture:
        traced.texture.factor = _clamped(traced.factor)
        look.color_texture = traced.texture
        look.color = _clamped(traced.factor)
    else:
        look.vertex_color = traced.vertex_color
        base = _triple(traced.value) if traced.value is not None else look.color
        look.color = _clamped(tuple(a * b for a, b in zip(base, traced.factor, strict=True)))


def _read_principled(look: Look, node: Any) -> None:
    def scalar(*names: str) -> _Trace:
        socket = next((node.inputs[name] for name in names if name in node.inputs), None)
        return _trace(socket, channel="" if socket is None else "r")

    def plain(traced: _Trace, fallback: float) -> float:
        if traced.texture or traced.value is None:
            return fallback
        return min(1.0, max(0.0, _triple(traced.value)[0] * traced.factor[0]))

    metallic, roughness = scalar("Metallic"), scalar("Roughness")
    look.metallic, look.roughness = plain(metallic, 1.0), plain(roughness, 1.0)
    look.metallic_texture, look.roughness_texture = metallic.texture, roughness.texture
    for traced in (metallic, roughness):
        if traced.texture:
            traced.texture.factor = traced.factor
    alpha = _trace(node.inputs.get("Alpha"), channel="a")
    look.opacity, look.opacity_texture = plain(alpha, 1.0), alpha.texture
    look.threshold = alpha.threshold
    look.ior = float(node.inputs["IOR"].default_value) if "IOR" in node.inputs else 1.5
    look.clearcoat = plain(scalar("Coat Weight", "Clearcoat"), 0.0)
    look.transmission = plain(scalar("Transmission Weight", "Transmission"), 1.0)
    if look.transmission > 0 and not look.opacity_texture:
        # A preview surface has no transmission: thin opacity is its nearest relative.
        look.opacity = min(look.opacity, max(0.15, 1.0 - 0.85 * look.transmission))
    normal = _trace(node.inputs.get("Normal"))
    if normal.texture:
        normal.texture.channel = "rgb"
        look.normal_texture, look.normal_strength = normal.texture, normal.strength
    strength = scalar("Emission Strength", "Emission")
    power = min(1.0, plain(strength, 1.0))
    if power > 0:
        glow = _trace(node.inputs.get("Emission Color") or node.inputs.get("Emission"))
        look.emission_texture = glow.texture
        if glow.texture:
            glow.texture.factor = tuple(power * part for part in glow.factor)
        else:
            look.emission = _clamped(tuple(power * part for part in _triple(glow.value)))


class TextureFolder:
    """Writes each image once into a folder and knows its file name."""

    def __init__(self, folder: Path, *, png_only: bool = False, limit: int = MAX_TEXTURE) -> None:
        self.folder, self.png_only, self.limit = folder, png_only, limit
        self.names: dict[str, str | None] = {}
        self.notes: list[str] = []
        self._taken: set[str] = set()

    def file_for(self, image: bpy.types.Image) -> str | None:
        """The image's file name in the folder (written on first use), or None if unreadable."""
        if image.name not in self.names:
            self.names[image.name] = self._write(image)
        return self.names[image.name]

    def _write(self, image: bpy.types.Image) -> str | None:
        width, height = image.size
        if not width or not height:
            self.notes.append(f"The texture “{image.name}” could not be read.")
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        stem = presets.safe_name(Path(image.name).stem, "texture")
        stem = presets.unique(stem, self._taken)
        data = _original_bytes(image)
        fits = max(width, height) <= self.limit
        if fits and data.startswith(b"\x89PNG\r\n\x1a\n"):
            return self._keep(f"{stem}.png", data)
        if fits and data.startswith(b"\xff\xd8\xff") and not self.png_only:
            return self._keep(f"{stem}.jpg", data)
        target = self.folder / f"{stem}.png"
        copy = image
        if not fits:
            copy = image.copy()
            scale = self.limit / max(width, height)
            copy.scale(max(1, int(width * scale)), max(1, int(height * scale)))
            self.notes.append(f"The texture “{image.name}” was reduced to {self.limit} pixels.")
        kept = copy.file_format
        try:
            copy.file_format = "PNG"
            copy.save(filepath=str(target), save_copy=True)
        except RuntimeError:
            self.notes.append(f"The texture “{image.name}” could not be written.")
            return None
        finally:
            copy.file_format = kept
            if copy is not image:
                bpy.data.images.remove(copy)
        return target.name if target.is_file() else None

    def _keep(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return name


def _original_bytes(image: bpy.types.Image) -> bytes:
    if image.packed_file:
        return bytes(image.packed_file.data)
    try:
        return Path(bpy.path.abspath(image.filepath)).read_bytes()
    except (OSError, ValueError):
        return b""
