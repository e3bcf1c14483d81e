"""Changes of grey values, sharpness and noise: against scipy and slow versions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from scanlearn.randomness import torch_generator
from scanlearn.views.smooth_fields import smooth_field
from scanlearn.views.tone_views import (
    ToneDraw,
    ToneViews,
    along_axes,
    blurring,
    coarsening,
)

VIEWS = ToneViews(
    gamma=(0.6, 1.7),
    contrast=(0.6, 1.5),
    brightness=0.4,
    field=0.3,
    blur=(0.5, 1.2),
    coarser=(1.0, 2.0),
    noise=0.2,
)


def tiles(dims: int, n: int = 2) -> torch.Tensor:
    return torch.rand(n, 1, *[16] * dims, generator=torch_generator(2, "x")) * 1264


def still(dims: int, n: int = 2, **changes: torch.Tensor) -> ToneDraw:
    one, none = torch.ones(n), torch.zeros(n)
    field = torch.zeros(n, *[4] * dims)
    draw = ToneDraw(one, one, none, field, none, one, none, noise_seed=0)
    return replace(draw, **changes)


@pytest.mark.parametrize("dims", [2, 3])
def test_nothing_drawn_changes_nothing(dims) -> None:
    x = tiles(dims)
    torch.testing.assert_close(VIEWS.apply(x, still(dims)), x, atol=1e-2, rtol=0)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("sigma", [0.5, 0.9, 2.0])
def test_a_blur_is_a_gaussian_whose_border_repeats(dims, sigma) -> None:
    x = tiles(dims)[0]
    found = along_axes(x, blurring(sigma, 16))[0].numpy()
    expected = gaussian_filter(
        x[0].double().numpy(), sigma, mode="nearest", truncate=3.0
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("factor", [1.0, 2.0, 4.0])
def test_coarser_pixels_are_means_interpolated_again(factor) -> None:
    line = torch.rand(16, generator=torch_generator(3, "line"))
    found = (coarsening(factor, 16) @ line).numpy()
    few = line.numpy().reshape(-1, int(factor)).mean(axis=1)
    centres = (np.arange(len(few)) + 0.5) * factor - 0.5
    np.testing.assert_allclose(found, np.interp(np.arange(16), centres, few), rtol=1e-5)


def test_a_factor_between_keeps_level_images() -> None:
    np.testing.assert_allclose(coarsening(1.37, 16).sum(dim=1).numpy(), 1, rtol=1e-6)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("spread", [None, 100.0])
def test_grey_values_follow_their_formula(dims, spread) -> None:
    x = tiles(dims)
    field = torch.randn(2, *[4] * dims, generator=torch_generator(0, "f")) * 0.3
    draw = still(
        dims,
        gamma=torch.tensor([0.7, 1.6]),
        gain=torch.tensor([1.4, 0.8]),
        shift=torch.tensor([0.3, -0.2]),
        field=field,
    )
    found = replace(VIEWS, spread=spread).apply(x, draw).numpy()
    for n in range(2):
        one = x[n, 0].double().numpy()
        low, span = one.min(), np.ptp(one)
        light = np.exp(smooth_field(field, [16] * dims)[n].double().numpy())
        bent = (np.clip((one - low) / span, 1e-6, None) * light) ** float(draw.gamma[n])
        bent = bent * span + low
        expected = (bent - one.mean()) * float(draw.gain[n]) + one.mean()
        expected += float(draw.shift[n]) * (spread or one.std(ddof=1))
        np.testing.assert_allclose(found[n, 0], expected, rtol=2e-3, atol=0.1)


def test_noise_is_normal_and_as_strong_as_drawn() -> None:
    x = torch.zeros(2, 1, 128, 128)
    draw = still(2, noise=torch.tensor([0.0, 0.25]))
    views = replace(VIEWS, spread=100.0)
    found = views.apply(x, draw)
    torch.testing.assert_close(found[0], x[0])
    assert float(found[1].std()) == pytest.approx(25, rel=0.03)
    assert abs(float(found[1].mean())) < 1
    assert torch.equal(found, views.apply(x, draw))


def test_each_change_is_as_frequent_as_it_says() -> None:
    draw = VIEWS.sample(4000, 2, torch_generator(0, "views"))

    def share(changed: torch.Tensor) -> float:
        return float(changed.float().mean())

    assert share(draw.gamma != 1) == pytest.approx(0.5, abs=0.03)
    assert share(draw.gain != 1) == pytest.approx(0.5, abs=0.03)
    assert share(draw.shift != 0) == pytest.approx(0.5, abs=0.03)
    assert share(draw.field[:, 0, 0] != 0) == pytest.approx(0.5, abs=0.03)
    assert share(draw.blur > 0) == pytest.approx(0.2, abs=0.03)
    assert share(draw.coarser > 1) == pytest.approx(0.2, abs=0.03)
    assert share(draw.noise > 0) == pytest.approx(1 / 3, abs=0.03)
    assert float(draw.gamma.min()) >= 0.6
    assert float(draw.gamma.max()) <= 1.7
    assert float(draw.shift.abs().max()) <= 0.4
    assert float(draw.blur[draw.blur > 0].min()) >= 0.5
