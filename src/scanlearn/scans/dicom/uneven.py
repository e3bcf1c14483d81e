"""Slices at uneven places, interpolated onto an even stack."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fill_evenly(
    voxels: NDArray[np.generic], places: NDArray[np.float64]
) -> NDArray[np.generic]:
    """Interpolate slices linearly along the first axis.

    Parameters
    ----------
    voxels
        (n, rows, columns) slices.
    places
        (n,) their rising places on the even stack, in steps from its first slice.

    Returns
    -------
    Array (m, rows, columns) of the same dtype, ``m`` the last place + 1; whole numbers
    are rounded. Slices at whole places keep their values.
    """
    count = round(float(places[-1])) + 1
    filled = np.empty((count, *voxels.shape[1:]), dtype=voxels.dtype)
    for k in range(count):
        after = int(np.searchsorted(places, k - 1e-9))
        after = min(after, len(places) - 1)
        before = max(after - 1, 0)
        gap = places[after] - places[before]
        weight = (k - places[before]) / gap if gap > 0 else 1.0
        filled[k] = _between(voxels[before], voxels[after], float(weight))
    return filled


def _between(
    low: NDArray[np.generic], high: NDArray[np.generic], weight: float
) -> NDArray[np.generic]:
    """Return the mean of two slices, ``weight`` for the higher one."""
    if weight >= 1 - 1e-9:
        return high
    mixed = low.astype(np.float64) * (1 - weight) + high.astype(np.float64) * weight
    return np.rint(mixed) if low.dtype.kind in "iu" else mixed
