# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about simulations: what is not baked, and caches that do not reach as far as the frames.

A farm renders frames on many machines. What is not baked is simulated by each of them from the
start, or not at all; none of it is sure to fail, so none of it blocks. Nothing is baked or played.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from addon.recipes.preflight_facts import Facts
from addon.recipes.preflight_findings import Findings, fix_by, some, user
from addon.recipes.preflight_reach import Reach, library_path

_POINT_CACHED = {"CLOTH": "cloth", "SOFT_BODY": "soft body"}
_CACHE_KINDS = ("point_cache", "rigid_body_cache")
# Modifiers that change the shape with time by themselves.
_BY_TIME = frozenset(
    [
        "BUILD", "CLOTH", "DYNAMIC_PAINT", "FLUID", "MESH_CACHE", "MESH_SEQUENCE_CACHE", "OCEAN",
        "PARTICLE_SYSTEM", "SOFT_BODY", "WAVE", "GREASE_PENCIL_BUILD", "GREASE_PENCIL_TIME",
    ]
)  # fmt: skip
_BY_TIME_NODES = ("SIMULATION_OUTPUT", "INPUT_SCENE_TIME")


@dataclass
class Simulation:
    """One simulation: ``baked`` None where Blender does not tell; first and last frame if known."""

    owner: Any
    what: str
    baked: bool | None
    first: int | None = None
    last: int | None = None
    outdated: bool = False

    @property
    def named(self) -> str:
        """Such as "cloth of Flag"."""
        return f"{self.what} of {self.owner.name}"

    def users(self) -> list[dict[str, Any]]:
        """The object that has it; for the rigid bodies of a scene, these."""
        world = getattr(self.owner, "rigidbody_world", None)
        owners = [self.owner] if world is None else world.collection.objects
        return [user(type(item).__name__, item, library_path(item)) for item in owners]


def _users(found: list[Simulation]) -> list[dict[str, Any]]:
    return [row for one in found for row in one.users()]


def examine(facts: Facts, reach: Reach, dependencies: Sequence[Any], findings: Findings) -> None:
    """Add what there is to say about the simulations within reach."""
    frames = facts.frames
    if facts.sequencer or frames is None or not frames.count:
        return
    found = list(simulations(facts, reach, dependencies))
    loose = [one for one in found if one.baked is False and frames.last > (one.first or 0)]
    if loose:
        names = list(dict.fromkeys(one.named for one in loose))
        findings.add(
            "unbaked",
            f"Not baked: {some(names)}.",
            "Each machine of the farm would simulate from the start, or frames may differ. "
            "Bake it, save, and send again.",
            users=_users(loose),
            fix=fix_by("select", *_which(loose)),
        )
    unknown = [one for one in found if one.baked is None]
    if unknown:
        findings.add(
            "perhaps_unbaked",
            f"Blender does not tell whether this is baked: {some(one.named for one in unknown)}.",
            "If it is not, bake it, save, and send again.",
            users=_users(unknown),
            fix=fix_by("select", *_which(unknown)),
        )
    old = [one for one in found if one.baked and one.outdated]
    if old:
        findings.add(
            "cache_outdated",
            f"Settings were changed after baking: {some(one.named for one in old)}.",
            "Bake it again if the change matters.",
            users=_users(old),
            fix=fix_by("select", *_which(old)),
        )
    short = [one for one in found if one.last is not None and one.last < frames.last]
    if short:
        one = short[0]
        findings.add(
            "cache_range",
            f"The {one.named} ends at frame {one.last}, but frames up to {frames.last} are asked "
            "for.",
            "After its end it stands still. Make it longer and bake again, or ask for fewer "
            "frames.",
            users=_users(short),
            technical="; ".join(f"{one.named}: {one.first} to {one.last}" for one in short)[:300],
            fix=fix_by("select", *_which(short)),
        )
    _blur(facts, [one for one in found if one.baked], dependencies, findings)


def _which(found: list[Simulation]) -> tuple[str, str]:
    """What a button selects: the one object, or all users of the finding."""
    users = _users(found)
    return (users[0]["type"], users[0]["name"]) if len(users) == 1 else ("", "")


def _blur(
    facts: Facts, baked: list[Simulation], dependencies: Sequence[Any], findings: Findings
) -> None:
    """Motion blur looks a little before and after a frame; caches may end right there."""
    frames, render = facts.frames, facts.scene.render
    if not facts.motion_blur or frames is None:
        return
    after = render.motion_blur_position != "END"
    before = render.motion_blur_position != "START"
    names, users = [], []
    for one in baked:
        first, last = one.first, one.last
        if (after and last == frames.last) or (
            before and first is not None and first == frames.first > 1
        ):
            names.append(one.named)
            users += one.users()
    for one in dependencies:
        if one.kind in ("alembic", "mesh_cache", "volume_sequence", "usd") and one.frames:
            first, last = one.frames
            if (after and last == frames.last) or (before and first == frames.first):
                names.append(one.path.replace("\\", "/").rpartition("/")[2])
                users += one.users
    if names:
        findings.add(
            "cache_blur",
            f"Motion blur needs a frame beyond the range, and there is none: {some(names)}.",
            "The first or last frame may be less blurred than the others.",
            users=users,
        )


