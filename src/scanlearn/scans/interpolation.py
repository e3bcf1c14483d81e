"""Interpolation along one axis as a matrix product.

Resampling between grids with common axes is separable: each axis is one matrix from
source to target samples. The matrices hold everything that is linear: the cubic
B-spline's recursive prefilter, the mirrored border and, on request, a low pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded
from scipy.ndimage import gaussian_filter1d

#: Rows of one dense block of a banded matrix: large enough for BLAS to run at speed,
#: small enough that a block skips most of the zeros.
_BLOCK = 64


@dataclass(frozen=True, eq=False)
class AxisMatrix:
    """A banded matrix (targets, sources) kept as dense blocks of rows.

    Parameters
    ----------
    blocks
        ``(rows, columns, weights)``: two slices and the dense part they select.
    shape
        Number of target and of source samples.
    """

    blocks: tuple[tuple[slice, slice, NDArray[np.floating]], ...]
    shape: tuple[int, int]

    def along_last(self, samples: NDArray[np.floating]) -> NDArray[np.floating]:
        """Map samples (..., sources) to (..., targets)."""
        rows = samples.reshape(-1, self.shape[1])
        out = np.empty((len(rows), self.shape[0]), dtype=samples.dtype)
        for targets, sources, weights in self.blocks:
            np.matmul(rows[:, sources], weights.T, out=out[:, targets])
        return out.reshape(*samples.shape[:-1], self.shape[0])

    def along_middle(self, samples: NDArray[np.floating]) -> NDArray[np.floating]:
        """Map samples (n, sources, m) to (n, targets, m)."""
        n, _, m = samples.shape
        out = np.empty((n, self.shape[0], m), dtype=samples.dtype)
        for targets, sources, weights in self.blocks:
            np.matmul(weights, samples[:, sources], out=out[:, targets])
        return out


def inside_axis(positions: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    """Return which positions lie within half a voxel of an axis, as ITK counts it."""
    return np.asarray((positions >= -0.5) & (positions < size - 0.5))


def nearest_index(positions: NDArray[np.float64], size: int) -> NDArray[np.intp]:
    """Return the nearest sample of each position; halves go up, as in ITK."""
    return np.clip(np.floor(positions + 0.5), 0, size - 1).astype(np.intp)


def axis_matrix(
    positions: NDArray[np.float64],
    size: int,
    *,
    order: int,
    dtype: np.dtype[np.floating],
    sigma: float = 0.0,
) -> AxisMatrix:
    """Return the matrix that interpolates an axis at positions.

    Parameters
    ----------
    positions
        (targets,) fractional sample numbers; those outside are clamped to the border.
    size
        Number of source samples.
    order
        1 linear, 3 cubic B-spline with mirrored ends.
    dtype
        Type of the weights; weights below its precision are dropped.
    sigma
        Width in samples of a Gaussian applied first, against aliasing; 0 for none.
    """
    x = np.clip(positions, -0.5, size - 0.5)
    dense = _cubic(x, size) if order == 3 else _linear(x, size)
    if sigma > 0:
        # The filter is symmetric with mirrored ends up to its border rows, so filtering
        # the identity's columns gives the matrix.
        low_pass = gaussian_filter1d(np.eye(size), sigma, axis=0, mode="mirror")
        dense = dense @ low_pass
    return _banded(dense, dtype)


def antialias_sigma(step: float) -> float:
    """Return the Gaussian width, in samples, for taking every ``step``-th sample.

    A voxel that grows by a factor is blurred so that variances add up, with half a
    voxel as the standard deviation of a voxel.
    """
    return 0.5 * float(np.sqrt(max(step * step - 1.0, 0.0)))


def _linear(x: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    x = np.clip(x, 0, size - 1)
    first = np.clip(np.floor(x).astype(int), 0, max(size - 2, 0))
    share = x - first
    dense = np.zeros((len(x), size))
    rows = np.arange(len(x))
    dense[rows, first] = 1 - share
    dense[rows, np.minimum(first + 1, size - 1)] += share
    return dense


def _cubic(x: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    if size == 1:
        return np.ones((len(x), 1))
    first = np.floor(x).astype(int)
    t = x - first
    weights = (
        (1 - t) ** 3 / 6,
        2 / 3 - t**2 * (2 - t) / 2,
        2 / 3 - (1 - t) ** 2 * (1 + t) / 2,
        t**3 / 6,
    )
    taps = np.zeros((len(x), size))
    rows = np.arange(len(x))
    period = 2 * (size - 1)
    for k, weight in enumerate(weights):
        column = np.abs(first - 1 + k) % period
        np.add.at(taps, (rows, np.minimum(column, period - column)), weight)
    # samples = B @ coefficients, so the row weights are taps @ inverse(B).
    transposed = np.zeros((3, size))
    transposed[0, 1:] = transposed[2, :-1] = 1 / 6
    transposed[1] = 4 / 6
    transposed[2, 0] = transposed[0, -1] = 2 / 6
    return np.ascontiguousarray(solve_banded((1, 1), transposed, taps.T).T)


def _banded(dense: NDArray[np.float64], dtype: np.dtype[np.floating]) -> AxisMatrix:
    significant = np.abs(dense) > np.finfo(dtype).eps
    blocks = []
    for start in range(0, len(dense), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(dense)))
        used = np.flatnonzero(significant[rows].any(axis=0))
        columns = slice(int(used[0]), int(used[-1]) + 1)
        weights = np.ascontiguousarray(dense[rows, columns], dtype=dtype)
        blocks.append((rows, columns, weights))
    return AxisMatrix(tuple(blocks), (dense.shape[0], dense.shape[1]))
