"""Smooth fields: against scipy's B-splines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from scanlearn.randomness import torch_generator
from scanlearn.views.smooth_fields import smooth_field, spline_basis


@pytest.mark.parametrize(("size", "knots"), [(8, 4), (17, 7), (5, 9)])
def test_the_basis_is_that_of_uniform_cubic_splines(size, knots) -> None:
    at = (np.arange(size) + 0.5) * (knots - 3) / size
    steps = np.arange(-3, knots + 1)
    expected = BSpline.design_matrix(at, steps.astype(float), 3).toarray()
    np.testing.assert_allclose(spline_basis(size, knots).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(6, 9), (5, 4, 7)])
def test_a_field_is_the_product_of_its_axes_splines(shape) -> None:
    knots = (5,) * len(shape)
    coefficients = torch.randn(2, *knots, generator=torch_generator(0, "field"))
    found = smooth_field(coefficients, shape).numpy()
    assert found.shape == (2, *shape)
    bases = [spline_basis(size, 5).numpy() for size in shape]
    for place in np.ndindex(shape):
        weights = np.array(1.0)
        for basis, n in zip(bases, place, strict=True):
            weights = np.multiply.outer(weights, basis[n])
        for n in range(2):
            slow = (coefficients[n].numpy() * weights).sum()
            assert found[(n, *place)] == pytest.approx(slow, abs=1e-5)


def test_equal_coefficients_make_a_level_field() -> None:
    found = smooth_field(torch.full((1, 7, 7), 2.5), (11, 13))
    np.testing.assert_allclose(found.numpy(), 2.5, rtol=1e-6)
