"""What a comparison says: curves with intervals, labels saved, and plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.randomness import numpy_generator
from scanlearn.tasks.shared.evaluation import Summary, summary_of

#: Fewer repeats than this give intervals that nobody should rely on.
FEW_REPEATS = 5

_LEVELS = (0.025, 0.975)
_BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Point:
    """Both arms at one budget.

    Parameters
    ----------
    budget
        Labelled patients.
    pretrained, scratch
        Scores over the repeats.
    gain
        Pre-trained minus scratch, paired: same patients, same test.
    """

    budget: int
    pretrained: Summary
    scratch: Summary
    gain: Summary

    @property
    def sign(self) -> int:
        """1 or -1 if the interval of the gain lies on one side of 0, else 0."""
        if self.gain.low is None or self.gain.high is None:
            return 0
        return int(self.gain.low > 0) - int(self.gain.high < 0)


@dataclass(frozen=True)
class Saving:
    """``budget`` labels with pre-training do what ``labels`` did from scratch.

    Parameters
    ----------
    budget
        Labelled patients of the pre-trained arm.
    labels
        Labelled patients from scratch with the same score, between budgets by the
        logarithm of their number; None if no budget reached it.
    low, high
        95 % of bootstrapped repeats; None where it lies above all budgets.
    """

    budget: int
    labels: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Verdict:
    """The answer.

    Parameters
    ----------
    points
        One a budget.
    saving
        The largest saving among budgets where pre-training was better beyond chance.
    sentences
        The same in words.
    """

    points: tuple[Point, ...]
    saving: Saving | None
    sentences: tuple[str, ...]


def judge(
    pretrained: Mapping[int, Sequence[float]],
    scratch: Mapping[int, Sequence[float]],
    *,
    score: str,
) -> Verdict:
    """Compare two arms.

    Parameters
    ----------
    pretrained, scratch
        Scores of the repeats at each budget, in the same order in both.
    score
        What the numbers are; higher is better.
    """
    budgets = sorted(pretrained)
    points = tuple(_point(b, pretrained[b], scratch[b]) for b in budgets)
    saving = None
    better = [point for point in points if point.sign > 0]
    if better:
        both = tuple(
            np.array([arm[b] for b in budgets], dtype=np.float64)
            for arm in (pretrained, scratch)
        )
        savings = [_saving(p.budget, np.array(budgets), *both) for p in better]
        saving = max(savings, key=_times)
    return Verdict(points, saving, tuple(_sentences(points, saving, score)))


def labels_needed(
    target: float, budgets: NDArray[np.int_], scores: NDArray[np.float64]
) -> float:
    """Return how many labels reach a score on a curve; inf if none does.

    Parameters
    ----------
    target
        The score to reach.
    budgets, scores
        (B,) rising numbers of labels and their mean scores. The curve is the best
        score so far, straight between budgets over the logarithm of their number.
    """
    best = np.maximum.accumulate(scores)
    if target > best[-1]:
        return float("inf")
    reached = int(np.argmax(best >= target))
    if reached == 0:
        return float(budgets[0])
    low, high = best[reached - 1], best[reached]
    part = (target - low) / (high - low)
    ends = np.log(budgets[reached - 1 : reached + 1].astype(np.float64))
    return float(np.exp(ends[0] + part * (ends[1] - ends[0])))


def _point(budget: int, pretrained: Sequence[float], scratch: Sequence[float]) -> Point:
    gains = [a - b for a, b in zip(pretrained, scratch, strict=True)]
    one, other, gain = (_over_repeats(x) for x in (pretrained, scratch, gains))
    return Point(budget, one, other, gain)


def _over_repeats(values: Sequence[float]) -> Summary:
    found = summary_of({str(n): [value] for n, value in enumerate(values)})
    assert found is not None
    return found


def _saving(
    budget: int,
    budgets: NDArray[np.int_],
    pretrained: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> Saving:
    """Read a saving off the mean curves; arrays are (budgets, repeats)."""
    at = int(np.searchsorted(budgets, budget))

    def needed(repeats: NDArray[np.int_]) -> float:
        target = float(pretrained[at, repeats].mean())
        return labels_needed(target, budgets, scratch[:, repeats].mean(axis=1))

    count = pretrained.shape[1]
    # The same draws in every call: a verdict on the same numbers is the same verdict.
    draws = numpy_generator(0, "bootstrap", count).integers(
        0, count, (_BOOTSTRAPS, count)
    )
    low, high = np.quantile([needed(d) for d in draws], _LEVELS, method="nearest")
    found = needed(np.arange(count))
    return Saving(budget, _finite(found), _finite(float(low)), _finite(float(high)))


def _times(saving: Saving) -> float:
    labels = float("inf") if saving.labels is None else saving.labels
    return labels / saving.budget


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _sentences(points: Sequence[Point], saving: Saving | None, score: str) -> list[str]:
    found = []
    largest = points[-1].budget
    if saving is not None:
        found.append(_saved(saving, largest))
    else:
        found.append(_not_saved(points, score))
    worse = [point.budget for point in points if point.sign < 0]
    if worse:
        found.append(
            f"With {_listed(worse)} labelled patients pre-training made {score} worse"
        )
    repeats = points[0].gain.n
    if repeats < FEW_REPEATS:
        found.append(
            f"Only {repeats} repeat{'s' if repeats > 1 else ''}: "
            "chance has a large part in these numbers"
        )
    return found


def _saved(saving: Saving, largest: int) -> str:
    """State a saving of labels, or that the same labels did more."""
    mine = f"{saving.budget} labelled patient{'s' if saving.budget > 1 else ''}"
    low, high = (
        f"over {largest}" if end is None else f"{end:.0f}"
        for end in (saving.low, saving.high)
    )
    between = low if low == high else f"{low} to {high}"
    resampled = f"95 % of resampled repeats: {between}"
    if saving.labels is None:
        return (
            f"{mine} with pre-training did more than {largest} from scratch, the most "
            f"that were tried ({resampled})"
        )
    if saving.labels < saving.budget + 0.5:
        return f"{mine} gave a better score with pre-training, but saved no label"
    return (
        f"{mine} with pre-training did what about {saving.labels:.0f} did from scratch "
        f"({resampled})"
    )


def _not_saved(points: Sequence[Point], score: str) -> str:
    gains = [point.gain.mean for point in points]
    if points[0].gain.n == 1:
        return (
            f"Whether labels were saved cannot be said yet: {score} with pre-training "
            f"was {min(gains):+.3f} to {max(gains):+.3f} beside scratch, once"
        )
    return (
        f"No label was saved: at no number of labels was {score} with pre-training "
        f"better beyond chance (mean gain {min(gains):+.3f} to {max(gains):+.3f})"
    )


def _listed(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last
