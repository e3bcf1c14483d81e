"""How much a linear model reads off frozen features of patients.

Folds are by patient: one row is one patient. Everything that is fitted, also the
scaling and the strength of the penalty, sees the training folds only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Floats = NDArray[np.float64]

_FOLDS = 5

#: Penalties tried inside each training fold.
_RIDGE = np.logspace(-1, 5, 19)
_LOGISTIC = np.logspace(-4, 2, 9)


def ridge_predictions(
    vectors: ArrayLike, values: ArrayLike, strata: ArrayLike, *, seed: int
) -> Floats:
    """Predict a number for each patient by ridge regression on the other folds.

    Parameters
    ----------
    vectors
        (N, D), one row a patient.
    values
        (N,) what to predict.
    strata
        (N,) groups that every fold shall hold alike.
    seed
        Of the folds.
    """
    from sklearn.linear_model import RidgeCV

    found = _out_of_fold(RidgeCV(alphas=_RIDGE), vectors, values, strata, seed)
    return np.asarray(found, dtype=np.float64)


def logistic_predictions(
    vectors: ArrayLike, classes: ArrayLike, *, seed: int
) -> NDArray[np.str_]:
    """Predict the class of each patient by logistic regression on the other folds."""
    from sklearn.linear_model import LogisticRegressionCV

    model = LogisticRegressionCV(
        Cs=_LOGISTIC,
        cv=_FOLDS,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
        scoring="neg_log_loss",
        max_iter=1000,
    )
    found = _out_of_fold(model, vectors, classes, classes, seed)
    return np.asarray(found, dtype=np.str_)


def r_squared(values: ArrayLike, predictions: ArrayLike) -> float:
    """Return 1 - residual over total sum of squares; 0 is as good as the mean."""
    truth = np.asarray(values, dtype=np.float64)
    residual = ((truth - np.asarray(predictions)) ** 2).sum()
    return float(1 - residual / ((truth - truth.mean()) ** 2).sum())


def _out_of_fold(
    model: Any, vectors: ArrayLike, targets: ArrayLike, strata: ArrayLike, seed: int
) -> Any:
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    rows = np.asarray(vectors, dtype=np.float64)
    return cross_val_predict(
        _scaled(model), rows, np.asarray(targets), cv=folds.split(rows, strata)
    )


def _scaled(model: Any) -> Pipeline:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), model)
