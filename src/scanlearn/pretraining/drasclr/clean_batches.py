"""Unchanged patches of everywhere and everyone, for batch-norm statistics."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from scanlearn.pretraining.drasclr.landmark_batches import PatchRequest
from scanlearn.pretraining.drasclr.patches import PatchData
from scanlearn.randomness import numpy_generator
from scanlearn.views.normalise import normalised

#: Patches in a batch. With 16 of them variances come out 15 % too large.
_SIZE = 64


def clean_batches(
    data: PatchData, locations: Tensor, *, patch: int, batches: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield patches (64, 1, P, P, P) of random scans at random locations (64, 3).

    Parameters
    ----------
    data
        Patches in context.
    locations
        (L, 3) of all landmarks; its device is where batches go.
    patch
        Side P of the patch inside its context.
    batches
        How many.
    seed
        Of the run.
    """
    rng = numpy_generator(seed, "clean")
    margin = (data.side - patch) // 2
    inner = (slice(margin, margin + patch),) * 3
    for _ in range(batches):
        landmarks = rng.integers(len(locations), size=_SIZE).tolist()
        scans = rng.integers(len(data.cohorts.scans), size=_SIZE).tolist()
        patches = [
            data[PatchRequest(landmark, scan)].voxels[inner]
            for landmark, scan in zip(landmarks, scans, strict=True)
        ]
        x = torch.stack(patches)[:, None].to(locations.device)
        yield normalised(x), locations[torch.tensor(landmarks)]
