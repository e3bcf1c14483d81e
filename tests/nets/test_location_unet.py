"""The U-Net: shapes, and that it knows where its tiles are."""

from __future__ import annotations

import pytest
import torch

from scanlearn.nets.location_encoder import LocationEncoder
from scanlearn.nets.location_unet import LocationUNet, coordinate_maps


@pytest.fixture
def unet() -> LocationUNet:
    torch.manual_seed(0)
    encoder = LocationEncoder(width=2, dim=8, experts=2)
    return LocationUNet(encoder, classes=3).eval()


def boxes(count: int) -> torch.Tensor:
    first = torch.rand(count, 1, 3) - 1
    return torch.cat([first, first + 0.5], dim=1)


@pytest.mark.parametrize("shape", [(16, 16, 16), (32, 16, 48)])
def test_one_score_a_class_and_voxel(unet, shape) -> None:
    with torch.no_grad():
        scores = unet(torch.randn(2, 1, *shape), boxes(2))
    assert scores.shape == (2, 3, *shape)
    assert scores.isfinite().all()


def test_tiles_of_a_batch_do_not_mix(unet) -> None:
    x, where = torch.randn(6, 1, 16, 16, 16), boxes(6)
    with torch.no_grad():
        together = unet(x, where)
        alone = torch.cat([unet(x[n : n + 1], where[n : n + 1]) for n in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_the_same_tile_elsewhere_scores_otherwise(unet) -> None:
    x = torch.randn(1, 1, 16, 16, 16)
    left, right = torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)
    left[..., 0], right[..., 0] = torch.tensor([0.2, 0.7]), torch.tensor([-0.7, -0.2])
    with torch.no_grad():
        assert not torch.allclose(unet(x, left), unet(x, right), atol=1e-3)
        # Same middle, thus the same kernels: only the coordinate maps differ.
        wide = torch.tensor([[[-1.0, -1, -1], [1, 1, 1]]])
        assert not torch.allclose(unet(x, wide), unet(x, wide * 0.1), atol=1e-3)


def test_every_parameter_that_is_used_learns(unet) -> None:
    unet.train()
    unet(torch.randn(2, 1, 16, 16, 16), boxes(2)).square().mean().backward()
    last = f"encoder.layers.{len(unet.encoder.layers) - 1}."
    idle = {name for name, p in unet.named_parameters() if p.grad is None}
    assert idle == {name for name in dict(unet.named_parameters()) if last in name}


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_a_stride_ends_the_decoder_sooner(stride) -> None:
    torch.manual_seed(0)
    encoder = LocationEncoder(width=2, dim=4, experts=2)
    unet = LocationUNet(encoder, classes=3, stride=stride).eval()
    with torch.no_grad():
        found = unet(torch.randn(1, 1, 16, 32, 16), boxes(1))
    assert found.shape == (1, 3, 16 // stride, 32 // stride, 16 // stride)


def test_scores_of_every_second_voxel_are_interpolated_to_all() -> None:
    torch.manual_seed(0)
    encoder = LocationEncoder(width=2, dim=4, experts=2)
    coarse = LocationUNet(encoder, classes=3, stride=2).eval()
    full = LocationUNet(encoder, classes=3, stride=2, full=True).eval()
    full.load_state_dict(coarse.state_dict())
    x, where = torch.randn(1, 1, 16, 32, 16), boxes(1)
    with torch.no_grad():
        few, all_of_them = coarse(x, where), full(x, where)
    assert all_of_them.shape == (1, 3, 16, 32, 16)
    # Along an axis, voxels 1 and 2 lie a quarter and three quarters between the
    # middles of cells 0 and 1; the others of those cells' neighbours do not matter.
    pair = few[..., :1, :1, :2].flatten(3)
    quarter = 0.75 * pair[..., 0] + 0.25 * pair[..., 1]
    torch.testing.assert_close(all_of_them[..., 0, 0, 1], quarter[..., 0])


def test_coordinates_run_between_the_corners_along_their_own_axes() -> None:
    corners = torch.tensor([[[-1.0, 10.0, 100.0], [1.0, 14.0, 108.0]]])
    maps = coordinate_maps(corners, torch.Size((4, 2, 2)))
    assert maps.shape == (1, 3, 4, 2, 2)
    x, y, z = maps[0]
    # Arrays are (z, y, x), locations (x, y, z); cells of a coarse map have middles.
    torch.testing.assert_close(x[0, 0], torch.tensor([-0.5, 0.5]))
    torch.testing.assert_close(y[0, :, 0], torch.tensor([11.0, 13.0]))
    torch.testing.assert_close(z[:, 0, 0], torch.tensor([101.0, 103.0, 105.0, 107.0]))
    assert (x == x[:1, :1]).all()
    assert (z == z[:, :1, :1]).all()
