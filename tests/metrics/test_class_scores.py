"""Scores of classes against counting by hand, and intervals over patients."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from scanlearn.metrics.class_scores import (
    class_scores,
    intervals,
    judged,
    mean_scores,
    scores_of_classes,
)


def by_pairs(truth, scores):
    """The share of pairs, one with and one without, in the right order; ties a half."""
    pairs = [(p, q) for p in scores[truth] for q in scores[~truth]]
    return np.mean([1.0 if p > q else 0.5 if p == q else 0.0 for p, q in pairs])


def test_scores_of_a_class_are_those_counted_by_hand() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(60) < 0.3
    scores = np.round(truth * 0.2 + rng.random(60) * 0.8, 1)
    found = class_scores(truth, scores, threshold=0.6)
    assert found["AUC"] == pytest.approx(by_pairs(truth, scores))
    assert found["AUC"] == pytest.approx(roc_auc_score(truth, scores))
    assert found["sensitivity"] == (scores[truth] >= 0.6).sum() / truth.sum()
    assert found["specificity"] == (scores[~truth] < 0.6).sum() / (~truth).sum()
    # Precision at each recall of a new example, thresholds from above.
    order = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    total, before = 0.0, 0.0
    for low in order:
        seen = scores >= low - 1e-9
        recall = truth[seen].sum() / truth.sum()
        if seen.any():
            total += (recall - before) * truth[seen].mean()
        before = recall
    assert found["average precision"] == pytest.approx(total)


def test_one_kind_of_images_has_no_rank() -> None:
    found = class_scores(np.ones(3, bool), np.array([0.1, 0.6, 0.7]), threshold=0.5)
    assert found == {"sensitivity": pytest.approx(2 / 3)}


def test_of_two_exclusive_classes_the_second_is_judged() -> None:
    assert judged(("normal", "abnormal"), several=False) == [1]
    assert judged(("mass", "effusion"), several=True) == [0, 1]
    truth = np.array([[1, 0], [0, 1], [0, 1], [1, 0]], bool)
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]])
    of_classes = scores_of_classes(truth, scores, ("normal", "abnormal"), several=False)
    assert list(of_classes) == ["abnormal"]
    found = mean_scores(of_classes)
    assert found["AUC"] == 0.75
    three = np.eye(3, dtype=bool)[[0, 1, 2, 0]]
    names = ("a", "b", "c")
    found = mean_scores(scores_of_classes(three, three * 0.8, names, several=False))
    assert found == {"AUC": 1.0, "average precision": 1.0}


def test_an_interval_resamples_patients_not_images() -> None:
    """Ten copies of every patient's image tell no more than one."""
    rng = np.random.default_rng(1)
    truth = np.arange(40) % 2 == 0
    scores = truth * 0.3 + rng.random(40)
    names = [f"P{n:02d}" for n in range(40)]

    def interval(times):
        rows = np.repeat(np.arange(40), times)

        def score(some):
            mine = rows[some]
            return {"AUC": roc_auc_score(truth[mine], scores[mine])}

        return intervals(score, [names[n] for n in rows], seed=0)["AUC"]

    assert interval(1) == pytest.approx(interval(10))
    low, high = interval(1)
    assert low < by_pairs(truth, scores) < high
    assert 0.1 < high - low < 0.5
    assert intervals(lambda rows: {"AUC": 1.0}, ["P"] * 3, seed=0) == {}
