"""FROC and CPM: cases made by hand, and a slow version."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.metrics.froc import (
    RATES,
    Judged,
    cpm_interval,
    froc,
    judge,
    judge_boxes,
)
from scanlearn.scans.boxes import as_boxes
from scanlearn.scans.spheres import as_spheres


def test_a_hit_lies_within_the_radius_and_counts_once():
    truth = as_spheres([[0, 0, 0, 10], [50, 0, 0, 6], [80, 0, 0, 4]])
    found = as_spheres([[4.9, 0, 0, 9], [0, 0, 1, 9], [53.1, 0, 0, 6], [0, 70, 0, 5]])
    seen = judge(found, np.array([0.6, 0.8, 0.9, 0.3]), truth)
    assert seen.hits.tolist() == [0.8, -np.inf, -np.inf]
    assert seen.false.tolist() == [0.9, 0.3]
    assert seen.diameters.tolist() == [10, 6, 4]


@given(
    st.lists(st.tuples(*[st.integers(0, 9)] * 2, *[st.integers(1, 6)] * 2), max_size=5),
    st.lists(st.tuples(*[st.integers(0, 9)] * 2, *[st.integers(1, 6)] * 2), max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_boxes_are_judged_as_one_by_one(found, truth):
    scores = np.linspace(0.9, 0.1, len(found))
    best, wrong = [-np.inf] * len(truth), []
    for (x, y, width, height), score in zip(found, scores, strict=True):
        u, v = x + width / 2, y + height / 2
        inside = [a < u < a + wide and b < v < b + high for a, b, wide, high in truth]
        for number, is_hit in enumerate(inside):
            best[number] = max(best[number], score) if is_hit else best[number]
        wrong += [] if any(inside) else [score]
    seen = judge_boxes(as_boxes(found), scores, as_boxes(truth))
    assert seen.hits.tolist() == best
    assert seen.false.tolist() == wrong


def test_scans_without_nodules_give_false_positives_only():
    seen = judge(as_spheres([[0, 0, 0, 5]]), np.array([0.4]), as_spheres([]))
    assert seen.hits.size == 0
    assert seen.false.tolist() == [0.4]
    assert froc([seen]) is None
    assert froc([]) is None


def test_a_curve_by_hand():
    scans = [
        Judged(np.array([0.9, 0.2]), np.array([0.8]), np.array([8.0, 6.0])),
        Judged(np.array([0.7]), np.array([0.5, 0.1]), np.array([9.0])),
        Judged(np.array([-np.inf]), np.array([]), np.array([5.0])),
        Judged(np.array([]), np.array([]), np.array([])),
    ]
    curve = froc(scans)
    assert curve is not None
    assert curve.thresholds.tolist() == [np.inf, 0.9, 0.8, 0.7, 0.5, 0.2, 0.1]
    assert curve.rates.tolist() == [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75]
    assert curve.sensitivities.tolist() == [0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75]
    assert curve.at(0.125) == 0.25
    assert curve.at(0.25) == 0.5
    assert curve.at(8) == 0.75
    assert [curve.threshold_at(rate) for rate in (0, 0.25, 8)] == [0.9, 0.7, 0.1]
    assert curve.cpm == pytest.approx((0.25 + 0.5 + 5 * 0.75) / 7)


def slow_sensitivity(scans: list[Judged], rate: float) -> float:
    total = sum(len(scan.hits) for scan in scans)
    best = 0.0
    for threshold in {s for scan in scans for s in [*scan.hits, *scan.false]}:
        if threshold == -np.inf:
            continue
        wrong = sum(s >= threshold for scan in scans for s in scan.false)
        caught = sum(s >= threshold for scan in scans for s in scan.hits)
        if wrong / len(scans) <= rate:
            best = max(best, caught / total)
    return best


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_sensitivities_equal_those_of_every_threshold(seed):
    rng = np.random.default_rng(seed)
    scans = []
    for _ in range(rng.integers(1, 6)):
        found = np.column_stack([rng.uniform(0, 60, (9, 3)), rng.uniform(4, 20, 9)])
        truth = np.column_stack([rng.uniform(0, 60, (4, 3)), rng.uniform(4, 50, 4)])
        scores = rng.integers(1, 7, 9) / 7
        scans.append(judge(found, scores, truth[: rng.integers(1, 5)]))
    curve = froc(scans)
    assert curve is not None
    slow = [slow_sensitivity(scans, rate) for rate in RATES]
    assert [curve.at(rate) for rate in RATES] == pytest.approx(slow)
    assert curve.cpm == pytest.approx(np.mean(slow))


def test_the_interval_is_wide_when_patients_differ_and_absent_for_one():
    good = Judged(np.array([0.9]), np.array([]), np.array([8.0]))
    bad = Judged(np.array([-np.inf]), np.array([0.8]), np.array([8.0]))
    assert cpm_interval([[good]]) is None
    assert cpm_interval([[good], [good, good]]) == (1.0, 1.0)
    low, high = cpm_interval([[good], [bad]] * 4)
    assert 0 <= low < 0.5 < high <= 1
