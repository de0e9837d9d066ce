# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender rigid bodies with the mass, friction and restitution that a USD file states.

How Blender's own limits are met (all measured):
* A rigid body must be a mesh, and its centre of mass is its origin. So a body is a mesh without
  vertices, the *carrier*, placed at the centre of mass; its shape is COMPOUND and its direct
  children with rigid bodies are the shapes.
* A body has one friction and one restitution. Blender multiplies the frictions of two bodies, so
  the floor of the preview has friction 1.
* A collision margin of 0 lets things rest exactly on each other.

Adds to the scene's rigid body world, or makes one; changes no body that was there before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import bpy
from mathutils import Matrix, Vector

from ...bridge.problems import Category, ProblemError
from .. import versions
from .report import ImportReport, counted, listed
from .shapes import Shape, box_mesh, is_close, rigid_part, shape_of
from .usd_physics import WATER, Body, Collider, StagePhysics, Surface
from .usd_scene import Imported

EARTH = 9.81  # m/s2
Values = tuple[float | None, float | None, float | None]
REPLACED = {
    "none": "the exact surface",
    "meshSimplification": "a simplified surface",
    "sdf": "a distance field",
    "convexDecomposition": "several convex parts",
}


@dataclass
class _Part:
    """A collider on its way into Blender."""

    collider: Collider
    shape: Shape
    item: bpy.types.Object
    anchor: bpy.types.Object | None
    mass: float = 0.0


@dataclass
class Built:
    """What was made: bodies (carriers), collider objects, and by prim path who keeps its values."""

    bodies: list[bpy.types.Object] = field(default_factory=list)
    colliders: list[bpy.types.Object] = field(default_factory=list)
    added: list[bpy.types.Object] = field(default_factory=list)
    keepers: dict[str, bpy.types.Object] = field(default_factory=dict)
    surfaces: list[tuple[bpy.types.Object, Surface]] = field(default_factory=list)
    dynamic: bool = False


