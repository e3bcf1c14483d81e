"""A volume through a U-Net of slices, a few neighbouring slices at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from scanlearn.cohort.record import Intensity
from scanlearn.cohort.slices import squared
from scanlearn.encoders.pixels import pixels_of
from scanlearn.nets.slice_unet import SliceUNet
from scanlearn.nets.sliding_windows import window_starts
from scanlearn.views.normalise import normalised, shifted


@torch.inference_mode()
def segment_slices(
    network: SliceUNet,
    stored: NDArray[np.float32],
    intensity: Intensity,
    *,
    side: int,
    neighbours: int,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Return probabilities (classes, N, H, W) of a volume's voxels, on the CPU.

    Parameters
    ----------
    network
        In evaluation mode.
    stored
        (N, H, W) intensities as a cohort stores them.
    intensity
        What they mean.
    side
        Pixels of a slice as the network sees it, its whole field of view a square.
    neighbours
        Slices at a time. Stacks overlap where the depth is no multiple of it; there the
        mean counts. A shallower volume repeats its last slice.
    progress
        Told how many stacks of how many are done.
    """
    device = next(network.parameters()).device
    depth, height, width = stored.shape
    starts = window_starts(depth, neighbours, 0.0)
    total: Tensor | None = None
    count = torch.zeros(depth)
    for number, first in enumerate(starts, start=1):
        wanted = np.minimum(np.arange(first, first + neighbours), depth - 1)
        square = torch.from_numpy(squared(stored[wanted], intensity.outside))
        x = pixels_of(shifted(square.to(device), intensity.units), side)
        shares = network(normalised(x)[None])[0].float().softmax(dim=0)
        large = F.interpolate(
            shares, [square.shape[-1]] * 2, mode="bilinear", align_corners=False
        )
        top, left = ((large.shape[-1] - size) // 2 for size in (height, width))
        there = large[:, : depth - first, top : top + height, left : left + width].cpu()
        if total is None:
            total = torch.zeros(len(there), depth, height, width)
        total[:, first : first + neighbours] += there
        count[first : first + neighbours] += 1
        if progress is not None:
            progress(number, len(starts))
    assert total is not None
    return total / count[:, None, None]
