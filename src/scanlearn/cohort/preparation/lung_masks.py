"""Lung masks of the user's own, taken instead of the computed ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.anatomy.lungs import (
    LEFT,
    MASK_SPACING_MM,
    RIGHT,
    LungMask,
    lung_problems,
)
from scanlearn.anatomy.sides import split_sides
from scanlearn.cohort.labels.label_files import may_be_labels, referenced_series
from scanlearn.cohort.labels.names import scan_stem_of, stem_of
from scanlearn.errors import BadLabels
from scanlearn.scans.find import files_under, kind_of
from scanlearn.scans.geometry import Grid, canonical_grid
from scanlearn.scans.labels.read_labels import read_label_map
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Scan, ScanEntry
from scanlearn.scans.tables.named_files import same_name

#: Two values whose middles lie further apart than this from side to side are two lungs.
_APART_MM = 40.0

_LUNGS = re.compile(r"[_-]lungs?$", re.IGNORECASE)


def match_masks(folder: Path, entries: Sequence[ScanEntry]) -> dict[int, Path]:
    """Return the lung mask of each scan that has one, by the scan's number.

    Parameters
    ----------
    folder
        Masks named like the scans, with or without ``_lungs``, ``_mask``, ``_labels``
        or ``_seg``; or DICOM-SEG files, which name their series themselves.
    entries
        The scans.

    Raises
    ------
    BadLabels
        If no mask matches, or one matches several scans.
    """
    numbers: dict[str, list[int]] = {}
    by_series: dict[str, list[int]] = {}
    for number, entry in enumerate(entries):
        numbers.setdefault(same_name(stem_of(entry.path)), []).append(number)
        if entry.series_uid:
            by_series.setdefault(entry.series_uid.split("#")[0], []).append(number)
    files = [file for file in files_under(Path(folder)) if may_be_labels(file)]
    found: dict[int, Path] = {}
    for file in files:
        stem = scan_stem_of(file)
        stems = (stem_of(file), stem, _LUNGS.sub("", stem))
        # A DICOM-SEG tells its series itself, whatever it is called.
        is_dicom = kind_of(file) == "dicom"
        named = by_series.get(referenced_series(file), []) if is_dicom else []
        if not named:
            named = next((n for s in stems if (n := numbers.get(same_name(s)))), [])
        if len(named) > 1:
            raise BadLabels(
                f"{file} may belong to any of {len(named)} scans",
                expected="one scan of that name or series",
                next_step="Rename the scans, or prepare their folders one by one.",
            )
        if named and found.setdefault(named[0], file) != file:
            raise BadLabels(
                f"{found[named[0]]} and {file} are both for the same scan",
                expected="one lung mask a scan",
                next_step="Join them into one mask, or take one away.",
            )
    if not found:
        raise BadLabels(
            f"none of the {len(files)} masks in {folder} has the name of a scan",
            expected="names like the scans', with or without _lungs",
            next_step="Rename the masks, or leave them out.",
        )
    return found


def given_lungs(file: Path, scan: Scan, straight: Scan) -> LungMask:
    """Read a lung mask that lies on its scan's grid.

    Two values are the two lungs, and the place in the patient tells which is which; any
    other set of values (one for both, or lobes) is parted between the lungs.

    Parameters
    ----------
    file
        The mask.
    scan, straight
        Its scan as read, and on its canonical grid.

    Raises
    ------
    BadLabels
        If the mask is none, or lies on another grid.
    """
    labels, _ = read_label_map(file, like=scan.grid)
    grid = canonical_grid(straight.grid, MASK_SPACING_MM)
    on_grid: NDArray[np.uint16] = np.asarray(
        resample(labels, scan.grid, grid, order=0, outside=0), dtype=np.uint16
    )
    mask = _two_lungs(on_grid, grid)
    if mask is None:
        hu = resample(straight.voxels, straight.grid, grid, order=1, outside=-1024)
        mask = split_sides(hu.astype(np.float32), on_grid > 0, least_voxels=1)
    right_ml, left_ml = (
        float(np.count_nonzero(mask == side) * grid.voxel_ml) for side in (RIGHT, LEFT)
    )
    return LungMask(mask, grid, right_ml, left_ml, lung_problems(right_ml, left_ml))


def _two_lungs(labels: NDArray[np.generic], grid: Grid) -> NDArray[np.uint8] | None:
    """Return values told apart by their side; None where they are no two lungs."""
    values = [value for value in np.unique(labels) if value]
    if len(values) != 2:
        return None
    # The third axis of the canonical grid runs to the patient's left.
    middles = [np.nonzero(labels == value)[2].mean() for value in values]
    if abs(middles[0] - middles[1]) * grid.spacing_mm[2] < _APART_MM:
        return None
    right, left = values if middles[0] < middles[1] else values[::-1]
    mask = np.zeros(labels.shape, dtype=np.uint8)
    mask[labels == right] = RIGHT
    mask[labels == left] = LEFT
    return mask
