"""What another kernel or a lower dose would have made of a CT, in batches.

Both act in the slices: a reconstruction kernel weighs the frequencies of each slice,
and the noise of filtered back-projection has its texture there, slice by slice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scanlearn.views.intensity import NoiseRows, column, draw_seed, normal_noise

#: Blur whose difference from the image a kernel adds or takes away.
_KERNEL_MM = 1.0

#: Spatial frequency at which the noise of a CT is strongest, cycles a millimetre.
_NOISE_PEAK = 0.25


@dataclass(frozen=True)
class ScannerDraw:
    """What was drawn for a batch; applying it again gives the same result."""

    gain: Tensor  # (B,), 0 where the kernel stays
    noise_std: Tensor  # (B,), 0 where the dose stays
    noise_seed: int
    noise_rows: NoiseRows | None = None  # all in turn if None


@dataclass(frozen=True)
class ScannerViews:
    """Another reconstruction kernel, then a lower dose, each with its probability.

    A kernel multiplies the in-plane frequencies ``f`` by
    ``1 + g (1 - exp(-2 (pi f sigma)^2))`` with sigma 1 mm: softer for a gain ``g`` of
    U(*``gain``) below 0, sharper (and noisier) above. A dose of the share ``d``, drawn
    U(``least_dose``, 1), adds noise of standard deviation ``noise sqrt(1/d - 1)``,
    because the variance of a CT's noise goes as one over the dose. Its power spectrum
    in the slice is ``f^2 exp(-f^2 / f0^2)``: the ramp of the back-projection and a
    kernel's roll-off. The mean of a slice stays.

    Parameters
    ----------
    gain, kernel_probability
        Range of gains, and how often there is one.
    least_dose, noise, dose_probability
        Least share of the dose, noise of the scans as they are (HU), and how often.
    voxel_mm
        In-plane voxel size.
    """

    gain: tuple[float, float]
    kernel_probability: float
    least_dose: float
    noise: float
    dose_probability: float
    voxel_mm: float

    def sample(self, n: int, generator: torch.Generator) -> ScannerDraw:
        """Draw for a batch of n."""

        def uniform() -> Tensor:
            return torch.rand(n, generator=generator, device=generator.device)

        low, high = self.gain
        gain = (low + uniform() * (high - low)) * (uniform() < self.kernel_probability)
        dose = self.least_dose + uniform() * (1 - self.least_dose)
        added = self.noise * (1 / dose - 1).sqrt()
        added = added * (uniform() < self.dose_probability)
        rows = NoiseRows.among(added > 0)
        return ScannerDraw(gain, added, draw_seed(generator), rows)

    def apply(self, x: Tensor, draw: ScannerDraw) -> Tensor:
        """Change a batch (B, C, S, P, L) of intensities in HU; returns a new tensor."""
        x = x.clone()
        other = (draw.gain != 0).nonzero().flatten()
        if len(other):
            part = x[other]
            blur = blur_in_plane(part, _KERNEL_MM / self.voxel_mm)
            x[other] = part + column(draw.gain[other], part) * (part - blur)
        noisy = (draw.noise_std > 0).nonzero().flatten()
        if len(noisy):
            part = x[noisy]
            white = normal_noise(part, draw.noise_seed, draw.noise_rows, noisy)
            grain = ct_noise(white, self.voxel_mm)
            x[noisy] = part + column(draw.noise_std[noisy], part) * grain
        return x


def blur_in_plane(x: Tensor, sigma: float) -> Tensor:
    """Blur slices (..., P, L) by a Gaussian of ``sigma`` voxels; borders repeat."""
    rows, columns = (_blur_matrix(x.shape[axis], sigma, x) for axis in (-2, -1))
    return rows @ x @ columns.mT


def _blur_matrix(size: int, sigma: float, like: Tensor) -> Tensor:
    """Return the (size, size) matrix that blurs a line."""
    radius = int(3 * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, device=like.device)
    weights = torch.exp(-0.5 * (offsets.to(like.dtype) / sigma) ** 2)
    weights = weights / weights.sum()
    lines = torch.arange(size, device=like.device)
    seen = (lines[:, None] + offsets).clamp(0, size - 1)
    matrix = like.new_zeros(size, size)
    return matrix.scatter_add_(1, seen, weights.expand(size, -1))


def ct_noise(white: Tensor, voxel_mm: float) -> Tensor:
    """Give white noise (..., P, L) the in-plane texture of a CT's, at unit variance."""
    rows, columns = white.shape[-2:]
    down = torch.fft.fftfreq(rows, voxel_mm, device=white.device)
    across = torch.fft.rfftfreq(columns, voxel_mm, device=white.device)
    f = torch.hypot(down[:, None], across) / _NOISE_PEAK
    shape = f * torch.exp(-0.5 * f**2)
    # Frequencies between the first and the last column stand for their mirrors, too.
    twice = torch.full_like(across, 2.0)
    twice[0] = 1.0
    if columns % 2 == 0:
        twice[-1] = 1.0
    power = (shape**2 * twice).sum() / (rows * columns)
    shape = shape / math.sqrt(float(power))
    filtered = torch.fft.rfft2(white.float()) * shape
    found: Tensor = torch.fft.irfft2(filtered, s=(rows, columns))
    return found.to(white.dtype)
