"""Two ways to make the views of a sample agree on a cluster.

Both keep what they know of every sample under its number in the whole training.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn import processes
from scanlearn.config.joint import ClusterConfig
from scanlearn.nets.clustering import (
    UNASSIGNED,
    deepcluster_loss,
    sinkhorn,
    spherical_kmeans,
    swav_loss,
)
from scanlearn.randomness import torch_generator

#: Large crops, whose features are kept.
VIEWS = 2


class Agreement(nn.Module, ABC):
    """Clusters of images or of volumes.

    Parameters
    ----------
    samples, dim
        How many there are, and the size of a feature.
    config
        Fitted to the samples (:func:`fitted`).
    seed, name
        Of its random streams.
    """

    def __init__(
        self, samples: int, dim: int, config: ClusterConfig, *, seed: int, name: str
    ) -> None:
        super().__init__()
        self.config, self.seed, self.name = config, seed, name
        self.assigned = torch.full((samples,), UNASSIGNED)
        self.before = self.assigned.clone()
        self.epoch = ""

    @property
    def needs_filling(self) -> bool:
        """Whether features of all samples are needed before the first epoch."""
        return False

    @property
    def chance(self) -> float:
        """The loss of whoever guesses: the mean of ln K over the clusterings."""
        return math.log(max(2, self.config.clusters))

    def begin(self, epoch: str) -> bool:
        """Note which epoch a step belongs to; returns whether it is a new one."""
        fresh = epoch != self.epoch
        if fresh:
            self.epoch, self.before = epoch, self.assigned.clone()
            self.regroup()
        return fresh

    @abstractmethod
    def regroup(self) -> None:
        """Do what the start of an epoch asks for."""

    def forward(self, views: Sequence[Tensor], samples: Tensor) -> Tensor:
        """Return the loss of views, each (n, d) of unit length; large crops first.

        In full precision: logits are ten times inner products.
        """
        with torch.autocast(views[0].device.type, enabled=False):
            return self.loss(views, samples)

    @abstractmethod
    def loss(self, views: Sequence[Tensor], samples: Tensor) -> Tensor:
        """Return the loss of the views of samples (n,)."""

    @abstractmethod
    def keep(self, views: Tensor, samples: Tensor) -> None:
        """Remember the features (2, n, d) of a step."""

    def state(self) -> dict[str, Any]:
        """Return what is in no parameter."""
        return {name: getattr(self, name) for name in self._kept()}

    def load(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state` returned."""
        for name in self._kept():
            setattr(self, name, state[name])

    def _kept(self) -> tuple[str, ...]:
        return ("assigned", "before", "epoch")


class DeepCluster(Agreement):
    """DeepCluster-v2: clusters of the last epoch's features are labels to predict.

    The features of either view have a bank; clusterings take turns with the banks.
    Their centroids are frozen until the next epoch.
    """

    def __init__(
        self, samples: int, dim: int, config: ClusterConfig, *, seed: int, name: str
    ) -> None:
        super().__init__(samples, dim, config, seed=seed, name=name)
        self.bank = torch.zeros(VIEWS, samples, dim)
        self.labels = torch.full((config.heads, samples), UNASSIGNED)
        self.centroids = [torch.zeros(k, dim) for k in head_sizes(config)]
        self.filled = False

    @property
    def needs_filling(self) -> bool:
        """Whether the banks are still empty."""
        return not self.filled

    @property
    def chance(self) -> float:
        """The loss of whoever guesses: the mean of ln K over the clusterings."""
        logs = [math.log(max(2, len(c))) for c in self.centroids]
        return sum(logs) / len(logs)

    def regroup(self) -> None:
        """Cluster the banks."""
        self.filled = True
        for head, old in enumerate(self.centroids):
            generator = torch_generator(
                self.seed, "kmeans", self.name, self.epoch, head
            )
            centroids, labels = spherical_kmeans(
                self.bank[head % VIEWS],
                len(old),
                iterations=self.config.iterations,
                generator=generator,
            )
            # Rounding may differ between machines, and with it everything.
            self.centroids[head] = processes.from_first(centroids)
            self.labels[head] = processes.from_first(labels)
        self.assigned = self.labels[0].clone()

    def loss(self, views: Sequence[Tensor], samples: Tensor) -> Tensor:
        """Predict the clusters of the samples from every view."""
        device = views[0].device
        return deepcluster_loss(
            views,
            [c.to(device) for c in self.centroids],
            self.labels[:, samples.cpu()].to(device),
            temperature=self.config.temperature,
        )

    def keep(self, views: Tensor, samples: Tensor) -> None:
        """Put features into the banks, for the next clustering."""
        self.bank[:, samples.cpu()] = views.float().cpu()

    def _kept(self) -> tuple[str, ...]:
        return (*super()._kept(), "bank", "labels", "centroids", "filled")


