"""How many folds so few labels allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def usable_folds(wanted: int, strata: ArrayLike, patients: Sequence[str]) -> int:
    """Return the number of folds for ``StratifiedGroupKFold``.

    Parameters
    ----------
    wanted
        At most so many.
    strata
        (n,) what shall be spread evenly over the folds.
    patients
        Of each of the n; none is on both sides.

    Returns
    -------
    int
        As many as there are patients, and as the largest stratum has members; less than
        two say that nobody can be held out.
    """
    _, counts = np.unique(np.asarray(strata), return_counts=True)
    return min(wanted, len(set(patients)), int(counts.max(initial=0)))
