"""Overlap of two masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def dice(truth: Mask, guess: Mask) -> float:
    """Return the Dice coefficient, 2|P and Y| / (|P| + |Y|), of masks of any shape.

    Two empty masks give ``nan``: there is nothing to agree on.
    """
    total = int(truth.sum()) + int(guess.sum())
    return 2 * int((truth & guess).sum()) / total if total else float("nan")


def iou(truth: Mask, guess: Mask) -> float:
    """Return the intersection over union, |P and Y| / |P or Y|, of whole volumes.

    Two empty masks give 1, as where Nguyen et al. (AAAI 2023) report their 3D IoU: tell
    beside a mean in how many volumes the class was.
    """
    union = int((truth | guess).sum())
    return int((truth & guess).sum()) / union if union else 1.0
