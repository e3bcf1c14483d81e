"""A scan looked at in several ways: turned and stretched a little, and turned back.

Test-time augmentation (Wang et al., Neurocomputing 2019): where a network that was
taught not to mind such changes answers differently, it is not sure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from scanlearn.randomness import numpy_generator
from scanlearn.scans.geometry import Grid
from scanlearn.scans.resample import resample

Floats = NDArray[np.float32]

#: A view turns about each axis and stretches along each by up to this: two thirds of
#: what trainings show. No mirroring, for left and right are classes.
_DEGREES, _STRETCH = 8.0, 0.08


def view_grids(grid: Grid, count: int, *, across: int | None = None) -> list[Grid]:
    """Return where the voxels of each view lie in the patient.

    Parameters
    ----------
    grid
        The scan's, with array axes (S, P, L). It is the first view.
    count
        How many. The others are the same grid, turned and stretched about its centre:
        the same ones in every call.
    across
        The array axis across the slices, for networks that see slices: they stay.
    """
    return [grid, *(_changed(grid, number, across) for number in range(1, count))]


def _changed(grid: Grid, number: int, across: int | None) -> Grid:
    from scipy.spatial.transform import Rotation

    # Patient axes (x, y, z) are the array's (S, P, L) backwards. Slices turn about the
    # one that lies across them, and stretch along the others.
    slices = np.arange(3) == (-1 if across is None else 2 - across)
    free = slices if slices.any() else ~slices
    angles, stretches = numpy_generator(0, "test-time view", number).uniform(
        -1, 1, (2, 3)
    )
    turn = Rotation.from_rotvec(angles * free * _DEGREES, degrees=True).as_matrix()
    linear = turn @ np.diag(1 + stretches * ~slices * _STRETCH)
    affine = grid.affine.copy()
    affine[:3, :3] = linear @ grid.affine[:3, :3]
    affine[:3, 3] = grid.centre + linear @ (grid.affine[:3, 3] - grid.centre)
    return Grid(grid.shape, affine)


def averaged(
    voxels: Floats,
    grids: Sequence[Grid],
    look: Callable[[Floats, Grid], Floats],
    *,
    outside: float,
) -> tuple[Floats, list[Floats]]:
    """Return the mean probabilities of several views, and the volumes in each.

    Parameters
    ----------
    voxels
        A scan on the first grid.
    grids
        Of :func:`view_grids`.
    look
        Gives probabilities (C, ...) of voxels on a grid, on that grid.
    outside
        Intensity of what a view shows beyond the scan.

    Returns
    -------
    tuple
        Means (C, ...) on the first grid, and for each view how many voxels of it each
        class has, background first. Corners that a turned view does not reach keep
        what the first view says.
    """
    first = look(voxels, grids[0])
    if len(grids) == 1:
        return first, [_counts(first)]
    total, counts = first.copy(), [_counts(first)]
    for grid in grids[1:]:
        shown = resample(voxels, grids[0], grid, order=1, outside=outside)
        seen = look(np.asarray(shown, dtype=np.float32), grid)
        back = np.stack(
            [resample(s, grid, grids[0], order=1, outside=np.nan) for s in seen]
        )
        there = np.where(np.isnan(back), first, back).astype(np.float32)
        total += there
        counts.append(_counts(there))
    total /= len(grids)
    return total, counts


def _counts(probabilities: Floats) -> Floats:
    chosen = probabilities.argmax(axis=0)
    return np.bincount(chosen.ravel(), minlength=len(probabilities)).astype(np.float32)
