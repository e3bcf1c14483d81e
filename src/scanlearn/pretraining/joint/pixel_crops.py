"""Crops of slices at their own pixels, and what their pixels are grouped by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from scanlearn.cohort.slices import SliceCohorts
from scanlearn.randomness import numpy_generator
from scanlearn.views.normalise import shifted

#: Grey values are smoothed by Gaussians of so many pixels: what a pixel shows, and what
#: lies around it.
SMOOTHED = (0.7, 4.0)

#: A Gaussian ends at so many of its standard deviations.
_REACH = 4.0

#: The place in the field of view is the hyperbolic tangent of so many times the
#: distance to its middle, in halves of its longest side: fine in the middle.
_PLACE = 2.7

#: Grey values, then rows, columns and the place along the stack.
FEATURES = len(SMOOTHED) + 3

_MARGIN = int(_REACH * max(SMOOTHED) + 0.5)


@dataclass(frozen=True, eq=False)
class PixelCrops:
    """Random crops of the slices of all volumes, and of radiographs.

    Parameters
    ----------
    cohorts
        Where they are read; of a volume any slice may come.
    side
        Pixels of a crop, beyond the image's border the nearest is repeated.
    seed
        Of the run.
    """

    cohorts: SliceCohorts
    side: int
    seed: int

    def at(self, image: int, number: int) -> tuple[Tensor, Tensor]:
        """Return a crop (S, S) from 0 (air) to 1264, and its features (5, S, S).

        Parameters
        ----------
        image
            Of the cohorts: its volume is the one a slice is taken from.
        number
            Of the crop in the whole training; the same one is the same crop.
        """
        item = self.cohorts.images[image]
        rng = numpy_generator(self.seed, "pixel crop", number)
        voxels = self.cohorts.cohorts[item.cohort].voxels(item.record.key)
        index = int(rng.integers(len(voxels)))
        shape = np.array(voxels.shape[1:])
        # The sum of two is more often in the middle, where the patient is.
        middle = rng.random((2, 2)).mean(axis=0) * shape
        start = np.rint(middle - self.side / 2).astype(int)
        grey = _read(voxels[index], start - _MARGIN, self.side + 2 * _MARGIN)
        units = item.record.intensity.units
        grey = shifted(torch.from_numpy(grey), units).numpy()
        inner = (slice(_MARGIN, -_MARGIN),) * 2
        smooth = [_smoothed(grey, sigma)[inner] for sigma in SMOOTHED]
        height = 2 * (index + 0.5) / len(voxels) - 1
        place = _place(shape, start, self.side)
        features = np.stack([*smooth, *place, np.full_like(smooth[0], height)])
        return torch.from_numpy(grey[inner]), torch.from_numpy(features).float()


def _read(
    pixels: NDArray[np.generic], start: NDArray[np.int_], side: int
) -> NDArray[np.float32]:
    """Read a square (side, side) of a slice, whose border goes on beyond it."""
    rows, columns = (
        np.clip(np.arange(first, first + side), 0, size - 1)
        for first, size in zip(start, pixels.shape, strict=True)
    )
    box = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    found = np.asarray(box, dtype=np.float32)
    return found[np.ix_(rows - rows[0], columns - columns[0])]


def _smoothed(grey: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    smooth = ndimage.gaussian_filter(grey, sigma, mode="nearest", truncate=_REACH)
    return np.asarray(smooth)


def _place(
    shape: NDArray[np.int_], start: NDArray[np.int_], side: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where rows and columns of a crop lie in the field of view."""
    half = shape.max() / 2
    rows, columns = (
        np.tanh(_PLACE * (first + np.arange(side) - (size - 1) / 2) / half)
        for first, size in zip(start, shape, strict=True)
    )
    full = np.ones((side, side))
    return rows[:, None] * full, columns * full
