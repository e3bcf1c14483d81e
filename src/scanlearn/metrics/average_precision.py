"""Average precision of findings by their overlap with the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Overlaps over which validation averages: lenient, as of small objects in volumes
#: (Baumgartner et al., nnDetection, MICCAI 2021).
OVERLAPS = (0.1, 0.2, 0.3, 0.4, 0.5)

#: Of one scan: scores (n,) of the findings and their overlaps (n, k) with its truth.
Scored = tuple[NDArray[np.floating], NDArray[np.floating]]


def average_precision(scans: Sequence[Scored], *, overlap: float) -> float | None:
    """Return the area under precision against recall, findings of all scans ranked.

    From the best score down, a finding is right when one of the nodules that are left
    in its scan overlaps it by at least ``overlap`` (intersection over union), and then
    takes the one it overlaps most. Precision is the best at this or a larger recall
    (Pascal VOC 2010).

    Parameters
    ----------
    scans
        Scores and overlaps of each.
    overlap
        Above 0.

    Returns
    -------
    float or None
        None if the scans hold no nodule.
    """
    total = sum(overlaps.shape[1] for _, overlaps in scans)
    if not total:
        return None
    ranked = [
        (float(score), number, row)
        for number, (scores, _) in enumerate(scans)
        for row, score in enumerate(scores)
    ]
    ranked.sort(key=lambda one: -one[0])
    left = [np.array(overlaps, dtype=float) for _, overlaps in scans]
    right = np.zeros(len(ranked), dtype=bool)
    for rank, (_, number, row) in enumerate(ranked):
        row_left = left[number][row]
        if row_left.size and row_left.max() >= overlap:
            left[number][:, int(row_left.argmax())] = -1.0
            right[rank] = True
    caught = np.cumsum(right)
    precision = caught / np.arange(1, len(ranked) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[right].sum() / total)
