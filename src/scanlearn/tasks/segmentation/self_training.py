"""One round of self-training: what a first network says of scans without labels.

Half of the steps train a network on the labelled scans. It labels the others; a scan in
which a class is missing is left out. Then training begins anew, half of each batch from
either kind.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.working import WorkingCohorts
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.labels.read_labels import read_label_map
from scanlearn.tasks.shared.label_tiles import LabelledScan

#: Sizes at which a scan is looked at to label it.
SCALES = (0.8, 1.0, 1.25)

#: A class is missing from a scan that has less of it than this share of the median.
_MISSING = 0.1


@dataclass(frozen=True)
class SelfTraining:
    """What a training learns from the scans that nobody labelled.

    Parameters
    ----------
    cohorts
        Where they are.
    numbers
        Of the scans without labels.
    folder
        Where their labels are kept, ``labels/`` made whole or not at all.
    """

    cohorts: WorkingCohorts
    numbers: tuple[int, ...]
    folder: Path

    def label(
        self,
        segment: Callable[[int], NDArray[np.uint8]],
        labelled: Sequence[LabelledScan],
    ) -> None:
        """Label the scans by a network, and write the labels of those that are kept.

        Parameters
        ----------
        segment
            Gives the class numbers of a scan, cleaned.
        labelled
            The labelled scans, whose classes an unlabelled one must have, too.
        """
        found = {number: segment(number) for number in self.numbers}
        kept = complete([scan.labels for scan in labelled], found)
        part = self.folder.with_name(f".{self.folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for number in kept:
            scan = self.cohorts.scans[number]
            write_nifti(part / f"{scan.key}.nii.gz", found[number], scan.grid)
        shutil.rmtree(self.folder, ignore_errors=True)
        part.rename(self.folder)

    def kept(self) -> list[int]:
        """Return the numbers of the scans whose labels were kept."""
        return [number for number in self.numbers if self._path(number).exists()]

    def scans(self) -> list[LabelledScan]:
        """Read the labels that were kept."""
        return [self._read(number) for number in self.kept()]

    def _read(self, number: int) -> LabelledScan:
        scan = self.cohorts.scans[number]
        labels, _ = read_label_map(self._path(number), like=scan.grid)
        return LabelledScan(number, scan.record.patient, labels.astype(np.uint8))

    def _path(self, number: int) -> Path:
        return self.folder / f"{self.cohorts.scans[number].key}.nii.gz"


def unlabelled_scans(
    cohorts: WorkingCohorts,
    labelled: Sequence[LabelledScan],
    units: str,
    *,
    apart: Collection[str],
) -> tuple[int, ...]:
    """Return the numbers of the scans without labels.

    Parameters
    ----------
    cohorts, labelled
        All scans, and those with labels.
    units
        What intensities must mean.
    apart
        Keys of patients that are kept to validate or test on: not even their images
        are learned from.
    """
    known = {scan.number for scan in labelled}
    return tuple(
        number
        for number, scan in enumerate(cohorts.scans)
        if number not in known
        and scan.units == units
        and scan.record.patient not in apart
    )


def complete(
    truths: Sequence[NDArray[np.uint8]], found: dict[int, NDArray[np.uint8]]
) -> list[int]:
    """Return which of the found label maps lack no class that every truth has.

    A class that is a tenth as large as in the median of the truths, or less, is
    missing.
    """
    present = [set(np.unique(labels).tolist()) for labels in truths]
    wanted = set.intersection(*present) - {0, 255}
    least = {
        value: _MISSING * np.median([np.count_nonzero(t == value) for t in truths])
        for value in wanted
    }
    return [
        number
        for number, labels in found.items()
        if all(np.count_nonzero(labels == v) > few for v, few in least.items())
    ]
