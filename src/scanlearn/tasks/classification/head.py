"""The linear layer of an image classifier, fitted at once to frozen features."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from scanlearn.features.folds import usable_folds
from scanlearn.features.linear import Floats, LinearModel, fit_logistic
from scanlearn.nets.image_classifier import ImageClassifier
from scanlearn.tasks.classification.labels import ImageLabel

#: Logit of a class of which there was no example, or nothing else.
_UNSEEN = 10.0


def fit_head(
    x: NDArray[np.floating],
    targets: NDArray[np.bool_],
    *,
    several: bool,
    penalty: float,
) -> LinearModel:
    """Fit logistic regressions: one of exclusive classes, or one a finding.

    All classes weigh alike, however rare. A class without an example gets a constant:
    of one class alone nothing can be learned.

    Parameters
    ----------
    x
        Features (n, F).
    targets
        (n, K) whether an image shows a class.
    several
        Whether it may show any number of them.
    penalty
        Inverse strength of the ridge penalty.
    """
    features = np.asarray(x, dtype=np.float64)
    count, size = targets.shape[1], features.shape[1]
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < 1e-6] = 1.0
    weight, bias = np.zeros((count, size)), np.full(count, -_UNSEEN)
    if several:
        for k in range(count):
            shown = targets[:, k]
            if shown.all():
                bias[k] = _UNSEEN
            elif shown.any():
                model = fit_logistic(features, shown.astype(int), penalty=penalty)
                weight[k] = model.weight[1] - model.weight[0]
                bias[k] = model.bias[1] - model.bias[0]
        return LinearModel(mean, scale, weight, bias)
    present = np.flatnonzero(targets.any(axis=0))
    bias[present] = 0.0
    if len(present) > 1:
        number = np.searchsorted(present, targets.argmax(axis=1))
        model = fit_logistic(features, number, penalty=penalty)
        weight[present], bias[present] = model.weight, model.bias
    return LinearModel(mean, scale, weight, bias)


def held_out_logits(
    x: NDArray[np.floating],
    targets: NDArray[np.bool_],
    items: Sequence[ImageLabel],
    *,
    several: bool,
    penalty: float,
    count: int,
    seed: int,
) -> Floats | None:
    """Return the logits (n, K) of every image by a model of other patients.

    None of one patient alone, or where no two images show the same.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    patients = [item.patient for item in items]
    _, strata = np.unique(targets, axis=0, return_inverse=True)
    count = usable_folds(count, strata, patients)
    if count < 2:
        return None
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    found = np.zeros(targets.shape)
    with warnings.catch_warnings():
        # A class with fewer images than folds is missing in some: it is so.
        warnings.simplefilter("ignore", UserWarning)
        parts = list(splitter.split(x, strata, patients))
    for train, test in parts:
        model = fit_head(x[train], targets[train], several=several, penalty=penalty)
        found[test] = model.scores(x[test])
    return found


def set_head(network: ImageClassifier, model: LinearModel) -> None:
    """Make a fitted model the layer of a network, for features as they are."""
    weight, bias = model.plain()
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weight))
        network.head.bias.copy_(torch.from_numpy(bias))
