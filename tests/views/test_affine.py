"""Affine views: against scipy, and what a shift brings in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from scanlearn.randomness import torch_generator
from scanlearn.views.affine import AffineViews, apply_affine

STRONG = AffineViews(rotate_degrees=40, shift_voxels=6, scale=0.3)


def by_scipy(x: torch.Tensor, maps: torch.Tensor, size: int, order: int) -> np.ndarray:
    """Sample each patch where its map sends the voxels of the output."""
    line = np.arange(size) - (size - 1) / 2
    offsets = np.stack(np.meshgrid(line, line, line, indexing="ij")).reshape(3, -1)
    rows = []
    for patch, one in zip(x.numpy(), maps.numpy(), strict=True):
        where = one[:, :3] @ offsets + one[:, 3:] + (x.shape[-1] - 1) / 2
        rows.append(
            [
                ndimage.map_coordinates(c, where, order=order, mode="nearest")
                for c in patch
            ]
        )
    return np.array(rows).reshape(len(x), x.shape[1], size, size, size)


@pytest.mark.parametrize(("side", "size"), [(9, 9), (12, 8), (11, 6)])
def test_equals_scipy_for_random_maps(side, size) -> None:
    generator = torch_generator(side, "test")
    maps = STRONG.sample(5, generator).double()
    x = torch.rand(5, 2, side, side, side, generator=generator, dtype=torch.double)
    found = apply_affine(x, maps, size=size)
    np.testing.assert_allclose(found, by_scipy(x, maps, size, 1), atol=1e-12)


def test_nearest_equals_scipy_and_keeps_labels() -> None:
    generator = torch_generator(3, "test")
    maps = STRONG.sample(4, generator).double()
    labels = torch.randint(0, 6, (4, 1, 10, 10, 10), generator=generator).double() * 40
    found = apply_affine(labels, maps, size=8, nearest=True)
    np.testing.assert_array_equal(found, by_scipy(labels, maps, 8, 0))
    assert set(found.unique().tolist()) <= set(labels.unique().tolist())


def test_no_change_is_the_identity_and_crops_the_middle() -> None:
    still = AffineViews(0, 0, 0).sample(2, torch_generator(0, "test"))
    torch.testing.assert_close(still[:, :, :3], torch.eye(3).expand(2, 3, 3))
    assert (still[:, :, 3] == 0).all()
    x = torch.rand(2, 1, 8, 8, 8)
    torch.testing.assert_close(apply_affine(x, still, size=8), x)
    middle = apply_affine(x, still, size=4)
    torch.testing.assert_close(middle, x[..., 2:6, 2:6, 2:6])


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(-3, 3)] * 3))
def test_a_shift_brings_in_real_tissue_from_the_context(shift) -> None:
    x = torch.rand(1, 1, 12, 12, 12)
    maps = torch.cat([torch.eye(3), torch.tensor(shift)[:, None].float()], dim=1)[None]
    low = [3 + step for step in shift]
    i, j, k = (slice(start, start + 6) for start in low)
    torch.testing.assert_close(apply_affine(x, maps, size=6), x[..., i, j, k])
    # Without context the border is repeated instead.
    alone = apply_affine(x[..., 3:9, 3:9, 3:9], maps, size=6)
    rows = [torch.clamp(torch.arange(6) + step, 0, 5) + 3 for step in shift]
    repeated = x[..., rows[0], :, :][..., rows[1], :][..., rows[2]]
    torch.testing.assert_close(alone, repeated)


def test_draws_stay_in_their_ranges_and_fill_them() -> None:
    views = AffineViews(rotate_degrees=10, shift_voxels=4, scale=0.1)
    maps = views.sample(2000, torch_generator(0, "test")).double()
    linear = maps[:, :, :3]
    stretch = linear.norm(dim=1)  # of the columns: rotation times scale
    assert stretch.min() >= 0.9 - 1e-6
    assert stretch.max() <= 1.1 + 1e-6
    assert stretch.std() == pytest.approx(0.2 / np.sqrt(12), rel=0.05)
    rotation = linear / stretch[:, None]
    identity = torch.eye(3, dtype=torch.double).expand(2000, 3, 3)
    torch.testing.assert_close(rotation @ rotation.mT, identity, rtol=0, atol=1e-5)
    assert (torch.linalg.det(rotation) > 0).all()
    turned = torch.rad2deg(
        torch.arccos((rotation.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2)
    )
    assert turned.max() <= 30  # three turns of at most 10 degrees
    assert turned.max() > 12
    shift = (rotation.mT @ maps[:, :, 3:])[..., 0]
    assert shift.abs().max() <= 4 + 1e-5
    torch.testing.assert_close(
        shift.std(dim=0),
        torch.full((3,), 8 / np.sqrt(12), dtype=torch.double),
        rtol=0.05,
        atol=0,
    )


def test_draws_repeat_for_equal_streams_alone() -> None:
    def draw(*stream: int | str) -> torch.Tensor:
        return STRONG.sample(6, torch_generator(0, *stream))

    assert torch.equal(draw("views", 3), draw("views", 3))
    assert not torch.equal(draw("views", 3), draw("views", 4))
    maps = draw("views", 3)
    assert len({tuple(one.flatten().tolist()) for one in maps}) == 6
