# SPDX-License-Identifier: GPL-3.0-or-later
"""Material variants, as Blender's glTF add-on keeps them, from the scene to the exported meshes.

Measured in 4.2 to 5.2: the exporter writes KHR_materials_variants only while the add-on's
preference "Material Variants" is on; the names lie on the first scene of the file by the alphabet,
whichever is exported, and each mesh lists per material slot which material which variants (by
number) show there. The preference is switched on in a headless Blender with factory settings, whose
preferences are never saved.
"""

from __future__ import annotations

from typing import Any

import bpy

_ADDON = "io_scene_gltf2"
_NAMES = "gltf2_KHR_materials_variants_variants"


def enable() -> list[str]:
    """Make this file's variants readable; returns their names, [] when it has none."""
    addon = bpy.context.preferences.addons.get(_ADDON)
    if addon is None or not hasattr(addon.preferences, "KHR_materials_variants_ui"):
        return []
    if not addon.preferences.KHR_materials_variants_ui:
        addon.preferences.KHR_materials_variants_ui = True
    for scene in bpy.data.scenes:
        names = [str(entry.name) for entry in getattr(scene, _NAMES, ())]
        if names:
            return names
    return []


def announce(names: list[str]) -> None:
    """Put the names where the exporter looks for them; to be repeated when scenes come and go."""
    if not names:
        return
    known: Any = getattr(bpy.data.scenes[0], _NAMES)
    if [entry.name for entry in known] == names:
        return
    known.clear()
    for number, name in enumerate(names):
        entry = known.add()
        entry.variant_idx = number
        entry.name = name


def carry(source: bpy.types.Object, mesh: bpy.types.Mesh, count: int) -> None:
    """Give a new mesh the variants of the object that it was made from, of which there are
    ``count`` in the file.

    Where the object shows one of them now, the mesh gets the original material. A slot whose
    material a modifier has changed has no variants.
    """
    target: Any = mesh
    target.gltf2_variant_mesh_data.clear()
    target.gltf2_variant_default_materials.clear()
    original: Any = source.original
    data: Any = original.data
    if original.type != "MESH" or data is None:
        return
    slots = [slot.material for slot in original.material_slots]
    for entry in data.gltf2_variant_mesh_data:
        index = entry.material_slot_index
        numbers = _numbers(entry, count)
        if not numbers or not _same_slot(mesh, slots, index):
            continue
        made = target.gltf2_variant_mesh_data.add()
        made.material_slot_index = index
        made.material = entry.material
        for number in numbers:
            made.variants.add().variant.variant_idx = number
    for entry in data.gltf2_variant_default_materials:
        index = entry.material_slot_index
        if entry.default_material is not None and _same_slot(mesh, slots, index):
            mesh.materials[index] = entry.default_material


def _numbers(entry: Any, count: int) -> list[int]:
    """The variants of an entry; those of another file (a linked mesh) mean nothing here."""
    numbers = dict.fromkeys(one.variant.variant_idx for one in entry.variants)
    return [number for number in numbers if 0 <= number < count]


def _same_slot(mesh: bpy.types.Mesh, slots: list[Any], index: int) -> bool:
    if not 0 <= index < min(len(slots), len(mesh.materials)):
        return False
    here = mesh.materials[index]
    return (here.original if here else None) == (slots[index].original if slots[index] else None)


def materials(mesh: bpy.types.Mesh) -> list[bpy.types.Material]:
    """The materials that a mesh shows in its variants."""
    entries = getattr(mesh, "gltf2_variant_mesh_data", ())
    return list(dict.fromkeys(entry.material for entry in entries if entry.material is not None))


def written(document: dict[str, Any]) -> list[str]:
    """The names of the variants in a GLB's JSON."""
    told = document.get("extensions", {}).get("KHR_materials_variants", {})
    return [str(entry.get("name", "")) for entry in told.get("variants", [])]
