from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from scanlearn.config.engine import OptimiserConfig
from scanlearn.engine.optimisers import make_optimiser, make_schedule, rate_at


def rates(config, steps):
    return [rate_at(step, config, steps=steps) for step in range(steps + 1)]


def of(config):
    return lambda step, steps: rate_at(step, config, steps=steps)


def test_the_rate_rises_linearly_then_falls_as_a_cosine():
    config = OptimiserConfig(warmup=0.2)
    found = rates(config, 20)
    assert found[:4] == pytest.approx([1 / 5, 2 / 5, 3 / 5, 4 / 5])
    for step in range(4, 21):
        expected = 0.5 * (1 + math.cos(math.pi * (step - 4) / 16))
        assert found[step] == pytest.approx(expected)
    assert found[4] == 1.0
    assert found[20] == pytest.approx(0.0)


def test_a_constant_rate_stays_after_its_warm_up():
    found = rates(OptimiserConfig(warmup=0.5, schedule="constant"), 8)
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert set(found[5:]) == {1.0}


@given(
    steps=st.integers(0, 500),
    warmup=st.floats(0, 0.99),
    schedule=st.sampled_from(["cosine", "constant"]),
)
def test_rates_are_fractions_with_one_peak(steps, warmup, schedule):
    found = rates(OptimiserConfig(warmup=warmup, schedule=schedule), steps)
    assert all(0 <= rate <= 1 for rate in found)
    peak = found.index(max(found))
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)


def test_sgd_follows_its_formula():
    config = OptimiserConfig(
        name="sgd", learning_rate=0.1, momentum=0.8, weight_decay=0.01
    )
    weight = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimiser = make_optimiser([{"params": [weight], "rate": 0.5}], config)
    schedule = make_schedule(optimiser, of(config), steps=10)
    expected = weight.detach().clone()
    velocity = torch.zeros(2, dtype=torch.float64)
    for step in range(10):
        optimiser.zero_grad()
        (weight**2).sum().backward()
        gradient = 2 * expected + 0.01 * expected
        velocity = gradient if step == 0 else 0.8 * velocity + gradient
        expected = expected - 0.05 * rate_at(step, config, steps=10) * velocity
        optimiser.step()
        schedule.step()
        assert torch.allclose(weight, expected, atol=1e-12)


def test_a_group_that_rises_is_held_back_at_first():
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    config = OptimiserConfig(learning_rate=0.2, warmup=0.02)
    groups = [
        {"params": weights[:1]},
        {"params": weights[1:], "rate": 0.5, "rises_from": 0.1},
    ]
    optimiser = make_optimiser(groups, config)
    schedule = make_schedule(optimiser, of(config), steps=100)
    shares = []
    for step in range(100):
        free, held = (group["lr"] for group in optimiser.param_groups)
        assert free == pytest.approx(0.2 * rate_at(step, config, steps=100))
        shares.append(held / free)
        optimiser.step()
        schedule.step()
    expected = np.interp(np.arange(100), [0, 10, 20, 100], [0.05, 0.05, 0.5, 0.5])
    assert shares == pytest.approx(expected)


def test_larc_moves_a_tensor_by_its_own_length():
    """One step without momentum and decay moves by lr * eta * |p|."""
    config = OptimiserConfig(
        name="larc", learning_rate=0.3, momentum=0.0, weight_decay=0.0
    )
    start = torch.randn(2, 3, 4, dtype=torch.float64)
    weights = [nn.Parameter(start[0] * 0.01), nn.Parameter(start[1] * 50)]
    before = [w.detach().clone() for w in weights]
    optimiser = make_optimiser([{"params": weights}], config)
    sum(((w * (n + 7)) ** 3).sum() for n, w in enumerate(weights)).backward()
    slopes = [w.grad.clone() for w in weights]
    optimiser.step()
    for weight, old, slope in zip(weights, before, slopes, strict=True):
        step = weight.detach() - old
        assert float(step.norm()) == pytest.approx(0.3e-3 * float(old.norm()), rel=1e-3)
        torch.testing.assert_close(step / step.norm(), -slope / slope.norm())


def test_larc_follows_its_formula_with_decay_and_momentum():
    config = OptimiserConfig(
        name="larc", learning_rate=2.0, momentum=0.5, weight_decay=0.1
    )
    weight = nn.Parameter(torch.tensor([3.0, -4.0], dtype=torch.float64))
    zero = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimiser = make_optimiser([{"params": [weight, zero]}], config)
    expected, velocity = weight.detach().clone(), torch.zeros(2, dtype=torch.float64)
    for _ in range(3):
        optimiser.zero_grad()
        ((weight**2).sum() + zero.sum()).backward()
        slope = 2 * expected
        length = expected.norm()
        scaled = (slope + 0.1 * expected) * 1e-3 * length
        velocity = 0.5 * velocity + scaled / (slope.norm() + 0.1 * length + 1e-8)
        expected = expected - 2.0 * velocity
        optimiser.step()
        torch.testing.assert_close(weight.detach(), expected, rtol=0, atol=1e-12)
        assert optimiser.param_groups[0]["weight_decay"] == 0.1
        if _ == 0:  # a tensor of zeros takes the gradient as it is
            torch.testing.assert_close(zero.detach(), torch.full_like(zero, -2.0))


def test_adamw_takes_its_settings_and_a_rate_a_group():
    config = OptimiserConfig(learning_rate=0.02, weight_decay=0.3)
    slow, fast = nn.Linear(2, 2), nn.Linear(2, 2)
    groups = [{"params": list(slow.parameters()), "rate": 0.1}]
    groups += [{"params": list(fast.parameters())}]
    optimiser = make_optimiser(groups, config)
    assert isinstance(optimiser, torch.optim.AdamW)
    assert [g["lr"] for g in optimiser.param_groups] == pytest.approx([0.002, 0.02])
    assert {g["weight_decay"] for g in optimiser.param_groups} == {0.3}


def test_what_is_not_trained_is_left_out():
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(requires_grad=False)
    optimiser = make_optimiser(
        [{"params": list(layer.parameters())}], OptimiserConfig()
    )
    assert [g["params"] for g in optimiser.param_groups] == [[layer.weight]]
