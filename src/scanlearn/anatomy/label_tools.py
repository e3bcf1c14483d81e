"""What a person would paint next, from what is painted: masks in, masks out.

All work on one class as a mask; distances are in millimetres, so that thick slices
count as thick.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scanlearn.anatomy.morphology import Mask

#: How far smoothing reaches, as the standard deviation of a Gaussian.
SMOOTHING_MM = 1.5


def fill_between(mask: Mask, axis: int, spacing_mm: Sequence[float]) -> Mask:
    """Return a mask in which slices between painted ones have the shape between.

    Signed distances to the outline are interpolated from slice to slice (S.P. Raya and
    J.K. Udupa, Shape-based interpolation of multidimensional objects, IEEE Transactions
    on Medical Imaging 9, 1990).

    Parameters
    ----------
    mask
        Painted in some slices.
    axis
        Across the slices.
    spacing_mm
        Voxel size along each axis.
    """
    slices = np.moveaxis(mask, axis, 0).copy()
    in_plane = [mm for number, mm in enumerate(spacing_mm) if number != axis]
    painted = np.flatnonzero(slices.any(axis=(1, 2)))
    away = {int(n): _signed_distance(slices[n], in_plane) for n in painted}
    for below, above in pairwise(painted):
        for number in range(below + 1, above):
            share = (number - below) / (above - below)
            between = (1 - share) * away[int(below)] + share * away[int(above)]
            slices[number] = between > 0
    return np.ascontiguousarray(np.moveaxis(slices, 0, axis))


def smoothed(mask: Mask, spacing_mm: Sequence[float]) -> Mask:
    """Return a mask without corners smaller than :data:`SMOOTHING_MM`; 2D or 3D.

    At least those of a voxel, along the axis of the finest ones.
    """
    reach = max(SMOOTHING_MM, min(spacing_mm))
    sigma = [reach / mm for mm in spacing_mm]
    return np.asarray(ndimage.gaussian_filter(mask.astype(np.float32), sigma) > 0.5)


def mirrored(mask: Mask, axis: int, middle: float) -> Mask:
    """Return a mask on the other side of a plane.

    Parameters
    ----------
    mask
        On one side.
    axis
        Across the plane.
    middle
        Index of the plane, whole or half.
    """
    found = np.zeros_like(mask)
    index = np.argwhere(mask)
    index[:, axis] = np.rint(2 * middle).astype(int) - index[:, axis]
    inside = (index[:, axis] >= 0) & (index[:, axis] < mask.shape[axis])
    found[tuple(index[inside].T)] = True
    return found


def middle_of(body: Mask, axis: int) -> float:
    """Return the index of the plane halfway between the ends of a body."""
    others = tuple(n for n in range(body.ndim) if n != axis)
    along = np.flatnonzero(body.any(axis=others))
    if not along.size:
        return float(body.shape[axis] - 1) / 2
    return float(along[0] + along[-1]) / 2


def _signed_distance(plane: Mask, spacing_mm: Sequence[float]) -> NDArray[np.float64]:
    inside = ndimage.distance_transform_edt(plane, spacing_mm)
    outside = ndimage.distance_transform_edt(~plane, spacing_mm)
    return np.asarray(inside - outside, dtype=np.float64)
