"""Arrays of labels: what may be in one, and laying one onto the grid of its scan."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid
from scanlearn.scans.turns import find_turn

LabelArray = NDArray[np.uint8] | NDArray[np.uint16]

_LARGEST = np.iinfo(np.uint16).max

#: A file with no more different values than this, all whole and from 0 up, is a mask.
_MOST_CLASSES = 24


def looks_like_labels(values: NDArray[Any]) -> bool:
    """Whether the values of a file that says nothing are classes, not an image."""
    some = np.unique(values.reshape(-1)[:: (values.size // 500_000) | 1])
    return bool(
        some.size <= _MOST_CLASSES
        and values.min() >= 0
        and (some == np.rint(some)).all()
    )


def as_labels(values: NDArray[Any], name: str) -> LabelArray:
    """Return values as uint8, or uint16 where they need it.

    Raises
    ------
    BadLabels
        If a value is not a whole number from 0 to 65535; the message names ``name``.
    """
    if values.dtype.kind not in "biuf":
        raise _not_labels(name, f"values of type {values.dtype}")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise _not_labels(name, "values that are not finite")
        fractions = values != np.rint(values)
        if fractions.any():
            raise _not_labels(name, f"values such as {values[fractions][0]:.4g}")
    low, high = values.min(), values.max()
    if low < 0:
        raise _not_labels(name, f"negative values down to {int(low)}")
    if high > _LARGEST:
        raise _not_labels(name, f"values up to {int(high)}")
    return values.astype(np.uint8) if high <= 255 else values.astype(np.uint16)


def lay_onto(labels: LabelArray, grid: Grid, like: Grid, *, name: str) -> LabelArray:
    """Return labels turned onto a grid that has the same voxels in any axis order.

    Raises
    ------
    BadLabels
        If the two grids have different voxels.
    """
    turn = find_turn(grid, like)
    if turn is None:
        raise grid_mismatch(name, grid, like)
    return np.ascontiguousarray(turn.voxels(labels))


def grid_mismatch(name: str, grid: Grid, like: Grid) -> BadLabels:
    """Return the error for labels that lie on another grid than their scan."""
    return BadLabels(
        f"{name} lies on another grid than its scan: {_describe(grid)}",
        expected=f"the scan's own grid: {_describe(like)}",
        next_step="Paint the labels on this very scan, or resample the mask onto it "
        "with nearest-neighbour interpolation, then try again.",
    )


def _describe(grid: Grid) -> str:
    size = " x ".join(str(n) for n in grid.shape)
    spacing = " x ".join(f"{s:.4g}" for s in grid.spacing_mm)
    origin = ", ".join(f"{x:.1f}" for x in grid.to_patient((0, 0, 0)))
    return (
        f"{size} voxels of {spacing} mm, axes {grid.orientation}, "
        f"first voxel at ({origin}) mm LPS"
    )


def _not_labels(name: str, found: str) -> BadLabels:
    return BadLabels(
        f"{name} holds {found}",
        expected="a label map: whole numbers from 0 (background) to 65535",
        next_step="Choose the mask instead of an image or a probability map, or "
        "save it with integer labels.",
    )
