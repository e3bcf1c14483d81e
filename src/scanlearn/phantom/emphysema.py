"""Emphysema of the three subtypes, painted to a known extent.

Centrilobular: many small holes, mostly in the upper zones. Paraseptal: rows of larger
spaces with thin walls under the pleura. Panlobular: evenly thin lung, mostly below.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scanlearn.phantom.boxes import Axes
from scanlearn.phantom.fields import Field, draw_field
from scanlearn.phantom.patient import Patient, Points
from scanlearn.phantom.scatter import keep_apart
from scanlearn.phantom.shapes import Floats, coverage, paint

Subtype = Literal["none", "centrilobular", "paraseptal", "panlobular"]

#: Values of the ground-truth label map.
SUBTYPES: dict[Subtype, int] = {
    "none": 0,
    "centrilobular": 1,
    "paraseptal": 2,
    "panlobular": 3,
}
HOLE_HU = -985.0
THIN_HU = -962.0
_SEPTUM_HU = -640.0
_SEPTUM_MM = 0.7


@dataclass(frozen=True)
class Emphysema:
    """What kind of emphysema a patient has and how much of the lungs it takes.

    ``planned_percent`` is the share of both lungs that was asked for; the others were
    counted in the ground-truth label map.
    """

    subtype: Subtype
    planned_percent: float
    percent: float = 0.0
    right_percent: float = 0.0
    left_percent: float = 0.0

    def measured(self, label: NDArray[np.uint8], lungs: NDArray[np.uint8]) -> Emphysema:
        """Return this with the shares counted in label maps on one grid."""

        def share(side: NDArray[np.bool_]) -> float:
            return 100 * float(np.count_nonzero(label[side])) / max(1, int(side.sum()))

        return replace(
            self,
            percent=share(lungs > 0),
            right_percent=share(lungs == 1),
            left_percent=share(lungs == 2),
        )


@dataclass(frozen=True, eq=False)
class Holes:
    """Round air spaces: (n, 3) centres in LPS mm and (n,) radii."""

    centres: Points
    radii: Points


@dataclass(frozen=True, eq=False)
class Thinning:
    """Where panlobular emphysema is: the places where a smooth field is high."""

    field: Field
    threshold: float

    def height(self, axes: Axes, reference_z: Floats) -> Floats:
        """Return by how much a grid's places lie over the threshold."""
        uneven = self.field.on_axes(axes.z, axes.y, axes.x)
        return uneven + _lowness(reference_z) - np.float32(self.threshold)


def plan_emphysema(
    patient: Patient, what: Emphysema, points: Points, depth: Points, volume_ml: float
) -> Holes | Thinning | None:
    """Decide where a patient's emphysema is, from points evenly inside its lungs."""
    rng = patient.generator("emphysema")
    wanted_ml = what.planned_percent / 100 * volume_ml
    if what.subtype == "none" or wanted_ml <= 0:
        return None
    height = patient.place_points(points).z.astype(np.float64)
    if what.subtype == "panlobular":
        field = draw_field(rng, 38.0, patient.origin_mm)
        value = field.at(points) + _lowness(np.asarray(height, np.float32))
        limit = np.quantile(value, 1 - what.planned_percent / 100)
        return Thinning(field, float(limit))
    if what.subtype == "paraseptal":
        return _subpleural(rng, points, depth, height, wanted_ml)
    return _lobular(rng, points, depth, height, what.planned_percent, wanted_ml)


def paint_holes(
    hu: Floats, axes: Axes, holes: Holes, lungs: NDArray[np.uint8], *, edge_mm: float
) -> NDArray[np.bool_]:
    """Paint air spaces into the lungs of an image in place; return where they are."""
    mask = np.zeros(hu.shape, bool)
    septum = _SEPTUM_MM if float(holes.radii.mean()) > 3.5 else 0.0
    for centre, radius in zip(holes.centres, holes.radii, strict=True):
        found = axes.ball(centre, float(radius) + septum + edge_mm)
        if found is None:
            continue
        box, gap = found
        inside = lungs[box] > 0
        if septum:
            rim = coverage(np.abs(gap - np.float32(radius)) - septum / 2, edge_mm)
            wall = np.maximum(hu[box], np.float32(_SEPTUM_HU))
            paint(hu[box], rim * inside * min(1.0, septum / edge_mm), wall)
        part = coverage(gap - np.float32(radius - septum / 2), edge_mm)
        paint(hu[box], part * inside, HOLE_HU)
        mask[box] |= (gap < radius) & inside
    return mask


def _lowness(z: Floats) -> Floats:
    """Return what draws panlobular emphysema to the bases."""
    return np.asarray(z * np.float32(-0.022), np.float32)


def _lobular(
    rng: np.random.Generator,
    points: Points,
    depth: Points,
    height: Points,
    percent: float,
    wanted_ml: float,
) -> Holes:
    """Return holes that keep a lobule's distance, the upper zones first."""
    mean_mm = float(np.clip(2.0 + 0.11 * percent, 2.0, 3.4))
    zone = 1 / (1 + np.exp(-(height - 25) / 22))
    # Sorting by weighted exponential times draws places in proportion to their weight.
    order = np.argsort(rng.exponential(size=len(points)) / np.maximum(zone, 1e-3))
    order = order[depth[order] > mean_mm]
    order = order[keep_apart(points[order], 2 * mean_mm + 0.8)]
    radii = np.clip(rng.normal(mean_mm, 0.45, len(order)), 1.5, 4.0)
    return _until(wanted_ml, points[order], radii)


def _subpleural(
    rng: np.random.Generator,
    points: Points,
    depth: Points,
    height: Points,
    wanted_ml: float,
) -> Holes:
    """Return rows of spaces that spread under the pleura from a few seeds."""
    near = np.flatnonzero((depth < 9) & (height > -25))
    seeds = points[rng.choice(near, 6)]
    gaps = np.linalg.norm(points[near][:, None] - seeds, axis=2).min(axis=1)
    order = near[np.argsort(gaps + rng.normal(0, 6, len(near)))]
    centres, radii = np.empty((0, 3)), np.empty(0)
    filled = 0.0
    for k in order:
        radius = float(depth[k]) / 0.92
        if not 2.5 <= radius <= 8.5:
            continue
        gap = np.linalg.norm(centres - points[k], axis=1)
        if (gap < (radii + radius) + 0.3).any():
            continue
        centres, radii = np.vstack([centres, points[k]]), np.append(radii, radius)
        filled += 4 / 3 * np.pi * radius**3 / 1000
        if filled >= wanted_ml:
            break
    return Holes(centres, radii)


def _until(wanted_ml: float, centres: Points, radii: Points) -> Holes:
    filled = np.cumsum(4 / 3 * np.pi * radii**3) / 1000
    count = int(np.searchsorted(filled, wanted_ml)) + 1
    return Holes(centres[:count], radii[:count])
