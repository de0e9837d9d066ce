# SPDX-License-Identifier: GPL-3.0-or-later
"""USD values as plain JSON types, and which of a prim's values are worth keeping.

Blender has no place for inertia, labels or a vendor's attributes. They are kept word for word as
custom properties, so that an export can put them back. This module only reads: it never writes to
a stage or to Blender data. `pxr` objects are recognised by their shape, so it imports neither.
"""

from __future__ import annotations

import json
import math
from typing import Any

# Namespaces that Blender reads itself or that describe looks and placement.
_READ_ELSEWHERE = frozenset(
    (
        *("xformOp", "primvars", "inputs", "outputs", "info", "material", "ui", "skel", "skinning"),
        *("blendShapes", "collection", "proxyPrim", "clips", "render"),
    )
)
_PLAIN_SCHEMAS = frozenset({"MaterialBindingAPI", "GeomModelAPI", "SkelBindingAPI", "NodeDefAPI"})
_NOISE = frozenset({"Blender", "userDocBrief", "userDoc"})  # Blender's stamp, USD's own manual
_LONGEST_ARRAY = 1024
_LONGEST_NAME = 63  # of a custom property in Blender


def plain(value: Any) -> Any:
    """A USD value as bool, int, float, str, list or dict; None if it has no such form.

    Quaternions become [w, x, y, z], matrices flat lists row by row, assets their path. Infinite
    numbers are dropped: USD writes them for "not stated", and JSON cannot.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        pairs = {str(key): plain(item) for key, item in value.items()}
        return {key: item for key, item in pairs.items() if item is not None}
    if hasattr(value, "GetImaginary"):
        imaginary = value.GetImaginary()
        return [float(value.GetReal()), *(float(item) for item in imaginary)]
    if hasattr(value, "resolvedPath"):
        return str(value.path)
    if hasattr(value, "GetValue") and type(value).__name__ == "TimeCode":
        return float(value.GetValue())
    if hasattr(value, "__len__") and hasattr(value, "__getitem__"):
        if len(value) > _LONGEST_ARRAY:
            return None
        items = [plain(item) for item in value]
        if any(item is None for item in items):
            return None
        if items and all(isinstance(item, list) for item in items):
            return [number for item in items for number in item]
        return items
    return str(value)


def kept(prim: Any) -> dict[str, Any]:
    """Everything authored on the prim that Blender's importer does not read, by its USD name."""
    found: dict[str, Any] = {}
    for attribute in prim.GetAuthoredAttributes():
        name = attribute.GetName()
        space, _, rest = name.partition(":")
        if space in _READ_ELSEWHERE or not (rest or attribute.IsCustom()):
            continue
        if space == "userProperties":
            name = rest
        value = attribute.Get()
        if value is None and attribute.GetNumTimeSamples():
            value = attribute.Get(attribute.GetTimeSamples()[0])
        value = plain(value)
        if value is not None:
            found[name] = value
    for relation in prim.GetAuthoredRelationships():
        name = relation.GetName()
        if ":" in name and name.partition(":")[0] not in _READ_ELSEWHERE:
            found[name] = [str(target) for target in relation.GetTargets()]
    schemas = [name for name in prim.GetAppliedSchemas() if name not in _PLAIN_SCHEMAS]
    if schemas:
        found["usd:apiSchemas"] = schemas
    for key, data in (("customData", prim.GetCustomData()), ("assetInfo", prim.GetAssetInfo())):
        stated = {name: item for name, item in dict(data).items() if name not in _NOISE}
        if stated:
            found[f"usd:{key}"] = plain(stated)
    return found


def keep(target: Any, values: dict[str, Any]) -> None:
    """Write values as custom properties of a Blender data-block; none already there is replaced.

    What a custom property cannot hold in its own type (mixed lists, very large integers) is written
    as JSON text; names that are too long for one gather in `usd:more`, as JSON text too.
    """
    more: dict[str, Any] = {}
    for name, value in values.items():
        if value is None or name in target.keys():  # noqa: SIM118
            continue
        if len(name.encode("utf-8")) > _LONGEST_NAME:
            more[name] = value
            continue
        try:
            if isinstance(value, list) and not _one_type(value):
                raise TypeError(name)
            target[name] = value
        except (TypeError, ValueError, OverflowError, KeyError):
            target[name] = json.dumps(value, ensure_ascii=False)
    if more:
        target["usd:more"] = json.dumps(more, ensure_ascii=False)


def _one_type(items: list[Any]) -> bool:
    """Whether Blender can hold the list as an array or a list of texts."""
    kinds = {type(item) for item in items}
    return len(kinds) == 1 and kinds <= {int, float, bool, str}
