"""Clusters of pixels or voxels, by what they show and where they are."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PointClusters(nn.Module):
    """k-means on weighted features; grey values count in spreads of their source.

    Parameters
    ----------
    clusters
        How many.
    weights
        Of each feature; grey values first, then places.
    grey
        How many grey values there are.
    sources
        How many kinds of images there are, within which grey values are compared.
    """

    centres: Tensor
    mean: Tensor
    spread: Tensor
    shares: Tensor

    def __init__(
        self, clusters: int, *, weights: tuple[float, ...], grey: int, sources: int = 1
    ) -> None:
        super().__init__()
        self.weights, self.grey = weights, grey
        self.register_buffer("centres", torch.zeros(clusters, len(weights)))
        self.register_buffer("mean", torch.zeros(sources, grey))
        self.register_buffer("spread", torch.ones(sources, grey))
        #: Of the points that fall into each cluster; all zero before there are any.
        self.register_buffer("shares", torch.zeros(clusters))

    @property
    def are_found(self) -> bool:
        """Whether there are any yet."""
        return bool(self.shares.any())

    @property
    def chance(self) -> Tensor:
        """The loss of whoever knows nothing but how frequent each cluster is."""
        entropy: Tensor = torch.special.entr(self.shares).sum()
        return entropy

    def find(self, features: Tensor, sources: Tensor, *, seed: int) -> None:
        """Cluster points (n, F) of sources (n,)."""
        from sklearn.cluster import KMeans

        for source in sources.unique():
            grey = features[sources == source, : self.grey]
            self.spread[source], self.mean[source] = torch.std_mean(grey, dim=0)
        points = self.weighted(features, sources).cpu().numpy()
        found = KMeans(len(self.centres), n_init=1, random_state=seed).fit(points)
        self.centres.copy_(torch.from_numpy(found.cluster_centers_))
        counts = torch.from_numpy(found.labels_).bincount(minlength=len(self.centres))
        self.shares.copy_(counts / counts.sum())

    def weighted(self, features: Tensor, sources: Tensor) -> Tensor:
        """Return features (n, F, ...) of sources (n,) in units of the clustering."""
        shape = (-1, len(self.weights), *[1] * (features.dim() - 2))
        places = len(self.weights) - self.grey
        mean = F.pad(self.mean[sources], (0, places)).view(shape)
        spread = F.pad(self.spread[sources], (0, places), value=1.0).view(shape)
        weights = features.new_tensor(self.weights).view(1, *shape[1:])
        return (features - mean) / spread.clamp_min(1e-6) * weights

    def of(self, features: Tensor, sources: Tensor) -> Tensor:
        """Return the cluster (n, ...) of each point of features (n, F, ...)."""
        points = self.weighted(features, sources).flatten(2)
        # |f - c|^2 without |f|^2, which is the same for all clusters.
        halves = self.centres.square().sum(dim=1, keepdim=True) / 2
        nearest: Tensor = (self.centres @ points - halves).argmax(dim=1)
        return nearest.reshape(len(features), *features.shape[2:])
