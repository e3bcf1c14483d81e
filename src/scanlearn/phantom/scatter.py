"""Points that keep their distance from each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from scanlearn.phantom.patient import Points


def keep_apart(points: Points, distance_mm: float) -> NDArray[np.intp]:
    """Return which points to keep so that no two are closer than a distance.

    Of two points that are too close the earlier one stays, as if they were placed one
    after the other; done in a few rounds over all pairs instead of one by one.
    """
    pairs = cKDTree(points).query_pairs(distance_mm, output_type="ndarray")
    earlier, later = pairs.min(axis=1), pairs.max(axis=1)
    kept = np.zeros(len(points), bool)
    open_ = np.ones(len(points), bool)
    while open_.any():
        blocked = np.zeros(len(points), bool)
        blocked[later[open_[earlier]]] = True
        chosen = open_ & ~blocked
        kept |= chosen
        open_ &= ~chosen
        open_[later[chosen[earlier]]] = False
    return np.flatnonzero(kept)
