"""Clusters as targets: spherical k-means, DeepCluster-v2, Sinkhorn codes and SwAV.

Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster
Assignments", NeurIPS 2020. Features and prototypes are unit vectors throughout.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from scanlearn import processes

#: Label of a sample that was never assigned.
UNASSIGNED = -100

#: Rows that are compared with all centroids at once: their products fit into a cache.
_ROWS = 2048


@torch.no_grad()
def spherical_kmeans(
    x: Tensor, clusters: int, *, iterations: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cluster unit vectors by direction.

    Centroids begin as distinct random rows; an empty cluster keeps its centroid.

    Parameters
    ----------
    x
        (n, d) unit vectors.
    clusters
        K, at most n.
    iterations
        Rounds of assigning and averaging, before a last assignment.
    generator
        On the CPU.

    Returns
    -------
    tuple of Tensor
        Unit centroids (K, d), and the cluster (n,) of each row.
    """
    start = torch.randperm(len(x), generator=generator)[:clusters].to(x.device)
    centroids = x[start]
    assigned = nearest(x, centroids)
    for _ in range(iterations):
        before = assigned
        centroids = updated_centroids(x, before, centroids)
        assigned = nearest(x, centroids)
        if torch.equal(assigned, before):
            break  # nothing would change any more
    return centroids, assigned


def nearest(x: Tensor, centroids: Tensor) -> Tensor:
    """Return the centroid (n,) with the largest inner product."""
    products = x.new_empty(min(len(x), _ROWS), len(centroids))
    found = torch.empty(len(x), dtype=torch.long, device=x.device)
    for rows, into in zip(x.split(_ROWS), found.split(_ROWS), strict=True):
        part = torch.mm(rows, centroids.T, out=products[: len(rows)])
        if x.device.type == "cpu":
            # NumPy's is five times as fast.
            into.copy_(torch.from_numpy(part.numpy().argmax(axis=1)))
        else:
            torch.argmax(part, dim=1, out=into)
    return found


def updated_centroids(x: Tensor, assigned: Tensor, centroids: Tensor) -> Tensor:
    """Return the unit means of the clusters; empty ones stay as they were."""
    sums = torch.zeros_like(centroids).index_add_(0, assigned, x)
    filled = torch.bincount(assigned, minlength=len(centroids)) > 0
    return torch.where(filled[:, None], F.normalize(sums, dim=1), centroids)


def deepcluster_loss(
    views: Sequence[Tensor],
    centroids: Sequence[Tensor],
    labels: Tensor,
    *,
    temperature: float,
) -> Tensor:
    """Predict the cluster of each sample from each of its views.

    Parameters
    ----------
    views
        V views, each (n, d).
    centroids
        Of the heads, each (K_h, d); they get no gradient.
    labels
        (heads, n); :data:`UNASSIGNED` does not count.

    Returns
    -------
    Tensor
        Mean cross-entropy over heads, views and samples; 0 without any label.
    """
    z = torch.cat(list(views))
    losses = []
    for matrix, targets in zip(centroids, labels, strict=True):
        wanted = targets.repeat(len(views))
        logits = z @ matrix.detach().T / temperature
        counted = processes.summed((wanted != UNASSIGNED).sum()).clamp_min(1)
        total = F.cross_entropy(
            logits, wanted, ignore_index=UNASSIGNED, reduction="sum"
        )
        losses.append(processes.summed(total) / counted)
    return torch.stack(losses).mean()


@torch.no_grad()
def sinkhorn(scores: Tensor, *, epsilon: float, iterations: int) -> Tensor:
    """Spread samples evenly over prototypes, close to their scores.

    Parameters
    ----------
    scores
        (n, K) inner products of samples and prototypes.
    epsilon
        Smoothness of the codes.
    iterations
        Rounds of evening out; none gives a softmax, with which all may fall into one.

    Returns
    -------
    Tensor
        (n, K) codes; each row sums to 1.
    """
    q = ((scores.float() - scores.float().max()) / epsilon).exp()
    q = q / q.sum()
    for _ in range(iterations):
        q = q / (q.sum(dim=0, keepdim=True).clamp_min(1e-30) * q.shape[1])
        q = q / (q.sum(dim=1, keepdim=True).clamp_min(1e-30) * q.shape[0])
    return q / q.sum(dim=1, keepdim=True).clamp_min(1e-30)


def swav_loss(
    scores: Sequence[Tensor], codes: Sequence[Tensor], *, temperature: float
) -> Tensor:
    """Predict the codes of the first views from every other view.

    Parameters
    ----------
    scores
        Of V views, each (n, K).
    codes
        Of the first A views, each (n, K).
    """
    logs = [F.log_softmax(s.float() / temperature, dim=1) for s in scores]
    losses = [
        -(code * log).sum(dim=1).mean()
        for a, code in enumerate(codes)
        for v, log in enumerate(logs)
        if v != a
    ]
    return torch.stack(losses).mean()
