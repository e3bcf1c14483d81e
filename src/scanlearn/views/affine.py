"""Random rotation, shift and scale of batches of 3D patches, on their own device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class AffineViews:
    """How far a view may turn, shift and stretch.

    Parameters
    ----------
    rotate_degrees
        Each axis turns by U(-r, r).
    shift_voxels
        Each axis shifts by U(-s, s).
    scale
        Each axis stretches by 1 + U(-c, c).
    """

    rotate_degrees: float
    shift_voxels: float
    scale: float

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw (n, 3, 4) maps from output to input offsets from the centre, in voxels.

        The linear part is rotation times scale, as in the specification's order R T S.
        """
        angles, shifts, stretch = (
            torch.rand(3, n, 3, generator=generator, device=generator.device) * 2 - 1
        )
        rotation = rotations(torch.deg2rad(angles * self.rotate_degrees))
        linear = rotation * (1 + stretch * self.scale)[:, None, :]
        shift = rotation @ (shifts * self.shift_voxels)[:, :, None]
        return torch.cat([linear, shift], dim=2)


def apply_affine(
    x: Tensor, maps: Tensor, *, size: int, nearest: bool = False
) -> Tensor:
    """Resample patches around their centres.

    Parameters
    ----------
    x
        (B, C, S, S, S). Larger than ``size``, it gives shifts real tissue to bring in;
        beyond its border the nearest voxel is repeated.
    maps
        (B, 3, 4) of :meth:`AffineViews.sample`, axes in array order.
    size
        Side of the output.
    nearest
        Take the nearest voxel (labels) instead of interpolating linearly.

    Returns
    -------
    Tensor
        (B, C, size, size, size).
    """
    grid = _grid(maps.to(x.dtype), size=size, side=x.shape[-1])
    return F.grid_sample(
        x,
        grid,
        mode="nearest" if nearest else "bilinear",
        padding_mode="border",
        align_corners=False,
    )


def _grid(maps: Tensor, *, size: int, side: int) -> Tensor:
    """Return torch's sampling grid (B, size, size, size, 3) of maps (B, 3, 4).

    It lists the axes backwards, in units of half the side. Summed up axis by axis: one
    pass over the grid, where ``affine_grid`` takes half the time of the sampling.
    """
    line = torch.arange(size, device=maps.device, dtype=maps.dtype) - (size - 1) / 2
    columns = maps.flip(1) * (2 / side)  # (B, 3, 4): rows x, y, z
    i, j, k = (columns[:, None, :, axis] * line[:, None] for axis in range(3))
    planes = (i + columns[:, None, :, 3])[:, :, None] + j[:, None]  # (B, s, s, 3)
    return planes[:, :, :, None] + k[:, None, None]


def rotations(angles: Tensor) -> Tensor:
    """Compose rotations about the three axes, (n, 3) radians to (n, 3, 3)."""
    n = len(angles)
    result = torch.eye(3, device=angles.device).expand(n, 3, 3)
    for axis in range(3):
        first, second = [other for other in range(3) if other != axis]
        cos, sin = angles[:, axis].cos(), angles[:, axis].sin()
        turn = torch.eye(3, device=angles.device).repeat(n, 1, 1)
        turn[:, first, first] = turn[:, second, second] = cos
        turn[:, first, second], turn[:, second, first] = -sin, sin
        result = result @ turn
    return result
