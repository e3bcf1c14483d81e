"""Slices and single images as a network in two dimensions is given them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from scanlearn.cohort.record import Intensity
from scanlearn.cohort.slices import squared
from scanlearn.views.normalise import shifted


def image_pixels(
    stored: NDArray[np.generic], intensity: Intensity, *, side: int
) -> Tensor:
    """Return the pixels (1, side, side) of an image, in [0, 1264].

    Parameters
    ----------
    stored
        (1, H, W) as a cohort stores them; filled up to a square, the image in the
        middle. :func:`scanlearn.cohort.slices.square_grid` says where the pixels lie.
    intensity
        What they mean.
    side
        Rows and columns.
    """
    square = squared(np.asarray(stored, dtype=np.float32), intensity.outside)
    return pixels_of(shifted(torch.from_numpy(square), intensity.units), side)


def pixels_of(slices: Tensor, side: int) -> Tensor:
    """Resample square slices (n, S, S) to (n, side, side)."""
    sized = F.interpolate(
        slices[None],
        [side, side],
        mode="bilinear",
        antialias=side < slices.shape[-1],
        align_corners=False,
    )
    return sized[0]
