"""Arrays of labels: what may be in one, and laying one onto the grid of its scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid
from scanlearn.scans.turns import SAME_VOXEL, find_turn, turn_towards

LabelArray = NDArray[np.uint8] | NDArray[np.uint16]

_LARGEST = np.iinfo(np.uint16).max

#: Scaling and 32 bits leave this much of a whole number; an interpolation leaves more.
_ROUNDING = 1e-4

#: A file with no more different values than this, all whole and from 0 up, is a mask.
_MOST_CLASSES = 24

#: ... or, in the grid of a scan, no more than this and equal to its neighbours mostly.
_MOST_VALUES = 255
_IN_PIECES = 0.7


@dataclass(frozen=True)
class Note:
    """What was dropped or decided while labels were read.

    ``kind`` is the same sentence in all files, so that many can be told in one line;
    ``detail`` says where and how much.
    """

    kind: str
    detail: str = ""

    @property
    def text(self) -> str:
        """Both, as one line."""
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A label map as it was read.

    Parameters
    ----------
    labels, grid
        Values, and where they are.
    names
        Names that the file states, by value, also of regions without a voxel; empty
        where it states none.
    notes
        What was dropped or decided.
    """

    labels: LabelArray
    grid: Grid
    names: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


class GridMismatch(BadLabels):
    """Labels that lie on another grid than their scan."""


def looks_like_labels(values: NDArray[Any], *, beside_scan: bool = False) -> bool:
    """Whether the values of a file that says nothing are classes, not an image.

    Parameters
    ----------
    values
        Of the file.
    beside_scan
        Whether another file has the same grid, so that this may be its label map: then
        it may also hold a negative value, or many classes, each in one piece.
    """
    some = np.unique(values.reshape(-1)[:: (values.size // 500_000) | 1])
    if not (some == np.rint(some)).all():
        return False
    if some.size <= _MOST_CLASSES:
        # Beyond the field of view a mask may hold one negative value.
        outside = beside_scan and some[1:].min(initial=0) >= 0
        classes = outside and some.max() <= _MOST_CLASSES
        return bool(values.min() >= 0 or classes)
    return beside_scan and some.size <= _MOST_VALUES and _in_pieces(values)


def _in_pieces(values: NDArray[Any]) -> bool:
    """Whether neighbours that are not background are mostly equal; noise never is."""
    background = values.reshape(-1)[0]
    one, other = values[..., :-1], values[..., 1:]
    inside = (one != background) & (other != background)
    equal, all_pairs = int(((one == other) & inside).sum()), int(inside.sum())
    return equal >= _IN_PIECES * max(1, all_pairs)


def values_in(labels: NDArray[np.unsignedinteger[Any]]) -> list[int]:
    """Return the values that labels hold, rising; quicker than sorting all voxels."""
    seen = np.zeros(int(labels.max(initial=0)) + 1, dtype=bool)
    seen[labels.reshape(-1)] = True
    return np.flatnonzero(seen).tolist()


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
        whole = np.rint(values)
        fractions = np.abs(values - whole) > _ROUNDING
        if fractions.any():
            share = f"{np.count_nonzero(fractions)} of {values.size} voxels"
            raise _not_labels(
                name,
                f"values such as {values[fractions][0]:.7g} ({share} are not whole)",
            )
        values = whole
    low, high = values.min(), values.max()
    if low < 0:
        raise BadLabels(
            f"{name} holds negative values down to {int(low)}, in "
            f"{np.count_nonzero(values < 0)} of {values.size} voxels",
            expected="a label map: whole numbers from 0 (background) to 65535",
            next_step="Set what lies outside the field of view to 0 (background) or "
            "255 (ignored), or choose the mask instead of an image.",
        )
    if high > _LARGEST:
        raise _not_labels(name, f"values up to {int(high)}")
    return values.astype(np.uint8) if high <= 255 else values.astype(np.uint16)


def lay_onto(labels: LabelArray, grid: Grid, like: Grid, *, name: str) -> LabelArray:
    """Return labels turned onto a grid that has the same voxels in any axis order.

    Raises
    ------
    GridMismatch
        If the two grids have different voxels.
    """
    turn = find_turn(grid, like)
    if turn is None:
        raise grid_mismatch(name, grid, like)
    return np.ascontiguousarray(turn.voxels(labels))


def place_onto(
    labels: LabelArray, grid: Grid, like: Grid, *, name: str
) -> tuple[LabelArray, int]:
    """Return labels of a part of a grid at their place in it.

    Parameters
    ----------
    labels, grid
        A label map whose voxels are some of ``like``'s, in any axis order; it may also
        reach out of it.
    like
        The scan's grid.
    name
        Of the file, for the message.

    Returns
    -------
    tuple
        Labels of shape ``like.shape``, 0 beyond the part, and how many labelled voxels
        lie outside.

    Raises
    ------
    GridMismatch
        If the voxels of the two grids lie elsewhere, or none is in the scan.
    """
    turn = turn_towards(grid, like)
    if turn is None:
        raise grid_mismatch(name, grid, like)
    part = turn.grid(grid)
    first = np.rint(like.to_index(part.to_patient((0, 0, 0)))).astype(int)
    tolerance = SAME_VOXEL * min(like.spacing_mm)
    if not like.cropped(first, part.shape).matches(part, tolerance_mm=tolerance):
        raise grid_mismatch(name, grid, like)
    low = np.maximum(first, 0)
    high = np.minimum(first + part.shape, like.shape)
    if (low >= high).any():
        raise grid_mismatch(name, grid, like)
    turned = turn.voxels(labels)
    there = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    here = tuple(slice(a - f, b - f) for a, b, f in zip(low, high, first, strict=True))
    placed = np.zeros(like.shape, dtype=labels.dtype)
    placed[there] = turned[here]
    outside = int(np.count_nonzero(turned)) - int(np.count_nonzero(turned[here]))
    return placed, outside


def grid_mismatch(name: str, grid: Grid, like: Grid) -> GridMismatch:
    """Return the error for labels that lie on another grid than their scan."""
    advice = "Paint the labels on this very scan, or resample the mask onto it with "
    advice += "nearest-neighbour interpolation, then try again."
    if sorted(grid.shape) == sorted(like.shape):
        advice += " If it was saved without a place (as an array, or with the identity "
        advice += "matrix), save it again with the scan's affine."
    return GridMismatch(
        f"{name} lies on another grid than its scan: {_describe(grid)}",
        expected=f"the scan's own grid: {_describe(like)}",
        next_step=advice,
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
