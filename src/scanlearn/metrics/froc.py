"""Free-response ROC of findings, by the rules of the LUNA16 challenge.

Setio et al., Validation, comparison, and combination of algorithms for automatic
detection of pulmonary nodules in CT, Medical Image Analysis 2017, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.randomness import numpy_generator
from scanlearn.scans.boxes import Boxes, box_centres
from scanlearn.scans.spheres import Spheres, distances

#: False positives a scan at which the sensitivities of the CPM are taken.
RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)

_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Judged:
    """The findings of one scan, judged.

    Parameters
    ----------
    hits
        (k,) best score of a finding that hits each nodule; ``-inf`` where none does.
    false
        (m,) scores of findings that hit nothing.
    diameters
        (k,) of the nodules, in millimetres; of boxes the square root of the area.
    """

    hits: NDArray[np.float64]
    false: NDArray[np.float64]
    diameters: NDArray[np.float64]


def judge(found: Spheres, scores: NDArray[np.floating], truth: Spheres) -> Judged:
    """Judge the findings of a scan.

    A finding hits a nodule when its centre lies within the nodule's radius. Of several
    hits of one nodule the best counts; the others are neither right nor wrong.
    """
    within: NDArray[np.bool_] = distances(found, truth) < truth[:, 3] / 2
    return _judged(within, scores, truth[:, 3])


def judge_boxes(found: Boxes, scores: NDArray[np.floating], truth: Boxes) -> Judged:
    """Judge the findings of a radiograph.

    A finding hits a box when its middle lies within the box; else as :func:`judge`.
    """
    away = np.abs(box_centres(found)[:, None] - box_centres(truth)[None])
    within = np.asarray((away < truth[None, :, 2:] / 2).all(axis=2))
    return _judged(within, scores, truth[:, 2:].prod(axis=1) ** 0.5)


def _judged(
    within: NDArray[np.bool_],
    scores: NDArray[np.floating],
    sizes: NDArray[np.float64],
) -> Judged:
    """Judge findings by which of them lie within which truths (n, k)."""
    known = scores.astype(np.float64)
    each = np.where(within, known[:, None], -np.inf)
    hits = each.max(axis=0, initial=-np.inf)
    return Judged(hits, known[~within.any(axis=1)], sizes.copy())


@dataclass(frozen=True, eq=False)
class Froc:
    """Sensitivity against false positives a scan, from strict to lenient.

    Parameters
    ----------
    rates, sensitivities
        One entry a threshold, starting at (0, 0).
    thresholds
        The scores; ``inf`` for the first.
    """

    rates: NDArray[np.float64]
    sensitivities: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    def at(self, rate: float) -> float:
        """Return the best sensitivity with at most this many false positives a scan.

        Only thresholds count that somebody could choose: nothing is interpolated.
        """
        return float(self.sensitivities[self.rates <= rate].max())

    def threshold_at(self, rate: float) -> float:
        """Return the lowest score with at most this many false positives a scan."""
        return float(self.thresholds[self.rates <= rate].min())

    @property
    def cpm(self) -> float:
        """Mean sensitivity at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false positives a scan."""
        return float(np.mean([self.at(rate) for rate in RATES]))


def froc(scans: Sequence[Judged]) -> Froc | None:
    """Return the curve of some scans; None if they hold no nodule."""
    hits = np.sort(np.concatenate([scan.hits for scan in scans])) if scans else ()
    if not len(hits):
        return None
    false = np.sort(np.concatenate([scan.false for scan in scans]))
    both = np.unique(np.concatenate([hits[np.isfinite(hits)], false]))[::-1]
    thresholds = np.concatenate([[np.inf], both])
    caught = len(hits) - np.searchsorted(hits, thresholds, side="left")
    wrong = len(false) - np.searchsorted(false, thresholds, side="left")
    return Froc(wrong / len(scans), caught / len(hits), thresholds)


def cpm_interval(
    patients: Sequence[Sequence[Judged]], *, share: float = 0.95
) -> tuple[float, float] | None:
    """Return a bootstrap interval of the CPM over patients; None for fewer than two.

    Parameters
    ----------
    patients
        The judged scans of each patient.
    share
        Of the resampled values that lie within.
    """
    if len(patients) < 2:
        return None
    rng = numpy_generator(0, "bootstrap", len(patients))
    values = []
    for _ in range(_RESAMPLES):
        drawn = rng.integers(len(patients), size=len(patients))
        curve = froc([scan for number in drawn for scan in patients[number]])
        if curve is not None:
            values.append(curve.cpm)
    if not values:
        return None
    tail = (1 - share) / 2 * 100
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
