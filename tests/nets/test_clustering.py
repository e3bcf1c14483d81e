"""Clusters as targets, each against its definition."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from scanlearn.nets.clustering import (
    UNASSIGNED,
    deepcluster_loss,
    nearest,
    sinkhorn,
    spherical_kmeans,
    swav_loss,
    updated_centroids,
)


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator), dim=-1)


def test_four_directions_are_recovered() -> None:
    """Acceptance 5."""
    truth = torch.arange(200) % 4
    x = F.normalize(torch.eye(8)[truth] + 0.05 * unit(200, 8), dim=1)
    for seed in range(20):
        # k-means may begin with two rows of one direction; some start has all four.
        generator = torch.Generator().manual_seed(seed)
        centroids, found = spherical_kmeans(x, 4, iterations=10, generator=generator)
        if len({(int(t), int(f)) for t, f in zip(truth, found, strict=True)}) == 4:
            break
    else:
        raise AssertionError("no start recovered the directions")
    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(
        (centroids @ torch.eye(8)[:4].T).amax(dim=1), torch.ones(4), atol=0.01, rtol=0
    )


def test_an_empty_cluster_keeps_its_centroid() -> None:
    """Acceptance 5."""
    x, centroids = unit(6, 3), unit(3, 3, seed=1)
    assigned = torch.tensor([0, 0, 2, 2, 2, 0])
    found = updated_centroids(x, assigned, centroids)
    assert torch.equal(found[1], centroids[1])
    for k in (0, 2):
        mean = x[assigned == k].mean(dim=0)
        torch.testing.assert_close(found[k], mean / mean.norm())


def test_rounds_of_kmeans_never_lose_agreement() -> None:
    x, agreement = unit(300, 6), []
    for rounds in (0, 1, 3, 10):
        generator = torch.Generator().manual_seed(3)
        centroids, found = spherical_kmeans(
            x, 12, iterations=rounds, generator=generator
        )
        assert torch.equal(found, (x @ centroids.T).argmax(dim=1))
        agreement.append(float((x * centroids[found]).sum()))
    assert agreement == sorted(agreement)
    assert torch.equal(nearest(x, x[:5]), (x @ x[:5].T).argmax(dim=1))


def test_codes_are_even() -> None:
    """Acceptance 6."""
    scores = unit(256, 16) @ unit(8, 16, seed=1).T
    q = sinkhorn(scores, epsilon=0.25, iterations=3)
    torch.testing.assert_close(q.sum(dim=1), torch.ones(256))
    assert ((q.sum(dim=0) - 32).abs() < 0.05 * 32).all()
    # The limit of many rounds: rows and columns both even (Sinkhorn and Knopp).
    p = (scores.double() / 0.25).exp()
    for _ in range(500):
        p = p / p.sum(dim=0) / 8
        p = p / p.sum(dim=1, keepdim=True) / 256
    many = sinkhorn(scores, epsilon=0.25, iterations=500)
    torch.testing.assert_close(many.double(), p * 256, atol=1e-4, rtol=0)


def test_without_sinkhorn_codes_are_a_softmax() -> None:
    scores = unit(9, 4) @ unit(5, 4, seed=1).T
    q = sinkhorn(scores, epsilon=0.05, iterations=0)
    torch.testing.assert_close(q, (scores / 0.05).softmax(dim=1))


def test_swav_is_symmetric_and_at_least_the_entropy() -> None:
    """Acceptance 7: the loss is the codes' entropy plus a divergence."""
    prototypes = unit(6, 16, seed=2)
    scores = [unit(32, 16, seed=s) @ prototypes.T for s in (0, 1)]
    codes = [sinkhorn(s, epsilon=0.05, iterations=3) for s in scores]
    loss = swav_loss(scores, codes, temperature=0.1)
    torch.testing.assert_close(
        loss, swav_loss(scores[::-1], codes[::-1], temperature=0.1)
    )
    entropy, divergence = 0.0, 0.0
    for code, other in zip(codes, scores[::-1], strict=True):
        logs = (other / 0.1).log_softmax(dim=1)
        entropy -= float(torch.special.xlogy(code, code).sum(dim=1).mean()) / 2
        kl = F.kl_div(logs, code, reduction="batchmean")
        assert kl >= 0
        divergence += float(kl) / 2
    assert float(loss) == pytest.approx(entropy + divergence, rel=1e-5)


def test_further_views_predict_the_codes_too() -> None:
    scores = [unit(4, 3, seed=s) for s in range(4)]
    codes = [s.softmax(dim=1) for s in scores[:2]]
    expected = 0.0
    for a in range(2):
        for v in range(4):
            if v == a:
                continue
            for i in range(4):
                logs = (scores[v][i] / 0.1).log_softmax(dim=0)
                expected -= float(codes[a][i] @ logs) / (2 * 3 * 4)
    found = swav_loss(scores, codes, temperature=0.1)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_deepcluster_is_cross_entropy_over_heads_and_views() -> None:
    views = [unit(5, 4, seed=s).requires_grad_() for s in (0, 1)]
    centroids = [unit(3, 4, seed=2).requires_grad_(), unit(6, 4, seed=3)]
    labels = torch.tensor([[0, 2, 1, 0, UNASSIGNED], [5, 1, 1, 0, 3]])
    loss = deepcluster_loss(views, centroids, labels, temperature=0.1)
    heads = []
    for matrix, wanted in zip(centroids, labels, strict=True):
        each = [
            -float((matrix @ z[i] / 0.1).log_softmax(dim=0)[int(wanted[i])].detach())
            for z in views
            for i in range(5)
            if int(wanted[i]) != UNASSIGNED
        ]
        heads.append(math.fsum(each) / len(each))
    assert float(loss.detach()) == pytest.approx(sum(heads) / 2, rel=1e-5)
    loss.backward()
    assert centroids[0].grad is None  # prototypes are frozen
    assert views[0].grad is not None
    nobody = torch.full((2, 5), UNASSIGNED)
    assert deepcluster_loss(views, centroids, nobody, temperature=0.1) == 0
