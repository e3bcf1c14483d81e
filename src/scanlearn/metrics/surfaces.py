"""Distance of the surfaces of two masks."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.geometry import Grid


def surface_distances(
    truth: NDArray[np.bool_], guess: NDArray[np.bool_], grid: Grid
) -> tuple[float, float]:
    """Return how far two surfaces are apart, in millimetres.

    Parameters
    ----------
    truth, guess
        Masks on the grid.
    grid
        Its axes are taken for orthogonal.

    Returns
    -------
    tuple
        Mean distance over the voxels of both surfaces, and the 95th percentile of the
        larger direction (Hausdorff); ``nan`` where a mask is empty.
    """
    if not truth.any() or not guess.any():
        return math.nan, math.nan
    import torch
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance
    from monai.metrics.surface_distance import compute_average_surface_distance

    box = _box_of(truth | guess)
    one, other = (torch.from_numpy(m[box][None, None].copy()) for m in (guess, truth))
    spacing = [float(mm) for mm in grid.spacing_mm]
    with warnings.catch_warnings():
        # monai 1.5 warns of an argument that it gives itself.
        warnings.simplefilter("ignore", FutureWarning)
        mean = compute_average_surface_distance(
            one, other, include_background=True, symmetric=True, spacing=spacing
        )
        far = compute_hausdorff_distance(
            one, other, include_background=True, percentile=95, spacing=spacing
        )
    return float(mean), float(far)


def _box_of(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the box around a mask, a voxel wider: surfaces need their outside."""
    found = []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        inside = np.flatnonzero(mask.any(axis=others))
        found.append(slice(max(0, inside[0] - 1), inside[-1] + 2))
    return tuple(found)
