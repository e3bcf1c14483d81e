"""Labelled scans of a segmentation: which there are, which are held out, how well."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.segmentation import ClassConfig
from scanlearn.errors import BadLabels
from scanlearn.nets.segmentation_loss import IGNORE
from scanlearn.tasks.shared.held_out import hold_out
from scanlearn.tasks.shared.label_set import LabelSet
from scanlearn.tasks.shared.label_tiles import LabelledScan, pool_labels

#: Patients from which some are held out to choose the best checkpoint.
_ENOUGH_PATIENTS = 5


def classes_of(labels: LabelSet) -> tuple[ClassConfig, ...]:
    """Return the classes that labels name, by value."""
    return tuple(ClassConfig(value=v, name=n) for v, n in sorted(labels.names.items()))


def labelled_scans(
    labels: LabelSet, cohorts: WorkingCohorts, classes: tuple[ClassConfig, ...]
) -> list[LabelledScan]:
    """Read label maps onto the working grids, their values made class numbers."""
    table = np.full(256, IGNORE, dtype=np.uint8)
    table[0] = 0
    for index, one in enumerate(classes, start=1):
        table[one.value] = index
    numbers = {scan.key: number for number, scan in enumerate(cohorts.scans)}
    found = []
    for item in labels.items:
        if item.scan not in numbers:
            raise BadLabels(
                f"The labelled scan {item.scan} is not in the cohort, is excluded, or "
                "the encoder's atlas does not fit it",
                next_step="Look at the scan; include it again, or launch the training "
                "without it",
            )
        scan = cohorts.scans[numbers[item.scan]]
        pooled = pool_labels(table[item.read()], scan.factor, len(classes) + 1)
        number = numbers[item.scan]
        found.append(LabelledScan(number, item.patient, pooled, item.split))
    return found


def split_patients(
    scans: list[LabelledScan], *, share: float, seed: int
) -> tuple[list[LabelledScan], list[LabelledScan]]:
    """Hold out whole patients: whom a table names, else some if there are enough."""
    return hold_out(scans, share=share, seed=seed, enough=_ENOUGH_PATIENTS)


def mean_dice(
    scans: Sequence[LabelledScan],
    classes: Sequence[ClassConfig],
    segment: Callable[[LabelledScan], NDArray[np.int_]],
) -> dict[str, float]:
    """Return the mean Dice over scans of each class, and of all as ``dice``.

    Voxels that nobody labelled do not count, nor classes that a scan has not. Empty
    without any.
    """
    scores: dict[str, list[float]] = {c.name: [] for c in classes}
    for scan in scans:
        guess = segment(scan)
        known = scan.labels != IGNORE
        for index, one in enumerate(classes, start=1):
            truth = scan.labels == index
            if truth.any():
                mine = (guess == index) & known
                overlap = 2 * float((mine & truth).sum())
                scores[one.name].append(overlap / float(mine.sum() + truth.sum()))
    means = {f"dice {k}": float(np.mean(v)) for k, v in scores.items() if v}
    if not means:
        return {}
    return {"dice": float(np.mean(list(means.values()))), **means}