class Swav(Agreement):
    """SwAV: the codes of a view are predicted from the others, while training.

    Batches smaller than the prototypes are joined by a queue of past features, which
    get codes but are not trained on.
    """

    def __init__(
        self, samples: int, dim: int, config: ClusterConfig, *, seed: int, name: str
    ) -> None:
        super().__init__(samples, dim, config, seed=seed, name=name)
        self.prototypes = nn.Linear(dim, config.clusters, bias=False)
        self.queue = torch.zeros(VIEWS, config.queue, dim)
        self.queued = self.steps = 0

    def regroup(self) -> None:
        """Leave everything as it is: the prototypes are trained."""

    def loss(self, views: Sequence[Tensor], samples: Tensor) -> Tensor:
        """Predict the codes of the large crops from all other crops."""
        with torch.no_grad():
            weight = self.prototypes.weight
            weight.copy_(F.normalize(weight, dim=1))
        frozen = self.steps < self.config.freeze_steps
        matrix = self.prototypes.weight.detach() if frozen else self.prototypes.weight
        scores = [z @ matrix.T for z in views]
        codes = [self._codes(scores[a], a) for a in range(min(VIEWS, len(scores)))]
        found = processes.gathered(codes[0].argmax(dim=1))
        self.assigned[processes.gathered(samples).cpu()] = found.cpu()
        return swav_loss(scores, codes, temperature=self.config.temperature)

    @torch.no_grad()
    def _codes(self, scores: Tensor, view: int) -> Tensor:
        scores = processes.gathered(scores)
        n, full = len(scores), self.queued >= self.config.queue
        if self.config.queue and full:
            past = self.queue[view].to(scores.device)
            scores = torch.cat([scores, past @ self.prototypes.weight.T])
        found = sinkhorn(
            scores, epsilon=self.config.epsilon, iterations=self.config.sinkhorn
        )
        return processes.share(found[:n])

    def keep(self, views: Tensor, samples: Tensor) -> None:
        """Put features in front of the queue."""
        self.steps += 1
        if self.config.queue:
            new = views.float().cpu()
            joined = torch.cat([new, self.queue], dim=1)
            self.queue = joined[:, : self.config.queue]
            self.queued += new.shape[1]

    def _kept(self) -> tuple[str, ...]:
        return (*super()._kept(), "queue", "queued", "steps")


def head_sizes(config: ClusterConfig) -> list[int]:
    """Return how many clusters each clustering of DeepCluster has."""
    halvings = range(config.heads) if config.halve else [0] * config.heads
    return [max(min(2, config.clusters), config.clusters >> n) for n in halvings]


def fitted(
    config: ClusterConfig, *, samples: int, batch: int, swav: bool
) -> ClusterConfig:
    """Return as many clusters, and as long a queue, as the samples can carry.

    SwAV's codes are even only where there are as many scores as prototypes.
    """
    queue = min(config.queue, int(0.8 * samples)) // batch * batch if swav else 0
    most = max(2, samples // config.samples_a_cluster)
    clusters = min(config.clusters, most, samples)
    if swav:
        clusters = min(clusters, batch + queue)
    return config.model_copy(update={"clusters": clusters, "queue": queue})


def make_agreement(
    config: ClusterConfig,
    *,
    swav: bool,
    samples: int,
    batch: int,
    dim: int,
    seed: int,
    name: str,
) -> Agreement:
    """Make the agreement of either kind, fitted to its samples."""
    kind = Swav if swav else DeepCluster
    fits = fitted(config, samples=samples, batch=batch, swav=swav)
    return kind(samples, dim, fits, seed=seed, name=name)
