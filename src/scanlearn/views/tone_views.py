"""Random changes of how a scanner shows tissue, for labelled tiles, batched.

In two or three dimensions, on the device of the batch. The order is that of an image's
way through a scanner: the receiving field and the grey scale, then sharpness, then
resolution, then noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from scanlearn.views.intensity import NoiseRows, column, draw_seed, normal_noise
from scanlearn.views.smooth_fields import smooth_field

#: Coefficients of a receiving field along each axis: one interval, so it is smooth.
_KNOTS = 4

#: A blur reaches over so many standard deviations.
_REACH = 3


@dataclass(frozen=True)
class ToneDraw:
    """What was drawn for a batch; applying it again gives the same result."""

    gamma: Tensor  # (B,) exponent, 1 where unchanged
    gain: Tensor  # (B,) contrast about the sample's mean, 1 where unchanged
    shift: Tensor  # (B,) brightness, in spreads
    field: Tensor  # (B, 4, ..., 4) coefficients of the logarithm of a field
    blur: Tensor  # (B,) standard deviation in pixels, 0 where unchanged
    coarser: Tensor  # (B,) factor of the pixels' size, 1 where unchanged
    noise: Tensor  # (B,) standard deviation, in spreads
    noise_seed: int
    noise_rows: NoiseRows | None = None  # all in turn if None


@dataclass(frozen=True)
class ToneViews:
    """How far grey values, sharpness and noise may change.

    Parameters
    ----------
    gamma
        Exponent on the sample's own range; half of the samples.
    contrast
        Gain about the sample's mean; half of them.
    brightness
        Shift U(-b, b) times the spread; half of them.
    field
        Standard deviation of a smooth field's logarithm's coefficients; half of them.
    blur
        Pixels, of a Gaussian; a fifth of them.
    coarser
        Factor of pixels that are averaged and interpolated again; a fifth of them.
    noise
        Standard deviation U(0, n) times the spread; a third of them.
    spread
        Intensity that brightness and noise refer to; the sample's own standard
        deviation where None.
    """

    gamma: tuple[float, float]
    contrast: tuple[float, float]
    brightness: float
    field: float
    blur: tuple[float, float]
    coarser: tuple[float, float]
    noise: float
    spread: float | None = None

    def sample(self, n: int, dims: int, generator: torch.Generator) -> ToneDraw:
        """Draw for a batch of n tiles of two or three dimensions."""
        device = generator.device

        def some(low: float, high: float, share: float, neutral: float) -> Tensor:
            value, chance = torch.rand(2, n, generator=generator, device=device)
            return torch.where(chance < share, low + value * (high - low), neutral)

        normal = torch.randn(n, *[_KNOTS] * dims, generator=generator, device=device)
        return ToneDraw(
            gamma=some(*self.gamma, 0.5, 1.0),
            gain=some(*self.contrast, 0.5, 1.0),
            shift=some(-self.brightness, self.brightness, 0.5, 0.0),
            field=normal * column(some(self.field, self.field, 0.5, 0.0), normal),
            blur=some(*self.blur, 0.2, 0.0),
            coarser=some(*self.coarser, 0.2, 1.0),
            noise=some(0.0, self.noise, 1 / 3, 0.0),
            noise_seed=draw_seed(generator),
            noise_rows=NoiseRows(torch.arange(n, device=device), n),
        )

    def apply(self, x: Tensor, draw: ToneDraw) -> Tensor:
        """Change tiles (B, 1, S, ..., S) of intensities; returns a new tensor."""
        spread, mean = torch.std_mean(x.flatten(1), dim=1)
        if self.spread is not None:
            spread = torch.full_like(spread, self.spread)
        x = _retoned(x, draw, mean, draw.shift * spread)
        for n in (draw.blur > 0).nonzero().flatten().tolist():
            x[n] = along_axes(x[n], blurring(float(draw.blur[n]), x.shape[-1]))
        for n in (draw.coarser > 1).nonzero().flatten().tolist():
            x[n] = along_axes(x[n], coarsening(float(draw.coarser[n]), x.shape[-1]))
        every = torch.arange(len(x), device=x.device)
        noise = normal_noise(x, draw.noise_seed, draw.noise_rows, every)
        return x + noise * column(draw.noise * spread, x)


def _retoned(x: Tensor, draw: ToneDraw, mean: Tensor, shift: Tensor) -> Tensor:
    """Multiply by the field, bend the grey scale, then contrast and brightness."""
    flat = x.flatten(1)
    low = column(flat.amin(dim=1), x)
    span = (column(flat.amax(dim=1), x) - low).clamp_min(1e-6)
    field = smooth_field(draw.field, x.shape[2:])[:, None]
    scaled = ((x - low) / span).clamp_min(1e-6) * field.exp()
    bent = scaled.pow(column(draw.gamma, x)) * span + low
    middle = column(mean, x)
    return (bent - middle) * column(draw.gain, x) + middle + column(shift, x)


def along_axes(x: Tensor, lines: Tensor) -> Tensor:
    """Multiply each line of tiles (C, S, ..., S), along every axis, by (S, S)."""
    lines = lines.to(x)
    for _ in x.shape[1:]:
        # The first axis of space is multiplied and goes to the end.
        x = x.movedim(1, -1) @ lines.mT
    return x


def blurring(sigma: float, size: int) -> Tensor:
    """Return the (size, size) matrix that blurs a line; its ends repeat."""
    radius = int(_REACH * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    seen = (torch.arange(size)[:, None] + offsets).clamp(0, size - 1)
    matrix = torch.zeros(size, size)
    return matrix.scatter_add_(1, seen, (weights / weights.sum()).expand(size, -1))


def coarsening(factor: float, size: int) -> Tensor:
    """Return the (size, size) matrix that makes a line's pixels coarser and back."""
    few = max(1, round(size / factor))
    lines = F.interpolate(torch.eye(size)[None], few, mode="area")
    whole = F.interpolate(lines, size, mode="linear", align_corners=False)
    return whole[0].mT
