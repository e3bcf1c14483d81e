"""The running average of weights: against the sum it stands for."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from scanlearn.nets.weight_average import WeightAverage, decay_at


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    made[1].running_mean.copy_(torch.randn(2))
    made[1].num_batches_tracked.fill_(seed)
    return made


def test_it_is_the_weighted_sum_of_what_it_saw() -> None:
    steps, share = 200, 0.1
    average = WeightAverage(network(0), share)
    seen = [network(seed) for seed in range(1, steps + 1)]
    for step, one in enumerate(seen):
        average.update(one, step, steps)
    # Slowly: each weighs what its step gave it and all later ones left of it.
    weights = torch.ones(steps, dtype=torch.float64)
    for step in range(steps):
        decay = decay_at(step, share * steps)
        weights[:step] *= decay
        weights[step] *= 1 - decay
    assert float(weights.sum()) == pytest.approx(1)
    found = average.network.state_dict()
    for name, value in found.items():
        every = torch.stack([one.state_dict()[name].double() for one in seen])
        if name.endswith("num_batches_tracked"):
            assert int(value) == steps
            continue
        mean = (every * weights.view(-1, *[1] * value.dim())).sum(dim=0)
        torch.testing.assert_close(value.double(), mean, rtol=1e-4, atol=1e-5)


def test_its_time_constant_is_the_share_of_the_steps() -> None:
    assert decay_at(0, 50) == 0
    assert decay_at(10_000, 50) == pytest.approx(1 - 1 / 50)
    assert decay_at(9, 50) == pytest.approx(0.5)
    assert decay_at(5, 0.1) == 0


def test_the_network_itself_is_left_alone() -> None:
    mine = network(0)
    before = copy.deepcopy(mine.state_dict())
    average = WeightAverage(mine, 0.1)
    average.update(network(1), 5, 10)
    assert all(torch.equal(x, before[name]) for name, x in mine.state_dict().items())
    assert not any(p.requires_grad for p in average.parameters())