class BodyBuilder:
    """Builds the bodies of one import in one scene."""

    def __init__(
        self,
        scene: bpy.types.Scene,
        collection: bpy.types.Collection,
        made: Imported,
        physics: StagePhysics,
        report: ImportReport,
    ) -> None:
        self.scene = scene
        self.collection = collection
        self.made = made
        self.physics = physics
        self.report = report
        self.members = rigid_members(scene)
        if self.members.library:
            raise ProblemError(
                Category.INPUT,
                "The scene's rigid bodies are in a collection that is linked from another file.",
                "Choose a collection of this file under Scene > Rigid Body World, then import "
                "again.",
                f"collection {self.members.name_full}",
            )
        self.hulls: bpy.types.Collection | None = None
        self.built = Built()

    def build(self) -> Built:
        """Make every body and every collider that stands alone."""
        for body in self.physics.bodies:
            self._body(body)
        for collider in self.physics.loose:
            part = self._part(collider, moves=False)
            if part is not None:
                if part.anchor not in (None, part.item):
                    attach(part.item, part.anchor, part.anchor.matrix_world)
                self._rigid(part.item, "PASSIVE", part.shape.kind)
                self._surface(part.item, [part])
                self.built.bodies.append(part.item)
        return self.built

    def _body(self, body: Body) -> None:
        moves = body.dynamic
        parts = [p for c in body.colliders if (p := self._part(c, moves=moves)) is not None]
        name = body.path.rsplit("/", 1)[-1]
        if not parts:
            self.report.lose(f"{name} has no collider that Blender can use: it does not move.")
            return
        mass = self._mass(body, parts)
        center = Vector(body.mass.center) if body.mass.center else self._center(parts)
        frame = Matrix.Translation(center) @ rigid_part(Matrix(body.matrix)).to_3x3().to_4x4()
        own = self.made.objects.get(body.path)
        whole = parts[0].item
        if own is whole and len(parts) == 1 and is_close(own.matrix_world, frame, 1e-6):
            carrier = whole
            self._rigid(carrier, "ACTIVE", parts[0].shape.kind)
        else:
            carrier = self._carrier(f"{name} Body", frame, body, parts)
        rigid = carrier.rigid_body
        if not moves:
            rigid.type = "PASSIVE"
        rigid.kinematic = body.kinematic
        rigid.mass = mass
        rigid.linear_damping = 0.0 if body.damping[0] is None else min(1.0, body.damping[0])
        rigid.angular_damping = 0.05 if body.damping[1] is None else min(1.0, body.damping[1])
        if body.asleep:
            rigid.use_deactivation = rigid.use_start_deactivated = True
        self._surface(carrier, parts)
        self.built.bodies.append(carrier)
        self.built.keepers[body.path] = carrier
        self.built.dynamic |= moves and not body.kinematic
        if moves:
            self.report.mass += mass
        if body.moving:
            self.report.lose(f"{name} starts with a velocity; in Blender it starts at rest.")

    def _carrier(
        self, name: str, frame: Matrix, body: Body, parts: list[_Part]
    ) -> bpy.types.Object:
        """A body of several shapes: everything below the body's prim moves with it."""
        carrier = bpy.data.objects.new(name, bpy.data.meshes.new(name))
        self.collection.objects.link(carrier)
        carrier.matrix_world = frame
        self.built.added.append(carrier)
        self._rigid(carrier, "ACTIVE", "COMPOUND")
        below = self._below(body.path)
        inside = set(below)
        for item in below:
            if item.parent not in inside:
                attach(item, carrier, frame)
        for part in parts:
            # Blender looks for shapes among the direct children only.
            if part.item.parent is not carrier:
                attach(part.item, carrier, frame)
            self._rigid(part.item, "ACTIVE", part.shape.kind)
            self._surface(part.item, [part])
            if part.collider.mass.mass:
                part.item.rigid_body.mass = part.collider.mass.mass
        return carrier

    def _below(self, path: str) -> list[bpy.types.Object]:
        """Objects of the prims at and below a body, those of bodies further below left out."""
        others = [b.path for b in self.physics.bodies if b.path != path and _under(b.path, path)]
        return [
            item
            for place, item in self.made.objects.items()
            if _under(place, path) and not any(_under(place, other) for other in others)
        ]

    def _part(self, collider: Collider, *, moves: bool) -> _Part | None:
        source = self.made.objects.get(collider.path)
        shape = shape_of(collider, source, moves)
        anchor = source.parent if source is not None and collider.guide else source
        name = collider.path.rsplit("/", 1)[-1]
        if shape is None:
            self.report.lose(f"The collider {name} has no form that Blender can use.")
            return None
        if not shape.exact:
            self._say_replaced(collider, name)
        if shape.mesh is None and source is not None:
            item = source
        elif source is not None and collider.guide:
            item = source
            old = item.data
            shape.mesh.name = name
            item.data = shape.mesh
            if isinstance(old, bpy.types.Mesh) and old.users == 0:
                bpy.data.meshes.remove(old)
            attach(item, None, Matrix())
            item.matrix_world = shape.place
        else:
            shape.mesh.name = f"{name} Collider"
            item = bpy.data.objects.new(f"{name} Collider", shape.mesh)
            item.matrix_world = shape.place
            self.built.added.append(item)
        if item is not source or collider.guide:
            self._tidy(item)
        self.built.keepers.setdefault(collider.path, source or item)
        self.built.colliders.append(item)
        self.report.colliders += 1
        return _Part(collider, shape, item, anchor)

    def _say_replaced(self, collider: Collider, name: str) -> None:
        if collider.kind == "Mesh":
            wanted = REPLACED.get(collider.approximation, collider.approximation)
            self.report.lose(f"The collider {name} asks for {wanted}; a convex hull replaces it.")
        else:
            self.report.lose(f"The collider {name} ({collider.kind}) is only approximated.")

    def _tidy(self, item: bpy.types.Object) -> None:
        """Collider hulls: wire, never rendered, in a collection of their own."""
        if self.hulls is None:
            self.hulls = bpy.data.collections.new("Colliders")
            self.hulls.color_tag = "COLOR_04"
            self.collection.children.link(self.hulls)
        for home in tuple(item.users_collection):
            if home != self.members:
                home.objects.unlink(item)
        self.hulls.objects.link(item)
        item.display_type = "WIRE"
        item.hide_render = True

    def _rigid(self, item: bpy.types.Object, kind: str, shape: str) -> None:
        """Make the object a rigid body; linking it to the world's collection does that."""
        if item.name not in self.members.objects:
            self.members.objects.link(item)
        rigid = item.rigid_body
        rigid.type = kind
        rigid.collision_shape = shape
        rigid.use_margin = True
        rigid.collision_margin = 0.0

    def _mass(self, body: Body, parts: list[_Part]) -> float:
        """Kilograms: the body's mass, else the sum over its colliders, in UsdPhysics' order."""
        for part in parts:
            stated = part.collider.mass
            surface = part.collider.surface
            density = stated.density or body.mass.density or (surface.density if surface else None)
            volume = part.shape.volume / self.physics.scale**3  # cubic metres
            part.mass = stated.mass or (density or WATER) * volume
            if not (stated.mass or density or body.mass.mass):
                name = body.path.rsplit("/", 1)[-1]
                self.report.note(f"The file states no mass for {name}: it weighs as much as water.")
        mass = body.mass.mass or sum(part.mass for part in parts)
        if mass < 0.001:  # Blender's smallest
            mass = 0.001
        return mass

    def _center(self, parts: list[_Part]) -> Vector:
        """Where the file states none: from the parts, weighted by their mass."""
        total = sum(part.mass for part in parts)
        weights = [part.mass / total if total > 0 else 1 / len(parts) for part in parts]
        middle = Vector()
        for part, weight in zip(parts, weights, strict=True):
            stated = part.collider.mass.center
            middle += weight * (Vector(stated) if stated else part.shape.center)
        return middle

    def _surface(self, item: bpy.types.Object, parts: list[_Part]) -> None:
        """Friction and restitution; of several materials the one with most volume."""
        volumes: dict[Values, float] = defaultdict(float)
        surfaces = {}
        for part in parts:
            surface = part.collider.surface
            values = surface.values if surface else (None, None, None)
            volumes[values] += part.shape.volume
            surfaces[values] = surface
        surface = surfaces[max(volumes, key=lambda values: volumes[values])]
        rigid = item.rigid_body
        friction = surface.friction if surface else None
        rigid.friction = 0.5 if friction is None else friction
        rigid.restitution = min(1.0, (surface.restitution if surface else None) or 0.0)
        if surface is not None:
            self.built.surfaces.append((item, surface))
        if len(volumes) > 1:
            self.report.lose(
                f"{item.name} has {counted(len(volumes), 'physics material')}, but Blender knows "
                "one for a body. The one with most volume was taken."
            )
        if surface and surface.static_friction not in (None, friction):
            self.report.lose(
                "Blender has one friction: the dynamic one was taken, the static one is kept as a "
                "property."
            )


