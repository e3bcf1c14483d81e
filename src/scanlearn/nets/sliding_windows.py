"""Sliding windows over a volume, blended with a Gaussian."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Progress = Callable[[int, int], None]

#: Width of the Gaussian relative to the window.
_SIGMA = 0.125

#: The weight at a window's corner is not quite zero, so that every voxel has a sum.
_LEAST = 1e-3


def window_starts(size: int, window: int, overlap: float) -> list[int]:
    """Return first indices of windows that cover an axis, the last one flush."""
    if size <= window:
        return [0]
    step = max(1, int(window * (1 - overlap)))
    starts = list(range(0, size - window, step))
    return [*starts, size - window]


def softmax(logits: Tensor) -> Tensor:
    """Return class probabilities of logits (n, C, ...)."""
    return logits.softmax(dim=1)


@torch.inference_mode()
def sliding_windows(
    volume: Tensor,
    network: Callable[[Tensor, NDArray[np.int_]], Tensor],
    *,
    window: int,
    overlap: float = 0.5,
    batch: int = 4,
    progress: Progress | None = None,
    activation: Callable[[Tensor], Tensor] = softmax,
    stride: int = 1,
    wanted: Tensor | None = None,
) -> Tensor:
    """Blend class probabilities of overlapping windows.

    Parameters
    ----------
    volume
        (D, H, W) network input.
    network
        Takes windows (n, 1, w, w, w) and their first indices (n, 3); gives logits
        (n, C, w, w, w), the last three over ``stride``.
    window
        Side of a window; a smaller volume is padded by repeating its border.
    overlap
        Share of a window that its neighbour covers too.
    batch
        Windows at once.
    progress
        Told how many windows of how many are done.
    activation
        What makes blendable values of logits.
    stride
        Voxels between two values of the network, a divisor of the window.
    wanted
        (D, H, W), true where values matter: windows without are left out, and values
        that no window gave are 0. Everywhere when None.

    Returns
    -------
    Tensor
        (C, D, H, W) values, float32, on the volume's device; the last three over
        ``stride``, an incomplete last cell counting as one.
    """
    shape = [-(-size // stride) for size in volume.shape]
    padded = _pad(volume, window, stride)
    places = list(_places(padded.shape, window, overlap, stride))
    if wanted is not None:
        places = [p for p in places if bool(wanted[_box(p, window)].any())]
    weight = gaussian(window // stride).to(volume.device)
    cells = [size // stride for size in padded.shape]
    total = torch.zeros(cells, device=volume.device)
    blended: Tensor | None = None
    for first in range(0, len(places), batch):
        part = places[first : first + batch]
        x = torch.stack([padded[_box(start, window)] for start in part])[:, None]
        scores = activation(network(x, np.array(part)).float())
        if blended is None:
            blended = torch.zeros(scores.shape[1], *cells, device=volume.device)
        for start, score in zip(part, scores, strict=True):
            a, b, c = (first // stride for first in start)
            box = _box((a, b, c), window // stride)
            blended[(slice(None), *box)].addcmul_(score, weight)
            total[box] += weight
        if progress is not None:
            progress(min(first + batch, len(places)), len(places))
    if blended is None:
        raise ValueError("nothing is wanted: no window to look at")
    blended /= total.clamp_min(torch.finfo(total.dtype).tiny)
    return blended[:, : shape[0], : shape[1], : shape[2]]


def gaussian(window: int) -> Tensor:
    """Return the (w, w, w) weight of a window's voxels, 1 in the middle."""
    offset = torch.arange(window) - (window - 1) / 2
    line = torch.exp(-0.5 * (offset / (window * _SIGMA)) ** 2)
    cube = line[:, None, None] * line[None, :, None] * line[None, None, :]
    return (cube / cube.max()).clamp_min(_LEAST)


def _pad(volume: Tensor, window: int, stride: int) -> Tensor:
    missing = [max(window - size, -size % stride) for size in volume.shape]
    if not any(missing):
        return volume
    ends = [0, missing[2], 0, missing[1], 0, missing[0]]
    return F.pad(volume[None, None], ends, mode="replicate")[0, 0]


def _places(
    shape: torch.Size, window: int, overlap: float, stride: int
) -> Iterator[tuple[int, int, int]]:
    # Windows start on whole cells.
    side = window // stride
    i, j, k = (
        [stride * first for first in window_starts(n // stride, side, overlap)]
        for n in shape
    )
    return ((a, b, c) for a in i for b in j for c in k)


def _box(start: tuple[int, int, int], window: int) -> tuple[slice, slice, slice]:
    a, b, c = start
    return slice(a, a + window), slice(b, b + window), slice(c, c + window)
