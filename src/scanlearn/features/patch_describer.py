"""Places as a pre-trained encoder of 3D patches sees them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scanlearn.encoders.encoder_file import save_encoder
from scanlearn.errors import BadLabels
from scanlearn.features.describer import BATCH, Floats, Points, copy_encoder
from scanlearn.features.linear import PENALTY
from scanlearn.prediction.each_scan import Progress
from scanlearn.prediction.representation.dense import DenseFeatures, dense_features
from scanlearn.prediction.representation.embedding import Embedder
from scanlearn.prediction.representation.encoder_scans import (
    EncoderScan,
    cohort_scans,
    scan_in_memory,
)
from scanlearn.runs.events import Event
from scanlearn.scans.scan import Scan
from scanlearn.views.normalise import normalised, shifted


class EncoderDescriber:
    """The patches around places, as a pre-trained 3D encoder sees them.

    Parameters
    ----------
    run
        A run with an encoder: the pre-training, or a fine-tuning that keeps a copy.
    """

    penalty = PENALTY

    def __init__(self, run: Path) -> None:
        self.run = run
        self.embedder = Embedder(run, precision="auto")

    def from_cohort(
        self, path: Path, keys: Collection[str], told: list[Event]
    ) -> Iterator[EncoderScan]:
        """Yield the scans that its atlas fits."""
        yield from cohort_scans(path, self.embedder.card, told.append, only=keys)

    def from_memory(self, scan: Scan) -> EncoderScan:
        """Prepare a scan; raises BadScan where it is of another kind."""
        return scan_in_memory(scan, self.embedder.card, key="")

    def at(self, scan: EncoderScan, points: Points) -> Floats:
        """Describe the patches centred on places."""
        centres, starts = self._placed(scan, points)
        side = self.embedder.card.patch_voxels
        found = []
        for first in range(0, len(centres), BATCH):
            part = slice(first, first + BATCH)
            voxels = np.stack([scan.read(start, (side,) * 3) for start in starts[part]])
            where = scan.frame.to_location(centres[part])
            found.append(self.embedder.encode_placed(voxels, where))
        return np.concatenate(found)

    @property
    def module(self) -> nn.Module:
        """The encoder, to be trained."""
        return self.embedder.encoder

    def cut(self, scan: EncoderScan, points: Points) -> tuple[Tensor, Tensor]:
        """Return patches (n, S, S, S) in [0, 1264] and their locations (n, 3)."""
        centres, starts = self._placed(scan, points)
        side = self.embedder.card.patch_voxels
        ways = self.embedder.card.convention
        voxels = np.stack([scan.read(start, (side,) * 3) for start in starts])
        turned = np.ascontiguousarray(ways.patches(voxels), dtype=np.float32)
        where = ways.locations(scan.frame.to_location(centres))
        x = shifted(torch.from_numpy(turned), self.embedder.card.units)
        return x, torch.from_numpy(where)

    def encode(self, x: Tensor, locations: Tensor) -> Tensor:
        """Describe such patches with gradient: (n, d)."""
        found: Tensor = self.embedder.encoder(normalised(x)[:, None], locations)
        return found

    def save_trained(self, folder: Path) -> None:
        """Write the encoder as it is now."""
        save_encoder(folder, self.embedder.encoder, self.embedder.card)

    def everywhere(
        self, scan: EncoderScan, stride_mm: float, progress: Progress
    ) -> DenseFeatures:
        """Describe a regular grid: in one pass where the encoder can."""
        return dense_features(self.embedder, scan, stride_mm, progress=progress)

    def _placed(
        self, scan: EncoderScan, points: Points
    ) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
        """Return places (n, 3) in LPS millimetres, and where their patches begin."""
        centres = np.array([point for point in points if point is not None])
        if len(centres) < len(points):
            raise BadLabels(
                f"{scan.key} is a 2D patch, which a 3D encoder cannot see",
                expected="places in volumes",
                next_step="Start from scratch: densities and texture describe it",
            )
        side = self.embedder.card.patch_voxels
        starts = np.rint(scan.grid.to_index(centres) - (side - 1) / 2).astype(int)
        return centres, starts

    def whole(self, scan: EncoderScan) -> Floats:
        """Return mean and spread of the landmarks' vectors, by lung fraction."""
        vector: Floats = self.embedder.scans([scan])[0].pooled("lungs")
        return vector

    def save(self, folder: Path) -> None:
        """Copy the encoder."""
        copy_encoder(self.run, folder)
