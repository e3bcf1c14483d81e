"""Turns, stretches and bends of labelled tiles: against scipy, given what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from scanlearn.randomness import torch_generator
from scanlearn.views.shape_views import ShapeDraw, ShapeViews, reshaped
from scanlearn.views.smooth_fields import spline_basis

VIEWS = ShapeViews(rotate_degrees=30, scale=(0.75, 1.33), elastic=3.0)


def tiles(dims: int, side: int, n: int = 3) -> torch.Tensor:
    return torch.rand(n, 1, *[side] * dims, generator=torch_generator(1, "tiles"))


def slow(x: np.ndarray, draw: ShapeDraw, n: int, size: int) -> np.ndarray:
    """Look up one output pixel after the other."""
    linear, bends = draw.linear[n].double().numpy(), draw.bends[n].double().numpy()
    dims, basis = len(linear), spline_basis(size, bends.shape[-1]).numpy()
    found = np.zeros((size,) * dims)
    for place in np.ndindex(found.shape):
        weights = np.array(1.0)
        for axis in range(dims):
            weights = np.multiply.outer(weights, basis[place[axis]])
        bent = np.array([(bend * weights).sum() for bend in bends])
        offset = np.array(place) - (size - 1) / 2 + bent
        source = linear @ offset + (x.shape[0] - 1) / 2
        source = np.clip(source, 0, x.shape[0] - 1)
        found[place] = map_coordinates(x, source[:, None], order=1)[0]
    return found


@pytest.mark.parametrize(("dims", "side", "size"), [(2, 14, 10), (3, 8, 6)])
@pytest.mark.parametrize("mirror", [(), (0,)])
def test_a_view_is_its_definition(dims, side, size, mirror) -> None:
    x = tiles(dims, side)
    views = ShapeViews(30, (0.75, 1.33), 3.0, mirror)
    draw = views.sample(3, dims, torch_generator(4, "views"))
    found = reshaped(x, draw, size=size).numpy()
    for n in range(3):
        expected = slow(x[n, 0].double().numpy(), draw, n, size)
        np.testing.assert_allclose(found[n, 0], expected, atol=1e-4)


def test_labels_go_where_their_image_goes() -> None:
    """A binary image, resampled linearly and halved, is its label but at ties."""
    x = (tiles(2, 24) > 0.5).float()
    x = torch.nn.functional.interpolate(x, scale_factor=4)
    draw = VIEWS.sample(3, 2, torch_generator(5, "views"))
    image = reshaped(x, draw, size=64)
    labels = reshaped(x, draw, size=64, nearest=True)
    sure = (image - 0.5).abs() > 0.3
    assert float(sure.float().mean()) > 0.8
    assert torch.equal((image > 0.5)[sure], (labels > 0.5)[sure])


@pytest.mark.parametrize("dims", [2, 3])
def test_nothing_drawn_changes_nothing(dims) -> None:
    x = tiles(dims, 9)
    draw = ShapeViews(0, (1, 1), 0).sample(3, dims, torch_generator(0, "views"))
    torch.testing.assert_close(reshaped(x, draw, size=9), x)
    middle = x[(..., *[slice(2, 7)] * dims)]
    torch.testing.assert_close(reshaped(x, draw, size=5), middle)


@pytest.mark.parametrize("dims", [2, 3])
def test_draws_keep_to_their_ranges(dims) -> None:
    views = ShapeViews(30, (0.75, 1.33), 3.0, (1,))
    draw = views.sample(2000, dims, torch_generator(0, "views"))
    size = torch.linalg.det(draw.linear).abs() ** (-1 / dims)
    assert 0.75 <= float(size.min()) < 0.77
    assert 1.31 < float(size.max()) <= 1.33 + 1e-5
    mirrored = torch.linalg.det(draw.linear) < 0
    assert 0.45 < float(mirrored.float().mean()) < 0.55
    if dims == 2:
        turn = torch.atan2(draw.linear[:, 1, 0], draw.linear[:, 0, 0]).rad2deg().abs()
        assert 29 < float(turn.max()) <= 30.001
    bent = draw.bends.flatten(1).std(dim=1)
    assert 0.45 < float((bent > 0).float().mean()) < 0.55
    assert float(bent.max()) < 3.0 * 1.5


def test_without_leave_nothing_is_mirrored() -> None:
    draw = VIEWS.sample(500, 2, torch_generator(0, "views"))
    assert float(torch.linalg.det(draw.linear).min()) > 0
