"""Random crops of images and of stacks of slices, batched, on their own device."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from scanlearn.randomness import torch_generator
from scanlearn.views.normalise import normalise_

#: A bias field is a polynomial of this order in each coordinate and in all together.
_ORDER = 3

#: Mean and deviation of a sample are those of every so many-th row and column.
_EVERY = 4


@dataclass(frozen=True)
class CropDraw:
    """What was drawn for a batch; applying it again gives the same views."""

    maps: Tensor  # (B, 2, 3) from output to input, in units of half the side
    shift: Tensor  # (B,) of CT in HU, of others in their standard deviations
    gain: Tensor  # (B,) contrast about the sample's own mean; 1 for CT
    gamma: Tensor  # (B,) exponent; 1 for CT
    field: Tensor  # (B, 4, 4, 4) coefficients along slices, rows, columns; 0 for CT
    noise_std: Tensor  # (B,)
    noise_from: Tensor  # (B,) where in the stock of noise a sample's own begins

    def where(self, chosen: Tensor, other: CropDraw) -> CropDraw:
        """Return what another draw has for the chosen samples (B,), else its own."""

        def of(name: str) -> Tensor:
            mine, theirs = getattr(self, name), getattr(other, name)
            rows = chosen.view(-1, *[1] * (mine.dim() - 1))
            return torch.where(rows, theirs, mine)

        return CropDraw(**{part.name: of(part.name) for part in fields(self)})


@dataclass(frozen=True)
class CropViews:
    """A turned and mirrored crop, then changes that fit what intensities mean.

    Hounsfield units are a measurement: a CT is shifted and made noisier by no more than
    scanners differ, and keeps its contrast. The scale of an MR or a radiograph is
    arbitrary, so its contrast, brightness and gamma change, and a smooth field makes
    one side brighter.

    The channels of a sample (the slices of a volume) share all but the noise's voxels
    and the height in the field.

    Parameters
    ----------
    size
        Side of a view.
    area
        Smallest and largest share of the image that is seen.
    rotate_degrees
        A view turns by U(-r, r).
    mirror
        Probability of left and right exchanged.
    shift_hu
        Of CT: shift U(-s, s).
    noise_hu
        Upper bound of the noise's standard deviation.
    contrast, gamma
        Of other images: gain U(1 - c, 1 + c), brightness U(-c, c) times the sample's
        standard deviation; exponent U(*gamma).
    field
        Of other images: coefficients U(-f, f) of the logarithm of a bias field.
    """

    size: int
    area: tuple[float, float]
    rotate_degrees: float
    mirror: float
    shift_hu: float
    noise_hu: float
    contrast: float
    gamma: tuple[float, float]
    field: float

    def sample(self, hounsfield: Tensor, generator: torch.Generator) -> CropDraw:
        """Draw for a batch; ``hounsfield`` (B,) says which samples are CT."""
        n, device = len(hounsfield), generator.device

        def between(low: float, high: float, *shape: int) -> Tensor:
            share = torch.rand(n, *shape, generator=generator, device=device)
            return low + share * (high - low)

        side = between(*self.area).sqrt()
        angle = torch.deg2rad(between(-self.rotate_degrees, self.rotate_degrees))
        flip = torch.where(between(0, 1) < self.mirror, -1.0, 1.0)
        room = 1 - side
        across, along = between(-1, 1) * room, between(-1, 1) * room
        cos, sin = angle.cos() * side, angle.sin() * side
        rows = [cos * flip, -sin, across, sin * flip, cos, along]
        one = torch.ones(n, device=device)
        order = torch.arange(_ORDER + 1, device=device)
        low_order = order[:, None, None] + order[:, None] + order <= _ORDER
        field = between(-self.field, self.field, *low_order.shape) * low_order
        shift = between(-self.shift_hu, self.shift_hu)
        bright = between(-self.contrast, self.contrast)
        gain = between(1 - self.contrast, 1 + self.contrast)
        gamma = between(*self.gamma)
        return CropDraw(
            maps=torch.stack(rows, dim=1).view(n, 2, 3),
            shift=torch.where(hounsfield, shift, bright),
            gain=torch.where(hounsfield, one, gain),
            gamma=torch.where(hounsfield, one, gamma),
            field=torch.where(hounsfield[:, None, None, None], 0.0, field),
            noise_std=between(0, self.noise_hu),
            noise_from=between(0, 1),
        )

    def apply(self, x: Tensor, draw: CropDraw, hounsfield: Tensor) -> Tensor:
        """View (B, C, S, S) in [0, 1264] as (B, C, size, size) in about [-1, 1]."""
        grid = F.affine_grid(
            draw.maps.to(x.dtype),
            [len(x), 1, self.size, self.size],
            align_corners=False,
        )
        x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
        for n, is_ct in enumerate(hounsfield.tolist()):
            # In place and sample by sample: a new tensor for each step of a whole
            # batch takes longer than the step.
            if is_ct:
                x[n] += draw.shift[n]
            else:
                _recoloured(x[n], draw, n)
            _noisy(x[n], draw.noise_std[n], draw.noise_from[n])
            normalise_(x[n])
        return x


def _recoloured(x: Tensor, draw: CropDraw, n: int) -> None:
    """Change contrast, gamma and field of slices (C, S, S)."""
    spread, mean = torch.std_mean(x[:, ::_EVERY, ::_EVERY])
    low = x.amin()
    span = (x.amax() - low).clamp_min(1e-6)
    x.sub_(low).div_(span).clamp_min_(1e-6)
    # The power of a product is a sum in logarithms, so the field costs next to nothing.
    x.log_().add_(_field(draw.field[n], *x.shape)).mul_(draw.gamma[n]).exp_()
    gain = draw.gain[n]
    x.mul_(span * gain).add_((low - mean) * gain + mean + draw.shift[n] * spread)


def _field(coefficients: Tensor, *shape: int) -> Tensor:
    """Return the polynomial (C, S, S) of coefficients (4, 4, 4), one axis at a time."""
    found = coefficients
    for size in reversed(shape):
        ends = 1 - 1 / size  # centres of so many equal parts of [-1, 1]
        at = torch.linspace(-ends, ends, size, device=found.device)
        powers = torch.stack([at**k for k in range(_ORDER + 1)])
        # The last axis becomes places, and goes to the front.
        found = (found @ powers).movedim(-1, 0)
    return found


def _noisy(x: Tensor, std: Tensor, share: Tensor) -> None:
    """Add noise from the stock: drawing a million numbers costs more than the crop."""
    stock = _stock(1 << max(20, (2 * x.numel()).bit_length()), x.device)
    first = int(share.double() * (len(stock) - x.numel()))
    x.add_(stock[first : first + x.numel()].view_as(x), alpha=float(std))


@lru_cache(maxsize=4)
def _stock(size: int, device: torch.device) -> Tensor:
    generator = torch_generator(0, "stock of noise", size, device=device)
    return torch.randn(size, generator=generator, device=device)
