"""Two predictions of one scan, compared class by class by the classes' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadRun
from scanlearn.metrics.overlap import dice
from scanlearn.prediction.summary import Prediction
from scanlearn.scans.labels.read_labels import read_label_map

LabelArray = NDArray[np.integer]


@dataclass(frozen=True)
class Disagreement:
    """How little two runs agree on one scan.

    Parameters
    ----------
    scan
        How the files of both begin; of a cohort's scan its key.
    value
        One minus the mean Dice of the classes that either found; 0 where none was.
    classes
        Dice of each of them.
    """

    scan: str
    value: float
    classes: Mapping[str, float]


def compared(one: Prediction, other: Prediction) -> Disagreement:
    """Compare two predictions of one scan; which comes first does not matter."""
    mine, its, names = same_classes(one, other)
    classes = {
        name: dice(mine == value, its == value)
        for value, name in names.items()
        if (mine == value).any() or (its == value).any()
    }
    value = 1 - float(np.mean(list(classes.values()))) if classes else 0.0
    return Disagreement(one.scan, value, classes)


def same_classes(
    one: Prediction, other: Prediction
) -> tuple[LabelArray, LabelArray, dict[int, str]]:
    """Return both label maps with values of the same meaning, and those values' names.

    Values are those of the first; classes that only the other has get further ones.

    Raises
    ------
    BadRun
        If one has no label map.
    """
    names = {found.value: found.name for found in one.classes}
    values = {name: value for value, name in names.items()}
    table = np.zeros(256, dtype=np.uint8)
    for found in other.classes:
        value = values.setdefault(found.name, max(values.values(), default=0) + 1)
        table[found.value] = value
    mine, its = _labels(one, one), _labels(other, one)
    return mine, table[its], {value: name for name, value in values.items()}


def _labels(prediction: Prediction, like: Prediction) -> LabelArray:
    if prediction.labels is None:
        raise no_label_maps(prediction.run)
    return read_label_map(prediction.labels, like=like.grid)[0]


def difference(one: LabelArray, other: LabelArray) -> NDArray[np.uint8]:
    """Return where two label maps differ.

    Returns
    -------
    An array of their shape: 1 where only the first found something, 2 where only the
    other did, 3 where they found different classes.
    """
    found = np.where(one > 0, np.where(other > 0, 3, 1), 2).astype(np.uint8)
    found[one == other] = 0
    return found


def no_label_maps(run: str) -> BadRun:
    """Return the error of a run whose results cannot be laid over each other."""
    return BadRun(
        f"{run} makes no label maps",
        expected="two segmentations, or two of texture",
        next_step="Compare the tables that both write",
    )
