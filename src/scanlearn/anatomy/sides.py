"""Right lung, left lung: which is which, also where they touch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scanlearn.anatomy.morphology import Mask

#: A piece with more than this on one side of the sheet belongs to that side.
_MOSTLY = 0.95

#: How far from the middle, as a part of the width, the sheet may run.
_REACH = 0.2


def split_sides(
    hu: NDArray[np.floating], lungs: Mask, *, least_voxels: int
) -> NDArray[np.uint8]:
    """Label lung air as right (1) or left (2); small pieces are dropped.

    The two touch in front of the heart or behind it in many patients. A sheet that runs
    from front to back through the densest voxels near the middle parts them.

    Parameters
    ----------
    hu, lungs
        (S, P, L) Hounsfield units and the air of both lungs.
    least_voxels
        Pieces smaller than this are dropped.
    """
    out = np.zeros(lungs.shape, dtype=np.uint8)
    regions, n = ndimage.label(lungs)
    if n == 0:
        return out
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    if sizes.max() < least_voxels:
        return out
    left_of_sheet = np.arange(lungs.shape[2]) >= dividing_sheet(hu, lungs)[..., None]
    left = np.bincount(regions.ravel(), weights=left_of_sheet.ravel())
    share = left / np.maximum(sizes, 1)
    side = np.where(share > 0.5, 2, 1).astype(np.uint8)
    side[sizes < least_voxels] = 0
    side[0] = 0
    out = np.asarray(side[regions], dtype=np.uint8)
    joined = (share > 1 - _MOSTLY) & (share < _MOSTLY) & (side > 0)
    both = joined[regions]
    out[both] = np.where(left_of_sheet, 2, 1)[both]
    return out


def dividing_sheet(hu: NDArray[np.floating], lungs: Mask) -> NDArray[np.intp]:
    """Return the (S, P) left-right index of the sheet between the lungs.

    In every axial slice the cheapest path from front to back, one voxel sideways a row
    at most; lung air costs most, and a little is added away from the middle.
    """
    hits = np.flatnonzero(lungs.any(axis=(0, 1)))
    middle = (hits[0] + hits[-1]) / 2
    reach = max(2, int((hits[-1] - hits[0]) * _REACH))
    first = max(0, int(middle) - reach)
    window = slice(first, int(middle) + reach + 1)
    airy = np.clip(-hu[:, :, window] / 1000, 0, 1)
    # Neighbouring slices vote, so that the sheet does not jump between them.
    cost = ndimage.uniform_filter1d(airy, 3, axis=0) * lungs[:, :, window]
    away = np.abs(np.arange(cost.shape[2]) + first - middle) / reach
    cost = cost + 0.05 * away.astype(np.float32) ** 2 + 0.01
    return _cheapest_paths(cost) + first


def _cheapest_paths(cost: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return for each (row) of each slice the column of the cheapest path down."""
    slices, rows = cost.shape[:2]
    total = cost[:, 0].copy()
    came = np.zeros(cost.shape, dtype=np.int8)
    for row in range(1, rows):
        walled = np.pad(total, ((0, 0), (1, 1)), constant_values=np.inf)
        choices = np.stack([walled[:, :-2], walled[:, 1:-1], walled[:, 2:]])
        # Straight ahead first: ties must not drift sideways.
        pick = np.array([1, 0, 2])[choices[[1, 0, 2]].argmin(axis=0)]
        total = np.take_along_axis(choices, pick[None], axis=0)[0] + cost[:, row]
        came[:, row] = pick - 1
    path = np.empty((slices, rows), dtype=np.intp)
    path[:, -1] = total.argmin(axis=1)
    every = np.arange(slices)
    for row in range(rows - 1, 0, -1):
        path[:, row - 1] = path[:, row] + came[every, row, path[:, row]]
    return np.asarray(path)
