"""Labelled scans of a segmentation: which there are, which are held out, how well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.label_set import LabelSet
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.segmentation import ClassConfig
from scanlearn.errors import BadLabels
from scanlearn.nets.segmentation_loss import IGNORE
from scanlearn.randomness import numpy_generator
from scanlearn.recipes.finetune.label_tiles import LabelledScan, pool_labels

#: Patients from which some are held out to choose the best checkpoint.
_ENOUGH_PATIENTS = 5


@dataclass(frozen=True)
class TileNumbers:
    """Endless batches of tile numbers, this process's share of each."""

    first: int
    batch: int
    rank: int
    world: int

    def __iter__(self) -> Iterator[list[int]]:
        begin = self.first
        while True:
            yield list(range(begin + self.rank, begin + self.batch, self.world))
            begin += self.batch


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
    out = {scan.patient for scan in scans if scan.split == "val"}
    kept = {scan.patient for scan in scans if scan.split == "train"}
    patients = sorted({scan.patient for scan in scans})
    free = [patient for patient in patients if patient not in kept]
    if not out and free and len(patients) >= _ENOUGH_PATIENTS and share > 0:
        count = max(1, round(share * len(patients)))
        order = numpy_generator(seed, "held out").permutation(free)
        out = set(order[:count].tolist())
    return (
        [scan for scan in scans if scan.patient not in out],
        [scan for scan in scans if scan.patient in out],
    )


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
