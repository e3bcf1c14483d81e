"""Smooth random fields on pixels or voxels: cubic B-splines between a few knots."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def smooth_field(coefficients: Tensor, shape: Sequence[int]) -> Tensor:
    """Return fields (n, *shape) of coefficients (n, K, ..., K), K of 4 or more.

    A field is the uniform cubic B-spline whose K - 3 intervals span each axis from one
    end of its first pixel to the other end of its last.
    """
    found = coefficients
    for size in shape:
        # The first axis of space becomes pixels, and goes to the end.
        basis = spline_basis(size, found.shape[1]).to(found)
        found = found.movedim(1, -1) @ basis.mT
    return found


def spline_basis(size: int, knots: int) -> Tensor:
    """Return the weights (size, knots) of the coefficients at the pixels' centres."""
    intervals = knots - 3
    at = (torch.arange(size, dtype=torch.float64) + 0.5) * intervals / size
    first = at.floor().clamp(max=intervals - 1)
    t = at - first
    pieces = torch.stack(
        [
            (1 - t) ** 3,
            3 * t**3 - 6 * t**2 + 4,
            -3 * t**3 + 3 * t**2 + 3 * t + 1,
            t**3,
        ],
        dim=1,
    )
    places = first.long()[:, None] + torch.arange(4)
    return torch.zeros(size, knots, dtype=torch.float64).scatter_(1, places, pieces / 6)
