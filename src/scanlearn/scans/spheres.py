"""Spheres in millimetres: how far apart, how much they share, which one stays.

An array of spheres is (n, 4): centre x, y, z and diameter, in any one frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
