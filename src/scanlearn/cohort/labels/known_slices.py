"""Which slices of a label map somebody looked at: those alone are truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.labels.paint import IGNORED, how_painted, planes_of
from scanlearn.scans.geometry import Grid

Along = tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class KnownSlices:
    """What counts as truth of a label map: whole slices, along any of its axes.

    Parameters
    ----------
    along
        For each axis, which of the slices across it were touched or ticked.
    whole
        Whether all of the map counts, whatever was touched.
    """

    along: Along
    whole: bool = False

    @classmethod
    def none(cls, shape: Iterable[int]) -> KnownSlices:
        """Return that nothing of a map of this shape is known yet."""
        first, second, third = (np.zeros(n, dtype=bool) for n in shape)
        return cls((first, second, third))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the map."""
        return tuple(part.size for part in self.along)

    @property
    def nothing(self) -> bool:
        """Whether no slice is known."""
        return not self.whole and not any(part.any() for part in self.along)

    @classmethod
    def of_painted(cls, labels: NDArray[np.integer[Any]], grid: Grid) -> KnownSlices:
        """Return what a map says of itself by how it is painted; slow.

        Parameters
        ----------
        labels
            A map that is not empty.
        grid
            Its grid.
        """
        how = how_painted(labels, grid)
        none = cls.none(labels.shape)
        if how.labelling == "dense":
            return replace(none, whole=True)
        others = tuple(axis for axis in range(3) if axis != how.axis)
        touched = np.flatnonzero((labels != 0).any(axis=others))
        return none.marked(how.axis, touched.tolist())

    def holds(self, axis: int, index: int) -> bool:
        """Whether a slice is known."""
        return self.whole or bool(self.along[axis][index])

    def marked(
        self, axis: int, slices: Iterable[int], *, known: bool = True
    ) -> KnownSlices:
        """Return the same with some slices across an axis known, or not."""
        first, second, third = (part.copy() for part in self.along)
        (first, second, third)[axis][list(slices)] = known
        return replace(self, along=(first, second, third))

    def joined(self, other: KnownSlices) -> KnownSlices:
        """Return what is known of either."""
        parts = zip(self.along, other.along, strict=True)
        first, second, third = (mine | theirs for mine, theirs in parts)
        return KnownSlices((first, second, third), self.whole or other.whole)

    def mask(self) -> NDArray[np.bool_]:
        """Return which voxels are known, of the map's shape."""
        if self.whole:
            return np.ones(self.shape, dtype=bool)
        first, second, third = self.along
        return np.asarray(first[:, None, None] | second[:, None] | third)

    def counted(self, grid: Grid) -> str:
        """Return how many slices are known, as ``"3 of 52 axial slices"``.

        Where slices of several planes are, each plane is told.
        """
        told = [
            f"{np.count_nonzero(part)} of {part.size} {plane} slices"
            for plane, part in zip(planes_of(grid), self.along, strict=True)
            if part.any()
        ]
        return "whole scan" if self.whole else ", ".join(told) or "no slice yet"


def with_unknown_ignored(
    labels: NDArray[np.integer[Any]], known: KnownSlices
) -> NDArray[np.integer[Any]]:
    """Return a copy in which voxels that nobody looked at are :data:`IGNORED`."""
    return labels.copy() if known.whole else np.where(known.mask(), labels, IGNORED)


def laid_over(
    mine: NDArray[np.integer[Any]],
    known: KnownSlices,
    earlier: NDArray[np.integer[Any]],
    earlier_known: KnownSlices,
) -> tuple[NDArray[np.integer[Any]], KnownSlices]:
    """Return a map in which what was known earlier stays where mine is not known.

    Parameters
    ----------
    mine, known
        The newer map.
    earlier, earlier_known
        The older one, of the same shape.
    """
    kept = earlier_known.mask() & ~known.mask()
    return np.where(kept, earlier, mine), known.joined(earlier_known)