def rigid_members(scene: bpy.types.Scene) -> bpy.types.Collection:
    """The collection of the scene's rigid bodies; world and collection are made if absent."""
    world = scene.rigidbody_world
    if world is None:
        with bpy.context.temp_override(scene=scene):
            bpy.ops.rigidbody.world_add()
        world = scene.rigidbody_world
    if world.collection is None:
        world.collection = bpy.data.collections.new("RigidBodyWorld")
        world.collection.use_fake_user = True
    return world.collection


def prepare_world(
    scene: bpy.types.Scene, report: ImportReport, *, new: bool, scale: float = 1.0
) -> None:
    """Let the simulation last as long as the scene, and never shorter than it did.

    `new`: the world was made by this import, so its precision may be set. With Blender's 10 solver
    iterations, a body of many hulls that lands flat tumbles over; with 50 it stays upright.
    """
    world = scene.rigidbody_world
    if world is None:
        return
    cache = world.point_cache
    if cache.is_baked:
        report.note("The scene's rigid bodies are baked. Delete the bake to see the new body move.")
    else:
        if new:
            cache.frame_start = scene.frame_start
            world.solver_iterations = 50
        cache.frame_end = max(cache.frame_end, scene.frame_end, cache.frame_start + 249)
    if not world.enabled:
        report.note("The scene's rigid body world is off. Switch it on to see the body fall.")
    if not scene.use_gravity:
        report.note("Gravity is switched off in this scene, so nothing will fall.")
    elif abs(scene.gravity.z / scale + EARTH) > 0.05 * EARTH and abs(scale - 1.0) > 1e-6:
        report.note(
            f"A unit of this scene is {1 / scale:.4g} m, but its gravity is that of a scene in "
            f"metres. Set the scene's gravity to {-EARTH * scale:.4g} units to see the real speed."
        )


