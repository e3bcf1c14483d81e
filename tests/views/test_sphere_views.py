"""Spheres stay where they are seen when a tile is turned or mirrored."""

from __future__ import annotations

import pytest
import torch

from scanlearn.nets.location_unet import coordinate_maps
from scanlearn.views.affine import AffineViews
from scanlearn.views.sphere_views import mirror, turn

SIZE = 32


def blob(centre: torch.Tensor, sigma: float) -> torch.Tensor:
    line = torch.arange(SIZE, dtype=torch.float32)
    grid = torch.stack(torch.meshgrid(line, line, line, indexing="ij"), dim=-1)
    far = (grid - centre).square().sum(dim=-1)
    return torch.exp(-far / (2 * sigma**2))[None, None]


def moments(image: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return the middle of mass and the mass."""
    line = torch.arange(SIZE, dtype=torch.float32)
    grid = torch.stack(torch.meshgrid(line, line, line, indexing="ij"), dim=-1)
    mass = image[0, 0, ..., None]
    return (grid * mass).sum(dim=(0, 1, 2)) / mass.sum(), float(mass.sum())


@pytest.mark.parametrize("seed", range(5))
def test_a_turned_blob_lies_where_its_object_says(seed):
    centre = torch.tensor([13.0, 19.0, 15.0])
    image = blob(centre, 2.5)
    objects = torch.tensor([[[*centre.tolist(), 9.0], [float("nan")] * 4]])
    generator = torch.Generator().manual_seed(seed)
    views = AffineViews(rotate_degrees=20, shift_voxels=2, scale=0.2)
    turned, moved = turn(image, objects, views.sample(1, generator))
    middle, mass = moments(turned)
    torch.testing.assert_close(moved[0, 0, :3], middle, atol=0.1, rtol=0)
    before = moments(image)[1]
    grown = (float(moved[0, 0, 3]) / 9) ** 3
    assert grown == pytest.approx(mass / before, rel=0.03)
    assert moved[0, 1].isnan().all()


def test_mirroring_moves_the_image_the_sphere_and_the_locations():
    centres = torch.tensor([[5.0, 9.0, 20.0], [12.0, 8.0, 11.0]])
    image = torch.cat([blob(c, 2.0) for c in centres])
    objects = torch.cat([centres, torch.full((2, 1), 7.0)], dim=1)[:, None]
    first, last = [-0.4, -0.2, 0.1], [0.3, 0.6, 0.8]
    boxes = torch.tensor([[first, last]] * 2)
    flips = torch.tensor([[True, False, True], [False, False, False]])
    flipped, moved, seen = mirror(image, objects, boxes, flips)
    torch.testing.assert_close(
        moved[:, 0, :3], torch.tensor([[26.0, 9.0, 11.0], [12.0, 8.0, 11.0]])
    )
    for number in range(2):
        middle, _ = moments(flipped[number : number + 1])
        torch.testing.assert_close(middle, moved[number, 0, :3], atol=0.05, rtol=0)
    # Every voxel keeps its location.
    maps = coordinate_maps(boxes, torch.Size((4, 4, 4)))
    after = coordinate_maps(seen, torch.Size((4, 4, 4)))
    torch.testing.assert_close(after[0], maps[0].flip((1, 3)))
    torch.testing.assert_close(after[1], maps[1])
