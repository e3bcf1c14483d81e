"""A volume through a U-Net of slices at its own pixels: whole slices, or windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from scanlearn.nets.slice_unet import SliceUNet
from scanlearn.views.normalise import Units, normalised, shifted

#: A slice is seen whole while its sides are no longer than so many crops: borders of
#: windows cost more than an unfamiliar size.
_WHOLE = 4

#: Sides are multiples of what the trunk divides them by.
_STRIDE = 32

_SLICES_AT_ONCE = 4


@torch.inference_mode()
def segment_crops(
    network: SliceUNet,
    stored: NDArray[np.float32],
    units: Units,
    *,
    crop: int,
    axis: int,
    scales: Sequence[float] = (1.0,),
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Return probabilities (classes, S, P, L) of a volume's voxels, on the CPU.

    Parameters
    ----------
    network
        In evaluation mode.
    stored
        (S, P, L) intensities as a cohort stores them.
    units
        What they mean.
    crop
        Pixels of the crops it was trained on. Slices of more than four crops are seen
        in windows of that size, half overlapping, weighted by a Gaussian.
    axis
        Across the slices.
    scales
        Sizes at which each slice is seen, relative to its own; the mean counts.
    progress
        Told how many slices of how many are done.
    """
    device = next(network.parameters()).device
    slices = torch.from_numpy(np.moveaxis(stored, axis, 0).copy())
    found = []
    for first in range(0, len(slices), _SLICES_AT_ONCE):
        part = slices[first : first + _SLICES_AT_ONCE].to(device)
        x = normalised(shifted(part, units))[:, None]
        seen = [_at_scale(network, x, crop, scale) for scale in scales]
        found.append(torch.stack(seen).mean(dim=0).cpu())
        if progress is not None:
            progress(min(first + _SLICES_AT_ONCE, len(slices)), len(slices))
    return torch.cat(found).movedim(0, axis + 1)


def _at_scale(network: SliceUNet, x: Tensor, crop: int, scale: float) -> Tensor:
    """Return probabilities (n, classes, H, W) of slices (n, 1, H, W) seen larger."""
    size = x.shape[2:]
    seen = [max(1, round(scale * n)) for n in size]
    sized = F.interpolate(x, seen, mode="bilinear", antialias=scale < 1)
    shares = _in_windows(network, sized, crop)
    return F.interpolate(shares, size, mode="bilinear", antialias=scale > 1)


def _in_windows(network: SliceUNet, x: Tensor, crop: int) -> Tensor:
    from monai.inferers.utils import sliding_window_inference

    longest = max(x.shape[2:])
    whole = [-(-n // _STRIDE) * _STRIDE for n in x.shape[2:]]
    found = sliding_window_inference(
        x,
        whole if longest <= _WHOLE * crop else (crop, crop),
        sw_batch_size=_SLICES_AT_ONCE,
        predictor=lambda part: network(part)[:, :, 0].float().softmax(dim=1),
        overlap=0.5,
        mode="gaussian",
        padding_mode="replicate",
    )
    assert isinstance(found, Tensor)
    return found
