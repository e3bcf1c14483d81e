"""Smooth random fields fixed in space, so that they are the same at any spacing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from scanlearn.phantom.shapes import Floats

#: Half the side of the cube that a field covers, around its origin.
_REACH_MM = 260.0


@dataclass(frozen=True, eq=False)
class Field:
    """Cubic B-spline noise with unit variance and a given grain.

    Parameters
    ----------
    lattice
        Spline coefficients on a cube around ``origin_mm``, axes (z, y, x).
    pitch_mm
        Distance of the coefficients; the field varies over about twice as much.
    """

    lattice: NDArray[np.float32]
    pitch_mm: float
    origin_mm: tuple[float, float, float]

    def on_axes(self, z: Floats, y: Floats, x: Floats) -> Floats:
        """Evaluate on the grid of three coordinate vectors: (len z, len y, len x)."""
        layers = self._spline(2, z)
        used, layers_used = np.unique(layers.near, return_inverse=True)
        columns = _mixed(self.lattice[used], self._spline(0, x), axis=2)
        planes = _mixed(columns, self._spline(1, y), axis=1)
        near = _Spline(layers_used.reshape(layers.near.shape), layers.weight)
        return _mixed(planes, near, axis=0)

    def at(self, points: NDArray[np.float64]) -> Floats:
        """Evaluate at LPS points (n, 3)."""
        index = (points - np.array(self.origin_mm) + _REACH_MM) / self.pitch_mm
        values = map_coordinates(
            self.lattice, index[:, ::-1].T, order=3, prefilter=False
        )
        return np.asarray(values, np.float32)

    def _spline(self, axis: int, mm: Floats) -> _Spline:
        at = (mm.ravel() - self.origin_mm[axis] + _REACH_MM) / self.pitch_mm
        index = np.floor(at).astype(int)[:, None] + np.arange(-1, 3)
        gap = np.abs(at[:, None] - index)
        near = 2 / 3 - gap**2 + gap**3 / 2
        weight = np.where(gap < 1, near, np.maximum(2 - gap, 0) ** 3 / 6)
        index = np.clip(index, 0, len(self.lattice) - 1)
        return _Spline(index, np.asarray(weight, np.float32))


class _Spline(NamedTuple):
    """The four lattice points next to each coordinate, and their weights: (n, 4)."""

    near: NDArray[np.intp]
    weight: Floats


def _mixed(values: Floats, spline: _Spline, *, axis: int) -> Floats:
    """Return values interpolated along one axis.

    Four weighted sums are faster than a product of matrices that are mostly zero.
    """
    shape = [1, 1, 1]
    shape[axis] = len(spline.near)
    weight = spline.weight.T.reshape(4, *shape)
    total = weight[0] * np.take(values, spline.near[:, 0], axis=axis)
    for k in range(1, 4):
        total += weight[k] * np.take(values, spline.near[:, k], axis=axis)
    return np.asarray(total, np.float32)


def draw_field(
    rng: np.random.Generator, pitch_mm: float, origin_mm: tuple[float, float, float]
) -> Field:
    """Draw a field with unit variance."""
    side = int(2 * _REACH_MM / pitch_mm) + 2
    lattice = rng.standard_normal((side, side, side), dtype=np.float32)
    # Mean over a cell of the squared cubic B-spline weights, for one axis, is 0.479.
    return Field(lattice / np.float32(0.479**1.5), pitch_mm, origin_mm)
