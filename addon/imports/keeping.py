# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts what Blender cannot hold on the objects that it belongs to, under its USD name.

A body's values go to its rigid body, a collider's to the collider's object, a material's to the
material; what has no counterpart in Blender (physics materials, joints, the physics scene) is kept
as JSON on the collection. Values are those of the file, in the file's units, which the collection
names; so an export can write them back unchanged. Never replaces a property that is there already.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy

from .rigid import Built
from .usd_scene import Imported
from .usd_values import keep

METADATA = "SimReady_Metadata"


def keep_all(
    made: Imported,
    built: Built,
    collection: bpy.types.Collection,
    main: bpy.types.Object | None,
    path: Path,
) -> None:
    """Keep everything that the stage states. Without physics read there is nothing to keep."""
    physics = made.physics
    if physics is None:
        return
    rest: dict[str, Any] = {}
    for prim, values in physics.kept.items():
        target = built.keepers.get(prim) or made.objects.get(prim) or made.materials.get(prim)
        if target is None:
            rest[prim] = values
        else:
            keep(target, values)
    for item, surface in built.surfaces:
        values = physics.kept.get(surface.path, {})
        stated = {name: value for name, value in values.items() if not name.startswith("usd:")}
        # An object's own density has that name already.
        stated["physicsMaterial:density"] = stated.pop("physics:density", None)
        keep(item, {"usd:physicsMaterial": surface.path, **stated})
    for prim, item in (*made.objects.items(), *built.keepers.items()):
        keep(item, {"usd:prim": prim})
    layer = dict(physics.layer_data)
    metadata = layer.pop(METADATA, None) or _sidecar(path)
    keep(collection, {METADATA: metadata, "usd:defaultPrim": physics.default_prim})
    keep(collection, physics.units)
    if main is not None:
        keep(main, {METADATA: metadata})
    if layer:
        keep(collection, {"usd:customLayerData": layer})
    if rest:
        keep(collection, {"usd:prims": json.dumps(rest, ensure_ascii=False)})


def _sidecar(path: Path) -> dict[str, Any] | None:
    """SimReady metadata that lies beside the file as `<stem>.json` (rule SR.004)."""
    try:
        data = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict):
        return None
    found = data.get(METADATA, data)
    return found if isinstance(found, dict) else None
