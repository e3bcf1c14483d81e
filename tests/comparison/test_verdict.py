"""Verdicts on made-up scores whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scanlearn.comparison.picture import draw_curves
from scanlearn.comparison.verdict import judge, labels_needed

BUDGETS = np.array([1, 2, 5, 10])


def noisy(means, *, repeats=8, seed=0, spread=0.004):
    rng = np.random.default_rng(seed)
    return {
        int(b): list(mean + spread * rng.standard_normal(repeats))
        for b, mean in zip(BUDGETS, means, strict=True)
    }


def test_a_saving_is_read_off_the_curve_from_scratch():
    scratch = noisy([0.5, 0.6, 0.7, 0.8])
    verdict = judge(noisy([0.7, 0.72, 0.76, 0.79], seed=1), scratch, score="Dice")
    # One label does what five did: the ratio is largest there.
    assert verdict.saving is not None
    assert verdict.saving.budget == 1
    assert verdict.saving.labels == pytest.approx(5, rel=0.1)
    assert verdict.saving.low <= verdict.saving.labels <= verdict.saving.high
    assert verdict.sentences[0].startswith(
        "1 labelled patient with pre-training did what about 5 did from scratch"
    )


def test_no_saving_is_said_plainly():
    same = noisy([0.5, 0.6, 0.7, 0.8], spread=0.02)
    verdict = judge(
        same, noisy([0.5, 0.6, 0.7, 0.8], seed=5, spread=0.02), score="Dice"
    )
    assert verdict.saving is None
    assert verdict.sentences[0].startswith("No label was saved")
    assert all(point.sign == 0 for point in verdict.points)


def test_worse_is_said_plainly():
    scratch = noisy([0.5, 0.6, 0.7, 0.8])
    verdict = judge(noisy([0.5, 0.6, 0.6, 0.7], seed=3), scratch, score="Dice")
    assert "With 5 and 10 labelled patients pre-training made Dice worse" in (
        verdict.sentences
    )


def test_better_than_all_budgets_has_no_number():
    scratch = noisy([0.5, 0.6, 0.7, 0.8])
    verdict = judge(noisy([0.9, 0.9, 0.9, 0.9], seed=2), scratch, score="Dice")
    assert verdict.saving is not None
    assert verdict.saving.labels is None
    assert verdict.saving.high is None
    assert "did more than 10 from scratch" in verdict.sentences[0]
    assert verdict.saving.low is None
    assert "(95 % of resampled repeats: over 10)" in verdict.sentences[0]


def test_one_repeat_claims_nothing_and_says_so():
    one = {1: [0.9], 2: [0.9]}
    verdict = judge(one, {1: [0.1], 2: [0.1]}, score="Dice")
    assert verdict.saving is None
    assert "cannot be said yet" in verdict.sentences[0]
    assert "+0.800 to +0.800" in verdict.sentences[0]
    assert verdict.sentences[-1].startswith("Only 1 repeat:")


def test_gains_are_paired():
    rng = np.random.default_rng(0)
    hard = rng.uniform(0, 0.5, 6)  # how hard each repeat's test is
    scratch = {2: list(0.4 + hard)}
    pretrained = {2: list(0.42 + hard + 0.001 * rng.standard_normal(6))}
    (point,) = judge(pretrained, scratch, score="Dice").points
    gains = np.subtract(pretrained[2], scratch[2])
    interval = stats.ttest_1samp(gains, 0).confidence_interval()
    assert (point.gain.low, point.gain.high) == pytest.approx(tuple(interval))
    assert point.sign == 1
    assert point.pretrained.low < point.scratch.high  # unpaired, nothing would be seen


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4), st.integers(0, 50))
def test_labels_needed_is_the_first_crossing(percents, target):
    scores, target = np.array(percents) / 50, target / 50
    found = labels_needed(target, BUDGETS, scores)
    fine = np.geomspace(1, 10, 4001)
    best = np.interp(np.log(fine), np.log(BUDGETS), np.maximum.accumulate(scores))
    reached = fine[best >= target - 1e-9]
    if reached.size == 0:
        assert math.isinf(found)
    else:
        assert found == pytest.approx(reached[0], rel=2e-3)


def test_the_picture_is_written(tmp_path):
    verdict = judge(
        noisy([0.7, 0.75, 0.8, 0.82]), noisy([0.5, 0.6, 0.7, 0.8]), score="Dice"
    )
    draw_curves(verdict, tmp_path / "curves.png", score="Dice")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["curves.png"]
