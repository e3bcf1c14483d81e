"""Passes over the data as steps: counted by hand from what cohorts hold."""

from __future__ import annotations

import pytest

from scanlearn.new_run import pretraining_config
from scanlearn.pretraining.doses import dosed
from scanlearn.pretraining.registry import method_named


def planned(cohorts, method="joint", **changes):
    chosen = method_named(method)
    config = pretraining_config(
        cohorts, method=chosen, preset_name="quick", changes=changes
    )
    return dosed(chosen, config).engine


def test_images_are_seen_as_often_as_asked(mixed_cohorts) -> None:
    """6 x 4 of CT, 5 x 4 of MR, 12 films: 56 images, five batches of eleven a pass."""
    recipe = {"images_a_volume": 4, "batch": 11}
    engine = {"passes": 30.0, "steps": 10_000, "rounds": 1}
    found = planned(mixed_cohorts, recipe=recipe, engine=engine)
    # Images count in the first half and in the last four tenths.
    assert (found.steps, found.passes, found.rounds) == (167, 30.0, 1)
    found = planned(mixed_cohorts, recipe=recipe | {"intra": 0.0}, engine=engine)
    assert found.steps == 300  # in the first half alone
    found = planned(mixed_cohorts[2:], recipe=recipe, engine=engine)
    assert found.steps == 30  # twelve films and no volumes: a batch a pass
    found = planned(mixed_cohorts, recipe=recipe, engine=engine | {"accumulate": 2})
    assert found.steps == 84


def test_rounds_are_as_many_as_the_steps_allow(mixed_cohorts) -> None:
    recipe = {"images_a_volume": 4, "batch": 11, "stages": {"mask": 0}}
    for limit, asked, steps, rounds, passes in (
        (1000, 3, 100, 3, 20),
        (250, 3, 100, 2, 20),
        (60, 3, 60, 1, 12),  # less than was asked for, and said so
    ):
        engine = {"passes": 20.0, "steps": limit, "rounds": asked}
        found = planned(mixed_cohorts, recipe=recipe, engine=engine)
        assert (found.steps, found.rounds) == (steps, rounds)
        assert found.passes == pytest.approx(passes)


def test_patients_are_seen_at_every_landmark(tiny_cohort) -> None:
    """Four patients, two a step, at five landmarks: ten steps a pass."""
    recipe = {"spacing_mm": 4.0, "batch": 2, "landmarks": {"at_most": 5}}
    engine = {"passes": 7.0, "steps": 500}
    found = planned([tiny_cohort], "drasclr", recipe=recipe, engine=engine)
    assert found.steps == 70


@pytest.mark.parametrize("method", ["joint", "drasclr"])
def test_who_names_steps_gets_them(tiny_cohort, method) -> None:
    changes = {"recipe": {"spacing_mm": 4.0}} if method == "drasclr" else {}
    found = planned([tiny_cohort], method, engine={"steps": 17}, **changes)
    assert (found.steps, found.passes, found.rounds) == (17, None, 1)
    assert method_named(method).offer.presets["quick"]["engine"]["passes"] >= 50
