"""Spheres in millimetres: how far apart, how much they share, which one stays.

An array of spheres is (n, 4): centre x, y, z and diameter, in any one frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.geometry import Grid
from scanlearn.scans.suppression import greedily

Spheres = NDArray[np.float64]


def as_spheres(rows: object) -> Spheres:
    """Return rows as an (n, 4) array; no rows give (0, 4)."""
    return np.asarray(rows, dtype=np.float64).reshape(-1, 4)


def distances(one: Spheres, other: Spheres) -> NDArray[np.float64]:
    """Return the (n, m) distances of centres."""
    apart = one[:, None, :3] - other[None, :, :3]
    return np.asarray(np.linalg.norm(apart, axis=2))


def sphere_iou(one: Spheres, other: Spheres) -> NDArray[np.float64]:
    """Return the (n, m) intersection over union of volumes.

    Two spheres that overlap share a lens; its volume is in closed form.
    """
    apart = distances(one, other)
    large, small = np.broadcast_arrays(one[:, None, 3] / 2, other[None, :, 3] / 2)
    large, small = np.maximum(large, small), np.minimum(large, small)
    volumes = 4 / 3 * np.pi * (large**3 + small**3)
    inside = apart <= large - small
    d = np.where(inside, 1.0, apart)  # not used where one holds the other
    reach = np.maximum(large + small - d, 0.0)
    shape = d**2 + 2 * d * (large + small) - 3 * (large - small) ** 2
    lens = np.pi * reach**2 * shape / (12 * d)
    shared = np.where(inside, 4 / 3 * np.pi * small**3, lens)
    return np.asarray(shared / (volumes - shared))


def keep_best(spheres: Spheres, scores: NDArray[np.floating]) -> NDArray[np.int_]:
    """Return which findings stay, best first: none has its centre within another.

    Greedy non-maximum suppression in millimetres: a finding goes when it lies closer to
    a better one that stays than the larger of their radii.
    """
    radii = spheres[:, 3] / 2
    near = distances(spheres, spheres) < np.maximum(radii[:, None], radii)
    return greedily(near, scores)


def paint_spheres(spheres: Spheres, grid: Grid) -> NDArray[np.uint16]:
    """Return a label map of spheres in LPS millimetres: the n-th has the value n.

    A voxel belongs to the sphere its centre lies in, of several to the first. One
    smaller than the voxels still has the voxel of its centre.
    """
    labels = np.zeros(grid.shape, dtype=np.uint16)
    # How many indices along each axis a millimetre reaches, also on sheared grids.
    reach = np.linalg.norm(np.linalg.inv(grid.affine[:3, :3]), axis=1)
    for value, (*centre, diameter) in reversed([*enumerate(spheres.tolist(), 1)]):
        middle = grid.to_index(centre)
        half = diameter / 2 * reach
        low = np.clip(np.floor(middle - half), 0, grid.shape).astype(int)
        high = np.clip(np.ceil(middle + half) + 1, 0, grid.shape).astype(int)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        places = np.indices(high - low).reshape(3, -1).T + low
        apart = np.linalg.norm(grid.to_patient(places) - centre, axis=1)
        inside = (apart <= diameter / 2).reshape(tuple(high - low))
        labels[box][inside] = value
        nearest = np.rint(middle).astype(int)
        if ((nearest >= 0) & (nearest < grid.shape)).all():
            labels[tuple(nearest)] = value
    return labels
