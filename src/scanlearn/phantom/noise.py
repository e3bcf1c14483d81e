"""What the scanner does to the picture: sharpness of the kernel, and its noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from scanlearn.phantom.patient import Dose, Kernel
from scanlearn.phantom.shapes import Floats


@dataclass(frozen=True)
class _Look:
    """One reconstruction kernel: blur, edge gain and noise, all in the slice plane."""

    blur_mm: float
    edge_gain: float
    noise_hu: float
    grain_mm: float
    blue: float  # how much of the coarse noise is taken away


_KERNELS: dict[Kernel, _Look] = {
    "soft": _Look(blur_mm=0.75, edge_gain=0.0, noise_hu=9, grain_mm=1.1, blue=0.0),
    "standard": _Look(blur_mm=0.5, edge_gain=0.0, noise_hu=16, grain_mm=0.7, blue=0.0),
    "sharp": _Look(blur_mm=0.3, edge_gain=0.5, noise_hu=36, grain_mm=0.3, blue=0.75),
}
_DOSES: dict[Dose, float] = {"none": 0.0, "standard": 1.0, "low": 1.8}


def scan_with(
    hu: Floats,
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
    *,
    kernel: Kernel,
    dose: Dose,
) -> None:
    """Blur or sharpen an image (S, P, L) in place as a kernel does, and add noise."""
    look, strength = _KERNELS[kernel], _DOSES[dose]
    centre = _beam_path(hu.shape, spacing_mm)
    for k in range(len(hu)):
        image = _blurred(hu[k], look.blur_mm, spacing_mm)
        if look.edge_gain:
            image = image + np.float32(look.edge_gain) * (
                image - _blurred(image, 0.9, spacing_mm)
            )
        if strength:
            grain = _grain(hu.shape[1:], look, spacing_mm, rng)
            image = image + grain * centre * np.float32(strength * look.noise_hu)
        hu[k] = image


def _grain(
    shape: tuple[int, ...],
    look: _Look,
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
) -> Floats:
    """Return noise of unit variance with the kernel's texture."""
    white = rng.standard_normal(shape, dtype=np.float32)
    grain = _blurred(white, look.grain_mm, spacing_mm)
    if look.blue:
        grain = grain - np.float32(look.blue) * _blurred(grain, 1.4, spacing_mm)
    return np.asarray(grain / grain.std(), np.float32)


def _blurred(
    image: Floats, sigma_mm: float, spacing_mm: tuple[float, float, float]
) -> Floats:
    for axis in (0, 1):
        sigma = sigma_mm / spacing_mm[axis + 1]
        if sigma > 0.15:  # less would change nothing
            image = gaussian_filter1d(image, sigma, axis=axis, truncate=3)
    return image


def _beam_path(
    shape: tuple[int, ...], spacing_mm: tuple[float, float, float]
) -> Floats:
    """Return how noise falls from the middle of the field of view to its rim."""
    y = (np.arange(shape[1]) - shape[1] / 2) * spacing_mm[1]
    x = (np.arange(shape[2]) - shape[2] / 2) * spacing_mm[2]
    far = np.sqrt(y[:, None] ** 2 + x**2) / 180
    return np.asarray(1.15 - 0.55 * np.minimum(far, 1.2) ** 2, np.float32)
