"""The voxel size that the MR scans of a cohort share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scanlearn.cohort.preparation.pool import run_all
from scanlearn.scans.formats import Kind
from scanlearn.scans.labels.label_arrays import looks_like_labels
from scanlearn.scans.read import read_scan
from scanlearn.scans.scan import Acquisition, ScanEntry

Spacing = tuple[float, float, float]

#: Formats whose headers do not tell a CT from an MR, and that masks come in too.
UNTOLD: tuple[Kind, ...] = ("nifti", "itk", "zarr")


def median_spacing(entries: Sequence[ScanEntry]) -> Spacing | None:
    """Return the (S, P, L) median spacing of the volumes that are not CT."""
    volumes = [_canonical_spacing(entry) for entry in entries if _may_be_mr(entry)]
    if not volumes:
        return None
    middle = np.round(np.median(np.array(volumes), axis=0), 3)
    return float(middle[0]), float(middle[1]), float(middle[2])


def canonical_order(entry: ScanEntry) -> tuple[int, int, int]:
    """Return which axes of an entry run head-foot, front-back and right-left.

    The axes as they are where the header does not tell.
    """
    axes = {"S": 0, "I": 0, "P": 1, "A": 1, "L": 2, "R": 2}
    runs = [axes.get(letter, -1) for letter in entry.orientation]
    if sorted(runs) != [0, 1, 2]:
        return 0, 1, 2
    return runs.index(0), runs.index(1), runs.index(2)


def _canonical_spacing(entry: ScanEntry) -> Spacing:
    """Return the spacing along head-foot, front-back and right-left."""
    first, second, third = (entry.spacing_mm[axis] for axis in canonical_order(entry))
    return first, second, third


def spacings_differ(entries: Sequence[ScanEntry]) -> bool:
    """Whether it matters for the median which of the volumes are MR."""
    found = {_canonical_spacing(entry) for entry in entries if _may_be_mr(entry)}
    return len(found) > 1 and any(map(_is_untold, filter(_may_be_mr, entries)))


def modalities_known(
    entries: Sequence[ScanEntry], *, workers: int | None = None
) -> list[ScanEntry]:
    """Return entries whose units are known, without masks and what cannot be read.

    Only files that do not state their modality are read, for their values tell.
    """
    known = [entry for entry in entries if not _is_untold(entry)]
    untold = [entry for entry in entries if _is_untold(entry)]
    for outcome in run_all(_seen, untold, workers=workers):
        if outcome.result is not None:
            known.append(replace(outcome.item, acquisition=outcome.result))
    return known


def _seen(entry: ScanEntry) -> Acquisition | None:
    """Return what the values of a scan tell of it; None for a mask."""
    scan = read_scan(entry)
    if scan.acquisition.units != "HU" and looks_like_labels(scan.voxels):
        return None
    return scan.acquisition


def _is_untold(entry: ScanEntry) -> bool:
    return entry.kind in UNTOLD and entry.acquisition.modality == "OT"


def _may_be_mr(entry: ScanEntry) -> bool:
    return (
        entry.acquisition.units != "HU"
        and len(entry.spacing_mm) == 3
        and len(entry.shape) >= 3
        and entry.shape[0] > 1
    )
