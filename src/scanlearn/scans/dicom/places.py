"""Where single slices lie, and which lie in planes of one kind or at one place."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.dicom.slice_header import SliceHeader
from scanlearn.scans.scan import Problem

#: A slice may lie this far from the even lattice: positions are written rounded.
JITTER_MM = 0.1
#: ... but never further than this part of the step between slices.
JITTER_FRACTION = 0.2
#: Cosines that differ by less than this belong to one orientation.
SAME_ORIENTATION = 1e-3
#: Pixel spacings that differ by less than this in millimetres are one.
SAME_SPACING = 5e-4
#: Slices that lie no further apart than this in all are at one position.
SAME_POSITION_MM = 1e-3
#: Of the distances between slices those above this part of the largest are steps.
_STEP_FRACTION = 0.1


@lru_cache(maxsize=1024)
def plane_axes(orientation: tuple[float, ...]) -> NDArray[np.float64]:
    """Return (3, 3): unit vectors along columns, along rows, and their normal.

    Zeros where the orientation is unusable.
    """
    axes = np.zeros((3, 3))
    axes.setflags(write=False)
    if len(orientation) != 6:
        return axes
    along_row = np.array(orientation[:3])
    along_column = np.array(orientation[3:])
    sizes = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if min(sizes) < 0.5:
        return axes
    along_row, along_column = along_row / sizes[0], along_column / sizes[1]
    normal = np.cross(along_row, along_column)
    if np.linalg.norm(normal) < 0.9:
        return axes
    normal /= np.linalg.norm(normal)
    axes = np.stack([along_row, along_column, normal])
    axes.setflags(write=False)
    return axes


def has_plane(header: SliceHeader) -> bool:
    """Whether a slice says where it lies."""
    return len(header.position) == 3 and bool(plane_axes(header.orientation).any())


def plane_numbers(slices: Sequence[SliceHeader]) -> list[tuple[int, int, int, int]]:
    """Return for each slice the same where orientation, size and spacing are the same.

    Nearly the same counts: numbers are written rounded.
    """
    turns, spacings = _Alike(SAME_ORIENTATION), _Alike(SAME_SPACING)
    numbers = []
    for header in slices:
        turn = turns.number_of(header.orientation)
        spacing = spacings.number_of(pixel_spacing_of(header)[0])
        numbers.append((turn, spacing, header.rows, header.columns))
    return numbers


class _Alike:
    """Numbers vectors; those that differ by less than a tolerance share a number."""

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._known: list[tuple[float, ...]] = []
        self._numbers: dict[tuple[float, ...], int] = {}

    def number_of(self, vector: tuple[float, ...]) -> int:
        """Return the number of the first vector like this one."""
        if vector not in self._numbers:
            self._numbers[vector] = self._nearest(vector)
        return self._numbers[vector]

    def _nearest(self, new: tuple[float, ...]) -> int:
        for number, old in enumerate(self._known):
            if len(old) == len(new) and new:
                gap = max(abs(a - b) for a, b in zip(old, new, strict=True))
                if gap < self._tolerance:
                    return number
        self._known.append(new)
        return len(self._known) - 1


def heights_mm(slices: Sequence[SliceHeader]) -> NDArray[np.float64]:
    """Return (n,) positions of parallel slices along their normal."""
    normal = plane_axes(slices[0].orientation)[2]
    return np.asarray(np.array([s.position for s in slices]) @ normal)


def in_plane_mm(slices: Sequence[SliceHeader]) -> NDArray[np.float64]:
    """Return (n, 2) positions of parallel slices along their rows and columns."""
    axes = plane_axes(slices[0].orientation)[:2]
    return np.asarray(np.array([s.position for s in slices]) @ axes.T)


def place_numbers(heights: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the numbers of the places of slices, from 0 for the lowest.

    Slices at one place may lie as far apart as the jitter of rounded positions.
    """
    order = np.argsort(heights, kind="stable")
    gaps = np.diff(heights[order])
    largest = float(gaps.max(initial=0.0))
    numbers = np.zeros(len(heights), dtype=np.intp)
    if largest > SAME_POSITION_MM:
        step = float(np.median(gaps[gaps > largest * _STEP_FRACTION]))
        numbers[order[1:]] = np.cumsum(gaps > jitter_mm(step))
    return numbers


def pixel_spacing_of(header: SliceHeader) -> tuple[tuple[float, float], list[Problem]]:
    """Return (row, column) spacing in mm, and a problem where it is not known."""
    for spacing in (header.pixel_spacing, header.detector_spacing):
        if len(spacing) == 2 and min(spacing) > 0:
            return (spacing[0], spacing[1]), []
    problem = Problem(
        "no_spacing",
        "warning",
        f"{header.path.name} has no pixel spacing; 1 mm was taken",
        "Do not trust sizes and volumes of this scan",
    )
    return (1.0, 1.0), [problem]


def jitter_mm(step: float) -> float:
    """Return how far slices of a step may lie from where they should."""
    return min(JITTER_MM, JITTER_FRACTION * abs(step))
