"""Random changes of intensity, batched, on the device the batch is on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class IntensityDraw:
    """What was drawn for a batch; applying it again gives the same result."""

    noise_std: Tensor  # (B,), 0 where no noise
    gamma: Tensor  # (B,), 1 where unchanged
    noise_seed: int


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
        return IntensityDraw(noise, gamma, draw_seed(generator))

    def apply(self, x: Tensor, draw: IntensityDraw) -> Tensor:
        """Change a batch (B, ...) of intensities; returns a new tensor."""
        noisy = (draw.noise_std > 0).nonzero().flatten()
        bent = (draw.gamma != 1).nonzero().flatten()
        x = x.clone()
        if len(noisy):
            generator = torch.Generator(x.device).manual_seed(draw.noise_seed)
            part = x[noisy]
            noise = torch.empty_like(part).normal_(generator=generator)
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


def column(values: Tensor, like: Tensor) -> Tensor:
    """Reshape (B,) so that it multiplies a batch (B, ...)."""
    return values.to(like.dtype).view(-1, *[1] * (like.dim() - 1))


def draw_seed(generator: torch.Generator) -> int:
    """Draw the seed of what is only made when a draw is applied."""
    high = 2**62
    draw = torch.randint(high, (1,), generator=generator, device=generator.device)
    return int(draw.item())
