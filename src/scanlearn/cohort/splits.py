"""Splits by patient: nobody is ever on two sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from scanlearn.errors import BadConfig
from scanlearn.randomness import numpy_generator


class HasPatient(Protocol):
    """Anything that belongs to a patient: a scan record, a labelled item."""

    @property
    def patient(self) -> str:
        """Key of the patient."""
        ...


def split_by_patient(
    records: Sequence[HasPatient], fractions: Mapping[str, float], *, seed: int
) -> dict[str, list[int]]:
    """Split records into named parts so that each patient is in one part only.

    Parameters
    ----------
    records
        What is split; several may share a patient.
    fractions
        Share of the patients of each part, such as ``{"train": 0.8, "val": 0.2}``.
        Every part with a share gets a patient as long as there are enough.
    seed
        The same seed gives the same split, in whatever order the records come.

    Returns
    -------
    dict
        The positions in ``records`` of each part, in order.

    Raises
    ------
    BadConfig
        If the fractions are not positive and do not add up to 1.
    """
    total = sum(fractions.values())
    if min(fractions.values(), default=-1) < 0 or abs(total - 1) > 1e-6:
        raise BadConfig(
            f"the parts of a split are {dict(fractions)}",
            expected="shares from 0 to 1 that add up to 1",
        )
    patients = _shuffled(records, seed)
    counts = _counts(len(patients), fractions)
    part_of: dict[str, str] = {}
    start = 0
    for name, count in counts.items():
        part_of |= dict.fromkeys(patients[start : start + count], name)
        start += count
    parts: dict[str, list[int]] = {name: [] for name in fractions}
    for number, record in enumerate(records):
        parts[part_of[record.patient]].append(number)
    return parts


def folds(
    records: Sequence[HasPatient], count: int, *, seed: int
) -> list[tuple[list[int], list[int]]]:
    """Return (train, test) positions of a cross-validation by patient.

    Every record is in exactly one test part.

    Raises
    ------
    BadConfig
        If there are fewer patients than folds, or fewer than two folds.
    """
    patients = _shuffled(records, seed)
    if not 2 <= count <= len(patients):
        raise BadConfig(
            f"{count} folds of {len(patients)} patients",
            expected=f"2 to {len(patients)} folds",
        )
    fold_of = {patient: number % count for number, patient in enumerate(patients)}
    numbers = [fold_of[record.patient] for record in records]
    return [
        (
            [n for n, fold in enumerate(numbers) if fold != this],
            [n for n, fold in enumerate(numbers) if fold == this],
        )
        for this in range(count)
    ]


def _shuffled(records: Sequence[HasPatient], seed: int) -> list[str]:
    patients = sorted({record.patient for record in records})
    order = numpy_generator(seed, "split").permutation(len(patients))
    return [patients[n] for n in order]


def _counts(patients: int, fractions: Mapping[str, float]) -> dict[str, int]:
    """Share out whole patients: largest remainders, but nobody empty-handed."""
    exact = {name: share * patients for name, share in fractions.items()}
    counts = {name: int(value + 1e-9) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: patients - sum(counts.values())]:
        counts[name] += 1
    for name, share in fractions.items():
        richest = max(counts, key=lambda name: counts[name])
        if share > 0 and counts[name] == 0 and counts[richest] > 1:
            counts[richest] -= 1
            counts[name] += 1
    return counts
