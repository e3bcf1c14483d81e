"""What a tool changes of a label map: places and values, ready to be undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.anatomy.body import otsu_threshold
from scanlearn.anatomy.label_tools import fill_between, middle_of, mirrored, smoothed
from scanlearn.anatomy.morphology import Mask
from scanlearn.anatomy.pieces import largest_piece
from scanlearn.cohort.labels.known_slices import KnownSlices
from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid


@dataclass(frozen=True, eq=False)
class Work:
    """What a tool works on.

    Parameters
    ----------
    labels, grid
        A label layer as it is.
    known
        What counts of it.
    label
        The class that the tool changes.
    axis, index
        The slice in view.
    image
        Voxels of the scan on the same grid; None where it is not shown.
    """

    labels: NDArray[Any]
    grid: Grid
    known: KnownSlices
    label: int
    axis: int
    index: int
    image: NDArray[Any] | None = None

    @property
    def mask(self) -> Mask:
        """Where the class is."""
        return np.asarray(self.labels == self.label)

    def in_view(self, whole: NDArray[Any]) -> NDArray[Any]:
        """Return the slice in view of an array of the grid."""
        return np.take(whole, self.index, axis=self.axis)


@dataclass(frozen=True, eq=False)
class Change:
    """Voxels and their new values; ``slices`` across the axis count from now on."""

    places: tuple[NDArray[np.intp], ...]
    values: NDArray[Any]
    slices: tuple[int, ...]


def filled(work: Work) -> Change:
    """Give slices between those that count the shape between them.

    Raises
    ------
    BadLabels
        If the class is in fewer than two of them, or nothing lies between.
    """
    known = work.known.along[work.axis] | work.known.whole
    painted = np.moveaxis(work.mask, work.axis, 0).copy()
    painted[~known] = False
    there = np.flatnonzero(painted.any(axis=(1, 2)))
    between = (
        np.setdiff1d(np.arange(there[0], there[-1]), there) if there.size else there
    )
    between = between[~known[between]]
    if not between.size:
        raise BadLabels(
            "There is no slice to fill",
            expected="this class in two slices that count, with others between them",
            next_step="Paint it in another slice, then fill again",
        )
    whole = np.moveaxis(painted, 0, work.axis)
    shape = fill_between(whole, work.axis, work.grid.spacing_mm)
    inside = np.zeros(work.labels.shape, dtype=bool)
    np.moveaxis(inside, work.axis, 0)[between] = True
    return _change(work, shape, inside, tuple(between.tolist()))


def smooth(work: Work) -> Change:
    """Round the class off in the slice in view."""
    spacing = [mm for n, mm in enumerate(work.grid.spacing_mm) if n != work.axis]
    return _in_view(work, smoothed(work.in_view(work.mask), spacing))


def largest(work: Work) -> Change:
    """Keep the largest piece of the class, in the whole scan."""
    everywhere = np.ones(work.labels.shape, dtype=bool)
    return _change(work, largest_piece(work.mask), everywhere, ())


def other_side(work: Work) -> Change:
    """Add the mirror image of the class in the slice in view.

    The plane of the mirror is the middle of the body in that slice.

    Raises
    ------
    BadLabels
        If the view is sagittal.
    """
    letters = work.grid.orientation
    side = next(n for n, letter in enumerate(letters) if letter in "LR")
    if side == work.axis:
        raise BadLabels(
            "A sagittal slice has no other side",
            expected="an axial or a coronal view",
            next_step="Choose another view, then mirror",
        )
    axis = side - (work.axis < side)
    here = work.in_view(work.mask)
    body = np.ones(here.shape, dtype=bool)
    if work.image is not None:
        shown = work.in_view(work.image)
        body = shown > otsu_threshold(shown)
    return _in_view(work, here | mirrored(here, axis, middle_of(body, axis)))


def copied(work: Work) -> Change:
    """Lay the class as it is in the slice in view over the next slice.

    Raises
    ------
    BadLabels
        If the slice in view is the last.
    """
    following = work.index + 1
    if following == work.labels.shape[work.axis]:
        raise BadLabels(
            "There is no next slice", next_step="Go back one slice, then copy"
        )
    return _in_view(work, work.in_view(work.mask), index=following)


def _in_view(work: Work, shape: Mask, *, index: int | None = None) -> Change:
    """Return the change that gives the class a shape in one slice."""
    number = work.index if index is None else index
    whole, inside = (np.zeros(work.labels.shape, dtype=bool) for _ in range(2))
    np.moveaxis(whole, work.axis, 0)[number] = shape
    np.moveaxis(inside, work.axis, 0)[number] = True
    return _change(work, whole, inside, (number,))


def _change(work: Work, shape: Mask, inside: Mask, slices: tuple[int, ...]) -> Change:
    """Give the class a shape inside a part of the map; other classes stay."""
    mask = work.mask
    added = inside & shape & (work.labels == 0)
    taken = inside & mask & ~shape
    places = np.nonzero(added | taken)
    values = np.where(added[places], work.label, 0).astype(work.labels.dtype)
    return Change(places, values, slices)