# What simulates


def simulations(facts: Facts, reach: Reach, dependencies: Sequence[Any]) -> Iterator[Simulation]:
    """Every simulation that a render reads."""
    on_disk = {
        (entry["type"], entry["name"])
        for one in dependencies
        if one.files and one.kind in (*_CACHE_KINDS, "fluid_cache", "nodes_bake")
        for entry in one.users
    }
    for item in reach.objects():
        held = (type(item).__name__, item.name) in on_disk
        for modifier in item.modifiers:
            if modifier.show_render:
                yield from _of_modifier(item, modifier, held)
    world = facts.scene.rigidbody_world
    if world is not None and world.enabled and world.collection and world.collection.objects:
        held = ("Scene", facts.scene.name) in on_disk
        yield _of_cache(facts.scene, "rigid bodies", world.point_cache, held)


def _of_modifier(item: Any, modifier: Any, held: bool) -> Iterator[Simulation]:
    kind = modifier.type
    if kind in _POINT_CACHED:
        yield _of_cache(item, _POINT_CACHED[kind], modifier.point_cache, held)
    elif kind == "PARTICLE_SYSTEM":
        system = modifier.particle_system
        settings = system.settings if system is not None else None
        if settings is None:  # linked, and its library is gone
            return
        hair = settings.type == "HAIR"
        if system.use_hair_dynamics if hair else settings.physics_type != "NO":
            what = "hair dynamics" if hair else "particles"
            yield _of_cache(item, what, system.point_cache, held)
    elif kind == "DYNAMIC_PAINT" and modifier.canvas_settings is not None:
        for surface in modifier.canvas_settings.canvas_surfaces:
            if surface.is_active and surface.is_cache_user:
                yield _of_cache(item, "dynamic paint", surface.point_cache, held)
    elif kind == "FLUID" and modifier.fluid_type == "DOMAIN":
        domain = modifier.domain_settings
        first, last = domain.cache_frame_start, domain.cache_frame_end
        baked = domain.has_cache_baked_data or (domain.cache_type == "REPLAY" and held)
        yield Simulation(item, "fluid", bool(baked), first, last)
    elif kind == "NODES" and uses_node(modifier.node_group, ("SIMULATION_OUTPUT",)):
        yield Simulation(item, "simulation nodes", _nodes_baked(modifier, held))


def _of_cache(owner: Any, what: str, cache: Any, held: bool) -> Simulation:
    """A point cache: baked, or on disk as far as it was played, or read from a chosen folder."""
    kept = cache.is_baked or cache.use_external or (cache.use_disk_cache and held)
    first, last = cache.frame_start, cache.frame_end
    return Simulation(owner, what, bool(kept), first, last, bool(cache.is_outdated))


def _nodes_baked(modifier: Any, held: bool) -> bool | None:
    """Bakes on disk are seen; whether one is packed into the file, Blender does not tell."""
    if held:
        return True
    targets = {getattr(bake, "bake_target", "DISK") for bake in modifier.bakes}
    own = getattr(modifier, "bake_target", "DISK")
    return None if "PACKED" in {own if one == "INHERIT" else one for one in targets} else False


def uses_node(tree: Any, kinds: Sequence[str], seen: set[str] | None = None) -> bool:
    """Whether a node of one of these types is in a tree or in the groups that it uses."""
    seen = set() if seen is None else seen
    if tree is None or tree.name_full in seen:
        return False
    seen.add(tree.name_full)
    return any(
        (node.type in kinds and not node.mute)
        or (node.type == "GROUP" and uses_node(node.node_tree, kinds, seen))
        for node in tree.nodes
    )


# Whether anything moves at all


def moves(facts: Facts, reach: Reach) -> bool:
    """Whether anything within reach may differ from frame to frame; in doubt it does."""
    if any(marker.camera is not None for marker in facts.scene.timeline_markers):
        return True
    if any(_animated(item) for item in reach.animated()):
        return True
    if facts.scene.rigidbody_world is not None:
        return True
    for item in reach.items.values():
        kind = type(item).__name__
        if kind == "CacheFile" or (kind == "MovieClip"):
            return True
        if kind == "Image" and item.source in ("MOVIE", "SEQUENCE"):
            return True
        if kind == "Volume" and item.is_sequence:
            return True
        if kind in ("GreasePencil", "GreasePencilv3") and _drawn_over_time(item):
            return True
        if kind == "Text" and item.use_module:
            return True
    if any(node.type in ("CUSTOM", "SCRIPT") for tree, _ in reach.trees() for node in tree.nodes):
        return True
    return any(_changes(modifier) for item in reach.objects() for modifier in item.modifiers)


def _animated(item: Any) -> bool:
    data = getattr(item, "animation_data", None)
    if data is None:
        return False
    return data.action is not None or bool(data.drivers) or any(t.strips for t in data.nla_tracks)


def _changes(modifier: Any) -> bool:
    if modifier.type == "NODES":
        return uses_node(modifier.node_group, _BY_TIME_NODES)
    return modifier.type in _BY_TIME


def _drawn_over_time(item: Any) -> bool:
    return any(len(layer.frames) > 1 for layer in item.layers)
