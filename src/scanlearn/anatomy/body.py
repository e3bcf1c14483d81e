"""The body, or whatever stands out from the air around it, in any kind of scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scanlearn.anatomy.label_mask import COARSE_MM, LabelMask
from scanlearn.anatomy.morphology import fill_in_slices, opened
from scanlearn.scans.geometry import Grid

_TISSUE_HU = -350


def body_labels(
    voxels: NDArray[np.generic], grid: Grid, *, hounsfield: bool
) -> LabelMask:
    """Return the largest bright piece of a volume, with its holes filled, as label 1.

    Parameters
    ----------
    voxels, grid
        A canonical scan; every few voxels of it are looked at.
    hounsfield
        Whether values are Hounsfield units; otherwise Otsu's threshold parts the body
        from the background.
    """
    steps = [max(1, round(COARSE_MM / mm)) for mm in grid.spacing_mm]
    some = np.asarray(voxels[tuple(slice(step // 2, None, step) for step in steps)])
    bright = some > (_TISSUE_HU if hounsfield else otsu_threshold(some))
    affine = grid.affine.copy()
    affine[:3, :3] *= steps
    affine[:3, 3] = grid.to_patient([step // 2 for step in steps])
    coarse = Grid((some.shape[0], some.shape[1], some.shape[2]), affine)
    regions, count = ndimage.label(opened(bright, 1))
    if not count:
        return LabelMask(np.zeros(some.shape, dtype=np.uint8), coarse)
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    body = fill_in_slices(regions == sizes.argmax())
    return LabelMask(body.astype(np.uint8), coarse)


def otsu_threshold(values: NDArray[np.generic], bins: int = 128) -> float:
    """Return the threshold that parts values into the two most different classes.

    Otsu, IEEE Transactions on Systems, Man and Cybernetics 1979: it maximises the
    variance between the classes. The brightest thousandth is left out.
    """
    numbers = np.asarray(values, dtype=np.float32)
    ends = float(numbers.min()), float(np.percentile(numbers, 99.9))
    counts, edges = np.histogram(numbers, bins, ends)
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    total = np.cumsum(counts * middles)
    low_mean = total[:-1] / np.maximum(below, 1)
    high_mean = (total[-1] - total[:-1]) / np.maximum(above, 1)
    between = below * above * (low_mean - high_mean) ** 2
    return float(edges[1:-1][between.argmax()])
