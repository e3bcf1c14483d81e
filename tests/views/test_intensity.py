"""Intensity views: against a loop over samples, given what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scanlearn.randomness import torch_generator
from scanlearn.views.intensity import IntensityDraw, IntensityViews

VIEWS = IntensityViews(
    noise=50, noise_probability=0.25, gamma=(0.5, 4.5), gamma_probability=0.25
)


def test_equals_a_loop_over_samples() -> None:
    torch.manual_seed(0)
    x = torch.rand(5, 1, 4, 4, 4) * 1264
    stds, gammas = [0.0, 30.0, 0.0, 12.0, 0.0], [1.0, 1.0, 2.5, 0.7, 1.0]
    draw = IntensityDraw(torch.tensor(stds), torch.tensor(gammas), noise_seed=99)
    before = x.clone()
    found = VIEWS.apply(x, draw)

    normal = torch.empty(2, 1, 4, 4, 4).normal_(
        generator=torch.Generator().manual_seed(99)
    )
    noise = dict(zip([1, 3], normal.double().numpy(), strict=True))
    for number, sample in enumerate(x.double().numpy()):
        expected = sample + stds[number] * noise.get(number, 0)
        if gammas[number] != 1:
            low, span = expected.min(), np.ptp(expected)
            expected = ((expected - low) / (span + 1e-7)) ** gammas[number] * span + low
        np.testing.assert_allclose(found[number], expected, rtol=1e-5, atol=1e-3)
    assert torch.equal(x, before)
    assert torch.equal(VIEWS.apply(x, draw), found)


def test_draws_have_their_probabilities_and_ranges() -> None:
    draw = VIEWS.sample(8000, torch_generator(0, "test"))
    noisy = draw.noise_std[draw.noise_std > 0]
    bent = draw.gamma[draw.gamma != 1]
    assert len(noisy) / 8000 == pytest.approx(0.25, abs=0.02)
    assert len(bent) / 8000 == pytest.approx(0.25, abs=0.02)
    assert noisy.max() <= 50
    assert float(noisy.mean()) == pytest.approx(25, rel=0.05)
    assert bent.min() >= 0.5
    assert bent.max() <= 4.5
    assert float(bent.mean()) == pytest.approx(2.5, rel=0.05)
    both = ((draw.noise_std > 0) & (draw.gamma != 1)).float().mean()
    assert float(both) == pytest.approx(1 / 16, abs=0.015)


def test_draws_repeat_for_equal_streams_alone() -> None:
    def draw(step: int) -> IntensityDraw:
        return VIEWS.sample(16, torch_generator(0, "views", step))

    one, again, other = draw(1), draw(1), draw(2)
    assert torch.equal(one.noise_std, again.noise_std)
    assert torch.equal(one.gamma, again.gamma)
    assert one.noise_seed == again.noise_seed != other.noise_seed
    assert not torch.equal(one.gamma, other.gamma)


def test_nothing_drawn_changes_nothing_and_flat_patches_stay_finite() -> None:
    never = IntensityViews(50, 0, (0.5, 4.5), 0)
    x = torch.rand(3, 1, 2, 2, 2)
    assert torch.equal(never.apply(x, never.sample(3, torch_generator(0, "t"))), x)
    flat = torch.full((1, 1, 2, 2, 2), 7.0)
    bend = IntensityDraw(torch.zeros(1), torch.tensor([0.5]), noise_seed=0)
    assert torch.equal(VIEWS.apply(flat, bend), flat)
