"""Random turns, stretches, bends and mirrorings of labelled tiles, batched.

In two or three dimensions, on the device of the batch; image and labels alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from scanlearn.views.affine import rotations
from scanlearn.views.smooth_fields import smooth_field

#: Coefficients of a bend along each axis: four intervals.
_KNOTS = 7


@dataclass(frozen=True)
class ShapeDraw:
    """What was drawn for a batch; applying it again gives the same views."""

    linear: Tensor  # (B, d, d) from output to input offsets from the centre
    bends: Tensor  # (B, d, 7, ..., 7) spline coefficients of offsets, in pixels


@dataclass(frozen=True)
class ShapeViews:
    """How far a labelled tile may turn, stretch, bend, and along which axes mirror.

    Parameters
    ----------
    rotate_degrees
        A view turns by U(-r, r), in three dimensions about each axis.
    scale
        It shows the tile larger by a factor whose logarithm is uniform between these.
    elastic
        Half of the views are bent: the coefficients of a smooth field of offsets are
        normal, with a standard deviation of U(0, e) pixels.
    mirror
        Axes of the tile along which half of the views are mirrored. Only where no
        class has a side.
    """

    rotate_degrees: float
    scale: tuple[float, float]
    elastic: float
    mirror: tuple[int, ...] = ()

    def sample(self, n: int, dims: int, generator: torch.Generator) -> ShapeDraw:
        """Draw for a batch of n tiles of two or three dimensions."""
        device = generator.device

        def between(low: float, high: float, *shape: int) -> Tensor:
            share = torch.rand(n, *shape, generator=generator, device=device)
            return low + share * (high - low)

        angles = torch.deg2rad(between(-self.rotate_degrees, self.rotate_degrees, 3))
        turned = rotations(angles * angles.new_tensor([1.0, dims == 3, dims == 3]))
        low, high = (torch.tensor(s).log().item() for s in self.scale)
        linear = turned[:, 3 - dims :, 3 - dims :] / between(low, high).exp().view(
            n, 1, 1
        )
        flips = torch.where(between(0, 1, dims) < 0.5, -1.0, 1.0)
        for axis in set(range(dims)) - set(self.mirror):
            flips[:, axis] = 1.0
        strength = between(0, self.elastic) * (between(0, 1) < 0.5)
        knots = [_KNOTS] * dims
        bends = torch.randn(n, dims, *knots, generator=generator, device=device)
        return ShapeDraw(
            linear * flips[:, None], bends * strength.view(n, *[1] * (dims + 1))
        )


def reshaped(x: Tensor, draw: ShapeDraw, *, size: int, nearest: bool = False) -> Tensor:
    """Resample tiles around their centres.

    Parameters
    ----------
    x
        (B, C, S, S) or (B, C, S, S, S). Larger than ``size``, it gives turns real
        tissue to bring in; beyond its border the nearest pixel is repeated.
    draw
        Of :meth:`ShapeViews.sample`.
    size
        Side of the result.
    nearest
        Take the nearest pixel (labels) instead of interpolating linearly.
    """
    grid = _places(draw, size=size).to(x.dtype) * (2 / x.shape[-1])
    return F.grid_sample(
        x,
        grid.flip(-1),  # torch lists the axes backwards
        mode="nearest" if nearest else "bilinear",
        padding_mode="border",
        align_corners=False,
    )


def _places(draw: ShapeDraw, *, size: int) -> Tensor:
    """Return where the pixels are taken from, (B, s, ..., s, d) offsets in pixels."""
    n, dims = draw.linear.shape[:2]
    line = torch.arange(size, device=draw.linear.device) - (size - 1) / 2
    offsets = torch.stack(torch.meshgrid(*[line] * dims, indexing="ij"))
    bent = smooth_field(draw.bends.flatten(0, 1), [size] * dims)
    places = offsets + bent.unflatten(0, (n, dims))
    flat = draw.linear @ places.flatten(2)
    found: Tensor = flat.unflatten(2, [size] * dims).movedim(1, -1)
    return found
