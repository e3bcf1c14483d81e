"""Which samples every step of a joint training sees."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scanlearn.cohort.slices import SliceCohorts
from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.joint import JointConfig, StagesConfig
from scanlearn.encoders.pixels import pixels_of
from scanlearn.pretraining.joint.slice_batches import (
    Deck,
    Requests,
    Schedule,
    SliceData,
    StepPlan,
)


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    batch=st.integers(1, 12),
    balance=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_an_epoch_holds_the_sources_in_balance(counts, batch, balance) -> None:
    sources = np.repeat(np.arange(len(counts)), counts)
    deck = Deck(tuple(sources.tolist()), batch, balance, 0, "test")
    for epoch in range(2):
        numbers = range(epoch * deck.batches, (epoch + 1) * deck.batches)
        drawn = np.concatenate([deck.at(n) for n in numbers])
        assert len(drawn) == deck.batches * deck.size
        share = np.array(counts, dtype=float) ** balance
        expected = share / share.sum() * len(drawn)
        found = np.bincount(sources[drawn], minlength=len(counts))
        assert np.abs(found - expected).max() <= 1
        for source in range(len(counts)):
            # A source begins anew only when all of it was seen.
            times = np.bincount(drawn, minlength=len(sources))[sources == source]
            assert np.ptp(times) <= 1


def test_epochs_differ_and_repeat_from_any_step() -> None:
    deck = Deck((0,) * 20, 5, 1.0, 7, "images")
    assert deck.batches == 4
    assert not np.array_equal(deck.at(0), deck.at(4))
    again = Deck((0,) * 20, 5, 1.0, 7, "images")
    assert all(np.array_equal(deck.at(n), again.at(n)) for n in (9, 2, 0))
    assert not np.array_equal(deck.at(0), Deck((0,) * 20, 5, 1.0, 8, "images").at(0))


def test_stages_take_their_shares_in_order() -> None:
    stages = Schedule(StagesConfig(warm=5, mask=1, joint=4), 20)
    told = [stages.at(step) for step in range(20)]
    assert told == ["warm"] * 10 + ["mask"] * 2 + ["joint"] * 8
    alone = Schedule(StagesConfig(warm=0, mask=0, joint=2), 3)
    assert [alone.at(step) for step in range(3)] == ["joint"] * 3


@pytest.mark.parametrize(
    ("stages", "updates"),
    [
        (StagesConfig(warm=12, mask=0, joint=0), 12),  # (A)
        (StagesConfig(warm=12, mask=4, joint=0), 12),  # (A+B)
        (StagesConfig(warm=6, mask=0, joint=6), 12),  # (A+C)
        (StagesConfig(warm=6, mask=4, joint=6), 12),  # (A+B+C)
    ],
)
def test_the_arms_of_the_ablation_are_shares(stages, updates) -> None:
    """Written as steps, shares give every arm the same number of trunk updates."""
    steps = round(stages.warm + stages.mask + stages.joint)
    schedule = Schedule(stages, steps)
    assert schedule.trunk_updates == updates
    assert sum(schedule.at(s) != "mask" for s in range(steps)) == updates


def test_a_resumed_training_asks_for_what_it_would_have() -> None:
    plan = StepPlan(
        Schedule(StagesConfig(warm=3, mask=2, joint=4), 9),
        Deck((0,) * 10, 4, 1.0, 0, "images"),
        Deck((0,) * 5, 2, 1.0, 0, "volumes"),
        accumulate=2,
    )
    whole = list(itertools.islice(Requests(plan, 0), 18))
    for first in range(18):
        rest = itertools.islice(Requests(plan, first), 18 - first)
        assert list(rest) == whole[first:]
    for number, request in enumerate(whole):
        stage = plan.schedule.at(number // 2)
        assert bool(request.images) == (stage != "mask")
        assert bool(request.volumes) == (stage != "warm")
        assert request.read_volumes == (stage == "joint")


def test_pixels_of_all_kinds_lie_on_one_scale(mixed_cohorts) -> None:
    """One normalisation everywhere: intensities between 0 and 1264."""
    config = JointConfig(image_side=20, slice_side=16, slices=8, images_a_volume=2)
    cohorts = SliceCohorts(mixed_cohorts, slices=8, images_a_volume=2)
    data = SliceData(cohorts, config)
    images = data.images([0, 12, 25])
    assert images["images"].shape == (3, 1, 20, 20)
    assert images["image_hu"].tolist() == [True, False, False]
    assert images["image_ids"].tolist() == [0, 12, 25]
    assert images["images"].min() >= 0
    assert images["images"].max() <= 1264
    assert images["images"].std(dim=(1, 2, 3)).min() > 30
    stacks = data.stacks([0, 6])
    assert stacks["volumes"].shape == (2, 8, 16, 16)
    assert stacks["lengths"].tolist() == [8, 5]
    assert torch.equal(stacks["volumes"][1, 5], stacks["volumes"][1, 4])


def test_resampling_keeps_the_mean() -> None:
    x = torch.rand(2, 30, 30)
    for side in (7, 30, 41):
        sized = pixels_of(x, side)
        assert sized.shape == (2, side, side)
        torch.testing.assert_close(
            sized.mean(dim=(1, 2)), x.mean(dim=(1, 2)), atol=0.02, rtol=0
        )


#: Twelve steps of three stages, a warm-up of half a stage of four, by hand: two thirds
#: of the warm-up's three parts, then (1 + cos) / 2 of what is left.
_RESTARTED = [
    *(1 / 3, 2 / 3, 1.0, 0.5),  # A
    *(0.1 / 3, 0.2 / 3, 0.1, 0.05),  # B, at a tenth
    *(0.2 / 3, 0.4 / 3, 0.2, 0.1),  # C, at a fifth
]


def test_every_stage_warms_up_and_falls_by_itself() -> None:
    optimiser = OptimiserConfig(warmup=0.5)
    stages = StagesConfig(warm=1, mask=1, joint=1, rates=(1.0, 0.1, 0.2))
    schedule = Schedule(stages, 12)
    found = [schedule.rate(step, optimiser) for step in range(12)]
    assert found == pytest.approx(_RESTARTED)
    # Beyond them the last stage goes on with as many steps as there were in all.
    longer = Schedule(StagesConfig(joint=12, warm=0, mask=0, rates=(1, 1, 0.2)), 12)
    found = [schedule.rate(step, optimiser) for step in range(12, 36)]
    assert found == [longer.rate(step, optimiser) for step in range(12)] * 2
    assert {schedule.at(step) for step in range(12, 36)} == {"joint"}
    # A stage that is left out is not waited for, and keeps its own rate.
    stages = StagesConfig(warm=0, mask=0, joint=1, rates=(1.0, 0.1, 0.2))
    found = [Schedule(stages, 4).rate(step, optimiser) for step in range(4)]
    assert found == pytest.approx(_RESTARTED[8:])


def test_the_schedule_of_a_run_without_rates_stays_one_curve() -> None:
    """Runs that were begun before stages had rates go on as they began."""
    optimiser = OptimiserConfig(warmup=0.25)
    schedule = Schedule(StagesConfig(warm=2, mask=1, joint=1), 8)
    cosine = [0.5 * (1 + math.cos(math.pi * n / 6)) for n in range(7)]
    found = [schedule.rate(step, optimiser) for step in range(9)]
    assert found == pytest.approx([1 / 3, 2 / 3, *cosine])
