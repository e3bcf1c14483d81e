"""Each voxel's cluster, told by a whole U-Net on the location-conditioned encoder.

What :mod:`scanlearn.pretraining.joint.pixel_agreement` is to slices, with locations in
the atlas as the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn import processes
from scanlearn.config.drasclr import ViewConfig
from scanlearn.nets.location_encoder import LocationEncoder
from scanlearn.nets.location_unet import LocationUNet
from scanlearn.pretraining.drasclr.views import patch_views
from scanlearn.pretraining.drasclr.voxel_tiles import SIDE, SMOOTHED, VoxelTiles
from scanlearn.pretraining.shared.point_clusters import PointClusters
from scanlearn.randomness import numpy_generator, stream_seed
from scanlearn.views.affine import apply_affine
from scanlearn.views.normalise import Units

#: What a difference of one standard deviation of an intensity weighs, or of half the
#: atlas.
_WEIGHTS = (1.2, 0.8, 1.5, 1.5, 1.5)

#: Clusters are found in so many voxels of so many tiles.
_TILES, _VOXELS = 256, 160


class VoxelAgreement(nn.Module):
    """Clusters of voxels, and the U-Net that tells them.

    Parameters
    ----------
    encoder
        Trained with the decoder; it is the recipe's own.
    tiles
        Where voxels come from.
    clusters
        How many.
    views
        How tiles are changed; none is shifted.
    voxel_mm, units
        Of the tiles.
    """

    def __init__(
        self,
        encoder: LocationEncoder,
        tiles: VoxelTiles,
        *,
        clusters: int,
        views: ViewConfig,
        voxel_mm: float,
        units: Units,
    ) -> None:
        super().__init__()
        self.tiles = tiles
        self.unet = LocationUNet(encoder, classes=clusters)
        still = views.model_copy(update={"shift_mm": 0.0})
        self.views = patch_views(still, size=SIDE, voxel_mm=voxel_mm, units=units)
        self.clusters = PointClusters(clusters, weights=_WEIGHTS, grey=len(SMOOTHED))

    @property
    def chance(self) -> Tensor:
        """The loss of whoever knows nothing but how frequent each cluster is."""
        return self.clusters.chance

    @property
    def decoder(self) -> Iterator[nn.Parameter]:
        """What is trained beside the encoder."""
        return chain(self.unet.stages.parameters(), self.unet.head.parameters())

    def begin(self) -> None:
        """Find the clusters, once: k-means on voxels of tiles of all scans."""
        if self.clusters.are_found:
            return
        rng, rows = numpy_generator(self.tiles.seed, "voxels"), []
        for number in range(_TILES):
            # No tile that is trained on.
            flat = self.tiles[-1 - number]["tile_features"].flatten(1)
            rows.append(flat[:, rng.integers(flat.shape[1], size=_VOXELS)].T)
        points = torch.cat(rows).to(self.clusters.centres.device)
        seed = stream_seed(self.tiles.seed, "voxel clusters") % 2**32
        self.clusters.find(points, self._source(points), seed=seed)

    def forward(
        self,
        tiles: Tensor,
        features: Tensor,
        boxes: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """Return the cross-entropy of the clusters of changed tiles.

        Parameters
        ----------
        tiles, features, boxes
            Batches of what :class:`VoxelTiles` gives.
        generator
            Of the changes.
        """
        drawn = self.views.sample(processes.whole(len(tiles)), generator)
        draw = processes.share(drawn)
        seen = apply_affine(features, draw.maps, size=SIDE)
        targets = self.clusters.of(seen, self._source(seen))
        logits = self.unet(self.views.apply(tiles, draw), boxes)
        return F.cross_entropy(logits.float(), targets)

    def _source(self, points: Tensor) -> Tensor:
        return torch.zeros(len(points), dtype=torch.long, device=points.device)
