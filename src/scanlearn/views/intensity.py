"""Random changes of intensity, batched, on the device the batch is on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class NoiseRows:
    """Which of the noise of ``of`` samples is each sample's own: its ``row`` (B,).

    A process that has a part of a batch takes its rows of the whole batch's noise.
    """

    row: Tensor
    of: int

    @classmethod
    def among(cls, noisy: Tensor) -> Self:
        """Return the rows of the samples (B,) that have any noise."""
        return cls(noisy.cumsum(0) - 1, int(noisy.sum()))


@dataclass(frozen=True)
class IntensityDraw:
    """What was drawn for a batch; applying it again gives the same result."""

    noise_std: Tensor  # (B,), 0 where no noise
    gamma: Tensor  # (B,), 1 where unchanged
    noise_seed: int
    noise_rows: NoiseRows | None = None  # all in turn if None


@dataclass(frozen=True)
class IntensityViews:
    """Additive Gaussian noise, then gamma, each with its probability.

    The standard deviation of the noise is itself drawn, U(0, ``noise``); the exponent
    is U(*``gamma``) on intensities scaled to the sample's own range.
    """

    noise: float
    noise_probability: float
    gamma: tuple[float, float]
    gamma_probability: float

    def sample(self, n: int, generator: torch.Generator) -> IntensityDraw:
        """Draw for a batch of n."""

        def uniform() -> Tensor:
            return torch.rand(n, generator=generator, device=generator.device)

        low, high = self.gamma
        noise = uniform() * self.noise * (uniform() < self.noise_probability)
        gamma = torch.where(
            uniform() < self.gamma_probability, low + uniform() * (high - low), 1.0
        )
        rows = NoiseRows.among(noise > 0)
        return IntensityDraw(noise, gamma, draw_seed(generator), rows)

    def apply(self, x: Tensor, draw: IntensityDraw) -> Tensor:
        """Change a batch (B, ...) of intensities; returns a new tensor."""
        noisy = (draw.noise_std > 0).nonzero().flatten()
        bent = (draw.gamma != 1).nonzero().flatten()
        x = x.clone()
        if len(noisy):
            part = x[noisy]
            noise = normal_noise(part, draw.noise_seed, draw.noise_rows, noisy)
            x[noisy] = part + noise * column(draw.noise_std[noisy], part)
        if len(bent):
            x[bent] = _gamma(x[bent], draw.gamma[bent])
        return x


def _gamma(x: Tensor, exponent: Tensor) -> Tensor:
    flat = x.flatten(1)
    low = column(flat.amin(dim=1), x)
    span = column(flat.amax(dim=1), x) - low
    scaled = (x - low) / (span + 1e-7)
    return scaled.pow(column(exponent, x)) * span + low


def normal_noise(
    like: Tensor, seed: int, rows: NoiseRows | None, noisy: Tensor
) -> Tensor:
    """Return normal noise for samples (b, ...), those of a batch that (b,) names."""
    generator = torch.Generator(like.device).manual_seed(seed)
    if rows is None:
        return torch.empty_like(like).normal_(generator=generator)
    noise = like.new_empty(rows.of, *like.shape[1:]).normal_(generator=generator)
    return noise if rows.of == len(like) else noise[rows.row[noisy]]


def column(values: Tensor, like: Tensor) -> Tensor:
    """Reshape (B,) so that it multiplies a batch (B, ...)."""
    return values.to(like.dtype).view(-1, *[1] * (like.dim() - 1))


def draw_seed(generator: torch.Generator) -> int:
    """Draw the seed of what is only made when a draw is applied."""
    high = 2**62
    draw = torch.randint(high, (1,), generator=generator, device=generator.device)
    return int(draw.item())
