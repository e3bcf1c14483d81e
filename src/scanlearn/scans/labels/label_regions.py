"""Regions that may overlap, laid into one label map: the smaller one shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.labels.label_arrays import Note

#: A smaller region shows where two overlap, so that a nodule is not lost in its lung.
_OVERLAP = "regions overlap; the smaller one shows"
_HIDDEN = "regions are hidden wholly by smaller ones, so they are no classes here"


@dataclass(frozen=True, eq=False)
class Region:
    """The voxels of one region, cut to the box that holds them.

    Parameters
    ----------
    value
        Its label.
    box
        Where the mask lies in the array.
    mask
        Its voxels there.
    """

    value: int
    box: tuple[slice, ...]
    mask: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.mask))


def region_of(value: int, mask: NDArray[np.bool_]) -> Region | None:
    """Return a mask as a region; None where it is empty."""
    box, part = [], mask
    for axis in range(mask.ndim):  # each search is in what the last one left
        others = tuple(a for a in range(mask.ndim) if a != axis)
        met = np.flatnonzero(part.any(axis=others))
        if not len(met):
            return None
        box.append(slice(int(met[0]), int(met[-1]) + 1))
        part = part[(slice(None),) * axis + (box[-1],)]
    return Region(value, tuple(box), part.copy())


@dataclass(frozen=True, eq=False)
class LaidRegions:
    """Regions laid into one label map.

    Parameters
    ----------
    labels
        Each voxel's label, 0 for none.
    names
        Of the regions that show, and of empty ones.
    notes
        Where regions overlap or are hidden.
    """

    labels: NDArray[np.uint16]
    names: Mapping[int, str]
    notes: tuple[Note, ...]


def lay_regions(
    regions: Iterable[Region | None],
    shape: tuple[int, int, int],
    names: Mapping[int, str],
) -> LaidRegions:
    """Lay regions into one label map.

    Parameters
    ----------
    regions
        In any order; None stands for an empty one.
    shape
        Of the label map.
    names
        Of the regions, by label.
    """
    kept = [region for region in regions if region is not None]
    labels = np.zeros(shape, dtype=np.uint16)
    overlap = 0
    for region in sorted(kept, key=lambda one: (-one.size, one.value)):
        there = labels[region.box]
        overlap += int(np.count_nonzero(there[region.mask]))
        there[region.mask] = region.value
    shown = {
        region.value for region in kept if (labels[region.box] == region.value).any()
    }
    hidden = {region.value for region in kept} - shown
    notes = []
    if overlap:
        notes.append(Note(_OVERLAP, f"{overlap} voxels"))
    if hidden:
        told = ", ".join(names.get(value, str(value)) for value in sorted(hidden))
        notes.append(Note(_HIDDEN, told))
    left = {value: name for value, name in names.items() if value not in hidden}
    return LaidRegions(labels, left, tuple(notes))
