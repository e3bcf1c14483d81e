"""Other kernels and doses of CT: against scipy, and what their noise looks like."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from scanlearn.randomness import torch_generator
from scanlearn.views.affine import AffineViews
from scanlearn.views.intensity import IntensityViews
from scanlearn.views.normalise import normalised
from scanlearn.views.patch_views import PatchViews
from scanlearn.views.scanner import ScannerDraw, ScannerViews, ct_noise

VIEWS = ScannerViews((-0.8, 1.0), 0.5, 0.25, 15.0, 0.25, voxel_mm=0.8)


def test_a_kernel_equals_scipy_sample_by_sample() -> None:
    torch.manual_seed(0)
    x = torch.rand(3, 2, 4, 9, 12, dtype=torch.double) * 1264
    gains = torch.tensor([-0.7, 0.0, 0.9], dtype=torch.double)
    draw = ScannerDraw(gains, torch.zeros(3), noise_seed=0)
    before = x.clone()
    found = VIEWS.apply(x, draw)
    for sample, gain, view in zip(x.numpy(), gains.tolist(), found, strict=True):
        blur = sample
        for axis in (2, 3):  # in the slice, not across slices
            blur = ndimage.gaussian_filter1d(
                blur, 1 / 0.8, axis=axis, truncate=3, mode="nearest"
            )
        expected = sample + gain * (sample - blur)
        np.testing.assert_allclose(view, expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(x, before)
    assert torch.equal(found[1], x[1])


def test_softer_and_sharper_are_what_they_say() -> None:
    edge = torch.zeros(2, 1, 1, 16, 16)
    edge[..., 8:] = 1000.0
    gains = torch.tensor([-0.8, 1.0])
    soft, sharp = VIEWS.apply(edge, ScannerDraw(gains, torch.zeros(2), 0))
    slope = [float(one.diff(dim=-1).max()) for one in (soft, edge[0], sharp)]
    assert slope[0] < slope[1] <= slope[2]
    assert sharp.max() > 1050  # overshoots, as sharp kernels do
    for one in (soft, sharp):
        assert float(one[..., 0].mean()) == pytest.approx(0, abs=1)
        assert float(one[..., -1].mean()) == pytest.approx(1000, abs=1)


@pytest.mark.parametrize("shape", [(64, 64), (33, 48), (48, 33)])
def test_noise_has_unit_variance_and_no_mean(shape) -> None:
    white = torch.randn(40, 4, *shape, generator=torch_generator(0, "test"))
    noise = ct_noise(white, 1.0)
    assert float(noise.std()) == pytest.approx(1, rel=0.03)
    assert noise.mean(dim=(-2, -1)).abs().max() < 1e-5


def test_noise_has_the_spectrum_of_a_ct_and_none_between_slices() -> None:
    white = torch.randn(200, 2, 64, 64, generator=torch_generator(1, "test"))
    noise = ct_noise(white, 0.7).double().numpy()
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(axis=(0, 1))
    f = np.hypot(*np.meshgrid(*[np.fft.fftfreq(64, 0.7)] * 2))
    expected = f**2 * np.exp(-((f / 0.25) ** 2))
    assert np.corrcoef(power.ravel(), expected.ravel())[0, 1] > 0.99
    assert 0.2 < f.ravel()[power.argmax()] < 0.3
    assert abs(np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1]) < 0.01


def test_a_lower_dose_adds_noise_and_nothing_else() -> None:
    x = torch.full((2, 1, 8, 32, 32), 300.0)
    draw = ScannerDraw(torch.zeros(2), torch.tensor([0.0, 26.0]), noise_seed=5)
    found = VIEWS.apply(x, draw)
    assert torch.equal(found[0], x[0])
    assert float(found[1].std()) == pytest.approx(26, rel=0.1)
    assert float(found[1].mean()) == pytest.approx(300, abs=0.01)
    assert torch.equal(VIEWS.apply(x, draw), found)
    other = ScannerDraw(draw.gain, draw.noise_std, noise_seed=6)
    assert not torch.equal(VIEWS.apply(x, other), found)


def test_draws_have_their_probabilities_and_ranges() -> None:
    draw = VIEWS.sample(8000, torch_generator(0, "test"))
    gains = draw.gain[draw.gain != 0]
    added = draw.noise_std[draw.noise_std > 0]
    assert len(gains) / 8000 == pytest.approx(0.5, abs=0.03)
    assert len(added) / 8000 == pytest.approx(0.25, abs=0.03)
    assert -0.8 <= gains.min() < -0.7
    assert 0.9 < gains.max() <= 1.0
    # A quarter of the dose doubles the noise: 15 HU more in quadrature, root 3 times.
    assert added.max() <= 15 * math.sqrt(3) + 1e-3
    assert added.max() > 24
    again = VIEWS.sample(8000, torch_generator(0, "test"))
    assert torch.equal(again.gain, draw.gain)
    assert again.noise_seed == draw.noise_seed


def test_in_a_view_the_scanner_comes_first_and_changes_no_other_draw() -> None:
    still, plain = AffineViews(0, 0, 0), IntensityViews(50, 0, (1, 1), 0)
    always = ScannerViews((0.5, 0.5), 1, 0.5, 15, 0, voxel_mm=1)
    x = torch.rand(3, 2, 12, 12, 12) * 1264
    views = PatchViews(still, plain, 8, always)
    draw = views.sample(3, torch_generator(0, "v"))
    assert draw.scanner is not None
    without = PatchViews(still, plain, 8).sample(3, torch_generator(0, "v"))
    assert torch.equal(without.maps, draw.maps)
    assert without.intensity.noise_seed == draw.intensity.noise_seed
    expected = normalised(always.apply(x, draw.scanner)[..., 2:10, 2:10, 2:10])
    torch.testing.assert_close(views.apply(x, draw), expected)
