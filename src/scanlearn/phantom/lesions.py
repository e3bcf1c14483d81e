"""Nodules: where they are, how they are painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scanlearn.phantom.boxes import Axes
from scanlearn.phantom.patient import Points
from scanlearn.phantom.shapes import Floats, coverage, paint

SOLID_HU = 35.0
GLASS_HU = -560.0
#: Diameter of the solid core of a part-solid nodule, as a share of the whole.
CORE = 0.55


@dataclass(frozen=True)
class Nodule:
    """A round nodule of known place and size."""

    centre_mm: tuple[float, float, float]  # LPS
    diameter_mm: float
    kind: Literal["solid", "part-solid"]


def draw_nodules(
    rng: np.random.Generator, points: Points, depth: Points, *, count: int
) -> tuple[Nodule, ...]:
    """Draw nodules that lie inside a lung and apart from each other.

    ``points`` (n, 3) are candidates in LPS mm, ``depth`` (n,) their depth in the lung.
    """
    found: list[Nodule] = []
    for k in range(count):
        diameter = float(np.clip(rng.lognormal(np.log(11), 0.45), 5, 30))
        kind: Literal["solid", "part-solid"] = "part-solid" if k % 3 == 2 else "solid"
        fits = depth > diameter / 2 + 2
        for other in found:
            gap = np.linalg.norm(points - np.array(other.centre_mm), axis=1)
            fits &= gap > (diameter + other.diameter_mm) / 2 + 5
        if fits.any():
            x, y, z = points[rng.choice(np.flatnonzero(fits))].tolist()
            found.append(Nodule((x, y, z), diameter, kind))
    return tuple(found)


def paint_nodules(
    hu: Floats, axes: Axes, nodules: tuple[Nodule, ...], *, edge_mm: float
) -> NDArray[np.uint8]:
    """Paint nodules into an image in place and return their mask (1 inside)."""
    mask = np.zeros(hu.shape, np.uint8)
    for nodule in nodules:
        radius = nodule.diameter_mm / 2
        found = axes.ball(np.array(nodule.centre_mm), radius + edge_mm)
        if found is None:
            continue
        box, gap = found
        if nodule.kind == "part-solid":
            # Ground glass lets the vessels in it show.
            glass = np.maximum(hu[box], np.float32(GLASS_HU))
            paint(hu[box], coverage(gap - np.float32(radius), edge_mm), glass)
            radius *= CORE
        paint(hu[box], coverage(gap - np.float32(radius), edge_mm), SOLID_HU)
        mask[box] |= (gap < nodule.diameter_mm / 2).astype(np.uint8)
    return mask
