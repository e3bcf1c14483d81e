"""Which slice of a scan each contour belongs to, in millimetres."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.contours import Polygon

#: Share of a slice's distance by which the points of one contour may leave their plane.
PLANAR = 0.25

#: Contours no further apart than this share of a slice's distance share a plane.
_SAME_PLANE = 0.05

#: Two planes at least this many slices apart must not meet on one slice.
_OWN_SLICE = 0.9

#: Written positions are rounded: half-way between two slices means the upper one.
_HALF_WAY = 1e-3


@dataclass(frozen=True, eq=False)
class Flat:
    """A contour in indices of a grid: its axis, height along it, and (n, 2) points."""

    axis: int
    height: float
    polygon: Polygon
    exclusive: bool = False


@dataclass(frozen=True, eq=False)
class Plane:
    """The contours of one height, and the slice they are drawn on."""

    axis: int
    height: float
    slice_number: int
    contours: tuple[Flat, ...]

    @property
    def beside(self) -> float:
        """How far from their slice they lie, as a share of the slices' distance."""
        return abs(self.height - self.slice_number)


def flatten(points: NDArray[np.float64], grid: Grid, *, exclusive: bool) -> Flat | None:
    """Return a contour (n, 3), LPS millimetres, in its plane; None if it has none."""
    index = grid.to_index(points)
    centre = index.mean(axis=0)
    spread = np.abs(index - centre).max(axis=0)
    axis = int(spread.argmin())
    if spread[axis] > PLANAR:
        return None
    return Flat(axis, float(centre[axis]), np.delete(index, axis, axis=1), exclusive)


def planes_of_contours(flats: Sequence[Flat]) -> list[Plane]:
    """Group the contours of one region by height and give each plane its slice.

    That is the nearest one; where two planes a slice apart would both come nearest to
    one slice, one of them moves to the slice beside it.
    """
    planes = []
    for axis in range(3):
        groups = _by_height([flat for flat in flats if flat.axis == axis])
        heights = [float(np.mean([f.height for f in group])) for group in groups]
        for group, height, number in zip(
            groups, heights, slice_numbers(heights), strict=True
        ):
            planes.append(Plane(axis, height, number, tuple(group)))
    return planes


def slice_numbers(heights: Sequence[float]) -> list[int]:
    """Return the slice of each of some rising heights, in slices."""
    numbers = [int(np.floor(height + 0.5 + _HALF_WAY)) for height in heights]
    for k in range(1, len(numbers)):
        apart = heights[k] - heights[k - 1] >= _OWN_SLICE
        if apart and numbers[k] == numbers[k - 1]:
            # Both lie almost half-way: the lower one goes down if it can, else up.
            if k == 1 or numbers[k - 2] < numbers[k - 1] - 1:
                numbers[k - 1] -= 1
            else:
                numbers[k] += 1
    return numbers


def nearest_planes(planes: Sequence[Plane]) -> tuple[list[Plane], list[Plane]]:
    """Return the plane nearest to each slice, and those that give way to it."""
    of_slice: dict[tuple[int, int], list[Plane]] = defaultdict(list)
    for plane in planes:
        of_slice[plane.axis, plane.slice_number].append(plane)
    kept, left = [], []
    for rivals in of_slice.values():
        nearest, *others = sorted(rivals, key=lambda plane: plane.beside)
        kept.append(nearest)
        left += others
    return kept, left


def _by_height(flats: Sequence[Flat]) -> list[list[Flat]]:
    groups: list[list[Flat]] = []
    for flat in sorted(flats, key=lambda one: one.height):
        if groups and flat.height - groups[-1][0].height <= _SAME_PLANE:
            groups[-1].append(flat)
        else:
            groups.append([flat])
    return groups
