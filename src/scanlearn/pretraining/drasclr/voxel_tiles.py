"""Tiles of volumes around landmarks, and what their voxels are grouped by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.utils.data import Dataset

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.encoders.encoder_file import UNET_TILE
from scanlearn.encoders.patch_places import patch_start, tile_box
from scanlearn.randomness import numpy_generator
from scanlearn.views.normalise import shifted

#: Intensities are smoothed by Gaussians of so many voxels: what a voxel shows, and what
#: lies around it.
SMOOTHED = (0.7, 2.0)

#: A Gaussian ends at so many of its standard deviations.
_REACH = 4.0

_MARGIN = int(_REACH * max(SMOOTHED) + 0.5)

#: Side of a tile: that of fine-tuning.
SIDE = UNET_TILE


@dataclass(frozen=True, eq=False)
class VoxelTiles(Dataset[dict[str, Tensor]]):
    """Tiles by their number in the training: any worker gives the same one.

    Parameters
    ----------
    cohorts, atlas
        Where to read, around which places.
    seed
        Of the run.
    """

    cohorts: WorkingCohorts
    atlas: Atlas
    seed: int

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Return ``tiles`` (1, 32, 32, 32) from 0 to 1264, ``tile_boxes`` (2, 3).

        And ``tile_features`` (5, 32, 32, 32): intensities, then the location x, y, z.
        """
        rng = numpy_generator(self.seed, "voxel tile", number)
        chosen = int(rng.integers(len(self.cohorts.scans)))
        scan = self.cohorts.scans[chosen]
        landmark = self.atlas.landmarks[int(rng.integers(len(self.atlas.landmarks)))]
        jitter = rng.integers(-SIDE // 2, SIDE // 2 + 1, size=3)
        start = patch_start(scan, landmark, SIDE) + jitter
        last = np.maximum(np.array(scan.grid.shape) - SIDE, 0)
        start = np.clip(start, 0, last)  # as the windows of a prediction
        side = SIDE + 2 * _MARGIN
        voxels = self.cohorts.read(chosen, start - _MARGIN, (side,) * 3)
        grey = shifted(torch.from_numpy(voxels), scan.units).numpy()
        inner = (slice(_MARGIN, -_MARGIN),) * 3
        smooth = [
            ndimage.gaussian_filter(grey, sigma, mode="nearest", truncate=_REACH)[inner]
            for sigma in SMOOTHED
        ]
        indices = np.moveaxis(np.indices((SIDE,) * 3), 0, -1) + start
        place = scan.frame.to_location(scan.grid.to_patient(indices.reshape(-1, 3)))
        features = np.stack([*smooth, *place.T.reshape(3, SIDE, SIDE, SIDE)])
        return {
            "tiles": torch.from_numpy(grey[inner])[None],
            "tile_features": torch.from_numpy(features.astype(np.float32)),
            "tile_boxes": torch.from_numpy(
                tile_box(scan.grid, scan.frame, start, SIDE)
            ),
        }
