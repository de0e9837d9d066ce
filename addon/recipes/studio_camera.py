# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras of the photo studio: placed so that a product takes its share of the picture.

The camera's direction is the bookmark's; the distance and the centre follow from the product's
outline exactly, so that 3 mm and 300 m fill the picture alike.
"""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector

SENSOR = 36.0
ASPECT = 16 / 9


def axes(azimuth: float, elevation: float) -> np.ndarray:
    """Rows: the camera's right, up and back, for angles in degrees."""
    a, e = math.radians(azimuth), math.radians(elevation)
    back = np.array([math.sin(a) * math.cos(e), -math.cos(a) * math.cos(e), math.sin(e)])
    right = np.array([math.cos(a), math.sin(a), 0.0])
    return np.stack([right, np.cross(back, right), back])


def fit(points: np.ndarray, turn: np.ndarray, lens: float, fill: float) -> np.ndarray:
    """Where a camera stands that sees ``points`` in the middle, in the share ``fill`` of it.

    For each edge of the picture the outermost point decides; of height and width the tighter one
    takes its whole share, in the other the product is centred.
    """
    seen = points @ turn.T
    reach = 0.5 * SENSOR / lens * fill
    place = np.zeros(3)
    for axis, tangent in ((0, reach), (1, reach / ASPECT)):
        high = float((seen[:, axis] + tangent * seen[:, 2]).max())
        low = float((-seen[:, axis] + tangent * seen[:, 2]).max())
        place[axis] = 0.5 * (high - low)
        place[2] = (
            max(place[2], 0.5 * (high + low) / tangent) if axis else (0.5 * (high + low) / tangent)
        )
    return np.asarray(place @ turn)


def part(points: np.ndarray, share: tuple[float, float]) -> np.ndarray:
    """The points between two heights, as shares of the whole; the box's corners there are added."""
    if share == (0.0, 1.0):
        return points
    low, high = points.min(axis=0), points.max(axis=0)
    bottom, top = (low[2] + s * (high[2] - low[2]) for s in share)
    inside = points[(points[:, 2] >= bottom) & (points[:, 2] <= top)]
    if len(inside) >= 24 and float(np.ptp(inside, axis=0).max()) > 0:
        low, high = inside.min(axis=0), inside.max(axis=0)
    xs, ys = (low[0], high[0]), (low[1], high[1])
    corners = np.array([[x, y, z] for x in xs for y in ys for z in (bottom, top)])
    return np.concatenate([inside, 0.5 * (low + high) + 0.8 * (corners - 0.5 * (low + high))])


def turned(points: np.ndarray, steps: int = 36) -> np.ndarray:
    """The points all around the Z axis, as a turntable takes them."""
    angles = np.arange(steps) * 2 * math.pi / steps
    x = points[:, :1] * np.cos(angles) - points[:, 1:2] * np.sin(angles)
    y = points[:, :1] * np.sin(angles) + points[:, 1:2] * np.cos(angles)
    z = np.repeat(points[:, 2:], steps, axis=1)
    return np.stack([x, y, z], axis=2).reshape(-1, 3)


def rotated(points: np.ndarray, angle: float) -> np.ndarray:
    """The points turned about the Z axis by ``angle`` radians."""
    c, s = math.cos(angle), math.sin(angle)
    return np.asarray(points @ np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]))


def matrix(place: np.ndarray, turn: np.ndarray) -> Matrix:
    """A camera's matrix."""
    whole = Matrix([[*map(float, row)] for row in turn.T]).to_4x4()
    whole.translation = Vector(place.tolist())
    return whole


def camera(scene: Any, name: str, lens: float, unit: float, distance: float) -> Any:
    """A new camera; what it sees clearly reaches far beyond the stage."""
    data: Any = bpy.data.cameras.new(name)
    data.lens, data.sensor_width, data.sensor_fit = lens, SENSOR, "HORIZONTAL"
    data.clip_start = max(1e-6, min(0.01 * distance, 0.05 * unit))
    data.clip_end = distance + 400 * unit
    item: Any = bpy.data.objects.new(name, data)
    scene.collection.objects.link(item)
    return item


def focus(item: Any, distance: float, f_stop: float, unit: float) -> None:
    """Blur what is not at ``distance``. The opening grows with the product, as the stage does."""
    dof = item.data.dof
    dof.use_dof = f_stop > 0
    if f_stop > 0:
        dof.focus_distance = distance
        dof.aperture_fstop = max(1e-6, f_stop / unit)
