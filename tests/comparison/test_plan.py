"""Draws of patients: nested, apart from the test, refused where they cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanlearn.comparison.plan import ARMS, draws, trainings, with_budgets
from scanlearn.config.comparison import ComparisonConfig
from scanlearn.errors import BadLabels

PATIENTS = [f"P-{n}" for n in range(10)]


def drawn(patients, settings, *, least=1, teaching=None):
    return draws(patients, settings, least=least, teaching=teaching or patients)


def config(**changes) -> ComparisonConfig:
    settings = {"task": "segmentation", "cohort": "c", "start_from": "r", "repeats": 3}
    return ComparisonConfig(**(settings | changes))


@given(count=st.integers(3, 30), seed=st.integers(0, 99), test=st.floats(0.05, 0.6))
def test_labels_are_nested_and_nobody_is_trained_on_and_tested(count, seed, test):
    patients = [f"P-{n}" for n in range(count)]
    settings = config(budgets=(1, 2), seed=seed, test=test)
    if count - max(1, round(test * count)) < 2:
        with pytest.raises(BadLabels):
            drawn(patients, settings)
        return
    for draw in drawn(patients, settings):
        assert sorted(draw.test + draw.order) == sorted(patients)
        one, two = (t.patients for t in trainings([draw], settings) if t.arm == ARMS[0])
        assert set(one) < set(two)
        assert not set(two) & set(draw.test)


def test_both_arms_of_a_repeat_have_the_same_patients_and_repeats_differ():
    settings = config(budgets=(5, 2, 2))
    assert settings.budgets == (2, 5)
    found = drawn(PATIENTS, settings)
    planned = trainings(found, settings)
    assert len(planned) == len({t.name for t in planned}) == 2 * 2 * 3
    for mine, theirs in zip(planned[::2], planned[1::2], strict=True):
        assert (mine.arm, theirs.arm) == ARMS
        assert (mine.budget, mine.patients) == (theirs.budget, theirs.patients)
    assert len({draw.order for draw in found}) == 3
    assert drawn(PATIENTS[::-1], settings) == found


def test_too_few_patients_are_refused_with_the_largest_budget():
    with pytest.raises(BadLabels, match="budgets of at most 7"):
        drawn(PATIENTS, config(budgets=(1, 8)))


@pytest.mark.parametrize(
    "wrong", [{"budgets": (0, 1)}, {"changes": {"engine": {"seed": 1}}}]
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=r"budgets|seed"):
        config(**wrong)


def test_budgets_follow_from_the_labels_when_none_are_asked_for():
    assert with_budgets(config(), PATIENTS, least=1).budgets == (1, 2, 5)
    assert with_budgets(config(test=0.1), PATIENTS * 2, least=1).budgets == (1, 2, 5)
    assert with_budgets(config(), PATIENTS[:1], least=1).budgets == (1,)
    assert with_budgets(config(budgets=(3,)), PATIENTS, least=1).budgets == (3,)


def test_a_task_says_how_many_patients_a_training_needs():
    outcome = config(task="outcome")
    assert with_budgets(outcome, PATIENTS, least=4).budgets == (5,)
    assert with_budgets(outcome, PATIENTS[:6], least=4).budgets == (4,)
    with pytest.raises(BadLabels, match=r"outcome needs 4 .* budgets of 4 to 7"):
        drawn(PATIENTS, config(task="outcome", budgets=(2, 5)), least=4)


@given(count=st.integers(3, 12), few=st.integers(2, 4), seed=st.integers(0, 99))
def test_somebody_with_a_finding_is_learned_from_and_tested_on(count, few, seed):
    patients = [f"P-{n}" for n in range(count)]
    teaching = patients[: min(few, count)]
    settings = config(budgets=(1,), seed=seed)
    plain = drawn(patients, settings)
    for one, other in zip(
        drawn(patients, settings, teaching=teaching), plain, strict=True
    ):
        assert sorted(one.test + one.order) == sorted(patients)
        assert set(one.test) & set(teaching)
        assert one.order[0] in teaching
        if set(other.test) & set(teaching) and other.order[0] in teaching:
            assert one == other
    with pytest.raises(BadLabels, match="only 1 of"):
        drawn(patients, settings, teaching=patients[:1])
