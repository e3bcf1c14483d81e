"""Boxes that go along with the random crops of their images."""

from __future__ import annotations

import torch
from torch import Tensor


def carried(objects: Tensor, maps: Tensor, *, before: int, after: int) -> Tensor:
    """Carry boxes from images to their views.

    Parameters
    ----------
    objects
        (B, K, 4) middles as row and column, heights and widths, in pixels.
    maps
        (B, 2, 3) of a :class:`scanlearn.views.crop_views.CropDraw`: from the view to
        the image, x before y, in units of half the side.
    before, after
        Sides of the images and of the views.

    Returns
    -------
    Tensor
        (B, K, 4) in pixels of the views. A turned box keeps its shape: its sides are
        those of before, as much larger as the view enlarges.
    """
    linear, shift = maps[:, :, :2], maps[:, :, 2]
    seen = (objects[..., :2].flip(-1) * 2 + 1) / before - 1
    moved = torch.linalg.solve(linear, (seen - shift[:, None]).mT).mT
    middles = (((moved + 1) * after - 1) / 2).flip(-1)
    zoom = after / before / torch.linalg.det(linear).abs().sqrt()
    return torch.cat([middles, objects[..., 2:] * zoom[:, None, None]], dim=2)
