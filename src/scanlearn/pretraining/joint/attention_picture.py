"""Where the attention of a joint training looks along a volume, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from scanlearn.nets.slice_encoder import SliceEncoder
from scanlearn.pretraining.joint.slice_batches import SliceData
from scanlearn.views.normalise import normalised

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Where the heads of a layer look, and would without offsets: (heads, M) slices.
Looks = tuple[NDArray[np.floating], NDArray[np.floating]]


@torch.no_grad()
def looks_at(encoder: SliceEncoder, data: SliceData) -> tuple[list[Looks], int]:
    """Return where the heads look in the volume of most slices, and how many it has.

    Parameters
    ----------
    encoder
        In evaluation mode.
    data
        The volumes.

    Returns
    -------
    tuple
        For each layer its :data:`Looks`, and the number of slices.
    """
    sizes = [len(volume.indices) for volume in data.cohorts.volumes]
    number = max(range(len(sizes)), key=sizes.__getitem__)
    device = encoder.project.weight.device
    stack = data.stacks([number])
    lengths = stack["lengths"].to(device)
    tokens = encoder.tokens(normalised(stack["volumes"].to(device)), lengths)
    found = encoder.transformer.looks(tokens, lengths)
    arrays = [(where[0].cpu().numpy(), rest[0].cpu().numpy()) for where, rest in found]
    return arrays, sizes[number]


def draw_looks(axes: Axes, looks: list[Looks], slices: int) -> None:
    """Draw a line a head: grey where it would look, blue where it does."""
    line, ticks = 0, []
    for layer, (where, rest) in enumerate(looks, start=1):
        ticks.append((line + (len(where) - 1) / 2, f"layer {layer}"))
        for own, still in zip(where, rest, strict=True):
            y = np.full(len(own), line)
            axes.plot([still, own], [y, y], color="0.7", linewidth=1)
            axes.plot(still, y, "|", color="0.6", markersize=5)
            axes.plot(own, y, "o", color="#1f77b4", markersize=3)
            line += 1
    places, names = zip(*ticks, strict=True)
    axes.set_yticks(places, names)
    axes.set_ylim(line - 0.3, -0.7)
    axes.set_xlim(-0.5, slices - 0.5)
    axes.set_xlabel("slice, from the head down", fontsize=8)
    axes.tick_params(labelsize=8)
