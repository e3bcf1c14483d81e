"""A linear model of features: standardised, then one weight a feature and class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

#: Inverse strength of the penalty, for any number of labels: on emphysema patches the
#: best of four at 5 to 50 labels a class differed by less than its noise.
PENALTY = 0.1

#: The same for the joined stages of a trunk of slices, whose many features say much
#: the same: chosen on emphysema patches, within the training blocks.
TRUNK_PENALTY = 0.01

#: Score of a class without an example; its probability is 0.
_NEVER = -1e6


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Scores of K classes (or one number) from D features.

    Parameters
    ----------
    mean, scale
        (D,) of the training features.
    weight, bias
        (K, D) and (K,).
    """

    mean: Floats
    scale: Floats
    weight: Floats
    bias: Floats

    def scores(self, features: ArrayLike) -> Floats:
        """Return (n, K) scores of features (n, D)."""
        x = (np.asarray(features, dtype=np.float64) - self.mean) / self.scale
        return np.asarray(x @ self.weight.T + self.bias)

    def probabilities(self, features: ArrayLike) -> Floats:
        """Return (n, K) probabilities of features (n, D): the softmax of the scores."""
        scores = self.scores(features)
        grown = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))

    def plain(self) -> tuple[Floats, Floats]:
        """Return the weight (K, D) and bias (K,) for features as they are."""
        weight = self.weight / self.scale
        return weight, np.asarray(self.bias - weight @ self.mean)

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return its arrays as they are saved."""
        named = vars(self).items()
        return {name: np.asarray(x, dtype=np.float32) for name, x in named}


def fit_logistic(
    features: ArrayLike,
    classes: ArrayLike,
    *,
    penalty: float = PENALTY,
    count: int | None = None,
) -> LinearModel:
    """Fit a multinomial logistic regression, every class with the same weight.

    Parameters
    ----------
    features
        (n, D).
    classes
        (n,) from 0 to K - 1.
    penalty
        Inverse strength of the ridge penalty.
    count
        K, where not every class has an example: one without is never chosen.
    """
    from sklearn.linear_model import LogisticRegression

    x, y = np.asarray(features, dtype=np.float64), np.asarray(classes)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale < 1e-6] = 1.0
    seen = np.unique(y)
    weight = np.zeros((count or int(seen[-1]) + 1, x.shape[1]))
    bias = np.full(len(weight), _NEVER)
    bias[seen] = 0.0
    if len(seen) > 1:
        model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=2000)
        model.fit((x - mean) / scale, y)
        rows, ends = model.coef_, model.intercept_
        if len(rows) == 1:
            # Two classes have one row of scores: half of it for each side is the same.
            rows, ends = (np.concatenate([-z, z]) / 2 for z in (rows, ends))
        weight[seen], bias[seen] = rows, ends
    return LinearModel(mean, scale, weight, bias)
