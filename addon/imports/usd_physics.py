# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a USD stage states about physics, as plain Python values.

Follows UsdPhysics: which prims are bodies, which colliders belong to them, mass, density, friction
and restitution. Places come out in the scene's units (metres in most scenes) and Z up, masses and
densities in kilograms and kg/m3. This module knows `pxr` but not bpy, changes nothing, and keeps no
reference to the stage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from .usd_values import kept, plain

Rows = list[list[float]]
"""A 4x4 matrix by rows that multiplies column vectors, as Blender's do."""

GPRIMS = {"Cube", "Sphere", "Capsule", "Capsule_1", "Cylinder", "Cylinder_1", "Cone", "Plane"}
_SIZES = ("size", "radius", "radiusTop", "radiusBottom", "height", "width", "length", "axis")
WATER = 1000.0  # kg/m3; what UsdPhysics assumes if nothing states a mass or a density


@dataclass
class Surface:
    """A physics material. Friction and restitution have no unit, the density is in kg/m3."""

    path: str
    static_friction: float | None = None
    dynamic_friction: float | None = None
    restitution: float | None = None
    density: float | None = None

    @property
    def friction(self) -> float | None:
        """What Blender's one friction value becomes: the dynamic one if stated, else the static."""
        return self.static_friction if self.dynamic_friction is None else self.dynamic_friction

    @property
    def values(self) -> tuple[float | None, float | None, float | None]:
        """Static friction, dynamic friction, restitution."""
        return self.static_friction, self.dynamic_friction, self.restitution


@dataclass
class Mass:
    """A MassAPI: kg, kg/m3, centre of mass in the world; None where nothing is stated."""

    mass: float | None = None
    density: float | None = None
    center: tuple[float, float, float] | None = None
    inertia: bool = False


@dataclass
class Collider:
    """A prim with CollisionAPI. `matrix` takes its local space to Blender's world."""

    path: str
    kind: str
    approximation: str
    matrix: Rows
    guide: bool
    mass: Mass
    surface: Surface | None
    size: dict[str, Any] = field(default_factory=dict)


@dataclass
class Body:
    """A prim with RigidBodyAPI and the colliders below it."""

    path: str
    matrix: Rows
    mass: Mass
    dynamic: bool = True
    kinematic: bool = False
    asleep: bool = False
    moving: bool = False
    damping: tuple[float | None, float | None] = (None, None)
    colliders: list[Collider] = field(default_factory=list)


@dataclass
class StagePhysics:
    """All that one stage states. `kept` and `matrices` are by prim path."""

    units: dict[str, Any]
    default_prim: str
    layer_data: dict[str, Any]
    bodies: list[Body] = field(default_factory=list)
    loose: list[Collider] = field(default_factory=list)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    matrices: dict[str, Rows] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    empty: set[str] = field(default_factory=set)
    joints: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    gravity: float | None = None
    scale: float = 1.0  # the scene's units for each metre


