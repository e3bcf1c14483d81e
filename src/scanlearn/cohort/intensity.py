"""Intensities as they are stored: HU for CT, robust scores for MR, 0 to 1 for films."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.record import Intensity

#: Air and dense metal: nothing below or above carries information in a CT.
HU_RANGE = (-1024, 3071)

#: Robust standard deviations beyond which MR values are cut: bright vessels and fat
#: are inside, spikes are not.
_MR_RANGE = (-8.0, 8.0)

#: A Gaussian's standard deviation per interquartile range.
_SD_PER_IQR = 1 / 1.349

_MOST_SAMPLES = 2_000_000

Units = Literal["HU", "zscore", "unit"]


def normalised(
    voxels: NDArray[np.generic], units: Units
) -> tuple[NDArray[np.generic], Intensity]:
    """Return voxels as a cohort stores them, and what the stored values mean.

    Parameters
    ----------
    voxels
        Finite values; Hounsfield units for ``"HU"``.
    units
        ``"HU"``: int16, clipped. ``"zscore"``: float32, from the median and
        interquartile range of the foreground. ``"unit"``: float32, 0 and 1 at the
        half-percent tails.
    """
    if units == "HU":
        clipped = np.clip(voxels, *HU_RANGE)
        if clipped.dtype.kind == "f":
            clipped = np.rint(clipped)
        stored: NDArray[np.generic] = clipped.astype(np.int16)
        centre, scale, outside = 0.0, 1.0, float(HU_RANGE[0])
    else:
        centre, scale = _foreground(voxels) if units == "zscore" else _tails(voxels)
        low, high = _MR_RANGE if units == "zscore" else (0.0, 1.0)
        scores = (voxels.astype(np.float32) - np.float32(centre)) / np.float32(scale)
        stored = np.clip(scores, low, high)
        outside = float(stored.min())
    low_mid_high = np.percentile(_samples(stored), (1, 50, 99))
    return stored, Intensity(
        units=units,
        centre=centre,
        scale=scale,
        outside=outside,
        percentiles=(
            float(low_mid_high[0]),
            float(low_mid_high[1]),
            float(low_mid_high[2]),
        ),
    )


def _foreground(voxels: NDArray[np.generic]) -> tuple[float, float]:
    """Return median and robust standard deviation of what is brighter than noise."""
    samples = _samples(voxels)
    low, high = np.percentile(samples, (0.5, 99.5))
    # A tenth of the range parts the air around a body from tissue in most sequences.
    inside = samples[samples > low + 0.1 * (high - low)]
    if inside.size == 0:
        inside = samples
    first, centre, third = np.percentile(inside, (25, 50, 75))
    scale = (third - first) * _SD_PER_IQR
    return float(centre), float(scale) if scale > 0 else 1.0


def _tails(voxels: NDArray[np.generic]) -> tuple[float, float]:
    low, high = np.percentile(_samples(voxels), (0.5, 99.5))
    return float(low), float(high - low) if high > low else 1.0


def _samples(voxels: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return about two million values, evenly taken: enough for a percentile."""
    flat = voxels.reshape(-1)
    # An odd step does not run along one column of the usual even matrices.
    return flat[:: (flat.size // _MOST_SAMPLES) | 1].astype(np.float64)
