"""Which landmarks lie next to which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Distances that differ by less than this share are the same.
_SAME = 0.01


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest landmarks of each landmark, where several are equally near.

    On a regular grid a landmark has up to six neighbours one step away. Which of them a
    sort puts first is an accident, and the same accident at every landmark pairs all of
    them along one axis; so among the equally near ones the choice is drawn.

    Parameters
    ----------
    count
        How many neighbours a landmark has, R; fewer where there are too few landmarks.
    sure
        For each landmark those that are always among its nearest.
    tied
        For each landmark those at the distance of the last: enough are drawn from them
        to make up ``count``.
    """

    count: int
    sure: tuple[NDArray[np.intp], ...]
    tied: tuple[NDArray[np.intp], ...]

    def draw(self, landmark: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return (R,) different neighbours of a landmark, nearer ones first."""
        sure, tied = self.sure[landmark], self.tied[landmark]
        some = rng.choice(tied, size=self.count - len(sure), replace=False)
        return np.concatenate([sure, some])


def nearest_landmarks(points: ArrayLike, count: int) -> Neighbours:
    """Find the nearest landmarks of each landmark.

    Parameters
    ----------
    points
        (P, 3) places in millimetres.
    count
        Neighbours a landmark; all others where there are fewer.
    """
    points = np.asarray(points, dtype=np.float64)
    count = min(count, len(points) - 1)
    nothing = np.empty(0, dtype=np.intp)
    if count < 1:
        return Neighbours(0, (nothing,) * len(points), (nothing,) * len(points))
    sure, tied = [], []
    for number, point in enumerate(points):
        distance = np.linalg.norm(points - point, axis=1)
        distance[number] = np.inf
        last = np.partition(distance, count - 1)[count - 1]
        nearer = np.flatnonzero(distance < last * (1 - _SAME))
        sure.append(nearer[np.argsort(distance[nearer], kind="stable")])
        tied.append(np.flatnonzero(np.abs(distance - last) <= last * _SAME))
    return Neighbours(count, tuple(sure), tuple(tied))
