"""Spheres in volumes, by a detector that sees density alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn.anatomy.frames import frame_of_field
from scanlearn.scans.geometry import Grid
from scanlearn.scans.spheres import as_spheres
from scanlearn.tasks.detection.sphere_search import find_spheres, near_lungs

GRID = Grid(
    (51, 48, 45),
    np.array([[0, 0, 2.0, -40], [0, 2.0, 0, 10], [2.0, 0, 0, -99], [0, 0, 0, 1]]),
)


class Density(nn.Module):
    """Heat where it is dense; every diameter is that of a cell."""

    stride = 2

    def forward(self, x: Tensor, boxes: Tensor) -> Tensor:
        mean = F.avg_pool3d(x, 2)
        return torch.cat(
            [20 * mean - 10, torch.zeros_like(mean).expand(-1, 4, -1, -1, -1)], dim=1
        )


def volume() -> Tensor:
    dense = torch.zeros(GRID.shape)
    dense[10:12, 20:22, 30:32] = 1.0
    dense[40:42, 6:8, 8:10] = 0.8
    return dense


def find(lungs=None):
    frame = frame_of_field(GRID)
    return find_spheres(
        Density(), volume(), GRID, frame, tile=16, overlap=0.5, least=0.3, lungs=lungs
    )


def test_findings_lie_in_the_patient_where_they_are_dense():
    found = find()
    expected = GRID.to_patient([[10.5, 20.5, 30.5], [40.5, 6.5, 8.5]])
    np.testing.assert_allclose(found.spheres[:, :3], expected, atol=1e-4)
    np.testing.assert_allclose(found.spheres[:, 3], 4.0, atol=1e-5)
    assert found.scores[0] > found.scores[1] > 0.9


def test_only_what_touches_the_lungs_is_told():
    coarse = GRID.pooled(2)
    mask = np.zeros(coarse.shape, np.uint8)
    mask[18:23, 1:6, 1:6] = 1
    found = find((mask, coarse))
    np.testing.assert_allclose(
        found.spheres[:, :3], GRID.to_patient([[40.5, 6.5, 8.5]]), atol=1e-4
    )


def test_a_finding_at_the_pleura_is_kept_by_its_radius():
    mask = np.zeros((20, 20, 20), np.uint8)
    mask[:, :, :10] = 1
    grid = Grid((20, 20, 20), np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]])
    # x runs along the last axis; the mask ends at 9 mm, and 5 mm are allowed.
    spheres = as_spheres([[13, 5, 5, 2], [17, 5, 5, 2], [17, 5, 5, 8], [40, 5, 5, 8]])
    assert near_lungs(spheres, (mask, grid)).tolist() == [True, False, True, False]
