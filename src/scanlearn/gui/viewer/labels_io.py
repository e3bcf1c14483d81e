"""Painted labels back to the grid of their scan: nothing painted is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.labels.known_slices import (
    KnownSlices,
    laid_over,
    with_unknown_ignored,
)
from scanlearn.cohort.labels.paint import IGNORED
from scanlearn.errors import BadLabels
from scanlearn.gui.viewer.layers import CLASSES, KNOWN, Origin, grid_of, origin_of
from scanlearn.scans.geometry import Grid


@dataclass(frozen=True, eq=False)
class Painted:
    """A snapshot of a Labels layer, safe to work on in a thread."""

    name: str
    labels: NDArray[Any]
    grid: Grid
    origin: Origin
    classes: Mapping[int, str]
    #: What counts as truth; None where the labels themselves tell.
    known: KnownSlices | None = None

    def with_known(self, known: KnownSlices) -> Painted:
        """Return the same of which this counts."""
        return replace(self, known=known)

    def over(self, earlier: Painted) -> Painted:
        """Return the same with what was known before and is not known here; slow."""
        if self.known is None or earlier.known is None:
            return self
        if not self.grid.matches(earlier.grid):
            return self
        labels, known = laid_over(
            self.labels, self.known, earlier.labels, earlier.known
        )
        classes = {**earlier.classes, **self.classes}
        return replace(self, labels=labels, known=known, classes=classes)


@dataclass(frozen=True)
class Amount:
    """How much of a layer is painted, in words, and with which values."""

    short: str
    meaning: str
    values: tuple[int, ...]


def amount(painted: Painted) -> Amount:
    """Say how much counts as truth, such as ``"4 of 275 axial slices"``; slow.

    Raises
    ------
    BadLabels
        If nothing does.
    """
    from scanlearn.cohort.labels.paint import how_painted

    labels = as_small_integers(painted.labels, painted.name)
    values = tuple(int(value) for value in np.unique(labels) if value)
    if painted.known is not None:
        return amount_known(painted.name, painted.grid, painted.known, values)
    if not values:
        raise BadLabels(
            f"Nothing is painted on the layer '{painted.name}'",
            expected="a few painted slices",
            next_step="Paint on it, then press 'Use this layer' again",
        )
    how = how_painted(labels, painted.grid)
    counted = f"{how.painted} of {how.slices} {how.plane} slices"
    whole = how.labelling == "dense"
    return Amount("whole scan" if whole else counted, how.text, values)


def amount_known(
    name: str, grid: Grid, known: KnownSlices, values: tuple[int, ...]
) -> Amount:
    """Say how much counts where it is known which slices do.

    Raises
    ------
    BadLabels
        If none does.
    """
    if known.nothing:
        raise BadLabels(
            f"No slice of the layer '{name}' was touched or ticked",
            expected="slices that somebody looked at",
            next_step="Correct a slice, or tick 'This slice is right' (T) where it is",
        )
    counted = known.counted(grid)
    rest = "" if known.whole else "; all else is unknown, not background"
    return Amount(counted, f"{counted} count as truth{rest}", values)


def snapshot(layer: Any) -> Painted:
    """Copy a Labels layer that belongs to a scan.

    Raises
    ------
    BadLabels
        If the layer belongs to no scan of ours or has another number of axes.
    """
    origin = origin_of(layer)
    if origin is None or layer.ndim != 3:
        raise BadLabels(
            f"The layer '{layer.name}' is not tied to a scan",
            expected="labels painted on a layer made by 'New label layer'",
            next_step="Select the scan, press 'New label layer' and paint there",
        )
    classes = layer.metadata.get(CLASSES, {})
    voxels = np.array(layer.data)
    known = layer.metadata.get(KNOWN)
    return Painted(layer.name, voxels, grid_of(layer), origin, classes, known)


def to_grid(
    labels: NDArray[Any], grid: Grid, target: Grid, *, outside: int = 0
) -> NDArray[Any]:
    """Lay labels onto another grid; every painted voxel leaves a trace there.

    Each voxel of the target takes the label at its centre, beyond the grid that of
    ``outside``. A painted voxel that no centre fell into (a thin line on an oblique or
    thick-sliced scan) is then put into the voxel that holds it, where that is still
    empty.
    """
    if grid.matches(target):
        return labels
    from scanlearn.scans.resample import resample

    pulled = np.array(resample(labels, grid, target, order=0, outside=outside))
    painted = np.argwhere((labels != 0) & (labels != outside))
    index = np.rint(target.to_index(grid.to_patient(painted))).astype(int)
    inside = ((index >= 0) & (index < target.shape)).all(axis=1)
    here, there = tuple(painted[inside].T), tuple(index[inside].T)
    empty = (pulled[there] == 0) | (pulled[there] == outside)
    lost = tuple(axis[empty] for axis in there)
    pulled[lost] = labels[here][empty]
    return pulled


def write_labels(path: Path, painted: Painted) -> None:
    """Write labels as NIfTI in the grid of their scan's source, and read them again."""
    from scanlearn.scans.files.write_nifti import write_nifti

    target = painted.origin.grid
    labels = to_grid(painted.labels, painted.grid, target)
    write_nifti(path, as_small_integers(labels, painted.name), target)


def write_truth(path: Path, painted: Painted) -> bool:
    """Write labels to train on: 255 where nobody looked; returns whether there may be.

    Raises
    ------
    BadLabels
        If a class has that value.
    """
    known = painted.known
    if known is None or known.whole:
        write_labels(path, painted)
        return False
    labels = as_small_integers(painted.labels, painted.name)
    if int(labels.max(initial=0)) >= IGNORED:
        raise BadLabels(
            f"The layer '{painted.name}' holds values up to {labels.max()}",
            expected="classes from 1 to 254",
            next_step="Renumber its labels",
        )
    from scanlearn.scans.files.write_nifti import write_nifti

    target = painted.origin.grid
    seen = with_unknown_ignored(labels, known)
    laid = to_grid(seen, painted.grid, target, outside=IGNORED)
    write_nifti(path, laid.astype(np.uint8), target)
    return True


def as_small_integers(labels: NDArray[Any], name: str) -> NDArray[Any]:
    """Return labels as uint8, or uint16 where they need it."""
    top = int(labels.max(initial=0))
    if top > np.iinfo(np.uint16).max or int(labels.min(initial=0)) < 0:
        raise BadLabels(
            f"The layer '{name}' holds values up to {top}",
            expected="classes from 1 to 254",
            next_step="Renumber its labels",
        )
    return labels.astype(np.uint8 if top <= 255 else np.uint16)
