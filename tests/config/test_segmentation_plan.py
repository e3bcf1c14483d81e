"""Plans of segmentations: facts of cohorts, and what is decided for them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanlearn.config.plan_in_words import plan_in_words
from scanlearn.config.run import merge, parse_run_config
from scanlearn.config.segmentation_plan import CohortFacts, segmentation_plan

HEART = CohortFacts((10.0, 1.5, 1.5), (9, 256, 216), "zscore", 3, 30)
HIPPOCAMPUS = CohortFacts((1.0, 1.0, 1.0), (36, 50, 35), "zscore", 5, 100)
CHEST = CohortFacts((1.0, 1.0, 1.0), (320, 340, 420), "HU", 10, 0)
KNEE = CohortFacts((0.4, 0.4, 3.0), (384, 384, 30), "zscore", 2, 12)

#: Facts, then dimensions, axis, side, voxels averaged, updates, others learned from.
TABLE = [
    (HEART, 2, 0, 96, 1, 1600, False),
    (replace(HEART, labelled=1), 2, 0, 96, 1, 1600, True),
    (replace(HEART, labelled=2, unlabelled=0), 2, 0, 96, 1, 1600, False),
    (replace(HEART, shape=(9, 60, 50)), 2, 0, 64, 1, 1600, False),
    (replace(HEART, card=True), 2, 0, 192, 1, 8000, False),
    (HIPPOCAMPUS, 3, 0, 32, 1, 1120, False),
    (replace(HIPPOCAMPUS, labelled=1), 3, 0, 32, 1, 1120, False),
    (replace(HIPPOCAMPUS, shape=(36, 50, 20)), 2, 2, 64, 1, 1600, False),
    (replace(HIPPOCAMPUS, encoder="slices"), 2, 0, 64, 1, 1600, False),
    (replace(HEART, encoder="patches"), 3, 0, 32, 1, 1120, False),
    (CHEST, 3, 0, 32, 3, 1120, False),
    (KNEE, 2, 2, 96, 1, 1600, True),
]


@pytest.mark.parametrize(("facts", *"dasfuo"), TABLE)
def test_facts_decide(facts, d, a, s, f, u, o) -> None:
    plan = segmentation_plan(facts)
    found = (plan.dimensions, plan.axis, plan.crop, plan.factor, plan.updates)
    assert found == (d, a, s, f, u)
    assert plan.unlabelled is o


def test_thick_means_more_than_three_times() -> None:
    facts = replace(HIPPOCAMPUS, spacing_mm=(3.0, 1.0, 1.0), shape=(40, 50, 60))
    assert segmentation_plan(facts).dimensions == 3
    thicker = replace(facts, spacing_mm=(3.1, 1.0, 1.0))
    assert segmentation_plan(thicker).dimensions == 2
    assert "3.1 times as thick" in plan_in_words(segmentation_plan(thicker))[0]


def test_time_makes_updates_and_the_user_may_say_how_much() -> None:
    assert segmentation_plan(HEART, minutes=10).updates == 3200
    assert segmentation_plan(HEART, minutes=0.1).updates == 400
    assert segmentation_plan(HEART, minutes=1000).updates == 8000


def test_what_the_user_decided_is_planned_around() -> None:
    three = segmentation_plan(HEART, dimensions=3)
    assert plan_in_words(three)[0] == "In three dimensions, as asked."
    assert three.settings()["recipe"]["stride"] == 2
    both = segmentation_plan(HEART, unlabelled=True)
    assert both.settings()["engine"]["steps"] == 3200
    assert "30 scans without labels are learned from" in plan_in_words(both)[-1]
    assert "as asked" in plan_in_words(both)[-1]
    few = replace(HEART, labelled=1)
    assert "that paid" in plan_in_words(segmentation_plan(few))[-1]
    assert not segmentation_plan(few, unlabelled=False).unlabelled


@pytest.mark.parametrize(("labelled", "share"), [(1, 0), (7, 0), (8, 0.2), (50, 0.2)])
def test_few_patients_are_all_trained_on(labelled, share) -> None:
    plan = segmentation_plan(replace(HEART, labelled=labelled))
    assert plan.settings()["recipe"]["validation"] == share


@given(
    spacing=st.tuples(*[st.floats(0.2, 12)] * 3),
    shape=st.tuples(*[st.integers(1, 900)] * 3),
    units=st.sampled_from(["HU", "zscore", "unit"]),
    labelled=st.none() | st.integers(1, 99),
    unlabelled=st.integers(0, 999),
    encoder=st.sampled_from(["", "slices", "patches"]),
    card=st.booleans(),
)
def test_every_plan_is_a_run_and_is_said(**facts) -> None:
    spacing = facts.pop("spacing")
    plan = segmentation_plan(CohortFacts(spacing_mm=spacing, **facts))
    base = {"recipe": {"name": "segmentation"}, "kind": "finetune", "cohorts": ["x"]}
    config = parse_run_config(merge(base, plan.settings()))
    assert config.recipe.batch == plan.batch
    assert len(plan_in_words(plan)) == 7
    assert all(
        (text.endswith(".") and text[0].isupper()) or text[0].isdigit()
        for text in plan_in_words(plan)
    )
