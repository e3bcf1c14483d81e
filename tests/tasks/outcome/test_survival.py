"""Survival of one patient, and where it lies: checked with lifelines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from scanlearn.tasks.outcome.models import Outcomes
from scanlearn.tasks.outcome.survival import baseline, share_below, sorted_rounded


def cohort(seed: int, n: int = 60):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    times = np.round(rng.exponential(np.exp(-0.7 * x)) * 5 + 0.2, 1)  # with ties
    event = rng.random(n) < 0.6
    return x, Outcomes("survival", times, event)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_curve_of_a_patient_is_that_of_lifelines(seed):
    x, y = cohort(seed)
    frame = pd.DataFrame({"x": x, "time": y.value, "event": y.event.astype(int)})
    model = CoxPHFitter().fit(frame, duration_col="time", event_col="event")
    slope = float(model.params_["x"])
    scores = slope * (x - x.mean())
    ours = baseline(y, scores)
    for value in (-1.0, 0.3, 2.0):
        curve = model.predict_survival_function(
            pd.DataFrame({"x": [value]}), times=list(ours.times)
        )
        mine = ours.of(slope * (value - x.mean()))
        np.testing.assert_allclose(mine, curve.to_numpy()[:, 0], atol=2e-3)


def test_more_risk_is_less_survival_at_every_time():
    x, y = cohort(3)
    ours = baseline(y, x)
    assert list(ours.times) == sorted(set(y.value[y.event].tolist()))
    low, high = ours.of(-1.0), ours.of(1.0)
    assert all(a > b for a, b in zip(low, high, strict=True))
    assert all(np.diff(ours.survival) < 0)


def test_a_patient_lies_among_the_cohort():
    assert share_below(2.5, [1, 2, 3, 4]) == 0.5
    assert share_below(2, [1, 2, 3, 4]) == 0.375
    assert share_below(9, [1, 2]) == 1
    assert share_below(1, []) is None
    assert sorted_rounded([2.000049, -1]) == (-1.0, 2.0)
