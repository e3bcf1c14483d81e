"""Soft shapes: signed distances in millimetres, negative inside, and how to blend them.

All functions broadcast: they take the coordinates of a grid or of scattered points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Floats = NDArray[np.float32]

#: Distance reported for what is too far away to matter.
FAR_MM = 60.0


@dataclass(frozen=True, eq=False)
class Place:
    """Coordinates that broadcast against each other, and the blur of an edge there.

    ``x``, ``y`` and ``z`` are millimetres of the reference body; ``edge_mm`` is the
    width over which a surface passes from 0 to 1: about one voxel.
    """

    x: Floats
    y: Floats
    z: Floats
    edge_mm: float = 1.0


@dataclass(frozen=True)
class Tube:
    """A rounded cone between two points: radius ``start_mm`` to ``end_mm``."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    start_mm: float
    end_mm: float


def coverage(distance: Floats, edge_mm: float) -> Floats:
    """Return the part of a voxel inside a surface, from its signed distance."""
    part = distance * np.float32(-1 / edge_mm)
    part += np.float32(0.5)
    return np.clip(part, 0, 1, out=part)


def paint(hu: Floats, part: Floats, value: Floats | float) -> None:
    """Mix a value into an image in place, by the part of each voxel it fills."""
    hu += part * (np.asarray(value, np.float32) - hu)


def smooth_max(a: Floats, b: Floats, round_mm: float) -> Floats:
    """Return the intersection of two shapes with a rounded edge."""
    h = np.maximum(np.float32(round_mm) - np.abs(a - b), 0)
    return np.asarray(
        np.maximum(a, b) + h * h * np.float32(0.25 / round_mm), np.float32
    )


def smooth_min(a: Floats, b: Floats, round_mm: float) -> Floats:
    """Return the union of two shapes with a rounded groove."""
    return -smooth_max(-a, -b, round_mm)


def oval(u: Floats, v: Floats, half: Floats | float, depth: Floats | float) -> Floats:
    """Return the distance to an oval a little squarer than an ellipse.

    The distance is measured along the ray from the centre, which is exact enough for a
    wall and needs one division.
    """
    p, q = (u / half) ** 2, (v / depth) ** 2
    size = np.sqrt(np.sqrt(p * p + q * q + np.float32(1.1) * p * q) + np.float32(1e-6))
    ray = np.sqrt(u * u + v * v)
    return np.asarray(ray - ray / size, np.float32)


def ellipse(u: Floats, v: Floats, half: float, depth: float) -> Floats:
    """Return the distance to an ellipse, right near its surface."""
    size = np.sqrt((u / np.float32(half)) ** 2 + (v / np.float32(depth)) ** 2)
    return np.asarray((size - 1) * np.float32(np.sqrt(half * depth)), np.float32)


def ellipsoid(
    place: Place, centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> Floats:
    """Return the distance to an ellipsoid, right near its surface."""
    size = (
        ((place.x - np.float32(centre[0])) * np.float32(1 / radii[0])) ** 2
        + ((place.y - np.float32(centre[1])) * np.float32(1 / radii[1])) ** 2
        + ((place.z - np.float32(centre[2])) * np.float32(1 / radii[2])) ** 2
    )
    scale = np.float32(np.prod(radii) ** (1 / 3))
    return np.asarray((np.sqrt(size) - 1) * scale, np.float32)


def tube(place: Place, one: Tube) -> Floats:
    """Return the distance to a rounded cone."""
    a, b = np.array(one.start, np.float32), np.array(one.end, np.float32)
    run = b - a
    px, py, pz = place.x - a[0], place.y - a[1], place.z - a[2]
    along = (px * run[0] + py * run[1] + pz * run[2]) * np.float32(1 / (run @ run))
    along = np.clip(along, 0, 1, out=along)
    gap = (px - along * run[0]) ** 2
    gap += (py - along * run[1]) ** 2
    gap += (pz - along * run[2]) ** 2
    radius = np.float32(one.start_mm) + along * np.float32(one.end_mm - one.start_mm)
    return np.asarray(np.sqrt(gap) - radius, np.float32)


def tubes(place: Place, several: tuple[Tube, ...]) -> Floats:
    """Return the distance to the union of tubes; no more than ``FAR_MM``."""
    shape = np.broadcast_shapes(place.x.shape, place.y.shape, place.z.shape)
    nearest = np.full(shape, FAR_MM, np.float32)
    low, high = float(place.z.min()), float(place.z.max())
    for one in several:
        reach = max(one.start_mm, one.end_mm) + 12
        ends = (one.start[2], one.end[2])
        if low <= max(ends) + reach and high >= min(ends) - reach:
            np.minimum(nearest, tube(place, one), out=nearest)
    return nearest


def path(points: tuple[tuple[float, float, float, float], ...]) -> tuple[Tube, ...]:
    """Return the tubes through points (x, y, z, radius)."""
    return tuple(Tube(a[:3], b[:3], a[3], b[3]) for a, b in pairwise(points))


def profile(z: Floats, knots: tuple[tuple[float, float], ...]) -> Floats:
    """Return a smooth curve through (z, value) knots, flat beyond the ends."""
    first, last = knots[0][0], knots[-1][0]
    return np.asarray(_curve(knots)(np.clip(z, first, last)), np.float32)


@cache
def _curve(knots: tuple[tuple[float, float], ...]) -> PchipInterpolator:
    return PchipInterpolator([k[0] for k in knots], [k[1] for k in knots])
