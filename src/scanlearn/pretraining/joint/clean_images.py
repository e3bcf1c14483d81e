"""Batch norms of an encoder of slices that describe unchanged images of everyone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from scanlearn.cohort.slices import SliceCohorts
from scanlearn.nets.recalibrate import recalibrate_batch_norm
from scanlearn.nets.slice_encoder import SliceEncoder
from scanlearn.pretraining.joint.slice_batches import square_pixels
from scanlearn.randomness import numpy_generator
from scanlearn.views.normalise import normalised

#: Images in a batch, about.
_SIZE = 64


def estimate_on_images(
    encoder: SliceEncoder,
    cohorts: SliceCohorts,
    *,
    side: int,
    images: int,
    seed: int,
) -> None:
    """Estimate trunk's and tokens' statistics on whole images of ``side`` pixels.

    Training leaves those of crops that were changed, the last ones most. In place.
    """
    batches = clean_images(cohorts, side=side, images=images, seed=seed)
    device = next(encoder.parameters()).device
    moved = ((x.to(device),) for x in batches)
    recalibrate_batch_norm(encoder, moved, encoder.images)


def clean_images(
    cohorts: SliceCohorts, *, side: int, images: int, seed: int
) -> Iterator[Tensor]:
    """Yield batches (n, 1, side, side) of images, each at most once, evenly sized."""
    rng = numpy_generator(seed, "clean images")
    chosen = rng.permutation(len(cohorts.images))[:images]
    for numbers in np.array_split(chosen, -(-len(chosen) // _SIZE)):
        pixels = [square_pixels(cohorts, cohorts.images[n], side) for n in numbers]
        yield normalised(torch.stack(pixels))
