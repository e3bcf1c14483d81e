"""Linear models of patients' vectors, and how good they are on held-out patients.

scikit-learn and lifelines fit; every model is linear in the standardised features, so
that all are kept as one :class:`LinearModel`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.config.outcome import OutcomeConfig, OutcomeKind
from scanlearn.features.linear import LinearModel, fit_logistic
from scanlearn.randomness import numpy_generator

Floats = NDArray[np.float64]

#: Penalties of the ridge tried inside each training fold.
_RIDGE = np.logspace(-1, 5, 19)

#: Resamples of patients for an interval.
_RESAMPLES = 500


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What is to be predicted of n patients.

    Parameters
    ----------
    kind
        Which sort.
    value
        (n,) numbers, positions of classes, or times.
    event
        (n,) whether the time ended in the event.
    classes
        How many; 0 for numbers.
    """

    kind: OutcomeKind
    value: Floats
    event: NDArray[np.bool_]
    classes: int = 0

    def of(self, rows: NDArray[np.int_]) -> Outcomes:
        """Return those of some patients."""
        return Outcomes(self.kind, self.value[rows], self.event[rows], self.classes)


def fit_outcome(x: Floats, y: Outcomes, config: OutcomeConfig) -> LinearModel:
    """Fit the model of a kind to vectors (n, d).

    Ridge regression with its penalty by leave-one-out, logistic regression, or Cox's
    proportional hazards on the leading principal components, at most one for every five
    events.
    """
    if y.kind == "survival":
        return _fit_cox(x, y, config)
    if y.kind == "regression":
        from sklearn.linear_model import RidgeCV

        mean, scale = _standard(x)
        model = RidgeCV(alphas=_RIDGE).fit((x - mean) / scale, y.value)
        bias = np.array([float(model.intercept_)])
        return LinearModel(mean, scale, np.asarray(model.coef_)[None], bias)
    return fit_logistic(x, y.value.astype(int), penalty=config.penalty, count=y.classes)


def held_out_scores(
    x: Floats, y: Outcomes, config: OutcomeConfig, *, seed: int
) -> Floats | None:
    """Return the scores (n, K) of every patient by a model of the other folds.

    None where a fold would lack a class or have fewer than three events.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    strata = y.event if y.kind == "survival" else y.value
    folds = min(config.folds, len(x))
    if y.kind == "regression":
        parts = KFold(folds, shuffle=True, random_state=seed).split(x)
    else:
        fewest = int(np.unique(strata, return_counts=True)[1].min())
        folds = min(folds, fewest)
        if folds < 2:
            return None
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        parts = splitter.split(x, strata)
    found: Floats | None = None
    for train, test in parts:
        if y.kind == "survival" and y.event[train].sum() < 3:
            return None
        scores = fit_outcome(x[train], y.of(train), config).scores(x[test])
        if found is None:
            found = np.zeros((len(x), scores.shape[1]))
        found[test] = scores
    return found


def score(y: Outcomes, scores: Floats) -> dict[str, float]:
    """Return the metrics of a kind, the main one first.

    ``R2`` (1 - residual over total sum of squares) and ``MAE``; ``accuracy``,
    ``one-off`` (ordinal: at most one grade away), ``AUC`` (mean over classes, one
    against the rest) and ``kappa`` (quadratic weights for ordinal); ``concordance``.
    """
    from sklearn import metrics

    if y.kind == "survival":
        return {"concordance": concordance(y, scores[:, 0])}
    if y.kind == "regression":
        guess = scores[:, 0]
        error = {"MAE": float(metrics.mean_absolute_error(y.value, guess))}
        if not np.ptp(y.value) > 0:
            return error  # a share of no variance means nothing
        return {"R2": float(metrics.r2_score(y.value, guess))} | error
    truth, guess = y.value.astype(int), scores.argmax(axis=1)
    found = {"accuracy": float((truth == guess).mean())}
    if y.kind == "ordinal":
        found["one-off"] = float((np.abs(truth - guess) <= 1).mean())
    areas = [
        metrics.roc_auc_score(truth == k, scores[:, k])
        for k in range(y.classes)
        if 0 < (truth == k).sum() < len(truth)
    ]
    if areas:
        found["AUC"] = float(np.mean(areas))
    weights = "quadratic" if y.kind == "ordinal" else None
    kappa = metrics.cohen_kappa_score(
        truth, guess, weights=weights, labels=range(y.classes)
    )
    if np.isfinite(kappa):
        found["kappa"] = float(kappa)
    return found


def concordance(y: Outcomes, risk: Floats) -> float:
    """Return how often, of two patients, the one with more risk has the event first.

    Harrell's index: 0.5 is chance. ``nan`` where no two can be compared.
    """
    from lifelines.utils import concordance_index

    try:
        return float(concordance_index(y.value, -risk, y.event))
    except ZeroDivisionError:
        return float("nan")


def interval(
    y: Outcomes, scores: Floats, name: str, *, seed: int
) -> tuple[float, float] | None:
    """Return the 95 % interval of a metric over resampled patients (bootstrap)."""
    rng = numpy_generator(seed, "bootstrap", name)
    found = []
    for _ in range(_RESAMPLES):
        rows = rng.integers(len(scores), size=len(scores))
        some = y.of(rows)
        if y.kind == "survival" and not some.event.any():
            continue
        value = score(some, scores[rows]).get(name, np.nan)
        if np.isfinite(value):
            found.append(value)
    if len(found) < _RESAMPLES // 2:
        return None
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def error_bound(errors: Floats, share: float = 0.9) -> float | None:
    """Return what the error of a new patient stays below with a given probability.

    The quantile of conformal prediction (Lei et al., JASA 2018) of errors (n,) on
    held-out patients; with folds it holds about, not exactly. None where they are too
    few: nine tenths need nine patients.
    """
    rank = int(np.ceil((len(errors) + 1) * share))
    if rank > len(errors):
        return None
    return float(np.sort(np.abs(errors))[rank - 1])


def _fit_cox(x: Floats, y: Outcomes, config: OutcomeConfig) -> LinearModel:
    import pandas as pd
    from lifelines import CoxPHFitter

    mean, scale = _standard(x)
    z = (x - mean) / scale
    most = max(1, min(config.components, int(y.event.sum()) // 5, z.shape[1]))
    _, spread, axes = np.linalg.svd(z, full_matrices=False)
    some = spread[:most] > 1e-9
    axes = axes[:most][some] / (spread[:most][some, None] / np.sqrt(len(z)))
    names = [f"component {n}" for n in range(len(axes))]
    frame = pd.DataFrame(z @ axes.T, columns=names)
    frame["time"], frame["event"] = np.maximum(y.value, 1e-3), y.event.astype(int)
    model = CoxPHFitter(penalizer=config.penalty)
    model.fit(frame, duration_col="time", event_col="event")
    weight = model.params_[names].to_numpy() @ axes
    return LinearModel(mean, scale, weight[None], np.zeros(1))


def _standard(x: Floats) -> tuple[Floats, Floats]:
    mean, scale = x.mean(axis=0), x.std(axis=0)
    return mean, np.where(scale < 1e-6, 1.0, scale)
