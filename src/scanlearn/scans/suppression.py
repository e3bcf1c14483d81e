"""Greedy non-maximum suppression of findings of any shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def greedily(near: NDArray[np.bool_], scores: NDArray[np.floating]) -> NDArray[np.int_]:
    """Return which findings stay, best first: the best takes those near it away.

    Parameters
    ----------
    near
        (n, n) which findings are too near each other, themselves included or not.
    scores
        (n,) of the findings.
    """
    left = np.ones(len(scores), dtype=bool)
    kept = []
    for index in np.argsort(-scores, kind="stable"):
        if left[index]:
            kept.append(index)
            left &= ~near[index]
    return np.array(kept, dtype=int)
