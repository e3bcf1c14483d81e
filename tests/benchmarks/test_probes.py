"""Linear probes against closed forms and cases made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from probes import (
    logistic_predictions,
    r_squared,
    ridge_predictions,
)
from scanlearn.metrics.class_scores import balanced_accuracy

RNG = np.random.default_rng(0)
CLASSES = np.array(["a", "b", "c", "d"])[np.arange(80) % 4]


def test_ridge_reads_off_what_is_linear() -> None:
    vectors = RNG.normal(size=(80, 10)) * np.logspace(-3, 3, 10)
    values = vectors @ np.logspace(3, -3, 10) + 5
    found = ridge_predictions(vectors, values, CLASSES, seed=0)
    assert r_squared(values, found) > 0.95


def test_more_features_than_patients_of_pure_noise_say_nothing() -> None:
    """A leak of the test fold through scaling or penalty would."""
    vectors, values = RNG.normal(size=(80, 200)), RNG.normal(size=80)
    assert r_squared(values, ridge_predictions(vectors, values, CLASSES, seed=0)) < 0.2
    found = logistic_predictions(vectors, CLASSES, seed=0)
    assert balanced_accuracy(CLASSES, found) < 0.5


def test_a_patient_is_never_predicted_from_itself() -> None:
    values = RNG.normal(size=80)
    identity = np.eye(80)
    before = ridge_predictions(identity, values, CLASSES, seed=0)
    changed = values.copy()
    changed[7] += 1000
    assert ridge_predictions(identity, changed, CLASSES, seed=0)[7] == before[7]


def test_logistic_finds_classes_that_lie_apart() -> None:
    centres = {"a": (0, 0), "b": (9, 0), "c": (0, 9), "d": (9, 9)}
    vectors = np.array([centres[name] for name in CLASSES]) + RNG.normal(size=(80, 2))
    found = logistic_predictions(vectors, CLASSES, seed=0)
    assert balanced_accuracy(CLASSES, found) > 0.95


def test_equal_seeds_give_equal_folds() -> None:
    vectors, values = RNG.normal(size=(80, 5)), RNG.normal(size=80)
    one, again, other = (
        ridge_predictions(vectors, values, CLASSES, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_scores_are_those_of_scikit_learn() -> None:
    values, guesses = RNG.normal(size=30), RNG.normal(size=30)
    assert r_squared(values, guesses) == pytest.approx(
        metrics.r2_score(values, guesses)
    )
    truth, found = RNG.integers(0, 3, 30), RNG.integers(0, 3, 30)
    assert balanced_accuracy(truth, found) == pytest.approx(
        metrics.balanced_accuracy_score(truth, found)
    )
