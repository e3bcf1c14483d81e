"""DeepCluster and SwAV on a training's samples, each by its number."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from scanlearn.config.joint import ClusterConfig
from scanlearn.nets.clustering import UNASSIGNED, sinkhorn
from scanlearn.pretraining.joint.agreement import (
    DeepCluster,
    Swav,
    fitted,
    head_sizes,
    make_agreement,
)
from scanlearn.randomness import torch_generator


def directions(n: int, groups: int, dim: int = 8, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(n, dim, generator=torch_generator(seed, "test"))
    return F.normalize(torch.eye(dim)[torch.arange(n) % groups] + 0.05 * noise, dim=1)


def deepcluster(**changes) -> DeepCluster:
    config = ClusterConfig(clusters=4, heads=3, **changes)
    return DeepCluster(40, 8, config, seed=0, name="test")


def test_banks_take_turns_and_labels_have_their_samples() -> None:
    """Acceptance 5: labels are found under the sample's own number."""
    agreement = deepcluster()
    assert agreement.needs_filling
    views = torch.stack([directions(40, 4), directions(40, 4, seed=1)])
    order = torch.randperm(40, generator=torch_generator(0, "order"))
    for part in order.split(7):
        agreement.keep(views[:, part], part)
    torch.testing.assert_close(agreement.bank, views)
    assert agreement.begin("joint 0")
    assert not agreement.needs_filling
    assert not agreement.begin("joint 0")
    for head, centroids in enumerate(agreement.centroids):
        found = (views[head % 2] @ centroids.T).argmax(dim=1)
        assert torch.equal(agreement.labels[head], found)
    batch = torch.tensor([39, 3, 17])
    z = [v[batch].requires_grad_() for v in views]
    expected = torch.stack(
        [
            F.cross_entropy(v @ c.T / 0.1, agreement.labels[h, batch])
            for h, c in enumerate(agreement.centroids)
            for v in z
        ]
    ).mean()
    torch.testing.assert_close(agreement(z, batch), expected)
    assert agreement.chance == pytest.approx(math.log(4))


def test_prototypes_of_deepcluster_are_frozen() -> None:
    agreement = deepcluster()
    assert not list(agreement.parameters())
    agreement.keep(torch.stack([directions(40, 4)] * 2), torch.arange(40))
    agreement.begin("0")
    before = [c.clone() for c in agreement.centroids]
    agreement.keep(torch.stack([directions(40, 4, seed=5)] * 2), torch.arange(40))
    for mine, theirs in zip(agreement.centroids, before, strict=True):
        assert torch.equal(mine, theirs)
    agreement.begin("1")
    assert not torch.equal(agreement.centroids[0], before[0])
    assert agreement.before is not agreement.assigned


def swav(**changes) -> Swav:
    config = ClusterConfig(**{"clusters": 6, "freeze_steps": 0, **changes})
    torch.manual_seed(0)
    return Swav(40, 8, config, seed=0, name="test")


def test_swavs_prototypes_are_unit_and_frozen_at_first() -> None:
    agreement = swav(freeze_steps=2)
    z = [directions(10, 3, seed=s).requires_grad_() for s in (0, 1)]
    samples = torch.arange(10)
    for step in range(3):
        agreement.prototypes.weight.grad = None
        loss = agreement(z, samples)
        loss.backward()
        norms = agreement.prototypes.weight.norm(dim=1)
        torch.testing.assert_close(norms, torch.ones(6))
        assert (agreement.prototypes.weight.grad is None) == (step < 2)
        agreement.keep(torch.stack(z).detach(), samples)
    assert (agreement.assigned[:10] != UNASSIGNED).all()
    assert (agreement.assigned[10:] == UNASSIGNED).all()


def test_the_queue_joins_the_codes_when_it_is_full() -> None:
    agreement = swav(queue=8)
    first, second, third = (directions(4, 3, seed=s) for s in range(3))
    samples = torch.arange(4)
    weight = F.normalize(agreement.prototypes.weight, dim=1)
    agreement([first, first], samples)  # normalises the prototypes
    for past in (first, second):
        scores = third @ weight.T
        alone = sinkhorn(scores, epsilon=0.05, iterations=3)
        torch.testing.assert_close(agreement._codes(scores, 0), alone)
        agreement.keep(torch.stack([past, past]), samples)
    torch.testing.assert_close(agreement.queue[0], torch.cat([second, first]))
    joined = torch.cat([third, second, first]) @ weight.T
    expected = sinkhorn(joined, epsilon=0.05, iterations=3)[:4]
    torch.testing.assert_close(agreement._codes(third @ weight.T, 0), expected)


@pytest.mark.parametrize("kind", ["deepcluster", "swav"])
def test_what_is_remembered_comes_back(kind) -> None:
    def make():
        return make_agreement(
            ClusterConfig(clusters=4, samples_a_cluster=2, queue=8),
            swav=kind == "swav",
            samples=40,
            batch=4,
            dim=8,
            seed=0,
            name="test",
        )

    one, other = make(), make()
    samples = torch.arange(40)
    one.keep(torch.stack([directions(40, 4)] * 2), samples)
    one.begin("0")
    other.load_state_dict(one.state_dict())
    other.load(one.state())
    z = [directions(4, 4, seed=s) for s in (3, 4)]
    assert torch.equal(one(z, samples[:4]), other(z, samples[:4]))
    assert not other.begin("0")


def test_clusters_fit_the_samples() -> None:
    config = ClusterConfig(clusters=3000, samples_a_cluster=8, queue=1000)
    small = fitted(config, samples=80, batch=16, swav=False)
    assert (small.clusters, small.queue) == (10, 0)
    large = fitted(config, samples=100_000, batch=128, swav=True)
    assert large.queue == 896  # whole batches
    assert large.clusters == 128 + 896  # codes are even only with as many scores
    few = fitted(config, samples=4, batch=2, swav=True)
    assert few.clusters == 2
    assert few.queue % 2 == 0
    halved = ClusterConfig(clusters=16, heads=3, halve=True)
    assert head_sizes(halved) == [16, 8, 4]
    assert head_sizes(halved.model_copy(update={"clusters": 3})) == [3, 2, 2]