def has_passive(scene: bpy.types.Scene, own: Iterable[bpy.types.Object] = ()) -> bool:
    """Whether the scene has something for bodies to rest on."""
    world = scene.rigidbody_world
    mine = set(own)
    if world is None or world.collection is None:
        return False
    return any(
        item.rigid_body is not None and item.rigid_body.type == "PASSIVE"
        for item in world.collection.objects
        if item not in mine
    )


def add_ground(
    scene: bpy.types.Scene,
    collection: bpy.types.Collection,
    height: float,
    middle: Vector,
    reach: float,
) -> bpy.types.Object:
    """A floor for the preview: not rendered, friction 1, its top at `height`."""
    half = Vector((reach, reach, 0.5 * max(1.0, versions.units_per_metre(scene))))
    ground = bpy.data.objects.new("Preview Ground", box_mesh("Preview Ground", half))
    collection.objects.link(ground)
    ground.location = (middle.x, middle.y, height - half.z)
    ground.display_type = "WIRE"
    ground.hide_render = True
    rigid_members(scene).objects.link(ground)
    rigid = ground.rigid_body
    rigid.type = "PASSIVE"
    rigid.collision_shape = "BOX"
    rigid.friction = 1.0
    rigid.restitution = 1.0  # multiplied too: the body bounces with its own value
    # A box keeps its size whatever its margin; with 0, hulls that land flat are kicked sideways.
    rigid.use_margin = True
    rigid.collision_margin = 0.04
    return ground


def attach(item: bpy.types.Object, parent: bpy.types.Object | None, frame: Matrix) -> None:
    """Change the parent and leave the object where it is; `frame` is the parent's world matrix."""
    above = Matrix()
    if item.parent is not None:
        above = item.parent.matrix_world @ item.matrix_parent_inverse
    if parent is None:
        world = above @ item.matrix_basis
        item.parent = None
        item.matrix_parent_inverse = Matrix()
        item.matrix_world = world
        return
    item.parent = parent
    item.matrix_parent_inverse = frame.inverted() @ above


def summary(physics: StagePhysics, report: ImportReport) -> None:
    """Say what the file states beyond Blender's rigid bodies."""
    if any(body.mass.inertia for body in physics.bodies):
        report.lose(
            "Blender works out inertia from the colliders; the stated one is kept as a property."
        )
    if physics.joints:
        names = listed(path.rsplit("/", 1)[-1] for path in physics.joints)
        report.lose(
            f"{counted(len(physics.joints), 'joint')} not rebuilt ({names}); the values are kept "
            "as properties."
        )
    if physics.unreadable:
        names = listed(physics.unreadable)
        report.lose(f"Blender cannot read the surface of these materials: {names}.")


def _under(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")
