"""What a painted label map says of unpainted voxels, and bringing it onto a cohort."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.geometry import Grid
from scanlearn.scans.resample import resample

Labelling = Literal["auto", "dense", "slices", "scribbles"]

#: How a map is labelled once it was looked at; of ``known`` ones the labels say which
#: voxels somebody looked at, by the value :data:`IGNORED` elsewhere.
Labelled = Literal["dense", "slices", "scribbles", "known"]

#: Value of voxels that nobody has labelled: they are neither class nor background.
IGNORED = 255

#: Painted slices that come in runs no longer than this are a choice, not an object.
_LONGEST_RUN = 2

#: One painted slice says "slices" only in a volume with more of them than this.
_SINGLE_OF = 8

_PLANES = {"S": "axial", "I": "axial", "P": "coronal", "A": "coronal"}


@dataclass(frozen=True)
class Painted:
    """How a map is labelled.

    Parameters
    ----------
    labelling
        How.
    axis
        Array axis across the painted slices.
    painted, slices
        Slices along the axis with paint, and in all.
    plane
        Name of the slices' plane.
    """

    labelling: Labelled
    axis: int
    painted: int
    slices: int
    plane: str

    @property
    def text(self) -> str:
        """What the user is told."""
        verb = "looked at" if self.labelling == "known" else "painted"
        counted = f"{self.painted} of {self.slices} {self.plane} slices {verb}"
        meant = {
            "dense": "unpainted voxels count as background",
            "slices": "the other slices are ignored",
            "scribbles": "unpainted voxels are ignored",
            "known": "all else is ignored",
        }
        return f"{counted}; {meant[self.labelling]}"


def planes_of(grid: Grid) -> list[str]:
    """Return the plane of the slices across each axis of a grid."""
    return [_PLANES.get(letter, "sagittal") for letter in grid.orientation]


def how_painted(
    labels: NDArray[np.integer[Any]], grid: Grid, *, labelling: Labelling = "auto"
) -> Painted:
    """Tell a few painted slices from a whole painted volume.

    Parameters
    ----------
    labels
        Non-empty label map; 0 is unpainted.
    grid
        Its grid.
    labelling
        The user's word, or ``auto``: *slices* when along some axis the painted slices
        come in isolated runs of one or two, otherwise *dense*.
    """
    touched = [_touched(labels, axis) for axis in range(3)]
    share = [np.count_nonzero(t) / t.size for t in touched]
    few = [axis for axis in range(3) if _is_choice(touched[axis])]
    if labelling == "auto":
        labelling = "slices" if few else "dense"
    planes = planes_of(grid)
    # The plane that was painted in is the one with the least share of slices touched;
    # where that is no matter, people count axial slices.
    axis = min(few or range(3), key=lambda a: share[a])
    if labelling != "slices":
        axis = planes.index("axial")
    count = int(np.count_nonzero(touched[axis]))
    return Painted(labelling, axis, count, touched[axis].size, planes[axis])


def how_known(labels: NDArray[np.integer[Any]], grid: Grid) -> Painted:
    """Say how many slices were looked at of a map that is ignored elsewhere."""
    seen = [~(labels == IGNORED).any(axis=_others(axis)) for axis in range(3)]
    axis = max(range(3), key=lambda a: np.count_nonzero(seen[a]) / seen[a].size)
    count = int(np.count_nonzero(seen[axis]))
    return Painted("known", axis, count, seen[axis].size, planes_of(grid)[axis])


def with_ignored(labels: NDArray[np.uint8], painted: Painted) -> NDArray[np.uint8]:
    """Return a copy in which voxels that nobody labelled are :data:`IGNORED`."""
    out = labels.copy()
    if painted.labelling == "scribbles":
        out[labels == 0] = IGNORED
    elif painted.labelling == "slices":
        index: list[slice | NDArray[np.bool_]] = [slice(None)] * 3
        index[painted.axis] = ~_touched(labels, painted.axis)
        out[tuple(index)] = IGNORED
    return out


def on_cohort_grid(
    labels: NDArray[np.uint8], source: Grid, target: Grid
) -> NDArray[np.uint8]:
    """Bring a map with ignored voxels onto a cohort's grid, nearest voxel first.

    Where the cohort is coarser, thin paint is thickened into ignored voxels beforehand:
    it must not fall between two samples.
    """
    if (labels == IGNORED).any():
        steps = np.abs(np.linalg.inv(source.affine[:3, :3]) @ target.affine[:3, :3])
        for axis, ratio in enumerate(steps.max(axis=1)):
            labels = _thickened(labels, axis, math.ceil((ratio - 1.01) / 2))
    mapped = resample(labels, source, target, order=0, outside=IGNORED)
    return np.asarray(mapped, dtype=np.uint8)


def count_values(
    labels: NDArray[np.integer[Any]], *, ignored: bool = True
) -> Mapping[int, int]:
    """Return how many voxels each class has; background and ignored have none.

    Where a file names its regions, none of its values stands for ``ignored`` voxels.
    """
    counts = np.bincount(labels.reshape(-1), minlength=256)
    return {
        int(value): int(counts[value])
        for value in np.flatnonzero(counts)
        if value != 0 and not (ignored and value == IGNORED)
    }


def _touched(labels: NDArray[np.integer[Any]], axis: int) -> NDArray[np.bool_]:
    return np.asarray((labels != 0).any(axis=_others(axis)))


def _others(axis: int) -> tuple[int, ...]:
    return tuple(a for a in range(3) if a != axis)


def _is_choice(touched: NDArray[np.bool_]) -> bool:
    """Whether slices were chosen to be painted, not met by what was painted."""
    edges = np.diff(np.concatenate([[0], touched.astype(np.int8), [0]]))
    runs = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    if runs.size == 0 or runs.max() > _LONGEST_RUN:
        return False
    single = runs.size == 1 and runs[0] == 1 and touched.size > _SINGLE_OF
    return bool(runs.size >= 2 or single)


def _thickened(labels: NDArray[np.uint8], axis: int, steps: int) -> NDArray[np.uint8]:
    """Copy labelled voxels into ignored neighbours along an axis."""
    for _ in range(steps):
        before = np.moveaxis(labels, axis, 0)
        labels = labels.copy()
        after = np.moveaxis(labels, axis, 0)
        for to, by in (
            (slice(1, None), slice(None, -1)),
            (slice(None, -1), slice(1, None)),
        ):
            free = (after[to] == IGNORED) & (before[by] != IGNORED)
            after[to][free] = before[by][free]
    return labels
