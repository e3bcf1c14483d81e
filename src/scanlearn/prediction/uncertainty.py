"""How little sure a model is of each voxel: the entropy of its probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.prediction.result_files import Saving
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.geometry import Grid

#: Probabilities are kept in steps of 1/255: finer than any two trainings agree.
PROBABILITY_STEPS = 255


def entropy(probabilities: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the entropy of class probabilities over that of an even guess.

    Parameters
    ----------
    probabilities
        (C, ...) of C > 1 classes in steps of 1 / :data:`PROBABILITY_STEPS`. Their sum
        may differ from 1 by rounding; where it is 0, nothing is known and nothing is in
        question.

    Returns
    -------
    NDArray
        (...) from 0, sure, to 1, all classes alike.
    """
    steps = np.arange(PROBABILITY_STEPS + 1, dtype=np.float32)
    terms = steps * np.log(np.maximum(steps, 1))
    # With p = s / S: -sum p log p = log S - (sum s log s) / S, one class at a time.
    total = probabilities.sum(axis=0, dtype=np.float32)
    found = np.zeros_like(total)
    for one in probabilities:
        found += terms[one]
    total = np.maximum(total, 1)
    found = np.log(total) - found / total
    return np.asarray(np.clip(found / np.log(len(probabilities)), 0, 1), np.float32)


def write_uncertainty(to: Saving, uncertainty: NDArray[np.float32], grid: Grid) -> Path:
    """Write ``NAME_uncertainty.nii.gz``, from 0 to 1 in the steps of probabilities."""
    path = to.path("uncertainty.nii.gz")
    steps = np.rint(uncertainty * PROBABILITY_STEPS)
    write_nifti(path, (steps / PROBABILITY_STEPS).astype(np.float32), grid)
    return path