class _Reader:
    """One pass over a stage."""

    def __init__(self, stage: Any, scale: float) -> None:
        from pxr import UsdGeom, UsdPhysics

        self.stage = stage
        self.cache = UsdGeom.XformCache()
        self.metres = float(UsdGeom.GetStageMetersPerUnit(stage))
        self.kilograms = float(UsdPhysics.GetStageKilogramsPerUnit(stage))
        self.up = str(UsdGeom.GetStageUpAxis(stage))
        default = stage.GetDefaultPrim()
        self.found = StagePhysics(
            units={
                "usd:metersPerUnit": self.metres,
                "usd:kilogramsPerUnit": self.kilograms,
                "usd:upAxis": self.up,
            },
            default_prim=str(default.GetPath()) if default else "",
            layer_data=plain(dict(stage.GetRootLayer().customLayerData)) or {},
            scale=scale,
        )

    def read(self) -> StagePhysics:
        from pxr import Usd, UsdGeom, UsdPhysics, UsdShade

        bodies: dict[str, Body] = {}
        for prim in Usd.PrimRange.Stage(self.stage, Usd.TraverseInstanceProxies()):
            path = str(prim.GetPath())
            values = kept(prim)
            if values:
                self.found.kept[path] = values
            if prim.IsA(UsdGeom.Imageable):
                self.found.matrices[path] = self.matrix(prim)
                if self.hidden(prim):
                    self.found.unseen.add(path)
                if not prim.IsA(UsdGeom.Gprim) and not values:
                    self.found.empty.add(path)
            if prim.HasAPI(UsdPhysics.RigidBodyAPI):
                bodies[path] = self.body(prim)
            if prim.HasAPI(UsdPhysics.CollisionAPI):
                self.collider(prim, bodies)
            if prim.IsA(UsdPhysics.Joint):
                self.found.joints.append(path)
            if prim.IsA(UsdPhysics.Scene):
                gravity = prim.GetAttribute("physics:gravityMagnitude").Get()
                if gravity is not None and math.isfinite(gravity) and gravity >= 0:
                    self.found.gravity = float(gravity) * self.metres
            if prim.IsA(UsdShade.Material) and self.unreadable(prim):
                self.found.unreadable.append(prim.GetName())
        self.found.bodies = list(bodies.values())
        return self.found

    def matrix(self, prim: Any) -> Rows:
        """From the prim's space to Blender's world: the stage's units and up axis included."""
        local = self.cache.GetLocalToWorldTransform(prim)
        rows = [[float(local[column][row]) for column in range(4)] for row in range(4)]
        size = self.metres * self.found.scale
        for index in range(3):
            rows[index] = [value * size for value in rows[index]]
        if self.up == "Y":
            rows[1], rows[2] = [-value for value in rows[2]], rows[1]
        return rows

    @staticmethod
    def hidden(prim: Any) -> bool:
        """Whether the prim is a guide, a stand-in or invisible, so that no render shows it."""
        from pxr import UsdGeom

        imageable = UsdGeom.Imageable(prim)
        if imageable.ComputePurpose() in (UsdGeom.Tokens.guide, UsdGeom.Tokens.proxy):
            return True
        return bool(imageable.ComputeVisibility() == UsdGeom.Tokens.invisible)

    def mass(self, prim: Any, matrix: Rows) -> Mass:
        from pxr import UsdPhysics

        if not prim.HasAPI(UsdPhysics.MassAPI):
            return Mass()
        api = UsdPhysics.MassAPI(prim)
        mass = _positive(api.GetMassAttr())
        density = _positive(api.GetDensityAttr())
        center = None
        attribute = api.GetCenterOfMassAttr()
        if attribute and attribute.HasAuthoredValue():
            point = attribute.Get()
            if point is not None and all(math.isfinite(value) for value in point):
                center = apply(matrix, (float(point[0]), float(point[1]), float(point[2])))
        inertia = plain(api.GetDiagonalInertiaAttr().Get())
        return Mass(
            mass=None if mass is None else mass * self.kilograms,
            density=None if density is None else density * self.kilograms / self.metres**3,
            center=center,
            inertia=bool(inertia and any(inertia)),
        )

    def body(self, prim: Any) -> Body:
        from pxr import UsdPhysics

        api = UsdPhysics.RigidBodyAPI(prim)
        matrix = self.matrix(prim)
        speeds = [api.GetVelocityAttr().Get(), api.GetAngularVelocityAttr().Get()]
        return Body(
            path=str(prim.GetPath()),
            matrix=matrix,
            mass=self.mass(prim, matrix),
            dynamic=_flag(api.GetRigidBodyEnabledAttr(), True),
            kinematic=_flag(api.GetKinematicEnabledAttr(), False),
            asleep=_flag(api.GetStartsAsleepAttr(), False),
            moving=any(value is not None and any(value) for value in speeds),
            damping=(
                _number(prim.GetAttribute("physxRigidBody:linearDamping")),
                _number(prim.GetAttribute("physxRigidBody:angularDamping")),
            ),
        )

    def collider(self, prim: Any, bodies: dict[str, Body]) -> None:
        """Add the collider to its body: the nearest prim at or above it with RigidBodyAPI."""
        from pxr import UsdGeom, UsdPhysics

        if not _flag(UsdPhysics.CollisionAPI(prim).GetCollisionEnabledAttr(), True):
            return
        kind = str(prim.GetTypeName())
        approximation = ""
        if prim.IsA(UsdGeom.Mesh):
            kind = "Mesh"
            approximation = "none"
            if prim.HasAPI(UsdPhysics.MeshCollisionAPI):
                stated = UsdPhysics.MeshCollisionAPI(prim).GetApproximationAttr().Get()
                approximation = str(stated or "none")
        size: dict[str, Any] = {}
        if kind in GPRIMS:
            for name in _SIZES:
                attribute = prim.GetAttribute(name)
                if attribute and attribute.Get() is not None:
                    size[name] = plain(attribute.Get())
        matrix = self.matrix(prim)
        collider = Collider(
            path=str(prim.GetPath()),
            kind=kind,
            approximation=approximation,
            matrix=matrix,
            guide=self.hidden(prim),
            mass=self.mass(prim, matrix),
            surface=self.surface(prim),
            size=size,
        )
        owner = prim
        while owner and str(owner.GetPath()) not in bodies:
            owner = owner.GetParent()
        if owner:
            bodies[str(owner.GetPath())].colliders.append(collider)
        else:
            self.found.loose.append(collider)

    def surface(self, prim: Any) -> Surface | None:
        """The physics material bound to the prim, directly or from above."""
        from pxr import UsdPhysics, UsdShade

        bound = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")[0]
        if not bound or not bound.GetPrim().HasAPI(UsdPhysics.MaterialAPI):
            return None
        api = UsdPhysics.MaterialAPI(bound.GetPrim())
        density = _positive(api.GetDensityAttr())
        return Surface(
            path=str(bound.GetPath()),
            static_friction=_authored(api.GetStaticFrictionAttr()),
            dynamic_friction=_authored(api.GetDynamicFrictionAttr()),
            restitution=_authored(api.GetRestitutionAttr()),
            density=None if density is None else density * self.kilograms / self.metres**3,
        )

    @staticmethod
    def unreadable(prim: Any) -> bool:
        """Whether a material has a surface, but none in a language that Blender reads."""
        from pxr import UsdShade

        material = UsdShade.Material(prim)
        source = material.ComputeSurfaceSource()[0]
        if source:
            identifier = source.GetIdAttr().Get()
            return not str(identifier or "").startswith("UsdPreviewSurface")
        outputs = material.GetSurfaceOutputs()
        return any(output.HasConnectedSource() for output in outputs)


def read_stage(stage: Any, scale: float = 1.0) -> StagePhysics:
    """Read an open `Usd.Stage` for a scene that has `scale` units for each metre.

    Values are those at the default time.
    """
    return _Reader(stage, scale).read()


def apply(matrix: Rows, point: tuple[float, float, float]) -> tuple[float, float, float]:
    """The point, taken from the matrix's space to the world."""
    column = (*point, 1.0)
    x, y, z = (sum(a * b for a, b in zip(row, column, strict=True)) for row in matrix[:3])
    return x, y, z


def _number(attribute: Any) -> float | None:
    value = attribute.Get() if attribute else None
    return float(value) if value is not None and math.isfinite(value) else None


def _positive(attribute: Any) -> float | None:
    value = _number(attribute)
    return value if value is not None and value > 0 else None


def _authored(attribute: Any) -> float | None:
    return _number(attribute) if attribute and attribute.HasAuthoredValue() else None


def _flag(attribute: Any, default: bool) -> bool:
    value = attribute.Get() if attribute else None
    return default if value is None else bool(value)
