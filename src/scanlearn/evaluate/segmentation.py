"""Agreement of label maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.paint import IGNORED


def dice(truth: NDArray[np.generic], guess: NDArray[np.generic], value: int) -> float:
    """Return the Dice coefficient of one class over labelled voxels.

    Two empty masks give ``nan``: there is nothing to agree on.
    """
    known = truth != IGNORED
    mine, theirs = (guess == value) & known, truth == value
    total = int(mine.sum()) + int(theirs.sum())
    return 2 * int((mine & theirs).sum()) / total if total else float("nan")


def compare_label_maps(
    truth: NDArray[np.generic],
    guess: NDArray[np.generic],
    *,
    names: dict[int, str],
    voxel_ml: float,
) -> dict[str, dict[str, Any]]:
    """Return Dice and volumes of each class, by name."""
    known = truth != IGNORED
    return {
        name: {
            "dice": dice(truth, guess, value),
            "true_ml": float((truth == value).sum()) * voxel_ml,
            "predicted_ml": float(((guess == value) & known).sum()) * voxel_ml,
        }
        for value, name in names.items()
    }
