"""Boxes go where the pixels of their image go."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scanlearn.randomness import torch_generator
from scanlearn.views.box_views import carried
from scanlearn.views.crop_views import CropViews


def test_boxes_follow_the_pixels_of_their_crops():
    views = CropViews(
        size=96,
        area=(0.6, 1.0),
        rotate_degrees=8.0,
        mirror=0.5,
        shift_hu=0.0,
        noise_hu=0.0,
        contrast=0.0,
        gamma=(1.0, 1.0),
        field=0.0,
    )
    rng = np.random.default_rng(2)
    images, objects = torch.zeros(12, 1, 120, 120), torch.zeros(12, 2, 4)
    for n in range(12):
        row, column = rng.integers(50, 70, 2)
        height, width = rng.integers(6, 14, 2) * 2
        top, left = row - height // 2, column - width // 2
        images[n, 0, top : top + height, left : left + width] = 1264.0
        # Middles of pixels are whole numbers.
        objects[n, 0] = torch.tensor([row - 0.5, column - 0.5, height, width])
    objects[:, 1] = torch.nan
    hounsfield = torch.ones(12, dtype=torch.bool)
    draw = views.sample(hounsfield, torch_generator(0, "test"))
    found = carried(objects, draw.maps, before=120, after=96)
    seen = views.apply(images, draw, hounsfield)[:, 0] + 1
    assert found[:, 1].isnan().all()
    for image, box in zip(seen, found[:, 0], strict=True):
        mass = image / image.sum()
        rows, columns = torch.meshgrid(
            torch.arange(96.0), torch.arange(96.0), indexing="ij"
        )
        middle = torch.stack([(mass * rows).sum(), (mass * columns).sum()])
        torch.testing.assert_close(middle, box[:2], atol=0.2, rtol=0)
        area = float(image.sum()) / float(image.max())
        assert float(box[2] * box[3]) == pytest.approx(area, rel=0.1)
