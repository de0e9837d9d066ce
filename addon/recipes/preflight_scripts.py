# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about Python and add-ons: what a farm, which runs no scripts of the file, would miss.

Only what a Blender without the artist's add-ons can see, and what capture.json remembers of the
artist's session. No script is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import bpy

from addon.recipes.preflight_facts import BUILT_IN_ENGINES, CYCLES, Facts
from addon.recipes.preflight_findings import Findings, fix_by, some, user
from addon.recipes.preflight_reach import Reach, drivers, library_path

_UNDEFINED = ("NodeUndefined", "NodeTreeUndefined")
_OWN = "scene_courier"
_BLENDERS = "cycles"  # settings of older versions, which nothing reads any more


def examine(facts: Facts, reach: Reach, findings: Findings) -> list[str]:
    """Add what needs Python; return the names of the add-ons that the scene depends on."""
    _scripts(facts, reach, findings)
    _osl(facts, reach, findings)
    names = _addons(facts, reach, findings)
    left = sorted(_addon_data(reach))
    if left:
        findings.add(
            "addon_data",
            f"Add-ons keep settings of their own in this file: {some(left, 5)}.",
            "What they have already made is rendered; what they would do while rendering is not.",
        )
    return names


def _scripts(facts: Facts, reach: Reach, findings: Findings) -> None:
    """Drivers in full Python, functions that a session gave them, scripts that run on load."""
    owners: dict[tuple[str, str], Any] = {}
    expressions = []
    for item, curve in drivers(reach.animated()):
        if not curve.driver.is_simple_expression:
            owner = _owner(item, reach)
            owners[type(owner).__name__, owner.name] = owner
            expressions.append(f"{owner.name}: {curve.driver.expression}")
    functions = [str(entry["name"]) for entry in facts.capture.get("driver_namespace", [])]
    functions = [
        name for name in functions if any(re.search(rf"\b{name}\b", text) for text in expressions)
    ]
    texts = [text.name for text in bpy.data.texts if text.use_module and text.name.endswith(".py")]
    if not expressions and not texts:
        return
    parts = []
    if expressions:
        what = "A driver needs" if len(expressions) == 1 else f"{len(expressions)} drivers need"
        parts.append(f"{what} Python: {some(owner.name for owner in owners.values())}.")
    if functions:
        parts.append(f"Functions that only your own session knows: {some(functions)}.")
    if texts:
        parts.append(f"Scripts that run when the file is opened: {some(texts)}.")
    owner = next(iter(owners.values()), None)
    selected = isinstance(owner, bpy.types.Object)
    findings.add(
        "autoexec_fail",
        " ".join(parts),
        "Farms do not run a file's scripts. Bake what they drive into keyframes, or write the "
        "drivers with simple expressions.",
        technical="; ".join(expressions + texts)[:600],
        users=[
            *(user(type(one).__name__, one, library_path(one)) for one in owners.values()),
            *(user("Text", name) for name in texts),
        ],
        fix=fix_by("select", "Object", owner.name) if selected and owner else None,
    )


def _owner(item: Any, reach: Reach) -> Any:
    """The data-block that a person knows: a material for its nodes, a mesh for its shape keys."""
    if isinstance(item, bpy.types.NodeTree) and item.is_embedded_data:
        for tree, owner in reach.trees():
            if tree == item:
                return owner
    return getattr(item, "user", item) if isinstance(item, bpy.types.Key) else item


def _osl(facts: Facts, reach: Reach, findings: Findings) -> None:
    found = [
        (owner, node)
        for tree, owner in reach.trees()
        for node in tree.nodes
        if node.type == "SCRIPT" and not node.mute
    ]
    if not found or facts.engine != CYCLES:
        return
    owners = list({owner.name: owner for owner, _ in found}.values())
    cycles = getattr(facts.scene, "cycles", None)
    active = bool(getattr(cycles, "shading_system", False))
    findings.add(
        "osl",
        f"Shaders written in OSL are used: {some(owner.name for owner in owners)}.",
        "They render on processors, and on NVIDIA cards with OptiX only."
        if active
        else "Open Shading Language is switched off in the render properties, so they have no "
        "effect.",
        users=[user(type(one).__name__, one, library_path(one)) for one in owners],
    )


def _addons(facts: Facts, reach: Reach, findings: Findings) -> list[str]:
    modules = {entry["idname"]: entry["module"] for entry in facts.capture.get("nodes", [])}
    owners: dict[tuple[str, str], Any] = {}
    kinds = []
    for tree, owner in reach.trees():
        if tree.bl_idname in _UNDEFINED:
            owners[type(owner).__name__, owner.name] = owner
        for node in tree.nodes:
            if node.bl_idname in _UNDEFINED:
                owners[type(owner).__name__, owner.name] = owner
                kinds.append(node.name)
    names = sorted({_plain(module) for module in modules.values()})
    engine = facts.capture.get("engine_module")
    if engine and facts.engine not in BUILT_IN_ENGINES:
        names = sorted({*names, _plain(engine)})
    if not owners and not modules:
        return names
    told = f": {some(names)}" if names else ", which this Blender does not know"
    where = f" They are in {some(owner.name for owner in owners.values())}." if owners else ""
    findings.add(
        "addons",
        f"The scene has nodes of an add-on{told}.{where}",
        "The farm may not have the add-on, and such nodes have no effect without it. Bake them, "
        "or replace them by Blender's own.",
        technical=", ".join(dict.fromkeys([*modules, *kinds]))[:300],
        users=[user(type(one).__name__, one, library_path(one)) for one in owners.values()],
    )
    return names


def _plain(module: str) -> str:
    """ "bl_ext.user_default.glow" -> "glow"."""
    return module.rpartition(".")[2]


def _addon_data(reach: Reach) -> set[str]:
    """Groups of settings within reach that no class here describes."""
    found: set[str] = set()
    for item in reach.items.values():
        groups = _groups(item)
        if groups:
            found |= groups - set(item.bl_rna.properties.keys())
    return {name for name in found if name != _OWN and not name.startswith(_BLENDERS)}


def _groups(item: Any) -> set[str]:
    # Since 5.0 what add-ons register lies apart from a person's own properties.
    get = getattr(item, "bl_system_properties_get", None)
    if get is not None:
        kept = get()
        return _named(kept, kept.keys()) if kept is not None else set()
    return _named(item, item.keys())


def _named(holder: Any, names: Iterable[str]) -> set[str]:
    return {name for name in names if hasattr(holder[name], "to_dict") and not name.startswith("_")}
