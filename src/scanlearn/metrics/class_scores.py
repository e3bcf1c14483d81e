"""Scores of classes of images: how well probabilities rank, and decide.

scikit-learn computes them; intervals are by resampled patients, whose images stay
together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.randomness import numpy_generator

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Resamples of patients for an interval.
_RESAMPLES = 500


def judged(classes: Sequence[str], *, several: bool) -> list[int]:
    """Return the classes that are scored: of two exclusive ones the second alone."""
    return [1] if len(classes) == 2 and not several else list(range(len(classes)))


def class_scores(truth: Bools, scores: Floats, *, threshold: float) -> dict[str, float]:
    """Return the scores of one class on n images.

    ``AUC`` and ``average precision`` rank; ``sensitivity`` and ``specificity`` are of
    scores at or above the threshold. What needs both kinds of images is left out where
    there is one.

    Parameters
    ----------
    truth
        (n,) whether an image shows it.
    scores
        (n,) probabilities.
    threshold
        From which it counts as seen.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    found: dict[str, float] = {}
    if truth.any() and not truth.all():
        found["AUC"] = float(roc_auc_score(truth, scores))
        found["average precision"] = float(average_precision_score(truth, scores))
    seen = scores >= threshold
    if truth.any():
        found["sensitivity"] = float(seen[truth].mean())
    if not truth.all():
        found["specificity"] = float((~seen[~truth]).mean())
    return found


def scores_of_classes(
    truth: Bools,
    scores: Floats,
    classes: Sequence[str],
    *,
    several: bool,
    threshold: float = 0.5,
) -> dict[str, dict[str, float]]:
    """Return the scores of each class that is judged.

    Parameters
    ----------
    truth, scores
        (n, K) whether an image shows a class, and its probability.
    classes, several
        Names, and whether an image may show any number of them.
    threshold
        From which a class counts as seen.
    """
    return {
        classes[k]: class_scores(truth[:, k], scores[:, k], threshold=threshold)
        for k in judged(classes, several=several)
    }


def mean_scores(of_classes: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return AUC and average precision as means over the classes that have them."""
    rows = of_classes.values()
    return {
        name: float(np.mean([row[name] for row in rows if name in row]))
        for name in ("AUC", "average precision")
        if any(name in row for row in rows)
    }


def intervals(
    score: Callable[[NDArray[np.int_]], dict[str, float]],
    patients: Sequence[str],
    *,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Return where 95 % of each score lies over resampled patients (bootstrap).

    Parameters
    ----------
    score
        Scores of images by their rows, which may repeat.
    patients
        Whose each image is.
    seed
        Of the resampling.
    """
    names, number = np.unique(np.asarray(patients), return_inverse=True)
    rows_of = [np.flatnonzero(number == n) for n in range(len(names))]
    if len(rows_of) < 2:
        return {}
    rng = numpy_generator(seed, "bootstrap", "images")
    drawn: dict[str, list[float]] = {}
    for _ in range(_RESAMPLES):
        some = rng.integers(len(rows_of), size=len(rows_of))
        rows = np.concatenate([rows_of[n] for n in some])
        for name, value in score(rows).items():
            drawn.setdefault(name, []).append(value)
    return {
        name: (float(low), float(high))
        for name, values in drawn.items()
        if len(values) >= _RESAMPLES // 2
        for low, high in [np.percentile(values, [2.5, 97.5])]
    }


def balanced_accuracy(classes: ArrayLike, predictions: ArrayLike) -> float:
    """Return the mean over classes of the share that was found."""
    truth = np.asarray(classes)
    right = truth == np.asarray(predictions)
    return float(np.mean([right[truth == name].mean() for name in np.unique(truth)]))
