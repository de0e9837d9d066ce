# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides what each material slot of a shape is made of, and says how it knew.

The first that answers wins: the job's overrides, the object's ``simready_*`` properties, the
material's, the words in the material's, object's and mesh's names, the shading (metal, glass),
and at last a generic material. Never guesses silently: ``source`` goes into the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .simready_load import PREFIX, Shape, number
from .simready_materials import Look
from .simready_presets import GENERIC, Preset, preset_for, preset_named


@dataclass(frozen=True)
class Matter:
    """What one material slot is made of; density in kg/m3, ``wall`` in m (0: solid) or None.

    ``name`` is for people: the preset's, and the material's where the artist gave values.
    ``bulk`` says that the density is the mean of the whole closed volume.
    """

    name: str
    preset: Preset
    density: float
    source: str
    wall: float | None
    bulk: bool
    static: float
    dynamic: float
    restitution: float
    material: str

    @property
    def surface(self) -> tuple[str, float, float, float, float]:
        """What makes two physics materials the same one."""
        return (self.name, self.density, self.static, self.dynamic, self.restitution)


def _get(*sources: dict[str, Any], key: str) -> float | None:
    for source in sources:
        value = number(source.get(f"{PREFIX}{key}"))
        if value is not None and value >= 0:
            return value
    return None


def matter_of(shape: Shape, slot: int, look: Look | None, overrides: dict[str, Any]) -> Matter:
    """The matter of one slot of a shape; ``look`` is the material's shading, if there is one."""
    material = shape.materials[slot] if slot < len(shape.materials) else None
    own = {key: material[key] for key in material.keys()} if material else {}  # noqa: SIM118
    job = {f"{PREFIX}{key}": value for key, value in overrides.items()}
    preset, source = _preset(shape, material.name if material else "", own, job, look)

    bulk_density = _get(job, shape.props, key="density")
    density = bulk_density or _get(own, key="density")
    if density:
        source = f"density given for {'the asset' if bulk_density else 'the material'}"
        if bulk_density and _get(job, key="density") is None:
            source = "density given for the object"
    wall = _get(job, shape.props, own, key="wall_mm")
    static = _get(own, shape.props, key="static_friction")
    dynamic = _get(own, shape.props, key="dynamic_friction")
    bounce = _get(own, shape.props, key="restitution")
    custom = any(value is not None for value in (static, dynamic, bounce)) or bool(density)
    name = material.name if material else ""
    return Matter(
        name=f"{preset.name} {name}" if custom else preset.name,
        preset=preset,
        density=density or preset.density,
        source=source,
        wall=None if wall is None else wall / 1000.0,
        bulk=bulk_density is not None and bulk_density > 0,
        static=preset.static if static is None else static,
        dynamic=preset.dynamic if dynamic is None else dynamic,
        restitution=preset.restitution if bounce is None else min(1.0, bounce),
        material=name,
    )


def _preset(
    shape: Shape, material: str, own: dict[str, Any], job: dict[str, Any], look: Look | None
) -> tuple[Preset, str]:
    key = f"{PREFIX}material"
    for values, source in (
        (job, "material given for the asset"),
        (shape.props, "material given for the object"),
        (own, "material given for the material"),
    ):
        if values.get(key):
            preset = preset_named(str(values[key]))
            if preset:
                return preset, source
    for text, source in (
        (material, "name of the material"),
        (shape.name, "name of the object"),
        (shape.mesh.name, "name of the mesh"),
    ):
        preset = preset_for(text)
        if preset:
            return preset, source
    if look and look.transmission >= 0.5:
        return preset_named("glass") or GENERIC, "see-through shading"
    if look and look.metallic >= 0.5 and look.metallic_texture is None:
        return preset_named("steel") or GENERIC, "metallic shading"
    return GENERIC, "nothing known; a light generic material"
