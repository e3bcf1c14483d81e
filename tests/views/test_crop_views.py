"""Crops of images and of stacks: against a loop in NumPy, given what was drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from scanlearn.randomness import torch_generator
from scanlearn.views.crop_views import CropViews

VIEWS = CropViews(
    size=12,
    area=(0.3, 0.9),
    rotate_degrees=30,
    mirror=0.5,
    shift_hu=20,
    noise_hu=15,
    contrast=0.3,
    gamma=(0.7, 1.4),
    field=0.4,
)
STILL = dataclasses.replace(
    VIEWS,
    area=(1.0, 1.0),
    rotate_degrees=0,
    mirror=0,
    shift_hu=0,
    noise_hu=0,
    contrast=0,
    gamma=(1, 1),
    field=0,
)


def stack(n: int, channels: int, side: int) -> torch.Tensor:
    return torch.rand(n, channels, side, side, generator=torch_generator(0, "x")) * 1264


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), channels=st.sampled_from([1, 3]))
def test_a_view_is_its_definition(seed, channels) -> None:
    x, hu = stack(2, channels, 16), torch.tensor([True, False])
    # Without noise, whose voxels come from the stock.
    views = dataclasses.replace(VIEWS, noise_hu=0.0)
    draw = views.sample(hu, torch_generator(seed, "views"))
    found = views.apply(x, draw, hu).numpy()
    centres = (np.arange(12) + 0.5) / 12 * 2 - 1
    v, u = np.meshgrid(centres, centres, indexing="ij")
    for n in range(2):
        (a, b, c), (d, e, f) = draw.maps[n].double().numpy()
        column = ((a * u + b * v + c + 1) * 16 - 1) / 2
        row = ((d * u + e * v + f + 1) * 16 - 1) / 2
        places = np.clip([row, column], 0, 15)
        crop = np.stack(
            [map_coordinates(s.double().numpy(), places, order=1) for s in x[n]]
        )
        if n == 0:
            expected = crop + float(draw.shift[0])
        else:
            expected = recoloured(crop, draw, centres, channels)
        np.testing.assert_allclose(found[n], expected / 632 - 1, atol=2e-4)


def recoloured(crop, draw, centres, channels):
    few = crop[:, ::4, ::4]
    low, span = crop.min(), np.ptp(crop)
    heights = (np.arange(channels) + 0.5) / channels * 2 - 1
    field = np.zeros_like(crop)
    for (i, j, k), value in np.ndenumerate(draw.field[1].double().numpy()):
        assert value == 0 or i + j + k <= 3
        z, y, w = np.meshgrid(heights, centres, centres, indexing="ij")
        field += value * z**i * y**j * w**k
    scaled = np.clip((crop - low) / span, 1e-6, None)
    bent = (scaled * np.exp(field)) ** float(draw.gamma[1]) * span + low
    mean, gain = few.mean(), float(draw.gain[1])
    bright = float(draw.shift[1]) * few.std(ddof=1)
    return (bent - mean) * gain + mean + bright


def test_the_whole_image_unchanged_is_a_view_too() -> None:
    x, hu = stack(2, 3, 12), torch.tensor([True, False])
    before = x.clone()
    draw = STILL.sample(hu, torch_generator(0, "views"))
    found = STILL.apply(x, draw, hu)
    torch.testing.assert_close(found, x / 632 - 1, atol=1e-3, rtol=0)
    assert torch.equal(x, before)
    assert torch.equal(STILL.apply(x, draw, hu), found)


def test_hounsfield_units_keep_their_contrast() -> None:
    """No gamma, no gain and no field on CT: differences of densities stay."""
    hu = torch.ones(500, dtype=torch.bool)
    draw = VIEWS.sample(hu, torch_generator(1, "views"))
    assert (draw.gain == 1).all()
    assert (draw.gamma == 1).all()
    assert (draw.field == 0).all()
    assert float(draw.shift.abs().max()) <= 20
    other = VIEWS.sample(~hu, torch_generator(1, "views"))
    for values, low, high in (
        (other.gain, 0.7, 1.3),
        (other.gamma, 0.7, 1.4),
        (other.shift, -0.3, 0.3),
        (other.noise_std, 0, 15),
    ):
        assert low <= float(values.min()) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < float(values.max()) <= high


def test_crops_stay_inside_and_have_their_share() -> None:
    straight = dataclasses.replace(VIEWS, rotate_degrees=0)
    draw = straight.sample(torch.zeros(2000, dtype=torch.bool), torch_generator(2, "v"))
    a, c, e, f = (draw.maps[:, i, j] for i, j in ((0, 0), (0, 2), (1, 1), (1, 2)))
    assert float((a.abs() + c.abs()).max()) <= 1 + 1e-6
    assert float((e.abs() + f.abs()).max()) <= 1 + 1e-6
    torch.testing.assert_close(a.abs(), e)
    area = e.square()
    assert float(area.min()) >= 0.3 - 1e-6
    assert float(area.max()) <= 0.9 + 1e-6
    assert float((a < 0).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_noise_is_normal_and_differs_between_draws() -> None:
    noisy = dataclasses.replace(STILL, noise_hu=10.0, size=40)
    x, hu = torch.full((3, 4, 40, 40), 600.0), torch.ones(3, dtype=torch.bool)
    draw = noisy.sample(hu, torch_generator(3, "views"))
    noise = noisy.apply(x, draw, hu) * 632 + 632 - 600
    for n in range(3):
        std = float(draw.noise_std[n])
        assert float(noise[n].std()) == pytest.approx(std, rel=0.05)
        assert abs(float(noise[n].mean())) < 0.05 * std + 1e-3
    scaled = noise.flatten(1) / draw.noise_std[:, None]
    assert float(torch.corrcoef(scaled).fill_diagonal_(0).abs().max()) < 0.06
    slices = noise[0].flatten(1)
    assert float(torch.corrcoef(slices).fill_diagonal_(0).abs().max()) < 0.1
