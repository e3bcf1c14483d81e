"""Patients held out of a fine-tuning, to choose its best checkpoint by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from scanlearn.randomness import numpy_generator


class _Labelled(Protocol):
    @property
    def patient(self) -> str:
        """Key of the patient."""
        ...

    @property
    def split(self) -> str:
        """``train`` or ``val`` where a table says so."""
        ...


_Item = TypeVar("_Item", bound=_Labelled)


def hold_out(
    items: Sequence[_Item], *, share: float, seed: int, enough: int
) -> tuple[list[_Item], list[_Item]]:
    """Split labelled scans into those to train on and those held out.

    Parameters
    ----------
    items
        Labelled scans; all of a patient go to one side: that of their table, where it
        names one.
    share
        Of the patients that is held out where no table says who: at least one, or none
        if 0.
    seed
        The same seed holds out the same patients.
    enough
        With fewer patients none is held out by itself: training needs them all.
    """
    out = {item.patient for item in items if item.split == "val"}
    kept = {item.patient for item in items if item.split == "train"}
    patients = sorted({item.patient for item in items})
    free = [patient for patient in patients if patient not in kept]
    if not out and free and len(patients) >= enough and share > 0:
        count = max(1, round(share * len(patients)))
        order = numpy_generator(seed, "held out").permutation(free)
        out = set(order[:count].tolist())
    return (
        [item for item in items if item.patient not in out],
        [item for item in items if item.patient in out],
    )
