"""In which lung, and in which third of its height, a point lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.scans.geometry import Grid

#: Values of a lung mask, see :mod:`scanlearn.anatomy.lungs`, whose import takes long.
_SIDES = {1: "right", 2: "left"}

_THIRDS = ("lower", "middle", "upper")

#: A point this close to a lung counts as in it: nodules are denser than a mask is.
_NEAR_MM = 15.0


@dataclass(frozen=True)
class LungPlace:
    """A lung and a third of its height; empty where no lung is near.

    Parameters
    ----------
    side
        ``"right"`` or ``"left"``, of the patient.
    third
        ``"upper"``, ``"middle"`` or ``"lower"``, as densities are measured by.
    """

    side: str = ""
    third: str = ""

    @property
    def text(self) -> str:
        """Both as one: ``"right upper"``."""
        return f"{self.side} {self.third}".strip()


def lung_places(
    points: ArrayLike, mask: NDArray[np.uint8], grid: Grid
) -> list[LungPlace]:
    """Return where points (n, 3) in LPS millimetres lie.

    Parameters
    ----------
    points
        Of the patient.
    mask, grid
        0 outside, 1 right lung, 2 left lung, on a canonical grid.
    """
    spans = {side: _height(mask == side, grid) for side in _SIDES}
    return [_place(point, mask, grid, spans) for point in np.reshape(points, (-1, 3))]


def _height(lung: NDArray[np.bool_], grid: Grid) -> tuple[float, float]:
    slices = np.flatnonzero(lung.any(axis=(1, 2)))
    if not slices.size:
        return 0.0, 0.0
    low, high = grid.to_patient([[slices[0], 0, 0], [slices[-1], 0, 0]])[:, 2]
    return float(low), float(high)


def _place(
    point: NDArray[np.float64],
    mask: NDArray[np.uint8],
    grid: Grid,
    spans: dict[int, tuple[float, float]],
) -> LungPlace:
    side = _nearest(mask, grid.to_index(point), grid.spacing_mm)
    if not side:
        return LungPlace()
    low, high = spans[side]
    part = (float(point[2]) - low) / max(high - low, 1e-3) * 3
    return LungPlace(_SIDES[side], _THIRDS[int(np.clip(part, 0, 2))])


def _nearest(
    mask: NDArray[np.uint8], index: NDArray[np.float64], spacing_mm: Sequence[float]
) -> int:
    """Return the value of the nearest voxel in a lung, 0 where none is near."""
    reach = np.ceil(_NEAR_MM / np.asarray(spacing_mm)).astype(int)
    middle = np.rint(index).astype(int)
    start = np.maximum(middle - reach, 0)
    box = mask[
        tuple(
            slice(a, max(b, 0)) for a, b in zip(start, middle + reach + 1, strict=True)
        )
    ]
    inside = np.argwhere(box)
    if not inside.size:
        return 0
    apart = np.linalg.norm((inside + start - index) * spacing_mm, axis=1)
    nearest = int(apart.argmin())
    return int(box[tuple(inside[nearest])]) if apart[nearest] <= _NEAR_MM else 0
