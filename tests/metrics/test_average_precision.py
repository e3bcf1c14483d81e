"""Average precision: by hand, and by counting at every rank."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from scanlearn.metrics.average_precision import average_precision


def test_by_hand():
    # Right, wrong, right of three nodules: precision 1 up to 1/3, then 2/3 up to 2/3.
    first = (np.array([0.9, 0.8]), np.array([[0.5, 0.0], [0.05, 0.09]]))
    second = (np.array([0.7]), np.array([[0.1]]))
    found = average_precision([first, second], overlap=0.1)
    assert found == pytest.approx((1 + 2 / 3) / 3)
    assert average_precision([first, second], overlap=0.6) == 0.0


def test_a_second_finding_of_a_nodule_is_wrong():
    twice = (np.array([0.9, 0.8, 0.7]), np.array([[0.8, 0.0], [0.9, 0.0], [0.0, 0.5]]))
    assert average_precision([twice], overlap=0.1) == pytest.approx((1 + 2 / 3) / 2)


def test_no_nodules_and_no_findings():
    nothing = (np.empty(0), np.empty((0, 0)))
    assert average_precision([nothing], overlap=0.1) is None
    missed = (np.empty(0), np.empty((0, 2)))
    assert average_precision([nothing, missed], overlap=0.1) == 0.0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_one_candidate_a_nodule_is_a_question_of_ranking(seed):
    """Without rivals it is a ranking, whose plain average precision is no larger."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 30))
    right = rng.random(n) < 0.5
    right[0] = True
    scores = rng.permutation(n) / n
    overlaps = np.zeros((n, int(right.sum())))
    overlaps[np.flatnonzero(right), np.arange(right.sum())] = 0.7
    found = average_precision([(scores, overlaps)], overlap=0.1)
    order = np.argsort(-scores)
    precision = np.cumsum(right[order]) / np.arange(1, n + 1)
    slow = np.mean([precision[k:].max() for k in np.flatnonzero(right[order])])
    assert found == pytest.approx(slow)
    assert found >= average_precision_score(right, scores) - 1e-12
